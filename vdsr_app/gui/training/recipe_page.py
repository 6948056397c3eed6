"""Third step: the choice of a recipe, its cost on this machine, and the model to start from."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QTimer, Signal
from PySide6.QtWidgets import QButtonGroup, QGridLayout, QLineEdit, QVBoxLayout, QWidget

from vdsr_app.core.models import is_file_name
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.parts import Card, Choice, Fold, Note, Page
from vdsr_app.gui.sections import GROUP_GAP, ROW_LABEL_WIDTH, SECTION_GAP, add_row, rows_layout, text_label
from vdsr_app.gui.texts import file_name, printable
from vdsr_app.gui.training.draft import OWN, Draft
from vdsr_app.gui.training.recipe_details import RecipeDetails
from vdsr_app.gui.training.words import cost
from vdsr_app.workers.messages import ErrorReport
from vdsr_app.workers.training import TrainingService
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.events import Measured

_GROWN_AFTER_MS = 500
_MEASURE_AFTER_MS = 800
"""Delay after the last change of the details, because a dry run takes some seconds."""


class RecipePage(Page):
    """Preset cards, a name, a model to start from, and folded details.

    Signals:
        changed: whether the step is done may have changed.
    """

    changed = Signal()

    def __init__(self, draft: Draft, service: TrainingService, models: ModelList) -> None:
        super().__init__(
            self.tr("How should it learn?"),
            self.tr(
                "Choose one. Times are measured on this computer; you can stop at any time and keep what was learned."
            ),
        )
        self._draft = draft
        self._service = service
        self._models = models
        self._cards: dict[str, Card] = {}
        self._asked: set[str] = set()
        self._own_pending: TrainConfig | None = None
        self._why_unmeasured = ""
        self._busy = ""
        self.body.addLayout(self._build_cards())
        self._name = QLineEdit()
        self._name.setMaxLength(80)
        self._name.textEdited.connect(draft.set_title)
        self._start = Choice(self.tr("Start from"))
        self._start.setToolTip(self.tr("A network that has already learned gets to a usable result much sooner"))
        self._start.activated.connect(self._on_start_chosen)
        self._start_note = text_label(role="caption", wrap=True)
        rows = rows_layout()
        add_row(rows, self.tr("Name"), self._name)
        add_row(rows, self.tr("Start from"), self._start)
        self._start_note.setContentsMargins(ROW_LABEL_WIDTH + GROUP_GAP, 0, 0, 0)
        beginning = QVBoxLayout()
        beginning.setSpacing(4)
        beginning.addLayout(rows)
        beginning.addWidget(self._start_note)
        self.body.addLayout(beginning)
        self._own = Note("timer-outline")
        self._details: RecipeDetails | None = None
        self.fold = Fold(self.tr("Details"))
        self.fold.toggled.connect(self._on_fold_toggled)
        self._grows = False
        self.verticalScrollBar().rangeChanged.connect(self._on_range_changed)
        self.fold.body.addWidget(self._own)
        self.body.addWidget(self.fold)
        self.body.addStretch(1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_MEASURE_AFTER_MS)
        self._timer.timeout.connect(self._on_measure_own)
        service.measured.connect(self._on_measured)
        service.measure_failed.connect(self._on_measure_failed)
        service.measure_finished.connect(self._on_measure_finished)
        draft.recipe_changed.connect(self._on_recipe_changed)
        self.refresh()

    @property
    def why_not(self) -> str:
        """Why the run cannot be started, or ""."""
        if self._has_faults:
            return self.tr("A value in the details is not valid")
        if missing := self._draft.missing_model:
            return self.tr("“{name}” is not installed. Choose another start.").format(name=printable(missing))
        return self.tr("“{name}” is training. Stop it first.").format(name=self._busy) if self._busy else ""

    @property
    def busy(self) -> str:
        """Title of the run that prevents this one from starting, or ""."""
        return self._busy

    @property
    def details(self) -> RecipeDetails:
        """All settings, built on first use because most users never open them."""
        if self._details is None:
            self._details = RecipeDetails(self._draft)
            self._details.changed.connect(self.changed)
            self.fold.body.addWidget(self._details)
        return self._details

    @property
    def _own_is_pending(self) -> bool:
        """Whether a dry run of the current recipe is in progress."""
        return OWN in self._asked and self._own_pending is not None and self._draft.costs_as(self._own_pending)

    @property
    def _has_faults(self) -> bool:
        return self._details is not None and bool(self._details.faults)

    def card(self, preset: str) -> Card:
        """The card of a preset."""
        return self._cards[preset]

    def enter(self, *, busy: str) -> None:
        """Measure unknown costs when the page is shown, or another run has started or ended meanwhile.

        Args:
            busy: title of a run that is training, or ""; meanwhile nothing can be measured or started.
        """
        self._busy = busy
        if busy:
            self.leave()
        self._why_unmeasured = self.tr("not measured while a run is training") if busy else ""
        missing = self._draft.to_measure()
        if missing and not busy and not self._asked:
            self._asked = set(missing)
            self._service.measure(missing)
        self._on_recipe_changed()

    def leave(self) -> None:
        """Stop measuring as the page is no longer shown, to free the machine."""
        self._timer.stop()
        if self._asked:
            self._service.cancel_measure()

    def forget_faults(self) -> None:
        """Discard invalid input in the details, so that it does not block another recipe."""
        if self._details is not None:
            self._details.forget_faults()

    def refresh(self) -> None:
        """Show what the draft holds."""
        draft = self._draft
        self._cards[draft.preset].setChecked(True)
        for name, card in self._cards.items():
            card.show_cost(self._cost_text(draft.cost(name), name))
        if not self._name.hasFocus() or not self._name.text():
            self._name.setText(draft.title)
        self._name.setPlaceholderText(draft.title)
        self._show_starts()
        touched = draft.is_touched
        self.fold.set_title(self.tr("Details (changed)") if touched else self.tr("Details"))
        self._own.say(self._own_text() if touched else "", "timer-outline", "text")
        self.changed.emit()

    def _on_recipe_changed(self) -> None:
        self.refresh()
        if self._draft.needs_measuring() and not self._own_is_pending and not self._busy and self.isVisible():
            self._timer.start()

    def _build_cards(self) -> QVBoxLayout:
        words = {
            "robust": (self.tr("Robust"), self.tr("The best result. Takes its time, and is worth it."), True),
            "quick": (
                self.tr("Quick look"),
                self.tr("A first result soon, to see whether it is worth it."),
                False,
            ),
            "photo": (
                self.tr("Photo"),
                self.tr("For pictures from phones and the web: also removes JPEG blocks and noise."),
                False,
            ),
            "paper": (
                self.tr("Paper"),
                self.tr("As published in 2016, to compare with it. Not the best result."),
                False,
            ),
        }
        grid = QGridLayout()
        grid.setSpacing(GROUP_GAP + 4)
        group = QButtonGroup(self)
        for place, (name, (title, sentence, best)) in enumerate(words.items()):
            card = Card(title, sentence, self.tr("recommended") if best else "")
            card.setProperty("preset", name)
            card.clicked.connect(self._on_card_clicked)
            group.addButton(card)
            self._cards[name] = card
            grid.addWidget(card, place // 2, place % 2)
        column = QVBoxLayout()
        column.setSpacing(SECTION_GAP)
        column.addLayout(grid)
        return column

    def _cost_text(self, known: tuple[float, int] | None, name: str) -> str:
        if known is not None:
            return cost(*known)
        if name in self._asked:
            return self.tr("measuring…")
        return self._why_unmeasured or self.tr("not measured")

    def _own_text(self) -> str:
        known = self._draft.cost(self._draft.preset)
        words = self.tr("With your changes: {cost}")
        return words.format(cost=self._cost_text(known, OWN))

    def _show_starts(self) -> None:
        config, box = self._draft.config, self._start
        entries = self._starts()
        # Filling the list anew would lose the user's place in it while it is open.
        if entries != [(box.itemText(row), box.itemData(row)) for row in range(box.count())]:
            box.clear()
            for words, start in entries:
                box.addItem(words, start)
        if box.currentData() != config.start_from:
            box.setCurrentIndex(box.findData(config.start_from))
        why = self.tr("It has already learned from other pictures and adapts to yours: a good result much sooner.")
        if not config.start_from:
            why = self.tr("Takes several times as long to become good.") if self._start.count() > 1 else ""
        if self._draft.missing_model:
            why = self.tr("This network is no longer installed. Choose another start.")
        self._start_note.setText(why)

    def _starts(self) -> list[tuple[str, str]]:
        """Texts and names of the models to start from."""
        entries = []
        for model in self._models.models:
            if self._draft.shape(model.name) != (0, 0):
                title = printable(model.title)
                words = self.tr("{title}, comes with the program (recommended)") if model.bundled else "{title}"
                entries.append((words.format(title=title), model.name))
        for start in self._draft.other_starts:
            words = "{name}" if is_file_name(start) else self.tr("{name} (not installed)")
            entries.append((words.format(name=file_name(start)), start))
        return [*entries, (self.tr("Nothing: learn everything from scratch"), "")]

    def _on_fold_toggled(self, opened: bool) -> None:
        if opened:
            self.details.refresh()
            # The scroll bar cannot go there before the page has grown, which takes longest when the fields are new.
            self._grows = True
            QTimer.singleShot(_GROWN_AFTER_MS, self, self._on_grown)

    def _on_range_changed(self) -> None:
        if self._grows:
            QTimer.singleShot(0, self, self._show_fold)

    def _on_grown(self) -> None:
        self._grows = False
        self._show_fold()

    def _show_fold(self) -> None:
        top = self.fold.mapTo(self, QPoint(0, 0)).y() + self.verticalScrollBar().value()
        self.verticalScrollBar().setValue(top - SECTION_GAP)

    def _on_card_clicked(self) -> None:
        card = self.sender()
        if isinstance(card, QWidget):
            self._draft.choose_preset(card.property("preset"))
            self.forget_faults()

    def _on_start_chosen(self, index: int) -> None:
        self._why_unmeasured = ""
        self._draft.set_start(self._start.itemData(index))

    def _on_measure_own(self) -> None:
        """Measure the changed recipe and those presets whose cost is unknown."""
        if not self._draft.needs_measuring() or self._has_faults:
            return
        wanted = {OWN: self._draft.config, **self._draft.to_measure()}
        self._asked, self._own_pending, self._why_unmeasured = set(wanted), self._draft.config, ""
        self._service.measure(wanted)
        self.refresh()

    def _on_measured(self, measured: Measured) -> None:
        current = measured.preset != OWN or self._own_is_pending
        self._asked.discard(measured.preset)
        if current:
            self._draft.set_measured(measured)
        else:
            self._on_recipe_changed()  # the recipe has changed since it was measured

    def _on_measure_failed(self, _report: ErrorReport) -> None:
        self._why_unmeasured = self.tr("could not be measured here")

    def _on_measure_finished(self) -> None:
        self._asked.clear()
        self.refresh()
