"""The levels of currencies and metals, from which the prices of pairs and baskets are computed.

Rules:

- Each level is independent, measured against a numeraire that nothing is quoted in. A pair is the
  ratio of two levels, so pairs agree to the pip: EUR/USD times USD/JPY is EUR/JPY.
- All levels are pulled back at the same speed. The ratio of two is then a Brownian motion that is
  pulled back at that speed, and its volatility is the square root of the sum of their squares.
- These numbers determine prices: a change requires a new version of the feed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

YEARLY_PULL: Final = 0.4
"""The share of its log price by which a level returns in a year: half of the way takes 1.7 years.
In the long run the log price of a pair with 9 % volatility has a standard deviation of 0.1."""


@dataclass(frozen=True, slots=True)
class Level:
    """A currency, or an ounce of a metal."""

    name: str
    dollars: Fraction
    """Its value in dollars at the beginning of history, to which it returns."""
    volatility: float
    """Standard deviation of its log price over a year, against the numeraire."""


_ROWS: Final = (
    ("USD", Fraction(1), 5),
    ("EUR", Fraction("1.10"), 6),
    ("GBP", Fraction("1.27"), 7),
    ("JPY", 1 / Fraction(148), 8),
    ("AUD", Fraction("0.66"), 8),
    ("CAD", 1 / Fraction("1.36"), 5.5),
    ("CHF", 1 / Fraction("0.88"), 6.5),
    ("NZD", Fraction("0.61"), 8),
    ("MXN", 1 / Fraction("17.5"), 11),
    ("PLN", 1 / Fraction(4), 10.5),
    ("SEK", 1 / Fraction("10.5"), 9.5),
    ("XAU", Fraction(2_000), 14),
    ("XAG", Fraction(24), 27),
    ("XPT", Fraction(1_000), 23),
    ("XPD", Fraction(1_200), 34),
)

LEVELS: Mapping[str, Level] = MappingProxyType(
    {name: Level(name, dollars, percent / 100) for name, dollars, percent in _ROWS}
)
"""Every level by its name. Read-only."""
