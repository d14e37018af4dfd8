"""Boom and crash indices: a small step one way every tick, and occasional spikes the other way.

The mean of a tick is zero: on average, a spike reverses the steps between two spikes.
"""

import math

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.hours import Place
from scopegate.exchange.processes.brownian import Brownian
from scopegate.exchange.processes.rare import RareEvents
from scopegate.exchange.symbols import SPIKE_SIZES, SPIKE_STEP, Symbol

_EVEN_BITS = 17  # a 16-bit word w means (2 w + 1) / 2**17, uniform between 0 and 1


class Spikes(Brownian):
    """Steps with Brownian noise, and spikes."""

    def __init__(self, symbol: Symbol, seed: str, tables: fixedpoint.Tables) -> None:
        self._way = 1 if symbol.rises else -1
        self._every = symbol.every
        self._step = round(SPIKE_STEP * fixedpoint.ONE)
        self._mean_spike = self._step * symbol.every
        super().__init__(symbol, seed, tables)
        self._count = symbol.grid.counts[0]
        self._events = RareEvents(self._bits, symbol.every, self._count)

    def beyond(self, day: int) -> NDArray[np.int64]:
        """The steps and spikes of the day."""
        ticks, words = self._events.day(day)
        moves = np.full(self._count, -self._step, np.int64)
        moves[ticks] += self._sizes(words)
        return self._way * moves

    def totals_beyond(self, block: int) -> list[int]:
        """The sum of the steps and spikes of each day of a block."""
        words, are_there = self._events.words(block)
        spikes = np.where(are_there, self._sizes(words), 0).sum(axis=1)
        totals: list[int] = (self._way * (spikes - self._step * self._count)).tolist()
        return totals

    def _sizes(self, words: NDArray[np.uint16]) -> NDArray[np.int64]:
        least, most = (round(size * (1 << _EVEN_BITS)) for size in SPIKE_SIZES)
        parts = least + ((most - least) >> _EVEN_BITS) * (2 * words.astype(np.int64) + 1)
        return (self._mean_spike * parts) >> _EVEN_BITS

    def convexity(self) -> float:
        """The growth per tick without the pull: of the noise, the step and a possible spike.

        The size of a spike is uniform between two bounds.
        """
        step = self._way * self._step / fixedpoint.ONE
        low, high = (step * self._every * size for size in SPIKE_SIZES)
        mean = (math.expm1(high) - math.expm1(low)) / (high - low)
        return super().convexity() - step + math.log1p((mean - 1) / self._every)

    def distribution(
        self, known_day: int, state: int, first: Place, last: Place
    ) -> PriceDistribution:
        """Raise `NotImplementedError`: no contract whose price needs a distribution is offered."""
        raise NotImplementedError("boom and crash indices have multipliers only")
