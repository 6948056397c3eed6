"""The models to choose from, with their titles; kept up to date when one is added."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from vdsr_app.core.compression import Compression
from vdsr_app.core.model_choice import AUTO_MODEL, ModelChoice, choose_model, photo_installed
from vdsr_app.core.models import DEFAULT_MODEL, ModelInfo, installed_models
from vdsr_app.gui.texts import file_name, printable
from vdsr_app.workers.messages import LayerKind, LayerSpec

logger = logging.getLogger(__name__)


class ModelList(QObject):
    """Installed models, and display names for all layers.

    Signals:
        changed: `models` has been read again.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._models: tuple[ModelInfo, ...] = installed_models()

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """Installed models, bundled ones first."""
        return self._models

    def usable(self, name: str) -> str:
        """Return `name` if that model is installed or it is "auto", else a replacement."""
        if name == AUTO_MODEL:
            return name
        names = [model.name for model in self._models]
        if name in names or not names:
            return name if names else DEFAULT_MODEL
        logger.info("The model %s is not installed any more", name)
        return DEFAULT_MODEL if DEFAULT_MODEL in names else names[0]

    def choose(self, requested: str, compression: Compression | None) -> ModelChoice:
        """Choose the model for a picture; see `choose_model`."""
        return choose_model(requested, compression, has_photo=self.has_photo)

    @property
    def has_photo(self) -> bool:
        """Whether "auto" has a second model to choose from."""
        return photo_installed(self._models)

    def refresh(self) -> None:
        """Read again which models are installed."""
        self._models = installed_models()
        self.changed.emit()

    def title(self, name: str) -> str:
        """Display name of a model."""
        titles = {model.name: model.title for model in self._models}
        title = titles.get(name, name)
        if list(titles.values()).count(title) > 1:
            title = f"{title} ({name})"
        return printable(title)

    def label(self, spec: LayerSpec) -> str:
        """Display name of a layer."""
        match spec.kind:
            case LayerKind.MODEL:
                return self.title(spec.model)
            case LayerKind.REFERENCE:
                return self.tr("Reference {name}").format(name=file_name(spec.reference or Path()))
            case LayerKind.ORIGINAL:
                return self.tr("Original")
            case LayerKind.BILINEAR:
                return self.tr("Bilinear")
            case LayerKind.BICUBIC:
                return self.tr("Bicubic")
            case LayerKind.LANCZOS:
                return self.tr("Lanczos")
