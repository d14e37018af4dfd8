"""Releases that know different numbers of migrations use one database.

The next release is this one with further migrations, which are not in its folder.
"""

import asyncio
import contextlib
import importlib.resources
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from scopegate.exchange import book
from scopegate.exchange.keys import stored_key
from scopegate.store import copying, files, migrating, postgresql_listener
from scopegate.store.errors import StoreError, StoreUnavailableError
from scopegate.store.location import Location
from scopegate.store.opening import store_at
from scopegate.store.store import Store
from scopegate.store.transactions import Job, Snapshot, T, Transaction, commit_once
from tests import postgresql
from tests.store.engines import location  # noqa: F401 - a fixture
from tests.stores import connected

OURS = migrating.known_schema()
EXPANDS = "ALTER TABLE users ADD COLUMN nickname TEXT;"
REMOVES = f"-- removes what schema {OURS} needs\nDROP TABLE last_batch;"
"""What the release after the next one does."""


needs_postgresql = pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing())


@contextlib.contextmanager
def later_release(*scripts: str) -> Iterator[None]:
    """A release that has these migrations too; within another such block, after its own."""
    known = migrating._steps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrating, "_steps", lambda folder: [*known(folder), *scripts])
        yield


def use(location: Location, job: Job[T]) -> T:  # noqa: F811
    """Run a job as a command of a release does, which runs its migrations first."""
    with connected(location) as connection:
        migrating.migrate(connection)
        return commit_once(connection, job)


def nothing(transaction: Transaction) -> None:
    pass


@contextlib.contextmanager
def earlier_release(schema: int) -> Iterator[None]:
    """A release that knows only the migrations up to this one."""
    known = migrating._steps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrating, "_steps", lambda folder: known(folder)[:schema])
        yield


KEY = "order-1'\\x2f\\"
"""A key with characters that mean something in SQL."""


def spend_with_keys(transaction: Transaction) -> None:
    """Buy and pay as a release does that stores keys in clear text."""
    transaction.execute("INSERT INTO users (id, email, created_at) VALUES (1, 'a@example.com', 0)")
    for loginid in ("CR1", "CR2"):
        transaction.execute(
            "INSERT INTO accounts (loginid, user_id, currency, is_virtual, created_at)"
            " VALUES (?, 1, 'USD', 0, 0)",
            loginid,
        )
    for number, (loginid, key) in enumerate((("CR1", KEY), ("CR2", KEY), ("CR1", None)), 1):
        transaction.execute(
            "INSERT INTO contracts (id, loginid, contract_type, shortcode, currency, price, payout,"
            " bought_at, idempotency_key)"
            " VALUES (?, ?, 'CALL', 'CALL_R_100_19.54_1767268800_1767269100_S0P_0', 'USD', 1000,"
            " 1954, 1767268800, ?)",
            number,
            loginid,
            key,
        )
        for entry in (number, number + 3):
            transaction.execute(
                "INSERT INTO ledger (id, loginid, action, amount, balance_after, at)"
                " VALUES (?, ?, 'buy', -1000, 0, 0)",
                entry,
                loginid,
            )
        transaction.execute("UPDATE contracts SET bought_by = ? WHERE id = ?", number, number)
    for number, key in enumerate((KEY, None), 1):
        transaction.execute(
            "INSERT INTO payments (kind, paid_by, received_by, payer, payee, remarks,"
            " idempotency_key) VALUES ('transfer', ?, ?, 'CR1', 'CR2', '', ?)",
            number,
            number + 3,
            key,
        )


_numbers = itertools.count()


def add_user(transaction: Transaction) -> None:
    email = f"{next(_numbers)}@example.com"
    transaction.execute("INSERT INTO users (email, created_at) VALUES (?, 0)", email)


def nicknames(transaction: Transaction) -> list[str | None]:
    return [row["nickname"] for row in transaction.all("SELECT nickname FROM users")]


def test_a_release_uses_the_database_of_the_next_one(location: Location) -> None:  # noqa: F811
    with later_release(EXPANDS):
        use(location, nothing)
    use(location, add_user)
    with later_release(EXPANDS):
        assert use(location, nicknames) == [None]


def test_a_release_refuses_a_database_that_lacks_what_it_needs(location: Location) -> None:  # noqa: F811
    with later_release(EXPANDS, REMOVES):
        use(location, nothing)
    with pytest.raises(
        StoreError, match=rf"has schema {OURS + 2}, .* knows up to {OURS}: use a newer release"
    ):
        use(location, nothing)
    with later_release(EXPANDS):
        use(location, add_user)
    with later_release(EXPANDS, REMOVES):
        assert use(location, nicknames) == [None]


@contextlib.asynccontextmanager
async def serving(database: Location) -> AsyncIterator[Store]:
    """A gateway's store, until the block ends."""
    store = store_at(database)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@needs_postgresql
