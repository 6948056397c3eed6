"""What the wizard has gathered so far: pictures, the report of their check, the recipe. No widgets."""

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
"""Key in `measured` of a recipe that differs from its preset."""
_PICTURE_FIELDS = ("data", "validation", "holdout", "exclude", "keep_duplicates")
_FREE_OF_COST = (
    *_PICTURE_FIELDS,
    *("start_from", "steps", "epochs", "loss", "rate", "muon_rate", "warmup_steps", "seed", "schedule", "patience"),
    *("relative_rates", "consistency", "validate_every", "checkpoint_every", "scales", "average_decay"),
)


class Draft(QObject):
    """A run that is being set up.

    Attributes:
        config: the whole configuration; `config.data` is empty at first.
        preset: recipe it is based on.
        title: name of the run.
        report: result of the check; None before it and after the pictures have changed.
        measured: cost of a step, by preset or `OWN`.

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
        """Start over, from scratch or with the settings of another run."""
        self._models = tuple(models)
        self._shapes_elsewhere.clear()
        self.report: PreflightReport | None = None
        self.title = ""
        self._title_typed = False
        self.preset = preset if preset in PRESETS else DEFAULT_PRESET
        self.measured.pop(OWN, None)
        self.config = TrainConfig()
        # Drop a teacher from a file: the recipe has no field for it, so it would be used without being shown.
        self.config = self.stock(self.preset) if like is None else replace(like, teacher_from="")
        self._keep_start()
        self._suggest_title()
        self.pictures_changed.emit()
        self.recipe_changed.emit()

    @property
    def is_empty(self) -> bool:
        """Whether the user has not chosen anything yet."""
        chosen = self.config.data or self.config.validation or self._title_typed
        return not chosen and self.config == self.stock(DEFAULT_PRESET)

    @property
    def is_touched(self) -> bool:
        """Whether the recipe differs from its preset."""
        return self.config != self._recipe(self.preset, self.config.start_from)

    def set_models(self, models: Sequence[ModelInfo]) -> None:
        """Set the models that are installed now."""
        self._models = tuple(models)
        self._keep_start()

    def set_folders(self, folders: Sequence[str]) -> None:
        """Learn from the pictures in these folders; exclusions within folders that stay are kept."""
        data = tuple(dict.fromkeys(folders))
        places = [folder for folder in (*data, self.config.validation) if folder]
        # Joining puts a relative path inside each folder and leaves an absolute one as it is.
        kept = (path for path in self.config.exclude if any(Path(p, path).is_relative_to(p) for p in places))
        self.set_pictures(data=data, exclude=tuple(kept))
        self._suggest_title()

    def set_pictures(self, **values: Any) -> None:
        """Change the use of pictures: `data`, `validation`, `holdout`, `exclude`, `keep_duplicates`."""
        self.config = replace(self.config, **values)
        self.report = None
        self.pictures_changed.emit()

    def set_report(self, report: PreflightReport) -> None:
        """Store the result of the check."""
        self.report = report
        self.recipe_changed.emit()

    def set_measured(self, measured: Measured) -> None:
        """Store the cost of a step of a preset or of `OWN`."""
        self.measured[measured.preset] = measured
        self.recipe_changed.emit()

    def choose_preset(self, name: str) -> None:
        """Take a preset as it is; the pictures stay, changes to the recipe are dropped."""
        self.preset = name
        self.measured.pop(OWN, None)
        self.config = self.stock(name)
        self._suggest_title()
        self.recipe_changed.emit()

    def reset(self) -> None:
        """Go back to the preset, but keep the model to start from."""
        self.config = self._recipe(self.preset, self.config.start_from)
        self.measured.pop(OWN, None)
        self.recipe_changed.emit()

    def set_start(self, model: str) -> None:
        """Start from the weights of a model, or from scratch with "".

        Layers and channels are the model's; rates and steps become those usual for it, unless the user changed them.
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
            own["relative_rates"] = self.config.relative_rates  # the rate depends on it
        changed = {**own, "start_from": model, **shape}
        if model:
            changed["symmetry"] = symmetry_for(after.width, changed.get("symmetry", after.symmetry))
        self.config = replace(after, **changed)
        self.measured.pop(OWN, None)
        self.recipe_changed.emit()

    def set_value(self, **values: Any) -> None:
        """Change settings of the recipe; another optimiser or kind of rate brings its usual rates.

        Raises:
            ConfigError: a value or their combination is not allowed; nothing is changed.
        """
        changed = replace(self._with_usual_rates(values), **values)
        if any(_costs(name) and getattr(changed, name) != getattr(self.config, name) for name in values):
            self.measured.pop(OWN, None)
        self.config = changed
        start = self.config.start_from
        if start and self.shape(start) != (changed.depth, changed.width):
            self.set_start("")
        else:
            self.recipe_changed.emit()

    def set_title(self, title: str) -> None:
        """Set the name that the user typed; an empty one restores the suggestion."""
        self._title_typed = bool(title.strip())
        self.title = title.strip()
        if not self._title_typed:
            self._suggest_title()

    def shape(self, model: str) -> tuple[int, int]:
        """Layers and channels of an installed model or one of `other_starts`; (0, 0) if it cannot be read."""
        info = next((info for info in self._models if info.name == model), None)
        shape = (0, 0) if info is None else _shape_of(info.path)
        return self._shapes_elsewhere.get(model, shape) if shape == (0, 0) else shape

    @property
    def other_starts(self) -> tuple[str, ...]:
        """Starts besides the installed models: that of the run whose settings were copied, or a model removed since."""
        installed = {model.name for model in self._models}
        return tuple(start for start in self._shapes_elsewhere if start not in installed)

    @property
    def missing_model(self) -> str:
        """Name of the model to start from if it is not installed, or ""."""
        start = self.config.start_from
        return start if start in self.other_starts and not is_file_name(start) else ""

    def stock(self, preset: str) -> TrainConfig:
        """A preset with these pictures and its best starting point."""
        return self._recipe(preset, self._best_start(preset))

    def steps(self, config: TrainConfig | None = None) -> int:
        """Total steps; with epochs they depend on the pictures and are 0 before these are checked."""
        config = config or self.config
        if not config.epochs:
            return config.steps
        patches = self.report.patches_per_epoch if self.report is not None else 0
        return max(1, config.epochs * patches // config.batch) if patches else 0

    def to_measure(self) -> dict[str, TrainConfig]:
        """Recipes of unknown cost, by preset; the preset itself if a step of it costs the same."""
        wanted = {}
        for name, preset in PRESETS.items():
            if name not in self.measured:
                stock = self.stock(name)
                wanted[name] = preset if _costs_equal(stock, preset) else stock
        return wanted

    def cost(self, preset: str) -> tuple[float, int] | None:
        """Seconds and bytes that a preset takes on this machine; None while unknown.

        With epochs this needs the checked pictures besides a measurement. Until they are checked, the time for a
        teacher's answers is left out.
        """
        config, measured = self.stock(preset), self.measured.get(preset)
        if preset == self.preset:
            config, measured = self.config, self.measured_now()
        steps = self.steps(config)
        if measured is None or not steps:
            return None
        return self._seconds(config, measured, steps), measured.memory_bytes

    def steps_in(self, seconds: float) -> int | None:
        """Number of steps, 1 or more, with which this recipe takes `seconds` in all; None before it was measured."""
        config, measured = self.config, self.measured_now()
        if measured is None:
            return None
        once, every = self._seconds(config, measured, 0), config.validate_every
        a_step = (self._seconds(config, measured, every) - once) / every  # including its share of a validation
        return max(1, round((seconds - once) / max(a_step, 1e-6)))

    def _seconds(self, config: TrainConfig, measured: Measured, steps: int) -> float:
        """Total time of a run of `steps` steps."""
        held_out = None if self.report is None else len(self.report.held_out)
        judging = judging_seconds(config, measured, steps, held_out)
        return self._seconds_before(config, measured) + measured.seconds_a_step * steps + judging

    def _seconds_before(self, config: TrainConfig, measured: Measured) -> float:
        """Time before the first step, in which a teacher learns and computes its answers for the pictures."""
        shares = 1.0 + sum(factor * factor for factor in config.shrunk_copies)
        pixels = 0.0 if self.report is None else self.report.training_pixels * shares
        return measured.seconds_before + measured.seconds_a_megapixel * pixels / 1e6

    def measured_now(self) -> Measured | None:
        """Cost of a step of this recipe; None before it was measured."""
        return self.measured.get(OWN) or (None if self.needs_measuring() else self.measured.get(self.preset))

    def needs_measuring(self) -> bool:
        """Whether a step of this recipe differs in cost from its preset and was not measured yet."""
        return OWN not in self.measured and not _costs_equal(self.config, self.stock(self.preset))

    def costs_as(self, config: TrainConfig) -> bool:
        """Whether a step of this recipe costs the same as one of `config`."""
        return _costs_equal(self.config, config)

    def _with_usual_rates(self, values: dict[str, Any]) -> TrainConfig:
        """The recipe with the usual rates for an optimiser or kind of rate that `values` changes."""
        config, like = self.config, PRESETS[self.preset]
        optimizer, relative = (values.get(name, getattr(config, name)) for name in ("optimizer", "relative_rates"))
        if optimizer != config.optimizer:
            return with_optimizer(config, optimizer, like)
        return config if relative == config.relative_rates else with_relative_rates(config, relative, like)

    def _recipe(self, preset: str, start: str) -> TrainConfig:
        """A preset with the pictures of this draft, starting from a model or, with "", from scratch."""
        kept = {name: getattr(self.config, name) for name in _PICTURE_FIELDS}
        config = replace(PRESETS[preset], **kept)
        shape = self.shape(start) if start else (0, 0)
        return config if shape == (0, 0) else starting_from(config, start, *shape)

    def _best_start(self, preset: str) -> str:
        """The bundled model that suits the preset; "paper" starts from scratch, as the published network did."""
        bundled = (model.name for model in self._models if model.bundled and self.shape(model.name) != (0, 0))
        names = list(bundled)
        if preset == "paper" or not names:
            return ""
        return PHOTO_MODEL if preset == "photo" and PHOTO_MODEL in names else names[0]

    def _keep_start(self) -> None:
        """Remember the shape of the start if it is not known from the installed models."""
        start = self.config.start_from
        if start and self.shape(start) == (0, 0):
            self._shapes_elsewhere[start] = (self.config.depth, self.config.width)

    def _suggest_title(self) -> None:
        if self._title_typed:
            return
        folder = file_name(Path(self.config.data[0])) if self.config.data else ""
        self.title = f"{folder} {self.preset}".strip() if folder else ""


def _costs(name: str) -> bool:
    """Whether a setting may affect the time or memory of a step."""
    return name not in _FREE_OF_COST


def _costs_equal(one: TrainConfig, other: TrainConfig) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in TrainConfig.__slots__ if _costs(name))


@lru_cache(maxsize=32)
def _shape_of(path: Path) -> tuple[int, int]:
    """Layers and channels of a weight file; (0, 0) if it cannot be read."""
    try:
        return read_shape(path)
    except WeightsError:
        return 0, 0
