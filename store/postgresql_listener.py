"""What other gateways of the same PostgreSQL database have committed, and their messages.

Rules:
- A thread with a connection of its own waits for notifications, at most `LISTEN_SECONDS`, then
  reads the rows of `changes` that follow the last one that it has read. A notification only wakes
  it: one that is lost costs a tenth of a second.
- A gateway that has not taken in everything that was committed until half a second ago must not let
  clients act (`is_stale`).
- A gateway has a number, which no other has: an advisory lock of this connection's session. The
  numbers that are locked are the gateways that are present. It may change when the connection was
  lost.
- Messages to other gateways are notifications. They arrive after the rows that were committed
  before they were sent.
"""

import base64
import contextlib
import itertools
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn

import structlog

from scopegate.store import meta
from scopegate.store.errors import StoreError, StoreUnavailableError
from scopegate.store.migrating import check_schema, known_schema
from scopegate.store.postgresql_connection import MAX_STORED_CHANGES, PostgresqlConnection
from scopegate.store.store import LOST_EXIT
from scopegate.store.transactions import Change, Snapshot, changes_after

STALE_SECONDS = 0.5
"""Seconds after which a gateway that has read nothing does not know what others have committed."""
LISTEN_SECONDS = 0.1
"""Seconds between two checks for commits, if there is no notification."""
PRESENCE_SECONDS = 0.25
"""Seconds between two checks of which gateways are present."""
RECONNECT_SECONDS = 0.25
"""Seconds between two attempts to connect again."""
MAX_GATEWAYS = 64
"""Gateways of one database."""
MAX_INCOMPLETE = 100
"""Messages that may be incomplete."""
DELETED_TO = "changes_deleted_to"
"""The name in `meta` of the newest row of `changes` that was deleted."""
WENT_BACK = "the database is at an earlier state, as after a failover that has lost commits"
PART = 5_000
"""Bytes of a message in one notification, which has at most 8,000 characters."""
_EVERYONE = -1

log = structlog.get_logger("scopegate.store")


def end_gateway(why: str) -> NoReturn:
    """End this process, whose memory cannot be brought up to date."""
    log.error("this gateway ends with exit code 70 and must be started again", why=why)
    os._exit(LOST_EXIT)


@dataclass(frozen=True, slots=True)
class News:
    """What was read at once."""

    rows: Sequence[Change]
    messages: Sequence[tuple[int, bytes]]
    """The number of the gateway that has sent each, and its bytes."""
    present: Collection[int] | None
    """The numbers of the gateways that are present, if that was asked now."""
    read_at: float
    """Monotonic time before the rows were read."""


