"""The service as the window sees it: which signals come, in which order, in which thread, whatever happens."""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QThread

from vdsr_app.core.job import SaveOptions, Target, TargetKind, UpscaleSettings
from vdsr_app.core.picture import Picture
from vdsr_app.errors import PictureError, SaveError, WeightsError
from vdsr_app.workers.messages import (
    ErrorReport,
    JobProgress,
    LayerJob,
    LayerKind,
    LayerResult,
    LayerSpec,
    MetricsJob,
    MetricsResult,
    OpenedPicture,
    OpenJob,
    SavedFile,
    SaveJob,
)

PICTURE = Picture(np.arange(72, dtype=np.uint8).reshape(6, 4, 3))
OPEN = OpenJob(Path("picture.png"))
SETTINGS = UpscaleSettings(target=Target(value=2.0), device="cpu", precision="fp32")


def layer_job(kind: LayerKind, picture: Picture = PICTURE, **more) -> LayerJob:
    reference = Path("reference.png") if kind is LayerKind.REFERENCE else None
    return LayerJob(picture, LayerSpec(kind, "mine" if kind is LayerKind.MODEL else "", reference), SETTINGS, **more)


MODEL = layer_job(LayerKind.MODEL)


def test_open_gives_picture_and_pyramid(harness):
    job_id = harness.run(OPEN)
    assert harness.recorder.names(job_id) == ["started", "succeeded"]
    result = harness.recorder.result(job_id)
    assert isinstance(result, OpenedPicture)
    assert np.array_equal(result.pyramid.levels[0][..., :3], result.picture.pixels)
    assert not result.picture.pixels.flags.writeable


@pytest.mark.parametrize(
    ("kind", "kernel"),
    [
        (LayerKind.ORIGINAL, "nearest"),
        (LayerKind.BILINEAR, "bilinear"),
        (LayerKind.BICUBIC, "bicubic"),
        (LayerKind.LANCZOS, "lanczos"),
    ],
)
def test_interpolated_layers_use_their_kernel_and_no_network(harness, kind, kernel):
    job = layer_job(kind)
    result = harness.recorder.result(harness.run(job))
    assert isinstance(result, LayerResult)
    assert harness.core.arguments["kernel"] == kernel
    assert (result.picture.width, result.picture.height) == (8, 12)
    assert (result.layer, result.target, result.device) == (job.layer, SETTINGS.target, "")
    assert harness.core.calls == ["interpolate"]


def test_rows_of_an_interpolation_are_told_in_output_pixels(harness):
    harness.core.hooks["interpolate"] = lambda on_rows, **_: on_rows(12, 12)
    job_id = harness.run(layer_job(LayerKind.BICUBIC))
    assert harness.recorder.names(job_id) == ["started", "progress", "succeeded"]
    assert harness.recorder.events[1][2] == JobProgress(96, 96, 0.0)


def test_model_layer_tells_everything_in_order(harness):
    job_id = harness.run(layer_job(LayerKind.MODEL, Picture(PICTURE.pixels, PICTURE.pixels[..., 0].copy())))
    assert harness.recorder.names(job_id) == [
        "started",
        "notice",
        "tile_finished",
        "progress",
        "tile_finished",
        "progress",
        "succeeded",
    ]
    assert harness.recorder.events[1] == ("device_described", "cpu · fp32")
    assert harness.core.arguments["model"] == "mine"
    result = harness.recorder.result(job_id)
    assert result.device == "cpu · fp32"
    assert result.seconds >= 0
    tiles = [event[2] for event in harness.recorder.events if event[0] == "tile_finished"]
    assert [(tile.x, tile.y) for tile in tiles] == [(0, 0), (0, 6)]
    assert np.array_equal(np.concatenate([tile.rgba for tile in tiles]), result.pyramid.levels[0])


def test_tiles_are_colour_managed_like_the_whole(harness):
    from PIL import ImageCms

    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = icc.index(b"rXYZ"), icc.index(b"bXYZ")
    icc[red : red + 4], icc[blue : blue + 4] = b"bXYZ", b"rXYZ"
    job_id = harness.run(layer_job(LayerKind.MODEL, Picture(PICTURE.pixels, icc=bytes(icc))))
    tiles = [event[2].rgba for event in harness.recorder.events if event[0] == "tile_finished"]
    result = harness.recorder.result(job_id)
    assert np.array_equal(np.concatenate(tiles), result.pyramid.levels[0])
    assert not np.array_equal(result.pyramid.levels[0][..., :3], result.picture.pixels)


