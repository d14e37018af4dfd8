"""Does the exchange keep what it says, and no more: contracts bought at random and settled.

How it is measured:

- Contracts of a family are bought at random moments by the code that a `proposal` uses, followed
  by the code that settles, on the feed of `SEED`. What is kept of them, as a share of what the
  margin is stated of, is the measured margin.
- Plain luck is large: of 20,000 bets on a coin the mean is known to 0.0035 only, and a margin of
  0.012 that is wrong by half would go unseen. So beside the plain measure there is a sharper one,
  less `controls`: numbers that come from the path of the price, whose mean is zero by the law of
  the feed whatever the pricer says. They are fitted by least squares, as usual for control
  variates, and take luck away but no error of a price. Where the feed did not keep its law, the
  plain measure and the controls' own means would show it.
- Digits have no such controls: there are more of them, and contracts bought at one moment partly
  stand against each other.
- Both sides are bought alike, so an error that makes one dearer and the other cheaper by as much
  does not show in a family's mean; single prices are held against the vectors in `test_pricing`.
- Contracts of one symbol and one day overlap and are not independent; of different days they are.
  So the standard error comes from the scatter between groups, a group being a symbol's day.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.accumulators import WIDTH_UNITS
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import check_hours, replay
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import (
    ContractState,
    Outcome,
    Status,
    begin,
    market_view,
    tick_of,
)
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.contracts.european import European
from scopegate.exchange.contracts.multipliers import (
    PIP_PARTS,
    Multiplier,
    reference,
    stop_out_worth,
)
from scopegate.exchange.contracts.touches import Touch
from scopegate.exchange.contracts.turbos import Turbo
from scopegate.exchange.contracts.vanillas import Vanilla
from scopegate.exchange.distribution import Mixture, PriceDistribution, Walk
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import CANCELLATIONS, Margins
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS, Motion, Symbol

SEED: Final = "fair"
LAST_DAY: Final = 2_200
"""Days are drawn from so many since the feed's first."""

_PAYOUT: Final = Decimal(1_000)
_STAKE: Final = Decimal(1_000)
"""Of contracts with a fixed payout and of the others: large enough that rounding to a cent is
0.00001 of it."""
OVERSHOOT: Final = 0.5825971579
"""-zeta(1/2) / sqrt(2 pi): by how many standard deviations of a tick the first tick beyond a level
is beyond it, in the mean."""
SOFT: Final = 0.2
_LONGER: Final = 8 * 3_600

VOLATILITY: Final = tuple(sorted(name for name in SYMBOLS if name.startswith(("R_", "1HZ"))))


def _moved_by(motion: Motion) -> tuple[str, ...]:
    return tuple(sorted(name for name, symbol in SYMBOLS.items() if symbol.motion is motion))


_JUMPS: Final = _moved_by(Motion.JUMPS)
_SPIKES: Final = _moved_by(Motion.SPIKES)
_STEPS: Final = _moved_by(Motion.STEPS)
_RESETS: Final = _moved_by(Motion.RESETS)
_FINANCIAL: Final = ("OTC_SPC", "cryBTCUSD", "frxEURUSD", "frxUSDJPY", "frxXAUUSD")

_PAIRS: Final = ("frxEURCHF", "frxEURGBP", "frxEURUSD", "frxUSDJPY")
"""A few pips a tick."""


class Trade(NamedTuple):
    """What came of one contract, or of several that were bought at the same moment."""

    contracts: int
    paid: float
    """In smallest units, as is what follows."""
    got: float
    kept: float
    """What the exchange kept, for which the margin is stated."""
    of: float
    """Of what it is a share."""
    controls: tuple[float, ...] = ()
    """Numbers whose mean is zero whatever the pricer says."""


Buyer = Callable[[Feed, Symbol, int, Random, Margins], Trade]
"""Buys at a moment and holds to the end. Raises `Refusal` where nothing is offered."""


def request(name: str, symbol: Symbol, **more: Any) -> QuoteRequest:
    given: dict[str, Any] = {"amount": _PAYOUT, "basis": "payout"} | more
    return QuoteRequest(contract_type=name, symbol=symbol.name, currency="USD", **given)


