"""What ends while the gateway is down ends as if it had been up: told beside one that never stops.

Two gateways have the same seed, the same start and the same clients; one of them is stopped amid
its contracts and started again hours later. Their books must then tell the same.
"""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scopegate.app import compose
from scopegate.exchange.book import Contract, contract
from scopegate.exchange.contracts.accumulators import Accumulator
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.per_point import PerPoint
from scopegate.exchange.contracts.common.state import Status
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.exchange.contracts.multipliers import MultiplierTerms
from scopegate.exchange.desk import Desk
from scopegate.exchange.feed import Feed
from scopegate.exchange.symbols import DAY, SYMBOLS
from scopegate.runtime.clock import HandClock
from scopegate.settings import Settings
from scopegate.store.transactions import Transaction
from scopegate.testing import NOON, Mailbox, MemoryClient, World

SEED = "restart"
BEFORE = 7
"""Seconds of trading before the one gateway is stopped."""
DOWN = 3 * 3_600 + 1
"""Seconds for which it is down."""

Request = dict[str, Any]


class HurriedClock(HandClock):
    """A clock that has moved on whenever it is asked: its market does not wait for a start."""

    def now(self) -> float:
        self._now += 0.7
        return super().now()


@dataclass
class Twin:
    """A gateway that is stopped, or is not, with a client of the demo account and one of another,
    since an account may have so many contracts open."""

    settings: Settings
    clock: HandClock = field(default_factory=lambda: HandClock(NOON))
    lives: AsyncExitStack = field(default_factory=AsyncExitStack)
    others_token: str = ""

    async def start(self) -> None:
        """Start it at the present moment of its market, and let the client in."""
        gateway = await self.lives.enter_async_context(compose(self.settings, self.clock))
        self.world = await World.around(gateway, self.clock, Mailbox())
        self.client: MemoryClient = self.world.connect()
        await self.client.authorize(gateway.demo.token if gateway.demo else "")
        self.other: MemoryClient = self.world.connect()
        if not self.others_token:
            loginid = self.world.real[0].loginid
            self.others_token = await self.world.token("read", "trade", loginid=loginid)
        await self.other.authorize(self.others_token)

    async def stop(self) -> None:
        """Stop it; its clock stands."""
        self.client.leave()
        self.other.leave()
        await self.lives.aclose()

    async def restart(self, after: float, *, hurried: bool = False) -> None:
        """Stop it and start it so many seconds later, perhaps with the market running on."""
        await self.stop()
        self.clock = (HurriedClock if hurried else HandClock)(self.clock.now() + after)
        await self.start()

    async def advance(self, seconds: float) -> None:
        """Let the market go on, and what ends be settled."""
        self.clock.advance(seconds)
        await self.world.gateway.service(Desk).settled()

    async def done(self, request: Request, *, other: bool = False) -> dict[str, Any]:
        """Ask for something that is not refused, by the one client or the other; its body."""
        reply = await (self.other if other else self.client).ask(request)
        assert "error" not in reply, (request, reply["error"])
        body: dict[str, Any] = reply[next(iter(request))]
        return body

    async def contracts(self) -> dict[int, Contract]:
        """Every contract of the book's, by its number."""

        def job(reader: Transaction) -> list[Contract]:
            return [contract(row) for row in reader.all("SELECT * FROM contracts")]

        found = await self.world.gateway.store.read(job)
        return {each.id: each for each in found}


@pytest.fixture
async def twins(tmp_path: Path) -> AsyncIterator[tuple[Twin, Twin]]:
    """One that is never stopped, and one that will be."""
    made = tuple(
        Twin(Settings(db=tmp_path / name, seed=SEED, start=repr(NOON), port=0))
        for name in ("always.db", "stopped.db")
    )
    for twin in made:
        await twin.start()
    yield made[0], made[1]
    for twin in made:
        await twin.stop()


def options() -> list[Request]:
    """Options of the first types: such as end before the stop, during it, and after it."""
    wanted: list[Request] = []
    for name, kind in TYPES.items():
        durations = kind.listing.durations
        if durations.ticks is None or kind.remembers or isinstance(kind, PerPoint):
            # See `more_options`.
            continue
        lasting = [(ticks, "t") for ticks in (1, 5, 10) if ticks >= durations.ticks[0]]
        if durations.seconds is not None:
            lasting += [(150, "s"), (61, "m"), (2, "h"), (5, "h"), (1, "d")]
        for number, (duration, unit) in enumerate(lasting):
            symbol = SYMBOLS[("1HZ100V", "R_100", "1HZ75V")[number % 3]]
            fields: Request = {
                "contract_type": name,
                "symbol": symbol.name,
                "duration": duration,
                "duration_unit": unit,
            }
            if name in ("DIGITMATCH", "DIGITDIFF", "DIGITOVER", "DIGITUNDER"):
                fields["barrier"] = str(3 + number)
            elif "TOUCH" in name:
                seconds = duration * {"t": symbol.step, "s": 1, "m": 60, "h": 3_600, "d": DAY}[unit]
                away = symbol.level * symbol.tick_sd * (seconds / symbol.step) ** 0.5
                fields["barrier"] = f"{'+-'[number % 2]}{symbol.text(round(away / 2))}"
            elif number % 2 and "barrier" in kind.takes:
                fields["barrier"] = "+0.40"
            wanted.append(fields)
    wanted += [  # these start while the gateway is down
        {
            "contract_type": name,
            "symbol": "R_100",
            "duration": 30,
            "duration_unit": "m",
            "date_start": int(NOON) + 1_801,
        }
        for name in ("CALL", "PUTE")
    ]
    return wanted


