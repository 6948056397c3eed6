"""Version, purpose, and the licences of everything the program is made of."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from vdsr_app import __version__
from vdsr_app.gui.sections import GROUP_GAP, PANE_GAP, SECTION_GAP, text_label
from vdsr_app.gui.system_info import library_version
from vdsr_app.gui.theme import SEARCH_PREFIX

_ICON_PX = 64
_LIBRARIES = (
    ("Qt and PySide6", "PySide6-Essentials", "LGPL 3"),
    ("PyTorch", "torch", "BSD 3-Clause"),
    ("NumPy", "numpy", "BSD 3-Clause"),
    ("libvips (pyvips)", "pyvips-binary", "LGPL 3 or later (pyvips: MIT)"),
    ("Pillow", "pillow", "MIT-CMU"),
    ("pillow-heif", "pillow-heif", "BSD 3-Clause"),
    ("imagecodecs", "imagecodecs", "BSD 3-Clause"),
    ("safetensors", "safetensors", "Apache 2.0"),
    ("QtAwesome", "QtAwesome", "MIT"),
    ("Material Design Icons", "", "Apache 2.0"),
)


class AboutDialog(QDialog):
    """Shown from the help menu."""

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
        column.addLayout(self._libraries())
        column.addWidget(buttons)
        self.setMinimumWidth(460)

    def _libraries(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(SECTION_GAP)
        grid.setVerticalSpacing(GROUP_GAP // 2)
        for row, (name, package, licence) in enumerate(_LIBRARIES):
            grid.addWidget(text_label(name), row, 0)
            grid.addWidget(text_label(library_version(package) if package else "", "quiet"), row, 1)
            grid.addWidget(text_label(licence, "quiet"), row, 2)
        grid.setColumnStretch(2, 1)
        return grid
