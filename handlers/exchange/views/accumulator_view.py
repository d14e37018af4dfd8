"""The view of accumulators: the range, which moves with the price, and the ticks so far."""

from decimal import Decimal
from typing import Any

from scopegate.exchange.contracts.accumulators import (
    GROWTH_RATES,
    WIDTH_UNITS,
    Accumulator,
    AccumulatorTerms,
    reach,
    stays,
    width_text,
)
from scopegate.exchange.contracts.common import bounds
from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.state import Tick, latest
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.money import to_number, to_text
from scopegate.exchange.rules import MAX_ACCUMULATOR_TICKS, MAX_STAKE, MIN_STAKE
from scopegate.exchange.symbols import EARLIEST, SYMBOLS, Symbol
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
    BarriersShown,
    ContractDetails,
    OrdersShown,
    ProposalBody,
    ValidationParams,
)


class AccumulatorView(OrderedView[Accumulator], of=Accumulator):
    """The view of accumulators: range, growth rate and number of ticks."""

    def example(self) -> Terms:
        """Return terms that grow by 3 % a tick."""
        return AccumulatorTerms(
            contract_type=self.kind.name,
            symbol=SYMBOLS["R_100"],
            currency="USD",
            start=EARLIEST,
            ticks=MAX_ACCUMULATOR_TICKS[3],
            stake=1_000,
            growth=3,
            width=536_900_000,
        )

    def add_to_listing(self, row: AvailableContract, listed: ListingContext) -> None:
        """Add the growth rates to choose from."""
        row["growth_rate_range"] = GROWTH_RATES

    def limits(self, terms: AccumulatorTerms, quote: Quote[Any] | None = None) -> ValidationParams:
        """Return the bounds of stake and take profit, the largest payout and the most ticks."""
        limits = super().limits(terms, quote)
        limits["max_payout"] = to_text(self.kind.most(terms), terms.currency)
        limits["max_ticks"] = terms.ticks or 0
        return limits

    def add_to_quote(
        self,
        body: ProposalBody,
        details: ContractDetails,
        quote: Quote[AccumulatorTerms],
        pricing: Pricing,
    ) -> None:
        """Add the range for the next tick, the bounds, and how many ticks in a row stayed in it."""
        terms, spot = quote.terms, quote.spot
        low, high, distance = _range(terms, spot.pips)
        details.update(
            {
                "barrier_spot_distance": distance,
                "high_barrier": high,
                "last_tick_epoch": spot.epoch,
                "low_barrier": low,
                "maximum_payout": to_number(self.kind.most(terms), terms.currency),
                "maximum_stake": bounds.text(MAX_STAKE, terms.currency),
                "maximum_ticks": MAX_ACCUMULATOR_TICKS[terms.growth],
                "minimum_stake": bounds.text(MIN_STAKE, terms.currency),
                "tick_size_barrier": terms.width / WIDTH_UNITS,
                "tick_size_barrier_percentage": width_text(terms),
                "ticks_stayed_in": stays(terms, pricing.feed, spot.epoch),
            }
        )
        if terms.orders.take_profit is not None:
            body["limit_order"] = self.orders(terms, spot, spot, OrderTimes(terms.start))

    def barrier_count(self, shown: BarriersShown) -> int:
        """Return 2: the barriers move with the price."""
        return 2

    def add_to_contract(self, body: OpenContract, shown: ShownContract) -> None:
        """Add the ranges of this tick and of the next, and the number of ticks so far.

        `high_barrier` and `low_barrier` are the range of this tick, `current_spot_high_barrier` and
        `current_spot_low_barrier` that of the next.
        """
        super().add_to_contract(body, shown)
        terms, tick, entry = shown.contract.terms, shown.tick, shown.state.entry
        assert isinstance(terms, AccumulatorTerms)  # noqa: S101 - they are of this type
        low, high, distance = _range(terms, tick.pips)
        passed = 0 if entry is None else (tick.epoch - entry.epoch) // terms.symbol.step
        body["barrier_spot_distance"] = distance
        body["current_spot_high_barrier"] = high
        body["current_spot_low_barrier"] = low
        body["growth_rate"] = terms.growth / 100
        body["tick_passed"] = passed
        if passed:
            before = latest(shown.feed, terms.symbol, tick.epoch - terms.symbol.step)
            body["low_barrier"], body["high_barrier"], _ = _range(terms, before.pips)

    def add_to_profit_row(self, row: ClosedContract, terms: AccumulatorTerms) -> None:
        """Add the growth rate."""
        row["growth_rate"] = f"{terms.growth / 100:.2f}"

    def orders(
        self, terms: AccumulatorTerms, entry: Tick, tick: Tick, placed: OrderTimes
    ) -> OrdersShown:
        """Return the take profit; it has no price, because a number of ticks reaches it."""
        profit = terms.orders.take_profit
        if profit is None:
            return {}
        at = placed.take_profit_at or placed.bought_at
        return {"take_profit": order_shown("take_profit", profit, None, at, terms)}


def _range(terms: AccumulatorTerms, spot: int) -> tuple[str, str, str]:
    """The low and high barrier for the tick after this spot, and the distance of each from it."""
    away = reach(terms, spot)
    low, high, distance = (
        _text(terms.symbol, tenths) for tenths in (10 * spot - away, 10 * spot + away, away)
    )
    return low, high, distance


def _text(symbol: Symbol, tenths: int) -> str:
    """A price in tenths of a pip as text, with one decimal more than the pip has."""
    return f"{Decimal(tenths).scaleb(-symbol.digits - 1):f}"
