"""Restricted apps: an app asks to be restricted, its user restricts it further, also later."""

import json
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from scopegate.gateway.access import consent
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls.errors import ApiError
from scopegate.handlers.exchange.exchange_scopes import READ, SCOPES, TRADE
from scopegate.handlers.exchange.trading_restrictions import TradingRestrictionKinds
from scopegate.runtime.clock import WallClock
from scopegate.schemas.scopes import Scopes
from scopegate.testing import Client, World
from tests.scenarios.test_codes import Flow, flow
from tests.scenarios.test_restricted_tokens import buy, error_of

__all__ = ["flow"]  # a fixture

SCOPES_GIVEN = ["read", "trade"]


def details(**fields: Any) -> str:
    return json.dumps([{"type": "scopegate_restrictions", **fields}])


def query(app: App, **fields: Any) -> str:
    more = {"authorization_details": details(**fields)} if fields else {}
    return urlencode({"app_id": app.id, **more})


def consenting(world: World, asked: str, **more: Any) -> dict[str, Any]:
    return {
        "consent": 1,
        "query": asked,
        "returns_to": "https://app.example.com",
        "loginids": [world.demo.loginid],
        "scopes": SCOPES_GIVEN,
        **more,
    }


async def allow(world: World, asked: str, **more: Any) -> str:
    """Allow it; the first token that the app gets."""
    reply = await (await world.owner()).ask(consenting(world, asked, **more))
    assert "error" not in reply, reply["error"]
    return dict(parse_qsl(urlsplit(reply["consent"]["redirect_to"]).query))["token1"]


async def signed_in(world: World, app: App, token: str) -> Client:
    bot = world.connect(app_id=app.id)
    await bot.authorize(token)
    return bot


async def connected_app(world: World) -> dict[str, Any]:
    [found] = (await (await world.owner()).ask({"connected_apps": 1}))["connected_apps"]
    shown: dict[str, Any] = found
    return shown


async def test_an_app_gets_the_restrictions_that_it_asks_for(world: World) -> None:
    app = await world.app(*SCOPES_GIVEN, name="Chart bot")
    asked = query(app, max_stake=10, contract_types=["CALL", "PUT"])
    owner = await world.owner()
    shown = (await owner.ask({"consent_request": 1, "query": asked}))["consent_request"]
    requested = {"max_stake": 10.0, "contract_types": ["CALL", "PUT"]}
    assert shown["restrictions"] == shown["proposed_restrictions"] == requested
    assert shown["expires_at"] is None
    bot = await signed_in(world, app, await allow(world, asked))
    assert await bot.refused(buy(10.5)) == "TokenCapReached"
    assert await bot.refused(buy(10, contract_type="DIGITODD")) == "TokenRestricted"
    assert "error" not in await bot.ask(buy(10))
    found = await connected_app(world)
    [held] = found["in_force"]
    assert (held["name"], held["set_for"]) == ("Chart bot", "app")
    assert held["restrictions"] == requested
    assert held["use"]["max_stake_per_day"] == 10.0
    assert found["expires_at"] is None


async def test_its_user_may_restrict_it_more_but_not_less(world: World) -> None:
    app = await world.app(*SCOPES_GIVEN)
    asked = query(app, max_stake=10, no_trading=["22:00-06:00"])
    owner = await world.owner()
    for given, looser in (
        ({}, {"max_stake", "no_trading"}),
        ({"max_stake": 11, "no_trading": ["22:00-06:00"]}, {"max_stake"}),
        ({"max_stake": 9, "no_trading": ["21:00-06:00"]}, {"no_trading"}),
    ):
        error = await error_of(owner, consenting(world, asked, restrictions=given))
        assert error["code"] == "InputValidationFailed"
        assert error["details"] == {
            f"restrictions.{name}": "Less strict than what the app requests." for name in looser
        }
    assert (await owner.ask({"connected_apps": 1}))["connected_apps"] == []
    stricter = {"max_stake": 5, "no_trading": ["22:00-06:00"], "max_open_contracts": 1}
    bot = await signed_in(world, app, await allow(world, asked, restrictions=stricter))
    assert await bot.refused(buy(5.5)) == "TokenCapReached"
    assert "error" not in await bot.ask(buy(5))
    assert await bot.refused(buy(5)) == "TokenCapReached"