def more_options(feed: Feed) -> list[Request]:
    """Of the types with two barriers, of those that remember something of their ticks, and of those
    without a fixed payout."""
    wanted: list[Request] = []
    for name, kind in TYPES.items():
        takes, durations = kind.takes, kind.listing.durations
        if isinstance(kind, Accumulator):
            wanted += [
                {"contract_type": name, "symbol": symbol, "growth_rate": 0.01}
                for symbol in ("1HZ100V", "R_10", "R_25", "R_50", "R_75", "R_100")
            ]
            continue
        if not kind.remembers and "barrier2" not in takes and not isinstance(kind, PerPoint):
            continue
        if durations.seconds is not None:
            long = min(3_660, durations.seconds[1])
            for seconds, symbol in ((150, "1HZ100V"), (long, "R_100")):
                known = SYMBOLS[symbol]
                fields: Request = {"contract_type": name, "symbol": symbol, "duration": seconds}
                if isinstance(kind, Lookback):
                    fields["basis"] = "multiplier"
                away = feed.price(known, int(NOON)) * known.tick_sd * (seconds / known.step) ** 0.5
                if isinstance(kind, PerPoint):
                    side = "-" if name in ("TURBOSLONG", "VANILLALONGPUT") else "+"
                    fields["barrier"] = f"{side}{known.text(round(away * 0.7))}"
                if "barrier2" in takes:
                    fields["barrier"] = f"+{known.text(round(away))}"
                    fields["barrier2"] = f"-{known.text(round(away * 0.9))}"
                wanted.append(fields)
        if durations.ticks is not None and not isinstance(kind, PerPoint):
            # Of two seconds each: some are open at the stop.
            for symbol in ("R_10", "R_25", "R_50", "R_75", "R_100"):
                fields = {"contract_type": name, "symbol": symbol, "duration_unit": "t"}
                fields["duration"] = durations.ticks[1]
                if "selected_tick" in takes:
                    fields["selected_tick"] = 5
                wanted.append(fields)
    return wanted


def multipliers() -> list[Request]:
    """Multipliers of both types: with and without orders, and with a time to cancel."""
    return [
        {"contract_type": name, "symbol": symbol, "multiplier": multiplier, **more}
        for name in ("MULTUP", "MULTDOWN")
        for symbol, multiplier in (("1HZ100V", 400), ("R_100", 100))
        for more in (
            {},
            {"cancellation": "5m"},
            {"cancellation": "60m"},
            {"limit_order": {"take_profit": 4}},
            {"limit_order": {"stop_loss": 6}},
            {"limit_order": {"take_profit": 30, "stop_loss": 5}},
            {"cancellation": "60m", "limit_order": {"take_profit": 12, "stop_loss": 3}},
        )
    ]


CHANGES: list[Request] = [
    {"take_profit": 2},
    {"take_profit": None, "stop_loss": 4.5},
    {"stop_loss": None},
    {"take_profit": 9, "stop_loss": 7},
]
"""New orders: the multipliers get them in turn, before the stop."""


async def trade(twin: Twin) -> dict[int, Request]:
    """Buy everything, and change orders; what was changed, by contract."""
    multiplied: list[int] = []
    for fields in [*options(), *multipliers()]:
        whole: Request = {"currency": "USD", "amount": 10, "basis": "stake", **fields}
        bought = await twin.done({"buy": "1", "price": 100, "parameters": whole})
        if "multiplier" in fields:
            multiplied.append(bought["contract_id"])
    for fields in more_options(twin.world.gateway.service(Feed)):
        whole = {"currency": "USD", "amount": 10, "basis": "stake", **fields}
        await twin.done({"buy": "1", "price": 1_000, "parameters": whole}, other=True)
    await twin.advance(BEFORE)
    held = (await twin.done({"portfolio": 1}))["contracts"]
    still_open = {each["contract_id"] for each in held}
    changed = {
        number: orders
        for number, orders in zip(multiplied[::2], itertools.cycle(CHANGES), strict=False)
        if number in still_open
    }
    for number, orders in changed.items():
        await twin.done({"contract_update": 1, "contract_id": number, "limit_order": orders})
    return changed


