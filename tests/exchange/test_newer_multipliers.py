"""Multipliers on the newer symbols: no holding period and no rule that uses past prices gains."""

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import replay
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.state import begin, market_view
from scopegate.exchange.contracts.multipliers import Multiplier
from scopegate.exchange.feed import Feed
from scopegate.exchange.hours import Place
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS, Symbol
from tests.effort import cases, chosen

pytestmark = pytest.mark.slow

FEED = Feed("newer")
MARGINS = Margins()
NAMES = ["stpRNG5", "BOOM150N", "RB100", "RB200", "DSI10", "WLDAUD", "frxEURJPY", "cryXRPUSD"]

IN_SUITE = ["stpRNG5", "RB100", "DSI10", "frxEURJPY"]
"""One of each motion; prices of range breaks are the slowest."""
HOUR = 3_600

every_symbol = pytest.mark.parametrize(
    "symbol",
    cases([SYMBOLS[name] for name in NAMES], [SYMBOLS[name] for name in IN_SUITE]),
    ids=lambda symbol: symbol.name,
)


def result(symbol: Symbol, now: int, hold: int, *, rises: bool, rank: int) -> float:
    """The result, in stakes, of a multiplier that is bought and sold unless it closes before."""
    name = "MULTUP" if rises else "MULTDOWN"
    kind = TYPES[name]
    assert isinstance(kind, Multiplier)
    multiplier = Decimal(kind.choices(symbol, FEED.price(symbol, now))[rank])
    request = QuoteRequest(
        contract_type=name,
        symbol=symbol.name,
        currency="USD",
        amount=Decimal(1_000),
        basis="stake",
        multiplier=multiplier,
    )
    made = quoting.make_quote(request, FEED, now, MARGINS)
    until = now + hold
    state = replay(kind, made.terms, begin(made.terms, FEED), FEED, until)
    if state.outcome is not None:
        return state.outcome.pays / made.price - 1
    return kind.value(made.terms, state, market_view(FEED, symbol, until), MARGINS) / made.price - 1


def gained(
    symbol: Symbol, hold: int, count: int, rises: Callable[[int], bool], rank: int
) -> tuple[float, float]:
    """The mean over moments some days apart, all in the open hours, and its standard error."""
    found = []
    for number in range(count):
        now = EARLIEST + (14 + 7 * number) * DAY + DAY // 2  # a Wednesday at noon
        found.append(result(symbol, now, hold, rises=rises(now), rank=rank))
    return float(np.mean(found)), float(np.std(found)) / math.sqrt(count)


@every_symbol
@pytest.mark.parametrize(
    ("hold", "count"),
    [(HOUR, chosen(20, 160)), (DAY, chosen(15, 100)), (7 * DAY, chosen(10, 60))],
)
def test_no_hold_gains(symbol: Symbol, hold: int, count: int) -> None:
    for rank in (0, -1):
        for side in (True, False):
            mean, error = gained(symbol, hold, count, lambda _, side=side: side, rank)
            assert mean < 3.5 * error


@every_symbol
def test_no_rule_by_the_level_or_the_trend_gains(symbol: Symbol) -> None:
    def back_to_level(now: int) -> bool:
        return FEED.price(symbol, now) < symbol.level

    def with_the_trend(now: int) -> bool:
        return FEED.price(symbol, now) > FEED.price(symbol, now - 300)

    for rule, hold in ((back_to_level, 7 * DAY), (with_the_trend, HOUR)):
        mean, error = gained(symbol, hold, chosen(20, 100), rule, 0)
        assert mean < 3.5 * error


@every_symbol
def test_a_price_grows_as_expected(symbol: Symbol) -> None:
    """On each day, whatever the day before."""
    prices, totals = [], []
    for day in range(chosen(250, 2_400)):
        if symbol.grid.counts[day % 7]:
            opened = symbol.grid.epoch(Place(day, 0))
            prices.append(FEED.price(symbol, opened))
            totals.append(FEED.growth(symbol, opened).total / 2**52)
    returns = np.expm1(np.diff(np.log(prices)) - np.diff(totals))
    error = returns.std() / math.sqrt(len(returns))
    assert abs(returns.mean()) < 3.5 * error
    rising = np.sign(returns[:-1])
    assert abs((returns[1:] * rising).mean()) < 3.5 * error
