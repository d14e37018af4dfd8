"""Prices, contracts bought and settled, and ledger entries per second; needs Linux.

    python bench/books.py [--rounds 3] [--seconds 2] [--contracts 10000] [--json FILE]

Three tables. The rows of each take turns within one run, in a different order each round; the
tables have medians over the rounds.

Prices: `proposal` through the process that users start, 50 connections with 1 and 32 requests
outstanding on each, compared with FastAPI, which echoes the same requests as JSON and computes
nothing.

Trades over the wire: `buy` with `parameters`, acknowledged after the COMMIT that reaches the disk
(`synchronous=FULL`), each connection signed in to an account of its own. The contracts end at the
next tick, so as many are settled and paid meanwhile. The baselines have no sockets, JSON, checks or
settlements: `sqlite3` runs the same statements as the book, one commit per transaction; `aiosqlite`
does the minimum that stores a trade (a contract, a balance, an entry, the commit: four awaits),
called by 64 tasks at once.

The books: in one process and without sockets, `MOST_AT_ONCE` calls at once: contracts bought,
contracts settled that all end at the same tick (from the tick to the last entry), and ledger
entries written. The same baselines.
"""

import argparse
import asyncio
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import aiosqlite
import uvloop
from load import Client, Load, LoadError, Message, Requests, VaryingClient
from requests import OUTSTANDING, WARM_UP, Case, Sample
from servers import FASTAPI, SCOPEGATE, SERVERS, Server, rotated, what_is_measured

from scopegate import testing
from scopegate.exchange import book, ledger
from scopegate.exchange.book import Contract, Purchase
from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.state import Outcome, Status, Tick
from scopegate.exchange.desk import Desk
from scopegate.exchange.feed import Feed
from scopegate.exchange.ledger import Account, Posting
from scopegate.exchange.rules import MAX_OPEN_POSITIONS, Margins
from scopegate.gateway.access import token_management, tokens, users
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.handlers.exchange.trading_restrictions import TradingRestrictionKinds
from scopegate.runtime.clock import WallClock
from scopegate.store.files import run_once
from scopegate.store.migrating import migrate
from scopegate.store.sqlite_connection import connect
from scopegate.store.transactions import Transaction
from scopegate.testing import NOON

PRICED: Mapping[str, Message] = {
    "rise, 5 minutes": {"contract_type": "CALL", "duration": 5, "duration_unit": "m"},
    "touch, 5 ticks": {
        "contract_type": "ONETOUCH",
        "duration": 5,
        "duration_unit": "t",
        "barrier": "+0.40",
    },
    "multiplier": {"contract_type": "MULTUP", "multiplier": 100, "basis": "stake"},
}
CONNECTIONS = 50
TRADERS = ((64, 1), (256, 4))
"""Connections that buy, and the requests outstanding on each."""
TASKS = 64
"""Tasks that call aiosqlite at once."""
MAX_AT_ONCE = 256
"""Trades passed to the store at once: as many as share a commit."""
PEER_TRADES = 1_000
"""Trades of a baseline in a turn: each takes it a commit."""
AIOSQLITE, SQLITE = "aiosqlite", "sqlite3"
_PATIENCE = 30.0

_DIGIT: Message = {
    "contract_type": "DIGITEVEN",
    "symbol": "1HZ100V",
    "duration": 1,
    "duration_unit": "t",
    "basis": "stake",
    "amount": 0.35,
    "currency": "USD",
}


