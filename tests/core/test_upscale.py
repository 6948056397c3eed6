"""Upscaling whole pictures: colours, depths, sizes, stages, tiles and what they report."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.core.ycbcr import rgb_to_ycbcr, ycbcr_to_rgb
from vdsr_app.control import CancelToken
from vdsr_app.core import upscale
from vdsr_app.core.color import network_luma
from vdsr_app.core.engine import Engine
from vdsr_app.core.job import Target, TargetKind, UpscaleSettings
from vdsr_app.core.network import VDSR, VDSRConfig
from vdsr_app.core.picture import Picture, Pixels, SourceInfo
from vdsr_app.core.resize import KERNELS, resize
from vdsr_app.core.tiling import Rect
from vdsr_app.core.upscale import TileResult, cascade_sizes, interpolate_picture, upscale_picture
from vdsr_app.errors import Cancelled, NonFiniteOutputError, PictureTooLargeError, UsageError


def network(gain: float = 1.0, depth: int = 3, width: int = 4) -> VDSR:
    """A network whose residual is a visible part of the picture; `gain` 0 makes it bicubic interpolation."""
    torch.manual_seed(0)
    model = VDSR(VDSRConfig(depth, width))
    with torch.no_grad():
        for layer in model.layers:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            layer.weight.normal_(0, (1 / (9 * layer.in_channels)) ** 0.5)
            layer.bias.normal_(0, 0.02)
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        layer.weight.mul_(0.3 * gain)
        layer.bias.mul_(gain)
    return model


def edge_detector() -> VDSR:
    """A network that does not change even areas and adds 8 times the Laplacian at edges."""
    model = VDSR(VDSRConfig(2, 2))
    laplacian = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    centre = torch.zeros(3, 3)
    centre[1, 1] = 8.0
    first, last = model.layers
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    assert first.bias is not None
    assert last.bias is not None
    with torch.no_grad():
        first.weight.copy_(torch.stack([laplacian, -laplacian])[:, None])
        last.weight.copy_(torch.stack([centre, -centre])[None])
        first.bias.zero_()
        last.bias.zero_()
    return model


MODEL = network()


def engine(model: VDSR = MODEL) -> Engine:
    return Engine.create(model, device="cpu", precision="fp32")


def picture(
    height: int, width: int, channels: int = 3, dtype: type[np.uint8 | np.uint16] = np.uint8, *, alpha: bool = False
) -> Picture:
    rng = np.random.default_rng(height * 1000 + width)
    full = int(np.iinfo(dtype).max)
    return Picture(
        rng.integers(0, full, (height, width, channels), endpoint=True).astype(dtype),
        rng.integers(0, full, (height, width), endpoint=True).astype(dtype) if alpha else None,
        icc=b"profile",
        exif=b"exif",
        xmp=b"xmp",
        dpi=(300.0, 300.0),
        source=SourceInfo(format="png"),
    )


def by(scale: float, tile_px: int | None = None) -> UpscaleSettings:
    return UpscaleSettings(target=Target(TargetKind.SCALE, scale), tile_px=tile_px)


def through_network(
    luma: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Output of the network for a whole plane, from its own forward pass."""
    with torch.inference_mode():
        tensor = torch.from_numpy(luma.astype(np.float32))[None, None]
        result: np.ndarray[tuple[int, int], np.dtype[np.float64]] = MODEL(tensor)[0, 0].numpy().astype(np.float64)
    return result


