"""How a batch is done: where results go, how they are named, what happens to those that are there."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSignalBlocker, QTimer, Signal
from PySide6.QtWidgets import QCheckBox, QLineEdit, QVBoxLayout, QWidget

from vdsr_app.core.batch.items import Item, SourceFacts
from vdsr_app.core.batch.options import BatchOptions, Existing
from vdsr_app.core.formats import USUAL_SUFFIX
from vdsr_app.core.job import UpscaleSettings
from vdsr_app.core.models import AUTO_MODEL, DEFAULT_MODEL
from vdsr_app.core.naming import DEFAULT_TEMPLATE, NameFacts, NameTemplate
from vdsr_app.errors import UsageError
from vdsr_app.gui.parts import Choice, link
from vdsr_app.gui.sections import SECTION_GAP, ElidedLabel, Section, text_label
from vdsr_app.gui.texts import printable

_PAUSE_MS = 300
"""A template is typed; it is read when the person has paused for a moment."""

_EXAMPLE = Item(0, Path("photos/photo.jpg"), Path(), SourceFacts(None, 1000, 800), None, DEFAULT_MODEL)
"""Named where there is no plan."""


class OptionsPanel(QWidget):
    """The choices of a batch. What each picture is made into is chosen in the workspace "Upscale".

    Signals:
        changed: a choice is another than before.
        problem_changed: `problem` is another than before.
        folder_wanted: the person wants to choose the folder of the results.
        settings_wanted: the person wants to change size, model or format.
    """

    changed = Signal()
    problem_changed = Signal()
    folder_wanted = Signal()
    settings_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._folder: Path | None = None
        self._example = _EXAMPLE
        self._planned: BatchOptions | None = None
        self._settings = UpscaleSettings()
        self._problem = ""
        self._result = text_label(wrap=True)
        self._change = link(self.tr("Change in Upscale"))
        self._where = ElidedLabel()
        self._choose = link(self.tr("Choose folder…"))
        self._template = QLineEdit()
        self._template.setAccessibleName(self.tr("Names of the results"))
        self._template.setPlaceholderText(DEFAULT_TEMPLATE)
        self._template.setToolTip(
            self.tr("You can use {fields}").format(
                fields="{name} {model} {target} {scale} {width} {height} {number} {folder} {type}"
            )
        )
        self._sample = text_label(role="caption", wrap=True)
        self._existing = Choice(self.tr("If a result already exists"))
        for words, value in (
            (self.tr("Skip if up to date"), Existing.SKIP),
            (self.tr("Overwrite"), Existing.OVERWRITE),
            (self.tr("Keep both"), Existing.RENAME),
        ):
            self._existing.addItem(words, value)
        self._about = text_label(role="caption", wrap=True)
        self._recursive = QCheckBox(self.tr("With subfolders"))
        self._recursive.setToolTip(self.tr("Results go into the same subfolders as their pictures"))
        choices = (self._choose, self._template, self._existing, self._recursive, self._change)
        self._tips: dict[QWidget, str] = {widget: widget.toolTip() for widget in choices}
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self.changed)
        self._lay_out()
        self._change.clicked.connect(self.settings_wanted)
        self._choose.clicked.connect(self.folder_wanted)
        self._template.textEdited.connect(self._on_typed)
        self._existing.activated.connect(self._on_changed)
        self._recursive.clicked.connect(self._on_changed)
        self._show()

    @property
    def template(self) -> str:
        """How results are named."""
        return self._template.text() or DEFAULT_TEMPLATE

    @property
    def problem(self) -> str:
        """Why the template cannot be used, in words for people, or ""."""
        return self._problem

    @property
    def existing(self) -> Existing:
        """What happens to results that are there."""
        return Existing(self._existing.currentData())

    @property
    def recursive(self) -> bool:
        """Whether folders below count."""
        return self._recursive.isChecked()

    @property
    def settings(self) -> UpscaleSettings:
        """What pictures are made into."""
        return self._settings

    @property
    def options(self) -> BatchOptions | None:
        """All choices; None where there is no folder yet, or the template cannot be used."""
        if self._folder is None or self._problem:
            return None
        return BatchOptions(self._folder, self._settings, self.recursive, self.template, self.existing)

    def show_choices(self, template: str, existing: Existing, *, recursive: bool) -> None:
        """Show what is remembered; emits no `changed`."""
        blocker = QSignalBlocker(self._template)
        self._template.setText("" if template == DEFAULT_TEMPLATE else template)
        blocker.unblock()
        self._existing.setCurrentIndex(self._existing.findData(existing))
        self._recursive.setChecked(recursive)
        self._show()

    def show_folder(self, folder: Path | None) -> None:
        """Show where results go; emits nothing."""
        self._folder = folder
        self._show()

    def show_settings(self, settings: UpscaleSettings, words: str) -> None:
        """Show what pictures are made into.

        Args:
            settings: the same that the workspace "Upscale" uses.
            words: they in short.
        """
        self._settings = settings
        self._result.setText(words)
        self._show()

    def show_example(self, item: Item, planned: BatchOptions) -> None:
        """Name a picture of the batch in the example.

        Args:
            item: the picture, as it was planned.
            planned: the choices that it was planned with; with others its name is told as far as they decide it.
        """
        self._example, self._planned = item, planned
        self._show()

    def set_locked(self, locked: bool) -> None:
        """Let nothing be changed while a batch runs; what was typed just before it is part of it."""
        if locked and self._pause.isActive():
            self._pause.stop()
            self.changed.emit()
        for widget, tip in self._tips.items():
            widget.setEnabled(not locked)
            widget.setToolTip(self.tr("This cannot be changed while a batch is running") if locked else tip)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SECTION_GAP)
        made, results = Section(), Section()
        # Low, and in this order: in the smallest window a plan leaves room for all but the names.
        made.set_head(self.tr("Settings"), self._change)
        made.body.addWidget(self._result)
        results.set_head(self.tr("Results"), self._choose)
        results.body.addWidget(self._where)
        results.body.addWidget(self._recursive)
        names = Section()
        names.set_head(self.tr("Names"))
        names.body.addWidget(self._template)
        names.body.addWidget(self._sample)
        there = Section()
        there.set_head(self.tr("Existing results"))
        there.body.addWidget(self._existing)
        there.body.addWidget(self._about)
        for section in (made, results, there, names):
            column.addWidget(section)

    def _find_problem(self) -> str:
        try:
            NameTemplate(self.template)
        except UsageError as error:
            return error.words
        return ""

    def _show(self) -> None:
        self._where.setText(self.tr("No folder yet") if self._folder is None else printable(str(self._folder)))
        before, self._problem = self._problem, self._find_problem()
        self._sample.setText(self._problem or self.tr("For example: {name}").format(name=self._sample_name()))
        self._about.setText(
            {
                Existing.SKIP: self.tr("Made again only if the picture or the settings have changed."),
                Existing.OVERWRITE: self.tr("Any file of that name is replaced, but never a source picture."),
                Existing.RENAME: self.tr("The new result gets a number in its name."),
            }[self.existing]
        )
        if self._problem != before:
            self.problem_changed.emit()

    def _sample_name(self) -> str:
        item, settings, planned = self._example, self._settings, self._planned
        if planned is not None and planned == self.options:
            return printable(item.output.name)
        model = settings.model
        if model == AUTO_MODEL:
            model = item.model if planned is not None and planned.settings.model == AUTO_MODEL else DEFAULT_MODEL
        try:
            size = settings.target.size_for(item.facts.width, item.facts.height)
        except UsageError:
            size = None
        facts = NameFacts.of(item.source, model, settings.target, size, item.number + 1)
        ending = USUAL_SUFFIX[settings.save.format_or_default]
        return printable(NameTemplate(self.template).fill(facts, ending))

    def _on_typed(self) -> None:
        self._show()
        self._pause.start()

    def _on_changed(self) -> None:
        self._show()
        self.changed.emit()
