"""Prices under other laws than the normal one: walks of single pips, and mixtures."""

import itertools
import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scopegate.exchange import fixedpoint
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.state import ContractState, MarketView, Tick
from scopegate.exchange.contracts.common.terms import Barrier
from scopegate.exchange.distribution import Mixture, PriceDistribution, Walk
from scopegate.exchange.feed import Feed
from scopegate.exchange.pricing import overshoot, walk
from scopegate.exchange.pricing.terminal import above, call, put
from scopegate.exchange.pricing.touch import SHIFT, touch
from scopegate.exchange.processes.jumps import MANY_JUMPS, Jumps
from scopegate.exchange.symbols import DAY, EARLIEST, JUMP_SD, SPIKE_SIZES, SYMBOLS

repeatable = settings(derandomize=True, database=None, deadline=None, max_examples=100)
TABLES = fixedpoint.tables()
JUMPY = SYMBOLS["JD100"]


# Number of the vector, type, symbol, spot, ticks ahead of the entry, drift of a tick, barrier,
# chance, tolerance.
VECTORS = (
    (56, "CALL", "JD25", "98765.43", 60, -2.158344080075323e-09, "98792.68", 0.222661982, 2e-5),
    (57, "PUT", "JD100", "10234.56", 180, -3.4533505281205166e-08, "10219.90", 0.295534118, 2e-5),
    (58, "CALLE", "JD50", "54321.10", 300, -8.633376320301291e-09, "54321.10", 0.499438893, 2e-5),
    (59, "CALL", "stpRNG", "8000.0", 20, 0.0, "8000.0", 0.411901474, 1e-9),
    (60, "PUTE", "stpRNG", "8000.0", 15, 0.0, "7999.7", 0.303619385, 1e-9),
    (61, "ONETOUCH", "stpRNG", "8000.0", 40, 0.0, "8000.6", 0.348888879, 1e-9),
)


@pytest.mark.parametrize(
    ("name", "symbol_name", "spot", "ticks", "drift", "barrier", "expected", "tolerance"),
    [row[1:] for row in VECTORS],
    ids=[f"{row[0]}-{row[1]}" for row in VECTORS],
)
def test_a_contract_on_jumps_or_steps_has_the_chance_of_the_vector(
    name: str,
    symbol_name: str,
    spot: str,
    ticks: int,
    drift: float,
    barrier: str,
    expected: float,
    tolerance: float,
) -> None:
    kind, symbol = TYPES[name], SYMBOLS[symbol_name]
    assert isinstance(kind, FixedPayout)
    terms = FixedPayoutTerms(
        contract_type=name,
        symbol=symbol,
        currency="USD",
        payout=1_000,
        start=EARLIEST + DAY,
        ticks=ticks,
        barrier=Barrier.parse(barrier, symbol),
    )
    entry = Tick(terms.entry_epoch, round(Decimal(spot).scaleb(symbol.digits)))
    feed = Feed("vectors")

    def law(first: int, last: int) -> PriceDistribution:
        found = feed.distribution(symbol, first, first, last)
        assert isinstance(found, Mixture | Walk)
        return replace(found, mean=drift * found.ticks)

    state = ContractState(Tick(terms.start, entry.pips), entry.epoch, entry)
    assert abs(kind.chance(terms, state, MarketView(entry, law)) - expected) <= tolerance


def counted(spot: int, level: int, law: Walk, *, touches: bool) -> float:
    """The chance by going through all paths, tick by tick, turning back at the bounds."""
    chances, reached = {spot: 1.0}, 0.0
    for _ in range(law.ticks):
        following: dict[int, float] = {}
        for place, chance in chances.items():
            for move in (-1, 1):
                onward = place + move
                if not law.low <= onward <= law.high:
                    onward = place - move
                if touches and (onward >= level if level > spot else onward <= level):
                    reached += chance / 2
                else:
                    following[onward] = following.get(onward, 0.0) + chance / 2
        chances = following
    return reached if touches else sum(p for place, p in chances.items() if place > level)


