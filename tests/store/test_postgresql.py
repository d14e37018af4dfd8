"""What is special about PostgreSQL: which servers are refused, and what happens if one is lost."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import structlog
import trustme

from scopegate.store import location, opening, postgresql_connection
from scopegate.store import postgresql as engine
from scopegate.store.errors import StoreError, StoreUnavailableError
from scopegate.store.location import Server
from scopegate.store.postgresql import PostgresqlStore, run_once
from scopegate.store.transactions import Announcement, Job, Snapshot, Transaction
from tests import postgresql, stores
from tests.effort import cases
from tests.stalling_proxy import Proxy, proxied

pytestmark = pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing())

PATIENCE = 30.0
"""Real seconds until a test fails that waits for a store to recover."""


@dataclass(frozen=True)
class Added(Announcement):
    kind: ClassVar[str] = "added"
    number: int


def put(x: int) -> Job[int]:
    def job(transaction: Transaction) -> int:
        transaction.execute("INSERT INTO t (x) VALUES (?)", x)
        return x

    return job


def create(transaction: Transaction) -> None:
    transaction.execute("CREATE TABLE t (x INTEGER)")


def numbers(reader: Snapshot) -> list[int]:
    return [row["x"] for row in reader.all("SELECT x FROM t ORDER BY x")]


@contextlib.asynccontextmanager
async def opened(server: Server) -> AsyncIterator[PostgresqlStore]:
    store = PostgresqlStore(server)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def behind_proxy() -> AsyncIterator[tuple[PostgresqlStore, Proxy]]:
    """A store with a table, whose connections go through a proxy."""
    server = postgresql.new_database()
    run_once(server, create)
    async with proxied(postgresql.shared().port) as (proxy, port):
        name = server.url.split("@/")[1].split("?")[0]
        async with opened(postgresql.shared().over_tcp(name, port)) as store:
            yield store, proxy


async def recovered(store: PostgresqlStore, number: int) -> None:
    """Write this number as soon as that works."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(StoreUnavailableError):
                await store.write(put(number))
                return
            await asyncio.sleep(0)


async def read_soon(store: PostgresqlStore) -> list[int]:
    """The numbers, as soon as they can be read."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(StoreUnavailableError):
                return await store.read(numbers)
            await asyncio.sleep(0)


def read_much(reader: Snapshot) -> None:
    """Ask at once for more than fits into the buffers of the sockets, both ways."""
    long = "x" * 1_000_000
    queries = [("SELECT ?::text || ?", long, str(number)) for number in range(20)]
    reader.ask_ahead(*queries)
    for number, query in enumerate(queries):
        assert reader.single(*query)[0] == f"{long}{number}"


async def test_much_is_sent_together_and_much_comes_back() -> None:
    async with opened(postgresql.new_database()) as store:
        await store.read(read_much)


# Which servers and addresses are refused.


@pytest.fixture(scope="module")
def own_server() -> Iterator[postgresql.PostgresqlServer]:
    with postgresql.server_of_its_own() as made:
        yield made


@pytest.mark.lengthy
@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
async def test_a_server_that_may_lose_commits_is_refused_unless_allowed(name: str) -> None:
    with postgresql.server_of_its_own(**{name: "off"}) as unsafe:
        server = unsafe.server("postgres", allow_unsafe=False)
        with pytest.raises(StoreError, match=rf"{name} = off.* --store-unsafe"):
            await PostgresqlStore(server).open()
        async with opened(unsafe.server("postgres")):
            pass


async def test_commits_reach_the_disk_whatever_the_server_says(
    own_server: postgresql.PostgresqlServer,
) -> None:
    own_server.run("CREATE DATABASE lazy")
    own_server.run("ALTER DATABASE lazy SET synchronous_commit = off")
    async with opened(own_server.server("lazy", allow_unsafe=False)) as store:
        setting = await store.write(lambda t: t.single("SHOW synchronous_commit")[0])
    assert setting == "on"
    own_server.run("ALTER DATABASE lazy SET synchronous_commit = remote_apply")
    async with opened(own_server.server("lazy", allow_unsafe=False)) as store:
        setting = await store.write(lambda t: t.single("SHOW synchronous_commit")[0])
    assert setting == "remote_apply"  # stronger than what is needed


async def test_a_database_of_another_encoding_is_refused(
    own_server: postgresql.PostgresqlServer,
) -> None:
    own_server.run("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StoreError, match=r"the encoding .* SQL_ASCII: create it with `createdb"):
        await PostgresqlStore(own_server.server("ascii")).open()


async def test_a_database_without_a_schema_is_refused(
    own_server: postgresql.PostgresqlServer,
) -> None:
    own_server.run("CREATE DATABASE bare")
    own_server.run("DROP SCHEMA public", database="bare")
    with pytest.raises(StoreError, match=r"no schema .* search_path"):
        await PostgresqlStore(own_server.server("bare")).open()


async def test_a_server_that_is_too_old_is_refused(
    own_server: postgresql.PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one version is installed here, so the oldest one that is allowed is raised."""
    monkeypatch.setattr(postgresql_connection, "OLDEST_SERVER", 990_000)
    with pytest.raises(StoreError, match=r"PostgreSQL \d+: use 15 or newer"):
        await PostgresqlStore(own_server.server("postgres")).open()


