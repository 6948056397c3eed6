"""A button that saves plots as a picture or as a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QPushButton

from vdsr_app.errors import VdsrError
from vdsr_app.gui.icons import icon
from vdsr_app.gui.parts import ICON_SIZE
from vdsr_app.gui.save_name import ask_for_name, with_ending
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.texts import file_name, report_of
from vdsr_app.workers.messages import ErrorReport

Save = Callable[[Path], None]


class SaveCurvesButton(QPushButton):
    """Opens a menu with both file types, then asks for a name.

    Args:
        store: settings with the folder to suggest.
        save_png: writes the picture.
        save_csv: writes the table.

    Attributes:
        subject: base of the suggested file name.

    Signals:
        notified: message, and whether it is good news.
        failed: ErrorReport of a file that could not be written.
    """

    notified = Signal(str, bool)
    failed = Signal(object)

    def __init__(self, store: SettingsStore, save_png: Save, save_csv: Save) -> None:
        super().__init__()
        self._store = store
        self._kinds: dict[str, tuple[str, Save]] = {
            "png": (self.tr("PNG picture (*.png)"), save_png),
            "csv": (self.tr("Table (*.csv)"), save_csv),
        }
        self.subject = ""
        self.setText(self.tr("Save curves"))
        self.setAutoDefault(False)
        self.setIcon(icon("chart-line"))
        self.setIconSize(ICON_SIZE)
        self.setToolTip(self.tr("As a picture or as a table of numbers"))
        menu = QMenu(self)
        menu.addAction(self.tr("Picture (PNG)…")).triggered.connect(self._on_png)
        menu.addAction(self.tr("Table (CSV)…")).triggered.connect(self._on_csv)
        self.setMenu(menu)

    def save(self, suffix: str) -> None:
        """Ask for a name and write the curves; `suffix` is "png" or "csv"."""
        kind, write = self._kinds[suffix]
        name = f"{self.subject or 'curves'}.{suffix}".replace("/", "-")
        start = Path(self._store.current.save_folder or Path.home()) / name
        title = self.tr("Save the curves")
        path = ask_for_name(self, title, start, kind, lambda chosen: with_ending(chosen, f".{suffix}"))
        if path is None:
            return
        try:
            write(path)
        except VdsrError as error:
            self.failed.emit(report_of(error))
        except OSError as error:
            reason = self.tr("The curves could not be saved: {why}.").format(why=error.strerror or error)
            self.failed.emit(ErrorReport(reason, str(path), self.tr("Choose another folder.")))
        else:
            self.notified.emit(self.tr("Saved {name}").format(name=file_name(path)), True)

    def _on_png(self) -> None:
        self.save("png")

    def _on_csv(self) -> None:
        self.save("csv")
