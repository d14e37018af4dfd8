"""Which message of a recording a client's message is, and how they differ.

Rules:
- A message is matched by its call and its content, in the order of the recording.
- Left out of the comparison: `req_id` and `passthrough`, which a client chooses anew each time; and
  secrets, so that a client with another token is served the same.
- Ids of streams and proposals are those of the recording when they are compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from scopegate.gateway.calls.token_form import NOT_SHOWN, without_tokens
from scopegate.recordings.masking import is_id, is_placeholder, is_secret_field, is_secret_value
from scopegate.schemas.published import ALSO_FIELDS, PUBLISHED

CHOSEN_BY_CLIENT: Final = frozenset({"req_id", "passthrough"})
_NOT_CALLS: Final = CHOSEN_BY_CLIENT | {"loginid", "subscribe"}
MISSING: Final = "<missing>"
"""In place of a field that one of two messages does not have."""


def call_of(message: Mapping[str, Any] | None) -> str:
    """Return the name of the call in a request; empty if it names none.

    Calls that are not published are found by the first key.
    """
    if message is None:
        return ""
    named = [key for key in message if key in PUBLISHED]
    for name in named:
        if all(other in ALSO_FIELDS.get(name, ()) for other in named if other != name):
            return name
    return next(iter([*named, *(key for key in message if key not in _NOT_CALLS)]), "")


Fields = frozenset[str]
"""Fields that hold secrets in a recording, besides those that are known by their names."""


def secret_fields(value: Any) -> Iterator[str]:
    """Yield the fields of a recorded value that hold placeholders of secrets."""
    if isinstance(value, dict):
        for name, item in value.items():
            if any(map(is_placeholder, item if isinstance(item, list) else [item])):
                yield name
            yield from secret_fields(item)
    elif isinstance(value, list):
        for item in value:
            yield from secret_fields(item)


def without_secrets(value: Any, fields: Fields = frozenset(), *, is_secret: bool = False) -> Any:
    """Return a copy of a value of JSON with `NOT_SHOWN` in the place of secrets.

    `is_secret` means that it is the value of a field that holds secrets.
    """
    if isinstance(value, dict):
        return {
            without_tokens(name): without_secrets(
                item, fields, is_secret=name in fields or is_secret_field(name)
            )
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(item, fields, is_secret=is_secret) for item in value]
    if is_secret:
        return NOT_SHOWN if is_placeholder(value) or is_secret_value(value) else value
    if isinstance(value, str):
        return NOT_SHOWN if is_placeholder(value) else without_tokens(value)
    return value


@dataclass(frozen=True, slots=True)
class Difference:
    """A field in which a message differs from the recorded one."""

    name: str
    """The path of the field, such as `parameters.amount`."""
    expected: Any
    """The recorded value; `MISSING` if there is none."""
    actual: Any
    """The value that came; `MISSING` if there is none."""

    def __str__(self) -> str:
        if self.expected == MISSING:
            return f"{self.name}: not expected, but got {_text(self.actual)}"
        if self.actual == MISSING:
            return f"{self.name}: expected {_text(self.expected)}, but it is missing"
        return f"{self.name}: expected {_text(self.expected)}, but got {_text(self.actual)}"


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def differences(
    expected: Mapping[str, Any] | None,
    actual: Mapping[str, Any] | None,
    fields: Fields = frozenset(),
) -> list[Difference]:
    """Return the fields in which a message differs from a recorded one, in the recorded order."""
    if expected is None or actual is None:
        if expected is actual:
            return []
        shown = [
            "not a JSON object" if each is None else "a JSON object" for each in (expected, actual)
        ]
        return [Difference("message", *shown)]
    known, came = (
        without_secrets(
            {name: value for name, value in each.items() if name not in CHOSEN_BY_CLIENT}, fields
        )
        for each in (expected, actual)
    )
    return _different("", known, came)


def _different(path: str, expected: Any, actual: Any) -> list[Difference]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        names = [*expected, *(name for name in actual if name not in expected)]
        return [
            each
            for name in names
            for each in _different(
                f"{path}.{name}" if path else name,
                expected.get(name, MISSING),
                actual.get(name, MISSING),
            )
        ]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [
            each
            for number, pair in enumerate(zip(expected, actual, strict=True))
            for each in _different(f"{path}[{number}]", *pair)
        ]
    return [] if expected == actual else [Difference(path, expected, actual)]


def own_ids(expected: Any, actual: Any) -> dict[str, str]:
    """Return the ids that a client chose itself, with those that are recorded in their places."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        pairs = [(item, actual[name]) for name, item in expected.items() if name in actual]
    elif isinstance(expected, list) and isinstance(actual, list):
        pairs = list(zip(expected, actual, strict=False))
    else:
        return {actual: expected} if is_id(expected) and is_id(actual) else {}
    return {own: known for pair in pairs for own, known in own_ids(*pair).items()}


@dataclass(frozen=True, slots=True)
class Problem:
    """A client has not done what the recording has."""

    what: str
    """What happened, in a sentence."""
    connection: int
    """The number of the connection in the recording; for one that is not in it, the next number."""
    line: int = 0
    """The line of the recording that was expected; 0 if nothing of the kind was."""
    expected: dict[str, Any] | None = None
    actual: dict[str, Any] | None = None
    differences: tuple[Difference, ...] = field(default=())

    def __str__(self) -> str:
        where = f"connection {self.connection}"
        lines = [
            f"{where}, line {self.line}: {self.what}" if self.line else f"{where}: {self.what}"
        ]
        if self.differences:
            lines += [f"  {each}" for each in self.differences]
        else:
            if self.expected is not None:
                lines.append(f"  expected: {_text(self.expected)}")
            if self.actual is not None:
                lines.append(f"  got:      {_text(self.actual)}")
        return "\n".join(lines)
