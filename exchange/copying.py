"""Copy trading: when a trader buys or closes a contract, the trader's copiers do the same.

Rules:
- Copies are made in the transaction of the trader's own trade: both are committed, or neither. A
  contract has at most one copy per copier.
- A copier's own balance and limits apply. If they forbid a copy, the copier gets a report and
  nobody else is affected: each copy has a savepoint of its own within the job.
- A `Following` depends on two tokens: the one that named the trader, and the one with which the
  copier started it. Once either has ended, nothing more is bought or closed; this is checked in the
  transaction itself.
- A copier cannot be copied: a trade is copied once and goes no further.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, Protocol

from scopegate.exchange import book, ledger
from scopegate.exchange.book import BoughtContract, ClosedContract, Contract, Purchase
from scopegate.exchange.contracts.common.contract_type import Quote
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import Outcome, Status
from scopegate.exchange.ledger import Account, Guard, Record
from scopegate.exchange.money import to_text
from scopegate.exchange.rules import MAX_COPIERS, MAX_TRADERS
from scopegate.runtime.clock import Clock
from scopegate.runtime.pickling import quickly_pickled
from scopegate.store.store import Store
from scopegate.store.transactions import Announcement, Row, Snapshot, Transaction

MAX_REPORTS = 1_000
"""The number of reports stored per account: the latest ones."""

HANDLE_PREFIX = "copy-"


class Valid(Protocol):
    """A token that is valid."""

    @property
    def restrictions_id(self) -> int | None:
        """The id of the caps that it is under, if any."""
        ...


FindValid = Callable[[Snapshot, int], Valid | None]
"""Returns the token with this id if it is still valid, as seen by the transaction."""


def _new_handle() -> str:
    return HANDLE_PREFIX + secrets.token_hex(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """One account that copies another, and what it copies."""

    copier: str
    trader: str
    copier_token: int
    """The id of the token with which the copier started it."""
    trader_token: int
    """The id of the token that named the trader."""
    assets: Collection[str] = ()
    """The names of the symbols to copy; empty: all."""
    trade_types: Collection[str] = ()
    """The contract types to copy; empty: all."""
    min_stake: int | None = None
    max_stake: int | None = None
    """The bounds of the prices at which a contract is copied, in smallest units; `None`: none."""
    handle: str = field(default_factory=_new_handle)
    """The identifier that the copier uses for it; unlike a token, it grants no access."""

    def wants(self, original: Contract) -> bool:
        """Return whether contracts of this symbol and type are copied."""
        terms = original.terms
        return (not self.assets or terms.symbol.name in self.assets) and (
            not self.trade_types or terms.contract_type in self.trade_types
        )

    def check_stake(self, original: Contract) -> None:
        """Raise `Refusal` if the trader paid a price outside the copier's bounds.

        The markup that the trader paid to an app's owner does not count: copies carry none.
        """
        stake = original.price - original.markup
        if self.min_stake is not None and stake < self.min_stake:
            bound, words = self.min_stake, "below your minimum of"
        elif self.max_stake is not None and stake > self.max_stake:
            bound, words = self.max_stake, "above your maximum of"
        else:
            return
        currency = original.terms.currency
        raise Refusal(
            "InvalidStakeLimit",
            f"The trader's stake of {currency} {to_text(stake, currency)} is {words} {currency}"
            f" {to_text(bound, currency)}.",
        )


class Follower(NamedTuple):
    """An account that copies a trader at present."""

    following: Following
    caps_id: int | None
    """The caps of the token with which it was started: copies count for them."""


@quickly_pickled
@dataclass(frozen=True, slots=True)
class Report(Announcement):
    """The result of one trade of a trader for one copier; it was refused if there is a `code`."""

    kind: ClassVar[str] = "copied"
    id: int
    copier: str
    trader: str
    action: str
    """`buy`, `sell` or `cancel`."""
    original: int
    """The id of the trader's contract."""
    contract_id: int | None
    """The id of the copier's contract, if there is one."""
    code: str | None
    message: str | None
    at: int
    is_own: bool
    """Whether both accounts belong to the same user."""


