"""The writer process: it answers as the thread does, and its sudden end loses nothing."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
import uvloop

from scopegate.store import sqlite as store_module
from scopegate.store import writer_process
from scopegate.store.errors import StoreError, StoreUnavailableError
from scopegate.store.files import run_once
from scopegate.store.sqlite import MANY_WAITING, MAX_PROCESS_BATCH, SqliteStore
from scopegate.store.transactions import Job, PortableJob, Snapshot, Transaction
from tests.effort import cases
from tests.store.portable_jobs import (
    Add,
    Added,
    AddUnpicklable,
    End,
    FailOddly,
    TooLargeError,
    Unpicklable,
)

pytestmark = pytest.mark.sqlite

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(path)
    await made.open()
    await made.write(lambda transaction: transaction.execute("CREATE TABLE t (x INTEGER)"))
    made._uses_process = True  # also on a machine with one processor
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _finds_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path / "test.db") as made:
        yield made


async def numbers(store: SqliteStore) -> list[int]:
    def job(reader: Snapshot) -> list[int]:
        return [row[0] for row in reader.all("SELECT x FROM t ORDER BY rowid")]

    return await store.read(job)


async def with_process(store: SqliteStore) -> int:
    """Let so many jobs wait that the process starts; return its id."""
    await asyncio.gather(*(store.write(Add(0)) for _ in range(MANY_WAITING)))
    if store._starting is not None:
        await store._starting
    assert store._process is not None
    await store.write(lambda transaction: transaction.execute("DELETE FROM t"))
    _, process = await store.write(Add(0))
    await store.write(lambda transaction: transaction.execute("DELETE FROM t"))
    assert process != os.getpid()
    return process


async def test_it_starts_once_many_jobs_wait(store: SqliteStore) -> None:
    for number in range(MANY_WAITING):
        _, process = await store.write(Add(number))
        assert process == os.getpid()
    assert store._starting is None
    await with_process(store)
    results = await asyncio.gather(*(store.write(Add(number)) for number in range(1_000)))
    assert [number for number, _ in results] == list(range(1_000))
    assert {process for _, process in results} != {os.getpid()}
    assert await numbers(store) == list(range(1_000))


async def test_it_does_not_start_where_it_would_share_the_only_processor(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    store.use_process()
    results = await asyncio.gather(*(store.write(Add(0)) for _ in range(4 * MANY_WAITING)))
    assert {process for _, process in results} == {os.getpid()}
    assert store._starting is None


async def test_other_jobs_stay_here_and_all_keep_their_order(store: SqliteStore) -> None:
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


async def test_a_job_that_fails_there_affects_no_other(store: SqliteStore) -> None:
    await with_process(store)
    outcomes = await asyncio.gather(
        *map(store.write, (Add(1), Add(2_000_000), Add(3))), return_exceptions=True
    )
    assert isinstance(outcomes[1], TooLargeError)
    assert outcomes[1].args == (2_000_000,)
    assert await numbers(store) == [1, 3]


async def test_changes_of_other_processes_come_before_the_batch(store: SqliteStore) -> None:
    await with_process(store)
    heard: list[int] = []
    store.listen(Added, lambda added: heard.append(added.number))

    def elsewhere(transaction: Transaction) -> None:
        transaction.announce(Added(7))

    await asyncio.to_thread(run_once, store.path, elsewhere)
    await store.write(Add(8))
    assert heard == [7, 8]


async def test_what_cannot_be_pickled_changes_nothing(store: SqliteStore) -> None:
    await with_process(store)
    outcomes = await asyncio.gather(
        *map(store.write, (Add(1), AddUnpicklable(2))), return_exceptions=True
    )
    assert all(isinstance(each, StoreError) for each in outcomes)
    assert await numbers(store) == []
    await store.write(Add(3))
    assert await numbers(store) == [3]


async def test_a_process_that_ends_changes_nothing_and_is_replaced(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
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
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    """If the process ends at a COMMIT, the database tells whether there was one."""
    monkeypatch.setattr(writer_process, "PROGRAM", "tests.store.dying_writer")
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


async def test_results_are_read_although_the_process_can_be_sent_nothing_more(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_process, "PROGRAM", "tests.store.leaving_writer")
    await asyncio.gather(*(store.write(Add(0)) for _ in range(MANY_WAITING)))
    assert store._starting is not None
    await store._starting
    await store.write(lambda transaction: transaction.execute("DELETE FROM t"))
    heard: list[int] = []

    def hear(added: Added) -> None:
        if added.number == 0:  # the event loop is busy until the process has ended
            assert store._process is not None
            with contextlib.suppress(ChildProcessError):  # asyncio has noticed it already
                os.waitid(os.P_PID, store._process._process.pid, os.WEXITED | os.WNOWAIT)
        heard.append(added.number)

    store.listen(Added, hear)
    outcomes = await asyncio.gather(
        *(store.write(Add(number)) for number in range(3 * MAX_PROCESS_BATCH)),
        return_exceptions=True,
    )
    done = [each[0] for each in outcomes if isinstance(each, tuple)]
    assert done == heard == await numbers(store) == list(range(2 * MAX_PROCESS_BATCH))


async def test_it_is_asked_whether_a_batch_was_committed_until_that_is_known(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_process, "PROGRAM", "tests.store.dying_writer")
    monkeypatch.setenv("DIES", "after")
    monkeypatch.setattr(store_module, "RETRY_SECONDS", 0.0)
    await asyncio.gather(*(store.write(Add(0)) for _ in range(MANY_WAITING)))
    assert store._starting is not None
    await store._starting
    await store._writer.run(lambda writer: writer.execute("PRAGMA query_only = ON"))
    heard: list[int] = []
    store.listen(Added, lambda added: heard.append(added.number))
    purchase = asyncio.create_task(store.write(Add(7)))
    with structlog.testing.capture_logs() as logged:
        async with asyncio.timeout(10):
            while not logged:  # noqa: ASYNC110 - what logs has no event
                await asyncio.sleep(0.001)
    assert not purchase.done()
    await store._writer.run(lambda writer: writer.execute("PRAGMA query_only = OFF"))
    assert (await purchase)[0] == 7
    assert heard == [7]


async def test_an_error_that_cannot_be_read_is_one_of_its_job_alone(store: SqliteStore) -> None:
    await with_process(store)
    outcomes = await asyncio.gather(
        *map(store.write, (Add(1), FailOddly(), Add(2))), return_exceptions=True
    )
    assert [str(each) for each in outcomes[1:2]] == ["OddError: 1 and 2"]
    assert await numbers(store) == [1, 2]


async def test_a_job_that_cannot_be_sent_starts_no_process_again_and_again(
    store: SqliteStore,
) -> None:
    for _ in range(2):
        await asyncio.gather(*(store.write(Unpicklable()) for _ in range(MANY_WAITING + 1)))
        if store._starting is not None:
            await store._starting
        assert store._process is None
    assert store._start_again_at > time.monotonic()


async def test_whatever_the_working_directory_has_is_not_run(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(tmp_path)
    await with_process(store)


LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("new_loop", cases(LOOPS, [uvloop.new_event_loop]))
def test_whenever_it_is_killed_what_was_answered_is_what_is_there(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On both event loops: they tell the end of a socket in different ways."""
    monkeypatch.setattr(store_module, "RESTART_SECONDS", 0.0)
    when = random.Random(5)
    heard: list[int] = []

    async def main() -> None:
        async with opened(tmp_path / "test.db") as store:
            store.listen(Added, lambda added: heard.append(added.number))
            for _ in range(5):
                process = await with_process(store)
                heard.clear()
                jobs = [asyncio.create_task(store.write(Add(number))) for number in range(2_000)]
                await asyncio.wait(jobs[: when.randrange(1, 2_000)])
                os.kill(process, signal.SIGKILL)
                outcomes = await asyncio.gather(*jobs, return_exceptions=True)
                done = [each[0] for each in outcomes if isinstance(each, tuple)]
                assert all(isinstance(each, tuple | StoreUnavailableError) for each in outcomes)
                assert done == heard == await numbers(store)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


