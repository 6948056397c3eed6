"""File commands: open, paste, drop, add a model, save, copy, drag out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QMimeData, QObject, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QWidget

from vdsr_app.core.formats import READABLE_SUFFIXES
from vdsr_app.core.job import Target
from vdsr_app.core.models import SUFFIX as MODEL_SUFFIX
from vdsr_app.core.models import ModelInfo
from vdsr_app.core.naming import output_name
from vdsr_app.core.picture import Picture
from vdsr_app.gui.banner import Banner, BannerKind
from vdsr_app.gui.clipboard import take_from
from vdsr_app.gui.drag_out import DragOut
from vdsr_app.gui.drops import DropKind, DropPlan, plan_drop
from vdsr_app.gui.file_manager import show_in_folder
from vdsr_app.gui.latest_job import LatestJob
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.save_dialog import PASTED_NAME, ask_where, suggested_path
from vdsr_app.gui.session import Session
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.gui.texts import bytes_text, file_name
from vdsr_app.workers.messages import ErrorReport, InstallJob, SavedFile

if TYPE_CHECKING:
    from vdsr_app.workers.upscale import UpscaleService

# Topics of messages. Those about one picture go when another is opened. Besides, a failure of the layers goes once they
# are made, the notice to wait for the result once it is finished, and a reference's failure once one is opened.
_OPENING = "opening"
_LAYERS = "layers"
_MAKING = "making"
_WAITING = "waiting"
_REFERENCE = "reference"


class FileCommands(QObject):
    """Carries out the commands of menus, buttons, drops and pastes, and reports the outcome in the banner.

    Signals:
        show_requested: what is shown next, or reported in the banner, belongs to the "Upscale" workspace.
        batch_requested: Paths of files and folders to add to the batch.
    """

    show_requested = Signal()
    batch_requested = Signal(object)

    def __init__(
        self,
        window: QWidget,
        service: UpscaleService,
        session: Session,
        store: SettingsStore,
        models: ModelList,
        banner: Banner,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._store = store
        self._models = models
        self._banner = banner
        self._install = LatestJob(service, self)
        self._install.failed.connect(banner.show_report)
        self._drag_out = DragOut(service, window)
        self._drag_out.failed.connect(banner.show_report)
        session.clipboard.done.connect(self._on_copied)
        session.clipboard.failed.connect(banner.show_report)
        session.not_opened.connect(self._on_not_opened)
        session.comparison.failed.connect(self._on_layer_failed)
        session.comparison.changed.connect(self._on_layers_changed)
        session.comparison.noticed.connect(self._on_layer_noticed)
        session.result_changed.connect(self._on_result_changed)
        session.exporter.failed.connect(banner.show_report)
        session.scores.failed.connect(self._on_reference_failed)
        session.scores.opened.connect(self._on_reference_opened)
        session.opened.connect(self._on_opened)
        session.not_saved.connect(self._on_not_saved)
        session.exporter.saved.connect(self._on_saved)

    def choose_picture(self) -> None:
        """Ask for a picture file and open it."""
        path = self._ask_for_picture(self.tr("Open a picture"))
        if path is not None:
            self.open(path)

    def choose_reference(self) -> None:
        """Ask for a picture file to measure against."""
        path = self._ask_for_picture(self.tr("Open a reference: the picture as it should look"))
        if path is not None:
            self._session.scores.open(path)

    def open(self, path: Path) -> None:
        """Open a picture file, or add a model file."""
        self.show_requested.emit()
        if path.suffix.lower() == MODEL_SUFFIX:
            self.add_model(path)
        else:
            self._session.open(path)

    def drop(self, plan: DropPlan, data: QMimeData | None) -> None:
        """Carry out a planned drop."""
        match plan.kind:
            case DropKind.PICTURE:
                self._take(data)
            case DropKind.REFUSED:
                self.show_requested.emit()
                self._banner.show_message(BannerKind.NOTICE, plan.words, topic=_OPENING)
            case DropKind.BATCH:
                self.batch_requested.emit(plan.paths)
            case DropKind.MODEL | DropKind.OPEN if plan.path is not None:
                self.open(plan.path)

    def paste(self) -> None:
        """Open the file or the pixels on the clipboard."""
        data = QGuiApplication.clipboard().mimeData()
        plan = plan_drop(data)
        if plan.kind is DropKind.REFUSED:
            self.show_requested.emit()
            text = self.tr("There is no picture on the clipboard.")
            self._banner.show_message(BannerKind.NOTICE, text, topic=_OPENING)
        else:
            self.drop(plan, data)

    def add_model(self, path: Path) -> None:
        """Copy a weight file to the user's models and, once that is done, make the result with it."""
        self._install.begin(InstallJob(path), self._on_installed)

    def _on_installed(self, info: ModelInfo) -> None:
        self._models.refresh()
        self._session.set_model(info.name)
        self._banner.show_message(BannerKind.SUCCESS, self.tr("The model {title} is in use.").format(title=info.title))

    def save_as(self) -> None:
        """Ask for a name and write the result there as soon as it is finished."""
        picture, target, model = named = self._result_identity()
        if picture is None:
            return
        options = self._store.current.save_options
        file_format = self._store.current.format
        fallback = self._store.current.save_folder
        is_sample = self._session.is_sample
        suggested = suggested_path(picture, model, target, file_format, fallback, is_sample=is_sample)
        request = ask_where(self._window, suggested, options, picture.source.path)
        if request is None:
            return
        if self._result_identity() != named:  # it changed while the dialog was open
            text = self.tr("{name} was not saved: the picture, size or model changed while you chose a name.")
            self._banner.show_message(BannerKind.NOTICE, text.format(name=file_name(request.path)))
            return
        if picture.source.path is None or is_sample:
            self._store.update(save_folder=str(request.path.parent))
        self._session.save(request)

    def copy(self) -> None:
        """Put the result on the clipboard."""
        result = self._session.result
        if result is None:
            self._show_wait_notice(self.tr("The result can be copied as soon as it is finished."))
            return
        self._session.clipboard.begin(result.picture)

    def drag_out(self) -> None:
        """Let the user drag the result into another program."""
        result, picture = self._session.result, self._session.picture
        if result is None or picture is None:
            self._show_wait_notice(self.tr("The result can be dragged out as soon as it is finished."))
            return
        setup, current = self._session.setup, self._store.current
        source = picture.source.path or Path(PASTED_NAME)
        name = output_name(source, setup.model, self._session.target, current.format)
        self._drag_out.begin(result, name, current.save_options)

    def close(self) -> None:
        """Remove temporary files; call when the window closes."""
        self._drag_out.close()

    def _result_identity(self) -> tuple[Picture | None, Target, str]:
        """What identifies a result: picture, size and model."""
        session = self._session
        return session.picture, session.target, session.setup.model

    def _take(self, data: QMimeData | None) -> None:
        self.show_requested.emit()
        take = take_from(data)
        if take is None:
            text = self.tr("The picture cannot be read in this form. Save it as a file and open that.")
            self._banner.show_message(BannerKind.NOTICE, text, topic=_OPENING)
        else:
            self._session.paste(take, self.tr("pasted picture"))

    def _ask_for_picture(self, title: str) -> Path | None:
        recent = self._store.current.recent
        folder = str(Path(recent[0]).parent) if recent else str(Path.home())
        endings = " ".join(f"*{suffix}" for suffix in sorted(READABLE_SUFFIXES))
        filters = self.tr("Pictures") + f" ({endings});;" + self.tr("All files") + " (*)"
        # A list of fourteen suffixes helps nobody.
        brief = QFileDialog.Option.HideNameFilterDetails
        chosen, _ = QFileDialog.getOpenFileName(self._window, title, folder, filters, options=brief)
        return Path(chosen) if chosen else None

    def _on_opened(self, path: Path | None) -> None:
        if path is not None:
            self._store.add_recent(path)
        self._banner.dismiss_about(_OPENING, _LAYERS, _MAKING, _WAITING)

    def _on_copied(self) -> None:
        self._banner.show_message(BannerKind.SUCCESS, self.tr("The result is on the clipboard."))

    def _on_not_opened(self, report: ErrorReport) -> None:
        if report.through_disk:
            hint = self.tr("The batch can make it, because it works through the disk.")
            report = replace(report, hint=hint)
        self._banner.show_report(report, _OPENING, self._by_batch(report))

    def _on_layer_failed(self, report: ErrorReport) -> None:
        self._banner.show_report(report, _LAYERS, self._by_batch(report))

    def _by_batch(self, report: ErrorReport) -> tuple[str, Callable[[], None]] | None:
        """The banner's action for a picture that fails only for lack of memory, or None."""
        if not report.through_disk:
            return None
        return self.tr("Add to the batch"), lambda: self._add_to_batch(Path(report.path))

    def _add_to_batch(self, path: Path) -> None:
        self._banner.dismiss_about(_OPENING, _LAYERS)
        self.batch_requested.emit([path])

    def _on_layers_changed(self) -> None:
        if not self._session.comparison.stopped:
            self._banner.dismiss_about(_LAYERS)

    def _on_layer_noticed(self, text: str) -> None:
        self._banner.show_message(BannerKind.NOTICE, text, topic=_MAKING)

    def _on_result_changed(self) -> None:
        if self._session.result is not None:
            self._banner.dismiss_about(_WAITING)

    def _on_reference_failed(self, report: ErrorReport) -> None:
        self._banner.show_report(report, _REFERENCE)

    def _on_reference_opened(self) -> None:
        self._banner.dismiss_about(_REFERENCE)

    def _show_wait_notice(self, text: str) -> None:
        self._banner.show_message(BannerKind.NOTICE, text, topic=_WAITING)

    def _on_saved(self, saved: SavedFile, notes: tuple[str, ...]) -> None:
        text = self.tr("Saved {name} ({size})").format(name=file_name(saved.path), size=bytes_text(saved.size_bytes))
        text = " ".join((f"{text}." if notes else text, *notes))
        self._banner.show_message(
            BannerKind.NOTICE if notes else BannerKind.SUCCESS,
            text,
            action=(self.tr("Show in folder"), lambda: show_in_folder(saved.path)),
        )

    def _on_not_saved(self, path: Path) -> None:
        text = self.tr("{name} was not saved: it was cancelled before it was finished.")
        self._banner.show_message(BannerKind.NOTICE, text.format(name=file_name(path)))
