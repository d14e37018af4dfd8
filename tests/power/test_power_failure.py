"""A loss of power at any moment loses nothing that was acknowledged, and leaves exact books."""

import asyncio
import contextlib
import functools
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from scopegate.market_start import check_feed
from scopegate.store.files import check_file, prepare
from scopegate.store.sqlite_connection import connect
from scopegate.store.transactions import Transaction
from tests import books
from tests.effort import cases, chosen
from tests.power import mutants, preloaded, recording
from tests.power.recording import Fact, Operation
from tests.power.states import KINDS, Disk, place
from tests.process.traders import Traders, begin_copying, begin_trading
from tests.served import Served, scopegate

pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.skipif(sys.platform != "linux", reason="the recorder is preloaded by Linux"),
    pytest.mark.skipif(bool(preloaded.missing()), reason=preloaded.missing()),
    pytest.mark.timeout(3_600),
]

STATES = chosen(150, 10_000)
"""States that are recovered."""
RESTARTS = chosen(2, 300)
"""States on which the whole gateway is started."""
SECOND_LOSSES = chosen(1, 50)
"""Starts of these during which the power fails again."""
REPLIES = chosen(600, 3_000)
"""Acknowledged trades in a recording."""
EMAIL = "power@example.com"
OPTIONS = ("--seed", "power", "--start", "2026-01-01T12:00", "--speed", "50")


@dataclass(frozen=True)
class Recorded:
    """A life of a gateway that ended without a warning."""

    db: Path
    before: dict[str, bytes]
    """The files at its start."""
    operations: list[Operation]
    folder: Path
    had_writer: bool
    """Whether its writer process has run."""

    @functools.cached_property
    def facts(self) -> list[Fact]:
        """What was acknowledged meanwhile."""
        return list(recording.facts(self.operations))


def files_of(db: Path) -> dict[str, bytes]:
    """The present content of the files of a database."""
    names = [str(db), f"{db}-wal", f"{db}-journal"]
    return {name: Path(name).read_bytes() for name in names if Path(name).exists()}


def has_children(gateway: Served) -> bool:
    """Whether it has a writer process."""
    number = gateway.process.pid
    return bool(Path(f"/proc/{number}/task/{number}/children").read_text())


async def traded(gateway: Served, traders: Callable[[Callable[[], None]], Traders]) -> bool:
    """Trade until there are enough replies; then the gateway is killed.

    Return whether its writer process has run.
    """
    enough = asyncio.Event()
    replies = 0

    def acknowledged() -> None:
        nonlocal replies
        replies += 1
        if replies >= REPLIES:
            enough.set()

    trading = traders(acknowledged)
    rich, poor = trading.told.tokens

    async def keep(job: Callable[..., Awaitable[None]], *arguments: object) -> None:
        with contextlib.suppress(ConnectionError):
            async with gateway.connected() as client:
                await job(client, *arguments)

    async with AsyncExitStack() as stack:
        jobs = [
            *(keep(trading.buy_ticks, rich, 1 + n / 4) for n in range(30)),
            *(keep(trading.buy_ticks, poor, 3 + n) for n in range(2)),
            keep(trading.multiply, rich),
            keep(trading.sell_early, rich),
            keep(trading.accumulate, rich),
        ]
        tasks = [asyncio.create_task(job) for job in jobs]

        async def ended() -> None:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        stack.push_async_callback(ended)
        async with asyncio.timeout(60):
            await enough.wait()
        had_writer = has_children(gateway)
        gateway.kill()
    return had_writer


def create_user(gateway: Served, environment: Mapping[str, str]) -> None:
    """Create a user from the command line, which writes to the same file."""
    options = ("--email", EMAIL, "--password", "a long password of theirs")
    done = scopegate(
        *("user", "create", *options, "--db", str(gateway.db)),
        folder=gateway.folder,
        settings=environment,
    )
    assert done.returncode == 0, done.stderr


@asynccontextmanager
async def recorded(folder: Path, *program: str) -> AsyncIterator[Recorded]:
    """Record a gateway that trades until it is killed."""
    gateway = Served(folder, *OPTIONS)
    with gateway:
        told = await asyncio.to_thread(begin_trading, gateway)
        await begin_copying(gateway, told)
        assert gateway.stop() == 0
    before, log = files_of(gateway.db), folder / "log"
    environment = recording.variables(gateway.db, log)
    gateway.settings = environment
    gateway.program = program or None
    with gateway:
        if not program:  # a mutant may keep the database locked
            await asyncio.to_thread(create_user, gateway, environment)
        had_writer = await traded(
            gateway, lambda acknowledged: Traders(told, random.Random(1), acknowledged)
        )
    yield Recorded(gateway.db, before, recording.operations(log), folder, had_writer)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def life(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Recorded]:
    async with recorded(tmp_path_factory.mktemp("power")) as made:
        yield made


