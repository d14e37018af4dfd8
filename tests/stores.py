"""Where the databases of tests are: in SQLite files, or all on one PostgreSQL server.

`SCOPEGATE_TEST_STORE=postgresql` moves every database that a test names by a path to a database of
the shared server (`make test-postgresql`).
"""

import functools
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from scopegate.settings import Settings
from scopegate.store import files, opening
from scopegate.store.location import Location, Server
from scopegate.store.migrating import Check, migrate
from scopegate.store.sqlite_connection import SqliteConnection, connect
from scopegate.store.transactions import Connection, Job, T
from tests import postgresql

ON_POSTGRESQL = os.environ.get("SCOPEGATE_TEST_STORE") == "postgresql"

_DATABASES = re.compile(
    r"\b(worlds?|served?|serving|gateways?|scenes?|stores?|scopegate\.run|connected)\b",
    re.IGNORECASE,
)
"""What only files mention whose tests need a database."""

_databases: dict[Path, Server] = {}


def at(path: Path) -> Location:
    """Where the database is that a test names by this path."""
    path = path.resolve() if ON_POSTGRESQL or _databases else path
    if not ON_POSTGRESQL and path not in _databases:
        return path
    if path not in _databases:
        _databases[path] = postgresql.new_database()
    return _databases[path]


def place(path: Path, server: Server | None = None) -> None:
    """Let a test's database be on the server although the others are in files."""
    _databases[path.resolve()] = server or postgresql.new_database()


def option(path: Path) -> tuple[str, str]:
    """The option of commands that names this database."""
    location = at(path)
    return ("--db", str(location)) if isinstance(location, Path) else ("--store", str(location))


def serve_options(path: Path) -> tuple[str, ...]:
    """The options of `serve` for this database; the tests' server need not write to the disk."""
    unsafe = ("--store-unsafe",) if isinstance(at(path), Server) else ()
    return (*option(path), *unsafe)


def run_once(path: Path, job: Job[T], check: Check | None = None) -> T:
    """Run a job on this database as another process does; a missing file is created."""
    location = at(path)
    if isinstance(location, Path):
        return files.run_once(location, job, check)
    return opening.run_once(location, job, check)


def opened(location: Location) -> Connection:
    """A connection of another process."""
    if isinstance(location, Path):
        return connect(location)
    from scopegate.store.postgresql_connection import PostgresqlConnection

    return PostgresqlConnection(location.url, allow_unsafe=True, idle_seconds=0)


def connected(location: Location) -> AbstractContextManager[Connection]:
    """The same until the end of a block."""
    return closing(opened(location))


def new() -> Connection:
    """A connection to a new database with the tables of the gateway; in memory if it can be."""
    if ON_POSTGRESQL:
        return opened(postgresql.new_database())
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=SqliteConnection)
    connection.row_factory = sqlite3.Row
    migrate(connection)
    return connection


@contextmanager
def snapshot(path: Path) -> Iterator[Connection]:
    """A database as it is at one moment, read by another process."""
    with connected(at(path)) as connection, connection.reading():
        yield connection


def faults(path: Path) -> list[str]:
    """What is wrong with the file of a database, and with its references."""
    if isinstance(at(path), Server):
        return []
    with closing(sqlite3.connect(path)) as database:
        return [
            str(row)
            for check in ("integrity_check", "foreign_key_check")
            for row in database.execute(f"PRAGMA {check}")
            if row != ("ok",)
        ]


def content(path: Path) -> str:
    """Everything that a database has, and its files if it has any."""
    location = at(path)
    if isinstance(location, Server):
        return postgresql.dump(location)
    with closing(sqlite3.connect(location)) as database:
        dumped = "\n".join(database.iterdump())
    files = (each.read_bytes() for each in location.parent.glob(f"{location.name}*"))
    return dumped + b"".join(files).decode("latin-1")


@functools.cache
def are_used_by(test_file: Path) -> bool:
    """Whether a test file uses a database: by a gateway, or by itself."""
    return _DATABASES.search(test_file.read_text()) is not None


def move() -> None:
    """Let gateways within this process use the databases of `at`."""
    if ON_POSTGRESQL:
        original = Settings.location.fget
        assert original is not None

        def location(settings: Settings) -> Location:
            found: Location = original(settings)
            return at(found) if isinstance(found, Path) else found

        Settings.location = property(location)  # type: ignore[method-assign]
