"""Coroutines that run without a task for as long as they wait for nothing."""

import types
from collections.abc import Generator

import pytest

from scopegate.gateway.calls.driver import new_driver, resume
from scopegate.testing import World


def test_resuming_passes_on_everything_that_a_task_sends() -> None:
    """The stand-in waits, returns, and is thrown at, just as the coroutine itself would be."""

    @types.coroutine
    def step(value: str) -> Generator[str, str, str]:
        return (yield value)

    async def body() -> str:
        first = await step("one")
        try:
            await step("two")
        except LookupError:
            return f"{first} and caught"
        return "not thrown at"

    driver = new_driver()
    rest = resume(driver, driver.send(body()))
    assert rest.send(None) == "one"
    assert rest.send("sent") == "two"
    with pytest.raises(StopIteration) as returned:
        rest.throw(LookupError())
    assert returned.value.value == "sent and caught"


@pytest.mark.lengthy
async def test_handlers_that_need_no_task_share_a_driver_until_one_fails_or_waits(
    world: World,
) -> None:
    dispatcher = world.gateway.connect.dispatcher
    client = world.connect()
    await client.ask({"ping": 1})
    driver = dispatcher._idle_driver
    assert driver is not None
    await client.ask({"time": 1})
    assert dispatcher._idle_driver is driver
    assert await client.refused({"forget": "no stream"}) == "InputValidationFailed"
    await client.ask({"ping": 1})
    assert await client.refused({"authorize": "a" * 20}) == "InvalidToken"
    await client.ask({"ping": 1})
    assert (await client.ask({"ping": 1}))["ping"] == "pong"
