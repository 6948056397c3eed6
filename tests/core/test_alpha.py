"""Enlarging with transparency: hidden colours do not bleed, and nothing else changes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdsr_app.control import CancelToken
from vdsr_app.core.alpha import PictureResampler, half_size_fill
from vdsr_app.core.picture import Pixels
from vdsr_app.core.resize import resize
from vdsr_app.errors import Cancelled

RED, BLACK, GREEN = (230, 20, 30), (0, 0, 0), (0, 255, 0)
WHOLE = slice(None)


def disc(hidden: tuple[int, int, int], *, side: int = 41, soft: bool = True) -> tuple[Pixels, Pixels]:
    """A red disc with a smooth or hard edge; `hidden` is the colour of fully transparent pixels."""
    y, x = np.mgrid[:side, :side] - side // 2
    distance = np.hypot(x, y) - side / 3
    cover = np.clip(0.5 - distance, 0, 1) if soft else distance < 0
    alpha = np.rint(255 * cover).astype(np.uint8)
    pixels = np.full((side, side, 3), RED, np.uint8)
    pixels[alpha == 0] = hidden
    return pixels, alpha


def enlarged(
    pixels: Pixels, alpha: Pixels | None, scale: float, kernel: str = "bicubic"
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    source = PictureResampler(pixels, alpha, height, width, kernel)
    colours, shown = source.region(slice(0, height), slice(0, width))
    assert shown is not None
    return colours, shown


def over(
    colours: npt.NDArray[np.floating], alpha: npt.NDArray[np.floating], background: float
) -> npt.NDArray[np.float64]:
    share = np.asarray(alpha, np.float64)[..., None] / 255
    return np.asarray(np.clip(colours, 0, 255) * share + background * (1 - share))


@pytest.mark.parametrize("hidden", [BLACK, GREEN])
@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1.3, 2.0, 4.0])
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "lanczos"])
def test_red_disc_has_no_fringe_over_white_or_black(
    hidden: tuple[int, int, int], soft: bool, scale: float, kernel: str
) -> None:
    colours, alpha = enlarged(*disc(hidden, soft=soft), scale, kernel)
    assert alpha.max() == 255
    assert alpha.min() == 0
    for background in (0.0, 255.0):
        share = alpha[..., None] / 255
        ideal = np.array(RED) * share + background * (1 - share)
        assert np.abs(over(colours, alpha, background) - ideal).max() < 1.0


@pytest.mark.parametrize("hidden", [BLACK, GREEN])
def test_visible_colours_extend_beyond_the_edge(hidden: tuple[int, int, int]) -> None:
    # The network sees these colours, so it would sharpen an edge in them.
    colours, _ = enlarged(*disc(hidden), 2.0)
    assert np.abs(colours - RED).max() < 1.0


def test_enlarging_commutes_with_compositing() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(40, 216, (30, 24, 3), dtype=np.uint8)
    alpha = rng.integers(90, 200, (30, 24), dtype=np.uint8)
    alpha[8:20, 5:15] = rng.integers(0, 4, (12, 10))
    colours, shown = enlarged(pixels, alpha, 3.0)
    share = alpha[..., None].astype(np.float64) / 255
    ideal = resize(pixels * share + 128.0 * (1 - share), 90, 72, dtype=np.float64)
    weight = shown[..., None].astype(np.float64) / 255
    error = np.abs(colours * weight + 128.0 * (1 - weight) - ideal)[shown > 16]
    assert error.max() < 0.01
    assert error.size > 0.7 * colours.size


def test_nearly_transparent_pixels_do_not_colour_their_neighbours() -> None:
    pixels, alpha = disc(GREEN, soft=False)
    alpha[alpha == 0] = 1  # as editors leave it: colours there are arbitrary
    colours, shown = enlarged(pixels, alpha, 2.0)
    visible = shown > 100
    assert colours[..., 1][visible].max() < RED[1] + 4


def test_scale_one_keeps_alpha_and_visible_colours() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    alpha = rng.integers(0, 256, (20, 30), dtype=np.uint8)
    alpha[:5] = rng.integers(0, 3, (5, 30))
    colours, shown = enlarged(pixels, alpha, 1.0)
    np.testing.assert_array_equal(np.rint(shown), alpha)
    np.testing.assert_array_equal(np.rint(colours)[alpha > 0], pixels[alpha > 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("level", [1, 100, None])
def test_uniform_alpha_is_kept_and_does_not_affect_colours(dtype: type[np.uint8], level: int | None) -> None:
    full = int(np.iinfo(dtype).max)
    pixels = np.random.default_rng(3).integers(0, full, (17, 9, 3)).astype(dtype)
    alpha = np.full((17, 9), level or full, dtype)
    source = PictureResampler(pixels, alpha, 40, 21)
    colours, shown = source.region(slice(3, 40), slice(0, 20))
    assert shown is not None
    assert (shown == (level or full)).all()
    plain, none = PictureResampler(pixels, None, 40, 21).region(slice(3, 40), slice(0, 20))
    assert none is None
    np.testing.assert_array_equal(colours, plain)


def test_opaque_pixels_match_those_of_an_opaque_window() -> None:
    # A window with both kinds of pixels must agree with one of opaque pixels only.
    pixels = np.random.default_rng(4).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    alpha = np.full((60, 60), 255, np.uint8)
    alpha[50:, 50:] = 0
    source = PictureResampler(pixels, alpha, 150, 150)
    both, _ = source.region(slice(0, 150), slice(0, 150))
    opaque, _ = source.region(slice(0, 100), slice(0, 100))
    np.testing.assert_allclose(both[:100, :100], opaque, atol=1e-3)


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    scale=st.floats(1, 4),
    channels=st.sampled_from([1, 3]),
    data=st.data(),
)
def test_any_window_matches_the_whole_result(
    height: int, width: int, scale: float, channels: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(height * 20 + width)
    pixels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    alpha = np.clip(rng.integers(-200, 456, (height, width)), 0, 255).astype(np.uint8)
    whole, whole_alpha = enlarged(pixels, alpha, scale)
    out_h, out_w = whole_alpha.shape
    top, left = data.draw(st.integers(0, out_h - 1)), data.draw(st.integers(0, out_w - 1))
    rows = slice(top, data.draw(st.integers(top + 1, out_h)))
    cols = slice(left, data.draw(st.integers(left + 1, out_w)))
    colours, shown = PictureResampler(pixels, alpha, out_h, out_w).region(rows, cols)
    assert shown is not None
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(shown, whole_alpha[rows, cols], atol=1e-3)
    # Where alpha is close to 0, dividing by it magnifies rounding errors.
    np.testing.assert_allclose(colours, whole[rows, cols], atol=0.05)


def test_fully_transparent_window_gets_fill_colours() -> None:
    source = PictureResampler(*disc(GREEN), 82, 82)
    colours, shown = source.region(slice(0, 8), slice(0, 8))
    assert shown is not None
    assert shown.max() == 0
    assert np.abs(colours - RED).max() < 1.0


def test_nearest_neighbour_keeps_hidden_colours() -> None:
    pixels, alpha = disc(GREEN, side=9)
    colours, shown = enlarged(pixels, alpha, 2.0, "nearest")
    np.testing.assert_array_equal(colours, pixels.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(shown, alpha.repeat(2, 0).repeat(2, 1))


class TestFill:
    def test_fill_is_none_when_all_or_no_pixels_are_visible(self) -> None:
        pixels = np.zeros((4, 4, 3), np.uint8)
        assert half_size_fill(pixels, np.full((4, 4), 1, np.uint8)) is None
        assert half_size_fill(pixels, np.zeros((4, 4), np.uint8)) is None

    @pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (300, 601), (513, 256)])
    def test_one_visible_pixel_fills_everything(self, shape: tuple[int, int]) -> None:
        pixels = np.zeros((*shape, 3), np.uint16)
        alpha = np.zeros(shape, np.uint16)
        pixels[-1, -1], alpha[-1, -1] = (60000, 500, 7), 9
        fill = half_size_fill(pixels, alpha)
        if shape == (1, 1):
            assert fill is None
        else:
            assert fill is not None
            assert fill.shape == ((shape[0] + 1) // 2, (shape[1] + 1) // 2, 3)
            assert (fill == (60000, 500, 7)).all()

    def test_fill_changes_smoothly_between_visible_colours(self) -> None:
        pixels = np.zeros((64, 64, 1), np.uint8)
        alpha = np.zeros((64, 64), np.uint8)
        pixels[:, 0], alpha[:, 0] = 50, 255
        pixels[:, -1], alpha[:, -1] = 200, 255
        fill = half_size_fill(pixels, alpha)
        assert fill is not None
        row = fill[16, :, 0].astype(int)
        assert (row[0], row[-1]) == (50, 200)
        assert np.diff(row).min() >= -1
        assert np.diff(row).max() <= 40

    def test_fill_can_be_cancelled(self) -> None:
        token = CancelToken()
        token.cancel()
        with pytest.raises(Cancelled):
            PictureResampler(*disc(GREEN), 82, 82, token=token)

    def test_source_is_not_modified(self) -> None:
        pixels, alpha = disc(GREEN)
        before = pixels.copy(), alpha.copy()
        pixels.flags.writeable = alpha.flags.writeable = False
        enlarged(pixels, alpha, 2.0)
        np.testing.assert_array_equal(pixels, before[0])
        np.testing.assert_array_equal(alpha, before[1])
