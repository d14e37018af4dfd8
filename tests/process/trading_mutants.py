"""A gateway with a fault in how it trades, to see that a test would notice: `MUTANT serve ...`.

Nothing of the product is edited: this starts it in a process of its own and replaces one piece of
it there. Everything else, and everything as long as nobody kills the process, is as it should be.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scopegate import cli
from scopegate.exchange import book, desk, ledger, payments
from scopegate.exchange.book import Bought
from scopegate.exchange.contracts.state import Quote
from scopegate.exchange.contracts.terms import Refusal
from scopegate.exchange.copying import Copying
from scopegate.exchange.ledger import Account, Entry
from scopegate.exchange.payments import Order, Parties, Payment, Teller
from scopegate.store import sqlite as store
from scopegate.store.sqlite import Transaction


class _NeverCommits:
    """A connection to the database on which `COMMIT` does nothing."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql != "COMMIT":
            return self._connection.execute(sql, *parameters)
        return None


def reply_before_commit() -> None:
    """What opens or closes contracts is committed by the next batch only, after its replies."""
    commit = store._commit

    def late(batch: list[Any], seen_change: int, connection: Any) -> Any:
        if connection.in_transaction:
            connection.execute("COMMIT")
        foreign = commit(batch, seen_change, _NeverCommits(connection))  # type: ignore[arg-type]
        moves_contracts = any(
            isinstance(change, book.ContractChanged)
            for waiting in batch
            if waiting.failed is None
            for change in waiting.transaction.changes
        )
        if not moves_contracts:
            connection.execute("COMMIT")
        return foreign

    store._commit = late


def unguarded_debit() -> None:
    """A buy is charged in one transaction, and its contract opened in the next."""
    paid: list[Entry] = []
    """The charge for the contract that is being opened; the writer's thread opens one at a time."""
    post = ledger.post

    def posted_before(transaction: Transaction, *arguments: Any, **named: Any) -> Entry:
        if not paid:
            return post(transaction, *arguments, **named)
        entry = replace(paid.pop(), contract_id=named["contract_id"])
        transaction.execute(
            "UPDATE ledger SET contract_id = ? WHERE id = ?", entry.contract_id, entry.id
        )
        return entry

    ledger.post = posted_before

    async def buy(
        self: desk.Desk,
        offer: Quote,
        *,
        loginid: str,
        app_id: int | None,
        at: int,
        guard: ledger.Guard,
        **named: Any,
    ) -> Bought:
        def charge(transaction: Transaction) -> Entry:
            guard(transaction)
            try:
                return post(transaction, loginid, "buy", -offer.price, at=at, app_id=app_id)
            except ledger.InsufficientFundsError:
                raise Refusal("InsufficientBalance", "There is not enough.") from None

        charged = await self._store.write(charge)

        def open_contract(transaction: Transaction) -> Bought:
            paid.append(charged)
            try:
                bought = book.buy(
                    transaction, offer, loginid=loginid, app_id=app_id, at=at, **named
                )
            finally:
                paid.clear()
            self._copying.bought(transaction, bought, offer)
            return bought

        return await self._store.write(open_contract)

    desk.Desk.buy = buy  # type: ignore[method-assign]


def copies_afterwards() -> None:
    """What a trader buys is copied in the next transaction, not in its own."""
    buy, copy = desk.Desk.buy, Copying.bought

    def nothing(self: Copying, transaction: Transaction, bought: Bought, offer: Quote) -> None:
        pass

    async def buy_first(self: desk.Desk, offer: Quote, **named: Any) -> Bought:
        bought = await buy(self, offer, **named)
        await self._store.write(lambda transaction: copy(self._copying, transaction, bought, offer))
        return bought

    Copying.bought = nothing  # type: ignore[method-assign]
    desk.Desk.buy = buy_first  # type: ignore[assignment, method-assign]


def payment_by_halves() -> None:
    """A payment is taken from the one account in one transaction, and given in the next."""
    found: list[Parties] = []
    taken: list[Entry] = []
    """What the first transaction did of the payment that the second completes."""
    check, book = payments.check, ledger.book

    def checked_before(reader: Transaction, order: Order) -> Parties:
        return found.pop() if found else check(reader, order)

    def booked_before(transaction: Transaction, *arguments: Any, **named: Any) -> Entry:
        return taken.pop() if taken else book(transaction, *arguments, **named)

    payments.check = checked_before
    ledger.book = booked_before

    async def pay(self: Teller, order: Order, *, guard: ledger.Guard, **named: Any) -> Payment:
        at, key = self._clock.now(), named["key"]

        def take(transaction: Transaction) -> tuple[Parties, Entry] | None:
            guard(transaction)
            if payments._paid_with(transaction, order, key) is not None:
                return None
            parties = check(transaction, order)
            kind = {"counter": ledger.TRANSFERS, "at": at}
            if parties.payer.currency != parties.payee.currency:
                kind["counter"] = ledger.CONVERSION
            return parties, book(transaction, order.payer, "transfer", -order.units, **kind)

        first = await self._store.write(take)

        def give(transaction: Transaction) -> Payment:
            if first is not None:
                found.append(first[0])
                taken.append(first[1])
            return payments.pay(transaction, order, self._rates, at=at, key=key)

        return await self._store.write(give)

    async def transfer(
        self: Teller, order: Order, *, user_id: int, **named: Any
    ) -> tuple[Payment, list[Account]]:
        paid = await pay(self, order, **named)
        return paid, await self._store.read(lambda reader: ledger.accounts(reader, user_id))

    Teller.pay = pay  # type: ignore[method-assign]
    Teller.transfer = transfer  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (reply_before_commit, unguarded_debit, copies_afterwards, payment_by_halves)
}

if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    cli.main()
