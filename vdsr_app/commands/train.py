"""Train the network on folders of pictures.

The run folder keeps the configuration, every event, two checkpoints and, at the end, the weights as .safetensors with a
model card. Ctrl+C saves and stops; `vdsr train --resume RUN` continues exactly where it stopped. `--measure` does a few
steps and reports what a run would cost on this machine.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from vdsr_app.commands.common import duration, stop_on_signals
from vdsr_app.console import Console, ProgressUpdate
from vdsr_app.core.models import find_model, persistent_name
from vdsr_app.core.weight_header import read_shape
from vdsr_app.core.words import counted
from vdsr_app.errors import UsageError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import apply_values, read_config
from vdsr_trainer.cost import judging_seconds
from vdsr_trainer.events import (
    Compared,
    Event,
    Finished,
    Measured,
    Noticed,
    Paused,
    Preparing,
    Resumed,
    RolledBack,
    Started,
    Stepped,
    Validated,
    to_json,
)
from vdsr_trainer.presets import DEFAULT_PRESET, PRESETS, preset, preset_of, starting_from

SUMMARY = "train the network on your own pictures"

_THREADS_THAT_SLEEP = {"GOMP_SPINCOUNT": "2000", "KMP_BLOCKTIME": "1"}
"""For torch's OpenMP, read when it is loaded. By default its threads wait for each other by spinning: beside another
busy program on two cores, a step took 2.2 s instead of 0.9 s, against 0.44 s alone with either setting."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `vdsr train`."""
    parser.add_argument("--preset", choices=tuple(PRESETS), help=f"recipe to start from ({DEFAULT_PRESET})")
    parser.add_argument("--data", nargs="+", metavar="FOLDER", help="folders of training pictures, subfolders included")
    parser.add_argument(
        "--validation", metavar="FOLDER", help="pictures to choose by; else some of --data are held out"
    )
    parser.add_argument("--out", type=Path, metavar="RUN", help="new folder for the run")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="resume the run in this folder")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML with settings over those of the preset, as in a run's config.toml; docs/training.md has its keys",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="optimiser steps in all")
    parser.add_argument("--depth", type=int, metavar="N", help="convolutions of the network (as in the preset)")
    parser.add_argument(
        "--start-from", metavar="MODEL", help="refine an installed model or .safetensors file, at lower rates"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of weights, patches and flips (0)")
    parser.add_argument("--checkpoint-every", type=int, metavar="N", help="steps between checkpoints")
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda, mps (auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads; 0 leaves the choice to torch")
    parser.add_argument("--measure", action="store_true", help="estimate time and memory by a dry run; trains nothing")
    parser.add_argument("--presets", nargs="+", choices=tuple(PRESETS), metavar="P", help="presets to --measure")
    parser.add_argument("--json", action="store_true", help="print one JSON object per event")


_OVERRIDES = ("steps", "depth", "seed", "checkpoint_every", "device", "threads", "validation")


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """Train, resume, or measure; True when the run reached its last step, or was stopped and saved."""
    if arguments.presets and not arguments.measure:
        raise UsageError("--presets belongs to --measure.", hint="Choose one recipe with --preset.")
    for name, value in _THREADS_THAT_SLEEP.items():
        os.environ.setdefault(name, value)
    if arguments.measure:
        return _measure(arguments, console)
    from vdsr_trainer.loop import resume_config, train

    if arguments.resume is not None:
        _refuse_with_resume(arguments)
        folder, config = arguments.resume, resume_config(arguments.resume)
        config = apply_values(config, _given(arguments))
    else:
        folder, config = arguments.out, _configuration(arguments)
        if folder is None:
            raise UsageError("A new run needs a folder.", hint="Give --out RUN.")
        if not config.data:
            raise UsageError("There are no pictures to train on.", hint="Give --data FOLDER.")
    known = 0 if config.epochs else config.steps
    with stop_on_signals() as token, console.progress("Training", known, "steps") as update:
        preset_name = "" if arguments.resume is not None else _preset_name(arguments, config)
        reporter = _Reporter(console, update)
        train(config, folder, reporter, token, resume=arguments.resume is not None, preset=preset_name)
    return True


def _measure(arguments: argparse.Namespace, console: Console) -> bool:
    if arguments.resume is not None or arguments.out is not None:
        raise UsageError("--measure trains nothing.", hint="Leave out --resume and --out.")
    if arguments.presets and (arguments.config is not None or _given(arguments)):
        raise UsageError("--presets measures the presets as they are.", hint="Use --preset with other settings.")
    if arguments.presets:
        configs = {name: preset(name) for name in arguments.presets}
    else:
        configs = {arguments.preset or DEFAULT_PRESET: _configuration(arguments)}
    from vdsr_trainer.dry_run import measure

    with stop_on_signals() as token:
        for name, config in configs.items():
            event = measure(config, name, token)
            if console.json:
                console.raw(to_json(event))
            else:
                console.result(f"{name}: {_cost(event, config)}")
    return True


def _cost(event: Measured, config: TrainConfig) -> str:
    before = f", the teacher {event.seconds_before / 60:,.0f} min before" if event.seconds_before else ""
    if event.seconds_a_megapixel:
        before += f", its answers {event.seconds_a_megapixel:.2g} s for each megapixel of pictures and shrunk copies"
    if event.steps:
        judging_s = judging_seconds(config, event, event.steps)
        take = "takes" if event.steps == 1 else "take"
        steps = f"{counted(event.steps, 'step')} {take} about {event.seconds_a_step * event.steps / 60:,.0f} min"
        steps += f", validations and the comparison at the end {judging_s / 60:,.0f} min{before}"
    else:
        steps = "how many steps its epochs have, the pictures decide"
    return f"{event.seconds_a_step:.3g} s a step, {event.memory_bytes / 1e6:,.0f} MB; {steps}"


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name in _OVERRIDES if (value := getattr(arguments, name)) is not None}


def _configuration(arguments: argparse.Namespace) -> TrainConfig:
    stock = config = preset(arguments.preset or DEFAULT_PRESET)
    begins: dict[str, Any] = {}
    if arguments.start_from is not None:
        depth, width = read_shape(find_model(arguments.start_from).path)
        config = starting_from(config, arguments.start_from, depth, width)
        begins = {name: getattr(config, name) for name in ("start_from", "depth", "width", "residual")}
    if arguments.config is not None:
        # The file's recipe counts, but what it starts from does not if the command line says that.
        config = apply_values(read_config(arguments.config, config, stock), begins)
    config = apply_values(config, _given(arguments))
    if arguments.data:
        config = replace(config, data=tuple(arguments.data))
    return _with_absolute_paths(config)


def _preset_name(arguments: argparse.Namespace, config: TrainConfig) -> str:
    """Preset of a new run, for lists and its model card; a configuration file may match a preset without naming it."""
    if arguments.config is not None and arguments.preset is None:
        return preset_of(config)
    return arguments.preset or DEFAULT_PRESET


def _with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """`config` with its paths made absolute, so that the run can be resumed from another folder."""

    def anchored(place: str) -> str:
        return str(Path(place).resolve()) if place else ""

    return replace(
        config,
        data=tuple(anchored(folder) for folder in config.data),
        validation=anchored(config.validation),
        start_from=persistent_name(config.start_from),
        teacher_from=anchored(config.teacher_from),
    )


def _refuse_with_resume(arguments: argparse.Namespace) -> None:
    """Refuse options that are fixed once a run has started."""
    for name in ("out", "preset", "data", "config", "depth", "seed", "validation", "start_from"):
        if getattr(arguments, name) is not None:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} cannot change in a resumed run.", hint="Start a new run with --out.")


