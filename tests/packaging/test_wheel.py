"""The wheel: it contains the application, the trainer and the data, and finds its models where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from vdsr_app import __version__

SOURCES = {"vdsr_app": "vdsr_app", "vdsr_trainer": "trainer/vdsr_trainer"}
DATA = {"vdsr_app/_data/models": "models", "vdsr_app/_data/resources": "resources"}


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    result = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder), cwd=checkout)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    run("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", folder, wheel, cwd=folder)
    return folder


def files_below(folder: Path) -> set[str]:
    """Files of the checkout, relative and with slashes, without Python's caches."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_contains_exactly_the_packages_and_their_data(wheel: Path, checkout: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"{to}/{name}" for to, folder in (SOURCES | DATA).items() for name in files_below(checkout / folder)}
    found = {name for name in names if ".dist-info/" not in name}
    assert found == expected
    assert {name.split("/")[0] for name in names} == {
        "vdsr_app",
        "vdsr_trainer",
        f"vdsr_studio-{__version__}.dist-info",
    }


def test_installed_package_finds_its_data(installed: Path, checkout: Path) -> None:
    code = (
        "from vdsr_app import paths; from vdsr_app.core.models import installed_models; import vdsr_trainer.config\n"
        "print(paths.models_dir()); print(paths.resources_dir())\n"
        "print(*[model.path.name for model in installed_models() if model.bundled], sep='|')"
    )
    models, resources, names = run("-P", "-c", code, cwd=installed, PYTHONPATH=str(installed)).split("\n")[:3]
    assert Path(models) == installed / "vdsr_app" / "_data" / "models"
    assert Path(resources) == installed / "vdsr_app" / "_data" / "resources"
    assert sorted(name for name in names.split("|") if name) == sorted(
        p.name for p in checkout.glob("models/*.safetensors")
    )


def test_command_is_installed(installed: Path) -> None:
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "vdsr = vdsr_app.__main__:main" in entry_points.read_text()
    (script,) = list((installed / "bin").glob("vdsr*")) or [installed / "Scripts" / "vdsr.exe"]
    assert script.exists()


def test_version_is_the_same_everywhere(checkout: Path, wheel: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
    assert f"## [{__version__}]" in (checkout / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_requirement_is_pinned(checkout: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pinned = {}
    for line in (checkout / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version = line.split(";")[0].strip().split("==")
            pinned[name] = version
    for requirement in wanted:
        name = requirement.split(">=")[0].split("[")[0].lower()
        assert name in pinned, f"{name} is missing in constraints.txt"
    assert pinned["torch"] == "2.13.0"
    assert "torch>=2.10" in wanted
