"""A connection to PostgreSQL by psycopg, without its cursors, and SQL as PostgreSQL needs it.

Rules:
- Statements are written once, in the SQL that both engines have. `translated` converts a script of
  a migration, and `marked` the parameters of a statement.
- Values have the same Python types as SQLite's: whole numbers are `int`, sums and booleans too.
- Parameters have the types of their Python values, so that a statement means the same everywhere.
- A connection that was lost stays lost; `is_lost` says so.
- A transaction that writes takes an advisory lock first: one process writes at a time.
- Statements that need not be answered at once go to the server together with the next one, in
  libpq's pipeline mode.
"""

import contextlib
import os
import re
import select
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import conninfo, pq

from scopegate.store.errors import (
    StoreDamagedError,
    StoreError,
    StoreUnavailableError,
)
from scopegate.store.sqlite_connection import statements
from scopegate.store.transactions import Query, Snapshot

OLDEST_SERVER: Final = 150_000
"""PostgreSQL 15, as libpq numbers it."""
CONNECT_SECONDS = 5
"""Seconds that connecting may take."""
LOCK_SECONDS = 5
"""Seconds to wait while another process writes."""
IDLE_SECONDS = 2
"""Seconds after which the server ends a gateway's session that is idle within a transaction."""
MAX_STORED_CHANGES = 100_000
"""Rows of `changes` that are stored for gateways which have not read them yet."""
MAX_PREPARED = 500
"""Statements that a connection prepares; later ones are parsed each time."""

MAX_POLL_MILLISECONDS = 50
"""With TLS, data may have arrived that the socket does not show: OpenSSL has read it already."""

_DEFAULTS: Final = {
    "application_name": "scopegate",
    "connect_timeout": str(CONNECT_SECONDS),
    "client_encoding": "UTF8",
    # A server that cannot be reached is noticed within about ten seconds.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "target_session_attrs": "read-write",
}
"""Parameters of libpq, unless the address has others."""
_SESSION: Final = (
    b"SELECT set_config('synchronous_commit', 'on', false)"
    b" WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');"
    b" SET default_transaction_isolation = 'read committed';"
    b" SET jit = off;"
    b" SET client_min_messages = error;"
    b" SET bytea_output = hex;"
    b" SET lock_timeout = '%ds';"
    # A gateway that was stopped, or whose machine has gone, must not keep its locks.
    b" SET idle_in_transaction_session_timeout = '%ds';"
    b" SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;"
    b" SET tcp_user_timeout = 10000"
)
_CHECKS: Final = (
    b"SELECT current_setting('fsync'), current_setting('full_page_writes'),"
    b" current_setting('server_encoding'), pg_backend_pid(),"
    b" coalesce(hashtext(current_schema())::text, '')"
)
_POOLER_PROBES: Final = 10
"""How often two connections are asked for their sessions, to find a pooler that mixes them."""
_WRITE_LOCK: Final = 0x5C0BE
"""The first number of the advisory lock of the process that writes; the second is the schema's."""
_GATEWAY_LOCK: Final = 0x5C0BF
"""The same for the numbers of gateways, combined with the number of the schema."""

_IS_OF_A_GATEWAY: Final = (
    "locktype = 'advisory' AND granted AND classid = ?::oid AND objsubid = 2"
    " AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
"""Whether a row of `pg_locks` is the number of a gateway; needs the first number of their locks."""
_SERVES: Final = "scopegate, schema "
"""The application name of a gateway's connection, before the number of its schema."""

_UNAVAILABLE: Final = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
    "57014",  # query_canceled
    "25006",  # read_only_sql_transaction: the server has become a standby
}
_UNAVAILABLE_CLASSES: Final = {"08", "53", "57", "58"}
_DAMAGED_CLASS: Final = "XX"
_CONSTRAINT_CLASS: Final = "23"
_STALE_PLAN: Final = "0A000"
_UNKNOWN_TRANSACTION: Final = "22023"
"""For the number of a transaction that the server has not used yet."""

