"""A market in real time never publishes a moment twice, wherever the clock is after a crash."""

import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from scopegate import market_start
from scopegate.own_markets import OwnMarkets
from scopegate.paper_exchange import clock, origin
from scopegate.runtime.clock import RunningClock
from scopegate.runtime.siblings import Siblings
from scopegate.settings import Settings
from scopegate.store.opening import store_at
from tests import stores
from tests.served import Served
from tests.stores import run_once

MOVED = """
import os, time
told = time.time
time.time = lambda: told() + float(os.environ["MOVED_BY"])
from scopegate.cli import main
main()
"""


class Moved(Served):
    """A gateway on a machine whose wall clock can be set."""

    program = (sys.executable, "-c", MOVED)
    settings: dict[str, str]

    def start_again(self, moved_by: float) -> None:
        self.settings["MOVED_BY"] = str(moved_by)
        self.start()


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[Moved]:
    with Moved(tmp_path, "--seed", "tests", settings={"MOVED_BY": "0"}) as running:
        yield running


async def last_told(served: Served, count: int) -> tuple[int, int]:
    """The first and the last tick that a client hears of."""
    async with served.connected() as client:
        reply = await client.ask({"ticks": "1HZ100V", "subscribe": 1})
        first = last = reply["tick"]["epoch"]
        for _ in range(count):
            last = (await client.next())["tick"]["epoch"]
        assert (await client.ask({"time": 1}))["time"] >= last
    return first, last


@pytest.mark.lengthy
@pytest.mark.sqlite
async def test_no_tick_is_sent_again_after_the_clock_was_set_back(moved: Moved) -> None:
    _, last = await last_told(moved, 3)
    for moved_by in (-40.0, -3601.0):
        moved.kill()
        moved.start_again(moved_by)
        first, now = await last_told(moved, 2)
        assert first >= last  # the tick that stands when a client comes was told already, at most
        assert now > last
        last = now
    assert moved.stop() == 0
    assert moved.stderr == ""


@pytest.mark.lengthy
@pytest.mark.sqlite
async def test_a_clean_stop_leaves_no_gap(moved: Moved) -> None:
    _, last = await last_told(moved, 1)
    assert moved.stop() == 0
    moved.start_again(-40.0)
    first, _ = await last_told(moved, 1)
    # It resumes where it stopped; not every second of the start itself is published.
    assert last <= first


@pytest.mark.sqlite
def test_a_clock_waits_for_a_mark_that_is_near_and_goes_on_from_one_that_is_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "market.db"
    wall = 1_800_000_000.0
    monkeypatch.setattr(market_start.time, "time", lambda: wall)

    def settle() -> market_start.Origin:
        return run_once(
            db,
            lambda opened: market_start.foresee(opened, seed="x", start=None, speed=1),
        )

    assert settle().clock == settle().resume == wall
    run_once(db, lambda opened: market_start.run(opened, lambda: wall, 1.0, wall))
    assert run_once(db, market_start.present) == wall
    origin = settle()
    assert (origin.clock, origin.resume) == (wall, wall + market_start.WAITED_FOR)
    clock = RunningClock(origin.clock, earliest=origin.resume)
    assert clock.now() == origin.resume
    assert clock.real_seconds_until(origin.resume) == 0.0
    remaining = clock.real_seconds_until(origin.resume + 1)
    assert market_start.WAITED_FOR <= remaining <= market_start.WAITED_FOR + 1
    wall -= 3600
    origin = settle()
    assert origin.clock == origin.resume == wall + 3600 + market_start.WAITED_FOR


@pytest.mark.sqlite
def test_crashes_one_after_the_other_move_the_market_no_further_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each used to add three seconds: past the first, the market ran ahead of real time for ever.

    Found by the simulation, as was that a gateway which joined meanwhile was ahead of the first.
    """
    db = tmp_path / "market.db"
    seconds = 1_800_000_000.0
    monkeypatch.setattr(market_start.time, "time", lambda: seconds)
    monkeypatch.setattr(market_start.time, "monotonic", lambda: seconds)

    def foreseen(*, joins: bool = False) -> market_start.Origin:
        return run_once(
            db,
            lambda opened: market_start.foresee(opened, seed="x", start=None, speed=1, joins=joins),
        )

    def starts() -> RunningClock:
        origin = foreseen()
        clock = RunningClock(origin.clock, earliest=origin.resume, since=seconds)
        run_once(db, lambda opened: market_start.settle(opened, origin))
        run_once(db, lambda opened: market_start.run(opened, clock.running, 1.0, origin.resume))
        return clock

    starts()
    for _ in range(10):
        seconds += 0.5
        clock = starts()
        assert seconds < clock.now() <= seconds + market_start.WAITED_FOR
        assert run_once(db, market_start.present) == clock.now()
        joined = foreseen(joins=True)
        beside = RunningClock(joined.clock, earliest=joined.resume, since=joined.since)
        assert beside.now() == clock.now()
        assert run_once(db, partial(market_start.difference, running=beside.running)) == 0
    seconds += 10
    assert clock.now() == beside.now() == seconds


@pytest.mark.parametrize("was_stopped", [True, False])
async def test_gateways_that_start_at_the_same_time_have_one_time(
    tmp_path: Path, was_stopped: bool
) -> None:
    """The first one says how the market runs, also where a crash has left an older pace."""
    path = tmp_path / "market.db"
    settings = Settings(db=path, speed=1_000)
    first, second = (Siblings(number, None, lambda receiver, message: None) for number in (0, 1))
    second.set_present([0])
    if was_stopped:
        first.set_present([1])
    else:
        run_once(path, lambda opened: market_start.run(opened, lambda: 2e9, settings.speed, 2e9))
    store = store_at(stores.at(path))
    await store.open()
    async with origin(store, settings, first, OwnMarkets()) as begun:
        later = time.monotonic() + 0.05
        while time.monotonic() < later:
            pass
        async with origin(store, settings, second, OwnMarkets()) as joined:
            behind = clock(begun, settings).now() - clock(joined, settings).now()
            assert abs(behind) < 10  # of the 50 seconds that have passed
    await store.close()
