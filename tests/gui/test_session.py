"""Session: which jobs are submitted, in which order, and whose results are used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from tests.gui.fakes import FakeService, as_opened, make_picture, pyramid_of
from vdsr_app.core.job import FileFormat, SaveOptions, Target, TargetKind
from vdsr_app.core.picture import Picture
from vdsr_app.core.protocol import Score
from vdsr_app.gui.comparison import LayerState
from vdsr_app.gui.exporter import SaveRequest
from vdsr_app.gui.model_list import ModelList
from vdsr_app.gui.session import Session
from vdsr_app.gui.settings import AppSettings
from vdsr_app.workers.messages import (
    LayerJob,
    LayerKind,
    LayerResult,
    LayerSpec,
    MetricsJob,
    OpenJob,
    PasteJob,
    SaveJob,
)

BICUBIC, LANCZOS = LayerSpec(LayerKind.BICUBIC), LayerSpec(LayerKind.LANCZOS)
VDSR, MINE = LayerSpec(LayerKind.MODEL, model="vdsr"), LayerSpec(LayerKind.MODEL, model="mine")


@pytest.fixture
def session(service: FakeService) -> Session:
    return Session(service, ModelList(), AppSettings(), lambda: (1, 2, 3, 4))  # type: ignore[arg-type]


def opened(session: Session, service: FakeService, width: int = 20, height: int = 10) -> None:
    session.open(Path("/pictures/a.png"))
    service.open_with(make_picture(width, height, path=Path("/pictures/a.png")))


def finished(session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.MODEL, 200)


def request(name: str = "out.png", folder: Path = Path("/pictures")) -> SaveRequest:
    return SaveRequest(folder / name, SaveOptions(FileFormat.PNG))


def labels(session: Session) -> tuple[str, str]:
    assert session.left_half is not None
    assert session.right_half is not None
    return session.left_half.label, session.right_half.label


def test_opened_picture_is_shown_as_original_then_bicubic_then_network(session: Session, service: FakeService) -> None:
    opened(session, service)
    assert labels(session) == ("Original", "Original")
    assert service.waiting() == ["bicubic"]

    bicubic = service.finish_layer(LayerKind.BICUBIC)
    assert labels(session) == ("Bicubic", "VDSR (working)")
    assert session.right_half is not None
    assert session.right_half.pyramid is bicubic.pyramid
    assert service.waiting() == ["model"]

    result = service.finish_layer(LayerKind.MODEL)
    assert labels(session) == ("Bicubic", "VDSR")
    assert session.right_half.pyramid is result.pyramid
    assert session.result is result


def test_network_job_gets_visible_region_and_its_changes(session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    job = service.jobs[service.find(LayerKind.MODEL)]
    assert isinstance(job, LayerJob)
    assert job.visible == (1, 2, 3, 4)

    session.comparison.set_visible((5, 6, 7, 8))
    assert service.visible == [(service.find(LayerKind.MODEL), (5, 6, 7, 8))]


def test_tiles_are_painted_into_a_copy_of_bicubic(qtbot: QtBot, session: Session, service: FakeService) -> None:
    opened(session, service)
    bicubic = service.finish_layer(LayerKind.BICUBIC, 100)
    painted: list[object] = []
    session.comparison.painted.connect(painted.append)
    service.tell_tile(LayerKind.MODEL, 0, 0, 4, 7)  # before the copy is complete
    qtbot.waitUntil(lambda: session.right_half is not None and session.right_half.pyramid is not bicubic.pyramid)
    service.tell_tile(LayerKind.MODEL, 8, 8, 4, 9)

    assert session.right_half is not None
    pixels = session.right_half.pyramid.levels[0]
    assert [int(pixels[y, x, 0]) for x, y in ((0, 0), (9, 9), (20, 15))] == [7, 9, 100]
    assert painted == [(8, 8, 4, 4)]
    assert int(bicubic.pyramid.levels[0][0, 0, 0]) == 100


def test_network_does_not_wait_for_bicubic_when_torch_is_loaded(
    qtbot: QtBot, session: Session, service: FakeService
) -> None:
    service.network_ready = True
    opened(session, service)
    assert sorted(service.waiting()) == ["bicubic", "model"]
    assert labels(session) == ("Original", "VDSR (working)")
    painted: list[object] = []
    session.comparison.painted.connect(painted.append)
    service.tell_tile(LayerKind.MODEL, 8, 8, 4, 9)
    assert painted == [(8, 8, 4, 4)]
    half = session.right_half
    assert half is not None
    assert (half.pyramid.width, half.pyramid.height) == (40, 20)
    assert half.pyramid.levels[0][9, 9].tolist() == [9, 9, 9, 255]
    assert half.pyramid.levels[0][0, 0].tolist() == [0, 0, 0, 0]
    assert half.under is not None
    assert half.under.width == 20  # the picture itself

    bicubic = service.finish_layer(LayerKind.BICUBIC, 100)
    assert session.right_half is not None
    assert session.right_half.under is bicubic.pyramid
    service.tell_tile(LayerKind.MODEL, 0, 0, 4, 7)
    qtbot.waitUntil(lambda: session.right_half is not None and session.right_half.under is None)
    assert session.right_half is not None
    pixels = session.right_half.pyramid.levels[0]
    assert [int(pixels[y, x, 0]) for x, y in ((0, 0), (9, 9), (20, 15))] == [7, 9, 100]

    result = service.finish_layer(LayerKind.MODEL)
    assert session.right_half.pyramid is result.pyramid
    assert session.right_half.under is None


def test_previous_result_lies_under_tiles_of_another_size(session: Session, service: FakeService) -> None:
    service.network_ready = True
    finished(session, service)
    before = session.right_half
    assert before is not None
    for scale in (3.0, 4.0):
        session.set_target(Target(TargetKind.SCALE, scale))
        half = session.right_half
        assert half is not None
        assert half.pyramid.width == 20 * scale
        assert half.under is before.pyramid


def test_network_waits_for_bicubic_when_picture_has_transparency(session: Session, service: FakeService) -> None:
    service.network_ready = True
    picture = make_picture(20, 10)
    session.adopt(as_opened(replace(picture, alpha=picture.pixels[..., 0].copy())))
    assert service.waiting() == ["bicubic"]


def test_early_tiles_stay_shown_when_cancelled(session: Session, service: FakeService) -> None:
    service.network_ready = True
    opened(session, service)
    service.tell_tile(LayerKind.MODEL, 8, 8, 4, 9)
    session.cancel()
    assert labels(session)[1] == "VDSR (stopped)"
    assert session.right_half is not None
    assert session.right_half.pyramid.levels[0][9, 9].tolist() == [9, 9, 9, 255]
    session.run()
    assert service.waiting() == ["bicubic"]
    service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == ["model"]


def test_new_size_cancels_jobs_and_keeps_old_layers_until_bicubic_is_done(
    session: Session, service: FakeService
) -> None:
    finished(session, service)
    before = session.right_half
    session.set_target(Target(TargetKind.SCALE, 3.0))
    assert before is not None
    assert session.right_half is not None
    assert session.right_half.pyramid is before.pyramid
    assert labels(session) == ("Bicubic (working)", "VDSR (working)")
    assert session.result is None
    assert service.waiting() == ["bicubic"]

    service.finish_layer(LayerKind.BICUBIC)
    session.set_target(Target(TargetKind.SCALE, 4.0))
    assert service.waiting() == ["bicubic"]  # the network's job for 3.0 was cancelled
    service.finish_layer(LayerKind.BICUBIC)
    assert session.left_half is not None
    assert session.left_half.pyramid.width == 80


def test_late_result_of_abandoned_job_is_dropped(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(session, service)
    stale = service.find(LayerKind.BICUBIC)
    before = session.left_half
    with monkeypatch.context() as patch:
        patch.setattr(service, "cancel", lambda _number: None)  # it was already finished, and its result is on the way
        session.set_target(Target(TargetKind.SCALE, 3.0))
    late = make_picture(40, 20)
    result = LayerResult(BICUBIC, Target(TargetKind.SCALE, 2.0), late, pyramid_of(late), 0.1)
    service.succeeded.emit(stale, result)
    assert session.left_half is before
    assert session.comparison.result(BICUBIC) is None


def test_failed_open_keeps_current_result(qtbot: QtBot, session: Session, service: FakeService) -> None:
    finished(session, service)
    result = session.result
    session.open(Path("/pictures/broken.png"))
    with qtbot.waitSignal(session.failed) as failure:
        service.fail(OpenJob)
    assert failure.args[0].what == "It failed."
    assert session.result is result
    assert session.opening is None


def test_second_open_replaces_the_first(session: Session, service: FakeService) -> None:
    session.open(Path("/a.png"))
    session.open(Path("/b.png"))
    job = service.jobs[service.find(OpenJob)]
    assert isinstance(job, OpenJob)
    assert job.path == Path("/b.png")


def test_size_out_of_reach_of_one_picture_is_still_requested_for_the_next(service: FakeService) -> None:
    settings = AppSettings(target_kind=TargetKind.WIDTH, target_value=4000)
    session = Session(service, ModelList(), settings)  # type: ignore[arg-type]
    for width, made in ((20, 160), (9000, 9000), (1000, 4000)):
        opened(session, service, width, 10)
        job = service.jobs[service.find(LayerKind.BICUBIC)]
        assert isinstance(job, LayerJob)
        size = job.settings.target.size_for(width, 10)
        assert (size, size.width) == (session.size, made)
        assert session.settings().target == Target(TargetKind.WIDTH, 4000)  # for any picture, such as those of a batch


def test_target_of_the_same_size_remakes_nothing(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    service.finish_layer(LayerKind.BICUBIC)
    result = service.finish_layer(LayerKind.MODEL)
    session.set_target(Target(TargetKind.WIDTH, 4000))
    assert session.result is result
    assert session.setup.target == Target(TargetKind.WIDTH, 4000)


def test_set_right_to_model_makes_it_the_result(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_right(MINE)
    assert session.result_spec == MINE
    assert labels(session) == ("Bicubic", "My model (working)")
    result = service.finish_layer(LayerKind.MODEL)
    assert session.result is result


def test_set_left_to_model_keeps_the_result(session: Session, service: FakeService) -> None:
    finished(session, service)
    result = session.result
    session.set_left(MINE)
    assert session.result is result
    assert service.waiting() == ["model"]


def test_swap_submits_no_jobs(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.swap()
    assert labels(session) == ("VDSR", "Bicubic")
    assert service.waiting() == []
    assert session.result is not None


def test_interpolation_shows_bicubic_until_finished(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_left(LANCZOS)
    assert labels(session) == ("Lanczos (working)", "VDSR")
    assert session.left_half is not None
    assert session.left_half.pyramid.width == 40
    lanczos = service.finish_layer(LayerKind.LANCZOS)
    assert session.left_half.pyramid is lanczos.pyramid


def test_cancel_stops_jobs_and_run_resumes(session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.cancel()
    assert service.waiting() == []
    assert labels(session) == ("Bicubic", "VDSR (stopped)")
    session.run()
    assert service.waiting() == ["model"]


def test_run_resumes_after_cancel_before_bicubic_is_finished(session: Session, service: FakeService) -> None:
    opened(session, service)
    session.cancel()
    session.run()
    service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == ["model"]


def test_run_again_remakes_only_network_layers(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.run(again=True)
    assert service.waiting() == ["model"]
    assert session.result is None


def test_failed_layer_is_reported_and_not_retried(qtbot: QtBot, session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    with qtbot.waitSignal(session.failed):
        service.fail(LayerKind.MODEL)
    assert service.waiting() == []
    session.set_left(LANCZOS)
    assert service.waiting() == ["lanczos"]


def test_save_waits_for_result(session: Session, service: FakeService, tmp_path: Path) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.save(request(folder=tmp_path))
    assert session.exporter.pending is not None
    result = service.finish_layer(LayerKind.MODEL)
    job = service.jobs[service.find(SaveJob)]
    assert isinstance(job, SaveJob)
    assert job.picture is result.picture
    assert session.exporter.pending is None


def test_save_requested_before_bicubic_waits_for_network_result(session: Session, service: FakeService) -> None:
    opened(session, service)
    session.save(request())
    service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == ["model"]
    service.finish_layer(LayerKind.MODEL)
    assert service.waiting() == ["SaveJob"]


def test_save_runs_model_when_no_half_shows_it(session: Session, service: FakeService) -> None:
    session.set_right(LANCZOS)
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.LANCZOS)
    assert session.result is None
    session.save(request())
    assert service.waiting() == ["model"]
    service.finish_layer(LayerKind.MODEL)
    assert service.waiting() == ["SaveJob"]


def test_showing_another_layer_keeps_the_result(session: Session, service: FakeService) -> None:
    finished(session, service)
    result = session.result
    session.set_right(LANCZOS)
    service.finish_layer(LayerKind.LANCZOS)
    assert session.result is result
    session.set_right(VDSR)
    assert service.waiting() == []
    assert session.right_half is not None
    assert result is not None
    assert session.right_half.pyramid is result.pyramid
    session.set_right(LANCZOS)
    session.set_target(Target(TargetKind.SCALE, 3.0))  # at another size it is only made on request
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.LANCZOS)
    assert service.waiting() == []
    assert session.result is None


def test_showing_another_layer_keeps_the_network_running(session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.set_right(LANCZOS)
    assert service.waiting() == ["model", "lanczos"]
    result = service.finish_layer(LayerKind.MODEL)
    assert session.result is result


def test_run_makes_result_when_no_half_shows_it(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_right(LANCZOS)
    service.finish_layer(LayerKind.LANCZOS)
    session.run(again=True)
    assert service.waiting() == ["model"]
    session.set_left(LayerSpec(LayerKind.BILINEAR))
    assert sorted(service.waiting()) == ["bilinear", "model"]
    result = service.finish_layer(LayerKind.MODEL)
    assert session.result is result


def test_result_that_no_half_shows_is_scored(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_right(LANCZOS)
    service.finish_layer(LayerKind.LANCZOS)
    session.scores.open(Path("/pictures/truth.png"))
    service.open_with(make_picture(40, 20))
    for number in list(service.jobs):
        service.finish(number, Score(30.0, 0.9))
    assert set(session.scores.values) == {BICUBIC, LANCZOS, VDSR}


def test_save_restarts_network_after_cancel(session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.cancel()
    session.save(request())
    assert service.waiting() == ["model"]


def test_save_restarts_failed_bicubic(session: Session, service: FakeService) -> None:
    opened(session, service)
    service.fail(LayerKind.BICUBIC)
    session.save(request())
    assert service.waiting() == ["bicubic"]
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.MODEL)
    assert isinstance(service.jobs[service.find(SaveJob)], SaveJob)


def test_paste_cancels_reading_of_a_file(session: Session, service: FakeService) -> None:
    session.open(Path("/pictures/slow.tif"))
    session.paste(lambda: make_picture(20, 10, 77), "pasted picture")
    assert service.waiting() == ["PasteJob"]
    pasted = service.finish_paste()
    assert session.picture is pasted
    assert service.waiting() == ["bicubic"]


def test_paste_keeps_previous_picture_when_it_fails_or_is_cancelled(
    qtbot: QtBot, session: Session, service: FakeService
) -> None:
    opened(session, service)
    before = session.picture
    session.paste(lambda: make_picture(20, 10), "pasted picture")
    assert session.picture is before
    assert session.opening == "pasted picture"
    with qtbot.waitSignal(session.not_opened):
        service.fail(PasteJob)
    assert session.picture is before
    assert session.opening is None
    session.paste(lambda: make_picture(20, 10), "pasted picture")
    session.cancel()
    assert session.picture is before
    assert session.opening is None


@pytest.mark.parametrize("what", ["size", "model", "picture", "cancel", "failure"])
def test_pending_save_emits_not_saved_when_its_result_is_abandoned(
    qtbot: QtBot, session: Session, service: FakeService, what: str
) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.save(request("later.png"))
    with qtbot.waitSignal(session.not_saved) as blocker:
        match what:
            case "size":
                session.set_target(Target(TargetKind.SCALE, 3.0))
            case "model":
                session.set_model("mine")
            case "picture":
                session.adopt(as_opened(make_picture(5, 5)))
            case "cancel":
                session.cancel()
            case _:
                service.fail(LayerKind.MODEL)
    assert blocker.args == [Path("/pictures/later.png")]
    assert session.exporter.pending is None


def test_save_emits_not_saved_for_the_request_it_replaces(qtbot: QtBot, session: Session, service: FakeService) -> None:
    opened(session, service)
    session.save(request("first.png"))
    with qtbot.waitSignal(session.not_saved) as blocker:
        session.save(request("second.png"))
    assert blocker.args == [Path("/pictures/first.png")]
    with qtbot.assertNotEmitted(session.not_saved):
        session.save(request("second.png"))


def test_new_size_does_not_stop_running_save(session: Session, service: FakeService, tmp_path: Path) -> None:
    finished(session, service)
    session.save(request(folder=tmp_path))
    session.set_target(Target(TargetKind.SCALE, 3.0))
    assert "SaveJob" in service.waiting()


def test_scores_are_measured_only_when_sizes_are_equal(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.scores.open(Path("/pictures/truth.png"))
    service.open_with(make_picture(40, 20))
    borders = [job.border_px for job in service.jobs.values() if isinstance(job, MetricsJob)]
    assert borders == [2, 2]
    for number in list(service.jobs):
        service.finish(number, Score(30.0 + number, 0.9))
    assert list(session.scores.values) == [BICUBIC, VDSR]

    session.set_target(Target(TargetKind.SCALE, 3.0))
    assert session.scores.values == {}
    service.finish_layer(LayerKind.BICUBIC)
    assert not any(isinstance(job, MetricsJob) for job in service.jobs.values())


TRUTH = LayerSpec(LayerKind.REFERENCE, reference=Path("/pictures/truth.png"))


def with_reference(session: Session, service: FakeService) -> None:
    """Open a reference of the result's size."""
    finished(session, service)
    session.scores.open(Path("/pictures/truth.png"))
    service.open_with(make_picture(40, 20))


