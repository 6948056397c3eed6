"""The Help menu: guide, log folder, system information, About; what each needs is imported on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QWidget

from vdsr_app.gui.actions import Actions
from vdsr_app.gui.file_manager import open_folder
from vdsr_app.gui.model_list import ModelList
from vdsr_app.paths import log_dir

Dialog = TypeVar("Dialog", bound=QDialog)


class HelpCommands(QObject):
    """Carries out the commands of the Help menu.

    Attributes:
        device: what the network runs on; empty while unknown.

    Signals:
        notified: a sentence about what was done.
    """

    notified = Signal(str)

    def __init__(self, window: QWidget, actions: Actions, models: ModelList) -> None:
        super().__init__(window)
        self.device = ""
        self._window = window
        self._models = models
        actions.guide.triggered.connect(self._show_guide)
        actions.about.triggered.connect(self._show_about)
        actions.log_folder.triggered.connect(self._open_log_folder)
        actions.system_info.triggered.connect(self._copy_system_information)

    def _show_guide(self) -> None:
        from vdsr_app.gui.guide_dialog import GuideDialog

        show_once(self._window, GuideDialog)

    def _show_about(self) -> None:
        from vdsr_app.gui.about_dialog import AboutDialog

        show_once(self._window, AboutDialog)

    def _open_log_folder(self) -> None:
        folder = log_dir()
        folder.mkdir(parents=True, exist_ok=True)
        open_folder(folder)

    def _copy_system_information(self) -> None:
        from vdsr_app.gui.system_info import system_information

        names = [model.name for model in self._models.models]
        QGuiApplication.clipboard().setText(system_information(self.device, names))
        self.notified.emit(self.tr("The system information is on the clipboard."))


def show_once(window: QWidget, kind: type[Dialog], make: Callable[[QWidget], Dialog] | None = None) -> None:
    """Show a modeless dialog, or raise one of its kind that is already open.

    A dialog is deleted when closed; otherwise it would live as long as the window.

    Args:
        window: its parent.
        kind: its class.
        make: creates it, given the window; None calls `kind`.
    """
    for other in window.findChildren(kind):
        if other.isVisible():
            other.raise_()
            other.activateWindow()
            return
    dialog = (make or kind)(window)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.show()
