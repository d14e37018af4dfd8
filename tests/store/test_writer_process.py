"""The writer's process: it answers as the thread does, and its sudden end loses nothing."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scopegate.store import remote_writer
from scopegate.store import sqlite as store_module
from scopegate.store.errors import StoreError, StoreUnavailableError
from scopegate.store.files import run_once
from scopegate.store.sqlite import MANY_WAITING, Store
from scopegate.store.transactions import Job, PortableJob, Snapshot, Transaction
from tests.store.portable_jobs import Add, Added, AddUnpicklable, End, TooLargeError

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = Store(tmp_path / "test.db")
    await made.open()
    await made.write(lambda transaction: transaction.execute("CREATE TABLE t (x INTEGER)"))
    made.use_process()
    yield made
    await made.close()


async def numbers(store: Store) -> list[int]:
    def job(reader: Snapshot) -> list[int]:
        return [row[0] for row in reader.all("SELECT x FROM t ORDER BY rowid")]

    return await store.read(job)


async def with_process(store: Store) -> int:
    """Let so many jobs wait that the process starts; return its id."""
    await asyncio.gather(*(store.write(Add(0)) for _ in range(MANY_WAITING)))
    if store._starting is not None:
        await store._starting
    assert store._remote is not None
    await store.write(lambda transaction: transaction.execute("DELETE FROM t"))
    _, process = await store.write(Add(0))
    await store.write(lambda transaction: transaction.execute("DELETE FROM t"))
    assert process != os.getpid()
    return process


async def test_it_starts_once_many_jobs_wait(store: Store) -> None:
    for number in range(MANY_WAITING):
        _, process = await store.write(Add(number))
        assert process == os.getpid()
    assert store._starting is None
    await with_process(store)
    results = await asyncio.gather(*(store.write(Add(number)) for number in range(1_000)))
    assert [number for number, _ in results] == list(range(1_000))
    assert {process for _, process in results} != {os.getpid()}
    assert await numbers(store) == list(range(1_000))


async def test_other_jobs_stay_here_and_all_keep_their_order(store: Store) -> None:
    await with_process(store)
    heard: list[int] = []
    store.listen(Added, lambda added: heard.append(added.number))

    def here(number: int) -> Job[tuple[int, int]]:
        job = Add(number)
        return lambda transaction: job(transaction)

    where = random.Random(3)
    jobs = [where.choice((Add, here))(number) for number in range(500)]
    results = await asyncio.gather(*map(store.write, jobs))
    assert [number for number, _ in results] == list(range(500))
    for job, (_, process) in zip(jobs, results, strict=True):
        assert isinstance(job, PortableJob) == (process != os.getpid())
    assert heard == await numbers(store) == list(range(500))


async def test_a_job_that_fails_there_affects_no_other(store: Store) -> None:
    await with_process(store)
    outcomes = await asyncio.gather(
        *map(store.write, (Add(1), Add(2_000_000), Add(3))), return_exceptions=True
    )
    assert isinstance(outcomes[1], TooLargeError)
    assert outcomes[1].args == (2_000_000,)
    assert await numbers(store) == [1, 3]


async def test_changes_of_other_processes_come_before_the_batch(store: Store) -> None:
    await with_process(store)
    heard: list[int] = []
    store.listen(Added, lambda added: heard.append(added.number))

    def elsewhere(transaction: Transaction) -> None:
        transaction.announce(Added(7))

    await asyncio.to_thread(run_once, store.path, elsewhere)
    await store.write(Add(8))
    assert heard == [7, 8]


async def test_what_cannot_be_pickled_changes_nothing(store: Store) -> None:
    await with_process(store)
    outcomes = await asyncio.gather(
        *map(store.write, (Add(1), AddUnpicklable(2))), return_exceptions=True
    )
    assert all(isinstance(each, StoreError) for each in outcomes)
    assert await numbers(store) == []
    await store.write(Add(3))
    assert await numbers(store) == [3]


async def test_a_process_that_ends_changes_nothing_and_is_replaced(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await with_process(store)
    monkeypatch.setattr(store_module, "RESTART_SECONDS", 0.0)
    outcomes = await asyncio.gather(
        *map(store.write, (Add(1), End(), Add(2))), return_exceptions=True
    )
    assert {type(each) for each in outcomes} == {StoreUnavailableError}
    assert await numbers(store) == []
    assert (await store.write(Add(4)))[1] == os.getpid()
    assert await with_process(store) != first


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_a_batch_is_answered_as_it_was_committed(
    store: Store, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    """If the process ends at a COMMIT, the database tells whether there was one."""
    monkeypatch.setattr(remote_writer, "PROGRAM", "tests.store.dying_writer")
    monkeypatch.setenv("DIES", dies)
    heard: list[int] = []
    store.listen(Added, lambda added: heard.append(added.number))
    await asyncio.gather(*(store.write(Add(0)) for _ in range(MANY_WAITING)))
    assert store._starting is not None
    await store._starting
    await store.write(lambda transaction: transaction.execute("DELETE FROM t"))
    heard.clear()
    outcomes = await asyncio.gather(
        *(store.write(Add(number)) for number in range(20)), return_exceptions=True
    )
    if dies == "after":
        assert [each[0] for each in outcomes if isinstance(each, tuple)] == list(range(20))
        assert heard == await numbers(store) == list(range(20))
    else:
        assert {type(each) for each in outcomes} == {StoreUnavailableError}
        assert heard == await numbers(store) == []


async def test_whenever_it_is_killed_what_was_answered_is_what_is_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "RESTART_SECONDS", 0.0)
    heard: list[int] = []
    store.listen(Added, lambda added: heard.append(added.number))
    when = random.Random(5)
    for _ in range(5):
        process = await with_process(store)
        heard.clear()
        jobs = [asyncio.create_task(store.write(Add(number))) for number in range(2_000)]
        await asyncio.wait(jobs[: when.randrange(2_000)] or jobs[:1])
        os.kill(process, signal.SIGKILL)
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        done = [each[0] for each in outcomes if isinstance(each, tuple)]
        assert all(isinstance(each, tuple | StoreUnavailableError) for each in outcomes)
        assert done == heard == await numbers(store)


async def test_a_process_that_does_not_answer_is_killed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await with_process(store)
    monkeypatch.setattr(remote_writer, "ANSWER_SECONDS", 0.2)
    os.kill(process, signal.SIGSTOP)
    with pytest.raises(StoreUnavailableError):
        await store.write(Add(1))
    assert (await store.write(Add(2)))[1] == os.getpid()
    assert await numbers(store) == [2]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


async def test_an_answer_is_never_taken_for_that_of_another_batch(store: Store) -> None:
    """Also if the store's task was cancelled before an answer came."""
    await with_process(store)
    jobs = [asyncio.create_task(store.write(Add(number))) for number in range(200)]
    await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    assert store._work is not None
    store._work.cancel()
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert all(isinstance(each, tuple | StoreError) for each in outcomes)
    done = {each[0] for each in outcomes if isinstance(each, tuple)}
    results = await asyncio.gather(*(store.write(Add(1_000 + number)) for number in range(100)))
    assert [number for number, _ in results] == list(range(1_000, 1_100))
    there = await numbers(store)
    assert done <= set(there)
    assert there[-100:] == list(range(1_000, 1_100))


async def test_a_process_that_cannot_start_is_not_needed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_writer, "PROGRAM", "tests.store.nowhere")
    await asyncio.gather(*(store.write(Add(0)) for _ in range(MANY_WAITING)))
    assert store._starting is not None
    await store._starting
    assert store._remote is None
    results = await asyncio.gather(*(store.write(Add(1)) for _ in range(MANY_WAITING)))
    assert {process for _, process in results} == {os.getpid()}
    assert store._starting is None  # not again at once


async def test_the_process_ends_with_the_store(store: Store) -> None:
    process = await with_process(store)
    await store.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    again = Store(store.path)
    await again.open()  # the lock is free
    await again.close()
