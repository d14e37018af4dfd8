"""Scripted moves of a market: prices that a test changes.

Rules:
- A moved price is a pure function of the price without moves, the time and the moves.
- A move acts on ticks after its moment `at`. Earlier ones never change, so what was sent stays.
- Moves in percent multiply: the price is that without moves times a factor, so it keeps moving as
  before meanwhile. A move over some seconds grows evenly with time.
- The exchange does not foresee moves: contracts are priced as without them, from the moved price.
- All operations are exact to the last bit on every machine: there are no logarithms or powers.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange.distribution import Growth, PriceDistribution
from scopegate.exchange.hours import DAY
from scopegate.exchange.series import Candles, Series, Ticks, candles_of, joined
from scopegate.exchange.symbols import Motion, Symbol

MAX_PIPS: Final = 10**15
"""The highest price in pips, at which moved prices stop; the lowest is one pip."""
FIXED: Final = frozenset((Motion.STEPS, Motion.BREAKS))
"""Motions in whole steps between bounds, whose prices have no factor."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change by a share of the price, -0.03 for -3 %, that grows over `seconds` after `at`.

    With 0 seconds it is there at the next tick.
    """

    at: int
    by: float
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SetPrice:
    """The next tick after `at` has this price in pips, and the price moves on from there.

    What remains of earlier moves is dropped.
    """

    at: int
    pips: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """The price stays for some seconds after `at`, and moves on from there.

    What remains of earlier moves is dropped.
    """

    at: int
    seconds: float


AnyMove: TypeAlias = Move | SetPrice | Freeze


@dataclass(frozen=True, slots=True)
class _Span:
    """How prices are changed after the epoch `after`, up to the next span."""

    after: float
    scale: float = 1.0
    moves: tuple[Move, ...] = ()
    fixed: int | None = None
    """The price in pips while it is frozen."""

    def moved(self, epochs: NDArray[np.int64], pips: NDArray[np.int64]) -> NDArray[np.int64]:
        """The changed prices of these ticks."""
        if self.fixed is not None:
            return np.full_like(pips, self.fixed)
        factors = np.full(len(epochs), self.scale)
        for move in self.moves:
            passed = 1.0 if not move.seconds else (epochs - move.at) / move.seconds
            factors *= 1.0 + move.by * np.minimum(passed, 1.0)
        changed: NDArray[np.float64] = np.clip(np.rint(pips * factors), 1, MAX_PIPS)
        return changed.astype(np.int64)


class MovedSeries(Series):
    """The prices of a symbol with moves, in the order of their moments."""

    def __init__(self, symbol: Symbol, base: Series, moves: Sequence[AnyMove] = ()) -> None:
        self.base = base
        self.moves = tuple(moves)
        self._symbol = symbol
        self._spans = [_Span(-np.inf)]
        for move in self.moves:
            self._add(move)

    def _add(self, move: AnyMove) -> None:
        # Of a freeze that would last longer, only the part up to this move remains.
        self._spans = [span for span in self._spans if span.after <= move.at]
        before = self._spans[-1]
        if before.fixed is not None:
            before = _Span(move.at, self._scale(move.at, before.fixed))
        if isinstance(move, Move):
            self._spans.append(_Span(move.at, before.scale, (*before.moves, move)))
        elif isinstance(move, SetPrice):
            scale = self._scale(self._symbol.next_tick(move.at), move.pips)
            self._spans.append(_Span(move.at, scale))
        else:
            pips, ends = self.price(move.at), move.at + move.seconds
            self._spans.append(_Span(move.at, fixed=pips))
            self._spans.append(_Span(ends, self._scale(int(ends), pips)))

    def _scale(self, epoch: int, pips: int) -> float:
        """The factor at which the last tick up to the epoch has this price."""
        return pips / self.base.price(epoch)

    def _span(self, epoch: int) -> _Span:
        """The span of a tick at this epoch."""
        return next(span for span in reversed(self._spans) if span.after < epoch)

    @property
    def built(self) -> int:
        """How many days have been computed."""
        return self.base.built

    def is_warm(self, epoch: int) -> bool:
        """Whether the price without moves is cached."""
        return self.base.is_warm(epoch)

    def price(self, epoch: int) -> int:
        """The price of the last tick at or before the epoch."""
        at = self._symbol.last_tick(epoch)
        ticks = np.array([at]), np.array([self.base.price(at)])
        return int(self._span(at).moved(*ticks)[0])

    def drift(self, epoch: int) -> float:
        """The drift without moves."""
        return self.base.drift(epoch)

    def growth(self, epoch: int) -> Growth:
        """The expected growth without moves."""
        return self.base.growth(epoch)

    def distribution(self, known: int, first: int, last: int) -> PriceDistribution:
        """The distribution without moves, which nobody foresees."""
        return self.base.distribution(known, first, last)

    def ticks(self, first: int, last: int) -> Ticks:
        """All ticks with `first` <= epoch <= `last`."""
        epochs, pips = self.base.ticks(first, last)
        parts = [np.empty(0, np.int64)]
        begins = [int(epochs.searchsorted(span.after, "right")) for span in self._spans]
        for span, begin, end in zip(self._spans, begins, [*begins[1:], len(epochs)], strict=True):
            parts.append(span.moved(epochs[begin:end], pips[begin:end]))
        return Ticks(epochs, np.concatenate(parts))

    def candles_by_day(
        self, granularity: int, first: int, last: int
    ) -> Generator[None, None, Candles]:
        """Return the candles of a span: from the day of the first move on, of their ticks."""
        first -= first % granularity
        begin = self._changed_from
        parts = [(yield from self.base.candles_by_day(granularity, first, min(last, begin - 1)))]
        for midnight in range(max(begin, first - first % DAY), last + 1, DAY):
            ticks = self.ticks(max(midnight, first), min(midnight + DAY - 1, last))
            parts.append(candles_of(ticks, granularity))
            yield
        return joined(*parts)

    @property
    def _changed_from(self) -> int:
        """The midnight before the first move."""
        return self.moves[0].at // DAY * DAY if self.moves else 1 << 40

    def first_of_candles(self, granularity: int, count: int, last: int) -> int:
        """An epoch from which there are `count` candles up to `last`, or all if there are fewer."""
        return self.base.first_of_candles(granularity, count, last)

    def cold_days(self, granularity: int, first: int, last: int) -> int:
        """Estimate how many days would have to be computed."""
        begin = self._changed_from
        days = max(last - max(begin, first), 0) // DAY + 1 if last >= begin else 0
        if first >= begin:
            return days
        return days + self.base.cold_days(granularity, first, min(last, begin - 1))
