"""Placement of a picture in the comparison view: fit, zoom and pan as plain numbers, without a widget.

Lengths are in *device pixels* (physical pixels of the screen) or *picture pixels*. A camera looks at a point of the
picture, given as a fraction of its width and height, so that it stays valid when the picture is remade at another size.
Pictures start at whole device pixels: at 100 % every picture pixel is exactly one device pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

Size = tuple[int, int]
"""Width, height; at least 1 x 1."""

Rect = tuple[int, int, int, int]
"""x, y, width, height in picture pixels."""

MIN_SCALE = 0.05
"""5 %; less if a picture needs it to fit."""
MAX_SCALE = 32.0
ZOOM_STOPS = (0.0625, 1 / 12, 0.125, 1 / 6, 0.25, 1 / 3, 0.5, 2 / 3, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, MAX_SCALE)
"""Zoom stops of a notched wheel, in device pixels per picture pixel: about a factor of sqrt(2) apart."""


class Box(NamedTuple):
    """A rectangle in device pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column beyond the box."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row beyond the box."""
        return self.y + self.height

    def contains(self, x: float, y: float) -> bool:
        """Whether a point lies in the box."""
        return self.x <= x < self.right and self.y <= y < self.bottom

    def moved(self, dx: int, dy: int) -> Box:
        """The box shifted by (dx, dy)."""
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def intersected(self, other: Box) -> Box | None:
        """The overlap of both boxes, or None if there is none."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(left, top, right - left, bottom - top) if left < right and top < bottom else None


@dataclass(frozen=True, slots=True)
class Camera:
    """The view that the user asked for.

    A pane may not be able to show it exactly (beyond an edge, too small); `place` comes as close as it can, and the
    request itself is kept, so that a window that is shrunk and enlarged again shows what it showed before.

    Attributes:
        center_x: point at the centre of the pane, as a fraction (0 to 1) of the picture's width.
        center_y: the same for its height.
        scale: device pixels per picture pixel; not used while `fits`.
        fits: whether the whole picture is shown, at whatever scale that takes.
    """

    center_x: float = 0.5
    center_y: float = 0.5
    scale: float = 1.0
    fits: bool = True


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in a pane.

    Attributes:
        x: device pixels from the pane's left edge to the picture's; negative if the picture starts outside.
        y: the same from the top.
        scale: device pixels per picture pixel.
        picture: size in picture pixels.
        pane: size in device pixels.
    """

    x: int
    y: int
    scale: float
    picture: Size
    pane: Size

    @property
    def box(self) -> Box:
        """The whole picture, in device pixels relative to the pane's corner."""
        return Box(self.x, self.y, *_device_size(self.picture, self.scale))

    @property
    def visible_box(self) -> Box | None:
        """The part of the picture inside the pane, or None if there is none."""
        return self.box.intersected(Box(0, 0, *self.pane))

    @property
    def visible_region(self) -> Rect | None:
        """Picture pixels that are at least partly visible, or None."""
        seen = self.visible_box
        if seen is None:
            return None
        left, right = _covered(seen.x - self.x, seen.right - self.x, self.scale, self.picture[0])
        top, bottom = _covered(seen.y - self.y, seen.bottom - self.y, self.scale, self.picture[1])
        # Rounding may cut a reduced picture by half a device pixel; its last pixels then count as under the last one.
        right = self.picture[0] if seen.right == self.box.right else right
        bottom = self.picture[1] if seen.bottom == self.box.bottom else bottom
        return left, top, right - left, bottom - top

    @property
    def can_pan(self) -> bool:
        """Whether part of the picture lies outside the pane."""
        return self.box.width > self.pane[0] or self.box.height > self.pane[1]

    def pixel_at(self, x: float, y: float) -> tuple[int, int] | None:
        """Picture pixel under a point of the pane, or None outside the picture."""
        if not self.box.contains(x, y) or not Box(0, 0, *self.pane).contains(x, y):
            return None
        column, row = math.floor((x - self.x) / self.scale), math.floor((y - self.y) / self.scale)
        return min(column, self.picture[0] - 1), min(row, self.picture[1] - 1)

    def box_of(self, rect: Rect, margin_px: int = 0) -> Box:
        """Device pixels that picture pixels `rect`, grown by `margin_px` on each side, may touch."""
        x, y, width, height = rect
        left, top = math.floor((x - margin_px) * self.scale), math.floor((y - margin_px) * self.scale)
        right = math.ceil((x + width + margin_px) * self.scale)
        bottom = math.ceil((y + height + margin_px) * self.scale)
        return Box(self.x + left, self.y + top, right - left, bottom - top)


def contain_scale(picture: Size, pane: Size) -> float:
    """Scale at which the picture just fills the pane in one direction."""
    return min(max(1, pane[0]) / picture[0], max(1, pane[1]) / picture[1])


