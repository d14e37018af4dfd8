"""Count what clients send, and what they hold at once, and find the limit that is exceeded.

Rules:
- Rates are counted per client, in fixed windows of monotonic time: per app authorization, per API
  token of the owner, per sign-in at the pages, and before sign-in per address block. No client uses
  up the limit of another.
- Every message is counted before it is parsed; its call is counted once it is known.
- What is open at once (connections, streams, bytes of streams) is counted per address block before
  sign-in and per user after it. One app may hold half of what its user may hold; what the owner
  opens at the pages is counted separately.
- Counts are bounded: past windows are dropped, and the oldest client if there are too many.
- Several worker processes count together. What is open is published at once, rates four times a
  second, once they have grown by a 64th of a limit (`PUBLISH_DIVISOR`). So they can be exceeded by
  that much, and by what a quarter of a second brings. A worker process that replaces another gets
  the counts of the others.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from scopegate.gateway.calls.limits import Profile, Rate
from scopegate.runtime.siblings import Siblings

MESSAGE_UNIT = 2048
"""Bytes: a message counts once, and once more for each full unit of its size."""
MAX_CLIENTS = 50_000
"""Clients whose messages are counted at the same time."""
PUBLISH_DIVISOR = 64
"""Counts are published once they have grown by the limit divided by this."""
PUBLISH_SECONDS = 0.25
"""Real seconds between two messages about rates to other worker processes."""

Counts = list[int]
"""The minute that is counted, then for messages and for each group the counts of that minute and of
the hour."""

_MESSAGES = 1
_PLACES = {Rate.GENERAL: 3, Rate.OUTCOME: 5, Rate.PRICING: 7}


def _clear_minute(counts: Counts) -> None:
    """Set the counts of the minute to 0; those of the hour stay."""
    counts[1] = counts[3] = counts[5] = counts[7] = 0


class RateLimiter:
    """Counts messages and calls, and finds the limit that one exceeds."""

    def __init__(self, profile: Profile, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.profile = profile
        self._allowances = {
            rate: (_PLACES[rate], profile.allowance(rate).minutely, profile.allowance(rate).hourly)
            for rate in Rate
        }
        self._minutely = profile.messages.minutely
        self._hourly = profile.messages.hourly
        self._monotonic = monotonic
        self._minute = 0
        self._minute_ends = self._hour_ends = 0.0
        self._clients: dict[Hashable, Counts] = {}
        # For other worker processes.
        self._siblings: Siblings | None = None
        self._active: list[Hashable] = []
        """The clients that have begun to send in this minute."""
        self._published: dict[Hashable, Counts] = {}
        """The counts that the siblings know of each client, including their own."""
        self._closely: set[Hashable] = set()
        """Clients whose counts are published however little they have grown."""
        self._notable = [0] + [
            max(1, limit // PUBLISH_DIVISOR)
            for allowance in (profile.messages, *map(profile.allowance, Rate))
            for limit in (allowance.minutely, allowance.hourly)
        ]

    def share(self, siblings: Siblings) -> None:
        """Count together with other worker processes. `publish` must be called regularly then."""
        self._siblings = siblings
        siblings.on("rates", self._counted_elsewhere)
        siblings.on("rates so far", self._counted_before)
        siblings.on_joined(self._send_all_to)

    def _send_all_to(self, number: int) -> None:
        """Send a new worker process the counts of clients that are near enough to a limit."""
        self.publish()  # or it would get what is not published yet twice
        news: list[tuple[Hashable, Counts]] = []
        for client, counts in self._clients.items():
            if any(map(int.__ge__, counts[1:], self._notable[1:])):
                known = list(counts)
                if counts[0] != self._minute:
                    _clear_minute(known)
                news.append((client, known))
        if self._siblings is not None:
            self._siblings.send("rates so far", news, only=number)

    def _counted_before(self, sender: int, news: list[tuple[Hashable, Counts]]) -> None:
        """Take over what was counted before this worker process began."""
        for client, before in news:
            counts = self.counts(client)
            counts[1:] = map(max, counts[1:], before[1:])
            self._published_of(client, counts)[:] = counts

    def publish(self) -> None:
        """Publish to other worker processes what was counted here."""
        if self._siblings is None:
            return
        news: list[tuple[Hashable, Counts]] = []
        for client in self._active:
            counts = self._clients.get(client)
            if counts is None or counts[0] != self._minute:
                continue
            published = self._published_of(client, counts)
            more = [count - known for count, known in zip(counts, published, strict=True)]
            if any(map(int.__ge__, more[1:], self._notable[1:])) or (
                client in self._closely and any(more[1:])
            ):
                news.append((client, more))
                published[:] = counts
        if news:
            self._siblings.send("rates", news)

    def _counted_elsewhere(self, sender: int, news: list[tuple[Hashable, Counts]]) -> None:
        for client, more in news:
            counts = self.counts(client)
            published = self._published_of(client, counts)
            for place in range(1, len(counts)):
                counts[place] += more[place]
                published[place] += more[place]

    def _published_of(self, client: Hashable, counts: Counts) -> Counts:
        """Return what the siblings know of a client in the present minute and hour."""
        published = self._published.setdefault(client, [0] * len(counts))
        if published[0] != counts[0]:
            published[0] = counts[0]
            _clear_minute(published)
        return published

    def counts(self, client: Hashable) -> Counts:
        """Return the counts of a client, for the message that is being handled."""
        now = self._monotonic()
        if now >= self._minute_ends:
            self._next_minute(now)
        counts = self._clients.get(client)
        if counts is None or counts[0] != self._minute:
            counts = self._begin(client, counts)
        return counts

    def count_message(self, counts: Counts, size: int) -> str | None:
        """Count one message of `size` bytes; return the limit it exceeds, in words, or `None`."""
        units = 1 if size < MESSAGE_UNIT else 1 + size // MESSAGE_UNIT
        count = counts[_MESSAGES] = counts[_MESSAGES] + units
        if count > self._minutely:
            return f"{self._minutely} messages a minute"
        count = counts[_MESSAGES + 1] = counts[_MESSAGES + 1] + units
        if count > self._hourly:
            return f"{self._hourly} messages an hour"
        return None

    def count_call(self, counts: Counts, rate: Rate) -> str | None:
        """Count one call; return the limit that it exceeds, in words, or `None`."""
        place, minutely, hourly = self._allowances[rate]
        count = counts[place] = counts[place] + 1
        if count > minutely:
            return f"{minutely} {rate} calls a minute"
        count = counts[place + 1] = counts[place + 1] + 1
        if count > hourly:
            return f"{hourly} {rate} calls an hour"
        return None

    def count_restricted(self, rates: Iterable[tuple[int, int]]) -> str | None:
        """Count one call for each of these restrictions: their ids, and the calls in a minute.

        Returns the limit that it exceeds, in words, or `None`.
        """
        for number, minutely in rates:
            client = f"restrictions {number}"
            self._closely.add(client)
            counts = self.counts(client)
            count = counts[_MESSAGES] = counts[_MESSAGES] + 1
            if count > minutely:
                return f"{minutely} calls a minute of this token"
        return None

    def _begin(self, client: Hashable, counts: Counts | None) -> Counts:
        """Begin the counts of a client that has sent nothing in this minute."""
        if counts is None:
            if len(self._clients) >= MAX_CLIENTS:
                oldest = next(iter(self._clients))
                del self._clients[oldest]
                self._published.pop(oldest, None)
            counts = self._clients[client] = [0] * 9
        if self._siblings is not None:
            self._active.append(client)
        counts[0] = self._minute
        _clear_minute(counts)
        return counts

    def _next_minute(self, now: float) -> None:
        self._minute += 1
        self._minute_ends = (now // 60 + 1) * 60
        self._active = []
        if now >= self._hour_ends:
            self._clients = {}
            self._closely = set()
            self._published = {}
            self._hour_ends = (now // 3600 + 1) * 3600


class Holder(NamedTuple):
    """The address block, user or app that connections and streams are counted for."""

    key: str
    kind: str
    """The kind of the key: an address, a user or an app."""
    share: int = 1
    """The divisor of its limit: 1 for all of it, 2 for half."""


class Claim(NamedTuple):
    """Something to count for its holders: a connection, a stream, or bytes of streams."""

    what: str
    """Its name in errors: `connections`, `ticks streams`."""
    limit: int
    amount: int = 1


_Key = tuple[str, str]
"""The key of a holder, and what it has open."""


class ConcurrencyLimiter:
    """Counts what each holder has open at once."""

    def __init__(self) -> None:
        self._held: dict[_Key, int] = {}
        # For other worker processes.
        self._siblings: Siblings | None = None
        self._elsewhere: dict[_Key, int] = {}
        """What the siblings hold together."""
        self._of_sibling: dict[int, dict[_Key, int]] = {}
        self._unpublished: set[_Key] = set()

    def share(self, siblings: Siblings) -> None:
        """Count together with other worker processes."""
        self._siblings = siblings
        siblings.on("held", self._held_elsewhere)
        siblings.on_joined(
            lambda number: siblings.send("held", list(self._held.items()), only=number)
        )
        siblings.on_left(self._forget)

    def _changed(self, key: _Key) -> None:
        if not self._unpublished:
            asyncio.get_running_loop().call_soon(self._publish)
        self._unpublished.add(key)

    def _publish(self) -> None:
        unpublished, self._unpublished = self._unpublished, set()
        if self._siblings is not None:
            self._siblings.send("held", [(key, self._held.get(key, 0)) for key in unpublished])

    def _held_elsewhere(self, sender: int, news: Iterable[tuple[_Key, int]]) -> None:
        held = self._of_sibling.setdefault(sender, {})
        for key, count in news:
            total = self._elsewhere.get(key, 0) + count - held.get(key, 0)
            for counts, value in ((held, count), (self._elsewhere, total)):
                if value:
                    counts[key] = value
                else:
                    counts.pop(key, None)

    def _forget(self, sibling: int) -> None:
        """Stop counting what a worker process that has ended held."""
        self._held_elsewhere(sibling, [(key, 0) for key in self._of_sibling.get(sibling, ())])

    def broken_by(self, holders: Iterable[Holder], claims: Sequence[Claim]) -> str | None:
        """Return the limit that these claims would exceed, in words, or `None`; count nothing."""
        for holder in holders:
            for what, limit, amount in claims:
                limit = max(limit // holder.share, 1)
                key = (holder.key, what)
                if self._held.get(key, 0) + self._elsewhere.get(key, 0) + amount > limit:
                    return f"{limit} {what} of one {holder.kind}"
        return None

    def take(self, holders: Iterable[Holder], claims: Sequence[Claim]) -> None:
        """Count these claims until they are given back."""
        for holder in holders:
            for what, _, amount in claims:
                key = (holder.key, what)
                self._held[key] = self._held.get(key, 0) + amount
                if self._siblings is not None:
                    self._changed(key)

    def give_back(self, holders: Iterable[Holder], claims: Sequence[Claim]) -> None:
        """Stop counting these claims."""
        for holder in holders:
            for what, _, amount in claims:
                key = (holder.key, what)
                left = self._held[key] - amount
                if left:
                    self._held[key] = left
                else:
                    del self._held[key]
                if self._siblings is not None:
                    self._changed(key)


def block_of(address: str) -> str:
    """The address block that shares one limit: an IPv4 address, or an IPv6 /64.

    Any other text is returned as it is.
    """
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:  # how a dual-stack socket shows an IPv4 client
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


class FailureCounter:
    """Counts the failures of each address in the last minute. Any text can serve as an address."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._moments: dict[str, list[float]] = {}
        self._publish: Callable[[tuple[str, bool]], None] = lambda failure: None

    def share(self, siblings: Siblings, name: str) -> "FailureCounter":
        """Count together with the counters of this name in other worker processes; return self."""
        kind, before = f"failures: {name}", f"failures so far: {name}"
        self._publish = partial(siblings.send, kind)
        siblings.on(kind, self._failed_elsewhere)
        siblings.on(before, self._failed_before)
        siblings.on_joined(lambda number: siblings.send(before, self._ages(), only=number))
        return self

    def _ages(self) -> dict[str, list[float]]:
        """Return for each address how many seconds ago it failed: clocks differ by machine."""
        now = self._monotonic()
        return {
            address: [now - moment for moment in moments]
            for address, moments in self._moments.items()
        }

    def _failed_before(self, sender: int, ages: dict[str, list[float]]) -> None:
        """Take over what was counted before this worker process began."""
        now = self._monotonic()
        for address, before in ages.items():
            if len(before) > len(self._moments.get(address, ())):
                self._moments[address] = [now - age for age in before]

    def _failed_elsewhere(self, sender: int, failure: tuple[str, bool]) -> None:
        address, is_new = failure
        if is_new:
            self._add(address)
        else:
            self._take_back(address)

    def count(self, address: str) -> int:
        """Return the number of failures in the last minute."""
        address = block_of(address)
        since = self._monotonic() - 60
        moments = [moment for moment in self._moments.get(address, ()) if moment > since]
        if moments:
            self._moments[address] = moments
        else:
            self._moments.pop(address, None)
        return len(moments)

    def add(self, address: str) -> None:
        """Count one failure. The latest 100 are kept for each address, and 10,000 addresses."""
        address = block_of(address)
        self._add(address)
        self._publish((address, True))

    def _add(self, address: str) -> None:
        if len(self._moments) >= 10_000 and address not in self._moments:
            for other in list(self._moments):
                self.count(other)
            if len(self._moments) >= 10_000:
                self._moments.pop(next(iter(self._moments)))
        self._moments.setdefault(address, []).append(self._monotonic())
        del self._moments[address][:-100]

    def take_back(self, address: str) -> None:
        """Undo the last `add` for this address."""
        address = block_of(address)
        self._take_back(address)
        self._publish((address, False))

    def _take_back(self, address: str) -> None:
        moments = self._moments.get(address)
        if moments:
            moments.pop()
            if not moments:
                del self._moments[address]


