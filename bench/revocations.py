"""How long a revocation takes to reach the clients of another gateway on one PostgreSQL database.

    python bench/revocations.py [--gateways 3] [--rounds 200]

In each round an owner at the first gateway revokes a token with which a client at every gateway is
signed in and follows its balance. Measured is the real time from the owner's request to its reply,
and to the message that ends each client's stream. Server, gateways and clients share this machine.
"""

import argparse
import asyncio
import statistics
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.append(str(Path(__file__).parents[1]))

from tests import postgresql
from tests.process.client_steps import until
from tests.process.cluster import Gateways
from tests.served import SocketClient


async def stream_ended(client: SocketClient) -> float:
    """Wait for the end of the client's stream; the time of it."""
    while "error" not in await until(client, "balance"):
        pass
    return time.perf_counter()


async def measured(made: Gateways, rounds: int) -> dict[str, list[float]]:
    """The seconds of each round, by what took them."""
    taken: dict[str, list[float]] = {"the reply": [], "a client there": [], "clients elsewhere": []}
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(made.each[0].connected())
        await owner.authorize(made.token)
        clients = await stack.enter_async_context(made.one_of_each())
        for number in range(rounds):
            name = f"Bench {number}"
            reply = await owner.ask(
                {"api_token": 1, "new_token": name, "new_token_scopes": ["read"]}
            )
            [token] = [
                each["token"]
                for each in reply["api_token"]["tokens"]
                if each["display_name"] == name
            ]
            for client in clients:
                await client.authorize(token)
                await client.ask({"balance": 1, "subscribe": 1})
            waiting = [asyncio.create_task(stream_ended(client)) for client in clients]
            begun = time.perf_counter()
            await owner.ask({"api_token": 1, "delete_token": token})
            taken["the reply"].append(time.perf_counter() - begun)
            here, *elsewhere = await asyncio.gather(*waiting)
            taken["a client there"].append(here - begun)
            taken["clients elsewhere"] += (moment - begun for moment in elsewhere)
    return taken


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateways", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    with (
        postgresql.server_of_its_own() as server,
        TemporaryDirectory() as folder,
        Gateways(Path(folder), server.create("bench")) as made,
    ):
        for _ in range(options.gateways):
            made.add()
        taken = asyncio.run(measured(made, options.rounds))
    print(f"{options.gateways} gateways, {options.rounds} revocations; milliseconds until")
    print("| | p50 | p99 | longest |\n|---|---|---|---|")
    for name, seconds in taken.items():
        found = sorted(1_000 * each for each in seconds)
        p99 = statistics.quantiles(found, n=100)[98]
        print(f"| {name} | {statistics.median(found):.1f} | {p99:.1f} | {found[-1]:.1f} |")


if __name__ == "__main__":
    main()
