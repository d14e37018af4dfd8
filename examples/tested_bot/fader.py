"""A bot that bets against a run: after three rises in a row it buys a fall, five minutes long.

    python fader.py TOKEN [URL]

The market is simulated, and three rises say nothing about the next tick: this shows how to test a
bot, not how to get rich.
"""

import json
import sys
from typing import Any

from websockets.sync.client import connect

URL = "ws://127.0.0.1:5555/websockets/v3?app_id=1089"
SYMBOL = "1HZ100V"
RUN = 3
STAKE = 10.0
FALL = {
    "contract_type": "PUT",
    "symbol": SYMBOL,
    "duration": 5,
    "duration_unit": "m",
    "basis": "stake",
    "amount": STAKE,
    "currency": "USD",
}


class RefusedError(Exception):
    """An error reply of the exchange; its code is the first argument."""


def play(url: str, token: str, rounds: int = 1) -> float:
    """Play this many rounds, or until the exchange disconnects; return the total profit."""
    total = 0.0
    with connect(url) as socket:

        def send(**request: Any) -> None:
            socket.send(json.dumps(request))

        send(authorize=token)
        send(ticks=SYMBOL, subscribe=1)
        rises, last, holding = 0, float("inf"), False
        for text in socket:
            message = json.loads(text)
            if "error" in message:
                raise RefusedError(message["error"]["code"], message["error"]["message"])
            if message["msg_type"] == "tick":
                quote = message["tick"]["quote"]
                rises = rises + 1 if quote > last else 0
                last = quote
                if rises >= RUN and not holding:
                    holding = True
                    send(buy=1, price=STAKE, parameters=FALL, subscribe=1)
            elif message["msg_type"] == "proposal_open_contract":
                contract = message["proposal_open_contract"]
                if contract["is_sold"]:
                    total += contract["profit"]
                    holding = False
                    rounds -= 1
                    if rounds == 0:
                        break
    return round(total, 2)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(__doc__)
    print(play(sys.argv[2] if len(sys.argv) > 2 else URL, sys.argv[1]))
