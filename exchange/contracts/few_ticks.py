"""Contracts on a handful of ticks, each of which counts: asians, high and low ticks, runs.

They remember every tick from the entry on.
"""

import re
from dataclasses import replace
from typing import TypeAlias

from scopegate.exchange.contracts.common import short_fields, wording
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.listing import Decides, Durations, Listing
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import invalid
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Tick,
    Trigger,
)
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.distribution import PriceDistribution, turned
from scopegate.exchange.pricing.tick_sequences import above_average, rising, stays_below, tops_all
from scopegate.exchange.rules import Margins

_ASIAN = re.compile(short_fields.PLAIN, re.ASCII)
_SELECTED = re.compile(
    rf"{short_fields.MONEY}_{short_fields.START}_([0-9]{{1,3}})t_([0-9])", re.ASCII
)
Ticks: TypeAlias = tuple[int, ...]
"""The price of every tick from the entry on, in pips."""

HIGH_LOW_TICKS = 5
"""Of so many ticks one is to be the highest or the lowest."""


class _FewTicks(FixedPayout[Ticks]):
    """A contract that looks at every tick."""

    is_path_dependent = True
    remembers = True
    rises: bool

    def remember(self, terms: FixedPayoutTerms, state: ContractState[Ticks], tick: Tick) -> Ticks:
        """Every tick."""
        return (*(state.memory or ()), tick.pips)

    def trigger(self, terms: FixedPayoutTerms, state: ContractState[Ticks]) -> Trigger:
        """Every tick."""
        if state.entry is None:
            return super().trigger(terms, state)
        return Trigger(terms.symbol.next_tick(state.seen))

    def turned(self, distribution: PriceDistribution) -> PriceDistribution:
        """The outlook of a rise: where a fall is bought, that of the market turned over."""
        return distribution if self.rises else turned(distribution)


