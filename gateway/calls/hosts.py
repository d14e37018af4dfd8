"""The host names that the gateway answers to, and which pages are its own.

Rules:
- DNS rebinding: a page of another site can reach a gateway on loopback if its name is rebound to
  127.0.0.1; the browser then sends that name in `Host`. So a request is answered only if `Host` is
  a loopback name, a configured name, or the address that the connection came to, which nobody can
  own as a name.
- A page is the gateway's own if its origin is the host that it connects to.
"""

import ipaddress
import re
from collections.abc import Iterable

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)


def name_of(host: str) -> str:
    """Return the name or address in a `Host` without port and brackets; empty if it is invalid."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found.group(1).strip("[]").lower().rstrip(".")


def is_loopback(name: str) -> bool:
    """Whether a name or address means this machine for every resolver (RFC 6761, 6.3)."""
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
"""Last labels of names that are not public (RFC 6761 and others)."""


def is_public(name: str) -> bool:
    """Whether this is a public name: neither an address nor a name of a private network."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.split(".")
        private = labels[-1] in _PRIVATE or labels[-2:] == ["home", "arpa"]
        return len(labels) > 1 and all(labels) and not private
    return False


def is_own_page(origin: str, host: str) -> bool:
    """Whether a page of this origin was served by the gateway that it reaches at this `Host`.

    A proxy may terminate TLS for the gateway, so either scheme is accepted.
    """
    return bool(host) and origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


class Hosts:
    """The host names that a gateway answers to."""

    def __init__(self, configured: Iterable[str]) -> None:
        self._configured = frozenset(name_of(name) or name.lower() for name in configured)

    def allows(self, host: str, reached_at: str) -> bool:
        """Whether to answer a request with this `Host` that came to this address of the gateway."""
        name = name_of(host)
        return bool(name) and (
            is_loopback(name) or name in self._configured or name == reached_at.lower()
        )


def refusal(host: str) -> str:
    """Return the text for a client whose `Host` is refused."""
    name = name_of(host)
    if not name:
        return "The Host header is missing or invalid: send one valid Host header.\n"
    return (
        f"This gateway does not answer to the name {name}. If that is its name, start it with"
        f" --allowed-host {name}\n"
    )
