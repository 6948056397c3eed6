"""Numbers with their noun, for the terminal and for what is written in English: lists, logs and model cards."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 picture", "1,281 pictures".

    Args:
        number: how many.
        one: the noun for one.
        many: the noun for any other number; `one` with an s unless given.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
