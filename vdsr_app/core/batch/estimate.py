"""What a batch would produce and how long it would take, as far as is known before it begins. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vdsr_app.core import measurements
from vdsr_app.core.batch.items import Item, Totals
from vdsr_app.core.batch.options import BatchOptions
from vdsr_app.core.batch.plan import totals
from vdsr_app.core.disk_space import free_bytes
from vdsr_app.core.job import UpscaleSettings
from vdsr_app.core.models import AUTO_MODEL, DEFAULT_MODEL, ModelInfo, find_model
from vdsr_app.core.weight_header import read_shape
from vdsr_app.errors import WeightsError

_BUNDLED_PASSES = 2
"""Positions in which the bundled models differ (`core.ensemble`): their answers turn with the picture."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch would do.

    Attributes:
        items: the planned pictures.
        totals: their totals.
        free_bytes: free space on the disk of the results, None if the system does not report it.
        seconds: estimated duration, None if it is not known how fast this machine is, or how often the self-ensemble
            runs the model.
    """

    items: tuple[Item, ...]
    totals: Totals
    free_bytes: int | None
    seconds: float | None

    @property
    def lacks_room(self) -> bool:
        """Whether the disk has too little space for everything, as far as the system reports it."""
        return self.free_bytes is not None and self.totals.disk_bytes > self.free_bytes


def plan_of(items: Iterable[Item], options: BatchOptions) -> Plan:
    """Sum up planned pictures, with this machine's speed and free disk space as they are now."""
    items = tuple(items)
    found = totals(items, options)
    rate, passes = known_mpx_per_s(options.settings.model), _known_passes(options.settings)
    seconds = None if rate is None or passes is None else passes * found.output_px / 1e6 / rate
    return Plan(items, found, free_bytes(options.output), seconds)


def known_mpx_per_s(model: str) -> float | None:
    """Millions of output pixels per second, as last measured by `core.backend_choice`; None if not measured yet.

    The measurement is of one tile, so whole pictures are a little faster. Graphics cards are not measured.

    Args:
        model: as in `UpscaleSettings`; the models that "auto" chooses from share one shape.
    """
    try:
        depth, width = read_shape(_one_model(model).path)
    except WeightsError:
        return None
    return measurements.last_mpx_per_s(depth, width)


def _known_passes(settings: UpscaleSettings) -> int | None:
    """How often the network runs on each picture; None for the self-ensemble of a model that has not been tested."""
    if not settings.self_ensemble:
        return 1
    try:
        return _BUNDLED_PASSES if _one_model(settings.model).bundled else None
    except WeightsError:
        return None


def _one_model(model: str) -> ModelInfo:
    return find_model(DEFAULT_MODEL if model == AUTO_MODEL else model)
