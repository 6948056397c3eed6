"""Banner, layer picker, model, export and picture panels, status line, workspaces, and dialogs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAction, QGuiApplication, QHelpEvent, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QPushButton,
    QScrollArea,
    QSlider,
    QStackedWidget,
    QToolButton,
    QToolTip,
    QWidget,
)
from pytestqt.qtbot import QtBot

from tests.gui.conftest import write_model
from tests.gui.fakes import make_picture
from vdsr_app.core.compression import Compression
from vdsr_app.core.formats import SourceFormat
from vdsr_app.core.job import FileFormat, Metadata, SaveOptions
from vdsr_app.core.model_choice import ChoiceReason, ModelChoice
from vdsr_app.core.models import ModelInfo, install_model
from vdsr_app.core.picture import Picture, SourceInfo
from vdsr_app.gui import banner as banners
from vdsr_app.gui import texts
from vdsr_app.gui.about_dialog import AboutDialog
from vdsr_app.gui.banner import Banner, BannerKind
from vdsr_app.gui.export_panel import ExportPanel
from vdsr_app.gui.guide_dialog import GuideDialog
from vdsr_app.gui.inspector import Inspector
from vdsr_app.gui.layer_picker import LayerPicker
from vdsr_app.gui.libraries import LIBRARIES
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.model_panel import ModelPanel
from vdsr_app.gui.parts import ElidedBox
from vdsr_app.gui.picture_panel import PicturePanel
from vdsr_app.gui.settings import SettingsStore, Theme
from vdsr_app.gui.settings_dialog import SettingsDialog
from vdsr_app.gui.start_strip import StartStrip
from vdsr_app.gui.status_line import Activity, StatusLine
from vdsr_app.gui.system_info import system_information
from vdsr_app.gui.theme import ThemeManager
from vdsr_app.gui.workspaces import Workspaces
from vdsr_app.workers.messages import ErrorReport, LayerKind, LayerSpec

MARKUP = "<b>bold</b>&amp;.png"


def words(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget)]


def button(widget: QWidget, text: str) -> QPushButton:
    return next(b for b in widget.findChildren(QPushButton) if b.text() == text)


# Banner


@pytest.fixture
def banner(qtbot: QtBot) -> Banner:
    made = Banner()
    qtbot.addWidget(made)
    return made


def test_banner_shows_file_cause_and_hint_and_copies_details(banner: Banner) -> None:
    banner.show_report(ErrorReport("It is damaged.", f"/x/{MARKUP}", "Open another.", "Trace"))
    assert banner.text.endswith("amp;.png: It is damaged. Open another.")
    assert banner.findChildren(QLabel)[0].textFormat() == Qt.TextFormat.PlainText
    button(banner, "Copy details").click()
    copied = QGuiApplication.clipboard().text()
    assert f"/x/{MARKUP}" in copied
    assert "Trace" in copied


def test_banner_hides_copy_button_without_details(banner: Banner) -> None:
    banner.show_message(BannerKind.NOTICE, "Only so.")
    assert button(banner, "Copy details").isHidden()


def test_banner_button_runs_its_action(banner: Banner) -> None:
    done: list[int] = []
    banner.show_message(BannerKind.SUCCESS, "Saved.", action=("Show", lambda: done.append(1)))
    button(banner, "Show").click()
    assert done == [1]


def test_banner_dismisses_only_success_by_itself(qtbot: QtBot, banner: Banner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banners, "SUCCESS_MS", 10)
    banner.show_message(BannerKind.SUCCESS, "Saved.")
    with qtbot.waitSignal(banner.dismissed):
        pass
    assert banner.text == ""
    banner.show_message(BannerKind.SUCCESS, "Saved.")
    banner.show_message(BannerKind.ERROR, "Failed.")
    with qtbot.assertNotEmitted(banner.dismissed, wait=50):
        pass
    assert banner.text == "Failed."
    next(b for b in banner.findChildren(QToolButton)).click()
    assert banner.text == ""


def test_banner_keeps_error_above_later_messages_until_dismissed(
    qtbot: QtBot, banner: Banner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(banners, "SUCCESS_MS", 10)
    full = ErrorReport("The disk is full.", "/x/o1.png", "Make room.", "Trace")
    banner.show_report(full)
    banner.show_message(BannerKind.NOTICE, "It was given up.")
    banner.show_message(BannerKind.SUCCESS, "Saved o2.png", action=("Show", lambda: None))
    assert banner.text == "o1.png: The disk is full. Make room.\nSaved o2.png"
    assert banner.property("kind") == "error"
    assert not button(banner, "Show").isHidden()
    banner.show()
    with qtbot.waitSignal(banner._timer.timeout):  # the success has expired
        pass
    assert banner.text == "o1.png: The disk is full. Make room."
    assert banner._action_button.isHidden()
    banner.show_report(full)
    assert banner.text == "o1.png: The disk is full. Make room."  # the same error is shown only once
    button(banner, "Copy details").click()
    assert "Trace" in QGuiApplication.clipboard().text()
    next(b for b in banner.findChildren(QToolButton)).click()
    assert banner.text == ""
    banner.show_message(BannerKind.NOTICE, "Another.")
    assert banner.text == "Another."


def test_banner_keeps_only_last_error_of_topic_and_dismisses_it(banner: Banner) -> None:
    banner.show_report(ErrorReport("The disk is full."))
    banner.show_report(ErrorReport("To compare 80 pixels is too much."), "layers")
    banner.show_report(ErrorReport("To compare 70 pixels is too much."), "layers")
    assert banner.text == "The disk is full.\nTo compare 70 pixels is too much."
    banner.dismiss_about("layers")
    assert banner.text == "The disk is full."
    banner.dismiss_about("layers")
    assert banner.text == "The disk is full."


def test_banner_shows_only_last_three_errors(banner: Banner) -> None:
    for number in range(5):
        banner.show_report(ErrorReport(f"Failure {number}."))
    assert banner.text == "Failure 2.\nFailure 3.\nFailure 4."
    banner.show_message(BannerKind.SUCCESS, "Saved.")
    assert banner.text == "Failure 2.\nFailure 3.\nFailure 4.\nSaved."


def test_banner_success_does_not_expire_while_hidden(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banners, "SUCCESS_MS", 10)
    pages, page = QStackedWidget(), QWidget()
    qtbot.addWidget(pages)
    banner = Banner(page)
    pages.addWidget(page)
    pages.addWidget(QWidget())
    pages.show()
    for was_shown in (True, False):
        pages.setCurrentIndex(0 if was_shown else 1)
        banner.show_message(BannerKind.SUCCESS, "Saved.")
        pages.setCurrentIndex(1)
        with qtbot.assertNotEmitted(banner.dismissed, wait=50):
            pass
        with qtbot.waitSignal(banner.dismissed):
            pages.setCurrentIndex(0)


# Layer picker


@pytest.fixture
def picker(qtbot: QtBot) -> LayerPicker:
    made = LayerPicker(ModelList(), QAction("Exchange"))
    qtbot.addWidget(made)
    made.show_layers(LayerSpec(LayerKind.BICUBIC), LayerSpec(LayerKind.MODEL, model="vdsr"))
    return made


def boxes(picker: LayerPicker) -> tuple[QComboBox, QComboBox]:
    left, right = picker.findChildren(QComboBox)
    return left, right


def activate(box: QComboBox, text: str) -> None:
    index = box.findText(text)
    assert index >= 0, [box.itemText(i) for i in range(box.count())]
    box.setCurrentIndex(index)
    box.activated.emit(index)


def test_layer_picker_offers_all_layers_for_each_half(qtbot: QtBot, picker: LayerPicker) -> None:
    left, right = boxes(picker)
    offered = [left.itemText(i) for i in range(left.count())]
    assert offered == ["Original", "Bilinear", "Bicubic", "Lanczos", "VDSR", "My model", "Open reference…"]
    assert (left.currentText(), right.currentText()) == ("Bicubic", "VDSR")
    with qtbot.waitSignal(picker.left_chosen) as chosen:
        activate(left, "My model")
    assert chosen.args == [LayerSpec(LayerKind.MODEL, model="mine")]
    with qtbot.waitSignal(picker.right_chosen) as chosen:
        activate(right, "Original")
    assert chosen.args == [LayerSpec(LayerKind.ORIGINAL)]


def test_elided_box_elides_only_text_without_room(qtbot: QtBot, theme: ThemeManager) -> None:
    theme.apply(Theme.LIGHT)

    def shown(kind: type[QComboBox], text: str, width: int) -> QImage:
        box = kind()
        qtbot.addWidget(box)
        box.addItem(text)
        box.setFixedSize(width, 32)
        return box.grab().toImage()

    long, roomy, narrow = "A model for old postcards", 400, 120
    assert shown(ElidedBox, long, roomy) == shown(QComboBox, long, roomy)
    cut = shown(ElidedBox, long, narrow)
    assert cut != shown(QComboBox, long, narrow)
    assert any(cut == shown(QComboBox, f"{long[:count].rstrip()}…", narrow) for count in range(1, len(long)))


@pytest.fixture
def tooltips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts of tooltips, which are recorded instead of shown."""
    words: list[str] = []
    monkeypatch.setattr(QToolTip, "showText", lambda _place, text, *_more: words.append(text))
    return words


