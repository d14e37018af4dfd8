"""Every kind of market moves by the law that its name promises.

Statistics here are seeded: they pass or fail the same way every time. What volatility indices do
is in `test_feed`; here are the others.
"""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from scopegate.exchange import fixedpoint
from scopegate.exchange.distribution import Mixture, Walk
from scopegate.exchange.feed import Feed
from scopegate.exchange.hours import Place
from scopegate.exchange.levels import YEARLY_PULL
from scopegate.exchange.processes.brownian import Brownian
from scopegate.exchange.processes.daily_resets import DAILY_TREND
from scopegate.exchange.processes.jumps import Jumps
from scopegate.exchange.processes.process import Process
from scopegate.exchange.processes.steps import Steps
from scopegate.exchange.symbols import (
    DAY,
    EARLIEST,
    JUMP_SD,
    SPIKE_NOISE,
    SPIKE_STEP,
    STEP_BOUNDS,
    SYMBOLS,
    Symbol,
)
from tests.effort import cases, chosen

JUMPY, STEPPING = SYMBOLS["JD100"], SYMBOLS["stpRNG"]
SPIKED = [SYMBOLS[name] for name in ("BOOM150N", "BOOM300N", "BOOM500", "CRASH900", "CRASH1000")]
HOURLY = 3_600


def process(symbol: Symbol, seed: str = "law") -> Process:
    return Feed(seed)._open(symbol).process


def moves(symbol: Symbol, days: int, seed: str = "law") -> NDArray[np.float64]:
    """The steps of the log price within each day, one after the other, a row for each day."""
    law = process(symbol, seed)
    return np.stack([np.diff(law.path(day)) for day in range(days)]) / fixedpoint.ONE


def near(estimate: float, expected: float, error: float) -> None:
    """Within three standard errors."""
    assert abs(estimate - expected) < 3 * error


# --- The same bytes everywhere ------------------------------------------------------------------

FROZEN = {
    "1HZ15V": "176cc6580bb5565571f436dd9624c548d5dced11cf4fd20f33b5be14313a5144",
    "1HZ250V": "a20f66684fb8093140d13fa0d0761f9a99ddff5ef5a5a991a77a49e1a01935c3",
    "JD10": "f41f588e23e1d8844240f2638f4e7f72240d317967c4038b2f3eac7c04dcecb5",
    "JD100": "8a63d2fbfe7ec9e3f2dc1b944e44140be47d9c807d0fb7c584e365b2f29424ea",
    "BOOM300N": "9e876eb373260e873c9227c87b9ffb43987d738b2caadf8e95452a6d6ff3ab4a",
    "BOOM1000": "8b646a266ab5a5505081bd13bc3ac6deb2d59ec0330358a6b0219490aa9ae2cd",
    "CRASH500": "c64041a6f3218e9d8676ea2eca0f6c93dec5496acd104e62d25ec197aff42be6",
    "stpRNG": "c93658732078c69d301901842e1dd7d4f1066ad48b13023bf1beac4bc70fb37e",
    "RDBULL": "31f3e4b409c925fb5e55cb2146836b050d2ba6c780ac77fd75e4792e139d9a04",
    "RDBEAR": "3e25338d9cf9a36ebd559e5fc9dbdb5d295b016da79a0741ae103bdf52177906",
    "frxEURUSD": "95d6a9aebe0a5ac9edc34aeffc272f033bb8ff8993a577d3f2b7bad6f4cb0c1a",
    "frxUSDJPY": "24f7759ff61799eac7fc18adeb9a5345ff5ef175558027998585b6d1ee1d6e03",
    "frxXAUUSD": "d0abbef068e61487fc30f2f51d4aebd68118778111c5f5b8bcf71f7b9aed3dd5",
    "cryBTCUSD": "0ef6aad03e0ce1384ac99d587adf907ccb7f386ff339dc7c9f4913077a37e70f",
    "OTC_SPC": "40a5d2a06d0502e34245772836a5c3e396f60d10c2fe7fa1f09c79553b25d756",
    "frxEURJPY": "6e0c398db40ab763aea51157ed0000d1566b518d8afca220c0257422b8f4d2d2",
    "stpRNG2": "268c76c28a0813b5a0c897b0b547ae31f5f0417468bf1da54c8c30ec7b308bed",
    "stpRNG5": "7bbe4bc517c405daccfd2eab03525a3c0f162b953eb43c69f078efab97b223d0",
    "BOOM150N": "a63bcb023f72a77625f099e6aa77aecdbeb111521c8c499c63f0e4a1d5d3ffad",
    "CRASH900": "9f117dfc33fa6eb2a2646b31089e77e06f9e69313474dab31d4fbc87a38aaf35",
    "RB100": "09327e839ff046542eeee32e76dda7aa6cfe6c8ce4e0c3b33f94475dc6b46ac8",
    "RB200": "8bcda7aa2f951a81dcafcf8b5674a1d4cc7975fa49c3baf3a120ea2dcb197d07",
    "DSI10": "53da25bd3e9906407680e7b9671618a1da12eacb78f730c65c9eb89cb6439783",
    "DSI20": "2803ebb326a85ba42711d8cc0ea19c466c0928af3776ad9fda266a17e4e6a74f",
    "WLDAUD": "42f904d31b0567c5e8e2cd89c6fa0312651859b0f31251ec98406c998e79950e",
    "WLDXAU": "5e12049e89f1768389d79e13e38a7a83f56e73b3ce15df71579c3fbdd354806e",
    "cryXRPUSD": "330eda0e7072ff44ec4feec840f7e1a0e6e12080dc5ed9912f558cc8733e6064",
}


