"""Accounts and their ledger: every balance is the sum of its entries, at all times.

Rules:
- A balance changes only in `post` or `post_unannounced`, in the transaction that writes the entry
  explaining the change.
- A balance is never negative: the database and `post` both refuse it.
- Every posting changes a counter account by the opposite amount: the balances of a currency add up
  to 0.
- Every entry is announced: listeners that show balances or transactions get each once, in order.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar, NamedTuple, TypeAlias

from scopegate.exchange.money import CURRENCIES, bound_in
from scopegate.runtime.clock import Clock
from scopegate.runtime.pickling import quickly_pickled
from scopegate.store.errors import StoreError
from scopegate.store.store import Store
from scopegate.store.transactions import Announcement, Query, Row, Snapshot, T, Transaction

DEMO_PREFIX = "VRTC"
REAL_PREFIX = "CR"
_FIRST_NUMBER = {DEMO_PREFIX: 9_000_001, REAL_PREFIX: 900_001}

EXCHANGE = "exchange"
"""The counter account that sells contracts and pays for them."""
OUTSIDE = "outside"
"""The counter account for money that enters or leaves the exchange."""
TRANSFERS = "transfers"
"""The counter account for money moved between accounts; its balance is 0 after each payment."""
CONVERSION = "conversion"
"""The counter account that exchanges one currency for another, at the current rate."""

_OPENING_BALANCE = Decimal(10_000)

MAX_PER_USER = 20
"""The maximum number of accounts that a user may open."""

MAX_BY_APPS = 10
"""The number of these that apps may open: accounts are never closed, so some are reserved for the
owner."""


class InsufficientFundsError(Exception):
    """The balance is smaller than the amount to be taken from it."""


class CurrencySettledError(Exception):
    """The account has a final currency already, which is the exception's text."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account, as of the time of reading; its balance is in smallest units."""

    loginid: str
    user_id: int
    currency: str
    is_virtual: bool
    balance: int
    created_at: float
    opened_by: int | None = None
    """The app whose token opened it; `None` if its owner did."""


@quickly_pickled
@dataclass(frozen=True, slots=True)
class Entry(Announcement):
    """One change of one balance, with the balance after it; announced when it is posted.

    Amounts are in smallest units, `at` is an epoch on the market's clock.
    """

    kind: ClassVar[str] = "booked"

    id: int
    loginid: str
    user_id: int
    currency: str
    is_virtual: bool
    action: str
    amount: int
    balance_after: int
    at: int
    app_id: int | None
    note: str
    contract_id: int | None = None


class BookedEntry(NamedTuple):
    """The fields of an `Entry` that a stream of transactions shows: pages of them are read."""

    id: int
    action: str
    amount: int
    balance_after: int
    at: int
    contract_id: int | None
    currency: str


@dataclass(frozen=True, slots=True)
class CurrencySettled(Announcement):
    """The currency of an account has become final."""

    kind: ClassVar[str] = "currency_settled"

    loginid: str
    currency: str
    is_virtual: bool


def _account(row: Row) -> Account:
    return Account(
        row["loginid"],
        row["user_id"],
        row["currency"],
        bool(row["is_virtual"]),
        row["balance"],
        row["created_at"],
        row["opened_by"],
    )


def open_account(
    transaction: Transaction,
    user_id: int,
    *,
    currency: str,
    is_virtual: bool,
    at: float,
    opened_by: int | None = None,
) -> Account:
    """Open an empty account for a user; `opened_by` is the app whose token makes the call.

    Raises `StoreError` if no accounts are kept in the currency.
    """
    if currency not in CURRENCIES:
        raise StoreError(
            f"accounts in {currency} are not offered: use one of {', '.join(CURRENCIES)}"
        )
    prefix = DEMO_PREFIX if is_virtual else REAL_PREFIX
    [last] = transaction.single(
        "SELECT max(CAST(substr(loginid, CAST(? AS INTEGER)) AS BIGINT)) FROM accounts"
        " WHERE is_virtual = ?",
        len(prefix) + 1,
        int(is_virtual),
    )
    number = _FIRST_NUMBER[prefix] if last is None else last + 1
    loginid = f"{prefix}{number}"
    transaction.execute(
        "INSERT INTO accounts (loginid, user_id, currency, is_virtual, created_at, opened_by)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        loginid,
        user_id,
        currency,
        int(is_virtual),
        at,
        opened_by,
    )
    return Account(loginid, user_id, currency, is_virtual, 0, at, opened_by)


def account_query(loginid: str) -> Query:
    """Return the query of `account`."""
    return "SELECT * FROM accounts WHERE loginid = ?", loginid


def account(reader: Snapshot, loginid: str) -> Account:
    """Return the account with this loginid.

    Raises `StoreError` if there is none, or it has no currency because there is no exchange.
    """
    return account_in(reader.one(*account_query(loginid)), loginid)


