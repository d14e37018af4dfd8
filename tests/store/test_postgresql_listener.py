"""What gateways of one database know of each other, and their messages."""

import asyncio
import contextlib
import itertools
import os
import pickle
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
import pytest
import structlog

from scopegate.runtime.siblings import Siblings
from scopegate.store import postgresql_listener
from scopegate.store.errors import StoreError, StoreUnavailableError
from scopegate.store.location import Server
from scopegate.store.postgresql import PostgresqlStore
from scopegate.store.postgresql_connection import PostgresqlConnection
from scopegate.store.postgresql_listener import News
from scopegate.store.store import LOST_EXIT
from scopegate.store.transactions import Announcement, Job
from tests import postgresql, stores

pytestmark = [
    pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing()),
    pytest.mark.sqlite,  # it has its own databases
]

PATIENCE = 30.0
"""Real seconds until a test fails that waits for another store."""


@contextlib.asynccontextmanager
async def opened(server: Server, count: int = 2) -> AsyncIterator[list[PostgresqlStore]]:
    """Stores of one database that know of each other."""
    made = [PostgresqlStore(server) for _ in range(count)]
    for store in made:
        await store.open()
    try:
        await until(
            made[0], lambda: all(len(store.siblings.present) == count - 1 for store in made)
        )
        yield made
    finally:
        for store in made:
            await store.close()


async def until(store: PostgresqlStore, holds: Callable[[], Any]) -> None:
    """Read from the database until this holds."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await store.read(lambda reader: reader.single("SELECT 1"))


async def test_gateways_have_numbers_and_know_who_is_present() -> None:
    server = postgresql.new_database()
    async with opened(server, 3) as (first, second, third):
        assert [each.siblings.number for each in (first, second, third)] == [0, 1, 2]
        assert [each.siblings.is_first for each in (first, second, third)] == [True, False, False]
        ours = [
            [key for key in map(str, range(100)) if each.siblings.is_ours(key)]
            for each in (first, second, third)
        ]
        assert sorted(itertools.chain(*ours)) == sorted(map(str, range(100)))  # each key is one's
        await first.close()
        await until(second, lambda: second.siblings.is_first)
        fourth = PostgresqlStore(server)
        await fourth.open()
        assert fourth.siblings.number == 0  # what is free is used again
        assert set(fourth.siblings.present) == {1, 2}
        await fourth.close()


async def test_more_gateways_than_there_are_numbers_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgresql_listener, "MAX_GATEWAYS", 2)
    server = postgresql.new_database()
    async with opened(server, 2):
        late = PostgresqlStore(server)
        with pytest.raises(Exception, match="2 gateways serve the database already"):
            await late.open()


@pytest.mark.parametrize("size", [0, 1, 4_999, 5_000, 5_001, 300_000])
async def test_a_message_of_any_size_arrives_whole(size: int) -> None:
    async with opened(postgresql.new_database(), 3) as (first, second, third):
        received: list[tuple[str, int, bytes]] = []
        for name, each in (("second", second), ("third", third)):
            each.siblings.on(
                "bytes", lambda sender, data, name=name: received.append((name, sender, data))
            )
        first.siblings.send("bytes", b"x" * size)
        await until(first, lambda: len(received) == 2)
        assert sorted(received) == [("second", 0, b"x" * size), ("third", 0, b"x" * size)]
        received.clear()
        first.siblings.send("bytes", b"y", only=2)
        first.siblings.send("bytes", b"z")
        await until(first, lambda: len(received) == 3)
        assert [data for name, _, data in received if name == "third"] == [b"y", b"z"]


async def test_a_question_is_answered_by_every_gateway() -> None:
    async with opened(postgresql.new_database(), 3) as made:
        for each in made:
            each.siblings.on(
                "number", lambda sender, added, each=each: each.siblings.number + added
            )
        assert sorted(await made[0].siblings.ask("number", 10)) == [11, 12]


class Dangerous:
    """What must not be read from a message."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (subprocess.check_output, (["true"],))


DOTTED = (
    b"\x80\x04\x8c\x1ascopegate.runtime.siblings\x8c\x23asyncio.subprocess.subprocess.Popen"
    b"\x93]\x8c\x04true\x94a\x85R."
)
"""Finds a class of another module by way of one of ours."""


async def test_messages_that_are_not_ours_are_reported_and_harm_nobody() -> None:
    server = postgresql.new_database()
    async with opened(server) as (first, second):
        received: list[Any] = []
        second.siblings.on("words", lambda sender, data: received.append(data))
        with structlog.testing.capture_logs() as logged, stores.connected(server) as other:
            channel: Any = other
            channel.listen()
            for text in (
                "x",
                "0 1 2",
                "a b c d e f",
                "0 -1 5 1 1 !!!",
                "0 -1 5 2 1 QQ==",
                "é" * 2_000,
            ):
                channel.notify(text)
            assert first._listener is not None
            first._listener.send(1, pickle.dumps(Dangerous()))
            first._listener.send(1, b"no pickle")
            first._listener.send(1, DOTTED)
            first.siblings.send("words", "hello")
            await until(first, lambda: received)
        assert received == ["hello"]
        reasons = str([line for line in logged if "cannot be read" in line["event"]])
        for named in ("subprocess.check_output", "asyncio.subprocess.subprocess.Popen"):
            assert f"{named} is not read" in reasons
        assert second.catch_up() is None


