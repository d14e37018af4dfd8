"""Currencies and metals have one level each, so that all prices that are quoted in them agree."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from scopegate.exchange import fixedpoint
from scopegate.exchange.feed import Feed
from scopegate.exchange.hours import Place
from scopegate.exchange.levels import LEVELS
from scopegate.exchange.processes.brownian import Brownian
from scopegate.exchange.rates import Rates
from scopegate.exchange.symbols import DAY, EARLIEST, LEVEL_SYMBOLS, SYMBOLS, Symbol
from tests.effort import chosen

FEED = Feed("pairs")
PAIRS = {
    tuple(name for name, _ in symbol.legs): symbol
    for symbol in SYMBOLS.values()
    if symbol.name.startswith("frx")
}
TRIANGLES = [
    (PAIRS[a, b], PAIRS[b, c], PAIRS[a, c])
    for a, b, c in itertools.permutations(LEVELS, 3)
    if {(a, b), (b, c), (a, c)} <= PAIRS.keys()
]
EURO, YEN, CROSS = SYMBOLS["frxEURUSD"], SYMBOLS["frxUSDJPY"], SYMBOLS["frxEURJPY"]
WEEKDAYS = [EARLIEST + day * DAY for day in (0, 5, 511, 512, 2_000, 2_525)]


def near(estimate: float, expected: float, error: float) -> None:
    """Within three standard errors."""
    assert abs(estimate - expected) < 3 * error


def law_of(symbol: Symbol, seed: str = "law") -> Brownian:
    process = Feed(seed)._open(symbol).process
    assert isinstance(process, Brownian)
    return process


def test_there_are_as_many_triangles_as_the_pairs_make() -> None:
    assert len(PAIRS) == 31
    assert (EURO, YEN, CROSS) in TRIANGLES
    assert len(TRIANGLES) == 36


@pytest.mark.parametrize("day", WEEKDAYS)
@pytest.mark.parametrize(
    ("first", "second", "cross"), TRIANGLES, ids=lambda symbol: symbol.name.removeprefix("frx")
)
def test_two_pairs_make_the_third_to_the_pip(
    first: Symbol, second: Symbol, cross: Symbol, day: int
) -> None:
    half = Fraction(1, 2)
    ticks = [FEED.ticks(each, day + 40_000, day + 40_600) for each in (first, second, cross)]
    assert ticks[0].epochs.tolist() == ticks[2].epochs.tolist()
    for a, b, c in zip(*(each.pips.tolist() for each in ticks), strict=True):
        low = Fraction(a - half) * Fraction(b - half)
        high = Fraction(a + half) * Fraction(b + half)
        scale = Fraction(10) ** (cross.digits - first.digits - second.digits)
        # Each was rounded by itself, by half a pip at most.
        assert low * scale <= c + half
        assert c - half <= high * scale


def test_exchange_rates_are_those_of_the_pairs() -> None:
    rates = Rates(FEED)
    for base, target in (("EUR", "GBP"), ("EUR", "AUD"), ("GBP", "AUD")):
        symbol = SYMBOLS[f"frx{base}{target}"]
        for day in WEEKDAYS:
            pips = FEED.price(symbol, day + 50_000)
            rate = rates.rate(base, target, day + 50_000)
            assert rate.bid <= Fraction(pips, 10**symbol.digits) <= rate.ask


def test_the_levels_at_the_beginning_are_exact() -> None:
    assert SYMBOLS["frxEURGBP"].level == 86_614
    assert SYMBOLS["frxEURGBP"].exact_level == pytest.approx(86_614.173, abs=0.001)
    for first, second, cross in TRIANGLES:
        product = (first.exact_level or 0) / 10**first.digits * (second.exact_level or 0)
        assert product / 10**second.digits == pytest.approx(
            (cross.exact_level or 0) / 10**cross.digits, rel=1e-14
        )


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("frxEURUSD", 1.0, 1.2),
        ("frxGBPUSD", 1.2, 1.4),
        ("frxUSDJPY", 100, 160),
        ("frxEURJPY", 120, 175),
        ("frxAUDUSD", 0.6, 0.8),
        ("frxUSDCAD", 1.2, 1.45),
        ("frxUSDCHF", 0.8, 1.0),
        ("frxXAUUSD", 1_500, 2_500),
    ],
)
def test_levels_are_near_values_that_people_know(name: str, least: float, most: float) -> None:
    symbol = SYMBOLS[name]
    assert least < symbol.quote(symbol.level) < most


@pytest.mark.parametrize("symbol", [EURO, CROSS, SYMBOLS["frxXAUUSD"]], ids=lambda s: s.name)
def test_the_volatility_of_a_pair_follows_from_both_levels(symbol: Symbol) -> None:
    base, quoted = (LEVELS[name] for name, _ in symbol.legs)
    assert symbol.volatility == pytest.approx(math.hypot(base.volatility, quoted.volatility))
    law = law_of(symbol)
    steps = np.concatenate([np.diff(law.path(day)) for day in (5, 6, 7, 8, 12, 13, 14)])
    z = steps / fixedpoint.ONE / symbol.tick_sd
    near(float((z**2).mean()), 1, math.sqrt(2 / len(z)))
    near(float((z**4).mean()), 3, math.sqrt(96 / len(z)))
    near(float((z[1:] * z[:-1]).mean()), 0, 1 / math.sqrt(len(z)))


@pytest.mark.parametrize("symbol", [EURO, CROSS], ids=lambda s: s.name)
def test_a_day_of_a_pair_has_the_variance_and_the_drift_that_are_known(symbol: Symbol) -> None:
    law = law_of(symbol)
    days = [day for day in range(60_000) if symbol.grid.counts[day % 7]]
    counts = np.array([symbol.grid.counts[day % 7] for day in days])
    anchors = np.array([law.anchor(day) for day in range(60_001)]) / fixedpoint.ONE
    drifts = np.array([law.drift(day) for day in days]) * counts
    starts = anchors[days]
    z = (anchors[np.array(days) + 1] - starts - drifts) / symbol.tick_sd / np.sqrt(counts)
    near(float(z.mean()), 0, 1 / math.sqrt(len(z)))
    near(float((z**2).mean()), 1, math.sqrt(2 / len(z)))
    near(float(np.corrcoef(z, starts)[0, 1]), 0, 1 / math.sqrt(len(z)))
    near(float(np.corrcoef(z[1:], z[:-1])[0, 1]), 0, 1 / math.sqrt(len(z)))
    # Not only given the pair: its base alone gives no more information than that.
    base = law_of(LEVEL_SYMBOLS[symbol.legs[0][0]])
    levels = np.array([base.anchor(day) for day in days]) / fixedpoint.ONE
    near(float(np.corrcoef(z, levels)[0, 1]), 0, 1 / math.sqrt(len(z)))


@pytest.mark.parametrize("symbol", PAIRS.values(), ids=lambda s: s.name)
def test_a_pair_stays_near_its_level_for_centuries(symbol: Symbol) -> None:
    law = law_of(symbol)
    years = chosen(120, 410)
    anchors = np.array([law.anchor(day) for day in range(0, years * 365, 100)]) / fixedpoint.ONE
    # Values 1 / pull apart are nearly independent: of 410 years some 160.
    error = symbol.level_sd * math.sqrt(1 / (2 * years * 0.4))
    near(float(anchors.std()), symbol.level_sd, error)
    assert abs(anchors).max() < 4.5 * symbol.level_sd
    if symbol is YEN:  # four in a thousand are beyond these
        dollars = 148 * np.exp(anchors)
        assert np.mean((dollars > 109) & (dollars < 201)) > 0.99


def test_a_pair_moves_by_its_outlook() -> None:
    """Over a month and over a year, on which the pull shows."""
    law = law_of(CROSS)
    for ahead in (28, 364):
        moved, known = [], []
        for day in range(5, 5 + 400 * ahead, ahead):
            state = law.anchor(day)
            first, last = Place(day, 0), Place(day + ahead, 0)
            distribution = law.distribution(day, state, first, last)
            moved.append((law.anchor(day + ahead) - state) / fixedpoint.ONE)
            known.append((distribution.mean, distribution.sd))
            assert distribution.remaining == pytest.approx(math.exp(-0.4 * ahead / 365), rel=2e-3)
        means, sds = np.array(known).T
        z = (np.array(moved) - means) / sds
        near(float(z.mean()), 0, 1 / math.sqrt(len(z)))
        near(float((z**2).mean()), 1, math.sqrt(2 / len(z)))
        near(float(np.corrcoef(z, means)[0, 1]), 0, 1 / math.sqrt(len(z)))


def test_levels_are_drawn_once_for_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Brownian] = []
    original = Brownian.path

    def counted(self: Brownian, day: int) -> object:
        drawn.append(self)
        return original(self, day)

    monkeypatch.setattr(Brownian, "path", counted)
    feed = Feed("shared")
    list(feed.warm(PAIRS.values(), EARLIEST + 2_000 * DAY))
    assert len(drawn) == len(set(map(id, drawn))) == len(LEVELS)


BASKETS = {
    "WLDAUD": ("AUDUSD", "-EURAUD", "-GBPAUD", "AUDJPY", "AUDCAD"),
    "WLDEUR": ("EURUSD", "EURAUD", "EURGBP", "EURJPY", "EURCAD"),
    "WLDGBP": ("GBPUSD", "-EURGBP", "GBPAUD", "GBPJPY", "GBPCAD"),
    "WLDUSD": ("-EURUSD", "-AUDUSD", "-GBPUSD", "USDJPY", "USDCAD"),
}
"""Of what pairs a basket is made, each a fifth; with a minus the other way round."""


def moved(name: str, epoch: int) -> float:
    """By how much the logarithm of a pair differs from that of its level."""
    symbol = SYMBOLS[f"frx{name.lstrip('-')}"]
    away = math.log(FEED.price(symbol, epoch) / (symbol.exact_level or 0))
    return -away if name.startswith("-") else away


@pytest.mark.parametrize("name", BASKETS)
def test_a_basket_is_the_mean_of_five_pairs(name: str) -> None:
    basket = SYMBOLS[name]
    for day in WEEKDAYS:
        for epoch in (day, day + 40_000):
            mean = sum(moved(pair, epoch) for pair in BASKETS[name]) / 5
            found = math.log(FEED.price(basket, epoch) / basket.level)
            assert found == pytest.approx(mean, abs=1e-5)  # the pips of five pairs
    assert basket.volatility == pytest.approx(
        math.sqrt(
            LEVELS[name[3:]].volatility ** 2
            + sum((LEVELS[leg].volatility / 5) ** 2 for leg, weight in basket.legs if weight < 0)
        )
    )


def test_the_gold_basket_is_gold_in_five_currencies() -> None:
    basket = SYMBOLS["WLDXAU"]
    for day in WEEKDAYS:
        others = moved("-EURUSD", day), moved("-GBPUSD", day), moved("USDJPY", day)
        mean = moved("XAUUSD", day) + sum((*others, moved("-AUDUSD", day))) / 5
        found = math.log(FEED.price(basket, day) / basket.level)
        assert found == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("name", [*BASKETS, "WLDXAU"])
def test_a_basket_moves_by_its_volatility_and_its_ticks_are_those_of_pairs(name: str) -> None:
    symbol = SYMBOLS[name]
    law = law_of(symbol)
    steps = np.concatenate([np.diff(law.path(day)) for day in (5, 6, 7, 8, 12)])
    z = steps / fixedpoint.ONE / symbol.tick_sd
    near(float((z**2).mean()), 1, math.sqrt(2 / len(z)))
    assert symbol.hours is EURO.hours
    assert symbol.level * symbol.tick_sd > 15  # pips
    assert law.path(3).size == 0
