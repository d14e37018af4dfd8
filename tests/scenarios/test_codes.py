"""The authorisation-code flow (RFC 6749 with PKCE), driven by a published OAuth client library."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from scopegate.gateway.access import codes, users
from scopegate.gateway.calls import token_form
from scopegate.testing import World
from tests.oauth_flows import BACK, CHALLENGE, VERIFIER, Flow, app_flow, refused


@pytest.fixture
async def flow(world: World) -> AsyncIterator[Flow]:
    async with app_flow(world, "read", "trade", "admin") as made:
        yield made


async def test_a_kept_client_library_gets_its_tokens(flow: Flow) -> None:
    async with AsyncOAuth2Client(
        client_id=str(flow.app.id),
        redirect_uri=BACK,
        scope="read trade",
        code_challenge_method="S256",
        token_endpoint_auth_method="none",
        trust_env=False,
    ) as client:
        url, state = client.create_authorization_url(
            f"{flow.base}/oauth2/authorize", code_verifier=VERIFIER
        )
        async with httpx2.AsyncClient(trust_env=False) as browser:
            assert (await browser.get(url)).status_code == 200
        brought = await flow.allowed(urlsplit(url).query, "read")
        assert brought["state"] == state
        token = await client.fetch_token(
            f"{flow.base}/oauth2/token",
            authorization_response=f"{BACK}?{urlencode(brought)}",
            code_verifier=VERIFIER,
        )
        assert token["token_type"] == "Bearer"
        assert token["expires_in"] == 60 * 24 * 3600
        assert token["scope"] == "read"
        real, demo = flow.world.real[0].loginid, flow.world.demo.loginid
        assert [account["loginid"] for account in token["accounts"]] == [real, demo]
        bot = flow.world.connect(app_id=flow.app.id)
        assert (await bot.authorize(token["access_token"]))["loginid"] == real
        for account in token["accounts"]:
            assert (await bot.authorize(account["token"]))["loginid"] == account["loginid"]

        owner = await flow.world.owner()
        await owner.ask({"revoke_access": flow.app.id})
        assert await bot.refused({"balance": 1}) == "AuthorizationRequired"
        with pytest.raises(OAuthError, match="invalid_grant"):
            await client.fetch_token(
                f"{flow.base}/oauth2/token",
                authorization_response=f"{BACK}?{urlencode(brought)}",
                code_verifier=VERIFIER,
            )


async def test_a_code_stands_in_the_url_and_no_token(flow: Flow) -> None:
    brought = await flow.allowed(flow.asked(state="s"))
    assert list(brought) == ["code", "state", "iss"]
    assert "token" not in str(brought)


async def test_a_code_is_good_once_and_its_second_use_ends_what_the_first_gave(flow: Flow) -> None:
    code = (await flow.allowed(flow.asked(), "read", "admin"))["code"]
    first = (await flow.exchange(code)).json()
    bot = flow.world.connect(app_id=flow.app.id)
    await bot.authorize(first["access_token"])
    # Who has the code alone can neither use it nor end anything with it.
    other = base64.urlsafe_b64encode(hashlib.sha256(b"x").digest()).decode().rstrip("=")
    assert refused(await flow.exchange(code, code_verifier=other), "invalid_grant")
    assert "error" not in await bot.ask({"balance": 1})
    minting = {"api_token": 1, "new_token": "Mine", "new_token_scopes": ["read"]}
    made = (await bot.ask(minting))["api_token"]["tokens"]
    (minted,) = [one["token"] for one in made if "*" not in one["token"]]
    assert refused(await flow.exchange(code), "invalid_grant")
    assert await bot.refused({"balance": 1}) == "AuthorizationRequired"
    for token in (*(account["token"] for account in first["accounts"]), minted):
        assert await bot.refused({"authorize": token}) == "InvalidToken"
    owner = await flow.world.owner()
    assert (await owner.ask({"connected_apps": 1}))["connected_apps"] == []


async def test_of_many_exchanges_at_once_one_succeeds(flow: Flow) -> None:
    code = await flow.code()
    answers = await asyncio.gather(*(flow.exchange(code) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9


async def test_a_code_lives_a_minute(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    in_time, late = await flow.code(), await flow.code()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + codes.LIFETIME - 1)
    assert (await flow.exchange(in_time)).status_code == 200
    monkeypatch.setattr(time, "time", lambda: now + codes.LIFETIME)
    assert refused(await flow.exchange(late), "invalid_grant")


@pytest.mark.parametrize(
    "change",
    [
        {"code_verifier": VERIFIER[:-1] + "x"},
        {"code_verifier": CHALLENGE},
        {"code_verifier": "short"},
        {"code_verifier": VERIFIER + "é"},
        {"client_id": "1089"},
        {"client_id": "7777"},
        {"client_id": "x"},
        {"redirect_uri": BACK + "/"},
        {"redirect_uri": "https://evil.test/back"},
        {"redirect_uri": None},
        {"redirect_uri": ""},
        {"code": "x"},
        {"code": "A" * 28},
    ],
)
async def test_a_code_is_bound_to_app_address_and_verifier(flow: Flow, change: dict) -> None:
    code = await flow.code()
    assert refused(await flow.exchange(code, **change), "invalid_grant")
    assert (await flow.exchange(code)).status_code == 200  # and nothing was lost


async def test_another_apps_code_is_no_good(flow: Flow) -> None:
    other = await flow.world.app("read")
    code = await flow.code()
    assert refused(await flow.exchange(code, client_id=str(other.id)), "invalid_grant")


async def test_an_address_that_was_not_named_need_not_be_repeated(flow: Flow) -> None:
    query = urlencode(
        {
            "response_type": "code",
            "client_id": flow.app.id,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
    )
    code = (await flow.allowed(query))["code"]
    assert (await flow.exchange(code, redirect_uri="")).status_code == 200  # as good as none


@pytest.mark.parametrize(
    ("change", "error", "status"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type", 400),
        ({"grant_type": None}, "unsupported_grant_type", 400),
        ({"code": None}, "invalid_request", 400),
        ({"client_id": None}, "invalid_request", 400),
        ({"code_verifier": None}, "invalid_request", 400),
        ({"client_secret": "x"}, "invalid_client", 401),
    ],
)
async def test_what_is_wrong_is_told_in_the_words_of_the_rfc(
    flow: Flow, change: dict, error: str, status: int
) -> None:
    assert refused(await flow.exchange("x", **change), error, status)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", "application/json"),
        (b"", "application/x-www-form-urlencoded"),
        (b"code=1&code=2", "application/x-www-form-urlencoded"),
        (b"code=%ff", "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"&".join([b"a=1"] * 100), "application/x-www-form-urlencoded"),
    ],
)
async def test_a_body_that_is_no_form_is_refused(flow: Flow, content: bytes, kind: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.post(
            f"{flow.base}/oauth2/token", content=content, headers={"content-type": kind}
        )
    assert response.status_code == 400
    assert response.json()["error"] in ("invalid_request", "unsupported_grant_type")


async def test_tokens_are_asked_for_with_post(flow: Flow) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{flow.base}/oauth2/token")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


@pytest.mark.lengthy
async def test_wrong_codes_are_no_way_to_lock_others_out(flow: Flow) -> None:
    """An app with a server has one address for all of its users."""
    code = await flow.code()
    for wrong in ["x", token_form.new_owner_token()] * 20:
        assert refused(await flow.exchange(wrong), "invalid_grant")
    assert (await flow.exchange(code)).status_code == 200


async def test_a_code_of_a_user_who_was_locked_out_is_no_good(flow: Flow) -> None:
    code = await flow.code()
    await flow.world.gateway.store.write(lambda job: users.disable(job, "demo@scopegate.invalid"))
    assert refused(await flow.exchange(code), "invalid_grant")


async def test_requests_behind_one_another_are_answered_in_order(flow: Flow) -> None:
    """The exchange waits for the database; what is asked behind it waits for the exchange."""
    code = await flow.code()
    form = urlencode(
        {
            "grant_type": "authorization_code",
            "client_id": flow.app.id,
            "redirect_uri": BACK,
            "code": code,
            "code_verifier": VERIFIER,
        }
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(flow.base).port)
    head = (
        b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
    )
    writer.write(
        head % len(form)
        + form
        + b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
        + head % len(form)
        + form
        + b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    async with asyncio.timeout(10):
        told = await reader.read()
    writer.close()
    statuses = [part.split(b" ", 1)[0] for part in told.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"400", b"404"]


async def test_a_client_that_leaves_in_the_middle_does_no_harm(flow: Flow) -> None:
    code = await flow.code()
    form = urlencode({"grant_type": "authorization_code", "client_id": flow.app.id, "code": code,
                      "code_verifier": VERIFIER, "redirect_uri": BACK}).encode()  # fmt: skip
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(flow.base).port)
        writer.write(
            b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
            % len(form)
            + form
        )
        await writer.drain()
        writer.transport.abort()
    async with httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{flow.base}/")).status_code == 200
