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
import json
import os
import sys
from typing import Any

from websockets.asyncio.client import connect

URL = os.environ.get("URL", "ws://127.0.0.1:5555/websockets/v3")
MAX_STAKE = 20.0
TRADES = 4
"""The bot stops after this many trades of the trader; each purchase and each sale is one."""


def show(copy: dict[str, Any]) -> None:
    """Print one trade of the trader, and whether it was copied."""
    trade = f"{copy['action']} of {copy['trader_contract_id']} by {copy['trader']}"
    if "code" in copy:
        print(f"{trade}: not copied, {copy['code']}: {copy['message']}", flush=True)
    else:
        print(f"{trade}: copied as {copy['contract_id']}", flush=True)


async def main(token: str, trader: str, url: str = URL) -> None:
    async with connect(f"{url}?app_id=1089") as socket:
        # Requests are answered in order, so the bot listens before anything can be copied.
        for request in (
            {"authorize": token},
            {"copy_report": 1, "subscribe": 1, "limit": 0},
            {"copy_start": trader, "max_trade_stake": MAX_STAKE},
        ):
            await socket.send(json.dumps(request))
        seen = 0
        async for text in socket:
            message = json.loads(text)
            kind = message["msg_type"]
            if "error" in message:
                sys.exit(f"{kind}: {message['error']['message']}")
            if kind == "copy_start":
                print("copying", flush=True)
            elif kind == "copy_report":
                for copy in message["copy_report"]["copies"]:
                    show(copy)
                    seen += 1
                    if seen == TRADES:
                        await socket.send(json.dumps({"copy_stop": trader}))
            elif kind == "copy_stop":
                print("stopped")
                return


if __name__ == "__main__":
    given = sys.argv[1:] or [os.environ.get(name, "") for name in ("TOKEN", "TRADER")]
    if len(given) < 2 or not all(given):
        sys.exit(__doc__)
    asyncio.run(main(*given))
