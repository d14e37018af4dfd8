"""Pairs and baskets: the log price is a weighted sum of independent levels.

A sum of independent Brownian motions that are pulled back at the same speed is such a motion again.
So the pull and the distribution are those of `Brownian`; only the anchors and the paths come from
the levels.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.processes.brownian import Brownian
from scopegate.exchange.symbols import Symbol


class Leg(NamedTuple):
    """A level, and its weight in the sum."""

    weight: int
    anchor: Callable[[int], int]
    """Its log price at the beginning of a day."""
    path: Callable[[int], NDArray[np.int64]]
    """Its log prices at all ticks of a day."""


class Combined(Brownian):
    """A weighted sum of levels, which have the same hours and ticks as the symbol."""

    def __init__(
        self, symbol: Symbol, seed: str, tables: fixedpoint.Tables, legs: Sequence[Leg]
    ) -> None:
        super().__init__(symbol, seed, tables)
        if symbol.exact_level is not None:
            self._level = symbol.exact_level
        self._legs = legs
        self._parts = symbol.parts

    def anchor(self, day: int) -> int:
        """The log price at the beginning of the day."""
        return sum(leg.weight * leg.anchor(day) for leg in self._legs) // self._parts

    def path(self, day: int) -> NDArray[np.int64]:
        """The log prices of all ticks of the day."""
        first, *others = self._legs
        path = first.path(day)
        path = path.copy() if first.weight == 1 else first.weight * path
        for leg in others:
            if leg.weight == -1:  # as in a pair: saves a multiplication
                path -= leg.path(day)
            else:
                path += leg.weight * leg.path(day)
        return path if self._parts == 1 else path // self._parts
