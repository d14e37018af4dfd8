"""Views of contracts with a fixed payout."""

from typing import Any

from scopegate.exchange.contracts.common import bounds
from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.contracts.digits import Digits
from scopegate.exchange.contracts.few_ticks import SelectedTick
from scopegate.exchange.contracts.resets import Reset
from scopegate.exchange.rules import MAX_PAYOUT
from scopegate.handlers.exchange.views.view import (
    ContractView,
    KindT,
    ListingContext,
    ShownContract,
)
from scopegate.schemas.offering_messages import AvailableContract
from scopegate.schemas.portfolio_messages import OpenContract
from scopegate.schemas.trading_messages import ValidationParams


class FixedPayoutView(ContractView[KindT], of=FixedPayout):
    """The view of contracts with a fixed payout: the bounds of the payout."""

    def example(self) -> Terms:
        """Return terms with a payout of 10.00 USD, and the barriers that the type takes."""
        takes = self.kind.takes
        return (
            super()
            .example()
            .extended(
                FixedPayoutTerms,
                payout=1_000,
                barrier=self.example_barrier(),
                barrier2=Barrier(-50) if "barrier2" in takes else None,
                digit=5 if self.kind.barrier_is_digit and "barrier" in takes else None,
                selected_tick=3 if "selected_tick" in takes else None,
            )
        )

    def limits(self, terms: Any, quote: Quote[Any] | None = None) -> ValidationParams:
        """Return the bounds of stake and payout."""
        limits = super().limits(terms, quote)
        limits["payout"] = {"max": bounds.text(MAX_PAYOUT, terms.currency)}
        return limits

    def transaction_barrier(self, terms: FixedPayoutTerms) -> str | None:
        """Return the barrier or the digit; `None` if there is neither."""
        if terms.barrier is not None:
            return terms.barrier.text(terms.symbol)
        return None if terms.digit is None else str(terms.digit)


class DigitsView(FixedPayoutView[Digits], of=Digits):
    """The view of contracts on digits: the digits to choose from."""

    def add_to_listing(self, row: AvailableContract, listed: ListingContext) -> None:
        """Add the digits to choose from."""
        if self.kind.choices is not None:
            row["last_digit_range"] = list(self.kind.choices)


class ResetView(FixedPayoutView[Reset], of=Reset):
    """The view of reset contracts: the barrier after the reset."""

    def add_to_contract(self, body: OpenContract, shown: ShownContract) -> None:
        """Add the barrier after half time and its time, once the spot at half time is known."""
        terms, state = shown.contract.terms, shown.state
        assert isinstance(terms, FixedPayoutTerms)  # noqa: S101 - they are of this type
        if state.entry is not None and state.memory is not None:
            level = self.kind.level(state.entry.pips, state.memory)
            body["reset_barrier"] = terms.symbol.text(level)
            body["reset_time"] = self.kind.reset_epoch(terms)


class SelectedTickView(FixedPayoutView[SelectedTick], of=SelectedTick):
    """The view of high and low ticks: the selected tick."""

    def add_to_contract(self, body: OpenContract, shown: ShownContract) -> None:
        """Add the number of the selected tick, and its price once it is known."""
        terms, seen = shown.contract.terms, shown.state.memory or ()
        assert isinstance(terms, FixedPayoutTerms)  # noqa: S101 - they are of this type
        assert terms.selected_tick is not None  # noqa: S101 - `complete` ensures it
        body["selected_tick"] = terms.selected_tick
        if len(seen) >= terms.selected_tick:
            body["selected_spot"] = terms.symbol.quote(seen[terms.selected_tick - 1])
