"""What mouse, wheel and pinch gestures do in the comparison view."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QGuiApplication, QMouseEvent, QNativeGestureEvent, QWheelEvent

if TYPE_CHECKING:
    from vdsr_app.gui.compare.view import CompareView

_Button = Qt.MouseButton
_Shape = Qt.CursorShape

_NOTCH = 120
"""One notch of a wheel in eighths of a degree (Qt's unit)."""
_PIXELS_PER_DOUBLING = 240
"""Logical pixels of trackpad scrolling that double the zoom."""


class _Drag(Enum):
    PAN = auto()
    SPLIT = auto()
    OUT = auto()
    """The result is dragged out of the window once the mouse has moved far enough."""


class ViewMouse:
    """Turns mouse events into calls of the view."""

    def __init__(self, view: CompareView) -> None:
        self._view = view
        self._drag: _Drag | None = None
        self._button = _Button.NoButton
        self._start = self._last = QPointF()
        self._camera = self._panned = view.camera
        self._grab_offset = 0.0

    def press(self, event: QMouseEvent) -> bool:
        """Begin a drag; False if the button has no meaning here."""
        if self._drag is not None:
            return True
        drag = self._drag_for(event)
        if drag is None:
            return False
        self._drag, self._button = drag, event.button()
        self._start = self._last = event.position()
        self._camera = self._panned = self._view.camera
        if drag is _Drag.SPLIT:
            self._grab_offset = (self._view.handle_x() or 0.0) - event.position().x()
            self._view.set_grip_shown(False)
        self.show_cursor(event.position())
        return True

    def move(self, position: QPointF) -> None:
        """Continue a drag, or update the cursor where there is none."""
        match self._drag:
            case _Drag.SPLIT:
                self._view.set_split_at(position.x() + self._grab_offset)
            case _Drag.PAN:
                self._pan(position)
            case _Drag.OUT:
                far = QGuiApplication.styleHints().startDragDistance()
                if (position - self._start).manhattanLength() >= far:
                    self.cancel()
                    self._view.drag_out_requested.emit()
            case None:
                self.show_cursor(position)

    def release(self, event: QMouseEvent) -> bool:
        """End a drag; False if the button did not begin one."""
        if self._drag is None or event.button() != self._button:
            return False
        self.cancel()
        self.show_cursor(event.position())
        return True

    def cancel(self) -> None:
        """Abandon a drag, wherever the mouse is."""
        if self._drag is _Drag.SPLIT:
            self._view.set_grip_shown(True)
        self._drag = None

    def double_click(self, event: QMouseEvent) -> bool:
        """On the handle, centre the split; elsewhere on the canvas, toggle between fit and 100 %."""
        if event.button() != _Button.LeftButton or not self._view.is_on_canvas(event.position()):
            return False
        if self._view.is_on_handle(event.position()):
            self._view.set_split(0.5)
        else:
            self._view.toggle_fit(event.position())
        return True

    def wheel(self, event: QWheelEvent) -> None:
        """Zoom at the cursor: by stops for a notched wheel, smoothly for a trackpad."""
        angle = event.angleDelta().y() or event.angleDelta().x()
        if not event.pixelDelta().isNull():
            pixels = event.pixelDelta().y() or event.pixelDelta().x()
            self._view.zoom_by(2 ** (pixels / _PIXELS_PER_DOUBLING), event.position())
        elif angle % _NOTCH == 0:
            self._view.step_zoom(angle // _NOTCH, event.position())
        else:
            self._view.zoom_by(2 ** (angle / (2 * _NOTCH)), event.position())

    def gesture(self, event: QNativeGestureEvent) -> bool:
        """Zoom by a pinch; a two-finger double tap toggles between fit and 100 %."""
        match event.gestureType():
            case Qt.NativeGestureType.ZoomNativeGesture:
                self._view.zoom_by(max(0.1, 1 + event.value()), event.position())
            case Qt.NativeGestureType.SmartZoomNativeGesture:
                self._view.toggle_fit(event.position())
            case _:
                return False
        return True

    def show_cursor(self, position: QPointF) -> None:
        """Set the cursor shape for what a press would do or the current drag does."""
        view = self._view
        if self._drag is _Drag.SPLIT or (self._drag is None and view.is_on_handle(position)):
            shape = _Shape.SplitHCursor
        elif self._drag is _Drag.PAN and view.can_pan:
            shape = _Shape.ClosedHandCursor
        elif view.is_on_result_caption(position):
            shape = _Shape.OpenHandCursor
        else:
            shape = _Shape.ArrowCursor
        if view.cursor().shape() != shape:
            view.setCursor(shape)

    def _pan(self, position: QPointF) -> None:
        view = self._view
        if view.camera != self._panned:
            # Zoomed since the last move, or carried over to layers of another size: the drag continues from there.
            self._start, self._camera = self._last, view.camera
        view.pan_from(self._camera, position - self._start)
        self._last, self._panned = position, view.camera

    def _drag_for(self, event: QMouseEvent) -> _Drag | None:
        view, position = self._view, event.position()
        if event.button() == _Button.MiddleButton:
            return _Drag.PAN
        if event.button() != _Button.LeftButton:
            return None
        if view.is_on_result_caption(position):
            return _Drag.OUT
        if not view.is_on_canvas(position):
            return None
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            return _Drag.OUT if view.has_result else None
        return _Drag.SPLIT if view.is_on_handle(position) else _Drag.PAN
