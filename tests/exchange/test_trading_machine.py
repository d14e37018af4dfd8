"""Whatever is traded in whatever order, the books stay right: checked by a second set of books.

`Hall` is a gateway with traders on its wire, and keeps books of its own from what the wire and the
database tell: after every step they must agree (`Hall.check`). Hypothesis looks for a sequence of
operations after which they do not, with many short examples. A million operations are run by

    python -m tests.exchange.test_trading_machine --operations 1000000 [--seed 1]

where the operations come from a seeded generator instead, and nothing is shrunk. There as here up
to eight operations are under way at once, and the books are compared when all of them are answered.
"""

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings as how_long
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from scopegate.app import Running, compose
from scopegate.exchange import book, ledger
from scopegate.exchange.book import Contract
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import replay
from scopegate.exchange.contracts.common.per_point import PerPoint
from scopegate.exchange.contracts.common.state import ContractState, Status, begin, market_view
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.exchange.contracts.multipliers import multipliers
from scopegate.exchange.contracts.turbos import Turbo
from scopegate.exchange.desk import Desk
from scopegate.exchange.feed import Feed
from scopegate.exchange.ledger import Ledger
from scopegate.exchange.symbols import SYMBOLS
from scopegate.gateway.access import tokens
from scopegate.gateway.transport.handshake import Handshake
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.runtime.clock import HandClock
from scopegate.settings import Settings
from scopegate.store.transactions import Transaction
from scopegate.testing import NOON, MemoryClient
from tests import stores
from tests.effort import chosen

pytestmark = pytest.mark.slow

POOR = 5_000
"""What the poorest trader begins with, and is given anew, in smallest units."""
NO_CONTRACT = 2**40
"""The id of a contract that there is not."""
PAGE = 999

REFUSALS: dict[str, set[str]] = {
    "buy": {
        *("AuthorizationRequired", "BarrierValidationError", "ContractBuyValidationError"),
        *("ContractCreationFailure", "InsufficientBalance", "InvalidOfferings"),
        *("MarketIsClosed", "OfferingsValidationError"),
        *("OpenPositionLimitExceeded", "OpenPositionPayoutLimitExceeded"),
    },
    "sell": {
        *("AuthorizationRequired", "ContractNotFound", "InvalidSellContractProposal"),
        "NoOpenPosition",
    },
    "cancel": {
        *("AuthorizationRequired", "ContractNotFound", "InvalidSellContractProposal"),
        "NoOpenPosition",
    },
    "contract_update": {
        *("AuthorizationRequired", "ContractBuyValidationError", "ContractNotFound"),
        *("ContractUpdateFailure", "ContractUpdateNotAllowed", "InputValidationFailed"),
        "NoOpenPosition",
    },
    "copy_start": {"AuthorizationRequired", "CopyTradingNotAllowed"},
    "copy_stop": {"AuthorizationRequired", "InvalidToken"},
    "topup_virtual": {"TopupVirtualError"},
}
"""What may be refused, by call; anything else that is answered with an error is a mistake."""

NOT_COPIED = {"InsufficientBalance", "OpenPositionLimitExceeded"}
"""Why a copier may not have what its trader bought."""


