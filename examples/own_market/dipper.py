"""A bot that buys a rise of five minutes whenever the price has fallen by 0.1 % within a minute.

    python dipper.py TOKEN [URL]

It looks at the market once a minute. It shows how to run a bot over recorded prices, not how to
get rich.
"""

import json
import sys
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

URL = "ws://127.0.0.1:5555/websockets/v3?app_id=1089"
SYMBOL = "OWN_TUESDAY"
DIP = 0.001
STAKE = 10.0
PATIENCE = 30.0
"""Seconds that a message may take."""
RISE = {
    "contract_type": "CALL",
    "symbol": SYMBOL,
    "duration": 5,
    "duration_unit": "m",
    "basis": "stake",
    "amount": STAKE,
    "currency": "USD",
}


class RefusedError(Exception):
    """An error reply of the exchange; its code is the first argument."""


class Dipper:
    """The bot, over an open socket."""

    def __init__(self, socket: ClientConnection, token: str) -> None:
        self._socket = socket
        self._free_at = 0
        self._requests = 0
        self._ask(authorize=token)

    def _ask(self, **request: Any) -> Any:
        """Send a request and return the body of its reply."""
        self._requests += 1
        self._socket.send(json.dumps({**request, "req_id": self._requests}))
        while True:
            message = json.loads(self._socket.recv(PATIENCE))
            if message.get("req_id") == self._requests:  # else it is a tick of an earlier stream
                break
        if "error" in message:
            raise RefusedError(message["error"]["code"], message["error"]["message"])
        return message[message["msg_type"]]

    def look(self) -> int | None:
        """Look at the last minute; return the id of the contract if one is bought."""
        now = self._ask(time=1)
        history = self._ask(ticks_history=SYMBOL, start=now - 60, end="latest", count=60)
        prices = history["prices"]
        if now < self._free_at or not prices or prices[-1] > max(prices) * (1 - DIP):
            return None
        bought = self._ask(buy=1, price=STAKE, parameters=RISE)
        self._free_at = now + 300
        contract_id: int = bought["contract_id"]
        return contract_id

    def next_tick(self) -> None:
        """Wait for a tick."""
        subscription = self._ask(ticks=SYMBOL, subscribe=1)["id"]
        self._socket.recv(PATIENCE)
        self._ask(forget=subscription)


if __name__ == "__main__":
    token, url, *_ = [*sys.argv[1:], URL]
    try:
        with connect(url, ping_interval=None) as socket:  # silence ends it after `PATIENCE`
            bot = Dipper(socket, token)
            while True:
                if (bought := bot.look()) is not None:
                    print("bought", bought, flush=True)
                bot.next_tick()
    except RefusedError as refused:
        sys.exit(": ".join(refused.args))
    except (OSError, WebSocketException) as lost:
        sys.exit(
            f"The connection was lost: {lost or 'no reply'}. A contract may have been bought: look"
            " at your portfolio before you start again."
        )
