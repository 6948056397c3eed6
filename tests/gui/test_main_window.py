"""Main window with a fake service: start, keys, texts, states, settings, and closing."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QAction, QDragEnterEvent, QDropEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from tests.gui.conftest import write_model
from tests.gui.fakes import FakeService, as_opened, make_picture
from tests.gui.questions import answer
from vdsr_app.core.job import FileFormat, Metadata, SaveOptions, Target, TargetKind
from vdsr_app.core.protocol import Score
from vdsr_app.gui import save_guard
from vdsr_app.gui.banner import BannerKind
from vdsr_app.gui.close_dialog import CloseAnswer
from vdsr_app.gui.compare.view import CompareMode, CursorReading
from vdsr_app.gui.exporter import SaveRequest
from vdsr_app.gui.main_window import MainWindow
from vdsr_app.gui.scale_slider import ScaleSlider
from vdsr_app.gui.settings import SettingsStore, Theme, settings_path
from vdsr_app.gui.theme import DARK, LIGHT, tokens_in_use
from vdsr_app.workers.messages import LayerJob, LayerKind, LayerSpec, OpenJob, SaveJob

MakeWindow = Callable[..., MainWindow]
CONTROLS = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)


@pytest.fixture
def window(make_window: MakeWindow) -> MainWindow:
    return make_window()


def open_picture(window: MainWindow, service: FakeService, path: Path, side: int = 200) -> None:
    window.files.open(path)
    service.open_with(make_picture(side, side // 2, path=path))


def finish(window: MainWindow, service: FakeService, path: Path) -> None:
    open_picture(window, service, path)
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.MODEL, 200)


def label_texts(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]


def all_actions(window: MainWindow) -> list[QAction]:
    found: list[QAction] = []
    for menu_action in window.menuBar().actions():
        menu = menu_action.menu()
        assert menu is not None
        found += [action for action in menu.actions() if not action.isSeparator()]
    return found


# Start


def test_start_opens_sample_and_preloads_network_after_bicubic(window: MainWindow, service: FakeService) -> None:
    assert service.all_jobs == []
    window.start()
    job = service.jobs[service.find(OpenJob)]
    assert isinstance(job, OpenJob)
    assert job.path.name == "sample.png"
    assert job.path.is_file()
    service.open_with(make_picture(20, 10, path=job.path))
    assert service.preloads == []  # two threads that load libraries at once would delay the window
    service.finish_layer(LayerKind.BICUBIC)
    assert service.preloads == [("auto", "auto", "vdsr")]
    service.finish_layer(LayerKind.MODEL)
    window.files.open(Path("/b.png"))
    service.fail(OpenJob)
    assert len(service.preloads) == 1
    assert window.page.strip.isVisible()
    assert window.windowTitle() == "VDSR Studio"
    assert SettingsStore(settings_path()).current.recent == ()


def test_start_file_is_opened(make_window: MakeWindow, service: FakeService) -> None:
    window = make_window(Path("/a.png"))
    window.start()
    assert not window.page.strip.isVisible()
    assert window.page.view.accessibleDescription() == "Opening a.png … Esc cancels."
    assert "Its size can be set once the picture is open" in label_texts(window.page.inspector)
    assert window.commands.save.toolTip().endswith(": a.png is being opened")
    service.open_with(make_picture(20, 10, path=Path("/a.png")))
    assert window.page.view.accessibleDescription().startswith("Left: ")
    assert window.windowTitle() == "a.png — VDSR Studio"
    assert window.page.view.hasFocus()


def test_several_start_files_are_added_to_batch(qtbot: QtBot, make_window: MakeWindow, service: FakeService) -> None:
    window = make_window(Path("/a.png"), Path("/b.png"))
    window.start()
    assert window.workspaces.current is window.batch.host
    qtbot.waitUntil(lambda: len(window.batch.page.table.items) == 2, timeout=20_000)
    assert len(service.preloads) == 1


def test_sample_is_not_opened_until_shown_when_started_with_a_folder(
    qtbot: QtBot, make_window: MakeWindow, service: FakeService, tmp_path: Path
) -> None:
    window = make_window(tmp_path)
    window.start()
    assert not service.jobs
    window.workspaces.show_page(window.page)
    qtbot.waitUntil(lambda: bool(service.jobs))
    job = service.jobs[service.find(OpenJob)]
    assert isinstance(job, OpenJob)
    assert job.path.name == "sample.png"
    service.open_with(make_picture(20, 10, path=job.path))
    assert window.page.strip.isVisible()


def test_sample_is_not_opened_when_a_picture_is_opened_first(
    make_window: MakeWindow, service: FakeService, tmp_path: Path
) -> None:
    window = make_window(tmp_path)
    window.start()
    window.files.open(Path("/a.png"))
    assert window.workspaces.current is window.page
    QApplication.processEvents()
    job = service.jobs[service.find(OpenJob)]
    assert isinstance(job, OpenJob)
    assert job.path == Path("/a.png")
    assert len(service.jobs) == 1


def test_sample_and_failure_are_shown_when_start_file_cannot_be_opened(
    make_window: MakeWindow, service: FakeService
) -> None:
    window = make_window(Path("/none.png"))
    window.start()
    service.fail(OpenJob, "There is no such file.")
    job = service.jobs[service.find(OpenJob)]
    assert isinstance(job, OpenJob)
    assert job.path.name == "sample.png"
    service.open_with(make_picture(20, 10, path=job.path))
    assert "There is no such file." in window.page.banner.text
    assert window.page.strip.isVisible()
    assert service.preloads == []
    service.finish_layer(LayerKind.BICUBIC)
    assert len(service.preloads) == 1


def test_sample_is_shown_with_model_when_start_file_is_a_model(
    make_window: MakeWindow, service: FakeService, tmp_path: Path
) -> None:
    window = make_window(write_model(tmp_path / "edges.safetensors", "Edges"))
    window.start()
    job = service.jobs[service.find(OpenJob)]
    assert isinstance(job, OpenJob)
    assert job.path.name == "sample.png"
    assert window.page.strip.isVisible()
    service.finish_install()
    service.open_with(make_picture(20, 10, path=job.path))
    assert window.session.setup.model == "edges"
    assert window.page.banner.text == "The model Edges is in use."


def test_sample_is_shown_when_reading_start_file_is_cancelled(make_window: MakeWindow, service: FakeService) -> None:
    window = make_window(Path("/a.png"))
    window.start()
    window.commands.cancel.trigger()
    job = service.jobs[service.find(OpenJob)]
    assert isinstance(job, OpenJob)
    assert job.path.name == "sample.png"
    assert window.page.strip.isVisible()
    window.commands.cancel.trigger()
    assert not service.jobs
    assert window.page.strip.isVisible()


def test_settings_problem_is_reported_and_stays_after_picture_is_opened(
    make_window: MakeWindow, service: FakeService, store: SettingsStore
) -> None:
    store.problem = "The settings could not be read. The old file is /x/settings.ini.bak"
    window = make_window(Path("/photo.jpg"))
    window.start()
    service.open_with(make_picture(20, 10, path=Path("/photo.jpg")))
    assert "settings.ini.bak" in window.page.banner.text


# Actions


def test_shortcuts_are_unique_and_include_the_expected_ones(window: MainWindow) -> None:
    keys = [key.toString() for action in all_actions(window) for key in action.shortcuts()]
    assert [key for key, count in Counter(keys).items() if count > 1] == []
    expected = {
        "Ctrl+O",
        "Ctrl+Shift+S",
        "Ctrl+S",
        "Ctrl+V",
        "Ctrl+C",
        "Ctrl+Q",
        "Ctrl+,",
        QKeySequence(QKeySequence.StandardKey.HelpContents).toString(),
        "F5",
        "Meta+Ctrl+F" if sys.platform == "darwin" else "F11",
        "Esc",
        "W",
        "S",
        "0",
    }
    assert expected <= set(keys)


def test_every_action_has_text_and_its_shortcut_in_the_tooltip(window: MainWindow) -> None:
    titles = [a.text().replace("&", "") for a in window.menuBar().actions()]
    assert titles == ["File", "Edit", "View", "Run", "Train", "Help"]
    for action in all_actions(window):
        if action.menu() is None:
            assert action.text()
            keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            assert keys in action.toolTip()


def test_menu_lists_workspaces_and_switches_to_them(window: MainWindow) -> None:
    offered = [a for menu in window.menuBar().findChildren(QMenu) for a in menu.actions()]
    offered = [a for a in offered if a.shortcut().toString() in ("Ctrl+1", "Ctrl+2", "Ctrl+3")]
    assert [a.text() for a in offered] == ["Upscale", "Batch", "Train"]
    offered[1].trigger()
    assert window.workspaces.current is window.batch.host
    assert [a.isChecked() for a in offered] == [False, True, False]


def test_disabled_controls_explain_why_in_tooltip(window: MainWindow, service: FakeService) -> None:
    for action in all_actions(window):
        if action.menu() is None and not action.isEnabled():
            assert ":" in action.toolTip(), action.text()
    for button in window.findChildren(QPushButton):
        if button.isVisible() and not button.isEnabled():
            assert button.toolTip(), button.text()
    grip = window.page.inspector.export._grip
    for path, why in ((None, "open a picture first"), (Path("/a.png"), "the result is not finished")):
        if path is not None:
            open_picture(window, service, path)
        assert not grip.isEnabled()
        assert grip.toolTip().endswith(f": {why}")
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.MODEL)
    assert grip.isEnabled()
    assert grip.toolTip() == "Drag the result from here into another program or a folder"


@pytest.mark.parametrize(
    ("key", "mode"),
    [(Qt.Key.Key_S, CompareMode.SIDE), (Qt.Key.Key_D, CompareMode.SINGLE), (Qt.Key.Key_W, CompareMode.WIPE)],
)
def test_keys_set_compare_mode(
    qtbot: QtBot, window: MainWindow, service: FakeService, key: Qt.Key, mode: CompareMode
) -> None:
    finish(window, service, Path("/a.png"))
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.page.view.set_mode(CompareMode.SINGLE if mode is CompareMode.WIPE else CompareMode.WIPE)
    qtbot.keyClick(window.page.view, key)
    assert window.page.view.mode is mode
    checked = window.commands.modes.checkedAction()
    assert checked is not None
    assert CompareMode(checked.data()) is mode


def test_keys_set_zoom_and_check_its_action(qtbot: QtBot, window: MainWindow, service: FakeService) -> None:
    finish(window, service, Path("/a.png"))
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    assert window.commands.fit.isChecked()
    for key, percent in ((Qt.Key.Key_2, 200), (Qt.Key.Key_4, 400), (Qt.Key.Key_8, 800), (Qt.Key.Key_1, 100)):
        qtbot.keyClick(window.page.view, key)
        assert window.page.view.zoom_percent == pytest.approx(percent)
        assert window.commands.zooms()[percent].isChecked()
        assert not window.commands.fit.isChecked()
    qtbot.keyClick(window.page.view, Qt.Key.Key_0)
    assert window.page.view.fits
    assert window.commands.fit.isChecked()
    window.commands.fit.trigger()
    assert window.commands.fit.isChecked()


def test_escape_leaves_full_screen(qtbot: QtBot, window: MainWindow) -> None:
    window.commands.full_screen.trigger()
    assert window.isFullScreen()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not window.isFullScreen()
    assert not window.commands.full_screen.isChecked()


@pytest.mark.parametrize("what", ["picture", "reference"])
def test_escape_cancels_reading_before_it_leaves_full_screen(
    qtbot: QtBot, window: MainWindow, service: FakeService, what: str
) -> None:
    finish(window, service, Path("/a.png"))
    window.commands.full_screen.trigger()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    assert not window.commands.cancel.isEnabled()
    (window.files.open if what == "picture" else window.session.scores.open)(Path("/slow.tif"))
    assert window.commands.cancel.isEnabled()
    assert window.status._activity.text() == "Opening slow.tif"
    qtbot.keyClick(window.page.view, Qt.Key.Key_Escape)
    assert service.waiting() == []
    assert not window.commands.cancel.isEnabled()
    assert window.isFullScreen()
    qtbot.keyClick(window.page.view, Qt.Key.Key_Escape)
    assert not window.isFullScreen()


def test_status_line_names_picture_and_omits_esc_in_other_workspaces(
    qtbot: QtBot, window: MainWindow, service: FakeService
) -> None:
    open_picture(window, service, Path("/a.png"))
    service.finish_layer(LayerKind.BICUBIC)
    service.tell_progress(LayerKind.MODEL, 43, 100)
    (cancel,) = (b for b in window.status.findChildren(QToolButton) if b.isVisible())
    line = window.status._activity
    assert (cancel.toolTip(), line.text()) == ("Cancel upscaling a.png (Esc)", "VDSR · 0.08 Mpx · 43 %")
    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert cancel.toolTip() == cancel.accessibleName() == "Cancel upscaling a.png"
    assert line.text() == "Upscaling a.png · VDSR · 0.08 Mpx · 43 %"
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert service.waiting() == ["model"]
    cancel.click()
    assert service.waiting() == []
    assert line.text() == ""
    qtbot.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert line.text() == "Stopped. Press F5 to continue."


def test_scores_are_shown_only_in_upscale_workspace(window: MainWindow, service: FakeService) -> None:
    finish(window, service, Path("/a.png"))
    window.session.scores.open(Path("/truth.png"))
    service.open_with(make_picture(100, 100, path=Path("/truth.png")))
    assert window.status._scores.isVisible()
    window.workspaces.show_page(window.batch.host)
    assert not window.status._scores.isVisible()
    window.workspaces.show_page(window.page)
    assert window.status._scores.isVisible()


def test_maximized_window_is_maximized_again_after_full_screen(window: MainWindow) -> None:
    window.showMaximized()
    window.commands.full_screen.trigger()
    assert window.isFullScreen()
    window.commands.full_screen.trigger()
    assert not window.isFullScreen()
    assert window.isMaximized()


def test_full_screen_action_follows_full_screen_set_by_the_system(qtbot: QtBot, window: MainWindow) -> None:
    window.showFullScreen()
    assert window.commands.full_screen.isChecked()
    window.showNormal()
    assert not window.commands.full_screen.isChecked()


def test_window_restored_to_full_screen_leaves_it_at_first_escape(
    qtbot: QtBot, make_window: Callable[..., MainWindow]
) -> None:
    first = make_window()
    first.commands.full_screen.trigger()
    first.close()
    second = make_window()
    assert second.isFullScreen()
    assert second.commands.full_screen.isChecked()
    qtbot.keyClick(second, Qt.Key.Key_Escape)
    assert not second.isFullScreen()


def test_notification_appears_in_the_current_workspace(window: MainWindow) -> None:
    window.batch.show_requested.emit()
    window._help.notified.emit("It is done.")
    assert window.batch.page.banner.text == "It is done."
    assert window.page.banner.text == ""


def test_hiding_inspector_is_stored_in_settings(window: MainWindow, store: SettingsStore) -> None:
    assert window.page.inspector.isVisible()
    window.commands.inspector.trigger()
    assert not window.page.inspector.isVisible()
    assert store.current.inspector_visible is False


# Accessibility


def test_every_visible_control_has_an_accessible_name(window: MainWindow, service: FakeService) -> None:
    finish(window, service, Path("/a.png"))
    nameless = [
        f"{type(w).__name__} {w.objectName()}"
        for w in window.findChildren(QWidget)
        if isinstance(w, CONTROLS)
        and w.isVisible()
        and not w.objectName().startswith("qt_")
        and not (w.accessibleName() or (isinstance(w, QAbstractButton) and w.text()))
    ]
    assert nameless == []


def test_tab_key_reaches_controls_in_reading_order(qtbot: QtBot, window: MainWindow, service: FakeService) -> None:
    finish(window, service, Path("/a.png"))
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    first = window.page.view
    first.setFocus()
    visited: list[QWidget] = []
    for _ in range(60):
        window.focusNextChild()
        focused = window.focusWidget()
        if focused is first:
            break
        visited.append(focused)
    names = [w.accessibleName() or getattr(w, "text", str)() for w in visited]
    wanted = ["Scale factor as a number", "Scale factor", "Dimension of the target size", "Target size", "Model"]
    wanted += ["Format", "Depth", "Metadata", "Save as…", "Copy"]
    assert [name for name in names if name in wanted] == wanted
    assert "Left half shows" in names
    assert "Right half shows" in names


# Work


def test_save_copy_and_cancel_actions_follow_the_state_of_a_run(window: MainWindow, service: FakeService) -> None:
    c = window.commands
    assert not c.save.isEnabled()
    open_picture(window, service, Path("/a.png"))
    assert c.save.isEnabled()  # the result is written as soon as it is finished
    assert not c.copy.isEnabled()
    assert c.cancel.isEnabled()
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.MODEL)
    assert c.copy.isEnabled()
    assert not c.cancel.isEnabled()


def test_status_line_shows_progress_time_left_and_pending_save(window: MainWindow, service: FakeService) -> None:
    open_picture(window, service, Path("/a.png"))
    service.finish_layer(LayerKind.BICUBIC)
    assert window.status._activity.text() == "VDSR · 0.08 Mpx · starting"
    service.fitting_changed.emit(True)
    assert window.status._activity.text() == "VDSR · 0.08 Mpx · tuning the network for this processor (first run only)"
    service.fitting_changed.emit(False)
    assert window.status._activity.text() == "VDSR · 0.08 Mpx · starting"
    service.tell_progress(LayerKind.MODEL, 43, 100, 6.2)
    assert window.status._activity.text() == "VDSR · 0.08 Mpx · 43 % · 6 s left"
    window.session.save(SaveRequest(Path("/out.png"), SaveOptions()))
    assert window.status._activity.text().endswith("then saves out.png")
    window.commands.cancel.trigger()
    assert window.status._activity.text() == "Stopped. Press F5 to continue."
    assert "out.png was not saved" in window.page.banner.text
    window.commands.run.trigger()
    service.finish_layer(LayerKind.MODEL)
    assert window.status._activity.text() == "VDSR · 0.08 Mpx · 0.5 s"


def test_slider_remakes_layers_and_keeps_the_view(qtbot: QtBot, window: MainWindow, service: FakeService) -> None:
    finish(window, service, Path("/a.png"))
    view = window.page.view
    view.set_zoom(400)
    view.set_split(0.3)
    slider = window.findChildren(ScaleSlider)[0]
    slider.slider.setValue(40)
    qtbot.waitUntil(lambda: service.waiting() == ["bicubic"])
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.MODEL)
    assert view.split == pytest.approx(0.3)
    assert not view.fits
    region = view.visible_region()
    assert region is not None
    x, _, width, _ = region
    assert x + width / 2 == pytest.approx(400, abs=2)  # the middle of 800 columns is still in the middle
    assert window.session.right_half is not None
    assert window.session.right_half.pyramid.width == 800


def test_new_picture_is_fitted_to_the_view(window: MainWindow, service: FakeService) -> None:
    finish(window, service, Path("/a.png"))
    window.page.view.set_zoom(800)
    finish(window, service, Path("/b.png"))
    assert window.page.view.fits


def test_zoom_button_texts_fit_in_narrow_window(window: MainWindow, service: FakeService) -> None:
    finish(window, service, Path("/a.png"))
    window.resize(918, 600)
    window.workspaces.show_page(window.batch.host)  # their actions change, and change back
    window.workspaces.show_page(window.page)
    zooms = [b for b in window.page.bar.findChildren(QToolButton) if b.property("role") == "zoom"]
    assert all(button.isVisible() for button in zooms)
    assert [button.text() for button in zooms] == ["100", "200", "400"]
    for button in zooms:
        assert button.fontMetrics().horizontalAdvance(button.text()) + 2 * 7 <= button.width()  # 6 px and the border
    assert window.commands.zoom_100.text() == "100 %"


def test_status_line_shows_position_under_the_pointer(window: MainWindow) -> None:
    window.page.view.cursor_moved.emit(CursorReading(3, 4, (1, 2, 3, 255), (4, 5, 6, 255)))
    assert window.status._place.text() == "x 3  y 4"
    window.page.view.cursor_moved.emit(None)
    assert window.status._place.isHidden()


def test_scores_against_reference_are_shown_unless_sizes_differ(window: MainWindow, service: FakeService) -> None:
    finish(window, service, Path("/a.png"))
    window.session.scores.open(Path("/truth.png"))
    service.open_with(make_picture(400, 200))
    for number, psnr in zip(list(service.jobs), (33.66, 37.1), strict=True):
        service.finish(number, Score(psnr, 0.93))
    assert window.status._scores.text() == "Bicubic 33.66 dB 0.9300 · VDSR 37.10 dB 0.9300"
    assert window.commands.close_reference.isEnabled()
    window.session.scores.open(Path("/small.png"))
    service.open_with(make_picture(40, 20))
    assert window.status._scores.text() == "The reference has another size"
    assert "40 × 20" in window.status._scores.toolTip()  # noqa: RUF001
    window.commands.close_reference.trigger()
    assert window.status._scores.isHidden()


def test_only_scores_of_shown_layers_appear_and_are_elided_when_narrow(
    qtbot: QtBot, window: MainWindow, service: FakeService
) -> None:
    finish(window, service, Path("/a.png"))
    window.session.scores.open(Path("/truth.png"))
    service.open_with(make_picture(400, 200))
    least = window.minimumSizeHint().width()
    for kind in (LayerKind.ORIGINAL, LayerKind.BILINEAR, LayerKind.LANCZOS):
        window.session.set_left(LayerSpec(kind))
        service.finish_layer(kind)
    for number in list(service.jobs):
        service.finish(number, Score(33.66, 0.93))
    assert len(window.session.scores.values) == 5
    assert window.status._scores.text() == "Lanczos 33.66 dB 0.9300 · VDSR 33.66 dB 0.9300"
    window.session.set_left(LayerSpec(LayerKind.BICUBIC))
    assert window.status._scores.text() == "Bicubic 33.66 dB 0.9300 · VDSR 33.66 dB 0.9300"
    assert window.status.minimumSizeHint().width() <= least
    window.status.resize(200, window.status.height())
    explanation = "PSNR and SSIM of the luma against truth.png"
    qtbot.waitUntil(lambda: window.status._scores.toolTip() == f"{window.status._scores.text()} — {explanation}")
    window.status.resize(1200, window.status.height())
    qtbot.waitUntil(lambda: window.status._scores.toolTip() == explanation)


def test_only_notices_of_running_layers_are_shown(window: MainWindow, service: FakeService) -> None:
    open_picture(window, service, Path("/a.png"))
    service.finish_layer(LayerKind.BICUBIC)
    service.notice.emit(999, "Of another job.")
    assert window.page.banner.text == ""
    service.notice.emit(service.find(LayerKind.MODEL), "Memory was short; smaller tiles are used.")
    assert window.page.banner.text == "Memory was short; smaller tiles are used."


def test_layer_notices_disappear_when_another_picture_is_opened(window: MainWindow, service: FakeService) -> None:
    open_picture(window, service, Path("/a.png"))
    service.finish_layer(LayerKind.BICUBIC)
    service.notice.emit(service.find(LayerKind.MODEL), "Memory was short; smaller tiles are used.")
    service.finish_layer(LayerKind.MODEL)
    assert window.page.banner.text == "Memory was short; smaller tiles are used."
    open_picture(window, service, Path("/b.png"))
    assert window.page.banner.text == ""


def test_layer_failure_is_shown_until_layers_are_started_again(
    window: MainWindow, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(window, service, Path("/a.png"))
    with monkeypatch.context() as short:
        short.setattr("vdsr_app.core.image_io.limits.available_memory_bytes", lambda: 0)
        for scale in (8.0, 7.0):
            window.session.set_target(Target(TargetKind.SCALE, scale))
            assert window.page.banner.text.startswith(f"a.png: Comparing {200 * scale:.0f} x")
            assert "\n" not in window.page.banner.text
    window.session.set_target(Target(TargetKind.SCALE, 3.0))
    assert window.page.banner.text == ""
    service.finish_layer(LayerKind.BICUBIC)
    service.fail(LayerKind.MODEL, "It took too much.")
    window.session.set_left(LayerSpec(LayerKind.LANCZOS))
    service.finish_layer(LayerKind.LANCZOS)
    assert "It took too much." in window.page.banner.text
    window.commands.run.trigger()
    assert window.page.banner.text == ""


def test_reference_failure_disappears_when_a_reference_is_opened(window: MainWindow, service: FakeService) -> None:
    finish(window, service, Path("/a.png"))
    window.session.scores.open(Path("/gone.png"))
    service.fail(OpenJob, "There is no such file.")
    assert "There is no such file." in window.page.banner.text
    window.session.scores.open(Path("/truth.png"))
    service.open_with(make_picture(400, 200))
    assert window.page.banner.text == ""


def test_size_too_large_for_memory_is_reported_in_banner(
    window: MainWindow, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vdsr_app.core.image_io.limits.available_memory_bytes", lambda: 1000)
    open_picture(window, service, Path("/a.png"))
    assert window.page.banner.text.startswith("a.png: Comparing 400 x 200 pixels needs about")
    assert window.status._activity.text() == "Stopped. Press F5 to continue."
    assert service.waiting() == []


def test_report_exception_shows_banner_with_exception_in_details(window: MainWindow) -> None:
    try:
        raise RuntimeError("inside <b>")
    except RuntimeError as error:
        window.report_exception(error)
    assert "unexpected" in window.page.banner.text
    assert "inside <b>" in window.page.banner._details


# Drops


def drag_event(kind: type[QDragEnterEvent], data: QMimeData) -> QDragEnterEvent:
    return kind(
        QPoint(200, 200), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )


def test_drag_shows_drop_hint_and_drop_opens_the_file(
    window: MainWindow, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hints: list[str | None] = []
    monkeypatch.setattr(window.page.view, "set_drop_hint", hints.append)
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    enter = drag_event(QDragEnterEvent, data)
    window.dragEnterEvent(enter)
    assert enter.isAccepted()
    assert hints == ["Open a.png"]
    drop = QDropEvent(
        QPointF(200, 200), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    window.dropEvent(drop)
    assert hints == ["Open a.png", None]
    assert window.session.opening == path.name


def test_dragged_text_is_rejected(window: MainWindow) -> None:
    data = QMimeData()
    data.setText("hello")
    enter = drag_event(QDragEnterEvent, data)
    window.dragEnterEvent(enter)
    assert not enter.isAccepted()


# Settings


def test_choices_are_stored_in_settings(
    qtbot: QtBot, window: MainWindow, service: FakeService, store: SettingsStore
) -> None:
    finish(window, service, Path("/a.png"))
    window.commands.side.trigger()
    window.commands.smooth.trigger()
    window.findChildren(ScaleSlider)[0].slider.setValue(30)
    window.session.set_right(window.session.setup.left)
    window.page.inspector.export.options_changed.emit(SaveOptions(FileFormat.WEBP, 70, None, Metadata.NONE))
    qtbot.waitUntil(lambda: store.current.target_value == 3.0)
    assert (store.current.mode, store.current.right) == ("side", LayerKind.BICUBIC)
    assert (store.current.format, store.current.quality, store.current.metadata) == (
        FileFormat.WEBP,
        70,
        Metadata.NONE,
    )
    assert store.current.recent == ("/a.png",)
    assert store.current.smooth


def test_choices_are_restored_from_settings(
    make_window: MakeWindow, service: FakeService, store: SettingsStore
) -> None:
    store.update(
        mode="single",
        smooth=True,
        target_kind=TargetKind.WIDTH,
        target_value=600.0,
        left=LayerKind.ORIGINAL,
        model="mine",
        inspector_visible=False,
        format=FileFormat.TIFF,
    )
    window = make_window()
    open_picture(window, service, Path("/a.png"))
    assert window.page.view.mode is CompareMode.SINGLE
    assert window.page.view.smooth
    assert window.commands.smooth.isChecked()
    assert window.session.size is not None
    assert window.session.size.width == 600
    assert window.session.setup.left.kind is LayerKind.ORIGINAL
    assert window.session.result_spec.model == "mine"
    assert not window.page.inspector.isVisible()
    assert window.page.inspector.export.options.format is FileFormat.TIFF


def test_depth_is_kept_in_settings_while_format_does_not_support_it(
    make_window: MakeWindow, service: FakeService, store: SettingsStore
) -> None:
    store.update(format=FileFormat.JPEG, bits=16)
    window = make_window()
    export = window.page.inspector.export
    quality = next(slider for slider in export.findChildren(QAbstractSlider) if slider.accessibleName() == "Quality")
    quality.setValue(55)
    assert (store.current.quality, store.current.bits) == (55, 16)
    assert store.current.save_options.bits is None
    assert export.options.bits == 16


def test_size_measure_is_restored_beside_a_scale_factor_and_reset(
    make_window: MakeWindow, service: FakeService, store: SettingsStore
) -> None:
    def measure(window: MainWindow) -> QComboBox:
        open_picture(window, service, Path("/a.png"))
        boxes = window.page.inspector.scale.findChildren(QComboBox)
        return next(box for box in boxes if box.accessibleName() == "Dimension of the target size")

    window = make_window()
    measure(window).setCurrentIndex(measure(window).findText("Long side"))
    assert store.current.target_kind is TargetKind.SCALE
    assert measure(make_window()).currentText() == "Long side"
    window._preferences.reset()
    assert measure(window).currentText() == "Width"


def test_requested_size_is_kept_when_one_picture_cannot_reach_it(
    make_window: MakeWindow, service: FakeService, store: SettingsStore
) -> None:
    store.update(target_kind=TargetKind.WIDTH, target_value=4000.0)
    window = make_window()
    open_picture(window, service, Path("/icon.png"), side=16)
    assert (store.current.target_kind, store.current.target_value) == (TargetKind.WIDTH, 4000.0)
    assert window.batch.settings.target == Target(TargetKind.WIDTH, 4000.0)
    assert window.page.inspector.scale.target == Target(TargetKind.SCALE, 8.0)
    open_picture(window, service, Path("/photo.png"), side=1000)
    assert window.session.size is not None
    assert window.session.size.width == 4000
    assert window.page.inspector.scale.target == Target(TargetKind.WIDTH, 4000.0)


def test_reset_restores_defaults_in_the_window(window: MainWindow, service: FakeService, store: SettingsStore) -> None:
    finish(window, service, Path("/a.png"))
    store.update(theme=Theme.DARK, device="cpu")
    window.session.set_model("mine")
    window.commands.single.trigger()
    window.commands.smooth.trigger()
    window.commands.inspector.trigger()
    window._preferences.reset()
    assert tokens_in_use() is LIGHT
    assert window.session.setup.device == "auto"
    assert window.session.setup.model == "vdsr"
    assert window.page.view.mode is CompareMode.WIPE
    assert not window.page.view.smooth
    assert window.page.inspector.isVisible()


def test_theme_change_sets_canvas_colour(
    window: MainWindow, store: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    colors: list[str] = []
    monkeypatch.setattr(window.page.view, "set_canvas_color", lambda color: colors.append(color.name()))
    store.update(theme=Theme.DARK)
    assert colors[-1] == DARK.canvas


def test_recent_files_menu_opens_and_clears_files(
    window: MainWindow, service: FakeService, store: SettingsStore
) -> None:
    finish(window, service, Path("/x/R&B.png"))
    recent = window._menus._recent
    assert [a.text() for a in recent.actions() if a.text()] == ["&1  R&&B.png", "Clear this list"]
    recent.actions()[0].trigger()
    assert window.session.opening == "R&B.png"
    recent.actions()[-1].trigger()
    assert store.current.recent == ()
    assert not recent.menuAction().isVisible()


@pytest.mark.parametrize("name", ["settings", "guide", "about"])
def test_dialog_is_opened_once_and_destroyed_when_closed(
    qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    raised: list[QDialog] = []
    monkeypatch.setattr(
        QDialog, "raise_", lambda dialog: raised.append(dialog)
    )  # the offscreen platform has no stacking order
    action = getattr(window.commands, name)
    action.trigger()
    action.trigger()
    (dialog,) = window.findChildren(QDialog)
    assert dialog.isVisible()
    assert raised == [dialog]
    with qtbot.waitSignal(dialog.destroyed):
        dialog.close()
    assert window.findChildren(QDialog) == []
    action.trigger()
    assert len(window.findChildren(QDialog)) == 1


# Closing


def test_closing_does_not_ask_while_only_a_layer_is_being_made(
    window: MainWindow, service: FakeService, store: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch, "Stay")
    open_picture(window, service, Path("/a.png"))
    assert window.close()
    assert asked == []
    assert SettingsStore(settings_path()).current.geometry != b""


@pytest.mark.parametrize("pending", [True, False])
def test_closing_during_save_asks_and_waits_for_it(
    window: MainWindow, service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pending: bool
) -> None:
    open_picture(window, service, tmp_path / "a.png")
    service.finish_layer(LayerKind.BICUBIC)
    if not pending:
        service.finish_layer(LayerKind.MODEL)
    window.session.save(SaveRequest(tmp_path / "out.png", SaveOptions()))

    assert answer(monkeypatch, "Stay") == []
    assert not window.close()
    asked = answer(monkeypatch, "Save, then quit")
    assert not window.close()
    assert asked == ["out.png is not saved yet."]
    if pending:
        service.finish_layer(LayerKind.MODEL)
    assert window.isVisible()
    service.finish_save()
    assert not window.isVisible()


def lose(window: MainWindow, service: FakeService, how: str) -> None:
    """Make a save that is not finished yet fail, or be abandoned."""
    match how:
        case "the network fails":
            service.fail(LayerKind.MODEL, "The network gave no numbers.")
        case "another size":
            window.session.set_target(Target(TargetKind.SCALE, 3.0))
        case "another picture":
            window.session.adopt(as_opened(make_picture(6, 4)))
        case "another model":
            window.session.set_model("mine")
        case "writing fails":
            service.fail(SaveJob, "There is no room.")
        case _:
            window.commands.cancel.trigger()


PENDING = ["the network fails", "another size", "another picture", "another model", "cancelled"]
SAVING = ["writing fails", "writing cancelled"]


def begin_to_save(window: MainWindow, service: FakeService, path: Path, how: str) -> None:
    """Request a save, and advance as far as `how` requires."""
    open_picture(window, service, path.with_name("a.png"))
    service.finish_layer(LayerKind.BICUBIC)
    if how in SAVING:
        service.finish_layer(LayerKind.MODEL)
    window.session.save(SaveRequest(path, SaveOptions()))


@pytest.mark.parametrize("how", [*PENDING, *SAVING])
def test_lost_save_keeps_waiting_window_open_and_is_reported(
    window: MainWindow, service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    begin_to_save(window, service, tmp_path / "out.png", how)
    answer(monkeypatch, "Save, then quit")
    assert not window.close()
    lose(window, service, how)
    assert window.isVisible()
    if "fails" in how:
        assert "The network gave no numbers." in window.page.banner.text or "no room" in window.page.banner.text
    else:
        assert "out.png was not saved" in window.page.banner.text

    # The request to quit was dropped with that file: saving another one later does not quit.
    finish(window, service, tmp_path / "b.png")
    window.session.save(SaveRequest(tmp_path / "other.png", SaveOptions()))
    service.finish_save()
    assert window.isVisible()


@pytest.mark.parametrize("how", [PENDING[0], *SAVING])
def test_save_lost_while_close_question_is_open_keeps_window_open(
    window: MainWindow, service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    begin_to_save(window, service, tmp_path / "out.png", how)

    def ask(_window: object, _path: str) -> CloseAnswer:
        lose(window, service, how)
        return CloseAnswer.WAIT

    monkeypatch.setattr(save_guard, "ask_about_saving", ask)
    assert not window.close()
    assert window.isVisible()


def test_save_finished_while_close_question_is_open_lets_window_close(
    window: MainWindow, service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begin_to_save(window, service, tmp_path / "out.png", SAVING[0])

    def ask(_window: object, _path: str) -> CloseAnswer:
        service.finish_save()
        return CloseAnswer.WAIT

    monkeypatch.setattr(save_guard, "ask_about_saving", ask)
    assert window.close()


@pytest.mark.parametrize("question", ["batch", "training"])
def test_staying_for_batch_or_training_does_not_quit_after_later_save(
    window: MainWindow, service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, question: str
) -> None:
    begin_to_save(window, service, tmp_path / "out.png", SAVING[0])
    answer(monkeypatch, "Save, then quit")
    assert not window.close()
    with monkeypatch.context() as patch:
        patch.setattr(getattr(window, question), "may_close", lambda: False)  # "Stay"
        service.finish_save()
    assert window.isVisible()
    window.session.save(SaveRequest(tmp_path / "later.png", SaveOptions()))
    service.finish_save()
    assert window.isVisible()


def test_quit_now_and_close_without_asking_close_at_once(
    make_window: MakeWindow, service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    window = make_window()
    finish(window, service, tmp_path / "a.png")
    window.session.save(SaveRequest(tmp_path / "out.png", SaveOptions()))
    asked = answer(monkeypatch, "Quit now")
    window.close_without_asking()
    assert not window.isVisible()
    assert asked == []

    window = make_window()
    window.session.save(SaveRequest(tmp_path / "out.png", SaveOptions()))
    window.close()
    assert not window.isVisible()


def test_restart_after_comparing_two_models_shows_bicubic_and_result_model(
    make_window: MakeWindow, service: FakeService
) -> None:
    window = make_window()
    finish(window, service, Path("/a.png"))
    window.session.set_left(LayerSpec(LayerKind.MODEL, model="mine"))
    window.close()
    again = make_window().session.setup
    assert (again.left, again.right) == (LayerSpec(LayerKind.BICUBIC), LayerSpec(LayerKind.MODEL, model="vdsr"))


def test_window_size_is_restored(make_window: MakeWindow) -> None:
    window = make_window()
    window.resize(780, 610)  # smaller than the 800 x 800 of the offscreen platform's screen
    window.close()
    assert make_window().size().toTuple() == window.size().toTuple() == (780, 610)


@pytest.mark.parametrize("files", [(), (Path("/a.png"),)], ids=["sample", "picture"])
def test_first_window_fits_on_small_screen(make_window: MakeWindow, files: tuple[Path, ...]) -> None:
    window = make_window(*files)
    room = window.screen().availableSize()
    assert room.toTuple() == (800, 800)  # the offscreen platform's
    assert window.width() <= room.width() - 16
    strip = window.page.strip
    assert strip.isVisible() is not bool(files)
    assert strip.isHidden() or strip.width() >= strip.minimumSizeHint().width()


def test_banner_takes_its_height_from_the_picture_only(
    qtbot: QtBot, make_window: MakeWindow, service: FakeService, tmp_path: Path
) -> None:
    window = make_window()
    window.resize(1200, 760)
    with qtbot.waitExposed(window):
        window.show()
    open_picture(window, service, tmp_path / "a.png")
    bars = (window.page.bar, window.workspaces._switch)
    before = [bar.geometry() for bar in bars]
    window.page.banner.show_message(BannerKind.NOTICE, "A message.")
    qtbot.waitUntil(lambda: window.page.banner.height() > 0 and window.page.banner.isVisible())
    qtbot.waitUntil(lambda: window.page.view.geometry().top() >= window.page.banner.geometry().bottom())
    assert [bar.geometry() for bar in bars] == before


# Best quality


def best_quality(window: MainWindow) -> QCheckBox:
    return next(box for box in window.page.inspector.findChildren(QCheckBox) if box.text() == "Best quality, slower")


def test_best_quality_applies_to_layers_settings_and_batch(
    window: MainWindow, service: FakeService, store: SettingsStore
) -> None:
    finish(window, service, Path("/a.png"))
    for enabled in (True, False):
        best_quality(window).click()
        assert window.session.result is None
        service.finish_layer(LayerKind.BICUBIC)
        job = service.jobs[service.find(LayerKind.MODEL)]
        assert isinstance(job, LayerJob)
        assert job.settings.self_ensemble is enabled
        assert store.current.self_ensemble is enabled
        assert window.batch.settings.self_ensemble is enabled
        service.finish_layer(LayerKind.MODEL)


def test_best_quality_is_restored_and_cleared_by_reset(
    make_window: MakeWindow, service: FakeService, store: SettingsStore
) -> None:
    store.update(self_ensemble=True)
    window = make_window()
    assert best_quality(window).isChecked()
    assert window.batch.settings.self_ensemble
    finish(window, service, Path("/a.png"))
    window._preferences.reset()
    assert not best_quality(window).isChecked()
    assert not store.current.self_ensemble
    service.finish_layer(LayerKind.BICUBIC)
    job = service.jobs[service.find(LayerKind.MODEL)]
    assert isinstance(job, LayerJob)
    assert not job.settings.self_ensemble
