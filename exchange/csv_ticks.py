"""Recordings from the lines of a CSV file of ticks or candles.

Rules, which `docs/own-market.md` explains:

- The first line names the columns; columns of other names are ignored. The time is `epoch`, `time`,
  `timestamp` or `date`. The price is `open`, `high`, `low` and `close` (candles), or else the first
  of `quote`, `price` and `close`, or else `bid` or `ask`, or their mean if both are there.
- All times of a file have the same form: epoch seconds, epoch milliseconds, or ISO 8601 with or
  without an offset from UTC (without one it is UTC).
- Lines may be in any order. Of several ticks in a second the latest counts; of several at the same
  time, that of the last line.
- A price is above 0. If the number of decimals is not given, it is that of the price with the most.
- A candle becomes four ticks: its open at its first second, its close at its last, and in between
  its low and its high, in an order and at two seconds that are drawn from the digest of the file.
  Both orders are equally likely, so the first of them does not show where the candle closes. A
  candle of less than four seconds becomes one tick, its close at its last second. All candles are
  as wide as the shortest distance between two.
- What cannot be read raises `RecordingError`, which names the line.
"""

import csv
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange.hours import EARLIEST
from scopegate.exchange.processes.bits import Bits
from scopegate.exchange.recorded import Recording
from scopegate.exchange.series import Ticks
from scopegate.exchange.symbols import MAX_RECORDED_DIGITS

TIMES: Final = ("epoch", "time", "timestamp", "date")
CANDLE: Final = ("open", "high", "low", "close")
SINGLE: Final = ("quote", "price", "close")
SIDES: Final = ("bid", "ask")

MAX_LINES: Final = 10_000_000
MAX_PIPS: Final = 10**15
LATEST: Final = 4_102_444_800
"""2100-01-01 00:00 UTC, after which there are no ticks."""
SHORTEST_PATH: Final = 4
"""Seconds of the shortest candle that becomes four ticks."""

_MILLISECONDS_FROM: Final = 10**11
"""The lowest number that is an epoch in milliseconds; as seconds it would be in the year 5138."""
_MICROSECONDS_FROM: Final = 10**14
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class RecordingError(ValueError):
    """The file is not one of ticks or candles; the text says where and what to do."""


class _Columns(NamedTuple):
    """Where the values of a line are: the numbers of its columns, with their names."""

    width: int
    """The number of all columns."""
    time: int
    prices: dict[str, int]


class _Rows(NamedTuple):
    """The values of all lines, in their order."""

    lines: "array[int]"
    moments: "array[int]"
    """In milliseconds since 1970."""
    prices: "dict[str, tuple[array[int], array[int]]]"
    """The digits of each price as a whole number, and how many of them are decimals, by column."""