class TestColours:
    @pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535)])
    def test_rgb_result_equals_computation_in_ycbcr(self, dtype: type[np.uint8], full: int) -> None:
        source = picture(23, 31, dtype=dtype)
        result = upscale_picture(source, by(2.5, tile_px=20), engine())
        bicubic = resize(source.pixels, 58, 78, dtype=np.float64) * (255 / full)
        ycbcr = rgb_to_ycbcr(bicubic)
        residual = through_network(ycbcr[..., 0] / 255) * 255 - ycbcr[..., 0]
        assert np.abs(residual).max() > 5
        ycbcr[..., 0] += residual
        expected = ycbcr_to_rgb(ycbcr)
        assert expected.min() < -5
        assert expected.max() > 260
        expected = np.clip(expected, 0, 255) * (full / 255)
        # Within rounding to whole numbers, and float32 against float64.
        assert np.abs(result.pixels - expected).max() <= 0.5 + full * 1e-6
        assert result.pixels.dtype == dtype

    @pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535)])
    def test_gray_result_equals_that_of_its_rgb_copy(self, dtype: type[np.uint8], full: int) -> None:
        source = picture(23, 31, 1, dtype)
        result = upscale_picture(source, by(2.0), engine())
        bicubic = resize(source.pixels[..., 0], 46, 62, dtype=np.float64) / full
        luma = (16 + 219 * bicubic) / 255
        expected = np.clip(bicubic + (through_network(luma) - luma) * 255 / 219, 0, 1) * full
        assert result.pixels.shape == (46, 62, 1)
        assert np.abs(result.pixels[..., 0] - expected).max() <= 0.5 + full * 1e-6
        copy = replace(source, pixels=np.repeat(source.pixels, 3, axis=2))
        in_rgb = upscale_picture(copy, by(2.0), engine()).pixels.astype(int)
        assert np.abs(in_rgb - result.pixels).max() <= 1

    @pytest.mark.parametrize("alpha", [False, True])
    def test_result_is_interpolated_picture_when_residual_is_zero(self, alpha: bool) -> None:
        source = picture(37, 21, alpha=alpha)
        result = upscale_picture(source, by(2.7, tile_px=16), engine(network(gain=0)))
        size = by(2.7).target.size_for(21, 37)
        plain = interpolate_picture(source, size)
        np.testing.assert_array_equal(result.pixels, plain.pixels)
        if alpha:
            assert result.alpha is not None
            assert plain.alpha is not None
            np.testing.assert_array_equal(result.alpha, plain.alpha)

    def test_alpha_metadata_and_source_are_carried_over(self) -> None:
        source = picture(9, 9, alpha=True)
        for result in (
            upscale_picture(source, by(2.0), engine()),
            interpolate_picture(source, by(2.0).target.size_for(9, 9)),
        ):
            assert result.alpha is not None
            assert (result.icc, result.exif, result.xmp, result.dpi) == (b"profile", b"exif", b"xmp", (300.0, 300.0))
            assert result.source is source.source


class TestTransparency:
    def disc(self, hidden: int) -> Picture:
        y, x = np.mgrid[:40, :40] - 20
        alpha = np.where(np.hypot(x, y) < 13, 255, 0).astype(np.uint8)
        pixels = np.full((40, 40, 3), (230, 20, 30), np.uint8)
        pixels[alpha == 0] = (0, hidden, 0)
        return Picture(pixels, alpha)

    @pytest.mark.parametrize("scale", [1.0, 2.0, 3.3, 6.0])
    @pytest.mark.parametrize("hidden", [0, 255])
    def test_network_sees_no_edge_at_border_of_transparency(self, hidden: int, scale: float) -> None:
        result = upscale_picture(self.disc(hidden), by(scale, tile_px=32), engine(edge_detector()))
        assert result.alpha is not None
        # The outermost pixels are an edge to the network, in any picture.
        shown = result.alpha > 0
        assert np.abs(result.pixels[shown].astype(int) - (230, 20, 30)).max() <= 1

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("scale", [1.0, 2.3, 5.0])
    def test_opaque_alpha_stays_opaque_and_does_not_affect_pixels(self, dtype: type[np.uint8], scale: float) -> None:
        source = picture(30, 20, dtype=dtype)
        opaque = replace(source, alpha=np.full((30, 20), np.iinfo(dtype).max, dtype))
        result = upscale_picture(opaque, by(scale, tile_px=32), engine())
        assert result.alpha is not None
        assert result.alpha.dtype == dtype
        assert (result.alpha == np.iinfo(dtype).max).all()
        np.testing.assert_array_equal(result.pixels, upscale_picture(source, by(scale, tile_px=32), engine()).pixels)

    def test_alpha_is_enlarged_bicubically(self) -> None:
        source = picture(20, 25, alpha=True)
        assert source.alpha is not None
        result = upscale_picture(source, by(2.0, tile_px=16), engine())
        assert result.alpha is not None
        expected = np.clip(resize(source.alpha, 40, 50, dtype=np.float64), 0, 255)
        assert np.abs(result.alpha - expected).max() <= 0.51


