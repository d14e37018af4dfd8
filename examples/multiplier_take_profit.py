"""A bot that holds one multiplier with a take profit and a stop loss, and halves the take profit.

    .venv/bin/python examples/multiplier_take_profit.py TOKEN [URL]

Or set them in the environment, as TOKEN and URL. The token is the one that `make serve` prints.

A multiplier gains and loses `MULTIPLIER` percent of its stake for each percent that the price
moves. It ends automatically when the take profit or the stop loss is reached; this bot halves its
take profit once the contract has begun. The market is simulated and moves by chance: the orders
decide when a contract ends, not its average result, which is the loss of the commission.
"""

import asyncio
import os
import sys

from scopegate.client import CallError, Client, ClientError
from scopegate.client.messages import BuyParameters, OrderShown

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
SYMBOL = "1HZ100V"
STAKE = 10.0
MULTIPLIER = 400
TAKE_PROFIT = 6.0
STOP_LOSS = 5.0

CONTRACT: BuyParameters = {
    "contract_type": "MULTUP",
    "symbol": SYMBOL,
    "basis": "stake",
    "amount": STAKE,
    "currency": "USD",
    "multiplier": MULTIPLIER,
    "limit_order": {"take_profit": TAKE_PROFIT, "stop_loss": STOP_LOSS},
}


def show(name: str, order: OrderShown) -> None:
    print(f"{name} {order['order_amount']:+.2f} at {order['value']}", flush=True)


async def halve_take_profit(client: Client, contract_id: int) -> None:
    try:
        changed = await client.contract_update(
            contract_id=contract_id, limit_order={"take_profit": TAKE_PROFIT / 2}
        )
    except CallError as refused:  # too late: the contract has ended, as the next update says
        print(refused, flush=True)
    else:
        show("moved the take profit:", changed["take_profit"])


async def main(token: str, url: str = URL) -> None:
    async with Client(url, token) as client:
        bought = await client.buy(price=STAKE, parameters=CONTRACT)
        print(bought["longcode"], flush=True)
        is_moved = False
        # From here on, the bot only reacts to what happens to its contract.
        async for contract in client.open_contracts(contract_id=bought["contract_id"]):
            if contract["is_sold"]:
                print(
                    f"{contract['status']} at {contract['exit_tick_display_value']}:"
                    f" {contract['profit']:+.2f} {contract['currency']}"
                )
                return
            if not is_moved and "entry_tick" in contract:
                is_moved = True
                print(f"entered at {contract['entry_tick_display_value']}", flush=True)
                orders = contract["limit_order"]
                show("stop out:", orders["stop_out"])
                show("take profit:", orders["take_profit"])
                show("stop loss:", orders["stop_loss"])
                await halve_take_profit(client, contract["contract_id"])
            print(f"{contract['current_spot_display_value']} {contract['profit']:+.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
    except ClientError as problem:
        sys.exit(str(problem))
