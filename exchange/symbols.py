"""The symbols of the paper market, one row each.

Rules of this module:

- A price is a whole number of pips (`int`). Only `Symbol.quote` converts it to a float and only
  `Symbol.text` to a string; nothing else in the market should scale by the digits.
- Name, step, volatility, level, motion, hours, and the fields from `every` to `exact_level`
  determine a symbol's whole history. Changing one of them in a row requires a new version of the
  feed (`FEED_VERSION`); the other fields are labels.
- It imports no numpy, so that a command that only names symbols starts quickly.

A new family of symbols needs a builder beside `_volatility_index`, and its rows; if it moves by
another process, also a `Motion`, and its class in `exchange.processes`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

from scopegate.exchange.hours import ALWAYS, FOREX, STOCKS, Grid, Hours, Place, grid
from scopegate.exchange.hours import DAY as DAY
from scopegate.exchange.hours import EARLIEST as EARLIEST
from scopegate.exchange.levels import LEVELS, YEARLY_PULL

FEED_VERSION: Final = 2
"""Feeds of the same version, seed and symbol have the same history."""

RECORDED_NAME: Final = r"OWN_[A-Z0-9]{1,20}"
"""The pattern of the names of markets of files; no other symbol has such a name."""
MAX_RECORDED_DIGITS: Final = 8
"""The most decimals of their prices."""
OWN_MARKET: Final = "own"
"""The market of the symbols of files."""

YEAR = 365 * DAY
"""Seconds in the year that volatilities refer to."""

LEVEL_SD = 0.7
"""Long-run standard deviation of ln(price / level): a factor of 2 either way is one sd.

