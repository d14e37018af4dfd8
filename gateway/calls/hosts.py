"""Names by which the gateway may be reached, and pages that are its own.

Rules:
- A page elsewhere reaches a gateway on loopback when its name is rebound to 127.0.0.1; the browser
  then says that name in `Host`. So a request is answered only where `Host` is a loopback name, a
  configured one, or the very address that the connection came to: nobody can own that as a name.
- A page is the gateway's own when its origin is the host that it connects to.
"""

import ipaddress
import re
from collections.abc import Iterable

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)


def name_of(host: str) -> str:
    """The name or address in a `Host`, without port and brackets; empty where it is wrong."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found.group(1).strip("[]").lower().rstrip(".")


def is_loopback(name: str) -> bool:
    """Whether a name or address means this very machine, whoever resolves it (RFC 6761, 6.3)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


_PRIVATE = frozenset(
    [
        *("corp", "example", "home", "internal", "intranet", "invalid", "lan", "local"),
        *("localhost", "onion", "private", "test"),
    ]
)
"""Last labels of names that resolve only in a private network (RFC 6761 and others)."""


def is_public(name: str) -> bool:
    """Whether this is a public name: not an address, nor a name in a private network."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.split(".")
        private = labels[-1] in _PRIVATE or labels[-2:] == ["home", "arpa"]
        return len(labels) > 1 and all(labels) and not private
    return False


def is_own_page(origin: str, host: str) -> bool:
    """Whether a page of this origin was served by the gateway that it reaches at this `Host`.

    A proxy may speak TLS for the gateway, so either scheme will do.
    """
    return bool(host) and origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


class Hosts:
    """The names under which a gateway answers."""

    def __init__(self, configured: Iterable[str]) -> None:
        self._configured = frozenset(name_of(name) or name.lower() for name in configured)

    def allows(self, host: str, reached_at: str) -> bool:
        """Whether a request with this `Host` that came to this address of ours is answered."""
        name = name_of(host)
        return bool(name) and (
            is_loopback(name) or name in self._configured or name == reached_at.lower()
        )


def refusal(host: str) -> str:
    """What a client is told whose `Host` is not answered."""
    name = name_of(host)
    if not name:
        return "This gateway needs to know by which name it is reached: send one valid Host.\n"
    return (
        f"This gateway does not answer to the name {name}. If that is its name, start it with"
        f" --allowed-host {name}\n"
    )
