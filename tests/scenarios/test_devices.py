"""Programs without a browser (RFC 8628): they show a code, and their user enters it at the page."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from scopegate.gateway.access import apps, devices, issuing, users
from scopegate.gateway.access.apps import App
from scopegate.gateway.web.oauth_metadata import DEVICE_AUTHORIZATION, DEVICE_GRANT, TOKEN
from scopegate.handlers.gateway.consent_calls import WRONG_CODES_A_MINUTE
from scopegate.testing import World
from tests.oauth_flows import Flow, app_flow, refused
from tests.scenarios.test_client_secrets import secret_of
from tests.scenarios.test_refresh_tokens import refresh, works


@pytest.fixture
async def flow(world: World) -> AsyncIterator[Flow]:
    async with app_flow(world, "read", "trade") as made:
        made.app = await switched_on(world, made.app)
        yield made


async def switched_on(world: World, app: App) -> App:
    return await world.gateway.store.write(lambda job: apps.set_device_flow(job, app, on=True))


class Clock:
    """The moment, which tests move."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._now = time.time()
        patch.setattr(time, "time", lambda: self._now)

    def advance(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def ask(flow: Flow, **form: str | int | None) -> httpx2.Response:
    return await flow.post(DEVICE_AUTHORIZATION, **{"client_id": flow.app.id, **form})


async def begun(flow: Flow, **form: str | int | None) -> dict[str, Any]:
    response = await ask(flow, **form)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    codes: dict[str, Any] = response.json()
    return codes


async def poll(flow: Flow, codes: dict[str, Any], **form: str | int | None) -> httpx2.Response:
    asked = {"grant_type": DEVICE_GRANT, "device_code": codes["device_code"]}
    return await flow.post(TOKEN, **{"client_id": flow.app.id, **asked, **form})


def entered(text: str) -> str:
    return urlencode({"user_code": text})


async def decide(flow: Flow, call: str, text: str, *scopes: str) -> dict[str, Any]:
    """The reply to the user's decision about the request with this code."""
    request: dict[str, Any] = {call: 1, "query": entered(text)}
    if call == "consent":
        loginids = [flow.world.real[0].loginid, flow.world.demo.loginid]
        request |= {"returns_to": "", "scopes": list(scopes) or ["read"], "loginids": loginids}
    owner = await flow.world.owner()
    return await owner.ask(request)


async def test_a_program_without_a_browser_gets_its_tokens(flow: Flow, clock: Clock) -> None:
    document = await flow.metadata()
    assert document["device_authorization_endpoint"] == flow.base + DEVICE_AUTHORIZATION
    assert DEVICE_GRANT in document["grant_types_supported"]
    codes = await begun(flow)
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", codes["user_code"])
    assert codes["verification_uri"] == f"{flow.base}/device"
    complete = urlsplit(codes["verification_uri_complete"])
    assert parse_qs(complete.query) == {"user_code": [codes["user_code"]]}
    assert (codes["expires_in"], codes["interval"]) == (600, 5)
    async with httpx2.AsyncClient(trust_env=False) as browser:
        for page in (codes["verification_uri"], codes["verification_uri_complete"]):
            assert (await browser.get(page)).status_code == 200

    assert refused(await poll(flow, codes), "authorization_pending")
    visitor = flow.world.connect(at_pages=True)
    asked = await visitor.ask({"consent_request": 1, "query": entered(codes["user_code"])})
    assert asked["consent_request"] == {
        "app_id": flow.app.id,
        "app_markup_percentage": 0,
        "changes": [],
        "expires_at": None,
        "flow": "device",
        "name": flow.app.name,
        "owner": "",
        "proposed_restrictions": {},
        "restrictions": {},
        "returns_to": "",
        "scopes": ["read", "trade"],
        "user_code": codes["user_code"],
    }
    clock.advance(codes["interval"])
    assert refused(await poll(flow, codes), "authorization_pending")
    reply = await decide(flow, "consent", codes["user_code"], "read")
    assert reply["consent"] == {"redirect_to": ""}
    token = (await poll(flow, codes)).json()
    assert (token["scope"], token["token_type"]) == ("read", "Bearer")
    assert token["expires_in"] == issuing.TOKENS_LAST
    bot = flow.world.connect(app_id=flow.app.id)
    told = await bot.authorize(token["access_token"])
    assert (told["loginid"], told["scopes"]) == (flow.world.real[0].loginid, ["read"])
    assert (await refresh(flow, token["refresh_token"])).status_code == 200
    # The device code is used up.
    assert refused(await poll(flow, codes), "invalid_grant")


async def test_a_client_library_polls_for_its_tokens(flow: Flow, clock: Clock) -> None:
    """From what it discovers, with a poll that the program itself makes."""
    document = await flow.metadata()
    async with AsyncOAuth2Client(
        client_id=str(flow.app.id), token_endpoint_auth_method="none", trust_env=False
    ) as client:
        path = urlsplit(document["device_authorization_endpoint"]).path
        codes = (await flow.post(path, client_id=client.client_id, scope="read")).json()
        answers = []
        token = None
        while token is None:
            try:
                token = await client.fetch_token(
                    document["token_endpoint"],
                    grant_type=DEVICE_GRANT,
                    device_code=codes["device_code"],
                )
            except OAuthError as error:
                answers.append(error.error)
            if len(answers) == 3:
                await decide(flow, "consent", codes["user_code"], "read")
            if len(answers) != 1:  # once it does not wait
                clock.advance(10)
        assert answers == ["authorization_pending", "slow_down", "authorization_pending"]
        assert await works(flow, token["access_token"])
        renewed = await client.refresh_token(document["token_endpoint"])
        assert await works(flow, renewed["access_token"])


async def test_a_user_may_refuse(flow: Flow) -> None:
    codes = await begun(flow)
    reply = await decide(flow, "consent_refuse", codes["user_code"])
    assert reply["consent_refuse"] == {"redirect_to": ""}
    assert refused(await poll(flow, codes), "access_denied")
    assert refused(await poll(flow, codes), "access_denied")
    # It is decided once.
    for call in ("consent", "consent_refuse", "consent_request"):
        reply = await decide(flow, call, codes["user_code"])
        assert reply["error"]["code"] == "ConsentRefused"


async def test_a_request_is_allowed_once(flow: Flow) -> None:
    codes = await begun(flow)
    both = await asyncio.gather(*(decide(flow, "consent", codes["user_code"]) for _ in range(2)))
    assert sorted("error" in reply for reply in both) == [False, True]


async def test_of_many_polls_at_once_one_gets_tokens(flow: Flow) -> None:
    codes = await begun(flow)
    await decide(flow, "consent", codes["user_code"])
    answers = await asyncio.gather(*(poll(flow, codes) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 4


async def test_a_program_that_polls_too_fast_must_slow_down(flow: Flow, clock: Clock) -> None:
    codes = await begun(flow)
    assert refused(await poll(flow, codes), "authorization_pending")
    clock.advance(4)
    assert refused(await poll(flow, codes), "slow_down")
    clock.advance(9)  # five seconds more than before
    assert refused(await poll(flow, codes), "slow_down")
    clock.advance(15)
    assert refused(await poll(flow, codes), "authorization_pending")


async def test_its_codes_expire(flow: Flow, clock: Clock) -> None:
    codes = await begun(flow)
    clock.advance(devices.LIFETIME)
    assert refused(await poll(flow, codes), "expired_token")
    reply = await decide(flow, "consent", codes["user_code"])
    assert reply["error"]["code"] == "ConsentRefused"
    late = await begun(flow)
    await decide(flow, "consent", late["user_code"])
    clock.advance(devices.LIFETIME)
    assert refused(await poll(flow, late), "expired_token")
    clock.advance(devices.KEPT)
    await begun(flow)  # deletes the first
    assert refused(await poll(flow, codes), "invalid_grant")


async def test_another_app_gets_nothing_for_a_device_code(flow: Flow) -> None:
    codes = await begun(flow)
    await decide(flow, "consent", codes["user_code"])
    other = await flow.world.app("read")
    for client_id in (other.id, 1089, 7777, "x"):
        assert refused(await poll(flow, codes, client_id=client_id), "invalid_grant")
    assert refused(await poll(flow, {"device_code": "x"}), "invalid_grant")
    assert refused(await poll(flow, codes, device_code=None), "invalid_request")
    # Neither code is accepted in place of the other, or as a token.
    assert refused(await poll(flow, {"device_code": codes["user_code"]}), "invalid_grant")
    assert not await works(flow, codes["device_code"])
    assert (await poll(flow, codes)).status_code == 200


async def test_an_app_with_a_secret_shows_it(flow: Flow) -> None:
    secret = await secret_of(flow.world, flow.app)
    assert refused(await ask(flow), "invalid_client", 401)
    codes = await begun(flow, client_secret=secret)
    await decide(flow, "consent", codes["user_code"])
    assert refused(await poll(flow, codes), "invalid_client", 401)
    assert (await poll(flow, codes, client_secret=secret)).status_code == 200


async def test_only_apps_that_have_switched_it_on_can_ask(flow: Flow) -> None:
    """Otherwise anybody could ask users for consent to any app, and get the tokens."""
    world = flow.world
    quiet = await world.app("read")
    assert refused(await ask(flow, client_id=quiet.id), "unauthorized_client")
    owner = await world.owner()
    request = {"app_flow": 1, "app_id": quiet.id, "device_flow": 1}
    listed = {each["app_id"]: each for each in (await owner.ask(request))["app_flow"]}
    assert listed[quiet.id] == {"app_id": quiet.id, "device_flow": 1, "flow": "both"}
    codes = await begun(flow, client_id=quiet.id)
    await owner.ask({**request, "device_flow": 0})
    # What was asked before cannot be allowed any more.
    reply = await decide(flow, "consent", codes["user_code"])
    assert reply["error"]["code"] == "ConsentRefused"


async def test_an_unknown_or_disabled_app_asks_for_nothing(flow: Flow) -> None:
    for client_id in (7777, "x"):
        assert refused(await ask(flow, client_id=client_id), "invalid_client", 401)
    assert refused(await ask(flow, client_id=None), "invalid_request")
    codes = await begun(flow)
    store = flow.world.gateway.store
    await store.write(lambda job: apps.set_disabled(job, flow.app.id, disabled=True))
    assert refused(await ask(flow), "invalid_client", 401)
    assert refused(await poll(flow, codes), "invalid_grant")
    reply = await decide(flow, "consent_request", codes["user_code"])
    assert reply["error"]["code"] == "ConsentRefused"


async def test_it_asks_for_scopes_that_the_app_has(flow: Flow) -> None:
    for scope in ("admin", "read nothing"):
        assert refused(await ask(flow, scope=scope), "invalid_scope")
    codes = await begun(flow, scope="trade")
    asked = await decide(flow, "consent_request", codes["user_code"])
    assert asked["consent_request"]["scopes"] == ["trade"]
    beyond = await decide(flow, "consent", codes["user_code"], "read", "trade")
    assert beyond["error"]["code"] == "InputValidationFailed"
    bare = await flow.world.gateway.store.write(
        lambda job: apps.register(job, flow.world.user_id, {"name": "Bare", "scopes": frozenset()})
    )
    await switched_on(flow.world, bare)
    assert refused(await ask(flow, client_id=bare.id), "invalid_scope")


async def test_nobody_agrees_to_what_they_were_not_shown(flow: Flow) -> None:
    codes = await begun(flow)
    owner = await flow.world.owner()
    request = {
        "consent": 1,
        "query": entered(codes["user_code"]),
        "returns_to": "",
        "name": "Another app",
        "scopes": ["read"],
        "loginids": [flow.world.demo.loginid],
    }
    assert await owner.refused(request) == "ConsentRefused"
    shown = {**request, "name": flow.app.name, "returns_to": "https://evil.test"}
    assert await owner.refused(shown) == "ConsentRefused"


async def test_what_ended_before_it_was_fetched_yields_nothing(flow: Flow) -> None:
    owner = await flow.world.owner()
    codes = await begun(flow)
    await decide(flow, "consent", codes["user_code"])
    await owner.ask({"revoke_access": flow.app.id})
    assert refused(await poll(flow, codes), "access_denied")
    codes = await begun(flow)
    await decide(flow, "consent", codes["user_code"])
    store = flow.world.gateway.store
    await store.write(lambda job: apps.update(job, flow.app, {"name": "Another"}))
    assert refused(await poll(flow, codes), "access_denied")
    codes = await begun(flow)
    await decide(flow, "consent", codes["user_code"])
    await store.write(lambda job: users.disable(job, "demo@scopegate.invalid"))
    assert refused(await poll(flow, codes), "access_denied")


@pytest.mark.parametrize("written", ["{}", " {} ", "{lower}", "{bare}", "{spaced}"])
async def test_a_code_may_be_entered_in_other_ways(flow: Flow, written: str) -> None:
    code = (await begun(flow))["user_code"]
    text = written.format(
        code, lower=code.lower(), bare=code.replace("-", ""), spaced=code.replace("-", " ")
    )
    asked = await decide(flow, "consent_request", text)
    assert asked["consent_request"]["user_code"] == code


async def test_wrong_codes_are_slowed(flow: Flow) -> None:
    """An address block can try five a minute, of 20^8. Others are not affected."""
    code = (await begun(flow))["user_code"]
    page = flow.world.connect(at_pages=True)
    for number in range(WRONG_CODES_A_MINUTE):
        wrong = {"consent_request": 1, "query": entered("BBBB-BBB" + "BCDFG"[number])}
        assert await page.refused(wrong) == "ConsentRefused"
    right = {"consent_request": 1, "query": entered(code)}
    assert await page.refused(right) == "RateLimit"
    owner = await flow.world.owner()
    decision = {"query": entered(code), "returns_to": "", "scopes": ["read"]}
    loginids = [flow.world.demo.loginid]
    assert await owner.refused({"consent": 1, "loginids": loginids, **decision}) == "RateLimit"
    assert await owner.refused({"consent_refuse": 1, "query": entered(code)}) == "RateLimit"
    elsewhere = flow.world.connect(at_pages=True, address="203.0.113.7")
    assert "error" not in await elsewhere.ask(right)


async def test_one_address_cannot_fill_the_table(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(devices, "MAX_OF_REQUESTER", 2)
    first = await begun(flow)
    await begun(flow)
    full = await ask(flow)
    assert refused(full, "temporarily_unavailable", 429)
    assert full.headers["retry-after"] == "60"
    await decide(flow, "consent_refuse", first["user_code"])
    await begun(flow)  # a request that was decided does not count
    clock.advance(devices.LIFETIME)
    await begun(flow)
    monkeypatch.setattr(devices, "MAX_OF_ALL", 1)
    assert refused(await ask(flow), "temporarily_unavailable", 429)


async def test_only_digests_of_its_codes_are_stored(flow: Flow) -> None:
    codes = await begun(flow)
    row = await flow.world.gateway.store.read(
        lambda reader: reader.single("SELECT * FROM device_requests")
    )
    for value in tuple(row):
        for secret in (codes["device_code"], codes["user_code"]):
            assert value not in (secret, secret.encode())


async def test_a_link_with_more_than_a_code_is_no_request_of_a_device(flow: Flow) -> None:
    code = (await begun(flow))["user_code"]
    page = flow.world.connect(at_pages=True)
    query = f"user_code={code}&app_id={flow.app.id}"
    asked = await page.ask({"consent_request": 1, "query": query})
    assert asked["consent_request"]["flow"] == "tokens"  # what it asks for is as it always was
