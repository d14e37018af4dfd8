"""SQLite with one writer at a time, whose jobs share commits, and one reader.

Rules:
- A job is a whole transaction as one function. It runs to its end even if its caller is cancelled,
  and returns only after COMMIT, which reaches the disk (`synchronous=FULL`).
- Waiting jobs share one COMMIT, each within its own savepoint: one that fails affects no other.
- The writer is a thread. Once many jobs wait, a process runs the portable ones (`remote_writer`),
  so that the event loop has a processor of its own. The two never write at the same time.
- Listeners get each announcement of a job once, after COMMIT and before the job's caller goes on,
  in the order of the jobs. Announcements of other processes are read from the table `changes`.
- A reader's function only reads. It sees every commit that had returned before it was called.
- A fault of the machine (a full disk, a damaged file) is a `StoreUnavailableError`, for writes and
  reads alike. It is logged here, at most once a second; callers need not log it.
- After a commit, callers are answered before anything is logged, and a few at a time, so that the
  event loop reads its sockets meanwhile. The next batch is committed meanwhile too.
- SQL stays plain: `BEGIN IMMEDIATE`, savepoints and pragmas are used in this file only.
"""

import asyncio
import contextlib
import importlib.resources
import os
import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar, cast

try:
    import fcntl
except ImportError:  # on Windows, where nothing keeps a second gateway off the file
    fcntl = None  # type: ignore[assignment]

import aiosqlite
import orjson
import structlog

from scopegate.runtime.supervisor import ReportedError, supervise
from scopegate.store.remote_writer import LostError, RemoteWriter

T = TypeVar("T")

MAX_BATCH = 256
"""Jobs that share one COMMIT at most; the others wait for the next."""
ANSWERED_TOGETHER = 16
"""Callers that go on before the event loop reads its sockets again."""
MAX_WAITING = 10_000
"""Jobs that may wait; a further one is refused with `StoreBusyError`."""
MANY_WAITING = 16
"""Waiting jobs at which the process is started that runs portable ones."""
MAX_REMOTE_BATCH = 32
"""Jobs that share one COMMIT of the process at most, while the event loop goes on with others."""
MAX_IN_FLIGHT = 2
"""Batches that are given to the process at once, so that it need not wait for the event loop."""
RESTART_SECONDS = 60.0
"""Seconds until a process that has ended, or could not start, is replaced."""
LOCK_SECONDS = 1.0
"""Seconds that the processes of a gateway that was killed have to end."""
POLL = 0.25
"""Seconds between two checks for changes by other processes."""
BUSY_TIMEOUT = 5.0
CHECK_SECONDS = 0.5
"""Seconds that the check at start may take; pages not reached by then are trusted."""
SMALL_FILE = 16 * 1024 * 1024
"""Size in bytes up to which the check at start also checks the contents of pages."""
COMPLAINT_SECONDS = 1.0
"""Seconds between two log lines about faults of the machine."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNAVAILABLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
}
_ENDS_TRANSACTION = re.compile(
    r"(^|;)\s*(BEGIN|COMMIT|ROLLBACK)\b(?=\s*(;|$|TRANSACTION|IMMEDIATE|EXCLUSIVE|DEFERRED))",
    re.IGNORECASE,
)
_PARTIAL = re.compile(r"\bWHERE\b.*", re.DOTALL)
_RESTORE = (
    "move it and its -wal and -shm files away, copy your latest backup there, and start again;"
    " docs/operating.md shows how"
)
_GROWING = ("contracts", "ledger")
"""The tables that grow without bound."""

log = structlog.get_logger("scopegate.store")

Row = sqlite3.Row
Change = tuple[int, str, str]
"""A row of `changes`: its id, the kind of the announcement, and its fields as JSON."""


class StoreError(Exception):
    """The store could not do what it was asked; nothing was changed."""


class StoreUnavailableError(StoreError, ReportedError):
    """The machine failed: the disk is full, or cannot be written or read. Try again later."""


class StoreBusyError(StoreUnavailableError):
    """Too many jobs are waiting."""


class StoreDamagedError(StoreUnavailableError):
    """A part of the database that is needed is damaged; trying again will not help."""


def _fault(problem: BaseException) -> StoreUnavailableError | None:
    """Convert a fault of the machine to the error for callers; `None` for any other problem."""
    if isinstance(problem, StoreUnavailableError):
        return problem
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    if code in _DAMAGED:
        return StoreDamagedError(f"the database is damaged ({problem}): {_RESTORE}")
    if code in _UNAVAILABLE or isinstance(problem, OSError):
        return StoreUnavailableError(f"the database cannot be used at present: {problem}")
    return None


def damaged(path: Path, problem: object) -> StoreDamagedError:
    """Return the error for a damaged database, which says what to do."""
    what = " ".join(str(problem).split())
    return StoreDamagedError(f"the database {path} is damaged ({what}): {_RESTORE}")


class Announcement:
    """An event for listeners once a job is committed: a frozen dataclass of a `kind`.

    Announcements of another process travel as JSON; `to_json` and `from_json` are inverses.
    """

    __slots__ = ()
    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return the fields, as they travel."""
        # `dataclasses.asdict` copies deeply, which takes five times as long.
        return {each.name: getattr(self, each.name) for each in fields(cast("Any", self))}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the announcement with these fields. Raises `TypeError` for other fields."""
        return cls(**data)


class Snapshot:
    """The database at one moment, for reading."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def one(self, sql: str, *parameters: Any) -> Row | None:
        """Return the first row; `None` if there is none."""
        row: Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def single(self, sql: str, *parameters: Any) -> Row:
        """Return the row of a query that always has one, such as an aggregate.

        Raises `LookupError` if it has none, which is a bug.
        """
        row = self.one(sql, *parameters)
        if row is None:
            raise LookupError(f"no row for {sql}")
        return row

    def all(self, sql: str, *parameters: Any) -> list[Row]:
        """Return every row."""
        return self._connection.execute(sql, parameters).fetchall()


