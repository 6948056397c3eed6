"""Drops, pastes, copies, drags, suggested file names, and confirmation before a file is replaced."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QMimeData, Qt, QTemporaryDir, QUrl
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QDoubleSpinBox, QFileDialog, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.conftest import write_model
from tests.gui.fakes import FakeService, as_opened, make_picture, pyramid_of
from tests.gui.questions import answer
from vdsr_app.core.job import FileFormat, SaveOptions, Target, TargetKind
from vdsr_app.gui.drag_out import DragOut
from vdsr_app.gui.drops import DropKind, local_paths, plan_drop
from vdsr_app.gui.exporter import SaveRequest
from vdsr_app.gui.main_window import MainWindow
from vdsr_app.gui.save_dialog import ask_where, request_for, suggested_path
from vdsr_app.gui.settings import SettingsStore
from vdsr_app.workers.messages import (
    CopyJob,
    ErrorReport,
    LayerJob,
    LayerKind,
    LayerResult,
    LayerSpec,
    OpenJob,
    SaveJob,
)

OPTIONS = SaveOptions(FileFormat.PNG)


def urls(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


# Drop plans


def test_plan_drop_opens_single_file_with_any_suffix(tmp_path: Path) -> None:
    plan = plan_drop(urls(touch(tmp_path / "<b>.xyz")))
    assert (plan.kind, plan.path, plan.words) == (DropKind.OPEN, tmp_path / "<b>.xyz", "Open <b>.xyz")


def test_plan_drop_uses_model_file(tmp_path: Path) -> None:
    plan = plan_drop(urls(touch(tmp_path / "m.SafeTensors")))
    assert (plan.kind, plan.words) == (DropKind.MODEL, "Use the model m.SafeTensors")


def test_plan_drop_adds_several_pictures_to_batch(tmp_path: Path) -> None:
    files = [touch(tmp_path / name) for name in ("a.png", "b.jpg", "notes.txt", "c.tif")]
    plan = plan_drop(urls(*files))
    assert (plan.kind, plan.paths) == (DropKind.BATCH, (files[0], files[1], files[3]))
    assert plan.words == "Add 3 to the batch"


def test_plan_drop_adds_folder_to_batch(tmp_path: Path) -> None:
    plan = plan_drop(urls(tmp_path))
    assert (plan.kind, plan.paths) == (DropKind.BATCH, (tmp_path,))
    assert plan.words == f"Add {tmp_path.name} to the batch"


def test_plan_drop_rejects_text_remote_urls_and_files_without_pictures(tmp_path: Path) -> None:
    assert plan_drop(urls(touch(tmp_path / "a.txt"), touch(tmp_path / "b.txt"))).kind is DropKind.REFUSED
    data = QMimeData()
    data.setText("hello")
    assert plan_drop(data).kind is DropKind.REFUSED
    data = QMimeData()
    data.setUrls([QUrl("https://example.com/a.png")])
    assert plan_drop(data).kind is DropKind.REFUSED


@pytest.mark.skipif(os.name == "nt", reason="names are always text there")
def test_local_paths_finds_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 1.png"))
    path.write_bytes(b"x")
    data = QMimeData()
    encoded = os.fsencode(path).replace(b"\xe9", b"%E9").replace(b" ", b"%20")
    data.setData("text/uri-list", QByteArray(b"file://" + encoded + b"\r\n"))
    assert local_paths(data) == [path]


# Suggested names


def test_suggested_path_is_beside_the_source(tmp_path: Path) -> None:
    picture = make_picture(4, 4, path=tmp_path / "photo.jpg")
    path = suggested_path(picture, "vdsr", Target(TargetKind.SCALE, 2.5), FileFormat.JPEG, "")
    assert path == tmp_path / "photo_vdsr_x2.5.jpg"


def test_suggested_path_of_pasted_picture_is_in_fallback_folder(tmp_path: Path) -> None:
    path = suggested_path(make_picture(4, 4), "vdsr", Target(), FileFormat.PNG, str(tmp_path))
    assert path == tmp_path / "pasted_vdsr_x2.png"
    assert suggested_path(make_picture(4, 4), "vdsr", Target(), FileFormat.PNG, "").parent.is_dir()


def test_suggested_path_of_sample_is_in_last_save_folder(
    make_window: MakeWindow,
    service: FakeService,
    store: SettingsStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    store.update(save_folder=str(tmp_path))
    window = make_window()
    window.start()
    job = service.jobs[service.find(OpenJob)]
    assert isinstance(job, OpenJob)
    # The folder of a checkout or portable copy is writable.
    sample = make_picture(20, 10, path=touch(tmp_path / "program" / job.path.name))
    service.open_with(sample)
    offered: list[str] = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **_k: (offered.append(a[2]) or a[2], ""))
    window.commands.save.trigger()
    assert offered == [str(tmp_path / "sample_vdsr_x2.png")]
    assert store.current.save_folder == str(tmp_path)


@pytest.mark.parametrize(
    ("typed", "name", "file_format"),
    [
        ("a.jpg", "a.jpg", FileFormat.JPEG),
        ("a.jfif", "a.jfif", FileFormat.JPEG),
        ("a.TIFF", "a.TIFF", FileFormat.TIFF),
        ("a", "a.png", FileFormat.PNG),
        ("a.v2", "a.v2.png", FileFormat.PNG),
    ],
)
def test_request_for_takes_format_from_known_suffix_or_appends_one(
    typed: str, name: str, file_format: FileFormat
) -> None:
    request = request_for(Path("/x") / typed, OPTIONS)
    assert (request.path.name, request.options.format) == (name, file_format)


def test_request_for_keeps_16_bits_only_for_formats_that_support_them() -> None:
    deep = SaveOptions(FileFormat.PNG, bits=16)
    assert request_for(Path("/x/a.png"), deep).options.bits == 16
    assert request_for(Path("/x/a.jpg"), deep).options.bits is None


# Confirmation


class Answers:
    """Answers file dialogs with successive names, and all questions with the same button."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, names: list[str], click: str) -> None:
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (names.pop(0), ""))
        self.questions = answer(monkeypatch, click)


