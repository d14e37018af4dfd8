"""The symbols of the paper market, one row each.

Rules of this module:

- A price is a whole number of pips (`int`). Only `Symbol.quote` makes a float of it and only
  `Symbol.text` a string; nothing else in the market should scale by the digits.
- Name, step, volatility and level decide a symbol's whole history. Changing one of them in a
  row is a new version of the feed (`exchange.feed.FEED_VERSION`); the other facts are labels.
- It imports no numpy, so that a command which only names symbols starts quickly.

A further family of symbols is one more builder beside `_volatility_index`, and its rows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DAY = 86_400
"""Seconds in a UTC day."""

WEEK = 7 * DAY
_A_MONDAY = 4 * DAY  # 1970-01-05

EARLIEST = 1_577_836_800
"""2020-01-01 00:00 UTC: the first tick of every symbol, where it stands at its level."""

YEAR = 365 * DAY
"""Seconds in the year that volatilities refer to."""

LEVEL_SD = 0.7
"""Long-run standard deviation of ln(price / level): a factor of 2 either way is one sd."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Symbol:
    """One underlying: what identifies it, what its price process needs, how it is listed.

    Symbols compare and hash by identity (the rows of `SYMBOLS` are the only ones in use), which
    keeps them cheap as dictionary keys and keeps an altered copy from sharing a cached price.
    """

    name: str
    display_name: str
    digits: int
    """Decimals of the pip; at least 1."""
    step: int
    """Seconds from one tick to the next; ticks fall on epochs divisible by it."""
    volatility: float
    """Standard deviation of the log price over a `YEAR`; 1.0 is 100 %."""
    level: int
    """Price in pips at the beginning of history, and the level that the price is pulled to."""
    market: str
    market_display_name: str
    submarket: str
    submarket_display_name: str
    subgroup: str
    subgroup_display_name: str
    symbol_type: str
    exchange_name: str
    display_order: int
    hours: tuple[tuple[int, int], ...] | None = None
    """When its market is open: seconds of the week, which begins on Monday 00:00 UTC, each pair
    from the first to before the second. `None` for a market that never closes."""

    def is_open(self, epoch: int) -> bool:
        """Whether its market is open."""
        if self.hours is None:
            return True
        second = (epoch - _A_MONDAY) % WEEK
        return any(opens <= second < closes for opens, closes in self.hours)

    @property
    def pip(self) -> float:
        """Smallest price movement, in units of price: 0.01 for two digits."""
        return self.quote(1)

    @property
    def tick_sd(self) -> float:
        """Standard deviation of the log price over one tick."""
        return self.volatility * math.sqrt(self.step / YEAR)

    @property
    def daily_pull(self) -> float:
        """Share of ln(price / level) that the drift takes back in a day.

        With daily variance v the log price x' = x * (1 - pull) + noise has the stationary
        variance v / (2 * pull), to first order in pull; solved here for `LEVEL_SD`.
        """
        day_variance = self.volatility * self.volatility * DAY / YEAR
        return day_variance / (2 * LEVEL_SD * LEVEL_SD)

    def quote(self, pips: int) -> float:
        """The price as the nearest float, whose shortest decimal form shows no stray digits."""
        return float(pips / 10**self.digits)

    def text(self, pips: int) -> str:
        """The price with all its decimals, trailing zeros included: "2400.10"."""
        whole, fraction = divmod(abs(pips), 10**self.digits)
        return f"{'-' if pips < 0 else ''}{whole}.{fraction:0{self.digits}d}"


def _volatility_index(
    name: str, percent: int, *, step: int, digits: int, level: int, display_order: int
) -> Symbol:
    """A row of the volatility indices; `level` is in units of price and becomes pips."""
    return Symbol(
        name=name,
        display_name=f"Volatility {percent}{' (1s)' if step == 1 else ''} Index",
        digits=digits,
        step=step,
        volatility=percent / 100,
        level=level * 10**digits,
        market="synthetic_index",
        market_display_name="Derived",
        submarket="random_index",
        submarket_display_name="Continuous Indices",
        subgroup="synthetics",
        subgroup_display_name="Synthetics",
        symbol_type="stockindex",
        exchange_name="RANDOM",
        display_order=display_order,
    )


# A level is a round figure of at least 60 pips / tick_sd: the price may then fall by LEVEL_SD
# nearly three times over and a tick still moves some 8 pips, which digit contracts need.
_ROWS = (
    _volatility_index("R_10", 10, step=2, digits=3, level=2_400, display_order=1),
    _volatility_index("R_25", 25, step=2, digits=3, level=1_000, display_order=2),
    _volatility_index("R_50", 50, step=2, digits=4, level=100, display_order=3),
    _volatility_index("R_75", 75, step=2, digits=4, level=100, display_order=4),
    _volatility_index("R_100", 100, step=2, digits=2, level=2_400, display_order=5),
    _volatility_index("1HZ10V", 10, step=1, digits=2, level=34_000, display_order=6),
    _volatility_index("1HZ25V", 25, step=1, digits=2, level=14_000, display_order=7),
    _volatility_index("1HZ50V", 50, step=1, digits=2, level=7_000, display_order=8),
    _volatility_index("1HZ75V", 75, step=1, digits=2, level=4_500, display_order=9),
    _volatility_index("1HZ100V", 100, step=1, digits=2, level=3_400, display_order=10),
)

SYMBOLS: Mapping[str, Symbol] = MappingProxyType({symbol.name: symbol for symbol in _ROWS})
"""Every symbol by its name, in display order. Read-only."""
