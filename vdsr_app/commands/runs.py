"""List and compare training runs; rename, copy and delete them; write their curves as CSV.

RUN is the name of a folder in the folder of runs, the title of a run there, or the path of any run's folder.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vdsr_app import paths
from vdsr_app.commands.common import require_place_of_table
from vdsr_app.console import Console
from vdsr_app.core.atomic import write_atomically
from vdsr_app.core.identity import same_file
from vdsr_app.core.naming import refuse_overwriting_source
from vdsr_app.core.words import counted
from vdsr_app.errors import TrainingError, UsageError
from vdsr_trainer.history import RunHistory, read_history, scale_order
from vdsr_trainer.run_files import EVENTS_NAME, FOUND_IN_RUNS_ALONE, is_alive
from vdsr_trainer.runs import RunInfo, RunState, delete_run, describe_run, duplicate_run, list_runs, rename_run

SUMMARY = "list, compare, rename and delete training runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `vdsr runs`."""
    _add_common(parser, default=None)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="instead of the list")
    rename = _add_action(actions, "rename", "give a run another title; its folder keeps its name")
    rename.add_argument("run", metavar="RUN")
    rename.add_argument("title", metavar="TITLE")
    duplicate = _add_action(actions, "duplicate", "make a new run with the settings of another, beside it")
    duplicate.add_argument("run", metavar="RUN")
    duplicate.add_argument("title", metavar="TITLE")
    delete = _add_action(actions, "delete", "delete a run with its checkpoints and weights")
    delete.add_argument("run", metavar="RUN")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    compare = _add_action(actions, "compare", "PSNR and gain over bicubic at the last validation, side by side")
    compare.add_argument("runs", nargs="+", metavar="RUN")
    table = _add_action(actions, "csv", "loss, rates and PSNR of a run, one line a step")
    table.add_argument("run", metavar="RUN")
    table.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write here instead of showing it; replaces such a table, and no other file",
    )


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """List the runs, or do what was asked for; False if a run to compare is damaged."""
    root = arguments.folder or paths.runs_dir()
    match arguments.action:
        case "rename":
            return _rename(_find(root, arguments.run), arguments.title, console)
        case "duplicate":
            return _duplicate(_find(root, arguments.run), arguments.title, console)
        case "delete":
            return _delete(_find(root, arguments.run), console, ask=not arguments.yes)
        case "compare":
            return _compare([_find(root, name) for name in arguments.runs], console)
        case "csv":
            return _csv(_find(root, arguments.run), arguments.output, console)
        case _:
            return _list(root, console)


def _add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "--folder", type=Path, default=default, metavar="ROOT", help="folder of runs (that of `vdsr info`)"
    )
    parser.add_argument("--json", action="store_true", default=default or False, help="print one JSON object")


