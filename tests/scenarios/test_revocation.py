"""Taking access back: at once, everywhere, and nothing else with it."""

import asyncio

from scopegate.gateway.access import tokens
from scopegate.gateway.calls import token_form
from scopegate.testing import World
from tests.conftest import Connected


async def test_revoking_reaches_every_live_connection_and_no_other(
    connected: Connected,
) -> None:
    world = connected.world
    app = await world.app("read")
    token = await world.token("read", app=app)
    kept = await world.token("read")
    bots = [await connected.connect(app_id=app.id) for _ in range(20)]
    for bot in bots:
        await bot.authorize(token)
        await bot.ask({"balance": 1, "subscribe": 1, "passthrough": {"a": 1}})
        await bot.ask({"transaction": 1, "subscribe": 1})
        await bot.ask({"ticks": "1HZ100V", "subscribe": 1})
    others = [await connected.connect() for _ in range(5)]
    for other in others:
        await other.authorize(kept)
        await other.ask({"balance": 1, "subscribe": 1})
    owner = await connected.connect()
    await owner.authorize(await world.token("admin"))

    assert (await owner.ask({"revoke_oauth_app": app.id}))["revoke_oauth_app"] == 1
    # From the reply on, nothing of it holds: whatever is asked or booked now.
    refusals = [bot.refused({"balance": 1}) for bot in bots]
    assert await asyncio.gather(*refusals) == ["AuthorizationRequired"] * 20
    await world.credit(100)
    world.clock.advance(1)
    for bot in bots:
        ended = [await bot.next(), await bot.next()]
        assert {message["error"]["code"] for message in ended} == {"InvalidToken"}
        assert {message["msg_type"] for message in ended} == {"balance", "transaction"}
        assert all(message["subscription"]["id"] for message in ended)
        assert ended[0]["passthrough"] == {"a": 1}
        assert (await bot.next())["msg_type"] == "tick"
        assert (await bot.ask({"ping": 1}))["ping"] == "pong"
        assert bot.received == []
    for other in others:
        assert (await other.next())["balance"]["balance"] == 10001.0
        assert (await other.ask({"balance": 1}))["balance"]["balance"] == 10001.0


async def test_deleting_the_token_in_use_answers_first(connected: Connected) -> None:
    client = await connected.connect()
    token = await connected.world.token("admin", "read")
    await client.authorize(token)
    stream = await client.ask({"balance": 1, "subscribe": 1})
    reply = await client.ask({"api_token": 1, "delete_token": token_form.masked(token)})
    assert reply["api_token"]["delete_token"] == 1
    ended = await client.next()
    assert ended["error"]["code"] == "InvalidToken"
    assert ended["subscription"] == stream["subscription"]
    assert await client.refused({"balance": 1}) == "AuthorizationRequired"


async def test_one_account_of_several_ends_alone(world: World) -> None:
    first, second = world.real
    texts = [
        await world.token("read", loginid=first.loginid),
        await world.token("read", loginid=second.loginid),
    ]
    client = world.connect()
    await client.ask({"authorize": "MULTI", "tokens": texts})
    await client.ask({"balance": 1, "subscribe": 1, "loginid": first.loginid})
    await client.ask({"balance": 1, "subscribe": 1, "loginid": second.loginid})
    owner = world.connect()
    await owner.authorize(await world.token("admin", loginid=first.loginid))
    await owner.ask({"api_token": 1, "delete_token": token_form.masked(texts[0])})
    assert (await client.next())["error"]["code"] == "InvalidToken"
    await world.credit(100, second.loginid)
    assert (await client.next())["balance"]["loginid"] == second.loginid
    assert await client.refused({"balance": 1, "loginid": first.loginid}) == (
        "InputValidationFailed"
    )


async def test_a_revocation_between_look_up_and_grant_is_not_missed(world: World) -> None:
    """Authorising and revoking race on 50 connections: who is let in late is not let in at all."""
    owner = world.connect()
    await owner.authorize(await world.token("admin"))
    for _ in range(10):
        token = await world.token("read")
        clients = [world.connect() for _ in range(5)]
        asked = [asyncio.ensure_future(client.ask({"authorize": token})) for client in clients]
        masked = token_form.masked(token)
        await owner.ask({"api_token": 1, "delete_token": masked})
        await asyncio.gather(*asked)
        for client in clients:
            assert await client.refused({"balance": 1}) == "AuthorizationRequired"


async def test_nothing_commits_for_a_revoked_grant(world: World) -> None:
    """A top-up that waits for the writer behind the end of its token does nothing."""
    await world.credit(-500_000)
    token = await world.token("trade")
    client = world.connect()
    await client.authorize(token)
    owner = world.connect()
    await owner.authorize(await world.token("admin", "read"))
    delete = {"api_token": 1, "delete_token": token_form.masked(token)}
    revoked, topped_up = await asyncio.gather(owner.ask(delete), client.ask({"topup_virtual": 1}))
    assert "error" not in revoked
    assert topped_up["error"]["code"] == "AuthorizationRequired"
    assert (await owner.ask({"balance": 1}))["balance"]["balance"] == 5000.0


async def test_a_deletion_that_outlives_its_answer_ends_the_streams_at_once(world: World) -> None:
    """The token's own request was answered `Timeout`, and its deletion commits after that."""
    token = await world.token("admin", "read")
    client = world.connect()
    await client.authorize(token)
    await client.ask({"balance": 1, "subscribe": 1})
    session = client._connection.session
    token_id = session.grant.token_id
    await world.gateway.store.write(
        lambda transaction: tokens.end(transaction, [token_id], by=session.id)
    )
    assert (await client.next())["error"]["code"] == "InvalidToken"
    await world.credit(100)
    assert client.received == []
