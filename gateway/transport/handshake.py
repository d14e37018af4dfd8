"""What a client's opening request says about it, directly or through proxies.

Rule: a client address that a proxy reports counts only if the proxy is trusted.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs

from websockets.http11 import Request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PROXIES_SAY = frozenset(
    [
        *("cf-connecting-ip", "fastly-client-ip", "forwarded", "true-client-ip", "via"),
        *("x-client-ip", "x-original-host", "x-real-ip"),
    ]
)
"""Headers that proxies add, besides those with the prefix below."""
_FORWARDED = "x-forwarded"


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client's opening request says about it."""

    address: str
    app_id: str
    language: str
    user_agent: str
    origin: str = ""
    host: str = ""
    """The `Host` header."""
    proxied: bool = False
    """Whether a header shows that the request came through a proxy."""
    secure: bool = False
    """Whether the request came over TLS, or `X-Forwarded-Proto` says so."""


def handshake_of(request: Request, *, address: str, secure: bool) -> Handshake:
    """Return what a WebSocket request from `address` says; `secure` if it came over TLS."""
    query = request.path.partition("?")[2]
    fields = parse_qs(query, max_num_fields=50) if query.count("&") < 50 else {}
    headers = request.headers
    return Handshake(
        address=address,
        app_id=fields.get("app_id", [""])[-1],
        language=fields.get("l", ["EN"])[-1].upper()[:5],
        user_agent=", ".join(headers.get_all("User-Agent"))[:200],
        origin=", ".join(headers.get_all("Origin"))[:200],
        host=headers.get("Host", ""),
        proxied=any(
            name in _PROXIES_SAY or name.startswith(_FORWARDED) for name in map(str.lower, headers)
        ),
        secure=secure or "https" in headers.get_all("X-Forwarded-Proto"),
    )


def client_address(peer: str, forwarded: str, trusted: Iterable[Network]) -> str:
    """Return a client's IP address: the peer's, or the one that a trusted proxy reports.

    `forwarded` (`X-Forwarded-For`) is read from the right up to the first address that is not a
    trusted proxy, or to an entry that is no address.
    """
    hops = [part.strip() for part in forwarded.split(",") if part.strip()]
    address = peer
    while hops and _within(address, trusted):
        try:
            address = str(ipaddress.ip_address(hops.pop()))
        except ValueError:
            break
    return address


def _within(address: str, networks: Iterable[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks if network.version == parsed.version)
