"""A first bot: watch an index, bet on its direction, follow the bet to its end, stop in time.

    .venv/bin/python examples/rise_or_fall.py TOKEN [URL]

Or set them in the environment, as TOKEN and URL. The token is the one that `make serve` prints.

The market is simulated, and its ticks are random: the direction of the last ones says nothing about
the next. Each bet costs more than its chance to win is worth, by the exchange's margin (1.2 % of
the payout by default): if you play long enough, you lose. This shows how a bot trades, not how to
get rich.
"""

import asyncio
import os
import sys

from scopegate.client import Client, ClientError
from scopegate.client.messages import BuyParameters

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
SYMBOL = "1HZ100V"
ROUNDS = 5
STAKE = 10.0
LOSS_LIMIT = 15.0
"""Once it has lost this much, the bot stops before its last round."""


async def play(client: Client) -> float:
    """Play one round and return its profit: two ticks to choose a side, five until the result."""
    async with client.ticks(SYMBOL) as ticks:
        before, after = [(await anext(ticks))["quote"] for _ in range(2)]
    wanted: BuyParameters = {
        "contract_type": "CALL" if after > before else "PUT",
        "symbol": SYMBOL,
        "duration": 5,
        "duration_unit": "t",
        "basis": "stake",
        "amount": STAKE,
        "currency": "USD",
    }
    print(f"{before} -> {after}: {wanted['contract_type']}", end=" ", flush=True)
    bought = await client.buy(price=STAKE, parameters=wanted)
    print(f"pays {bought['payout']:.2f} for {bought['buy_price']:.2f}", end=" ", flush=True)
    # The stream has each change of the contract, and ends when it is sold.
    updates = client.open_contracts(contract_id=bought["contract_id"])
    contract = [update async for update in updates][-1]
    print(contract["entry_tick_display_value"], "->", contract["exit_tick_display_value"], end=" ")
    print(f"{contract['status']} {contract['profit']:+.2f}", flush=True)
    return contract["profit"]


async def main(token: str, url: str = URL) -> None:
    async with Client(url, token) as client:
        total = 0.0
        for _ in range(ROUNDS):
            total += await play(client)
            if total <= -LOSS_LIMIT:
                print("the loss limit is reached")
                break
        print(f"total {total:+.2f} USD")


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
    except ClientError as problem:
        sys.exit(str(problem))
