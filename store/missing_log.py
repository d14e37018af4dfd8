"""Notices that the write-ahead log of an SQLite file is missing.

Without its log the file is valid, but lacks the latest commits.

Rules:
- Every commit is counted, in the table `meta`. While a gateway serves, the count is also written to
  an extended attribute of the file itself, after the commits: it is never ahead of them.
- If the log is missing at the next start and the file itself counts fewer commits, the start is
  refused. If another program has written the log back into the file, it counts them all.
- A file that was put in its place has no such attribute, and is not compared.
- Only where the system has extended attributes: on Linux, on most file systems.
"""

import contextlib
import os
from pathlib import Path

from scopegate.store import meta
from scopegate.store.errors import RESTORE, StoreDamagedError
from scopegate.store.sqlite_connection import connect_untouched, log_of
from scopegate.store.transactions import COMMITS, Snapshot

_ATTRIBUTE = "user.scopegate.commits"
_FAILURES = (OSError, AttributeError)
"""What is raised where there are no extended attributes."""


def commits(reader: Snapshot) -> int:
    """Return how many commits there were."""
    return int(meta.get(reader, COMMITS) or 0)


def note(path: Path, commits: int) -> None:
    """Write down how many commits there were, if that is possible."""
    with contextlib.suppress(*_FAILURES):
        os.setxattr(path, _ATTRIBUTE, str(commits).encode())


def forget(path: Path) -> None:
    """Forget that, once the file was closed and needs no log any more."""
    with contextlib.suppress(*_FAILURES):
        if not log_of(path).exists():
            os.removexattr(path, _ATTRIBUTE)


def refuse(path: Path) -> None:
    """Raise `StoreDamagedError` if the log with the latest commits is missing."""
    try:
        noted = int(os.getxattr(path, _ATTRIBUTE))
    except (*_FAILURES, ValueError):
        return
    log = log_of(path)
    if not log.exists() and _commits_of_file(path) < noted:
        raise StoreDamagedError(
            f"the database {path} is incomplete: {log} is missing, which had the latest changes."
            f" Put it back; or {RESTORE}. To go on without these changes, run"
            f" `scopegate restore {path}`"
        )


def _commits_of_file(path: Path) -> int:
    with contextlib.closing(connect_untouched(path)) as connection:
        return commits(Snapshot(connection)) if "meta" in connection.schema_objects() else 0
