"""Run a gateway under mixed use, and see that nothing grows: `python -m tests.hostile.soak`.

For `--minutes`, good clients trade and have streams, others come and go, tokens and apps are
created and revoked, and each attack runs for three seconds in each minute. At the end of each
minute it prints what the gateway holds. The verdict compares the last third of the time with the
one before: memory and descriptors must not have grown by more than `MAX_GROWTH` and `MAX_FILES`,
and every table must have a bound or be among those that are kept for ever.
"""

import argparse
import asyncio
import contextlib
import itertools
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scopegate.exchange import ledger
from scopegate.gateway.access import tokens, users
from scopegate.store.transactions import Transaction
from tests.hostile.attacks import ATTACKS, Attacker, Attacking, EndedError, Target
from tests.hostile.fuzz import memory
from tests.hostile.good_clients import READS, GoodClients
from tests.hostile.mix import OPTIONS, complaints, people, percentile
from tests.hostile.test_connects import come_and_go, descriptors
from tests.scenarios.test_retention import BOUNDED, KEPT
from tests.served import Served, SocketClient
from tests.stores import run_once, snapshot

MAX_GROWTH = 16 * 1024 * 1024
MAX_FILES = 20
SPELL = 60 / len(ATTACKS) / 2
"""Seconds of an attack, and as many of none after it."""
WARM_UP = 10.0
"""Seconds of each attack before the first minute: the cache of candles fills, some 50 MB."""
OWNER_PAUSE = 4.0
"""Seconds between two rounds of the owner, who makes some thirty calls a minute in each role."""


@dataclass(frozen=True)
class Sample:
    """What the gateway holds at the end of a minute."""

    files: int
    memory: int
    size: int
    p99: float
    rows: dict[str, int]


def _owner(transaction: Transaction) -> str:
    """Create a user who manages tokens and apps; a token for it."""
    user_id = users.create(transaction, "owner@example.com")
    ledger.open_with_balance(transaction, user_id, virtual=(True,), at=0)
    [account] = ledger.accounts(transaction, user_id)
    return tokens.create(transaction, tokens.NewToken(account.loginid, "Own", ["read", "admin"]))


def _rows(served: Served) -> dict[str, int]:
    with snapshot(served.db) as database:
        names = database.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return {
            name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608
            for (name,) in names
        }


def _size(served: Served) -> int:
    return sum(path.stat().st_size for path in served.folder.glob("scopegate.db*"))


async def owner(served: Served, token: str) -> None:
    """Create tokens and apps, use them, and revoke them while they are used, until cancelled."""
    async with served.connected(local_addr=("127.0.0.100", 0)) as client:
        await client.authorize(token)
        for number in itertools.count():
            name = f"Token {number}"
            made = await client.ask(
                {"api_token": 1, "new_token": name, "new_token_scopes": ["read"]}
            )
            [new] = [
                row["token"] for row in made["api_token"]["tokens"] if row["display_name"] == name
            ]
            async with served.connected(local_addr=("127.0.0.101", 0)) as other:
                await other.authorize(new)
                await other.ask({"balance": 1, "subscribe": 1})
                await client.ask({"api_token": 1, "delete_token": new})
                await _revoked(other)
            app = await client.ask({"app_register": 1, "name": f"App {number}", "scopes": ["read"]})
            assert "error" not in app, app
            await client.ask({"app_delete": app["app_register"]["app_id"]})
            await asyncio.sleep(OWNER_PAUSE)


async def _revoked(client: SocketClient) -> None:
    """Wait until a stream has ended with its token."""
    while "error" not in (message := await client.next()):
        pass
    assert message["error"]["code"] == "InvalidToken", message


async def visitors(served: Served, attacker: Attacker) -> None:
    """Clients that come and leave without a word, until cancelled."""
    for number in itertools.count():
        with contextlib.suppress(OSError, EndedError):
            await come_and_go(attacker, served, number, attacker.next_address())
        await asyncio.sleep(0.05)


async def soak(served: Served, minutes: int) -> str:
    """Run it, and print a line for each minute; return what is wrong, if anything."""
    process = served.process.pid
    good_tokens, attacking_tokens = await asyncio.to_thread(run_once, served.db, people)
    owners = await asyncio.to_thread(run_once, served.db, _owner)
    port = urlsplit(served.url).port
    assert port is not None
    target = Target(port, attacking_tokens, 10)
    samples: list[Sample] = []
    async with AsyncExitStack() as stack:
        good = await stack.enter_async_context(GoodClients(port, good_tokens))
        others = [
            asyncio.ensure_future(owner(served, owners)),
            asyncio.ensure_future(visitors(served, Attacker(target, len(ATTACKS)))),
        ]
        for name in ATTACKS:
            async with Attacking(name, target):
                await asyncio.sleep(WARM_UP)
        good.taken()
        print("| minute | descriptors | memory | database | p99 of reads | rows |")
        print("|---|---|---|---|---|---|")
        for minute in range(1, minutes + 1):
            for name in ATTACKS:
                async with Attacking(name, target):
                    await asyncio.sleep(SPELL)
                await asyncio.sleep(SPELL)
            sample = Sample(
                descriptors(process),
                memory(process),
                await asyncio.to_thread(_size, served),
                percentile(good.taken()[READS], 0.99),
                await asyncio.to_thread(_rows, served),
            )
            samples.append(sample)
            rows = ", ".join(f"{name} {count:,}" for name, count in sample.rows.items() if count)
            print(
                f"| {minute} | {sample.files} | {sample.memory / 2**20:.1f} MiB"
                f" | {sample.size / 2**20:.1f} MiB | {sample.p99:.0f} ms | {rows} |",
                flush=True,
            )
        problems = good.problems + [repr(each.exception()) for each in others if each.done()]
        for each in others:
            each.cancel()
        await asyncio.wait(others)
    if await asyncio.to_thread(served.stop) != 0 or complaints(served):
        problems.append(f"the log: {complaints(served)}")
    return "; ".join([*problems, *growth(samples)])


def growth(samples: Sequence[Sample]) -> list[str]:
    """What has grown that must not."""
    found = []
    third = len(samples) // 3
    before, last = samples[third : 2 * third], samples[2 * third :]
    if not third:
        return ["three minutes are needed"]
    grown = statistics.median(s.memory for s in last) - statistics.median(s.memory for s in before)
    if grown > MAX_GROWTH:
        found.append(f"the memory has grown by {grown / 2**20:.1f} MiB")
    files = statistics.median(s.files for s in last) - statistics.median(s.files for s in before)
    if files > MAX_FILES:
        found.append(f"{files:.0f} descriptors more")
    print(f"memory: {grown / 2**20:+.1f} MiB, descriptors: {files:+.0f}, the last third")
    for name, count in samples[-1].rows.items():
        more = count - samples[0].rows.get(name, 0)
        if name not in BOUNDED and name not in KEPT:
            found.append(f"the table {name} has no bound, and {more} rows more")
        elif name in KEPT and more:
            print(f"kept for ever: {name}, {more:+,} rows since the first minute")
    return found


def main() -> int:
    """Run the command; its exit code is 1 if something has grown, or failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder), *OPTIONS) as served:
        wrong = asyncio.run(soak(served, options.minutes))
    print(wrong or f"nothing has grown in {options.minutes} minutes")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