_MARKS: Final = re.compile(r"'(?:[^']|'')*'|\bIS (NOT )?\?|\?")
_IDENTITY: Final = re.compile(r"\bINTEGER PRIMARY KEY(?: AUTOINCREMENT)?(?=\s*[,)])")
_TYPES: Final = (
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bREAL\b"), "DOUBLE PRECISION"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    # The order of texts does not depend on how the database was created.
    (re.compile(r"\bTEXT\b"), 'TEXT COLLATE "C"'),
    (re.compile(r"\)\s*WITHOUT ROWID\b"), ")"),
    (re.compile(r"\bgroup_concat\((\w+)\)"), r"string_agg(\1, ',')"),
)
_CHOSEN_ID: Final = re.compile(r"\bINSERT INTO (\w+) \(id\b")


def marked(sql: str) -> bytes:
    """Return a statement with `$1` for its first `?`, and so on.

    SQLite's `IS ?`, which is true for two NULLs, becomes `IS NOT DISTINCT FROM`.
    """
    count = 0

    def converted(found: re.Match[str]) -> str:
        nonlocal count
        text = found.group()
        if text.startswith("'"):
            return text
        count += 1
        if text == "?":
            return f"${count}"
        return f"IS {'' if found.group(1) else 'NOT '}DISTINCT FROM ${count}"

    return _MARKS.sub(converted, sql).encode()


def translated(script: str) -> list[str]:
    """Return the statements of a migration that is written for SQLite."""
    converted = []
    for statement in statements(re.sub(r"--[^\n]*", "", script)):
        if not statement.strip(" \n;"):
            continue
        text = _IDENTITY.sub("BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", statement)
        for pattern, replacement in _TYPES:
            text = pattern.sub(replacement, text)
        converted.append(text)
    return converted


def _text(value: str) -> bytes:
    if "\x00" in value:  # libpq would take it for the end
        raise ValueError("a text with a zero character cannot be stored")
    return value.encode()


def _number(value: int) -> bytes:
    return b"%d" % value


def _whole(value: bytes) -> int | float:
    return float(value) if b"." in value else int(value)


_DUMPERS: Final[dict[type, tuple[int, Callable[[Any], bytes | None]]]] = {
    # The type, by its OID in pg_type, and the text of a value.
    int: (20, _number),
    bool: (20, _number),
    float: (701, lambda value: repr(value).encode()),
    str: (25, _text),
    bytes: (17, lambda value: b"\\x" + value.hex().encode()),
    type(None): (0, lambda value: None),
}
_LOADERS: Final[dict[int, Callable[[bytes], Any]]] = {
    16: lambda value: int(value == b"t"),
    17: lambda value: bytes.fromhex(value[2:].decode()),
    20: int,
    21: int,
    23: int,
    700: float,
    701: float,
    1700: _whole,
}


def _dumper(kind: type) -> tuple[int, Callable[[Any], bytes | None]]:
    """Return the dumper of a type or of its closest base, as for an enumeration of texts."""
    for base in kind.__mro__:
        if base in _DUMPERS:
            return _DUMPERS[base]
    raise TypeError(f"a {kind.__name__} cannot be stored")


class StalePlanError(StoreUnavailableError):
    """A migration has changed a table since a statement was prepared: run the transaction again."""


class PostgresqlError(sqlite3.DatabaseError):
    """A statement failed for a reason that has no class of its own."""

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state
        """The SQLSTATE."""


