"""Streams: what the gateway sends on a subscription, across lost connections.

Rules:
- A stream with positions is resumed after the last event that is in its queue. So each event is
  yielded once and in order, and what the gateway cannot send any more is a `GapError`.
- An event that another has overtaken is put into its place. If the reader has had the later one
  already it comes late. A balance is left out then if the later one is of the same account. From
  then on the stream is resumed an event earlier, because another event may be overtaken and lost.
- A queue is bounded. If its reader is too slow, the subscription is ended, and resumed once the
  reader has caught up: nothing is lost, and no other stream or call waits. A stream without
  positions keeps its latest events then, after a `GapError`.
"""

import asyncio
import bisect
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from scopegate.client.errors import CallError, ClientError, GapError, error_of

EventT = TypeVar("EventT")
Message = dict[str, Any]

MAX_WAITING = 1_000
"""Events that wait for the reader of a stream at most."""
MAX_CLOSED = 1_000
"""Closed contracts that are remembered, so that none is yielded twice."""
MAX_RECENT = 100
"""Positions of the latest events that are remembered, so that none is yielded twice."""
TRANSIENT = frozenset({"RateLimit", "StorageUnavailable", "Timeout", "InternalServerError"})
"""Errors for which a stream that was open before is subscribed to again later."""

AFTER_HISTORY = frozenset({"tick", "ohlc"})
"""What `ticks_history` sends after its first reply, which alone has the history."""


class First(Enum):
    """What the first reply of a subscription is."""

    EVENT = "the first event"
    SNAPSHOT = "the present state, which the events lead to"
    STATES = "present states, which are events each time"


class Kind(NamedTuple):
    """How a stream is resumed."""

    has_positions: bool
    first: First
    is_replaced: bool = False
    """Whether an event says nothing that the next one of its account does not say."""


KINDS: Mapping[str, Kind] = {
    "balance": Kind(True, First.SNAPSHOT, is_replaced=True),
    "proposal_open_contract": Kind(True, First.STATES),
    "ticks": Kind(True, First.EVENT),
    "transaction": Kind(True, First.SNAPSHOT),
}
"""The streams that can be resumed, by their call."""
OTHER = Kind(False, First.EVENT)


class _Event(NamedTuple):
    message: Message
    position: int | None


