"""Markets of files: recorded ticks as a symbol, with the hours in which they were recorded.

Rules:
- A recording is a pure value. Its ticks never change, and nothing is added to them: between two of
  them the price is that of the earlier one.
- A pause of more than `Recording.longest_pause` seconds closes the market: a session begins with a
  tick and ends at the second of the last tick before such a pause. A contract must end in the
  session in which it starts.
- Contracts are priced as if each tick moved the logarithm of the price by a normal step whose
  variance is that of all ticks of the file (the realized variance), and the price were a
  martingale.

The realized variance is the mean of the squared returns, r = ln(price / price before), over all
pairs of consecutive ticks within a session: T. G. Andersen, T. Bollerslev, F. X. Diebold, P. Labys,
"Modeling and Forecasting Realized Volatility", Econometrica 71 (2003), pp. 579-625. The window is
the whole file.
"""

import math
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange.distribution import Growth, PriceDistribution
from scopegate.exchange.hours import CLOSED, DAY, EARLIEST, Hours, Session, weekday
from scopegate.exchange.series import Candles, Series, Ticks, candles_of, joined
from scopegate.exchange.symbols import OWN_MARKET, YEAR, Motion, Symbol

SHORTEST_PAUSE: Final = 600
"""Seconds without a tick that never close a market."""
USUAL_STEPS: Final = 10
"""Nor does a pause of at most so many usual steps from one tick to the next."""
FINE: Final = 8.0
"""The standard deviation of a tick, in pips at the first price, from which types of contracts are
offered that are decided by few ticks or by last digits: as `exchange.contracts.digits` needs."""


@dataclass(frozen=True, eq=False)
class Recording:
    """The ticks of a file, in order of time, at most one for each second.

    `pips` are prices in units of 10**-`digits`. `digest` identifies the file and how it was read.
    Raises `ValueError` if there are too few ticks, or if the price never changes.
    """

    epochs: NDArray[np.int64]
    pips: NDArray[np.int64]
    digits: int
    digest: str

    def __post_init__(self) -> None:
        if len(self.epochs) < 3:
            raise ValueError("a market needs ticks in at least three seconds")
        if not self.tick_variance:
            raise ValueError("the price never changes, so no volatility can be measured")

    @cached_property
    def step(self) -> int:
        """The usual number of seconds from one tick to the next: the lower median."""
        return int(np.percentile(np.diff(self.epochs), 50, method="lower"))

    @property
    def longest_pause(self) -> int:
        """The most seconds without a tick for which the market stays open."""
        return max(SHORTEST_PAUSE, USUAL_STEPS * self.step)

    @cached_property
    def _breaks(self) -> NDArray[np.int64]:
        """The numbers of the ticks that begin a session, except the first."""
        begins: NDArray[np.int64] = np.flatnonzero(np.diff(self.epochs) > self.longest_pause) + 1
        return begins

    @cached_property
    def opens(self) -> NDArray[np.int64]:
        """The epochs at which sessions begin."""
        begins: NDArray[np.int64] = self.epochs[np.insert(self._breaks, 0, 0)]
        return begins

    @cached_property
    def closes(self) -> NDArray[np.int64]:
        """The epochs of their last ticks, at which they end."""
        ends: NDArray[np.int64] = self.epochs[np.append(self._breaks, len(self.epochs)) - 1]
        return ends

    @cached_property
    def _squares(self) -> tuple[float, int]:
        """The sum of the squared returns within sessions, and their number."""
        returns = np.delete(np.diff(np.log(self.pips)), self._breaks - 1)
        return float(np.square(returns).sum()), len(returns)

    @cached_property
    def tick_variance(self) -> float:
        """The realized variance of the log price over one tick."""
        total, count = self._squares
        return total / count if count else 0.0

    @cached_property
    def volatility(self) -> float:
        """The realized volatility in the open hours, scaled to a year that is always open."""
        total, _ = self._squares
        return math.sqrt(total * YEAR / int((self.closes - self.opens).sum()))

    @cached_property
    def _seconds(self) -> "memoryview[int]":
        """The epochs, for a search that takes a microsecond; numpy's takes seven."""
        return memoryview(array("q", self.epochs.tobytes()))

    def number(self, epoch: int) -> int:
        """The number, from 0, of the last tick at or before the epoch; -1 before the first."""
        return bisect_right(self._seconds, epoch) - 1

    def session(self, epoch: int) -> int:
        """The number of the last session that began at or before the epoch; -1 before the first."""
        return int(self.opens.searchsorted(epoch, "right")) - 1


