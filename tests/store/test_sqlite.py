"""The store: whole transactions, shared commits, and what is promised of both."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from scopegate.gateway.access import apps
from scopegate.store import files
from scopegate.store import sqlite as sqlite_module
from scopegate.store import store as store_module
from scopegate.store.errors import (
    StoreDamagedError,
    StoreError,
    StoreUnavailableError,
)
from scopegate.store.migrating import migrate
from scopegate.store.sqlite import SqliteStore
from scopegate.store.sqlite_connection import connect
from scopegate.store.store import ANSWERED_TOGETHER
from scopegate.store.transactions import Transaction
from tests.store.engines import create, numbers, put

pytestmark = pytest.mark.sqlite


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "test.db")
    await made.open()
    await made.write(create)
    yield made
    await made.close()


async def test_waiting_jobs_share_commits(store: SqliteStore) -> None:
    statements: list[str] = []
    await store._writer.run(lambda connection: connection.set_trace_callback(statements.append))
    await asyncio.gather(*(store.write(put(x)) for x in range(100)))
    assert statements.count("COMMIT") <= 3
    assert await numbers(store) == list(range(100))


async def test_a_write_says_when_it_waits_for_the_event_loop_alone(store: SqliteStore) -> None:
    committed = store._committed
    at_commit: list[bool] = []

    def note(*given: Any) -> None:
        at_commit.append(store.waits_for_loop())
        committed(*given)

    store._committed = note  # type: ignore[method-assign]

    async def write() -> bool:
        await store.write(put(1))
        return store.waits_for_loop()  # callers of the same batch may not have gone on yet

    assert not store.waits_for_loop()
    writing = asyncio.ensure_future(write())
    await asyncio.sleep(0)
    assert store.waits_for_loop()  # the batch is about to begin
    assert await writing
    assert not store.waits_for_loop()
    assert at_commit == [True]

    # Many writes do not hold up the messages of others.
    many = [asyncio.ensure_future(store.write(put(x))) for x in range(ANSWERED_TOGETHER + 1)]
    await asyncio.wait(many)
    assert at_commit == [True, False]


async def test_a_write_says_while_its_thread_computes(store: SqliteStore) -> None:
    def compute(transaction: Transaction) -> bool:
        return store.computes()

    def fail(transaction: Transaction) -> None:
        transaction.execute("ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")

    assert await store.write(compute)
    assert not store.computes()
    with contextlib.suppress(StoreError):
        await store.write(fail)
    assert not store.computes()


async def test_a_full_disk_fails_the_batch_and_the_store_goes_on(store: SqliteStore) -> None:
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


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello " * 1000)
    with pytest.raises(StoreError, match=r"notes\.txt"):
        await SqliteStore(path).open()
    with pytest.raises(StoreError, match="nowhere"):
        await SqliteStore(tmp_path / "nowhere" / "x.db").open()


async def test_the_files_are_their_owners_alone(store: SqliteStore) -> None:
    for name in ("", "-wal", "-shm"):
        path = store.path.with_name(store.path.name + name)
        assert path.stat().st_mode & 0o777 == 0o600, path


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
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, small_file: int
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
        if "scopegate restore BACKUP" not in refusal(store.path):
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
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
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
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
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
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    after: str,
    error: type[StoreError],
) -> None:
    class Broken:
        def error(self, *_: object, **__: object) -> None:
            raise OSError("no space left")

    monkeypatch.setattr(store_module, "log", Broken())
    monkeypatch.setattr(SqliteStore, "max_batch", 2)
    await store._writer.run(lambda writer: writer.execute(before))
    async with asyncio.timeout(10):
        writes = (store.write(put(x)) for x in range(3))  # two batches
        results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [error] * 3
    await store._writer.run(lambda writer: writer.execute(after))
    await store.write(put(4))
    assert await numbers(store) == [4]


async def test_two_gateways_do_not_share_a_database(
    store: SqliteStore,
) -> None:
    second = SqliteStore(store.path)
    with pytest.raises(StoreError, match="another gateway is serving"):
        await second.open()
    # Other processes write all the same: that is how the command line works.
    await asyncio.to_thread(files.run_once, store.path, put(1))
    assert await numbers(store) == [1]


async def test_the_event_loop_gives_way_while_the_thread_runs_jobs(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "GIVE_WAY", 60.0)
    ran: list[int] = []
    jobs = [asyncio.create_task(store.write(lambda _, n=n: ran.append(n))) for n in range(3)]
    while not store._in_flight:  # noqa: ASYNC110 - the next turns of the loop begin it
        await asyncio.sleep(0)
    assert ran == [0, 1, 2]
    await asyncio.gather(*jobs)


async def test_a_job_that_takes_long_holds_up_nobody_else(store: SqliteStore) -> None:
    """The loop gives way for a moment only: here the job waits for what the loop does next."""
    may_end = threading.Event()
    job = asyncio.create_task(store.write(lambda _: may_end.wait(30.0)))
    while not store._in_flight:  # noqa: ASYNC110 - the next turns of the loop begin it
        await asyncio.sleep(0)
    may_end.set()
    assert await job is True
