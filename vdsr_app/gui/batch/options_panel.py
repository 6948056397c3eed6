"""Options of a batch: where results go, how they are named, what happens to existing ones."""

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
"""Delay after the last keystroke before a typed template takes effect."""

_EXAMPLE = Item(0, Path("photos/photo.jpg"), Path(), SourceFacts(None, 1000, 800), None, DEFAULT_MODEL)
"""Picture whose result is named as the example while there is no plan."""


class OptionsPanel(QWidget):
    """The options of a batch. Size, model and format of the results are chosen in the "Upscale" workspace.

    Signals:
        changed: an option has changed.
        problem_changed: `problem` has changed.
        folder_requested: the user wants to choose the results folder.
        settings_requested: the user wants to change size, model or format.
    """

    changed = Signal()
    problem_changed = Signal()
    folder_requested = Signal()
    settings_requested = Signal()

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
        self._change.clicked.connect(self.settings_requested)
        self._choose.clicked.connect(self.folder_requested)
        self._template.textEdited.connect(self._on_typed)
        self._existing.activated.connect(self._on_changed)
        self._recursive.clicked.connect(self._on_changed)
        self._show()

    @property
    def template(self) -> str:
        """Name template of the results."""
        return self._template.text() or DEFAULT_TEMPLATE

    @property
    def problem(self) -> str:
        """Why the template cannot be used, worded for the user, or ""."""
        return self._problem

    @property
    def existing(self) -> Existing:
        """What happens to existing results."""
        return Existing(self._existing.currentData())

    @property
    def recursive(self) -> bool:
        """Whether subfolders are included."""
        return self._recursive.isChecked()

    @property
    def settings(self) -> UpscaleSettings:
        """How pictures are upscaled."""
        return self._settings

    @property
    def options(self) -> BatchOptions | None:
        """All options; None if there is no folder yet or the template cannot be used."""
        if self._folder is None or self._problem:
            return None
        return BatchOptions(self._folder, self._settings, self.recursive, self.template, self.existing)

    def show_choices(self, template: str, existing: Existing, *, recursive: bool) -> None:
        """Show remembered options; emits no `changed`."""
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
        """Show how pictures are upscaled.

        Args:
            settings: the settings that the "Upscale" workspace uses.
            words: a short description of them.
        """
        self._settings = settings
        self._result.setText(words)
        self._show()

    def show_example(self, item: Item, planned: BatchOptions) -> None:
        """Use a picture of the batch for the example name.

        Args:
            item: the picture, as planned.
            planned: the options it was planned with; under others its name is derived as far as they determine it.
        """
        self._example, self._planned = item, planned
        self._show()

    def set_locked(self, locked: bool) -> None:
        """Lock the options while a batch runs, or unlock them; what was typed just before takes effect first."""
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
        # Compact, and in this order: in the smallest window a plan leaves room for all but the names.
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
