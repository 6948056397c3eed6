"""`vdsr evaluate`, `train`, `info` and `--help`, what the program imports, its error lines and interrupts."""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vdsr_app
from vdsr_app import paths
from vdsr_app.cli import COMMANDS
from vdsr_app.commands import info
from vdsr_app.core.models import find_model
from vdsr_app.core.weights import load_model

ROOT = Path(vdsr_app.__file__).parent.parent


def test_evaluate_prints_json_for_each_scale_and_picture(run, tiny, photo) -> None:
    status, said, _ = run("evaluate", "--data", photo.parent, "--scales", 2, 1.5, "--model", tiny, "--json")
    assert status == 0
    result = json.loads(said)
    assert result["model"] == tiny
    assert list(result["scales"]) == ["2", "1.5"]
    for row in result["scales"].values():
        for who in ("bicubic", "model"):
            assert 10 < row[who]["psnr_db"] < 100
            assert 0 < row[who]["ssim"] <= 1
        assert [each["name"] for each in row["pictures"]] == ["photo"]
        assert row["pictures"][0]["bicubic"] == row["bicubic"]


def test_evaluate_psnr_matches_its_definition(run, tiny, photo) -> None:
    _, said, _ = run("evaluate", "--data", photo, "--scales", 2, "--model", tiny, "--json")
    rgb = np.asarray(Image.open(photo)).astype(float)
    luma = np.floor(rgb @ np.array([65.481, 128.553, 24.966]) / 255 + 16.5)
    from vdsr_app.core.resize import resize

    up = np.rint(resize(resize(luma, 14, 20, dtype=np.float64), 28, 40, dtype=np.float64))
    error = np.mean((luma - up)[2:-2, 2:-2] ** 2)
    assert json.loads(said)["scales"]["2"]["bicubic"]["psnr_db"] == pytest.approx(
        10 * math.log10(255**2 / error), abs=1e-3
    )


def test_evaluate_measures_gray_pictures_in_full_range(run, tiny, tmp_path) -> None:
    from vdsr_app.core.metrics import psnr_db
    from vdsr_app.core.resize import resize

    gray = np.random.default_rng(3).integers(0, 256, (7, 10)).repeat(4, axis=0).repeat(4, axis=1).astype(np.uint8)
    small = resize(gray, 14, 20, dtype=np.float64)
    up = resize(small, 28, 40, dtype=np.float64)
    model = load_model(find_model(tiny)).model
    luma = torch.from_numpy((16 + up * 219 / 255) / 255).to(torch.float32)[None, None]
    with torch.inference_mode():
        added = (model(luma) - luma)[0, 0].double().numpy() * 255 * 255 / 219
    expected = np.clip(np.floor(up + added + 0.5), 0, 255)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    _, said, _ = run("evaluate", "--data", tmp_path / "gray.png", "--scales", 2, "--model", tiny, "--json")
    row = json.loads(said)["scales"]["2"]
    assert row["model"]["psnr_db"] == pytest.approx(psnr_db(gray.astype(np.float64), expected, 2), abs=1e-2)
    plain = np.clip(np.floor(up + 0.5), 0, 255)
    assert row["bicubic"]["psnr_db"] == pytest.approx(psnr_db(gray.astype(np.float64), plain, 2), abs=1e-3)
    assert abs(row["model"]["psnr_db"] - row["bicubic"]["psnr_db"]) > 0.1


def test_evaluate_result_is_independent_of_the_order_of_scales(run, tiny, photo) -> None:
    Image.open(photo).resize((24, 20)).save(photo.parent / "small.png")  # too small for x8
    Image.new("RGB", (64, 64), (90, 90, 90)).save(photo.parent / "flat.png")  # bicubic reproduces it exactly
    said = {}
    for scales in ((2, 8), (8, 2)):
        _, out, complaint = run("evaluate", "--data", photo.parent, "--scales", *scales, "--model", tiny, "--json")
        said[scales] = json.loads(out)["scales"]["2"]
        assert "flat.png" in complaint
        assert "small.png" in complaint
    assert said[2, 8] == said[8, 2]
    assert math.isfinite(said[2, 8]["bicubic"]["psnr_db"])


