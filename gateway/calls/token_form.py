"""The form of tokens: random characters and a checksum, so that a typo costs no look-up.

Rules:
- An owner's token is 28 characters of `[A-Za-z0-9]`; an app's is `a1-` and 29 of them. Both match
  every pattern that the published requests have for tokens of their kind.
- 22 or 23 random characters are 131 or 136 bits. The last six are a CRC-32 of all before them.
- Only the SHA-256 of a token is stored: a fast hash is enough for a secret that is random itself.
"""

import hashlib
import re
import secrets
import zlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
APP_PREFIX = "a1-"
_CHECK_LENGTH = 6
SHORTEST = 28
"""The length of the shortest token: no shorter text holds one."""

_TOKEN = re.compile(
    # A token may directly follow a percent-encoded character, as in a URL.
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
    """Generate a token for its owner's own use."""
    return _make("", 22)


def new_app_token() -> str:
    """Generate a token that is issued to an app."""
    return _make(APP_PREFIX, 23)


def well_formed(token: str) -> bool:
    """Whether the text has a token's form and a correct checksum; the token need not exist."""
    return (
        _TOKEN.fullmatch(token) is not None
        and _checksum(token[:-_CHECK_LENGTH]) == token[-_CHECK_LENGTH:]
    )


def digest(token: str) -> bytes:
    """Return the SHA-256 digest by which a token is stored."""
    return hashlib.sha256(token.encode()).digest()


def masked(token: str) -> str:
    """Return a token as shown after the reply that created it: `*` for all but the last four."""
    return "*" * (len(token) - 4) + token[-4:]


def holds_token(text: str) -> bool:
    """Whether the text contains a well-formed token."""
    return any(well_formed(found.group()) for found in _TOKEN.finditer(text))


def without_tokens(text: str) -> str:
    """Return the text with each well-formed token replaced by `NOT_SHOWN`."""
    return _TOKEN.sub(
        lambda found: NOT_SHOWN if well_formed(found.group()) else found.group(), text
    )


NOT_SHOWN = "<not shown>"
"""The replacement for a secret in an echo, an error or a log."""
