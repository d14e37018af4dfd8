"""Whatever a handler does, every message gets one reply, and what was wrong is logged."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import structlog
from typing_extensions import TypedDict

from scopegate import (
    ApiError,
    Disconnect,
    Gateway,
    Plugin,
    Request,
    Session,
    Stream,
    Text,
    call,
)
from scopegate.gateway.calls.session import Shape
from scopegate.testing import scene


class Fail(Request):
    fail: Text


class Wait(Request):
    wait: Text


class Done(TypedDict):
    done: int


class OwnError(Exception):
    pass


class MoreSpecialError(OwnError):
    pass


class OtherError(Exception):
    pass


def fault(kind: str) -> BaseException:
    faults: dict[str, BaseException] = {
        "details": ApiError("X", "y", {"at": Decimal(1)}),
        "text": ApiError("X", "y", "no mapping"),  # type: ignore[arg-type]
        "own": OwnError("mine"),
        "special": MoreSpecialError("mine"),
        "converter": OtherError("mine"),
        "cancelled": asyncio.CancelledError(),
        "bug": ZeroDivisionError(),
        "code": ValueError("99 is not an allowed close code"),
    }
    return faults[kind]


class Faults:
    """Fails."""

    @call("fail", needs=None)
    async def fail(self, request: Fail, session: Session) -> Done:
        """Fail at once."""
        raise fault(request.fail)

    @call("wait", needs=None)
    async def wait(self, request: Wait, session: Session) -> Done:
        """Fail after waiting for something."""
        if request.wait == "cancelled":
            waiting = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.get_running_loop().call_soon(waiting.cancel)
            await waiting
        await asyncio.sleep(0)
        raise fault(request.wait)


def converted(problem: OwnError) -> ApiError:
    return ApiError("Own", str(problem))


def not_converted(problem: OtherError) -> ApiError:
    raise LookupError("the converter fails too")


GATEWAY = Gateway(
    Plugin(
        name="faults",
        handlers=(Faults,),
        errors={OwnError: converted, OtherError: not_converted},
    )
)


@pytest.fixture
def logged() -> Iterator[Any]:
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.mark.parametrize("how", ["fail", "wait"])
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("details", "InternalServerError"),
        ("text", "InternalServerError"),
        ("own", "Own"),
        ("special", "Own"),
        ("converter", "InternalServerError"),
        ("cancelled", "InternalServerError"),
        ("bug", "InternalServerError"),
    ],
)
async def test_every_failure_gets_a_reply(logged: Any, how: str, kind: str, code: str) -> None:
    async with scene(GATEWAY) as world:
        client = world.connect()
        assert await client.refused({how: kind}) == code
        assert (await client.ask({"ping": 1}))["ping"] == "pong"
    reported = [line for line in logged if line["event"] == "a handler failed"]
    assert len(reported) == (code == "InternalServerError")
    assert all(line["call"] == how for line in reported)


async def test_the_errors_of_a_plugin_are_those_of_its_own_calls() -> None:
    greedy = Plugin(
        name="greedy", handlers=(Faults,), errors={Exception: lambda _: ApiError("Stolen", "mine")}
    )
    async with scene(Gateway(greedy)) as world:
        client = world.connect()
        assert await client.refused({"authorize": "no-such-token"}) == "InvalidToken"
        assert await client.refused({"nothing": 1}) == "UnrecognisedRequest"
        assert await client.refused({"fail": 5, "more": 1}) == "InputValidationFailed"
        assert await client.refused({"fail": "details"}) == "InternalServerError"
        assert await client.refused({"fail": "bug"}) == "Stolen"


class Answers(Request):
    answers: Text


class Answered(TypedDict):
    answers: int


class Odd:
    """Answers that cannot be sent."""

    @call("answers", needs=None)
    async def answers(
        self, request: Answers, session: Session
    ) -> list[Answered] | Stream[Answered]:
        """Answer nothing, or open a stream whose first answer is not JSON."""
        if request.answers == "none":
            return []
        first: Any = {"answers": Decimal(1)} if request.answers == "wrong" else {"answers": 1}
        return Stream(
            kind="answers",
            key="a",
            label="a",
            topic="a",
            first=first,
            msg_type="answers",
            shape=Shape.OBJECT,
        )


async def test_an_answer_that_cannot_be_sent_leaves_nothing_behind() -> None:
    async with scene(Gateway(Plugin(name="odd", handlers=(Odd,)))) as world:
        client = world.connect()
        assert await client.refused({"answers": "none"}) == "InternalServerError"
        assert await client.refused({"answers": "wrong"}) == "InternalServerError"
        assert not world.gateway.bus.has_listeners("a")
        client.send_text(b'{"answers": "right", "req_id": 7}')
        assert (await client.next())["subscription"]


async def test_a_client_that_leaves_ends_what_its_handler_waits_for() -> None:
    async with scene(GATEWAY) as world:
        client = world.connect()
        client.send_text(b'{"wait": "bug"}')
        client.leave()
        assert (await world.connect().ask({"ping": 1}))["ping"] == "pong"


def test_a_close_frame_holds_its_code_and_reason() -> None:
    with pytest.raises(ValueError, match="99 is not an allowed close code"):
        Disconnect(99, "no")
    assert len(Disconnect(4000, "é" * 200).reason.encode()) <= 123
