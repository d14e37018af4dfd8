"""A bot that holds one multiplier with a take profit and a stop loss, and halves the take profit.

    .venv/bin/python examples/multiplier_take_profit.py TOKEN [URL]

Or set them in the environment, as TOKEN and URL. The token is the one that `make serve` prints.

A multiplier gains and loses `MULTIPLIER` percent of its stake for each percent that the price
moves. It ends automatically when the take profit or the stop loss is reached; this bot halves its
take profit once the contract has begun. The market is simulated and moves by chance: the orders
decide when a contract ends, not its average result, which is the loss of the commission.
"""

import asyncio
import json
import os
import sys
from typing import Any

from websockets.asyncio.client import connect

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
SYMBOL = "1HZ100V"
STAKE = 10.0
MULTIPLIER = 400
TAKE_PROFIT = 6.0
STOP_LOSS = 5.0

CONTRACT = {
    "contract_type": "MULTUP",
    "symbol": SYMBOL,
    "basis": "stake",
    "amount": STAKE,
    "currency": "USD",
    "multiplier": MULTIPLIER,
    "limit_order": {"take_profit": TAKE_PROFIT, "stop_loss": STOP_LOSS},
}


def show(name: str, order: dict[str, Any]) -> None:
    print(f"{name} {order['order_amount']:+.2f} at {order['value']}", flush=True)


async def main(token: str, url: str = URL) -> None:
    async with connect(f"{url}?app_id=1089") as socket:
        # Requests of one connection are answered in order: no need to wait in between.
        await socket.send(json.dumps({"authorize": token}))
        buy = {"buy": 1, "price": STAKE, "parameters": CONTRACT, "subscribe": 1}
        await socket.send(json.dumps(buy))
        is_moved = False
        # From here on, the bot only reacts to messages.
        async for text in socket:
            message = json.loads(text)
            kind = message["msg_type"]
            if "error" in message:
                # A change may come too late: the contract has ended, as the next message says.
                print(f"{kind}: {message['error']['message']}", flush=True)
                if kind != "contract_update":
                    sys.exit(1)
            elif kind == "buy":
                print(message["buy"]["longcode"], flush=True)
            elif kind == "contract_update":
                show("moved the take profit:", message["contract_update"]["take_profit"])
            elif kind == "proposal_open_contract":
                contract = message["proposal_open_contract"]
                if contract["is_sold"]:
                    print(
                        f"{contract['status']} at {contract['exit_tick_display_value']}:"
                        f" {contract['profit']:+.2f} {contract['currency']}"
                    )
                    return
                if not is_moved and "entry_tick" in contract:
                    is_moved = True
                    print(f"entered at {contract['entry_tick_display_value']}", flush=True)
                    for name, order in contract["limit_order"].items():
                        show(name.replace("_", " ") + ":", order)
                    change = {
                        "contract_update": 1,
                        "contract_id": contract["contract_id"],
                        "limit_order": {"take_profit": TAKE_PROFIT / 2},
                    }
                    await socket.send(json.dumps(change))
                spot = contract["current_spot_display_value"]
                print(f"{spot} {contract['profit']:+.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
