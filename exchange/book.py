"""The book of contracts: their rows, and the transactions that open and close them.

Rules:
- A contract is opened and paid for in one transaction, and closed and paid out in another, each
  exactly once: a row is closed only while it is open.
- The terms are stored as the shortcode, plus columns for what a shortcode does not hold.
- Every change is announced with the whole row, so listeners get each change once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

from scopegate.exchange import caps, exclusion, ledger, markups
from scopegate.exchange.contracts import shortcode
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import Orders, Quote, StoredTerms
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import Outcome, Status
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.keys import stored_key
from scopegate.exchange.ledger import BookedEntry, Entry, InsufficientFundsError, Posting
from scopegate.exchange.markups import MarkupPayee
from scopegate.exchange.money import bound_in, to_text
from scopegate.exchange.rules import MAX_OPEN_PAYOUT, MAX_OPEN_POSITIONS
from scopegate.runtime.pickling import quickly_pickled
from scopegate.store.transactions import Announcement, Query, Row, Snapshot, Transaction

MAX_ORDERS = 100
"""The number of orders stored per contract: the latest ones."""


@quickly_pickled
@dataclass(frozen=True, slots=True)
class Contract:
    """A contract as stored; fields about its end are `None` while it is open.

    Amounts are in smallest units, times are epochs.
    """

    id: int
    loginid: str
    app_id: int | None
    shortcode: str
    terms: Terms
    price: int
    payout: int
    cancellation_price: int
    copied_from: int | None
    """The contract of another account that this one copies."""
    caps_id: int | None
    """The caps that it counts for, with their parents."""
    markup: int
    take_profit_at: int | None
    stop_loss_at: int | None
    followed_to: int
    version: int
    bought_at: int
    bought_by: int
    status: Status
    sold_for: int | None
    sold_at: int | None
    sold_by: int | None
    exit_epoch: int | None


def contract(row: Row | Mapping[str, Any]) -> Contract:
    """Convert a row, or the data of an announcement, to a contract."""
    return Contract(
        id=row["id"],
        loginid=row["loginid"],
        app_id=row["app_id"],
        shortcode=row["shortcode"],
        terms=_terms(row),
        price=row["price"],
        payout=row["payout"],
        cancellation_price=row["cancellation_price"],
        copied_from=row["copied_from"],
        caps_id=row["caps_id"],
        markup=row["markup"],
        take_profit_at=row["take_profit_at"],
        stop_loss_at=row["stop_loss_at"],
        followed_to=row["followed_to"],
        version=row["version"],
        bought_at=row["bought_at"],
        bought_by=row["bought_by"],
        status=Status(row["status"]),
        sold_for=row["sold_for"],
        sold_at=row["sold_at"],
        sold_by=row["sold_by"],
        exit_epoch=row["exit_epoch"],
    )


_TERMS = "shortcode, currency, commission, is_financed, take_profit, stop_loss"
"""The columns that `_terms` needs."""


def _terms(row: Row | Mapping[str, Any]) -> Terms:
    terms = shortcode.decode(row["shortcode"], row["currency"])
    stored = StoredTerms(
        row["commission"], bool(row["is_financed"]), Orders(row["take_profit"], row["stop_loss"])
    )
    completed: Terms = TYPES[terms.contract_type].with_stored(terms, stored)
    return completed


@quickly_pickled
@dataclass(frozen=True, slots=True)
class PurchaseKey:
    """An idempotency key, and what was requested under it: an account buys one contract per key."""

    key: str
    request_digest: str | None
    """Of the quote request that was bought (`QuoteRequest.digest`); `None` if it is not known."""
    proposal_id: str | None
    """The id of the proposal that was bought; `None` for a purchase by parameters."""


class BoughtContract(NamedTuple):
    """A contract that was bought, and the balance after its purchase."""

    contract: Contract
    balance_after: int
    bought_under: PurchaseKey | None = None
    """The key under which it was bought earlier; `None` if it was bought by this call."""

    @property
    def is_new(self) -> bool:
        """Whether it was bought by this call, and not earlier under the same key."""
        return self.bought_under is None


class ClosedContract(NamedTuple):
    """A contract that was closed, and the ledger entry of its payment."""

    contract: Contract
    entry: Entry


@dataclass(frozen=True, slots=True)
class ContractChanged(Announcement):
    """The orders of an open contract have changed."""

    kind: ClassVar[str] = "contract_changed"
    contract: Contract
    row: Mapping[str, Any]
    """The contract's row in the table; empty if the writer process has announced it."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it without the row, which only programs without a gateway need."""
        return type(self), (self.contract, {})

    def to_json(self) -> dict[str, Any]:
        """Return the row alone."""
        return dict(self.row)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the announcement for a row."""
        return cls(contract(data), data)


@dataclass(frozen=True, slots=True)
class ContractOpened(ContractChanged):
    """A contract was bought."""

    kind: ClassVar[str] = "contract_opened"


@dataclass(frozen=True, slots=True)
class ContractClosed(ContractChanged):
    """A contract was settled, sold or cancelled."""

    kind: ClassVar[str] = "contract_closed"


def _announce(
    transaction: Transaction, kind: type[ContractChanged], row: dict[str, Any]
) -> Contract:
    announced = kind.from_json(row)
    transaction.announce(announced)
    return announced.contract


@quickly_pickled
@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """The purchase of a contract, to be made by `buy`."""

    quote: Quote[Any]
    loginid: str
    app_id: int | None
    at: int
    """The epoch of the purchase."""
    key: PurchaseKey | None = None
    """The idempotency key, if the request has one."""
    copied_from: int | None = None
    """The contract of another account that this one copies."""
    markup_payee: MarkupPayee | None = None
    """The app whose owner gets the markup in the price; `None`: no markup is charged."""
    signed_in_for: float = 0.0
    """Seconds of market time since the sign-in of the session that buys."""


def buy(transaction: Transaction, purchase: Purchase, caps_id: int | None = None) -> BoughtContract:
    """Open a contract and charge for it, or return the one bought earlier under the same key.

    A markup goes to the owner of the app in the same transaction. The purchase counts for the caps
    with the id `caps_id`.

    Raises `Refusal` if the balance is too small, too much is open, the account has another
    currency, its owner has excluded the purchase, or the caps forbid it.
    """
    loginid, at = purchase.loginid, purchase.at
    if purchase.key is not None:
        before = bought_with(transaction, loginid, purchase.key.key)
        if before is not None:
            return before
    query = ledger.account_query(loginid)
    if caps_id is not None:
        query = caps.account_query(loginid, caps_id)
    transaction.ask_ahead(_open_contracts_query(purchase), query, exclusion.query(loginid))
    held = _check_room(transaction, purchase)
    found = transaction.one(*query)
    buyer = ledger.account_in(found, loginid)
    currency = purchase.quote.terms.currency
    if buyer.currency != currency:
        raise Refusal(
            "ContractBuyValidationError",
            f"Account {loginid} is in {buyer.currency}: it cannot buy a contract in {currency}.",
            {"currency": f"Must be {buyer.currency}."},
        )
    payee = None
    if purchase.quote.markup:
        payee = markups.payee(transaction, buyer, purchase.markup_payee)
        if payee is None:
            purchase = replace(purchase, quote=purchase.quote.without_markup())
    quote = purchase.quote
    exclusion.refuse_purchase(
        transaction,
        loginid,
        currency=currency,
        price=quote.price,
        held=held,
        signed_in_for=purchase.signed_in_for,
        at=at,
    )
    if caps_id is not None and found is not None:
        caps.count_purchase(
            transaction, caps_id, found, terms=quote.terms, price=quote.price, at=at
        )
    row = _insert(transaction, purchase, caps_id)
    contract_id = row["id"]
    charge = Posting(
        loginid=loginid,
        action="buy",
        amount=-quote.price,
        at=at,
        app_id=purchase.app_id,
        contract_id=contract_id,
    )
    try:
        entry = ledger.post_unannounced(transaction, charge)
    except InsufficientFundsError:
        raise Refusal(
            "InsufficientBalance",
            f"Your account balance ({to_text(buyer.balance, currency)} {currency}) is"
            f" insufficient to buy this contract ({to_text(quote.price, currency)} {currency}).",
        ) from None
    row["bought_by"] = entry.id
    transaction.execute_later(
        "UPDATE contracts SET bought_by = ? WHERE id = ?", entry.id, contract_id
    )
    # The contract first, so that listeners to the entry already have the contract that it names.
    opened = _announce(transaction, ContractOpened, row)
    transaction.announce(entry)
    if payee is not None and purchase.markup_payee is not None:
        paid = markups.pay(
            transaction,
            payee,
            purchase.markup_payee,
            contract_id=contract_id,
            amount=quote.markup,
            at=at,
        )
        transaction.announce(paid)
    return BoughtContract(opened, entry.balance_after)


def _open_contracts_query(purchase: Purchase) -> Query:
    """Return the query for the number and payout of the open contracts, and how many are alike."""
    return (
        "SELECT count(*), coalesce(sum(payout), 0), count(CASE WHEN contract_type = ? THEN 1 END)"
        " FROM contracts WHERE loginid = ? AND status = 'open'",
        purchase.quote.terms.contract_type,
        purchase.loginid,
    )


def _check_room(transaction: Transaction, purchase: Purchase) -> int:
    """Return the number of the account's open contracts.

    Raises `Refusal` if one more would exceed a limit on their number or total payout.
    """
    quote, terms = purchase.quote, purchase.quote.terms
    count, payout, alike = transaction.single(*_open_contracts_query(purchase))
    problem = None
    if count >= MAX_OPEN_POSITIONS:
        problem = (
            f"You have {count} open contracts, and the limit is {MAX_OPEN_POSITIONS}. Wait until"
            " one ends, or sell one."
        )
    most_alike = TYPES[terms.contract_type].most_open
    if problem is None and most_alike is not None and alike >= most_alike:
        problem = (
            f"You have {alike} open contracts of type {terms.contract_type}, and the limit is"
            f" {most_alike}. Wait until one ends, or sell one."
        )
    most_payout = bound_in(MAX_OPEN_PAYOUT, terms.currency)
    if problem is None and payout + quote.payout > most_payout:
        problem = (
            f"The total payout of your open contracts must not exceed {terms.currency}"
            f" {to_text(most_payout, terms.currency)}, and with this contract it would."
        )
    if problem is not None:
        raise Refusal("OpenPositionLimitExceeded", problem)
    return int(count)


_INSERTED = (
    "loginid, app_id, contract_type, shortcode, currency, price, payout, cancellation_price,"
    " commission, take_profit, take_profit_at, stop_loss, stop_loss_at, bought_at, copied_from,"
    " caps_id, markup, is_financed"
)
_OF_KEY = "idempotency_key, request_digest, proposal_id"


def _of_key(loginid: str, key: PurchaseKey) -> tuple[str | None, ...]:
    return stored_key(key.key, loginid), key.request_digest, key.proposal_id


def _insertion(columns: str) -> str:
    marks = ", ".join("?" for _ in columns.split(","))
    return f"INSERT INTO contracts ({columns}) VALUES ({marks}) RETURNING *"  # noqa: S608 - names


_INSERT = _insertion(_INSERTED)
_INSERT_WITH_KEY = _insertion(f"{_INSERTED}, {_OF_KEY}")


def _insert(transaction: Transaction, purchase: Purchase, caps_id: int | None) -> dict[str, Any]:
    """Insert the row of the contract and its first orders; return the row."""
    quote, terms, at = purchase.quote, purchase.quote.terms, purchase.at
    stored = TYPES[terms.contract_type].stored(terms)
    orders = stored.orders
    key = purchase.key
    inserted = transaction.single(
        _INSERT if key is None else _INSERT_WITH_KEY,
        purchase.loginid,
        purchase.app_id,
        terms.contract_type,
        shortcode.encode(terms),
        terms.currency,
        quote.price,
        quote.payout,
        quote.cancellation_price,
        stored.commission,
        orders.take_profit,
        None if orders.take_profit is None else at,
        orders.stop_loss,
        None if orders.stop_loss is None else at,
        at,
        purchase.copied_from,
        caps_id,
        quote.markup,
        int(stored.is_financed),
        *(() if key is None else _of_key(purchase.loginid, key)),
    )
    row = dict(inserted)
    for name, amount in orders._asdict().items():
        if amount is not None:
            _record_order(transaction, row["id"], name, amount, at)
    return row


def bought_with(reader: Snapshot, loginid: str, key: str) -> BoughtContract | None:
    """The contract that the account bought under this key; `None` if there is none."""
    row = reader.one(
        "SELECT contracts.*, ledger.balance_after FROM contracts"
        " JOIN ledger ON ledger.id = contracts.bought_by"
        " WHERE contracts.loginid = ? AND idempotency_key = ?",
        loginid,
        stored_key(key, loginid),
    )
    if row is None:
        return None
    under = PurchaseKey(key, row["request_digest"], row["proposal_id"])
    return BoughtContract(contract(row), row["balance_after"], under)


def close(
    transaction: Transaction,
    held: Contract,
    outcome: Outcome,
    *,
    at: int,
    app_id: int | None = None,
) -> ClosedContract | None:
    """Close an open contract and post its payment.

    Returns `None` if it is closed already, or its orders have changed since `held` was read.
    """
    changed = transaction.one(
        "UPDATE contracts SET status = ?, sold_for = ?, sold_at = ?, exit_epoch = ?"
        " WHERE id = ? AND status = 'open' AND version = ? RETURNING *",
        outcome.status.value,
        outcome.pays,
        at,
        outcome.tick.epoch,
        held.id,
        held.version,
    )
    if changed is None:
        return None
    payment = Posting(
        loginid=held.loginid,
        action="sell",
        amount=outcome.pays,
        at=at,
        app_id=app_id,
        contract_id=held.id,
    )
    entry = ledger.post(transaction, payment)
    transaction.execute_later("UPDATE contracts SET sold_by = ? WHERE id = ?", entry.id, held.id)
    if held.caps_id is not None:
        caps.count_close(
            transaction,
            held.caps_id,
            currency=held.terms.currency,
            price=held.price,
            paid=outcome.pays,
            at=at,
        )
    row = {**dict(changed), "sold_by": entry.id}
    return ClosedContract(_announce(transaction, ContractClosed, row), entry)


def change_orders(
    transaction: Transaction, held: Contract, orders: Orders, *, at: int, followed_to: int
) -> Contract | None:
    """Replace the orders of an open contract, from the tick after `followed_to` on.

    Returns `None` if it is closed, or its orders have changed since `held` was read.
    """
    before = TYPES[held.terms.contract_type].orders(held.terms)
    took, lost = (
        at if new is not None and new != old else None if new is None else since
        for new, old, since in zip(
            orders, before, (held.take_profit_at, held.stop_loss_at), strict=True
        )
    )
    row = transaction.one(
        "UPDATE contracts SET take_profit = ?, take_profit_at = ?, stop_loss = ?, stop_loss_at = ?,"
        " followed_to = ?, version = version + 1"
        " WHERE id = ? AND status = 'open' AND version = ? RETURNING *",
        orders.take_profit,
        took,
        orders.stop_loss,
        lost,
        followed_to,
        held.id,
        held.version,
    )
    if row is None:
        return None
    for name, new, old in zip(Orders._fields, orders, before, strict=True):
        if new != old:
            _record_order(transaction, held.id, name, new, at)
    return _announce(transaction, ContractChanged, dict(row))


def _record_order(
    transaction: Transaction, contract_id: int, kind: str, amount: int | None, at: int
) -> None:
    transaction.execute_later(
        "INSERT INTO contract_orders (contract_id, kind, amount, at) VALUES (?, ?, ?, ?)",
        contract_id,
        kind,
        amount,
        at,
    )
    transaction.execute_later(
        "DELETE FROM contract_orders WHERE contract_id = ? AND id <="
        " (SELECT id FROM contract_orders WHERE contract_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
        contract_id,
        contract_id,
        MAX_ORDERS,
    )


# Reading.


def open_rows(reader: Snapshot) -> list[Row]:
    """The rows of all open contracts, in order of purchase."""
    # The plus prevents SQLite from scanning all contracts, closed ones too, just for the order.
    return reader.all("SELECT * FROM contracts WHERE status = 'open' ORDER BY +id")


def find(reader: Snapshot, contract_id: int, loginid: str) -> Contract | None:
    """A contract of the account, open or closed; `None` if there is none with this id."""
    row = reader.one("SELECT * FROM contracts WHERE id = ? AND loginid = ?", contract_id, loginid)
    return None if row is None else contract(row)


def every(reader: Snapshot) -> list[Contract]:
    """All contracts of all accounts, in order of purchase."""
    return [contract(row) for row in reader.all("SELECT * FROM contracts ORDER BY id")]


def several(reader: Snapshot, ids: Collection[int]) -> dict[int, Contract]:
    """The contracts with these ids, by id."""
    marks = ", ".join("?" * len(ids))
    rows = reader.all(f"SELECT * FROM contracts WHERE id IN ({marks})", *ids)  # noqa: S608 - marks
    return {row["id"]: contract(row) for row in rows}


class BoughtTerms(NamedTuple):
    """The terms of a contract, and the epoch at which it was bought."""

    terms: Terms
    at: int


def booked_after(
    reader: Snapshot, loginid: str, position: int, limit: int
) -> tuple[list[BookedEntry], dict[int, BoughtTerms]]:
    """The account's ledger entries with ids after `position`, oldest first, `limit` at most.

    Also the terms of each contract that they are for, by its id.
    """
    entries = ledger.booked_after(reader, loginid, position, limit)
    ids = {entry.contract_id for entry in entries if entry.contract_id is not None}
    if not ids:
        return entries, {}
    marks = ", ".join("?" * len(ids))
    rows = reader.all(
        f"SELECT {_TERMS}, id, bought_at FROM contracts WHERE id IN ({marks})",  # noqa: S608 - marks
        *ids,
    )
    return entries, {row["id"]: BoughtTerms(_terms(row), row["bought_at"]) for row in rows}


def closed(
    reader: Snapshot,
    loginid: str,
    *,
    types: Collection[str] = (),
    first: int | None = None,
    last: int | None = None,
    limit: int,
    offset: int = 0,
    ascending: bool = False,
) -> list[Contract]:
    """The account's closed contracts, those closed last first unless `ascending`.

    `first` and `last` are the earliest and the latest epoch of their purchase.
    """
    marks = ", ".join("?" * len(types))
    order = "ASC" if ascending else "DESC"
    rows = reader.all(
        "SELECT * FROM contracts WHERE loginid = ? AND status <> 'open'"  # noqa: S608 - marks
        " AND bought_at >= coalesce(?, bought_at) AND bought_at <= coalesce(?, bought_at)"
        + (f" AND contract_type IN ({marks})" if types else "")
        + f" ORDER BY sold_at {order}, id {order} LIMIT ? OFFSET ?",
        loginid,
        first,
        last,
        *types,
        limit,
        offset,
    )
    return [contract(row) for row in rows]


_CLOSINGS = (
    " FROM ledger JOIN contracts ON contracts.id = ledger.contract_id"
    " WHERE ledger.loginid = ? AND ledger.id > ? AND contracts.sold_by = ledger.id"
)


def closed_between(
    reader: Snapshot, loginid: str, after: int, until: int, limit: int
) -> list[Contract]:
    """The account's contracts that these ledger entries have closed, in their order."""
    rows = reader.all(
        f"SELECT contracts.*{_CLOSINGS} AND ledger.id <= ? ORDER BY ledger.id LIMIT ?",
        loginid,
        after,
        until,
        limit,
    )
    return [contract(row) for row in rows]


