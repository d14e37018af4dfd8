"""A scene for every call that is offered: what must be there, and a request that then succeeds.

Whoever adds a call adds its row to `SCENES`. A scene may be set several times in one world, each
time for another client.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.app import declared
from gateway.calls import Call
from gateway.testing import Client, World
from schemas.published import PUBLISHED

Request = dict[str, Any]
Scene = Callable[[World, Client], Awaitable[Request]]
"""Prepares the world for this client's request, and returns the request."""

OFFERED: Mapping[str, Call] = {call.name: call for call in sorted(declared(), key=lambda c: c.name)}
OWN = sorted(OFFERED.keys() - PUBLISHED.keys())
"""The calls of the gateway's own pages."""

_numbers = itertools.count(1)


def as_it_is(**request: Any) -> Scene:
    """A request that needs nothing prepared."""

    async def scene(here: World, client: Client) -> Request:
        return dict(request)

    return scene


async def authorize(here: World, client: Client) -> Request:
    return {"authorize": await here.token()}


async def a_stream_to_forget(here: World, client: Client) -> Request:
    first = await client.ask({"ticks": "R_100", "subscribe": 1})
    return {"forget": first["subscription"]["id"]}


async def streams_to_forget(here: World, client: Client) -> Request:
    await client.ask({"ticks": "R_100", "subscribe": 1})
    return {"forget_all": "ticks"}


async def a_sign_in_to_list(here: World, client: Client) -> Request:
    visitor = here.connect()
    await visitor.ask({"authorize": await here.token("read"), "add_to_login_history": 1})
    visitor.leave()
    return {"login_history": 1, "limit": 25}


async def more_entries_than_a_page(here: World, client: Client) -> Request:
    for _ in range(30):
        await here.credit(1)
    return {"statement": 1, "description": 1, "limit": 100, "offset": 25}


async def less_than_at_the_opening(here: World, client: Client) -> Request:
    await here.credit(-100)
    return {"topup_virtual": 1}


def an_app_of_ones_own(call: str) -> Scene:
    """The request names, under the call's own key, an app that the user registered."""

    async def scene(here: World, client: Client) -> Request:
        return {call: (await here.app("read", "trade")).id}

    return scene


async def an_app_to_describe_anew(here: World, client: Client) -> Request:
    app = await here.app("read", "trade")
    return {"app_update": app.id, "name": f"New {next(_numbers)}", "scopes": ["read"]}


async def a_new_app(here: World, client: Client) -> Request:
    return {
        "app_register": 1,
        "name": f"New {next(_numbers)}",
        "scopes": ["read", "trade"],
        "redirect_uri": "https://new.example.com/back",
        "app_markup_percentage": 1.5,
    }


async def a_connected_app(here: World, client: Client) -> Request:
    app = await here.app("read", "trade")
    await here.token("read", app=app)
    return {"revoke_oauth_app": app.id}


async def connected_apps(here: World, client: Client) -> Request:
    await a_connected_app(here, client)
    return {"oauth_apps": 1}


async def apps_of_ones_own(here: World, client: Client) -> Request:
    await here.app("read")
    return {"app_list": 1}


RISE: Request = {
    "amount": 10,
    "barrier": "+0.1",
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "duration": 60,
    "duration_unit": "s",
    "symbol": "R_100",
}
UP: Request = {
    "amount": 10,
    "basis": "stake",
    "cancellation": "5m",
    "contract_type": "MULTUP",
    "currency": "USD",
    "limit_order": {"take_profit": 5},
    "multiplier": 100,
    "symbol": "R_100",
}


async def trader(here: World, *loginids: str) -> Client:
    """Another client of the same user's, which may trade."""
    client = here.connect()
    await client.authorize(await here.token("trade", loginid=loginids[0] if loginids else None))
    return client


async def bought(here: World, parameters: Request, **more: Any) -> int:
    """A contract of the demo account's, entered; its number."""
    client = await trader(here)
    reply = await client.ask({"buy": 1, "price": 1_000, "parameters": parameters} | more)
    assert "error" not in reply, reply["error"]
    client.leave()
    here.clock.advance(2)
    number: int = reply["buy"]["contract_id"]
    return number


