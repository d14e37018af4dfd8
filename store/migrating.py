"""The numbered migrations, the gateway's and those of plugins."""

import importlib.resources
import re
import sqlite3
from collections.abc import Callable, Mapping
from importlib.resources.abc import Traversable

from scopegate.store.errors import StoreError
from scopegate.store.transactions import immediate

_ENDS_TRANSACTION = re.compile(
    r"(^|;)\s*(BEGIN|COMMIT|ROLLBACK)\b(?=\s*(;|$|TRANSACTION|IMMEDIATE|EXCLUSIVE|DEFERRED))",
    re.IGNORECASE,
)

Check = Callable[[sqlite3.Connection], None]
"""Raises `StoreError` for a database that this program must not use."""

Migrations = Mapping[str, Traversable]
"""The folders with the migrations of plugins, by name of the plugin."""


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
        with immediate(connection):
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
        with immediate(connection):
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


def _run_script(connection: sqlite3.Connection, script: str) -> None:
    for statement in _statements(script):
        connection.execute(statement)


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
