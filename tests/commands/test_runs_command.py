"""`vdsr runs`: what it shows, what it changes, and what it does not delete."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vdsr_app import paths
from vdsr_trainer import runs
from vdsr_trainer.config_file import read_config
from vdsr_trainer.events import Event, Failed, Finished, Started, Stepped, Validated, to_json
from vdsr_trainer.presets import preset
from vdsr_trainer.run_files import RunLock


def make_run(title: str, *events: Event, root: Path | None = None) -> Path:
    folder = runs.create_run(root or paths.runs_dir(), title, "quick", replace(preset("quick"), steps=2000))
    log = "".join(f"{to_json(event)}\n" for event in (Started(0, 2000, 10, 3, ("a",), "cpu"), *events))
    (folder / "events.jsonl").write_text(log, "utf-8")
    return folder


def stepped(step: int) -> Stepped:
    return Stepped(step, 0.01, 1e-3, 1.0, 0.0, 10.0, 0.0, None)


def validated(step: int, psnr_db: float, bicubic_psnr_db: float = 30.0) -> Validated:
    return Validated(step, {"10": 22.5, "2": psnr_db}, {"10": 22.0, "2": bicubic_psnr_db})


@pytest.fixture
def birds() -> Path:
    return make_run("My birds", stepped(10), validated(1000, 32.25), Finished(1000, "w", False))


@pytest.fixture
def trees() -> Path:
    return make_run("Trees", validated(2000, 33.0), Finished(2000, "w", True))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_list_prints_one_line_per_run(run, birds: Path, trees: Path) -> None:
    status, said, wrong = run("runs")
    assert (status, wrong) == (0, "")
    head, *lines = said.splitlines()
    assert head.split("  ")[0] == "title"
    assert head.index("x2 gain") < head.index("x10 gain")
    assert {line.split("  ")[0] for line in lines} == {"My birds", "Trees"}
    (line,) = [line for line in lines if line.startswith("My birds")]
    for said in ("stopped", "1,000 / 2,000", "+2.25 dB", "+0.50 dB", str(birds)):
        assert said in line
    assert "finished" in "".join(lines)


def test_list_json_is_one_object(run, birds: Path) -> None:
    status, said, _ = run("runs", "--json")
    (record,) = map(json.loads, said.splitlines())
    assert status == 0
    assert record["folder"] == str(paths.runs_dir())
    (reported,) = record["runs"]
    assert (reported["title"], reported["folder"], reported["state"], reported["preset"]) == (
        "My birds",
        str(birds),
        "stopped",
        "quick",
    )
    assert (reported["step"], reported["steps"], reported["weights"], reported["reason"]) == (1000, 2000, None, "")
    assert reported["psnr_db"] == {"10": 22.5, "2": 32.25}
    assert reported["gain_db"] == {"10": 0.5, "2": 2.25}


def test_list_without_runs_is_not_an_error(run) -> None:
    status, said, _ = run("runs")
    assert status == 0
    assert "no training run" in said
    assert "vdsr runs --folder FOLDER" in said
    assert json.loads(run("runs", "--json")[1])["runs"] == []


def test_list_reports_damaged_and_failed_runs(run, birds: Path, trees: Path) -> None:
    (birds / "config.toml").write_text("steps = [", "utf-8")
    with (trees / "events.jsonl").open("a", encoding="utf-8") as log:
        log.write(to_json(Failed(2000, "There is no room left.")) + "\n")
    status, said, noted = run("runs")
    assert status == 0
    assert "damaged" in said
    assert "failed" in said
    assert "My birds: The configuration is not valid TOML" in noted
    assert "Trees: There is no room left." in noted


def test_folder_option_selects_another_folder_of_runs(run, birds: Path, tmp_path: Path) -> None:
    other = make_run("Other", root=tmp_path / "other")
    for arguments in (("--folder", other.parent), ("--folder", other.parent, "--json")):
        said = run("runs", *arguments)[1]
        assert "Other" in said
        assert "birds" not in said
    # The option is accepted before and after the action.
    assert run("runs", "--folder", other.parent, "rename", "Other", "One")[0] == 0
    assert run("runs", "rename", "One", "Two", "--folder", other.parent)[0] == 0
    assert runs.describe_run(other).title == "Two"
    status, _, wrong = run("runs", "--folder", tmp_path / "nowhere")
    assert status == 2
    assert "no such folder" in wrong


@pytest.mark.parametrize("how", ["title", "name", "path", "relative"])
def test_run_is_found_by_title_folder_name_or_path(run, birds: Path, trees: Path, monkeypatch, how: str) -> None:
    monkeypatch.chdir(birds.parent.parent)
    name = {"title": "My birds", "name": "My-birds", "path": str(birds), "relative": "runs/My-birds"}[how]
    assert run("runs", "rename", name, "Better")[0] == 0
    assert {each.title for each in runs.list_runs(birds.parent)} == {"Better", "Trees"}


def test_run_outside_the_folder_of_runs_is_found_by_its_path(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run("Far", root=tmp_path / "far")
    monkeypatch.chdir(folder)
    assert run("runs", "rename", ".", "Near")[0] == 0
    assert runs.describe_run(folder).title == "Near"
    assert run("runs", "duplicate", ".", "Copy")[0] == 0
    assert sorted(each.title for each in runs.list_runs(folder.parent)) == ["Copy", "Near"]


def test_delete_rejects_an_ambiguous_name(run, birds: Path, trees: Path) -> None:
    runs.rename_run(trees, "My-birds")  # the folder name of the other run
    status, _, wrong = run("runs", "delete", "My-birds", "--yes")
    assert status == 2
    assert "More than one run" in wrong
    assert "'Trees'" in wrong
    assert birds.exists()
    assert trees.exists()
    assert run("runs", "delete", trees, "--yes")[0] == 0
    assert birds.exists()


def test_delete_rejects_a_folder_that_is_not_a_run(run, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "config.toml").write_text("", "utf-8")
    for name, words in ((project, "contains no training run"), ("nobody", "There is no run 'nobody'")):
        status, _, wrong = run("runs", "delete", name, "--yes")
        assert status == 2
        assert words in wrong
    assert (project / "config.toml").exists()


def test_duplicate_copies_the_settings_only(run, birds: Path) -> None:
    status, said, _ = run("runs", "duplicate", "My birds", "Again", "--json")
    assert status == 0
    copy = Path(json.loads(said)["folder"])
    assert copy.parent == birds.parent
    assert read_config(copy / "config.toml") == read_config(birds / "config.toml")
    assert not (copy / "events.jsonl").exists()


@pytest.mark.parametrize("action", ["rename", "duplicate"])
def test_empty_title_is_rejected(run, birds: Path, action: str) -> None:
    assert run("runs", action, "My birds", "  ")[0] == 2
    assert [each.title for each in runs.list_runs(birds.parent)] == ["My birds"]


@pytest.mark.parametrize(("answer", "deleted"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)])
def test_delete_asks_for_confirmation(
    run, birds: Path, monkeypatch: pytest.MonkeyPatch, answer: str, deleted: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    status, said, asked = run("runs", "delete", "My birds")
    assert status == 0
    assert "Delete 'My birds', 1,000 steps" in asked
    assert birds.exists() is not deleted
    assert ("deleted" in said) is deleted


def test_delete_without_a_terminal_requires_yes(run, birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    status, _, wrong = run("runs", "delete", "My birds")
    assert status == 2
    assert "--yes" in wrong
    assert birds.exists()
    status, said, _ = run("runs", "delete", "My birds", "--yes", "--json")
    assert (status, json.loads(said)) == (0, {"folder": str(birds), "deleted": True})
    assert list(birds.parent.iterdir()) == []


def test_running_run_is_not_deleted(run, birds: Path) -> None:
    with RunLock(birds):
        assert "running" in run("runs")[1]
        status, _, wrong = run("runs", "delete", "My birds", "--yes")
    assert status == 1
    assert "Stop it first" in wrong
    assert (birds / "events.jsonl").exists()


def test_compare_puts_runs_side_by_side(run, birds: Path, trees: Path) -> None:
    status, said, noted = run("runs", "compare", "Trees", "My birds")
    assert (status, noted) == (0, "")
    head, first, second = said.splitlines()
    assert head.split() == ["title", "steps", "x2", "x10"]
    assert first.startswith("Trees")
    assert "33.00 dB (+3.00)" in first
    assert "32.25 dB (+2.25)" in second
    assert "22.50 dB (+0.50)" in second
    status, said, _ = run("runs", "compare", "Trees", "My birds", "--json")
    assert [each["gain_db"]["2"] for each in json.loads(said)["runs"]] == [3.0, 2.25]


def test_compare_reports_what_cannot_be_compared(run, birds: Path) -> None:
    make_run("Others", validated(10, 40.0, 35.0))
    make_run("New")
    status, said, noted = run("runs", "compare", "My birds", "Others", "New")
    assert status == 0
    assert len(said.splitlines()) == 4
    assert "different pictures" in noted
    assert "New: It has not been validated yet." in noted
    (birds / "config.toml").unlink()
    assert run("runs", "compare", "My birds", "Others")[0] == 1


def test_csv_is_printed_or_written_to_a_file(run, birds: Path, tmp_path: Path) -> None:
    status, said, wrong = run("runs", "csv", "My birds")
    assert (status, wrong) == (0, "")
    rows = list(csv.DictReader(io.StringIO(said)))
    assert [row["step"] for row in rows] == ["10", "1000"]
    assert (rows[0]["loss"], rows[1]["psnr_db_x2"]) == ("0.01", "32.25")
    out = tmp_path / "curves.csv"
    assert run("runs", "csv", "My birds", "-o", out)[0] == 0
    assert out.read_text("utf-8") == said
    assert json.loads(run("runs", "csv", "My birds", "-o", out, "--json")[1]) == {"file": str(out)}


def test_csv_replaces_an_empty_file_but_no_file_of_another_kind(run, birds: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"a photograph")
    status, said, wrong = run("runs", "csv", "My birds", "-o", photo)
    assert (status, said) == (2, "")
    assert "is kept" in wrong
    assert photo.read_bytes() == b"a photograph"
    (tmp_path / "new.csv").write_bytes(b"")
    assert run("runs", "csv", "My birds", "-o", tmp_path / "new.csv")[0] == 0


def test_csv_keeps_the_log_and_rejects_json_without_a_file(run, birds: Path) -> None:
    log = birds / "events.jsonl"
    before = log.read_bytes()
    assert run("runs", "csv", "My birds", "-o", log)[0] == 1
    assert log.read_bytes() == before
    status, said, _ = run("runs", "csv", "My birds", "--json")
    assert (status, said) == (2, "")
