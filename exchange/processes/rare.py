"""Rare events: each tick of a day has the same small probability of one.

For each day their number is drawn, which is binomial, then a random word for each event and, only
if the path of the day is needed, the ticks at which they happen: all sets of that many ticks are
equally likely. The distribution is the same as if every tick were drawn, with about a hundred
numbers instead of 86,400.
"""

from decimal import Context, Decimal
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange.processes.bits import Bits

BLOCK: Final = 512
"""The number of days whose event counts come from one call of the generator."""

_CHANCE_BITS: Final = 63


class RareEvents:
    """The events of one symbol, one in `every` ticks on average, on days of `count` ticks."""

    def __init__(self, bits: Bits, every: int, count: int) -> None:
        self._bits = bits
        self._count = count
        self._numbers = _numbers(every, count)
        self._latest: tuple[int, NDArray[np.uint16], NDArray[np.bool_]] | None = None

    def words(self, block: int) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Random words of a block, a row for each day, and a mask of those that are events."""
        latest = self._latest
        if latest is None or latest[0] != block:  # days are mostly requested in order
            latest = self._latest = (block, *self._drawn(block))
        return latest[1:]

    def _drawn(self, block: int) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        drawn = (self._bits.words(b"events", block, BLOCK) >> np.uint64(1)).astype(np.int64)
        found = np.searchsorted(self._numbers, drawn, side="right")
        width = len(self._numbers)
        words = self._bits.short_words(b"event words", block, BLOCK * width)
        return words.reshape(BLOCK, width), np.arange(width) < found[:, None]

    def day(self, day: int) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """The ticks of the day after which events happen, in order, and a random word for each."""
        words, are_there = self.words(day // BLOCK)
        return self.placed(day, words[day % BLOCK][are_there[day % BLOCK]])

    def placed(
        self, day: int, words: NDArray[np.uint16]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """The same as `day`, for a day whose words are known."""
        # Twice as many as needed: some may fall on a tick that is taken.
        raw = self._bits.words(b"event ticks", day, len(words)).astype("<u8", copy=False)
        drawn = (raw.view("<u4").astype(np.uint64) * np.uint64(self._count)) >> np.uint64(32)
        ticks, first = np.unique(drawn.astype(np.int64), return_index=True)
        taken = np.sort(np.argsort(first)[: len(words)])
        return ticks[taken], words[: len(taken)]


@cache
def _numbers(every: int, count: int) -> NDArray[np.int64]:
    """The probabilities of at most 0, 1, 2, ... events, in fixed point, up to where they reach 1.

    Computed in decimal arithmetic, which is the same on every machine.
    """
    context = Context(prec=50)
    chance = context.power(context.divide(Decimal(every - 1), Decimal(every)), Decimal(count))
    certain = (1 << _CHANCE_BITS) - 1
    found: list[int] = []
    total = Decimal(0)
    while not found or found[-1] < certain:
        total = context.add(total, chance)
        found.append(min(certain, int(context.multiply(total, Decimal(1 << _CHANCE_BITS)))))
        events = len(found)
        odds = context.divide(Decimal(count - events + 1), Decimal(events * (every - 1)))
        chance = context.multiply(chance, odds)
    return np.array(found, np.int64)
