"""A recorded symbol: its ticks are those of the file, whatever is asked."""

import bisect
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.exchange.feed import Feed
from scopegate.exchange.recorded import FINE, RecordedSymbol, Recording, recorded_symbol
from scopegate.exchange.series import GRANULARITIES
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS, YEAR

FIRST = 1_767_268_800
"""2026-01-01 12:00 UTC."""


def symbol_of(epochs: list[int], pips: list[int]) -> RecordedSymbol:
    """The symbol with these ticks."""
    recording = Recording(np.array(epochs, np.int64), np.array(pips, np.int64), 2, "digest")
    return recorded_symbol("OWN_X", recording, 1)


@st.composite
def markets(draw: st.DrawFn) -> RecordedSymbol:
    """Ticks at irregular distances, with pauses that close the market."""
    steps = draw(st.lists(st.sampled_from([1, 1, 2, 3, 60, 599, 700, 90_000]), min_size=3))
    epochs = [FIRST]
    for step in steps:
        epochs.append(epochs[-1] + step)
    pips = draw(
        st.lists(st.integers(500, 2_000), min_size=len(epochs), max_size=len(epochs), unique=True)
    )
    return symbol_of(epochs, pips)


def moments(symbol: RecordedSymbol) -> st.SearchStrategy[int]:
    """Epochs around its ticks."""
    epochs = symbol.recording.epochs.tolist()
    near = st.builds(lambda epoch, off: epoch + off, st.sampled_from(epochs), st.integers(-2, 2))
    return near | st.integers(epochs[0] - 1_000, epochs[-1] + 1_000)


@given(st.data())
def test_every_query_agrees_with_the_ticks_of_the_file(data: st.DataObject) -> None:
    symbol = data.draw(markets())
    feed = Feed("any")
    epochs, pips = symbol.recording.epochs.tolist(), symbol.recording.pips.tolist()
    first, last = sorted((data.draw(moments(symbol)), data.draw(moments(symbol))))
    count = data.draw(st.integers(1, 12))

    inside = [(e, p) for e, p in zip(epochs, pips, strict=True) if first <= e <= last]
    found = feed.ticks(symbol, first, last)
    assert list(zip(found.epochs.tolist(), found.pips.tolist(), strict=True)) == inside
    at = bisect.bisect_right(epochs, last) - 1
    assert feed.price(symbol, last) == pips[max(at, 0)]
    assert symbol.has_tick(last) == (last in epochs)
    assert symbol.last_tick(last) == (epochs[at] if at >= 0 else last)
    if at + count < len(epochs):
        assert symbol.next_tick(last, count) == epochs[at + count]
    else:
        assert symbol.next_tick(last, count) > epochs[-1]
    between = bisect.bisect_right(epochs, last) - bisect.bisect_right(epochs, first)
    assert symbol.ticks_between(first, last) == between
    newest = feed.last_ticks(symbol, count, last)
    if at >= 0:
        assert newest.epochs.tolist() == epochs[max(at + 1 - count, 0) : at + 1]


@given(st.data())
def test_candles_are_those_of_their_ticks(data: st.DataObject) -> None:
    symbol = data.draw(markets())
    feed = Feed("any")
    first, last = sorted((data.draw(moments(symbol)), data.draw(moments(symbol))))
    width = data.draw(st.sampled_from(GRANULARITIES))
    found = feed.candles(symbol, width, first, last)
    expected: dict[int, list[int]] = {}
    ticks = feed.ticks(symbol, first - first % width, last)
    for epoch, price in zip(ticks.epochs.tolist(), ticks.pips.tolist(), strict=True):
        expected.setdefault(epoch - epoch % width, []).append(price)
    rows = zip(*(column.tolist() for column in found), strict=True)
    assert {row[0]: row[1:] for row in rows} == {
        opened: (prices[0], max(prices), min(prices), prices[-1])
        for opened, prices in expected.items()
    }
    count = data.draw(st.integers(1, 20))
    begin = feed.first_of_candles(symbol, width, count, last)
    all_of_them = feed.candles(symbol, width, EARLIEST, last).epochs.tolist()
    assert feed.candles(symbol, width, begin, last).epochs.tolist() == all_of_them[-count:]


