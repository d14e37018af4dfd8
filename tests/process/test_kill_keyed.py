"""Requests with an idempotency key outlive a kill: each is done once, and told the same again.

Clients create and delete tokens, and buy and sell contracts, until the gateway is killed amid it.
The checker (`violations`) reads the database from outside: what was done has a recorded reply, and
there is no reply to anything that was not. Then every request that had no answer is sent once more.
That the checker finds what it is there for is shown with a faulty gateway (`trading_mutants.py`).

There are few rounds in the suite; `make proofs` has twenty.
"""

import asyncio
import contextlib
import itertools
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scopegate.gateway.access import tokens
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.idempotency import keyed_request
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.store.transactions import Snapshot, Transaction
from tests import books, stores
from tests.effort import chosen
from tests.process import trading_mutants
from tests.served import PATIENCE, Served, SocketClient, serving
from tests.stores import run_once

ROUNDS = chosen(2, 20)
MUTANT_ROUNDS = 60
"""In so many rounds at the most the mutant must be found."""
OPTIONS = ("--seed", "kill keyed", "--start", "2026-01-01T12:00", "--speed", "100")
TOO_EARLY = "InvalidSellContractProposal"
"""The refusal of a sale before the tick at which the contract is entered."""
CLIENTS = 24
"""More than wait for the writer's thread before a process of its own writes."""
UP = {
    "amount": 1,
    "basis": "stake",
    "contract_type": "MULTUP",
    "currency": "USD",
    "multiplier": 40,
    "symbol": "1HZ100V",
}

Request = dict[str, Any]


@dataclass
class Told:
    """What the clients of one gateway asked for and were told, over all its lives."""

    loginid: str
    token: str
    keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    asked: dict[str, Request] = field(default_factory=dict)
    """By key, what has no answer yet."""
    replies: dict[str, tuple[Request, Any]] = field(default_factory=dict)
    """By key, each request and its reply."""

    def new_key(self, what: str) -> str:
        """A key that is long enough for a request with a secret."""
        return f"{what}_{next(self.keys)}".ljust(32, "_")

    def left(self) -> list[str]:
        """The tokens that were created, and that nobody has asked to delete."""
        requests = [request for request, _ in self.replies.values()]
        deleted = {request.get("delete_token") for request in requests}
        return [
            reply["token"]
            for request, reply in self.replies.values()
            if "token_create" in request and reply["token"] not in deleted
        ]


def begin(gateway: Served) -> Told:
    """The demo account, with a token that outlives the gateway."""
    loginid = gateway.loginids[0]
    new = tokens.NewToken(loginid, "Kill", SCOPES)
    return Told(loginid, run_once(gateway.db, lambda transaction: tokens.create(transaction, new)))


async def ask(client: SocketClient, told: Told, key: str, request: Request) -> Any:
    """Make a request under its key until it is not too early; return and remember the reply."""
    told.asked[key] = request
    keyed = {**request, "passthrough": {"idempotency_key": key}}
    reply = await client.ask(keyed)
    while "error" in reply and reply["error"]["code"] == TOO_EARLY:
        reply = await client.ask(keyed)
    assert "error" not in reply, reply["error"]
    del told.asked[key]
    told.replies[key] = request, reply[reply["msg_type"]]
    return reply[reply["msg_type"]]


async def delete(client: SocketClient, told: Told, token: str) -> None:
    """Delete a token."""
    await ask(client, told, told.new_key("delete"), {"api_token": 1, "delete_token": token})