@dataclass(frozen=True, slots=True)
class RecordedHours(Hours):
    """The sessions of a recording; `week` has the weekdays on which there are any."""

    recording: Recording
    by_day: dict[int, list[Session]] = field(repr=False)

    @classmethod
    def of(cls, recording: Recording) -> "RecordedHours":
        """The sessions of a recording, cut at each midnight."""
        by_day: defaultdict[int, list[Session]] = defaultdict(list)
        for opens, closes in zip(recording.opens.tolist(), recording.closes.tolist(), strict=True):
            for day in range((opens - EARLIEST) // DAY, (closes - EARLIEST) // DAY + 1):
                midnight = EARLIEST + day * DAY
                session = max(opens - midnight, 0), min(closes - midnight, DAY)
                if session[0] < session[1]:
                    by_day[day].append(session)
        open_days = {weekday(day) for day in by_day}
        week = tuple((0, DAY) if day in open_days else CLOSED for day in range(7))
        return cls(week, recording, dict(by_day))

    def session(self, day: int) -> Session:
        """The first opening and the last closing of a day."""
        sessions = self.by_day.get(day)
        return (sessions[0][0], sessions[-1][1]) if sessions else CLOSED

    def sessions(self, day: int) -> list[Session]:
        """The spans of a day in which the market is open, in order."""
        return self.by_day.get(day, [])

    def is_open(self, epoch: int) -> bool:
        """Whether the epoch is in a session."""
        number = self.recording.session(epoch)
        return number >= 0 and epoch < self.recording.closes[number]

    def running_or_next(self, epoch: int) -> Session:
        """The epochs at which the present or the next session opens and closes; or the last one."""
        closes = self.recording.closes
        number = min(int(closes.searchsorted(epoch, "right")), len(closes) - 1)
        return int(self.recording.opens[number]), int(closes[number])

    @property
    def mean_day(self) -> float:
        """The mean number of open seconds on a day with a session."""
        recording = self.recording
        return int((recording.closes - recording.opens).sum()) / len(self.by_day)


@dataclass(frozen=True, eq=False, kw_only=True)
class RecordedSymbol(Symbol):
    """A symbol whose ticks are those of a recording."""

    recording: Recording

    @property
    def is_coarse(self) -> bool:
        """Whether a tick moves the price by less than `FINE` pips."""
        return self.level * self.tick_sd < FINE

    def is_open(self, epoch: int) -> bool:
        """Whether its market is open at this second."""
        return self.hours.is_open(epoch)

    def has_tick(self, epoch: int) -> bool:
        """Whether there is a tick at exactly this second."""
        number = self.recording.number(epoch)
        return number >= 0 and int(self.recording.epochs[number]) == epoch

    def last_tick(self, epoch: int) -> int:
        """The epoch of the last tick at or before the epoch; before the first, `epoch` itself."""
        number = self.recording.number(epoch)
        return epoch if number < 0 else int(self.recording.epochs[number])

    def next_tick(self, epoch: int, count: int = 1) -> int:
        """The epoch of the first tick after the epoch, or of the `count`-th.

        Beyond either end of the recording, an epoch as if ticks went on in usual steps.
        """
        epochs = self.recording.epochs
        number, last = self.recording.number(epoch) + count, len(epochs) - 1
        beyond = min(number, 0) + max(number - last, 0)
        return int(epochs[min(max(number, 0), last)]) + beyond * self.step

    def ticks_between(self, first: int, last: int) -> int:
        """The number of ticks after the tick at `first`, up to and including that at `last`."""
        return self.recording.number(last) - self.recording.number(first)

    def is_continuous(self, first: int, last: int) -> bool:
        """Whether both are in one session, whose end is the last tick that may be used."""
        number = self.recording.session(first)
        return number >= 0 and last <= self.recording.closes[number]

    def market_days(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield each day of trading as the epoch of its first tick and the number of its ticks."""
        epochs = self.recording.epochs
        low = max(self.recording.number(first), 0)
        begins = self.recording.number(int(epochs[low]) // DAY * DAY - 1) + 1
        listed = epochs[begins : self.recording.number(last) + 1]
        starts = np.flatnonzero(np.diff(listed // DAY, prepend=-1)).tolist()
        for start in starts:
            opened = int(listed[start])
            midnight = (opened // DAY + 1) * DAY
            yield opened, self.recording.number(midnight - 1) - begins - start + 1

    @property
    def tick_sd(self) -> float:
        """The realized standard deviation of the log price over one tick."""
        return math.sqrt(self.recording.tick_variance)


class RecordedSeries(Series):
    """The prices of a recorded symbol.

    Cached: all candles of each width that was requested.
    """

    def __init__(self, symbol: RecordedSymbol) -> None:
        self._recording = symbol.recording
        self._variance = symbol.recording.tick_variance
        self._candles: dict[int, Candles] = {}

    def price(self, epoch: int) -> int:
        """The price of the last tick at or before the epoch; before the first, the first price."""
        recording = self._recording
        return int(recording.pips[max(recording.number(epoch), 0)])

    def drift(self, epoch: int) -> float:
        """That of a martingale: minus half the variance of a tick."""
        return -self._variance / 2

    def growth(self, epoch: int) -> Growth:
        """None: the price is taken for a martingale."""
        return Growth()

    def distribution(self, known: int, first: int, last: int) -> PriceDistribution:
        """The normal distribution of the log price over the ticks in between, at least one."""
        count = max(self._recording.number(last) - self._recording.number(first), 1)
        variance = count * self._variance
        return PriceDistribution(count, -variance / 2, math.sqrt(variance))

    def ticks(self, first: int, last: int) -> Ticks:
        """All ticks with `first` <= epoch <= `last`."""
        epochs, pips = self._recording.epochs, self._recording.pips
        span = slice(self._recording.number(first - 1) + 1, self._recording.number(last) + 1)
        return Ticks(epochs[span], pips[span])

    def candles_by_day(
        self, granularity: int, first: int, last: int
    ) -> Generator[None, None, Candles]:
        """Return the candles of a span; all are made at once (20 ms for a million ticks).

        Only the latest can be incomplete, so it is made again of the ticks up to `last`.
        """
        made = self._whole(granularity)
        yield
        begin, end = made.epochs.searchsorted((first - first % granularity, last + 1)).tolist()
        if begin >= end:
            return Candles(*(column[:0] for column in made))
        newest = int(made.epochs[end - 1])
        complete = Candles(*(column[begin : end - 1] for column in made))
        return joined(complete, candles_of(self.ticks(newest, last), granularity))

    def first_of_candles(self, granularity: int, count: int, last: int) -> int:
        """An epoch from which there are `count` candles up to `last`, or all if there are fewer."""
        epochs = self._whole(granularity).epochs
        # A candle that has opened by then may have no tick yet.
        tick = self._recording.epochs[max(self._recording.number(last), 0)]
        newest = int(epochs.searchsorted(tick, "right")) - 1
        return int(epochs[max(newest - count + 1, 0)])

    def _whole(self, granularity: int) -> Candles:
        made = self._candles.get(granularity)
        if made is None:
            ticks = Ticks(self._recording.epochs, self._recording.pips)
            made = self._candles[granularity] = candles_of(ticks, granularity)
        return made


def recorded_symbol(name: str, recording: Recording, display_order: int) -> RecordedSymbol:
    """The symbol of a recording."""
    level = int(recording.pips[0])
    is_coarse = level * math.sqrt(recording.tick_variance) < FINE
    more: dict[str, Any] = {
        "submarket": "coarse_ticks" if is_coarse else "fine_ticks",
        "submarket_display_name": "Coarse Ticks" if is_coarse else "Fine Ticks",
    }
    return RecordedSymbol(
        name=name,
        display_name=f"{name.removeprefix('OWN_')} (own market)",
        digits=recording.digits,
        step=recording.step,
        volatility=recording.volatility,
        level=level,
        market=OWN_MARKET,
        market_display_name="Own Markets",
        subgroup="none",
        subgroup_display_name="None",
        symbol_type="own",
        exchange_name="OWN",
        display_order=display_order,
        motion=Motion.RECORDED,
        hours=RecordedHours.of(recording),
        recording=recording,
        **more,
    )
