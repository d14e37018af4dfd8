"""A bot written with the published client: buys a rise over five minutes, and waits for its end.

Runs in an environment that has `python-deriv-api` and nothing of ours, as somebody's bot would:
``python deriv_client_five_minutes.py ws://HOST:PORT`` with a token in ``TOKEN``.
"""

import asyncio
import json
import os
import sys

from deriv_api import DerivAPI

RISE = {
    "proposal": 1,
    "amount": 10,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "duration": 5,
    "duration_unit": "m",
    "symbol": "R_100",
}


async def bot(endpoint: str) -> None:
    api = DerivAPI(endpoint=endpoint, app_id=1089)
    await api.authorize(os.environ["TOKEN"])
    quote = await api.proposal(RISE)
    bought = await api.buy({"buy": quote["proposal"]["id"], "price": 10})
    ended: asyncio.Future = asyncio.get_running_loop().create_future()

    def told(message: dict) -> None:
        if message["proposal_open_contract"].get("is_sold"):
            ended.set_result(message["proposal_open_contract"])

    contract = {"proposal_open_contract": 1, "contract_id": bought["buy"]["contract_id"]}
    (await api.subscribe(contract)).subscribe(told)
    json.dump(await ended, sys.stdout)
    await api.clear()


if __name__ == "__main__":
    asyncio.run(bot(sys.argv[1]))
