"""App markups: amounts that app owners add to the price of contracts, and receive.

Rules:
- The buyer pays the whole price to the exchange. In the same transaction, the exchange pays the
  markup to an account of the app's owner: the oldest with the buyer's kind and currency.
- If there is no such account, or the owner is the buyer, no markup is charged: the exchange retains
  none of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scopegate.exchange import ledger
from scopegate.exchange.ledger import EXCHANGE, Account, Entry, Posting
from scopegate.store.transactions import Row, Snapshot, Transaction


class MarkupPayee(NamedTuple):
    """The app through which a contract is bought, and the user who owns it."""

    app_id: int
    user_id: int
    cents: int
    """The present value of the contract's markup, in US cents."""


def payee(reader: Snapshot, buyer: Account, markup_payee: MarkupPayee | None) -> str | None:
    """The login id of the account that gets a markup; `None` if none is charged."""
    if markup_payee is None or markup_payee.user_id == buyer.user_id:
        return None
    row = reader.one(
        "SELECT loginid FROM accounts WHERE user_id = ? AND currency = ? AND is_virtual = ?"
        # Without any entry, the owner can still choose another currency.
        " AND EXISTS (SELECT 1 FROM ledger WHERE ledger.loginid = accounts.loginid)"
        " ORDER BY created_at, loginid LIMIT 1",
        markup_payee.user_id,
        buyer.currency,
        int(buyer.is_virtual),
    )
    return None if row is None else row["loginid"]


def pay(
    transaction: Transaction,
    loginid: str,
    markup_payee: MarkupPayee,
    *,
    contract_id: int,
    amount: int,
    at: int,
) -> Entry:
    """Post a contract's markup, in smallest units, to the account of the app's owner.

    The caller announces the entry that is returned.
    """
    posting = Posting(
        loginid=loginid,
        action="adjustment",
        amount=amount,
        at=at,
        app_id=markup_payee.app_id,
        note=f"Markup of the app {markup_payee.app_id} on the contract {contract_id}.",
        counter=EXCHANGE,
    )
    entry = ledger.post_unannounced(transaction, posting)
    transaction.execute(
        "INSERT INTO markups (contract_id, app_id, loginid, amount, cents, booked_by, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        contract_id,
        markup_payee.app_id,
        loginid,
        amount,
        markup_payee.cents,
        entry.id,
        at,
    )
    return entry


class Markup(NamedTuple):
    """The markup of one contract."""

    app_id: int
    amount: int
    """In smallest units of the currency, which is both the buyer's and the owner's."""
    cents: int
    """In US cents, at the rate of the purchase."""
    currency: str
    buyer: str
    owner: str
    """The login ids of both accounts."""
    bought_by: int
    """The id of the ledger entry of the purchase."""
    at: int


ORDERS = {
    "app_id": "markups.app_id",
    "client_loginid": "contracts.loginid",
    "transaction_time": "markups.at",
}
"""The columns by which a list of markups can be sorted, by the names used in requests."""


class Payees(NamedTuple):
    """The accounts and apps whose markups are read."""

    loginids: Sequence[str]
    """The accounts that the markups were paid to."""
    app_ids: Sequence[int] | None = None
    """The apps that charged them; `None`: all apps."""


def _paid(payees: Payees, first: int, last: int) -> tuple[str, list[str | int]]:
    """The SQL that selects the markups paid from `first` to `last` (epochs), and its parameters."""

    def marks(values: Sequence[object]) -> str:
        return ", ".join("?" * len(values))

    sql = (
        " FROM markups JOIN contracts ON contracts.id = markups.contract_id"
        f" WHERE markups.loginid IN ({marks(payees.loginids)})"
        " AND markups.at >= ? AND markups.at <= ?"
    )
    values: list[str | int] = [*payees.loginids, first, last]
    if payees.app_ids is not None:
        sql += f" AND markups.app_id IN ({marks(payees.app_ids)})"
        values += payees.app_ids
    return sql, values


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkupQuery:
    """Which markups to list, and in what order."""

    first: int
    last: int
    """Epochs of the first and the last second."""
    app_id: int | None = None
    """Only markups of this app; `None`: of any app."""
    buyer: str | None = None
    """Only markups paid by this account; `None`: by any account."""
    order: Sequence[str] = ()
    """Keys of `ORDERS`."""
    ascending: bool = False
    """Whether times are in ascending order; other keys always are."""
    limit: int
    offset: int = 0


def of_owner(reader: Snapshot, payees: Payees, query: MarkupQuery) -> list[Markup]:
    """The markups that were paid to these accounts, filtered and sorted by the query."""
    terms = [
        ORDERS[name] + (" DESC" if name == "transaction_time" and not query.ascending else "")
        for name in query.order
    ]
    direction = "ASC" if query.ascending else "DESC"
    paid, values = _paid(payees, query.first, query.last)
    rows = reader.all(
        "SELECT markups.*, contracts.currency, contracts.loginid AS buyer, contracts.bought_by"
        f"{paid} AND markups.app_id = coalesce(?, markups.app_id)"
        " AND contracts.loginid = coalesce(?, contracts.loginid)"
        f" ORDER BY {', '.join([*terms, f'markups.contract_id {direction}'])} LIMIT ? OFFSET ?",
        *values,
        query.app_id,
        query.buyer,
        query.limit,
        query.offset,
    )
    return [_markup(row) for row in rows]


def _markup(row: Row) -> Markup:
    return Markup(
        row["app_id"],
        row["amount"],
        row["cents"],
        row["currency"],
        row["buyer"],
        row["loginid"],
        row["bought_by"],
        row["at"],
    )


class Sum(NamedTuple):
    """The markups that a user received through one app in one currency."""

    app_id: int
    currency: str
    amount: int
    cents: int
    """In US cents, each markup at the rate of its purchase."""
    contracts: int


def sums(reader: Snapshot, payees: Payees, *, first: int, last: int) -> list[Sum]:
    """The markups paid from `first` to `last` (epochs), summed by app and currency."""
    paid, values = _paid(payees, first, last)
    rows = reader.all(
        "SELECT markups.app_id, contracts.currency, sum(markups.amount),"
        " sum(markups.cents), count(*)"
        f"{paid} GROUP BY markups.app_id, contracts.currency"
        " ORDER BY markups.app_id, contracts.currency",
        *values,
    )
    return [Sum(*row) for row in rows]
