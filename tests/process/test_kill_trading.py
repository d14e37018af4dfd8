"""Trading outlives a kill: whatever was acknowledged is there, paid for once, and goes on.

Clients buy, sell, cancel and change orders, two accounts copy one of them, and the gateway is
killed amid it; then it starts again on what the kill has left. The checker (`violations`) reads the
database from outside, knows what the clients were told, and settles again from the feed. That it
finds what it is there for is shown with three faulty gateways (`trading_mutants.py`).

There are few rounds in the suite. A hundred are run by

    KILL_TRADING_ROUNDS=100 python -m pytest tests/process/test_kill_trading.py
"""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scopegate.exchange import book, ledger
from scopegate.exchange.book import Contract
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import replay, resume
from scopegate.exchange.contracts.common.state import Status, begin
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.exchange.copying import MAX_REPORTS
from scopegate.exchange.feed import Feed
from scopegate.gateway.access import tokens, users
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.store.files import run_once
from scopegate.store.transactions import Transaction
from tests import served
from tests.clients.settle_again import LONGEST_STEP, Agreed, PerPoint, settle
from tests.clients.settle_again import Tick as ToldTick
from tests.process import trading_mutants
from tests.served import PATIENCE, Served, SocketClient, serving

ROUNDS = int(os.environ.get("KILL_TRADING_ROUNDS", "4"))
MUTANT_ROUNDS = 60
"""In so many rounds at the most a mutant must be found; about every second one finds it."""
SEED = "kill trading"
OPTIONS = ("--seed", SEED, "--start", "2026-01-01T12:00", "--speed", "50")
POOR = 2_000
"""What the poorer account begins with, in smallest units."""
TICK_TYPES = [name for name, kind in TYPES.items() if kind.listing.durations.ticks is not None]
TIMED_TYPES = [name for name, kind in TYPES.items() if kind.listing.durations.seconds is not None]
STRIKES = {"VANILLALONGCALL": "+0.00", "VANILLALONGPUT": "+1.00"}
STRIKES |= {"TURBOSLONG": "-4.00", "TURBOSSHORT": "+4.00"}
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


# Trading.


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


