"""Measure good clients while others attack: `python -m tests.hostile.mix [--seconds N]`.

A gateway with the limits for public use has twenty good clients. For each attack, and for all at
once, they are measured for N seconds without it, N seconds under it, and both again. The bar: the
99th percentile of their latencies grows to at most three times what it was. The last column is the
share of the processors that other programs used without the attack: with much of it, the figures
are theirs.
"""

import argparse
import asyncio
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from scopegate.exchange import ledger
from scopegate.gateway.access import tokens, users
from scopegate.store.transactions import Transaction
from tests.hostile.attacks import ANSWERED, ATTACKS, OPENED, SENT, Attacking, Target
from tests.hostile.good_clients import READS, TICKS, TRADES, GoodClients
from tests.memory_folder import memory_folder
from tests.served import Served
from tests.stores import run_once

OPTIONS = ("--limits", "deriv", "--compression", "--seed", "mix")
"""As for public use, and with compression, so that there can be compressed bombs."""
GOOD_CLIENTS = 20
TOKENS = 20
"""Tokens of the one user who attacks."""
BAR = 3.0
ALL = "all at once"
SETTLE = 1.0
"""Seconds after an attack begins or ends that are not measured."""


def people(transaction: Transaction) -> tuple[list[str], list[str]]:
    """Create the good users and the attacking one; a token of each good one, and all of his."""

    def new(name: str, count: int) -> list[str]:
        user_id = users.create(transaction, f"{name}@example.com")
        ledger.open_with_balance(transaction, user_id, virtual=(True,), at=0)
        [account] = ledger.accounts(transaction, user_id)
        made = [tokens.NewToken(account.loginid, f"T{n}", ["read", "trade"]) for n in range(count)]
        return [tokens.create(transaction, each) for each in made]

    good = [token for number in range(GOOD_CLIENTS) for token in new(f"good{number}", 1)]
    return good, new("attacker", TOKENS)


def complaints(served: Served) -> str:
    """What the log has that no client may cause."""
    log = served.stderr
    return log if "Traceback" in log or re.search("level=(error|critical)", log) else ""


def cpu_seconds(process: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """The processor time that all processes of this machine have used."""
    user, nice, system, _idle, _wait, *interrupts = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8]
    )
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def percentile(seconds: Sequence[float], share: float) -> float:
    """A percentile in milliseconds."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3


@asynccontextmanager
async def attacked(names: Sequence[str], target: Target) -> AsyncIterator[list[Attacking]]:
    """Attack by these until the block ends."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Attacking(name, target)) for name in names]


class Phases:
    """What was measured without an attack, or under it."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.busy = 0.0
        self.real = 0.0
        self.others = 0.0
        """What processes other than the gateway and this one have used."""

    async def measure(self, good: GoodClients, gateway: int, seconds: float) -> None:
        """Measure for so long."""
        await asyncio.sleep(SETTLE)
        good.taken()
        before, all_before, own_before = cpu_seconds(gateway), busy_seconds(), time.process_time()
        await asyncio.sleep(seconds)
        busy, own = cpu_seconds(gateway) - before, time.process_time() - own_before
        self.others += busy_seconds() - all_before - busy - own
        self.busy += busy
        self.real += seconds
        for group, taken in good.taken().items():
            self.seconds[group] += taken


async def row(
    names: Sequence[str], good: GoodClients, target: Target, gateway: int, seconds: float
) -> tuple[str, bool]:
    """Measure one attack, or several at once; the rest of its row, and whether the bar is held."""
    quiet, loud = Phases(), Phases()
    seen: Counter[str] = Counter()
    for _ in range(2):
        await quiet.measure(good, gateway, seconds)
        async with attacked(names, target) as attacks:
            await loud.measure(good, gateway, seconds)
        for attack in attacks:
            seen += attack.seen
    refused = sum(seen.values()) - seen[SENT] - seen[OPENED] - seen[ANSWERED]
    cells = [f"{seen[OPENED]:,}", f"{seen[SENT]:,}", f"{refused:,}"]
    cells.append(f"{quiet.busy / quiet.real:.0%} → {loud.busy / loud.real:.0%}")
    worst = 0.0
    for group in (READS, TRADES, TICKS):
        before, under = quiet.seconds[group], loud.seconds[group]
        ratio = percentile(under, 0.99) / percentile(before, 0.99)
        worst = max(worst, ratio)
        cells.append(
            f"{percentile(before, 0.5):.1f} / {percentile(before, 0.99):.1f} →"
            f" {percentile(under, 0.5):.1f} / {percentile(under, 0.99):.1f}"
        )
    cells.append(f"{worst:.1f} {'held' if worst <= BAR else 'missed'}")
    cells.append(f"{quiet.others / quiet.real / (os.cpu_count() or 1):.0%}")
    return " | ".join(cells), worst <= BAR


async def measure(served: Served, chosen: Sequence[str], seconds: float) -> bool:
    """Measure and print; whether everything was held."""
    good_tokens, attacking_tokens = await asyncio.to_thread(run_once, served.db, people)
    port = urlsplit(served.url).port
    assert port is not None
    target = Target(port, attacking_tokens, gives_way=True)
    held = True
    async with GoodClients(port, good_tokens) as good:
        await asyncio.sleep(5.0)
        print("| attack | connections | messages | refused or cut | gateway's CPU", end="")
        print(" | reads | trades | ticks | worst p99 | others |\n|---|" + "---|" * 9)
        for name in chosen:
            names = list(ATTACKS) if name == ALL else [name]
            cells, is_held = await row(names, good, target, served.process.pid, seconds)
            held = held and is_held
            print(f"| {name} | {cells} |", flush=True)
        problems = good.problems
    for problem in problems:
        print(f"a good client: {problem}")
    return held and not problems


def main() -> int:
    """Run the command; its exit code is 1 if the bar is missed or something fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.mix", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each of the four phases")
    parser.add_argument("--attack", action="append", choices=[*ATTACKS, ALL])
    options = parser.parse_args()
    chosen = options.attack or [*ATTACKS, ALL]
    # In memory, so that no delay is that of the disk.
    with memory_folder() as folder, Served(folder, *OPTIONS) as served:
        held = asyncio.run(measure(served, chosen, options.seconds))
        assert served.stop() == 0
        print(complaints(served), end="")
        return 0 if held and not complaints(served) else 1


if __name__ == "__main__":
    sys.exit(main())
