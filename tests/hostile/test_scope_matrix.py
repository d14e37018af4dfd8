"""Every call with every set of scopes: admitted exactly if the registry says so."""

import itertools

import pytest

from scopegate.gateway.calls.registry import AT_PAGES, OPERATOR, OWNER, Call
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.testing import World

SETS = [
    frozenset(chosen)
    for count in range(len(SCOPES) + 1)
    for chosen in itertools.combinations(sorted(SCOPES), count)
]
INVALID = {"no": "call takes this"}
"""A value that each call refuses, but only after it has admitted the client: nothing happens."""


def is_admitted(call: Call, scopes: frozenset[str], *, at_pages: bool, is_owner: bool) -> bool:
    """Whether a client may make the call."""
    if call.audience is OPERATOR or (call.audience is OWNER and not is_owner):
        return False
    if call.audience is AT_PAGES and not at_pages:
        return False
    return not call.scopes or bool(call.scopes & scopes)


def test_there_are_32_sets() -> None:
    assert len(set(SETS)) == 32


@pytest.mark.parametrize("at_pages", [False, True])
async def test_a_call_is_admitted_exactly_with_its_scopes(world: World, at_pages: bool) -> None:
    checked = 0
    for scopes in SETS:
        client = world.connect(at_pages=at_pages)
        # A token without any scope is made by hand: the calls make none.
        [token] = [await world.token(*scopes)] if scopes else [await _without_scopes(world)]
        await client.authorize(token)
        for call in world.gateway.registry:
            reply = await client.ask({call.name: INVALID})
            code = reply["error"]["code"]
            if is_admitted(call, scopes, at_pages=at_pages, is_owner=False):
                assert code == "InputValidationFailed", (call.name, scopes, reply["error"])
            else:
                assert code == "PermissionDenied", (call.name, scopes, reply["error"])
            checked += 1
        client.leave()
    assert checked == 32 * len(list(world.gateway.registry))


async def test_without_a_login_only_public_calls_are_admitted(world: World) -> None:
    client = world.connect()
    for call in world.gateway.registry:
        code = (await client.ask({call.name: INVALID}))["error"]["code"]
        public = not call.needs_login and call.audience is None
        assert code == (
            "InputValidationFailed"
            if public
            else "AuthorizationRequired"
            if call.needs_login
            else "PermissionDenied"
        ), call.name


async def test_an_owner_at_the_pages_may_do_all_but_what_is_the_operators(world: World) -> None:
    owner = await world.owner()
    for call in world.gateway.registry:
        code = (await owner.ask({call.name: INVALID}))["error"]["code"]
        is_operators = call.audience is OPERATOR
        assert code == ("PermissionDenied" if is_operators else "InputValidationFailed"), call.name


async def _without_scopes(world: World) -> str:
    token = await world.token("read")
    await world.gateway.store.write(
        lambda transaction: transaction.execute(
            "UPDATE tokens SET scopes = '' WHERE id = (SELECT max(id) FROM tokens)"
        )
    )
    return token
