"""The view of multipliers."""

import math
from dataclasses import replace

from scopegate.exchange.contracts.common.contract_type import Orders, Quote
from scopegate.exchange.contracts.common.state import Tick
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.contracts.eligibility import can_be_cancelled
from scopegate.exchange.contracts.multipliers import Multiplier, MultiplierTerms, reference
from scopegate.exchange.distribution import Growth
from scopegate.exchange.fixedpoint import ONE
from scopegate.exchange.money import to_number
from scopegate.exchange.rules import CANCELLATIONS
from scopegate.exchange.series import HOUR
from scopegate.exchange.symbols import Symbol
from scopegate.handlers.exchange.views.ordered_view import OrderedView, order_shown
from scopegate.handlers.exchange.views.view import (
    ListingContext,
    OrderTimes,
    Pricing,
    ShownContract,
)
from scopegate.schemas.offering_messages import AvailableContract
from scopegate.schemas.portfolio_messages import ClosedContract, OpenContract
from scopegate.schemas.trading_messages import (
    CancellationShown,
    ContractDetails,
    OrdersShown,
    ProposalBody,
)


class MultiplierView(OrderedView[Multiplier], of=Multiplier):
    """The view of multipliers: multiplier, commission, cancellation and orders."""

    def example(self) -> Terms:
        """Return terms with a multiplier of 100 that can be cancelled for an hour."""
        terms = super().example()
        return terms.extended(
            MultiplierTerms, stake=1_000, multiplier=100, cancellation=3_600, is_financed=True
        )

    def add_to_listing(self, row: AvailableContract, listed: ListingContext) -> None:
        """Add the multipliers to choose from, and for how long cancellation can be bought."""
        row["multiplier_range"] = self.kind.choices(listed.symbol, listed.spot)
        if can_be_cancelled(listed.symbol):
            row["cancellation_range"] = list(CANCELLATIONS)

    def add_to_quote(
        self,
        body: ProposalBody,
        details: ContractDetails,
        quote: Quote[MultiplierTerms],
        pricing: Pricing,
    ) -> None:
        """Add the multiplier, commission, orders, cancellation fee and the present financing."""
        terms, spot = quote.terms, quote.spot
        body["multiplier"] = float(terms.multiplier)
        body["commission"] = to_number(terms.commission, terms.currency)
        body["longcode"] += " " + _financing_now(terms.symbol, spot.growth)
        body["limit_order"] = self.orders(terms, spot, spot, OrderTimes(terms.start))
        if terms.cancellation:
            body["cancellation"] = _cancellation(terms, quote.cancellation_price)

    def add_to_contract(self, body: OpenContract, shown: ShownContract) -> None:
        """Add the multiplier, orders, cancellation fee, and commission with financing so far."""
        super().add_to_contract(body, shown)
        terms, entry = shown.contract.terms, shown.state.entry
        assert isinstance(terms, MultiplierTerms)  # noqa: S101 - they are of this type
        body["multiplier"] = float(terms.multiplier)
        financing = 0 if entry is None else self.kind.financing(terms, entry, shown.tick)
        body["commission"] = to_number(terms.commission + financing, terms.currency)
        if terms.cancellation:
            body["cancellation"] = _cancellation(terms, shown.contract.cancellation_price)

    def add_to_profit_row(self, row: ClosedContract, terms: MultiplierTerms) -> None:
        """Add the multiplier, and for how long it could be cancelled."""
        row["multiplier"] = str(terms.multiplier)
        if terms.cancellation:
            row["deal_cancellation_duration"] = f"{terms.cancellation // 60}m"

    def duration_type(self, terms: MultiplierTerms) -> str | None:
        """Return `None`: a multiplier has no fixed end."""
        return None

    def orders(
        self, terms: MultiplierTerms, entry: Tick, tick: Tick, placed: OrderTimes
    ) -> OrdersShown:
        """Return the stop-out, take profit and stop loss."""
        levels = self.kind.levels(terms, reference(terms, entry, tick))
        profit, loss = terms.orders
        stop_out = order_shown("stop_out", -terms.stake, levels.stop_out, placed.bought_at, terms)
        shown: OrdersShown = {"stop_out": stop_out}
        if profit is not None:
            at = placed.take_profit_at or placed.bought_at
            shown["take_profit"] = order_shown("take_profit", profit, levels.take_profit, at, terms)
        if loss is not None:
            at = placed.stop_loss_at or placed.bought_at
            shown["stop_loss"] = order_shown("stop_loss", -loss, levels.stop_loss, at, terms)
        return shown

    def order_level(
        self, terms: MultiplierTerms, name: str, amount: int, entry: Tick, tick: Tick
    ) -> int | None:
        """Return the price, in pips, at which the profit or the loss is reached, as of a tick."""
        ordered = replace(terms, orders=Orders(**{name: amount}))
        levels = self.kind.levels(ordered, reference(terms, entry, tick))
        return levels.take_profit if name == "take_profit" else levels.stop_loss


def _cancellation(terms: MultiplierTerms, fee: int) -> CancellationShown:
    return {
        "ask_price": to_number(fee, terms.currency),
        "date_expiry": terms.start + terms.cancellation,
    }


def _financing_now(symbol: Symbol, growth: Growth) -> str:
    """A sentence with the change of a multiplier's forward price in an hour of the market."""
    an_hour = 100 * math.expm1(growth.a_tick / ONE * HOUR / symbol.step)
    return (
        "Profit is measured against a forward price: the entry spot, changed by"
        f" {an_hour:+.5f}% an hour at present."
    )
