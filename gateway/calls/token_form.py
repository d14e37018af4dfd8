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
from collections.abc import Iterator

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
APP_PREFIX = "a1-"
_CHECK_LENGTH = 6
SHORTEST = 28
"""The length of the shortest token: no shorter text holds one."""

_RUN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{28,}", re.ASCII)
"""Letters and digits up to the next other character: five times faster than a pattern of tokens."""
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}", re.ASCII)


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
    return list(_found(token)) == [(0, len(token))]


def _found(text: str) -> Iterator[tuple[int, int]]:
    """Yield the first and the last index, plus one, of each well-formed token in a text.

    A token may directly follow a percent-encoded character, as in a URL.
    """
    for run in _RUN.finditer(text):
        start, end = run.span()
        length = end - start
        if length == 30 and _ESCAPED.match(text, start - 1 if start else 0):
            start, length = start + 2, 28
        elif length == 29 and text.endswith(APP_PREFIX, 0, start):
            start, length = start - len(APP_PREFIX), 32
        if length in (28, 32) and _has_checksum(text[start:end]):
            yield start, end


def _has_checksum(token: str) -> bool:
    """Whether the last characters of a text are the checksum of the others."""
    number = zlib.crc32(token[:-_CHECK_LENGTH].encode())
    for character in token[-_CHECK_LENGTH:]:
        number, digit = divmod(number, len(ALPHABET))
        if ALPHABET[digit] != character:
            return False
    return True


def digest(token: str) -> bytes:
    """Return the SHA-256 digest by which a token is stored."""
    return hashlib.sha256(token.encode()).digest()


def masked(token: str) -> str:
    """Return a token as shown after the reply that created it: `*` for all but the last four."""
    return "*" * (len(token) - 4) + token[-4:]


def holds_token(text: str) -> bool:
    """Whether the text contains a well-formed token."""
    return any(True for _ in _found(text))


def without_tokens(text: str) -> str:
    """Return the text with each well-formed token replaced by `NOT_SHOWN`."""
    parts, shown_to = [], 0
    for start, end in _found(text):
        parts += [text[shown_to : max(start, shown_to)], NOT_SHOWN]
        shown_to = end
    # Again: a token can be bounded by another one that has been replaced.
    return without_tokens("".join([*parts, text[shown_to:]])) if parts else text


NOT_SHOWN = "<not shown>"
"""The replacement for a secret in an echo, an error or a log."""
