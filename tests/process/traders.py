"""Clients that buy, sell, cancel and change orders, and what they were told.

Two accounts copy the richer one of the trader's two accounts.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scopegate.exchange import ledger
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.gateway.access import tokens, users
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.store.transactions import Transaction
from tests.clients.settle_again import Agreed, PerPoint
from tests.served import Served, SocketClient
from tests.stores import run_once

TICK_TYPES = [name for name, kind in TYPES.items() if kind.listing.durations.ticks is not None]
TIMED_TYPES = [name for name, kind in TYPES.items() if kind.listing.durations.seconds is not None]
STRIKES = {"VANILLALONGCALL": "+0.00", "VANILLALONGPUT": "+1.00"}
STRIKES |= {"TURBOSLONG": "-4.00", "TURBOSSHORT": "+4.00"}
POOR = 2_000
"""What the poorer account begins with, in smallest units."""
REFUSALS = {
    *("BarrierValidationError", "ContractBuyValidationError", "ContractCreationFailure"),
    *("InsufficientBalance", "InvalidOfferings", "OpenPositionLimitExceeded"),
}
UPDATE_REFUSALS = {"ContractUpdateFailure", "NoOpenPosition"}
"""The profit is there already, or the contract has ended."""


class Booked(NamedTuple):
    """A trade as its reply told it: in which entry, and for how much in smallest units."""

    entry: int
    units: int
    balance_after: int


class Order(NamedTuple):
    """An order that was placed."""

    contract_id: int
    kind: str
    units: int


@dataclass
class Told:
    """What the clients of one gateway were told, over all its lives."""

    tokens: dict[str, str] = field(default_factory=dict)
    """By loginid; the first account is the richer one."""
    bought: dict[int, Booked] = field(default_factory=dict)
    sold: dict[int, Booked] = field(default_factory=dict)
    cancelled: dict[int, Booked] = field(default_factory=dict)
    orders: set[Order] = field(default_factory=set)
    copiers: list[str] = field(default_factory=list)
    """The accounts that copy the richer one; the last can afford little."""


def units(amount: float) -> int:
    return round(amount * 100)


def begin_trading(gateway: Served) -> Told:
    """A user with two accounts, one of them nearly empty."""

    def job(transaction: Transaction) -> Told:
        user_id = users.create(transaction, "trader@example.com")
        ledger.open_with_balance(transaction, user_id, virtual=(True, True), at=0)
        accounts = ledger.accounts(transaction, user_id)
        poorer = accounts[-1].loginid
        ledger.set_balance(transaction, poorer, "withdrawal", POOR, at=0)
        return Told(
            {
                account.loginid: tokens.create(
                    transaction, tokens.NewToken(account.loginid, "Kill", SCOPES)
                )
                for account in accounts
            }
        )

    return run_once(gateway.db, job)


async def begin_copying(gateway: Served, told: Told) -> None:
    """Another user's two accounts copy the richer one, before anything is traded."""
    rich = next(iter(told.tokens))

    def job(transaction: Transaction) -> dict[str, str]:
        user_id = users.create(transaction, "copier@example.com")
        ledger.open_with_balance(transaction, user_id, virtual=(True, True), at=0)
        accounts = [account.loginid for account in ledger.accounts(transaction, user_id)]
        ledger.set_balance(transaction, accounts[-1], "withdrawal", POOR, at=0)
        return {
            loginid: tokens.create(transaction, tokens.NewToken(loginid, "Copier", ["trade"]))
            for loginid in accounts
        }

    async with gateway.connected() as client:
        await client.authorize(told.tokens[rich])
        await client.ask({"set_settings": 1, "allow_copiers": 1})
        for loginid, token in run_once(gateway.db, job).items():
            await client.authorize(token)
            reply = await client.ask({"copy_start": told.tokens[rich]})
            assert "error" not in reply, reply["error"]
            told.copiers.append(loginid)


