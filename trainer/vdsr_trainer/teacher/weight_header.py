"""What the header of a teacher's weight file says, before the file is loaded. No torch."""

from __future__ import annotations

from pathlib import Path

from vdsr_app.core.weight_header import HINT, TEACHER_FORMAT, check_kind, read_metadata
from vdsr_app.errors import TrainingError, WeightsError
from vdsr_trainer.run_files import TEACHER_WEIGHTS_NAME

SCALES = "scales"
"""Key in the metadata: see `scales_text`."""


def scales_text(scales: tuple[int, ...]) -> str:
    """Scale factors a teacher is made for, as stored in its file."""
    return " ".join(str(scale) for scale in scales)


def require_teacher(path: Path, scales: tuple[int, ...]) -> None:
    """Check by its header that a file is a teacher for a run.

    Args:
        path: the file.
        scales: scale factors at which the run needs a teacher.

    Raises:
        WeightsError: the file is missing, or not a teacher.
        TrainingError: it was made for other scale factors.
    """
    if not path.is_file():
        raise WeightsError("There is no such teacher.", path=path, hint=f"Choose {TEACHER_WEIGHTS_NAME} of a run.")
    metadata = read_metadata(path)
    check_kind(path, metadata, TEACHER_FORMAT)
    made_for, wanted = metadata.get(SCALES), scales_text(scales)
    if made_for is None:
        raise WeightsError("The file holds no teacher.", path=path, hint=HINT)
    if made_for != wanted:
        raise TrainingError(
            f"The teacher was made for other scale factors than this run: {made_for}, not {wanted}.",
            path=path,
            hint="Choose the same scales, or let a teacher of the run's own learn (teacher_steps).",
        )
