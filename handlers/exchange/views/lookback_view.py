"""The view of lookbacks."""

import math
from typing import Any

from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.contracts.lookbacks import Lookback, LookbackTerms
from scopegate.exchange.money import CURRENCIES, to_number
from scopegate.handlers.exchange.views.view import (
    ContractView,
    ListingContext,
    Pricing,
    ShownContract,
)
from scopegate.schemas.offering_messages import AvailableContract
from scopegate.schemas.portfolio_messages import OpenContract
from scopegate.schemas.trading_messages import ContractDetails, ProposalBody


class LookbackView(ContractView[Lookback], of=Lookback):
    """The view of lookbacks: the multiplier, which the client gives instead of a stake."""

    def example(self) -> Terms:
        """Return terms with a multiplier of 10.00 USD."""
        return super().example().extended(LookbackTerms, multiplier=1_000)

    def add_to_listing(self, row: AvailableContract, listed: ListingContext) -> None:
        """Set the default multiplier: a power of ten at which a minute's usual move pays 1 to 10.

        That is in units of an ordinary currency; a coin counts for several (`counts_for`).
        """
        symbol = listed.symbol
        minute = symbol.quote(listed.spot) * symbol.tick_sd_at(listed.spot)
        minute *= math.sqrt(60 / symbol.step)
        counts_for = CURRENCIES[listed.currency].counts_for
        row["default_stake"] = float(10.0 ** math.ceil(-math.log10(minute * counts_for)))

    def add_to_quote(
        self,
        body: ProposalBody,
        details: ContractDetails,
        quote: Quote[LookbackTerms],
        pricing: Pricing,
    ) -> None:
        """Add the multiplier."""
        body["multiplier"] = to_number(quote.terms.multiplier, quote.terms.currency)

    def add_to_contract(self, body: OpenContract, shown: ShownContract) -> None:
        """Add the multiplier."""
        terms: Any = shown.contract.terms
        body["multiplier"] = to_number(terms.multiplier, terms.currency)
