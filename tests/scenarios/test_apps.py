"""Apps and the links by which they act for a user: registered, connected, used, revoked."""

import pytest

from scopegate import testing
from scopegate.gateway.access import apps
from scopegate.store.errors import StoreError
from scopegate.testing import World
from tests.conftest import Connected
from tests.stores import run_once

FIELDS = {"name": "Chart bot", "scopes": ["read", "trade"], "redirect_uri": "https://bot.test/in"}


async def test_an_owner_registers_and_looks_after_apps(connected: Connected) -> None:
    client = await connected.connect()
    await client.authorize(await connected.world.token("admin", "read"))
    made = (await client.ask({"app_register": 1, **FIELDS}))["app_register"]
    assert made["app_id"] > 1089
    assert made["scopes"] == ["read", "trade"]
    assert (await client.ask({"app_get": made["app_id"]}))["app_get"] == made
    assert (await client.ask({"app_list": 1}))["app_list"] == [made]

    changed = {**FIELDS, "name": "Chart bot 2", "app_markup_percentage": "1.25"}
    updated = (await client.ask({"app_update": made["app_id"], **changed}))["app_update"]
    assert updated["name"] == "Chart bot 2"
    assert updated["app_markup_percentage"] == 1.25
    assert (await client.ask({"app_delete": made["app_id"]}))["app_delete"] == 1
    assert (await client.ask({"app_list": 1}))["app_list"] == []
    assert await client.refused({"app_get": made["app_id"]}) == "InvalidAppID"


async def test_another_users_app_is_none_of_ones_business(world: World) -> None:
    theirs = await world.app("read")
    stranger = (await world.user("ada@example.com"))[0]
    client = world.connect()
    await client.authorize(await world.token(loginid=stranger.loginid))
    for request in (
        {"app_get": theirs.id},
        {"app_delete": theirs.id},
        {"app_update": theirs.id, **FIELDS},
        {"app_get": 1089},
        {"app_delete": 1089},
    ):
        assert await client.refused(request) == "InvalidAppID"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "<b>"}, "name"),
        ({"scopes": ["read", "read"]}, "scopes"),
        ({"scopes": ["root"]}, "scopes.0"),
        ({"scopes": []}, "scopes"),
        ({"redirect_uri": "http://bot.test/in"}, "redirect_uri"),
        ({"redirect_uri": "javascript:alert(1)"}, "redirect_uri"),
        ({"redirect_uri": "https://user@bot.test/"}, "redirect_uri"),
        ({"redirect_uri": "https://bot.test/#x"}, "redirect_uri"),
        ({"redirect_uri": "https://bot.test\\@evil.test/"}, "redirect_uri"),
        ({"redirect_uri": "http://localhost.evil.test/"}, "redirect_uri"),
        ({"redirect_uri": "http://127.0.0.1.evil.test/"}, "redirect_uri"),
        ({"redirect_uri": "https://"}, "redirect_uri"),
        ({"redirect_uri": "https://bot.test:99999/"}, "redirect_uri"),
        ({"redirect_uri": "https://bot.test/\r\nx: y"}, "redirect_uri"),
        ({"homepage": "ftp://bot.test/"}, "homepage"),
        ({"app_markup_percentage": 3.01}, "app_markup_percentage"),
        ({"app_markup_percentage": 1, "redirect_uri": ""}, "redirect_uri"),
    ],
)
async def test_what_an_app_may_not_be(world: World, change: dict, field: str) -> None:
    client = world.connect()
    await client.authorize(await world.token("admin"))
    reply = await client.ask({"app_register": 1, **FIELDS, **change})
    assert reply["error"]["code"] == "InputValidationFailed"
    assert list(reply["error"]["details"]) == [field]


@pytest.mark.parametrize(
    "target",
    [
        "http://localhost:3000/callback",
        "http://127.0.0.1:8080/",
        "http://[::1]:9/x",
        "https://bot.test:8443/in?x=1",
    ],
)
async def test_where_consent_may_lead_back_to(world: World, target: str) -> None:
    client = world.connect()
    await client.authorize(await world.token("admin"))
    reply = await client.ask({"app_register": 1, **FIELDS, "redirect_uri": target})
    assert reply["app_register"]["redirect_uri"] == target


async def test_an_app_token_works_on_connections_of_its_app_alone(
    connected: Connected,
) -> None:
    app = await connected.world.app("read", "trade")
    token = await connected.world.token("read", app=app)
    assert token.startswith("a1-")
    elsewhere = await connected.connect()
    reply = await elsewhere.ask({"authorize": token})
    assert reply["error"]["code"] == "InvalidToken"
    assert reply["error"]["message"] == "Token is not valid for current app ID."
    assert str(app.id) in reply["error"]["details"]["app_id"]
    client = await connected.connect(app_id=app.id)
    assert (await client.authorize(token))["scopes"] == ["read"]


