"""start.py in temporary folders with a fake environment: nothing is installed, nothing downloaded."""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

posix = pytest.mark.skipif(sys.platform == "win32", reason="the made-up Python is a shell script")


class Folder:
    """A checkout whose environment is made and filled by functions that only record their calls.

    Attributes:
        root: the checkout.
        files: the Checkout of start.py for it.
        steps: "environment" and "packages" + extra, as they happen.
        failing: makes pip fail while it is set.
    """

    def __init__(self, start: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.start = start
        self.root = root
        root.mkdir(parents=True)
        (root / "pyproject.toml").write_text("[project]\n")
        (root / "constraints.txt").write_text("torch==2.13.0\n")
        self.files = start.Checkout(root)
        self.steps: list[str] = []
        self.failing = False
        monkeypatch.setattr(start, "make_environment", self._make_environment)
        monkeypatch.setattr(start, "install", self._install)
        monkeypatch.setattr(start, "check_folder", lambda root: None)  # folders of tests have long names
        monkeypatch.setattr(start, "fit_to_processor", lambda files: self.steps.append("fit"))
        monkeypatch.setattr(start, "is_sound", lambda files: files.python.exists() and not files.was_moved())

    def _make_environment(self, files: Any) -> None:
        self.steps.append("environment")
        shutil.rmtree(files.venv, ignore_errors=True)
        files.python.parent.mkdir(parents=True)
        files.python.write_text("")

    def _install(self, files: Any, extra: str, lock: int) -> None:
        self.steps.append(f"packages {extra}".strip())
        if self.failing:
            raise self.start.SetupError("pip failed")

    def prepare(self, extra: str = "") -> list[str]:
        """Steps of one start."""
        self.steps.clear()
        self.start.prepare(self.files, extra)
        return list(self.steps)


@pytest.fixture
def folder(start: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(start, tmp_path / "VDSR Studio ü", monkeypatch)


def test_prepare_does_each_step_only_once(folder: Folder) -> None:
    assert folder.prepare() == ["environment", "packages", "fit"]
    assert folder.prepare() == []
    assert folder.prepare("dev") == ["packages dev"]
    assert folder.prepare("dev") == []
    assert folder.prepare() == []


def test_dev_environment_also_runs_the_application(folder: Folder) -> None:
    folder.prepare("dev")
    assert folder.prepare() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_installs_again_when_the_requirements_change(folder: Folder, name: str) -> None:
    folder.prepare()
    (folder.root / name).write_text("something else\n")
    assert folder.prepare() == ["packages", "fit"]


def test_unfinished_set_up_is_continued(folder: Folder) -> None:
    folder.failing = True
    with pytest.raises(folder.start.SetupError):
        folder.prepare()
    assert not folder.files.is_ready("")
    folder.failing = False
    assert folder.prepare() == ["packages", "fit"]
    assert folder.prepare() == []


def test_fit_to_processor_ignores_and_logs_failures(start: ModuleType, tmp_path: Path) -> None:
    checkout = start.Checkout(tmp_path)
    start.fit_to_processor(checkout)  # there is no Python at all
    checkout.python.parent.mkdir(parents=True)
    checkout.python.symlink_to(sys.executable)
    checkout.log.parent.mkdir(exist_ok=True)
    start.fit_to_processor(checkout)  # there is one, but no package that it could run
    assert "vdsr_app" in checkout.log.read_text()


@pytest.mark.parametrize("library", ["", "Lib/site-packages/torch/lib/c10_cuda.dll"])
@pytest.mark.parametrize("driver", [True, False])
def test_graphics_card_that_pytorch_cannot_use_is_reported(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], library: str, *, driver: bool
) -> None:
    monkeypatch.setattr(folder.start, "has_nvidia_driver", lambda: driver)
    if library:
        (folder.files.venv / library).parent.mkdir(parents=True)
        (folder.files.venv / library).touch()
        monkeypatch.setattr(folder.start, "make_environment", lambda _: None)
    folder.prepare()
    assert ("graphics card" in capsys.readouterr().err) == (driver and not library)


def test_build_for_cuda_is_detected_on_linux(start: ModuleType, tmp_path: Path) -> None:
    checkout = start.Checkout(tmp_path)
    libraries = checkout.venv / "lib" / "python3.13" / "site-packages" / "torch" / "lib"
    libraries.mkdir(parents=True)
    (libraries / "libc10.so").touch()
    assert not start.is_built_for_cuda(checkout)
    (libraries / "libc10_cuda.so").touch()
    assert start.is_built_for_cuda(checkout)


def test_failure_to_add_the_test_tools_leaves_the_application_ready(folder: Folder) -> None:
    folder.prepare()
    folder.failing = True
    with pytest.raises(folder.start.SetupError):
        folder.prepare("dev")
    assert folder.prepare() == []


def test_moved_environment_is_rebuilt(folder: Folder) -> None:
    folder.prepare()
    moved = folder.root.with_name("elsewhere")
    folder.root.rename(moved)
    folder.files = folder.start.Checkout(moved)
    assert folder.prepare() == ["environment", "packages", "fit"]


def test_environment_of_another_python_is_rebuilt(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.prepare()
    monkeypatch.setattr(folder.start, "version", lambda: "3.99")
    assert folder.prepare() == ["environment", "packages", "fit"]


def test_environment_without_its_python_is_rebuilt(folder: Folder) -> None:
    folder.prepare()
    folder.files.python.unlink()
    assert folder.prepare() == ["environment", "packages", "fit"]


def test_concurrent_start_waits_and_finds_all_done(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = iter([False, False, True])

    def try_lock(descriptor: int) -> bool:
        got = next(tries)
        if got:  # the other start has finished meanwhile
            folder._make_environment(folder.files)
            folder.files.stamp("").write_text(folder.files.stamp_text(), encoding="utf-8")
        return got

    monkeypatch.setattr(folder.start, "try_lock", try_lock)
    monkeypatch.setattr(folder.start.time, "sleep", lambda seconds: None)
    assert folder.prepare() == ["environment"]
    assert next(tries, None) is None


def test_lock_holds_between_processes_and_ends_with_its_owner(start: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "constraints.txt"
    path.write_text("torch==2.13.0\n")
    code = (
        f"import sys; sys.path.insert(0, {str(start.ROOT)!r}); import pathlib, start\n"
        f"with start.exclusive(pathlib.Path({str(path)!r})):\n  print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().strip() == b"locked"
        with path.open("r+b") as handle:
            assert not start.try_lock(handle.fileno())
            assert path.read_text() == "torch==2.13.0\n"
            owner.kill()
            owner.wait()
            assert start.try_lock(handle.fileno())


@pytest.fixture
def commands(start: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """The extra that main() sets up for some arguments, what it then runs, and in which working folder."""

    def call(*arguments: str) -> list[str]:
        seen: list[list[str]] = []
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(start, "prepare", lambda files, extra: seen.append([extra]))
        monkeypatch.setattr(start, "lacks_qt_libraries", lambda files, environ: False)
        monkeypatch.setattr(start, "run", lambda command: seen.append(command) or 7)
        assert start.main(list(arguments)) == 7
        return [*seen[0], *seen[1][1:], str(Path.cwd().relative_to(tmp_path) if Path.cwd() == tmp_path else Path.cwd())]

    return call


def test_arguments_go_to_the_application_in_the_callers_folder(commands: Callable[..., list[str]]) -> None:
    assert commands() == ["", "-P", "-m", "vdsr_app", "."]
    assert commands("my photo.jpg") == ["", "-P", "-m", "vdsr_app", "my photo.jpg", "."]
    assert commands("upscale", "a", "--scale", "3") == ["", "-P", "-m", "vdsr_app", "upscale", "a", "--scale", "3", "."]


def test_test_command_runs_pytest_in_the_checkout(commands: Callable[..., list[str]], checkout: Path) -> None:
    assert commands("test", "-k", "wipe") == ["dev", "-m", "pytest", "-k", "wipe", str(checkout)]


def test_test_command_without_arguments_uses_all_cores(commands: Callable[..., list[str]], checkout: Path) -> None:
    assert commands("test") == ["dev", "-m", "pytest", "--numprocesses=auto", "--dist=worksteal", str(checkout)]


def test_test_command_fails_when_qt_libraries_are_missing(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "lacks_qt_libraries", lambda files, environ: environ["QT_QPA_PLATFORM"] == "offscreen")
    assert start.main(["test"]) == 1


@posix
def test_start_with_a_ready_environment_runs_its_python_directly(start: ModuleType, tmp_path: Path) -> None:
    root, caller = tmp_path / "a checkout ü", tmp_path / "pictures"
    caller.mkdir()
    files = start.Checkout(root)
    files.python.parent.mkdir(parents=True)
    for name in ("start.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(start.ROOT / name, root)
    files.python.write_text('#!/bin/sh\nprintf "%s|" "$PWD" "$@"\nexit 5\n')
    files.python.chmod(0o755)
    files.stamp("").write_text(files.stamp_text(), encoding="utf-8")
    command = [sys.executable, str(root / "start.py"), "a photo ü.jpg"]
    result = subprocess.run(command, cwd=caller, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (5, "")
    assert result.stdout == f"{caller}|-P|-m|vdsr_app|a photo ü.jpg|"


def test_missing_venv_module_is_reported_with_its_package(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(start.SetupError, match=f"sudo apt install python{start.version()}-venv"):
        start.check_host()


@pytest.fixture
def windows(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this system look like Windows with some version of Python, and a registry with or without long paths."""

    def pretend(*version: int, long_paths: int | None = None) -> None:
        def value(key: object, name: str) -> tuple[object, int]:
            if long_paths is None:
                raise FileNotFoundError(name)
            return {"LongPathsEnabled": long_paths}[name], 4

        registry = SimpleNamespace(
            HKEY_LOCAL_MACHINE=0, OpenKey=lambda *names: contextlib.nullcontext(), QueryValueEx=value
        )
        monkeypatch.setattr(start, "winreg", registry, raising=False)
        monkeypatch.setattr(sys, "version_info", (*version, 1, "final", 0))
        monkeypatch.setattr(sys, "platform", "win32")

    return pretend


@pytest.mark.parametrize("name", ["Jörg", "Álvaro", "Юрий", "写真"])
def test_older_python_on_windows_rejects_a_folder_with_non_ascii_letters(
    start: ModuleType, windows: Callable[..., None], name: str
) -> None:
    windows(3, 12)
    with pytest.raises(start.SetupError, match=rf"(?s){name}.*Python 3\.13 or newer.*move"):
        start.check_folder(Path("C:/Users", name, "vdsr"))
    start.check_folder(Path("C:/Users/Anna/vdsr studio"))
    windows(3, 13)
    start.check_folder(Path("C:/Users", name, "vdsr"))


@pytest.mark.parametrize("long_paths", [None, 0, 1])
def test_folder_below_which_paths_grow_too_long_is_rejected_on_windows(
    start: ModuleType, windows: Callable[..., None], long_paths: int | None
) -> None:
    windows(3, 13, long_paths=long_paths)
    start.check_folder(Path(f"C:/{'x' * 57}"))
    deep = Path(f"C:/{'x' * 58}")
    if long_paths:
        start.check_folder(deep)
    else:
        with pytest.raises(start.SetupError, match=f"(?s){'x' * 58}.*Move the folder.*60.*long paths"):
            start.check_folder(deep)


def test_every_file_of_the_largest_packages_fits_below_the_longest_folder(start: ModuleType) -> None:
    names = [str(file) for name in ("torch", "PySide6-Essentials") for file in importlib.metadata.files(name) or ()]
    assert max(map(len, names)) + start.LONGEST_ROOT + len("/.venv/Lib/site-packages/") < 260


@posix
def test_other_systems_accept_folders_of_any_name(start: ModuleType) -> None:
    start.check_folder(Path("/home/jörg/写真", "x" * 100))


def test_folder_is_rejected_before_anything_is_written(
    start: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(root: Path) -> None:
        raise start.SetupError(f"not in {root}")

    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    monkeypatch.setattr(start, "ROOT", tmp_path)
    monkeypatch.setattr(start, "check_folder", refuse)
    monkeypatch.setattr(start, "lacks_qt_libraries", lambda files, environ: False)
    assert start.main([]) == 1
    assert capsys.readouterr().err == f"not in {tmp_path}\n"
    assert not (tmp_path / ".venv").exists()


def test_old_python_exits_naming_the_required_version(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (checkout / "start.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 8))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer; this is Python 3\.9"):
        exec(compile(tree, "start.py", "exec"), {"__name__": "start", "__file__": "start.py"})


def test_uses_the_standard_library_only(checkout: Path) -> None:
    tree = ast.parse((checkout / "start.py").read_text(encoding="utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in modules} <= sys.stdlib_module_names


def test_report_shows_big_downloads_and_the_installation_only(
    start: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in (
        "Collecting torch>=2.10 (from vdsr-studio==0.1.0)\n",
        "  Downloading torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl (1.1 GB)\n",
        "  Downloading https://mirror.example/pyside6_essentials-6.12.0-cp310-abi3-win_amd64.whl (84.3 MB)\n",
        "  Downloading tqdm-4.70.1-py3-none-any.whl (80 kB)\n",
        "  Downloading qtawesome-1.4.2-py3-none-any.whl (2.6 MB)\n",
        "Installing collected packages: mpmath, tqdm, torch\n",
    ):
        start.report(line)
    assert capsys.readouterr().err.splitlines() == [
        "  downloading torch 2.13.0, 1100 MB",
        "  downloading pyside6-essentials 6.12.0, 84 MB",
        "  installing 3 packages",
    ]


def test_explain_failure_shows_the_complaints_of_pip(start: ModuleType, tmp_path: Path) -> None:
    output = "Collecting a\n  WARNING: no route to host\nnoise\nERROR: no matching distribution for a\n"
    output += "HINT: long paths are off\nnoise\n"
    text = start.explain_failure(start.Checkout(tmp_path), output)
    assert "no route to host" in text
    assert "no matching distribution" in text
    assert "long paths are off" in text
    assert "noise" not in text
    assert str(tmp_path / ".venv" / "setup.log") in text


def test_pip_gets_a_relative_constraints_file_as_it_splits_at_spaces(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_USER", "1")
    environ = start.pip_environment()
    assert environ["PIP_CONSTRAINT"] == environ["PIP_BUILD_CONSTRAINT"] == "constraints.txt"
    assert environ["PIP_USER"] == "0"


class Packages:
    """A folder of installed packages, one of them pip, and the verdict of PROBE on it."""

    def __init__(self, start: ModuleType, folder: Path) -> None:
        self.start = start
        self.folder = folder
        folder.mkdir()
        (folder / "pip.py").write_text("")
        info = folder / "numbers-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numbers\nVersion: 1.0\n")
        (folder / "numbers.py").write_text("ONE = 1\n")
        (info / "RECORD").write_text("numbers.py,,8\n__pycache__/numbers.pyc,,\nnumbers-1.0.dist-info/RECORD,,\n")

    def sound(self, python_version: str | None = None) -> bool:
        expected = [os.path.realpath(sys.prefix), python_version or self.start.version()]
        code = f"import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p] + [{str(self.folder)!r}]\n"
        command = [sys.executable, "-I", "-c", code + self.start.PROBE, *expected]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def packages(start: ModuleType, tmp_path: Path) -> Packages:
    return Packages(start, tmp_path / "packages")


def test_probe_accepts_complete_packages(packages: Packages) -> None:
    assert packages.sound()


def test_probe_rejects_another_python(packages: Packages) -> None:
    assert not packages.sound("3.99")


def test_probe_rejects_an_environment_without_pip(packages: Packages) -> None:
    (packages.folder / "pip.py").unlink()
    assert not packages.sound()


def test_probe_rejects_a_missing_file(packages: Packages) -> None:
    (packages.folder / "numbers.py").unlink()
    assert not packages.sound()


def test_probe_rejects_a_truncated_file(packages: Packages) -> None:
    (packages.folder / "numbers.py").write_text("ONE")
    assert not packages.sound()


def test_probe_rejects_a_package_without_its_list_of_files(packages: Packages) -> None:
    (packages.folder / "numbers-1.0.dist-info" / "RECORD").unlink()
    assert not packages.sound()
