"""Enlarge whole folders, overnight if need be: planned in advance, recorded as it runs, and resumable.

Results go to OUT, in the same subfolders as their sources. A picture that fails does not stop the others. A batch that
was stopped or killed is continued by `vdsr batch --resume -o OUT`; the same command without --resume makes only what is
new or changed. If the disk is full, it waits until there is room.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from vdsr_app.commands.common import duration, quoted, require_place_of_table, stop_on_signals
from vdsr_app.commands.settings_arguments import add_settings_arguments, settings_of
from vdsr_app.console import Console
from vdsr_app.core.atomic import TEMPORARY_PREFIX, require_writable
from vdsr_app.core.batch import (
    REPORT_HEADER,
    Batch,
    BatchEvent,
    BatchOptions,
    BatchReport,
    Changed,
    Existing,
    FoundRoom,
    Item,
    Noticed,
    Planned,
    Progress,
    State,
    WaitsForRoom,
    plan_of,
    unfinished,
    write_report,
)
from vdsr_app.core.batch.cluster import Cluster, check_address
from vdsr_app.core.folders import require_exists
from vdsr_app.core.formats import READABLE_SUFFIXES
from vdsr_app.core.naming import DEFAULT_TEMPLATE
from vdsr_app.core.words import counted
from vdsr_app.errors import Cancelled, UsageError

SUMMARY = "enlarge folders of pictures, and resume after a stop"

_MAY_CHANGE = {
    *("inputs", "output", "resume", "retry_failed", "dry_run", "cluster", "report", "json"),
    *("device", "precision"),
}
"""Arguments that may be given when a batch is resumed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `vdsr batch`."""
    parser.register("action", None, _Given)
    parser.add_argument("inputs", nargs="*", type=Path, metavar="FOLDER", help="folders, or picture files")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True, help="folder for the results")
    parser.add_argument("--recursive", action="store_true", help="include subfolders")
    parser.add_argument(
        "--template",
        default=DEFAULT_TEMPLATE,
        metavar="T",
        help="names of the results, from {name} {model} {target} {scale} {width} {height} {number} {folder} {type}"
        " (%(default)s)",
    )
    parser.add_argument(
        "--existing",
        choices=[str(each) for each in Existing],
        default=str(Existing.SKIP),
        help="if a result already exists: skip it unless source or settings have changed, overwrite whatever it is,"
        " or rename the new one (%(default)s)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="resume the batch in OUT with the settings it was started with; only device and precision may differ",
    )
    parser.add_argument("--retry-failed", action="store_true", help="the same, and retry what failed")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="use a Dask cluster that sees the same folders: tcp://HOST:8786; docs/scale.md says how to start one",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write the outcome of each picture as CSV; replaces an earlier report, and no other file",
    )
    add_settings_arguments(parser, usual_format="png")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per picture and line, and a summary last"
    )


class _Given(argparse.Action):
    """Stores a value, and records that it was given, as it may equal the default."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, values)
        namespace.given = {*_given(namespace), self.dest}


def _given(arguments: argparse.Namespace) -> set[str]:
    """Names of the arguments that were given; of switches, those that are on."""
    switches = {name for name, value in vars(arguments).items() if value is True}
    return switches | getattr(arguments, "given", set())


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """Run the batch; False if a picture failed."""
    if arguments.cluster is not None:
        check_address(arguments.cluster)
    going_on = arguments.resume or arguments.retry_failed
    options = _options_before(arguments) if going_on else _options(arguments)
    if arguments.dry_run:
        if arguments.report is not None:
            raise UsageError("--dry-run does nothing to report on.", hint="Leave out --report, or take --json.")
        return _dry_run(arguments, options, console)
    _require_place_of_report(arguments.report, options.output)
    with stop_on_signals() as token, ExitStack() as stack:
        teller = _Teller(console, stack)
        cluster = None if arguments.cluster is None else Cluster(arguments.cluster, options.output)
        batch = Batch(options, teller.on_event, token, do_files=cluster)
        batch.add(arguments.inputs)
        try:
            report = batch.run(resume=arguments.resume, retry_failed=arguments.retry_failed)
            teller.has_started = True
            stack.close()
            _tell_end(report, options, console)
        except Cancelled:
            stack.close()
            console.note(f"Continue with: vdsr batch --resume -o {quoted(options.output)}")
            raise
        finally:
            stack.close()
            if arguments.report is not None and teller.has_started:
                write_report(options.output, arguments.report)
    return report.failed == 0


def _options(arguments: argparse.Namespace) -> BatchOptions:
    if not arguments.inputs:
        raise UsageError("There is nothing to enlarge.", hint="Give a folder, or resume a batch with --resume.")
    if os.path.isfile(arguments.output):
        raise UsageError("The results need a folder.", path=arguments.output, hint="Give -o FOLDER.")
    for each in arguments.inputs:
        require_exists(each)
    return BatchOptions(
        arguments.output,
        settings_of(arguments),
        arguments.recursive,
        arguments.template,
        Existing(arguments.existing),
    )