class PostgresqlRow:
    """A row of a result: see `Row`."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: dict[str, int], values: list[Any]) -> None:
        self._names = names
        self._values = values

    def __getitem__(self, key: Any) -> Any:
        return self._values[self._names[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._names)


class _Statement:
    """A prepared statement, and how its parameters and results are converted."""

    __slots__ = ("dumpers", "loaders", "name", "names", "sql", "types")

    def __init__(self, sql: str, kinds: Sequence[type], name: bytes) -> None:
        self.sql = marked(sql)
        self.name = name
        """Empty if it is parsed each time."""
        found = [_dumper(kind) for kind in kinds]
        self.types = [oid for oid, _ in found]
        self.dumpers = [dump for _, dump in found]
        self.names: dict[str, int] = {}
        self.loaders: list[Callable[[bytes], Any]] = []

    def describe(self, result: pq.abc.PGresult) -> None:
        """Take the names and types of its results from one of them."""
        for column in range(result.nfields):
            name = result.fname(column)
            assert name is not None  # noqa: S101 - the column exists
            self.names[name.decode()] = column
            self.loaders.append(_LOADERS.get(result.ftype(column), bytes.decode))


class _Command(NamedTuple):
    """A statement with its values, as libpq takes them."""

    statement: "_Statement"
    values: list[Any]


class PostgresqlCursor:
    """The result of a statement: see `Cursor`."""

    __slots__ = ("_next", "_result", "_statement")

    def __init__(self, statement: _Statement, result: pq.abc.PGresult) -> None:
        self._statement = statement
        self._result = result
        self._next = 0

    @property
    def rowcount(self) -> int:
        """How many rows the statement has changed, or returned."""
        return self._result.command_tuples or 0

    def fetchone(self) -> PostgresqlRow | None:
        """Return the next row; `None` at the end."""
        number = self._next
        if number >= self._result.ntuples:
            return None
        self._next = number + 1
        value = self._result.get_value
        values: list[Any] = []
        for column, load in enumerate(self._statement.loaders):
            data = value(number, column)
            values.append(None if data is None else load(data))
        return PostgresqlRow(self._statement.names, values)

    def fetchall(self) -> list[PostgresqlRow]:
        """Return all further rows."""
        return list(self)

    def __iter__(self) -> Iterator[PostgresqlRow]:
        return iter(self.fetchone, None)


class PostgresqlConnection:
    """A connection to a PostgreSQL server, as a `Connection` of this package."""

    stored_changes: int | None = None

    def __init__(
        self,
        url: str,
        *,
        read_only: bool = False,
        allow_unsafe: bool = False,
        idle_seconds: int = IDLE_SECONDS,
    ) -> None:
        """Connect to the server of this address. Raises `StoreError`.

        `allow_unsafe` accepts a server whose commits may be lost when its machine fails.
        `idle_seconds` is after how many seconds without a statement the server ends a session
        within a transaction; 0 for never.
        """
        own = {
            name: value
            for name, value in _DEFAULTS.items()
            if name not in conninfo.conninfo_to_dict(url)
        }
        try:
            # Not `PGconn.connect`, which would hold up every other thread until it is connected.
            self._connection = psycopg.connect(conninfo.make_conninfo(url, **own), autocommit=True)
        except psycopg.Error as problem:
            message = " ".join(str(problem).split())
            raise StoreUnavailableError(f"cannot connect to the database: {message}") from None
        self._pgconn = self._connection.pgconn
        self._read_only = read_only
        self._prepared: dict[tuple[str, tuple[type, ...]], _Statement] = {}
        self._count = 0
        self._later: list[_Command] = []
        """Statements that are run together with the next one."""
        self._round_trips = 0
        self._asked: dict[Query, PostgresqlCursor] = {}
        """Answers to queries that were asked ahead."""
        try:
            self._check(allow_unsafe)
            self.simple(_SESSION % (LOCK_SECONDS, idle_seconds))
        except BaseException:
            self.close()
            raise

    def _check(self, allow_unsafe: bool) -> None:
        version = self._pgconn.server_version
        if version < OLDEST_SERVER:
            raise StoreError(
                f"the database server is PostgreSQL {version // 10_000}: use 15 or newer"
            )
        [[fsync, full_pages, encoding, session, schema]] = texts(self.simple(_CHECKS))
        if encoding != "UTF8":
            raise StoreError(
                f"the encoding of the database is {encoding}: create it with"
                " `createdb --encoding=UTF8 --template=template0`"
            )
        if not schema:
            raise StoreError(
                "the database has no schema to create tables in: check the search_path of the user"
            )
        values = {"fsync": fsync, "full_page_writes": full_pages}
        self.unsafe_parameters = [name for name, value in values.items() if value == "off"]
        """Those that are off, so that commits may be lost when the server's machine fails."""
        if self.unsafe_parameters and not allow_unsafe:
            raise StoreError(
                f"the database server runs with {self.unsafe_parameters[0]} = off, so it may lose"
                " acknowledged commits when its machine fails: set it to on, or allow this with"
                " --store-unsafe"
            )
        # A pooler has numbers of its own.
        self.through_pooler = int(session) != self._pgconn.backend_pid
        """Whether a pooler is between us and the server."""
        self._schema_number = int(schema)
        self._gateways = _signed(self._schema_number ^ _GATEWAY_LOCK)
        """The first number of the advisory locks of gateways; the second is that of the gateway."""

    def shares_sessions_with(self, other: "PostgresqlConnection") -> bool:
        """Return whether a pooler uses sessions of the server for both connections."""
        mine, others = set(), set()
        for _ in range(_POOLER_PROBES):
            mine.add(_session(self))
            others.add(_session(other))
        return len(mine) > 1 or len(others) > 1 or mine == others

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended, or cannot be used any more."""
        return (
            self._pgconn.status != pq.ConnStatus.OK
            # An exception has come in between: which results are still to come is not known.
            or self._pgconn.pipeline_status != pq.PipelineStatus.OFF
        )

    @property
    def host(self) -> str:
        """The name or address of the server, or the folder of its socket."""
        return (self._pgconn.host or self._pgconn.hostaddr).decode()

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return self._pgconn.ssl_in_use

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._pgconn.transaction_status in (
            pq.TransactionStatus.INTRANS,
            pq.TransactionStatus.INERROR,
        )

    @property
    def has_failed(self) -> bool:
        """Whether a statement of the open transaction has failed, so that it cannot go on."""
        return self._pgconn.transaction_status == pq.TransactionStatus.INERROR

    def close(self) -> None:
        """Close the connection, if it is open."""
        self._connection.close()

    def abort(self) -> None:
        """Let a statement that another thread waits for fail; the connection is lost then."""
        with contextlib.suppress(OSError, psycopg.Error):  # it has ended already
            duplicate = os.dup(self._pgconn.socket)
            with socket.socket(fileno=duplicate) as stalled:
                stalled.shutdown(socket.SHUT_RDWR)

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> PostgresqlCursor:
        """Run one statement, whose parameters are marked `?`."""
        if self._asked:
            answer = self._asked.pop((sql, *parameters), None)
            if answer is not None:
                return answer
            if not sql.startswith("SELECT"):
                self._asked.clear()
        command = self._command(sql, parameters)
        if self._later:
            return self._run_together([command])[-1]
        statement, values = command
        with self._round_trip():
            if statement.name:
                result = self._pgconn.exec_prepared(statement.name, values)
            else:
                result = self._pgconn.exec_params(statement.sql, values, statement.types)
        return self._cursor(statement, result)

    def execute_later(self, sql: str, parameters: Sequence[Any] = (), /) -> None:
        """Run one statement together with the next one, or with `flush`, which raises its error."""
        self._asked.clear()
        command = self._command(sql, parameters)
        self._later.append(command)

    def flush(self) -> None:
        """Run what `execute_later` has left."""
        if self._later:
            self._run_together([])

    def queued(self) -> tuple[int, int]:
        """Return a mark for `drop_queued`."""
        return self._round_trips, len(self._later)

    def drop_queued(self, mark: tuple[int, int]) -> bool:
        """Drop what `execute_later` has queued since this mark.

        Return `False` if anything was sent to the server since then.
        """
        round_trips, count = mark
        if self._round_trips != round_trips:
            return False
        del self._later[count:]
        return True

    def ask_ahead(self, queries: Sequence[Query], /) -> None:
        """Run these queries together, for `execute` with the same SQL and parameters."""
        cursors = self._run_together([self._command(sql, given) for sql, *given in queries])
        own = cursors[len(cursors) - len(queries) :]
        self._asked = dict(zip(queries, own, strict=True))

    def _command(self, sql: str, parameters: Sequence[Any]) -> _Command:
        kinds = tuple(map(type, parameters))
        statement = self._prepared.get((sql, kinds))
        if statement is None:
            statement = self._prepare(sql, kinds)
        # The annotation of `exec_prepared` lacks None, which is NULL.
        values: list[Any] = [
            dump(value) for dump, value in zip(statement.dumpers, parameters, strict=True)
        ]
        return _Command(statement, values)

    def _run_together(self, commands: Sequence[_Command]) -> list[PostgresqlCursor]:
        """Run what was left for later, and these, in one round trip."""
        commands = [*self._later, *commands]
        self._later.clear()
        with self._round_trip():
            self._pgconn.enter_pipeline_mode()
            for statement, values in commands:
                if statement.name:
                    self._pgconn.send_query_prepared(statement.name, values)
                else:
                    self._pgconn.send_query_params(statement.sql, values, statement.types)
            self._pgconn.pipeline_sync()
            results = [self._received() for _ in range(2 * len(commands) + 1)]
            self._pgconn.exit_pipeline_mode()
        # An empty one follows each result, and one for the synchronisation is at the end.
        return [
            self._cursor(command.statement, result)
            for command, result in zip(commands, filter(None, results), strict=False)
        ]

    def _received(self) -> pq.abc.PGresult | None:
        """Wait for the next result in pipeline mode, while other threads go on."""
        while self._pgconn.is_busy():
            polled = select.poll()  # unlike `select`, for any number of open files
            unsent = self._pgconn.flush()
            polled.register(self._pgconn.socket, select.POLLIN | (select.POLLOUT if unsent else 0))
            polled.poll(MAX_POLL_MILLISECONDS)
            self._pgconn.consume_input()
        return self._pgconn.get_result()

    def _cursor(self, statement: _Statement, result: pq.abc.PGresult) -> PostgresqlCursor:
        """Return the result of a statement, or raise its error."""
        if result.status == pq.ExecStatus.TUPLES_OK:
            if not statement.loaders:
                statement.describe(result)
        elif result.status != pq.ExecStatus.COMMAND_OK:
            raise self._problem(result)
        return PostgresqlCursor(statement, result)

    def _prepare(self, sql: str, kinds: tuple[type, ...]) -> _Statement:
        if len(self._prepared) >= MAX_PREPARED:
            return _Statement(sql, kinds, b"")
        self.flush()  # if this fails, it must not come before a savepoint that is queued
        self._count += 1
        statement = _Statement(sql, kinds, b"s%d" % self._count)
        with self._round_trip():
            result = self._pgconn.prepare(statement.name, statement.sql, statement.types)
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise self._problem(result)
        self._prepared[sql, kinds] = statement
        return statement

    def simple(self, sql: bytes) -> pq.abc.PGresult:
        """Run statements without parameters together; return the result of the last."""
        self._asked.clear()
        self.flush()
        with self._round_trip():
            result = self._pgconn.exec_(sql)
        if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            raise self._problem(result)
        return result

    @contextlib.contextmanager
    def _round_trip(self) -> Iterator[None]:
        """Wait for an answer of the server. Raises `StoreUnavailableError` without a connection."""
        self._round_trips += 1
        try:
            yield
        except psycopg.Error as problem:
            if not self.is_lost:
                raise
            raise StoreUnavailableError("the connection to the database was lost") from problem

    def _problem(self, result: pq.abc.PGresult) -> Exception:
        """Return the exception for a statement that failed."""
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        message = " ".join(result.get_error_message().split())
        if self.is_lost or not state:
            return StoreUnavailableError(f"the connection to the database was lost: {message}")
        if state == _STALE_PLAN and "cached plan" in message:
            self._prepared.clear()  # their names are not used again
            return StalePlanError("the tables of the database have changed: try again")
        if state == "25006" and self._read_only:
            return sqlite3.OperationalError(f"a reader is readonly: {message}")
        if state in _UNAVAILABLE or state[:2] in _UNAVAILABLE_CLASSES:
            return StoreUnavailableError(f"the database cannot be used at present: {message}")
        if state[:2] == _DAMAGED_CLASS:
            return StoreDamagedError(f"the database is damaged ({message})")
        if state[:2] == _CONSTRAINT_CLASS:
            return sqlite3.IntegrityError(message)
        return PostgresqlError(f"{message} ({state})", state)

    def insert(self, sql: str, parameters: Sequence[Any], /) -> int:
        """Insert one row, and return its `id`."""
        row = self.execute(f"{sql} RETURNING id", parameters).fetchone()
        assert row is not None  # noqa: S101 - only INSERT is given here
        return int(row[0])

    def now(self) -> float:
        """Return the real time by the clock of the server."""
        [[text]] = texts(self.simple(b"SELECT extract(epoch FROM clock_timestamp())"))
        return float(text)

    def begin(self, then: bytes = b"SELECT 1") -> pq.abc.PGresult:
        """Begin a transaction that writes; return the result of another statement, within it."""
        # The lock comes first, and each statement sees what was committed before it.
        lock = b"SELECT pg_advisory_xact_lock(%d, %d)" % (_WRITE_LOCK, self._schema_number)
        try:
            return self.simple(b"BEGIN; %b; %b" % (lock, then))
        except BaseException:
            self.roll_back()
            raise

    def roll_back(self) -> None:
        """Undo the transaction, if one is open."""
        self._later.clear()
        if self.in_transaction:
            self.simple(b"ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Run a block as one transaction that writes: COMMIT after it, ROLLBACK if it raises."""
        self.begin()
        try:
            yield
            self.simple(b"COMMIT")
        except BaseException:
            self.roll_back()
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Run a block that only reads, on one snapshot."""
        self.simple(b"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        try:
            yield
        finally:
            self.roll_back()

    # Several gateways.

    def tell_schema(self, known: int) -> None:
        """Let others know, for as long as this connection is open, which schema a gateway knows."""
        self.simple(b"SET application_name = '%b%d'" % (_SERVES.encode(), known))

    def claim(self, number: int) -> bool:
        """Lock the number of a gateway until the connection ends; return whether it was free."""
        [locked] = Snapshot(self).single(
            "SELECT pg_try_advisory_lock(?::int, ?::int)", self._gateways, number
        )
        return bool(locked)

    def claimed(self) -> set[int]:
        """Return the numbers of gateways that are locked by any connection."""
        rows = self.execute(
            f"SELECT objid::bigint FROM pg_locks WHERE {_IS_OF_A_GATEWAY}",  # noqa: S608 - a constant
            (self._gateways & 0xFFFFFFFF,),
        )
        return {int(row[0]) for row in rows}

    def count_commit(self) -> None:
        """Do nothing: the server looks after its own log."""

    def served_schemas(self) -> list[int]:
        """Return which schemas the gateways that serve know; 0 where that cannot be known."""
        rows = self.execute(
            "SELECT coalesce(substring(application_name FROM ?)::bigint, 0)"  # noqa: S608 - constants
            " FROM pg_locks"
            f" LEFT JOIN pg_stat_activity USING (pid) WHERE {_IS_OF_A_GATEWAY}",
            (f"^{_SERVES}(\\d+)$", self._gateways & 0xFFFFFFFF),
        )
        return [row[0] for row in rows]

    @property
    def socket(self) -> int:
        """The descriptor that is readable when a notification arrives."""
        return self._pgconn.socket

    @property
    def channel(self) -> str:
        """The channel of the notifications of this database's gateways."""
        return f"scopegate_{self._schema_number & 0xFFFFFFFF}"

    def listen(self) -> None:
        """Begin to receive notifications."""
        self.simple(f"LISTEN {self.channel}".encode())

    def notify(self, text: str) -> None:
        """Send a notification with a text of at most 8,000 characters."""
        self.execute("SELECT pg_notify(?, ?)", (self.channel, text))

    def notifications(self) -> list[str]:
        """Return the texts of the notifications that have arrived, without waiting."""
        with contextlib.suppress(psycopg.Error):  # as the status says then
            self._pgconn.consume_input()
        if self.is_lost:
            raise StoreUnavailableError("the connection to the database was lost")
        found = []
        while (notification := self._pgconn.notifies()) is not None:
            found.append(notification.extra.decode())
        return found

    def literal(self, text: str) -> bytes:
        """Return a text as a literal of SQL."""
        return pq.Escaping(self._pgconn).escape_literal(_text(text))

    def state_of(self, transaction: str) -> str:
        """Return what `pg_xact_status` does; "aborted" for a number that was never used.

        A server that took over without the last commits has not used it.
        """
        try:
            [state] = Snapshot(self).single("SELECT pg_xact_status(?::text::xid8)", transaction)
        except PostgresqlError as problem:
            if problem.state != _UNKNOWN_TRANSACTION:
                raise
            return "aborted"
        return "aborted" if state is None else str(state)

    def schema_version(self) -> int:
        """Return the number of the last migration; 0 for a new database."""
        # Not `to_regclass`, which may remember that the table was missing before another process
        # had created it.
        [tables] = Snapshot(self).single(
            "SELECT count(*) FROM pg_class WHERE relname = 'schema_version'"
            " AND relnamespace = current_schema()::regnamespace"
        )
        if not tables:
            return 0
        [number] = Snapshot(self).single("SELECT max(version) FROM schema_version")
        return 0 if number is None else int(number)

    def set_schema_version(self, number: int) -> None:
        """Store the number of the last migration."""
        self.simple(b"CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        self.execute("DELETE FROM schema_version")
        self.execute("INSERT INTO schema_version (version) VALUES (?)", (number,))

    def schema_objects(self) -> dict[str, str]:
        """Return the definition of each table, index, view and trigger by name."""
        rows = self.execute(
            "SELECT relname, relkind::text || coalesce(pg_get_indexdef(indexrelid), '')"
            " || coalesce((SELECT string_agg(attname || ' '"
            "   || format_type(atttypid, atttypmod) || ' ' || attnotnull::text, ', '"
            "   ORDER BY attnum)"
            "   FROM pg_attribute WHERE attrelid = pg_class.oid AND attnum > 0), '')"
            " FROM pg_class LEFT JOIN pg_index ON indexrelid = pg_class.oid"
            " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i', 'v')"
            " UNION ALL SELECT tgname, pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger"
            " JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal"
        )
        return {row[0]: row[1] for row in rows.fetchall()}

    def columns(self) -> dict[str, list[str]]:
        """Return the names of the columns of each table, in order, but for our own one."""
        found: dict[str, list[str]] = {}
        for table, column in self.execute(
            "SELECT table_name::text, column_name::text FROM information_schema.columns"
            " JOIN pg_class ON relname = table_name AND relkind = 'r'"
            " AND relnamespace = current_schema()::regnamespace"
            " WHERE table_schema = current_schema() AND table_name <> 'schema_version'"
            " ORDER BY pg_class.oid, ordinal_position"
        ):
            found.setdefault(table, []).append(column)
        return found

    @contextlib.contextmanager
    def deferred_constraints(self) -> Iterator[None]:
        """Check references between rows at the end of a block, within the open transaction."""
        constraints = self.execute(
            "SELECT quote_ident(relname), quote_ident(conname) FROM pg_constraint"
            " JOIN pg_class ON pg_class.oid = conrelid"
            " WHERE contype = 'f' AND relnamespace = current_schema()::regnamespace"
        ).fetchall()

        def alter(how: str) -> None:
            for table, name in constraints:
                self.simple(f"ALTER TABLE {table} ALTER CONSTRAINT {name} {how}".encode())

        alter("DEFERRABLE INITIALLY DEFERRED")
        yield
        self.simple(b"SET CONSTRAINTS ALL IMMEDIATE")  # checks them
        alter("NOT DEFERRABLE")

    def last_ids(self) -> dict[str, int]:
        """Return the last generated id of each table that has generated ids."""
        return {table: last for table, last in self._last_ids() if last is not None}

    def _last_ids(self) -> Iterator[PostgresqlRow]:
        """Return each table with generated ids, and the last one if there was any."""
        return iter(
            self.execute(
                "SELECT table_name::text, pg_sequence_last_value("
                " pg_get_serial_sequence(quote_ident(table_name), column_name)::regclass)"
                " FROM information_schema.columns WHERE table_schema = current_schema()"
                " AND is_identity = 'YES' AND column_name = 'id'"
            )
        )

    def set_last_ids(self, ids: Mapping[str, int]) -> None:
        """Set the last generated id of each table."""
        for table, _ in self._last_ids():
            if table in ids:
                self.execute(
                    "SELECT setval(pg_get_serial_sequence(?, 'id')::regclass, ?)",
                    (table, ids[table]),
                )
            else:
                self.note_explicit_ids(table)

    def run_script(self, script: str) -> None:
        """Run the statements of a migration within the open transaction."""
        for statement in translated(script):
            self.simple(statement.encode())
            if found := _CHOSEN_ID.search(statement):
                self.note_explicit_ids(found.group(1))

    def note_explicit_ids(self, table: str) -> None:
        """Let generated ids continue after the largest of this table."""
        self.execute(
            "SELECT setval(pg_get_serial_sequence(?, 'id')::regclass, greatest(max(id),"  # noqa: S608
            " pg_sequence_last_value(pg_get_serial_sequence(?, 'id')::regclass), 1))"
            f" FROM {table}",
            (table, table),
        )


def _signed(number: int) -> int:
    """Return these 32 bits as a signed number."""
    return (number & 0xFFFFFFFF) - ((number & 0x80000000) << 1)


def _session(connection: PostgresqlConnection) -> str:
    """Return the number of the session of the server that serves this connection now."""
    return texts(connection.simple(b"SELECT pg_backend_pid()"))[0][0]


def texts(result: pq.abc.PGresult) -> list[list[str]]:
    """Return all values of a result as text; NULL as an empty text."""
    return [
        [(result.get_value(line, column) or b"").decode() for column in range(result.nfields)]
        for line in range(result.ntuples)
    ]
