"""Bull and bear markets: Brownian motion with a trend, anew from the level every day."""

import math

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.hours import Place
from scopegate.exchange.processes.brownian import Brownian
from scopegate.exchange.symbols import Symbol

DAILY_TREND = 1.0
"""By how many of a day's standard deviations the log price moves in a day, in the mean: five days
of six end beyond their beginning."""


class Resets(Brownian):
    """No anchors: where a day ends is forgotten."""

    def __init__(self, symbol: Symbol, seed: str, tables: fixedpoint.Tables) -> None:
        super().__init__(symbol, seed, tables)
        self._count = symbol.grid.counts[0]
        way = 1 if symbol.rises else -1
        self._trend = way * round(
            DAILY_TREND * symbol.tick_sd / math.sqrt(self._count) * fixedpoint.ONE
        )

    def anchor(self, day: int) -> int:
        """The level, every day."""
        if day < 0:
            raise ValueError("there are no prices before 2020-01-01 00:00 UTC")
        return 0

    def path(self, day: int) -> NDArray[np.int64]:
        """Independent normal steps and the trend, from the level on."""
        start = self.anchor(day)
        normals = self._tables.normal[self._bits.short_words(b"ticks", day, self._count)]
        path = np.multiply(normals, self._tick_sd, dtype=np.int64) + self._trend
        path[0] = start  # no step leads here
        np.cumsum(path, out=path)
        return path

    def drift(self, day: int) -> float:
        """The trend."""
        self.anchor(day)  # there is none before history begins
        return self._trend / fixedpoint.ONE

    def growth(self, day: int) -> int:
        """The trend and the convexity of the steps, without the jump at midnight: no contract
        across midnight is offered."""
        self.anchor(day)
        return self._trend + self._convexity

    def distribution(
        self, known_day: int, state: int, first: Place, last: Place
    ) -> PriceDistribution:
        """The trend and the steps; none across midnight, where the price starts anew."""
        if first.day != last.day:
            raise NotImplementedError("no contract across midnight is offered")
        count = last.tick - first.tick
        return PriceDistribution(
            count, count * self.drift(first.day), math.sqrt(count * self._tick_variance)
        )