@pytest.mark.parametrize("name", FROZEN)
def test_the_markets_of_the_feed_are_frozen(name: str) -> None:
    """A digest that differs is a different market: see `test_feed`."""
    symbol = SYMBOLS[name]
    noon = EARLIEST + 2_000 * DAY + 15 * HOURLY  # a Tuesday, when all are open
    ticks = Feed("frozen").ticks(symbol, noon, noon + 5_000 * symbol.step - 1)
    assert len(ticks.epochs) == 5_000
    assert fixedpoint.digest(np.concatenate(ticks)) == FROZEN[name]


@pytest.mark.parametrize("symbol", [JUMPY, *SPIKED], ids=lambda symbol: symbol.name)
def test_a_day_ends_on_the_next_anchor_to_the_last_unit(symbol: Symbol) -> None:
    """Jumps and spikes belong to the day whose total they are in, and are as they were drawn."""
    law = process(symbol)
    assert isinstance(law, Brownian)
    for day in (0, 7, 511, 512):
        path = law.path(day)
        steps = np.append(np.diff(path), law.anchor(day + 1) - path[-1]) - law.beyond(day)
        # What is left are normal steps with one share for all.
        left_over = (steps - steps[-1]) % law._tick_sd
        assert set(left_over.tolist()) <= {0, 1}
    assert law.totals_beyond(1)[3] == law.beyond(515).sum()


# --- Jumps --------------------------------------------------------------------------------------


def test_jumps_come_three_times_an_hour_and_are_thirty_ticks_large() -> None:
    law = process(JUMPY)
    assert isinstance(law, Jumps)
    days = 400
    found = np.concatenate([each[each != 0] for each in map(law.beyond, range(days))])
    expected = days * DAY / 1_200
    near(len(found), expected, math.sqrt(expected))
    sizes = found / fixedpoint.ONE / JUMPY.tick_sd
    near(float(abs(sizes).mean()), 30, 30 * 0.756 / math.sqrt(len(sizes)))
    near(float((sizes**2).mean()) / JUMP_SD**2, 1, math.sqrt(2 / len(sizes)))
    near(float((sizes > 0).mean()), 0.5, 0.5 / math.sqrt(len(sizes)))
    places = np.concatenate([np.flatnonzero(law.beyond(day)) for day in range(days)])
    near(float(places.mean()) / DAY, 0.5, math.sqrt(1 / 12 / len(places)))
    gaps = np.diff(np.flatnonzero(law.beyond(3)))
    assert gaps.min() < 120  # a tenth of the mean: they do not keep away from each other


def test_moves_beyond_six_sigma_are_as_many_as_jumps_explain() -> None:
    steps = moves(JUMPY, 120) / JUMPY.tick_sd
    hours = steps.size / HOURLY
    share = math.erfc(6 / math.sqrt(1 + JUMP_SD**2) / math.sqrt(2))
    expected = hours * 3 * share
    near(float((abs(steps) > 6).sum()), expected, math.sqrt(expected))
    assert 2.4 < expected / hours < 2.7


