"""The store: whole transactions, shared commits, and what is promised of both."""

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar

import pytest
import structlog

from scopegate import market_start
from scopegate.exchange.symbols import FEED_VERSION
from scopegate.gateway.access import apps
from scopegate.store import files
from scopegate.store import sqlite as store_module
from scopegate.store.errors import (
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreUnavailableError,
)
from scopegate.store.files import connect, run_once
from scopegate.store.migrating import migrate
from scopegate.store.sqlite import Store
from scopegate.store.transactions import Announcement, Job, Snapshot, Transaction


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path / "test.db")
    await made.open()
    await made.write(lambda transaction: transaction.execute("CREATE TABLE t (x INTEGER UNIQUE)"))
    yield made
    await made.close()


@dataclass(frozen=True)
class Told(Announcement):
    kind: ClassVar[str] = "told"
    x: int


def put(x: int) -> Job[None]:
    def job(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO t VALUES (?)", x)

    return job


async def numbers(store: Store) -> list[int]:
    return await store.read(
        lambda reader: [row[0] for row in reader.all("SELECT x FROM t ORDER BY x")]
    )


async def test_one_jobs_failure_is_its_own(store: Store) -> None:
    def half(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO t VALUES (100)")
        raise LookupError("changed my mind")

    results = await asyncio.gather(
        store.write(put(1)),
        store.write(half),
        store.write(put(1)),
        store.write(put(2)),
        return_exceptions=True,
    )
    assert results[0] is None
    assert isinstance(results[1], LookupError)
    assert isinstance(results[2], sqlite3.IntegrityError)
    assert results[3] is None
    assert await numbers(store) == [1, 2]


async def test_a_parts_failure_is_its_own(store: Store) -> None:
    """What a part wrote and announced is gone, what the job did around it stays."""
    told: list[Told] = []
    store.listen(Told, told.append)

    def job(transaction: Transaction) -> list[str]:
        failed = []
        put(1)(transaction)
        transaction.announce(Told(1))
        for values in ([2], [3, 1], [4, 4], [5]):
            try:
                with transaction.savepoint():
                    for value in values:
                        transaction.announce(Told(value))
                        put(value)(transaction)
            except sqlite3.IntegrityError:
                failed.append(str(values))
        put(6)(transaction)
        return failed

    assert await store.write(job) == ["[3, 1]", "[4, 4]"]
    assert await numbers(store) == [1, 2, 5, 6]
    assert [each.x for each in told] == [1, 2, 5]


async def test_a_job_runs_to_its_end_when_its_caller_is_cancelled(store: Store) -> None:
    told: list[Told] = []
    store.listen(Told, told.append)

    def job(transaction: Transaction) -> None:
        put(7)(transaction)
        transaction.announce(Told(7))

    caller = asyncio.ensure_future(store.write(job))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await store.write(put(8))
    assert await numbers(store) == [7, 8]
    assert told == [Told(7)]


async def test_waiting_jobs_share_commits(store: Store) -> None:
    statements: list[str] = []
    await store._writer.run(lambda connection: connection.set_trace_callback(statements.append))
    await asyncio.gather(*(store.write(put(x)) for x in range(100)))
    assert statements.count("COMMIT") <= 3
    assert await numbers(store) == list(range(100))


async def test_changes_are_told_after_commit_in_order_before_the_caller_goes_on(
    store: Store,
) -> None:
    seen: list[tuple[int, list[int]]] = []
    connection = sqlite3.connect(store.path)

    def listener(told_now: Told) -> None:
        rows = connection.execute("SELECT x FROM t ORDER BY x").fetchall()
        seen.append((told_now.x, [row[0] for row in rows]))

    store.listen(Told, listener)

    def announce(x: int) -> Job[None]:
        def job(transaction: Transaction) -> None:
            put(x)(transaction)
            transaction.announce(Told(x))

        return job

    async def caller(x: int) -> None:
        await store.write(announce(x))
        assert x in [told for told, _ in seen]

    await asyncio.gather(*(caller(x) for x in range(5)))
    assert [x for x, _ in seen] == [0, 1, 2, 3, 4]
    assert all(x in rows for x, rows in seen)
    connection.close()


async def test_what_failed_announces_nothing(store: Store) -> None:
    told: list[Told] = []
    store.listen(Told, told.append)

    def job(transaction: Transaction) -> None:
        transaction.announce(Told(0))
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(job)
    assert told == []


async def test_another_process_is_heard(store: Store) -> None:
    heard = asyncio.Event()
    told: list[Told] = []

    def listener(told_now: Told) -> None:
        told.append(told_now)
        heard.set()

    store.listen(Told, listener)

    def job(transaction: Transaction) -> None:
        put(5)(transaction)
        transaction.announce(Told(5))

    await asyncio.to_thread(run_once, store.path, job)
    async with asyncio.timeout(5):
        await heard.wait()
    assert told == [Told(5)]
    assert await numbers(store) == [5]


async def test_what_another_process_announces_wrongly_stops_nothing(store: Store) -> None:
    heard = asyncio.Event()
    told: list[Told] = []

    def listener(told_now: Told) -> None:
        told.append(told_now)
        heard.set()

    store.listen(Told, listener)

    def job(transaction: Transaction) -> None:
        for kind, data in (("told", "{"), ("told", '{"y": 1}'), ("of a newer version", "{}")):
            transaction.execute("INSERT INTO changes (kind, data) VALUES (?, ?)", kind, data)
        transaction.announce(Told(5))

    with structlog.testing.capture_logs() as logged:
        await asyncio.to_thread(run_once, store.path, job)
        async with asyncio.timeout(5):
            await heard.wait()
    assert told == [Told(5)]
    assert [line["event"] for line in logged] == [
        f"a change by another process is invalid: {number}" for number in (1, 2)
    ]


async def test_a_listener_that_fails_harms_nobody(store: Store) -> None:
    told: list[Told] = []

    def broken(told_now: Told) -> None:
        raise ZeroDivisionError

    store.listen(Told, broken)
    store.listen(Told, told.append)
    await store.write(lambda transaction: transaction.announce(Told(1)))
    assert told == [Told(1)]


async def test_a_full_disk_fails_the_batch_and_the_store_goes_on(store: Store) -> None:
    await store.write(put(1))
    pages = await store._writer.run(
        lambda connection: connection.execute("PRAGMA page_count").fetchone()[0]
    )
    await store._writer.run(
        lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()
    )

    def large(transaction: Transaction) -> None:
        transaction.execute("CREATE TABLE big AS SELECT randomblob(100000) AS b")

    results = await asyncio.gather(store.write(put(2)), store.write(large), return_exceptions=True)
    assert any(isinstance(result, StoreError | sqlite3.Error) for result in results)
    await store._writer.run(
        lambda connection: connection.execute("PRAGMA max_page_count = 100000").fetchone()
    )
    # What was answered is there, what was refused is not.
    kept = [2] if results[0] is None else []
    assert await numbers(store) == [1, *kept]
    await store.write(put(3))
    assert await numbers(store) == [1, *kept, 3]


async def test_too_many_waiting_jobs_are_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_WAITING", 2)
    results = await asyncio.gather(*(store.write(put(x)) for x in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None)] * 2 + [StoreBusyError] * 3


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await store.read(lambda reader: reader.one("INSERT INTO t VALUES (1)"))
    assert not hasattr(Snapshot, "execute")


async def test_a_newer_database_is_refused(store: Store, tmp_path: Path) -> None:
    await store.write(lambda transaction: transaction.execute("PRAGMA user_version = 99"))
    with pytest.raises(StoreError, match="version 99"):
        run_once(store.path, put(1))


@pytest.mark.parametrize("feed", [None, "0"])
async def test_the_database_of_another_feed_is_refused_and_left_as_it_is(
    store: Store, feed: str | None
) -> None:
    """Its market would have other prices; the program that made it must still be able to go on."""

    def as_it_was(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO meta (name, value) VALUES ('seed', 'old')")
        if feed is not None:
            transaction.execute("INSERT INTO meta (name, value) VALUES ('feed', ?)", feed)
        transaction.execute("PRAGMA user_version = 1")  # the further steps are not to be taken

    await store.write(as_it_was)
    with pytest.raises(StoreError, match=f"feed {feed or 1}, .* --db FILE; nothing .* changed"):
        run_once(store.path, put(1), market_start.check_feed)
    version = await store.read(lambda reader: reader.one("PRAGMA user_version"))
    assert version is not None
    assert version[0] == 1


async def test_a_new_database_has_the_feed_of_the_program(store: Store) -> None:
    await store.write(
        lambda t: market_start.settle(t, market_start.foresee(t, seed="new", start=None, speed=1))
    )
    run_once(store.path, put(1))
    row = await store.read(lambda reader: reader.one("SELECT value FROM meta WHERE name = 'feed'"))
    assert row is not None
    assert row["value"] == str(FEED_VERSION)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello " * 1000)
    with pytest.raises(StoreError, match=r"notes\.txt"):
        await Store(path).open()
    with pytest.raises(StoreError, match="nowhere"):
        await Store(tmp_path / "nowhere" / "x.db").open()


async def test_the_files_are_their_owners_alone(store: Store) -> None:
    for name in ("", "-wal", "-shm"):
        path = store.path.with_name(store.path.name + name)
        assert path.stat().st_mode & 0o777 == 0o600, path


async def test_two_gateways_do_not_share_a_database(store: Store) -> None:
    second = Store(store.path)
    with pytest.raises(StoreError, match="another gateway is serving"):
        await second.open()
    # Other processes write all the same: that is how the command line works.
    await asyncio.to_thread(run_once, store.path, put(1))
    assert await numbers(store) == [1]


def test_an_authorization_from_before_names_the_accounts_of_its_tokens(tmp_path: Path) -> None:
    """Which accounts an app reaches was not always kept: older ones reach what they had."""
    folder = resources.files("scopegate.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    before = names[: next(i for i, name in enumerate(names) if name.endswith("_app_tokens.sql"))]
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as old:
        for name in before:
            old.executescript((folder / name).read_text(encoding="utf-8"))
        old.execute(f"PRAGMA user_version = {len(before)}")
        old.executescript(
            """
            INSERT INTO users (id, email, created_at) VALUES (1, 'ada@example.com', 0);
            INSERT INTO accounts (loginid, user_id, currency, is_virtual, created_at)
            VALUES ('CR900001', 1, 'USD', 0, 0), ('CR900002', 1, 'USD', 0, 0);
            INSERT INTO apps (id, user_id, name, scopes, created_at) VALUES (2000, 1, 'B', '', 0);
            INSERT INTO links (id, app_id, user_id, scopes, created_at) VALUES (1, 2000, 1, '', 0);
            INSERT INTO links (id, app_id, user_id, scopes, loginids, created_at)
            VALUES (2, 1089, 1, '', 'CR900001', 0);
            INSERT INTO tokens (digest, masked, loginid, name, scopes, link_id, kind, created_at)
            VALUES (x'01', '*1', 'CR900002', 'B', '', 1, 'app', 0),
                   (x'02', '*2', 'CR900001', 'B', '', 1, 'app', 0),
                   (x'03', '*3', 'CR900001', 'B', '', 1, 'app', 0),
                   (x'04', '*4', 'CR900002', 'C', '', 2, 'app', 0);
            """
        )
    with closing(connect(path)) as opened:
        migrate(opened)
        kept = opened.execute("SELECT loginids FROM links ORDER BY id").fetchall()
    assert [row[0] for row in kept] == ["CR900001,CR900002", "CR900001"]


def test_an_authorization_from_before_covers_the_app_as_it_is(tmp_path: Path) -> None:
    """What its user agreed to was not kept then."""
    steps = sorted(
        (resources.files("scopegate.store") / "migrations").iterdir(), key=lambda step: step.name
    )
    before = [step for step in steps if step.name.endswith(".sql")]
    [number] = [at for at, step in enumerate(before) if "agreements" in step.name]
    with closing(connect(tmp_path / "old.db")) as connection:
        for step in before[:number]:
            connection.executescript(step.read_text())
        connection.execute(f"PRAGMA user_version = {number}")
        connection.executescript(
            "INSERT INTO users (id, email, created_at) VALUES (1, 'ada@example.com', 0);"
            "INSERT INTO apps (id, user_id, name, scopes, redirect_uri, markup, created_at)"
            " VALUES (2000, 1, 'Bot', 'read', 'https://bot.example.com/', '1.5', 0);"
            "INSERT INTO links (app_id, user_id, scopes, created_at) VALUES (2000, 1, 'read', 0);"
        )
        migrate(connection)
        [link] = apps.links_of_user(Transaction(connection), 1)
    agreed = link.agreement
    assert (agreed.name, agreed.redirect_uri) == ("Bot", "https://bot.example.com/")
    assert (agreed.scopes, agreed.markup) == ({"read"}, "1.5")
    assert not link.suspended
    assert apps.changes(link) == []


def test_a_file_that_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot use the database"):
        files.check_file(tmp_path / ("x" * 300))


def refusal(path: Path) -> str:
    """Why the file is not served; empty where it is."""
    try:
        files.check_file(path)
    except StoreDamagedError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("small_file", [0, files.SMALL_FILE])
async def test_a_damaged_page_is_found_in_tables_and_indexes(
    store: Store, monkeypatch: pytest.MonkeyPatch, small_file: int
) -> None:
    monkeypatch.setattr(files, "SMALL_FILE", small_file)
    await store.close()
    files.check_file(store.path)
    sound = store.path.read_bytes()
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        pages = connection.execute(
            "SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 1 ORDER BY rootpage"
        ).fetchall()
        [size] = connection.execute("PRAGMA page_size").fetchone()
    assert len(pages) > 50
    missed = []
    for name, page in pages:
        start = (page - 1) * size
        store.path.write_bytes(sound[:start] + b"x" * size + sound[start + size :])
        if "copy your latest backup" not in refusal(store.path):
            missed.append(name)
    assert missed == []


def statements_of_check(path: Path, **how: float) -> list[str]:
    """What the check at the start asks of the file."""
    asked: list[str] = []
    with closing(connect(path)) as connection:
        connection.set_trace_callback(asked.append)
        files.check(connection, path, **how)
    return asked


async def test_the_check_at_the_start_reads_rows_of_small_files_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.close()
    assert "quick_check" in str(statements_of_check(store.path))
    monkeypatch.setattr(files, "SMALL_FILE", store.path.stat().st_size - 1)
    asked = statements_of_check(store.path)
    assert "quick_check" not in str(asked)
    walks = [statement for statement in asked if "count(*)" in statement]
    growing = [any(f'FROM "{name}"' in walk for name in ("contracts", "ledger")) for walk in walks]
    assert growing == sorted(growing)  # in what grows it may not come to the end
    assert set(growing) == {False, True}


async def test_the_check_at_the_start_takes_no_longer_than_it_may(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SMALL_FILE", 0)
    await store.close()
    asked = statements_of_check(store.path)
    assert len([statement for statement in asked if "count(*)" in statement]) > 50
    asked = statements_of_check(store.path, seconds=0.0)
    assert len([statement for statement in asked if "count(*)" in statement]) <= 1


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        ("PRAGMA query_only = ON", "PRAGMA query_only = OFF", StoreUnavailableError),
        ("ALTER TABLE changes RENAME TO gone", "ALTER TABLE gone RENAME TO changes", StoreError),
    ],
    ids=["a fault of the machine", "a bug"],
)
async def test_callers_are_answered_although_the_log_fails(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    after: str,
    error: type[StoreError],
) -> None:
    class Broken:
        def error(self, *_: object, **__: object) -> None:
            raise OSError("no space left")

    monkeypatch.setattr(store_module, "log", Broken())
    monkeypatch.setattr(store_module, "MAX_BATCH", 2)
    await store._writer.run(lambda writer: writer.execute(before))
    async with asyncio.timeout(10):
        writes = (store.write(put(x)) for x in range(3))  # two batches
        results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [error] * 3
    await store._writer.run(lambda writer: writer.execute(after))
    await store.write(put(4))
    assert await numbers(store) == [4]


async def test_callers_of_a_commit_go_on_a_few_at_a_time(store: Store) -> None:
    """So hundreds of replies do not hold up the event loop at once."""
    answered: list[int] = []
    seen: list[int] = []

    async def write(number: int) -> None:
        await store.write(lambda transaction: None)
        answered.append(number)

    async def look() -> None:
        while len(answered) < 200:
            seen.append(len(answered))
            await asyncio.sleep(0)

    await asyncio.gather(look(), *map(write, range(200)))
    assert answered == list(range(200))
    steps = [later - before for before, later in itertools.pairwise(seen)]
    assert max(steps) <= store_module.ANSWERED_TOGETHER


async def test_a_stopped_store_answers_every_caller(store: Store) -> None:
    """Even if its task is cancelled between two slices of a batch."""
    jobs = [asyncio.create_task(store.write(lambda transaction: 7)) for _ in range(100)]
    await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    assert store._work is not None
    assert not all(job.done() for job in jobs)
    store._work.cancel()
    assert await asyncio.gather(*jobs) == [7] * 100
