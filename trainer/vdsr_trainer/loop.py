"""One training run, from pictures to a weight file: a plain function that anybody can drive."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from dataclasses import replace
from pathlib import Path

from vdsr_app.control import CancelToken
from vdsr_app.core.atomic import is_out_of_room, remove_leftovers, save_error, write_atomically
from vdsr_app.core.device import usable_cores
from vdsr_app.errors import Cancelled, SaveError, TrainingError, VdsrError
from vdsr_trainer import checkpoint
from vdsr_trainer.checkpoint import Keeper, Progress
from vdsr_trainer.config import TrainConfig, read_config, to_toml
from vdsr_trainer.control import Controller, Wish
from vdsr_trainer.data.dataset import TrainingData, open_data
from vdsr_trainer.ending import write_result, write_weights
from vdsr_trainer.events import (
    CheckpointSaved,
    Event,
    EventCallback,
    Failed,
    Finished,
    Noticed,
    Paused,
    Preparing,
    Resumed,
    RolledBack,
    Started,
)
from vdsr_trainer.health import Diverged
from vdsr_trainer.learner import Learner, NotFiniteError
from vdsr_trainer.meter import Meter
from vdsr_trainer.prefetch import Prefetcher
from vdsr_trainer.run_files import CONFIG_NAME, EVENTS_NAME, NEWEST_NAME, PREVIOUS_NAME, RunLock
from vdsr_trainer.run_log import RunLog
from vdsr_trainer.runs import note_run
from vdsr_trainer.validate import CropWriter, Judge

logger = logging.getLogger(__name__)

_RATE_CUT = 0.5
_ROOM_IN_STATES = 4
"""Room on the disk that a run wants at its start, in sizes of its states: two kept, one being written, the rest."""
_GPU_PATCH_THREADS = 8


def train(
    config: TrainConfig,
    run: Path,
    on_event: EventCallback,
    token: CancelToken,
    *,
    resume: bool = False,
    preset: str = "",
) -> Path | None:
    """Train, validate, checkpoint, and write the moving average as a weight file.

    The run folder is locked meanwhile, and its control file is obeyed: see `run_files`.

    Args:
        config: what to do.
        run: folder of the run; made if missing.
        on_event: called for every event, from this thread.
        token: cancelling it saves a checkpoint and the weights so far, and returns.
        resume: go on from the newest checkpoint in `run`, or begin where there is none yet.
        preset: name of the preset that `config` began with, to be told in lists and on the card; "" where unknown.

    Returns:
        Path of the weight file; None where the run was discarded.

    Raises:
        TrainingError: no usable pictures, a run that is there already or runs elsewhere, or one that diverges again
            and again. `Failed` was told before, once the folder could be written.
        SaveError: the run folder cannot be written.
        DeviceError: the device is absent, failed, or has no memory for one patch.
        WeightsError: the model to start from is missing or damaged.
        Cancelled: through `token`, before the first step.
    """
    if not resume and (checkpoint.exists(run) or (run / EVENTS_NAME).exists()):
        raise TrainingError(
            "This folder holds a run already.", path=run, hint="Use --resume, or choose another folder."
        )
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(run, error) from error
    with RunLock(run):
        remove_leftovers(run)
        note_run(run, preset)
        with RunLog(run) as log:
            outcome = _Run(config, run, on_event, token, log).go()
    if outcome is None:
        _delete(run)
    return outcome


def resume_config(run: Path) -> TrainConfig:
    """Configuration stored in a run folder."""
    if not (run / CONFIG_NAME).is_file():
        raise TrainingError("This folder holds no training run.", path=run, hint="Choose the folder given with --out.")
    return read_config(run / CONFIG_NAME)


class _Run:
    """State of one run while it runs."""

    def __init__(
        self, config: TrainConfig, run: Path, on_event: EventCallback, token: CancelToken, log: RunLog
    ) -> None:
        self._config = config
        self._folder = run
        self._on_event = on_event
        self._token = token
        self._log = log
        self._progress = Progress()

    def go(self) -> Path | None:
        """Run, and tell how it ended where it failed."""
        try:
            return self._go()
        except Cancelled:
            raise
        except VdsrError as error:
            self._tell(Failed(self._progress.step, str(error)))
            raise
        except Exception:
            self._tell(
                Failed(
                    self._progress.step,
                    "Something unexpected went wrong. Resume the run; if it happens again, please report it.",
                )
            )
            raise

    def _go(self) -> Path | None:
        self._controller = Controller(self._folder, self._token)
        write_atomically(self._folder / CONFIG_NAME, to_toml(self._config).encode())
        self._learner = Learner(self._config, self._notice)
        self._check_room()
        if checkpoint.exists(self._folder):
            self._progress = checkpoint.load(self._folder, self._learner)
        with contextlib.closing(self._open_data()) as data:
            self._plan_steps(data)
            self._judge = Judge.prepare(data.validation, self._config)
            self._crops = CropWriter(self._folder, self._judge, self._config)
            self._crops.write_fixed()
            self._tell(
                Started(
                    self._progress.step,
                    self._config.steps,
                    self._learner.model.config.parameters,
                    data.pictures,
                    tuple(data.validation),
                    self._learner.describe(),
                )
            )
            self._meter = Meter(self._config, self._learner.device, self._progress.spent)
            with Keeper(self._folder, newest_is_sound=self._progress.health.sound) as keeper:
                self._keeper = keeper
                if self._config.start_from and not self._progress.step:
                    self._validate()  # where it begins: what is won shows from the first value on
                wish = self._learn(data)
                if wish is Wish.DISCARD:
                    self._tell(Finished(self._progress.step, "", complete=False, discarded=True))
                    return None
                return self._finish(data, wish)

    # --- before the first step

    def _open_data(self) -> TrainingData:
        last_told = 0.0

        def told(done: int, total: int) -> None:
            nonlocal last_told
            if self._controller.look() in (Wish.STOP, Wish.INTERRUPT, Wish.DISCARD):
                self._token.cancel()
            now = time.monotonic()
            if done in (0, total) or now - last_told > 0.1:
                last_told = now
                self._tell(Preparing(self._progress.step, done, total))

        return open_data(self._config, self._folder, on_progress=told, notice=self._notice, token=self._token)

    def _plan_steps(self, data: TrainingData) -> None:
        """Where epochs are counted, the steps follow from the pictures."""
        if self._config.epochs:
            steps = max(1, self._config.epochs * data.patches_per_epoch // self._config.batch)
            self._config = replace(self._config, steps=steps)
            self._learner.set_config(self._config)
            write_atomically(self._folder / CONFIG_NAME, to_toml(self._config).encode())

    def _check_room(self) -> None:
        """Refuse at once what would fail at the first checkpoint.

        Raises:
            SaveError: the disk is almost full.
        """
        wanted = _ROOM_IN_STATES * 4 * 4 * self._learner.model.config.parameters + (1 << 20)
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:
            return
        if free < wanted and not checkpoint.exists(self._folder):
            raise SaveError(
                f"The run needs {wanted / 1e6:.0f} MB on the disk, and {free / 1e6:.0f} MB are free.",
                path=self._folder,
                hint="Free some space or choose another folder.",
            )

    # --- steps

    def _learn(self, data: TrainingData) -> Wish:
        """Step until the end or until somebody wishes otherwise; goes back where the run diverges."""
        while True:
            try:
                wish = self._step_on(data)
                if wish is not Wish.DISCARD and self._keeper.step != self._progress.step:
                    self._save(wait=False)  # refuses weights that are no numbers
            except NotFiniteError:
                self._roll_back(Diverged.NOT_FINITE)
            except _Fell as fell:
                self._roll_back(fell.how)
            else:
                return wish

    def _step_on(self, data: TrainingData) -> Wish:
        config, learner = self._config, self._learner
        with self._prefetcher(data) as batches:
            while self._progress.step < config.steps:
                wish = self._controller.look()
                if wish is Wish.PAUSE:
                    wish = self._pause()
                if wish is not Wish.GO_ON:
                    return wish
                patches, waited = batches.next()
                result = learner.step(patches, self._progress.step, self._progress.rate_share)
                step = self._progress.step + 1
                self._progress = replace(self._progress, step=step)
                report = self._meter.add_step(step, result, learner.optimiser.rate, waited)
                if report is not None:
                    self._tell(report)
                if step % config.validate_every == 0 or step == config.steps:
                    self._validate()
                if step % config.checkpoint_every == 0:
                    self._save(wait=False)
                self._look_after_saving(wait=False)
        return Wish.GO_ON

    def _prefetcher(self, data: TrainingData) -> Prefetcher:
        on_cpu = self._learner.device.type == "cpu"
        threads = 1 if on_cpu else max(1, min(_GPU_PATCH_THREADS, usable_cores() - 1))
        return Prefetcher(data.batch, self._progress.step, self._config.steps, threads)

    def _pause(self) -> Wish:
        begun = time.monotonic()
        # Saved first, so that nothing is lost with a machine that is switched off meanwhile.
        if self._keeper.step != self._progress.step:
            self._save(wait=True)
        self._tell(Paused(self._progress.step))
        wish = self._controller.wait_while_paused()
        self._meter.add_pause(time.monotonic() - begun)
        if wish is Wish.GO_ON:
            self._tell(Resumed(self._progress.step))
        return wish

    def _validate(self) -> None:
        begun = time.monotonic()
        learner, step = self._learner, self._progress.step
        if not self._progress.referenced:
            self._tell(self._judge.referenced(learner.device, step))
            self._progress = replace(self._progress, referenced=True)
        crop = self._crops.write(learner.average.model, step, self._config.steps)
        validated = self._judge.validated(learner.average.model, step, crop)
        count = len(validated.psnr_db)
        mean = sum(validated.psnr_db.values()) / count
        gain = mean - sum(validated.bicubic_psnr_db.values()) / count
        best = max(mean, self._progress.best_psnr_db)
        self._progress = replace(self._progress, best_psnr_db=best, health=self._progress.health.after(gain))
        self._tell(validated)
        self._meter.add_judging(time.monotonic() - begun)
        verdict = self._progress.health.verdict(self._config.patience)
        if verdict is not None and step < self._config.steps:
            raise _Fell(verdict)

    # --- states

    def _save(self, *, wait: bool) -> None:
        begun = time.monotonic()
        self._look_after_saving(wait=True)
        progress = replace(self._progress, spent=self._meter.spent)
        self._keeper.begin(checkpoint.take(self._learner, progress))
        if wait:
            self._look_after_saving(wait=True)
        self._meter.add_saving(time.monotonic() - begun)

    def _look_after_saving(self, *, wait: bool, strict: bool = False) -> None:
        """Tell of a state that has been written; a full disk is told, and tried again at the next checkpoint."""
        try:
            path = self._keeper.finish(wait=wait)
        except SaveError as error:
            if strict or not is_out_of_room(error):
                raise
            self._notice(f"{error} The run goes on; its state is saved at the next checkpoint for which there is room.")
            return
        if path is not None:
            self._tell(CheckpointSaved(self._keeper.step, str(path)))

    def _roll_back(self, how: Diverged) -> None:
        """Go back to a good state with a lower rate, or to the beginning where there is none."""
        self._look_after_saving(wait=True)
        at, before = self._progress.step, self._progress
        reason = how.reason(at)
        if before.roll_backs >= how.most:
            raise TrainingError(
                f"{reason} The run went back {before.roll_backs} times already, each time with a lower rate.",
                path=self._folder,
                hint="Start a new run with another recipe or other pictures.",
            )
        earlier = self._restore(how)
        health = replace(earlier.health, below=0, stale=0)
        share = min(before.rate_share, earlier.rate_share) * _RATE_CUT
        self._progress = replace(
            earlier,
            rate_share=share,
            health=health,
            roll_backs=before.roll_backs + 1,
            referenced=before.referenced,
            best_psnr_db=before.best_psnr_db,
        )
        self._tell(RolledBack(at, self._progress.step, f"{reason} {_went_back(self._progress)}", share))
        # At once: a run that is killed now must not go on with the rate that was too high.
        self._save(wait=True)

    def _restore(self, how: Diverged) -> Progress:
        names: tuple[str, ...] = (NEWEST_NAME, PREVIOUS_NAME)
        if how is Diverged.FELL and not self._keeper.newest_is_sound:
            names = (PREVIOUS_NAME,)
        if how is not Diverged.NEVER_ROSE:
            try:
                return checkpoint.load(self._folder, self._learner, names)
            except TrainingError as error:
                logger.warning("There is no state to go back to: %s", error)
        self._learner.restart()
        return Progress()

    # --- the end

    def _finish(self, data: TrainingData, wish: Wish) -> Path:
        self._look_after_saving(wait=True, strict=True)
        spent = self._meter.spent
        complete = self._progress.step >= self._config.steps
        average = self._learner.average.model
        weights = write_weights(average, self._folder, self._config, self._progress.step)
        if wish is not Wish.INTERRUPT:
            event = write_result(
                self._folder,
                self._config,
                average,
                data,
                step=self._progress.step,
                spent=spent,
                device=self._learner.describe(),
                still_wanted=self._still_wanted,
                notice=self._notice,
            )
            if event is not None:
                self._tell(event)
        self._tell(
            Finished(
                self._progress.step,
                str(weights),
                complete,
                seconds=spent.training,
                data_wait_share=spent.share(spent.waiting),
                saving_share=spent.share(spent.saving),
            )
        )
        return weights

    def _still_wanted(self) -> bool:
        """Whether the result is to be measured on: no signal came since."""
        return self._controller.look() is not Wish.INTERRUPT

    def _notice(self, message: str) -> None:
        self._tell(Noticed(self._progress.step, message))

    def _tell(self, event: Event) -> None:
        self._log.write(event)
        self._on_event(event)


class _Fell(Exception):  # noqa: N818 - it is caught within the run
    def __init__(self, how: Diverged) -> None:
        super().__init__(how.value)
        self.how = how


def _went_back(progress: Progress) -> str:
    place = f"to step {progress.step:,}" if progress.step else "to the beginning"
    return f"The run went back {place} and goes on with {progress.rate_share:.2g} times the learning rate."


def _delete(run: Path) -> None:
    """Throw the folder of a discarded run away; of what resists, the log tells alone."""
    try:
        shutil.rmtree(run)
    except OSError as error:
        logger.warning("A discarded run could not be deleted: %s", error)
