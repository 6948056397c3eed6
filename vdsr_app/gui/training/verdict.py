"""One sentence on whether a run is better than what existed before."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from PySide6.QtCore import QCoreApplication

from vdsr_app.gui.texts import number, printable
from vdsr_trainer.events import Compared

translate = QCoreApplication.translate

Row = dict[str, list[float]]

BICUBIC = "bicubic"
THIS_RUN = "this run"
EQUAL_DB = 0.05
"""Smaller differences are invisible and within chance."""


class Verdict(Enum):
    """How a result compares."""

    BETTER = auto()
    MIXED = auto()
    WORSE = auto()
    UNKNOWN = auto()


def judge(compared: Compared | None, title_of: Callable[[str], str]) -> tuple[Verdict, str]:
    """Compare this run with the first model in its table, or with bicubic if there is none.

    Args:
        compared: the table; None if nothing was measured.
        title_of: gives the displayed title of a row by its name.
    """
    own = {} if compared is None else compared.rows.get(THIS_RUN, {})
    if compared is None or not own:
        return Verdict.UNKNOWN, translate(
            "Verdict", "Nothing was measured: the run ended before it could be judged by the held-out pictures."
        )
    gains = _differences(own, compared.rows.get(BICUBIC, {}))
    if gains and max(gains) < EQUAL_DB:
        return Verdict.WORSE, translate(
            "Verdict", "On your held-out pictures it is no better than plain bicubic yet: train longer."
        )
    others = [name for name in compared.rows if name not in (THIS_RUN, BICUBIC)]
    rival = next(iter(others), BICUBIC)
    differences = _differences(own, compared.rows.get(rival, {}))
    if not differences:
        return Verdict.UNKNOWN, translate("Verdict", "There is nothing to compare it with.")
    return _against(printable(title_of(rival)), differences)


def _differences(own: Row, other: Row) -> list[float]:
    """Gain in dB at each scale factor at which both were measured."""
    return [own[key][0] - scores[0] for key, scores in other.items() if key in own]


def _against(rival: str, differences: list[float]) -> tuple[Verdict, str]:
    mean = sum(differences) / len(differences)
    amount = number(abs(mean), 2)
    if all(abs(difference) < EQUAL_DB for difference in differences):
        words = translate("Verdict", "On your held-out pictures it is as good as {rival}: the difference is too small.")
        return Verdict.MIXED, words.format(rival=rival)
    if min(differences) > -EQUAL_DB and mean > 0:
        words = translate("Verdict", "On your held-out pictures it beats {rival} by {amount} dB on average.")
        return Verdict.BETTER, words.format(rival=rival, amount=amount)
    if max(differences) < EQUAL_DB:
        more = translate("Verdict", "For these pictures, {rival} is the better choice, or train longer.")
        words = translate("Verdict", "On your held-out pictures it loses to {rival} by {amount} dB on average.")
        return Verdict.WORSE, f"{words} {more}".format(rival=rival, amount=amount)
    words = translate(
        "Verdict", "It beats {rival} at some scale factors and loses at others; on average by {amount} dB."
    )
    signed = f"{'+' if mean >= 0 else '−'}{amount}"  # noqa: RUF001
    return Verdict.MIXED, words.format(rival=rival, amount=signed)
