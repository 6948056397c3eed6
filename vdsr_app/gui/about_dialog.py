"""The About dialog: version, purpose, and the licences of all components."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from vdsr_app import __version__
from vdsr_app.gui.libraries import LIBRARIES
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP, text_label
from vdsr_app.gui.theme import SEARCH_PREFIX, set_role

_ICON_PX = 64


class AboutDialog(QDialog):
    """Opened from the Help menu."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("About VDSR Studio"))
        picture = QLabel()
        picture.setPixmap(
            QIcon(f"{SEARCH_PREFIX}:icon.svg").pixmap(QSize(_ICON_PX, _ICON_PX), self.devicePixelRatioF())
        )
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(text_label("VDSR Studio", "title"))
        words.addWidget(text_label(self.tr("Version {version} · MIT licence").format(version=__version__), "quiet"))
        head = QHBoxLayout()
        head.setSpacing(SECTION_GAP)
        head.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(words, 1)
        purpose = self.tr(
            "Upscales pictures with the network of “Accurate Image Super-Resolution Using Very Deep Convolutional "
            "Networks” (Kim, Lee, Lee, CVPR 2016). All work is done on this computer; nothing is ever sent anywhere."
        )
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        column = QVBoxLayout(self)
        column.setContentsMargins(PANE_GAP, PANE_GAP, PANE_GAP, PANE_GAP)
        column.setSpacing(SECTION_GAP)
        column.addLayout(head)
        column.addWidget(text_label(purpose, wrap=True))
        column.addWidget(text_label(self.tr("Made with"), "head"))
        column.addWidget(self._libraries(), 1)
        column.addWidget(buttons)
        self.setMinimumWidth(460)
        # By default Qt limits a window to two thirds of the screen.
        self.resize(self.sizeHint().boundedTo(self.screen().availableSize() - QSize(16, 48)))

    def _libraries(self) -> QScrollArea:
        parts = QWidget()
        grid = QGridLayout(parts)
        grid.setContentsMargins(0, 0, SECTION_GAP, 0)
        grid.setHorizontalSpacing(SECTION_GAP)
        grid.setVerticalSpacing(GROUP_GAP // 2)
        for row, part in enumerate(LIBRARIES):
            for place, (words, role) in enumerate(((part.title, ""), (part.version, "quiet"), (part.licence, "quiet"))):
                grid.addWidget(text_label(words, role), row, place)
        grid.setColumnStretch(2, 1)
        scroll = QScrollArea()  # for small screens
        set_role(scroll, "reading")
        scroll.setAccessibleName(self.tr("Made with"))
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.verticalScrollBar().rangeChanged.connect(
            # With nothing to scroll, keyboard focus would serve no purpose.
            lambda _, most: scroll.setFocusPolicy(Qt.FocusPolicy.StrongFocus if most else Qt.FocusPolicy.NoFocus)
        )
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(parts)
        return scroll