async def test_a_process_that_does_not_answer_is_killed(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await with_process(store)
    monkeypatch.setattr(writer_process, "ANSWER_SECONDS", 0.2)
    os.kill(process, signal.SIGSTOP)
    with pytest.raises(StoreUnavailableError):
        await store.write(Add(1))
    assert (await store.write(Add(2)))[1] == os.getpid()
    assert await numbers(store) == [2]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


async def test_an_answer_is_never_taken_for_that_of_another_batch(store: SqliteStore) -> None:
    """Also if what waits for it was cancelled before it came."""
    await with_process(store)
    jobs = [asyncio.create_task(store.write(Add(number))) for number in range(200)]
    await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    for batch in list(store._in_flight):
        batch.committing.cancel()
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert all(isinstance(each, tuple | StoreError) for each in outcomes)
    done = {each[0] for each in outcomes if isinstance(each, tuple)}
    results = await asyncio.gather(*(store.write(Add(1_000 + number)) for number in range(100)))
    assert [number for number, _ in results] == list(range(1_000, 1_100))
    there = await numbers(store)
    assert done <= set(there)
    assert there[-100:] == list(range(1_000, 1_100))


async def test_the_answer_to_a_cancelled_batch_is_nobody_elses(store: SqliteStore) -> None:
    await with_process(store)
    process = store._process
    assert process is not None
    batches = [asyncio.create_task(process.commit(0, [Add(number)])) for number in (1, 2)]
    received = process._results._buffer  # type: ignore[attr-defined]
    while not received:  # noqa: ASYNC110 - the first batch has an answer then
        await asyncio.sleep(0)
    batches[0].cancel()
    first, second = await asyncio.gather(*batches, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(second, writer_process.LostError)
    assert second.results is None


async def test_closing_it_leaves_no_socket_open_though_it_is_cancelled(store: SqliteStore) -> None:
    number = await with_process(store)
    process = store._process
    assert process is not None
    os.kill(number, signal.SIGSTOP)
    closing = asyncio.create_task(process.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    os.kill(number, signal.SIGKILL)
    assert process._jobs.is_closing()
    assert process._results_end.is_closing()


async def test_a_process_that_cannot_start_is_not_needed(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_process, "PROGRAM", "tests.store.nowhere")
    await asyncio.gather(*(store.write(Add(0)) for _ in range(MANY_WAITING)))
    assert store._starting is not None
    await store._starting
    assert store._process is None
    results = await asyncio.gather(*(store.write(Add(1)) for _ in range(MANY_WAITING)))
    assert {process for _, process in results} == {os.getpid()}
    assert store._starting is None  # not again at once


async def test_the_process_ends_with_the_store(store: SqliteStore) -> None:
    process = await with_process(store)
    await store.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    again = SqliteStore(store.path)
    await again.open()  # the lock is free
    await again.close()