_REPORT_FIELDS = tuple(each.name for each in fields(Report))


def _following(row: Row) -> Following:
    return Following(
        copier=row["copier"],
        trader=row["trader"],
        copier_token=row["copier_token"],
        trader_token=row["trader_token"],
        assets=row["assets"].split(),
        trade_types=row["trade_types"].split(),
        min_stake=row["min_stake"],
        max_stake=row["max_stake"],
        handle=row["handle"],
    )


def _report(row: Row) -> Report:
    return Report(*(row[name] for name in _REPORT_FIELDS))


def _end(transaction: Transaction, following: Following, at: int) -> None:
    transaction.execute(
        "UPDATE copyings SET ended_at = ? WHERE copier = ? AND trader = ?",
        at,
        following.copier,
        following.trader,
    )


def end_all_of_user(transaction: Transaction, user_id: int, *, at: float) -> None:
    """End the copying of all accounts of this user."""
    transaction.execute(
        "UPDATE copyings SET ended_at = ? WHERE ended_at IS NULL"
        " AND trader IN (SELECT loginid FROM accounts WHERE user_id = ?)",
        int(at),
        user_id,
    )


@quickly_pickled
@dataclass(frozen=True, slots=True)
class Copies:
    """Makes the copies of a trade, in the transaction of that trade."""

    find_valid: FindValid

    def traders(self, reader: Snapshot, copier: str) -> list[Following]:
        """The traders that an account copies, in order of their start."""
        rows = reader.all(
            "SELECT * FROM copyings WHERE copier = ? AND ended_at IS NULL"
            " ORDER BY started_at, trader",
            copier,
        )
        return [each for each in map(_following, rows) if self._follower(reader, each)]

    def copiers(self, reader: Snapshot, trader: str) -> list[str]:
        """The accounts that copy a trader."""
        return [
            each.copier for each in self._all_of(reader, trader) if self._follower(reader, each)
        ]

    def _all_of(self, reader: Snapshot, trader: str) -> list[Following]:
        rows = reader.all(
            "SELECT * FROM copyings WHERE trader = ? AND ended_at IS NULL"
            " ORDER BY started_at, copier",
            trader,
        )
        return [_following(row) for row in rows]

    def _follower(self, reader: Snapshot, following: Following) -> Follower | None:
        """Return who copies, unless one of the two tokens has ended."""
        if self.find_valid(reader, following.trader_token) is None:
            return None
        token = self.find_valid(reader, following.copier_token)
        return None if token is None else Follower(following, token.restrictions_id)

    def followers(self, transaction: Transaction, trader: str, at: int) -> list[Follower]:
        """The present copiers of a trader; end those whose token has ended."""
        found = []
        for following in self._all_of(transaction, trader):
            follower = self._follower(transaction, following)
            if follower is None:
                _end(transaction, following, at)
            else:
                found.append(follower)
        return found

    def bought(self, transaction: Transaction, bought: BoughtContract, quote: Quote[Any]) -> None:
        """Buy what the trader has bought, at the same price, for every account that copies it."""
        original = bought.contract
        if not bought.is_new:
            return
        at = original.bought_at
        for following, caps_id in self.followers(transaction, original.loginid, at):
            if not following.wants(original):
                continue
            contract_id, refusal = None, None
            try:
                with transaction.savepoint():
                    following.check_stake(original)
                    purchase = Purchase(
                        quote=quote,
                        loginid=following.copier,
                        app_id=None,
                        at=at,
                        copied_from=original.id,
                    )
                    copy = book.buy(transaction, purchase, caps_id)
                    contract_id = copy.contract.id
            except Refusal as problem:
                refusal = problem
            _add_report(transaction, following.copier, "buy", original, contract_id, refusal, at)

    def closed(
        self,
        transaction: Transaction,
        closed: ClosedContract,
        copies: Sequence[tuple[Contract, Outcome | Refusal]],
        *,
        at: int,
    ) -> None:
        """Close the copies of a contract that the trader has closed, where they are still open.

        `copies` are all that may be open, each with its present outcome, or why it has none.
        """
        if not copies:
            return
        original = closed.contract
        action = "cancel" if original.status is Status.CANCELLED else "sell"
        followers = self.followers(transaction, original.loginid, at)
        following = {each.copier for each, _ in followers}
        for copy, end in copies:
            if copy.loginid not in following:
                continue
            refusal = end if isinstance(end, Refusal) else None
            if not isinstance(end, Refusal) and not book.close(transaction, copy, end, at=at):
                now = book.find(transaction, copy.id, copy.loginid)
                if now is None or now.status is not Status.OPEN:
                    continue  # already sold by the copier, or settled
                refusal = Refusal(
                    "ContractUpdateFailure",
                    "The trader closed the contract while the orders of your copy were being"
                    " changed: your copy is still open.",
                )
            _add_report(transaction, copy.loginid, action, original, copy.id, refusal, at)