@contextmanager
def _cores(cores: set[int]) -> Iterator[None]:
    """Run this process, and those it starts meanwhile, on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _started(*names: str) -> Iterator[dict[str, Server]]:
    """Start servers that leave the first core to the load."""
    with ExitStack() as stack:
        with _cores(set(sorted(os.sched_getaffinity(0))[1:]) or {0}):
            servers = {name: stack.enter_context(SERVERS[name]()) for name in names}
        yield servers


def _load_core() -> set[int]:
    return {min(os.sched_getaffinity(0))}


# Prices.


def _proposal(fields: Message) -> Message:
    common = {"proposal": 1, "symbol": "1HZ100V", "amount": 10, "currency": "USD"}
    return {**common, "basis": "payout", **fields}


def _is_proposal(request: Message, reply: Message) -> bool:
    body = reply.get("proposal", {})
    staked = request["basis"] == "stake"
    return (
        reply.get("msg_type") == "proposal"
        and reply["echo_req"] == request
        and reply["req_id"] == request["req_id"]
        and len(body["id"]) >= 32
        and (body["ask_price"] == 10 if staked else 0 < body["ask_price"] < body["payout"] == 10)
    )


def _is_echo(request: Message, reply: Message) -> bool:
    return reply == request


ECHO = Case(FASTAPI, "echo of JSON", Requests(_proposal(PRICED["rise, 5 minutes"])), _is_echo)
PRICES = (
    *(Case(SCOPEGATE, name, Requests(_proposal(PRICED[name])), _is_proposal) for name in PRICED),
    ECHO,
)


def turn(
    server: Server,
    case: Case,
    signed_in: Sequence[str],
    *,
    outstanding: int,
    seconds: float,
    count: Callable[[], int] = int,
) -> tuple[Sample, float]:
    """Load one server for `seconds`: a connection for each token, signed in unless it is empty.

    Return the sample, and by how much `count()` grew per second.
    """
    clients = [_connected(server, case, token) for token in signed_in]
    load = Load(clients, case.requests, outstanding)
    load.run(WARM_UP)
    counted = count()
    cpu, own_cpu, began = server.cpu_seconds(), process_time(), perf_counter()
    replies = load.run(seconds)
    cpu, own_cpu = server.cpu_seconds() - cpu, process_time() - own_cpu
    took = perf_counter() - began
    counted = count() - counted
    for request, reply in load.finish():
        _check(case, request, reply)
    for client in clients:
        if case.signs_in:
            _wait_until_settled(client)
        client.close()
    sample = Sample(replies / took, cpu / replies * 1e6, cpu / took, own_cpu / took)
    return sample, counted / took


def signed_in(server: Server, token: str) -> VaryingClient:
    """Return a connection that is signed in with a token, unless that is empty."""
    client = VaryingClient(server.port, server.path)
    if token:
        reply = client.ask({"authorize": token})
        if "error" in reply:
            raise LoadError(f"{server.name} does not sign in: {reply}")
    return client


def _connected(server: Server, case: Case, token: str) -> Client:
    client = signed_in(server, token)
    request = case.requests.message(0)
    _check(case, request, client.ask(request))
    return client


def _check(case: Case, request: Message, reply: Message) -> None:
    if not case.is_right(request, reply):
        raise LoadError(f"{case.server} answers {request} with {reply}")


def _wait_until_settled(client: Client) -> None:
    client.socket.settimeout(_PATIENCE)
    end = perf_counter() + _PATIENCE
    while client.ask({"portfolio": 1})["portfolio"]["contracts"]:
        if perf_counter() > end:
            raise LoadError("contracts that ended are not settled")
        time.sleep(0.05)


def measure_prices(rounds: int, seconds: float) -> dict[tuple[Case, int], list[Sample]]:
    """The samples of all rounds, by case and number of outstanding requests."""
    turns = [(case, outstanding) for outstanding in OUTSTANDING for case in PRICES]
    samples: dict[tuple[Case, int], list[Sample]] = {each: [] for each in turns}
    with _started(SCOPEGATE, FASTAPI) as servers, _cores(_load_core()):
        for number in range(rounds):
            for case, outstanding in rotated(turns, number * 3):
                sample, _ = turn(
                    servers[case.server],
                    case,
                    [""] * CONNECTIONS,
                    outstanding=outstanding,
                    seconds=seconds,
                )
                samples[case, outstanding].append(sample)
    return samples


# Trades over the wire.


def _is_receipt(request: Message, reply: Message) -> bool:
    body = reply.get("buy", {})
    return (
        reply.get("msg_type") == "buy"
        and reply["echo_req"] == request
        and body["buy_price"] == 0.35
        and body["payout"] > 0.35
        and body["transaction_id"] > 0
    )


BUY = Case(
    SCOPEGATE,
    "buy",
    Requests({"buy": "1", "price": 0.35, "parameters": _DIGIT}),
    _is_receipt,
    signs_in=True,
)


def open_accounts(transaction: Transaction, count: int) -> list[Account]:
    """Create `count` users with one account each; return the accounts."""
    opened = []
    for _ in range(count):
        user_id = users.create(transaction, f"trader{secrets.token_hex(8)}@bench.invalid")
        ledger.open_with_balance(transaction, user_id, virtual=(True,), at=NOON)
        opened += ledger.accounts(transaction, user_id)
    return opened


def traders_of(db: Path, count: int, restrictions: Mapping[str, Any] | None = None) -> list[str]:
    """Create accounts; return their tokens, which the running gateway accepts."""
    kinds = TradingRestrictionKinds(WallClock())
    values = kinds.checked(restrictions or {})

    def job(transaction: Transaction) -> list[str]:
        return [
            token_management.create_restricted(
                transaction, kinds, tokens.NewToken(account.loginid, "Bench", SCOPES), values
            )
            for account in open_accounts(transaction, count)
        ]

    return run_once(db, job)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something was done per second, and what it cost."""

    per_second: float
    cpu_us: float
    """CPU time for one, of the process that did it."""


