"""A session with the published Python client under a fault: what became of each step, as JSON.

``python deriv_client_bad_day.py ws://HOST:PORT`` with a token in ``TOKEN``.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable
from typing import Any

from deriv_api import DerivAPI
from deriv_api.errors import ResponseError

PATIENCE = 4.0
"""Seconds after which a step hangs."""
SYMBOL = "1HZ100V"
RISE = {
    "contract_type": "CALL",
    "symbol": SYMBOL,
    "currency": "USD",
    "basis": "stake",
    "amount": 10,
    "duration": 5,
    "duration_unit": "t",
}


class Session:
    """The client, the outcome of each step, and what it complained of."""

    def __init__(self, endpoint: str) -> None:
        self.api = DerivAPI(endpoint=endpoint, app_id=1089)
        self.outcomes: dict[str, Any] = {}
        self.complaints: list[str] = []
        self.ticks: list[dict[str, Any]] = []
        self.sold: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.api.sanity_errors.subscribe(lambda e: self.complaints.append(type(e).__name__))

    async def step(self, name: str, work: Awaitable[Any]) -> Any:
        """Do a step; return its result, or `None` if it fails or hangs."""
        try:
            result = await asyncio.wait_for(work, PATIENCE)
        except TimeoutError:
            self.outcomes[name] = "hangs"
        except ResponseError as error:
            self.outcomes[name] = error.code
        except Exception as error:  # noqa: BLE001 - any other of the library is an outcome
            self.outcomes[name] = type(error).__name__
        else:
            self.outcomes[name] = "ok"
            return result
        return None

    async def watch(self) -> None:
        """Wait for the first tick."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def tick(message: dict[str, Any]) -> None:
            self.ticks.append(message)
            if not first.done():
                first.set_result(None)

        ticks = await self.api.subscribe({"ticks": SYMBOL})
        ticks.subscribe(on_next=tick, on_error=lambda error: None)
        await first

    async def follow(self, request: dict[str, Any]) -> None:
        """Wait until a contract is sold."""
        followed = await self.api.subscribe(request)
        followed.subscribe(on_next=self.contract, on_error=self.end)
        await self.sold

    def contract(self, message: dict[str, Any]) -> None:
        if message["proposal_open_contract"].get("is_sold"):
            self.end()

    def end(self, error: Exception | None = None) -> None:
        if not self.sold.done():
            if error is None:
                self.sold.set_result(None)
            else:
                self.sold.set_exception(error)

    async def play(self) -> None:
        api = self.api
        await self.step("authorize", api.authorize(os.environ["TOKEN"]))
        await self.step("ticks", self.watch())
        bought = await self.step("buy", api.buy({"buy": 1, "price": 10, "parameters": RISE}))
        if bought is not None:
            number = bought["buy"]["contract_id"]
            request = {"proposal_open_contract": 1, "contract_id": number}
            await self.step("sold", self.follow(request))
        await self.step("balance", api.balance())


async def main() -> None:
    session = Session(sys.argv[1])
    await session.play()
    epochs = [message["tick"]["epoch"] for message in session.ticks]
    quotes = [message["tick"]["quote"] for message in session.ticks]
    print(  # noqa: T201 - the result
        json.dumps(
            {
                "outcomes": session.outcomes,
                "complaints": sorted(set(session.complaints)),
                "epochs": epochs,
                "quotes": quotes,
            }
        )
    )
    sys.stdout.flush()
    os._exit(0)  # tasks of the library that hang would keep it


asyncio.run(main())
