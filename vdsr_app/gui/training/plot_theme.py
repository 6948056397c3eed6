"""Colours and fonts of the plots; a series has the same colour everywhere.

The hues are those of Okabe and Ito ("Color Universal Design", 2008), which can be told apart with any kind of colour
vision, darkened or lightened to a contrast of at least 3:1 against the pane of each theme. Colour is never the only
cue: lines are named at their ends and in the legend.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPen

from vdsr_app.gui.theme import LIGHT, Tokens
from vdsr_app.gui.training.plot_model import LineStyle

TICK_PX = 11

BLUE, ORANGE, GREEN = ("#0072b2", "#5bb4ee"), ("#c8560a", "#f5924e"), ("#00805c", "#3cc79a")
PURPLE, OLIVE, CYAN = ("#a2478f", "#e091cd"), ("#7d6b00", "#d3c04a"), ("#0a7f92", "#5fd0dd")
BROWN, RED = ("#7a4b2a", "#c99b76"), ("#b8261f", "#ff8f85")

_SCALE_INKS = {"2": BLUE, "3": ORANGE, "4": GREEN}
_OTHER_SCALE_INKS = (OLIVE, CYAN, BROWN, RED)
_RUN_INKS = (BLUE, ORANGE, GREEN, PURPLE, OLIVE, CYAN, BROWN, RED)

_DASHES = {
    LineStyle.SOLID: Qt.PenStyle.SolidLine,
    LineStyle.THIN: Qt.PenStyle.SolidLine,
    LineStyle.FAINT: Qt.PenStyle.SolidLine,
    LineStyle.DASHED: Qt.PenStyle.DashLine,
    LineStyle.DOTTED: Qt.PenStyle.DotLine,
}


def scale_ink(scale: str, others: tuple[str, ...] = ()) -> str:
    """Name of the ink of a scale factor.

    Args:
        scale: scale factor as the trainer writes it: "2", "3", "1.5".
        others: all other scale factors shown besides 2, 3 and 4, in a fixed order; they take the next colours.
    """
    if scale in _SCALE_INKS:
        return f"scale {scale}"
    return f"other {others.index(scale) if scale in others else 0}"


def is_fixed(scale: str) -> bool:
    """Whether a scale factor has a colour of its own."""
    return scale in _SCALE_INKS


def ink_color(ink: str, tokens: Tokens) -> QColor:
    """The colour of an ink in a theme.

    Args:
        ink: from `scale_ink`; "run 0", "run 1" and so on; "clipped"; or a token of the theme, such as "text".
        tokens: the theme.
    """
    kind, _, number = ink.partition(" ")
    match kind:
        case "scale":
            pair = _SCALE_INKS[number]
        case "other":
            pair = _OTHER_SCALE_INKS[int(number) % len(_OTHER_SCALE_INKS)]
        case "run":
            pair = _RUN_INKS[int(number) % len(_RUN_INKS)]
        case "clipped":
            pair = PURPLE
        case _:
            return QColor(getattr(tokens, kind))
    return QColor(pair[0] if tokens is LIGHT else pair[1])


def run_style(index: int) -> LineStyle:
    """Style of the run at `index`: runs beyond the last colour reuse the colours with dashed lines."""
    return LineStyle.SOLID if index < len(_RUN_INKS) else LineStyle.DASHED


def line_pen(ink: str, style: LineStyle, tokens: Tokens, width: float) -> QPen:
    """A pen for a line, the same in the plot and in the legend.

    Args:
        ink: see `ink_color`.
        style: style of the line.
        tokens: the theme.
        width: in the painter's units.
    """
    color = ink_color(ink, tokens)
    pen = QPen(color, width, _DASHES[style], Qt.PenCapStyle.FlatCap, Qt.PenJoinStyle.RoundJoin)
    if style is LineStyle.DASHED:
        pen.setDashPattern([5, 3])
    elif style is LineStyle.DOTTED:
        pen.setDashPattern([1.5, 2])
    return pen


def tick_font() -> QFont:
    """The small font of a plot, with digits of equal width."""
    font = QFont(QGuiApplication.font())
    font.setPixelSize(TICK_PX)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font
