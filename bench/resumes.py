"""How long a client waits for what its stream has missed.

    python bench/resumes.py [--rounds 500] [--json FILE]

An account buys contracts of one tick, until its ledger has a thousand entries more. Then clients
connect, sign in, and subscribe to `transaction` with the position before these, one after the
other. Measured is the time from the request to the last byte of the last entry.
"""

import argparse
import json
import struct
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from bars import Bar, report
from load import Client, LoadError, Message, frame
from servers import Server, scopegate, what_is_measured

MISSED = 1_000
ROUND = 50
"""Contracts that are open at once; an account may have a hundred."""
CONTRACT = {
    "contract_type": "DIGITEVEN",
    "symbol": "1HZ100V",
    "basis": "stake",
    "amount": 1,
    "duration": 1,
    "duration_unit": "t",
    "currency": "USD",
}


class Reader(Client):
    """A connection that reads any messages, one after the other."""

    def __init__(self, server: Server) -> None:
        """Connect, and sign in."""
        super().__init__(server.port, server.path)
        self.request({"authorize": server.token})

    def request(self, message: Message) -> Message:
        """Send a message, and return the next one that comes."""
        self.socket.sendall(frame(json.dumps(message).encode()))
        reply: Message = json.loads(self.skip(1))
        if "error" in reply:
            raise LoadError(f"refused: {reply}")
        return reply

    def skip(self, count: int) -> bytes:
        """Read so many messages, and return the last of them."""
        data, place = bytearray(self._rest), 0
        while True:
            begin = place + 2
            if len(data) >= begin:
                size = data[place + 1]
                if size == 126 and len(data) >= begin + 2:
                    (size,) = struct.unpack_from("!H", data, begin)
                    begin += 2
                if size != 126 and len(data) >= begin + size:
                    count, place = count - 1, begin + size
                    if not count:
                        self._rest = bytes(data[place:])
                        return bytes(data[begin:place])
                    continue
            data += self._received()


def traded(server: Server) -> tuple[int, int]:
    """Book the entries; return the position before them, and that of the last one."""
    watching, buying = Reader(server), Reader(server)
    position: int = watching.request({"transaction": 1, "subscribe": 1})["position"]
    last = b""
    for _ in range(MISSED // ROUND // 2):
        for _ in range(ROUND):
            buying.request({"buy": "1", "price": 1, "parameters": CONTRACT})
        last = watching.skip(2 * ROUND)  # the purchases, and the ends
    watching.close()
    buying.close()
    return position, json.loads(last)["position"]


def resumed(server: Server, position: int, until: int) -> float:
    """Return how many milliseconds it took until the last missed entry had arrived."""
    client = Reader(server)
    began = perf_counter()
    reply = client.request({"transaction": 1, "subscribe": 1, "passthrough": {"resume": position}})
    last = json.loads(client.skip(MISSED))
    took = (perf_counter() - began) * 1e3
    if "gap" in reply or last["position"] != until or "longcode" not in last["transaction"]:
        raise LoadError(f"not all entries: {reply}, {last}")
    client.close()
    return took


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=500)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    with scopegate() as server:
        position, until = traded(server)
        resumed(server, position, until)
        samples = [resumed(server, position, until) for _ in range(given.rounds)]
    print(what_is_measured())
    print(f"{median(samples):.1f} ms for {MISSED} entries, the median of {len(samples)} clients")
    bars = [
        Bar(
            f"for {MISSED} missed entries, 99th percentile",
            quantiles(samples, n=100)[98],
            50.0,
            unit="ms",
        )
    ]
    report(bars, samples, given.json)


if __name__ == "__main__":
    main()
