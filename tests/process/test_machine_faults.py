"""The gateway's promises when its machine fails: a full disk, a damaged file, a stop.

A full disk is a small file system of the gateway's own, in a mount namespace, which the test fills
and frees through `/proc/PID/root`. A limit of the size of files is another way for writes to fail.
"""

import asyncio
import contextlib
import functools
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from scopegate.store import files
from scopegate.store.errors import StoreError
from tests import stores
from tests.effort import cases
from tests.incubator import INTERPRETER
from tests.served import Served, SocketClient, environment, scopegate

pytestmark = pytest.mark.sqlite

SIZE = 3 * 1024 * 1024
SPEEDY = ("--seed", "faults", "--start", "2026-03-01T10:00", "--speed", "20")
RISE = {
    "basis": "stake",
    "amount": 1,
    "contract_type": "CALL",
    "currency": "USD",
    "symbol": "1HZ100V",
    "duration": 30,
    "duration_unit": "s",
}


@functools.cache
def why_no_mounts() -> str:
    """Why no file system can be mounted here; empty where one can."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return "there is no program unshare"
    tried = subprocess.run(
        [unshare, "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
        check=False,
        capture_output=True,
        text=True,
    )
    return tried.stderr.strip() if tried.returncode else ""


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of files and early signals would hit what measures coverage in these processes."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)


class OnSmallDisk(Served):
    """A gateway whose folder is a small file system."""

    log_too = False
    """Whether its log is on that file system as well."""

    def start(self) -> None:
        where = f'mount -t tmpfs -o size={SIZE} none "{self.folder}" && exec "$@"'
        if self.log_too:
            where += f' 2>"{self.folder}/stderr.txt"'
        namespace = ("unshare", "--user", "--map-root-user", "--mount")
        self.program = (*namespace, "sh", "-c", where, "sh", *INTERPRETER)
        super().start()

    @property
    def inside(self) -> Path:
        """The folder as the gateway sees it."""
        return Path(f"/proc/{self.process.pid}/root{self.folder}")

    def fill(self) -> None:
        """Write until nothing more can be written."""
        with (self.inside / "filler").open("ab", buffering=0) as filler:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(b"x" * size)

    def free(self) -> None:
        (self.inside / "filler").unlink()


class WithLogOnSmallDisk(OnSmallDisk):
    log_too = True


class UnderLimit(Served):
    """A gateway that can be kept from letting its files grow."""

    def fill(self) -> None:
        size = self.db.with_name("scopegate.db-wal").stat().st_size
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def free(self) -> None:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, unlimited)


@pytest.fixture(params=[OnSmallDisk, UnderLimit])
def fillable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param is OnSmallDisk and (reason := why_no_mounts()):
        pytest.skip(f"no file system can be mounted: {reason}")
    with request.param(tmp_path, *SPEEDY) as running:
        yield running


def buying(**more: Any) -> dict[str, Any]:
    return {"buy": "1", "price": 10, "parameters": {**RISE, **more}}


def send(client: SocketClient, request: dict[str, Any]) -> None:
    client.send_text(orjson.dumps(request))


async def refused_for_want_of_space(client: SocketClient) -> None:
    """Buy until nothing more can be stored."""
    while True:
        reply = await client.ask(buying())
        if "error" in reply:
            assert reply["error"]["code"] == "StorageUnavailable"
            return


async def sales(client: SocketClient, contracts: set[int]) -> None:
    """Wait until each of these contracts has been paid out, by the stream of transactions."""
    while contracts:
        told = (await client.next())["transaction"]
        if told.get("action") == "sell":
            contracts.discard(told["contract_id"])


@contextlib.asynccontextmanager
async def trading(served: Served) -> AsyncIterator[SocketClient]:
    async with served.connected() as client:
        await client.authorize(served.token)
        yield client


@pytest.mark.lengthy
async def test_contracts_settle_once_a_full_disk_with_the_log_on_it_is_freed(
    tmp_path: Path,
) -> None:
    if reason := why_no_mounts():
        pytest.skip(f"no file system can be mounted: {reason}")
    with WithLogOnSmallDisk(tmp_path, *SPEEDY) as served:
        async with trading(served) as client, trading(served) as watcher:
            await watcher.ask({"transaction": 1, "subscribe": 1})
            bought = [(await client.ask(buying()))["buy"] for _ in range(24)]
            ends = max(each["start_time"] for each in bought) + 40
            served.fill()
            while (await client.ask({"time": 1}))["time"] < ends:
                assert (await client.ask(buying())).get("error", {}).get("code") in (
                    None,
                    "StorageUnavailable",
                )
            await refused_for_want_of_space(client)
            served.free()
            async with asyncio.timeout(30):
                await sales(watcher, {each["contract_id"] for each in bought})
            while "error" in await client.ask(buying()):
                pass
        assert await asyncio.to_thread(served.stop) == 0


async def test_a_full_disk_has_its_error_code_and_reads_go_on(fillable: Any) -> None:
    async with trading(fillable) as client:
        for _ in range(5):
            await client.ask(buying())
        fillable.fill()
        await refused_for_want_of_space(client)
        began = time.monotonic()
        for _ in range(45):
            assert await client.refused(buying()) == "StorageUnavailable"
        assert (
            await client.refused({"api_token": 1, "new_token": "x", "new_token_scopes": ["read"]})
            == "StorageUnavailable"
        )
        for request in (
            {"balance": 1},
            {"statement": 1},
            {"portfolio": 1},
            {"api_token": 1},
            {"login_history": 1},
            {"ticks_history": "R_100", "end": "latest", "count": 10},
            {"proposal": 1, **RISE},
        ):
            assert "error" not in await client.ask(request)
        async with trading(fillable) as other:
            assert "error" not in await other.ask({"account_list": 1})
        lines = fillable.stderr.splitlines()
        assert 1 <= len(lines) <= time.monotonic() - began + 2
        assert all("the store is unavailable" in line for line in lines)
        fillable.free()
        while "error" in await client.ask(buying()):
            pass
    assert await asyncio.to_thread(fillable.stop) == 0
    assert "Traceback" not in fillable.stderr


async def test_a_stop_on_a_full_disk_is_a_stop(fillable: Any) -> None:
    async with trading(fillable) as client:
        fillable.fill()
        await refused_for_want_of_space(client)
    assert await asyncio.to_thread(fillable.stop) == 0
    assert "Traceback" not in fillable.stderr


# A damaged file.


def damage(db: Path, name: str) -> None:
    """Overwrite the first page of a table or an index with letters."""
    with contextlib.closing(sqlite3.connect(db)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [page] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,))
        [size] = connection.execute("PRAGMA page_size").fetchone()
    with db.open("r+b") as file:
        file.seek((page[0] - 1) * size)
        file.write(b"x" * size)


@pytest.mark.parametrize(
    "name",
    cases(["meta", "contracts", "open_contracts", "ledger_of_account"], ["meta", "contracts"]),
)
async def test_a_damaged_database_is_refused_with_what_to_do(served: Served, name: str) -> None:
    async with trading(served) as client:
        await client.ask(buying())
        copy = served.folder / "backup.db"
        await asyncio.to_thread(served.command, "backup", str(copy))
    assert served.stop() == 0
    damage(served.db, name)
    tried = await asyncio.to_thread(
        lambda: scopegate("serve", "--port", "0", *stores.option(served.db), folder=served.folder)
    )
    assert (tried.returncode, tried.stdout) == (1, "")
    assert tried.stderr.count("\n") == 1, tried.stderr
    assert "is damaged" in tried.stderr
    assert "run `scopegate restore BACKUP`" in tried.stderr
    assert served.command("restore", str(copy)).splitlines()[0] == f"restored  {served.db}"
    served.start()
    async with trading(served) as client:
        assert "error" not in await client.ask(buying())


@pytest.mark.lengthy
async def test_a_backup_that_was_made_amid_trading_is_restored_elsewhere_and_served(
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    copy = tmp_path / "backup.db"
    is_copied = asyncio.Event()

    async def trade(client: SocketClient, bought: list[int]) -> None:
        while not is_copied.is_set():
            reply = await client.ask(buying())
            if "error" not in reply:  # else there are 100 open contracts
                bought.append(reply["buy"]["contract_id"])

    with Served(tmp_path, *SPEEDY) as served:
        account = ("--loginid", served.loginids[0], "--scopes", "read,trade")
        token = await asyncio.to_thread(
            served.command, "token", "create", *account, "--name", "Before"
        )
        bought: list[int] = []
        async with trading(served) as client, asyncio.TaskGroup() as tasks:
            bought.append((await client.ask(buying()))["buy"]["contract_id"])
            tasks.create_task(trade(client, bought))
            known = set(bought)
            done = await asyncio.to_thread(served.command, "backup", str(copy))
            is_copied.set()
        assert done == str(copy)
        assert copy.stat().st_mode & 0o777 == 0o600
        again = scopegate("backup", str(copy), *stores.option(served.db), folder=tmp_path)
        assert (again.returncode, again.stderr.count("already")) == (1, 1)
    restored = Served(elsewhere)
    assert restored.command("restore", str(copy)) == f"restored  {restored.db}"
    created = sorted(path.name for path in elsewhere.iterdir())
    assert created == ["scopegate.db", "scopegate.db-lock"]
    restored.command("check")  # which ends with an error if anything is wrong
    assert known <= booked(restored.db) == booked(copy) <= set(bought)
    restored.options = SPEEDY
    with restored:
        async with restored.connected() as client:
            await client.authorize(token)
            assert "error" not in await client.ask(buying())
        assert await asyncio.to_thread(restored.stop) == 0
    restored.command("check")


@pytest.mark.lengthy
async def test_a_backup_is_restored_and_what_was_there_is_kept(served: Served) -> None:
    copy = served.folder / "backup.db"
    option = stores.option(served.db)
    async with trading(served) as client:
        first = (await client.ask(buying()))["buy"]["contract_id"]
        await asyncio.to_thread(served.command, "backup", str(copy))
        second = (await client.ask(buying()))["buy"]["contract_id"]
        refused = await asyncio.to_thread(
            lambda: scopegate("restore", str(copy), *option, folder=served.folder)
        )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "another gateway is serving the database" in refused.stderr
    served.kill()  # so that the second contract is in the log alone
    copy.chmod(0o400)
    _, kept = (line.split()[-1] for line in served.command("restore", str(copy)).splitlines())
    assert booked(served.db) == booked(copy) == {first}
    assert booked(Path(kept)) == {first, second}
    served.start()
    assert booked(served.db) == {first}


async def test_a_log_of_another_database_is_not_read_into_a_backup(served: Served) -> None:
    copy = served.folder / "backup.db"
    await asyncio.to_thread(served.command, "backup", str(copy))
    async with trading(served) as client:
        await client.ask(buying())
    served.kill()
    served.db.unlink()  # and its log is still there
    served.command("restore", str(copy))
    assert booked(served.db) == booked(copy) == set()


def test_a_restore_that_fails_changes_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = served.folder / "backup.db"
    served.command("backup", str(copy))
    served.kill()
    before = {path.name: path.read_bytes() for path in served.folder.glob("scopegate.db*")}

    def failing(source: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "replace", failing)
    with pytest.raises(StoreError, match="no space left"):
        files.restore(served.db, copy)
    before.pop("scopegate.db-shm", None)  # memory that processes share
    assert {path.name: path.read_bytes() for path in served.folder.glob("scopegate.db*")} == before


def test_a_backup_deletes_nothing_that_another_program_has_put_in_its_place(
    served: Served,
) -> None:
    assert served.stop() == 0
    # It is not seen before the new file is created, like the file of a backup at the same moment.
    target = served.folder / "backup.db"
    target.symlink_to(served.folder / "elsewhere.db")
    done = scopegate("backup", str(target), *stores.option(served.db), folder=served.folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "File exists" in done.stderr
    assert target.is_symlink()
    assert not target.exists()


def test_a_leftover_of_a_restore_is_not_restored_nor_deleted(served: Served) -> None:
    assert served.stop() == 0
    leftover = served.db.with_name(f"{served.db.name}-restoring")
    shutil.copy(served.db, leftover)
    done = scopegate("restore", leftover.name, *stores.option(served.db), folder=served.folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "was left by a restore that did not end: name the backup" in done.stderr
    assert leftover.read_bytes() == served.db.read_bytes()


def test_a_restore_that_is_refused_deletes_nothing_of_one_in_progress(served: Served) -> None:
    backup = served.folder / "backup.db"
    served.command("backup", str(backup))
    copy = served.db.with_name(f"{served.db.name}-restoring")  # of the process that has the lock
    copy.write_text("being written")
    done = scopegate("restore", str(backup), *stores.option(served.db), folder=served.folder)
    assert done.returncode == 1
    assert "another gateway is serving" in done.stderr
    assert copy.read_text() == "being written"


def test_what_is_no_backup_is_not_restored(served: Served) -> None:
    assert served.stop() == 0
    before = served.db.read_bytes()
    (served.folder / "text").write_text("no database" * 100)
    damaged = served.folder / "damaged.db"
    damaged.write_bytes(before)
    damage(damaged, "ledger_of_account")
    with contextlib.closing(sqlite3.connect(served.folder / "other.db")) as other:
        other.execute("CREATE TABLE other (id)")
    for name, why in (
        ("none.db", "there is no backup"),
        ("text", "the backup text is damaged (file is not a database): use an older one"),
        ("damaged.db", "the backup damaged.db is damaged"),
        ("other.db", "is no database of a gateway"),
    ):
        done = scopegate("restore", name, *stores.option(served.db), folder=served.folder)
        assert (done.returncode, done.stdout) == (1, ""), name
        assert why in done.stderr
        assert "Traceback" not in done.stderr
    assert served.db.read_bytes() == before
    assert [path.name for path in served.folder.glob("scopegate.db*") if "wal" in path.name] == []


def commits_noted(db: Path) -> int:
    """How many commits the file itself is known to need; 0 if it needs no log."""
    try:
        return int(os.getxattr(db, "user.scopegate.commits"))
    except OSError:
        return 0


@functools.cache
def why_no_attributes() -> str:
    """Why files have no extended attributes here; empty where they have."""
    with tempfile.NamedTemporaryFile() as file:
        try:
            os.setxattr(file.name, "user.test", b"1")
        except (OSError, AttributeError) as problem:
            return str(problem)
    return ""


@pytest.mark.skipif(bool(why_no_attributes()), reason=why_no_attributes())
@pytest.mark.parametrize("workers", cases(["1", "2"], ["1"]))
async def test_a_missing_log_is_noticed(tmp_path: Path, workers: str) -> None:
    """Without it the file is valid, and lacks what was acknowledged last."""
    served = Served(tmp_path, "--seed", "tests", "--workers", workers)
    with served:
        async with trading(served) as client:
            bought = {(await client.ask(buying()))["buy"]["contract_id"] for _ in range(50)}
            async with asyncio.timeout(30):
                while (noted := commits_noted(served.db)) < 50:
                    await client.ask({"ping": 1})
        served.kill()
        log, elsewhere = f"{served.db}-wal", str(tmp_path / "elsewhere")
        os.rename(log, elsewhere)
        option = stores.option(served.db)
        for command in (
            ("serve", "--port", "0", *option),
            ("account", "list", *option),
            ("backup", "copy.db", *option),
            ("store", "copy", f"sqlite:{served.db}", "sqlite:other.db"),
        ):
            tried = await asyncio.to_thread(scopegate, *command, folder=tmp_path)
            assert (tried.returncode, tried.stdout) == (1, ""), command
            assert tried.stderr.count("\n") == 1, tried.stderr
            assert f"{log} is missing" in tried.stderr
            assert "scopegate restore BACKUP" in tried.stderr
        # It may also be that nobody has it any more: the file itself is then the backup.
        copy = str(tmp_path / "copy-of-file.db")
        shutil.copyfile(served.db, copy)
        os.rename(elsewhere, log)
        served.start()
        assert bought <= booked(served.db)
        served.kill()
        os.remove(log)
        served.command("restore", str(served.db))
        served.start()
        served.kill()
        served.command("restore", copy)
        served.start()
        # Another program that closes the database leaves no log, and nothing is missing.
        served.kill()
        with contextlib.closing(sqlite3.connect(served.db)) as other:
            other.execute("SELECT count(*) FROM meta").fetchone()
        assert "scopegate.db-wal" not in os.listdir(tmp_path)
        served.start()
        assert served.stop() == 0
        if workers == "1":  # of several, another one may close the file last
            assert commits_noted(served.db) == 0  # nothing needs the log any more
        assert noted > 0


def test_no_backup_is_made_of_a_damaged_database(served: Served) -> None:
    copy = served.folder / "backup.db"
    assert served.stop() == 0
    damage(served.db, "ledger_of_account")
    done = scopegate("backup", str(copy), *stores.option(served.db), folder=served.folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is damaged" in done.stderr
    assert not copy.exists()


async def held(client: SocketClient) -> list[int]:
    """The account's open contracts."""
    reply = await client.ask({"portfolio": 1})
    return [each["contract_id"] for each in reply["portfolio"]["contracts"]]


