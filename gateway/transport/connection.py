"""One client: texts in, replies out, in order.

Rules:
- Messages are answered one after the other. While one waits for something, the next wait behind it;
  from `MAX_WAITING` of them on, or `MAX_WAITING_BYTES`, the client is not read from for a while.
- Nothing is handled for a client that does not take its replies.
- Clients are served in turn (`gateway.calls.scheduling`), so no client's messages delay the others
  for much longer than a turn.
- No task is made for a message unless its handler waits for something.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog

from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.errors import Disconnect
from scopegate.gateway.calls.scheduling import ClientLoad, Scheduler
from scopegate.gateway.calls.session import Session

MAX_WAITING = 256
MAX_WAITING_BYTES = 128 * 1024

log = structlog.get_logger("scopegate.connection")


class Transport(Protocol):
    """What carries a connection's messages: a WebSocket, or queues in a test."""

    congested: bool
    """Whether the client has fallen behind in taking what was sent."""

    def close(self, code: int, reason: str) -> None:
        """End the connection after what was sent."""

    def batched(self, work: Callable[[], None]) -> None:
        """Do something, and send in one go what it brings about."""

    def pause(self) -> None:
        """Read nothing more for now."""

    def resume(self) -> None:
        """Read again."""


class Connection:
    """Feeds one client's messages to the dispatcher."""

    __slots__ = (
        "_dispatcher",
        "_grants",
        "_load",
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
        self._dispatcher = dispatcher
        self._scheduler = scheduler
        self._transport = transport
        self._waiting: deque[bytes] | tuple[()] = ()
        self._task: asyncio.Task[None] | None = None
        self._working = False
        self._reading = True
        self._grants = session.grants
        self._load = scheduler.load(session.client)
        self.queued = False

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the messages that wait to be answered."""
        return sum(map(len, self._waiting))

    @property
    def busy(self) -> bool:
        """Whether a message is being answered or waits to be."""
        return self._task is not None or bool(self._waiting)

    def receive(self, texts: list[bytes]) -> None:
        """Answer these messages, or put them behind those that wait."""
        if self.session.closed:
            return
        if self._waiting:
            self._waiting.extend(texts)
        else:
            self._waiting = deque(texts)
        self.work()

    def work(self) -> None:
        """Answer what waits, in the client's turn; call again when congestion ends."""
        if self._working or self._task is not None or self.queued or not self._waiting:
            self._regulate()
            return
        self._scheduler.run(self._client_load(), self)
        if self.queued:
            self._regulate()

    def _client_load(self) -> ClientLoad:
        grants = self.session.grants
        if grants is not self._grants:  # it has signed in or out
            self._grants = grants
            self._load = self._scheduler.load(self.session.client)
        return self._load

    def serve(self, until: float) -> bool:
        """Answer what waits, until this moment; whether more could be answered at once."""
        self._working = True
        handle, session, transport = self._dispatcher.handle, self.session, self._transport
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
        """Do the same, and send the replies in one go."""
        more = False

        def work() -> None:
            nonlocal more
            more = self.serve(until)

        self._transport.batched(work)
        return more

    def _start(self, rest: Coroutine[Any, Any, None]) -> None:
        # A refused connection only waits, and delays no other client.
        load = None if self.session.turned_away else self._load
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
            # The next message is not handled inside this task: one that waits gets its own.
            if self._waiting and not self.queued:
                self._scheduler.wait(self._client_load(), self)

    def _end(self, end: Disconnect) -> None:
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
        """The client is gone: stop answering, and undo what the session holds."""
        self._waiting = ()
        if self._task is not None and self._task is not asyncio.current_task():
            # Not at once: a coroutine that is cancelled before its first step was never awaited.
            asyncio.get_running_loop().call_soon(self._task.cancel)
        self.session.close()
