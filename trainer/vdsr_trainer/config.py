"""The configuration of a training run, frozen and validated. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vdsr_app.errors import ConfigError

SYMMETRIES: dict[str, int] = {"none": 1, "p4": 4, "p4m": 8}
"""Symmetry groups by name, with their number of elements: see `symmetry`."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything that determines the weights a run ends with.

    Attributes:
        data: folders of training pictures, searched recursively.
        validation: folder of validation pictures; if empty, some of `data` are held out.
        holdout: number of pictures held out of `data` if `validation` is empty.
        exclude: files below `data` or `validation` to leave out, relative to the folder, or absolute.
        keep_duplicates: also train on pictures that equal another one, or resemble a held-out one.
        start_from: installed model or .safetensors file whose weights the run starts from; empty for random weights.
        depth: number of convolutions of the network.
        width: channels between them.
        residual: add the input to the output.
        last_layer: strength of the last layer of a residual network with random weights, as a share of He et al.; near
            0 the network starts near bicubic, at 1 it first has to unlearn what random weights add.
        hidden_layers: strength of the hidden layers of a network with random weights, likewise; below 1 each channel
            also passes on its input: see `beginning`.
        reach_px: how many pixels away the features a channel passes on may come from, so that samples of the LR picture
            meet early; 0 for the same pixel. Ignored if `hidden_layers` is 1.
        first_layer: the first layer of a network with random weights: "he" (He et al.), or "whitened", filters that do
            not mostly respond to brightness: see `beginning`.
        symmetry: whether the network's output turns with its input: "none", "p4" (quarter turns) or "p4m" (reflections,
            too); `width` is then a multiple of 4 or 8. A model to start from that lacks the symmetry stays without.
        scales: scale factors that are validated, and drawn with `fixed_share`.
        fixed_share: share of patches at one of `scales`; the rest is drawn between `scale_min` and `scale_max`.
        scale_min: smallest random scale factor.
        scale_max: largest random scale factor.
        shrunk_copies: factors below 1; each adds a smaller copy of every picture.
        sampling: "random" positions, or "grid": every patch of a non-overlapping grid once per epoch, as in the paper.
        patch_px: side of a training patch.
        batch: patches per step.
        hard_candidates: candidate positions per patch; the one where bicubic is expected to do worst is taken.
        jpeg_share: share of patches whose LR picture is compressed as JPEG.
        jpeg_quality_min: lowest JPEG quality.
        jpeg_quality_max: highest JPEG quality.
        blur_share: share of patches whose picture is blurred before shrinking.
        blur_sigma_max: largest standard deviation of that blur, in LR pixels.
        noise_share: share of patches whose LR picture gets noise.
        noise_sigma_max: largest standard deviation of that noise, on the scale [0, 255].
        micro_batch: patches processed at once on the device; the gradients of a step are summed over them. 0 for the
            whole batch. Halved when memory is short.
        cache_mb: memory for decoded pictures; 0 takes a quarter of the computer's.
        steps: optimiser steps in total; ignored if `epochs` is above 0.
        epochs: passes over every patch of the grid at each of `scales`, which determine the steps; only with sampling
            "grid". 0 uses `steps` instead.
        teacher_steps: steps for which a teacher is trained first, on the same pictures; the targets of clean patches at
            whole `scales` from 2 to 4 are then its outputs, without the detail nobody could guess: see `teacher`. 0 for
            no teacher. With one, pictures lose up to 11 rows and columns at the end, and a picture too large to be held
            whole is its own target.
        teacher_from: a trained teacher: `teacher.safetensors` of an earlier run's folder, made for the same whole
            `scales` from 2 to 4. `teacher_steps` and `teacher_width` then have no effect.
        teacher_between: the teacher also gives targets at all other `scales` below its largest, by shrinking its output
            for a larger one.
        teacher_width: channels between the teacher's 20 layers, a multiple of 4 and not the number of its outputs.
        loss: "mse" (mean squared error); "rms" (root mean squared error of each patch, averaged over patches), which
            gives less weight to patches that are hard to guess; or "charbonnier" (sqrt(error^2 + 1e-6), close to the
            mean absolute error), which does so for pixels.
        consistency: extra weight of the error that shows in the LR picture, and so is avoidable; 0 for none.
        optimizer: "muon" (Muon on the inner layers, Adam on the rest), "adam", "adamw" or "sgd". A file that names
            another one than its base, and no rate, gets the rates, momentum and clipping usual with it.
        rate: learning rate of Adam, AdamW or SGD, and of the outer layers under "muon".
        muon_rate: learning rate of the inner layers under "muon".
        relative_rates: `rate` is a share of the root mean square of the tensor it moves; for a bias, of that of its
            layer's weights if larger. Used with "muon" and "adam". A file that sets this differently from its base, and
            no rate, gets the usual rate of that kind; a rate alone is absolute.
        momentum: of SGD and Muon.
        weight_decay: L2 of SGD, decoupled in AdamW and Muon.
        inputs: how a step treats a layer's inputs: "plain", as they are; "centred", minus their means; "whitened",
            also decorrelated, under "muon" (otherwise as "centred").
        clip_theta: element-wise gradient clipping to +-theta/rate, meant for SGD; 0 disables it.
        schedule: "cosine" to zero, "plateau" (constant, then linear to zero over the last fifth: may be lengthened
            while it runs), "step" (a tenth after each quarter) or "constant".
        warmup_steps: steps over which the rate rises linearly at first.
        average_decay: decay of the moving average of the weights, which is what is validated and saved.
        precision: "bf16" (products only; weights and gradients are fp32), "fp32", or "auto": whichever is faster.
        patience: consecutive validations that may be worse than bicubic before the run rolls back to a better state
            with half the rate; a run that was never better restarts after three times as many without any progress.
            0 for no limit, as without `residual`.
        seed: of initial weights, patches and flips.
        validate_every: steps between validations.
        checkpoint_every: steps between checkpoints.
        device: "auto", "cpu", "cuda", "mps".
        threads: CPU threads; 0 leaves the choice to torch.
    """

    data: tuple[str, ...] = ()
    validation: str = ""
    holdout: int = 10
    exclude: tuple[str, ...] = ()
    keep_duplicates: bool = False
    start_from: str = ""
    depth: int = 20
    width: int = 64
    residual: bool = True
    last_layer: float = 1.0
    hidden_layers: float = 1.0
    reach_px: int = 0
    first_layer: str = "he"
    symmetry: str = "none"
    scales: tuple[float, ...] = (2.0, 3.0, 4.0)
    fixed_share: float = 0.7
    scale_min: float = 1.2
    scale_max: float = 4.5
    shrunk_copies: tuple[float, ...] = (0.8, 0.6)
    sampling: str = "random"
    patch_px: int = 48
    batch: int = 16
    hard_candidates: int = 2
    jpeg_share: float = 0.0
    jpeg_quality_min: int = 30
    jpeg_quality_max: int = 95
    blur_share: float = 0.0
    blur_sigma_max: float = 0.8
    noise_share: float = 0.0
    noise_sigma_max: float = 4.0
    micro_batch: int = 0
    cache_mb: int = 0
    steps: int = 20_000
    epochs: int = 0
    teacher_steps: int = 0
    teacher_from: str = ""
    teacher_between: bool = False
    teacher_width: int = 64
    loss: str = "mse"
    consistency: float = 0.0
    optimizer: str = "muon"
    rate: float = 1e-3
    muon_rate: float = 4e-3
    relative_rates: bool = False
    momentum: float = 0.95
    weight_decay: float = 0.0
    inputs: str = "plain"
    clip_theta: float = 0.0
    schedule: str = "cosine"
    warmup_steps: int = 200
    average_decay: float = 0.999
    precision: str = "auto"
    patience: int = 5
    seed: int = 0
    validate_every: int = 250
    checkpoint_every: int = 250
    device: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} = {value} is outside {low:g} to {high:g}.")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} = '{getattr(self, name)}' is not offered.", hint=_choose(choices))
        if self.width % (elements := SYMMETRIES[self.symmetry]):
            raise ConfigError(
                f"width = {self.width} is not a multiple of {elements}, which the symmetry '{self.symmetry}' needs.",
                hint=f"Choose a multiple of {elements}, or no symmetry.",
            )
        if "" in self.data:
            raise ConfigError("A folder of pictures has no name.", hint="Name it, or leave it out.")
        if self.jpeg_quality_min > self.jpeg_quality_max:
            raise ConfigError(
                f"jpeg_quality_min = {self.jpeg_quality_min} is above jpeg_quality_max = {self.jpeg_quality_max}."
            )
        if not all(1.0 <= scale <= 8.0 for scale in self.scales) or max(self.scales, default=1.0) == 1.0:
            raise ConfigError("scales needs factors between 1 and 8, at least one of them above 1.")
        if self.epochs and self.sampling != "grid":
            raise ConfigError("epochs needs sampling = 'grid'.", hint="Set steps instead, or choose the grid.")
        if self.scale_min > self.scale_max:
            raise ConfigError(f"scale_min = {self.scale_min:g} is above scale_max = {self.scale_max:g}.")
        if self.has_teacher and not self.taught_scales:
            raise ConfigError(
                "A teacher needs 2, 3 or 4 among the scales.", hint="Add one of them, or have no teacher."
            )
        sub_pixels = sum(scale * scale for scale in self.taught_scales)
        if self.teacher_width % 4 or (self.teacher_learns and self.teacher_width == sub_pixels):
            raise ConfigError(
                f"teacher_width = {self.teacher_width} is not possible: a multiple of 4 is, unless it equals the"
                f" {sub_pixels} sub-pixels that these scales have."
            )
        if self.has_teacher and self.sampling != "random":
            raise ConfigError("A teacher needs sampling = 'random'.", hint="Have no teacher, or leave the grid.")
        if not all(0.1 <= factor < 1.0 for factor in self.shrunk_copies):
            raise ConfigError("shrunk_copies needs factors from 0.1 to below 1.")

    @property
    def has_teacher(self) -> bool:
        """Whether a teacher gives the targets of patches."""
        return bool(self.teacher_from) or self.teacher_steps > 0

    @property
    def teacher_learns(self) -> bool:
        """Whether that teacher is still to be trained, as the run's first part."""
        return not self.teacher_from and self.teacher_steps > 0

    @property
    def taught_scales(self) -> tuple[int, ...]:
        """Scale factors a teacher is made for: the whole ones of `scales` from 2 to 4, in ascending order."""
        return tuple(sorted({int(scale) for scale in self.scales if scale in (2.0, 3.0, 4.0)}))

    @property
    def answered_scales(self) -> tuple[float, ...]:
        """Scale factors at which a teacher gives the targets, in ascending order; none without a teacher."""
        if not self.has_teacher:
            return ()
        if not self.teacher_between:
            return tuple(map(float, self.taught_scales))
        return tuple(sorted({scale for scale in self.scales if 1.0 < scale <= self.taught_scales[-1]}))

    @property
    def size_multiple(self) -> int:
        """Sizes of pictures are cropped to a multiple of this: with a teacher, of each of its scale factors."""
        return math.lcm(*self.taught_scales) if self.has_teacher else 1