def rest_on(box: QComboBox) -> None:
    place = box.rect().center()
    QApplication.sendEvent(box, QHelpEvent(QEvent.Type.ToolTip, place, box.mapToGlobal(place)))


def test_layer_picker_shows_interpolation_names_in_full_at_minimum_width(
    picker: LayerPicker, theme: ThemeManager, tooltips: list[str]
) -> None:
    theme.apply(Theme.LIGHT)
    picker.resize(picker.minimumSizeHint())
    picker.show()
    left, _ = boxes(picker)
    left.setToolTip("")
    for kind in (LayerKind.ORIGINAL, LayerKind.BILINEAR, LayerKind.BICUBIC, LayerKind.LANCZOS):
        picker.show_layers(LayerSpec(kind), LayerSpec(LayerKind.BICUBIC))
        rest_on(left)
    assert tooltips == []


def test_elided_box_tooltip_contains_elided_text(qtbot: QtBot, theme: ThemeManager, tooltips: list[str]) -> None:
    theme.apply(Theme.LIGHT)
    box = ElidedBox()
    qtbot.addWidget(box)
    box.addItems(["Short", "A <b>model</b> for old postcards"])
    box.setFixedSize(120, 32)
    rest_on(box)
    assert tooltips == []
    box.setCurrentIndex(1)
    rest_on(box)
    box.setToolTip("Left half shows")
    rest_on(box)
    model = "A &lt;b&gt;model&lt;/b&gt; for old postcards"
    assert tooltips == [model, f"{model} — Left half shows"]


