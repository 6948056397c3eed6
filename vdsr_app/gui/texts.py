"""Numbers, sizes, file names and keys as text for the user."""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QLocale

from vdsr_app.core.job import Target, TargetKind, TargetSize
from vdsr_app.errors import VdsrError
from vdsr_app.workers.messages import ErrorReport, JobProgress

translate = QCoreApplication.translate

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")
_NOT_PRINTABLE = ("Cc", "Cs", "Zl", "Zp")
_LONG_WORD = re.compile(r"\S{24}(?=\S)")
"""More characters than fit on a line of a narrow pane."""
_KEY = re.compile(r"Ctrl\+Shift\+|(?:Ctrl|Shift)\+|\b(?:Ctrl|Del|F11)\b")
_MACOS_KEYS = {"Ctrl+Shift+": "⇧⌘", "Ctrl+": "⌘", "Shift+": "⇧", "Ctrl": "⌘", "Del": "⌫", "F11": "⌃⌘F"}
"""Keys that Qt uses on macOS in place of Ctrl, in Apple's order, and keys that the window replaces there."""
_MINUTE_S = 60
_HOUR_S = 3600


def printable(text: str) -> str:
    """Return `text` on one line, with a replacement character for control characters and undecodable bytes."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _NOT_PRINTABLE else c for c in text)


def file_name(path: Path | str) -> str:
    """Last part of `path`, for display."""
    return printable(Path(path).name or str(path))


def breakable(text: str) -> str:
    """Return `text` with breaks allowed in long words, which would otherwise widen a label that wraps."""
    return _LONG_WORD.sub("\\g<0>\N{ZERO WIDTH SPACE}", text)


def menu_text(text: str) -> str:
    """Return `text` for a menu, where a single `&` would mark a shortcut."""
    return printable(text).replace("&", "&&")


def name_keys(text: str) -> str:
    """Replace the Windows and Linux key names in `text` with those of this system."""
    return _KEY.sub(lambda key: _MACOS_KEYS[key[0]], text) if sys.platform == "darwin" else text


def bytes_text(count: int) -> str:
    """A number of bytes with a decimal unit: "12.4 MB"."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_BYTE_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{number(value, 0 if unit == 0 or value >= 99.95 else 1)} {_BYTE_UNITS[unit]}"


def number(value: float, decimals: int = 0) -> str:
    """`value` with the decimal separator of the user's locale, without grouping."""
    locale = QLocale()
    locale.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)
    return locale.toString(float(value), "f", decimals)


def pictures_text(count: int) -> str:
    """A number of pictures: "1 picture", "1,281 pictures"."""
    if count == 1:
        return translate("Texts", "1 picture")
    return translate("Texts", "{count} pictures").format(count=QLocale().toString(int(count)))


def steps_text(count: int) -> str:
    """A number of steps of a training run: "1 step", "12,000 steps"."""
    if count == 1:
        return translate("Texts", "1 step")
    return translate("Texts", "{count} steps").format(count=QLocale().toString(int(count)))


def duration_text(seconds: float) -> str:
    """A duration in at most two units: "6 s", "2 min 5 s", "1 h 3 min"."""
    whole = max(0, round(seconds))
    if whole < _MINUTE_S:
        return translate("Texts", "{seconds} s").format(seconds=whole)
    if whole < _HOUR_S:
        return translate("Texts", "{minutes} min {seconds} s").format(
            minutes=whole // _MINUTE_S, seconds=whole % _MINUTE_S
        )
    return translate("Texts", "{hours} h {minutes} min").format(
        hours=whole // _HOUR_S, minutes=whole % _HOUR_S // _MINUTE_S
    )


def size_text(width: int, height: int) -> str:
    """A picture's size: "1840 × 1220 px"."""  # noqa: RUF002
    return f"{width} × {height} px"  # noqa: RUF001


def megapixels_text(pixels: int) -> str:
    """A number of pixels in millions: "12.4 Mpx"; small ones with two decimals."""
    millions = pixels / 1e6
    return f"{number(millions, 1 if millions >= 9.95 else 2)} Mpx"


def scale_text(scale: float) -> str:
    """A scale factor with one decimal, or two if one would round it: "2.0×"."""  # noqa: RUF002
    decimals = 1 if abs(scale * 10 - round(scale * 10)) < 1e-6 else 2
    return f"{number(scale, decimals)}×"  # noqa: RUF001


def result_size_text(size: TargetSize) -> str:
    """Size of a result with its number of pixels."""
    return f"{size_text(size.width, size.height)} · {megapixels_text(size.width * size.height)}"


def target_words(target: Target) -> str:
    """A requested size: "2.0×", "6000 px wide", "24 Mpx"."""  # noqa: RUF002
    value = number(target.value, 0 if target.value == int(target.value) else 1)
    match target.kind:
        case TargetKind.SCALE:
            return scale_text(target.value)
        case TargetKind.WIDTH:
            return translate("Texts", "{value} px wide").format(value=value)
        case TargetKind.HEIGHT:
            return translate("Texts", "{value} px high").format(value=value)
        case TargetKind.LONG_SIDE:
            return translate("Texts", "long side {value} px").format(value=value)
        case TargetKind.SHORT_SIDE:
            return translate("Texts", "short side {value} px").format(value=value)
        case TargetKind.MEGAPIXELS:
            return translate("Texts", "{value} Mpx").format(value=value)


def progress_text(progress: JobProgress) -> str:
    """Share done, and the time left once it is known: "43 % · 6 s left"."""
    percent = 100 * progress.done // progress.total if progress.total else 0
    text = f"{percent} %"
    if progress.seconds_left is not None:
        text += " · " + translate("Texts", "{time} left").format(time=duration_text(progress.seconds_left))
    return text


def hex_color(rgba: tuple[int, int, int, int]) -> str:
    """A colour as "#rrggbb", with its opacity if it is not opaque: "#rrggbb 50 %"."""
    red, green, blue, alpha = rgba
    opacity = "" if alpha == 255 else f" {round(alpha / 2.55)} %"
    return f"#{red:02x}{green:02x}{blue:02x}{opacity}"


def score_text(psnr_db: float, ssim: float) -> str:
    """PSNR and SSIM side by side: "33.66 dB 0.9300"."""
    psnr = "∞" if psnr_db == float("inf") else number(psnr_db, 2)
    return f"{psnr} dB {number(ssim, 4)}"


def report_of(error: VdsrError) -> ErrorReport:
    """Convert an error raised in the GUI thread to a report."""
    return ErrorReport.of(error, str(error))


def report_text(report: ErrorReport) -> str:
    """An error on one line: file, cause, next step."""
    place = f"{file_name(report.path)}: " if report.path else ""
    return " ".join(filter(None, (place + printable(report.what), printable(report.hint))))


def report_details(report: ErrorReport) -> str:
    """An error in full, for the clipboard: cause, full path, next step and traceback."""
    path = printable(report.path)
    return "\n".join(filter(None, (report.what, path, report.hint, report.details)))
