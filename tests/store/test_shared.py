"""One database for several workers: turns, and changes that each passes on once, in order."""

import asyncio
import fcntl
import os
import random
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from scopegate.store import shared
from scopegate.store.errors import StoreError
from scopegate.store.files import run_once
from scopegate.store.shared import SharedStore, Sharing
from scopegate.store.sqlite import SqliteStore
from scopegate.store.sqlite_connection import connect
from scopegate.store.store import LOST_EXIT
from scopegate.store.transactions import Job, Transaction
from tests.store.engines import Told

pytestmark = pytest.mark.sqlite


@asynccontextmanager
async def stores(path: Path, count: int = 2) -> AsyncIterator[list[SharedStore]]:
    """The stores of so many workers, in one process; what each tells is in `heard`."""
    sharing = Sharing(count)
    async with AsyncExitStack() as stack:
        opened = []
        for number in range(count):
            store = SharedStore(path, sharing=sharing, number=number)
            await store.open()
            stack.push_async_callback(store.close)
            opened.append(store)
        yield opened


def heard_by(store: SqliteStore) -> list[int]:
    heard: list[int] = []
    store.listen(Told, lambda told: heard.append(told.x))
    return heard


def tell(*numbers: int) -> Job[None]:
    def job(transaction: Transaction) -> None:
        for number in numbers:
            transaction.announce(Told(number))

    return job


async def test_what_was_acknowledged_is_known_to_who_catches_up(tmp_path: Path) -> None:
    async with stores(tmp_path / "db") as (one, other):
        heard = [heard_by(store) for store in (one, other)]
        for number in range(0, 40, 2):
            await one.write(tell(number))
            assert other.catch_up() is None
            assert heard[1][-1] == number
            await other.write(tell(number + 1))
            assert one.catch_up() is None
            assert heard[0][-1] == number + 1
        assert heard[0] == heard[1] == list(range(40))
        assert one.catch_up() is None
        assert len(heard[0]) == 40


async def test_who_only_listens_is_woken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "POLL", 3_600.0)
    async with stores(tmp_path / "db", 3) as (one, *others):
        arrived = [asyncio.Event() for _ in others]
        for store, event in zip(others, arrived, strict=True):
            store.listen(Told, lambda told, event=event: event.set())
        await one.write(tell(1))
        async with asyncio.timeout(10):
            await asyncio.gather(*(event.wait() for event in arrived))


async def test_all_pass_on_the_same_changes_in_the_same_order(tmp_path: Path) -> None:
    """While all of them write, and catch up at random."""
    async with stores(tmp_path / "db", 3) as opened:
        heard = [heard_by(store) for store in opened]
        chance = random.Random(7)

        async def write(store: SharedStore, first: int) -> None:
            for number in range(first, first + 60):
                await store.write(tell(number))
                assert number in heard[opened.index(store)]  # before its caller goes on
                chance.choice(opened).catch_up()

        writers = [
            write(store, 1_000 * (10 * index + lane))
            for index, store in enumerate(opened)
            for lane in range(4)
        ]
        await asyncio.gather(*writers)
        for store in opened:
            store.catch_up()
        assert heard[0] == heard[1] == heard[2]
        assert len(set(heard[0])) == len(heard[0]) == 720
        assert [store._own for store in opened] == [{}, {}, {}]


async def test_a_job_that_fails_tells_nothing(tmp_path: Path) -> None:
    def refused(transaction: Transaction) -> None:
        transaction.announce(Told(1))
        raise ValueError("refused")

    async with stores(tmp_path / "db") as (one, other):
        heard = [heard_by(store) for store in (one, other)]
        with pytest.raises(ValueError, match="refused"):
            await one.write(refused)
        await one.write(tell(2))
        other.catch_up()
        assert heard == [[2], [2]]


async def test_the_command_line_is_heard_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "POLL", 0.001)
    async with stores(tmp_path / "db") as opened:
        arrived = [asyncio.Event() for _ in opened]
        for store, event in zip(opened, arrived, strict=True):
            store.listen(Told, lambda told, event=event: event.set())
        await asyncio.to_thread(run_once, tmp_path / "db", tell(1))
        async with asyncio.timeout(10):
            await asyncio.gather(*(event.wait() for event in arrived))


