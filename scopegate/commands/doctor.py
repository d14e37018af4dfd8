"""The command `doctor`."""

from typing import Any

import click

from scopegate.commands.common import fail
from scopegate.commands.setting_options import chosen, with_settings
from scopegate.settings import SettingsError


@click.command()
@with_settings
def doctor(target: str | None, **options: Any) -> None:
    """Report unsafe settings, and what to set instead.

    It takes the options, environment variables and settings file of `serve`, and looks at this
    machine: run it as the user who runs the gateway. Exits with code 1 if there is a danger, and
    with 0 if there are only hints.
    """
    from scopegate.doctor import findings
    from scopegate.gateway.calls.registry import DeclarationError
    from scopegate.machine import observed

    try:
        _, settings = chosen(target, options)
        found = findings(settings, observed(settings))
    except (SettingsError, DeclarationError) as problem:
        fail(problem)
    for finding in found:
        click.echo(f"{finding.level:6}  {finding.about}: {finding.what}")
        click.echo(f"        why: {finding.why}")
        click.echo(f"        do:  {finding.remedy}")
    if not found:
        click.echo("nothing unsafe was found")
    if any(finding.level == "danger" for finding in found):
        raise SystemExit(1)
