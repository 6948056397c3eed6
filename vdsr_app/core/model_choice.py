"""Which model suits a picture: the clean one, or the one that was trained on compressed pictures. No torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from vdsr_app.core.models import AUTO_MODEL, DEFAULT_MODEL, PHOTO_MODEL, ModelInfo, installed_models

__all__ = [
    "AUTO_MODEL",
    "CLEAN_MODEL",
    "PHOTO_MAX_JPEG_QUALITY",
    "PHOTO_MODEL",
    "ChoiceReason",
    "ModelChoice",
    "choose_model",
    "photo_installed",
]

CLEAN_MODEL = DEFAULT_MODEL

PHOTO_MAX_JPEG_QUALITY = 94
"""Highest quality of a JPEG, on the scale of the Independent JPEG Group, that is given to the photo model."""


class ChoiceReason(StrEnum):
    """Why a model was taken. The window and the commands have the words for it."""

    WISH = "wish"
    """The person named it."""
    JPEG = "jpeg"
    """The picture is a JPEG whose compression shows."""
    FINE_JPEG = "fine jpeg"
    """The picture is a JPEG of so high a quality that the clean model does better."""
    NO_JPEG = "no jpeg"
    """The picture is no JPEG."""
    NO_PHOTO_MODEL = "no photo model"
    """The photo model would have suited, and is not installed."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model for one picture.

    Attributes:
        name: name of an installed model or path of a weight file; never "auto".
        reason: why it was taken.
        jpeg_quality: 1-100 as estimated from the picture's file, None where it is no JPEG.
    """

    name: str
    reason: ChoiceReason
    jpeg_quality: int | None = None


def choose_model(wish: str, jpeg_quality: int | None, *, has_photo: bool | None = None) -> ModelChoice:
    """The model that a picture is enlarged with.

    Args:
        wish: "auto", or the name or path of the model that the person wants.
        jpeg_quality: `SourceInfo.jpeg_quality` of the picture: 1-100, None where the file is no JPEG.
        has_photo: whether the photo model is installed; None looks it up.
    """
    if wish != AUTO_MODEL:
        return ModelChoice(wish, ChoiceReason.WISH, jpeg_quality)
    if jpeg_quality is None:
        return ModelChoice(CLEAN_MODEL, ChoiceReason.NO_JPEG)
    if jpeg_quality > PHOTO_MAX_JPEG_QUALITY:
        return ModelChoice(CLEAN_MODEL, ChoiceReason.FINE_JPEG, jpeg_quality)
    if photo_installed() if has_photo is None else has_photo:
        return ModelChoice(PHOTO_MODEL, ChoiceReason.JPEG, jpeg_quality)
    return ModelChoice(CLEAN_MODEL, ChoiceReason.NO_PHOTO_MODEL, jpeg_quality)


def photo_installed(models: Collection[ModelInfo] | None = None) -> bool:
    """Whether the program's own photo model is there; a person's own file of that name may be any network.

    Args:
        models: the installed models; None looks them up.
    """
    found = installed_models() if models is None else models
    return any(model.name == PHOTO_MODEL and model.bundled for model in found)
