"""From a message to its reply: order, suspension, time limits, bugs, and who is let in."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog

from scopegate import testing
from scopegate.composition import declared
from scopegate.gateway.calls import dispatch, scheduling
from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.counting import ConcurrencyLimiter, FailureCounter, RateLimiter
from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.handling import Handling
from scopegate.gateway.calls.limits import PROFILES, Profile
from scopegate.gateway.calls.message import Binary
from scopegate.gateway.calls.recorded_replies import RecordedReplies
from scopegate.gateway.calls.registry import Call, Stream
from scopegate.gateway.calls.session import Session
from scopegate.gateway.transport import connection as connection_module
from scopegate.store.sqlite import SqliteStore
from scopegate.testing import World
from tests.conftest import limited


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with testing.world(handlers=["tests.plugins"]) as made:
        yield made


async def test_replies_keep_the_order_of_their_requests(world: World) -> None:
    client, other = world.connect(), world.connect()
    waiting = asyncio.ensure_future(client.ask({"behave": "wait"}))
    await asyncio.sleep(0)
    behind = [asyncio.ensure_future(client.ask({"ping": 1})) for _ in range(3)]
    assert (await other.ask({"ping": 1}))["ping"] == "pong"
    assert not any(task.done() for task in [waiting, *behind])
    await other.ask({"behave": "open"})
    assert (await waiting)["behave"] == "wait"
    assert [(await task)["ping"] for task in behind] == ["pong"] * 3


async def test_a_handler_that_suspends_is_awaited(world: World) -> None:
    client = world.connect()
    for what in ("yield", "write", "count", "timeout inside"):
        reply = await client.ask({"behave": what})
        assert reply["behave"] == ("1" if what == "count" else what)


async def test_a_bug_is_told_to_the_log_and_not_to_the_client(world: World) -> None:
    client = world.connect()
    for what in ("bug", "late bug", "own timeout"):
        with structlog.testing.capture_logs() as logged:
            reply = await client.ask({"behave": what, "password": "hunter22", "pin": 1234})
        assert reply["error"] == {
            "code": "InternalServerError",
            "message": "Sorry, an error occurred while processing your request.",
        }
        assert reply["echo_req"]["password"] == reply["echo_req"]["pin"] == "<not shown>"
        (entry,) = logged
        assert entry["call"] == "behave"
        assert isinstance(entry["exc_info"], ZeroDivisionError | TimeoutError)
        assert (await client.ask({"ping": 1}))["ping"] == "pong"


async def test_a_token_in_a_bugs_text_is_not_logged(world: World) -> None:
    client = world.connect()
    token = await world.token("read")
    with structlog.testing.capture_logs() as logged:
        await client.ask({"behave": "bug", "password": token})
    assert token not in str(logged)
    assert "ZeroDivisionError" in str(logged)


async def test_a_refusal_answers_and_a_disconnect_ends(world: World) -> None:
    client = world.connect()
    reply = await client.ask({"behave": "refuse"})
    assert reply["error"] == {
        "code": "NotToday",
        "message": "Come back tomorrow.",
        "details": {"behave": "Not today."},
    }
    assert reply["msg_type"] == "behave"
    for what in ("hang up", "late hang up"):
        client = world.connect()
        client.send_text(b'{"behave":"%b"}' % what.encode())
        assert await client.ended() == (4000, "enough")


async def test_a_handler_over_its_time_is_answered_for() -> None:
    async with testing.world(handlers=["tests.plugins"]) as world:
        world.gateway.connect.dispatcher.time_limit = 0.01
        client = world.connect()
        reply = await client.ask({"behave": "wait"})
        assert reply["error"] == {"code": "Timeout", "message": "Timeout"}
        assert (await client.ask({"ping": 1}))["ping"] == "pong"


async def test_a_call_of_the_pages_has_more_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password is checked at a low priority."""
    limits: list[float | None] = []
    real = asyncio.timeout

    def noted(delay: float | None) -> asyncio.Timeout:
        limits.append(delay)
        return real(delay)

    monkeypatch.setattr(dispatch.asyncio, "timeout", noted)
    dispatcher: Any = world.gateway.connect.dispatcher
    dispatcher.time_limit = 77.0
    page = world.connect(at_pages=True)
    await page.refused({"sign_in": 1, "email": "eve@example.com", "password": "x"})
    await page.ask({"behave": "late bug"})
    assert [each for each in limits if each in (77.0, 154.0)] == [154.0, 77.0]


