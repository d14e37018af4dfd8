"""What the store relies on in aiosqlite beyond its public API: see docs/decisions/aiosqlite.md."""

import asyncio
import sqlite3
import threading

import aiosqlite
import pytest

pytestmark = pytest.mark.sqlite


async def test_a_function_runs_whole_on_the_connections_thread_in_order() -> None:
    made: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        made.append(sqlite3.connect(":memory:", isolation_level=None))
        return made[0]

    threads: list[int] = []
    order: list[int] = []
    async with aiosqlite.Connection(connect, iter_chunk_size=64) as connection:
        assert connection._conn is made[0]

        def work(number: int) -> int:
            threads.append(threading.get_ident())
            order.append(number)
            connection._conn.execute("SELECT 1")  # refused on any other thread
            return number

        running = [connection._execute(work, number) for number in range(20)]
        assert await asyncio.gather(*running) == list(range(20))

        running_alone = connection._execute(work, 20)
        future = running_alone.send(None)  # what it waits for is the result
        running_alone.close()
        await asyncio.wait([future])
        assert future.result() == 20

        def fails() -> None:
            raise LookupError("told to the caller")

        with pytest.raises(LookupError, match="told to the caller"):
            await connection._execute(fails)
    assert order == list(range(21))
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
