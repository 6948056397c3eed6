"""Last step: the result compared with bicubic and the installed models, and what to do with it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from vdsr_app.gui.calm import CalmSpinBox
from vdsr_app.gui.file_manager import open_folder, show_in_folder
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.parts import Note, Page, allow_button, link, plain
from vdsr_app.gui.sections import GROUP_GAP, SECTION_GAP, indent_number, text_label
from vdsr_app.gui.texts import number, pictures_text, printable, steps_text
from vdsr_app.gui.training.exports import NetworkExports
from vdsr_app.gui.training.verdict import BICUBIC, THIS_RUN, Verdict, judge
from vdsr_app.gui.training.watch import RunWatch
from vdsr_app.gui.training.words import scale_key_text
from vdsr_trainer.events import Compared
from vdsr_trainer.run_files import CARD_NAME, WEIGHTS_NAME

_LOOKS = {
    Verdict.BETTER: ("check-circle-outline", "good"),
    Verdict.MIXED: ("information-outline", "caution"),
    Verdict.WORSE: ("information-outline", "caution"),
    Verdict.UNKNOWN: ("information-outline", "quiet"),
}


class ResultPage(Page):
    """A table of scores, a one-sentence verdict, and the next actions.

    Signals:
        more_steps_requested: total number of steps.
    """

    more_steps_requested = Signal(int)

    def __init__(self, watch: RunWatch, models: ModelList, exports: NetworkExports) -> None:
        super().__init__(self.tr("How well it did"))
        self._watch = watch
        self._models = models
        self._exports = exports
        self._compared: Compared | None = None
        self._name = text_label(role="quiet", wrap=True)
        self._verdict = Note()
        self._table = QGridLayout()
        self._table.setHorizontalSpacing(SECTION_GAP)
        self._table.setVerticalSpacing(GROUP_GAP)
        self._caption = text_label(role="caption", wrap=True)
        self.body.insertWidget(1, self._name)
        self.body.addWidget(self._verdict)
        self.body.addLayout(self._table)
        self.body.addWidget(self._caption)
        self.body.addLayout(self._build_ways())
        self._longer = _Longer()
        self._longer.go.clicked.connect(self._on_longer)
        self.body.addWidget(self._longer)
        self.body.addStretch(1)
        watch.changed.connect(self.refresh)
        self.refresh()

    @property
    def weights(self) -> Path | None:
        """The weight file, or None if there is none."""
        folder = self._watch.folder
        path = None if folder is None else folder / WEIGHTS_NAME
        return path if path is not None and path.is_file() else None

    @property
    def why_not(self) -> str:
        """Why there is no result, or ""."""
        if self._watch.folder is None:
            return self.tr("There is no run yet")
        if self._watch.alive:
            return self.tr("The run has not finished")
        return "" if self.weights is not None else self.tr("The run has no result yet")

    def allow_longer(self, why_not: str) -> None:
        """Allow the run to continue, or show why it cannot."""
        allow_button(self._more, not why_not, why_not, self.tr("Continue where it ended"))

    def refresh(self) -> None:
        """Show the result as far as it is known."""
        if not self.isVisible():
            return
        watch = self._watch
        self._name.setText(f"{watch.title} · {watch.state_text()}")
        if watch.history.compared is not self._compared or self._table.count() == 0:
            self._compared = watch.history.compared
            self._show_table()
        self._card.setEnabled(self._card_path() is not None)
        self._card.setToolTip("" if self._card_path() else self.tr("The run has no model card yet"))

    def showEvent(self, event: object) -> None:
        """Update what changed while the page was hidden."""
        super().showEvent(event)  # type: ignore[arg-type]
        self._compared = None
        self._longer.suggest(self._watch.steps)
        self._longer.hide()
        self.refresh()

    def _build_ways(self) -> QHBoxLayout:
        self._export = plain(self.tr("Export…"), "export-variant", self.tr("Write the network as a file to pass on"))
        menu = QMenu(self._export)
        menu.setToolTipsVisible(True)
        menu.addAction(self.tr("Weights for VDSR Studio (safetensors)…")).triggered.connect(self._on_export_weights)
        menu.addAction(self.tr("For other programs (ONNX)…")).triggered.connect(self._on_export_onnx)
        self._export.setMenu(menu)
        self._card = plain(self.tr("Model card"), "card-text-outline")
        self._card.clicked.connect(self._on_card)
        self._more = plain(self.tr("Train longer…"), "plus-circle-outline", self.tr("Continue where it ended"))
        self._more.clicked.connect(self._on_more)
        folder = link(self.tr("Show folder"), self.tr("Open the run's folder"))
        folder.clicked.connect(self._on_folder)
        row = QHBoxLayout()
        row.setSpacing(GROUP_GAP)
        for button in (self._export, self._more, self._card, folder):
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _on_export_weights(self) -> None:
        if self.weights is not None:
            self._exports.ask_for_weights(self.weights, self._watch.title)

    def _on_export_onnx(self) -> None:
        if self.weights is not None:
            self._exports.ask_for_onnx(self.weights, self._watch.title)

    def _show_table(self) -> None:
        while (item := self._table.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        compared = self._compared
        verdict, sentence = judge(compared, self._title_of)
        self._verdict.say(sentence, *_LOOKS[verdict])
        if compared is None or not compared.rows:
            self._caption.setText("")
            return
        keys = list(dict.fromkeys(key for row in compared.rows.values() for key in row))
        for column, key in enumerate(keys, start=1):
            self._table.addWidget(_cell(scale_key_text(key), "quiet"), 0, column)
        for row, (name, scores) in enumerate(compared.rows.items(), start=1):
            role = "strong" if name == THIS_RUN else ""
            self._table.addWidget(text_label(printable(self._title_of(name)), role), row, 0)
            for column, key in enumerate(keys, start=1):
                self._table.addWidget(_cell(_score(scores.get(key)), role), row, column)
        self._table.setColumnStretch(0, 1)
        self._caption.setText(
            self.tr(
                "PSNR in dB and SSIM on {pictures} that it has never seen, after {steps}; higher is better, and "
                "0.1 dB is little. The curves are measured more often and on less of each picture, so they differ a "
                "little."
            ).format(pictures=pictures_text(compared.pictures), steps=steps_text(compared.step))
        )

    def _title_of(self, name: str) -> str:
        if name == BICUBIC:
            return self.tr("Bicubic (no network)")
        return self.tr("This run") if name == THIS_RUN else self._models.title(name)

    def _card_path(self) -> Path | None:
        folder = self._watch.folder
        path = None if folder is None else folder / CARD_NAME
        return path if path is not None and path.is_file() else None

    def _on_card(self) -> None:
        path = self._card_path()
        if path is None:
            return
        from vdsr_app.gui.training.card_dialog import CardDialog

        CardDialog(path, self).show()

    def _on_more(self) -> None:
        self._longer.setVisible(self._longer.isHidden())
        self._longer.steps.setFocus()

    def _on_longer(self) -> None:
        self.more_steps_requested.emit(self._watch.steps + self._longer.steps.value())

    def _on_folder(self) -> None:
        folder = self._watch.folder
        if folder is None:
            return
        if self.weights is not None:
            show_in_folder(self.weights)
        else:
            open_folder(folder)


class _Longer(QWidget):
    """The choice of how many more steps to train."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = CalmSpinBox()
        self.steps.setRange(1, 10_000_000)
        self.steps.setGroupSeparatorShown(True)
        self.steps.setAccessibleName(self.tr("More steps"))
        self.steps.setFixedWidth(120)
        indent_number(self.steps)
        self.go = plain(self.tr("Continue"), "play-outline")
        row = QHBoxLayout()
        row.setSpacing(GROUP_GAP)
        row.addWidget(text_label(self.tr("Learn for"), "quiet"))
        row.addWidget(self.steps)
        row.addWidget(text_label(self.tr("more steps"), "quiet"))
        row.addWidget(self.go)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)

    def suggest(self, steps: int) -> None:
        """Suggest half as many steps again, at least 100."""
        self.steps.setValue(max(100, steps // 2))


def _cell(text: str, role: str) -> QWidget:
    label = text_label(text, role)
    label.setAlignment(Qt.AlignmentFlag.AlignTrailing | Qt.AlignmentFlag.AlignVCenter)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _score(values: list[float] | None) -> str:
    return "" if values is None else f"{number(values[0], 2)}  /  {number(values[1], 4)}"
