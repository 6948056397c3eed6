"""States, times and gains of training as text for the user."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from PySide6.QtCore import QCoreApplication, QDateTime, QLocale

from vdsr_app.gui.texts import bytes_text, number, scale_text
from vdsr_app.gui.training.plot_ticks import count_text, short_text
from vdsr_trainer.data.report import IssueKind
from vdsr_trainer.events import Preparing
from vdsr_trainer.runs import RunInfo, RunState

translate = QCoreApplication.translate

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86_400
_SHORT = QLocale.FormatType.ShortFormat


def about(seconds: float) -> str:
    """A duration, rounded as an estimate: "about 3 h"."""
    if seconds < _MINUTE_S:
        return translate("TrainingWords", "less than a minute")
    minutes = seconds / _MINUTE_S
    if minutes < 90:
        rounded = round(minutes) if minutes < 10 else 5 * round(minutes / 5)
        return translate("TrainingWords", "about {minutes} min").format(minutes=max(1, rounded))
    hours = seconds / _HOUR_S
    if hours < 48:
        shown = number(round(hours * 2) / 2, 0 if hours >= 9.75 or round(hours * 2) % 2 == 0 else 1)
        return translate("TrainingWords", "about {hours} h").format(hours=shown)
    return translate("TrainingWords", "about {days} days").format(days=round(seconds / _DAY_S))


def time_left(seconds: float) -> str:
    """Remaining time of a run, coarse enough not to fluctuate: "about 3 h left"."""
    return translate("TrainingWords", "{time} left").format(time=about(seconds))


def speed(samples_per_second: float) -> str:
    """Patches a second, with three significant digits if fewer than 100; a dash if unknown."""
    large = math.isfinite(samples_per_second) and samples_per_second >= 100
    text = count_text(samples_per_second) if large else short_text(samples_per_second)
    return translate("TrainingWords", "{speed} patches/s").format(speed=text)


def preparing(event: Preparing) -> str:
    """What a run does before its first step, with its progress: "Reading pictures: 120 of 800"."""
    text = {
        "pictures": translate("TrainingWords", "Reading pictures: {done} of {total}"),
        "teacher": translate("TrainingWords", "The teacher learns: step {done} of {total}"),
        "answers": translate("TrainingWords", "The teacher looks at the pictures: {done} of {total}"),
    }[event.what]
    return text.format(done=count(event.done), total=count(event.total))


def preparing_short(event: Preparing) -> str:
    """The same in a few words."""
    return {
        "pictures": translate("TrainingWords", "reading pictures"),
        "teacher": translate("TrainingWords", "teacher learns"),
        "answers": translate("TrainingWords", "teacher looks at the pictures"),
    }[event.what]


def cost(seconds: float, memory_bytes: int) -> str:
    """Cost of a run on this machine: "about 3 h · 1.2 GB"."""
    return f"{about(seconds)} · {bytes_text(memory_bytes)}"


def count(value: int) -> str:
    """A whole number with localised digit grouping."""
    return QLocale().toString(int(value))


def state_look(state: RunState) -> tuple[str, str, str]:
    """Text, icon and colour of a state."""
    look = {
        RunState.RUNNING: (translate("TrainingWords", "Training"), "play-circle-outline", "accent"),
        RunState.PAUSED: (translate("TrainingWords", "Paused"), "pause-circle-outline", "caution"),
        RunState.STOPPED: (translate("TrainingWords", "Stopped"), "stop-circle-outline", "quiet"),
        RunState.FINISHED: (translate("TrainingWords", "Finished"), "check-circle-outline", "good"),
        RunState.FAILED: (translate("TrainingWords", "Failed"), "alert-circle-outline", "bad"),
        RunState.DAMAGED: (translate("TrainingWords", "Damaged"), "file-alert-outline", "bad"),
    }
    return look[state]


def best_gain(psnr_db: Mapping[str, float], bicubic_psnr_db: Mapping[str, float]) -> tuple[float, str] | None:
    """Largest gain over bicubic in dB and its scale factor; None if nothing was measured."""
    gains = [(psnr_db[scale] - bicubic_psnr_db[scale], scale) for scale in psnr_db if scale in bicubic_psnr_db]
    return max(gains) if gains else None


def gain_text(run: RunInfo) -> str:
    """Best gain of a run over bicubic: "+1.24 dB at 2×", or a dash."""  # noqa: RUF002
    gain = best_gain(run.psnr_db, run.bicubic_psnr_db)
    return "–" if gain is None else gain_words(*gain)  # noqa: RUF001


def gain_words(gain_db: float, scale: str) -> str:
    """A gain at a scale factor: "+1.24 dB at 2×"."""  # noqa: RUF002
    sign = "+" if gain_db >= 0 else "−"  # noqa: RUF001
    return translate("TrainingWords", "{gain} dB at {scale}").format(
        gain=f"{sign}{number(abs(gain_db), 2)}", scale=scale_key_text(scale)
    )


def scale_key_text(key: str) -> str:
    """Text for a column key of a result: "2" gives "2×", "2 jpeg 40" gives "2×, from JPEG"."""  # noqa: RUF002
    scale, _, rest = key.partition(" ")
    try:
        words = scale_text(float(scale)).replace(f"{number(0.0, 1)[1:]}×", "×")  # noqa: RUF001
    except ValueError:
        return key
    return translate("TrainingWords", "{scale}, from JPEG").format(scale=words) if rest else words


def percent(step: int, steps: int) -> int:
    """Share done in whole percent, never 100 before the end."""
    return min(100, 100 * step // steps) if steps else 0


def date_text(moment: datetime) -> str:
    """A moment as localised date and time in the local time zone."""
    if moment.astimezone().date() == datetime.now().astimezone().date():
        clock = QLocale().toString(QDateTime.fromSecsSinceEpoch(round(moment.timestamp())).time(), _SHORT)
        return translate("TrainingWords", "today, {time}").format(time=clock)
    local = QDateTime.fromSecsSinceEpoch(round(moment.timestamp()))
    return QLocale().toString(local, _SHORT)


def issue_head(kind: IssueKind, how_many: int) -> str:
    """Headline for all pictures with one kind of problem."""
    words = {
        IssueKind.UNREADABLE: translate("TrainingWords", "Cannot be read"),
        IssueKind.TOO_SMALL: translate("TrainingWords", "Too small to learn from"),
        IssueKind.DUPLICATE: translate("TrainingWords", "The same picture twice"),
        IssueKind.NEAR_DUPLICATE: translate("TrainingWords", "Looks like a picture that is held out"),
    }
    return f"{words[kind]}: {count(how_many)}"


def issue_why(kind: IssueKind) -> str:
    """Why the problem matters, in one sentence."""
    words = {
        IssueKind.UNREADABLE: translate("TrainingWords", "Damaged, or no picture at all. Always left out."),
        IssueKind.TOO_SMALL: translate("TrainingWords", "Nothing can be cut out of them. Always left out."),
        IssueKind.DUPLICATE: translate("TrainingWords", "Seeing it twice teaches nothing new."),
        IssueKind.NEAR_DUPLICATE: translate(
            "TrainingWords", "Judged by what it has learned by heart, the network would look better than it is."
        ),
    }
    return words[kind]
