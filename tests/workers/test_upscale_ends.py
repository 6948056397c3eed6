"""Ends of jobs: by cancelling, by a failure of any kind, by closing the service; always exactly one."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QThread

from vdsr_app.core.job import SaveOptions, Target, TargetKind, UpscaleSettings
from vdsr_app.core.picture import Picture
from vdsr_app.errors import PictureError, SaveError, WeightsError
from vdsr_app.workers.messages import (
    ErrorReport,
    LayerJob,
    LayerKind,
    LayerSpec,
    MetricsJob,
    OpenJob,
    SaveJob,
)

PICTURE = Picture(np.arange(72, dtype=np.uint8).reshape(6, 4, 3))
OPEN = OpenJob(Path("picture.png"))
SETTINGS = UpscaleSettings(target=Target(value=2.0), device="cpu", precision="fp32")


def layer_job(kind: LayerKind, picture: Picture = PICTURE, **more) -> LayerJob:
    reference = Path("reference.png") if kind is LayerKind.REFERENCE else None
    return LayerJob(picture, LayerSpec(kind, "mine" if kind is LayerKind.MODEL else "", reference), SETTINGS, **more)


MODEL = layer_job(LayerKind.MODEL)


def test_waiting_job_is_cancelled_at_once_and_never_runs(harness):
    gate = harness.hold("read")
    first, second = harness.service.submit(OPEN), harness.service.submit(layer_job(LayerKind.BICUBIC))
    harness.service.cancel(second)
    assert harness.recorder.names(second) == ["cancelled"]
    gate.set()
    harness.wait_end(first)
    third = harness.run(OPEN)
    assert "interpolate" not in harness.core.calls
    assert harness.recorder.ends(third) == ["succeeded"]


def test_running_job_is_cancelled_at_once_and_emits_nothing_more(harness):
    gate = harness.hold("upscale")
    job_id = harness.service.submit(MODEL)
    harness.wait_call("upscale")
    harness.qtbot.waitUntil(lambda: harness.recorder.names(job_id) == ["started"])
    harness.service.cancel(job_id)
    assert harness.recorder.names(job_id) == ["started", "cancelled"]
    assert harness.service.active_jobs == frozenset()
    del harness.core.hooks["upscale"]
    gate.set()
    after = harness.run(MODEL)
    assert harness.recorder.names(job_id) == ["started", "cancelled"]
    assert harness.recorder.ends(after) == ["succeeded"]


def test_cancel_of_ended_or_unknown_job_does_nothing(harness):
    job_id = harness.run(OPEN)
    harness.service.cancel(job_id)
    harness.service.cancel(12345)
    assert harness.recorder.names(job_id) == ["started", "succeeded"]


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_cancel_of_save_in_progress_reports_its_outcome(harness, tmp_path, outcome):
    gate = threading.Event()
    harness.gates.append(gate)

    def save(**_):
        gate.wait(20)
        if outcome == "failed":
            raise SaveError("The disk is full.", path=tmp_path / "out.png")

    harness.core.hooks["save"] = save
    job_id = harness.service.submit(SaveJob(PICTURE, tmp_path / "out.png", SaveOptions()))
    harness.wait_call("save")
    harness.service.cancel(job_id)
    assert harness.recorder.ends(job_id) == []
    assert harness.service.active_jobs == {job_id}
    gate.set()
    harness.wait_end(job_id)
    assert harness.recorder.ends(job_id) == [outcome]
    assert (tmp_path / "out.png").exists() == (outcome == "succeeded")


def test_cancelling_all_jobs_ends_each_once(harness):
    gates = [harness.hold("read"), harness.hold("upscale")]
    ids = [harness.service.submit(job) for job in (OPEN, MODEL, OPEN, MODEL, OPEN)]
    harness.wait_call("upscale")
    for job_id in reversed(ids):
        harness.service.cancel(job_id)
    assert [harness.recorder.ends(job_id) for job_id in ids] == [["cancelled"]] * 5
    for gate in gates:
        gate.set()
    harness.core.hooks.clear()
    harness.run(OPEN)
    assert [harness.recorder.ends(job_id) for job_id in ids] == [["cancelled"]] * 5


STEPS = [
    ("read", OPEN),
    ("interpolate", layer_job(LayerKind.BICUBIC)),
    ("read", layer_job(LayerKind.REFERENCE)),
    ("engine", MODEL),
    ("upscale", MODEL),
    ("save", SaveJob(PICTURE, Path("nowhere.png"), SaveOptions())),
    ("compare", MetricsJob(PICTURE, PICTURE, 2)),
]


@pytest.mark.parametrize(
    "error",
    [ValueError("oh"), MemoryError(), RecursionError(), OSError(28, "full"), SystemExit(3), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(("step", "job"), STEPS)
def test_any_exception_gives_one_report_and_next_job_succeeds(harness, caplog, step, job, error):
    def fail(**_):
        raise error

    harness.core.hooks[step] = fail
    job_id = harness.run(job)
    report = harness.recorder.result(job_id)
    assert isinstance(report, ErrorReport)
    assert harness.recorder.ends(job_id) == ["failed"]
    assert report.what.endswith(".")
    assert report.hint
    assert type(error).__name__ not in report.what + report.hint
    assert type(error).__name__ in report.details
    assert caplog.get_records("call")[-1].levelno == logging.ERROR
    harness.core.hooks.clear()
    after = harness.run(MODEL if step in ("engine", "upscale") else OPEN)
    assert harness.recorder.ends(after) == ["succeeded"]


def test_expected_error_keeps_message_path_and_hint(harness):
    def fail(**_):
        raise WeightsError("The file is damaged.", path="<b>x</b>.safetensors", hint="Choose another model.")

    harness.core.hooks["engine"] = fail
    report = harness.recorder.result(harness.run(MODEL))
    assert (report.what, report.path, report.hint) == (
        "The file is damaged.",
        "<b>x</b>.safetensors",
        "Choose another model.",
    )
    assert "Traceback" in report.details


def test_failure_after_first_tile_is_reported_after_that_tile(harness):
    def fail_late(on_tile, **_):
        on_tile(type("T", (), {"x": 0, "y": 0, "pixels": PICTURE.pixels, "alpha": None})())
        raise PictureError("It broke.")

    harness.core.hooks["upscale"] = fail_late
    job_id = harness.run(MODEL)
    assert harness.recorder.names(job_id) == ["started", "tile_finished", "failed"]


def test_target_outside_range_is_reported(harness):
    settings = UpscaleSettings(target=Target(TargetKind.WIDTH, 4000))
    report = harness.recorder.result(harness.run(LayerJob(PICTURE, LayerSpec(LayerKind.BICUBIC), settings)))
    assert "cannot be scaled" in report.what


def test_missing_reference_is_reported(harness):
    job = LayerJob(PICTURE, LayerSpec(LayerKind.REFERENCE), SETTINGS)
    assert "reference" in harness.recorder.result(harness.run(job)).what


def test_fast_worker_waits_for_window_and_can_be_cancelled_meanwhile(harness):
    sent = []

    def flood(on_tile, **_):
        for i in range(1000):
            on_tile(type("T", (), {"x": i, "y": 0, "pixels": PICTURE.pixels, "alpha": None})())
            sent.append(i)

    harness.core.hooks["upscale"] = flood
    job_id = harness.service.submit(MODEL)
    deadline = time.monotonic() + 20
    while len(sent) < 8 and time.monotonic() < deadline:
        QThread.msleep(5)  # the window is busy: no event is handled
    QThread.msleep(50)
    assert len(sent) == 8
    harness.service.cancel(job_id)
    del harness.core.hooks["upscale"]
    after = harness.run(MODEL)
    assert len(sent) <= 9  # the ninth was waiting for room
    assert "tile_finished" not in harness.recorder.names(job_id)
    assert harness.recorder.ends(after) == ["succeeded"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cancels_at_random_moments_leave_one_end_per_job(harness, tmp_path, seed):
    random = Random(seed)
    harness.core.hooks["engine"] = lambda **_: QThread.usleep(200)
    harness.core.hooks["interpolate"] = lambda **_: QThread.usleep(200)
    kinds = (OPEN, MODEL, layer_job(LayerKind.BICUBIC), SaveJob(PICTURE, tmp_path / "out.png", SaveOptions()))
    ids = []
    for _ in range(200):
        ids.append(harness.service.submit(random.choice(kinds)))
        for _ in range(random.randrange(3)):
            harness.service.cancel(random.choice(ids[-6:]))
        if random.random() < 0.5:
            QCoreApplication.processEvents()
    harness.qtbot.waitUntil(lambda: not harness.service.active_jobs, timeout=20_000)
    ends = [harness.recorder.ends(job_id) for job_id in ids]
    assert all(len(end) == 1 for end in ends)
    assert {"succeeded", "cancelled"} == {end[0] for end in ends}
    for job_id in ids:
        assert harness.recorder.names(job_id)[-1] == harness.recorder.ends(job_id)[0]
    after = harness.run(MODEL)
    assert harness.recorder.ends(after) == ["succeeded"]


def test_close_cancels_all_jobs_and_rejects_new_ones(harness):
    def until_cancelled(token, **_):
        while True:
            token.raise_if_cancelled()
            QThread.msleep(1)

    harness.core.hooks["upscale"] = until_cancelled
    harness.core.hooks["interpolate"] = until_cancelled
    jobs = (MODEL, layer_job(LayerKind.BICUBIC), OPEN, MODEL)
    ids = [harness.service.submit(job) for job in jobs]
    harness.wait_call("upscale")
    harness.wait_call("interpolate")
    assert harness.service.close(3000)
    assert [harness.recorder.ends(job_id) for job_id in ids] == [["cancelled"]] * 4
    assert harness.service.active_jobs == frozenset()
    with pytest.raises(RuntimeError):
        harness.service.submit(OPEN)


def test_close_is_idempotent_without_jobs(harness):
    assert harness.service.close(3000)
    assert harness.service.close(3000)
    assert harness.recorder.events == []


def test_close_reports_end_of_save_in_progress(harness, tmp_path):
    harness.core.hooks["save"] = lambda **_: QThread.msleep(100)
    job_id = harness.service.submit(SaveJob(PICTURE, tmp_path / "out.png", SaveOptions()))
    harness.wait_call("save")
    assert harness.service.close(3000)
    assert harness.recorder.ends(job_id) == ["succeeded"]


def test_close_abandons_thread_that_ignores_cancel(harness, caplog):
    gate = harness.hold("read")
    job_id = harness.service.submit(OPEN)
    harness.wait_call("read")
    began = time.monotonic()
    assert not harness.service.close(50)
    assert time.monotonic() - began < 3
    assert harness.recorder.ends(job_id) == ["cancelled"]
    assert "did not end" in caplog.text
    gate.set()
    # The fixture's own close waits for the thread after all.


def test_cancelled_save_leaves_no_file_when_it_can_still_be_abandoned(harness, tmp_path):
    gate = threading.Event()
    harness.gates.append(gate)

    def save(token):
        gate.wait(20)
        token.raise_if_cancelled()

    harness.core.hooks["save"] = save
    job_id = harness.service.submit(SaveJob(PICTURE, tmp_path / "out.png", SaveOptions()))
    harness.wait_call("save")
    harness.service.cancel(job_id)
    gate.set()
    harness.wait_end(job_id)
    assert harness.recorder.ends(job_id) == ["cancelled"]
    assert not (tmp_path / "out.png").exists()
