"""The book of contracts: their rows, and the transactions that open and close them.

Rules:
- A contract is opened and paid for in one transaction, closed and paid out in one, each exactly
  once: a row is only closed while it is open.
- The terms are kept as the shortcode, and beside it what a shortcode does not tell.
- Every change is announced with the whole row: whoever follows contracts hears of each once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

from scopegate.exchange import exclusion, ledger, markups
from scopegate.exchange.contracts import shortcode
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.state import Outcome, Quote, Status
from scopegate.exchange.contracts.terms import Refusal, Terms
from scopegate.exchange.ledger import Entry, InsufficientFundsError
from scopegate.exchange.markups import MarkupPayee
from scopegate.exchange.money import bound_in, to_text
from scopegate.exchange.rules import LARGEST_OPEN_PAYOUT, MOST_OPEN_POSITIONS
from scopegate.store.sqlite import Announcement, Row, Snapshot, Transaction

KEPT_ORDERS = 100
"""The latest orders of a contract that are kept."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract as the book has it; what is about its end is `None` while it is open."""

    id: int
    loginid: str
    app_id: int | None
    shortcode: str
    terms: Terms
    price: int
    payout: int
    cancellation_price: int
    copied_from: int | None
    """The contract of another account of which this one is a copy."""
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
    """The contract of a row, or of an announcement."""
    terms = shortcode.decode(row["shortcode"], row["currency"])
    terms = replace(
        terms,
        commission=row["commission"],
        is_financed=bool(row["is_financed"]),
        take_profit=row["take_profit"],
        stop_loss=row["stop_loss"],
    )
    return Contract(
        id=row["id"],
        loginid=row["loginid"],
        app_id=row["app_id"],
        shortcode=row["shortcode"],
        terms=terms,
        price=row["price"],
        payout=row["payout"],
        cancellation_price=row["cancellation_price"],
        copied_from=row["copied_from"],
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


class Bought(NamedTuple):
    """A contract that was bought, and what was left of the balance."""

    contract: Contract
    balance_after: int
    is_new: bool = True
    """Whether it was bought just now, and not before under the same key."""


class Closed(NamedTuple):
    """A contract that was closed, and the entry that paid for it."""

    contract: Contract
    entry: Entry


@dataclass(frozen=True, slots=True)
class ContractChanged(Announcement):
    """The orders of an open contract are other ones."""

    kind: ClassVar[str] = "contract_changed"
    contract: Contract
    row: Mapping[str, Any]
    """Its row in the table."""

    def to_json(self) -> dict[str, Any]:
        """The row alone."""
        return dict(self.row)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The contract of a row."""
        return cls(contract(data), data)


@dataclass(frozen=True, slots=True)
class ContractOpened(ContractChanged):
    """A contract was bought."""

    kind: ClassVar[str] = "contract_opened"


@dataclass(frozen=True, slots=True)
class ContractClosed(ContractChanged):
    """A contract was settled, sold or cancelled."""

    kind: ClassVar[str] = "contract_closed"


def _announce(transaction: Transaction, kind: type[ContractChanged], contract_id: int) -> Contract:
    announced = kind.from_json(
        dict(transaction.single("SELECT * FROM contracts WHERE id = ?", contract_id))
    )
    transaction.announce(announced)
    return announced.contract


def buy(
    transaction: Transaction,
    offer: Quote,
    *,
    loginid: str,
    app_id: int | None,
    at: int,
    key: str | None = None,
    copied_from: int | None = None,
    markup_payee: MarkupPayee | None = None,
) -> Bought:
    """Open a contract and charge for it; of a repeated `key` the contract that it opened before.

    `copied_from` is the contract of which it is a copy. The markup in the offer's price goes to the
    owner of the app, the `markup_payee`, in the same transaction; where nobody is to get it, it is
    not charged.

    Raises `Refusal` when the account has not enough, has too much open, or its owner has excluded
    the purchase.
    """
    if key is not None and (before := bought_with(transaction, loginid, key)) is not None:
        return before
    terms = offer.terms
    held = transaction.single(
        "SELECT count(*), coalesce(sum(payout), 0), coalesce(sum(contract_type = ?), 0)"
        " FROM contracts WHERE loginid = ? AND status = 'open'",
        terms.contract_type,
        loginid,
    )
    count, payout, alike = held
    if count >= MOST_OPEN_POSITIONS:
        raise Refusal(
            "OpenPositionLimitExceeded",
            f"You have {count} open contracts, and may have {MOST_OPEN_POSITIONS}: wait until one"
            " ends, or sell one.",
        )
    most_alike = TYPES[terms.contract_type].most_open
    if most_alike is not None and alike >= most_alike:
        raise Refusal(
            "OpenPositionLimitExceeded",
            f"You have {alike} open contracts of the type {terms.contract_type}, and may have"
            f" {most_alike}: wait until one ends, or sell one.",
        )
    most_payout = bound_in(LARGEST_OPEN_PAYOUT, terms.currency)
    if payout + offer.payout > most_payout:
        raise Refusal(
            "OpenPositionLimitExceeded",
            f"Your open contracts together may pay {terms.currency}"
            f" {to_text(most_payout, terms.currency)}: this one would exceed that.",
        )
    buyer = ledger.account(transaction, loginid)
    if buyer.currency != terms.currency:
        raise Refusal(
            "ContractBuyValidationError",
            f"The account {loginid} is kept in {buyer.currency}: it cannot buy a contract in"
            f" {terms.currency}.",
            {"currency": f"{buyer.currency} is needed."},
        )
    payee = markups.payee(transaction, buyer, markup_payee) if offer.markup else None
    if payee is None:
        offer = offer.without_markup()
    exclusion.refuse_purchase(
        transaction, loginid, currency=terms.currency, price=offer.price, held=count, at=at
    )
    contract_id = transaction.insert(
        "INSERT INTO contracts (loginid, app_id, contract_type, shortcode, currency, price, payout,"
        " cancellation_price, commission, take_profit, take_profit_at, stop_loss, stop_loss_at,"
        " bought_at, idempotency_key, copied_from, markup, is_financed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        loginid,
        app_id,
        terms.contract_type,
        shortcode.encode(terms),
        terms.currency,
        offer.price,
        offer.payout,
        offer.cancellation_price,
        terms.commission,
        terms.take_profit,
        None if terms.take_profit is None else at,
        terms.stop_loss,
        None if terms.stop_loss is None else at,
        at,
        key,
        copied_from,
        offer.markup,
        int(terms.is_financed),
    )
    for kind, amount in (("take_profit", terms.take_profit), ("stop_loss", terms.stop_loss)):
        if amount is not None:
            _record_order(transaction, contract_id, kind, amount, at)
    try:
        entry = ledger.post(
            transaction,
            loginid,
            "buy",
            -offer.price,
            at=at,
            app_id=app_id,
            contract_id=contract_id,
        )
    except InsufficientFundsError:
        balance = buyer.balance
        raise Refusal(
            "InsufficientBalance",
            f"Your account balance ({to_text(balance, terms.currency)} {terms.currency}) is"
            f" insufficient to buy this contract ({to_text(offer.price, terms.currency)}"
            f" {terms.currency}).",
        ) from None
    transaction.execute("UPDATE contracts SET bought_by = ? WHERE id = ?", entry.id, contract_id)
    # Whoever hears of the entry knows the contract that it names.
    opened = _announce(transaction, ContractOpened, contract_id)
    transaction.announce(entry)
    if payee is not None and markup_payee is not None:
        paid = markups.pay(
            transaction, payee, markup_payee, contract_id=contract_id, amount=offer.markup, at=at
        )
        transaction.announce(paid)
    return Bought(opened, entry.balance_after)


def bought_with(reader: Snapshot, loginid: str, key: str) -> Bought | None:
    """The contract that the account bought under this key, if there is one."""
    row = reader.one(
        "SELECT contracts.*, ledger.balance_after FROM contracts"
        " JOIN ledger ON ledger.id = contracts.bought_by"
        " WHERE contracts.loginid = ? AND idempotency_key = ?",
        loginid,
        key,
    )
    return None if row is None else Bought(contract(row), row["balance_after"], is_new=False)


def close(
    transaction: Transaction, held: Contract, end: Outcome, *, at: int, app_id: int | None = None
) -> Closed | None:
    """Close an open contract and pay for it.

    `None` when it is closed already, or its orders have changed since `held` was read.
    """
    changed = transaction.execute(
        "UPDATE contracts SET status = ?, sold_for = ?, sold_at = ?, exit_epoch = ?"
        " WHERE id = ? AND status = 'open' AND version = ?",
        end.status.value,
        end.pays,
        at,
        end.tick.epoch,
        held.id,
        held.version,
    ).rowcount
    if not changed:
        return None
    entry = ledger.post(
        transaction,
        held.loginid,
        "sell",
        end.pays,
        at=at,
        app_id=app_id,
        contract_id=held.id,
    )
    transaction.execute("UPDATE contracts SET sold_by = ? WHERE id = ?", entry.id, held.id)
    transaction.announce(entry)
    return Closed(_announce(transaction, ContractClosed, held.id), entry)


def change_orders(
    transaction: Transaction, held: Contract, terms: Terms, *, at: int, followed_to: int
) -> Contract | None:
    """Give an open contract the orders of these terms, from the tick after `followed_to` on.

    `None` when it is closed, or its orders have changed since `held` was read.
    """
    took, lost = (
        at if new is not None and new != old else None if new is None else since
        for new, old, since in (
            (terms.take_profit, held.terms.take_profit, held.take_profit_at),
            (terms.stop_loss, held.terms.stop_loss, held.stop_loss_at),
        )
    )
    changed = transaction.execute(
        "UPDATE contracts SET take_profit = ?, take_profit_at = ?, stop_loss = ?, stop_loss_at = ?,"
        " followed_to = ?, version = version + 1"
        " WHERE id = ? AND status = 'open' AND version = ?",
        terms.take_profit,
        took,
        terms.stop_loss,
        lost,
        followed_to,
        held.id,
        held.version,
    ).rowcount
    if not changed:
        return None
    for kind, new, old in (
        ("take_profit", terms.take_profit, held.terms.take_profit),
        ("stop_loss", terms.stop_loss, held.terms.stop_loss),
    ):
        if new != old:
            _record_order(transaction, held.id, kind, new, at)
    return _announce(transaction, ContractChanged, held.id)


def _record_order(
    transaction: Transaction, contract_id: int, kind: str, amount: int | None, at: int
) -> None:
    transaction.execute(
        "INSERT INTO contract_orders (contract_id, kind, amount, at) VALUES (?, ?, ?, ?)",
        contract_id,
        kind,
        amount,
        at,
    )
    transaction.execute(
        "DELETE FROM contract_orders WHERE contract_id = ? AND id <="
        " (SELECT id FROM contract_orders WHERE contract_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
        contract_id,
        contract_id,
        KEPT_ORDERS,
    )


# Reading.


def open_rows(reader: Snapshot) -> list[Row]:
    """The row of every open contract, in the order of purchase."""
    # The plus keeps SQLite from reading all contracts, closed ones too, just for the order.
    return reader.all("SELECT * FROM contracts WHERE status = 'open' ORDER BY +id")


def find(reader: Snapshot, contract_id: int, loginid: str) -> Contract | None:
    """A contract of the account's, open or closed."""
    row = reader.one("SELECT * FROM contracts WHERE id = ? AND loginid = ?", contract_id, loginid)
    return None if row is None else contract(row)


def several(reader: Snapshot, ids: Collection[int]) -> dict[int, Contract]:
    """The contracts with these ids, by id."""
    marks = ", ".join("?" * len(ids))
    rows = reader.all(f"SELECT * FROM contracts WHERE id IN ({marks})", *ids)  # noqa: S608 - marks
    return {row["id"]: contract(row) for row in rows}


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
    """The account's closed contracts that were bought between two moments, latest sale first."""
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


class Order(NamedTuple):
    """One order of a contract, as it was placed, or (without an amount) taken back."""

    kind: str
    amount: int | None
    at: int


def orders(reader: Snapshot, contract_id: int, limit: int) -> list[Order]:
    """What orders were placed for a contract, latest first."""
    rows = reader.all(
        "SELECT kind, amount, at FROM contract_orders WHERE contract_id = ?"
        " ORDER BY id DESC LIMIT ?",
        contract_id,
        limit,
    )
    return [Order(row["kind"], row["amount"], row["at"]) for row in rows]


class Traded(NamedTuple):
    """How much an account has bought and sold since a moment, in smallest units."""

    bought: int
    paid: int
    sold: int
    received: int


def traded_since(reader: Snapshot, loginid: str, moment: int) -> Traded:
    """The account's trading since a moment."""
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
