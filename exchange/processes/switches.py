"""Drift switch indices: Brownian motion with an upward, a downward or no drift.

One tick in `Symbol.every` ends the drift, and one of the two others begins. With the last tick of
an upward or downward drift the price goes back by the mean total of such a drift. So the mean of
every tick is zero, whatever the drift, and following a trend does not pay.
"""

import math

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.hours import Place
from scopegate.exchange.processes.brownian import Brownian
from scopegate.exchange.processes.rare import BLOCK, RareEvents
from scopegate.exchange.symbols import SWITCH_DRIFT, SWITCH_SIZES, Symbol

_EVEN_BITS = 16  # half a word w stands for (2 w + 1) / 2**16, evenly between 0 and 1
_WAYS = (0, 1, -1)
"""The direction of each of the three drifts."""


class Switches(Brownian):
    """Drifts and the steps back belong to a day, as jumps do; the first day begins without one."""

    def __init__(self, symbol: Symbol, seed: str, tables: fixedpoint.Tables) -> None:
        super().__init__(symbol, seed, tables)
        self._count = symbol.grid.counts[0]
        self._events = RareEvents(self._bits, symbol.every, self._count)
        step = symbol.tick_sd * SWITCH_DRIFT
        self._back = np.array([round(way * step * fixedpoint.ONE) * symbol.every for way in _WAYS])
        self._steps = np.array(
            [
                round((way * step - _gained(way * step, symbol.every)) * fixedpoint.ONE)
                for way in _WAYS
            ]
        )
        self._first = [0]

    def beyond(self, day: int) -> NDArray[np.int64]:
        """Drifts and steps back of the day."""
        block, row = divmod(day, BLOCK)
        words, are_there = self._events.words(block)
        ticks, words = self._events.placed(day, words[row][are_there[row]])
        drifts = self._drifts(self._starts(block)[row], words)
        lengths = np.diff(ticks, prepend=-1, append=self._count - 1)
        moves = np.repeat(self._steps[drifts], lengths)
        moves[ticks] -= self._sizes(drifts[:-1], words)
        return moves

    def totals_beyond(self, block: int) -> list[int]:
        """The sums of the drifts and steps back of each day."""
        words, are_there = self._events.words(block)
        totals = []
        for row, start in enumerate(self._starts(block)):
            ticks, found = self._events.placed(block * BLOCK + row, words[row][are_there[row]])
            drifts = self._drifts(start, found)
            lengths = np.diff(ticks, prepend=-1, append=self._count - 1)
            moved = (self._steps[drifts] * lengths).sum() - self._sizes(drifts[:-1], found).sum()
            totals.append(int(moved))
        return totals

    def _starts(self, block: int) -> list[int]:
        """The drift with which each day of the block begins."""
        first = self._first
        if block >= len(first):
            first = first.copy()
            while block >= len(first):
                first.append((first[-1] + sum(self._switched(len(first) - 1))) % 3)
            self._first = first
        switched = np.cumsum([first[block], *self._switched(block)][:-1]) % 3
        starts: list[int] = switched.tolist()
        return starts

    def _switched(self, block: int) -> list[int]:
        """The number of drifts by which each day of the block moves on, in their order."""
        words, are_there = self._events.words(block)
        switched: list[int] = np.where(are_there, 1 + (words & 1), 0).sum(axis=1).tolist()
        return switched

    @staticmethod
    def _drifts(start: int, words: NDArray[np.uint16]) -> NDArray[np.int64]:
        """The drifts of a day, one after the other; each event starts one of the two others."""
        moves = np.concatenate(([start], 1 + (words & 1).astype(np.int64)))
        return np.cumsum(moves) % 3

    def _sizes(self, drifts: NDArray[np.int64], words: NDArray[np.uint16]) -> NDArray[np.int64]:
        """How far the price goes back at the end of each drift."""
        least, most = (round(size * (1 << _EVEN_BITS)) for size in SWITCH_SIZES)
        halves = (words >> 1).astype(np.int64)
        parts = least + ((most - least) >> _EVEN_BITS) * (2 * halves + 1)
        return (self._back[drifts] * parts) >> _EVEN_BITS

    def distribution(
        self, known_day: int, state: int, first: Place, last: Place
    ) -> PriceDistribution:
        """Not needed: only multipliers are offered."""
        raise NotImplementedError("drift switch indices have multipliers only")


def _gained(step: float, every: int) -> float:
    """The logarithm of the mean growth of a price per tick, with a drift of `step` per tick.

    It is subtracted from each step, so that the expected price, not only its logarithm, is the same
    for each drift.
    """
    if not step:
        return 0.0
    low, high = (-step * every * size for size in SWITCH_SIZES)
    back = (math.expm1(high) - math.expm1(low)) / (high - low) - 1
    return step + math.log1p(back / every)
