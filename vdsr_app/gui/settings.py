"""What the window remembers between starts: a frozen value, and the only place that touches QSettings."""

from __future__ import annotations

import base64
import json
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QSettings, Signal

from vdsr_app.core.formats import DEEP
from vdsr_app.core.job import MAX_SCALE, MIN_SCALE, PRECISIONS, FileFormat, Metadata, SaveOptions, Target, TargetKind
from vdsr_app.core.models import AUTO_MODEL
from vdsr_app.core.naming import DEFAULT_TEMPLATE, NameTemplate
from vdsr_app.errors import UsageError
from vdsr_app.paths import user_data_dir
from vdsr_app.workers.messages import LayerKind

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
MAX_RECENT = 10
_VERSION_KEY = "version"
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_MODES = ("wipe", "side", "single")
_TRAINING_ENDS = ("ask", "go on", "save")
_CROP_LEFTS = ("bicubic", "original")
_EXISTING = ("skip", "overwrite", "rename")


class Theme(StrEnum):
    """Colours of the window."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class CanvasColor(StrEnum):
    """Colour around the picture."""

    THEME = "theme"
    BLACK = "black"
    GRAY = "gray"
    WHITE = "white"


@dataclass(frozen=True, slots=True)
class AppSettings:
    """Everything the window remembers.

    Attributes:
        theme: colours of the window.
        canvas: colour around the picture.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision: one of `PRECISIONS`.
        model: name of the model that makes the result, or "auto": the one that suits each picture.
        self_ensemble: whether the network runs on all eight flips and rotations of a picture.
        target_kind: measure that determines the size of the result.
        target_value: factor, pixels or megapixels.
        size_measure: measure of the size shown beside a factor.
        left: what the left half shows.
        right: what the right half shows.
        mode: "wipe", "side" or "single".
        smooth: whether pixels above 100 % are blended instead of shown as squares.
        format: file format offered by "Save as".
        quality: 1-100.
        bits: 8 or 16 bits per sample if the format is one of `core.formats.DEEP`, 0 for the depth of the picture.
        metadata: what a saved file carries over.
        inspector_visible: whether the right pane is open.
        geometry: the window's size and position as encoded by Qt, empty at first.
        recent: recently opened files, newest first.
        save_folder: suggested folder for results that cannot go beside their source, as of a pasted picture.
        batch_folder: output folder of the last batch, which may be resumable.
        batch_template: how results of a batch are named.
        batch_existing: what a batch does if a result already exists: "skip", "overwrite" or "rename".
        batch_recursive: whether subfolders of a dropped folder belong to the batch.
        loss_log: whether the loss of a training run is shown on a logarithmic axis.
        gradient_log: the same for its gradient.
        crop_left: what the left half of its held-out crop shows: "bicubic" or "original".
        crop_side: whether the halves of that crop are shown side by side instead of under a wipe.
        runs_measure: what runs are compared by: a scale factor, or "" for the mean gain over bicubic.
        runs_by_time: whether runs are compared against time instead of steps.
        training_end: what happens to a training run when the window closes: "ask", "go on" or "save" (and stop).
    """

    theme: Theme = Theme.SYSTEM
    canvas: CanvasColor = CanvasColor.THEME
    device: str = "auto"
    precision: str = "auto"
    model: str = AUTO_MODEL
    self_ensemble: bool = False
    target_kind: TargetKind = TargetKind.SCALE
    target_value: float = 2.0
    size_measure: TargetKind = TargetKind.WIDTH
    left: LayerKind = LayerKind.BICUBIC
    right: LayerKind = LayerKind.MODEL
    mode: str = "wipe"
    smooth: bool = False
    format: FileFormat = FileFormat.PNG
    quality: int = 92
    bits: int = 0
    metadata: Metadata = Metadata.KEEP
    inspector_visible: bool = True
    geometry: bytes = b""
    recent: tuple[str, ...] = ()
    save_folder: str = ""
    batch_folder: str = ""
    batch_template: str = DEFAULT_TEMPLATE
    batch_existing: str = "skip"
    batch_recursive: bool = True
    loss_log: bool = True
    gradient_log: bool = True
    crop_left: str = "bicubic"
    crop_side: bool = False
    runs_measure: str = ""
    runs_by_time: bool = False
    training_end: str = "ask"

    def __post_init__(self) -> None:
        _check(_DEVICE.fullmatch(self.device) is not None, f"{self.device!r} is not a device.")
        _check(self.precision in PRECISIONS, f"{self.precision!r} is not a precision.")
        _check(self.model != "", "The model has no name.")
        _check(0 < self.target_value < 1e6, f"{self.target_value:g} is no size.")
        scale_kept = self.target_kind is not TargetKind.SCALE or MIN_SCALE <= self.target_value <= MAX_SCALE
        _check(scale_kept, f"{self.target_value:g} is no scale factor.")
        _check(self.size_measure is not TargetKind.SCALE, "A factor is no measure of a size.")
        _check(self.mode in _MODES, f"{self.mode!r} is no way to compare.")
        _check(self.crop_left in _CROP_LEFTS, f"{self.crop_left!r} is nothing beside a crop.")
        _check(self.training_end in _TRAINING_ENDS, f"{self.training_end!r} is no end of a training.")
        _check(self.batch_existing in _EXISTING, f"{self.batch_existing!r} is nothing to do with a result.")
        NameTemplate(self.batch_template)
        _check(1 <= self.quality <= 100, f"{self.quality} is no quality.")
        _check(self.bits in (0, 8, 16), f"{self.bits} is no depth.")
        _check(self.left is not LayerKind.REFERENCE, "A reference is not remembered.")
        _check(self.right is not LayerKind.REFERENCE, "A reference is not remembered.")

    @property
    def target(self) -> Target:
        """The remembered size."""
        return Target(self.target_kind, self.target_value)

    @property
    def chosen_options(self) -> SaveOptions:
        """The chosen save options, with a depth that may be waiting for a format that can hold it."""
        return SaveOptions(self.format, self.quality, self.bits or None, self.metadata)

    @property
    def save_options(self) -> SaveOptions:
        """How "Save as" and a batch write a file: a depth that the format cannot hold does not count."""
        chosen = self.chosen_options
        return chosen if self.format in DEEP else replace(chosen, bits=None)


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


def settings_path() -> Path:
    """The settings file."""
    return user_data_dir() / "settings.ini"


class SettingsStore(QObject):
    """Reads and writes `AppSettings`; an invalid stored value is logged and replaced by the default.

    Only changed keys are written, so that two open windows do not undo each other's changes.

    Attributes:
        problem: one sentence about a settings file that could not be used, or an empty string; to be shown once.

    Signals:
        changed: the new `AppSettings`.
    """

    changed = Signal(object)

    def __init__(self, path: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.problem = ""
        self._path = path
        self._backend = self._open_backend()
        self._current = self._load()

    @property
    def current(self) -> AppSettings:
        """The current settings."""
        return self._current

    def update(self, **changes: Any) -> None:
        """Change some fields and write them.

        Raises:
            UsageError: a value is not valid; nothing is changed.
        """
        updated = replace(self._current, **changes)
        names = [name for name in changes if getattr(updated, name) != getattr(self._current, name)]
        if not names:
            return
        self._backend.setValue(_VERSION_KEY, str(FORMAT_VERSION))
        for name in names:
            self._backend.setValue(name, _encode(getattr(updated, name)))
        self._current = updated
        self.changed.emit(updated)

    def add_recent(self, path: Path) -> None:
        """Put `path` first in the recent files, keeping those that another window has added meanwhile."""
        self._backend.sync()
        others = [p for p in self._stored("recent", ()) if p != str(path)]
        self.update(recent=(str(path), *others)[:MAX_RECENT])

    def reset(self) -> None:
        """Restore the defaults, except for what nobody sets: recent files, last folders, the window's geometry."""
        kept = ("recent", "geometry", "save_folder", "batch_folder")
        defaults = AppSettings()
        self.update(**{f.name: getattr(defaults, f.name) for f in fields(AppSettings) if f.name not in kept})

    def flush(self) -> None:
        """Write to disk now."""
        self._backend.sync()
        if self._backend.status() != QSettings.Status.NoError:
            logger.warning("The settings could not be written to %s: %s", self._path, self._backend.status())

    def _open_backend(self) -> QSettings:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            damaged = self._path.exists() and not _looks_like_ini(self._path)
        except OSError as error:
            logger.warning("The settings file %s cannot be used: %s", self._path, error)
            self.problem = self.tr("The settings cannot be read or saved: {path}").format(path=self._path)
            return QSettings(str(self._path), QSettings.Format.IniFormat)
        backend = None if damaged else QSettings(str(self._path), QSettings.Format.IniFormat)
        if backend is None or backend.status() == QSettings.Status.FormatError:
            del backend
            self._back_up(move=True)
            backend = QSettings(str(self._path), QSettings.Format.IniFormat)
        return backend

    def _back_up(self, *, move: bool) -> None:
        backup = self._path.with_name(self._path.name + ".bak")
        logger.warning("The settings file %s cannot be used as it is; it is kept as %s", self._path, backup)
        try:
            (shutil.move if move else shutil.copyfile)(self._path, backup)
        except OSError as error:
            logger.warning("The settings file could not be kept aside: %s", error)
        self.problem = self.tr(
            "The settings could not be read, so the defaults are used. The old file is {path}"
        ).format(path=backup)

    def _load(self) -> AppSettings:
        version = str(self._backend.value(_VERSION_KEY, str(FORMAT_VERSION)))
        # Python refuses to parse numbers of thousands of digits.
        if version.isdecimal() and (len(version) > 9 or int(version) > FORMAT_VERSION):
            self._back_up(move=False)
        values = AppSettings()
        for field in fields(AppSettings):
            stored = self._stored(field.name, getattr(values, field.name))
            try:
                values = replace(values, **{field.name: stored})
            except UsageError as error:
                logger.warning("Stored setting %s is ignored: %s", field.name, error.what)
        return values

    def _stored(self, name: str, default: Any) -> Any:
        raw = self._backend.value(name)
        if raw is None:
            return default
        try:
            return _decoder(default)(str(raw))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            logger.warning("Stored setting %s is ignored: %s", name, error)
            return default


def _looks_like_ini(path: Path) -> bool:
    """Whether all lines are sections, keys with values, comments or empty; Qt accepts anything as settings."""
    try:
        lines = [line.strip() for line in path.read_bytes().decode("utf-8").splitlines()]
    except UnicodeDecodeError:
        return False
    return all(not line or line[0] in "[;#" or "=" in line for line in lines)


def _encode(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case tuple():
            return json.dumps(value)
        case str() if not value.isprintable() or value.startswith('"'):
            return json.dumps(value)  # QSettings drops text that is not valid Unicode, which a folder's name may be
        case _:
            return str(value)


def _decoder(default: Any) -> Callable[[str], Any]:
    match default:
        case bool():
            return {"true": True, "false": False}.__getitem__
        case bytes():
            return lambda text: base64.b64decode(text, validate=True)
        case tuple():
            return _decode_strings
        case str() if type(default) is str:
            return _decode_string
        case _:
            return type(default)


def _decode_string(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') else text


def _decode_strings(text: str) -> tuple[str, ...]:
    values = json.loads(text)
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{text!r} is no list of texts")
    return tuple(values[:MAX_RECENT])