@pytest.fixture
def parent(qtbot: QtBot) -> QWidget:
    widget = QWidget()
    qtbot.addWidget(widget)
    return widget


@pytest.mark.parametrize("link", ["same", "symlink", "hardlink"])
def test_ask_where_replaces_source_only_when_confirmed(
    parent: QWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    source = touch(tmp_path / "a.png")
    name = source if link == "same" else tmp_path / "b.png"
    if link == "symlink":
        name.symlink_to(source)
    elif link == "hardlink":
        name.hardlink_to(source)
    other = tmp_path / "c.png"
    answers = Answers(monkeypatch, [str(name), str(other)], "Choose another name")
    request = ask_where(parent, other, OPTIONS, source)
    assert answers.questions == [f"{name.name} is the picture you opened."]
    assert request is not None
    assert request.path == other

    Answers(monkeypatch, [str(name)], "Replace the original")
    request = ask_where(parent, other, OPTIONS, source)
    assert request is not None
    assert request.path == name


@pytest.mark.parametrize("typed", ["a.v2", "a.v2.png"])
def test_ask_where_confirms_replacing_existing_file_once(
    parent: QWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    touch(tmp_path / "a.v2.png")
    answers = Answers(monkeypatch, [str(tmp_path / typed)], "Replace")
    assert ask_where(parent, tmp_path / "x.png", OPTIONS, None) is not None
    assert answers.questions == ["a.v2.png already exists."]


def test_ask_where_returns_none_when_cancelled(
    parent: QWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Answers(monkeypatch, [""], "")
    assert ask_where(parent, tmp_path / "x.png", OPTIONS, None) is None


# In the window

MakeWindow = Callable[..., MainWindow]


def test_several_dropped_files_are_added_to_batch(qtbot: QtBot, make_window: MakeWindow, tmp_path: Path) -> None:
    window = make_window()
    files = [touch(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    window.files.drop(plan_drop(urls(*files)), urls(*files))
    assert window.workspaces.current is window.batch.host
    table = window.batch.page.table
    qtbot.waitUntil(lambda: [item.source for item in table.items] == files, timeout=20_000)


def test_picture_too_large_for_memory_is_offered_to_batch(
    qtbot: QtBot, make_window: MakeWindow, service: FakeService, tmp_path: Path
) -> None:
    window = make_window()
    large = touch(tmp_path / "large.png")
    window.files.open(large)
    service.fail_with(OpenJob, ErrorReport("It is large.", str(large), "Make it smaller.", through_disk=True))
    banner = window.page.banner
    assert banner.text == "large.png: It is large. The batch can make it, because it works through the disk."
    (offer,) = (b for b in banner.findChildren(QPushButton) if b.text() == "Add to the batch")
    offer.click()
    assert window.workspaces.current is window.batch.host
    assert banner.text == ""
    table = window.batch.page.table
    qtbot.waitUntil(lambda: [item.source for item in table.items] == [large], timeout=20_000)
    window.files.open(tmp_path / "huge.png")
    service.fail_with(OpenJob, ErrorReport("It is huge.", "huge.png", "Cut it."))
    assert banner.text.endswith("huge.png: It is huge. Cut it.")
    assert not offer.isVisibleTo(banner)


def test_dropped_model_is_installed_and_used(make_window: MakeWindow, service: FakeService, tmp_path: Path) -> None:
    window = make_window()
    data = urls(write_model(tmp_path / "edges.safetensors", "Edges"))
    window.files.drop(plan_drop(data), data)
    assert window.session.result_spec.model == "vdsr"  # the window does not wait for a slow disk
    service.finish_install()
    assert window.session.result_spec == LayerSpec(LayerKind.MODEL, model="edges")
    assert window.page.banner.text == "The model Edges is in use."


def test_dropped_file_that_is_not_a_model_is_reported(
    make_window: MakeWindow, service: FakeService, tmp_path: Path
) -> None:
    window = make_window()
    stranger = tmp_path / "x.safetensors"
    stranger.write_bytes(b"no model")
    window.files.drop(plan_drop(urls(stranger)), urls(stranger))
    service.finish_install()
    assert window.page.banner.text.startswith("x.safetensors: ")
    assert window.session.result_spec.model == "vdsr"


def test_pasted_picture_is_opened_without_a_file(make_window: MakeWindow, service: FakeService) -> None:
    window = make_window()
    image = QImage(6, 4, QImage.Format.Format_RGB32)
    image.fill(0xFF336699)
    QGuiApplication.clipboard().setImage(image)
    window.commands.paste.trigger()
    assert window.status._activity.text() == "Opening pasted picture"
    service.finish_paste()
    assert window.session.picture is not None
    assert window.session.picture.pixels[0, 0].tolist() == [0x33, 0x66, 0x99]
    assert window.windowTitle() == "Pasted picture — VDSR Studio"
    assert service.waiting() == ["bicubic"]


def test_pasted_file_is_opened(make_window: MakeWindow, service: FakeService, tmp_path: Path) -> None:
    window = make_window()
    QGuiApplication.clipboard().setMimeData(urls(touch(tmp_path / "a.png")))
    window.commands.paste.trigger()
    job = service.jobs[service.find(OpenJob)]
    assert isinstance(job, OpenJob)
    assert job.path == tmp_path / "a.png"


def test_paste_from_empty_clipboard_is_reported(make_window: MakeWindow) -> None:
    window = make_window()
    window.commands.paste.trigger()
    assert "no picture on the clipboard" in window.page.banner.text


def test_paste_of_unreadable_picture_is_reported(make_window: MakeWindow, service: FakeService) -> None:
    window = make_window()
    data = QMimeData()
    data.setImageData(QImage())
    QGuiApplication.clipboard().setMimeData(data)
    window.commands.paste.trigger()
    assert not service.jobs
    assert "cannot be read" in window.page.banner.text


def finished_window(make_window: MakeWindow, service: FakeService, path: Path) -> MainWindow:
    window = make_window()
    window.files.open(path)
    service.open_with(make_picture(20, 10, path=path))
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.MODEL, 200)
    return window


def test_copy_puts_result_on_clipboard(make_window: MakeWindow, service: FakeService, tmp_path: Path) -> None:
    window = finished_window(make_window, service, tmp_path / "a.png")
    window.commands.copy.trigger()
    assert QGuiApplication.clipboard().image().isNull()
    assert window.status._activity.text() == "Copying the result"
    assert window.commands.cancel.isEnabled()
    service.finish_copy()
    image = QGuiApplication.clipboard().image()
    assert (image.width(), image.height(), image.pixelColor(0, 0).red()) == (40, 20, 200)
    # Encoded in advance, so that another program's request for it does not block the window.
    assert QGuiApplication.clipboard().mimeData().data("image/png").startsWith(b"\x89PNG")
    assert window.page.banner.text == "The result is on the clipboard."


def test_failed_copy_is_reported_and_keeps_the_clipboard(
    make_window: MakeWindow, service: FakeService, tmp_path: Path
) -> None:
    window = finished_window(make_window, service, tmp_path / "a.png")
    QGuiApplication.clipboard().setText("before")
    window.commands.copy.trigger()
    service.fail(CopyJob, "There is no memory for it.")
    assert QGuiApplication.clipboard().text() == "before"
    assert "There is no memory for it." in window.page.banner.text


def test_repeated_copy_replaces_the_pending_one(make_window: MakeWindow, service: FakeService, tmp_path: Path) -> None:
    window = finished_window(make_window, service, tmp_path / "a.png")
    window.commands.copy.trigger()
    window.commands.copy.trigger()
    assert service.waiting() == ["CopyJob"]
    window.commands.cancel.trigger()
    assert service.waiting() == []
    window.commands.copy.trigger()
    service.finish_copy()
    assert QGuiApplication.clipboard().image().width() == 40


def taking_what_is_offered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Accept the names that the file dialog suggests from now on; returns the list of them."""
    offered: list[str] = []

    def choose(_parent: object, _title: str, suggested: str, _filters: str, options: object) -> tuple[str, str]:
        offered.append(suggested)
        return suggested, ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    return offered


def test_save_as_reports_saved_file_with_its_notices(
    make_window: MakeWindow, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = finished_window(make_window, service, tmp_path / "a.png")
    offered = taking_what_is_offered(monkeypatch)
    window.commands.save.trigger()
    assert offered == [str(tmp_path / "a_vdsr_x2.png")]
    service.finish_save()
    assert window.page.banner.text == "Saved a_vdsr_x2.png (5 B)"

    (tmp_path / "a_vdsr_x2.png").unlink()
    window.commands.save.trigger()
    service.notice.emit(service.find(SaveJob), "XMP was too large and is left out.")
    service.finish_save()
    assert window.page.banner.text == "Saved a_vdsr_x2.png (5 B). XMP was too large and is left out."


@pytest.mark.parametrize("entered", ["by a click on the button", "not yet"])
def test_save_as_applies_factor_typed_just_before(
    qtbot: QtBot,
    make_window: MakeWindow,
    service: FakeService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entered: str,
) -> None:
    window = finished_window(make_window, service, tmp_path / "a.png")
    offered = taking_what_is_offered(monkeypatch)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    factor = next(b for b in window.findChildren(QDoubleSpinBox) if b.accessibleName() == "Scale factor as a number")
    factor.setFocus()
    factor.selectAll()
    qtbot.keyClicks(factor, "3")
    if entered == "not yet":
        window.commands.save.trigger()
    else:
        button = next(b for b in window.findChildren(QPushButton) if b.text() == "Save as…")
        button.setFocus(Qt.FocusReason.MouseFocusReason)
        button.click()
    assert offered == [str(tmp_path / "a_vdsr_x3.png")]
    service.finish_layer(LayerKind.BICUBIC)
    result = service.finish_layer(LayerKind.MODEL)
    job = service.jobs[service.find(SaveJob)]
    assert isinstance(job, SaveJob)
    assert (job.path.name, job.picture) == ("a_vdsr_x3.png", result.picture)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("copied", "The result can be copied as soon as it is finished."),
        ("dragged out", "The result can be dragged out as soon as it is finished."),
    ],
)
def test_copy_and_drag_out_reject_former_size_after_typing_a_factor(
    qtbot: QtBot, make_window: MakeWindow, service: FakeService, tmp_path: Path, how: str, words: str
) -> None:
    window = finished_window(make_window, service, tmp_path / "a.png")
    factor = next(b for b in window.findChildren(QDoubleSpinBox) if b.accessibleName() == "Scale factor as a number")
    factor.selectAll()
    qtbot.keyClicks(factor, "3")
    if how == "copied":
        window.commands.copy.trigger()
    else:
        window.page.inspector.export.drag_requested.emit()
    assert window.page.banner.text == words
    assert QGuiApplication.clipboard().image().isNull()
    assert service.waiting() == ["bicubic"]
    assert window.session.size is not None
    assert window.session.size.width == 60


@pytest.mark.parametrize("how", ["copy", "drag_out"])
@pytest.mark.parametrize("end", ["it is finished", "another picture is open"])
def test_not_finished_message_is_shown_until_it_no_longer_applies(
    make_window: MakeWindow, service: FakeService, tmp_path: Path, how: str, end: str
) -> None:
    window = make_window()
    window.files.open(tmp_path / "a.png")
    service.open_with(make_picture(20, 10, path=tmp_path / "a.png"))
    getattr(window.files, how)()
    service.finish_layer(LayerKind.BICUBIC)
    assert window.page.banner.text.endswith("as soon as it is finished.")
    if end == "it is finished":
        service.finish_layer(LayerKind.MODEL)
    else:
        window.files.open(tmp_path / "b.png")
        service.open_with(make_picture(20, 10, path=tmp_path / "b.png"))
    assert window.page.banner.text == ""


def test_layer_failure_stays_shown_beside_not_finished_message(
    make_window: MakeWindow, service: FakeService, tmp_path: Path
) -> None:
    window = make_window()
    window.files.open(tmp_path / "a.png")
    service.open_with(make_picture(20, 10, path=tmp_path / "a.png"))
    service.fail(LayerJob, "It took too much.")
    window.files.copy()
    assert [text.split(":")[-1].strip() for text in window.page.banner.text.split("\n")] == [
        "It took too much. Try again.",
        "The result can be copied as soon as it is finished.",
    ]


@pytest.mark.parametrize("what", ["picture", "size", "model"])
def test_save_is_abandoned_and_reported_when_result_changes_during_dialog(
    make_window: MakeWindow, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    window = finished_window(make_window, service, tmp_path / "a.png")

    def choose(_parent: object, _title: str, suggested: str, _filters: str, options: object) -> tuple[str, str]:
        match what:
            case "picture":
                window.session.adopt(as_opened(make_picture(6, 4)))
            case "size":
                window.session.set_target(Target(TargetKind.SCALE, 3.0))
            case _:
                window.session.set_model("mine")
        return suggested, ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    window.commands.save.trigger()
    assert window.session.exporter.pending is None
    assert "SaveJob" not in service.waiting()
    assert window.page.banner.text.startswith("a_vdsr_x2.png was not saved: ")


def test_failed_save_is_reported(
    make_window: MakeWindow, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = finished_window(make_window, service, tmp_path / "a.png")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "out.png"), ""))
    window.commands.save.trigger()
    service.fail(SaveJob, "There is no room.")
    assert window.page.banner.text == "a.png: There is no room. Try again."


def test_failed_save_stays_reported_after_next_picture_is_opened_and_saved(
    make_window: MakeWindow, service: FakeService, tmp_path: Path
) -> None:
    window = finished_window(make_window, service, tmp_path / "a.png")
    window.session.save(SaveRequest(tmp_path / "o1.png", OPTIONS))
    window.files.open(tmp_path / "b.png")
    service.fail(SaveJob, "The disk is full.")
    service.open_with(make_picture(20, 10, path=tmp_path / "b.png"))
    message = "a.png: The disk is full. Try again."
    assert window.page.banner.text == message
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.MODEL)
    window.session.save(SaveRequest(tmp_path / "o2.png", OPTIONS))
    service.finish_save()
    assert window.page.banner.text == f"{message}\nSaved o2.png (5 B)"


def test_failures_of_opening_and_layers_disappear_when_picture_is_opened(
    make_window: MakeWindow, service: FakeService, tmp_path: Path
) -> None:
    window = make_window()
    for name in ("broken.png", "broken too.png"):
        window.files.open(tmp_path / name)
        service.fail(OpenJob, f"{name} is no picture.")
    assert window.page.banner.text == "a.png: broken too.png is no picture. Try again."
    window.files.open(tmp_path / "a.png")
    service.open_with(make_picture(20, 10, path=tmp_path / "a.png"))
    assert window.page.banner.text == ""
    service.fail(LayerJob, "It took too much.")
    assert "It took too much." in window.page.banner.text
    window.files.open(tmp_path / "b.png")
    service.open_with(make_picture(20, 10, path=tmp_path / "b.png"))
    assert window.page.banner.text == ""


# Dragging out


def result_of(width: int) -> LayerResult:
    picture = make_picture(width, 10)
    return LayerResult(LayerSpec(LayerKind.MODEL, model="vdsr"), Target(), picture, pyramid_of(picture), 0.1)


def test_drag_out_writes_result_once_for_several_drags(qtbot: QtBot, service: FakeService, parent: QWidget) -> None:
    dragged: list[Path] = []
    out = DragOut(service, parent, lambda _source, path, _thumbnail: dragged.append(path))  # type: ignore[arg-type]
    first, second = result_of(300), result_of(1)
    out.begin(first, "a.png", OPTIONS)
    service.finish_save()
    assert dragged == []  # the mouse button was released meanwhile
    out.begin(first, "a.png", OPTIONS)
    assert [path.name for path in dragged] == ["a.png"]
    assert dragged[0].is_file()
    out.begin(second, "a.png", OPTIONS)
    assert service.waiting() == ["SaveJob"]
    service.finish_save()
    out.begin(second, "a.png", OPTIONS)
    assert len(dragged) == 2
    out.close()
    assert not dragged[0].parent.exists()


@pytest.mark.parametrize("end", ["written", "failed", "cancelled"])
def test_drag_out_does_not_keep_result_in_memory(service: FakeService, parent: QWidget, end: str) -> None:
    out = DragOut(service, parent, lambda *_: None)  # type: ignore[arg-type]
    result = result_of(300)
    pixels = weakref.ref(result.pyramid.levels[0])
    out.begin(result, "a.png", OPTIONS)
    match end:
        case "written":
            service.finish_save()
        case "failed":
            service.fail(SaveJob)
        case _:
            service.cancel(service.find(SaveJob))
    service.all_jobs.clear()
    del result
    gc.collect()
    assert pixels() is None


def test_drag_out_reports_failed_write_and_can_be_retried(qtbot: QtBot, service: FakeService, parent: QWidget) -> None:
    out = DragOut(service, parent, lambda *_: None)  # type: ignore[arg-type]
    out.begin(result_of(3), "a.png", OPTIONS)
    with qtbot.waitSignal(out.failed):
        service.fail(SaveJob)
    out.begin(result_of(3), "a.png", OPTIONS)
    assert service.waiting() == ["SaveJob"]


def test_drag_out_reports_missing_temporary_folder_and_writes_nothing(
    qtbot: QtBot, service: FakeService, parent: QWidget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = QTemporaryDir(str(tmp_path / "gone" / "XXXXXX"))
    monkeypatch.setattr("vdsr_app.gui.drag_out.QTemporaryDir", lambda: gone)
    out = DragOut(service, parent, lambda *_: None)  # type: ignore[arg-type]
    with qtbot.waitSignal(out.failed) as failed:
        out.begin(result_of(3), "a.png", OPTIONS)
    assert "no temporary folder" in failed.args[0].what
    assert not service.all_jobs
    monkeypatch.undo()
    out.begin(result_of(3), "a.png", OPTIONS)
    assert service.waiting() == ["SaveJob"]
    out.close()
