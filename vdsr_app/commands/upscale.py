"""Enlarge pictures with the network and save the results.

Several inputs, or a folder, need -o FOLDER; the results are then named NAME_MODEL_xSCALE. Without -o a result lies
beside its source. One picture that fails does not stop the others.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vdsr_app.commands.common import add_engine_arguments, choice_note, stop_on_signals
from vdsr_app.console import Console
from vdsr_app.control import CancelToken
from vdsr_app.core import image_io
from vdsr_app.core.engines import Engines
from vdsr_app.core.folders import picture_files
from vdsr_app.core.job import FileFormat, Metadata, SaveOptions, Target, TargetKind, TargetSize, UpscaleSettings
from vdsr_app.core.model_choice import AUTO_MODEL, ModelChoice, choose_model, photo_installed
from vdsr_app.core.naming import PlannedOutput, format_of, plan_outputs, refuse_overwriting_a_source
from vdsr_app.errors import SaveError, UsageError, VdsrError

if TYPE_CHECKING:
    from vdsr_app.core.engine import Engine

SUMMARY = "enlarge pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vdsr upscale`."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="picture files or folders")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--scale", type=float, metavar="S", help="scale factor, 1.0 to 8.0 (2)")
    for kind in (TargetKind.WIDTH, TargetKind.HEIGHT, TargetKind.LONG_SIDE, TargetKind.SHORT_SIDE):
        size.add_argument(f"--{kind.value.replace('_', '-')}", type=int, metavar="PX", help="of the result, in pixels")
    size.add_argument("--megapixels", type=float, metavar="MP", help="size of the result in millions of pixels")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="file, or folder for several pictures")
    add_engine_arguments(parser, automatic=True)
    parser.add_argument(
        "--format", choices=[str(each) for each in FileFormat], help="file format; else the ending of -o, else png"
    )
    parser.add_argument("--quality", type=int, default=92, metavar="Q", help="1-100 for jpeg, webp, avif (%(default)s)")
    parser.add_argument("--bits", type=int, choices=(8, 16), help="bits a sample; else as the source has")
    parser.add_argument(
        "--metadata", choices=[str(each) for each in Metadata], default="keep", help="what to carry over (%(default)s)"
    )
    parser.add_argument("--tile", type=int, metavar="PX", help="side of a tile; chosen by itself if not given")
    parser.add_argument(
        "--existing",
        choices=("overwrite", "skip"),
        default="overwrite",
        help="what to do where the result is there already (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture and line")


def run(arguments: argparse.Namespace, console: Console) -> bool:
    """Enlarge every input; False where one failed."""
    settings = _settings(arguments)
    sources, planned = _plan(arguments, settings)
    work = _Work(console, settings, arguments.existing == "skip", sources)
    with stop_on_signals() as token:
        outcomes = [work.one(each, token) for each in planned]
    if not console.json and len(planned) > 1:
        done = sum(outcomes)
        console.result(
            f"{done} of {len(planned)} pictures done" + ("" if done == len(planned) else ", the rest failed")
        )
    return all(outcomes)


def _settings(arguments: argparse.Namespace) -> UpscaleSettings:
    target = Target(TargetKind.SCALE, 2.0)
    for kind in TargetKind:
        if (value := getattr(arguments, kind.value)) is not None:
            target = Target(kind, float(value))
    # A wrong factor is wrong for every picture, so say it before any is read.
    if target.kind is TargetKind.SCALE:
        target.size_for(1000, 1000)
    elif target.value <= 0:
        raise UsageError(f"{target.value:g} is no usable size.", hint="Give a number above 0.")
    if arguments.tile is not None and arguments.tile < 1:
        raise UsageError(f"A tile of {arguments.tile} px is not possible.", hint="Give a number above 0.")
    save = SaveOptions(
        FileFormat(arguments.format) if arguments.format else None,
        arguments.quality,
        arguments.bits,
        Metadata(arguments.metadata),
    )
    return UpscaleSettings(
        target, arguments.model, arguments.device, arguments.precision, arguments.tile, save, arguments.self_ensemble
    )


def _plan(arguments: argparse.Namespace, settings: UpscaleSettings) -> tuple[list[Path], list[PlannedOutput]]:
    sources: list[Path] = []
    for path in arguments.inputs:
        found = picture_files(path, deep=False) if path.is_dir() else [path]
        sources += [each for each in found if each not in sources]
    several = len(arguments.inputs) > 1 or any(path.is_dir() for path in arguments.inputs)
    wished, output = settings.save.format, arguments.output
    if output is None:
        by_folder = {source.parent: [each for each in sources if each.parent == source.parent] for source in sources}
        return sources, [
            planned
            for folder, those in by_folder.items()
            for planned in _plan_by_model(those, folder, settings, wished or FileFormat.PNG)
        ]
    if several or output.is_dir() or str(output).endswith(("/", "\\")):
        if output.is_file():
            raise UsageError("Several pictures need a folder.", path=output, hint="Give -o FOLDER.")
        return sources, _plan_by_model(sources, output, settings, wished or FileFormat.PNG)
    if wished is None:
        format_of(output)
    return sources, [PlannedOutput(sources[0], output)]


def _plan_by_model(
    sources: Sequence[Path], folder: Path, settings: UpscaleSettings, file_format: FileFormat
) -> list[PlannedOutput]:
    """Outputs in the order of `sources`, each named after the model that its picture gets."""
    groups: dict[str, list[Path]] = {}
    has_photo = photo_installed() if settings.model == AUTO_MODEL else None
    for source in sources:
        quality = image_io.jpeg_quality_of(source) if settings.model == AUTO_MODEL else None
        groups.setdefault(choose_model(settings.model, quality, has_photo=has_photo).name, []).append(source)
    # Names of different models differ in their ending, so only those of one model can collide.
    planned = {
        each.source: each
        for model, those in groups.items()
        for each in plan_outputs(those, folder, model, settings.target, file_format)
    }
    return [planned[source] for source in sources]


@dataclass
class _Clock:
    """Seconds of one picture's stages."""

    read: float = 0.0
    network: float = 0.0
    write: float = 0.0

    def as_json(self) -> dict[str, float]:
        stages = {"read": self.read, "network": self.network, "write": self.write}
        return {**{name: round(value, 3) for name, value in stages.items()}, "total": round(sum(stages.values()), 3)}