async def trade_until_killed(gateway: Served, told: Told, chance: random.Random) -> None:
    """Have clients trade, and kill the gateway after some of their replies."""
    enough = chance.randint(30, 150)
    delay = chance.uniform(0, 0.005)  # so that the kill may fall between two replies as well
    replies = itertools.count(1)
    rich, poor = told.tokens

    def acknowledged() -> None:
        if next(replies) == enough:
            asyncio.get_running_loop().call_later(
                delay, gateway.process.send_signal, signal.SIGKILL
            )

    async def buy(client: SocketClient, stake: float, wanted: dict[str, Any]) -> int | None:
        """The contract; `None` where it was refused."""
        wanted = {"currency": "USD", "amount": stake, "basis": "stake", **wanted}
        reply = await client.ask({"buy": "1", "price": 1_000, "parameters": wanted})
        if "error" in reply:
            assert reply["error"]["code"] in REFUSALS, reply["error"]
            return None
        bought = reply["buy"]
        told.bought[bought["contract_id"]] = Booked(
            bought["transaction_id"], -units(bought["buy_price"]), units(bought["balance_after"])
        )
        acknowledged()
        number: int = bought["contract_id"]
        return number

    async def buy_ticks(client: SocketClient, loginid: str, stake: float) -> None:
        await client.authorize(told.tokens[loginid])
        while True:
            await buy(client, stake, tick_contract(chance))

    async def close(client: SocketClient, call: str, contract_id: int) -> None:
        """Sell or cancel, once the entry tick is there."""
        request = {call: contract_id} | ({"price": 0} if call == "sell" else {})
        while True:
            reply = await client.ask(request)
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
        known = told.sold if call == "sell" else told.cancelled
        known[contract_id] = Booked(
            body["transaction_id"], units(body["sold_for"]), units(body["balance_after"])
        )
        acknowledged()

    async def take_profit(client: SocketClient, contract_id: int, profit: int) -> None:
        """Order it to close once it has gained so many cents."""
        reply = await client.ask(
            {
                "contract_update": 1,
                "contract_id": contract_id,
                "limit_order": {"take_profit": profit / 100},
            }
        )
        if "error" not in reply:
            told.orders.add(Order(contract_id, "take_profit", profit))
            acknowledged()
        else:
            assert reply["error"]["code"] in UPDATE_REFUSALS, reply["error"]

    async def multiply(client: SocketClient, loginid: str) -> None:
        await client.authorize(told.tokens[loginid])
        await client.ask({"ticks": "1HZ100V", "subscribe": 1})
        for number in itertools.count():
            contract_id = await buy(
                client,
                chance.randint(5, 20),
                {
                    "contract_type": chance.choice(("MULTUP", "MULTDOWN")),
                    "symbol": "1HZ100V",
                    "multiplier": 400,
                    "cancellation": "5m",
                }
                if number % 2
                else {"contract_type": "MULTUP", "symbol": "1HZ100V", "multiplier": 100},
            )
            if contract_id is None:
                continue
            await take_profit(client, contract_id, chance.randint(100, 900))
            if number % 3:  # every third stays open, from one life of the gateway to the next
                await close(client, "cancel" if number % 2 else "sell", contract_id)

    async def accumulate(client: SocketClient, loginid: str) -> None:
        await client.authorize(told.tokens[loginid])
        await client.ask({"ticks": "1HZ100V", "subscribe": 1})
        for number in itertools.count():
            wanted = {"contract_type": "ACCU", "symbol": "1HZ100V", "growth_rate": 0.01}
            contract_id = await buy(client, 10, wanted)
            if contract_id is None:
                continue
            await take_profit(client, contract_id, chance.randint(10, 500))
            if number % 3 == 0:  # the others end by themselves, in this life or the next
                await close(client, "sell", contract_id)

    async def sell_early(client: SocketClient, loginid: str) -> None:
        await client.authorize(told.tokens[loginid])
        await client.ask({"ticks": "R_100", "subscribe": 1})
        while True:
            contract_id = await buy(client, 1, timed_contract(chance))
            if contract_id is not None and chance.random() < 0.7:
                await close(client, "sell", contract_id)

    async def until_the_end(
        client: SocketClient, job: Callable[..., Awaitable[None]], *arguments: Any
    ) -> None:
        with contextlib.suppress(ConnectionError):
            await job(client, *arguments)

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(gateway.connected()) for _ in range(7)]
        await asyncio.gather(
            until_the_end(clients[0], buy_ticks, rich, 1),
            until_the_end(clients[1], buy_ticks, rich, 2.5),
            until_the_end(clients[2], buy_ticks, poor, 3),
            until_the_end(clients[3], buy_ticks, poor, 4),
            until_the_end(clients[4], multiply, rich),
            until_the_end(clients[5], sell_early, rich),
            until_the_end(clients[6], accumulate, rich),
        )
    assert await asyncio.to_thread(gateway.process.wait, PATIENCE) == -signal.SIGKILL
    assert next(replies) > enough
    gateway.stop()  # it has ended: this closes what was open to it


# Checking.


class Decided(NamedTuple):
    """What the market makes of a contract."""

    status: str
    pays: int
    epoch: int


def decided(contract: Contract, feed: Feed, last: int) -> Decided | None:
    """What the ticks up to `last` make of a contract; `None` while it is open."""
    terms = contract.terms
    if PerPoint.is_of(contract.shortcode):  # settled by rules that know nothing of ours
        product = PerPoint.read(contract.shortcode)
        told = feed.ticks(terms.symbol, product.start, product.last_moment)
        ticks = list(map(ToldTick, told.epochs.tolist(), told.pips.tolist()))
        paid = product.settle(ticks, None, terms.symbol.digits)
        assert paid is not None
        pays, decided_at = units(float(paid[0])), paid[1]
        return Decided("won" if pays else "lost", pays, decided_at) if decided_at <= last else None
    if Agreed.is_of(contract.shortcode):  # and so are these
        agreed = Agreed.read(contract.shortcode)
        told = feed.ticks(terms.symbol, agreed.start - LONGEST_STEP, agreed.last_moment)
        ticks = list(map(ToldTick, told.epochs.tolist(), told.pips.tolist()))
        result = settle(agreed, ticks, terms.symbol.digits)
        if result.decided_at > last:
            return None
        pays = units(float(result.pays))
        return Decided("won" if pays else "lost", pays, result.decided_at)
    state = begin(terms, feed)
    if contract.followed_to > state.seen:  # its orders are from then
        state = resume(TYPES[terms.contract_type], terms, feed, contract.followed_to)
    end = replay(TYPES[terms.contract_type], terms, state, feed, last).outcome
    return None if end is None else Decided(end.status.value, end.pays, end.tick.epoch)


