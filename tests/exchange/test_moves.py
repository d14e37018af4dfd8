"""Scripted moves: they change what comes, never what was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.exchange.feed import Feed
from scopegate.exchange.moves import AnyMove, Freeze, Move, SetPrice
from scopegate.exchange.recorded import Recording, recorded_symbol
from scopegate.exchange.series import GRANULARITIES
from scopegate.exchange.symbols import DAY, SYMBOLS, Symbol

FIRST = 1_767_268_800
"""2026-01-01 12:00 UTC."""
SPAN = 200_000
"""Seconds in which there are moves: over two midnights."""


def recorded() -> Symbol:
    """A market of a file with a tick every few seconds."""
    steps = np.random.default_rng(1).integers(1, 9, 60_000)
    pips = 50_000 + np.cumsum(np.random.default_rng(2).integers(-9, 10, 60_000))
    recording = Recording(FIRST + np.cumsum(steps), pips, 2, "digest")
    return recorded_symbol("OWN_MOVED", recording, 1)


MARKETS = [SYMBOLS["R_100"], SYMBOLS["1HZ10V"], SYMBOLS["OTC_SPC"], SYMBOLS["JD50"], recorded()]


@st.composite
def scripts(draw: st.DrawFn) -> list[AnyMove]:
    """Moves in order of time."""
    moments = sorted(draw(st.lists(st.integers(FIRST, FIRST + SPAN), min_size=1, max_size=6)))
    seconds = st.sampled_from([0.0, 1.0, 10.0, 59.5, 3_600.0, 100_000.0])
    moves: list[AnyMove] = []
    for at in moments:
        kind = draw(st.integers(0, 2))
        if kind == 0:
            moves.append(Move(at, draw(st.floats(-0.9, 5)), draw(seconds)))
        elif kind == 1:
            moves.append(SetPrice(at, draw(st.integers(1, 10**7))))
        else:
            moves.append(Freeze(at, draw(seconds)))
    return moves


def moved(symbol: Symbol, moves: list[AnyMove]) -> Feed:
    """A feed with these moves."""
    feed = Feed("moves")
    for move in moves:
        feed.move(symbol, move)
    return feed


@pytest.mark.lengthy
@given(st.sampled_from(MARKETS), scripts(), st.data())
def test_every_query_agrees_whatever_the_moves(
    symbol: Symbol, moves: list[AnyMove], data: st.DataObject
) -> None:
    feed = moved(symbol, moves)
    near = st.sampled_from([move.at for move in moves]).flatmap(
        lambda at: st.integers(at - 20, at + 20)
    )
    first, last = sorted(data.draw(near | st.integers(FIRST, FIRST + SPAN)) for _ in range(2))
    last = min(last, first + data.draw(st.sampled_from([50, 5_000, SPAN])))
    ticks = feed.ticks(symbol, first, last)
    assert (ticks.pips >= 1).all()
    for epoch, pips in list(zip(ticks.epochs.tolist(), ticks.pips.tolist(), strict=True))[:50]:
        assert feed.price(symbol, epoch) == pips
    width = data.draw(st.sampled_from(GRANULARITIES))
    expected: dict[int, list[int]] = {}
    whole = feed.ticks(symbol, first - first % width, last)
    for epoch, pips in zip(whole.epochs.tolist(), whole.pips.tolist(), strict=True):
        expected.setdefault(epoch - epoch % width, []).append(pips)
    rows = zip(
        *(column.tolist() for column in feed.candles(symbol, width, first, last)), strict=True
    )
    assert {row[0]: row[1:] for row in rows} == {
        opened: (prices[0], max(prices), min(prices), prices[-1])
        for opened, prices in expected.items()
    }
    feed.cold_days(symbol, width, first, last)


@given(st.sampled_from(MARKETS), scripts())
def test_past_ticks_never_change(symbol: Symbol, moves: list[AnyMove]) -> None:
    feed = Feed("moves")
    for move in moves:
        before = feed.ticks(symbol, FIRST - 5, move.at)
        feed.move(symbol, move)
        after = feed.ticks(symbol, FIRST - 5, move.at)
        assert np.array_equal(before.pips, after.pips)
        if before.pips.size:
            assert feed.price(symbol, move.at) == before.pips[-1]


@pytest.mark.lengthy
@given(st.sampled_from(MARKETS), scripts())
def test_the_same_moves_give_the_same_prices(symbol: Symbol, moves: list[AnyMove]) -> None:
    one = moved(symbol, moves)
    again = moved(symbol, list(one.moves(symbol)))
    span = symbol, FIRST, FIRST + SPAN
    assert np.array_equal(one.ticks(*span).pips, again.ticks(*span).pips)


def test_a_move_grows_evenly_and_stays() -> None:
    symbol = SYMBOLS["1HZ100V"]
    plain = Feed("moves").ticks(symbol, FIRST + 1, FIRST + 20).pips
    pips = moved(symbol, [Move(FIRST, -0.03, 10)]).ticks(symbol, FIRST + 1, FIRST + 20).pips
    shares = [-0.003 * k for k in range(1, 11)] + [-0.03] * 10
    assert pips.tolist() == [
        round(p * (1 + s)) for p, s in zip(plain.tolist(), shares, strict=True)
    ]


def test_moves_in_percent_multiply() -> None:
    symbol = SYMBOLS["1HZ100V"]
    feed = moved(symbol, [Move(FIRST, 0.5), Move(FIRST, -0.5), Move(FIRST + 5, 1.0)])
    plain = Feed("moves")
    for epoch, factor in ((FIRST, 1), (FIRST + 1, 0.75), (FIRST + 5, 0.75), (FIRST + 6, 1.5)):
        assert feed.price(symbol, epoch) == round(plain.price(symbol, epoch) * factor)


def test_a_price_that_is_set_is_that_of_the_next_tick() -> None:
    symbol = SYMBOLS["R_100"]  # a tick every two seconds
    feed = moved(symbol, [Move(FIRST, 0.2, 60), SetPrice(FIRST + 4, 123_456)])
    before = feed.price(symbol, FIRST + 4)
    assert feed.price(symbol, FIRST + 5) == before  # no tick yet
    assert feed.price(symbol, FIRST + 6) == 123_456
    plain = Feed("moves")
    ratio = plain.price(symbol, FIRST + 60) / plain.price(symbol, FIRST + 6)
    assert feed.price(symbol, FIRST + 60) == pytest.approx(123_456 * ratio, abs=1)


def test_a_frozen_price_stays_and_moves_on_from_there() -> None:
    symbol = SYMBOLS["1HZ100V"]
    feed, plain = moved(symbol, [Freeze(FIRST, 30)]), Feed("moves")
    frozen = plain.price(symbol, FIRST)
    assert set(feed.ticks(symbol, FIRST, FIRST + 30).pips.tolist()) == {frozen}
    ratio = plain.price(symbol, FIRST + 40) / plain.price(symbol, FIRST + 30)
    assert feed.price(symbol, FIRST + 40) == pytest.approx(frozen * ratio, abs=1)
    cut = moved(symbol, [Freeze(FIRST, 30), Move(FIRST + 10, 0.1)])
    assert set(cut.ticks(symbol, FIRST, FIRST + 10).pips.tolist()) == {frozen}
    ratio = plain.price(symbol, FIRST + 20) / plain.price(symbol, FIRST + 10)
    assert cut.price(symbol, FIRST + 20) == pytest.approx(frozen * ratio * 1.1, abs=1)


def test_other_symbols_and_other_feeds_do_not_move() -> None:
    feed = Feed("moves")
    other = feed.copy()
    feed.move(SYMBOLS["R_100"], Move(FIRST, 0.5))
    later = FIRST + DAY
    plain = Feed("moves")
    assert feed.price(SYMBOLS["R_75"], later) == plain.price(SYMBOLS["R_75"], later)
    assert other.price(SYMBOLS["R_100"], later) == plain.price(SYMBOLS["R_100"], later)
    assert feed.price(SYMBOLS["R_100"], later) != plain.price(SYMBOLS["R_100"], later)


def test_what_cannot_be_moved_is_refused() -> None:
    feed = Feed("moves")
    with pytest.raises(ValueError, match="stpRNG moves in fixed steps"):
        feed.move(SYMBOLS["stpRNG"], Move(FIRST, 0.1))
    feed.move(SYMBOLS["R_100"], Move(FIRST, 0.1))
    with pytest.raises(ValueError, match="later move"):
        feed.move(SYMBOLS["R_100"], Move(FIRST - 1, 0.1))
    assert feed.moves(SYMBOLS["R_100"]) == (Move(FIRST, 0.1),)
    assert feed.moves(SYMBOLS["R_75"]) == ()
