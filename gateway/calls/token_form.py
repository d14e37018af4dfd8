"""What a token looks like: random characters and a checksum, so that a typo costs no look-up.

Rules:
- An owner's token is 28 characters of `[A-Za-z0-9]`; an app's is `a1-` and 29 of them. Both fit
  every pattern that the published requests have for tokens of their kind.
- 22 or 23 random characters are 131 or 136 bits. The last six are a CRC-32 of what stands before.
- Tokens are not kept, only their SHA-256: a fast hash is right for a secret that is random itself.
"""

import hashlib
import re
import secrets
import zlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
APP_PREFIX = "a1-"
_CHECK_LENGTH = 6
SHORTEST = 28
"""No text shorter than this holds a token."""

_TOKEN = re.compile(
    # The letters before a token may be those of a percent-encoded character, as in a URL.
    r"(?:a1-[A-Za-z0-9]{29}|(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}))[A-Za-z0-9]{28})"
    r"(?![A-Za-z0-9])",
    re.ASCII,
)


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(digits)


def _make(prefix: str, length: int) -> str:
    body = prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))
    return body + _checksum(body)


def new_owner_token() -> str:
    """A new token for its owner's own use."""
    return _make("", 22)


def new_app_token() -> str:
    """A new token that is issued to an app."""
    return _make(APP_PREFIX, 23)


def well_formed(token: str) -> bool:
    """Whether the text has a token's form and a right checksum. Says nothing of its being known."""
    return (
        _TOKEN.fullmatch(token) is not None
        and _checksum(token[:-_CHECK_LENGTH]) == token[-_CHECK_LENGTH:]
    )


def digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def masked(token: str) -> str:
    """How a token is shown after the reply that made it: `*` for all but the last four."""
    return "*" * (len(token) - 4) + token[-4:]


def holds_token(text: str) -> bool:
    """Whether a well-formed token stands anywhere in the text."""
    return any(well_formed(found.group()) for found in _TOKEN.finditer(text))


def without_tokens(text: str) -> str:
    """The text, with each well-formed token in it replaced."""
    return _TOKEN.sub(
        lambda found: NOT_SHOWN if well_formed(found.group()) else found.group(), text
    )


NOT_SHOWN = "<not shown>"
"""What stands for a secret in an echo, an error or a log."""
