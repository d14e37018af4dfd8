"""Trades in the writer process: a kill of either process loses nothing that was acknowledged."""

import asyncio
import contextlib
import itertools
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from scopegate.exchange import ledger
from scopegate.gateway.access import tokens, users
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.store.transactions import Transaction
from tests.scenarios.test_trading import RISE
from tests.served import Served, SocketClient, serving
from tests.stores import run_once

USERS = 24
OPTIONS = ("--seed", "tests", "--start", "2026-01-01T00:00", "--speed", "20")
AT_ONCE = 20
"""Purchases that each user sends at once; an account may have 100 open contracts."""
BUY: dict[str, Any] = {
    "buy": "1",
    "price": 1,
    "parameters": {**RISE, "amount": 1, "duration": 6, "duration_unit": "h"},
}

pytestmark = [
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes by /proc"),
    pytest.mark.skipif(os.cpu_count() == 1, reason="a single processor would have to be shared"),
    pytest.mark.sqlite,
]


def open_users(transaction: Transaction) -> list[str]:
    """Create users with one account each; return a token of each."""
    texts = []
    for number in range(USERS):
        user_id = users.create(transaction, f"user{number}@example.com")
        ledger.open_with_balance(transaction, user_id, virtual=[True], at=time.time())
        [account] = ledger.accounts(transaction, user_id)
        texts.append(tokens.create(transaction, tokens.NewToken(account.loginid, "Bot", SCOPES)))
    return texts


def writer_of(gateway: Served) -> int | None:
    """Return the id of the gateway's writer process, if it runs."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                status = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_bytes()
                if int(status[1]) == gateway.process.pid and b"writer_main" in command:
                    return int(folder.name)
    return None


class Trader:
    """A user of the gateway, and the contracts that it was told it has."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.client: SocketClient
        self.held: set[int] = set()
        self.errors: set[str] = set()
        self.unanswered = 0

    async def buy(self) -> None:
        """Buy, and note the contract, or the error, or that there was no answer."""
        try:
            reply = await self.client.ask(BUY)
        except ConnectionError:
            self.unanswered += 1
            return
        if "error" in reply:
            self.errors.add(reply["error"]["code"])
        else:
            self.held.add(reply["buy"]["contract_id"])

    async def sell(self, contract_id: int) -> None:
        """Sell a contract for whatever it is worth."""
        reply = await self.client.ask({"sell": contract_id, "price": 0})
        assert reply["sell"]["contract_id"] == contract_id
        self.held.remove(contract_id)

    async def portfolio(self) -> set[int]:
        """Return the open contracts."""
        reply = await self.client.ask({"portfolio": 1})
        return {each["contract_id"] for each in reply["portfolio"]["contracts"]}


@asynccontextmanager
async def signed_in(gateway: Served, traders: list[Trader]) -> AsyncIterator[None]:
    """Connect the traders until the block ends."""
    async with AsyncExitStack() as stack:
        for trader in traders:
            trader.client = await stack.enter_async_context(gateway.connected())
            await trader.client.authorize(trader.token)
        yield


def buying(traders: list[Trader]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(trader.buy()) for trader in traders for _ in range(AT_ONCE)]


async def all_buy(traders: list[Trader]) -> None:
    await asyncio.gather(*buying(traders))


async def until_answered(purchases: list[asyncio.Task[None]], count: int) -> None:
    """Wait until this many purchases have been answered."""
    async with asyncio.timeout(60):
        for purchase in itertools.islice(asyncio.as_completed(purchases), count):
            await purchase


async def all_sell(traders: list[Trader]) -> None:
    client = traders[0].client
    bought = (await client.ask({"time": 1}))["time"]
    while (await client.ask({"time": 1}))["time"] < bought + 2:
        pass  # a contract is sold after its entry tick
    await asyncio.gather(
        *(trader.sell(number) for trader in traders for number in list(trader.held))
    )


async def all_trade_until_it_writes(gateway: Served, traders: list[Trader]) -> int:
    """Trade until the process is there and has written; return its id."""
    async with asyncio.timeout(60):
        while (found := writer_of(gateway)) is None:
            await all_buy(traders)
            await all_sell(traders)
    await all_buy(traders)  # it may still have to import its modules
    await all_sell(traders)
    return found


def check_books(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        wrong = db.execute(
            "SELECT loginid FROM accounts WHERE balance <>"
            " (SELECT sum(amount) FROM ledger WHERE ledger.loginid = accounts.loginid)"
        ).fetchall()
        assert wrong == []
        [total] = db.execute(
            "SELECT (SELECT sum(balance) FROM accounts)"
            " + (SELECT sum(balance) FROM counter_accounts)"
        ).fetchone()
        assert total == 0


@pytest.mark.lengthy
async def test_a_kill_of_the_writers_process_loses_nothing(tmp_path: Path) -> None:
    with Served(tmp_path, *OPTIONS) as gateway:
        traders = [Trader(token) for token in run_once(gateway.db, open_users)]
        async with signed_in(gateway, traders):
            process = await all_trade_until_it_writes(gateway, traders)
            purchases = buying(traders)
            await until_answered(purchases, 1)
            os.kill(process, signal.SIGKILL)
            await asyncio.gather(*purchases)
            for trader in traders:
                assert await trader.portfolio() == trader.held
                assert trader.errors <= {"StorageUnavailable"}
            await all_buy(traders)  # the thread writes meanwhile
            await all_sell(traders)
            for trader in traders:
                assert await trader.portfolio() == set()
        assert gateway.stop() == 0
        assert "the writer process has ended" in gateway.stderr
        check_books(gateway.db)


async def test_a_kill_of_the_gateway_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with Served(tmp_path, *OPTIONS) as gateway:
        traders = [Trader(token) for token in run_once(gateway.db, open_users)]
        async with signed_in(gateway, traders):
            await all_trade_until_it_writes(gateway, traders)
            purchases = buying(traders)
            await until_answered(purchases, 50)
            gateway.kill()
            await asyncio.gather(*purchases)
        gateway.start()  # its writer process may still be writing
        check_books(gateway.db)
        async with signed_in(gateway, traders):
            for trader in traders:
                there = await trader.portfolio()
                assert trader.held <= there
                assert len(there - trader.held) <= trader.unanswered
                trader.held = there
            await all_sell(traders)
        assert gateway.stop() == 0
        check_books(gateway.db)


@pytest.mark.lengthy
async def test_a_stop_waits_for_the_writers_process(tmp_path: Path) -> None:
    with serving(tmp_path, *OPTIONS) as gateway:
        traders = [Trader(token) for token in run_once(gateway.db, open_users)]
        async with signed_in(gateway, traders):
            process = await all_trade_until_it_writes(gateway, traders)
            purchases = buying(traders)
            await until_answered(purchases, 1)
            assert await asyncio.to_thread(gateway.stop) == 0
            await asyncio.gather(*purchases)
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
        check_books(gateway.db)