def tick_contract(chance: random.Random) -> dict[str, Any]:
    """Any contract that lasts for ticks."""
    kind = TYPES[chance.choice(TICK_TYPES)]
    assert kind.listing.durations.ticks is not None
    wanted: dict[str, Any] = {
        "contract_type": kind.name,
        "symbol": chance.choice(("1HZ100V", "1HZ75V", "R_100")),
        "duration": chance.randint(*kind.listing.durations.ticks),
        "duration_unit": "t",
    }
    if kind.name.startswith("TURBOS"):
        side = -1 if kind.name == "TURBOSLONG" else 1
        wanted["barrier"] = f"{side * chance.uniform(0.5, 2):+.2f}"
    elif kind.barrier_is_digit and "barrier" in kind.takes:
        wanted["barrier"] = str(chance.randint(1, 8))
    elif "TOUCH" in kind.name:
        wanted["barrier"] = f"{chance.choice((-1, 1)) * chance.uniform(0.5, 2):+.2f}"
    elif "selected_tick" in kind.takes:
        wanted["selected_tick"] = chance.randint(1, 5)
    return wanted


def timed_contract(chance: random.Random) -> dict[str, Any]:
    """Any contract that is sold back while it lasts."""
    kind = TYPES[chance.choice(TIMED_TYPES)]
    assert kind.listing.durations.seconds is not None
    least = kind.listing.durations.seconds[0]
    wanted: dict[str, Any] = {
        "contract_type": kind.name,
        "symbol": "R_100",
        "duration": least + chance.randint(15, 60),
        "duration_unit": "s",
    }
    if "barrier2" in kind.takes:
        wanted["barrier"], wanted["barrier2"] = "+5.00", "-4.00"
    elif "TOUCH" in kind.name:
        wanted["barrier"] = f"{chance.choice((-1, 1)) * chance.uniform(2, 5):+.2f}"
    elif isinstance(kind, Lookback):
        wanted["basis"] = "multiplier"
    elif kind.name in STRIKES:
        wanted |= {"barrier": STRIKES[kind.name], "duration": 120}
    return wanted


async def a_tick(client: SocketClient) -> None:
    """Wait for the next event. Raises `ConnectionError` when there will be none."""
    waiting = [asyncio.ensure_future(client.next()), asyncio.ensure_future(client.ended())]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in waiting:
            future.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    if client.closed is not None:
        raise ConnectionError(f"closed: {client.closed}")


