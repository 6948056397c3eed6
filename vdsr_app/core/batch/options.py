"""Options of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from vdsr_app.core.job import FileFormat, Metadata, SaveOptions, Target, TargetKind, UpscaleSettings
from vdsr_app.core.naming import DEFAULT_TEMPLATE


class Existing(StrEnum):
    """What to do if there already is a file of the result's name."""

    SKIP = "skip"
    """Leave it, unless this program made it from the same source in another state or with other settings."""
    OVERWRITE = "overwrite"
    """Replace it, whatever it is."""
    RENAME = "rename"
    """Keep it, and give the new result a number."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a batch is processed.

    Attributes:
        output: folder for the results; subfolders of the inputs are mirrored in it.
        settings: how each picture is enlarged and saved; see `SaveOptions.format_or_default`.
        recursive: whether folders below the given ones are included.
        template: for the names of results, without suffix; see `core.naming.NameTemplate`.
        existing: what to do if a result already exists.
    """

    output: Path
    settings: UpscaleSettings = field(default_factory=UpscaleSettings)
    recursive: bool = True
    template: str = DEFAULT_TEMPLATE
    existing: Existing = Existing.SKIP

    @property
    def file_format(self) -> FileFormat:
        """Format of the results."""
        return self.settings.save.format_or_default


def settings_to_json(settings: UpscaleSettings) -> dict[str, Any]:
    """Settings as plain values for `settings_from_json`."""
    return asdict(settings)


def settings_from_json(content: Mapping[str, Any]) -> UpscaleSettings:
    """Inverse of `settings_to_json`.

    Raises:
        KeyError, ValueError, TypeError: `content` is not of that form.
    """
    target, save = content["target"], content["save"]
    options = SaveOptions(
        None if save["format"] is None else FileFormat(save["format"]),
        save["quality"],
        save["bits"],
        Metadata(save["metadata"]),
    )
    rest = {name: value for name, value in content.items() if name not in ("target", "save")}
    return UpscaleSettings(Target(TargetKind(target["kind"]), target["value"]), save=options, **rest)
