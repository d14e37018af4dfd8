"""From a wish to a price: what is offered, how money is rounded, and which price a buyer gets."""

import math
import re
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.fixed_payout import MILLION, FixedPayout
from scopegate.exchange.contracts.common.per_point import PerPoint
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import ContractState, Tick, latest, market_view
from scopegate.exchange.contracts.common.terms import Barrier
from scopegate.exchange.contracts.digits import MIN_SD
from scopegate.exchange.contracts.eligibility import is_offered
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.exchange.contracts.multipliers import Multiplier, multipliers
from scopegate.exchange.contracts.turbos import Turbo
from scopegate.exchange.feed import Feed
from scopegate.exchange.ledger import opening_balance
from scopegate.exchange.money import CURRENCIES, bound_in, to_units
from scopegate.exchange.rules import (
    CANCELLATIONS,
    MAX_ACCUMULATOR_TICKS,
    MAX_ASK,
    MAX_PAYOUT,
    MAX_STAKE,
    MIN_ASK,
    MIN_STAKE,
    NO_SALE_BEFORE_END,
    Margins,
)
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS, Motion, Symbol
from tests.effort import chosen
from tests.exchange.fairness import VOLATILITY

FEED = Feed("offers")
MARGINS = Margins()
NOON = 1_767_268_800
MIDNIGHT = NOON - NOON % DAY
ALL_OPEN = NOON + 3 * 3_600
"""A Thursday afternoon, when every market is open."""
HZ = SYMBOLS["1HZ100V"]
SPOT = FEED.price(HZ, NOON)


def request(contract_type: str = "CALL", **more: Any) -> QuoteRequest:
    """Five minutes for a stake of 10.00, where nothing else is said."""
    given: dict[str, Any] = {"symbol": "1HZ100V", "currency": "USD", "amount": Decimal(10)}
    kind = TYPES.get(contract_type)
    if isinstance(kind, Lookback):
        given["basis"] = "multiplier"
    elif not isinstance(kind, Multiplier):
        given["basis"] = "stake"
    named = {"duration", "date_expiry", "multiplier", "growth_rate"}
    if not named & more.keys():
        given |= {"duration": 5, "duration_unit": "m"}
    return QuoteRequest(contract_type=contract_type, **(given | more))


def made(contract_type: str = "CALL", *, now: int = NOON, **more: Any) -> Quote:
    return quoting.make_quote(request(contract_type, **more), FEED, now, MARGINS)


