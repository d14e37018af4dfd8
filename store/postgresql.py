"""PostgreSQL: one connection that writes and one that reads, each with a thread of its own.

Rules:
- Commits reach the disk of the server (`synchronous_commit=on`, or stronger).
- One process of a database writes at a time: a batch begins with a lock. Several gateways may serve
  it.
- The announcements of a commit are a row of `changes`, in the same transaction. Every gateway
  passes all rows on to its listeners once, in the order of the commits; its own before its caller
  goes on.
- A gateway that cannot be sure of what others have committed half a second ago lets no client act
  (`catch_up`). It ends if it has missed rows that were deleted meanwhile, and must be started
  again.
- If the connection is lost, calls that need it fail at once, and it is opened again in the
  background. A job is never run again: its caller decides.
- If it is lost during a COMMIT, the server is asked what became of the transaction before the
  callers are answered.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import orjson
import structlog

from scopegate.runtime.siblings import Siblings
from scopegate.runtime.supervisor import supervise
from scopegate.store.errors import StoreError, StoreUnavailableError, fault_of
from scopegate.store.location import Server
from scopegate.store.migrating import (
    Check,
    Migrations,
    check_is_current,
    check_schema,
    known_schema,
    migrate,
)
from scopegate.store.postgresql_connection import (
    MAX_STORED_CHANGES,
    PostgresqlConnection,
    StalePlanError,
    texts,
)
from scopegate.store.postgresql_listener import (
    DELETED_TO,
    RECONNECT_SECONDS,
    WENT_BACK,
    Listener,
    end_gateway,
)
from scopegate.store.store import Store, WaitingJob
from scopegate.store.transactions import (
    SEVERAL,
    Announcement,
    Change,
    Job,
    Reading,
    T,
    Transaction,
    WrittenJob,
    commit_once,
    read,
)

MAX_JOBS = 60
"""Jobs that share one COMMIT: beyond 64 savepoints, PostgreSQL looks up the transaction of rows."""
BATCH_SECONDS = 0.05
"""Seconds after which a batch begins no further job: other gateways wait for their turn."""
STALLED_SECONDS = 10.0
"""Seconds after which a connection on which nothing was answered is given up."""
GIVE_UP_SECONDS = 5.0
"""Seconds for which the end of a gateway waits for the outcome of a commit."""

CHANGES_DELETED_TOGETHER = 1_000
"""Numbers of rows after which this gateway deletes the oldest."""

_UNDECIDED, _COMMITTED = "in progress", "committed"
"""States of a transaction, as `pg_xact_status` returns them."""

log = structlog.get_logger("scopegate.store")


class _NotBegunError(StoreUnavailableError):
    """The connection was lost before any job ran."""


class _Written(NamedTuple):
    """What became of a batch."""

    changes: Sequence[Change]
    """The changes of other processes before it, and its own, whose data is in `_own`."""
    begun: int
    """The number of jobs that ran; the others had no time."""


class _UndecidedError(Exception):
    """A COMMIT has failed, or was not answered, and may have succeeded."""

    def __init__(self, transaction: str, written: _Written) -> None:
        super().__init__(transaction)
        self.transaction = transaction
        """The number of the transaction."""
        self.written = written


class _Thread:
    """A connection with a thread of its own, which connects again when it was lost."""

    def __init__(self, name: str, connect: Callable[[], PostgresqlConnection]) -> None:
        self._name = name
        self._connect = connect
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"store {name}")
        self._connection: PostgresqlConnection | None = None
        self.fault: StoreUnavailableError | None = None
        """Why the connection is not open at present."""
        self._reconnecting: asyncio.Task[None] | None = None
        self._attempt: asyncio.Event | None = None
        """Set once it was tried to connect again, since the connection was last lost."""

    async def open(self, prepare: Callable[[PostgresqlConnection], None] | None = None) -> None:
        """Connect, and run a function, however long it takes. Raises `StoreError`."""
        self._connection = await self._in_thread(self._connect)
        if prepare is not None:
            await self._in_thread(partial(prepare, self._connection))

    async def run(self, function: Callable[[PostgresqlConnection], T]) -> T:
        """Run a function on the connection. Raises `StoreUnavailableError` while that is lost."""
        if self.fault is not None:
            raise StoreUnavailableError(*self.fault.args)
        connection = self._connection
        assert connection is not None  # noqa: S101 - opened first of all
        begun: list[float] = []

        def timed() -> T:
            begun.append(time.monotonic())  # it may have waited for others
            return function(connection)

        running = asyncio.ensure_future(self._in_thread(timed))
        try:
            while not (await asyncio.wait([running], timeout=STALLED_SECONDS / 4))[0]:
                if begun and time.monotonic() - begun[0] > STALLED_SECONDS:
                    connection.abort()
                    break
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_retrieve)
            raise
        finally:
            if running.done() and connection.is_lost and self._connection is connection:
                self._lost()

    async def run_again(
        self,
        function: Callable[[PostgresqlConnection], T],
        lost: type[StoreUnavailableError] = StoreUnavailableError,
    ) -> T:
        """Run a function, and once more if it raises `lost` on a connection that was lost.

        A server that was restarted is noticed only when a connection is used. It is also run once
        more if the tables have changed since its statements were prepared.
        """
        try:
            return await self.run(function)
        except StalePlanError:  # all statements are prepared again
            return await self.run(function)
        except lost:
            attempt = self._attempt
            if attempt is None or attempt.is_set():
                raise
            await attempt.wait()
            return await self.run(function)

    def _lost(self) -> None:
        self.fault = StoreUnavailableError("the connection to the database was lost")
        if self._reconnecting is None:
            self._attempt = asyncio.Event()
            self._reconnecting = supervise(f"connection of the {self._name}", self._reconnect)

    async def _reconnect(self) -> None:
        attempt = self._attempt
        assert attempt is not None  # noqa: S101 - created with this task
        while self.fault is not None:
            try:
                opened = await self._in_thread(self._connect)
            except Exception as problem:  # noqa: BLE001 - whatever is wrong with the server
                self.fault = fault_of(problem) or StoreUnavailableError(str(problem))
                attempt.set()
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            if self._connection is not None:
                self._connection.close()
            self._connection, self.fault = opened, None
        attempt.set()
        log.warning("the connection to the database is open again", of=self._name)
        self._reconnecting = None

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def close(self) -> None:
        """Close the connection, after what is running on it."""
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.gather(self._reconnecting, return_exceptions=True)
        if self._connection is not None:
            await self._in_thread(self._connection.close)
            self._connection = None
        self._executor.shutdown(wait=False)


def _retrieve(running: "asyncio.Future[T]") -> None:
    """Take the exception of what nobody waits for any more, so that it is not logged."""
    if not running.cancelled():
        running.exception()


class PostgresqlStore(Store):
    """The gateway's access to a PostgreSQL database."""

    max_batch = MAX_JOBS

    def __init__(
        self, server: Server, check: Check | None = None, plugins: Migrations | None = None
    ) -> None:
        """`check` and `plugins` are as for `migrate`."""
        super().__init__()
        self.server = server
        self._check = check
        self._plugins = plugins or {}
        self._writer = _Thread("writer", partial(_connected, server))
        self._reader = _Thread("reader", partial(_connected, server, read_only=True))
        self._listener: Listener | None = None
        self._messages: deque[tuple[int, bytes]] = deque()
        """Messages of other gateways, with their numbers, which were not received yet."""
        self._is_receiving = False
        self._deleted_at = 0
        """The row with which the oldest were last deleted."""
        self._gives_up_at = math.inf
        """When, in monotonic time, it no longer asks what became of a commit."""

    @property
    def location(self) -> str:
        """Where the database is, as `--store` takes it."""
        return self.server.url

    async def open(self) -> None:
        """Connect and migrate the database. Raises `StoreError` if it cannot be used."""
        try:
            await self._writer.open(self._prepare)
            await self._reader.open()
            await self._listen()
        except StoreError:
            await self.close()
            raise
        except Exception as problem:
            await self.close()
            raise StoreError(f"cannot use the database {self.location}: {problem}") from problem

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        listener = Listener(
            partial(_connected, self.server),
            partial(_call_soon, loop, self._take_news),
        )
        await loop.run_in_executor(None, listener.open)
        self._listener = listener
        self._seen_change = self._passed_on = listener.last_change
        self.siblings = Siblings(listener.number, None, listener.send)
        self.siblings.set_present(listener.present())
        await self._writer.run(_check_schema)
        listener.start()

    async def close(self) -> None:
        """Finish the waiting jobs, and close the connections."""
        self._gives_up_at = time.monotonic() + GIVE_UP_SECONDS
        await super().close()
        if self._listener is not None:
            listener, self._listener = self._listener, None
            await asyncio.get_running_loop().run_in_executor(None, listener.close)
        await self._reader.close()
        await self._writer.close()

    async def write(self, job: Job[T]) -> T:
        """Run a job as `Store.write` does; while the connection is lost, fail at once.

        Else it would wait for a batch before it, whose outcome may not be known yet.
        """
        if (fault := self._writer.fault) is not None:
            self.complain(fault)
            raise StoreUnavailableError(*fault.args)
        return await super().write(job)

    def catch_up(self) -> StoreUnavailableError | None:
        """Pass on what is known of other gateways; return an error if that may be out of date."""
        self._take_news()
        if self._listener is None or self._listener.is_stale:
            return StoreUnavailableError(
                "this gateway may be out of date: it has not read lately what others have committed"
            )
        return None

    def fault(self) -> StoreUnavailableError | None:
        """Return why the database cannot be used at present, as far as it is known."""
        return self._writer.fault or self._reader.fault or self.catch_up()

    def _take_news(self) -> None:
        if self._listener is None or self._is_passing_on:
            return
        self.siblings.number = self._listener.number
        # One by one: a listener may call this again, which goes on with the next ones.
        while (news := self._listener.take()) is not None:
            problems: list[tuple[str, Exception]] = []
            self._pass_on(news.rows, problems)
            self._listener.confirm(news)
            for event, reason in problems:
                log.error(event, exc_info=reason)
            self._messages.extend(news.messages)
            if news.present is not None:
                self.siblings.set_present(news.present)
        if not self._is_receiving:
            self._is_receiving = True
            try:
                while self._messages:
                    self._receive(*self._messages.popleft())
            finally:
                self._is_receiving = False

    def _receive(self, sender: int, message: bytes) -> None:
        try:
            self.siblings.receive(sender, message)
        except Exception as problem:  # noqa: BLE001 - whatever is in it
            log.error("a message of another gateway cannot be read", why=str(problem))

    def _pass_on(self, rows: Sequence[Change], problems: list[tuple[str, Exception]]) -> None:
        super()._pass_on(rows, problems)
        self._seen_change = max(self._seen_change, self._passed_on)  # the writer need not read them

    def _prepare(self, connection: PostgresqlConnection) -> None:
        migrate(connection, self._check, self._plugins)

    async def _run_reading(self, job: Reading[T]) -> T:
        return await self._reader.run_again(partial(read, job))

    async def _commit(self, batch: list[WaitingJob]) -> Sequence[Change]:
        try:
            written = await self._writer.run_again(partial(self._write, batch), _NotBegunError)
        except _UndecidedError as undecided:
            if not await self._was_committed(undecided.transaction):
                for row_id, _, _ in undecided.written.changes:
                    self._own.pop(row_id, None)
                raise StoreUnavailableError(
                    "a commit of the database failed: nothing was changed, try again"
                ) from undecided
            written = undecided.written
        # The others go first into the next batch.
        self._waiting.extendleft(reversed(batch[written.begun :]))
        del batch[written.begun :]
        return written.changes

    def _write(self, batch: Sequence[WrittenJob], connection: PostgresqlConnection) -> _Written:
        """Commit a batch in the writer's thread."""
        try:
            begun = connection.begin(
                b"SELECT 0, pg_current_xact_id()::text,"
                b" nextval(pg_get_serial_sequence('changes', 'id'))::text UNION ALL"
                b" SELECT id, kind, data FROM changes WHERE id > %d ORDER BY 1" % self._seen_change
            )
        except StoreUnavailableError as problem:
            if connection.is_lost:
                raise _NotBegunError(*problem.args) from problem
            raise
        rows = texts(begun)
        _, transaction, reserved = rows[0]
        row_id = int(reserved)  # it is larger than those of all commits before this one
        if row_id <= self._seen_change:
            end_gateway(WENT_BACK)
        changes = [(int(number), kind, data) for number, kind, data in rows[1:]]
        try:
            written = _Written(changes, _run_jobs(connection, batch))
            made = [change for job in batch if job.failed is None for change in job.changes]
            commit = b"COMMIT"
            if made:
                self._own[row_id] = made  # the listener may read the row at once
                changes.append((row_id, SEVERAL, ""))
                deletes = row_id - self._deleted_at >= CHANGES_DELETED_TOGETHER
                commit = _recording(connection, row_id, made, deletes=deletes)
                if deletes:
                    self._deleted_at = row_id
        except BaseException:
            connection.roll_back()
            raise
        for job in batch:
            job.changes = ()  # passed on in the order of all commits
        if connection.in_transaction:
            try:
                connection.simple(commit)
            except Exception as problem:
                # The transaction has ended if the connection was lost, or the notification that
                # follows the COMMIT has failed.
                if not connection.in_transaction:
                    raise _UndecidedError(transaction, written) from problem
                self._own.pop(row_id, None)
                connection.roll_back()
                raise
        return written

    async def _was_committed(self, transaction: str) -> bool:
        """Return whether a transaction was committed whose COMMIT was not answered.

        Tries until it is known: until then, nobody can be told that nothing was changed. At the
        end of the gateway it raises `StoreError` instead.
        """
        while time.monotonic() < self._gives_up_at:
            try:
                state = await self._writer.run(lambda connection: connection.state_of(transaction))
            except StoreUnavailableError as problem:
                self.complain(problem)
            else:
                if state != _UNDECIDED:
                    return state == _COMMITTED
            await asyncio.sleep(RECONNECT_SECONDS)
        raise StoreError("the connection was lost during a commit: whether it succeeded is unknown")


