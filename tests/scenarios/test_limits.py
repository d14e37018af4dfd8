"""One client's messages and streams do not limit another's, nor an app those of its user."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from scopegate import testing
from scopegate.gateway.access import tokens
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.limits import PROFILES
from scopegate.store.transactions import Transaction
from scopegate.testing import Client, World
from tests.conftest import limited
from tests.served import over_sockets

DERIV = PROFILES["deriv"]


@dataclass
class Connected:
    """A world under some limits, and how its clients connect."""

    world: World
    connect: Callable[..., Awaitable[Client]]

    async def owner(self) -> Client:
        """A page of the gateway's own, at which the demo user has signed in."""
        client = await self.connect(at_pages=True)
        reply = await client.ask({"sign_in_demo": 1})
        held = [account["token"] for account in reply["sign_in_demo"]["accounts"]]
        assert "error" not in await client.ask({"authorize": "MULTI", "tokens": held})
        return client


@pytest.fixture(params=["memory", "socket"])
def over(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
async def connected(over: str) -> AsyncIterator[Connected]:
    """The limits of the published API."""
    async with limited(limits="deriv") as world:
        if over == "socket":
            async with over_sockets(world) as connect_socket:
                yield Connected(world, connect_socket)
        else:

            async def connect(app_id: int | str = 1089, **how: Any) -> Client:
                return world.connect(app_id=app_id, **how)

            yield Connected(world, connect)


async def exhaust(client: Client, limit: int = DERIV.general.minutely) -> None:
    """Send pings until one is refused, and a few more."""
    replies = [await client.ask({"ping": 1}) for _ in range(limit + 5)]
    assert "error" in replies[-1]


async def test_an_owner_revokes_access_while_the_app_floods(connected: Connected) -> None:
    world = connected.world
    app = await world.app("read")
    token = await world.token("read", app=app)
    signed_in_before = await connected.owner()
    bot = await connected.connect(app_id=app.id)
    await bot.authorize(token)
    await exhaust(bot)
    # Another connection of the app's, another token of its authorization: the same count.
    again = await connected.connect(app_id=app.id)
    await again.authorize(await world.token("read", app=app))
    assert await again.refused({"ping": 1}) == "RateLimit"
    # Nor do messages of the address before sign-in limit the owner.
    anonymous = await connected.connect()
    await exhaust(anonymous, DERIV.general.minutely - 2)
    assert await anonymous.refused({"authorize": token}) == "RateLimit"

    fresh = await connected.owner()
    for owner in (signed_in_before, fresh):
        assert "error" not in await owner.ask({"connected_apps": 1})
        assert "error" not in await owner.ask({"token_list": 1})
    assert "error" not in await fresh.ask({"revoke_access": app.id})
    elsewhere = await connected.connect(app_id=app.id, address="127.0.0.3")
    assert await elsewhere.refused({"authorize": token}) == "InvalidToken"
    assert "error" not in await signed_in_before.ask({"sign_out": 1})


async def test_each_token_has_its_own_count(connected: Connected) -> None:
    world = connected.world
    first, second = await world.token("read"), await world.token("read")
    flooder = await connected.connect()
    await flooder.authorize(first)
    await exhaust(flooder)
    other = await connected.connect()
    await other.authorize(second)
    assert (await other.ask({"ping": 1}))["ping"] == "pong"


async def test_a_token_minted_by_an_app_shares_its_count(connected: Connected) -> None:
    world = connected.world
    app = await world.app("read", "admin")
    client = await connected.connect(app_id=app.id)
    await client.authorize(await world.token("read", "admin", app=app))
    made = await client.ask({"api_token": 1, "new_token": "Further", "new_token_scopes": ["read"]})
    minted = next(
        row["token"] for row in made["api_token"]["tokens"] if row["display_name"] == "Further"
    )
    await exhaust(client)
    further = await connected.connect(app_id=app.id)
    await further.authorize(minted)
    assert await further.refused({"ping": 1}) == "RateLimit"


async def test_tokens_made_with_a_token_share_its_count(connected: Connected) -> None:
    async def mint(client: Client, name: str, *scopes: str) -> str:
        made = await client.ask({"api_token": 1, "new_token": name, "new_token_scopes": [*scopes]})
        rows = made["api_token"]["tokens"]
        token: str = next(row["token"] for row in rows if row["display_name"] == name)
        return token

    root, child, grandchild = [await connected.connect() for _ in range(3)]
    await root.authorize(await connected.world.token("read", "admin"))
    await child.authorize(await mint(root, "Child", "read", "admin"))
    await grandchild.authorize(await mint(child, "Grandchild", "read"))
    await exhaust(grandchild)
    for client in (root, child, grandchild):
        assert await client.refused({"ping": 1}) == "RateLimit"


async def test_several_tokens_of_a_connection_are_counted_each_for_itself(
    connected: Connected,
) -> None:
    world = connected.world
    real = world.real[0].loginid
    one, two = await world.token("read"), await world.token("read", loginid=real)
    client = await connected.connect()
    assert "error" not in await client.ask({"authorize": "MULTI", "tokens": [one, two]})
    for loginid, answered in ((world.demo.loginid, 25), (real, 25)):
        asked = {"statement": 1, "loginid": loginid}
        replies = [await client.ask(asked) for _ in range(answered + 1)]
        assert sum("error" not in reply for reply in replies) == answered


async def test_addresses_are_counted_by_their_block() -> None:
    async with limited(limits="deriv") as world:
        flooder = world.connect(address="2001:db8:1:2::1")
        await exhaust(flooder)
        same = world.connect(address="2001:db8:1:2:ffff::2")
        assert await same.refused({"ping": 1}) == "RateLimit"
        other = world.connect(address="2001:db8:1:3::1")
        assert (await other.ask({"ping": 1}))["ping"] == "pong"


def quote(number: int) -> dict[str, Any]:
    return {
        "proposal": 1,
        "amount": 10 + number,
        "basis": "stake",
        "contract_type": "CALL",
        "currency": "USD",
        "duration": 5,
        "duration_unit": "t",
        "symbol": "1HZ100V",
        "subscribe": 1,
    }


async def test_proposal_streams_are_bounded_for_an_address_and_for_a_user(
    connected: Connected,
) -> None:
    most, on_one = DERIV.proposal_streams_per_client, DERIV.proposal_streams
    clients = [await connected.connect() for _ in range(most // on_one + 2)]
    replies = [
        await client.ask(quote(number)) for client in clients for number in range(on_one + 1)
    ]
    opened = [reply["subscription"]["id"] for reply in replies if "error" not in reply]
    assert len(opened) == most
    limits = {reply["error"]["details"]["limit"] for reply in replies if "error" in reply}
    assert limits == {
        f"{on_one} proposal streams at once",
        f"{most} proposal streams of one address",
    }
    # After sign-in a client counts for the user, from any address.
    token = await connected.world.token("read")
    member = clients[-1]
    await member.authorize(token)
    assert "subscription" in await member.ask(quote(0))
    # What is ended makes room.
    assert (await clients[0].ask({"forget": opened[0]}))["forget"] == 1
    assert "subscription" in await clients[0].ask(quote(99))


async def test_one_app_cannot_take_all_streams_of_its_user() -> None:
    async with limited(limits="deriv", streams_per_client=8) as world:
        app = await world.app("read")
        bot = world.connect(app_id=app.id)
        await bot.authorize(await world.token("read", app=app))
        symbols = ["R_10", "R_25", "R_50", "R_75", "R_100"]
        replies = [await bot.ask({"ticks": name, "subscribe": 1}) for name in symbols]
        assert ["error" in reply for reply in replies] == [False] * 4 + [True]
        assert replies[-1]["error"]["details"] == {"limit": "4 streams of one app"}
        own = world.connect()
        await own.authorize(await world.token("read"))
        assert "error" not in await own.ask({"ticks": "R_10", "subscribe": 1})
        owner = await world.owner()
        for name in symbols:
            assert "error" not in await owner.ask({"ticks": name, "subscribe": 1})


@pytest.mark.parametrize("by", ["revocation", "logout"])
async def test_streams_of_who_is_signed_out_do_not_count_for_the_user(by: str) -> None:
    """Two apps take all streams of their user: without them the user has room again."""
    async with limited(limits="deriv", streams_per_client=8) as world:
        symbols = ["R_10", "R_25", "R_50", "R_75"]
        bots = []
        owner = await world.owner()
        for number in range(2):
            app = await world.app("read")
            bot = world.connect(app_id=app.id, address=f"192.0.2.{number}")
            token = await world.token("read", app=app)
            await bot.authorize(token)
            for name in symbols:
                assert "error" not in await bot.ask({"ticks": name, "subscribe": 1})
            await bot.authorize(token)  # again: its streams are the user's still
            bots.append((bot, app))
        own = world.connect()
        await own.authorize(await world.token("read"))
        assert await own.refused({"ticks": "R_100", "subscribe": 1}) == "RateLimit"
        # From the address of the second app others have streams too.
        other = world.connect(address="192.0.2.1")
        for name in ("R_10", "R_25", "R_50", "R_75", "R_100", "1HZ10V"):
            assert "error" not in await other.ask({"ticks": name, "subscribe": 1})

        for bot, app in bots:
            if by == "logout":
                await bot.ask({"logout": 1})
            else:
                assert "error" not in await owner.ask({"revoke_access": app.id})
        for name in [*symbols, "R_100", "1HZ10V", "1HZ25V", "1HZ50V"]:
            assert "error" not in await own.ask({"ticks": name, "subscribe": 1})
        # They go on where their address has room for them, and end where it has not.
        assert bots[0][0].received == []
        ended = [message["error"]["details"] for message in bots[1][0].received]
        assert ended == [{"limit": "8 streams of one address"}] * 2
        for client in (own, other, *(bot for bot, _ in bots)):
            client.leave()
        counted = {holder for holder, _ in world.gateway.access._connections._held}
        assert counted == {f"owner {world.demo.user_id}", "pages 127.0.0.1"}


async def test_connections_of_a_user_are_bounded() -> None:
    async with limited(limits="deriv", connections_per_user=2) as world:
        token = await world.token("read")
        clients = [world.connect(address=f"10.0.0.{number}") for number in range(3)]
        for client in clients[:2]:
            await client.authorize(token)
        reply = await clients[2].ask({"authorize": token})
        assert reply["error"]["code"] == "RateLimit"
        assert reply["error"]["details"] == {"limit": "2 connections of one user"}
        assert (await clients[2].ask({"ping": 1}))["ping"] == "pong"
        await clients[0].authorize(token)  # again: it is counted already
        await world.owner()
        await clients[0].ask({"logout": 1})
        await clients[2].authorize(token)
        # A connection whose token has ended is nobody's.
        digest = token_form.digest(token)

        def end(transaction: Transaction) -> None:
            found = tokens.find(transaction, digest)
            assert found is not None
            tokens.end(transaction, [found.id])

        await world.gateway.store.write(end)
        fresh = await world.token("read")
        await clients[0].authorize(fresh)
        await clients[1].authorize(fresh)
        assert await clients[2].refused({"authorize": fresh}) == "RateLimit"
        # A closed connection no longer counts, and nothing of it is kept.
        for client in clients:
            client.leave()
        counted = {holder for holder, _ in world.gateway.access._connections._held}
        assert counted == {f"owner {world.demo.user_id}", "pages 127.0.0.1"}


async def test_connections_of_an_address_are_refused_before_they_open() -> None:
    async with (
        limited(limits="deriv", connections_per_address=3) as world,
        over_sockets(world) as connect,
    ):
        clients = [await connect(address="127.0.0.2") for _ in range(3)]
        with pytest.raises(InvalidStatus) as refused:
            await connect(address="127.0.0.2")
        assert refused.value.response.status_code == 429
        assert b"3 connections of one address" in refused.value.response.body
        assert (await (await connect()).ask({"ping": 1}))["ping"] == "pong"
        await connect(address="127.0.0.2", at_pages=True)
        await clients[0].aclose()
        await connect(address="127.0.0.2")


async def test_an_address_that_has_sent_too_much_connects_later() -> None:
    async with (
        limited(limits="deriv", messages_per_minute=4) as world,
        over_sockets(world) as connect,
    ):
        client = await connect(address="127.0.0.2")
        for _ in range(3):
            await client.ask({"ping": 1})
        with pytest.raises(InvalidStatus) as refused:
            await connect(address="127.0.0.2")
        assert refused.value.response.status_code == 429
        assert b"4 messages a minute" in refused.value.response.body


@pytest.mark.lengthy
async def test_thousands_of_local_connections_and_streams() -> None:
    """The limits of a gateway on loopback are wide: one program may open all that it wants."""
    async with testing.world() as world:
        token = await world.token("read")
        clients = [world.connect() for _ in range(2_000)]
        for client in clients:
            await client.authorize(token)
            assert "error" not in await client.ask({"ticks": "R_100", "subscribe": 1})
        for client in clients[:20]:
            for number in range(100):
                assert "error" not in await client.ask(quote(number))


async def test_a_long_passthrough_cannot_fill_the_memory(connected: Connected) -> None:
    client = await connected.connect()
    asked = {"ticks": "R_100", "subscribe": 1, "passthrough": {"x": "y" * 60_000}}
    reply = await client.ask(asked)
    assert reply["error"]["code"] == "RateLimit"
    assert reply["error"]["details"] == {
        "limit": f"{DERIV.stream_bytes} bytes held by the streams of one connection"
    }
    asked["passthrough"] = {"x": "y" * 20_000}
    assert "error" not in await client.ask(asked)
    assert await client.refused({**asked, "ticks": "R_10"}) == "RateLimit"
    # The client's other connections share a bound as well.
    opened = 1
    for _ in range(10):
        other = await connected.connect()
        opened += "error" not in await other.ask(asked)
    assert opened == DERIV.stream_bytes_per_client // 40_200


BOUNDS = {
    "empty_frames": (30, "connection"),
    "handlers_at_once": (8, "client"),
    "long_work_at_once": (1, "gateway"),
    "long_work_waiting": (256, "gateway"),
    "long_work_waiting_per_client": (3, "client"),
    "passwords_at_once": (2, "gateway"),
    "passwords_waiting": (16, "gateway"),
    "passwords_waiting_per_client": (8, "client"),
    "writes_waiting": (10_000, "gateway"),
    "letters_of_client": (60, "client"),
    "tokens_of_app": (20, "account"),
    "apps_of_app": (20, "user"),
    "accounts": (20, "user"),
    "accounts_by_apps": (10, "user"),
}
"""What is bounded alike with all limits, and for whom."""


async def test_every_limit_is_listed(connected: Connected) -> None:
    client = await connected.connect()
    rows = (await client.ask({"limits": 1}))["limits"]
    listed = {row["name"]: row for row in rows}
    assert len(listed) == len(rows)
    assert listed["general_per_minute"] == {
        "name": "general_per_minute",
        "value": 180,
        "unit": "general calls a minute",
        "per": "token",
    }
    assert listed["connections_per_address"]["value"] == DERIV.connections_per_address
    assert listed["message_bytes"]["value"] == 65536
    assert listed["http_per_minute"] == {
        "name": "http_per_minute",
        "value": 600,
        "unit": "requests a minute",
        "per": "address",
    }
    bounds = {name: (listed[name]["value"], listed[name]["per"]) for name in BOUNDS}
    assert bounds == BOUNDS
    published = (await client.ask({"website_status": 1}))["website_status"]["api_call_limits"]
    assert published["max_requestes_general"]["minutely"] == 180
    assert published["max_requests_pricing"]["hourly"] == 14_400
    assert published["max_proposal_subscription"]["max"] == 5
