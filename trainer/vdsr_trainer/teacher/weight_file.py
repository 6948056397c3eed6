"""A trained teacher as a weight file: a run's teacher can teach the networks of other runs, too."""

from __future__ import annotations

from pathlib import Path

from vdsr_app.core.weight_header import HINT, TEACHER_FORMAT
from vdsr_app.core.weights import check_shapes, check_tensors, read_tensors, width_and_depth, write_tensors
from vdsr_app.errors import WeightsError
from vdsr_trainer.config import SYMMETRIES
from vdsr_trainer.teacher.network import SYMMETRY, TeacherNetwork, widths_of
from vdsr_trainer.teacher.weight_header import SCALES, require_teacher, scales_text


def save_teacher(network: TeacherNetwork, path: Path) -> None:
    """Write a teacher atomically as float32 safetensors.

    Raises:
        WeightsError: a number is not finite.
        SaveError: the file cannot be written.
    """
    write_tensors(network, path, TEACHER_FORMAT, {SCALES: scales_text(network.scales)})


def load_teacher(path: Path, scales: tuple[int, ...]) -> TeacherNetwork:
    """Read and check a teacher for a run.

    Args:
        path: the file.
        scales: scale factors at which the run needs a teacher.

    Returns:
        The network, float32, on the CPU.

    Raises:
        WeightsError: the file is missing, damaged, too large, of another network, or holds a number that is not
            finite.
        TrainingError: it was made for other scale factors.
    """
    require_teacher(path, scales)
    tensors, metadata = read_tensors(path, TEACHER_FORMAT)
    width, depth = width_and_depth(tensors)
    if not width or width % SYMMETRIES[SYMMETRY] or width == widths_of(scales, depth, width)[-1]:
        raise WeightsError("The file holds no teacher.", path=path, hint=HINT)
    check_shapes(path, tensors, widths_of(scales, depth, width))
    check_tensors(path, tensors, metadata)
    network = TeacherNetwork(scales, depth, width)
    network.load_state_dict(tensors, strict=True)
    return network
