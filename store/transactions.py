"""A transaction as one function, what it announces, and several of them in one COMMIT.

Rules:
- A job is a whole transaction. It commits nothing itself.
- The same jobs run on SQLite and on PostgreSQL: a `Connection` is what differs.
- Jobs use `savepoint`; only this folder runs SAVEPOINT, BEGIN and COMMIT.
- After an error of a statement the transaction cannot go on, on PostgreSQL: a job that goes on
  after one has run the statement in a `savepoint`.
- Where a server has the database, each statement waits for an answer of the network, while no other
  gateway writes. Jobs that run often use `execute_later` and `ask_ahead`.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any, ClassVar, Generic, Protocol, Self, TypeAlias, TypeVar, cast

import orjson

T = TypeVar("T")


class Row(Protocol):
    """A row of a result: its values by name or by position; `dict(row)` has them by name."""

    def __getitem__(self, key: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...

    def keys(self) -> list[str]:
        """Return the names."""
        ...


class Cursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement has changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row; `None` at the end."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all further rows."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


Query: TypeAlias = tuple[str, *tuple[Any, ...]]
"""The SQL of a SELECT and its parameters: the arguments of `one`, `single` or `all`."""


class Connection(Protocol):
    """A connection to a database, as far as SQLite and PostgreSQL differ."""

    stored_changes: int | None
    """The number of rows of `changes` that retention leaves for processes which have not read them
    yet; `None` if the store deletes older ones by itself."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement, whose parameters are marked `?`."""
        ...

    def execute_later(self, sql: str, parameters: Sequence[Any] = ..., /) -> None:
        """Run one statement whose result nobody needs, now or together with a later one.

        A later statement or `flush` may raise its error.
        """
        ...

    def flush(self) -> None:
        """Run what `execute_later` has left."""
        ...

    def ask_ahead(self, queries: Sequence[Query], /) -> None:
        """Run these queries together, for `execute` with the same SQL and parameters."""
        ...

    def insert(self, sql: str, parameters: Sequence[Any], /) -> int:
        """Insert one row, and return its `id`."""
        ...

    def now(self) -> float:
        """Return the real time by the clock of the database, in seconds since 1970."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Run a block as one transaction that writes, the only one at that time.

        COMMIT after it, ROLLBACK if it raises.
        """
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Run a block that only reads, on one snapshot."""
        ...

    def count_commit(self) -> None:
        """Count this transaction, where files can be lost that hold the latest ones."""
        ...

    def served_schemas(self) -> Collection[int]:
        """Return the schemas that the gateways know which serve the database at present."""
        ...

    def schema_version(self) -> int:
        """Return the number of the last migration; 0 for a new database."""
        ...

    def set_schema_version(self, number: int) -> None:
        """Store the number of the last migration."""
        ...

    def schema_objects(self) -> dict[str, str]:
        """Return the definition of each table, index, view and trigger by name."""
        ...

    def columns(self) -> dict[str, list[str]]:
        """Return the names of the columns of each table, in order."""
        ...

    def deferred_constraints(self) -> AbstractContextManager[None]:
        """Check references between rows at the end of a block, within the open transaction."""
        ...

    def last_ids(self) -> dict[str, int]:
        """Return the last generated id of each table that has generated ids."""
        ...

    def set_last_ids(self, ids: Mapping[str, int]) -> None:
        """Set the last generated id of each table."""
        ...

    def run_script(self, script: str) -> None:
        """Run the statements of a migration within the open transaction."""
        ...

    def note_explicit_ids(self, table: str) -> None:
        """Let generated ids continue after the largest of this table."""
        ...


Change = tuple[int, str, str]
"""A row of `changes`: its id, the kind of the announcement, and its fields as JSON."""
COMMITS = "commits"
"""The name in `meta` under which an SQLite file counts its commits."""
SEVERAL = "several"
"""The kind of a row with several announcements: a list of kinds, each with its fields."""


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
        """Return the announcement with these fields; others are those of a later release.

        Raises `TypeError` if a field is missing.
        """
        names = {each.name for each in fields(cast("Any", cls))}
        return cls(**{name: value for name, value in data.items() if name in names})


class Snapshot:
    """The database at one moment, for reading."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
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

    def ask_ahead(self, *queries: Query) -> None:
        """Run queries together that `one`, `single` or `all` will ask for next, once each.

        Their answers are dropped when a statement changes something.
        """
        self._connection.ask_ahead(queries)

    def now(self) -> float:
        """Return the real time, in seconds since 1970, by the clock that all gateways share."""
        return self._connection.now()

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Run a block in a savepoint: after a query in it that fails, others can follow.

        The exception is raised on.
        """
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except Exception:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

    @property
    def stored_changes(self) -> int | None:
        """The number of rows of `changes` that retention leaves; `None` if the store does that."""
        return self._connection.stored_changes


class Transaction(Snapshot):
    """The argument of a job: runs SQL within one transaction."""

    __slots__ = ("actor", "changes")

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.changes: list[Announcement] = []
        self.actor = ""
        """Who acts, for the audit trail; empty if the gateway itself does."""

    def execute(self, sql: str, *parameters: Any) -> Cursor:
        """Run one statement."""
        return self._connection.execute(sql, parameters)

    def execute_later(self, sql: str, *parameters: Any) -> None:
        """Run one statement whose result nobody needs, now or together with a later one.

        A later statement, the end of a `savepoint` or the end of the job may raise its error.
        """
        self._connection.execute_later(sql, parameters)

    def insert(self, sql: str, *parameters: Any) -> int:
        """Insert one row, and return its id."""
        return self._connection.insert(sql, parameters)

    def note_explicit_ids(self, table: str) -> None:
        """Call this after inserting a row with a chosen `id`: later ones continue after it."""
        self._connection.note_explicit_ids(table)

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
            self._connection.flush()
        except Exception:
            if self._connection.in_transaction:  # else a full disk has rolled back the whole batch
                with contextlib.suppress(Exception):  # what is queued is undone in any case
                    self._connection.flush()
                self.execute("ROLLBACK TO part")
                self.execute("RELEASE part")
            del self.changes[announced:]
            raise
        self.execute_later("RELEASE part")


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


class WrittenJob:
    """A job, and what became of it."""

    __slots__ = ("changes", "failed", "job", "result")

    def __init__(self, job: Job[Any]) -> None:
        self.job = job
        self.result: Any = None
        self.failed: BaseException | None = None
        self.changes: Sequence[Announcement] = ()


def write_batch(
    connection: Connection,
    batch: Sequence[WrittenJob],
    seen_change: int,
    prepared: Callable[[Sequence[Change]], None] | None = None,
) -> Sequence[Change]:
    """Run every job of the batch in its own savepoint, and commit them together.

    Return the rows of `changes` after `seen_change`: other processes' changes, which come before
    those of the batch. `prepared` is called with them before the COMMIT.
    """
    with connection.writing():
        foreign = changes_after(connection, seen_change)
        run_jobs(connection, batch)
        connection.count_commit()
        if prepared is not None:
            prepared(foreign)
    return foreign


def run_jobs(connection: Connection, batch: Sequence[WrittenJob]) -> None:
    """Run every job of the batch in its own savepoint of the transaction that has begun."""
    for waiting in batch:
        connection.execute("SAVEPOINT job")
        transaction = Transaction(connection)
        try:
            waiting.result = waiting.job(transaction)
            connection.flush()
            waiting.changes = transaction.changes
        except Exception as problem:
            if not connection.in_transaction:
                # On a full disk SQLite rolls back automatically: nothing of the batch is kept.
                raise
            waiting.failed = problem
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")


def changes_after(connection: Connection, seen_change: int) -> Sequence[Change]:
    """Return the rows of `changes` after this one."""
    rows = connection.execute(
        "SELECT id, kind, data FROM changes WHERE id > ? ORDER BY id", (seen_change,)
    )
    return [tuple(row) for row in rows.fetchall()]


def read(job: Reading[T], connection: Connection) -> T:
    """Run a function that only reads, on one snapshot."""
    with connection.reading():
        return job(Snapshot(connection))


def commit_once(connection: Connection, job: Job[T]) -> T:
    """Run one job in a process that is not the gateway, and return its result after COMMIT.

    A running gateway reads its announcements from the table `changes`: one row, as only so many
    are stored.
    """
    with connection.writing():
        transaction = Transaction(connection)
        result = job(transaction)
        if transaction.changes:
            several = [(change.kind, change.to_json()) for change in transaction.changes]
            record(connection, SEVERAL, several)
        connection.count_commit()
    return result


def record(connection: Connection, kind: str, data: object) -> int:
    """Add a row to `changes` and return its id; `data` is stored as JSON."""
    return connection.insert(
        "INSERT INTO changes (kind, data) VALUES (?, ?)", (kind, orjson.dumps(data).decode())
    )
