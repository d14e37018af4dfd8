"""The published Python client, whose connection is cut after each call: what it saw, as JSON.

``python deriv_client_cut.py ws://HOST:PORT`` with a token in ``TOKEN``. The client does not connect
again by itself, so each step is a client of its own, as a bot has it that begins anew.
"""

import asyncio
import json
import os
import sys
from typing import Any

from deriv_api import DerivAPI

CONTRACT = {
    "contract_type": "MULTUP",
    "symbol": "1HZ100V",
    "currency": "USD",
    "basis": "stake",
    "amount": 10,
    "multiplier": 100,
}


async def step(endpoint: str, *requests: dict[str, Any]) -> Any:
    """Sign in, make these calls, and lose the connection: the last reply."""
    api = DerivAPI(endpoint=endpoint, app_id=1089)
    await api.authorize(os.environ["TOKEN"])
    reply: Any = None
    for request in requests:
        reply = await api.send(dict(request))
    (await api.api_connect()).transport.abort()
    await api.clear()
    return reply


async def main() -> None:
    endpoint = sys.argv[1]
    seen: dict[str, Any] = {}
    bought = await step(endpoint, {"buy": "1", "price": 10, "parameters": CONTRACT})
    seen["buy"] = bought
    number = bought["buy"]["contract_id"]
    seen["portfolio"] = await step(endpoint, {"portfolio": 1})
    seen["followed"] = await step(endpoint, {"proposal_open_contract": 1, "contract_id": number})
    order = {"contract_update": 1, "contract_id": number, "limit_order": {"take_profit": 900}}
    seen["update"] = await step(endpoint, order)
    seen["sell"] = await step(endpoint, {"sell": number, "price": 0})
    seen["statement"] = await step(endpoint, {"statement": 1})
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
