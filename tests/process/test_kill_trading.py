"""Trading outlives a kill: whatever was acknowledged is there, paid for once, and goes on.

Clients buy, sell, cancel and change orders, two accounts copy one of them, and the gateway is
killed amid it; then it starts again on what the kill has left. Of two worker processes one is
killed before all. That the checker (`trade_checks.py`) finds what it is there for is shown with
three faulty gateways (`trading_mutants.py`).

There are few rounds in the suite. A hundred are run by

    KILL_TRADING_ROUNDS=100 python -m pytest tests/process/test_kill_trading.py
"""

import asyncio
import contextlib
import itertools
import os
import random
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests import postgresql, stores
from tests.effort import chosen
from tests.process import trading_mutants
from tests.process.trade_checks import SEED, stored_time, violations
from tests.process.traders import (
    Told,
    Traders,
    all_tick_contracts_end,
    begin_copying,
    begin_trading,
)
from tests.served import PATIENCE, Served, SocketClient

ROUNDS = int(os.environ.get("KILL_TRADING_ROUNDS", chosen(2, 20)))
MUTANT_ROUNDS = 60
"""In so many rounds at the most a mutant must be found; about every second one finds it."""
OPTIONS = ("--seed", SEED, "--start", "2026-01-01T12:00", "--speed", "50")
LONGEST_LIFE = 5.0
"""Real seconds that a gateway lives at most after one of its workers was killed."""
OF_A_KILL = re.compile("a worker process has ended and is replaced|the parent process has ended")
"""What is logged when a worker is killed, or the parent of several."""


async def trade_until_killed(gateway: Served, told: Told, chance: random.Random) -> None:
    """Have clients trade, and kill the gateway after some of their replies."""
    enough = chance.randint(30, 150)
    delay = chance.uniform(0, 0.005)  # so that the kill may fall between two replies as well
    replies = itertools.count(1)
    rich, poor = told.tokens
    doomed = gateway.processes()  # not those that follow them, when this end comes late

    def kill_a_worker() -> None:
        """One of several, whose clients are cut off; the others go on.

        They may all be poor, so that there are never enough replies.
        """
        if workers := gateway.workers():
            os.kill(chance.choice(workers), signal.SIGKILL)
            asyncio.get_running_loop().call_later(LONGEST_LIFE, kill)

    def kill() -> None:
        for process in doomed:
            process.send_signal(signal.SIGKILL)

    def acknowledged() -> None:
        number = next(replies)
        loop = asyncio.get_running_loop()
        if number == enough // 2:
            loop.call_later(delay, kill_a_worker)
        if number == enough:
            loop.call_later(delay, kill)

    traders = Traders(told, chance, acknowledged)

    async def until_the_end(
        client: SocketClient, job: Callable[..., Awaitable[None]], *arguments: Any
    ) -> None:
        with contextlib.suppress(ConnectionError):
            await job(client, *arguments)

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(gateway.connected()) for _ in range(7)]
        await asyncio.gather(
            until_the_end(clients[0], traders.buy_ticks, rich, 1),
            until_the_end(clients[1], traders.buy_ticks, rich, 2.5),
            until_the_end(clients[2], traders.buy_ticks, poor, 3),
            until_the_end(clients[3], traders.buy_ticks, poor, 4),
            until_the_end(clients[4], traders.multiply, rich),
            until_the_end(clients[5], traders.sell_early, rich),
            until_the_end(clients[6], traders.accumulate, rich),
        )
    for process in doomed:
        assert await asyncio.to_thread(process.wait, PATIENCE) == -signal.SIGKILL
    assert next(replies) > enough // 2
    gateway.stop()  # it has ended: this closes what was open to it


