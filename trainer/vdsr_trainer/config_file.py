"""The configuration of a run as TOML: reading, checking and writing. No torch."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from vdsr_app.errors import ConfigError
from vdsr_trainer.config import TAKE_RELATIVE_RATES, TrainConfig, symmetry_for
from vdsr_trainer.presets import DEFAULT_PRESET, PRESETS, with_optimizer, with_relative_rates


def read_config(
    path: Path, base: TrainConfig | None = None, like: TrainConfig = PRESETS[DEFAULT_PRESET]
) -> TrainConfig:
    """`base` (or the field defaults) overridden by the values of a TOML file.

    Args:
        path: the file.
        base: values of keys that the file does not set.
        like: see `apply_values`.

    Raises:
        ConfigError: the file is missing, is not TOML, or has an unknown key or a value of the wrong type.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))  # some editors write a byte-order mark
    except OSError as error:
        raise ConfigError(f"The configuration cannot be read: {error.strerror}.", path=path) from error
    except ValueError as error:  # also for invalid UTF-8 and for overlong integers
        raise ConfigError(f"The configuration is not valid TOML: {error}.", path=path) from error
    except RecursionError as error:
        raise ConfigError("The configuration is nested too deeply.", path=path) from error
    return apply_values(base or TrainConfig(), values, path, like)


def apply_values(
    base: TrainConfig, values: dict[str, Any], path: Path | None = None, like: TrainConfig = PRESETS[DEFAULT_PRESET]
) -> TrainConfig:
    """`base` overridden by `values`, each checked against the type of its field.

    Another optimiser, or rates of another kind, bring their usual rates, unless `values` sets a rate.

    Args:
        base: values of keys that `values` does not set.
        values: by field name.
        path: file they come from, for error messages.
        like: preset that `base` is based on, see `with_optimizer`.

    Raises:
        ConfigError: an unknown key, a value of the wrong type, or values that are not allowed.
    """
    known = {field.name: getattr(TrainConfig(), field.name) for field in fields(TrainConfig)}
    typed: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else "The config.toml in the folder of any run has them all."
            raise ConfigError(f"There is no setting '{key}'.", path=path, hint=hint)
        typed[key] = _typed(key, value, known[key], path)
    if "steps" in typed and "epochs" not in typed:
        typed["epochs"] = 0  # setting steps means counting steps
    if "rate" in typed:
        typed.setdefault("relative_rates", False)  # as in files from before relative rates existed
    else:
        base = _with_usual_rates(base, typed, like)
    if "width" in typed and "symmetry" not in typed:
        typed["symmetry"] = symmetry_for(typed["width"], base.symmetry)  # the chosen width takes precedence
    return replace(base, **typed)


def _with_usual_rates(base: TrainConfig, typed: dict[str, Any], like: TrainConfig) -> TrainConfig:
    """`base` with the settings usual for the optimiser and kind of rate in `typed`, where these differ."""
    base = replace(base, start_from=typed.get("start_from", base.start_from))  # a model to start from lowers the rates
    optimizer = typed.get("optimizer", base.optimizer)
    if optimizer != base.optimizer:
        base = with_optimizer(base, optimizer, like)
    relative = typed.get("relative_rates", base.relative_rates)
    if relative != base.relative_rates and optimizer in TAKE_RELATIVE_RATES:
        base = with_relative_rates(base, relative, like)
    return base


def to_toml(config: TrainConfig) -> str:
    """TOML that `read_config` parses to an equal configuration.

    Raises:
        ConfigError: a name contains bytes that are not UTF-8, which TOML cannot hold.
    """
    return "".join(f"{key} = {_toml_value(value)}\n" for key, value in asdict(config).items())


def _typed(key: str, value: Any, example: Any, path: Path | None) -> Any:
    if any(
        isinstance(item, int) and item.bit_length() > 64 for item in (value if isinstance(value, list) else [value])
    ):
        raise ConfigError(f"{key} is too large a number.", path=path)  # for a float, and for a message
    if isinstance(example, tuple):
        if isinstance(value, str | int | float):
            value = [value]
        kind = str if key in ("data", "exclude") else float
        if isinstance(value, list | tuple) and all(_is(kind, item) for item in value):
            return tuple(kind(item) for item in value)
        raise ConfigError(f"{key} needs a list of {'strings' if kind is str else 'numbers'}.", path=path)
    if not _is(type(example), value):
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}[type(example)]
        raise ConfigError(f"{key} = {value!r} is not {wanted}.", path=path)
    return type(example)(value)


def _is(kind: type, value: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"The name {value!r} contains bytes that are not UTF-8.",
                hint="Rename that file or folder, then try again.",
            ) from error
        return f'"{"".join(_toml_character(character) for character in value)}"'
    return repr(value)


def _toml_character(character: str) -> str:
    if character in '\\"':
        return "\\" + character
    return f"\\u{ord(character):04x}" if ord(character) < 0x20 or character == "\x7f" else character
