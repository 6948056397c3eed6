"""Workspace "Batch" in the main window, with a real batch whose engine the test holds and releases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QSize, Qt, QTimer, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from tests.core.pipeline.test_run import HeldEngine
from tests.gui.conftest import write_model
from vdsr_app import paths
from vdsr_app.control import PauseGate
from vdsr_app.core.batch import Batch, BatchEvent, BatchOptions, BatchReport, Existing, Item, SourceFacts, State
from vdsr_app.core.batch.journal import Journal
from vdsr_app.core.batch.plan import probe_source
from vdsr_app.core.batch.runner import run_locally
from vdsr_app.core.job import FileFormat, SaveOptions, Target, TargetKind
from vdsr_app.core.naming import DEFAULT_TEMPLATE
from vdsr_app.gui.batch import flow as flow_module
from vdsr_app.gui.batch import page as module
from vdsr_app.gui.batch.flow import Phase
from vdsr_app.gui.batch.options_panel import OptionsPanel
from vdsr_app.gui.batch.page import BatchPage
from vdsr_app.gui.batch.table import Column
from vdsr_app.gui.main_window import MainWindow
from vdsr_app.gui.save_dialog import request_for
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.workers.batch import BatchService
from vdsr_app.workers.batch_jobs import BatchRequest, Handle
from vdsr_app.workers.runner import JobContext

WAIT_MS = 20_000


class Network:
    """Returns the same held engine for every model, and runs batches with it."""

    def __init__(self) -> None:
        self.engine = HeldEngine()

    def get(self, _model: str) -> HeldEngine:
        return self.engine

    def run(
        self,
        request: BatchRequest,
        handle: Handle,
        pause: PauseGate,
        facts: dict[Path, SourceFacts],
        tell: Callable[[BatchEvent], None],
        context: JobContext,
    ) -> BatchReport:
        batch = Batch(request.options, tell, context.token, pause=pause, do_files=run_locally(self))  # type: ignore[arg-type]
        if request.inputs:
            batch.add(request.inputs)
        handle.attach(batch)
        return batch.run(resume=request.resume, retry_failed=request.retry_failed)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def window(make_window: Callable[..., MainWindow], network: Network) -> Iterator[MainWindow]:
    yield make_window(make_batch=lambda: BatchService(run=network.run))
    network.engine.gate = threading.Semaphore(10**6)


@pytest.fixture
def page(window: MainWindow) -> BatchPage:
    window.batch.show_requested.emit()
    return window.batch.page


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two pictures, one of them in a subfolder, and an unreadable file."""
    picture(tmp_path / "in" / "a.png", 1)
    picture(tmp_path / "in" / "sub" / "b.png", 2)
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    return tmp_path / "in"


def planned(qtbot: QtBot, page: BatchPage, *paths: Path) -> None:
    with qtbot.waitSignal(page.flow.planned, timeout=WAIT_MS):
        page.add(paths)
    assert page.phase is Phase.PLANNED


def at_first_picture(qtbot: QtBot, page: BatchPage, network: Network, folder: Path) -> None:
    """Start a batch and return when its first picture waits for the network."""
    network.engine.hold()
    planned(qtbot, page, folder)
    qtbot.mouseClick(page.panel.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: ("a.png", State.WORKING) in states(page), timeout=WAIT_MS)


def test_options_are_disabled_with_a_reason_while_batch_runs(
    qtbot: QtBot, page: BatchPage, network: Network, folder: Path
) -> None:
    choices = (page.options._change, page.options._recursive, page.options._template, page.options._existing)
    tips = [widget.toolTip() for widget in choices]
    at_first_picture(qtbot, page, network, folder)
    assert all(not widget.isEnabled() and "while a batch is running" in widget.toolTip() for widget in choices)
    network.engine.gate = threading.Semaphore(10**6)
    ended(qtbot, page)
    assert [widget.toolTip() for widget in choices] == tips


def ended(qtbot: QtBot, page: BatchPage) -> None:
    qtbot.waitUntil(lambda: page.phase is Phase.ENDED, timeout=WAIT_MS)


def states(page: BatchPage) -> list[tuple[str, State]]:
    return [(item.source.name, item.state) for item in page.table.items]


def cell(page: BatchPage, row: int, column: Column) -> str:
    return str(page.table.data(page.table.index(row, column)))


