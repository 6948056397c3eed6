"""How fast this machine is, as far as it is known before a batch begins; no torch."""

from __future__ import annotations

import json

from vdsr_app import paths


def known_mpx_per_s() -> float | None:
    """Millions of output pixels a second, as `core.backend_choice` once measured; None where it did not yet.

    The measurement is of one tile, so whole pictures are a little faster. Graphics cards are not measured.
    """
    try:
        entries = json.loads(paths.measurements_file().read_text("utf-8")).values()
        rates = [float(entry["mpx_per_s"][entry["choice"]]) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    # The last one written is of the program as it is now.
    return rates[-1] if rates and rates[-1] > 0 else None