async def test_connected_apps_are_listed_and_revoked(connected: Connected) -> None:
    world = connected.world
    app = await world.app("read", "trade", name="Copier")
    bot = await connected.connect(app_id=app.id)
    await bot.authorize(await world.token("read", app=app))
    owner = await connected.connect()
    await owner.authorize(await world.token("read", "admin"))
    (listed,) = (await owner.ask({"oauth_apps": 1}))["oauth_apps"]
    assert listed["app_id"] == app.id
    assert listed["name"] == "Copier"
    assert listed["scopes"] == ["read"]
    assert listed["official"] == 0
    assert listed["last_used"] is not None
    assert (await owner.ask({"revoke_oauth_app": app.id}))["revoke_oauth_app"] == 1
    assert await bot.refused({"balance": 1}) == "AuthorizationRequired"
    assert (await owner.ask({"oauth_apps": 1}))["oauth_apps"] == []
    assert await owner.refused({"revoke_oauth_app": app.id}) == "InvalidAppID"


async def test_what_an_app_mints_ends_with_its_link(world: World) -> None:
    app = await world.app("read", "admin")
    bot = world.connect(app_id=app.id)
    await bot.authorize(await world.token("read", "admin", app=app))
    made = await bot.ask({"api_token": 1, "new_token": "Mine", "new_token_scopes": ["read"]})
    (minted,) = [t["token"] for t in made["api_token"]["tokens"] if t["display_name"] == "Mine"]
    more = {"api_token": 1, "new_token": "More", "new_token_scopes": ["trade"]}
    assert await bot.refused(more) == "PermissionDenied"
    assert await world.connect().refused({"authorize": minted}) == "InvalidToken"
    user = world.connect(app_id=app.id)
    await user.authorize(minted)
    owner = world.connect()
    await owner.authorize(await world.token("admin"))
    await owner.ask({"revoke_oauth_app": app.id})
    assert await user.refused({"balance": 1}) == "AuthorizationRequired"
    assert await world.connect(app_id=app.id).refused({"authorize": minted}) == "InvalidToken"


@pytest.mark.parametrize("end", ["app_delete", "app_update"])
async def test_deleting_an_app_or_changing_its_scopes_ends_its_grants(
    world: World, end: str
) -> None:
    app = await world.app("read", name="Mine")
    bot = world.connect(app_id=app.id)
    await bot.authorize(await world.token("read", app=app))
    owner = world.connect()
    await owner.authorize(await world.token("admin"))
    same = {"name": "Mine", "scopes": ["read"], "redirect_uri": "https://app.example.com/other"}
    await owner.ask({"app_update": app.id, **same})
    assert "error" not in await bot.ask({"balance": 1})
    change = {**same, "scopes": ["trade"]} if end == "app_update" else {}
    assert "error" not in await owner.ask({end: app.id, **change})
    # A connection of an app that is no more is answered once, and ended.
    code = "InvalidAppID" if end == "app_delete" else "AuthorizationRequired"
    assert await bot.refused({"balance": 1}) == code
    if end == "app_delete":
        assert await bot.ended() == (1008, "Your app_id is invalid.")
        assert await world.connect(app_id=app.id).refused({"ping": 1}) == "InvalidAppID"


async def test_app_1089_is_there_for_every_demo(world: World) -> None:
    client = world.connect(app_id="1089")
    assert (await client.ask({"ping": 1}))["ping"] == "pong"
    for wrong in ("", "0", "01x", "²", "-1", "9" * 30):
        assert await world.connect(app_id=wrong, address=f"a{wrong}").refused({"ping": 1}) == (
            "InvalidAppID"
        )


@pytest.mark.lengthy
async def test_any_app_id_is_taken_where_the_operator_says_so() -> None:
    async with testing.world(any_app_id=True) as world:
        app = await world.app("read")
        for app_id in (1089, app.id, 28035, "000000000070489"):
            client = world.connect(app_id=app_id)
            assert (await client.ask({"ping": 1}))["ping"] == "pong"
        # An unknown id means the test app, which makes no token of an app good.
        stranger = world.connect(app_id=28035)
        await stranger.authorize(await world.token("read"))
        refused = await stranger.ask({"authorize": await world.token("read", app=app)})
        assert "This connection uses app 1089" in refused["error"]["details"]["app_id"]
        for wrong in ("", "abc", "-1", "1" * 16):
            assert await world.connect(app_id=wrong).refused({"ping": 1}) == "InvalidAppID"


async def test_the_id_of_an_app_is_never_given_twice(world: World) -> None:
    def register(app_id: int | None) -> int:
        values = {"name": "Bot", "scopes": frozenset[str](), "redirect_uri": ""}
        return run_once(
            world.gateway.settings.db,
            lambda transaction: apps.register(transaction, None, values, app_id=app_id).id,
        )

    assert register(32404) == 32404
    assert register(None) == 32405  # the next follows the largest
    assert register(28035) == 28035
    with pytest.raises(StoreError, match="28035 is taken"):
        register(28035)
    mine = await world.app("read")
    await world.gateway.store.write(lambda transaction: apps.delete(transaction, mine))
    with pytest.raises(StoreError, match=f"{mine.id} belonged to a deleted app"):
        register(mine.id)
