"""A bot that bets on the last digit: get a price, buy, wait for the result, add up the profit.

    .venv/bin/python examples/digits.py TOKEN [URL]

Or set them in the environment, as TOKEN and URL. The token is the one that `make serve` prints.

The bot follows a rule behind many bets: what has come often lately "must" end. The rule is wrong.
The market is simulated, and its digits are as random as a die: half of them are even, whatever came
before. Only the exchange's margin is certain (1 % of the payout by default), by which each bet
costs more than it is worth.
"""

import asyncio
import os
import sys

from scopegate.client import Client, ClientError
from scopegate.client.messages import OpenContract

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
SYMBOL = "1HZ100V"
ROUNDS = 6
STAKE = 5.0
LOOK_BACK = 9


async def last_digits(client: Client) -> list[int]:
    history = await client.ticks_history(SYMBOL, end="latest", count=LOOK_BACK, style="ticks")
    assert "history" in history
    # Prices are numbers without trailing zeros, but these count as digits: add them again.
    decimals = history["pip_size"]
    return [int(f"{price:.{decimals}f}"[-1]) for price in history["history"]["prices"]]


async def play(client: Client) -> OpenContract:
    """Play one round and return the contract at its end."""
    digits = await last_digits(client)
    even = sum(digit % 2 == 0 for digit in digits)
    proposal = await client.proposal(
        contract_type=(side := "DIGITODD" if even > LOOK_BACK / 2 else "DIGITEVEN"),
        symbol=SYMBOL,
        duration=1,
        duration_unit="t",
        basis="stake",
        amount=STAKE,
        currency="USD",
    )
    print(*digits, f"{even} even of {LOOK_BACK}: {side}", end=" ", flush=True)
    # A proposal can be bought by its id for a minute; `price` is the most that it may cost.
    bought = await client.buy(proposal["id"], price=proposal["ask_price"])
    print(f"pays {bought['payout']:.2f}", end=" ", flush=True)
    updates = client.open_contracts(contract_id=bought["contract_id"])
    contract = [update async for update in updates][-1]  # they end when it is sold
    digit = contract["exit_tick_display_value"][-1]
    print(f"{digit} {contract['status']} {contract['profit']:+.2f}", flush=True)
    return contract


async def main(token: str, url: str = URL) -> None:
    async with Client(url, token) as client:
        ended = [await play(client) for _ in range(ROUNDS)]
        balance = await client.balance()
        won = sum(contract["status"] == "won" for contract in ended)
        paid = sum(contract["buy_price"] for contract in ended)
        got = sum(contract["sell_price"] or 0 for contract in ended)
        print(f"{won} of {ROUNDS} won: paid {paid:.2f}, got {got:.2f}, profit {got - paid:+.2f}")
        print(f"balance {balance['balance']:.2f} {balance['currency']}")


if __name__ == "__main__":
    if len(sys.argv) == 1 and "TOKEN" not in os.environ:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*(sys.argv[1:] or [os.environ["TOKEN"]])))
    except ClientError as problem:
        sys.exit(str(problem))
