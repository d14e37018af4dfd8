"""Caps hold to the cent, however many buy, pay and copy at the same time, on however many gateways.

There are few tries in the suite. A million are made by

    CAPS_TRIES=1000000 python -m pytest tests/process/test_caps.py -k never_exceeded

Half of them are on each engine, or all on SQLite if there is no PostgreSQL.
"""

import asyncio
import os
import random
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from scopegate.exchange import ledger
from scopegate.gateway.access import token_management, tokens, users
from scopegate.handlers.exchange.copying_calls import ALLOWS_COPIERS
from scopegate.handlers.exchange.trading_restrictions import TradingRestrictionKinds
from scopegate.runtime.clock import WallClock
from scopegate.store.transactions import Snapshot, Transaction
from tests import postgresql, stores
from tests.process import caps_mutants
from tests.process.client_steps import CALL
from tests.process.cluster import Gateways
from tests.served import PATIENCE, Served

pytestmark = pytest.mark.sqlite  # it uses both engines by itself

TRIES = int(os.environ.get("CAPS_TRIES", "6000"))
SLOWEST = 50
"""Tries a second on a machine that is busy with other things."""
CONNECTIONS = 50
OUT_OF_DATE = "StorageUnavailable"
"""The refusal of a gateway that has not read for half a second what others have committed. It has
done nothing, which the books would show, so the same is tried again."""
OPTIONS = ("--seed", "caps", "--start", "2026-01-01T00:05")
STAKE_CAP, LOSS_CAP, TRANSFER_CAP, COPY_CAP = 20_000, 15_000, 2_000, 3_000
"""In cents. The tries are for more of each, all together."""
MOST_OPEN = 40
TICKS = CALL | {"symbol": "1HZ100V", "duration": 5, "duration_unit": "t"}


@dataclass
class People:
    """A trader with a restricted token, and one who copies the trader under caps."""

    trader: str = ""
    payee: str = ""
    copier: str = ""
    token: str = ""
    """Buys and pays, within caps."""
    original: str = ""
    """Names the trader to copy."""
    copying: str = ""
    """Starts the copying, within a cap."""
    ids: dict[str, int] = field(default_factory=dict)
    """The restrictions of both tokens."""


def settled(transaction: Transaction) -> People:
    """Create the users and their tokens."""
    kinds = TradingRestrictionKinds(WallClock())
    people = People()

    def token(loginid: str, scopes: list[str], **restrictions: Any) -> str:
        new = tokens.NewToken(loginid, f"T{len(people.ids)} {scopes[0]}", scopes)
        return token_management.create_restricted(
            transaction, kinds, new, kinds.checked(restrictions)
        )

    ada = users.create(transaction, "ada@example.com")
    ledger.open_with_balance(transaction, ada, virtual=(False, False), at=0)
    people.trader, people.payee = [each.loginid for each in ledger.accounts(transaction, ada)]
    users.change_settings(transaction, ada, {ALLOWS_COPIERS: 1})
    bob = users.create(transaction, "bob@example.com")
    ledger.open_with_balance(transaction, bob, virtual=(False,), at=0)
    [copier] = ledger.accounts(transaction, bob)
    people.copier = copier.loginid
    people.token = token(
        people.trader,
        ["trade", "payments"],
        max_stake_per_day=STAKE_CAP / 100,
        max_loss_per_day=LOSS_CAP / 100,
        max_open_contracts=MOST_OPEN,
        max_transfer_per_day=TRANSFER_CAP / 100,
    )
    people.original = token(people.trader, ["read"])
    people.copying = token(people.copier, ["read", "trade"], max_stake_per_day=COPY_CAP / 100)
    for name, loginid in (("trader", people.trader), ("copier", people.copier)):
        row = transaction.single(
            "SELECT restrictions_id FROM tokens WHERE loginid = ? AND restrictions_id IS NOT NULL",
            loginid,
        )
        people.ids[name] = row[0]
    return people


