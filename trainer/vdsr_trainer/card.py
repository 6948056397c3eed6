"""The model card of a run: what the weights are, for whoever receives them. It names no paths on the user's disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PureWindowsPath

from vdsr_app import __version__
from vdsr_app.core.atomic import write_atomically
from vdsr_app.core.words import counted
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import to_toml
from vdsr_trainer.events import Compared
from vdsr_trainer.run_files import CARD_NAME, WEIGHTS_NAME
from vdsr_trainer.trials import MOST_PICTURES

_ROW_NAMES = {"bicubic": "bicubic (no network)", "this run": "**this model**"}


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a card states besides the configuration.

    Attributes:
        title: display name of the run.
        preset: name of the preset it started from, or "".
        step: steps done.
        training: number of training pictures.
        held_out: number of validation pictures, including those never measured because there are too many.
        seconds: time spent training, over all parts of the run.
        device: what it ran on.
        parameters: number of trainable parameters.
        data_wait_share: share of the time the network waited for patches, 0 to 1.
        saving_share: share of the time spent on checkpoints, 0 to 1.
    """

    title: str
    preset: str
    step: int
    training: int
    held_out: int
    seconds: float
    device: str
    parameters: int
    data_wait_share: float = 0.0
    saving_share: float = 0.0


def write_card(run: Path, config: TrainConfig, facts: RunFacts, compared: Compared | None) -> Path:
    """Write the card next to the weights.

    Args:
        run: folder of the run.
        config: of the run.
        facts: what else the card states.
        compared: the table of results; None if nothing was measured.

    Raises:
        SaveError: the card cannot be written.
    """
    path = run / CARD_NAME
    write_atomically(path, card_text(config, facts, compared).encode())
    return path


def card_text(config: TrainConfig, facts: RunFacts, compared: Compared | None) -> str:
    """The card as Markdown."""
    parts = [
        f"# {_plain(facts.title)}\n",
        _description(config, facts),
        _facts_table(config, facts),
        _results(facts, compared),
        _use(config),
        _reproduce(config),
    ]
    return "\n".join(parts)


def without_places(config: TrainConfig) -> TrainConfig:
    """`config` with paths reduced to their last part and `exclude` emptied: weights and cards are passed on."""
    return replace(
        config,
        data=tuple(map(_last_name, config.data)),
        validation=_last_name(config.validation),
        exclude=(),
        start_from=_last_name(config.start_from),
        teacher_from=_last_name(config.teacher_from),
    )


def _description(config: TrainConfig, facts: RunFacts) -> str:
    origin = f", starting from the model '{_plain(_last_name(config.start_from))}'" if config.start_from else ""
    done = "" if facts.step >= config.steps else f" It was stopped before its end, {counted(config.steps, 'step')}."
    learned = counted(facts.training, "picture")
    return (
        "A VDSR network (Kim, Lee and Lee, CVPR 2016, arXiv 1511.04587) that enlarges pictures: bicubic first, then"
        f" the network adds detail. It was trained with VDSR Studio {__version__} on {learned}"
        f"{origin}, for {counted(facts.step, 'step')}.{done}\n"
    )


def _facts_table(config: TrainConfig, facts: RunFacts) -> str:
    scales = _series([f"x{scale:g}" for scale in config.scales])
    others = f", and any from x{config.scale_min:g} to x{config.scale_max:g}" if config.fixed_share < 1 else ""
    network = f"{config.depth} layers of {counted(config.width, 'channel')}, {facts.parameters:,} parameters"
    rows = [
        ("file", f"`{WEIGHTS_NAME}`, float32 safetensors; the checksum of the tensors is in its header"),
        ("network", network + ("" if config.residual else ", without the skip connection")),
        ("trained on", f"{counted(facts.training, 'picture')} of {_places(config.data)}"),
        ("chosen by", _judges(config, facts.held_out)),
        ("input", _input(config)),
        ("scale factors", scales + others),
        ("recipe", f"preset {facts.preset}" if facts.preset else "own settings"),
        (
            "steps",
            f"{facts.step:,} of {counted(config.batch, 'patch', 'patches')}, {config.patch_px} x {config.patch_px} px",
        ),
        *_teacher(config),
        ("time", f"{_duration(facts.seconds)} on {_plain(facts.device)}, {config.precision}"),
        ("waits", f"{facts.data_wait_share:.1%} of it for pictures, {facts.saving_share:.1%} for checkpoints"),
        ("seed", str(config.seed)),
        ("licence", "the pictures' licence decides: ask whose pictures it learned from before you pass it on"),
    ]
    return "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows)


