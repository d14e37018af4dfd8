"""The families of `fairness` with two barriers, on a handful of ticks, with a reset; lookbacks.

Their controls come from the law of the feed alone, as it was known at the purchase: the rank of a
move among all that it allows is uniform, and what is positive with a known chance has that mean.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any, Final

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.state import ContractState, Outcome, Tick
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.contracts.few_ticks import HIGH_LOW_TICKS
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.exchange.contracts.resets import Reset
from scopegate.exchange.contracts.two_barriers import Ends, Spread, Stays
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import Symbol
from tests.exchange import fairness
from tests.exchange.fairness import OVERSHOOT, SOFT, Family, Trade, drift, request, settled

_MEAN_SIZE: Final = math.sqrt(2 / math.pi)
"""The mean of a standard normal number without its sign."""


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _beyond(move: float, law: PriceDistribution) -> float:
    """A move in standard deviations of its law."""
    return (move - law.mean) / law.sd


def _soft(rank: float, edge: float) -> float:
    """1 where a uniform rank is above the edge and 0 below, softly, less its mean."""
    width = min(SOFT, 2 * edge, 2 * (1 - edge))
    if width <= 0:
        return 0.0
    return min(1.0, max(0.0, (rank - edge) / width + 0.5)) - (1 - edge)


def _barriers(feed: Feed, symbol: Symbol, now: int, rng: Random, seconds: int) -> dict[str, str]:
    """One on each side, up to two standard deviations away; relative or prices."""
    spot = feed.price(symbol, now)
    sd = spot * symbol.tick_sd * math.sqrt(seconds / symbol.step)
    relative = rng.random() < 0.5
    found = {}
    for field, side in (("barrier", 1), ("barrier2", -1)):
        away = side * max(1, round(sd * rng.uniform(0.2, 2.0)))
        found[field] = Barrier(away if relative else spot + away, relative).text(symbol)
    return found


def _two_barriers(
    feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins, names: Sequence[str]
) -> tuple[Terms, float, ContractState, Outcome, Tick, PriceDistribution]:
    """A contract that was bought and settled: also its price, where it began, and its law."""
    seconds = rng.randint(120, 1_800)
    barriers = _barriers(feed, symbol, now, rng, seconds)
    asked = request(rng.choice(names), symbol, duration=seconds, **barriers)
    made = quoting.make_quote(asked, feed, now, margins)
    state, end = settled(made.terms, feed)
    assert state.entry is not None
    assert made.terms.barrier is not None
    start = state.entry if made.terms.barrier.is_relative else state.spot
    last = TYPES[asked.contract_type].exit_epoch(made.terms)
    law = feed.distribution(symbol, state.spot.epoch, start.epoch, last)
    return made.terms, made.price, state, end, start, law


def _ends(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """Both types, with and without ties. The controls: soft steps at the ranks of both barriers."""
    names = ("EXPIRYRANGE", "EXPIRYMISS", "EXPIRYRANGEE", "EXPIRYMISSE")
    terms, paid, _, end, start, law = _two_barriers(feed, symbol, now, rng, margins, names)
    kind = TYPES[terms.contract_type]
    assert isinstance(kind, Ends)
    rank = _normal(_beyond(math.log(end.tick.pips / start.pips), law))
    size = terms.payout if kind.between else -terms.payout
    steps = [
        size * _soft(rank, _normal(_beyond(math.log(level / start.pips), law)))
        for level in kind.levels(terms, start.pips)
    ]
    return Trade(1, paid, end.pays, paid - end.pays, terms.payout, (steps[0], -steps[1]))


def _stays(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """Both types. The controls: the move beyond the drift until the contract ended, its square less
    the variance, the same at the last tick, and a wave that is zero at both barriers and grows as
    fast as paths are lost there: martingales all."""
    names = ("RANGE", "UPORDOWN")
    terms, paid, _, end, start, law = _two_barriers(feed, symbol, now, rng, margins, names)
    kind = TYPES[terms.contract_type]
    assert isinstance(kind, Stays)
    last = kind.exit_epoch(terms)

    def moved(epoch: int, pips: int) -> float:
        known = drift(feed, symbol, start.epoch, epoch)
        return (math.log(pips / start.pips) - known) / law.sd

    over = OVERSHOOT / math.sqrt(law.ticks)
    low, high = (math.log(level / start.pips) / law.sd for level in kind.levels(terms, start.pips))
    low, high = low - over, high + over
    stopped, final = moved(end.tick.epoch, end.tick.pips), moved(last, feed.price(symbol, last))
    passed = (end.tick.epoch - start.epoch) / (last - start.epoch)
    q = math.pi / (high - low)
    wave = math.exp(q * q * (passed - 1) / 2) * math.sin(q * (stopped - low))
    wave -= math.exp(-q * q / 2) * math.sin(-q * low)
    size = terms.payout if kind.stays else -terms.payout
    columns = (wave, wave * (high - low), stopped, stopped * stopped - passed, final * final - 1)
    controls = tuple(size * column for column in columns)
    return Trade(1, paid, end.pays, paid - end.pays, terms.payout, controls)


def _spread(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """Both types. The controls: soft steps at both barriers and between them, and the move."""
    names = ("CALLSPREAD", "PUTSPREAD")
    terms, paid, _, end, start, law = _two_barriers(feed, symbol, now, rng, margins, names)
    kind = TYPES[terms.contract_type]
    assert isinstance(kind, Spread)
    z = _beyond(math.log(end.tick.pips / start.pips), law)
    low, high = kind.levels(terms, start.pips)
    size = terms.payout if kind.rises else -terms.payout
    steps = [
        size * _soft(_normal(z), _normal(_beyond(math.log(level / start.pips), law)))
        for level in (low, (low + high) / 2, high)
    ]
    return Trade(1, paid, end.pays, paid - end.pays, terms.payout, (*steps, size * z))


def _path(terms: Terms, feed: Feed) -> list[int]:
    """The prices from the entry to the last tick, whenever the contract ended."""
    last = TYPES[terms.contract_type].exit_epoch(terms)
    pips: list[int] = feed.ticks(terms.symbol, terms.entry_epoch, last).pips.tolist()
    return pips


def _short(
    feed: Feed, symbol: Symbol, now: int, margins: Margins, name: str, **more: Any
) -> tuple[Terms, float, int, list[int], PriceDistribution]:
    """A contract for ticks that was bought and settled: terms, price, pay, path, law."""
    made = quoting.make_quote(request(name, symbol, duration_unit="t", **more), feed, now, margins)
    state, end = settled(made.terms, feed)
    last = TYPES[name].exit_epoch(made.terms)
    law = feed.distribution(symbol, state.spot.epoch, made.terms.entry_epoch, last)
    return made.terms, made.price, end.pays, _path(made.terms, feed), law


def _asian(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """Both types. The control: a soft step in the middle of the ranks of last less average."""
    name, count = rng.choice(("ASIANU", "ASIAND")), rng.randint(5, 10)
    terms, paid, pays, path, law = _short(feed, symbol, now, margins, name, duration=count)
    lead = (path[-1] - sum(path) / count) / path[0]
    of_lead = PriceDistribution(
        law.ticks, law.mean / 2, law.sd * math.sqrt((2 * count - 1) / (6 * count))
    )
    rank = _normal(_beyond(lead, of_lead))
    size = terms.payout if name == "ASIANU" else -terms.payout
    return Trade(1, paid, pays, paid - pays, terms.payout, (size * _soft(rank, 0.5),))


def _steps(path: list[int], law: PriceDistribution, side: int) -> list[tuple[bool, float]]:
    """Whether each step goes to this side, and the chance of that."""
    mean, sd = law.mean / law.ticks, law.sd / math.sqrt(law.ticks)
    return [
        ((after - before) * side > 0, _normal((side * mean - 0.5 / before) / sd))
        for before, after in pairwise(path)
    ]


def _high_low(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """Both types, each tick. The controls: which other ticks the selected one beats, less the
    chances of that; and pairs of neighbouring steps that go as they should."""
    name, selected = rng.choice(("TICKHIGH", "TICKLOW")), rng.randint(1, HIGH_LOW_TICKS)
    terms, paid, pays, path, law = _short(
        feed, symbol, now, margins, name, duration=HIGH_LOW_TICKS, selected_tick=selected
    )
    side, chosen = (1 if name == "TICKHIGH" else -1), path[selected - 1]
    mean, sd = law.mean / law.ticks, law.sd / math.sqrt(law.ticks)
    beaten = []
    for place, pips in enumerate(path, 1):
        ahead = selected - place
        if ahead:
            known = side * ahead * mean - 0.5 / chosen
            chance = _normal(known / sd / math.sqrt(abs(ahead)))
            beaten.append(((chosen - pips) * side > 0) - chance)
    steps = [
        step if place < selected else (fall > 0, chance)
        for place, (step, (fall, chance)) in enumerate(
            zip(_steps(path, law, side), _steps(path, law, -side), strict=True), 1
        )
    ]
    pairs = [(a and b) - p * q for (a, p), (b, q) in pairwise(steps)]
    at_end = selected in (1, HIGH_LOW_TICKS)
    own = [*beaten, *pairs]
    other = [0.0] * len(own)
    controls = (terms.payout * each for each in (*own, *other)[:: 1 if at_end else -1])
    return Trade(1, paid, pays, paid - pays, terms.payout, tuple(controls))


def _runs(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """Both types. The controls: how many steps go as they should, and whether all but the last do,
    less the chances of that."""
    name, count = rng.choice(("RUNHIGH", "RUNLOW")), rng.randint(2, 5)
    terms, paid, pays, path, law = _short(feed, symbol, now, margins, name, duration=count)
    steps = _steps(path, law, 1 if name == "RUNHIGH" else -1)
    right = sum(goes - chance for goes, chance in steps) / count
    first = all(goes for goes, _ in steps[:-1]) - math.prod(chance for _, chance in steps[:-1])
    size = terms.payout / 2**count
    controls = (size * right, terms.payout * first)
    return Trade(1, paid, pays, paid - pays, terms.payout, controls)


def _resets(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """Both types, half of them for ticks. The controls: whether the price ends beyond the entry,
    beyond the price at half time, was beyond the entry then, and did the last two, less the chances
    of that."""
    name = rng.choice(("RESETCALL", "RESETPUT"))
    term: dict[str, Any] = {"duration": rng.randint(20, 1_800)}
    if rng.random() < 0.5:
        term = {"duration": rng.randint(5, 10), "duration_unit": "t"}
    made = quoting.make_quote(request(name, symbol, **term), feed, now, margins)
    terms, kind = made.terms, TYPES[name]
    assert isinstance(kind, Reset)
    state, end = settled(terms, feed)
    assert state.entry is not None
    entry, side = state.entry, 1 if kind.rises else -1
    reset = Tick(kind.reset_epoch(terms), state.memory)

    def beyond(first: Tick, last: Tick) -> tuple[bool, float]:
        law = feed.distribution(symbol, state.spot.epoch, first.epoch, last.epoch)
        chance = _normal((side * law.mean - 0.5 / first.pips) / law.sd)
        return (last.pips - first.pips) * side > 0, chance

    (whole, p), (rest, q), (half, r) = (
        beyond(*pair) for pair in ((entry, end.tick), (reset, end.tick), (entry, reset))
    )
    columns = (whole - p, rest - q, half - r, (half and rest) - q * r)
    controls = tuple(terms.payout * column for column in columns)
    return Trade(1, made.price, end.pays, made.price - end.pays, terms.payout, controls)


def _lookbacks(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """All three types. The margin is stated of what a lookback is worth, so in the mean of what it
    pays. The controls: the move, its size and its square, and the sizes of both its halves."""
    name = rng.choice(("LBFLOATCALL", "LBFLOATPUT", "LBHIGHLOW"))
    seconds = rng.randint(60, 420)
    multiplier = max(1, round(500 / (symbol.quote(feed.price(symbol, now)) * symbol.tick_sd * 30)))
    asked = request(name, symbol, amount=Decimal(multiplier), basis="multiplier", duration=seconds)
    made = quoting.make_quote(asked, feed, now, margins)
    state, end = settled(made.terms, feed)
    kind, entry = TYPES[name], state.entry
    assert isinstance(kind, Lookback)
    assert entry is not None
    middle = entry.epoch + (end.tick.epoch - entry.epoch) // (2 * symbol.step) * symbol.step
    half = Tick(middle, feed.price(symbol, middle))

    def moved(first: Tick, last: Tick) -> float:
        law = feed.distribution(symbol, state.spot.epoch, first.epoch, last.epoch)
        return _beyond(math.log(last.pips / first.pips), law)

    z, halves = moved(entry, end.tick), (moved(entry, half), moved(half, end.tick))
    side = {"LBFLOATCALL": 1, "LBFLOATPUT": -1, "LBHIGHLOW": 0}[name]
    columns = (
        z * side,
        z * z - 1,
        abs(z) - _MEAN_SIZE,
        *(abs(move) - _MEAN_SIZE for move in halves),
        *(move * side for move in halves),
    )
    controls = tuple(made.price * column for column in columns)
    return Trade(1, made.price, end.pays, made.price - end.pays, end.pays, controls)


PATH_FAMILIES: Final = (
    Family("Ends between/outside", "rise_fall", "the payout", _ends, 67),
    Family("Stays between/goes outside", "touch", "the payout", _stays, 72),
    Family("Asians", "rise_fall", "the payout", _asian, 67),
    Family("High/low ticks", "few_ticks", "the payout", _high_low, 90),
    Family("Only ups/downs", "few_ticks", "the payout", _runs, 50),
    Family("Resets", "few_ticks", "the payout", _resets, 50),
    Family("Spreads", "spread", "the payout", _spread, 20),
    Family("Lookbacks", "lookback", "what it is worth", _lookbacks, 28),
)
"""These families. The better luck is taken out of one, the fewer contracts tell its margin."""

FAMILIES: Final = (*fairness.FAMILIES, *PATH_FAMILIES)
"""Every family that the exchange trades."""
