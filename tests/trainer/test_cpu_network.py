"""Results and gradients by Winograd's method against PyTorch's own, in double precision."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from threading import Event, Timer

import pytest
import torch
from torch import Tensor, nn

from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_trainer.cpu_network import CpuFeatures, CpuNetwork, _Crew


def _layers(depth: int, width: int) -> list[nn.Conv2d]:
    model = VDSR(VDSRConfig(depth, width))
    initialise(model, 0)
    with torch.no_grad():
        for layer in model.convolutions:
            assert layer.bias is not None
            layer.bias.uniform_(-0.1, 0.1)
    return model.convolutions


def _plain(layers: Sequence[nn.Conv2d], luma: Tensor) -> Tensor:
    for layer in layers[:-1]:
        luma = torch.relu(layer(luma))
    return layers[-1](luma)


@pytest.mark.parametrize(("bf16", "near", "of_gradients"), [(False, 1e-4, 1e-3), (True, 0.2, 0.2)])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("count", "height", "width"), [(1, 1, 1), (3, 21, 29), (5, 16, 8)])
def test_result_and_gradients_match_pytorch(
    count: int, height: int, width: int, threads: int, *, bf16: bool, near: float, of_gradients: float
) -> None:
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layers = _layers(7, 32)
        exact = [copy.deepcopy(layer).double() for layer in layers]
        luma, weights = torch.rand(count, 1, height, width), torch.rand(count, 1, height, width)
        fast = CpuNetwork(layers, bf16=bf16)
        for _ in range(2):  # the second pass reuses the memory of the first
            for layer in layers:
                layer.zero_grad()
            result = fast(luma)
            (result * weights).sum().backward()
        expected = _plain(exact, luma.double())
        (expected * weights.double()).sum().backward()
    finally:
        torch.set_num_threads(before)
    assert (result - expected).abs().max() < near
    for ours, theirs in zip(layers, exact, strict=True):
        for name in ("weight", "bias"):
            got, wanted = getattr(ours, name).grad, getattr(theirs, name).grad
            assert (got - wanted).norm() < of_gradients * wanted.norm(), name


@pytest.mark.parametrize(("bf16", "near"), [(False, 3e-3), (True, 0.2)])
def test_features_and_gradients_through_them_match_pytorch(*, bf16: bool, near: float) -> None:
    torch.manual_seed(0)
    *layers, _ = _layers(7, 32)
    after = nn.Conv2d(32, 5, 3, padding=1)
    exact = [copy.deepcopy(layer).double() for layer in [*layers, after]]
    luma, weights = torch.rand(3, 1, 21, 14), torch.rand(3, 5, 21, 14)
    fast = CpuFeatures(layers, bf16=bf16)
    for _ in range(2):  # the second pass reuses the memory of the first
        for layer in [*layers, after]:
            layer.zero_grad()
        features = fast(luma)
        assert all(bool((one >= 0).all()) for one in fast.inputs())
        assert torch.equal(fast.inputs()[-1].float(), features)
        (after(features) * weights).sum().backward()
    (_plain(exact, luma.double()) * weights.double()).sum().backward()
    for ours, theirs in zip([*layers, after], exact, strict=True):
        for name in ("weight", "bias"):
            got, wanted = getattr(ours, name).grad, getattr(theirs, name).grad
            assert (got - wanted).norm() < near * wanted.norm(), name


def test_result_matches_pytorch_when_input_size_changes() -> None:
    layers = _layers(5, 16)
    fast = CpuNetwork(layers)
    for height, width in ((24, 24), (9, 13), (13, 9), (24, 24)):
        luma = torch.rand(2, 1, height, width)
        with torch.no_grad():
            assert (fast(luma) - _plain(layers, luma)).abs().max() < 1e-4


def test_gradients_agree_when_number_of_threads_changes() -> None:
    layers = _layers(4, 16)
    fast, luma, before = CpuNetwork(layers), torch.rand(5, 1, 12, 12), torch.get_num_threads()
    gradients = []
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            layers[1].zero_grad()
            fast(luma).sum().backward()
            assert layers[1].weight.grad is not None
            gradients.append(layers[1].weight.grad.clone())
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])


def test_suits_accepts_only_supported_layers() -> None:
    assert CpuNetwork.suits(_layers(5, 32))
    assert CpuNetwork.suits(_layers(3, 16))
    assert not CpuNetwork.suits(_layers(5, 20))
    assert not CpuNetwork.suits(_layers(2, 16))
    assert not CpuNetwork.suits([layer.bfloat16() for layer in _layers(5, 32)])
    assert CpuFeatures.suits(_layers(5, 32)[:-1])
    assert not CpuFeatures.suits(_layers(5, 32))


def test_error_in_one_thread_is_raised_after_the_others_finish() -> None:
    crew, slow, done = _Crew(), Event(), []
    before = torch.get_num_threads()
    torch.set_num_threads(2)

    def work(share: int, first: int, last: int) -> None:
        if share == 0:
            Timer(0.05, slow.set).start()
            raise MemoryError
        assert slow.wait(30)
        done.append((first, last))

    try:
        with pytest.raises(MemoryError):
            crew.share(5, work)
    finally:
        torch.set_num_threads(before)
    assert done == [(2, 5)]
