"""Selects the model that makes the result."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QComboBox

from vdsr_app.core.formats import TITLES
from vdsr_app.core.model_choice import AUTO_MODEL, CLEAN_MODEL, PHOTO_MODEL, ChoiceReason, ModelChoice
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.parts import Choice, widen_list
from vdsr_app.gui.sections import Section, text_label
from vdsr_app.gui.texts import breakable, file_name


class ModelPanel(Section):
    """The choice of model, what was chosen and why, and the self-ensemble option.

    Signals:
        model_chosen: the name of the model that the user chose, or "auto".
        self_ensemble_chosen: whether the user wants the network to run on all flips and rotations.
    """

    model_chosen = Signal(str)
    self_ensemble_chosen = Signal(bool)

    def __init__(self, models: ModelList) -> None:
        super().__init__()
        self.set_head(self.tr("Model"))
        self._models = models
        self._made: ModelChoice | None = None
        self._choice = Choice(self.tr("Model"))
        # Otherwise the longest title would push all controls of the pane out of sight.
        self._choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._choice.setToolTip(self.tr("The network that makes the result; drop a .safetensors file to add one"))
        self._reason = text_label(role="caption", wrap=True)
        self._self_ensemble = QCheckBox(self.tr("Best quality, slower"))
        self._self_ensemble.setToolTip(
            self.tr(
                "The mean of what the network makes of the picture in all 8 positions, turned and mirrored: twice as"
                " slow with the bundled models, up to 8 times with others"
            )
        )
        self.body.addWidget(self._choice)
        self.body.addWidget(self._reason)
        self.body.addWidget(self._self_ensemble)
        self._choice.activated.connect(self._on_activated)
        self._self_ensemble.clicked.connect(self.self_ensemble_chosen)
        models.changed.connect(self._fill)
        self._fill()

    def show_choice(self, requested: str, made: ModelChoice | None) -> None:
        """Show the requested model and the resulting choice; emits nothing.

        Args:
            requested: "auto", or the name of a model.
            made: the choice for the open picture, or None if none is open.
        """
        self._made = made
        self._choice.setCurrentIndex(self._choice.findData(requested))
        self._show_reason()

    def show_self_ensemble(self, enabled: bool) -> None:
        """Show whether the network runs on all flips and rotations; emits nothing."""
        self._self_ensemble.setChecked(enabled)

    def _fill(self) -> None:
        chosen = self._choice.currentData()
        self._choice.clear()
        if self._models.models:
            self._choice.addItem(self.tr("Automatic"), AUTO_MODEL)
        for model in self._models.models:
            self._choice.addItem(self._models.title(model.name), model.name)
        self._choice.setCurrentIndex(self._choice.findData(chosen))
        widen_list(self._choice)
        self._choice.setEnabled(bool(self._models.models))
        self._show_reason()

    def _show_reason(self) -> None:
        chosen = self._choice.currentData()
        model = next((m for m in self._models.models if m.name == chosen), None)
        if chosen == AUTO_MODEL:
            text = self._automatic_text() if self._made is None else self._choice_text(self._made)
        elif model is None:
            text = self.tr("No model is installed. Drop a .safetensors file on the window.")
        elif model.bundled:
            text = self.tr("Comes with the program")
        else:
            text = self.tr("Your own: {name}").format(name=file_name(model.path))
        self._reason.setText(breakable(text))

    def _automatic_text(self) -> str:
        clean = self._models.title(CLEAN_MODEL)
        if not self._models.has_photo:
            return self.tr("{model} for every picture: it is the only model that comes with the program.").format(
                model=clean
            )
        return self.tr("{photo} for a JPEG, WebP or AVIF whose compression shows, {clean} for others.").format(
            photo=self._models.title(PHOTO_MODEL), clean=clean
        )

    def _choice_text(self, made: ModelChoice) -> str:
        compression = made.compression
        match made.reason:
            case ChoiceReason.COMPRESSED:
                text = self.tr("{model}: the picture is {format} of about quality {quality}.")
            case ChoiceReason.FINE:
                text = self.tr("{model}: the picture is {format} of high quality, about {quality}.")
            case ChoiceReason.NO_PHOTO_MODEL:
                text = self.tr(
                    "{model}: the picture is {format} of about quality {quality}, but the model for such pictures is "
                    "not installed."
                )
            case ChoiceReason.NO_SIGN | ChoiceReason.REQUESTED:
                text = self.tr("{model}: the picture is neither a JPEG nor a lossy WebP or AVIF.")
        return text.format(
            model=self._models.title(made.name),
            format="" if compression is None else TITLES[compression.format],
            quality="" if compression is None else compression.quality,
        )

    def _on_activated(self, index: int) -> None:
        self.model_chosen.emit(self._choice.itemData(index))
