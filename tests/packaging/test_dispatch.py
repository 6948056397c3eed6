"""What `vdsr ARGUMENTS` does (window, command, or a plain error), and what it logs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from vdsr_app import __main__ as program
from vdsr_app import __version__, cli, qt_libraries

Opened = list[list[Path]]


@pytest.fixture(autouse=True)
def _logging_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "configure_logging", lambda: None)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Paths of each window that was opened, in place of a window."""
    windows: Opened = []
    window = ModuleType("vdsr_app.gui.app")

    def run(paths: Sequence[Path]) -> int:
        windows.append(list(paths))
        return 0

    window.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vdsr_app.gui.app", window)
    monkeypatch.setattr(qt_libraries, "has_screen", lambda: True)
    monkeypatch.setattr(qt_libraries, "missing_libraries", lambda: None)
    return windows


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Arguments that reached the command line."""
    seen: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda argv: seen.append(list(argv)) or 0)
    return seen


def test_no_argument_opens_the_window(opened: Opened) -> None:
    assert program.main([]) == 0
    assert opened == [[]]


@pytest.mark.parametrize("name", ["photo.jpg", "no-such-picture.png", "./upscale", "../pictures", "a folder/x"])
def test_path_opens_the_window(opened: Opened, commands: list[list[str]], name: str) -> None:
    assert program.main([name, "second.png"]) == 0
    assert opened == [[Path(name).absolute(), Path("second.png").absolute()]]
    assert commands == []


def test_existing_file_without_a_suffix_opens_the_window(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan").touch()
    assert program.main(["scan"]) == 0
    assert opened == [[Path("scan").absolute()]]


def test_arguments_after_two_dashes_are_paths(opened: Opened, commands: list[list[str]]) -> None:
    assert program.main(["--", "-strange.jpg", "upscale"]) == 0
    assert opened == [[Path("-strange.jpg").absolute(), Path("upscale").absolute()]]
    assert commands == []


@pytest.mark.parametrize("first", [*cli.COMMANDS, "--help", "-h", "--version", "--nonsense", "-x.y"])
def test_commands_and_options_go_to_the_command_line(opened: Opened, commands: list[list[str]], first: str) -> None:
    assert program.main([first, "photo.jpg"]) == 0
    assert commands == [[first, "photo.jpg"]]
    assert opened == []


def test_command_takes_precedence_over_a_file_of_its_name(
    opened: Opened, commands: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "upscale").touch()
    program.main(["upscale"])
    assert commands == [["upscale"]]


def test_mistyped_command_is_rejected_with_a_suggestion(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["upscal", "photo.jpg"]) == 2
    assert "'upscal' is neither a command nor a file." in (said := capsys.readouterr().err)
    assert "Did you mean: vdsr upscale" in said
    assert opened == []


def test_unknown_word_is_rejected_with_a_pointer_to_help(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["xyzzy"]) == 2
    assert "vdsr --help" in capsys.readouterr().err


def test_options_after_a_picture_are_rejected_with_the_command_to_use(
    opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["photo.jpg", "--scale", "3"]) == 2
    assert "vdsr upscale photo.jpg --scale 3" in capsys.readouterr().err
    assert opened == []


def test_missing_screen_is_reported_with_the_command_to_use(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(qt_libraries, "has_screen", lambda: False)
    assert program.main(["photo.jpg"]) == 1
    assert "vdsr upscale" in capsys.readouterr().err
    assert opened == []


def test_missing_system_libraries_are_named_before_qt_is_loaded(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = qt_libraries.MissingLibraries(("libxcb-cursor.so.0",), "sudo apt install libxcb-cursor0")
    monkeypatch.setattr(qt_libraries, "missing_libraries", lambda: missing)
    assert program.main([]) == 1
    assert "sudo apt install libxcb-cursor0" in capsys.readouterr().err
    assert opened == []


Process = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def process(tmp_path: Path) -> Process:
    """Runs Python code, or else the program, in its own process with a home folder below `tmp_path`."""

    def call(*arguments: str, code: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *(("-c", code) if code else ("-P", "-m", "vdsr_app")), *arguments]
        names = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), **environ}
        return subprocess.run(command, env=os.environ | names, capture_output=True, text=True, check=False)

    return call


def test_version_option_prints_the_version(process: Process) -> None:
    result = process("--version")
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, f"VDSR Studio {__version__}", "")


LOG_A_CRASH = """
import logging, pathlib
from vdsr_app.__main__ import configure_logging
configure_logging()
logging.getLogger("vdsr_app.core.engine").info("worth knowing")
logging.getLogger("pyvips").info("chatter")
raise RuntimeError(f"cannot read {pathlib.Path.home() / 'secret' / 'photo.jpg'}")
"""


def test_crash_is_logged_without_the_home_folder(process: Process, tmp_path: Path) -> None:
    result = process(code=LOG_A_CRASH, VDSR_HOME=str(tmp_path / "data"))
    assert result.returncode == 1
    assert "RuntimeError" in result.stderr
    log = (tmp_path / "data" / "logs" / program.LOG_NAME).read_text(encoding="utf-8")
    assert "Traceback" in log
    assert "worth knowing" in log
    assert "chatter" not in log
    assert str(Path("~", "secret", "photo.jpg")) in log
    assert str(tmp_path) not in log


LOG_PATHS_OF_WINDOWS = r"""
import logging, os, sys
from vdsr_app.__main__ import configure_logging
configure_logging()
os.path.expanduser = lambda path: sys.argv[1]
sys.platform = "win32"
log = logging.getLogger("vdsr_app")
log.info(r"plain: C:\Users\Anna\a.png")
log.info("of Qt: c:/users/anna/a.png")
log.info("of an error: %s", PermissionError(13, "in use", r"C:\Users\Anna\a.png"))
log.info(r"of another: C:\Users\Bert\a.png")
"""


@pytest.mark.parametrize("home", ["C:\\Users\\Anna", "C:\\Users\\Anna\\", "C:/Users/Anna"])
def test_log_hides_the_home_folder_in_each_spelling_of_windows(process: Process, tmp_path: Path, home: str) -> None:
    assert process(home, code=LOG_PATHS_OF_WINDOWS, VDSR_HOME=str(tmp_path / "data")).returncode == 0
    log = (tmp_path / "data" / "logs" / program.LOG_NAME).read_text(encoding="utf-8")
    assert [line.partition(" vdsr_app: ")[2] for line in log.splitlines()] == [
        "plain: ~\\a.png",
        "of Qt: ~/a.png",
        "of an error: [Errno 13] in use: '~\\\\a.png'",
        "of another: C:\\Users\\Bert\\a.png",
    ]


@pytest.mark.parametrize("home", ["/", "C:\\", "~"])
def test_log_keeps_full_paths_when_home_is_a_whole_drive(process: Process, tmp_path: Path, home: str) -> None:
    assert process(home, code=LOG_PATHS_OF_WINDOWS, VDSR_HOME=str(tmp_path / "data")).returncode == 0
    log = (tmp_path / "data" / "logs" / program.LOG_NAME).read_text(encoding="utf-8")
    assert "plain: C:\\Users\\Anna\\a.png" in log


LOG_A_WARNING = """
import logging
from vdsr_app.__main__ import configure_logging
configure_logging()
try:
    raise RuntimeError("why")