@contextmanager
def serving(folder: Path, engine: str, program: tuple[str, ...] | None) -> Iterator[list[Served]]:
    """One gateway with an SQLite file, or three of one PostgreSQL database."""
    with ExitStack() as stack:
        if engine == "sqlite":
            gateway = Served(folder, *OPTIONS)
            gateway.program = program
            yield [stack.enter_context(gateway)]
            return
        gateways = stack.enter_context(Gateways(folder, postgresql.new_database(), *OPTIONS))
        gateways.program = program or ()
        stores.place(folder / "scopegate.db", gateways.server)
        yield [gateways.add() for _ in range(3)]


@dataclass
class Acknowledged:
    """What the clients were told, in cents."""

    staked: int = 0
    paid: int = 0
    refused: list[int] = field(default_factory=list)
    """What the refused purchases would have cost."""
    codes: set[str] = field(default_factory=set)


async def asked(socket: ClientConnection, request: dict[str, Any]) -> dict[str, Any]:
    """Return the reply to a request, without the comparison with schemas of `SocketClient.ask`.

    That takes longer than a gateway needs for the reply.
    """
    await socket.send(orjson.dumps(request), text=True)
    reply: dict[str, Any] = orjson.loads(await socket.recv(decode=False))
    assert reply["echo_req"].keys() == request.keys(), reply
    return reply


async def race(gateways: list[Served], people: People, tries: int) -> Acknowledged:
    """Buy and pay from all connections at once, as fast as they are answered."""
    told, chance, left = Acknowledged(), random.Random("caps"), iter(range(tries))

    async def one(socket: ClientConnection) -> None:
        for _ in left:
            cents = chance.randint(35, 300)
            if chance.random() < 0.8:
                parameters = TICKS | {"amount": cents / 100}
                request = {"buy": "1", "price": 5, "parameters": parameters}
            else:
                request = {
                    "transfer_between_accounts": 1,
                    "account_from": people.trader,
                    "account_to": people.payee,
                    "amount": cents / 100,
                    "currency": "USD",
                }
            reply = await asked(socket, request)
            while reply.get("error", {}).get("code") == OUT_OF_DATE:
                reply = await asked(socket, request)
            if "error" in reply:
                told.codes.add(reply["error"]["code"])
                if reply["error"].get("details", {}).get("cap") == "max_stake_per_day":
                    told.refused.append(cents)
            elif "buy" in reply:
                told.staked += round(reply["buy"]["buy_price"] * 100)
            else:
                assert reply["transfer_between_accounts"] == 1, reply
                told.paid += cents

    async with AsyncExitStack() as stack:

        async def signed_in(gateway: Served, token: str) -> ClientConnection:
            url = f"{gateway.url}?app_id=1089"
            socket = await stack.enter_async_context(connect(url, compression=None))
            assert "error" not in await asked(socket, {"authorize": token})
            return socket

        copier = await signed_in(gateways[0], people.copying)
        started = await asked(copier, {"copy_start": people.original})
        assert "error" not in started, started
        sockets = [
            await signed_in(gateways[number % len(gateways)], people.token)
            for number in range(CONNECTIONS)
        ]
        await asyncio.gather(*map(one, sockets))
    return told


@dataclass(frozen=True)
class Booked:
    """What the books say, in cents."""

    staked: int
    """By the restricted token."""
    copied: int
    paid: int
    uses: dict[str, int]
    """What the caps have counted."""


def booked(path: Path, people: People) -> Booked:
    with stores.snapshot(path) as connection:
        reader = Snapshot(connection)

        def total(sql: str, *values: Any) -> int:
            return int(reader.single(sql, *values)[0])

        of_caps = "SELECT coalesce(sum(price), 0) FROM contracts WHERE {}"
        return Booked(
            staked=total(of_caps.format("loginid = ?"), people.trader),
            copied=total(of_caps.format("loginid = ?"), people.copier),
            paid=-total(
                "SELECT coalesce(sum(amount), 0) FROM ledger WHERE loginid = ?"
                " AND action = 'transfer'",
                people.trader,
            ),
            uses={
                name: total("SELECT staked FROM caps WHERE id = ?", number)
                for name, number in people.ids.items()
            },
        )


