"""Rare events, when each tick of a day has the same small chance of one.

Drawn for a day are their number, which is binomial, then what each brings, and only where the path
of the day is wanted the ticks at which they come, any set of so many as likely as any other. It is
the same law as if every tick were asked, for some hundred numbers instead of 86,400.
"""

from decimal import Context, Decimal
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange.processes.bits import Bits

BLOCK: Final = 512
"""Days whose numbers of events come from one call of the generator."""

_CHANCE_BITS: Final = 63


class RareEvents:
    """The events of one symbol, one in `every` ticks in the mean, on days of `count` ticks."""

    def __init__(self, bits: Bits, every: int, count: int) -> None:
        self._bits = bits
        self._count = count
        self._numbers = _numbers(every, count)
        self._kept: tuple[int, NDArray[np.uint16], NDArray[np.bool_]] | None = None

    def words(self, block: int) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """A random word for each event of a block, a row for each day, and which are there."""
        kept = self._kept
        if kept is None or kept[0] != block:  # days are mostly asked for one after the other
            kept = self._kept = (block, *self._drawn(block))
        return kept[1:]

    def _drawn(self, block: int) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        drawn = (self._bits.words(b"events", block, BLOCK) >> np.uint64(1)).astype(np.int64)
        found = np.searchsorted(self._numbers, drawn, side="right")
        width = len(self._numbers)
        words = self._bits.short_words(b"event words", block, BLOCK * width)
        return words.reshape(BLOCK, width), np.arange(width) < found[:, None]

    def day(self, day: int) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """After which ticks of the day events come, in order, and a random word for each."""
        words, are_there = self.words(day // BLOCK)
        return self.placed(day, words[day % BLOCK][are_there[day % BLOCK]])

    def placed(
        self, day: int, words: NDArray[np.uint16]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """The same, for a day whose words are known."""
        # Twice as many as needed: some may fall on a tick that is taken.
        raw = self._bits.words(b"event ticks", day, len(words)).astype("<u8", copy=False)
        drawn = (raw.view("<u4").astype(np.uint64) * np.uint64(self._count)) >> np.uint64(32)
        ticks, first = np.unique(drawn.astype(np.int64), return_index=True)
        taken = np.sort(np.argsort(first)[: len(words)])
        return ticks[taken], words[: len(taken)]


@cache
def _numbers(every: int, count: int) -> NDArray[np.int64]:
    """The chances of at most 0, 1, 2, ... events, in fixed point, up to where they are certain.

    By decimal arithmetic, which is the same on every machine.
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
