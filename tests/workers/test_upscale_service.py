"""Upscale service as the window sees it: which signals arrive, in which order, in which thread."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from vdsr_app.core.job import SaveOptions, Target, UpscaleSettings
from vdsr_app.core.models import find_model
from vdsr_app.core.picture import Picture
from vdsr_app.core.protocol import Score
from vdsr_app.errors import UnreadablePictureError, WeightsError
from vdsr_app.workers.messages import (
    CopyJob,
    InstallJob,
    JobProgress,
    LayerJob,
    LayerKind,
    LayerResult,
    LayerSpec,
    MetricsJob,
    OpenedPicture,
    OpenJob,
    PasteJob,
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


def test_pasted_picture_is_taken_in_worker_thread(harness):
    threads = []

    def take():
        threads.append(threading.get_ident())
        return Picture(PICTURE.pixels.copy())

    result = harness.recorder.result(harness.run(PasteJob(take)))
    assert isinstance(result, OpenedPicture)
    assert np.array_equal(result.pyramid.levels[0][..., :3], PICTURE.pixels)
    assert not result.picture.pixels.flags.writeable
    assert threads != [threading.get_ident()]


def test_install_accepts_model_and_rejects_other_file(harness, tmp_path):
    job_id = harness.run(InstallJob(find_model("vdsr").path))
    assert harness.recorder.result(job_id) == find_model("vdsr")
    stranger = tmp_path / "x.safetensors"
    stranger.write_bytes(b"no model")
    assert harness.recorder.names(harness.run(InstallJob(stranger)))[-1] == "failed"


def test_failed_paste_is_reported(harness):
    def take():
        raise UnreadablePictureError("There is no picture.")

    job_id = harness.run(PasteJob(take))
    assert harness.recorder.names(job_id) == ["started", "failed"]
    assert harness.recorder.result(job_id).what == "There is no picture."


def test_copy_is_made_in_worker_thread(harness):
    def convert(picture):
        return picture, threading.get_ident()

    picture, thread = harness.recorder.result(harness.run(CopyJob(PICTURE, convert)))
    assert picture is PICTURE
    assert thread != threading.get_ident()


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


def test_interpolation_reports_progress_in_output_pixels(harness):
    harness.core.hooks["interpolate"] = lambda on_rows, **_: on_rows(12, 12)
    job_id = harness.run(layer_job(LayerKind.BICUBIC))
    assert harness.recorder.names(job_id) == ["started", "progress", "succeeded"]
    assert harness.recorder.events[1][2] == JobProgress(96, 96, 0.0)


def test_model_layer_emits_signals_in_order(harness):
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


def test_tiles_are_colour_managed_like_the_result(harness):
    from PIL import ImageCms

    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = icc.index(b"rXYZ"), icc.index(b"bXYZ")
    icc[red : red + 4], icc[blue : blue + 4] = b"bXYZ", b"rXYZ"
    job_id = harness.run(layer_job(LayerKind.MODEL, Picture(PICTURE.pixels, icc=bytes(icc))))
    tiles = [event[2].rgba for event in harness.recorder.events if event[0] == "tile_finished"]
    result = harness.recorder.result(job_id)
    assert np.array_equal(np.concatenate(tiles), result.pyramid.levels[0])
    assert not np.array_equal(result.pyramid.levels[0][..., :3], result.picture.pixels)


def test_device_is_emitted_again_only_when_it_changes(harness):
    harness.run(MODEL)
    harness.run(MODEL)
    harness.core.hooks["upscale"] = lambda engine, **_: setattr(engine, "name", "another")
    job_id = harness.run(MODEL)
    reported = [event[1] for event in harness.recorder.events if event[0] == "device_described"]
    assert reported == ["cpu · fp32", "another"]
    assert harness.recorder.result(job_id).device == "another"


def test_reference_keeps_its_own_size(harness):
    result = harness.recorder.result(harness.run(layer_job(LayerKind.REFERENCE)))
    assert (result.picture.width, result.picture.height) == (5, 7)


def test_reference_that_was_read_is_not_read_again(harness):
    result = harness.recorder.result(harness.run(layer_job(LayerKind.REFERENCE, reference=PICTURE)))
    assert result.picture is PICTURE
    assert harness.core.calls == []


def test_save_reports_path_size_and_lost_transparency(harness, tmp_path):
    job_id = harness.run(SaveJob(PICTURE, tmp_path / "out.png", SaveOptions()))
    assert harness.recorder.names(job_id) == ["started", "notice", "succeeded"]
    assert harness.recorder.events[1][2] == "The transparency was left out."
    assert harness.recorder.result(job_id) == SavedFile(tmp_path / "out.png", 5)


def test_metrics_job_returns_score(harness):
    job_id = harness.run(MetricsJob(PICTURE, PICTURE, 2))
    assert harness.recorder.result(job_id) == Score(31.5, 0.9)
    assert harness.core.arguments["border_px"] == 2


def test_jobs_run_in_order_within_lane_and_lanes_are_independent(harness):
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


def test_progress_is_throttled_and_ends_at_total(harness):
    def hasten(on_progress, **_):
        for done in range(2000):
            on_progress(done, 2000)

    harness.core.hooks["upscale"] = hasten
    began = time.monotonic()
    job_id = harness.run(MODEL)
    reported = [event[2] for event in harness.recorder.events if event[0] == "progress"]
    assert len(reported) <= 20 * (time.monotonic() - began) + 4
    assert reported[-1].done == reported[-1].total
    assert harness.recorder.names(job_id)[-1] == "succeeded"


def test_visible_region_can_change_while_job_runs(harness):
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


def test_preload_emits_only_device_description(harness):
    harness.service.preload("cpu", "bf16")
    assert harness.service.active_jobs == frozenset()
    harness.qtbot.waitUntil(lambda: bool(harness.recorder.events))
    harness.run(MODEL)
    assert harness.recorder.events[0] == ("device_described", "cpu · bf16")
    assert harness.core.calls == ["engine", "engine", "upscale"]


def test_failed_preload_is_reported_by_first_job(harness):
    def fail(**_):
        raise WeightsError("There is no model.")

    harness.core.hooks["engine"] = fail
    harness.service.preload()
    job_id = harness.run(MODEL)
    assert [event[0] for event in harness.recorder.events] == ["started", "failed"]
    assert harness.recorder.result(job_id).what == "There is no model."


def test_result_is_freed_once_window_releases_it(harness):
    job_id = harness.run(OPEN)
    picture = weakref.ref(harness.recorder.result(job_id).picture.pixels)
    assert picture() is not None
    harness.recorder.events.clear()
    harness.run(OPEN)
    harness.recorder.events.clear()
    gc.collect()
    assert picture() is None


def test_signals_arrive_in_window_thread(harness):
    for job in (OPEN, MODEL, layer_job(LayerKind.BICUBIC)):
        harness.run(job)
    assert harness.recorder.strangers == []
    assert len(harness.recorder.events) >= 10
