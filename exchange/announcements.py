"""A calendar of invented economic figures, for testing bots that read one.

The dates are the same for every seed; the values depend on the seed alone. Prices do not react.
"""

import calendar
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from scopegate.exchange.processes.bits import Bits
from scopegate.exchange.symbols import DAY

CURRENCIES: Final = ("AUD", "CAD", "CHF", "EUR", "GBP", "JPY", "NZD", "USD")

LONGEST: Final = 366 * DAY
"""The maximum span of one query, in seconds; anything later is left out."""

_TO_MONDAY: Final = {5: 2, 6: 1}
"""Days from Saturday, and from Sunday, to the next Monday."""


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure that is published once a month."""

    name: str
    impact: int
    day: int
    """Day of the month; on a weekend, the next Monday."""
    second: int
    """Second of the day (UTC)."""
    usual: int
    """The middle of its values, in tenths of a percent."""
    spread: int
    """The maximum deviation from `usual`, in tenths of a percent."""


_FIGURES: Final = (
    _Figure("Interest Rate Decision", 5, 6, 18 * 3_600, 35, 10),
    _Figure("Unemployment Rate", 4, 4, 12 * 3_600 + 1_800, 50, 8),
    _Figure("Consumer Price Index (YoY)", 4, 12, 12 * 3_600 + 1_800, 25, 12),
    _Figure("Retail Sales (MoM)", 3, 16, 8 * 3_600, 2, 9),
    _Figure("Gross Domestic Product (QoQ)", 3, 25, 9 * 3_600, 4, 6),
)


class Announcement(NamedTuple):
    """One release of a figure for a currency."""

    epoch: int
    currency: str
    name: str
    impact: int
    """From 1 to 5."""
    previous: str
    previous_epoch: int
    """When the previous value is published; in a query of several future months, it is not yet."""
    forecast: str
    actual: str


class Announcements:
    """The calendar of one seed."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def between(self, first: int, last: int, currency: str | None = None) -> list[Announcement]:
        """The releases from `first` to `last` (epochs, both included), in order of time."""
        last = min(last, first + LONGEST)
        wanted = [name for name in CURRENCIES if currency in (None, name)]
        found = [
            self._announcement(month, epoch, name, figure)
            for month, figure, epoch in _releases(first, last)
            for name in wanted
        ]
        return sorted(found)

    def _announcement(self, month: int, epoch: int, currency: str, figure: _Figure) -> Announcement:
        before, (actual, forecast) = (
            self._values(number, currency, figure) for number in (month - 1, month)
        )
        return Announcement(
            epoch,
            currency,
            f"{figure.name} (simulated)",
            figure.impact,
            previous=_text(before[0]),
            previous_epoch=_release_epoch(month - 1, figure),
            forecast=_text(forecast),
            actual=_text(actual),
        )

    def _values(self, month: int, currency: str, figure: _Figure) -> tuple[int, int]:
        """The actual value of a figure in a month, and its forecast, in tenths of a percent."""
        bits = Bits(self._seed, f"{currency} {figure.name}")
        actual, surprise = (int(word) for word in bits.words(b"announcements", month, 2))
        value = figure.usual + actual % (2 * figure.spread + 1) - figure.spread
        return value, value + surprise % 5 - 2


def _text(value: int) -> str:
    """Format tenths of a percent, such as `2.5%`."""
    return f"{value / 10:.1f}%"


def _release_epoch(month: int, figure: _Figure) -> int:
    """The epoch at which a figure is published in a month, counted from year 0."""
    year, number = divmod(month, 12)
    midnight = calendar.timegm((year, number + 1, 1, 0, 0, 0)) + (figure.day - 1) * DAY
    late = _TO_MONDAY.get(time.gmtime(midnight).tm_wday, 0)
    return midnight + late * DAY + figure.second


def _releases(first: int, last: int) -> Iterator[tuple[int, _Figure, int]]:
    """Yield the releases in a span: the month, counted from year 0, the figure and the epoch."""
    year, number = time.gmtime(first)[:2]
    month = year * 12 + number - 1
    while True:
        year, number = divmod(month, 12)
        begins = calendar.timegm((year, number + 1, 1, 0, 0, 0))
        if begins > last:
            return
        for figure in _FIGURES:
            epoch = _release_epoch(month, figure)
            if first <= epoch <= last:
                yield month, figure, epoch
        month += 1