async def test_leaving_cancels_what_waits(world: World) -> None:
    client = world.connect()
    client.send_text(b'{"behave":"wait"}')
    client.send_text(b'{"ping":1}')
    await asyncio.sleep(0)
    task = client._connection._task
    assert task is not None
    client.leave()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert client.received == []


async def test_what_waits_behind_a_slow_handler_is_bounded(world: World) -> None:
    client = world.connect()
    paused: list[bool] = []
    client.pause = lambda: paused.append(True)  # type: ignore[method-assign]
    client.resume = lambda: paused.append(False)  # type: ignore[method-assign]
    waiting = asyncio.ensure_future(client.ask({"behave": "wait"}))
    await asyncio.sleep(0)
    for _ in range(connection_module.MAX_WAITING - 1):
        client.send_text(b'{"ping":1}')
    assert paused == []
    client.send_text(b'{"ping":1}')
    assert paused == [True]
    await world.connect().ask({"behave": "open"})
    await waiting
    for _ in range(connection_module.MAX_WAITING):
        assert (await client.next())["ping"] == "pong"
    assert paused == [True, False]


async def test_one_client_does_not_hold_up_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.gateway.scheduler.round_length = 0.0
    monkeypatch.setattr(scheduling, "QUANTUM", 0.0)
    eager, other = world.connect(), world.connect()
    eager._connection.receive([b'{"ping":1}'] * 4)
    assert len(eager.received) == 1
    assert (await other.ask({"ping": 1}))["ping"] == "pong"
    for _ in range(3):
        assert (await eager.next())["ping"] == "pong"


async def test_an_app_with_every_place_of_its_user_keeps_the_owner_from_nothing(
    world: World,
) -> None:
    app = await world.app("read")
    token = await world.token("read", app=app)
    apps = [world.connect(app_id=app.id) for _ in range(scheduling.MAX_RUNNING + 1)]
    for client in apps:
        await client.authorize(token)
    waiting = [asyncio.ensure_future(client.ask({"behave": "wait"})) for client in apps[:-1]]
    await asyncio.sleep(0)
    apps[-1].send_text(b'{"ping":1}')
    owner = await world.owner()
    assert "error" not in await owner.ask({"connected_apps": 1})
    other = world.connect()
    assert (await other.ask({"ping": 1}))["ping"] == "pong"
    assert apps[-1].received == []
    await world.connect().ask({"behave": "open"})
    await asyncio.gather(*waiting)
    assert (await apps[-1].next())["ping"] == "pong"


async def test_signed_in_and_any_of_several_scopes(world: World) -> None:
    client = world.connect()
    assert await client.refused({"whisper": 1}) == "AuthorizationRequired"
    assert await client.refused({"either": 1}) == "AuthorizationRequired"
    await client.authorize(await world.token("trade"))
    assert (await client.ask({"whisper": 1}))["whisper"] == world.demo.loginid
    reply = await client.ask({"either": 1})
    assert reply["error"]["message"] == "Permission denied, requires read or payments scopes."
    await client.authorize(await world.token("payments"))
    assert (await client.ask({"either": 1}))["either"] == 1


async def test_scopes_come_before_validation(world: World) -> None:
    """Strangers learn nothing of a call's fields."""
    client = world.connect()
    assert await client.refused({"balance": "x", "nonsense": 1}) == "AuthorizationRequired"
    await client.authorize(await world.token("trade"))
    assert await client.refused({"balance": "x", "nonsense": 1}) == "PermissionDenied"


async def test_limits_are_named_and_counted_per_token_else_per_address() -> None:
    async with limited(general_per_minute=5, outcome_per_minute=2) as world:
        first, second = world.connect(address="1.1.1.1"), world.connect(address="1.1.1.1")
        for client in (first, second, first, second, first):
            assert "error" not in await client.ask({"ping": 1})
        reply = await second.ask({"ping": 1})
        assert reply["error"] == {
            "code": "RateLimit",
            "message": "You have reached the rate limit for ping.",
            "details": {"limit": "5 general calls a minute"},
        }
        token = await world.token("read")
        elsewhere = world.connect(address="2.2.2.2")
        await elsewhere.authorize(token)
        again = world.connect(address="3.3.3.3")
        await again.authorize(token)
        for client in (elsewhere, again):
            assert "error" not in await client.ask({"statement": 1})
        assert await elsewhere.refused({"statement": 1}) == "RateLimit"
        status = (await elsewhere.ask({"website_status": 1}))["website_status"]
        limits = status["api_call_limits"]
        assert limits["max_requestes_general"]["minutely"] == 5
        assert limits["max_requests_outcome"]["minutely"] == 2
        assert "statement" in limits["max_requests_outcome"]["applies_to"]


