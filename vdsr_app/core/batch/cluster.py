"""Processes a batch's pictures on an existing Dask cluster. Nothing else in this package opens network connections.

Paths are sent, pixels are not: all machines must see the same folders, which is checked for the output folder at the
start. A model is sent to each machine once, as the content of its file together with its hash. A worker writes each
result next to its final path under a hidden name; only this process, which keeps the journal, renames it. So a worker
presumed lost that finishes after all cannot publish a result twice. A file in the output folder, the *lease*, shows
that this process is still waiting: workers check it once a second and stop when it is gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vdsr_app import __version__
from vdsr_app.control import POLL_S, CancelToken, PauseGate
from vdsr_app.core.atomic import (
    TEMPORARY_PREFIX,
    TEMPORARY_SUFFIX,
    hold,
    remove_leftovers,
    replace_file,
    require_name,
    save_error,
)
from vdsr_app.core.batch.worker import Outcome, Task, Weights, check_worker, enlarge
from vdsr_app.core.formats import format_for_path
from vdsr_app.core.models import find_model
from vdsr_app.core.pipeline import (
    FileDone,
    FileEvent,
    FileFailed,
    FileJob,
    FileNotice,
    FileWritten,
    NoRoomCallback,
    PipelineReport,
    Stage,
)
from vdsr_app.errors import DeviceError, SaveError, UsageError, VdsrError
from vdsr_app.paths import how_to_add

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

_CONNECT_S = 8.0
_AHEAD = 2
"""Pictures handed to the cluster per worker thread: one in progress and one queued, so that no worker runs idle."""


@dataclass(slots=True)
class _Running:
    """A picture handed to the cluster."""

    job: FileJob
    staged: Path


class Cluster:
    """A `DoFiles` that hands pictures to a Dask scheduler."""

    def __init__(self, address: str, folder: Path) -> None:
        """Store the address; connect to nothing yet.

        Args:
            address: of the scheduler, such as "tcp://scheduler:8786".
            folder: of the results; all machines must see it.

        Raises:
            DeviceError: Dask is not installed.
        """
        if importlib.util.find_spec("distributed") is None:
            raise DeviceError("Dask is not installed.", hint=how_to_add("distributed"))
        self._address = address
        self._folder = folder.absolute()
        self._key = secrets.token_hex(6)
        self._lease = self._folder / f"{TEMPORARY_PREFIX}{self._key}{TEMPORARY_SUFFIX}"

    def __call__(
        self,
        jobs: Iterable[FileJob],
        on_event: Callable[[FileEvent], None],
        token: CancelToken,
        *,
        pause: PauseGate,
        on_no_room: NoRoomCallback,
    ) -> PipelineReport:
        """See `core.pipeline.run_files`.

        Raises:
            DeviceError: the scheduler cannot be reached, or its workers cannot be used.
        """
        with self._connected() as client, self._leased():
            self._check(client)
            return _Run(client, self._lease, jobs, on_event, CancelToken(token), pause, on_no_room).all()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Client]:
        from distributed import Client

        try:
            client = Client(self._address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise DeviceError(
                f"The scheduler {self._address} cannot be reached.", hint="Check the address, and that it runs."
            ) from error
        try:
            yield client
        finally:
            with contextlib.suppress(TimeoutError, OSError):
                client.close(timeout=5)

    @contextlib.contextmanager
    def _leased(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._lease.open("x", encoding="ascii")
        except OSError as error:
            raise save_error(self._folder, error) from error
        with file:
            hold(file)  # marks it as in use, not a leftover of an ended process
            file.write(self._key)
            file.flush()
            try:
                yield
            finally:
                self._lease.unlink(missing_ok=True)

    def _check(self, client: Client) -> None:
        """Reject a cluster whose workers run another version or do not see the folder."""
        try:
            found: dict[str, str] = client.run(check_worker, str(self._lease), self._key, __version__)
        except Exception as error:  # whatever a worker without this program raises
            raise DeviceError(
                f"The workers of {self._address} cannot run this program ({type(error).__name__}: {error}).",
                hint=f"Install VDSR Studio {__version__} on each of them.",
            ) from error
        if not found:
            raise DeviceError(
                f"The scheduler {self._address} has no workers.", hint="Start some with: dask worker ADDRESS"
            )
        for worker, complaint in found.items():
            if complaint:
                raise DeviceError(f"The worker {worker} cannot be used: {complaint}", hint="Fix it or stop it.")


class _Run:
    """One run: a thread hands out pictures, the calling thread collects the results."""

    def __init__(
        self,
        client: Client,
        lease: Path,
        jobs: Iterable[FileJob],
        on_event: Callable[[FileEvent], None],
        token: CancelToken,
        pause: PauseGate,
        on_no_room: NoRoomCallback,
    ) -> None:
        self._client = client
        self._lease = lease
        self._jobs = iter(jobs)
        self._on_event = on_event
        self._token = token
        self._pause = pause
        self._on_no_room = on_no_room
        self._ended: queue.SimpleQueue[Future | FileFailed] = queue.SimpleQueue()
        self._running: dict[Future, _Running] = {}
        self._lock = threading.Lock()
        self._all_submitted = False
        self._crash: BaseException | None = None
        self._weights: dict[str, Any] = {}
        self._folders: set[Path] = set()  # of results

    def all(self) -> PipelineReport:
        started, network, done, failed = time.perf_counter(), 0.0, 0, 0
        thread = threading.Thread(target=self._submit_jobs, name="cluster-jobs")
        thread.start()
        try:
            while (ended := self._next_ended()) is not None:
                event = ended if isinstance(ended, FileFailed) else self._accept_result(ended)
                if event is None:
                    continue
                if isinstance(event, FileDone):
                    done, network = done + 1, network + event.seconds.network
                else:
                    failed += 1
                self._on_event(event)
        finally:
            self._token.cancel()
            thread.join()
            self._give_up()
            if self._crash is not None:
                raise self._crash
        wall = time.perf_counter() - started
        threads = max(1, self._threads())
        return PipelineReport(done, failed, wall, network / threads)

    def _submit_jobs(self) -> None:
        """Body of the thread that fetches pictures, which may block."""
        try:
            while True:
                self._pause.wait(self._token)
                with self._lock:
                    running = len(self._running)
                if running >= _AHEAD * max(1, self._threads()):
                    threading.Event().wait(POLL_S)
                    continue
                job = next(self._jobs, None)
                if job is None:
                    break
                self._submit(job)
        except BaseException as error:  # re-raised by the calling thread, which raises a cancel anyway
            if not self._token.cancelled:
                self._crash = error
                self._token.cancel()
        self._all_submitted = True

    def _submit(self, job: FileJob) -> None:
        try:
            weights = self._weights_of(job.settings.model)
            job.output.parent.mkdir(parents=True, exist_ok=True)
            require_name(job.output)
        except (VdsrError, OSError) as error:
            reported = error if isinstance(error, VdsrError) else save_error(job.output.parent, error)
            self._ended.put(FileFailed(job, reported))  # reported, like everything, by the calling thread
            return
        name = f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"
        staged = job.output.parent / name
        target = job.settings.save.format or format_for_path(job.output)
        save = replace(job.settings.save, format=target)
        self._folders.add(staged.parent)
        there = replace(job, output=staged, settings=replace(job.settings, save=save, device="auto"))
        task = Task(there, str(self._lease))
        # A fresh key each time: Dask must not reuse an earlier result.
        future = self._client.submit(enlarge, task, weights, key=f"vdsr-{name}", pure=False)
        with self._lock:
            self._running[future] = _Running(job, staged)
        future.add_done_callback(self._ended.put)

    def _weights_of(self, model: str) -> Any:
        """The content of a weight file on the cluster, sent on first use."""
        if model not in self._weights:
            content = find_model(model).path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            (self._weights[model],) = self._client.scatter([Weights(digest, content)], broadcast=True, hash=False)
        return self._weights[model]

    def _next_ended(self) -> Future | FileFailed | None:
        """The next picture that has ended or could not be started; None when none is left.

        Raises:
            Cancelled: through the token.
            DeviceError: the connection to the scheduler is lost.
        """
        while True:
            self._token.raise_if_cancelled()
            try:
                return self._ended.get(timeout=POLL_S)
            except queue.Empty:
                pass
            if self._client.status not in ("running", "connecting"):
                raise DeviceError("The cluster can no longer be reached.", hint="Start the batch with --resume.")
            with self._lock:
                if self._all_submitted and not self._running and self._ended.empty():
                    return None

    def _accept_result(self, future: Future) -> FileDone | FileFailed | None:
        """Rename a result into place; None if the picture has to be done again."""
        with self._lock:
            running = self._running.pop(future, None)
        if running is None:
            return None
        job = running.job
        if future.status != "finished":
            error = future.exception() if future.status == "error" else None
            logger.warning("%s failed at the cluster: %s", job.source, error)
            if future.status in ("lost", "cancelled"):
                raise DeviceError("The cluster can no longer be reached.", hint="Start the batch with --resume.")
            what = "Its worker kept failing." if "Killed" in type(error).__name__ else f"Its worker failed: {error}."
            return FileFailed(job, VdsrError(what, path=job.source, hint="Try it by itself on one machine."))
        outcome: Outcome = future.result()
        if outcome.error is None:
            self._on_event(FileWritten(job, running.staged))
            try:
                replace_file(running.staged, job.output)
            except SaveError as error:
                return FileFailed(job, error)
            for text in outcome.notes:
                self._on_event(FileNotice(job, text))
            assert outcome.done is not None
            return replace(outcome.done, job=job)
        if outcome.no_room:
            full = outcome.error if isinstance(outcome.error, SaveError) else SaveError(outcome.error.what)
            self._on_no_room(job, Stage.READ, full)  # the worker has given it up, so it starts over
            self._submit(job)
            return None
        outcome.error.path = str(job.source) if outcome.error.path == str(running.staged) else outcome.error.path
        return FileFailed(job, outcome.error)

    def _give_up(self) -> None:
        """Cancel what the cluster still has, and remove what workers killed while writing left behind.

        Workers still alive stop when they see that the lease is gone.
        """
        with self._lock:
            left, self._running = dict(self._running), {}
        if left:
            with contextlib.suppress(Exception):  # the cluster may be out of reach
                self._client.cancel(list(left), force=True)
        for running in left.values():
            running.staged.unlink(missing_ok=True)
        for folder in self._folders:
            remove_leftovers(folder)

    def _threads(self) -> int:
        try:
            return sum(self._client.nthreads().values())
        except Exception:  # the connection is lost; `_next_ended` reports it
            return 1


def check_address(address: str) -> None:
    """Reject a string that is not a scheduler address.

    Raises:
        UsageError: it is not one.
    """
    scheme, separator, place = address.partition("://")
    if not separator or scheme not in ("tcp", "tls", "ucx", "ws", "wss") or ":" not in place:
        raise UsageError(f"'{address}' is not the address of a scheduler.", hint="It looks like tcp://scheduler:8786.")