Pairs and baskets stay closer to theirs: see `exchange.levels.YEARLY_PULL`."""


class Motion(StrEnum):
    """The process by which a price moves; `exchange.processes` has a class for each."""

    BROWNIAN = "brownian"
    JUMPS = "jumps"
    """Brownian, with occasional jumps in either direction."""
    SPIKES = "spikes"
    """A small step one way with every tick, and occasional spikes the other way."""
    STEPS = "steps"
    """A step of `Symbol.size` pips up or down with every tick."""
    RESETS = "resets"
    """Brownian with a trend, restarting at the level every day."""
    BREAKS = "breaks"
    """One pip up or down with every tick, within a range that breaks with a jump."""
    SWITCHES = "switches"
    """Brownian, with an upward, a downward or no drift, which switches occasionally."""
    RECORDED = "recorded"
    """The prices of a file (`exchange.recorded`), priced as if they were Brownian."""


JUMP_SD: Final = 30 * math.sqrt(math.pi / 2)
"""Standard deviation of a jump, in standard deviations of a tick without one; the mean size of a
jump, in either direction, is 30 of them."""

SPIKE_STEP: Final = 4e-6
"""How far a log price moves with every tick, in the direction opposite to its spikes."""
SPIKE_NOISE: Final = 0.25
"""Standard deviation of the noise of such a step, in steps."""
SPIKE_SIZES: Final = (0.5, 1.5)
"""The bounds of the size of a spike, which is uniform: in units of the mean total of the steps
between two spikes."""

STEP_BOUNDS: Final = (20_000, 140_000)
"""The bounds, in pips, at which a price that moves by steps turns back."""

BREAK_BOUNDS: Final = (0.25, 1.75)
"""The bounds of a price whose ranges break, as shares of its level."""

SWITCH_DRIFT: Final = 0.06
"""The size of a rising or falling drift per tick, in standard deviations of a tick."""
SWITCH_SIZES: Final = (0.5, 1.5)
"""The bounds of the step back at its end, which is uniform: in units of a drift's mean total."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Symbol:
    """One underlying: its identity, the parameters of its price process, and how it is listed.

    Symbols compare and hash by identity (only the items of `SYMBOLS` and `LEVEL_SYMBOLS` are in
    use): so they are cheap as dictionary keys, and an altered copy cannot share a cached price.
    """

    name: str
    display_name: str
    digits: int
    """Decimals of the pip; at least 1."""
    step: int
    """Seconds from one tick to the next; ticks fall on epochs divisible by it."""
    volatility: float
    """Standard deviation of the log price over a `YEAR`, without jumps and spikes; 1.0 is 100 %.
    A market that closes has all of it in its open hours."""
    level: int
    """The price in pips at the beginning of history, to which the price is pulled back."""
    market: str
    market_display_name: str
    submarket: str
    submarket_display_name: str
    subgroup: str
    subgroup_display_name: str
    symbol_type: str
    exchange_name: str
    display_order: int = 0
    quoted_currency: str = "USD"
    motion: Motion = Motion.BROWNIAN
    every: int = 0
    """Mean number of ticks from one jump, spike or switch to the next; for a range, the mean number
    of touches of its borders until it breaks, and also its width in pips."""
    size: int = 1
    """The size of a step in pips, if the price moves by steps."""
    rises: bool = True
    """Whether spikes, or the trend of a day, go up."""
    hours: Hours = ALWAYS
    level_sd: float = LEVEL_SD
    legs: tuple[tuple[str, int], ...] = ()
    """The levels (`exchange.levels`) that make up its price, each with a weight: its log price is
    the weighted sum of theirs, divided by `parts`. Empty if its price is independent."""
    parts: int = 1
    exact_level: float | None = None
    """The level before rounding to whole pips, for pairs, which must agree with each other."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the name alone: other processes have the same symbols.

        Raises `TypeError` for one that is not in `SYMBOLS`, such as an altered copy.
        """
        if SYMBOLS.get(self.name) is not self:
            raise TypeError(f"{self.name} is not the symbol of this name")
        return _named, (self.name,)

    @property
    def is_financial(self) -> bool:
        """Whether it is named after a real market, or is a basket of such markets."""
        return self.market != "synthetic_index" or bool(self.legs)

    @property
    def is_coarse(self) -> bool:
        """Whether its ticks move the price by so few pips that the last digit can be foreseen."""
        return self.is_financial

    @property
    def grid(self) -> Grid:
        """The epochs at which it has ticks, if they are computed."""
        return grid(self.hours, self.step)

    def is_open(self, epoch: int) -> bool:
        """Whether its market is open at this second."""
        return self.hours is ALWAYS or self.hours.is_open(epoch)

    def has_tick(self, epoch: int) -> bool:
        """Whether there is a tick at exactly this second."""
        return epoch % self.step == 0 and self.is_open(epoch)

    def last_tick(self, epoch: int) -> int:
        """The epoch of the last tick at or before the epoch.

        Before its market first opens, this is `epoch` itself, as if there were a tick at the level.
        """
        if self.hours is ALWAYS:
            return epoch - epoch % self.step
        ticks = self.grid
        return min(ticks.epoch(ticks.place(epoch)), epoch)

    def next_tick(self, epoch: int, count: int = 1) -> int:
        """The epoch of the first tick after the epoch, or of the `count`-th."""
        if self.hours is ALWAYS:
            return epoch - epoch % self.step + count * self.step
        ticks = self.grid
        place = ticks.place(epoch)
        return ticks.epoch(ticks.nth(ticks.number(place) + count))

    def ticks_between(self, first: int, last: int) -> int:
        """The number of ticks after the tick at `first`, up to and including that at `last`."""
        if self.hours is ALWAYS:
            return last // self.step - first // self.step
        ticks = self.grid
        return ticks.number(ticks.place(last)) - ticks.number(ticks.place(first))

    def is_continuous(self, first: int, last: int) -> bool:
        """Whether the market does not close between the ticks at `first` and at `last`."""
        return last - first == self.ticks_between(first, last) * self.step

    def market_days(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield each day of trading from that of the last tick before `first` to that of `last`.

        Each as the epoch of its first tick, and the number of its ticks.
        """
        ticks = self.grid
        for day in range(ticks.place(max(first, EARLIEST)).day, ticks.place(last).day + 1):
            if count := ticks.counts[day % 7]:
                yield ticks.epoch(Place(day, 0)), count

    @property
    def pip(self) -> float:
        """Smallest price movement, in units of price: 0.01 for two digits."""
        return self.quote(1)

    @cached_property
    def tick_sd(self) -> float:
        """Standard deviation of the log price over one tick, without jumps and spikes."""
        return self.volatility * math.sqrt(self.step / YEAR * (DAY / self.hours.mean_day))

    def tick_sd_at(self, pips: int) -> float:
        """`tick_sd` at a price in pips: steps in pips are relatively smaller at a high price."""
        if self.motion is Motion.STEPS:
            return self.size / pips
        if self.motion is Motion.BREAKS:  # half of its variance comes from the breaks
            return math.sqrt(2) / pips
        return self.tick_sd

    @cached_property
    def total_volatility(self) -> float:
        """Standard deviation of the log price over a `YEAR`, with jumps, spikes and switches."""
        if self.motion is Motion.JUMPS:
            return self.volatility * math.sqrt(1 + JUMP_SD**2 / self.every)
        if self.motion is Motion.SPIKES:
            low, high = SPIKE_SIZES
            square = (low * low + low * high + high * high) / 3
            variance = SPIKE_NOISE**2 + square * self.every - 1
            return SPIKE_STEP * math.sqrt(variance * YEAR / self.step)
        if self.motion is Motion.SWITCHES:  # two of three drifts move the price, and back
            low, high = SWITCH_SIZES
            square = (low * low + low * high + high * high) / 3
            ended = SWITCH_DRIFT**2 * (square * self.every - 1) * 2 / 3
            return self.volatility * math.sqrt(1 + ended)
        return self.volatility

    @cached_property
    def daily_pull(self) -> float:
        """The share of ln(price / level) that the drift removes in a day.

        With daily variance v the log price x' = x * (1 - pull) + noise has the stationary
        variance v / (2 * pull), to first order in pull; solved here for `level_sd`.
        """
        volatility = self.total_volatility
        day_variance = volatility * volatility * DAY / YEAR
        return day_variance / (2 * self.level_sd * self.level_sd)

    def quote(self, pips: int) -> float:
        """The price as the nearest float, whose shortest decimal form has no extra digits."""
        return float(pips / 10**self.digits)

    def text(self, pips: int) -> str:
        """The price with all its decimals, trailing zeros included: "2400.10"."""
        whole, fraction = divmod(abs(pips), 10**self.digits)
        return f"{'-' if pips < 0 else ''}{whole}.{fraction:0{self.digits}d}"


def covariance(first: Symbol, second: Symbol) -> float:
    """The covariance of both log prices over a year; 0 if they are independent."""
    if first is second:
        return first.total_volatility**2
    weights = dict(second.legs)
    shared = sum(w * weights.get(name, 0) * LEVELS[name].volatility ** 2 for name, w in first.legs)
    return shared / (first.parts * second.parts)


# Builders of rows; `level` is in units of price and is converted to pips.


def _index(name: str, display_name: str, submarket: str, *, level: int, **more: Any) -> Symbol:
    """A row of the synthetic indices, which never close."""
    digits: int = more["digits"]
    return Symbol(
        name=name,
        display_name=display_name,
        level=level * 10**digits,
        market="synthetic_index",
        market_display_name="Derived",
        submarket=submarket,
        submarket_display_name=_SUBMARKETS[submarket],
        subgroup="synthetics",
        subgroup_display_name="Synthetics",
        symbol_type="stockindex",
        exchange_name="RANDOM",
        **more,
    )


def _volatility_index(name: str, percent: int, *, step: int, digits: int, level: int) -> Symbol:
    display_name = f"Volatility {percent}{' (1s)' if step == 1 else ''} Index"
    return _index(
        name,
        display_name,
        "random_index",
        level=level,
        digits=digits,
        step=step,
        volatility=percent / 100,
    )


def _jump_index(percent: int, level: int) -> Symbol:
    return _index(
        f"JD{percent}",
        f"Jump {percent} Index",
        "jump_index",
        level=level,
        digits=2,
        step=1,
        volatility=percent / 100,
        motion=Motion.JUMPS,
        every=1_200,
    )


def _spike_index(side: str, every: int) -> Symbol:
    return _index(
        f"{side.upper()}{every}{'N' * (every in (150, 300))}",
        f"{side} {every} Index",
        "crash_index",
        level=10_000,
        digits=3,
        step=1,
        volatility=SPIKE_STEP * SPIKE_NOISE * math.sqrt(YEAR),
        motion=Motion.SPIKES,
        every=every,
        rises=side == "Boom",
    )


def _step_index(size: int) -> Symbol:
    return _index(
        f"stpRNG{size}" if size > 1 else "stpRNG",
        f"Step Index {size}00" if size > 1 else "Step Index",
        "step_index",
        level=8_000,
        digits=1,
        step=1,
        volatility=size * math.sqrt(YEAR) / 80_000,  # at its level
        motion=Motion.STEPS,
        size=size,
    )


def _break_index(every: int) -> Symbol:
    return _index(
        f"RB{every}",
        f"Range Break {every} Index",
        "range_index",
        level=10_000,
        digits=1,
        step=1,
        volatility=math.sqrt(2 * YEAR) / 100_000,  # at its level; half its variance from breaks
        motion=Motion.BREAKS,
        every=every,
    )


def _switch_index(minutes: int) -> Symbol:
    return _index(
        f"DSI{minutes}",
        f"Drift Switch Index {minutes}",
        "drift_switch_index",
        level=10_000,
        digits=2,
        step=1,
        volatility=0.1,
        motion=Motion.SWITCHES,
        every=60 * minutes,
    )


def _basket(base: str, others: str, display_name: str, submarket: str) -> Symbol:
    """A currency or metal against five others, with a weight of one fifth each."""
    parts = others.split()
    return Symbol(
        name=f"WLD{base}",
        display_name=f"{display_name} Basket",
        digits=3,
        step=2,
        level=1_000_000,
        market="synthetic_index",
        market_display_name="Derived",
        submarket=submarket,
        submarket_display_name=_SUBMARKETS[submarket],
        subgroup="baskets",
        subgroup_display_name="Baskets",
        symbol_type=submarket,
        exchange_name="FOREX",
        **_combined({base: len(parts)} | dict.fromkeys(parts, -1), len(parts)),
    )


def _reset_index(side: str) -> Symbol:
    return _index(
        f"RD{side.upper()}",
        f"{side} Market Index",
        "random_daily",
        level=1_000,
        digits=4,
        step=2,
        volatility=1.0,
        motion=Motion.RESETS,
        rises=side == "Bull",
    )


def _simulated(name: str, display_name: str, market: str, submarket: str, **more: Any) -> Symbol:
    """A row that is named after a real market, but independent of its prices."""
    market_display_name, symbol_type, exchange_name = _MARKETS[market]
    return Symbol(
        name=name,
        display_name=f"{display_name} (simulated)",
        step=2,
        market=market,
        market_display_name=market_display_name,
        submarket=submarket,
        submarket_display_name=_SUBMARKETS[submarket],
        subgroup="none",
        subgroup_display_name="None",
        symbol_type=symbol_type,
        exchange_name=exchange_name,
        **more,
    )


def _pips(level: str, digits: int) -> int:
    return int(Decimal(level).scaleb(digits))


def _ratio(base: str, quoted: str, digits: int) -> dict[str, Any]:
    """The fields of a row for the ratio of two levels."""
    exact = float(LEVELS[base].dollars / LEVELS[quoted].dollars * 10**digits)
    return _combined({base: 1, quoted: -1}) | {
        "digits": digits,
        "exact_level": exact,
        "level": round(exact),
        "quoted_currency": quoted,
    }


def _combined(weights: Mapping[str, int], parts: int = 1) -> dict[str, Any]:
    """The fields of a row for a weighted sum of levels."""
    variance = sum((LEVELS[name].volatility * w / parts) ** 2 for name, w in weights.items())
    return {
        "hours": FOREX,
        "legs": tuple(weights.items()),
        "level_sd": math.sqrt(variance / (2 * YEARLY_PULL)),
        "parts": parts,
        "volatility": math.sqrt(variance),
    }


def _pair(name: str, submarket: str) -> Symbol:
    """A pair of currencies, such as EURUSD: the price of the first in units of the second."""
    base, quoted = name[:3], name[3:]
    return _simulated(
        f"frx{name}",
        f"{base}/{quoted}",
        "forex",
        submarket,
        **_ratio(base, quoted, 3 if quoted == "JPY" else 5),
    )


def _metal(name: str, display_name: str, digits: int) -> Symbol:
    return _simulated(
        f"frx{name}",
        display_name,
        "commodities",
        "metals",
        **_ratio(name[:3], name[3:], digits),
    )


def _coin(name: str, level: str, *, digits: int = 3) -> Symbol:
    return _simulated(
        f"cry{name}",
        f"{name[:3]}/{name[3:]}",
        "cryptocurrency",
        "non_stable_coin",
        digits=digits,
        level=_pips(level, digits),
        volatility=0.6,
    )


def _stocks(name: str, display_name: str, submarket: str, level: str, currency: str) -> Symbol:
    return _simulated(
        f"OTC_{name}",
        display_name,
        "indices",
        submarket,
        digits=2,
        level=_pips(level, 2),
        volatility=0.18,
        hours=STOCKS,
        quoted_currency=currency,
    )


_MARKETS: Final = {
    "forex": ("Forex", "forex", "FOREX"),
    "indices": ("Stock Indices", "stockindex", "OTC"),
    "commodities": ("Commodities", "commodities", "METAL"),
    "cryptocurrency": ("Cryptocurrencies", "cryptocurrency", "CRYPTO"),
}
"""Display name, symbol type and exchange name, by market."""

_SUBMARKETS: Final = {
    "random_index": "Continuous Indices",
    "jump_index": "Jump Indices",
    "crash_index": "Crash/Boom Indices",
    "step_index": "Step Indices",
    "range_index": "Range Break Indices",
    "drift_switch_index": "Drift Switch Indices",
    "random_daily": "Daily Reset Indices",
    "forex_basket": "Forex Basket",
    "commodity_basket": "Commodities Basket",
    "major_pairs": "Major Pairs",
    "minor_pairs": "Minor Pairs",
    "exotic_pairs": "Exotic Pairs",
    "americas_OTC": "American Indices",
    "europe_OTC": "European Indices",
    "asia_oceania_OTC": "Asian Indices",
    "metals": "Metals",
    "non_stable_coin": "Cryptocurrencies",
}


_PAIRS: Final = {
    "major_pairs": "EURUSD GBPUSD USDJPY AUDUSD USDCAD USDCHF EURGBP EURJPY EURCHF EURAUD EURCAD"
    " GBPJPY GBPAUD AUDJPY",
    "minor_pairs": "NZDUSD EURNZD GBPCAD GBPCHF GBPNZD AUDCAD AUDCHF AUDNZD CADJPY NZDJPY",
    "exotic_pairs": "USDMXN USDPLN USDSEK",
}


def _rows() -> Iterator[Symbol]:
    # The level of a volatility index is a round figure of at least 60 pips / tick_sd: even after a
    # fall by nearly three times LEVEL_SD, a tick then still moves about 8 pips, which digit
    # contracts need.
    yield _volatility_index("R_10", 10, step=2, digits=3, level=2_400)
    yield _volatility_index("R_25", 25, step=2, digits=3, level=1_000)
    yield _volatility_index("R_50", 50, step=2, digits=4, level=100)
    yield _volatility_index("R_75", 75, step=2, digits=4, level=100)
    yield _volatility_index("R_100", 100, step=2, digits=2, level=2_400)
    yield _volatility_index("1HZ10V", 10, step=1, digits=2, level=34_000)
    yield _volatility_index("1HZ15V", 15, step=1, digits=2, level=23_000)
    yield _volatility_index("1HZ25V", 25, step=1, digits=2, level=14_000)
    yield _volatility_index("1HZ30V", 30, step=1, digits=2, level=12_000)
    yield _volatility_index("1HZ50V", 50, step=1, digits=2, level=7_000)
    yield _volatility_index("1HZ75V", 75, step=1, digits=2, level=4_500)
    yield _volatility_index("1HZ90V", 90, step=1, digits=2, level=3_800)
    yield _volatility_index("1HZ100V", 100, step=1, digits=2, level=3_400)
    yield _volatility_index("1HZ150V", 150, step=1, digits=2, level=2_300)
    yield _volatility_index("1HZ250V", 250, step=1, digits=2, level=1_400)
    yield _jump_index(10, 34_000)
    yield _jump_index(25, 14_000)
    yield _jump_index(50, 7_000)
    yield _jump_index(75, 4_500)
    yield _jump_index(100, 3_400)
    for side in ("Boom", "Crash"):
        for every in (150, 300, 500, 600, 900, 1_000):
            yield _spike_index(side, every)
    for size in range(1, 6):
        yield _step_index(size)
    yield _break_index(100)
    yield _break_index(200)
    for minutes in (10, 20):
        yield _switch_index(minutes)
    yield _reset_index("Bear")
    yield _reset_index("Bull")
    yield _basket("AUD", "USD EUR GBP JPY CAD", "AUD", "forex_basket")
    yield _basket("EUR", "USD AUD GBP JPY CAD", "EUR", "forex_basket")
    yield _basket("GBP", "USD EUR AUD JPY CAD", "GBP", "forex_basket")
    yield _basket("USD", "EUR AUD GBP JPY CAD", "USD", "forex_basket")
    yield _basket("XAU", "EUR GBP JPY AUD USD", "Gold", "commodity_basket")
    for submarket, pairs in _PAIRS.items():
        for pair in pairs.split():
            yield _pair(pair, submarket)
    yield _metal("XAUUSD", "Gold/USD", 2)
    yield _metal("XAGUSD", "Silver/USD", 4)
    yield _metal("XPTUSD", "Platinum/USD", 2)
    yield _metal("XPDUSD", "Palladium/USD", 2)
    yield _coin("BTCUSD", "40000")
    yield _coin("ETHUSD", "2500")
    yield _coin("LTCUSD", "90")
    yield _coin("XRPUSD", "0.5", digits=5)
    for name, display_name, level in (
        ("SPC", "US 500", "5000"),
        ("NDX", "US Tech 100", "18000"),
        ("DJI", "Wall Street 30", "39000"),
    ):
        yield _stocks(name, display_name, "americas_OTC", level, "USD")
    for name, display_name, level, currency in (
        ("FTSE", "UK 100", "8000", "GBP"),
        ("GDAXI", "Germany 40", "18000", "EUR"),
        ("FCHI", "France 40", "7500", "EUR"),
        ("SX5E", "Euro 50", "4800", "EUR"),
        ("AEX", "Netherlands 25", "850", "EUR"),
        ("SSMI", "Swiss 20", "11500", "CHF"),
    ):
        yield _stocks(name, display_name, "europe_OTC", level, currency)
    for name, display_name, level, currency in (
        ("N225", "Japan 225", "38000", "JPY"),
        ("HSI", "Hong Kong 50", "18000", "HKD"),
        ("AS51", "Australia 200", "7800", "AUD"),
    ):
        yield _stocks(name, display_name, "asia_oceania_OTC", level, currency)


class Symbols(Mapping[str, Symbol]):
    """The symbols by name, in display order: those of the rows, and markets of files."""

    def __init__(self, symbols: Iterable[Symbol]) -> None:
        self._symbols = {symbol.name: symbol for symbol in symbols}
        self._added: Counter[Symbol] = Counter()
        self._lock = Lock()
        self.version = 0
        """A number that changes with the symbols, for caches of what depends on all of them."""

    def __getitem__(self, name: str) -> Symbol:
        return self._symbols[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)

    @contextmanager
    def including(self, *symbols: Symbol) -> Iterator[None]:
        """Offer further symbols within the block, to all gateways of this process.

        Raises `ValueError` if another symbol has the name of one of them.
        """
        with self._lock:
            for symbol in symbols:
                if self._symbols.get(symbol.name, symbol) is not symbol:
                    raise ValueError(f"{symbol.name} is another symbol already")
            self._change(symbols, 1)
        try:
            yield
        finally:
            with self._lock:
                self._change(symbols, -1)

    def _change(self, symbols: Iterable[Symbol], by: int) -> None:
        changed = self._symbols.copy()
        for symbol in symbols:
            self._added[symbol] += by
            if self._added[symbol]:
                changed[symbol.name] = symbol
            else:
                del changed[symbol.name], self._added[symbol]
        self._symbols = changed  # a new one: other threads may iterate over the present one
        self.version += 1


SYMBOLS: Final = Symbols(replace(row, display_order=order) for order, row in enumerate(_rows(), 1))
"""Every symbol by its name, in display order."""


def _level(name: str) -> Symbol:
    """A level as a symbol: not listed, and only its log price is used."""
    return Symbol(
        name=f"level {name}",
        display_name=name,
        digits=5,
        step=2,
        level=100_000,
        market="level",
        market_display_name="Levels",
        submarket="level",
        submarket_display_name="Levels",
        subgroup="none",
        subgroup_display_name="None",
        symbol_type="level",
        exchange_name="FOREX",
        **_combined({name: 1}) | {"legs": ()},
    )


LEVEL_SYMBOLS: Mapping[str, Symbol] = MappingProxyType({name: _level(name) for name in LEVELS})
"""The levels that make up the prices of pairs and baskets, by name. Read-only."""


def _named(name: str) -> Symbol:
    return SYMBOLS[name]
