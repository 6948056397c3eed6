"""The Winograd kernels against PyTorch's convolutions in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from vdsr_app.core.winograd import transforms
from vdsr_app.core.winograd.ends import add_end_gradient, first_filter, gather, last_filter, spread
from vdsr_app.core.winograd.kernels import (
    add_filter_gradient,
    add_filter_gradient_in_bf16,
    add_plane,
    convolve,
    filter_gradients,
    fits,
    plane_shape,
    scratch,
    slope_scratch,
    transform_filters,
    transformed_filters,
)

NO_MASK = np.zeros((0, 0, 0), np.float32)
NO_MASK_OF_HALVES = np.zeros((0, 0, 0), np.uint16)


def _plane(values: np.ndarray) -> np.ndarray:
    height, width, channels = values.shape
    plane = np.zeros(plane_shape(height, width, channels), np.float32)
    plane[1 : height + 1, 1 : width + 1] = values
    return plane


def _conv(values: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """Convolution of (H, W, C) with zero padding, in float64."""
    x = torch.from_numpy(values.astype(np.float64)).permute(2, 0, 1)[None]
    b = None if bias is None else torch.from_numpy(bias.astype(np.float64))
    y = torch.nn.functional.conv2d(x, torch.from_numpy(weight.astype(np.float64)), b, padding=1)
    return y[0].permute(1, 2, 0).numpy()


def _random(seed: int, height: int, width: int, channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((height, width, channels)).astype(np.float32)
    weight = (rng.standard_normal((channels, channels, 3, 3)) * (2 / (9 * channels)) ** 0.5).astype(np.float32)
    return values, weight, rng.standard_normal(channels).astype(np.float32)


@settings(max_examples=25)
@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([16, 32, 48, 64]), st.integers(0, 2**31))
def test_convolve_matches_pytorch_at_any_size(height: int, width: int, channels: int, seed: int) -> None:
    values, weight, bias = _random(seed, height, width, channels)
    target = _plane(np.zeros_like(values))
    (filters,) = transformed_filters(weight[None])
    convolve(_plane(values), target, filters, bias, NO_MASK, (0, height, 0, width), *scratch(channels))
    expected = np.maximum(_conv(values, weight, bias), 0)
    assert np.abs(target[1 : height + 1, 1 : width + 1] - expected).max() < 1e-4
    target[1 : height + 1, 1 : width + 1] = 0
    assert not target.any(), "the ring was written to"


def test_convolve_writes_only_the_box() -> None:
    values, weight, bias = _random(1, 20, 24, 16)
    target = np.full(plane_shape(20, 24, 16), 7, np.float32)
    (filters,) = transformed_filters(weight[None])
    convolve(_plane(values), target, filters, bias, NO_MASK, (3, 16, 5, 19), *scratch(16))
    expected = np.maximum(_conv(values, weight, bias), 0)
    assert np.abs(target[4:17, 6:20] - expected[3:16, 5:19]).max() < 1e-4
    target[4:17, 6:20] = 7
    assert (target == 7).all()


def test_mask_replaces_bias_and_relu() -> None:
    values, weight, bias = _random(2, 13, 10, 32)
    mask = _plane(np.random.default_rng(3).standard_normal(values.shape).astype(np.float32))
    target = _plane(np.zeros_like(values))
    (filters,) = transformed_filters(weight[None])
    convolve(_plane(values), target, filters, bias, mask, (0, 13, 0, 10), *scratch(32))
    expected = _conv(values, weight) * (mask[1:14, 1:11] > 0)
    assert np.abs(target[1:14, 1:11] - expected).max() < 1e-4


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 4), (23, 41), (48, 48)])
def test_filter_gradient_matches_pytorch(height: int, width: int) -> None:
    values, weight, _ = _random(4, height, width, 64)
    slope = np.random.default_rng(5).standard_normal(values.shape).astype(np.float32)
    out = np.zeros((36, 4, 64, 16), np.float32)
    for _ in range(2):  # it adds to `out`
        add_filter_gradient(_plane(values), _plane(slope), height, width, out, *slope_scratch(64))
    (gradient,) = filter_gradients(out[None])
    x, y = (torch.from_numpy(each.astype(np.float64)).permute(2, 0, 1)[None] for each in (values, slope))
    expected = 2 * torch.nn.grad.conv2d_weight(x, weight.shape, y, padding=1).numpy()
    assert np.abs(gradient - expected).max() < 2e-4 * np.abs(expected).max()


def _halves(numbers: np.ndarray) -> np.ndarray:
    """The nearest bfloat16, ties away from zero."""
    return ((np.ascontiguousarray(numbers).view(np.uint32) + np.uint32(0x8000)) >> np.uint32(16)).astype(np.uint16)


def _floats(halves: np.ndarray) -> np.ndarray:
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _words(weight: np.ndarray) -> np.ndarray:
    channels = len(weight)
    words = np.zeros((36, channels // 16, channels // 2, 16), np.uint32)
    transform_filters(weight, words)
    return words


@settings(max_examples=25)
@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([16, 32, 48, 64]), st.integers(0, 2**31))
def test_convolve_in_bf16_matches_pytorch_except_for_rounding(
    height: int, width: int, channels: int, seed: int
) -> None:
    values, weight, bias = _random(seed, height, width, channels)
    target = _halves(_plane(np.zeros_like(values)))
    convolve(
        _halves(_plane(values)),
        target,
        _words(weight),
        bias,
        NO_MASK_OF_HALVES,
        (0, height, 0, width),
        *scratch(channels, halves=True),
    )
    error = _floats(target[1 : height + 1, 1 : width + 1]) - np.maximum(_conv(values, weight, bias), 0)
    # The values are about 1. The worst case is a single number; over many numbers it is 0.02.
    assert np.sqrt(np.square(error).mean()) < 0.06
    target[1 : height + 1, 1 : width + 1] = 0
    assert not target.any(), "the ring was written to"


@pytest.mark.parametrize("channels", [16, 48, 64])
@pytest.mark.parametrize("turned", [False, True])
def test_transform_filters_matches_exact_filters_in_float32_and_bf16(channels: int, turned: bool) -> None:
    _, weight, _ = _random(8, 1, 1, channels)
    if turned:  # as in the backward pass: a view in another order
        weight = weight.transpose(1, 0, 2, 3)[..., ::-1, ::-1]
    (exact,) = transformed_filters(weight[None])
    floats = np.zeros_like(exact)
    transform_filters(weight, floats)
    assert np.abs(floats - exact).max() < 1e-6 * np.abs(exact).max()

    words = _words(weight)
    assert np.array_equal(words & np.uint32(0xFFFF), _halves(floats[:, :, 0::2]))
    assert np.array_equal(words >> np.uint32(16), _halves(floats[:, :, 1::2]))


def test_mask_in_bf16_replaces_bias_and_relu() -> None:
    values, weight, bias = _random(2, 13, 10, 32)
    mask = _halves(_plane(np.random.default_rng(3).standard_normal(values.shape).astype(np.float32)))
    target = _halves(_plane(np.zeros_like(values)))
    plane, memory = _halves(_plane(values)), scratch(32, halves=True)
    convolve(plane, target, _words(weight), bias, mask, (0, 13, 0, 10), *memory)
    passes = _floats(mask[1:14, 1:11]) > 0
    result = _floats(target[1:14, 1:11])
    assert not result[~passes].any()
    assert np.abs(result - _conv(values, weight))[passes].mean() < 0.03


@pytest.mark.parametrize(("height", "width", "channels"), [(1, 1, 64), (4, 4, 48), (23, 41, 64), (48, 48, 64)])
def test_filter_gradient_in_bf16_matches_pytorch(height: int, width: int, channels: int) -> None:
    values, weight, _ = _random(4, height, width, channels)
    slope = np.random.default_rng(5).standard_normal(values.shape).astype(np.float32)
    memory = slope_scratch(channels)
    for each in memory:
        each[:] = np.nan  # leftovers of earlier calls must not be summed where a pair lacks its second block
    out = np.zeros((36, channels // 16, channels, 16), np.float32)
    for _ in range(2):  # it adds to `out`
        planes = _halves(_plane(values)), _halves(_plane(slope))
        add_filter_gradient_in_bf16(*planes, height, width, out, *memory)
    (gradient,) = filter_gradients(out[None])
    x, y = (torch.from_numpy(each.astype(np.float64)).permute(2, 0, 1)[None] for each in (values, slope))
    expected = 2 * torch.nn.grad.conv2d_weight(x, weight.shape, y, padding=1).numpy()
    assert np.linalg.norm(gradient - expected) < 0.04 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("load", "kind"),
    [
        ("load_block", np.float32),
        ("load_block", np.uint16),
        ("load_first_of_pair", np.uint16),
        ("load_filter", np.float32),
    ],
)
def test_transforms_are_identical_for_any_vector_length(monkeypatch: pytest.MonkeyPatch, load: str, kind: Any) -> None:
    values, _, _ = _random(7, 6, 6, 48)
    made = []
    for lanes in (8, 16):
        monkeypatch.setattr(transforms, "LANES", lanes)
        block = getattr(transforms, load)

        @njit
        def call(source: Any, out: Any) -> None:
            block(source, source.ctypes.data, 6 * 48, 48, out.ctypes.data, out.shape[1], 48, 16)  # noqa: B023 - run now

        out = np.zeros((36, 64), np.float32)
        call(np.ascontiguousarray(values) if kind is np.float32 else _halves(values), out)
        made.append(out)
    assert made[0].any()
    assert np.array_equal(made[0].view(np.uint32), made[1].view(np.uint32))


@pytest.mark.parametrize("halves", [False, True])
def test_add_plane_adds_sum_of_each_channel(halves: bool) -> None:
    values, _, _ = _random(9, 7, 5, 48)
    plane = _halves(_plane(values)) if halves else _plane(values)
    out = np.ones(48, np.float32)

    @njit
    def call(plane: Any, out: Any) -> None:
        add_plane(plane, 7, 5, out)

    call(plane, out)
    expected = 1 + (_floats(_halves(values)) if halves else values).sum(axis=(0, 1))
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-4)


def test_convolve_propagates_nan() -> None:
    values, weight, bias = _random(6, 12, 12, 16)
    values[5, 5, 3] = np.nan
    target = _plane(np.zeros_like(values))
    (filters,) = transformed_filters(weight[None])
    convolve(_plane(values), target, filters, bias, NO_MASK, (0, 12, 0, 12), *scratch(16))
    assert np.isnan(target[5:8, 5:8]).all()


@settings(max_examples=25)
@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([16, 64]), st.integers(0, 2**31))
def test_first_and_last_layer_match_pytorch(height: int, width: int, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    luma = rng.random((height, width)).astype(np.float32)
    first, bias = rng.standard_normal((channels, 1, 3, 3)), rng.standard_normal(channels)
    plane = _plane(np.zeros((height, width, channels), np.float32))
    spread(np.pad(luma, 1), first_filter(first, bias), plane, NO_MASK, (0, height, 0, width))
    expected = np.maximum(_conv(luma[..., None], first, bias), 0)
    assert np.abs(plane[1 : height + 1, 1 : width + 1] - expected).max() < 1e-5
    last = rng.standard_normal((1, channels, 3, 3)).astype(np.float32)
    top, left = height // 3, width // 3
    out = np.empty((height - top, width - left), np.float32)
    gather(plane, last_filter(last), 0.25, out, (top, height, left, width))
    whole = _conv(plane[1 : height + 1, 1 : width + 1], last)[..., 0] + 0.25
    assert np.abs(out - whole[top:, left:]).max() < 1e-4 * max(1.0, np.abs(whole).max())


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("width", [1, 9, 48])
def test_first_and_last_layer_match_pytorch_forward_and_backward(width: int, halves: bool) -> None:
    rng = np.random.default_rng(width)
    height, channels, box = 7, 32, (0, 7, 0, width)
    near = {"rtol": 2e-2, "atol": 2e-2} if halves else {"rtol": 1e-4, "atol": 1e-4}
    luma, error = (torch.from_numpy(rng.standard_normal((1, 1, height, width))) for _ in range(2))
    first, last = (
        torch.nn.Conv2d(1, channels, 3, padding=1).double(),
        torch.nn.Conv2d(channels, 1, 3, padding=1).double(),
    )
    features = torch.relu(first(luma))
    features.retain_grad()
    result = last(features)
    result.backward(error)

    def numbers(tensor: torch.Tensor | None) -> np.ndarray:
        assert tensor is not None
        return tensor.detach().numpy().astype(np.float32)

    def ringed(tensor: torch.Tensor) -> np.ndarray:
        return np.pad(numbers(tensor)[0, 0], 1)

    empty = np.zeros(plane_shape(height, width, channels), np.uint16 if halves else np.float32)
    plane, slope, no_mask = empty.copy(), empty.copy(), empty[:0]
    spread(ringed(luma), first_filter(numbers(first.weight), numbers(first.bias)), plane, no_mask, box)
    out = np.empty((height, width), np.float32)
    gather(plane, last_filter(numbers(last.weight)), float(numbers(last.bias)[0]), out, box)
    np.testing.assert_allclose(out, numbers(result)[0, 0], **near)

    turned = numbers(last.weight).transpose(1, 0, 2, 3)[..., ::-1, ::-1]
    spread(ringed(error), first_filter(turned, np.zeros(channels)), slope, plane, box)
    got = (_floats(slope) if halves else slope)[1 : height + 1, 1 : width + 1]
    passes = features > 0
    np.testing.assert_allclose(got, numbers(features.grad * passes)[0].transpose(1, 2, 0), **near)

    near["atol"] *= 20  # these are sums of hundreds of values
    sums = np.zeros((2, 12, channels), np.float32)
    add_end_gradient(ringed(luma), slope, height, width, sums[0])
    add_end_gradient(ringed(error), plane, height, width, sums[1])
    np.testing.assert_allclose(sums[0, :9].T, numbers(first.weight.grad).reshape(channels, 9), **near)
    np.testing.assert_allclose(sums[0, 9], numbers(first.bias.grad), **near)
    np.testing.assert_allclose(sums[1, 8::-1].T, numbers(last.weight.grad).reshape(channels, 9), **near)
    assert not sums[:, 10:].any()


def test_fits_accepts_only_multiples_of_16() -> None:
    assert [width for width in range(1, 65) if fits(width)] == [16, 32, 48, 64]
