"""Who may make which call: the table of all 137, and every call that is offered held to its row."""

from collections import Counter

import pytest

from scopegate.gateway.calls.registry import AT_PAGES, OPERATOR, OWNER
from scopegate.handlers.exchange.exchange_scopes import (
    ADMIN,
    PAYMENTS,
    READ,
    SCOPES,
    TRADE,
    TRADING_INFORMATION,
)
from scopegate.schemas.published import PUBLISHED
from scopegate.testing import World
from tests.published.scenes import OFFERED, OWN, SCENES, signed_in

READ_OR_TRADING = frozenset({READ, TRADING_INFORMATION})
ROWS = {
    frozenset[str](): 37,
    frozenset({READ}): 24,
    READ_OR_TRADING: 7,
    frozenset({TRADE}): 10,
    frozenset({PAYMENTS}): 30,
    frozenset({ADMIN}): 29,
}
DENIED = {
    frozenset({READ}): "Permission denied, requires read scope.",
    READ_OR_TRADING: "Permission denied, requires read or trading_information scopes.",
    frozenset({TRADE}): "Permission denied, requires trade scope.",
    frozenset({PAYMENTS}): "Permission denied, requires payments scope.",
    frozenset({ADMIN}): "Permission denied, requires admin scope.",
}
PUBLISHED_AND_OFFERED = sorted(PUBLISHED.keys() & OFFERED.keys())
OPEN_TO_ALL = [name for name in PUBLISHED_AND_OFFERED if not PUBLISHED[name]]
NEED_A_SCOPE = [name for name in PUBLISHED_AND_OFFERED if PUBLISHED[name]]
OFFERED_AT_LEAST = 79
"""Calls are added and never lost; raise it as they come."""


def test_the_table_has_137_rows() -> None:
    assert Counter(PUBLISHED.values()) == ROWS
    assert len(PUBLISHED) == 137


def test_what_is_offered_declares_the_scopes_of_the_table() -> None:
    print(f"{len(PUBLISHED_AND_OFFERED)} of {len(PUBLISHED)} published calls are offered")  # noqa: T201 - shown with -rA
    assert len(PUBLISHED_AND_OFFERED) >= OFFERED_AT_LEAST
    declared = {
        name: (OFFERED[name].scopes, OFFERED[name].needs_login) for name in PUBLISHED_AND_OFFERED
    }
    assert declared == {
        name: (PUBLISHED[name], bool(PUBLISHED[name])) for name in PUBLISHED_AND_OFFERED
    }


def test_every_call_that_is_offered_has_a_scene() -> None:
    assert SCENES.keys() == OFFERED.keys(), "add the call's row to tests/published/scenes.py"


async def test_a_published_call_that_is_not_offered_says_so(world: World) -> None:
    client = await signed_in(world)
    for name in PUBLISHED.keys() - OFFERED.keys():
        error = (await client.ask({name: 1}))["error"]
        assert error["code"] == "UnrecognisedRequest"
        assert f"The call {name} is not offered" in error["message"]


@pytest.mark.parametrize("name", OPEN_TO_ALL)
async def test_a_call_that_needs_no_scope_answers_a_stranger(world: World, name: str) -> None:
    client = world.connect()
    reply = await client.ask(await SCENES[name](world, client))
    assert "error" not in reply, reply["error"]


@pytest.mark.parametrize("name", NEED_A_SCOPE)
async def test_a_call_answers_the_right_scopes_and_no_other(world: World, name: str) -> None:
    stranger = world.connect()
    reply = await stranger.ask(await SCENES[name](world, stranger))
    assert reply["error"] == {"code": "AuthorizationRequired", "message": "Please log in."}
    for scope in SCOPES:
        client = await signed_in(world, scope, to_make=name)
        reply = await client.ask(await SCENES[name](world, client))
        if scope in PUBLISHED[name]:
            assert "error" not in reply, (scope, reply["error"])
        else:
            denied = {"code": "PermissionDenied", "message": DENIED[PUBLISHED[name]]}
            assert reply.get("error") == denied, scope


# Calls of the gateway's own pages.

