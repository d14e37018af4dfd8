"""Streams for authors of calls: a `Channel` is one kind of stream, with the type of its events.

Rules: an event is checked against that type before it is delivered; an open stream gets every later
event once, in order.
"""

from collections.abc import Hashable
from typing import Any, Generic, TypeVar, get_origin

from pydantic import TypeAdapter, ValidationError
from typing_extensions import is_typeddict

from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.registry import DeclarationError, Stream, problems_of
from scopegate.gateway.calls.session import Shape

EventT = TypeVar("EventT")
BodyT = TypeVar("BodyT")


class Channel(Generic[EventT]):
    """Streams of one kind. An event goes to the streams that were opened with the same key."""

    def __init__(self, bus: Bus, kind: str, event: type[EventT]) -> None:
        """Create a channel. `kind` is what `forget_all` takes, and the `msg_type` of the events.

        `event` is a `TypedDict` or a list type. Raises `DeclarationError` for any other type, and
        for a second channel of the same kind: streams of one would miss events of the other.
        """
        if not bus.claim(kind):
            raise DeclarationError(
                f"a channel for streams of kind {kind} exists already: share it between classes"
                " through a service"
            )
        is_list = get_origin(event) is list
        if not is_list and not is_typeddict(event):
            raise DeclarationError(
                f"streams of kind {kind}: an event must be a TypedDict or a list, not {event!r}"
            )
        self._bus = bus
        self._kind = kind
        self._shape = Shape.LIST if is_list else Shape.OBJECT
        self._adapter: TypeAdapter[Any] = TypeAdapter(event)
        self._position = 0

    def stream(self, key: Hashable, first: BodyT, *, label: str = "") -> Stream[BodyT]:
        """Return a stream: a reply with `first` as its whole body, then the events of `key`.

        `label` names the stream in the error `AlreadySubscribed`. Between reading the values of
        `first` and returning the stream there must be no `await`.
        """
        return Stream(
            kind=self._kind,
            key=(self._kind, key),
            label=label or f"{self._kind} {key}",
            topic=self._topic(key),
            first=first,
            msg_type=self._kind,
            since=self._position,
            shape=self._shape,
        )

    def publish(self, key: Hashable, event: EventT, *, only_for: str | None = None) -> None:
        """Send an event to every stream with this key.

        With `only_for`, only streams opened under a token for this account get it. Raises
        `TypeError` if the event is not of the declared type; it is not delivered then.
        """
        try:
            self._adapter.validate_python(event, strict=True, extra="forbid")
        except ValidationError as invalid:
            problems = "; ".join(f"{name}: {text}" for name, text in problems_of(invalid).items())
            raise TypeError(f"invalid event of kind {self._kind}: {problems}") from None
        self._position += 1
        checked: Any = event
        self._bus.publish(self._topic(key), checked, self._position, acting_for=only_for)

    def has_listeners(self, key: Hashable) -> bool:
        """Whether a stream with this key is open."""
        return self._bus.has_listeners(self._topic(key))

    def _topic(self, key: Hashable) -> Hashable:
        return (self._kind, key)
