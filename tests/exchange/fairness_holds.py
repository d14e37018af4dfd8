"""Multipliers that are held for an hour to seven days, by rules that use past prices.

How it is measured:

- A contract is entered at the first tick of five minutes of the market, held for a given time of
  the open market, and then sold unless it was stopped out; the stake is 1,000.00. The results of
  all contracts of a symbol are computed at once (`Days`, `Held`); `test_fairness_holds` compares
  this with the code that settles.
- The results are raw: luck is not taken out. They are compared with the stated result: a contract
  loses its commission, and a stop-out saves what it is worth.
- Contracts overlap, also from day to day. So the standard error comes from the scatter between
  blocks of `BLOCK` days, each as long as four of the longest holds.
- The margin of the commission is far smaller than the luck of days. It is measured where it
  matters most: with the largest multiplier, bought every five minutes and sold five minutes later.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.eligibility import is_offered
from scopegate.exchange.contracts.multipliers import Multiplier, stop_out_worth
from scopegate.exchange.feed import Feed
from scopegate.exchange.fixedpoint import ONE
from scopegate.exchange.hours import Place
from scopegate.exchange.pricing.touch import SHIFT
from scopegate.exchange.rules import MAX_WAIVED, Margins
from scopegate.exchange.symbols import SPIKE_STEP, SYMBOLS, Motion, Symbol

Floats = NDArray[np.float64]

CHUNK: Final = 300
"""Seconds. The sessions of every market are a multiple of it."""
STAKE: Final = 100_000
"""In smallest units, so that rounding to them is 0.00001 of it."""
HOLDS: Final = ("1 hour", "4 hours", "1 day", "7 days")
EVERY: Final = {"1 hour": 12, "4 hours": 48, "1 day": 96, "7 days": 288}
"""Chunks of a day from one entry to the next; of shorter days at the least one entry a day."""
BLOCK: Final = 28
QUARTERS: Final = 4
SEEDS: Final = ("hold 1", "hold 2", "hold 3", "hold 4")
DAYS: Final = 1_500
JUDGED: Final = 3.5

HELD: Final = tuple(name for name, symbol in SYMBOLS.items() if is_offered(TYPES["MULTUP"], symbol))
"""Every symbol that offers multipliers."""


def lengths(symbol: Symbol) -> dict[str, int]:
    """The holds in chunks: hours of an open market, a usual day and a week of it."""
    seconds = [closes - opens for opens, closes in symbol.hours.week]
    hour = 3_600 // CHUNK
    return {
        "1 hour": hour,
        "4 hours": 4 * hour,
        "1 day": max(seconds) // CHUNK,
        "7 days": sum(seconds) // CHUNK,
    }


@dataclass(frozen=True)
class Days:
    """A stretch of a symbol's history in chunks, each price less its expected growth.

    `logs` are ln(price in pips) - growth at each chunk's first tick, `lows` and `highs` the
    extremes of all its ticks. The exponentials of these numbers are a martingale.
    """

    symbol: Symbol
    pips: NDArray[np.int64]
    logs: Floats
    lows: Floats
    highs: Floats
    blocks: NDArray[np.int64]
    below: NDArray[np.bool_]
    """Whether the price was below its level when the chunk's day began."""
    beyond: dict[int, float]
    """By how much a tick goes beyond a level that it is the first to cross, by `Extremes`, for
    contracts on a rise (1) and on a fall (-1)."""
    quick: dict[int, "Quick"] = field(default_factory=dict)


class Extremes:
    """The mean distance from a level to the first tick beyond it, below or above.

    Such a tick is a new extreme of its day. If levels lie evenly, one that is passed by a new
    extreme `d` beyond the former one is passed by d / 2 in the mean, and is as likely as `d` is
    long: so the mean over all levels is sum(d^2) / (2 sum(d)).
    """

    def __init__(self) -> None:
        self._sums = {1: np.zeros(2), -1: np.zeros(2)}

    def add(self, logs: Floats) -> None:
        """Take a day's ticks into account."""
        for direction, sums in self._sums.items():
            steps = -np.diff(np.minimum.accumulate(logs * direction))
            sums += (float(steps.sum()), float(steps @ steps))

    def beyond(self) -> dict[int, float]:
        """The means, for contracts on a rise (1) and on a fall (-1)."""
        return {side: float(sums[1] / sums[0] / 2) for side, sums in self._sums.items()}


