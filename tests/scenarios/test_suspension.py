"""An app that changes after consent: it can do nothing for its user until they consent again."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from scopegate.gateway.access import codes
from scopegate.gateway.access.apps import App
from scopegate.testing import Client, MemoryClient, World
from tests.conftest import Connected
from tests.scenarios.test_markup import RISE

BACK = "https://app.example.com/back"
AS_IT_WAS = {
    "name": "Chart bot",
    "scopes": ["read", "trade"],
    "redirect_uri": BACK,
    "app_markup_percentage": 1,
}


async def app_of(world: World) -> tuple[App, MemoryClient]:
    """An app of another user's, as `AS_IT_WAS`, and that user's own program."""
    account = (await world.user("maker@example.com"))[0]
    app = await world.app("read", "trade", name="Chart bot", owner=account.user_id, markup="1")
    maker = world.connect()
    await maker.authorize(await world.token(loginid=account.loginid))
    return app, maker


async def change(maker: Client, app: App, **values: Any) -> None:
    reply = await maker.ask({"app_update": app.id, **AS_IT_WAS, **values})
    assert "error" not in reply, reply["error"]


async def consent(world: World, app: App, *scopes: str, **shown: Any) -> dict[str, Any]:
    """What the demo user's consent answers, at their demo account."""
    page = await world.owner()
    query = urlencode({"app_id": app.id})
    told = (await page.ask({"consent_request": 1, "query": query}))["consent_request"]
    given = {
        "query": query,
        "returns_to": told["returns_to"],
        "loginids": [world.demo.loginid],
        "scopes": list(scopes) or ["read", "trade"],
    }
    return await page.ask({"consent": 1, **given, **shown})


async def token_for(world: World, app: App, *scopes: str) -> str:
    reply = await consent(world, app, *scopes)
    return dict(parse_qsl(urlsplit(reply["consent"]["redirect_to"]).query))["token1"]


async def connected_app(world: World) -> dict[str, Any]:
    [app] = (await (await world.owner()).ask({"connected_apps": 1}))["connected_apps"]
    found: dict[str, Any] = app
    return found


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": "Deriv Official"}, "Its name changed from Chart bot to Deriv Official."),
        (
            {"redirect_uri": "https://elsewhere.example/back"},
            "Its address changed from https://app.example.com to https://elsewhere.example.",
        ),
        (
            {"redirect_uri": "https://app.example.com:8443/back"},
            "Its address changed from https://app.example.com to https://app.example.com:8443.",
        ),
        ({"scopes": ["read", "trade", "payments"]}, "It asks for more permissions: payments."),
        ({"scopes": ["read"]}, "It no longer asks for trade."),
        ({"app_markup_percentage": 3}, "Its markup changed from 1 % to 3 %."),
    ],
)
async def test_an_app_that_changes_is_suspended_until_its_user_consents_again(
    connected: Connected, values: Mapping[str, Any], sentence: str
) -> None:
    world = connected.world
    app, maker = await app_of(world)
    token = await token_for(world, app)
    bot, idle = await connected.connect(app_id=app.id), await connected.connect(app_id=app.id)
    await bot.authorize(token)
    await idle.authorize(token)
    await bot.ask({"balance": 1, "subscribe": 1})
    ticks = await bot.ask({"ticks": "1HZ100V", "subscribe": 1})

    await change(maker, app, **values)
    # The reply to the change is there: on live connections nothing holds any more.
    ended = await bot.next()
    assert ended["error"]["code"] == "InvalidToken"
    assert "suspended" in ended["error"]["details"]["consent"]
    for client in (bot, idle):
        reply = await client.ask({"balance": 1})
        assert reply["error"]["code"] == "AuthorizationRequired"
        assert "agree again" in reply["error"]["details"]["consent"]
        # As often as it tries: it is no wrong token, and is not counted as one.
        for _ in range(6):
            reply = await client.ask({"authorize": token})
            assert reply["error"]["code"] == "InvalidToken"
            assert reply["error"]["message"] == "The token is invalid."
            assert "agree again" in reply["error"]["details"]["consent"]
    world.clock.advance(1)
    assert (await bot.next())["subscription"] == ticks["subscription"]  # public streams go on

    shown = await connected_app(world)
    assert shown["needs_consent"] == 1
    assert shown["changes"] == [sentence]
    assert shown["live_connections"] == 0
    page = await world.owner()
    asked = {"consent_request": 1, "query": urlencode({"app_id": app.id})}
    assert (await page.ask(asked))["consent_request"]["changes"] == [sentence]
    # Even if the app is as it was: what its user has not seen does not go on by itself.
    await change(maker, app)
    assert await bot.refused({"authorize": token}) == "InvalidToken"
    await change(maker, app, **values)

    scopes = sorted({"read", "trade"} & set(values.get("scopes", ["read", "trade"])))
    renewed = await token_for(world, app, *scopes)
    assert (await connected_app(world))["needs_consent"] == 0
    await bot.authorize(renewed)
    assert "error" not in await bot.ask({"balance": 1})
    if scopes == ["read", "trade"]:  # the same again, so other devices go on as well
        await idle.authorize(token)
        assert "error" not in await idle.ask({"balance": 1})
    else:
        assert await idle.refused({"authorize": token}) == "InvalidToken"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"redirect_uri": "https://app.example.com/another/path"},
        {"redirect_uri": "", "app_markup_percentage": 0},
        {"app_markup_percentage": 0.5},
        {"app_markup_percentage": "1.00"},
        {"homepage": "https://app.example.com/"},
    ],
)
async def test_changes_within_the_consent_do_not_suspend(
    world: World, values: Mapping[str, Any]
) -> None:
    app, maker = await app_of(world)
    bot = world.connect(app_id=app.id)
    await bot.authorize(await token_for(world, app))
    await change(maker, app, **values)
    assert "error" not in await bot.ask({"balance": 1})
    assert (await connected_app(world))["needs_consent"] == 0


