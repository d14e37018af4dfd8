"""Which types of contracts are offered for which symbols, in one place.

A price must follow from the law by which a symbol moves, and a price in whole pips must be fine
enough for what decides. So by how a symbol moves:

- Brownian: every type.
- with jumps: what the last tick alone decides, and multipliers.
- steps: what the last tick alone decides (no spreads or vanillas), touches, and multipliers.
- spikes, range breaks, drift switches: multipliers.
- anew every day: whatever ends on the day of its start; nothing without an end.

What is named after a real market moves by few pips a tick: no digits, and nothing else that few
ticks decide.

Every price is fair in the currency in which the contract is paid. In dollars, a contract that pays
when its own currency has risen is worth more than it costs, and the opposite contract less. No
price is fair in both currencies. So where a currency and a symbol move together, only contracts
that end within a day are sold: the difference is then a small part of any usual margin
(`exchange.rules.MOST_SHARED`). On coins, which move more, none are sold.
"""

import math
from dataclasses import replace
from typing import Final

from scopegate.exchange.contracts.listing import NO_END, Durations
from scopegate.exchange.contracts.state import ContractType
from scopegate.exchange.contracts.terms import not_offered
from scopegate.exchange.rates import DOLLAR_SYMBOLS
from scopegate.exchange.rules import MOST_SHARED
from scopegate.exchange.symbols import DAY, SYMBOLS, YEAR, Motion, Symbol, covariance

_MULTIPLIERS: Final = frozenset({"MULTUP", "MULTDOWN"})
_ENDS: Final = frozenset(
    {"CALL", "CALLE", "EXPIRYMISS", "EXPIRYMISSE", "EXPIRYRANGE", "EXPIRYRANGEE", "PUT", "PUTE"}
)
"""Won by where the last tick stands."""
_WORTH_AT_END: Final = frozenset({"CALLSPREAD", "PUTSPREAD", "VANILLALONGCALL", "VANILLALONGPUT"})
"""Worth something by where the last tick stands."""
_TOUCHES: Final = frozenset({"NOTOUCH", "ONETOUCH"})
_FEW_TICKS: Final = frozenset({"ASIAND", "ASIANU", "RUNHIGH", "RUNLOW", "TICKHIGH", "TICKLOW"})
_ACCUMULATORS: Final = frozenset({"ACCU"})

_BY_MOTION: Final = {
    Motion.JUMPS: _ENDS | _WORTH_AT_END | _MULTIPLIERS,
    Motion.STEPS: _ENDS | _TOUCHES | _MULTIPLIERS,
    Motion.SPIKES: _MULTIPLIERS,
    Motion.BREAKS: _MULTIPLIERS,
    Motion.SWITCHES: _MULTIPLIERS,
}


def is_offered(kind: ContractType, symbol: Symbol, currency: str = "USD") -> bool:
    """Whether contracts of this type, paid in this currency, are sold on this symbol."""
    return _is_priced(kind, symbol) and _is_paid_in(kind, symbol, currency)


def _is_priced(kind: ContractType, symbol: Symbol) -> bool:
    name = kind.name
    only = _BY_MOTION.get(symbol.motion)
    if only is not None:
        return name in only
    if symbol.motion is Motion.RESETS:
        return name not in _MULTIPLIERS | _ACCUMULATORS
    if symbol.is_financial:
        few_ticks = kind.listing.category == "digits" or name in _FEW_TICKS | _ACCUMULATORS
        return not few_ticks
    return True


def _is_paid_in(kind: ContractType, symbol: Symbol, currency: str) -> bool:
    shared = shared_in_a_day(symbol, currency)
    return not shared or (shared <= MOST_SHARED and kind.listing.durations != NO_END)


def shared_in_a_day(symbol: Symbol, currency: str) -> float:
    """The drift of a symbol on a day in dollars instead of this currency, as a part of its standard
    deviation: its covariance with the rate of the currency, divided by its own deviation."""
    name = DOLLAR_SYMBOLS[currency]
    if name is None:
        return 0.0
    a_day = DAY * DAY / symbol.hours.mean_day / YEAR
    shared = abs(covariance(SYMBOLS[name], symbol))
    return shared / symbol.total_volatility * math.sqrt(a_day)


def check(kind: ContractType, symbol: Symbol) -> None:
    """Raise `Refusal` unless contracts of this type are sold on this symbol."""
    if not _is_priced(kind, symbol):
        raise not_offered(
            f"Trading is not offered for this asset: contracts_for lists what is offered for"
            f" {symbol.name}.",
            "contract_type",
        )


def check_currency(kind: ContractType, symbol: Symbol, currency: str) -> None:
    """Raise `Refusal` if contracts of this type are not paid in this currency."""
    if not _is_paid_in(kind, symbol, currency):
        raise not_offered(
            f"Trading is not offered for this asset in {currency}, which moves with it: use an"
            f" account in USD. contracts_for lists what is offered in {currency}.",
            "currency",
        )


def durations(kind: ContractType, symbol: Symbol, currency: str = "USD") -> Durations:
    """How long contracts of this type, paid in this currency, may last on this symbol."""
    offered = kind.listing.durations
    if symbol.motion is Motion.RESETS or shared_in_a_day(symbol, currency):
        return replace(offered, days=None)
    return offered


def can_be_cancelled(symbol: Symbol) -> bool:
    """Whether deal cancellation is sold: its price holds for Brownian motion alone."""
    return symbol.motion is Motion.BROWNIAN
