"""One plot with its head, which follows its data until the user zooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QWheelEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QLabel, QSizePolicy, QStackedWidget, QVBoxLayout

from vdsr_app.gui.sections import plain_tooltip
from vdsr_app.gui.theme import Tokens, set_role, tokens_in_use
from vdsr_app.gui.training.legend_line import Entry
from vdsr_app.gui.training.plot_head import PlotHead, PlotSpec
from vdsr_app.gui.training.plot_keys import PlotKeys
from vdsr_app.gui.training.plot_model import Content, Mark, Range, fit_x, fit_y, nearest, newest, value_at

if TYPE_CHECKING:
    from vdsr_app.gui.training.plot_canvas import PlotCanvas


class LivePlot(QFrame):
    """Shows a `Content` and follows it as it grows, until the user zooms or pans.

    The mouse reads values. The wheel zooms along x at the cursor and a drag pans, while y fits what is in view; over
    the left axis they act on y alone. In a pane that scrolls, the wheel scrolls the pane, and zooms only with Ctrl or
    if the plot has the focus, which a click gives it. A double click shows everything again. Keys: see `plot_keys`.
    pyqtgraph is imported with the first value.

    Args:
        spec: what the plot shows.
        tokens: colours; None follows the theme.

    Signals:
        pointed: x of the entry at the cursor (float), or None when there is no cursor any more.
        x_range_chosen: the user zoomed or panned; None shows everything again.
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
        self._shown_x: Range | None = None
        self._cursor: float | None = None
        self._right_width = 0.0
        self._head = PlotHead(spec)
        self._empty = QLabel()
        self._stack = QStackedWidget()
        self._keys = PlotKeys(self)
        self._build()

    # Content.

    @property
    def spec(self) -> PlotSpec:
        """Titles and formats of the plot."""
        return self._spec

    @property
    def content(self) -> Content:
        """What the plot shows."""
        return self._content

    @property
    def legend(self) -> tuple[Entry, ...]:
        """Names and values shown in its head."""
        return self._head.legend.entries

    def set_empty_text(self, text: str) -> None:
        """Set the text that is shown while there are no values."""
        if text != self._empty.text():
            self._empty.setText(text)
            self._describe()

    def show_content(self, content: Content) -> None:
        """Show other curves; a range that the user zoomed into stays in view."""
        self._content = content
        self._offer()
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
        """Show another quantity; zoom and cursor are reset."""
        self._spec = spec
        self._head.set_spec(spec)
        self.setAccessibleName(spec.title)
        self._cursor = self._x_range = None
        self._fit_y_again()
        if self._canvas is not None:
            self._canvas.set_titles(spec.x_title, spec.y_title, whole_x=spec.whole_x)
        self._offer()

    def set_right_width(self, width: float) -> None:
        """Leave room for the end labels, so that stacked plots share their edges."""
        self._right_width = width
        if self._canvas is not None:
            self._canvas.set_right_width(width)

    # Range.

    @property
    def is_log(self) -> bool:
        """Whether the left axis is logarithmic."""
        return self._head.is_log

    def set_log(self, on: bool) -> None:
        """Choose a logarithmic or a linear axis; no effect on a plot that is always linear."""
        self._head.set_log(on)

    @property
    def is_zoomed(self) -> bool:
        """Whether the user chose the range; then it stays as new values arrive."""
        return self._x_range is not None or self._y_range is not None

    @property
    def view(self) -> tuple[Range, Range]:
        """Ranges of both axes, the left one's in axis units; 0 to 1 without values."""
        return ((0.0, 1.0), (0.0, 1.0)) if self._canvas is None else self._canvas.ranges()

    def set_x_range(self, x_range: Range | None) -> None:
        """Show the x range of another plot; None shows everything again."""
        self._x_range = x_range
        if x_range is None:
            self._fit_y_again()
        self._fit()
        self._offer()

    def reset(self) -> None:
        """Show everything and follow new values."""
        self.set_x_range(None)
        self.x_range_chosen.emit(None)

    def zoom(self, factor: float) -> None:
        """Zoom along x at the cursor; a factor below 1 zooms in."""
        if self._canvas is not None and not self._content.is_empty:
            self._canvas.zoom(factor, self._cursor)

    def twin(self, tokens: Tokens, pixel_ratio: float) -> LivePlot:
        """A copy of the plot without buttons, in the colours of `tokens`, for the device pixel ratio `pixel_ratio`."""
        twin = LivePlot(self._spec, tokens)
        twin._head.set_log(self.is_log)
        twin.set_empty_text(self._empty.text())
        twin.set_right_width(self._right_width)
        twin.show_content(self._content)
        if twin._canvas is not None:
            twin._canvas.set_pixel_ratio(pixel_ratio)
        twin._x_range, twin._y_range = self._x_range, self._y_range
        twin._fit()
        twin._head.offer(log=False, back=False)
        return twin

    # Reading values.

    @property
    def cursor_x(self) -> float | None:
        """X at the cursor; None means the newest."""
        return self._cursor

    def show_cursor(self, x: float | None) -> None:
        """Show the values at the entry nearest to `x`; None shows the newest."""
        lead = next((series.x for series in self._content.series if len(series.x)), None)
        self._cursor = None if x is None or lead is None else float(lead[nearest(lead, x)])
        at = self._cursor
        values = [(s, newest(s) if at is None else value_at(s, at)) for s in self._content.series]
        self._head.read(self._content, at)
        self._describe()
        if self._canvas is not None:
            self._canvas.show_cursor(self._cursor, values)

    def point_at(self, x: float | None) -> None:
        """Move the cursor and emit `pointed`."""
        self.show_cursor(x)
        self.pointed.emit(self._cursor)

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
        """Show the focus, because the wheel zooms while the plot has it."""
        super().focusInEvent(event)
        self._show_focus(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Stop showing the focus."""
        super().focusOutEvent(event)
        self._show_focus(False)

    # Internals.

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
        column = QVBoxLayout(self)
        column.setContentsMargins(11, 5, 5, 1)
        column.setSpacing(0)
        column.addWidget(self._head)
        column.addWidget(self._stack, 1)
        self._head.log_toggled.connect(self._on_log_toggled)
        self._head.back_requested.connect(self.reset)
        self._take_tokens()

    def _ensured_canvas(self) -> PlotCanvas:
        if self._canvas is None:
            from vdsr_app.gui.training.plot_canvas import PlotCanvas

            spec = self._spec
            canvas = PlotCanvas(
                spec.x_title, spec.y_title, spec.right_title, whole_x=spec.whole_x, zooms=self._zooms_by
            )
            canvas.set_tokens(self._tokens)
            canvas.set_right_width(self._right_width)
            canvas.range_chosen.connect(self._on_range_chosen)
            canvas.pressed.connect(self._on_pressed)
            canvas.reset_requested.connect(self.reset)
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
        self._shown_x = self._canvas.ranges()[0]

    def _fit_y_again(self) -> None:
        self._y_range = None
        if self._canvas is not None:
            self._canvas.fit_y()

    def _take_tokens(self) -> None:
        self._tokens = self._fixed_tokens or tokens_in_use()
        self._head.set_tokens(self._tokens)
        if self._canvas is not None:
            self._canvas.set_tokens(self._tokens)

    def _offer(self) -> None:
        self._head.offer(log=not self._content.is_empty, back=self.is_zoomed)

    def _show_focus(self, shown: bool) -> None:
        self.setProperty("focused", shown)
        set_role(self, "plot")

    def _describe(self) -> None:
        empty = self._content.is_empty
        self.setAccessibleDescription(self._empty.text() if empty else self._head.legend.text)

    def _zooms_by(self, event: QWheelEvent) -> bool:
        return (
            self.hasFocus() or bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier) or not self._pane_scrolls()
        )

    def _pane_scrolls(self) -> bool:
        """Whether it lies in a scroll area whose content does not fit."""
        above = self.parentWidget()
        while above is not None and not above.isWindow():
            if isinstance(above, QAbstractScrollArea) and above.verticalScrollBar().maximum() > 0:
                return True
            above = above.parentWidget()
        return False

    def _on_pressed(self) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)

    def _on_log_toggled(self, _on: bool) -> None:
        self._fit_y_again()
        self.show_content(self._content)
        self._offer()
        self.log_changed.emit(self.is_log)

    def _on_range_chosen(self) -> None:
        x_range, y_range = self.view
        self._y_range = y_range if self._canvas is not None and self._canvas.y_is_free else None
        moved = x_range != self._shown_x
        if moved:
            self._x_range = x_range
        self._fit()
        self._offer()
        if moved:
            self.x_range_chosen.emit(x_range)

    def _on_pointed(self, x: float | None, marks: tuple[Mark, ...]) -> None:
        self.setToolTip(plain_tooltip("\n".join(mark.text for mark in marks)))
        if x is not None or self._cursor is not None:
            self.point_at(x)