_RANGES: dict[str, tuple[float, float]] = {
    "holdout": (1, 10_000),
    "depth": (2, 64),
    "width": (1, 512),
    "last_layer": (0, 1),
    "hidden_layers": (0, 1),
    "reach_px": (0, 20),
    "fixed_share": (0, 1),
    "scale_min": (1, 8),
    "scale_max": (1, 8),
    "patch_px": (8, 512),
    "batch": (1, 65_536),
    "hard_candidates": (1, 64),
    "jpeg_share": (0, 1),
    "jpeg_quality_min": (1, 100),
    "jpeg_quality_max": (1, 100),
    "blur_share": (0, 1),
    "blur_sigma_max": (0, 5),
    "noise_share": (0, 1),
    "noise_sigma_max": (0, 50),
    "micro_batch": (0, 65_536),
    "cache_mb": (0, 1_000_000),
    "steps": (1, 100_000_000),
    "epochs": (0, 100_000),
    "teacher_steps": (0, 10_000_000),
    "teacher_width": (4, 512),
    "consistency": (0, 1000),
    "rate": (1e-12, 10),
    "muon_rate": (1e-12, 10),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 1),
    "clip_theta": (0, 1e6),
    "warmup_steps": (0, 1_000_000),
    "average_decay": (0, 0.999999),
    "patience": (0, 10_000),
    "seed": (0, 2**63 - 1),
    "validate_every": (1, 100_000_000),
    "checkpoint_every": (1, 100_000_000),
    "threads": (0, 4096),
}
TAKE_RELATIVE_RATES = ("muon", "adam")
"""Optimisers whose steps do not depend on gradient size; not AdamW, whose weight decay would be a share of a share."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "first_layer": ("he", "whitened"),
    "loss": ("mse", "rms", "charbonnier"),
    "optimizer": ("muon", "adam", "adamw", "sgd"),
    "symmetry": tuple(SYMMETRIES),
    "inputs": ("plain", "centred", "whitened"),
    "schedule": ("cosine", "plateau", "step", "constant"),
    "precision": ("auto", "bf16", "fp32"),
    "sampling": ("random", "grid"),
}


def symmetry_for(width: int, requested: str) -> str:
    """`requested`, or "none" if `width` is not divisible as that symmetry requires."""
    return "none" if width % SYMMETRIES[requested] else requested


def _choose(choices: tuple[str, ...]) -> str:
    return f"Choose one of {', '.join(choices)}."