@pytest.mark.parametrize(("ticks", "days"), [(1, 60), (60, 300), (3_600, 900)])
def test_jumps_add_to_the_variance_at_every_horizon(ticks: int, days: int) -> None:
    law = process(JUMPY)
    found = np.concatenate([np.diff(law.path(day)[::ticks]) for day in range(days)])
    found = found / fixedpoint.ONE
    theory = JUMPY.tick_sd**2 * ticks * (1 + JUMP_SD**2 / 1_200)
    kurtosis = float((found**4).mean()) / theory**2
    near(float((found**2).mean()) / theory, 1, math.sqrt((kurtosis - 1) / len(found)))


# --- Boom and crash -----------------------------------------------------------------------------


every_spiked = pytest.mark.parametrize(
    "symbol",
    cases(SPIKED, [SYMBOLS["BOOM150N"], SYMBOLS["CRASH900"]]),
    ids=lambda symbol: symbol.name,
)


@pytest.mark.slow
@every_spiked
def test_spikes_are_as_rare_as_the_name_says_and_pay_for_the_drift(symbol: Symbol) -> None:
    way = 1 if symbol.rises else -1
    steps = moves(symbol, 150) * way
    is_spike = steps > 20 * SPIKE_STEP
    expected = steps.size / symbol.every
    near(float(is_spike.sum()), expected, math.sqrt(expected))
    hourly = is_spike.sum() / steps.size * HOURLY
    assert hourly == pytest.approx(HOURLY / symbol.every, rel=0.05)
    spikes = steps[is_spike] / SPIKE_STEP / symbol.every
    edge = max(0.01, 2 / symbol.every)  # the noise is a larger part of smaller spikes
    assert 0.5 - edge < spikes.min() < 0.51 < 1.49 < spikes.max() < 1.5 + edge
    # The small step of its tick is taken off a spike.
    near(float(spikes.mean()), 1 - 1 / symbol.every, 1 / math.sqrt(12 * len(spikes)))
    between = steps[~is_spike] / SPIKE_STEP
    pull = way * np.mean([process(symbol).drift(day) for day in range(150)]) / SPIKE_STEP
    assert abs(pull) < 0.005
    near(float(between.mean()), float(pull) - 1, SPIKE_NOISE / math.sqrt(len(between)))
    near(float(between.std()) / SPIKE_NOISE, 1, math.sqrt(1 / 2 / len(between)))
    error = float(steps.std()) / math.sqrt(steps.size)
    near(float(steps.mean()), 0, error)  # nobody gains by waiting for spikes, nor by fleeing them


@every_spiked
def test_between_spikes_one_tick_in_thirty_thousand_goes_the_wrong_way(symbol: Symbol) -> None:
    steps = moves(symbol, 120) * (1 if symbol.rises else -1)
    wrong = float(((steps > 0) & (steps < 20 * SPIKE_STEP)).sum())
    expected = steps.size * math.erfc(4 / math.sqrt(2)) / 2
    near(wrong, expected, math.sqrt(expected))
    assert 28_000 < steps.size / expected < 33_000


@pytest.mark.slow
def test_the_small_steps_of_a_day_do_not_tell_of_its_spikes() -> None:
    """What a day's total is must not show in its first hour, or the rest would be known."""
    symbol = SYMBOLS["BOOM500"]
    steps = moves(symbol, chosen(120, 300))
    early = steps[:, :HOURLY]
    calm = np.where(early < 20 * SPIKE_STEP, early, np.nan)
    floors, rest = np.nanmean(calm, axis=1), steps[:, HOURLY:].sum(axis=1)
    # The noise is normal and tied to its own total, which tells of the noise alone.
    spikes = (steps[:, HOURLY:] > 20 * SPIKE_STEP).sum(axis=1)
    assert abs(np.corrcoef(floors, spikes)[0, 1]) * math.sqrt(len(steps)) < 3
    assert abs(np.corrcoef(floors, rest)[0, 1]) * math.sqrt(len(steps)) < 3


