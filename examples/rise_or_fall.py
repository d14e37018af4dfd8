"""A first bot: watch an index, bet on its direction, follow the bet to its end, stop in time.

    .venv/bin/python examples/rise_or_fall.py TOKEN [URL]

Or set them in the environment, as TOKEN and URL. The token is the one that `make serve` prints.

The market is simulated, and its ticks are random: the direction of the last ones says nothing about
the next. Each bet costs more than its chance to win is worth, by the exchange's margin (1.2 % of
the payout by default): if you play long enough, you lose. This shows how a bot trades, not how to
get rich.
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
ROUNDS = 5
STAKE = 10.0
LOSS_LIMIT = 15.0
"""Once it has lost this much, the bot stops before its last round."""

numbers = itertools.count(1)


async def send(socket: ClientConnection, **request: object) -> None:
    await socket.send(json.dumps({**request, "req_id": next(numbers)}))


async def receive(socket: ClientConnection, *wanted: str) -> dict[str, Any]:
    """Return the next message of a wanted `msg_type`, and skip all others."""
    while True:
        message: dict[str, Any] = json.loads(await socket.recv())
        if "error" in message:
            sys.exit(f"{message['msg_type']}: {message['error']['message']}")
        if message["msg_type"] in wanted:
            return message


async def play(socket: ClientConnection) -> float:
    """Play one round and return its profit: two ticks to choose a side, five until the result."""
    before = (await receive(socket, "tick"))["tick"]["quote"]
    after = (await receive(socket, "tick"))["tick"]["quote"]
    side = "CALL" if after > before else "PUT"
    print(f"{before} -> {after}: {side}", end=" ", flush=True)
    wanted = {
        "contract_type": side,
        "symbol": SYMBOL,
        "duration": 5,
        "duration_unit": "t",
        "basis": "stake",
        "amount": STAKE,
        "currency": "USD",
    }
    # `buy: 1` takes the contract from `parameters`; with `subscribe`, the reply is followed by a
    # message for each change of the contract, until it is sold.
    await send(socket, buy=1, price=STAKE, parameters=wanted, subscribe=1)
    bought = (await receive(socket, "buy"))["buy"]
    print(f"pays {bought['payout']:.2f} for {bought['buy_price']:.2f}", end=" ", flush=True)
    while True:
        message = await receive(socket, "proposal_open_contract")
        contract = message["proposal_open_contract"]
        if contract["is_sold"]:
            break
    print(contract["entry_tick_display_value"], "->", contract["exit_tick_display_value"], end=" ")
    print(f"{contract['status']} {contract['profit']:+.2f}", flush=True)
    return float(contract["profit"])


async def main(token: str, url: str = URL) -> None:
    async with connect(f"{url}?app_id=1089") as socket:
        await send(socket, authorize=token)
        await receive(socket, "authorize")
        await send(socket, ticks=SYMBOL, subscribe=1)
        total = 0.0
        for _ in range(ROUNDS):
            total += await play(socket)
            if total <= -LOSS_LIMIT:
                print("the loss limit is reached")
                break
        print(f"total {total:+.2f} USD")


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
