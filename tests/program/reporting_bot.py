"""A bot that plays on after a lost connection, for tests of reports."""

import json
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from scopegate.testkit import LiveGateway

RISE = {
    "contract_type": "CALL",
    "symbol": "R_100",
    "duration": 1,
    "duration_unit": "m",
    "basis": "stake",
    "amount": 10,
    "currency": "USD",
}
FALL = {**RISE, "contract_type": "PUT", "amount": 5}


def ask(socket: ClientConnection, **request: Any) -> Any:
    socket.send(json.dumps(request))
    return json.loads(socket.recv(timeout=10))


def play(url: str, token: str, rounds: int) -> int:
    """Buy a rise and a fall in turn, until so many were bought; return the number of attempts."""
    bought = attempts = 0
    while bought < rounds:
        try:
            with connect(url) as socket:
                ask(socket, authorize=token)
                while bought < rounds:
                    attempts += 1
                    terms = RISE if bought % 2 else FALL
                    reply = ask(socket, buy=1, price=100, parameters=terms)
                    if "error" not in reply:
                        bought += 1
                        ask(socket, ticks_history="R_100", end="latest", count=5, passthrough={})
        except ConnectionClosed:
            continue
    return attempts


def played(gateway: LiveGateway, rounds: int = 12) -> None:
    """Let the bot play under three faults, and once more a minute later."""
    gateway.fault("rate_limit", call="buy", skip=1)
    gateway.fault("price_moved", skip=4)
    gateway.fault("drop", before="buy", skip=6)
    token = gateway.token("trade", "read")
    attempts = 0
    for count in (rounds // 2, rounds - rounds // 2):
        attempts += gateway.run(play, gateway.url, token, count).result(timeout=30)
        gateway.clock.advance(65)
    assert attempts == rounds + 3
