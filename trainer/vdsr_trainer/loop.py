"""One training run, from pictures to a weight file: a plain function that anybody can drive."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from vdsr_app.control import CancelToken
from vdsr_app.core.atomic import write_atomically
from vdsr_app.core.device import choose_device
from vdsr_app.core.models import find_model
from vdsr_app.core.network import VDSR, VDSRConfig, initialise
from vdsr_app.core.weights import load_model, save_weights
from vdsr_app.errors import TrainingError
from vdsr_trainer import checkpoint
from vdsr_trainer.config import TrainConfig, read_config, to_toml
from vdsr_trainer.dataset import Patches, PatchSampler, load_split, prepare
from vdsr_trainer.events import CheckpointSaved, Event, EventCallback, Finished, Noticed, Started, Stepped, to_json
from vdsr_trainer.optimise import MovingAverage, Optimiser
from vdsr_trainer.validate import Judge

CONFIG_NAME = "config.toml"
EVENTS_NAME = "events.jsonl"
WEIGHTS_NAME = "vdsr.safetensors"
_AHEAD = 3
_REPORT_SECONDS = 2.0


def train(config: TrainConfig, run: Path, on_event: EventCallback, token: CancelToken, *, resume: bool = False) -> Path:
    """Train, validate, checkpoint, and write the moving average as a weight file.

    Args:
        config: what to do.
        run: folder of the run; made if missing.
        on_event: called for every event, from this thread.
        token: cancelling it saves a checkpoint and the weights so far, and returns.
        resume: go on from the newest checkpoint in `run`.

    Returns:
        Path of the weight file.

    Raises:
        TrainingError: no usable pictures, a run that is there already, or a loss that is not finite.
        SaveError: the run folder cannot be written.
    """
    if not resume and (run / checkpoint.NEWEST).exists():
        raise TrainingError(
            "This folder holds a run already.", path=run, hint="Use --resume, or choose another folder."
        )
    run.mkdir(parents=True, exist_ok=True)
    write_atomically(run / CONFIG_NAME, to_toml(config).encode())
    return _Run(config, run, on_event, token).go(resume=resume)


def resume_config(run: Path) -> TrainConfig:
    """Configuration stored in a run folder."""
    if not (run / CONFIG_NAME).is_file():
        raise TrainingError("This folder holds no training run.", path=run, hint="Choose the folder given with --out.")
    return read_config(run / CONFIG_NAME)


class _Run:
    """State of one run while it runs."""

    def __init__(self, config: TrainConfig, run: Path, on_event: EventCallback, token: CancelToken) -> None:
        self._config = config
        self._folder = run
        self._on_event = on_event
        self._token = token
        if config.threads:
            torch.set_num_threads(config.threads)
        self._device = choose_device(config.device)
        model = first_model(config)
        self._model = model.to(self._device).train()
        self._average = MovingAverage(self._model, config.average_decay)
        self._optimiser = Optimiser(self._model, config)
        self._progress = checkpoint.Progress()
        self._saved_step = -1

    def go(self, *, resume: bool) -> Path:
        config = self._config
        with (self._folder / EVENTS_NAME).open("a", encoding="utf-8", buffering=1) as log:
            self._log = log
            if resume:
                self._progress = checkpoint.load(self._folder, self._model, self._average, self._optimiser)
            split = load_split(config, lambda message: self._tell(Noticed(self._progress.step, message)))
            judge = Judge.prepare(split.validation, config)
            self._tell(
                Started(
                    self._progress.step,
                    config.steps,
                    self._model.config.parameters,
                    len(split.training),
                    tuple(split.validation),
                    str(self._device),
                )
            )
            sampler = PatchSampler(prepare(split.training, config), config)
            self._steps(sampler, judge)
            return self._finish()

    def _steps(self, sampler: PatchSampler, judge: Judge) -> None:
        config, meter = self._config, _Meter(self._config)
        begun, carried = time.monotonic(), self._progress.seconds
        with _Prefetcher(sampler, self._progress.step, config.steps) as batches:
            while self._progress.step < config.steps and not self._token.cancelled:
                patches, waited = batches.next()
                self._optimiser.set_step(self._progress.step)
                loss = self._forward_backward(patches)
                norm, clipped = self._optimiser.step()
                step = self._progress.step + 1
                self._average.update(self._model, step)
                self._progress = replace(self._progress, step=step, seconds=carried + time.monotonic() - begun)
                report = meter.add(step, loss, self._optimiser.rate, norm, clipped, waited)
                if report is not None:
                    self._tell(report)
                if step % config.validate_every == 0 or step == config.steps:
                    self._validate(judge)
                    meter.restart()
                if step % config.checkpoint_every == 0:
                    self._checkpoint()

    def _forward_backward(self, patches: Patches) -> float:
        bicubic = torch.from_numpy(patches.bicubic).to(self._device)
        target = torch.from_numpy(patches.target).to(self._device)
        detail = forward_detail(self._model, bicubic, self._config.precision)
        wanted = target - bicubic if self._config.residual else target
        if self._config.optimizer == "sgd":
            # The paper's scale: half the squared error, summed over a patch, mean over the batch; its rate and clip
            # belong to that.
            loss = 0.5 * (detail - wanted).square().sum() / len(bicubic)
            mean_square = float(loss.detach()) * 2 * len(bicubic) / bicubic.numel()
        else:
            loss = (detail - wanted).square().mean()
            mean_square = float(loss.detach())
        if not mean_square < float("inf"):
            raise TrainingError(
                f"The loss is not finite at step {self._progress.step + 1}.",
                path=self._folder,
                hint="Resume from the last checkpoint with a lower rate.",
            )
        torch.autograd.backward(loss)
        return mean_square

    def _validate(self, judge: Judge) -> None:
        result = judge.measure(self._average.model, self._progress.step)
        mean = sum(result.psnr_db.values()) / len(result.psnr_db)
        self._progress = replace(self._progress, best_psnr_db=max(mean, self._progress.best_psnr_db))
        self._tell(result)

    def _checkpoint(self) -> None:
        path = checkpoint.save(self._folder, self._model, self._average, self._optimiser, self._progress)
        self._saved_step = self._progress.step
        self._tell(CheckpointSaved(self._progress.step, str(path)))

    def _finish(self) -> Path:
        # Saved twice, one state would push the earlier one, which is kept for safety, off the disk.
        if self._saved_step != self._progress.step:
            self._checkpoint()
        weights = self._folder / WEIGHTS_NAME
        save_weights(
            self._average.model,
            weights,
            {
                "title": self._folder.name,
                "steps": str(self._progress.step),
                "training": to_toml(_without_places(self._config)),
            },
        )
        self._tell(Finished(self._progress.step, str(weights), self._progress.step >= self._config.steps))
        return weights

    def _tell(self, event: Event) -> None:
        self._log.write(to_json(event) + "\n")
        self._on_event(event)


def first_model(config: TrainConfig) -> VDSR:
    """The network as a new run begins with it: He initialisation, or the weights of `config.start_from`.

    Raises:
        TrainingError: that model is of another depth or width, or without the skip connection.
        WeightsError: it is not there or damaged.
    """
    shape = VDSRConfig(config.depth, config.width, config.residual)
    if not config.start_from:
        model = VDSR(shape)
        initialise(model, config.seed)
        return model
    info = find_model(config.start_from)
    model = load_model(info).model.requires_grad_(True)
    if model.config != shape:
        raise TrainingError(
            f"The model to start from has {model.config.depth} layers of {model.config.width} channels, the run"
            f" {shape.depth} of {shape.width}.",
            path=info.path,
            hint="Choose the same depth and width, or start from nothing.",
        )
    return model


def _without_places(config: TrainConfig) -> TrainConfig:
    """`config` with folders by their last name alone: weights are passed on, and say nothing of a person's disk."""
    places = {key: Path(getattr(config, key)).name for key in ("validation", "start_from")}
    return replace(config, data=tuple(Path(folder).name for folder in config.data), **places)