class Copying:
    """Keeps track of who copies whom in a running gateway, and makes the copies."""

    def __init__(self, store: Store, clock: Clock, find_valid: FindValid) -> None:
        self._store = store
        self._clock = clock
        self.copies = Copies(find_valid)
        self._listeners: list[Callable[[Report], None]] = []
        self._reported: Counter[str] = Counter()
        """The number of reports announced so far, by copier."""
        store.listen(Report, self._reported_one)

    def listen(self, listener: Callable[[Report], None]) -> None:
        """Call `listener` with every report once it is committed."""
        self._listeners.append(listener)

    def _reported_one(self, report: Report) -> None:
        self._reported[report.copier] += 1
        for listener in self._listeners:
            listener(report)

    # Who copies whom.

    async def start(
        self, wanted: Following, guard: Guard, record: Record[None] | None = None
    ) -> None:
        """Start copying a trader; if the copier copied this trader before, that handle is kept.

        Raises `Refusal` if it is not allowed, or what the guard raises.
        """
        at = int(self._clock.now())

        def job(transaction: Transaction) -> None:
            guard(transaction)
            copier = ledger.account(transaction, wanted.copier)
            trader = ledger.account(transaction, wanted.trader)
            _check_kinds(copier, trader)
            self._check_others(transaction, copier, trader, at)
            transaction.execute(
                "INSERT INTO copyings (copier, trader, handle, copier_token, trader_token, assets,"
                " trade_types, min_stake, max_stake, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?,"
                " ?) ON CONFLICT (copier, trader) DO UPDATE SET"
                " copier_token = excluded.copier_token, trader_token = excluded.trader_token,"
                " assets = excluded.assets, trade_types = excluded.trade_types,"
                " min_stake = excluded.min_stake, max_stake = excluded.max_stake,"
                " started_at = excluded.started_at, ended_at = NULL",
                wanted.copier,
                wanted.trader,
                wanted.handle,
                wanted.copier_token,
                wanted.trader_token,
                " ".join(wanted.assets),
                " ".join(wanted.trade_types),
                wanted.min_stake,
                wanted.max_stake,
                at,
            )
            if record is not None:
                record(transaction, None)

        await self._store.write(job)

    def _check_others(
        self, transaction: Transaction, copier: Account, trader: Account, at: int
    ) -> None:
        """Raise `Refusal` if either account copies, or is copied, in a way that forbids this."""
        if self.copies.traders(transaction, trader.loginid):
            raise _not_allowed(
                "This trader copies others, and copied trades cannot be copied again."
            )
        if self.copies.followers(transaction, copier.loginid, at):
            raise _not_allowed("Others copy you, and copied trades cannot be copied again.")
        followed = {each.trader for each in self.copies.traders(transaction, copier.loginid)}
        if len(followed - {trader.loginid}) >= MAX_TRADERS:
            raise _not_allowed(
                f"An account can copy at most {MAX_TRADERS} traders. Stop copying one first."
            )
        followers = self.copies.followers(transaction, trader.loginid, at)
        others = {each.copier for each, _ in followers}
        if len(others - {copier.loginid}) >= MAX_COPIERS:
            raise _not_allowed(f"This trader already has the maximum of {MAX_COPIERS} copiers.")

    async def stop(
        self,
        copier: str,
        guard: Guard,
        *,
        trader: str = "",
        handle: str = "",
        record: Record[None] | None = None,
    ) -> bool:
        """Stop copying a trader, named by account or handle; return whether it was copied."""
        at = int(self._clock.now())

        def job(transaction: Transaction) -> bool:
            guard(transaction)
            ended = [
                each
                for each in self.copies.traders(transaction, copier)
                if trader == each.trader or handle == each.handle
            ]
            for each in ended:
                _end(transaction, each, at)
            if record is not None and ended:
                record(transaction, None)
            return bool(ended)

        return await self._store.write(job)

    async def latest(self, copier: str, limit: int) -> tuple[list[Report], int]:
        """The account's latest reports, newest first, and the id of the latest; 0 if none.

        They are the latest at the time of the return.
        """

        def job(reader: Snapshot) -> list[Report]:
            rows = reader.all(
                "SELECT copy_reports.*, mine.user_id = theirs.user_id AS is_own FROM copy_reports"
                " JOIN accounts AS mine ON mine.loginid = copier"
                " JOIN accounts AS theirs ON theirs.loginid = trader"
                " WHERE copier = ? ORDER BY id DESC LIMIT ?",
                copier,
                limit,
            )
            return [_report(row) for row in rows]

        while True:
            before = self._reported[copier]
            found = await self._store.read(job)
            if before == self._reported[copier]:  # else a report announced meanwhile may be missing
                return found, found[0].id if found else 0


