"""Rates: what the feed says, exactly, and nobody gains by going there and back."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.exchange.feed import Feed
from scopegate.exchange.money import CURRENCIES
from scopegate.exchange.rates import DOLLAR_SYMBOLS, Rates, shown
from scopegate.exchange.symbols import SYMBOLS
from scopegate.testing import NOON

FEED = Feed("rates")
RATES = Rates(FEED)
CODES = st.sampled_from(sorted(CURRENCIES))
WEEK = 7 * 86_400
MOMENTS = st.integers(int(NOON), int(NOON) + WEEK)
SATURDAY = int(NOON) + 2 * 86_400


def test_every_currency_has_its_price() -> None:
    assert DOLLAR_SYMBOLS.keys() == CURRENCIES.keys()
    for code in CURRENCIES:
        assert RATES.rate(code, "USD", int(NOON)).spot > 0


def test_a_rate_is_the_price_of_the_last_tick() -> None:
    symbol = SYMBOLS["frxEURUSD"]
    for moment in (int(NOON), int(NOON) + 1, int(NOON) + 7):
        pips = FEED.price(symbol, moment)
        rate = RATES.rate("EUR", "USD", moment)
        assert rate.spot == Fraction(pips, 10**symbol.digits)
        assert rate.bid == Fraction(pips - 1, 10**symbol.digits)
        assert rate.ask == Fraction(pips + 1, 10**symbol.digits)
        assert RATES.rate("USD", "EUR", moment).spot == 1 / rate.spot
    assert RATES.rate("USDC", "USD", int(NOON)) == (1, 1, 1)


def test_while_a_market_is_closed_its_last_price_holds() -> None:
    symbol = SYMBOLS["frxEURUSD"]
    assert not symbol.is_open(SATURDAY)
    last = Fraction(int(FEED.last_ticks(symbol, 1, SATURDAY).pips[-1]), 10**symbol.digits)
    assert RATES.rate("EUR", "USD", SATURDAY).spot == last
    assert RATES.rate("EUR", "USD", SATURDAY + 3_600).spot == last
    assert RATES.rate("BTC", "USD", SATURDAY) != RATES.rate("BTC", "USD", SATURDAY + 3_600)


@given(CODES, CODES, CODES, MOMENTS)
def test_rates_are_consistent(base: str, over: str, target: str, moment: int) -> None:
    direct = RATES.rate(base, target, moment)
    crossed = RATES.rate(base, over, moment).spot * RATES.rate(over, target, moment).spot
    assert direct.spot == crossed
    assert direct.bid <= direct.spot <= direct.ask
    assert direct.bid * RATES.rate(target, base, moment).ask == 1


@given(CODES, CODES, MOMENTS, st.integers(0, 10**15))
def test_there_and_back_gains_nothing(base: str, target: str, moment: int, units: int) -> None:
    there = RATES.converted(units, base, target, moment)
    back = RATES.converted(there, target, base, moment)
    assert 0 <= back <= units
    # What is lost is less than one smallest unit of the target is worth.
    lost = RATES.converted(there + 1, target, base, moment)
    assert units <= lost
    if base == target:
        assert there == units


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (Fraction(1), "1"),
        (Fraction(1, 3), "0.3333333333"),
        (Fraction(2, 3), "0.6666666667"),
        (Fraction(12_345_678_901_234), "1.234567890E+13"),
        (Fraction(1, 65_990), "0.00001515381118"),
    ],
)
def test_a_rate_is_shown_in_ten_digits(rate: Fraction, text: str) -> None:
    assert str(shown(rate)) == text
