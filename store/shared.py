"""One database for several worker processes: one writes at a time, and each announces all commits.

Rules:
- A worker writes while it has the turn, and cannot have it again before one that waits for it. A
  turn ends with its process.
- The announcements of a commit are a row of the table `changes`, in the same transaction. Every
  worker passes them on to its listeners once, in the order of the commits.
- `Sharing.head` is the newest of these rows: shared memory, set after the COMMIT and before the
  caller is answered. So a worker that calls `catch_up` before it acts has heard everything that was
  acknowledged, by whichever worker.
- Idle workers are woken after each commit, for events to their clients.
- The latest `MAX_STORED_CHANGES` rows stay. A worker that finds that rows which it had not read
  were deleted cannot bring its memory up to date: it ends at once, and is replaced. One that cannot
  read them at present passes nothing on, and answers with the fault.
"""

import asyncio
import contextlib
import fcntl
import mmap
import os
import sqlite3
from collections.abc import Awaitable, Sequence
from functools import partial
from pathlib import Path

import structlog

from scopegate.runtime.supervisor import supervise
from scopegate.store.errors import StoreUnavailableError, fault_of, unusable
from scopegate.store.migrating import Check, Migrations
from scopegate.store.sqlite import SqliteStore
from scopegate.store.sqlite_connection import MAX_STORED_CHANGES, SqliteConnection, connect
from scopegate.store.store import LOST_EXIT, POLL, WaitingJob
from scopegate.store.transactions import (
    SEVERAL,
    Announcement,
    Change,
    WrittenJob,
    changes_after,
    record,
    run_jobs,
)

MAX_SHARED_BATCH = 64
"""Jobs that share one COMMIT at most, so that the other workers need not wait long."""

log = structlog.get_logger("scopegate.store")


class Sharing:
    """What workers share besides the database. It is created before they are forked."""

    def __init__(self, count: int) -> None:
        """`count` is the number of workers."""
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._head = memoryview(self._memory).cast("Q")
        self._locks = [
            os.memfd_create(f"scopegate-{name}", os.MFD_CLOEXEC) for name in ("gate", "turn")
        ]
        self._wakers = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(count)]

    @property
    def head(self) -> int:
        """The id of the newest row of `changes` that was committed."""
        return self._head[0]

    def waker(self, number: int) -> int:
        """The descriptor that becomes readable when this worker has something to hear."""
        return self._wakers[number]

    def turns(self) -> "Turns":
        """Open the turns for one worker."""
        # Locks belong to an open file, and forked processes share those that are open already.
        gate, turn = (os.open(f"/proc/self/fd/{lock}", os.O_RDWR) for lock in self._locks)
        return Turns(gate, turn)

    def advance(self, change_id: int) -> None:
        """Set the newest row; call it in a turn, after the COMMIT."""
        self._head[0] = max(self._head[0], change_id)

    def wake_others(self, number: int) -> None:
        """Wake every worker but this one."""
        for other, waker in enumerate(self._wakers):
            if other != number:
                with contextlib.suppress(BlockingIOError):  # the counter is full
                    os.eventfd_write(waker, 1)


