"""Multipliers against the forward price: the expected growth of a market earns nothing.

The expected growth of a day is known when it begins. A multiplier is measured against its entry
spot times that growth; here tick by tick, with fractions, without any level.
"""

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import replay, resume
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.state import (
    ContractState,
    Outcome,
    Status,
    Tick,
    begin,
    market_view,
    tick_of,
    with_growth,
)
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.contracts.eligibility import is_offered
from scopegate.exchange.contracts.multipliers import PIP_PARTS, Multiplier, multipliers, reference
from scopegate.exchange.feed import Feed
from scopegate.exchange.fixedpoint import ONE, tables
from scopegate.exchange.hours import Place
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import DAY, EARLIEST, JUMP_SD, SYMBOLS, Motion, Symbol
from tests.effort import chosen

FEED = Feed("financing")
NOON = 1_767_268_800  # 2026-01-01 12:00 UTC, a Thursday
MARGINS = Margins()
KINDS = ("1HZ250V", "R_100", "JD100", "BOOM1000", "CRASH300N", "stpRNG", "frxEURUSD", "OTC_SPC")


def agreed(name: str, symbol: str, now: int = NOON, **more: Any) -> Terms:
    given: dict[str, Any] = {"currency": "USD", "amount": Decimal(1_000), "basis": "stake"}
    given["multiplier"] = Decimal(multipliers(SYMBOLS[symbol])[0])
    request = QuoteRequest(contract_type=name, symbol=symbol, **given | more)
    return quoting.make_quote(request, FEED, now, MARGINS).terms


def kind_of(terms: Terms) -> Multiplier:
    kind = TYPES[terms.contract_type]
    assert isinstance(kind, Multiplier)
    return kind


def expected_growth(symbol: Symbol, first: int, last: int) -> float:
    """The sum of what each tick from the first to the one before the last adds, as documented."""
    total = 0
    for day, low, high in symbol.grid.days(first, last):
        opened = symbol.grid.epoch(Place(day, 0))
        ticks = high - low - (symbol.grid.epoch(Place(day, high - 1)) == last)
        total += ticks * FEED.growth(symbol, opened).a_tick
    return total / ONE


def documented_growth(symbol: Symbol, price: int, ticks: int) -> tuple[float, float]:
    """What a tick adds by the table in `docs/trading.md`: without the pull, and the pull."""
    pull = 0.4 / 365 if symbol.legs else symbol.total_volatility**2 / 365 / (2 * 0.7**2)
    pull *= ticks * symbol.step / symbol.hours.mean_day
    distance = math.log(price / (symbol.exact_level or symbol.level))
    grown = symbol.tick_sd**2 / 2
    if symbol.motion is Motion.JUMPS:
        jump = symbol.tick_sd * JUMP_SD
        grown += math.log1p(math.expm1(jump**2 / 2) / symbol.every)
    elif symbol.motion is Motion.SPIKES:
        step = 4e-6 if symbol.rises else -4e-6
        low, high = 0.5 * step * symbol.every, 1.5 * step * symbol.every
        spiked = (math.expm1(high) - math.expm1(low)) / (high - low) - 1
        grown += math.log1p(spiked / symbol.every) - step
    return grown, -pull * distance / ticks


@pytest.mark.parametrize("name", [*sorted({*KINDS} - {"stpRNG"}), "DSI10", "frxXAUUSD", "WLDEUR"])
def test_a_day_grows_by_the_documented_formula(name: str) -> None:
    symbol = SYMBOLS[name]
    for day in range(0, 3_000, 50):
        ticks = symbol.grid.counts[day % 7]
        if not ticks:
            continue
        opened = symbol.grid.epoch(Place(day, 0))
        grown, pulled = documented_growth(symbol, FEED.price(symbol, opened), ticks)
        found = FEED.growth(symbol, opened).a_tick / ONE
        assert found == pytest.approx(grown + pulled, abs=2e-3 * abs(grown))
        if abs(pulled) > 0.02 * abs(grown):
            assert found != pytest.approx(grown, abs=4e-3 * abs(grown))


