"""The comparison view: two layers of one picture under a wipe, side by side, or one at a time."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRect, Qt
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from vdsr_app.gui.compare.chrome import GRIP_RADIUS
from vdsr_app.gui.compare.geometry import Camera, Rect
from vdsr_app.gui.compare.keys import ViewKeys
from vdsr_app.gui.compare.mouse import ViewMouse
from vdsr_app.gui.compare.scene import CompareMode, CursorReading, Layer
from vdsr_app.gui.compare.surface import CompareSurface

__all__ = ["CompareMode", "CompareView", "CursorReading", "Layer"]

_KEYBOARD_FOCUS = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)


class CompareView(CompareSurface):
    """Compares two layers at exact device pixels.

    Zoom is a percentage of *device* pixels per picture pixel: 100 % is one to one on any screen. Zoom, centre and split
    survive a change of layers; call `zoom_to_fit` when another picture is opened. The left layer is on the left in
    every language. Keys: see `compare.keys`; they may also be menu actions.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys = ViewKeys(self)
        self._mouse = ViewMouse(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    # What is compared.

    def set_layers(self, left: Layer | None, right: Layer | None) -> None:
        """Show other layers. The same part of the picture stays in view, even if its size in pixels changes.

        Layers of different sizes are laid over each other; coordinates are then those of the right one.
        """
        self._scene.set_layers(left, right)
        self._describe()
        self._show()

    def set_left(self, layer: Layer | None) -> None:
        """Show another layer on the left."""
        self.set_layers(layer, self._scene.right)

    def set_right(self, layer: Layer | None) -> None:
        """Show another layer on the right."""
        self.set_layers(self._scene.left, layer)

    def refresh(self, rect: Rect | None = None) -> None:
        """Repaint what picture pixels `rect` cover on the screen, or everything, after a pyramid was written to."""
        if rect is None:
            self.update()
        else:
            for box in self._scene.boxes_of(rect):
                self.update(self._layout.update_rect(box))
        self._read_cursor()

    @property
    def has_result(self) -> bool:
        """Whether there is a right layer to drag out."""
        return self._scene.right is not None

    # How it is shown.

    @property
    def mode(self) -> CompareMode:
        """How the layers share the canvas."""
        return self._scene.mode

    def set_mode(self, mode: CompareMode) -> None:
        """Choose wipe, side by side or single."""
        self._mouse.cancel()
        self._scene.mode = CompareMode(mode)
        self._show()

    @property
    def split(self) -> float:
        """Position of the wipe, 0 (all right layer) to 1 (all left layer) across the visible part of the picture."""
        return self._scene.split

    def set_split(self, split: float) -> None:
        """Move the wipe; values are clamped to 0 to 1."""
        before = self._scene.split_x
        self._scene.split = min(max(split, 0.0), 1.0)
        after = self._scene.split_x
        if before is not None and after is not None and before != after:
            # Only the strip between the old and the new handle changes, and the captions that follow it.
            left, right = (self._layout.to_logical_x(pick(before, after)) for pick in (min, max))
            reach = GRIP_RADIUS + 2
            self.update(QRect(int(left) - reach, 0, int(right - left) + 2 * reach + 2, self.height()))
            self.update(self._layout.bar.toRect())
        self._announce()

    def set_split_at(self, x: float) -> None:
        """Move the wipe's line to a logical column of the view."""
        self.set_split(self._scene.split_at(self._layout.on_canvas(QPointF(x, 0))[0]))

    def set_grip_shown(self, shown: bool) -> None:
        """Show the wipe's grip, or hide it to uncover the pixels below, as during a drag."""
        self._hides_grip = not shown
        self.update()

    @property
    def left_held(self) -> bool:
        """Whether the left layer is shown everywhere, as while Space is held."""
        return self._scene.holds_left

    def set_left_held(self, held: bool) -> None:
        """Show the left layer everywhere, or stop doing so; side by side is not affected."""
        if held != self._scene.holds_left:
            self._mouse.cancel()
            self._scene.holds_left = held
            self._show()

    @property
    def smooth(self) -> bool:
        """Whether pixels above 100 % are blended instead of shown as squares."""
        return self._scene.smooth

    def set_smooth(self, on: bool) -> None:
        """Choose between blended pixels and squares above 100 %."""
        if on != self._scene.smooth:
            self._scene.smooth = on
            self.update()
            self.smooth_changed.emit(on)

    def toggle_smooth(self) -> None:
        """Switch between blended pixels and squares."""
        self.set_smooth(not self.smooth)

    def set_canvas_color(self, color: QColor | None) -> None:
        """Set the colour around the picture; None is the mid-gray of the theme."""
        self._canvas_color = None if color is None else QColor(color)
        self.update()

    def set_drop_hint(self, text: str | None) -> None:
        """Highlight the canvas and say what a drop would do; None ends that."""
        self._drop_hint = text
        self.update()

    def set_empty_text(self, text: str) -> None:
        """Set the text shown without layers; "" says that no picture is open."""
        self._empty_text = text
        self._describe()
        self.update()

    # Zoom and pan.

    @property
    def zoom_percent(self) -> float:
        """Device pixels per hundred picture pixels."""
        return self._scene.scale * 100

    @property
    def fits(self) -> bool:
        """Whether the whole picture is shown, and stays so when the view is resized."""
        return self._scene.camera.fits

    @property
    def can_pan(self) -> bool:
        """Whether part of the picture is out of view."""
        placement = self._scene.placement
        return placement is not None and placement.can_pan

    @property
    def can_wipe(self) -> bool:
        """Whether there is a wipe with a handle to move."""
        return self._scene.can_wipe

    def visible_region(self) -> Rect | None:
        """Picture pixels that are at least partly visible, or None without layers."""
        placement = self._scene.placement
        return None if placement is None else placement.visible_region

    def zoom_to_fit(self) -> None:
        """Show the whole picture; one smaller than the view is enlarged by whole factors only."""
        self._scene.fit()
        self._show()

    def set_zoom(self, percent: float, anchor: QPointF | None = None) -> None:
        """Zoom to `percent`, keeping the point `anchor` of the view (a pane's middle if None) in place."""
        self._scene.zoom(percent / 100, self._anchor(anchor))
        self._show()

    def zoom_at_cursor(self, percent: float) -> None:
        """Zoom to `percent` at the mouse if it is over the view, else at the middle."""
        self.set_zoom(percent, self._hover)

    def zoom_by(self, factor: float, anchor: QPointF | None = None) -> None:
        """Multiply the zoom."""
        self.set_zoom(self.zoom_percent * factor, anchor)

    def step_zoom(self, steps: int, anchor: QPointF | None = None) -> None:
        """Zoom by wheel stops, positive zooms in; "fit" and 100 % are among the stops."""
        self._scene.step_zoom(steps, self._anchor(anchor))
        self._show()

    def zoom_in(self) -> None:
        """Zoom in to the next stop, at the mouse if it is over the view."""
        self.step_zoom(1, self._hover)

    def zoom_out(self) -> None:
        """Zoom out to the next stop, at the mouse if it is over the view."""
        self.step_zoom(-1, self._hover)

    def toggle_fit(self, anchor: QPointF | None = None) -> None:
        """Switch between "fit" and 100 % at `anchor`."""
        if self.fits:
            self.set_zoom(100, anchor)
        else:
            self.zoom_to_fit()

    @property
    def camera(self) -> Camera:
        """The requested view of the picture; a starting point for `pan_from`."""
        return self._scene.camera

    def pan_from(self, start: Camera, delta: QPointF) -> None:
        """Move the picture by logical pixels from where it was under an earlier camera.

        A drag passes its total offset on every move: rounding does not add up, and the point that was grabbed is under
        the mouse again after an excursion beyond the picture's edge.
        """
        self._scene.pan(delta.x() * self._layout.ratio, delta.y() * self._layout.ratio, start)
        self._show()

    def pan_by_share(self, across: float, down: float) -> None:
        """Move the picture by fractions of a pane's width and height."""
        width, height = self._scene.pane_size
        self._scene.pan(across * width, down * height)
        self._show()

    # Events.

    def event(self, event: QEvent) -> bool:
        """Claim some keys from menu actions, follow pinches, and explain the draggable label."""
        match event:
            case QKeyEvent() if event.type() == QEvent.Type.ShortcutOverride and self._keys.claims(event):
                event.accept()
                return True
            case QNativeGestureEvent() if self._mouse.gesture(event):
                return True
            case QHelpEvent() if event.type() == QEvent.Type.ToolTip and self.is_on_result_caption(
                QPointF(event.pos())
            ):
                QToolTip.showText(event.globalPos(), self.tr("Drag this label to copy the result elsewhere"), self)
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """See `compare.keys`."""
        if not self._keys.press(event):
            super().keyPressEvent(event)
        elif not self._shows_focus:
            self._shows_focus = True
            self.update()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """End the effect of a held key."""
        if not self._keys.release(event):
            super().keyReleaseEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show the focus if the keyboard brought it here."""
        self._shows_focus = self._shows_focus or event.reason() in _KEYBOARD_FOCUS
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """End the effect of a held key: its release will go elsewhere."""
        if event.reason() not in (Qt.FocusReason.ActiveWindowFocusReason, Qt.FocusReason.PopupFocusReason):
            self._shows_focus = False
        self.set_left_held(False)
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Grab the handle, the picture or the result."""
        self._shows_focus = False
        if not self._mouse.press(event):
            super().mousePressEvent(event)
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Continue a drag, and read the colours under the mouse."""
        self._hover = event.position()
        self._mouse.move(event.position())
        self._read_cursor()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a drag."""
        if not self._mouse.release(event):
            super().mouseReleaseEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """See `ViewMouse.double_click`."""
        if not self._mouse.double_click(event):
            super().mouseDoubleClickEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor."""
        self._hover = event.position()
        self._mouse.wheel(event)
        event.accept()

    def enterEvent(self, event: QEnterEvent) -> None:
        """Start reading colours."""
        self._hover = event.position()
        self._mouse.show_cursor(event.position())
        self._read_cursor()

    def leaveEvent(self, event: QEvent) -> None:
        """Stop reading colours."""
        self._hover = None
        self._read_cursor()

    def _anchor(self, anchor: QPointF | None) -> tuple[float, float] | None:
        return None if anchor is None else self._layout.on_canvas(anchor)