class TestSizes:
    @settings(deadline=None, max_examples=60)
    @given(
        width=st.integers(1, 24),
        height=st.integers(1, 24),
        scale=st.floats(1.0, 8.0),
        channels=st.sampled_from([1, 3]),
        alpha=st.booleans(),
    )
    def test_result_has_exact_size_at_any_scale(
        self, width: int, height: int, scale: float, channels: int, alpha: bool
    ) -> None:
        source = picture(height, width, channels, alpha=alpha)
        size = by(scale).target.size_for(width, height)
        for result in (upscale_picture(source, by(scale), engine()), interpolate_picture(source, size)):
            assert result.pixels.shape == (size.height, size.width, channels)
            assert (result.alpha is not None) == alpha

    @pytest.mark.parametrize("scale", [1.0, 2.0, 8.0])
    @pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
    def test_thin_flat_pictures_are_enlarged_and_stay_flat(self, shape: tuple[int, int], scale: float) -> None:
        flat = Picture(np.full((*shape, 3), 77, np.uint8))
        result = upscale_picture(flat, by(scale), engine(network(gain=0)))
        assert result.pixels.shape == (shape[0] * scale, shape[1] * scale, 3)
        assert (result.pixels == 77).all()

    def test_network_is_applied_at_scale_one(self) -> None:
        source = picture(16, 16)
        same = upscale_picture(source, by(1.0), engine(network(gain=0)))
        np.testing.assert_array_equal(same.pixels, source.pixels)
        assert (upscale_picture(source, by(1.0), engine()).pixels != source.pixels).any()

    @pytest.mark.parametrize("scale", [0.5, 8.5, math.nan])
    def test_upscale_rejects_scales_out_of_range(self, scale: float) -> None:
        with pytest.raises(UsageError):
            upscale_picture(picture(4, 4), by(scale), engine())

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_interpolate_picture_matches_resize_and_reports_progress(self, kernel: str) -> None:
        source = picture(600, 40)
        rows: list[tuple[int, int]] = []
        result = interpolate_picture(
            source, by(2.0).target.size_for(40, 600), kernel, on_rows=lambda done, total: rows.append((done, total))
        )
        expected = np.clip(np.floor(resize(source.pixels, 1200, 80, kernel) + 0.5), 0, 255)
        np.testing.assert_array_equal(result.pixels, expected)
        assert rows[-1] == (1200, 1200)
        assert [done for done, _ in rows] == sorted({done for done, _ in rows})

    def test_interpolate_picture_rejects_unknown_kernel(self) -> None:
        with pytest.raises(UsageError):
            interpolate_picture(picture(4, 4), by(2.0).target.size_for(4, 4), "magic")


