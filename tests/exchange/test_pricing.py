"""What contracts cost: against prices found elsewhere, against each other, against the odds.

All chances are asked of the types of contracts, as `proposal` does, not of the formulas alone.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from operator import ge, gt, le, lt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.accumulators import WIDTH_UNITS
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.fixed_payout import MILLION, FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.per_point import PerPoint, PerPointTerms
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import ContractState, MarketView, Tick
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.contracts.digits import Digits
from scopegate.exchange.contracts.multipliers import PIP_PARTS, Multiplier, MultiplierTerms
from scopegate.exchange.contracts.turbos import Turbo
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.feed import Feed
from scopegate.exchange.pricing import touch as touches
from scopegate.exchange.pricing.knockouts import turbo
from scopegate.exchange.pricing.terminal import call, normal, put
from scopegate.exchange.pricing.widths import within
from scopegate.exchange.rules import MAX_ACCUMULATOR_TICKS, Margins
from scopegate.exchange.symbols import DAY, SYMBOLS, Symbol
from tests.effort import cases

NOON = 1_767_268_800
MARGINS = Margins()
CURRENCY = "BTC"  # eight decimals, so that a price is hardly rounded

SPOTS = {"R_100": "1123.45", "R_50": "148.3217", "1HZ10V": "9482.17"}

# Number of the vector, type, symbol, ticks ahead of the entry, mean of the log price over a tick in
# units of the variance, barrier, chance, tolerance.
CHANCES = (
    (1, "CALL", "R_100", 5, -0.5, "1123.45", 0.496734677, 2e-5),
    (2, "CALL", "1HZ10V", 59, -0.5, "9482.22", 0.48306012, 2e-5),
    (3, "PUT", "R_50", 5, -0.5, "148.3217", 0.499578514, 2e-5),
    (4, "PUT", "R_100", 299, -0.5, "1130.08", 0.911877326, 2e-5),
    (5, "CALLE", "1HZ10V", 5, -0.5, "9482.17", 0.505275027, 2e-5),
    (6, "CALLE", "R_50", 59, -0.5, "148.1686", 0.857162644, 2e-5),
    (7, "PUTE", "R_100", 5, -0.5, "1123.45", 0.503265323, 2e-5),
    (8, "PUTE", "1HZ10V", 299, -0.5, "9486.10", 0.911108076, 2e-5),
    (9, "ONETOUCH", "R_50", 5, -0.5, "148.3569", 0.282608476, 5e-4),
    (10, "ONETOUCH", "R_100", 59, -0.5, "1126.52", 0.138369446, 2.5e-3),
    (11, "ONETOUCH", "1HZ10V", 299, 3.0, "9485.40", 0.255560497, 2.5e-3),
    (12, "NOTOUCH", "R_50", 5, -0.5, "148.2662", 0.878487799, 5e-4),
    (13, "NOTOUCH", "R_100", 59, -0.5, "1121.58", 0.64875194, 2.5e-3),
    (14, "NOTOUCH", "1HZ10V", 299, 3.0, "9484.60", 0.611985642, 2.5e-3),
    (23, "DIGITMATCH", "1HZ10V", 4, -0.5, "5", 0.1, 2e-5),
    (24, "DIGITDIFF", "R_50", 5, -0.5, "7", 0.9, 2e-5),
    (25, "DIGITOVER", "R_100", 4, -0.5, "5", 0.4, 2e-5),
    (26, "DIGITUNDER", "1HZ10V", 7, -0.5, "8", 0.8, 2e-5),
    (27, "DIGITODD", "R_50", 4, -0.5, None, 0.5, 2e-5),
    (28, "DIGITEVEN", "R_100", 1, -0.5, None, 0.5, 2e-5),
)

# Number, type, symbol, ticks ahead of the entry, strike, worth of one contract, tolerance.
PER_POINT = (
    (46, "VANILLALONGCALL", "R_100", 59, "1121.92", 1.837917626, 2.17e-05),
    (47, "VANILLALONGCALL", "1HZ10V", 149, "9483.49", 0.325396293, 2.06e-05),
    (48, "VANILLALONGPUT", "R_50", 299, "148.4401", 0.196645685, 3.23e-06),
    (49, "VANILLALONGPUT", "R_100", 29, "1124.33", 1.146680138, 1.52e-05),
    (50, "TURBOSLONG", "1HZ10V", 149, "9480.95", 1.268932251, 0.00508),
    (51, "TURBOSSHORT", "R_50", 299, "148.7105", 0.39114878, 0.00156),
)

# Number, symbol, ticks, mean, growth in percent, width, expected result of a stake, tolerance.
ACCUMULATORS = (
    (52, "R_100", 10, -0.5, 1, 619_718_267, 0.959078613, 2e-5),
    (53, "1HZ10V", 7, -0.5, 5, 34_686_485, 0.952211748, 2e-5),
)

# Number, type, symbol, ticks, stake, multiplier, commission, price before the margin, tolerance.
CANCELLATIONS = (
    (54, "MULTUP", "R_50", 299, "10", 267, "0.53", 2.574859067, 0.0154),
    (55, "MULTDOWN", "R_100", 149, "10", 443, "0.54", 5.029721317, 0.0302),
)


def pips(text: str, symbol: Symbol) -> int:
    return Barrier.parse(text, symbol).pips


def sighted(symbol: Symbol, spot: int, mean: float, epoch: int = NOON) -> MarketView:
    """A market whose log price has this mean over a tick."""

    def distribution(first: int, last: int) -> PriceDistribution:
        ticks = (last - first) // symbol.step
        return PriceDistribution(ticks, ticks * mean, symbol.tick_sd * math.sqrt(ticks))

    return MarketView(Tick(epoch, spot), distribution)


def units(text: str) -> int:
    return int(Decimal(text).scaleb(8))


@pytest.mark.parametrize(
    ("name", "symbol_name", "ticks", "drift", "barrier", "expected", "tolerance"),
    [row[1:] for row in CHANCES],
    ids=[f"{row[0]}-{row[1]}" for row in CHANCES],
)
def test_a_chance_is_that_of_the_vector(
    name: str,
    symbol_name: str,
    ticks: int,
    drift: float,
    barrier: str | None,
    expected: float,
    tolerance: float,
) -> None:
    """Seen at the entry tick, with the entry known and an absolute barrier; and, seen just before
    it, with a relative one: both leave as many ticks."""
    kind, symbol = TYPES[name], SYMBOLS[symbol_name]
    assert isinstance(kind, FixedPayout)
    spot = pips(SPOTS[symbol_name], symbol)
    base = FixedPayoutTerms(
        contract_type=name,
        symbol=symbol,
        currency=CURRENCY,
        payout=units("10"),
        start=NOON,
        ticks=ticks + kind.counts_entry,
    )
    entry = Tick(base.entry_epoch, spot)
    mean = drift * symbol.tick_sd**2
    entered = ContractState(Tick(NOON, spot), entry.epoch, entry)
    if isinstance(kind, Digits):
        terms = replace(base, digit=None if barrier is None else int(barrier))
        assert abs(kind.chance(terms, entered, sighted(symbol, spot, mean)) - expected) <= tolerance
        return
    assert barrier is not None
    level = pips(barrier, symbol)
    terms = replace(base, barrier=Barrier(level, is_relative=False))
    at_entry = kind.chance(terms, entered, sighted(symbol, spot, mean, entry.epoch))
    assert abs(at_entry - expected) <= tolerance
    terms = replace(base, barrier=Barrier(level - spot))
    waiting = ContractState(Tick(NOON, spot), entry.epoch - 1)
    before = kind.chance(terms, waiting, sighted(symbol, spot, mean))
    assert before == at_entry
    seconds = ticks * symbol.step + symbol.step  # the same again as a duration in time
    timed = replace(terms, ticks=None, expiry=NOON + seconds)
    assert kind.chance(timed, waiting, sighted(symbol, spot, mean)) == at_entry


@pytest.mark.parametrize(
    ("name", "symbol_name", "ticks", "stake", "multiplier", "commission", "expected", "tolerance"),
    [row[1:] for row in CANCELLATIONS],
    ids=[f"{row[0]}-{row[1]}" for row in CANCELLATIONS],
)
def test_a_deal_cancellation_costs_what_the_vector_says(
    name: str,
    symbol_name: str,
    ticks: int,
    stake: str,
    multiplier: int,
    commission: str,
    expected: float,
    tolerance: float,
) -> None:
    kind, symbol = TYPES[name], SYMBOLS[symbol_name]
    assert isinstance(kind, Multiplier)
    terms = MultiplierTerms(
        contract_type=name,
        symbol=symbol,
        currency=CURRENCY,
        stake=units(stake),
        start=NOON,
        expiry=NOON + 100 * DAY,
        multiplier=multiplier,
        commission=units(commission),
    )
    market = sighted(symbol, pips(SPOTS[symbol_name], symbol), -0.5 * symbol.tick_sd**2)
    seconds = (ticks + 1) * symbol.step  # the entry is a tick after the start
    plain = kind.cancellation_price(terms, market, seconds, Margins(cancellation=0.0))
    assert abs(plain / units("1") - expected) <= tolerance
    with_margin = kind.cancellation_price(terms, market, seconds, Margins(cancellation=0.05))
    assert abs(with_margin - 1.05 * plain) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MULTUP", "MULTDOWN"])
def test_a_deal_cancellation_costs_what_it_is_worth_where_a_tick_moves_a_pip(name: str) -> None:
    """A stop-out is at a whole pip, here of eight: half of one is worth 3 % of the fee."""
    kind, symbol, spot, ticks = TYPES[name], SYMBOLS["frxEURGBP"], 40_000, 150
    assert isinstance(kind, Multiplier)
    terms = MultiplierTerms(
        contract_type=name,
        symbol=symbol,
        currency="USD",
        stake=10_000,
        start=NOON,
        expiry=NOON + 100 * DAY,
        multiplier=4_339,
        commission=1_620,
    )
    market = sighted(symbol, spot, -0.5 * symbol.tick_sd**2)
    fee = kind.cancellation_price(terms, market, (ticks + 1) * symbol.step, Margins(cancellation=0))
    stop_out = kind.levels(terms, spot * PIP_PARTS).stop_out
    assert abs(stop_out - spot) == 8
    rng, paths = np.random.default_rng(1), 100_000
    states = np.log(spot + rng.uniform(-0.5, 0.5, paths))  # the entry spot was rounded, too
    stopped = np.zeros(paths, bool)
    for _ in range(ticks):
        states += rng.normal(-0.5 * symbol.tick_sd**2, symbol.tick_sd, paths)
        shown = np.rint(np.exp(states))
        stopped |= (shown - stop_out) * kind.direction <= 0
    gained = kind.direction * terms.stake * terms.multiplier * (shown / spot - 1)
    refunded = np.where(stopped, terms.stake, np.maximum(terms.commission - gained, 0))
    assert fee == pytest.approx(refunded.mean(), rel=0.01)


# Vanillas and turbos.


@pytest.mark.parametrize(
    ("name", "symbol_name", "ticks", "strike", "expected", "tolerance"),
    [row[1:] for row in PER_POINT],
    ids=[f"{row[0]}-{row[1]}" for row in PER_POINT],
)
def test_a_contract_is_worth_what_the_vector_says(
    name: str, symbol_name: str, ticks: int, strike: str, expected: float, tolerance: float
) -> None:
    """As it is bought back without a margin: at the entry, and just before it."""
    kind, symbol = TYPES[name], SYMBOLS[symbol_name]
    assert isinstance(kind, PerPoint)
    spot, level = pips(SPOTS[symbol_name], symbol), pips(strike, symbol)
    terms = PerPointTerms(
        contract_type=name,
        symbol=symbol,
        currency=CURRENCY,
        stake=units("10"),
        start=NOON,
        expiry=NOON + (ticks + 1) * symbol.step,
        barrier=Barrier(level, is_relative=False),
        contracts=Decimal(10),
    )
    mean = -0.5 * symbol.tick_sd**2
    entry = Tick(terms.entry_epoch, spot)
    free = Margins(vanilla=0.0, turbo=0.0)
    entered = ContractState(Tick(NOON, spot), entry.epoch, entry)
    worth = kind.value(terms, entered, sighted(symbol, spot, mean, entry.epoch), free)
    assert abs(worth / units("10") - expected) <= tolerance
    terms = replace(terms, barrier=Barrier(level - spot))
    waiting = ContractState(Tick(NOON, spot), NOON)
    assert kind.value(terms, waiting, sighted(symbol, spot, mean), free) == worth
    half = kind.value(terms, waiting, sighted(symbol, spot, mean), MARGINS)
    assert abs(half - worth * (1 - kind.family_margin(MARGINS) / 2)) <= 1


def worth(name: str, spot: int, strike: int, distribution: PriceDistribution) -> float:
    kind = TYPES[name]
    assert isinstance(kind, PerPoint)
    return kind.worth(spot, strike, distribution)


outlooks = st.builds(
    lambda ticks, mean, sd: PriceDistribution(ticks, mean * sd, sd * math.sqrt(ticks)),
    st.integers(1, 5_000),
    st.floats(-0.2, 0.2),
    st.floats(1e-5, 5e-4),
)


@given(st.integers(50_000, 5_000_000), st.floats(-3, 3), outlooks)
def test_a_vanilla_call_and_a_put_differ_by_the_forward(
    spot: int, away: float, distribution: PriceDistribution
) -> None:
    strike = round(spot * math.exp(away * distribution.sd))
    forward = spot * math.exp(distribution.mean + distribution.sd**2 / 2)
    both = (
        worth(name, spot, strike, distribution) for name in ("VANILLALONGCALL", "VANILLALONGPUT")
    )
    call_worth, put_worth = both
    assert math.isclose(call_worth - put_worth, forward - strike, abs_tol=1e-8 * spot)


@given(st.integers(50_000, 5_000_000), st.floats(-2, 2), st.integers(1, 500), outlooks)
def test_a_higher_strike_makes_a_call_cheaper_and_a_put_dearer(
    spot: int, away: float, more: int, distribution: PriceDistribution
) -> None:
    strike = round(spot * math.exp(away * distribution.sd))
    for name, order in (("VANILLALONGCALL", le), ("VANILLALONGPUT", ge)):
        assert order(
            worth(name, spot, strike + more, distribution), worth(name, spot, strike, distribution)
        )


@given(
    st.sampled_from(["TURBOSLONG", "TURBOSSHORT"]),
    st.integers(50_000, 5_000_000),
    st.floats(0.05, 8),
    st.integers(1, 500),
    outlooks,
)
def test_a_turbo_is_dearer_the_farther_its_barrier_and_no_dearer_than_a_vanilla(
    name: str, spot: int, away: float, more: int, distribution: PriceDistribution
) -> None:
    """Nor cheaper than what lies between spot and barrier: the gap beyond it costs nothing."""
    kind = TYPES[name]
    assert isinstance(kind, Turbo)
    distribution = replace(distribution, mean=-(distribution.sd**2) / 2)
    distance = round(spot * away * distribution.sd) + 1
    near, far = spot + kind.side * distance, spot + kind.side * (distance + more)
    found = worth(name, spot, near, distribution)
    slack = 2e-3 * found + 0.5
    assert distance - 1 - slack <= found <= worth(name, spot, far, distribution) + slack
    vanilla = "VANILLALONGCALL" if kind.rises else "VANILLALONGPUT"
    assert found <= worth(vanilla, spot, near, distribution) + slack


def test_a_turbo_with_a_far_barrier_is_the_forward() -> None:
    for ticks in (3, 10, 20, 21, 300):
        distribution = PriceDistribution(ticks, 1e-4, 2e-4 * math.sqrt(ticks))
        forward = 240_000 * math.exp(distribution.mean + distribution.sd**2 / 2)
        for side in (1, -1):
            strike = round(240_000 * math.exp(-side * 7 * distribution.sd))
            found = turbo(240_000, strike, distribution)
            assert math.isclose(found, side * (forward - strike), rel_tol=1e-6)


def integrated(spot: int, strike: int, ticks: int, mean: float, sd: float) -> float:
    """A turbo's worth, tick by tick over many nodes."""
    side = 1 if strike > spot else -1
    distance = side * math.log((strike - side * 0.5) / spot)
    nodes, weights = np.polynomial.legendre.leggauss(500)
    width = distance + 7 * sd * math.sqrt(ticks)
    places, weights = distance - width * (nodes + 1) / 2, weights * width / 2
    scale = 1 / (sd * math.sqrt(2 * math.pi))
    density = scale * np.exp(-0.5 * ((places - side * mean) / sd) ** 2)
    moves = (places[:, None] - places[None, :] - side * mean) / sd
    onward = scale * np.exp(-0.5 * moves * moves) * weights[None, :]
    for _ in range(ticks - 2):
        density = onward @ density
    last, owed = PriceDistribution(1, mean, sd), put if side > 0 else call
    return math.fsum(
        share * owed(spot * math.exp(side * place), strike, last)
        for place, share in zip(places.tolist(), (weights * density).tolist(), strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("ticks", cases([2, 5, 10, 20, 21, 40, 120], [2, 20, 21, 120]))
@pytest.mark.parametrize("side", [1, -1])
def test_a_turbo_is_priced_as_directly_integrated(ticks: int, side: int) -> None:
    spot, sd = 240_000, 2.5e-4
    for away in (0.2, 0.3, 0.6, 1.5, 3.0):
        strike = round(spot * math.exp(side * away * sd * math.sqrt(ticks)))
        for mean in (0.0, 0.02 * sd, -0.02 * sd):
            exact = integrated(spot, strike, ticks, mean, sd)
            found = turbo(
                spot, strike, PriceDistribution(ticks, ticks * mean, sd * math.sqrt(ticks))
            )
            is_near = ticks > 20 and away * math.sqrt(ticks) < 1.25
            assert math.isclose(found, exact, rel_tol=4e-3 if is_near else 7e-4)


# Accumulators.


def kept_in(width: int, spot: int, tick: PriceDistribution) -> float:
    """The chance that a tick stays, by counting the whole pips that do."""
    most = -(-width * spot // WIDTH_UNITS) - 1
    high, low = (math.log1p(side * (most + 0.5) / spot) for side in (1, -1))
    law = NormalDist(tick.mean, tick.sd)
    return law.cdf(high) - law.cdf(low)


@pytest.mark.parametrize(
    ("symbol_name", "ticks", "drift", "growth", "width", "expected", "tolerance"),
    [row[1:] for row in ACCUMULATORS],
    ids=[f"{row[0]}-ACCU" for row in ACCUMULATORS],
)
def test_an_accumulator_brings_what_the_vector_says(
    symbol_name: str,
    ticks: int,
    drift: float,
    growth: int,
    width: int,
    expected: float,
    tolerance: float,
) -> None:
    """The chance that is charged for, at the width of the vector; and the width that is sold."""
    symbol = SYMBOLS[symbol_name]
    spot = pips(SPOTS[symbol_name], symbol)
    seen = sighted(symbol, spot, drift * symbol.tick_sd**2)
    tick = seen.distribution(NOON, NOON + symbol.step)
    most = -(-width * spot // WIDTH_UNITS) - 1
    chance = within(spot, most + 0.5, tick)
    assert math.isclose(chance, kept_in(width, spot, tick), abs_tol=1e-12)
    assert abs((chance * (100 + growth) / 100) ** ticks - expected) <= tolerance
    sold = accumulator(symbol, growth, seen).width
    assert abs(sold - width) * spot / WIDTH_UNITS < 2  # pips


def accumulator(symbol: Symbol, growth: int, seen: MarketView) -> Terms:
    terms = Terms(contract_type="ACCU", symbol=symbol, currency=CURRENCY, start=NOON)
    request = QuoteRequest(
        contract_type="ACCU",
        symbol=symbol.name,
        currency=CURRENCY,
        growth_rate=Decimal(growth) / 100,
    )
    return TYPES["ACCU"].quote(terms, units("0.04"), request, seen, MARGINS).terms


@given(
    st.sampled_from(sorted(SYMBOLS)),
    st.floats(0.13, 7.5),
    st.sampled_from(sorted(MAX_ACCUMULATOR_TICKS)),
    st.floats(-5.0, 5.0),
    st.floats(-4.0, 4.0),
    st.integers(0, 100),
)
def test_no_tick_of_an_accumulator_is_in_favour_of_the_client(
    name: str, share: float, growth: int, drift: float, z: float, passed: int
) -> None:
    """At the spot that it was bought at, and wherever the price may go while it lives.

    At the spot it keeps the margin at least, and one more pip would take of it.
    """
    symbol = SYMBOLS[name]
    spot = round(symbol.level * share)
    seen = sighted(symbol, spot, drift * symbol.tick_sd**2)
    tick = seen.distribution(NOON, NOON + symbol.step)
    grown = 1 + growth / 100
    try:
        terms = accumulator(symbol, growth, seen)
    except Refusal:
        assert spot * tick.sd < 8
        return
    assert kept_in(terms.width, spot, tick) * grown <= 1 - MARGINS.accumulator + 1e-12
    wider = terms.width + WIDTH_UNITS // spot
    assert kept_in(wider, spot, tick) * grown > 1 - MARGINS.accumulator
    ticks = passed * MAX_ACCUMULATOR_TICKS[growth] // 100
    moved = round(spot * math.exp(ticks * tick.mean + z * tick.sd * math.sqrt(ticks)))
    assert kept_in(terms.width, moved, tick) * grown < 1


def test_an_accumulator_brings_on_average_what_its_chance_says() -> None:
    """Ticks that are drawn from the law and rounded to pips, held for ten of them."""
    rng, symbol = np.random.default_rng(5), SYMBOLS["R_100"]
    spot, paths, ticks, growth = 160_007, 200_000, 10, 5
    seen = sighted(symbol, spot, 0.0)
    terms = accumulator(symbol, growth, seen)
    before = np.full(paths, float(spot))
    log, stays = np.zeros(paths), np.ones(paths, bool)
    for _ in range(ticks):
        log += rng.normal(0.0, symbol.tick_sd, paths)
        now = np.rint(spot * np.exp(log))
        stays &= np.abs(now - before) * WIDTH_UNITS < terms.width * before
        before = now
    chance = kept_in(terms.width, spot, seen.distribution(NOON, NOON + symbol.step)) ** ticks
    error = math.sqrt(chance * (1 - chance) / paths)
    assert abs(stays.mean() - chance) < 4 * error


# Complements, and how a price follows the barrier.


@st.composite
def markets(draw: st.DrawFn) -> tuple[Terms, MarketView, ContractState]:
    """A contract without a type, of a random symbol, spot, drift, duration and barrier.

    It may be seen before its entry or at some tick after it.
    """
    symbol = SYMBOLS[draw(st.sampled_from(sorted(SYMBOLS)))]
    spot = draw(st.integers(symbol.level // 5, symbol.level * 5))
    steps = draw(st.one_of(st.integers(1, 40), st.integers(41, 40_000)))
    reach = spot * symbol.tick_sd * math.sqrt(steps)
    away = round(reach * draw(st.floats(-3.0, 3.0)))
    is_relative = draw(st.booleans())
    barrier = Barrier(away if is_relative else max(1, spot + away), is_relative=is_relative)
    mean = draw(st.floats(-5.0, 5.0)) * symbol.tick_sd**2
    terms = FixedPayoutTerms(
        contract_type="",
        symbol=symbol,
        currency=CURRENCY,
        payout=1,
        start=NOON,
        ticks=steps,
        barrier=barrier,
    )
    if draw(st.booleans()):
        return terms, sighted(symbol, spot, mean), ContractState(Tick(NOON, spot), NOON)
    entry = Tick(terms.entry_epoch, spot)
    passed = draw(st.integers(0, steps - 1))
    now = entry.epoch + passed * symbol.step
    moved = spot + round(reach * draw(st.floats(-1.5, 1.5)))
    market = sighted(symbol, moved if passed else spot, mean, now)
    return terms, market, ContractState(Tick(NOON, spot), now, entry)


def chance(name: str, terms: Terms, market: MarketView, state: ContractState) -> float:
    kind = TYPES[name]
    assert isinstance(kind, FixedPayout)
    return kind.chance(replace(terms, contract_type=name), state, market)


def cost(
    names: tuple[str, str], both: tuple[Terms, Terms], market: MarketView, state: ContractState
) -> int:
    """What two contracts cost together, in millionths of the payout."""
    total = 0
    for name, terms in zip(names, both, strict=True):
        kind = TYPES[name]
        assert isinstance(kind, FixedPayout)
        total += kind.ask(replace(terms, contract_type=name), state, market, Margins())
    return total


def assert_complements(
    names: tuple[str, str], both: tuple[Terms, Terms], market: MarketView, state: ContractState
) -> None:
    """One of both pays, so they cost a payout and both margins; each may be rounded up."""
    kinds = [TYPES[name] for name in names]
    margins = sum(
        kind.margin(both[0], Margins()) for kind in kinds if isinstance(kind, FixedPayout)
    )
    exact = round((1 + margins) * MILLION)
    assert exact <= cost(names, both, market, state) <= exact + 1


@given(markets(), st.sampled_from([("CALL", "PUTE"), ("CALLE", "PUT"), ("ONETOUCH", "NOTOUCH")]))
def test_complements_cost_their_payout_and_both_margins(
    case: tuple[Terms, MarketView, ContractState], names: tuple[str, str]
) -> None:
    terms, market, state = case
    assert_complements(names, (terms, terms), market, state)


@given(markets())
def test_complements_on_digits_cost_their_payout_and_both_margins(
    case: tuple[Terms, MarketView, ContractState],
) -> None:
    terms, market, state = case
    for digit in range(9):
        at, over = replace(terms, digit=digit), replace(terms, digit=digit + 1)
        assert_complements(("DIGITOVER", "DIGITUNDER"), (at, over), market, state)
        assert_complements(("DIGITMATCH", "DIGITDIFF"), (at, at), market, state)
    assert_complements(("DIGITODD", "DIGITEVEN"), (terms, terms), market, state)


@given(markets(), st.integers(1, 50))
def test_a_higher_barrier_makes_a_rise_cheaper_and_a_fall_dearer(
    case: tuple[Terms, MarketView, ContractState], more: int
) -> None:
    terms, market, state = case
    barrier = terms.barrier
    assert barrier is not None
    higher = replace(terms, barrier=replace(barrier, pips=barrier.pips + more))
    for name, order in (("CALL", le), ("CALLE", le), ("PUT", ge), ("PUTE", ge)):
        assert order(chance(name, higher, market, state), chance(name, terms, market, state))


@given(markets(), st.integers(1, 50))
def test_a_farther_barrier_makes_a_touch_cheaper(
    case: tuple[Terms, MarketView, ContractState], more: int
) -> None:
    """Up to the error of the quadrature, where both chances are next to 0 or 1."""
    terms, market, state = case
    barrier = terms.barrier
    assert barrier is not None
    start = 0 if barrier.is_relative else state.spot.pips
    assume(barrier.pips != start)
    outward = more if barrier.pips > start else -more
    assume(barrier.level(state.spot.pips) + outward > 0)
    farther = replace(terms, barrier=replace(barrier, pips=barrier.pips + outward))
    near, far = (chance("ONETOUCH", each, market, state) for each in (terms, farther))
    assert far <= near + 1e-8
    near, far = (chance("NOTOUCH", each, market, state) for each in (terms, farther))
    assert far >= near - 1e-8


@given(markets())
def test_a_tie_lies_between_the_strict_types_and_the_others(
    case: tuple[Terms, MarketView, ContractState],
) -> None:
    terms, market, state = case
    call, put, calle, pute = (
        chance(n, terms, market, state) for n in ("CALL", "PUT", "CALLE", "PUTE")
    )
    assert call <= calle
    assert put <= pute
    assert math.isclose(calle - call, pute - put, abs_tol=1e-12)  # the chance of a tie
    assert math.isclose(call + put + (calle - call), 1.0, abs_tol=1e-12)


@pytest.mark.parametrize("name", [name for name, kind in TYPES.items() if isinstance(kind, Digits)])
def test_the_odds_of_digits_are_a_count_over_ten(name: str) -> None:
    wins: Callable[[int, int | None], bool] = {
        "DIGITMATCH": lambda last, chosen: last == chosen,
        "DIGITDIFF": lambda last, chosen: last != chosen,
        "DIGITOVER": gt,
        "DIGITUNDER": lt,
        "DIGITODD": lambda last, _: last in (1, 3, 5, 7, 9),
        "DIGITEVEN": lambda last, _: last in (0, 2, 4, 6, 8),
    }[name]
    kind = TYPES[name]
    assert isinstance(kind, Digits)
    symbol = SYMBOLS["R_100"]
    for chosen in kind.choices or (None,):
        terms = FixedPayoutTerms(
            contract_type=name,
            symbol=symbol,
            currency=CURRENCY,
            payout=1,
            start=NOON,
            ticks=5,
            digit=chosen,
        )
        count = sum(bool(wins(last, chosen)) for last in range(10))
        market = sighted(symbol, 240_000, 0.0)
        assert kind.chance(terms, ContractState(market.tick, NOON), market) == count / 10
        margin = kind.family_margin(Margins())
        asked = kind.ask(terms, ContractState(market.tick, NOON), market, Margins())
        assert asked == count * 100_000 + round(margin * MILLION)


# Touches: the quadrature, tick by tick.


def touch(distance: float, ticks: int, *, mean: float = 0.0, upward: bool = True) -> float:
    """In units of a tick's standard deviation, here 0.001."""
    sd = 1e-3
    level = math.exp(distance * sd if upward else -distance * sd)
    distribution = PriceDistribution(
        ticks, (mean if upward else -mean) * sd * ticks, sd * math.sqrt(ticks)
    )
    return touches.touch(1.0, level, distribution)


def integral(
    function: Callable[[float], float], low: float, high: float, parts: int = 20_000
) -> float:
    """Simpson's rule."""
    width = (high - low) / parts
    odd = math.fsum(function(low + i * width) for i in range(1, parts, 2))
    even = math.fsum(function(low + i * width) for i in range(2, parts, 2))
    return (function(low) + function(high) + 4 * odd + 2 * even) * width / 3


@pytest.mark.parametrize("upward", [True, False])
@pytest.mark.parametrize("mean", [0.0, 0.4, -0.4])
@pytest.mark.parametrize("distance", [0.05, 0.7, 1.5, 3.0])
def test_one_and_two_ticks_are_priced_as_directly_integrated(
    distance: float, mean: float, upward: bool
) -> None:
    once = 1 - normal(distance - mean)
    assert abs(touch(distance, 1, mean=mean, upward=upward) - once) < 1e-12

    def touches_second(x: float) -> float:
        density = math.exp(-0.5 * (x - mean) ** 2) / math.sqrt(2 * math.pi)
        return density * (1 - normal(distance - x - mean))

    twice = once + integral(touches_second, distance - 14, distance)
    assert abs(touch(distance, 2, mean=mean, upward=upward) - twice) < 1e-8


@settings(max_examples=100)
@given(st.floats(0.8, 12.0), st.floats(-0.05, 0.05), st.booleans())
def test_the_quadrature_passes_into_the_closed_formula(
    distance: float, mean: float, upward: bool
) -> None:
    """At 20 ticks the one is exact, from 21 on the other is off by 0.003.

    The rest of the tolerance is for what one tick more brings.
    """
    below, above, beyond = (
        touch(distance, ticks, mean=mean, upward=upward) for ticks in (19, 20, 21)
    )
    assert 0 <= above - below < 0.03
    assert abs((beyond - above) - (above - below)) < 0.005


@pytest.mark.parametrize("ticks", [59, 119, 299, 3_600])
def test_beside_its_barrier_a_no_touch_is_not_sold_below_its_chance(ticks: int) -> None:
    """Nearer than a tick's move the closed formula overstates a touch, by less than the margin.

    That a symmetric walk stays below its start for n steps has the chance C(2n, n) / 4^n (Sparre
    Andersen 1953); 59 ticks are the shortest that is sold and not integrated tick by tick.
    """
    exact = math.exp(math.lgamma(2 * ticks + 1) - 2 * math.lgamma(ticks + 1) - ticks * math.log(4))
    asked = 1 - touch(1e-9, ticks) + Margins().touch
    assert exact < asked < exact + Margins().touch


@given(st.floats(0.8, 15.0), st.integers(1, 60), st.floats(-0.2, 0.2))
def test_a_touch_is_the_likelier_the_longer_it_may_happen(
    distance: float, ticks: int, mean: float
) -> None:
    assume(ticks != touches.FEW_TICKS)  # where the formula changes, see above
    sooner = touch(distance, ticks, mean=mean)
    later = touch(distance, ticks + 1, mean=mean)
    assert -1e-8 <= sooner <= 1 + 1e-8
    assert later >= sooner - 1e-8


@given(st.floats(0.5, 2.0), st.floats(0.5, 2.0), st.integers(1, 10_000), st.floats(-0.5, 0.5))
def test_a_put_and_a_call_differ_by_the_forward(
    spot: float, strike: float, ticks: int, mean: float
) -> None:
    """Put-call parity, on which the price of a deal cancellation rests."""
    distribution = PriceDistribution(ticks, mean, 0.001 * math.sqrt(ticks))
    forward = spot * math.exp(mean + distribution.sd**2 / 2)
    difference = call(spot, strike, distribution) - put(spot, strike, distribution)
    assert math.isclose(difference, forward - strike, abs_tol=1e-12)


@pytest.mark.parametrize("ticks", cases(range(1, 26), [1, 2, 6, 25]))
@pytest.mark.parametrize("side", [1, -1])
def test_a_touch_is_a_chance_and_rarer_the_farther_it_is(ticks: int, side: int) -> None:
    """At any distance: up to thousands of deviations of a tick."""
    tick_sd, before = 1.78e-4, 1.0
    for step in range(400):
        distance = 0.01 * 1.032**step  # in deviations of a tick, up to 2,900
        level = 1e5 * math.exp(side * distance * tick_sd)
        for drift in (0.0, 0.05, -0.05):
            distribution = PriceDistribution(
                ticks, drift * tick_sd * ticks, tick_sd * math.sqrt(ticks)
            )
            assert 0.0 <= touches.touch(1e5, level, distribution) <= 1.0
        chance = touches.touch(
            1e5, level, PriceDistribution(ticks, 0.0, tick_sd * math.sqrt(ticks))
        )
        assert chance <= before + 2e-5
        before = chance
    assert before == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("barrier", ["+456.70", "-456.70", "+998.27", "+1120.69"])
@pytest.mark.parametrize("contract_type", ["ONETOUCH", "NOTOUCH"])
@pytest.mark.parametrize("ticks", [5, 6, 10])
def test_what_cannot_be_touched_is_not_sold(barrier: str, contract_type: str, ticks: int) -> None:
    request = QuoteRequest(
        contract_type=contract_type,
        symbol="1HZ10V",
        currency="USD",
        amount=Decimal(10),
        basis="stake",
        barrier=barrier,
        duration=ticks,
        duration_unit="t",
    )
    with pytest.raises(Refusal, match="offers no return"):
        quoting.make_quote(request, Feed("far"), 1_767_268_800, Margins())
