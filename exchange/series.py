"""The interface of a symbol's prices over time, and candles made of any ticks.

`exchange.feed` computes prices from the seed, `exchange.recorded` has those of a file, and
`exchange.moves` changes either.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange.distribution import Growth, PriceDistribution
from scopegate.exchange.hours import DAY

HOUR: Final = 3_600

GRANULARITIES: Final = (
    60, 120, 180, 300, 600, 900, 1_800, HOUR, 7_200, 14_400, 28_800, DAY
)  # fmt: skip
"""The widths of candles, in seconds. Each divides a day."""


class Ticks(NamedTuple):
    """Ticks in order of time: epochs in seconds, prices in pips; int64 arrays of one length."""

    epochs: NDArray[np.int64]
    pips: NDArray[np.int64]


class Candles(NamedTuple):
    """Candles in order of time: opening epochs, and prices in pips; int64 arrays of one length."""

    epochs: NDArray[np.int64]
    opens: NDArray[np.int64]
    highs: NDArray[np.int64]
    lows: NDArray[np.int64]
    closes: NDArray[np.int64]


class Series(ABC):
    """The prices of one symbol at all times; `exchange.feed.Feed` documents each query."""

    __slots__ = ()

    @property
    def built(self) -> int:
        """How many days have been computed, some of them several times."""
        return 0

    def is_warm(self, epoch: int) -> bool:
        """Whether the price at this epoch takes a microsecond."""
        return True

    @abstractmethod
    def price(self, epoch: int) -> int:
        """The price in pips of the last tick at or before the epoch."""

    @abstractmethod
    def drift(self, epoch: int) -> float:
        """The mean step of the log price on the day of the epoch."""

    @abstractmethod
    def growth(self, epoch: int) -> Growth:
        """The expected growth of the price up to the last tick at or before the epoch."""

    @abstractmethod
    def distribution(self, known: int, first: int, last: int) -> PriceDistribution:
        """The distribution of the move from the tick at epoch `first` to that at `last`."""

    @abstractmethod
    def ticks(self, first: int, last: int) -> Ticks:
        """All ticks with `first` <= epoch <= `last`."""

    @abstractmethod
    def candles_by_day(
        self, granularity: int, first: int, last: int
    ) -> Generator[None, None, Candles]:
        """Return the candles that open in [`first` aligned down, `last`]; yield after each day."""

    @abstractmethod
    def first_of_candles(self, granularity: int, count: int, last: int) -> int:
        """An epoch from which there are `count` candles up to `last`, or all if there are fewer."""

    def cold_days(self, granularity: int, first: int, last: int) -> int:
        """Estimate on how many days between two epochs candles would have to be computed."""
        return 0


def candles_of(ticks: Ticks, granularity: int) -> Candles:
    """The candles of these ticks, which may have any distances; the outer ones may be partial."""
    epochs, pips = ticks
    opened = epochs - epochs % granularity
    starts = np.flatnonzero(np.diff(opened, prepend=-1))
    if not starts.size:
        return Candles(epochs, pips, pips, pips, pips)
    ends = np.append(starts[1:], len(epochs)) - 1
    return Candles(
        opened[starts],
        pips[starts],
        np.maximum.reduceat(pips, starts),
        np.minimum.reduceat(pips, starts),
        pips[ends],
    )


def joined(*parts: Candles) -> Candles:
    """Candles of consecutive spans of time as one."""
    return Candles(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
