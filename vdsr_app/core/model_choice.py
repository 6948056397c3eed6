"""Which model suits a picture: the clean one, or the one trained on compressed pictures. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.models import AUTO_MODEL, DEFAULT_MODEL, PHOTO_MODEL, ModelInfo, installed_models

__all__ = [
    "AUTO_MODEL",
    "CLEAN_MODEL",
    "PHOTO_MAX_QUALITY",
    "PHOTO_MODEL",
    "ChoiceReason",
    "ModelChoice",
    "choose_model",
    "photo_installed",
]

CLEAN_MODEL = DEFAULT_MODEL

PHOTO_MAX_QUALITY: Mapping[SourceFormat, int] = MappingProxyType(
    {SourceFormat.JPEG: 94, SourceFormat.WEBP: 87, SourceFormat.AVIF: 77}
)
"""Highest quality, on the scale of `Compression`, at which the photo model does better; docs/training-trials.md."""


class ChoiceReason(StrEnum):
    """Why a model was chosen. The window and the commands supply the wording."""

    REQUESTED = "wish"
    """The user named it."""
    COMPRESSED = "compressed"
    """The picture is a JPEG, WebP or AVIF whose compression shows."""
    FINE = "finely compressed"
    """The picture is a JPEG, WebP or AVIF of such high quality that the clean model does better."""
    NO_SIGN = "no sign of compression"
    """The picture is of another format, or lossless."""
    NO_PHOTO_MODEL = "no photo model"
    """The photo model would have suited, but is not installed."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model for one picture.

    Attributes:
        name: name of an installed model or path of a weight file; never "auto".
        reason: why it was chosen.
        compression: as estimated from the picture's file; None if there is no sign of it.
    """

    name: str
    reason: ChoiceReason
    compression: Compression | None = None


def choose_model(requested: str, compression: Compression | None, *, has_photo: bool | None = None) -> ModelChoice:
    """Choose the model to enlarge a picture with.

    Args:
        requested: "auto", or the name or path of the model that the user wants.
        compression: `SourceInfo.compression` of the picture.
        has_photo: whether the photo model is installed; None looks it up.
    """
    if requested != AUTO_MODEL:
        return ModelChoice(requested, ChoiceReason.REQUESTED, compression)
    if compression is None:
        return ModelChoice(CLEAN_MODEL, ChoiceReason.NO_SIGN)
    if compression.quality > PHOTO_MAX_QUALITY[compression.format]:
        return ModelChoice(CLEAN_MODEL, ChoiceReason.FINE, compression)
    if photo_installed() if has_photo is None else has_photo:
        return ModelChoice(PHOTO_MODEL, ChoiceReason.COMPRESSED, compression)
    return ModelChoice(CLEAN_MODEL, ChoiceReason.NO_PHOTO_MODEL, compression)


def photo_installed(models: Collection[ModelInfo] | None = None) -> bool:
    """Whether the bundled photo model is installed; a user's own file of that name may be any network.

    Args:
        models: the installed models; None looks them up.
    """
    found = installed_models() if models is None else models
    return any(model.name == PHOTO_MODEL and model.bundled for model in found)
