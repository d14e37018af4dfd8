"""SQLite with one writer at a time, whose jobs share commits, and one reader.

Rules:
- Commits reach the disk (`synchronous=FULL`).
- The writer is a thread. Once many jobs wait, the writer process runs the portable ones
  (`writer_process`), so that the event loop has a processor of its own. The two never write at the
  same time.
"""

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import aiosqlite
import structlog

from scopegate.runtime.supervisor import supervise
from scopegate.store import missing_log
from scopegate.store.errors import StoreError, StoreUnavailableError, fault_of, unusable
from scopegate.store.files import lock, prepare
from scopegate.store.location import address
from scopegate.store.migrating import Check, Migrations
from scopegate.store.sqlite_connection import SqliteConnection, connect
from scopegate.store.store import POLL, Store, WaitingJob
from scopegate.store.transactions import (
    Change,
    Job,
    PortableJob,
    Reading,
    Snapshot,
    T,
    WrittenJob,
    read,
    write_batch,
)
from scopegate.store.writer_process import LostError, WriterProcess

MANY_WAITING = 16
"""Waiting jobs at which the process is started that runs portable ones."""
MAX_PROCESS_BATCH = 32
"""Jobs that share one COMMIT of the process at most, while the event loop goes on with others."""
MAX_IN_FLIGHT = 2
"""Batches that are given to the process at once, so that it need not wait for the event loop."""
GIVE_WAY = 0.002
"""Seconds for which the event loop waits at most while the thread runs the jobs of a batch.

They would share the interpreter: under load, the thread would wait for it at each of some 30 steps
of a trade, and twice as long in all. The loop goes on during the COMMIT, which waits for the disk.
"""
RETRY_SECONDS = 0.5
"""Seconds until it is asked again whether a batch was committed."""
RESTART_SECONDS = 60.0
"""Seconds until a process that has ended, or could not start, is replaced."""


log = structlog.get_logger("scopegate.store")


class _Thread(aiosqlite.Connection):
    """A connection with a thread of its own, on which whole functions run.

    aiosqlite's public methods queue single statements, so another task's statements could come
    between them, into an open transaction.
    """

    async def run(self, function: Callable[[SqliteConnection], T]) -> T:
        """Run a function on the connection, and return its result."""
        result: T = await self._execute(  # type: ignore[no-untyped-call]
            lambda: function(cast("SqliteConnection", self._conn))
        )
        return result

    def begin(self, function: Callable[[SqliteConnection], T]) -> asyncio.Future[T]:
        """Do the same without a task, for a callback of the future, which cannot be awaited.

        Never raises: the future does.
        """
        running = self.run(function)
        try:
            future: asyncio.Future[T] = running.send(None)  # the one that aiosqlite waits for
        except Exception as problem:  # noqa: BLE001 - such as that it was closed
            future = asyncio.get_running_loop().create_future()
            future.set_exception(problem)
        running.close()
        return future


