"""A bot that bets against a run: after three rises in a row it buys a fall, five minutes long.

    python fader.py TOKEN [URL]

The market is simulated, and three rises say nothing about the next tick: this shows how to test a
bot, not how to get rich.
"""

import json
import sys
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

URL = "ws://127.0.0.1:5555/websockets/v3?app_id=1089"
SYMBOL = "1HZ100V"
RUN = 3
STILL = 60
"""Ticks without a change after which the prices cannot be right."""
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
    """An error reply of the exchange, or a market that cannot be right; first its code."""


def play(url: str, token: str, rounds: int = 1) -> float:
    """Play this many rounds, or until the exchange disconnects; return the total profit."""
    total = 0.0
    with connect(url) as socket:

        def send(**request: Any) -> None:
            socket.send(json.dumps(request))

        send(authorize=token)
        send(ticks=SYMBOL, subscribe=1)
        rises, still, last, epoch, holding = 0, 0, float("inf"), 0, False
        settled: set[int] = set()
        for text in socket:
            message = json.loads(text)
            if "error" in message:
                raise RefusedError(message["error"]["code"], message["error"]["message"])
            # A message that comes twice, or late, must not count: see docs/faults.md.
            if message["msg_type"] == "tick" and message["tick"]["epoch"] > epoch:
                epoch, quote = message["tick"]["epoch"], message["tick"]["quote"]
                rises = rises + 1 if quote > last else 0
                still = still + 1 if quote == last else 0
                if still >= STILL:
                    raise RefusedError("FrozenFeed", f"The price stood still for {STILL} ticks.")
                last = quote
                if rises >= RUN and not holding:
                    holding = True
                    send(buy=1, price=STAKE, parameters=FALL, subscribe=1)
            elif message["msg_type"] == "proposal_open_contract":
                contract = message["proposal_open_contract"]
                if contract["is_sold"] and contract["contract_id"] not in settled:
                    settled.add(contract["contract_id"])
                    total += contract["profit"]
                    holding = False
                    rounds -= 1
                    if rounds == 0:
                        break
        else:
            if holding:
                raise RefusedError("Disconnected", "A contract is open: look at your portfolio.")
    return round(total, 2)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(__doc__)
    try:
        print(play(sys.argv[2] if len(sys.argv) > 2 else URL, sys.argv[1]))
    except RefusedError as refused:
        sys.exit(": ".join(refused.args))
    except (OSError, WebSocketException) as lost:
        sys.exit(f"The connection was lost: {lost}. Look at your portfolio before you play again.")
