"""The network that a run is about, with what changes it."""

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
    """VDSR, its moving average and their optimiser; learns from patches and what they should become."""

    def __init__(
        self, config: TrainConfig, notice: Callable[[str], None] = lambda _: None, start: Path | None = None
    ) -> None:
        """Begin as a new run does.

        Args:
            config: of the run.
            notice: takes a sentence when memory is short.
            start: weight file that stands for `config.start_from`, see `keep_start`.

        Raises:
            UsageError: there is no such kind of device.
            DeviceError: this computer has no such device.
            TrainingError: the model to start from has another shape.
            WeightsError: it is missing or damaged.
        """
        self._start = start
        super().__init__(config, notice)

    def restart(self) -> None:
        """Forget all that was learned."""
        super().restart()
        layers = self.model.convolutions
        suits = self._computes_itself() and CpuNetwork.suits(layers)
        self._cpu_network = CpuNetwork(layers, bf16=self.precision == "bf16") if suits else None

    def _first_model(self) -> VDSR:
        return first_model(self._config, self._start)

    def _make_symmetry(self) -> Symmetry:
        return Symmetry(self._config.symmetry, self.model.convolutions)

    def _accumulate(self, patches: Batch) -> Tensor:
        count, total = len(patches.bicubic), math.prod(patches.bicubic.shape)
        squares = torch.zeros((), device=self.device)
        self._seen = []
        # The paper's scale with its optimiser: half the squared error, summed over a patch, mean over the batch; its
        # rate and clip belong to that. Elsewhere the mean over all pixels.
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

    So the run can be resumed, and can go back to its beginning, when that model is gone, or is another one by now.

    Returns:
        The copy; None where the run begins from chance.

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
    """The network as a new run begins with it: from chance (see `beginning`), or the weights of `config.start_from`.

    What comes from chance is tied where `config.symmetry` says so. Its last layer is weakened only where a skip
    connection gives the picture that it adds to.

    Args:
        config: of the run.
        start: weight file that stands for `config.start_from`.

    Raises:
        TrainingError: that model is of another depth or width, or without the skip connection.
        WeightsError: it is not there or damaged.
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
            f"The model to start from has {model.config.depth} layers of {model.config.width} channels, the run"
            f" {shape.depth} of {shape.width}.",
            path=info.path,
            hint="Choose the same depth and width, or start from nothing.",
        )
    return model


def forward_detail(
    model: VDSR,
    bicubic: Tensor,
    precision: str,
    cpu_network: CpuNetwork | None = None,
    inputs: list[Tensor] | None = None,
) -> Tensor:
    """The network without its skip connection, in the arithmetic of training.

    The last convolution runs as the inner ones do: see `forward_features`.

    Args:
        model: the network; its weights stay float32.
        bicubic: (N, 1, P, P) float32.
        precision: "bf16" or "fp32".
        cpu_network: computes the layers in its own arithmetic; None leaves them to PyTorch.
        inputs: gets what each layer sees, (N, C, P, P); with `cpu_network`, overwritten by the next call.

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
