"""A transaction as one function, what it announces, and several of them in one COMMIT.

Rules:
- A job is a whole transaction. It commits nothing itself.
- SQL stays plain: savepoints are used here only, `BEGIN IMMEDIATE` in this folder only.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

T = TypeVar("T")

Row = sqlite3.Row

Change = tuple[int, str, str]
"""A row of `changes`: its id, the kind of the announcement, and its fields as JSON."""


@contextlib.contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one transaction that writes: COMMIT after it, ROLLBACK if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # else a full disk has rolled it back
            connection.execute("ROLLBACK")
        raise


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


class WrittenJob:
    """A job, and what became of it."""

    __slots__ = ("changes", "failed", "job", "result")

    def __init__(self, job: Job[Any]) -> None:
        self.job = job
        self.result: Any = None
        self.failed: BaseException | None = None
        self.changes: Sequence[Announcement] = ()


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
    with immediate(connection):
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
    return foreign
