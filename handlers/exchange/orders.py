"""The orders that close contracts by themselves: changed, and told."""

from dataclasses import replace

from scopegate.exchange import book
from scopegate.exchange.book import Contract, Order
from scopegate.exchange.contracts.multipliers import reference
from scopegate.exchange.contracts.orders import Ordered, order_units
from scopegate.exchange.contracts.state import Tick, tick_of
from scopegate.exchange.contracts.terms import Refusal, Terms
from scopegate.exchange.desk import Desk, Position
from scopegate.exchange.money import to_text
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.contract_views import ORDER_NAMES, multiplier, orders_shown
from scopegate.handlers.exchange.scopes import READ, TRADE
from scopegate.runtime.clock import Clock
from scopegate.schemas.trading import (
    ContractUpdate,
    ContractUpdateHistory,
    ContractUpdateHistoryReply,
    ContractUpdateReply,
    OrderShown,
    UpdatedOrders,
)
from scopegate.store.sqlite import Store


class Orders:
    """The orders that close contracts by themselves."""

    def __init__(self, desk: Desk, access: Access, clock: Clock, store: Store) -> None:
        self._desk = desk
        self._access = access
        self._clock = clock
        self._store = store

    @call("contract_update", needs=TRADE)
    async def contract_update(
        self, request: ContractUpdate, session: Session
    ) -> ContractUpdateReply:
        """Change the take profit or the stop loss of an open multiplier or accumulator.

        An accumulator takes a profit alone.
        """
        grant = session.grant
        wanted = request.limit_order
        named = wanted.model_fields_set
        if not named:
            raise input_validation_failed({"limit_order": "Name a take_profit or a stop_loss."})

        def change(position: Position) -> Terms:
            kind, terms = position.kind, position.terms
            if not isinstance(kind, Ordered):
                raise Refusal(
                    "ContractUpdateNotAllowed",
                    "Only the orders of multipliers and accumulators can be changed.",
                )
            values = {
                name: order_units(getattr(wanted, name), terms, name)
                if name in named
                else getattr(terms, name)
                for name in ("take_profit", "stop_loss")
            }
            changed = kind.with_orders(terms, **values)
            _check_unmet(kind, changed, position, self._desk.market_view(terms.symbol).tick)
            return changed

        changed = await self._desk.change_orders(
            request.contract_id,
            loginid=grant.loginid,
            change=change,
            guard=self._access.guard(grant),
        )
        return {"contract_update": self._updated(changed)}

    def _updated(self, contract: Contract) -> UpdatedOrders:
        shown = orders_shown(
            contract.terms,
            *self._ticks(contract),
            contract.bought_at,
            contract.take_profit_at,
            contract.stop_loss_at,
        )
        # The published reply has no stop-out, which is no order, and no amount for display.
        updated: UpdatedOrders = {"take_profit": _plain("take_profit", shown.get("take_profit"))}
        if contract.terms.multiplier:
            updated["stop_loss"] = _plain("stop_loss", shown.get("stop_loss"))
        return updated

    def _ticks(self, contract: Contract) -> tuple[Tick, Tick]:
        """The entry tick (before there is one, the latest), and the latest while it was open."""
        terms, now = contract.terms, int(self._clock.now())
        entry, last = min(terms.entry_epoch, now), contract.exit_epoch or now
        return tick_of(terms, self._desk.feed, entry), tick_of(terms, self._desk.feed, last)

    @call("contract_update_history", needs=READ)
    async def contract_update_history(
        self, request: ContractUpdateHistory, session: Session
    ) -> ContractUpdateHistoryReply:
        """List the orders that were placed for a contract and taken back, latest first."""
        grant = session.grant
        contract = await self._desk.find(request.contract_id, grant.loginid)
        if contract is None:
            raise ApiError("ContractNotFound", "You have no contract of this number.")
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


def _check_unmet(kind: Ordered, terms: Terms, position: Position, tick: Tick) -> None:
    """Raise `Refusal` for orders that the present price would meet at once."""
    if position.state.entry is None:
        return
    profit = kind.gained(terms, position.state, tick)
    shown = f"{terms.currency} {to_text(profit, terms.currency)}"
    if terms.take_profit is not None and profit >= terms.take_profit:
        problem = f"The profit is {shown} already: sell, or take a larger profit."
        raise Refusal("ContractUpdateFailure", problem, {"take_profit": problem})
    if terms.stop_loss is not None and profit <= -terms.stop_loss:
        problem = f"The profit is {shown} already: sell, or stop at a larger loss."
        raise Refusal("ContractUpdateFailure", problem, {"stop_loss": problem})


def _plain(name: str, order: OrderShown | None) -> OrderShown:
    """An order without its amount for display; or that there is none."""
    if order is None:
        return {"display_name": ORDER_NAMES[name], "order_amount": None, "value": None}
    del order["display_order_amount"]
    return order


def _level(terms: Terms, order: Order, entry: Tick, tick: Tick) -> str | None:
    """The price at which an order closes the contract, as of a tick."""
    if order.amount is None or terms.growth:
        return None
    levels = multiplier(terms).levels(
        replace(terms, take_profit=order.amount, stop_loss=order.amount),
        reference(terms, entry, tick),
    )
    level = levels.take_profit if order.kind == "take_profit" else levels.stop_loss
    return None if level is None else terms.symbol.text(level)
