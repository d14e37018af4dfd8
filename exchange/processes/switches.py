"""Drift switch indices: Brownian motion with an upward, a downward or no drift.

One tick in `Symbol.every` ends the drift, and one of the two others begins. With the last tick of
an upward or downward drift the price goes back, on average by the mean total of such a drift. So
the mean of every tick is zero for each drift, and following a trend does not pay.
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

_EVEN_BITS = 16  # the upper 15 bits w of a word mean (2 w + 1) / 2**16, uniform between 0 and 1
_WAYS = (0, 1, -1)
"""The direction of each of the three drifts."""


class Switches(Brownian):
    """Brownian motion with drifts, and a step back at the end of each.

    Both belong to a day, as jumps do; the first day begins without a drift.
    """

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
        """The drifts and steps back of the day."""
        block, row = divmod(day, BLOCK)
        words, are_there = self._events.words(block)
        ticks, words = self._events.placed(day, words[row][are_there[row]])
        drifts = self._drifts(self._starts(block)[row], words)
        lengths = np.diff(ticks, prepend=-1, append=self._count - 1)
        moves = np.repeat(self._steps[drifts], lengths)
        moves[ticks] -= self._sizes(drifts[:-1], words)
        return moves

    def totals_beyond(self, block: int) -> list[int]:
        """The sum of the drifts and steps back of each day of a block."""
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
        """The drift with which each day of the block begins, as an index of `_WAYS`."""
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
        """The number of places in `_WAYS` by which each day of the block advances the drift."""
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
        """Raise `NotImplementedError`: only multipliers are offered, which need none."""
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
