"""The commands of the group `store`: what is about the database as a whole."""

import click

from scopegate import market_start
from scopegate.commands.common import Group, fail, stored_at, table
from scopegate.commands.target import plugins_of
from scopegate.gateway.calls.registry import DeclarationError
from scopegate.settings import SettingsError, load
from scopegate.store import copying
from scopegate.store.errors import StoreError


@click.group(cls=Group)
def store() -> None:
    """Move the database to another engine."""


@store.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy(source: str, target: str) -> None:
    """Copy a database to a new one; each is sqlite:FILE or postgresql://HOST/DATABASE.

    No gateway may serve either. Tables of plugins are copied if the plugins are installed, or named
    in the setting handlers.
    """
    try:
        plugins = plugins_of(load())
        folders = {each.name: each.migrations for each in plugins if each.migrations is not None}
        copied = copying.copy(
            stored_at(source, "FROM"),
            stored_at(target, "TO"),
            market_start.check_feed,
            folders,
        )
    except (StoreError, SettingsError, DeclarationError) as problem:
        fail(problem)
    table(
        [(name, f"{count}") for name, count in sorted(copied.items()) if count],
        ("table", "rows"),
    )
