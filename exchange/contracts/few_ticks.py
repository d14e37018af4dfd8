"""Contracts on a few ticks, all of which count: asians, high and low ticks, runs.

Their memory is every tick from the entry on.
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
"""The number of ticks of which one must be the highest or the lowest."""


class _FewTicks(FixedPayout[Ticks]):
    """A contract that depends on every tick."""

    is_path_dependent = True
    remembers = True
    rises: bool

    def remember(self, terms: FixedPayoutTerms, state: ContractState[Ticks], tick: Tick) -> Ticks:
        """The prices of all ticks so far."""
        return (*(state.memory or ()), tick.pips)

    def trigger(self, terms: FixedPayoutTerms, state: ContractState[Ticks]) -> Trigger:
        """The next tick."""
        if state.entry is None:
            return super().trigger(terms, state)
        return Trigger(terms.symbol.next_tick(state.seen))

    def turned(self, distribution: PriceDistribution) -> PriceDistribution:
        """The distribution as for a rise: mirrored if the contract is on a fall."""
        return distribution if self.rises else turned(distribution)


class Asian(_FewTicks):
    """A contract that is won if the last tick is above (or below) the average of all ticks.

    The entry tick counts.
    """

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
        """The margin on rise and fall."""
        return margins.rise_fall

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], market: MarketView
    ) -> float:
        """The probability that the last tick is on the winning side."""
        known = state.memory or (market.tick.pips,)
        if not self.rises:
            known = tuple(2 * known[-1] - pips for pips in known)
        return above_average(known, self.turned(self.distribution(terms, state, market)))

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """The longcode: what is compared."""
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
        """The terms that `encode` wrote."""
        payout, terms = short_fields.read_plain(terms, *short_fields.match(_ASIAN, text))
        return terms.extended(FixedPayoutTerms, payout=payout)

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], tick: Tick
    ) -> Outcome | None:
        """Decide at the last tick."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        seen = state.memory or ()
        beyond = tick.pips * len(seen) - sum(seen)
        return self.settled(terms, tick, won=beyond > 0 if self.rises else beyond < 0)


class SelectedTick(_FewTicks):
    """A contract that is won if the selected one of five ticks is strictly the highest (or lowest).

    Lost with the first tick that shows it is not. The entry tick is the first of the five.
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
        """The terms with the selected tick, which is required."""
        if request.selected_tick is None or not 1 <= request.selected_tick <= HIGH_LOW_TICKS:
            raise invalid(
                "selected_tick", f"{self.name} needs a selected_tick from 1 to {HIGH_LOW_TICKS}."
            )
        return replace(terms, selected_tick=request.selected_tick)

    def family_margin(self, margins: Margins) -> float:
        """The margin on contracts on few ticks."""
        return margins.few_ticks

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], market: MarketView
    ) -> float:
        """The probability that the selected tick beats all others; none has beaten it so far."""
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
        """The longcode: which tick must be the highest or the lowest."""
        side = "highest" if self.rises else "lowest"
        return (
            f"{self.pays(terms)} if {wording.nth_tick(terms.selected_tick or 0)} of"
            f" {terms.symbol.display_name} is strictly the {side} of {HIGH_LOW_TICKS}, the entry"
            " spot being the first."
        )

    def barriers(
        self, terms: FixedPayoutTerms, entry: int, memory: Ticks | None
    ) -> tuple[str, ...]:
        """No barriers."""
        return ()

    def encode(self, terms: FixedPayoutTerms) -> str:
        """Payout, start, the number of ticks and the selected one."""
        amount = short_fields.money(terms.payout, terms.currency)
        start = short_fields.start(terms)
        return f"{amount}_{start}_{terms.ticks}t_{terms.selected_tick}"

    def decode(self, text: str, terms: Terms) -> FixedPayoutTerms:
        """The terms that `encode` wrote."""
        amount, start, forward, ticks, selected = short_fields.match(_SELECTED, text)
        if int(ticks) != HIGH_LOW_TICKS or not 1 <= int(selected) <= HIGH_LOW_TICKS:
            raise ValueError(text)
        payout, terms = short_fields.read_plain(terms, amount, start, forward, None, None, ticks)
        return terms.extended(FixedPayoutTerms, payout=payout, selected_tick=int(selected))

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], tick: Tick
    ) -> Outcome | None:
        """Decide at the first tick that shows that the selected one does not win, else the last.

        A tick that equals the selected one makes it lose too.
        """
        seen, selected = state.memory or (), terms.selected_tick or 0
        if len(seen) >= selected:
            best = max(seen) if self.rises else min(seen)
            if seen[selected - 1] != best or seen.count(best) > 1:
                return self.settled(terms, tick, won=False)
        if tick.epoch < self.exit_epoch(terms):
            return None
        return self.settled(terms, tick, won=True)


class Run(_FewTicks):
    """A contract that is won if each tick is strictly above (or below) the one before.

    The first is compared with the entry tick. Lost with the first that is not.
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
        """The margin on contracts on few ticks."""
        return margins.few_ticks

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], market: MarketView
    ) -> float:
        """The probability that all remaining ticks move in the winning direction."""
        return rising(market.tick.pips, self.turned(self.distribution(terms, state, market)))

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """The longcode: how each tick must move."""
        does = "rises" if self.rises else "falls"
        return (
            f"{self.pays(terms)} if {terms.symbol.display_name} {does} with each of"
            f" {terms.ticks} ticks after the entry spot."
        )

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[Ticks], tick: Tick
    ) -> Outcome | None:
        """Decide at the first tick that moves the wrong way or does not move, else at the last."""
        seen = state.memory or ()
        if len(seen) > 1:
            moved = seen[-1] - seen[-2]
            if moved <= 0 if self.rises else moved >= 0:
                return self.settled(terms, tick, won=False)
        if tick.epoch < self.exit_epoch(terms):
            return None
        return self.settled(terms, tick, won=True)
