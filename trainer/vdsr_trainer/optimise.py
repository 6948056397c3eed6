"""Optimisers, learning-rate schedules, clipping and the moving average."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from vdsr_app.core.network import ConvolutionChain
from vdsr_trainer.config import TAKE_RELATIVE_RATES, TrainConfig
from vdsr_trainer.layer_inputs import LayerInput, centred, whitening
from vdsr_trainer.muon import Muon

Network = TypeVar("Network", bound=ConvolutionChain)

_PLATEAU_END = 0.2
"""Share of the steps over which the schedule "plateau" falls to zero."""

_LEAST_SIZE = 1e-8
"""Least root mean square assumed for a tensor: all zeros would otherwise stay zero."""

_SMALLEST_GRADIENT = 1e-14


class Optimiser:
    """One or two torch optimisers that step together.

    Under "muon", Muon drives the kernels of the inner layers, each seen as a matrix (width, 9 * width), since it takes
    only matrices; Adam drives the first and last layer and all biases.

    Adam moves each number by about its rate, and the numbers of a trained network differ in size by 1e4: Muon makes the
    inner layers strong, so their outputs, and with them their biases, grow from one layer to the next, and the last
    layer is left with little to do. With relative rates each tensor moves by a share of its own size.
    Source: N. Shazeer and M. Stern, "Adafactor: Adaptive learning rates with sublinear memory cost", ICML 2018,
    section 8.

    Attributes:
        parts: the torch optimisers, Muon first if there are two.
    """

    def __init__(self, model: ConvolutionChain, config: TrainConfig) -> None:
        self._config = config
        self._model = model
        self._views: list[tuple[nn.Parameter, nn.Parameter]] = []
        self.parts: list[torch.optim.Optimizer] = []
        everything = list(model.parameters())
        match config.optimizer:
            case "muon":
                kernels = [p for p in list(model.layers[1:-1].parameters()) if p.ndim == 4]
                self._views = [(kernel, nn.Parameter(kernel.detach().view(len(kernel), -1))) for kernel in kernels]
                inner = {id(kernel) for kernel, _ in self._views}
                outer = [parameter for parameter in everything if id(parameter) not in inner]
                if self._views:
                    self.parts.append(
                        Muon(
                            [view for _, view in self._views],
                            lr=config.muon_rate,
                            momentum=config.momentum,
                            weight_decay=config.weight_decay,
                        )
                    )
                self.parts.append(_adam(outer, config))
            case "adam":
                self.parts.append(_adam(everything, config))
            case "adamw":
                self.parts.append(torch.optim.AdamW(everything, lr=config.rate, weight_decay=config.weight_decay))
            case _:
                self.parts.append(
                    torch.optim.SGD(
                        everything, lr=config.rate, momentum=config.momentum, weight_decay=config.weight_decay
                    )
                )
        self._peaks = [[float(group["lr"]) for group in part.param_groups] for part in self.parts]
        self._rate = self._peaks[0][0]

    def set_config(self, config: TrainConfig) -> None:
        """Follow the schedule of `config` from now on; its optimiser and rates are ignored."""
        self._config = config

    @property
    def rate(self) -> float:
        """Current scheduled learning rate of the first part."""
        return self._rate

    def set_step(self, step: int, rate_share: float = 1.0) -> None:
        """Set the learning rates for the step after `step` steps, to `rate_share` of the scheduled ones."""
        share = schedule(self._config, step) * rate_share
        self._rate = self._peaks[0][0] * share
        for part, peaks in zip(self.parts, self._peaks, strict=True):
            for group, peak in zip(part.param_groups, peaks, strict=True):
                group["lr"] = peak * share
        if _relative(self._config):
            sizes = _sizes(self._model.convolutions)
            for group in self.parts[-1].param_groups:
                group["lr"] *= sizes[group["params"][0]]

    def step(self, seen: Sequence[LayerInput] = ()) -> tuple[Tensor, Tensor]:
        """Clip and apply the gradients, then clear them.

        Args:
            seen: inputs of each layer, if the step is to take account of them.

        Returns:
            L2 norm of all gradients before clipping, and the share of clipped elements; on the device.
        """
        gradients = [parameter.grad for parameter in self._model.parameters() if parameter.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        clipped = torch.zeros_like(norm)
        if self._config.clip_theta and self.rate > 0:
            clipped = clip_elements(gradients, self._config.clip_theta / self.rate)
        with centred(self._model.convolutions, seen) if seen else nullcontext():
            for kernel, view in self._views:
                view.grad = None if kernel.grad is None else kernel.grad.view(view.shape)
            if seen and self._config.inputs == "whitened" and isinstance(self.parts[0], Muon):
                self.parts[0].whiten(whitening(seen[1:-1]))
            for part in self.parts:
                part.step()
        for parameter in self._model.parameters():
            parameter.grad = None
        return norm, clipped


def _relative(config: TrainConfig) -> bool:
    return config.relative_rates and config.optimizer in TAKE_RELATIVE_RATES


def _adam(parameters: list[nn.Parameter], config: TrainConfig) -> torch.optim.Adam:
    if not _relative(config):
        return torch.optim.Adam(parameters, lr=config.rate)
    # With strong features, gradients of biases are no larger than Adam's default epsilon.
    return torch.optim.Adam([{"params": [each]} for each in parameters], lr=config.rate, eps=_SMALLEST_GRADIENT)


def _sizes(layers: Sequence[nn.Conv2d]) -> dict[Tensor, float]:
    """What each relative rate is a share of: the root mean square; for a bias, that of its layer's weights if larger.

    A first layer's filters may ignore brightness; their response to a picture is then far smaller than their weights
    suggest, and a share of these would carry a bias beyond everything its channel sees. So for the first layer the
    response to uniform brightness counts instead; for random filters it is just as large.
    """
    parameters: list[Tensor] = [parameter for layer in layers for parameter in layer.parameters()]
    sums = layers[0].weight.detach().sum(dim=(1, 2, 3))
    norms = torch.stack(torch._foreach_norm([*parameters, sums])).tolist()  # at once: each transfer waits for the GPU
    of_brightness = norms.pop() / layers[0].weight.numel() ** 0.5
    sizes = {
        parameter: max(norm / parameter.numel() ** 0.5, _LEAST_SIZE)
        for parameter, norm in zip(parameters, norms, strict=True)
    }
    for number, layer in enumerate(layers):
        if layer.bias is not None:
            answer = sizes[layer.weight] if number else of_brightness
            sizes[layer.bias] = max(sizes[layer.bias], answer)
    return sizes


def schedule(config: TrainConfig, step: int) -> float:
    """Share of the peak learning rate after `step` steps: warm-up, then the configured shape."""
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    match config.schedule:
        case "cosine":
            done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
            return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
        case "plateau":
            left = (config.steps - step) / max(1, config.steps - config.warmup_steps)
            return min(1.0, max(0.0, left) / _PLATEAU_END)
        case "step":
            # The paper: a tenth after every 20 of 80 epochs.
            return float(0.1 ** min(3, 4 * step // config.steps))
        case _:
            return 1.0


def clip_elements(gradients: Sequence[Tensor], limit: float) -> Tensor:
    """Clip each element to +-limit in place, as the paper does (not the global norm).

    Returns:
        The share of clipped elements, 0 to 1, on the device.
    """
    total = sum(gradient.numel() for gradient in gradients)
    clipped = torch.stack([(gradient.abs() > limit).sum() for gradient in gradients]).sum() / total
    for gradient in gradients:
        gradient.clamp_(-limit, limit)
    return clipped


class MovingAverage(Generic[Network]):
    """Exponential moving average of the weights, with a short memory at first.

    Attributes:
        model: network that holds the average, of the same shape and on the same device as the trained one.
    """

    def __init__(self, model: Network, decay: float) -> None:
        self._decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    def update(self, model: Network, step: int) -> None:
        """Move towards `model` after `step` steps; the decay rises as (1 + step) / (10 + step) up to its value."""
        weight = 1.0 - min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), weight)
