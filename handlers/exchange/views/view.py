"""The base class of views, which add the fields of a family of contracts to replies.

`contract_bodies` fills in the fields that all contracts share; the view of the contract's type adds
the rest. A view is defined for a class of contract types, `of=`, and serves its subclasses too.
"""

from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from scopegate.exchange.book import Contract
from scopegate.exchange.contracts.common import bounds
from scopegate.exchange.contracts.common.contract_type import AnyContractType, Quote
from scopegate.exchange.contracts.common.state import ContractState, MarketView, Tick
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.feed import Feed
from scopegate.exchange.money import to_text
from scopegate.exchange.rules import MAX_STAKE, MIN_STAKE, Margins
from scopegate.exchange.symbols import EARLIEST, SYMBOLS, Symbol
from scopegate.schemas.offering_messages import AvailableContract
from scopegate.schemas.portfolio_messages import ClosedContract, OpenContract
from scopegate.schemas.trading_messages import (
    BarriersShown,
    ContractDetails,
    OrdersShown,
    ProposalBody,
    ValidationParams,
)

KindT = TypeVar("KindT", bound=AnyContractType)

_AWAY = {"american", "euro_non_atm"}
"""The categories of barriers that are not at the entry spot."""


class Pricing(NamedTuple):
    """The feed and the margins, for a view that prices more than the quote that it shows."""

    feed: Feed
    margins: Margins


class ShownContract(NamedTuple):
    """A contract to show, and its state after a tick: the latest, or the one that ended it."""

    contract: Contract
    state: ContractState[Any]
    tick: Tick
    feed: Feed


class OrderTimes(NamedTuple):
    """When a contract was bought and its orders placed, in epoch seconds.

    `None` means that the order was placed at the purchase, or that there is none.
    """

    bought_at: int
    take_profit_at: int | None = None
    stop_loss_at: int | None = None


class ListingContext(NamedTuple):
    """A symbol to list contracts for, and the market at their next possible start."""

    symbol: Symbol
    currency: str
    spot: int
    """The present spot, in pips."""
    market: MarketView
    margins: Margins


class ContractView(Generic[KindT]):
    """The view of one type of contracts; this base class adds nothing to the common fields."""

    _of: ClassVar[dict[type[AnyContractType], type["ContractView[Any]"]]] = {}

    def __init__(self, kind: KindT) -> None:
        self.kind = kind

    def __init_subclass__(cls, *, of: type[AnyContractType] | None = None) -> None:
        """`of` is the class of contract types that the view is for."""
        if of is not None:
            ContractView._of[of] = cls

    @staticmethod
    def for_type(kind: AnyContractType) -> "ContractView[Any]":
        """Return the view of a type: that of the nearest of its base classes that has one."""
        for base in type(kind).__mro__:
            view = ContractView._of.get(base)
            if view is not None:
                return view(kind)
        return ContractView(kind)

    # Lists of what is offered.

    def add_to_listing(self, row: AvailableContract, listed: ListingContext) -> None:
        """Add fields to a row of `contracts_for`, which has those that all types share."""

    def example(self) -> Terms:
        """Return terms that such a contract may have, for the documentation."""
        kind = self.kind
        durations = kind.listing.durations
        return Terms(
            contract_type=kind.name,
            symbol=SYMBOLS["R_100"],
            currency="USD",
            start=EARLIEST,
            ticks=5 if durations.ticks else None,
            expiry=None if durations.ticks else EARLIEST + 300,
        )

    def example_barrier(self) -> Barrier | None:
        """Return a barrier for the example; `None` if it may be the entry spot."""
        kind = self.kind
        if "barrier" in kind.takes and kind.listing.barrier_category in _AWAY:
            return Barrier(50)
        return None

    # Quotes.

    def add_to_quote(
        self, body: ProposalBody, details: ContractDetails, quote: Any, pricing: Pricing
    ) -> None:
        """Add fields to a proposal and its `contract_details`; `quote` has the type's own class."""

    def limits(self, terms: Any, quote: Quote[Any] | None = None) -> ValidationParams:
        """Return the bounds of stake, payout and orders, of a quote or else of an open contract."""
        currency = terms.currency
        limits: ValidationParams = {
            "stake": {
                "min": bounds.text(MIN_STAKE, currency),
                "max": self.largest_stake(terms, quote),
            }
        }
        for name, (least, most) in self.kind.order_limits(terms).items():
            limits[name] = {  # type: ignore[literal-required] # the name of an order
                "min": to_text(least, currency),
                "max": to_text(most, currency),
            }
        return limits

    def largest_stake(self, terms: Any, quote: Any) -> str:
        """Return the largest stake, as text."""
        return bounds.text(MAX_STAKE, terms.currency)

    # Contracts.

    def barriers(self, terms: Any, entry: int, memory: Any = None) -> BarriersShown:
        """Return the barriers or the digit; `entry` is the entry spot in pips."""
        match self.kind.barriers(terms, entry, memory):
            case (high, low):
                return {"high_barrier": high, "low_barrier": low}
            case (barrier,):
                return {"barrier": barrier}
            case _:
                return {}

    def barrier_count(self, shown: BarriersShown) -> int:
        """Return the number of barriers; those in `shown` are fixed for the whole contract."""
        return len(shown)

    def transaction_barrier(self, terms: Any) -> str | None:
        """Return the barrier for `transaction`, as it was requested; `None` to show none."""
        return None

    def add_to_contract(self, body: OpenContract, shown: ShownContract) -> None:
        """Add fields to a contract in `proposal_open_contract`, open or closed."""

    def add_to_profit_row(self, row: ClosedContract, terms: Any) -> None:
        """Add fields to a row of `profit_table` that is requested with `description`."""

    def duration_type(self, terms: Any) -> str | None:
        """Return the unit of the duration in `profit_table`; `None` if there is no fixed end."""
        if terms.ticks is not None:
            return "ticks"
        return "days" if terms.lasts_days else "seconds"

    # Orders.

    def orders(self, terms: Any, entry: Tick, tick: Tick, placed: OrderTimes) -> OrdersShown:
        """Return the orders of a contract with this entry tick, as of a tick."""
        return {}

    def order_level(
        self, terms: Any, name: str, amount: int, entry: Tick, tick: Tick
    ) -> int | None:
        """Return the price, in pips, at which an order closes the contract, as of a tick.

        `None` if no price does.
        """
        return None