except RuntimeError:
    logging.getLogger("vdsr_app.core.engine").warning("It goes on without.", exc_info=True)
"""


def test_traceback_of_a_warning_is_written_to_the_log_only(process: Process, tmp_path: Path) -> None:
    result = process(code=LOG_A_WARNING, VDSR_HOME=str(tmp_path / "data"))
    assert (result.returncode, result.stderr) == (0, "WARNING: It goes on without.\n")
    assert "RuntimeError: why" in (tmp_path / "data" / "logs" / program.LOG_NAME).read_text(encoding="utf-8")


LOG_MORE_THAN_ONE_FILE_HOLDS = """
import logging, os, sys
from vdsr_app import __main__ as program

held = sys.argv[1]

def as_on_windows(move):
    def call(source, target):
        if os.path.basename(source) == held:
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        move(source, target)
    return call

os.rename, os.replace = as_on_windows(os.rename), as_on_windows(os.replace)
program.LOG_MAX_BYTES = 2000
program.configure_logging()
log = logging.getLogger("vdsr_app")
for number in range(60):
    log.info("held %02d", number)
held = ""
for number in range(60):
    log.info("free %02d", number)
"""


@pytest.mark.parametrize("held", [program.LOG_NAME, f"{program.LOG_NAME}.1"])
def test_log_held_open_by_another_process_continues_and_loses_no_lines(
    process: Process, tmp_path: Path, held: str
) -> None:
    logs = tmp_path / "data" / "logs"
    logs.mkdir(parents=True)
    for number in (1, 2, 3):
        (logs / f"{program.LOG_NAME}.{number}").write_text(f"old {number}", encoding="utf-8")
    result = process(held, code=LOG_MORE_THAN_ONE_FILE_HOLDS, VDSR_HOME=str(tmp_path / "data"))
    assert (result.returncode, result.stderr) == (0, "")
    found = {each.name: each.read_text(encoding="utf-8") for each in logs.iterdir()}
    assert sorted(found) == [program.LOG_NAME, *(f"{program.LOG_NAME}.{number}" for number in (1, 2, 3))]
    assert "old 1" in found.values()
    text = "".join(found[name] for name in sorted(found, reverse=True))
    expected = [f"{word} {number:02}" for word in ("held", "free") for number in range(60)]
    assert [line[-7:] for line in text.splitlines() if line[-7:-3] in ("held", "free")] == expected
    assert len(found[program.LOG_NAME]) <= 2000


def test_program_starts_when_no_log_can_be_written(process: Process, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = process("--version", VDSR_HOME=str(tmp_path / "file"))
    assert (result.returncode, result.stderr) == (0, "")