@dataclass(frozen=True)
class Wanted:
    """A contract to buy: a few numbers, from which the gateway's fields are made."""

    contract_type: str
    symbol: str
    cents: int
    is_payout: bool
    length: int
    """1 to 10."""
    in_ticks: bool
    away: float
    """How far the barrier lies from the spot, in standard deviations."""
    choice: int
    """A digit, a multiplier, or whether there is a barrier."""

    def parameters(self, spot: int) -> dict[str, Any]:
        """The fields of `buy`, when this is the spot in pips."""
        kind, symbol = TYPES[self.contract_type], SYMBOLS[self.symbol]
        fields: dict[str, Any] = {
            "contract_type": kind.name,
            "symbol": symbol.name,
            "currency": "USD",
            "amount": self.cents / 100,
            "basis": "payout" if self.is_payout else "stake",
        }
        if isinstance(kind, Lookback):
            fields["basis"] = "multiplier"
        elif "multiplier" in kind.takes:
            fields["basis"] = "stake"
            fields["multiplier"] = multipliers(symbol)[self.choice % 5]
            if self.choice % 2:
                fields["cancellation"] = ("5m", "10m")[self.length % 2]
            orders = {"take_profit": self.length / 2, "stop_loss": self.cents / 200}
            fields["limit_order"] = {
                name: round(amount, 2)
                for name, amount in orders.items()
                if (self.length + len(name)) % 3
            }
            return fields
        if "growth_rate" in kind.takes:
            fields["basis"] = "stake"
            fields["growth_rate"] = (1 + self.choice % 5) / 100
            if self.length % 2:
                fields["limit_order"] = {"take_profit": round(self.cents * self.length / 2_000, 2)}
            return fields
        durations = kind.listing.durations
        if durations.ticks and (self.in_ticks or durations.seconds is None):
            least, most = durations.ticks
            fields |= {"duration": min(max(least, self.length), most), "duration_unit": "t"}
        else:
            assert durations.seconds is not None
            least = durations.seconds[0]
            fields |= {"duration": least + self.length * self.choice * 3, "duration_unit": "s"}
        if "selected_tick" in kind.takes:
            fields["selected_tick"] = 1 + self.choice % 5
        if kind.barrier_is_digit:
            if kind.takes:
                fields["barrier"] = str(self.choice)
        elif "barrier2" in kind.takes:
            fields["barrier"] = self._barrier(spot, fields, abs(self.away))
            fields["barrier2"] = self._barrier(spot, fields, abs(self.away) / 2 - 1)
        elif isinstance(kind, PerPoint):
            fields["basis"] = "stake"
            if isinstance(kind, Turbo) and self.is_payout:
                points = self._deviation(spot, fields) / 10**symbol.digits * (0.4 + abs(self.away))
                fields["payout_per_point"] = round(self.cents / points) / 100
            else:
                away = abs(self.away) * kind.side if isinstance(kind, Turbo) else self.away
                fields["barrier"] = self._barrier(spot, fields, away)
        elif "barrier" in kind.takes and (
            kind.listing.barrier_category != "euro_atm" or self.choice % 3
        ):
            fields["barrier"] = self._barrier(spot, fields, self.away)
        return fields

    def _barrier(self, spot: int, fields: dict[str, Any], away: float) -> str:
        """So many standard deviations away: a price, or relative to the entry spot."""
        symbol = SYMBOLS[self.symbol]
        offset = round(self._deviation(spot, fields) * away) or (1 if away >= 0 else -1)
        if self.choice % 3 == 2:
            return symbol.text(spot + offset)
        return f"{'+' if offset > 0 else ''}{symbol.text(offset)}"

    def _deviation(self, spot: int, fields: dict[str, Any]) -> float:
        """The standard deviation of the price at the end, in pips."""
        symbol = SYMBOLS[self.symbol]
        seconds = fields["duration"] * (symbol.step if fields["duration_unit"] == "t" else 1)
        return float(spot * symbol.tick_sd * (seconds / symbol.step) ** 0.5)


@dataclass
class Trader:
    """An account, its connection, and what that was told of it."""

    loginid: str
    is_virtual: bool
    token: str = ""
    owners_token: str = ""
    handed_out: str = ""
    """By which others copy the account."""
    owner: MemoryClient | None = None
    client: MemoryClient | None = None
    balance: int = 0
    """Opening balance and every transaction told since."""
    streamed: int = 0
    """The latest balance that was told by the stream of balances."""
    received: list[int] = field(default_factory=list)
    """The entries that were told by the stream of transactions, in this step."""
    last: int = 0
    """The latest of them."""
    contracts: list[int] = field(default_factory=list)
    """What it has bought of late."""

    @property
    def wire(self) -> MemoryClient:
        assert self.client is not None
        return self.client


@dataclass
class Followed:
    """An open contract in the second set of books, and where the ticks have left it."""

    contract: Contract
    state: ContractState


def units(amount: float) -> int:
    return round(amount * 100)


