"""One-line texts, and numbers with their noun, for the terminal, lists, logs and model cards, which are English."""

from __future__ import annotations


def one_line(text: str) -> str:
    """`text` on one line, without unprintable characters, for text from files of any origin."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 picture", "1,281 pictures".

    Args:
        number: how many.
        one: the noun for one.
        many: the noun for any other number; by default `one` with an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
