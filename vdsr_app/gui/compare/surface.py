"""Base widget of the comparison view: shows a scene and signals changes in what it shows."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from vdsr_app.gui.compare.canvas import Look, ViewPainter, captions_for, default_canvas_color, grip_center
from vdsr_app.gui.compare.chrome import GRIP_RADIUS, TWIN_RADIUS
from vdsr_app.gui.compare.geometry import Rect
from vdsr_app.gui.compare.layout import ViewLayout
from vdsr_app.gui.compare.plan import Side
from vdsr_app.gui.compare.scene import CompareMode, CompareScene, CursorReading

_GRAB_WIDTH = 10
"""Logical pixels on each side of the wipe's line that still count as the handle."""
_GAP_WIDTH = 6
"""Logical pixels between two panes."""
_TWIN_REACH = (-TWIN_RADIUS - 2, -TWIN_RADIUS - 2, TWIN_RADIUS + 2, TWIN_RADIUS + 2)

_State = tuple[CompareMode, float, float, Rect | None]


class CompareSurface(QWidget):
    """Shows a scene at exact device pixels; `CompareView` adds the interaction.

    Signals:
        mode_changed: the new CompareMode.
        zoom_changed: device pixels per picture pixel, in percent (float).
        split_changed: position of the wipe, 0 to 1 across the visible part of the picture (float).
        cursor_moved: CursorReading, or None outside the picture; emitted too when the picture moves under the mouse.
        visible_region_changed: Rect (x, y, width, height) in picture pixels, or None without layers.
        smooth_changed: whether enlarged pixels are blended (bool).
        drag_out_requested: the user drags the right layer out; start a QDrag with it.
    """

    mode_changed = Signal(object)
    zoom_changed = Signal(float)
    split_changed = Signal(float)
    cursor_moved = Signal(object)
    visible_region_changed = Signal(object)
    smooth_changed = Signal(bool)
    drag_out_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = CompareScene()
        self._painter = ViewPainter()
        self._layout = ViewLayout(1, 1, 1.0)
        self._canvas_color: QColor | None = None
        self._drop_hint: str | None = None
        self._empty_text = ""
        self._hover: QPointF | None = None
        self._twin: QPointF | None = None
        self._reading: CursorReading | None = None
        self._shows_focus = False
        self._hides_grip = False
        self._announced = self._state()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._describe()

    def sizeHint(self) -> QSize:
        """A typical size; the view takes all the space it gets."""
        return QSize(800, 600)

    def minimumSizeHint(self) -> QSize:
        """Room for two short captions."""
        return QSize(240, 160)

    # Parts under the mouse.

    def is_on_canvas(self, position: QPointF) -> bool:
        """Whether a point of the view lies on the canvas rather than the caption bar."""
        return self._layout.frame.contains(position)

    def is_on_handle(self, position: QPointF) -> bool:
        """Whether a point of the view lies on the wipe's line or grip, or near enough to grab it."""
        grip = grip_center(self._scene, self._layout)
        if grip is None or not self.is_on_canvas(position):
            return False
        return abs(position.x() - grip.x()) <= _GRAB_WIDTH or (position - grip).manhattanLength() <= GRIP_RADIUS + 4

    def is_on_result_caption(self, position: QPointF) -> bool:
        """Whether a point of the view lies on the label of the right layer."""
        box = self.caption_box(Side.RIGHT)
        return box is not None and box.contains(position)

    def caption_box(self, side: Side) -> QRectF | None:
        """Box of a side's label in logical pixels, or None while it is not shown."""
        caption = captions_for(self._scene, self._layout, self.font()).get(side)
        return None if caption is None else caption.box

    def handle_x(self) -> float | None:
        """Logical column of the wipe's line, or None without a wipe."""
        split_x = self._scene.split_x
        return None if split_x is None else self._layout.to_logical_x(split_x)

    # Reporting changes.

    def _state(self) -> _State:
        scene, placement = self._scene, self._scene.placement
        return scene.mode, scene.scale * 100, scene.split, None if placement is None else placement.visible_region

    def _show(self) -> None:
        """Repaint everything, and signal what has changed."""
        self.update()
        self._announce()

    def _announce(self) -> None:
        previous, self._announced = self._announced, self._state()
        signals = self.mode_changed, self.zoom_changed, self.split_changed, self.visible_region_changed
        for signal, before, now in zip(signals, previous, self._announced, strict=True):
            if before != now:
                signal.emit(now)
        self._read_cursor()

    def _read_cursor(self) -> None:
        """Signal the pixel under the mouse if its reading has changed, and mark the place in the other pane."""
        reading = twin = None
        if self._hover is not None and self.is_on_canvas(self._hover):
            point = self._layout.on_canvas(self._hover)
            reading, twin = self._scene.reading_at(*point), self._scene.twin_of(*point)
        self._move_twin(None if twin is None else self._layout.to_logical(*twin))
        if reading != self._reading:
            self._reading = reading
            self.cursor_moved.emit(reading)

    def _move_twin(self, twin: QPointF | None) -> None:
        for point in (self._twin, twin) if twin != self._twin else ():
            if point is not None:
                self.update(QRectF(point, point).adjusted(*_TWIN_REACH).toAlignedRect())
        self._twin = twin

    # Size, screen and appearance.

    def _lay_out(self) -> None:
        self._layout = ViewLayout(self.width(), self.height(), self.devicePixelRatioF())
        self._scene.canvas = self._layout.canvas.width, self._layout.canvas.height
        self._scene.gap_px = max(1, round(_GAP_WIDTH * self._layout.ratio))
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep "fit" fitting; otherwise keep the same point in the centre."""
        super().resizeEvent(event)
        self._lay_out()

    def event(self, event: QEvent) -> bool:
        """Adapt to a screen with another pixel ratio; 100 % stays 100 %."""
        if event.type() in (QEvent.Type.DevicePixelRatioChange, QEvent.Type.ScreenChangeInternal):
            self._lay_out()
        return super().event(event)

    def changeEvent(self, event: QEvent) -> None:
        """Follow changes of theme, font and language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._describe()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what needs repainting, and nothing else."""
        if self._layout.ratio != self.devicePixelRatioF():
            self._lay_out()
        palette = self.palette()
        look = Look(
            palette=palette,
            canvas_color=self._canvas_color or default_canvas_color(palette),
            focused=self._shows_focus and self.hasFocus(),
            shows_grip=not self._hides_grip,
            twin=self._twin,
            drop_hint=self._drop_hint,
            empty_text=self._empty_text or self.tr("No picture is open"),
        )
        painter = QPainter(self)
        self._painter.paint(painter, event.region(), self._scene, self._layout, look)
        painter.end()

    def _describe(self) -> None:
        """Describe to screen readers what is compared."""
        self.setAccessibleName(self.tr("Comparison"))
        left, right = self._scene.left, self._scene.right
        if left is not None and right is not None:
            text = self.tr("Left: {left}. Right: {right}. {width} x {height} pixels.")
            size = right.size
            text = text.format(left=left.label, right=right.label, width=size[0], height=size[1])
        else:
            shown = right or left
            text = self._empty_text or self.tr("No picture is open") if shown is None else shown.label
        self.setAccessibleDescription(text)
