"""The price feed: history of any length, computed instead of stored.

Rules of this module:

- A price depends on (seed, symbol, tick time) and on nothing else. All state here is a cache, and
  may be dropped at any time without changing a result. The exception is `move`, which only tests
  call: moves are inputs like the seed.
- It reads no clock. Future prices can be computed like past ones, so the caller must clip every
  query to the present; no other code does.
- Up to the last step everything is integer arithmetic (see `exchange.fixedpoint`); from there on
  a price is a whole number of pips.
- A change that alters any price increments `exchange.symbols.FEED_VERSION`.

`exchange.processes` computes the prices. Here are the queries and the caches; they only assume
that `Process.pips` never decreases as the state increases. The prices of markets of files are in
`exchange.recorded`.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable
from copy import copy
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.distribution import Growth, PriceDistribution
from scopegate.exchange.hours import ALWAYS, Place
from scopegate.exchange.moves import FIXED, AnyMove, MovedSeries
from scopegate.exchange.processes.breaks import Breaks
from scopegate.exchange.processes.brownian import Brownian
from scopegate.exchange.processes.combined import Combined, Leg
from scopegate.exchange.processes.daily_resets import Resets
from scopegate.exchange.processes.jumps import Jumps
from scopegate.exchange.processes.process import Process
from scopegate.exchange.processes.spikes import Spikes
from scopegate.exchange.processes.steps import Steps
from scopegate.exchange.processes.switches import Switches
from scopegate.exchange.recorded import RecordedSeries, RecordedSymbol
from scopegate.exchange.series import GRANULARITIES, HOUR, Candles, Series, Ticks
from scopegate.exchange.symbols import DAY, EARLIEST, LEVEL_SYMBOLS, Motion, Symbol

COARSE: Final = 14_400
"""Four hours: the width of the candles of which wider ones are made."""

MAX_DAYS: Final = 30_000
"""Days from `EARLIEST` on of which it is noted what is in memory: about 80 years."""
MAX_HOURLY_DAYS: Final = 20_000
"""Days of hourly candles in memory, for all symbols together: about 18 MB."""
MAX_COARSE_DAYS: Final = 100_000
"""Days of candles of `COARSE` seconds, for all symbols together: about 31 MB."""

_PROCESSES: Final[dict[Motion, Callable[[Symbol, str, fixedpoint.Tables], Process]]] = {
    Motion.BROWNIAN: Brownian,
    Motion.JUMPS: Jumps,
    Motion.SPIKES: Spikes,
    Motion.STEPS: Steps,
    Motion.RESETS: Resets,
    Motion.BREAKS: Breaks,
    Motion.SWITCHES: Switches,
}


class _Computed(Series):
    """One symbol's process, and what is cached of it.

    Cached: the paths of the two latest days and of the day requested last (at most 3 x 0.7 MB), so
    that a reader of old days does not evict today's path, which live ticks need. Also an anchor for
    each day and, in a cache shared by all symbols, the hourly candles of requested days.

    Threads: a worker may compute candles while the event loop computes ticks. A value is built
    completely, then published by one assignment, and never altered afterwards. Two threads that
    miss the same value both build it and one copy is dropped: that costs time but cannot change a
    price. No lock is held while a value is built, so the loop never waits for a worker.
    """

    __slots__ = (
        "_coarse",
        "_grown",
        "_growth",
        "_has_ticks",
        "_hours",
        "_symbol",
        "builds",
        "grid",
        "paths",
        "process",
    )

    def __init__(
        self, symbol: Symbol, process: Process, hours: "_DayCandles", coarse: "_DayCandles"
    ) -> None:
        self._symbol = symbol
        self.grid = symbol.grid
        self.process = process
        self.paths: dict[int, NDArray[np.int64]] = {}
        self.builds = 0
        self._hours = hours
        self._coarse = coarse
        self._has_ticks = np.resize(np.array(symbol.grid.counts) > 0, MAX_DAYS)
        self._grown = [0]
        self._growth: tuple[int | None, tuple[int, int, int]] = (None, (0, 0, 0))
        """The latest result of `growth_of`, after its day."""

    def grown(self, day: int) -> int:
        """The expected growth from the beginning of history to the first tick of the day."""
        grown = self._grown
        if day >= len(grown):
            counts, growth = self.grid.counts, self.process.growth
            grown = grown.copy()
            for passed in range(len(grown) - 1, day):
                grown.append(grown[-1] + counts[passed % 7] * growth(passed))
            self._grown = grown
        return grown[day]

    def growth_of(self, day: int) -> tuple[int, int, int]:
        """The growth up to the first tick of the day, that of each tick, and when it changes."""
        known, growth = self._growth
        if known != day:
            grid = self.grid
            until = grid.epoch(grid.nth(grid.number(Place(day + 1, 0))))
            growth = (self.grown(day), self.process.growth(day), until)
            self._growth = (day, growth)
        return growth

    def path(self, day: int) -> NDArray[np.int64]:
        """The states at all ticks of the day."""
        paths = self.paths
        path = paths.get(day)
        if path is None:
            path = self.process.path(day)
            self.builds += 1
            latest = sorted({*paths, day})[-2:]
            self.paths = {number: paths[number] for number in latest if number != day} | {day: path}
        return path

    def state(self, epoch: int) -> int:
        """The state at the last tick at or before the epoch."""
        place = self.grid.place(epoch)
        return self.path(place.day).item(place.tick)

    def hours(self, day: int) -> NDArray[np.int64]:
        """The candles of all hours of the day that have ticks: rows open, high, low, close."""
        key = (self.process, day)
        hours = self._hours.get(key)
        if hours is None:
            path = self.path(day)
            a_tick = (path, path, path, path)
            step = self.grid.step
            opens = self.grid.opens(day) // step
            hours = _candles(*a_tick, before=opens, width=HOUR // step)
            self._hours.keep(key, hours)
        return hours

    def coarse(self, day: int) -> NDArray[np.int64]:
        """The candles of `COARSE` seconds of the day, in the same form."""
        key = (self.process, day)
        coarse = self._coarse.get(key)
        if coarse is None:
            width = COARSE // HOUR
            coarse = _candles(*self.hours(day), before=self.grid.opens(day) // HOUR, width=width)
            self._coarse.keep(key, coarse)
        return coarse

    @property
    def built(self) -> int:
        """How many paths have been built."""
        return self.builds

    def is_warm(self, epoch: int) -> bool:
        """Whether the path of the day is cached."""
        return self.grid.place(epoch).day in self.paths

    def price(self, epoch: int) -> int:
        """The price in pips of the last tick at or before the epoch."""
        day, index = self.grid.place(epoch)
        path = self.paths.get(day)
        if path is None:
            path = self.path(day)
        return self.process.pips(path.item(index))

    def drift(self, epoch: int) -> float:
        """The mean step of the log price on the day of the epoch."""
        return self.process.drift((epoch - EARLIEST) // DAY)

    def growth(self, epoch: int) -> Growth:
        """The expected growth of the price up to the last tick at or before the epoch."""
        day, tick = self.grid.place(epoch)
        grown, a_tick, until = self.growth_of(day)
        return Growth(grown + tick * a_tick, a_tick, until)

    def distribution(self, known: int, first: int, last: int) -> PriceDistribution:
        """The distribution of the move between two ticks."""
        place = self.grid.place
        known_day = place(known).day
        return self.process.distribution(known_day, self.state(known), place(first), place(last))

    def ticks(self, first: int, last: int) -> Ticks:
        """All ticks with `first` <= epoch <= `last`."""
        grid = self.grid
        epochs, states = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for day, low, high in grid.days(max(first, EARLIEST), last):
            opened = grid.epoch(Place(day, 0))
            epochs.append(opened + grid.step * np.arange(low, high, dtype=np.int64))
            states.append(self.path(day)[low:high])
        return Ticks(np.concatenate(epochs), self.process.pips_array(np.concatenate(states)))

    def candles_by_day(
        self, granularity: int, first: int, last: int
    ) -> Generator[None, None, Candles]:
        """Return the candles of a span; yield after each day."""
        grid, step = self.grid, self.grid.step
        epochs, parts = [np.empty(0, np.int64)], [np.empty((4, 0), np.int64)]
        first = max(first, EARLIEST)
        if last >= first:
            first -= first % granularity
        for day, low, high in grid.days(first, last):
            opens = grid.opens(day)
            if granularity >= HOUR and high - low == grid.counts[day % 7]:
                finer = COARSE if granularity >= COARSE else HOUR
                before, width = opens // finer, granularity // finer
                candles = self.coarse(day) if finer == COARSE else self.hours(day)
                part = _candles(*candles, before=before, width=width)
            else:
                before, width = opens // step + low, granularity // step
                ticks = self.path(day)[low:high]
                part = _candles(ticks, ticks, ticks, ticks, before=before, width=width)
            numbers = before // width + np.arange(part.shape[1], dtype=np.int64)
            epochs.append(EARLIEST + day * DAY + granularity * numbers)
            parts.append(part)
            yield
        prices = self.process.pips_array(np.concatenate(parts, axis=1))
        return Candles(np.concatenate(epochs), *prices)

    def first_of_candles(self, granularity: int, count: int, last: int) -> int:
        """An epoch from which there are `count` candles up to `last`, or all if there are fewer."""
        opened = last - last % granularity
        hours = self._symbol.hours
        if hours is ALWAYS:
            return opened - (count - 1) * granularity
        day = (last - EARLIEST) // DAY
        while day >= 0:
            midnight = EARLIEST + day * DAY
            opens, closes = hours.session(day)
            until = min(closes, last - midnight + 1)
            if until > opens:
                newest = (until - 1) // granularity
                count -= newest - opens // granularity + 1
                if count <= 0:
                    return midnight + (opens // granularity - count) * granularity
            day -= 1
        return EARLIEST

    def cold_days(self, granularity: int, first: int, last: int) -> int:
        """Estimate how many days' candles cannot be made of what is in memory."""
        days = slice((max(first, EARLIEST) - EARLIEST) // DAY, (last - EARLIEST) // DAY + 1)
        cold = self._has_ticks[days].copy()
        if granularity >= HOUR:
            cold &= ~self._hours.known(self.process)[days]
        if granularity >= COARSE:
            cold &= ~self._coarse.known(self.process)[days]
        return int(np.count_nonzero(cold))


class _DayCandles:
    """A cache of the candles of up to `max_days` days, of 0.9 KB each if hourly."""

    def __init__(self, max_days: int) -> None:
        self._max_days = max_days
        self._days: OrderedDict[tuple[Process, int], NDArray[np.int64]] = OrderedDict()
        self._known: dict[Process, NDArray[np.bool_]] = {}
        self._lock = threading.Lock()
        self.get = self._days.get

    def known(self, process: Process) -> NDArray[np.bool_]:
        """For each of the first `MAX_DAYS` days, whether its candles are here."""
        known = self._known.get(process)
        if known is None:
            known = self._known.setdefault(process, np.zeros(MAX_DAYS, np.bool_))
        return known

    def keep(self, key: tuple[Process, int], candles: NDArray[np.int64]) -> None:
        """Store these candles; drop the oldest day if there are too many."""
        with self._lock:  # a worker may add others; it is held for a microsecond
            self._days[key] = candles
            self._note(key, is_known=True)
            if len(self._days) > self._max_days:
                dropped, _ = self._days.popitem(last=False)
                self._note(dropped, is_known=False)

    def _note(self, key: tuple[Process, int], *, is_known: bool) -> None:
        process, day = key
        if day < MAX_DAYS:
            self.known(process)[day] = is_known


class Feed:
    """The prices of all symbols, for one seed.

    Raises `exchange.fixedpoint.TableError` on a machine that would compute other prices.
    Future prices can be computed from the seed: use 32 random bytes where that matters.

    Epochs are whole seconds. While a market is closed it has no ticks, and its price is that of
    the last tick. Several threads may use it at once (see `_Computed`).
    """

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self._tables = fixedpoint.tables()
        self._computed: dict[Symbol, _Computed] = {}
        self._series: dict[Symbol, Series] = {}
        self._hours = _DayCandles(MAX_HOURLY_DAYS)
        self._coarse = _DayCandles(MAX_COARSE_DAYS)

    def copy(self) -> "Feed":
        """Return another feed of the same seed, which shares what is computed.

        Moves of one (`move`) do not change the prices of the other.
        """
        other = copy(self)
        other._series = {}  # noqa: SLF001 - of this class
        return other

    def move(self, symbol: Symbol, move: AnyMove) -> None:
        """Change the prices after a moment, which must not be before an earlier one: for tests.

        Raises `ValueError` for a symbol that moves in steps between bounds.
        """
        if symbol.motion in FIXED:
            raise ValueError(
                f"{symbol.name} moves in fixed steps and cannot be moved: choose a symbol such as"
                " R_100"
            )
        series = self._open(symbol)
        base, moves = series, self.moves(symbol)
        if isinstance(series, MovedSeries):
            base = series.base
        if moves and move.at < moves[-1].at:
            raise ValueError(f"{symbol.name} has a later move than one at {move.at}")
        self._series[symbol] = MovedSeries(symbol, base, (*moves, move))

    def moves(self, symbol: Symbol) -> tuple[AnyMove, ...]:
        """The moves of a symbol: with the seed, all that its prices depend on."""
        series = self._series.get(symbol)
        return series.moves if isinstance(series, MovedSeries) else ()

    def is_warm(self, symbol: Symbol, epoch: int) -> bool:
        """Whether the price at this epoch is cached, so that `price` takes a microsecond."""
        series = self._series.get(symbol)
        return series is not None and series.is_warm(epoch)

    def warm(self, symbols: Iterable[Symbol], epoch: int) -> Generator[None, None, None]:
        """Compute in advance what the first requests for this epoch need.

        A generator, which may be abandoned between any two symbols.
        """
        for symbol in symbols:
            self.price(symbol, epoch)
            yield

    def price(self, symbol: Symbol, epoch: int) -> int:
        """The price in pips of the last tick at or before the epoch.

        Takes about a microsecond, or a millisecond for the first query about a day; querying 00:00
        of tomorrow before midnight therefore keeps midnight as fast as any other second. Raises
        `ValueError` before `EARLIEST`.
        """
        series = self._series.get(symbol)
        if series is None:
            series = self._open(symbol)
        return series.price(epoch)

    def drift(self, symbol: Symbol, epoch: int) -> float:
        """The mean step of the log price, from tick to tick, on the day of the epoch.

        The standard deviation of a step is `Symbol.tick_sd`. Raises `ValueError` before `EARLIEST`.
        """
        return self._open(symbol).drift(epoch)

    def growth(self, symbol: Symbol, epoch: int) -> Growth:
        """The expected growth of the price up to the last tick at or before the epoch.

        Takes about a microsecond. Uses nothing later than the first tick of that tick's day. Raises
        `ValueError` before `EARLIEST`.
        """
        return self._open(symbol).growth(epoch)

    def distribution(self, symbol: Symbol, known: int, first: int, last: int) -> PriceDistribution:
        """The distribution of the move from the tick at epoch `first` to that at epoch `last`.

        `known` is the epoch of the latest tick that may be used, not after `first`. Raises
        `ValueError` before `EARLIEST`.
        """
        return self._open(symbol).distribution(known, first, last)

    def ticks(self, symbol: Symbol, first: int, last: int) -> Ticks:
        """All ticks with `first` <= epoch <= `last`; none before `EARLIEST`."""
        return self._open(symbol).ticks(first, last)

    def last_ticks(self, symbol: Symbol, count: int, end: int) -> Ticks:
        """The latest `count` ticks at or before `end`; fewer if history begins later."""
        if end < EARLIEST or count < 1:
            return self.ticks(symbol, end + 1, end)
        last = symbol.last_tick(end)
        return self.ticks(symbol, symbol.next_tick(last, 1 - count), last)

    def candles(self, symbol: Symbol, granularity: int, first: int, last: int) -> Candles:
        """The candles that open in [`first` aligned down, `last`], of ticks up to `last`.

        A candle of width w opens at an epoch t divisible by w and holds the ticks in [t, t + w);
        the last one may be incomplete. There are none before `EARLIEST`, if `last` is before
        `first`, or while the market is closed. A day not requested before takes about a
        millisecond: use `candles_by_day` and a worker for more than a few. Raises `ValueError` if
        `granularity` is not in `GRANULARITIES`.
        """
        days = self.candles_by_day(symbol, granularity, first, last)
        while True:
            try:
                next(days)
            except StopIteration as found:
                candles: Candles = found.value
                return candles

    def candles_by_day(
        self, symbol: Symbol, granularity: int, first: int, last: int
    ) -> Generator[None, None, Candles]:
        """Return the same as `candles`; a generator, which may be abandoned after each day."""
        if granularity not in GRANULARITIES:
            raise ValueError(f"candles of {granularity} seconds are not offered")
        return (yield from self._open(symbol).candles_by_day(granularity, first, last))

    def cold_days(self, symbol: Symbol, granularity: int, first: int, last: int) -> int:
        """Estimate on how many days between two epochs candles would have to be computed."""
        return self._open(symbol).cold_days(granularity, first, last)

    def days_built(self, symbol: Symbol) -> int:
        """How many days of a symbol have been computed, some of them several times."""
        return self._open(symbol).built

    def first_of_candles(self, symbol: Symbol, granularity: int, count: int, last: int) -> int:
        """An epoch from which there are `count` candles up to `last`, or all if there are fewer."""
        return self._open(symbol).first_of_candles(granularity, count, last)

    def _open(self, symbol: Symbol) -> Series:
        series = self._series.get(symbol)
        if series is None:
            opened = (
                RecordedSeries(symbol)
                if isinstance(symbol, RecordedSymbol)
                else self._compute(symbol)
            )
            # If two threads create a series at once, both use the one that was stored first.
            series = self._series.setdefault(symbol, opened)
        return series

    def _compute(self, symbol: Symbol) -> _Computed:
        computed = self._computed.get(symbol)
        if computed is None:
            made = _Computed(symbol, self._process(symbol), self._hours, self._coarse)
            computed = self._computed.setdefault(symbol, made)
        return computed

    def _process(self, symbol: Symbol) -> Process:
        if not symbol.legs:
            return _PROCESSES[symbol.motion](symbol, self.seed, self._tables)
        legs = []
        for name, weight in symbol.legs:
            level = self._compute(LEVEL_SYMBOLS[name])  # shared by all symbols that use the level
            assert isinstance(level.process, Brownian)  # noqa: S101 - all levels are
            legs.append(Leg(weight, level.process.anchor, level.path))
        return Combined(symbol, self.seed, self._tables, legs)


def _candles(
    opens: NDArray[np.int64],
    highs: NDArray[np.int64],
    lows: NDArray[np.int64],
    closes: NDArray[np.int64],
    *,
    before: int,
    width: int,
) -> NDArray[np.int64]:
    """Merge each `width` finer candles into one: rows open, high, low, close.

    A tick is the finest candle: its four prices are the same. `before` is the number of finer
    candles that fit between 00:00 and the first one, so the first and the last candle may be of
    fewer.
    """
    starts = np.maximum(np.arange(-(before % width), len(opens), width), 0)
    ends = np.append(starts[1:], len(opens)) - 1
    return np.stack(
        (
            opens[starts],
            np.maximum.reduceat(highs, starts),
            np.minimum.reduceat(lows, starts),
            closes[ends],
        )
    )
