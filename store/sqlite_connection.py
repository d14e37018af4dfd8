"""A connection to an SQLite file."""

import contextlib
import hashlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scopegate.store.transactions import COMMITS, Query

BUSY_TIMEOUT = 5.0
"""Seconds to wait while another process writes."""
MAX_STORED_CHANGES = 2_000
"""Rows of `changes` that are stored for worker processes which have not read them yet."""

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "convert_to": str.encode,
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "encode": lambda data, form: {"hex": data.hex()}[form],
}
"""Functions of PostgreSQL that SQLite lacks, for `encode(sha256(convert_to(x, 'UTF8')), 'hex')`."""


class SqliteConnection(sqlite3.Connection):
    """A connection of Python's `sqlite3`, as a `Connection` of this package."""

    stored_changes: int | None = MAX_STORED_CHANGES
    _changes_before = 0
    """`total_changes` when the transaction began."""
    is_served = False
    """Whether it was opened while a gateway of another process serves the file."""

    def execute_later(self, sql: str, parameters: Sequence[Any] = (), /) -> None:
        """Run one statement at once: there is no network to wait for."""
        self.execute(sql, parameters)

    def flush(self) -> None:
        """Do nothing: nothing is left."""

    def ask_ahead(self, queries: Sequence[Query], /) -> None:
        """Do nothing: there is no network to wait for."""

    def insert(self, sql: str, parameters: Sequence[Any], /) -> int:
        """Insert one row, and return its id."""
        row_id = self.execute(sql, parameters).lastrowid
        assert row_id is not None  # noqa: S101 - only INSERT is given here
        return row_id

    def now(self) -> float:
        """Return the real time: an SQLite file is on this machine."""
        return time.time()

    def count_commit(self) -> None:
        """Count this transaction if it has changed anything, so that a lost log is noticed."""
        if self.total_changes == self._changes_before:
            return
        self.execute(
            "INSERT INTO meta (name, value) VALUES (?, '1')"
            " ON CONFLICT (name) DO UPDATE SET value = value + 1",
            (COMMITS,),
        )

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Run a block as one transaction that writes: COMMIT after it, ROLLBACK if it raises."""
        self.execute("BEGIN IMMEDIATE")
        self._changes_before = self.total_changes
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.in_transaction:  # else a full disk has rolled it back
                self.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Run a block that only reads, on one snapshot."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.execute("ROLLBACK")

    def served_schemas(self) -> Collection[int]:
        """Return 0, for a schema that is not known, if another process serves the file."""
        return (0,) if self.is_served else ()

    def schema_version(self) -> int:
        """Return the number of the last migration; 0 for a new database."""
        number: int = self.execute("PRAGMA user_version").fetchone()[0]
        return number

    def set_schema_version(self, number: int) -> None:
        """Store the number of the last migration."""
        self.execute(f"PRAGMA user_version = {number:d}")

    def schema_objects(self) -> dict[str, str]:
        """Return the SQL of each table, index, view and trigger by name, without automatic ones."""
        rows = self.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        return {row[0]: row[1] for row in rows.fetchall()}

    def columns(self) -> dict[str, list[str]]:
        """Return the names of the columns of each table, in order."""
        found: dict[str, list[str]] = {}
        for table, column in self.execute(
            "SELECT tables.name, columns.name FROM sqlite_schema AS tables"
            " JOIN pragma_table_info(tables.name) AS columns"
            " WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'"
            " ORDER BY tables.rowid, columns.cid"
        ):
            found.setdefault(table, []).append(column)
        return found

    @contextlib.contextmanager
    def deferred_constraints(self) -> Iterator[None]:
        """Check references between rows at the end of a block, within the open transaction."""
        self.execute("PRAGMA defer_foreign_keys = ON")  # until the COMMIT, which checks them
        yield
        broken = self.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise sqlite3.IntegrityError(f"a row of {broken[0]} refers to none of {broken[2]}")

    def last_ids(self) -> dict[str, int]:
        """Return the last generated id of each table that has generated ids."""
        rows = self.execute("SELECT name, seq FROM sqlite_sequence")
        return {row[0]: row[1] for row in rows}

    def set_last_ids(self, ids: Mapping[str, int]) -> None:
        """Set the last generated id of each table."""
        known = self.last_ids()
        numbered = "SELECT 1 FROM sqlite_schema WHERE name = ? AND sql LIKE '%AUTOINCREMENT%'"
        for table, number in ids.items():
            if table in known:
                self.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (number, table))
            elif self.execute(numbered, (table,)).fetchone() is not None:
                self.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number)
                )

    def run_script(self, script: str) -> None:
        """Run the statements of a migration; `executescript` would commit before the first.

        They may use `_FUNCTIONS`, as on PostgreSQL.
        """
        for name, function in _FUNCTIONS.items():
            self.create_function(name, -1, function)
        for statement in statements(script):
            self.execute(statement)

    def note_explicit_ids(self, table: str) -> None:
        """Do nothing: SQLite continues after the largest id."""


def connect(path: Path, *, read_only: bool = False) -> SqliteConnection:
    """Return a connection with the pragmas of all of ours. A new file has mode 0600."""
    if not read_only:
        # Created before SQLite opens it: the WAL and shared-memory files copy its mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        factory=SqliteConnection,
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


def log_of(path: Path) -> Path:
    """Return the name of the log, which SQLite keeps beside the file that a link leads to."""
    return Path(f"{path.resolve()}-wal")


def connect_untouched(path: Path) -> SqliteConnection:
    """Return a connection that only reads, and creates no log beside a file that has none.

    It reads a file without a log as if nobody could change it: no gateway may start meanwhile.
    """
    mode = "mode=ro" if log_of(path).exists() else "immutable=1"
    connection = sqlite3.connect(
        f"file:{quote(str(path.resolve()))}?{mode}", uri=True, factory=SqliteConnection
    )
    connection.row_factory = sqlite3.Row
    return connection


def statements(script: str) -> list[str]:
    """Return the statements of a script."""
    found: list[str] = []
    statement = ""
    for part in re.split(r"(?<=;)", script):
        statement += part
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    if statement.strip():  # the last one may lack its semicolon
        found.append(statement)
    return found
