"""Offered contracts: by symbol, by type, and their durations."""

import functools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar, cast

import orjson

from scopegate.exchange.contracts import eligibility
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import AnyContractType
from scopegate.exchange.contracts.common.listing import seconds_text
from scopegate.exchange.contracts.common.state import market_view
from scopegate.exchange.contracts.common.terms import Barrier
from scopegate.exchange.feed import Feed
from scopegate.exchange.fixedpoint import ONE
from scopegate.exchange.money import CURRENCIES, bound_in, to_number
from scopegate.exchange.rules import (
    MAX_PAYOUT,
    MAX_START_AHEAD,
    Margins,
)
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS, Motion, Symbol
from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.market_calls import find_symbol
from scopegate.handlers.exchange.views.all_views import view_of_type
from scopegate.handlers.exchange.views.per_point_view import LONGEST_EXAMPLE
from scopegate.handlers.exchange.views.view import ListingContext
from scopegate.runtime.clock import Clock
from scopegate.schemas.market_messages import AssetIndex, AssetIndexReply
from scopegate.schemas.offering_messages import (
    AvailableContract,
    ContractsFor,
    ContractsForCompany,
    ContractsForCompanyBody,
    ContractsForCompanyReply,
    ContractsForReply,
    DurationBounds,
    FinancedDay,
    MarketDurations,
    MultiplierFinancing,
    MultiplierFinancingReply,
    Named,
    OfferedType,
    SubmarketDurations,
    TradeDurations,
    TradingDurations,
    TradingDurationsReply,
)

DEFAULT_STAKE = Decimal(10)
"""In units of an ordinary currency such as USD; see `exchange.money.bound_in`."""
MAX_DAYS = 400
"""The most days of `multiplier_financing` in one reply."""
FAR = 1 << 40
T = TypeVar("T")

_UNITS = {"t": "Ticks", "s": "Seconds", "d": "Days"}


class Offerings:
    """The contracts that are offered."""

    def __init__(self, feed: Feed, clock: Clock, margins: Margins) -> None:
        self._feed = feed
        self._clock = clock
        self._margins = margins

    @call("contracts_for", needs=None, error_codes=("InvalidSymbol",))
    async def contracts_for(self, request: ContractsFor, session: Session) -> ContractsForReply:
        """List the contracts that are offered for a symbol, with their durations and barriers."""
        symbol = find_symbol(request.contracts_for)
        if request.currency not in CURRENCIES:
            raise input_validation_failed({"currency": f"Must be one of {', '.join(CURRENCIES)}."})
        currency, now = request.currency, int(self._clock.now())
        spot = self._feed.price(symbol, now)
        midnight = now - now % DAY
        market = market_view(self._feed, symbol, _next_start(symbol, now))
        listed = ListingContext(symbol, currency, spot, market, self._margins)
        available = [
            row for kind in _types(symbol, currency) for row in _available(kind, listed, midnight)
        ]
        opens, closes = symbol.hours.running_or_next(now)
        return {
            "contracts_for": {
                "available": available,
                "close": closes - 1,
                "feed_license": "realtime",
                "hit_count": len(available),
                "open": opens,
                "spot": symbol.quote(spot),
            }
        }

    @call(
        "multiplier_financing",
        needs=None,
        error_codes=("InvalidSymbol", "OfferingsValidationError"),
    )
    async def multiplier_financing(
        self, request: MultiplierFinancing, session: Session
    ) -> MultiplierFinancingReply:
        """List the growth of the forward price of a symbol's multipliers, by market day.

        The forward price is the entry spot times exp(sum). The sum is over all ticks from the
        entry tick to the one before the present tick: each adds the `growth_per_tick` of its day,
        which is known at the day's `first_tick`. You can request at most 400 days at once.
        """
        symbol = find_symbol(request.multiplier_financing)
        if not eligibility.is_offered(TYPES["MULTUP"], symbol):
            raise ApiError(
                "OfferingsValidationError", f"Multipliers are not offered for {symbol.name}."
            )
        last = min(request.end or FAR, int(self._clock.now()))
        first = last if request.start is None else request.start
        earliest = symbol.last_tick(max(first, EARLIEST))
        if symbol.last_tick(last) // DAY - earliest // DAY >= MAX_DAYS:
            raise input_validation_failed({"start": f"The span must not exceed {MAX_DAYS} days."})
        days: list[FinancedDay] = []
        for opened, ticks in symbol.market_days(first, last):
            growth = self._feed.growth(symbol, opened).a_tick / ONE
            days.append(
                {
                    "first_tick": opened,
                    "growth_per_tick": growth,
                    "step": symbol.step,
                    "ticks": ticks,
                }
            )
        return {"multiplier_financing": {"symbol": symbol.name, "days": days}}

    @call("contracts_for_company", needs=None, error_codes=())
    async def contracts_for_company(
        self, request: ContractsForCompany, session: Session
    ) -> ContractsForCompanyReply:
        """List the types of contracts that are offered."""
        return {"contracts_for_company": _company()}

    @call("trading_durations", needs=None, error_codes=())
    async def trading_durations(
        self, request: TradingDurations, session: Session
    ) -> TradingDurationsReply:
        """List how long contracts may last, by market and type; for types that have a duration."""
        return {"trading_durations": _durations()}

    @call("asset_index", needs=None, error_codes=())
    async def asset_index(self, request: AssetIndex, session: Session) -> AssetIndexReply:
        """List each symbol with the categories of contracts offered for it and their durations."""
        return {"asset_index": _index()}


