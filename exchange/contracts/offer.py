"""From a wish to a price: what is offered, on which terms, for how much.

How money is rounded: the price of an option is reckoned in millionths of its payout, rounded up.
Who names the stake gets the payout rounded down to the currency's smallest unit; who names the
payout pays the price rounded up. Commissions and fees are rounded up.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

from exchange.contracts.catalogue import TYPES
from exchange.contracts.life import ContractType, Life, Sight, Tick, sight
from exchange.contracts.listing import seconds_text
from exchange.contracts.multipliers import Multiplier
from exchange.contracts.options import MILLION, Option
from exchange.contracts.terms import Refusal, Terms, Wish, invalid, not_offered
from exchange.feed import Feed
from exchange.money import CURRENCIES, to_text, to_units
from exchange.rules import (
    LARGEST_ASK,
    LARGEST_PAYOUT,
    LARGEST_STAKE,
    LATEST_START,
    LEAST_ASK,
    LEAST_STAKE,
    MULTIPLIER_DAYS,
    Margins,
)
from exchange.symbols import DAY, SYMBOLS, Symbol

_SECONDS = {"s": 1, "m": 60, "h": 3_600}
_LATEST_EPOCH = 9_999_999_999
_SPECIAL = (
    "barrier",
    "barrier2",
    "barrier_range",
    "cancellation",
    "growth_rate",
    "multiplier",
    "payout_per_point",
    "selected_tick",
    "stop_loss",
    "take_profit",
    "trade_risk_profile",
    "trading_period_start",
)
"""The fields of a wish that some types take and others do not."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A contract, and what it costs at the spot of a moment."""

    terms: Terms
    price: int
    """What is paid for it, in smallest units."""
    spot: Tick
    ask: int = 0
    """The price in millionths of the payout, before it is rounded to money; 0 for multipliers."""
    cancellation_price: int = 0
    """How much of the price is for being able to cancel."""

    @property
    def payout(self) -> int:
        """What it pays if it is won, in smallest units; 0 where that is open."""
        return 0 if self.terms.multiplier else self.terms.amount


def make(wish: Wish, feed: Feed, now: int, margins: Margins) -> Offer:
    """The offer that meets a wish at a moment. Raises `Refusal` where there is none."""
    kind = TYPES.get(wish.contract_type)
    if kind is None:
        raise Refusal(
            "InvalidOfferings",
            f"Contracts of the type {wish.contract_type} are not offered here: contracts_for lists"
            " those that are.",
        )
    symbol = SYMBOLS.get(wish.symbol)
    if symbol is None:
        raise Refusal("InvalidSymbol", f"Symbol {wish.symbol} is invalid.")
    check_hours(symbol, now)
    if wish.currency not in CURRENCIES:
        raise invalid("currency", f"One of {', '.join(CURRENCIES)} is needed.")
    for field in _SPECIAL:
        if getattr(wish, field) is not None and field not in kind.takes:
            raise invalid(field, f"Contracts of the type {kind.name} do not take it.")
    if wish.amount is None:
        raise invalid("amount", "The stake or the payout is needed.")
    try:
        amount = to_units(wish.amount, wish.currency)
    except ValueError as problem:
        raise invalid("amount", f"{problem}.") from None
    seen = sight(feed, symbol, now)
    terms = replace(_term(wish, kind, symbol, now), currency=wish.currency, amount=amount)
    life = Life(seen.tick, terms.entry_epoch - 1)
    if isinstance(kind, Multiplier):
        return _multiplier(wish, kind, terms, seen, margins)
    assert isinstance(kind, Option)  # noqa: S101 - there is no third family
    terms = kind.complete(terms, wish, seen, margins)
    return _option(wish, kind, terms, life, seen, margins)


