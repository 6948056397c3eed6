"""Whether a run is getting anywhere, judged by its validations. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

_PATIENCE_BEFORE_RISE = 3
"""A run that never was better than bicubic gets so many times the patience: every run begins there."""


class Diverged(Enum):
    """How a run went wrong, and with that how far back it has to go."""

    NOT_FINITE = "not finite"
    FELL = "fell"
    """It was better than bicubic and no longer is."""
    NEVER_ROSE = "never rose"

    def reason(self, step: int) -> str:
        """One sentence for people."""
        match self:
            case Diverged.NOT_FINITE:
                return f"The loss was no longer a number at step {step:,}."
            case Diverged.FELL:
                return f"The result had become worse than bicubic by step {step:,}."
            case _:
                return f"The result was still no better than bicubic at step {step:,}."


@dataclass(frozen=True, slots=True)
class Health:
    """What the validations so far say.

    Attributes:
        rose: one of them was better than bicubic.
        below: how many of the last in a row were not.
    """

    rose: bool = False
    below: int = 0

    @property
    def sound(self) -> bool:
        """Whether a state saved now is one to go back to."""
        return self.rose and not self.below

    def after(self, gain_db: float) -> Health:
        """With one more validation, whose mean PSNR is `gain_db` above bicubic's."""
        if gain_db > 0:
            return Health(rose=True, below=0)
        return replace(self, below=self.below + 1)

    def verdict(self, patience: int) -> Diverged | None:
        """Whether it is time to go back.

        Args:
            patience: validations in a row that may be no better than bicubic; 0 for any number.
        """
        if not patience:
            return None
        if self.rose:
            return Diverged.FELL if self.below >= patience else None
        return Diverged.NEVER_ROSE if self.below >= _PATIENCE_BEFORE_RISE * patience else None