class Subscription:
    """A subscription of a client: it lasts until it is closed, whatever happens to connections."""

    def __init__(
        self,
        name: str,
        request: Message,
        *,
        after: int | None,
        resume: Callable[["Subscription"], None],
        forget: Callable[["Subscription"], None],
    ) -> None:
        """`resume` subscribes again, `forget` ends the subscription at the gateway."""
        self.name = name
        self.request = request
        self.req_id = 0
        """The id of the latest request for it; each has its own, so that what an earlier one still
        brings is not mistaken for its reply."""
        self.id: str | None = None
        """The id on the present connection; `None` while it has none."""
        self.is_opening = False
        """Whether the gateway was asked for it, and has not answered."""
        self.is_behind = False
        """Whether it was ended because its reader is too slow."""
        self.is_closed = False
        self.opened = asyncio.Event()
        """Set once the gateway has opened it for the first time, and at its end."""
        self.error: ClientError | None = None
        self.next: list[Subscription] = []
        """Subscriptions of the same kind that wait until this one is forgotten."""
        self._resume = resume
        self._forget = forget
        self._kind = KINDS.get(name, OTHER)
        self._ends_with_contract = "contract_id" in request
        self._positions: list[int] = [] if after is None else [after]
        """Where it began, and the positions of its latest events, in order."""
        self._is_disordered = False
        """Whether an event has overtaken another one."""
        self._read_until: dict[str, int] = {}
        """The position of the latest event of each account that was read, if they are replaced."""
        self._waiting: deque[_Event | GapError] = deque()
        self._news = asyncio.Event()
        self._sold: dict[int, None] = {}
        self.thread = threading.get_ident()
        self.loop = asyncio.get_running_loop()

    def message(self) -> Message:
        """The request, which resumes after the last event if there was one."""
        message = {"req_id": self.req_id, **self.request}
        if self._kind.has_positions and self._positions:
            resume = self._resume_after
            message["passthrough"] = {**message.get("passthrough", {}), "resume": resume}
        return message

    @property
    def _resume_after(self) -> int:
        [position, *_] = self._positions[-2 if self._is_disordered else -1 :]
        return position

    @property
    def _position(self) -> int | None:
        """The position of the latest event, or where it began."""
        return self._positions[-1] if self._positions else None

    # What arrives.

    def lost(self) -> None:
        """Called when the connection is lost."""
        self.id = None
        self.is_opening = False

    def received(self, message: Message) -> CallError | None:
        """Take a message of the subscription; return an error for which it is tried again."""
        if "error" in message:
            return self._failed(message)
        if self.is_behind:
            return None
        if (
            self.is_opening
            and self.name == "ticks_history"
            and message["msg_type"] in AFTER_HISTORY
        ):
            return None  # the reply is lost, which the client notices
        begins, self.is_opening = self.is_opening, False
        if begins:
            self._begun(message)
        elif not self._is_duplicate(message):
            self._put(message)
        if self._ends_with_contract and "subscription" not in message:
            self.end(None)
        return None

    def _failed(self, message: Message) -> CallError | None:
        error = error_of(message)
        if error.code == "ServiceRestart":
            return None  # the connection ends next, and another one follows
        self.is_opening = False
        self.id = None
        if error.code in TRANSIENT and self.opened.is_set() and not self.is_closed:
            return error
        self.end(error)
        return None

    def _begun(self, message: Message) -> None:
        """Take the first reply."""
        is_first = not self.opened.is_set()
        self.id = message.get("subscription", {}).get("id")
        self.opened.set()
        position = message.get("position")
        resumed = bool(self._positions) and self._kind.has_positions
        gap = message.get("gap")
        if gap is not None:
            after, until = gap["after"], gap["until"]
            if resumed and after == self._resume_after:
                after = min(self._positions[-1], until)  # it may be an event earlier than this
            if after != until:
                self._append(GapError(self.name, after, until))
            # It may go back: then the gateway has lost what it had.
            self._positions = [] if position is None else [position]
        elif not self._kind.has_positions and not is_first:
            self._append(GapError(self.name))
        if self._kind.first is First.EVENT:
            if gap is not None or not self._is_duplicate(message):
                self._put(message)
        elif self._kind.first is First.STATES:
            self._begin_at(position)
            if not self._is_duplicate(message):
                self._put(message)
        else:
            self._begin_at(position)
            # The snapshot that resumes a stream has the position of the request. If it was lost,
            # this is the first event.
            if not resumed or not self._is_duplicate(message):
                self._put(message)
        if self.id is None:  # the only reply: there is no stream
            self.end(None)

    def _begin_at(self, position: int | None) -> None:
        if not self._positions and position is not None:
            self._positions = [position]

    def _is_duplicate(self, message: Message) -> bool:
        """Whether an event was seen before, or is a state of a contract whose end was."""
        position = message.get("position")
        if position is None:
            return False
        if self._kind.first is First.STATES:
            return message[message["msg_type"]].get("contract_id") in self._sold
        latest = self._position
        if latest is None or position > latest:
            return False
        return position < self._positions[0] or position in self._positions

    def _put(self, message: Message) -> None:
        body = message.get(message["msg_type"])
        if isinstance(body, dict) and body.keys() <= {"id"}:
            return  # there is nothing yet, such as no open contract
        position = message.get("position")
        if len(self._waiting) >= MAX_WAITING:
            self._overflown()
            if self.is_behind:
                self._is_disordered |= (position or 0) < (self._position or 0)
                return
        if position is not None and self._kind.first is First.STATES:
            self._note_end(message)
        elif position is not None:
            is_overtaken = self._position is not None and position < self._position
            self._remember(position)
            if is_overtaken:
                self._put_late(message, position)
                return
        self._append(_Event(message, self._position))

    def _put_late(self, message: Message, position: int) -> None:
        """Put an event that was overtaken before those after it, as far as they still wait."""
        self._is_disordered = True
        if position < self._read_until.get(_account_of(message), 0):
            return
        place = len(self._waiting)
        while place:
            item = self._waiting[place - 1]
            if isinstance(item, GapError) or (item.position or 0) < position:
                break
            place -= 1
        if place < len(self._waiting):
            self._waiting.insert(place, _Event(message, position))
        else:
            self._append(_Event(message, self._position))

    def _remember(self, position: int) -> None:
        """Note that an event was in the queue."""
        if position not in self._positions:
            bisect.insort(self._positions, position)
            del self._positions[:-MAX_RECENT]

    def _note_end(self, message: Message) -> None:
        """Note whether this is the end of a contract."""
        # Several contracts may be closed by one commit, so the position of a message may include a
        # sale that only the next message shows. The sale that this one shows is certain.
        contract = message[message["msg_type"]]
        if contract.get("is_sold"):
            position = contract["transaction_ids"]["sell"]
            self._is_disordered |= position < (self._position or 0)
            self._remember(position)
            self._sold[contract["contract_id"]] = None
            if len(self._sold) > MAX_CLOSED:
                del self._sold[next(iter(self._sold))]

    def _overflown(self) -> None:
        if self._kind.has_positions:
            self.is_behind = True
            self._forget(self)
        else:
            self._waiting.clear()
            self._append(GapError(self.name))

    def _append(self, item: _Event | GapError) -> None:
        self._waiting.append(item)
        self._news.set()

    def end(self, error: ClientError | None) -> None:
        """End it for the reader, once it has read what waits: with an error, or without."""
        if not self.is_closed:
            self.is_closed = True
            self.error = error
            self.opened.set()
            self._news.set()

    # What is read.

    async def read(self) -> _Event:
        """Return the next event.

        Raises `GapError` where events are missing, the error that ended it, or
        `StopAsyncIteration`.
        """
        while not self._waiting:
            if self.is_closed:
                if self.error is not None:
                    raise self.error.with_traceback(None)  # else it grows each time
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        item = self._waiting.popleft()
        if self.is_behind and len(self._waiting) <= MAX_WAITING // 2:
            self.is_behind = False
            self._resume(self)
        if isinstance(item, GapError):
            raise item
        position = item.message.get("position")
        if self._kind.is_replaced and position is not None:
            account = _account_of(item.message)
            self._read_until[account] = max(position, self._read_until.get(account, 0))
        return item

    def close(self) -> None:
        """End it here and at the gateway; what waits is dropped."""
        self._waiting.clear()
        if not self.is_closed:
            self.end(None)
            self._forget(self)