class TestCascade:
    def test_cascade_has_one_stage_up_to_scale_four(self) -> None:
        for scale in (1.0, 2.0, 4.0):
            size = by(scale).target.size_for(100, 60)
            assert cascade_sizes(100, 60, size) == [(size.width, size.height)]

    @given(width=st.integers(1, 5000), height=st.integers(1, 5000), scale=st.floats(4.001, 8.0))
    def test_cascade_has_two_equal_stages_above_scale_four(self, width: int, height: int, scale: float) -> None:
        size = by(scale).target.size_for(width, height)
        between, last = cascade_sizes(width, height, size)
        assert last == (size.width, size.height)
        for start, middle, end in zip((width, height), between, last, strict=True):
            assert start <= middle <= end
            assert abs(middle - start * scale**0.5) <= 1.0

    def test_cascade_equals_two_enlargements_with_16_bits_between(self) -> None:
        source = picture(16, 16, alpha=True)
        assert source.alpha is not None
        deep = replace(source, pixels=source.pixels.astype(np.uint16) * 257, alpha=source.alpha.astype(np.uint16) * 257)
        size = by(6.0).target.size_for(16, 16)
        (width, height), _ = cascade_sizes(16, 16, size)
        first = upscale_picture(deep, UpscaleSettings(Target(TargetKind.WIDTH, width)), engine())
        assert first.pixels.shape[:2] == (height, width)
        second = upscale_picture(first, UpscaleSettings(Target(TargetKind.WIDTH, size.width)), engine())
        assert second.alpha is not None
        result = upscale_picture(source, by(6.0), engine())
        assert result.alpha is not None
        assert result.pixels.dtype == np.uint8
        assert np.abs(result.pixels - second.pixels / 257).max() <= 0.51
        assert np.abs(result.alpha - second.alpha / 257).max() <= 0.51

    def test_progress_counts_both_stages_and_only_last_stage_emits_tiles(self) -> None:
        progress: list[tuple[int, int]] = []
        shown: list[TileResult] = []
        result = upscale_picture(
            picture(10, 10),
            by(8.0, tile_px=20),
            engine(),
            on_progress=lambda done, total: progress.append((done, total)),
            on_tile=shown.append,
        )
        total = 28 * 28 + 80 * 80
        assert progress[-1] == (total, total)
        assert len(progress) == 4 + 16
        assert len(shown) == 16
        assert sum(tile.width * tile.height for tile in shown) == result.width * result.height
        assert (shown[-1].done_px, shown[-1].total_px) == (total, total)


class TestTiles:
    @pytest.mark.parametrize("alpha", [False, True])
    def test_emitted_tiles_make_up_the_result(self, alpha: bool) -> None:
        tiles: list[TileResult] = []
        result = upscale_picture(picture(20, 30, alpha=alpha), by(2.0, tile_px=16), engine(), on_tile=tiles.append)
        pixels = np.zeros_like(result.pixels)
        shown = np.zeros(result.pixels.shape[:2], np.uint8)
        for tile in tiles:
            rows, cols = slice(tile.y, tile.y + tile.height), slice(tile.x, tile.x + tile.width)
            pixels[rows, cols] = tile.pixels
            assert (tile.alpha is not None) == alpha
            if tile.alpha is not None:
                shown[rows, cols] = tile.alpha
            tile.pixels.fill(0)  # the tile is the receiver's own copy
        assert len(tiles) == 12
        np.testing.assert_array_equal(pixels, result.pixels)
        if result.alpha is not None:
            np.testing.assert_array_equal(shown, result.alpha)

    @settings(deadline=None, max_examples=25)
    @given(tile_px=st.integers(5, 80), x=st.integers(0, 70), y=st.integers(0, 50), scale=st.sampled_from([2.0, 5.0]))
    def test_result_does_not_depend_on_size_or_order_of_tiles(self, tile_px: int, x: int, y: int, scale: float) -> None:
        source = picture(11, 15, dtype=np.uint16)
        whole = upscale_picture(source, by(scale, tile_px=1000), engine())
        tiled = upscale_picture(source, by(scale, tile_px=tile_px), engine(), visible=lambda: Rect(x, y, 9, 9))
        # 1e-5 of full scale.
        assert np.abs(whole.pixels.astype(int) - tiled.pixels).max() <= 1

    def test_result_is_identical_in_any_order_of_tiles(self) -> None:
        source = picture(30, 30)
        plain = upscale_picture(source, by(2.0, tile_px=16), engine())
        ordered = upscale_picture(source, by(2.0, tile_px=16), engine(), visible=lambda: Rect(50, 50, 9, 9))
        np.testing.assert_array_equal(plain.pixels, ordered.pixels)

    @pytest.mark.parametrize("scale", [2.0, 6.0])
    def test_visible_tile_is_emitted_first(self, scale: float) -> None:
        side = round(40 * scale)
        tiles: list[TileResult] = []
        visible = Rect(side - 20, side - 20, 20, 20)
        upscale_picture(picture(40, 40), by(scale, tile_px=20), engine(), on_tile=tiles.append, visible=lambda: visible)
        assert (tiles[0].x, tiles[0].y) == (side - 20, side - 20)

    def test_smaller_tiles_give_same_result_when_memory_is_short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        source = picture(40, 40, alpha=True)
        expected = upscale_picture(source, by(2.0, tile_px=80), engine())

        def short(colours: Pixels, full_scale: float) -> Pixels:
            if max(colours.shape) > 40:
                raise MemoryError
            return network_luma(colours, full_scale)

        monkeypatch.setattr(upscale, "network_luma", short)
        notices: list[str] = []
        progress: list[int] = []
        result = upscale_picture(
            source,
            by(2.0, tile_px=80),
            engine(),
            on_notice=notices.append,
            on_progress=lambda done, total: progress.append(done),
        )
        assert notices == ["Memory was short: smaller tiles are used."]
        assert progress[-1] == 6400
        assert np.abs(result.pixels.astype(int) - expected.pixels).max() <= 1


