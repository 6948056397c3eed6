"""Batches cut on the training device: all pictures are in its memory, and a step's patches are made there.

A CPU cuts some thousand patches per second, a data-centre GPU learns from ten times as many. Here the CPU provides a
few random numbers per patch, and the device does the rest: it chooses positions, gathers windows, shrinks and enlarges
them by two matrix products, and turns them. The patches are those of `TrainingData.batch`, up to float32 rounding: same
positions, scale factors and turns, from the same numbers.

For random positions and pictures that are only shrunk; blur, noise and JPEG stay on the CPU, which has a codec.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.dataset import Patches, TrainingData, draw_of_step, drawn_scales, turned
from vdsr_trainer.data.items import HARDNESS_PX, Held, Item
from vdsr_trainer.data.lr_grid import CUBIC_REACH, cubic, lr_factors, lr_grid
from vdsr_trainer.data.sampling import running_sums
from vdsr_trainer.failures import is_shortage

logger = logging.getLogger(__name__)

_ROUNDING = 1.1
"""Sizes are rounded, so the true factor can be a little larger."""
_LARGEST_SHARE = 0.5
"""Share of the device's free memory that pictures may take; the network needs the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class DevicePatches:
    """One batch on a device; as `dataset.Patches`.

    Attributes:
        bicubic: (N, 1, P, P) float32, the network's input; 1 is full scale.
        target: (N, 1, P, P) float32, what the network should output.
        grid: (N, 2, 2) float32, from `lr_grid`; None if the loss does not need it.
    """

    bicubic: Tensor
    target: Tensor
    grid: Tensor | None = None


Batch = Patches | DevicePatches
"""Patches of one step, wherever they are."""


def resident_batches(
    data: TrainingData, config: TrainConfig, device: torch.device, notice: Callable[[str], None] = lambda _: None
) -> ResidentBatches | None:
    """Load the pictures of a run onto a GPU; None if the CPU is to cut the patches.

    The CPU does so if the device is not a CUDA GPU (others have no float64, in which positions are computed), if the
    pictures do not fit, if one was too large to be held whole, or if a patch needs what only a CPU does.

    Args:
        data: of the run.
        config: of the run.
        device: where training runs.
        notice: called with a message if the pictures do not fit.
    """
    plain = not (config.jpeg_share or config.blur_share or config.noise_share)
    if device.type != "cuda" or not plain or config.sampling != "random" or not data.holds_all_whole:
        return None
    # Memory that torch keeps for later counts as taken there, but is as good as free.
    free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if data.bytes_held <= _LARGEST_SHARE * free:
        try:
            return ResidentBatches(data, config, device)
        except (MemoryError, RuntimeError) as error:
            if not is_shortage(error):
                raise
            logger.warning("The pictures did not fit into the card's memory.", exc_info=error)
        # Only here, after the traceback and the tensors it holds are gone, can memory be released.
        torch.cuda.empty_cache()
    notice(
        f"The pictures ({data.bytes_held / 1e6:,.0f} MB) do not fit into the card's memory, so the processor cuts"
        " the patches, and the card may wait for them."
    )
    return None


