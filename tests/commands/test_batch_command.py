"""`vdsr batch`: plans, runs, resumes, reports, and writes the same bytes as `vdsr upscale`."""

from __future__ import annotations

import contextlib
import csv
import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.commands.conftest import json_lines
from vdsr_app.core import image_io
from vdsr_app.core.batch import BatchOptions, State
from vdsr_app.core.batch.journal import Journal
from vdsr_app.core.engine import Engine
from vdsr_app.core.job import Target, UpscaleSettings
from vdsr_app.core.models import find_model
from vdsr_app.core.upscale import upscale_picture
from vdsr_app.core.weights import load_model
from vdsr_app.errors import SaveError

ROOT = Path(__file__).resolve().parents[2]

posix_only = pytest.mark.skipif(os.name == "nt", reason="names of POSIX")


@pytest.fixture
def folder(photo: Path, tmp_path: Path) -> Path:
    """Two pictures, one of them in a subfolder, and a file that is not a picture."""
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    shutil.copy(photo, source / "a.png")
    shutil.copy(photo, source / "sub" / "b.png")
    (source / "bad.png").write_bytes(b"no picture")
    return source


def test_dry_run_prints_the_plan_and_writes_nothing(run, tiny, folder, tmp_path: Path) -> None:
    status, said, _ = run("batch", folder, "-o", tmp_path / "out", "--model", tiny, "--recursive", "--dry-run")
    assert status == 1  # one picture cannot be done
    assert f"{Path('sub') / 'b_tiny_x2.png'}" in said
    assert "3 pictures: 2 to do, 0 to skip, 1 cannot be done" in said
    assert not (tmp_path / "out").exists()
    lines = json_lines(run("batch", folder, "-o", tmp_path / "out", "--model", tiny, "--dry-run", "--json")[1])
    assert [line.get("state") for line in lines] == ["queued", "failed", None]
    assert lines[-1]["summary"]["output_px"] == 80 * 56


def test_dry_run_uses_the_singular_for_one_picture(run, tiny, photo: Path, tmp_path: Path) -> None:
    _, said, _ = run("batch", photo, "-o", tmp_path / "out", "--model", tiny, "--dry-run")
    assert "1 picture: 1 to do" in said


@pytest.mark.parametrize(
    "name",
    [
        "2024-11-02 at 9.41\N{NARROW NO-BREAK SPACE}PM.png",
        "\N{HIRAGANA LETTER A}\N{IDEOGRAPHIC SPACE}b.png",
        "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}.png",
        pytest.param("a\nb\\c.png", marks=posix_only),
        pytest.param(os.fsdecode(b"caf\xe9.png"), marks=posix_only),
    ],
)
def test_json_contains_file_names_unchanged(run, tiny, photo, tmp_path: Path, name: str) -> None:
    shutil.copy(photo, tmp_path / name)
    arguments = ("batch", tmp_path / name, "-o", tmp_path / "out", "--model", tiny, "--dry-run", "--json")
    line, _ = json_lines(run(*arguments)[1])
    assert line["input"] == str(tmp_path / name)


def test_repeated_batch_skips_results_and_retry_failed_does_the_rest(run, tiny, folder, tmp_path: Path) -> None:
    out, table = tmp_path / "out", tmp_path / "table.csv"
    arguments = ("batch", folder, "-o", out, "--model", tiny, "--recursive", "--report", table, "--json")
    status, said, _ = run(*arguments)
    assert status == 1
    *lines, last = json_lines(said)
    assert sorted((Path(line["input"]).name, line["state"]) for line in lines) == [
        ("a.png", "done"),
        ("b.png", "done"),
        ("bad.png", "failed"),
    ]
    assert {name: last["summary"][name] for name in ("done", "skipped", "failed")} == {
        "done": 2,
        "skipped": 0,
        "failed": 1,
    }
    rows = list(csv.DictReader(table.read_text("utf-8-sig").splitlines()))
    assert [row["state"] for row in rows] == ["done", "failed", "done"]
    assert json_lines(run(*arguments)[1])[-1]["summary"]["skipped"] == 2
    (folder / "bad.png").unlink()
    shutil.copy(folder / "a.png", folder / "bad.png")
    status, said, _ = run("batch", "--retry-failed", "-o", out)
    assert status == 0
    assert "1 done, 2 skipped, 0 failed" in said
    assert (out / "bad_tiny_x2.png").exists()


