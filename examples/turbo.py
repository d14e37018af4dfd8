"""A bot that trades a turbo: choose a barrier, hold, sell when it has gained enough.

    .venv/bin/python examples/turbo.py TOKEN [URL]

Or set them in the environment, as TOKEN and URL. The token is the one that `make serve` prints.

For each point that the price is above its barrier at the end, a long turbo pays the amount that its
proposal states; after one tick at the barrier, it pays nothing. The closer the barrier, the more a
point pays and the likelier an early end is: on average, neither is better. The market is simulated
and moves by chance; only the exchange's margin is certain (3 % of the value by default).
"""

import asyncio
import itertools
import json
import os
import sys
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
SYMBOL = "1HZ100V"
STAKE = 10.0
ENOUGH = 4.0
"""The bot sells once it has gained this much."""

WANTED = {
    "contract_type": "TURBOSLONG",
    "symbol": SYMBOL,
    "duration": 2,
    "duration_unit": "m",
    "basis": "stake",
    "amount": STAKE,
    "currency": "USD",
}

numbers = itertools.count(1)


async def ask(socket: ClientConnection, **request: object) -> dict[str, Any]:
    """Send a request and return the next message, which is its reply while no stream is open."""
    await socket.send(json.dumps({**request, "req_id": next(numbers)}))
    return await receive(socket)


async def receive(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await socket.recv())
    # A sale may come too late: the contract has ended, as the next message says.
    if "error" in message and message["msg_type"] != "sell":
        sys.exit(f"{message['msg_type']}: {message['error']['message']}")
    return message


async def chosen_barrier(socket: ClientConnection) -> str:
    """Return the middle one of the barriers that are suggested for intraday long turbos."""
    listed = (await ask(socket, contracts_for=SYMBOL))["contracts_for"]["available"]
    [row] = [
        item
        for item in listed
        if (item["contract_type"], item["expiry_type"]) == ("TURBOSLONG", "intraday")
    ]
    choices = row["barrier_choices"]
    print(f"barriers {' '.join(choices)}", flush=True)
    return str(choices[len(choices) // 2])


async def main(token: str, url: str = URL) -> None:
    async with connect(f"{url}?app_id=1089") as socket:
        await ask(socket, authorize=token)
        barrier = await chosen_barrier(socket)
        # The proposal has its own choices, for exactly this duration; any barrier between works.
        proposal = (await ask(socket, proposal=1, **WANTED, barrier=barrier))["proposal"]
        # A proposal can be bought by its id for a minute; `price` is the most that it may cost.
        # The market may have moved since the quote: the reply has the terms of the purchase.
        bought = await ask(socket, buy=proposal["id"], price=proposal["ask_price"], subscribe=1)
        print(bought["buy"]["longcode"], flush=True)
        points = ""
        is_leaving = False
        while True:
            contract = (await receive(socket)).get("proposal_open_contract")
            if contract is None:  # the reply to the sale
                continue
            if not points:
                points = contract["display_number_of_contracts"]
                print(f"{points} a point", flush=True)
            spot = contract["current_spot_display_value"]
            if contract["is_sold"]:
                break
            print(f"{spot} {contract['barrier']} {contract['profit']:+.2f}", flush=True)
            if contract["profit"] >= ENOUGH and contract["is_valid_to_sell"] and not is_leaving:
                is_leaving = True
                request = {"sell": contract["contract_id"], "price": STAKE + ENOUGH / 2}
                await socket.send(json.dumps({**request, "req_id": next(numbers)}))
        paid = f"paid {contract['sell_price']:.2f}, {contract['profit']:+.2f} USD"
        print(f"{contract['status']} at {spot}, barrier {contract['barrier']}: {paid}")


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
