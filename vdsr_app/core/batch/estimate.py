"""How fast this machine is, as far as it is known before a batch begins; no torch."""

from __future__ import annotations

from vdsr_app.core import measurements
from vdsr_app.core.models import AUTO_MODEL, DEFAULT_MODEL, find_model
from vdsr_app.core.weight_header import read_shape
from vdsr_app.errors import WeightsError


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