@pytest.mark.parametrize("symbol", [JUMPY, *SPIKED], ids=lambda symbol: symbol.name)
def test_the_total_volatility_is_that_of_a_day(symbol: Symbol) -> None:
    law = process(symbol)
    assert isinstance(law, Brownian)
    days = 20_000
    anchors = np.array([law.anchor(day) for day in range(days + 1)], np.float64) / fixedpoint.ONE
    drifts = np.array([law.drift(day) for day in range(days)]) * DAY
    surprises = np.diff(anchors) - drifts
    theory = symbol.total_volatility**2 / 365
    near(float((surprises**2).mean()) / theory, 1, math.sqrt(2.2 / days))
    near(float(surprises.mean()), 0, math.sqrt(theory / days))
    assert abs(np.corrcoef(surprises[1:], surprises[:-1])[0, 1]) * math.sqrt(days) < 3


# --- Steps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stpRNG", "stpRNG2", "stpRNG3", "stpRNG4", "stpRNG5"])
def test_every_move_is_one_step_also_at_the_bounds_and_across_midnight(name: str) -> None:
    symbol = SYMBOLS[name]
    step = int(name[6:] or 1)  # in pips, of 0.1
    law = process(symbol)
    assert isinstance(law, Steps)
    low, high = STEP_BOUNDS
    assert law.path(0)[0] == symbol.level
    for day in (0, 1, 31, 32, 2_000):
        path = np.append(law.path(day), law.path(day + 1)[:2])
        assert set(np.diff(path).tolist()) == {-step, step}
    # As far from the level as after centuries, the walk turns back.
    law._anchors = [high - 3 * step, *itertools.repeat(high - 3 * step, 40)]
    at_high = law.path(1)
    law._anchors = [low + 3 * step, *itertools.repeat(low + 3 * step, 40)]
    at_low = law.path(1)
    assert (at_high.max(), at_low.min()) == (high, low)
    for path in (at_high, at_low):
        assert set(np.diff(path).tolist()) == {-step, step}


def test_ups_are_as_many_as_downs_and_forget_the_one_before() -> None:
    law = process(STEPPING)
    steps = np.concatenate([np.diff(law.path(day)) for day in range(60)])
    near(float(steps.mean()), 0, 1 / math.sqrt(len(steps)))
    for lag in (1, 2, 63, 64):
        near(float((steps[lag:] * steps[:-lag]).mean()), 0, 1 / math.sqrt(len(steps)))
    assert isinstance(law, Steps)
    days = np.diff([law.anchor(day) for day in range(6_000)])
    near(float((days.astype(float) ** 2).mean()) / DAY, 1, math.sqrt(2 / len(days)))
    assert all(day % 2 == 0 for day in days.tolist())  # an even number of steps


def test_its_prices_are_shown_in_tenths() -> None:
    ticks = Feed("tenths").ticks(STEPPING, EARLIEST, EARLIEST + 99)
    quotes = [STEPPING.quote(pips) for pips in ticks.pips.tolist()]
    assert {f"{abs(b - a):.6f}" for a, b in itertools.pairwise(quotes)} == {"0.100000"}


# --- Daily reset --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), [("RDBULL", 1), ("RDBEAR", -1)])
def test_a_day_begins_at_the_level_and_has_its_trend(name: str, way: int) -> None:
    symbol = SYMBOLS[name]
    law = process(symbol)
    paths = np.stack([law.path(day) for day in range(chosen(250, 1_000))]) / fixedpoint.ONE
    assert (paths[:, 0] == 0).all()
    day_sd = symbol.volatility / math.sqrt(365)
    totals = paths[:, -1] / day_sd
    near(float(totals.mean()), way * DAILY_TREND, 1 / math.sqrt(len(totals)))
    near(float(totals.std()), 1, math.sqrt(1 / 2 / len(totals)))
    near(float((totals * way > 0).mean()), 0.8413, 0.365 / math.sqrt(len(totals)))
    assert abs(np.corrcoef(totals[1:], totals[:-1])[0, 1]) * math.sqrt(len(totals)) < 3
    steps = np.diff(paths[:30], axis=1) - law.drift(0)
    near(float((steps**2).mean()) / symbol.tick_sd**2, 1, math.sqrt(2 / steps.size))


# --- Markets that close -------------------------------------------------------------------------

