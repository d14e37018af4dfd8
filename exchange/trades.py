"""The jobs that open and close contracts, together with the copies of other accounts.

They are portable: once many wait, a process of its own runs them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scopegate.exchange import book
from scopegate.exchange.book import BoughtContract, ClosedContract, Contract, Purchase
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import Outcome
from scopegate.exchange.copying import Copies
from scopegate.exchange.ledger import Guard, Record
from scopegate.exchange.trade_clock import check_deadline
from scopegate.runtime.pickling import quickly_pickled
from scopegate.store.transactions import PortableJob, Transaction


@quickly_pickled
@dataclass(frozen=True, slots=True)
class Buying(PortableJob[BoughtContract]):
    """Buys a contract, and copies of it.

    Raises `Refusal`, `DeadlinePassedError`, or what the guard raises.
    """

    guard: Guard
    purchase: Purchase
    copies: Copies
    deadline: float = math.inf
    """By when it must begin, as `TradeClock.deadline` returns it."""
    record: Record[BoughtContract] | None = None
    """Called with what was bought."""

    def __call__(self, transaction: Transaction) -> BoughtContract:
        """Return what was bought."""
        check_deadline(self.deadline)
        caps_id = self.guard(transaction)
        bought = book.buy(transaction, self.purchase, caps_id)
        self.copies.bought(transaction, bought, self.purchase.quote)
        if self.record is not None:
            self.record(transaction, bought)
        return bought


@quickly_pickled
@dataclass(frozen=True, slots=True, kw_only=True)
class Closing(PortableJob[ClosedContract | None]):
    """Sells or cancels a contract, and its copies.

    Raises `DeadlinePassedError`, or what the guard raises.
    """

    guard: Guard
    held: Contract
    outcome: Outcome
    at: int
    app_id: int | None
    copies: Copies
    ends: Sequence[tuple[Contract, Outcome | Refusal]]
    """The open copies, each with its present outcome, or why it has none."""
    deadline: float = math.inf
    """By when it must begin, as `TradeClock.deadline` returns it."""
    record: Record[ClosedContract] | None = None
    """Called with what was closed."""

    def __call__(self, transaction: Transaction) -> ClosedContract | None:
        """Return what was closed; `None` if it is closed already, or its orders have changed."""
        check_deadline(self.deadline)
        self.guard(transaction)
        closed = book.close(transaction, self.held, self.outcome, at=self.at, app_id=self.app_id)
        if closed is not None:
            self.copies.closed(transaction, closed, self.ends, at=self.at)
            if self.record is not None:
                self.record(transaction, closed)
        return closed


@quickly_pickled
@dataclass(frozen=True, slots=True)
class Settling(PortableJob[ClosedContract | None]):
    """Settles a contract that has ended."""

    held: Contract
    outcome: Outcome

    def __call__(self, transaction: Transaction) -> ClosedContract | None:
        """Return what was closed; `None` if it is closed already, or its orders have changed."""
        return book.close(transaction, self.held, self.outcome, at=self.outcome.tick.epoch)
