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
from pathlib import Path
from statistics import median
from time import perf_counter

from bars import Bar, as_json, show
from load import Client, LoadError, frame
from pings import Pings
from servers import Server, scopegate, what_is_measured

HISTORIES = 200
CLIENTS = 25
WIDTHS = (60, 120, 180, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
PATIENCE = 120.0


class _Reader:
    """One connection, of whose replies only the number and the errors matter."""

    def __init__(self, server: Server, address: str = "127.0.0.1") -> None:
        self._client = Client(server.port, server.path, address)
        self.socket = self._client.socket
        self._data = bytearray()

    def send(self, message: dict[str, object]) -> None:
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

    def ask(self, message: dict[str, object]) -> bytes:
        self.send(message)
        while not (found := self.replies()):
            pass
        return found[0]

    def close(self) -> None:
        self._client.close()


def history_cpu(server: Server) -> float:
    """Return the CPU time, in milliseconds, of a `ticks_history` of 5,000 ticks."""
    request = {"ticks_history": "R_100", "end": "latest", "count": 5_000}
    reader = _Reader(server)
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


def cold_candles(seconds: float) -> tuple[float, int, float]:
    """Return the p99 of `ping` in milliseconds, how many requests failed, and the seconds taken."""
    with scopegate("--seed", secrets.token_hex(8)) as server:
        first = _Reader(server)
        listed = json.loads(first.ask({"active_symbols": "brief"}))["active_symbols"]
        names = [symbol["symbol"] for symbol in listed if symbol["exchange_is_open"]][:CLIENTS]
        # Each from an address of its own: those from one address would count as one client.
        opened = [_Reader(server, f"127.0.1.{number}") for number in range(1, 1 + len(names))]
        readers = {reader.socket.fileno(): reader for reader in opened}
        epoll = select.epoll()
        failed = 0
        with Pings(server, seconds) as pings:
            began = perf_counter()
            for (number, reader), name in zip(readers.items(), names, strict=True):
                epoll.register(number, select.EPOLLIN)
                for width in WIDTHS:
                    candles = {"style": "candles", "granularity": width, "count": 5_000}
                    reader.send({"ticks_history": name, "end": "latest", **candles})
            waiting = len(readers) * len(WIDTHS)
            while waiting:
                ready = epoll.poll(PATIENCE)
                if not ready:
                    raise LoadError(f"{waiting} requests have no reply")
                for number, _ in ready:
                    for reply in readers[number].replies():
                        waiting -= 1
                        failed += b'"error":' in reply[:4_096]
            took = perf_counter() - began
        for reader in (first, *readers.values()):
            reader.close()
    return pings.quantile(0.99), failed, took


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=20.0, help="of pings beside cold candles")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    with scopegate() as server:
        histories = [history_cpu(server) for _ in range(given.rounds)]
    p99, failed, took = cold_candles(given.seconds)
    print(what_is_measured())
    print(f"cold candles: {CLIENTS} x {len(WIDTHS)} requests took {took:.1f} s, {failed} failed")
    bars = [
        Bar("CPU of 5,000 ticks of history", median(histories), 3.0, "ms"),
        Bar("cold candles that failed", failed, 0, "requests"),
        Bar("ping beside cold candles, p99", p99, 20.0, "ms"),
    ]
    show(bars)
    if given.json is not None:
        result = {"of": what_is_measured(), "histories_ms": histories, "bars": as_json(bars)}
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
