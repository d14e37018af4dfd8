"""The command `calls`."""

import json
from typing import TYPE_CHECKING, Any

import click

from scopegate.commands.common import fail, table
from scopegate.commands.target import named
from scopegate.settings import SettingsError, load

if TYPE_CHECKING:
    from scopegate.gateway.calls.registry import Call


def _key(found: "Call") -> str:
    """How many characters an idempotency key for the call has, if it takes one."""
    return "" if found.key_lengths is None else "{}-{}".format(*found.key_lengths)


@click.command()
@click.argument("target", required=False, metavar="[MODULE:GATEWAY]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--handlers", multiple=True, help="Module with your own calls. May be repeated.")
@click.option("--without", multiple=True, help="Plugin to leave out, such as exchange.")
@click.option("--omit-call", multiple=True, help="Call to leave out. May be repeated.")
def calls(target: str | None, as_json: bool, **options: tuple[str, ...]) -> None:
    """List every call, the scopes that it needs and what it does.

    KEY is how many characters an idempotency key may have, for calls that take one.

    The environment variables and the settings file of `serve` apply here too.
    """
    from scopegate.composition import declared
    from scopegate.gateway.calls.registry import DeclarationError

    try:
        gateway = named(target)
        given: dict[str, Any] = {name: value for name, value in options.items() if value}
        settings = load(**given) if gateway is None else gateway.settings(**given)
        offered = declared(
            settings.handlers,
            plugins=None if gateway is None else gateway.plugins,
            without=settings.without,
            omit=[*settings.omit_call, *(() if gateway is None else gateway.omit)],
        )
    except (DeclarationError, SettingsError) as problem:
        fail(problem)
    if as_json:
        rows = [
            {
                "call": found.name,
                "group": found.group,
                "needs": list(found.scopes_in_order),
                "needs_login": found.needs_login,
                "app_tokens": found.app_tokens,
                "idempotency_key": found.key_lengths,
                "standing": None if found.audience is None else found.audience.value,
                "sentence": found.sentence,
            }
            for found in offered
        ]
        click.echo(json.dumps(rows))
        return
    table(
        [(found.name, found.needs_text, _key(found), found.sentence) for found in offered],
        ("call", "needs", "key", "what it does"),
    )