def forward_detail(model: VDSR, bicubic: Tensor, precision: str) -> Tensor:
    """The network without its skip connection, in the arithmetic of training.

    Under "bf16" the inner and last convolutions run in bfloat16 on channels_last activations; the first stays in
    float32, since 8 bits of mantissa cannot hold the luma whose small differences it must see.

    Args:
        model: the network; its weights stay float32.
        bicubic: (N, 1, P, P) float32.
        precision: "bf16" or "fp32".

    Returns:
        (N, 1, P, P) float32.
    """
    half = precision == "bf16"
    features = torch.relu(model.layers[0](bicubic))  # (N, width, P, P)
    features = features.to(torch.bfloat16 if half else torch.float32, memory_format=torch.channels_last)
    with torch.autocast(bicubic.device.type, torch.bfloat16, enabled=half):
        for layer in model.layers[1:-1]:
            features = torch.relu(layer(features))
        detail: Tensor = model.layers[-1](features)  # (N, 1, P, P)
    return detail.float()


class _Prefetcher:
    """Cuts the next batches in a thread while the network works on this one; numpy lets go of the GIL."""

    def __init__(self, sampler: PatchSampler, first: int, last: int) -> None:
        self._sampler = sampler
        self._next = first
        self._last = last
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="patches")
        self._queue: deque[Future[Patches]] = deque()

    def __enter__(self) -> _Prefetcher:
        for _ in range(_AHEAD):
            self._order()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _order(self) -> None:
        if self._next < self._last:
            self._queue.append(self._pool.submit(self._sampler.batch, self._next))
            self._next += 1

    def next(self) -> tuple[Patches, float]:
        """The next batch, and the seconds it was waited for."""
        begun = time.monotonic()
        patches = self._queue.popleft().result()
        waited = time.monotonic() - begun
        self._order()
        return patches, waited


class _Meter:
    """Averages steps into reports, one every two seconds."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._seconds_a_step = 0.0
        self.restart()

    def restart(self) -> None:
        """Forget the open window, after something that is not training took time."""
        self._begun = time.monotonic()
        self._losses: list[float] = []
        self._waited = 0.0

    def add(self, step: int, loss: float, rate: float, norm: float, clipped: float, waited: float) -> Stepped | None:
        """Count one step; a report when the window is full or the run ends."""
        self._losses.append(loss)
        self._waited += waited
        elapsed = time.monotonic() - self._begun
        if elapsed < _REPORT_SECONDS and step < self._config.steps:
            return None
        count = len(self._losses)
        a_step = elapsed / count
        self._seconds_a_step = a_step if not self._seconds_a_step else 0.8 * self._seconds_a_step + 0.2 * a_step
        report = Stepped(
            step,
            sum(self._losses) / count,
            rate,
            norm,
            clipped,
            count * self._config.batch / max(elapsed, 1e-9),
            self._waited / max(elapsed, 1e-9),
            (self._config.steps - step) * self._seconds_a_step,
        )
        self.restart()
        return report
