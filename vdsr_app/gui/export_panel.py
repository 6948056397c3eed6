"""How the result is written, and the buttons to save, copy or drag it out."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from vdsr_app.core.formats import DEEP, LOSSY, WRITABLE_TITLES
from vdsr_app.core.job import FileFormat, Metadata, SaveOptions
from vdsr_app.gui.calm import CalmSlider, CalmSpinBox
from vdsr_app.gui.icons import icon
from vdsr_app.gui.parts import Choice
from vdsr_app.gui.result_grip import ResultGrip
from vdsr_app.gui.sections import GROUP_GAP, Section, add_row, indent_number, rows_layout, text_label
from vdsr_app.gui.texts import breakable
from vdsr_app.gui.theme import set_role


class ExportPanel(Section):
    """Format, depth, quality, metadata; save, copy, drag out.

    Signals:
        options_changed: the `SaveOptions` chosen by the user.
        drag_requested: the user drags the grip.
    """

    options_changed = Signal(object)
    drag_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.set_head(self.tr("Export"))
        self._format = Choice(self.tr("Format"))
        self._depth = Choice(self.tr("Depth"))
        self._metadata = Choice(self.tr("Metadata"))
        self._fill()
        self._quality = _QualityRow()
        self._form = rows_layout()
        add_row(self._form, self.tr("Format"), self._format)
        add_row(self._form, self.tr("Depth"), self._depth)
        add_row(self._form, self.tr("Quality"), self._quality)
        add_row(self._form, self.tr("Metadata"), self._metadata)
        self._save = QPushButton(self.tr("Save as…"))
        set_role(self._save, "primary")
        self._copy = QPushButton(self.tr("Copy"))
        self._copy.setIcon(icon("content-copy"))
        self._grip = ResultGrip()
        self._about = text_label(role="caption", wrap=True)
        buttons = QHBoxLayout()
        buttons.setSpacing(GROUP_GAP)
        buttons.addWidget(self._copy, 1)
        buttons.addWidget(self._grip, 1)
        self.body.addLayout(self._form)
        self.body.addSpacing(GROUP_GAP)
        self.body.addWidget(self._save)
        self.body.addLayout(buttons)
        self.body.addWidget(self._about)
        self._quality.moved.connect(self._on_changed)
        for box in (self._format, self._depth, self._metadata):
            box.activated.connect(self._on_changed)
        self._grip.pulled.connect(self.drag_requested)
        self._show_rows()

    @property
    def options(self) -> SaveOptions:
        """The chosen options."""
        # Qt returns a StrEnum as a plain str.
        file_format, metadata = FileFormat(self._format.currentData()), Metadata(self._metadata.currentData())
        return SaveOptions(file_format, self._quality.value, self._depth.currentData(), metadata)

    def set_actions(self, save: QAction, copy: QAction) -> None:
        """Let the buttons trigger the menu actions and follow their state."""
        for button, action in ((self._save, save), (self._copy, copy)):
            button.clicked.connect(action.trigger)
            follow_action(button, action)

    def show_options(self, options: SaveOptions) -> None:
        """Show options; emits nothing."""
        file_format = options.format_or_default
        for box, value in ((self._format, file_format), (self._metadata, options.metadata)):
            box.setCurrentIndex(box.findData(value))
        if file_format in DEEP or options.bits is not None:  # else the chosen depth waits for a format that can hold it
            self._depth.setCurrentIndex(self._depth.findData(options.bits))
        self._quality.show_value(options.quality)
        self._show_rows()

    def show_source_bits(self, bits: int) -> None:
        """Show the depth of the open picture."""
        self._depth.setItemText(0, self.tr("Original ({bits} bit)").format(bits=bits))

    def show_result(self, text: str, *, why_not: str, primary: bool) -> None:
        """Say what would be saved.

        Args:
            text: one sentence.
            why_not: why it cannot be dragged out yet, or "".
            primary: whether saving is what the user most likely wants next.
        """
        self._about.setText(breakable(text))
        self._grip.allow(why_not)
        set_role(self._save, "primary" if primary else "")

    def _fill(self) -> None:
        for file_format, title in WRITABLE_TITLES.items():
            self._format.addItem(title, file_format)
        self._depth.addItem(self.tr("Original"), None)
        self._depth.addItem(self.tr("8 bit"), 8)
        self._depth.addItem(self.tr("16 bit"), 16)
        self._metadata.addItem(self.tr("Keep all"), Metadata.KEEP)
        self._metadata.addItem(self.tr("Keep, except private"), Metadata.PRIVATE)
        self._metadata.addItem(self.tr("Remove"), Metadata.NONE)
        self._metadata.setToolTip(
            self.tr(
                "Private: location, serial numbers, owner's name, thumbnail. Colour profile and resolution are kept."
            )
        )

    def _on_changed(self) -> None:
        self._show_rows()
        self.options_changed.emit(self.options)

    def _show_rows(self) -> None:
        chosen = self._format.currentData()
        self._form.setRowVisible(self._quality, chosen in LOSSY)
        self._form.setRowVisible(self._depth, chosen in DEEP)


class _QualityRow(QWidget):
    """A slider and a spin box for the same number."""

    moved = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._slider = CalmSlider()
        self._slider.setRange(1, 100)
        self._slider.setAccessibleName(self.tr("Quality"))
        self._box = CalmSpinBox()
        self._box.setRange(1, 100)
        self._box.setFixedWidth(64)
        indent_number(self._box)
        self._box.setAccessibleName(self.tr("Quality as a number"))
        self._box.setToolTip(self.tr("1 to 100; 100 is lossless in WebP and AVIF"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GROUP_GAP)
        row.addWidget(self._slider, 1)
        row.addWidget(self._box)
        self._slider.valueChanged.connect(self._on_moved)
        self._box.valueChanged.connect(self._on_moved)

    @property
    def value(self) -> int:
        return self._box.value()

    def show_value(self, value: int) -> None:
        for widget in (self._slider, self._box):
            blocker = QSignalBlocker(widget)
            widget.setValue(value)
            blocker.unblock()

    def _on_moved(self, value: int) -> None:
        self.show_value(value)
        self.moved.emit(value)


def follow_action(button: QPushButton, action: QAction) -> None:
    """Let a button follow its action's enabled state and tooltip."""

    def update() -> None:
        button.setEnabled(action.isEnabled())
        button.setToolTip(action.toolTip())

    action.changed.connect(update)
    update()