async def a_proposal(here: World, client: Client) -> Request:
    quoted = await client.ask({"proposal": 1, **RISE})
    return {"buy": quoted["proposal"]["id"], "price": 100}


DEAR: Request = {**RISE, "amount": 1_000}
"""A contract that is worth more than half a thousand when it has just been bought."""


async def a_contract_to_sell(here: World, client: Client) -> Request:
    return {"sell": await bought(here, DEAR), "price": 0}


async def a_deal_to_cancel(here: World, client: Client) -> Request:
    return {"cancel": await bought(here, UP)}


async def orders_to_change(here: World, client: Client) -> Request:
    number = await bought(here, UP)
    return {"contract_update": 1, "contract_id": number, "limit_order": {"take_profit": 1}}


async def orders_to_list(here: World, client: Client) -> Request:
    return {"contract_update_history": 1, "contract_id": await bought(here, UP)}


async def a_contract_to_follow(here: World, client: Client) -> Request:
    number = await bought(here, RISE)
    return {"proposal_open_contract": 1, "contract_id": number, "subscribe": 1}


async def contracts_to_list(here: World, client: Client) -> Request:
    await bought(here, RISE)
    return {"portfolio": 1}


async def closed_contracts(here: World, _: Client) -> Request:
    client = await trader(here)
    buying = {"buy": 1, "price": 100, "parameters": RISE}
    bought = [(await client.ask(buying))["buy"]["contract_id"] for _ in range(30)]
    here.clock.advance(2)
    for number in bought:
        assert "error" not in await client.ask({"sell": number, "price": 0})
    client.leave()
    return {"profit_table": 1, "description": 1, "limit": 25, "offset": 1, "sort": "ASC"}


async def several_buyers(here: World, client: Client) -> Request:
    tokens = [await here.token("trade", loginid=account.loginid) for account in here.real]
    quoted = await client.ask({"proposal": 1, **RISE, "amount": 2})
    return {
        "buy_contract_for_multiple_accounts": quoted["proposal"]["id"],
        "price": 2.57,
        "tokens": tokens,
    }


async def several_sellers(here: World, client: Client) -> Request:
    request = await several_buyers(here, client)
    buyer = await trader(here)
    request = {
        "buy_contract_for_multiple_accounts": 1,
        "price": 1_000,
        "parameters": DEAR,
        "tokens": request["tokens"],
    }
    reply = await buyer.ask(request)
    [first, *_] = reply["buy_contract_for_multiple_accounts"]["result"]
    buyer.leave()
    here.clock.advance(2)
    return {
        "sell_contract_for_multiple_accounts": 1,
        "price": 0,
        "shortcode": first["shortcode"],
        "tokens": request["tokens"],
    }


async def an_app_to_consent_to(here: World, client: Client) -> Request:
    app = await here.app("read", "trade")
    return {
        "consent": 1,
        "query": f"app_id={app.id}&state=x",
        "returns_to": "https://app.example.com",
        "loginids": [here.demo.loginid],
        "scopes": ["read"],
    }


async def an_app_to_refuse(here: World, client: Client) -> Request:
    return {"consent_refuse": 1, "query": f"app_id={(await here.app('read')).id}"}


async def an_app_that_asks(here: World, client: Client) -> Request:
    return {"consent_request": 1, "query": f"app_id={(await here.app('read')).id}"}


async def an_app_in_use(here: World, client: Client) -> Request:
    app = await here.app("read", "trade")
    bot = here.connect(app_id=app.id)
    await bot.authorize(await here.token("read", app=app))
    await bot.ask({"balance": 1})
    return {"connected_apps": 1}


async def what_an_app_did(here: World, client: Client) -> Request:
    await an_app_in_use(here, client)
    return {"activity": 1, "limit": 100, "own_pages": 0}


async def origins_to_allow(here: World, client: Client) -> Request:
    app = await here.app("read")
    return {"app_origins": app.id, "allowed_origins": ["https://bot.example.com"]}


