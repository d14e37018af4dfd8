"""One touch and no touch: decided by the first tick at or beyond the barrier."""

from dataclasses import replace

from scopegate.exchange.contracts.common import wording
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.listing import FEW_TICKS_OR_MINUTES, Decides, Listing
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import bad_barrier, barriers_needed
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Tick,
    Trigger,
)
from scopegate.exchange.contracts.common.terms import Barrier
from scopegate.exchange.pricing.touch import touch
from scopegate.exchange.rules import Margins


class Touch(FixedPayout[None]):
    """A contract that is won if a tick is at or beyond the barrier, or (`touches` false) none is.

    Ticks after the entry count; if the barrier is absolute, the entry tick counts too. Priced by
    `exchange.pricing.touch`.
    """

    is_path_dependent = True
    takes = frozenset({"barrier"})

    def __init__(self, name: str, display: str, *, touches: bool) -> None:
        self.name = name
        self.touches = touches
        self.listing = Listing(
            category="touchnotouch",
            category_display="Touch/No Touch",
            display=display,
            sentiment="high_vol" if touches else "low_vol",
            barrier_category="american",
            durations=FEW_TICKS_OR_MINUTES,
            decides=Decides.TOUCH,
        )

    def complete(
        self, terms: FixedPayoutTerms, request: QuoteRequest, market: MarketView
    ) -> FixedPayoutTerms:
        """The terms with the barrier, which is required and must not be the spot."""
        if request.barrier is None:
            needed = f"{self.name} needs a barrier, such as +0.50."
            raise barriers_needed("Single", "barrier", needed)
        barrier = Barrier.parse(request.barrier, terms.symbol)
        if barrier.level(market.tick.pips) <= 0:
            raise bad_barrier("The barrier must be above zero.")
        if barrier.level(market.tick.pips) == market.tick.pips:
            raise bad_barrier("The barrier must differ from the spot.")
        return replace(terms, barrier=barrier)

    def family_margin(self, margins: Margins) -> float:
        """The margin on touches."""
        return margins.touch

    @staticmethod
    def _level(terms: FixedPayoutTerms, state: ContractState[None], spot: int) -> tuple[int, bool]:
        """The barrier in pips, and whether it is above the price at the start."""
        barrier = terms.barrier
        assert barrier is not None  # noqa: S101 - `complete` requires it
        if barrier.is_relative:
            return barrier.level(state.entry.pips if state.entry else spot), barrier.pips > 0
        return barrier.pips, barrier.pips > state.spot.pips

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> float:
        """The probability that a tick up to the exit touches, or that none does."""
        spot = market.tick.pips
        level, is_above = self._level(terms, state, spot)
        if spot >= level if is_above else spot <= level:
            chance = 1.0
        else:
            edge = level + (-0.5 if is_above else 0.5)
            chance = touch(spot, edge, self.distribution(terms, state, market))
        return chance if self.touches else 1.0 - chance

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """The longcode: which barrier must be touched, or must not, and until when."""
        wins = "touches" if self.touches else "does not touch"
        return (
            f"{self.pays(terms)} if {terms.symbol.display_name} {wins}"
            f" {wording.level(terms.barrier, terms.symbol)} until {wording.end(terms)}."
        )

    def trigger(self, terms: FixedPayoutTerms, state: ContractState[None]) -> Trigger:
        """The exit tick, or an earlier one that touches."""
        if state.entry is None:
            return super().trigger(terms, state)
        level, is_above = self._level(terms, state, 0)
        until = self.exit_epoch(terms)
        return Trigger(until, high=level) if is_above else Trigger(until, low=level)

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[None], tick: Tick
    ) -> Outcome | None:
        """Decide at a touch, else at the exit tick."""
        assert state.entry is not None and terms.barrier is not None  # noqa: PT018, S101
        level, is_above = self._level(terms, state, 0)
        counts = tick.epoch > state.entry.epoch or not terms.barrier.is_relative
        if counts and (tick.pips >= level if is_above else tick.pips <= level):
            return self.settled(terms, tick, won=self.touches)
        if tick.epoch >= self.exit_epoch(terms):
            return self.settled(terms, tick, won=not self.touches)
        return None