async def test_nothing_is_removed_that_a_gateway_needs() -> None:
    database = postgresql.empty_database()
    async with serving(database) as ours:
        with later_release(EXPANDS):
            async with serving(database) as next_one:
                with (
                    later_release(REMOVES),
                    pytest.raises(StoreError, match=r"serve this database .* upgrade them first"),
                ):
                    await asyncio.to_thread(use, database, nothing)
                await ours.write(add_user)
                await next_one.write(add_user)
                with connected(database) as connection:
                    assert connection.schema_version() == OURS + 1


@needs_postgresql
async def test_the_release_before_serves_while_something_is_removed() -> None:
    database = postgresql.empty_database()
    with later_release(EXPANDS):
        async with serving(database) as before:
            with later_release(REMOVES):
                await asyncio.to_thread(use, database, nothing)
            await before.write(add_user)
            assert await before.read(nicknames) == [None]


@needs_postgresql
async def test_a_transaction_is_repeated_after_its_tables_have_changed() -> None:
    """A server refuses prepared statements whose columns have changed; nobody gets that error."""

    def every_user(reader: Snapshot) -> list[Any]:
        return [list(row) for row in reader.all("SELECT * FROM users")]

    def add_and_list(transaction: Transaction) -> int:
        add_user(transaction)
        return len(every_user(transaction))

    database = postgresql.empty_database()
    async with serving(database) as store:
        assert await store.write(add_and_list) == 1
        columns = len((await store.read(every_user))[0])
        with later_release(EXPANDS):
            await asyncio.to_thread(use, database, nothing)
        assert await asyncio.gather(*(store.write(add_and_list) for _ in range(3))) == [2, 3, 4]
        rows = await store.read(every_user)
        assert [len(row) for row in rows] == [columns + 1] * 4


@needs_postgresql
async def test_a_gateway_ends_if_what_it_needs_was_removed_while_it_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []

    def end(why: str) -> None:
        ended.append(why)
        raise StoreUnavailableError(why)  # it ends only in the test's imagination

    monkeypatch.setattr(postgresql_listener, "end_gateway", end)
    database = postgresql.empty_database()
    async with serving(database) as store:
        with connected(database) as connection, later_release(EXPANDS, REMOVES):
            monkeypatch.setattr(type(connection), "served_schemas", lambda self: [])
            migrating.migrate(connection)
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'scopegate, schema %'"
                " AND datname = current_database()"
            )
        async with asyncio.timeout(30):
            while not ended:
                with contextlib.suppress(StoreError):
                    await store.read(nothing)
    assert "use a newer release" in ended[0]


def test_a_command_removes_nothing_while_a_gateway_serves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    use(path, nothing)
    locked = files.lock(path)
    assert locked is not None
    with later_release(EXPANDS):
        files.run_once(path, nothing)
    with (
        later_release(EXPANDS, REMOVES),
        pytest.raises(StoreError, match=r"serve this database .* upgrade them first"),
    ):
        files.run_once(path, nothing)
    os.close(locked)
    with later_release(EXPANDS, REMOVES):
        files.run_once(path, nothing)


def test_a_newer_database_is_not_copied(tmp_path: Path) -> None:
    with later_release(EXPANDS):
        use(tmp_path / "newer.db", nothing)
    with pytest.raises(StoreError, match=rf"schema {OURS + 1}, .* copy it with a newer release"):
        copying.copy(tmp_path / "newer.db", tmp_path / "copy.db")


def test_keys_of_earlier_releases_are_found_by_their_digests(location: Location) -> None:  # noqa: F811
    """Releases up to schema 24 stored idempotency keys in clear text."""
    with earlier_release(24):
        use(location, spend_with_keys)

    def found(transaction: Transaction) -> list[tuple[str, int] | None]:
        bought = [book.bought_with(transaction, loginid, KEY) for loginid in ("CR1", "CR2")]
        stored = transaction.all("SELECT idempotency_key FROM contracts ORDER BY id")
        paid = transaction.all("SELECT idempotency_key FROM payments ORDER BY id")
        keys = [row["idempotency_key"] for row in (*stored, *paid)]
        assert keys == [
            *(stored_key(KEY, "CR1"), stored_key(KEY, "CR2"), None),
            *(stored_key(KEY, "CR1", "transfer"), None),
        ]
        return [each and (each.contract.loginid, each.contract.id) for each in bought]

    assert use(location, found) == [("CR1", 1), ("CR2", 2)]
    with (
        earlier_release(24),
        pytest.raises(StoreError, match="knows up to 24: use a newer release"),
    ):
        use(location, nothing)


def test_migrations_that_remove_something_say_so_as_they_must() -> None:
    """`-- removes` anywhere but at the beginning, or in other words, would have no effect."""
    folder = importlib.resources.files("scopegate.store") / "migrations"
    for step in migrating._steps(folder):
        assert ("-- removes" in step) == (migrating._REMOVES.match(step) is not None)