async def test_nobody_answers() -> None:
    port = postgresql.free_port()
    with pytest.raises(StoreError, match=r"cannot connect to the database: .*refused"):
        await PostgresqlStore(Server(f"postgresql://127.0.0.1:{port}/x")).open()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada:secret@db.example.com/scopegate",
        "postgresql://ada@db.example.com/scopegate?password=secret",
        "postgres://:secret@/scopegate",
    ],
)
def test_a_password_in_the_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"leave the password out.* PGPASSWORD") as refused:
        location.parsed(address)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("address", ["", "sqlite:", "mysql://x", "x.db", "postgresql://[::1"])
def test_an_address_of_nothing_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"postgresql://"):
        location.parsed(address)


def test_addresses_are_read() -> None:
    assert location.parsed("sqlite:a/b.db") == Path("a/b.db")
    assert location.parsed("postgresql://h/d", allow_unsafe=True) == Server(
        "postgresql://h/d", True
    )


def test_a_missing_driver_is_named(tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ImportError('not there')")
    done = subprocess.run(
        [sys.executable, "-m", "scopegate", "serve", "--store", "postgresql:///x"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        timeout=PATIENCE,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Error: the PostgreSQL driver is not installed: run"
        " `pip install 'scopegate[postgresql]'` (not there)\n"
    )


@pytest.mark.lengthy
async def test_a_password_comes_from_the_environment_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    with postgresql.server_of_its_own() as secure:
        secure.stop()
        key, chain = secure.folder / "server.key", secure.folder / "server.crt"
        issued.private_key_pem.write_to_path(key)
        issued.cert_chain_pems[0].write_to_path(chain)
        secure.own(key, chain)
        root = tmp_path / "root.crt"
        authority.cert_pem.write_to_path(root)
        secure.parameters |= {"ssl": "on", "ssl_key_file": str(key), "ssl_cert_file": str(chain)}
        secure.start()
        secure.run("CREATE ROLE ada LOGIN SUPERUSER PASSWORD 'an open secret'")
        rules = secure.folder / "data" / "pg_hba.conf"
        rules.write_text("local all all trust\nhostssl all all all scram-sha-256\n")
        secure.run("SELECT pg_reload_conf()")
        address = f"postgresql://ada@127.0.0.1:{secure.port}/postgres"
        server = Server(f"{address}?sslmode=verify-full&sslrootcert={root}", True)
        with pytest.raises(StoreError, match=r"no password supplied"):
            await PostgresqlStore(server).open()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PGPASSWORD", "wrong secret")
            with pytest.raises(StoreError, match=r"password authentication failed") as refused:
                await PostgresqlStore(server).open()
            assert "secret" not in str(refused.value)
            patch.setenv("PGPASSWORD", "an open secret")
            async with opened(server) as store:
                row = await store.read(
                    lambda reader: reader.single(
                        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
                    )
                )
                await store.read(read_much)
            assert row["ssl"] == 1


@pytest.mark.skipif(postgresql.pooler() is None, reason="pgbouncer is not installed")
@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_a_pooler_is_refused_in_transaction_mode_alone(mode: str) -> None:
    server = postgresql.new_database()
    with postgresql.pooled(server, mode) as through:
        if mode == "session":
            async with opened(through):
                pass
            return
        with pytest.raises(StoreError, match=r"pooler in transaction mode"):
            await PostgresqlStore(through).open()


# A connection that is lost.


async def test_a_cut_connection_is_opened_again() -> None:
    """At once, if nothing had begun: the caller gets its result."""
    async with behind_proxy() as (store, proxy):
        for number in range(3):
            proxy.cut()
            await store.write(put(number))
        proxy.cut()
        assert await store.read(numbers) == [0, 1, 2]


async def test_while_there_is_no_server_calls_fail_at_once_and_reads_too() -> None:
    with structlog.testing.capture_logs() as logged:
        async with behind_proxy() as (store, proxy):
            proxy.refuses = True
            proxy.cut()
            for _ in range(2):  # the first may find the connection lost
                for attempt in (store.write(put(1)), store.read(numbers)):
                    with pytest.raises(StoreUnavailableError):
                        await attempt
            proxy.refuses = False
            await recovered(store, 2)
            assert await read_soon(store) == [2]
    assert "the store is unavailable" in [line["event"] for line in logged]
    assert "the connection to the database is open again" in [line["event"] for line in logged]


@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_commit_without_an_answer_is_answered_as_it_was_decided(where: str) -> None:
    async with behind_proxy() as (store, proxy):
        proxy.loses = where
        results = await asyncio.gather(
            *(store.write(put(x)) for x in range(3)), return_exceptions=True
        )
        # The first batch has one job or all of them; whichever it is, it has one answer.
        there = await store.read(numbers)
        assert there == [x for x, result in enumerate(results) if result == x]
        if where == "after":
            assert there == [0, 1, 2]
        else:
            assert isinstance(results[0], StoreUnavailableError)
            assert "nothing was changed" in str(results[0])


@pytest.mark.lengthy
async def test_a_server_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STALLED_SECONDS", 0.2)
    async with behind_proxy() as (store, proxy):
        await store.write(put(1))
        proxy.stall()
        with pytest.raises(StoreUnavailableError):
            await store.read(numbers)
        proxy.go_on()
        await recovered(store, 2)
        assert await read_soon(store) == [1, 2]


@pytest.mark.lengthy
async def test_reads_that_wait_for_others_are_not_taken_for_stalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "STALLED_SECONDS", 1.0)
    async with opened(postgresql.new_database()) as store:
        slow = [store.read(lambda reader: reader.single("SELECT pg_sleep(0.2)")) for _ in range(10)]
        assert len(await asyncio.gather(*slow)) == 10


async def test_the_end_does_not_wait_for_ever_for_the_outcome_of_a_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "GIVE_UP_SECONDS", 0.5)
    async with behind_proxy() as (store, proxy):
        proxy.loses = "after"
        writing = asyncio.create_task(store.write(put(1)))
        await proxy.has_lost.wait()
        proxy.refuses = True
        proxy.cut()
        async with asyncio.timeout(PATIENCE):
            while store.fault() is None:
                await asyncio.wait([writing], timeout=0.01)
        with pytest.raises(StoreUnavailableError):  # and what follows need not wait
            await store.write(put(2))
        await store.close()
        with pytest.raises(StoreError, match="whether it succeeded is unknown"):
            await writing