def _account_of(message: Message) -> str:
    """Return the loginid of the account that a message is about; empty if it names none."""
    loginid: str = message[message["msg_type"]].get("loginid", "")
    return loginid


class Stream(Generic[EventT]):
    """The events of a subscription, as they arrive: iterate over it with `async for`.

    The iteration ends when the stream or its client is closed. It goes on over lost connections.
    Close a stream with `aclose`, or use it in `async with`, which also waits until it is open. A
    stream that nothing refers to is closed by itself.
    """

    def __init__(self, subscription: Subscription, part: Callable[[Message], Any]) -> None:
        """`part` returns what is yielded of a message."""
        self._subscription = subscription
        self._part = part
        self.position: int | None = None
        """The position of the last event that was yielded. Give it as `after` to continue from
        there, for example after a restart of your program."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EventT:
        """Return the next event. Raises `GapError` where events are missing."""
        event = await self._subscription.read()
        self.position = event.position
        part: EventT = self._part(event.message)
        return part

    async def __aenter__(self) -> Self:
        await self._subscription.opened.wait()
        if self._subscription.error is not None:
            raise self._subscription.error.with_traceback(None)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream. Its iteration ends."""
        self._subscription.close()

    def __del__(self) -> None:
        subscription = self._subscription
        if subscription.is_closed:
            return
        if subscription.thread == threading.get_ident():
            subscription.close()
        else:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                subscription.loop.call_soon_threadsafe(subscription.close)
