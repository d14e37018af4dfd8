"""A disk that fails at any operation: a clear error, reads go on, and everything recovers."""

import asyncio
import contextlib
import errno
import mmap
import sqlite3
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import pytest

from scopegate.store.sqlite_connection import connect
from scopegate.store.transactions import Transaction
from tests import books
from tests.effort import cases, chosen
from tests.power import preloaded
from tests.process.client_steps import BUY_FOR_AN_HOUR
from tests.served import Served, SocketClient

pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.skipif(sys.platform != "linux", reason="the library is preloaded by Linux"),
    pytest.mark.skipif(bool(preloaded.missing()), reason=preloaded.missing()),
]

ERRORS = {"full": errno.ENOSPC, "read-only": errno.EROFS, "broken": errno.EIO}
LAST = chosen(6, 100)
"""The number of operations that succeed before the one that fails: from 0 to this."""


class FailingDisk:
    """Lets the operations of gateways on their files fail."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "control"
        self.path.write_bytes(bytes(12))
        with self.path.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), 12)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()

    def variables(self, db: Path) -> dict[str, str]:
        """The environment of a gateway whose disk this is."""
        return {
            "LD_PRELOAD": str(preloaded.library("failing.c")),
            "FAILING_CONTROL": str(self.path),
            "FAILING_FILES": str(db),
        }

    def fail(self, error: int, after: int) -> None:
        """Let every operation fail after so many that still succeed."""
        self._control[:] = struct.pack("iii", 0, after, 0)
        self._control[:4] = struct.pack("i", error)

    def recover(self) -> None:
        """Let none fail any more."""
        self._control[:4] = struct.pack("i", 0)

    @property
    def failed(self) -> int:
        """How many operations have failed since `fail`."""
        [_, _, count] = struct.unpack("iii", self._control[:])
        return int(count)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FailingDisk]:
    with FailingDisk(tmp_path) as made:
        yield made


@pytest.fixture
def gateway(tmp_path: Path, disk: FailingDisk) -> Iterator[Served]:
    served = Served(tmp_path, "--seed", "disk")
    served.settings = disk.variables(served.db)
    with served:
        yield served


@asynccontextmanager
async def trading(gateway: Served) -> AsyncIterator[SocketClient]:
    async with gateway.connected() as client:
        await client.authorize(gateway.token)
        yield client


async def bought(client: SocketClient, refusal: str = "StorageUnavailable") -> int | None:
    """Buy a contract: its id; `None` if the database could not be written."""
    reply = await client.ask(BUY_FOR_AN_HOUR)
    if "error" in reply:
        assert reply["error"]["code"] == refusal, reply["error"]
        return None
    number: int = reply["buy"]["contract_id"]
    return number


async def bought_at_last(client: SocketClient) -> int:
    """Buy as soon as that works again."""
    async with asyncio.timeout(30):
        while (number := await bought(client)) is None:
            await client.ask({"ping": 1})
        return number


def contracts(db: Path) -> set[int]:
    """Every contract; the books are exact."""
    with contextlib.closing(connect(db, read_only=True)) as connection:
        assert books.mistakes(Transaction(connection)) == []
        return {row[0] for row in connection.execute("SELECT id FROM contracts")}


@pytest.mark.lengthy
@pytest.mark.parametrize("error", cases(ERRORS, ["full", "broken"]))
async def test_a_disk_may_fail_at_any_operation(
    gateway: Served, disk: FailingDisk, error: str
) -> None:
    acknowledged = set()
    async with trading(gateway) as client:
        await client.ask({"ticks": "1HZ100V", "subscribe": 1})
        for after in range(LAST + 1):
            disk.fail(ERRORS[error], after)
            # Some may still succeed; in the end none does.
            while (number := await bought(client)) is not None:
                acknowledged.add(number)
            assert disk.failed > 0
            # What only reads goes on.
            held = (await client.ask({"portfolio": 1}))["portfolio"]["contracts"]
            assert acknowledged <= {each["contract_id"] for each in held}
            assert "error" not in await client.ask({"balance": 1})
            client.received.clear()
            while (await client.next())["msg_type"] != "tick":
                pass
            disk.recover()
            acknowledged.add(await bought_at_last(client))
    assert acknowledged == contracts(gateway.db)
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.stderr
    assert acknowledged == contracts(gateway.db)


@pytest.mark.lengthy
async def test_nothing_is_lost_if_it_is_killed_while_its_disk_fails(
    gateway: Served, disk: FailingDisk
) -> None:
    async with trading(gateway) as client:
        acknowledged = {await bought_at_last(client) for _ in range(5)}
        disk.fail(errno.EIO, 3)
        while (number := await bought(client)) is not None:
            acknowledged.add(number)
    gateway.kill()
    disk.recover()
    gateway.start()
    assert acknowledged == contracts(gateway.db)


@pytest.mark.lengthy
async def test_a_start_on_a_disk_that_fails_says_why(gateway: Served, disk: FailingDisk) -> None:
    assert gateway.stop() == 0
    disk.fail(errno.EROFS, 0)
    with pytest.raises(AssertionError, match="the database cannot be used at present"):
        await asyncio.to_thread(gateway.start)
    assert "Traceback" not in gateway.stderr
    disk.recover()
    gateway.start()


@pytest.mark.lengthy
async def test_a_lock_that_another_program_holds_for_long_is_waited_for(gateway: Served) -> None:
    async with trading(gateway) as client:
        await client.ask({"ticks": "1HZ100V", "subscribe": 1})
        with contextlib.closing(sqlite3.connect(gateway.db, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            # The gateway waits a little longer for the lock than for an answer, so nobody knows.
            assert await bought(client, "Timeout") is None
            assert "error" not in await client.ask({"balance": 1})
            assert "tick" in await client.next()
            other.execute("ROLLBACK")
        acknowledged = {await bought_at_last(client)}
    assert acknowledged <= contracts(gateway.db)
    assert "Traceback" not in gateway.stderr