class TestFailure:
    def test_cancel_stops_upscaling_between_tiles_and_interpolation(self) -> None:
        token = CancelToken()
        tiles: list[TileResult] = []

        def stop(tile: TileResult) -> None:
            tiles.append(tile)
            token.cancel()

        with pytest.raises(Cancelled):
            upscale_picture(picture(20, 20), by(2.0, tile_px=10), engine(), token=token, on_tile=stop)
        assert len(tiles) == 1
        with pytest.raises(Cancelled):
            interpolate_picture(picture(20, 20), by(2.0).target.size_for(20, 20), token=token)

    def test_non_finite_network_output_is_rejected(self) -> None:
        model = network()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(1e30)
        with pytest.raises(NonFiniteOutputError):
            upscale_picture(picture(8, 8), by(2.0), engine(model))

    @pytest.mark.parametrize("alpha", [False, True])
    def test_flat_result_is_rejected_unless_source_is_flat(self, alpha: bool) -> None:
        model = network()
        with torch.no_grad():
            model.layers[-1].bias.fill_(-5.0)  # all black
        with pytest.raises(NonFiniteOutputError, match="one flat colour"):
            upscale_picture(picture(8, 8, alpha=alpha), by(2.0), engine(model))
        flat = Picture(np.full((8, 8, 3), 77, np.uint8))
        assert (upscale_picture(flat, by(2.0), engine(model)).pixels == 0).all()

    def test_result_too_large_for_memory_is_rejected(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise MemoryError

        source, ready = picture(8, 8), engine()
        monkeypatch.setattr(np, "empty", refuse)
        with pytest.raises(PictureTooLargeError, match="16 x 16 pixels"):
            upscale_picture(source, by(2.0), ready)

    def test_peak_memory_is_little_more_than_the_result(self) -> None:
        source = picture(700, 700, alpha=True)
        tracemalloc.start()
        try:
            result = upscale_picture(source, by(2.0, tile_px=128), engine(network(depth=2, width=2)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert result.alpha is not None
        result_bytes = result.pixels.nbytes + result.alpha.nbytes
        # The fill under the transparency takes a third of the source; a float plane would take as much as the result, 4
        # bytes per pixel.
        assert peak < result_bytes + result_bytes // 4 + 4 * 2**20