def _require_place_of_report(file: Path | None, output: Path) -> None:
    """Check before the work that a report can be written after it; the results folder will exist by then."""
    if file is None:
        return
    folder = file.absolute().parent
    if os.path.isdir(folder):
        require_writable(folder)
    elif folder not in (output.absolute(), *output.absolute().parents):
        raise UsageError("There is no such folder for the report.", path=file, hint="Make it first.")
    if os.path.isdir(file):
        raise UsageError("The report needs a file, and this is a folder.", path=file)
    # Judged by name, as files that the batch will write may not exist yet.
    if file.suffix.lower() in READABLE_SUFFIXES or file.name.startswith(TEMPORARY_PREFIX):
        raise UsageError(
            "This is the name of a picture, or of a file that the batch keeps for itself.",
            path=file,
            hint="Give the report a name that ends in .csv.",
        )
    require_place_of_table(file, REPORT_HEADER)


def _options_before(arguments: argparse.Namespace) -> BatchOptions:
    """The options of the batch in the output folder, but with the device and precision given now."""
    given = _given(arguments)
    for name in sorted(given - _MAY_CHANGE):
        raise UsageError(
            f"--{name.replace('_', '-')} cannot be changed when a batch is resumed.",
            hint="Leave it out, or start the batch without --resume and --retry-failed.",
        )
    before = unfinished(arguments.output)
    if before is None:
        raise UsageError("There is no batch to resume.", path=arguments.output, hint="Start one without --resume.")
    now = {name: getattr(arguments, name) for name in ("device", "precision") if name in given}
    return replace(before.options, settings=replace(before.options.settings, **now))


def _dry_run(arguments: argparse.Namespace, options: BatchOptions, console: Console) -> bool:
    with stop_on_signals() as token:
        batch = Batch(options, lambda event: None, token)
        batch.add(arguments.inputs)
        items = batch.plan(resume=arguments.resume, retry_failed=arguments.retry_failed)
    for item in items:
        _tell_item(item, console)
    plan = plan_of(items, options)
    found, free, seconds = plan.totals, plan.free_bytes, plan.seconds
    console.record({"summary": {**asdict(found), "disk_free_bytes": free, "seconds": seconds}})
    console.result(
        f"{counted(found.files, 'picture')}: {found.queued} to do, {found.skipped} to skip,"
        f" {found.failed} cannot be done"
    )
    console.result(
        f"{found.output_px / 1e6:,.1f} megapixels; about {_size(found.disk_bytes)} on the disk"
        + ("" if free is None else f" of {_size(free)} free")
        + f", up to {_size(found.memory_bytes)} of memory"
        + ("" if seconds is None else f", about {duration(seconds)} on this machine")
    )
    if plan.lacks_room:
        console.note("The disk is too small: the batch would wait for space when it is full.")
    return found.failed == 0


class _Teller:
    """Prints the events of a batch."""

    def __init__(self, console: Console, stack: ExitStack) -> None:
        self._console = console
        self._stack = stack
        self._update: Callable[[float], None] | None = None
        self._total_px = 0
        self.has_started = False

    def on_event(self, event: BatchEvent) -> None:
        self.has_started = True
        match event:
            case Planned():
                for item in event.items:
                    if item.state.is_outcome:
                        _tell_item(item, self._console)
            case Changed():
                if event.item.state.is_outcome:
                    _tell_item(event.item, self._console)
            case Noticed():
                self._console.note(f"{event.item.source}: {event.text}")
            case Progress():
                self._show(event)
            case WaitsForRoom():
                self._console.note(
                    f"The disk of {event.folder} is full: {_size(event.needed_bytes)} are needed,"
                    f" {_size(event.free_bytes)} are free. Waiting for space."
                )
            case FoundRoom():
                self._console.note("There is space again; continuing.")

    def _show(self, progress: Progress) -> None:
        if progress.batch_px != self._total_px or self._update is None:
            # More has been planned, and a bar has only one total.
            self._stack.close()
            self._total_px = progress.batch_px
            title = f"{progress.files_done} of {progress.files}"
            self._update = self._stack.enter_context(self._console.progress(title, self._total_px, "Mpx", 1e6))
        self._update(progress.batch_done_px)


def _tell_item(item: Item, console: Console) -> None:
    target = item.target
    console.record(
        {
            "number": item.number,
            "input": str(item.source),
            "output": str(item.output) if item.has_output else None,
            "state": str(item.state),
            "note": item.note,
            "width": None if target is None else target.width,
            "height": None if target is None else target.height,
            "scale": None if target is None else target.scale,
            "model": item.model,
            "seconds": round(item.seconds, 3),
        }
    )
    size = "" if target is None else f"  {target.width} x {target.height} px"
    note = f": {item.note}" if item.note else ""
    match item.state:
        case State.DONE:
            console.result(f"{item.source} -> {item.output}{size}, {item.seconds:.1f} s")
        case State.QUEUED | State.WORKING:
            console.result(f"{item.source} -> {item.output}{size}{note}")
        case _:
            console.result(f"{item.source}: {item.state}{note}")


def _tell_end(report: BatchReport, options: BatchOptions, console: Console) -> None:
    console.record({"summary": asdict(report)})
    console.result(
        f"{report.done} done, {report.skipped} skipped, {report.failed} failed in {report.seconds:,.0f} s;"
        f" the network was busy {report.busy_share:.0%} of the time"
    )
    if report.failed:
        console.note(f"Retry what failed with: vdsr batch --retry-failed -o {quoted(options.output)}")


def _size(count: int) -> str:
    """A number of bytes, formatted for display."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