# A connection that is lost, and a database that is not what it was.


@dataclass(frozen=True)
class Added(Announcement):
    kind: ClassVar[str] = "added"
    number: int


def add(number: int) -> Job[None]:
    return lambda transaction: transaction.announce(Added(number))


async def test_rows_that_were_read_before_a_connection_ended_are_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = postgresql.new_database()
    async with opened(server) as (first, second):
        heard: list[int] = []
        second.listen(Added, lambda added: heard.append(added.number))
        claimed = PostgresqlConnection.claimed
        calls = itertools.count(1)

        def sometimes(connection: PostgresqlConnection) -> set[int]:
            if next(calls) % 3 == 0:
                connection.abort()
                raise StoreUnavailableError("cut")
            return claimed(connection)

        monkeypatch.setattr(PostgresqlConnection, "claimed", sometimes)
        for number in range(150):
            await first.write(add(number))
        await until(first, lambda: heard and heard[-1] == 149)
        assert heard == list(range(150))


def end_sessions(server: Server) -> None:
    """End the sessions that hold the numbers of gateways."""
    name = server.url.split("@/")[1].split("?")[0]
    postgresql.shared().run(
        "SELECT pg_terminate_backend(pid) FROM pg_locks"  # noqa: S608 - a name of our own
        " WHERE locktype = 'advisory' AND granted"
        f" AND database = (SELECT oid FROM pg_database WHERE datname = '{name}') AND objsubid = 2"
    )


@pytest.mark.lengthy
async def test_a_gateway_whose_number_was_taken_gets_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgresql_listener, "RECONNECT_SECONDS", 5.0)  # so that another is first
    server = postgresql.new_database()
    async with opened(server, 1) as [first]:
        end_sessions(server)
        late = PostgresqlStore(server)
        await late.open()
        assert late.siblings.number == 0
        await until(late, lambda: late.siblings.present)
        await until(first, lambda: first.siblings.number == 1)  # it may be told after the other
        assert first.catch_up() is None
        await late.close()


@pytest.mark.lengthy
async def test_a_revocation_waits_for_a_gateway_that_has_only_lost_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may serve for half a second more, and then it is not sure of what was committed."""
    monkeypatch.setattr(postgresql_listener, "RECONNECT_SECONDS", 20.0)
    async with opened(postgresql.new_database()) as (first, second):
        assert second._listener is not None
        assert second._listener._connection is not None
        second._listener._connection.abort()
        await until(first, lambda: not first.siblings.present)
        assert await first.siblings.ask("anything", None) == []
        assert second.catch_up() is not None
        second._listener._closing = True


class Ended(Exception):
    """In place of the end of the process."""


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    return codes


async def test_numbers_of_changes_that_were_never_used_are_no_loss(exits: list[int]) -> None:
    server = postgresql.new_database()
    async with opened(server) as (first, second):
        heard: list[int] = []
        second.listen(Added, lambda added: heard.append(added.number))
        with stores.connected(server) as other:
            other.execute("SELECT setval('changes_id_seq', 1000000)")
        await first.write(add(1))
        await until(first, lambda: heard)
    assert exits == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_gateway_that_has_missed_rows_ends(exits: list[int]) -> None:
    server = postgresql.new_database()
    async with opened(server, 1) as [store]:
        with stores.connected(server) as other, other.writing():
            other.execute("SELECT setval('changes_id_seq', 1000000)")
            other.execute("INSERT INTO meta (name, value) VALUES ('changes_deleted_to', '500')")
            other.insert("INSERT INTO changes (kind, data) VALUES (?, ?)", ("added", "{}"))
        await until(store, lambda: exits)
    assert set(exits) == {LOST_EXIT}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_gateway_ends_if_the_database_has_lost_commits(exits: list[int]) -> None:
    """As after a failover to a standby that had not received them."""
    server = postgresql.new_database()
    async with opened(server, 1) as [store]:
        for number in range(5):
            await store.write(add(number))
        with stores.connected(server) as other:
            other.execute("SELECT setval('changes_id_seq', 2)")
        with pytest.raises(StoreError):
            await store.write(add(5))
        assert exits == [LOST_EXIT]
        end_sessions(server)
        await until(store, lambda: len(exits) > 1)


async def test_a_message_that_lets_the_store_catch_up_leaves_all_in_order() -> None:
    """The news that were read at once are passed on in their order, and messages after them."""
    heard: list[Any] = []
    messages: list[bytes] = []
    sibling = Siblings(1, None, lambda receiver, message: messages.append(message))
    sibling.set_present({0})
    for number in range(4):
        sibling.send("catch up", number)
    async with opened(postgresql.new_database(), 1) as [store]:
        listener = store._listener
        assert listener is not None
        first = store._passed_on + 1_000  # later than every row of its own

        def catch_up(sender: int, number: int) -> None:
            heard.append(f"message {number}")
            store.catch_up()

        def row(number: int) -> tuple[int, str, str]:
            return first + number, Added.kind, orjson.dumps({"number": number}).decode()

        store.siblings.on("catch up", catch_up)
        store.listen(Added, lambda added: heard.append(added.number))
        for number in range(4):
            news = News([row(number)], [(1, messages[number])], None, time.monotonic())
            listener._news.append(news)
        store.catch_up()
    assert [each for each in heard if isinstance(each, int)] == [0, 1, 2, 3]
    assert heard[-4:] == [f"message {number}" for number in range(4)]
