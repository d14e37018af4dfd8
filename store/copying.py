"""Copy a whole database to another one, of either engine, and compare the two."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from scopegate.store import files, missing_log
from scopegate.store.errors import DatabaseError, StoreError
from scopegate.store.location import Location
from scopegate.store.migrating import Check, Migrations, migrate
from scopegate.store.opening import require_driver
from scopegate.store.sqlite_connection import connect
from scopegate.store.transactions import Connection


def copy(
    source: Location,
    target: Location,
    check: Check | None = None,
    plugins: Migrations | None = None,
) -> dict[str, int]:
    """Copy every row of a database that nobody serves to a new one; return their numbers by table.

    The two are compared row by row, and each balance with the ledger, before the copy is committed.
    `check` and `plugins` are as for `migrate`. Raises `StoreError`; then a new file is deleted
    again, and a database of a server has empty tables.
    """
    is_new_file = False
    try:
        is_new_file = isinstance(target, Path) and not target.exists()
        with ExitStack() as stack:
            opened = stack.enter_context(_opened(source, is_source=True))
            made = stack.enter_context(_opened(target, is_source=False))
            migrate(opened, check, plugins)
            migrate(made, None, plugins)
            if (newer := opened.schema_version()) != (known := made.schema_version()):
                raise StoreError(
                    f"the database {source} has schema {newer}, and this release knows up to"
                    f" {known}: copy it with a newer release"
                )
            with opened.writing(), made.writing():
                return _copied(opened, made)
    except BaseException as problem:
        if is_new_file and isinstance(target, Path):
            for suffix in ("", "-wal", "-shm"):
                Path(f"{target}{suffix}").unlink(missing_ok=True)
        if isinstance(problem, DatabaseError | OSError):
            raise StoreError(f"cannot copy the database: {problem}") from problem
        raise


@contextmanager
def _opened(location: Location, *, is_source: bool) -> Iterator[Connection]:
    """Open a database that no gateway serves: one with tables, or a new one."""
    if isinstance(location, Path):
        if location.exists() != is_source:
            raise StoreError(
                f"there is no database {location}"
                if is_source
                else f"the file {location} already exists: name a new one"
            )
        missing_log.refuse(location)
        locked = files.lock(location)
        try:
            with closing(connect(location)) as connection:
                yield connection
        finally:
            if locked is not None:
                os.close(locked)
        return
    require_driver()
    from scopegate.store.postgresql_connection import PostgresqlConnection

    # The other database may take a while for each table, and no gateway waits for this one.
    with closing(PostgresqlConnection(location.url, allow_unsafe=True, idle_seconds=0)) as server:
        if server.claimed():
            raise StoreError(f"a gateway is serving the database {location}: stop it first")
        if (server.schema_version() > 0) != is_source:
            raise StoreError(
                f"the database {location} has no tables of a gateway"
                if is_source
                else f"the database {location} is not empty: create a new one, or delete this if an"
                " earlier copy to it has failed"
            )
        yield server


def _copied(source: Connection, target: Connection) -> dict[str, int]:
    tables = source.columns()
    unknown = sorted(tables.keys() - target.columns().keys())
    if unknown:
        raise StoreError(
            f"the database has the table {unknown[0]}, of a plugin that is not known here: name its"
            " module in the setting handlers, or install its package"
        )
    rows: dict[str, int] = {}
    digests: dict[str, int] = {}
    with target.deferred_constraints():
        for table in tables:
            target.execute(f"DELETE FROM {table}")  # noqa: S608 - what the migrations insert
        for table, columns in tables.items():
            insert = (
                f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608 - names of our own
                f" VALUES ({', '.join('?' * len(columns))})"
            )
            rows[table] = digests[table] = 0
            for row in _rows(source, table, columns):
                target.execute(insert, row)
                rows[table] += 1
                digests[table] += _digest(row)
    target.set_last_ids(source.last_ids())
    for table, columns in tables.items():
        if digests[table] != sum(map(_digest, _rows(target, table, columns))):
            raise StoreError(f"the copy of the table {table} differs from the original")
    for connection in (source, target):
        _check_ledger(connection)
    return rows


def _rows(connection: Connection, table: str, columns: list[str]) -> Iterator[tuple[object, ...]]:
    # The first columns of our tables are their key.
    order = ", ".join(columns[:3])
    names = ", ".join(columns)
    rows = connection.execute(f"SELECT {names} FROM {table} ORDER BY {order}")  # noqa: S608 - names
    return (tuple(row) for row in rows)


def _digest(row: tuple[object, ...]) -> int:
    """Return a hash of a row; the sum of those of a table does not depend on their order."""
    return int.from_bytes(hashlib.sha256(repr(row).encode()).digest())


def _check_ledger(connection: Connection) -> None:
    """Raise `StoreError` unless each balance is the sum of its entries."""
    wrong = connection.execute(
        "SELECT loginid FROM accounts WHERE balance <> (SELECT coalesce(sum(amount), 0)"
        " FROM ledger WHERE ledger.loginid = accounts.loginid) ORDER BY loginid"
    ).fetchone()
    if wrong is not None:
        raise StoreError(f"the balance of {wrong[0]} is not the sum of its ledger entries")