class RequestLimiter:
    """Counts the HTTP requests of each address block, in fixed minutes of monotonic time.

    Those that a browser makes for the gateway's own pages are counted separately, so that no page
    of another origin can keep an owner from them.
    """

    def __init__(self, limit: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._counts: dict[str, int] = {}
        self._ends = 0.0
        self._siblings: Siblings | None = None
        self._unpublished: dict[str, int] = {}

    def share(self, siblings: Siblings) -> None:
        """Count together with other worker processes. `publish` must be called regularly then."""
        self._siblings = siblings
        siblings.on("requests", self._counted_elsewhere)
        siblings.on("requests so far", self._counted_before)
        siblings.on_joined(self._send_all_to)

    def _send_all_to(self, number: int) -> None:
        self.publish()  # or it would get what is not published yet twice
        if self._siblings is not None:
            self._siblings.send("requests so far", self._counts, only=number)

    def _counted_before(self, sender: int, before: dict[str, int]) -> None:
        """Take over what was counted before this worker process began."""
        self._begin_minute()
        for key, count in before.items():
            self._counts[key] = max(count, self._counts.get(key, 0))

    def publish(self) -> None:
        """Publish to other worker processes what was counted here."""
        unpublished, self._unpublished = self._unpublished, {}
        if unpublished and self._siblings is not None:
            self._siblings.send("requests", unpublished)

    def _counted_elsewhere(self, sender: int, more: dict[str, int]) -> None:
        self._begin_minute()
        for key, count in more.items():
            self._counts[key] = self._counts.get(key, 0) + count

    def count(self, address: str, *, for_pages: bool = False) -> str | None:
        """Count one request; return the limit that it exceeds, in words, or `None`.

        `for_pages`: whether it is for the gateway's own pages.
        """
        self._begin_minute()
        block = block_of(address)
        key = f"pages {block}" if for_pages else block
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if self._siblings is not None:
            self._unpublished[key] = self._unpublished.get(key, 0) + 1
        return f"{self._limit} requests a minute" if count > self._limit else None

    def _begin_minute(self) -> None:
        now = self._monotonic()
        if now >= self._ends:
            self._counts = {}
            self._ends = (now // 60 + 1) * 60