def run_once(server: Server, job: Job[T], check: Check | None = None) -> T:
    """Run one job in a process that is not the gateway, and return its result after COMMIT.

    `check`: see `migrate`. Raises `StoreError` if the database cannot be used.
    """
    # Whether the server may lose commits is the gateway's concern.
    server = replace(server, allow_unsafe=True)
    with contextlib.closing(_connected(server)) as connection:
        migrate(connection, check)
        result = commit_once(connection, job)
        connection.notify("")
        return result


def read_once(server: Server, job: Reading[T]) -> T:
    """Run a job on one snapshot in a process that is not the gateway.

    Raises `StoreError` if the database cannot be used or has the schema of another release.
    """
    server = replace(server, allow_unsafe=True)
    with contextlib.closing(_connected(server, read_only=True)) as connection:
        check_is_current(connection)
        return read(job, connection)


def _connected(server: Server, *, read_only: bool = False) -> PostgresqlConnection:
    """Connect to the server. Raises `StoreError`, also for a pooler that cannot be used."""

    def connect() -> PostgresqlConnection:
        return PostgresqlConnection(
            server.url, read_only=read_only, allow_unsafe=server.allow_unsafe
        )

    connection = connect()
    try:
        if connection.through_pooler:
            with contextlib.closing(connect()) as second:
                if second.shares_sessions_with(connection):
                    raise StoreError(
                        "the database is reached through a pooler in transaction mode, which does"
                        " not keep locks and prepared statements: use session mode, or connect to"
                        " the server itself"
                    )
    except BaseException:
        connection.close()
        raise
    return connection