async def test_fewer_scopes_than_the_user_gave_matter_and_others_do_not(world: World) -> None:
    app, maker = await app_of(world)
    bot = world.connect(app_id=app.id)
    await bot.authorize(await token_for(world, app, "read"))
    await change(maker, app, scopes=["read"])
    assert "error" not in await bot.ask({"balance": 1})


async def test_the_latest_consent_counts(world: World) -> None:
    """After consent to a lower markup, a higher one needs consent again."""
    app, maker = await app_of(world)
    await token_for(world, app)
    await change(maker, app, app_markup_percentage=0)
    token = await token_for(world, app)
    await change(maker, app)
    assert (await connected_app(world))["changes"] == ["Its markup changed from 0 % to 1 %."]
    assert await world.connect(app_id=app.id).refused({"authorize": token}) == "InvalidToken"


async def test_tokens_of_a_suspended_app_are_suspended_with_it(connected: Connected) -> None:
    world = connected.world
    app, maker = await app_of(world)
    scopes = ["read", "admin"]
    await change(maker, app, scopes=scopes)
    bot, reader = await connected.connect(app_id=app.id), await connected.connect(app_id=app.id)
    await bot.authorize(await token_for(world, app, *scopes))
    asked = {"api_token": 1, "new_token": "Mine", "new_token_scopes": ["read"]}
    made = (await bot.ask(asked))["api_token"]["tokens"]
    [text] = [each["token"] for each in made if "*" not in each["token"]]
    await reader.authorize(text)
    await change(maker, app, scopes=scopes, name="Deriv Official")
    assert await reader.refused({"balance": 1}) == "AuthorizationRequired"
    reply = await reader.ask({"authorize": text})
    assert "agree again" in reply["error"]["details"]["consent"]
    await token_for(world, app, *scopes)
    await reader.authorize(text)