class Transaction(Snapshot):
    """The argument of a job: runs SQL within one transaction."""

    __slots__ = ("changes",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.changes: list[Announcement] = []

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, parameters)

    def insert(self, sql: str, *parameters: Any) -> int:
        """Insert one row, and return its id."""
        row_id = self._connection.execute(sql, parameters).lastrowid
        assert row_id is not None  # noqa: S101 - only INSERT is given here
        return row_id

    def announce(self, announcement: Announcement) -> None:
        """Send this to its listeners after COMMIT."""
        self.changes.append(announcement)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Run a block in a savepoint: an exception undoes its changes and drops its announcements.

        The exception is raised on.
        """
        announced = len(self.changes)
        self.execute("SAVEPOINT part")
        try:
            yield
        except Exception:
            if self._connection.in_transaction:  # else a full disk has rolled back the whole batch
                self.execute("ROLLBACK TO part")
                self.execute("RELEASE part")
            del self.changes[announced:]
            raise
        self.execute("RELEASE part")


class PortableJob(Generic[T]):
    """A job that another process may run: it, its result and its announcements are pickled.

    A frozen dataclass of values, and of functions that a module can be asked for. What it raises
    must keep its fields when it is pickled.
    """

    __slots__ = ()

    def __call__(self, transaction: Transaction) -> T:
        """Do the job."""
        raise NotImplementedError


Job = Callable[[Transaction], T]
Reading = Callable[[Snapshot], T]
AnnouncedT = TypeVar("AnnouncedT", bound=Announcement)
Check = Callable[[sqlite3.Connection], None]
"""Raises `StoreError` for a database that this program must not use."""
Migrations = Mapping[str, Traversable]
"""The folders with the migrations of plugins, by name of the plugin."""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Return a connection with the pragmas of all of ours. A new file has mode 0600."""
    if not read_only:
        # Created before SQLite opens it: the WAL and shared-memory files copy its mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _lock(path: Path) -> int | None:
    """Lock the database for one gateway: two would not notice each other's changes.

    Return the descriptor of the lock file beside the database. The lock ends with the process,
    however that ends. Raises `StoreError` if another gateway has it, or if there is no folder for
    it. `None`, without a lock, on Windows.
    """
    if not path.parent.is_dir():
        raise StoreError(f"the folder {path.parent} of the database does not exist: create it")
    if fcntl is None:
        return None
    descriptor = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT, 0o600)
    ends = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < ends:
                time.sleep(LOCK_SECONDS / 20)
                continue
            os.close(descriptor)
            raise StoreError(f"another gateway is serving the database {path}") from None
        return descriptor