PAGES_ALONE = {
    "code": "PermissionDenied",
    "message": "Permission denied, requires a page of the gateway itself.",
}
OWNER_ALONE = {
    "code": "PermissionDenied",
    "message": "Permission denied, requires the owner's own sign-in at the gateway's pages.",
}
FOR_THE_OWNER = [name for name in OWN if OFFERED[name].audience is OWNER]
FOR_THE_PAGES = [name for name in OWN if OFFERED[name].audience is AT_PAGES]
FOR_THE_OPERATOR = [name for name in OWN if OFFERED[name].audience is OPERATOR]
OPERATOR_ALONE = {
    "code": "PermissionDenied",
    "message": "Permission denied, requires the operator's own sign-in at the gateway's page"
    " /operator.",
}


def test_every_own_call_but_the_limits_is_for_the_owner_or_the_pages_or_has_a_scope() -> None:
    apart = {*FOR_THE_OWNER, *FOR_THE_PAGES, *FOR_THE_OPERATOR}
    rest = [name for name in OWN if name not in apart]
    assert {name: OFFERED[name].scopes for name in rest} == {
        "app_flow": {ADMIN},
        "app_origins": {ADMIN},
        "app_secret": {ADMIN},
        "copy_report": READ_OR_TRADING,
        "fault_end": {ADMIN},
        "fault_kinds": frozenset(),
        "fault_list": {ADMIN},
        "fault_start": {ADMIN},
        "limits": frozenset(),
        "multiplier_financing": frozenset(),
        "restriction_kinds": frozenset(),
        "token_create": {ADMIN},
        "token_restrict": {ADMIN},
        "token_restrictions": frozenset(),
        "token_rotate": {ADMIN},
    }


@pytest.mark.parametrize("name", FOR_THE_OWNER)
async def test_what_is_the_owners_no_token_can_do(world: World, name: str) -> None:
    stranger = world.connect(at_pages=True)
    reply = await stranger.ask(await SCENES[name](world, stranger))
    assert reply["error"] == {"code": "AuthorizationRequired", "message": "Please log in."}
    for at_pages in (False, True):
        client = world.connect(at_pages=at_pages)
        await client.authorize(await world.token())
        reply = await client.ask(await SCENES[name](world, client))
        assert reply.get("error") == OWNER_ALONE
    owner = await world.owner()
    reply = await owner.ask(await SCENES[name](world, owner))
    assert "error" not in reply, reply["error"]


@pytest.mark.parametrize("name", FOR_THE_PAGES)
async def test_what_is_the_pages_no_other_client_can_do(world: World, name: str) -> None:
    for origin in (
        "",
        "null",
        "http://evil.test",
        "https://evil.test:5555",
        "http://127.0.0.1:5556",
    ):
        client = world.connect(origin=origin)
        assert (await client.ask(await SCENES[name](world, client)))["error"] == PAGES_ALONE
        await client.authorize(await world.token())
        assert (await client.ask(await SCENES[name](world, client)))["error"] == PAGES_ALONE
    page = world.connect(at_pages=True)
    reply = await page.ask(await SCENES[name](world, page))
    assert "error" not in reply, reply["error"]


@pytest.mark.parametrize("name", FOR_THE_OPERATOR)
async def test_what_is_the_operators_nobody_else_can_do(world: World, name: str) -> None:
    request = await SCENES[name](world, world.connect(at_pages=True))
    owner = await world.owner()
    assert (await owner.ask(request))["error"] == OPERATOR_ALONE
    for origin in ("", "null", "http://evil.test", "http://127.0.0.1:5556"):
        client = world.connect(origin=origin)
        # Not even with the operator's token.
        assert (await client.ask(await SCENES[name](world, client)))["error"] == OPERATOR_ALONE
        await client.authorize(await world.token())
        assert (await client.ask(await SCENES[name](world, client)))["error"] == OPERATOR_ALONE
    app = await world.app()
    bot = world.connect(app_id=app.id)
    await bot.authorize(await world.token(app=app))
    assert (await bot.ask(await SCENES[name](world, bot)))["error"] == OPERATOR_ALONE
    operator = world.connect(at_pages=True)
    reply = await operator.ask(await SCENES[name](world, operator))
    assert "error" not in reply, reply["error"]
