"""Starts a gateway that loses what it acknowledges if the power fails: `MUTANT serve ...`.

A kill finds none of them, because the system writes what a killed process has left.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from scopegate import cli
from scopegate.store.sqlite import SqliteStore
from scopegate.store.sqlite_connection import SqliteConnection


def _with_synchronous(mode: str) -> None:
    execute = SqliteConnection.execute

    def executed(self: SqliteConnection, sql: str, *parameters: Any) -> Any:
        if sql == "PRAGMA synchronous = FULL":
            sql = f"PRAGMA synchronous = {mode}"
        return execute(self, sql, *parameters)

    SqliteConnection.execute = executed  # type: ignore[method-assign,assignment]


def never_synced() -> None:
    """No commit is synced."""
    _with_synchronous("OFF")


def synced_at_checkpoints() -> None:
    """Commits are synced when the log is written back into the file, not at once."""
    _with_synchronous("NORMAL")


def reply_before_commit() -> None:
    """Answers go out when a transaction is complete, and its COMMIT follows."""
    SqliteStore.use_process = lambda self: None  # type: ignore[method-assign]

    @contextlib.contextmanager
    def postponed(self: SqliteConnection) -> Iterator[None]:
        if self.in_transaction:
            self.execute("COMMIT")
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise

    SqliteConnection.writing = postponed  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant for mutant in (never_synced, synced_at_checkpoints, reply_before_commit)
}

if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    cli.main()
