"""The network being trained, with its optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from vdsr_app.core.models import describe_model, find_model
from vdsr_app.core.network import VDSR, VDSRConfig
from vdsr_app.core.weights import load_model, save_weights
from vdsr_app.errors import TrainingError
from vdsr_trainer.beginning import initialise_weights
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.cpu_network import CpuNetwork
from vdsr_trainer.data.resident import Batch
from vdsr_trainer.loss import patch_losses
from vdsr_trainer.run_files import START_WEIGHTS_NAME
from vdsr_trainer.stepper import Stepper, forward_features
from vdsr_trainer.symmetry import Symmetry


class Learner(Stepper[VDSR, Batch]):
    """VDSR, its moving average and their optimiser; learns from patches and their targets."""

    def __init__(
        self, config: TrainConfig, notice: Callable[[str], None] = lambda _: None, start: Path | None = None
    ) -> None:
        """Initialise as for a new run.

        Args:
            config: of the run.
            notice: called with a message for the user, such as when memory is short.
            start: weight file to use for `config.start_from`, see `keep_start`.

        Raises:
            UsageError: there is no such kind of device.
            DeviceError: this computer has no such device.
            TrainingError: the model to start from has another shape.
            WeightsError: it is missing or damaged.
        """
        self._start = start
        super().__init__(config, notice)

    def restart(self) -> None:
        """Forget everything learned."""
        super().restart()
        layers = self.model.convolutions
        suits = self._uses_cpu_network() and CpuNetwork.suits(layers)
        self._cpu_network = CpuNetwork(layers, bf16=self.precision == "bf16") if suits else None

    def _first_model(self) -> VDSR:
        return first_model(self._config, self._start)

    def _make_symmetry(self) -> Symmetry:
        return Symmetry(self._config.symmetry, self.model.convolutions)

    def _accumulate(self, patches: Batch) -> Tensor:
        count, total = len(patches.bicubic), math.prod(patches.bicubic.shape)
        squares = torch.zeros((), device=self.device)
        self._seen = []
        # With SGD the paper's scale: half the squared error, summed over a patch, averaged over the batch; its rate and
        # clipping belong to that. Otherwise the mean over all pixels.
        weight = (0.5 * total / count if self._config.optimizer == "sgd" else 1.0) / count
        for first in range(0, count, self._micro):
            piece = slice(first, first + self._micro)
            bicubic, target = self._load(patches.bicubic[piece]), self._load(patches.target[piece])
            inputs: list[Tensor] = []
            detail = forward_detail(self.model, bicubic, self.precision, self._cpu_network, inputs)
            self._see(inputs)
            error = detail - (target - bicubic if self._config.residual else target)
            grid = None if patches.grid is None else self._load(patches.grid[piece])
            torch.autograd.backward(patch_losses(error, grid, self._config).sum() * weight)
            squares += error.detach().square().sum()
        return squares / total


def keep_start(config: TrainConfig, run: Path) -> Path | None:
    """Copy the model to start from into the run's folder, unless it is there.

    The run can then be resumed, and go back to its beginning, even if that model is deleted or replaced.

    Returns:
        The copy; None if the run starts from random weights.

    Raises:
        WeightsError: the model is missing or damaged.
        SaveError: the folder cannot be written.
    """
    if not config.start_from:
        return None
    copy = run / START_WEIGHTS_NAME
    if not copy.exists():
        save_weights(load_model(find_model(config.start_from)).model, copy)
    return copy


def first_model(config: TrainConfig, start: Path | None = None) -> VDSR:
    """The initial network of a new run: random weights (see `beginning`), or those of `config.start_from`.

    Random weights are tied if `config.symmetry` says so. Their last layer is weakened only if a skip connection
    provides the picture it adds to.

    Args:
        config: of the run.
        start: weight file to use for `config.start_from`.

    Raises:
        TrainingError: that model has another depth or width, or lacks the skip connection.
        WeightsError: it is missing or damaged.
    """
    shape = VDSRConfig(config.depth, config.width, config.residual)
    if not config.start_from:
        model = VDSR(shape)
        initialise_weights(
            model,
            config.seed,
            None if config.symmetry == "none" else Symmetry(config.symmetry, model.convolutions),
            hidden_layers=config.hidden_layers,
            last_layer=config.last_layer if config.residual else 1.0,
            whitened=config.first_layer == "whitened",
            reach_px=config.reach_px,
        )
        return model
    info = find_model(config.start_from) if start is None else describe_model(start)
    model = load_model(info).model.requires_grad_(True)
    if model.config != shape:
        raise TrainingError(
            f"The model to start from has {_shape_words(model.config)}; the run's has {_shape_words(shape)}.",
            path=info.path,
            hint="Choose the same depth, width and skip connection (residual), or start from nothing.",
        )
    return model


def _shape_words(shape: VDSRConfig) -> str:
    return f"{shape.depth} layers of {shape.width} channels {'with' if shape.residual else 'without'} a skip connection"


def forward_detail(
    model: VDSR,
    bicubic: Tensor,
    precision: str,
    cpu_network: CpuNetwork | None = None,
    inputs: list[Tensor] | None = None,
) -> Tensor:
    """The network without its skip connection, in the arithmetic of training.

    The last convolution runs like the inner ones: see `forward_features`.

    Args:
        model: the network; its weights stay float32.
        bicubic: (N, 1, P, P) float32.
        precision: "bf16" or "fp32".
        cpu_network: computes the layers with its own arithmetic; None leaves them to PyTorch.
        inputs: receives the input of each layer, (N, C, P, P); with `cpu_network`, overwritten by the next call.

    Returns:
        (N, 1, P, P) float32.
    """
    inputs = [] if inputs is None else inputs
    if cpu_network is not None:
        detail: Tensor = cpu_network(bicubic)
        inputs += cpu_network.inputs()
        return detail
    features = forward_features(model, bicubic, precision, None, inputs)
    with torch.autocast(bicubic.device.type, torch.bfloat16, enabled=precision == "bf16"):
        detail = model.layers[-1](features)  # (N, 1, P, P)
    return detail.float()
