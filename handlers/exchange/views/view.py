"""The base class of views: how a family of contracts is shown on the wire.

`bodies` fills in the fields that all contracts share, and asks the view of the contract's type for
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
    """What a view needs to price more than the quote that it shows."""

    feed: Feed
    margins: Margins


class Shown(NamedTuple):
    """A contract as it is shown: its state after a tick, the latest or the one that ended it."""

    contract: Contract
    state: ContractState[Any]
    tick: Tick
    feed: Feed


class Placed(NamedTuple):
    """When the orders of a contract were placed, in epoch seconds; `None`: with the contract."""

    bought_at: int
    take_profit_at: int | None = None
    stop_loss_at: int | None = None


class Listed(NamedTuple):
    """A symbol for which contracts are listed, and the market at the next possible start."""

    symbol: Symbol
    currency: str
    spot: int
    """The present spot, in pips."""
    market: MarketView
    margins: Margins


class ContractView(Generic[KindT]):
    """How one type of contracts is shown; this base class adds nothing to the common fields."""

    _of: ClassVar[dict[type[AnyContractType], type["ContractView[Any]"]]] = {}

    def __init__(self, kind: KindT) -> None:
        self.kind = kind

    def __init_subclass__(cls, *, of: type[AnyContractType] | None = None) -> None:
        """`of` is the class of contract types that the view is for."""
        if of is not None:
            ContractView._of[of] = cls

    @staticmethod
    def for_type(kind: AnyContractType) -> "ContractView[Any]":
        """The view of a type: that of the nearest of its classes that has one."""
        for base in type(kind).__mro__:
            view = ContractView._of.get(base)
            if view is not None:
                return view(kind)
        return ContractView(kind)

    # Lists of what is offered.

    def add_to_listing(self, row: AvailableContract, listed: Listed) -> None:
        """Add to a row of `contracts_for`, which has the fields that all types share."""

    def example(self) -> Terms:
        """Terms that such a contract may have, for the documentation."""
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
        """A barrier for the example; `None` where it may be the entry spot."""
        kind = self.kind
        if "barrier" in kind.takes and kind.listing.barrier_category in _AWAY:
            return Barrier(50)
        return None

    # Quotes.

    def add_to_quote(
        self, body: ProposalBody, details: ContractDetails, quote: Any, pricing: Pricing
    ) -> None:
        """Add to a proposal and its `contract_details`; `quote` is of the type's own shape."""

    def limits(self, terms: Any, quote: Quote[Any] | None = None) -> ValidationParams:
        """The bounds of stake, payout and orders; of a quote, or else of an open contract."""
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
        """The largest stake, as text."""
        return bounds.text(MAX_STAKE, terms.currency)

    # Contracts.

    def barriers(self, terms: Any, entry: int, memory: Any = None) -> BarriersShown:
        """The barriers, for a contract whose entry spot is `entry` pips; or the digit."""
        match self.kind.barriers(terms, entry, memory):
            case (high, low):
                return {"high_barrier": high, "low_barrier": low}
            case (barrier,):
                return {"barrier": barrier}
            case _:
                return {}

    def barrier_count(self, shown: BarriersShown) -> int:
        """The number of barriers, of which `shown` are fixed for the whole contract."""
        return len(shown)

    def transaction_barrier(self, terms: Any) -> str | None:
        """The barrier as `transaction` shows it: as it was requested."""
        return None

    def add_to_contract(self, body: OpenContract, shown: Shown) -> None:
        """Add to a contract of `proposal_open_contract`, open or closed."""

    def add_to_profit_row(self, row: ClosedContract, terms: Any) -> None:
        """Add to a row of `profit_table` that has its description."""

    def duration_type(self, terms: Any) -> str | None:
        """In what `profit_table` counts the duration; `None` where there is no fixed end."""
        if terms.ticks is not None:
            return "ticks"
        return "days" if terms.lasts_days else "seconds"

    # Orders.

    def orders(self, terms: Any, entry: Tick, tick: Tick, placed: Placed) -> OrdersShown:
        """The orders of a contract entered at `entry`, as of a tick."""
        return {}

    def order_level(
        self, terms: Any, name: str, amount: int, entry: Tick, tick: Tick
    ) -> int | None:
        """The price in pips, as of a tick, at which an order closes the contract, if it is one."""
        return None
