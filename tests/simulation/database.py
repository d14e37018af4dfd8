"""The thread of a database connection, simulated: a function runs in the loop, after a delay.

Replaces `aiosqlite.Connection` before the store is imported. The database is a real SQLite file.

Rules:
- Functions of one connection run one after the other, each at once.
- A function has its effect at a moment that chance decides between the call and its answer: if a
  process ends in between, something is committed that nobody was told of.
- A fault of the machine is raised before a function has changed anything.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from typing import Any, Self

import aiosqlite

from tests.simulation.surroundings import Chance


class Machine:
    """The disk that all processes share."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance["database"]
        self.scale = 0.0
        """The mean time of a function, in seconds."""
        self.slowness = 1.0
        self.is_full = False
        self.after_function: Callable[[], None] = lambda: None

    def delay(self) -> float:
        """How long one function takes."""
        return self.chance.expovariate(1.0) * self.scale * self.slowness


class SimulatedThread:
    """In the place of a connection with a thread of its own."""

    machine: Machine

    def __init__(self, connector: Callable[[], sqlite3.Connection], **_: object) -> None:
        self._connector = connector
        self._conn: sqlite3.Connection | None = None
        self._free_at = 0.0

    async def _connect(self) -> Self:
        self._conn = await self._execute(self._connector)
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self._connect().__await__()

    async def _execute(self, function: Callable[[], Any]) -> Any:
        loop, machine = asyncio.get_running_loop(), self.machine
        begins = max(loop.time(), self._free_at)
        self._free_at = ends = begins + machine.delay()
        done = loop.create_future()
        at = begins + machine.chance.random() * (ends - begins)
        loop.call_at(at, self._run, function, done, ends)
        return await done

    def _run(self, function: Callable[[], Any], done: asyncio.Future[Any], ends: float) -> None:
        loop, machine = asyncio.get_running_loop(), self.machine
        result: Any = None
        problem: Exception | None = None
        if machine.is_full and self._conn is not None:
            problem = sqlite3.OperationalError("database or disk is full")
            problem.sqlite_errorcode = sqlite3.SQLITE_FULL
            problem.sqlite_errorname = "SQLITE_FULL"
        else:
            try:
                result = function()
            except Exception as raised:  # noqa: BLE001 - the caller gets it
                problem = raised
            machine.after_function()
        loop.call_at(ends, _answer, done, result, problem)

    async def close(self) -> None:
        """Close the connection, after everything that waits."""
        if self._conn is not None:
            connection, self._conn = self._conn, None
            await self._execute(connection.close)


def _answer(done: asyncio.Future[Any], result: Any, problem: Exception | None) -> None:
    if done.done():
        return
    if problem is None:
        done.set_result(result)
    else:
        done.set_exception(problem)


def replace(machine: Machine) -> None:
    """Replace the connections of aiosqlite."""
    SimulatedThread.machine = machine
    aiosqlite.Connection = SimulatedThread  # type: ignore[assignment,misc]
    from scopegate.store import sqlite

    sqlite.GIVE_WAY = 0.0  # there is no thread for which the loop could wait
