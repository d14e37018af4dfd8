"""The operator: who can sign in as one, what they see, and what they end, in every process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from scopegate import testing
from scopegate.gateway.access import apps, audit, codes
from scopegate.gateway.access.issuing import Issued
from scopegate.gateway.calls.errors import ENDED_BY_OPERATOR, ApiError
from scopegate.handlers.gateway import operator_calls
from scopegate.handlers.gateway.operator_calls import Operator
from scopegate.settings import SettingsError, load
from scopegate.store.transactions import Transaction
from scopegate.testing import Client, MemoryClient, World
from tests.conftest import Connected
from tests.published.scenes import OPERATOR_TOKEN
from tests.scenarios.test_markup import RISE
from tests.served import Served, fetch

EMAIL = "ada@example.com"
RIGHT = {"operator_sign_in": 1, "operator_token": OPERATOR_TOKEN}
WRONG = {"operator_sign_in": 1, "operator_token": "wrong-wrong-wrong-wrong"}
ENDED = (ENDED_BY_OPERATOR, "The operator has ended this connection.")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with testing.world(operator_token=OPERATOR_TOKEN) as made:
        yield made


async def operator_of(world: World) -> MemoryClient:
    page = world.connect(at_pages=True)
    assert "error" not in await page.ask(RIGHT)
    return page


async def overview(operator: Client) -> dict[str, Any]:
    body: dict[str, Any] = (await operator.ask({"operator_overview": 1}))["operator_overview"]
    return body


async def bot_of(world: World, email: str = EMAIL) -> tuple[MemoryClient, str]:
    """A bot of a new user, signed in with a token of theirs, and that token."""
    account = (await world.user(email, password="correct horse"))[0]
    token = await world.token(loginid=account.loginid)
    bot = world.connect()
    await bot.authorize(token)
    return bot, token


async def act(operator: Client, **request: Any) -> dict[str, Any]:
    reply = await operator.ask(request)
    assert "error" not in reply, reply["error"]
    return reply


# Signing in.


async def test_a_wrong_token_is_refused_and_so_are_many_attempts(world: World) -> None:
    page = world.connect(at_pages=True, address="198.51.100.1")
    for _ in range(5):
        assert await page.refused(WRONG) == "InvalidCredentials"
    # Not even the right one is compared now, from this address block alone.
    assert await page.refused(RIGHT) == "RateLimit"
    assert await world.connect(at_pages=True, address="198.51.100.1").refused(RIGHT) == "RateLimit"
    assert await page.refused({"operator_overview": 1}) == "PermissionDenied"
    other = world.connect(at_pages=True, address="198.51.100.2")
    assert "error" not in await other.ask(RIGHT)


async def test_wrong_tokens_are_recorded_up_to_a_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_calls, "RECORDED_A_MINUTE", 2)
    for address in ("198.51.100.1", "198.51.100.2", "198.51.100.3"):
        page = world.connect(at_pages=True, address=address)
        assert await page.refused(WRONG) == "InvalidCredentials"
    records = await world.gateway.store.read(lambda reader: audit.records(reader, limit=3))
    found = [each for each in records if each.event == "operator sign-in failed"]
    assert [each.about for each in found] == [
        {"address": "198.51.100.2"},
        {"address": "198.51.100.1"},
    ]
    assert {each.actor for each in found} == {audit.GATEWAY}


async def test_a_sign_in_is_of_one_connection_and_gives_no_scope(world: World) -> None:
    operator = await operator_of(world)
    assert "error" not in await operator.ask({"operator_overview": 1})
    assert await operator.refused({"balance": 1}) == "AuthorizationRequired"
    assert await operator.refused({"token_list": 1}) == "AuthorizationRequired"
    another = world.connect(at_pages=True)
    assert await another.refused({"operator_overview": 1}) == "PermissionDenied"


async def test_without_a_setting_nobody_is_the_operator() -> None:
    async with testing.world() as world:
        page = world.connect(at_pages=True)
        for token in ("", "None", OPERATOR_TOKEN):
            reply = await page.ask({"operator_sign_in": 1, "operator_token": token})
            assert reply["error"]["code"] in ("PermissionDenied", "InputValidationFailed")
        assert await page.refused({"operator_overview": 1}) == "PermissionDenied"


async def test_the_token_is_never_echoed(world: World) -> None:
    page = world.connect(at_pages=True)
    for request in (RIGHT, WRONG, {**RIGHT, "unknown": 1}, {"ping": 1, **RIGHT}):
        text = orjson.dumps(await page.ask(request)).decode()
        assert OPERATOR_TOKEN not in text
        assert WRONG["operator_token"] not in text


def test_a_short_token_stops_the_start() -> None:
    with pytest.raises(SettingsError) as refused:
        load(operator_token="short-token")
    assert "operator_token" in str(refused.value)
    assert "short-token" not in str(refused.value)


@pytest.mark.parametrize("options", [(), ("--operator-token", OPERATOR_TOKEN)])
def test_the_page_is_there_with_a_token_only(tmp_path: Path, options: tuple[str, ...]) -> None:
    with Served(tmp_path, *options) as served:
        status, _, body = fetch(f"{served.page}operator")
        assert status == (200 if options else 404)
        start = fetch(served.page)[2]
        assert served.stop() == 0
    assert b'"/operator"' not in start
    assert OPERATOR_TOKEN not in "".join([*served.lines, served.stderr, body.decode()])


# What is seen.


async def test_connections_calls_and_refusals_are_seen(world: World) -> None:
    operator = await operator_of(world)
    bot, token = await bot_of(world)
    await bot.ask({"ticks": "R_100", "subscribe": 1})
    await bot.refused({"token_list": 1})
    stranger = world.connect(address="198.51.100.7")
    assert await stranger.refused({"authorize": "a" * 15}) == "InvalidToken"

    seen = await overview(operator)
    [its] = [one for one in seen["connections"] if one["email"] == EMAIL]
    assert (its["app_id"], its["app_name"], its["address"]) == (1089, "Test app", "127.0.0.1")
    assert (its["messages"], its["streams"], its["at_pages"]) == (3, 1, 0)
    [its_app] = seen["apps"]
    assert its_app == {"app_id": 1089, "connections": 3, "name": "Test app"}
    assert seen["users"] == [{"connections": 1, "email": EMAIL}]
    assert seen["open_connections"] == 3
    assert seen["processes"] == [{"connections": 3, "fault": None, "process": 0}]
    assert {one["call"] for one in seen["calls"]} >= {"authorize", "ticks"}
    latest, before = seen["refusals"]
    assert (latest["address"], latest["code"]) == ("198.51.100.7", "InvalidToken")
    assert (latest["email"], latest["call"]) == (None, "authorize")
    assert (before["email"], before["code"], before["call"]) == (
        EMAIL,
        "PermissionDenied",
        "token_list",
    )
    assert before["session"] == its["session"]
    assert {"code": "InvalidToken", "times": 1} in seen["errors"]
    assert token not in orjson.dumps(seen).decode()

    bot.leave()
    assert (await overview(operator))["open_connections"] == 2


async def test_a_limit_that_is_reached_is_seen() -> None:
    async with testing.world(operator_token=OPERATOR_TOKEN, general_per_minute=3) as world:
        bot = world.connect(address="198.51.100.7")
        answers = [await bot.ask({"ping": 1}) for _ in range(6)]
        refused = sum("error" in answer for answer in answers)
        seen = await overview(await operator_of(world))
    assert refused >= 2
    assert seen["limits"] == [{"limit": "3 general calls a minute", "times": refused}]
    assert seen["refusals"][0]["limit"] == "3 general calls a minute"


async def test_many_connections_are_counted_and_the_busiest_listed(world: World) -> None:
    operator = await operator_of(world)
    bots = [world.connect() for _ in range(150)]
    for _ in range(3):
        await bots[-1].ask({"ping": 1})
    seen = await overview(operator)
    assert seen["open_connections"] == 151
    assert len(seen["connections"]) == 100
    assert max(one["messages"] for one in seen["connections"]) == 3


@pytest.mark.parametrize("app_id", ["", "987654", "x"])
async def test_a_connection_without_an_app_is_seen_and_ended(world: World, app_id: str) -> None:
    operator = await operator_of(world)
    silent = world.connect(app_id=app_id)
    seen = await overview(operator)
    assert seen["open_connections"] == 2
    assert {"app_id": None, "connections": 1, "name": ""} in seen["apps"]
    [its] = [one for one in seen["connections"] if one["app_id"] is None]
    assert its["app_name"] == ""
    await act(operator, operator_end_session=its["session"])
    assert silent.closed == ENDED
    assert (await overview(operator))["open_connections"] == 1


@pytest.mark.lengthy
async def test_the_overview_is_a_stream(world: World) -> None:
    operator = await operator_of(world)
    first = await operator.ask({"operator_overview": 1, "subscribe": 1})
    assert first["subscription"]["id"]
    bot = world.connect()
    while (news := await operator.next())["operator_overview"]["open_connections"] != 2:
        pass
    assert news["subscription"] == first["subscription"]
    bot.leave()
    # An action is shown at once.
    ended = world.connect()
    await ended.ask({"ping": 1})
    session = next(one for one in world.gateway.access.sessions if not one.at_pages)
    await act(operator, operator_end_session=session.id)
    while (await operator.next())["operator_overview"]["open_connections"] != 1:
        pass


# What is ended.


async def operator_at(connected: Connected) -> MemoryClient:
    connected.world.service(Operator).admit(OPERATOR_TOKEN)
    return await operator_of(connected.world)


async def test_a_session_is_ended_and_no_other(connected: Connected) -> None:
    world, operator = connected.world, await operator_at(connected)
    token = await world.token()
    bot, other = await connected.connect(), await connected.connect()
    await bot.authorize(token)
    await bot.ask({"balance": 1, "subscribe": 1})
    await other.ask({"ping": 1})
    [its] = [one for one in (await overview(operator))["connections"] if one["email"]]
    for _ in range(2):  # to do it again changes nothing
        await act(operator, operator_end_session=its["session"])
        assert await bot.ended() == ENDED
    assert [message["error"]["code"] for message in bot.received] == ["SessionEnded"]
    assert (await other.ask({"ping": 1}))["ping"] == "pong"
    again = await connected.connect()
    assert "error" not in await again.ask({"authorize": token})


async def test_the_operators_own_connection_is_ended_after_the_reply(world: World) -> None:
    operator = world.connect(at_pages=True)
    session = (await operator.ask(RIGHT))["operator_sign_in"]["session"]
    await act(operator, operator_end_session=session)
    assert await operator.ended() == ENDED


async def test_a_write_in_progress_is_answered_before_the_end(world: World) -> None:
    operator = await operator_of(world)
    bot, _ = await bot_of(world)
    [its] = [one for one in (await overview(operator))["connections"] if one["email"] == EMAIL]
    bought, ended = await asyncio.gather(
        bot.ask({"buy": "1", "price": 1000, "parameters": RISE}),
        operator.ask({"operator_end_session": its["session"]}),
    )
    assert ended["operator_end_session"] == 1
    assert bought["buy"]["contract_id"]
    assert await bot.ended() == ENDED


async def test_a_disabled_user_is_out_until_they_are_enabled(connected: Connected) -> None:
    world, operator = connected.world, await operator_at(connected)
    account = (await world.user(EMAIL, password="correct horse"))[0]
    token = await world.token(loginid=account.loginid)
    bot, bystander = await connected.connect(), await connected.connect()
    await bot.authorize(token)
    await bystander.authorize(await world.token())
    await bot.ask({"balance": 1, "subscribe": 1})
    page, sign_in = world.connect(at_pages=True), {"sign_in": 1, "email": EMAIL}
    password = {"password": "correct horse"}
    held = [one["token"] for one in (await page.ask(sign_in | password))["sign_in"]["accounts"]]
    await page.ask({"authorize": "MULTI", "tokens": held})

    disable = {"operator_user_update": EMAIL.upper(), "disabled": 1}
    for _ in range(2):
        reply = await act(operator, **disable)
        assert reply["operator_user_update"] == {"disabled": 1, "email": EMAIL}
        for ended in (bot, page):
            assert await ended.ended() == (ENDED_BY_OPERATOR, "the user was disabled")
    assert [message["error"]["code"] for message in bot.received] == ["InvalidToken"]
    again = await connected.connect()
    assert await again.refused({"authorize": token}) == "InvalidToken"
    visitor = world.connect(at_pages=True)
    assert await visitor.refused(sign_in | password) == "InvalidCredentials"
    assert "error" not in await bystander.ask({"balance": 1})
    [listed] = (await overview(operator))["disabled_users"]
    assert listed["email"] == EMAIL

    for _ in range(2):
        await act(operator, operator_user_update=EMAIL, disabled=0)
    assert (await overview(operator))["disabled_users"] == []
    assert "error" not in await visitor.ask(sign_in | password)
    # Revoked tokens stay revoked.
    assert await again.refused({"authorize": token}) == "InvalidToken"
    assert await operator.refused(disable | {"operator_user_update": "a@b.c"}) == "UserNotFound"


async def test_a_disabled_app_is_out_until_it_is_enabled(connected: Connected) -> None:
    world, operator = connected.world, await operator_at(connected)
    app = await world.app("read", "trade", "admin", name="Chart bot")
    token = await world.token(app=app)
    bot, idle = [await connected.connect(app_id=app.id) for _ in range(2)]
    await bot.authorize(token)
    await bot.ask({"balance": 1, "subscribe": 1})
    await idle.ask({"ping": 1})

    for _ in range(2):
        reply = await act(operator, operator_app_update=app.id, disabled=1)
        assert reply["operator_app_update"] == {
            "app_id": app.id,
            "disabled": 1,
            "name": "Chart bot",
        }
        for ended in (bot, idle):
            assert await ended.ended() == (ENDED_BY_OPERATOR, "the app was disabled")
    assert [message["error"]["code"] for message in bot.received] == ["InvalidAppID"]
    again = await connected.connect(app_id=app.id)
    refused = await again.ask({"authorize": token})
    assert refused["error"]["code"] == "InvalidAppID"
    assert "disabled" in refused["error"]["details"]["app_id"]
    assert (await again.ended())[0] == 1008
    [listed] = (await overview(operator))["disabled_apps"]
    assert (listed["app_id"], listed["name"]) == (app.id, "Chart bot")
    # No new authorization either.
    owner = await world.owner()
    asked = {"consent_request": 1, "query": f"app_id={app.id}"}
    assert await owner.refused(asked) == "ConsentRefused"

    for _ in range(2):
        await act(operator, operator_app_update=app.id, disabled=0)
    bot = await connected.connect(app_id=app.id)
    await bot.authorize(token)  # its tokens are valid again
    assert "error" not in await bot.ask({"balance": 1})
    assert "error" not in await owner.ask(asked)


async def test_the_tokens_of_a_disabled_app_commit_nothing(world: World) -> None:
    """As a transaction sees it that began before: the guard of every write of a grant."""
    operator = await operator_of(world)
    app = await world.app("read", "trade")
    bot = world.connect(app_id=app.id)
    await bot.authorize(await world.token(app=app))
    [grant] = bot._connection.session.grants.values()
    holds = world.gateway.access.guard(grant)
    await world.gateway.store.read(holds)
    await act(operator, operator_app_update=app.id, disabled=1)
    with pytest.raises(ApiError, match="AuthorizationRequired"):
        await world.gateway.store.read(holds)
    await act(operator, operator_app_update=app.id, disabled=0)
    await world.gateway.store.read(holds)


async def test_the_code_of_a_disabled_app_is_exchanged_for_nothing(world: World) -> None:
    operator = await operator_of(world)
    app = await world.app("read", flow="code")
    await world.token(app=app)
    [link] = await world.gateway.store.read(
        lambda reader: apps.links_of_user(reader, world.user_id)
    )
    verifier = "x" * 43
    challenge = codes.challenge_of(verifier)

    def code(transaction: Transaction) -> str:
        return codes.create(transaction, link.id, app.redirect_uri, given=True, challenge=challenge)

    def exchange(transaction: Transaction) -> Issued | None:
        given = {"app_id": app.id, "redirect_uri": app.redirect_uri, "verifier": verifier}
        return codes.exchange(transaction, text, **given)  # type: ignore[arg-type]

    text = await world.gateway.store.write(code)
    await act(operator, operator_app_update=app.id, disabled=1)
    assert await world.gateway.store.write(exchange) is None
    await act(operator, operator_app_update=app.id, disabled=0)
    assert await world.gateway.store.write(exchange) is not None


async def test_what_is_not_there_and_the_app_of_the_pages_are_not_disabled(world: World) -> None:
    operator = await operator_of(world)
    assert await operator.refused({"operator_app_update": 999, "disabled": 1}) == "InvalidAppID"
    assert await operator.refused({"operator_app_update": 1089, "disabled": 1}) == "AppUpdate"
    assert "error" not in await world.connect().ask({"ping": 1})


async def test_a_disabled_app_stays_disabled_after_a_change_and_a_restart(world: World) -> None:
    operator = await operator_of(world)
    app = await world.app("read", name="Chart bot")
    await act(operator, operator_app_update=app.id, disabled=1)
    owner = world.connect()
    await owner.authorize(await world.token())
    change = {"name": "Chart bot 2", "scopes": ["read"], "redirect_uri": app.redirect_uri}
    assert "error" not in await owner.ask({"app_update": app.id, **change})
    assert await world.connect(app_id=app.id).refused({"ping": 1}) == "InvalidAppID"
    [stored] = await world.gateway.store.read(
        lambda reader: [one for one in apps.load_all(reader) if one.disabled_at is not None]
    )
    assert stored.name == "Chart bot 2"


async def test_an_owner_sees_that_an_app_is_disabled(world: World) -> None:
    operator, owner = await operator_of(world), await world.owner()
    app = await world.app("read")
    for disabled in (1, 0):
        await act(operator, operator_app_update=app.id, disabled=disabled)
        assert (await owner.ask({"app_get": app.id}))["app_get"]["active"] == 1 - disabled
        [listed] = (await owner.ask({"app_list": 1}))["app_list"]
        assert listed["active"] == 1 - disabled


async def test_what_the_operator_does_is_in_the_audit_trail(world: World) -> None:
    operator = await operator_of(world)
    bot, _ = await bot_of(world)
    app = await world.app("read")
    (live,) = [one for one in (await overview(operator))["connections"] if one["email"] == EMAIL]
    await act(operator, operator_end_session=live["session"])
    await act(operator, operator_user_update=EMAIL, disabled=1)
    await act(operator, operator_user_update=EMAIL, disabled=0)
    await act(operator, operator_app_update=app.id, disabled=1)
    await act(operator, operator_app_update=app.id, disabled=0)
    assert bot.closed is not None
    found = await world.gateway.store.read(lambda reader: audit.records(reader, limit=100))
    done = [record.event for record in reversed(found) if record.actor == audit.OPERATOR]
    assert done == [
        "operator signed in",
        "connection ended",
        "user disabled",
        "tokens ended",
        "user enabled",
        "app disabled",
        "app enabled",
    ]
    assert await world.gateway.store.read(lambda reader: list(audit.faults(reader))) == []
