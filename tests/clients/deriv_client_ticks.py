"""The published Python client: ticks asked for once, again, and then as a stream.

Runs in an environment that has `python-deriv-api` and nothing of ours:
``python deriv_client_ticks.py ws://HOST:PORT``.
"""

import asyncio
import json
import sys
from typing import Any

from deriv_api import DerivAPI

TICKS = 4


async def main() -> None:
    api = DerivAPI(endpoint=sys.argv[1], app_id=1089)
    complaints: list[str] = []
    api.sanity_errors.subscribe(lambda error: complaints.append(repr(error)))
    once = [await api.ticks({"ticks": "1HZ100V"}) for _ in range(2)]
    told: list[dict[str, Any]] = []
    enough = asyncio.Event()

    def heard(message: dict[str, Any]) -> None:
        told.append(message)
        if len(told) == TICKS:
            enough.set()

    source = await api.subscribe({"ticks": "1HZ100V"})
    source.subscribe(on_next=heard, on_error=lambda error: complaints.append(repr(error)))
    await enough.wait()
    after = await api.ticks({"ticks": "1HZ100V"})
    ended = (await api.forget_all("ticks"))["forget_all"]
    seen = {"once": once, "stream": told[:TICKS], "after": after, "ended": ended}
    print(json.dumps({**seen, "complaints": complaints}))  # noqa: T201 - the test reads it
    await api.clear()


asyncio.run(main())
