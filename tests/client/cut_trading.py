"""Trading while connections are cut and the gateway is killed, and what must be true afterwards.

Clients buy short contracts and follow every stream of their account through a proxy that cuts each
connection at a byte that is chosen by chance: within the handshake, within a frame, on either side.
Afterwards:

- each stream has yielded exactly what the ledger has, in order
- each purchase has one result, and there is exactly one contract for it
- each contract was reported closed once
- no tick is missing or was yielded twice
"""

import asyncio
import contextlib
import itertools
import math
import random
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from scopegate.client import Backoff, CallError, Client, GapError, Stream, messages
from tests.client.cutting_proxy import Cut, CuttingProxy, cutting_proxy, random_cuts
from tests.served import Served

EventT = TypeVar("EventT")

SYMBOL = "1HZ100V"
CONTRACT: messages.BuyParameters = {
    "contract_type": "CALL",
    "symbol": SYMBOL,
    "duration": 1,
    "duration_unit": "t",
    "basis": "stake",
    "amount": 1,
    "currency": "USD",
}
SPEED = 20
"""Seconds of the market in a second."""
CLIENTS = 2
TRADERS = 3
"""Purchases that each client makes at the same time."""
MAX_OPEN = 40
LONGEST_LIFE = 30_000
"""Bytes after which a connection is cut at the latest."""
SOON = Backoff(first=0.002, longest=0.1)
PATIENCE = 60.0
"""Real seconds that the streams may take to the end, and a purchase."""
SCOPES = "read,trade,trading_information"


class Seen:
    """What one client has seen."""

    def __init__(self) -> None:
        self.entries: list[int] = []
        self.balances: list[float] = []
        self.closed: Counter[int] = Counter()
        self.ticks: list[int] = []
        self.gaps: list[GapError] = []
        self.connections = 0


class Outcome(NamedTuple):
    """What has happened in a run, and what was wrong."""

    cuts: int
    kills: int
    connections: int
    bought: int
    entries: int
    violations: list[str]


class CutTrading:
    """Clients that trade through a proxy, at one account of a gateway."""

    def __init__(self, served: Served, proxy: CuttingProxy, token: str, seed: int) -> None:
        self.served = served
        self.proxy = proxy
        self.token = token
        self.chance = random.Random(seed)
        self.seen = [Seen() for _ in range(CLIENTS)]
        self.bought: list[int] = []
        self.refused: Counter[str] = Counter()
        self.kills = 0
        self.is_over = False
        self._open: set[int] = set()
        self._changed = asyncio.Condition()

    async def run(self, cuts: int, kills: int) -> None:
        """Trade until so many connections were cut, and the gateway was killed so often."""
        limits = random_cuts(self.chance, LONGEST_LIFE)
        async with contextlib.AsyncExitStack() as stack:
            url = f"ws://127.0.0.1:{self.proxy.port}/websockets/v3"
            clients = [
                await stack.enter_async_context(
                    Client(url, self.token, backoff=SOON, timeout=PATIENCE)
                )
                for _ in self.seen
            ]
            followed = [self.follow(*each) for each in zip(clients, self.seen, strict=True)]
            reading = await stack.enter_async_context(_tasks(itertools.chain(*followed)))
            for client in clients:  # the streams are open, so nothing that follows is missed
                await client.time()
            await self._all_have_begun()
            self.proxy.next_cut = limits.__next__
            self.proxy.cut()
            trading = [
                asyncio.create_task(self.trade(client))
                for client in clients
                for _ in range(TRADERS)
            ]
            for number in range(kills + 1):
                await self.proxy.until_cut(cuts * (number + 1) // (kills + 1))
                _raise_failures([*trading, *reading])
                if number < kills:
                    await self.restart(kills=True)
            await self.restart(kills=False)
            self.is_over = True
            async with self._changed:
                self._changed.notify_all()
            # What is not seen in time is found by `violations`.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await asyncio.gather(*trading)
                    self.proxy.next_cut = Cut
                    async with self._changed:
                        await self._changed.wait_for(self._all_is_seen)
            for seen, client in zip(self.seen, clients, strict=True):
                seen.connections = client.connections

    async def restart(self, *, kills: bool) -> None:
        """Kill the gateway, or ask it to stop, and start it again at another port."""
        await asyncio.to_thread(self.served.kill if kills else self.served.stop)
        await asyncio.to_thread(self.served.start)
        self.proxy.to = _port(self.served)
        self.kills += kills

    # What the clients do.

    async def trade(self, client: Client) -> None:
        """Buy one contract after the other."""
        while not self.is_over:
            async with self._changed:
                await self._changed.wait_for(lambda: self.is_over or len(self._open) < MAX_OPEN)
            try:
                bought = await client.buy(price=1, parameters=CONTRACT)
            except CallError as refused:
                self.refused[refused.code] += 1
                continue
            self.bought.append(bought["contract_id"])
            if not self.seen[0].closed[bought["contract_id"]]:
                self._open.add(bought["contract_id"])

    def follow(self, client: Client, seen: Seen) -> list[asyncio.Task[None]]:
        """Open the streams, and note everything that they yield."""

        def contract(event: messages.OpenContract) -> None:
            if event["is_sold"]:
                seen.closed[event["contract_id"]] += 1
                if seen is self.seen[0]:
                    self._open.discard(event["contract_id"])

        return [
            self._note(
                client.transactions(),
                seen,
                lambda each: seen.entries.append(each["transaction_id"]),
            ),
            self._note(client.balances(), seen, lambda each: seen.balances.append(each["balance"])),
            self._note(client.ticks(SYMBOL), seen, lambda each: seen.ticks.append(each["epoch"])),
            self._note(client.open_contracts(), seen, contract),
        ]

    def _note(
        self, stream: Stream[EventT], seen: Seen, note: Callable[[EventT], None]
    ) -> asyncio.Task[None]:
        """Note each event of a stream, and each gap, until it is closed."""

        async def noting() -> None:
            while True:
                try:
                    event = await anext(stream)
                except GapError as gap:
                    seen.gaps.append(gap)
                    continue
                note(event)
                async with self._changed:
                    self._changed.notify_all()

        return asyncio.create_task(noting())

    async def _all_have_begun(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: all(each.balances for each in self.seen))

    # What must be true.

    def _rows(self, sql: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.served.db)) as database:
            return database.execute(sql, [self.served.loginids[0]]).fetchall()

    def ledger(self) -> list[tuple[int, int]]:
        """The entries of the account with the balance after each, but for the opening balance."""
        rows = self._rows("SELECT id, balance_after FROM ledger WHERE loginid = ? ORDER BY id")
        return [(number, units) for number, units in rows[1:]]

    def _all_is_seen(self) -> bool:
        """Whether each client has seen the last entry, and no contract is open."""
        if self._open:
            return False
        closed = self._rows("SELECT count(*) FROM contracts WHERE loginid = ? AND sold_at IS NULL")
        last = self.ledger()[-1][0]
        return closed[0][0] == 0 and all(
            each.entries[-1:] == [last] and len(each.closed) >= len(self.bought)
            for each in self.seen
        )

    def violations(self) -> list[str]:
        """What is not as it must be."""
        ledger = self.ledger()
        ids = [number for number, _ in ledger]
        balances = [units / 100 for _, units in ledger]
        contracts = [row[0] for row in self._rows("SELECT id FROM contracts WHERE loginid = ?")]
        found = [f"purchases were refused: {dict(self.refused)}"] if self.refused else []
        if sorted(self.bought) != sorted(contracts):
            found.append(
                f"{len(self.bought)} purchases have {len(contracts)} contracts; without a result:"
                f" {sorted(set(contracts) - set(self.bought))[:5]}"
            )
        for number, seen in enumerate(self.seen):
            who = f"client {number}"
            found += [f"{who}: {gap}" for gap in seen.gaps]
            if seen.entries != ids:
                found.append(f"{who}: entries differ, {_difference(seen.entries, ids)}")
            if seen.balances[1:] != balances:
                found.append(
                    f"{who}: {len(seen.balances) - 1} balances for {len(balances)} entries"
                )
            if seen.closed != Counter(contracts):
                missing = Counter(contracts) - seen.closed
                twice = seen.closed - Counter(contracts)
                found.append(f"{who}: closed, missing {missing}, too often {twice}")
            steps = Counter(later - epoch for epoch, later in itertools.pairwise(seen.ticks))
            if set(steps) != {1}:
                found.append(f"{who}: steps between ticks {dict(steps)}")
        return found


