"""Changing and listing the orders that close contracts automatically."""

from scopegate.exchange import book
from scopegate.exchange.book import Contract, Order
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common import contract_type
from scopegate.exchange.contracts.common.orders import order_units
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import Tick, tick_of
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.desk import Desk, Position
from scopegate.exchange.money import to_text
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.idempotency import RECORDED, recorder
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.exchange_scopes import READ, TRADE
from scopegate.handlers.exchange.views.all_views import view_of
from scopegate.handlers.exchange.views.ordered_view import ORDER_NAMES
from scopegate.handlers.exchange.views.view import OrderTimes
from scopegate.runtime.clock import Clock
from scopegate.schemas.trading_messages import (
    ContractUpdate,
    ContractUpdateHistory,
    ContractUpdateHistoryReply,
    ContractUpdateReply,
    OrderShown,
    UpdatedOrders,
)
from scopegate.store.store import Store


class Orders:
    """The orders that close contracts automatically: take profit and stop loss."""

    def __init__(self, desk: Desk, access: Access, clock: Clock, store: Store) -> None:
        self._desk = desk
        self._access = access
        self._clock = clock
        self._store = store

    @call(
        "contract_update",
        needs=TRADE,
        error_codes=(
            "ContractBuyValidationError",
            "ContractNotFound",
            "ContractUpdateFailure",
            "ContractUpdateNotAllowed",
            "NoOpenPosition",
        ),
        idempotency=RECORDED,
    )
    async def contract_update(
        self, request: ContractUpdate, session: Session
    ) -> ContractUpdateReply:
        """Change the take profit or the stop loss of an open multiplier or accumulator.

        An accumulator has only a take profit.
        """
        grant = session.grant
        wanted = request.limit_order
        named = wanted.model_fields_set
        if not named:
            raise input_validation_failed({"limit_order": "Give a take_profit or a stop_loss."})

        ticks: tuple[Tick, Tick] | None = None

        def change(position: Position) -> contract_type.Orders:
            nonlocal ticks
            ticks = self._ticks(position.contract)
            kind, terms = position.kind, position.terms
            placed = kind.orders(terms)
            orders = contract_type.Orders(
                *(
                    order_units(getattr(wanted, name), terms.currency, name)
                    if name in named
                    else getattr(placed, name)
                    for name in contract_type.Orders._fields
                )
            )
            changed = kind.with_orders(terms, orders)
            _check_unmet(position, changed, orders, self._desk.market_view(terms.symbol).tick)
            return orders

        def reply_of(changed: Contract) -> ContractUpdateReply:
            assert ticks is not None  # noqa: S101 - `change` was called
            return {"contract_update": _updated(changed, *ticks)}

        changed = await self._desk.change_orders(
            request.contract_id,
            loginid=grant.loginid,
            change=change,
            guard=self._access.guard(grant, session.keyed),
            record=recorder(session.keyed, reply_of),
        )
        return reply_of(changed)

    def _ticks(self, contract: Contract) -> tuple[Tick, Tick]:
        """The entry tick (before it, the latest tick), and the latest tick while it was open."""
        terms, now = contract.terms, int(self._clock.now())
        entry, last = min(terms.entry_epoch, now), contract.exit_epoch or now
        return tick_of(terms, self._desk.feed, entry), tick_of(terms, self._desk.feed, last)

    @call("contract_update_history", needs=READ, error_codes=("ContractNotFound",))
    async def contract_update_history(
        self, request: ContractUpdateHistory, session: Session
    ) -> ContractUpdateHistoryReply:
        """List the orders that were placed for a contract, and those cancelled, latest first."""
        grant = session.grant
        contract = await self._desk.find(request.contract_id, grant.loginid)
        if contract is None:
            raise ApiError("ContractNotFound", "You have no contract with this contract_id.")
        limit = int(request.limit)
        orders = await self._store.read(
            lambda reader: book.orders(reader, request.contract_id, limit)
        )
        ticks = self._ticks(contract)
        return {
            "contract_update_history": [
                {
                    "display_name": ORDER_NAMES[order.kind],
                    "order_amount": to_text(order.amount or 0, contract.terms.currency),
                    "order_date": order.at,
                    "order_type": order.kind,
                    "value": _level(contract.terms, order, *ticks),
                }
                for order in orders
            ]
        }


def _updated(contract: Contract, entry: Tick, tick: Tick) -> UpdatedOrders:
    """The orders of a contract, given its entry tick and the latest tick."""
    terms, view = contract.terms, view_of(contract.terms)
    placed = OrderTimes(contract.bought_at, contract.take_profit_at, contract.stop_loss_at)
    shown = view.orders(terms, entry, tick, placed)
    # The published reply has no stop-out, which is not an order, and no amount for display.
    updated: UpdatedOrders = {}
    for name in TYPES[terms.contract_type].order_limits(terms):
        order = _plain(name, shown.get(name))  # type: ignore[arg-type] # an order or none
        updated[name] = order  # type: ignore[literal-required] # the name of an order
    return updated


def _check_unmet(
    position: Position, terms: Terms, orders: contract_type.Orders, tick: Tick
) -> None:
    """Raise `Refusal` for orders that the current price would execute at once."""
    if position.state.entry is None:
        return
    profit = position.kind.profit_at(terms, position.state, tick)
    shown = f"{terms.currency} {to_text(profit, terms.currency)}"
    if orders.take_profit is not None and profit >= orders.take_profit:
        problem = f"The profit is already {shown}. Sell, or give a higher take_profit."
        raise Refusal("ContractUpdateFailure", problem, {"take_profit": problem})
    if orders.stop_loss is not None and profit <= -orders.stop_loss:
        problem = f"The profit is already {shown}. Sell, or give a higher stop_loss."
        raise Refusal("ContractUpdateFailure", problem, {"stop_loss": problem})


def _plain(name: str, order: OrderShown | None) -> OrderShown:
    """An order without its amount for display; without amount and value if it is `None`."""
    if order is None:
        return {"display_name": ORDER_NAMES[name], "order_amount": None, "value": None}
    del order["display_order_amount"]
    return order


def _level(terms: Terms, order: Order, entry: Tick, tick: Tick) -> str | None:
    """The price at which an order closes the contract, as of a tick."""
    if order.amount is None:
        return None
    level = view_of(terms).order_level(terms, order.kind, order.amount, entry, tick)
    return None if level is None else terms.symbol.text(level)
