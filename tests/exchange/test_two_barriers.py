"""What contracts with two barriers cost: against prices found elsewhere, and against each other."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.fixed_payout import MILLION, FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.state import ContractState, MarketView, Tick
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing import ranges
from scopegate.exchange.pricing.terminal import normal
from scopegate.exchange.pricing.touch import FEW_TICKS, touch
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import SYMBOLS
from tests.exchange.fairness import VOLATILITY
from tests.exchange.test_pricing import CURRENCY, NOON, SPOTS, integral, pips, sighted

# Number of the vector, type, symbol, ticks after the entry, both barriers, chance, tolerance. The
# mean of the log price over a tick is half of its variance, downwards.
CHANCES = (
    (15, "EXPIRYRANGE", "R_50", 149, "148.3979", "148.1843", 0.35749336, 2e-5),
    (16, "EXPIRYMISS", "R_100", 299, "1125.43", "1121.19", 0.664095191, 2e-5),
    (17, "EXPIRYRANGEE", "1HZ10V", 29, "9483.03", "9481.73", 0.516977304, 2e-5),
    (18, "EXPIRYMISSE", "R_50", 59, "148.42", "148.1524", 0.365623782, 2e-5),
    (19, "RANGE", "R_100", 59, "1127.28", "1120.20", 0.815633843, 2.5e-3),
    (20, "RANGE", "1HZ10V", 299, "9485.95", "9479.24", 0.515435253, 2.5e-3),
    (21, "UPORDOWN", "R_50", 59, "148.4475", "148.0684", 0.407745936, 2.5e-3),
    (22, "UPORDOWN", "R_100", 299, "1129.67", "1119.41", 0.580705173, 2.5e-3),
    (44, "CALLSPREAD", "1HZ10V", 299, "9485.30", "9479.81", 0.454275251, 2e-5),
    (45, "PUTSPREAD", "R_50", 29, "148.4031", "148.2209", 0.466324295, 2e-5),
)

COMPLEMENTS = (
    ("EXPIRYRANGE", "EXPIRYMISSE"),
    ("EXPIRYRANGEE", "EXPIRYMISS"),
    ("RANGE", "UPORDOWN"),
    ("CALLSPREAD", "PUTSPREAD"),
)


@pytest.mark.parametrize(
    ("name", "symbol_name", "ticks", "high", "low", "expected", "tolerance"),
    [row[1:] for row in CHANCES],
    ids=[f"{row[0]}-{row[1]}" for row in CHANCES],
)
def test_a_chance_is_that_of_the_vector(
    name: str,
    symbol_name: str,
    ticks: int,
    high: str,
    low: str,
    expected: float,
    tolerance: float,
) -> None:
    """At the entry tick with barriers that are prices, and before it with relative ones."""
    kind, symbol = TYPES[name], SYMBOLS[symbol_name]
    assert isinstance(kind, FixedPayout)
    spot, levels = pips(SPOTS[symbol_name], symbol), (pips(high, symbol), pips(low, symbol))
    terms = FixedPayoutTerms(
        contract_type=name,
        symbol=symbol,
        currency=CURRENCY,
        payout=1,
        start=NOON,
        expiry=NOON + (ticks + 1) * symbol.step,
        barrier=Barrier(levels[0], is_relative=False),
        barrier2=Barrier(levels[1], is_relative=False),
    )
    entry = Tick(terms.entry_epoch, spot)
    mean = -0.5 * symbol.tick_sd**2
    entered = ContractState(Tick(NOON, spot), entry.epoch, entry)
    at_entry = kind.chance(terms, entered, sighted(symbol, spot, mean, entry.epoch))
    assert abs(at_entry - expected) <= tolerance
    relative = replace(terms, barrier=Barrier(levels[0] - spot), barrier2=Barrier(levels[1] - spot))
    waiting = ContractState(Tick(NOON, spot), entry.epoch - 1)
    assert kind.chance(relative, waiting, sighted(symbol, spot, mean)) == at_entry


# Against each other.


@st.composite
def markets(draw: st.DrawFn) -> tuple[Terms, MarketView, ContractState]:
    """A contract without a type that is entered, of random barriers, in a random market."""
    symbol = SYMBOLS[draw(st.sampled_from(VOLATILITY))]
    spot = draw(st.integers(symbol.level // 5, symbol.level * 5))
    steps = draw(st.one_of(st.integers(1, 40), st.integers(41, 40_000)))
    reach = spot * symbol.tick_sd * math.sqrt(steps)
    high, low = (max(1, round(reach * draw(st.floats(0.02, 3.0)))) for _ in range(2))
    terms = FixedPayoutTerms(
        contract_type="",
        symbol=symbol,
        currency=CURRENCY,
        payout=1,
        start=NOON,
        expiry=NOON + (steps + 1) * symbol.step,
        barrier=Barrier(high),
        barrier2=Barrier(-low),
    )
    entry = Tick(terms.entry_epoch, spot)
    passed = draw(st.integers(0, steps - 1))
    now = Tick(entry.epoch + passed * symbol.step, spot)
    if passed:
        now = now._replace(pips=draw(st.integers(spot - low + 1, spot + high - 1)))
    mean = draw(st.floats(-5.0, 5.0)) * symbol.tick_sd**2
    return terms, sighted(symbol, now.pips, mean, now.epoch), ContractState(entry, now.epoch, entry)


def chance(
    name: str, case: tuple[Terms, MarketView, ContractState], barrier: Barrier | None = None
) -> float:
    terms, market, state = case
    kind = TYPES[name]
    assert isinstance(kind, FixedPayout)
    if barrier is not None:
        terms = replace(terms, barrier=barrier, barrier2=None)
    return kind.chance(replace(terms, contract_type=name), state, market)


@given(markets(), st.sampled_from(COMPLEMENTS))
def test_complements_cost_their_payout_and_both_margins(
    case: tuple[Terms, MarketView, ContractState], names: tuple[str, str]
) -> None:
    terms, market, state = case
    total, exact = 0, MILLION
    for name in names:
        kind = TYPES[name]
        assert isinstance(kind, FixedPayout)
        total += kind.ask(replace(terms, contract_type=name), state, market, Margins())
        exact += round(kind.family_margin(Margins()) * MILLION)
    assert exact <= total <= exact + 1


@given(markets())
def test_to_end_between_is_to_end_above_the_one_and_not_above_the_other(
    case: tuple[Terms, MarketView, ContractState],
) -> None:
    high, low = case[0].barrier, case[0].barrier2
    for name, lower, upper in (
        ("EXPIRYRANGE", "CALL", "CALLE"),
        ("EXPIRYRANGEE", "CALLE", "CALL"),
    ):
        between = chance(lower, case, low) - chance(upper, case, high)
        assert math.isclose(chance(name, case), between, abs_tol=1e-12)


@settings(max_examples=200)
@given(markets())
def test_to_stay_between_is_rarer_than_to_end_there_or_to_avoid_either(
    case: tuple[Terms, MarketView, ContractState],
) -> None:
    """Up to the errors of the formulas."""
    high, low = case[0].barrier, case[0].barrier2
    stays = chance("RANGE", case)
    assert 0 <= stays <= 1
    avoided = [chance("NOTOUCH", case, barrier) for barrier in (high, low)]
    assert stays <= min(*avoided, chance("EXPIRYRANGE", case)) + 0.01
    assert stays >= sum(avoided) - 1 - 0.02


@given(markets(), st.integers(1, 1_000))
def test_wider_barriers_make_it_likelier_to_stay_between(
    case: tuple[Terms, MarketView, ContractState], more: int
) -> None:
    terms, market, state = case
    assert terms.barrier is not None
    farther = replace(terms, barrier=Barrier(terms.barrier.pips + more))
    near = terms.barrier.pips - (market.tick.pips - (state.entry or market.tick).pips)
    tick = market.tick.pips * terms.symbol.tick_sd
    # Where the formula changes, a tick's move away, it may step back by its error.
    slack = 0.004 if near < tick <= near + more else 2e-5
    for name in ("EXPIRYRANGE", "EXPIRYRANGEE", "RANGE"):
        assert chance(name, (farther, market, state)) >= chance(name, case) - slack


# The formulas.


def inside(low: float, high: float, ticks: int, mean: float = 0.0) -> float:
    """In units of a tick's standard deviation, here 0.001."""
    sd = 1e-3
    distribution = PriceDistribution(ticks, mean * sd * ticks, sd * math.sqrt(ticks))
    return ranges.inside(1.0, math.exp(low * sd), math.exp(high * sd), distribution)


