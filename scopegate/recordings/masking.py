"""What a recording has instead of secrets and of random ids.

Rules:
- No secret is written: neither from the fields that hold secrets, nor where else it is repeated.
- The same secret always gets the same placeholder, `<secret 1>`, so that messages still match.
- The ids of streams and proposals are random: they are numbered in the order in which they appear,
  and keep the form of a UUID. So two runs of one session give the same recording.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any

from scopegate.gateway.calls.token_form import NOT_SHOWN, tokens_in
from scopegate.schemas.published import SENSITIVE_FIELDS

MIN_REPEATED = 6
"""The shortest secret that is also searched for in other texts."""

_NAMED = SENSITIVE_FIELDS | {"token_restrict", "token_rotate", "totp"}
_NAME = re.compile(
    r"(?:tokens?\d*|passwords?|secret|(?:verification|user|device|login|authorization)_?code)$",
    re.IGNORECASE,
)
_NOT_SECRET = frozenset({"new_token"})
"""Fields with such a name that hold no secret: `new_token` is the name of a new token."""
_NOT_SECRETS = frozenset({"", "MULTI", NOT_SHOWN})
"""Values of fields with secrets that are none."""
_APP_TOKEN = re.compile(r"a1-[A-Za-z0-9]{20,}", re.ASCII)
"""Tokens of apps that other gateways issue: their checksum is not known."""
_IN_URL = re.compile(
    r"[?&#](?:[a-z_]*token\d*|code|password|client_secret)=([^&#\s]+)", re.IGNORECASE
)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"<secret [0-9]+>")


def is_secret_field(name: str) -> bool:
    """Whether fields of this name hold secrets."""
    return name in _NAMED or (name not in _NOT_SECRET and _NAME.search(name) is not None)


def is_secret_value(value: object) -> bool:
    """Whether the value of a field with secrets is one: not a flag, and not shown to be one."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int | float):
        return value not in (0, 1)
    return value not in _NOT_SECRETS and not is_placeholder(value)


def is_placeholder(value: object) -> bool:
    """Whether a value of a recording is the placeholder of a secret."""
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value) is not None


def is_id(value: object) -> bool:
    """Whether a value is a random id, such as that of a stream."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


class Masks:
    """The secrets and ids that were found so far, with what is written instead of them."""

    def __init__(self, secret_fields: Collection[str] = ()) -> None:
        """`secret_fields` are further fields that hold secrets, such as those of your own calls."""
        self._fields = frozenset(secret_fields)
        self._secrets: dict[str, str] = {}
        self._repeated: re.Pattern[str] | None = None
        self._ids: dict[str, str] = {}

    def masked(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a copy of a message without its secrets, and with numbered ids."""
        for secret in self._found(message, is_secret=False):
            if secret not in self._secrets:
                self._secrets[secret] = f"<secret {len(self._secrets) + 1}>"
                self._repeated = None
        copy: dict[str, Any] = self._without(message, is_secret=False)
        return copy

    def text(self, text: str) -> str:
        """Return a text without its secrets, and with numbered ids."""
        return str(self.masked({"text": text})["text"])

    def _is_secret(self, name: str) -> bool:
        return name in self._fields or is_secret_field(name)

    def _found(self, value: Any, *, is_secret: bool) -> Iterator[str]:
        """Yield the secrets in a value; `is_secret` means that its field holds secrets."""
        if isinstance(value, dict):
            for name, item in value.items():
                yield from self._found(name, is_secret=False)
                yield from self._found(item, is_secret=self._is_secret(name))
        elif isinstance(value, list):
            for item in value:
                yield from self._found(item, is_secret=is_secret)
        elif is_secret:
            if is_secret_value(value):
                yield str(value)
        elif isinstance(value, str):
            yield from tokens_in(value)
            yield from _APP_TOKEN.findall(value)
            yield from _IN_URL.findall(value)

    def _without(self, value: Any, *, is_secret: bool) -> Any:
        if isinstance(value, dict):
            return {
                self._shown(name): self._without(item, is_secret=self._is_secret(name))
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self._without(item, is_secret=is_secret) for item in value]
        if is_secret and is_secret_value(value):
            return self._secrets[str(value)]
        return self._shown(value) if isinstance(value, str) else value

    def _shown(self, text: str) -> str:
        if self._repeated is None:
            repeated = [each for each in self._secrets if len(each) >= MIN_REPEATED]
            repeated.sort(key=len, reverse=True)  # a secret may begin with another one
            # Without secrets it matches nothing.
            self._repeated = re.compile("|".join(map(re.escape, repeated)) or r"(?!)")
        text = self._repeated.sub(lambda found: self._secrets[found[0]], text)
        return _ID.sub(self._number, text)

    def _number(self, found: re.Match[str]) -> str:
        return self._ids.setdefault(found[0], numbered_id(len(self._ids) + 1))


def numbered_id(number: int) -> str:
    """Return the id with this number, in the form of a random UUID."""
    return f"00000000-0000-4000-8000-{number:012}"


def with_ids(value: Any, ids: dict[str, str]) -> Any:
    """Return a copy of a value of JSON in which ids are replaced, also within texts."""
    if isinstance(value, dict):
        return {name: with_ids(item, ids) for name, item in value.items()}
    if isinstance(value, list):
        return [with_ids(item, ids) for item in value]
    if isinstance(value, str):
        return _ID.sub(lambda found: ids.get(found[0], found[0]), value)
    return value


def ids_in(value: Any) -> Iterator[str]:
    """Yield the ids in a value of JSON, also those within texts."""
    if isinstance(value, dict):
        for item in value.values():
            yield from ids_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from ids_in(item)
    elif isinstance(value, str):
        yield from _ID.findall(value)