async def work_until_killed(gateway: Served, told: Told, chance: random.Random) -> None:
    """Have clients make requests, and kill the gateway after some of their replies."""
    enough = chance.randint(60, 240)
    delay = chance.uniform(0, 0.005)  # so that the kill may fall between two replies as well
    replies = itertools.count(1)

    async def work(client: SocketClient, trades: bool) -> None:
        await client.authorize(told.token)
        with contextlib.suppress(ConnectionError):
            while True:
                if trades:
                    bought = await client.ask({"buy": 1, "price": 10, "parameters": UP})
                    number = bought["buy"]["contract_id"]
                    await ask(client, told, told.new_key("sell"), {"sell": number, "price": 0})
                else:
                    key = told.new_key("create")
                    made = await ask(
                        client, told, key, {"token_create": 1, "name": key, "scopes": ["read"]}
                    )
                    await delete(client, told, made["token"])
                if next(replies) == enough:
                    asyncio.get_running_loop().call_later(
                        delay, gateway.process.send_signal, signal.SIGKILL
                    )

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(gateway.connected()) for _ in range(CLIENTS)]
        await asyncio.gather(*(work(client, n % 2 == 0) for n, client in enumerate(clients)))
    assert await asyncio.to_thread(gateway.process.wait, PATIENCE) == -signal.SIGKILL
    gateway.stop()  # it has ended: this closes what was open to it


async def ask_again(gateway: Served, told: Told) -> None:
    """Send every request once more that had no answer, and some that had one."""
    async with gateway.connected() as client:
        await client.authorize(told.token)
        for key, request in list(told.asked.items()):
            await ask(client, told, key, request)
        for key, (request, first) in list(told.replies.items())[-50:]:
            assert await ask(client, told, key, request) == first
        for token in told.left():  # an account may have so many
            await delete(client, told, token)


def times_done(reader: Snapshot, key: str, request: Request) -> int:
    """How often a request was done."""
    if "sell" in request:
        query, value = "contract_id = ? AND action = 'sell'", request["sell"]
        row = reader.single(f"SELECT count(*) FROM ledger WHERE {query}", value)  # noqa: S608
    elif "token_create" in request:
        row = reader.single("SELECT count(*) FROM tokens WHERE name = ?", key)
    else:
        deleted = token_form.digest(request["delete_token"])
        row = reader.single(
            "SELECT count(*) FROM tokens WHERE digest = ? AND ended_at IS NOT NULL", deleted
        )
    return int(row[0])


def violations(path: Path, told: Told) -> list[str]:
    """What is wrong with the books, was done without a recorded reply, or recorded only."""
    with stores.snapshot(path) as db:
        reader = Transaction(db)
        found = books.mistakes(reader)
        requests = told.asked | {key: request for key, (request, _) in told.replies.items()}
        for key, request in requests.items():
            call = next(name for name in ("sell", "token_create", "api_token") if name in request)
            keyed = keyed_request(told.loginid, call, key, request)
            reply = keyed.find(reader)
            done = times_done(reader, key, request)
            if done != (reply is not None):
                found.append(f"{key} was done {done} times, with the recorded reply {reply}")
            if key in told.replies and (reply is None or reply[call] != told.replies[key][1]):
                found.append(f"{key} has another reply than was told: {reply}")
    return found


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("kill"), *OPTIONS) as running:
        yield running


@pytest.fixture(scope="module")
def told(gateway: Served) -> Told:
    """What was asked and told so far: later kills must not undo what earlier ones left."""
    return begin(gateway)


@pytest.mark.lengthy
@pytest.mark.parametrize("number", range(ROUNDS))
async def test_a_request_that_a_kill_cut_off_is_done_once(
    gateway: Served, told: Told, number: int
) -> None:
    before = len(told.replies)
    await work_until_killed(gateway, told, random.Random(number))
    assert len(told.replies) > before
    assert violations(gateway.db, told) == []
    gateway.start()
    await ask_again(gateway, told)
    assert told.asked == {}
    assert violations(gateway.db, told) == []


@pytest.mark.lengthy
async def test_the_checker_finds_a_gateway_that_records_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = (
        sys.executable,
        str(trading_mutants.__file__),
        trading_mutants.recorded_afterwards.__name__,
    )
    monkeypatch.setattr(Served, "program", launcher)
    with Served(tmp_path, *OPTIONS) as faulty:
        told, found = begin(faulty), list[str]()
        for number in range(MUTANT_ROUNDS):
            await work_until_killed(faulty, told, random.Random(number))
            found = violations(faulty.db, told)
            if found:
                break
            faulty.start()
        assert found
