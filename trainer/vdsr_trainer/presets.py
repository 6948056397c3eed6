"""Named recipes for training runs, and how they change with the optimiser or a model to start from. No torch."""

from __future__ import annotations

from dataclasses import fields, replace

from vdsr_app.errors import ConfigError
from vdsr_trainer.config import TAKE_RELATIVE_RATES, TrainConfig, symmetry_for

_REFINING, _REFINING_STEPS = 0.2, 0.4
_RELATIVE, _REFINING_RELATIVE = 5e-3, 5e-4

_ROBUST = TrainConfig(
    last_layer=0.01,
    hidden_layers=0.3,
    reach_px=6,
    first_layer="whitened",
    symmetry="p4",
    loss="rms",
    consistency=4.0,
    rate=2e-4,
    muon_rate=8e-3,
    inputs="centred",
)
"""Not the field defaults: a file that does not set a key is from a run before the key existed."""

PRESETS: dict[str, TrainConfig] = {
    "robust": _ROBUST,
    "quick": replace(
        _ROBUST,
        depth=12,
        steps=1500,
        batch=16,
        patch_px=32,
        loss="mse",
        consistency=0.0,
        rate=1e-3,
        muon_rate=1e-2,
        inputs="whitened",
        warmup_steps=50,
        validate_every=125,
    ),
    "paper": TrainConfig(
        optimizer="sgd",
        rate=0.1,
        momentum=0.9,
        weight_decay=1e-4,
        sampling="grid",
        epochs=80,
        clip_theta=1e-4,
        schedule="step",
        warmup_steps=0,
        batch=64,
        patch_px=41,
        fixed_share=1.0,
        hard_candidates=1,
        shrunk_copies=(),
        average_decay=0.0,
        precision="fp32",
    ),
    "photo": replace(_ROBUST, jpeg_share=0.8, blur_share=0.3, noise_share=0.3),
}
"""Named starting points."""

DEFAULT_PRESET = "robust"
"""Preset of a run if none is given."""

_PLACES = ("data", "validation", "exclude", "device", "threads")
_OF_OPTIMIZER = ("rate", "relative_rates", "muon_rate", "momentum", "weight_decay", "inputs", "clip_theta")
_USUAL = {
    "muon": _ROBUST,
    "adam": replace(_ROBUST, optimizer="adam", rate=1e-3),
    "adamw": replace(_ROBUST, optimizer="adamw", rate=1e-3, weight_decay=0.01),
    "sgd": PRESETS["paper"],
}
"""Recipes with the usual settings of each optimiser."""


def preset(name: str) -> TrainConfig:
    """The configuration of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"There is no preset '{name}'.", hint=f"Choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def preset_of(config: TrainConfig) -> str:
    """Name of the preset `config` equals, apart from where its pictures and models are and where it runs; else ""."""
    for name, recipe in PRESETS.items():
        if config.start_from:
            recipe = starting_from(recipe, config.start_from, config.depth, config.width)
        # With epochs, a run stores the number of steps they amount to.
        free = (*_PLACES, "steps") if recipe.epochs else _PLACES
        if all(
            getattr(config, each.name) == getattr(recipe, each.name) for each in fields(config) if each.name not in free
        ):
            return name
    return ""


def starting_from(config: TrainConfig, model: str, depth: int = 20, width: int = 64) -> TrainConfig:
    """`config` for a run that starts from a trained model instead of random weights.

    The weights are to be refined, not forgotten: so the rates are a fifth, or small shares of the weights (a step that
    is small for a weight of 0.5 overwrites one of 0.0002, and a trained network has both), and fewer steps suffice.
    `config.symmetry` is dropped if `width` is not divisible as it requires.

    Args:
        config: a recipe for random weights.
        model: installed model or .safetensors file.
        depth: its number of convolutions.
        width: channels between them.
    """
    relative = config.optimizer in TAKE_RELATIVE_RATES
    return replace(
        config,
        start_from=model,
        depth=depth,
        width=width,
        residual=True,
        symmetry=symmetry_for(width, config.symmetry),
        rate=_rate(config, relative=relative, refining=True),
        relative_rates=relative,
        muon_rate=config.muon_rate * _REFINING,
        steps=max(1, round(config.steps * _REFINING_STEPS)),
        epochs=max(1, round(config.epochs * _REFINING_STEPS)) if config.epochs else 0,
        validate_every=max(1, round(config.validate_every * _REFINING_STEPS)),
    )


def with_optimizer(config: TrainConfig, optimizer: str, like: TrainConfig = _ROBUST) -> TrainConfig:
    """`config` with another optimiser, and with the rates, momentum and clipping that belong to it.

    A rate that is right for one is far too small or too large for another: SGD's multiplies gradients that are summed
    over a patch; Adam's is about the size of the step itself, or a share of what it moves.

    Args:
        config: a recipe.
        optimizer: one of the choices.
        like: a recipe for random weights; provides these settings if it has that optimiser.

    Raises:
        ConfigError: there is no such optimiser.
    """
    config = replace(config, optimizer=optimizer)
    usual = _usual(optimizer, like)
    if config.start_from:
        usual = starting_from(usual, config.start_from, config.depth, config.width)
    return replace(config, **{name: getattr(usual, name) for name in _OF_OPTIMIZER})


def with_relative_rates(config: TrainConfig, relative: bool, like: TrainConfig = _ROBUST) -> TrainConfig:
    """`config` with a relative or an absolute rate, at its usual size.

    Args:
        config: a recipe.
        relative: whether the rate is to be a share.
        like: see `with_optimizer`.
    """
    rate = _rate(_usual(config.optimizer, like), relative=relative, refining=bool(config.start_from))
    return replace(config, relative_rates=relative, rate=rate)


def _usual(optimizer: str, like: TrainConfig) -> TrainConfig:
    return like if like.optimizer == optimizer else _USUAL[optimizer]


def _rate(recipe: TrainConfig, *, relative: bool, refining: bool) -> float:
    """The usual rate, if `relative` or for `refining` a model; `recipe` has an absolute one for random weights."""
    if relative:
        return _REFINING_RELATIVE if refining else _RELATIVE
    return recipe.rate * _REFINING if refining else recipe.rate