async def test_a_refusal_by_a_limit_has_what_clients_match_replies_by() -> None:
    async with limited(general_per_minute=1, refusals_in_a_row=1000) as world:
        token = await world.token("read")
        client = world.connect()
        await client.ask({"ping": 1})
        note = {"a": {"b": 1}}
        reply = await client.ask({"time": 1, "req_id": 7, "passthrough": note})
        assert reply["error"]["code"] == "RateLimit"
        assert reply["error"]["message"] == "You have reached the rate limit for time."
        assert reply["msg_type"] == "time"
        assert reply["req_id"] == 7
        assert reply["passthrough"] == note
        assert reply["echo_req"] == {"time": 1, "req_id": 7, "passthrough": note}
        reply = await client.ask({"authorize": token, "req_id": 8, "passthrough": {"t": token}})
        assert reply["error"]["code"] == "RateLimit"
        assert token not in str(reply)
        assert reply["echo_req"]["authorize"] == "<not shown>"
        reply = await client.ask({"nonsense": 1, "req_id": 9})
        assert reply["error"]["code"] == "RateLimit"
        assert reply["msg_type"] == "error"
        long = {"time": 1, "req_id": 10, "passthrough": {"x": "y" * 3000}}
        reply = await client.ask(long)
        assert reply["error"]["code"] == "RateLimit"
        assert (reply["msg_type"], reply["req_id"], reply["echo_req"]) == ("time", 10, {})
        assert "passthrough" not in reply


async def test_every_message_counts_whatever_it_says() -> None:
    async with limited(messages_per_minute=6, refusals_in_a_row=1000) as world:
        client = world.connect(address="1.1.1.1")
        for text in (b"nonsense", b"[1]", b'{"a b":1}', b'{"nonsense":1}', b'{"ping":"x"}'):
            client.send_text(text)
            assert (await client.next())["error"]["code"] != "RateLimit"
        assert "error" not in await client.ask({"ping": 1})
        limit = {"limit": "6 messages a minute"}
        reply = await client.ask({"ping": 1})
        assert reply["error"]["details"] == limit
        client.send_text(b"nonsense")
        reply = await client.next()
        assert reply["error"]["details"] == limit
        assert (reply["msg_type"], reply["echo_req"]) == ("error", {})
        reply = await client.ask({"ping": 1, "passthrough": {"x": "y" * 60_000}, "req_id": 77})
        assert reply["error"]["details"] == limit
        assert (reply["msg_type"], reply["req_id"], reply["echo_req"]) == ("ping", 77, {})
        wrong = b'{"ping":1,"x":"' + b"\xff" * 3000 + b'"}'
        client.send_text(wrong)
        assert (await client.ended())[0] == 1007
        client = world.connect(address="1.1.1.1")
        client.send_text(Binary(wrong))
        assert (await client.ended())[0] == 1003


async def test_a_long_message_counts_several_times() -> None:
    async with limited(messages_per_minute=60) as world:
        client = world.connect(address="1.1.1.1")
        long = {"nonsense": 1, "passthrough": {"x": "y" * 55_000}}
        assert [await client.refused(long) for _ in range(3)] == [
            "UnrecognisedRequest",
            "UnrecognisedRequest",
            "RateLimit",
        ]


async def test_a_message_that_is_refused_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with limited(messages_per_minute=1, refusals_in_a_row=1000) as world:
        client = world.connect(address="1.1.1.1")
        await client.ask({"ping": 1})

        def parsed(text: bytes) -> dict[str, Any]:
            raise AssertionError(f"{len(text)} bytes were parsed")

        monkeypatch.setattr(dispatch, "parse", parsed)
        reply = await client.ask({"ping": 1, "passthrough": {"x": "y" * 60_000}})
        assert reply["error"]["code"] == "RateLimit"


@pytest.mark.parametrize("signed_in", [False, True])
async def test_many_refusals_in_a_row_end_the_connection(signed_in: bool) -> None:
    async with limited(general_per_minute=2, refusals_in_a_row=5) as world:
        client = world.connect()
        if signed_in:
            await client.authorize(await world.token())
        for _ in range(2):
            await client.ask({"ping": 1})
        for _ in range(4):
            assert await client.refused({"ping": 1}) == "RateLimit"
        # A call that is answered, of another group, begins the row anew.
        answered = await client.refused({"proposal": 1, "symbol": "none"})
        assert answered == "InputValidationFailed"
        for _ in range(4):
            assert await client.refused({"ping": 1}) == "RateLimit"
        assert client.closed is None
        assert await client.refused({"ping": 1}) == "RateLimit"
        assert await client.ended() == (
            4429,
            "5 messages in a row exceeded a rate limit: send fewer",
        )


