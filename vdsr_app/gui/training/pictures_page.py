"""First step: choosing the pictures to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from vdsr_app.gui.icons import IconLabel
from vdsr_app.gui.parts import Fold, Note, Page, icon_button, link, plain
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP, ElidedLabel, text_label
from vdsr_app.gui.texts import file_name, pictures_text, printable
from vdsr_app.gui.theme import set_role
from vdsr_app.gui.training.draft import Draft
from vdsr_app.workers.training_desk import TrainingDesk

FEW = 20
"""With fewer pictures a network learns little."""


class PicturesPage(Page):
    """A list of folders with their picture counts, and the choice of pictures for validation.

    Attributes:
        add_button: asks for a folder.
        start_over: discards all choices; hidden while there are none.

    Signals:
        changed: whether the step is done may have changed.
    """

    changed = Signal()

    def __init__(self, draft: Draft, desk: TrainingDesk) -> None:
        super().__init__(
            self.tr("Which pictures should it learn from?"),
            self.tr(
                "Choose folders with pictures like those you want to enlarge, as sharp and as large as you have them. "
                "Folders inside are searched too. Nothing leaves this computer."
            ),
        )
        self._draft = draft
        self._desk = desk
        self._counts: dict[str, int] = {}
        self._last_folder = ""
        self._rows = QVBoxLayout()
        self._rows.setSpacing(4)
        self.add_button = plain(self.tr("Add folder…"), "folder-plus-outline")
        self.add_button.clicked.connect(self.choose_folder)
        self._zone = _DropZone()
        beside = QHBoxLayout()
        beside.setSpacing(SECTION_GAP)
        beside.addWidget(self.add_button)
        self._or_drop = text_label(self.tr("or drop folders here"), "quiet")
        beside.addWidget(self._or_drop)
        beside.addStretch(1)
        self.start_over = link(
            self.tr("Start over"), self.tr("Discard these pictures and the recipe, and start from scratch")
        )
        beside.addWidget(self.start_over)
        self._total = Note()
        self._fold = Fold(self.tr("Choose the pictures to judge by"))
        self._build_validation()
        self.body.addWidget(self._zone)
        self.body.addLayout(self._rows)
        self.body.addLayout(beside)
        self.body.addWidget(self._total)
        self.body.addSpacing(GROUP_GAP)
        self.body.addWidget(self._fold)
        self.body.addStretch(1)
        self._counted_folders: tuple[str, ...] = ()
        self._recount = QTimer(self)
        self._recount.setSingleShot(True)
        self._recount.timeout.connect(self._on_recount)
        desk.counted.connect(self._on_counted)
        draft.pictures_changed.connect(self._on_pictures_changed)
        self._on_pictures_changed()

    @property
    def found(self) -> int | None:
        """Number of picture files in all folders; None while they are being counted."""
        counts = [self._counts.get(folder) for folder in self._draft.config.data]
        return None if None in counts else sum(max(0, number) for number in counts if number is not None)

    @property
    def why_not(self) -> str:
        """Why the step is not done, or ""."""
        if not self._draft.config.data:
            return self.tr("Choose a folder first")
        if self.found == 0:
            return self.tr("There are no pictures in these folders")
        return ""

    def choose_folder(self) -> None:
        """Ask for a folder and add it."""
        start = self._last_folder or str(Path.home())
        chosen = QFileDialog.getExistingDirectory(self, self.tr("A folder of pictures to learn from"), start)
        if chosen:
            self.add_folders([chosen])

    def add_folders(self, folders: Sequence[str]) -> None:
        """Add folders to the list; one that is there already is counted again, as it may hold pictures by now."""
        if folders:
            self._forget_counts(folders)
            self._last_folder = str(Path(folders[-1]).parent)
            self._draft.set_folders([*self._draft.config.data, *folders])

    def refresh(self) -> None:
        """Count again, as files may have been added or removed."""
        self._counts.clear()
        self._on_pictures_changed()

    def showEvent(self, event: QShowEvent) -> None:
        """Count again what was empty or missing when the page was last shown."""
        super().showEvent(event)
        self._forget_counts([folder for folder, number in self._counts.items() if number <= 0])
        self._on_pictures_changed()

    def _forget_counts(self, folders: Iterable[str]) -> None:
        for folder in folders:
            self._counts.pop(folder, None)

    def _build_validation(self) -> None:
        self._validation = ElidedLabel()
        self._choose = plain(self.tr("Choose folder…"), "folder-outline")
        self._choose.clicked.connect(self._on_choose_validation)
        self._clear = icon_button("close", self.tr("Judge by held-out pictures again"))
        self._clear.clicked.connect(self._on_clear_validation)
        row = QHBoxLayout()
        row.setSpacing(GROUP_GAP)
        row.addWidget(self._choose)
        row.addWidget(self._validation, 1)
        row.addWidget(self._clear)
        words = self.tr(
            "To tell how good it is, a network must be judged by pictures that it has never seen. Some of yours are "
            "held out for that, unless you name a folder that holds nothing else."
        )
        self._fold.body.setSpacing(GROUP_GAP)
        self._fold.body.addWidget(text_label(words, "quiet", wrap=True))
        self._fold.body.addLayout(row)

    def _on_choose_validation(self) -> None:
        start = self._last_folder or str(Path.home())
        chosen = QFileDialog.getExistingDirectory(self, self.tr("A folder of pictures to judge by"), start)
        if chosen:
            self._draft.set_pictures(validation=chosen)

    def _on_clear_validation(self) -> None:
        self._draft.set_pictures(validation="")

    def _on_pictures_changed(self) -> None:
        config = self._draft.config
        self._forget_counts(self._counts.keys() - config.data)
        self._show_rows()
        if config.validation:
            self._validation.setText(printable(config.validation))
            self._fold.set_open(True)
        else:
            self._validation.setText(self.tr("Some of the pictures above are held out"))
        self._clear.setVisible(bool(config.validation))
        if any(folder not in self._counts for folder in config.data):
            self._recount.start(0)
        self._show_total()

    def _on_recount(self) -> None:
        self._counted_folders = self._draft.config.data
        self._desk.count_pictures(self._counted_folders)

    def _on_counted(self, counts: tuple[int, ...]) -> None:
        self._counts.update(zip(self._counted_folders, counts, strict=False))
        self._show_rows()
        self._show_total()

    def _show_rows(self) -> None:
        while (item := self._rows.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        folders = self._draft.config.data
        for folder in folders:
            self._rows.addWidget(self._row(folder))
        # Without a folder, the primary button asks for one.
        self._zone.setVisible(not folders)
        self.add_button.setVisible(bool(folders))
        self._or_drop.setVisible(bool(folders))
        self.start_over.setVisible(not self._draft.is_empty)

    def _row(self, folder: str) -> QWidget:
        number = self._counts.get(folder)
        row = QWidget()
        set_role(row, "row")
        line = QHBoxLayout(row)
        line.setContentsMargins(12, 4, 4, 4)
        line.setSpacing(GROUP_GAP)
        missing = number is not None and number < 0
        line.addWidget(IconLabel("folder-alert-outline" if missing else "folder-outline", "bad" if missing else "text"))
        line.addWidget(text_label(file_name(folder)))
        place = ElidedLabel(printable(str(Path(folder).parent)))
        set_role(place, "quiet")
        line.addWidget(place, 1)
        if number is None:
            words = self.tr("counting…")
        elif missing:
            words = self.tr("this folder is missing")
        else:
            words = pictures_text(number)
        line.addWidget(text_label(words, "quiet"))
        remove = icon_button("close", self.tr("Remove {name} from the list").format(name=file_name(folder)))
        remove.setProperty("folder", folder)
        remove.clicked.connect(self._on_remove)
        line.addWidget(remove)
        return row

    def _on_remove(self) -> None:
        folder = self.sender().property("folder")
        self._draft.set_folders([other for other in self._draft.config.data if other != folder])

    def _show_total(self) -> None:
        found = self.found
        if not self._draft.config.data or found is None:
            self._total.say("")
        elif found == 0:
            self._total.say(
                self.tr("There are no pictures in these folders. Add a folder that has some."),
                "alert-circle-outline",
                "bad",
            )
        elif found < FEW:
            self._total.say(
                self.tr("{pictures}: that is not many. A hundred or more work well.").format(
                    pictures=pictures_text(found)
                ),
                "information-outline",
                "caution",
            )
        else:
            self._total.say(
                self.tr("{pictures} found").format(pictures=pictures_text(found)), "check-circle-outline", "good"
            )
        self.changed.emit()


class _DropZone(QFrame):
    """A hint to drop folders, shown while there are none; the whole window accepts them."""

    def __init__(self) -> None:
        super().__init__()
        set_role(self, "dropzone")
        column = QVBoxLayout(self)
        column.setContentsMargins(SECTION_GAP, PANE_GAP, SECTION_GAP, PANE_GAP)
        column.setSpacing(GROUP_GAP)
        column.addWidget(IconLabel("folder-image", "quiet", 32), 0, Qt.AlignmentFlag.AlignHCenter)
        words = text_label(self.tr("Drop folders of pictures here"), "quiet")
        column.addWidget(words, 0, Qt.AlignmentFlag.AlignHCenter)
