"""What the paper exchange allows and charges, in one place."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

MOST_OPEN_POSITIONS: Final = 100
"""Contracts that an account may have open at once."""

LARGEST_OPEN_PAYOUT: Final = 500_000
"""What the open contracts of an account may pay together, in the account's currency."""

LEAST_STAKE: Final = Decimal("0.35")
LARGEST_STAKE: Final = Decimal(2_000)
LARGEST_PAYOUT: Final = Decimal(50_000)
"""The bounds of one contract, in the account's currency."""

LEAST_ASK: Final = 20_000
LARGEST_ASK: Final = 985_000
"""Between these shares of the payout, in millionths, a contract is sold: outside, one side of the
trade would be all but certain."""

NO_SALE_BEFORE_END: Final = 15
"""Seconds before its end from which on a contract is not bought back."""

LATEST_START: Final = 24 * 3_600
"""How far ahead a forward-starting contract may start, in seconds."""

MULTIPLIED_VOLATILITIES: Final = (40, 100, 200, 300, 400)
"""Multiplier times yearly volatility: the choices. A smaller product would be worth holding for
the drift that keeps an index near its level."""

MULTIPLIED_JUMPS: Final = (40, 50, 60, 80, 100)
"""The same where a price jumps: beyond these, what a stop-out is worth takes most of the stake."""

CANCELLATIONS: Final = {"5m": 300, "10m": 600, "15m": 900, "30m": 1_800, "60m": 3_600}
"""How long a multiplier can be cancelled, in seconds by name."""

MULTIPLIER_DAYS: Final = 36_500
"""A multiplier ends at the close of the day that lies so far ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """What the exchange keeps, by family of contracts.

    For contracts that pay a fixed payout it is the share of the payout by which the price exceeds
    the chance to win it; a sale back costs half as much again.
    """

    rise_fall: float = 0.012
    touch: float = 0.015
    digits: float = 0.010
    matches: float = 0.008
    financial: float = 0.03
    """The least on symbols that are named after real markets."""
    multiplier: float = 0.3
    """By how much a multiplier's commission exceeds what its stop-out is worth."""
    cancellation: float = 0.05
    """By how much the fee for a deal cancellation exceeds what it is worth."""