def migrate(
    connection: sqlite3.Connection, check: Check | None = None, plugins: Migrations | None = None
) -> None:
    """Run the migrations that the database still needs, each in its own transaction.

    `check` is called with a database that is not new, before anything in it is changed. The
    migrations of `plugins` run after the gateway's. Raises `StoreError` if a version in the
    database is newer than this program's.
    """
    steps = _steps(importlib.resources.files("scopegate.store") / "migrations")
    version = _version(connection)
    if version > len(steps):
        raise StoreError(
            f"the database has version {version}, and this release supports up to {len(steps)}:"
            " use a newer release"
        )
    if version and check is not None:
        check(connection)
    for number, step in enumerate(steps[version:], version + 1):
        with _step(connection):
            # Read again inside the transaction: another process may have come first.
            if _version(connection) < number:
                _run_script(connection, step)
                connection.execute(f"PRAGMA user_version = {number:d}")
    for name, folder in (plugins or {}).items():
        _migrate_plugin(connection, name, _steps(folder))


def _migrate_plugin(connection: sqlite3.Connection, name: str, steps: list[str]) -> None:
    """Run the migrations of one plugin, whose tables and indexes must be named `PLUGIN_...`."""
    for step in steps:
        if _ENDS_TRANSACTION.search(step):
            raise StoreError(
                f"a migration of {name} begins or ends a transaction: leave this out, each"
                " migration runs in its own"
            )
    version = _version_of(connection, name)
    if version > len(steps):
        raise StoreError(
            f"the tables of {name} have version {version}, and this plugin supports up to"
            f" {len(steps)}: use a newer one"
        )
    for number, step in enumerate(steps[version:], version + 1):
        with _step(connection):
            if _version_of(connection, name) >= number:
                continue
            before = _objects(connection)
            try:
                _run_script(connection, step)
            except sqlite3.Error as problem:
                raise StoreError(f"migration {number} of {name} failed: {problem}") from problem
            if not connection.in_transaction:
                raise StoreError(
                    f"migration {number} of {name} ends its transaction: leave COMMIT out"
                )
            changed = {thing for thing, _ in before.items() ^ _objects(connection).items()}
            foreign = sorted(thing for thing in changed if not thing.startswith(f"{name}_"))
            if foreign:
                raise StoreError(
                    f"migration {number} of {name} changes {foreign[0]}: the names of its tables"
                    f" and indexes must begin with {name}_"
                )
            connection.execute(
                "INSERT INTO plugin_migrations (plugin, version) VALUES (?, ?)"
                " ON CONFLICT (plugin) DO UPDATE SET version = excluded.version",
                (name, number),
            )


def _steps(folder: Traversable) -> list[str]:
    """Return the scripts of a folder in the order of their numbers, which begin with 0001."""
    try:
        found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    except OSError as problem:
        raise StoreError(f"the migrations in {folder} cannot be read: {problem}") from problem
    if not found or [name[:4] for name in found] != [
        f"{number:04}" for number in range(1, len(found) + 1)
    ]:
        raise StoreError(
            f"the migrations in {folder} must be numbered without a gap, from 0001 on; there are"
            f" {', '.join(found) or 'none'}"
        )
    try:
        return [(folder / name).read_text(encoding="utf-8") for name in found]
    except ValueError as problem:
        raise StoreError(f"a migration in {folder} is not UTF-8: {problem}") from problem


