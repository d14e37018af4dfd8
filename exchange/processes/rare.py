"""Rare events: at which ticks of a day they come, when each tick has the same small chance.

The gaps from one to the next are drawn, not the ticks: some hundred numbers a day instead of
86,400.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exchange.processes.bits import Bits

_DAYS: Final = 32  # days that come from one call of the generator
_GAP_BITS: Final = 48
_SIZE_BITS: Final = 16


class Days(NamedTuple):
    """The events of some days; a row for each, with room for more than ever come."""

    steps: NDArray[np.int64]
    """After which tick of the day each event comes, in order; past the day's last for none."""
    words: NDArray[np.int64]
    """A 16-bit word for each event."""


class RareEvents:
    """The events of one symbol, one in `every` ticks of a day of `count`."""

    def __init__(self, bits: Bits, every: int, count: int) -> None:
        self._bits = bits
        self._survival = _survival(every)
        mean = count / every
        self._width = int(mean + 10 * mean**0.5) + 8

    def days(self, first: int, days: int) -> Days:
        """The events of some days. `first` and `days` are multiples of 32."""
        blocks = range(first // _DAYS, (first + days) // _DAYS)
        return self._read(np.concatenate([self._words(block) for block in blocks]))

    def day(self, day: int) -> Days:
        """The events of one day: two rows of one dimension."""
        steps, words = self._read(self._words(day // _DAYS)[day % _DAYS])
        return Days(steps, words)

    def _words(self, block: int) -> NDArray[np.uint64]:
        words = self._bits.words(b"events", block, _DAYS * self._width)
        return words.reshape(_DAYS, self._width)

    def _read(self, words: NDArray[np.uint64]) -> Days:
        drawn = (words >> np.uint64(_SIZE_BITS)).astype(np.int64)
        # A gap is longer than k with the chance of k ticks without an event.
        survived = len(self._survival) - np.searchsorted(self._survival, drawn, side="right")
        steps = np.cumsum(survived + 1, axis=-1, dtype=np.int64) - 1
        return Days(steps, (words & np.uint64((1 << _SIZE_BITS) - 1)).astype(np.int64))


@cache
def _survival(every: int) -> NDArray[np.int64]:
    """The chances of 1, 2, 3, ... ticks without an event, the least first, in fixed point."""
    found = []
    left = (1 << _GAP_BITS) * (every - 1) // every
    while left:
        found.append(left)
        left = left * (every - 1) // every
    return np.array(found[::-1], np.int64)
