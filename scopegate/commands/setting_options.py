"""What `serve` and `doctor` share: an option for every setting, and the gateway that they name."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
from pydantic_core import PydanticUndefined

from scopegate.commands.target import named
from scopegate.settings import Settings, load

if TYPE_CHECKING:
    from scopegate.framework import Gateway


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument MODULE:GATEWAY, and an option for every setting with its description."""
    for name, field in reversed(Settings.fields_by_name().items()):
        flag = "--" + name.replace("_", "-")
        default = field.default
        shown = "" if default in (None, (), False, PydanticUndefined) else f" [default: {default}]"
        text = f"{field.description}{shown}"
        if field.annotation is bool:
            command = click.option(flag, is_flag=True, default=None, help=text)(command)
        elif field.annotation == tuple[str, ...]:
            command = click.option(flag, multiple=True, help=f"{text} May be repeated.")(command)
        elif name == "limits":
            command = click.option(flag, type=click.Choice(["open", "deriv"]), help=text)(command)
        else:
            command = click.option(flag, metavar="VALUE", help=text)(command)
    return click.argument("target", required=False, metavar="[MODULE:GATEWAY]")(command)


def chosen(target: str | None, options: Mapping[str, Any]) -> "tuple[Gateway | None, Settings]":
    """Return the gateway that `target` names, if any, and its settings with these options.

    Raises `SettingsError`, or `DeclarationError` for a wrong target.
    """
    given = {name: value for name, value in options.items() if value not in (None, ())}
    gateway = named(target)
    return gateway, load(**given) if gateway is None else gateway.settings(**given)
