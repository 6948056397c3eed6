"""What the person chose to see and to make, and what a half of the view shows of it."""

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
        name: the layer, for people.
        label: the same, and how far it is.
        pyramid: its pixels.
        under: what shows where `pyramid` has nothing yet; of the same picture, at any size.
    """

    name: str
    label: str
    pyramid: MipPyramid
    under: MipPyramid | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What the person chose.

    Attributes:
        target: wished size, whether or not the open picture can reach it.
        wished_model: what the person chose: "auto", or the name of a model.
        model: name of the model that makes the result; never "auto".
        left: layer of the left half.
        right: layer of the right half.
        device: where the network runs.
        precision: in which numbers it computes.
        self_ensemble: whether it runs on all eight flips and rotations of the picture.
    """

    target: Target
    wished_model: str
    model: str
    left: LayerSpec
    right: LayerSpec
    device: str = "auto"
    precision: str = "auto"
    self_ensemble: bool = False

    def with_model(self, model: str) -> Setup:
        """The same with another model; halves that show the model in use go over to it, and never show it twice."""
        before, after = layer_spec(LayerKind.MODEL, self.model), layer_spec(LayerKind.MODEL, model)
        left = after if self.left == before else self.left
        right = after if self.right == before else self.right
        if left == right and self.left != self.right:
            left, right = (before, right) if self.left == after else (left, before)
        return replace(self, model=model, left=left, right=right)

    def with_reference(self, path: Path | None) -> Setup:
        """The same with another reference; halves that show the one before go over to it, or show a layer again."""
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
    """What the halves show at a start; of two models only the kind is remembered, so bicubic replaces the left one."""
    both = left is right is LayerKind.MODEL
    return layer_spec(LayerKind.BICUBIC if both else left, model), layer_spec(right, model)


def _is_reference(layer: LayerSpec) -> bool:
    return layer.kind is LayerKind.REFERENCE


def layer_spec(kind: LayerKind, model: str) -> LayerSpec:
    """Layer of a kind; `model` matters only where the kind is MODEL."""
    return LayerSpec(kind, model=model if kind is LayerKind.MODEL else "")