class SqliteStore(Store):
    """The gateway's access to an SQLite file."""

    max_batch = 256
    """Jobs that share one COMMIT of the thread at most; the others wait for the next."""

    def __init__(
        self, path: Path, check: Check | None = None, plugins: Migrations | None = None
    ) -> None:
        """`check` and `plugins` are as for `migrate`."""
        super().__init__()
        self.path = path
        self._plugins = plugins or {}
        self._check = check
        self._writer = _Thread(lambda: connect(path), iter_chunk_size=64)
        self._reader = _Thread(lambda: connect(path, read_only=True), iter_chunk_size=64)
        self._poller: asyncio.Task[None] | None = None
        self._lock: int | None = None
        self._has_run = threading.Lock()
        """Held until the thread has run the jobs of the batch, before their COMMIT."""
        self._uses_process = False
        self._process: WriterProcess | None = None
        self._starting: asyncio.Task[None] | None = None
        self._start_again_at = 0.0
        self._seen_version = 0
        self._noted = 0
        """The number of commits that was written down last."""

    @property
    def location(self) -> str:
        """Where the database is, as `--store` takes it."""
        return address(self.path)

    async def open(self) -> None:
        """Open and migrate the database. Raises `StoreError` if it cannot be used."""
        try:
            # aiosqlite leaves a thread behind if it cannot open; so that is tried without it first.
            # The lock comes first, so that no database is migrated while a gateway serves it.
            await self._take_lock()
            loop = asyncio.get_running_loop()
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
        self._poller = self._start_polling()

    async def _note_commits(self) -> None:
        """Write down how many commits there were, so that a lost log is noticed."""
        commits = await self.read(missing_log.commits)
        if commits != self._noted:
            self._noted = commits
            missing_log.note(self.path, commits)

    async def _take_lock(self) -> None:
        loop = asyncio.get_running_loop()
        self._lock = await loop.run_in_executor(None, lock, self.path)

    async def close(self) -> None:
        """Finish the waiting jobs, and close the database."""
        was_open = self._poller is not None
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)
        await super().close()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._process is not None:
            await self._process.close()
        for thread in (self._reader, self._writer):
            with contextlib.suppress(sqlite3.Error):  # nothing is lost: the WAL has every commit
                await thread.close()
        if was_open:
            missing_log.forget(self.path)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def use_process(self) -> None:
        """Let a process of its own run portable jobs once many jobs wait.

        Not with a single processor, which it would only have to share, and not on Windows.
        """
        self._uses_process = self._lock is not None and _processors() > 1

    async def _run_reading(self, job: Reading[T]) -> T:
        return await self._reader.run(partial(read, job))

    def _start_polling(self) -> asyncio.Task[None]:
        return supervise("changes by other processes", self._poll)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            version, has_news = await self.read(self._news)
            if has_news:
                # Passed on by the writer, because only it has their order among our own changes.
                await self.write(lambda transaction: None)
            if version != self._seen_version:
                await self._note_commits()
            self._seen_version = version

    def _news(self, reader: Snapshot) -> tuple[int, bool]:
        row = reader.single("PRAGMA data_version")
        if row[0] == self._seen_version:
            return self._seen_version, False
        return row[0], _last_change(reader) > self._seen_change

    def _commit_next(self) -> None:
        """Start to commit the next batches: one, or two if the process commits both."""
        if self._uses_process and len(self._waiting) >= MANY_WAITING:
            self._start_process()
        in_flight = self._in_flight
        while self._waiting and len(in_flight) < MAX_IN_FLIGHT:
            if in_flight and (
                self._process is None
                or in_flight[-1].by is not self._process
                or not isinstance(self._waiting[0].job, PortableJob)
            ):
                return  # they must not write at the same time
            batch, process = self._next_batch()
            if process is None:
                self._begin(batch, partial(self._commit, batch))
            else:
                self._begin(batch, partial(self._elsewhere, batch, process), process)

    def _next_batch(self) -> tuple[list[WaitingJob], WriterProcess | None]:
        """Take the next jobs that can share a COMMIT, and the process to run them, if any."""
        waiting = self._waiting
        if self._process is None:
            return self._next_jobs(self.max_batch), None
        batch = [waiting.popleft()]
        is_portable = isinstance(batch[0].job, PortableJob)
        most = MAX_PROCESS_BATCH if is_portable else self.max_batch
        while (
            waiting and len(batch) < most and isinstance(waiting[0].job, PortableJob) == is_portable
        ):
            batch.append(waiting.popleft())
        return batch, self._process if is_portable else None

    def _commit(self, batch: list[WaitingJob]) -> Awaitable[Sequence[Change]]:
        self._has_run = has_run = threading.Lock()
        has_run.acquire()
        self._computes = True
        committing = self._writer.begin(partial(self._write, batch=batch))
        has_run.acquire(timeout=GIVE_WAY)
        return committing

    def _write(self, connection: SqliteConnection, batch: Sequence[WrittenJob]) -> Sequence[Change]:
        """Commit a batch in the writer's thread; return the changes of other processes before."""

        def have_run(_: object) -> None:
            self._computes = False
            self._has_run.release()

        try:
            return write_batch(connection, batch, self._seen_change, have_run)
        finally:
            self._has_committed = True

    async def _elsewhere(self, batch: list[WaitingJob], process: WriterProcess) -> Sequence[Change]:
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
                    self.complain(fault)
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


def _processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _take_last_batch(connection: SqliteConnection) -> str:
    """Return the name of the last batch that the writer process has committed, and clear it.

    This writes, so that a commit which the process had almost finished is not completed later.
    """
    with connection.writing():
        [name] = connection.execute("SELECT name FROM last_batch").fetchone()
        connection.execute("UPDATE last_batch SET name = ''")
    return str(name)


def _last_change(reader: Snapshot) -> int:
    """Return the id of the last change that was ever committed."""
    row = reader.one("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")
    return 0 if row is None else int(row[0])
