"""Market time: by hand and running, never back, callbacks in the order of their moments."""

import asyncio

from scopegate.runtime.clock import HandClock, RunningClock


def test_callbacks_run_at_their_own_moments_in_order() -> None:
    clock = HandClock(100.0)
    seen: list[tuple[str, float]] = []

    def note(name: str) -> None:
        seen.append((name, clock.now()))

    def again() -> None:
        note("b")
        clock.call_at(104.0, lambda: note("d"))
        clock.call_at(90.0, lambda: note("late"))

    clock.call_at(103.0, lambda: note("c"))
    clock.call_at(102.0, again)
    clock.call_at(102.0, lambda: note("b2"))
    clock.call_at(101.0, lambda: note("never")).cancel()
    clock.call_at(110.0, lambda: note("not yet"))
    clock.advance(5)
    assert seen == [("b", 102.0), ("late", 102.0), ("b2", 102.0), ("c", 103.0), ("d", 104.0)]
    assert clock.now() == 105.0


async def test_a_running_clock_runs_at_its_speed_and_rings_on_time() -> None:
    clock = RunningClock(1_000.0, speed=1000.0)
    rung = asyncio.Event()
    moments: list[float] = []

    def ring() -> None:
        moments.append(clock.now())
        rung.set()

    clock.call_at(1_050.0, lambda: moments.append(-1.0)).cancel()
    clock.call_at(1_100.0, ring)
    async with asyncio.timeout(5):
        await rung.wait()
    assert len(moments) == 1
    assert moments[0] >= 1_100.0
    before = clock.now()
    assert clock.now() >= before
