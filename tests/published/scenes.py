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

Request = dict[str, Any]
Scene = Callable[[World, Client], Awaitable[Request]]
"""Prepares the world for this client's request, and returns the request."""

OFFERED: Mapping[str, Call] = {call.name: call for call in sorted(declared(), key=lambda c: c.name)}

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


SCENES: Mapping[str, Scene] = {
    "account_list": as_it_is(account_list=1),
    "active_symbols": as_it_is(active_symbols="brief", product_type="basic"),
    "api_token": as_it_is(api_token=1, new_token="Bot", new_token_scopes=["admin"]),
    "app_delete": an_app_of_ones_own("app_delete"),
    "app_get": an_app_of_ones_own("app_get"),
    "app_list": apps_of_ones_own,
    "app_register": a_new_app,
    "app_update": an_app_to_describe_anew,
    "asset_index": as_it_is(asset_index=1),
    "authorize": authorize,
    "balance": as_it_is(balance=1),
    "forget": a_stream_to_forget,
    "forget_all": streams_to_forget,
    "get_account_status": as_it_is(get_account_status=1),
    "get_limits": as_it_is(get_limits=1),
    "get_settings": as_it_is(get_settings=1),
    "login_history": a_sign_in_to_list,
    "logout": as_it_is(logout=1),
    "oauth_apps": connected_apps,
    "payout_currencies": as_it_is(payout_currencies=1),
    "ping": as_it_is(ping=1),
    "revoke_oauth_app": a_connected_app,
    "set_settings": as_it_is(set_settings=1, allow_copiers=1, address_postcode="12345"),
    "statement": more_entries_than_a_page,
    "ticks": as_it_is(ticks="R_50"),
    "ticks_history": as_it_is(ticks_history="R_50", end="1767268800", count=10, start=1),
    "time": as_it_is(time=1),
    "topup_virtual": less_than_at_the_opening,
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