def refused(contract_type: str = "CALL", *, now: int = NOON, **more: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        made(contract_type, now=now, **more)
    return caught.value


# How money is rounded.


def test_who_names_the_stake_gets_the_payout_rounded_down() -> None:
    bought = made(amount=Decimal("10.01"))
    assert bought.price == 1_001
    assert bought.payout == 1_001 * MILLION // bought.ask


def test_who_names_the_payout_pays_the_price_rounded_up() -> None:
    bought = made(amount=Decimal("19.55"), basis="payout")
    assert bought.payout == 1_955
    assert bought.price == math.ceil(1_955 * bought.ask / MILLION)


def theoretical(bought: Quote) -> float:
    """The chance and the margin, before anything is rounded."""
    kind, terms = TYPES[bought.terms.contract_type], bought.terms
    assert isinstance(kind, FixedPayout)
    state = ContractState(bought.spot, terms.entry_epoch - 1)
    seen = market_view(FEED, terms.symbol, bought.terms.start)
    return kind.chance(terms, state, seen) + kind.margin(bought.terms, MARGINS)


@given(
    st.sampled_from(["CALL", "PUT", "CALLE", "PUTE"]),
    st.sampled_from(sorted(SYMBOLS)),
    st.sampled_from(sorted(CURRENCIES)),
    st.sampled_from(["stake", "payout"]),
    st.decimals("0.35", 2_000, places=2),
    st.integers(15, 7_200),
    st.integers(-2_000, 2_000),
    st.integers(0, DAY),
)
def test_a_buyer_never_gains_by_rounding_and_loses_less_than_a_unit(
    name: str,
    symbol: str,
    currency: str,
    basis: str,
    amount: Decimal,
    duration: int,
    away: int,
    later: int,
) -> None:
    barrier = Barrier(away).text(SYMBOLS[symbol])
    try:
        bought = quoting.make_quote(
            request(
                name,
                symbol=symbol,
                currency=currency,
                basis=basis,
                amount=amount,
                duration=duration,
                duration_unit="s",
                barrier=barrier,
            ),
            FEED,
            NOON + later,
            MARGINS,
        )
    except Refusal:
        assume(False)
        return
    named = bought.price if basis == "stake" else bought.payout
    assert named == to_units(amount, currency)
    exact = theoretical(bought)
    millionth = bought.payout / MILLION
    slack = 1e-9 * bought.payout + 1e-6  # the floats of this test
    over = bought.price - bought.payout * exact
    assert over >= -slack
    # A unit of the price; of the payout, where the stake was named, it is worth less.
    assert over < 1 + millionth + slack


# Stakes and payouts.


@pytest.mark.parametrize(("more", "text"), [
    ({"amount": Decimal("0.34")}, "Minimum stake of 0.35"),
    ({"amount": Decimal("0.34")}, "maximum payout of 50000.00"),
    ({"amount": Decimal("0")}, "Minimum stake of 0.35"),
    ({"amount": Decimal("0.5"), "basis": "payout"}, "Minimum stake of 0.35"),
    ({"amount": Decimal("50000.01"), "basis": "payout"}, "maximum payout of 50000.00"),
    ({"amount": Decimal("2000.01")}, "Maximum stake allowed is 2000.00."),
    ({"amount": Decimal("49000"), "basis": "payout"}, "Maximum stake allowed is 2000.00."),
    ({"amount": Decimal("2000"), "contract_type": "DIGITMATCH", "barrier": "5", "duration": 5,
      "duration_unit": "t"}, None),
    ({"amount": Decimal("0.35")}, None),
    ({"amount": Decimal("2000")}, None),
    ({"amount": Decimal("0.34"), "contract_type": "MULTUP", "multiplier": Decimal(100)},
     "Minimum stake of 0.35"),
    ({"amount": Decimal("2000.01"), "contract_type": "MULTUP", "multiplier": Decimal(100)},
     "Maximum stake allowed is 2000.00."),
])  # fmt: skip
def test_stakes_and_payouts_have_their_bounds(more: dict[str, Any], text: str | None) -> None:
    more = dict(more)
    name = more.pop("contract_type", "CALL")
    if text is None:
        assert made(name, **more).price >= 35
        return
    refusal = refused(name, **more)
    assert refusal.code == "ContractBuyValidationError"
    assert text in refusal.message
    assert text in refusal.details["amount"] if refusal.details else False


def test_a_payout_that_a_stake_would_bring_has_its_bound() -> None:
    """A rare win pays more than forty times the stake."""
    sd = SPOT * HZ.tick_sd * math.sqrt(299)
    barrier = Barrier(round(2.2 * sd)).text(HZ)
    refusal = refused(amount=Decimal(2_000), barrier=barrier)
    assert "maximum payout of 50000.00" in refusal.message
    assert made(amount=Decimal(500), barrier=barrier).payout > 500 * 100


@pytest.mark.parametrize("currency", sorted(CURRENCIES))
def test_the_bounds_hold_in_every_currency(currency: str) -> None:
    """A unit of a crypto currency counts for as many dollars as it is about worth."""
    worth = {"BTC": 50_000, "ETH": 2_000, "LTC": 100}.get(currency, 1)
    unit = Decimal(1).scaleb(-CURRENCIES[currency].digits)
    least, largest, most = (each / worth for each in (MIN_STAKE, MAX_STAKE, MAX_PAYOUT))
    assert made(currency=currency, amount=least).price == to_units(least, currency)
    assert made(currency=currency, amount=largest).price == to_units(largest, currency)
    refused(currency=currency, amount=least - unit)
    refused(currency=currency, amount=largest + unit)
    refused(currency=currency, basis="payout", amount=most + unit)


def test_an_account_can_trade_with_its_opening_balance() -> None:
    for currency, kept in CURRENCIES.items():
        assert bound_in(MIN_STAKE, currency) * 1_000 <= opening_balance(currency), kept.name


def test_money_has_the_decimals_of_its_currency() -> None:
    refusal = refused(amount=Decimal("10.001"))
    assert (refusal.code, refusal.details) == (
        "ContractBuyValidationError",
        {"amount": "Only 2 decimal places allowed."},
    )
    assert made(amount=Decimal("0.01000001"), currency="BTC").price == 1_000_001
    assert made(amount=Decimal("1E+1")).price == 1_000


def test_what_is_all_but_certain_is_not_sold() -> None:
    sd = SPOT * HZ.tick_sd * math.sqrt(299)
    for name, side, words in (("CALL", 4, "be lost"), ("CALL", -4, "be won"), ("PUT", 4, "be won")):
        refusal = refused(name, barrier=Barrier(round(side * sd)).text(HZ))
        assert refusal.code == "ContractCreationFailure"
        assert words in refusal.message
    sold = 0
    for tenths in range(-30, 31):
        barrier = Barrier(round(tenths / 10 * sd)).text(HZ)
        with suppress(Refusal):
            assert MIN_ASK <= made(barrier=barrier).ask <= MAX_ASK
            sold += 1
    assert 40 < sold < 50  # of 61: those up to about two standard deviations away


# How long, from when.


@pytest.mark.parametrize(("name", "duration", "unit", "text"), [
    ("CALL", 0, "t", "Number of ticks must be between 1 and 10."),
    ("CALL", 11, "t", "Number of ticks must be between 1 and 10."),
    ("ONETOUCH", 4, "t", "Number of ticks must be between 5 and 10."),
    ("CALL", 14, "s", "Duration must be between 15s and 1d."),
    ("CALL", 0, "m", "Duration must be between 15s and 1d."),
    ("CALL", 25, "h", "Duration must be between 15s and 1d."),
    ("ONETOUCH", 119, "s", "Duration must be between 2m and 1d."),
    ("CALL", 0, "d", "Duration must be between 1d and 365d."),
    ("CALL", 366, "d", "Duration must be between 1d and 365d."),
    ("EXPIRYRANGE", 119, "s", "Duration must be between 2m and 1d."),
    ("UPORDOWN", 366, "d", "Duration must be between 1d and 365d."),
    ("CALLSPREAD", 5, "t", "Trading is not offered for this duration."),
    ("ASIANU", 4, "t", "Number of ticks must be between 5 and 10."),
    ("ASIAND", 1, "m", "Trading is not offered for this duration."),
    ("TICKHIGH", 6, "t", "Number of ticks must be between 5 and 5."),
    ("RUNHIGH", 6, "t", "Number of ticks must be between 2 and 5."),
    ("RUNLOW", 1, "t", "Number of ticks must be between 2 and 5."),
    ("RESETCALL", 4, "t", "Number of ticks must be between 5 and 10."),
    ("RESETCALL", 19, "s", "Duration must be between 20s and 2h."),
    ("RESETPUT", 121, "m", "Duration must be between 20s and 2h."),
    ("RESETPUT", 1, "d", "Trading is not offered for this duration."),
    ("LBHIGHLOW", 59, "s", "Duration must be between 1m and 30m."),
    ("LBHIGHLOW", 31, "m", "Duration must be between 1m and 30m."),
    ("DIGITODD", 1, "m", "Trading is not offered for this duration."),
    ("DIGITODD", 1, "d", "Trading is not offered for this duration."),
])  # fmt: skip
def test_a_duration_that_is_not_offered_is_refused(
    name: str, duration: int, unit: str, text: str
) -> None:
    more: dict[str, Any] = {"barrier": "+1.00"} if name == "ONETOUCH" else {}
    refusal = refused(name, duration=duration, duration_unit=unit, **more)
    assert refusal.code == "OfferingsValidationError"
    published = text if "ticks" in text else "Trading is not offered for this duration."
    assert refusal.message == published
    assert refusal.details == {"duration": text}  # with what is offered, where there is a range


@pytest.mark.parametrize(("duration", "unit", "expiry"), [
    (15, "s", NOON + 15),
    (2, "m", NOON + 120),
    (3, "h", NOON + 10_800),
    (24, "h", NOON + DAY),
    (1, "d", MIDNIGHT + 2 * DAY - 1),
    (365, "d", MIDNIGHT + 366 * DAY - 1),
])  # fmt: skip
def test_a_duration_ends_at_its_moment_and_days_at_the_close(
    duration: int, unit: str, expiry: int
) -> None:
    terms = made(duration=duration, duration_unit=unit).terms
    assert (terms.expiry, terms.ticks, terms.is_fixed_expiry) == (expiry, None, False)
    if unit == "d":
        assert expiry % DAY == 23 * 3_600 + 59 * 60 + 59


def test_ticks_are_counted_instead_of_seconds() -> None:
    terms = made(duration=7, duration_unit="t").terms
    assert (terms.ticks, terms.expiry) == (7, None)


def test_an_expiry_may_be_named_instead_of_a_duration() -> None:
    terms = made(date_expiry=NOON + 300).terms
    assert (terms.expiry, terms.is_fixed_expiry) == (NOON + 300, True)
    long = made(date_expiry=NOON + 40 * DAY).terms
    assert long.expiry == NOON + 40 * DAY
    for seconds in (-100, 0, 14, 366 * DAY):
        refusal = refused(date_expiry=NOON + seconds)
        assert refusal.code == "OfferingsValidationError"
        assert set(refusal.details or {}) == {"date_expiry"}
    assert refused(date_expiry=NOON + 300, duration=5).code == "InputValidationFailed"
    assert refused("DIGITODD", date_expiry=NOON + 300).code == "OfferingsValidationError"


def test_a_contract_needs_some_duration() -> None:
    refusal = refused(duration=None)
    assert refusal.code == "InputValidationFailed"
    assert set(refusal.details or {}) == {"duration"}


def test_rise_and_fall_may_start_later() -> None:
    terms = made(date_start=NOON + 600).terms
    assert (terms.start, terms.is_forward, terms.expiry) == (NOON + 600, True, NOON + 900)
    assert terms.entry_epoch == NOON + 600
    made(date_start=NOON + DAY)
    assert set(refused(date_start=NOON + DAY + 1).details or {}) == {"date_start"}
    assert set(refused("ONETOUCH", barrier="+1.00", date_start=NOON + 60).details or {}) == {
        "date_start"
    }
    for unit in ("t", "d"):
        refusal = refused(date_start=NOON + 600, duration=2, duration_unit=unit)
        assert set(refusal.details or {}) == {"duration"}


def test_a_start_that_has_passed_is_now() -> None:
    terms = made(date_start=NOON - 1).terms
    assert (terms.start, terms.is_forward) == (NOON, False)


def test_a_forward_start_costs_what_its_own_ticks_are_worth() -> None:
    """At the spot of its start, whatever that will be: neither side is likelier."""
    soon, later = made(), made(date_start=NOON + 3_600)
    assert abs(soon.ask - later.ask) < 200


# Barriers.


@pytest.mark.parametrize("text", ["", "+", "x", "1,5", "+-1", " +1", "1e3", "--1", "+1.2.3", "٣"])
def test_a_barrier_that_is_no_number_is_refused(text: str) -> None:
    for name in ("CALL", "ONETOUCH"):
        refusal = refused(name, barrier=text)
        assert refusal.code == "BarrierValidationError"
        assert set(refusal.details or {}) == {"barrier"}


def test_a_barrier_has_the_decimals_of_its_symbol() -> None:
    refusal = refused(barrier="+0.125")
    assert refusal.code == "BarrierValidationError"
    assert refusal.message == "Barrier can only be up to 2 decimal places."
    assert made(barrier="+0.1200").terms.barrier == Barrier(12)
    assert made(barrier="-0.1").terms.barrier == Barrier(-10)
    assert made(barrier=HZ.text(SPOT)).terms.barrier == Barrier(SPOT, is_relative=False)
    assert made(symbol="R_50", barrier="+0.0012").terms.barrier == Barrier(12)


def test_a_touch_needs_a_barrier_away_from_the_spot() -> None:
    for text in ("+0", "-0.00", HZ.text(SPOT)):
        assert refused("ONETOUCH", barrier=text).code == "BarrierValidationError"
    missing = refused("NOTOUCH")
    assert missing.code == "ContractCreationFailure"
    assert missing.message == "Invalid barrier (Single barrier input is expected)."


def test_a_barrier_is_above_zero() -> None:
    for name in ("PUT", "ONETOUCH"):
        for text in (f"-{HZ.text(SPOT)}", f"-{HZ.text(SPOT + 1)}", "0"):
            assert refused(name, barrier=text).code == "BarrierValidationError"


@pytest.mark.parametrize(("name", "digit", "fits"), [
    ("DIGITMATCH", "0", True), ("DIGITMATCH", "9", True), ("DIGITMATCH", "10", False),
    ("DIGITMATCH", "+5", False), ("DIGITMATCH", "5.0", False), ("DIGITMATCH", "-1", False),
    ("DIGITOVER", "9", False), ("DIGITOVER", "8", True), ("DIGITUNDER", "0", False),
    ("DIGITUNDER", "1", True), ("DIGITDIFF", "٣", False),
])  # fmt: skip
def test_a_digit_is_one_that_can_win_and_lose(name: str, digit: str, fits: bool) -> None:
    more: dict[str, Any] = {"duration": 5, "duration_unit": "t", "barrier": digit}
    if fits:
        assert made(name, **more).terms.digit == int(digit)
    else:
        assert refused(name, **more).code == "BarrierValidationError"


def test_a_digit_is_needed_by_some_and_refused_by_others() -> None:
    term: dict[str, Any] = {"duration": 5, "duration_unit": "t"}
    assert refused("DIGITMATCH", **term).code == "InputValidationFailed"
    assert refused("DIGITODD", barrier="5", **term).code == "InputValidationFailed"
    assert made("DIGITODD", **term).terms.digit is None


def test_digits_are_not_offered_while_a_tick_moves_too_few_pips() -> None:
    """A day on which the price has fallen to a fifth of its level, found by trying seeds."""
    feed, epoch, symbol = Feed("c"), EARLIEST + 400 * DAY, SYMBOLS["R_100"]
    assert feed.price(symbol, epoch) * symbol.tick_sd < MIN_SD
    for name, more in (("DIGITODD", {}), ("DIGITMATCH", {"barrier": "5"})):
        asked = request(name, symbol="R_100", duration=5, duration_unit="t", **more)
        with pytest.raises(Refusal, match="moves too few pips") as caught:
            quoting.make_quote(asked, feed, epoch, MARGINS)
        assert caught.value.code == "InvalidOfferings"


# Two barriers.

NEAR = {"barrier": "+20.00", "barrier2": "-20.00"}
PRICES = {"barrier": HZ.text(SPOT + 2_000), "barrier2": HZ.text(SPOT - 2_000)}
TWO = ("EXPIRYRANGE", "EXPIRYMISS", "EXPIRYRANGEE", "EXPIRYMISSE", "RANGE", "UPORDOWN")


@pytest.mark.parametrize("name", [*TWO, "CALLSPREAD", "PUTSPREAD"])
@pytest.mark.parametrize(("more", "code", "field"), [
    ({"barrier": None}, "ContractCreationFailure", "barrier"),
    ({"barrier2": None}, "ContractCreationFailure", "barrier"),
    ({"barrier": "x"}, "BarrierValidationError", "barrier"),
    ({"barrier2": "-0.125"}, "BarrierValidationError", "barrier2"),
    ({"barrier2": HZ.text(SPOT - 2_000)}, "BarrierValidationError", "barrier2"),
    ({"barrier": "+0.00"}, "BarrierValidationError", "barrier"),
    ({"barrier": "-5.00"}, "BarrierValidationError", "barrier"),
    ({"barrier2": "+0"}, "BarrierValidationError", "barrier2"),
    ({"barrier2": f"-{HZ.text(SPOT)}"}, "BarrierValidationError", "barrier2"),
    ({"barrier2": f"-{HZ.text(SPOT * 99 // 100 + 1)}"}, "BarrierValidationError", "barrier2"),
    (PRICES | {"barrier": HZ.text(SPOT)}, "BarrierValidationError", "barrier"),
    (PRICES | {"barrier2": "0"}, "BarrierValidationError", "barrier2"),
])  # fmt: skip
def test_the_spot_lies_between_two_barriers(
    name: str, more: dict[str, Any], code: str, field: str
) -> None:
    for barriers in (NEAR, PRICES):
        made(name, **barriers)
    refusal = refused(name, **(NEAR | more))
    assert (refusal.code, set(refusal.details or {})) == (code, {field})
    if code == "ContractCreationFailure":
        assert refusal.message == "Invalid barrier (Double barrier input is expected)."


def test_a_spread_may_name_how_far_its_barriers_lie() -> None:
    sd = SPOT * HZ.tick_sd * math.sqrt(299)
    for name, share in (("tight", 0.5), ("middle", 1.0), ("wide", 1.5)):
        terms = made("CALLSPREAD", barrier_range=name).terms
        assert terms.barrier == Barrier(round(share * sd))
        assert terms.barrier2 == Barrier(-round(share * sd))
    assert set(refused("PUTSPREAD", barrier_range="tight", **NEAR).details or {}) == {
        "barrier_range"
    }
    assert set(refused("RANGE", barrier_range="tight").details or {}) == {"barrier_range"}


@pytest.mark.parametrize(("selected", "fits"), [(0, False), (1, True), (5, True), (6, False)])
def test_one_of_five_ticks_is_selected(selected: int, fits: bool) -> None:
    more: dict[str, Any] = {"duration": 5, "duration_unit": "t", "selected_tick": selected}
    if fits:
        assert made("TICKHIGH", **more).terms.selected_tick == selected
    else:
        assert set(refused("TICKHIGH", **more).details or {}) == {"selected_tick"}
    assert set(refused("TICKLOW", **(more | {"selected_tick": None})).details or {}) == {
        "selected_tick"
    }


@pytest.mark.parametrize("name", ["ASIANU", "RUNHIGH", "RESETCALL"])
def test_what_begins_at_the_entry_spot_takes_no_barrier(name: str) -> None:
    refusal = refused(name, duration=5, duration_unit="t", barrier="+1.00")
    assert set(refusal.details or {}) == {"barrier"}


@pytest.mark.parametrize("name", [*TWO, "RESETCALL", "CALLSPREAD", "LBHIGHLOW"])
def test_only_rise_and_fall_start_later(name: str) -> None:
    assert set(
        refused(name, date_start=NOON + 60, **(NEAR if name in TWO else {})).details or {}
    ) == {"date_start"}


# What is not offered at all.


@pytest.mark.parametrize("name", ["CALLX", "", "ACCUMULATOR", "call"])
def test_an_unknown_type_is_not_among_the_offerings(name: str) -> None:
    assert refused(name).code == "InvalidOfferings"


def test_symbols_and_currencies_are_known_ones() -> None:
    assert refused(symbol="R_11").code == "InvalidSymbol"
    assert refused(currency="XYZ").code == "InputValidationFailed"


@pytest.mark.parametrize(("name", "field", "value"), [
    ("CALL", "barrier2", "+1.00"),
    ("CALL", "multiplier", Decimal(100)),
    ("CALL", "cancellation", "5m"),
    ("CALL", "take_profit", Decimal(1)),
    ("CALL", "stop_loss", Decimal(1)),
    ("CALL", "growth_rate", Decimal("0.03")),
    ("VANILLALONGCALL", "payout_per_point", Decimal(1)),
    ("VANILLALONGPUT", "barrier2", "+1.00"),
    ("TURBOSLONG", "barrier2", "+1.00"),
    ("TURBOSSHORT", "take_profit", Decimal(1)),
    ("ACCU", "barrier", "+1.00"),
    ("ACCU", "stop_loss", Decimal(1)),
    ("ACCU", "multiplier", Decimal(100)),
    ("ACCU", "cancellation", "5m"),
    ("CALL", "selected_tick", 1),
    ("CALL", "payout_per_point", Decimal(1)),
    ("CALL", "barrier_range", "tight"),
    ("CALL", "trading_period_start", NOON),
    ("DIGITODD", "barrier", "5"),
    ("MULTUP", "barrier", "+1.00"),
    ("MULTUP", "growth_rate", Decimal("0.03")),
])  # fmt: skip
def test_a_field_that_a_type_does_not_take_is_refused(name: str, field: str, value: Any) -> None:
    term: dict[str, Any] = {"duration": 5, "duration_unit": "t"} if name == "DIGITODD" else {}
    if name == "MULTUP":
        term = {"multiplier": Decimal(100)}
    if name == "ACCU":
        term = GROWS
    if name in PER_POINT:
        term = {"duration": 300, "barrier": PER_POINT[name]}
    refusal = refused(name, **(term | {"duration": term.get("duration")} | {field: value}))
    assert refusal.code == "InputValidationFailed"
    assert set(refusal.details or {}) == {field}


def test_an_amount_and_its_meaning_are_needed() -> None:
    assert set(refused(amount=None).details or {}) == {"amount"}
    assert set(refused(basis=None).details or {}) == {"basis"}
    refusal = refused("MULTUP", multiplier=Decimal(100), basis="payout")
    assert set(refusal.details or {}) == {"basis"}


# Multipliers.


@pytest.mark.lengthy
def test_a_multiplier_is_one_of_those_offered() -> None:
    for symbol in SYMBOLS.values():
        kind = TYPES["MULTDOWN"]
        assert isinstance(kind, Multiplier)
        offered = kind.choices(symbol, FEED.price(symbol, ALL_OPEN))
        assert offered == sorted(set(offered))
        for multiplier in offered:
            if not is_offered(TYPES["MULTDOWN"], symbol):
                assert refused(
                    "MULTUP", symbol=symbol.name, multiplier=Decimal(multiplier)
                ).code == ("OfferingsValidationError")
                continue
            bought = made(
                "MULTDOWN", now=ALL_OPEN, symbol=symbol.name, multiplier=Decimal(multiplier)
            )
            assert bought.terms.multiplier == multiplier
            assert bought.price == 1_000
            assert bought.payout == 0
    refusal = refused("MULTUP", multiplier=Decimal(99))
    assert refusal.code == "ContractBuyValidationError"
    assert refusal.message == "Multiplier is not in acceptable range. Accepts 40,100,200,300,400."
    assert set(refusal.details or {}) == {"multiplier"}
    assert refused("MULTUP", multiplier=Decimal("100.5")).code == "ContractBuyValidationError"
    assert refused("MULTUP", multiplier=None).code == "InputValidationFailed"


def test_a_multiplier_has_no_duration() -> None:
    for more in ({"duration": 5}, {"date_expiry": NOON + 300}):
        refusal = refused("MULTUP", multiplier=Decimal(100), **more)
        assert set(refusal.details or {}) == {"duration"}
    expiry = made("MULTUP", multiplier=Decimal(100)).terms.expiry
    assert expiry == MIDNIGHT + 36_501 * DAY - 1


def test_orders_lie_between_their_limits() -> None:
    commission = made("MULTUP", multiplier=Decimal(400)).terms.commission
    units = {"take_profit": (1, 5_000_000), "stop_loss": (commission + 1, 1_000)}
    for field, (least, most) in units.items():
        for amount, fits in ((least - 1, False), (least, True), (most, True), (most + 1, False)):
            more: dict[str, Any] = {field: Decimal(amount).scaleb(-2), "multiplier": Decimal(400)}
            if fits:
                assert getattr(made("MULTUP", **more).terms.orders, field) == amount
                continue
            refusal = refused("MULTUP", **more)
            assert refusal.code == "ContractBuyValidationError"
            assert set(refusal.details or {}) == {field}
            bound = ("higher", least) if amount < least else ("lower", most)
            assert refusal.message == enter(*bound)
        more = {field: Decimal("1.001"), "multiplier": Decimal(400)}
        refusal = refused("MULTUP", **more)
        assert refusal.message == "Only 2 decimal places allowed."
        assert set(refusal.details or {}) == {field}


def enter(side: str, units: int) -> str:
    """The error for an order beyond a bound."""
    return f"Enter an amount equal to or {side} than {Decimal(units).scaleb(-2):.2f}."


def test_a_commission_is_rounded_up_and_a_cancellation_costs_extra() -> None:
    plain = made("MULTUP", multiplier=Decimal(400))
    exact = 1_000 * 400 * (0.5826 * HZ.tick_sd + 0.5 / plain.spot.pips) * 1.3
    assert plain.terms.commission == math.ceil(exact)
    fees = []
    for name, seconds in CANCELLATIONS.items():
        bought = made("MULTUP", multiplier=Decimal(400), cancellation=name)
        assert bought.terms.cancellation == seconds
        assert bought.price == 1_000 + bought.cancellation_price
        fees.append(bought.cancellation_price)
    assert fees == sorted(set(fees))
    assert 0 < fees[0] < fees[-1] < 1_050
    refusal = refused("MULTUP", multiplier=Decimal(400), cancellation="7m")
    assert (refusal.code, set(refusal.details or {})) == (
        "OfferingsValidationError",
        {"cancellation"},
    )


# Accumulators.

GROWS: dict[str, Any] = {"growth_rate": Decimal("0.02")}


def test_an_accumulator_grows_by_one_of_the_rates_offered() -> None:
    for percent, ticks in MAX_ACCUMULATOR_TICKS.items():
        bought = made("ACCU", growth_rate=Decimal(percent) / 100)
        assert (bought.terms.growth, bought.terms.ticks) == (percent, ticks)
        assert (bought.price, bought.payout, bought.terms.stake) == (1_000, 0, 1_000)
    widths = [
        made("ACCU", growth_rate=Decimal(p) / 100).terms.width
        for p in sorted(MAX_ACCUMULATOR_TICKS)
    ]
    assert widths == sorted(widths, reverse=True)
    for rate in ("0", "0.06", "0.015", "1", "-0.01"):
        refusal = refused("ACCU", growth_rate=Decimal(rate))
        assert refusal.code == "OfferingsValidationError"
        assert "Accepts 0.01, 0.02, 0.03, 0.04, 0.05." in refusal.message
        assert set(refusal.details or {}) == {"growth_rate"}
    assert set(refused("ACCU", growth_rate=None).details or {}) == {"growth_rate"}


def test_an_accumulator_has_a_stake_and_no_duration() -> None:
    assert set(refused("ACCU", basis="payout", **GROWS).details or {}) == {"basis"}
    assert set(refused("ACCU", duration=5, **GROWS).details or {}) == {"duration"}
    assert "Minimum stake of 0.35" in refused("ACCU", amount=Decimal("0.34"), **GROWS).message
    assert (
        "Maximum stake allowed is 2000.00."
        in refused("ACCU", amount=Decimal(2_001), **GROWS).message
    )


def test_an_accumulator_takes_a_profit_that_it_can_bring() -> None:
    most = math.floor(1_000 * Fraction(102, 100) ** 115) - 1_000
    for amount, fits in ((0, False), (1, True), (most, True), (most + 1, False)):
        more: dict[str, Any] = GROWS | {"take_profit": Decimal(amount).scaleb(-2)}
        if fits:
            assert made("ACCU", **more).terms.orders.take_profit == amount
            continue
        refusal = refused("ACCU", **more)
        assert refusal.code == "ContractBuyValidationError"
        bound = ("higher", 1) if amount < 1 else ("lower", most)
        assert refusal.message == enter(*bound)


def test_an_accumulator_costs_its_stake_and_what_the_owner_of_an_app_adds() -> None:
    bought = made("ACCU", markup=Decimal("0.015"), amount=Decimal("10.50"), **GROWS)
    assert (bought.terms.stake, bought.markup, bought.price) == (1_050, 15, 1_065)


def test_accumulators_are_not_offered_while_a_tick_moves_too_few_pips() -> None:
    feed, epoch, symbol = Feed("c"), EARLIEST + 400 * DAY, SYMBOLS["R_100"]
    with pytest.raises(Refusal, match="moves too few pips") as caught:
        quoting.make_quote(request("ACCU", symbol=symbol.name, **GROWS), feed, epoch, MARGINS)
    assert caught.value.code == "InvalidOfferings"


def test_a_proposed_accumulator_has_the_width_of_its_purchase() -> None:
    proposed = made("ACCU", **GROWS)
    present = made("ACCU", now=NOON + 40, **GROWS)
    assert present.terms.width != proposed.terms.width
    assert quoting.lock_price(proposed, present, max_price=1_000, margins=MARGINS) == present


# Vanillas and turbos.

PER_POINT = {
    "VANILLALONGCALL": "+1.10",
    "VANILLALONGPUT": "+0.00",
    "TURBOSLONG": "-20.00",
    "TURBOSSHORT": "+20.00",
}


def kind_of(name: str) -> PerPoint:
    kind = TYPES[name]
    assert isinstance(kind, PerPoint)
    return kind


def worth(bought: Quote) -> Decimal:
    """Of the contracts of an offer at its spot, without a margin, in smallest units."""
    terms, kind = bought.terms, kind_of(bought.terms.contract_type)
    free = Margins(vanilla=0.0, turbo=0.0)
    seen = market_view(FEED, terms.symbol, terms.start)
    many = replace(terms, contracts=terms.contracts * MILLION)
    state = ContractState(bought.spot, terms.entry_epoch - 1)
    return Decimal(kind.value(many, state, seen, free)) / MILLION


@given(
    st.sampled_from(sorted(PER_POINT)),
    st.sampled_from(VOLATILITY),
    st.sampled_from(sorted(CURRENCIES)),
    st.decimals("0.35", 2_000, places=2),
    st.one_of(st.integers(60, 7_200), st.integers(8 * DAY, 30 * DAY)),
    st.floats(-1.5, 1.5),
    st.sampled_from([Decimal(0), Decimal("0.01"), Decimal("0.03")]),
)
def test_a_stake_buys_contracts_for_their_worth_and_the_margin(
    name: str,
    symbol: str,
    currency: str,
    amount: Decimal,
    seconds: int,
    away: float,
    markup: Decimal,
) -> None:
    """Rounded down, by less than a ten-thousandth."""
    kind, base = kind_of(name), SYMBOLS[symbol]
    amount /= CURRENCIES[currency].counts_for
    spot = FEED.price(base, NOON)
    sd = spot * base.tick_sd * math.sqrt(seconds / base.step)
    law = FEED.distribution(base, NOON, NOON + base.step, base.last_tick(NOON + seconds))
    # From where the price is pulled to in many days, not from where it is.
    offset = round(spot * math.expm1(law.mean + away * law.sd)) or 1
    if isinstance(kind, Turbo):
        offset = round(sd * away) or 1
        offset = (abs(offset) + round(0.21 * sd)) * kind.side
    try:
        bought = made(
            name,
            symbol=symbol,
            currency=currency,
            amount=amount,
            date_expiry=NOON + seconds,
            barrier=Barrier(offset).text(base),
            markup=markup,
        )
    except Refusal as refusal:
        if isinstance(kind, Turbo) and refusal.code == "BarrierValidationError":
            assume(seconds < DAY)  # over many days this is farther than a turbo's barrier may be
        assume(amount * CURRENCIES[currency].counts_for < 500)  # too much for a far strike
        raise
    assert (bought.price, bought.payout) == (to_units(amount, currency), 0)
    assert bought.terms.stake == bought.price
    kept = Decimal(str(kind.family_margin(MARGINS))) + markup
    cost = worth(bought) * (1 + kept)
    assert Decimal("0.9998") * bought.price - 1 < cost <= bought.price + Decimal("0.01")
    assert bought.markup == int(bought.price * markup / (1 + kept))
    digits = bought.terms.contracts.as_tuple()
    assert -int(digits.exponent) >= kind.decimals
    assert len(digits.digits) >= 5


@pytest.mark.parametrize("name", sorted(PER_POINT))
def test_a_barrier_is_one_of_those_suggested_or_any_other_that_is_near(name: str) -> None:
    kind = kind_of(name)
    bought = made(name, barrier=PER_POINT[name])
    seen = market_view(FEED, HZ, NOON)
    suggested = kind.choices(bought.terms, seen)
    assert len(suggested) == 5
    assert [each.pips for each in suggested] == sorted((e.pips for e in suggested), reverse=True)
    for barrier in suggested:
        made(name, barrier=barrier.text(HZ))
        made(name, barrier=HZ.text(SPOT + barrier.pips))
    for barrier in ("+200.00", "-200.00", HZ.text(SPOT + 20_000)):
        refusal = refused(name, barrier=barrier)
        assert refusal.code == "BarrierValidationError"
        assert (refusal.details or {})["barrier_choices"] == [each.text(HZ) for each in suggested]
    missing = refused(name)
    assert missing.code == "ContractCreationFailure"
    assert suggested[0].text(HZ) in str(missing.details)
    days = replace(bought.terms, expiry=NOON + 3 * DAY)
    assert not any(each.is_relative for each in kind.choices(days, seen))


def test_a_turbo_starts_on_its_side_of_the_barrier() -> None:
    for name, barrier in (("TURBOSLONG", "+20.00"), ("TURBOSSHORT", "-20.00")):
        for text in (barrier, "+0.00", HZ.text(SPOT)):
            assert refused(name, barrier=text).code == "BarrierValidationError"


@given(
    st.sampled_from(["TURBOSLONG", "TURBOSSHORT"]),
    st.sampled_from(VOLATILITY),
    st.sampled_from([(5, "t"), (10, "t"), (15, "s"), (300, "s"), (7_200, "s")]),
    st.floats(0.22, 2.7),
)
@example("TURBOSLONG", "R_25", (15, "s"), 2.6875)
def test_a_payout_per_point_finds_the_farthest_barrier_that_the_stake_pays(
    name: str, symbol: str, term: tuple[int, str], away: float
) -> None:
    kind, base = kind_of(name), SYMBOLS[symbol]
    assert isinstance(kind, Turbo)
    duration = {"duration": term[0], "duration_unit": term[1]}
    ticks = term[0] if term[1] == "t" else term[0] / base.step
    sd = FEED.price(base, NOON) * base.tick_sd * math.sqrt(ticks)
    barrier = Barrier(round(away * sd) * kind.side)
    try:
        named = made(name, symbol=symbol, barrier=barrier.text(base), **duration)
    except Refusal:  # so near the bounds that rounding decides
        return
    payout = named.terms.contracts
    found = made(name, symbol=symbol, payout_per_point=payout, **duration)
    assert found.terms.barrier == barrier
    assert (found.terms.contracts, found.price) == (payout, named.price)
    try:
        less = made(name, symbol=symbol, payout_per_point=payout * Decimal("0.999999"), **duration)
    except Refusal:  # it is the farthest barrier of all that are offered
        farther = Barrier(barrier.pips + kind.side)
        assert refused(name, symbol=symbol, barrier=farther.text(base), **duration)
        return
    assert less.terms.barrier == barrier
    assert less.terms.contracts < payout


def test_a_payout_per_point_has_its_bounds_and_stands_alone() -> None:
    for payout in ("0", "0.000001", "1000"):
        refusal = refused("TURBOSLONG", payout_per_point=Decimal(payout))
        assert refusal.code == "OfferingsValidationError"
        assert set(refusal.details or {}) == {"payout_per_point"}
    least, most = (Decimal(n) for n in re.findall(r"[0-9.]+[0-9]", refusal.message))
    for payout in (least, most):
        made("TURBOSLONG", payout_per_point=payout)
    both = refused("TURBOSLONG", payout_per_point=least, barrier="-20.00")
    assert set(both.details or {}) == {"payout_per_point"}


@pytest.mark.parametrize("name", sorted(PER_POINT))
def test_the_amount_of_a_vanilla_or_turbo_is_its_stake(name: str) -> None:
    barrier = PER_POINT[name]
    assert set(refused(name, basis="payout", barrier=barrier).details or {}) == {"basis"}
    made(name, basis=None, barrier=barrier)
    assert "Minimum stake" in refused(name, amount=Decimal("0.34"), barrier=barrier).message


def test_a_stake_is_bounded_by_what_a_far_move_would_pay() -> None:
    sd = SPOT * HZ.tick_sd * math.sqrt(299)
    barrier = Barrier(round(1.9 * sd)).text(HZ)
    most = made("VANILLALONGCALL", barrier=barrier).largest_stake
    assert 3_500 < most < 100_000
    made("VANILLALONGCALL", barrier=barrier, amount=Decimal(most).scaleb(-2))
    refusal = refused("VANILLALONGCALL", barrier=barrier, amount=Decimal(most + 1).scaleb(-2))
    assert refusal.code == "ContractBuyValidationError"
    assert f"Maximum stake allowed is {Decimal(most).scaleb(-2)}" in refusal.message
    bought = made("VANILLALONGCALL", barrier=barrier, amount=Decimal(most).scaleb(-2))
    far = SPOT * math.exp(4 * sd / SPOT) - SPOT - round(1.9 * sd)
    assert far * float(bought.terms.contracts) == pytest.approx(5_000_000, rel=1e-3)


# Which price a buyer gets.


def moved(by: int, name: str = "CALL") -> tuple[Quote, Quote]:
    """What was proposed, and the same wish when it costs so many millionths more."""
    barrier = "+1.00" if "barrier" in TYPES[name].takes else None
    proposed = made(name, barrier=barrier)
    ask = proposed.ask + by
    payout = proposed.price * MILLION // ask
    terms = replace(proposed.terms, payout=payout)
    return proposed, replace(proposed, ask=ask, payout=payout, terms=terms)


@pytest.mark.parametrize(
    ("name", "tenth"), [("CALL", 1_200), ("ONETOUCH", 1_500), ("RESETPUT", 1_500)]
)
def test_a_proposal_is_honoured_until_a_tenth_of_the_margin_is_gone(name: str, tenth: int) -> None:
    for by in (1, tenth // 2, tenth):
        proposed, present = moved(by, name)
        deal = quoting.lock_price(proposed, present, max_price=proposed.price, margins=MARGINS)
        assert (deal.price, deal.payout, deal.ask) == (
            proposed.price,
            proposed.payout,
            proposed.ask,
        )
    proposed, present = moved(tenth + 1, name)
    with pytest.raises(Refusal) as caught:
        quoting.lock_price(proposed, present, max_price=proposed.price, margins=MARGINS)
    assert caught.value.code == "PriceMoved"
    assert "has moved" in caught.value.message


@given(st.integers(-300_000, 1_200))
def test_a_buyer_gets_the_better_of_both_prices(by: int) -> None:
    proposed, present = moved(by)
    deal = quoting.lock_price(proposed, present, max_price=proposed.price, margins=MARGINS)
    assert deal.price == proposed.price
    assert deal.payout == max(proposed.payout, present.payout)
    assert deal.ask == min(proposed.ask, present.ask)
    assert deal.terms.start == present.terms.start


@pytest.mark.slow
def test_who_buys_only_what_has_become_dearer_pays_nine_tenths_of_the_margin() -> None:
    """Quotes are held for up to ten seconds, and bought only where their price has risen since."""
    margin = MARGINS.rise_fall * MILLION
    saved = []
    for moment in range(NOON, NOON + chosen(900, 3_000), 3):
        barrier = HZ.text(FEED.price(HZ, moment))
        more: dict[str, Any] = {"barrier": barrier, "date_expiry": NOON + DAY, "symbol": HZ.name}
        proposed = made(now=moment, **more)
        for held in range(1, 11):
            present = made(now=moment + held, **more)
            if present.ask <= proposed.ask:
                continue
            try:
                deal = quoting.lock_price(proposed, present, max_price=10_000, margins=MARGINS)
            except Refusal:
                continue
            saved.append((present.ask - deal.ask) / margin)
    assert len(saved) > chosen(90, 300)
    assert 0.05 < max(saved) <= 0.1


def test_a_price_is_never_more_than_the_buyer_allowed() -> None:
    present = made()
    assert quoting.lock_price(None, present, max_price=1_000, margins=MARGINS) == present
    assert quoting.lock_price(None, present, max_price=5_000, margins=MARGINS).price == 1_000
    for proposed in (None, present):
        with pytest.raises(Refusal) as caught:
            quoting.lock_price(proposed, present, max_price=999, margins=MARGINS)
        assert caught.value.code == "PriceMoved"


def test_a_payout_basis_pays_the_lower_price() -> None:
    proposed = made(basis="payout", amount=Decimal(100))
    for by, price in ((1_000, proposed.price), (-1_000, proposed.price - 10)):
        present = replace(proposed, ask=proposed.ask + by, price=proposed.price + by // 100)
        deal = quoting.lock_price(proposed, present, max_price=proposed.price, margins=MARGINS)
        assert (deal.price, deal.payout) == (price, 10_000)


def test_a_fee_for_cancelling_is_honoured_within_a_tenth_of_its_margin() -> None:
    proposed = made("MULTUP", multiplier=Decimal(400), cancellation="30m", amount=Decimal(1_000))
    allowed = math.floor(proposed.cancellation_price * MARGINS.cancellation / 10)
    assert allowed > 0
    for by, locked in ((allowed, True), (allowed + 1, False)):
        present = replace(
            proposed,
            price=proposed.price + by,
            cancellation_price=proposed.cancellation_price + by,
        )
        if locked:
            deal = quoting.lock_price(proposed, present, max_price=proposed.price, margins=MARGINS)
            assert (deal.price, deal.cancellation_price) == (
                proposed.price,
                proposed.cancellation_price,
            )
        else:
            with pytest.raises(Refusal, match="has moved"):
                quoting.lock_price(proposed, present, max_price=present.price, margins=MARGINS)


@pytest.mark.parametrize(("name", "margin"), [("VANILLALONGCALL", 0.025), ("TURBOSLONG", 0.03)])
def test_contracts_are_honoured_until_a_tenth_of_the_margin_is_gone(
    name: str, margin: float
) -> None:
    proposed = made(name, barrier=PER_POINT[name])
    tenth = int(proposed.contract_cost * margin / (1 + margin) / 10)
    fewer = replace(proposed.terms, contracts=proposed.terms.contracts / 2)
    for by, locked in ((1, True), (tenth, True), (tenth + 1, False)):
        present = replace(proposed, contract_cost=proposed.contract_cost + by, terms=fewer)
        if locked:
            assert (
                quoting.lock_price(proposed, present, max_price=1_000, margins=MARGINS) == proposed
            )
        else:
            with pytest.raises(Refusal, match="has moved"):
                quoting.lock_price(proposed, present, max_price=1_000, margins=MARGINS)
    cheaper = replace(proposed, contract_cost=proposed.contract_cost - 1)
    assert quoting.lock_price(proposed, cheaper, max_price=1_000, margins=MARGINS) == cheaper


@given(
    st.sampled_from(sorted(PER_POINT)),
    st.integers(0, DAY),
    st.integers(1, 120),
    st.booleans(),
    st.floats(0.25, 1.5),
    st.booleans(),
)
def test_an_offer_that_is_held_on_to_is_never_worth_more_than_it_costs(
    name: str, later: int, held: int, is_relative: bool, away: float, by_payout: bool
) -> None:
    kind, now = kind_of(name), NOON + later
    spot = FEED.price(HZ, now)
    offset = round(away * spot * HZ.tick_sd * math.sqrt(299)) * (1 if kind.rises else -1)
    offset = -offset if isinstance(kind, Turbo) else offset
    barrier = Barrier(offset if is_relative else spot + offset, is_relative=is_relative)
    more: dict[str, Any] = {"barrier": barrier.text(HZ), "date_expiry": now + 300}
    try:
        if by_payout and isinstance(kind, Turbo):
            payout = made(name, now=now, **more).terms.contracts
            more = {"payout_per_point": payout, "date_expiry": now + 300}
        proposed = made(name, now=now, **more)
        present = made(name, now=now + held, **more)
        deal = quoting.lock_price(proposed, present, max_price=1_000, margins=MARGINS)
    except Refusal:
        return
    assert deal.price == 1_000
    assert worth(deal) < deal.price


# Buying and selling back at once.


def bought_back(name: str, more: dict[str, Any], symbol: Symbol, now: int) -> float:
    """By how much selling back right after the entry, at the same pips, beats what was paid.

    Where each tick moves by a step, one either way, it is the mean of both.
    """
    bought = made(name, symbol=symbol.name, now=now, **more)
    terms, kind = bought.terms, TYPES[name]
    moves = (-symbol.size, symbol.size) if symbol.motion is Motion.STEPS else (0,)
    got = 0
    for move in moves:
        entry = Tick(terms.entry_epoch, bought.spot.pips + move)
        kind.check_sale(terms, ContractState(bought.spot, entry.epoch, entry), entry.epoch)
        state = kind.step(terms, ContractState(bought.spot, entry.epoch - 1), entry)
        if state.outcome is not None:
            assert move
            got += state.outcome.pays
            continue
        seen = market_view(FEED, symbol, entry.epoch)._replace(tick=entry)
        got += kind.value(terms, state, seen, MARGINS)
    return got / len(moves) - bought.price


def both(high: int, low: int, spot: int | None, symbol: Symbol) -> dict[str, str]:
    """Barriers so many pips above and below the entry spot, or (from a spot) as prices."""
    barriers = (Barrier((spot or 0) + pips, is_relative=spot is None) for pips in (high, -low))
    return dict(zip(("barrier", "barrier2"), (each.text(symbol) for each in barriers), strict=True))


ROUND_TRIPS = chosen(150, 1_000)


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("rise and fall", ("CALL", "PUT", "CALLE", "PUTE")),
        ("touch", ("ONETOUCH", "NOTOUCH")),
        ("multipliers", ("MULTUP", "MULTDOWN")),
        ("ends", ("EXPIRYRANGE", "EXPIRYMISS", "EXPIRYRANGEE", "EXPIRYMISSE")),
        ("stays", ("RANGE", "UPORDOWN")),
        ("resets", ("RESETCALL", "RESETPUT")),
        ("spreads", ("CALLSPREAD", "PUTSPREAD")),
        ("lookbacks", ("LBFLOATCALL", "LBFLOATPUT", "LBHIGHLOW")),
        ("vanillas and turbos", tuple(PER_POINT)),
    ],
)
def test_buying_and_selling_back_at_an_unchanged_spot_never_profits(
    family: str, names: tuple[str, ...]
) -> None:
    """The entry tick at the pips of the purchase, and the sale at once after it."""
    rng, trips, refusals, best = Random(family), 0, 0, -(10**9)
    midnights = [EARLIEST + rng.randrange(2_200) * DAY for _ in range(25)]
    while trips < ROUND_TRIPS:
        name, symbol = rng.choice(names), SYMBOLS[rng.choice(sorted(SYMBOLS))]
        now = midnights[trips * len(midnights) // ROUND_TRIPS] + rng.randrange(DAY)
        more: dict[str, Any] = {"amount": Decimal(rng.randint(35, 20_000)).scaleb(-2)}
        if family == "multipliers":
            more["multiplier"] = Decimal(rng.choice(multipliers(symbol)[:2]))
            more["cancellation"] = rng.choice((None, "5m", "60m"))
        elif family == "lookbacks":
            more |= {"duration": rng.randint(60, 1_800), "duration_unit": "s"}
        else:
            longest = TYPES[name].listing.durations.seconds
            assert longest is not None
            long = rng.randint(400, min(40_000, longest[1]))
            seconds = rng.choice((rng.randint(125, 400), long))
            more |= {"duration": seconds, "duration_unit": "s"}
            more["basis"] = rng.choice(("stake", "payout"))
            spot = latest(FEED, symbol, now).pips
            sd = spot * symbol.tick_sd * math.sqrt(seconds / symbol.step)
            always = family in ("touch", "vanillas and turbos")
            if "barrier2" in TYPES[name].takes:
                high, low = (max(1, round(rng.uniform(0.1, 2.0) * sd)) for _ in range(2))
                more |= both(high, low, None if rng.random() < 0.5 else spot, symbol)
            elif "barrier" in TYPES[name].takes and (always or rng.random() < 0.6):
                away = round(rng.uniform(-1.5, 1.5) * sd) or 1
                if name in PER_POINT:
                    more["basis"] = "stake"
                    away = -abs(away) if name == "TURBOSLONG" else abs(away)
                relative = rng.random() < 0.5
                barrier = Barrier(away if relative else spot + away, is_relative=relative)
                more["barrier"] = barrier.text(symbol)
        try:
            gained = bought_back(name, more, symbol, now)
        except Refusal:
            refusals += 1
            assert refusals < 3 * ROUND_TRIPS
            continue
        best = max(best, gained)
        trips += 1
    assert best <= 0


def test_tick_contracts_and_digits_are_not_bought_back() -> None:
    barriers: dict[str, dict[str, Any]] = {"CALL": {}, "ONETOUCH": {"barrier": "+1.00"}}
    barriers |= {"RESETCALL": {}, "RUNLOW": {"duration": 5}, "ASIANU": {}}
    barriers |= {"TICKLOW": {"selected_tick": 3, "duration": 5}}
    for name, more in (barriers | {"DIGITODD": {}}).items():
        terms = made(name, **({"duration": 10, "duration_unit": "t"} | more)).terms
        entry = Tick(terms.entry_epoch, SPOT)
        with pytest.raises(Refusal, match="duration in ticks"):
            TYPES[name].check_sale(terms, ContractState(entry, entry.epoch, entry), entry.epoch)


def test_nothing_is_bought_back_in_the_last_seconds() -> None:
    terms = made(duration=NO_SALE_BEFORE_END, duration_unit="s").terms
    entry = Tick(terms.entry_epoch, SPOT)
    with pytest.raises(Refusal, match="last 15 seconds"):
        TYPES["CALL"].check_sale(terms, ContractState(entry, entry.epoch, entry), entry.epoch)


@pytest.mark.parametrize(("basis", "amount"), [("stake", "0.36"), ("payout", "0.36")])
def test_a_contract_that_rounding_leaves_no_return_is_not_sold(basis: str, amount: str) -> None:
    feed = Feed("rounding")
    spot = feed.price(SYMBOLS["1HZ100V"], 1_767_268_800)
    refused = 0
    for pips in range(spot // 100, spot // 20, 25):
        request = QuoteRequest(
            contract_type="CALLE",
            symbol="1HZ100V",
            currency="USD",
            amount=Decimal(amount),
            basis=basis,
            barrier="-" + SYMBOLS["1HZ100V"].text(pips),
            duration=1,
            duration_unit="h",
        )
        try:
            made = quoting.make_quote(request, feed, 1_767_268_800, Margins())
        except Refusal as refusal:
            refused += "after rounding" in refusal.message
        else:
            assert made.payout > made.price
    assert refused
