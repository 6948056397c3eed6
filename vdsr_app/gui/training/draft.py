"""What the wizard has gathered so far: pictures, what was found in them, the recipe. No widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from vdsr_app.core.models import PHOTO_MODEL, ModelInfo, is_file_name
from vdsr_app.core.weight_header import read_shape
from vdsr_app.errors import WeightsError
from vdsr_app.gui.texts import file_name
from vdsr_trainer.config import TrainConfig, symmetry_for
from vdsr_trainer.cost import judging_seconds
from vdsr_trainer.data.report import PreflightReport
from vdsr_trainer.events import Measured
from vdsr_trainer.presets import DEFAULT_PRESET, PRESETS, starting_from, with_optimizer, with_relative_rates

OWN = "own"
"""Under this name a recipe of one's own is measured."""
_PICTURE_FIELDS = ("data", "validation", "holdout", "exclude", "keep_duplicates")
_FREE_OF_COST = (
    *_PICTURE_FIELDS,
    *("start_from", "steps", "epochs", "loss", "rate", "muon_rate", "warmup_steps", "seed", "schedule", "patience"),
    *("relative_rates", "consistency", "validate_every", "checkpoint_every", "scales", "average_decay"),
)


class Draft(QObject):
    """A run that is being put together.

    Attributes:
        config: all of it; `config.data` is empty at first.
        preset: recipe it began with.
        title: name of the run.
        report: what the check found; None before, and after the pictures changed.
        measured: what a step costs, by preset or `OWN`.

    Signals:
        pictures_changed: other folders, or other pictures left out.
        recipe_changed: anything else.
    """

    pictures_changed = Signal()
    recipe_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.measured: dict[str, Measured] = {}
        self._models: tuple[ModelInfo, ...] = ()
        self._shapes_elsewhere: dict[str, tuple[int, int]] = {}
        self.begin(())

    def begin(self, models: Sequence[ModelInfo], like: TrainConfig | None = None, preset: str = "") -> None:
        """Start over, from nothing or with the settings of another run."""
        self._models = tuple(models)
        self._shapes_elsewhere.clear()
        self.report: PreflightReport | None = None
        self.title = ""
        self._title_typed = False
        self.preset = preset if preset in PRESETS else DEFAULT_PRESET
        self.measured.pop(OWN, None)
        self.config = TrainConfig()
        # No teacher from a file: the recipe has no field for it, and what it does not show it does not do.
        self.config = self.stock(self.preset) if like is None else replace(like, teacher_from="")
        self._keep_start()
        self._suggest_title()
        self.pictures_changed.emit()
        self.recipe_changed.emit()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it that the person chose."""
        chosen = self.config.data or self.config.validation or self._title_typed
        return not chosen and self.config == self.stock(DEFAULT_PRESET)

    @property
    def is_touched(self) -> bool:
        """Whether the recipe differs from what its preset gives."""
        return self.config != self._recipe(self.preset, self.config.start_from)

    def set_models(self, models: Sequence[ModelInfo]) -> None:
        """Take note of the models that there are now."""
        self._models = tuple(models)
        self._keep_start()

    def set_folders(self, folders: Sequence[str]) -> None:
        """Learn from the pictures in these folders; what was left out of one that stays is left out still."""
        data = tuple(dict.fromkeys(folders))
        places = [folder for folder in (*data, self.config.validation) if folder]
        # Joined, a path without a folder lies in each of them, and any other is what it was.
        kept = (path for path in self.config.exclude if any(Path(p, path).is_relative_to(p) for p in places))
        self.set_pictures(data=data, exclude=tuple(kept))
        self._suggest_title()

    def set_pictures(self, **values: Any) -> None:
        """Change what is done with pictures: `data`, `validation`, `holdout`, `exclude`, `keep_duplicates`."""
        self.config = replace(self.config, **values)
        self.report = None
        self.pictures_changed.emit()

    def set_report(self, report: PreflightReport) -> None:
        """Keep what the check found."""
        self.report = report
        self.recipe_changed.emit()

    def set_measured(self, measured: Measured) -> None:
        """Keep what a step of a preset, or of `OWN`, costs."""
        self.measured[measured.preset] = measured
        self.recipe_changed.emit()

    def choose_preset(self, name: str) -> None:
        """Take a preset as it comes; pictures stay, settings of one's own are given up."""
        self.preset = name
        self.measured.pop(OWN, None)
        self.config = self.stock(name)
        self._suggest_title()
        self.recipe_changed.emit()

    def reset(self) -> None:
        """Back to the preset; where the run starts from stays."""
        self.config = self._recipe(self.preset, self.config.start_from)
        self.measured.pop(OWN, None)
        self.recipe_changed.emit()

    def set_start(self, model: str) -> None:
        """Begin with the weights of an installed model, or from nothing with "".

        Layers, rates and steps follow; what the person changed beside them stays.
        """
        if model == self.config.start_from:
            return
        recipes = (self._recipe(self.preset, start) for start in (self.config.start_from, model))
        optimizer, like = self.config.optimizer, PRESETS[self.preset]
        before, after = (with_optimizer(recipe, optimizer, like) for recipe in recipes)
        shape = {} if not model else {"depth": after.depth, "width": after.width}
        own = {
            name: getattr(self.config, name)
            for name in TrainConfig.__slots__
            if getattr(self.config, name) != getattr(before, name)
        }
        if "rate" in own:
            own["relative_rates"] = self.config.relative_rates  # or it would be another rate
        changed = {**own, "start_from": model, **shape}
        if model:
            changed["symmetry"] = symmetry_for(after.width, changed.get("symmetry", after.symmetry))
        self.config = replace(after, **changed)
        self.measured.pop(OWN, None)
        self.recipe_changed.emit()

    def set_value(self, **values: Any) -> None:
        """Change settings of the recipe; another optimiser, and a rate of another kind, bring their usual rates.

        Raises:
            ConfigError: they are not allowed, alone or together; nothing is changed.
        """
        changed = replace(self._suited(values), **values)
        if any(_costs(name) and getattr(changed, name) != getattr(self.config, name) for name in values):
            self.measured.pop(OWN, None)
        self.config = changed
        start = self.config.start_from
        if start and self.shape(start) != (changed.depth, changed.width):
            self.set_start("")
        else:
            self.recipe_changed.emit()

    def set_title(self, title: str) -> None:
        """Take a name that the person typed; an empty one goes back to the suggestion."""
        self._title_typed = bool(title.strip())
        self.title = title.strip()
        if not self._title_typed:
            self._suggest_title()

    def shape(self, model: str) -> tuple[int, int]:
        """Layers and channels of a model that is installed or among `other_starts`; (0, 0) where it cannot be read."""
        info = next((info for info in self._models if info.name == model), None)
        shape = (0, 0) if info is None else _shape_of(info.path)
        return self._shapes_elsewhere.get(model, shape) if shape == (0, 0) else shape

    @property
    def other_starts(self) -> tuple[str, ...]:
        """What else may be begun with than the models that are installed: that of the run whose settings these were."""
        installed = {model.name for model in self._models}
        return tuple(start for start in self._shapes_elsewhere if start not in installed)

    @property
    def missing_model(self) -> str:
        """Name of the model to begin with where it is not installed, or ""."""
        start = self.config.start_from
        return start if start in self.other_starts and not is_file_name(start) else ""

    def stock(self, preset: str) -> TrainConfig:
        """What a preset comes to with these pictures, beginning where it is best to begin."""
        return self._recipe(preset, self._best_start(preset))

    def steps(self, config: TrainConfig | None = None) -> int:
        """Steps in all, as far as they are known: those of epochs follow from the pictures."""
        config = config or self.config
        if not config.epochs:
            return config.steps
        patches = self.report.patches_per_epoch if self.report is not None else 0
        return max(1, config.epochs * patches // config.batch) if patches else 0

    def to_measure(self) -> dict[str, TrainConfig]:
        """Recipes whose cost is not known yet, by preset; the preset itself where a step of it costs the same."""
        wanted = {}
        for name, preset in PRESETS.items():
            if name not in self.measured:
                stock = self.stock(name)
                wanted[name] = preset if _cost_alike(stock, preset) else stock
        return wanted

    def cost(self, preset: str) -> tuple[float, int] | None:
        """Seconds and bytes that a preset takes on this machine; None before that is known.

        Where epochs count that takes the pictures, besides a measurement. Until these are known, the answers of a
        teacher are left out.
        """
        config, measured = self.stock(preset), self.measured.get(preset)
        if preset == self.preset:
            config, measured = self.config, self.measured_now()
        steps = self.steps(config)
        if measured is None or not steps:
            return None
        return self._seconds(config, measured, steps), measured.memory_bytes

    def steps_in(self, seconds: float) -> int | None:
        """How many steps of this recipe, 1 or more, take so long in all; None before it was measured."""
        config, measured = self.config, self.measured_now()
        if measured is None:
            return None
        once, every = self._seconds(config, measured, 0), config.validate_every
        a_step = (self._seconds(config, measured, every) - once) / every  # with its share of a validation
        return max(1, round((seconds - once) / max(a_step, 1e-6)))

    def _seconds(self, config: TrainConfig, measured: Measured, steps: int) -> float:
        """What so many steps of a recipe take in all."""
        held_out = None if self.report is None else len(self.report.held_out)
        judging = judging_seconds(config, measured, steps, held_out)
        return self._seconds_before(config, measured) + measured.seconds_a_step * steps + judging

    def _seconds_before(self, config: TrainConfig, measured: Measured) -> float:
        """What a recipe takes before its first step: a teacher learns, and answers for the pictures."""
        shares = 1.0 + sum(factor * factor for factor in config.shrunk_copies)
        pixels = 0.0 if self.report is None else self.report.training_pixels * shares
        return measured.seconds_before + measured.seconds_a_megapixel * pixels / 1e6

    def measured_now(self) -> Measured | None:
        """What a step of this recipe costs; None before it was measured."""
        return self.measured.get(OWN) or (None if self.needs_measuring() else self.measured.get(self.preset))

    def needs_measuring(self) -> bool:
        """Whether a step of this recipe costs something else than one of its preset."""
        return OWN not in self.measured and not _cost_alike(self.config, self.stock(self.preset))

    def costs_as(self, config: TrainConfig) -> bool:
        """Whether a step of this recipe costs what one of `config` does."""
        return _cost_alike(self.config, config)

    def _suited(self, values: dict[str, Any]) -> TrainConfig:
        """The recipe with what follows from `values`."""
        config, like = self.config, PRESETS[self.preset]
        optimizer, relative = (values.get(name, getattr(config, name)) for name in ("optimizer", "relative_rates"))
        if optimizer != config.optimizer:
            return with_optimizer(config, optimizer, like)
        return config if relative == config.relative_rates else with_relative_rates(config, relative, like)

    def _recipe(self, preset: str, start: str) -> TrainConfig:
        """A preset with the pictures of this draft, beginning with a model or, with "", from nothing."""
        kept = {name: getattr(self.config, name) for name in _PICTURE_FIELDS}
        config = replace(PRESETS[preset], **kept)
        shape = self.shape(start) if start else (0, 0)
        return config if shape == (0, 0) else starting_from(config, start, *shape)

    def _best_start(self, preset: str) -> str:
        """The bundled model that suits; a recipe to compare with a publication begins from nothing as that did."""
        bundled = (model.name for model in self._models if model.bundled and self.shape(model.name) != (0, 0))
        names = list(bundled)
        if preset == "paper" or not names:
            return ""
        return PHOTO_MODEL if preset == "photo" and PHOTO_MODEL in names else names[0]

    def _keep_start(self) -> None:
        """Remember what is begun with, where the models that are installed do not tell its shape."""
        start = self.config.start_from
        if start and self.shape(start) == (0, 0):
            self._shapes_elsewhere[start] = (self.config.depth, self.config.width)

    def _suggest_title(self) -> None:
        if self._title_typed:
            return
        folder = file_name(Path(self.config.data[0])) if self.config.data else ""
        self.title = f"{folder} {self.preset}".strip() if folder else ""


def _costs(name: str) -> bool:
    """Whether time or memory of a step may depend on a setting."""
    return name not in _FREE_OF_COST


def _cost_alike(one: TrainConfig, other: TrainConfig) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in TrainConfig.__slots__ if _costs(name))


@lru_cache(maxsize=32)
def _shape_of(path: Path) -> tuple[int, int]:
    """Layers and channels of a weight file; none where it is no such file."""
    try:
        return read_shape(path)
    except WeightsError:
        return 0, 0
