"""Rise and fall, higher and lower: decided by the side of the barrier on which the exit is."""

from dataclasses import replace

from scopegate.exchange.contracts.common import wording
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.listing import TICKS_OR_TIME, Decides, Listing
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import bad_barrier
from scopegate.exchange.contracts.common.state import ContractState, MarketView, Outcome, Tick
from scopegate.exchange.contracts.common.terms import AT_ENTRY, Barrier
from scopegate.exchange.pricing.terminal import above
from scopegate.exchange.rules import Margins


class European(FixedPayout[None]):
    """A contract that is won if the exit tick is beyond the barrier; with `ties`, also if at it.

    Priced by Black, Scholes 1973 for a price that is rounded to whole pips.
    """

    takes = frozenset({"barrier"})

    def __init__(self, name: str, display: str, *, rises: bool, ties: bool) -> None:
        self.name = name
        self.rises = rises
        self.ties = ties
        self.listing = Listing(
            category="callputequal" if ties else "callput",
            category_display="Rise/Fall Equal" if ties else "Up/Down",
            display=display,
            sentiment="up" if rises else "down",
            barrier_category="euro_atm",
            durations=TICKS_OR_TIME,
            decides=Decides.SIDE_OF_LAST_TICK,
            takes_forward_start=True,
        )

    def complete(
        self, terms: FixedPayoutTerms, request: QuoteRequest, market: MarketView
    ) -> FixedPayoutTerms:
        """The terms with the barrier, if the request has one."""
        if request.barrier is None:
            return terms
        barrier = Barrier.parse(request.barrier, terms.symbol)
        if barrier.level(market.tick.pips) <= 0:
            raise bad_barrier("The barrier must be above zero.")
        return terms if barrier == AT_ENTRY else replace(terms, barrier=barrier)

    def family_margin(self, margins: Margins) -> float:
        """The margin on rise and fall."""
        return margins.rise_fall

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> float:
        """The probability that the exit tick is on the winning side."""
        barrier = terms.barrier or AT_ENTRY
        strike = barrier.level(state.entry.pips if state.entry else market.tick.pips)
        # A whole pip beyond the strike wins, and with ties the strike too: half a pip in between.
        edge = strike + (0.5 if self.rises != self.ties else -0.5)
        chance = above(market.tick.pips, edge, self.distribution(terms, state, market))
        return chance if self.rises else 1.0 - chance

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """The longcode: where the price must be at the end."""
        side = "higher" if self.rises else "lower"
        wins = f"{side} than or equal to" if self.ties else f"strictly {side} than"
        return (
            f"{self.pays(terms)} if {terms.symbol.display_name} is {wins}"
            f" {wording.level(terms.barrier, terms.symbol)} {wording.at_end(terms)}."
        )

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[None], tick: Tick
    ) -> Outcome | None:
        """Decide at the exit tick."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        assert state.entry is not None  # noqa: S101 - the entry comes first
        beyond = tick.pips - (terms.barrier or AT_ENTRY).level(state.entry.pips)
        won = beyond == 0 if self.ties else False
        return self.settled(terms, tick, won=won or (beyond > 0 if self.rises else beyond < 0))
