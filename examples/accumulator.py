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
import contextlib
import os
import sys

from scopegate.client import CallError, Client, ClientError
from scopegate.client.messages import BuyParameters

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
SYMBOL = "R_100"
ROUNDS = 4
STAKE = 10.0
GROWTH = 0.03
PATIENCE = 6
"""Ticks after which the bot sells."""
TAKE_PROFIT = 3.0

CONTRACT: BuyParameters = {
    "contract_type": "ACCU",
    "symbol": SYMBOL,
    "basis": "stake",
    "amount": STAKE,
    "currency": "USD",
    "growth_rate": GROWTH,
    "limit_order": {"take_profit": TAKE_PROFIT},
}


async def play(client: Client) -> float:
    """Play one round and return its profit: buy, watch it grow, sell."""
    bought = await client.buy(price=STAKE, parameters=CONTRACT)
    print(bought["longcode"], flush=True)
    async for contract in client.open_contracts(contract_id=bought["contract_id"]):
        spot, passed = contract["current_spot_display_value"], contract["tick_passed"]
        if contract["is_sold"]:
            range_ = f"{contract['low_barrier']} to {contract['high_barrier']}"
            print(f"{spot} {contract['status']} after {passed} ticks, range {range_}:", end=" ")
            print(f"{contract['profit']:+.2f} {contract['currency']}", flush=True)
            return contract["profit"]
        low, high = contract["current_spot_low_barrier"], contract["current_spot_high_barrier"]
        print(f"{spot} {contract['bid_price']:.2f}, next {low} to {high}", flush=True)
        if passed >= PATIENCE:
            # For at least its value now: as long as it grows, it is worth more. It may be too
            # late: a tick went too far, as the next update says.
            with contextlib.suppress(CallError):
                await client.sell(contract["contract_id"], price=contract["bid_price"])
    raise AssertionError("the stream of a contract ends with its sale")


async def main(token: str, url: str = URL) -> None:
    async with Client(url, token) as client:
        total = sum([await play(client) for _ in range(ROUNDS)])
        print(f"total {total:+.2f} USD")


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
    except ClientError as problem:
        sys.exit(str(problem))