class TwoGateways(Served):
    """Two gateways of one PostgreSQL database, with the interface of one; clients take turns."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, *options)
        stores.place(self.db)
        (folder / "second").mkdir()
        self._second = Served(folder / "second", *options)
        self._second.db = self.db
        self._turns = itertools.cycle([super().connected, self._second.connected])

    def start(self, *, last: str = "token") -> None:
        super().start(last=last)
        self._second.start(last=last)

    def connected(self, **options: Any) -> AbstractAsyncContextManager[SocketClient]:  # type: ignore[override]
        return next(self._turns)(**options)

    def processes(self) -> list[Popen[str]]:
        return [*super().processes(), *self._second.processes()]

    def workers(self) -> list[int]:
        return [process.pid for process in self.processes() if process.poll() is None]

    def kill(self) -> None:
        self._second.kill()
        super().kill()

    def stop(self, number: int = signal.SIGTERM) -> int:
        codes = self._second.stop(number), super().stop(number)
        return min(codes)

    @property
    def stderr(self) -> str:
        return super().stderr + self._second.stderr


# What is shown.


def two_workers(folder: Path) -> Served:
    return Served(folder, *OPTIONS, "--workers", "2")


def two_gateways(folder: Path) -> Served:
    if missing := postgresql.missing():
        pytest.skip(missing)
    return TwoGateways(folder, *OPTIONS)


def alone(folder: Path) -> Served:
    return Served(folder, *OPTIONS)


@pytest.fixture(
    scope="module",
    params=[alone, pytest.param(two_workers, marks=pytest.mark.sqlite), two_gateways],
)
def gateway(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Served]:
    with request.param(tmp_path_factory.mktemp("kill")) as running:
        yield running
        assert running.stop() == 0
        said = [line for line in running.stderr.splitlines() if not OF_A_KILL.search(line)]
        assert said == []


@pytest.fixture(scope="module")
def told(gateway: Served) -> Told:
    """What was acknowledged so far: later kills must not undo what earlier ones left."""
    return begin_trading(gateway)


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_every_acknowledged_trade_outlives_a_kill(
    gateway: Served, told: Told, number: int
) -> None:
    if not told.copiers:
        await begin_copying(gateway, told)
    before = len(told.bought)
    await trade_until_killed(gateway, told, random.Random(number))
    assert len(told.bought) > before

    due = stored_time(gateway.db)
    gateway.start()  # it listens once what was due is settled
    assert violations(gateway.db, told, due=due) == []
    await all_tick_contracts_end(gateway, told)
    assert violations(gateway.db, told, due=due) == []


async def test_the_rounds_have_seen_every_kind_of_trade(gateway: Served, told: Told) -> None:
    assert told.bought
    assert told.sold
    assert told.cancelled
    assert told.orders
    with stores.snapshot(gateway.db) as db:
        became = set(
            map(tuple, db.execute("SELECT copier, action, code IS NULL FROM copy_reports"))
        )
    well_off, poor = told.copiers
    for action in ("buy", "sell", "cancel"):
        assert (well_off, action, True) in became
    assert (poor, "buy", False) in became


@pytest.mark.lengthy
@pytest.mark.parametrize(
    ("mutant", "kind"),
    [
        pytest.param(
            trading_mutants.reply_before_commit, "acknowledged: ", marks=pytest.mark.sqlite
        ),
        (trading_mutants.unguarded_debit, "contracts: "),
        pytest.param(trading_mutants.copies_afterwards, "copy: ", marks=pytest.mark.proof),
    ],
)
async def test_the_checker_finds_a_gateway_that(
    mutant: Callable[[], None],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launcher = (sys.executable, str(trading_mutants.__file__), mutant.__name__)
    monkeypatch.setattr(Served, "program", launcher)
    with Served(tmp_path, *OPTIONS) as faulty:
        told = begin_trading(faulty)
        await begin_copying(faulty, told)
        found: list[str] = []
        for number in range(MUTANT_ROUNDS):
            await trade_until_killed(faulty, told, random.Random(number))
            found = violations(faulty.db, told, due=0)
            if found:
                break
            faulty.start()
        assert found
        assert all(violation.startswith(kind) for violation in found), found