def test_layer_picker_keeps_choice_when_reference_is_requested(qtbot: QtBot, picker: LayerPicker) -> None:
    left, _ = boxes(picker)
    with qtbot.waitSignal(picker.reference_requested), qtbot.assertNotEmitted(picker.left_chosen):
        activate(left, "Open reference…")
    assert left.currentText() == "Bicubic"


def test_layer_picker_offers_open_reference(qtbot: QtBot, picker: LayerPicker) -> None:
    picker.show_reference(Path("/truth.png"))
    left, right = boxes(picker)
    assert (left.currentText(), right.currentText()) == ("Bicubic", "VDSR")
    with qtbot.waitSignal(picker.right_chosen) as chosen:
        activate(right, "Reference truth.png")
    assert chosen.args == [LayerSpec(LayerKind.REFERENCE, reference=Path("/truth.png"))]


# Models


def add(models: ModelList, path: Path) -> ModelInfo:
    info = install_model(path)
    models.refresh()
    return info


def test_added_model_is_copied_and_offered_in_the_panels(qtbot: QtBot, tmp_path: Path, picker: LayerPicker) -> None:
    models = picker._models
    panel = ModelPanel(models)
    qtbot.addWidget(panel)
    panel.show_choice("vdsr", None)
    with qtbot.waitSignal(models.changed):
        info = add(models, write_model(tmp_path / "sharp edges.safetensors", "Sharp <edges>"))
    assert info.path.is_file()
    assert tmp_path / "vdsr-home" in info.path.parents
    assert models.title(info.name) == "Sharp <edges>"
    assert boxes(picker)[0].findText("Sharp <edges>") >= 0
    choice = panel.findChildren(QComboBox)[0]
    assert choice.currentData() == "vdsr"
    assert "Comes with the program" in words(panel)
    panel.show_choice(info.name, None)
    assert "Your own: sharp_edges.safetensors" in words(panel)
    with qtbot.waitSignal(panel.model_chosen) as chosen:
        activate(choice, "My model")
    assert chosen.args == ["mine"]


