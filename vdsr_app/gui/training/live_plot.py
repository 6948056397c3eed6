"""One plot with its head: title, legend that reads values, logarithmic axis, way back from a zoom."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from vdsr_app.gui.icons import SMALL_PX, icon
from vdsr_app.gui.sections import plain_tooltip, text_label
from vdsr_app.gui.theme import Tokens, set_role, tokens_in_use
from vdsr_app.gui.training.legend_line import Entry, LegendLine
from vdsr_app.gui.training.plot_keys import PlotKeys
from vdsr_app.gui.training.plot_model import Content, Mark, Range, Series, fit_x, fit_y, nearest, value_at
from vdsr_app.gui.training.plot_ticks import share_text, short_text

if TYPE_CHECKING:
    from vdsr_app.gui.training.plot_canvas import PlotCanvas

_HEAD_PX = 22
_KEYBOARD_FOCUS = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)


@dataclass(frozen=True, slots=True)
class PlotSpec:
    """What one plot is.

    Attributes:
        title: of its head.
        x_title: of the lower axis, with its unit.
        y_title: of the left axis, with its unit.
        x_text: x in words, such as "Step 1,250".
        right_title: of an axis for shares; "" for none.
        y_text: a value in words, without its unit.
        log: whether the left axis can be logarithmic; it is at first.
        compact: whether the legend stands beside the title instead of below it, and leaves x to others.
    """

    title: str
    x_title: str
    y_title: str
    x_text: Callable[[float], str]
    right_title: str = ""
    y_text: Callable[[float], str] = field(default=short_text)
    log: bool = False
    compact: bool = False


class LivePlot(QFrame):
    """Shows a `Content`, and follows it as it grows until the person zooms or pans.

    The mouse reads values, the wheel zooms at the cursor (over an axis: along it), a drag pans, a double click goes
    back to everything. Keys: see `plot_keys`. pyqtgraph is imported with the first value.

    Args:
        spec: what it is.
        tokens: colours; None follows the theme.

    Signals:
        pointed: x of the entry that is looked at (float), or None: not any more.
        x_range_chosen: the person zoomed or panned; None is back to everything.
        log_changed: whether the left axis is logarithmic.
    """

    pointed = Signal(object)
    x_range_chosen = Signal(object)
    log_changed = Signal(bool)

    def __init__(self, spec: PlotSpec, tokens: Tokens | None = None) -> None:
        super().__init__()
        self._spec = spec
        self._fixed_tokens = tokens
        self._content = Content()
        self._canvas: PlotCanvas | None = None
        self._x_range: Range | None = None
        self._y_range: Range | None = None
        self._cursor: float | None = None
        self._right_width = 0.0
        self._title = text_label(spec.title, "plot-title")
        self._legend = LegendLine()
        self._empty = QLabel()
        self._stack = QStackedWidget()
        self._log = QToolButton()
        self._back = QToolButton()
        self._keys = PlotKeys(self)
        self._build()

    # What it shows.

    @property
    def spec(self) -> PlotSpec:
        """What it is."""
        return self._spec

    @property
    def content(self) -> Content:
        """What it shows."""
        return self._content

    @property
    def legend(self) -> tuple[Entry, ...]:
        """Names and values that are read in its head."""
        return self._legend.entries

    def set_empty_text(self, text: str) -> None:
        """What to say while there is no value."""
        if text != self._empty.text():
            self._empty.setText(text)
            self._describe()

    def show_content(self, content: Content) -> None:
        """Show other curves. What the person zoomed into stays in view."""
        self._content = content
        self._log.setVisible(self._spec.log and not content.is_empty)
        if content.is_empty:
            self._stack.setCurrentIndex(0)
            self.show_cursor(None)
            return
        canvas = self._ensured_canvas()
        canvas.show_content(content, self.is_log)
        self._fit()
        self._stack.setCurrentWidget(canvas)
        self.show_cursor(self._cursor)

    def set_spec(self, spec: PlotSpec) -> None:
        """Measure something else; zoom and cursor are given up."""
        self._spec = spec
        self._title.setText(spec.title)
        self.setAccessibleName(spec.title)
        self._cursor = self._x_range = self._y_range = None
        if self._canvas is not None:
            self._canvas.set_titles(spec.x_title, spec.y_title)
        self._show_back()

    def set_right_width(self, width: float) -> None:
        """Leave room for words at the ends of lines, so that plots below each other have the same edges."""
        self._right_width = width
        if self._canvas is not None:
            self._canvas.set_right_width(width)

    # What part of it.

    @property
    def is_log(self) -> bool:
        """Whether the left axis is logarithmic."""
        return self._spec.log and self._log.isChecked()

    def set_log(self, on: bool) -> None:
        """Choose a logarithmic or a linear axis, where there is a choice."""
        self._log.setChecked(on)

    @property
    def is_zoomed(self) -> bool:
        """Whether the person chose what to see; then it does not move as values come."""
        return self._x_range is not None or self._y_range is not None

    @property
    def view(self) -> tuple[Range, Range]:
        """Ends of both axes, the left one's as it lies on the axis; zeros to ones without values."""
        return ((0.0, 1.0), (0.0, 1.0)) if self._canvas is None else self._canvas.ranges()

    def set_x_range(self, x_range: Range | None) -> None:
        """Show what another plot shows along x; None shows everything again."""
        self._x_range = x_range
        if x_range is None:
            self._y_range = None
        self._fit()
        self._show_back()

    def reset(self) -> None:
        """Show everything, and follow what comes."""
        self.set_x_range(None)
        self.x_range_chosen.emit(None)

    def zoom(self, factor: float) -> None:
        """Zoom along x at the cursor, below 1 to see less."""
        if self._canvas is not None and not self._content.is_empty:
            self._canvas.zoom(factor, self._cursor)

    def twin(self, tokens: Tokens, pixel_ratio: float) -> LivePlot:
        """A plot that shows the same in the colours of `tokens` on `pixel_ratio` pixels a point, without buttons."""
        twin = LivePlot(self._spec, tokens)
        twin._log.setChecked(self._log.isChecked())
        twin._log.hide()
        twin.set_empty_text(self._empty.text())
        twin.set_right_width(self._right_width)
        twin.show_content(self._content)
        if twin._canvas is not None:
            twin._canvas.set_pixel_ratio(pixel_ratio)
        twin._x_range, twin._y_range = self._x_range, self._y_range
        twin._fit()
        return twin

    # Reading values.

    @property
    def looked_at(self) -> float | None:
        """X that is looked at, None where it is the newest."""
        return self._cursor

    def show_cursor(self, x: float | None) -> None:
        """Read the values at the entry nearest to `x`, or the newest."""
        lead = next((series.x for series in self._content.series if len(series.x)), None)
        self._cursor = None if x is None or lead is None else float(lead[nearest(lead, x)])
        at = self._cursor
        if at is None and lead is not None:
            at = self._content.x_end
        values = [(s, math.nan if at is None else value_at(s, at)) for s in self._content.series]
        self._show_legend(at, values)
        if self._canvas is not None:
            self._canvas.show_cursor(self._cursor, values)

    def point_at(self, x: float | None) -> None:
        """Look at a place, and tell so."""
        self.show_cursor(x)
        self.pointed.emit(self._cursor)

    def _show_legend(self, at: float | None, values: list[tuple[Series, float]]) -> None:
        entries = [] if at is None or self._spec.compact else [Entry(self._spec.x_text(at))]
        for series, value in values:
            text = share_text(value) if series.on_right else self._spec.y_text(value)
            entries.append(Entry(series.name, series.ink, series.style, text))
        entries += [Entry(name, ink, style) for name, ink, style in self._content.keys]
        self._legend.show_entries(tuple(entries) if at is not None else ())
        levels = [f"{level.label} {self._spec.y_text(level.y)}" for level in self._content.levels]
        self._legend.setToolTip(plain_tooltip("\n".join([entry.text for entry in entries] + levels)))
        self._describe()

    # Events.

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._take_tokens()

    def event(self, event: QEvent) -> bool:
        """Claim keys from menu actions."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and self._keys.claims(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """See `plot_keys`."""
        if not self._keys.press(event):
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show the focus where the keyboard brought it."""
        super().focusInEvent(event)
        self._show_focus(event.reason() in _KEYBOARD_FOCUS)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Show it no longer."""
        super().focusOutEvent(event)
        self._show_focus(False)

    # Inside.

    def _build(self) -> None:
        set_role(self, "plot")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(self._spec.title)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._empty.setMargin(16)
        self._empty.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        set_role(self._empty, "quiet")
        self._stack.addWidget(self._empty)
        self._log.setCheckable(True)
        self._log.setChecked(self._spec.log)
        self._log.setText(self.tr("log"))
        self._log.hide()
        self._name(self._log, self.tr("Logarithmic axis: {title}").format(title=self._spec.title), "text")
        self._back.setIcon(icon("fit-to-page-outline"))
        self._back.setIconSize(QSize(SMALL_PX, SMALL_PX))
        self._name(self._back, self.tr("Show everything again (double-click)"), "small")
        policy = self._back.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._back.setSizePolicy(policy)
        self._back.hide()
        head = QHBoxLayout()
        head.setSpacing(8)
        top = Qt.AlignmentFlag.AlignTop
        self._title.setMinimumHeight(_HEAD_PX)
        head.addWidget(self._title, 0, top)
        head.addWidget(self._legend if self._spec.compact else QWidget(), 1)
        head.addWidget(self._back, 0, top)
        head.addWidget(self._log, 0, top)
        column = QVBoxLayout(self)
        column.setContentsMargins(11, 5, 5, 1)
        column.setSpacing(0)
        column.addLayout(head)
        if not self._spec.compact:
            column.addWidget(self._legend)
        column.addWidget(self._stack, 1)
        self._log.toggled.connect(self._on_log_toggled)
        self._back.clicked.connect(self.reset)
        self._take_tokens()

    def _name(self, button: QToolButton, name: str, role: str) -> None:
        button.setAccessibleName(name)
        button.setToolTip(name)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        set_role(button, role)

    def _ensured_canvas(self) -> PlotCanvas:
        if self._canvas is None:
            from vdsr_app.gui.training.plot_canvas import PlotCanvas

            spec = self._spec
            canvas = PlotCanvas(spec.x_title, spec.y_title, spec.right_title)
            canvas.set_tokens(self._tokens)
            canvas.set_right_width(self._right_width)
            canvas.range_chosen.connect(self._on_range_chosen)
            canvas.reset_wanted.connect(self.reset)
            canvas.pointed.connect(self._on_pointed)
            self._stack.addWidget(canvas)
            self._canvas = canvas
        return self._canvas

    def _fit(self) -> None:
        if self._canvas is None or self._content.is_empty:
            return
        everything = fit_x(self._content)
        full = fit_y(self._content, everything, self.is_log)
        x_range, y_range = self._x_range or everything, self._y_range or full
        if self._x_range is not None and self._y_range is None:
            y_range = fit_y(self._content, x_range, self.is_log)
        self._canvas.limit(everything, full)
        self._canvas.set_ranges(x_range, y_range)

    def _take_tokens(self) -> None:
        self._tokens = self._fixed_tokens or tokens_in_use()
        self._legend.set_tokens(self._tokens)
        if self._canvas is not None:
            self._canvas.set_tokens(self._tokens)

    def _show_back(self) -> None:
        self._back.setVisible(self.is_zoomed)

    def _show_focus(self, shown: bool) -> None:
        self.setProperty("focused", shown)
        set_role(self, "plot")

    def _describe(self) -> None:
        empty = self._content.is_empty
        self.setAccessibleDescription(self._empty.text() if empty else self._legend.text)

    def _on_log_toggled(self, _on: bool) -> None:
        self._y_range = None
        self.show_content(self._content)
        self._show_back()
        self.log_changed.emit(self.is_log)

    def _on_range_chosen(self) -> None:
        self._x_range, self._y_range = self.view
        self._show_back()
        self.x_range_chosen.emit(self._x_range)

    def _on_pointed(self, x: float | None, marks: tuple[Mark, ...]) -> None:
        self.setToolTip(plain_tooltip("\n".join(mark.text for mark in marks)))
        if x is not None or self._cursor is not None:
            self.point_at(x)