def _check_schema(connection: PostgresqlConnection) -> None:
    """Check again, now that others know of this gateway: a newer release may have come before."""
    with connection.writing():  # not while it runs its migrations
        check_schema(connection, known_schema())


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(callback)


def _run_jobs(connection: PostgresqlConnection, batch: Sequence[WrittenJob]) -> int:
    """Run the jobs of a batch, each in its own savepoint, until its time is over.

    Return how many have run.
    """
    if len(batch) > 1:
        connection.execute_later("SAVEPOINT job")
    ends = time.monotonic() + BATCH_SECONDS
    for number, waiting in enumerate(batch, 1):
        transaction, mark = Transaction(connection), connection.queued()
        waiting.failed, waiting.changes = None, ()
        try:
            waiting.result = waiting.job(transaction)
            connection.flush()
            if connection.has_failed:
                raise StoreError(
                    "a statement of the job failed, and the job went on: run it in a savepoint"
                )
        except Exception as problem:
            if connection.is_lost:  # nothing of the batch is kept
                raise StoreUnavailableError(str(problem)) from problem
            if isinstance(problem, StalePlanError):
                raise
            waiting.failed = problem
            # The savepoint stays, for the next job. A single job had none.
            if len(batch) == 1:
                connection.roll_back()
            elif not connection.drop_queued(mark):
                with contextlib.suppress(Exception):  # what is queued is undone in any case
                    connection.flush()
                connection.simple(b"ROLLBACK TO job")
        else:
            waiting.changes = transaction.changes
            if number < len(batch) and time.monotonic() < ends:
                connection.execute_later("RELEASE job")
                connection.execute_later("SAVEPOINT job")
        if time.monotonic() >= ends:
            return number
    return len(batch)


def _recording(
    connection: PostgresqlConnection, row_id: int, made: Sequence[Announcement], *, deletes: bool
) -> bytes:
    """Return the statements that add a row of announcements, commit, and notify other gateways."""
    data: list[Any] = [(change.kind, change.to_json()) for change in made]
    statements = [
        b"INSERT INTO changes (id, kind, data) VALUES (%d, '%b', %b)"
        % (row_id, SEVERAL.encode(), connection.literal(orjson.dumps(data).decode()))
    ]
    if deletes:
        oldest = row_id - MAX_STORED_CHANGES
        statements.append(
            b"WITH deleted AS (DELETE FROM changes WHERE id <= %d RETURNING id)"
            b" INSERT INTO meta (name, value)"
            b" SELECT '%b', max(id)::text FROM deleted HAVING count(*) > 0"
            b" ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            % (oldest, DELETED_TO.encode())
        )
    # The notification has a transaction of its own, after the COMMIT: within it, it would hold up
    # the commits of all other gateways until the disk has it.
    statements += [b"COMMIT", b"NOTIFY %b" % connection.channel.encode()]
    return b"; ".join(statements)
