"""What a teacher says of training pictures."""

from __future__ import annotations

import hashlib
import threading

import numpy as np

from vdsr_app.core.resize import resize
from vdsr_trainer.data.degrade import Luma8
from vdsr_trainer.data.items import Answers
from vdsr_trainer.teacher.learner import TeacherLearner
from vdsr_trainer.teacher.network import MARGIN_PX
from vdsr_trainer.teacher.patches import Floats, lr_picture

_METHOD = b"mean of two mirror images, one step of back-projection"
"""Another text where other answers come of the same weights."""


class Teacher:
    """A teacher that has learned; any thread may ask it."""

    def __init__(self, learner: TeacherLearner) -> None:
        self._learner = learner
        self._lock = threading.Lock()

    def __call__(self, luma: Luma8) -> Answers:
        """What it would have a picture be, given its LR picture, less what the picture is.

        Args:
            luma: (H, W) uint8, sizes multiples of all its scale factors.

        Returns:
            Scale factor -> (H, W) float16 on the scale of `luma`.
        """
        return {float(scale): (self.guess(luma, scale) - luma).astype(np.float16) for scale in self.scales}

    @property
    def scales(self) -> tuple[int, ...]:
        """Its scale factors."""
        return self._learner.model.scales

    def fingerprint(self) -> bytes:
        """Equal for teachers that say the same: the SHA-256 of its weights, and of how its answers come about."""
        digest = hashlib.sha256(_METHOD)
        for name, tensor in sorted(self._learner.average.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().numpy().tobytes())
        return digest.digest()

    def guess(self, luma: Luma8, scale: int) -> Floats:
        """What it would have a picture be, given its LR picture.

        Args:
            luma: (H, W) uint8, sizes multiples of `scale`.
            scale: one of its scale factors.

        Returns:
            (H, W) float32 on the scale of `luma`, not rounded.
        """
        low = lr_picture(luma, scale)
        with self._lock:
            picture = self._learner.enlarge(low, scale)
        picture += _missing(picture, low)
        return picture * np.float32(255.0)


def _missing(picture: Floats, low: Floats) -> Floats:
    """What brings the LR picture of an answer nearer to the one asked about, of which nothing is to be guessed.

    Source: M. Irani and S. Peleg, "Improving resolution by image registration", CVGIP 1991; one of its steps.
    """
    low = low[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    return resize(low - resize(picture, *low.shape), *picture.shape)
