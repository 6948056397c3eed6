"""Enlarge pictures with the network and save the results.

A folder needs -o FOLDER; each of its files is taken once, and links that lead out of it are not followed. Results that
go into a folder are named NAME_MODEL_xSCALE, or after the size that was asked for, such as NAME_MODEL_6000long. Without
-o, the result is saved beside its picture. Pictures in the results folder that are named like results of others there
are left out. A picture that fails does not stop the others.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from vdsr_app.commands.common import choice_note, stop_on_signals
from vdsr_app.commands.settings_arguments import add_settings_arguments, settings_of
from vdsr_app.console import Console
from vdsr_app.control import CancelToken
from vdsr_app.core import image_io
from vdsr_app.core.batch.scan import Scanner
from vdsr_app.core.engines import Engines
from vdsr_app.core.folders import require_exists
from vdsr_app.core.formats import USUAL_SUFFIX, format_for_path
from vdsr_app.core.job import UpscaleSettings
from vdsr_app.core.model_choice import AUTO_MODEL, choose_model, photo_installed
from vdsr_app.core.models import installed_models
from vdsr_app.core.naming import (
    PlannedOutput,
    model_text,
    plan_outputs,
    refuse_overwriting_source,
    results_among,
)
from vdsr_app.core.pipeline import (
    FileDone,
    FileEvent,
    FileFailed,
    FileJob,
    FileNotice,
    FileProgress,
    FileStarted,
    StageSeconds,
    run_files,
)
from vdsr_app.errors import SaveError, UsageError, VdsrError

SUMMARY = "enlarge pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `vdsr upscale`."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="picture files or folders")
    add_settings_arguments(parser, usual_format="the ending of -o, else png")
    # Not a Path, which would drop a trailing slash.
    parser.add_argument(
        "-o", "--output", metavar="OUT", help="file, or folder for several pictures or with a slash at its end"
    )
    parser.add_argument(
        "--existing",
        choices=("overwrite", "skip"),
        default="overwrite",
        help="what to do if the result already exists (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per picture and line")


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """Enlarge every input; False if one failed."""
    settings = settings_of(arguments)
    sources, planned, results = _plan(arguments, settings)
    with stop_on_signals() as token:
        work = _Work(console, settings, arguments.existing == "skip", sources, token)
        work.leave_out(results)
        work.all(planned)
    outcomes = work.outcomes
    if not console.json and len(planned) > 1:
        done = sum(outcomes)
        console.result(
            f"{done} of {len(planned)} pictures done" + ("" if done == len(planned) else ", the rest failed")
        )
    return all(outcomes)


def _plan(
    arguments: argparse.Namespace, settings: UpscaleSettings
) -> tuple[list[Path], list[PlannedOutput], dict[Path, Path]]:
    """Sources, their planned outputs, and the pictures left out, each with the picture it is the result of."""
    folders = [path for path in arguments.inputs if os.path.isdir(path)]
    output = None if arguments.output is None else Path(arguments.output)
    if folders and output is None:
        raise UsageError("A folder needs a place for its results.", path=folders[0], hint="Give -o FOLDER.")
    sources: list[Path] = []
    for path in arguments.inputs:
        found = [path] if output is None or path not in folders else _pictures_in(path, output)
        sources += [each for each in found if each not in sources]
    if output is None:
        by_folder: dict[str, list[Path]] = {}
        for source in sources:
            by_folder.setdefault(os.path.realpath(source.parent), []).append(source)
        planned = [each for those in by_folder.values() for each in _plan_by_model(those, those[0].parent, settings)]
        return sources, planned, {}
    if len(arguments.inputs) > 1 or folders or os.path.isdir(output) or _looks_like_folder(arguments.output):
        if os.path.isfile(output):
            raise UsageError("Several pictures need a folder.", path=output, hint="Give -o FOLDER.")
        results = _results_among(sources, set(arguments.inputs), output, settings.model)
        originals = [each for each in sources if each not in results]
        return originals, _plan_by_model(originals, output, settings), results
    if settings.save.format is None:
        _require_format(output)
    return sources, [PlannedOutput(sources[0], output)], {}


def _pictures_in(folder: Path, output: Path) -> list[Path]:
    """Pictures of one folder, as a batch finds them: each file once, and none through a link that leads elsewhere."""
    require_exists(folder)
    found = [each.path for each in Scanner(output, recursive=False).scan([folder])]
    if not found:
        hint = "Choose another one; links that lead out of a folder are not followed."
        raise UsageError("The folder contains no pictures.", path=folder, hint=hint)
    return found


def _require_format(output: Path) -> None:
    try:
        format_for_path(output)
    except SaveError as error:
        endings = ", ".join(USUAL_SUFFIX.values())
        raise UsageError(error.what, path=output, hint=f"Use {endings}, or give --format.") from error


def _looks_like_folder(output: str) -> bool:
    return output.endswith(tuple(mark for mark in (os.sep, os.altsep) if mark))


def _results_among(sources: Sequence[Path], given: set[Path], output: Path, model: str) -> dict[Path, Path]:
    """Pictures in the output folder that are named like results of others there, unless given explicitly."""
    place = os.path.realpath(output)
    there = [each for each in sources if os.path.realpath(each.parent) == place]
    if not there:
        return {}
    models = {model_text(model), *(each.name for each in installed_models())}
    return {each: maker for each, maker in results_among(there, models).items() if each not in given}


def _plan_by_model(sources: Sequence[Path], folder: Path, settings: UpscaleSettings) -> list[PlannedOutput]:
    """Outputs in the order of `sources`, each named after the model chosen for its picture."""
    has_photo = photo_installed() if settings.model == AUTO_MODEL else None
    models = []
    for source in sources:
        compression = image_io.compression_of(source) if settings.model == AUTO_MODEL else None
        models.append(choose_model(settings.model, compression, has_photo=has_photo).name)
    return plan_outputs(sources, folder, models, settings.target, settings.save.format_or_default)


class _Work:
    """Processes the planned pictures and reports on each in order."""

    def __init__(
        self, console: Console, settings: UpscaleSettings, skip: bool, sources: Sequence[Path], token: CancelToken
    ) -> None:
        self._console = console
        self._settings = settings
        self._skip = skip
        self._sources = sources
        self._token = token
        self._bar = ExitStack()
        self._update: Callable[[float], None] = lambda done: None
        self._reports: dict[int, Callable[[], bool]] = {}
        self._next = 0
        self.outcomes: list[bool] = []

    def leave_out(self, results: Mapping[Path, Path]) -> None:
        """Report sources that are left out as results of others."""
        for each in results:
            self._record(each, None, "skipped")
        if results:
            first, maker = next(iter(results.items()))
            count = "A picture is" if len(results) == 1 else f"{len(results)} pictures are"
            self._console.note(f"{count} left out, named like the result of another: {first.name}, of {maker.name}.")

    def all(self, planned: Sequence[PlannedOutput]) -> None:
        """Enlarge all pictures; `outcomes` then has one entry per picture, True unless it failed.

        Raises:
            Cancelled: the user stopped it.
        """
        engines = Engines(self._settings.device, self._settings.precision)
        with self._bar:
            run_files(self._jobs(planned), engines, self._on_event, self._token)
        self._report_in_order()

    def _jobs(self, planned: Sequence[PlannedOutput]) -> Iterator[FileJob]:
        """The jobs to do; pictures without one are reported when their turn comes."""
        for number, each in enumerate(planned):
            job = FileJob(number, each.source, each.output, self._settings)
            if self._skip and os.path.exists(each.output):
                self._reports[number] = partial(self._skipped, job)
                continue
            try:
                refuse_overwriting_source(each.output, self._sources)
            except VdsrError as error:
                self._reports[number] = partial(self._failed, job, error)
            else:
                yield job

    def _on_event(self, event: FileEvent) -> None:
        job = event.job
        match event:
            case FileStarted():
                if note := choice_note(event.model):
                    self._note(job, note)
                total_px = event.target.width * event.target.height
                update = self._bar.enter_context(self._console.progress(job.source.name, total_px, "Mpx", 1e6))
                self._update = lambda share: update(total_px * share)
            case FileProgress():
                self._update(event.done_px / event.total_px)
                if event.done_px >= event.total_px:
                    self._close_bar()
            case FileNotice():
                self._note(job, event.text)
            case FileFailed():
                self._close_bar()
                self._reports[job.number] = partial(self._failed, job, event.error)
                self._report_in_order()
            case FileDone():
                self._reports[job.number] = partial(self._done, event)
                self._report_in_order()

    def _close_bar(self) -> None:
        self._bar.close()
        self._update = lambda done: None

    def _report_in_order(self) -> None:
        """Report every picture whose turn has come."""
        while (report := self._reports.pop(self._next, None)) is not None:
            self._next += 1
            self.outcomes.append(report())

    def _note(self, job: FileJob, text: str) -> None:
        self._console.note(f"{job.source.name}: {text}")

    def _skipped(self, job: FileJob) -> bool:
        self._record(job.source, job.output, "skipped")
        self._console.result(f"{job.source.name}: skipped, {job.output} already exists")
        return True

    def _failed(self, job: FileJob, error: VdsrError) -> bool:
        self._record(job.source, None, "failed", error=error)
        self._console.error(error)
        return False

    def _done(self, done: FileDone) -> bool:
        self._record(done.job.source, done.job.output, "done", done)
        size = done.target
        self._console.result(
            f"{done.job.source.name} -> {done.job.output}  {size.width} x {size.height} px, {done.seconds.total:.1f} s"
        )
        return True

    def _record(
        self,
        source: Path,
        output: Path | None,
        state: str,
        done: FileDone | None = None,
        error: VdsrError | None = None,
    ) -> None:
        seconds = StageSeconds() if done is None else done.seconds
        stages = {**asdict(seconds), "total": seconds.total}
        record: dict[str, Any] = {
            "input": str(source),
            "output": None if output is None else str(output),
            "state": state,
            "width": done.target.width if done else None,
            "height": done.target.height if done else None,
            "scale": done.target.scale if done else None,
            "model": done.model.name if done else self._settings.model,
            "model_reason": str(done.model.reason) if done else None,
            "device": done.device if done else None,
            "precision": done.precision if done else None,
            "seconds": {name: round(value, 3) for name, value in stages.items()},
            "error": None if error is None else str(error),
        }
        self._console.record(record)
