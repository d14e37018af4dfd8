"""Gateways with a fault in how they share a database: `MUTANT serve ...`.

As in `trading_mutants.py`, nothing of the product is edited, and all is well as long as nothing
else fails or races.
"""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from scopegate import cli
from scopegate.exchange import desk, ledger
from scopegate.exchange.book import BoughtContract, Purchase
from scopegate.store import postgresql as engine
from scopegate.store.postgresql import PostgresqlStore
from scopegate.store.postgresql_connection import PostgresqlConnection
from scopegate.store.postgresql_listener import Listener
from scopegate.store.transactions import Announcement, Snapshot, WrittenJob

WINDOW = 0.05
"""Seconds for which a transaction is open that should have been committed, or not told of yet."""


def reply_before_commit() -> None:
    """The COMMIT follows a moment after the replies, before the next batch begins."""
    write, simple = PostgresqlStore._write, PostgresqlConnection.simple
    writing: list[PostgresqlStore] = []

    def written(
        self: PostgresqlStore, batch: Sequence[WrittenJob], connection: PostgresqlConnection
    ) -> Any:
        writing.append(self)
        try:
            return write(self, batch, connection)
        finally:
            writing.clear()

    def postponed(self: PostgresqlConnection, sql: bytes) -> Any:
        if not writing or b"COMMIT; NOTIFY" not in sql:
            return simple(self, sql)

        def commit() -> None:
            time.sleep(WINDOW)
            simple(self, sql)

        return writing[0]._writer._executor.submit(commit)

    PostgresqlStore._write = written  # type: ignore[method-assign]
    PostgresqlConnection.simple = postponed  # type: ignore[method-assign]


def announced_before_commit() -> None:
    """Sessions get what a transaction announces a moment before its COMMIT."""
    open_, recording = PostgresqlStore.open, engine._recording
    stores: list[tuple[PostgresqlStore, asyncio.AbstractEventLoop]] = []

    async def opened(self: PostgresqlStore) -> None:
        stores.append((self, asyncio.get_running_loop()))
        await open_(self)

    def recorded(
        connection: PostgresqlConnection, row_id: int, made: Sequence[Announcement], **options: Any
    ) -> bytes:
        [(store, loop)] = stores

        def tell() -> None:
            for change in made:
                store._announce(change, [])

        statements = recording(connection, row_id, made, **options)
        loop.call_soon_threadsafe(tell)
        time.sleep(WINDOW)
        store._own[row_id] = []
        return statements

    PostgresqlStore.open = opened  # type: ignore[method-assign]
    engine._recording = recorded


def token_checked_beforehand() -> None:
    """A purchase checks its token in a transaction of its own, before the one that buys."""
    buy = desk.Desk.buy

    async def bought(
        self: desk.Desk,
        guard: ledger.Guard,
        purchase: Callable[[float], Purchase],
        record: Any = None,
    ) -> BoughtContract:
        await self._store.read(guard)
        await asyncio.sleep(WINDOW * 10)

        def unguarded(reader: Snapshot) -> None:
            pass

        return await buy(self, unguarded, purchase, record)

    desk.Desk.buy = bought  # type: ignore[method-assign]


def ids_before_the_lock() -> None:
    """The id of what a transaction announces is taken before its turn to write."""
    begin, simple = PostgresqlConnection.begin, PostgresqlConnection.simple
    sequence = b"nextval(pg_get_serial_sequence('changes', 'id'))::text"

    def begun(self: PostgresqlConnection, then: bytes = b"SELECT 1") -> Any:
        if sequence in then:
            [[number]] = engine.texts(simple(self, b"SELECT " + sequence))
            then = then.replace(sequence, b"'%b'" % number.encode())
            time.sleep(random.uniform(0, WINDOW))  # another gateway's turn may come first
        return begin(self, then)

    PostgresqlConnection.begin = begun  # type: ignore[method-assign]
    engine.end_gateway = lambda reason: None  # it would notice that ids go back


def no_turns() -> None:
    """Gateways write at the same time."""
    simple = PostgresqlConnection.simple

    def unlocked(self: PostgresqlConnection, sql: bytes) -> Any:
        before, lock, after = sql.partition(b"SELECT pg_advisory_xact_lock(")
        if lock:
            sql = before + after.partition(b";")[2]
        return simple(self, sql)

    PostgresqlConnection.simple = unlocked  # type: ignore[method-assign]
    engine.end_gateway = lambda reason: None


def never_out_of_date() -> None:
    """A gateway that has not read what others have committed goes on answering."""
    Listener.is_stale = property(lambda self: False)  # type: ignore[assignment]


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        *(reply_before_commit, announced_before_commit, token_checked_beforehand),
        *(ids_before_the_lock, no_turns, never_out_of_date),
    )
}

if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    cli.main()