def run(
    folder: Path, engine: str, tries: int, mutant: str | None = None
) -> tuple[Acknowledged, Booked]:
    program = None
    if mutant is not None:
        program = (sys.executable, str(caps_mutants.__file__), mutant)
    with serving(folder, engine, program) as gateways:
        path = folder / "scopegate.db"
        people = stores.run_once(path, settled)
        told = uvloop.run(race(gateways, people, tries))
        return told, booked(path, people)


ENGINES = [
    "sqlite",
    pytest.param(
        "postgresql",
        marks=[
            pytest.mark.lengthy,
            pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing()),
        ],
    ),
]
TRIES_OF_EACH = TRIES if postgresql.missing() else TRIES // 2


@pytest.mark.timeout(120 + TRIES_OF_EACH // SLOWEST)
@pytest.mark.parametrize("engine", ENGINES)
def test_caps_are_never_exceeded(tmp_path: Path, engine: str) -> None:
    told, books = run(tmp_path, engine, TRIES_OF_EACH)
    assert told.staked == books.staked <= STAKE_CAP
    assert told.paid == books.paid <= TRANSFER_CAP
    assert 0 < books.copied <= COPY_CAP
    assert books.uses == {"trader": books.staked, "copier": books.copied}
    assert told.codes == {"TokenCapReached"}
    # Nothing was refused that would have been within the cap.
    assert all(books.staked + cents > STAKE_CAP for cents in told.refused)
    assert books.paid > TRANSFER_CAP - 35


@pytest.mark.lengthy
@pytest.mark.parametrize("mutant", caps_mutants.MUTANTS)
def test_a_faulty_gateway_is_found(tmp_path: Path, mutant: str) -> None:
    _, books = run(tmp_path, "sqlite", 1_500, mutant)
    within = (
        books.staked <= STAKE_CAP
        and books.paid <= TRANSFER_CAP
        and books.copied <= COPY_CAP
        and books.uses == {"trader": books.staked, "copier": books.copied}
    )
    assert not within


@pytest.mark.lengthy
async def test_contracts_are_sold_after_a_crash(tmp_path: Path) -> None:
    """A kill ends the connection of a token whose contracts are to be sold then."""
    with Served(tmp_path, *OPTIONS) as gateway:

        def token(transaction: Transaction) -> str:
            kinds = TradingRestrictionKinds(WallClock())
            values = kinds.checked({"close_on_disconnect": 5})
            new = tokens.NewToken(gateway.loginids[0], "Bot", ["read", "trade"])
            return token_management.create_restricted(transaction, kinds, new, values)

        text = await asyncio.to_thread(stores.run_once, gateway.db, token)
        parameters = TICKS | {"amount": 10, "duration": 1, "duration_unit": "h"}
        async with gateway.connected() as bot:
            await bot.authorize(text)
            reply = await bot.ask({"buy": "1", "price": 10, "parameters": parameters})
            contract_id = reply["buy"]["contract_id"]
            await asyncio.to_thread(gateway.kill)
        await asyncio.to_thread(gateway.start)
        async with gateway.connected() as owner, asyncio.timeout(PATIENCE):
            await owner.authorize(gateway.token)
            await owner.ask({"transaction": 1, "subscribe": 1})
            portfolio = (await owner.ask({"portfolio": 1}))["portfolio"]["contracts"]
            while contract_id in {each["contract_id"] for each in portfolio}:
                await owner.next()
                portfolio = (await owner.ask({"portfolio": 1}))["portfolio"]["contracts"]
            table = (await owner.ask({"profit_table": 1}))["profit_table"]["transactions"]
            assert [each["contract_id"] for each in table] == [contract_id]
