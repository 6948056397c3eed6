"""Describes running work in one line: progress and time left."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from vdsr_app.gui.comparison import BICUBIC, LayerState
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.session import Session
from vdsr_app.gui.status_line import Activity
from vdsr_app.gui.texts import file_name, megapixels_text, number, progress_text
from vdsr_app.workers.messages import JobProgress, LayerKind, LayerSpec


class ActivityMonitor(QObject):
    """Watches a session.

    Signals:
        changed: the `Activity` to show, or None while nothing runs.
    """

    changed = Signal(object)

    def __init__(self, session: Session, models: ModelList, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._models = models
        self._layers: dict[LayerSpec, JobProgress] = {}
        self._files: dict[Path, JobProgress] = {}
        session.comparison.progressed.connect(self._on_layer_progressed)
        session.comparison.changed.connect(self._update)
        session.exporter.progressed.connect(self._on_file_progressed)
        session.exporter.changed.connect(self._update)
        session.clipboard.changed.connect(self._update)
        session.opening_changed.connect(self._update)

    @property
    def activity(self) -> Activity | None:
        """The running activity, the most important one if there are several, or None."""
        session = self._session
        if session.opening is not None:
            cancel = self.tr("Cancel opening {name}").format(name=session.opening)
            return Activity(self.tr("Opening {name}").format(name=session.opening), cancel=cancel)
        for spec in dict.fromkeys((session.result_spec, session.setup.right, session.setup.left, BICUBIC)):
            if session.comparison.state(spec) is LayerState.RUNNING:
                return self._layer_activity(spec)
        for path in session.exporter.saving:
            progress = self._files.get(path)
            text = self.tr("Saving {name}").format(name=file_name(path))
            text = text if progress is None else f"{text} · {progress_text(progress)}"
            return Activity(text, _fraction(progress), self.tr("Cancel saving {name}").format(name=file_name(path)))
        if session.clipboard.running:
            return Activity(self.tr("Copying the result"), cancel=self.tr("Cancel copying"))
        return None

    @property
    def note(self) -> str:
        """Text shown while nothing runs: how the last run ended."""
        session = self._session
        result, size = session.result, session.size
        if session.picture is None or size is None:
            return ""
        if session.comparison.state(session.result_spec) is LayerState.STOPPED:
            return self.tr("Stopped. Press F5 to continue.")
        if result is None:
            return ""
        area = megapixels_text(size.width * size.height)
        time = self.tr("{seconds} s").format(seconds=number(result.seconds, 1))
        return f"{self._models.label(result.layer)} · {area} · {time}"

    def _layer_activity(self, spec: LayerSpec) -> Activity:
        progress, size = self._layers.get(spec), self._session.size
        parts = [self._models.label(spec)]
        if size is not None:
            parts.append(megapixels_text(size.width * size.height))
        parts.append(self._waiting_text(spec) if progress is None else progress_text(progress))
        pending = self._session.exporter.pending
        if pending is not None:
            parts.append(self.tr("then saves {name}").format(name=file_name(pending.path)))
        name = self._picture_name()
        return Activity(
            " · ".join(parts),
            _fraction(progress),
            self.tr("Cancel upscaling {name}").format(name=name),
            self.tr("Upscaling {name}").format(name=name),
        )

    def _waiting_text(self, spec: LayerSpec) -> str:
        if spec.kind is LayerKind.MODEL and self._session.comparison.fitting:
            return self.tr("tuning the network for this processor (first run only)")
        return self.tr("starting")

    def _picture_name(self) -> str:
        picture = self._session.picture
        if self._session.is_sample:
            return self.tr("the sample picture")
        if picture is None or picture.source.path is None:
            return self.tr("the pasted picture")
        return file_name(picture.source.path)

    def _on_layer_progressed(self, spec: LayerSpec, progress: JobProgress) -> None:
        self._layers[spec] = progress
        self._update()

    def _on_file_progressed(self, path: Path, progress: JobProgress) -> None:
        self._files[path] = progress
        self._update()

    def _update(self) -> None:
        running = self._session.comparison
        self._layers = {s: p for s, p in self._layers.items() if running.state(s) is LayerState.RUNNING}
        self._files = {path: p for path, p in self._files.items() if path in self._session.exporter.saving}
        self.changed.emit(self.activity)


def _fraction(progress: JobProgress | None) -> float | None:
    return None if progress is None or progress.total == 0 else progress.done / progress.total