def result(of: Contract) -> tuple[Any, ...]:
    """What became of a contract."""
    return (of.shortcode, of.terms, of.status, of.sold_for, of.sold_at, of.exit_epoch)


async def test_what_ends_while_the_gateway_is_down_ends_as_if_it_were_up(
    twins: tuple[Twin, Twin],
) -> None:
    always, stopped = twins
    changed = await trade(always)
    assert await trade(stopped) == changed
    before = await stopped.contracts()
    assert {each.id: result(each) for each in before.values()} == {
        each.id: result(each) for each in (await always.contracts()).values()
    }

    await stopped.restart(after=DOWN)
    after = await stopped.contracts()  # at once: nothing waits for a tick or for a client
    await always.advance(DOWN)
    expected = await always.contracts()
    assert {each.id: result(each) for each in after.values()} == {
        each.id: result(each) for each in expected.values()
    }

    # What this has shown: contracts of every type ended meanwhile, each way that there is.
    ended = [
        each
        for each in after.values()
        if before[each.id].status is Status.OPEN and each.status is not Status.OPEN
    ]
    assert {each.terms.contract_type for each in ended} == set(TYPES)
    assert {each.status for each in ended} == {Status.WON, Status.LOST, Status.CANCELLED}
    assert any(each.status is Status.OPEN for each in after.values())
    assert any(each.terms.is_forward for each in ended)
    assert len([each for each in ended if each.id in changed]) > 5
    assert {
        (each.status, *(order is not None for order in each.terms.orders))
        for each in ended
        if each.id in changed
    } >= {(Status.WON, True, False), (Status.LOST, False, True), (Status.WON, True, True)}
    windows = [
        (each.status, (each.exit_epoch or 0) - each.terms.start - each.terms.cancellation)
        for each in ended
        if isinstance(each.terms, MultiplierTerms) and each.terms.cancellation
    ]
    assert any(status is Status.CANCELLED and past <= 0 for status, past in windows)
    assert any(status is Status.LOST and past > 0 for status, past in windows)

    # The wire tells the same, and the money is the same.
    for request in (
        {"profit_table": 1, "description": 1, "limit": 500},
        {"portfolio": 1},
        {"balance": 1},
    ):
        for other in (False, True):
            told = [_told(await twin.done(request, other=other)) for twin in twins]
            assert told[0] == told[1]

    # Each sale stands in the ledger at its own moment.
    asked = {"statement": 1, "action_type": "sell", "limit": 999}
    sales = [
        [
            row
            for other in (False, True)
            for row in (await twin.done(asked, other=other))["transactions"]
        ]
        for twin in (stopped, always)
    ]
    moments = [{row["contract_id"]: row["transaction_time"] for row in rows} for rows in sales]
    assert moments[0] == moments[1]
    assert len(moments[0]) >= len(ended)

    # What was open goes on as if nothing had been.
    for twin in twins:
        await twin.advance(2 * 3_600)
    last = await stopped.contracts()
    assert {each.id: result(each) for each in last.values()} == {
        each.id: result(each) for each in (await always.contracts()).values()
    }
    assert [each for each in last.values() if each.status is not after[each.id].status]


def _told(body: dict[str, Any]) -> dict[str, Any]:
    """A reply's body with its rows in the order of their contracts."""
    return {
        name: sorted(value, key=lambda row: row["contract_id"])
        if isinstance(value, list)
        else value
        for name, value in body.items()
    }


async def test_a_contract_that_was_settled_at_the_start_is_not_settled_again(
    twins: tuple[Twin, Twin],
) -> None:
    _, stopped = twins
    await trade(stopped)
    for _ in range(3):
        await stopped.restart(after=DOWN / 3)

    def twice(reader: Transaction) -> list[int]:
        rows = reader.all(
            "SELECT contract_id FROM ledger WHERE action = 'sell'"
            " GROUP BY contract_id HAVING count(*) > 1"
        )
        return [row[0] for row in rows]

    def unpaid(reader: Transaction) -> list[int]:
        rows = reader.all(
            "SELECT id FROM contracts WHERE status <> 'open' AND NOT EXISTS (SELECT 1 FROM ledger"
            " WHERE contract_id = contracts.id AND action = 'sell' AND amount = sold_for)"
        )
        return [row[0] for row in rows]

    assert await stopped.world.gateway.store.read(twice) == []
    assert await stopped.world.gateway.store.read(unpaid) == []


@pytest.mark.lengthy
async def test_no_tick_is_missed_while_the_gateway_starts(twins: tuple[Twin, Twin]) -> None:
    """Contracts are decided by ticks that come after the desk is taken up and before it listens."""
    always, stopped = twins
    for twin in twins:
        await trade(twin)
    await stopped.restart(after=1, hurried=True)
    await stopped.advance(600)
    await always.advance(stopped.clock.now() - always.clock.now())
    found, expected = await stopped.contracts(), await always.contracts()
    assert {number: result(each) for number, each in found.items()} == {
        number: result(each) for number, each in expected.items()
    }
