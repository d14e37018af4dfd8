"""SQLite with one writer at a time, whose jobs share commits, and one reader.

Rules:
- A job is a whole transaction as one function. It runs to its end even if its caller is cancelled,
  and returns only after COMMIT, which reaches the disk (`synchronous=FULL`).
- Waiting jobs share one COMMIT, each within its own savepoint: one that fails affects no other.
- The writer is a thread. Once many jobs wait, the writer process runs the portable ones
  (`writer_process`), so that the event loop has a processor of its own. The two never write at the
  same time.
- Listeners get each announcement of a job once, after COMMIT and before the job's caller goes on,
  in the order of the jobs. Announcements of other processes are read from the table `changes`.
- A reader's function only reads. It sees every commit that had returned before it was called.
- A fault of the machine (a full disk, a damaged file) is a `StoreUnavailableError`, for writes and
  reads alike. It is logged here, at most once a second; callers need not log it.
- After a commit, callers are answered before anything is logged, and a few at a time, so that the
  event loop reads its sockets meanwhile. The next batch is committed meanwhile too.
- SQL stays plain: `BEGIN IMMEDIATE`, savepoints and pragmas are used in this folder only.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite
import orjson
import structlog

from scopegate.runtime.supervisor import supervise
from scopegate.store.errors import (
    StoreBusyError,
    StoreError,
    StoreUnavailableError,
    fault_of,
    unusable,
)
from scopegate.store.files import connect, lock, prepare
from scopegate.store.migrating import Check, Migrations
from scopegate.store.transactions import (
    AnnouncedT,
    Announcement,
    Change,
    Job,
    PortableJob,
    Reading,
    Snapshot,
    T,
    WrittenJob,
    immediate,
    write_batch,
)
from scopegate.store.writer_process import LostError, WriterProcess

MAX_BATCH = 256
"""Jobs that share one COMMIT at most; the others wait for the next."""
ANSWERED_TOGETHER = 16
"""Callers that go on before the event loop reads its sockets again."""
MAX_WAITING = 10_000
"""Jobs that may wait; a further one is refused with `StoreBusyError`."""
MANY_WAITING = 16
"""Waiting jobs at which the process is started that runs portable ones."""
MAX_PROCESS_BATCH = 32
"""Jobs that share one COMMIT of the process at most, while the event loop goes on with others."""
MAX_IN_FLIGHT = 2
"""Batches that are given to the process at once, so that it need not wait for the event loop."""
RETRY_SECONDS = 0.5
"""Seconds until it is asked again whether a batch was committed."""
RESTART_SECONDS = 60.0
"""Seconds until a process that has ended, or could not start, is replaced."""
POLL = 0.25
"""Seconds between two checks for changes by other processes."""
COMPLAINT_SECONDS = 1.0
"""Seconds between two log lines about faults of the machine."""


log = structlog.get_logger("scopegate.store")


class _Thread(aiosqlite.Connection):
    """A connection with a thread of its own, on which whole functions run.

    aiosqlite's public methods queue single statements, so another task's statements could come
    between them, into an open transaction.
    """

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        result: T = await self._execute(  # type: ignore[no-untyped-call]
            lambda: function(self._conn)
        )
        return result


class _Waiting(WrittenJob):
    __slots__ = ("future",)

    def __init__(self, job: Job[Any], future: asyncio.Future[Any]) -> None:
        super().__init__(job)
        self.future = future


class _InFlight(NamedTuple):
    batch: list[_Waiting]
    process: WriterProcess | None
    committing: asyncio.Task[Sequence[Change] | Exception]


class Store:
    """The gateway's access to its database."""

    def __init__(
        self, path: Path, check: Check | None = None, plugins: Migrations | None = None
    ) -> None:
        """`check` and `plugins` are as for `migrate`."""
        self.path = path
        self._plugins = plugins or {}
        self._check = check
        self._writer = _Thread(lambda: connect(path), iter_chunk_size=64)
        self._reader = _Thread(lambda: connect(path, read_only=True), iter_chunk_size=64)
        self._waiting: deque[_Waiting] = deque()
        self._work: asyncio.Task[None] | None = None
        self._listeners: dict[str, list[Callable[[Any], None]]] = {}
        self._kinds: dict[str, type[Announcement]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._lock: int | None = None
        self._uses_process = False
        self._process: WriterProcess | None = None
        self._starting: asyncio.Task[None] | None = None
        self._start_again_at = 0.0
        self._seen_version = 0
        self._seen_change = 0
        self._complained_at = -COMPLAINT_SECONDS
        self._unsaid = 0
        """Faults of the machine since the last log line about one."""

    async def open(self) -> None:
        """Open and migrate the database. Raises `StoreError` if it cannot be used."""
        try:
            # aiosqlite leaves a thread behind if it cannot open; so that is tried without it first.
            # The lock comes first, so that no database is migrated while a gateway serves it.
            loop = asyncio.get_running_loop()
            self._lock = await loop.run_in_executor(None, lock, self.path)
            await loop.run_in_executor(None, prepare, self.path, self._check, self._plugins)
            await self._writer
            await self._reader
            self._seen_change = await self.read(_last_change)
        except (sqlite3.Error, OSError) as problem:
            await self.close()
            raise unusable(self.path, problem) from problem
        except BaseException:
            await self.close()
            raise
        self._poller = supervise("changes by other processes", self._poll)

    async def close(self) -> None:
        """Finish the waiting jobs, and close the database."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)
        while self._work is not None:
            await asyncio.wait([self._work])
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._process is not None:
            await self._process.close()
        for thread in (self._reader, self._writer):
            with contextlib.suppress(sqlite3.Error):  # nothing is lost: the WAL has every commit
                await thread.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def use_process(self) -> None:
        """Let a process of its own run portable jobs once many jobs wait.

        Not with a single processor, which it would only have to share, and not on Windows.
        """
        self._uses_process = self._lock is not None and _processors() > 1

    def listen(self, kind: type[AnnouncedT], listener: Callable[[AnnouncedT], None]) -> None:
        """Call `listener` with each announcement of a kind, made here or by another process.

        It is called after COMMIT, in the order of the jobs, and of the announcements within a job.
        """
        self._kinds[kind.kind] = kind
        self._listeners.setdefault(kind.kind, []).append(listener)

    async def write(self, job: Job[T]) -> T:
        """Run a job in a transaction, and return its result after COMMIT.

        Raises what the job raised, in which case nothing was changed, or `StoreError`: for a fault
        of the machine `StoreUnavailableError`. The job goes on if the caller is cancelled.
        """
        if len(self._waiting) >= MAX_WAITING:
            fault = StoreBusyError("too many writes are waiting")
            self._complain(fault)
            raise fault
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Waiting(job, future))
        if self._work is None:
            self._work = loop.create_task(self._write_all())
        return await future

    async def read(self, job: Reading[T]) -> T:
        """Run a function that only reads, on one snapshot, and return its result.

        Raises `StoreUnavailableError` for a fault of the machine.
        """
        try:
            return await self._reader.run(partial(_read, job))
        except Exception as problem:
            fault = fault_of(problem)
            # A job that tries to write here is a bug, not a disk that cannot be written.
            if fault is None or getattr(problem, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY:
                raise
            self._complain(fault)
            raise fault from problem

    async def _write_all(self) -> None:
        in_flight: deque[_InFlight] = deque()
        answering: asyncio.Task[None] | None = None
        try:
            while self._waiting or in_flight:
                if self._uses_process and len(self._waiting) >= MANY_WAITING:
                    self._start_process()
                self._commit_next(in_flight)
                committed = await in_flight[0].committing
                if answering is not None:  # in the order of the commits
                    await answering
                # The next batch is committed meanwhile.
                answering = asyncio.create_task(self._answer(in_flight.popleft().batch, committed))
                if not self._waiting and not in_flight:
                    await answering
        except asyncio.CancelledError:
            for batch, _, committing in in_flight:
                committing.cancel()
                await asyncio.wait([committing])
                has_ended = not committing.cancelled()
                stopped = StoreError("the store has stopped")
                await self._answer(batch, committing.result() if has_ended else stopped)
            raise
        finally:
            self._work = None
            if self._waiting:  # an unexpected failure must not hold up the other jobs
                self._work = asyncio.get_running_loop().create_task(self._write_all())

    def _commit_next(self, in_flight: deque["_InFlight"]) -> None:
        """Start to commit the next batches: one, or two if the process commits both."""
        while self._waiting and len(in_flight) < MAX_IN_FLIGHT:
            if in_flight and (
                self._process is None
                or in_flight[-1].process is not self._process
                or not isinstance(self._waiting[0].job, PortableJob)
            ):
                return  # they must not write at the same time
            batch, process = self._next_batch()
            committing = asyncio.create_task(self._commit_together(batch, process))
            in_flight.append(_InFlight(batch, process, committing))

    def _next_batch(self) -> tuple[list[_Waiting], WriterProcess | None]:
        """Take the next jobs that can share a COMMIT, and the process to run them, if any."""
        waiting = self._waiting
        batch = [waiting.popleft()]
        if self._process is None:
            batch += [waiting.popleft() for _ in range(min(MAX_BATCH - 1, len(waiting)))]
            return batch, None
        is_portable = isinstance(batch[0].job, PortableJob)
        most = MAX_PROCESS_BATCH if is_portable else MAX_BATCH
        while (
            waiting and len(batch) < most and isinstance(waiting[0].job, PortableJob) == is_portable
        ):
            batch.append(waiting.popleft())
        return batch, self._process if is_portable else None

    async def _commit_together(
        self, batch: list[_Waiting], process: WriterProcess | None
    ) -> Sequence[Change] | Exception:
        """Commit a batch. Return the changes of other processes before it, or why it failed."""
        try:
            if process is None:
                foreign = await self._writer.run(
                    partial(write_batch, batch=batch, seen_change=self._seen_change)
                )
            else:
                foreign = await self._commit_elsewhere(batch, process)
        except Exception as problem:  # noqa: BLE001 - logged once the callers have their answers
            return problem
        if foreign:
            self._seen_change = max(self._seen_change, foreign[-1][0])
        return foreign

    async def _commit_elsewhere(
        self, batch: list[_Waiting], process: WriterProcess
    ) -> Sequence[Change]:
        try:
            results = await process.commit(self._seen_change, [waiting.job for waiting in batch])
        except LostError as lost:
            if self._process is process:  # else another batch was in flight
                self._process = None
                self._start_again_at = time.monotonic() + RESTART_SECONDS
                with contextlib.suppress(Exception):  # the log
                    log.error("the writer process has ended; it will be replaced")
            await process.close()
            if not await self._was_committed(lost.name):
                raise StoreUnavailableError(
                    "the writer process has ended: nothing was changed, try again"
                ) from lost
            if lost.results is None:
                raise StoreError("the results of a commit were lost") from lost
            results = lost.results
        for waiting, outcome in zip(batch, results.outcomes, strict=True):
            waiting.result, waiting.failed, waiting.changes = outcome
        return results.foreign

    async def _was_committed(self, name: str) -> bool:
        """Return whether the last batch of a writer process that has ended was committed.

        Tries until it is known: until then, nobody can be told that nothing was changed.
        """
        while True:
            try:
                return await self._writer.run(_take_last_batch) == name
            except Exception as problem:  # noqa: BLE001 - whatever is wrong with the machine
                fault = fault_of(problem) or StoreUnavailableError(str(problem))
                with contextlib.suppress(Exception):  # the log
                    self._complain(fault)
                await asyncio.sleep(RETRY_SECONDS)

    def _start_process(self) -> None:
        """Start the process that runs portable jobs, unless it runs, starts, or has just failed."""
        if (
            self._process is None
            and self._starting is None
            and time.monotonic() >= self._start_again_at
        ):
            found = [each.job for each in self._waiting if isinstance(each.job, PortableJob)]
            if found:
                self._starting = asyncio.create_task(self._start_writer(found[:1]))

    async def _start_writer(self, examples: Sequence[Job[Any]]) -> None:
        assert self._lock is not None  # noqa: S101 - or `use_process` has no effect
        try:
            self._process = await WriterProcess.start(self.path, self._lock, examples)
        except Exception as problem:
            self._start_again_at = time.monotonic() + RESTART_SECONDS
            log.error("the writer process cannot be started", exc_info=problem)
        finally:
            self._starting = None

    async def _answer(self, batch: list[_Waiting], committed: Sequence[Change] | Exception) -> None:
        """Answer each caller of a batch, a few at a time, whatever happens; then log."""
        problems: list[tuple[str, Exception]] = []
        failure: StoreError | None = None
        if isinstance(committed, StoreError):
            failure = committed
        elif isinstance(committed, Exception):
            failure = fault_of(committed)
            if failure is None:
                problems.append(("a commit failed", committed))
                failure = StoreError("the store failed")
        else:
            self._hear(committed, problems)
        for count, waiting in enumerate(batch, 1):
            if waiting.failed is None and failure is not None:
                waiting.failed = type(failure)(*failure.args)  # an instance for each caller
            elif waiting.failed is not None:
                waiting.failed = fault_of(waiting.failed) or waiting.failed
            self._settle(waiting, problems)
            if count % ANSWERED_TOGETHER == 0:
                with contextlib.suppress(asyncio.CancelledError):  # the others need answers too
                    await asyncio.sleep(0)  # the event loop reads its sockets
        with contextlib.suppress(Exception):  # a log that fails must not hold up other batches
            for waiting in batch:
                if isinstance(waiting.failed, StoreUnavailableError):
                    self._complain(waiting.failed)
            for event, reason in problems:
                log.error(event, exc_info=reason)

    def _settle(self, waiting: _Waiting, problems: list[tuple[str, Exception]]) -> None:
        if waiting.failed is None:
            for change in waiting.changes:
                self._announce(change, problems)
        if waiting.future.done():
            return  # the caller was cancelled; the job ran nevertheless
        if waiting.failed is None:
            waiting.future.set_result(waiting.result)
        else:
            waiting.future.set_exception(waiting.failed)

    def _complain(self, fault: StoreUnavailableError) -> None:
        """Log a fault of the machine; only count it within `COMPLAINT_SECONDS` of the last line."""
        now = time.monotonic()
        if now - self._complained_at < COMPLAINT_SECONDS:
            self._unsaid += 1
            return
        log.error("the store is unavailable", why=str(fault), since_then=self._unsaid)
        self._complained_at, self._unsaid = now, 0

    def _announce(self, change: Announcement, problems: list[tuple[str, Exception]]) -> None:
        for listener in self._listeners.get(change.kind, ()):
            try:
                listener(change)
            except Exception as problem:  # noqa: BLE001 - logged once the callers have answers
                problems.append((f"a listener failed at {change.kind}", problem))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            version, news = await self.read(self._news)
            if news:
                # Passed on by the writer, because only it has their order among our own changes.
                await self.write(lambda transaction: None)
            self._seen_version = version

    def _hear(self, rows: Sequence[Change], problems: list[tuple[str, Exception]]) -> None:
        for number, name, data in rows:
            kind = self._kinds.get(name)
            if kind is None:  # it has no listener here
                continue
            try:
                change = kind.from_json(orjson.loads(data))
            except Exception as problem:  # noqa: BLE001 - another process's fault stops nothing
                problems.append((f"a change by another process is invalid: {number}", problem))
            else:
                self._announce(change, problems)

    def _news(self, reader: Snapshot) -> tuple[int, bool]:
        row = reader.single("PRAGMA data_version")
        if row[0] == self._seen_version:
            return self._seen_version, False
        return row[0], _last_change(reader) > self._seen_change


def _processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(job: Reading[T], connection: sqlite3.Connection) -> T:
    connection.execute("BEGIN")
    try:
        return job(Snapshot(connection))
    finally:
        connection.execute("ROLLBACK")


def _take_last_batch(connection: sqlite3.Connection) -> str:
    """Return the name of the last batch that the writer process has committed, and clear it.

    This writes, so that a commit which the process had almost finished is not completed later.
    """
    with immediate(connection):
        [name] = connection.execute("SELECT name FROM last_batch").fetchone()
        connection.execute("UPDATE last_batch SET name = ''")
    return str(name)


def _last_change(reader: Snapshot) -> int:
    newest: int = reader.single("SELECT coalesce(max(id), 0) FROM changes")[0]
    return newest
