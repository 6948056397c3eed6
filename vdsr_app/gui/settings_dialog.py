"""Settings for which the inspector has no room: theme, canvas, device, precision, reset."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QPushButton, QVBoxLayout, QWidget

from vdsr_app.gui.sections import PANE_GAP, SECTION_GAP, add_row, rows_layout, text_label
from vdsr_app.gui.settings import AppSettings, CanvasColor, SettingsStore, Theme


class SettingsDialog(QDialog):
    """Applies changes at once; there is nothing to confirm.

    Signals:
        reset_requested: the user wants the defaults.
    """

    reset_requested = Signal()

    def __init__(self, store: SettingsStore, device: str, parent: QWidget) -> None:
        """Show the settings of `store`; `device` describes what the network runs on now, or is empty."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Settings"))
        self.setWindowFlag(Qt.WindowType.WindowContextHelpButtonHint, False)
        self.setMinimumWidth(420)
        self._store = store
        self._boxes: dict[str, QComboBox] = {}
        appearance, processing = rows_layout(), rows_layout()
        self._add(appearance, "theme", self.tr("Theme"), self._themes())
        self._add(appearance, "canvas", self.tr("Canvas"), self._canvases())
        self._add(processing, "device", self.tr("Device"), self._devices(device))
        self._add(processing, "precision", self.tr("Precision"), self._precisions())
        reset = QPushButton(self.tr("Reset to defaults"))
        reset.setToolTip(
            self.tr("Resets everything except recent files and folders; your models and pictures are not touched")
        )
        reset.setAutoDefault(False)
        reset.clicked.connect(self.reset_requested)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.addButton(reset, QDialogButtonBox.ButtonRole.ResetRole)
        buttons.rejected.connect(self.close)
        column = QVBoxLayout(self)
        column.setContentsMargins(PANE_GAP, PANE_GAP, PANE_GAP, PANE_GAP)
        column.setSpacing(SECTION_GAP)
        column.addWidget(text_label(self.tr("Appearance"), "head"))
        column.addLayout(appearance)
        column.addWidget(text_label(self.tr("Processing"), "head"))
        column.addLayout(processing)
        column.addStretch(1)
        column.addWidget(buttons)
        store.changed.connect(self._show)
        self._show(store.current)

    def _add(self, form: QFormLayout, name: str, label: str, choices: list[tuple[str, str]]) -> None:
        box = QComboBox()
        for words, value in choices:
            box.addItem(words, value)
        box.activated.connect(self._on_activated)
        self._boxes[name] = box
        add_row(form, label, box)

    def _themes(self) -> list[tuple[str, str]]:
        words = (self.tr("System"), self.tr("Light"), self.tr("Dark"))
        return list(zip(words, (Theme.SYSTEM, Theme.LIGHT, Theme.DARK), strict=True))

    def _canvases(self) -> list[tuple[str, str]]:
        return [
            (self.tr("Gray, like the theme"), CanvasColor.THEME),
            (self.tr("Black"), CanvasColor.BLACK),
            (self.tr("Mid-gray"), CanvasColor.GRAY),
            (self.tr("White"), CanvasColor.WHITE),
        ]

    def _devices(self, device: str) -> list[tuple[str, str]]:
        automatic = self.tr("Automatic ({device})").format(device=device) if device else self.tr("Automatic")
        choices = [(automatic, "auto"), (self.tr("Processor"), "cpu")]
        if has_nvidia_driver():
            choices.append((self.tr("NVIDIA graphics card"), "cuda"))
        if sys.platform == "darwin" and platform.machine() == "arm64":
            choices.append((self.tr("Apple graphics"), "mps"))
        return _with_stored(choices, self._store.current.device)

    def _precisions(self) -> list[tuple[str, str]]:
        choices = [
            (self.tr("Automatic: the fastest that looks the same"), "auto"),
            (self.tr("32 bit, exact"), "fp32"),
            (self.tr("16 bit (bf16)"), "bf16"),
        ]
        if has_nvidia_driver() or sys.platform == "darwin":
            choices.append((self.tr("16 bit (fp16), graphics card only"), "fp16"))
        return _with_stored(choices, self._store.current.precision)

    def _show(self, settings: AppSettings) -> None:
        for name, box in self._boxes.items():
            box.setCurrentIndex(box.findData(str(getattr(settings, name))))

    def _on_activated(self) -> None:
        for name, box in self._boxes.items():
            if self.sender() is box:
                kind = type(getattr(self._store.current, name))
                self._store.update(**{name: kind(box.currentData())})


def _with_stored(choices: list[tuple[str, str]], stored: str) -> list[tuple[str, str]]:
    """Offer a value chosen elsewhere, such as "cuda:1", too."""
    return choices if any(value == stored for _, value in choices) else [*choices, (stored, stored)]


def has_nvidia_driver() -> bool:
    """Whether a CUDA driver is installed; checked without loading torch."""
    if os.name == "nt":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll").exists()
    return Path("/proc/driver/nvidia/version").exists()