@pytest.mark.parametrize(
    ("left", "right", "then"),
    [
        (TRUTH, VDSR, (BICUBIC, VDSR)),
        (BICUBIC, TRUTH, (BICUBIC, VDSR)),
        (VDSR, TRUTH, (VDSR, BICUBIC)),
        (TRUTH, BICUBIC, (VDSR, BICUBIC)),
        (TRUTH, TRUTH, (BICUBIC, VDSR)),
        (LANCZOS, TRUTH, (LANCZOS, VDSR)),
    ],
)
def test_closed_reference_is_replaced_in_both_halves(
    session: Session, service: FakeService, left: LayerSpec, right: LayerSpec, then: tuple[LayerSpec, LayerSpec]
) -> None:
    with_reference(session, service)
    session.set_left(left)
    session.set_right(right)
    session.scores.close()
    assert (session.setup.left, session.setup.right) == then
    assert "reference" not in service.waiting()


def test_new_reference_replaces_the_one_shown(session: Session, service: FakeService) -> None:
    with_reference(session, service)
    session.set_left(TRUTH)
    session.scores.open(Path("/pictures/better.png"))
    service.open_with(make_picture(40, 20))
    assert session.setup.left == LayerSpec(LayerKind.REFERENCE, reference=Path("/pictures/better.png"))
    assert session.setup.right == VDSR