def parse(
    lines: Iterable[str], digest: Callable[[], str], *, digits: int | None = None
) -> Recording:
    """The recording in the lines of a file, with this number of decimals, or else measured.

    `digest` is called when all lines are read. Raises `RecordingError`.
    """
    rows = _read(lines)
    if not rows.lines:
        raise RecordingError("line 1: there are no prices below the names of the columns")
    wanted = _decimals(rows) if digits is None else digits
    prices = {name: _scaled(rows, name, wanted) for name in rows.prices}
    _check(rows, prices)
    key = f"{digest()}:{wanted}"
    moments = np.array(rows.moments)
    order = np.argsort(moments, kind="stable")
    seconds = moments[order] // 1_000
    is_last = np.append(np.diff(seconds) > 0, True)
    kept = order[is_last]
    epochs = seconds[is_last]
    if len(prices) == len(CANDLE):
        candles = [prices[name][kept] for name in CANDLE]
        ticks = _path(epochs, *candles, bits=Bits(key, "candles"))
    elif len(prices) == len(SIDES):
        bid, ask = (prices[name][kept] for name in SIDES)
        doubled = bid + ask
        ticks = Ticks(epochs, doubled // 2 + (doubled % 4 == 3))
    else:
        [single] = prices.values()
        ticks = Ticks(epochs, single[kept])
    try:
        return Recording(ticks.epochs, ticks.pips, wanted, key)
    except ValueError as useless:
        raise RecordingError(str(useless)) from None


def _read(lines: Iterable[str]) -> _Rows:
    """Read and check every line."""
    source = iter(lines)
    header, above = _header(source)
    delimiter = max(",;\t", key=header.count)
    columns = _columns([name.strip().lower() for name in header.strip().split(delimiter)], above)
    rows = _Rows(
        array("q"), array("q"), {name: (array("q"), array("q")) for name in columns.prices}
    )
    form, form_line = "", 0
    reader = csv.reader(source, delimiter=delimiter)
    try:
        for fields in reader:
            if not any(fields):
                continue
            line = above + reader.line_num
            if len(rows.lines) >= MAX_LINES:
                raise RecordingError(
                    f"line {line}: a market has at most {MAX_LINES:,} lines: split the file"
                )
            if len(fields) != columns.width:
                raise RecordingError(
                    f"line {line}: there are {len(fields)} columns instead of {columns.width}"
                )
            moment, found = _moment(fields[columns.time].strip(), line)
            if found != form:
                if form:
                    raise RecordingError(
                        f"line {line}: the time is {found}, in line {form_line} it is {form}: use"
                        " one form in the whole file"
                    )
                form, form_line = found, line
            rows.lines.append(line)
            rows.moments.append(moment)
            for name, column in columns.prices.items():
                number, decimals = _price(fields[column].strip(), name, line)
                rows.prices[name][0].append(number)
                rows.prices[name][1].append(decimals)
    except csv.Error as problem:
        raise RecordingError(f"line {above + reader.line_num}: {problem}") from None
    return rows


def _header(source: Iterator[str]) -> tuple[str, int]:
    """The first line with any text, and its number."""
    for line, text in enumerate(source, 1):
        if text.strip():
            return text, line
    raise RecordingError("line 1: the file is empty")


def _columns(names: Sequence[str], line: int) -> _Columns:
    """The columns to read."""
    where = {name.strip('"').strip(): number for number, name in enumerate(names)}
    if len(where) < len(names):
        raise RecordingError(f"line {line}: two columns have the same name")
    times = [name for name in TIMES if name in where]
    if len(times) != 1:
        found = f"there are {' and '.join(times)}" if times else "there is none"
        raise RecordingError(
            f"line {line}: one column must be the time, named {', '.join(TIMES[:-1])} or"
            f" {TIMES[-1]}, but {found}; the first line names the columns, such as epoch,quote"
        )
    return _Columns(len(names), where[times[0]], _price_columns(where, line))


def _price_columns(where: dict[str, int], line: int) -> dict[str, int]:
    parts = [name for name in CANDLE if name in where]
    if len(parts) == len(CANDLE):
        return {name: where[name] for name in CANDLE}
    if parts and parts != ["close"]:
        missing = [name for name in CANDLE if name not in where]
        raise RecordingError(
            f"line {line}: candles need the columns {', '.join(CANDLE)}; add"
            f" {' and '.join(missing)}, or leave only close"
        )
    for name in SINGLE:
        if name in where:
            return {name: where[name]}
    sides: dict[str, int] = {name: where[name] for name in SIDES if name in where}
    if not sides:
        raise RecordingError(
            f"line {line}: no column is a price: name one {', '.join(SINGLE)}, bid or ask, or four"
            f" {', '.join(CANDLE)}"
        )
    return sides


def _moment(text: str, line: int) -> tuple[int, str]:
    """A time in milliseconds since 1970, and the name of its form."""
    if text.isdecimal() and text.isascii():
        number = int(text)
        if number >= _MICROSECONDS_FROM:
            raise RecordingError(
                f"line {line}: the time {text[:40]} must be an epoch in seconds or milliseconds"
            )
        is_fine = number >= _MILLISECONDS_FROM
        form = "epoch milliseconds" if is_fine else "epoch seconds"
        moment = number if is_fine else number * 1_000
    else:
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            moment, form = _fractional(text, line), "epoch seconds"
        else:
            form = "ISO 8601 without an offset" if parsed.tzinfo is None else "ISO 8601 with one"
            zoned = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed
            moment = (zoned - _BEGINNING) // timedelta(milliseconds=1)
    if not EARLIEST * 1_000 <= moment < LATEST * 1_000:
        raise RecordingError(
            f"line {line}: the time {text[:40]} must be from 2020-01-01 to 2100-01-01 UTC, as epoch"
            " seconds, epoch milliseconds or ISO 8601"
        )
    return moment, form


def _fractional(text: str, line: int) -> int:
    """Milliseconds from seconds with decimals."""
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        seconds = Decimal("NaN")
    if not seconds.is_finite() or abs(seconds) >= _MILLISECONDS_FROM:
        raise RecordingError(
            f"line {line}: {text[:40]!r} is not a time: use epoch seconds, epoch milliseconds or"
            " ISO 8601, such as 2026-01-31T12:00:00Z"
        )
    return int(seconds * 1_000 // 1)


def _price(text: str, name: str, line: int) -> tuple[int, int]:
    """The digits of a price as a whole number, and how many of them are decimals."""
    whole, _, fraction = text.partition(".")
    joined = whole + fraction
    if not (joined.isdecimal() and joined.isascii() and len(joined) <= 15):
        joined, fraction = _plain(text, name, line)
    number = int(joined)
    if not number:
        raise RecordingError(f"line {line}: {name} must be above 0, not {text[:40]}")
    return number, len(fraction)


def _plain(text: str, name: str, line: int) -> tuple[str, str]:
    """The digits of a number in another form, such as 1e-5, and its decimals."""
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite():
        what = f"{text[:40]!r} is not a price" if text else "the price is missing"
        raise RecordingError(f"line {line}: {name}: {what}; write it such as 2400.10")
    if price <= 0:
        raise RecordingError(f"line {line}: {name} must be above 0, not {text[:40]}")
    if not -15 <= price.adjusted() <= 14:
        raise RecordingError(f"line {line}: {name} is too large or too small: {text[:40]}")
    whole, _, fraction = f"{price:f}".partition(".")
    fraction = fraction[: 15 - len(whole.lstrip("0"))]
    return whole + fraction, fraction


def _decimals(rows: _Rows) -> int:
    """The most decimals of any price, at least one."""
    most, line = 1, 0
    for _, decimals in rows.prices.values():
        found = np.array(decimals)
        if int(found.max()) > most:
            most, line = int(found.max()), rows.lines[int(found.argmax())]
    if most > MAX_RECORDED_DIGITS:
        raise RecordingError(
            f"line {line}: the price has {most} decimals, more than {MAX_RECORDED_DIGITS}: give the"
            " number to which prices are rounded, such as NAME=FILE:5"
        )
    return most


def _scaled(rows: _Rows, name: str, digits: int) -> NDArray[np.int64]:
    """The prices of a column in pips, rounded half to even."""
    numbers, decimals = (np.array(column) for column in rows.prices[name])
    scaled = np.zeros_like(numbers)
    for had in np.unique(decimals).tolist():
        those = decimals == had
        if had <= digits:
            factor = 10 ** (digits - had)
            fits = numbers[those] <= MAX_PIPS // factor
            scaled[those] = np.where(fits, numbers[those], 0) * factor
        else:
            factor = 10 ** (had - digits)
            whole, rest = np.divmod(numbers[those], factor)
            scaled[those] = whole + (2 * rest + whole % 2 > factor)
    unusable = np.flatnonzero(scaled <= 0)
    if unusable.size:
        raise RecordingError(
            f"line {rows.lines[int(unusable[0])]}: {name} does not fit {digits} decimals"
        )
    return scaled


def _check(rows: _Rows, prices: dict[str, NDArray[np.int64]]) -> None:
    """Raise `RecordingError` for a high below another price, and the like."""
    if len(prices) == len(CANDLE):
        opens, highs, lows, closes = (prices[name] for name in CANDLE)
        wrong = (highs < np.maximum(opens, closes)) | (lows > np.minimum(opens, closes))
        what = "high must be the highest of the four prices, and low the lowest"
    elif len(prices) == len(SIDES):
        bid, ask = (prices[name] for name in SIDES)
        wrong, what = ask < bid, "ask must not be below bid"
    else:
        return
    found = np.flatnonzero(wrong)
    if found.size:
        raise RecordingError(f"line {rows.lines[int(found[0])]}: {what}")


def _path(
    epochs: NDArray[np.int64],
    opens: NDArray[np.int64],
    highs: NDArray[np.int64],
    lows: NDArray[np.int64],
    closes: NDArray[np.int64],
    *,
    bits: Bits,
) -> Ticks:
    """The ticks of candles."""
    if len(epochs) == 1:
        raise RecordingError("one candle has no known width: add another")
    width = int(np.diff(epochs).min())
    if width < SHORTEST_PATH:
        return Ticks(epochs + width - 1, closes)
    coins, early, late = bits.words(b"path", 0, 3 * len(epochs)).reshape(3, -1)
    between = np.uint64(width - 2)
    # Two different seconds of those between the first and the last.
    one = (early % between).astype(np.int64)
    other = (late % (between - np.uint64(1))).astype(np.int64)
    other += other >= one
    low_first = coins % np.uint64(2) == 0
    moments = np.stack(
        (
            epochs,
            epochs + 1 + np.minimum(one, other),
            epochs + 1 + np.maximum(one, other),
            epochs + width - 1,
        ),
        axis=1,
    )
    pips = np.stack(
        (
            opens,
            np.where(low_first, lows, highs),
            np.where(low_first, highs, lows),
            closes,
        ),
        axis=1,
    )
    return Ticks(moments.ravel(), pips.ravel())
