"""Owners ask for faults of their own connections, see them, and end them; nobody else has any."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scopegate import testing
from scopegate.app import compose
from scopegate.gateway.access import stored_faults, tokens
from scopegate.gateway.access.faults_in_force import Faults
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.injecting import EXEMPT, Injector
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.runtime.clock import HandClock
from scopegate.settings import chosen
from scopegate.testing import NOON, Client, Mailbox, World
from tests.conftest import Connected

BUY: dict[str, Any] = {
    "buy": "1",
    "price": 10,
    "parameters": {
        "amount": 10,
        "basis": "stake",
        "contract_type": "CALL",
        "currency": "USD",
        "symbol": "R_100",
        "duration": 5,
        "duration_unit": "t",
    },
}


async def code_of(client: Client, request: dict[str, Any]) -> str:
    """The code of the error that answers a request; `ok` if none does."""
    reply = await client.ask(request)
    return str(reply["error"]["code"]) if "error" in reply else "ok"


async def started(owner: Client, kind: str, **more: Any) -> dict[str, Any]:
    reply = await owner.ask({"fault_start": kind, **more})
    assert "error" not in reply, reply["error"]
    body: dict[str, Any] = reply["fault_start"]
    return body


async def listed(owner: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await owner.ask({"fault_list": 1}))["fault_list"]
    return found


async def signed_in(connected: Connected, token: str) -> Client:
    client = await connected.connect()
    await client.authorize(token)
    return client


async def test_an_owner_has_a_fault_on_a_token_until_it_is_ended(connected: Connected) -> None:
    world = connected.world
    token, other = await world.token("trade"), await world.token("trade")
    owner = await world.owner()
    bot, beside = await signed_in(connected, token), await signed_in(connected, other)

    masked = token_form.masked(token)
    options = {"call": "buy", "times": 0}
    begun = await started(owner, "internal_error", options=options, token=token)
    assert begun == {
        "app_id": None,
        "kind": "internal_error",
        "name": begun["name"],
        "number": 1,
        "options": options,
        "strikes": 0,
        "token": masked,
    }
    assert await code_of(bot, BUY) == "InternalServerError"
    later = await signed_in(connected, token)
    assert await code_of(later, BUY) == "InternalServerError"
    assert await code_of(beside, BUY) == "ok"
    assert await listed(owner) == [{**begun, "strikes": 2}]

    assert (await owner.ask({"fault_end": 1}))["fault_end"] == 1
    assert await listed(owner) == []
    assert [await code_of(each, BUY) for each in (bot, later)] == ["ok", "ok"]


async def test_a_bot_asks_for_faults_of_its_own_token(connected: Connected) -> None:
    bot = await signed_in(connected, await connected.world.token("admin", "trade"))
    begun = await started(bot, "rate_limit", options={"times": 0})
    assert await code_of(bot, {"ping": 1}) == "RateLimit"
    # The calls about faults are never affected, so every fault can be ended.
    assert [each["number"] for each in await listed(bot)] == [begun["number"]]
    assert await code_of(bot, {"fault_end": begun["number"]}) == "ok"
    assert await code_of(bot, {"ping": 1}) == "ok"
    assert {call.name for call in connected.world.gateway.registry} >= EXEMPT


async def test_a_fault_of_an_app_is_of_one_user_and_that_app(connected: Connected) -> None:
    world = connected.world
    app, unaffected = await world.app("trade"), await world.app("trade")
    _, theirs = await world.user("eve@example.com")
    mine = await connected.connect(app_id=app.id)
    await mine.authorize(await world.token(app=app))
    same_app = await connected.connect(app_id=app.id)
    await same_app.authorize(await world.token(app=app, loginid=theirs.loginid))
    other_app = await connected.connect(app_id=unaffected.id)
    await other_app.authorize(await world.token(app=unaffected))

    owner = await world.owner()
    begun = await started(owner, "market_closed", options={"times": 0}, app_id=app.id)
    assert (begun["app_id"], begun["name"], begun["token"]) == (app.id, app.name, "")
    assert await code_of(mine, BUY) == "MarketIsClosed"
    assert [await code_of(each, BUY) for each in (same_app, other_app)] == ["ok", "ok"]

    assert await code_of(owner, {"revoke_oauth_app": app.id}) == "ok"
    assert await listed(owner) == []
    await mine.authorize(await world.token(app=app))  # authorized again: without the fault
    assert await code_of(mine, BUY) == "ok"


async def test_real_style_accounts_have_no_faults(world: World) -> None:
    loginid = world.real[0].loginid
    bot = world.connect()
    await bot.authorize(await world.token("admin", loginid=loginid))
    reply = await bot.ask({"fault_start": "latency"})
    assert reply["error"]["code"] == "FaultsNotAllowed"
    assert reply["error"]["message"] == "Only demo accounts can have faults."


async def test_a_connection_with_a_real_style_account_has_no_faults(world: World) -> None:
    demo, real = await world.token(), await world.token(loginid=world.real[0].loginid)
    await started(await world.owner(), "rate_limit", options={"times": 0}, token=demo)
    both = world.connect()
    await both.ask({"authorize": "MULTI", "tokens": [demo, real]})
    assert await code_of(both, {"ping": 1}) == "ok"
    await both.authorize(demo)
    assert await code_of(both, {"ping": 1}) == "RateLimit"


@pytest.mark.parametrize(
    ("allow", "code"), [(False, "FaultsNotAllowed"), (True, "ok")], ids=["by default", "allowed"]
)
async def test_where_others_can_connect_faults_need_a_setting(allow: bool, code: str) -> None:
    settings = {"allowed_host": ("gateway.example.com",), "allow_faults": allow}
    async with testing.world(**settings) as world:
        bot = world.connect()
        await bot.authorize(await world.token("admin"))
        assert await code_of(bot, {"fault_start": "rate_limit", "options": {"times": 0}}) == code
        is_faulty = await code_of(bot, {"ping": 1}) == "RateLimit"
        assert is_faulty is allow


async def test_apps_ask_for_no_faults(world: World) -> None:
    app = await world.app("admin", "trade")
    client = world.connect(app_id=app.id)
    await client.authorize(await world.token(app=app))
    for request in ({"fault_start": "latency"}, {"fault_list": 1}, {"fault_end": 1}):
        assert await code_of(client, request) == "PermissionDenied"


async def test_an_invalid_fault_is_refused_with_what_there_is(world: World) -> None:
    bot = world.connect()
    await bot.authorize(await world.token("admin"))
    kinds = (await bot.ask({"fault_kinds": 1}))["fault_kinds"]
    assert len(kinds) >= 16

    wrong = await bot.ask({"fault_start": "explode"})
    assert wrong["error"]["code"] == "InputValidationFailed"
    [(field, text)] = wrong["error"]["details"].items()
    assert field == "fault_start"
    assert all(kind["name"] in text for kind in kinds)

    wrong = await bot.ask({"fault_start": "drop", "options": {"after": "bye"}})
    assert wrong["error"]["details"] == {
        "options.after": "There is no call bye. docs/calls lists all."
    }
    wrong = await bot.ask({"fault_start": "tick_gap", "options": {"symbol": "NONE"}})
    assert wrong["error"]["details"] == {
        "options.symbol": "There is no symbol NONE. active_symbols lists all, and docs/markets.md"
        " those that every gateway has."
    }
    wrong = await bot.ask({"fault_start": "latency", "options": {"seconds": 3}})
    [(field, text)] = wrong["error"]["details"].items()
    assert field == "options.seconds"
    [latency] = [kind for kind in kinds if kind["name"] == "latency"]
    assert all(option["name"] in text for option in latency["options"])
    assert await listed(bot) == []


async def test_the_pages_have_no_faults(world: World) -> None:
    owner = await world.owner()
    assert await code_of(owner, {"fault_start": "latency"}) == "InputValidationFailed"
    both = {"fault_start": "latency", "token": "***", "app_id": 1089}
    assert await code_of(owner, both) == "InputValidationFailed"
    assert await code_of(owner, {"fault_start": "latency", "token": "***"}) == "APITokenError"
    assert await code_of(owner, {"fault_start": "latency", "app_id": 77}) == "InvalidAppID"


async def test_nobody_ends_or_sees_the_fault_of_another(world: World) -> None:
    mine = world.connect()
    await mine.authorize(await world.token("admin"))
    number = (await started(mine, "duplicate_events"))["number"]
    _, theirs = await world.user("eve@example.com")
    other = world.connect()
    await other.authorize(await world.token("admin", loginid=theirs.loginid))
    assert await listed(other) == []
    assert await code_of(other, {"fault_end": number}) == "FaultNotFound"
    assert len(await listed(mine)) == 1


async def test_a_token_has_so_many_faults_and_no_more(world: World) -> None:
    bot = world.connect()
    await bot.authorize(await world.token("admin"))
    for _ in range(stored_faults.MAX_FAULTS):
        await started(bot, "duplicate_events")
    assert await code_of(bot, {"fault_start": "duplicate_events"}) == "TooManyFaults"


async def test_a_fault_ends_with_its_token(world: World) -> None:
    owner, token = await world.owner(), await world.token("trade")
    begun = await started(owner, "internal_error", token=token)
    await owner.ask({"api_token": 1, "delete_token": token})
    assert await listed(owner) == []
    with pytest.raises(KeyError):
        world.service(Faults).course(begun["number"])


async def test_a_token_that_takes_the_place_of_another_has_no_faults(world: World) -> None:
    owner, token = await world.owner(), await world.token("trade")
    await started(owner, "internal_error", options={"times": 0}, token=token)
    rotated = (await owner.ask({"token_rotate": token}))["token_rotate"]["token"]
    bot = world.connect()
    await bot.authorize(rotated)
    assert await code_of(bot, BUY) == "ok"
    assert await listed(owner) == []


async def test_a_connection_without_faults_has_nothing_in_between(world: World) -> None:
    token = await world.token("admin", "trade")
    bot = world.connect()
    await bot.authorize(token)
    [session] = [each for each in world.gateway.access.sessions if each.grants]
    plain = session.send
    number = (await started(bot, "latency", options={"milliseconds": 1}))["number"]
    assert isinstance(getattr(session.send, "__self__", None), Injector)
    await bot.ask({"fault_end": number})
    assert session.send == session.send_event == plain


async def test_faults_survive_a_restart(tmp_path: Path) -> None:
    settings = chosen(db=tmp_path / "faults.db", seed="faults", demo=True, port=0)
    clock = HandClock(NOON)
    async with compose(settings, clock) as gateway:
        world = await World.around(gateway, clock, Mailbox())
        token = await world.token("admin", "trade")
        bot = world.connect()
        await bot.authorize(token)
        begun = await started(bot, "rate_limit", options={"call": "buy", "times": 0})
        assert await code_of(bot, BUY) == "RateLimit"
    async with compose(settings, clock) as gateway:
        world = await World.around(gateway, clock, Mailbox())
        bot = world.connect()
        await bot.authorize(token)
        assert await listed(bot) == [begun]
        assert await code_of(bot, BUY) == "RateLimit"


async def test_a_stored_fault_that_is_no_longer_known_is_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = world.connect()
    await bot.authorize(await world.token("admin"))
    fault = FaultKinds().checked("rate_limit", {"times": 0})
    object.__setattr__(fault, "kind", "of_another_release")
    token = (await bot.ask({"token_restrictions": 1}))["token_restrictions"]["token"]

    def job(transaction: Any) -> int:
        found = tokens.managed(transaction, world.loginid, token)
        return stored_faults.start(transaction, fault, token_id=found.id)

    number = await world.gateway.store.write(job)
    assert await code_of(bot, {"ping": 1}) == "ok"
    assert [each["kind"] for each in await listed(bot)] == ["of_another_release"]
    assert await code_of(bot, {"fault_end": number}) == "ok"


async def bought(world: World) -> list[int]:
    """The contracts of the demo account."""
    rows = await world.gateway.store.read(
        lambda reader: reader.all(
            "SELECT id FROM contracts WHERE loginid = ? ORDER BY id", world.loginid
        )
    )
    return [row["id"] for row in rows]


async def test_nothing_acknowledged_is_lost_under_faults(world: World) -> None:
    """Whatever happens to connections, what a bot was told of is there."""
    token, owner = await world.token("trade"), await world.owner()
    for kind, options in (
        ("drop_at_random", {"chance": 0.2}),
        ("lost_reply", {"after": "buy", "chance": 0.3, "times": 0}),
        ("internal_error", {"chance": 0.1, "times": 0}),
        ("latency", {"milliseconds": 1, "jitter": 3}),
    ):
        await started(owner, kind, options=options, token=token)
    acknowledged: set[int] = set()
    for _ in range(15):
        bot = world.connect()
        asked = [asyncio.ensure_future(bot.ask({"authorize": token}))]
        asked += [asyncio.ensure_future(bot.ask(BUY)) for _ in range(5)]
        asked.append(asyncio.ensure_future(bot.ask({"ping": 1})))
        await asyncio.wait(asked, return_when=asyncio.FIRST_EXCEPTION, timeout=0.2)
        for each in asked:
            each.cancel()
        replies = await asyncio.gather(*asked, return_exceptions=True)
        acknowledged |= {
            reply["buy"]["contract_id"]
            for reply in replies
            if isinstance(reply, dict) and "buy" in reply
        }
        bot.leave()
    there = set(await bought(world))
    assert acknowledged < there
    assert len(acknowledged) > 5


async def test_a_fault_revokes_a_token_amid_the_purchases_of_others(world: World) -> None:
    """A real revocation: what was answered is there, and nothing is bought after it."""
    owner = await world.owner()
    for _ in range(5):
        token = await world.token("trade")
        await started(owner, "revoke_token", options={"after": "buy", "skip": 3}, token=token)
        clients = [world.connect() for _ in range(2)]
        for client in clients:
            await client.authorize(token)
        before = set(await bought(world))
        replies = await asyncio.gather(*(c.ask(BUY) for c in clients for _ in range(8)))
        told = {reply["buy"]["contract_id"] for reply in replies if "error" not in reply}
        codes = {reply["error"]["code"] for reply in replies if "error" in reply}
        assert codes == {"AuthorizationRequired"}
        assert told == set(await bought(world)) - before
        assert len(told) >= 4
        assert [await code_of(client, {"balance": 1}) for client in clients] == [
            "AuthorizationRequired"
        ] * 2


async def test_a_revocation_ends_what_a_fault_delays(world: World) -> None:
    """The error that ends a stream comes after what was sent before, and nothing follows it."""
    token, owner = await world.token("read"), await world.owner()
    bot = world.connect()
    await bot.authorize(token)
    await started(owner, "latency", options={"milliseconds": 20, "jitter": 30}, token=token)
    await bot.ask({"balance": 1, "subscribe": 1})
    await world.credit(100)
    await owner.ask({"api_token": 1, "delete_token": token})
    await world.credit(100)
    assert [message.get("error", {}).get("code") for message in [await bot.next()]] == [None]
    assert (await bot.next())["error"]["code"] == "InvalidToken"
    assert await code_of(bot, {"ping": 1}) == "ok"
    assert bot.received == []
