"""Saving the states of a run while it continues, and rolling back when it diverges."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vdsr_app.core.atomic import is_out_of_room
from vdsr_app.core.disk_space import free_bytes
from vdsr_app.core.words import counted
from vdsr_app.errors import SaveError, TrainingError
from vdsr_trainer import checkpoint
from vdsr_trainer.checkpoint import Keeper, Progress
from vdsr_trainer.events import CheckpointSaved, Event, Noticed, RolledBack
from vdsr_trainer.health import Diverged
from vdsr_trainer.learner import Learner
from vdsr_trainer.meter import Meter
from vdsr_trainer.run_files import NEWEST_NAME, PREVIOUS_NAME, has_state

logger = logging.getLogger(__name__)

_RATE_CUT = 0.5
_ROOM_IN_STATES = 4
"""Disk space a run requires at its start, in sizes of its checkpoints: two kept, one being written, the rest."""


class Saver:
    """Saves the states of a learner and reports them.

    Args:
        run: folder of the run.
        learner: what is saved.
        progress: of the run at the beginning of this part.
        meter: counts the time spent on saving, and knows where the rest went.
        tell: called with the events.
    """

    def __init__(
        self, run: Path, learner: Learner, progress: Progress, meter: Meter, tell: Callable[[Event], None]
    ) -> None:
        on_disk = progress.step if has_state(run) else -1
        self._run = run
        self._learner = learner
        self._meter = meter
        self._tell = tell
        self._keeper = Keeper(run, on_disk)

    def __enter__(self) -> Saver:
        self._keeper.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._keeper.__exit__(*error)

    def is_due(self, progress: Progress, every: int) -> bool:
        """Whether to save now: every `every` steps, and a proven state if the last proven one is that old."""
        return progress.step % every == 0 or (progress.proven and progress.step - self._keeper.proven_step >= every)

    def save(self, progress: Progress, *, wait: bool) -> None:
        """Copy the state now and write it; with `wait`, before returning.

        Raises:
            NotFiniteError: a weight is NaN, infinite or absurdly large.
            SaveError: it could not be written, other than for lack of space.
        """
        started = time.monotonic()
        self.look(progress.step, wait=True)
        self._keeper.begin(checkpoint.take(self._learner, replace(progress, spent=self._meter.spent)))
        if wait:
            self.look(progress.step, wait=True)
        self._meter.add_saving(time.monotonic() - started)

    def save_if_new(self, progress: Progress, *, wait: bool) -> None:
        """The same, unless this very state is on disk or being written."""
        if self._keeper.step != progress.step:
            self.save(progress, wait=wait)

    def look(self, step: int, *, wait: bool, strict: bool = False) -> None:
        """Report a state that has been written.

        A full disk is only reported: saving is tried again at the next checkpoint.

        Args:
            step: steps done.
            wait: wait for a state that is being written.
            strict: treat a full disk as an error, too.

        Raises:
            SaveError: it could not be written.
        """
        try:
            path = self._keeper.finish(wait=wait)
        except SaveError as error:
            if strict or not is_out_of_room(error):
                raise
            words = f"{error} The run continues; its state is saved at the next checkpoint that fits."
            self._tell(Noticed(step, words))
            return
        if path is not None:
            self._tell(CheckpointSaved(self._keeper.step, str(path)))

    def go_back(self, progress: Progress, how: Diverged) -> Progress:
        """Load a good state into the learner, or restart it if there is none, with a lower rate.

        Args:
            progress: of the run when it diverged.
            how: it diverged.

        Returns:
            The progress to continue from.

        Raises:
            TrainingError: it rolled back too often.
            SaveError: the folder cannot be written.
        """
        self.look(progress.step, wait=True)
        reason = how.reason(progress.step)
        if progress.roll_backs >= how.most:
            raise TrainingError(
                f"{reason} The run went back {counted(progress.roll_backs, 'time')} already, each time with a lower"
                " rate.",
                path=self._run,
                hint="Start a new run with another recipe or other pictures.",
            )
        earlier = self._restore(how)
        share = min(progress.rate_share, earlier.rate_share) * _RATE_CUT
        going_on = replace(
            earlier,
            rate_share=share,
            health=replace(earlier.health, below=0, stale=0),
            roll_backs=progress.roll_backs + 1,
            referenced=progress.referenced,
        )
        place = f"to step {going_on.step:,}" if going_on.step else "to the beginning"
        words = f"{reason} The run went back {place} and continues with {share:.2g} times the learning rate."
        self._tell(RolledBack(progress.step, going_on.step, words, share))
        # At once: a run that is killed now must not resume with the rate that was too high.
        self.save(going_on, wait=True)
        return going_on

    def _restore(self, how: Diverged) -> Progress:
        names: tuple[str, ...] = (NEWEST_NAME, PREVIOUS_NAME)
        if how is Diverged.FELL and not self._keeper.newest_is_proven:
            names = (PREVIOUS_NAME,)
        if how is not Diverged.NEVER_ROSE:
            try:
                return checkpoint.load(self._run, self._learner, names)
            except TrainingError as error:
                logger.warning("There is no state to go back to: %s", error)
        self._learner.restart()
        return Progress()


def check_room(run: Path, learner: Learner) -> None:
    """Refuse a run that would fail at its first checkpoint.

    Raises:
        SaveError: the disk is almost full.
    """
    wanted = _ROOM_IN_STATES * 4 * 4 * learner.model.config.parameters + (1 << 20)
    free = free_bytes(run)
    if free is not None and free < wanted and not has_state(run):
        raise SaveError(
            f"The run needs {wanted / 1e6:.0f} MB on the disk, and {free / 1e6:.0f} MB are free.",
            path=run,
            hint="Free some space or choose another folder.",
        )