def _teacher(config: TrainConfig) -> list[tuple[str, str]]:
    if config.teacher_from:
        return [
            (
                "teacher",
                f"a second network, which learned in an earlier run: '{_plain(_last_name(config.teacher_from))}'",
            )
        ]
    if config.teacher_learns:
        return [("teacher", f"a second network, which learned before, for {counted(config.teacher_steps, 'step')}")]
    return []


def _results(facts: RunFacts, compared: Compared | None) -> str:
    text = "## Measured\n\n"
    if compared is None or not compared.rows:
        return text + "Nothing was measured.\n"
    columns = list(dict.fromkeys(key for row in compared.rows.values() for key in row))
    text += (
        f"Luma PSNR in dB / SSIM, mean over {counted(compared.pictures, 'picture')} that the network never learned"
        f" from; higher is better, and 0.1 dB is little.\n\n"
    )
    text += "| | " + " | ".join(map(_column, columns)) + " |\n|---|" + "---|" * len(columns) + "\n"
    for name, row in compared.rows.items():
        cells = [f"{row[key][0]:.2f} / {row[key][1]:.4f}" if key in row else "" for key in columns]
        text += f"| {_ROW_NAMES.get(name, _plain(name))} | {' | '.join(cells)} |\n"
    if any("jpeg" in key for key in columns):
        text += "\nIn the columns with JPEG, the small pictures were saved as JPEG of that quality first.\n"
    return text


def _use(config: TrainConfig) -> str:
    limits = (
        "It learned from pictures with the faults of photographs, and removes some of the JPEG blocks and noise."
        if _is_degraded(config)
        else "It learned from clean pictures: what JPEG compression and noise left is kept, and may be sharpened."
    )
    return (
        "## Use\n\n"
        "In VDSR Studio, add the file to the list of models, or run\n\n"
        f"    vdsr upscale photo.jpg --scale 2 --model {WEIGHTS_NAME}\n\n"
        f"    vdsr export {WEIGHTS_NAME} --onnx vdsr.onnx\n\n"
        f"{limits} It invents no texture, and is best on pictures like those it learned from.\n"
    )


def _reproduce(config: TrainConfig) -> str:
    return (
        "## Train it again\n\n"
        "Save this as `config.toml`, put the folders of pictures in, and run"
        " `vdsr train --config config.toml --out RUN`.\n\n"
        f"```toml\n{to_toml(without_places(config))}```\n"
    )


def _input(config: TrainConfig) -> str:
    if not _is_degraded(config):
        return "bicubic enlargement of a clean, antialiased bicubic reduction; no JPEG, blur or noise"
    kinds = []
    if config.jpeg_share:
        kinds.append(
            f"JPEG of quality {config.jpeg_quality_min} to {config.jpeg_quality_max} on {config.jpeg_share:.0%}"
        )
    if config.blur_share:
        kinds.append(f"slight blur on {config.blur_share:.0%}")
    if config.noise_share:
        kinds.append(f"noise on {config.noise_share:.0%}")
    return f"bicubic enlargement of reduced pictures with {_series(kinds)} of the patches"


def _is_degraded(config: TrainConfig) -> bool:
    return bool(config.jpeg_share or config.blur_share or config.noise_share)


def _judges(config: TrainConfig, held_out: int) -> str:
    some = f"{MOST_PICTURES} of " if held_out > MOST_PICTURES else ""
    where = f"of {_places([config.validation])}" if config.validation else "held out of these folders"
    return f"{some}{counted(held_out, 'picture')} {where}"


def _places(folders: Sequence[str]) -> str:
    names = list(dict.fromkeys(f"'{_plain(_last_name(folder))}'" for folder in folders if folder))
    return ("the folders " if len(names) > 1 else "the folder ") + _series(names) if names else "one folder"


def _column(key: str) -> str:
    scale, *rest = key.split(" ", 1)
    return f"x{scale}, JPEG {rest[0].removeprefix('jpeg ')}" if rest else f"x{scale}"


def _last_name(path: str) -> str:
    r"""Last part of a path on any system: both "/home/me/birds" and "C:\Users\me\birds" give "birds"."""
    name = PureWindowsPath(path).name if "\\" in path else PurePath(path).name
    return name if name or not path else "pictures"


def _plain(text: str) -> str:
    """`text` on one line, with characters special to Markdown or HTML escaped."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in line)


def _series(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return counted(max(1, round(seconds)), "second")
    if minutes < 60:
        return counted(minutes, "minute")
    hours, rest = divmod(minutes, 60)
    return counted(hours, "hour") + (f" {counted(rest, 'minute')}" if rest else "")
