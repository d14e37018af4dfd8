"""A bot that copies a trader, and shows for every trade whether it was copied.

    .venv/bin/python examples/copier.py TOKEN TRADER [URL]

Or set them in the environment, as TOKEN, TRADER and URL. TOKEN is your own, with the scopes read,
trade and trading_information; TRADER is a token from the trader, who has allowed copying with
`set_settings` and `allow_copiers`. A demo account copies demo accounts, a real-style account
real-style accounts.

The gateway makes the copies, in the trader's own transaction: the bot starts the copying, listens,
and stops it after `TRADES` trades. Trades that cost more than `MAX_STAKE` are not copied. You copy
losses too, and the market here moves by chance: past results say nothing about the future.
"""

import asyncio
import os
import sys

from scopegate.client import Client, ClientError
from scopegate.client.messages import CopyShown

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
MAX_STAKE = 20.0
TRADES = 4
"""The bot stops after this many trades of the trader; each purchase and each sale is one."""


def show(copy: CopyShown) -> None:
    """Print one trade of the trader, and whether it was copied."""
    trade = f"{copy['action']} of {copy['trader_contract_id']} by {copy['trader']}"
    if "code" in copy:
        print(f"{trade}: not copied, {copy['code']}: {copy['message']}", flush=True)
    else:
        print(f"{trade}: copied as {copy['contract_id']}", flush=True)


async def main(token: str, trader: str, url: str = URL) -> None:
    # The bot listens before anything can be copied.
    async with Client(url, token) as client, client.copy_reports(limit=0) as reports:
        await client.copy_start(trader, max_trade_stake=MAX_STAKE)
        print("copying", flush=True)
        seen = 0
        async for report in reports:
            for copy in report["copies"]:
                show(copy)
                seen += 1
            if seen >= TRADES:
                break
        await client.copy_stop(trader)
        print("stopped")


if __name__ == "__main__":
    given = sys.argv[1:] or [os.environ.get(name, "") for name in ("TOKEN", "TRADER")]
    if len(given) < 2 or not all(given):
        sys.exit(__doc__)
    try:
        asyncio.run(main(*given))
    except ClientError as problem:
        sys.exit(str(problem))