def test_skipped_result_of_another_picture_has_no_output(run, tiny, photo, tmp_path: Path) -> None:
    folder, table = photo.parent, tmp_path / "table.csv"
    arguments = ("batch", folder, "-o", folder, "--model", tiny, "--json")
    assert run(*arguments)[0] == 0
    *lines, _ = json_lines(run(*arguments, "--template", "{name}_again", "--report", table)[1])
    reported = {Path(line["input"]).name: (line["state"], line["output"]) for line in lines}
    again = str(folder / "photo_again.png")
    assert reported == {"photo.png": ("done", again), "photo_tiny_x2.png": ("skipped", None)}
    rows = csv.DictReader(table.read_text("utf-8-sig").splitlines())
    assert {row["state"]: row["output"] for row in rows} == {"done": again, "skipped": ""}


def test_dry_run_of_resume_shows_what_is_left_of_the_batch(run, tiny, folder, photo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("batch", folder, "-o", out, "--model", tiny, "--recursive")[0] == 1
    with contextlib.closing(Journal(out)) as journal:  # as left by a kill in the middle of the second picture
        second = next(item for item in journal.items() if item.source.name == "b.png")
        second.output.unlink()
        journal.begin_work(replace(second, state=State.WORKING))
    shutil.copy(photo, folder / "late.png")  # was not planned yet
    before = sorted(out.rglob("*"))
    status, said, _ = run("batch", "--resume", "--dry-run", "-o", out)
    assert status == 1
    assert "4 pictures: 2 to do, 1 to skip, 1 cannot be done" in said
    shutil.copy(photo, folder / "bad.png")
    status, said, _ = run("batch", "--retry-failed", "--dry-run", "-o", out, "--json")
    assert status == 0
    *lines, last = json_lines(said)
    assert {Path(line["input"]).name: line["state"] for line in lines} == {
        "a.png": "done",
        "b.png": "queued",
        "bad.png": "queued",
        "late.png": "queued",
    }
    assert (last["summary"]["queued"], last["summary"]["output_px"]) == (3, 3 * 80 * 56)
    assert sorted(out.rglob("*")) == before
    assert json_lines(run("batch", "--retry-failed", "-o", out, "--json")[1])[-1]["summary"]["done"] == 4


def test_batch_writes_the_same_bytes_as_upscale(run, tiny, photo, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    picture = image_io.read(photo)
    for name in ("a.png", "b.jpg", "c.webp", "d.tif"):
        image_io.save(picture, source / name)
    settings = ("--model", tiny, "--scale", "3.3", "--format", "tiff", "--bits", "16", "--metadata", "none")
    assert run("batch", source, "-o", tmp_path / "batch", *settings)[0] == 0
    assert run("upscale", source, "-o", tmp_path / "single", *settings)[0] == 0
    made = sorted(path.name for path in (tmp_path / "single").iterdir())
    assert len(made) == 4
    for name in made:
        assert (tmp_path / "batch" / name).read_bytes() == (tmp_path / "single" / name).read_bytes()


def test_batch_writes_the_same_pixels_as_the_core(run, tiny, photo, tmp_path: Path) -> None:
    assert run("batch", photo, "-o", tmp_path / "out", "--model", tiny)[0] == 0
    engine = Engine.create(load_model(find_model(tiny)).model)
    wanted = upscale_picture(image_io.read(photo), UpscaleSettings(Target(value=2.0), tiny), engine)
    made = image_io.read(tmp_path / "out" / "photo_tiny_x2.png")
    assert (made.pixels == wanted.pixels).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "out"], "nothing to enlarge"),
        (["nowhere", "-o", "out"], "no such file or folder"),
        (["--resume", "-o", "out"], "no batch to resume"),
        ([".", "-o", "out", "--template", "{nam}"], "no field"),
        ([".", "-o", "out", "--model", "nothing"], "no model 'nothing'"),
        ([".", "-o", "out", "--model", "nothing", "--dry-run"], "no model 'nothing'"),
        ([".", "-o", "out", "--report", "nowhere/r.csv"], "no such folder for the report"),
        ([".", "-o", "out", "--report", "."], "this is a folder"),
        ([".", "-o", "out", "--report", "r.csv", "--dry-run"], "nothing to report on"),
        ([".", "-o", "out", "--cluster", "scheduler"], "is not the address of a scheduler"),
        ([".", "-o", "out", "--scale", "9"], "between 1 and 8"),
    ],
)
def test_impossible_request_prints_one_error_line(run, tmp_path: Path, monkeypatch, arguments, words) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    status, said, noted = run("batch", *arguments)
    assert status in (1, 2)
    assert said == ""
    assert words in noted
    assert len(noted.strip().splitlines()) == 1


