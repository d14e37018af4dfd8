"""A gateway with a fault in how it trades, to see that a test would notice: `MUTANT serve ...`.

Nothing of the product is edited: this starts it in a process of its own and replaces one piece of
it there. Everything else, and everything as long as nobody kills the process, is as it should be.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from scopegate import cli
from scopegate.exchange import book, desk, ledger, payments
from scopegate.exchange.book import BoughtContract, Purchase
from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.copying import Copies
from scopegate.exchange.ledger import Account, Entry, Posting
from scopegate.exchange.payments import Order, Parties, Payment, PaymentService
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.session import Session
from scopegate.store import sqlite as store
from scopegate.store.sqlite_connection import SqliteConnection
from scopegate.store.transactions import Transaction, WrittenJob

WINDOW = 0.05
"""Seconds for which a transaction is open whose replies have been sent."""


class _NeverCommits:
    """A connection to the database on which `COMMIT` does nothing."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    @property
    def total_changes(self) -> int:
        return int(self._connection.total_changes)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql != "COMMIT":
            return self._connection.execute(sql, *parameters)
        return None

    execute_later = SqliteConnection.execute_later
    flush = SqliteConnection.flush
    ask_ahead = SqliteConnection.ask_ahead
    insert = SqliteConnection.insert
    writing = SqliteConnection.writing
    now = SqliteConnection.now
    count_commit = SqliteConnection.count_commit
    reading = SqliteConnection.reading
    stored_changes = SqliteConnection.stored_changes


def reply_before_commit() -> None:
    """What opens or closes contracts is committed by the next batch only, after its replies."""
    write_batch = store.write_batch

    def late(
        connection: Any, batch: Sequence[WrittenJob], seen_change: int, prepared: Any = None
    ) -> Any:
        if connection.in_transaction:
            time.sleep(WINDOW)
            connection.execute("COMMIT")
        uncommitted: Any = _NeverCommits(connection)
        foreign = write_batch(uncommitted, batch, seen_change, prepared)
        moves_contracts = any(
            isinstance(change, book.ContractChanged)
            for waiting in batch
            if waiting.failed is None
            for change in waiting.changes
        )
        if not moves_contracts:
            connection.execute("COMMIT")
        return foreign

    store.write_batch = late  # type: ignore[assignment]


def unguarded_debit() -> None:
    """A buy is charged in one transaction, and its contract opened in the next."""
    paid: list[Entry] = []
    """The charge for the contract that is being opened; the writer's thread opens one at a time."""
    post = ledger.post_unannounced

    def posted_before(transaction: Transaction, posting: Posting) -> Entry:
        if not paid:
            return post(transaction, posting)
        entry = replace(paid.pop(), contract_id=posting.contract_id)
        transaction.execute(
            "UPDATE ledger SET contract_id = ? WHERE id = ?", entry.contract_id, entry.id
        )
        return entry

    ledger.post_unannounced = posted_before

    async def buy(
        self: desk.Desk,
        guard: ledger.Guard,
        made: Callable[[float], Purchase],
        record: object = None,
    ) -> BoughtContract:
        purchase = made(self._trade_clock.now())

        def charge(transaction: Transaction) -> Entry:
            guard(transaction)
            posting = Posting(
                loginid=purchase.loginid,
                action="buy",
                amount=-purchase.quote.price,
                at=purchase.at,
                app_id=purchase.app_id,
            )
            try:
                return post(transaction, posting)
            except ledger.InsufficientFundsError:
                raise Refusal("InsufficientBalance", "There is not enough.") from None

        charged = await self._store.write(charge)

        def open_contract(transaction: Transaction) -> BoughtContract:
            paid.append(charged)
            try:
                bought = book.buy(transaction, purchase)
            finally:
                paid.clear()
            self._copying.copies.bought(transaction, bought, purchase.quote)
            return bought

        return await self._store.write(open_contract)

    desk.Desk.buy = buy  # type: ignore[method-assign]


def copies_afterwards() -> None:
    """What a trader buys is copied in the next transaction, not in its own."""
    buy, copy = desk.Desk.buy, Copies.bought

    def nothing(
        self: Copies, transaction: Transaction, bought: BoughtContract, quote: Quote[Any]
    ) -> None:
        pass

    async def buy_first(
        self: desk.Desk, guard: ledger.Guard, made: Callable[[float], Purchase], record: Any = None
    ) -> BoughtContract:
        purchase = made(self._trade_clock.now())
        bought, quote = await buy(self, guard, lambda now: purchase, record), purchase.quote
        await self._store.write(
            lambda transaction: copy(self._copying.copies, transaction, bought, quote)
        )
        return bought

    Copies.bought = nothing  # type: ignore[method-assign]
    desk.Desk.buy = buy_first  # type: ignore[assignment, method-assign]


def payment_by_halves() -> None:
    """A payment is taken from the one account in one transaction, and given in the next."""
    found: list[Parties] = []
    taken: list[Entry] = []
    """What the first transaction did of the payment that the second completes."""
    check, post = payments.check, ledger.post

    def checked_before(reader: Transaction, order: Order) -> Parties:
        return found.pop() if found else check(reader, order)

    def posted_before(transaction: Transaction, posting: Posting) -> Entry:
        return taken.pop() if taken else post(transaction, posting)

    payments.check = checked_before
    ledger.post = posted_before

    async def pay(
        self: PaymentService, order: Order, *, guard: ledger.Guard, **named: Any
    ) -> Payment:
        at, key = self._clock.now(), named["key"]

        def take(transaction: Transaction) -> tuple[Parties, Entry] | None:
            guard(transaction)
            if payments._paid_with(transaction, order, key) is not None:
                return None
            parties = check(transaction, order)
            same = parties.payer.currency == parties.payee.currency
            posting = Posting(
                loginid=order.payer,
                action="transfer",
                amount=-order.units,
                at=at,
                counter=ledger.TRANSFERS if same else ledger.CONVERSION,
            )
            return parties, post(transaction, posting)

        first = await self._store.write(take)

        def give(transaction: Transaction) -> Payment:
            if first is not None:
                found.append(first[0])
                taken.append(first[1])
            return payments.pay(transaction, order, self._rates, at=at, key=key)

        return await self._store.write(give)

    async def transfer(
        self: PaymentService, order: Order, *, user_id: int, **named: Any
    ) -> tuple[Payment, list[Account]]:
        paid = await pay(self, order, **named)
        return paid, await self._store.read(lambda reader: ledger.accounts(reader, user_id))

    PaymentService.pay = pay  # type: ignore[method-assign]
    PaymentService.transfer = transfer  # type: ignore[method-assign]


def recorded_afterwards() -> None:
    """A reply is recorded under its idempotency key in the transaction after the one of its job."""

    async def write_reply(
        self: Access, session: Session, job: Any, reply_of: Any, *, audited: str | None = None
    ) -> Any:
        reply = reply_of(await self.write(session.grant, job, audited=audited))
        keyed = session.keyed
        if keyed is not None:
            await self.write(session.grant, lambda done: keyed.record(done, reply))
        return reply

    Access.write_reply = write_reply  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        *(reply_before_commit, unguarded_debit, copies_afterwards, payment_by_halves),
        recorded_afterwards,
    )
}

if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    store.SqliteStore.use_process = lambda self: None  # type: ignore[method-assign] # it is not changed
    cli.main()