def a_walk(ticks: int, low: int = 20_000, high: int = 140_000) -> Walk:
    return Walk(ticks, 0.0, math.sqrt(ticks) / 80_000, low, high)


@repeatable
@given(st.integers(1, 40), st.integers(0, 12), st.integers(-2, 14))
def test_ends_of_a_walk_are_counted_exactly_also_between_bounds(
    ticks: int, spot: int, level: int
) -> None:
    law = a_walk(ticks, 0, 12)
    expected = counted(spot, level, law, touches=False)
    assert above(spot, level + 0.5, law) == pytest.approx(expected, abs=1e-12)


@repeatable
@given(st.integers(1, 40), st.integers(0, 12), st.integers(-2, 14))
def test_touches_of_a_walk_are_counted_exactly_also_between_bounds(
    ticks: int, spot: int, level: int
) -> None:
    assume(level != spot)
    law = a_walk(ticks, 0, 12)
    edge = level + (-0.5 if level > spot else 0.5)
    expected = counted(spot, level, law, touches=True)
    assert touch(spot, edge, law) == pytest.approx(expected, abs=1e-12)


@repeatable
@given(st.integers(1, 30), st.integers(2, 5), st.integers(0, 12), st.integers(-8, 56))
def test_a_walk_of_larger_steps_is_the_same_walk(
    ticks: int, size: int, spot: int, quarters: int
) -> None:
    """Levels need not be whole steps away, nor is it whole steps from zero."""
    level = quarters / 4
    small, large = a_walk(ticks, 0, 12), a_walk(ticks, 7, 7 + 12 * size)
    large = replace(large, size=size)
    edge = 7 + level * size
    assert above(7 + spot * size, edge, large) == pytest.approx(above(spot, level, small))
    if level != spot:
        assert touch(7 + spot * size, edge, large) == pytest.approx(touch(spot, level, small))


