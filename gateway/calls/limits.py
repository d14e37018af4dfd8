"""Limits: how many messages and calls a client may send, and how much it may hold at once.

Rules:
- Rates are counted per client, in fixed windows of monotonic time: per app authorization, per API
  token of the owner, per sign-in at the pages, and before sign-in per address block. No client uses
  up the limit of another.
- Every message is counted before it is parsed; its call is counted once it is known.
- What is open at once (connections, streams, bytes of streams) is counted per address block before
  sign-in and per user after it. One app may hold half of what its user may hold; what the owner
  opens at the pages is counted separately.
- Counts are bounded: past windows are dropped, and the oldest client if there are too many.
- The `deriv` numbers are those that the published API states in `website_status`, or our own where
  it states none.
"""

import ipaddress
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MESSAGE_UNIT = 2048
"""Bytes: a message counts once, and once more for each full unit of its size."""
MAX_CLIENTS = 50_000
"""Clients whose messages are counted at the same time."""
PING_AFTER = 25.0
"""Default seconds of silence after which a client is pinged."""


class Rate(StrEnum):
    """The groups in which calls are counted."""

    GENERAL = "general"
    OUTCOME = "outcome"
    PRICING = "pricing"

    # `Enum.__hash__` takes a tenth of a microsecond, for each call.
    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many messages, or calls of one group, are admitted in a minute and in an hour."""

    minutely: int
    hourly: int


class Per(StrEnum):
    """The unit that a limit is counted for."""

    MESSAGE = "message"
    CONNECTION = "connection"
    ADDRESS = "address"
    """An address block: an IPv4 address, or an IPv6 /64."""
    TOKEN = "token"  # noqa: S105 - no password
    """The token; for apps the authorization, before sign-in the address block."""
    CLIENT = "client"
    """The user; before sign-in the address block."""
    USER = "user"
    ACCOUNT = "account"
    GATEWAY = "gateway"


class Limit(NamedTuple):
    """A limit in force, as the call `limits` lists it."""

    name: str
    value: float
    unit: str
    per: Per


class LimitsInForce(tuple[Limit, ...]):
    """Every limit in force, as the call `limits` lists them."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Every limit that can be set."""

    messages: Allowance
    general: Allowance
    outcome: Allowance
    pricing: Allowance
    refusals_in_a_row: int
    """Refusals by a limit in a row, without an admitted call, until the connection is closed."""
    connections_per_address: int
    connections_per_user: int
    proposal_streams: int
    proposal_streams_per_client: int
    streams: int
    streams_per_client: int
    stream_bytes: int
    """Bytes of the streams of one connection: the parts of a request that each message repeats."""
    stream_bytes_per_client: int

    def allowance(self, rate: Rate) -> Allowance:
        """The allowance of one group."""
        return {
            Rate.GENERAL: self.general,
            Rate.OUTCOME: self.outcome,
            Rate.PRICING: self.pricing,
        }[rate]

    def listed(self) -> list[Limit]:
        """Every limit, with the name of its setting."""
        groups = [("messages", "messages", self.messages)]
        groups += [(str(rate), f"{rate} calls", self.allowance(rate)) for rate in Rate]
        rates = [
            limit
            for name, unit, allowance in groups
            for limit in (
                Limit(f"{name}_per_minute", allowance.minutely, f"{unit} a minute", Per.TOKEN),
                Limit(f"{name}_per_hour", allowance.hourly, f"{unit} an hour", Per.TOKEN),
            )
        ]
        of_open = [
            ("connections_per_address", "connections", Per.ADDRESS),
            ("connections_per_user", "connections", Per.USER),
            ("streams", "streams", Per.CONNECTION),
            ("streams_per_client", "streams", Per.CLIENT),
            ("proposal_streams", "proposal streams", Per.CONNECTION),
            ("proposal_streams_per_client", "proposal streams", Per.CLIENT),
            ("stream_bytes", "bytes of streams", Per.CONNECTION),
            ("stream_bytes_per_client", "bytes of streams", Per.CLIENT),
        ]
        return [
            *rates,
            Limit("refusals_in_a_row", self.refusals_in_a_row, "messages", Per.CONNECTION),
            *(Limit(name, getattr(self, name), unit, per) for name, unit, per in of_open),
        ]


