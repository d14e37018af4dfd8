"""Expensive reads: what they cost, and how long a `ping` takes beside them; needs Linux.

    python bench/reads.py [--rounds 3] [--json FILE]

- 5,000 ticks of history, one request at a time: CPU time of the gateway for one.
- Cold candles: on the first start with a seed, 25 connections ask at once for 5,000 candles of
  every width on 25 symbols, while another client pings.
"""

import argparse
import json
import secrets
import select
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from bars import Bar, report
from load import Client, LoadError, Message, frame
from pings import Pings
from servers import Server, scopegate, what_is_measured

HISTORIES = 200
CLIENTS = 25
WIDTHS = (60, 120, 180, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
PATIENCE = 120.0


class Reader:
    """One connection, of whose replies only the number and the errors matter."""

    def __init__(self, server: Server, address: str = "127.0.0.1") -> None:
        self._client = Client(server.port, server.path, address)
        self.socket = self._client.socket
        self._data = bytearray()

    def send(self, message: Message) -> None:
        """Send a message."""
        self.socket.sendall(frame(json.dumps(message).encode()))

    def replies(self) -> list[bytes]:
        """Return the replies that are complete in what can be read now."""
        part = self.socket.recv(1 << 20)
        if not part:
            raise LoadError("the server hung up")
        self._data += part
        found = []
        while len(self._data) >= 10:
            length, start = self._data[1], 2
            if length == 126:
                length, start = int.from_bytes(self._data[2:4], "big"), 4
            elif length == 127:
                length, start = int.from_bytes(self._data[2:10], "big"), 10
            if len(self._data) < start + length:
                break
            if self._data[0] == 0x81:  # else a ping of the server's
                found.append(bytes(self._data[start : start + length]))
            del self._data[: start + length]
        return found

    def ask(self, message: Message) -> bytes:
        """Send a message, and return its reply."""
        self.send(message)
        while not (found := self.replies()):
            pass
        return found[0]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def history_cpu(server: Server) -> float:
    """Return the CPU time, in milliseconds, of a `ticks_history` of 5,000 ticks."""
    request = {"ticks_history": "R_100", "end": "latest", "count": 5_000}
    reader = Reader(server)
    for _ in range(20):
        reader.ask(request)
    before = server.cpu_seconds()
    for _ in range(HISTORIES):
        reply = reader.ask(request)
    cpu = server.cpu_seconds() - before
    if len(json.loads(reply)["history"]["prices"]) != 5_000:
        raise LoadError(f"not 5,000 ticks: {reply[:200]!r}")
    reader.close()
    return cpu / HISTORIES * 1_000


@dataclass
class Cold:
    """What came of requests for cold candles."""

    p99: float = 0.0
    """Of `ping` meanwhile, in milliseconds."""
    answered: int = 0
    not_ready: int = 0
    """Refused at once with `CandlesNotReady`; they were made again until they were answered."""
    failed: int = 0
    """Any other error, such as a time-out."""
    slowest: float = 0.0
    """Seconds until the last reply to the first requests."""
    seconds: float = 0.0
    """Until all were answered."""


def cold_candles(seconds: float) -> Cold:
    """Ask for candles of every width on many symbols at once, until all are answered."""
    found = Cold()
    with scopegate("--seed", secrets.token_hex(8)) as server:
        first = Reader(server)
        listed = json.loads(first.ask({"active_symbols": "brief"}))["active_symbols"]
        names = [symbol["symbol"] for symbol in listed if symbol["exchange_is_open"]][:CLIENTS]
        # Each from an address of its own: those from one address would count as one client.
        opened = [Reader(server, f"127.0.1.{number}") for number in range(1, 1 + len(names))]
        readers = {reader.socket.fileno(): reader for reader in opened}
        epoll = select.epoll()
        for number in readers:
            epoll.register(number, select.EPOLLIN)
        wanted: dict[int, list[Message]] = {
            number: [
                {"ticks_history": name, "end": "latest", "count": 5_000, "style": "candles"}
                | {"granularity": width}
                for width in WIDTHS
            ]
            for number, name in zip(readers, names, strict=True)
        }
        with Pings(server, seconds) as pings:
            began = perf_counter()
            while any(wanted.values()):
                again = _ask_all(epoll, readers, wanted, found)
                found.slowest = found.slowest or perf_counter() - began
                wanted = again
                time.sleep(1.0 if any(again.values()) else 0.0)
            found.seconds = perf_counter() - began
        for reader in (first, *opened):
            reader.close()
    found.p99 = pings.quantile(0.99)
    return found


def _ask_all(
    epoll: select.epoll,
    readers: dict[int, Reader],
    wanted: dict[int, list[Message]],
    found: Cold,
) -> dict[int, list[Message]]:
    """Make these requests, and return those that are to be made again."""
    for number, requests in wanted.items():
        for request in requests:
            readers[number].send(request)
    again: dict[int, list[Message]] = {number: [] for number in readers}
    waiting = sum(map(len, wanted.values()))
    while waiting:
        ready = epoll.poll(PATIENCE)
        if not ready:
            raise LoadError(f"{waiting} requests have no reply")
        for number, _ in ready:
            for reply in readers[number].replies():
                waiting -= 1
                if b'"error":' not in reply[:4_096]:
                    found.answered += 1
                elif b'"CandlesNotReady"' in reply:
                    found.not_ready += 1
                    again[number].append(json.loads(reply)["echo_req"])
                else:
                    found.failed += 1
    return again


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=20.0, help="of pings beside cold candles")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    with scopegate() as server:
        histories = [history_cpu(server) for _ in range(given.rounds)]
    cold = cold_candles(given.seconds)
    print(what_is_measured())
    print(
        f"cold candles: {CLIENTS} x {len(WIDTHS)} requests, {cold.answered} answered; refused"
        f" {cold.not_ready} times as not ready; replies after {cold.slowest:.1f} s, all answered"
        f" after {cold.seconds:.1f} s"
    )
    bars = [
        Bar("CPU of 5,000 ticks of history", median(histories), 3.0, "ms"),
        Bar("cold candles that failed or timed out", cold.failed, 0, "requests"),
        Bar("ping beside cold candles, p99", cold.p99, 20.0, "ms"),
    ]
    report(bars, {"histories_ms": histories, "cold": asdict(cold)}, given.json)


if __name__ == "__main__":
    main()