EURO, INDEX = SYMBOLS["frxEURUSD"], SYMBOLS["OTC_SPC"]


@pytest.mark.parametrize("symbol", [EURO, INDEX], ids=lambda symbol: symbol.name)
def test_there_are_ticks_while_the_market_is_open_and_no_others(symbol: Symbol) -> None:
    first = EARLIEST + 5 * DAY  # a Monday
    ticks = Feed("week").ticks(symbol, first, first + 7 * DAY - 1)
    assert ticks.epochs.tolist() == [
        epoch for epoch in range(first, first + 7 * DAY, symbol.step) if symbol.is_open(epoch)
    ]
    weekend = first + 5 * DAY
    assert len(Feed("week").ticks(symbol, weekend, weekend + 2 * DAY - 1).epochs) == 0
    assert len(Feed("week").candles(symbol, 60, weekend, weekend + 2 * DAY - 1).epochs) == 0


@pytest.mark.parametrize("symbol", [EURO, INDEX], ids=lambda symbol: symbol.name)
def test_while_closed_the_price_is_that_of_the_last_tick(symbol: Symbol) -> None:
    feed = Feed("closed")
    saturday = EARLIEST + 3 * DAY
    last = symbol.last_tick(saturday + 40_000)
    assert last < saturday
    for epoch in (last, last + 1, last + 2, saturday, saturday + 2 * DAY - 1):
        assert feed.price(symbol, epoch) == feed.price(symbol, last)
    assert feed.last_ticks(symbol, 3, saturday).epochs[-1] == last


@pytest.mark.parametrize("symbol", [EURO, INDEX], ids=lambda symbol: symbol.name)
def test_a_year_has_its_volatility_in_the_open_time_alone(symbol: Symbol) -> None:
    """And a tick is like any other: within a session, at both its ends, and over a weekend."""
    law = process(symbol)
    assert isinstance(law, Brownian)
    weeks = chosen(250, 600)
    opened = [day for day in range(7 * weeks) if symbol.grid.counts[day % 7]]
    anchors = np.array([law.anchor(day) for day in range(7 * weeks + 1)]) / fixedpoint.ONE
    closed = [day for day in range(7 * weeks) if day not in set(opened)]
    assert all(anchors[day] == anchors[day + 1] for day in closed)
    weekly = np.diff(anchors[::7])
    near(
        float((weekly**2).mean()) / (symbol.volatility**2 * 7 / 365), 1, math.sqrt(2 / len(weekly))
    )
    edges = []
    for day in opened[: chosen(250, 600)]:
        path = law.path(day)
        assert path[0] == law.anchor(day)
        edges.append((path[1] - path[0], law.anchor(day + 1) - path[-1]))
    first, last = (np.array(edges) / fixedpoint.ONE / symbol.tick_sd).T
    for steps in (first, last):
        near(float((steps**2).mean()), 1, math.sqrt(2 / len(steps)))
    near(float((last[:-1] * first[1:]).mean()), 0, 1 / math.sqrt(len(first) - 1))


def test_the_days_of_a_currency_pair_are_normal() -> None:
    law = process(EURO)
    assert isinstance(law, Brownian)
    days = [day for day in range(20_000) if EURO.grid.counts[day % 7]]
    z = np.array(
        [
            (law.anchor(day + 1) - law.anchor(day))
            / fixedpoint.ONE
            / (EURO.tick_sd * math.sqrt(EURO.grid.counts[day % 7]))
            for day in days
        ]
    )
    count = len(z)
    near(float((z**2).mean()), 1, math.sqrt(2 / count))
    near(float((z**3).mean()), 0, math.sqrt(15 / count))
    near(float((z**4).mean()), 3, math.sqrt(96 / count))
    steps = np.concatenate([np.diff(law.path(day)) for day in days[:20]])
    z = steps / fixedpoint.ONE / EURO.tick_sd
    near(float((z**2).mean()), 1, math.sqrt(2 / len(z)))
    near(float((z**4).mean()), 3, math.sqrt(96 / len(z)))