def settled(terms: Terms, feed: Feed) -> tuple[ContractState, Outcome]:
    kind = TYPES[terms.contract_type]
    state = replay(kind, terms, begin(terms, feed), feed, kind.exit_epoch(terms))
    assert state.outcome is not None
    return state, state.outcome


def drift(feed: Feed, symbol: Symbol, first: int, last: int) -> float:
    """The sum of the mean steps of the log price from one tick to another."""
    total = 0.0
    while first < last:
        midnight = first - first % DAY + DAY
        until = min(midnight, last)
        total += feed.drift(symbol, first) * symbol.ticks_between(first, until)
        first = until
    return total


def _ticks_or_time(rng: Random, ticks: tuple[int, int], seconds: tuple[int, int]) -> dict[str, Any]:
    if rng.random() < 0.5:
        return {"duration": rng.randint(*ticks), "duration_unit": "t"}
    return {"duration": rng.randint(*seconds), "duration_unit": "s"}


def _barrier(feed: Feed, symbol: Symbol, now: int, rng: Random, term: dict[str, Any]) -> str:
    """Up to one standard deviation away; relative or absolute, never at the spot."""
    ticks = term["duration"] // (1 if term["duration_unit"] == "t" else symbol.step)
    spot = feed.price(symbol, now)
    sd = spot * symbol.tick_sd * math.sqrt(ticks)
    away = max(1, round(sd * rng.uniform(0.1, 1.0))) * rng.choice((-1, 1))
    if symbol.is_financial or rng.random() < 0.5:
        return Barrier(away).text(symbol)
    return Barrier(spot + away, is_relative=False).text(symbol)


