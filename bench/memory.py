"""Resident memory of one idle connection of Scopegate and two other servers; needs Linux.

    python bench/memory.py [--rounds 3] [--connections 2000] [--json FILE]

A server that was just started gets `WARM_UP` connections, which stay open; then the measured
connections, which complete a browser's handshake and wait; then one request on each of these. The
table has the growth of the process per connection, idle and used, and the size of the process
before them, as medians over the rounds. The kernel's memory for the sockets is not included.
"""

import argparse
import resource
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bars import Bar, report
from load import Client, LoadError
from servers import FASTAPI, SCOPEGATE, SERVERS, WEBSOCKETS, Server, rotated, what_is_measured

BASELINE = FASTAPI
MEASURED = (SCOPEGATE, WEBSOCKETS, FASTAPI)
WARM_UP = 500
"""Connections that fill memory left free at start, or the others would seem to need less."""
_OTHER_FILES = 200
"""Files that a process may have open besides the connections."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The result of one process, in KiB."""

    idle: float
    """A connection that has sent nothing since its handshake."""
    used: float
    """A connection that has made one request."""
    process: int
    """The process before the measured connections."""


def measure(server: Server, connections: int) -> Sample:
    """Measure a server that was just started."""
    with ExitStack() as stack:

        def connected(count: int) -> list[Client]:
            clients = [Client(server.port, server.path) for _ in range(count)]
            for client in clients:
                stack.callback(client.close)
            # Once it has answered this one, it has handled all connections before.
            _ask(clients[-1])
            return clients

        for client in connected(WARM_UP):
            _ask(client)
        process = server.resident_kib()
        clients = connected(connections)
        idle = server.resident_kib()
        for client in clients:
            _ask(client)
        used = server.resident_kib()
    return Sample((idle - process) / connections, (used - process) / connections, process)


def _ask(client: Client) -> None:
    reply = client.ask({"ping": 1})
    if not reply.keys() >= {"ping"}:
        raise LoadError(f"no answer to a ping: {reply}")


def allow_files(connections: int) -> None:
    """Raise the limit of open files of this process, and of those it starts, for `connections`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + WARM_UP + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise SystemExit(f"only {hard} files may be open here: ask for fewer --connections")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def typical(samples: Sequence[Sample]) -> Sample:
    """Return the median of each number."""
    return Sample(
        median(sample.idle for sample in samples),
        median(sample.used for sample in samples),
        round(median(sample.process for sample in samples)),
    )


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--connections", type=int, default=2_000)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    allow_files(given.connections)
    samples: dict[str, list[Sample]] = {name: [] for name in MEASURED}
    for number in range(given.rounds):
        for name in rotated(MEASURED, number):
            with SERVERS[name]() as server:
                samples[name].append(measure(server, given.connections))
    results = {name: typical(taken) for name, taken in samples.items()}
    base = results[BASELINE]
    print(what_is_measured())
    print(
        f"{given.connections} connections, medians of {given.rounds} rounds, KiB resident;"
        f" ratio: times less than {BASELINE}"
    )
    print(f"{'server':<10} {'idle':>6} {'ratio':>6} {'used':>6} {'ratio':>6} {'process':>8}")
    for name, sample in results.items():
        print(
            f"{name:<10} {sample.idle:>6.1f} {base.idle / sample.idle:>6.2f}"
            f" {sample.used:>6.1f} {base.used / sample.used:>6.2f} {sample.process:>8,}"
        )
    bars = [Bar("an idle connection", results[SCOPEGATE].idle, 4.0, "KiB")]
    rows = {name: [asdict(sample) for sample in taken] for name, taken in samples.items()}
    report(bars, rows, given.json)


if __name__ == "__main__":
    main()
