"""Requests per second, and CPU time per message, of Scopegate and other servers; needs Linux.

    python bench/requests.py [--rounds 5] [--seconds 2] [--connections 50] [--json FILE]

Scopegate answers full calls through the process that users start: a `ping`, the same as a call of a
plugin and, on signed-in connections, a `balance`. `websockets`' own server and picows echo bytes,
FastAPI echoes JSON; `prototype.py` is what a gateway path in plain Python can cost. Each has 1
request outstanding on every connection, then 32. Only one server is loaded at a time; they take
turns, in a different order each round.

The table has medians over the rounds; a ratio is to FastAPI's result in the same round. CPU time is
the server's, user and system. `server` and `load` show how much of a core each used: if both are
well below 100 %, the machine was busy with something else, and the run should be repeated. The load
has a core to itself; otherwise the kernel would sometimes run it on the server's core, and the sum
of both would be measured. Trust the ratios; the other numbers depend on the machine at the moment.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from bars import Bar, ratio, report
from load import Client, Load, LoadError, Message, Requests
from servers import (
    FASTAPI,
    PICOWS,
    PROTOTYPE,
    SCOPEGATE,
    SERVERS,
    WEBSOCKETS,
    Server,
    rotated,
    what_is_measured,
)

OUTSTANDING = (1, 32)
WARM_UP = 0.25


@dataclass(frozen=True, slots=True)
class Sample:
    """The result of one turn."""

    per_second: float
    cpu_us: float
    """CPU time of the server for one message."""
    server: float
    """Share of a core that the server used."""
    load: float
    """Share of a core that the load used."""


@dataclass(frozen=True, slots=True)
class Case:
    """A server, and the call that it answers."""

    server: str
    call: str
    requests: Requests
    is_right: Callable[[Message, Message], bool]
    """Whether a reply (second) is right for a request (first)."""
    signs_in: bool = False


def _is_pong(request: Message, reply: Message) -> bool:
    return reply == {
        "echo_req": request,
        "req_id": request["req_id"],
        "msg_type": "ping",
        "ping": "pong",
    }


def _is_plugin_pong(request: Message, reply: Message) -> bool:
    return reply == {
        "echo_req": request,
        "req_id": request["req_id"],
        "msg_type": "plugin_ping",
        "plugin_ping": "pong",
    }


def _is_balance(request: Message, reply: Message) -> bool:
    balance = reply.get("balance", {})
    return (
        reply.keys() == {"echo_req", "req_id", "msg_type", "balance"}
        and reply["echo_req"] == request
        and reply["req_id"] == request["req_id"]
        and reply["msg_type"] == "balance"
        and balance.keys() == {"balance", "currency", "loginid"}
        and balance["balance"] > 0
    )


def _is_echo(request: Message, reply: Message) -> bool:
    return reply == request


PING = Requests({"ping": 1})
PLUGIN_PING = Requests({"plugin_ping": 1})
BALANCE = Requests({"balance": 1})
CASES = (
    Case(SCOPEGATE, "ping", PING, _is_pong),
    Case(SCOPEGATE, "ping of a plugin", PLUGIN_PING, _is_plugin_pong),
    Case(SCOPEGATE, "balance, signed in", BALANCE, _is_balance, signs_in=True),
    Case(PROTOTYPE, "ping", PING, _is_pong),
    Case(PICOWS, "echo of bytes", PING, _is_echo),
    Case(WEBSOCKETS, "echo of bytes", PING, _is_echo),
    Case(FASTAPI, "echo of JSON", PING, _is_echo),
)
BASELINE = CASES[-1]

BALANCE_CASE = next(case for case in CASES if case.call.startswith("balance"))
_LIMITS = {
    1: {PROTOTYPE: (1.6, 1.4), FASTAPI: (1.9, None)},
    32: {PROTOTYPE: (1.8, 1.6), FASTAPI: (2.8, None)},
}
"""By requests outstanding: the limit of the ratio to each server, and the goal."""

Samples = dict[tuple[Case, int], list[Sample]]


def bars_of(samples: Samples) -> list[Bar]:
    """Return the bars of a signed-in balance: its CPU time beside that of other servers."""
    found = []
    for outstanding, limits in _LIMITS.items():
        own = [sample.cpu_us for sample in samples[BALANCE_CASE, outstanding]]
        for case in CASES:
            if case.server in limits:
                limit, goal = limits[case.server]
                other = [sample.cpu_us for sample in samples[case, outstanding]]
                what = f"CPU of a balance, {outstanding} outstanding"
                if case.server == FASTAPI:
                    what = f"{what}: less than {case.server}'s {case.call}"
                    bar = Bar(what, ratio(other, own), limit, goal=goal, at_least=True)
                else:
                    bar = Bar(
                        f"{what}, of the {case.server}'s", ratio(own, other), limit, goal=goal
                    )
                found.append(bar)
    return found


def turn(
    server: Server,
    case: Case,
    *,
    connections: int,
    outstanding: int,
    seconds: float,
    spins: bool = True,
) -> Sample:
    """Load one server for `seconds`, after a warm-up, and check its replies.

    `spins`: whether the load polls without sleeping.
    """
    clients = [connected(server, case) for _ in range(connections)]
    load = Load(clients, case.requests, outstanding, spins=spins)
    load.run(WARM_UP)
    cpu, own_cpu, began = server.cpu_seconds(), process_time(), perf_counter()
    replies = load.run(seconds)
    cpu, own_cpu = server.cpu_seconds() - cpu, process_time() - own_cpu
    took = perf_counter() - began
    for request, reply in load.finish():
        _check(case, request, reply)
    for client in clients:
        client.close()
    return Sample(replies / took, cpu / replies * 1e6, cpu / took, own_cpu / took)


def connected(server: Server, case: Case) -> Client:
    """Return a client that has made its first call, signed in if the case needs that."""
    client = Client(server.port, server.path)
    if case.signs_in:
        reply = client.ask({"authorize": server.token})
        if reply["msg_type"] != "authorize" or "error" in reply:
            raise LoadError(f"{server.name} does not sign in: {reply}")
    request = case.requests.message(0)
    _check(case, request, client.ask(request))
    return client


def _check(case: Case, request: Message, reply: Message) -> None:
    if not case.is_right(request, reply):
        raise LoadError(f"{case.server} answers {request} with {reply}")


@contextmanager
def servers_on_other_cores(cases: Iterable[Case]) -> Iterator[dict[str, Server]]:
    """Start the servers of these cases, by name, and keep a core for this process, the load."""
    with ExitStack() as stack:
        own, theirs = _cores()
        os.sched_setaffinity(0, theirs)  # inherited by the servers
        names = dict.fromkeys(case.server for case in cases)
        servers = {name: stack.enter_context(SERVERS[name]()) for name in names}
        os.sched_setaffinity(0, own)
        yield servers


def measure(
    servers: Mapping[str, Server],
    turns: Sequence[tuple[Case, int]],
    *,
    rounds: int,
    connections: int,
    seconds: float,
) -> Samples:
    """The samples of all rounds, by turn: a case and the number of outstanding requests."""
    samples: Samples = {each: [] for each in turns}
    for number in range(rounds):
        for case, outstanding in rotated(turns, number * 3):
            sample = turn(
                servers[case.server],
                case,
                connections=connections,
                outstanding=outstanding,
                seconds=seconds,
            )
            samples[case, outstanding].append(sample)
    return samples


def _cores() -> tuple[set[int], set[int]]:
    """Return a core for the load, and the cores for the servers."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others) or {first}