def _rise_fall(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """CALL, PUT, CALLE or PUTE, half of them for ticks, half with a barrier.

    The control: a contract alike whose edge is soft. Among all moves that the feed's law allows
    over the contract's ticks, what came is at rank u, which is uniform; the soft contract pays
    from 0 to 1 in proportion where u is within a tenth of the barrier's rank, so that its mean is
    one minus that rank, wherever the pricer may put it.
    """
    name = rng.choice(("CALL", "PUT", "CALLE", "PUTE"))
    term = _ticks_or_time(rng, (1, 10), (15, 3_600))
    if rng.random() < 0.5:
        term["barrier"] = _barrier(feed, symbol, now, rng, term)
    made = quoting.make_quote(request(name, symbol, **term), feed, now, margins)
    state, end = settled(made.terms, feed)
    kind, barrier = TYPES[name], made.terms.barrier
    assert isinstance(kind, European)
    assert state.entry is not None
    is_relative = barrier is None or barrier.is_relative
    start = state.entry if is_relative else state.spot
    law = feed.distribution(symbol, state.spot.epoch, start.epoch, end.tick.epoch)
    paid, got, payout = made.price, end.pays, made.payout
    if isinstance(law, Walk):  # ranks are no even numbers: the move itself, then, and its square
        z = (end.tick.pips - start.pips) / math.sqrt(law.ticks) * (1 if kind.rises else -1)
        return Trade(1, paid, got, paid - got, payout, (payout * z, payout * (z * z - 1)))
    above = _chance_above(math.log(end.tick.pips / start.pips) - law.mean, law)
    rank = 1 - above if kind.rises else above
    edge = 1 - made.ask / 1e6 + kind.margin(made.terms, margins)
    width = min(SOFT, 2 * edge, 2 * (1 - edge))
    soft = min(1.0, max(0.0, (rank - edge) / width + 0.5))
    return Trade(1, paid, got, paid - got, payout, (payout * (soft - (1 - edge)),))


def _chance_above(move: float, law: PriceDistribution) -> float:
    """How likely the log price moves by more than this, beyond its mean."""
    parts = law.parts if isinstance(law, Mixture) else ((1.0, law.sd),)
    return sum(weight * 0.5 * math.erfc(move / sd / math.sqrt(2)) for weight, sd in parts)


def _touch(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """ONETOUCH or NOTOUCH, half of them for ticks.

    The controls: how far the log price had moved, beyond its drift, when the contract ended, a
    martingale that is stopped; its square less the variance until then; and how far it moved in
    all. They are also taken times numbers that were known beforehand, which keeps a mean of zero.
    """
    name = rng.choice(("ONETOUCH", "NOTOUCH"))
    term = _ticks_or_time(rng, (5, 10), (120, 3_600))
    text = _barrier(feed, symbol, now, rng, term)
    made = quoting.make_quote(request(name, symbol, barrier=text, **term), feed, now, margins)
    state, end = settled(made.terms, feed)
    kind, barrier = TYPES[name], made.terms.barrier
    assert isinstance(kind, Touch)
    assert state.entry is not None
    assert barrier is not None
    start = state.entry if barrier.is_relative else state.spot
    up = 1 if barrier.level(start.pips) > start.pips else -1
    if not barrier.is_relative:
        up = 1 if barrier.pips > state.spot.pips else -1
    last = kind.exit_epoch(made.terms)
    sd = symbol.tick_sd * math.sqrt(symbol.ticks_between(start.epoch, last))

    def moved(epoch: int, pips: int) -> float:
        return (math.log(pips / start.pips) - drift(feed, symbol, start.epoch, epoch)) / sd * up

    stopped, final = moved(end.tick.epoch, end.tick.pips), moved(last, feed.price(symbol, last))
    passed = (end.tick.epoch - start.epoch) / (last - start.epoch)
    square = stopped * stopped - passed
    touched = made.ask / 1e6 - kind.margin(made.terms, margins)
    touched = touched if kind.touches else 1 - touched
    known = touched - 0.5
    size = made.payout * (1 if kind.touches else -1)
    cubic = final * final - 1
    paid, got = made.price, end.pays
    columns = (stopped, square, stopped * known, square * known, final, cubic, cubic * known)
    return Trade(1, paid, got, paid - got, made.payout, tuple(size * c for c in columns))


@cache
def _digit_wish(name: str, symbol: Symbol, ticks: int, digit: int | None) -> QuoteRequest:
    barrier = None if digit is None else str(digit)
    return request(name, symbol, duration=ticks, duration_unit="t", barrier=barrier)


def _bundle(
    wishes: list[QuoteRequest], feed: Feed, symbol: Symbol, now: int, margins: Margins
) -> Trade:
    paid = got = payout = 0
    for request in wishes:
        made = quoting.make_quote(request, feed, now, margins)
        paid += made.price
        payout += made.payout
        got += settled(made.terms, feed)[1].pays
    return Trade(len(wishes), paid, got, paid - got, payout)


def _digits(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """At every moment three overs, three unders, a differ and an odd or even.

    Their digits are drawn one by one, so that they are no complements; but what makes an over win
    makes an under lose.
    """
    ticks = rng.randint(1, 10)
    drawn = [
        *(("DIGITOVER", rng.randint(0, 8)) for _ in range(3)),
        *(("DIGITUNDER", rng.randint(1, 9)) for _ in range(3)),
        ("DIGITDIFF", rng.randint(0, 9)),
        (rng.choice(("DIGITODD", "DIGITEVEN")), None),
    ]
    wishes = [_digit_wish(name, symbol, ticks, digit) for name, digit in drawn]
    return _bundle(wishes, feed, symbol, now, margins)


def _matches(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """At every moment seven matches: that of the spot's last digit and six of the others."""
    ticks = rng.randint(1, 10)
    present = feed.price(symbol, now) % 10
    others = rng.sample([digit for digit in range(10) if digit != present], 6)
    wishes = [_digit_wish("DIGITMATCH", symbol, ticks, digit) for digit in (present, *others)]
    return _bundle(wishes, feed, symbol, now, margins)


def _multiplier_wish(
    feed: Feed, symbol: Symbol, now: int, rng: Random, least: int, **more: Any
) -> QuoteRequest:
    name = rng.choice(("MULTUP", "MULTDOWN"))
    if symbol.motion is Motion.SPIKES:  # towards the spikes: what they are worth is charged there
        name = "MULTDOWN" if symbol.rises else "MULTUP"
    kind = TYPES[name]
    assert isinstance(kind, Multiplier)
    offered = kind.choices(symbol, feed.price(symbol, now))
    multiplier = Decimal(rng.choice(offered[least:] or offered))
    return request(name, symbol, amount=_STAKE, basis="stake", multiplier=multiplier, **more)


def _multiplier(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """MULTUP or MULTDOWN, half of them with a take profit, held for up to an hour and then sold.

    The commission is stated to exceed by the margin what the stop-out is worth to a client who is
    stopped out: that the tick which crosses it goes further, in the mean by `OVERSHOOT` standard
    deviations of a tick, and that it closes at a whole pip, for which half a pip is charged; the
    effect of that rounding is taken off. Contracts that are not stopped out leave the whole
    commission. The control variate is the result of the move beyond the forward price.
    """
    profit = rng.choice((None, _STAKE * rng.randint(1, 4) / 2))
    wanted = _multiplier_wish(feed, symbol, now, rng, 1, take_profit=profit)
    made = quoting.make_quote(wanted, feed, now, margins)
    terms = made.terms
    kind = TYPES[terms.contract_type]
    assert isinstance(kind, Multiplier)
    until = now + rng.randint(1_800, 3_600)
    if symbol.motion in (Motion.JUMPS, Motion.SPIKES):
        until += _LONGER  # soon, only the larger jumps stop out; the theory is of them all
    check_hours(symbol, until)
    state = replay(kind, terms, begin(terms, feed), feed, until)
    assert state.entry is not None
    if state.outcome is not None:
        tick, got = state.outcome.tick, state.outcome.pays
    else:
        seen = market_view(feed, symbol, until)
        kind.check_sale(terms, state, until)
        tick, got = seen.tick, kind.value(terms, state, seen, margins)
    spot, value = made.spot.pips, terms.stake * terms.multiplier
    against = reference(terms, state.entry, tick_of(terms, feed, tick.epoch))
    luck = kind.direction * value * (tick.pips * PIP_PARTS / against - 1)
    forgiven = got - terms.stake + terms.commission
    beyond = stop_out_worth(symbol, spot, rises=kind.direction > 0) - 0.5 / spot
    if symbol.motion is Motion.BROWNIAN:
        beyond = symbol.tick_sd * OVERSHOOT
    if state.outcome is None or state.outcome.pays > 0:  # not stopped out
        return Trade(1, made.price, got, -forgiven, 0.0, (luck,))
    exact = against / PIP_PARTS * (1 - kind.direction * (terms.stake - terms.commission) / value)
    level = kind.levels(terms, against).stop_out
    to_pip = value * (abs(exact - level) / state.entry.pips - 0.5 / spot)
    charged = terms.commission - value * 0.5 / spot * (1 + margins.multiplier)
    return Trade(1, made.price, got, charged - forgiven + to_pip, value * beyond, (luck,))


def _cancellation(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """Multipliers that are cancelled when the time to do so ends, unless they have gained.

    What the fee bought is what came back beyond the same contract without it: the whole stake
    after a stop-out, else what was missing of it. The fee is stated to exceed that by the margin,
    in the mean. The control is the luck of the move, as for multipliers.
    """
    window = rng.choice(("5m", "10m", "15m", "30m"))
    request = _multiplier_wish(feed, symbol, now, rng, 0, cancellation=window)
    made = quoting.make_quote(request, feed, now, margins)
    terms = made.terms
    kind = TYPES[terms.contract_type]
    assert isinstance(kind, Multiplier)
    until = now + CANCELLATIONS[window]
    state = replay(kind, terms, begin(terms, feed), feed, until)
    assert state.entry is not None
    if state.outcome is not None:
        assert state.outcome.status is Status.CANCELLED
        tick, without, got = state.outcome.tick, 0, state.outcome.pays
    else:
        assert kind.can_be_cancelled(terms, until)
        seen = market_view(feed, symbol, until)
        tick, without = seen.tick, kind.value(terms, state, seen, margins)
        got = max(without, terms.stake)
    value = terms.stake * terms.multiplier
    ticks = symbol.ticks_between(state.entry.epoch, tick.epoch)
    against = reference(terms, state.entry, tick_of(terms, feed, tick.epoch))
    luck = kind.direction * value * (tick.pips * PIP_PARTS / against - 1)
    spread = value * symbol.tick_sd * math.sqrt(CANCELLATIONS[window] / symbol.step)
    square = luck * luck / spread - spread * (ticks * symbol.step / CANCELLATIONS[window])
    bought = got - without
    share = made.cancellation_price / terms.stake - 0.5
    controls = (luck, luck * share, square, square * share)
    return Trade(1, made.price, got, made.cancellation_price - bought, bought, controls)


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _accumulator(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """ACCU, half of them with a take profit, held for up to thirty ticks and then sold.

    The margin is the least that is kept of the worth at every tick; what whole pips keep beyond
    that is taken off, from the chance that a tick moves no more pips than may be. The controls:
    how far ticks moved, in four measures, each tick weighted by what it put at stake.
    """
    growth = rng.randint(1, 5)
    profit = rng.choice((None, _STAKE * rng.randint(1, 8) / 20))
    wanted = request(
        "ACCU",
        symbol,
        amount=_STAKE,
        basis="stake",
        growth_rate=Decimal(growth) / 100,
        take_profit=profit,
    )
    made = quoting.make_quote(wanted, feed, now, margins)
    terms, kind = made.terms, TYPES["ACCU"]
    until = terms.entry_epoch + rng.randint(2, 30) * symbol.step
    state = replay(kind, terms, begin(terms, feed), feed, until)
    assert state.entry is not None
    if state.outcome is not None:
        last, got = state.outcome.tick.epoch, state.outcome.pays
    else:
        kind.check_sale(terms, state, until)
        last, got = until, kind.value(terms, state, market_view(feed, symbol, until), margins)
    ticks = feed.ticks(symbol, state.entry.epoch, last).pips.tolist()
    drift, sd = feed.drift(symbol, state.entry.epoch), symbol.tick_sd
    beyond = at_stake = 0.0
    controls = [0.0] * 4
    for number, (before, after) in enumerate(pairwise(ticks)):
        value = terms.stake * (1 + growth / 100) ** number
        pips = -(-terms.width * before // WIDTH_UNITS) - 1
        up, down = (math.log1p(side * (pips + 0.5) / before) for side in (1, -1))
        stays = _normal((up - drift) / sd) - _normal((down - drift) / sd)
        beyond += value * (1 - stays * (1 + growth / 100) - margins.accumulator)
        at_stake += value
        z = (math.log(after / before) - drift) / sd
        moments = (abs(z) - math.sqrt(2 / math.pi), z**2 - 1, z**4 - 3, z**6 - 15)
        controls = [sum_ + value * moment for sum_, moment in zip(controls, moments, strict=True)]
    return Trade(1, made.price, got, made.price - got - beyond, at_stake, tuple(controls))


def _vanilla(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """VANILLALONGCALL or VANILLALONGPUT, at strikes up to one standard deviation away.

    The controls: the move, and a contract alike whose strike lies at the nearest of some places in
    the feed's law of the move, which says what that pays in the mean.
    """
    name = rng.choice(("VANILLALONGCALL", "VANILLALONGPUT"))
    term = {"duration": rng.randint(60, 3_600), "duration_unit": "s"}
    text = _barrier(feed, symbol, now, rng, term)
    wanted = request(name, symbol, amount=_STAKE, basis="stake", barrier=text, **term)
    made = quoting.make_quote(wanted, feed, now, margins)
    state, end = settled(made.terms, feed)
    kind, barrier = TYPES[name], made.terms.barrier
    assert isinstance(kind, Vanilla)
    assert state.entry is not None
    assert barrier is not None
    start = state.entry if barrier.is_relative else state.spot
    law = feed.distribution(symbol, state.spot.epoch, start.epoch, end.tick.epoch)
    z, strike = (
        (math.log(level / start.pips) - law.mean) / law.sd * (1 if kind.rises else -1)
        for level in (end.tick.pips, barrier.level(start.pips))
    )
    place = round(5 * strike) / 5
    density = math.exp(-place * place / 2) / math.sqrt(2 * math.pi)
    alike = max(0.0, z - place) - (density - place * _normal(-place))
    size = float(made.terms.contracts) * start.pips * law.sd * 100 / 10**symbol.digits
    paid, got = made.price, end.pays
    return Trade(1, paid, got, paid - got, got, (size * z, size * alike))


def _turbo(feed: Feed, symbol: Symbol, now: int, rng: Random, margins: Margins) -> Trade:
    """TURBOSLONG or TURBOSSHORT, half of them for ticks, with barriers up to 1.5 deviations away.

    The control: how far the price had moved, beyond its drift, when the contract ended: a
    martingale that is stopped.
    """
    name = rng.choice(("TURBOSLONG", "TURBOSSHORT"))
    kind = TYPES[name]
    assert isinstance(kind, Turbo)
    term = _ticks_or_time(rng, (5, 10), (15, 3_600))
    ticks = term["duration"] // (1 if term["duration_unit"] == "t" else symbol.step)
    spot = feed.price(symbol, now)
    away = round(spot * symbol.tick_sd * math.sqrt(ticks) * rng.uniform(0.3, 1.5)) * kind.side
    barrier = Barrier(away) if rng.random() < 0.5 else Barrier(spot + away, is_relative=False)
    wanted = request(
        name, symbol, amount=_STAKE, basis="stake", barrier=barrier.text(symbol), **term
    )
    made = quoting.make_quote(wanted, feed, now, margins)
    state, end = settled(made.terms, feed)
    assert state.entry is not None
    start = state.entry if barrier.is_relative else state.spot
    passed = (end.tick.epoch - start.epoch) // symbol.step
    known = drift(feed, symbol, start.epoch, end.tick.epoch) + passed * symbol.tick_sd**2 / 2
    position = float(made.terms.contracts) * start.pips * 100 / 10**symbol.digits * -kind.side
    luck = position * (end.tick.pips / start.pips - 1 - known)
    return Trade(1, made.price, end.pays, made.price - end.pays, end.pays, (luck,))


@dataclass(frozen=True, slots=True)
class Family:
    """Contracts that share a margin."""

    name: str
    margin: str
    """The name of its margin in `Margins`."""
    stated_of: str
    buy: Buyer
    a_group: int
    """How often it is bought in one group."""
    symbols: tuple[str, ...] = VOLATILITY
    """On which it is bought."""
    least: int = 20_000
    """How many contracts `GROUPS` groups buy at the least."""

    def stated(self, margins: Margins) -> float:
        """The margin that the exchange says it has."""
        return float(getattr(margins, self.margin))


FAMILIES: Final = (
    Family("Rise/fall, higher/lower", "rise_fall", "the payout", _rise_fall, 67),
    Family("Touch/no touch", "touch", "the payout", _touch, 67),
    Family("Digits", "digits", "the payout", _digits, 40),
    Family("Digit matches", "matches", "the payout", _matches, 24),
    Family("Multipliers", "multiplier", "what a stop-out is worth", _multiplier, 67),
    Family("Deal cancellation", "cancellation", "what it gave back", _cancellation, 67),
    Family("Accumulators", "accumulator", "the worth at each tick", _accumulator, 40, least=10_000),
    Family("Vanillas", "vanilla", "what they paid", _vanilla, 20, least=5_000),
    Family("Turbos", "turbo", "what they paid", _turbo, 20, least=5_000),
)
"""The families with one barrier or none, and multipliers; `fairness_paths` has the others."""

MARKETS: Final = (
    Family("Rise/fall, jump indices", "rise_fall", "the payout", _rise_fall, 67, _JUMPS),
    Family("Rise/fall, step index", "rise_fall", "the payout", _rise_fall, 67, _STEPS),
    Family("Rise/fall, daily reset", "rise_fall", "the payout", _rise_fall, 67, _RESETS),
    Family("Rise/fall, real names", "financial", "the payout", _rise_fall, 200, _FINANCIAL),
    Family("Touch, step index", "touch", "the payout", _touch, 67, _STEPS),
    Family("Touch, daily reset", "touch", "the payout", _touch, 67, _RESETS),
    Family("Touch, real names", "financial", "the payout", _touch, 200, _FINANCIAL),
    Family("Multipliers, jumps", "multiplier", "what a stop-out is worth", _multiplier, 67, _JUMPS),
    Family(
        "Multipliers, spikes", "multiplier", "what a stop-out is worth", _multiplier, 67, _SPIKES
    ),
    Family(
        "Multipliers, real names",
        "multiplier",
        "what a stop-out is worth",
        _multiplier,
        200,
        _FINANCIAL,
    ),
    Family(
        "Deal cancellation, pairs", "cancellation", "what it gave back", _cancellation, 200, _PAIRS
    ),
)
"""The other kinds of markets, with the families that are traded there."""

GROUPS: Final = 300
"""As many make enough contracts of every family to find a margin that is wrong by half."""


class Measure(NamedTuple):
    """A margin as it was found, and how well it is known."""

    margin: float
    error: float
    """Its standard error."""

    def z(self, margin: float) -> float:
        """By how many standard errors it is above this one."""
        return (self.margin - margin) / self.error


@dataclass(slots=True)
class Tally:
    """The trades of one family."""

    family: Family
    contracts: int = 0
    paid: float = 0.0
    got: float = 0.0
    groups: list[int] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, group: int, trade: Trade) -> None:
        """Count one trade of a group."""
        self.contracts += trade.contracts
        self.paid += trade.paid
        self.got += trade.got
        self.groups.append(group)
        self.rows.append((trade.kept, trade.of, *trade.controls))

    def plain(self) -> Measure:
        """What was kept, as a share."""
        kept, of, _ = self._columns()
        return self._measure(kept, of)

    def sharp(self) -> Measure:
        """The same less the luck that the controls explain."""
        kept, of, controls = self._columns()
        if controls.shape[1]:
            error = kept - of * (kept.sum() / of.sum())
            fit = np.linalg.lstsq(controls, error, rcond=None)[0]
            kept = kept - controls @ fit
        return self._measure(kept, of)

    def controls(self) -> list[float]:
        """The mean of every control in its standard errors."""
        columns = self._columns()[2].T
        measures = (self._measure(column, np.ones_like(column)) for column in columns)
        return [measure.z(0.0) for measure in measures]

    def _columns(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        table = np.array(self.rows)
        return table[:, 0], table[:, 1], table[:, 2:]

    def _measure(self, kept: NDArray[np.float64], of: NDArray[np.float64]) -> Measure:
        """A ratio of sums, with the error that the scatter of the groups gives it."""
        margin = float(kept.sum() / of.sum())
        sums = np.bincount(self.groups, weights=kept - margin * of)
        error = math.sqrt(float(np.dot(sums, sums)) * len(sums) / (len(sums) - 1))
        return Measure(margin, error / float(of.sum()))


def _moments(seed: str, groups: int, names: tuple[str, ...]) -> Iterator[tuple[int, Symbol, int]]:
    """Every group: its number, its symbol and the first second of its day, sorted by day."""
    rng = Random(f"{seed} days")
    found = [(rng.randrange(LAST_DAY), names[i % len(names)]) for i in range(groups)]
    for group, (day, name) in enumerate(sorted(found)):
        yield group, SYMBOLS[name], EARLIEST + day * DAY


def trade(
    groups: int = GROUPS,
    *,
    seed: str = SEED,
    margins: Margins | None = None,
    families: tuple[Family, ...] = FAMILIES,
) -> list[Tally]:
    """Buy and settle, group by group, so that a day's prices are computed once."""
    feed, terms = Feed(seed), margins or Margins()
    tallies = [Tally(family) for family in families]
    for names in dict.fromkeys(family.symbols for family in families):
        world = [tally for tally in tallies if tally.family.symbols == names]
        for group, symbol, midnight in _moments(seed, groups, names):
            for tally in world:
                rng = Random(f"{seed} {tally.family.name} {group}")
                moments = sorted(midnight + rng.randrange(DAY) for _ in range(tally.family.a_group))
                for now in moments:
                    try:
                        tally.add(group, tally.family.buy(feed, symbol, now, rng, terms))
                    except Refusal:  # it is all but certain, moves too little, or is closed
                        continue
    return tallies