@pytest.mark.parametrize("name", KINDS)
def test_a_forward_price_is_the_entry_spot_grown_tick_by_tick(name: str) -> None:
    symbol = SYMBOLS[name]
    entry = with_growth(
        Tick(first := symbol.next_tick(NOON), FEED.price(symbol, first)), FEED, symbol
    )
    terms = agreed("MULTUP", name, now=NOON + 6 * DAY + 3 * 3_600)
    for later in (0, 1, 100, 40_000, 90_000, 5 * DAY, 30 * DAY):
        last = symbol.last_tick(first + later)
        tick = with_growth(Tick(last, 1), FEED, symbol)
        exact = entry.pips * math.exp(expected_growth(symbol, first, last))
        assert abs(reference(terms, entry, tick) - exact * PIP_PARTS) < 0.51
        plain = replace(terms, is_financed=False)
        assert reference(plain, entry, tick) == entry.pips * PIP_PARTS


def test_the_growth_of_years_has_a_forward_price_too() -> None:
    for growth in (0.0, 7.9, 8.0, 12.5, 40.0, 300.0, -7.9, -8.0, -8.1, -40.0):
        assert tables().factor(round(growth * ONE)) == pytest.approx(math.exp(growth), rel=1e-13)
    terms = agreed("MULTUP", "R_100")
    entry, later = Tick(NOON, 2), Tick(NOON, 1, FEED.growth(terms.symbol, NOON)._replace(total=0))
    far = later._replace(growth=later.growth._replace(total=-60 * ONE))
    assert reference(terms, entry, far) == 1


@pytest.mark.parametrize("name", KINDS)
def test_a_price_grows_as_expected(name: str) -> None:
    """The growth of many days, each known when it begins: on average the price grows by that."""
    symbol = SYMBOLS[name]
    feed = Feed("growth 1")
    prices, totals = [], []
    for day in range(chosen(300, 2_400)):
        if symbol.grid.counts[day % 7]:
            opened = symbol.grid.epoch(Place(day, 0))
            prices.append(feed.price(symbol, opened))
            totals.append(feed.growth(symbol, opened).total)
    grown = np.diff(np.array(totals, dtype=object)).astype(float) / ONE
    returns = np.expm1(np.diff(np.log(prices)) - grown)
    error = returns.std() / math.sqrt(len(returns))
    assert abs(returns.mean()) < 3.5 * error
    rising = np.sign(np.concatenate(([0.0], returns[:-1])))
    assert abs((returns * rising).mean()) < 3.5 * error


