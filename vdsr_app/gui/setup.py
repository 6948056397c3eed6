"""What the user chose to see and to make, and what a half of the view shows of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vdsr_app.core.job import Target
from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.workers.messages import LayerKind, LayerSpec


@dataclass(frozen=True, slots=True)
class Half:
    """What one half of the view shows now.

    Attributes:
        name: display name of the layer.
        label: the same, with its progress.
        pyramid: its pixels.
        under: shown where `pyramid` has nothing yet; of the same picture, at any size.
    """

    name: str
    label: str
    pyramid: MipPyramid
    under: MipPyramid | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """The user's choices.

    Attributes:
        target: requested size, whether or not the open picture can reach it.
        requested_model: requested model: "auto", or the name of a model.
        model: name of the model that makes the result; never "auto".
        left: layer of the left half.
        right: layer of the right half.
        device: where the network runs.
        precision: the precision in which it runs.
        self_ensemble: whether it runs on all eight flips and rotations of the picture.
    """

    target: Target
    requested_model: str
    model: str
    left: LayerSpec
    right: LayerSpec
    device: str = "auto"
    precision: str = "auto"
    self_ensemble: bool = False

    def with_model(self, model: str) -> Setup:
        """Return a copy with another model; halves that show the model in use switch to it, without becoming equal."""
        before, after = layer_spec(LayerKind.MODEL, self.model), layer_spec(LayerKind.MODEL, model)
        left = after if self.left == before else self.left
        right = after if self.right == before else self.right
        if left == right and self.left != self.right:
            left, right = (before, right) if self.left == after else (left, before)
        return replace(self, model=model, left=left, right=right)

    def with_reference(self, path: Path | None) -> Setup:
        """Return a copy with another reference; halves that show the previous one switch to it, or to a made layer."""
        if path is not None:
            shown = LayerSpec(LayerKind.REFERENCE, reference=path)
            left, right = ((shown if _is_reference(half) else half) for half in (self.left, self.right))
            return replace(self, left=left, right=right)
        bicubic, made = LayerSpec(LayerKind.BICUBIC), layer_spec(LayerKind.MODEL, self.model)
        left, right = self.left, self.right
        if _is_reference(left):
            left = made if right == bicubic else bicubic
        if _is_reference(right):
            right = bicubic if left == made else made
        return replace(self, left=left, right=right)


def remembered_halves(left: LayerKind, right: LayerKind, model: str) -> tuple[LayerSpec, LayerSpec]:
    """Return what the halves show at start-up; only a model's kind is remembered, so of two the left is bicubic."""
    both = left is right is LayerKind.MODEL
    return layer_spec(LayerKind.BICUBIC if both else left, model), layer_spec(right, model)


def _is_reference(layer: LayerSpec) -> bool:
    return layer.kind is LayerKind.REFERENCE


def layer_spec(kind: LayerKind, model: str) -> LayerSpec:
    """Return the layer of a kind; `model` matters only if the kind is MODEL."""
    return LayerSpec(kind, model=model if kind is LayerKind.MODEL else "")
