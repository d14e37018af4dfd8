"""One client's messages, answered in order.

Rules:
- Messages are answered one at a time. While a handler waits for something, later messages are
  buffered; at `MAX_WAITING` of them, or `MAX_WAITING_BYTES`, reading pauses until none is left.
- No message is handled while its client is congested, that is, does not read its replies.
- Clients are served in turn (`gateway.calls.scheduling`), so a client's messages delay the others
  by little more than a turn.
- A message gets a task only if its handler waits for something, or is not called eagerly (a
  plugin's handler with an `await`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.errors import ApiError, Disconnect
from scopegate.gateway.calls.scheduling import ClientLoad, Scheduler
from scopegate.gateway.calls.session import Handler, Interceptor, Recognizer, Session

MAX_WAITING = 256
MAX_WAITING_BYTES = 128 * 1024
ABNORMAL = 1006
"""The close code of a connection that ended without a close frame."""


class Transport(Protocol):
    """Carries the messages of a connection: a WebSocket, or queues in a test."""

    congested: bool
    """Whether the client reads too slowly: its write buffer is full."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection after everything that was sent before."""

    def abort(self) -> None:
        """Close the connection at once, without a close frame."""

    def go_silent(self) -> None:
        """Neither read nor write any more, and leave the connection open."""

    def batched(self, work: Callable[[], None]) -> None:
        """Call `work`, and send all its output in one write."""

    def pause(self) -> None:
        """Pause reading."""

    def resume(self) -> None:
        """Resume reading."""


class _Observed:
    """Calls a function with each message before it is handled."""

    __slots__ = ("_handler", "_received")

    def __init__(self, handler: Handler, received: Callable[[bytes], None]) -> None:
        self._handler = handler
        self._received = received

    def handle(
        self, session: Session, text: bytes, instead: ApiError | None = None
    ) -> Coroutine[Any, Any, None] | None:
        """Handle one message, as the handler does."""
        self._received(text)
        return self._handler.handle(session, text, instead)


