"""Settings: round trips, rejection of bad values, and merging of changes by two windows."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from vdsr_app.core.job import FileFormat, Metadata, SaveOptions, Target, TargetKind
from vdsr_app.errors import UsageError
from vdsr_app.gui.settings import AppSettings, CanvasColor, SettingsStore, Theme, settings_path
from vdsr_app.workers.messages import LayerKind

EVERYTHING = {
    "theme": Theme.DARK,
    "canvas": CanvasColor.WHITE,
    "device": "cuda:1",
    "precision": "fp32",
    "model": "mine",
    "target_kind": TargetKind.MEGAPIXELS,
    "target_value": 12.5,
    "left": LayerKind.ORIGINAL,
    "right": LayerKind.LANCZOS,
    "mode": "side",
    "format": FileFormat.WEBP,
    "quality": 100,
    "bits": 16,
    "metadata": Metadata.PRIVATE,
    "inspector_visible": False,
    "geometry": b"\x00\xff;=,\n",
    "recent": ("/a, b/ü.png", "/bytes/\udcff.png", '/"quoted"/%20.png'),
    "save_folder": "/tmp/out",
    "training_end": "save",
    "batch_folder": "/tmp/out",
    "batch_template": "{number:03} {name}",
    "batch_existing": "rename",
    "batch_recursive": False,
    "self_ensemble": True,
    "smooth": True,
    "size_measure": TargetKind.HEIGHT,
    "loss_log": False,
    "gradient_log": False,
    "crop_left": "original",
    "crop_side": True,
    "runs_measure": "3",
    "runs_by_time": True,
}


def write(text: str | bytes) -> Path:
    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_field_round_trips() -> None:
    assert set(EVERYTHING) == {field.name for field in fields(AppSettings)}
    store = SettingsStore(settings_path())
    store.update(**EVERYTHING)
    store.flush()
    again = SettingsStore(settings_path())
    assert again.current == AppSettings(**EVERYTHING)
    assert again.problem == ""


@pytest.mark.parametrize("text", ["/caf\udce9/in", "/a\nb", '"/quoted"', '"', "C:\\ä\\%20", "/ a, b;=", "[1]"])
def test_texts_round_trip_including_paths_that_are_not_utf8(text: str) -> None:
    store = SettingsStore(settings_path())
    store.update(batch_folder=text, save_folder=text, model=text)
    store.flush()
    again = SettingsStore(settings_path()).current
    assert (again.batch_folder, again.save_folder, again.model) == (text, text, text)


def test_unquoted_text_is_read_unchanged() -> None:
    assert SettingsStore(write("[General]\nbatch_folder=/tmp/out\n")).current.batch_folder == "/tmp/out"


def test_target_and_save_options_are_derived_from_fields() -> None:
    settings = AppSettings(**EVERYTHING)
    assert settings.target == Target(TargetKind.MEGAPIXELS, 12.5)
    assert settings.save_options == SaveOptions(FileFormat.WEBP, 100, None, Metadata.PRIVATE)
    assert AppSettings().save_options.bits is None


@pytest.mark.parametrize("file_format", FileFormat)
@pytest.mark.parametrize("bits", [0, 8, 16])
def test_save_options_have_depth_only_for_formats_that_support_it(file_format: FileFormat, bits: int) -> None:
    expected = AppSettings(format=file_format, bits=bits).save_options.bits
    assert expected == (bits or None if file_format in (FileFormat.PNG, FileFormat.TIFF) else None)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("theme=purple", "theme"),
        ("quality=900", "quality"),
        ("quality=high", "quality"),
        ("target_value=nan", "target_value"),
        ("target_value=40", "target_value"),
        ("device=toaster", "device"),
        ("bits=12", "bits"),
        ("mode=sideways", "mode"),
        ("left=reference", "left"),
        ("inspector_visible=perhaps", "inspector_visible"),
        ("geometry=***", "geometry"),
        ("recent={}", "recent"),
        ("recent=[1, 2]", "recent"),
        ("recent=a, b", "recent"),
        ("model=", "model"),
        (r'save_folder="\"/tmp"', "save_folder"),
        ("batch_existing=burn", "batch_existing"),
        ("batch_template={nam}", "batch_template"),
    ],
)
def test_bad_value_is_replaced_by_default_and_logged(line: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    write(f"[General]\n{line}\nprecision=bf16\n")
    with caplog.at_level(logging.WARNING):
        current = SettingsStore(settings_path()).current
    assert getattr(current, name) == getattr(AppSettings(), name)
    assert current.precision == "bf16"
    assert name in caplog.text


@pytest.mark.parametrize(
    "content", [b"\x00\x01\x02 binary", b"\xff\xfe\xfa", b"[General\nno key here\n", b"words, no keys"]
)
def test_corrupt_file_is_backed_up_and_reported_once(content: bytes) -> None:
    path = write(content)
    store = SettingsStore(path)
    assert store.current == AppSettings()
    backup = path.with_name("settings.ini.bak")
    assert str(backup) in store.problem
    assert backup.read_bytes() == content
    store.update(quality=50)
    store.flush()
    again = SettingsStore(path)
    assert again.problem == ""
    assert again.current.quality == 50


def test_empty_file_is_not_reported() -> None:
    assert SettingsStore(write(b"")).problem == ""


def test_settings_of_later_version_are_read_and_backed_up() -> None:
    path = write("[General]\nversion=99\nquality=77\nnew_thing=1\n")
    store = SettingsStore(path)
    assert store.current.quality == 77
    assert "settings.ini.bak" in store.problem
    assert b"new_thing" in path.with_name("settings.ini.bak").read_bytes()


def test_huge_version_number_counts_as_later_version() -> None:
    store = SettingsStore(write(f"[General]\nversion={'9' * 5000}\nquality=77\n"))
    assert store.current.quality == 77
    assert "settings.ini.bak" in store.problem


def test_folder_in_place_of_file_is_reported_and_defaults_are_used() -> None:
    settings_path().mkdir(parents=True)
    store = SettingsStore(settings_path())
    assert store.current == AppSettings()
    assert str(settings_path()) in store.problem
    store.update(quality=50)
    assert store.current.quality == 50
    store.flush()


def test_update_rejects_invalid_value_and_changes_nothing(store: SettingsStore) -> None:
    with pytest.raises(UsageError):
        store.update(quality=50, bits=3)
    assert store.current == AppSettings()


def test_changed_is_emitted_only_for_changed_values(qtbot: QtBot, store: SettingsStore) -> None:
    with qtbot.assertNotEmitted(store.changed):
        store.update(quality=92)
    with qtbot.waitSignal(store.changed) as signal:
        store.update(quality=93)
    assert signal.args[0].quality == 93


OTHER_WINDOW = """
from pathlib import Path
from vdsr_app.gui.settings import SettingsStore, settings_path
store = SettingsStore(settings_path())
store.update(quality=50)
store.add_recent(Path("/b.png"))
store.flush()
"""


def test_two_windows_keep_each_others_changes(checkout: Path) -> None:
    first = SettingsStore(settings_path())
    first.update(theme=Theme.DARK)
    first.flush()
    # In a separate process, because Qt shares its cached content of a file within one process.
    subprocess.run([sys.executable, "-c", OTHER_WINDOW], check=True, cwd=checkout)
    first.add_recent(Path("/a.png"))
    first.update(bits=16)
    first.flush()
    merged = SettingsStore(settings_path()).current
    assert (merged.theme, merged.quality, merged.bits) == (Theme.DARK, 50, 16)
    assert merged.recent == ("/a.png", "/b.png")


def test_recent_files_are_limited_to_ten_and_unique(store: SettingsStore) -> None:
    for number in (*range(12), 5):
        store.add_recent(Path(f"/{number}.png"))
    assert len(store.current.recent) == 10
    assert store.current.recent[:2] == ("/5.png", "/11.png")
    assert len(set(store.current.recent)) == 10


def test_reset_keeps_recent_files_geometry_and_folders(store: SettingsStore) -> None:
    store.update(**EVERYTHING)
    store.reset()
    kept = ("recent", "geometry", "save_folder", "batch_folder")
    assert store.current == AppSettings(**{name: EVERYTHING[name] for name in kept})
