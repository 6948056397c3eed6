"""One training run, from pictures to a weight file, as a plain function."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from dataclasses import replace
from pathlib import Path

from vdsr_app.control import CancelToken
from vdsr_app.core.atomic import is_out_of_room, remove_leftovers, save_error, write_atomically
from vdsr_app.core.device import choose_device, passed_over
from vdsr_app.errors import Cancelled, TrainingError, VdsrError
from vdsr_trainer import checkpoint
from vdsr_trainer.checkpoint import Progress
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.config_file import read_config, to_toml
from vdsr_trainer.control import Controller, RunRequest
from vdsr_trainer.data.dataset import TrainingData, open_data
from vdsr_trainer.data.resident import Batch, ResidentBatches, resident_batches
from vdsr_trainer.early import Early
from vdsr_trainer.ending import write_result, write_weights
from vdsr_trainer.events import (
    Event,
    EventCallback,
    Failed,
    Finished,
    Noticed,
    Paused,
    Resumed,
    Started,
)
from vdsr_trainer.failures import device_failures
from vdsr_trainer.health import Diverged
from vdsr_trainer.learner import Learner, keep_start
from vdsr_trainer.meter import Meter
from vdsr_trainer.new_run import refuse_passed, refuse_started, remove_failed_start, require_needed
from vdsr_trainer.prefetch import Prefetcher, threads_for
from vdsr_trainer.run_files import ANSWERS_NAME, CONFIG_NAME, CROPS_NAME, TEACHER_NAME, RunLock, has_state
from vdsr_trainer.run_log import RunLog
from vdsr_trainer.runs import note_run
from vdsr_trainer.saving import Saver, check_room
from vdsr_trainer.stepper import NotFiniteError
from vdsr_trainer.teacher.asking import ask_teacher
from vdsr_trainer.teacher.kept_answers import forget_answers
from vdsr_trainer.teacher.phase import take_over
from vdsr_trainer.validate import CropWriter, Judge

logger = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    run: Path,
    on_event: EventCallback,
    token: CancelToken,
    *,
    resume: bool = False,
    preset: str = "",
) -> Path | None:
    """Train, validate, save checkpoints, and write the moving average as a weight file.

    The run folder is locked meanwhile, and its control file is obeyed: see `run_files`. A new run creates nothing until
    its folders of pictures, its model to start from, its teacher and its device are found, and may use a folder in
    which nothing was learned.

    Args:
        config: what to do.
        run: folder of the run; created if missing.
        on_event: called for every event, from this thread.
        token: cancelling it saves a checkpoint and the weights so far, and returns.
        resume: continue from the newest checkpoint in `run`, or begin if there is none yet.
        preset: name of the preset `config` is based on, shown in lists and on the card; "" if unknown.

    Returns:
        Path of the weight file; None if the run was discarded.

    Raises:
        TrainingError: no usable pictures, a run that exists already or runs elsewhere, one that keeps diverging, or a
            teacher for other scale factors. `Failed` was reported first, provided that the folder could be written and
            a new run had what it needs.
        SaveError: the run folder cannot be written.
        DeviceError: the device is missing, failed, or lacks memory for one patch.
        WeightsError: the model to start from, or the teacher, is missing or damaged.
        UsageError: there is no such kind of device, the model to start from has another shape than a new run, or a
            resumed run is already past the number of steps in `config`.
        Cancelled: through `token` or the control file, before the first step.
    """
    if not resume:
        refuse_started(run)
        require_needed(config)
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(run, error) from error
    with RunLock(run):
        for folder in (run, *(run / name for name in (TEACHER_NAME, ANSWERS_NAME, CROPS_NAME))):
            remove_leftovers(folder)
        if not resume:
            refuse_started(run)  # another process may have started it meanwhile
            remove_failed_start(run)
        else:
            refuse_passed(config, run)
        note_run(run, preset, anew=not resume)
        with RunLog(run) as log:
            outcome = _Run(config, run, on_event, token, log, resume=resume).go()
    if outcome is None:
        _delete(run)
    return outcome


def resume_config(run: Path) -> TrainConfig:
    """Configuration stored in a run folder.

    Raises:
        TrainingError: the folder holds no run.
        ConfigError: its configuration cannot be read, or is invalid.
    """
    if not (run / CONFIG_NAME).is_file():
        raise TrainingError(
            "This folder contains no training run.", path=run, hint="Choose the folder given with --out."
        )
    return read_config(run / CONFIG_NAME)


class _Run:
    """State of one run while it runs."""

    # Created by `_go` and `_train`, in this order: a failure to create one is reported like any other of the run.
    _controller: Controller
    _early: Early
    _learner: Learner
    _judge: Judge
    _crops: CropWriter
    _meter: Meter
    _saver: Saver

    def __init__(
        self,
        config: TrainConfig,
        run: Path,
        on_event: EventCallback,
        token: CancelToken,
        log: RunLog,
        *,
        resume: bool,
    ) -> None:
        self._config = config
        self._resume = resume
        self._folder = run
        self._on_event = on_event
        self._token = token
        self._log = log
        self._progress = Progress(checkpoint.saved_step(run))  # right also for a failure before it is loaded
        self._resident: ResidentBatches | None = None
        self._teacher_psnr_db: dict[str, float] = {}

    def go(self) -> Path | None:
        """Run, and report a failure as an event."""
        try:
            return self._go()
        except Cancelled:
            discarded = self._early.request is RunRequest.DISCARD
            self._tell(Finished(self._progress.step, "", complete=False, discarded=discarded))
            if discarded:
                return None
            raise
        except VdsrError as error:
            if is_out_of_room(error):
                error.hint = "Free some space, then resume the run: nothing that it learned is lost."
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
        self._early = Early(self._controller, self._token, self._tell)
        if not self._resume:
            self._write_config()
        with device_failures(choose_device(self._config.device)):
            message = passed_over(self._config.device)
            if message:
                self._notice(message)
            return self._train()

    def _train(self) -> Path | None:
        self._learner = Learner(self._config, self._notice, keep_start(self._config, self._folder))
        check_room(self._folder, self._learner)
        if has_state(self._folder):
            self._progress = checkpoint.load(self._folder, self._learner)
        take_over(self._config, self._folder)
        if self._resume:
            self._write_config()  # only now: a missing device is not stored for the next time
        with contextlib.closing(self._open_data()) as data:
            self._plan_steps(data)
            self._judge = Judge.prepare(data.validation, self._config)
            if self._config.has_teacher and self._progress.step < self._config.steps:
                self._teacher_psnr_db = self._ask_teacher(data)
            self._crops = CropWriter(self._folder, self._judge, self._config)
            self._crops.write_fixed()
            self._tell(
                Started(
                    self._progress.step,
                    self._config.steps,
                    self._learner.model.config.parameters,
                    data.pictures,
                    data.held_out,
                    self._learner.describe(),
                )
            )
            self._meter = Meter(self._config, self._learner.device, self._progress.spent)
            with Saver(self._folder, self._learner, self._progress, self._meter, self._tell) as saver:
                self._saver = saver
                # The starting point: gains show from the first value on. Only once, because each validation counts
                # towards the run's health: not again after a stop there, or after rolling back to it.
                if self._config.start_from and not has_state(self._folder):
                    self._validate()
                request = self._learn(data)
                if request is RunRequest.DISCARD:
                    self._tell(Finished(self._progress.step, "", complete=False, discarded=True))
                    return None
                return self._finish(data, request)

    # --- before the first step

    def _open_data(self) -> TrainingData:
        on_progress = self._early.progress("pictures", self._progress.step)
        return open_data(self._config, self._folder, on_progress=on_progress, notice=self._notice, token=self._token)

    def _ask_teacher(self, data: TrainingData) -> dict[str, float]:
        step = self._progress.step
        return ask_teacher(
            self._config,
            self._folder,
            data,
            self._judge,
            None if self._progress.referenced else self._learner.average.model,
            on_learned=self._early.progress("teacher", step),
            on_answered=self._early.progress("answers", step),
            notice=self._notice,
            token=self._token,
        )

    def _plan_steps(self, data: TrainingData) -> None:
        """If epochs are counted, derive the steps from the pictures."""
        if self._config.epochs:
            steps = max(1, self._config.epochs * data.patches_per_epoch // self._config.batch)
            self._config = replace(self._config, steps=steps)
            self._learner.set_config(self._config)
            self._write_config()

    def _write_config(self) -> None:
        write_atomically(self._folder / CONFIG_NAME, to_toml(self._config).encode())

    # --- steps

    def _learn(self, data: TrainingData) -> RunRequest:
        """Step until the end or until requested otherwise; roll back if the run diverges."""
        while True:
            try:
                request = self._step_on(data)
                if request is not RunRequest.DISCARD:
                    self._saver.save_if_new(self._progress, wait=False)  # refuses non-finite weights
            except NotFiniteError:
                self._progress = self._saver.go_back(self._progress, Diverged.NOT_FINITE)
            except _Fell as fell:
                self._progress = self._saver.go_back(self._progress, fell.how)
            else:
                return request

    def _step_on(self, data: TrainingData) -> RunRequest:
        config, learner = self._config, self._learner
        with self._prefetcher(data) as batches:
            # Pictures are still being read then, so this says nothing about how long steps wait.
            self._meter.add_pause(batches.wait_for_first())
            while self._progress.step < config.steps:
                request = self._controller.look()
                if request is RunRequest.PAUSE:
                    request = self._pause()
                if request is not RunRequest.CONTINUE:
                    return request
                patches, waited = self._next_batch(batches)
                result = learner.step(patches, self._progress.step, self._progress.rate_share)
                step = self._progress.step + 1
                self._progress = replace(self._progress, step=step)
                report = self._meter.add_step(step, result, learner.optimiser.rate, waited)
                if report is not None:
                    self._tell(report)
                if step % config.validate_every == 0 or step == config.steps:
                    self._validate()
                if self._saver.is_due(self._progress, config.checkpoint_every):
                    self._saver.save(self._progress, wait=False)
                self._saver.look(self._progress.step, wait=False)
        return RunRequest.CONTINUE

    def _prefetcher(self, data: TrainingData) -> Prefetcher[Batch]:
        device, first, last = self._learner.device, self._progress.step, self._config.steps
        if self._resident is None:
            self._resident = resident_batches(data, self._config, device, self._notice)
        if self._resident is not None:
            return Prefetcher[Batch](self._resident.batch, first, last)
        return Prefetcher[Batch](data.batch, first, last, threads_for(device))

    def _next_batch(self, batches: Prefetcher[Batch]) -> tuple[Batch, float]:
        try:
            return batches.next()
        except TrainingError:
            # A picture is gone: save what was learned so far, so that it need not be learned again.
            self._saver.save_if_new(self._progress, wait=True)
            raise

    def _pause(self) -> RunRequest:
        started = time.monotonic()
        # Saved first, so that nothing is lost if the computer is switched off meanwhile.
        self._saver.save_if_new(self._progress, wait=True)
        self._tell(Paused(self._progress.step))
        request = self._controller.wait_while_paused()
        self._meter.add_pause(time.monotonic() - started)
        if request is RunRequest.CONTINUE:
            self._tell(Resumed(self._progress.step))
        return request

    def _validate(self) -> None:
        learner, step = self._learner, self._progress.step
        if not self._progress.referenced:
            started = time.monotonic()
            self._tell(self._judge.referenced(learner.device, step, self._teacher_psnr_db))
            self._progress = replace(self._progress, referenced=True)
            self._meter.add_comparing(time.monotonic() - started)
        started = time.monotonic()
        crop = self._crops.write(learner.average.model, step, self._config.steps)
        validated = self._judge.validated(learner.average.model, step, crop)
        count = len(validated.psnr_db)
        mean = sum(validated.psnr_db.values()) / count
        gain = mean - sum(validated.bicubic_psnr_db.values()) / count
        self._progress = replace(self._progress, judged_step=step, health=self._progress.health.after(gain))
        self._tell(validated)
        self._meter.add_judging(time.monotonic() - started)
        # Without the skip connection a network is below bicubic for thousands of steps, as the paper's Section 4 shows.
        patience = self._config.patience if self._config.residual else 0
        verdict = self._progress.health.verdict(patience)
        if verdict is not None and step < self._config.steps:
            raise _Fell(verdict)

    # --- the end

    def _finish(self, data: TrainingData, request: RunRequest) -> Path:
        self._saver.look(self._progress.step, wait=True, strict=True)
        spent = self._meter.spent
        complete = self._progress.step >= self._config.steps
        average = self._learner.average.model
        weights = write_weights(average, self._folder, self._config, self._progress.step)
        if complete:
            forget_answers(self._folder)
        if request is not RunRequest.INTERRUPT:
            event = write_result(
                self._folder,
                self._config,
                average,
                data,
                step=self._progress.step,
                spent=spent,
                device=self._learner.describe(),
                should_continue=self._should_continue,
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

    def _should_continue(self) -> bool:
        """Whether to continue measuring the result: no signal has arrived since."""
        return self._controller.look() is not RunRequest.INTERRUPT

    def _notice(self, message: str) -> None:
        self._tell(Noticed(self._progress.step, message))

    def _tell(self, event: Event) -> None:
        self._log.write(event)
        self._on_event(event)


class _Fell(Exception):  # noqa: N818 - it is caught within the run
    def __init__(self, how: Diverged) -> None:
        super().__init__(how.value)
        self.how = how


def _delete(run: Path) -> None:
    """Delete the folder of a discarded run; failures are only logged."""
    try:
        shutil.rmtree(run)
    except OSError as error:
        logger.warning("A discarded run could not be deleted: %s", error)