@given(st.data())
def test_the_market_is_open_from_the_first_tick_of_a_session_to_its_last(
    data: st.DataObject,
) -> None:
    symbol = data.draw(markets())
    epoch = data.draw(moments(symbol))
    epochs = symbol.recording.epochs.tolist()
    pause = symbol.recording.longest_pause
    is_open = any(a <= epoch < b and b - a <= pause for a, b in pairwise(epochs))
    assert symbol.is_open(epoch) == is_open
    if is_open:
        following = symbol.next_tick(epoch)
        assert following in epochs
        assert symbol.is_continuous(symbol.last_tick(epoch), following)
        opens, closes = symbol.hours.running_or_next(epoch)
        assert opens <= epoch < closes
        day, second = divmod(epoch - EARLIEST, DAY)
        assert any(begin <= second < end for begin, end in symbol.hours.sessions(day))
        assert symbol.hours.session_of(epoch)[0] <= second < symbol.hours.session_of(epoch)[1]


@given(st.data())
def test_days_of_trading_have_all_ticks(data: st.DataObject) -> None:
    symbol = data.draw(markets())
    epochs = symbol.recording.epochs.tolist()
    days = list(symbol.market_days(epochs[0], epochs[-1]))
    assert sum(count for _, count in days) == len(epochs)
    assert [first for first, _ in days] == [
        min(e for e in epochs if e // DAY == day) for day in sorted({e // DAY for e in epochs})
    ]


def test_volatility_is_the_realized_one_within_sessions() -> None:
    epochs = [FIRST, FIRST + 2, FIRST + 4, FIRST + 5_000, FIRST + 5_002]
    symbol = symbol_of(epochs, [1_000, 1_010, 1_000, 2_000, 2_020])
    returns = [math.log(1.01), math.log(1 / 1.01), math.log(1.01)]  # not that over the pause
    variance = sum(each * each for each in returns) / 3
    assert symbol.tick_sd == pytest.approx(math.sqrt(variance), rel=1e-12)
    a_year = sum(each * each for each in returns) * YEAR / 6
    assert symbol.volatility == pytest.approx(math.sqrt(a_year), rel=1e-12)
    assert symbol.total_volatility == symbol.volatility
    found = Feed("any").distribution(symbol, FIRST, FIRST, FIRST + 4)
    assert found.ticks == 2
    assert found.sd**2 == pytest.approx(2 * variance)
    assert found.mean == pytest.approx(-variance)  # so that the price is a martingale


def test_the_estimate_finds_the_volatility_of_a_simulated_path() -> None:
    simulated = SYMBOLS["1HZ75V"]
    ticks = Feed("estimate").ticks(simulated, FIRST, FIRST + DAY - 1)
    recording = Recording(ticks.epochs, ticks.pips, simulated.digits, "digest")
    # The standard error over 86,400 ticks is 1 / sqrt(2 * 86,400), a quarter of a percent.
    assert recording.volatility == pytest.approx(0.75, rel=0.01)
    assert math.sqrt(recording.tick_variance) == pytest.approx(simulated.tick_sd, rel=0.01)


def test_a_symbol_is_coarse_if_its_ticks_move_few_pips() -> None:
    wide = symbol_of([FIRST, FIRST + 1, FIRST + 2], [1_000, 1_009, 1_000])
    narrow = symbol_of([FIRST, FIRST + 1, FIRST + 2], [1_000, 1_007, 1_000])
    assert wide.level * wide.tick_sd > FINE > narrow.level * narrow.tick_sd
    assert (wide.is_coarse, narrow.is_coarse) == (False, True)
    assert wide.submarket != narrow.submarket


def test_symbols_are_offered_within_the_block_only() -> None:
    before, version = list(SYMBOLS), SYMBOLS.version
    one = symbol_of([FIRST, FIRST + 1, FIRST + 2], [1_000, 1_009, 1_000])
    other = symbol_of([FIRST, FIRST + 1, FIRST + 2], [1_000, 1_007, 1_000])
    with SYMBOLS.including(one):
        assert SYMBOLS["OWN_X"] is one
        assert SYMBOLS.version != version
        with SYMBOLS.including(one):
            pass
        assert SYMBOLS["OWN_X"] is one
        with pytest.raises(ValueError, match="OWN_X"), SYMBOLS.including(other):
            pass
    assert list(SYMBOLS) == before