class Traders:
    """What each client does until its connection is lost, when `ConnectionError` is raised."""

    def __init__(
        self,
        told: Told,
        chance: random.Random,
        acknowledged: Callable[[], None] = lambda: None,
        lost: Collection[str] = (),
    ) -> None:
        """`acknowledged` is called after each trade; errors in `lost` end a connection."""
        self.told = told
        self.chance = chance
        self.acknowledged = acknowledged
        self._lost = lost

    async def ask(self, client: SocketClient, request: dict[str, Any]) -> dict[str, Any]:
        reply = await client.ask(request)
        if "error" in reply and reply["error"]["code"] in self._lost:
            raise ConnectionError(reply["error"]["code"])
        return reply

    async def sign_in(self, client: SocketClient, loginid: str) -> None:
        reply = await self.ask(client, {"authorize": self.told.tokens[loginid]})
        assert "error" not in reply, reply["error"]

    async def buy(self, client: SocketClient, stake: float, wanted: dict[str, Any]) -> int | None:
        """The contract; `None` where it was refused."""
        wanted = {"currency": "USD", "amount": stake, "basis": "stake", **wanted}
        reply = await self.ask(client, {"buy": "1", "price": 1_000, "parameters": wanted})
        if "error" in reply:
            assert reply["error"]["code"] in REFUSALS, reply["error"]
            return None
        bought = reply["buy"]
        self.told.bought[bought["contract_id"]] = Booked(
            bought["transaction_id"], -units(bought["buy_price"]), units(bought["balance_after"])
        )
        self.acknowledged()
        number: int = bought["contract_id"]
        return number

    async def buy_ticks(self, client: SocketClient, loginid: str, stake: float) -> None:
        await self.sign_in(client, loginid)
        while True:
            await self.buy(client, stake, tick_contract(self.chance))

    async def close(self, client: SocketClient, call: str, contract_id: int) -> None:
        """Sell or cancel, once the entry tick is there."""
        request = {call: contract_id} | ({"price": 0} if call == "sell" else {})
        while True:
            reply = await self.ask(client, request)
            if "error" not in reply:
                break
            code = reply["error"]["code"]
            if code == "NoOpenPosition":  # the market was faster
                return
            assert code == "InvalidSellContractProposal", reply["error"]
            if call == "cancel":  # the window has passed
                return
            await a_tick(client)
        body = reply[call]
        known = self.told.sold if call == "sell" else self.told.cancelled
        known[contract_id] = Booked(
            body["transaction_id"], units(body["sold_for"]), units(body["balance_after"])
        )
        self.acknowledged()

    async def take_profit(self, client: SocketClient, contract_id: int, profit: int) -> None:
        """Order it to close once it has gained so many cents."""
        reply = await self.ask(
            client,
            {
                "contract_update": 1,
                "contract_id": contract_id,
                "limit_order": {"take_profit": profit / 100},
            },
        )
        if "error" not in reply:
            self.told.orders.add(Order(contract_id, "take_profit", profit))
            self.acknowledged()
        else:
            assert reply["error"]["code"] in UPDATE_REFUSALS, reply["error"]

    async def multiply(self, client: SocketClient, loginid: str) -> None:
        await self.sign_in(client, loginid)
        await self.ask(client, {"ticks": "1HZ100V", "subscribe": 1})
        for number in itertools.count():
            contract_id = await self.buy(
                client,
                self.chance.randint(5, 20),
                {
                    "contract_type": self.chance.choice(("MULTUP", "MULTDOWN")),
                    "symbol": "1HZ100V",
                    "multiplier": 400,
                    "cancellation": "5m",
                }
                if number % 2
                else {"contract_type": "MULTUP", "symbol": "1HZ100V", "multiplier": 100},
            )
            if contract_id is None:
                continue
            await self.take_profit(client, contract_id, self.chance.randint(100, 900))
            if number % 3:  # every third stays open, from one life of the gateway to the next
                await self.close(client, "cancel" if number % 2 else "sell", contract_id)

    async def accumulate(self, client: SocketClient, loginid: str) -> None:
        await self.sign_in(client, loginid)
        await self.ask(client, {"ticks": "1HZ100V", "subscribe": 1})
        for number in itertools.count():
            wanted = {"contract_type": "ACCU", "symbol": "1HZ100V", "growth_rate": 0.01}
            contract_id = await self.buy(client, 10, wanted)
            if contract_id is None:
                continue
            await self.take_profit(client, contract_id, self.chance.randint(10, 500))
            if number % 3 == 0:  # the others end by themselves, in this life or the next
                await self.close(client, "sell", contract_id)

    async def sell_early(self, client: SocketClient, loginid: str) -> None:
        await self.sign_in(client, loginid)
        await self.ask(client, {"ticks": "R_100", "subscribe": 1})
        while True:
            contract_id = await self.buy(client, 1, timed_contract(self.chance))
            if contract_id is not None and self.chance.random() < 0.7:
                await self.close(client, "sell", contract_id)


async def all_tick_contracts_end(gateway: Served, told: Told) -> None:
    """Wait until those that the kill has left open are settled by the running market."""
    for token in told.tokens.values():
        async with gateway.connected() as client:
            await client.authorize(token)
            await client.ask({"transaction": 1, "subscribe": 1})
            reply = await client.ask({"portfolio": 1, "contract_type": TICK_TYPES})
            waiting = {
                held["contract_id"]
                for held in reply["portfolio"]["contracts"]
                if (Agreed.is_of(held["shortcode"]) and Agreed.read(held["shortcode"]).ticks)
                or PerPoint.is_of(held["shortcode"])
            }
            while waiting:
                waiting.discard((await client.next())["transaction"]["contract_id"])
