"""Painted layers: what is shown of them, and the memory they take."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from tests.gui.fakes import make_picture, pyramid_of
from vdsr_app.core.pyramid import MipPyramid
from vdsr_app.gui.painted_layers import PaintedLayers
from vdsr_app.workers.messages import LayerKind, LayerSpec, TileBlock

VDSR, MINE = LayerSpec(LayerKind.MODEL, model="vdsr"), LayerSpec(LayerKind.MODEL, model="mine")
SIDE_PX = 1024
"""Large enough that a copy takes several turns of the event loop."""


@pytest.fixture
def painted(qtbot: QtBot) -> PaintedLayers:
    return PaintedLayers()


@pytest.fixture(scope="module")
def bicubic() -> MipPyramid:
    return pyramid_of(make_picture(SIDE_PX, SIDE_PX, 100))


def tile(x: int, y: int, side: int, value: int) -> TileBlock:
    rgba = np.full((side, side, 4), value, np.uint8)
    rgba[:, :, 3] = 255
    return TileBlock(x, y, rgba)


def test_tiles_wait_for_copy_and_are_in_it_when_shown(
    qtbot: QtBot, painted: PaintedLayers, bicubic: MipPyramid
) -> None:
    painted.begin(VDSR, bicubic)
    assert not painted.write(VDSR, tile(0, 0, 4, 7))
    assert painted.shown(VDSR) is None
    qtbot.waitSignal(painted.completed).wait()
    assert painted.write(VDSR, tile(8, 8, 4, 9))
    shown = painted.shown(VDSR)
    assert shown is not None
    assert [int(shown.levels[0][at, at, 0]) for at in (0, 9, 20)] == [7, 9, 100]


def test_early_tiles_are_shown_alone_until_copy_is_complete(
    qtbot: QtBot, painted: PaintedLayers, bicubic: MipPyramid
) -> None:
    painted.begin_early([VDSR], SIDE_PX, SIDE_PX)
    assert painted.write(VDSR, tile(0, 0, 4, 7))
    assert not painted.write(MINE, tile(0, 0, 4, 7))
    with qtbot.waitSignal(painted.completed):
        painted.set_bicubic(bicubic)
        assert painted.early(VDSR) is not None
        assert painted.write(VDSR, tile(8, 8, 4, 9))
    assert painted.early(VDSR) is None
    shown = painted.shown(VDSR)
    assert shown is not None
    assert [int(shown.levels[0][at, at, 0]) for at in (0, 9, 20)] == [7, 9, 100]


def test_keep_drops_all_other_layers(qtbot: QtBot, painted: PaintedLayers, bicubic: MipPyramid) -> None:
    painted.begin_early([VDSR, MINE], SIDE_PX, SIDE_PX)
    painted.keep([MINE])
    assert painted.early(VDSR) is None
    with qtbot.waitSignal(painted.completed):
        painted.set_bicubic(bicubic)
    assert painted.shown(VDSR) is None
    painted.keep(())
    assert painted.shown(MINE) is None
    painted.drop(MINE)


def test_incomplete_copy_counts_copied_bytes_and_frees_them_when_dropped(
    qtbot: QtBot, painted: PaintedLayers, bicubic: MipPyramid
) -> None:
    painted.begin(VDSR, bicubic)
    assert painted.nbytes == 0
    copy = painted._copies[VDSR]
    qtbot.waitSignal(copy._timer.timeout).wait()  # one turn: polling every few milliseconds may be too late
    assert 0 < painted.nbytes < bicubic.nbytes
    copied = copy.pyramid
    painted.keep(())
    assert painted.nbytes == copied.nbytes == 0


def test_dropped_copy_counts_bytes_while_still_shown(qtbot: QtBot, painted: PaintedLayers, bicubic: MipPyramid) -> None:
    with qtbot.waitSignal(painted.completed):
        painted.begin(VDSR, bicubic)
    shown = painted.shown(VDSR)
    painted.keep(())
    assert painted.nbytes == bicubic.nbytes
    del shown
    gc.collect()
    qtbot.waitUntil(lambda: painted.nbytes == 0)


def test_early_tiles_count_bytes_written_so_far(qtbot: QtBot, painted: PaintedLayers, bicubic: MipPyramid) -> None:
    painted.begin_early([VDSR], SIDE_PX, SIDE_PX)
    assert painted.nbytes == 0
    block = tile(0, 0, 64, 7)
    painted.write(VDSR, block)
    assert painted.nbytes == block.rgba.nbytes + 4 * block.rgba.nbytes // 3
    with qtbot.waitSignal(painted.completed):
        painted.set_bicubic(bicubic)
    assert painted.nbytes == bicubic.nbytes
