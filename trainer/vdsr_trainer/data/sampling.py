"""Which patches a step takes: a function of the seed, the step, the pictures and the memory they may take.

If all pictures fit into memory, a step may take any of them. Otherwise it takes from a *window* of a seeded order of
pictures, which advances by a fixed number of patches for each megapixel to be decoded; so decoding keeps up, and a step
is repeatable without any stored state.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.items import Item
from vdsr_trainer.data.split import epoch_scales

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

PATCHES_PER_MEGAPIXEL = 100
"""Patches cut per decoded megapixel. Decoding takes one core 0.05 s per megapixel (a JPEG with two shrunk copies,
measured). Two cores train on 150 patches per second, and spend 4 % of their time on decoding; a GPU that takes 5,000
needs between two and three cores for it."""
_WINDOW_SHARE = 0.7
"""Share of the memory that a random window fills; the rest is for what comes next and what was just used."""
_GROUP_SHARE = 0.4
"""The same for a group of the grid; the next group is in memory as well."""

_ORDER, _GROUP = 1, 2
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Pick:
    """Where one patch is cut.

    Attributes:
        item: index of the item.
        band: index of the band within it.
        place: top and left within the whole copy; None for anywhere in the band.
        scale: scale factor; None if it is drawn.
    """

    item: int
    band: int
    place: tuple[int, int] | None = None
    scale: float | None = None


class Order(Protocol):
    """Which patches come when."""

    def picks(self, step: int, uniforms: _Floats) -> list[Pick]:
        """One pick for each row of `uniforms`, (N, 2) in [0, 1)."""

    def wanted(self, step: int) -> tuple[tuple[int, ...], Callable[[], Sequence[int]]]:
        """A key that changes when the items needed change, and a function that lists them, soonest first."""


def make_order(items: Sequence[Item], config: TrainConfig, budget_bytes: int) -> Order:
    """The order that `config.sampling` asks for."""
    if config.sampling == "grid":
        return GridOrder(items, config, budget_bytes)
    return RandomOrder(items, config, budget_bytes)


class RandomOrder:
    """Random patches; each pixel of the pictures in the window is as likely as any other."""

    def __init__(self, items: Sequence[Item], config: TrainConfig, budget_bytes: int) -> None:
        self._seed, self._batch, self._budget = config.seed, config.batch, budget_bytes
        self._pixels = np.array([item.pixels for item in items], dtype=np.float64)
        self._bytes = np.array([item.bytes for item in items], dtype=np.float64)
        self._decoded = np.array([item.bands[0].pixels for item in items], dtype=np.float64)
        self._bands = [item.running_shares for item in items]
        self._all = self._bytes.sum() <= budget_bytes
        self._rounds = _Cache(self._make_round, 2)

    def picks(self, step: int, uniforms: _Floats) -> list[Pick]:
        """See `Order`."""
        number, first, last = self._window(step)
        order = self._rounds.get(number)
        low, high = order.pixels[first], order.pixels[last]
        places = np.searchsorted(order.pixels, low + uniforms[:, 0] * (high - low), side="right") - 1
        picked = order.items[np.clip(places, first, last - 1)].tolist()
        return [Pick(item, self._band(item, where)) for item, where in zip(picked, uniforms[:, 1], strict=True)]

    def wanted(self, step: int) -> tuple[tuple[int, ...], Callable[[], Sequence[int]]]:
        """See `Order`."""
        number, first, last = self._window(step)

        def items() -> Sequence[int]:
            if self._all:
                return ()
            order = self._rounds.get(number)
            end = order.fits(first, self._budget)
            return [int(item) for item in dict.fromkeys(order.items[first : max(last, end)].tolist())]

        return (number, first, last), items

    def _band(self, item: int, where: float) -> int:
        shares = self._bands[item]
        return min(int(np.searchsorted(shares, where, side="right")), len(shares) - 1)

    def _window(self, step: int) -> tuple[int, int, int]:
        """Round, first position, and position after the last, of the items that a step may take."""
        if self._all:
            return 0, 0, len(self._bytes)
        clock = step * self._batch / PATCHES_PER_MEGAPIXEL * 1e6
        number, past = divmod(clock, float(self._decoded.sum()))
        order = self._rounds.get(int(number))
        first = int(np.searchsorted(order.decoded, past, side="right")) - 1
        return int(number), first, max(first + 1, order.fits(first, int(_WINDOW_SHARE * self._budget)))

    def _make_round(self, number: int) -> _Round:
        count = len(self._bytes)
        if self._all:
            items = np.arange(count)
        else:  # followed by the next round, into which the window may extend
            rngs = [np.random.default_rng([self._seed, _ORDER, number + i]) for i in range(2)]
            items = np.concatenate([rng.permutation(count) for rng in rngs])
        sums = (running_sums(values[items]) for values in (self._pixels, self._bytes, self._decoded))
        return _Round(items, *sums)


@dataclass(frozen=True, slots=True, eq=False)
class _Round:
    """Items in the order of a round, with sums up to each position."""

    items: _Ints
    pixels: _Floats
    bytes: _Floats
    decoded: _Floats

    def fits(self, first: int, budget_bytes: int) -> int:
        """Position after the last of those that fit into the budget together from `first` on."""
        return int(np.searchsorted(self.bytes, self.bytes[first] + budget_bytes, side="right")) - 1


class GridOrder:
    """Every patch of the non-overlapping grid once per epoch at each scale factor, in a new order each time.

    What does not fill a patch at the right and bottom edges is left out. If the pictures do not fit into memory, they
    are split into groups that do, other groups each epoch, and the groups come one after the other.
    """

    def __init__(self, items: Sequence[Item], config: TrainConfig, budget_bytes: int) -> None:
        self._seed, self._batch, self._side = config.seed, config.batch, config.patch_px
        self._items = items
        self._scales: Sequence[float | None] = epoch_scales(config)
        self._patches = np.array([sum(self._in_bands(item)) * len(self._scales) for item in items])
        self._bytes = np.array([item.bytes for item in items])
        self._all = int(self._bytes.sum()) <= budget_bytes
        self._budget = budget_bytes
        self._epochs = _Cache(self._make_epoch, 2)
        self._orders = _Cache(self._make_order, 3)

    @property
    def patches(self) -> int:
        """Patches per epoch."""
        return int(self._patches.sum())

    def picks(self, step: int, uniforms: _Floats) -> list[Pick]:
        """See `Order`."""
        picks = []
        for at in range(step * self._batch, step * self._batch + len(uniforms)):
            epoch, place = divmod(at, self.patches)
            groups = self._epochs.get(epoch)
            number = int(np.searchsorted(groups.starts, place, side="right")) - 1
            patch = int(self._orders.get((epoch, number))[place - groups.starts[number]])
            sums = groups.sums[number]
            position = int(np.searchsorted(sums, patch, side="right")) - 1
            picks.append(self._pick(int(groups.items[number][position]), patch - int(sums[position])))
        return picks

    def wanted(self, step: int) -> tuple[tuple[int, ...], Callable[[], Sequence[int]]]:
        """See `Order`."""
        epoch, place = divmod(step * self._batch, self.patches)
        number = int(np.searchsorted(self._epochs.get(epoch).starts, place, side="right")) - 1

        def items() -> Sequence[int]:
            if self._all:
                return ()
            groups = self._epochs.get(epoch).items
            after = groups[number + 1] if number + 1 < len(groups) else self._epochs.get(epoch + 1).items[0]
            return list(dict.fromkeys([*groups[number].tolist(), *after.tolist()]))

        return (epoch, number), items

    def _in_bands(self, item: Item) -> list[int]:
        return [((band.last - band.first) // self._side) * (band.width // self._side) for band in item.bands]

    def _pick(self, number: int, patch: int) -> Pick:
        patch, which = divmod(patch, len(self._scales))
        for band_number, (band, count) in enumerate(
            zip(self._items[number].bands, self._in_bands(self._items[number]), strict=True)
        ):
            if patch < count:
                row, column = divmod(patch, band.width // self._side)
                place = (band.first + row * self._side, column * self._side)
                return Pick(number, band_number, place, self._scales[which])
            patch -= count
        raise IndexError(patch)

    def _make_epoch(self, epoch: int) -> _Groups:
        count = len(self._items)
        if self._all:
            members = [np.arange(count)]
        else:
            order = np.random.default_rng([self._seed, _ORDER, epoch]).permutation(count)
            members = _packed(order, self._bytes, int(_GROUP_SHARE * self._budget))
        sums = [running_sums(self._patches[those]).astype(np.int64) for those in members]
        starts = running_sums(np.array([each[-1] for each in sums])).astype(np.int64)
        return _Groups(members, sums, starts[:-1])

    def _make_order(self, key: tuple[int, int]) -> _Ints:
        epoch, number = key
        count = int(self._epochs.get(epoch).sums[number][-1])
        return np.random.default_rng([self._seed, _GROUP, epoch, number]).permutation(count)


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """The groups of an epoch.

    Attributes:
        items: indices of the items of each group.
        sums: for each group, patches before each of its items, and in total.
        starts: patches of the epoch before each group.
    """

    items: list[_Ints]
    sums: list[_Ints]
    starts: _Ints


def _packed(order: _Ints, sizes: _Ints, most: int) -> list[_Ints]:
    groups: list[list[int]] = [[]]
    held = 0
    for number in order.tolist():
        if groups[-1] and held + sizes[number] > most:
            groups.append([])
            held = 0
        groups[-1].append(number)
        held += int(sizes[number])
    return [np.array(group) for group in groups]


def running_sums(values: npt.NDArray[np.floating | np.integer]) -> _Floats:
    """0 and the running sums, one longer than `values`."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


_Key = TypeVar("_Key")


class _Cache(Generic[_Key, _Value]):
    """The last few values of a function, each computed once, whatever the number of threads that ask."""

    def __init__(self, make: Callable[[_Key], _Value], size: int) -> None:
        self._make = make
        self._size = size
        self._values: OrderedDict[_Key, _Value] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: _Key) -> _Value:
        with self._lock:
            if key not in self._values:
                self._values[key] = self._make(key)
                while len(self._values) > self._size:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]
