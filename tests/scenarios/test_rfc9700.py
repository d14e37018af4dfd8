"""Recommendations of RFC 9700 that no other story shows; `docs/security.md` lists all of them."""

import re
from collections.abc import AsyncIterator
from importlib.resources import files
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from scopegate.gateway.access import tokens
from scopegate.gateway.calls import token_form
from scopegate.gateway.web.oauth_metadata import (
    AUTHORIZE,
    DEVICE_AUTHORIZATION,
    INTROSPECT,
    METADATA,
    REVOKE,
    TOKEN,
)
from scopegate.testing import World
from tests.oauth_flows import Flow, app_flow
from tests.scenarios.test_client_secrets import basic, secret_of, token_of

FORMS = (TOKEN, INTROSPECT, REVOKE, DEVICE_AUTHORIZATION)


@pytest.fixture
async def flow(world: World) -> AsyncIterator[Flow]:
    async with app_flow(world, "read", "trade", "admin") as made:
        yield made


async def test_nothing_is_answered_with_a_redirect(flow: Flow) -> None:
    """Whatever a user has sent to the gateway, no status makes the browser send it on (4.12)."""
    tokens_link = urlencode({"app_id": flow.app.id})
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=False) as client:
        answers = [
            *[
                await client.get(f"{flow.base}{AUTHORIZE}?{query}")
                for query in (flow.asked(), tokens_link, flow.asked(scope="nothing"), "")
            ],
            *[await client.post(flow.base + path, data={"client_id": 1}) for path in FORMS],
            await client.post(f"{flow.base}{AUTHORIZE}?{flow.asked()}", data={"password": "x"}),
        ]
    assert {answer.status_code for answer in answers} <= {200, 400, 401, 405}
    assert not [answer for answer in answers if "location" in answer.headers]


async def test_pages_elsewhere_read_the_endpoints_and_not_the_page_of_consent(flow: Flow) -> None:
    origin = {"Origin": "https://app.example.com"}
    async with httpx2.AsyncClient(trust_env=False) as client:
        page = await client.get(f"{flow.base}{AUTHORIZE}?{flow.asked()}", headers=origin)
        device = await client.get(f"{flow.base}/device", headers=origin)
        found = await client.get(flow.base + METADATA, headers=origin)
    for each in (page, device):
        assert "access-control-allow-origin" not in each.headers
    for answer in (found, *[await flow.post(path, origin) for path in FORMS]):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_no_page_speaks_to_other_windows() -> None:
    pages = files("scopegate.gateway.web") / "pages"
    scripts = [each for each in pages.iterdir() if each.name.endswith(".js")]
    assert len(scripts) > 10
    forbidden = re.compile(r"postMessage|\.opener|BroadcastChannel|window\.parent")
    assert [each.name for each in scripts if forbidden.search(each.read_text())] == []


async def test_an_app_is_never_taken_for_a_user(flow: Flow) -> None:
    """Its id is a number that the gateway chooses; a user is known by a login id."""
    secret = await secret_of(flow.world, flow.app)
    token = await token_of(flow, secret)
    shown = basic(flow.app.id, secret)
    status = (await flow.post(INTROSPECT, shown, token=token)).json()
    assert status["client_id"].isdigit()
    assert re.fullmatch(r"[A-Z]+[0-9]+", status["sub"])
    owner = await flow.world.owner()
    asked = {"app_register": 1, "name": "Posing", "scopes": ["read"]}
    for name in ("app_id", "client_id"):
        assert await owner.refused({**asked, name: status["sub"]}) == "InputValidationFailed"


async def test_what_the_published_redirect_violates(flow: Flow) -> None:
    owner = await flow.world.owner()
    reply = await owner.ask(
        {
            "consent": 1,
            "query": urlencode({"app_id": flow.app.id}),
            "returns_to": "https://app.example.com",
            "loginids": [flow.world.demo.loginid],
            "scopes": ["read"],
        }
    )
    redirect = reply["consent"]["redirect_to"]
    brought = dict(parse_qsl(urlsplit(redirect).query))
    token = brought["token1"]
    for _ in range(2):  # the address works for anybody who reads it, as often as they like
        bot = flow.world.connect(app_id=flow.app.id, address="203.0.113.9")
        await bot.authorize(token)
    assert "iss" not in brought
    assert "state" not in brought
    stored = await flow.world.gateway.store.read(
        lambda reader: tokens.find(reader, token_form.digest(token))
    )
    assert stored is not None
    assert stored.expires_at is None
