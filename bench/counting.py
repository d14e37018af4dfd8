"""What counting a message for the operator costs, of a whole `balance`; needs Linux.

    python bench/counting.py [--rounds 40] [--json FILE]

Signed-in connections in this process, without sockets, have 32 requests outstanding each. They take
turns: with each message counted, as it always is, and with none counted. What counts is the CPU
time of this process for a message. Over the wire a message takes longer, so this is the most that
the metrics of a gateway can cost.
"""

import argparse
import asyncio
import time
from pathlib import Path
from statistics import median

import orjson
from bars import Bar, ratio, report
from servers import what_is_measured

from scopegate.gateway.calls.handling import Handling
from scopegate.gateway.calls.registry import Call
from scopegate.gateway.calls.session import Session
from scopegate.gateway.transport.handshake import Handshake
from scopegate.testing import MemoryClient, world

CONNECTIONS = 8
OUTSTANDING = 32
BATCHES = 40
"""Batches of requests of each connection in a turn."""
REQUESTS = [orjson.dumps({"balance": 1, "req_id": number}) for number in range(1, OUTSTANDING + 1)]
HANDSHAKE = Handshake("127.0.0.1", app_id="1089", language="EN", user_agent="bench")


class _Client(MemoryClient):
    """A client that only counts what it receives once it has signed in."""

    signed_in = False
    received_messages = 0

    def send_all(self, texts: list[bytes]) -> None:
        """Send messages as if they had been read from a socket at once."""
        self._connection.receive(texts)

    def _arrived(self, text: bytes) -> None:
        if self.signed_in:
            self.received_messages += 1
        else:
            super()._arrived(text)


def _not_counted(session: Session, call: Call | None, began: float) -> None:
    """Do only what a message needs even if nothing is counted."""
    session.error = None


async def _turn(clients: list[_Client]) -> float:
    """Return the microseconds of CPU time for a message."""
    wanted = sum(each.received_messages for each in clients)
    began = time.process_time()
    for _ in range(BATCHES):
        for client in clients:
            client.send_all(REQUESTS)
        wanted += len(clients) * OUTSTANDING
        while sum(each.received_messages for each in clients) < wanted:  # noqa: ASYNC110 - measured
            await asyncio.sleep(0)
    return (time.process_time() - began) * 1e6 / (BATCHES * len(clients) * OUTSTANDING)


async def _measured(rounds: int) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {"counted": [], "not counted": []}
    async with world(limits="off") as here:
        token = await here.token("read")
        clients = []
        for _ in range(CONNECTIONS):
            client = _Client(here.gateway, HANDSHAKE)
            await client.authorize(token)
            client.signed_in = True
            clients.append(client)
        handling = here.service(Handling)
        turns = {"counted": handling.add, "not counted": _not_counted}
        await _turn(clients)
        for number in range(rounds):
            for name in sorted(turns, reverse=bool(number % 2)):
                # On the object, not its class: this is the function that each message calls.
                setattr(handling, "add", turns[name])  # noqa: B010
                samples[name].append(await _turn(clients))
    return samples


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    samples = asyncio.run(_measured(given.rounds))
    print(what_is_measured())
    for name, found in samples.items():
        print(f"{name}: {median(found):.2f} µs of CPU for a balance, without the socket")
    bars = [
        Bar(
            "CPU of a balance that is counted, of one that is not",
            ratio(samples["counted"], samples["not counted"]),
            1.05,
        )
    ]
    report(bars, samples, given.json)


if __name__ == "__main__":
    main()
