"""The fair value of a contract is its price without the exchange's margin."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.state import market_view, unentered
from scopegate.exchange.contracts.quoting import make_quote
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import SYMBOLS

NOON = 1_767_268_800
FREE = Margins(**dict.fromkeys(Margins.model_fields, 0.0))
MINUTES = {"duration": 5, "duration_unit": "m"}
TICKS = {"duration": 5, "duration_unit": "t"}
PAYOUT = {"amount": 1_000, "basis": "payout"}
STAKE = {"amount": 1_000, "basis": "stake"}

REQUESTS: dict[str, dict[str, Any]] = {
    "european": {**PAYOUT, **MINUTES},
    "touch": {**PAYOUT, **MINUTES, "barrier": "+1.50"},
    "digits": {**PAYOUT, **TICKS, "barrier": "5"},
    "even": {**PAYOUT, **TICKS},
    "two": {**PAYOUT, **MINUTES, "barrier": "+1.50", "barrier2": "-1.50"},
    "wide": {**PAYOUT, **MINUTES, "barrier": "+4.00", "barrier2": "-4.00"},
    "selected": {**PAYOUT, **TICKS, "selected_tick": 3},
    "lookback": {"amount": 10, **MINUTES},
    "multiplier": {**STAKE, "multiplier": 40, "cancellation": "60m"},
    "accumulator": {**STAKE, "growth_rate": 0.03},
    "vanilla": {**STAKE, **MINUTES, "barrier": "+0.50"},
    "long": {**STAKE, **MINUTES, "barrier": "-3.00"},
    "short": {**STAKE, **MINUTES, "barrier": "+3.00"},
}
OF_TYPES = {
    "ACCU": "accumulator",
    "DIGITODD": "even",
    "DIGITEVEN": "even",
    "TURBOSLONG": "long",
    "TURBOSSHORT": "short",
}
OF_CATEGORIES = {
    "Touch/No Touch": "touch",
    "Digits": "digits",
    "Ends Between/Ends Outside": "two",
    "Stays Between/Goes Outside": "wide",
    "Spread Up/Spread Down": "two",
    "Asians": "even",
    "High/Low Ticks": "selected",
    "Only Ups/Only Downs": "even",
    "Lookbacks": "lookback",
    "Multiply Up/Multiply Down": "multiplier",
    "Vanilla Options": "vanilla",
}


@pytest.fixture(scope="module")
def feed() -> Feed:
    return Feed("fair value")


@pytest.mark.parametrize("name", TYPES)
def test_it_is_the_price_without_a_margin(name: str, feed: Feed) -> None:
    kind = TYPES[name]
    shape = OF_TYPES.get(name) or OF_CATEGORIES.get(kind.listing.category_display, "european")
    request = TypeAdapter(QuoteRequest).validate_python(
        {"contract_type": name, "symbol": "R_100", "currency": "USD", **REQUESTS[shape]}
    )
    market = market_view(feed, SYMBOLS["R_100"], NOON)
    quote = make_quote(request, feed, NOON, FREE)
    fair = kind.fair_value(quote.terms, unentered(quote.terms, market.tick), market)
    # Rounding is in the exchange's favour: to a cent, a millionth of the payout, a whole pip.
    one_pip = 0.04 if name == "ACCU" else 0.0
    assert fair <= quote.price * (1 + 1e-9)
    assert fair == pytest.approx(quote.price, rel=2e-4 + one_pip, abs=1.5)
    dearer = make_quote(request, feed, NOON, Margins())
    fair = kind.fair_value(dearer.terms, unentered(dearer.terms, market.tick), market)
    assert fair < dearer.price - 1
