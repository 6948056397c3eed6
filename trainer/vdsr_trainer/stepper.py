"""What learners have in common: a network with its optimiser, trained one step at a time."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from vdsr_app.core.device import Precision, choose_device, choose_precision, cpu_has_matrix_units, device_name
from vdsr_app.core.network import ConvolutionChain
from vdsr_app.errors import DeviceMemoryError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.cpu_network import CpuFeatures, CpuNetwork
from vdsr_trainer.failures import device_failures, is_shortage
from vdsr_trainer.layer_inputs import LayerInput, look_at
from vdsr_trainer.optimise import MovingAverage, Network, Optimiser
from vdsr_trainer.symmetry import Symmetry

logger = logging.getLogger(__name__)

_LOOK_EVERY_ON_GPU = 25
"""Steps from one check of the loss to the next on a GPU, where each check waits for the device."""

_TIE_EVERY = 100
"""Steps after which the weights are tied again, because rounding unties them."""

Batch = TypeVar("Batch")
"""Patches of one step, of the kind the learner takes."""


class NotFiniteError(Exception):
    """The loss became NaN or infinite; the weights must not be used."""


@dataclass(frozen=True, slots=True, eq=False)
class StepResult:
    """Result of one step; the values stay on the device until needed.

    Attributes:
        mean_square: mean squared error of luma on the scale [0, 1].
        norm: L2 norm of all gradients before clipping.
        clipped_share: share of clipped gradient elements, 0 to 1.
    """

    mean_square: Tensor
    norm: Tensor
    clipped_share: Tensor


class Stepper(ABC, Generic[Network, Batch]):
    """Network, moving average and optimiser of one run.

    Attributes:
        device: device they are on.
        precision: "bf16" or "fp32", as "auto" was resolved.
        model: the trained network, float32.
        average: the moving average of its weights.
        optimiser: what updates them.
    """

    model: Network
    average: MovingAverage[Network]
    optimiser: Optimiser

    def __init__(self, config: TrainConfig, notice: Callable[[str], None] = lambda _: None) -> None:
        """Initialise as for a new run.

        Args:
            config: of the run.
            notice: called with a message for the user, such as when memory is short.

        Raises:
            UsageError: there is no such kind of device.
            DeviceError: this computer has no such device.
            TrainingError: the model to start from has another shape.
            WeightsError: it is missing or damaged.
        """
        if config.threads:
            torch.set_num_threads(config.threads)
        self._config = config
        self._notice = notice
        self._micro = config.micro_batch or config.batch
        self.device = choose_device(config.device)
        self.precision = resolve_precision(config.precision, self.device, config.width)
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # all batches have one shape, so the search pays off
            # PyTorch lets cuDNN round fp32 to 10 bits. The first layer needs more of the luma, and those who ask for
            # fp32 must get it.
            torch.backends.cudnn.allow_tf32 = False
        self.restart()

    def restart(self) -> None:
        """Forget everything learned."""
        self.model = self._first_model().to(self.device).train()
        self._symmetry: Symmetry | None = None
        self._started = False
        self.average = MovingAverage(self.model, self._config.average_decay)
        self.optimiser = Optimiser(self.model, self._config)
        self._seen: list[LayerInput] = []  # of each layer, sums over the last batch; empty for plain steps

    @abstractmethod
    def _first_model(self) -> Network:
        """The initial network of a new run."""

    @abstractmethod
    def _make_symmetry(self) -> Symmetry:
        """The symmetry that ties the weights, if requested."""

    @abstractmethod
    def _accumulate(self, patches: Batch) -> Tensor:
        """Add up the gradients of the batch's mean loss, `_micro` patches at once, and collect `_seen` anew.

        Returns:
            The batch's mean squared error of luma on the scale [0, 1].
        """

    def _begin(self) -> None:
        """Keep weights tied, if requested and if those at the first step are, also those of a checkpoint."""
        self._started = True
        if self._config.symmetry == "none":
            return
        symmetry = self._make_symmetry()
        if symmetry.holds():
            self._symmetry = symmetry
        else:
            self._notice(
                "The starting weights were learned without the symmetry of this recipe, so it continues without."
            )

    def set_config(self, config: TrainConfig) -> None:
        """Take over a number of steps that is known only now."""
        self._config = config
        self.optimiser.set_config(config)

    def describe(self) -> str:
        """Device and precision for display: "AMD EPYC · bf16"."""
        return f"{device_name(self.device)} · {self.precision}"

    def step(self, patches: Batch, step: int, rate_share: float = 1.0) -> StepResult:
        """Learn from one batch.

        Args:
            patches: one batch.
            step: steps done before.
            rate_share: factor on the scheduled rate.

        Raises:
            NotFiniteError: the loss is NaN or infinite; on a CPU the weights are unchanged.
            DeviceMemoryError: memory is short even for one patch.
            DeviceError: the device failed.
        """
        with device_failures(self.device):
            return self._step(patches, step, rate_share)

    def _step(self, patches: Batch, step: int, rate_share: float) -> StepResult:
        if not self._started:
            self._begin()
        mean_square = self._gradients(patches)
        every = 1 if self.device.type == "cpu" else _LOOK_EVERY_ON_GPU
        if step % every == 0 and not bool(torch.isfinite(mean_square)):
            self._clear()
            raise NotFiniteError
        if self._symmetry is not None:
            self._symmetry.tie_gradients()
            self._seen = self._symmetry.tie_inputs(self._seen)
        self.optimiser.set_step(step, rate_share)
        norm, clipped_share = self.optimiser.step(self._seen)
        if self._symmetry is not None and step % _TIE_EVERY == 0:
            self._symmetry.tie_weights()
        self.average.update(self.model, step + 1)
        return StepResult(mean_square, norm, clipped_share)

    def _gradients(self, patches: Batch) -> Tensor:
        """As `_accumulate`, in smaller pieces if memory is short."""
        initial = self._micro
        while True:
            try:
                mean_square = self._accumulate(patches)
            except (MemoryError, RuntimeError) as error:
                # As in the upscaler's backend: not every shortage is reported as one, so other errors are retried too.
                known = is_shortage(error)
                if not known and isinstance(error, (torch.AcceleratorError, NotImplementedError)):
                    raise
                if self._micro <= 1:
                    if not known:
                        raise
                    raise DeviceMemoryError(
                        "There is not enough memory to learn from one patch.",
                        hint="Close other programs, or choose smaller patches or a network of fewer layers.",
                    ) from error
                logger.warning("A batch in pieces of %d did not fit.", self._micro, exc_info=error)
            else:
                if self._micro < initial:  # only now is it certain that memory was short
                    self._notice(
                        f"Memory was short: each batch is now learned in pieces of {self._micro}."
                        " The result stays the same."
                    )
                return mean_square
            # Only here, after the traceback and the tensors it holds are gone, can memory be released.
            self._clear()
            self._micro = max(1, min(self._micro, self._config.batch) // 2)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _clear(self) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None

    def _uses_cpu_network(self) -> bool:
        """Whether `cpu_network` computes the layers, if they suit it, instead of PyTorch."""
        return self.device.type == "cpu" and (self.precision != "bf16" or _cpu_network_takes_bf16())

    def _see(self, inputs: list[Tensor]) -> None:
        """Collect the inputs of the layers for some patches, if steps take account of them."""
        if self._config.inputs == "plain":
            return
        whitened = self._config.inputs == "whitened"
        seen = [look_at(features, covariance=whitened) for features in inputs]
        self._seen = [one + more for one, more in zip(self._seen, seen, strict=True)] if self._seen else seen

    def _load(self, array: object) -> Tensor:
        tensor = torch.as_tensor(array)
        if self.device.type == "cuda" and tensor.device.type == "cpu":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


def _cpu_network_takes_bf16() -> bool:
    """Whether bf16 on this CPU is faster with `CpuNetwork` than with PyTorch: supported, but not by matrix units."""
    return CpuNetwork.takes_bf16() and not cpu_has_matrix_units()


def resolve_precision(requested: str, device: torch.device, width: int) -> str:
    """Resolve "auto": bf16 where training is faster with it, else fp32; other values are returned as they are.

    On a CPU without native bf16, `CpuNetwork` in fp32 takes less time than PyTorch in either. fp16 is not offered: its
    small gradients would need loss scaling.

    Args:
        requested: "auto", "bf16" or "fp32".
        device: where training runs.
        width: channels of the inner layers.
    """
    if requested != "auto":
        return requested
    if device.type == "cpu" and CpuNetwork.takes_width(width) and not cpu_has_matrix_units():
        return "bf16" if CpuNetwork.takes_bf16() else "fp32"
    return "bf16" if choose_precision(device) is Precision.BF16 else "fp32"


def forward_features(
    model: ConvolutionChain,
    luma: Tensor,
    precision: str,
    cpu_features: CpuFeatures | None = None,
    inputs: list[Tensor] | None = None,
) -> Tensor:
    """Input of the last layer of a chain, in the arithmetic of training.

    Under "bf16" without `cpu_features`, the inner convolutions run in bfloat16 on channels_last activations; the first
    stays in float32, since 8 bits of mantissa cannot resolve the small differences in luma that it must see.

    Args:
        model: the network; its weights stay float32.
        luma: (N, 1, P, P) float32.
        precision: "bf16" or "fp32".
        cpu_features: computes the layers with its own arithmetic; None leaves them to PyTorch.
        inputs: receives the input of each layer, (N, C, P, P); with `cpu_features`, overwritten by the next call.

    Returns:
        (N, width, P, P), channels last; bfloat16 under "bf16" without `cpu_features`, else float32.
    """
    half = precision == "bf16"
    inputs = [] if inputs is None else inputs
    if cpu_features is not None:
        features = cpu_features(luma)
        inputs += cpu_features.inputs()
        return features
    inputs.append(luma)
    features = torch.relu(model.layers[0](luma))
    features = features.to(torch.bfloat16 if half else torch.float32, memory_format=torch.channels_last)
    with torch.autocast(luma.device.type, torch.bfloat16, enabled=half):
        for layer in model.layers[1:-1]:
            inputs.append(features)
            features = torch.relu(layer(features))
    inputs.append(features)
    return features
