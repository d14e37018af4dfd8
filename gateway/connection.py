"""One client: texts in, replies out, in order.

Rules:
- Messages are answered one after the other. While one waits for something, the next wait behind it;
  from `MAX_WAITING` of them on, or `MAX_WAITING_BYTES`, the client is not read from for a while.
- Nothing is handled for a client that does not take its replies.
- One client's messages never hold up the others for much longer than `TURN`.
- No task is made for a message unless its handler waits for something.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog

from gateway.dispatch import Dispatcher
from gateway.errors import Disconnect
from gateway.session import Session

MAX_WAITING = 256
MAX_WAITING_BYTES = 128 * 1024
TURN = 0.01
"""Seconds after which one client's waiting messages let the others have a turn."""

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
        "_reading",
        "_task",
        "_transport",
        "_waiting",
        "_working",
        "session",
    )

    def __init__(self, dispatcher: Dispatcher, session: Session, transport: Transport) -> None:
        self.session = session
        self._dispatcher = dispatcher
        self._transport = transport
        self._waiting: deque[bytes] | tuple[()] = ()
        self._task: asyncio.Task[None] | None = None
        self._working = False
        self._reading = True

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
        """Answer what waits, as far as that is possible now; call again when congestion ends."""
        if self._working:
            return
        self._working = True
        handle, session, transport = self._dispatcher.handle, self.session, self._transport
        turn_ends = time.perf_counter() + TURN
        try:
            while self._waiting and self._task is None and not transport.congested:
                rest = handle(session, self._waiting.popleft())
                if rest is not None:
                    self._task = asyncio.get_running_loop().create_task(self._run(rest))
                elif self._waiting and time.perf_counter() > turn_ends:
                    self._work_soon()
                    break
        except Disconnect as end:
            self._end(end)
        finally:
            self._working = False
        self._regulate()

    async def _run(self, rest: Coroutine[Any, Any, None]) -> None:
        try:
            await rest
        except Disconnect as end:
            self._end(end)
        finally:
            self._task = None
            # The next message is not handled inside this task: one that waits gets its own.
            self._work_soon()

    def _work_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._transport.batched, self.work)

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
