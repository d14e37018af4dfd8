"""Puts faults between a connection and the dispatcher.

Rules:
- A connection without faults has no injector, and pays nothing. With one, each of its messages is
  parsed once more.
- The calls about faults themselves are never affected, so a fault can always be ended; nor is a
  reply to a message that began before the fault.
- What is delayed keeps its order, and is bounded by `MAX_DELAYED`: beyond it the client is cut off.
- An event that is held back is sent after the next event of its stream, but before any reply, and
  at the latest after `MAX_HOLD`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import orjson
import structlog

from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.faults import (
    Asked,
    Course,
    Cut,
    Effect,
    End,
    EndToken,
    Message,
    Sent,
    Silence,
)
from scopegate.gateway.calls.session import Link, Recognizer, Session

T = TypeVar("T")

MAX_DELAYED = 1024 * 1024
"""Bytes that wait to be sent to one client."""
MAX_HOLD = 2.0
"""Real seconds for which an event is held back if no other message follows."""
EXEMPT = frozenset({"fault_end", "fault_kinds", "fault_list", "fault_start"})
"""The calls that no fault affects."""

log = structlog.get_logger("scopegate.faults")


class Injector:
    """The faults of one connection, between its messages and the dispatcher."""

    def __init__(
        self,
        session: Session,
        link: Link,
        dispatcher: Recognizer,
        end_token: Callable[[Session], Awaitable[None]],
    ) -> None:
        self._session = session
        self._link = link
        self._dispatcher = dispatcher
        self._end_token = end_token
        self._effects: dict[Course, Effect[Any]] = {}
        self._call: str | None = None
        """The call that is being answered; `None` if its replies are not affected."""
        self._silent = False
        self._ends_token = False
        self._send = session.send
        self._held: list[bytes] = []
        self._held_of: Message = {}
        """The event that is held back."""
        self._delay_of_held = 0.0
        self._hold: asyncio.TimerHandle | None = None
        self._delayed: deque[tuple[float, bytes]] = deque()
        self._delayed_bytes = 0
        self._sending: asyncio.TimerHandle | None = None
        session.on_leave(self._left)

    def set(self, courses: Iterable[Course]) -> None:
        """Let these faults act, and no others; those that act already go on."""
        before = self._effects
        self._effects = {course: before.get(course) or course.begin() for course in courses}
        if self._effects and not before:
            self._session.divert(self.reply, self.event)
            self._link.divert(self)
        elif before and not self._effects:
            self.flush()
            if not self._silent:
                self._session.divert(self._send, self._send)
                self._link.divert(None)

    # Messages of the client.

    def handle(
        self, session: Session, text: bytes, instead: ApiError | None = None
    ) -> Coroutine[Any, Any, None] | None:
        """Handle one message, as `Dispatcher.handle` does, with the faults that strike."""
        if self._silent:
            return None
        call = self._dispatcher.call_of(text)
        self._call = None
        if call in EXEMPT:
            return self._dispatcher.handle(session, text)
        asked = Asked(call)
        for effect in self._effects.values():
            self._apply(effect, effect.asked, asked)
        if isinstance(asked.end, EndToken):
            return self._handle_without_token(session, text, asked)
        if asked.end is not None:
            self._end(asked.end)
            return None
        self._call = call
        rest = self._dispatcher.handle(session, text, asked.error)
        return self._finish(rest) if rest is not None or self._ends_token else None

    async def _handle_without_token(self, session: Session, text: bytes, asked: Asked) -> None:
        await self._end_token(session)
        self._call = asked.call
        await self._finish(self._dispatcher.handle(session, text, asked.error))

    async def _finish(self, rest: Coroutine[Any, Any, None] | None) -> None:
        """Do the rest of a message, and end the token if a fault asks for it."""
        if rest is not None:
            await rest
        if self._ends_token:
            self._ends_token = False
            await self._end_token(self._session)

    # Messages to the client.

    def reply(self, text: bytes) -> None:
        """Send a reply, with the faults that strike."""
        self._release()
        if self._call is None:
            self._put(text, 0.0)
        else:
            self._show(Sent(self._call, [orjson.loads(text)]), text)

    def event(self, text: bytes) -> None:
        """Send an event of a stream, with the faults that strike."""
        self._show(Sent(None, [orjson.loads(text)], may_hold=not self._held), text)

    def _show(self, sent: Sent, text: bytes) -> None:
        if self._silent or self._session.closed:
            return
        [original] = sent.messages
        for effect in self._effects.values():
            self._apply(effect, effect.sent, sent)
        texts = [
            text if message is original else orjson.dumps(message) for message in sent.messages
        ]
        if sent.held:
            self._held, self._held_of, self._delay_of_held = texts, original, sent.delay
            loop = asyncio.get_running_loop()
            self._hold = loop.call_later(MAX_HOLD, self._release)
        else:
            for each in texts:
                self._put(each, sent.delay)
            if sent.is_event and self._held and texts and _follows(original, self._held_of):
                self._release()
        if sent.end is not None:
            self._end(sent.end)

    def _apply(self, effect: Effect[Any], hook: Callable[[T], None], message: T) -> None:
        """Let a fault change a message; if it fails, the message stays as it was until then."""
        try:
            hook(message)
        except Exception as problem:
            log.error(
                "a fault failed",
                session=self._session.id,
                kind=effect.fault.kind,
                exc_info=problem,
            )

    def _release(self) -> None:
        """Send the event that is held back."""
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        held, self._held = self._held, []
        for text in held:
            self._put(text, self._delay_of_held)

    def _put(self, text: bytes, delay: float) -> None:
        """Send this once `delay` has passed, and everything before it is sent."""
        if self._silent or self._session.closed:
            return
        if not delay and not self._delayed:
            self._send(text)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        if self._delayed:
            due = max(due, self._delayed[-1][0])
        self._delayed.append((due, text))
        self._delayed_bytes += len(text)
        if self._delayed_bytes > MAX_DELAYED:
            log.warning("disconnected a client with too much delayed", session=self._session.id)
            self._link.cut(None)
        elif self._sending is None:
            self._sending = loop.call_at(due, self._send_due)

    def _send_due(self) -> None:
        self._sending = None
        loop = asyncio.get_running_loop()
        while self._delayed and self._delayed[0][0] <= loop.time():
            self._send_first()
        if self._delayed:
            self._sending = loop.call_at(self._delayed[0][0], self._send_due)

    def _send_first(self) -> None:
        _, text = self._delayed.popleft()
        self._delayed_bytes -= len(text)
        self._send(text)

    def flush(self) -> None:
        """Send at once what is delayed or held back."""
        self._release()
        while self._delayed:
            self._send_first()
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    # The end.

    def _end(self, end: End) -> None:
        if isinstance(end, Cut):
            self.flush()
            self._link.cut(end.code)
        elif isinstance(end, Silence):
            self.flush()
            self._silent = True
            self._link.go_silent()
        else:
            self._ends_token = True

    def _left(self) -> None:
        """Drop what was not sent: the connection has ended."""
        for timer in (self._hold, self._sending):
            if timer is not None:
                timer.cancel()
        self._held = []
        self._delayed.clear()
        self._effects = {}


def _follows(event: Message, earlier: Message) -> bool:
    """Whether an event is of the stream of an earlier one. The last of a stream may not name it."""
    name = "subscription" if "subscription" in event else "msg_type"
    return bool(event.get(name) == earlier.get(name))
