"""What a half of the view shows of its layer so far."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QCoreApplication

from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.gui.comparison import Comparison, LayerState
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.setup import Half
from vdsr_app.workers.messages import LayerKind, LayerSpec

translate = QCoreApplication.translate


def half_of(
    spec: LayerSpec, comparison: Comparison, models: ModelList, before: Half | None, first_view: MipPyramid | None
) -> Half | None:
    """Return what to show of a layer, or None if there is nothing yet.

    Args:
        spec: the layer.
        comparison: makes it.
        models: provides its name.
        before: what that half shows now; None for a new picture.
        first_view: the picture itself, shown while there is nothing else.
    """
    pyramid, under, label = comparison.pyramid(spec), None, models.label(spec)
    early, state = comparison.early_tiles(spec), comparison.state(spec)
    if pyramid is None or early is not None:
        # Until bicubic is ready: what was shown before, or for a new picture the picture itself.
        original = models.label(LayerSpec(LayerKind.ORIGINAL))
        meanwhile = before or (None if first_view is None else Half(original, original, first_view))
        if meanwhile is None:
            return None
        if early is None:
            return meanwhile if meanwhile.pyramid is first_view else _keep_previous(meanwhile, label, state)
        pyramid, under = early, pyramid or meanwhile.under or meanwhile.pyramid
    match state:
        case LayerState.DONE:
            return Half(label, label, pyramid)
        case LayerState.STOPPED:
            return Half(label, translate("Halves", "{layer} (stopped)").format(layer=label), pyramid, under)
        case _:
            return Half(label, _working(label), pyramid, under)


def _keep_previous(half: Half, label: str, state: LayerState) -> Half:
    """Keep showing a former size or device, labelled as previous if nothing will replace it, else as in the making.

    The latter label is also used once bicubic is shown instead, so that it stays the same until the layer is finished.
    """
    if state is LayerState.STOPPED:
        return replace(half, label=translate("Halves", "{layer} (previous)").format(layer=half.name))
    return replace(half, label=_working(label))


def _working(label: str) -> str:
    return translate("Halves", "{layer} (working)").format(layer=label)
