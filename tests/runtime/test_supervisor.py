"""Long-lived tasks go on after a failure, whatever it is."""

import asyncio

import pytest
from structlog.testing import capture_logs

from scopegate.runtime import supervisor
from scopegate.runtime.supervisor import supervise
from scopegate.store.sqlite import StoreUnavailableError


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
