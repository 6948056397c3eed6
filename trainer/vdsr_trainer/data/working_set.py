"""Decoded pictures in bounded memory: what is needed soon is fetched in threads, what is not is evicted first."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from vdsr_app.control import CancelToken, ProgressCallback
from vdsr_app.errors import Cancelled, TrainingError
from vdsr_trainer.config import TrainConfig
from vdsr_trainer.data.degrade import Luma8
from vdsr_trainer.data.items import Answers, Held, Item, load
from vdsr_trainer.data.pictures import in_parallel, workers

logger = logging.getLogger(__name__)


class WorkingSet:
    """The items in memory. Any thread may request any item; what is not there is decoded.

    An item larger than the whole budget is held alone. What is being decoded comes on top of the budget.

    Args:
        items: all items.
        config: of the run.
        budget_bytes: most memory that is held.

    Attributes:
        items: all items.
    """

    def __init__(self, items: Sequence[Item], config: TrainConfig, budget_bytes: int) -> None:
        self.items = items
        self._config = config
        self._budget = budget_bytes
        self._held: OrderedDict[int, tuple[Held, ...]] = OrderedDict()
        self._bytes = 0
        self._loading: set[int] = set()
        self._wanted: dict[int, None] = {}
        self._to_fetch: list[int] = []
        self._teacher: Callable[[Luma8], Answers] | None = None
        self._closing = CancelToken()
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(workers(), thread_name_prefix="pictures")
        self._fetching = 0

    @property
    def bytes_held(self) -> int:
        """Memory that pictures take now, in bytes."""
        return self._bytes

    @property
    def holds_all(self) -> bool:
        """Whether every item is in memory."""
        return len(self._held) == len(self.items)

    def load_all(self, on_progress: ProgressCallback, token: CancelToken) -> None:
        """Decode every item; if they fit into the budget, none is decoded again.

        Raises:
            TrainingError: a file is gone or has changed.
            Cancelled: by the token.
        """
        on_progress(0, len(self.items))
        for done, _ in enumerate(in_parallel(self.get, range(len(self.items)), token)):
            on_progress(done + 1, len(self.items))

    def get(self, number: int) -> tuple[Held, ...]:
        """The bands of an item.

        Raises:
            TrainingError: the file is gone or has changed.
        """
        with self._changed:
            while number in self._loading:
                self._changed.wait()
            held = self._held.get(number)
            if held is not None:
                self._held.move_to_end(number)
                return held
            self._loading.add(number)
        return self._load(number)

    def want(self, numbers: Sequence[int]) -> None:
        """Announce what will be requested, soonest first; it is fetched ahead, and kept. All must fit the budget."""
        with self._changed:
            self._wanted = dict.fromkeys(numbers)
            self._to_fetch = [number for number in reversed(numbers) if number not in self._held]
            self._fetch_more()

    def set_teacher(self, teacher: Callable[[Luma8], Answers]) -> None:
        """Ask a teacher about each picture from now on; what is held is dropped."""
        with self._changed:
            self._to_fetch = []
            while self._loading:
                self._changed.wait()
            self._teacher = teacher
            self._held.clear()
            self._bytes = 0

    def forget_teacher(self) -> None:
        """Stop asking, once everything is held: a teacher takes memory, too."""
        with self._changed:
            self._teacher = None

    def close(self) -> None:
        """Release everything; decoding in progress is abandoned."""
        self._closing.cancel()
        with self._changed:
            self._to_fetch = []
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._changed:
            self._held.clear()
            self._bytes = 0

    def _load(self, number: int) -> tuple[Held, ...]:
        """Decode an item that is marked as loading."""
        held = None
        try:
            held = load(self.items[number], self._config, self._closing, self._teacher)
            return held
        finally:
            with self._changed:
                self._loading.discard(number)
                if held is not None and not self._closing.cancelled:
                    self._insert(number, held)
                self._fetch_more()
                self._changed.notify_all()

    def _insert(self, number: int, held: tuple[Held, ...]) -> None:
        needed = self.items[number].bytes
        while self._held and self._bytes + needed > self._budget:
            oldest = next((n for n in self._held if n not in self._wanted), next(iter(self._held)))
            del self._held[oldest]
            self._bytes -= self.items[oldest].bytes
        self._held[number] = held
        self._bytes += needed

    def _fetch_more(self) -> None:
        """Give the threads something to do; call it with the lock held."""
        while self._to_fetch and self._fetching < workers() and not self._closing.cancelled:
            number = self._to_fetch.pop()
            if number in self._held or number in self._loading:
                continue
            self._loading.add(number)
            self._fetching += 1
            self._pool.submit(self._fetch, number)

    def _fetch(self, number: int) -> None:
        try:
            self._load(number)
        except (TrainingError, Cancelled) as error:
            # Whoever needs the item will get the error; it may never be needed, or only after the disk is back.
            logger.warning("Fetching ahead failed: %s", error)
        finally:
            with self._changed:
                self._fetching -= 1
                self._fetch_more()
