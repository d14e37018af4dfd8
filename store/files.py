"""The file of the database: opened, locked, checked, copied, and written by other programs."""

import contextlib
import os
import re
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # on Windows, where nothing keeps a second gateway off the file
    fcntl = None  # type: ignore[assignment]

from scopegate.store import missing_log
from scopegate.store.errors import StoreDamagedError, StoreError, damaged, fault_of, unusable
from scopegate.store.migrating import Check, Migrations, check_is_current, migrate
from scopegate.store.sqlite_connection import connect, connect_untouched, log_of
from scopegate.store.transactions import Job, Reading, T, commit_once, read

LOCK_SECONDS = 1.0
"""Seconds that the processes of a gateway that was killed have to end."""
CHECK_SECONDS = 0.5
"""Seconds that the check at start may take; pages not reached by then are trusted."""
SMALL_FILE = 16 * 1024 * 1024
"""Size in bytes up to which the check at start also checks the contents of pages."""
_PARTIAL = re.compile(r"\bWHERE\b.*", re.DOTALL)

_GROWING = ("contracts", "ledger")
"""The tables that grow without bound."""


def lock(path: Path) -> int | None:
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


def is_served(path: Path) -> bool:
    """Return whether a gateway of another process serves the database, if that can be known."""
    try:
        descriptor = os.open(f"{path}-lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def prepare(path: Path, check: Check | None, plugins: Migrations) -> None:
    """Open and migrate the database once."""
    missing_log.refuse(path)
    with contextlib.closing(connect(path)) as connection:
        migrate(connection, check, plugins)


def check_file(path: Path) -> None:
    """Check the database before it is served, if the file exists. Raises `StoreError`."""
    try:
        if not path.exists():
            return
        missing_log.refuse(path)
        with contextlib.closing(connect(path)) as connection:
            check(connection, path)
    except (sqlite3.Error, OSError) as problem:
        raise unusable(path, problem) from problem


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
        if isinstance(fault_of(problem), StoreDamagedError):
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


def run_once(path: Path, job: Job[T], check: Check | None = None) -> T:
    """Run one job in a process that is not the gateway, and return its result after COMMIT.

    `check`: see `migrate`.
    """
    try:
        missing_log.refuse(path)
        with contextlib.closing(connect(path)) as connection:
            connection.is_served = is_served(path)
            migrate(connection, check)
            return commit_once(connection, job)
    except sqlite3.DatabaseError as problem:
        if isinstance(fault_of(problem), StoreDamagedError):
            raise damaged(path, problem) from problem
        raise


def read_once(path: Path, job: Reading[T]) -> T:
    """Run a job on one snapshot in a process that is not the gateway; the files stay as they are.

    Raises `StoreError` for a file that cannot be used.
    """
    try:
        missing_log.refuse(path)
        while True:
            before = _state(path)
            with contextlib.closing(connect_untouched(path)) as connection:
                check_is_current(connection)
                result = read(job, connection)
            after = _state(path)
            # A file without a log is read without locks: a gateway may have started meanwhile.
            if after == before or (before.has_log and after.has_log):
                return result
    except (sqlite3.Error, OSError) as problem:
        raise unusable(path, problem) from problem


class _State(NamedTuple):
    """What tells whether a file has changed."""

    has_log: bool
    number: int
    size: int
    changed_at: int


def _state(path: Path) -> _State:
    found = path.stat()
    return _State(log_of(path).exists(), found.st_ino, found.st_size, found.st_mtime_ns)


def backup(path: Path, target: Path) -> None:
    """Copy a database, even while it is served, to a new file, and check every row of the copy.

    Raises `StoreError`, and then leaves no new file.
    """
    try:
        if not path.exists():
            raise StoreError(f"there is no database {path}: name it with --db")
        if target.exists():
            raise StoreError(f"the file {target} already exists: name another")
        missing_log.refuse(path)
        with contextlib.closing(connect(path)) as source:
            damage = _copy(source, target)
    except (sqlite3.Error, OSError) as problem:
        if isinstance(fault_of(problem), StoreDamagedError):
            raise damaged(path, problem) from problem
        raise StoreError(f"cannot copy {path} to {target}: {problem}") from problem
    if damage:
        raise damaged(path, damage)


def _copy(source: sqlite3.Connection, target: Path) -> str:
    """Copy a database to a new file; return what is wrong with the copy, or an empty text.

    If something is, or it raises `sqlite3.Error` or `OSError`, there is no new file. One that was
    there already is left as it is.
    """
    found = ""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            [found] = copy.execute("PRAGMA integrity_check(1)").fetchone()
    finally:
        if found != "ok":
            target.unlink(missing_ok=True)
    return "" if found == "ok" else found


def restore(path: Path, source: Path) -> Path | None:
    """Put a backup in the place of a database that no gateway serves.

    Return the new name of the file that was there, with its log beside it; `None` if there was
    none. Raises `StoreError`, and then the database is what it was.
    """
    path = path.resolve()
    copy = path.with_name(f"{path.name}-restoring")
    descriptor = None
    try:
        if not source.is_file():
            raise StoreError(f"there is no backup {source}")
        if source.resolve() == copy:
            raise StoreError(f"{source} was left by a restore that did not end: name the backup")
        descriptor = lock(path)
        try:
            copy.unlink(missing_ok=True)  # of an attempt that did not end
            _copy_of_backup(source, copy)
            return _exchange(path, copy)
        finally:  # not without the lock: it would be the copy of another restore
            with contextlib.suppress(OSError):
                copy.unlink(missing_ok=True)
    except (sqlite3.Error, OSError) as problem:
        raise StoreError(f"cannot restore {path}: {problem}") from problem
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _copy_of_backup(source: Path, copy: Path) -> None:
    """Copy and check a backup, and make sure that it is on the disk.

    Raises `StoreError` if the backup cannot be used, else `sqlite3.Error` or `OSError`.
    """
    try:
        # It may be on a medium that cannot be written.
        with contextlib.closing(connect_untouched(source)) as connection:
            if "meta" not in connection.schema_objects():
                raise StoreError(f"{source} is no database of a gateway")
            damage = _copy(connection, copy)
    except sqlite3.DatabaseError as problem:
        if not isinstance(fault_of(problem), StoreDamagedError):
            raise
        damage = str(problem)
    if damage:
        raise StoreError(f"the backup {source} is damaged ({damage}): use an older one")
    with copy.open("r+b") as file:
        os.fsync(file.fileno())


def _exchange(path: Path, new: Path) -> Path | None:
    """Give the files of a database another name, and a new file its name; return the new name.

    Raises `OSError`, and then everything has its old name.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (path.with_name(f"{path.name}.replaced-{stamp}{more}") for more in ("", *"abcdefgh"))
    kept = next(name for name in names if not name.exists())
    moved: list[str] = []
    try:
        if path.exists():
            moved.append("")
            os.link(path, kept)  # so that there is a database at each moment
        for suffix in ("-wal", "-journal"):
            if Path(f"{path}{suffix}").exists():
                os.rename(f"{path}{suffix}", f"{kept}{suffix}")
                moved.append(suffix)
        Path(f"{path}-shm").unlink(missing_ok=True)
        _sync_folder(path.parent)  # the old log must never be beside the new file
        os.replace(new, path)
    except BaseException:
        for suffix in moved:
            with contextlib.suppress(OSError):
                if suffix:
                    os.rename(f"{kept}{suffix}", f"{path}{suffix}")
                else:
                    kept.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)
    return kept if moved else None


def _sync_folder(folder: Path) -> None:
    """Make sure that the names of files are on the disk."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
