"""A teacher's answers for training pictures."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence

import numpy as np

from vdsr_app.core.resize import resize
from vdsr_trainer.data.degrade import Luma8
from vdsr_trainer.data.items import Answers
from vdsr_trainer.teacher.learner import TeacherLearner
from vdsr_trainer.teacher.network import MARGIN_PX
from vdsr_trainer.teacher.patches import Floats, lr_picture

_METHOD = b"mean of two mirror images, one step of back-projection"
"""To be changed whenever the same weights give other answers."""
_STEPS_BETWEEN = 2
"""Steps of back-projection for an answer that was shrunk, which loses more of the LR picture: on twelve pictures 0, 1,
2 and 3 give 36.39, 36.49, 36.51 and 36.52 dB at x1.5."""


class Teacher:
    """A trained teacher; any thread may ask it.

    Args:
        learner: its moving average gives the answers.
        scales: scale factors to answer for, up to its largest; None for those it is made for.

    Attributes:
        scales: the same.
    """

    def __init__(self, learner: TeacherLearner, scales: Sequence[float] | None = None) -> None:
        self.scales = tuple(map(float, learner.model.scales if scales is None else scales))
        self._learner = learner
        self._lock = threading.Lock()

    def __call__(self, luma: Luma8) -> Answers:
        """Its estimate of a picture from the LR picture, minus the picture.

        Args:
            luma: (H, W) uint8, sizes multiples of all scale factors it is made for.

        Returns:
            Scale factor -> (H, W) float16 on the scale of `luma`.
        """
        return {scale: (self.guess(luma, scale) - luma).astype(np.float16) for scale in self.scales}

    def fingerprint(self) -> bytes:
        """SHA-256 of its weights and of how answers are computed: equal for teachers with equal answers."""
        digest = hashlib.sha256(_METHOD)
        for name, tensor in sorted(self._learner.average.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().numpy().tobytes())
        return digest.digest()

    def guess(self, luma: Luma8, scale: float) -> Floats:
        """Its estimate of a picture, from the LR picture.

        Between the scale factors it is made for, it enlarges by the next larger one, and the result is shrunk.

        Args:
            luma: (H, W) uint8; sizes multiples of `scale` if that is whole.
            scale: above 1, at most the largest it is made for.

        Returns:
            (H, W) float32 on the scale of `luma`, not rounded.
        """
        low = lr_picture(luma, scale)
        made_for = min(each for each in self._learner.model.scales if each >= scale)
        with self._lock:
            picture = self._learner.enlarge(low, made_for)
        steps = 1
        if made_for != scale:
            picture, steps = resize(picture, *luma.shape), _STEPS_BETWEEN
        for _ in range(steps):
            picture += _missing(picture, low)
        return picture * np.float32(255.0)


def _missing(picture: Floats, low: Floats) -> Floats:
    """Correction that brings an answer's LR picture closer to the given one, of which nothing has to be guessed.

    Source: M. Irani and S. Peleg, "Improving resolution by image registration", CVGIP 1991; one of its steps.
    """
    low = low[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    return resize(low - resize(picture, *low.shape), *picture.shape)