@pytest.mark.parametrize(
    ("reason", "compression", "said"),
    [
        (ChoiceReason.COMPRESSED, Compression(SourceFormat.JPEG, 60), "is JPEG of about quality 60"),
        (ChoiceReason.COMPRESSED, Compression(SourceFormat.WEBP, 75), "is WebP of about quality 75"),
        (ChoiceReason.FINE, Compression(SourceFormat.JPEG, 98), "JPEG of high quality, about 98"),
        (ChoiceReason.NO_SIGN, None, "neither a JPEG nor a lossy"),
        (ChoiceReason.NO_PHOTO_MODEL, Compression(SourceFormat.JPEG, 60), "not installed"),
    ],
)
def test_model_panel_explains_automatic_choice(
    qtbot: QtBot, picker: LayerPicker, reason: ChoiceReason, compression: Compression | None, said: str
) -> None:
    panel = ModelPanel(picker._models)
    qtbot.addWidget(panel)
    panel.show_choice("auto", ModelChoice("vdsr", reason, compression))
    assert any(said in text for text in words(panel))
    assert panel.findChildren(QComboBox)[0].currentText() == "Automatic"
    panel.show_choice("vdsr", ModelChoice("vdsr", ChoiceReason.REQUESTED, compression))
    assert "Comes with the program" in words(panel)


def test_model_panel_emits_automatic_choice(qtbot: QtBot, picker: LayerPicker) -> None:
    panel = ModelPanel(picker._models)
    qtbot.addWidget(panel)
    panel.show_choice("vdsr", None)
    with qtbot.waitSignal(panel.model_chosen) as chosen:
        activate(panel.findChildren(QComboBox)[0], "Automatic")
    assert chosen.args == ["auto"]


def test_model_panel_check_box_emits_self_ensemble(qtbot: QtBot, picker: LayerPicker) -> None:
    panel = ModelPanel(picker._models)
    qtbot.addWidget(panel)
    (box,) = panel.findChildren(QCheckBox)
    with qtbot.waitSignal(panel.self_ensemble_chosen) as chosen:
        box.click()
    assert chosen.args == [True]
    panel.show_self_ensemble(False)
    assert not box.isChecked()


@pytest.mark.parametrize("title", ["a" * 47, "My own model for scans of old postcards, second"])
def test_inspector_is_not_widened_by_long_model_title(qtbot: QtBot, tmp_path: Path, title: str) -> None:
    models = ModelList()
    inspector = Inspector(models)
    qtbot.addWidget(inspector)
    inspector.resize(inspector.width(), 500)
    inspector.show()
    info = add(models, write_model(tmp_path / f"{title}.safetensors", title))
    inspector.model.show_choice(info.name, None)
    inspector.export.show_result(f"Saves the result of {title}, 400 × 200 px", why_not="", primary=True)  # noqa: RUF001
    qtbot.waitUntil(lambda: inspector.widget().width() <= inspector.viewport().width())
    inspector.model.show_choice("auto", ModelChoice(info.name, ChoiceReason.NO_SIGN, None))
    qtbot.waitUntil(lambda: inspector.widget().width() <= inspector.viewport().width())
    popup = inspector.model.findChild(QComboBox).view()
    assert popup.minimumWidth() > popup.fontMetrics().horizontalAdvance(title)


def test_model_titles_include_name_when_not_unique(tmp_path: Path) -> None:
    models = ModelList()
    add(models, write_model(tmp_path / "other.safetensors", "VDSR"))
    assert {models.title("vdsr"), models.title("other")} == {"VDSR (vdsr)", "VDSR (other)"}


def test_usable_model_falls_back_to_default_when_missing() -> None:
    models = ModelList()
    assert models.usable("mine") == "mine"
    assert models.usable("gone") == "vdsr"