@pytest.mark.lengthy
async def test_a_gateway_that_was_stopped_does_not_keep_the_turn_to_write() -> None:
    server = postgresql.new_database()
    run_once(server, create)
    async with opened(server) as store:
        with contextlib.closing(
            postgresql_connection.PostgresqlConnection(server.url, allow_unsafe=True)
        ) as stopped:
            stopped.begin()  # and then it does nothing
            await store.write(put(1))
            with pytest.raises(StoreUnavailableError):
                stopped.execute("SELECT 1")


async def test_a_caller_that_is_cancelled_leaves_nothing_behind() -> None:
    async with behind_proxy() as (store, proxy):
        proxy.stall()
        reading = asyncio.create_task(store.read(numbers))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        proxy.go_on()
        await store.write(put(1))
        assert await store.read(numbers) == [1]


@pytest.mark.lengthy
@pytest.mark.parametrize("number", cases([signal.SIGINT, signal.SIGQUIT], [signal.SIGQUIT]))
async def test_a_server_is_started_again(number: int) -> None:
    """In order, and after a crash: what was acknowledged is there."""
    with postgresql.server_of_its_own() as cluster:
        server = cluster.server("postgres", allow_unsafe=False)
        async with opened(server) as store:
            await store.write(create)
            acknowledged = [await store.write(put(x)) for x in range(10)]
            cluster.stop(number)
            with pytest.raises(StoreUnavailableError):
                await store.write(put(100))
            cluster.start()
            await recovered(store, 10)
            assert await read_soon(store) == [*acknowledged, 10]


# SQL.


async def test_tables_that_changed_meanwhile_are_read_again() -> None:
    """As when a newer gateway has run its migrations."""
    server = postgresql.new_database()
    run_once(server, create)

    def rows(reader: Snapshot) -> list[dict[str, object]]:
        return [dict(row) for row in reader.all("SELECT * FROM t")]

    async with opened(server) as store:
        await store.write(put(1))
        assert await store.read(rows) == [{"x": 1}]
        with stores.connected(server) as other:
            other.execute("ALTER TABLE t ADD COLUMN y INTEGER DEFAULT 5")
        assert await store.read(rows) == [{"x": 1, "y": 5}]


