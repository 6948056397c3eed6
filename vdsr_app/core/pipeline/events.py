"""Jobs that go into the pipeline and events that it reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vdsr_app.core.job import TargetSize, UpscaleSettings
from vdsr_app.core.model_choice import ModelChoice
from vdsr_app.errors import SaveError, VdsrError


class Stage(StrEnum):
    """Stages of work on a picture, in this order."""

    READ = "read"
    NETWORK = "network"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class FileJob:
    """One picture to process.

    Attributes:
        number: chosen by the caller, unique among the jobs of a run.
        source: the picture file.
        output: the result, replaced if it exists. The caller makes sure that it is not a source.
        settings: how to process it; if `settings.save.format` is None, the suffix of `output` decides.
    """

    number: int
    source: Path
    output: Path
    settings: UpscaleSettings


NoRoomCallback = Callable[[FileJob, Stage, SaveError], None]
"""Called by a stage that found a disk full, with the picture, the stage and the error. It returns when there may be
room, and the stage starts over with this picture; an exception becomes that picture's failure."""


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Seconds of work on one picture in each stage, without waits for other stages and pauses.

    Attributes:
        read: from the file to samples.
        network: interpolation and network.
        write: from samples to the finished file.
    """

    read: float = 0.0
    network: float = 0.0
    write: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the stages; as they overlap between pictures, a run takes less than the sum of its totals."""
        return self.read + self.network + self.write


@dataclass(frozen=True, slots=True)
class FileStarted:
    """The source has been read, or opened if it comes in strips, and the network starts on it.

    Attributes:
        job: the picture.
        width: columns of the source.
        height: rows of the source.
        target: size of the result.
        model: the model it is enlarged with, and why.
    """

    job: FileJob
    width: int
    height: int
    target: TargetSize
    model: ModelChoice


@dataclass(frozen=True, slots=True)
class FileProgress:
    """The network has done more of a picture.

    Attributes:
        job: the picture.
        done_px: output pixels done, including those of an intermediate stage.
        total_px: total output pixels, likewise.
    """

    job: FileJob
    done_px: int
    total_px: int


@dataclass(frozen=True, slots=True)
class FileNotice:
    """Something worth knowing about a picture, in one sentence.

    Attributes:
        job: the picture.
        text: the sentence.
    """

    job: FileJob
    text: str


@dataclass(frozen=True, slots=True)
class FileWritten:
    """The result is complete and is renamed next; reported before, so that it is known if the process is killed then.

    Attributes:
        job: the picture.
        path: the result under its hidden name.
    """

    job: FileJob
    path: Path


@dataclass(frozen=True, slots=True)
class FileDone:
    """The result is on the disk under its final name.

    Attributes:
        job: the picture.
        target: size of the result.
        model: the model it was enlarged with, and why.
        device: kind of device that computed it last: "cpu", "cuda", "mps", "gpu", "npu".
        precision: number format of the inner layers: "fp32", "bf16", "fp16".
        size_bytes: size of the file.
        seconds: work on it by stage.
    """

    job: FileJob
    target: TargetSize
    model: ModelChoice
    device: str
    precision: str
    size_bytes: int
    seconds: StageSeconds


@dataclass(frozen=True, slots=True)
class FileFailed:
    """There is no result; what was at `job.output` before is untouched.

    Attributes:
        job: the picture.
        error: why, with a message for the user.
    """

    job: FileJob
    error: VdsrError


FileEvent = FileStarted | FileProgress | FileNotice | FileWritten | FileDone | FileFailed
"""Of each picture: at most one FileStarted, then any number of FileProgress, and last either one FileDone after a
FileWritten, or one FileFailed, unless the run is cancelled. A FileNotice may come at any time before the last event."""


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """What a run did and how busy the network was.

    Attributes:
        done: pictures with a result.
        failed: pictures without.
        wall_seconds: from the start to the last result.
        network_seconds: time in which the network stage worked on pictures.
        loading_seconds: time in which it loaded models.
        paused_seconds: time in which it was paused.
    """

    done: int = 0
    failed: int = 0
    wall_seconds: float = 0.0
    network_seconds: float = 0.0
    loading_seconds: float = 0.0
    paused_seconds: float = 0.0

    @property
    def busy_share(self) -> float:
        """Share of the time, 0 to 1, that the network worked; loading and pauses do not count."""
        time = self.wall_seconds - self.loading_seconds - self.paused_seconds
        return self.network_seconds / time if time > 0 else 0.0
