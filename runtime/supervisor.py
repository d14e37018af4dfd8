"""Long-lived tasks: each is kept running, whatever it raises.

Rules:
- A task that fails is reported and started again after a delay. Only its owner ends it, by
  cancelling it.
- A failure that its origin has logged already (`ReportedError`) is not logged again.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

RESTART_DELAY = 1.0
"""Real seconds between the failure of a task and its next start."""

log = structlog.get_logger("scopegate.supervisor")


class ReportedError(Exception):
    """A failure that is in the log already, where it occurred."""


def supervise(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """Start a task that runs `work` until it returns, again after each failure.

    The caller owns the task: it keeps it, and cancels it at the end. `name` is what the log says.
    """
    return asyncio.get_running_loop().create_task(_keep_running(name, work), name=name)


async def _keep_running(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await work()
        except Exception as problem:
            if not isinstance(problem, ReportedError):
                log.error("a task failed and starts again", task=name, exc_info=problem)
            await asyncio.sleep(RESTART_DELAY)
        else:
            return
