"""Takes files through read, network and write, three pictures at a time. Imports no torch until the first is read."""

from vdsr_app.core.pipeline.events import (
    FileDone,
    FileEvent,
    FileFailed,
    FileJob,
    FileNotice,
    FileProgress,
    FileStarted,
    FileWritten,
    NoRoomCallback,
    PipelineReport,
    Stage,
    StageSeconds,
)
from vdsr_app.core.pipeline.run import run_files

__all__ = [
    "FileDone",
    "FileEvent",
    "FileFailed",
    "FileJob",
    "FileNotice",
    "FileProgress",
    "FileStarted",
    "FileWritten",
    "NoRoomCallback",
    "PipelineReport",
    "Stage",
    "StageSeconds",
    "run_files",
]
