"""The example replies of the gateway's own calls, as `make docs` stores them."""

from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from scopegate import schemas
from scopegate.gateway.calls.registry import Call


@cache
def _stored() -> dict[str, Any]:
    stored: dict[str, Any] = orjson.loads((files(schemas) / "reply_examples.json").read_bytes())
    return stored


def reply_example(call: Call) -> dict[str, Any] | None:
    """A real reply to the call; `None` for a call of a plugin."""
    if not call.request.__module__.startswith(f"{schemas.__name__}."):
        return None
    return _stored().get(call.name)
