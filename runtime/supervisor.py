"""Long-lived tasks that are restarted after every exception.

Rules:
- A task that fails is logged and started again after a delay. It ends when its work returns, or its
  owner cancels it.
- A failure that was already logged where it occurred (`ReportedError`) is not logged again.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

RESTART_DELAY = 1.0
"""Real seconds between the failure of a task and its next start."""

log = structlog.get_logger("scopegate.supervisor")


class ReportedError(Exception):
    """A failure that was already logged where it occurred."""


def supervise(name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """Start a task that runs `work` until it returns, and restarts it after each failure.

    The caller must keep a reference to the task, and cancel it at the end. `name` is the name of
    the task, also in the log.
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
