"""Notices that the write-ahead log of an SQLite file is missing.

Without its log the file is valid, but lacks the latest commits.

Rules:
- While a gateway serves, the lock file beside the database holds how far the database has got. This
  is written after the commits, and not synced: it is never ahead of them.
- If the log is missing at the next start, and the file itself has not got that far, the start is
  refused. If another program has written the log back, it has, and nothing is missing.
- Another file that was put there is not compared: it is a copy of some other time.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from scopegate.store.errors import RESTORE, StoreDamagedError
from scopegate.store.transactions import Snapshot


def progress(reader: Snapshot) -> int:
    """Return how far the database has got: the sum of the ids that were ever generated."""
    total: int = reader.single("SELECT coalesce(sum(seq), 0) FROM sqlite_sequence")[0]
    return total


def note(lock_file: int, path: Path, progress: int) -> None:
    """Write down how far the database at `path` has got."""
    text = f"{path.stat().st_ino} {progress}\n".encode()
    os.pwrite(lock_file, text, 0)
    os.ftruncate(lock_file, len(text))


def forget(lock_file: int) -> None:
    """Write down that the database was closed, and needs no log any more."""
    os.ftruncate(lock_file, 0)


def refuse(path: Path) -> None:
    """Raise `StoreDamagedError` if the log with the latest commits is missing."""
    with contextlib.suppress(FileNotFoundError):
        noted = Path(f"{path}-lock").read_text().split()
        if len(noted) != 2 or Path(f"{path}-wal").exists() or path.stat().st_ino != int(noted[0]):
            return
        if _progress_of_file(path) < int(noted[1]):
            raise StoreDamagedError(
                f"the database {path} is incomplete: {path}-wal is missing, which had the latest"
                f" changes. Put it back; or {RESTORE}. To go on without these changes, delete"
                f" {path}-lock"
            )


def _progress_of_file(path: Path) -> int:
    # `immutable`: SQLite must not create a new log.
    address = f"file:{quote(str(path))}?immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone():
            return 0
        [total] = connection.execute("SELECT coalesce(sum(seq), 0) FROM sqlite_sequence").fetchone()
        return int(total)
