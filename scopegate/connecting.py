"""Connections of clients: which clients may connect, and how a connection is created."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from scopegate.gateway.access.apps import TEST_APP
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.call_log import CallLog
from scopegate.gateway.calls.counting import Claim, ConcurrencyLimiter, RateLimiter
from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.scheduling import Scheduler
from scopegate.gateway.calls.session import Session, unsigned_holder
from scopegate.gateway.calls.token_form import without_tokens
from scopegate.gateway.transport.connection import Connection, Transport
from scopegate.gateway.transport.handshake import Handshake
from scopegate.runtime.metrics import Metric, counter, counters, gauge

_OPENED, _REFUSED = "opened", "refused"


@dataclass(frozen=True, slots=True)
class Connect:
    """Creates the connection of a client."""

    dispatcher: Dispatcher
    scheduler: Scheduler
    access: Access
    limiter: RateLimiter
    connections: ConcurrencyLimiter
    any_app_id: bool
    """Whether an unknown app_id counts as the test app."""
    catch_up: Callable[[], object]
    """Takes in what other worker processes have committed, such as a new app."""
    log: CallLog | None = None
    """Logs the end of each connection, if that is wanted."""
    joined: Callable[[Session], None] | None = None
    """Called with each new session, if the settings have faults."""
    _counts: Counter[str] = field(default_factory=Counter)
    _closed: Counter[str] = field(default_factory=Counter)
    """Ended connections, by the code with which the gateway closed them."""

    def refusal(self, handshake: Handshake) -> str | None:
        """Return the limit that refuses this connection, or `None`. Counts as a message."""
        holder = unsigned_holder(handshake.address, handshake.origin, handshake.host)
        broken = self.connections.broken_by([holder], self._connection)
        broken = broken or self.limiter.count_message(self.limiter.counts(holder.key), 0)
        if broken is not None:
            self._counts[_REFUSED] += 1
        return broken

    @property
    def _connection(self) -> list[Claim]:
        return [Claim("connections", self.limiter.profile.connections_per_address)]

    def __call__(
        self, handshake: Handshake, send: Callable[[bytes], None], transport: Transport
    ) -> Connection:
        """Create the connection of this client over this transport."""
        self.catch_up()
        session = Session(
            send,
            app_id=self._app_id(handshake.app_id),
            address=handshake.address,
            language=without_tokens(handshake.language),
            user_agent=without_tokens(handshake.user_agent),
            origin=without_tokens(handshake.origin),
            host=handshake.host,
            proxied=handshake.proxied,
            secure=handshake.secure,
        )
        self.access.join(session)
        self.connections.take((session.unsigned,), self._connection)
        session.on_leave(partial(self._left, session, time.monotonic()))
        self._counts[_OPENED] += 1
        connection = Connection(self.dispatcher, self.scheduler, session, transport)
        if self.joined is not None:
            self.joined(session)
        return connection

    def _left(self, session: Session, since: float) -> None:
        self.access.leave(session)
        self.connections.give_back((session.unsigned,), self._connection)
        code = "client" if session.close_code is None else str(session.close_code)
        self._closed[code] += 1
        if self.log is not None:
            self.log.ended(session, time.monotonic() - since, code)

    def metrics(self) -> Iterator[Metric]:
        """Return what was counted."""
        opened, closed = self._counts[_OPENED], self._closed.total()
        yield counter("connections_opened", "Connections that were opened.", opened)
        yield gauge("connections", "Connections that are open.", opened - closed)
        yield counters(
            "connections_closed",
            "Connections that have ended, by the close code of the gateway, or client.",
            "code",
            self._closed,
        )
        yield counter(
            "connections_refused",
            "Connections that were refused by a limit, with status 429.",
            self._counts[_REFUSED],
        )

    def _app_id(self, text: str) -> int | None:
        """Return the app that a client names; `None` if there is no such app.

        With `any_app_id`, an unknown number is the test app.
        """
        if not _is_app_id(text):
            return None
        app_id = int(text)
        if self.access.app(app_id) is not None:
            return app_id
        return TEST_APP if self.any_app_id else None


def _is_app_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15
