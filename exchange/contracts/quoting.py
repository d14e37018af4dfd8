"""Quotes: from a request to the terms and the price of a contract.

How money is rounded: the price of a fixed payout is computed in millionths of the payout, rounded
up. If the client gives the stake, the payout is rounded down to the currency's smallest unit; if
the client gives the payout, the price is rounded up. Commissions and fees are rounded up.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from scopegate.exchange.contracts import eligibility
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import AnyContractType, Quote, check_hours
from scopegate.exchange.contracts.common.listing import NO_END, seconds_text
from scopegate.exchange.contracts.common.quote_request import SPECIAL_FIELDS, QuoteRequest
from scopegate.exchange.contracts.common.refusals import (
    Refusal,
    bad_barrier,
    invalid,
    not_offered,
    too_precise,
)
from scopegate.exchange.contracts.common.state import market_view
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.feed import Feed
from scopegate.exchange.money import CURRENCIES, to_text, to_units
from scopegate.exchange.rules import (
    MAX_START_AHEAD,
    MULTIPLIER_DAYS,
    Margins,
)
from scopegate.exchange.symbols import DAY, SYMBOLS, Motion, Symbol

_SECONDS = {"s": 1, "m": 60, "h": 3_600}


def make_quote(request: QuoteRequest, feed: Feed, now: int, margins: Margins) -> Quote[Any]:
    """The quote for a request at the epoch `now`.

    Raises `Refusal` if the request is invalid, or no such contract is offered.
    """
    kind = TYPES.get(request.contract_type)
    if kind is None:
        raise Refusal(
            "InvalidOfferings",
            f"Contracts of type {request.contract_type} are not offered here. contracts_for lists"
            " the types that are.",
            {"contract_type": "contracts_for lists the types that are offered."},
        )
    symbol = SYMBOLS.get(request.symbol)
    if symbol is None:
        problem = f"Symbol {request.symbol} is invalid."
        raise Refusal("InvalidSymbol", problem, {"symbol": "active_symbols lists the symbols."})
    eligibility.check(kind, symbol)
    check_hours(symbol, now)
    if request.currency not in CURRENCIES:
        raise invalid("currency", f"Must be one of {', '.join(CURRENCIES)}.")
    eligibility.check_currency(kind, symbol, request.currency)
    for field in SPECIAL_FIELDS:
        if getattr(request, field) is not None and field not in kind.takes:
            raise invalid(field, f"Contracts of type {kind.name} do not accept this field.")
    named = kind.amount(request)
    if named is None:
        raise invalid("amount", "Give the stake or the payout; for a lookback, the multiplier.")
    try:
        amount = to_units(named, request.currency)
    except ValueError:
        raise too_precise(request.currency, "amount") from None
    terms = _term(request, kind, symbol, now)
    if kind.listing.durations != NO_END:
        _check_end(kind, terms, now)
        _check_barriers(request, kind, terms, now)
    return kind.quote(terms, amount, request, market_view(feed, symbol, now), margins)


def lock_price(
    proposed: Quote[Any] | None, present: Quote[Any], *, max_price: int, margins: Margins
) -> Quote[Any]:
    """The quote at which a contract is bought: the better of the proposed and the present one.

    The proposed price is valid unless the price has risen since by more than `PRICE_TOLERANCE` of
    the exchange's margin; so the value of a contract that is bought later never exceeds its price.
    Raises `Refusal` (`PriceMoved`) if it has, or if the price is above `max_price`, in smallest
    units.
    """
    deal = present
    kind = TYPES[present.terms.contract_type]
    if proposed is not None and kind.costs_more(proposed, present):
        if kind.has_moved(proposed, present, margins):
            raise price_moved(present, proposed.price)
        terms = kind.locked_terms(proposed.terms, present.terms)
        deal = replace(proposed, terms=terms, spot=present.spot)
    if deal.price > max_price:
        raise price_moved(deal, max_price)
    return deal


def price_moved(quote: Quote[Any], expected: int) -> Refusal:
    """The refusal of a contract that costs more, or pays less, than the buyer was quoted."""
    currency = quote.terms.currency
    price, payout = (to_text(units, currency) for units in (quote.price, quote.payout))
    pays = f" and pays {currency} {payout}" if quote.payout else ""
    return Refusal(
        "PriceMoved",
        f"The market has moved since you priced the contract: it costs {currency} {price}{pays}"
        f" now; you offered {currency} {to_text(expected, currency)}.",
    )


# Start and end.


def _term(request: QuoteRequest, kind: AnyContractType, symbol: Symbol, now: int) -> Terms:
    start, is_forward = now, False
    if request.date_start is not None and request.date_start > now:
        if not kind.listing.takes_forward_start:
            raise not_offered(
                f"Contracts of type {kind.name} always start now: leave date_start out.",
                "date_start",
            )
        if request.date_start > now + MAX_START_AHEAD:
            raise not_offered("A contract must start within 24 hours from now.", "date_start")
        start, is_forward = request.date_start, True
    terms = partial(
        Terms,
        contract_type=kind.name,
        symbol=symbol,
        currency=request.currency,
        start=start,
        is_forward=is_forward,
    )
    durations = eligibility.durations(kind, symbol, request.currency)
    if durations == NO_END:
        if request.duration is not None or request.date_expiry is not None:
            raise not_offered(
                f"Contracts of type {kind.name} have no duration: leave duration and date_expiry"
                " out.",
                "duration",
            )
        last = (start // DAY + MULTIPLIER_DAYS + 1) * DAY - 1
        return terms(expiry=last)
    if request.date_expiry is not None:
        if request.duration is not None:
            raise invalid("duration", "Give a duration or a date_expiry, not both.")
        seconds = request.date_expiry - start
        _check(kind, "date_expiry", seconds, durations.seconds, most_days=durations.days)
        return terms(expiry=request.date_expiry, is_fixed_expiry=True)
    if request.duration is None:
        raise invalid("duration", "Give a duration or a date_expiry.")
    count, unit = request.duration, request.duration_unit
    if is_forward and unit in ("t", "d"):
        raise not_offered(
            "The duration of a contract that starts later must be in seconds, minutes or hours.",
            "duration",
        )
    if unit == "t":
        if durations.ticks is None:
            raise _no_duration(kind)
        if not durations.ticks[0] <= count <= durations.ticks[1]:
            low, high = durations.ticks
            raise not_offered(f"Number of ticks must be between {low} and {high}.", "duration")
        return terms(ticks=count)
    if unit == "d":
        if durations.days is None:
            if eligibility.durations(kind, symbol).days is not None:
                raise not_offered(
                    "Trading is not offered for this duration: contracts on"
                    f" {symbol.display_name} paid in {request.currency} must end within a day.",
                    "duration",
                )
            raise _no_duration(kind)
        if not durations.days[0] <= count <= durations.days[1]:
            low, high = durations.days
            raise _no_duration(kind, offered=f"Duration must be between {low}d and {high}d.")
        return terms(expiry=_close(symbol, start // DAY + count))
    seconds = count * _SECONDS[unit]
    _check(kind, "duration", seconds, durations.seconds)
    return terms(expiry=start + seconds)


def _check(
    kind: AnyContractType,
    field: str,
    seconds: int,
    bounds: tuple[int, int] | None,
    *,
    most_days: tuple[int, int] | None = None,
) -> None:
    if bounds is None:
        raise _no_duration(kind, field)
    least, most = bounds
    if most_days is not None:
        most = most_days[1] * DAY
    if not least <= seconds <= most:
        bounds_text = f"Duration must be between {seconds_text(least)} and {seconds_text(most)}."
        raise _no_duration(kind, field, offered=bounds_text)


def _no_duration(
    kind: AnyContractType, field: str = "duration", *, offered: str | None = None
) -> Refusal:
    return not_offered("Trading is not offered for this duration.", field, offered=offered)


def _close(symbol: Symbol, day: int) -> int:
    """The epoch of the last second of trading on a day; days are counted from 1970."""
    opens, closes = symbol.hours.session_of(day * DAY)
    if opens == closes:
        raise not_offered(
            "The market is closed on the day when the contract would end.", "duration"
        )
    return day * DAY + closes - 1


def _check_end(kind: AnyContractType, terms: Terms, now: int) -> None:
    """Raise `Refusal` if the market is closed when the contract would start or end.

    The ticks of a contract in ticks must come before the market closes. On an index that is reset
    daily, a contract must end on the day on which it is bought.
    """
    symbol = terms.symbol
    field = "date_expiry" if terms.is_fixed_expiry else "duration"
    last = kind.exit_epoch(terms)
    if terms.is_forward and not symbol.is_open(terms.start):
        raise not_offered("The market is closed at the start of the contract.", "date_start")
    if terms.expiry is None:
        known = symbol.last_tick(now)
        if not symbol.is_continuous(known, last):
            raise not_offered("The market closes before this number of ticks.", field)
    elif not symbol.is_open(terms.expiry) or last <= terms.entry_epoch:
        raise not_offered(
            "Contract must expire during trading hours: the market is closed then.", field
        )
    if symbol.motion is Motion.RECORDED and not symbol.is_continuous(symbol.last_tick(now), last):
        raise not_offered("The market closes before the contract would end.", field)
    if symbol.motion is Motion.RESETS and now // DAY != last // DAY:
        raise not_offered(
            f"{symbol.display_name} resets at 00:00 GMT: its contracts must end on the same day.",
            field,
        )


def _check_barriers(request: QuoteRequest, kind: AnyContractType, terms: Terms, now: int) -> None:
    """Raise `Refusal` for an absolute barrier on a symbol named after a real market.

    Only for contracts in ticks or of less than 24 hours.
    """
    if not terms.symbol.is_financial or kind.barrier_is_digit:
        return
    if terms.expiry is not None and terms.expiry - now >= DAY:
        return
    for field in ("barrier", "barrier2"):
        text = getattr(request, field)
        if text is not None and not text.startswith(("+", "-")):
            raise bad_barrier(
                "Contracts of less than 24 hours on this market need barriers relative to the"
                " entry spot, such as +0.00100.",
                field,
            )
