"""Range break indices: a range is kept until it breaks, and no tick has a mean."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from scopegate.exchange.feed import Feed
from scopegate.exchange.processes.breaks import Breaks
from scopegate.exchange.symbols import BREAK_BOUNDS, DAY, EARLIEST, SYMBOLS, Symbol
from tests.effort import chosen

pytestmark = pytest.mark.slow

INDICES = [SYMBOLS["RB100"], SYMBOLS["RB200"]]
every_index = pytest.mark.parametrize("symbol", INDICES, ids=lambda symbol: symbol.name)


def law_of(symbol: Symbol, seed: str = "law") -> Breaks:
    process = Feed(seed)._open(symbol).process
    assert isinstance(process, Breaks)
    return process


def path(symbol: Symbol, days: int, seed: str = "law") -> NDArray[np.int64]:
    law = law_of(symbol, seed)
    return np.concatenate([law.path(day) for day in range(days)])


def near(estimate: float, expected: float, error: float) -> None:
    """Within three standard errors."""
    assert abs(estimate - expected) < 3 * error


@every_index
def test_a_tick_moves_by_a_pip_or_breaks_the_range(symbol: Symbol) -> None:
    """Also across midnight: the days are those of one walk."""
    prices = path(symbol, 70)
    assert prices[0] == symbol.level
    assert set(abs(np.diff(prices)).tolist()) == {1, symbol.every - 1}


@every_index
def test_between_two_breaks_the_price_stays_within_one_range(symbol: Symbol) -> None:
    prices = path(symbol, 60)
    low, width = symbol.level - symbol.every // 2, symbol.every
    breaks = np.flatnonzero(abs(np.diff(prices)) > 1) + 1
    assert len(breaks) > 60
    for begin, end in zip([0, *breaks], [*breaks, len(prices)], strict=False):
        part = prices[begin:end] - low
        # A border belongs to two ranges: the one between is told by where the price is within.
        inside = part[part % width != 0]
        assert len(set((inside // width).tolist())) == 1
        number = int(inside[0]) // width
        assert number * width <= part.min() <= part.max() <= (number + 1) * width
    # A break happens at a border, and lands one pip from the far border of the next range.
    ways = np.sign(prices[breaks] - prices[breaks - 1])
    assert ((prices[breaks - 1] - low) % width == 0).all()
    assert ((prices[breaks] - low) % width == np.where(ways > 0, width - 1, 1)).all()


@every_index
def test_a_range_breaks_as_rarely_as_the_name_says_and_either_way(symbol: Symbol) -> None:
    prices = path(symbol, chosen(150, 400))
    moves = np.diff(prices)
    at_border = (prices[:-1] - symbol.level + symbol.every // 2) % symbol.every == 0
    met, broken = int(at_border.sum()), abs(moves) > 1
    assert not broken[~at_border].any()
    near(broken.sum(), met / symbol.every, math.sqrt(met / symbol.every))
    near(float((moves[broken] > 0).mean()), 0.5, 0.5 / math.sqrt(broken.sum()))
    # Breaks are independent: the times between them have a standard deviation equal to their mean.
    waits = np.diff(np.flatnonzero(broken[at_border]))
    near(float(waits.std() / waits.mean()), 1, 2 / math.sqrt(len(waits)))


@every_index
def test_no_tick_has_a_mean_wherever_the_price_is(symbol: Symbol) -> None:
    prices = path(symbol, chosen(150, 400))
    moves, place = np.diff(prices), (prices[:-1] - symbol.level + symbol.every // 2) % symbol.every
    just_broken = np.append(False, abs(moves[:-1]) > 1)
    for where in (place == 0, place == 1, place == symbol.every - 1, place > 1, just_broken):
        some = moves[where]
        assert len(some) > 250
        near(float(some.mean()), 0, float(some.std()) / math.sqrt(len(some)))


@every_index
def test_days_have_the_stated_volatility(symbol: Symbol) -> None:
    law = law_of(symbol)
    days = 2_000
    places = law._base + symbol.every * np.array([law.range(day) for day in range(days)])
    moved = np.diff(places) / symbol.level
    # Where in its range the price is at 00:00 adds some of the range's width.
    theory = symbol.total_volatility**2 / 365
    assert float((moved**2).mean()) / theory == pytest.approx(1, abs=0.12)
    near(float(moved.mean()), 0, math.sqrt(theory / days))
    near(float(np.corrcoef(moved[1:], moved[:-1])[0, 1]), 0, 1 / math.sqrt(days))


@every_index
def test_beyond_bounds_far_away_ranges_break_the_other_way(symbol: Symbol) -> None:
    law = law_of(symbol)
    law.range(40)
    low, high = (share * symbol.level for share in BREAK_BOUNDS)
    for ranges in (law._bounds[1], law._bounds[0]):
        law._ranges = [ranges] * len(law._ranges)
        found = law.path(3)
        assert low - symbol.every <= found.min() <= found.max() <= high + symbol.every
        assert set(abs(np.diff(found)).tolist()) <= {1, symbol.every - 1, symbol.every + 1}


def test_there_is_nothing_before_the_beginning() -> None:
    with pytest.raises(ValueError, match="2020-01-01"):
        Feed("law").price(INDICES[0], EARLIEST - DAY)
