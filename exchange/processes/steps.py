"""Step indices: a step up or down with every tick, with equal probability.

The state is the price itself, in pips. At bounds far away the walk turns back, so that a move is
one step there too.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.distribution import Walk
from scopegate.exchange.hours import Place
from scopegate.exchange.processes.bits import Bits
from scopegate.exchange.processes.process import Process
from scopegate.exchange.symbols import STEP_BOUNDS, Symbol

DAYS: Final = 32  # the number of days that come from one call of the generator


class Steps(Process):
    """A simple random walk; its anchors are the positions of the walk without bounds."""

    def __init__(self, symbol: Symbol, seed: str, tables: fixedpoint.Tables) -> None:
        self._bits = Bits(seed, symbol.name)
        self._grid = symbol.grid
        self._count = symbol.grid.counts[0]
        self._anchors = [symbol.level]
        self._size = symbol.size

    def _words(self, block: int) -> NDArray[np.uint64]:
        """The bits of 32 days, one row each."""
        words = self._bits.words(b"steps", block, DAYS * self._count // 64)
        return words.reshape(DAYS, -1)

    def anchor(self, day: int) -> int:
        """The position of the walk without bounds at 00:00, in pips."""
        if day < 0:
            raise ValueError("there are no prices before 2020-01-01 00:00 UTC")
        anchors = self._anchors
        if day >= len(anchors):
            anchors = anchors.copy()
            while day >= len(anchors):
                block = (len(anchors) - 1) // DAYS
                ups = np.bitwise_count(self._words(block)).sum(axis=1, dtype=np.int64)
                for up in ups.tolist():
                    anchors.append(anchors[-1] + self._size * (2 * up - self._count))
            self._anchors = anchors
        return anchors[day]

    def path(self, day: int) -> NDArray[np.int64]:
        """The prices of all ticks of the day."""
        return folded(self.unbound(day), *STEP_BOUNDS)

    def unbound(self, day: int) -> NDArray[np.int64]:
        """The walk without bounds at all ticks of the day."""
        start = self.anchor(day)
        words = self._words(day // DAYS)[day % DAYS]
        bits = np.unpackbits(words.astype("<u8", copy=False).view(np.uint8), bitorder="little")
        path = np.empty(self._count, np.int64)
        path[0] = start
        np.cumsum(self._size * (2 * bits[:-1].astype(np.int64) - 1), out=path[1:])
        path[1:] += start
        return path

    def pips(self, state: int) -> int:
        """The state itself."""
        return state

    def pips_array(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """The states themselves."""
        return states

    def drift(self, day: int) -> float:
        """Return 0: the walk has no drift."""
        self.anchor(day)
        return 0.0

    def growth(self, day: int) -> int:
        """Return 0: the price itself is a martingale, as long as it is far from its bounds.

        At the beginning these are two hundred standard deviations of a day away, for a size of 1.
        """
        self.anchor(day)
        return 0

    def distribution(self, known_day: int, state: int, first: Place, last: Place) -> Walk:
        """A simple random walk from `state`, regardless of the known day."""
        count = self._grid.number(last) - self._grid.number(first)
        sd = self._size * math.sqrt(count) / state
        return Walk(count, 0.0, sd, *STEP_BOUNDS, self._size)


def folded(path: NDArray[np.int64], low: int, high: int) -> NDArray[np.int64]:
    """Fold a walk without bounds at both bounds, so that it turns back there."""
    beyond = (path - low) % (2 * (high - low))
    return low + np.minimum(beyond, 2 * (high - low) - beyond)
