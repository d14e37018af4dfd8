"""Run coroutines without a task for as long as they do not wait for anything."""

import types
from collections.abc import Coroutine, Generator
from typing import Any


@types.coroutine
def _drive() -> Generator[Any, Any, None]:
    """Run each coroutine that is sent; yield its result in a tuple, or what it waits for.

    A generator that goes on costs less than catching the `StopIteration` of each coroutine. What
    asyncio waits for is never a tuple.
    """
    step: Any = None
    while True:
        coroutine: Coroutine[Any, Any, Any] = yield step
        step = ((yield from coroutine),)


def new_driver() -> Generator[Any, Any, None]:
    """Return a driver that is ready for a coroutine: `step = driver.send(coroutine)`.

    The step is a tuple with the coroutine's result, or else what it waits for: see `resume`. An
    exception of the coroutine ends the driver.
    """
    driver = _drive()
    driver.send(None)
    return driver


@types.coroutine
def resume(driver: Generator[Any, Any, None], waits_for: Any) -> Generator[Any, Any, Any]:
    """Continue a coroutine in its driver, which has run its first step and waits for `waits_for`.

    The task that awaits this waits for `waits_for` first, in the coroutine's place.
    """
    step = waits_for
    while type(step) is not tuple:
        try:
            sent = yield step
        except BaseException as thrown:  # noqa: BLE001 - cancellation goes to the coroutine too
            step = driver.throw(thrown)
        else:
            step = driver.send(sent)
    return step[0]