class Listener:
    """The thread that reads what other gateways do."""

    def __init__(
        self, connect: Callable[[], PostgresqlConnection], wake: Callable[[], None]
    ) -> None:
        """`wake` is called from the thread once there are news: take them with `take`."""
        self._connect = connect
        self._wake = wake
        self._connection: PostgresqlConnection | None = None
        self.number = 0
        """The number of this gateway."""
        self.last_change = self._read_to = 0
        """The newest change when it was opened, and the newest one that was read since then."""
        self._news: deque[News] = deque()
        self._confirmed = -STALE_SECONDS
        self._outgoing: deque[str] = deque()
        self._parts: dict[tuple[int, int], list[str]] = {}
        # Not those of an earlier gateway of the same number, of which parts may be left.
        self._message_numbers = itertools.count(time.monotonic_ns())
        self._wake_receiver, self._wake_sender = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._is_open = self._closing = False
        self._known_schema = known_schema()
        self._presence_due = 0.0
        self._thread = threading.Thread(target=self._run, name="store listener", daemon=True)

    # From the thread that opens the store.

    def open(self) -> None:
        """Connect, claim a number, and take every change so far as known. Raises `StoreError`."""
        connection = self._connected()
        newest = Snapshot(connection).single("SELECT coalesce(max(id), 0) FROM changes")
        self._read_to = self.last_change = newest[0]
        self._read(connection)
        self._is_open = True

    def present(self) -> Collection[int]:
        """Return the numbers of the gateways that were present when it was opened."""
        found = self._news[0].present
        return () if found is None else found

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    # From the event loop.

    def take(self) -> News | None:
        """Take the oldest news; `None` if there are none."""
        return self._news.popleft() if self._news else None

    @property
    def is_stale(self) -> bool:
        """Whether it is not known what was committed until `STALE_SECONDS` ago."""
        return time.monotonic() - self._confirmed > STALE_SECONDS

    def send(self, receiver: int | None, message: bytes) -> None:
        """Send a message to the gateway of this number, or to every other one."""
        number = next(self._message_numbers)
        parts = [message[begin : begin + PART] for begin in range(0, len(message), PART)]
        for place, part in enumerate(parts, 1):
            head = f"{self.number} {_EVERYONE if receiver is None else receiver} {number}"
            text = base64.b64encode(part).decode()
            self._outgoing.append(f"{head} {place} {len(parts)} {text}")
        self._wake_thread()

    def close(self) -> None:
        """End the thread and its connection."""
        self._closing = True
        self._wake_thread()
        if self._thread.is_alive():
            self._thread.join(timeout=STALE_SECONDS * 4)
        if self._connection is not None:
            self._connection.close()
        os.close(self._wake_receiver)
        os.close(self._wake_sender)

    def _wake_thread(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake
            os.write(self._wake_sender, b"\0")

    # In the thread.

    def _connected(self) -> PostgresqlConnection:
        """Connect, claim the same number as before, or else any, and listen."""
        connection = self._connect()
        try:
            connection.tell_schema(self._known_schema)
            for candidate in (self.number, *range(MAX_GATEWAYS)):
                if connection.claim(candidate):
                    break
            else:
                raise StoreError(f"{MAX_GATEWAYS} gateways serve the database already")
            if candidate != self.number and self._read_to:
                log.warning("the number of this gateway has changed", now=candidate)
            self.number = candidate
            connection.listen()
            self._check_continues(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _run(self) -> None:
        while not self._closing:
            try:
                connection = self._connection
                if connection is None:
                    connection = self._connected()
                    self._parts.clear()
                    log.warning("the connection to the database is open again", of="listener")
                self._wait(connection)
                self._read(connection)
            except Exception as problem:
                if self._closing:
                    return
                if not isinstance(problem, StoreUnavailableError):
                    log.error("changes by other gateways cannot be read", exc_info=problem)
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                time.sleep(RECONNECT_SECONDS)

    def _wait(self, connection: PostgresqlConnection) -> None:
        waiting = select.poll()  # `select.select` takes no descriptor above 1,023
        for descriptor in (connection.socket, self._wake_receiver):
            waiting.register(descriptor, select.POLLIN)
        waiting.poll(LISTEN_SECONDS * 1_000)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_receiver, 4096)

    def _read(self, connection: PostgresqlConnection) -> None:
        while self._outgoing and not self._closing:
            connection.notify(self._outgoing[0])
            self._outgoing.popleft()
        # First, so that the rows of earlier commits are read below.
        texts = connection.notifications()
        read_at = time.monotonic()
        rows = changes_after(connection, self._read_to)
        if rows and rows[-1][0] - self._read_to > MAX_STORED_CHANGES:
            self._check_deleted(connection)
        present = connection.claimed() if read_at >= self._presence_due else None
        # From here on nothing raises: what was read is passed on.
        messages = [message for text in texts if (message := self._received(text)) is not None]
        if present is not None:
            self._presence_due = read_at + PRESENCE_SECONDS
            for key in [key for key in self._parts if key[0] not in present]:
                del self._parts[key]
        if rows:
            self._read_to = rows[-1][0]
        else:
            self._confirmed = read_at
        if rows or messages or present is not None:
            self._news.append(News(rows, messages, present, read_at))
            self._wake()

    def _check_deleted(self, connection: PostgresqlConnection) -> None:
        """End this gateway if rows that it has not read were deleted."""
        deleted_to = meta.get(Snapshot(connection), DELETED_TO)
        if deleted_to is not None and int(deleted_to) > self._read_to:
            end_gateway("rows of changes were deleted that it had not read")

    def _check_continues(self, connection: PostgresqlConnection) -> None:
        """End this gateway if the database is at an earlier state than what it has read.

        Or if a newer release has removed meanwhile what this one needs.
        """
        try:
            check_schema(connection, self._known_schema)
        except StoreUnavailableError:
            raise
        except StoreError as problem:
            if not self._is_open:
                raise
            end_gateway(str(problem))
        [last] = Snapshot(connection).single(
            "SELECT pg_sequence_last_value(pg_get_serial_sequence('changes', 'id')::regclass)"
        )
        if (last or 0) < self._read_to:
            end_gateway(WENT_BACK)

    def confirm(self, news: News) -> None:
        """Report that the rows of these news were passed on."""
        self._confirmed = max(self._confirmed, news.read_at)

    def _received(self, text: str) -> tuple[int, bytes] | None:
        """Return the sender and the bytes of a message for this gateway, once it is complete."""
        if not text:  # a commit
            return None
        try:
            return self._assembled(text)
        except ValueError:
            log.error("a message of another gateway cannot be read", text=text[:80])
            return None

    def _assembled(self, text: str) -> tuple[int, bytes] | None:
        sender, receiver, number, place, count, data = text.split(" ")
        if int(sender) == self.number or int(receiver) not in (_EVERYONE, self.number):
            return None
        key = int(sender), int(number)
        if int(place) == 1:
            self._parts[key] = []
            if len(self._parts) > MAX_INCOMPLETE:
                del self._parts[next(iter(self._parts))]
        parts = self._parts.get(key)
        if parts is None or len(parts) != int(place) - 1:  # its beginning was sent earlier
            return None
        parts.append(data)
        if int(place) < int(count):
            return None
        del self._parts[key]
        return int(sender), b"".join(map(base64.b64decode, parts))
