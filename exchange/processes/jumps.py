"""Jump indices: Brownian motion, with a jump in either direction at one tick in `Symbol.every`."""

import math

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.distribution import Mixture, PriceDistribution
from scopegate.exchange.hours import Place
from scopegate.exchange.processes.brownian import SD_UNIT, Brownian
from scopegate.exchange.processes.rare import RareEvents
from scopegate.exchange.symbols import JUMP_SD, Symbol

MANY_JUMPS = 200
"""Above this mean number of jumps, their actual number hardly matters: the normal distribution is
used. Its probabilities are then off by about 0.0002."""
_RARE = 6.0
"""Numbers of jumps more than this many standard deviations (and 6) above the mean are left out."""


class Jumps(Brownian):
    """Brownian motion with jumps, whose size is normally distributed, too."""

    def __init__(self, symbol: Symbol, seed: str, tables: fixedpoint.Tables) -> None:
        self._chance = 1 / symbol.every
        self._jump_sd = round(symbol.tick_sd * JUMP_SD * SD_UNIT)
        super().__init__(symbol, seed, tables)
        self._count = symbol.grid.counts[0]
        self._events = RareEvents(self._bits, symbol.every, self._count)

    def beyond(self, day: int) -> NDArray[np.int64]:
        """The jumps of the day."""
        ticks, words = self._events.day(day)
        moves = np.zeros(self._count, np.int64)
        moves[ticks] = self._sizes(words)
        return moves

    def totals_beyond(self, block: int) -> list[int]:
        """The sum of the jumps of each day of a block."""
        words, are_there = self._events.words(block)
        totals: list[int] = np.where(are_there, self._sizes(words), 0).sum(axis=1).tolist()
        return totals

    def _sizes(self, words: NDArray[np.uint16]) -> NDArray[np.int64]:
        return np.multiply(self._tables.normal[words], self._jump_sd, dtype=np.int64)

    def convexity(self) -> float:
        """The growth per tick without the pull: of the normal steps and a possible jump.

        The mean of exp(x) is exp(variance / 2) for jumps, too.
        """
        jump = (self._jump_sd / SD_UNIT) ** 2
        return super().convexity() + math.log1p(self._chance * math.expm1(jump / 2))

    def distribution(
        self, known_day: int, state: int, first: Place, last: Place
    ) -> PriceDistribution:
        """A mixture of normal distributions, one for each number of jumps (Merton 1976).

        Above `MANY_JUMPS` on average, a single normal distribution.
        """
        steady = super().distribution(known_day, state, first, last)
        ticks, chance = steady.ticks, self._chance
        mean = ticks * chance
        if mean > MANY_JUMPS:
            grown = math.sqrt(1 + JUMP_SD**2 * chance)
            return PriceDistribution(ticks, steady.mean, steady.sd * grown)
        weight = (1 - chance) ** ticks
        parts = []
        for jumps in range(min(ticks, int(mean + _RARE * math.sqrt(mean)) + 6) + 1):
            parts.append((weight, steady.sd * math.sqrt(1 + JUMP_SD**2 * jumps / ticks)))
            weight *= (ticks - jumps) / (jumps + 1) * chance / (1 - chance)
        sd = steady.sd * math.sqrt(1 + JUMP_SD**2 * chance)
        return Mixture(ticks, steady.mean, sd, tuple(parts))
