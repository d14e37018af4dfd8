"""The database at a location, by the engine that it needs."""

from pathlib import Path

from scopegate.store import files
from scopegate.store.errors import DatabaseError, StoreError
from scopegate.store.location import Location
from scopegate.store.migrating import Check, Migrations
from scopegate.store.sqlite import SqliteStore
from scopegate.store.store import Store
from scopegate.store.transactions import Job, Reading, T


def store_at(
    location: Location, check: Check | None = None, plugins: Migrations | None = None
) -> Store:
    """Return the access to a database, which is not open yet; arguments as for `migrate`.

    Raises `StoreError` if the driver is missing.
    """
    if isinstance(location, Path):
        return SqliteStore(location, check, plugins)
    require_driver()
    from scopegate.store.postgresql import PostgresqlStore

    return PostgresqlStore(location, check, plugins)


def check(location: Location) -> None:
    """Check the database of a gateway before it starts, if it exists. Raises `StoreError`."""
    if isinstance(location, Path):
        files.check_file(location)
    else:
        require_driver()


def run_once(location: Location, job: Job[T], check: Check | None = None) -> T:
    """Run one job in a process that is not the gateway, and return its result after COMMIT.

    `check`: see `migrate`. Raises `StoreError` if the database cannot be used or does not exist.
    """
    try:
        _check_exists(location)
        if isinstance(location, Path):
            return files.run_once(location, job, check)
        require_driver()
        from scopegate.store import postgresql

        return postgresql.run_once(location, job, check)
    except (DatabaseError, OSError) as problem:
        raise StoreError(f"cannot use the database {location}: {problem}") from problem


def read_once(location: Location, job: Reading[T]) -> T:
    """Run a job that only reads on one snapshot, in a process that is not the gateway.

    Nothing is changed, not even by a migration. Raises `StoreError` if the database cannot be used,
    does not exist or has the schema of another release.
    """
    try:
        _check_exists(location)
        if isinstance(location, Path):
            return files.read_once(location, job)
        require_driver()
        from scopegate.store import postgresql

        return postgresql.read_once(location, job)
    except (DatabaseError, OSError) as problem:
        raise StoreError(f"cannot use the database {location}: {problem}") from problem


def _check_exists(location: Location) -> None:
    if isinstance(location, Path) and not location.exists():
        raise StoreError(
            f"there is no database {location}: create it with scopegate serve, or name another"
            " with --db"
        )


def require_driver() -> None:
    """Raise `StoreError` unless the driver of PostgreSQL can be imported."""
    try:
        import psycopg.pq  # noqa: F401 - whether it can be imported
    except ImportError as problem:
        raise StoreError(
            "the PostgreSQL driver is not installed: run `pip install 'scopegate[postgresql]'`"
            f" ({problem})"
        ) from None
