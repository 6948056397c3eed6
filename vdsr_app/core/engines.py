"""Engines by model, kept between pictures, so that a mixed folder loads each model once. Imports torch on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vdsr_app.core.models import find_model

if TYPE_CHECKING:
    # For annotations only: planning and reading must not wait for torch.
    from vdsr_app.core.engine import Engine

MAX_KEPT = 2
"""The clean and the photo model; more would hold scarce memory of the graphics card."""


class Engines:
    """Creates an engine for each model on first request, all on one device. Used from one thread at a time."""

    def __init__(self, device: str = "auto", precision: str = "auto") -> None:
        """Store the settings; nothing is loaded yet.

        Args:
            device: "auto", "cpu", "cuda", "cuda:1", "mps".
            precision: "auto", "fp32", "bf16", "fp16".
        """
        self._device = device
        self._precision = precision
        self._kept: dict[str, Engine] = {}  # least recently used first

    def get(self, model: str) -> Engine:
        """Get the engine for a model; beyond `MAX_KEPT`, the least recently used one is dropped.

        Args:
            model: name of an installed model or path of a .safetensors file.

        Raises:
            WeightsError: the model is missing or damaged.
            UsageError: no such device or precision.
            DeviceError: the device is absent.
        """
        engine = self._kept.pop(model, None)
        if engine is None:
            info = find_model(model)
            from vdsr_app.core.engine import Engine
            from vdsr_app.core.weights import load_model

            weights = load_model(info)
            while len(self._kept) >= MAX_KEPT:  # before the new one takes its memory
                del self._kept[next(iter(self._kept))]
            engine = Engine.create(weights.model, device=self._device, precision=self._precision)
        self._kept[model] = engine
        return engine

    def close(self) -> None:
        """Drop all engines; the next `get` loads anew."""
        self._kept.clear()
