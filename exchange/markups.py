"""What the owners of apps add to the price of contracts, and get.

Rules:
- The markup of a contract goes, in the transaction that opens it, from the exchange, to which the
  buyer pays the whole price, to an account of the app's owner: the oldest that is of the buyer's
  kind and currency.
- Where there is none such, or the owner is the buyer, no markup is charged: the exchange keeps
  nothing of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scopegate.exchange import ledger
from scopegate.exchange.ledger import EXCHANGE, Account, Entry, Posting
from scopegate.store.sqlite import Row, Snapshot, Transaction


class MarkupPayee(NamedTuple):
    """The app through which a contract is bought, and the user who owns it."""

    app_id: int
    user_id: int
    cents: int
    """What the markup of the contract is worth in US cents at present."""


def payee(reader: Snapshot, buyer: Account, markup_payee: MarkupPayee | None) -> str | None:
    """The account that gets a markup; `None` where none is charged."""
    if markup_payee is None or markup_payee.user_id == buyer.user_id:
        return None
    row = reader.one(
        "SELECT loginid FROM accounts WHERE user_id = ? AND currency = ? AND is_virtual = ?"
        # Where nothing was booked yet, the currency is still the owner's to choose.
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
    """Give the markup of a contract to the account of the app's owner; not yet announced."""
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
    """The accounts."""
    bought_by: int
    """The entry of the purchase."""
    at: int


ORDERS = {
    "app_id": "markups.app_id",
    "client_loginid": "contracts.loginid",
    "transaction_time": "markups.at",
}
"""What a list of markups can be sorted by."""


class Payees(NamedTuple):
    """The owner whose markups are read."""

    loginids: Sequence[str]
    """The accounts that the markups were paid to."""
    app_ids: Sequence[int] | None = None
    """The apps that charged them; all apps if this is empty."""


def _paid(payees: Payees, first: int, last: int) -> tuple[str, list[str | int]]:
    """The rows of the markups that were paid between two moments: SQL and its values."""

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
    """Which markups are listed, and in what order."""

    first: int
    last: int
    """Epochs of the first and the last second."""
    app_id: int | None = None
    """Through this app; `None`: through any."""
    buyer: str | None = None
    """Paid by this account; `None`: by any."""
    order: Sequence[str] = ()
    """Names of `ORDERS`."""
    ascending: bool = False
    """Whether time goes up; the other orders always do."""
    limit: int
    offset: int = 0


def of_owner(reader: Snapshot, payees: Payees, query: MarkupQuery) -> list[Markup]:
    """The markups that were paid to these accounts."""
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
    """What a user got through one app in one currency."""

    app_id: int
    currency: str
    amount: int
    cents: int
    """In US cents, each at the rate of its purchase."""
    contracts: int


def sums(reader: Snapshot, payees: Payees, *, first: int, last: int) -> list[Sum]:
    """The markups of payees between two moments, by app and currency."""
    paid, values = _paid(payees, first, last)
    rows = reader.all(
        "SELECT markups.app_id, contracts.currency, sum(markups.amount),"
        " sum(markups.cents), count(*)"
        f"{paid} GROUP BY markups.app_id, contracts.currency"
        " ORDER BY markups.app_id, contracts.currency",
        *values,
    )
    return [Sum(*row) for row in rows]