@pytest.mark.parametrize("name", ["1HZ250V", "frxEURUSD", "OTC_SPC"])
def test_a_day_is_known_with_its_first_tick(name: str) -> None:
    """All its ticks have one growth, up to the first tick of the next day of the market."""
    symbol = SYMBOLS[name]
    tick = symbol.next_tick(NOON - DAY)
    for _ in range(8):
        growth = FEED.growth(symbol, tick)
        assert growth.until is not None
        assert symbol.has_tick(growth.until)
        assert growth.until > tick
        assert growth.until % DAY == symbol.hours.session_of(growth.until)[0]
        ticks = symbol.ticks_between(tick, growth.until)
        assert FEED.growth(symbol, growth.until).total == growth.total + ticks * growth.a_tick
        middle = symbol.next_tick(tick, ticks // 2)
        assert FEED.growth(symbol, middle).a_tick == growth.a_tick
        assert FEED.growth(symbol, growth.until - 1).until == growth.until
        tick = growth.until


@cache
def by_hand(terms: Terms, last: int, first: int | None = None) -> Outcome | None:
    """The end of a contract, from every tick since its entry (or after `first`), with fractions.

    Ticks whose result is not within a smallest unit of any limit in floating point are left out.
    """
    kind, symbol = kind_of(terms), terms.symbol
    entry = tick_of(terms, FEED, terms.entry_epoch)
    stake, commission, value = terms.stake, terms.commission, terms.stake * terms.multiplier
    ticks = FEED.ticks(symbol, (first or terms.entry_epoch - 1) + 1, last)
    growths = np.zeros(len(ticks.epochs), np.int64)
    for day in np.unique(ticks.epochs // DAY):
        today = ticks.epochs // DAY == day
        opened = FEED.growth(symbol, int(ticks.epochs[today][0]))
        ahead = (ticks.epochs[today] - ticks.epochs[today][0]) // symbol.step * opened.a_tick
        growths[today] = opened.total - entry.growth.total + ahead
    about = kind.direction * value * np.expm1(np.log(ticks.pips / entry.pips) - growths / ONE)
    near = about - commission <= 1 - (terms.orders.stop_loss or stake)
    if terms.orders.take_profit is not None:
        near |= about - commission >= terms.orders.take_profit - 1
    for at in np.flatnonzero(near).tolist():
        tick = Tick(int(ticks.epochs[at]), int(ticks.pips[at]))
        against = max(1, round(entry.pips * PIP_PARTS * tables().factor(int(growths[at]))))
        profit = (
            kind.direction * value * (Fraction(tick.pips * PIP_PARTS, against) - 1) - commission
        )
        worth = stake + kind.direction * value * (tick.pips * PIP_PARTS - against) // against
        worth -= commission
        if profit <= -stake:
            return Outcome(Status.LOST, tick, 0)
        if terms.orders.take_profit is not None and profit >= terms.orders.take_profit:
            return Outcome(Status.WON, tick, worth)
        if terms.orders.stop_loss is not None and profit <= -terms.orders.stop_loss:
            return Outcome(Status.LOST, tick, worth)
    return None


def same(found: Outcome | None, expected: Outcome | None) -> None:
    if found is None or expected is None:
        assert found is expected is None
        return
    assert (found.status, found.tick[:2], found.pays) == (
        expected.status,
        expected.tick[:2],
        expected.pays,
    )


START = NOON - 3_600
LAST = START + 6 * DAY
CASES: list[tuple[str, str, dict[str, Any]]] = [
    (name, symbol, orders)
    for name in ("MULTUP", "MULTDOWN")
    for symbol in ("1HZ250V", "JD100", "BOOM1000", "stpRNG", "frxEURUSD")
    for orders in ({}, {"take_profit": Decimal(900)}, {"stop_loss": Decimal(800)})
]


@pytest.mark.parametrize(("name", "symbol", "orders"), CASES)
def test_it_closes_at_the_first_tick_that_reaches_an_amount(
    name: str, symbol: str, orders: dict[str, Decimal]
) -> None:
    """Over several days and midnights, followed at once, from hour to hour, and after a restart."""
    terms = agreed(name, symbol, now=START, **orders)
    kind = kind_of(terms)
    expected = by_hand(terms, LAST)
    at_once = replay(kind, terms, begin(terms, FEED), FEED, LAST)
    same(at_once.outcome, expected)
    state = begin(terms, FEED)
    for moment in range(START, LAST, 4_999):
        if state.outcome is None and state.entry is not None:
            state = resume(kind, terms, FEED, moment)
        state = replay(kind, terms, state, FEED, min(moment + 4_999, LAST))
        if state.outcome is not None:
            break
    same(state.outcome, expected)


def test_some_of_these_end_and_others_do_not() -> None:
    ends = [
        by_hand(agreed(name, symbol, now=START, **orders), LAST) for name, symbol, orders in CASES
    ]
    kinds = {None if end is None else end.status for end in ends}
    assert kinds == {None, Status.LOST, Status.WON}


def test_the_watch_lies_inside_of_every_level_until_it_is_looked_at_again() -> None:
    for name in ("MULTUP", "MULTDOWN"):
        for symbol in ("1HZ250V", "OTC_SPC", "frxUSDJPY"):
            now = NOON + 6 * DAY + 2 * 3_600
            terms = agreed(name, symbol, now=now, take_profit=Decimal(500), stop_loss=Decimal(700))
            kind, sym = kind_of(terms), terms.symbol
            state = replay(kind, terms, begin(terms, FEED), FEED, terms.entry_epoch)
            seen = terms.entry_epoch
            for _ in range(40):
                assert state.entry is not None
                trigger = kind.trigger(terms, state)
                assert seen < trigger.until <= sym.next_tick(seen + 3_600) or not sym.is_open(
                    seen + 3_600
                )
                for moment in (
                    sym.next_tick(seen),
                    sym.last_tick((seen + trigger.until) // 2),
                    trigger.until,
                ):
                    tick = tick_of(terms, FEED, max(moment, sym.next_tick(seen)))
                    levels = kind.levels(terms, reference(terms, state.entry, tick))
                    for level in levels:
                        assert level is not None
                        assert trigger.matters(tick._replace(pips=level, epoch=seen))
                state = replace(
                    kind.step(terms, state, tick_of(terms, FEED, trigger.until)), outcome=None
                )
                seen = trigger.until


@pytest.mark.parametrize("name", sorted(SYMBOLS))
def test_financing_is_small_within_an_hour(name: str) -> None:
    """Less than 0.2 % of the price, and less than an eighth of an hour's usual move."""
    symbol = SYMBOLS[name]
    if not is_offered(TYPES["MULTUP"], symbol):
        return
    for day in range(0, 2_400, 40):
        ticks = 3_600 // symbol.step
        growth = FEED.growth(symbol, EARLIEST + day * DAY + 50_000).a_tick / ONE * ticks
        usual = symbol.total_volatility / symbol.volatility * symbol.tick_sd * math.sqrt(ticks)
        assert abs(growth) < 0.002
        assert abs(growth) < usual / 8


def test_older_multipliers_are_measured_against_their_entry_spot() -> None:
    terms = replace(agreed("MULTUP", "1HZ250V"), is_financed=False)
    kind = kind_of(terms)
    last = NOON + 3_600
    state = replay(kind, terms, begin(terms, FEED), FEED, last)
    assert state.entry is not None
    spot = FEED.price(terms.symbol, last)
    entry, value = state.entry.pips, terms.stake * terms.multiplier
    assert state.outcome is None
    gained = value * (spot - entry) // entry - terms.commission
    assert (
        kind.value(terms, state, market_view(FEED, terms.symbol, last), MARGINS)
        == terms.stake + gained
    )
    financed = replace(terms, is_financed=True)
    assert (
        kind.value(
            financed,
            replay(kind, financed, begin(financed, FEED), FEED, last),
            market_view(FEED, terms.symbol, last),
            MARGINS,
        )
        != terms.stake + gained
    )


def test_commission_and_financing_make_up_the_difference_to_the_entry_spot() -> None:
    for name in ("MULTUP", "MULTDOWN"):
        terms = agreed(name, "1HZ250V")
        kind = kind_of(terms)
        entry = tick_of(terms, FEED, terms.entry_epoch)
        for later in (0, 600, 3_600, 2 * DAY):
            tick = tick_of(terms, FEED, terms.entry_epoch + later)
            value = terms.stake * terms.multiplier
            plain = kind.direction * value * (tick.pips - entry.pips) // entry.pips
            profit = plain - terms.commission - kind.financing(terms, entry, tick)
            against = reference(terms, entry, tick)
            assert max(profit, -terms.stake) == kind.profit(terms, against, tick.pips)
            if later == 0:
                assert kind.financing(terms, entry, tick) == 0


def test_the_stop_out_that_is_shown_is_the_price_at_which_it_closes() -> None:
    terms = agreed("MULTUP", "stpRNG", multiplier=Decimal(5_698))
    kind = kind_of(terms)
    state = ContractState(Tick(NOON, 1), NOON, tick_of(terms, FEED, terms.entry_epoch))
    assert state.entry is not None
    level = kind.levels(terms, state.entry.pips * PIP_PARTS).stop_out
    for pips, closes in ((level + 1, False), (level, True)):
        end = kind.decide(terms, state, state.entry._replace(pips=pips))
        assert (end is not None) == closes
    waived = -terms.stake - (
        terms.stake * terms.multiplier * (level - state.entry.pips) / state.entry.pips
        - terms.commission
    )
    assert 0 <= waived <= terms.commission / (1 + MARGINS.multiplier)


def test_of_steps_the_index_itself_does_not_grow() -> None:
    steps = [symbol for symbol in SYMBOLS.values() if symbol.motion is Motion.STEPS]
    assert steps
    for symbol in steps:
        assert FEED.growth(symbol, NOON).total == 0