# Export


@pytest.fixture
def export(qtbot: QtBot) -> ExportPanel:
    made = ExportPanel()
    qtbot.addWidget(made)
    made.show_options(SaveOptions(FileFormat.PNG, 92))
    made.show()
    return made


def named(panel: QWidget, name: str) -> QWidget:
    return next(w for w in panel.findChildren(QWidget) if w.accessibleName() == name)


def test_export_panel_round_trips_options(export: ExportPanel) -> None:
    for options in (
        SaveOptions(FileFormat.JPEG, 80, None, Metadata.NONE),
        SaveOptions(FileFormat.TIFF, 1, 16, Metadata.PRIVATE),
        SaveOptions(FileFormat.AVIF, 100, 8, Metadata.KEEP),
    ):
        export.show_options(options)
        assert export.options == options


@pytest.mark.parametrize(
    ("file_format", "has_quality", "has_depth"),
    [
        (FileFormat.PNG, False, True),
        (FileFormat.JPEG, True, False),
        (FileFormat.WEBP, True, False),
        (FileFormat.TIFF, False, True),
        (FileFormat.AVIF, True, False),
    ],
)
def test_export_panel_shows_only_controls_of_the_format(
    export: ExportPanel, file_format: FileFormat, has_quality: bool, has_depth: bool
) -> None:
    export.show_options(SaveOptions(file_format))
    assert export.findChildren(QSlider)[0].isVisible() is has_quality
    assert named(export, "Depth").isVisible() is has_depth


def test_export_panel_keeps_depth_until_format_supports_it(export: ExportPanel) -> None:
    export.show_options(SaveOptions(FileFormat.PNG, bits=16))
    export.show_options(SaveOptions(FileFormat.AVIF))
    export.show_options(SaveOptions(FileFormat.AVIF, 80))
    activate(named(export, "Format"), "TIFF")  # type: ignore[arg-type]
    assert export.options.bits == 16
    export.show_options(SaveOptions(FileFormat.TIFF))
    assert export.options.bits is None


def test_quality_slider_changes_options(qtbot: QtBot, export: ExportPanel) -> None:
    export.show_options(SaveOptions(FileFormat.JPEG, 92))
    with qtbot.waitSignal(export.options_changed) as blocker:
        export.findChildren(QSlider)[0].setValue(55)
    assert blocker.args[0].quality == 55
    assert export.options.quality == 55


def test_export_buttons_follow_their_actions(export: ExportPanel) -> None:
    save, copy = QAction("Save"), QAction("Copy")
    export.set_actions(save, copy)
    save.setEnabled(False)
    save.setToolTip("Save: open a picture first")
    assert not button(export, "Save as…").isEnabled()
    assert button(export, "Save as…").toolTip() == "Save: open a picture first"
    done: list[str] = []
    copy.triggered.connect(lambda: done.append("copied"))
    button(export, "Copy").click()
    assert done == ["copied"]


# Picture, status, start


def test_picture_panel_shows_facts_as_plain_text(qtbot: QtBot) -> None:
    notes = ("CMYK was <i>converted</i>.", "Only the first of its 3 pages was read.")
    source = SourceInfo(Path(f"/x/{MARKUP[:5]}.tif"), "tiff", "CMYK", 3, None, notes)
    picture = Picture(np.zeros((10, 20, 3), np.uint16), exif=b"x", dpi=(300, 300), source=source)
    panel = PicturePanel()
    qtbot.addWidget(panel)
    panel.resize(272, 400)
    panel.show_picture(picture)
    qtbot.waitUntil(lambda: len(words(panel)) > 10)
    shown = words(panel)
    assert "20 × 10 px · 0.00 Mpx" in shown  # noqa: RUF001
    for text in ("<b>bo.tif", "CMYK", "EXIF", "300 dpi", "none (sRGB assumed)"):
        assert text in shown, shown
    assert "\n".join(notes) in [text.replace("\u200b", "") for text in shown]  # each note once
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in panel.findChildren(QLabel))
    panel.show_picture(make_picture(3, 3))
    qtbot.waitUntil(lambda: "from the clipboard" in words(panel))
    assert not any("CMYK" in text for text in words(panel))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            SourceInfo(Path("/x/a.webp"), "webp", compression=Compression(SourceFormat.WEBP, 75)),
            "WebP, quality about 75",
        ),
        (
            SourceInfo(Path("/x/a.jpg"), "jpeg", compression=Compression(SourceFormat.JPEG, 90)),
            "JPEG, quality about 90",
        ),
        (SourceInfo(Path("/x/a.jxl"), "jxl"), "JPEG XL"),
    ],
)
def test_picture_panel_shows_common_format_name_and_quality(qtbot: QtBot, source: SourceInfo, said: str) -> None:
    panel = PicturePanel()
    qtbot.addWidget(panel)
    panel.show_picture(Picture(np.zeros((10, 20, 3), np.uint8), source=source))
    qtbot.waitUntil(lambda: said in words(panel))


