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
import os
import sys

from scopegate.client import Client, ClientError
from scopegate.client.messages import ContractType, OpenContract

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
SYMBOL = "1HZ100V"
STAKE = 10.0
"""The stake of each contract."""
SIDES: tuple[ContractType, ...] = ("VANILLALONGCALL", "VANILLALONGPUT")


async def buy(client: Client, side: ContractType) -> int:
    """Buy a contract at the present price, and return its id."""
    quoted = await client.proposal(
        contract_type=side,
        symbol=SYMBOL,
        duration=1,
        duration_unit="m",
        barrier="+0.00",
        basis="stake",
        amount=STAKE,
        currency="USD",
    )
    bought = await client.buy(quoted["id"], price=quoted["ask_price"])
    print(bought["longcode"])
    needed = STAKE * len(SIDES) / float(quoted["display_number_of_contracts"])
    print(f"{side} pays for both when it ends {needed:.2f} beyond its strike", flush=True)
    return bought["contract_id"]


async def main(token: str, url: str = URL) -> None:
    # One stream reports every contract of the account, including those bought later.
    async with Client(url, token) as client, client.open_contracts() as contracts:
        mine = {await buy(client, side) for side in SIDES}
        sold: list[OpenContract] = []
        async for contract in contracts:
            if contract["contract_id"] in mine and contract["is_sold"]:
                sold.append(contract)
                print(
                    f"{contract['contract_type']} {contract['barrier']} ->"
                    f" {contract['exit_tick_display_value']}: {contract['status']},"
                    f" paid {contract['sell_price']:.2f}",
                    flush=True,
                )
            if len(sold) == len(mine):
                break
        print(f"total {sum(contract['profit'] for contract in sold):+.2f} USD")


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
    except ClientError as problem:
        sys.exit(str(problem))