@pytest.mark.parametrize("granularity", [60, 1_800, HOURLY, 7_200, DAY])
@pytest.mark.parametrize("symbol", [EURO, INDEX], ids=lambda symbol: symbol.name)
def test_candles_are_those_of_the_ticks_that_there_are(symbol: Symbol, granularity: int) -> None:
    feed = Feed("candles")
    first = EARLIEST + 7 * DAY + 5_000
    last = first + 5 * DAY + 50_001
    candles = feed.candles(symbol, granularity, first, last)
    ticks = feed.ticks(symbol, first - first % granularity, last)
    pairs = zip(ticks.epochs.tolist(), ticks.pips.tolist(), strict=True)
    expected = []
    for opening, group in itertools.groupby(pairs, lambda pair: pair[0] - pair[0] % granularity):
        pips = [each for _, each in group]
        expected.append((opening, pips[0], max(pips), min(pips), pips[-1]))
    assert list(zip(*(column.tolist() for column in candles), strict=True)) == expected


@pytest.mark.parametrize("granularity", [60, HOURLY, DAY])
@pytest.mark.parametrize("count", [1, 2, 30, 500])
@pytest.mark.parametrize("symbol", [EURO, INDEX, JUMPY], ids=lambda symbol: symbol.name)
def test_as_many_candles_as_are_asked_for_are_found_over_closed_days(
    symbol: Symbol, count: int, granularity: int
) -> None:
    feed = Feed("count")
    for last in (EARLIEST + 1_000 * DAY + 3_333, EARLIEST + 1_002 * DAY + 60_000):
        first = feed.first_of_candles(symbol, granularity, count, last)
        assert len(feed.candles(symbol, granularity, first, last).epochs) == count


def test_what_lies_ahead_is_counted_in_open_time() -> None:
    """The outlook over a weekend is that of the ticks that there are."""
    feed = Feed("ahead")
    friday, tuesday = EARLIEST + 9 * DAY + 70_000, EARLIEST + 13 * DAY + 10_000
    law = feed.distribution(EURO, friday, friday, tuesday)
    assert law.ticks == EURO.ticks_between(friday, tuesday) == (5_300 + DAY + 10_000) // 2
    assert law.sd == pytest.approx(EURO.tick_sd * math.sqrt(law.ticks), rel=1e-3)
    far = feed.distribution(EURO, friday, friday, tuesday + 364 * DAY)
    years = (364 + law.ticks * 2 / EURO.hours.mean_day) / 365
    pulled = -math.expm1(-2 * YEARLY_PULL * years) / (2 * YEARLY_PULL)
    assert far.sd == pytest.approx(EURO.volatility * math.sqrt(pulled), rel=0.01)


# --- What is known of what comes ----------------------------------------------------------------


def test_an_outlook_of_jumps_has_the_variance_of_the_path() -> None:
    law = process(JUMPY)
    for ticks in (1, 60, 600, 86_000):
        distribution = law.distribution(5, int(law.path(5)[0]), Place(5, 0), Place(5, ticks))
        assert isinstance(distribution, Mixture)
        assert sum(weight for weight, _ in distribution.parts) == pytest.approx(1, abs=1e-6)
        variance = sum(weight * sd**2 for weight, sd in distribution.parts)
        assert variance == pytest.approx(distribution.sd**2, rel=1e-5)
        assert distribution.sd**2 == pytest.approx(
            ticks * JUMPY.tick_sd**2 * (1 + JUMP_SD**2 / 1_200), rel=1e-6
        )


def test_an_outlook_of_steps_is_a_walk_between_the_bounds() -> None:
    law = process(STEPPING)
    distribution = law.distribution(5, 80_000, Place(5, 10), Place(6, 5))
    assert isinstance(distribution, Walk)
    assert (distribution.ticks, distribution.low, distribution.high) == (DAY - 5, *STEP_BOUNDS)
    larger = process(SYMBOLS["stpRNG5"]).distribution(5, 80_000, Place(5, 10), Place(6, 5))
    assert isinstance(larger, Walk)
    assert (distribution.size, larger.size) == (1, 5)
    assert larger.sd == pytest.approx(5 * distribution.sd)


def test_an_outlook_across_the_midnight_at_which_a_price_starts_anew_is_none() -> None:
    law = process(SYMBOLS["RDBULL"])
    with pytest.raises(NotImplementedError):
        law.distribution(5, 0, Place(5, 10), Place(6, 5))