def test_evaluate_shows_a_table_and_names_pictures_that_are_too_small(run, tiny, photo) -> None:
    Image.new("RGB", (9, 9)).save(photo.parent / "dot.png")
    status, said, complaint = run("evaluate", "--data", photo.parent, "--scales", 2, "--model", tiny)
    assert status == 1
    assert "mean" in said
    assert "photo" in said
    assert "dot.png" in complaint


def test_train_writes_a_usable_model_and_resumes(run, tmp_path: Path, photo) -> None:
    folder = tmp_path / "training"
    folder.mkdir()
    for i in range(4):
        noise = np.random.default_rng(i).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((72, 64), Image.Resampling.BILINEAR).save(folder / f"{i}.png")
    (tmp_path / "run.toml").write_text("width = 6\nholdout = 1\npatch_px = 16\nbatch = 2\nshrunk_copies = []\n")
    out = tmp_path / "run"
    options = ("--config", tmp_path / "run.toml", "--depth", 3, "--threads", 1, "--device", "cpu")
    status, said, _ = run("train", "--data", folder, "--out", out, "--steps", 4, *options, "--json")
    assert status == 0
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert events[0] == "Preparing"
    assert events[-1] == "Finished"
    assert "Validated" in events
    weights = out / "vdsr.safetensors"
    assert run("upscale", photo, "-o", tmp_path / "x.png", "--model", weights)[0] == 0
    status, said, _ = run("train", "--resume", out, "--steps", 6)
    assert status == 0
    assert "finished at step 6" in said
    assert run("train", "--resume", out, "--depth", 9)[0] == 2


def test_info_reports_version_devices_models_and_formats(run, tiny) -> None:
    status, said, _ = run("info", "--json")
    assert status == 0
    facts = json.loads(said)
    assert facts["version"] == vdsr_app.__version__
    assert "cpu" in [device["name"] for device in facts["devices"]]
    assert tiny in [model["name"] for model in facts["models"]]
    assert ".heic" in facts["reads"]
    assert set(facts["writes"]) == {"png", "jpeg", "webp", "tiff", "avif"}
    status, said, _ = run("info")
    assert status == 0
    assert str(paths.user_models_dir()) in said


def test_info_measures_only_on_request(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "measurements_file", lambda: tmp_path / "backends.json")
    assert json.loads(run("info", "--json")[1])["measured"] == {}
    (found,) = json.loads(run("info", "--measure", "--json")[1])["measured"].values()
    assert found["choice"] in found["mpx_per_s"]
    assert min(found["mpx_per_s"].values()) > 0


def test_help_names_every_command(run) -> None:
    status, said, _ = run("--help")
    assert status == 0
    for name in COMMANDS:
        assert f"\n    {name}" in said
        assert run(name, "--help")[0] == 0


def test_help_is_specific_to_its_command(run) -> None:
    said = {name: " ".join(run(*name.split(), "--help")[1].split()) for name in ("", "upscale", "batch", "train")}
    assert "130 interrupted" in said[""]
    assert "the ending of -o" in said["upscale"]
    assert "NAME_MODEL_6000long" in said["upscale"]
    assert "the ending of -o" not in said["batch"]
    assert "the network (as in the preset)" in said["train"]