def test_batch_resumes_with_its_own_weight_file_from_any_folder(run, tiny, folder, tmp_path: Path, monkeypatch) -> None:
    shutil.copy(find_model(tiny).path, tmp_path / "mine.safetensors")
    monkeypatch.chdir(tmp_path)
    assert run("batch", folder, "-o", "out", "--model", "mine.safetensors")[0] == 1
    shutil.copy(folder / "a.png", folder / "bad.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.safetensors").write_bytes(b"another")
    monkeypatch.chdir(tmp_path / "elsewhere")
    status, said, _ = run("batch", "--retry-failed", "-o", tmp_path / "out", "--json")
    assert (status, json_lines(said)[-1]["summary"]["done"]) == (0, 2)
    monkeypatch.chdir(tmp_path)
    said = run("batch", folder, "-o", "out", "--model", "mine.safetensors", "--json")[1]
    assert json_lines(said)[-1]["summary"]["skipped"] == 2


@pytest.mark.parametrize("resume", ["--resume", "--retry-failed"])
@pytest.mark.parametrize(
    "option",
    [
        "--metadata=private",
        "--metadata=keep",
        "--scale=2",
        "--model=tiny",
        "--quality=92",
        "--existing=skip",
        "--recursive",
    ],
)
def test_resume_rejects_options_that_it_would_ignore(
    run, tiny, folder, tmp_path: Path, resume: str, option: str
) -> None:
    out = tmp_path / "out"
    assert run("batch", folder, "-o", out, "--model", tiny)[0] == 1
    shutil.copy(folder / "a.png", folder / "bad.png")
    status, said, noted = run("batch", resume, "-o", out, option)
    assert (status, said) == (2, "")
    assert f"{option.partition('=')[0]} cannot be changed" in noted
    assert not (out / "bad_tiny_x2.png").exists()


