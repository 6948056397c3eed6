"""The session: which jobs are asked for, in which order, and whose results count."""

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


def test_an_opened_picture_is_shown_itself_then_as_bicubic_then_by_the_network(
    session: Session, service: FakeService
) -> None:
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


def test_the_network_is_asked_for_the_region_on_the_screen(session: Session, service: FakeService) -> None:
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


def test_the_network_does_not_wait_for_bicubic_once_torch_is_there(
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


def test_while_another_size_is_made_the_result_before_lies_under_its_tiles(
    session: Session, service: FakeService
) -> None:
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


def test_a_picture_with_transparency_waits_for_bicubic(session: Session, service: FakeService) -> None:
    service.network_ready = True
    picture = make_picture(20, 10)
    session.adopt(as_opened(replace(picture, alpha=picture.pixels[..., 0].copy())))
    assert service.waiting() == ["bicubic"]


def test_what_came_early_stays_when_it_is_stopped(session: Session, service: FakeService) -> None:
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


def test_a_new_size_gives_up_what_runs_and_keeps_the_old_picture_until_bicubic_is_there(
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


def test_a_late_result_of_a_job_that_was_given_up_is_dropped(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(session, service)
    stale = service.find(LayerKind.BICUBIC)
    before = session.left_half
    with monkeypatch.context() as patch:
        patch.setattr(service, "cancel", lambda _number: None)  # it was finished already, and is on its way
        session.set_target(Target(TargetKind.SCALE, 3.0))
    late = make_picture(40, 20)
    result = LayerResult(BICUBIC, Target(TargetKind.SCALE, 2.0), late, pyramid_of(late), 0.1)
    service.succeeded.emit(stale, result)
    assert session.left_half is before
    assert session.comparison.result(BICUBIC) is None


def test_a_picture_that_cannot_be_opened_leaves_the_former_one_alone(
    qtbot: QtBot, session: Session, service: FakeService
) -> None:
    finished(session, service)
    result = session.result
    session.open(Path("/pictures/broken.png"))
    with qtbot.waitSignal(session.failed) as failure:
        service.fail(OpenJob)
    assert failure.args[0].what == "It failed."
    assert session.result is result
    assert session.opening is None


def test_opening_twice_reads_only_the_second(session: Session, service: FakeService) -> None:
    session.open(Path("/a.png"))
    session.open(Path("/b.png"))
    job = service.jobs[service.find(OpenJob)]
    assert isinstance(job, OpenJob)
    assert job.path == Path("/b.png")


def test_a_size_out_of_reach_of_one_picture_is_still_wished_of_the_next(service: FakeService) -> None:
    settings = AppSettings(target_kind=TargetKind.WIDTH, target_value=4000)
    session = Session(service, ModelList(), settings)  # type: ignore[arg-type]
    for width, made in ((20, 160), (9000, 9000), (1000, 4000)):
        opened(session, service, width, 10)
        job = service.jobs[service.find(LayerKind.BICUBIC)]
        assert isinstance(job, LayerJob)
        size = job.settings.target.size_for(width, 10)
        assert (size, size.width) == (session.size, made)
        assert session.settings().target == Target(TargetKind.WIDTH, 4000)  # for any picture, as those of a batch


def test_a_wish_that_makes_no_other_size_makes_nothing_anew(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    service.finish_layer(LayerKind.BICUBIC)
    result = service.finish_layer(LayerKind.MODEL)
    session.set_target(Target(TargetKind.WIDTH, 4000))
    assert session.result is result
    assert session.setup.target == Target(TargetKind.WIDTH, 4000)


def test_choosing_a_model_at_the_right_makes_it_the_result(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_right(MINE)
    assert session.result_spec == MINE
    assert labels(session) == ("Bicubic", "My model (working)")
    result = service.finish_layer(LayerKind.MODEL)
    assert session.result is result


def test_choosing_a_model_at_the_left_does_not_change_the_result(session: Session, service: FakeService) -> None:
    finished(session, service)
    result = session.result
    session.set_left(MINE)
    assert session.result is result
    assert service.waiting() == ["model"]


def test_exchanged_halves_need_no_new_work(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.swap()
    assert labels(session) == ("VDSR", "Bicubic")
    assert service.waiting() == []
    assert session.result is not None


def test_interpolations_show_bicubic_until_they_are_there(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_left(LANCZOS)
    assert labels(session) == ("Lanczos (working)", "VDSR")
    assert session.left_half is not None
    assert session.left_half.pyramid.width == 40
    lanczos = service.finish_layer(LayerKind.LANCZOS)
    assert session.left_half.pyramid is lanczos.pyramid


def test_cancel_stops_all_and_run_goes_on(session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.cancel()
    assert service.waiting() == []
    assert labels(session) == ("Bicubic", "VDSR (stopped)")
    session.run()
    assert service.waiting() == ["model"]


def test_cancel_before_bicubic_is_there_can_be_taken_back(session: Session, service: FakeService) -> None:
    opened(session, service)
    session.cancel()
    session.run()
    service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == ["model"]


def test_run_again_makes_only_the_network_layers_once_more(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.run(again=True)
    assert service.waiting() == ["model"]
    assert session.result is None


def test_a_failed_layer_is_told_and_not_tried_for_ever(qtbot: QtBot, session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    with qtbot.waitSignal(session.failed):
        service.fail(LayerKind.MODEL)
    assert service.waiting() == []
    session.set_left(LANCZOS)
    assert service.waiting() == ["lanczos"]


def test_save_waits_for_the_result(session: Session, service: FakeService, tmp_path: Path) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.save(request(folder=tmp_path))
    assert session.exporter.pending is not None
    result = service.finish_layer(LayerKind.MODEL)
    job = service.jobs[service.find(SaveJob)]
    assert isinstance(job, SaveJob)
    assert job.picture is result.picture
    assert session.exporter.pending is None


def test_save_writes_the_networks_result_and_nothing_that_comes_before(session: Session, service: FakeService) -> None:
    opened(session, service)
    session.save(request())
    service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == ["model"]
    service.finish_layer(LayerKind.MODEL)
    assert service.waiting() == ["SaveJob"]


def test_save_runs_the_model_also_when_no_half_shows_it(session: Session, service: FakeService) -> None:
    session.set_right(LANCZOS)
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.LANCZOS)
    assert session.result is None
    session.save(request())
    assert service.waiting() == ["model"]
    service.finish_layer(LayerKind.MODEL)
    assert service.waiting() == ["SaveJob"]


def test_a_glance_at_another_layer_leaves_the_result_alone(session: Session, service: FakeService) -> None:
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
    session.set_target(Target(TargetKind.SCALE, 3.0))  # of another size it is not made unless somebody wants it
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.LANCZOS)
    assert service.waiting() == []
    assert session.result is None


def test_a_glance_at_another_layer_leaves_the_network_at_work(session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.set_right(LANCZOS)
    assert service.waiting() == ["model", "lanczos"]
    result = service.finish_layer(LayerKind.MODEL)
    assert session.result is result


def test_run_makes_the_result_also_when_no_half_shows_it(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_right(LANCZOS)
    service.finish_layer(LayerKind.LANCZOS)
    session.run(again=True)
    assert service.waiting() == ["model"]
    session.set_left(LayerSpec(LayerKind.BILINEAR))
    assert sorted(service.waiting()) == ["bilinear", "model"]
    result = service.finish_layer(LayerKind.MODEL)
    assert session.result is result


def test_a_result_that_nobody_shows_is_measured_too(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_right(LANCZOS)
    service.finish_layer(LayerKind.LANCZOS)
    session.scores.open(Path("/pictures/truth.png"))
    service.open_with(make_picture(40, 20))
    for number in list(service.jobs):
        service.finish(number, Score(30.0, 0.9))
    assert set(session.scores.values) == {BICUBIC, LANCZOS, VDSR}


def test_save_after_cancel_starts_again(session: Session, service: FakeService) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.cancel()
    session.save(request())
    assert service.waiting() == ["model"]


def test_save_starts_again_where_bicubic_was_stopped(session: Session, service: FakeService) -> None:
    opened(session, service)
    service.fail(LayerKind.BICUBIC)
    session.save(request())
    assert service.waiting() == ["bicubic"]
    service.finish_layer(LayerKind.BICUBIC)
    service.finish_layer(LayerKind.MODEL)
    assert isinstance(service.jobs[service.find(SaveJob)], SaveJob)


def test_a_pasted_picture_is_not_replaced_by_a_file_that_was_being_read(session: Session, service: FakeService) -> None:
    session.open(Path("/pictures/slow.tif"))
    session.paste(lambda: make_picture(20, 10, 77), "pasted picture")
    assert service.waiting() == ["PasteJob"]
    pasted = service.finish_paste()
    assert session.picture is pasted
    assert service.waiting() == ["bicubic"]


def test_the_picture_before_stays_until_the_pasted_one_is_there(
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
def test_a_save_whose_result_is_given_up_is_told(
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


def test_a_wish_to_save_that_takes_the_place_of_another_tells_that(
    qtbot: QtBot, session: Session, service: FakeService
) -> None:
    opened(session, service)
    session.save(request("first.png"))
    with qtbot.waitSignal(session.not_saved) as blocker:
        session.save(request("second.png"))
    assert blocker.args == [Path("/pictures/first.png")]
    with qtbot.assertNotEmitted(session.not_saved):
        session.save(request("second.png"))


def test_a_new_size_does_not_stop_a_file_being_written(session: Session, service: FakeService, tmp_path: Path) -> None:
    finished(session, service)
    session.save(request(folder=tmp_path))
    session.set_target(Target(TargetKind.SCALE, 3.0))
    assert "SaveJob" in service.waiting()


def test_scores_are_measured_where_the_sizes_are_equal(session: Session, service: FakeService) -> None:
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
    """A reference of the result's size is open."""
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
def test_a_reference_that_is_closed_leaves_the_screen(
    session: Session, service: FakeService, left: LayerSpec, right: LayerSpec, then: tuple[LayerSpec, LayerSpec]
) -> None:
    with_reference(session, service)
    session.set_left(left)
    session.set_right(right)
    session.scores.close()
    assert (session.setup.left, session.setup.right) == then
    assert "reference" not in service.waiting()


def test_another_reference_takes_the_place_of_the_one_shown(session: Session, service: FakeService) -> None:
    with_reference(session, service)
    session.set_left(TRUTH)
    session.scores.open(Path("/pictures/better.png"))
    service.open_with(make_picture(40, 20))
    assert session.setup.left == LayerSpec(LayerKind.REFERENCE, reference=Path("/pictures/better.png"))
    assert session.setup.right == VDSR


def test_a_reference_is_shown_as_it_was_when_it_was_opened(session: Session, service: FakeService) -> None:
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

    session.scores.open(Path("/pictures/truth.png"))  # it was changed meanwhile
    service.open_with(make_picture(40, 20, 77))
    assert session.scores.reference.picture is not first
    assert session.left_half.pyramid is not before.pyramid
    assert shown_from() is session.scores.reference.picture
    service.finish_layer(LayerKind.REFERENCE)
    assert labels(session) == ("Reference truth.png", "VDSR")

    opened(session, service)  # another version of the picture: nobody asks whether the file is still there
    service.finish_layer(LayerKind.BICUBIC)
    assert shown_from() is session.scores.reference.picture


def test_a_new_picture_is_set_beside_the_reference_only_where_their_sizes_are_equal(
    session: Session, service: FakeService
) -> None:
    with_reference(session, service)
    session.set_left(TRUTH)
    opened(session, service, 20, 10)  # another version of the same picture, perhaps
    assert session.setup.left == TRUTH
    opened(session, service, 30, 10)
    assert (session.setup.left, session.setup.right) == (BICUBIC, VDSR)
    assert session.scores.reference is not None  # the line below says that its size is another


def test_a_fractional_scale_shaves_a_whole_border(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.scores.open(Path("/pictures/truth.png"))
    service.open_with(make_picture(50, 25))
    session.set_target(Target(TargetKind.SCALE, 2.5))
    service.finish_layer(LayerKind.BICUBIC)
    job = service.jobs[service.find(MetricsJob)]
    assert isinstance(job, MetricsJob)
    assert job.border_px == 3


def test_a_layer_that_fails_beside_the_result_leaves_a_save_alone(
    qtbot: QtBot, session: Session, service: FakeService
) -> None:
    opened(session, service)
    service.finish_layer(LayerKind.BICUBIC)
    session.set_left(LANCZOS)
    session.save(request())
    with qtbot.waitSignal(session.failed), qtbot.assertNotEmitted(session.not_saved):
        service.fail(LayerKind.LANCZOS)
    service.finish_layer(LayerKind.MODEL)
    assert service.waiting() == ["SaveJob"]


def test_a_layer_that_is_chosen_after_a_stop_is_made(session: Session, service: FakeService) -> None:
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
    """What the layers do not hold of that much memory is free."""

    def available() -> int:
        return int(room - session.comparison._held_bytes())

    monkeypatch.setattr("vdsr_app.core.image_io.limits.available_memory_bytes", available)


A_PIXEL = 2 * (3 + 16 / 3) + 16 / 3
"""Bytes that bicubic and the network's layer take, in 8-bit RGB."""
PIXELS = 20 * 10
"""Of the source."""


def test_layers_that_memory_cannot_hold_are_not_begun_and_a_smaller_size_is(
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


def test_a_size_that_memory_cannot_hold_leaves_the_former_result_to_go_back_to_and_says_what_is_shown(
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
    assert session.result is None  # kept only where there was nothing in its stead
    assert "bicubic" in service.waiting()


def test_a_former_result_can_be_gone_back_to_after_another_model_was_chosen(
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


def test_what_nobody_wants_any_more_is_not_kept_when_a_former_size_is_gone_back_to(
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


def test_a_result_that_nobody_shows_is_kept_when_its_size_is_gone_back_to_and_makes_room_there(
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
def test_a_pasted_picture_is_shown_whatever_becomes_of_its_layers(
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


def test_what_is_shown_of_a_former_size_is_said_to_be_so_when_the_next_is_cancelled(
    session: Session, service: FakeService
) -> None:
    finished(session, service)
    session.set_target(Target(TargetKind.SCALE, 3.0))
    session.cancel()
    assert labels(session) == ("Bicubic (previous)", "VDSR (previous)")
    session.run()
    service.finish_layer(LayerKind.BICUBIC)
    assert labels(session) == ("Bicubic", "VDSR (working)")


def test_what_a_former_size_takes_is_free_for_the_next(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = PIXELS * 64 * A_PIXEL * 1.2
    have_memory(monkeypatch, total)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    finished(session, service)
    have_memory(monkeypatch, total - PIXELS * 64 * 2 * (16 / 3))  # what is on the screen stays there until then
    session.set_target(Target(TargetKind.SCALE, 7.0))
    service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == ["model"]


def test_what_the_tiles_of_a_former_size_take_is_free_for_the_next(
    session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.network_ready = True
    total = PIXELS * 64 * A_PIXEL * 1.2
    have_memory(monkeypatch, total)
    session.set_target(Target(TargetKind.SCALE, 8.0))
    opened(session, service)
    for x in (0, 80):  # all of it, while bicubic is being made
        service.tell_tile(LayerKind.MODEL, x, 0, 80, 9)
    have_memory(monkeypatch, total - PIXELS * 64 * 16 / 3)
    session.set_target(Target(TargetKind.SCALE, 7.5))
    assert sorted(service.waiting()) == ["bicubic", "model"]


def test_what_came_early_and_will_go_is_free_for_a_further_layer(
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


def test_a_reference_is_in_memory_before_it_is_shown(
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


def test_a_further_layer_that_memory_cannot_hold_leaves_the_others_alone(
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


def test_a_result_that_nobody_shows_makes_room_for_a_layer_that_is_wanted(
    qtbot: QtBot, session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(session, service)
    assert session.result is not None
    have_room(monkeypatch, session, PIXELS * 4 * A_PIXEL * 1.2)
    with qtbot.assertNotEmitted(session.failed):
        session.set_right(LANCZOS)
    assert service.waiting() == ["lanczos"]
    assert session.result is None


def test_a_failed_result_that_made_room_is_begun_again_when_it_is_chosen(
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


def test_memory_that_has_become_short_since_bicubic_began_stops_the_network(
    qtbot: QtBot, session: Session, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(session, service)
    have_memory(monkeypatch, 0)
    with qtbot.waitSignal(session.failed):
        service.finish_layer(LayerKind.BICUBIC)
    assert service.waiting() == []
    assert labels(session) == ("Bicubic", "VDSR (stopped)")


def test_another_device_makes_the_layers_again(session: Session, service: FakeService) -> None:
    finished(session, service)
    session.set_processing("cpu", "fp32")
    service.finish_layer(LayerKind.BICUBIC)
    job = service.jobs[service.find(LayerKind.MODEL)]
    assert isinstance(job, LayerJob)
    assert (job.settings.device, job.settings.precision) == ("cpu", "fp32")


def test_best_quality_makes_the_result_anew_and_gives_up_what_waits_for_the_one_before(
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
def test_a_former_result_is_gone_back_to_only_where_it_was_made_in_the_same_way(
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
