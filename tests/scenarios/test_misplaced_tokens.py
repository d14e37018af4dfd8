"""A token in a field that is not meant for one is refused, and never stored."""

import asyncio
from typing import Any

import pytest
from click.testing import CliRunner

from scopegate.cli import cli
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.registry import SENSITIVE_FIELDS
from scopegate.gateway.transport.handshake import Handshake
from scopegate.testing import MemoryClient, World
from tests import stores
from tests.conftest import Connected
from tests.published.scenes import OWN, SCENES, signed_in

TOKEN = token_form.new_owner_token()
ISSUED = token_form.new_app_token()


@pytest.mark.parametrize(
    "request_",
    [
        {"app_register": 1, "name": "My {}", "scopes": ["read"]},
        {"api_token": 1, "new_token": "{}", "new_token_scopes": ["read"]},
        {"set_settings": 1, "address_line_1": "{} Street"},
        {"paymentagent_withdraw_justification": 1, "message": "Because {}."},
        {"verify_email": "{}@example.com", "type": "account_opening"},
        {"app_register": 1, "name": "App", "scopes": ["read"], "homepage": "https://x.org/?t={}"},
    ],
)
@pytest.mark.parametrize("token", [TOKEN, ISSUED], ids=["owner", "app"])
async def test_a_token_in_a_text_is_refused(
    connected: Connected, request_: dict[str, Any], token: str
) -> None:
    client = await connected.connect()
    await client.authorize(await connected.world.token())
    wrong = {
        field: value.replace("{}", token) if type(value) is str else value
        for field, value in request_.items()
    }
    reply = await client.ask(wrong)
    assert reply["error"]["code"] == "InputValidationFailed"
    [(field, sentence)] = reply["error"]["details"].items()
    assert token in wrong[field]
    assert "token" in sentence or field == "new_token"  # no name is as long as some tokens
    assert token not in str(reply)


async def test_a_token_is_no_idempotency_key(world: World) -> None:
    client = await signed_in(world)
    request = await SCENES["buy"](world, client)
    reply = await client.ask(request | {"passthrough": {"idempotency_key": TOKEN}})
    assert reply["error"]["code"] == "InputValidationFailed"
    assert "passthrough" in reply["error"]["details"]
    # Elsewhere in it, it is only given back, masked.
    reply = await client.ask(request | {"passthrough": {"mine": TOKEN}})
    assert reply["passthrough"] == {"mine": token_form.NOT_SHOWN}
    assert "error" not in reply


@pytest.mark.parametrize("name", SCENES)
async def test_no_call_keeps_a_token_in_clear_text(world: World, name: str) -> None:
    """Whatever text of its request a token is put into."""
    client = await world.owner() if name in OWN else await signed_in(world, to_make=name)
    request = await SCENES[name](world, client)
    for field, value in request.items():
        for wrong in (TOKEN, f"{value} {TOKEN}", [TOKEN], {"name": TOKEN}):
            if field not in SENSITIVE_FIELDS:
                await client.ask({**request, field: wrong})
    await world.gateway.access.records.flush()
    assert TOKEN not in stores.content(world.gateway.settings.db)


async def test_what_a_client_says_of_itself_is_kept_without_tokens(world: World) -> None:
    client = MemoryClient(
        world.gateway,
        Handshake(address="127.0.0.1", app_id="1089", language="EN", user_agent=f"Bot/1.0 {TOKEN}"),
    )
    await client.ask({"authorize": await world.token(), "add_to_login_history": 1})
    reply = await client.ask({"login_history": 1})
    assert "Bot/1.0 <not shown>" in reply["login_history"][0]["environment"]


async def test_the_command_line_takes_tokens_where_they_belong_alone(world: World) -> None:
    db = stores.option(world.gateway.settings.db)
    for command in (
        ["token", "create", "--loginid", world.demo.loginid, "--scopes", "read", "--name", TOKEN],
        ["app", "create", "--name", f"My {TOKEN}"],
        ["user", "create", "--email", f"{TOKEN}@example.com", "--password", "long enough"],
    ):
        done = await asyncio.to_thread(CliRunner().invoke, cli, [*command, *db])
        assert done.exit_code == 2
        assert "contains a token" in done.output
        assert TOKEN not in done.output
    made = await world.token("read")
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["token", "revoke", made, *db])
    assert done.exit_code == 0, done.output
