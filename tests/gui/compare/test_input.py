"""Input of the comparison view: keys, mouse, wheel, and pinch."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QAction,
    QColor,
    QInputDevice,
    QKeyEvent,
    QKeySequence,
    QNativeGestureEvent,
    QPointingDevice,
    QPointingDeviceUniqueId,
    QWheelEvent,
)
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMainWindow
from pytestqt.qtbot import QtBot

from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.gui.compare.plan import Side
from vdsr_app.gui.compare.view import CompareMode, CompareView, Layer

Key = Qt.Key
Modifier = Qt.KeyboardModifier

# The offscreen platform logs this for every window with a minimum size.
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")

LEFT, MIDDLE, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton


class Window(QMainWindow):
    """Records the keys that no other widget handled."""

    def __init__(self) -> None:
        super().__init__()
        self.left_over: list[int] = []

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self.left_over.append(event.key())


@pytest.fixture
def window(qtbot: QtBot) -> Window:
    window = Window()
    qtbot.addWidget(window)
    view = CompareView()
    window.setCentralWidget(view)
    window.resize(404, 332)  # the canvas is 400 x 300
    layers = [
        Layer(label, MipPyramid.from_rgba(np.full((600, 800, 4), 255, dtype=np.uint8))) for label in ("Bicubic", "VDSR")
    ]
    view.set_layers(*layers)
    window.show()
    with qtbot.waitActive(window):
        window.activateWindow()
    view.setFocus()
    return window


@pytest.fixture
def view(window: Window) -> CompareView:
    view = window.centralWidget()
    assert isinstance(view, CompareView)
    return view


def press(view: CompareView, key: Qt.Key, modifier: Qt.KeyboardModifier = Modifier.NoModifier) -> None:
    QTest.keyClick(view, key, modifier)


# Keys.


@pytest.mark.parametrize(("key", "percent"), [(Key.Key_1, 100), (Key.Key_2, 200), (Key.Key_4, 400), (Key.Key_8, 800)])
def test_digit_keys_set_zoom(view: CompareView, key: Qt.Key, percent: float) -> None:
    press(view, key)
    assert view.zoom_percent == percent
    press(view, Key.Key_0)
    assert view.fits
    press(view, key, Modifier.KeypadModifier)
    assert view.zoom_percent == percent


@pytest.mark.parametrize(
    ("key", "mode"),
    [(Key.Key_S, CompareMode.SIDE), (Key.Key_D, CompareMode.SINGLE), (Key.Key_W, CompareMode.WIPE)],
)
def test_letter_keys_select_mode(view: CompareView, key: Qt.Key, mode: CompareMode) -> None:
    view.set_mode(CompareMode.WIPE if mode is CompareMode.SINGLE else CompareMode.SINGLE)
    press(view, key)
    assert view.mode is mode


def test_i_key_toggles_smoothing(view: CompareView) -> None:
    press(view, Key.Key_I)
    assert view.smooth
    press(view, Key.Key_I)
    assert not view.smooth


def test_plus_and_minus_keys_step_zoom(view: CompareView) -> None:
    view.set_zoom(100)
    press(view, Key.Key_Plus, Modifier.ShiftModifier)
    assert view.zoom_percent == 150
    press(view, Key.Key_Equal)
    assert view.zoom_percent == 200
    press(view, Key.Key_Minus)
    press(view, Key.Key_Minus)
    assert view.zoom_percent == 100


def test_space_key_shows_left_layer_while_pressed(view: CompareView) -> None:
    QTest.keyPress(view, Key.Key_Space)
    assert view.left_held
    repeat = QKeyEvent(QEvent.Type.KeyRelease, Key.Key_Space, Modifier.NoModifier, " ", True)
    QApplication.sendEvent(view, repeat)
    assert view.left_held
    QTest.keyRelease(view, Key.Key_Space)
    assert not view.left_held


def test_left_layer_is_no_longer_held_when_focus_is_lost(view: CompareView) -> None:
    QTest.keyPress(view, Key.Key_Space)
    view.clearFocus()
    assert not view.left_held


@pytest.mark.parametrize(
    ("key", "modifier", "split"),
    [
        (Key.Key_Left, Modifier.NoModifier, 0.49),
        (Key.Key_Right, Modifier.NoModifier, 0.51),
        (Key.Key_Left, Modifier.ShiftModifier, 0.4),
        (Key.Key_Right, Modifier.ShiftModifier, 0.6),
        (Key.Key_Home, Modifier.NoModifier, 0.0),
        (Key.Key_End, Modifier.NoModifier, 1.0),
    ],
)
def test_arrow_home_and_end_keys_move_wipe(
    view: CompareView, key: Qt.Key, modifier: Qt.KeyboardModifier, split: float
) -> None:
    press(view, key, modifier)
    assert view.split == pytest.approx(split)


@pytest.mark.parametrize(
    ("mode", "modifier"),
    [
        (CompareMode.SIDE, Modifier.NoModifier),
        (CompareMode.SINGLE, Modifier.NoModifier),
        (CompareMode.WIPE, Modifier.ControlModifier),
    ],
)
def test_arrow_keys_pan_when_they_do_not_move_wipe(
    view: CompareView, mode: CompareMode, modifier: Qt.KeyboardModifier
) -> None:
    view.set_mode(mode)
    view.set_zoom(400)
    start = view.visible_region()
    press(view, Key.Key_Right, modifier)
    press(view, Key.Key_Down, modifier)
    there = view.visible_region()
    assert start is not None
    assert there is not None
    assert there[0] > start[0]
    assert there[1] > start[1]
    press(view, Key.Key_Left, modifier)
    press(view, Key.Key_Up, modifier)
    assert view.visible_region() == start
    assert view.split == 0.5


def test_unused_keys_are_passed_on_to_window(window: Window, view: CompareView) -> None:
    view.zoom_to_fit()
    for key in (Key.Key_Q, Key.Key_3, Key.Key_Up, Key.Key_Escape):
        press(view, key)
    press(view, Key.Key_W, Modifier.ControlModifier)
    view.set_mode(CompareMode.SINGLE)
    press(view, Key.Key_Home)
    keys = [key for key in window.left_over if key != Key.Key_Control]
    assert keys == [Key.Key_Q, Key.Key_3, Key.Key_Up, Key.Key_Escape, Key.Key_W, Key.Key_Home]


def test_key_acts_once_when_enabled_or_disabled_action_shares_it(window: Window, view: CompareView) -> None:
    action = QAction(window)
    action.setShortcut(QKeySequence("I"))
    action.triggered.connect(view.toggle_smooth)
    window.addAction(action)
    reported: list[bool] = []
    view.smooth_changed.connect(reported.append)
    press(view, Key.Key_I)
    assert reported == [True]
    action.setEnabled(False)
    press(view, Key.Key_I)
    assert reported == [True, False]


def test_view_overrides_shortcuts_for_keys_that_it_uses(window: Window, view: CompareView) -> None:
    stolen: list[str] = []
    for key in ("Space", "Left", "Home"):
        action = QAction(window)
        action.setShortcut(QKeySequence(key))
        action.triggered.connect(lambda _checked=False, key=key: stolen.append(key))
        window.addAction(action)
    QTest.keyPress(view, Key.Key_Space)
    assert view.left_held
    QTest.keyRelease(view, Key.Key_Space)
    press(view, Key.Key_Left)
    assert view.split == pytest.approx(0.49)
    press(view, Key.Key_Home)
    assert view.split == 0
    assert stolen == []
    view.set_mode(CompareMode.SINGLE)
    press(view, Key.Key_Home)  # has no function in this mode
    assert stolen == ["Home"]


# Mouse.


def drag(view: CompareView, start: QPoint, way: QPoint, button: Qt.MouseButton = LEFT, **keys: object) -> None:
    modifier = keys.get("modifier", Modifier.NoModifier)
    assert isinstance(modifier, Modifier)
    QTest.mousePress(view, button, modifier, start)
    for part in (0.3, 0.6, 1.0):
        QTest.mouseMove(view, start + QPoint(round(way.x() * part), round(way.y() * part)))
    QTest.mouseRelease(view, button, modifier, start + way)


@pytest.mark.parametrize("button", [LEFT, MIDDLE])
def test_drag_moves_picture_with_mouse(view: CompareView, button: Qt.MouseButton) -> None:
    view.set_zoom(100)
    assert view.visible_region() == (200, 150, 400, 300)
    drag(view, QPoint(100, 100), QPoint(37, -21), button)
    assert view.visible_region() == (163, 171, 400, 300)
    assert view.cursor().shape() != Qt.CursorShape.ClosedHandCursor


def test_drag_beyond_edge_and_back_keeps_point_under_mouse(view: CompareView) -> None:
    view.set_zoom(100)
    QTest.mousePress(view, LEFT, Modifier.NoModifier, QPoint(100, 100))
    for x in (300, 900, 1500, 110):  # far beyond the edge of the picture, and back
        QTest.mouseMove(view, QPoint(x, 100))
    assert view.cursor().shape() == Qt.CursorShape.ClosedHandCursor
    QTest.mouseRelease(view, LEFT, Modifier.NoModifier, QPoint(110, 100))
    assert view.visible_region() == (190, 150, 400, 300)


def test_right_button_does_not_drag(qtbot: QtBot, view: CompareView) -> None:
    view.set_zoom(100)
    drag(view, QPoint(100, 100), QPoint(37, -21), RIGHT)
    assert view.visible_region() == (200, 150, 400, 300)


@pytest.mark.parametrize("grab", [-9, 0, 9])
def test_handle_can_be_grabbed_off_centre_without_jumping(view: CompareView, grab: int) -> None:
    view.set_zoom(100)
    QTest.mouseMove(view, QPoint(202 + grab, 60))
    assert view.cursor().shape() == Qt.CursorShape.SplitHCursor
    drag(view, QPoint(202 + grab, 60), QPoint(40, 11))
    assert view.split == pytest.approx(0.6)
    assert view.visible_region() == (200, 150, 400, 300)
    QTest.mouseMove(view, QPoint(100, 60))
    assert view.cursor().shape() == Qt.CursorShape.ArrowCursor


def test_grip_does_not_cover_picture_while_dragged(view: CompareView) -> None:
    shown = view.grab().toImage()
    QTest.mousePress(view, LEFT, Modifier.NoModifier, QPoint(202, 180))
    dragged = view.grab().toImage()
    QTest.mouseRelease(view, LEFT, Modifier.NoModifier, QPoint(202, 180))
    assert dragged.pixelColor(192, 180) == QColor(255, 255, 255)  # the picture
    assert shown.pixelColor(190, 180) != QColor(255, 255, 255)  # the edge of the grip
    assert view.grab().toImage() == shown


def test_handle_stays_within_picture(view: CompareView) -> None:
    view.set_zoom(25)  # 200 pixels wide, in the middle of 400
    assert view.handle_x() == 202
    drag(view, QPoint(202, 150), QPoint(400, 0))
    assert view.split == 1
    assert view.handle_x() == 302


def test_double_click_toggles_fit_and_100_percent_at_mouse(view: CompareView) -> None:
    QTest.mouseDClick(view, LEFT, Modifier.NoModifier, QPoint(102, 105))
    assert view.zoom_percent == 100
    region = view.visible_region()
    assert region is not None
    # The picture pixel under the mouse stays there: a quarter across the canvas was a quarter across the picture.
    assert region[:2] == (100, 75)
    QTest.mouseDClick(view, LEFT, Modifier.NoModifier, QPoint(102, 105))
    assert view.fits


def test_double_click_on_handle_centres_it(view: CompareView) -> None:
    view.set_split(0.25)
    QTest.mouseDClick(view, LEFT, Modifier.NoModifier, QPoint(102, 60))
    assert view.split == 0.5
    assert view.fits


@pytest.mark.parametrize("by", ["caption", "control"])
def test_drag_of_caption_or_with_control_requests_drag_out_once(qtbot: QtBot, view: CompareView, by: str) -> None:
    box = view.caption_box(Side.RIGHT)
    assert box is not None
    start = box.center().toPoint() if by == "caption" else QPoint(100, 100)
    modifier = Modifier.NoModifier if by == "caption" else Modifier.ControlModifier
    asked: list[bool] = []
    view.drag_out_requested.connect(lambda: asked.append(True))
    before = view.visible_region()
    drag(view, start, QPoint(2, 0), modifier=modifier)
    assert asked == []
    drag(view, start, QPoint(60, 30), modifier=modifier)
    assert asked == [True]
    assert view.visible_region() == before


def test_drag_out_is_not_requested_without_result(view: CompareView) -> None:
    view.set_right(None)
    asked: list[bool] = []
    view.drag_out_requested.connect(lambda: asked.append(True))
    drag(view, QPoint(100, 100), QPoint(60, 30), modifier=Modifier.ControlModifier)
    assert asked == []


@pytest.mark.parametrize("what", ["keys", "layers"])
def test_drag_continues_from_zoom_changed_meanwhile(view: CompareView, what: str) -> None:
    view.set_mode(CompareMode.SINGLE)
    view.set_zoom(100)
    QTest.mousePress(view, LEFT, Modifier.NoModifier, QPoint(202, 180))
    QTest.mouseMove(view, QPoint(212, 180))
    if what == "keys":
        press(view, Key.Key_2)
    else:  # bicubic is there in place of the picture itself
        view.set_right(Layer("VDSR", MipPyramid.from_rgba(np.full((1200, 1600, 4), 255, dtype=np.uint8))))
    zoom, before = view.zoom_percent, view.visible_region()
    QTest.mouseMove(view, QPoint(212, 180))
    assert view.visible_region() == before
    QTest.mouseMove(view, QPoint(232, 180))
    QTest.mouseRelease(view, LEFT, Modifier.NoModifier, QPoint(232, 180))
    assert view.zoom_percent == zoom
    after = view.visible_region()
    assert before is not None
    assert after is not None
    assert after[0] == before[0] - 20 * 100 / zoom


def test_fit_during_drag_is_kept(view: CompareView) -> None:
    view.set_zoom(100)
    QTest.mousePress(view, LEFT, Modifier.NoModifier, QPoint(100, 100))
    press(view, Key.Key_0)
    QTest.mouseMove(view, QPoint(120, 120))
    QTest.mouseRelease(view, LEFT, Modifier.NoModifier, QPoint(120, 120))
    assert view.fits


def test_mode_change_ends_drag(view: CompareView) -> None:
    QTest.mousePress(view, LEFT, Modifier.NoModifier, QPoint(202, 100))
    view.set_mode(CompareMode.SIDE)
    QTest.mouseMove(view, QPoint(300, 100))
    QTest.mouseRelease(view, LEFT, Modifier.NoModifier, QPoint(300, 100))
    assert view.split == 0.5


# Wheel and pinch.


def turn(view: CompareView, position: QPoint, angle: int = 0, pixels: int = 0) -> None:
    at = QPointF(position)
    event = QWheelEvent(
        at,
        view.mapToGlobal(at),
        QPoint(0, pixels),
        QPoint(0, angle),
        Qt.MouseButton.NoButton,
        Modifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view, event)
    assert event.isAccepted()


def test_wheel_zooms_at_mouse(view: CompareView) -> None:
    view.set_zoom(100)
    turn(view, QPoint(2, 30), 240)
    assert view.zoom_percent == 200
    assert view.visible_region() == (200, 150, 200, 150)
    turn(view, QPoint(402, 330), -240)
    assert view.zoom_percent == 100
    assert view.visible_region() == (0, 0, 400, 300)


def test_wheel_stops_at_fit_and_continues_to_zoom_limits(view: CompareView) -> None:
    view.set_layers(None, Layer("Odd", MipPyramid.from_rgba(np.zeros((600, 1100, 4), dtype=np.uint8))))
    view.set_zoom(50)
    turn(view, QPoint(200, 200), -120)
    assert view.fits
    turn(view, QPoint(200, 200), -120)
    assert not view.fits
    assert view.zoom_percent == pytest.approx(100 / 3)
    for _ in range(30):
        turn(view, QPoint(200, 200), -120)
    assert view.zoom_percent == 5
    for _ in range(30):
        turn(view, QPoint(200, 200), 120)
    assert view.zoom_percent == 3200


def test_trackpad_zooms_smoothly(view: CompareView) -> None:
    view.set_zoom(100)
    turn(view, QPoint(200, 200), 30, 24)
    assert 105 < view.zoom_percent < 110
    view.set_zoom(100)
    turn(view, QPoint(200, 200), 24)
    assert 105 < view.zoom_percent < 110
    turn(view, QPoint(200, 200), -24)
    assert view.zoom_percent == pytest.approx(100)


def test_wheel_during_drag_keeps_point_under_mouse(view: CompareView) -> None:
    view.set_zoom(100)
    QTest.mousePress(view, LEFT, Modifier.NoModifier, QPoint(100, 100))
    turn(view, QPoint(100, 100), 120)
    before = view.visible_region()
    QTest.mouseMove(view, QPoint(100, 100))
    assert view.visible_region() == before
    QTest.mouseRelease(view, LEFT, Modifier.NoModifier, QPoint(100, 100))


def pinch(view: CompareView, kind: Qt.NativeGestureType, value: float) -> None:
    at = QPointF(102, 105)
    pad = QPointingDevice(
        "pad",
        77,
        QInputDevice.DeviceType.TouchPad,
        QPointingDevice.PointerType.Finger,
        QInputDevice.Capability.Position,
        2,
        0,
        "",
        QPointingDeviceUniqueId(),
    )
    event = QNativeGestureEvent(kind, pad, 2, at, at, view.mapToGlobal(at), value, QPointF())
    QApplication.sendEvent(view, event)


def test_pinch_zooms_at_fingers_and_smart_zoom_fits(view: CompareView) -> None:
    view.set_zoom(100)
    region = view.visible_region()
    assert region is not None
    pinch(view, Qt.NativeGestureType.ZoomNativeGesture, 0.25)
    assert view.zoom_percent == pytest.approx(125)
    after = view.visible_region()
    assert after is not None
    assert after[0] == pytest.approx(region[0] + 100 - 80, abs=1)
    pinch(view, Qt.NativeGestureType.SmartZoomNativeGesture, 1)
    assert view.fits


def test_keys_zoom_at_mouse_while_it_is_over_view(view: CompareView) -> None:
    view.set_zoom(100)
    QTest.mouseMove(view, QPoint(2, 30))
    press(view, Key.Key_2)
    assert view.visible_region() == (200, 150, 200, 150)


def test_other_pane_marks_point_under_mouse(view: CompareView) -> None:
    view.set_mode(CompareMode.SIDE)
    QTest.mouseMove(view, QPoint(100, 180))
    twin = view._twin
    assert twin is not None
    assert (twin.x(), twin.y()) == (100 + 203, 180)
    QTest.mouseMove(view, QPoint(303, 180))
    assert view._twin == QPointF(100, 180)
    view.set_mode(CompareMode.WIPE)
    assert view._twin is None