def test_picture_panel_survives_many_pictures_in_a_row() -> None:
    """Runs in a separate process, because a crash would take all other tests with it."""
    code = """
import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget
from vdsr_app.core.picture import Picture
from vdsr_app.gui.picture_panel import PicturePanel

app, left = QApplication([]), list(range(300))
window, panel = QWidget(), PicturePanel()
QVBoxLayout(window).addWidget(panel)
window.show()

def show_next():
    alpha = np.zeros((5, 6), np.uint8) if left.pop() % 2 else None
    panel.show_picture(Picture(np.zeros((5, 6, 3), np.uint8), alpha))
    if not left:
        app.quit()

timer = QTimer()
timer.timeout.connect(show_next)
timer.start(0)
app.exec()
print("done")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.strip()) == (0, "done"), result.stderr


def test_status_line_shows_only_known_values(qtbot: QtBot) -> None:
    line = StatusLine()
    qtbot.addWidget(line)
    line.resize(1000, 30)
    line.show()
    assert [text for text in words(line) if text] == []
    line.show_device("Fake, bf16")
    line.show_activity(Activity("VDSR · 43 %", 0.43))
    line.show_cursor((812, 440), (1, 2, 3, 255), (4, 5, 6, 255))
    line.show_scores("Bicubic 33.66 dB 0.9300", "against a.png")
    assert words(line) == ["Fake, bf16", "VDSR · 43 %", "x 812  y 440", "Bicubic 33.66 dB 0.9300"]
    assert any("#010203" in w.accessibleName() for w in line.findChildren(QWidget))
    with qtbot.waitSignal(line.cancel_requested):
        line.findChildren(QToolButton)[0].click()
    line.show_activity(None)
    line.show_note("Done")
    assert "Done" in words(line)


def test_status_line_is_not_widened_by_long_texts(qtbot: QtBot) -> None:
    line = StatusLine()
    qtbot.addWidget(line)

    def least(words: str) -> int:
        line.show_device(words)
        line.show_batch(words)
        line.show_training(words)
        line.show_activity(Activity(words))
        line.show_scores(words, "against a.png")
        return line.minimumSizeHint().width()

    assert least("Batch 12 % · 3 h 53 min left " * 4) == least("Batch")


def test_status_line_shows_training_text_literally_with_full_tooltip(qtbot: QtBot) -> None:
    line = StatusLine()
    qtbot.addWidget(line)
    line.show_training("Training <b>R&B</b> · 3 h 53 min left")
    shown = next(b for b in line.findChildren(QPushButton) if b.isVisibleTo(line))
    assert shown.text() == "Training <b>R&&B</b> · 3 h 53 min left"
    assert "Training &lt;b&gt;R&amp;B&lt;/b&gt; · 3 h 53 min left — Show the run" in shown.toolTip()


def test_status_line_note_does_not_replace_activity(qtbot: QtBot) -> None:
    line = StatusLine()
    qtbot.addWidget(line)
    line.show_activity(Activity("Runs"))
    line.show_note("Done")
    assert "Done" not in words(line)


def test_start_strip_offers_three_recent_files(qtbot: QtBot) -> None:
    strip = StartStrip()
    qtbot.addWidget(strip)
    strip.show_recent(["/a/R&B.png", "/a/b.png", "/a/c.png", "/a/d.png"])
    links = [b for b in strip.findChildren(QPushButton) if b.property("role") == "link"]
    assert [link.text() for link in links] == ["R&&B.png", "b.png", "c.png"]
    with qtbot.waitSignal(strip.recent_chosen) as chosen:
        links[0].click()
    assert chosen.args == [Path("/a/R&B.png")]


# Workspaces and dialogs


def test_workspace_switch_appears_with_second_workspace(qtbot: QtBot) -> None:
    spaces = Workspaces()
    qtbot.addWidget(spaces)
    first, second = QWidget(), QWidget()
    spaces.add("Upscale", "image", first, 1)
    spaces.show()
    assert not any(b.isVisible() for b in spaces.findChildren(QToolButton))
    action = spaces.add("Train", "school-outline", second, 3)
    assert [b.text() for b in spaces.findChildren(QToolButton) if b.isVisible()] == ["Upscale", "Train"]
    assert action.shortcut().toString() == "Ctrl+3"
    assert spaces.current is first
    with qtbot.waitSignal(spaces.changed):
        action.trigger()
    assert spaces.current is second


def test_settings_dialog_updates_and_follows_the_store(qtbot: QtBot, store: SettingsStore) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    dialog = SettingsDialog(store, "Fake, bf16", parent)
    theme = next(b for b in dialog.findChildren(QComboBox) if b.accessibleName() == "Theme")
    activate(theme, "Dark")
    assert store.current.theme is Theme.DARK
    store.update(theme=Theme.LIGHT)
    assert theme.currentText() == "Light"
    device = next(b for b in dialog.findChildren(QComboBox) if b.accessibleName() == "Device")
    assert device.currentText() == "Automatic (Fake, bf16)"
    with qtbot.waitSignal(dialog.reset_requested):
        button(dialog, "Reset to defaults").click()


def test_settings_dialog_shows_device_chosen_elsewhere(qtbot: QtBot, store: SettingsStore) -> None:
    store.update(device="cuda:7")
    parent = QWidget()
    qtbot.addWidget(parent)
    dialog = SettingsDialog(store, "", parent)
    device = next(b for b in dialog.findChildren(QComboBox) if b.accessibleName() == "Device")
    assert device.currentText() == "cuda:7"


def test_about_dialog_names_libraries_and_guide_names_keys(qtbot: QtBot, theme: ThemeManager) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    shown = " ".join(words(AboutDialog(parent)))
    for part in ("PySide6", "PyTorch", "libvips", "Material Design Icons", "LGPL 3", "MIT"):
        assert part in shown
    guide = GuideDialog(parent)._text.toPlainText()
    for key in ("Ctrl+O", "Ctrl+Shift+S", "Space", "F11", "Ctrl+2", "vdsr batch"):
        assert texts.name_keys(key) in guide


def test_about_dialog_package_list_scrolls_by_keys_when_it_does_not_fit(qtbot: QtBot, theme: ThemeManager) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    about = AboutDialog(parent)
    about.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    about.resize(about.width(), 300)
    about.show()
    packages = about.findChild(QScrollArea)
    bar = packages.verticalScrollBar()
    packages.setFocus(Qt.FocusReason.TabFocusReason)
    assert about.focusWidget() is packages
    for key in (Qt.Key.Key_PageDown, Qt.Key.Key_Down):
        before = bar.value()
        QTest.keyClick(packages, key)
        assert bar.value() > before
    about.resize(about.width(), 2000)
    qtbot.waitUntil(lambda: packages.focusPolicy() is Qt.FocusPolicy.NoFocus)


def test_libraries_include_every_dependency(checkout: Path) -> None:
    needed = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower() for requirement in needed}
    assert names - {part.package.lower() for part in LIBRARIES} == set()
    assert all(part.licence and part.version != "not known" for part in LIBRARIES)


def test_system_information_names_versions_and_no_paths(tmp_path: Path) -> None:
    text = system_information("Fake, bf16", ["vdsr"])
    for part in ("VDSR Studio", "Python", "Qt", "Device: Fake, bf16", "Models: vdsr", "torch", "numba"):
        assert part in text
    assert str(Path.home()) not in text
    assert str(tmp_path) not in text
