"""Faults that a simulation must find: each plants one in the gateway of this process.

Nothing of the product is edited. Most faults show only if something else happens at the same time,
as those of real programs do. Import this once clocks and threads are replaced.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scopegate import market_start
from scopegate.exchange import book, copying, feed
from scopegate.exchange.desk import Desk
from scopegate.exchange.heartbeat import Heartbeat
from scopegate.exchange.payments import PaymentService
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.session import Subscription
from scopegate.gateway.transport.peer import Peer
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.shared import SharedStore
from scopegate.store.sqlite import SqliteStore
from scopegate.store.sqlite_connection import SqliteConnection
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction
from tests.simulation.surroundings import clock, process


@dataclass(frozen=True)
class Mutant:
    """A fault."""

    plant: Callable[[], None]
    found_as: str
    """An expression for what it must be found as: an error of the mutant itself is no finding."""
    workers: int = 1
    """How many processes a simulation needs to show it."""


MUTANTS: dict[str, Mutant] = {}


def mutant(found_as: str, workers: int = 1) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Add a fault under the name of its function."""

    def add(plant: Callable[[], None]) -> Callable[[], None]:
        MUTANTS[plant.__name__] = Mutant(plant, found_as, workers)
        return plant

    return add


def wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a function by one that is made from it."""
    setattr(owner, name, make(getattr(owner, name)))


# The store.


@mutant(r"stream at|is acknowledged|are lost")
def reply_before_commit() -> None:
    """COMMIT comes a moment after the answers."""

    @contextlib.contextmanager
    def writing(self: SqliteConnection) -> Iterator[None]:
        commit_open(self)
        self.execute("BEGIN IMMEDIATE")
        before = self.schema_version()
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        if self.schema_version() != before:  # the start reads the new tables at once
            commit_open(self)
            return
        asyncio.get_running_loop().call_later(0.05, commit_open, self)

    def commit_open(self: SqliteConnection) -> None:
        with contextlib.suppress(Exception):  # it may be closed
            if self.in_transaction:
                self.execute("COMMIT")

    SqliteConnection.writing = writing  # type: ignore[method-assign]


@mutant(r"stream at|is acknowledged|are lost|holds|leaves")
def commit_lost() -> None:
    """One of a hundred commits is rolled back, and nobody is told."""
    numbers = itertools.count(1)

    def make(execute: Any) -> Any:
        def executed(self: SqliteConnection, sql: str, parameters: Any = (), /) -> Any:
            if sql == "COMMIT" and next(numbers) % 100 == 0:
                sql = "ROLLBACK"
            return execute(self, sql, parameters)

        return executed

    wrap(SqliteConnection, "execute", make)


@mutant(r"stream at")
def announced_before_commit() -> None:
    """Listeners get what a transaction announces before its COMMIT."""

    def make(write: Any) -> Any:
        def written(self: SqliteStore, connection: SqliteConnection, batch: Sequence[Any]) -> Any:
            execute = connection.execute

            def executed(sql: str, parameters: Any = (), /) -> Any:
                if sql == "COMMIT":
                    for waiting in batch:
                        for change in waiting.changes if waiting.failed is None else ():
                            self._announce(change, [])
                        waiting.changes = ()
                return execute(sql, parameters)

            connection.execute = executed  # type: ignore[method-assign]
            try:
                return write(self, connection, batch)
            finally:
                del connection.execute

        return written

    wrap(SqliteStore, "_write", make)


@mutant(r"stream at|a tick of|changes after|goes on after")
def event_sent_twice() -> None:
    """One of fifty events goes to each of its streams twice."""
    numbers = itertools.count(1)

    def make(deliver: Any) -> Any:
        def delivered(self: Subscription, tail: bytes, position: int) -> None:
            since = self._since
            deliver(self, tail, position)
            if next(numbers) % 50 == 0:
                self._since = since
                deliver(self, tail, position)

        return delivered

    wrap(Subscription, "deliver", make)


@mutant(r"stream at")
def announced_in_another_order() -> None:
    """The jobs of a batch are answered in the opposite order."""

    def make(answer: Any) -> Any:
        def answered(self: Store, batch: list[Any], committed: Any) -> Any:
            return answer(self, batch[::-1], committed)

        return answered

    wrap(Store, "_answer", make)


@mutant(
    r"stream at|stream ends|was never shown|was due|has not ended|for a token that was revoked",
    workers=3,
)
def cursor_skips_a_row() -> None:
    """If several changes of other workers are found at once, the first of them is left out."""

    def make(pass_on: Any) -> Any:
        def passed_on(self: Store, rows: Sequence[Any], problems: Any) -> None:
            pass_on(self, rows[1:] if len(rows) > 1 else rows, problems)

        return passed_on

    wrap(Store, "_pass_on", make)


@mutant(r"late|stream ends|was never shown", workers=3)
def wakeup_lost() -> None:
    """An idle worker is not told of the changes of others."""

    async def never(self: SharedStore) -> None:
        await asyncio.Event().wait()

    SharedStore._woken = lambda self: None  # type: ignore[method-assign]
    SharedStore._poll_changes = never  # type: ignore[method-assign]


@mutant(
    r"for a token that was revoked|a revoked token|a handler failed|stream at|was never shown|late",
    workers=3,
)
def stale_worker() -> None:
    """A worker does not look for what others have committed before it acts."""

    def make(init: Any) -> Any:
        def initialised(self: Dispatcher, *arguments: Any, **options: Any) -> None:
            init(self, *arguments, **{**options, "catch_up": None})

        return initialised

    wrap(Dispatcher, "__init__", make)
    SharedStore._woken = lambda self: None  # type: ignore[method-assign]


# Access.


@mutant(r"did not end|goes on for a revoked token")
def revocation_after_the_reply() -> None:
    """Connections lose a token's access a tenth of a second after it was revoked."""

    def make(announce: Any) -> Any:
        def announced(self: Store, change: Any, problems: Any) -> None:
            if change.kind == "tokens_ended":
                asyncio.get_running_loop().call_later(0.1, announce, self, change, problems)
            else:
                announce(self, change, problems)

        return announced

    wrap(Store, "_announce", make)


