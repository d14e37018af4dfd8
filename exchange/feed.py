"""The price feed: history of any depth, computed instead of stored.

Rules of this module:

- A price depends on (seed, symbol, tick time) and on nothing else. Whatever is kept here is a
  cache, and may be dropped at any time without changing an answer.
- It reads no clock. The prices of tomorrow can be computed like those of yesterday, so the
  caller clips every question to the present; nobody else will.
- Up to the last step everything is integer arithmetic (see `exchange.fixedpoint`); from there on
  a price is a whole number of pips.
- Random numbers come from the raw bits of a counter-based generator, which numpy keeps stable;
  the streams of its distributions may change with a release.
- A change that alters any price increments `FEED_VERSION`.

How a price comes about: every midnight has an anchor, found from the anchor before it by one
large random step. A day is filled in between its two anchors, by itself, with one small random
step a tick. So the recursion is as long as the number of days, and any day costs the same.

A family of symbols is one process class: `path`, `pips`, `pips_array`, `drift`. What is below it
(caches, slicing, candles) only assumes that `pips` never falls as the path rises.
"""

import hashlib
import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray

from exchange import fixedpoint
from exchange.outlook import Outlook
from exchange.symbols import DAY, EARLIEST, YEAR, Symbol

FEED_VERSION: Final = 1
"""Two feeds of the same version, seed and symbol have the same history."""

HOUR: Final = 3_600

GRANULARITIES: Final = (
    60, 120, 180, 300, 600, 900, 1_800, HOUR, 7_200, 14_400, 28_800, DAY
)  # fmt: skip
"""The widths of candles, in seconds. Each divides a day."""

_ANCHOR_BLOCK: Final = 512  # days whose anchors come from one call of the generator
_NORMALS_PER_ANCHOR: Final = 4  # one table entry has 65,536 values: too few for a day's total
_PULL_BITS: Final = 30
_SD_UNIT: Final = fixedpoint.ONE // fixedpoint.NORMAL_UNIT  # a table entry * this = a log price


class Ticks(NamedTuple):
    """Ticks in order of time: epochs in seconds, prices in pips; int64 arrays of one length."""

    epochs: NDArray[np.int64]
    pips: NDArray[np.int64]


class Candles(NamedTuple):
    """Candles in order of time: opening epochs, and prices in pips; int64 arrays of one length."""

    epochs: NDArray[np.int64]
    opens: NDArray[np.int64]
    highs: NDArray[np.int64]
    lows: NDArray[np.int64]
    closes: NDArray[np.int64]


