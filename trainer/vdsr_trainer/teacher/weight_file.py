"""A teacher that has learned, as a weight file: one run's can show the networks of others, too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vdsr_app.core.network import MAX_DEPTH, MAX_WIDTH
from vdsr_app.core.weight_header import HINT
from vdsr_app.core.weights import check_tensors, read_tensors, write_tensors
from vdsr_app.errors import TrainingError, WeightsError
from vdsr_trainer.teacher.network import TeacherNetwork

FORMAT = "vdsr-teacher-1"
_SCALES = "scales"


@dataclass(frozen=True, slots=True, eq=False)
class LoadedTeacher:
    """A checked file.

    Attributes:
        network: what has learned, on the CPU.
        depth: its convolutions.
        width: channels between them.
    """

    network: TeacherNetwork
    depth: int
    width: int


def save_teacher(network: TeacherNetwork, path: Path) -> None:
    """Write it atomically as float32 safetensors.

    Raises:
        WeightsError: a number is not finite.
        SaveError: the file cannot be written.
    """
    write_tensors(network, path, FORMAT, {_SCALES: _words(network.scales)})


def load_teacher(path: Path, scales: tuple[int, ...]) -> LoadedTeacher:
    """Read and check one for a run.

    Args:
        path: the file.
        scales: scale factors at which the run wants to be taught.

    Raises:
        WeightsError: the file is missing, damaged, too large, of another network, or holds a number that is not
            finite.
        TrainingError: it was made for other scale factors.
    """
    tensors, metadata = read_tensors(path, FORMAT)
    if metadata.get(_SCALES) != _words(scales):
        made_for = metadata.get(_SCALES)
        raise TrainingError(
            "The teacher was made for other scale factors than this run"
            + (f": {made_for}, not {_words(scales)}." if made_for else "."),
            path=path,
            hint="Choose the same scales, or let a teacher of the run's own learn (teacher_steps).",
        )
    check_tensors(path, tensors, metadata)
    depth = len(tensors) // 2
    first = tensors.get("layers.0.weight")
    if first is None or not 2 <= depth <= MAX_DEPTH or first.ndim != 4 or not 1 <= first.shape[0] <= MAX_WIDTH:
        raise WeightsError("The file holds no teacher.", path=path, hint=HINT)
    network = TeacherNetwork(scales, depth, width=int(first.shape[0]))
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise WeightsError("The file holds no teacher of this shape.", path=path, hint=HINT) from error
    return LoadedTeacher(network, depth, int(first.shape[0]))


def _words(scales: tuple[int, ...]) -> str:
    return " ".join(str(scale) for scale in scales)
