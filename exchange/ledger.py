"""Accounts and their ledger: every balance is the sum of its entries, at all times.

Rules:
- A balance changes in `post` alone, in the transaction that writes the entry which explains it.
- A balance is never negative: the database refuses it, and so does `post`.
- What an account gets, a counter account gives: the balances of a currency add up to nothing.
- Every entry is announced; whoever shows balances or transactions hears of each once, in order.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar, NamedTuple

from scopegate.exchange.money import CURRENCIES, bound_in
from scopegate.runtime.clock import Clock
from scopegate.store.sqlite import Announcement, Row, Snapshot, Store, StoreError, Transaction

DEMO_PREFIX = "VRTC"
REAL_PREFIX = "CR"
_FIRST_NUMBER = {DEMO_PREFIX: 9_000_001, REAL_PREFIX: 900_001}

EXCHANGE = "exchange"
"""The counter account that sells contracts and pays for them."""
OUTSIDE = "outside"
"""The counter account from which money comes into the exchange and to which it leaves."""
TRANSFERS = "transfers"
"""The counter account through which money goes from one account to another: it keeps nothing."""
CONVERSION = "conversion"
"""The counter account that takes one currency for another, at the rate of the moment."""

_OPENING_BALANCE = Decimal(10_000)

MAX_PER_USER = 20
"""Accounts that a user may open."""

MAX_BY_APPS = 10
"""How many of them apps may open: accounts are never closed, so some are reserved for the owner."""


class InsufficientFundsError(Exception):
    """The balance is smaller than what was to be taken from it."""


class CurrencySettledError(Exception):
    """The account has a currency already, which is the exception's text."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account, as it is at the moment of reading."""

    loginid: str
    user_id: int
    currency: str
    is_virtual: bool
    balance: int
    created_at: float
    opened_by: int | None = None
    """The app whose token opened it; `None` if its owner did."""


@dataclass(frozen=True, slots=True)
class Entry(Announcement):
    """One change of one balance, with what it left; announced when it is booked."""

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


