"""Long-lived tasks go on after a failure, whatever it is."""

import asyncio

import pytest
from structlog.testing import capture_logs

from scopegate import market_start, testing
from scopegate.gateway.access import guard
from scopegate.runtime import supervisor
from scopegate.runtime.supervisor import supervise
from scopegate.store.errors import StoreUnavailableError
from tests.scenarios.test_trading import RISE, bought


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "RESTART_DELAY", 0.0)


async def test_a_task_that_fails_starts_again_and_is_reported() -> None:
    failures = [ZeroDivisionError(), OSError("no disk"), StoreUnavailableError("full")]

    async def work() -> None:
        if failures:
            raise failures.pop(0)

    with capture_logs() as logged:
        await supervise("a task", work)
    # The last was logged where it occurred.
    assert [(line["event"], line["task"]) for line in logged] == [
        ("a task failed and starts again", "a task")
    ] * 2


async def test_its_owner_ends_it() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    task = supervise("a task", work)
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def is_supervised(task: asyncio.Task[object]) -> bool:
    coroutine = task.get_coro()
    return getattr(coroutine, "cr_code", None) is supervisor._keep_running.__code__


@pytest.mark.sqlite
async def test_every_long_lived_task_of_a_gateway_is_supervised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "FLUSH", 3600.0)  # no write begins amid the test
    monkeypatch.setattr(market_start, "MARK_EVERY", 3600.0)
    before = asyncio.all_tasks()
    async with testing.world() as world:
        client = world.connect()
        await client.authorize(await world.token("trade"))
        tasks = asyncio.all_tasks() - before
        assert {task.get_name() for task in tasks} == {
            "access",
            "candles",
            "changes by other processes",
            "closing on disconnect",
            "loop lag",
            "retention",
            "the market's mark",
        }
        assert all(map(is_supervised, tasks))
        await bought(client, RISE)
        tasks = asyncio.all_tasks()
        world.clock.advance(10)
        [settling] = asyncio.all_tasks() - tasks
        assert settling.get_name() == "settlement"
        assert is_supervised(settling)