def test_a_walk_ends_where_it_began_as_often_as_it_should() -> None:
    for ticks in (2, 10, 100, 1_000):
        tie = above(80_000, 79_999.5, a_walk(ticks)) - above(80_000, 80_000.5, a_walk(ticks))
        assert tie == pytest.approx(math.comb(ticks, ticks // 2) / 2**ticks, rel=1e-9)
    assert above(80_000, 80_000.5, a_walk(9)) == pytest.approx(0.5)  # an odd number never does


def test_long_walks_go_over_into_the_normal_law() -> None:
    ticks = walk.MANY_STEPS
    for away in range(-150, 151, 10):
        exact = above(80_000, 80_000.5 + away, a_walk(ticks))
        normal = math.erfc((away + 1) / math.sqrt(2 * ticks)) / 2  # two pips apart, half of that
        assert exact == pytest.approx(normal, abs=2e-5)
    # As far as the bounds: both sides alike from the middle, all chances in between.
    law = a_walk(365 * DAY)
    chances = [above(80_000, level + 0.5, law) for level in range(19_000, 141_001, 1_000)]
    assert all(0 <= b <= a <= 1 for a, b in itertools.pairwise(chances))
    assert above(80_000, 79_999.5, law) == pytest.approx(0.5, abs=1e-3)
    assert (chances[0], chances[-1]) == (1, 0)


def test_a_higher_on_a_jump_index_is_not_normal() -> None:
    """A single normal law of the same variance would say 0.093 for two minutes and 1.5 sd."""
    law = Feed("merton").distribution(JUMPY, EARLIEST, EARLIEST + 1, EARLIEST + 120)
    assert isinstance(law, Mixture)
    steady = JUMPY.tick_sd * math.sqrt(law.ticks)
    level = 10**9 * math.exp(1.5 * steady)
    mixed = above(10**9, level, law)
    single = above(10**9, level, PriceDistribution(law.ticks, law.mean, law.sd))
    assert abs(mixed - single) > 0.03


def test_ends_and_calls_on_a_jump_index_are_those_of_its_paths() -> None:
    law = Jumps(JUMPY, "law", TABLES)
    ticks = 120
    moves = np.concatenate([np.diff(law.path(day)[::ticks]) for day in range(200)])
    moves = moves / fixedpoint.ONE
    feed = Feed("law")
    distribution = feed.distribution(JUMPY, EARLIEST, EARLIEST, EARLIEST + ticks)
    ends = 1e6 * np.exp(moves)
    for sds in (-3.0, -1.0, -0.3, 0.5, 1.5, 4.0):
        strike = 1e6 * math.exp(sds * JUMPY.tick_sd * math.sqrt(ticks))
        share = above(1e6, strike, distribution)
        error = math.sqrt(share * (1 - share) / len(ends))
        assert abs(float((ends > strike).mean()) - share) < 3.5 * error
        for price, pays in (
            (call, np.maximum(ends - strike, 0)),
            (put, np.maximum(strike - ends, 0)),
        ):
            error = float(pays.std()) / math.sqrt(len(ends))
            assert abs(float(pays.mean()) - price(1e6, strike, distribution)) < 3.5 * error


def test_calls_and_puts_of_a_mixture_keep_parity() -> None:
    law = Mixture(10, 0.001, 0.03, ((0.9, 0.01), (0.1, 0.08)))
    forward = sum(w * 100 * math.exp(law.mean + sd * sd / 2) for w, sd in law.parts)
    for strike in (80.0, 99.0, 105.0):
        assert call(100, strike, law) - put(100, strike, law) == pytest.approx(forward - strike)


def test_many_jumps_are_taken_for_a_normal_law() -> None:
    feed = Feed("many")
    few, many = (
        feed.distribution(JUMPY, EARLIEST, EARLIEST, EARLIEST + ticks)
        for ticks in (MANY_JUMPS * 1_200 - 60, MANY_JUMPS * 1_200 + 60)
    )
    assert isinstance(few, Mixture)
    assert not isinstance(many, Mixture)
    for level in (0.8, 0.95, 1.0, 1.05, 1.3):
        assert above(1.0, level, few) == pytest.approx(above(1.0, level, many), abs=1.5e-3)


# How far a stop-out is overshot.


def test_without_jumps_the_overshoot_is_the_known_constant() -> None:
    assert overshoot.of_jumps(10**15, 1e-9) == pytest.approx(SHIFT, abs=5e-4)


def test_jumps_overshoot_a_level_as_far_as_renewal_theory_says() -> None:
    rng = np.random.default_rng(5)
    beyond = []
    level = 2 * JUMP_SD
    for _ in range(20):
        steps = rng.standard_normal((100, 20_000), np.float32)
        jumps = rng.random(steps.shape, np.float32) < 1 / 1_200
        steps[jumps] += JUMP_SD * rng.standard_normal(int(jumps.sum())).astype(np.float32)
        path = np.cumsum(steps, axis=1)
        crosses = path >= level
        rows = np.flatnonzero(crosses.any(axis=1))
        beyond.append(path[rows, crosses[rows].argmax(axis=1)] - level)
    found = np.concatenate(beyond)
    error = float(found.std()) / math.sqrt(len(found))
    assert abs(float(found.mean()) - overshoot.of_jumps(1_200, JUMP_SD)) < 3 * error < 1.5


def test_spikes_overshoot_a_level_as_far_as_renewal_theory_says() -> None:
    """In units of a mean spike, of which there is one for each fall of one in all."""
    rng = np.random.default_rng(6)
    place, level = np.zeros(20_000), 2.0
    beyond = []
    for _ in range(400):
        place -= rng.exponential(1.0, len(place))  # the steps between two spikes
        place += rng.uniform(*SPIKE_SIZES, len(place))
        over = place >= level
        beyond.append(place[over] - level)
        place = place[~over]
    found = np.concatenate(beyond)
    error = float(found.std()) / math.sqrt(len(found))
    assert abs(float(found.mean()) - overshoot.of_spikes(1.0, SPIKE_SIZES)) < 3 * error