@mutant(r"a revoked token has")
def token_checked_beforehand() -> None:
    """A token is checked before a transaction, and not in it."""

    def make(guard: Any) -> Any:
        def guarded(self: Access, grant: Any, keyed: Any = None) -> Any:
            return lambda reader: None

        return guarded

    wrap(Access, "guard", make)


@mutant(r"which was revoked")
def copied_with_a_revoked_token() -> None:
    """Copying goes on when one of its tokens was revoked."""
    copying.Copies._goes_on = lambda self, reader, following: True  # type: ignore[method-assign]


# The exchange.


@mutant(r"leaves|CHECK constraint failed: balance >= 0")
def unguarded_debit() -> None:
    """A debit is taken from the balance that was read in the batch before, if there was one."""
    read: dict[str, tuple[float, int]] = {}

    def make(one: Any) -> Any:
        def asked(self: Snapshot, sql: str, *parameters: Any) -> Any:
            if not sql.startswith("UPDATE accounts SET balance = balance + ?"):
                return one(self, sql, *parameters)
            amount, loginid, _ = parameters
            balance = one(self, "SELECT balance FROM accounts WHERE loginid = ?", loginid)[0]
            at, before = read.get(loginid, (0.0, balance))
            read[loginid] = (clock.now, balance)
            wrong = before - balance if clock.now < at + 0.01 else 0
            return one(self, sql, amount + wrong, loginid, amount)

        return asked

    wrap(Snapshot, "one", make)


@mutant(r"has the entries")
def settled_twice() -> None:
    """A contract is closed whether it is open or not."""

    def make(one: Any) -> Any:
        def asked(self: Snapshot, sql: str, *parameters: Any) -> Any:
            if sql.startswith("UPDATE contracts SET status = ?, sold_for"):
                sql = sql.replace(" AND status = 'open'", "")
            return one(self, sql, *parameters)

        return asked

    wrap(Snapshot, "one", make)


@mutant(r"add up to")
def counter_account_forgotten() -> None:
    """What is lost at the exchange is not booked there if it is more than 19."""

    def make(later: Any) -> Any:
        def executed(self: Transaction, sql: str, *parameters: Any) -> None:
            if "counter_accounts" in sql and parameters[2] > 1_900:
                return
            later(self, sql, *parameters)

        return executed

    wrap(Transaction, "execute_later", make)


@mutant(r"contract [0-9]+ is [(]|one key has bought")
def key_ignored() -> None:
    """A purchase that is repeated with its key buys once more, without the key."""

    def make(buy: Any) -> Any:
        def bought(transaction: Transaction, purchase: Any, caps_id: int | None) -> Any:
            key, loginid = purchase.key, purchase.loginid
            if key is not None and book.bought_with(transaction, loginid, key.key) is not None:
                purchase = replace(purchase, key=None)
            return buy(transaction, purchase, caps_id)

        return bought

    async def forgotten(self: Desk, loginid: str, key: str, *, pending: bool = False) -> None:
        return None

    wrap(book, "buy", make)
    Desk.bought_with = forgotten  # type: ignore[method-assign,assignment]


@mutant(r"but was done|without a fault of the machine")
def error_after_commit() -> None:
    """One of fifty purchases is answered with an error although it was made."""
    numbers = itertools.count(1)

    def make(buy: Any) -> Any:
        async def bought(self: Desk, *arguments: Any) -> Any:
            result = await buy(self, *arguments)
            if next(numbers) % 50 == 0:
                raise StoreUnavailableError("nothing was changed")
            return result

        return bought

    wrap(Desk, "buy", make)