async def test_changes_are_forgotten_but_not_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has missed some ends: nothing that it believes may be true any more."""
    monkeypatch.setattr(shared, "MAX_STORED_CHANGES", 3)
    monkeypatch.setattr(shared, "POLL", 3_600.0)
    ended: list[int] = []

    class Ended(Exception):
        pass

    def end(code: int) -> None:
        ended.append(code)
        raise Ended

    async with stores(tmp_path / "db") as (one, other):
        heard = heard_by(other)
        for number in range(4):
            await one.write(tell(number))
        monkeypatch.setattr(os, "_exit", end)
        asyncio.get_running_loop().remove_reader(other._sharing.waker(1))
        await one.write(tell(4))
        await one.write(tell(5))
        assert other.catch_up() is None or heard
        with closing(connect(tmp_path / "db", read_only=True)) as reader:
            [count] = reader.execute("SELECT count(*) FROM changes").fetchone()
        assert count == 3
        other._passed_on = 1
        other._sharing.advance(100)
        with pytest.raises(Ended), capture_logs():
            other.catch_up()
        assert ended == [LOST_EXIT]
        other._passed_on = 100


async def test_a_command_with_many_changes_ends_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that disables an app of thousands of users."""
    monkeypatch.setattr(shared, "MAX_STORED_CHANGES", 3)
    monkeypatch.setattr(shared, "POLL", 3_600.0)
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    async with stores(tmp_path / "db") as (one, other):
        heard = [heard_by(store) for store in (one, other)]
        await asyncio.to_thread(run_once, tmp_path / "db", tell(*range(10)))
        await one.write(tell(10))
        assert other.catch_up() is None
        assert heard == [[*range(11)]] * 2
    assert ended == []


async def test_a_file_that_cannot_be_read_is_a_fault_not_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is passed on meanwhile, and afterwards everything, in order."""
    monkeypatch.setattr(shared, "POLL", 3_600.0)
    async with stores(tmp_path / "db") as (one, other):
        asyncio.get_running_loop().remove_reader(one._sharing.waker(0))
        heard = [heard_by(store) for store in (one, other)]
        readable, one._changes = one._changes, connect(tmp_path / "db", read_only=True)
        one._changes.close()
        await other.write(tell(1))
        with capture_logs() as logged:
            await one.write(tell(2))
            assert one.catch_up() is not None
        assert {line["event"] for line in logged} == {"the store is unavailable"}
        one._changes = readable
        await one.write(tell(3))
        other.catch_up()
        assert heard == [[1, 2, 3], [1, 2, 3]]
        assert one._own == {}


async def test_what_fails_to_commit_is_never_passed_on(tmp_path: Path) -> None:
    def full(transaction: Transaction) -> None:
        transaction.announce(Told(1))
        transaction.execute("INSERT INTO changes (id, kind, data) VALUES (?, 'a', 'b')", 2**63 - 1)

    async with stores(tmp_path / "db") as (one, other):
        heard = [heard_by(store) for store in (one, other)]
        with pytest.raises(StoreError):
            await one.write(full)  # no id is left for the row of the announcement
        assert one._own == {}
        await one.write(tell(2))
        other.catch_up()
        assert heard == [[2], [2]]


def test_turns_go_round() -> None:
    """A worker that comes back at once waits behind those that waited meanwhile."""
    sharing = Sharing(2)
    greedy, patient = sharing.turns(), sharing.turns()
    order: list[str] = []
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        with patient:
            order.append("patient")

    waiting = threading.Thread(target=wait)
    with greedy:
        waiting.start()
        begun.wait()
        while not is_locked(sharing, 0):  # until it waits for its turn, with the gate
            pass
        order.append("greedy")
    for _ in range(3):
        with greedy:
            order.append("greedy")
    waiting.join()
    assert order == ["greedy", "patient", "greedy", "greedy", "greedy"]
    greedy.close()
    patient.close()


def is_locked(sharing: Sharing, lock: int) -> bool:
    """Whether a worker has the gate (0) or the turn (1)."""
    own = os.open(f"/proc/self/fd/{sharing._locks[lock]}", os.O_RDWR)
    try:
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(own)
    return False


def test_a_turn_ends_with_its_process() -> None:
    sharing = Sharing(2)
    gate, turn = sharing._locks
    take_both = (
        "import fcntl, os\n"
        f"for lock in ({gate}, {turn}):\n"
        "    fcntl.flock(os.open(f'/proc/self/fd/{lock}', os.O_RDWR), fcntl.LOCK_EX)\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", take_both], check=True, pass_fds=(gate, turn))
    turns = sharing.turns()
    with turns:
        pass
    turns.close()
