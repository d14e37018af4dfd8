"""The command `backup`."""

from pathlib import Path

import click

from scopegate.commands.common import Command, fail, sqlite_file, with_database
from scopegate.settings import SettingsError
from scopegate.store.errors import StoreError
from scopegate.store.files import backup as copy_to
from scopegate.store.location import Location


@click.command(cls=Command)
@with_database
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
def backup(db: Location | None, target: Path) -> None:
    """Copy the database to a new file and check the copy. Works while the gateway serves."""
    try:
        path = sqlite_file(db, "backup copies SQLite files: use pg_dump")
        copy_to(path, target)
    except (StoreError, SettingsError) as problem:
        fail(problem)
    click.echo(str(target))