class Hall:
    """A gateway on a clock that is moved by hand, its traders, and a second set of books."""

    def __init__(self, folder: Path, seed: str = "hall") -> None:
        self._settings = Settings(db=folder / "hall.db", seed=seed, start=repr(NOON), port=0)
        self._stack = AsyncExitStack()
        self.clock = HandClock(NOON)
        self.traders: list[Trader] = []
        self.operations = 0
        self.answered: Counter[str] = Counter()
        """Replies, by call and what became of it."""
        self.closed: Counter[str] = Counter()
        """Contracts that have ended, by type and how."""
        self.balances: Counter[str] = Counter()
        self.counters: Counter[tuple[str, str]] = Counter()
        self.followed: dict[int, Followed] = {}
        self.debited: dict[int, tuple[int, int]] = {}
        """The buy entries of open contracts: number and amount."""
        self.last_entry = 0
        self.last_contract = 0
        self.ended_by_client: dict[int, Status] = {}
        self.acknowledged: dict[int, tuple[int, int]] = {}
        self.following: set[tuple[str, str]] = set()
        """Who copies whom, by loginid: copier and trader."""
        self.leaving: set[tuple[str, str]] = set()
        """Whose copying has ended amid what was under way in this step."""
        self.closed_by_traders: list[int] = []
        """What was sold or cancelled on the wire in this step."""
        self.last_looked_at = 0
        """The latest contract whose copies were looked for."""
        self.last_report = 0

    async def open(self) -> None:
        """Start the gateway, and connect every trader."""
        self.gateway: Running = await self._stack.enter_async_context(
            compose(self._settings, self.clock)
        )
        if not self.traders:
            assert self.gateway.demo is not None
            owner = self.gateway.demo.accounts[0].user_id
            owned = await self.gateway.service(Ledger).accounts(owner)
            owned.sort(key=lambda account: not account.is_virtual)
            self.traders = [Trader(account.loginid, account.is_virtual) for account in owned]
            poorest = self.traders[-1].loginid

            def withdraw(transaction: Transaction) -> None:
                ledger.set_balance(transaction, poorest, "withdrawal", POOR, at=NOON)

            await self.gateway.store.write(withdraw)
            self._db = stores.opened(stores.at(self._settings.db))
            self._read_ledger()
            for trader in self.traders:
                trader.balance = self.balances[trader.loginid]
                trader.last = self.last_entry
            for trader in self.traders:
                trader.owners_token = await self._token(trader, "Owner")
                trader.token = await self._token(trader, "Trader")
                trader.handed_out = await self._token(trader, "Handed out")
        for trader in self.traders:
            trader.owner = self._connect()
            await trader.owner.authorize(trader.owners_token)
            await trader.owner.ask({"set_settings": 1, "allow_copiers": 1})
            await self.arrive(trader)

    async def close(self) -> None:
        """Stop the gateway; everybody's connection ends."""
        for trader in self.traders:
            trader.wire.leave()
            assert trader.owner is not None
            trader.owner.leave()
        await self._stack.aclose()

    def forget(self) -> None:
        """Close the second reader of the database."""
        self._db.close()

    def _connect(self) -> MemoryClient:
        return MemoryClient(self.gateway, Handshake("127.0.0.1", "1089", "EN", "hall", ""))

    async def _token(self, trader: Trader, name: str) -> str:
        return await self.gateway.store.write(
            lambda transaction: tokens.create(
                transaction, tokens.NewToken(trader.loginid, name, SCOPES)
            )
        )

    async def arrive(self, trader: Trader) -> None:
        """Connect a trader, and listen to what is told of the account."""
        trader.client = self._connect()
        await trader.wire.authorize(trader.token)
        reply = await trader.wire.ask({"balance": 1, "subscribe": 1})
        assert units(reply["balance"]["balance"]) == trader.balance
        trader.streamed = trader.balance
        await trader.wire.ask({"transaction": 1, "subscribe": 1})

    # What is done.

    async def _ask(self, trader: Trader, request: dict[str, Any]) -> dict[str, Any] | None:
        """The body of the reply; `None` where it was refused as it may be."""
        call = next(iter(request))
        self.operations += 1
        reply = await trader.wire.ask(request)
        if "error" in reply:
            code = reply["error"]["code"]
            assert code in REFUSALS.get(call, ()), reply["error"]
            self.answered[f"{call} {code}"] += 1
            return None
        self.answered[f"{call} done"] += 1
        body: dict[str, Any] | None = reply[call]
        return body

    def some_contract(self, trader: Trader, index: int) -> int:
        """One of the contracts that the trader has bought of late: mostly one that is open."""
        chosen = trader.contracts
        if index % 4:
            chosen = [number for number in chosen if number in self.followed] or chosen
        return chosen[index % len(chosen)] if chosen else NO_CONTRACT

    async def buy(self, trader: Trader, wanted: Wanted) -> None:
        """Buy a contract, if it is offered and there is money for it."""
        symbol = SYMBOLS[wanted.symbol]
        spot = self.gateway.service(Feed).price(symbol, int(self.clock.now()))
        body = await self._ask(
            trader, {"buy": "1", "price": 10_000, "parameters": wanted.parameters(spot)}
        )
        if body is not None:
            trader.contracts = [*trader.contracts[-150:], body["contract_id"]]
            paid = -units(body["buy_price"])
            self.acknowledged[body["transaction_id"]] = (body["contract_id"], paid)

    async def sell(self, trader: Trader, index: int) -> None:
        """Sell a contract back, whatever it is worth."""
        number = self.some_contract(trader, index)
        self._ended(await self._ask(trader, {"sell": number, "price": 0}), Status.SOLD)

    async def cancel(self, trader: Trader, index: int) -> None:
        """Cancel a contract."""
        number = self.some_contract(trader, index)
        self._ended(await self._ask(trader, {"cancel": number}), Status.CANCELLED)

    def _ended(self, body: dict[str, Any] | None, status: Status) -> None:
        if body is not None:
            number = body["contract_id"]
            assert number not in self.ended_by_client
            self.ended_by_client[number] = status
            self.acknowledged[body["transaction_id"]] = (number, units(body["sold_for"]))

    async def update(self, trader: Trader, index: int, name: str, cents: int | None) -> None:
        """Place an order for a contract, or take it back."""
        await self._ask(
            trader,
            {
                "contract_update": 1,
                "contract_id": self.some_contract(trader, index),
                "limit_order": {name: None if cents is None else cents / 100},
            },
        )

    async def sell_expired(self, trader: Trader) -> None:
        """Ask for the settlement of what has ended: it is done already."""
        body = await self._ask(trader, {"sell_expired": 1})
        assert body == {"count": 0}

    async def top_up(self, trader: Trader) -> None:
        """Top a demo account up, if it has less; pay in to another that is poor."""
        if trader.is_virtual:
            await self._ask(trader, {"topup_virtual": 1})
            return
        self.operations += 1
        if self.balances[trader.loginid] < POOR:  # more would end all want of money
            deposit = ledger.Posting(
                loginid=trader.loginid, action="deposit", amount=POOR, at=self.clock.now()
            )
            await self.gateway.store.write(lambda transaction: ledger.post(transaction, deposit))

    async def revoke(self, trader: Trader, *meanwhile: Awaitable[None]) -> None:
        """Take the trader's token back, while it is used; then let it in with a new one."""
        self.operations += 1
        assert trader.owner is not None
        deleting = trader.owner.ask({"api_token": 1, "delete_token": trader.token})
        reply, *_ = await asyncio.gather(deleting, *meanwhile)
        assert "error" not in reply, reply
        assert await trader.wire.refused({"topup_virtual": 1}) == "AuthorizationRequired"
        self._listen(trader)
        trader.wire.leave()
        trader.token = await self._token(trader, "Trader")
        await self.arrive(trader)
        self._leave({pair for pair in self.following if pair[0] == trader.loginid})

    async def replay(self, copier: Trader, trader: Trader) -> None:
        """Copy a trader, if that is allowed."""
        pair = (copier.loginid, trader.loginid)
        allowed = (
            copier is not trader
            and copier.is_virtual == trader.is_virtual
            and not any(
                each == trader.loginid or followed == copier.loginid
                for each, followed in self.following
            )
        )
        done = await self._ask(copier, {"copy_start": trader.handed_out})
        assert (done is not None) == allowed
        if allowed:
            self.following.add(pair)

    async def unfollow(self, copier: Trader, trader: Trader) -> None:
        """Copy a trader no more."""
        pair = (copier.loginid, trader.loginid)
        done = await self._ask(copier, {"copy_stop": trader.handed_out})
        assert (done is not None) == (pair in self.following)
        self.following.discard(pair)

    async def take_back(self, trader: Trader, *meanwhile: Awaitable[None]) -> None:
        """Take back the token by which others copy a trader, who trades meanwhile."""
        self.operations += 1
        assert trader.owner is not None
        deleting = trader.owner.ask({"api_token": 1, "delete_token": trader.handed_out})
        reply, *_ = await asyncio.gather(deleting, *meanwhile)
        assert "error" not in reply, reply
        trader.handed_out = await self._token(trader, "Handed out")
        self._leave({pair for pair in self.following if pair[1] == trader.loginid})

    def _leave(self, pairs: set[tuple[str, str]]) -> None:
        self.following -= pairs
        self.leaving |= pairs

    async def advance(self, seconds: float, *meanwhile: Awaitable[None]) -> None:
        """Let the market go on, before what is asked meanwhile is answered."""
        self.operations += 1
        asked = [asyncio.ensure_future(each) for each in meanwhile]
        if asked:
            await asyncio.sleep(0)
        self.clock.advance(seconds)
        await asyncio.gather(*asked)

    async def restart(self) -> None:
        """Stop the gateway, and start it again at the same moment of the market."""
        self.operations += 1
        await self.check()
        await self.close()
        self.clock = HandClock(self.clock.now())
        await self.open()

    # The second set of books.

    async def check(self) -> None:
        """Compare the books."""
        await self.gateway.service(Desk).settled()
        booked = self._read_ledger()
        self._check_contracts()
        self._check_copies()
        assert self.acknowledged == {}, "acknowledged, and not in the ledger"
        for trader in self.traders:
            self._listen(trader)
            assert trader.received == booked.get(trader.loginid, []), (
                "told, and not booked, or not told"
            )
            trader.received = []
            assert trader.balance == trader.streamed == self.balances[trader.loginid]

    async def check_balance(self, trader: Trader) -> None:
        """Ask for the balance."""
        reply = await trader.wire.ask({"balance": 1})
        assert units(reply["balance"]["balance"]) == self.balances[trader.loginid]

    def _read_ledger(self) -> dict[str, list[int]]:
        """Take over what was booked since; the numbers of the entries, by account."""
        booked: dict[str, list[int]] = {}
        for row in self._db.execute(
            "SELECT * FROM ledger WHERE id > ? ORDER BY id", [self.last_entry]
        ):
            self.last_entry = row["id"]
            booked.setdefault(row["loginid"], []).append(row["id"])
            self.balances[row["loginid"]] += row["amount"]
            self.counters[row["counter"], "USD"] -= row["amount"]
            assert self.balances[row["loginid"]] == row["balance_after"] >= 0
            number = row["contract_id"]
            assert (number is not None) == (row["action"] in ("buy", "sell"))
            if row["action"] == "buy":
                assert number not in self.debited
                assert number > self.last_contract
                self.debited[number] = (row["id"], row["amount"])
                if (known := self.acknowledged.pop(row["id"], None)) is not None:
                    assert known == (number, row["amount"])
            elif row["action"] == "sell":
                self._closed(number, row)
        accounts = self._db.execute("SELECT loginid, balance FROM accounts").fetchall()
        assert {row["loginid"]: row["balance"] for row in accounts} == self.balances
        counters = self._db.execute("SELECT * FROM counter_accounts").fetchall()
        assert {(row["name"], row["currency"]): row["balance"] for row in counters} == self.counters
        assert self.balances.total() + self.counters.total() == 0
        return booked

    def _check_contracts(self) -> None:
        """Every open contract has its debit, and is not past what decides it."""
        now = int(self.clock.now())
        found = self._db.execute(
            "SELECT id, version FROM contracts WHERE status = 'open'"
        ).fetchall()
        for row in found:
            followed = self._follow(row["id"], row["version"], now)
            assert followed.state.outcome is None, f"{followed.contract.shortcode} is still open"
        still_open = {row["id"] for row in found}
        assert still_open == self.debited.keys()
        assert still_open == self.followed.keys()
        self.last_contract = max([self.last_contract, *still_open])

    def _check_copies(self) -> None:
        """What a trader bought has one copy or one refusal of each copier; its sales as well."""
        reports: dict[tuple[str, int, bool], sqlite3.Row] = {}
        for row in self._db.execute(
            "SELECT * FROM copy_reports WHERE id > ? ORDER BY id", [self.last_report]
        ):
            self.last_report = row["id"]
            key = (row["copier"], row["original"], row["action"] == "buy")
            assert key not in reports
            reports[key] = row
        bought = self._db.execute(
            "SELECT * FROM contracts WHERE id > ? ORDER BY id", [self.last_looked_at]
        ).fetchall()
        copies = {
            (row["loginid"], row["copied_from"]): row
            for row in bought
            if row["copied_from"] is not None
        }
        for original in bought:
            self.last_looked_at = original["id"]
            if original["copied_from"] is not None:
                continue
            for copier, trader in self.following | self.leaving:
                if trader != original["loginid"]:
                    continue
                copy = copies.pop((copier, original["id"]), None)
                report = reports.pop((copier, original["id"], True), None)
                if report is None:
                    assert copy is None
                    assert (copier, trader) in self.leaving, "neither copied nor refused"
                elif copy is None:
                    assert report["code"] in NOT_COPIED
                    self.answered[f"copy {report['code']}"] += 1
                else:
                    self._check_copy(copy, original, report)
        assert copies == {}, "copied for nobody who copies"
        self._check_closed_copies(reports)
        self.leaving.clear()

    def _check_copy(self, copy: sqlite3.Row, original: sqlite3.Row, report: sqlite3.Row) -> None:
        assert (report["code"], report["contract_id"]) == (None, copy["id"])
        for column in ("shortcode", "price", "payout", "cancellation_price", "bought_at"):
            assert copy[column] == original[column]
        copier = next(each for each in self.traders if each.loginid == copy["loginid"])
        copier.contracts = [*copier.contracts[-150:], copy["id"]]
        self.answered["copy done"] += 1

    def _check_closed_copies(self, reports: dict[tuple[str, int, bool], sqlite3.Row]) -> None:
        """What is left of the reports is about closing; nothing that should be is still open."""
        pairs = self.following | self.leaving
        for (copier, _, is_buy), report in reports.items():
            assert not is_buy
            assert report["code"] in (None, "InvalidSellContractProposal")
            assert (copier, report["trader"]) in pairs
        for number in self.closed_by_traders:
            for copier, _ in self.following:
                row = self._db.execute(
                    "SELECT status FROM contracts WHERE copied_from = ? AND loginid = ?",
                    [number, copier],
                ).fetchone()
                if row is not None and row["status"] == "open":
                    refused = reports.get((copier, number, False))
                    assert refused is not None, "the trader sold, and the copy is still open"
                    assert refused["code"]
        self.closed_by_traders.clear()

    def _follow(self, number: int, version: int, last: int) -> Followed:
        """The contract, followed up to the epoch `last`."""
        followed = self.followed.get(number)
        if followed is None or followed.contract.version != version:
            row = self._db.execute("SELECT * FROM contracts WHERE id = ?", [number]).fetchone()
            contract = book.contract(row)
            if followed is None:
                state = begin(contract.terms, self.gateway.service(Feed))
                followed = self.followed[number] = Followed(contract, state)
                assert (contract.bought_by, -contract.price) == self.debited[number]
            else:  # new orders: none of the ticks that were followed has met them
                self._step(followed, contract.followed_to)
                assert followed.state.outcome is None
                followed.contract = contract
        self._step(followed, last)
        return followed

    def _step(self, followed: Followed, last: int) -> None:
        terms = followed.contract.terms
        kind = TYPES[terms.contract_type]
        followed.state = replay(kind, terms, followed.state, self.gateway.service(Feed), last)

    def _closed(self, number: int, entry: sqlite3.Row) -> None:
        """A contract was paid for: once, and what the market or the client made of it."""
        row = self._db.execute("SELECT * FROM contracts WHERE id = ?", [number]).fetchone()
        contract = book.contract(row)
        assert contract.sold_at is not None
        assert (contract.sold_by, contract.sold_for) == (entry["id"], entry["amount"])
        assert contract.status is not Status.OPEN
        followed = self._follow(number, contract.version, contract.sold_at)
        del self.followed[number], self.debited[number]
        self.last_contract = max(self.last_contract, number)
        self.closed[f"{contract.terms.contract_type} {contract.status.value}"] += 1
        told = self.acknowledged.pop(entry["id"], None)
        by_client = self.ended_by_client.pop(number, None)
        state, feed = followed.state, self.gateway.service(Feed)
        if by_client is not None:
            assert told == (number, entry["amount"])
            self.closed_by_traders.append(number)
        elif contract.copied_from is not None and state.outcome is None:
            by_client = self._closed_with(contract)
            assert told is None
        if by_client is not None:
            assert contract.status is by_client
            assert state.outcome is None
            if by_client is Status.SOLD:
                seen = market_view(feed, contract.terms.symbol, contract.sold_at)
                kind = TYPES[contract.terms.contract_type]
                expected = kind.value(
                    contract.terms, state, seen, self.gateway.service(Desk).margins
                )
            else:
                expected = contract.terms.stake
            assert contract.sold_for == expected
            return
        assert told is None
        assert state.outcome is not None, f"{contract.shortcode} ended before it was decided"
        assert (contract.status, contract.sold_for) == (state.outcome.status, state.outcome.pays)
        assert contract.sold_at == contract.exit_epoch == state.outcome.tick.epoch

    def _closed_with(self, copy: Contract) -> Status:
        """How the trader closed the contract that this is a copy of, at the same moment."""
        original = self._db.execute(
            "SELECT status, sold_at FROM contracts WHERE id = ?", [copy.copied_from]
        ).fetchone()
        assert original["sold_at"] == copy.sold_at, f"{copy.shortcode} was closed by nobody"
        self.answered[f"copy {original['status']}"] += 1
        return Status(original["status"])

    def _listen(self, trader: Trader) -> None:
        """Take over what the trader was told."""
        for message in trader.wire.received:
            if "error" in message:  # the token is no more, and so is what it listened to
                assert message["error"]["code"] == "InvalidToken"
            elif message["msg_type"] == "balance":
                trader.streamed = units(message["balance"]["balance"])
            else:
                entry = message["transaction"]
                trader.balance += units(entry["amount"])
                assert units(entry["balance"]) == trader.balance
                assert entry["transaction_id"] > trader.last
                trader.last = entry["transaction_id"]
                trader.received.append(trader.last)

    async def check_statements(self) -> None:
        """Every entry stands in `statement` once."""
        for trader in self.traders:
            listed: list[int] = []
            while True:
                reply = await trader.wire.ask(
                    {"statement": 1, "limit": PAGE, "offset": len(listed)}
                )
                rows = reply["statement"]["transactions"]
                listed += [row["transaction_id"] for row in rows]
                if len(rows) < PAGE:
                    break
            found = self._db.execute(
                "SELECT id FROM ledger WHERE loginid = ? ORDER BY id DESC", [trader.loginid]
            )
            assert listed == [row["id"] for row in found]

    def check_all_at_once(self) -> None:
        """What was compared step by step, once more from the beginning."""
        wrong = {
            "sums": "SELECT loginid FROM accounts WHERE balance <> (SELECT coalesce(sum(amount), 0)"
            " FROM ledger WHERE ledger.loginid = accounts.loginid)",
            "debits": "SELECT id FROM contracts WHERE (SELECT count(*) FROM ledger WHERE"
            " contract_id = contracts.id AND action = 'buy' AND amount = -price) <> 1",
            "credits": "SELECT id FROM contracts WHERE (SELECT count(*) FROM ledger WHERE"
            " contract_id = contracts.id AND action = 'sell')"
            " <> (CASE WHEN status = 'open' THEN 0 ELSE 1 END)",
            "payments": "SELECT contracts.id FROM contracts JOIN ledger ON ledger.id = sold_by"
            " WHERE sold_for <> amount OR contract_id <> contracts.id",
        }
        for what, query in wrong.items():
            assert self._db.execute(query).fetchall() == [], what


