"""Watch an index and a balance over a plain WebSocket.

    .venv/bin/python examples/watch_ticks.py TOKEN [URL]

The token is the one that `make serve` prints. A WebSocket library of any language works too.
"""

import asyncio
import itertools
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

URL = "ws://127.0.0.1:5555/websockets/v3"


async def main(token: str, url: str = URL, count: int = 5) -> None:
    async with connect(f"{url}?app_id=1089") as socket:
        numbers = itertools.count(1)

        async def send(**request: object) -> None:
            await socket.send(json.dumps({**request, "req_id": next(numbers)}))

        # Messages of one connection are answered in order: no need to wait in between.
        await send(authorize=token)
        await send(balance=1, subscribe=1)
        await send(ticks="1HZ100V", subscribe=1)
        async for text in socket:
            message = json.loads(text)
            if "error" in message:
                sys.exit(f"{message['msg_type']}: {message['error']['message']}")
            if message["msg_type"] == "tick":
                print(message["tick"]["epoch"], message["tick"]["quote"])
                count -= 1
                if not count:
                    break
            elif message["msg_type"] == "balance":
                print("balance", message["balance"]["balance"], message["balance"]["currency"])


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except (OSError, WebSocketException) as problem:
        sys.exit(f"The connection was lost, or there is none: {problem}")
