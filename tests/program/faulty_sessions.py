"""A client under faults, and what it was sent, in a form that can be compared between runs."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from scopegate.testing import PATIENCE
from scopegate.testkit import LiveGateway

SYMBOL = "1HZ100V"
RISE = {
    "contract_type": "CALL",
    "symbol": SYMBOL,
    "duration": 5,
    "duration_unit": "m",
    "basis": "stake",
    "amount": 10,
    "currency": "USD",
}
BUY = {"buy": 1, "price": 10, "parameters": RISE}
TICKS = {"ticks": SYMBOL, "subscribe": 1}

_RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Bot:
    """A client on one connection, and every text that it was sent."""

    def __init__(self, socket: ClientConnection, transcript: list[str]) -> None:
        self._socket = socket
        self._transcript = transcript
        self._numbers = 0

    def send(self, **request: Any) -> int:
        """Send a request; return its `req_id`."""
        self._numbers += 1
        self._socket.send(json.dumps({**request, "req_id": self._numbers}))
        return self._numbers

    def next(self) -> Any:
        """Return the next message; the close code if the connection has ended instead."""
        try:
            text = self._socket.recv(timeout=PATIENCE)
        except ConnectionClosed:
            code = self._socket.protocol.close_code
            self._transcript.append(f"closed {code}")
            return code
        assert isinstance(text, str)
        self._transcript.append(text)
        return json.loads(text)

    def ask(self, **request: Any) -> Any:
        """Send a request; return its first reply, or the close code."""
        number = self.send(**request)
        while True:
            message = self.next()
            if isinstance(message, int) or message.get("req_id") == number:
                return message

    def events(self, count: int) -> list[Any]:
        """Return the next messages."""
        return [self.next() for _ in range(count)]

    def rest(self) -> list[Any]:
        """Return all further messages, and the close code last."""
        messages = [self.next()]
        while not isinstance(messages[-1], int):
            messages.append(self.next())
        return messages


@contextmanager
def bot(
    scopegate: LiveGateway, transcript: list[str] | None = None, token: str | None = None
) -> Iterator[Bot]:
    """Connect a client that has signed in."""
    with connect(scopegate.url, close_timeout=0.1) as socket:
        made = Bot(socket, [] if transcript is None else transcript)
        made.ask(authorize=token or scopegate.token("read", "trade"))
        yield made


def comparable(transcript: list[str]) -> list[str]:
    """Return the texts with random ids replaced by their order."""
    numbers: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return numbers.setdefault(found[0], f"id {len(numbers)}")

    return [_RANDOM.sub(number, text) for text in transcript]