async def test_consenting_again_replaces_the_restrictions(world: World) -> None:
    app = await world.app(*SCOPES_GIVEN)
    first = await signed_in(world, app, await allow(world, query(app)))
    assert "error" not in await first.ask(buy(10))
    await allow(world, query(app), restrictions={"max_stake": 8, "max_stake_per_day": 10})
    # They hold for the tokens from before too, and what is used stays used.
    assert await first.refused(buy(8.5)) == "TokenCapReached"
    assert "error" not in await first.ask(buy(8))
    second = await signed_in(world, app, await allow(world, query(app)))  # which changes nothing
    assert await second.refused(buy(2.5)) == "TokenCapReached"
    assert (await connected_app(world))["in_force"][0]["restrictions"] == {
        "max_stake": 8.0,
        "max_stake_per_day": 10.0,
    }
    owner = await world.owner()
    asked = query(app, max_stake=7, max_open_contracts=3)
    shown = (await owner.ask({"consent_request": 1, "query": asked}))["consent_request"]
    assert shown["proposed_restrictions"] == {
        "max_stake": 7.0,
        "max_stake_per_day": 10.0,
        "max_open_contracts": 3,
    }
    # With other scopes there is another authorization, which has them too.
    token = await allow(world, query(app), scopes=["trade"])
    assert await (await signed_in(world, app, token)).refused(buy(8.5)) == "TokenCapReached"
    await allow(world, query(app), scopes=["trade"], restrictions={})
    assert "error" not in await (await signed_in(world, app, token)).ask(buy(8.5))


async def test_an_owner_restricts_a_connected_app(world: World) -> None:
    app = await world.app(*SCOPES_GIVEN)
    bot = await signed_in(world, app, await allow(world, query(app)))
    assert "error" not in await bot.ask(buy(10))
    owner = await world.owner()
    expires_at = int(time.time()) + 86_400
    request = {"app_restrict": app.id, "restrictions": {"max_stake": 5}}
    reply = await owner.ask({**request, "expires_at": expires_at})
    body = reply["app_restrict"]
    assert body["expires_at"] == expires_at
    assert body["in_force"][0]["restrictions"] == {"max_stake": 5.0}
    assert await bot.refused(buy(10)) == "TokenCapReached"
    assert (await connected_app(world))["expires_at"] == expires_at
    trail = (await owner.ask({"audit_trail": 1, "limit": 5}))["audit_trail"]
    [record] = [record for record in trail if record["event"] == "app restricted"]
    assert record["about"].endswith("restrictions: max_stake=5.0")
    error = await error_of(owner, {**request, "expires_at": 1})
    assert error["details"] == {"expires_at": "Must be in the future."}
    body = (await owner.ask({**request, "expires_at": 0}))["app_restrict"]
    assert body["expires_at"] is None


async def test_an_authorization_expires_with_its_tokens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await world.app(*SCOPES_GIVEN)
    now = int(time.time())
    earlier = await signed_in(world, app, await allow(world, query(app)))
    token = await allow(world, query(app), expires_at=now + 3_600)
    again = await allow(world, query(app))  # the same expiry, by default
    for text in (token, again):
        await signed_in(world, app, text)
    owner = await world.owner()
    error = await error_of(owner, consenting(world, query(app), expires_at=now - 1))
    assert error["details"] == {"expires_at": "Must be in the future."}
    shown = (await owner.ask({"consent_request": 1, "query": query(app)}))["consent_request"]
    assert shown["expires_at"] == now + 3_600
    monkeypatch.setattr(time, "time", lambda: now + 3_601.0)
    assert await earlier.refused(buy()) == "AuthorizationRequired"
    for text in (token, again):
        assert await world.connect(app_id=app.id).refused({"authorize": text}) == "InvalidToken"
    assert (await connected_app(world))["expires_at"] == now + 3_600
    await signed_in(world, app, await allow(world, query(app)))  # it no longer expires
    assert (await connected_app(world))["expires_at"] is None


