"""What lookbacks cost: vectors, the exact recursion, and against each other."""

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import ContractState, Tick
from scopegate.exchange.contracts.lookbacks import Extremes, Lookback, LookbackTerms
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.feed import Feed
from scopegate.exchange.pricing import extremes
from scopegate.exchange.pricing.terminal import normal
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import SYMBOLS
from tests.exchange.test_pricing import NOON, SPOTS, pips, sighted

# Number of the vector, type, symbol, ticks after the entry, value of a multiplier of 1, tolerance.
VALUES = (
    (41, "LBFLOATCALL", "1HZ10V", 149, 1.548803817, 0.0062),
    (42, "LBFLOATPUT", "R_50", 299, 0.247161264, 0.000989),
    (43, "LBHIGHLOW", "R_100", 149, 5.19056221, 0.0208),
)
SYMBOL = SYMBOLS["1HZ100V"]


def terms(name: str, ticks: int, symbol_name: str = "1HZ100V") -> LookbackTerms:
    symbol = SYMBOLS[symbol_name]
    return LookbackTerms(
        contract_type=name,
        symbol=symbol,
        currency="USD",
        multiplier=100,
        start=NOON,
        expiry=NOON + (ticks + 1) * symbol.step,
    )


def worth(agreed: LookbackTerms, state: ContractState, spot: int, mean: float, epoch: int) -> float:
    kind = TYPES[agreed.contract_type]
    assert isinstance(kind, Lookback)
    return kind.worth(agreed, state, sighted(agreed.symbol, spot, mean, epoch)) / 100


@pytest.mark.parametrize(
    ("name", "symbol_name", "ticks", "expected", "tolerance"),
    [row[1:] for row in VALUES],
    ids=[f"{row[0]}-{row[1]}" for row in VALUES],
)
def test_a_value_is_that_of_the_vector(
    name: str, symbol_name: str, ticks: int, expected: float, tolerance: float
) -> None:
    agreed = terms(name, ticks, symbol_name)
    symbol = agreed.symbol
    spot, mean = pips(SPOTS[symbol_name], symbol), -0.5 * symbol.tick_sd**2
    entry = Tick(agreed.entry_epoch, spot)
    state = ContractState(Tick(NOON, spot), NOON)
    before = worth(agreed, state, spot, mean, NOON)
    assert abs(before - expected) <= tolerance
    entered = TYPES[name].step(agreed, state, entry)
    assert worth(agreed, entered, spot, mean, entry.epoch) == before


def exact(ticks: int, sd: float, mean: float) -> float:
    """The mean of the highest price of a walk in the log, in units of its start: a recursion over
    the means of the sums above zero (Spitzer 1956)."""
    means = []
    for k in range(1, ticks + 1):
        m, r = k * mean, sd * math.sqrt(k)
        means.append(math.exp(m + r * r / 2) * normal(m / r + r) + normal(-m / r))
    a = [1.0]
    for n in range(1, ticks + 1):
        a.append(sum(means[k - 1] * a[n - k] for k in range(1, n + 1)) / n)
    return a[ticks]


@pytest.mark.parametrize(
    ("ticks", "tolerance"), [(7, 0.02), (15, 0.01), (59, 0.002), (600, 0.0005)]
)
@pytest.mark.parametrize("drift", [0.0, 0.05, -0.05])
def test_the_extremes_are_those_of_the_exact_recursion(
    ticks: int, tolerance: float, drift: float
) -> None:
    """As a share of what a lookback from one of them to the close is worth."""
    sd = SYMBOL.tick_sd
    mean = drift * sd / math.sqrt(ticks)
    distribution = PriceDistribution(ticks, mean * ticks, sd * math.sqrt(ticks))
    top, bottom = exact(ticks, sd, mean), 2 - exact(ticks, sd, -mean)
    close = extremes.forward(1.0, distribution)
    assert extremes.highest(1.0, 1.0, distribution) - top == pytest.approx(
        0, abs=tolerance * (top - close)
    )
    # To first order the lowest is the highest of the market turned over.
    assert extremes.lowest(1.0, 1.0, distribution) - bottom == pytest.approx(
        0, abs=tolerance * (close - bottom) + ticks * sd * sd
    )