async def test_statements_beyond_those_that_are_prepared_run_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgresql_connection, "MAX_PREPARED", 20)
    server = postgresql.new_database()
    async with opened(server) as store:

        def count_some(reader: Snapshot) -> list[int]:
            return [
                reader.single(
                    f"SELECT count(*) FROM users WHERE id IN ({', '.join('?' * count)})",  # noqa: S608
                    *range(count),
                )[0]
                for count in range(1, 60)
            ]

        assert await store.read(count_some) == [0] * 59


async def test_a_text_with_a_zero_character_is_refused() -> None:
    """The driver would cut it there."""
    server = postgresql.new_database()
    async with opened(server) as store:
        with pytest.raises(ValueError, match=r"zero character"):
            await store.write(lambda t: t.single("SELECT CAST(? AS TEXT)", "a\x00b"))
        with pytest.raises(TypeError, match=r"a object cannot be stored"):
            await store.write(lambda t: t.single("SELECT CAST(? AS TEXT)", object()))


def test_both_engines_have_the_same_tables(tmp_path: Path) -> None:
    def tables(connection: stores.Connection, sql: str) -> set[tuple[str, ...]]:
        return {tuple(row) for row in connection.execute(sql)}

    with stores.connected(postgresql.new_database()) as connection:
        here = tables(
            connection,
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema()",
        )
        indexes = tables(
            connection,
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
            " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        )
    stores.files.run_once(tmp_path / "x.db", lambda transaction: None)
    with stores.connected(tmp_path / "x.db") as connection:
        there = tables(
            connection,
            "SELECT tables.name, columns.name FROM sqlite_schema AS tables"
            " JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
            " AND tables.name NOT LIKE 'sqlite_%'",
        )
        indexes_there = tables(
            connection, "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        )
    assert here - {("schema_version", "version")} == there
    assert indexes == indexes_there


def test_a_command_writes_to_a_database_on_a_server() -> None:
    server = postgresql.new_database()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "scopegate", "user", "create"),
            *("--email", "ada@example.com", "--password", "long enough"),
            *("--store", server.url),
        ],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    row = opening.run_once(server, lambda t: t.single("SELECT count(*) FROM users"))
    assert row[0] == 1


async def test_a_notification_that_fails_after_its_commit_undoes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when the server's queue of notifications is full: the caller is answered as it was."""
    monkeypatch.setattr(postgresql_connection.PostgresqlConnection, "channel", "x; SELECT 1 / 0")
    server = postgresql.new_database()
    run_once(server, create)
    made = PostgresqlStore(server)
    monkeypatch.setattr(postgresql_connection.PostgresqlConnection, "listen", lambda self: None)
    await made.open()

    def job(transaction: Transaction) -> int:
        transaction.announce(Added(7))
        return put(7)(transaction)

    heard: list[int] = []
    made.listen(Added, lambda added: heard.append(added.number))
    assert await made.write(job) == 7
    assert heard == await made.read(numbers) == [7]
    await made.close()


def test_each_statement_on_a_connection_that_was_lost_says_so() -> None:
    """Also the second one, for which libpq has no result: jobs may have waited behind the first."""
    server = postgresql.new_database()
    connection = postgresql_connection.PostgresqlConnection(server.url, allow_unsafe=True)
    connection.execute("SELECT ?::bigint", (1,))
    connection.abort()
    for sql in ("SELECT ?::bigint", "SELECT ?::bigint", "SELECT ?::text"):
        with pytest.raises(StoreUnavailableError, match="was lost"):
            connection.execute(sql, (1,))
    with pytest.raises(StoreUnavailableError, match="was lost"):
        connection.simple(b"COMMIT")
    connection.close()


def test_statements_that_are_sent_together_say_so_too() -> None:
    server = postgresql.new_database()
    connection = postgresql_connection.PostgresqlConnection(server.url, allow_unsafe=True)
    queries = [("SELECT ?::bigint", number) for number in range(3)]
    connection.ask_ahead(queries)
    assert [connection.execute(sql, given).fetchall()[0][0] for sql, *given in queries] == [0, 1, 2]
    connection.execute_later("SELECT ?::bigint", (1,))
    connection.abort()
    with pytest.raises(StoreUnavailableError, match="was lost"):
        connection.flush()
    with pytest.raises(StoreUnavailableError, match="was lost"):
        connection.ask_ahead(queries)
    connection.close()