async def test_tokens_for_a_code_have_the_restrictions(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await flow.world.owner()
    asked = flow.asked(authorization_details=details(max_stake=10))
    now = int(time.time())
    request = consenting(
        flow.world, asked, restrictions={"max_stake": 5}, expires_at=now + 3_600, scopes=["trade"]
    )
    sent = (await owner.ask(request))["consent"]["redirect_to"]
    body = (await flow.exchange(dict(parse_qsl(urlsplit(sent).query))["code"])).json()
    assert body["authorization_details"] == [{"type": "scopegate_restrictions", "max_stake": 5.0}]
    assert 0 < body["expires_in"] <= 3_600
    bot = await signed_in(flow.world, flow.app, body["access_token"])
    assert await bot.refused(buy(5.5)) == "TokenCapReached"
    assert "error" not in await bot.ask(buy(5))
    # A code that comes after the end of the authorization is of no use.
    sent = (await owner.ask(request))["consent"]["redirect_to"]
    await owner.ask(
        {"app_restrict": flow.app.id, "restrictions": {}, "expires_at": int(time.time()) + 30}
    )
    monkeypatch.setattr(time, "time", lambda: now + 45.0)
    late = await flow.exchange(dict(parse_qsl(urlsplit(sent).query))["code"])
    assert late.json()["error"] == "invalid_grant"


async def test_a_code_without_restrictions_answers_as_before(flow: Flow) -> None:
    body = (await flow.exchange(await flow.code())).json()
    assert "authorization_details" not in body


# What a link may ask.

APP = App(
    id=7,
    user_id=1,
    name="App",
    scopes=frozenset({READ, TRADE}),
    redirect_uri="https://app.example.com/back",
)
ALL_KINDS = TradingRestrictionKinds(WallClock())


def understood(
    authorization_details: str, kinds: RestrictionKinds = ALL_KINDS
) -> consent.AuthorizationRequest:
    asked = urlencode({"app_id": 7, "authorization_details": authorization_details})
    return consent.understand(asked, {7: APP}.get, Scopes(SCOPES), kinds)


@pytest.mark.parametrize(
    ("authorization_details", "words"),
    [
        ("{", "not valid JSON"),
        ("[" * 2_000, "not valid JSON"),
        ("{}", "an array of one object"),
        ("[]", "an array of one object"),
        ("[1]", "an array of one object"),
        (json.dumps([{"type": "scopegate_restrictions"}] * 2), "an array of one object"),
        ("[{}]", "must be scopegate_restrictions"),
        ('[{"type": "payment_initiation"}]', "must be scopegate_restrictions"),
        (details(max_steak=1), "authorization_details.max_steak: "),
        (details(max_stake=-1), "authorization_details.max_stake: "),
        (details(symbols=["R_99"]), "authorization_details.symbols: There is no R_99"),
    ],
)
def test_wrong_details_are_refused(authorization_details: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        understood(authorization_details)
    assert words in refused.value.message
    assert refused.value.details is not None
    back = dict(parse_qsl(urlsplit(refused.value.details["back"]).query))
    assert back["error"] == "invalid_authorization_details"


def test_a_gateway_without_the_exchange_knows_no_caps() -> None:
    with pytest.raises(ApiError, match=r"authorization_details\.max_stake"):
        understood(details(max_stake=1), RestrictionKinds())
    found = understood(details(calls_per_minute=60), RestrictionKinds())
    assert found.restrictions.as_json() == {"calls_per_minute": 60}


def test_restrictions_are_tightened_by_others() -> None:
    present = ALL_KINDS.checked(
        {"max_stake": 5, "max_loss_per_day": 50, "symbols": ["R_50"], "no_trading": ["01:00-02:00"]}
    )
    asked = ALL_KINDS.checked(
        {
            "max_stake": 10,
            "max_loss_per_day": 40,
            "contract_types": ["CALL"],
            "no_trading": ["03:00-04:00"],
        }
    )
    assert present.tightened_by(asked).as_json() == {
        "max_stake": 5.0,
        "max_loss_per_day": 40.0,
        "symbols": ["R_50"],
        "contract_types": ["CALL"],
        "no_trading": ["01:00-02:00", "03:00-04:00"],
    }