class ResidentBatches:
    """Cuts batches on a device.

    Args:
        data: of the run, all in memory; its positions are random, its pictures only shrunk.
        config: of the run.
        device: where the pictures go; must support float64.
    """

    def __init__(self, data: TrainingData, config: TrainConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        pairs = data.everything()
        self._odds = _Odds.of([item for item, _ in pairs], device)
        bands = [held for _, group in pairs for held in group]
        self._bands = _Bands.of(bands, device)
        side = config.patch_px
        self._margin = int(np.ceil(2 * CUBIC_REACH * _ROUNDING * max(config.scale_max, *config.scales))) + 2
        turns = np.stack([turned(np.arange(side * side).reshape(side, side), turn).ravel() for turn in range(8)])
        self._turns = torch.from_numpy(turns).to(device)  # (8, P * P)

    @torch.no_grad()
    def batch(self, step: int) -> DevicePatches:
        """The patches of one step; see `TrainingData.batch`."""
        config, side = self._config, self._config.patch_px
        numbers = draw_of_step(config, step)
        draws = self._load(numbers)  # (N, draws) float64
        scales = self._load(drawn_scales(config, numbers))
        bands = self._odds.pick(draws[:, 0], draws[:, 1])
        tops, lefts = self._bands.places(bands, draws[:, -2 * config.hard_candidates :], side)
        window = self._bands.windows(bands, tops - self._margin, lefts - self._margin, side + 2 * self._margin)
        rows, columns = self._bands.sizes(bands)
        vertical = shrunk_and_enlarged(rows, scales, tops, side, self._margin)
        horizontal = shrunk_and_enlarged(columns, scales, lefts, side, self._margin)
        low = vertical @ window @ horizontal.mT  # (N, P, P)
        inside = slice(self._margin, self._margin + side)
        high = window[:, inside, inside] + self._bands.answers_at(bands, tops, lefts, scales, side)
        turn = (draws[:, 4] * 8).to(torch.int64)
        turns = self._turns[turn]
        sizes, firsts = torch.stack([rows, columns], dim=1), torch.stack([tops, lefts], dim=1)
        shape = (len(draws), 1, side, side)
        return DevicePatches(
            low.reshape(len(draws), -1).gather(1, turns).view(shape) / 255.0,
            high.reshape(len(draws), -1).gather(1, turns).view(shape) / 255.0,
            lr_grid(sizes, firsts, scales, turn, side) if config.consistency else None,
        )

    def _load(self, numbers: npt.NDArray[np.float64]) -> Tensor:
        tensor = torch.from_numpy(numbers)
        return (tensor.pin_memory() if self._device.type == "cuda" else tensor).to(self._device, non_blocking=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Odds:
    """Chooses the band a patch is cut from: each pixel is as likely as any other.

    Attributes:
        pixels: (items + 1,) float64, pixels before each item.
        shares: (items, bands) float64, running share of an item's bands; 2 beyond the last.
        first: (items,) int64, index of each item's first band.
        last: (items,) int64, index of its last one.
    """

    pixels: Tensor
    shares: Tensor
    first: Tensor
    last: Tensor

    @classmethod
    def of(cls, items: list[Item], device: torch.device) -> _Odds:
        counts = np.array([len(item.bands) for item in items])
        shares = np.full((len(items), counts.max()), 2.0)
        for i, item in enumerate(items):
            shares[i, : counts[i]] = item.running_shares
        pixels = running_sums(np.array([item.pixels for item in items]))
        first = np.cumsum(counts) - counts
        return cls(*(_on(device, each) for each in (pixels, shares, first, first + counts - 1)))

    def pick(self, where: Tensor, within: Tensor) -> Tensor:
        """Indices of bands, (N,) int64, from uniform random numbers, (N,) float64 each."""
        items = torch.searchsorted(self.pixels, where * self.pixels[-1], right=True) - 1
        items = items.clamp(0, len(self.first) - 1)
        passed = (self.shares[items] <= within[:, None]).sum(dim=1)
        return torch.minimum(self.first[items] + passed, self.last[items])


@dataclass(frozen=True, slots=True, eq=False)
class _Bands:
    """All pictures and their shrunk copies, one after the other.

    Attributes:
        pixels: flat uint8.
        starts: (bands,) int64, where each begins.
        heights: (bands,) int64.
        widths: (bands,) int64.
        hardness: flat float64, tables as in `items.Held`; empty if not needed.
        tables: (bands,) int64, where each table begins.
        answers: scale factor -> flat float16, a teacher's answers as in `items.Held`; empty without a teacher.
    """

    pixels: Tensor
    starts: Tensor
    heights: Tensor
    widths: Tensor
    hardness: Tensor
    tables: Tensor
    answers: dict[float, Tensor]

    @classmethod
    def of(cls, bands: list[Held], device: torch.device) -> _Bands:
        heights, widths = (np.array([held.source.luma.shape[axis] for held in bands]) for axis in (0, 1))
        sizes = heights * widths
        tables = [held.hardness for held in bands if held.hardness is not None]
        lengths = np.array([table.size for table in tables])
        scales = bands[0].answers  # a teacher has answered for all bands, which are whole, or for none
        return cls(
            _on(device, np.concatenate([held.source.luma.ravel() for held in bands])),
            _on(device, np.cumsum(sizes) - sizes),
            _on(device, heights),
            _on(device, widths),
            _on(device, np.concatenate([table.ravel() for table in tables]) if tables else np.zeros(0)),
            _on(device, np.cumsum(lengths) - lengths),
            {scale: _on(device, np.concatenate([held.answers[scale].ravel() for held in bands])) for scale in scales},
        )

    def answers_at(self, bands: Tensor, tops: Tensor, lefts: Tensor, scales: Tensor, side: int) -> Tensor | float:
        """A teacher's answers for patches, (N, side, side) float32 on the pictures' scale; 0 where it has none."""
        if not self.answers:
            return 0.0
        along = torch.arange(side, device=bands.device)
        rows, columns = tops[:, None] + along, lefts[:, None] + along
        places = self.starts[bands][:, None, None] + rows[:, :, None] * self.widths[bands][:, None, None]
        places = places + columns[:, None, :]
        said = torch.zeros(places.shape, device=bands.device)
        for scale, answers in self.answers.items():
            said = torch.where((scales == scale)[:, None, None], answers[places].float(), said)
        return said

    def sizes(self, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns of bands, (N,) int64 each."""
        return self.heights[bands], self.widths[bands]

    def places(self, bands: Tensor, draws: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Top and left of each patch, (N,) int64: the hardest of some random positions.

        Args:
            bands: (N,) int64.
            draws: (N, 2 * candidates) float64 uniform numbers, tops first.
            side: of a patch.
        """
        rows, columns = (size[:, None] for size in self.sizes(bands))
        tops, lefts = draws.chunk(2, dim=1)
        tops = (tops * (rows - side + 1)).to(torch.int64)
        lefts = (lefts * (columns - side + 1)).to(torch.int64)
        if tops.shape[1] == 1:
            return tops[:, 0], lefts[:, 0]
        best = self._hardness(bands[:, None], tops, lefts, side).argmax(dim=1, keepdim=True)
        return tops.gather(1, best)[:, 0], lefts.gather(1, best)[:, 0]

    def _hardness(self, bands: Tensor, tops: Tensor, lefts: Tensor, side: int) -> Tensor:
        """As `Held.hardness_of`, for (N, candidates) places."""
        block, half = HARDNESS_PX, HARDNESS_PX // 2
        rows, columns = (-(-size[bands] // block) for size in (self.heights, self.widths))
        bottom = torch.minimum((tops + side + half) // block, rows)
        right = torch.minimum((lefts + side + half) // block, columns)
        top, left = torch.minimum((tops + half) // block, bottom - 1), torch.minimum((lefts + half) // block, right - 1)

        def at(row: Tensor, column: Tensor) -> Tensor:
            return self.hardness[self.tables[bands] + row * (columns + 1) + column]

        sums = at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left)
        return sums / ((bottom - top) * (right - left))

    def windows(self, bands: Tensor, tops: Tensor, lefts: Tensor, side: int) -> Tensor:
        """Squares of bands, mirrored at the edges, (N, side, side) float32 on the scale of the pictures."""
        rows, columns = self.sizes(bands)
        along = torch.arange(side, device=bands.device)
        row = _mirrored(tops[:, None] + along, rows[:, None])
        column = _mirrored(lefts[:, None] + along, columns[:, None])
        places = self.starts[bands][:, None, None] + row[:, :, None] * columns[:, None, None] + column[:, None, :]
        return self.pixels[places].to(torch.float32)


def shrunk_and_enlarged(sizes: Tensor, scales: Tensor, firsts: Tensor, side: int, margin: int) -> Tensor:
    """Matrices that shrink and enlarge windows of axes, as if the axes had no ends.

    Args:
        sizes: (N,) int64, samples of each axis.
        scales: (N,) float64, at least 1.
        firsts: (N,) int64, first sample of each window.
        side: samples of a window.
        margin: samples before and after it that are read.

    Returns:
        (N, side, side + 2 * margin) float32: from the samples starting at `firsts - margin` to the window's.
    """
    factors = lr_factors(sizes, scales)[:, None]
    centres = (firsts[:, None] + torch.arange(side, device=sizes.device) + 0.5) / factors - 0.5
    first = torch.floor(centres[:, :1] - CUBIC_REACH + 1e-9)  # LR sample
    lr = torch.arange(side + 2 * CUBIC_REACH + 2, device=sizes.device)
    up = cubic(((centres - first).to(torch.float32))[..., None] - lr)  # (N, side, LR)
    hr_centres = (first + lr + 0.5) * factors - 0.5 - (firsts[:, None] - margin)
    distances = hr_centres.to(torch.float32)[..., None] - torch.arange(side + 2 * margin, device=sizes.device)
    down = cubic(distances / factors.to(torch.float32)[..., None])  # (N, LR, HR)
    # LR samples that no window reads may lie beyond the samples there are: their weights sum to 0, or only in part.
    sums = down.sum(dim=2, keepdim=True)
    down = down / torch.where(sums.abs() < 0.5, torch.ones_like(sums), sums)
    return (up / up.sum(dim=2, keepdim=True)) @ down


def _mirrored(indices: Tensor, size: Tensor) -> Tensor:
    folded = torch.remainder(indices, 2 * size)
    return torch.where(folded < size, folded, 2 * size - 1 - folded)


def _on(device: torch.device, array: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
