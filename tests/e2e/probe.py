"""The real program, observed: writes what its window shows to a file, ten times a second.

Usage: probe.py STATE_FILE [PICTURE...]. Nothing is replaced; the test drives the program from outside, by X events, and
reads the outcome here.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, QTimer
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QLineEdit, QWidget

from tests.workers.window_gauge import Counts, Gauge
from vdsr_app.gui.main_window import MainWindow
from vdsr_app.gui.theme import tokens_in_use

STATE_FILE = Path(sys.argv[1])
EVERY_MS = 100
_first_paint_s: list[float] = []
_ticks = itertools.count()


def place(widget: QWidget) -> list[int]:
    """Where a widget is on the screen: x, y, width, height."""
    corner = widget.mapToGlobal(QPoint(0, 0))
    return [corner.x(), corner.y(), widget.width(), widget.height()]


def state_of(window: MainWindow, counts: Counts, gauge: Gauge) -> dict[str, Any]:
    """What the window shows, and where."""
    page, session = window.page, window.session
    view, panels = page.view, page.inspector
    left, right = session.left_half, session.right_half
    dialog = QApplication.activeModalWidget()
    visible = view.visible_region()
    return {
        "title": window.windowTitle(),
        "theme": tokens_in_use().name,
        "banner": page.banner.text,
        "status": window.status._activity.text(),
        "scores": window.status._scores.text(),
        "device": window.status._device.text(),
        "labels": [None if half is None else half.label for half in (left, right)],
        "size": None if right is None else [right.pyramid.width, right.pyramid.height],
        "halves_differ": left is not None and right is not None and left.pyramid is not right.pyramid,
        "mode": view.mode.value,
        "zoom": view.zoom_percent,
        "fits": view.fits,
        "split": view.split,
        "left_held": view.left_held,
        "visible": visible and list(visible),
        "scale": session.setup.target.value,
        "running": session.comparison.running,
        "saving": bool(session.exporter.saving) or session.exporter.pending is not None,
        "finished": session.result is not None,
        "sample": session.is_sample,
        "dialog": None if dialog is None else dialog.windowTitle(),
        "strip": page.strip.isVisible(),
        "training": training_state(window),
        "batch": batch_state(window),
        "worst_ms": gauge.worst["charged_ms"],
        "imported_by_window": counts.imported_by_window,
        "looked_through": counts.looked_through,
        "compiled": counts.compiled,
        "loaded": counts.loaded,
        "tick": next(_ticks),
        "first_paint_s": _first_paint_s[0] if _first_paint_s else None,
        "places": {
            "window": place(window),
            "view": place(view),
            "slider": place(panels.scale._slider.slider),
            "save": place(panels.export._save),
            "grip": place(panels.export._grip),
            "cancel": place(window.status._cancel),
        },
    }


def training_state(window: MainWindow) -> dict[str, Any]:
    """What the workspace "Train" shows, and where its controls are, by their accessible names."""
    commands = window.training
    if not commands.in_front:
        return {"line": window.status._training.text(), "controls": {}, "words": [], "step": ""}
    page = commands.page
    words = [label.text() for label in page.findChildren(QLabel) if label.isVisible() and label.text()]
    step = page.wizard.step.name if page.shown is page.wizard else ""
    return {"line": "", "controls": controls_of(page), "words": words, "step": step}


def batch_state(window: MainWindow) -> dict[str, Any]:
    """What the workspace "Batch" shows, and where its controls are."""
    if not window.batch.in_front:
        return {"line": window.status._batch.text(), "controls": {}, "phase": "", "pictures": {}}
    page = window.batch.page
    return {
        "line": "",
        "controls": controls_of(page),
        "phase": page.phase.value,
        "pictures": {item.source.name: item.state.value for item in page.table.items},
    }


def controls_of(page: QWidget) -> dict[str, list[int]]:
    """Where the usable controls are, by their accessible names, which screen readers read out."""
    controls = {}
    for kind in (QAbstractButton, QLineEdit):
        for control in page.findChildren(kind):
            if control.isVisible() and control.isEnabled() and not control.visibleRegion().isEmpty():
                controls[control.accessibleName() or getattr(control, "text", str)()] = place(control)
    return controls


def watch(window: MainWindow) -> None:
    """Write the state again and again; the file is complete at any moment."""
    counts, gauge = Counts(), Gauge()
    timer = QTimer(window)

    def write() -> None:
        temporary = STATE_FILE.with_suffix(".part")
        temporary.write_text(json.dumps(state_of(window, counts, gauge)))
        os.replace(temporary, STATE_FILE)

    timer.timeout.connect(write)
    timer.start(EVERY_MS)


def main() -> int:
    start = MainWindow.start

    def watched_start(window: MainWindow) -> None:
        _first_paint_s.append(time.time() - float(os.environ["PROBE_STARTED"]))
        watch(window)
        start(window)

    MainWindow.start = watched_start  # type: ignore[method-assign]
    from vdsr_app.__main__ import main as run

    return run(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