def _difference(seen: list[int], booked: list[int]) -> str:
    missing, extra = set(booked) - set(seen), set(seen) - set(booked)
    twice = [number for number, count in Counter(seen).items() if count > 1]
    return f"missing {sorted(missing)[:5]}, unknown {sorted(extra)[:5]}, twice {twice[:5]}"


def _port(served: Served) -> int:
    return int(served.url.split(":")[2].split("/")[0])


def _raise_failures(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            task.result()


@contextlib.asynccontextmanager
async def _tasks(tasks: Iterable[asyncio.Task[None]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Tasks that are cancelled at the end of the block."""
    running = list(tasks)
    try:
        yield running
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@contextlib.asynccontextmanager
async def trading_gateway(folder: Path) -> AsyncIterator[tuple[Served, CuttingProxy, str]]:
    """A gateway, the proxy before it, and a token of its demo account."""
    with Served(folder, "--seed", "cuts", "--speed", str(SPEED)) as served:
        token = await asyncio.to_thread(
            served.command,
            *("token", "create", "--loginid", served.loginids[0]),
            *("--scopes", SCOPES, "--name", "Cuts"),
        )
        async with cutting_proxy(_port(served)) as proxy:
            yield served, proxy, token


async def trade_under_cuts(folder: Path, *, seed: int, cuts: int, kills: int) -> Outcome:
    """Trade while connections are cut and the gateway is killed."""
    async with trading_gateway(folder) as (served, proxy, token):
        trading = CutTrading(served, proxy, token, seed)
        await trading.run(cuts, kills)
        return Outcome(
            proxy.cuts,
            trading.kills,
            sum(each.connections for each in trading.seen),
            len(trading.bought),
            len(trading.ledger()),
            trading.violations(),
        )


async def resume_times(folder: Path, *, events: int, repetitions: int) -> list[float]:
    """Seconds in which a client connects, signs in, and has so many missed events, each time."""
    async with trading_gateway(folder) as (_, proxy, token):
        url = f"ws://127.0.0.1:{proxy.port}/websockets/v3"
        async with Client(url, token) as client, client.transactions() as entries:
            await client.buy(price=1, parameters=CONTRACT)
            await anext(entries)
            first = entries.position
            for _ in range(events):
                with contextlib.suppress(CallError):  # too many are open
                    await client.buy(price=1, parameters=CONTRACT)
                await anext(entries)
        times = []
        for _ in range(repetitions):
            begun = time.perf_counter()
            async with Client(url, token) as client:
                entries = client.transactions(after=first)
                for _ in range(events):
                    await anext(entries)
                times.append(time.perf_counter() - begun)
        return times


def percentile(times: list[float], share: float) -> float:
    """The time below which this share of the times is."""
    return sorted(times)[math.ceil(share * len(times)) - 1]