# Hypothesis.

wishes = st.builds(
    Wanted,
    contract_type=st.sampled_from(list(TYPES)),
    symbol=st.sampled_from(["1HZ100V", "1HZ10V", "R_100", "R_25"]),
    cents=st.integers(35, 3_000),
    is_payout=st.booleans(),
    length=st.integers(1, 10),
    in_ticks=st.booleans(),
    away=st.floats(-1.5, 1.5),
    choice=st.integers(0, 9),
)
who = st.integers(0, 2)
which = st.integers(0, 200)
order_names = st.sampled_from(["take_profit", "stop_loss"])
cents = st.none() | st.integers(1, 3_000)
moves = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), who, wishes),
        st.tuples(st.just("sell"), who, which),
        st.tuples(st.just("cancel"), who, which),
    ),
    min_size=1,
    max_size=5,
)


class Trading(RuleBasedStateMachine):
    """Operations in any order, each followed by a comparison of the books."""

    @initialize()
    def start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="scopegate-")
        self._runner = asyncio.Runner()
        self._failed = False
        self._hall = Hall(Path(self._folder.name))
        self._do(self._hall.open())
        self._do(self._hall.replay(self._trader(2), self._trader(1)))

    def _do(self, work: Any) -> None:
        try:
            self._runner.run(work)
        except BaseException:
            self._failed = True
            raise

    def _trader(self, number: int) -> Trader:
        return self._hall.traders[number]

    @rule(number=who, wanted=wishes)
    def buy(self, number: int, wanted: Wanted) -> None:
        self._do(self._hall.buy(self._trader(number), wanted))

    @rule(number=who, index=which)
    def sell(self, number: int, index: int) -> None:
        self._do(self._hall.sell(self._trader(number), index))

    @rule(number=who, index=which)
    def cancel(self, number: int, index: int) -> None:
        self._do(self._hall.cancel(self._trader(number), index))

    @rule(number=who, index=which, name=order_names, amount=cents)
    def update(self, number: int, index: int, name: str, amount: int | None) -> None:
        self._do(self._hall.update(self._trader(number), index, name, amount))

    @rule(number=who)
    def sell_expired(self, number: int) -> None:
        self._do(self._hall.sell_expired(self._trader(number)))

    @rule(number=who)
    def top_up(self, number: int) -> None:
        self._do(self._hall.top_up(self._trader(number)))

    def _under_way(self, several: Sequence[tuple[str, int, Any]]) -> list[Awaitable[None]]:
        return [
            getattr(self._hall, name)(self._trader(number), what) for name, number, what in several
        ]

    @rule(several=moves)
    def at_once(self, several: Sequence[tuple[str, int, Any]]) -> None:
        async def work() -> None:
            await asyncio.gather(*self._under_way(several))

        self._do(work())

    @rule(seconds=st.floats(0.1, 20) | st.floats(20, 700))
    def advance(self, seconds: float) -> None:
        self._do(self._hall.advance(seconds))

    @rule(seconds=st.floats(0.5, 10), several=moves)
    def advance_amid(self, seconds: float, several: Sequence[tuple[str, int, Any]]) -> None:
        self._do(self._hall.advance(seconds, *self._under_way(several)))

    @rule(number=who, several=moves)
    def revoke_amid(self, number: int, several: Sequence[tuple[str, int, Any]]) -> None:
        self._do(self._hall.revoke(self._trader(number), *self._under_way(several)))

    @rule(number=who, other=who)
    def replay(self, number: int, other: int) -> None:
        self._do(self._hall.replay(self._trader(number), self._trader(other)))

    @rule(number=who, other=who)
    def unfollow(self, number: int, other: int) -> None:
        self._do(self._hall.unfollow(self._trader(number), self._trader(other)))

    @rule(number=who, several=moves)
    def take_back_amid(self, number: int, several: Sequence[tuple[str, int, Any]]) -> None:
        self._do(self._hall.take_back(self._trader(number), *self._under_way(several)))

    @rule()
    def restart(self) -> None:
        self._do(self._hall.restart())

    @invariant()
    def the_books_agree(self) -> None:
        self._do(self._hall.check())
        for trader in self._hall.traders:
            self._do(self._hall.check_balance(trader))

    def teardown(self) -> None:
        if not hasattr(self, "_runner"):
            return
        try:
            if not self._failed:  # else the first failure is the one to be told
                self._do(self._hall.check_statements())
                self._hall.check_all_at_once()
        finally:
            self._do(self._hall.close())
            self._hall.forget()
            self._runner.close()
            self._folder.cleanup()