class Connection:
    """Feeds one client's messages to the dispatcher."""

    __slots__ = (
        "_dispatcher",
        "_grants",
        "_handler",
        "_interceptor",
        "_load",
        "_observer",
        "_reading",
        "_scheduler",
        "_task",
        "_transport",
        "_waiting",
        "_working",
        "queued",
        "session",
    )

    def __init__(
        self,
        dispatcher: Dispatcher,
        scheduler: Scheduler,
        session: Session,
        transport: Transport,
    ) -> None:
        self.session = session
        session.disconnect = self._end
        session.link = self
        session.output = transport
        self._dispatcher = dispatcher
        self._handler: Handler = dispatcher
        self._interceptor: Interceptor | None = None
        self._observer: Callable[[bytes], None] | None = None
        self._scheduler = scheduler
        self._transport = transport
        self._waiting: deque[bytes] | tuple[()] = ()
        self._task: asyncio.Task[None] | None = None
        self._working = False
        self._reading = True
        self._grants = session.grants
        self._load = scheduler.load(session.client, signed_in=bool(session.grants))
        self.queued = False

    @property
    def waiting_bytes(self) -> int:
        """Total size in bytes of the messages that wait to be answered."""
        return sum(map(len, self._waiting))

    @property
    def busy(self) -> bool:
        """Whether a message is being answered or waits to be."""
        return self._task is not None or bool(self._waiting)

    def receive(self, texts: list[bytes]) -> None:
        """Answer these messages, or queue them behind those that wait."""
        if self.session.closed:
            return
        if self._waiting:
            self._waiting.extend(texts)
        else:
            self._waiting = deque(texts)
        self.work()

    def receive_one(self, text: bytes) -> None:
        """Answer this message, or queue it behind those that wait: `receive` for one message."""
        if (
            self._waiting
            or self._task is not None
            or self._working
            or self.queued
            or self.session.closed
            or self._transport.congested
        ):
            self.receive([text])
            return
        scheduler = self._scheduler
        load = self._load if self.session.grants is self._grants else self._client_load()
        began = scheduler.begin(load)
        if began is None:
            self._waiting = deque((text,))
            scheduler.wait(load, self)
            return
        self._working = True
        try:
            rest = self._handler.handle(self.session, text)
            if rest is not None:
                self._start(rest)
        except Disconnect as end:
            self._end(end)
        finally:
            self._working = False
            scheduler.end(load, began)

    def work(self) -> None:
        """Answer waiting messages when it is the client's turn; call again when congestion ends."""
        self.session.reads_again()
        if self._working or self._task is not None or self.queued or not self._waiting:
            self._regulate()
            return
        self._scheduler.run(self._client_load(), self)
        if self.queued:
            self._regulate()

    def _client_load(self) -> ClientLoad:
        grants = self.session.grants
        if grants is not self._grants:  # the client has signed in or out
            self._grants = grants
            session = self.session
            self._load = self._scheduler.load(session.client, signed_in=bool(session.grants))
        return self._load

    def serve(self, until: float) -> bool:
        """Answer waiting messages until `until`, in the scheduler's time.

        Return whether further messages can be answered at once.
        """
        self._working = True
        handle, session, transport = self._handler.handle, self.session, self._transport
        now = self._scheduler.now
        try:
            while self._waiting and self._task is None and not transport.congested:
                rest = handle(session, self._waiting.popleft())
                if rest is not None:
                    self._start(rest)
                elif self._waiting and now() > until:
                    break
        except Disconnect as end:
            self._end(end)
        finally:
            self._working = False
        self._regulate()
        return bool(self._waiting) and self._task is None and not transport.congested

    def turn(self, until: float) -> bool:
        """Call `serve`, and send the replies in one write."""
        more = False

        def work() -> None:
            nonlocal more
            more = self.serve(until)

        self._transport.batched(work)
        return more

    def _start(self, rest: Coroutine[Any, Any, None]) -> None:
        load: ClientLoad | None = self._load
        if self.session.only_waits:  # so it is no handler of its client
            self.session.only_waits = False
            load = None
        if load is not None:
            self._scheduler.started(load)
        self._task = asyncio.get_running_loop().create_task(self._run(rest, load))

    async def _run(self, rest: Coroutine[Any, Any, None], load: ClientLoad | None) -> None:
        try:
            await self._scheduler.charged(self._load, rest)
        except Disconnect as end:
            self._end(end)
        finally:
            self._task = None
            if load is not None:
                self._scheduler.finished(load)
            # Not handled inside this task: a message whose handler waits gets a task of its own.
            if self._waiting and not self.queued:
                self._scheduler.wait(self._client_load(), self)

    @property
    def dispatcher(self) -> Recognizer:
        """What handles messages where no fault acts."""
        return self._dispatcher

    def divert(self, through: Interceptor | None) -> None:
        """Let an interceptor handle messages, or the dispatcher again."""
        self._interceptor = through
        self._handler = self._dispatcher if through is None else through
        if self._observer is not None:
            self._handler = _Observed(self._handler, self._observer)

    def observe(self, received: Callable[[bytes], None]) -> None:
        """Call a function with each message of the client before it is handled."""
        self._observer = received
        self.divert(self._interceptor)

    def cut(self, code: int | None) -> None:
        """End the connection at once: with a close code, or without a close frame."""
        if code is None:
            self.session.close_code = ABNORMAL
            self._transport.abort()
            self.leave()
        else:
            self._end(Disconnect(code, "a fault that was asked for"))

    def go_silent(self) -> None:
        """Neither read nor write any more, and leave the connection open."""
        self._waiting = ()
        self._transport.go_silent()

    def flush(self) -> None:
        """Send what an interceptor has not sent yet: the connection is about to close."""
        if self._interceptor is not None:
            self._interceptor.flush()

    def _end(self, end: Disconnect) -> None:
        self.flush()
        self.session.close_code = end.code
        self._transport.close(end.code, end.reason)
        self.leave()

    def _regulate(self) -> None:
        waiting = self._waiting
        if not waiting:
            self._waiting = ()
            if not self._reading:
                self._reading = True
                self._transport.resume()
        elif self._reading and (
            len(waiting) >= MAX_WAITING or self.waiting_bytes >= MAX_WAITING_BYTES
        ):
            self._reading = False
            self._transport.pause()

    def leave(self) -> None:
        """Stop answering, and close the session. Called when the client is gone."""
        self._waiting = ()
        if self._task is not None and self._task is not asyncio.current_task():
            # Not at once: a task cancelled before its first step would never await its coroutine.
            asyncio.get_running_loop().call_soon(self._task.cancel)
        self.session.close()