class VolatilityIndex:
    """Brownian motion of the log price, drawn slowly back to the symbol's level.

    A log price is an integer, in units of 1 / `fixedpoint.ONE`, relative to the level. Days are
    counted from `EARLIEST`; every question about a day before it raises `ValueError`.
    """

    def __init__(self, symbol: Symbol, seed: str, tables: fixedpoint.Tables) -> None:
        self._key = hashlib.blake2b(f"{seed}|{symbol.name}".encode(), digest_size=32).digest()
        self._tables = tables
        self._level = float(symbol.level)
        self._ticks = DAY // symbol.step
        day_sd = symbol.volatility / math.sqrt(YEAR / DAY)
        self._tick_sd = round(symbol.tick_sd * _SD_UNIT)
        self._anchor_sd = round(day_sd / math.sqrt(_NORMALS_PER_ANCHOR) * _SD_UNIT)
        self._pull = round(symbol.daily_pull * (1 << _PULL_BITS))
        self._anchors = [0]

    def anchor(self, day: int) -> int:
        """The log price at 00:00 of the day."""
        if day < 0:
            raise ValueError("there are no prices before 2020-01-01 00:00 UTC")
        anchors = self._anchors
        if day >= len(anchors):
            anchors = self._anchors = self._extended(anchors, day)
        return anchors[day]

    def path(self, day: int) -> NDArray[np.int64]:
        """The log prices of all ticks of the day; the first, at 00:00, is the anchor.

        Independent normal steps, less their mean, plus a share of the day's total: this is the
        law of Brownian motion given where the day ends, so no step of the day, and none across
        midnight, is unlike the others.
        """
        start, end = self.anchor(day), self.anchor(day + 1)
        normals = self._tables.normal[self._words(b"ticks", day, self._ticks)]
        steps = np.multiply(normals, self._tick_sd, dtype=np.int64)
        share, left_over = divmod(end - start - int(steps.sum()), self._ticks)
        steps += share
        steps[:left_over] += 1
        path = np.empty_like(steps)
        path[0] = start
        path[1:] = steps[:-1]  # the last step leads to the next day's anchor
        np.cumsum(path, out=path)
        return path

    def pips(self, x: int) -> int:
        """The price of one log price, in pips, rounded half to even."""
        return round(self._level * self._tables.exp(x))

    def pips_array(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """What `pips` gives for each element, exactly."""
        return np.rint(self._level * self._tables.exp_array(x)).astype(np.int64)

    def drift(self, day: int) -> float:
        """The mean step of the log price from one tick of the day to the next."""
        return -self._pulled(self.anchor(day)) / fixedpoint.ONE / self._ticks

    def outlook(self, known_day: int, x: int, first: int, last: int) -> Outlook:
        """How the log price moves from tick `first` to tick `last`, when it is `x` on `known_day`.

        Ticks are counted from `EARLIEST`. Nothing of the future is looked up: within a day the
        drift follows from the day's anchor, or from `x` where the day lies ahead of what is known,
        and every midnight takes back its share of the distance to the level.
        """
        ticks, count = self._ticks, last - first
        step_variance = (self._tick_sd / _SD_UNIT) ** 2
        day, begun = divmod(first, ticks)
        if known_day == day and begun + count <= ticks:  # most contracts last for minutes
            return Outlook(count, count * self.drift(day), math.sqrt(count * step_variance))
        pull, distance = self._pull / (1 << _PULL_BITS), x / fixedpoint.ONE
        drift = self.drift(day) if known_day == day else -pull * distance / ticks
        rest = min(ticks - begun, count)
        ahead, variance = distance + rest * drift, rest * step_variance
        days, over = divmod(count - rest, ticks)
        kept = (1 - pull) ** days
        a_day_each = (1 - kept * kept) / (1 - (1 - pull) ** 2) if days else 0.0
        ahead, variance = ahead * kept, variance * kept**2 + ticks * step_variance * a_day_each
        kept = 1 - pull * over / ticks
        ahead, variance = ahead * kept, variance * kept**2 + over * step_variance
        return Outlook(count, ahead - distance, math.sqrt(variance))

    def _pulled(self, anchor: int) -> int:
        """How much of the distance to the level the day takes back."""
        return (anchor * self._pull) >> _PULL_BITS  # about 2**75 before the shift: not int64

    def _extended(self, anchors: list[int], day: int) -> list[int]:
        """A longer list of anchors, in whole blocks, that reaches to the day or beyond."""
        anchors = anchors.copy()
        while day >= len(anchors):
            block = len(anchors) // _ANCHOR_BLOCK
            words = self._words(b"anchors", block, _ANCHOR_BLOCK * _NORMALS_PER_ANCHOR)
            normals = self._tables.normal[words].reshape(_ANCHOR_BLOCK, _NORMALS_PER_ANCHOR)
            for total in normals.sum(axis=1, dtype=np.int64).tolist():
                anchor = anchors[-1]
                anchors.append(anchor + total * self._anchor_sd - self._pulled(anchor))
        return anchors

    def _words(self, tag: bytes, block: int, count: int) -> NDArray[np.uint16]:
        """The 16-bit random words of one block; `count` is a multiple of four."""
        message = tag + block.to_bytes(8, "little")
        key = hashlib.blake2b(message, key=self._key, digest_size=16).digest()
        raw = Philox(key=int.from_bytes(key, "little")).random_raw(count // 4)
        words: NDArray[np.uint16] = raw.astype("<u8", copy=False).view("<u2")
        return words


class _Series:
    """One symbol's process, and what is kept of it.

    Kept: the paths of the two latest days asked for and of one more, the last asked for (at most
    3 x 0.7 MB), so that a reader of old days does not take today away from the live ticks. Also,
    a day, an anchor and, once asked for, 24 hourly candles (0.9 KB): for ten years some 3.5 MB.

    Threads: a worker's candles and the event loop's ticks may come here at once. A value is built
    completely, then published by one assignment, and never altered afterwards. Two threads that
    miss the same value both build it and one copy is dropped: it costs time and cannot cost a
    price. There is no lock, so the loop never waits for a worker.
    """

    __slots__ = ("_hours", "paths", "process")

    def __init__(self, process: VolatilityIndex) -> None:
        self.process = process
        self.paths: dict[int, NDArray[np.int64]] = {}
        self._hours: dict[int, NDArray[np.int64]] = {}

    def path(self, day: int) -> NDArray[np.int64]:
        """The day's path."""
        paths = self.paths
        path = paths.get(day)
        if path is None:
            path = self.process.path(day)
            latest = sorted({*paths, day})[-2:]
            self.paths = {kept: paths[kept] for kept in latest if kept != day} | {day: path}
        return path

    def hours(self, day: int) -> NDArray[np.int64]:
        """The day's 24 hourly candles: rows open, high, low, close."""
        hours = self._hours.get(day)
        if hours is None:
            path = self.path(day)
            hours = self._hours[day] = _candles(path, path, path, path, width=len(path) // 24)
        return hours


class Feed:
    """The prices of all symbols, for one seed.

    Raises `exchange.fixedpoint.TableError` on a machine that would compute other prices.
    Anybody who knows the seed knows the future: take 32 random bytes where that matters.

    Epochs are whole seconds. May be used by several threads at once (`_Series` says how).
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._tables = fixedpoint.tables()
        self._series: dict[Symbol, _Series] = {}

    def tick_epoch(self, symbol: Symbol, epoch: int) -> int:
        """The time of the last tick at or before the epoch."""
        return epoch - epoch % symbol.step

    def price(self, symbol: Symbol, epoch: int) -> int:
        """The price in pips of the last tick at or before the epoch.

        About a microsecond, or a millisecond for the first question about a day; asking for
        00:00 of tomorrow before midnight therefore keeps midnight as quick as any other second.
        Raises `ValueError` before `EARLIEST`.
        """
        series = self._series.get(symbol)
        if series is None:
            series = self._open(symbol)
        day, second = divmod(epoch - EARLIEST, DAY)
        path = series.paths.get(day)
        if path is None:
            path = series.path(day)
        return series.process.pips(path.item(second // symbol.step))

    def drift(self, symbol: Symbol, epoch: int) -> float:
        """The mean step of the log price, from tick to tick, on the day of the epoch.

        The steps' standard deviation is `Symbol.tick_sd`. Raises `ValueError` before `EARLIEST`.
        """
        return self._open(symbol).process.drift((epoch - EARLIEST) // DAY)

    def outlook(self, symbol: Symbol, known: int, first: int, last: int) -> Outlook:
        """How the log price will move from the tick at `first` to that at `last`, an epoch each.

        `known` is the epoch of the latest tick that may be used, not after `first`. Raises
        `ValueError` before `EARLIEST`.
        """
        series = self._open(symbol)
        day, second = divmod(known - EARLIEST, DAY)
        x = series.path(day).item(second // symbol.step)
        step = symbol.step
        return series.process.outlook(day, x, (first - EARLIEST) // step, (last - EARLIEST) // step)

    def ticks(self, symbol: Symbol, first: int, last: int) -> Ticks:
        """All ticks with `first` <= epoch <= `last`; none before `EARLIEST`."""
        step = symbol.step
        first = max(first + -first % step, EARLIEST)
        last = self.tick_epoch(symbol, last)
        epochs = np.arange(first, last + 1, step, dtype=np.int64)
        if last < first:
            return Ticks(epochs, epochs.copy())
        series = self._open(symbol)
        slices = [series.path(day)[low:high] for day, low, high in _days(first, last, step)]
        return Ticks(epochs, series.process.pips_array(np.concatenate(slices)))

    def last_ticks(self, symbol: Symbol, count: int, end: int) -> Ticks:
        """The latest `count` ticks at or before `end`; fewer where history begins later."""
        last = self.tick_epoch(symbol, end)
        return self.ticks(symbol, last - (count - 1) * symbol.step, last)

    def candles(self, symbol: Symbol, granularity: int, first: int, last: int) -> Candles:
        """The candles that open in [`first` aligned down, `last`], of ticks up to `last`.

        A candle of width w opens at an epoch t divisible by w and holds the ticks in [t, t + w);
        the last one may still be growing. There are none before `EARLIEST`, nor if `last` lies
        before `first`. A day not asked for before costs about a millisecond: take a worker
        thread for more than a few. Raises `ValueError` if `granularity` is none of
        `GRANULARITIES`.
        """
        if granularity not in GRANULARITIES:
            raise ValueError(f"no candles of {granularity} seconds")
        first = max(first, EARLIEST)
        if last < first:
            return Candles(*np.empty((5, 0), np.int64))
        first -= first % granularity
        step = symbol.step
        series = self._open(symbol)
        parts = []
        for day, low, high in _days(first, self.tick_epoch(symbol, last), step):
            if granularity >= HOUR and (high - low) * step == DAY:
                parts.append(_candles(*series.hours(day), width=granularity // HOUR))
            else:
                ticks = series.path(day)[low:high]
                parts.append(_candles(ticks, ticks, ticks, ticks, width=granularity // step))
        prices = series.process.pips_array(np.concatenate(parts, axis=1))
        epochs = first + granularity * np.arange(prices.shape[1], dtype=np.int64)
        return Candles(epochs, *prices)

    def _open(self, symbol: Symbol) -> _Series:
        series = self._series.get(symbol)
        if series is None:
            process = VolatilityIndex(symbol, self._seed, self._tables)
            # Where two threads come first, both take the series that got there first.
            series = self._series.setdefault(symbol, _Series(process))
        return series


def _days(first: int, last: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Each day between two ticks, and which of its ticks lie there: day, low, high (exclusive)."""
    for day in range((first - EARLIEST) // DAY, (last - EARLIEST) // DAY + 1):
        midnight = EARLIEST + day * DAY
        low = max(first - midnight, 0) // step
        high = min(last - midnight, DAY - step) // step + 1
        yield day, low, high


def _candles(
    opens: NDArray[np.int64],
    highs: NDArray[np.int64],
    lows: NDArray[np.int64],
    closes: NDArray[np.int64],
    *,
    width: int,
) -> NDArray[np.int64]:
    """Candles of `width` finer ones each, the last perhaps of fewer: rows open, high, low, close.

    A tick is the finest candle: its four prices are the same.
    """
    starts = np.arange(0, len(opens), width)
    ends = np.minimum(starts + width, len(opens)) - 1
    return np.stack(
        (
            opens[starts],
            np.maximum.reduceat(highs, starts),
            np.minimum.reduceat(lows, starts),
            closes[ends],
        )
    )
