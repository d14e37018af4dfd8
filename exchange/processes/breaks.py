"""Range break indices: a walk of single pips within a range, until the range breaks.

The range is `Symbol.every` pips wide. At a border the walk turns back; with a probability of one in
`every`, it breaks through instead: the whole range, and the price in it, moves by its width.
Turning back moves the price by one pip, a break by `every` less one, so the mean of every tick is
zero, at a border as within: neither waiting for a break nor betting on the border pays.

The state is the price itself, in pips.
"""

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.distribution import Walk
from scopegate.exchange.hours import Place
from scopegate.exchange.processes.steps import DAYS, Steps, folded
from scopegate.exchange.symbols import BREAK_BOUNDS, Symbol

_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
_MOVES = 2 * _BYTE.astype(np.int32) - 1
_BEFORE = (np.cumsum(_MOVES, axis=1) - _MOVES).astype(np.int8)
"""For each byte, the total of the steps before each of its eight steps, one per bit."""
_EIGHT = _MOVES.sum(axis=1, dtype=np.int32)


class Breaks(Steps):
    """A walk within ranges.

    It has two anchors: the walk without borders, and the number of ranges up to the present one.
    """

    def __init__(self, symbol: Symbol, seed: str, tables: fixedpoint.Tables) -> None:
        super().__init__(symbol, seed, tables)
        self._width = symbol.every
        self._base = symbol.level - self._width // 2  # the level is the middle of the first range
        self._anchors = [self._width // 2]
        self._ranges = [0]
        low, high = (round((share - 1) * symbol.level / self._width) for share in BREAK_BOUNDS)
        self._bounds = low, high
        self._breaks_below = np.uint64(2**64 // self._width)

    def range(self, day: int) -> int:
        """The number of ranges from the first up to the price's at 00:00, without bounds."""
        self.anchor(day)
        ranges = self._ranges
        if day >= len(ranges):
            ranges = ranges.copy()
            while day >= len(ranges):
                first = len(ranges) - 1
                ticks, ways = self._met(self._words(first // DAYS), self.anchor(first))
                for passed in range(first, first + DAYS):
                    begin, end = np.searchsorted(
                        ticks, [(passed - first) * self._count, (passed - first + 1) * self._count]
                    )
                    broken = self._broken(passed, int(end - begin))
                    ranges.append(ranges[-1] + int(ways[begin:end][broken].sum()))
            self._ranges = ranges
        return ranges[day]

    def path(self, day: int) -> NDArray[np.int64]:
        """The prices of all ticks of the day."""
        start = self.anchor(day)
        ticks, ways = self._met(self._words(day // DAYS)[day % DAYS], start)
        broken = self._broken(day, len(ticks))
        ticks, ways = ticks[broken] + 1, ways[broken]  # the next tick is in the new range
        is_today = ticks < self._count
        moved = np.zeros(self._count, np.int64)
        moved[0] = self.range(day)
        moved[ticks[is_today]] = ways[is_today]
        ranges = folded(np.cumsum(moved), *self._bounds)
        return self._base + folded(self.unbound(day), 0, self._width) + self._width * ranges

    def _met(
        self, words: NDArray[np.uint64], start: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ticks at which the walk is at a border, in order, and the direction of a break there.

        `words` are the bits of successive steps, `start` is the position of the walk before them.
        """
        steps = words.astype("<u8", copy=False).view(np.uint8).reshape(-1)
        moved = _EIGHT[steps]
        places = np.cumsum(moved, dtype=np.int32) + (start - moved)
        inside = places % self._width
        near = np.flatnonzero((inside < 8) | (inside > self._width - 8))
        places, inside = places[near], inside[near]
        away = np.where(inside < 8, -inside, self._width - inside).astype(np.int8)
        rows, columns = np.nonzero(_BEFORE[steps[near]] == away[:, None])
        is_upper = (places[rows] + away[rows]) // self._width % 2 == 1
        return 8 * near[rows] + columns, np.where(is_upper, 1, -1)

    def _broken(self, day: int, times: int) -> NDArray[np.bool_]:
        """Whether the range breaks, for each time that the walk is at a border on the day."""
        return self._bits.words(b"breaks", day, times) < self._breaks_below

    def distribution(self, known_day: int, state: int, first: Place, last: Place) -> Walk:
        """Raise `NotImplementedError`: only multipliers are offered, which need none."""
        raise NotImplementedError("range break indices have multipliers only")
