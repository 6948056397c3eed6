"""Synthetic runs and input events for tests of plots."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QComboBox, QWidget

from vdsr_trainer.events import Started, Stepped, Validated
from vdsr_trainer.history import RunHistory

BICUBIC = {"2": 30.0, "3": 27.0, "4": 25.0}
CONTROLS = (QAbstractButton, QAbstractSlider, QComboBox)


def stepped(step: int, loss: float | None = None, clipped: float = 0.0, rate: float = 1e-3, **other: float) -> Stepped:
    value = 0.01 / (1 + step / 100) if loss is None else loss
    values = {
        "samples_per_second": 310.0,
        "data_wait_share": 0.03,
        "seconds_left": 600.0,
        "memory_bytes": 1_300_000_000,
    }
    return Stepped(step, value, rate, 0.1 + 1 / (step + 10), clipped, **(values | other))  # type: ignore[arg-type]


def validated(step: int, gain: float | None = None, scales: tuple[str, ...] = ("2", "3", "4")) -> Validated:
    more = 3 * (1 - math.exp(-step / 1000)) if gain is None else gain
    return Validated(
        step, {s: BICUBIC[s] + more for s in scales}, {s: BICUBIC[s] for s in scales}, f"crops/{step:08d}.png"
    )


def make_history(
    upto: int = 1000,
    steps: int = 5000,
    every: int = 10,
    validate: int = 250,
    clipped: float = 0.0,
    scales: tuple[str, ...] = ("2", "3", "4"),
) -> RunHistory:
    history = RunHistory()
    history.add(Started(0, steps, 1000, 10, ("a.png",), "CPU"))
    for step in range(every, upto + 1, every):
        history.add(stepped(step, clipped=clipped))
        if step % validate == 0:
            history.add(validated(step, scales=scales))
    return history


def write_crops(folder: Path, history: RunHistory, side: int = 16) -> None:
    """Write crops of a single gray each: bicubic 10, original 20, those of the network from 100 up."""
    (folder / "crops").mkdir(parents=True, exist_ok=True)
    values = {"crops/bicubic.png": 10, "crops/original.png": 20}
    values |= {file: 100 + index for index, (_, file) in enumerate(history.crops)}
    for file, value in values.items():
        Image.fromarray(np.full((side, side), value, np.uint8)).save(folder / file)


def nameless(widget: QWidget) -> list[str]:
    """Visible controls without a name for screen readers."""
    return [
        f"{type(w).__name__} {w.objectName()}"
        for w in widget.findChildren(QWidget)
        if isinstance(w, CONTROLS)
        and w.isVisible()
        and not w.objectName().startswith("qt_")
        and not (w.accessibleName() or (isinstance(w, QAbstractButton) and w.text()))
    ]


def move_mouse(widget: QWidget, x: float, y: float, *, pressed: bool = False) -> None:
    button = Qt.MouseButton.LeftButton if pressed else Qt.MouseButton.NoButton
    point = QPointF(x, y)
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        point,
        QPointF(widget.mapToGlobal(point)),
        Qt.MouseButton.NoButton,
        button,
        Qt.KeyboardModifier.NoModifier,
    )
    _send(widget, event)


def turn_wheel(widget: QWidget, x: float, y: float, delta: int = 120) -> None:
    from PySide6.QtCore import QPoint

    point = QPointF(x, y)
    event = QWheelEvent(
        point,
        QPointF(widget.mapToGlobal(point)),
        QPoint(0, 0),
        QPoint(0, delta),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    _send(widget, event)


def _send(widget: QWidget, event: QEvent) -> None:
    from PySide6.QtCore import QCoreApplication

    QCoreApplication.sendEvent(widget, event)
