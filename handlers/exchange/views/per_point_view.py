"""Views of contracts that pay for each point: vanillas and turbos."""

from decimal import Decimal
from typing import Any, TypeVar

from scopegate.exchange.contracts.common.per_point import PerPoint, PerPointQuote, PerPointTerms
from scopegate.exchange.contracts.common.state import ContractState, MarketView, market_view
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.contracts.turbos import Turbo
from scopegate.exchange.money import bound_in, to_number, to_text, to_units
from scopegate.exchange.rules import MAX_STAKE, MIN_STAKE
from scopegate.exchange.symbols import DAY
from scopegate.handlers.exchange.views.view import (
    ContractView,
    ListingContext,
    Pricing,
    ShownContract,
)
from scopegate.schemas.offering_messages import AvailableContract
from scopegate.schemas.portfolio_messages import OpenContract
from scopegate.schemas.trading_messages import ContractDetails, ProposalBody

_EXAMPLES = {"tick": 0, "intraday": 300, "daily": DAY + 1}
"""The duration, in seconds, of the contracts whose barriers are listed; 0 means ten ticks."""

LONGEST_EXAMPLE = _EXAMPLES["intraday"]
"""The longest of these durations within a day, in seconds; it is longer than ten ticks."""


PerPointT = TypeVar("PerPointT", bound=PerPoint)


class PerPointView(ContractView[PerPointT], of=PerPoint):
    """The view of vanillas and turbos: the number of contracts, and barriers to choose from."""

    def example(self) -> Terms:
        """Return terms with 1.25 contracts, and a barrier if the type needs one."""
        terms = super().example()
        return terms.extended(
            PerPointTerms,
            stake=1_000,
            contracts=Decimal("1.25000"),
            barrier=self.example_barrier(),
        )

    def largest_stake(self, terms: PerPointTerms, quote: PerPointQuote | None) -> str:
        """Return the largest stake, as text; for a quote, the largest at its barrier."""
        if quote is None:
            return super().largest_stake(terms, quote)
        return to_text(quote.largest_stake, terms.currency)

    def add_to_listing(self, row: AvailableContract, listed: ListingContext) -> None:
        """Add barriers for a contract with the default stake."""
        self._add_choices(row, self._listed_terms(row, listed), listed)

    def _add_choices(
        self, row: AvailableContract, terms: PerPointTerms, listed: ListingContext
    ) -> None:
        currency = listed.currency
        row["max_stake"] = to_number(bound_in(MAX_STAKE, currency), currency)
        row["min_stake"] = to_number(bound_in(MIN_STAKE, currency), currency)
        row["barrier_choices"] = self._barrier_choices(terms, listed.market)
        row["barrier"] = row["barrier_choices"][1]

    def _listed_terms(self, row: AvailableContract, listed: ListingContext) -> PerPointTerms:
        duration = _EXAMPLES[row["expiry_type"]]

        def starting(start: int) -> PerPointTerms:
            return PerPointTerms(
                contract_type=self.kind.name,
                symbol=listed.symbol,
                currency=listed.currency,
                stake=to_units(Decimal(str(row["default_stake"])), listed.currency),
                start=start,
                ticks=None if duration else 10,
                expiry=start + duration if duration else None,
            )

        terms = starting(listed.market.tick.epoch)
        if self.kind.exit_epoch(terms) <= terms.entry_epoch:  # the market is closed until then
            terms = starting(terms.entry_epoch)
        return terms

    def _barrier_choices(self, terms: PerPointTerms, market: MarketView) -> list[str]:
        return [barrier.text(terms.symbol) for barrier in self.kind.choices(terms, market)]

    def add_to_quote(
        self,
        body: ProposalBody,
        details: ContractDetails,
        quote: PerPointQuote,
        pricing: Pricing,
    ) -> None:
        """Add the number of contracts, the bounds of the stake, and barriers to choose from."""
        terms = quote.terms
        market = market_view(pricing.feed, terms.symbol, quote.spot.epoch)
        body["barrier_choices"] = self._barrier_choices(terms, market)
        body["display_number_of_contracts"] = f"{terms.contracts:f}"
        body["max_stake"] = to_number(quote.largest_stake, terms.currency)
        body["min_stake"] = to_number(bound_in(MIN_STAKE, terms.currency), terms.currency)

    def transaction_barrier(self, terms: PerPointTerms) -> str | None:
        """Return the strike; `None` if it is the entry spot."""
        return None if terms.barrier is None else terms.barrier.text(terms.symbol)

    def add_to_contract(self, body: OpenContract, shown: ShownContract) -> None:
        """Add the number of contracts."""
        terms: Any = shown.contract.terms
        body["display_number_of_contracts"] = f"{terms.contracts:f}"


class TurboView(PerPointView[Turbo], of=Turbo):
    """The view of turbos: also payouts per point to choose from."""

    def example_barrier(self) -> Barrier:
        """Return a barrier below the spot for a long turbo, above it for a short one."""
        return Barrier(50 * self.kind.side)

    def _add_choices(
        self, row: AvailableContract, terms: PerPointTerms, listed: ListingContext
    ) -> None:
        super()._add_choices(row, terms, listed)
        choices = self.kind.payout_choices(terms, listed.market, listed.margins)
        row["payout_choices"] = [f"{payout:f}" for payout in choices]

    def add_to_quote(
        self,
        body: ProposalBody,
        details: ContractDetails,
        quote: PerPointQuote,
        pricing: Pricing,
    ) -> None:
        """Add the distance of the barrier from the spot, and payouts per point to choose from."""
        super().add_to_quote(body, details, quote, pricing)
        terms, spot = quote.terms, quote.spot
        market = market_view(pricing.feed, terms.symbol, spot.epoch)
        level = self.kind.level(terms, ContractState(spot, spot.epoch), spot.pips)
        body["barrier_spot_distance"] = Barrier(level - spot.pips).text(terms.symbol)
        choices = self.kind.payout_choices(terms, market, pricing.margins)
        body["payout_choices"] = [f"{payout:f}" for payout in choices]
