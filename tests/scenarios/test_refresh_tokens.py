"""Refresh tokens: used once each, and none is of use to a thief for long."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from scopegate.gateway.access import apps, issuing, users
from scopegate.testing import World
from tests.oauth_flows import BACK, VERIFIER, Flow, app_flow, refused
from tests.scenarios.test_client_secrets import INTROSPECT, REVOKE, basic, secret_of

TOKEN = "/oauth2/token"


@pytest.fixture
async def flow(world: World) -> AsyncIterator[Flow]:
    async with app_flow(world, "read", "trade", "admin") as made:
        yield made


async def begun(flow: Flow, *scopes: str) -> dict[str, Any]:
    """What an app gets for a code."""
    code = (await flow.allowed(flow.asked(), *scopes))["code"]
    issued: dict[str, Any] = (await flow.exchange(code)).json()
    return issued


async def refresh(flow: Flow, text: str, **more: str | int | None) -> httpx2.Response:
    form = {"grant_type": "refresh_token", "client_id": flow.app.id, "refresh_token": text, **more}
    return await flow.post(TOKEN, **form)


async def works(flow: Flow, token: str) -> bool:
    bot = flow.world.connect(app_id=flow.app.id)
    return "error" not in await bot.ask({"authorize": token})


async def count(flow: Flow) -> int:
    row = await flow.world.gateway.store.read(
        lambda reader: reader.single("SELECT count(*) FROM refresh_tokens")
    )
    number: int = row[0]
    return number


async def test_a_client_library_refreshes_its_tokens(flow: Flow) -> None:
    document = await flow.metadata()
    assert "refresh_token" in document["grant_types_supported"]
    async with AsyncOAuth2Client(
        client_id=str(flow.app.id),
        redirect_uri=BACK,
        code_challenge_method="S256",
        token_endpoint_auth_method="none",
        token_endpoint=document["token_endpoint"],
        trust_env=False,
    ) as client:
        url, state = client.create_authorization_url(
            document["authorization_endpoint"], code_verifier=VERIFIER
        )
        brought = await flow.allowed(urlsplit(url).query, "read", "trade")
        first = await client.fetch_token(
            authorization_response=f"{BACK}?{urlencode(brought)}",
            code_verifier=VERIFIER,
            state=state,
        )
        second = await client.refresh_token()
        assert second["refresh_token"] != first["refresh_token"]
        assert second["access_token"] != first["access_token"]
        assert second["scope"] == "read trade"
        assert second["expires_in"] == 60 * 86_400
        assert [account["loginid"] for account in second["accounts"]] == [
            account["loginid"] for account in first["accounts"]
        ]
        for account in second["accounts"]:
            bot = flow.world.connect(app_id=flow.app.id)
            assert (await bot.authorize(account["token"]))["loginid"] == account["loginid"]
        with pytest.raises(OAuthError, match="invalid_grant"):
            await client.refresh_token(refresh_token=first["refresh_token"])


async def test_a_second_use_ends_the_authorization(flow: Flow) -> None:
    first = await begun(flow, "read", "admin")
    second = (await refresh(flow, first["refresh_token"])).json()
    bot = flow.world.connect(app_id=flow.app.id)
    await bot.authorize(second["access_token"])
    assert refused(await refresh(flow, first["refresh_token"]), "invalid_grant")
    assert await bot.refused({"balance": 1}) == "AuthorizationRequired"
    assert refused(await refresh(flow, second["refresh_token"]), "invalid_grant")
    for token in (first["access_token"], second["access_token"]):
        assert not await works(flow, token)
    owner = await flow.world.owner()
    assert (await owner.ask({"connected_apps": 1}))["connected_apps"] == []
    assert await count(flow) == 0


async def test_of_many_uses_at_once_one_succeeds_and_the_authorization_ends(flow: Flow) -> None:
    text = (await begun(flow))["refresh_token"]
    answers = await asyncio.gather(*(refresh(flow, text) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 4
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert not await works(flow, won["access_token"])


async def test_who_is_another_app_neither_uses_one_nor_ends_anything(flow: Flow) -> None:
    first = await begun(flow)
    other = await flow.world.app("read")
    for client_id in (other.id, 1089, 7777, "x"):
        answer = await refresh(flow, first["refresh_token"], client_id=client_id)
        assert refused(answer, "invalid_grant")
    second = (await refresh(flow, first["refresh_token"])).json()
    # A used one ends nothing either if another app shows it.
    assert refused(await refresh(flow, first["refresh_token"], client_id=other.id), "invalid_grant")
    assert await works(flow, second["access_token"])


async def test_an_app_with_a_secret_shows_it(flow: Flow) -> None:
    first = await begun(flow)
    secret = await secret_of(flow.world, flow.app)
    assert refused(await refresh(flow, first["refresh_token"]), "invalid_client", 401)
    wrong = await refresh(flow, first["refresh_token"], client_secret="x")
    assert refused(wrong, "invalid_client", 401)
    assert (await refresh(flow, first["refresh_token"], client_secret=secret)).status_code == 200


async def test_earlier_tokens_work_until_the_second_refresh(flow: Flow) -> None:
    first = await begun(flow)
    elsewhere = await begun(flow)  # the same consent, on another device
    second = (await refresh(flow, first["refresh_token"])).json()
    assert await works(flow, first["access_token"])
    third = (await refresh(flow, second["refresh_token"])).json()
    assert not await works(flow, first["access_token"])
    for token in (second, third, elsewhere):
        assert await works(flow, token["access_token"])


async def test_fewer_scopes_can_be_asked_for_and_no_more(flow: Flow) -> None:
    first = await begun(flow, "read", "trade")
    text = first["refresh_token"]
    for scope in ("read admin", "nothing", "READ"):
        assert refused(await refresh(flow, text, scope=scope), "invalid_scope")
    narrow = (await refresh(flow, text, scope="read")).json()
    assert narrow["scope"] == "read"
    bot = flow.world.connect(app_id=flow.app.id)
    assert (await bot.authorize(narrow["access_token"]))["scopes"] == ["read"]
    # The refresh token keeps what was granted (RFC 6749, 6).
    whole = (await refresh(flow, narrow["refresh_token"], scope=" ")).json()
    assert whole["scope"] == "read trade"


async def test_it_ends_with_the_authorization(flow: Flow) -> None:
    text = (await begun(flow))["refresh_token"]
    owner = await flow.world.owner()
    await owner.ask({"revoke_access": flow.app.id})
    assert refused(await refresh(flow, text), "invalid_grant")
    assert await count(flow) == 0
    text = (await begun(flow))["refresh_token"]
    await begun(flow, "read", "trade")  # another consent replaces the first
    assert refused(await refresh(flow, text), "invalid_grant")


async def test_it_waits_while_the_app_is_suspended_or_disabled(flow: Flow) -> None:
    text = (await begun(flow))["refresh_token"]
    store = flow.world.gateway.store
    changed = await store.write(lambda job: apps.update(job, flow.app, {"name": "Another"}))
    assert refused(await refresh(flow, text), "invalid_grant")
    await begun(flow)  # consent again
    await store.write(lambda job: apps.set_disabled(job, changed.id, disabled=True))
    assert refused(await refresh(flow, text), "invalid_grant")
    await store.write(lambda job: apps.set_disabled(job, changed.id, disabled=False))
    assert (await refresh(flow, text)).status_code == 200


async def test_a_user_who_was_disabled_is_not_brought_back_by_an_app(flow: Flow) -> None:
    text = (await begun(flow))["refresh_token"]
    store = flow.world.gateway.store
    await store.write(lambda job: users.disable(job, "demo@scopegate.invalid"))
    await store.write(lambda job: users.enable(job, "demo@scopegate.invalid"))
    assert refused(await refresh(flow, text), "invalid_grant")


async def test_it_must_be_used_within_ninety_days(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_time, late = (await begun(flow))["refresh_token"], (await begun(flow))["refresh_token"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + issuing.REFRESH_LASTS - 60)
    renewed = (await refresh(flow, in_time)).json()["refresh_token"]
    monkeypatch.setattr(time, "time", lambda: now + issuing.REFRESH_LASTS + 60)
    assert refused(await refresh(flow, late), "invalid_grant")
    assert (await refresh(flow, renewed)).status_code == 200


async def test_their_number_is_bounded(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuing, "MAX_LINES", 2)
    monkeypatch.setattr(issuing, "MAX_USED", 3)
    lines = [(await begun(flow))["refresh_token"] for _ in range(3)]
    assert await count(flow) == 2
    assert refused(await refresh(flow, lines[0]), "invalid_grant")  # the oldest has ended
    text = lines[2]
    for _ in range(6):
        text = (await refresh(flow, text)).json()["refresh_token"]
    assert await count(flow) == 1 + 1 + 3
    assert (await refresh(flow, lines[1])).status_code == 200


async def test_only_its_digest_is_stored(flow: Flow) -> None:
    text = (await begun(flow))["refresh_token"]
    rows = await flow.world.gateway.store.read(
        lambda reader: reader.all("SELECT * FROM refresh_tokens")
    )
    assert len(rows) == 1
    assert text not in [str(value) for value in tuple(rows[0])]
    assert text.encode() not in [value for value in tuple(rows[0]) if isinstance(value, bytes)]


async def test_it_opens_no_connection(flow: Flow) -> None:
    assert not await works(flow, (await begun(flow))["refresh_token"])


@pytest.mark.parametrize("text", ["x", "a1-" + "A" * 29, "é"])
async def test_an_unknown_one_is_refused(flow: Flow, text: str) -> None:
    assert refused(await refresh(flow, text), "invalid_grant")
    assert refused(await flow.post(TOKEN, grant_type="refresh_token"), "invalid_request")
    missing = await flow.post(TOKEN, grant_type="refresh_token", client_id=flow.app.id)
    assert refused(missing, "invalid_request")


async def test_it_is_introspected_and_revoked_with_its_tokens(flow: Flow) -> None:
    elsewhere = await begun(flow, "read", "trade")
    first = await begun(flow, "read", "trade")
    secret = await secret_of(flow.world, flow.app)
    shown = basic(flow.app.id, secret)
    status = (await flow.post(INTROSPECT, shown, token=first["refresh_token"])).json()
    assert status.pop("exp") - status.pop("iat") == issuing.REFRESH_LASTS
    assert status == {
        "active": True,
        "client_id": str(flow.app.id),
        "iss": flow.base,
        "scope": "read trade",
    }
    other = await flow.world.app("read")
    theirs = basic(other.id, await secret_of(flow.world, other))
    inactive = await flow.post(INTROSPECT, theirs, token=first["refresh_token"])
    assert inactive.json() == {"active": False}
    assert refused(await flow.post(REVOKE, theirs, token=first["refresh_token"]), "invalid_grant")

    second = (await refresh(flow, first["refresh_token"], client_secret=secret)).json()
    used = await flow.post(INTROSPECT, shown, token=first["refresh_token"])
    assert used.json() == {"active": False}
    bot = flow.world.connect(app_id=flow.app.id)
    await bot.authorize(second["access_token"])
    ended = await flow.post(REVOKE, shown, token=second["refresh_token"])
    assert ended.status_code == 200
    assert await bot.refused({"balance": 1}) == "AuthorizationRequired"
    again = await refresh(flow, second["refresh_token"], client_secret=secret)
    assert refused(again, "invalid_grant")
    for token in (first["access_token"], second["access_token"]):
        assert not await works(flow, token)
    assert await works(flow, elsewhere["access_token"])  # the authorization stays
    kept = await refresh(flow, elsewhere["refresh_token"], client_secret=secret)
    assert kept.status_code == 200
