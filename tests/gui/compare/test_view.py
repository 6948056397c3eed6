"""Comparison view on the screen: exact pixels, three modes, partial repaints, signals, and surroundings."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, Qt
from PySide6.QtGui import QColor, QPaintEvent, QPalette, QRegion
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.gui.pixels import rgba_from_qimage
from vdsr_app.core.pyramid import MipPyramid, Rgba
from vdsr_app.gui.compare.layout import BAR_HEIGHT, FRAME_WIDTH
from vdsr_app.gui.compare.paint import CHECKER_COLORS
from vdsr_app.gui.compare.plan import Side
from vdsr_app.gui.compare.view import CompareMode, CompareView, CursorReading, Layer

WIDTH, HEIGHT = 400, 300

# The offscreen platform logs this for every window with a minimum size.
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")


def noise(width: int = WIDTH, height: int = HEIGHT, *, seed: int = 0, alpha: int | None = 255) -> Rgba:
    rgba = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    if alpha is not None:
        rgba[:, :, 3] = alpha
    return rgba


def layer(label: str, rgba: Rgba) -> Layer:
    return Layer(label, MipPyramid.from_rgba(rgba.copy()))


def canvas(view: CompareView) -> Rgba:
    """Return what is on the canvas, without caption bar and focus frame."""
    shot = rgba_from_qimage(view.grab().toImage())
    return shot[BAR_HEIGHT + FRAME_WIDTH : -FRAME_WIDTH, FRAME_WIDTH:-FRAME_WIDTH]


class RecordingView(CompareView):
    """Records what it repainted."""

    def __init__(self) -> None:
        super().__init__()
        self.painted = QRegion()

    def paintEvent(self, event: QPaintEvent) -> None:
        self.painted = self.painted.united(event.region())
        super().paintEvent(event)


@pytest.fixture
def left() -> Rgba:
    return noise(seed=1)


@pytest.fixture
def right() -> Rgba:
    return noise(seed=2)


@pytest.fixture
def view(qtbot: QtBot, left: Rgba, right: Rgba) -> RecordingView:
    """Return a view whose canvas is 200 x 150 device pixels, a quarter of the picture."""
    view = RecordingView()
    qtbot.addWidget(view)
    view.resize(200 + 2 * FRAME_WIDTH, 150 + BAR_HEIGHT + 2 * FRAME_WIDTH)
    view.set_layers(layer("Bicubic", left), layer("VDSR", right))
    with qtbot.waitExposed(view):
        view.show()
    view.set_grip_shown(False)
    return view


# Exact pixels.


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8, 32])
def test_pixels_are_exact_at_whole_factors(view: CompareView, right: Rgba, factor: int) -> None:
    view.set_mode(CompareMode.SINGLE)
    view.set_zoom(100 * factor)
    shown = canvas(view)
    x, y, _, _ = view.visible_region() or (0, 0, 0, 0)
    enlarged = right.repeat(factor, axis=0).repeat(factor, axis=1)
    # The canvas need not begin at the edge of a picture pixel; look for where it does.
    fits = [
        np.array_equal(shown, enlarged[y * factor + dy :, x * factor + dx :][:150, :200])
        for dy in range(factor)
        for dx in range(factor)
    ]
    assert fits.count(True) == 1


def test_canvas_matches_pyramid_level_at_50_percent(view: CompareView) -> None:
    view.set_mode(CompareMode.SINGLE)
    view.set_zoom(50)
    right = view._scene.right
    assert right is not None
    np.testing.assert_array_equal(canvas(view), right.pyramid.levels[1])


def test_wipe_shows_each_layer_on_its_side(view: CompareView, left: Rgba, right: Rgba) -> None:
    view.set_zoom(100)
    view.set_split(0.25)
    shown = canvas(view)
    np.testing.assert_array_equal(shown[:, :48], left[75:225, 100:148])
    np.testing.assert_array_equal(shown[:, 53:], right[75:225, 153:300])


def test_split_beyond_edge_is_clamped_and_shows_one_layer(view: CompareView, left: Rgba, right: Rgba) -> None:
    view.set_zoom(100)
    view.set_split(-3)
    assert view.split == 0
    np.testing.assert_array_equal(canvas(view)[:, 3:], right[75:225, 103:300])
    view.set_split(7)
    assert view.split == 1
    np.testing.assert_array_equal(canvas(view)[:, :-3], left[75:225, 100:297])


def test_side_by_side_shows_same_part_of_both_layers(view: CompareView, left: Rgba, right: Rgba) -> None:
    view.set_mode(CompareMode.SIDE)
    view.set_zoom(100)
    shown, region = canvas(view), view.visible_region()
    assert region is not None
    x, y, width, height = region
    assert (width, height) == (97, 150)
    np.testing.assert_array_equal(shown[:, :97], left[y : y + 150, x : x + 97])
    np.testing.assert_array_equal(shown[:, -97:], right[y : y + 150, x : x + 97])


def test_holding_left_layer_shows_it_on_whole_canvas(view: CompareView, left: Rgba, right: Rgba) -> None:
    view.set_zoom(100)
    for mode in (CompareMode.SINGLE, CompareMode.WIPE):
        view.set_mode(mode)
        view.set_left_held(True)
        np.testing.assert_array_equal(canvas(view), left[75:225, 100:300])
        view.set_left_held(False)
    np.testing.assert_array_equal(canvas(view)[:, 110:], right[75:225, 210:300])


@pytest.mark.parametrize("percent", [7, 23.7, 37, 61, 99, 100, 300])
@pytest.mark.parametrize("alpha", [255, 128])
def test_colours_are_correct_at_every_zoom(qtbot: QtBot, percent: float, alpha: int) -> None:
    view = CompareView()
    qtbot.addWidget(view)
    view.resize(300, 300)
    rgba = np.full((2000, 3000, 4), (200, 100, 50, alpha), dtype=np.uint8)
    view.set_layers(None, layer("Plain", rgba))
    view.grab()  # lays it out
    view.set_zoom(percent)
    seen = view._scene.placement
    assert seen is not None
    assert seen.visible_box is not None
    x, y, width, height = seen.visible_box
    assert width > 200
    shown = canvas(view)[y : y + height, x : x + width, :3].astype(int)
    expected = [np.array([200, 100, 50]) * alpha / 255 + color.red() * (1 - alpha / 255) for color in CHECKER_COLORS]
    off = np.minimum(*(np.abs(shown - value).max(axis=2) for value in expected))
    assert off.max() <= (0 if alpha == 255 else 2)


@pytest.mark.parametrize("percent", [50, 73, 100, 141, 400])
def test_panorama_wider_than_65535_pixels_is_shown_correctly(view: CompareView, percent: float) -> None:
    wide = np.full((40, 70000, 4), 255, dtype=np.uint8)
    wide[:, :, 0] = np.arange(70000) // 275
    view.set_layers(None, layer("Panorama", wide))
    view.set_zoom(percent)
    for share, end in ((-1e6, 69999), (1e6, 0)):
        view.pan_by_share(share, 0)
        row = canvas(view)[75, :, 0].astype(int)
        at = -1 if end else 0
        assert row[at] == wide[0, end, 0]
        x, _, width, _ = view.visible_region() or (0, 0, 0, 0)
        assert np.abs(row - np.linspace(x, x + width, 200) / 275).max() <= 2


@pytest.mark.parametrize("smooth", [False, True])
def test_enlarged_pixels_are_squares_or_blended(view: CompareView, smooth: bool) -> None:
    view.set_mode(CompareMode.SINGLE)
    view.set_zoom(800)
    view.set_smooth(smooth)
    steps = np.abs(np.diff(canvas(view)[:, :, :3].astype(int), axis=1)).max(axis=(0, 2))
    assert (steps > 0).sum() == (199 if smooth else pytest.approx(200 / 8, abs=1))


@given(st.floats(5, 3200), st.integers(0, 180), st.integers(0, 140), st.booleans())
@settings(max_examples=40)
def test_partial_repaint_matches_whole_repaint(percent: float, x: int, y: int, smooth: bool) -> None:
    view = CompareView()
    view.resize(200, 180)
    view.set_layers(layer("A", noise(seed=3)), layer("B", noise(seed=4)))
    view.set_smooth(smooth)
    view.set_grip_shown(False)  # its round edge is blended again by each repaint
    view.set_zoom(percent)
    whole = rgba_from_qimage(view.grab().toImage())
    part = rgba_from_qimage(view.grab(QRect(x, y, 20, 20)).toImage())
    tolerance = 0 if percent >= 100 and not smooth else 1
    assert np.abs(part.astype(int) - whole[y : y + 20, x : x + 20][: part.shape[0], : part.shape[1]]).max() <= tolerance
    view.deleteLater()


# Transparency.


def test_checkerboard_shows_through_and_stays_in_place(view: CompareView) -> None:
    clear = layer("Clear", noise(alpha=0))
    view.set_layers(clear, clear)
    view.set_mode(CompareMode.SIDE)
    view.set_zoom(100)
    before = canvas(view)
    assert {tuple(color) for color in before[:, :97].reshape(-1, 4).tolist()} == {c.getRgb() for c in CHECKER_COLORS}
    np.testing.assert_array_equal(before[:, :97], before[:, -97:])
    view.pan_by_share(-0.13, 0.07)
    np.testing.assert_array_equal(canvas(view), before)
    view.set_zoom(800)
    np.testing.assert_array_equal(canvas(view), before)


def test_checkerboard_shows_when_layer_becomes_transparent(view: CompareView) -> None:
    view.set_zoom(100)
    view.set_mode(CompareMode.SINGLE)
    canvas(view)
    right = view._scene.right
    assert right is not None
    right.pyramid.write(0, 0, noise(alpha=0))
    view.refresh()
    assert {tuple(color) for color in canvas(view).reshape(-1, 4).tolist()} == {c.getRgb() for c in CHECKER_COLORS}


# Zoom and pan are kept through changes.


@pytest.mark.parametrize("mode", list(CompareMode))
def test_same_part_stays_in_view_when_layer_size_changes(view: CompareView, mode: CompareMode) -> None:
    view.set_mode(mode)
    view.set_zoom(200, QPointF(30, 60))
    view.set_split(0.3)
    before = view.visible_region()
    assert before is not None
    view.set_layers(layer("A", noise(800, 600)), layer("B", noise(800, 600)))
    assert view.zoom_percent == pytest.approx(100)
    assert view.split == 0.3
    after = view.visible_region()
    assert after is not None
    assert np.abs(np.array(after) / 2 - before).max() <= 1.5


def test_new_result_of_same_size_keeps_region_and_zoom(view: CompareView) -> None:
    view.set_zoom(300, QPointF(9, 99))
    before = view.visible_region(), view.zoom_percent
    view.set_right(layer("Again", noise(seed=9)))
    assert (view.visible_region(), view.zoom_percent) == before


def test_fit_and_zoom_are_kept_when_view_is_resized(view: CompareView) -> None:
    assert view.fits
    view.resize(504, 382)
    assert view.fits
    assert view.visible_region() == (0, 0, WIDTH, HEIGHT)
    view.set_zoom(150)
    assert not view.fits
    view.resize(300, 300)
    assert view.zoom_percent == 150
    view.zoom_to_fit()
    assert view.fits


def test_zoom_centre_and_fit_are_kept_when_pixel_ratio_changes(
    view: CompareView, monkeypatch: pytest.MonkeyPatch
) -> None:
    view.set_zoom(100)
    region = view.visible_region()
    monkeypatch.setattr(view, "devicePixelRatioF", lambda: 0.5)  # half as many device pixels as before
    QApplication.sendEvent(view, QEvent(QEvent.Type.DevicePixelRatioChange))
    assert view.zoom_percent == 100
    assert region is not None
    after = view.visible_region()
    assert after is not None
    x, y, width, height = after
    assert (width, height) == (100, 75)
    assert abs(x + width / 2 - region[0] - region[2] / 2) <= 1
    assert abs(y + height / 2 - region[1] - region[3] / 2) <= 1
    view.zoom_to_fit()
    monkeypatch.undo()
    QApplication.sendEvent(view, QEvent(QEvent.Type.DevicePixelRatioChange))
    assert view.zoom_percent == 50


def test_mode_change_keeps_centre_of_view(view: CompareView) -> None:
    view.set_zoom(200)
    middles = []
    for mode in (CompareMode.WIPE, CompareMode.SIDE, CompareMode.SINGLE):
        view.set_mode(mode)
        x, y, width, height = view.visible_region() or (0, 0, 0, 0)
        middles.append((x + width / 2, y + height / 2))
    assert np.ptp(middles, axis=0).max() <= 1


def test_layers_of_different_sizes_cover_same_area(view: CompareView) -> None:
    halves = np.zeros((30, 40, 4), dtype=np.uint8)
    halves[:, :, 3], halves[:, 20:, 0] = 255, 255
    view.set_layers(layer("Reference", halves), view._scene.right)
    view.set_left_held(True)
    shown = canvas(view)
    assert (shown[:, :99, 0] == 0).all()
    assert (shown[:, 101:, 0] == 255).all()


# Repaints.


@pytest.mark.parametrize("percent", [25, 50, 100, 200])
def test_missing_tiles_show_layer_underneath(view: CompareView, right: Rgba, percent: float) -> None:
    tiles = MipPyramid.empty(WIDTH, HEIGHT)
    tiles.write(0, 0, right[:, : WIDTH // 2])
    under = np.full((HEIGHT // 2, WIDTH // 2, 4), (10, 200, 30, 255), np.uint8)
    view.set_layers(None, Layer("Tiles", tiles, MipPyramid.from_rgba(under)))
    view.set_zoom(percent)
    partly = canvas(view)
    view.set_layers(None, layer("Whole", right))
    whole = canvas(view)
    width, middle = partly.shape[1], partly.shape[0] // 2
    np.testing.assert_array_equal(partly[middle, : width // 2 - 4], whole[middle, : width // 2 - 4])
    lying = partly[middle, width // 2 + 4 : width // 2 + 30, :3]
    assert (lying == (10, 200, 30)).all()


def test_cursor_reading_has_colour_underneath_where_tiles_are_missing(view: CompareView) -> None:
    tiles = MipPyramid.empty(WIDTH, HEIGHT)
    tiles.write(0, 0, np.full((HEIGHT, WIDTH // 2, 4), (1, 2, 3, 255), np.uint8))
    under = np.full((HEIGHT // 2, WIDTH // 2, 4), (10, 200, 30, 255), np.uint8)
    view.set_layers(None, Layer("Tiles", tiles, MipPyramid.from_rgba(under)))
    view.set_zoom(100)
    middle = view.rect().center().x()
    row = (view.height() + BAR_HEIGHT) // 2
    readings: list[CursorReading] = []
    view.cursor_moved.connect(readings.append)
    for x in (middle - 20, middle + 20):
        QTest.mouseMove(view, QPoint(x, row))
    assert [reading.right for reading in readings if reading is not None] == [(1, 2, 3, 255), (10, 200, 30, 255)]


def repainted(view: RecordingView) -> QRegion:
    QApplication.processEvents()
    region, view.painted = view.painted, QRegion()
    return region


def test_refresh_repaints_only_area_around_tile(view: RecordingView) -> None:
    view.set_zoom(100)
    repainted(view)
    view.refresh((150, 100, 16, 16))
    region = repainted(view)
    assert region.boundingRect().contains(QRect(50 + FRAME_WIDTH, 25 + BAR_HEIGHT + FRAME_WIDTH, 16, 16))
    assert region.boundingRect().width() <= 30
    assert region.boundingRect().height() <= 30


def test_refresh_outside_visible_region_repaints_nothing(view: RecordingView) -> None:
    view.set_zoom(400)
    repainted(view)
    view.refresh((0, 0, 16, 16))
    assert repainted(view).isEmpty()


def test_refresh_repaints_two_small_parts_when_side_by_side(view: RecordingView) -> None:
    view.set_mode(CompareMode.SIDE)
    view.set_zoom(100)
    repainted(view)
    view.refresh((200, 150, 8, 8))
    region = repainted(view)
    assert region.rectCount() == 2
    assert region.boundingRect().height() <= 24


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("percent", [26, 37, 61, 99, 100, 150, 400])
def test_refresh_repaints_every_changed_pixel(view: RecordingView, percent: float, shift: int) -> None:
    view.set_zoom(percent)
    view.set_split(0)
    before = rgba_from_qimage(view.grab().toImage())
    repainted(view)
    right = view._scene.right
    assert right is not None
    right.pyramid.write(200 + shift, 147 + shift, noise(8, 8, seed=77))
    view.refresh((200 + shift, 147 + shift, 8, 8))
    assert_covers(repainted(view), before, view)


def assert_covers(region: QRegion, before: Rgba, view: CompareView) -> None:
    """Fail if a pixel that differs from `before` was not repainted."""
    changed = np.argwhere((before != rgba_from_qimage(view.grab().toImage())).any(axis=2))
    assert len(changed) > 0
    assert all(region.contains(QPoint(int(x), int(y))) for y, x in changed)


@pytest.mark.parametrize("split", [0.52, 0.3, 0.97])
def test_moving_wipe_repaints_every_changed_pixel(view: RecordingView, split: float) -> None:
    view.set_grip_shown(True)
    before = rgba_from_qimage(view.grab().toImage())
    repainted(view)
    view.set_split(split)
    assert_covers(repainted(view), before, view)


def test_moving_wipe_repaints_only_a_strip(view: RecordingView) -> None:
    repainted(view)
    view.set_split(0.52)
    below = repainted(view).intersected(QRect(0, BAR_HEIGHT, 999, 999))
    assert 4 <= below.boundingRect().width() < 50


def test_replaced_layer_is_released(view: CompareView) -> None:
    right = view._scene.right
    assert right is not None
    levels = [weakref.ref(level) for level in right.pyramid.levels]
    for percent in (37, 100, 400):
        view.set_zoom(percent)
        canvas(view)
    del right
    view.set_right(layer("Next", noise(seed=6)))
    gc.collect()
    assert not any(level() is not None for level in levels)


# Signals.


def test_signals_report_each_change_once(qtbot: QtBot, view: CompareView) -> None:
    reported: list[tuple[str, object]] = []
    view.mode_changed.connect(lambda mode: reported.append(("mode", mode)))
    view.zoom_changed.connect(lambda percent: reported.append(("zoom", percent)))
    view.split_changed.connect(lambda split: reported.append(("split", split)))
    view.visible_region_changed.connect(lambda region: reported.append(("region", region)))
    view.smooth_changed.connect(lambda on: reported.append(("smooth", on)))

    view.set_zoom(100)
    view.set_zoom(100)
    assert reported == [("zoom", 100), ("region", (100, 75, 200, 150))]
    reported.clear()
    view.set_mode(CompareMode.SINGLE)
    view.set_mode(CompareMode.SINGLE)
    view.set_split(0.75)
    view.set_split(0.75)
    view.set_smooth(True)
    view.set_smooth(True)
    assert reported == [("mode", CompareMode.SINGLE), ("split", 0.75), ("smooth", True)]
    reported.clear()
    view.set_layers(None, None)
    assert reported == [("region", None)]


def test_reading_at_returns_pixel_and_both_colours(view: CompareView, left: Rgba, right: Rgba) -> None:
    view.set_zoom(100)
    reading = view._scene.reading_at(10.5, 20.5)
    assert reading == CursorReading(110, 95, tuple(left[95, 110].tolist()), tuple(right[95, 110].tolist()))
    view.set_mode(CompareMode.SIDE)
    here, there = view._scene.reading_at(10, 20), view._scene.reading_at(10 + 103, 20)
    assert here == there
    assert view._scene.reading_at(100, 20) is None  # between the panes


def test_cursor_moved_is_emitted_when_zoom_changes_and_when_mouse_leaves(qtbot: QtBot, view: CompareView) -> None:
    QTest.mouseMove(view, QPoint(50, 60))
    with qtbot.waitSignal(view.cursor_moved) as blocker:
        view.set_zoom(800)
    assert isinstance(blocker.args[0], CursorReading)
    with qtbot.waitSignal(view.cursor_moved) as blocker:
        QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    assert blocker.args == [None]


# Around the picture.


def test_captions_stay_on_their_side_of_split_and_follow_mode(view: CompareView) -> None:
    view.resize(600, 300)
    for split in (0.0, 0.2, 0.8, 1.0):
        view.set_split(split)
        left, right = view.caption_box(Side.LEFT), view.caption_box(Side.RIGHT)
        assert left is not None
        assert right is not None
        assert 0 <= left.left() < left.right() < right.left() < right.right() <= 600
        assert right.bottom() <= BAR_HEIGHT
        handle = view.handle_x()
        assert handle is not None
        if 0.2 <= split <= 0.8:
            assert left.right() < handle < right.left()
    view.set_mode(CompareMode.SINGLE)
    assert view.caption_box(Side.LEFT) is None
    view.set_left_held(True)
    assert view.caption_box(Side.RIGHT) is None


def test_right_to_left_layout_does_not_mirror_view(view: CompareView) -> None:
    view.set_zoom(100)
    view.set_split(0.3)
    before = rgba_from_qimage(view.grab().toImage())
    view.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    np.testing.assert_array_equal(rgba_from_qimage(view.grab().toImage()), before)


def test_focus_ring_is_shown_and_covers_no_picture_pixel(qtbot: QtBot, view: CompareView) -> None:
    view.set_mode(CompareMode.SINGLE)
    before = canvas(view)
    with qtbot.waitActive(view):
        view.activateWindow()
    view.clearFocus()
    view.setFocus(Qt.FocusReason.TabFocusReason)
    ringed = rgba_from_qimage(view.grab().toImage())
    np.testing.assert_array_equal(canvas(view), before)
    accent = view.palette().color(QPalette.ColorRole.Accent).getRgb()
    assert tuple(ringed[BAR_HEIGHT, 50].tolist()) == accent
    assert tuple(ringed[-1, 50].tolist()) == accent
    view.clearFocus()
    assert tuple(rgba_from_qimage(view.grab().toImage())[-1, 50].tolist()) != accent


def test_drop_hint_highlights_canvas_until_removed(view: CompareView) -> None:
    before = canvas(view)
    view.set_drop_hint("Add <b>12</b> & more to the batch")
    lit = canvas(view)
    assert (lit != before).any(axis=2).mean() > 0.95
    view.set_drop_hint(None)
    np.testing.assert_array_equal(canvas(view), before)


def test_view_without_layers_shows_text_and_ignores_zoom_and_pan(qtbot: QtBot) -> None:
    view = CompareView()
    qtbot.addWidget(view)
    view.resize(400, 300)
    view.set_canvas_color(QColor(0, 0, 0))
    shown = canvas(view)
    assert (shown[0, 0] == [0, 0, 0, 255]).all()
    assert shown[:, :, :3].any()  # a line of text
    assert view.visible_region() is None
    view.set_zoom(200)
    view.step_zoom(1)
    view.pan_by_share(1, 1)
    view.refresh((0, 0, 5, 5))
    assert not view.can_wipe


@pytest.mark.parametrize("mode", list(CompareMode))
def test_only_layer_is_shown_in_every_mode(view: CompareView, left: Rgba, mode: CompareMode) -> None:
    view.set_right(None)
    view.set_zoom(100)
    view.set_mode(mode)
    x, y, width, _ = view.visible_region() or (0, 0, 0, 0)
    np.testing.assert_array_equal(canvas(view)[:, :width], left[y : y + 150, x : x + width])
    assert not view.can_wipe


def test_canvas_follows_theme_unless_colour_is_set(qtbot: QtBot) -> None:
    view = CompareView()
    qtbot.addWidget(view)
    view.resize(300, 300)
    for window, gray in (("#f5f5f5", 0x6E), ("#1c1c1c", 0x3C)):
        palette = view.palette()
        palette.setColor(QPalette.ColorRole.Window, QColor(window))
        view.setPalette(palette)
        assert canvas(view)[0, 0].tolist() == [gray, gray, gray, 255]
    view.set_canvas_color(QColor("white"))
    assert canvas(view)[0, 0].tolist() == [255, 255, 255, 255]
    view.set_canvas_color(None)
    assert canvas(view)[0, 0, 0] == 0x3C


def test_accessible_description_names_layers(view: CompareView) -> None:
    assert view.accessibleName()
    assert "Bicubic" in view.accessibleDescription()
    assert "VDSR" in view.accessibleDescription()
    assert view.focusPolicy() == Qt.FocusPolicy.StrongFocus
    view.set_layers(None, None)
    assert "No picture" in view.accessibleDescription()


def test_tiny_view_can_be_painted_in_every_mode(view: CompareView) -> None:
    for width, height in ((0, 0), (1, 1), (5, 31), (31, 5), (7, 40)):
        view.setMinimumSize(0, 0)
        view.resize(width, height)
        for mode in CompareMode:
            view.set_mode(mode)
            view.grab()