def _encoded(make: Callable[[], T]) -> Callable[[], T]:
    """Decorate a function that makes a reply about all symbols: encode it once while they last."""
    made = functools.lru_cache(maxsize=1)(lambda _: orjson.Fragment(orjson.dumps(make())))
    return cast("Callable[[], T]", lambda: made(SYMBOLS.version))


@_encoded
def _company() -> ContractsForCompanyBody:
    listed = [_type(kind, category) for kind in TYPES.values() for category in _barriers(kind)]
    return {"available": listed, "hit_count": len(listed)}


@_encoded
def _durations() -> list[MarketDurations]:
    markets: dict[str, MarketDurations] = {}
    groups: dict[tuple[str, str], SubmarketDurations] = {}
    for symbol in SYMBOLS.values():
        market, submarket = _market(symbol), _submarket(symbol)
        listed = markets.setdefault(
            symbol.market, {"market": market, "submarket": submarket, "data": []}
        )
        key = (symbol.market, symbol.submarket)
        if key not in groups:
            groups[key] = {
                "market": market,
                "submarket": submarket,
                "symbol": [],
                "trade_durations": list(_trade_durations(symbol)),
            }
            listed["data"].append(groups[key])
        groups[key]["symbol"].append({"name": symbol.name, "display_name": symbol.display_name})
    return list(markets.values())


@_encoded
def _index() -> list[list[Any]]:
    return [[symbol.name, symbol.display_name, _categories(symbol)] for symbol in SYMBOLS.values()]


def _types(symbol: Symbol, currency: str = "USD") -> Iterator[AnyContractType]:
    """The types of contracts that are offered for a symbol in a currency."""
    return (kind for kind in TYPES.values() if eligibility.is_offered(kind, symbol, currency))


def _market(symbol: Symbol) -> Named:
    return {"name": symbol.market, "display_name": symbol.market_display_name}


def _submarket(symbol: Symbol) -> Named:
    return {"name": symbol.submarket, "display_name": symbol.submarket_display_name}


def _bounds(
    kind: AnyContractType, symbol: Symbol, currency: str = "USD"
) -> dict[str, tuple[str, str]]:
    """The shortest and the longest duration, by expiry type."""
    durations = eligibility.durations(kind, symbol, currency)
    found: dict[str, tuple[str, str]] = {}
    if durations.ticks is not None:
        found["tick"] = (f"{durations.ticks[0]}t", f"{durations.ticks[1]}t")
    if durations.seconds is not None:
        low, high = durations.seconds
        found["intraday"] = (seconds_text(low), seconds_text(high))
    if durations.days is not None:
        found["daily"] = (f"{durations.days[0]}d", f"{durations.days[1]}d")
    return found or {"no_expiry": ("", "")}


def _barriers(kind: AnyContractType) -> list[str]:
    """The barrier categories of a type: two if the barrier is optional."""
    category = kind.listing.barrier_category
    return [category, "euro_non_atm"] if category == "euro_atm" else [category]


