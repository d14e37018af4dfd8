"""Ping, the time, and the limits in force."""

from scopegate.gateway.calls.limits import LimitsInForce
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.runtime.clock import Clock
from scopegate.schemas.general_messages import Limits, LimitsReply, Ping, Pong, Time, TimeReply


class General:
    """Ping, the time, and the limits in force."""

    def __init__(self, clock: Clock, limits: LimitsInForce) -> None:
        self._clock = clock
        self._in_force = limits

    @call("ping", needs=None, error_codes=())
    async def ping(self, request: Ping, session: Session) -> Pong:
        """Reply `pong`; the request keeps the connection from being idle."""
        return {"ping": "pong"}

    @call("time", needs=None, error_codes=())
    async def time(self, request: Time, session: Session) -> TimeReply:
        """Return the market's time, in seconds since 1970-01-01 00:00 UTC."""
        return {"time": int(self._clock.now())}

    @call("limits", needs=None, error_codes=())
    async def limits(self, request: Limits, session: Session) -> LimitsReply:
        """List every limit in force: its name, value and unit, and what it is counted per.

        `per` is `message`, `connection`, `address` (an IPv4 address or an IPv6 /64), `token` (an
        app's authorization for apps, the address before sign-in), `client` (the user, or the
        address before sign-in), `user`, `account` or `gateway`.
        """
        return {
            "limits": [
                {"name": limit.name, "value": limit.value, "unit": limit.unit, "per": limit.per}
                for limit in self._in_force
            ]
        }