def violations(path: Path, told: Told, *, due: float) -> list[str]:
    """What is wrong with the book and the ledger; what was decided by `due` must be settled."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        db.execute("BEGIN")  # all of it as it is at one moment
        return [
            *_wrong_balances(db),
            *_wrong_entries(db),
            *_forgotten(db, told),
            *_wrong_copies(db, told),
            *_wrong_results(db, due),
        ]


def _wrong_balances(db: sqlite3.Connection) -> Iterator[str]:
    running: Counter[str] = Counter()
    for row in db.execute("SELECT id, loginid, amount, balance_after FROM ledger ORDER BY id"):
        running[row["loginid"]] += row["amount"]
        if running[row["loginid"]] != row["balance_after"] or row["balance_after"] < 0:
            yield f"balance: entry {row['id']} leaves {row['balance_after']}"
    net: Counter[str] = Counter()
    for row in db.execute("SELECT loginid, currency, balance FROM accounts"):
        net[row["currency"]] += row["balance"]
        if running[row["loginid"]] != row["balance"]:
            yield f"balance: {row['loginid']} has {row['balance']}, not {running[row['loginid']]}"
    for row in db.execute("SELECT currency, balance FROM counter_accounts"):
        net[row["currency"]] += row["balance"]
    yield from (
        f"balance: all {currency} add up to {sum_}" for currency, sum_ in net.items() if sum_
    )
    for check in ("integrity_check", "foreign_key_check"):
        for row in db.execute(f"PRAGMA {check}"):
            if tuple(row) != ("ok",):
                yield f"database: {tuple(row)}"


def _wrong_entries(db: sqlite3.Connection) -> Iterator[str]:
    """Every contract has its one debit and, once closed, its one credit; and the other way."""
    entries: dict[tuple[str, int | None], list[sqlite3.Row]] = {}
    for row in db.execute("SELECT * FROM ledger WHERE action IN ('buy', 'sell')"):
        if row["contract_id"] is None:
            yield f"debit: entry {row['id']} of {row['amount']} is without a contract"
        else:
            entries.setdefault((row["action"], row["contract_id"]), []).append(row)
    for row in db.execute("SELECT * FROM contracts"):
        wanted = {"buy": [(row["bought_by"], row["loginid"], -row["price"])], "sell": []}
        if row["status"] != "open":
            wanted["sell"] = [(row["sold_by"], row["loginid"], row["sold_for"])]
        for action, expected in wanted.items():
            found = [
                (entry["id"], entry["loginid"], entry["amount"])
                for entry in entries.pop((action, row["id"]), [])
            ]
            if found != expected:
                yield f"entries: contract {row['id']} has {action} {found}, not {expected}"
    yield from (f"debit: {action} of {number} is without a contract" for action, number in entries)


def _forgotten(db: sqlite3.Connection, told: Told) -> Iterator[str]:
    """What was acknowledged, and is not there as it was told."""
    contracts = {row["id"]: row for row in db.execute("SELECT * FROM contracts")}
    entries = {
        row["id"]: (row["contract_id"], row["amount"], row["balance_after"])
        for row in db.execute("SELECT * FROM ledger WHERE contract_id IS NOT NULL")
    }
    orders = {
        Order(row["contract_id"], row["kind"], row["amount"])
        for row in db.execute("SELECT * FROM contract_orders")
    }
    for what, trades, column in (
        ("buy", told.bought, "bought_by"),
        ("sell", told.sold, "sold_by"),
        ("cancel", told.cancelled, "sold_by"),
    ):
        for number, booked in trades.items():
            row = contracts.get(number)
            if row is None or row[column] != booked.entry:
                yield f"acknowledged: the {what} of contract {number} is not there"
            elif entries.get(booked.entry) != (number, booked.units, booked.balance_after):
                yield f"acknowledged: the {what} of contract {number} is booked otherwise"
            elif what != "buy" and row["status"] != {"sell": "sold"}.get(what, "cancelled"):
                yield f"acknowledged: the {what} of contract {number} left it {row['status']}"
    yield from (f"acknowledged: {order} is not there" for order in told.orders - orders)


def _wrong_copies(db: sqlite3.Connection, told: Told) -> Iterator[str]:
    """Of all that the richer account bought and closed each copier has the same, or a refusal."""
    rich = next(iter(told.tokens))
    originals = {
        row["id"]: row
        for row in db.execute("SELECT * FROM contracts WHERE loginid = ? ORDER BY id", [rich])
    }
    for copier in told.copiers:
        reports = db.execute(
            "SELECT * FROM copy_reports WHERE copier = ? ORDER BY id", [copier]
        ).fetchall()
        # Of what was before the oldest report no refusal need be known any more.
        known_from = reports[0]["original"] + 1 if len(reports) == MAX_REPORTS else 0
        refused = {
            (row["original"], row["action"] == "buy") for row in reports if row["code"] is not None
        }
        copies: dict[int, sqlite3.Row] = {}
        for row in db.execute("SELECT * FROM contracts WHERE loginid = ?", [copier]):
            if row["copied_from"] in copies or row["copied_from"] not in originals:
                yield f"copy: contract {row['id']} is one too many"
            copies[row["copied_from"]] = row
        for number, original in originals.items():
            copy = copies.get(number)
            if number < known_from:
                continue
            if (copy is None) != ((number, True) in refused):
                yield f"copy: contract {number} is copied and refused, or neither, for {copier}"
            elif copy is not None and (number, False) not in refused:
                by_trader = original["status"] in ("sold", "cancelled") or copy["status"] == "sold"
                ends = {(row["status"], row["sold_at"]) for row in (original, copy)}
                if by_trader and len(ends) > 1:
                    yield f"copy: contract {number} and its copy {copy['id']} ended as {ends}"


def _wrong_results(db: sqlite3.Connection, due: float) -> Iterator[str]:
    """What is due and open, or was settled otherwise than the market says."""
    feed = Feed(SEED)
    for row in db.execute("SELECT * FROM contracts"):
        contract = book.contract(row)
        if contract.status is Status.OPEN:
            if decided(contract, feed, int(due)) is not None:
                yield f"due: contract {contract.id} is still open"
            continue
        assert contract.sold_at is not None
        found = (contract.status.value, contract.sold_for, contract.exit_epoch)
        expected = decided(contract, feed, contract.sold_at)
        if contract.status is Status.SOLD:
            right = expected is None
        elif contract.status is Status.CANCELLED and expected is None:  # by its owner
            right = contract.sold_for == contract.terms.stake
        else:
            right = found == expected and contract.sold_at == contract.exit_epoch
        if not right:
            yield f"result: contract {contract.id} ended {found}, the market says {expected}"


def stands(path: Path) -> float:
    """From where the market of a gateway that was killed goes on."""
    with closing(sqlite3.connect(path)) as db:
        return float(db.execute("SELECT value FROM meta WHERE name = 'mark'").fetchone()[0])


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


# What is shown.


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("kill"), *OPTIONS) as running:
        yield running


@pytest.fixture(scope="module")
def told(gateway: Served) -> Told:
    """What was acknowledged so far: later kills must not undo what earlier ones left."""
    return begin_trading(gateway)


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_every_acknowledged_trade_outlives_a_kill(
    gateway: Served, told: Told, number: int
) -> None:
    if not told.copiers:
        await begin_copying(gateway, told)
    before = len(told.bought)
    await trade_until_killed(gateway, told, random.Random(number))
    assert len(told.bought) > before

    due = stands(gateway.db)
    gateway.start()  # it listens once what was due is settled
    assert violations(gateway.db, told, due=due) == []
    await all_tick_contracts_end(gateway, told)
    assert violations(gateway.db, told, due=due) == []


async def test_the_rounds_have_seen_every_kind_of_trade(gateway: Served, told: Told) -> None:
    assert told.bought
    assert told.sold
    assert told.cancelled
    assert told.orders
    with closing(sqlite3.connect(gateway.db)) as db:
        became = set(db.execute("SELECT copier, action, code IS NULL FROM copy_reports"))
    well_off, poor = told.copiers
    for action in ("buy", "sell", "cancel"):
        assert (well_off, action, True) in became
    assert (poor, "buy", False) in became


@pytest.mark.parametrize(
    ("mutant", "kind"),
    [
        (trading_mutants.reply_before_commit, "acknowledged: "),
        (trading_mutants.unguarded_debit, "debit: "),
        (trading_mutants.copies_afterwards, "copy: "),
    ],
)
async def test_the_checker_finds_a_gateway_that(
    mutant: Callable[[], None],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launcher = (sys.executable, str(trading_mutants.__file__), mutant.__name__)
    monkeypatch.setattr(served, "MODULE", launcher)
    with Served(tmp_path, *OPTIONS) as faulty:
        told = begin_trading(faulty)
        await begin_copying(faulty, told)
        found: list[str] = []
        for number in range(MUTANT_ROUNDS):
            await trade_until_killed(faulty, told, random.Random(number))
            found = violations(faulty.db, told, due=0)
            if found:
                break
            faulty.start()
        assert found
        assert all(violation.startswith(kind) for violation in found)
