"""A bot that bets on the last digit: get a price, buy, wait for the result, add up the profit.

    .venv/bin/python examples/digits.py TOKEN [URL]

Or set them in the environment, as TOKEN and URL. The token is the one that `make serve` prints.

The bot follows a rule behind many bets: what has come often lately "must" end. The rule is wrong.
The market is simulated, and its digits are as random as a die: half of them are even, whatever came
before. Only the exchange's margin is certain (1 % of the payout by default), by which each bet
costs more than it is worth.
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
ROUNDS = 6
STAKE = 5.0
LOOK_BACK = 9

numbers = itertools.count(1)


async def ask(socket: ClientConnection, **request: object) -> dict[str, Any]:
    """Send a request and wait for its reply. Nothing is subscribed, so nothing else arrives."""
    await socket.send(json.dumps({**request, "req_id": next(numbers)}))
    return await reply(socket)


async def reply(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await socket.recv())
    if "error" in message:
        sys.exit(f"{message['msg_type']}: {message['error']['message']}")
    return message


async def last_digits(socket: ClientConnection) -> list[int]:
    history = await ask(socket, ticks_history=SYMBOL, end="latest", count=LOOK_BACK)
    # Prices are numbers without trailing zeros, but these count as digits: add them again.
    decimals = history["pip_size"]
    return [int(f"{price:.{decimals}f}"[-1]) for price in history["history"]["prices"]]


async def play(socket: ClientConnection) -> dict[str, Any]:
    """Play one round and return the contract at its end."""
    digits = await last_digits(socket)
    even = sum(digit % 2 == 0 for digit in digits)
    side = "DIGITODD" if even > LOOK_BACK / 2 else "DIGITEVEN"
    print(*digits, f"{even} even of {LOOK_BACK}: {side}", end=" ", flush=True)
    wanted = {"contract_type": side, "symbol": SYMBOL, "duration": 1, "duration_unit": "t"}
    stake = {"basis": "stake", "amount": STAKE, "currency": "USD"}
    proposal = (await ask(socket, proposal=1, **wanted, **stake))["proposal"]
    # A proposal can be bought by its id for a minute; `price` is the most that it may cost.
    bought = await ask(socket, buy=proposal["id"], price=proposal["ask_price"], subscribe=1)
    print(f"pays {bought['buy']['payout']:.2f}", end=" ", flush=True)
    while True:  # updates of the contract arrive until it is sold
        contract = (await reply(socket))["proposal_open_contract"]
        if contract["is_sold"]:
            break
    digit = contract["exit_tick_display_value"][-1]
    print(f"{digit} {contract['status']} {contract['profit']:+.2f}", flush=True)
    return dict(contract)


async def main(token: str, url: str = URL) -> None:
    async with connect(f"{url}?app_id=1089") as socket:
        await ask(socket, authorize=token)
        ended = [await play(socket) for _ in range(ROUNDS)]
        balance = (await ask(socket, balance=1))["balance"]
        won = sum(contract["status"] == "won" for contract in ended)
        paid = sum(contract["buy_price"] for contract in ended)
        got = sum(contract["sell_price"] for contract in ended)
        print(f"{won} of {ROUNDS} won: paid {paid:.2f}, got {got:.2f}, profit {got - paid:+.2f}")
        print(f"balance {balance['balance']:.2f} {balance['currency']}")


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
