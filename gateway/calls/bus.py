"""Publish and subscribe within this process: deliver each event of a topic to its listeners.

Rules:
- Publishing never awaits, and never fails because of one listener. Each listener's write buffer is
  bounded by its connection; a connection that does not read is cut without affecting others.
- A listener gets each event that is published after it subscribed, once, in order.
- After `SLICE` deliveries the event loop gets a turn; the rest of that publication follows, before
  any later publication on any topic.
- The backlog is bounded by the publishers: one that publishes continuously does so from
  `when_idle`, so that it falls behind instead of filling memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar

import orjson
import structlog

from scopegate.gateway.calls.errors import ApiError

SLICE = 64

Event = Mapping[str, object] | Sequence[object]
"""A published event: a JSON object or list."""

log = structlog.get_logger("scopegate.bus")


class Encoded(bytes):
    """A JSON object or list, encoded once for several topics."""

    __slots__ = ()


def encoded(event: Event) -> Encoded:
    """Encode an event. Raises `TypeError` unless it is a dict or list of JSON values."""
    if not isinstance(event, dict | list):
        raise TypeError(f"an event must be a dict or a list, not {type(event).__name__}")
    return Encoded(orjson.dumps(event))


class Listener(Protocol):
    """A subscriber of one topic."""

    @property
    def lists(self) -> bool:
        """Whether its events are lists; otherwise they are objects."""

    def reaches(self, loginid: str) -> bool:
        """Whether the listener may get events of this account."""

    def acts_for(self, loginid: str) -> bool:
        """Whether the listener was opened under a grant for this account."""

    def deliver(self, tail: bytes, position: int) -> None:
        """Receive one event at this position of the stream.

        `tail` is its JSON after the opening brace or bracket, with the end of the message.
        """

    def conclude(self, tail: bytes, position: int, *, ends: bool) -> None:
        """Receive the last event about one object; with `ends` the stream ends too."""

    def finish(self, error: ApiError) -> None:
        """End the stream with an error."""


class Bus:
    """Topics and their listeners."""

    def __init__(self) -> None:
        # A dict as an ordered set: listeners are served in the order in which they subscribed.
        self._topics: dict[Hashable, dict[Listener, None]] = {}
        self._backlog: deque[tuple[Iterator[Listener], Callable[[Listener], None]]] = deque()
        self._when_idle: list[Callable[[], None]] = []
        self._when_left: dict[Hashable, Callable[[], None]] = {}
        self._channels: set[str] = set()

    def claim(self, kind: str) -> bool:
        """Reserve a kind of stream for one channel. Returns false if it is already reserved."""
        taken = kind in self._channels
        self._channels.add(kind)
        return not taken

    def subscribe(self, topic: Hashable, listener: Listener) -> None:
        """Deliver events that are published on `topic` from now on to `listener`."""
        self._topics.setdefault(topic, {})[listener] = None

    def unsubscribe(self, topic: Hashable, listener: Listener) -> None:
        """Stop delivering later publications on this topic; no effect if not subscribed.

        Publications in the backlog are still delivered.
        """
        listeners = self._topics.get(topic)
        if listeners is not None:
            listeners.pop(listener, None)
            if not listeners:
                del self._topics[topic]
                left = self._when_left.pop(topic, None)
                if left is not None:
                    left()

    def has_listeners(self, topic: Hashable) -> bool:
        """Whether `topic` has a listener."""
        return topic in self._topics

    def when_left(self, topic: Hashable, callback: Callable[[], None]) -> bool:
        """Call `callback` when the last listener of `topic` unsubscribes.

        It replaces any earlier callback. Returns false, and calls nothing, if there is no listener
        now.
        """
        if topic not in self._topics:
            return False
        self._when_left[topic] = callback
        return True

    def publish(
        self,
        topic: Hashable,
        event: Event | Encoded,
        position: int = 0,
        *,
        of_account: str | None = None,
        acting_for: str | None = None,
        shown: int | None = None,
    ) -> None:
        """Deliver an object or a list at `position` of its stream.

        `shown` is the position that the message has, if the stream can be resumed.
        A listener that started at or after `position` skips it. With `of_account`, on a topic of
        one user, only listeners whose grant reaches this account get it; with `acting_for`, only
        those opened under a grant for exactly this account. Raises `TypeError` if the event is not
        JSON, or is a list where the streams of the topic have objects, or the other way round.
        """
        if topic not in self._topics:
            return
        tail = self._tail(topic, event, shown)

        def give(listener: Listener) -> None:
            if of_account is not None and not listener.reaches(of_account):
                return
            if acting_for is not None and not listener.acts_for(acting_for):
                return
            listener.deliver(tail, position)

        self._give(topic, give)

    def conclude(
        self,
        topic: Hashable,
        event: Event | Encoded,
        position: int,
        *,
        ends: bool,
        shown: int | None = None,
    ) -> None:
        """Deliver the last event about one object; with `ends` the streams end with it.

        `shown` is the position that the message has, if the stream can be resumed. Raises like
        `publish`.
        """
        if topic not in self._topics:
            return
        tail = self._tail(topic, event, shown)
        self._give(topic, lambda listener: listener.conclude(tail, position, ends=ends))

    def _tail(self, topic: Hashable, event: Event | Encoded, shown: int | None) -> bytes:
        """Return the event after its opening brace or bracket, with the end of its message."""
        text = event if isinstance(event, Encoded) else encoded(event)
        wanted = next(iter(self._topics[topic])).lists
        if (text[:1] == b"[") is not wanted:
            raise TypeError(f"events of {topic} must be {'lists' if wanted else 'objects'}")
        return text[1:] + (b"}" if shown is None else b',"position":%d}' % shown)

    def finish(self, topic: Hashable, error: ApiError) -> None:
        """End every stream of a topic with an error."""
        self._give(topic, lambda listener: listener.finish(error))

    def _give(self, topic: Hashable, give: Callable[[Listener], None]) -> None:
        listeners = self._topics.get(topic)
        if not listeners:
            return
        self._backlog.append((iter(list(listeners)), give))
        if len(self._backlog) == 1:
            self._work()

    def when_idle(self, callback: Callable[[], None]) -> None:
        """Call `callback` once all publications are delivered; at once if none is pending."""
        if self._backlog:
            self._when_idle.append(callback)
        else:
            callback()

    def _work(self) -> None:
        turns = 0
        while self._backlog:
            listeners, give = self._backlog[0]
            for listener in listeners:
                try:
                    give(listener)
                except Exception as problem:
                    log.error("a listener failed", exc_info=problem)
                turns += 1
                if turns == SLICE:
                    asyncio.get_running_loop().call_soon(self._work)
                    return
            self._backlog.popleft()
        waiting, self._when_idle = self._when_idle, []
        for callback in waiting:
            try:
                callback()
            except Exception as problem:
                log.error("a callback of the bus failed", exc_info=problem)


KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class ActiveTopics(Generic[KeyT, ValueT]):
    """Topics of the bus that are in use, each with a value, from its first listener to its last.

    A handler begins a topic before its stream is opened. If the stream is not opened, the topic is
    dropped at the next iteration, when the market next publishes.
    """

    def __init__(self, bus: Bus, topic_of: Callable[[KeyT], str]) -> None:
        self._bus = bus
        self._topic_of = topic_of
        self._values: dict[KeyT, ValueT] = {}
        self._new: set[KeyT] = set()

    def begin(self, key: KeyT, value: ValueT) -> None:
        """Add a topic that is about to get a listener, with its value."""
        self._values[key] = value
        self._new.add(key)

    def __setitem__(self, key: KeyT, value: ValueT) -> None:
        """Change the value of a topic, if it is still in use."""
        if key in self._values:
            self._values[key] = value

    def __contains__(self, key: KeyT) -> bool:
        return key in self._values

    def get(self, key: KeyT) -> ValueT | None:
        """Return the value of a topic that has a listener or is about to, else `None`."""
        return self._values.get(key)

    def __iter__(self) -> Iterator[KeyT]:
        """Iterate over the topics that have listeners, in the order in which they began."""
        new, self._new = self._new, set()
        for key in new:
            if not self._bus.when_left(self._topic_of(key), partial(self._end, key)):
                self._end(key)
        return iter(list(self._values))

    def items(self) -> list[tuple[KeyT, ValueT]]:
        """The topics that have listeners, each with its value."""
        return [(key, self._values[key]) for key in self]

    def _end(self, key: KeyT) -> None:
        if key not in self._new:  # else a listener is about to subscribe
            self._values.pop(key, None)
