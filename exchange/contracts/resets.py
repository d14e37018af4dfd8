"""Rises and falls whose barrier is reset at half time if that is better for the client."""

from scopegate.exchange.contracts.common import wording
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.listing import Decides, Durations, Listing
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Tick,
    Trigger,
)
from scopegate.exchange.pricing.moved_strikes import above_reset, below_reset
from scopegate.exchange.pricing.terminal import above
from scopegate.exchange.rules import Margins


class Reset(FixedPayout[int]):
    """A contract that is won if the exit tick is beyond the entry spot, or the spot at half time.

    Either counts, so the barrier is the better one for the client. The memory is the spot at half
    time. Priced by Gray, Whaley 1999, and after half time like a rise or a fall.
    """

    is_path_dependent = True
    remembers = True

    def __init__(self, name: str, display: str, *, rises: bool) -> None:
        self.name = name
        self.rises = rises
        self.listing = Listing(
            category="reset",
            category_display="Reset Call/Reset Put",
            display=display,
            sentiment="up" if rises else "down",
            barrier_category="reset",
            durations=Durations(ticks=(5, 10), seconds=(20, 7_200)),
            decides=Decides.PATH,
        )

    def family_margin(self, margins: Margins) -> float:
        """The margin on contracts on few ticks."""
        return margins.few_ticks

    @staticmethod
    def reset_moment(terms: FixedPayoutTerms) -> int:
        """The epoch of half time: half of the seconds after the start, or of the ticks after entry.

        Both are rounded down.
        """
        if terms.ticks is not None:
            return terms.symbol.next_tick(terms.entry_epoch, terms.ticks // 2)
        assert terms.expiry is not None  # noqa: S101 - every contract has one of the two
        return terms.start + (terms.expiry - terms.start) // 2

    def reset_epoch(self, terms: FixedPayoutTerms) -> int:
        """The epoch of the tick that may become the barrier: the last one up to half time."""
        return terms.symbol.last_tick(self.reset_moment(terms))

    def level(self, entry: int, at_reset: int | None) -> int:
        """The barrier in pips, from the entry spot and, once it is known, the spot at half time."""
        if at_reset is None:
            return entry
        return min(entry, at_reset) if self.rises else max(entry, at_reset)

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[int], market: MarketView
    ) -> float:
        """The probability that the exit tick is on the winning side."""
        spot, distribution = market.tick.pips, self.distribution(terms, state, market)
        entry = (state.entry or market.tick).pips
        if state.memory is not None:
            level = self.level(entry, state.memory)
            if self.rises:
                return above(spot, level + 0.5, distribution)
            return 1.0 - above(spot, level - 0.5, distribution)
        first = terms.entry_epoch if state.entry is None else market.tick.epoch
        to_reset = market.distribution(first, self.reset_epoch(terms))
        price = above_reset if self.rises else below_reset
        return price(spot, entry, to_reset, distribution)

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """The longcode: where the price must be at the end."""
        side = "higher" if self.rises else "lower"
        reset = "at half time"
        if terms.ticks is not None:
            count = terms.ticks // 2
            reset = f"{count} tick{'s' * (count > 1)} after it"
        return (
            f"{self.pays(terms)} if {terms.symbol.display_name} is strictly {side}"
            f" {wording.at_end(terms)} than the entry spot, or than the spot {reset}."
        )

    def remember(
        self, terms: FixedPayoutTerms, state: ContractState[int], tick: Tick
    ) -> int | None:
        """The spot at half time."""
        return tick.pips if tick.epoch == self.reset_epoch(terms) else state.memory

    def trigger(self, terms: FixedPayoutTerms, state: ContractState[int]) -> Trigger:
        """The tick at half time, then the exit tick."""
        if state.entry is None or state.memory is not None:
            return super().trigger(terms, state)
        return Trigger(self.reset_epoch(terms))

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[int], tick: Tick
    ) -> Outcome | None:
        """Decide at the exit tick."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        assert state.entry is not None  # noqa: S101 - the entry comes first
        beyond = tick.pips - self.level(state.entry.pips, state.memory)
        return self.settled(terms, tick, won=beyond > 0 if self.rises else beyond < 0)
