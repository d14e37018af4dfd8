"""What it costs to count a message for the operator, of a `balance` over the wire; needs Linux.

    python bench/counting.py [--rounds 10] [--json FILE]

The difference is too small to be seen beside sockets. So it is measured without them: signed-in
connections in this process make the same requests in turns with each message counted, as it always
is, and with none counted. The bar is this difference of CPU time, of what a `balance` with 32
outstanding costs the process that users start, as in `requests.py`.
"""

import argparse
import asyncio
import time
from pathlib import Path
from statistics import median

import orjson
from bars import Bar, report
from requests import BALANCE_CASE, servers_on_other_cores, turn
from servers import SCOPEGATE, what_is_measured

from scopegate.gateway.calls.handling import Handling
from scopegate.gateway.calls.registry import Call
from scopegate.gateway.calls.session import Session
from scopegate.gateway.transport.handshake import Handshake
from scopegate.testing import MemoryClient, world

CONNECTIONS = 8
OUTSTANDING = 32
BATCHES = 20
"""Batches of requests of each connection in a turn."""
TURNS = 20
"""Turns of each kind in a round."""
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


async def _in_memory(turns: int) -> dict[str, list[float]]:
    """Return the CPU times of `turns` turns of each kind, counted and not."""
    samples: dict[str, list[float]] = {"counted": [], "not counted": []}
    async with world(limits="open") as here:
        token = await here.token("read")
        clients = []
        for _ in range(CONNECTIONS):
            client = _Client(here.gateway, HANDSHAKE)
            await client.authorize(token)
            client.signed_in = True
            clients.append(client)
        handling = here.service(Handling)
        functions = {"counted": handling.add, "not counted": _not_counted}
        await _turn(clients)
        for number in range(turns):
            for name in sorted(functions, reverse=bool(number % 2)):
                # On the object, not its class: this is the function that each message calls.
                setattr(handling, "add", functions[name])  # noqa: B010
                samples[name].append(await _turn(clients))
    return samples


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    differences, over_the_wire = [], []
    with servers_on_other_cores([BALANCE_CASE]) as servers:
        for _ in range(given.rounds):
            found = asyncio.run(_in_memory(TURNS))
            differences.append(median(found["counted"]) - median(found["not counted"]))
            sample = turn(
                servers[SCOPEGATE], BALANCE_CASE, connections=50, outstanding=OUTSTANDING, seconds=2
            )
            over_the_wire.append(sample.cpu_us)
    print(what_is_measured())
    counting, whole = median(differences), median(over_the_wire)
    print(f"{counting:.2f} µs of CPU to count a message, of {whole:.1f} µs for a balance")
    bars = [
        Bar(
            "CPU of a balance that is counted, 32 outstanding, of one that is not",
            whole / (whole - counting),
            1.05,
        )
    ]
    report(bars, {"counting": differences, "balance": over_the_wire}, given.json)


if __name__ == "__main__":
    main()
