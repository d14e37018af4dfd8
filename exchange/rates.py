"""Exchange rates between currencies, from the prices of the feed.

Rules:
- The value of a currency in US dollars is the price of its symbol against the dollar, at the last
  tick at or before the epoch; USD Coin is one dollar by definition. Rates between two other
  currencies go through the dollar.
- A rate is an exact fraction of whole pips. Converted amounts are rounded down to the smallest unit
  of the target, so that converting there and back never gains.
"""

from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from scopegate.exchange.money import CURRENCIES
from scopegate.exchange.symbols import SYMBOLS

if TYPE_CHECKING:  # it imports numpy, which commands that only manage accounts do not need
    from scopegate.exchange.feed import Feed

DOLLAR_SYMBOLS: Final[Mapping[str, str | None]] = {
    "AUD": "frxAUDUSD",
    "EUR": "frxEURUSD",
    "GBP": "frxGBPUSD",
    "USD": None,
    "BTC": "cryBTCUSD",
    "ETH": "cryETHUSD",
    "LTC": "cryLTCUSD",
    "USDC": None,
}
"""The symbol whose price is the value of a currency in dollars; `None` if it is always one."""

_SHOWN = Context(prec=10)


class Rate(NamedTuple):
    """How many units of a target currency one unit of a base currency buys."""

    spot: Fraction
    bid: Fraction
    """The rate for selling the base and buying the target, each a pip worse than the spot."""
    ask: Fraction
    """The rate for buying the base and selling the target, likewise."""


class Rates:
    """The rates between all currencies, at any moment."""

    def __init__(self, feed: "Feed") -> None:
        self._feed = feed

    def rate(self, base: str, target: str, epoch: int) -> Rate:
        """How many units of `target` one unit of `base` buys at an epoch."""
        sold, bought = self._dollars(base, epoch), self._dollars(target, epoch)
        return Rate(sold.spot / bought.spot, sold.bid / bought.ask, sold.ask / bought.bid)

    def converted(self, units: int, base: str, target: str, epoch: int) -> int:
        """Convert smallest units of `base` to smallest units of `target`, rounded down."""
        scale = Fraction(10 ** CURRENCIES[target].digits, 10 ** CURRENCIES[base].digits)
        return int(units * scale * self.rate(base, target, epoch).spot // 1)

    def _dollars(self, currency: str, epoch: int) -> Rate:
        name = DOLLAR_SYMBOLS[currency]
        if name is None:
            return Rate(Fraction(1), Fraction(1), Fraction(1))
        symbol = SYMBOLS[name]
        pips, scale = self._feed.price(symbol, epoch), 10**symbol.digits
        return Rate(Fraction(pips, scale), Fraction(pips - 1, scale), Fraction(pips + 1, scale))


def shown(rate: Fraction) -> Decimal:
    """Round a rate for display: ten significant digits, half to even."""
    return _SHOWN.divide(Decimal(rate.numerator), Decimal(rate.denominator))