def test_reference_is_shown_as_opened_and_not_read_again(session: Session, service: FakeService) -> None:
    with_reference(session, service)
    session.set_left(TRUTH)

    def shown_from() -> Picture | None:
        job = service.jobs[service.find(LayerKind.REFERENCE)]
        assert isinstance(job, LayerJob)
        return job.reference

    assert session.scores.reference is not None
    first = session.scores.reference.picture
    assert shown_from() is first
    before = service.finish_layer(LayerKind.REFERENCE)
    assert session.left_half is not None
    assert session.left_half.pyramid is before.pyramid

    session.scores.open(Path("/pictures/truth.png"))  # the file has changed meanwhile
    service.open_with(make_picture(40, 20, 77))
    assert session.scores.reference.picture is not first
    assert session.left_half.pyramid is not before.pyramid
    assert shown_from() is session.scores.reference.picture
    service.finish_layer(LayerKind.REFERENCE)
    assert labels(session) == ("Reference truth.png", "VDSR")

    opened(session, service)  # another version of the picture; the reference's file is not checked again
    service.finish_layer(LayerKind.BICUBIC)
    assert shown_from() is session.scores.reference.picture


def test_reference_stays_shown_for_new_picture_only_when_sizes_are_equal(
    session: Session, service: FakeService
) -> None:
    with_reference(session, service)
    session.set_left(TRUTH)
    opened(session, service, 20, 10)  # another version of the same picture, perhaps
    assert session.setup.left == TRUTH
    opened(session, service, 30, 10)
    assert (session.setup.left, session.setup.right) == (BICUBIC, VDSR)
    assert session.scores.reference is not None  # the status line says that its size differs


