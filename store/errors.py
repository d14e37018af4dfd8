"""The errors of the database, and the conversion of SQLite's to them."""

import sqlite3
from pathlib import Path

from scopegate.runtime.supervisor import ReportedError

DatabaseError = sqlite3.Error
"""What a statement raises. PostgreSQL's errors are raised as classes of `sqlite3` too."""
ConstraintError = sqlite3.IntegrityError
"""What a statement raises whose row a constraint does not allow."""

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

RESTORE = (
    "stop the gateway and run `scopegate restore BACKUP` with your latest backup;"
    " docs/operating.md shows how"
)
"""What to do about a damaged database."""


class StoreError(Exception):
    """The store could not do what it was asked; nothing was changed, unless the text says so."""


class StoreUnavailableError(StoreError, ReportedError):
    """The database cannot be used now: the disk is full, or the server is lost. Try again later."""


class StoreBusyError(StoreUnavailableError):
    """Too many jobs are waiting, or one has waited for too long."""


class StoreDamagedError(StoreUnavailableError):
    """A part of the database that is needed is damaged; trying again will not help."""


def fault_of(problem: BaseException) -> StoreUnavailableError | None:
    """Convert a fault of the machine to the error for callers; `None` for any other problem."""
    if isinstance(problem, StoreUnavailableError):
        return problem
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    if code in _DAMAGED:
        return StoreDamagedError(f"the database is damaged ({problem}): {RESTORE}")
    if code in _UNAVAILABLE or isinstance(problem, OSError):
        return StoreUnavailableError(f"the database cannot be used at present: {problem}")
    return None


def is_write_by_reader(problem: Exception) -> bool:
    """Return whether a reader tried to write: a bug, not a disk that cannot be written."""
    return getattr(problem, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY


def damaged(path: Path, problem: object) -> StoreDamagedError:
    """Return the error for a damaged database, which says what to do."""
    what = " ".join(str(problem).split())
    return StoreDamagedError(f"the database {path} is damaged ({what}): {RESTORE}")


def unusable(path: Path, problem: Exception) -> StoreError:
    """Return the error for a database that cannot be opened or copied."""
    if isinstance(fault_of(problem), StoreDamagedError):
        return damaged(path, problem)
    return StoreError(f"cannot use the database {path}: {problem}")