def account_in(row: Row | None, loginid: str) -> Account:
    """Return the account in a row that was read for this loginid.

    Raises `StoreError` as `account` does.
    """
    if row is None:
        raise StoreError(f"there is no account {loginid}")
    if not row["currency"]:
        raise StoreError(f"account {loginid} has no money: this gateway has no exchange")
    return _account(row)


def accounts(reader: Snapshot, user_id: int | None = None) -> list[Account]:
    """A user's accounts, or those of all users; real-style ones first, oldest first."""
    order = "currency <> '' ORDER BY user_id, is_virtual, created_at, loginid"
    if user_id is None:
        rows = reader.all(f"SELECT * FROM accounts WHERE {order}")  # noqa: S608 - a constant
    else:
        rows = reader.all(f"SELECT * FROM accounts WHERE user_id = ? AND {order}", user_id)  # noqa: S608
    return [_account(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A change of one balance that is to be posted."""

    loginid: str
    action: str
    """`buy`, `sell`, `deposit` and so on, as `statement` lists it."""
    amount: int
    """In smallest units of the account's currency; negative to take money from the account."""
    at: float
    """The epoch, on the market's clock."""
    app_id: int | None = None
    note: str = ""
    contract_id: int | None = None
    counter: str | None = None
    """The counter account that the money comes from; `None`: `EXCHANGE` if it is for a contract,
    else `OUTSIDE`."""


def post(transaction: Transaction, posting: Posting) -> Entry:
    """Change a balance by a ledger entry, and announce the entry.

    Raises `InsufficientFundsError` if the balance would become negative.
    """
    entry = post_unannounced(transaction, posting)
    transaction.announce(entry)
    return entry


def post_unannounced(transaction: Transaction, posting: Posting) -> Entry:
    """Do the same as `post`, for a caller that announces the entry after others.

    Raises `InsufficientFundsError` if the balance would become negative.
    """
    loginid, amount, counter = posting.loginid, posting.amount, posting.counter
    changed = transaction.one(
        "UPDATE accounts SET balance = balance + ? WHERE loginid = ? AND balance + ? >= 0"
        " RETURNING *",
        amount,
        loginid,
        amount,
    )
    if changed is None:
        account(transaction, loginid)
        raise InsufficientFundsError(loginid)
    now = _account(changed)
    if counter is None:
        counter = OUTSIDE if posting.contract_id is None else EXCHANGE
    transaction.execute_later(
        "INSERT INTO counter_accounts (name, currency, balance) VALUES (?, ?, ?)"
        " ON CONFLICT (name, currency) DO UPDATE"
        " SET balance = counter_accounts.balance + excluded.balance",
        counter,
        now.currency,
        -amount,
    )
    # Two processes may differ slightly in market time, but ledger times must never decrease.
    entry_id, at = transaction.single(
        "INSERT INTO ledger (loginid, action, amount, balance_after, at, app_id, note,"
        " contract_id, counter) VALUES (?, ?, ?, ?, coalesce((SELECT at FROM ledger"
        " WHERE at > ? AND id = (SELECT max(id) FROM ledger)), ?), ?, ?, ?, ?) RETURNING id, at",
        loginid,
        posting.action,
        amount,
        now.balance,
        int(posting.at),
        int(posting.at),
        posting.app_id,
        posting.note,
        posting.contract_id,
        counter,
    )
    return Entry(
        entry_id,
        loginid,
        now.user_id,
        now.currency,
        now.is_virtual,
        posting.action,
        amount,
        now.balance,
        at,
        posting.app_id,
        posting.note,
        posting.contract_id,
    )


def last_entry(reader: Snapshot) -> int:
    """The id of the latest entry of any account; 0 if there is none."""
    newest: int = reader.single("SELECT coalesce(max(id), 0) FROM ledger")[0]
    return newest


def set_balance(
    transaction: Transaction, loginid: str, action: str, balance: int, *, at: float, note: str = ""
) -> Entry | None:
    """Post the difference between the account's balance and `balance`; `None` if there is none."""
    difference = balance - account(transaction, loginid).balance
    if difference == 0:
        return None
    posting = Posting(loginid=loginid, action=action, amount=difference, at=at, note=note)
    return post(transaction, posting)


_SELECT_ENTRIES = (
    "SELECT ledger.id, ledger.loginid, user_id, currency, is_virtual, action, amount,"
    " balance_after, at, app_id, note, contract_id"
    " FROM ledger JOIN accounts ON accounts.loginid = ledger.loginid"
)


def _entry(row: Row) -> Entry:
    # By position: names would be looked up for each row, and thousands are read at once.
    number, loginid, user_id, currency, is_virtual, *rest = row
    return Entry(number, loginid, user_id, currency, bool(is_virtual), *rest)


def entries_after(
    reader: Snapshot, loginids: Collection[str], position: int, limit: int
) -> list[Entry]:
    """The entries of these accounts with ids after `position`, oldest first, `limit` at most."""
    marks = ", ".join("?" * len(loginids))
    rows = reader.all(
        f"{_SELECT_ENTRIES} WHERE ledger.loginid IN ({marks}) AND ledger.id > ?"
        " ORDER BY ledger.id LIMIT ?",
        *loginids,
        position,
        limit,
    )
    return [_entry(row) for row in rows]


def booked_after(reader: Snapshot, loginid: str, position: int, limit: int) -> list[BookedEntry]:
    """The account's entries with ids after `position`, oldest first, `limit` at most."""
    rows = reader.all(
        "SELECT ledger.id, action, amount, balance_after, at, contract_id, currency FROM ledger"
        " JOIN accounts ON accounts.loginid = ledger.loginid"
        " WHERE ledger.loginid = ? AND ledger.id > ? ORDER BY ledger.id LIMIT ?",
        loginid,
        position,
        limit,
    )
    return list(map(BookedEntry._make, rows))


def nth_latest(
    reader: Snapshot, loginids: Collection[str], position: int, number: int
) -> int | None:
    """The id of the entry before the latest `number` after `position`; `None` if not so many."""
    marks = ", ".join("?" * len(loginids))
    row = reader.one(
        f"SELECT id FROM ledger WHERE loginid IN ({marks}) AND id > ?"  # noqa: S608 - marks
        " ORDER BY id DESC LIMIT 1 OFFSET ?",
        *loginids,
        position,
        number,
    )
    return None if row is None else int(row[0])


def entries(
    reader: Snapshot,
    loginid: str,
    *,
    action: str | None = None,
    first: int | None = None,
    last: int | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Entry]:
    """The account's entries from `first` to `last`, of one action if given, newest first.

    `first` and `last` are epochs, both included.
    """
    rows = reader.all(
        f"{_SELECT_ENTRIES} WHERE ledger.loginid = ? AND action = coalesce(?, action)"
        " AND at >= coalesce(?, at) AND at <= coalesce(?, at)"
        " ORDER BY ledger.id DESC LIMIT ? OFFSET ?",
        loginid,
        action,
        first,
        last,
        limit,
        offset,
    )
    return [_entry(row) for row in rows]


def open_with_balance(
    transaction: Transaction, user_id: int, *, virtual: Iterable[bool], at: float
) -> None:
    """Open USD accounts for a user, each with the opening balance in paper money."""
    for is_virtual in virtual:
        opened = open_account(transaction, user_id, currency="USD", is_virtual=is_virtual, at=at)
        fund(transaction, opened, at=at)


def take_over(transaction: Transaction, *, at: float) -> None:
    """Turn accounts opened while no exchange was served into funded real-style USD accounts."""
    for row in transaction.all("SELECT * FROM accounts WHERE currency = ''"):
        transaction.execute(
            "UPDATE accounts SET currency = 'USD' WHERE loginid = ?", row["loginid"]
        )
        fund(transaction, replace(_account(row), currency="USD"), at=at)


def opening_balance(currency: str) -> int:
    """The balance of a new account, to which demo accounts are topped up, in smallest units."""
    return bound_in(_OPENING_BALANCE, currency)


def reset(transaction: Transaction, loginid: str, *, at: float, note: str) -> Entry | None:
    """Reset an account to its opening balance; `None` if it has exactly that already."""
    opening = opening_balance(account(transaction, loginid).currency)
    return set_balance(transaction, loginid, "adjustment", opening, at=at, note=note)


def fund(transaction: Transaction, opened: Account, *, at: float) -> Entry:
    """Post the opening balance in paper money, which every account gets once."""
    posting = Posting(
        loginid=opened.loginid,
        action="virtual_credit" if opened.is_virtual else "deposit",
        amount=opening_balance(opened.currency),
        at=at,
        note="Opening balance in paper money.",
    )
    return post(transaction, posting)


def is_settled(reader: Snapshot, loginid: str) -> bool:
    """Whether the account's currency is final, which it is once an entry was posted."""
    return reader.one("SELECT 1 FROM ledger WHERE loginid = ? LIMIT 1", loginid) is not None


def settle_currency(transaction: Transaction, loginid: str, currency: str, *, at: float) -> bool:
    """Give an account without entries its final currency, and post the opening balance.

    Returns `False` if it has this currency already.

    Raises `CurrencySettledError` if it has another.
    """
    present = account(transaction, loginid)
    if is_settled(transaction, loginid):
        if present.currency == currency:
            return False
        raise CurrencySettledError(present.currency)
    transaction.execute("UPDATE accounts SET currency = ? WHERE loginid = ?", currency, loginid)
    fund(transaction, replace(present, currency=currency), at=at)
    transaction.announce(CurrencySettled(loginid, currency, present.is_virtual))
    return True


Guard = Callable[[Snapshot], int | None]
"""A check inside the transaction that raises unless the caller is still permitted. Returns the id
of the caps that the caller is under (`exchange.caps`), or `None`."""
Record: TypeAlias = Callable[[Transaction, T], None]
"""Records the result of a job for the caller, within the job's transaction."""


class BalanceAt(NamedTuple):
    """A balance in smallest units, and the id of the latest ledger entry that it includes."""

    position: int
    units: int


class Ledger:
    """The accounts of a running gateway."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._balances: dict[str, BalanceAt] = {}
        self._booked = 0
        self._listeners: list[Callable[[Entry], None]] = []
        store.listen(Entry, self._booked_one)

    def listen(self, listener: Callable[[Entry], None]) -> None:
        """Call `listener` with every entry once it is committed."""
        self._listeners.append(listener)

    def _booked_one(self, entry: Entry) -> None:
        self._booked += 1
        known = self._balances.get(entry.loginid)
        if known is not None and entry.id > known.position:
            self._balances[entry.loginid] = BalanceAt(entry.id, entry.balance_after)
        for listener in self._listeners:
            listener(entry)

    def known_balance(self, loginid: str) -> BalanceAt | None:
        """The balance after the latest known entry, if it is in memory."""
        return self._balances.get(loginid)

    async def balance(self, loginid: str) -> BalanceAt:
        """The balance after the latest known entry; without waiting if it is in memory."""

        def job(reader: Snapshot) -> BalanceAt:
            return BalanceAt(last_entry(reader), account(reader, loginid).balance)

        known = self._balances.get(loginid)
        while known is None:
            booked = self._booked
            known = await self._store.read(job)
            if booked == self._booked:
                self._balances[loginid] = known
            else:  # an entry was posted meanwhile, here or elsewhere: the balance may be old
                known = self._balances.get(loginid)
        return known

    async def accounts_at(self, user_id: int) -> tuple[list[Account], int]:
        """A user's accounts, and the id of the latest ledger entry that their balances include."""
        while True:
            booked = self._booked
            found = await self._store.read(
                lambda reader: (accounts(reader, user_id), last_entry(reader))
            )
            if booked == self._booked:  # else listeners may have got an entry that was not read
                return found

    async def accounts(self, user_id: int) -> list[Account]:
        """A user's accounts; the real-style ones first."""
        return await self._store.read(lambda reader: accounts(reader, user_id))

    async def entries(
        self,
        loginid: str,
        *,
        action: str | None,
        first: int | None,
        last: int | None,
        limit: int,
        offset: int,
    ) -> list[Entry]:
        """The account's entries from `first` to `last`, of one action if given, newest first."""
        return await self._store.read(
            lambda reader: entries(
                reader,
                loginid,
                action=action,
                first=first,
                last=last,
                limit=limit,
                offset=offset,
            )
        )

    async def entries_after(
        self, loginids: Collection[str], position: int, limit: int
    ) -> list[Entry]:
        """The entries of these accounts with ids after `position`, oldest first."""
        return await self._store.read(
            lambda reader: entries_after(reader, loginids, position, limit)
        )

    async def latest_after(
        self, loginids: Collection[str], position: int, most: int
    ) -> tuple[int, int]:
        """Where to begin for the latest `most` entries of these accounts after `position`.

        That is `position` itself, or that of an entry if there are more. The second is the id of
        the latest entry of all.
        """

        def job(reader: Snapshot) -> tuple[int, int]:
            cut = nth_latest(reader, loginids, position, most)
            return position if cut is None else cut, last_entry(reader)

        return await self._store.read(job)

    async def top_up(
        self, loginid: str, guard: Guard, record: Record[Entry] | None = None
    ) -> Entry | None:
        """Top up a demo account to its opening balance; `None` if it has that or more already."""
        at = self._clock.now()

        def job(transaction: Transaction) -> Entry | None:
            guard(transaction)
            held = account(transaction, loginid)
            full = opening_balance(held.currency)
            if held.balance >= full:
                return None
            entry = set_balance(transaction, loginid, "virtual_credit", full, at=at)
            if record is not None and entry is not None:
                record(transaction, entry)
            return entry

        return await self._store.write(job)

    async def reset(
        self, loginid: str, guard: Guard, record: Record[Account] | None = None
    ) -> Account:
        """Reset an account to its opening balance; return the account after that."""
        at = self._clock.now()

        def job(transaction: Transaction) -> Account:
            guard(transaction)
            reset(transaction, loginid, at=at, note="Reset.")
            after = account(transaction, loginid)
            if record is not None:
                record(transaction, after)
            return after

        return await self._store.write(job)
