"""What a batch would come to, and how long it would take, as far as that is known before it begins; no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vdsr_app.core import measurements
from vdsr_app.core.batch.items import Item, Totals
from vdsr_app.core.batch.options import BatchOptions
from vdsr_app.core.batch.plan import totals
from vdsr_app.core.disk_space import free_bytes
from vdsr_app.core.models import AUTO_MODEL, DEFAULT_MODEL, find_model
from vdsr_app.core.weight_header import read_shape
from vdsr_app.errors import WeightsError


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch would do.

    Attributes:
        items: each picture.
        totals: what they come to.
        free_bytes: room on the disk of the results, None where the system does not tell.
        seconds: how long it will take, None where this machine's speed is not known yet.
    """

    items: tuple[Item, ...]
    totals: Totals
    free_bytes: int | None
    seconds: float | None

    @property
    def lacks_room(self) -> bool:
        """Whether the disk is too small for all of it, as far as the system tells."""
        return self.free_bytes is not None and self.totals.disk_bytes > self.free_bytes


def plan_of(items: Iterable[Item], options: BatchOptions) -> Plan:
    """What planned pictures come to on this machine and its disk as they are now."""
    items = tuple(items)
    found = totals(items, options)
    rate = known_mpx_per_s(options.settings.model)
    seconds = None if rate is None else found.output_px / 1e6 / rate
    return Plan(items, found, free_bytes(options.output), seconds)


def known_mpx_per_s(model: str) -> float | None:
    """Millions of output pixels a second, as `core.backend_choice` once measured; None where it did not yet.

    The measurement is of one tile, so whole pictures are a little faster. Graphics cards are not measured.

    Args:
        model: as in `UpscaleSettings`; those that "auto" chooses from have one shape.
    """
    try:
        depth, width = read_shape(find_model(DEFAULT_MODEL if model == AUTO_MODEL else model).path)
    except WeightsError:
        return None
    return measurements.last_mpx_per_s(depth, width)
