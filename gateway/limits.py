"""How much one user or address may ask for, and the counting of it.

Rules:
- Counted per user where one is signed in, else per address, in fixed windows of monotonic time.
- What is counted is bounded: windows that have passed are dropped.
- The `deriv` numbers are those that the published API states in `website_status`.
"""

import ipaddress
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum


class Rate(StrEnum):
    """The groups in which calls are counted."""

    GENERAL = "general"
    OUTCOME = "outcome"
    PRICING = "pricing"


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many calls of one group are answered in a minute and in an hour."""

    minutely: int
    hourly: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Every limit in force, by the name under which `website_status` publishes it."""

    general: Allowance
    outcome: Allowance
    pricing: Allowance
    proposal_streams: int
    streams: int

    def allowance(self, rate: Rate) -> Allowance:
        """The allowance of one group."""
        return {
            Rate.GENERAL: self.general,
            Rate.OUTCOME: self.outcome,
            Rate.PRICING: self.pricing,
        }[rate]


_FREE = Allowance(minutely=1_000_000, hourly=60_000_000)

PROFILES: dict[str, Profile] = {
    "open": Profile(
        general=_FREE, outcome=_FREE, pricing=_FREE, proposal_streams=1_000, streams=1_000
    ),
    "deriv": Profile(
        general=Allowance(180, 14_400),
        outcome=Allowance(25, 1_500),
        pricing=Allowance(360, 14_400),
        proposal_streams=5,
        streams=100,
    ),
}


class RateLimiter:
    """Counts calls and tells which limit a further one would break."""

    def __init__(self, profile: Profile, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.profile = profile
        self._allowances = {rate: profile.allowance(rate) for rate in Rate}
        self._monotonic = monotonic
        self._minute_ends = self._hour_ends = 0.0
        self._this_minute: dict[tuple[Hashable, Rate], int] = {}
        self._this_hour: dict[tuple[Hashable, Rate], int] = {}

    def broken_by(self, who: Hashable, rate: Rate) -> str | None:
        """Count one call; the limit that it breaks in words, or `None` when it may pass."""
        now = self._monotonic()
        if now >= self._minute_ends:
            self._forget(now)
        key = (who, rate)
        allowance = self._allowances[rate]
        count = self._this_minute[key] = self._this_minute.get(key, 0) + 1
        if count > allowance.minutely:
            return f"{allowance.minutely} {rate} calls a minute"
        count = self._this_hour[key] = self._this_hour.get(key, 0) + 1
        if count > allowance.hourly:
            return f"{allowance.hourly} {rate} calls an hour"
        return None

    def _forget(self, now: float) -> None:
        self._this_minute = {}
        self._minute_ends = (now // 60 + 1) * 60
        if now >= self._hour_ends:
            self._this_hour = {}
            self._hour_ends = (now // 3600 + 1) * 3600


def block_of(address: str) -> str:
    """What one client has of addresses: an IPv4 one, or an IPv6 /64; any other text as it is."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:  # as a socket for both kinds calls an IPv4 client
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


class Penalty:
    """Remembers for a minute how often each address did what it should not; any text names one."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._moments: dict[str, list[float]] = {}

    def count(self, address: str) -> int:
        """How often in the last minute."""
        address = block_of(address)
        since = self._monotonic() - 60
        moments = [moment for moment in self._moments.get(address, ()) if moment > since]
        if moments:
            self._moments[address] = moments
        else:
            self._moments.pop(address, None)
        return len(moments)

    def add(self, address: str) -> None:
        """Once more. Only the last hundred are kept for an address, and 10,000 addresses."""
        address = block_of(address)
        if len(self._moments) >= 10_000 and address not in self._moments:
            for other in list(self._moments):
                self.count(other)
            if len(self._moments) >= 10_000:
                self._moments.pop(next(iter(self._moments)))
        self._moments.setdefault(address, []).append(self._monotonic())
        del self._moments[address][:-100]

    def take_back(self, address: str) -> None:
        """Once less: what was added last was no fault."""
        address = block_of(address)
        moments = self._moments.get(address)
        if moments:
            moments.pop()
            if not moments:
                del self._moments[address]


HTTP_PER_MINUTE = {"open": 1_000_000, "deriv": 600}
"""HTTP requests that an address block may make in a minute, by profile."""


class RequestLimiter:
    """Counts the HTTP requests of each address block, in fixed minutes of monotonic time."""

    def __init__(self, most: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._monotonic = monotonic
        self._counts: dict[str, int] = {}
        self._ends = 0.0

    def broken_by(self, address: str) -> str | None:
        """Count one request; the limit that it breaks in words, or `None` when it may pass."""
        now = self._monotonic()
        if now >= self._ends:
            self._counts = {}
            self._ends = (now // 60 + 1) * 60
        block = block_of(address)
        count = self._counts[block] = self._counts.get(block, 0) + 1
        return f"{self._most} requests a minute" if count > self._most else None