def _option(
    wish: Wish, kind: Option, terms: Terms, life: Life, seen: Sight, margins: Margins
) -> Offer:
    if wish.basis is None:
        raise invalid("basis", "Say whether the amount is the payout or the stake.")
    ask = kind.ask(terms, life, seen, margins)
    if not LEAST_ASK <= ask <= LARGEST_ASK:
        raise Refusal(
            "ContractCreationFailure",
            "This contract offers no return: it would be all but certain to "
            + ("be won." if ask > LARGEST_ASK else "be lost."),
        )
    if wish.basis == "stake":
        price = terms.amount
        check_stake(price, terms.currency)
        terms = replace(terms, amount=price * MILLION // ask)
    else:
        price = -(-terms.amount * ask // MILLION)
        check_stake(price, terms.currency, payout=terms.amount)
    check_payout(terms.amount, terms.currency)
    return Offer(terms, price, seen.tick, ask)


def _multiplier(wish: Wish, kind: Multiplier, terms: Terms, seen: Sight, margins: Margins) -> Offer:
    if wish.basis == "payout":
        raise invalid("basis", "The amount of a multiplier is its stake.")
    check_stake(terms.amount, terms.currency)
    terms = kind.complete(terms, wish, seen, margins)
    fee = 0
    if terms.cancellation:
        fee = kind.cancellation_price(terms, seen, terms.cancellation, margins)
    return Offer(terms, terms.amount + fee, seen.tick, cancellation_price=fee)


def agree(proposed: Offer | None, present: Offer, *, most: int, margins: Margins) -> Offer:
    """What a buyer gets who was offered `proposed`, when `present` is the offer now.

    The better of both, as long as the price has not risen by more than half of what the exchange
    keeps; so an offer that is held on to never becomes worth more than it costs. Raises `Refusal`
    (`PriceMoved`) when it has, or when the price is more than `most`.
    """
    deal = present
    if proposed is not None and (present.ask > proposed.ask or present.price > proposed.price):
        kind = TYPES[present.terms.contract_type]
        if isinstance(kind, Option):
            moved = present.ask - proposed.ask > kind.margin(margins) / 2 * MILLION
        else:
            allowed = proposed.cancellation_price * margins.cancellation / 2
            moved = present.price - proposed.price > allowed
        if moved:
            raise price_moved(present, proposed.price)
        deal = replace(
            present,
            terms=replace(present.terms, amount=proposed.terms.amount),
            price=proposed.price,
            ask=proposed.ask,
            cancellation_price=proposed.cancellation_price,
        )
    if deal.price > most:
        raise price_moved(deal, most)
    return deal


def price_moved(offer: Offer, expected: int) -> Refusal:
    """The contract costs more, or pays less, than the buyer was told."""
    currency = offer.terms.currency
    price, payout = (to_text(units, currency) for units in (offer.price, offer.payout))
    pays = f" and pays {currency} {payout}" if offer.payout else ""
    return Refusal(
        "PriceMoved",
        f"The market has moved since you priced the contract: it costs {currency} {price}{pays}"
        f" now; you offered {currency} {to_text(expected, currency)}.",
    )


def check_hours(symbol: Symbol, now: int) -> None:
    """Raise `Refusal` while the symbol's market is closed."""
    if not symbol.is_open(now):
        raise Refusal("MarketIsClosed", "This market is presently closed.")


def _bounds(currency: str) -> str:
    least, most = (_text(bound, currency) for bound in (LEAST_STAKE, LARGEST_PAYOUT))
    return f"A minimum stake of {least} and a maximum payout of {most} apply"


def _text(bound: Decimal, currency: str) -> str:
    return to_text(_units(bound, currency), currency)


@cache
def _units(bound: Decimal, currency: str) -> int:
    return to_units(bound, currency)


def check_stake(stake: int, currency: str, *, payout: int | None = None) -> None:
    """Raise `Refusal` for a stake that is too small or too large."""
    if stake < _units(LEAST_STAKE, currency):
        raise _out_of_bounds(f"{_bounds(currency)}; the stake is {to_text(stake, currency)}.")
    if stake > _units(LARGEST_STAKE, currency):
        if payout is not None:
            check_payout(payout, currency)
        raise _out_of_bounds(
            f"A maximum stake of {_text(LARGEST_STAKE, currency)} applies;"
            f" the stake is {to_text(stake, currency)}."
        )


def check_payout(payout: int, currency: str) -> None:
    """Raise `Refusal` for a payout that is too large."""
    if payout > _units(LARGEST_PAYOUT, currency):
        raise _out_of_bounds(f"{_bounds(currency)}; the payout is {to_text(payout, currency)}.")


def _out_of_bounds(problem: str) -> Refusal:
    return Refusal("ContractBuyValidationError", problem, {"amount": problem})


# When it starts and ends.


def _term(wish: Wish, kind: ContractType, symbol: Symbol, now: int) -> Terms:
    start, is_forward = now, False
    if wish.date_start is not None and wish.date_start > now:
        if not kind.listing.takes_forward_start:
            raise not_offered(f"Contracts of the type {kind.name} start at once.", "date_start")
        if wish.date_start > now + LATEST_START:
            raise not_offered("A contract starts within a day.", "date_start")
        start, is_forward = wish.date_start, True
    terms = Terms(
        contract_type=kind.name,
        symbol=symbol,
        currency="",
        amount=0,
        start=start,
        is_forward=is_forward,
    )
    durations = kind.listing.durations
    if (durations.ticks, durations.seconds, durations.days) == (None, None, None):
        if wish.duration is not None or wish.date_expiry is not None:
            raise not_offered(f"A contract of the type {kind.name} has no duration.", "duration")
        return replace(terms, expiry=_close(start, MULTIPLIER_DAYS))
    if wish.date_expiry is not None:
        if wish.duration is not None:
            raise invalid("duration", "Give a duration or a date_expiry, not both.")
        seconds = wish.date_expiry - start
        _check(kind, "date_expiry", seconds, durations.seconds, most_days=durations.days)
        return replace(terms, expiry=wish.date_expiry, is_fixed_expiry=True)
    if wish.duration is None:
        raise invalid("duration", "Give a duration or a date_expiry.")
    count, unit = wish.duration, wish.duration_unit
    if unit == "t":
        if is_forward or durations.ticks is None:
            raise _no_duration(kind)
        if not durations.ticks[0] <= count <= durations.ticks[1]:
            low, high = durations.ticks
            raise not_offered(f"Number of ticks must be between {low} and {high}.", "duration")
        return replace(terms, ticks=count)
    if unit == "d":
        if is_forward or durations.days is None:
            raise _no_duration(kind)
        if not durations.days[0] <= count <= durations.days[1]:
            low, high = durations.days
            raise not_offered(f"Duration must be between {low}d and {high}d.", "duration")
        return replace(terms, expiry=_close(start, count))
    seconds = count * _SECONDS[unit]
    _check(kind, "duration", seconds, durations.seconds)
    return replace(terms, expiry=start + seconds)


def _check(
    kind: ContractType,
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
        raise not_offered(
            f"Duration must be between {seconds_text(least)} and {seconds_text(most)}.", field
        )


def _no_duration(kind: ContractType, field: str = "duration") -> Refusal:
    return not_offered("Trading is not offered for this duration.", field)


def _close(start: int, days: int) -> int:
    """The last second (UTC) of the day that lies so many days ahead."""
    return (start // DAY + days + 1) * DAY - 1
