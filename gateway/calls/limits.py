"""Limits: their names, numbers, and the two profiles. `counting` has the classes that count.

The `deriv` numbers are those that the published API states in `website_status`, or our own where it
states none.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

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

HTTP_PER_MINUTE = {"open": 1_000_000, "deriv": 600}
"""HTTP requests that an address block may make in a minute, by profile."""