@pytest.mark.parametrize("mean", [0.0, 0.3, -0.3])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (-0.1, 2.5), (-4.0, 0.7), (-9.0, 9.0)])
def test_one_and_two_ticks_are_priced_as_directly_integrated(
    low: float, high: float, mean: float
) -> None:
    once = normal(high - mean) - normal(low - mean)
    assert abs(inside(low, high, 1, mean) - once) < 1e-7

    def stays_second(x: float) -> float:
        density = math.exp(-0.5 * (x - mean) ** 2) / math.sqrt(2 * math.pi)
        return density * (normal(high - x - mean) - normal(low - x - mean))

    assert abs(inside(low, high, 2, mean) - integral(stays_second, low, high)) < 1e-7


@pytest.mark.parametrize("ticks", [5, 12, 20, 60, 300])
@pytest.mark.parametrize("mean", [0.0, 0.02, -0.02])
@pytest.mark.parametrize("distance", [0.3, 2.0, 5.0])
def test_where_one_barrier_is_out_of_reach_the_other_is_a_touch(
    distance: float, mean: float, ticks: int
) -> None:
    distribution = PriceDistribution(ticks, mean * 1e-3 * ticks, 1e-3 * math.sqrt(ticks))
    untouched = 1 - touch(1.0, math.exp(distance * 1e-3), distribution)
    tolerance = 2e-5 if ticks <= FEW_TICKS else 2e-3
    assert abs(inside(-200.0, distance, ticks, mean) - untouched) < tolerance


@settings(max_examples=100)
@given(st.floats(2.0, 12.0), st.floats(2.0, 12.0), st.floats(-0.03, 0.03))
def test_the_quadrature_passes_into_the_closed_formula(
    low: float, high: float, mean: float
) -> None:
    """At 20 ticks the one is exact, from 21 on the other is off by 0.003 at either barrier."""
    before, last, beyond = (inside(-low, high, ticks, mean) for ticks in (19, 20, 21))
    assert before >= last
    assert abs((beyond - last) - (last - before)) < 0.008


@given(st.floats(0.2, 3.0), st.floats(0.2, 3.0), st.floats(-1.0, 1.0))
def test_images_and_the_sine_series_agree(low: float, high: float, mean: float) -> None:
    with pytest.MonkeyPatch.context() as patched:
        found = []
        for wide in (0.0, 100.0):
            patched.setattr(ranges, "_WIDE", wide)
            found.append(ranges._staying(-low, high, mean, 1.0))
    assert math.isclose(*found, abs_tol=1e-7)
