"""What tests share: a world in memory, the same over sockets, and a gateway in its own process."""

import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from coverage import Coverage
from hypothesis import settings

from scopegate import testing
from scopegate.commands.serve import SWITCH_INTERVAL
from scopegate.composition import declared
from scopegate.gateway.access import passwords
from scopegate.schemas.published import PUBLISHED
from scopegate.testing import Client, World
from tests import incubator, postgresql, stores
from tests.effort import LONG
from tests.leftovers import (  # noqa: F401 - fixtures and hooks
    no_process_is_left,
    no_process_is_left_by_fixtures,
    pytest_collection_finish,
    pytest_runtest_makereport,
    pytest_runtest_teardown,
)
from tests.memory_folder import memory
from tests.served import Served, over_sockets

MEASURED = re.compile(
    r"/program/|/monitoring/|/store/test_copying|/process/test_(check|commands|doctor|gateways"
    r"|machine_faults|market|recording|serve|start_up|tls|wall_clock|workers|writer_process)\.py$"
)
"""Tests whose gateways count for the coverage; others start such processes, too."""
STATE_MACHINE = re.compile(r"_machine\.py$")
"""Slow tests that count for the coverage; the others repeat the same lines very often."""


def pytest_configure() -> None:
    """Let temporary folders be in memory: a disk that stalls makes tests fail that are fast."""
    if (folder := memory()) is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))


@pytest.fixture(autouse=True, scope="session")
def _incubator() -> Iterator[None]:
    with incubator.in_use():
        yield


@pytest.fixture(autouse=True, scope="module")
def _processes_without_coverage(request: pytest.FixtureRequest) -> Iterator[None]:
    """Do not trace processes that take nothing but time: `make test COVERAGE=1` has enough."""
    with pytest.MonkeyPatch.context() as patch:
        if not MEASURED.search(request.path.as_posix()):
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture(autouse=True, scope="module")
def _databases_of_a_file() -> Iterator[None]:
    """Drop the databases of a file's tests after the last one."""
    yield
    postgresql.drop_unused()


@pytest.fixture(autouse=True)
def _quick_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords as weakly as argon2 can: a hash of the usual cost takes half a second of CPU.

    Gateways in processes of their own hash as usual, and so do tests with the marker.
    """
    if request.node.get_closest_marker("usual_hashes") is None:
        weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        monkeypatch.setattr(passwords, "_hasher", lambda: weak)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Do not trace slow tests either, for they take longer still then."""
    stopped: list[Coverage] = []
    if item.get_closest_marker("slow") and not STATE_MACHINE.search(item.path.as_posix()):
        while (running := Coverage.current()) is not None:  # a worker of pytest-xdist has two
            running.stop()
            stopped.append(running)
    try:
        return (yield)
    finally:
        for each in reversed(stopped):
            each.start()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A gateway in memory whose clock the test moves."""
    async with testing.world() as made:
        yield made


@asynccontextmanager
async def limited(**settings: Any) -> AsyncIterator[World]:
    """A world under some limits whose clock stands still: no minute ends amid a test."""
    async with testing.world(**settings) as made:
        connect: Any = made.gateway.connect
        connect.limiter._monotonic = lambda: 1_000.0
        yield made


@dataclass
class Connected:
    """A world, and how its clients connect: the same story is told in memory and over sockets."""

    world: World
    connect: Callable[..., Awaitable[Client]]
    over_sockets: bool


@pytest.fixture(params=["memory", "socket"])
async def connected(request: pytest.FixtureRequest) -> AsyncIterator[Connected]:
    async with testing.world() as world:
        if request.param == "memory":

            async def connect(app_id: int | str = 1089) -> Client:
                return world.connect(app_id=app_id)

            yield Connected(world, connect, over_sockets=False)
        else:
            async with over_sockets(world) as connect_socket:
                yield Connected(world, connect_socket, over_sockets=True)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """`scopegate serve` in its own process, with a fixed seed."""
    with Served(tmp_path, "--seed", "tests") as running:
        yield running


settings.register_profile("default", max_examples=100, deadline=None)
settings.register_profile("quick", max_examples=30, deadline=None)
settings.register_profile("long", max_examples=30_000, deadline=None)
settings.load_profile("default")


stores.move()
if stores.ON_POSTGRESQL:
    # As `serve` does. A thread of the store reads what other gateways have committed, and must get
    # its turns beside clients in the same process.
    sys.setswitchinterval(SWITCH_INTERVAL)

FIRST = (
    "browser",
    "process",
    "deploy",
    "simulation",
    "program",
    "clients",
    "exchange",
    "power",
    "hostile",
    "conformance",
    "monitoring",
)
"""Folders whose files take long: they come first, so that no worker is left with one at the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run folders in the order of `FIRST`, then the others; leave the proofs to long runs."""

    def place(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return FIRST.index(folder) if folder in FIRST else len(FIRST)

    items.sort(key=place)
    if not LONG:
        proofs = [item for item in items if item.get_closest_marker("proof") is not None]
        items[:] = [item for item in items if item.get_closest_marker("proof") is None]
        config.hook.pytest_deselected(items=proofs)
    if stores.ON_POSTGRESQL:
        assert not postgresql.missing(), postgresql.missing()
        without = [item for item in items if not stores.are_used_by(item.path)]
        items[:] = [item for item in items if stores.are_used_by(item.path)]
        config.hook.pytest_deselected(items=without)
        for item in items:
            if item.get_closest_marker("sqlite") is not None:
                item.add_marker(pytest.mark.skip(reason="is about SQLite"))


def pytest_report_header() -> list[str]:
    """How much of the published API is there, and on which databases, at the head of every run."""
    offered = sum(call.name in PUBLISHED for call in declared())
    missing = postgresql.missing()
    return [
        f"{offered} of {len(PUBLISHED)} published calls are offered",
        f"without PostgreSQL: {missing}" if missing else f"PostgreSQL: {postgresql.programs()}",
    ]