def test_device_is_told_again_only_when_it_changes(harness):
    harness.run(MODEL)
    harness.run(MODEL)
    harness.core.hooks["upscale"] = lambda engine, **_: setattr(engine, "name", "another")
    job_id = harness.run(MODEL)
    told = [event[1] for event in harness.recorder.events if event[0] == "device_described"]
    assert told == ["cpu · fp32", "another"]
    assert harness.recorder.result(job_id).device == "another"


def test_reference_keeps_its_own_size(harness):
    result = harness.recorder.result(harness.run(layer_job(LayerKind.REFERENCE)))
    assert (result.picture.width, result.picture.height) == (5, 7)


def test_save_tells_path_and_size(harness, tmp_path):
    job_id = harness.run(SaveJob(PICTURE, tmp_path / "out.png", SaveOptions()))
    assert harness.recorder.result(job_id) == SavedFile(tmp_path / "out.png", 5)


def test_metrics(harness):
    job_id = harness.run(MetricsJob(PICTURE, PICTURE, 2))
    assert harness.recorder.result(job_id) == MetricsResult(31.5, 0.9)
    assert harness.core.arguments["border_px"] == 2


def test_jobs_of_a_lane_run_in_order_and_lanes_do_not_wait_for_each_other(harness):
    gate = harness.hold("upscale")
    first, second = harness.service.submit(MODEL), harness.service.submit(MODEL)
    harness.wait_call("upscale")
    opened = harness.run(OPEN)
    assert harness.recorder.ends(opened) == ["succeeded"]
    assert harness.service.active_jobs == {first, second}
    assert "started" not in harness.recorder.names(second)
    gate.set()
    harness.wait_end(second)
    ends = [event[1] for event in harness.recorder.events if event[0] == "succeeded"]
    assert ends == [opened, first, second]
    assert harness.service.active_jobs == frozenset()
    assert harness.core.threads["upscale"] == harness.core.threads["engine"] != harness.core.threads["read"]
    assert threading.get_ident() not in harness.core.threads.values()


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(harness):
    gate = harness.hold("read")
    first, second = harness.service.submit(OPEN), harness.service.submit(layer_job(LayerKind.BICUBIC))
    harness.service.cancel(second)
    assert harness.recorder.names(second) == ["cancelled"]
    gate.set()
    harness.wait_end(first)
    third = harness.run(OPEN)
    assert "interpolate" not in harness.core.calls
    assert harness.recorder.ends(third) == ["succeeded"]


def test_a_running_job_is_cancelled_at_once_and_says_nothing_more(harness):
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


def test_cancel_of_an_ended_or_unknown_job_does_nothing(harness):
    job_id = harness.run(OPEN)
    harness.service.cancel(job_id)
    harness.service.cancel(12345)
    harness.service.cancel_all()
    assert harness.recorder.names(job_id) == ["started", "succeeded"]


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_cancel_of_a_file_being_written_tells_what_became_of_it(harness, tmp_path, outcome):
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


def test_cancel_all_ends_every_job_once(harness):
    gates = [harness.hold("read"), harness.hold("upscale")]
    ids = [harness.service.submit(job) for job in (OPEN, MODEL, OPEN, MODEL, OPEN)]
    harness.wait_call("upscale")
    harness.service.cancel_all()
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
def test_any_exception_is_one_report_and_the_next_job_works(harness, caplog, step, job, error):
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


def test_an_expected_error_keeps_its_words(harness):
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


def test_a_failure_in_the_middle_of_tiles(harness):
    def fail_late(on_tile, **_):
        on_tile(type("T", (), {"x": 0, "y": 0, "pixels": PICTURE.pixels, "alpha": None})())
        raise PictureError("It broke.")

    harness.core.hooks["upscale"] = fail_late
    job_id = harness.run(MODEL)
    assert harness.recorder.names(job_id) == ["started", "tile_finished", "failed"]


