"""Accumulators: a stake that grows with every tick that stays near the one before it.

After k ticks that stayed its value is

    stake * (1 + growth) ** k,

rounded down to money only when it is paid. After a tick that is `width` or more away from the one
before, it is 0. All comparisons are made in whole numbers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Final

import numpy as np

from scopegate.exchange.contracts.common import short_fields, wording
from scopegate.exchange.contracts.common.bounds import check_stake
from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.listing import NO_END, Decides, Listing
from scopegate.exchange.contracts.common.orders import Ordered, OrderedTerms
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal, invalid, not_offered, unsaleable
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Status,
    Tick,
    Trigger,
)
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.feed import Feed
from scopegate.exchange.money import to_text
from scopegate.exchange.pricing.widths import widest, within
from scopegate.exchange.rules import MAX_ACCUMULATOR_TICKS, MAX_OPEN_ACCUMULATORS, Margins
from scopegate.runtime.pickling import quickly_pickled

TICKS_SEARCHED: Final = 2_000
ROWS_SHOWN: Final = 100
MIN_SD: Final = 8.0
"""The smallest standard deviation of a tick, in pips, at which whole pips are fine enough for the
width: rounding then adds at most 1.5 % of the value per tick to the exchange's margin, and the
width stays right for all moves of the price until the end."""

GROWTH_RATES = [float(Decimal(percent) / 100) for percent in MAX_ACCUMULATOR_TICKS]
"""The growth rates that are offered, as on the wire."""

_SHORT = re.compile(r"([0-9.]{1,20})_0_0\.0([1-5])_1_0\.([0-9]{12})_([0-9]{1,11})(?:_0)?", re.ASCII)


WIDTH_UNITS: Final = 10**12
"""The number of units of `AccumulatorTerms.width` in a width of 1."""


@quickly_pickled
@dataclass(frozen=True, slots=True, kw_only=True)
class AccumulatorTerms(OrderedTerms):
    """The terms of an accumulator."""

    growth: int
    """The growth with every tick, in percent."""
    width: int
    """The distance from the tick before at which a tick ends the contract: a share of the price of
    the tick before, in `WIDTH_UNITS`."""


class Accumulator(Ordered[AccumulatorTerms]):
    """A contract that grows with every tick until it is sold, or a tick leaves its range.

    The width of the range is fixed at the purchase: the most whole pips that leave the exchange its
    margin at the spot. The range moves with the price. Its width in pips hardly changes: while a
    contract is open, the price moves by a few thousandths.
    """

    name = "ACCU"
    is_path_dependent = True
    most_open = MAX_OPEN_ACCUMULATORS
    takes = frozenset({"growth_rate", "take_profit"})
    listing = Listing(
        category="accumulator",
        category_display="Accumulators",
        display="Accumulator",
        sentiment="low_vol",
        barrier_category="american",
        durations=NO_END,
        decides=Decides.EVERY_TICK,
    )

    def quote(
        self,
        terms: Terms,
        amount: int,
        request: QuoteRequest,
        market: MarketView,
        margins: Margins,
    ) -> Quote[AccumulatorTerms]:
        """The stake, plus a markup: a share of the stake."""
        if request.basis == "payout":
            raise invalid("basis", "Must be stake: the amount of an accumulator is its stake.")
        check_stake(amount, terms.currency)
        growth = _growth(request)
        spot, symbol = market.tick.pips, terms.symbol
        tick = market.distribution(market.tick.epoch, market.tick.epoch + symbol.step)
        pips = 0
        if spot * tick.sd >= MIN_SD:
            pips = widest(spot, (1.0 - margins.accumulator) / (1.0 + growth / 100), tick)
        if not pips:
            raise Refusal(
                "InvalidOfferings",
                f"{symbol.display_name} moves too few pips per tick at present for accumulators."
                " Choose another symbol.",
            )
        # Half a pip more: a tick `pips` away stays and one more pip does not, even if the spot has
        # moved a little.
        width = (2 * pips + 1) * WIDTH_UNITS // (2 * spot)
        until = replace(terms, expiry=None, ticks=MAX_ACCUMULATOR_TICKS[growth])
        agreed = until.extended(AccumulatorTerms, stake=amount, growth=growth, width=width)
        agreed = self.with_requested(agreed, request)
        markup = int(amount * request.markup)
        return Quote(agreed, amount + markup, market.tick, markup=markup)

    def has_moved(
        self, proposed: Quote[AccumulatorTerms], present: Quote[AccumulatorTerms], margins: Margins
    ) -> bool:
        """Always false: the stake is the price, and the width follows the spot."""
        return False

    def order_limits(self, terms: AccumulatorTerms) -> Mapping[str, tuple[int, int]]:
        """The limits of a take profit, up to the profit at the last tick."""
        return {"take_profit": (1, self.most(terms) - terms.stake)}

    def most(self, terms: AccumulatorTerms) -> int:
        """The payout, in smallest units, if all ticks up to the last stay in the range."""
        return _worth(terms.stake, terms.growth, MAX_ACCUMULATOR_TICKS[terms.growth])

    def profit_at(self, terms: AccumulatorTerms, state: ContractState[Tick], tick: Tick) -> int:
        """The growth so far, in smallest units."""
        return _worth(terms.stake, terms.growth, self.stayed(terms, state)) - terms.stake

    def stayed(self, terms: AccumulatorTerms, state: ContractState[Tick]) -> int:
        """The number of ticks after the entry tick so far, which all stayed in the range."""
        if state.entry is None or state.memory is None:
            return 0
        return (state.memory.epoch - state.entry.epoch) // terms.symbol.step

    def sentence(self, terms: AccumulatorTerms) -> str:
        """The longcode: how much it grows, and what ends it."""
        stake = wording.money(terms.stake, terms)
        return (
            f"A stake of {stake} grows by {terms.growth}% with every tick of"
            f" {terms.symbol.display_name}, for {terms.ticks} ticks at the most, as long as each is"
            f" less than {width_text(terms)} away from the tick before; else all is lost."
        )

    def encode(self, terms: AccumulatorTerms) -> str:
        """Stake, growth, width, start."""
        stake = to_text(terms.stake, terms.currency)
        return f"{stake}_0_0.0{terms.growth}_1_0.{terms.width:012}_{terms.start}"

    def decode(self, text: str, terms: Terms) -> AccumulatorTerms:
        """The terms that `encode` wrote; the take profit is stored separately."""
        stake, growth, width, start = short_fields.match(_SHORT, text)
        term = replace(terms, start=int(start), ticks=MAX_ACCUMULATOR_TICKS[int(growth)])
        return term.extended(
            AccumulatorTerms,
            stake=short_fields.read_money(stake, terms.currency),
            growth=int(growth),
            width=int(width),
        )

    def trigger(self, terms: AccumulatorTerms, state: ContractState[Tick]) -> Trigger:
        """The next tick: each is compared with the one before."""
        if state.memory is None:
            return super().trigger(terms, state)
        return Trigger(state.memory.epoch + terms.symbol.step)

    def step(
        self, terms: AccumulatorTerms, state: ContractState[Tick], tick: Tick
    ) -> ContractState[Tick]:
        """The state after one more tick; `decide` compares it with the memory, the tick before."""
        if state.entry is None:
            return super().step(terms, state, tick)
        # Without `replace`, which takes four times as long: this runs at every tick.
        outcome = self.decide(terms, state, tick)
        return ContractState(state.spot, tick.epoch, state.entry, outcome, tick)

    def decide(
        self, terms: AccumulatorTerms, state: ContractState[Tick], tick: Tick
    ) -> Outcome | None:
        """Check the range first, then the take profit, then the number of ticks."""
        assert state.entry is not None  # noqa: S101 - the entry comes first
        before = state.memory
        if before is None:
            return None
        if abs(tick.pips - before.pips) * WIDTH_UNITS >= terms.width * before.pips:
            return Outcome(Status.LOST, tick, 0)
        count = (tick.epoch - state.entry.epoch) // terms.symbol.step
        if count < _enough(terms.stake, terms.growth, terms.orders.take_profit):
            return None
        return Outcome(Status.WON, tick, _worth(terms.stake, terms.growth, count))

    def value(
        self,
        terms: AccumulatorTerms,
        state: ContractState[Tick],
        market: MarketView,
        margins: Margins,
    ) -> int:
        """The stake and its growth so far, in smallest units."""
        return _worth(terms.stake, terms.growth, self.stayed(terms, state))

    def fair_value(
        self, terms: AccumulatorTerms, state: ContractState[Tick], market: MarketView
    ) -> float:
        """The expected value after one tick, since it has no end of its own.

        Each further tick takes the same share of the value that it then has.
        """
        spot, epoch = market.tick.pips, market.tick.epoch
        tick = market.distribution(epoch, epoch + terms.symbol.step)
        inside = -(-terms.width * spot // WIDTH_UNITS) - 1  # the most whole pips that stay
        return terms.stake * (1 + terms.growth / 100) * within(spot, inside + 0.5, tick)

    def check_sale(self, terms: AccumulatorTerms, state: ContractState[Tick], now: int) -> None:
        """Raise `Refusal` also before the first tick after the entry."""
        super().check_sale(terms, state, now)
        if not self.stayed(terms, state):
            raise unsaleable("An accumulator cannot be sold before the first tick after its entry.")


def _growth(request: QuoteRequest) -> int:
    """The requested growth, in percent. Raises `Refusal`."""
    if request.growth_rate is None:
        raise invalid("growth_rate", "ACCU needs a growth_rate, such as 0.03.")
    percent = request.growth_rate * 100
    if percent not in MAX_ACCUMULATOR_TICKS:
        listed = ", ".join(map(str, GROWTH_RATES))
        raise not_offered(
            f"Growth rate is not in acceptable range. Accepts {listed}.", "growth_rate"
        )
    return int(percent)


def _worth(stake: int, growth: int, ticks: int) -> int:
    return int(stake * (100 + growth) ** ticks // 100**ticks)


@lru_cache(maxsize=4_096)  # called at every tick of every accumulator
def _enough(stake: int, growth: int, take_profit: int | None) -> int:
    """The number of ticks after which it closes automatically."""
    most = MAX_ACCUMULATOR_TICKS[growth]
    if take_profit is None:
        return most
    return next(k for k in range(1, most + 1) if _worth(stake, growth, k) >= stake + take_profit)


def width_text(terms: AccumulatorTerms) -> str:
    """The width in percent, to five decimals, such as `0.06186%`."""
    return f"{Decimal(terms.width) * 100 / WIDTH_UNITS:.5f}%"


def reach(terms: AccumulatorTerms, spot: int) -> int:
    """The distance from this spot at which the next tick ends it, in tenths of a pip.

    Rounded up, which makes no difference for ticks: they are whole pips away.
    """
    return -(-terms.width * spot * 10 // WIDTH_UNITS)


def stays(terms: AccumulatorTerms, feed: Feed, epoch: int) -> list[int]:
    """The lengths of the rows of ticks that stayed in the range, between ticks that did not.

    Oldest first, up to the epoch; the last row is still going on. At most the latest `ROWS_SHOWN`
    rows among the latest `TICKS_SEARCHED` ticks.
    """
    pips = feed.last_ticks(terms.symbol, TICKS_SEARCHED, epoch).pips
    went_out = np.abs(np.diff(pips)) * WIDTH_UNITS >= terms.width * pips[:-1]
    ends = np.flatnonzero(np.append(went_out, True))
    rows: list[int] = (np.diff(ends) - 1)[-ROWS_SHOWN:].tolist()
    return rows
