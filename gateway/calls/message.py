"""Messages: parse one, check that its values are sane, find and mask secrets in it."""

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any

import orjson

from scopegate.gateway.calls.errors import ApiError, Disconnect, input_validation_failed
from scopegate.gateway.calls.token_form import NOT_SHOWN, SHORTEST, holds_token, without_tokens
from scopegate.schemas.fields import MAX_INTEGER

MAX_DEPTH = 32
"""Levels of nested objects and lists in a message."""

_KEY = re.compile(r"[A-Za-z0-9_-]{1,50}", re.ASCII).fullmatch
_MISPLACED = "Contains a token, which is a secret. Leave it out, and replace that token."

Message = dict[str, Any]


class Binary(bytes):
    """A binary message, which must be JSON in UTF-8."""


def parse(text: bytes) -> Message:
    """Parse a message. Raises `BadRequest` unless it is a JSON object.

    Raises `Disconnect` if it is not UTF-8, or is binary and not JSON.
    """
    try:
        # orjson does not accept subclasses of bytes.
        message = orjson.loads(memoryview(text) if type(text) is Binary else text)
    except orjson.JSONDecodeError:
        if type(text) is Binary:
            raise _not_json() from None
        check_utf8(text)
        raise _bad_request() from None
    if type(message) is not dict:
        raise _bad_request()
    return message


def _not_json() -> Disconnect:
    return Disconnect(1003, "messages must be text, or JSON in UTF-8")


def check_utf8(text: bytes) -> None:
    """Raise `Disconnect` if a message is not UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        if type(text) is Binary:
            raise _not_json() from None
        raise Disconnect(1007, "a text message must be UTF-8") from None


def _bad_request(details: dict[str, Any] | None = None) -> ApiError:
    return ApiError("BadRequest", "The application sent an invalid request.", details)


class Values(Enum):
    """What the values of a message are, as far as that can be seen at a glance."""

    INTEGERS = "sane integers"
    PLAIN = "sane integers and short strings, none of which holds a token"
    OTHER = "any others"


def values_at_a_glance(message: Message) -> Values:
    """Return what the values are; only others have to be searched."""
    found = Values.INTEGERS
    for value in message.values():
        if type(value) is int:
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                return Values.OTHER
        elif type(value) is not str or len(value) >= SHORTEST or "\x00" in value:
            return Values.OTHER
        else:
            found = Values.PLAIN
    return found


def inspect_object(value: Message, depth: int) -> tuple[bool, bool]:
    """Return whether keys and values are sane, and whether any of them holds a token.

    Raises `BadRequest` if they are nested too deeply (`MAX_DEPTH`) to be echoed.
    """
    sane, secret = inspect_values(value.values(), depth)
    keys_sane, keys_secret = inspect_keys(value)
    return sane and keys_sane, secret or keys_secret


def inspect_keys(keys: Iterable[str]) -> tuple[bool, bool]:
    """Return whether keys are sane, and whether any of them holds a token."""
    sane = True
    secret = False
    for key in keys:
        # Most keys are short identifiers: only others are worth the regular expressions.
        if len(key) >= SHORTEST or not (key.isidentifier() and key.isascii()):
            if not _KEY(key):
                sane = False
            if holds_token(key):
                secret = True
    return sane, secret


def inspect_values(values: Iterable[Any], depth: int) -> tuple[bool, bool]:
    """Return whether values are sane, and whether any of them holds a token.

    Raises `BadRequest` if they are nested too deeply (`MAX_DEPTH`) to be echoed.
    """
    if depth > MAX_DEPTH:
        raise _bad_request({"limit": f"{MAX_DEPTH} levels of nesting"})
    sane = True
    secret = False
    for item in values:
        kind = type(item)
        if kind is int or kind is float:
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                sane = False
        elif kind is str:
            if len(item) >= SHORTEST and holds_token(item):
                secret = True
            if "\x00" in item:
                sane = False
        elif kind is dict or kind is list:
            inspect = inspect_object if kind is dict else inspect_values
            item_sane, item_secret = inspect(item, depth + 1)
            sane, secret = sane and item_sane, secret or item_secret
    return sane, secret


def masked(value: Any, secret_fields: frozenset[str] = frozenset()) -> Any:
    """Return a copy in which secret fields, and tokens anywhere, are replaced by `NOT_SHOWN`."""
    if type(value) is dict:
        return {
            without_tokens(key): NOT_SHOWN if key in secret_fields else masked(item)
            for key, item in value.items()
        }
    if type(value) is list:
        return [masked(item) for item in value]
    if type(value) is str:
        return without_tokens(value)
    return value


def refuse_tokens(message: Message, secret_fields: frozenset[str]) -> None:
    """Raise `InputValidationFailed` if a field that is not declared as secret holds a token."""
    misplaced = [
        field
        for field, value in message.items()
        # `passthrough` is only returned to the client, masked.
        if field != "passthrough" and _holds_token({field: value}, secret_fields)
    ]
    if misplaced:
        raise input_validation_failed(dict.fromkeys(misplaced, _MISPLACED))


def _holds_token(value: Any, secret_fields: frozenset[str]) -> bool:
    """Whether a string or a key outside of secret fields holds a token."""
    if type(value) is dict:
        return any(
            holds_token(key) or (key not in secret_fields and _holds_token(item, secret_fields))
            for key, item in value.items()
        )
    if type(value) is list:
        return any(_holds_token(item, secret_fields) for item in value)
    return type(value) is str and holds_token(value)