def measure_trades(
    rounds: int, seconds: float
) -> tuple[dict[str, list[Rate]], dict[str, list[float]]]:
    """Return buys per second, of the gateway and the baselines, and settlements meanwhile."""
    wires = dict(zip((f"{many} x {each}" for many, each in TRADERS), TRADERS, strict=True))
    turns = [*wires, SQLITE, AIOSQLITE]
    samples: dict[str, list[Rate]] = {name: [] for name in turns}
    settled: dict[str, list[float]] = {name: [] for name in wires}
    with _started(SCOPEGATE) as servers:
        server = servers[SCOPEGATE]
        assert server.db is not None
        traders = traders_of(server.db, max(many for many, _ in TRADERS))
        with closing(connect(server.db, read_only=True)) as reader:

            def closed() -> int:
                rows = reader.execute("SELECT count(*) FROM contracts WHERE status <> 'open'")
                return int(rows.fetchone()[0])

            for number in range(rounds):
                for name in rotated(turns, number):
                    if name == SQLITE:
                        samples[name].append(plain_books()["bought"])
                    elif name == AIOSQLITE:
                        samples[name].append(uvloop.run(awaited_books())["bought"])
                    else:
                        connections, outstanding = wires[name]
                        with _cores(_load_core()):
                            taken, meanwhile = turn(
                                server,
                                BUY,
                                traders[:connections],
                                outstanding=outstanding,
                                seconds=seconds,
                                count=closed,
                            )
                        samples[name].append(Rate(taken.per_second, taken.cpu_us))
                        settled[name].append(meanwhile)
    return samples, settled


# The books.

Books = dict[str, Rate]
"""Rates by what was done: contracts `bought`, contracts `settled`, entries `booked`."""


@contextmanager
def _timed(count: int, books: Books, what: str) -> Iterator[None]:
    cpu, began = process_time(), perf_counter()
    yield
    took, cpu = perf_counter() - began, process_time() - cpu
    books[what] = Rate(count / took, cpu / count * 1e6)


def _quote(feed: Feed, now: int) -> Quote:
    request = QuoteRequest(
        contract_type=_DIGIT["contract_type"],
        symbol=_DIGIT["symbol"],
        currency=_DIGIT["currency"],
        amount=Decimal(str(_DIGIT["amount"])),
        basis=_DIGIT["basis"],
        duration=_DIGIT["duration"],
        duration_unit=_DIGIT["duration_unit"],
    )
    return quoting.make_quote(request, feed, now, Margins())


async def _all(do: Callable[[str], Awaitable[None]], loginids: Sequence[str], at_once: int) -> None:
    """Call `do` for each of these accounts, `at_once` at a time."""
    waiting = iter(loginids)

    async def work() -> None:
        for loginid in waiting:
            await do(loginid)

    await asyncio.gather(*(work() for _ in range(at_once)))


