"""Apps with a client secret, and what it is needed for: introspection and revocation."""

import base64
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx2
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from scopegate.gateway.access import app_secrets, apps, audit, tokens
from scopegate.gateway.access.apps import App
from scopegate.gateway.calls import token_form
from scopegate.gateway.web.oauth_clients import METHODS
from scopegate.testing import World
from tests.oauth_flows import BACK, VERIFIER, Flow, app_flow, refused

INTROSPECT, REVOKE = "/oauth2/introspect", "/oauth2/revoke"


@pytest.fixture
async def flow(world: World) -> AsyncIterator[Flow]:
    async with app_flow(world, "read", "trade", "admin") as made:
        yield made


async def secret_of(world: World, app: App) -> str:
    """A new secret, as the owner of the app creates it."""
    owner = await world.owner()
    reply = await owner.ask({"app_secret": 1, "app_id": app.id, "action": "create"})
    secret: str = reply["app_secret"]["client_secret"]
    return secret


async def token_of(flow: Flow, secret: str) -> str:
    response = await flow.exchange(await flow.code(), client_secret=secret)
    token: str = response.json()["access_token"]
    return token


def basic(client_id: object, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


# The secret.


async def test_an_owner_creates_replaces_and_deletes_it(flow: Flow) -> None:
    world, app = flow.world, flow.app
    owner = await world.owner()
    assert (await owner.ask({"app_secret": 1}))["app_secret"] == {
        "apps": [{"app_id": app.id, "created": None}]
    }
    first = await secret_of(world, app)
    listed = (await owner.ask({"app_secret": 1}))["app_secret"]
    assert "client_secret" not in listed  # it is shown once
    assert listed["apps"][0]["created"] is not None
    second = await secret_of(world, app)
    assert refused(await flow.exchange("x", client_secret=first), "invalid_client", 401)
    assert refused(await flow.exchange("x", client_secret=second), "invalid_grant")
    await owner.ask({"app_secret": 1, "app_id": app.id, "action": "delete"})
    assert refused(await flow.exchange("x", client_secret=second), "invalid_client", 401)
    assert (await flow.exchange(await flow.code())).status_code == 200  # a public client again


async def test_only_its_digest_is_stored_and_its_changes_are_recorded(flow: Flow) -> None:
    secret = await secret_of(flow.world, flow.app)
    store = flow.world.gateway.store
    row = await store.read(
        lambda reader: reader.single("SELECT * FROM apps WHERE id = ?", flow.app.id)
    )
    assert bytes(row["secret_digest"]) == token_form.digest(secret)
    assert secret not in [str(value) for value in tuple(row)]
    changed = await store.read(
        lambda reader: reader.all(
            "SELECT about FROM audit WHERE event = ? ORDER BY id", audit.Event.APP_CHANGED
        )
    )
    assert "client_secret" in changed[-1]["about"]
    assert secret not in changed[-1]["about"]


async def test_it_belongs_to_the_owner_alone(flow: Flow) -> None:
    """Neither another user nor an app can have one, not even for an app that it registered."""
    other = flow.world.connect()
    other_account = (await flow.world.user("other@example.com"))[1]
    await other.authorize(await flow.world.token("admin", loginid=other_account.loginid))
    request = {"app_secret": 1, "app_id": flow.app.id, "action": "create"}
    assert await other.refused(request) == "InvalidAppID"
    bot = flow.world.connect(app_id=flow.app.id)
    await bot.authorize(await flow.world.token("admin", app=flow.app))
    assert await bot.refused(request) == "PermissionDenied"


@pytest.mark.parametrize("given", [{"app_id": 1089}, {"action": "create"}])
async def test_half_a_change_is_refused(world: World, given: dict[str, Any]) -> None:
    owner = await world.owner()
    assert await owner.refused({"app_secret": 1, **given}) == "InputValidationFailed"


# The token endpoint.


async def test_an_app_with_a_secret_gets_no_token_without_it(flow: Flow) -> None:
    secret = await secret_of(flow.world, flow.app)
    code = await flow.code()
    without = await flow.exchange(code)
    assert refused(without, "invalid_client", 401)
    assert without.headers["www-authenticate"].startswith("Basic ")
    assert refused(await flow.exchange(code, client_secret=""), "invalid_client", 401)
    assert refused(await flow.exchange(code, client_secret="x"), "invalid_client", 401)
    other = await flow.world.app("read")
    others = await secret_of(flow.world, other)
    assert refused(await flow.exchange(code, client_secret=others), "invalid_client", 401)
    assert refused(await flow.exchange(code, client_id=str(other.id)), "invalid_client", 401)
    # PKCE is required all the same.
    assert refused(
        await flow.exchange(code, client_secret=secret, code_verifier="x" * 43), "invalid_grant"
    )
    assert (await flow.exchange(code, client_secret=secret)).status_code == 200


@pytest.mark.parametrize("method", METHODS)
async def test_a_client_library_shows_it_in_either_way(flow: Flow, method: str) -> None:
    document = await flow.metadata()
    assert method in document["token_endpoint_auth_methods_supported"]
    async with AsyncOAuth2Client(
        client_id=str(flow.app.id),
        client_secret=await secret_of(flow.world, flow.app),
        redirect_uri=BACK,
        code_challenge_method="S256",
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        trust_env=False,
    ) as client:
        url, state = client.create_authorization_url(
            document["authorization_endpoint"], code_verifier=VERIFIER
        )
        brought = await flow.allowed(urlsplit(url).query, "read", "trade")
        assert (
            brought["iss"] == (await flow.metadata(Host=urlsplit(brought["iss"]).netloc))["issuer"]
        )
        token = await client.fetch_token(
            document["token_endpoint"],
            authorization_response=f"{BACK}?{urlencode(brought)}",
            code_verifier=VERIFIER,
            state=state,
        )
        text = token["access_token"]
        bot = flow.world.connect(app_id=flow.app.id)
        await bot.authorize(text)

        asked = await client.introspect_token(document["introspection_endpoint"], token=text)
        status = asked.json()
        assert time.time() - 60 <= status.pop("iat") <= time.time()
        assert time.time() < status.pop("exp") <= time.time() + token["expires_in"]
        assert status == {
            "active": True,
            "client_id": str(flow.app.id),
            "iss": flow.base,
            "scope": "read trade",
            "sub": flow.world.real[0].loginid,
            "token_type": "Bearer",
        }

        ended = await client.revoke_token(document["revocation_endpoint"], token=text)
        assert ended.status_code == 200
        assert await bot.refused({"balance": 1}) == "AuthorizationRequired"
        asked = await client.introspect_token(document["introspection_endpoint"], token=text)
        assert asked.json() == {"active": False}


async def test_a_client_library_with_a_wrong_secret_is_refused(flow: Flow) -> None:
    await secret_of(flow.world, flow.app)
    async with AsyncOAuth2Client(
        client_id=str(flow.app.id), client_secret="x", redirect_uri=BACK, trust_env=False
    ) as client:
        with pytest.raises(OAuthError, match="invalid_client"):
            await client.fetch_token(
                f"{flow.base}/oauth2/token", code=await flow.code(), code_verifier=VERIFIER
            )


async def test_both_parts_of_the_header_are_form_encoded(flow: Flow) -> None:
    secret = await secret_of(flow.world, flow.app)
    escaped = "".join(f"%{ord(character):02x}" for character in secret)
    for shown in (secret, quote_plus(secret), escaped):
        response = await flow.post(INTROSPECT, basic(flow.app.id, shown), token="x")
        assert response.json() == {"active": False}


@pytest.mark.parametrize(
    ("header", "form", "error", "status"),
    [
        ("Bearer x", {}, "invalid_client", 401),
        ("Basic", {}, "invalid_client", 401),
        ("Basic !!", {}, "invalid_client", 401),
        ("Basic " + base64.b64encode(b"no-colon").decode(), {}, "invalid_client", 401),
        ("Basic " + base64.b64encode(b"\xff:x").decode(), {}, "invalid_client", 401),
        ("Basic " + base64.b64encode(b"1089:x").decode(), {}, "invalid_client", 401),
        (
            "Basic " + base64.b64encode(b"1089:x").decode(),
            {"client_secret": "x"},
            "invalid_request",
            400,
        ),
        ("Basic " + base64.b64encode(b"1:x").decode(), {"client_id": 2}, "invalid_request", 400),
    ],
)
async def test_a_header_that_is_wrong_is_told(
    flow: Flow, header: str, form: dict[str, Any], error: str, status: int
) -> None:
    for path in (INTROSPECT, REVOKE):
        response = await flow.post(path, {"Authorization": header}, token="x", **form)
        assert refused(response, error, status)
        assert ("www-authenticate" in response.headers) == (status == 401)


# Introspection and revocation.


@pytest.mark.parametrize("path", [INTROSPECT, REVOKE])
async def test_they_serve_authenticated_apps_alone(flow: Flow, path: str) -> None:
    code = await flow.code()
    token = (await flow.exchange(code)).json()["access_token"]
    public = {"client_id": flow.app.id, "token": token}
    assert refused(await flow.post(path, **public), "invalid_client", 401)
    assert refused(await flow.post(path, token=token), "invalid_request")
    assert refused(await flow.post(path, client_id="x", token=token), "invalid_client", 401)
    secret = await secret_of(flow.world, flow.app)
    assert refused(await flow.post(path, **public), "invalid_client", 401)
    assert refused(await flow.post(path, **public, client_secret="x"), "invalid_client", 401)
    assert refused(
        await flow.post(path, client_id=flow.app.id, client_secret=secret), "invalid_request"
    )
    store = flow.world.gateway.store
    await store.write(lambda job: apps.set_disabled(job, flow.app.id, disabled=True))
    assert refused(await flow.post(path, **public, client_secret=secret), "invalid_client", 401)
    await store.write(lambda job: apps.set_disabled(job, flow.app.id, disabled=False))
    assert (await flow.post(path, **public, client_secret=secret)).status_code == 200


async def test_they_serve_an_apps_own_tokens_alone(flow: Flow) -> None:
    token = await token_of(flow, await secret_of(flow.world, flow.app))
    other = await flow.world.app("read")
    shown = basic(other.id, await secret_of(flow.world, other))
    owners = await flow.world.token("read")
    for text in (token, owners):
        assert (await flow.post(INTROSPECT, shown, token=text)).json() == {"active": False}
        assert refused(await flow.post(REVOKE, shown, token=text), "invalid_grant")
    bot = flow.world.connect(app_id=flow.app.id)
    await bot.authorize(token)
    await flow.world.connect().authorize(owners)


async def test_tokens_that_an_app_created_are_its_own_and_end_with_the_first(flow: Flow) -> None:
    secret = await secret_of(flow.world, flow.app)
    code = (await flow.allowed(flow.asked(), "read", "admin"))["code"]
    token = (await flow.exchange(code, client_secret=secret)).json()["access_token"]
    bot = flow.world.connect(app_id=flow.app.id)
    await bot.authorize(token)
    minting = {"api_token": 1, "new_token": "Mine", "new_token_scopes": ["read"]}
    made = (await bot.ask(minting))["api_token"]["tokens"]
    (minted,) = [one["token"] for one in made if "*" not in one["token"]]
    shown = basic(flow.app.id, secret)
    status = (await flow.post(INTROSPECT, shown, token=minted, token_type_hint="x")).json()
    assert (status["active"], status["scope"]) == (True, "read")
    assert (await flow.post(REVOKE, shown, token=token)).status_code == 200
    assert (await flow.post(INTROSPECT, shown, token=minted)).json() == {"active": False}


async def test_a_token_that_is_no_more_is_revoked_without_an_error(flow: Flow) -> None:
    shown = basic(flow.app.id, await secret_of(flow.world, flow.app))
    for text in ("x", "a1-" + "A" * 29, token_form.new_app_token()):
        response = await flow.post(REVOKE, shown, token=text)
        assert (response.status_code, response.json()) == (200, {})
        assert response.headers["cache-control"] == "no-store"


async def test_what_allows_nothing_is_not_active(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await secret_of(flow.world, flow.app)
    token = await token_of(flow, secret)
    shown = basic(flow.app.id, secret)
    store = flow.world.gateway.store
    changed = {"name": "Another name"}
    await store.write(lambda job: apps.update(job, flow.app, changed))  # suspended
    assert (await flow.post(INTROSPECT, shown, token=token)).json() == {"active": False}
    await flow.code()  # consent again
    assert (await flow.post(INTROSPECT, shown, token=token)).json()["active"] is True
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61 * 86_400)
    assert (await flow.post(INTROSPECT, shown, token=token)).json() == {"active": False}


@pytest.mark.parametrize("path", [INTROSPECT, REVOKE])
async def test_secrets_and_tokens_are_sent_in_a_form_alone(flow: Flow, path: str) -> None:
    secret = await secret_of(flow.world, flow.app)
    query = urlencode({"client_id": flow.app.id, "client_secret": secret, "token": "x"})
    assert refused(await flow.post(f"{path}?{query}"), "invalid_request")
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{flow.base}{path}?{query}")
    assert refused(response, "invalid_request", 405)


async def test_a_missing_app_fits_no_secret(world: World) -> None:
    store = world.gateway.store
    assert await store.read(lambda reader: app_secrets.fits(reader, 7777, None))
    assert not await store.read(lambda reader: app_secrets.fits(reader, 7777, "x"))


async def test_revoking_ends_one_token_and_no_other(flow: Flow) -> None:
    secret = await secret_of(flow.world, flow.app)
    response = await flow.exchange(await flow.code(), client_secret=secret)
    first, second = (account["token"] for account in response.json()["accounts"])
    await flow.post(REVOKE, basic(flow.app.id, secret), token=first)
    found = [
        await flow.world.gateway.store.read(
            lambda reader, text=text: tokens.find(reader, token_form.digest(text))  # type: ignore[misc]
        )
        for text in (first, second)
    ]
    assert [each is None for each in found] == [True, False]
