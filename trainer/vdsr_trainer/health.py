"""Whether a run makes progress, judged by its validations. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_PATIENCE_BEFORE_RISE = 3
"""Factor on the patience for a run that was never better than bicubic: every run starts there."""
_CLEARLY_DB = 0.05
_PROGRESS_DB = 0.01
_WORST_GAIN_DB = -1000.0


class Diverged(Enum):
    """How a run diverged, which decides how far back it has to go."""

    NOT_FINITE = "not finite"
    FELL = "fell"
    """It was better than bicubic and no longer is."""
    NEVER_ROSE = "never rose"

    @property
    def most(self) -> int:
        """How often a run may diverge in this way before it fails."""
        return 3 if self is Diverged.NEVER_ROSE else 12

    def reason(self, step: int) -> str:
        """One sentence for the user."""
        match self:
            case Diverged.NOT_FINITE:
                return f"The loss was no longer a number at step {step:,}."
            case Diverged.FELL:
                return f"The result had become worse than bicubic by step {step:,}."
            case _:
                return f"The result was no better than bicubic by step {step:,}, and got no better any more."


@dataclass(frozen=True, slots=True)
class Health:
    """What the validations so far show.

    Attributes:
        rose: whether one of them was clearly better than bicubic.
        below: how many of the latest in a row were worse.
        best_gain_db: best gain in mean PSNR over bicubic.
        stale: number of validations since then.
    """

    rose: bool = False
    below: int = 0
    best_gain_db: float = _WORST_GAIN_DB
    stale: int = 0

    @property
    def sound(self) -> bool:
        """Whether a state saved now is one to roll back to."""
        return self.rose and not self.below

    def after(self, gain_db: float) -> Health:
        """The health after one more validation, whose mean PSNR is `gain_db` above bicubic's."""
        better = gain_db > self.best_gain_db + _PROGRESS_DB
        return Health(
            self.rose or gain_db > _CLEARLY_DB,
            0 if gain_db >= 0 else self.below + 1,
            gain_db if better else self.best_gain_db,
            0 if better else self.stale + 1,
        )

    def verdict(self, patience: int) -> Diverged | None:
        """Whether it is time to roll back.

        A run that is still below bicubic but improving is only slow, and continues.

        Args:
            patience: consecutive validations that may be worse than bicubic; 0 for no limit.
        """
        if not patience:
            return None
        if self.rose:
            return Diverged.FELL if self.below >= patience else None
        return Diverged.NEVER_ROSE if self.stale >= _PATIENCE_BEFORE_RISE * patience else None