async def access_to_revoke(here: World, client: Client) -> Request:
    return {"revoke_access": (await a_connected_app(here, client))["revoke_oauth_app"]}


async def tokens_to_list(here: World, client: Client) -> Request:
    await here.token("read")
    return {"token_list": 1}


async def a_password(here: World, client: Client) -> Request:
    email = f"ada{next(_numbers)}@example.com"
    await here.user(email, password="correct horse")
    return {"sign_in": 1, "email": email, "password": "correct horse"}


SCENES: Mapping[str, Scene] = {
    "account_list": as_it_is(account_list=1),
    "account_reset": as_it_is(account_reset=1),
    "active_symbols": as_it_is(active_symbols="brief", product_type="basic"),
    "activity": what_an_app_did,
    "api_token": as_it_is(api_token=1, new_token="Bot", new_token_scopes=["admin"]),
    "app_delete": an_app_of_ones_own("app_delete"),
    "app_get": an_app_of_ones_own("app_get"),
    "app_list": apps_of_ones_own,
    "app_origins": origins_to_allow,
    "app_register": a_new_app,
    "app_update": an_app_to_describe_anew,
    "asset_index": as_it_is(asset_index=1),
    "authorize": authorize,
    "balance": as_it_is(balance=1),
    "buy": a_proposal,
    "buy_contract_for_multiple_accounts": several_buyers,
    "cancel": a_deal_to_cancel,
    "connected_apps": an_app_in_use,
    "consent": an_app_to_consent_to,
    "consent_refuse": an_app_to_refuse,
    "consent_request": an_app_that_asks,
    "contract_update": orders_to_change,
    "contract_update_history": orders_to_list,
    "contracts_for": as_it_is(contracts_for="R_50", currency="USD", landing_company="svg"),
    "contracts_for_company": as_it_is(contracts_for_company=1),
    "economic_calendar": as_it_is(economic_calendar=1),
    "forget": a_stream_to_forget,
    "forget_all": streams_to_forget,
    "get_account_status": as_it_is(get_account_status=1),
    "get_limits": as_it_is(get_limits=1),
    "get_settings": as_it_is(get_settings=1),
    "login_history": a_sign_in_to_list,
    "logout": as_it_is(logout=1),
    "oauth_apps": connected_apps,
    "page_info": as_it_is(page_info=1),
    "payout_currencies": as_it_is(payout_currencies=1),
    "ping": as_it_is(ping=1),
    "portfolio": contracts_to_list,
    "profit_table": closed_contracts,
    "proposal": as_it_is(proposal=1, **RISE),
    "proposal_open_contract": a_contract_to_follow,
    "reality_check": as_it_is(reality_check=1),
    "revoke_access": access_to_revoke,
    "revoke_oauth_app": a_connected_app,
    "sell": a_contract_to_sell,
    "sell_contract_for_multiple_accounts": several_sellers,
    "sell_expired": as_it_is(sell_expired=1),
    "set_settings": as_it_is(set_settings=1, allow_copiers=1, address_postcode="12345"),
    "sign_in": a_password,
    "sign_in_demo": as_it_is(sign_in_demo=1),
    "sign_out": as_it_is(sign_out=1),
    "statement": more_entries_than_a_page,
    "ticks": as_it_is(ticks="R_50"),
    "ticks_batch": as_it_is(ticks_batch=1, market="synthetic_index"),
    "ticks_history": as_it_is(ticks_history="R_50", end="1767268800", count=10, start=1),
    "time": as_it_is(time=1),
    "token_list": tokens_to_list,
    "topup_virtual": less_than_at_the_opening,
    "trading_durations": as_it_is(trading_durations=1),
    "trading_times": as_it_is(trading_times="2026-01-02"),
    "transaction": as_it_is(transaction=1, subscribe=1),
    "website_config": as_it_is(website_config=1),
    "website_status": as_it_is(website_status=1),
}


async def signed_in(here: World, *scopes: str) -> Client:
    """A client whose token has these scopes (all when none are named)."""
    client = here.connect()
    await client.authorize(await here.token(*scopes))
    return client