def test_metrics_border_is_rounded_up_for_fractional_scale(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.scores.open(Path("/pictures/truth.png"))
    service.open_with(make_picture(50, 25))
    session.set_target(Target(TargetKind.SCALE, 2.5))
    service.finish_layer(LayerKind.BICUBIC)
    job = service.jobs[service.find(MetricsJob)]
    assert isinstance(job, MetricsJob)
    assert job.border_px == 3


def test_failure_of_another_layer_keeps_pending_save(qtbot: QtBot, session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.set_left(LANCZOS)
    session.save(request())
    with qtbot.waitSignal(session.failed), qtbot.assertNotEmitted(session.not_saved):
        service.fail(LayerKind.LANCZOS)
    service.finish_layer(LayerKind.MODEL)
    assert service.waiting() == ["SaveJob"]


def test_layer_chosen_after_cancel_is_made(session: Session, service: FakeService) -> None:
    opened(session, service)
    session.cancel()
    session.swap()
    assert service.waiting() == []
    session.set_right(LANCZOS)
    service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == ["lanczos"]


# Memory


def have_memory(monkeypatch: pytest.MonkeyPatch, available: float) -> None:
    monkeypatch.setattr("vdsr_app.core.image_io.limits.available_memory_bytes", lambda: int(available))


def have_room(monkeypatch: pytest.MonkeyPatch, session: Session, room: float) -> None:
    """Make `room` bytes of memory available, minus what the layers hold."""

    def available() -> int:
        return int(room - session.comparison._held_bytes())

    monkeypatch.setattr("vdsr_app.core.image_io.limits.available_memory_bytes", available)


A_PIXEL = 2 * (3 + 16 / 3) + 16 / 3
"""Bytes per pixel that bicubic and the network's layer take, in 8-bit RGB."""
PIXELS = 20 * 10
"""Pixels of the source."""


def test_layers_too_large_for_memory_are_not_started_but_smaller_size_is(
    qtbot: QtBot, session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_memory(monkeypatch, PIXELS * 16 * A_PIXEL * 1.2)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    with qtbot.waitSignal(session.failed) as blocker:
        opened(session, service)
    assert "160 x 80" in blocker.args[0].what
    assert "batch" in blocker.args[0].hint
    assert service.waiting() == []
    assert session.comparison.state(VDSR) is LayerState.STOPPED
    with qtbot.waitSignal(session.failed):
        session.run()
    with qtbot.waitSignals([session.failed, session.not_saved]):
        session.save(request())
    assert service.waiting() == []

    session.set_target(Target(TargetKind.SCALE, 4.0))
    service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == ["model"]


def test_size_too_large_for_memory_keeps_and_labels_the_former_result(
    qtbot: QtBot, session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(session, service)
    result = session.result
    assert session.right_half is not None
    shown = session.right_half.pyramid
    have_memory(monkeypatch, 0)
    for scale in (8.0, 7.0):
        with qtbot.waitSignal(session.failed):
            session.set_target(Target(TargetKind.SCALE, scale))
        assert labels(session) == ("Bicubic (previous)", "VDSR (previous)")
        assert session.right_half.pyramid is shown
        assert session.result is None
    session.scores.open(Path("/pictures/truth.png"))
    service.open_with(make_picture(40, 20))
    assert service.waiting() == []
    session.set_target(Target(TargetKind.SCALE, 2.0))
    assert labels(session) == ("Bicubic", "VDSR")
    assert session.result is result
    assert service.waiting() == ["MetricsJob", "MetricsJob"]
    have_memory(monkeypatch, 1e9)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    session.set_target(Target(TargetKind.SCALE, 2.0))
    assert session.result is None  # kept only while nothing has replaced it
    assert "bicubic" in service.waiting()


def test_former_result_is_restored_after_another_model_was_chosen(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(session, service)
    session.set_model("mine")
    service.finish_layer(LayerKind.MODEL)
    result = session.result
    assert result is not None
    have_memory(monkeypatch, 0)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    assert session.result is None
    session.set_target(Target(TargetKind.SCALE, 2.0))
    assert session.result is result
    assert labels(session) == ("Bicubic", "My model")


def test_former_layer_no_longer_wanted_is_dropped_on_return_to_its_size(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(session, service)
    have_memory(monkeypatch, 0)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    session.set_model("mine")
    have_memory(monkeypatch, 1e9)
    session.set_target(Target(TargetKind.SCALE, 2.0))
    assert service.waiting() == ["model"]
    assert session.comparison.result(VDSR) is None


def test_hidden_former_result_is_restored_and_dropped_when_memory_is_short(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(session, service)
    result = session.result
    session.set_right(BICUBIC)
    have_memory(monkeypatch, 0)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    session.set_target(Target(TargetKind.SCALE, 2.0))
    assert session.result is result

    session.set_target(Target(TargetKind.SCALE, 8.0))
    session.set_right(LANCZOS)
    have_room(monkeypatch, session, PIXELS * 4 * A_PIXEL * 1.2)
    session.set_target(Target(TargetKind.SCALE, 2.0))
    assert service.waiting() == ["lanczos"]
    assert session.result is None


@pytest.mark.parametrize("why", ["memory is short", "cancelled"])
def test_pasted_picture_is_shown_when_its_layers_are_not_made(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    finished(session, service)
    if why == "memory is short":
        have_memory(monkeypatch, 0)
    session.adopt(as_opened(make_picture(6, 4, 99)))
    session.cancel()
    assert labels(session) == ("Original", "Original")
    assert session.right_half is not None
    assert session.right_half.pyramid.levels[0].shape == (4, 6, 4)
    assert session.right_half.pyramid.levels[0][0, 0].tolist() == [99, 99, 99, 255]


def test_layers_of_former_size_are_labelled_previous_after_cancel(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_target(Target(TargetKind.SCALE, 3.0))
    session.cancel()
    assert labels(session) == ("Bicubic (previous)", "VDSR (previous)")
    session.run()
    service.finish_layer(LayerKind.BICUBIC)
    assert labels(session) == ("Bicubic", "VDSR (working)")


def test_memory_of_former_size_counts_as_free_for_the_next(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = PIXELS * 64 * A_PIXEL * 1.2
    have_memory(monkeypatch, total)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    finished(session, service)
    have_memory(monkeypatch, total - PIXELS * 64 * 2 * (16 / 3))  # what is on screen stays until bicubic is done
    session.set_target(Target(TargetKind.SCALE, 7.0))
    service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == ["model"]


def test_memory_of_tiles_of_former_size_counts_as_free_for_the_next(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.network_ready = True
    total = PIXELS * 64 * A_PIXEL * 1.2
    have_memory(monkeypatch, total)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    opened(session, service)
    for x in (0, 80):  # the whole layer, while bicubic is being made
        service.tell_tile(LayerKind.MODEL, x, 0, 80, 9)
    have_memory(monkeypatch, total - PIXELS * 64 * 16 / 3)
    session.set_target(Target(TargetKind.SCALE, 7.5))
    assert sorted(service.waiting()) == ["bicubic", "model"]


def test_memory_of_early_tiles_counts_as_free_for_further_layers(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.network_ready = True
    session.set_left(LANCZOS)
    opened(session, service)
    for x in (0, 20):
        service.tell_tile(LayerKind.MODEL, x, 0, 20, 9)
    bicubic, early = PIXELS * 4 * (3 + 16 / 3), PIXELS * 4 * (16 / 3 + 4)
    have_memory(monkeypatch, PIXELS * 4 * (A_PIXEL + 3 + 16 / 3) * 1.2 - bicubic - early)
    service.finish_layer(LayerKind.BICUBIC)
    assert sorted(service.waiting()) == ["lanczos", "model"]


def test_reference_layer_needs_memory_only_for_its_pyramid(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_reference(session, service)
    made = 2 * (3 + 16 / 3)
    have_memory(monkeypatch, PIXELS * 4 * ((made + 16 / 3) * 1.01 / 0.9 - made))
    session.set_left(TRUTH)
    assert "reference" in service.waiting()
    before = session.comparison._held_bytes()
    reference = service.finish_layer(LayerKind.REFERENCE)
    assert session.comparison._held_bytes() - before == reference.pyramid.nbytes


def test_further_layer_too_large_for_memory_keeps_the_others(
    qtbot: QtBot, session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(session, service)
    result = session.result
    have_memory(monkeypatch, 0)
    with qtbot.waitSignal(session.failed):
        session.set_left(LANCZOS)
    assert service.waiting() == []
    assert labels(session) == ("Lanczos (stopped)", "VDSR")
    assert session.result is result


def test_hidden_result_is_dropped_when_wanted_layer_needs_memory(
    qtbot: QtBot, session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(session, service)
    assert session.result is not None
    have_room(monkeypatch, session, PIXELS * 4 * A_PIXEL * 1.2)
    with qtbot.assertNotEmitted(session.failed):
        session.set_right(LANCZOS)
    assert service.waiting() == ["lanczos"]
    assert session.result is None


def test_failed_result_dropped_for_memory_is_restarted_when_chosen(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.network_ready = True
    opened(session, service)
    session.set_right(LANCZOS)
    service.fail(LayerKind.MODEL)
    have_room(monkeypatch, session, PIXELS * 4 * A_PIXEL * 1.2)
    service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == ["lanczos"]
    have_memory(monkeypatch, 1e9)
    session.set_right(VDSR)
    assert service.waiting() == ["model"]


def test_network_is_stopped_when_memory_becomes_short_during_bicubic(
    qtbot: QtBot, session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(session, service)
    have_memory(monkeypatch, 0)
    with qtbot.waitSignal(session.failed):
        service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == []
    assert labels(session) == ("Bicubic", "VDSR (stopped)")


def test_new_device_remakes_the_layers(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_processing("cpu", "fp32")
    service.finish_layer(LayerKind.BICUBIC)
    job = service.jobs[service.find(LayerKind.MODEL)]
    assert isinstance(job, LayerJob)
    assert (job.settings.device, job.settings.precision) == ("cpu", "fp32")


def test_self_ensemble_change_remakes_result_and_abandons_pending_save(
    qtbot: QtBot, session: Session, service: FakeService
) -> None:
    finished(session, service)
    session.set_self_ensemble(False)
    assert session.result is not None
    session.set_self_ensemble(True)
    assert session.result is None
    service.finish_layer(LayerKind.BICUBIC)
    job = service.jobs[service.find(LayerKind.MODEL)]
    assert isinstance(job, LayerJob)
    assert job.settings.self_ensemble
    session.save(request())
    with qtbot.waitSignal(session.not_saved):
        session.reset(AppSettings())
    assert not session.settings().self_ensemble


@pytest.mark.parametrize("field", ["device", "precision", "self_ensemble"])
def test_former_result_is_restored_only_with_the_settings_it_was_made_with(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    def choose(other: bool) -> None:
        session.set_processing(
            "cpu" if other and field == "device" else "auto", "fp32" if other and field == "precision" else "auto"
        )
        session.set_self_ensemble(other and field == "self_ensemble")

    finished(session, service)
    result = session.result
    assert result is not None
    have_memory(monkeypatch, 0)
    choose(True)
    assert session.result is None
    choose(False)
    assert session.result is result