def test_picture_skipped_as_result_of_another_shows_no_result(qtbot: QtBot, page: BatchPage, tmp_path: Path) -> None:
    path = picture(tmp_path / "a_vdsr_x2.png")
    note = "It is the result of a.png."
    item = Item(0, path, path, probe_source(path), None, "vdsr", State.SKIPPED, note)
    page.table.show_items([item], tmp_path)
    assert cell(page, 0, Column.RESULT) == ""
    assert cell(page, 0, Column.STATE) == f"Skipped: {note}"
    assert not page.table.data(page.table.index(0, Column.RESULT), Qt.ItemDataRole.ToolTipRole)


def test_folder_is_planned_run_reported_and_retried(
    qtbot: QtBot, page: BatchPage, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page.phase is Phase.EMPTY
    assert not page.panel.start.isEnabled()
    planned(qtbot, page, folder)
    assert states(page) == [("a.png", State.QUEUED), ("bad.png", State.FAILED), ("b.png", State.QUEUED)]
    assert cell(page, 0, Column.RESULT) == "a_vdsr_x2.png"
    assert cell(page, 0, Column.SIZE) == "16 × 12 → 32 × 24"  # noqa: RUF001
    assert cell(page, 2, Column.RESULT) == str(Path("sub") / "b_vdsr_x2.png")
    assert "2 pictures to do" in page.panel.text
    assert "1 cannot be done" in page.panel.text
    qtbot.mouseClick(page.panel.start, Qt.MouseButton.LeftButton)
    assert page.phase is Phase.RUNNING
    ended(qtbot, page)
    assert states(page) == [("a.png", State.DONE), ("bad.png", State.FAILED), ("b.png", State.DONE)]
    out = tmp_path / "in upscaled"
    assert (out / "a_vdsr_x2.png").exists()
    assert (out / "sub" / "b_vdsr_x2.png").exists()
    assert "2 done, 0 skipped, 1 failed" in page.banner.text
    assert page.panel.retry.isVisible()

    table = tmp_path / "report.csv"
    monkeypatch.setattr(module.QFileDialog, "getSaveFileName", lambda *_, **__: (str(table.with_suffix("")), ""))
    qtbot.mouseClick(page.panel.report, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(table.exists, timeout=WAIT_MS)

    picture(folder / "bad.png", 3)
    qtbot.mouseClick(page.panel.retry, Qt.MouseButton.LeftButton)
    ended(qtbot, page)
    assert {state for _, state in states(page)} == {State.DONE}


def test_batch_uses_settings_of_single_picture(
    qtbot: QtBot, window: MainWindow, page: BatchPage, folder: Path, tmp_path: Path
) -> None:
    planned(qtbot, page, folder / "a.png")
    assert page.panel.text.startswith("1 picture to do\n")
    assert cell(page, 0, Column.RESULT) == "a_vdsr_x2.png"
    window.session.set_target(Target(TargetKind.SCALE, 3.0))
    window.page.inspector.export.show_options(SaveOptions(FileFormat.JPEG, 80))
    window.page.inspector.export.options_changed.emit(window.page.inspector.export.options)
    assert page.options._result.text() == "3.0× · automatic model · JPEG"  # noqa: RUF001
    qtbot.waitUntil(lambda: cell(page, 0, Column.RESULT) == "a_vdsr_x3.jpg", timeout=WAIT_MS)
    qtbot.waitUntil(lambda: page.phase is Phase.PLANNED, timeout=WAIT_MS)
    qtbot.mouseClick(page.panel.start, Qt.MouseButton.LeftButton)
    ended(qtbot, page)
    with Image.open(folder / "upscaled" / "a_vdsr_x3.jpg") as made:
        assert made.size == (48, 36)


def test_depth_chosen_for_another_format_is_ignored(window: MainWindow, page: BatchPage, store: SettingsStore) -> None:
    export = window.page.inspector.export
    for options, words in (
        (SaveOptions(FileFormat.PNG, bits=16), "PNG · 16 bit"),
        (SaveOptions(FileFormat.AVIF, bits=16), "AVIF"),  # the panel still holds the depth, which it hides
    ):
        export.options_changed.emit(options)
        assert page.options._result.text() == f"2.0× · automatic model · {words}"  # noqa: RUF001
        name = Path(f"/x/a.{options.format}")
        assert window.batch.settings.save == request_for(name, store.current.save_options).options


def test_running_batch_can_be_paused_extended_and_continued(
    qtbot: QtBot, page: BatchPage, network: Network, folder: Path, tmp_path: Path
) -> None:
    at_first_picture(qtbot, page, network, folder)
    qtbot.mouseClick(page.strip._pause, Qt.MouseButton.LeftButton)
    assert page.strip._pause.text() == "Continue"
    assert page.panel.text == "Paused"
    assert page.strip._words.text().startswith("Paused")
    assert cell(page, 0, Column.STATE).startswith("Paused")
    page.add([picture(tmp_path / "late.png", 4)])
    qtbot.waitUntil(lambda: "late.png" in dict(states(page)), timeout=WAIT_MS)
    network.engine.gate = threading.Semaphore(10**6)
    qtbot.waitUntil(lambda: network.engine.tiles > 0, timeout=WAIT_MS)
    assert dict(states(page))["b.png"] is not State.DONE
    qtbot.mouseClick(page.strip._pause, Qt.MouseButton.LeftButton)
    assert page.panel.text == "Running"
    assert not page.strip._words.text().startswith("Paused")
    ended(qtbot, page)
    assert dict(states(page))["late.png"] is State.DONE


def test_failed_thumbnail_does_not_end_batch(
    qtbot: QtBot,
    page: BatchPage,
    network: Network,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def short(path: Path, side_px: int, context: JobContext) -> object:
        raise MemoryError

    at_first_picture(qtbot, page, network, folder)
    monkeypatch.setattr("vdsr_app.workers.thumbnails.thumbnail", short)
    page._service.make_thumbnail(folder / "a.png", 32)
    qtbot.waitUntil(lambda: "thumbnail could not be made" in caplog.text, timeout=WAIT_MS)
    assert page.phase is Phase.RUNNING
    network.engine.gate = threading.Semaphore(10**6)
    ended(qtbot, page)


def test_dropped_thumbnail_is_requested_again(qtbot: QtBot, page: BatchPage, folder: Path) -> None:
    planned(qtbot, page, folder)
    index, path = page.table.index(0, Column.NAME), folder / "a.png"
    page.table.data(index, Qt.ItemDataRole.DecorationRole)  # already requested, finished or pending
    page._service.thumbnail_dropped.emit(path)
    with qtbot.waitSignal(page.table.thumbnail_requested, timeout=WAIT_MS) as wanted:
        page.table.data(index, Qt.ItemDataRole.DecorationRole)
    assert wanted.args == [path]


def test_failed_report_does_not_end_batch(
    qtbot: QtBot, page: BatchPage, network: Network, folder: Path, tmp_path: Path
) -> None:
    at_first_picture(qtbot, page, network, folder)
    # As if it was requested at the end of a batch, and another batch was started before it was written.
    page._service.write_report(tmp_path / "in", tmp_path / "nowhere" / "table.csv")
    qtbot.waitUntil(lambda: "folder does not exist" in page.banner.text, timeout=WAIT_MS)
    assert page.phase is Phase.RUNNING
    network.engine.gate = threading.Semaphore(10**6)
    ended(qtbot, page)


def test_cancelled_batch_can_be_resumed_after_another_message(
    qtbot: QtBot, page: BatchPage, network: Network, folder: Path, tmp_path: Path
) -> None:
    cancelled(qtbot, page, network, folder)
    assert "Finished results are kept" in page.banner.text
    page._service.write_report(page.flow.output, tmp_path / "report.csv")
    qtbot.waitUntil(lambda: page.banner.text == "Saved report.csv.", timeout=WAIT_MS)
    qtbot.mouseClick(page.panel.resume, Qt.MouseButton.LeftButton)
    assert page.phase is Phase.RUNNING
    ended(qtbot, page)
    assert not page.panel.resume.isVisible()
    assert [state for _, state in states(page)].count(State.DONE) == 2


@pytest.mark.parametrize(
    ("known", "words"), [(True, "Stopped with 2 pictures left"), (False, "Stopped before all pictures were checked")]
)
def test_cancelled_batch_reports_what_is_left_and_no_later_activity(
    qtbot: QtBot,
    page: BatchPage,
    window: MainWindow,
    network: Network,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    known: bool,
    words: str,
) -> None:
    at_first_picture(qtbot, page, network, folder)
    monkeypatch.setattr(Handle, "planned", known)
    window.workspaces.show_page(window.page)
    page.cancel()
    assert page.panel.text == words
    assert dict(states(page))["a.png"] is State.QUEUED
    network.engine.gate = threading.Semaphore(10**6)
    with qtbot.waitSignal(page._service.ended, timeout=WAIT_MS):
        page.flow.start()  # begins when the stopped batch has ended
        reported: list[str] = []
        page.activity_changed.connect(reported.append)
        page._service.events_received.connect(lambda events: reported.extend(type(event).__name__ for event in events))
    assert reported[0] == "Planned"


def cancelled(qtbot: QtBot, page: BatchPage, network: Network, folder: Path) -> None:
    """Start a batch and cancel it at its first picture."""
    at_first_picture(qtbot, page, network, folder)
    qtbot.mouseClick(page.strip._cancel, Qt.MouseButton.LeftButton)
    ended(qtbot, page)
    network.engine.gate = threading.Semaphore(10**6)


def test_new_plan_withdraws_offer_to_resume(
    qtbot: QtBot, window: MainWindow, page: BatchPage, network: Network, folder: Path, tmp_path: Path
) -> None:
    cancelled(qtbot, page, network, folder)
    window.session.set_target(Target(TargetKind.SCALE, 3.0))
    qtbot.mouseClick(page.options._recursive, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    qtbot.waitUntil(lambda: page.phase is Phase.PLANNED, timeout=WAIT_MS)
    assert page.banner.text == ""
    qtbot.mouseClick(page.panel.start, Qt.MouseButton.LeftButton)
    ended(qtbot, page)
    with Image.open(tmp_path / "in upscaled" / "a_vdsr_x3.png") as made:
        assert made.size == (48, 36)
    assert not (tmp_path / "in upscaled" / "a_vdsr_x2.png").exists()


def test_choosing_folder_keeps_stored_folder_of_stopped_batch(
    qtbot: QtBot, page: BatchPage, store: SettingsStore, network: Network, folder: Path, tmp_path: Path
) -> None:
    cancelled(qtbot, page, network, folder)
    page.choose_folder(tmp_path / "elsewhere")
    qtbot.waitUntil(lambda: page.phase is Phase.PLANNED, timeout=WAIT_MS)
    assert page.banner.text == ""
    assert store.current.batch_folder == str(tmp_path / "in upscaled")


def test_failed_plan_reports_reason_and_can_be_retried(
    qtbot: QtBot, page: BatchPage, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "in upscaled").mkdir()
    other = Journal(tmp_path / "in upscaled")  # another window's batch
    page.add([folder])
    qtbot.waitUntil(lambda: page.phase is Phase.UNPLANNED, timeout=WAIT_MS)
    assert "Another batch is writing" in page.banner.text
    assert "Another batch is writing" in page.panel.text
    assert not page.panel.start.isEnabled()
    assert page.panel.start.toolTip() == "The pictures could not be checked"
    other.close()
    qtbot.mouseClick(page.panel.again, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.phase is Phase.PLANNED, timeout=WAIT_MS)
    assert page.banner.text == ""
    assert page.panel.start.isEnabled()
    assert not page.panel.again.isVisible()


def test_batch_that_fails_to_start_keeps_its_plan_and_reports_reason(
    qtbot: QtBot, page: BatchPage, folder: Path, tmp_path: Path
) -> None:
    planned(qtbot, page, folder)
    plan, rows = page.panel.text, states(page)
    other = Journal(tmp_path / "in upscaled")  # another window's batch
    with qtbot.waitSignal(page.flow.failed, timeout=WAIT_MS):
        page.panel.start.click()
    assert "Another batch is writing" in page.banner.text
    assert (page.phase, page.panel.text, states(page)) == (Phase.PLANNED, plan, rows)
    assert page.panel.start.isEnabled()
    other.close()
    page.panel.start.click()
    ended(qtbot, page)
    assert ("a.png", State.DONE) in states(page)


def test_batch_that_fails_to_continue_keeps_pictures_and_can_be_resumed(
    qtbot: QtBot, page: BatchPage, folder: Path, tmp_path: Path
) -> None:
    planned(qtbot, page, folder)
    page.panel.start.click()
    ended(qtbot, page)
    rows = states(page)
    other = Journal(tmp_path / "in upscaled")
    with qtbot.waitSignal(page.flow.failed, timeout=WAIT_MS):
        page.panel.retry.click()
    assert "Another batch is writing" in page.banner.text
    assert states(page) == rows
    assert page.panel.text == "The batch could not continue"
    other.close()
    page.panel.resume.click()
    ended(qtbot, page)
    assert states(page) == rows


def test_choice_for_existing_results_is_visible_in_smallest_window(
    qtbot: QtBot, window: MainWindow, page: BatchPage, folder: Path
) -> None:
    planned(qtbot, page, folder)
    window.resize(window.minimumSizeHint().expandedTo(QSize(780, 540)))
    choice = page.options._existing
    qtbot.waitUntil(lambda: choice.visibleRegion().boundingRect() == choice.rect())


def test_interrupted_batch_is_offered_at_next_start(
    qtbot: QtBot, store: SettingsStore, window: MainWindow, folder: Path, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "out")
    journal.begin(BatchOptions(tmp_path / "out"))
    journal.add_inputs([folder])
    journal.close()
    store.update(batch_folder=str(tmp_path / "out"))
    window.batch.show_requested.emit()
    page = window.batch.page
    qtbot.waitUntil(lambda: "was interrupted" in page.banner.text, timeout=WAIT_MS)
    window.session.set_target(Target(TargetKind.SCALE, 3.0))  # the offered batch keeps the options it was begun with
    page.choose_folder(tmp_path / "elsewhere")
    qtbot.mouseClick(page.banner._action_button, Qt.MouseButton.LeftButton)
    ended(qtbot, page)
    assert (tmp_path / "out" / "sub" / "b_vdsr_x2.png").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_example_name_fills_every_template_field(qtbot: QtBot) -> None:
    panel = OptionsPanel()
    qtbot.addWidget(panel)
    template = "{name}_{model}_{target}_{scale}_{width}x{height}_{number}_{folder}_{type}"
    panel.show_choices(template, Existing.SKIP, recursive=True)
    assert panel._sample.text() == "For example: photo_vdsr_x2_2_2000x1600_1_photos_jpg.png"
    source, out = Path("/in/birds/a.TIF"), Path("/out")
    item = Item(2, source, out / "a_vdsr_x2.png", SourceFacts(None, 10, 20), None, "vdsr")
    panel.show_example(item, BatchOptions(out))
    assert panel._sample.text() == "For example: a_vdsr_x2_2_20x40_3_birds_tif.png"


def test_example_name_matches_planned_result(qtbot: QtBot, window: MainWindow, page: BatchPage, tmp_path: Path) -> None:
    write_model(paths.models_dir() / "photo.safetensors", "Photo")
    folder = tmp_path / "in"
    picture(folder / "a.png", 1)
    (folder / "a.jpeg").write_bytes(b"no picture")
    picture(folder / "a.jpg", 2)
    planned(qtbot, page, folder)
    assert [cell(page, row, Column.RESULT) for row in (1, 2)] == ["a_jpg_photo_x2.png", "a_png_vdsr_x2.png"]
    assert page.options._sample.text() == "For example: a_jpg_photo_x2.png"
    QTest.keyClicks(page.options._template, "{model}-{name}")
    assert page.options._sample.text() == "For example: photo-a.png"
    qtbot.waitUntil(lambda: page.options._sample.text() == "For example: photo-a_jpg.png", timeout=WAIT_MS)
    window.session.set_model("mine")
    assert page.options._sample.text() == "For example: mine-a.png"


def test_options_change_plan_and_are_stored(
    qtbot: QtBot, page: BatchPage, store: SettingsStore, folder: Path, tmp_path: Path
) -> None:
    planned(qtbot, page, folder)
    QTest.keyClicks(page.options._template, "{number:02}-{name}")
    assert page.options._sample.text() == "For example: 01-a.png"
    qtbot.waitUntil(lambda: cell(page, 0, Column.RESULT) == "01-a.png", timeout=WAIT_MS)
    qtbot.waitUntil(lambda: page.phase is Phase.PLANNED, timeout=WAIT_MS)
    qtbot.mouseClick(page.options._recursive, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    qtbot.waitUntil(lambda: len(page.table.items) == 2, timeout=WAIT_MS)
    page.choose_folder(tmp_path / "elsewhere")
    qtbot.waitUntil(lambda: page.table.items[0].output.parent == tmp_path / "elsewhere", timeout=WAIT_MS)
    assert (store.current.batch_template, store.current.batch_recursive) == ("{number:02}-{name}", False)
    assert store.current.batch_existing == Existing.SKIP
    QTest.keyClicks(page.options._template, "{wrong}")
    assert "no field" in page.options._sample.text()


def test_template_typed_just_before_start_is_used_without_replanning(
    qtbot: QtBot, page: BatchPage, store: SettingsStore, folder: Path
) -> None:
    planned(qtbot, page, folder)
    QTest.keyClicks(page.options._template, "{number:02}-{name}")
    page.begin()
    assert store.current.batch_template == "{number:02}-{name}"
    waiting = [timer for timer in page.findChildren(QTimer) if timer.isActive()]
    assert not any(timer.parent() in (page.options, page.flow) for timer in waiting)
    qtbot.waitUntil(lambda: page.phase is Phase.ENDED, timeout=WAIT_MS)
    assert cell(page, 0, Column.RESULT) == "01-a.png"


def test_invalid_template_blocks_start_but_other_options_are_stored(
    qtbot: QtBot, page: BatchPage, store: SettingsStore, folder: Path
) -> None:
    planned(qtbot, page, folder)
    assert page.panel.start.isEnabled()
    QTest.keyClicks(page.options._template, "{wrong}")
    assert not page.panel.start.isEnabled()
    assert "There is no field '{wrong}'" in page.panel.start.toolTip()
    qtbot.mouseClick(page.options._recursive, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert (store.current.batch_template, store.current.batch_recursive) == (DEFAULT_TEMPLATE, False)
    assert (page.options.template, page.options.recursive) == ("{wrong}", False)
    page.options._template.clear()
    QTest.keyClicks(page.options._template, "{name}")
    qtbot.waitUntil(lambda: cell(page, 0, Column.RESULT) == "a.png", timeout=WAIT_MS)
    assert len(page.table.items) == 2
    qtbot.waitUntil(lambda: store.current.batch_template == "{name}", timeout=WAIT_MS)
    qtbot.waitUntil(page.panel.start.isEnabled, timeout=WAIT_MS)


def test_plan_made_while_template_is_invalid_cannot_be_started(qtbot: QtBot, page: BatchPage, folder: Path) -> None:
    page.add([folder])
    QTest.keyClicks(page.options._template, "{wrong}")
    qtbot.waitUntil(lambda: page.phase is Phase.PLANNED, timeout=WAIT_MS)
    assert not page.panel.start.isEnabled()
    page.options.show_choices(DEFAULT_TEMPLATE, Existing.SKIP, recursive=True)
    assert page.panel.start.isEnabled()


def test_changed_and_reset_preferences_update_planned_batch(
    qtbot: QtBot, window: MainWindow, page: BatchPage, store: SettingsStore, folder: Path
) -> None:
    planned(qtbot, page, folder)
    store.update(device="cpu", precision="fp32", format=FileFormat.TIFF, batch_existing="rename")
    qtbot.waitUntil(lambda: cell(page, 0, Column.RESULT) == "a_vdsr_x2.tif", timeout=WAIT_MS)
    chosen = page.options.options
    assert chosen is not None
    assert (chosen.settings.device, chosen.settings.precision) == ("cpu", "fp32")
    assert chosen.existing is Existing.RENAME
    window._preferences.reset()
    chosen = page.options.options
    assert chosen is not None
    assert chosen.settings.device == "auto"
    assert chosen.settings.save.format is FileFormat.PNG
    assert chosen.existing is Existing.SKIP
    qtbot.waitUntil(lambda: cell(page, 0, Column.RESULT) == "a_vdsr_x2.png", timeout=WAIT_MS)


def test_typed_template_is_kept_when_another_setting_changes(page: BatchPage, store: SettingsStore) -> None:
    QTest.keyClicks(page.options._template, "{name}-")
    store.update(quality=77)
    assert page.options._template.text() == "{name}-"


def test_folder_can_be_added_again_after_batch_ended(
    qtbot: QtBot, page: BatchPage, folder: Path, tmp_path: Path
) -> None:
    planned(qtbot, page, folder)
    qtbot.mouseClick(page.panel.start, Qt.MouseButton.LeftButton)
    ended(qtbot, page)
    picture(folder / "new.png", 5)
    planned(qtbot, page, folder)
    assert ("new.png", State.QUEUED) in states(page)
    assert ("a.png", State.SKIPPED) in states(page)
    assert page.panel.start.isEnabled()


def test_folder_added_again_adds_its_new_pictures(
    qtbot: QtBot, page: BatchPage, network: Network, folder: Path
) -> None:
    planned(qtbot, page, folder)
    picture(folder / "new.png", 5)
    planned(qtbot, page, folder)
    assert [name for name, _ in states(page)] == ["a.png", "bad.png", "new.png", "b.png"]
    network.engine.hold()
    qtbot.mouseClick(page.panel.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: ("a.png", State.WORKING) in states(page), timeout=WAIT_MS)
    picture(folder / "newer.png", 6)
    page.add([folder])
    qtbot.waitUntil(lambda: "newer.png" in dict(states(page)), timeout=WAIT_MS)
    network.engine.gate = threading.Semaphore(10**6)
    ended(qtbot, page)
    assert len(states(page)) == 5
    assert dict(states(page))["newer.png"] is State.DONE


def test_result_folder_is_inside_drive_or_beside_folder(tmp_path: Path) -> None:
    drive = Path(tmp_path.anchor)
    assert flow_module._folder_beside(drive) == drive / "upscaled"
    assert flow_module._folder_beside(tmp_path) == tmp_path.with_name(f"{tmp_path.name} upscaled")


def test_drop_goes_to_picture_or_batch_by_content_and_workspace(qtbot: QtBot, window: MainWindow, folder: Path) -> None:
    def drop(*paths: Path) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        window.dropEvent(QDropEvent(QPoint(10, 10).toPointF(), Qt.DropAction.CopyAction, data, buttons, keys))

    drop(folder / "a.png")
    assert window.workspaces.current is window.page
    assert window.session.opening == "a.png"
    drop(folder)
    page = window.batch.page
    assert window.workspaces.current is window.batch.host
    qtbot.waitUntil(lambda: len(page.table.items) == 3, timeout=WAIT_MS)
    drop(picture(folder.parent / "one.png"))
    qtbot.waitUntil(lambda: len(page.table.items) == 4, timeout=WAIT_MS)


def test_batch_service_and_page_are_not_created_before_use(window: MainWindow) -> None:
    assert window.batch._service is None
    assert window.batch._page is None


def test_running_batch_shows_in_status_bar_and_asks_before_closing(
    qtbot: QtBot, window: MainWindow, page: BatchPage, network: Network, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_first_picture(qtbot, page, network, folder)
    window.workspaces.show_page(window.page)
    network.engine.gate.release()
    qtbot.waitUntil(window.status._batch.isVisible, timeout=WAIT_MS)
    assert window.status._batch.text().startswith("Batch ")
    asked: list[bool] = []

    def answer(_parent: object, paused: bool) -> bool:
        asked.append(paused)
        return False

    monkeypatch.setattr("vdsr_app.gui.batch_commands.ask_about_batch", answer)
    assert not window.close()
    page.flow.pause_or_continue()
    assert window.status._batch.text().endswith(" · paused")
    assert not window.close()
    assert asked == [False, True]
    qtbot.mouseClick(window.status._batch, Qt.MouseButton.LeftButton)
    assert window.workspaces.current is window.batch.host
    assert not window.status._batch.isVisible()


def focused(page: BatchPage) -> str:
    """Return the text of the button that has the focus, or the type of another widget."""
    widget = page.window().focusWidget()
    return widget.text() if isinstance(widget, QAbstractButton) else type(widget).__name__


def test_focus_follows_batch_from_plan_to_end(
    qtbot: QtBot, page: BatchPage, network: Network, folder: Path, tmp_path: Path
) -> None:
    network.engine.hold()
    planned(qtbot, page, folder)
    assert focused(page) == "Start"
    planned(qtbot, page, picture(tmp_path / "more.png", 4))
    assert focused(page) == "Start"
    QTest.keyClick(page.panel.start, Qt.Key.Key_Space)
    assert focused(page) == "Pause"
    qtbot.waitUntil(lambda: ("a.png", State.WORKING) in states(page), timeout=WAIT_MS)
    page.strip._cancel.setFocus()
    QTest.keyClick(page.strip._cancel, Qt.Key.Key_Space)
    ended(qtbot, page)
    assert focused(page) == "Resume"
    page.list.clear.setFocus()
    QTest.keyClick(page.list.clear, Qt.Key.Key_Space)
    assert focused(page) == "Add folder…"


def test_focus_follows_batch_that_fails_to_plan_or_is_empty(
    qtbot: QtBot, page: BatchPage, folder: Path, tmp_path: Path
) -> None:
    planned(qtbot, page, folder)
    other = Journal(tmp_path / "in upscaled")
    with qtbot.waitSignal(page.flow.plan_failed, timeout=WAIT_MS):
        page.add([picture(tmp_path / "more.png", 4)])
    assert focused(page) == "Try again"
    other.close()
    page.list.clear.click()
    (tmp_path / "nothing").mkdir()
    with qtbot.waitSignal(page.flow.planned, timeout=WAIT_MS):
        page.add([tmp_path / "nothing"])
    assert focused(page) == "Add folder…"


def test_start_button_has_focus_for_folder_given_at_application_start(
    qtbot: QtBot, make_window: Callable[..., MainWindow], network: Network, folder: Path
) -> None:
    window = make_window(folder, make_batch=lambda: BatchService(run=network.run))
    window.start()
    page = window.batch.page
    qtbot.waitUntil(lambda: page.phase is Phase.PLANNED, timeout=WAIT_MS)
    assert focused(page) == "Start"


def test_batch_does_not_take_focus_from_other_widgets(
    qtbot: QtBot, window: MainWindow, page: BatchPage, network: Network, folder: Path
) -> None:
    page.options._template.setFocus()
    planned(qtbot, page, folder)
    QTest.keyClicks(page.options._template, "{name}")
    qtbot.waitUntil(lambda: cell(page, 0, Column.RESULT) == "a.png", timeout=WAIT_MS)
    assert page.options._template.hasFocus()
    network.engine.hold()
    page.flow.start()
    qtbot.waitUntil(lambda: ("a.png", State.WORKING) in states(page), timeout=WAIT_MS)
    window.workspaces.show_page(window.page)
    network.engine.gate = threading.Semaphore(10**6)
    ended(qtbot, page)
    assert window.page.isAncestorOf(window.focusWidget())


def test_menu_commands_control_batch_and_match_its_state(
    qtbot: QtBot, window: MainWindow, page: BatchPage, network: Network, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = window.commands
    assert not c.run.isEnabled()
    assert "Add pictures first" in c.run.toolTip()
    network.engine.hold()
    planned(qtbot, page, folder)
    assert c.run.isEnabled()
    assert not c.batch_pause.isEnabled()
    c.run.trigger()
    qtbot.waitUntil(lambda: ("a.png", State.WORKING) in states(page), timeout=WAIT_MS)
    assert not c.run.isEnabled()
    c.batch_pause.trigger()
    assert page.flow.paused
    assert c.batch_pause.text() == "Continue the batch"
    c.batch_pause.trigger()
    window.workspaces.show_page(window.page)
    assert "switch to Upscale" not in c.cancel.toolTip()  # the command now applies to the picture
    assert c.batch_pause.isEnabled()
    window.workspaces.show_page(window.batch.host)
    c.cancel.trigger()
    assert not c.cancel.isEnabled()
    ended(qtbot, page)
    assert not c.batch_pause.isEnabled()
    network.engine.gate = threading.Semaphore(10**6)
    c.run.trigger()
    ended(qtbot, page)
    assert not c.run.isEnabled()
    window.workspaces.show_page(window.page)
    picture(folder / "bad.png", 3)
    c.batch_retry.trigger()
    assert window.workspaces.current is window.batch.host
    ended(qtbot, page)
    assert not c.batch_retry.isEnabled()
    asked: list[bool] = []
    monkeypatch.setattr(module, "ask_for_name", lambda *_: asked.append(True))
    c.batch_report.trigger()
    assert asked == [True]
    c.batch_clear.trigger()
    assert page.phase is Phase.EMPTY
    assert not c.batch_clear.isEnabled()


def test_finished_picture_does_not_change_commands_in_batch_workspace(
    qtbot: QtBot, window: MainWindow, page: BatchPage, folder: Path
) -> None:
    planned(qtbot, page, folder)
    window.session.result_changed.emit()
    assert window.commands.run.isEnabled()
    assert not window.commands.save.isEnabled()
    window.workspaces.show_page(window.training.host)
    assert window.training.close(5000)
    assert not window.commands.run.isEnabled()
    assert "switch to Upscale or Batch first" in window.commands.run.toolTip()