def fit_scale(picture: Size, pane: Size) -> float:
    """Scale of "fit": the whole picture is visible, as large as it can usefully be.

    A picture smaller than the pane is enlarged by whole factors only. Any other factor would show some of its pixels
    larger than others.
    """
    contain = contain_scale(picture, pane)
    return contain if contain < 1 else min(float(math.floor(contain)), MAX_SCALE)


def limited_scale(scale: float, picture: Size, pane: Size) -> float:
    """The nearest allowed scale: from "fit" or 5 %, whichever is smaller, to 3200 %."""
    return min(max(scale, min(MIN_SCALE, fit_scale(picture, pane))), MAX_SCALE)


def next_stop(scale: float, steps: int, fit: float) -> float:
    """Scale after turning a wheel by `steps` notches (positive zooms in); "fit" is one of the stops."""
    stops = sorted({MIN_SCALE, *ZOOM_STOPS, fit})
    for _ in range(abs(steps)):
        # Tolerance of 0.1 %: a stop that has been reached up to rounding is not the next one.
        beyond = [stop for stop in stops if (stop > scale * 1.001 if steps > 0 else stop < scale / 1.001)]
        if not beyond:
            break
        scale = beyond[0] if steps > 0 else beyond[-1]
    return scale


def settled(camera: Camera, picture: Size, pane: Size) -> Camera:
    """The camera as the pane can show it: an allowed scale, and no empty space beyond an edge."""
    if camera.fits:
        return Camera(0.5, 0.5, fit_scale(picture, pane), True)
    scale = limited_scale(camera.scale, picture, pane)
    center_x = _kept_inside(camera.center_x, pane[0] / (picture[0] * scale))
    center_y = _kept_inside(camera.center_y, pane[1] / (picture[1] * scale))
    return Camera(center_x, center_y, scale, False)


def place(camera: Camera, picture: Size, pane: Size) -> Placement:
    """Place the picture in the pane, on whole device pixels."""
    granted = settled(camera, picture, pane)
    width, height = _device_size(picture, granted.scale)
    x = _origin(granted.center_x * picture[0] * granted.scale, width, pane[0])
    y = _origin(granted.center_y * picture[1] * granted.scale, height, pane[1])
    return Placement(x, y, granted.scale, picture, pane)


def zoomed(camera: Camera, scale: float, anchor: tuple[float, float], picture: Size, pane: Size) -> Camera:
    """Change the scale, keeping the point of the picture under `anchor` (device pixels in the pane) in place."""
    before = place(camera, picture, pane)
    scale = limited_scale(scale, picture, pane)
    point_x, point_y = (anchor[0] - before.x) / before.scale, (anchor[1] - before.y) / before.scale
    center_x = (point_x + (pane[0] / 2 - anchor[0]) / scale) / picture[0]
    center_y = (point_y + (pane[1] / 2 - anchor[1]) / scale) / picture[1]
    return settled(Camera(center_x, center_y, scale, False), picture, pane)


def panned(camera: Camera, dx: float, dy: float, picture: Size, pane: Size) -> Camera:
    """Move the picture by device pixels, rounded to whole ones; "fit" cannot be moved."""
    if camera.fits:
        return camera
    before = place(camera, picture, pane)
    center_x = (pane[0] / 2 - before.x - round(dx)) / (picture[0] * before.scale)
    center_y = (pane[1] / 2 - before.y - round(dy)) / (picture[1] * before.scale)
    return settled(Camera(center_x, center_y, before.scale, False), picture, pane)


def carried_over(camera: Camera, old: Size, new: Size, pane: Size) -> Camera:
    """The camera for a picture of another size, such that the same part of it fills the pane."""
    if camera.fits or old == new:
        return camera
    return replace(camera, scale=camera.scale * contain_scale(new, pane) / contain_scale(old, pane))


def _device_size(picture: Size, scale: float) -> Size:
    return max(1, round(picture[0] * scale)), max(1, round(picture[1] * scale))


def _origin(center: float, length: int, pane: int) -> int:
    if length <= pane:
        return (pane - length) // 2
    return min(0, max(pane - length, round(pane / 2 - center)))


def _kept_inside(center: float, seen: float) -> float:
    """Clamp `center` so that a window of length `seen` (1 is the whole picture) around it stays within 0 to 1."""
    return 0.5 if seen >= 1 else min(max(center, seen / 2), 1 - seen / 2)


def _covered(start: int, stop: int, scale: float, length: int) -> tuple[int, int]:
    """Picture pixels [first, last) under device pixels [start, stop), at least one."""
    # A millionth of a pixel absorbs the rounding of start / scale.
    first = min(max(0, math.floor(start / scale + 1e-6)), length - 1)
    return first, max(first + 1, min(math.ceil(stop / scale - 1e-6), length))