def test_resume_uses_the_device_of_the_batch_unless_another_is_given(run, tiny, photo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with contextlib.closing(Journal(out)) as journal:  # as left by a batch that was started on a larger machine
        journal.begin(BatchOptions(out, UpscaleSettings(model=tiny, device="cuda:99")))
        journal.add_inputs([photo])
    status, said, _ = run("batch", "--resume", "-o", out)
    assert status == 1
    assert "CUDA" in said
    status, _, noted = run("batch", "--retry-failed", "-o", out, "--device", "cpu")
    assert (status, noted) == (0, "")


def test_options_that_the_format_ignores_do_not_remake_results(run, tiny, folder, tmp_path: Path) -> None:
    command = ("batch", folder, "-o", tmp_path / "out", "--model", tiny, "--json")
    assert json_lines(run(*command)[1])[-1]["summary"]["done"] == 1
    for more, skipped in ((("--format", "png"), 1), (("--quality", "40"), 1), (("--bits", "16"), 0)):
        assert json_lines(run(*command, *more)[1])[-1]["summary"]["skipped"] == skipped


def test_report_may_be_written_among_the_results_or_above_them(run, tiny, photo, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    for table in (out / "r.csv", out.parent / "r.csv"):
        assert run("batch", photo, "-o", out, "--model", tiny, "--report", table)[0] == 0
        assert table.is_file()
        shutil.rmtree(out.parent)


@pytest.mark.parametrize(
    "name", ["in/a.png", "in/sub/b.png", "out/a_tiny_x2.png", "out/.vdsr-batch.sqlite3", "in/notes"]
)
@pytest.mark.parametrize("again", [False, True])
def test_report_does_not_replace_pictures_results_journal_or_other_files(
    run, tiny, folder, tmp_path: Path, name: str, again: bool
) -> None:
    (folder / "notes").write_text("mine")
    command = ("batch", folder / "a.png", "-o", tmp_path / "out", "--model", tiny)
    if again:
        assert run(*command)[0] == 0
    before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    status, said, noted = run(*command, "--report", tmp_path / name)
    assert (status, said) == (2, "")
    assert "name" in noted
    assert {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()} == before


def test_report_replaces_an_earlier_report(run, tiny, photo, tmp_path: Path) -> None:
    table = tmp_path / "r.csv"
    table.touch()  # as `mktemp` makes one
    command = ("batch", photo, "-o", tmp_path / "out", "--model", tiny, "--report", table)
    for state in ("done", "skipped"):
        assert run(*command)[0] == 0
        assert [row["state"] for row in csv.DictReader(table.read_text("utf-8-sig").splitlines())] == [state]


def test_unwritable_report_fails_before_any_work(run, tiny, photo, tmp_path: Path, monkeypatch) -> None:
    """The folder is made unwritable by a patch, as root may write into any folder."""
    (tmp_path / "closed").mkdir()
    real = Path.open

    def refusing(path: Path, *arguments, **named):
        if path.parent == tmp_path / "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", refusing)
    table = tmp_path / "closed" / "r.csv"
    status, said, noted = run("batch", photo, "-o", tmp_path / "out", "--model", tiny, "--report", table)
    assert (status, said) == (1, "")
    assert "does not allow writing" in noted
    assert not (tmp_path / "out").exists()


def test_summary_is_printed_even_when_the_report_fails(run, tiny, photo, tmp_path: Path, monkeypatch) -> None:
    def full(folder: Path, path: Path) -> None:
        raise SaveError("There is no space left on the disk.", path=path)

    monkeypatch.setattr("vdsr_app.commands.batch.write_report", full)
    table = tmp_path / "r.csv"
    status, said, noted = run("batch", photo, "-o", tmp_path / "out", "--model", tiny, "--report", table)
    assert status == 1
    assert "1 done, 0 skipped, 0 failed" in said
    assert "no space left" in noted


def test_no_report_is_written_when_the_batch_does_not_start(run, tiny, folder, tmp_path: Path) -> None:
    table = tmp_path / "r.csv"
    assert run("batch", folder, "-o", tmp_path / "out", "--model", tiny)[0] == 1
    assert run("batch", folder, "-o", tmp_path / "out", "--model", "nothing", "--report", table)[0] == 1
    assert not table.exists()


def test_suggested_retry_command_is_quoted_for_the_shell(run, tiny, folder, tmp_path: Path) -> None:
    out = tmp_path / "out of 'order'"
    _, _, noted = run("batch", folder, "-o", out, "--model", tiny)
    command = noted.strip().splitlines()[-1].partition("with: ")[2]
    assert shlex.split(command) == ["vdsr", "batch", "--retry-failed", "-o", str(out)]


def test_interrupted_batch_resumes(tiny, photo, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(30):
        shutil.copy(photo, source / f"{number}.png")
    process = start("batch", source, "-o", out, "--model", tiny, "--scale", "8", "--json")
    assert process.stdout is not None
    process.stdout.readline()  # the first is done
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode in (130, 0)
    process = start("batch", "--resume", "-o", out, "--json")
    said, _ = process.communicate()
    assert process.returncode == 0
    assert json_lines(said)[-1]["summary"]["done"] == 30
    assert len(list(out.glob("*.png"))) == 30
    assert not list(out.glob(".vdsr-*.part"))


def start(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start the program in its own process."""
    command = [sys.executable, "-m", "vdsr_app", *(str(argument) for argument in arguments)]
    return subprocess.Popen(
        command, env=environment or environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "trainer")])}


@pytest.mark.parametrize("packed", [False, True])
def test_cluster_without_dask_tells_how_to_install_it(run, folder, tmp_path: Path, monkeypatch, packed: bool) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "frozen", packed, raising=False)
    status, _, noted = run("batch", folder, "-o", tmp_path / "out", "--cluster", "tcp://127.0.0.1:9")
    assert status == 1
    if packed:
        assert "pip" not in noted
        assert "from its source" in noted
        return
    command = shlex.split(noted.partition("with: ")[2])
    assert command == [sys.executable, "-m", "pip", "install", "-c", str(ROOT / "constraints.txt"), "distributed"]


class LocalCluster:
    """A scheduler and two workers, each in its own process."""

    def __init__(self, folder: Path) -> None:
        self._processes: list[subprocess.Popen[str]] = []
        scheduler = self._start("scheduler", folder, "--host", "127.0.0.1", "--port", "0", "--no-show")
        assert scheduler.stderr is not None
        for line in scheduler.stderr:
            if "Scheduler at:" in line:
                self.address = line.split()[-1]
                break
        self.workers = [self._worker(folder / str(number)) for number in range(2)]

    def _worker(self, folder: Path) -> subprocess.Popen[str]:
        folder.mkdir()
        worker = self._start(
            "worker", folder, self.address, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder)
        )
        assert worker.stderr is not None
        for line in worker.stderr:
            if "Registered to:" in line:
                break
        return worker

    def _start(self, kind: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments, "--no-dashboard"]
        process = subprocess.Popen(command, env=environ(), cwd=folder, stderr=subprocess.PIPE, text=True)
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.communicate()


@pytest.fixture
def cluster(tmp_path: Path):
    pytest.importorskip("distributed")
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = LocalCluster(folder)
    yield made
    made.close()


def test_cluster_that_loses_a_worker_does_every_picture_once(cluster, tiny, photo, tmp_path: Path) -> None:
    source, here, there = tmp_path / "in", tmp_path / "here", tmp_path / "there"
    source.mkdir()
    for number in range(16):
        shutil.copy(photo, source / f"{number}.png")
    (source / "bad.png").write_bytes(b"no picture")
    settings = ("--model", tiny, "--scale", "8", "--json")
    process = start("batch", source, "-o", there, *settings, "--cluster", cluster.address)
    assert process.stdout is not None
    said = [process.stdout.readline()]
    while '"done"' not in said[-1]:
        said.append(process.stdout.readline())
    cluster.workers[0].kill()
    (there / ".vdsr-0123456789ab.part").write_bytes(b"half")  # as a worker leaves it when killed while writing
    rest, noted = process.communicate()
    assert process.returncode == 1, noted  # because of the file that is not a picture
    *lines, last = json_lines("".join(said) + rest)
    assert sorted(Path(line["input"]).name for line in lines) == sorted(path.name for path in source.iterdir())
    assert {name: last["summary"][name] for name in ("done", "failed")} == {"done": 16, "failed": 1}
    alone = start("batch", source, "-o", here, *settings)
    alone.communicate()
    assert alone.returncode == 1
    made = sorted(path.name for path in here.glob("*.png"))
    assert sorted(path.name for path in there.glob("*.png")) == made
    assert all((here / name).read_bytes() == (there / name).read_bytes() for name in made)
    assert not list(there.glob(".vdsr-*.part"))


def test_unreachable_cluster_is_reported(tiny, folder, tmp_path: Path) -> None:
    process = start("batch", folder, "-o", tmp_path / "out", "--model", tiny, "--cluster", "tcp://127.0.0.1:9")
    _, noted = process.communicate()
    assert process.returncode == 1
    assert "cannot be reached" in noted
    assert "Traceback" not in noted
