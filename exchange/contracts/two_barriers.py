"""Two barriers: contracts that end or stay between them, or do not, and spreads."""

import math
from dataclasses import replace

from scopegate.exchange.contracts.common import short_fields, wording
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.listing import MINUTES_OR_DAYS, Decides, Listing
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import bad_barrier, barriers_needed, invalid
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Status,
    Tick,
    Trigger,
)
from scopegate.exchange.contracts.common.terms import Barrier
from scopegate.exchange.pricing.ranges import inside
from scopegate.exchange.pricing.terminal import above, call
from scopegate.exchange.rules import SPREAD_RANGES, Margins

_DEEPEST = 100
"""The lower barrier lies above this part of the spot."""


class _TwoBarriers(FixedPayout[None]):
    """A contract with a barrier above the spot and one below: both relative, or both prices."""

    takes = frozenset({"barrier", "barrier2"})

    def complete(
        self, terms: FixedPayoutTerms, request: QuoteRequest, market: MarketView
    ) -> FixedPayoutTerms:
        """Both barriers must be there, the spot between them."""
        for field, side, text in (("barrier", "above", "+0.50"), ("barrier2", "below", "-0.50")):
            if getattr(request, field) is None:
                raise barriers_needed(
                    "Double",
                    "barrier",
                    f"{self.name} needs a {field} {side} the spot, such as {text}.",
                )
        assert request.barrier is not None and request.barrier2 is not None  # noqa: PT018, S101
        high = Barrier.parse(request.barrier, terms.symbol)
        low = Barrier.parse(request.barrier2, terms.symbol, "barrier2")
        if high.is_relative != low.is_relative:
            raise bad_barrier("Give both barriers with a sign, or both as prices.", "barrier2")
        spot = market.tick.pips
        if low.level(spot) * _DEEPEST <= spot:  # it must be above zero wherever the entry will be
            raise bad_barrier(f"barrier2 must be above a {_DEEPEST}th of the spot.", "barrier2")
        if high.level(spot) <= spot:
            raise bad_barrier("The barrier must be above the spot, barrier2 below it.")
        if low.level(spot) >= spot:
            raise bad_barrier("The barrier must be above the spot, barrier2 below it.", "barrier2")
        return replace(terms, barrier=high, barrier2=low)

    @staticmethod
    def levels(terms: FixedPayoutTerms, entry: int) -> tuple[int, int]:
        """The lower and the higher barrier, in pips."""
        low, high = terms.barrier2, terms.barrier
        assert low is not None and high is not None  # noqa: PT018, S101 - `complete` sees to it
        return low.level(entry), high.level(entry)

    def seen_levels(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> tuple[int, int]:
        """The same, where the entry may be awaited."""
        return self.levels(terms, (state.entry or market.tick).pips)

    def barriers(self, terms: FixedPayoutTerms, entry: int, memory: None) -> tuple[str, ...]:
        """The higher and the lower one."""
        low, high = self.levels(terms, entry)
        return terms.symbol.text(high), terms.symbol.text(low)

    def encode_barriers(self, terms: FixedPayoutTerms) -> tuple[str, str]:
        """The higher one first."""
        high, low = (short_fields.barrier(b, terms.symbol) for b in (terms.barrier, terms.barrier2))
        return high, low

    def decode_barriers(self, first: str, second: str, terms: FixedPayoutTerms) -> FixedPayoutTerms:
        """Both must be there."""
        high, low = (short_fields.read_barrier(text, terms.symbol) for text in (first, second))
        if high is None or low is None or high.is_relative != low.is_relative:
            raise ValueError(first)
        if high.pips <= low.pips:
            raise ValueError(second)
        return replace(terms, barrier=high, barrier2=low)


class Ends(_TwoBarriers):
    """Won when the exit tick is between the barriers, or (`between` false) outside.

    With `ties`, also when it is at one of them. Priced by Black, Scholes 1973.
    """

    def __init__(self, name: str, display: str, *, between: bool, ties: bool) -> None:
        self.name = name
        self.between = between
        self.ties = ties
        self.listing = Listing(
            category="endsinout",
            category_display="Ends Between/Ends Outside",
            display=display,
            sentiment="low_vol" if between else "high_vol",
            barrier_category="euro_non_atm",
            durations=MINUTES_OR_DAYS,
            decides=Decides.SIDE_OF_LAST_TICK,
        )

    def family_margin(self, margins: Margins) -> float:
        """That of rise and fall."""
        return margins.rise_fall

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> float:
        """How likely the exit tick is where it wins."""
        low, high = self.seen_levels(terms, state, market)
        distribution, spot = self.distribution(terms, state, market), market.tick.pips
        # Where the barriers themselves are between, half a pip beyond them is.
        wider = 0.5 if self.between == self.ties else -0.5
        between = above(spot, low - wider, distribution) - above(spot, high + wider, distribution)
        return between if self.between else 1.0 - between

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """Where the price must be at the end."""
        side = "between" if self.between else "outside"
        ties = ", or at one of them," if self.ties else ""
        return (
            f"{self.pays(terms)} if {terms.symbol.display_name} is {side}"
            f" {both_barriers(terms)}{ties} {wording.at_end(terms)}."
        )

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[None], tick: Tick
    ) -> Outcome | None:
        """The exit tick decides."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        assert state.entry is not None  # noqa: S101 - the entry comes first
        low, high = self.levels(terms, state.entry.pips)
        if tick.pips in (low, high):
            return self.settled(terms, tick, won=self.ties)
        return self.settled(terms, tick, won=(low < tick.pips < high) == self.between)


class Stays(_TwoBarriers):
    """Won when every tick is between the barriers, or (`stays` false) when one is not.

    A tick at a barrier is not between them. Where the barriers are prices the entry tick counts
    too. Priced by `exchange.pricing.ranges`.
    """

    is_path_dependent = True

    def __init__(self, name: str, display: str, *, stays: bool) -> None:
        self.name = name
        self.stays = stays
        self.listing = Listing(
            category="staysinout",
            category_display="Stays Between/Goes Outside",
            display=display,
            sentiment="low_vol" if stays else "high_vol",
            barrier_category="american",
            durations=MINUTES_OR_DAYS,
            decides=Decides.PATH,
        )

    def family_margin(self, margins: Margins) -> float:
        """That of touches."""
        return margins.touch

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> float:
        """How likely all ticks up to the exit stay between, or one does not."""
        low, high = self.seen_levels(terms, state, market)
        stays = inside(
            market.tick.pips, low + 0.5, high - 0.5, self.distribution(terms, state, market)
        )
        return stays if self.stays else 1.0 - stays

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """Which barriers must not be touched, or one of them must, and until when."""
        wins = "stays between" if self.stays else "touches one of"
        return (
            f"{self.pays(terms)} if {terms.symbol.display_name} {wins}"
            f" {both_barriers(terms)} until {wording.end(terms)}."
        )

    def trigger(self, terms: FixedPayoutTerms, state: ContractState[None]) -> Trigger:
        """Until the exit, or a tick that touches."""
        if state.entry is None:
            return super().trigger(terms, state)
        low, high = self.levels(terms, state.entry.pips)
        return Trigger(self.exit_epoch(terms), low=low, high=high)

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[None], tick: Tick
    ) -> Outcome | None:
        """A touch decides, else the exit tick."""
        assert state.entry is not None  # noqa: S101 - the entry comes first
        low, high = self.levels(terms, state.entry.pips)
        if not low < tick.pips < high:
            return self.settled(terms, tick, won=not self.stays)
        if tick.epoch >= self.exit_epoch(terms):
            return self.settled(terms, tick, won=self.stays)
        return None


class Spread(_TwoBarriers):
    """Pays the share of the payout that the exit tick has covered of the way between the barriers.

    From the lower one up, or (`rises` false) from the higher one down; at one barrier or beyond it
    pays all, at the other or beyond it nothing. Priced as two calls (Black 1976).
    """

    takes = frozenset({"barrier", "barrier2", "barrier_range"})

    def __init__(self, name: str, display: str, *, rises: bool) -> None:
        self.name = name
        self.rises = rises
        self.listing = Listing(
            category="callputspread",
            category_display="Spread Up/Spread Down",
            display=display,
            sentiment="up" if rises else "down",
            barrier_category="euro_non_atm",
            durations=MINUTES_OR_DAYS,
            decides=Decides.DISTANCE_OF_LAST_TICK,
        )

    def complete(
        self, terms: FixedPayoutTerms, request: QuoteRequest, market: MarketView
    ) -> FixedPayoutTerms:
        """Both barriers, or how far from the entry spot they lie."""
        if request.barrier_range is None:
            return super().complete(terms, request, market)
        if request.barrier is not None or request.barrier2 is not None:
            raise invalid("barrier_range", "Give the barriers or a barrier_range, not both.")
        ticks = self.distribution(
            terms, ContractState(market.tick, market.tick.epoch), market
        ).ticks
        sd = market.tick.pips * terms.symbol.tick_sd * math.sqrt(ticks)
        away = max(1, round(SPREAD_RANGES[request.barrier_range] * sd))
        return replace(terms, barrier=Barrier(away), barrier2=Barrier(-away))

    def family_margin(self, margins: Margins) -> float:
        """That of spreads."""
        return margins.spread

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> float:
        """The share of the payout that it pays, in the mean."""
        low, high = self.seen_levels(terms, state, market)
        distribution, spot = self.distribution(terms, state, market), market.tick.pips
        share = (call(spot, low, distribution) - call(spot, high, distribution)) / (high - low)
        return share if self.rises else 1.0 - share

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """What is paid where the price ends."""
        low, high = (wording.level(b, terms.symbol) for b in (terms.barrier2, terms.barrier))
        none, full = (low, high) if self.rises else (high, low)
        beyond, short = ("above", "below") if self.rises else ("below", "above")
        return (
            f"{self.pays(terms)} if {terms.symbol.display_name} is at or {beyond} {full}"
            f" {wording.at_end(terms)}, nothing if it is at or {short} {none}, and in between in"
            " proportion."
        )

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[None], tick: Tick
    ) -> Outcome | None:
        """The exit tick decides; what it pays is rounded down."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        assert state.entry is not None  # noqa: S101 - the entry comes first
        low, high = self.levels(terms, state.entry.pips)
        covered = tick.pips - low if self.rises else high - tick.pips
        pays = terms.payout * min(max(covered, 0), high - low) // (high - low)
        return Outcome(Status.WON if pays else Status.LOST, tick, pays)


def both_barriers(terms: FixedPayoutTerms) -> str:
    """Two barriers in words, the lower first."""
    low, high = (wording.level(each, terms.symbol) for each in (terms.barrier2, terms.barrier))
    return f"{low} and {high}"
