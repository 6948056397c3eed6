"""A teacher's answers, kept on disk: computing them takes as long as hundreds of steps, and a run is resumed often."""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from vdsr_app.core.atomic import save_error, write_atomically
from vdsr_app.core.disk_space import free_bytes
from vdsr_app.errors import SaveError
from vdsr_trainer.data.degrade import Luma8
from vdsr_trainer.data.items import Answers
from vdsr_trainer.data.pictures import digest
from vdsr_trainer.run_files import ANSWERS_NAME
from vdsr_trainer.teacher.answers import Teacher

logger = logging.getLogger(__name__)

_LEFT_FREE_BYTES = 2 << 30
"""Answers are a convenience: they leave this much of the disk for what matters more."""


class KeptAnswers:
    """A teacher whose answers are kept in its run's folder, one file per picture; any thread may ask it.

    A file's name depends on the picture and the teacher, so that answers of another teacher, or about a picture that
    has changed, are never used. If a file cannot be written, or read, the teacher is asked.

    Args:
        teacher: asked about pictures without a file.
        run: folder of the run.
    """

    def __init__(self, teacher: Teacher, run: Path) -> None:
        self._teacher = teacher
        self._folder = run / ANSWERS_NAME
        self._whose = teacher.fingerprint()
        self._keeps = True
        self._lock = threading.Lock()

    def __call__(self, luma: Luma8) -> Answers:
        """As `Teacher.__call__`."""
        asked = hashlib.sha256(self._whose + digest(luma).encode()).hexdigest()
        path = self._folder / f"{asked[:32]}.safetensors"
        answers = self._read(path, luma.shape)
        if answers is None:
            answers = self._teacher(luma)
            self._keep(path, answers)
        return answers

    def _read(self, path: Path, shape: tuple[int, ...]) -> Answers | None:
        try:
            arrays = safetensors.numpy.load(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            logger.warning("A teacher's answer is asked for again, for its file cannot be read: %s: %s", path, error)
            return None
        whole = all(array.shape == shape and array.dtype == np.float16 for array in arrays.values())
        if not whole or arrays.keys() != {f"{scale:g}" for scale in self._teacher.scales}:
            logger.warning("A teacher's answer is asked for again, for its file holds something else: %s", path)
            return None
        return {float(scale): array for scale, array in arrays.items()}

    def _keep(self, path: Path, answers: Answers) -> None:
        if not self._keeps:
            return
        payload = safetensors.numpy.save({f"{scale:g}": array for scale, array in answers.items()})
        try:
            self._require_room(len(payload))
            write_atomically(path, payload)
        except SaveError as error:
            with self._lock:
                if self._keeps:
                    self._keeps = False
                    logger.warning("Answers of the teacher are no longer kept: %s", error)

    def _require_room(self, size: int) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise save_error(self._folder, error) from error
        free = free_bytes(self._folder)
        if free is not None and free < size + _LEFT_FREE_BYTES:
            raise SaveError("There is little space left on the disk.", path=self._folder)


def forget_answers(run: Path) -> None:
    """Delete what `KeptAnswers` wrote: a run at its end needs no more answers. What cannot be deleted stays."""
    shutil.rmtree(run / ANSWERS_NAME, ignore_errors=True)
