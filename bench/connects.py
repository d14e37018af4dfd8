"""CPU time to connect, sign in and close, beside FastAPI's accept and close; needs Linux.

    python bench/connects.py [--rounds 5] [--connections 1000] [--json FILE]

One connection at a time: Scopegate's does a browser's handshake, one `authorize` and the close
handshake; FastAPI's only accepts and closes. They take turns, in a different order each round.
"""

import argparse
import os
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bars import Bar, ratio, report
from books import signed_in
from servers import FASTAPI, SCOPEGATE, SERVERS, rotated, what_is_measured

WARM_UP = 100


def measure(rounds: int, connections: int) -> dict[str, list[float]]:
    """Return the CPU time of a connection in microseconds, by server and round."""
    names = (SCOPEGATE, FASTAPI)
    found: dict[str, list[float]] = {name: [] for name in names}
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        os.sched_setaffinity(0, set(cores[1:]) or set(cores))
        servers = {name: stack.enter_context(SERVERS[name]()) for name in names}
        os.sched_setaffinity(0, {cores[0]})
        for number in range(rounds):
            for name in rotated(names, number):
                server = servers[name]
                for _ in range(WARM_UP):
                    signed_in(server, server.token).close()
                before = server.cpu_seconds()
                for _ in range(connections):
                    signed_in(server, server.token).close()
                found[name].append((server.cpu_seconds() - before) / connections * 1e6)
    os.sched_setaffinity(0, set(cores))
    return found


def bars_of(found: dict[str, list[float]]) -> list[Bar]:
    """Return the bar: how many times less than FastAPI."""
    less = ratio(found[FASTAPI], found[SCOPEGATE])
    what = "CPU of connect, authorize, close: less than FastAPI's accept and close"
    return [Bar(what, less, 1.8, goal=2.5, at_least=True)]


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--connections", type=int, default=1_000)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    found = measure(given.rounds, given.connections)
    print(what_is_measured())
    for name, taken in found.items():
        print(f"{name:<10} {median(taken):>7.0f} µs of CPU for a connection")
    bars = bars_of(found)
    report(bars, found, given.json)


if __name__ == "__main__":
    main()
