"""The specification of a plot, and its head: title, legend, and buttons for the logarithmic axis and the zoom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from PySide6.QtCore import QCoreApplication, QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from vdsr_app.gui.icons import SMALL_PX, icon
from vdsr_app.gui.sections import GROUP_GAP, plain_tooltip, text_label
from vdsr_app.gui.theme import Tokens, set_role
from vdsr_app.gui.training.legend_line import Entry, LegendLine
from vdsr_app.gui.training.plot_model import Content, newest, value_at
from vdsr_app.gui.training.plot_ticks import share_text, short_text

_ROW_PX = 22


@dataclass(frozen=True, slots=True)
class PlotSpec:
    """Titles and formats of one plot.

    Attributes:
        title: title in the head.
        x_title: title of the lower axis, with its unit.
        y_title: title of the left axis, with its unit.
        x_text: formats x, such as "Step 1,250".
        right_title: title of an axis for shares; "" for none.
        y_text: formats a value, without its unit.
        log: whether the left axis can be logarithmic; if so, it initially is.
        whole_x: whether the lower axis shows whole numbers only.
    """

    title: str
    x_title: str
    y_title: str
    x_text: Callable[[float], str]
    right_title: str = ""
    y_text: Callable[[float], str] = field(default=short_text)
    log: bool = False
    whole_x: bool = True


class PlotHead(QWidget):
    """The row above a plot.

    Attributes:
        legend: names and values.

    Signals:
        log_toggled: whether the left axis is logarithmic (bool).
        back_requested: the user wants to see everything again.
    """

    log_toggled = Signal(bool)
    back_requested = Signal()

    def __init__(self, spec: PlotSpec) -> None:
        super().__init__()
        self._spec = spec
        self.legend = LegendLine()
        self._title = text_label(spec.title, "plot-title")
        self._title.setMinimumHeight(_ROW_PX)
        self._log = QToolButton()
        self._log.setCheckable(True)
        self._log.setChecked(spec.log)
        self._log.setText(self.tr("log"))
        self._log.hide()
        _name(self._log, self.tr("Logarithmic axis: {title}").format(title=spec.title), "text")
        self._back = QToolButton()
        self._back.setIcon(icon("fit-to-page-outline"))
        self._back.setIconSize(QSize(SMALL_PX, SMALL_PX))
        _name(self._back, self.tr("Show everything again (double-click)"), "small")
        policy = self._back.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._back.setSizePolicy(policy)
        self._back.hide()
        self._lay_out()
        self._log.toggled.connect(self.log_toggled)
        self._back.clicked.connect(self.back_requested)

    @property
    def is_log(self) -> bool:
        """Whether the left axis should be logarithmic."""
        return self._spec.log and self._log.isChecked()

    def set_log(self, on: bool) -> None:
        """Choose a logarithmic or a linear axis."""
        self._log.setChecked(on)

    def offer(self, *, log: bool, back: bool) -> None:
        """Show or hide the buttons."""
        self._log.setVisible(self._spec.log and log)
        self._back.setVisible(back)

    def set_spec(self, spec: PlotSpec) -> None:
        """Describe another plot."""
        self._spec = spec
        self._title.setText(spec.title)

    def set_tokens(self, tokens: Tokens) -> None:
        """Use the colours of a theme."""
        self.legend.set_tokens(tokens)

    def read(self, content: Content, at: float | None) -> None:
        """Show the values of a plot in the legend.

        Args:
            content: what the plot shows.
            at: x at which values are read; None reads the newest.
        """
        entries = [Entry(self._place_text(content, at))]
        for series in content.series:
            value = newest(series) if at is None else value_at(series, at)
            text = share_text(value) if series.on_right else self._spec.y_text(value)
            entries.append(Entry(series.name, series.ink, series.style, text))
        entries += [Entry(name, ink, style) for name, ink, style in content.keys]
        self.legend.show_entries(() if content.is_empty else tuple(entries))
        levels = [f"{level.label} {self._spec.y_text(level.y)}" for level in content.levels]
        lines = [] if content.is_empty else [entry.text for entry in entries] + levels
        self.legend.setToolTip(plain_tooltip("\n".join(lines)))

    def _place_text(self, content: Content, at: float | None) -> str:
        if at is not None:
            return self._spec.x_text(at)
        ends = {float(series.x[-1]) for series in content.series if len(series.x)}
        return self._spec.x_text(ends.pop()) if len(ends) == 1 else QCoreApplication.translate("PlotHead", "Newest")

    def _lay_out(self) -> None:
        top = Qt.AlignmentFlag.AlignTop
        row = QHBoxLayout()
        row.setSpacing(GROUP_GAP)
        row.addWidget(self._title, 0, top)
        row.addStretch(1)
        row.addWidget(self._back, 0, top)
        row.addWidget(self._log, 0, top)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(self.legend)


def _name(button: QToolButton, name: str, role: str) -> None:
    button.setAccessibleName(name)
    button.setToolTip(name)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    set_role(button, role)