async def our_books(contracts: int) -> Books:
    """Measure the desk and the store of a whole gateway, whose clock is advanced by hand."""
    books: Books = {}
    per_account = MAX_OPEN_POSITIONS
    async with testing.world() as world:
        gateway, now = world.gateway, int(world.clock.now())
        owned = await gateway.store.write(lambda t: open_accounts(t, -(-contracts // per_account)))
        quote = _quote(gateway.service(Feed), now)

        async def buy(loginid: str) -> None:
            purchase = Purchase(quote=quote, loginid=loginid, app_id=None, at=now)
            await gateway.service(Desk).buy(lambda _transaction: None, lambda _now: purchase)

        whose = [owned[number // per_account].loginid for number in range(contracts)]
        with _timed(contracts, books, "bought"):
            await _all(buy, whose, MAX_AT_ONCE)
        with _timed(contracts, books, "settled"):
            world.clock.advance(1)
            await gateway.service(Desk).settled()
        row = await gateway.store.read(
            lambda reader: reader.one("SELECT count(*) FROM ledger WHERE action = 'sell'")
        )
        assert row is not None
        assert row[0] == contracts
        assert not any(gateway.service(Desk).positions(account.loginid) for account in owned)

        async def credit(loginid: str) -> None:
            deposit = Posting(loginid=loginid, action="deposit", amount=1, at=now)
            await gateway.store.write(lambda t: ledger.post(t, deposit))

        with _timed(contracts, books, "booked"):
            await _all(credit, whose, MAX_AT_ONCE)
    return books


@contextmanager
def _database(accounts: int) -> Iterator[tuple[Path, list[Account]]]:
    with TemporaryDirectory(prefix="scopegate-bench-") as folder:
        path = Path(folder) / "peer.db"
        with closing(connect(path)) as connection:
            migrate(connection)
            connection.execute("BEGIN IMMEDIATE")
            opened = open_accounts(Transaction(connection), accounts)
            connection.execute("COMMIT")
        yield path, opened


def _ended(quote: Quote) -> Outcome:
    terms = quote.terms
    return Outcome(Status.WON, Tick(terms.entry_epoch, quote.spot.pips), quote.payout)


def plain_books() -> Books:
    """Measure the statements of our book with plain `sqlite3`, one commit per transaction."""
    books: Books = {}
    accounts = -(-PEER_TRADES // MAX_OPEN_POSITIONS)
    with _database(accounts) as (path, opened), closing(connect(path)) as connection:
        quote = _quote(Feed("bench"), int(NOON))
        transaction = Transaction(connection)

        @contextmanager
        def committed() -> Iterator[None]:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("COMMIT")
            transaction.changes.clear()

        whose = [opened[number % accounts].loginid for number in range(PEER_TRADES)]
        held: list[Contract] = []
        with _timed(PEER_TRADES, books, "bought"):
            for loginid in whose:
                with committed():
                    purchase = Purchase(quote=quote, loginid=loginid, app_id=None, at=int(NOON))
                    bought = book.buy(transaction, purchase)
                held.append(bought.contract)
        end = _ended(quote)
        with _timed(PEER_TRADES, books, "settled"):
            for contract in held:
                with committed():
                    closed = book.close(transaction, contract, end, at=end.tick.epoch)
                assert closed is not None
        with _timed(PEER_TRADES, books, "booked"):
            for loginid in whose:
                with committed():
                    deposit = Posting(loginid=loginid, action="deposit", amount=1, at=NOON)
                    ledger.post(transaction, deposit)
    return books


_OPEN = (
    "INSERT INTO contracts (loginid, contract_type, shortcode, currency, price, payout, bought_at)"
    " VALUES (?, 'DIGITEVEN', 'DIGITEVEN_1HZ100V_0.68_1767268800_1T_0_0', 'USD', 35, 68, ?)"
)
_CLOSE = (
    "UPDATE contracts SET status = 'won', sold_for = 68, sold_at = ?, exit_epoch = sold_at"
    " WHERE id = ? AND status = 'open'"
)
_MOVE = "UPDATE accounts SET balance = balance + ? WHERE loginid = ? AND balance + ? >= 0"
_ENTER = (
    "INSERT INTO ledger (loginid, action, amount, balance_after, at, contract_id)"
    " SELECT loginid, ?, ?, balance, ?, ? FROM accounts WHERE loginid = ?"
)


async def awaited_books() -> Books:
    """Measure the minimum that stores a trade, with an `await` per statement and for the commit."""
    books: Books = {}
    with _database(TASKS) as (path, opened):
        connection = await aiosqlite.connect(path)
        try:
            await connection.execute("PRAGMA synchronous = FULL")
            mine = asyncio.Lock()  # a shared connection means a shared transaction
            now, ids = int(NOON), iter(range(1, PEER_TRADES + 1))

            async def move(loginid: str, action: str, amount: int, contract: int | None) -> None:
                moved = await connection.execute(_MOVE, (amount, loginid, amount))
                assert moved.rowcount == 1
                await connection.execute(_ENTER, (action, amount, now, contract, loginid))
                await connection.commit()

            async def buy(loginid: str) -> None:
                async with mine:
                    row = await connection.execute(_OPEN, (loginid, now))
                    await move(loginid, "buy", -35, row.lastrowid)

            async def settle(loginid: str) -> None:
                async with mine:
                    contract = next(ids)
                    closed = await connection.execute(_CLOSE, (now + 1, contract))
                    assert closed.rowcount == 1
                    await move(loginid, "sell", 68, contract)

            async def credit(loginid: str) -> None:
                async with mine:
                    await move(loginid, "deposit", 1, None)

            whose = [opened[number % TASKS].loginid for number in range(PEER_TRADES)]
            for what, do in (("bought", buy), ("settled", settle), ("booked", credit)):
                with _timed(PEER_TRADES, books, what):
                    await _all(do, whose, TASKS)
        finally:
            await connection.close()
    return books


def measure_books(rounds: int, contracts: int) -> dict[str, list[Books]]:
    """Return the rates in one process, by what was measured."""
    turns: dict[str, Callable[[], Books]] = {
        SCOPEGATE: lambda: uvloop.run(our_books(contracts)),
        SQLITE: plain_books,
        AIOSQLITE: lambda: uvloop.run(awaited_books()),
    }
    samples: dict[str, list[Books]] = {name: [] for name in turns}
    for number in range(rounds):
        for name in rotated(list(turns), number):
            samples[name].append(turns[name]())
    return samples


# Showing.


def show_prices(samples: Mapping[tuple[Case, int], Sequence[Sample]]) -> None:
    """Print the first table."""
    print(
        f"{'outstanding':>11}  {'server':<10} {'proposal':<18} {'prices/s':>10} {'ratio':>6}"
        f" {'CPU µs':>7} {'server':>7} {'load':>5}"
    )
    for (case, outstanding), taken in samples.items():
        pairs = list(zip(taken, samples[ECHO, outstanding], strict=True))
        print(
            f"{outstanding:>11}  {case.server:<10} {case.call:<18}"
            f" {median(sample.per_second for sample in taken):>10,.0f}"
            f" {median(sample.per_second / base.per_second for sample, base in pairs):>6.2f}"
            f" {median(sample.cpu_us for sample in taken):>7.1f}"
            f" {median(sample.server for sample in taken):>7.0%}"
            f" {median(sample.load for sample in taken):>5.0%}"
        )


def _row(what: str, who: str, taken: Sequence[Rate], bases: Sequence[Sequence[Rate]]) -> None:
    ratios = (
        median(rate.per_second / base.per_second for rate, base in zip(taken, of, strict=True))
        for of in bases
    )
    print(
        f"{what:<20} {who:<10} {median(rate.per_second for rate in taken):>10,.0f}"
        f" {median(rate.cpu_us for rate in taken):>7.1f}"
        + "".join(f" {ratio:>12.2f}" for ratio in ratios)
    )


def _head(title: str) -> None:
    print(f"{title:<20} {'':<10} {'a second':>10} {'CPU µs':>7} {SQLITE:>12} {AIOSQLITE:>12}")


def show_trades(
    samples: Mapping[str, Sequence[Rate]], settled: Mapping[str, Sequence[float]]
) -> None:
    """Print the second table."""
    _head("buys, connections")
    for name, taken in samples.items():
        who = name if name in (SQLITE, AIOSQLITE) else SCOPEGATE
        _row(name if who == SCOPEGATE else "", who, taken, [samples[SQLITE], samples[AIOSQLITE]])
        if name in settled:
            print(f"{'  settled meanwhile':<31} {median(settled[name]):>10,.0f}")


def show_books(samples: Mapping[str, Sequence[Books]]) -> None:
    """Print the third table."""
    _head("in process")
    for what in ("bought", "settled", "booked"):
        rates = {who: [books[what] for books in taken] for who, taken in samples.items()}
        for who, taken in rates.items():
            _row(what if who == SCOPEGATE else "", who, taken, [rates[SQLITE], rates[AIOSQLITE]])


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=2.0, help="of each turn over the wire")
    options.add_argument("--contracts", type=int, default=10_000, help="that end at one tick")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    print(what_is_measured(), f"SQLite {sqlite3.sqlite_version}", sep=", ")
    print(f"medians of {given.rounds} rounds; ratios: times better than the peer")
    prices = measure_prices(given.rounds, given.seconds)
    print(f"\n{CONNECTIONS} connections, {given.seconds:g} s a turn; ratio: to {FASTAPI}'s echo")
    show_prices(prices)
    trades, settled = measure_trades(given.rounds, given.seconds)
    print("\nbuys over the wire, settled meanwhile; peers without a wire")
    show_trades(trades, settled)
    books = measure_books(given.rounds, given.contracts)
    print(f"\n{given.contracts} contracts, {MAX_AT_ONCE} asked for at once; peers {PEER_TRADES}")
    show_books(books)
    if given.json is not None:
        rows = {
            "prices": [
                {
                    "server": case.server,
                    "proposal": case.call,
                    "outstanding": outstanding,
                    "samples": [asdict(sample) for sample in taken],
                }
                for (case, outstanding), taken in prices.items()
            ],
            "settled_meanwhile": settled,
            "trades": {name: [asdict(rate) for rate in taken] for name, taken in trades.items()},
            "books": {
                who: [{what: asdict(rate) for what, rate in each.items()} for each in taken]
                for who, taken in books.items()
            },
        }
        given.json.write_text(json.dumps({"of": what_is_measured(), **rows}, indent=1))


if __name__ == "__main__":
    main()
