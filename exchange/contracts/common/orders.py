"""Orders: a profit or a loss at which an open contract closes automatically."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from scopegate.exchange.contracts.common.contract_type import (
    NO_ORDERS,
    ContractType,
    Orders,
    StoredTerms,
)
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import bad_amount, invalid, too_precise
from scopegate.exchange.contracts.common.state import ContractState, Tick
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.money import to_text, to_units
from scopegate.runtime.pickling import quickly_pickled


@quickly_pickled
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedTerms(Terms):
    """The terms of a contract that is bought for a stake and takes orders."""

    stake: int
    """In smallest units."""
    orders: Orders = NO_ORDERS


OrderedT = TypeVar("OrderedT", bound=OrderedTerms)


def order_units(amount: Decimal | None, currency: str, field: str) -> int | None:
    """The amount of an order in smallest units. Raises `Refusal` for too many decimals."""
    if amount is None:
        return None
    try:
        return to_units(amount, currency)
    except ValueError:
        raise too_precise(currency, field) from None


class Ordered(ContractType[OrderedT, Tick]):
    """A contract that takes orders, which may be changed while it is open.

    Its memory is the latest tick that it has seen.
    """

    @abstractmethod
    def order_limits(self, terms: OrderedT) -> Mapping[str, tuple[int, int]]:
        """The minimum and maximum of each order that it takes, in smallest units."""

    @abstractmethod
    def profit_at(self, terms: OrderedT, state: ContractState[Tick], tick: Tick) -> int:
        """The profit of an entered contract at this tick, in smallest units."""

    def remember(self, terms: OrderedT, state: ContractState[Tick], tick: Tick) -> Tick:
        """The latest tick."""
        return tick

    def orders(self, terms: OrderedT) -> Orders:
        """The orders of the contract."""
        return terms.orders

    def with_orders(self, terms: OrderedT, orders: Orders) -> OrderedT:
        """The terms with these orders instead of all others.

        Raises `Refusal` for an order that the type does not take or that is out of bounds.
        """
        limits = self.order_limits(terms)
        for field, amount in orders._asdict().items():
            if amount is None:
                continue
            if field not in limits:
                raise invalid(field, f"Contracts of type {self.name} do not accept this field.")
            least, most = limits[field]
            if amount < least:
                bound = f"higher than {to_text(least, terms.currency)}"
                raise bad_amount(f"Enter an amount equal to or {bound}.", field)
            if amount > most:
                bound = f"lower than {to_text(most, terms.currency)}"
                raise bad_amount(f"Enter an amount equal to or {bound}.", field)
        return replace(terms, orders=orders)

    def with_requested(self, terms: OrderedT, request: QuoteRequest) -> OrderedT:
        """The terms with the orders of a quote request. Raises `Refusal`."""
        currency = terms.currency
        orders = Orders(
            order_units(request.take_profit, currency, "take_profit"),
            order_units(request.stop_loss, currency, "stop_loss"),
        )
        return self.with_orders(terms, orders)

    def stored(self, terms: OrderedT) -> StoredTerms:
        """The orders."""
        return StoredTerms(orders=terms.orders)

    def with_stored(self, terms: OrderedT, stored: StoredTerms) -> OrderedT:
        """The terms with the stored orders."""
        return replace(terms, orders=stored.orders)