def _add_action(actions: Any, name: str, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    # Options work before and after the action; without SUPPRESS, its defaults would overwrite those given before it.
    _add_common(parser, default=argparse.SUPPRESS)
    return parser


def _find(root: Path, name: str) -> RunInfo:
    """The run that `name` refers to.

    Raises:
        UsageError: there is none, or more than one matches.
    """
    known = list_runs(root)
    fitting = [run for run in known if name in (run.folder.name, run.title)]
    if len(fitting) > 1:
        folders = ", ".join(f"'{run.folder.name}'" for run in fitting)
        raise UsageError(f"More than one run matches '{name}'.", hint=f"Give the path of its folder: {folders}.")
    if fitting:
        return fitting[0]
    folder = Path(name).absolute()
    for run in known:
        if os.path.isdir(folder) and same_file(run.folder, folder):
            return run
    if any(os.path.exists(folder / file) for file in FOUND_IN_RUNS_ALONE):
        return describe_run(folder)
    if os.path.isdir(folder):
        raise UsageError(
            "This folder contains no training run.", path=folder, hint="`vdsr runs` lists those there are."
        )
    raise UsageError(f"There is no run '{name}'.", hint=f"`vdsr runs` lists those below {root}.")


def _list(root: Path, console: Console) -> bool:
    if root != paths.runs_dir() and not os.path.isdir(root):
        raise UsageError("There is no such folder.", path=root, hint="Check the name.")
    runs = list_runs(root)
    console.record({"folder": str(root), "runs": [_as_json(run) for run in runs]})
    if not runs:
        elsewhere = " Those of another folder: vdsr runs --folder FOLDER" if root == paths.runs_dir() else ""
        console.result(f"There is no training run below {root}.{elsewhere}")
        return True
    scales = _scales(runs)
    lines = [["title", "state", "steps", *(f"x{scale} gain" for scale in scales), "folder"]]
    for run in runs:
        gains = _gains(run)
        steps = f"{run.step:,} / {run.steps:,}" if run.steps else f"{run.step:,}"
        cells = [f"{gains[scale]:+.2f} dB" if scale in gains else "" for scale in scales]
        lines.append([run.title, str(run.state), steps, *cells, str(run.folder)])
    _print_table(lines, console)
    for run in runs:
        if run.reason:
            console.note(f"{run.title}: {run.reason}")
    return True


def _rename(run: RunInfo, title: str, console: Console) -> bool:
    _refuse_empty(title)
    rename_run(run.folder, title)
    renamed = describe_run(run.folder)
    console.record({"folder": str(renamed.folder), "title": renamed.title})
    console.result(f"{renamed.folder}: '{run.title}' is now '{renamed.title}'")
    return True


def _duplicate(run: RunInfo, title: str, console: Console) -> bool:
    _refuse_empty(title)
    made = describe_run(duplicate_run(run.folder, title))
    console.record({"folder": str(made.folder), "title": made.title})
    console.result(f"{made.folder}: made, with the settings of '{run.title}'; begin with vdsr train --resume")
    return True


def _delete(run: RunInfo, console: Console, *, ask: bool) -> bool:
    # Checked here too, so that nobody confirms a deletion that is then refused.
    if is_alive(run.folder):
        raise TrainingError("This run is running.", path=run.folder, hint="Stop it first, then delete it.")
    if ask and not console.confirm(
        f"Delete '{run.title}', {counted(run.step, 'step')}, with all that is in {run.folder}?"
    ):
        console.note("Nothing was deleted.")
        return True
    delete_run(run.folder)
    console.record({"folder": str(run.folder), "deleted": True})
    console.result(f"{run.folder}: deleted")
    return True


def _compare(runs: Sequence[RunInfo], console: Console) -> bool:
    scales = _scales(runs)
    console.record({"runs": [_as_json(run) for run in runs]})
    lines = [["title", "steps", *(f"x{scale}" for scale in scales)]]
    for run in runs:
        gains = _gains(run)
        cells = [f"{run.psnr_db[scale]:.2f} dB ({gains[scale]:+.2f})" if scale in gains else "" for scale in scales]
        lines.append([run.title, f"{run.step:,}", *cells])
    _print_table(lines, console)
    if any(len({round(run.bicubic_psnr_db[scale], 2) for run in runs if scale in _gains(run)}) > 1 for scale in scales):
        console.note("These runs were validated on different pictures, so their numbers cannot be compared well.")
    for run in runs:
        if not _gains(run):
            console.note(f"{run.title}: {run.reason or 'It has not been validated yet.'}")
    return all(run.state is not RunState.DAMAGED for run in runs)


def _csv(run: RunInfo, output: Path | None, console: Console) -> bool:
    log = run.folder / EVENTS_NAME
    if console.json and output is None:
        raise UsageError("A CSV table is not JSON.", hint="Give -o FILE, or leave --json out.")
    try:
        text = read_history(log).to_csv()
    except OSError as error:
        raise TrainingError(f"The log of the run cannot be read: {error.strerror or error}.", path=log) from error
    if output is None:
        for line in text.splitlines():
            console.result(line)
        return True
    refuse_overwriting_source(output, [log])
    require_place_of_table(output, RunHistory().to_csv().rstrip().encode())
    write_atomically(output, text.encode())
    console.record({"file": str(output)})
    console.result(f"{output}: written")
    return True


def _refuse_empty(title: str) -> None:
    if not title.strip():
        raise UsageError("The title is empty.", hint="Give the run a name.")


def _scales(runs: Iterable[RunInfo]) -> list[str]:
    return sorted({scale for run in runs for scale in _gains(run)}, key=scale_order)


def _gains(run: RunInfo) -> dict[str, float]:
    """PSNR gain over bicubic by scale factor, in dB, where both are known."""
    gains = {
        scale: value - run.bicubic_psnr_db[scale]
        for scale, value in run.psnr_db.items()
        if scale in run.bicubic_psnr_db
    }
    return {scale: gain for scale, gain in gains.items() if math.isfinite(gain)}


def _as_json(run: RunInfo) -> dict[str, Any]:
    def finite(values: dict[str, float]) -> dict[str, float | None]:
        return {key: value if math.isfinite(value) else None for key, value in values.items()}

    return {
        "title": run.title,
        "folder": str(run.folder),
        "created": run.created.isoformat(timespec="seconds"),
        "preset": run.preset,
        "state": str(run.state),
        "step": run.step,
        "steps": run.steps,
        "psnr_db": finite(run.psnr_db),
        "bicubic_psnr_db": finite(run.bicubic_psnr_db),
        "gain_db": {scale: round(gain, 4) for scale, gain in _gains(run).items()},
        "weights": None if run.weights is None else str(run.weights),
        "reason": run.reason,
    }


def _print_table(lines: Sequence[Sequence[str]], console: Console) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        console.result("  ".join(cells).rstrip())
