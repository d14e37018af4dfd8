"""The command `check`."""

from pathlib import Path

import click

from scopegate import integrity
from scopegate.commands.common import Command, fail, table, with_database
from scopegate.commands.target import plugins_of
from scopegate.gateway.calls.registry import DeclarationError
from scopegate.settings import SettingsError, load
from scopegate.store.errors import StoreError
from scopegate.store.integrity import MAX_FAULTS
from scopegate.store.location import Location
from scopegate.store.opening import read_once
from scopegate.store.transactions import Snapshot


@click.command(cls=Command)
@with_database
def check(db: Location | None) -> None:
    """Check the database without changing it. Works while the gateway serves.

    Prints a line for each check, or for each of its findings, and exits with code 1 if there are
    any. Amounts are in the smallest units of a currency. Checks of plugins are run if the plugins
    are installed, or named in the setting handlers.
    """
    try:
        settings = load()
        location = db or settings.location
        checks = integrity.checks_of(plugins_of(settings))
        of_files = integrity.OF_FILES if isinstance(location, Path) else ()

        def job(reader: Snapshot) -> list[integrity.Result]:
            return integrity.results(reader, (*of_files, *checks))

        results = read_once(location, job)
    except (StoreError, SettingsError, DeclarationError) as problem:
        fail(problem)
    table(
        [(result.name, fault) for result in results for fault in result.faults or ("ok",)],
        ("check", "result"),
    )
    if any(len(result.faults) == MAX_FAULTS for result in results):
        click.echo(f"At most {MAX_FAULTS} findings of each check are shown.", err=True)
    if any(result.faults for result in results):
        raise SystemExit(1)