def test_command_line_loads_no_qt_and_help_loads_no_torch() -> None:
    program = (
        "import sys; from vdsr_app.cli import main; main(sys.argv[1:]);"
        "print([m for m in ('PySide6', 'torch') if m in sys.modules])"
    )
    for arguments, loaded in ((["--help"], "[]"), (["info"], "['torch']")):
        result = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT, check=True
        )
        assert result.stdout.splitlines()[-1] == loaded


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that cannot be accessed, by patches, as root may access any folder."""
    folder = tmp_path / "closed"
    folder.mkdir()

    def refusing(real, *, itself: bool):
        def call(path, *arguments, **named):
            name = "" if isinstance(path, int) else os.fsdecode(path)
            if name.startswith(f"{folder}{os.sep}") or (itself and name == str(folder)):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
            return real(path, *arguments, **named)

        return call

    for each in ("stat", "lstat", "open", "mkdir", "scandir", "listdir"):
        monkeypatch.setattr(os, each, refusing(getattr(os, each), itself=each in ("scandir", "listdir")))
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("upscale", "CLOSED/a.png", "-o", "OUT"),
        ("upscale", "CLOSED", "-o", "OUT"),
        ("upscale", "CLOSED/a", "-o", "OUT/"),
        ("upscale", "PHOTO", "-o", "CLOSED/a.png"),
        ("upscale", "PHOTO", "-o", "CLOSED/a.png", "--existing", "skip"),
        ("batch", "CLOSED/a.png", "-o", "OUT"),
        ("batch", "CLOSED", "-o", "OUT"),
        ("batch", "PHOTO", "-o", "CLOSED/out"),
        ("evaluate", "--data", "CLOSED"),
        ("evaluate", "--data", "CLOSED/a"),
        ("upscale", "LONG", "-o", "OUT"),
        ("upscale", "PHOTO", "-o", "LONG.png"),
        ("upscale", "PHOTO", "-o", "LONG.png", "--existing", "skip"),
        ("upscale", "PHOTO", "PHOTO", "-o", "LONG"),
        ("batch", "LONG", "-o", "OUT"),
        ("batch", "PHOTO", "-o", "LONG"),
        ("evaluate", "--data", "LONG"),
        ("upscale", "PHOTO", "-o", "OUT", "--model", "LONG"),
        ("export", "LONG", "--safetensors", "LONG.safetensors"),
        ("runs", "--folder", "LONG"),
        ("runs", "csv", "LONG"),
    ],
)
def test_unreadable_paths_and_too_long_names_print_one_error_line(
    run, tiny, photo, tmp_path: Path, closed: Path, arguments
) -> None:
    names = {"CLOSED": closed, "OUT": tmp_path / "out", "PHOTO": photo, "LONG": tmp_path / ("n" * 300)}
    filled = [functools.reduce(lambda text, name: text.replace(name, str(names[name])), names, a) for a in arguments]
    model = ["--model", tiny] if arguments[0] in ("upscale", "batch", "evaluate") and "--model" not in arguments else []
    status, said, complaint = run(*filled, *model)
    assert status in (1, 2)
    assert said == ""
    assert len(complaint.strip().splitlines()) == 1
    assert complaint.startswith("error: ")


def test_unexpected_system_error_is_reported_with_its_path(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise OSError(errno.EIO, "Input/output error", "somewhere")

    monkeypatch.setattr(info, "run", refuse)
    status, said, complaint = run("info")
    assert (status, said) == (1, "")
    assert "somewhere: " in complaint
    assert "Input/output error" in complaint


def test_damaged_file_prints_one_error_line(tiny, photo, tmp_path: Path) -> None:
    damaged = bytearray(photo.read_bytes())
    damaged[16:24] = bytes(8)
    (tmp_path / "zero.png").write_bytes(damaged)
    command = [sys.executable, "-m", "vdsr_app", "upscale", str(tmp_path / "zero.png"), "--model", tiny]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "zero.png" in line


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupt_exits_with_130_and_leaves_no_partial_file(tiny, tmp_path: Path) -> None:
    Image.effect_noise((900, 900), 60).save(tmp_path / "large.png")
    out = tmp_path / "x.png"
    command = [sys.executable, "-m", "vdsr_app", "upscale", str(tmp_path / "large.png"), "--scale", "8"]
    process = subprocess.Popen(
        [*command, "-o", str(out), "--model", tiny, "--tile", "64"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    # The note about the conversion is not printed here, so wait until the network runs: torch is mapped by then.
    maps = Path(f"/proc/{process.pid}/maps")
    while maps.exists() and process.poll() is None and "libtorch_cpu" not in maps.read_text():
        pass
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=120)
    assert process.returncode == 130, complaint
    assert "Stopped" in complaint
    assert "Traceback" not in complaint
    assert [path.name for path in tmp_path.iterdir() if "x.png" in path.name or ".vdsr" in path.name] == []