_FREE = Allowance(minutely=1_000_000, hourly=60_000_000)

PROFILES: dict[str, Profile] = {
    "open": Profile(
        messages=Allowance(10_000_000, 600_000_000),
        general=_FREE,
        outcome=_FREE,
        pricing=_FREE,
        refusals_in_a_row=200,
        connections_per_address=20_000,
        connections_per_user=20_000,
        proposal_streams=1_000,
        proposal_streams_per_client=20_000,
        streams=1_000,
        streams_per_client=100_000,
        stream_bytes=1024 * 1024,
        stream_bytes_per_client=64 * 1024 * 1024,
    ),
    "deriv": Profile(
        messages=Allowance(600, 36_000),
        general=Allowance(180, 14_400),
        outcome=Allowance(25, 1_500),
        pricing=Allowance(360, 14_400),
        refusals_in_a_row=200,
        connections_per_address=128,
        connections_per_user=64,
        proposal_streams=5,
        proposal_streams_per_client=10,
        streams=100,
        streams_per_client=500,
        stream_bytes=64 * 1024,
        stream_bytes_per_client=256 * 1024,
    ),
}

Counts = list[int]
"""The minute that is counted, then for messages and for each group the counts of that minute and of
the hour."""

_MESSAGES = 1
_PLACES = {Rate.GENERAL: 3, Rate.OUTCOME: 5, Rate.PRICING: 7}


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

    def _begin(self, client: Hashable, counts: Counts | None) -> Counts:
        """Begin the counts of a client that has sent nothing in this minute."""
        if counts is None:
            if len(self._clients) >= MAX_CLIENTS:
                del self._clients[next(iter(self._clients))]
            counts = self._clients[client] = [0] * 9
        counts[0] = self._minute
        counts[1] = counts[3] = counts[5] = counts[7] = 0
        return counts

    def _next_minute(self, now: float) -> None:
        self._minute += 1
        self._minute_ends = (now // 60 + 1) * 60
        if now >= self._hour_ends:
            self._clients = {}
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


class ConcurrencyLimiter:
    """Counts what each holder has open at once."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], int] = {}

    def broken_by(self, holders: Iterable[Holder], claims: Sequence[Claim]) -> str | None:
        """Return the limit that these claims would exceed, in words, or `None`; count nothing."""
        for holder in holders:
            for what, limit, amount in claims:
                limit = max(limit // holder.share, 1)
                if self._held.get((holder.key, what), 0) + amount > limit:
                    return f"{limit} {what} of one {holder.kind}"
        return None

    def take(self, holders: Iterable[Holder], claims: Sequence[Claim]) -> None:
        """Count these claims until they are given back."""
        for holder in holders:
            for what, _, amount in claims:
                key = (holder.key, what)
                self._held[key] = self._held.get(key, 0) + amount

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
        moments = self._moments.get(address)
        if moments:
            moments.pop()
            if not moments:
                del self._moments[address]


HTTP_PER_MINUTE = {"open": 1_000_000, "deriv": 600}
"""HTTP requests that an address block may make in a minute, by profile."""


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

    def count(self, address: str, *, for_pages: bool = False) -> str | None:
        """Count one request; return the limit that it exceeds, in words, or `None`.

        `for_pages`: whether it is for the gateway's own pages.
        """
        now = self._monotonic()
        if now >= self._ends:
            self._counts = {}
            self._ends = (now // 60 + 1) * 60
        block = block_of(address)
        key = f"pages {block}" if for_pages else block
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return f"{self._limit} requests a minute" if count > self._limit else None