def test_a_target_outside_the_range_fails_in_words(harness):
    settings = UpscaleSettings(target=Target(TargetKind.WIDTH, 4000))
    report = harness.recorder.result(harness.run(LayerJob(PICTURE, LayerSpec(LayerKind.BICUBIC), settings)))
    assert "cannot be scaled" in report.what


def test_a_missing_reference_fails_in_words(harness):
    job = LayerJob(PICTURE, LayerSpec(LayerKind.REFERENCE), SETTINGS)
    assert "reference" in harness.recorder.result(harness.run(job)).what


def test_progress_is_throttled_but_ends_full(harness):
    def hasten(on_progress, **_):
        for done in range(2000):
            on_progress(done, 2000)

    harness.core.hooks["upscale"] = hasten
    began = time.monotonic()
    job_id = harness.run(MODEL)
    told = [event[2] for event in harness.recorder.events if event[0] == "progress"]
    assert len(told) <= 20 * (time.monotonic() - began) + 4
    assert told[-1].done == told[-1].total
    assert harness.recorder.names(job_id)[-1] == "succeeded"


def test_the_visible_region_can_change_while_a_job_runs(harness):
    seen, gates = [], [threading.Event(), threading.Event()]
    harness.gates.extend(gates)

    def look(visible, **_):
        for gate in gates:
            seen.append(visible())
            gate.wait(20)
        seen.append(visible())

    harness.core.hooks["upscale"] = look
    job_id = harness.service.submit(layer_job(LayerKind.MODEL, visible=(1, 2, 3, 4)))
    harness.qtbot.waitUntil(lambda: len(seen) == 1)
    harness.service.set_visible(job_id, (5, 6, 7, 8))
    gates[0].set()
    harness.qtbot.waitUntil(lambda: len(seen) == 2)
    harness.service.set_visible(job_id, None)
    gates[1].set()
    harness.wait_end(job_id)
    harness.service.set_visible(job_id, (0, 0, 1, 1))
    assert seen == [(1, 2, 3, 4), (5, 6, 7, 8), None]


def test_a_fast_worker_waits_for_the_window_and_can_be_cancelled_meanwhile(harness):
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


def test_preload_says_only_what_the_network_runs_on(harness):
    harness.service.preload("cpu", "bf16")
    assert harness.service.active_jobs == frozenset()
    harness.qtbot.waitUntil(lambda: bool(harness.recorder.events))
    harness.run(MODEL)
    assert harness.recorder.events[0] == ("device_described", "cpu · bf16")
    assert harness.core.calls == ["engine", "engine", "upscale"]


def test_a_failing_preload_is_left_to_the_first_job(harness):
    def fail(**_):
        raise WeightsError("There is no model.")

    harness.core.hooks["engine"] = fail
    harness.service.preload()
    job_id = harness.run(MODEL)
    assert [event[0] for event in harness.recorder.events] == ["started", "failed"]
    assert harness.recorder.result(job_id).what == "There is no model."


def test_a_result_is_not_kept_once_the_window_lets_go(harness):
    job_id = harness.run(OPEN)
    picture = weakref.ref(harness.recorder.result(job_id).picture.pixels)
    assert picture() is not None
    harness.recorder.events.clear()
    harness.run(OPEN)
    harness.recorder.events.clear()
    gc.collect()
    assert picture() is None


def test_close_in_the_middle_of_everything(harness):
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


def test_close_before_anything(harness):
    assert harness.service.close(3000)
    assert harness.service.close(3000)
    assert harness.recorder.events == []


def test_close_tells_the_end_of_a_file_being_written(harness, tmp_path):
    harness.core.hooks["save"] = lambda **_: QThread.msleep(100)
    job_id = harness.service.submit(SaveJob(PICTURE, tmp_path / "out.png", SaveOptions()))
    harness.wait_call("save")
    assert harness.service.close(3000)
    assert harness.recorder.ends(job_id) == ["succeeded"]


def test_close_gives_up_on_a_thread_that_hears_nothing(harness, caplog):
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


def test_signals_come_in_the_windows_thread(harness):
    for job in (OPEN, MODEL, layer_job(LayerKind.BICUBIC)):
        harness.run(job)
    assert harness.recorder.strangers == []
    assert len(harness.recorder.events) >= 10