@given(
    st.integers(8, 1_799),
    st.integers(0, 3_000),
    st.integers(0, 3_000),
    st.integers(0, 3_000),
    st.floats(-5.0, 5.0),
)
def test_high_to_low_is_both_others_together_and_none_falls_below_what_it_has(
    ticks: int, below: int, above: int, wider: int, drift: float
) -> None:
    spot, mean = SYMBOL.level, drift * SYMBOL.tick_sd**2
    entry = Tick(NOON + 1, spot)
    state = ContractState(
        Tick(NOON, spot), NOON + 1, entry, memory=Extremes(spot - below, spot + above)
    )
    up, down, both = (
        worth(terms(name, ticks), state, spot, mean, NOON + 1)
        for name in ("LBFLOATCALL", "LBFLOATPUT", "LBHIGHLOW")
    )
    assert both == pytest.approx(up + down, abs=1e-6)
    assert both > (above + below) * SYMBOL.pip - 1e-9
    known = (
        (abs(drift) + 1) * ticks * SYMBOL.tick_sd**2 * spot * SYMBOL.pip
    )  # what the close drifts
    assert up > below * SYMBOL.pip - known
    assert down > above * SYMBOL.pip - known
    reached = replace(state, memory=Extremes(spot - below - wider, spot + above + wider))
    for name, before in (("LBFLOATCALL", up), ("LBFLOATPUT", down), ("LBHIGHLOW", both)):
        assert worth(terms(name, ticks), reached, spot, mean, NOON + 1) >= before - 1e-9


# Offers.

FEED = Feed("lookbacks")


def request(**more: object) -> QuoteRequest:
    given: dict[str, object] = {
        "contract_type": "LBHIGHLOW",
        "symbol": "1HZ100V",
        "currency": "USD",
        "duration": 5,
        "duration_unit": "m",
    }
    return QuoteRequest(**(given | more))  # type: ignore[arg-type]


def test_the_multiplier_is_named_in_several_ways() -> None:
    offered = {
        quoting.make_quote(request(**named), FEED, NOON, Margins())
        for named in (
            {"amount": Decimal(2), "basis": "multiplier"},
            {"amount": Decimal(2)},
            {"multiplier": Decimal(2)},
            {"multiplier": Decimal(2), "amount": Decimal("2.00"), "basis": "multiplier"},
        )
    }
    [offer] = offered
    assert (offer.terms.multiplier, offer.payout) == (200, 0)


@pytest.mark.parametrize(("named", "field"), [
    ({}, "amount"),
    ({"amount": Decimal(2), "basis": "stake"}, "basis"),
    ({"amount": Decimal(2), "basis": "payout"}, "basis"),
    ({"amount": Decimal(2), "multiplier": Decimal(3)}, "amount"),
    ({"multiplier": Decimal("0.001")}, "amount"),
    ({"amount": Decimal(2), "barrier": "+1.00"}, "barrier"),
])  # fmt: skip
def test_what_makes_no_lookback_is_refused(named: dict[str, object], field: str) -> None:
    with pytest.raises(Refusal) as caught:
        quoting.make_quote(request(**named), FEED, NOON, Margins())
    assert set(caught.value.details or {}) == {field}


def test_a_lookback_costs_what_it_is_worth_and_the_margin() -> None:
    fair = quoting.make_quote(request(multiplier=Decimal(100)), FEED, NOON, Margins(lookback=0.0))
    offer = quoting.make_quote(request(multiplier=Decimal(100)), FEED, NOON, Margins())
    assert abs(offer.price - 1.03 * fair.price) <= 2
    for amount in ("0", "0.01", "1000000"):
        with pytest.raises(Refusal, match=r"M(inimum|aximum) stake") as caught:
            quoting.make_quote(request(multiplier=Decimal(amount)), FEED, NOON, Margins())
        assert caught.value.code == "ContractBuyValidationError"


def test_a_proposal_is_honoured_until_a_tenth_of_the_margin_is_gone() -> None:
    proposed = quoting.make_quote(request(multiplier=Decimal(100)), FEED, NOON, Margins())
    tenth = proposed.price * 0.03 / 1.03 / 10
    for price, agreed in ((math.floor(tenth), True), (math.ceil(tenth), False)):
        present = replace(proposed, price=proposed.price + price)
        if agreed:
            deal = quoting.lock_price(
                proposed, present, max_price=proposed.price, margins=Margins()
            )
            assert deal.price == proposed.price
        else:
            with pytest.raises(Refusal, match="has moved"):
                quoting.lock_price(proposed, present, max_price=present.price, margins=Margins())
