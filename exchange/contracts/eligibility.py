"""The rules for which types of contracts are offered on which symbols.

Each type declares what decides its outcome (`Decides`); the rules depend only on that. A price must
follow from the symbol's distribution, and whole pips must be fine enough for what decides. So, by
the motion of the symbol:

- Brownian: every type.
- with jumps: types decided by the last tick only, and multipliers.
- steps: types decided by the side of the last tick, touches, and multipliers.
- spikes, range breaks, drift switches: multipliers.
- reset every day: types with an end, which must be on the day of the start.
- recorded in a file: all types but those that are decided by every tick, priced as if the motion
  were Brownian. They end before the market closes.

Symbols named after real markets move by few pips a tick, and so may recorded ones: on these, no
types that are decided by few ticks or by every tick.

Every price is fair in the currency in which the contract is paid. In dollars, a contract that pays
when its own currency has risen has a higher value than its price, and the opposite contract a lower
one. No price is fair in both currencies. So if a currency and a symbol move together, only
contracts that end within a day are sold: the difference is then a small part of any usual margin
(`exchange.rules.MAX_SHARED_DRIFT`). On coins, which move more, none are sold.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Final

from scopegate.exchange.contracts.common.contract_type import AnyContractType
from scopegate.exchange.contracts.common.listing import NO_END, Decides, Durations
from scopegate.exchange.contracts.common.refusals import not_offered
from scopegate.exchange.rates import DOLLAR_SYMBOLS
from scopegate.exchange.rules import MAX_SHARED_DRIFT
from scopegate.exchange.symbols import DAY, SYMBOLS, YEAR, Motion, Symbol, covariance

_LAST_TICK: Final = {Decides.SIDE_OF_LAST_TICK, Decides.DISTANCE_OF_LAST_TICK}
_NO_END: Final = {Decides.EVERY_TICK, Decides.PRICE_UNTIL_CLOSED}

_BY_MOTION: Final[Mapping[Motion, Set[Decides]]] = {
    Motion.BROWNIAN: set(Decides),
    Motion.JUMPS: _LAST_TICK | {Decides.PRICE_UNTIL_CLOSED},
    Motion.STEPS: {Decides.SIDE_OF_LAST_TICK, Decides.TOUCH, Decides.PRICE_UNTIL_CLOSED},
    Motion.SPIKES: {Decides.PRICE_UNTIL_CLOSED},
    Motion.BREAKS: {Decides.PRICE_UNTIL_CLOSED},
    Motion.SWITCHES: {Decides.PRICE_UNTIL_CLOSED},
    Motion.RESETS: set(Decides) - _NO_END,
    Motion.RECORDED: set(Decides) - {Decides.EVERY_TICK},
}
_COARSE: Final = {Decides.FEW_TICKS, Decides.EVERY_TICK}
"""Not offered on symbols whose ticks move the price by few pips."""


def is_offered(kind: AnyContractType, symbol: Symbol, currency: str = "USD") -> bool:
    """Whether contracts of this type, paid in this currency, are sold on this symbol."""
    return _is_priced(kind, symbol) and _is_paid_in(kind, symbol, currency)


def _is_priced(kind: AnyContractType, symbol: Symbol) -> bool:
    decides = kind.listing.decides
    if symbol.is_coarse and decides in _COARSE:
        return False
    return decides in _BY_MOTION[symbol.motion]


def _is_paid_in(kind: AnyContractType, symbol: Symbol, currency: str) -> bool:
    shared = shared_in_a_day(symbol, currency)
    return not shared or (shared <= MAX_SHARED_DRIFT and kind.listing.durations != NO_END)


def shared_in_a_day(symbol: Symbol, currency: str) -> float:
    """The size of a symbol's drift per day in dollars instead of this currency.

    As a share of its standard deviation for a day: its covariance with the rate of the currency,
    divided by its own standard deviation.
    """
    name = DOLLAR_SYMBOLS[currency]
    if name is None:
        return 0.0
    a_day = DAY * DAY / symbol.hours.mean_day / YEAR
    shared = abs(covariance(SYMBOLS[name], symbol))
    return shared / symbol.total_volatility * math.sqrt(a_day)


def check(kind: AnyContractType, symbol: Symbol) -> None:
    """Raise `Refusal` unless contracts of this type are sold on this symbol."""
    if not _is_priced(kind, symbol):
        raise not_offered(
            f"Trading is not offered for this asset: contracts_for lists what is offered for"
            f" {symbol.name}.",
            "contract_type",
        )


def check_currency(kind: AnyContractType, symbol: Symbol, currency: str) -> None:
    """Raise `Refusal` if contracts of this type on this symbol are not paid in this currency."""
    if not _is_paid_in(kind, symbol, currency):
        raise not_offered(
            f"Trading is not offered for this asset in {currency}, because the two prices move"
            " together. Use an account in USD. contracts_for lists what is offered in"
            f" {currency}.",
            "currency",
        )


def durations(kind: AnyContractType, symbol: Symbol, currency: str = "USD") -> Durations:
    """How long contracts of this type, paid in this currency, may last on this symbol."""
    offered = kind.listing.durations
    within_a_day = symbol.motion in (Motion.RESETS, Motion.RECORDED)
    if within_a_day or shared_in_a_day(symbol, currency):
        return replace(offered, days=None)
    return offered


def can_be_cancelled(symbol: Symbol) -> bool:
    """Whether deal cancellation is sold: its price holds only for Brownian motion."""
    return symbol.motion is Motion.BROWNIAN
