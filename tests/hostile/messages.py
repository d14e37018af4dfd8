"""Hostile messages: those of every call, broken in every way that a schema or a parser invites."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from tests.gateway.test_front_door import VALID

CALLS = sorted(VALID)
MAX_SIZE = 60_000
"""Bytes; a longer message closes the connection."""
NUMBERS: Sequence[Any] = (
    *(0, -1, 1, 2**31, 2**53 - 1, 2**53, -(2**53), 10**18, 0.1, -0.0, 1e-9, 1e15, 1e308, 5.0),
    *(True, False, None),
)
TEXTS: Sequence[str] = (
    *("", " ", "0", "-1", "1e5", "NaN", "null", "true", "[]", "{}", "\x7f", "\u200b", "\ufeff"),
    *("latest", "all", "MULTI", "R_100", "1HZ100V", "frxEURUSD", "USD", "CALL", "t", "s", "EN"),
    *("../../etc/passwd", "%00", "' OR 1=1 --", "${7*7}", "<script>", "\u202e", "ÿ" * 50),
    *("\U0001f4a3" * 10, "a" * 51, "9" * 400, "x" * 5_000, "2026-02-30", "9999-12-31"),
)
FRAGMENTS = (
    b'{"ping":NaN}',
    b'{"ping":1}{"ping":1}',
    b'{"ping":01}',
    b'{"ping":"\\ud800"}',
    b"\x00",
    b'{"ping":1,}',
    b'{"time":1e400}',
    b"[" * 1_000,
    b'{"a":' * 500,
    b'{"ping":1}\n',
    b'"',
    b"null",
    b"\xef\xbb\xbf{}",
)


class Attacker:
    """Makes messages, the same ones for the same seed."""

    def __init__(self, seed: str, secrets: Sequence[str]) -> None:
        """`secrets` are put where they do not belong; no reply may show one."""
        self._chance = random.Random(seed)
        self._secrets = secrets
        self._ways: Sequence[Callable[[dict[str, Any]], bytes]] = (
            self._as_it_is,
            self._other_values,
            self._other_values,
            self._fields_of_others,
            self._without_fields,
            self._with_a_secret,
            self._deep,
            self._as_broken_text,
        )

    def message(self) -> bytes:
        """The next message."""
        chance = self._chance
        if chance.random() < 0.02:
            return chance.choice(FRAGMENTS)
        valid = chance.choice(VALID[chance.choice(CALLS)])
        return chance.choice(self._ways)(_copied(valid))[:MAX_SIZE]

    def _value(self, depth: int = 0) -> Any:
        chance = self._chance
        kind = chance.random()
        if kind < 0.4:
            return chance.choice(NUMBERS)
        if kind < 0.8 or depth > 3:
            return chance.choice(TEXTS)
        if kind < 0.9:
            return [self._value(depth + 1) for _ in range(chance.randrange(4))]
        return {
            chance.choice(TEXTS)[:50]: self._value(depth + 1) for _ in range(chance.randrange(3))
        }

    def _place(self, message: Any) -> tuple[Any, Any]:
        """A container in the message, and a key of it."""
        chance = self._chance
        while True:
            keys = list(message) if isinstance(message, dict) else list(range(len(message)))
            key = chance.choice(keys)
            inner = message[key]
            if not (isinstance(inner, dict | list) and inner and chance.random() < 0.7):
                return message, key
            message = inner

    def _as_it_is(self, message: dict[str, Any]) -> bytes:
        return orjson.dumps(message)

    def _other_values(self, message: dict[str, Any]) -> bytes:
        for _ in range(self._chance.randrange(1, 4)):
            container, key = self._place(message)
            container[key] = self._value()
        return _dumped(message)

    def _fields_of_others(self, message: dict[str, Any]) -> bytes:
        chance = self._chance
        other = chance.choice(VALID[chance.choice(CALLS)])
        more = _copied(other)
        more.update(message) if chance.random() < 0.5 else message.update(more)
        more.setdefault("subscribe", chance.choice((1, 0, "1", None)))
        more.setdefault("req_id", self._value())
        return _dumped(more)

    def _without_fields(self, message: dict[str, Any]) -> bytes:
        container, key = self._place(message)
        del container[key]
        return _dumped(message)

    def _with_a_secret(self, message: dict[str, Any]) -> bytes:
        container, key = self._place(message)
        secret = self._chance.choice(self._secrets)
        value = self._chance.choice((secret, f" {secret} ", [secret], {secret: 1}, {"x": secret}))
        if isinstance(container, dict) and self._chance.random() < 0.3:
            container[secret] = 1
        else:
            container[key] = value
        return _dumped(message)

    def _deep(self, message: dict[str, Any]) -> bytes:
        container, key = self._place(message)
        value: Any = 1
        for _ in range(self._chance.choice((10, 31, 32, 33, 100))):
            value = [value] if self._chance.random() < 0.5 else {"x": value}
        container[key] = value
        return _dumped(message)

    def _as_broken_text(self, message: dict[str, Any]) -> bytes:
        chance = self._chance
        text = bytearray(orjson.dumps(message))
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(text))
            way = chance.random()
            if way < 0.4:
                text[at] = chance.randrange(32, 127)
            elif way < 0.7:
                del text[at : at + chance.randrange(1, 5)]
            else:
                text[at:at] = text[at : at + chance.randrange(1, 50)]
            text = text or bytearray(b"{")
        return bytes(text)


def _copied(message: dict[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = orjson.loads(orjson.dumps(message))
    return copied


def _dumped(message: Any) -> bytes:
    try:
        return orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:  # an integer of more than 64 bits
        return b'{"ping":18446744073709551616}'
