"""Exports a run's network to a file: asks for a name and reports the outcome."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from vdsr_app.gui.save_name import ask_for_name, with_ending
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.texts import bytes_text, file_name
from vdsr_app.workers.messages import SavedFile
from vdsr_app.workers.training import TrainingService

_WEIGHTS, _ONNX = ".safetensors", ".onnx"


class NetworkExports(QObject):
    """Asks for a file name and lets the service write the file.

    Signals:
        notified: message, and whether it is good news.
    """

    notified = Signal(str, bool)

    def __init__(self, service: TrainingService, store: SettingsStore, window: QWidget) -> None:
        super().__init__(window)
        self._service = service
        self._store = store
        self._window = window
        service.exported.connect(self._on_exported)

    def ask_for_weights(self, weights: Path, title: str) -> None:
        """Ask for a name and copy the weights there."""
        out = self._ask(title, _WEIGHTS, self.tr("Weights (*.safetensors)"))
        if out is not None:
            self._service.export_weights(weights, out)

    def ask_for_onnx(self, weights: Path, title: str) -> None:
        """Ask for a name and write the network as ONNX."""
        out = self._ask(title, _ONNX, self.tr("ONNX (*.onnx)"))
        if out is not None:
            self._service.export_onnx(weights, out)

    def _ask(self, title: str, suffix: str, kind: str) -> Path | None:
        name = (title or "vdsr").replace("/", "-") + suffix
        start = Path(self._store.current.save_folder or Path.home()) / name
        title = self.tr("Export the network")
        out = ask_for_name(self._window, title, start, kind, lambda chosen: with_ending(chosen, suffix))
        if out is not None:
            self.notified.emit(self.tr("Exporting {name}…").format(name=file_name(out)), False)
        return out

    def _on_exported(self, result: object) -> None:
        if isinstance(result, SavedFile):
            size = bytes_text(result.size_bytes)
            words = self.tr("Exported {name} ({size})").format(name=file_name(result.path), size=size)
        else:
            words = self.tr(
                "Exported {name} ({size}), checked with {program}: its result differs by {difference} of 1 at most."
            ).format(
                name=file_name(result.path),  # type: ignore[attr-defined]
                size=bytes_text(result.size_bytes),  # type: ignore[attr-defined]
                program=result.checked_with,  # type: ignore[attr-defined]
                difference=f"{result.max_difference:.1g}",  # type: ignore[attr-defined]
            )
        self.notified.emit(words, True)
