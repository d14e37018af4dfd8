"""A bot that buys a call and a put: it bets that the price moves, in either direction.

    .venv/bin/python examples/vanilla.py TOKEN [URL]

Or set them in the environment, as TOKEN and URL. The token is the one that `make serve` prints.

For each point that the price ends above its strike, a vanilla call pays its number of contracts; a
put pays it for each point below. With both at one strike (a straddle), a large move pays; without a
move, both are lost. How far the price must go is known beforehand, and printed. The market is
simulated: its moves are as large as its volatility says, so on average the exchange's margin is
lost (2.5 % of the value by default).
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
"""The stake of each contract."""

WANTED = {
    "symbol": SYMBOL,
    "duration": 1,
    "duration_unit": "m",
    "barrier": "+0.00",
    "basis": "stake",
    "amount": STAKE,
    "currency": "USD",
}
SIDES = ("VANILLALONGCALL", "VANILLALONGPUT")

numbers = itertools.count(1)


async def ask(socket: ClientConnection, **request: object) -> dict[str, Any]:
    """Send a request and return its reply; messages of streams before it are skipped."""
    number = next(numbers)
    await socket.send(json.dumps({**request, "req_id": number}))
    while True:
        message = await receive(socket)
        if message.get("req_id") == number:
            return message


async def receive(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await socket.recv())
    if "error" in message:
        sys.exit(f"{message['msg_type']}: {message['error']['message']}")
    return message


async def main(token: str, url: str = URL) -> None:
    async with connect(f"{url}?app_id=1089") as socket:
        await ask(socket, authorize=token)
        # One stream reports every contract of the account, including those bought later.
        await ask(socket, proposal_open_contract=1, subscribe=1)
        mine: dict[int, dict[str, Any]] = {}
        for side in SIDES:
            quoted = (await ask(socket, proposal=1, **WANTED, contract_type=side))["proposal"]
            bought = (await ask(socket, buy=quoted["id"], price=quoted["ask_price"]))["buy"]
            print(bought["longcode"])
            needed = STAKE * len(SIDES) / float(quoted["display_number_of_contracts"])
            print(f"{side} pays for both when it ends {needed:.2f} beyond its strike", flush=True)
            mine[bought["contract_id"]] = {}
        while not all(contract.get("is_sold") for contract in mine.values()):
            contract = (await receive(socket)).get("proposal_open_contract", {})
            number = contract.get("contract_id")
            if number in mine:
                mine[number] = contract
                if contract["is_sold"]:
                    print(
                        f"{contract['contract_type']} {contract['barrier']} ->"
                        f" {contract['exit_tick_display_value']}: {contract['status']},"
                        f" paid {contract['sell_price']:.2f}",
                        flush=True,
                    )
        total = sum(contract["profit"] for contract in mine.values())
        print(f"total {total:+.2f} USD")


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