def problems(db: Path, expected: list[Fact]) -> Iterator[str]:
    """Recover a database as a start does; what is wrong with it then."""
    try:
        check_file(db)
        prepare(db, check_feed, {})
    except Exception as problem:  # noqa: BLE001 - whatever it is, the state is lost
        yield f"not recovered: {problem!r}"
        return
    with contextlib.closing(connect(db)) as connection:
        [found] = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            yield str(found)
        yield from books.mistakes(Transaction(connection))
        contracts = {
            row["id"]: row for row in connection.execute("SELECT * FROM contracts").fetchall()
        }
        accounts = {row[0] for row in connection.execute("SELECT loginid FROM accounts")}
    for _, what, about, entry in expected:
        if what == "account":
            if about not in accounts:
                yield f"the account {about} is not there"
            continue
        row = contracts.get(int(about))
        if row is None or row["bought_by" if what == "buy" else "sold_by"] != entry:
            yield f"the {what} of contract {about} is not there"


def losses(
    life: Recorded, count: int, chance: random.Random
) -> Iterator[tuple[int, str, dict[str, bytes]]]:
    """States after a loss of power: the place in the recording, of which kind, and the files."""
    sent = {fact.place for fact in life.facts}
    places = [
        number
        for number, operation in enumerate(life.operations)
        if operation.kind in "be" or number in sent
    ]
    wanted: dict[int, list[str]] = {}
    for number in range(count):
        kinds = wanted.setdefault(places[chance.randrange(len(places))], [])
        kinds.append(KINDS[number % len(KINDS)])
    disk = Disk(life.before)
    for number, operation in enumerate(life.operations):
        disk.do(operation)
        for kind in wanted.get(number, ()):
            yield number, kind, disk.after_loss(kind, chance)


def found_in(life: Recorded, count: int, folder: Path) -> tuple[int, list[str]]:
    """Recover so many states; how many, and what is wrong with the first that is."""
    facts = life.facts
    recovered = 0
    for number, kind, files in losses(life, count, random.Random(2)):
        target = folder / "lost.db"
        place(files, life.db, target)
        wrong = list(problems(target, [fact for fact in facts if fact.place <= number]))
        for each in folder.glob("lost.db*"):
            each.unlink()
        recovered += 1
        if wrong:
            return recovered, [f"{kind} at {number}: {each}" for each in wrong]
    return recovered, []


@pytest.mark.lengthy
def test_the_recording_is_complete(life: Recorded) -> None:
    disk = Disk(life.before)
    for operation in life.operations:
        disk.do(operation)
    assert disk.written().keys() >= {str(life.db), f"{life.db}-wal"}
    for name, content in disk.written().items():
        if not name.endswith("-shm"):  # memory that processes share
            assert Path(name).read_bytes() == content, name
    # The log was written back into the file, and the writer process has written.
    assert {operation.name for operation in life.operations if operation.kind == "e"} >= {
        str(life.db),
        f"{life.db}-wal",
    }
    assert life.had_writer
    assert {fact.what for fact in life.facts} >= {"buy", "sell", "account"}


def test_no_loss_of_power_loses_what_was_acknowledged(life: Recorded, tmp_path: Path) -> None:
    recovered, wrong = found_in(life, STATES, tmp_path)
    assert wrong == []
    assert recovered == STATES


@pytest.mark.lengthy
@pytest.mark.parametrize("mutant", cases(mutants.MUTANTS, ["never_synced"]))
async def test_it_finds_a_gateway_that(mutant: str, tmp_path: Path) -> None:
    program = (sys.executable, str(Path(mutants.__file__)), mutant)
    (tmp_path / "states").mkdir()
    async with recorded(tmp_path, *program) as life:
        _, wrong = found_in(life, 400, tmp_path / "states")
    assert wrong


@pytest.mark.lengthy
def test_a_gateway_starts_after_a_loss_and_after_one_while_it_starts(
    life: Recorded, tmp_path: Path
) -> None:
    facts, chance = life.facts, random.Random(3)
    for round_, (number, kind, files) in enumerate(losses(life, RESTARTS, chance)):
        folder = tmp_path / str(round_)
        folder.mkdir()
        expected = [fact for fact in facts if fact.place <= number]
        gateway = Served(folder, *OPTIONS)
        place(files, life.db, gateway.db)
        before, log = files_of(gateway.db), folder / "log"
        gateway.settings = recording.variables(gateway.db, log)
        with gateway:
            if round_ >= SECOND_LOSSES:
                assert gateway.stop() == 0
                assert "Traceback" not in gateway.stderr
        assert list(problems(gateway.db, expected)) == [], f"{kind} at {number}"
        if round_ < SECOND_LOSSES:
            again = Recorded(gateway.db, before, recording.operations(log), life.folder, False)
            for place_, again_kind, left in losses(again, 20, chance):
                target = folder / "again.db"
                place(left, gateway.db, target)
                assert list(problems(target, expected)) == [], f"{again_kind} at {place_}"
                for each in folder.glob("again.db*"):
                    each.unlink()