class Quick(NamedTuple):
    """Contracts with the largest multiplier that last for one chunk, of one direction."""

    profits: Floats
    commissions: Floats
    waived: Floats
    """The stated worth of the stop-out, for contracts that were stopped out."""


def multiplier_of(symbol: Symbol, direction: int, *, largest: bool = False) -> int:
    """The smallest or the largest multiplier that is offered at the symbol's level."""
    kind = TYPES["MULTUP" if direction > 0 else "MULTDOWN"]
    assert isinstance(kind, Multiplier)
    return kind.choices(symbol, symbol.level)[-1 if largest else 0]


def commission_of(
    symbol: Symbol, multiplier: int, pips: NDArray[np.int64], direction: int, margin: float
) -> Floats:
    """The commissions at these spots, in stakes; not a number where it is not offered."""
    spots, where = np.unique(pips, return_inverse=True)
    worth = np.array([_worth(symbol, spot, rises=direction > 0) for spot in spots.tolist()])
    charged = np.ceil(np.round(STAKE * multiplier * worth * (1 + margin), 6)) / STAKE
    charged[multiplier * worth > MAX_WAIVED] = np.nan
    found: Floats = charged[where]
    return found


_worth = lru_cache(maxsize=100_000)(stop_out_worth)


def mean_waived(
    symbol: Symbol,
    multiplier: int,
    pips: NDArray[np.int64],
    level: Floats,
    direction: int,
    beyond: float,
) -> Floats:
    """The mean loss beyond the stake that a stop-out waives, in stakes.

    `level` is where the stake is lost, as a share of the entry spot. From there to the whole pip at
    which it closes; steps end there. What moves by more is at that pip from half a pip before it
    on, and goes further. A range that breaks is jumped over as far as a pip from its far border.
    There is no formula for drifts that switch: there it is `beyond`, from `Extremes`.
    """
    exact = level * pips
    if symbol.motion is Motion.STEPS:
        away = np.abs(pips - exact)
        waived: Floats = multiplier * (np.ceil(away / symbol.size) * symbol.size - away) / pips
        return waived
    if symbol.motion is Motion.BREAKS:
        inside = (exact - symbol.level + symbol.every // 2) % symbol.every
        over: Floats = inside - 1 if direction > 0 else symbol.every - 1 - inside
        return multiplier * over / pips
    to_pip = (exact - np.floor(exact) if direction > 0 else np.ceil(exact) - exact) / pips
    worth = SHIFT * symbol.tick_sd
    if symbol.motion is Motion.SPIKES:
        worth = SPIKE_STEP / 2
    if symbol.motion is Motion.SWITCHES:
        worth = beyond
    if symbol.motion is Motion.JUMPS or (
        symbol.motion is Motion.SPIKES and symbol.rises != (direction > 0)
    ):
        worth = stop_out_worth(symbol, symbol.level, rises=direction > 0)
    return multiplier * (worth + to_pip - 0.5 / pips)


def days(
    symbol: Symbol, seed: str, count: int = DAYS, *, margin: float, financed: bool = True
) -> Days:
    """The first days of a symbol's history, a year of it left out."""
    feed, width = Feed(seed), CHUNK // symbol.step
    parts: list[tuple[NDArray[np.int64], Floats, Floats, Floats, int, bool]] = []
    quick: dict[int, list[Quick]] = {1: [], -1: []}
    times = np.arange(86_400 // symbol.step + 1, dtype=np.float64)
    extremes = Extremes()
    for day in range(365, 365 + count):
        number = symbol.grid.counts[day % 7]
        if not number:
            continue
        opened = symbol.grid.epoch(Place(day, 0))
        pips = feed.ticks(symbol, opened, opened + (number - 1) * symbol.step).pips
        growth = feed.growth(symbol, opened) if financed else None
        logs = np.log(pips)
        if growth is not None:
            logs -= growth.total / ONE + growth.a_tick / ONE * times[:number]
        if symbol.motion is Motion.SWITCHES:
            extremes.add(logs)
        table = logs.reshape(-1, width)
        below = bool(pips[0] < symbol.level)
        first = pips.reshape(-1, width)[:, 0]
        parts.append((first, table[:, 0].copy(), table.min(1), table.max(1), day, below))
        for direction, found in quick.items():
            found.append(_quick(symbol, table, first, direction, margin))
    sizes = [len(part[0]) for part in parts]

    def column(row: int) -> Any:
        return np.concatenate([part[row] for part in parts])

    return Days(
        symbol,
        pips=column(0),
        logs=column(1),
        lows=column(2),
        highs=column(3),
        blocks=np.repeat([part[4] // BLOCK for part in parts], sizes),
        below=np.repeat([part[5] for part in parts], sizes),
        beyond=extremes.beyond() if symbol.motion is Motion.SWITCHES else {1: 0.0, -1: 0.0},
        quick={
            side: Quick(*(np.concatenate(each) for each in zip(*found, strict=True)))
            for side, found in quick.items()
        },
    )


def _quick(
    symbol: Symbol, table: Floats, pips: NDArray[np.int64], direction: int, margin: float
) -> Quick:
    """Bought at each chunk's first tick and sold at its last."""
    multiplier = multiplier_of(symbol, direction, largest=True)
    commission = commission_of(symbol, multiplier, pips, direction, margin)
    level = 1 - direction * (1 - commission) / multiplier
    moved = (table - table[:, :1]) * direction
    limit = np.log(level) * direction
    stopped = (moved <= limit[:, None]).any(1)
    gained = multiplier * direction * np.expm1(moved[:, -1] * direction) - commission
    waived = mean_waived(symbol, multiplier, pips, level, direction, 0.0)
    # Stated of all jumps, also the later ones.
    if symbol.motion in (Motion.JUMPS, Motion.SPIKES, Motion.BREAKS, Motion.SWITCHES):
        tick = (moved <= limit[:, None]).argmax(1)
        there = moved[np.arange(len(moved)), tick]
        waived = -1 - (multiplier * direction * np.expm1(there * direction) - commission)
    return Quick(np.where(stopped, -1.0, gained), commission, np.where(stopped, waived, 0.0))


class Held(NamedTuple):
    """Contracts of one direction, held for as long, by where they were entered."""

    profits: Floats
    """Of holding to the end, in stakes."""
    early: Floats
    """Of selling after the first quarter of the time at which there is a profit."""
    excess: Floats
    early_excess: Floats
    """Both beyond what is stated; their mean is stated to be zero."""


def hold(
    found: Days, entries: NDArray[np.int64], length: int, direction: int, margin: float
) -> Held:
    """Contracts with the smallest multiplier, entered at these chunks."""
    symbol = found.symbol
    multiplier = multiplier_of(symbol, direction)
    pips = found.pips[entries]
    commission = commission_of(symbol, multiplier, pips, direction, margin)
    level = 1 - direction * (1 - commission) / multiplier
    limit = found.logs[entries] + np.log(level)
    waived = mean_waived(symbol, multiplier, pips, level, direction, found.beyond[direction])
    profits, early = (np.full(len(entries), np.nan) for _ in range(2))
    stopped, sold = (np.zeros(len(entries), np.bool_) for _ in range(2))
    stopped_early = stopped.copy()
    for quarter in range(QUARTERS):
        first, last = (entries + length * part // QUARTERS for part in (quarter, quarter + 1))
        spans = np.stack((first, last), 1).ravel()
        if direction > 0:
            stopped |= np.minimum.reduceat(found.lows, spans)[::2] <= limit
        else:
            stopped |= np.maximum.reduceat(found.highs, spans)[::2] >= limit
        moved = np.expm1(found.logs[last] - found.logs[entries])
        stopped |= (found.logs[last] - limit) * direction <= 0
        profits = np.where(stopped, -1.0, multiplier * direction * moved - commission)
        now = ~sold & (stopped | (profits > 0) | (quarter == QUARTERS - 1))
        early[now] = profits[now]
        stopped_early |= now & stopped
        sold |= now
    excess = profits + commission - np.where(stopped, waived, 0.0)
    early_excess = early + commission - np.where(stopped_early, waived, 0.0)
    return Held(profits, early, excess, early_excess)


class Mean(NamedTuple):
    """A mean, and its standard error."""

    mean: float
    error: float

    @property
    def z(self) -> float:
        """The mean in standard errors."""
        return self.mean / self.error


def mean(values: Floats, blocks: NDArray[np.int64]) -> Mean:
    """With the error that the scatter between the blocks gives it."""
    _, where = np.unique(blocks, return_inverse=True)
    average = float(values.mean())
    sums = np.bincount(where, weights=values - average)
    error = math.sqrt(float(sums @ sums) * len(sums) / (len(sums) - 1)) / len(values)
    return Mean(average, error)


class Result(NamedTuple):
    """The result of one rule on one symbol, for one holding period."""

    symbol: str
    held: str
    rule: str
    contracts: int
    profit: Mean
    """In stakes."""
    excess: Mean
    """Beyond what is stated."""


class Margin(NamedTuple):
    """The exchange's gain from contracts that last for five minutes."""

    symbol: str
    multipliers: tuple[int, int]
    contracts: int
    kept: Mean
    """In stakes."""
    stated: float
    excess: Mean
    """Kept less stated."""
    half: Mean
    """Kept less what half of the margin would have left."""


RULES: Final[dict[str, Callable[[NDArray[np.bool_]], NDArray[np.bool_] | None]]] = {
    "always up": lambda below: np.ones_like(below),
    "towards the level": lambda below: below,
    "up, sold when ahead": lambda below: None,
}
"""Each says which contracts are bet on a rise, by whether the price was below its level."""


def results(
    name: str,
    seeds: tuple[str, ...] = SEEDS,
    count: int = DAYS,
    *,
    margins: Margins | None = None,
    financed: bool = True,
) -> tuple[list[Result], Margin]:
    """All rules and all holds on a symbol, and what is kept of quick contracts."""
    symbol = SYMBOLS[name]
    charged, stated = (margins or Margins()).multiplier, Margins().multiplier
    stretches = [days(symbol, seed, count, margin=charged, financed=financed) for seed in seeds]
    return list(_results(stretches, charged, stated)), _margin(stretches, charged, stated)


def _results(stretches: list[Days], charged: float, stated: float) -> Iterator[Result]:
    symbol = stretches[0].symbol
    for held, length in lengths(symbol).items():
        rows: dict[str, list[tuple[Floats, Floats, NDArray[np.int64]]]] = {
            rule: [] for rule in RULES
        }
        for number, found in enumerate(stretches):
            every = min(EVERY[held], max(1, lengths(symbol)["1 day"]))
            entries = np.arange(0, len(found.logs) - length, every)
            blocks = found.blocks[entries] + number * 10_000
            up, down = (hold(found, entries, length, side, charged) for side in (1, -1))
            rises = found.below[entries]
            for rule, choose in RULES.items():
                bets = choose(rises)
                if bets is None:
                    profit, excess = up.early, up.early_excess
                else:
                    profit = np.where(bets, up.profits, down.profits)
                    excess = np.where(bets, up.excess, down.excess)
                there = ~np.isnan(profit)
                rows.setdefault(rule, []).append((profit[there], excess[there], blocks[there]))
        for rule, found_rows in rows.items():
            profit, excess, blocks = (
                np.concatenate(each) for each in zip(*found_rows, strict=True)
            )
            yield Result(
                symbol.name, held, rule, len(profit), mean(profit, blocks), mean(excess, blocks)
            )


def _margin(stretches: list[Days], charged: float, stated: float) -> Margin:
    symbol = stretches[0].symbol
    kept, expected, half, blocks = [], [], [], []
    for number, found in enumerate(stretches):
        for quick in found.quick.values():
            there = ~np.isnan(quick.commissions)
            commission = quick.commissions[there] * ((1 + stated) / (1 + charged))
            kept.append(-quick.profits[there])
            expected.append(commission - quick.waived[there])
            half.append(commission * ((1 + stated / 2) / (1 + stated)) - quick.waived[there])
            blocks.append(found.blocks[there] + number * 10_000)
    all_kept, all_expected, all_half = (np.concatenate(each) for each in (kept, expected, half))
    where = np.concatenate(blocks)
    return Margin(
        symbol.name,
        (multiplier_of(symbol, 1, largest=True), multiplier_of(symbol, -1, largest=True)),
        len(all_kept),
        mean(all_kept, where),
        float(all_expected.mean()),
        mean(all_kept - all_expected, where),
        mean(all_kept - all_half, where),
    )