class Turns:
    """The turns of one worker."""

    def __init__(self, gate: int, turn: int) -> None:
        """`gate` is locked by the worker that writes next, `turn` by the one that writes."""
        self._gate = gate
        self._turn = turn

    def __enter__(self) -> None:
        """Wait until no other worker writes; blocks the calling thread."""
        # While a worker waits for its turn it has the gate, so the one that writes cannot come
        # back before it.
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def __exit__(self, *problem: object) -> None:
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the files; no turn is taken afterwards."""
        os.close(self._gate)
        os.close(self._turn)


class SharedStore(SqliteStore):
    """The access of one of several workers to their database."""

    max_batch = MAX_SHARED_BATCH

    def __init__(
        self,
        path: Path,
        check: Check | None = None,
        plugins: Migrations | None = None,
        *,
        sharing: Sharing,
        number: int,
    ) -> None:
        """`number` is that of this worker; the rest is as for `SqliteStore`."""
        super().__init__(path, check, plugins)
        self._sharing = sharing
        self._turns = sharing.turns()
        self._number = number
        self._changes: SqliteConnection | None = None

    async def open(self) -> None:
        """Open the database, which the parent process has locked. Raises `StoreError`."""
        await super().open()
        self._passed_on = self._seen_change
        try:
            self._changes = connect(self.path, read_only=True)
        except (sqlite3.Error, OSError) as problem:
            await self.close()
            raise unusable(self.path, problem) from problem
        asyncio.get_running_loop().add_reader(self._sharing.waker(self._number), self._woken)

    async def close(self) -> None:
        """Finish the waiting jobs, and close the database."""
        await super().close()
        if self._changes is not None:
            asyncio.get_running_loop().remove_reader(self._sharing.waker(self._number))
            self._changes.close()
            self._changes = None
        self._turns.close()

    def catch_up(self) -> StoreUnavailableError | None:
        """Pass on every change that was acknowledged by now; return what prevented it, if anything.

        Takes a tenth of a microsecond if there is none.
        """
        return None if self._sharing.head <= self._passed_on else self._read_on()

    async def _take_lock(self) -> None:
        """Do nothing: the parent process has the lock."""

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._sharing.waker(self._number))
        self.catch_up()

    def _commit(self, batch: list[WaitingJob]) -> Awaitable[Sequence[Change]]:
        # The loop gives no way: the thread may wait for its turn.
        return self._writer.begin(partial(self._write, batch=batch))

    def _start_polling(self) -> asyncio.Task[None]:
        return supervise("changes by other processes", self._poll_changes)

    async def _poll_changes(self) -> None:
        """Find changes by the command line, and by a worker that ended before it woke others."""
        while True:
            await asyncio.sleep(POLL)
            self._read_on()
            if self._number == 0:
                await self._note_commits()

    def _write(self, connection: SqliteConnection, batch: Sequence[WrittenJob]) -> Sequence[Change]:
        with self._turns:
            row_id = 0
            try:
                with connection.writing():
                    run_jobs(connection, batch)
                    made = [change for job in batch if job.failed is None for change in job.changes]
                    if made:
                        row_id = _record(connection, made)
                        self._own[row_id] = made  # the event loop may read the row at once
                    connection.count_commit()
            except BaseException:
                self._own.pop(row_id, None)
                raise
            for job in batch:
                job.changes = ()  # passed on in the order of all commits
            if row_id:
                self._sharing.advance(row_id)
        if row_id:
            self._sharing.wake_others(self._number)
        return ()

    def _after_commit(
        self, foreign: Sequence[Change], problems: list[tuple[str, Exception]]
    ) -> None:
        self.catch_up()

    def _read_on(self) -> StoreUnavailableError | None:
        if self._changes is None or self._is_passing_on:
            return None
        try:
            rows = changes_after(self._changes, self._passed_on)
        except sqlite3.Error as problem:
            # Nothing is passed on, not even this worker's own changes: the order would be wrong.
            fault = fault_of(problem) or StoreUnavailableError(str(problem))
            self.complain(fault)
            return fault
        if rows and rows[0][0] > self._passed_on + 1:
            log.error("this worker process has missed changes, and ends")
            os._exit(LOST_EXIT)
        problems: list[tuple[str, Exception]] = []
        self._pass_on(rows, problems)
        for event, reason in problems:
            log.error(event, exc_info=reason)
        return None


def _record(connection: SqliteConnection, made: Sequence[Announcement]) -> int:
    """Write announcements as one row, and delete the oldest; return the id of the row."""
    row_id = record(connection, SEVERAL, [(change.kind, change.to_json()) for change in made])
    connection.execute("DELETE FROM changes WHERE id <= ?", (row_id - MAX_STORED_CHANGES,))
    return row_id
