"""What must hold, checked at each message that leaves the gateway, at each commit, and at rest.

Rules:
- Only what leaves the gateway and what is in the database is looked at, over a connection of its
  own: an acknowledged row is visible to others.
- Each commit is checked by statements of these checks, for what it adds. At rest the checks of
  `scopegate check` read everything as well: neither can hide a fault of the other.
- The first thing that is wrong ends the simulation.
- What ought to happen now and then is counted: a check that never had anything to check fails.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson

from scopegate import PAPER_EXCHANGE, integrity
from scopegate.exchange.keys import stored_key
from scopegate.exchange.payments import Kind
from scopegate.market_start import WAITED_FOR
from scopegate.store.transactions import Connection as StoreConnection
from scopegate.store.transactions import Snapshot
from tests.simulation.network import Connection
from tests.simulation.surroundings import clock

UNKNOWN = {"Timeout"}
"""Errors after which nobody knows whether a call has had its effect."""
FAULTS = {"StorageUnavailable", "StorageBusy"}
"""Errors that only a fault of the machine explains."""
PUBLIC = ("time", "ping", "ticks", "ticks_history", "forget_all")
"""Calls that need no token."""
PAUSE_SECONDS = 30.0
"""How long a process may stand still before it sends what it had to."""
SETTLE_SECONDS = 5.0
"""After so many seconds without a fault, everything has recovered."""
LATE_SECONDS = 1.0
"""Within so many seconds an event is sent then."""
CLOSES = (1000, 1012, 4408)
"""The codes with which the gateway may close: as the client did, at a stop, and when idle."""
TICK_SECONDS = 2
NOTICE_SECONDS = 0.5
"""How long a worker may take to end the streams of a revoked token."""


class Violation(Exception):
    """Something does not hold."""


@dataclass(slots=True)
class Operation:
    """A request of a client, and what is known of it."""

    call: str
    token: str
    loginid: str
    key: str
    sent_at: float
    subscribes: bool = False
    about: str = ""
    """The token that it revokes."""
    is_answered: bool = False
    stream: "Stream | None" = None

    @property
    def bought_under(self) -> str:
        """What is stored for its key with a contract."""
        return stored_key(self.key, self.loginid)

    @property
    def paid_under(self) -> str:
        """What is stored for its key with a transfer."""
        return stored_key(self.key, self.loginid, Kind.TRANSFER)


@dataclass(slots=True)
class Stream:
    """What a subscription has sent."""

    kind: str
    loginid: str
    token: str
    at: set[int]
    """Where it can be: how many entries of the account it has sent or left out, or the epoch of the
    tick that it has sent last. Two entries may leave the same balance."""
    ended: bool = False
    contract: int = 0
    """The contract that it follows."""


@dataclass(slots=True)
class Conversation:
    """What was said on one connection."""

    operations: dict[int, Operation] = field(default_factory=dict)
    next_reply: int = 1


class Checks:
    """The checks of one simulation."""

    def __init__(self, db: Path, workers: int) -> None:
        self.db = db
        self.workers = workers
        self.seen: Counter[str] = Counter()
        """How often each kind of event was seen."""
        self.problem: Violation | None = None
        self.conversations: dict[Connection, Conversation] = {}
        self.revoked: dict[str, float] = {}
        """When the revocation of a token was acknowledged."""
        self.refused: set[str] = set()
        """The keys of purchases and payments that were refused."""
        self.tokens_of: dict[str, list[str]] = {}
        """The tokens with which each key was used."""
        self.keys: dict[str, str] = {}
        """Each key by what is stored for it."""
        self.acknowledged: dict[str, int] = {}
        """The contracts that were acknowledged, by the key of their purchase."""
        self.sales: dict[int, int] = {}
        """The entries of sales that were acknowledged, by their contracts."""
        self.machine_is_faulty = False
        self.quiet_since: float | None = None
        """When the last fault had ended and no client made a request any more."""
        self._committed_at: dict[int, float] = {}
        """When each ledger entry was committed, if nothing else went on."""
        self._ledgers: dict[str, list[tuple[int, int]]] = defaultdict(list)
        """The entries of each account: their ids, and the balances after them."""
        self._entries: dict[int, list[int]] = defaultdict(list)
        self._last_entry = 0
        self._last_contract = 0
        self._last_payment = 0
        self._version = -1
        self._reader: sqlite3.Connection | None = None
        self._quotes: dict[int, Any] = {}
        self._newest_tick = 0
        self.market_time = 0
        self.clock_was_set = False
        """Whether the real time was changed, so that the market may be elsewhere."""

    def fail(self, what: str) -> None:
        """Remember the first thing that is wrong."""
        if self.problem is None:
            self.problem = Violation(what)

    def guarded(self, check: Callable[..., None], *arguments: Any) -> None:
        """Run a check; whatever it raises ends the simulation, even within code of the gateway."""
        try:
            check(*arguments)
        except Violation as problem:
            self.problem = self.problem or problem
        except Exception as problem:  # noqa: BLE001 - a check that fails is a failure
            self.fail(f"{type(problem).__name__}: {problem}")

    # Messages.

    def sends(self, connection: Connection, number: int, operation: Operation) -> None:
        """Take note of a request."""
        self.conversations.setdefault(connection, Conversation()).operations[number] = operation
        if operation.key:
            self.seen["repeated"] += operation.key in self.tokens_of
            self.tokens_of.setdefault(operation.key, []).append(operation.token)
            self.keys[operation.bought_under] = operation.key
            self.keys[operation.paid_under] = operation.key
            self.refused.discard(operation.key)

    def message(self, connection: Connection, text: bytes) -> None:
        """Check a message that has just left the gateway."""
        self.guarded(self._message, connection, text)

    def closed(self, connection: Connection, code: int) -> None:
        """Check that the gateway has a reason to close a connection."""
        self.seen[f"closed with {code}"] += 1
        if code not in CLOSES:
            self.fail(f"connection {connection.number} is closed with {code}")

    def _message(self, connection: Connection, text: bytes) -> None:
        message = orjson.loads(text)
        conversation = self.conversations[connection]
        number = message.get("req_id")
        error = message.get("error", {}).get("code")
        if error == "InternalServerError":
            raise Violation(f"InternalServerError: {text.decode()}")
        if error in FAULTS and not self.machine_is_faulty:
            raise Violation(f"{error} without a fault of the machine")
        operation = conversation.operations.get(number)
        if operation is None:
            raise Violation(f"a reply to nothing: {text.decode()[:300]}")
        if operation.is_answered:
            if operation.stream is None:
                raise Violation(f"a second reply to {operation.call}: {text.decode()[:300]}")
            self._event(connection, operation.stream, message, error)
            return
        operation.is_answered = True
        if number != conversation.next_reply:
            raise Violation(f"the reply to {number} comes before that to {conversation.next_reply}")
        conversation.next_reply += 1
        if error is not None:
            self.seen[f"{operation.call} refused"] += 1
            if operation.key and error not in UNKNOWN:
                self._refused(operation, error)
            return
        self.seen[operation.call] += 1
        self._reply(connection, conversation, operation, message)

    def _refused(self, operation: Operation, error: str) -> None:
        if len(self.tokens_of[operation.key]) > 1:
            return  # it may have been done the first time
        for query, stored in (
            ("SELECT 1 FROM contracts WHERE idempotency_key = ?", operation.bought_under),
            ("SELECT 1 FROM payments WHERE idempotency_key = ?", operation.paid_under),
        ):
            if self._one(query, stored):
                raise Violation(f"{operation.call} is answered with {error}, but was done")
        self.refused.add(operation.key)

    def _reply(
        self,
        connection: Connection,
        conversation: Conversation,
        operation: Operation,
        message: dict[str, Any],
    ) -> None:
        call = operation.call
        if operation.token in self.revoked and call not in (*PUBLIC, "authorize"):
            if operation.sent_at > self.revoked[operation.token]:
                raise Violation(f"{call} is served for a token that was revoked")
        elif call == "authorize" and operation.sent_at > self.revoked.get(
            operation.token, clock.now
        ):
            raise Violation("a token that was revoked signs in")
        body = message.get(call)
        if call == "buy":
            self._bought(operation, body)
        elif call == "sell":
            self._sold(body)
        elif call == "transfer_between_accounts":
            entry = self._one("SELECT loginid FROM ledger WHERE id = ?", message["transaction_id"])
            if entry is None or entry[0] != operation.loginid:
                raise Violation(f"an acknowledged transfer is not there: {message}")
        elif call == "api_token" and operation.about:
            self._revoked(operation.about, connection)
        elif call == "time":
            if body < self.market_time:
                raise Violation(f"the market went back from {self.market_time} to {body}")
            self.market_time = body
            ahead = body - clock.real()
            if not self.clock_was_set:
                self.seen["market compared with real time"] += 1
                # Whole seconds, some of them sent late; ahead while it waits after a crash.
                if not -1 - PAUSE_SECONDS <= ahead <= WAITED_FOR:
                    raise Violation(f"the market is {ahead:.1f} s ahead of real time")
        elif operation.subscribes:
            self._subscribed(operation, message)
        elif call == "forget_all":
            for before in conversation.operations.values():
                if before.stream is not None and before.call in ("balance", "transaction"):
                    before.stream.ended = True

    def _bought(self, operation: Operation, body: dict[str, Any]) -> None:
        row = self._one(
            "SELECT idempotency_key, contracts.loginid, bought_by, balance_after FROM contracts"
            " JOIN ledger ON ledger.id = bought_by WHERE contracts.id = ?",
            body["contract_id"],
        )
        if row is None:
            raise Violation(f"contract {body['contract_id']} is acknowledged and not there")
        expected = (operation.bought_under, operation.loginid, body["transaction_id"])
        if tuple(row[:3]) != expected:
            raise Violation(f"contract {body['contract_id']} is {tuple(row)}, not {expected}")
        if row[3] != round(body["balance_after"] * 100):
            raise Violation(f"a purchase left {row[3]}, but told {body['balance_after']}")
        before = self.acknowledged.setdefault(operation.key, body["contract_id"])
        if before != body["contract_id"]:
            raise Violation(f"one key has bought {before} and {body['contract_id']}")

    def _sold(self, body: dict[str, Any]) -> None:
        contract, entry = body["contract_id"], body["transaction_id"]
        row = self._one("SELECT status, sold_by FROM contracts WHERE id = ?", contract)
        if row is None or row[0] == "open" or row[1] != entry:
            raise Violation(f"a sale is acknowledged, but the contract is {row and tuple(row)}")
        self.sales[contract] = entry

    def _revoked(self, token: str, by: Connection) -> None:
        self.seen["revocation"] += 1
        self.revoked.setdefault(token, clock.now)
        for connection, stream in self._private_streams(token, by) if self.workers == 1 else ():
            raise Violation(
                f"a {stream.kind} stream of {token} on connection {connection.number} did not end"
                f" with the token, which connection {by.number} has revoked"
            )

    def _private_streams(self, token: str, by: Connection) -> Iterator[tuple[Connection, Stream]]:
        """The streams of a token that have not ended, on connections that have not either.

        The connection that revokes it gets the reply first.
        """
        for connection, conversation in self.conversations.items():
            server = connection.server
            if connection is not by and not server.has_ended and server.full_until < clock.now:
                for operation in conversation.operations.values():
                    stream = operation.stream
                    if (
                        stream is not None
                        and (stream.token, stream.ended) == (token, False)
                        and stream.kind != "ticks"
                    ):
                        yield connection, stream

    # Streams.

    def _subscribed(self, operation: Operation, message: dict[str, Any]) -> None:
        kind = operation.call
        entries = self._ledgers[operation.loginid]
        if kind == "ticks":
            self._tick(message["tick"])
            at = {message["tick"]["epoch"]}
        elif kind == "proposal_open_contract":
            at = set()
        elif kind == "balance":
            balance = round(message["balance"]["balance"] * 100)
            at = {n + 1 for n, entry in enumerate(entries) if entry[1] == balance}
            if not at:
                raise Violation(f"{operation.loginid} never had {balance}")
        else:
            # It begins after an entry that was announced: the latest may not have been.
            at = set(range(len(entries) + 1))
        stream = operation.stream = Stream(kind, operation.loginid, operation.token, at)
        if kind == "proposal_open_contract":
            self._contract_sent(stream, message[kind])

    def _event(
        self, connection: Connection, stream: Stream, message: dict[str, Any], error: str | None
    ) -> None:
        if stream.ended:
            raise Violation(f"a {stream.kind} stream goes on after its end: {message}")
        if error is not None:
            stream.ended = True
            self.seen[f"{stream.kind} ended"] += 1
            return
        self.seen[f"{stream.kind} event"] += 1
        since = self.revoked.get(stream.token)
        late = NOTICE_SECONDS if self.workers > 1 else 0
        went_on_at = connection.owner.stood_still_until  # it first sends what came before
        if (
            since is not None
            and clock.now > max(since, went_on_at) + late
            and connection.server.full_until < since  # else it may have been sent before
            and stream.kind != "ticks"
        ):
            raise Violation(f"a {stream.kind} stream goes on for a revoked token")
        if stream.kind == "ticks":
            self._tick(message["tick"])
            [before], epoch = stream.at, message["tick"]["epoch"]
            if epoch != before + TICK_SECONDS:
                raise Violation(f"a tick of {epoch} follows one of {before}")
            stream.at = {epoch}
            self._newest_tick = max(self._newest_tick, epoch)
        elif stream.kind == "proposal_open_contract":
            self._contract_sent(stream, message[stream.kind])
        else:
            self._entry_sent(connection, stream, message[stream.kind])

    def _contract_sent(self, stream: Stream, body: dict[str, Any]) -> None:
        stream.contract = body["contract_id"]
        if body["is_sold"]:
            [status] = self._one("SELECT status FROM contracts WHERE id = ?", stream.contract)
            if status == "open":
                raise Violation(f"contract {stream.contract} is shown as closed, and is open")
            stream.ended = True  # this is the last that it sends
            self.seen["contract stream complete"] += 1

    def _tick(self, tick: dict[str, Any]) -> None:
        known = self._quotes.setdefault(tick["epoch"], tick["quote"])
        if known != tick["quote"]:
            raise Violation(f"one tick has two prices: {known} and {tick['quote']}")

    def _entry_sent(self, connection: Connection, stream: Stream, body: dict[str, Any]) -> None:
        """Check that an event is about the entry that follows those that the stream has sent."""
        entries = self._ledgers[stream.loginid]
        number = body.get("transaction_id")
        balance = round(body["balance"] * 100)
        at = {
            before + 1
            for before in stream.at
            if before < len(entries)
            and entries[before][1] == balance
            and number in (None, entries[before][0])
        }
        if not at:
            where = sorted(stream.at)[-3:]
            raise Violation(f"a {stream.kind} stream at {where} of {len(entries)} sends {body}")
        stream.at = at
        number = entries[max(at) - 1][0]
        self.seen["event while all is quiet"] += number in self._committed_at
        late = clock.now - self._committed_at.get(number, clock.now)
        # What a client did not read for a while is sent late, or when the gateway stops.
        if late > LATE_SECONDS and connection.server.full_until < clock.now - late:
            raise Violation(f"a {stream.kind} stream has sent entry {number} {late:.1f} s late")

    # Commits.

    def committed(self) -> None:
        """Check what a function of a database connection may have committed."""
        if self.problem is None and self._reader is not None:
            self.guarded(self._committed)

    def begin(self) -> None:
        """Begin to check the database, once it is there."""
        self._reader = sqlite3.connect(self.db, isolation_level=None)
        self._reader.row_factory = sqlite3.Row
        self.committed()

    def end(self) -> None:
        """Close the database."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _one(self, sql: str, *parameters: Any) -> Any:
        assert self._reader is not None
        return self._reader.execute(sql, parameters).fetchone()

    def _all(self, sql: str, *parameters: Any) -> list[Any]:
        assert self._reader is not None
        return self._reader.execute(sql, parameters).fetchall()

    def _committed(self) -> None:
        [version] = self._one("PRAGMA data_version")
        if version == self._version:
            return
        self._version = version
        for number, loginid, amount, balance_after, contract_id in self._all(
            "SELECT id, loginid, amount, balance_after, contract_id FROM ledger"
            " WHERE id > ? ORDER BY id",
            self._last_entry,
        ):
            self._last_entry = number
            if self.quiet_since is not None and clock.now > self.quiet_since + SETTLE_SECONDS:
                self._committed_at[number] = clock.now
            entries = self._ledgers[loginid]
            balance = amount + (entries[-1][1] if entries else 0)
            entries.append((number, balance))
            if balance != balance_after or balance < 0:
                raise Violation(f"entry {number} leaves {balance_after}, but the sum is {balance}")
            if contract_id is not None:
                self._entry(contract_id, number, amount)
        for loginid, balance in self._all("SELECT loginid, balance FROM accounts"):
            entries = self._ledgers[loginid]
            if balance != (entries[-1][1] if entries else 0):
                raise Violation(f"{loginid} holds {balance}; its last entries are {entries[-2:]}")
        for [sum_] in self._all(
            "SELECT sum(balance) FROM (SELECT currency, balance FROM accounts"
            " UNION ALL SELECT currency, balance FROM counter_accounts) GROUP BY currency"
        ):
            if sum_:
                raise Violation(f"the balances of a currency add up to {sum_}")
        before = self._last_contract
        for number, key in self._all(
            "SELECT id, idempotency_key FROM contracts WHERE id > ? ORDER BY id", before
        ):
            self._last_contract = number
            if key is not None:
                self._by_key(self.keys[key], "bought")
        if self._last_contract > before:
            self._copied(before)
        for number, key in self._all(
            "SELECT id, idempotency_key FROM payments WHERE id > ? ORDER BY id",
            self._last_payment,
        ):
            self._last_payment = number
            if key is not None:
                self._by_key(self.keys[key], "paid")

    def _copied(self, before: int) -> None:
        """Check that purchases after `before` were copied as agreed, in the same commit."""
        for number, copier in self._all(
            "SELECT contracts.id, copier FROM contracts"
            " JOIN copyings ON trader = loginid AND ended_at IS NULL"
            " WHERE contracts.id > ? AND copied_from IS NULL AND bought_at > started_at"
            " AND NOT EXISTS (SELECT 1 FROM copy_reports WHERE original = contracts.id"
            " AND copy_reports.copier = copyings.copier)",
            before,
        ):
            raise Violation(f"contract {number} was not copied for {copier}")
        for number, *names in self._all(
            "SELECT contracts.id, copiers.name, traders.name FROM contracts"
            " JOIN contracts AS originals ON originals.id = contracts.copied_from"
            " JOIN copyings ON copier = contracts.loginid AND trader = originals.loginid"
            " JOIN tokens AS copiers ON copiers.id = copier_token"
            " JOIN tokens AS traders ON traders.id = trader_token WHERE contracts.id > ?",
            before,
        ):
            self.seen["copy"] += 1
            for name in names:
                if name in self.revoked:
                    raise Violation(f"contract {number} copies with {name}, which was revoked")

    def _entry(self, contract_id: int, number: int, amount: int) -> None:
        amounts = self._entries[contract_id]
        amounts.append(amount)
        if len(amounts) > 2 or (len(amounts) == 1) != (amount < 0):
            raise Violation(f"contract {contract_id} has the entries {amounts}")
        if len(amounts) == 2:
            self.seen["contract closed"] += 1

    def _by_key(self, key: str, what: str) -> None:
        if all(token in self.revoked for token in self.tokens_of[key]):
            raise Violation(f"a revoked token has {what}")
        if key in self.refused:
            raise Violation(f"{key} was refused, and has {what} all the same")

    # At rest.

    def at_rest(self) -> None:
        """Check everything once nothing is under way: all was delivered, nothing is due."""
        self.guarded(self._at_rest)

    def _at_rest(self) -> None:
        self.seen["rest"] += 1
        self._committed()
        assert self._reader is not None
        reader = Snapshot(cast(StoreConnection, self._reader))
        for result in integrity.results(reader, integrity.checks_of((PAPER_EXCHANGE,))):
            if result.faults:
                raise Violation(f"{result.name}: {'; '.join(result.faults)}")
        for number, kind in self._all(
            "SELECT id, contract_type FROM contracts WHERE status = 'open'"
        ):
            raise Violation(f"contract {number} ({kind}) was due and is open")
        there = {row[0] for row in self._all("SELECT id FROM contracts")}
        lost = set(self.acknowledged.values()) - there
        if lost:
            raise Violation(f"acknowledged contracts are lost: {sorted(lost)}")
        for contract, entry in self.sales.items():
            row = self._one("SELECT sold_by FROM contracts WHERE id = ?", contract)
            if row[0] != entry:
                raise Violation(f"the acknowledged sale of {contract} is lost")
        for connection, conversation in list(self.conversations.items()):
            if connection.server.is_gone:
                del self.conversations[connection]
            elif connection.is_open and not connection.is_lost:
                self._connection_at_rest(conversation)

    def _connection_at_rest(self, conversation: Conversation) -> None:
        for number, operation in conversation.operations.items():
            if not operation.is_answered:
                raise Violation(f"{operation.call} ({number}) was never answered")
            stream = operation.stream
            if stream is None or stream.ended:
                continue
            if stream.kind == "ticks":
                [newest] = stream.at
                if newest < self._newest_tick - TICK_SECONDS:  # one may be on its way
                    raise Violation(f"a stream ends with the tick of {newest}")
                self.seen["ticks stream complete"] += 1
                continue
            if stream.token in self.revoked:
                raise Violation(f"a {stream.kind} stream of a revoked token has not ended")
            if stream.kind == "proposal_open_contract":
                raise Violation(f"contract {stream.contract} was never shown as closed")
            entries = len(self._ledgers[stream.loginid])
            if entries not in stream.at:
                raise Violation(f"a {stream.kind} stream ends at {stream.at} of {entries} entries")
            self.seen[f"{stream.kind} stream complete"] += 1
