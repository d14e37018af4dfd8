"""Drift switch indices: drifts are seen, last as long as the name says, and do not pay."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.feed import Feed
from scopegate.exchange.processes.switches import Switches
from scopegate.exchange.symbols import DAY, SWITCH_DRIFT, SWITCH_SIZES, SYMBOLS, Symbol
from tests.effort import chosen

pytestmark = pytest.mark.slow

INDICES = [SYMBOLS["DSI10"], SYMBOLS["DSI20"]]
every_index = pytest.mark.parametrize("symbol", INDICES, ids=lambda symbol: symbol.name)


def law_of(symbol: Symbol, seed: str = "law") -> Switches:
    process = Feed(seed)._open(symbol).process
    assert isinstance(process, Switches)
    return process


def drifts(law: Switches, day: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The drift at each tick of the day, and after which ticks one ends."""
    block, row = divmod(day, 512)
    words, are_there = law._events.words(block)
    ticks, found = law._events.placed(day, words[row][are_there[row]])
    each = law._drifts(law._starts(block)[row], found)
    return np.repeat(each, np.diff(ticks, prepend=-1, append=DAY - 1)), ticks


def near(estimate: float, expected: float, error: float) -> None:
    """Within three standard errors."""
    assert abs(estimate - expected) < 3 * error


@every_index
def test_a_drift_lasts_as_long_as_the_name_says_and_then_is_another(symbol: Symbol) -> None:
    law = law_of(symbol)
    days = chosen(120, 300)
    found = [drifts(law, day) for day in range(days)]
    ends = np.concatenate([ticks + day * DAY for day, (_, ticks) in enumerate(found)])
    expected = days * DAY / symbol.every
    near(len(ends), expected, math.sqrt(expected))
    lasted = np.diff(ends)
    assert symbol.every == 60 * int(symbol.name[3:])
    near(float(lasted.mean()), symbol.every, symbol.every / math.sqrt(len(lasted)))
    near(float(lasted.std()) / symbol.every, 1, 2 / math.sqrt(len(lasted)))
    each = np.concatenate([drift for drift, _ in found])
    switched = each[ends[ends < len(each) - 1] + 1] - each[ends[ends < len(each) - 1]]
    assert (switched != 0).all()
    assert (np.diff(each)[np.isin(np.arange(len(each) - 1), ends, invert=True)] == 0).all()
    near(float((switched % 3 == 1).mean()), 0.5, 0.5 / math.sqrt(len(switched)))
    shares = np.bincount(each, minlength=3) / len(each)
    assert shares == pytest.approx([1 / 3] * 3, abs=0.02)


@every_index
def test_a_drift_is_visible_and_its_mean_total_is_taken_back(symbol: Symbol) -> None:
    law = law_of(symbol)
    days = chosen(120, 300)
    steps: list[NDArray[np.float64]] = []
    kinds: list[NDArray[np.int64]] = []
    is_end: list[NDArray[np.bool_]] = []
    for day in range(days):
        drift, ticks = drifts(law, day)
        steps.append(np.diff(law.path(day)) / fixedpoint.ONE / symbol.tick_sd)
        kinds.append(drift[:-1])
        ends = np.zeros(DAY, np.bool_)
        ends[ticks] = True
        is_end.append(ends[:-1])
    step, kind, end = map(np.concatenate, (steps, kinds, is_end))
    for number, way in enumerate((0, 1, -1)):
        before = step[(kind == number) & ~end]
        assert float(before.mean()) == pytest.approx(way * SWITCH_DRIFT, abs=0.002)
        near(float(before.std()), 1, 1 / math.sqrt(2 * len(before)))
        back = -way * step[(kind == number) & end]
        if way:
            sizes = back / SWITCH_DRIFT / symbol.every
            assert SWITCH_SIZES[0] - 0.15 < sizes.min() < sizes.max() < SWITCH_SIZES[1] + 0.15
            near(float(sizes.mean()), 1, float(sizes.std()) / math.sqrt(len(sizes)))
        # Knowing the drift gains nothing.
        those = step[kind == number]
        near(float(those.mean()), 0, float(those.std()) / math.sqrt(len(those)))
    near(float(step.mean()), 0, float(step.std()) / math.sqrt(len(step)))


@every_index
def test_the_price_is_expected_to_grow_alike_whichever_drift_there_is(symbol: Symbol) -> None:
    """Exactly: the mean of exp(step) of each drift, over all sizes of the step back."""
    law = law_of(symbol)
    parts = np.arange(0.5, 4_096) / 4_096
    sizes = SWITCH_SIZES[0] + (SWITCH_SIZES[1] - SWITCH_SIZES[0]) * parts
    for step, back in zip(law._steps / fixedpoint.ONE, law._back / fixedpoint.ONE, strict=True):
        ended = float(np.exp(step - back * sizes).mean())
        mean = math.exp(step) * (1 - 1 / symbol.every) + ended / symbol.every
        assert mean == pytest.approx(1, abs=2e-13)


@every_index
def test_a_day_ends_on_the_next_anchor_and_has_the_total_volatility(symbol: Symbol) -> None:
    law = law_of(symbol)
    for day in (0, 7, 511, 512):
        path = law.path(day)
        assert path[0] == law.anchor(day)
        steps = np.append(np.diff(path), law.anchor(day + 1) - path[-1]) - law.beyond(day)
        left_over = (steps - steps[-1]) % law._tick_sd
        assert set(left_over.tolist()) <= {0, 1}
    assert law.totals_beyond(1)[3] == law.beyond(515).sum()
    days = 6_000
    anchors = np.array([law.anchor(day) for day in range(days + 1)], np.float64) / fixedpoint.ONE
    surprises = np.diff(anchors) - np.array([law.drift(day) for day in range(days)]) * DAY
    theory = symbol.total_volatility**2 / 365
    near(float((surprises**2).mean()) / theory, 1, math.sqrt(2.1 / days))
    near(float(surprises.mean()), 0, math.sqrt(theory / days))
    assert abs(np.corrcoef(surprises[1:], surprises[:-1])[0, 1]) * math.sqrt(days) < 3


@every_index
def test_the_days_of_a_block_need_no_others(symbol: Symbol) -> None:
    """A day that is asked for first has the drift that it has after all days before it."""
    late = law_of(symbol).path(1_600)
    law = law_of(symbol)
    for day in range(1_500, 1_600, 20):
        law.path(day)
    assert (law.path(1_600) == late).all()