class Asian(_FewTicks):
    """Won when the last tick is above (or below) the average of all, the entry tick among them."""

    counts_entry = True

    def __init__(self, name: str, display: str, *, rises: bool) -> None:
        self.name = name
        self.rises = rises
        self.listing = Listing(
            category="asian",
            category_display="Asians",
            display=display,
            sentiment="up" if rises else "down",
            barrier_category="asian",
            durations=Durations(ticks=(5, 10)),
            decides=Decides.FEW_TICKS,
        )

    def family_margin(self, margins: Margins) -> float:
        """That of rise and fall."""
        return margins.rise_fall

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], market: MarketView
    ) -> float:
        """How likely the last tick is on the side that wins."""
        known = state.memory or (market.tick.pips,)
        if not self.rises:
            known = tuple(2 * known[-1] - pips for pips in known)
        return above_average(known, self.turned(self.distribution(terms, state, market)))

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """What is compared."""
        side = "higher" if self.rises else "lower"
        return (
            f"{self.pays(terms)} if the last tick of {terms.symbol.display_name} is"
            f" strictly {side} than the average of {terms.ticks} ticks from the entry spot on."
        )

    def barriers(
        self, terms: FixedPayoutTerms, entry: int, memory: Ticks | None
    ) -> tuple[str, ...]:
        """The average, once it is known."""
        if memory is None or len(memory) != terms.ticks:
            return ()
        digits = terms.symbol.digits
        return (f"{sum(memory) / len(memory) / 10**digits:.{digits + 1}f}",)

    def encode(self, terms: FixedPayoutTerms) -> str:
        """Payout, start and end."""
        return short_fields.plain(terms, terms.payout)

    def decode(self, text: str, terms: Terms) -> FixedPayoutTerms:
        """What `encode` wrote."""
        payout, terms = short_fields.read_plain(terms, *short_fields.match(_ASIAN, text))
        return terms.extended(FixedPayoutTerms, payout=payout)

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], tick: Tick
    ) -> Outcome | None:
        """The last tick decides."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        seen = state.memory or ()
        beyond = tick.pips * len(seen) - sum(seen)
        return self.settled(terms, tick, won=beyond > 0 if self.rises else beyond < 0)


class SelectedTick(_FewTicks):
    """Won when the selected one of five ticks is strictly the highest (or the lowest) of them.

    Lost with the first tick that shows it is not. The entry tick is the first.
    """

    counts_entry = True
    takes = frozenset({"selected_tick"})

    def __init__(self, name: str, display: str, *, highest: bool) -> None:
        self.name = name
        self.rises = highest
        self.listing = Listing(
            category="highlowticks",
            category_display="High/Low Ticks",
            display=display,
            sentiment="high" if highest else "low",
            barrier_category="non_financial",
            durations=Durations(ticks=(HIGH_LOW_TICKS, HIGH_LOW_TICKS)),
            decides=Decides.FEW_TICKS,
        )

    def complete(
        self, terms: FixedPayoutTerms, request: QuoteRequest, market: MarketView
    ) -> FixedPayoutTerms:
        """A tick must be selected."""
        if request.selected_tick is None or not 1 <= request.selected_tick <= HIGH_LOW_TICKS:
            raise invalid("selected_tick", f"{self.name} needs a tick from 1 to {HIGH_LOW_TICKS}.")
        return replace(terms, selected_tick=request.selected_tick)

    def family_margin(self, margins: Margins) -> float:
        """That of contracts on few ticks."""
        return margins.few_ticks

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], market: MarketView
    ) -> float:
        """How likely the selected tick beats all others, when it has not been beaten yet."""
        spot, selected = market.tick.pips, terms.selected_tick or 0
        first = market.tick.epoch if state.memory else terms.entry_epoch
        known, last = state.memory or (spot,), self.exit_epoch(terms)
        ahead = selected - len(known)
        if ahead < 0:
            lead = abs(known[selected - 1] - spot)
            return stays_below(spot, lead - 0.5, self.turned(market.distribution(first, last)))
        chance, at_selected = 1.0, first
        if ahead:
            best = max(known) if self.rises else min(known)
            at_selected = terms.symbol.next_tick(first, ahead)
            to_selected = market.distribution(first, at_selected)
            chance = tops_all(spot, abs(best - spot), self.turned(to_selected))
        if selected < HIGH_LOW_TICKS:
            rest = market.distribution(at_selected, last)
            chance *= stays_below(spot, -0.5, self.turned(rest))
        return chance

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """Which tick must be what."""
        side = "highest" if self.rises else "lowest"
        return (
            f"{self.pays(terms)} if {wording.nth_tick(terms.selected_tick or 0)} of"
            f" {terms.symbol.display_name} is strictly the {side} of {HIGH_LOW_TICKS}, the entry"
            " spot being the first."
        )

    def barriers(
        self, terms: FixedPayoutTerms, entry: int, memory: Ticks | None
    ) -> tuple[str, ...]:
        """None."""
        return ()

    def encode(self, terms: FixedPayoutTerms) -> str:
        """Payout, start, the number of ticks and the selected one."""
        amount = short_fields.money(terms.payout, terms.currency)
        start = short_fields.start(terms)
        return f"{amount}_{start}_{terms.ticks}t_{terms.selected_tick}"

    def decode(self, text: str, terms: Terms) -> FixedPayoutTerms:
        """What `encode` wrote."""
        amount, start, forward, ticks, selected = short_fields.match(_SELECTED, text)
        if int(ticks) != HIGH_LOW_TICKS or not 1 <= int(selected) <= HIGH_LOW_TICKS:
            raise ValueError(text)
        payout, terms = short_fields.read_plain(terms, amount, start, forward, None, None, ticks)
        return terms.extended(FixedPayoutTerms, payout=payout, selected_tick=int(selected))

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], tick: Tick
    ) -> Outcome | None:
        """A tick that beats the selected one, or is its equal, decides, else the last."""
        seen, selected = state.memory or (), terms.selected_tick or 0
        if len(seen) >= selected:
            best = max(seen) if self.rises else min(seen)
            if seen[selected - 1] != best or seen.count(best) > 1:
                return self.settled(terms, tick, won=False)
        if tick.epoch < self.exit_epoch(terms):
            return None
        return self.settled(terms, tick, won=True)


class Run(_FewTicks):
    """Won when each tick is strictly above (or below) the one before it, from the entry tick on.

    Lost with the first that is not.
    """

    def __init__(self, name: str, display: str, *, rises: bool) -> None:
        self.name = name
        self.rises = rises
        self.listing = Listing(
            category="runs",
            category_display="Only Ups/Only Downs",
            display=display,
            sentiment="up" if rises else "down",
            barrier_category="american",
            durations=Durations(ticks=(2, 5)),
            decides=Decides.FEW_TICKS,
        )

    def family_margin(self, margins: Margins) -> float:
        """That of contracts on few ticks."""
        return margins.few_ticks

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], market: MarketView
    ) -> float:
        """How likely all ticks to come go on as they must."""
        return rising(market.tick.pips, self.turned(self.distribution(terms, state, market)))

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """What each tick must do."""
        does = "rises" if self.rises else "falls"
        return (
            f"{self.pays(terms)} if {terms.symbol.display_name} {does} with each of"
            f" {terms.ticks} ticks after the entry spot."
        )

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], tick: Tick
    ) -> Outcome | None:
        """A tick that goes the wrong way decides, or does not move; else the last."""
        seen = state.memory or ()
        if len(seen) > 1:
            moved = seen[-1] - seen[-2]
            if moved <= 0 if self.rises else moved >= 0:
                return self.settled(terms, tick, won=False)
        if tick.epoch < self.exit_epoch(terms):
            return None
        return self.settled(terms, tick, won=True)
