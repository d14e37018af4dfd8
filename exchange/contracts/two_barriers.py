"""Contracts with two barriers: ends between or outside, stays between or goes outside, spreads."""

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
"""The lower barrier must be above the spot divided by this."""


class _TwoBarriers(FixedPayout[None]):
    """A contract with a barrier above the spot and one below: both relative, or both absolute."""

    takes = frozenset({"barrier", "barrier2"})

    def complete(
        self, terms: FixedPayoutTerms, request: QuoteRequest, market: MarketView
    ) -> FixedPayoutTerms:
        """The terms with both barriers, which are required and must have the spot between them."""
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
        assert low is not None and high is not None  # noqa: PT018, S101 - `complete` requires it
        return low.level(entry), high.level(entry)

    def seen_levels(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> tuple[int, int]:
        """The same; before the entry, as if the entry spot were the present spot."""
        return self.levels(terms, (state.entry or market.tick).pips)

    def barriers(self, terms: FixedPayoutTerms, entry: int, memory: None) -> tuple[str, ...]:
        """The higher and the lower barrier."""
        low, high = self.levels(terms, entry)
        return terms.symbol.text(high), terms.symbol.text(low)

    def encode_barriers(self, terms: FixedPayoutTerms) -> tuple[str, str]:
        """The fields of both barriers, the higher first."""
        high, low = (short_fields.barrier(b, terms.symbol) for b in (terms.barrier, terms.barrier2))
        return high, low

    def decode_barriers(self, first: str, second: str, terms: FixedPayoutTerms) -> FixedPayoutTerms:
        """The terms with both barriers, which must be there."""
        high, low = (short_fields.read_barrier(text, terms.symbol) for text in (first, second))
        if high is None or low is None or high.is_relative != low.is_relative:
            raise ValueError(first)
        if high.pips <= low.pips:
            raise ValueError(second)
        return replace(terms, barrier=high, barrier2=low)


class Ends(_TwoBarriers):
    """A contract that is won if the exit is between the barriers, or (`between` false) outside.

    With `ties`, also if it is at one of them. Priced by Black, Scholes 1973.
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
        """The margin on rise and fall."""
        return margins.rise_fall

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> float:
        """The probability that the exit tick is on the winning side."""
        low, high = self.seen_levels(terms, state, market)
        distribution, spot = self.distribution(terms, state, market), market.tick.pips
        # If the barriers themselves count as between, so do prices up to half a pip beyond them.
        wider = 0.5 if self.between == self.ties else -0.5
        between = above(spot, low - wider, distribution) - above(spot, high + wider, distribution)
        return between if self.between else 1.0 - between

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """The longcode: where the price must be at the end."""
        side = "between" if self.between else "outside"
        ties = ", or at one of them," if self.ties else ""
        return (
            f"{self.pays(terms)} if {terms.symbol.display_name} is {side}"
            f" {both_barriers(terms)}{ties} {wording.at_end(terms)}."
        )

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[None], tick: Tick
    ) -> Outcome | None:
        """Decide at the exit tick."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        assert state.entry is not None  # noqa: S101 - the entry comes first
        low, high = self.levels(terms, state.entry.pips)
        if tick.pips in (low, high):
            return self.settled(terms, tick, won=self.ties)
        return self.settled(terms, tick, won=(low < tick.pips < high) == self.between)


class Stays(_TwoBarriers):
    """A contract that is won if all ticks are between the barriers, or (`stays` false) one is not.

    A tick at a barrier is not between them. If the barriers are absolute, the entry tick counts
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
        """The margin on touches."""
        return margins.touch

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> float:
        """The probability that all ticks up to the exit stay between, or that one does not."""
        low, high = self.seen_levels(terms, state, market)
        stays = inside(
            market.tick.pips, low + 0.5, high - 0.5, self.distribution(terms, state, market)
        )
        return stays if self.stays else 1.0 - stays

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """The longcode: that no barrier must be touched, or that one must, and until when."""
        wins = "stays between" if self.stays else "touches one of"
        return (
            f"{self.pays(terms)} if {terms.symbol.display_name} {wins}"
            f" {both_barriers(terms)} until {wording.end(terms)}."
        )

    def trigger(self, terms: FixedPayoutTerms, state: ContractState[None]) -> Trigger:
        """The exit tick, or an earlier one that touches."""
        if state.entry is None:
            return super().trigger(terms, state)
        low, high = self.levels(terms, state.entry.pips)
        return Trigger(self.exit_epoch(terms), low=low, high=high)

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[None], tick: Tick
    ) -> Outcome | None:
        """Decide at a touch, else at the exit tick."""
        assert state.entry is not None  # noqa: S101 - the entry comes first
        low, high = self.levels(terms, state.entry.pips)
        if not low < tick.pips < high:
            return self.settled(terms, tick, won=not self.stays)
        if tick.epoch >= self.exit_epoch(terms):
            return self.settled(terms, tick, won=self.stays)
        return None


class Spread(_TwoBarriers):
    """A contract that pays a share of the payout: how far the exit tick is between the barriers.

    It is measured from the lower barrier up, or (`rises` false) from the higher one down. At or
    beyond one barrier it pays all, at or beyond the other nothing. Priced as the difference of two
    calls (Black 1976).
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
        """The terms with both barriers, as requested or at the distances of `barrier_range`."""
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
        """The margin on spreads."""
        return margins.spread

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> float:
        """The expected share of the payout that it pays."""
        low, high = self.seen_levels(terms, state, market)
        distribution, spot = self.distribution(terms, state, market), market.tick.pips
        share = (call(spot, low, distribution) - call(spot, high, distribution)) / (high - low)
        return share if self.rises else 1.0 - share

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """The longcode: what is paid, depending on where the price ends."""
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
        """Decide at the exit tick; the payout is rounded down."""
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
