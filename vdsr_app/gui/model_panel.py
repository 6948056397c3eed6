"""Which model makes the result."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QWidget

from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.sections import Section, text_label
from vdsr_app.gui.texts import file_name


class ModelPanel(Section):
    """A choice among the installed models, and where the chosen one comes from.

    Signals:
        model_chosen: the name of the model that the person chose.
    """

    model_chosen = Signal(str)

    def __init__(self, models: ModelList) -> None:
        super().__init__()
        self.set_head(self.tr("Model"))
        self._models = models
        self._choice = QComboBox()
        self._choice.setAccessibleName(self.tr("Model"))
        self._choice.setToolTip(self.tr("The network that makes the result; drop a .safetensors file to add one"))
        self._origin = text_label(role="caption", wrap=True)
        self.body.addWidget(self._choice)
        self.body.addWidget(self._origin)
        self._choice.activated.connect(self._on_activated)
        models.changed.connect(self._fill)
        self._fill()

    def first_control(self) -> QWidget:
        """Where the keyboard enters."""
        return self._choice

    def show_model(self, name: str) -> None:
        """Show which model is in use; emits nothing."""
        self._choice.setCurrentIndex(self._choice.findData(name))
        self._show_origin()

    def _fill(self) -> None:
        chosen = self._choice.currentData()
        self._choice.clear()
        for model in self._models.models:
            self._choice.addItem(self._models.title(model.name), model.name)
        self._choice.setCurrentIndex(self._choice.findData(chosen))
        self._choice.setEnabled(bool(self._models.models))
        self._show_origin()

    def _show_origin(self) -> None:
        model = next((m for m in self._models.models if m.name == self._choice.currentData()), None)
        if model is None:
            self._origin.setText(self.tr("None is installed. Drop a .safetensors file on the window."))
        elif model.bundled:
            self._origin.setText(self.tr("Comes with the program"))
        else:
            self._origin.setText(self.tr("Your own: {name}").format(name=file_name(model.path)))

    def _on_activated(self, index: int) -> None:
        self._show_origin()
        self.model_chosen.emit(self._choice.itemData(index))
