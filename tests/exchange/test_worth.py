"""What a contract is worth is the mean of what it will be worth a tick later.

This holds a price against the rules of settlement, tick by tick: the next price is drawn from its
law, whole pips with their chances, the contract's life takes one step, and where it has ended it is
worth what it pays. Prices that are integrated or in closed form keep to it but for what a rounded
price differs from an exact one; those with a shifted level, up to the error of the shift.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import ContractType
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout
from scopegate.exchange.contracts.common.state import ContractState, MarketView, Tick
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.contracts.few_ticks import HIGH_LOW_TICKS, Asian
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.terminal import normal
from scopegate.exchange.rules import NO_SALE_BEFORE_END
from scopegate.exchange.symbols import SYMBOLS
from tests.exchange.shapes import terms_of

NOON = 1_767_268_800
SYMBOL = SYMBOLS["1HZ100V"]
SPOT = 110_000  # a tick moves by some 20 pips
SD = SYMBOL.tick_sd
PAYOUT = 1_000_000
LENGTH = 6
"""Ticks of a contract after its entry; a lookback has as many more as it cannot be sold in."""

WORTH = [
    name
    for name, kind in TYPES.items()
    if isinstance(kind, Lookback | FixedPayout) and not kind.barrier_is_digit
]


def look(epoch: int, pips: int, mean: float) -> MarketView:
    """A market whose log price has this mean over a tick."""

    def distribution(first: int, last: int) -> PriceDistribution:
        ticks = last - first
        assert ticks > 0
        return PriceDistribution(ticks, ticks * mean, SD * math.sqrt(ticks))

    return MarketView(Tick(epoch, pips), distribution)


def agreed(kind: ContractType, away: tuple[float, float]) -> Terms:
    """Terms with barriers so many standard deviations of a tick above and below."""
    high, low = (round(SPOT * SD * each) for each in away)
    given: dict[str, Any] = {"ticks": LENGTH}
    if kind.listing.durations.ticks is None:
        unsold = NO_SALE_BEFORE_END if isinstance(kind, Lookback) else 0
        given = {"expiry": NOON + 1 + LENGTH + unsold}
    if "selected_tick" in kind.takes:
        given = {"ticks": HIGH_LOW_TICKS, "selected_tick": 1 + high % HIGH_LOW_TICKS}
    if "barrier" in kind.takes:
        given["barrier"] = Barrier(high)
    if "barrier2" in kind.takes:
        given["barrier2"] = Barrier(low)
    return terms_of(
        kind.name,
        PAYOUT,
        symbol=SYMBOL,
        currency="USD",
        start=NOON,
        **given,
    )


def worth(kind: ContractType, terms: Terms, state: ContractState, market: MarketView) -> float:
    """Of a payout of 1; of a lookback, the pips."""
    if state.outcome is not None:
        paid = state.outcome.pays / PAYOUT
        return paid / SYMBOL.pip if isinstance(kind, Lookback) else paid
    if isinstance(kind, Lookback):
        return kind.worth(terms, state, market) / PAYOUT / SYMBOL.pip
    assert isinstance(kind, FixedPayout)
    return kind.chance(terms, state, market)


def next_ticks(market: MarketView, mean: float) -> Iterator[tuple[Tick, float]]:
    """Every price that the next tick may have, with its chance."""
    epoch, spot = market.tick.epoch + 1, market.tick.pips
    reach = round(5.5 * spot * SD)

    def below(pips: float) -> float:
        return normal((math.log(pips / spot) - mean) / SD)

    edges = [below(spot + away - 0.5) for away in range(-reach, reach + 2)]
    for away in range(-reach, reach + 1):
        world = edges[away + reach]
        yield Tick(epoch, spot + away), edges[away + reach + 1] - world


@pytest.mark.parametrize("name", WORTH)
@settings(max_examples=20, deadline=None)
@given(
    steps=st.lists(st.floats(-1.0, 1.0), max_size=LENGTH - 1),
    away=st.tuples(st.floats(0.3, 3.0), st.floats(-3.0, -0.3)),
    mean=st.sampled_from([0.0, 0.05, -0.05]),
)
def test_a_price_is_the_mean_of_those_a_tick_later(
    name: str, steps: list[float], away: tuple[float, float], mean: float
) -> None:
    kind, log_mean = TYPES[name], mean * SD
    terms = agreed(kind, away)
    state = kind.step(terms, ContractState(Tick(NOON, SPOT), NOON), Tick(NOON + 1, SPOT))
    market = look(NOON + 1, SPOT, log_mean)
    for step in steps:
        tick = Tick(market.tick.epoch + 1, market.tick.pips + round(step * SPOT * SD))
        after = kind.step(terms, state, tick)
        if after.outcome is not None:
            break
        state, market = after, look(tick.epoch, tick.pips, log_mean)
    later = math.fsum(
        chance
        * worth(kind, terms, kind.step(terms, state, tick), look(tick.epoch, tick.pips, log_mean))
        for tick, chance in next_ticks(market, log_mean)
    )
    exact = worth(kind, terms, state, market)
    tolerance = 2e-3
    if isinstance(kind, Lookback):  # a hundredth of what it is worth
        tolerance = 0.01 * SPOT * SD * math.sqrt(NO_SALE_BEFORE_END)
    elif isinstance(kind, Asian):  # the last tick moves by whole pips, its average by less
        tolerance = 0.01
    assert later == pytest.approx(exact, abs=tolerance)


@pytest.mark.parametrize("name", WORTH)
def test_before_its_entry_it_is_worth_what_it_is_then(name: str) -> None:
    """At an unchanged spot: what it is about begins with the entry."""
    kind = TYPES[name]
    terms = agreed(kind, (1.0, -1.5))
    waiting = ContractState(Tick(NOON, SPOT), NOON)
    entered = kind.step(terms, waiting, Tick(NOON + 1, SPOT))
    before = worth(kind, terms, waiting, look(NOON, SPOT, 0.0))
    assert before == worth(kind, terms, entered, look(NOON + 1, SPOT, 0.0))


def test_prices_that_matter_are_remembered_and_others_not() -> None:
    """Ticks that need not be watched leave a life as it is, but for what has been seen."""
    for name in WORTH:
        kind = TYPES[name]
        terms = agreed(kind, (3.0, -3.0))
        state = kind.step(terms, ContractState(Tick(NOON, SPOT), NOON), Tick(NOON + 1, SPOT))
        tick = Tick(NOON + 2, SPOT)
        if not kind.trigger(terms, state).matters(tick):
            assert replace(kind.step(terms, state, tick), seen=state.seen) == state
