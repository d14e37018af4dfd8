"""Many connections of one client beside one of another's: who waits, and who is refused."""

import asyncio
import os
import sys
import threading
from collections import Counter
from typing import Any

import orjson
import pytest

from scopegate.exchange.feed import Feed
from scopegate.gateway.access import passwords
from scopegate.gateway.calls import scheduling
from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.session import Session
from scopegate.gateway.transport.connection import Connection
from scopegate.runtime.siblings import Siblings
from scopegate.testing import PAGES, Client, World
from tests.conftest import Connected
from tests.served import over_sockets

HOURS = {
    "ticks_history": "R_100",
    "end": "latest",
    "count": 240,
    "style": "candles",
    "granularity": 3600,
}
"""Candles of ten days: more than are computed in the event loop."""


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message at a time: how fast this machine is decides nothing."""
    for name in ("QUANTUM", "SLICE"):
        monkeypatch.setattr(scheduling, name, 0.0)


async def test_a_user_with_many_connections_keeps_nobody_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.gateway.scheduler.round_length = 0.0
    # Noted in the gateway: when a client reads a reply depends on the machine, too.
    order: list[str] = []
    receive, handle = Connection.receive_one, Dispatcher.handle

    def noted_receive(connection: Connection, text: bytes) -> None:
        if connection.session.address == "127.0.0.2":
            order.append("honest arrives")
        receive(connection, text)

    def noted_handle(dispatcher: Dispatcher, session: Session, text: bytes) -> Any:
        order.append("honest" if session.address == "127.0.0.2" else "flood")
        return handle(dispatcher, session, text)

    eve = await world.token()
    async with over_sockets(world) as connect:
        flood: list[Client] = [await connect() for _ in range(16)]
        for client in flood:
            await client.authorize(eve)
        honest: Client = await connect(address="127.0.0.2")
        monkeypatch.setattr(Connection, "receive_one", noted_receive)
        monkeypatch.setattr(Dispatcher, "handle", noted_handle)
        for client in flood:
            for _ in range(50):
                client.send_text(b'{"ping":1}')
        first = [await client.next() for client in flood]
        assert (await honest.ask({"ping": 1}))["ping"] == "pong"
        rest = [await client.next() for client in flood for _ in range(49)]
    assert not any("error" in reply for reply in first + rest)
    arrived, answered = order.index("honest arrives"), order.index("honest")
    assert "flood" in order[answered:]  # more of it was waiting
    assert answered - arrived <= 3  # not one for each connection


async def test_candles_are_computed_for_one_connection_of_a_client_at_a_time(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work: Counter[str] = Counter()
    most: Counter[str] = Counter()
    candles_by_day = Feed.candles_by_day

    def counted(self, symbol, *rest):  # type: ignore[no-untyped-def]
        at_work[symbol.name] += 1
        most[symbol.name] = max(most[symbol.name], at_work[symbol.name])
        try:
            return (yield from candles_by_day(self, symbol, *rest))
        finally:
            at_work[symbol.name] -= 1

    monkeypatch.setattr(Feed, "candles_by_day", counted)
    flood = [await connected.connect() for _ in range(scheduling.MAX_QUEUED_PER_CLIENT + 4)]
    honest = await connected.connect()
    await honest.authorize(await connected.world.token())  # its user is another client
    asking = [asyncio.create_task(client.ask(HOURS)) for client in flood]
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)  # one is refused: all are there
    mine = await honest.ask({**HOURS, "ticks_history": "R_50"})
    assert len(mine["candles"]) == 240
    replies = await asyncio.gather(*asking)
    refused = [reply["error"] for reply in replies if "error" in reply]
    assert [error["code"] for error in refused] == ["RateLimit"] * 3
    assert refused[0]["details"] == {
        "limit": f"{scheduling.MAX_QUEUED_PER_CLIENT} waiting at once for one client"
    }
    assert most == {"R_100": 1, "R_50": 1}


async def test_the_computation_of_candles_stops_when_the_client_leaves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = 0
    begun, loop = asyncio.Event(), asyncio.get_running_loop()
    candles_by_day = Feed.candles_by_day

    def counted(self, *rest):  # type: ignore[no-untyped-def]
        nonlocal days
        work = candles_by_day(self, *rest)
        while True:
            try:
                next(work)
            except StopIteration as found:
                return found.value
            days += 1
            loop.call_soon_threadsafe(begun.set)
            yield

    monkeypatch.setattr(Feed, "candles_by_day", counted)
    leaving = [world.connect() for _ in range(3)]
    staying = world.connect()
    for client in leaving:
        client.send_text(orjson.dumps({**HOURS, "count": 5000, "granularity": 86_400}))
    await begun.wait()
    for client in leaving:
        client.leave()
    reply = await staying.ask({**HOURS, "ticks_history": "R_50"})
    assert len(reply["candles"]) == 240
    assert world.gateway.workers.queue.waiting == 0
    assert days < 100  # of 2,192 for each who has left


async def test_a_long_list_in_turns_is_the_list_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loginid = world.real[0].loginid
    for amount in range(1, 6):
        await world.credit(amount, loginid)
    client = world.connect()
    await client.authorize(await world.token(loginid=loginid))
    requests = [{"statement": 1, "description": 1}, {"profit_table": 1}]
    at_once = [await client.ask({**request, "req_id": 7}) for request in requests]
    monkeypatch.setattr(scheduling, "FEW_ROWS", 1)
    assert [await client.ask({**request, "req_id": 7}) for request in requests] == at_once
    assert at_once[0]["statement"]["count"] > 5


@pytest.mark.lengthy
@pytest.mark.usual_hashes
async def test_a_page_that_signs_in_again_and_again_blocks_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.user("eve@example.com", password="a long password of hers")
    order: list[str] = []
    begun = asyncio.Event()
    right = passwords.Attempt.is_right

    async def noted(self: passwords.Attempt, kept: str | None, password: str) -> bool:
        order.append(password)
        begun.set()
        return await right(self, kept, password)

    monkeypatch.setattr(passwords.Attempt, "is_right", noted)
    # Beside other tests, threads of a lower priority would hardly run.
    monkeypatch.setattr(passwords, "PRIORITY", 0)

    def page(address: str) -> Client:
        return world.connect(at_pages=True, address=address, host=PAGES.removeprefix("http://"))

    eve = {"sign_in": 1, "email": "eve@example.com", "password": "a long password of hers"}
    flood = [asyncio.ensure_future(page("203.0.113.1").ask(eve)) for _ in range(20)]
    await begun.wait()
    ada = await page("203.0.113.2").ask({**eve, "email": "ada@example.com", "password": "x"})
    assert ada["error"]["code"] == "InvalidCredentials"
    assert order.index("x") <= 2  # hers is checked beside the flood's first, or next
    for reply in await asyncio.gather(*flood):
        # Right ones at once are no wrong ones.
        assert reply.get("error", {}).get("details") in (
            None,
            {"limit": f"{passwords.MAX_WAITING_PER_CLIENT} waiting at once for one client"},
        )


@pytest.mark.lengthy
@pytest.mark.usual_hashes
async def test_only_so_many_passwords_of_one_client_wait() -> None:
    checker = passwords.Passwords(Siblings())
    count = 1 + passwords.MAX_WAITING_PER_CLIENT + 2  # the first has its turn at once
    try:
        hashes = (checker.hash("a long password", "a client") for _ in range(count))
        made = await asyncio.gather(*hashes, return_exceptions=True)
    finally:
        checker._threads.shutdown()
    refused = [each.code for each in made if isinstance(each, ApiError)]
    assert refused == ["RateLimit"] * 2
    assert sum(isinstance(each, str) for each in made) == count - 2


@pytest.mark.skipif(sys.platform != "linux", reason="only there threads have priorities")
def test_hashes_are_computed_when_the_event_loop_needs_no_processor() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    checker = passwords.Passwords(Siblings())
    try:
        ours = niceness()
        assert checker._threads.submit(niceness).result() == passwords.PRIORITY > ours
        assert niceness() == ours
    finally:
        checker._threads.shutdown()


def test_passwords_are_checked_where_a_priority_cannot_be_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(passwords.os, "setpriority", forbidden)
    checker = passwords.Passwords(Siblings())
    try:
        assert checker._threads.submit(lambda: "checked").result() == "checked"
    finally:
        checker._threads.shutdown()
