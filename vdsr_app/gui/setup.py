"""What the person chose to see and to make, and what a half of the view shows of it."""

from __future__ import annotations

from dataclasses import dataclass

from vdsr_app.core.job import Target
from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.workers.messages import LayerKind, LayerSpec


@dataclass(frozen=True, slots=True)
class Half:
    """What one half of the view shows now."""

    label: str
    pyramid: MipPyramid


@dataclass(frozen=True, slots=True)
class Setup:
    """What the person chose.

    Attributes:
        target: wished size.
        model: name of the model that makes the result.
        left: layer of the left half.
        right: layer of the right half.
        device: where the network runs.
        precision: in which numbers it computes.
    """

    target: Target
    model: str
    left: LayerSpec
    right: LayerSpec
    device: str = "auto"
    precision: str = "auto"


def layer_spec(kind: LayerKind, model: str) -> LayerSpec:
    """Layer of a kind; `model` matters only where the kind is MODEL."""
    return LayerSpec(kind, model=model if kind is LayerKind.MODEL else "")
