"""Contracts bought per second on SQLite, and on PostgreSQL by one, two and four gateways.

    python bench/stores.py [--rounds 3] [--seconds 4] [--round-trip 0] [--json FILE]

Each gateway is a process with a store of its own and 64 purchases at a time: no
sockets, no JSON. A purchase counts once it is acknowledged: its COMMIT has reached the disk. The
PostgreSQL server runs on this machine, with its default settings; `--round-trip` adds so many
milliseconds to each of its answers, as a network would. The rows take turns within one run, in a
different order each round.

Also printed: round trips to the server for each purchase, and notifications for each commit.
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))

from books import NOON, _quote, open_accounts
from servers import rotated, what_is_measured

from scopegate.exchange.book import Purchase
from scopegate.exchange.copying import Copies
from scopegate.exchange.feed import Feed
from scopegate.exchange.ledger import Guard
from scopegate.exchange.trades import Buying
from scopegate.gateway.access import tokens
from scopegate.store import postgresql as postgresql_store
from scopegate.store.location import Location, address, parsed
from scopegate.store.opening import run_once, store_at
from scopegate.store.postgresql_connection import PostgresqlConnection
from scopegate.store.store import Store
from scopegate.store.transactions import Transaction
from tests import postgresql

AT_ONCE = 64
ACCOUNTS = 300  # each may hold 100 contracts
GATEWAYS = (1, 2, 4)
SQLITE = "SQLite"


@dataclass(frozen=True)
class Bought:
    """What one gateway has done."""

    per_second: float
    round_trips: float
    """For each purchase."""
    notifications: float
    """For each commit."""


def free(transaction: Transaction) -> None:
    """Let everything be bought."""


async def buy_for(store: Store, loginids: Sequence[str], seconds: float) -> int:
    """Buy all the time; return how many purchases were acknowledged."""
    quote = _quote(Feed("bench"), int(NOON))
    copies = Copies(tokens.find_valid)
    guard: Guard = free
    ends = time.perf_counter() + seconds
    bought = 0

    turns = itertools.cycle(loginids)

    async def trade() -> None:
        nonlocal bought
        while time.perf_counter() < ends:
            purchase = Purchase(quote=quote, loginid=next(turns), app_id=None, at=int(NOON))
            await store.write(Buying(guard, purchase, copies))
            bought += 1

    await asyncio.gather(*(trade() for _ in range(AT_ONCE)))
    return bought


async def gateway(
    location: Location, loginids: Sequence[str], seconds: float, round_trip: float
) -> Bought:
    """Be one gateway, from the moment at which standard input says so."""
    trips = notified = commits = 0

    class Counted(PostgresqlConnection):
        def simple(self, sql: bytes) -> Any:
            nonlocal notified, commits
            notified += b"NOTIFY" in sql
            commits += b"COMMIT" in sql
            return super().simple(sql)

        @contextmanager
        def _round_trip(self) -> Iterator[None]:
            nonlocal trips
            trips += 1
            time.sleep(round_trip)
            with super()._round_trip():
                yield

    vars(postgresql_store)["PostgresqlConnection"] = Counted  # what the store connects with
    store = store_at(location)
    await store.open()
    await buy_for(store, loginids, 0.5)
    print("ready", flush=True)
    sys.stdin.readline()
    trips = notified = commits = 0
    begun = time.perf_counter()
    bought = await buy_for(store, loginids, seconds)
    taken = time.perf_counter() - begun
    made = Bought(bought / taken, trips / max(1, bought), notified / max(1, commits))
    await store.close()
    return made


def measured(location: Location, count: int, seconds: float, round_trip: float) -> Bought:
    """Measure so many gateways at once: the sum of their purchases."""

    def job(transaction: Transaction) -> list[str]:
        return [account.loginid for account in open_accounts(transaction, ACCOUNTS)]

    if isinstance(location, Path):
        location.touch()
    opened = [run_once(location, job) for _ in range(count)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [
                        sys.executable,
                        __file__,
                        "--gateway",
                        address(location),
                        str(seconds),
                        str(round_trip),
                        *loginids,
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for loginids in opened
        ]
        for process in processes:
            assert _line(process) == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        found = [Bought(**json.loads(_line(process))) for process in processes]
    return Bought(
        sum(each.per_second for each in found),
        sum(each.round_trips for each in found) / count,
        sum(each.notifications for each in found) / count,
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _named(count: int) -> str:
    return f"PostgreSQL, {count} gateway{'s' if count > 1 else ''}"


def main() -> None:
    """Measure, and print a table."""
    if sys.argv[1:2] == ["--gateway"]:
        location = parsed(sys.argv[2], allow_unsafe=True)
        seconds, round_trip = map(float, sys.argv[3:5])
        made = asyncio.run(gateway(location, sys.argv[5:], seconds, round_trip))
        print(json.dumps(vars(made)))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--round-trip", type=float, default=0.0, help="milliseconds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    samples: dict[str, list[Bought]] = {}
    with postgresql.server_of_its_own() as cluster, TemporaryDirectory() as folder:
        server = cluster.create("bench")
        rows: dict[str, tuple[Location, int]] = {SQLITE: (Path(folder) / "bench.db", 1)}
        rows |= {_named(count): (server, count) for count in GATEWAYS}
        for number in range(options.rounds):
            for name in rotated(list(rows), number):
                location, count = rows[name]
                found = measured(location, count, options.seconds, options.round_trip / 1_000)
                samples.setdefault(name, []).append(found)
    show({name: samples[name] for name in rows})
    if options.json:
        found = {name: [vars(each) for each in taken] for name, taken in samples.items()}
        options.json.write_text(json.dumps(found, indent=1))


def show(samples: Mapping[str, Sequence[Bought]]) -> None:
    """Print the medians of the rounds."""
    print(what_is_measured(), end="\n\n")
    print("| | bought per second | of SQLite | round trips each | notifications per commit |")
    print("|---|---|---|---|---|")
    base = median(each.per_second for each in samples[SQLITE])
    for name, taken in samples.items():
        rate = median(each.per_second for each in taken)
        trips = median(each.round_trips for each in taken)
        notified = median(each.notifications for each in taken)
        print(f"| {name} | {rate:,.0f} | {rate / base:.2f} | {trips:.1f} | {notified:.2f} |")


if __name__ == "__main__":
    main()