def nth_latest_closing(reader: Snapshot, loginid: str, after: int, number: int) -> int | None:
    """The entry that closed the contract before the latest `number` closed after an entry.

    `None` if there were not so many.
    """
    row = reader.one(
        f"SELECT ledger.id{_CLOSINGS} ORDER BY ledger.id DESC LIMIT 1 OFFSET ?",
        loginid,
        after,
        number,
    )
    return None if row is None else int(row[0])


class Order(NamedTuple):
    """An order of a contract as it was placed or, without an amount, removed."""

    kind: str
    amount: int | None
    at: int


def orders(reader: Snapshot, contract_id: int, limit: int) -> list[Order]:
    """The orders placed or removed for a contract, latest first."""
    rows = reader.all(
        "SELECT kind, amount, at FROM contract_orders WHERE contract_id = ?"
        " ORDER BY id DESC LIMIT ?",
        contract_id,
        limit,
    )
    return [Order(row["kind"], row["amount"], row["at"]) for row in rows]


class Traded(NamedTuple):
    """The number of contracts bought and closed by an account, and what was paid and received.

    Amounts are in smallest units.
    """

    bought: int
    paid: int
    sold: int
    received: int


def traded_since(reader: Snapshot, loginid: str, moment: int) -> Traded:
    """The account's trading since an epoch."""
    row = reader.single(
        "SELECT count(CASE action WHEN 'buy' THEN 1 END),"
        " coalesce(-sum(CASE action WHEN 'buy' THEN amount END), 0),"
        " count(CASE action WHEN 'sell' THEN 1 END),"
        " coalesce(sum(CASE action WHEN 'sell' THEN amount END), 0)"
        " FROM ledger WHERE loginid = ? AND at >= ? AND contract_id IS NOT NULL",
        loginid,
        moment,
    )
    return Traded(*row)
