"""An app chooses its flow after consent, and no link can change it."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from scopegate.gateway.access import consent, tokens
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls.errors import ApiError
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.listening import listen
from scopegate.schemas.scopes import Scopes
from scopegate.testing import PAGES, MemoryClient, World
from tests.conftest import Connected
from tests.scenarios.test_consent import APP, BACK, CHALLENGE

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CODE = {
    "response_type": "code",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "s",
}


def tokens_link(app: App) -> str:
    return urlencode({"app_id": app.id, "state": "s"})


def code_link(app: App) -> str:
    return urlencode({"client_id": app.id, **CODE})


async def asked(page: MemoryClient, call: str, query: str) -> dict[str, Any]:
    given: dict[str, Any] = {"query": query}
    if call == "consent":
        given |= {"returns_to": "https://app.example.com", "scopes": ["read"]}
        given["loginids"] = ["VRTC9000001"]
    return await page.ask({call: 1, **given})


def answer(url: str) -> dict[str, str]:
    target, _, pairs = url.partition("?")
    assert target == BACK
    return dict(parse_qsl(pairs, strict_parsing=True))


@pytest.mark.parametrize("call", ["consent_request", "consent", "consent_refuse"])
async def test_a_link_for_the_other_flow_is_refused(world: World, call: str) -> None:
    page = await world.owner()
    for flow, link in (("code", tokens_link), ("tokens", code_link)):
        app = await world.app("read", flow=flow)
        reply = await asked(page, call, link(app))
        assert reply["error"]["code"] == "ConsentRefused"
        assert app.name in reply["error"]["message"]
        back = answer(reply["error"]["details"]["back"])
        assert back["error"] == "unauthorized_client"
        assert back["state"] == "s"
        assert back["iss"] == PAGES  # the app has codes, or the link asked for one
        assert not any(name.startswith("token") for name in back)
    assert (await page.ask({"connected_apps": 1}))["connected_apps"] == []


async def test_each_flow_is_answered_in_its_way(world: World) -> None:
    page = await world.owner()
    for flow in ("tokens", "both"):
        app = await world.app("read", flow=flow)
        reply = await asked(page, "consent", tokens_link(app))
        given = answer(reply["consent"]["redirect_to"])
        assert list(given) == ["acct1", "token1", "cur1", "state"]
    for flow in ("code", "both"):
        app = await world.app("read", flow=flow)
        reply = await asked(page, "consent", code_link(app))
        given = answer(reply["consent"]["redirect_to"])
        assert list(given) == ["code", "state", "iss"]
        assert given["iss"] == PAGES


async def test_only_refusals_of_the_code_flow_name_the_issuer(world: World) -> None:
    app = await world.app("read")
    page = world.connect(at_pages=True)
    by_code = await asked(page, "consent_refuse", code_link(app))
    assert answer(by_code["consent_refuse"]["redirect_to"])["iss"] == PAGES
    by_tokens = await asked(page, "consent_refuse", tokens_link(app))
    assert "iss" not in answer(by_tokens["consent_refuse"]["redirect_to"])


@pytest.mark.parametrize(
    ("query", "error", "named"),
    [
        ("client_id=7", "invalid_request", True),
        ("client_id=7&response_type=token", "unsupported_response_type", True),
        ("client_id=7&response_type=code", "invalid_request", True),
        (f"app_id=7&response_type=code&code_challenge={CHALLENGE}", "invalid_request", True),
        ("app_id=7&scopes=root", "invalid_scope", False),
        ("app_id=7&scopes=admin", "invalid_scope", False),
    ],
)
def test_errors_of_the_code_flow_name_the_issuer(query: str, error: str, named: bool) -> None:
    with pytest.raises(ApiError) as refused:
        consent.understand(
            query, {7: APP}.get, Scopes(SCOPES), RestrictionKinds(), "https://gate.example"
        )
    assert refused.value.details is not None
    back = answer(refused.value.details["back"])
    assert back["error"] == error
    assert back.get("iss") == ("https://gate.example" if named else None)


async def test_an_owner_chooses_the_flow_of_an_app(connected: Connected) -> None:
    world = connected.world
    client = await connected.connect()
    await client.authorize(await world.token("admin", "read"))
    fields = {"name": "Bot", "scopes": ["read"], "redirect_uri": BACK}
    made = (await client.ask({"app_register": 1, **fields}))["app_register"]["app_id"]
    assert (await client.ask({"app_flow": 1}))["app_flow"] == [
        {"app_id": made, "device_flow": 0, "flow": "both"}
    ]
    chosen = [{"app_id": made, "device_flow": 0, "flow": "code"}]
    request = {"app_flow": 1, "app_id": made, "flow": "code"}
    assert (await client.ask(request))["app_flow"] == chosen
    # Changing the app leaves the flow as it is.
    assert "error" not in await client.ask({"app_update": made, **fields, "name": "Bot 2"})
    assert (await client.ask({"app_flow": 1}))["app_flow"] == chosen
    page = await world.owner()
    refused = await asked(page, "consent", urlencode({"app_id": made}))
    assert refused["error"]["code"] == "ConsentRefused"

    for wrong in ({"app_id": made}, {"flow": "code"}, {"app_id": made, "flow": "token"}):
        assert await client.refused({"app_flow": 1, **wrong}) == "InputValidationFailed"
    stranger = (await world.user("eve@example.com"))[0]
    other = await connected.connect()
    await other.authorize(await world.token(loginid=stranger.loginid))
    assert await other.refused({**request, "flow": "tokens"}) == "InvalidAppID"
    assert (await other.ask({"app_flow": 1}))["app_flow"] == []


@pytest.fixture
async def base(world: World) -> AsyncIterator[str]:
    async with listen(world.gateway) as port:
        yield f"http://127.0.0.1:{port}"


async def test_the_tokens_for_a_code_end_when_they_say(world: World, base: str) -> None:
    app = await world.app("read", "admin", flow="code")
    page = await world.owner()
    reply = await page.ask(
        {
            "consent": 1,
            "query": code_link(app),
            "returns_to": "https://app.example.com",
            "scopes": ["read", "admin"],
            "loginids": [world.demo.loginid],
        }
    )
    code = answer(reply["consent"]["redirect_to"])["code"]
    form = {
        "grant_type": "authorization_code",
        "client_id": str(app.id),
        "code": code,
        "code_verifier": VERIFIER,
    }
    async with httpx2.AsyncClient(trust_env=False) as client:
        body = (await client.post(f"{base}/oauth2/token", data=form)).json()
    assert body["expires_in"] == 5_184_000
    bot = world.connect(app_id=app.id)
    await bot.authorize(body["access_token"])
    made = await bot.ask({"api_token": 1, "new_token": "Mine", "new_token_scopes": ["read"]})
    [minted] = [row["token"] for row in made["api_token"]["tokens"] if "*" not in row["token"]]

    def pass_by(transaction: tokens.Transaction) -> None:
        transaction.execute("UPDATE tokens SET expires_at = expires_at - ?", body["expires_in"] + 1)

    await world.gateway.store.write(pass_by)
    await world.gateway.store.write(tokens.end_expired)
    assert await bot.refused({"balance": 1}) == "AuthorizationRequired"
    for text in (body["access_token"], minted):
        assert await world.connect(app_id=app.id).refused({"authorize": text}) == "InvalidToken"


async def test_tokens_in_the_address_are_good_until_they_are_revoked(world: World) -> None:
    app = await world.app("read")
    page = await world.owner()
    reply = await asked(page, "consent", tokens_link(app))
    given = dict(parse_qsl(urlsplit(reply["consent"]["redirect_to"]).query))
    bot = world.connect(app_id=app.id)
    await bot.authorize(given["token1"])
    [grant] = bot._connection.session.grants.values()
    assert grant.expires_at is None