@mutant(r"transfer_between_accounts is answered|without a fault of the machine")
def payment_refused_after_commit() -> None:
    """One of twenty payments is answered with an error although it was made."""
    numbers = itertools.count(1)

    def make(pay: Any) -> Any:
        async def paid(self: PaymentService, *arguments: Any, **options: Any) -> Any:
            result = await pay(self, *arguments, **options)
            if next(numbers) % 20 == 0:
                raise StoreUnavailableError("nothing was changed")
            return result

        return paid

    wrap(PaymentService, "transfer", make)


@mutant(r"was due and is open|was never shown")
def contract_forgotten_at_the_start() -> None:
    """The newest open contract is not followed after a start."""

    def make(read: Any) -> Any:
        def found(self: Desk, rows: Any) -> Any:
            return read(self, list(rows)[:-1])

        return found

    wrap(Desk, "_read", make)


@mutant(r"a tick of|was due and is open")
def second_skipped() -> None:
    """When the market has to catch up, only the last of its seconds is looked at."""

    def make(wake: Any) -> Any:
        def woken(self: Heartbeat) -> None:
            self._next = max(self._next, int(self._clock.now()))
            wake(self)

        return woken

    wrap(Heartbeat, "_wake", make)


@mutant(r"was not copied")
def copy_missed() -> None:
    """One of twenty purchases is not copied."""
    numbers = itertools.count(1)

    def make(bought: Any) -> Any:
        def copied(self: Any, *arguments: Any) -> None:
            if next(numbers) % 20:
                bought(self, *arguments)

        return copied

    wrap(copying.Copies, "bought", make)


@mutant(r"one tick has two prices", workers=3)
def prices_differ() -> None:
    """The second worker has other prices."""

    def make(price: Any) -> Any:
        def priced(self: feed.Feed, symbol: Any, epoch: int) -> Any:
            owner: Any = process.get()
            number = 0 if owner is None else owner.number
            return price(self, symbol, epoch - number // 2)

        return priced

    wrap(feed.Feed, "price", make)


@mutant(r"the market went back|was due and is open|a tick of|one tick has")
def mark_not_stored() -> None:
    """The market does not store how far it was published."""

    def run(transaction: Transaction, running: Any, speed: float, resume: float) -> None:
        market_start.note_pace(transaction, running, speed, resume)

    market_start.run = run


@mutant(r"ahead of real time|not at the time of the others")
def waits_as_if_it_ran() -> None:
    """While the market waits for its mark, it is stored as if it were there already."""

    def make(note_pace: Any) -> Any:
        def noted(transaction: Transaction, running: Any, speed: float, resume: float) -> float:
            moment: float = note_pace(transaction, lambda: max(running(), resume), speed, resume)
            return moment

        return noted

    wrap(market_start, "note_pace", make)


@mutant(r"ends with the tick")
def tick_stream_forgotten() -> None:
    """A stream of ticks silently stops after some minutes."""
    numbers = itertools.count(1)

    def make(deliver: Any) -> Any:
        def delivered(self: Subscription, tail: bytes, position: int) -> None:
            if self.kind == "ticks" and next(numbers) % 200 == 0:
                self.alive = False
            deliver(self, tail, position)

        return delivered

    wrap(Subscription, "deliver", make)


# Connections.


@mutant(r"stream at|a tick of|the reply to|was never answered|stream ends|was never shown")
def reply_lost() -> None:
    """One of three hundred messages is not sent."""
    numbers = itertools.count(1)

    def make(send: Any) -> Any:
        def sent(self: Peer, text: bytes) -> None:
            if next(numbers) % 300:
                send(self, text)

        return sent

    wrap(Peer, "send", make)


@mutant(r"stream at|a tick of|a second reply|goes on after")
def reply_sent_twice() -> None:
    """One of three hundred messages is sent twice."""
    numbers = itertools.count(1)

    def make(send: Any) -> Any:
        def sent(self: Peer, text: bytes) -> None:
            send(self, text)
            if next(numbers) % 300 == 0:
                send(self, text)

        return sent

    wrap(Peer, "send", make)


@mutant(r"was never answered|stream ends|was never shown|ends with the tick|did not end")
def congestion_never_ends() -> None:
    """A client that did not read for a while is never answered again."""
    Peer.resume_writing = lambda self: None  # type: ignore[method-assign]


@mutant(r"is closed with 1002|was never answered")
def split_frame_lost() -> None:
    """The first byte of a frame that comes alone is forgotten."""

    def make(received: Any) -> Any:
        def taken(self: Peer, data: bytes) -> None:
            received(self, data)
            if self._connection is not None and len(self._buffer) == 1:
                self._buffer = b""

        return taken

    wrap(Peer, "_received", make)
