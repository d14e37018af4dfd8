"""What one currency is worth in another, by the prices of the feed.

Rules:
- A currency is worth what its symbol against the US dollar says, at the last tick at or before the
  moment; USD Coin is a dollar by definition. Two others meet over the dollar.
- A rate is an exact fraction of whole pips. What is converted is rounded down to the smallest unit
  of the target, so that there and back never gains.
"""

from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from scopegate.exchange.money import CURRENCIES
from scopegate.exchange.symbols import SYMBOLS

if TYPE_CHECKING:  # it takes numpy, which a command that only looks after accounts goes without
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
"""The symbol that tells how many dollars a currency buys; `None` where it is always one."""

_SHOWN = Context(prec=10)


class Rate(NamedTuple):
    """How many units of a target currency one unit of a base currency buys."""

    spot: Fraction
    bid: Fraction
    """What is got when the base is sold and the target bought, each a pip to the wrong side."""
    ask: Fraction
    """What is given when it is the other way round."""


class Rates:
    """The rates between all currencies, at any moment."""

    def __init__(self, feed: "Feed") -> None:
        self._feed = feed

    def rate(self, base: str, target: str, epoch: int) -> Rate:
        """How many units of `target` one unit of `base` buys at a moment."""
        sold, bought = self._dollars(base, epoch), self._dollars(target, epoch)
        return Rate(sold.spot / bought.spot, sold.bid / bought.ask, sold.ask / bought.bid)

    def converted(self, units: int, base: str, target: str, epoch: int) -> int:
        """An amount in smallest units of `base` as such of `target`, rounded down."""
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
    """A rate as it is told: ten significant digits, rounded half to even."""
    return _SHOWN.divide(Decimal(rate.numerator), Decimal(rate.denominator))