class _Reporter:
    """Prints events: JSON lines, or a bar with one line per validation."""

    def __init__(self, console: Console, update: ProgressUpdate) -> None:
        self._console = console
        self._update = update
        self._preparing, self._prepared = "", 0

    def __call__(self, event: Event) -> None:
        if self._console.json:
            self._console.raw(to_json(event))
            return
        match event:
            case Preparing():
                self._show_preparing(event)
            case Started():
                self._console.result(
                    f"{counted(event.pictures, 'picture')}, {len(event.held_out)} held out,"
                    f" {event.parameters:,} parameters, on {event.device}; step {event.step} of {event.steps}"
                )
                # With epochs, the number of steps follows from the pictures and is known only now.
                self._update(event.step, event.steps)
            case Stepped():
                self._update(event.step)
            case Validated():
                gains = "  ".join(
                    f"x{scale} {value:.2f} dB ({value - event.bicubic_psnr_db[scale]:+.2f})"
                    for scale, value in event.psnr_db.items()
                )
                self._console.result(f"step {event.step:>6}  {gains}")
            case RolledBack():
                self._console.note(event.reason)
                self._update(event.to_step)
            case Noticed():
                self._console.note(event.message)
            case Paused():
                self._console.note(f"Paused at step {event.step}.")
            case Resumed():
                self._console.note("Continued.")
            case Compared():
                self._show_comparison(event)
            case Finished():
                self._show_end(event)
            case _:
                pass

    def _show_preparing(self, event: Preparing) -> None:
        """Print a line per tenth, the only sign of life if there is no terminal for a bar."""
        tenth = 10 * event.done // max(1, event.total)
        if event.what != self._preparing:
            self._preparing, self._prepared = event.what, 0
        if tenth > self._prepared:
            self._prepared = tenth
            words = {
                "pictures": "Pictures checked",
                "teacher": "Steps that the teacher learned",
                "answers": "Pictures that the teacher was asked about",
            }[event.what]
            left = f", {duration(event.seconds_left)} left" if event.seconds_left else ""
            self._console.note(f"{words}: {event.done} of {event.total}{left}")

    def _show_comparison(self, event: Compared) -> None:
        self._console.result(f"on {counted(event.pictures, 'held-out picture')} (PSNR in dB / SSIM):")
        for name, row in event.rows.items():
            cells = "  ".join(f"x{key} {psnr_db:.2f} / {ssim:.4f}" for key, (psnr_db, ssim) in row.items())
            self._console.result(f"  {name:<10} {cells}")

    def _show_end(self, event: Finished) -> None:
        if event.discarded:
            self._console.result("Run discarded.")
            return
        if not event.weights:
            done = f"at step {event.step}, which is saved" if event.step else "before its first step"
            self._console.result(f"Run stopped {done}; continue with --resume.")
            return
        state = "finished" if event.complete else "stopped and saved; continue with --resume"
        self._console.result(f"Run {state} at step {event.step}: {event.weights}")
        self._console.note(
            f"{event.data_wait_share:.1%} of the time went into waiting for pictures, {event.saving_share:.1%} into"
            " checkpoints."
        )
