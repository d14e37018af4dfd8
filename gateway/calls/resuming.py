"""Resume streams: what a client has missed, then what follows, each event once and in order.

Rules:
- The messages of a stream that can be resumed carry their `position`. A client that connects again
  subscribes with the last one that it has seen, as `resume` in `passthrough`.
- What was missed is read page by page, as fast as the client reads. Events that are published
  meanwhile are held back, and follow; if there are too many to hold, they are read as well.
- What cannot be sent is stated: the first reply has a `gap`, with the position after which events
  are missing, and the one up to which they are.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from scopegate.gateway.calls.bus import Encoded
from scopegate.gateway.calls.errors import input_validation_failed
from scopegate.gateway.calls.session import Session, Subscription

RESUME = "resume"
"""The field of `passthrough` with the position after which a stream is resumed."""
PAGE = 250
"""Events that are read at once."""
MAX_MISSED = 10_000
"""Events that are sent at most; the earlier ones are a gap."""
MAX_POSITION = 2**53 - 1


class Missed(NamedTuple):
    """A page of what a client has missed."""

    events: Sequence[tuple[Encoded, int]]
    """Each event with its position, in order."""
    after: int
    """The position up to which was read."""
    is_last: bool
    """Whether there were no later ones then."""
    covers: int | None = None
    """The position on the bus up to which held-back events are not needed any more, if that is
    another count than `after`."""


Reader = Callable[[int], Awaitable[Missed]]
"""Reads the page of events after a position."""


Resumed = tuple[Subscription, Reader, int]
"""A stream that is to be refilled, and the position after which it is."""


class Gap(NamedTuple):
    """Positions whose events are not sent."""

    after: int
    until: int


def start_of(after: int, begins: int, latest: int) -> tuple[int, Gap | None]:
    """Return the position after which a resumed stream begins, and what is not sent.

    It is to be resumed after the position `after`. `begins` is that too, or a later one if there is
    too much to send. `latest` is the last position that there is: a later one is of another market
    or database, or of one that was restored from a backup.
    """
    if after > latest:
        return latest, Gap(latest, after)
    return begins, Gap(after, begins) if begins > after else None


def position_of(passthrough: Mapping[str, Any] | None) -> int | None:
    """Return the position after which a stream is to be resumed; `None` if it is to begin.

    Raises `InputValidationFailed` if it is invalid.
    """
    position = (passthrough or {}).get(RESUME)
    if position is None:
        return None
    if type(position) is not int or not 0 <= position <= MAX_POSITION:
        raise input_validation_failed(
            {"passthrough": f"{RESUME} must be the `position` of a message of this stream."}
        )
    return position


async def refill(session: Session, stream: Subscription, read: Reader, after: int) -> None:
    """Send what was missed after a position on a stream that holds back its events meanwhile."""
    missed = Missed((), after, is_last=False)
    events: deque[tuple[Encoded, int]] = deque()
    while stream.alive:
        if not events:
            missed = await read(missed.after)
            events.extend(missed.events)
        session.batched(partial(_send_some, session, stream, events))
        await session.writable()
        covered = missed.after if missed.covers is None else missed.covers
        if not events and missed.is_last and stream.release(covered):
            return


def _send_some(session: Session, stream: Subscription, events: deque[tuple[Encoded, int]]) -> None:
    """Send events and remove them, until none is left or the client is congested."""
    while events and not session.is_congested:
        stream.send_missed(*events.popleft())