TestTrading = Trading.TestCase
TestTrading.settings = how_long(max_examples=chosen(8, 15), stateful_step_count=30, deadline=None)


# The long run.


def some_wish(chance: random.Random) -> Wanted:
    """Any contract."""
    return Wanted(
        contract_type=chance.choice(list(TYPES)),
        symbol=chance.choice(list(SYMBOLS)),
        cents=chance.randint(35, 3_000),
        is_payout=chance.random() < 0.5,
        length=chance.randint(1, 10),
        in_ticks=chance.random() < 0.5,
        away=chance.uniform(-1.5, 1.5),
        choice=chance.randint(0, 9),
    )


def some_move(hall: Hall, chance: random.Random) -> Awaitable[None]:
    """Something that a trader does, beside others."""
    trader, index = chance.choice(hall.traders), chance.randrange(200)
    doing = chance.random()
    if doing < 0.68:
        return hall.buy(trader, some_wish(chance))
    if doing < 0.95:
        return hall.sell(trader, index)
    return hall.cancel(trader, index)


async def some_step(hall: Hall, chance: random.Random) -> None:
    """One step: several operations at once, or one that has the hall to itself."""
    trader, doing = chance.choice(hall.traders), chance.random()
    several = [some_move(hall, chance) for _ in range(chance.randint(1, 8))]
    if doing < 0.30:
        await hall.advance(chance.uniform(0.5, 10), *several)
    elif doing < 0.80:
        await asyncio.gather(*several)
    elif doing < 0.81:
        await hall.revoke(trader, *several)
    elif doing < 0.82:
        await hall.take_back(trader, *several)
    else:
        await asyncio.gather(*several)
        if doing < 0.90:
            name = chance.choice(("take_profit", "stop_loss"))
            amount = chance.choice((None, chance.randint(1, 3_000)))
            for index in range(3):
                await hall.update(trader, chance.randrange(200) + index, name, amount)
        elif doing < 0.915:
            await hall.check()  # what was bought before is no concern of who copies from now on
            await hall.replay(trader, chance.choice(hall.traders))
        elif doing < 0.917:
            await hall.check()
            await hall.unfollow(trader, chance.choice(hall.traders))
        elif doing < 0.92:
            await hall.sell_expired(trader)
        elif doing < 0.955:
            await hall.top_up(trader)
        elif doing < 0.998:
            await hall.advance(chance.uniform(10, 120))
        elif doing < 0.9995:
            await hall.advance(chance.uniform(120, 1_200))
        else:
            await hall.restart()
    await hall.check()
    await hall.check_balance(trader)