def _check_kinds(copier: Account, trader: Account) -> None:
    """Raise `Refusal` unless these are two accounts of the same kind and currency."""
    if copier.loginid == trader.loginid:
        raise _not_allowed("This token is for your own account: you cannot copy yourself.")
    if copier.is_virtual != trader.is_virtual:
        raise _not_allowed(
            "A demo account can copy only demo accounts, a real-style account only real-style ones."
        )
    if copier.currency != trader.currency:
        raise Refusal(
            "CopyTradingWrongCurrency",
            f"The trader's account is in {trader.currency} and yours in {copier.currency}. Copy"
            f" with an account in {trader.currency}.",
        )


def _not_allowed(why: str) -> Refusal:
    return Refusal("CopyTradingNotAllowed", why)


def _add_report(
    transaction: Transaction,
    copier: str,
    action: str,
    original: Contract,
    contract_id: int | None,
    refusal: Refusal | None,
    at: int,
) -> None:
    """Store a report, delete the oldest if there are too many, and announce it."""
    code, message = (None, None) if refusal is None else (refusal.code, refusal.message)
    number = transaction.insert(
        "INSERT INTO copy_reports (copier, trader, action, original, contract_id, code, message,"
        " at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        copier,
        original.loginid,
        action,
        original.id,
        contract_id,
        code,
        message,
        at,
    )
    transaction.execute(
        "DELETE FROM copy_reports WHERE copier = ? AND id <= (SELECT id FROM copy_reports"
        " WHERE copier = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
        copier,
        copier,
        MAX_REPORTS,
    )
    users = [ledger.account(transaction, each).user_id for each in (copier, original.loginid)]
    report = Report(
        *(number, copier, original.loginid, action, original.id, contract_id, code, message, at),
        is_own=users[0] == users[1],
    )
    transaction.announce(report)
