"""What rises and falls with a reset cost: vectors, and beside plain rises and falls."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.state import ContractState, Tick
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.pricing.moved_strikes import both_below
from scopegate.exchange.pricing.terminal import normal
from scopegate.exchange.symbols import SYMBOLS
from tests.exchange.test_pricing import CURRENCY, NOON, SPOTS, integral, pips, sighted

# Number of the vector, type, symbol, ticks after the entry, chance, tolerance.
CHANCES = (
    (35, "RESETCALL", "1HZ10V", 5, 0.602906413, 2e-5),
    (36, "RESETCALL", "R_50", 149, 0.624098399, 2e-5),
    (37, "RESETPUT", "R_100", 5, 0.605460587, 2e-5),
    (38, "RESETPUT", "1HZ10V", 29, 0.619647629, 2e-5),
)
SYMBOL = SYMBOLS["1HZ100V"]


def chance(
    name: str, terms: Terms, state: ContractState, spot: int, mean: float, epoch: int
) -> float:
    kind = TYPES[name]
    assert isinstance(kind, FixedPayout)
    return kind.chance(terms, state, sighted(terms.symbol, spot, mean, epoch))


def terms(name: str, steps: int, *, in_ticks: bool) -> Terms:
    end = {"ticks": steps} if in_ticks else {"expiry": NOON + steps + 1}
    return FixedPayoutTerms(
        contract_type=name, symbol=SYMBOL, currency=CURRENCY, payout=1, start=NOON, **end
    )


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize(
    ("name", "symbol_name", "ticks", "expected", "tolerance"),
    [row[1:] for row in CHANCES],
    ids=[f"{row[0]}-{row[1]}" for row in CHANCES],
)
def test_a_chance_is_that_of_the_vector(
    name: str, symbol_name: str, ticks: int, expected: float, tolerance: float, entered: bool
) -> None:
    symbol = SYMBOLS[symbol_name]
    spot, mean = pips(SPOTS[symbol_name], symbol), -0.5 * symbol.tick_sd**2
    end = {"ticks": ticks} if ticks <= 10 else {"expiry": NOON + (ticks + 1) * symbol.step}
    agreed = FixedPayoutTerms(
        contract_type=name, symbol=symbol, currency=CURRENCY, payout=1, start=NOON, **end
    )
    entry = Tick(agreed.entry_epoch, spot)
    state = (
        ContractState(Tick(NOON, spot), entry.epoch, entry)
        if entered
        else ContractState(Tick(NOON, spot), NOON)
    )
    found = chance(name, agreed, state, spot, mean, entry.epoch if entered else NOON)
    assert abs(found - expected) <= tolerance


@pytest.mark.parametrize("in_ticks", [True, False])
@given(
    steps=st.integers(5, 600),
    moved=st.floats(-2.5, 2.5),
    drift=st.floats(-5.0, 5.0),
    later=st.floats(0.0, 1.0),
)
def test_a_reset_is_worth_more_than_none(
    in_ticks: bool, steps: int, moved: float, drift: float, later: float
) -> None:
    """Before half time, wherever the price has gone: a further chance can only help."""
    entry = Tick(NOON + 1, SYMBOL.level)
    now = entry.epoch + int(later * (steps // 2 - 2))
    spot = entry.pips + round(moved * entry.pips * SYMBOL.tick_sd * math.sqrt(now - entry.epoch))
    state = ContractState(Tick(NOON, entry.pips), now, entry)
    mean = drift * SYMBOL.tick_sd**2
    for reset, plain in (("RESETCALL", "CALL"), ("RESETPUT", "PUT")):
        with_reset, without = (
            chance(name, terms(name, steps, in_ticks=in_ticks), state, spot, mean, now)
            for name in (reset, plain)
        )
        assert without - 1e-9 <= with_reset <= 1


@pytest.mark.parametrize(("name", "plain"), [("RESETCALL", "CALL"), ("RESETPUT", "PUT")])
@given(st.integers(-400, 400), st.integers(-400, 400))
def test_after_half_time_it_is_a_rise_or_a_fall_with_the_better_barrier(
    name: str, plain: str, at_reset: int, now: int
) -> None:
    entry, spot = Tick(NOON + 1, SYMBOL.level), SYMBOL.level + now
    state = ContractState(Tick(NOON, entry.pips), NOON + 200, entry, memory=entry.pips + at_reset)
    better = min(at_reset, 0) if name == "RESETCALL" else max(at_reset, 0)
    found = chance(name, terms(name, 299, in_ticks=False), state, spot, 0.0, NOON + 200)
    barred = FixedPayoutTerms(
        contract_type=plain,
        symbol=SYMBOL,
        currency=CURRENCY,
        payout=1,
        start=NOON,
        expiry=NOON + 300,
        barrier=Barrier(better),
    )
    assert found == chance(plain, barred, state, spot, 0.0, NOON + 200)


def test_at_the_money_the_chance_is_five_eighths() -> None:
    """With half time in the middle, up to ties; and by symmetry for both sides."""
    state = ContractState(Tick(NOON, SYMBOL.level * 1_000), NOON)
    for name in ("RESETCALL", "RESETPUT"):
        agreed = terms(name, 1_000, in_ticks=True)
        found = chance(name, agreed, state, SYMBOL.level * 1_000, 0.0, NOON)
        assert found == pytest.approx(0.625, abs=1e-4)


@pytest.mark.parametrize("correlation", [0.05, 0.5, 0.7071, 0.95, 0.995])
@pytest.mark.parametrize(("x", "y"), [(0, 0), (1, -1), (-0.3, 0.8), (2.5, 2.4), (-3, 1)])
def test_two_normal_numbers_are_below_two_others(x: float, y: float, correlation: float) -> None:
    """Against an integral over the first."""
    rest = math.sqrt(1 - correlation**2)

    def density(z: float) -> float:
        weight = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return weight * normal((y - correlation * z) / rest)

    assert both_below(x, y, correlation) == pytest.approx(integral(density, -9, x), abs=1e-6)