async def run(operations: int, seed: int, tell: Callable[[str], None]) -> Hall:
    """So many random operations, the books compared after every step."""
    chance, began = random.Random(seed), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="scopegate-") as folder:
        hall = Hall(Path(folder), seed=f"hall {seed}")
        await hall.open()
        told = 0
        while hall.operations < operations:
            await some_step(hall, chance)
            if hall.operations * 10 // operations > told:
                told = hall.operations * 10 // operations
                rate = hall.operations / (time.monotonic() - began)
                tell(f"{hall.operations} operations, {rate:.0f} a second")
        await hall.check_statements()
        hall.check_all_at_once()
        await hall.close()
        hall.forget()
    return hall


async def test_the_long_run_in_short() -> None:
    hall = await run(chosen(300, 20_000), 1, lambda line: None)
    assert hall.closed


def main() -> None:
    """The command: run, and say what was done."""
    parser = argparse.ArgumentParser(description="Trade at random, and compare the books.")
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()

    def tell(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    hall = asyncio.run(run(given.operations, given.seed, tell))
    for title, counted in (("answered", hall.answered), ("ended", hall.closed)):
        tell(f"{title}:")
        for what, count in sorted(counted.items()):
            tell(f"  {count:9} {what}")
    tell("the books agree")


if __name__ == "__main__":
    main()
