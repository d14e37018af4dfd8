"""Example replies: one real reply of each call, from a gateway with a fixed seed and clock.

Each call is made in a world of its own, in the scene that the tests have for it
(`tests.published.scenes`). Random values and values that depend on the real time are replaced by
fixed ones: tokens are masked, ids are numbered. Long lists are cut to their first items.
"""

import asyncio
import itertools
import random
import re
import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import orjson

from scopegate.gateway.access import overview
from scopegate.gateway.calls import dispatch, handling, token_form
from scopegate.testing import NOON, world
from tests.published import scenes

ITEMS = 2
"""Of a list so many items are shown."""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


async def examples() -> dict[str, Any]:
    """The example reply of every call that is offered, by the name of the call."""
    return {name: await _example(name) for name in sorted(scenes.SCENES)}


async def _example(name: str) -> Any:
    with _fixed(name):
        async with world(seed="docs") as made:
            is_own = name in scenes.OWN
            client = await (made.owner() if is_own else scenes.signed_in(made, to_make=name))
            request = await scenes.SCENES[name](made, client)
            reply = await client.ask(request | {"req_id": 1})
    if "error" in reply:
        raise RuntimeError(f"{name}: {reply['error']}")
    return _masked(_cut(reply), itertools.count(1), {})


@contextmanager
def _fixed(name: str) -> Iterator[None]:
    """Fixed random numbers, and a real time that does not pass."""
    chance = random.Random(name)  # noqa: S311 - nothing here is a secret

    def hexadecimal(count: int) -> str:
        return chance.randbytes(count).hex()

    with (
        patch.object(time, "time", lambda: NOON),
        patch.object(time, "perf_counter", lambda: 0.0),
        patch.object(dispatch, "perf_counter", lambda: 0.0),
        patch.object(handling, "perf_counter", lambda: 0.0),
        patch.object(overview, "monotonic", lambda: 0.0),
        patch.object(secrets, "choice", chance.choice),
        patch.object(secrets, "token_hex", hexadecimal),
        patch.object(scenes, "_numbers", itertools.count(1)),
    ):
        yield


def _cut(value: Any) -> Any:
    """The value with the first items of each list, and of each table by name."""
    if isinstance(value, list):
        return [_cut(item) for item in value[:ITEMS]]
    if isinstance(value, dict):
        fields = list(value.items())
        tables = len(fields) > ITEMS and all(isinstance(item, dict) for _, item in fields)
        if tables and len({tuple(item) for _, item in fields}) == 1:
            fields = fields[:ITEMS]
        return {name: _cut(item) for name, item in fields}
    return value


def _masked(value: Any, numbers: Iterator[int], known: dict[str, str]) -> Any:
    """The value with tokens masked, and each random id replaced by a number."""
    if isinstance(value, list):
        return [_masked(item, numbers, known) for item in value]
    if isinstance(value, dict):
        return {name: _masked(item, numbers, known) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    for found in _UUID.findall(value):
        if found not in known:
            known[found] = str(uuid.UUID(int=next(numbers)))
        value = value.replace(found, known[found])
    return token_form.without_tokens(value)


def encoded() -> str:
    """The examples as they are stored."""
    made = asyncio.run(examples())
    return orjson.dumps(made, option=orjson.OPT_INDENT_2).decode() + "\n"