def _version(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number


def _version_of(connection: sqlite3.Connection, plugin: str) -> int:
    found = connection.execute(
        "SELECT version FROM plugin_migrations WHERE plugin = ?", (plugin,)
    ).fetchone()
    return 0 if found is None else int(found[0])


def _objects(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the SQL of each table, index, view and trigger by name, without automatic ones."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {row[0]: row[1] for row in rows.fetchall()}


@contextlib.contextmanager
def _step(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _run_script(connection: sqlite3.Connection, script: str) -> None:
    for statement in _statements(script):
        connection.execute(statement)


def _prepare(path: Path, check: Check | None, plugins: Migrations) -> None:
    """Open and migrate the database once."""
    with contextlib.closing(connect(path)) as connection:
        migrate(connection, check, plugins)


def check_file(path: Path) -> None:
    """Check the database before it is served, if the file exists. Raises `StoreError`."""
    try:
        if not path.exists():
            return
        with contextlib.closing(connect(path)) as connection:
            check(connection, path)
    except (sqlite3.Error, OSError) as problem:
        raise _unusable(path, problem) from problem


def _unusable(path: Path, problem: Exception) -> StoreError:
    if isinstance(_fault(problem), StoreDamagedError):
        return damaged(path, problem)
    return StoreError(f"cannot use the database {path}: {problem}")


def check(connection: sqlite3.Connection, path: Path, seconds: float = CHECK_SECONDS) -> None:
    """Read every page of each table and index, growing tables last, for at most `seconds`.

    Raises `StoreDamagedError` at a damaged page. Pages that were not reached in time are trusted:
    damage there is reported when it is found. Rows are checked in small files only (`SMALL_FILE`),
    because that takes five times as long.
    """
    ends = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > ends, 1_000)
    try:
        if path.stat().st_size <= SMALL_FILE:
            [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise damaged(path, found)
            return
        for statement in _walks(connection):
            connection.execute(statement).fetchone()
            if time.monotonic() > ends:
                break
    except sqlite3.DatabaseError as problem:
        if isinstance(_fault(problem), StoreDamagedError):
            raise damaged(path, problem) from problem
        if problem.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    finally:
        connection.set_progress_handler(None, 0)


def _walks(connection: sqlite3.Connection) -> list[str]:
    """Return a statement for each table and each index that reads all of its pages."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    rows.sort(key=lambda row: row["tbl_name"] in _GROWING)
    walks = []
    for row in rows:
        if row["type"] == "table":
            walks.append(f'SELECT count(*) FROM "{row["name"]}" NOT INDEXED')  # noqa: S608
        elif row["type"] == "index":
            # A partial index can only count the rows of its condition. Without any condition SQLite
            # counts by the smallest index, whichever is named.
            where = _PARTIAL.search(row["sql"] or "")
            walks.append(
                f'SELECT count(*) FROM "{row["tbl_name"]}" INDEXED BY "{row["name"]}"'  # noqa: S608
                f" {where.group() if where else 'WHERE abs(1)'}"
            )
    return walks


def _statements(script: str) -> list[str]:
    """Return the statements of a script; `executescript` would commit before the first."""
    statements: list[str] = []
    statement = ""
    for part in re.split(r"(?<=;)", script):
        statement += part
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    if statement.strip():  # the last one may lack its semicolon
        statements.append(statement)
    return statements


def run_once(path: Path, job: Job[T], check: Check | None = None) -> T:
    """Run one job in a process that is not the gateway, and return its result after COMMIT.

    A running gateway reads its announcements from the table `changes`. `check`: see `migrate`.
    """
    connection = connect(path)
    try:
        migrate(connection, check)
        connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(connection)
        try:
            result = job(transaction)
            for change in transaction.changes:
                transaction.execute(
                    "INSERT INTO changes (kind, data) VALUES (?, ?)",
                    change.kind,
                    orjson.dumps(change.to_json()).decode(),
                )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result
    except sqlite3.DatabaseError as problem:
        if isinstance(_fault(problem), StoreDamagedError):
            raise damaged(path, problem) from problem
        raise
    finally:
        connection.close()


def backup(path: Path, target: Path) -> None:
    """Copy a database, even while it is served, to a new file, and check every row of the copy.

    Raises `StoreError`, and then leaves no new file.
    """
    if target.exists():
        raise StoreError(f"the file {target} already exists: name another")
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with (
            contextlib.closing(connect(path)) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            [found] = copy.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise damaged(path, found)
    except BaseException as problem:
        target.unlink(missing_ok=True)
        if isinstance(problem, sqlite3.Error | OSError):
            raise _unusable(path, problem) from problem
        raise


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


class WrittenJob:
    """A job, and what became of it."""

    __slots__ = ("changes", "failed", "job", "result")

    def __init__(self, job: Job[Any]) -> None:
        self.job = job
        self.result: Any = None
        self.failed: BaseException | None = None
        self.changes: Sequence[Announcement] = ()


class _Waiting(WrittenJob):
    __slots__ = ("future",)

    def __init__(self, job: Job[Any], future: asyncio.Future[Any]) -> None:
        super().__init__(job)
        self.future = future


class _InFlight(NamedTuple):
    batch: list[_Waiting]
    remote: RemoteWriter | None
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
        self._remote: RemoteWriter | None = None
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
            self._lock = await loop.run_in_executor(None, _lock, self.path)
            await loop.run_in_executor(None, _prepare, self.path, self._check, self._plugins)
            await self._writer
            await self._reader
            self._seen_change = await self.read(_last_change)
        except (sqlite3.Error, OSError) as problem:
            await self.close()
            raise _unusable(self.path, problem) from problem
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
        if self._remote is not None:
            await self._remote.close()
        for thread in (self._reader, self._writer):
            with contextlib.suppress(sqlite3.Error):  # nothing is lost: the WAL has every commit
                await thread.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def use_process(self) -> None:
        """Let a process of its own run portable jobs once many jobs wait. Not on Windows."""
        self._uses_process = self._lock is not None

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
            fault = _fault(problem)
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
                first = in_flight.popleft()
                committed = await first.committing
                if answering is not None:  # in the order of the commits
                    await answering
                # The next batch is committed meanwhile.
                answering = asyncio.create_task(self._answer(first.batch, committed))
                if not self._waiting and not in_flight:
                    await answering
        finally:
            self._work = None
            for each in in_flight:
                each.committing.cancel()
            if self._waiting:  # an unexpected failure must not hold up the other jobs
                self._work = asyncio.get_running_loop().create_task(self._write_all())

    def _commit_next(self, in_flight: deque["_InFlight"]) -> None:
        """Start to commit the next batches: one, or two if the process commits both."""
        while self._waiting and len(in_flight) < MAX_IN_FLIGHT:
            if in_flight and (
                self._remote is None
                or in_flight[-1].remote is not self._remote
                or not isinstance(self._waiting[0].job, PortableJob)
            ):
                return  # they must not write at the same time
            batch, remote = self._next_batch()
            committing = asyncio.create_task(self._commit_together(batch, remote))
            in_flight.append(_InFlight(batch, remote, committing))

    def _next_batch(self) -> tuple[list[_Waiting], RemoteWriter | None]:
        """Take the next jobs that can share a COMMIT, and the process to run them, if any."""
        waiting = self._waiting
        batch = [waiting.popleft()]
        if self._remote is None:
            batch += [waiting.popleft() for _ in range(min(MAX_BATCH - 1, len(waiting)))]
            return batch, None
        is_portable = isinstance(batch[0].job, PortableJob)
        most = MAX_REMOTE_BATCH if is_portable else MAX_BATCH
        while (
            waiting and len(batch) < most and isinstance(waiting[0].job, PortableJob) == is_portable
        ):
            batch.append(waiting.popleft())
        return batch, self._remote if is_portable else None

    async def _commit_together(
        self, batch: list[_Waiting], remote: RemoteWriter | None
    ) -> Sequence[Change] | Exception:
        """Commit a batch. Return the changes of other processes before it, or why it failed."""
        try:
            if remote is None:
                foreign = await self._writer.run(
                    partial(write_batch, batch=batch, seen_change=self._seen_change)
                )
            else:
                foreign = await self._commit_remotely(batch, remote)
        except asyncio.CancelledError:
            await self._answer(batch, StoreError("the store has stopped"))
            raise
        except Exception as problem:  # noqa: BLE001 - logged once the callers have their answers
            return problem
        if foreign:
            self._seen_change = max(self._seen_change, foreign[-1][0])
        return foreign

    async def _commit_remotely(
        self, batch: list[_Waiting], remote: RemoteWriter
    ) -> Sequence[Change]:
        try:
            results = await remote.commit(self._seen_change, [waiting.job for waiting in batch])
        except LostError as lost:
            if self._remote is remote:  # else another batch was in flight
                self._remote = None
                self._start_again_at = time.monotonic() + RESTART_SECONDS
                log.error("the process that writes has ended; it will be replaced")
            await remote.close()
            if lost.results is None or await self.read(_last_batch) != lost.name:
                raise StoreUnavailableError(
                    "the process that writes has ended: nothing was changed, try again"
                ) from lost
            results = lost.results
        for waiting, outcome in zip(batch, results.outcomes, strict=True):
            waiting.result, waiting.failed, waiting.changes = outcome
        return results.foreign

    def _start_process(self) -> None:
        """Start the process that runs portable jobs, unless it runs, starts, or has just failed."""
        if (
            self._remote is None
            and self._starting is None
            and time.monotonic() >= self._start_again_at
        ):
            sample = [each.job for each in self._waiting if isinstance(each.job, PortableJob)][:1]
            if sample:
                self._starting = asyncio.create_task(self._start_remote(sample))

    async def _start_remote(self, sample: Sequence[Job[Any]]) -> None:
        assert self._lock is not None  # noqa: S101 - or `use_process` has no effect
        try:
            self._remote = await RemoteWriter.start(self.path, self._lock, sample)
        except (OSError, LostError) as problem:
            self._start_again_at = time.monotonic() + RESTART_SECONDS
            log.error("the process that writes cannot be started", exc_info=problem)
        finally:
            self._starting = None

    async def _answer(self, batch: list[_Waiting], committed: Sequence[Change] | Exception) -> None:
        """Answer each caller of a batch, a few at a time, whatever happens; then log."""
        problems: list[tuple[str, Exception]] = []
        failure: StoreError | None = None
        if isinstance(committed, StoreError):
            failure = committed
        elif isinstance(committed, Exception):
            failure = _fault(committed)
            if failure is None:
                problems.append(("a commit failed", committed))
                failure = StoreError("the store failed")
        else:
            self._hear(committed, problems)
        for count, waiting in enumerate(batch, 1):
            if waiting.failed is None and failure is not None:
                waiting.failed = type(failure)(*failure.args)  # an instance for each caller
            elif waiting.failed is not None:
                waiting.failed = _fault(waiting.failed) or waiting.failed
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


def _read(job: Reading[T], connection: sqlite3.Connection) -> T:
    connection.execute("BEGIN")
    try:
        return job(Snapshot(connection))
    finally:
        connection.execute("ROLLBACK")


def _last_batch(reader: Snapshot) -> str:
    """The name of the last batch that the process has committed."""
    name: str = reader.single("SELECT name FROM last_batch")[0]
    return name


def _last_change(reader: Snapshot) -> int:
    newest: int = reader.single("SELECT coalesce(max(id), 0) FROM changes")[0]
    return newest


def write_batch(
    connection: sqlite3.Connection,
    batch: Sequence[WrittenJob],
    seen_change: int,
    prepared: Callable[[Sequence[Change]], None] | None = None,
) -> Sequence[Change]:
    """Run every job of the batch in its own savepoint, and commit them together.

    Return the rows of `changes` after `seen_change`: other processes' changes, which come before
    those of the batch. `prepared` is called with them before the COMMIT.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        foreign: list[Change] = [
            tuple(row)
            for row in connection.execute(
                "SELECT id, kind, data FROM changes WHERE id > ? ORDER BY id", (seen_change,)
            )
        ]
        for waiting in batch:
            connection.execute("SAVEPOINT job")
            transaction = Transaction(connection)
            try:
                waiting.result = waiting.job(transaction)
                waiting.changes = transaction.changes
            except Exception as problem:
                if not connection.in_transaction:
                    # On a full disk SQLite rolls back automatically: nothing of the batch is kept.
                    raise
                waiting.failed = problem
                connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
        if prepared is not None:
            prepared(foreign)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return foreign
