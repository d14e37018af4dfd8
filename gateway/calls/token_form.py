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
"""The length of the shortest token, an owner's: no shorter text holds one."""
_APP_LENGTH = 32

_RUN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{28,}", re.ASCII)
"""Letters and digits up to the next other character: five times faster than a pattern of tokens."""
_APP = re.compile(r"a1(?=-[A-Za-z0-9]{29})", re.ASCII)
"""The first characters of what may be an app's token."""
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
    """Yield the first and the last index, plus one, of each well-formed token in a text, in order.

    A token may directly follow a percent-encoded character, as in a URL, and an app's token any.
    Where an app's token begins, others end.
    """
    apps: list[int] = []
    last = len(text)
    for found in reversed(list(_APP.finditer(text))):
        start, end = found.start(), found.start() + _APP_LENGTH
        is_bounded = end == last or (end < last and not _is_part(text[end]))
        if is_bounded and _has_checksum(text[start:end]):
            apps.append(start)
            last = start
    position = 0
    for start in reversed(apps):
        yield from _owners_tokens(text, position, start)
        position = start + _APP_LENGTH
        yield start, position
    yield from _owners_tokens(text, position, len(text))


def _is_part(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _owners_tokens(text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the owners' tokens in a part of a text that ends where an app's token begins."""
    for run in _RUN.finditer(text, first, last):
        start, end = run.span()
        if end - start == SHORTEST + 2 and _ESCAPED.match(text, start - 1 if start else 0):
            start += 2
        if end - start == SHORTEST and _has_checksum(text[start:end]):
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
    return len(text) >= SHORTEST and any(True for _ in _found(text))


def tokens_in(text: str) -> list[str]:
    """Return the well-formed tokens in a text, in order."""
    return [text[start:end] for start, end in _found(text)] if len(text) >= SHORTEST else []


def without_tokens(text: str) -> str:
    """Return the text with each well-formed token replaced by `NOT_SHOWN`."""
    if len(text) < SHORTEST:
        return text
    parts, shown_to = [], 0
    for start, end in _found(text):
        parts += [text[shown_to:start], NOT_SHOWN]
        shown_to = end
    return "".join([*parts, text[shown_to:]]) if parts else text


NOT_SHOWN = "<not shown>"
"""The replacement for a secret in an echo, an error or a log."""
