"""Fan-out to many listeners, and many proposal streams; needs Linux.

    python bench/streams.py [--listeners 5000] [--seconds 20] [--json FILE]

- Listeners: connections that stream the ticks of one symbol. The time is from the second of a tick
  to its last receipt, beside a loop of `transport.write` over frames of the same length that begins
  at the same moment of each second (`peers.py`, fanout). They take turns.
- Proposal streams: 2,000 of 200 different requests on 50 connections. Every stream is updated every
  second.

Another process pings the gateway meanwhile.
"""

import argparse
import json
import resource
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from bars import Bar, report
from load import Client, LoadError, frame
from pings import Pings
from servers import FANOUT, Server, peer, scopegate, what_is_measured

SYMBOL = "1HZ100V"
STREAMS = 2_000
REQUESTS = 200
CONNECTIONS = 50
_OTHER_FILES = 200


class Deliveries(NamedTuple):
    """Times from the second of a tick to its last receipt, in milliseconds, sorted."""

    times: list[float]

    def quantile(self, share: float) -> float:
        """Return a quantile."""
        return self.times[int(share * (len(self.times) - 1))]


class _Inbox:
    """Counts the frames that arrive at many connections."""

    def __init__(self, clients: list[Client]) -> None:
        self._epoll = select.epoll()
        self._clients = {client.socket.fileno(): client.socket for client in clients}
        self._rest: dict[int, bytes] = {}
        for number, socket in self._clients.items():
            socket.setblocking(False)
            self._epoll.register(number, select.EPOLLIN)

    def arrived(self, seconds: float) -> list[tuple[int, int, float]]:
        """Wait for frames; return the connection, the number of frames, and the moment of each."""
        found = []
        for number, _ in self._epoll.poll(seconds):
            data = self._rest.get(number, b"") + self._clients[number].recv(1 << 20)
            count = position = 0
            while len(data) - position >= 4:
                length, head = data[position + 1], 2
                if length == 126:
                    length, head = data[position + 2] << 8 | data[position + 3], 4
                if len(data) - position < head + length:
                    break
                count += data[position] == 0x81
                if b'"error":' in data[position : position + head + length]:
                    raise LoadError(f"an error: {data[position:][:400]!r}")
                position += head + length
            self._rest[number] = data[position:]
            found.append((number, count, time.time()))
        return found

    def close(self) -> None:
        self._epoll.close()


@contextmanager
def _connected(server: Server, count: int) -> Iterator[list[Client]]:
    clients = [Client(server.port, server.path) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.socket.close()


def deliveries(server: Server, listeners: int, seconds: float) -> Deliveries:
    """Return how long the frames of each second take to reach the last of many listeners."""
    with _connected(server, listeners) as clients:
        request = frame(json.dumps({"ticks": SYMBOL, "subscribe": 1}).encode())
        for client in clients:
            client.socket.sendall(request)
        inbox = _Inbox(clients)
        while inbox.arrived(0.2):  # the first replies, until a second's frames have all arrived
            pass
        taken: list[float] = []
        count, end = 0, perf_counter() + seconds
        while perf_counter() < end:
            for _, number, moment in inbox.arrived(1.0):
                count += number
                if count >= listeners:  # the last receipt of this second's frames
                    count -= listeners
                    taken.append((moment % 1.0) * 1_000)
        inbox.close()
    if len(taken) < seconds / 2:
        raise LoadError(f"only {len(taken)} of {seconds:.0f} seconds reached every listener")
    return Deliveries(sorted(taken))


def proposals(server: Server, seconds: float) -> float:
    """Return the share of updates that arrived, of one for each stream and second."""
    with _connected(server, CONNECTIONS) as clients:
        for number in range(STREAMS):
            request = {
                "proposal": 1,
                "subscribe": 1,
                "amount": (1_000 + number % REQUESTS) / 100,
                "basis": "stake",
                "contract_type": "CALL",
                "currency": "USD",
                "duration": 5,
                "duration_unit": "m",
                "symbol": SYMBOL,
                "passthrough": {"stream": number},
            }
            clients[number * CONNECTIONS // STREAMS].socket.sendall(
                frame(json.dumps(request).encode())
            )
        inbox = _Inbox(clients)
        first = 0
        while first < STREAMS:
            first += sum(count for _, count, _ in inbox.arrived(20.0))
        time.sleep(1.0 - time.time() % 1.0 + 0.5)
        inbox.arrived(0.0)
        count, end = 0, perf_counter() + seconds
        while perf_counter() < end:
            count += sum(each for _, each, _ in inbox.arrived(0.05))
        inbox.close()
    return count / (STREAMS * seconds)


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + _OTHER_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + _OTHER_FILES, hard), hard))


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--listeners", type=int, default=5_000)
    options.add_argument("--seconds", type=float, default=20.0, help="of each turn")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    _allow_files(given.listeners)
    with scopegate() as server, peer(FANOUT, "fanout") as loop:
        by_hand = deliveries(loop, given.listeners, given.seconds)
        with Pings(server, given.seconds) as beside_ticks:
            ours = deliveries(server, given.listeners, given.seconds)
    with scopegate() as server, Pings(server, given.seconds + 10) as beside_proposals:
        share = proposals(server, given.seconds)
    print(what_is_measured())
    for name, found in (("Scopegate", ours), ("by hand", by_hand)):
        print(
            f"{name:<10} {given.listeners} listeners: p50 {found.quantile(0.5):.0f} ms, p99"
            f" {found.quantile(0.99):.0f} ms after the second"
        )
    ratio = ours.quantile(0.99) / by_hand.quantile(0.99)
    bars = [
        Bar("tick to last receipt, p99, of a loop by hand", ratio, 1.5),
        Bar("ping beside many listeners, p99", beside_ticks.quantile(0.99), 10.0, "ms"),
        Bar("updates of proposal streams, a second each", share, 0.99, at_least=True),
        Bar("ping beside proposal streams, p99", beside_proposals.quantile(0.99), 20.0, "ms"),
    ]
    results = {"ours_ms": ours.times, "by_hand_ms": by_hand.times}
    report(bars, results, given.json)


if __name__ == "__main__":
    main()
