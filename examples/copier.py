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

from scopegate.client import Client, ClientError, GapError, Stream
from scopegate.client.messages import CopyReportBody, CopyShown

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


def identity(copy: CopyShown) -> tuple[int, str, int]:
    """Return what no other trade has."""
    return copy["time"], copy["action"], copy["trader_contract_id"]


async def main(token: str, trader: str, url: str = URL) -> None:
    # The bot listens before anything can be copied. The first report has earlier trades.
    async with Client(url, token) as client, client.copy_reports() as reports:
        known = {identity(copy) for copy in (await anext(reports))["copies"]}
        await client.copy_start(trader, max_trade_stake=MAX_STAKE)
        print("copying", flush=True)
        try:
            await follow(reports, known)
            await client.copy_stop(trader)
        except ClientError as problem:
            sys.exit(f"{problem}\nThe copying goes on until you stop it, with copy_stop.")
        print("stopped")


async def follow(reports: Stream[CopyReportBody], known: set[tuple[int, str, int]]) -> None:
    """Show each trade once, until there were `TRADES`."""
    last = len(known) + TRADES
    while len(known) < last:
        try:
            report = await anext(reports)
        except GapError:  # the connection was lost: the next report has the latest trades again
            continue
        for copy in reversed(report["copies"]):  # they begin with the latest one
            if identity(copy) not in known:
                known.add(identity(copy))
                show(copy)


if __name__ == "__main__":
    given = sys.argv[1:] or [os.environ.get(name, "") for name in ("TOKEN", "TRADER")]
    if len(given) < 2 or not all(given):
        sys.exit(__doc__)
    try:
        asyncio.run(main(*given))
    except ClientError as problem:
        sys.exit(str(problem))
