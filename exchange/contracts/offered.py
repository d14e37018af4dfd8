"""Which types of contracts are offered for which symbols, in one place.

A price must follow from the law by which a symbol moves, and a price in whole pips must be fine
enough for what decides. So by how a symbol moves:

- Brownian: every type.
- with jumps: what the last tick alone decides, and multipliers.
- steps: what the last tick alone decides (no spreads or vanillas), touches, and multipliers.
- spikes, ranges that break, drifts that switch: multipliers.
- anew every day: whatever ends on the day of its start; nothing without an end.

What is named after a real market moves by few pips a tick: no digits, and nothing else that few
ticks decide.
"""

from dataclasses import replace
from typing import Final

from exchange.contracts.life import ContractType
from exchange.contracts.listing import Durations
from exchange.contracts.terms import not_offered
from exchange.symbols import Motion, Symbol

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


def is_offered(kind: ContractType, symbol: Symbol) -> bool:
    """Whether contracts of this type are sold on this symbol."""
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


def check(kind: ContractType, symbol: Symbol) -> None:
    """Raise `Refusal` unless contracts of this type are sold on this symbol."""
    if not is_offered(kind, symbol):
        raise not_offered(
            f"Trading is not offered for this asset: contracts_for lists what is offered for"
            f" {symbol.name}.",
            "contract_type",
        )


def durations(kind: ContractType, symbol: Symbol) -> Durations:
    """How long contracts of this type may last on this symbol."""
    offered = kind.listing.durations
    return replace(offered, days=None) if symbol.motion is Motion.RESETS else offered


def can_be_cancelled(symbol: Symbol) -> bool:
    """Whether deal cancellation is sold: its price holds for Brownian motion alone."""
    return symbol.motion is Motion.BROWNIAN