@pytest.mark.parametrize("what", ["limit", "late limit", "yield", "refuse"])
async def test_only_the_connection_that_a_limit_refused_waits(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Also if its handler is what refuses; others of its address do not wait."""
    monkeypatch.setattr(dispatch, "_pause_after", lambda session: 1_000.0)
    async with testing.world(handlers=["tests.plugins"]) as world:
        client, other = world.connect(), world.connect()
        await client.ask({"behave": what})
        behind = asyncio.ensure_future(client.ask({"ping": 1}))
        if what in ("yield", "refuse"):
            await behind
        for _ in range(10):
            assert (await other.ask({"ping": 1}))["ping"] == "pong"
        assert behind.done() is (what in ("yield", "refuse"))
        behind.cancel()
        await asyncio.wait([behind])


async def test_the_pause_grows_with_each_refusal_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    pause_after = dispatch._pause_after

    def noted(session: Session) -> float:
        pauses.append(pause_after(session))
        return 0.0

    monkeypatch.setattr(dispatch, "_pause_after", noted)
    async with limited(general_per_minute=1, refusals_in_a_row=1_000) as world:
        client = world.connect()
        await client.ask({"ping": 1})
        for _ in range(30):
            assert await client.refused({"ping": 1}) == "RateLimit"
        assert await client.refused({"proposal": 1, "symbol": "none"}) == "InputValidationFailed"
        await client.ask({"ping": 1})
    assert pauses[0] == pauses[-1] == dispatch.REFUSAL_PAUSE
    assert pauses[:30] == sorted(pauses[:30])
    assert pauses[29] == dispatch.MAX_REFUSAL_PAUSE


async def test_a_pause_is_no_handler_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of its connections wait, its others are answered."""
    monkeypatch.setattr(dispatch, "_pause_after", lambda session: 1_000.0)
    async with limited(general_per_minute=1, refusals_in_a_row=1_000) as world:
        await world.connect(address="1.1.1.1").ask({"ping": 1})
        for _ in range(scheduling.MAX_RUNNING + 1):
            client = world.connect(address="1.1.1.1")
            assert await client.refused({"ping": 1}) == "RateLimit"
        assert await world.connect(address="1.1.1.1").refused({"ping": 1}) == "RateLimit"


@pytest.mark.lengthy
async def test_the_burst_of_a_page_ends_no_connection() -> None:
    async with limited(limits="deriv") as world:
        client = world.connect(address="1.1.1.1")
        replies = [await client.ask({"ping": 1}) for _ in range(180 + 199)]
        assert sum("error" in reply for reply in replies) == 199
        assert client.closed is None


async def test_who_comes_back_without_an_app_is_slowed(world: World) -> None:
    first, second = (world.connect(app_id=5, address="10.0.0.1") for _ in range(2))
    asked = [asyncio.ensure_future(client.ask({"ping": 1})) for client in (first, second)]
    reply = await asked[0]
    assert reply["error"]["code"] == "InvalidAppID"
    assert (await first.ended())[0] == 1008
    assert not asked[1].done()
    elsewhere = world.connect(app_id=5, address="10.0.0.2")
    elsewhere.send_text(b"nonsense")
    assert (await elsewhere.next())["error"]["code"] == "InvalidAppID"
    second.leave()
    asked[1].cancel()
    dispatcher = world.gateway.connect.dispatcher
    assert [dispatcher._delay("10.0.0.1") for _ in range(3)] == [1.0, 1.5, 2.0]
    assert [dispatcher._delay("10.0.0.3") for _ in range(12)][-1] == 5.0


def test_what_streams_hold_is_bounded() -> None:
    sent: list[bytes] = []
    session = Session(sent.append, app_id=1089)
    dispatcher, call, stream = a_stream(session, streams=10, stream_bytes=2_500)
    note = {"passthrough": {"x": "y" * 500}}
    for number in range(3):
        another = dataclasses.replace(stream, key=number)
        dispatcher._answer(session, call, note, note, another)
    *opened, refused = answered(sent)
    assert all("subscription" in reply for reply in opened)
    assert refused["error"]["code"] == "RateLimit"
    limit = "2500 bytes held by the streams of one connection"
    assert refused["error"]["details"] == {"limit": limit}
    assert sum(stream.size for stream in session.subscriptions.values()) <= 2_500
    # Each message consists of the held bytes and the event.
    size = max(stream.size for stream in session.subscriptions.values())
    sent.clear()
    dispatcher._bus.publish("a", {"n": 1}, 1)
    assert all(len(text) <= size + 10 for text in sent)


def test_a_clients_streams_are_counted_together() -> None:
    sent: list[bytes] = []
    first, second = (Session(sent.append, app_id=1089, address="1.1.1.1") for _ in range(2))
    elsewhere = Session(sent.append, app_id=1089, address="2.2.2.2")
    dispatcher, call, stream = a_stream(first, streams_per_client=1, max_per_client=1)
    for session in (first, second, elsewhere):
        dispatcher._answer(session, call, {}, {}, stream)
    assert ["subscription" in reply for reply in answered(sent)] == [True, False, True]
    assert answered(sent)[1]["error"]["details"] == {"limit": "1 streams of one address"}
    first.close()
    dispatcher._answer(second, call, {}, {}, stream)
    assert "subscription" in answered(sent)[-1]
    second.close()
    elsewhere.close()
    assert dispatcher._open_streams._held == {}


class NotToday(Exception):
    """What a part that knows no errors of the wire may raise."""


def test_what_handlers_raise_is_converted_in_one_place() -> None:
    sent: list[bytes] = []
    session = Session(sent.append, app_id=1089)
    dispatcher, call, _ = a_stream(session)
    errors = {NotToday: lambda problem: ApiError("NotToday", str(problem))}
    call = dataclasses.replace(call, errors=errors)
    dispatcher._failed(session, call, {}, {}, NotToday("Come back tomorrow."))
    [told] = answered(sent)
    assert told["error"] == {"code": "NotToday", "message": "Come back tomorrow."}
    assert told["msg_type"] == "ping"


def a_stream(session: Session, **more: Any) -> tuple[Dispatcher, Call, Stream[Any]]:
    """A dispatcher of its own, and a stream of its bus that a handler may return."""
    registry = declared()
    numbers = {field.name for field in dataclasses.fields(Profile)}
    chosen = {"streams": 1} | {name: more.pop(name) for name in numbers & more.keys()}
    limits = dataclasses.replace(PROFILES["open"], **chosen)
    dispatcher = Dispatcher(
        registry,
        Bus(),
        RateLimiter(limits),
        ConcurrencyLimiter(),
        used=lambda *_: None,
        refused=lambda *_: None,
        refusal=lambda _: None,
        unknown_apps=FailureCounter(),
        handling=Handling(),
        replies=RecordedReplies(SqliteStore(Path("unused.db"))),
    )
    stream = Stream(
        kind="ticks", key="a", label="a", topic="a", first={"ping": "pong"}, msg_type="x", **more
    )
    return dispatcher, dataclasses.replace(registry["ping"], kinds=frozenset({"ticks"})), stream


def answered(sent: list[bytes]) -> list[Any]:
    return [orjson.loads(text) for text in sent]


def test_what_a_stream_tells_at_once_follows_its_first_reply() -> None:
    sent: list[bytes] = []
    session = Session(sent.append, app_id=1089)
    more = [{"x": {"n": 1}}, {"x": {"n": 2}}]
    dispatcher, call, stream = a_stream(session, more=more, id="i" * 32)
    dispatcher._answer(session, call, {"req_id": 7}, {"req_id": 7}, stream)
    head = {"echo_req": {"req_id": 7}, "req_id": 7, "subscription": {"id": "i" * 32}}
    assert answered(sent) == [
        head | {"msg_type": "ping", "ping": "pong"},
        head | {"msg_type": "x", "x": {"id": "i" * 32, "n": 1}},
        head | {"msg_type": "x", "x": {"id": "i" * 32, "n": 2}},
    ]


def test_what_is_done_is_told_also_where_its_stream_is_one_too_many() -> None:
    for optional in (True, False):
        sent: list[bytes] = []
        session = Session(sent.append, app_id=1089)
        dispatcher, call, stream = a_stream(session, optional=optional)
        for number in range(2):  # the profile allows one stream
            another = dataclasses.replace(stream, key=number)
            dispatcher._answer(session, call, {}, {}, another)
        first, second = answered(sent)
        assert "subscription" in first
        if optional:
            assert second == {"echo_req": {}, "msg_type": "ping", "ping": "pong"}
        else:
            assert second["error"]["code"] == "RateLimit"


def test_a_kind_of_streams_may_have_a_limit_of_its_own() -> None:
    sent: list[bytes] = []
    session = Session(sent.append, app_id=1089)
    dispatcher, call, stream = a_stream(session, max_per_session=0)
    dispatcher._answer(session, call, {}, {}, stream)
    [refused] = answered(sent)
    assert refused["error"]["details"] == {"limit": "0 ticks streams at once"}
