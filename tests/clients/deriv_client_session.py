"""A session with the published Python client, unchanged: what it saw goes to standard output.

Runs in an environment that has `python-deriv-api` and nothing of ours, as somebody's bot would:
``python deriv_client_session.py ws://HOST:PORT`` with the tokens in ``TOKEN`` and ``READ_TOKEN``.
"""

import asyncio
import json
import os
import sys
from typing import Any

from deriv_api import APIError, DerivAPI
from deriv_api.errors import ResponseError

SYMBOLS = ("R_50", "1HZ100V")
TICKS = 5
"""Ticks of each symbol to wait for."""


GROWS = {
    "proposal": 1,
    "contract_type": "ACCU",
    "symbol": "1HZ100V",
    "currency": "USD",
    "basis": "stake",
    "amount": 10,
    "growth_rate": 0.03,
}


async def refusal(call: Any) -> dict[str, Any]:
    """The error with which a call is refused, as the client hands it to its user."""
    try:
        return {"answered": await call}
    except ResponseError as error:
        return {"code": error.code, "message": error.message, "msg_type": error.msg_type}


class Watched:
    """A stream of the client's own, collected; `enough` is set once there are so many."""

    def __init__(self, count: int) -> None:
        self.messages: list[dict[str, Any]] = []
        self.enough = asyncio.Event()
        self.completed = asyncio.Event()
        self._count = count

    def on_next(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if len(self.messages) >= self._count:
            self.enough.set()

    def follow(self, source: Any) -> "Watched":
        source.subscribe(on_next=self.on_next, on_completed=self.completed.set)
        return self


async def session(endpoint: str) -> dict[str, Any]:
    api = DerivAPI(endpoint=endpoint, app_id=1089)
    complaints: list[str] = []
    api.sanity_errors.subscribe(lambda error: complaints.append(repr(error)))
    seen: dict[str, Any] = {}

    seen["ping"] = await api.ping({"ping": 1})
    seen["active_symbols"] = await api.active_symbols({"active_symbols": "brief"})
    seen["before_login"] = await refusal(api.balance())
    seen["wrong_token"] = await refusal(api.authorize("nonsense"))
    seen["authorize"] = await api.authorize(os.environ["TOKEN"])
    seen["balance"] = await api.balance()
    balances = Watched(1).follow(await api.subscribe({"balance": 1}))
    await balances.enough.wait()

    streams = {name: Watched(TICKS) for name in SYMBOLS}
    for name, stream in streams.items():
        stream.follow(await api.subscribe({"ticks": name}))
    await asyncio.gather(*(stream.enough.wait() for stream in streams.values()))
    seen["forget_all"] = await api.forget_all("ticks")
    await asyncio.gather(*(stream.completed.wait() for stream in streams.values()))
    seen["ticks"] = {name: stream.messages for name, stream in streams.items()}
    seen["ticks_history"] = {
        name: await api.ticks_history(
            {
                "ticks_history": name,
                "start": stream.messages[0]["tick"]["epoch"],
                "end": str(stream.messages[-1]["tick"]["epoch"]),
                "style": "ticks",
            }
        )
        for name, stream in streams.items()
    }
    seen["balances"] = balances.messages

    seen["read_only"] = await api.authorize(os.environ["READ_TOKEN"])
    seen["beyond_scope"] = await refusal(api.topup_virtual())
    seen["within_scope"] = await api.balance()
    seen["unknown_symbol"] = await refusal(api.ticks({"ticks": "NOPE"}))
    seen["cut"] = await refusal(api.proposal(dict(GROWS)))
    seen["whole"] = await refusal(api.send(dict(GROWS)))
    seen["logout"] = await api.logout()
    seen["after_logout"] = await refusal(api.balance())
    seen["complaints"] = list(complaints)
    await api.clear()
    return seen


async def stranger(endpoint: str) -> str:
    """What somebody sees whose app is not known."""
    api = DerivAPI(endpoint=endpoint, app_id=424242)
    try:
        return str(await api.ping({"ping": 1}))
    except (APIError, ResponseError) as error:
        return str(error)
    finally:
        await api.clear()


async def main() -> None:
    endpoint = sys.argv[1]
    seen = await session(endpoint)
    seen["stranger"] = await stranger(endpoint)
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
