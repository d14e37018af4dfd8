"""Buys over the wire beside what the book does alone; needs Linux.

    python bench/buys.py [--rounds 3] [--seconds 3] [--json FILE]

256 connections with a request outstanding on each buy contracts that outlive the run, each
acknowledged after the COMMIT that reaches the disk. The server is not bound to a core, and another
process pings it meanwhile. The book alone buys in one process without sockets, messages or prices.
They take turns.
"""

import argparse
import contextlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import uvloop
from bars import Bar, ratio, report
from books import our_books, signed_in, traders_of
from load import Load, Requests
from pings import Pings
from servers import Server, scopegate, what_is_measured

CONNECTIONS = 256
MAX_ROUNDS = 5
"""An account may have 100 open contracts, and each round needs new accounts."""
BOOK = 10_000
WARM_UP = 0.25

BUY = Requests(
    {
        "buy": "1",
        "price": 1,
        "parameters": {
            "contract_type": "CALL",
            "symbol": "1HZ100V",
            "duration": 6,
            "duration_unit": "h",
            "basis": "stake",
            "amount": 1,
            "currency": "USD",
        },
    }
)


@dataclass(frozen=True, slots=True)
class Wire:
    """Buys over the wire in one turn."""

    per_second: float
    loop_us: float
    """CPU time of the event loop's thread for one buy."""
    writer_us: float
    """The same of whatever writes: the process of its own, or the busiest other thread."""
    load_us: float
    ping_p99: float
    """Milliseconds."""


def _stat(folder: Path) -> tuple[int, float]:
    """Return the id of the parent of a process or thread, and its CPU seconds."""
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _threads(pid: int) -> dict[str, float]:
    """Return the CPU seconds of each thread of a process, and of its child processes, by id."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        found[task.name] = _stat(task)[1]
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parent, seconds = _stat(folder)
                if parent == pid:
                    found[folder.name] = seconds
    return found


def over_the_wire(server: Server, tokens: Sequence[str], seconds: float) -> Wire:
    """Buy on a connection for each token, and return what it cost."""
    clients = [signed_in(server, token) for token in tokens]
    for client in clients:
        reply = client.ask(BUY.message(0))
        if "error" in reply:
            raise SystemExit(f"a buy was refused: {reply}")
    with Pings(server, seconds + WARM_UP) as pings:
        load = Load(clients, BUY, 1)
        load.run(WARM_UP)
        before, own, began = _threads(server.pid), process_time(), perf_counter()
        bought = load.run(seconds)
        took, own = perf_counter() - began, process_time() - own
        used = {name: cpu - before.get(name, 0) for name, cpu in _threads(server.pid).items()}
        load.finish()
    for client in clients:
        client.close()
    loop = used.pop(str(server.pid))
    return Wire(
        bought / took,
        loop / bought * 1e6,
        max(used.values()) / bought * 1e6,
        own / bought * 1e6,
        pings.quantile(0.99),
    )


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=3, choices=range(1, MAX_ROUNDS + 1))
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    wire: list[Wire] = []
    book: list[float] = []
    with scopegate() as server:
        assert server.db is not None
        for _ in range(given.rounds):
            wire.append(over_the_wire(server, traders_of(server.db, CONNECTIONS), given.seconds))
            book.append(uvloop.run(our_books(BOOK))["bought"].per_second)
    print(what_is_measured())
    print(
        f"over the wire {median(each.per_second for each in wire):,.0f} buys/s; CPU for one: loop"
        f" {median(each.loop_us for each in wire):.0f} µs, writer"
        f" {median(each.writer_us for each in wire):.0f} µs, load"
        f" {median(each.load_us for each in wire):.0f} µs; the book alone {median(book):,.0f}"
    )
    p99 = median(each.ping_p99 for each in wire)
    bars = [
        Bar(
            "buys over the wire, of the book alone",
            ratio([each.per_second for each in wire], book),
            0.6,
            goal=0.8,
            at_least=True,
        ),
        Bar("ping beside buys, p99", p99, 20.0, "ms"),
    ]
    results = {"wire": [asdict(each) for each in wire], "book_per_second": book}
    report(bars, results, given.json)


if __name__ == "__main__":
    main()