async def test_nothing_commits_for_a_suspended_app(world: World) -> None:
    app, maker = await app_of(world)
    bot = world.connect(app_id=app.id)
    await bot.authorize(await token_for(world, app))
    session = bot._connection.session
    grant = session.grants[world.demo.loginid]
    await change(maker, app, name="Deriv Official")
    with pytest.raises(Exception, match="log in"):
        await world.gateway.access.write(grant, lambda transaction: None)


async def test_a_code_from_before_a_change_is_refused(world: World) -> None:
    app, maker = await app_of(world)
    await token_for(world, app)

    def code(transaction: codes.Transaction) -> str:
        row = transaction.one("SELECT id FROM links WHERE app_id = ?", app.id)
        assert row is not None
        challenge = codes.challenge_of("x" * 43)
        return codes.create(transaction, row["id"], BACK, given=True, challenge=challenge)

    text = await world.gateway.store.write(code)
    await change(maker, app, name="Deriv Official")
    exchanged = await world.gateway.store.write(
        lambda transaction: codes.exchange(
            transaction,
            text,
            app_id=app.id,
            redirect_uri=BACK,
            verifier="x" * 43,
        )
    )
    assert exchanged is None


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        (
            {"name": "Chart bot"},
            "The name of the app has changed since this page was opened: Deriv Official",
        ),
        ({"app_markup_percentage": 1}, "has changed since this page was opened: 3 %"),
    ],
)
async def test_nobody_agrees_to_what_they_were_not_shown(
    world: World, shown: Mapping[str, Any], sentence: str
) -> None:
    app, maker = await app_of(world)
    await change(maker, app, name="Deriv Official", app_markup_percentage=3)
    error = (await consent(world, app, **shown))["error"]
    assert error["code"] == "ConsentRefused"
    assert sentence in error["message"]
    assert (await (await world.owner()).ask({"connected_apps": 1}))["connected_apps"] == []


async def test_a_user_is_told_the_markup_of_an_app_before_consent_and_afterwards(
    world: World,
) -> None:
    app, maker = await app_of(world)
    page = await world.owner()
    program = world.connect()
    await program.authorize(await world.token("read"))
    for markup in (1, 2.5):
        await change(maker, app, app_markup_percentage=markup)
        asked = {"consent_request": 1, "query": urlencode({"app_id": app.id})}
        told = (await page.ask(asked))["consent_request"]
        assert told["app_markup_percentage"] == markup
        await token_for(world, app)
        assert (await connected_app(world))["app_markup_percentage"] == markup
        [listed] = (await program.ask({"oauth_apps": 1}))["oauth_apps"]
        assert listed["app_markup_percentage"] == markup


# The markup that a token pays which no consent covers.


@pytest.mark.parametrize("subscribe", [0, 1])
async def test_an_api_token_pays_the_markup_that_it_was_quoted(
    connected: Connected, subscribe: int
) -> None:
    """A markup that is raised between quote and purchase is not charged."""
    world = connected.world
    app, maker = await app_of(world)
    client = await connected.connect(app_id=app.id)
    await client.authorize(await world.token("read", "trade"))
    quoted = (await client.ask({"proposal": 1, "subscribe": subscribe, **RISE}))["proposal"]
    assert quoted["contract_details"]["app_markup_amount"] == "1.00"
    await change(maker, app, app_markup_percentage=3)
    bought = (await client.ask({"buy": quoted["id"], "price": 100}))["buy"]
    assert bought["buy_price"] == quoted["ask_price"]
    contract = await client.ask({"proposal_open_contract": 1, "contract_id": bought["contract_id"]})
    assert contract["proposal_open_contract"]["app_markup_amount"] == "1.00"
    # The next quote says what it costs now, and a purchase without one keeps to its price.
    dearer = (await client.ask({"proposal": 1, **RISE}))["proposal"]
    assert dearer["contract_details"]["app_markup_amount"] == "3.00"
    limit = {"buy": 1, "price": quoted["ask_price"], "parameters": RISE}
    assert await client.refused(limit) == "PriceMoved"
