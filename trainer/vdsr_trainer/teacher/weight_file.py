"""A teacher that has learned, as a weight file: one run's can show the networks of others, too."""

from __future__ import annotations

from pathlib import Path

from vdsr_app.core.weight_header import HINT, TEACHER_FORMAT
from vdsr_app.core.weights import check_shapes, check_tensors, read_tensors, width_and_depth, write_tensors
from vdsr_app.errors import TrainingError, WeightsError
from vdsr_trainer.config import SYMMETRIES
from vdsr_trainer.run_files import TEACHER_WEIGHTS_NAME
from vdsr_trainer.teacher.network import SYMMETRY, TeacherNetwork, widths_of

_SCALES = "scales"


def save_teacher(network: TeacherNetwork, path: Path) -> None:
    """Write it atomically as float32 safetensors.

    Raises:
        WeightsError: a number is not finite.
        SaveError: the file cannot be written.
    """
    write_tensors(network, path, TEACHER_FORMAT, {_SCALES: _words(network.scales)})


def load_teacher(path: Path, scales: tuple[int, ...]) -> TeacherNetwork:
    """Read and check one for a run.

    Args:
        path: the file.
        scales: scale factors at which the run wants to be taught.

    Returns:
        The network, float32, on the CPU.

    Raises:
        WeightsError: the file is missing, damaged, too large, of another network, or holds a number that is not
            finite.
        TrainingError: it was made for other scale factors.
    """
    if not path.is_file():
        raise WeightsError("There is no such teacher.", path=path, hint=f"Choose {TEACHER_WEIGHTS_NAME} of a run.")
    tensors, metadata = read_tensors(path, TEACHER_FORMAT)
    width, depth = width_and_depth(tensors)
    made_for = metadata.get(_SCALES)
    if not width or width % SYMMETRIES[SYMMETRY] or width == widths_of(scales, depth, width)[-1] or made_for is None:
        raise WeightsError("The file holds no teacher.", path=path, hint=HINT)
    if made_for != _words(scales):
        raise TrainingError(
            f"The teacher was made for other scale factors than this run: {made_for}, not {_words(scales)}.",
            path=path,
            hint="Choose the same scales, or let a teacher of the run's own learn (teacher_steps).",
        )
    check_shapes(path, tensors, widths_of(scales, depth, width))
    check_tensors(path, tensors, metadata)
    network = TeacherNetwork(scales, depth, width)
    network.load_state_dict(tensors, strict=True)
    return network


def _words(scales: tuple[int, ...]) -> str:
    return " ".join(str(scale) for scale in scales)