class _Work:
    """Does one picture after the other; each model's engine is made when the first picture needs it, and kept."""

    def __init__(self, console: Console, settings: UpscaleSettings, skip: bool, sources: Sequence[Path]) -> None:
        self._console = console
        self._settings = settings
        self._skip = skip
        self._sources = sources
        self._engines = Engines(settings.device, settings.precision)
        self._has_photo = photo_installed() if settings.model == AUTO_MODEL else None
        self._engine: Engine | None = None
        self._choice: ModelChoice | None = None

    def one(self, planned: PlannedOutput, token: CancelToken) -> bool:
        """Enlarge one picture and report it; False where it failed."""
        clock, size = _Clock(), None
        self._engine = self._choice = None
        if self._skip and planned.output.exists():
            self._report(planned, "skipped", None, clock, None)
            return True
        try:
            size = self._upscale(planned, clock, token)
        except UsageError as error:
            error.path = error.path or str(planned.source)
            return self._failed(planned, error, clock)
        except VdsrError as error:
            return self._failed(planned, error, clock)
        self._report(planned, "done", size, clock, None)
        return True

    def _upscale(self, planned: PlannedOutput, clock: _Clock, token: CancelToken) -> TargetSize:
        from vdsr_app.core.upscale import upscale_picture

        refuse_overwriting_a_source(planned.output, self._sources)
        _make_folder(planned.output.parent)
        begun = time.perf_counter()
        picture = image_io.read(planned.source, token=token)
        clock.read = time.perf_counter() - begun
        for note in picture.source.notes:
            self._note(planned, note)
        size = self._settings.target.size_for(picture.width, picture.height)
        save = replace(self._settings.save, format=self._settings.save.format or format_of(planned.output))
        choice = choose_model(self._settings.model, picture.source.jpeg_quality, has_photo=self._has_photo)
        self._choice = choice
        if note := choice_note(choice):
            self._note(planned, note)
        engine = self._engine = self._engines.get(choice.name)
        begun = time.perf_counter()
        total_px = size.width * size.height
        with self._console.progress(planned.source.name, total_px, "Mpx", 1e6) as update:
            result = upscale_picture(
                picture,
                self._settings,
                engine,
                token=token,
                on_progress=lambda done, total: update(total_px * done / total),
                on_notice=lambda text: self._note(planned, text),
            )
        clock.network = time.perf_counter() - begun
        begun = time.perf_counter()
        for note in image_io.save(result, planned.output, save).notes:
            self._note(planned, note)
        clock.write = time.perf_counter() - begun
        return size

    def _note(self, planned: PlannedOutput, text: str) -> None:
        self._console.note(f"{planned.source.name}: {text}")

    def _failed(self, planned: PlannedOutput, error: VdsrError, clock: _Clock) -> bool:
        self._report(planned, "failed", None, clock, error)
        self._console.error(error)
        return False

    def _report(
        self, planned: PlannedOutput, state: str, size: TargetSize | None, clock: _Clock, error: VdsrError | None
    ) -> None:
        engine, choice = self._engine, self._choice
        record: dict[str, Any] = {
            "input": str(planned.source),
            "output": str(planned.output) if state != "failed" else None,
            "state": state,
            "width": size.width if size else None,
            "height": size.height if size else None,
            "scale": size.scale if size else None,
            "model": self._settings.model if choice is None else choice.name,
            "model_reason": None if choice is None else str(choice.reason),
            "device": engine.kind if engine else None,
            "precision": engine.precision if engine else None,
            "seconds": clock.as_json(),
            "error": None if error is None else str(error),
        }
        self._console.record(record)
        if state == "done" and size is not None:
            seconds = clock.as_json()["total"]
            self._console.result(
                f"{planned.source.name} -> {planned.output}  {size.width} x {size.height} px, {seconds:.1f} s"
            )
        elif state == "skipped":
            self._console.result(f"{planned.source.name}: skipped, {planned.output} is there already")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveError(
            f"The folder cannot be made: {error.strerror}.", path=folder, hint="Choose another folder."
        ) from error
