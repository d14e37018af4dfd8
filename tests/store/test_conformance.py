"""What every engine of the store must do: the same tests on SQLite and on PostgreSQL."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from scopegate import market_start
from scopegate.exchange.symbols import FEED_VERSION
from scopegate.store import store as store_module
from scopegate.store.errors import ConstraintError, DatabaseError, StoreBusyError, StoreError
from scopegate.store.location import Location
from scopegate.store.opening import run_once, store_at
from scopegate.store.store import Store
from scopegate.store.transactions import Job, Row, Snapshot, Transaction
from tests.store.engines import Told, create, location, numbers, put  # noqa: F401 - a fixture
from tests.stores import connected


@pytest.fixture
async def store(location: Location) -> AsyncIterator[Store]:  # noqa: F811 - the fixture
    made = store_at(location)
    await made.open()
    await made.write(create)
    yield made
    await made.close()


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
    assert isinstance(results[2], ConstraintError)
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
            except ConstraintError:
                failed.append(str(values))
        put(6)(transaction)
        return failed

    assert await store.write(job) == ["[3, 1]", "[4, 4]"]
    assert await numbers(store) == [1, 2, 5, 6]
    assert [each.x for each in told] == [1, 2, 5]


def put_later(x: int) -> Job[None]:
    def job(transaction: Transaction) -> None:
        transaction.execute_later("INSERT INTO t VALUES (?)", x)

    return job


async def test_what_is_executed_later_fails_its_own_job_alone(store: Store) -> None:
    """Whether it fails at the end of the job, with a later statement, or before the job raises."""

    def goes_on(transaction: Transaction) -> None:
        put_later(1)(transaction)
        put(7)(transaction)

    def gives_up(transaction: Transaction) -> None:
        put_later(8)(transaction)
        raise LookupError("changed my mind")

    def fails_and_gives_up(transaction: Transaction) -> None:
        put_later(1)(transaction)
        raise LookupError("changed my mind")

    jobs = [put_later(1), put_later(1), gives_up, put_later(2), goes_on, fails_and_gives_up]
    results = await asyncio.gather(
        *map(store.write, jobs), store.write(put(3)), return_exceptions=True
    )
    kinds = [type(result) for result in results]
    assert kinds[::2] == [type(None), LookupError, ConstraintError, type(None)]
    assert kinds[1::2][:2] == [ConstraintError, type(None)]
    assert kinds[5] in (LookupError, ConstraintError)
    assert await numbers(store) == [1, 2, 3]
    for job in jobs[1:3]:  # each alone in its batch
        with pytest.raises((ConstraintError, LookupError)):
            await store.write(job)
    await store.write(put_later(4))
    assert await numbers(store) == [1, 2, 3, 4]


async def test_what_is_executed_later_belongs_to_its_part(store: Store) -> None:
    def job(transaction: Transaction) -> list[str]:
        failed = []
        put_later(1)(transaction)
        for values in ([2, 3], [4, 1], [5, 5]):
            try:
                with transaction.savepoint():
                    for value in values:
                        put_later(value)(transaction)
            except ConstraintError:
                failed.append(str(values))
        with contextlib.suppress(LookupError, ConstraintError), transaction.savepoint():
            put_later(1)(transaction)
            raise LookupError("changed my mind")
        put_later(6)(transaction)
        return failed

    assert await store.write(job) == ["[4, 1]", "[5, 5]"]
    assert await numbers(store) == [1, 2, 3, 6]


async def test_what_was_asked_ahead_is_what_is_there(store: Store) -> None:
    """Also after a statement that has changed it, and in the next job after one that failed."""
    largest = ("SELECT max(x) FROM t",)
    smallest = "SELECT min(x) FROM t WHERE x > ?", 0

    def asked(transaction: Transaction) -> list[int]:
        return [transaction.single(*query)[0] for query in (largest, smallest)]

    def job(transaction: Transaction) -> list[list[int]]:
        found = []
        put(5)(transaction)
        for change in (put(6), put_later(7), lambda transaction: None):
            transaction.ask_ahead(largest, smallest)
            found.append(asked(transaction))
            transaction.ask_ahead(largest, smallest)
            change(transaction)
            found.append(asked(transaction))
        return found

    def gives_up(transaction: Transaction) -> None:
        put(9)(transaction)
        transaction.ask_ahead(largest, smallest)
        raise LookupError("changed my mind")

    found, _, after = await asyncio.gather(
        *map(store.write, (job, gives_up, asked)), return_exceptions=True
    )
    assert found == [[5, 5], [6, 5], [6, 5], [7, 5], [7, 5], [7, 5]]
    assert after == [7, 5]
    assert await store.read(lambda reader: reader.single("SELECT count(*) FROM t")[0]) == 3


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


async def test_changes_are_told_after_commit_in_order_before_the_caller_goes_on(
    store: Store,
    location: Location,  # noqa: F811
) -> None:
    seen: list[tuple[int, list[int]]] = []

    def listener(told_now: Told) -> None:
        rows = other.execute("SELECT x FROM t ORDER BY x").fetchall()
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

    with connected(location) as other:
        await asyncio.gather(*(caller(x) for x in range(5)))
    assert [x for x, _ in seen] == [0, 1, 2, 3, 4]
    assert all(x in rows for x, rows in seen)


async def test_what_failed_announces_nothing(store: Store) -> None:
    told: list[Told] = []
    store.listen(Told, told.append)

    def job(transaction: Transaction) -> None:
        transaction.announce(Told(0))
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(job)
    assert told == []


def hearing(store: Store) -> tuple[asyncio.Event, list[Told]]:
    """What the store passes on from now on, and an event that is set by the first of it."""
    heard = asyncio.Event()
    told: list[Told] = []

    def listener(told_now: Told) -> None:
        told.append(told_now)
        heard.set()

    store.listen(Told, listener)
    return heard, told


async def test_another_process_is_heard(
    store: Store,
    location: Location,  # noqa: F811
) -> None:
    heard, told = hearing(store)

    def job(transaction: Transaction) -> None:
        put(5)(transaction)
        transaction.announce(Told(5))

    await asyncio.to_thread(run_once, location, job)
    async with asyncio.timeout(5):
        await heard.wait()
    assert told == [Told(5)]
    assert await numbers(store) == [5]


async def test_what_another_process_announces_wrongly_stops_nothing(
    store: Store,
    location: Location,  # noqa: F811
) -> None:
    heard, told = hearing(store)

    def job(transaction: Transaction) -> None:
        for kind, data in (("told", "{"), ("told", '{"y": 1}'), ("of a newer version", "{}")):
            transaction.execute("INSERT INTO changes (kind, data) VALUES (?, ?)", kind, data)
        transaction.announce(Told(5))

    with structlog.testing.capture_logs() as logged:
        await asyncio.to_thread(run_once, location, job)
        async with asyncio.timeout(5):
            await heard.wait()
    assert told == [Told(5)]
    assert [line["event"].rstrip("0123456789") for line in logged] == [
        "a change by another process is invalid: "
    ] * 2


async def test_a_listener_that_fails_harms_nobody(store: Store) -> None:
    told: list[Told] = []

    def broken(told_now: Told) -> None:
        raise ZeroDivisionError

    store.listen(Told, broken)
    store.listen(Told, told.append)
    await store.write(lambda transaction: transaction.announce(Told(1)))
    assert told == [Told(1)]


async def test_too_many_waiting_jobs_are_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_WAITING", 2)
    results = await asyncio.gather(*(store.write(put(x)) for x in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None)] * 2 + [StoreBusyError] * 3


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(DatabaseError, match="readonly"):
        await store.read(lambda reader: reader.one("INSERT INTO t VALUES (1)"))
    assert not hasattr(Snapshot, "execute")


def set_version(location: Location, number: int) -> None:  # noqa: F811
    with connected(location) as other, other.writing():
        other.set_schema_version(number)


@pytest.mark.parametrize("feed", [None, "0"])
async def test_the_database_of_another_feed_is_refused_and_left_as_it_is(
    store: Store,
    location: Location,  # noqa: F811
    feed: str | None,
) -> None:
    """Its market would have other prices; the program that made it must still be able to go on."""

    def as_it_was(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO meta (name, value) VALUES ('seed', 'old')")
        if feed is not None:
            transaction.execute("INSERT INTO meta (name, value) VALUES ('feed', ?)", feed)

    await store.write(as_it_was)
    set_version(location, 1)  # the further steps are not to be taken
    with pytest.raises(StoreError, match=f"feed {feed or 1}, .* --db FILE; nothing .* changed"):
        run_once(location, put(1), market_start.check_feed)
    with connected(location) as other:
        assert other.schema_version() == 1


async def test_a_new_database_has_the_feed_of_the_program(
    store: Store,
    location: Location,  # noqa: F811
) -> None:
    await store.write(
        lambda t: market_start.settle(t, market_start.foresee(t, seed="new", start=None, speed=1))
    )
    run_once(location, put(1))
    row = await store.read(lambda reader: reader.one("SELECT value FROM meta WHERE name = 'feed'"))
    assert row is not None
    assert row["value"] == str(FEED_VERSION)


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
    """As the end of an event loop does: it cancels what waits for a commit."""
    jobs = [asyncio.create_task(store.write(lambda transaction: 7)) for _ in range(50)]
    while not store._in_flight:  # noqa: ASYNC110 - the next turns of the loop begin it
        await asyncio.sleep(0)
    store._in_flight[0].committing.cancel()
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert all(each == 7 or type(each) is StoreError for each in outcomes)
    assert any(type(each) is StoreError for each in outcomes)
    assert await store.write(lambda transaction: 8) == 8


VALUES = (
    0,
    -(2**63),
    2**63 - 1,
    0.1,
    1e300,
    -1.5,
    "",
    "é\u2028 'x'? %s $1 \\",
    b"",
    bytes(range(256)),
    None,
)


async def test_values_come_back_as_they_were(store: Store) -> None:
    """With their types; a whole number in a column for fractions is one afterwards."""

    def job(transaction: Transaction) -> list[object]:
        found = []
        for value in VALUES:
            row = transaction.single(f"SELECT {marks[type(value)]} AS value", value)
            found.append(row["value"])
        return found

    marks = {
        int: "CAST(? AS BIGINT)",
        float: "CAST(? AS DOUBLE PRECISION)",
        str: "CAST(? AS TEXT)",
        bytes: "?",
        type(None): "CAST(? AS TEXT)",
    }
    assert await store.write(job) == list(VALUES)


async def test_rows_are_read_by_name_and_by_position(store: Store) -> None:
    def job(transaction: Transaction) -> None:
        row_id = transaction.insert(
            "INSERT INTO users (email, created_at, is_demo) VALUES (?, ?, ?)", "a@b.c", 5, True
        )
        row = transaction.single("SELECT id, email, created_at FROM users WHERE is_demo = ?", 1)
        assert tuple(row) == (row_id, "a@b.c", 5.0)
        assert dict(row) == {"id": row_id, "email": "a@b.c", "created_at": 5.0}
        assert (row["email"], row[1], row[-1], len(row)) == ("a@b.c", "a@b.c", 5.0, 3)
        with pytest.raises((KeyError, IndexError)):
            row["none"]
        number, email, at = transaction.all("SELECT id, email, created_at FROM users")[0]
        assert (number, email, at) == tuple(row)
        assert transaction.one("SELECT id FROM users WHERE id = ?", -1) is None
        with pytest.raises(LookupError):
            transaction.single("SELECT id FROM users WHERE id = ?", -1)
        assert transaction.execute("UPDATE users SET country = ?", "id").rowcount == 1
        assert transaction.execute("DELETE FROM users WHERE id = ?", -1).rowcount == 0

    await store.write(job)


async def test_numbers_that_a_statement_computes_are_python_numbers(store: Store) -> None:
    def job(transaction: Transaction) -> None:
        for x in (1, 2, 4):
            put(x)(transaction)
        row = transaction.single(
            "SELECT sum(x) AS total, avg(x) AS mean, count(*) AS count, max(x) > ? AS above,"
            " x_of.y IS ? AS is_null FROM t, (SELECT NULL AS y) AS x_of GROUP BY x_of.y",
            3,
            None,
        )
        assert {name: (type(row[name]), row[name]) for name in dict(row)} == {
            "total": (int, 7),
            "mean": (float, pytest.approx(7 / 3)),
            "count": (int, 3),
            "above": (int, 1),
            "is_null": (int, 1),
        }

    await store.write(job)


async def test_texts_are_ordered_by_their_code_points(store: Store) -> None:
    def job(transaction: Transaction) -> list[str]:
        for name in ("b", "B", "a", "é", "Z", "_", "1"):
            transaction.execute("INSERT INTO meta (name, value) VALUES (?, ?)", f"x{name}", "")
        return [
            row["name"][1:]
            for row in transaction.all("SELECT name FROM meta WHERE name > ? ORDER BY name", "x")
        ]

    assert await store.write(job) == ["1", "B", "Z", "_", "a", "b", "é"]


async def test_ids_continue_after_a_chosen_one(store: Store) -> None:
    def register(transaction: Transaction, *chosen: int) -> int:
        if chosen:
            transaction.execute(
                "INSERT INTO apps (id, name, scopes, created_at) VALUES (?, '', '', 0)", *chosen
            )
            transaction.note_explicit_ids("apps")
            return chosen[0]
        return transaction.insert("INSERT INTO apps (name, scopes, created_at) VALUES ('', '', 0)")

    def job(transaction: Transaction) -> list[int]:
        return [
            register(transaction),  # after the test app
            register(transaction, 5_000),
            register(transaction),
            register(transaction, 2_000),
            register(transaction),
        ]

    assert await store.write(job) == [1090, 5000, 5001, 2000, 5002]


async def test_a_statement_that_fails_without_a_savepoint_fails_its_job_alone(
    store: Store,
) -> None:
    """PostgreSQL cannot go on after it; SQLite can, so jobs must not rely on that."""

    def careless(transaction: Transaction) -> None:
        put(1)(transaction)
        with contextlib.suppress(ConstraintError):
            put(1)(transaction)

    def wrong(transaction: Transaction) -> None:
        transaction.execute("SELECT nothing FROM nowhere")

    results = await asyncio.gather(
        store.write(put(5)),
        store.write(wrong),
        store.write(careless),
        store.write(put(6)),
        return_exceptions=True,
    )
    assert results[0] is None
    assert isinstance(results[1], DatabaseError)
    assert results[3] is None
    careless_went_on = results[2] is None
    assert careless_went_on or isinstance(results[2], StoreError)
    assert await numbers(store) == [*([1] if careless_went_on else []), 5, 6]


async def test_a_statement_that_cannot_be_parsed_undoes_nothing_else(store: Store) -> None:
    """Wherever in a batch, and after a part within a part."""
    numbers_of_names = itertools.count()

    def wrong(transaction: Transaction) -> None:
        number = next(numbers_of_names)  # a new statement each time
        transaction.execute(f"SELECT nothing FROM nowhere_{number}")  # noqa: S608 - a number

    def parts(transaction: Transaction) -> None:
        put(10)(transaction)
        with contextlib.suppress(DatabaseError), transaction.savepoint():
            put(11)(transaction)
            with transaction.savepoint():
                put(12)(transaction)
            wrong(transaction)
        put(13)(transaction)

    jobs = [wrong, put(1), wrong, put_later(2), wrong, wrong, parts, put_later(3), wrong]
    results = await asyncio.gather(*map(store.write, jobs), return_exceptions=True)
    for job, result in zip(jobs, results, strict=True):
        assert isinstance(result, DatabaseError) if job is wrong else result is None
    assert await numbers(store) == [1, 2, 3, 10, 13]


async def test_a_job_alone_that_fails_changes_nothing(store: Store) -> None:
    def job(transaction: Transaction) -> None:
        put(1)(transaction)
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(job)
    assert await numbers(store) == []


async def test_many_jobs_are_committed_in_their_order(store: Store) -> None:
    told: list[Told] = []
    store.listen(Told, told.append)

    def job(x: int) -> Job[int]:
        def put_and_announce(transaction: Transaction) -> int:
            put(x)(transaction)
            transaction.announce(Told(x))
            return x

        return put_and_announce

    results = await asyncio.gather(*(store.write(job(x)) for x in range(300)))
    assert results == list(range(300))
    assert [each.x for each in told] == results


async def test_a_reading_has_one_snapshot(store: Store, location: Location) -> None:  # noqa: F811
    def reading(reader: Snapshot) -> list[int]:
        before = reader.single("SELECT count(*) FROM t")[0]
        run_once(location, put(2))
        return [before, reader.single("SELECT count(*) FROM t")[0]]

    await store.write(put(1))
    assert await store.read(reading) == [1, 1]
    assert await numbers(store) == [1, 2]


async def test_migrations_of_a_plugin_create_its_tables_alone(
    location: Location,  # noqa: F811
    tmp_path: Path,
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder in (good, bad):
        folder.mkdir()
    (good / "0001_places.sql").write_text(
        "-- Places; with names.\n"
        "CREATE TABLE weather_places (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, at REAL,"
        " raw BLOB);\nCREATE INDEX weather_by_name ON weather_places (name)"
    )
    (bad / "0001_users.sql").write_text("ALTER TABLE users ADD COLUMN weather_place INTEGER")
    made = store_at(location, None, {"weather": good})
    await made.open()
    try:

        def job(transaction: Transaction) -> Row:
            number = transaction.insert(
                "INSERT INTO weather_places (name, at, raw) VALUES (?, ?, ?)", "x", 0.1, b"y"
            )
            return transaction.single("SELECT * FROM weather_places WHERE id = ?", number)

        row = await made.write(job)
        assert tuple(row) == (1, "x", 0.1, b"y")
    finally:
        await made.close()
    with pytest.raises(StoreError, match=r"changes users: .* must begin with winds_"):
        await store_at(location, None, {"weather": good, "winds": bad}).open()
