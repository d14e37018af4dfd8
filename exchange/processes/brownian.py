"""Brownian motion of the log price: volatility indices, and symbols named after real markets.

A log price is an integer, in units of 1 / `fixedpoint.ONE`, relative to the symbol's level.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.hours import DAY, Place
from scopegate.exchange.processes.bits import Bits
from scopegate.exchange.processes.process import Process
from scopegate.exchange.processes.rare import BLOCK
from scopegate.exchange.symbols import YEAR, Symbol

_NORMALS_PER_ANCHOR: Final = 4  # one table entry has 65,536 values: too few for a day's total
_PULL_BITS: Final = 30
SD_UNIT: Final = fixedpoint.ONE // fixedpoint.NORMAL_UNIT
"""A normal table entry times this is a log price."""


class Brownian(Process):
    """Brownian motion, pulled slowly back to the symbol's level while its market is open."""

    def __init__(self, symbol: Symbol, seed: str, tables: fixedpoint.Tables) -> None:
        self._bits = Bits(seed, symbol.name)
        self._tables = tables
        self._level = float(symbol.level)
        self._grid = symbol.grid
        self._tick_sd = round(symbol.tick_sd * SD_UNIT)
        day_sd = symbol.volatility / math.sqrt(YEAR / DAY) / math.sqrt(_NORMALS_PER_ANCHOR)
        mean_day = symbol.hours.mean_day / symbol.step
        # The lists below have an item for each day of a week, beginning with that of `EARLIEST`.
        shares = [count / mean_day for count in symbol.grid.counts]
        self._anchor_sds = [round(day_sd * math.sqrt(share) * SD_UNIT) for share in shares]
        self._pulls = [round(symbol.daily_pull * share * (1 << _PULL_BITS)) for share in shares]
        self._anchors = [0]
        self._tick_variance = (self._tick_sd / SD_UNIT) ** 2
        self._convexity = round(self.convexity() * fixedpoint.ONE)

    def anchor(self, day: int) -> int:
        """The log price at the beginning of the day."""
        if day < 0:
            raise ValueError("there are no prices before 2020-01-01 00:00 UTC")
        anchors = self._anchors
        if day >= len(anchors):
            anchors = self._anchors = self._extended(anchors, day)
        return anchors[day]

    def path(self, day: int) -> NDArray[np.int64]:
        """The log prices of all ticks of the day; the first is the anchor.

        Independent normal steps, less their mean, plus a share of the day's total: this is Brownian
        motion conditional on the end of the day (a Brownian bridge), so no step of the day, or
        across midnight, differs from the others.
        """
        start, end = self.anchor(day), self.anchor(day + 1)
        count = self._grid.counts[day % 7]
        if not count:
            return np.empty(0, np.int64)
        normals = self._tables.normal[self._bits.short_words(b"ticks", day, count)]
        steps = np.multiply(normals, self._tick_sd, dtype=np.int64)
        beyond = self.beyond(day)
        share, left_over = divmod(end - start - int(beyond.sum()) - int(steps.sum()), count)
        steps += share
        steps[:left_over] += 1
        steps += beyond
        path = np.empty_like(steps)
        path[0] = start
        path[1:] = steps[:-1]  # the last step leads to the next anchor
        np.cumsum(path, out=path)
        return path

    def beyond(self, day: int) -> NDArray[np.int64]:
        """The moves from each tick of the day to the next in addition to the normal steps.

        An array of one number means the same move at every tick.
        """
        return np.zeros(1, np.int64)

    def totals_beyond(self, block: int) -> list[int]:
        """The sums of `beyond` for each day of a block."""
        return [0] * BLOCK

    def pips(self, state: int) -> int:
        """The price of a log price, in pips, rounded half to even."""
        return round(self._level * self._tables.exp(state))

    def pips_array(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """The result of `pips` for each element, exactly."""
        return np.rint(self._level * self._tables.exp_array(states)).astype(np.int64)

    def drift(self, day: int) -> float:
        """The pull to the level, the same at all ticks of the day."""
        count = self._grid.counts[day % 7]
        pulled = self._pulled(self.anchor(day), day)
        return -pulled / fixedpoint.ONE / count if count else 0.0

    def convexity(self) -> float:
        """The growth of the logarithm of the expected price per tick, without the pull.

        Half the variance, for normal steps: the mean of exp(x) is exp(variance / 2).
        """
        return self._tick_variance / 2

    def growth(self, day: int) -> int:
        """The convexity of a step, less the pull."""
        count = self._grid.counts[day % 7]
        return self._convexity - self._pulled(self.anchor(day), day) // count if count else 0

    def distribution(
        self, known_day: int, state: int, first: Place, last: Place
    ) -> PriceDistribution:
        """The normal distribution of the move.

        On `known_day` the drift is computed from the day's anchor, on later days from `state`: each
        day removes its share of the distance to the level.
        """
        count = self._grid.number(last) - self._grid.number(first)
        if known_day == first.day == last.day:  # most contracts last for minutes
            variance = count * self._tick_variance
            return PriceDistribution(count, count * self.drift(known_day), math.sqrt(variance))
        distance = ahead = state / fixedpoint.ONE
        gained, share = 0.0, 1.0
        if known_day == first.day:
            rest = self._grid.counts[first.day % 7] - first.tick
            ahead, gained = distance + rest * self.drift(known_day), rest * self._tick_variance
            share, _ = self._stretch(first.day, rest)
            first = Place(first.day + 1, 0)
        remaining, variance = self._moved(first, last)
        sd = math.sqrt(gained * remaining**2 + variance)
        return PriceDistribution(
            count, ahead * remaining - distance, sd, remaining=share * remaining
        )

    def _moved(self, first: Place, last: Place) -> tuple[float, float]:
        """The share of the distance to the level that remains at `last`, and the variance."""
        remaining, variance = 1.0, 0.0
        for share, gained in self._stretches(first, last):
            remaining, variance = remaining * share, variance * share**2 + gained
        return remaining, variance

    def _stretches(self, first: Place, last: Place) -> Iterator[tuple[float, float]]:
        if first.day == last.day:
            yield self._stretch(first.day, last.tick - first.tick)
            return
        yield self._stretch(first.day, self._grid.counts[first.day % 7] - first.tick)
        weeks, days = divmod(last.day - first.day - 1, 7)
        if weeks:
            start = Place(first.day + 1, 0)
            remaining, variance = self._moved(start, Place(start.day + 7, 0))
            yield remaining**weeks, variance * (1 - remaining ** (2 * weeks)) / (1 - remaining**2)
        for day in range(last.day - days, last.day):
            yield self._stretch(day, self._grid.counts[day % 7])
        yield self._stretch(last.day, last.tick)

    def _stretch(self, day: int, ticks: int) -> tuple[float, float]:
        count = self._grid.counts[day % 7]
        pull = self._pulls[day % 7] / (1 << _PULL_BITS)
        return 1 - pull * ticks / count if count else 1.0, ticks * self._tick_variance

    def _pulled(self, anchor: int, day: int) -> int:
        """The part of the distance to the level that the day removes."""
        return (anchor * self._pulls[day % 7]) >> _PULL_BITS  # about 2**75: not int64

    def _extended(self, anchors: list[int], day: int) -> list[int]:
        """Return the anchors, extended by whole blocks to the day or beyond."""
        anchors = anchors.copy()
        while day >= len(anchors):
            first = len(anchors) - 1
            words = self._bits.short_words(b"anchors", first // BLOCK, BLOCK * _NORMALS_PER_ANCHOR)
            normals = self._tables.normal[words].reshape(BLOCK, _NORMALS_PER_ANCHOR)
            totals = normals.sum(axis=1, dtype=np.int64).tolist()
            others = self.totals_beyond(first // BLOCK)
            for passed, total, other in zip(
                range(first, first + BLOCK), totals, others, strict=True
            ):
                moved = total * self._anchor_sds[passed % 7] + other
                anchors.append(anchors[-1] + moved - self._pulled(anchors[-1], passed))
        return anchors
