"""The numbered migrations, the gateway's and those of plugins."""

import importlib.resources
import re
from collections.abc import Callable, Mapping
from importlib.resources.abc import Traversable

from scopegate.store import meta
from scopegate.store.errors import DatabaseError, StoreError
from scopegate.store.transactions import Connection, Snapshot, Transaction

_ENDS_TRANSACTION = re.compile(
    r"(^|;)\s*(BEGIN|COMMIT|ROLLBACK)\b(?=\s*(;|$|TRANSACTION|IMMEDIATE|EXCLUSIVE|DEFERRED))",
    re.IGNORECASE,
)

_REMOVES = re.compile(r"-- removes what schema (\d+) needs\n")
"""How a migration begins after which releases up to this schema cannot use the database."""
_REQUIRED_SCHEMA = "required_schema"
"""The name in `meta` of the lowest schema that a release must know to use the database."""
_DEFAULT_REQUIRED_SCHEMA = 17
"""Used if it is not stored. Releases before that refuse every newer database."""

Check = Callable[[Snapshot], None]
"""Raises `StoreError` for a database that this program must not use."""

Migrations = Mapping[str, Traversable]
"""The folders with the migrations of plugins, by name of the plugin."""


def migrate(
    connection: Connection, check: Check | None = None, plugins: Migrations | None = None
) -> None:
    """Run the migrations that the database still needs, each in its own transaction.

    `check` is called with a database that is not new, before anything in it is changed. The
    migrations of `plugins` run after the gateway's. A database of a newer release is used as it is.

    Raises `StoreError` if a migration has removed what this release needs, or is to remove what
    gateways need that serve the database at present, and for a plugin whose tables are newer.
    """
    steps = _steps(importlib.resources.files("scopegate.store") / "migrations")
    check_schema(connection, len(steps))
    version = connection.schema_version()
    if version and check is not None:
        check(Snapshot(connection))
    for number, step in enumerate(steps[version:], version + 1):
        with connection.writing():
            # Read again inside the transaction: another process may have come first.
            if connection.schema_version() < number:
                removes = _REMOVES.match(step)
                required = int(removes.group(1)) + 1 if removes else 0
                if any(schema < required for schema in connection.served_schemas()):
                    raise StoreError(
                        "gateways of an earlier release serve this database and could not use it"
                        " any more: upgrade them first, to the release before this one"
                    )
                connection.run_script(step)
                connection.set_schema_version(number)
                if required:
                    meta.put(Transaction(connection), _REQUIRED_SCHEMA, str(required))
    for name, folder in (plugins or {}).items():
        _migrate_plugin(connection, name, _steps(folder))


def known_schema() -> int:
    """Return the number of the last migration that this release knows."""
    return len(_steps(importlib.resources.files("scopegate.store") / "migrations"))


def check_schema(connection: Connection, known: int) -> None:
    """Raise `StoreError` if a migration has removed what a release needs that knows this schema."""
    version = connection.schema_version()
    if version <= known:
        return
    try:
        stored = meta.get(Snapshot(connection), _REQUIRED_SCHEMA)
    except DatabaseError:  # it is no database of ours
        stored = str(version)
    if known < (_DEFAULT_REQUIRED_SCHEMA if stored is None else int(stored)):
        raise StoreError(
            f"the database has schema {version}, and this release knows up to {known}: use a newer"
            " release"
        )


def check_is_current(connection: Connection) -> None:
    """Raise `StoreError` unless this release can read the database as it is."""
    known = known_schema()
    check_schema(connection, known)
    version = connection.schema_version()
    if version == 0:
        raise StoreError("the database is empty or not a gateway's: name another with --db")
    if version < known:
        raise StoreError(
            f"the database has schema {version} of an earlier release, and this one needs {known}:"
            " start the gateway once, which updates the database, or use the earlier release"
        )


def has_tables(reader: Snapshot, plugin: str) -> bool:
    """Return whether migrations of this plugin have run on the database."""
    sql = "SELECT 1 FROM plugin_migrations WHERE plugin = ?"
    return reader.one(sql, plugin) is not None


def _migrate_plugin(connection: Connection, name: str, steps: list[str]) -> None:
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
        with connection.writing():
            if _version_of(connection, name) >= number:
                continue
            before = connection.schema_objects()
            try:
                connection.run_script(step)
            except DatabaseError as problem:
                raise StoreError(f"migration {number} of {name} failed: {problem}") from problem
            if not connection.in_transaction:
                raise StoreError(
                    f"migration {number} of {name} ends its transaction: leave COMMIT out"
                )
            changed = {thing for thing, _ in before.items() ^ connection.schema_objects().items()}
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


def _version_of(connection: Connection, plugin: str) -> int:
    found = connection.execute(
        "SELECT version FROM plugin_migrations WHERE plugin = ?", (plugin,)
    ).fetchone()
    return 0 if found is None else int(found[0])