@pytest.mark.lengthy
async def test_a_contract_that_cannot_be_settled_is_set_aside(tmp_path: Path) -> None:
    with Served(tmp_path, *SPEEDY) as served:
        async with trading(served) as client:
            bought = [(await client.ask(buying()))["buy"] for _ in range(3)]
            stuck = bought[1]["contract_id"]
            refuse(served.db, stuck)
            async with asyncio.timeout(30):
                while await held(client) != [stuck]:
                    pass
            # To wait for it is to wait for ever.
            assert (await client.ask({"sell_expired": 1}))["sell_expired"]["count"] >= 0
        assert await asyncio.to_thread(served.stop) == 0
        served.start()
        async with trading(served) as client:
            assert await held(client) == [stuck]
        assert await asyncio.to_thread(served.stop) == 0
        lines = served.stderr.splitlines()
        assert len(lines) == 2  # once for each start
        for line in lines:
            assert "set aside" in line
            assert f"contracts={stuck}" in line


def refuse(db: Path, contract_id: int) -> None:
    """Make every change of this contract's row fail, as a part of the file that is broken would."""
    with contextlib.closing(sqlite3.connect(db)) as connection:
        connection.execute(
            "CREATE TRIGGER broken BEFORE UPDATE OF status ON contracts"
            f" WHEN OLD.id = {contract_id} BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )
        connection.commit()


# A stop.


def test_it_serves_also_where_it_can_print_nothing(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        serving = subprocess.Popen(
            [*INTERPRETER, "serve", "--port", "0", "--seed", "tests"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment(),
        )
    try:
        assert serving.stderr is not None
        told = serving.stderr.readline()
        assert "cannot write to standard output" in told
        serving.send_signal(signal.SIGTERM)
        _, rest = serving.communicate(timeout=30)
    finally:
        serving.kill()
        serving.wait()
    assert (serving.returncode, rest) == (0, "")


def catches(pid: int, number: int) -> bool:
    """Whether the process has a handler for this signal."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_start_that_waits(served: Served, number: int) -> None:
    assert served.stop() == 0
    with contextlib.closing(sqlite3.connect(served.db, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # another process writes, and does not end
        starting = subprocess.Popen(
            [*INTERPRETER, "serve", "--port", "0", *stores.option(served.db)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=served.folder,
        )
        try:
            while not catches(starting.pid, signal.SIGTERM):
                os.sched_yield()
            starting.send_signal(number)
            told, errors = starting.communicate(timeout=30)
        finally:
            starting.kill()
            starting.wait()
    assert (starting.returncode, told) == (0, "")
    assert "Traceback" not in errors


async def stopped_amid(served: Served, clients: list[SocketClient]) -> list[dict[str, Any]]:
    """Ask the gateway to stop once one message has come; every message until its goodbye."""
    first = await clients[0].next()
    assert await asyncio.to_thread(served.stop) == 0
    messages = [first]
    for client in clients:
        assert await client.ended() == (1012, "the gateway is shutting down")
        messages += client.received
    return messages


def booked(db: Path) -> set[int]:
    """The contracts in the database."""
    with contextlib.closing(sqlite3.connect(db)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM contracts")}


async def test_a_stop_answers_what_was_received(served: Served) -> None:
    async with trading(served) as client:
        for number in range(40):
            send(client, {**buying(), "req_id": 1000 + number})
        messages = await stopped_amid(served, [client])
    assert [message["req_id"] for message in messages] == list(range(1000, 1040))
    bought = {message["buy"]["contract_id"] for message in messages}
    assert len(bought) == 40
    assert booked(served.db) == bought


async def test_a_stop_ends_streams_with_an_error(served: Served) -> None:
    async with trading(served) as client:
        await client.ask({"balance": 1, "subscribe": 1, "passthrough": {"mine": 7}})
        send(client, buying())
        *_, last = await stopped_amid(served, [client])
    assert last["error"]["code"] == "ServiceRestart"
    assert (last["msg_type"], last["passthrough"]) == ("balance", {"mine": 7})


async def test_of_a_thousand_in_flight_all_that_were_bought_are_answered(served: Served) -> None:
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(trading(served)) for _ in range(20)]
        for client in clients:
            for _ in range(50):
                send(client, buying())
        messages = await stopped_amid(served, clients)
    bought = {message["buy"]["contract_id"] for message in messages if "buy" in message}
    assert booked(served.db) == bought
    # An account has at most a hundred open.
    refused = [message["error"]["code"] for message in messages if "error" in message]
    assert len(bought) == 100
    assert set(refused) == {"OpenPositionLimitExceeded"}


async def connects(url: str) -> bool:
    """Whether somebody still listens there."""
    try:
        _, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # it waited to be accepted when the listener was closed
        return True
    writer.close()
    return True


async def test_a_stop_takes_no_new_connection_and_still_answers(served: Served) -> None:
    async with trading(served) as client, served.connected() as there:
        with contextlib.closing(sqlite3.connect(served.db, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # what was received cannot be finished yet
            send(client, buying())
            await there.ask({"ping": 1})  # what was sent before is received by now
            served.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                while await connects(served.url):  # the signal may not have been handled yet
                    pass
            connection.execute("ROLLBACK")
        bought = (await client.next())["buy"]["contract_id"]
        assert booked(served.db) == {bought}
        for each in (client, there):
            assert await each.ended() == (1012, "the gateway is shutting down")
    assert await asyncio.to_thread(served.process.wait, 30) == 0
    served.stop()


async def test_a_second_signal_ends_it_at_once(served: Served) -> None:
    async with trading(served) as client, served.connected() as there:
        with contextlib.closing(sqlite3.connect(served.db, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # what was received cannot be finished
            send(client, buying())
            await there.ask({"ping": 1})  # what was sent before is received by now
            served.process.send_signal(signal.SIGTERM)
            while catches(served.process.pid, signal.SIGTERM):
                os.sched_yield()
            served.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(served.process.wait, 10) == -signal.SIGTERM
        assert (await client.ended())[0] == 1006  # it was still answering, and said no goodbye
    served.stop()
