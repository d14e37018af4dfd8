"""What contracts on a handful of ticks cost: vectors, and the recursions of random walks."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.state import ContractState, Tick
from scopegate.exchange.contracts.few_ticks import HIGH_LOW_TICKS
from scopegate.exchange.pricing.terminal import normal
from scopegate.exchange.symbols import SYMBOLS, Symbol
from tests.exchange.fairness import VOLATILITY
from tests.exchange.test_pricing import CURRENCY, NOON, SPOTS, pips, sighted

# Number of the vector, type, symbol, duration in ticks, selected tick, chance, tolerance. The mean
# of the log price over a tick is half of its variance, downwards.
CHANCES = (
    (29, "ASIANU", "1HZ10V", 9, None, 0.499163943, 2e-5),
    (30, "ASIAND", "R_50", 8, None, 0.49996917, 2e-5),
    (31, "TICKHIGH", "R_100", 5, 5, 0.268687346, 3e-4),
    (32, "TICKHIGH", "1HZ10V", 5, 1, 0.265614796, 3e-4),
    (33, "TICKLOW", "R_50", 5, 4, 0.155528331, 3e-4),
    (34, "TICKLOW", "R_100", 5, 2, 0.151451152, 3e-4),
    (39, "RUNHIGH", "R_50", 5, None, 0.030909875, 2e-5),
    (40, "RUNLOW", "R_100", 3, None, 0.119823287, 2e-5),
)


def chance(
    name: str,
    symbol: Symbol,
    spot: int,
    ticks: int,
    mean: float,
    selected: int | None = None,
    *,
    entered: bool = False,
) -> float:
    """Before its entry, or at it."""
    kind = TYPES[name]
    assert isinstance(kind, FixedPayout)
    terms = FixedPayoutTerms(
        contract_type=name,
        symbol=symbol,
        currency=CURRENCY,
        payout=1,
        start=NOON,
        ticks=ticks,
        selected_tick=selected,
    )
    state, market = ContractState(Tick(NOON, spot), NOON), sighted(symbol, spot, mean)
    if entered:
        state = kind.step(terms, state, Tick(terms.entry_epoch, spot))
        market = sighted(symbol, spot, mean, terms.entry_epoch)
    return kind.chance(terms, state, market)


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize(
    ("name", "symbol_name", "ticks", "selected", "expected", "tolerance"),
    [row[1:] for row in CHANCES],
    ids=[f"{row[0]}-{row[1]}" for row in CHANCES],
)
def test_a_chance_is_that_of_the_vector(
    name: str,
    symbol_name: str,
    ticks: int,
    selected: int | None,
    expected: float,
    tolerance: float,
    entered: bool,
) -> None:
    symbol = SYMBOLS[symbol_name]
    spot, mean = pips(SPOTS[symbol_name], symbol), -0.5 * symbol.tick_sd**2
    found = chance(name, symbol, spot, ticks, mean, selected, entered=entered)
    assert abs(found - expected) <= tolerance


names = st.sampled_from(VOLATILITY)
drifts = st.floats(-100.0, 100.0)


def positive(symbol: Symbol, spot: int, mean: float) -> list[float]:
    """The chance that the first sums of a walk are all positive (Sparre Andersen 1953): of none,
    of one, and so on."""
    p = [
        normal((length * mean - 0.5 / spot) / (symbol.tick_sd * math.sqrt(length)))
        for length in range(1, HIGH_LOW_TICKS)
    ]
    q = [1.0]
    for i in range(1, HIGH_LOW_TICKS):
        q.append(sum(p[length - 1] * q[i - length] for length in range(1, i + 1)) / i)
    return q


@given(names, drifts)
def test_a_high_tick_costs_what_the_recursion_says(name: str, drift: float) -> None:
    """Up to the ties of a sum, which the recursion counts as if each were decided by itself."""
    symbol = SYMBOLS[name]
    spot, mean = symbol.level, drift * symbol.tick_sd**2
    for kind, side in (("TICKHIGH", 1), ("TICKLOW", -1)):
        before, after = positive(symbol, spot, side * mean), positive(symbol, spot, -side * mean)
        for tick in range(1, HIGH_LOW_TICKS + 1):
            expected = before[tick - 1] * after[HIGH_LOW_TICKS - tick]
            found = chance(kind, symbol, spot, HIGH_LOW_TICKS, mean, tick)
            assert abs(found - expected) < 2e-3


@pytest.mark.parametrize("name", ["TICKHIGH", "TICKLOW"])
def test_the_chances_of_five_ticks_are_those_of_a_walk_and_add_up(name: str) -> None:
    """1 less the chance of a tie for the best of them."""
    symbol = SYMBOLS["1HZ100V"]
    spot = symbol.level * 1_000  # so many pips that there are next to no ties
    found = [chance(name, symbol, spot, 5, 0.0, tick) for tick in range(1, 6)]
    assert found == pytest.approx([35 / 128, 20 / 128, 18 / 128, 20 / 128, 35 / 128], abs=1e-4)
    assert 1 - 1e-3 < math.fsum(found) < 1
    tied = [chance(name, symbol, symbol.level, 5, 0.0, tick) for tick in range(1, 6)]
    assert 0.95 < math.fsum(tied) < math.fsum(found)


@given(names, st.integers(5, 10), drifts)
def test_asians_leave_a_tie_to_nobody(name: str, ticks: int, drift: float) -> None:
    symbol = SYMBOLS[name]
    mean = drift * symbol.tick_sd**2
    up, down = (chance(n, symbol, symbol.level, ticks, mean) for n in ("ASIANU", "ASIAND"))
    assert 0.99 < up + down < 1
    assert (up > down) == (mean > 0) or abs(mean) < 1e-18


@given(names, drifts)
def test_a_longer_run_is_rarer(name: str, drift: float) -> None:
    symbol = SYMBOLS[name]
    mean = drift * symbol.tick_sd**2
    for kind in ("RUNHIGH", "RUNLOW"):
        found = [chance(kind, symbol, symbol.level, ticks, mean) for ticks in range(2, 6)]
        assert all(b < a / 2 + 0.01 for a, b in pairwise(found))


@given(names, drifts)
def test_the_low_side_is_the_high_side_of_the_market_turned_over(name: str, drift: float) -> None:
    symbol = SYMBOLS[name]
    mean = drift * symbol.tick_sd**2
    for high, low, ticks, selected in (
        ("ASIANU", "ASIAND", 7, None),
        ("TICKHIGH", "TICKLOW", 5, 2),
        ("RUNHIGH", "RUNLOW", 4, None),
    ):
        rises = chance(high, symbol, symbol.level, ticks, mean, selected)
        falls = chance(low, symbol, symbol.level, ticks, -mean, selected)
        assert math.isclose(rises, falls, rel_tol=1e-9)
