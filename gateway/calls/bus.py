"""Hands what happens on a topic to everybody who listens to it, in this process.

Rules:
- Publishing never awaits and never fails for one listener's sake. Each listener's own write buffer
  is bounded by its connection, which is cut alone when it does not read.
- A listener gets what is published after it subscribed, once each, in order.
- After `SLICE` deliveries the event loop gets a turn; the rest of that publication follows, before
  any later publication on any topic.
- What waits to be delivered is bounded by its publishers: whoever publishes without end does so by
  `when_idle`, and falls behind instead of filling the memory.
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
"""What is published: a JSON object or list."""

log = structlog.get_logger("scopegate.bus")


class Encoded(bytes):
    """A JSON object or list, encoded once for several topics."""

    __slots__ = ()


def encoded(event: Event) -> Encoded:
    """Encode an event. Raises `TypeError` for what is neither an object nor a list of JSON."""
    if not isinstance(event, dict | list):
        raise TypeError(f"an event is a dict or a list, not {type(event).__name__}")
    return Encoded(orjson.dumps(event))


class Listener(Protocol):
    """Somebody who listens to one topic."""

    @property
    def lists(self) -> bool:
        """Whether it takes lists; else it takes objects."""

    def reaches(self, loginid: str) -> bool:
        """Whether the listener may get events of this account."""

    def acts_for(self, loginid: str) -> bool:
        """Whether the listener was opened by a client that acts for this account."""

    def deliver(self, tail: bytes, position: int) -> None:
        """Take one event: its JSON after the opening brace or bracket, and where it stands."""

    def conclude(self, tail: bytes, position: int, *, ends: bool) -> None:
        """Take the last event of what the object tells of; with `ends` that of the stream too."""

    def finish(self, error: ApiError) -> None:
        """Take it that the stream has ended with an error."""


class Bus:
    """Topics and their listeners."""

    def __init__(self) -> None:
        # A dict as an ordered set: listeners are served in the order in which they came.
        self._topics: dict[Hashable, dict[Listener, None]] = {}
        self._backlog: deque[tuple[Iterator[Listener], Callable[[Listener], None]]] = deque()
        self._when_idle: list[Callable[[], None]] = []
        self._when_left: dict[Hashable, Callable[[], None]] = {}
        self._channels: set[str] = set()

    def claim(self, kind: str) -> bool:
        """Take a kind of streams for one channel; false if it is taken."""
        taken = kind in self._channels
        self._channels.add(kind)
        return not taken

    def subscribe(self, topic: Hashable, listener: Listener) -> None:
        """Deliver to `listener` what is published on `topic` from now on."""
        self._topics.setdefault(topic, {})[listener] = None

    def unsubscribe(self, topic: Hashable, listener: Listener) -> None:
        """Deliver nothing more on this topic; harmless when it is not subscribed."""
        listeners = self._topics.get(topic)
        if listeners is not None:
            listeners.pop(listener, None)
            if not listeners:
                del self._topics[topic]
                left = self._when_left.pop(topic, None)
                if left is not None:
                    left()

    def has_listeners(self, topic: Hashable) -> bool:
        """Whether anybody would get what is published on `topic`."""
        return topic in self._topics

    def when_left(self, topic: Hashable, callback: Callable[[], None]) -> bool:
        """Call this, and nothing given before, once nobody listens to `topic` any more.

        False, and nothing is called, if nobody listens now.
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
    ) -> None:
        """Deliver an object or a list that stands at `position` of its stream.

        A listener that started at or after `position` skips it. With `of_account`, on a topic of
        one user's, only listeners whose grant reaches this account get it; with `acting_for`
        only those that act for this very account, whoever else listens. Raises `TypeError` for
        what is not JSON, and for a list where the streams of the topic have objects, or the other
        way round.
        """
        if topic not in self._topics:
            return
        tail = self._tail(topic, event)

        def give(listener: Listener) -> None:
            if of_account is not None and not listener.reaches(of_account):
                return
            if acting_for is not None and not listener.acts_for(acting_for):
                return
            listener.deliver(tail, position)

        self._give(topic, give)

    def conclude(
        self, topic: Hashable, event: Event | Encoded, position: int, *, ends: bool
    ) -> None:
        """Deliver the last that is told of something; with `ends` the streams end with it.

        Raises as `publish`.
        """
        if topic not in self._topics:
            return
        tail = self._tail(topic, event)
        self._give(topic, lambda listener: listener.conclude(tail, position, ends=ends))

    def _tail(self, topic: Hashable, event: Event | Encoded) -> bytes:
        """What follows the opening brace or bracket of an event, with the end of its message."""
        text = event if isinstance(event, Encoded) else encoded(event)
        wanted = next(iter(self._topics[topic])).lists
        if (text[:1] == b"[") is not wanted:
            raise TypeError(f"the streams of {topic} have {'lists' if wanted else 'objects'}")
        return text[1:] + b"}"

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
        """Call once everything that was published is delivered: at once, if it is."""
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
                log.error("what waited for the bus failed", exc_info=problem)


KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class ActiveTopics(Generic[KeyT, ValueT]):
    """What is told on topics of the bus, each from its first listener to its last.

    A handler begins a topic before its stream is opened; if it is not opened, the topic is dropped
    when the market next tells something.
    """

    def __init__(self, bus: Bus, topic_of: Callable[[KeyT], str]) -> None:
        self._bus = bus
        self._topic_of = topic_of
        self._values: dict[KeyT, ValueT] = {}
        self._new: set[KeyT] = set()

    def begin(self, key: KeyT, value: ValueT) -> None:
        """Somebody is about to listen; `value` is what is known of the topic."""
        self._values[key] = value
        self._new.add(key)

    def __setitem__(self, key: KeyT, value: ValueT) -> None:
        """Change what is known of a topic, if somebody still listens to it."""
        if key in self._values:
            self._values[key] = value

    def __contains__(self, key: KeyT) -> bool:
        return key in self._values

    def get(self, key: KeyT) -> ValueT | None:
        """What is known of a topic that somebody listens to, or is about to."""
        return self._values.get(key)

    def __iter__(self) -> Iterator[KeyT]:
        """The topics that somebody listens to, in the order in which they began."""
        new, self._new = self._new, set()
        for key in new:
            if not self._bus.when_left(self._topic_of(key), partial(self._end, key)):
                self._end(key)
        return iter(list(self._values))

    def items(self) -> list[tuple[KeyT, ValueT]]:
        """The topics that somebody listens to, and what is known of each."""
        return [(key, self._values[key]) for key in self]

    def _end(self, key: KeyT) -> None:
        if key not in self._new:  # else somebody is about to listen again
            self._values.pop(key, None)