@dataclass(frozen=True, slots=True)
class CurrencySettled(Announcement):
    """An account has got its currency for good."""

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
    """Open an empty account for a user; `opened_by` is the app whose token makes the call."""
    if currency not in CURRENCIES:
        raise StoreError(f"no accounts are kept in {currency}: one of {', '.join(CURRENCIES)}")
    prefix = DEMO_PREFIX if is_virtual else REAL_PREFIX
    [last] = transaction.single(
        "SELECT max(CAST(substr(loginid, ?) AS INTEGER)) FROM accounts WHERE is_virtual = ?",
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


def account(reader: Snapshot, loginid: str) -> Account:
    """One account. Raises `StoreError` when there is none of this loginid."""
    row = reader.one("SELECT * FROM accounts WHERE loginid = ?", loginid)
    if row is None:
        raise StoreError(f"there is no account {loginid}")
    if not row["currency"]:
        raise StoreError(f"the account {loginid} has no money: there is no exchange here")
    return _account(row)


def accounts(reader: Snapshot, user_id: int | None = None) -> list[Account]:
    """A user's accounts, or all; the real-style ones first, in the order of their opening."""
    rows = reader.all(
        "SELECT * FROM accounts WHERE user_id = coalesce(?, user_id) AND currency <> ''"
        " ORDER BY user_id, is_virtual, created_at, loginid",
        user_id,
    )
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
    """The counter account that the money comes from; `None`: the exchange if it is for a contract,
    else from outside."""


def post(transaction: Transaction, posting: Posting) -> Entry:
    """Change a balance by a ledger entry, and announce the entry.

    Raises `InsufficientFundsError` when the balance would become negative.
    """
    entry = post_unannounced(transaction, posting)
    transaction.announce(entry)
    return entry


def post_unannounced(transaction: Transaction, posting: Posting) -> Entry:
    """The same as `post`, for a caller that announces the entry after others.

    Raises `InsufficientFundsError` when the balance would become negative.
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
    # Two processes may differ by a moment in the market's time: the ledger's does not go back.
    last = transaction.one("SELECT at FROM ledger ORDER BY id DESC LIMIT 1")
    at = int(max(posting.at, last["at"] if last is not None else 0))
    if counter is None:
        counter = OUTSIDE if posting.contract_id is None else EXCHANGE
    transaction.execute(
        "INSERT INTO counter_accounts (name, currency, balance) VALUES (?, ?, ?)"
        " ON CONFLICT (name, currency) DO UPDATE SET balance = balance + excluded.balance",
        counter,
        now.currency,
        -amount,
    )
    entry_id = transaction.insert(
        "INSERT INTO ledger (loginid, action, amount, balance_after, at, app_id, note,"
        " contract_id, counter) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        loginid,
        posting.action,
        amount,
        now.balance,
        at,
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
    """The number of the last entry of all; 0 when there is none."""
    newest: int = reader.single("SELECT coalesce(max(id), 0) FROM ledger")[0]
    return newest


def set_balance(
    transaction: Transaction, loginid: str, action: str, balance: int, *, at: float, note: str = ""
) -> Entry | None:
    """Book what brings the account to `balance`; `None` when it is there already."""
    difference = balance - account(transaction, loginid).balance
    if difference == 0:
        return None
    posting = Posting(loginid=loginid, action=action, amount=difference, at=at, note=note)
    return post(transaction, posting)


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
    """The account's entries of an action between two moments, newest first."""
    rows = reader.all(
        "SELECT ledger.*, accounts.user_id, accounts.currency, accounts.is_virtual"
        " FROM ledger JOIN accounts ON accounts.loginid = ledger.loginid"
        " WHERE ledger.loginid = ? AND action = coalesce(?, action)"
        " AND at >= coalesce(?, at) AND at <= coalesce(?, at)"
        " ORDER BY ledger.id DESC LIMIT ? OFFSET ?",
        loginid,
        action,
        first,
        last,
        limit,
        offset,
    )
    return [
        Entry(
            row["id"],
            row["loginid"],
            row["user_id"],
            row["currency"],
            bool(row["is_virtual"]),
            row["action"],
            row["amount"],
            row["balance_after"],
            row["at"],
            row["app_id"],
            row["note"],
            row["contract_id"],
        )
        for row in rows
    ]


def open_with_balance(
    transaction: Transaction, user_id: int, *, virtual: Iterable[bool], at: float
) -> None:
    """Open USD accounts for a user, each with the opening balance in paper money."""
    for is_virtual in virtual:
        opened = open_account(transaction, user_id, currency="USD", is_virtual=is_virtual, at=at)
        fund(transaction, opened, at=at)


def take_over(transaction: Transaction, *, at: float) -> None:
    """Make real-style USD accounts of those that were opened while no exchange was served."""
    for row in transaction.all("SELECT * FROM accounts WHERE currency = ''"):
        transaction.execute(
            "UPDATE accounts SET currency = 'USD' WHERE loginid = ?", row["loginid"]
        )
        fund(transaction, replace(_account(row), currency="USD"), at=at)


def opening_balance(currency: str) -> int:
    """What a new account holds, and what a demo account is topped up to, in smallest units."""
    return bound_in(_OPENING_BALANCE, currency)


def reset(transaction: Transaction, loginid: str, *, at: float, note: str) -> Entry | None:
    """Bring an account back to its opening balance; `None` when it holds just that."""
    opening = opening_balance(account(transaction, loginid).currency)
    return set_balance(transaction, loginid, "adjustment", opening, at=at, note=note)


def fund(transaction: Transaction, opened: Account, *, at: float) -> Entry:
    """Book the opening balance in paper money, which every account gets once."""
    posting = Posting(
        loginid=opened.loginid,
        action="virtual_credit" if opened.is_virtual else "deposit",
        amount=opening_balance(opened.currency),
        at=at,
        note="Opening balance in paper money.",
    )
    return post(transaction, posting)


def is_settled(reader: Snapshot, loginid: str) -> bool:
    """Whether the account's currency is settled, which it is once something was booked in it."""
    return reader.one("SELECT 1 FROM ledger WHERE loginid = ? LIMIT 1", loginid) is not None


def settle_currency(transaction: Transaction, loginid: str, currency: str, *, at: float) -> bool:
    """Give an account in which nothing was booked yet its currency, and the opening balance.

    False when it has this currency already. Raises `CurrencySettledError` when it has another.
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


Guard = Callable[[Snapshot], None]
"""A check inside the transaction that raises unless the one who asks may still do so."""


class BalanceAt(NamedTuple):
    """A balance, and the number of the entry after which it stands."""

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
        """Tell `listener` of every entry, once it is committed."""
        self._listeners.append(listener)

    def _booked_one(self, entry: Entry) -> None:
        self._booked += 1
        known = self._balances.get(entry.loginid)
        if known is not None and entry.id > known.position:
            self._balances[entry.loginid] = BalanceAt(entry.id, entry.balance_after)
        for listener in self._listeners:
            listener(entry)

    async def balance(self, loginid: str) -> BalanceAt:
        """The balance after the last entry known; without waiting, where it is in memory."""

        def job(reader: Snapshot) -> BalanceAt:
            return BalanceAt(last_entry(reader), account(reader, loginid).balance)

        known = self._balances.get(loginid)
        while known is None:
            booked = self._booked
            known = await self._store.read(job)
            if booked == self._booked:
                self._balances[loginid] = known
            else:  # something was booked meanwhile, here or elsewhere: what was read may be old
                known = self._balances.get(loginid)
        return known

    async def standing(self, user_id: int) -> tuple[list[Account], int]:
        """A user's accounts, and the entry after which their balances stand."""
        while True:
            booked = self._booked
            found = await self._store.read(
                lambda reader: (accounts(reader, user_id), last_entry(reader))
            )
            if booked == self._booked:  # else a listener may have heard of what was not read
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
        """The account's entries of an action between two moments, newest first."""
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

    async def top_up(self, loginid: str, guard: Guard) -> Entry | None:
        """Bring a demo account back to its opening balance; `None` when it holds that already."""
        at = self._clock.now()

        def job(transaction: Transaction) -> Entry | None:
            guard(transaction)
            held = account(transaction, loginid)
            full = opening_balance(held.currency)
            if held.balance >= full:
                return None
            return set_balance(transaction, loginid, "virtual_credit", full, at=at)

        return await self._store.write(job)

    async def reset(self, loginid: str, guard: Guard) -> Account:
        """Reset an account to its opening balance; the account after that."""
        at = self._clock.now()

        def job(transaction: Transaction) -> Account:
            guard(transaction)
            reset(transaction, loginid, at=at, note="Reset.")
            return account(transaction, loginid)

        return await self._store.write(job)