def show(samples: Samples) -> None:
    """Print the table."""
    print(
        f"{'outstanding':>11}  {'server':<10} {'call':<18} {'requests/s':>10} {'ratio':>6}"
        f" {'CPU µs':>7} {'ratio':>6} {'server':>7} {'load':>5}"
    )
    for (case, outstanding), taken in samples.items():
        pairs = list(zip(taken, samples[BASELINE, outstanding], strict=True))
        print(
            f"{outstanding:>11}  {case.server:<10} {case.call:<18}"
            f" {median(sample.per_second for sample in taken):>10,.0f}"
            f" {median(sample.per_second / base.per_second for sample, base in pairs):>6.2f}"
            f" {median(sample.cpu_us for sample in taken):>7.1f}"
            f" {median(base.cpu_us / sample.cpu_us for sample, base in pairs):>6.2f}"
            f" {median(sample.server for sample in taken):>7.0%}"
            f" {median(sample.load for sample in taken):>5.0%}"
        )


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    options.add_argument("--connections", type=int, default=50)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    turns = [(case, outstanding) for outstanding in OUTSTANDING for case in CASES]
    with servers_on_other_cores(CASES) as servers:
        samples = measure(
            servers,
            turns,
            rounds=given.rounds,
            connections=given.connections,
            seconds=given.seconds,
        )
    print(what_is_measured())
    print(
        f"{given.connections} connections, medians of {given.rounds} rounds of {given.seconds:g} s;"
        f" ratio: times better than {BASELINE.server}"
    )
    show(samples)
    rows = [
        {
            "server": case.server,
            "call": case.call,
            "outstanding": outstanding,
            "samples": [asdict(sample) for sample in taken],
        }
        for (case, outstanding), taken in samples.items()
    ]
    report(bars_of(samples), rows, given.json)


if __name__ == "__main__":
    main()
