"""A bot that lets a stake grow tick by tick, and sells it before a tick goes too far.

    .venv/bin/python examples/accumulator.py TOKEN [URL]

Or set them in the environment, as TOKEN and URL. The token is the one that `make serve` prints.

An accumulator grows by `GROWTH` with every tick that stays near the one before; the first tick that
does not takes all of it. This bot sells after `PATIENCE` ticks, and also has a take profit. The
market is simulated and moves by chance: waiting longer changes how often a round is lost and how
much a good one brings, but does not pay on average: each tick costs the exchange's margin (0.3 % of
the value or a little more, by default).
"""

import asyncio
import itertools
import json
import os
import sys
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
SYMBOL = "R_100"
ROUNDS = 4
STAKE = 10.0
GROWTH = 0.03
PATIENCE = 6
"""Ticks after which the bot sells."""
TAKE_PROFIT = 3.0

CONTRACT = {
    "contract_type": "ACCU",
    "symbol": SYMBOL,
    "basis": "stake",
    "amount": STAKE,
    "currency": "USD",
    "growth_rate": GROWTH,
    "limit_order": {"take_profit": TAKE_PROFIT},
}

numbers = itertools.count(1)


async def send(socket: ClientConnection, **request: object) -> None:
    await socket.send(json.dumps({**request, "req_id": next(numbers)}))


async def receive(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await socket.recv())
    # A sale may come too late: a tick went too far, as the next message says.
    if "error" in message and message["msg_type"] != "sell":
        sys.exit(f"{message['msg_type']}: {message['error']['message']}")
    return message


async def play(socket: ClientConnection) -> float:
    """Play one round and return its profit: buy, watch it grow, sell."""
    await send(socket, buy=1, price=STAKE, parameters=CONTRACT, subscribe=1)
    is_leaving = False
    while True:
        contract = (await receive(socket)).get("proposal_open_contract")
        if contract is None:  # the reply to the purchase or to the sale
            continue
        spot, passed = contract["current_spot_display_value"], contract["tick_passed"]
        if contract["is_sold"]:
            range_ = f"{contract['low_barrier']} to {contract['high_barrier']}"
            print(f"{spot} {contract['status']} after {passed} ticks, range {range_}:", end=" ")
            print(f"{contract['profit']:+.2f} {contract['currency']}", flush=True)
            return float(contract["profit"])
        low, high = (contract[f"current_spot_{side}_barrier"] for side in ("low", "high"))
        print(f"{spot} {contract['bid_price']:.2f}, next {low} to {high}", flush=True)
        if passed >= PATIENCE and not is_leaving:
            is_leaving = True
            # For at least its value now: as long as it grows, it is worth more.
            await send(socket, sell=contract["contract_id"], price=contract["bid_price"])


async def main(token: str, url: str = URL) -> None:
    async with connect(f"{url}?app_id=1089") as socket:
        await send(socket, authorize=token)
        await receive(socket)
        total = sum([await play(socket) for _ in range(ROUNDS)])
        print(f"total {total:+.2f} USD")


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
