"""Orders: amounts of profit or loss at which an open contract closes by itself."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from scopegate.exchange.contracts.state import ContractState, ContractType, Tick
from scopegate.exchange.contracts.terms import Terms, bad_amount, invalid, too_precise
from scopegate.exchange.money import to_text, to_units


def order_units(amount: Decimal | None, terms: Terms, field: str) -> int | None:
    """An order's amount in smallest units. Raises `Refusal` for too many decimals."""
    if amount is None:
        return None
    try:
        return to_units(amount, terms.currency)
    except ValueError:
        raise too_precise(terms.currency, field) from None


class Ordered(ContractType):
    """A contract that takes orders, which may be changed while it is open."""

    @abstractmethod
    def order_limits(self, terms: Terms) -> Mapping[str, tuple[int, int]]:
        """The least and the most of each order that it takes, in smallest units."""

    @abstractmethod
    def gained(self, terms: Terms, state: ContractState, tick: Tick) -> int:
        """The profit of an entered contract at this tick, in smallest units."""

    def with_orders(self, terms: Terms, **orders: int | None) -> Terms:
        """The terms with these orders, by name, instead of any others. Raises `Refusal`."""
        limits = self.order_limits(terms)
        for field, amount in orders.items():
            if amount is None:
                continue
            if field not in limits:
                raise invalid(field, f"Contracts of the type {self.name} do not take it.")
            least, most = limits[field]
            if amount < least:
                bound = f"higher than {to_text(least, terms.currency)}"
                raise bad_amount(f"Enter an amount equal to or {bound}.", field)
            if amount > most:
                bound = f"lower than {to_text(most, terms.currency)}"
                raise bad_amount(f"Enter an amount equal to or {bound}.", field)
        return replace(
            terms, take_profit=orders.get("take_profit"), stop_loss=orders.get("stop_loss")
        )
