"""A bot that trades a turbo: choose a barrier, hold, sell when it has gained enough.

    .venv/bin/python examples/turbo.py TOKEN [URL]

Or set them in the environment, as TOKEN and URL. The token is the one that `make serve` prints.

For each point that the price is above its barrier at the end, a long turbo pays the amount that its
proposal states; after one tick at the barrier, it pays nothing. The closer the barrier, the more a
point pays and the likelier an early end is: on average, neither is better. The market is simulated
and moves by chance; only the exchange's margin is certain (3 % of the value by default).
"""

import asyncio
import contextlib
import os
import sys

from scopegate.client import CallError, Client, ClientError

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
SYMBOL = "1HZ100V"
STAKE = 10.0
ENOUGH = 4.0
"""The bot sells once it has gained this much."""


async def chosen_barrier(client: Client) -> str:
    """Return the middle one of the barriers that are suggested for intraday long turbos."""
    listed = await client.contracts_for(SYMBOL)
    [row] = [
        item
        for item in listed["available"]
        if (item["contract_type"], item["expiry_type"]) == ("TURBOSLONG", "intraday")
    ]
    choices = row["barrier_choices"]
    print(f"barriers {' '.join(choices)}", flush=True)
    return choices[len(choices) // 2]


async def main(token: str, url: str = URL) -> None:
    async with Client(url, token) as client:
        # The proposal has its own choices, for exactly this duration; any barrier between works.
        proposal = await client.proposal(
            contract_type="TURBOSLONG",
            symbol=SYMBOL,
            duration=2,
            duration_unit="m",
            basis="stake",
            amount=STAKE,
            currency="USD",
            barrier=await chosen_barrier(client),
        )
        # A proposal can be bought by its id for a minute; `price` is the most that it may cost.
        # The market may have moved since the quote: the reply has the terms of the purchase.
        bought = await client.buy(proposal["id"], price=proposal["ask_price"])
        print(bought["longcode"], flush=True)
        points = ""
        async for contract in client.open_contracts(contract_id=bought["contract_id"]):
            if not points:
                points = contract["display_number_of_contracts"]
                print(f"{points} a point", flush=True)
            spot, barrier = contract["current_spot_display_value"], contract["barrier"]
            if contract["is_sold"]:
                paid = f"paid {contract['sell_price']:.2f}, {contract['profit']:+.2f} USD"
                print(f"{contract['status']} at {spot}, barrier {barrier}: {paid}")
                break
            print(f"{spot} {barrier} {contract['profit']:+.2f}", flush=True)
            if contract["profit"] >= ENOUGH and contract["is_valid_to_sell"]:
                # It may be too late: the contract has ended, as the next update says.
                with contextlib.suppress(CallError):
                    await client.sell(contract["contract_id"], price=STAKE + ENOUGH / 2)


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
    except ClientError as problem:
        sys.exit(str(problem))
