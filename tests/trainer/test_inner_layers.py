"""Gradients by Winograd's method against PyTorch's own, in double precision."""

from __future__ import annotations

import copy
from threading import Event, Timer

import pytest
import torch
from torch import Tensor, nn

from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_trainer.inner_layers import InnerLayers, _Crew


def _layers(depth: int, width: int) -> nn.ModuleList:
    model = VDSR(VDSRConfig(depth, width))
    initialise(model, 0)
    with torch.no_grad():
        for layer in model.layers:
            layer.bias.uniform_(-0.1, 0.1)
    return model.layers[1:-1]


def _plain(layers: nn.ModuleList, features: Tensor) -> Tensor:
    for layer in layers:
        features = torch.relu(layer(features))
    return features


@pytest.mark.parametrize(("bf16", "near", "of_gradients"), [(False, 1e-4, 1e-3), (True, 0.2, 0.2)])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("count", "height", "width"), [(1, 1, 1), (3, 21, 29), (5, 16, 8)])
def test_result_and_gradients(
    count: int, height: int, width: int, threads: int, *, bf16: bool, near: float, of_gradients: float
) -> None:
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layers = _layers(6, 32)
        exact = copy.deepcopy(layers).double()
        features = torch.rand(count, 32, height, width, requires_grad=True)
        weights = torch.rand(count, 32, height, width)
        fast = InnerLayers(layers, bf16=bf16)
        for _ in range(2):  # the second uses the memory of the first
            features.grad = None
            layers.zero_grad()
            result = fast(features)
            (result * weights).sum().backward()
        twin = features.detach().double().requires_grad_(True)
        expected = _plain(exact, twin)
        (expected * weights.double()).sum().backward()
    finally:
        torch.set_num_threads(before)
    assert (result - expected).abs().max() < near
    assert features.grad is not None
    assert twin.grad is not None
    assert (features.grad - twin.grad).norm() < of_gradients * twin.grad.norm()
    for ours, theirs in zip(layers.parameters(), exact.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert (ours.grad - theirs.grad).norm() < of_gradients * theirs.grad.norm()


def test_other_sizes_one_after_the_other() -> None:
    layers = _layers(4, 16)
    fast = InnerLayers(layers)
    for size in (24, 9, 24):
        features = torch.rand(2, 16, size, size)
        with torch.no_grad():
            assert (fast(features) - _plain(layers, features)).abs().max() < 1e-4


def test_which_layers_suit() -> None:
    assert InnerLayers.suit(_layers(5, 32))
    assert not InnerLayers.suit(_layers(5, 20))
    assert not InnerLayers.suit(_layers(2, 16))
    assert not InnerLayers.suit(_layers(5, 32).bfloat16())


def test_an_error_of_one_thread_waits_for_the_others() -> None:
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
