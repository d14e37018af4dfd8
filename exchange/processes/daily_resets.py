"""Bull and bear markets: Brownian motion with a trend, restarting at the level every day."""

import math

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.hours import Place
from scopegate.exchange.processes.brownian import Brownian
from scopegate.exchange.symbols import Symbol

DAILY_TREND = 1.0
"""The mean move of the log price in a day, in standard deviations of a day: five days of six end
beyond their beginning, in the direction of the trend."""


class Resets(Brownian):
    """Brownian motion without anchors: no day depends on the end of the day before."""

    def __init__(self, symbol: Symbol, seed: str, tables: fixedpoint.Tables) -> None:
        super().__init__(symbol, seed, tables)
        self._count = symbol.grid.counts[0]
        way = 1 if symbol.rises else -1
        self._trend = way * round(
            DAILY_TREND * symbol.tick_sd / math.sqrt(self._count) * fixedpoint.ONE
        )

    def anchor(self, day: int) -> int:
        """Return 0, the level, every day."""
        if day < 0:
            raise ValueError("there are no prices before 2020-01-01 00:00 UTC")
        return 0

    def path(self, day: int) -> NDArray[np.int64]:
        """The log prices of the day: independent normal steps and the trend, from the level on."""
        start = self.anchor(day)
        normals = self._tables.normal[self._bits.short_words(b"ticks", day, self._count)]
        path = np.multiply(normals, self._tick_sd, dtype=np.int64) + self._trend
        path[0] = start  # there is no step before the first tick
        np.cumsum(path, out=path)
        return path

    def drift(self, day: int) -> float:
        """The trend."""
        self.anchor(day)  # raises before the beginning of history
        return self._trend / fixedpoint.ONE

    def growth(self, day: int) -> int:
        """The trend and the convexity of the steps, without the jump at midnight: no contract
        across midnight is offered."""
        self.anchor(day)
        return self._trend + self._convexity

    def distribution(
        self, known_day: int, state: int, first: Place, last: Place
    ) -> PriceDistribution:
        """The normal distribution of the trend and the steps within a day.

        Raises `NotImplementedError` across midnight, where the price restarts.
        """
        if first.day != last.day:
            raise NotImplementedError("no contract across midnight is offered")
        count = last.tick - first.tick
        return PriceDistribution(
            count, count * self.drift(first.day), math.sqrt(count * self._tick_variance)
        )
