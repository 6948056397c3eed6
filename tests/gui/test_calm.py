"""Mouse wheel over a pane: scrolls it, and changes only a control that has the focus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QDoubleSpinBox, QScrollArea, QSlider, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.fakes import FakeService, make_picture
from tests.gui.training.plot_helpers import turn_wheel
from vdsr_app.core.job import FileFormat, SaveOptions
from vdsr_app.gui.batch.options_panel import OptionsPanel
from vdsr_app.gui.main_window import MainWindow

CONTROLS = (QComboBox, QSlider, QAbstractSpinBox)


def value_of(control: QWidget) -> float:
    if isinstance(control, QComboBox):
        return control.currentIndex()
    assert isinstance(control, QSlider | QSpinBox | QDoubleSpinBox), control
    return control.value()


def controls_in(pane: QWidget) -> list[QWidget]:
    """Return everything that a wheel could change, except Qt's internal widgets."""
    return [w for w in pane.findChildren(QWidget) if isinstance(w, CONTROLS) and not w.objectName().startswith("qt_")]


def changed_by_the_wheel(pane: QWidget) -> list[str]:
    """Return names of the controls in `pane`, visible or not, that the wheel changes or gives the focus."""
    changed = []
    for control in controls_in(pane):
        control.blockSignals(True)
        control.setEnabled(True)
        if isinstance(control, QSlider | QSpinBox):
            control.setRange(0, 100)
            control.setValue(50)
        before = value_of(control)
        for delta in (-120, 120):
            turn_wheel(control, 5, 5, delta)
            if value_of(control) != before or control.focusPolicy() is Qt.FocusPolicy.WheelFocus:
                changed.append(control.accessibleName())
    return changed


def notch(control: QWidget, delta: int, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Turn the wheel by one notch over the middle of a control, as a system event, so that the focus may follow."""
    window = control.window()
    at = control.mapTo(window, control.rect().center())
    QTest.wheelEvent(window.windowHandle(), QPointF(at), QPoint(0, delta), QPoint(), keys)


@pytest.fixture
def window(make_window: Callable[..., MainWindow], service: FakeService) -> MainWindow:
    made = make_window()
    made.files.open(Path("/a.png"))
    service.open_with(make_picture(200, 100, path=Path("/a.png")))
    return made


@pytest.mark.parametrize("file_format", [FileFormat.PNG, FileFormat.JPEG])  # one shows a depth, the other a quality
def test_wheel_over_inspector_changes_no_control(window: MainWindow, file_format: FileFormat) -> None:
    window.resize(window.width(), 560)
    inspector = window.page.inspector
    inspector.export.show_options(SaveOptions(file_format, 50))
    shown = [control for control in controls_in(inspector) if control.isVisible()]
    assert len(shown) >= 7
    for control in shown:
        inspector.ensureWidgetVisible(control)
        before = value_of(control)
        for delta in (-120, 120):
            notch(control, delta)
            assert value_of(control) == before, control.accessibleName()
            assert not control.hasFocus()


def test_wheel_over_control_scrolls_inspector(window: MainWindow) -> None:
    window.resize(window.width(), 560)
    bar = window.page.inspector.verticalScrollBar()
    assert bar.maximum() > 0
    for control in controls_in(window.page.inspector.scale):
        bar.setValue(0)
        notch(control, -120)
        assert bar.value() > 0, control.accessibleName()


def test_wheel_changes_control_that_has_focus(window: MainWindow) -> None:
    for control in controls_in(window.page.inspector.scale):
        if isinstance(control, QComboBox):
            continue
        control.setFocus()
        before = value_of(control)
        notch(control, 120)
        assert value_of(control) > before, control.accessibleName()


def test_wheel_over_batch_options_changes_no_control(qtbot: QtBot) -> None:
    pane = QScrollArea()
    qtbot.addWidget(pane)
    pane.setWidget(OptionsPanel())
    assert controls_in(pane)
    assert changed_by_the_wheel(pane) == []
