"""The units in which training pictures are held in memory, and decoding them.

An *item* is a picture with its shrunk copies, or some rows of them if the whole would take more than a quarter of the
memory for all. The rows beyond its own that its patches depend on are held with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from vdsr_app.control import CancelToken
from vdsr_app.errors import PictureError, TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.degrade import Luma8, Source, reach_px
from vdsr_trainer.data.pictures import digest, is_of_full_range, read_luma
from vdsr_trainer.data.report import PictureRecord
from vdsr_trainer.data.split import copy_sizes

HARDNESS_PX = 8
"""Side of the squares for which hardness is known."""
_ITEM_SHARE = 4
_REACH = 2
_STRIP_BLOCKS = 32

Answers = Mapping[float, npt.NDArray[np.float16]]
"""A teacher's answers for a picture: scale factor -> (H, W), its output minus the picture."""


@dataclass(frozen=True, slots=True)
class Band:
    """Rows of a picture or of a shrunk copy of it.

    Attributes:
        height: rows of the whole copy.
        width: its columns.
        first: first row in which patches may begin.
        last: row after the last that they may touch.
        held_first: first row held, so that a patch can be degraded as part of the whole.
        held_last: row after the last that is held.
    """

    height: int
    width: int
    first: int
    last: int
    held_first: int
    held_last: int

    @property
    def pixels(self) -> int:
        """Pixels that patches are cut from."""
        return (self.last - self.first) * self.width

    @property
    def whole(self) -> bool:
        """Whether the whole picture is held."""
        return (self.held_first, self.held_last) == (0, self.height)

    def held_bytes(self, config: TrainConfig) -> int:
        """Memory that it takes, in bytes."""
        rows = self.held_last - self.held_first
        blocks = (-(-rows // HARDNESS_PX) + 1) * (-(-self.width // HARDNESS_PX) + 1)
        answers = len(config.answered_scales) if self.whole else 0
        return rows * self.width * (1 + 2 * answers) + (8 * blocks if needs_hardness(config) else 0)


@dataclass(frozen=True, slots=True)
class Item:
    """What is decoded and held as a unit.

    Attributes:
        record: the picture.
        bands: rows of the picture and of its shrunk copies; at least one.
        bytes: memory that it takes.
    """

    record: PictureRecord
    bands: tuple[Band, ...]
    bytes: int

    @property
    def pixels(self) -> int:
        """Pixels that patches are cut from."""
        return sum(band.pixels for band in self.bands)

    @property
    def running_shares(self) -> npt.NDArray[np.float64]:
        """Share of the pixels up to the end of each band, (bands,)."""
        return np.cumsum([band.pixels / self.pixels for band in self.bands])


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """One band in memory.

    Attributes:
        band: which.
        source: its pixels.
        hardness: (rows / 8 + 1, W / 8 + 1) float64, summed-area table of `_detail` by squares; None if not needed.
        answers: of a teacher; empty without one, or if only some rows are held.
    """

    band: Band
    source: Source
    hardness: npt.NDArray[np.float64] | None
    answers: Answers = field(default_factory=dict)

    def hardness_of(
        self, tops: npt.NDArray[np.int64], lefts: npt.NDArray[np.int64], side: int
    ) -> npt.NDArray[np.float64]:
        """How badly bicubic is expected to do on patches of `side` px: mean detail of the squares nearest to them."""
        table = self.hardness
        if table is None:
            return np.zeros(len(tops))
        top, left = ((at + HARDNESS_PX // 2) // HARDNESS_PX for at in (tops - self.band.held_first, lefts))
        bottom, right = ((at + side + HARDNESS_PX // 2) // HARDNESS_PX for at in (tops - self.band.held_first, lefts))
        bottom, right = np.minimum(bottom, table.shape[0] - 1), np.minimum(right, table.shape[1] - 1)
        top, left = np.minimum(top, bottom - 1), np.minimum(left, right - 1)
        sums = table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
        return np.asarray(sums / ((bottom - top) * (right - left)))


def make_items(records: Sequence[PictureRecord], config: TrainConfig, budget_bytes: int) -> tuple[Item, ...]:
    """The items of some pictures; all whole if they fit into the budget together."""
    whole = [item for record in records for item in _cut(record, 1, config)]
    if sum(item.bytes for item in whole) <= budget_bytes:
        return tuple(whole)
    most = budget_bytes // _ITEM_SHARE
    items: list[Item] = []
    for item in whole:
        parts, count = [item], 1
        rows = item.record.height // config.patch_px
        while max(part.bytes for part in parts) > most and count < rows:
            count = min(2 * count, rows)
            parts = _cut(item.record, count, config)
        items += parts
    return tuple(items)


def _cut(record: PictureRecord, count: int, config: TrainConfig) -> list[Item]:
    """A picture and its copies in `count` bands, all but the last a whole number of patches high."""
    side = config.patch_px
    reach = reach_px(max(config.scale_max, *config.scales), config.blur_sigma_max if config.blur_share else 0.0)
    sizes = copy_sizes(record.height, record.width, config)
    items = []
    for number in range(count):
        bands = []
        for height, width in sizes:
            patches = height // side
            first = patches * number // count * side
            last = height if number == count - 1 else patches * (number + 1) // count * side
            if last - first >= side:
                bands.append(Band(height, width, first, last, max(0, first - reach), min(height, last + reach)))
        if bands:
            items.append(Item(record, tuple(bands), sum(band.held_bytes(config) for band in bands)))
    return items


def needs_hardness(config: TrainConfig) -> bool:
    """Whether positions are chosen by hardness."""
    return config.sampling == "random" and config.hard_candidates > 1


def load(
    item: Item,
    config: TrainConfig,
    token: CancelToken | None = None,
    teacher: Callable[[Luma8], Answers] | None = None,
) -> tuple[Held, ...]:
    """Decode an item.

    Args:
        item: what to decode.
        config: of the run.
        token: checked while it is read.
        teacher: called with whole pictures, (H, W) uint8.

    Raises:
        TrainingError: the file is gone, damaged, or not what it was when the run began.
        Cancelled: by the token.
    """
    luma = read_recorded(item.record, token)
    held: list[Held] = []
    for number, band in enumerate(item.bands):
        whole = luma[: band.height, : band.width]  # the picture comes first, and may be cropped
        if number:
            # Pillow's is the same antialiased bicubic, in integers: fast, and equal on every computer.
            size = (band.width, band.height)
            whole = np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.BICUBIC))
        # A copy if it is a part: a view would keep the whole in memory.
        rows = np.ascontiguousarray(whole) if band.whole else whole[band.held_first : band.held_last].copy()
        hardness = _hardness(rows) if needs_hardness(config) else None
        answers = teacher(rows) if teacher is not None and band.whole else {}
        held.append(Held(band, Source(rows, band.height, band.held_first), hardness, answers))
    return tuple(held)


def read_recorded(record: PictureRecord, token: CancelToken | None = None) -> Luma8:
    """Luma of a picture that was decoded before, (H, W) uint8.

    Raises:
        TrainingError: the file is gone, damaged, or not what it was.
        Cancelled: by the token.
    """
    hint = "Put the file back as it was, or begin a new run."
    try:
        luma = read_luma(record.path, token)
    except PictureError as error:
        if not Path(record.folder).is_dir():
            raise TrainingError(
                "The folder of training pictures is gone.",
                path=record.folder,
                hint="Connect the disk that it is on, then resume the run.",
            ) from error
        raise TrainingError(
            f"A picture of this run can no longer be read: {error.what}", path=record.path, hint=hint
        ) from error
    if digest(luma) != record.digest:
        if is_of_full_range(record, token):
            raise TrainingError(
                "This run was begun by an earlier version, which gave gray pictures to the network in another way.",
                path=record.path,
                hint="Begin a new run from the network that this one has reached.",
            )
        raise TrainingError("A picture of this run has changed.", path=record.path, hint=hint)
    return luma


def _hardness(luma: Luma8) -> npt.NDArray[np.float64]:
    """Summed-area table, by squares of 8 px, of the squared second differences over 2 px.

    They rank patches like the error of bicubic at x3 (0.95 to 0.99 of all pairs of patches, measured), at a fiftieth of
    its cost.
    """
    height, width = luma.shape
    rows, cols = -(-height // HARDNESS_PX), -(-width // HARDNESS_PX)
    sums = np.zeros((rows + 1, cols + 1))
    for row in range(0, rows, _STRIP_BLOCKS):
        count = min(_STRIP_BLOCKS, rows - row)
        detail = _detail(luma, row * HARDNESS_PX, count * HARDNESS_PX, cols * HARDNESS_PX)
        sums[row + 1 : row + 1 + count, 1:] = detail.reshape(count, HARDNESS_PX, cols, HARDNESS_PX).sum(axis=(1, 3))
    return np.asarray(sums.cumsum(axis=0).cumsum(axis=1))


def _detail(luma: Luma8, top: int, rows: int, cols: int) -> npt.NDArray[np.int32]:
    """Squared second differences of `rows` x `cols` from row `top` on; 0 beyond the picture and near its edges."""
    height, width = luma.shape
    detail = np.zeros((rows, cols), np.int32)
    bottom = min(top + rows, height)
    middle = luma[top:bottom].astype(np.int16)
    if width > 2 * _REACH:
        across = 2 * middle[:, _REACH:-_REACH] - middle[:, : -2 * _REACH] - middle[:, 2 * _REACH :]
        detail[: bottom - top, _REACH : width - _REACH] += np.square(across, dtype=np.int32)
    first, last = max(top, _REACH), min(bottom, height - _REACH)
    if last > first:
        above, below = (luma[first + by : last + by].astype(np.int16) for by in (-_REACH, _REACH))
        down = 2 * middle[first - top : last - top] - above - below
        detail[first - top : last - top, :width] += np.square(down, dtype=np.int32)
    return detail
