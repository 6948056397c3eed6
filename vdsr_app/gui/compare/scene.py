"""State of the comparison view: layers, mode, camera, split, and what follows from them. No widget, no painting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.gui.compare import geometry
from vdsr_app.gui.compare.geometry import Box, Camera, Placement, Rect, Size
from vdsr_app.gui.compare.plan import DrawOp, Side, plan_layer

Color = tuple[int, int, int, int]
"""Red, green, blue, alpha (straight), 0 to 255."""


class CompareMode(StrEnum):
    """How two layers share the canvas."""

    WIPE = "wipe"
    """One picture: the left layer up to the split, the right layer beyond it."""
    SIDE = "side"
    """Two panes that show the same part of both layers."""
    SINGLE = "single"
    """The right layer, or the left one while a key is held."""


@dataclass(frozen=True, eq=False, slots=True)
class Layer:
    """One side of the comparison.

    Attributes:
        label: display name, such as "Bicubic".
        pyramid: its pixels.
        under: the same picture at any size, drawn underneath while `pyramid` does not cover everything yet.
    """

    label: str
    pyramid: MipPyramid
    under: MipPyramid | None = None

    @property
    def pyramids(self) -> tuple[MipPyramid, ...]:
        """The pyramids to draw, in this order."""
        return (self.pyramid,) if self.under is None else (self.under, self.pyramid)

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return self.pyramid.width, self.pyramid.height


@dataclass(frozen=True, slots=True)
class CursorReading:
    """The pixel under the mouse.

    Attributes:
        x: column, from 0, in pixels of the picture (the right layer if there is one).
        y: row.
        left: colour of the left layer there, or None without one.
        right: the same for the right layer.
    """

    x: int
    y: int
    left: Color | None
    right: Color | None


class CompareScene:
    """What is compared, and how it is viewed.

    Attributes:
        left: layer of the left side, or None.
        right: layer of the right side, or None.
        mode: how they share the canvas.
        camera: which part is viewed.
        split: position of the wipe, 0 to 1 across the visible part of the picture.
        holds_left: whether the left layer is shown everywhere, while a key is held.
        smooth: whether enlarged pixels are blended instead of shown as squares.
        canvas: size in device pixels.
        gap_px: device pixels between the panes of "side by side".
    """

    def __init__(self) -> None:
        self.left: Layer | None = None
        self.right: Layer | None = None
        self.mode = CompareMode.WIPE
        self.camera = Camera()
        self.split = 0.5
        self.holds_left = False
        self.smooth = False
        self.canvas: Size = (1, 1)
        self.gap_px = 2

    @property
    def picture(self) -> Size | None:
        """Size that picture coordinates refer to: the right layer's, or the left's if it is alone."""
        layer = self.right or self.left
        return None if layer is None else layer.size

    @property
    def panes(self) -> tuple[Box, ...]:
        """Areas of the canvas that show pictures: one pane, or two of equal size side by side."""
        width, height = self.canvas
        if self.mode is not CompareMode.SIDE:
            return (Box(0, 0, width, height),)
        half = max(1, (width - self.gap_px) // 2)
        return Box(0, 0, half, height), Box(width - half, 0, half, height)

    @property
    def pane_size(self) -> Size:
        """Size of each pane in device pixels."""
        pane = self.panes[0]
        return max(1, pane.width), max(1, pane.height)

    @property
    def placement(self) -> Placement | None:
        """Where the picture lies in each pane, or None without a layer."""
        return None if self.picture is None else geometry.place(self.camera, self.picture, self.pane_size)

    @property
    def scale(self) -> float:
        """Device pixels per picture pixel."""
        placement = self.placement
        return self.camera.scale if placement is None else placement.scale

    @property
    def can_wipe(self) -> bool:
        """Whether a wipe is shown, with a handle to move between its two sides."""
        both = self.left is not None and self.right is not None
        return both and self.mode is CompareMode.WIPE and not self.holds_left

    @property
    def split_x(self) -> int | None:
        """Column of the canvas at which the right layer begins, or None without a wipe."""
        placement = self.placement
        seen = None if placement is None else placement.visible_box
        return None if seen is None or not self.can_wipe else seen.x + round(self.split * seen.width)

    def set_layers(self, left: Layer | None, right: Layer | None) -> None:
        """Show other layers; the same part of the picture stays in view, even if its size changes."""
        before = self.picture
        self.left, self.right = left, right
        if before is not None and self.picture is not None:
            self.camera = geometry.carried_over(self.camera, before, self.picture, self.pane_size)

    def fit(self) -> None:
        """Show the whole picture."""
        self.camera = Camera()

    def zoom(self, scale: float, anchor: tuple[float, float] | None = None) -> None:
        """Change the scale, keeping what is under `anchor` (on the canvas; a pane's middle if None) in place."""
        if self.picture is None:
            self.camera = replace(self.camera, scale=scale, fits=False)
            return
        pane = self.panes[0] if anchor is None else self._pane_at(anchor[0])
        point = (pane.width / 2, pane.height / 2) if anchor is None else (anchor[0] - pane.x, anchor[1] - pane.y)
        self.camera = geometry.zoomed(self.camera, scale, point, self.picture, self.pane_size)

    def step_zoom(self, steps: int, anchor: tuple[float, float] | None = None) -> None:
        """Zoom by wheel stops; positive zooms in."""
        if self.picture is None:
            return
        fit = geometry.fit_scale(self.picture, self.pane_size)
        scale = geometry.next_stop(self.scale, steps, fit)
        if scale == fit:
            self.fit()
        else:
            self.zoom(scale, anchor)

    def pan(self, dx: float, dy: float, start: Camera | None = None) -> None:
        """Move the picture by device pixels, from where it is or from where it was under the camera `start`."""
        if self.picture is not None:
            self.camera = geometry.panned(start or self.camera, dx, dy, self.picture, self.pane_size)

    def split_at(self, x: float) -> float:
        """The split that puts the handle at column `x` of the canvas."""
        seen = None if self.placement is None else self.placement.visible_box
        return self.split if seen is None else min(max((x - seen.x) / seen.width, 0.0), 1.0)

    def reading_at(self, x: float, y: float) -> CursorReading | None:
        """The pixel and both colours under a point of the canvas, or None outside the picture."""
        placement, pane = self.placement, self._pane_at(x)
        pixel = None if placement is None else placement.pixel_at(x - pane.x, y - pane.y)
        if placement is None or pixel is None:
            return None
        left, right = (_color_at(layer, pixel, placement.picture) for layer in (self.left, self.right))
        return CursorReading(*pixel, left, right)

    def twin_of(self, x: float, y: float) -> tuple[float, float] | None:
        """The point of the other pane that shows the same place, or None outside the picture or without such a pane."""
        if self.mode is not CompareMode.SIDE or self.left is None or self.right is None:
            return None
        if self.reading_at(x, y) is None:
            return None
        near, far = self.panes if self._pane_at(x) == self.panes[0] else reversed(self.panes)
        return x - near.x + far.x, y

    def boxes_of(self, rect: Rect) -> Iterator[Box]:
        """Device pixels of the canvas that may change with the picture pixels `rect`; one box per pane."""
        placement = self.placement
        if placement is None:
            return
        # In a reduced level, a pixel blends with its neighbours up to two of the level's own pixels away.
        margin = 2 + int(2 / placement.scale)
        touched = placement.box_of(rect, margin).intersected(Box(0, 0, *self.pane_size))
        if touched is not None:
            yield from (touched.moved(pane.x, pane.y) for pane in self.panes)

    def shown(self) -> Iterator[tuple[Side, Box, Box]]:
        """The visible sides: side, pane, and the part of the canvas that it may fill."""
        panes, split_x = self.panes, self.split_x
        if self.mode is CompareMode.SIDE:
            yield Side.LEFT, panes[0], panes[0]
            yield Side.RIGHT, panes[1], panes[1]
        elif split_x is not None:
            width, height = self.canvas
            yield Side.LEFT, panes[0], Box(0, 0, split_x, height)
            yield Side.RIGHT, panes[0], Box(split_x, 0, width - split_x, height)
        else:
            show_left = self.right is None or (self.holds_left and self.left is not None)
            yield (Side.LEFT if show_left else Side.RIGHT), panes[0], panes[0]

    def layer(self, side: Side) -> Layer | None:
        """The layer of a side."""
        return self.left if side is Side.LEFT else self.right

    def plan(self, dirty: Box) -> list[tuple[DrawOp, MipPyramid]]:
        """What to draw, in this order, to bring the device pixels `dirty` of the canvas up to date."""
        placement, ops = self.placement, []
        for side, pane, area in self.shown():
            layer, clip = self.layer(side), area.intersected(dirty)
            if layer is None or clip is None or placement is None:
                continue
            for pyramid in layer.pyramids:
                size = pyramid.width, pyramid.height
                op = plan_layer(side, size, placement, pane, clip, smooth_enlarged=self.smooth)
                if op is not None:
                    ops.append((op, pyramid))
        return ops

    def _pane_at(self, x: float) -> Box:
        panes = self.panes
        return panes[-1] if x >= panes[-1].x else panes[0]


def _color_at(layer: Layer | None, pixel: tuple[int, int], picture: Size) -> Color | None:
    """Colour of a layer at a picture pixel; by relative position if the layer has another size."""
    if layer is None:
        return None
    colour = 0, 0, 0, 0
    for pyramid in reversed(layer.pyramids):
        size = pyramid.width, pyramid.height
        x, y = (int((at + 0.5) * own / whole) for at, own, whole in zip(pixel, size, picture, strict=True))
        red, green, blue, alpha = (int(value) for value in pyramid.levels[0][y, x])
        colour = red, green, blue, alpha
        if alpha > 0:
            break
    return colour
