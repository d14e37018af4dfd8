"""The base class of views of contracts with orders."""

from typing import Any

from scopegate.exchange.money import to_number, to_text
from scopegate.handlers.exchange.views.view import ContractView, KindT, OrderTimes, ShownContract
from scopegate.schemas.portfolio_messages import OpenContract
from scopegate.schemas.trading_messages import OrderShown

ORDER_NAMES = {
    "stop_loss": "Stop loss",
    "stop_out": "Stop out",
    "take_profit": "Take profit",
}


def order_shown(name: str, amount: int, level: int | None, at: int, terms: Any) -> OrderShown:
    """The body of an order, with its amount in smallest units and its price (`level`) in pips."""
    return {
        "display_name": ORDER_NAMES[name],
        "display_order_amount": to_text(amount, terms.currency),
        "order_amount": to_number(amount, terms.currency),
        "order_date": at,
        "value": None if level is None else terms.symbol.text(level),
    }


class OrderedView(ContractView[KindT]):
    """The view of contracts with orders."""

    def add_to_contract(self, body: OpenContract, shown: ShownContract) -> None:
        """Add the orders, and the prices at which they close the contract."""
        contract, entry = shown.contract, shown.state.entry or shown.tick
        placed = OrderTimes(contract.bought_at, contract.take_profit_at, contract.stop_loss_at)
        body["limit_order"] = self.orders(contract.terms, entry, shown.tick, placed)