def _available(
    kind: AnyContractType, listed: ListingContext, midnight: int
) -> Iterator[AvailableContract]:
    """A row for each expiry type, barrier category and start type."""
    listing, view = kind.listing, view_of_type(kind)
    symbol, currency, spot = listed.symbol, listed.currency, listed.spot
    takes_level = "barrier" in kind.takes and not kind.barrier_is_digit
    takes_two = "barrier2" in kind.takes
    for expiry_type, (shortest, longest) in _bounds(kind, symbol, currency).items():
        for category in _barriers(kind):
            row: AvailableContract = {
                "barrier_category": category,
                "barriers": int(takes_level and category != "euro_atm") + takes_two,
                "contract_category": listing.category,
                "contract_category_display": listing.category_display,
                "contract_display": listing.display,
                "contract_type": kind.name,
                "default_stake": to_number(bound_in(DEFAULT_STAKE, currency), currency),
                "exchange_name": symbol.exchange_name,
                "expiry_type": expiry_type,
                "market": symbol.market,
                "max_contract_duration": longest,
                "min_contract_duration": shortest,
                "payout_limit": to_number(bound_in(MAX_PAYOUT, currency), currency),
                "sentiment": listing.sentiment,
                "start_type": "spot",
                "submarket": symbol.submarket,
                "underlying_symbol": symbol.name,
            }
            if takes_two:
                row["high_barrier"] = _example(symbol, spot, expiry_type)
                row["low_barrier"] = _example(symbol, spot, expiry_type, side=-1)
            elif row["barriers"]:
                row["barrier"] = _example(symbol, spot, expiry_type)
            view.add_to_listing(row, listed)
            yield row
            if listing.takes_forward_start and expiry_type == "intraday":
                days = range(midnight, midnight + MAX_START_AHEAD + 1, DAY)
                sessions = [(day, *symbol.hours.session_of(day)) for day in days]
                forward = row.copy()
                forward["start_type"] = "forward"
                forward["forward_starting_options"] = [
                    {"date": str(day), "open": str(day + opens), "close": str(day + closes - 1)}
                    for day, opens, closes in sessions
                    if opens != closes
                ]
                yield forward


def _next_start(symbol: Symbol, now: int) -> int:
    """The epoch from which a contract of five minutes is listed.

    Usually `now`; but midnight on a market whose price is reset then, if the contract would
    otherwise end after midnight.
    """
    last = now + LONGEST_EXAMPLE
    if symbol.motion is Motion.RESETS and last // DAY != now // DAY:
        return last - last % DAY
    return now


def _example(symbol: Symbol, spot: int, expiry_type: str, *, side: int = 1) -> str:
    """A barrier about one standard deviation of the move away from the spot.

    The move is that of ten ticks, of five minutes, or of a day; for a day the barrier is a price.
    """
    if expiry_type == "daily":
        away = round(spot * symbol.tick_sd_at(spot) * (DAY / symbol.step) ** 0.5)
        return symbol.text(spot + side * away)
    ticks = 10 if expiry_type == "tick" else 300 / symbol.step
    away = max(1, round(spot * symbol.tick_sd_at(spot) * ticks**0.5))
    return Barrier(side * away).text(symbol)


def _type(kind: AnyContractType, category: str) -> OfferedType:
    listing = kind.listing
    return {
        "barrier_category": category,
        "contract_category": listing.category,
        "contract_category_display": listing.category_display,
        "contract_display": listing.display,
        "contract_type": kind.name,
        "default_stake": float(DEFAULT_STAKE),
        "sentiment": listing.sentiment,
    }


def _trade_durations(symbol: Symbol) -> Iterator[TradeDurations]:
    for kind in _types(symbol):
        durations = eligibility.durations(kind, symbol)
        bounds: list[DurationBounds] = [
            {"name": unit, "display_name": _UNITS[unit], "min": pair[0], "max": pair[1]}
            for unit, pair in (
                ("t", durations.ticks),
                ("s", durations.seconds),
                ("d", durations.days),
            )
            if pair is not None
        ]
        if bounds:
            yield {
                "durations": bounds,
                "trade_type": {"name": kind.name, "display_name": kind.listing.display},
            }


def _categories(symbol: Symbol) -> list[list[str]]:
    """Each category of contracts: name, display name, shortest and longest duration."""
    found: dict[str, list[str]] = {}
    for kind in _types(symbol):
        bounds = list(_bounds(kind, symbol).values())
        listing = kind.listing
        display = listing.category_display
        found[listing.category] = [listing.category, display, bounds[0][0], bounds[-1][1]]
    return list(found.values())
