"""The command `backup`."""

from pathlib import Path

import click

from scopegate.commands.common import Command, fail, with_database
from scopegate.settings import SettingsError, load
from scopegate.store.errors import StoreError
from scopegate.store.files import backup as copy_to
from scopegate.store.location import Location, Server


@click.command(cls=Command)
@with_database
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
def backup(db: Location | None, target: Path) -> None:
    """Copy the database to a new file and check the copy. Works while the gateway serves."""
    try:
        path = db or load().location
        if isinstance(path, Server):
            raise StoreError(
                "backup copies SQLite files: use pg_dump for a PostgreSQL database;"
                " docs/scaling.md shows how"
            )
        if not path.exists():
            raise StoreError(f"there is no database {path}: name it with --db")
        copy_to(path, target)
    except (StoreError, SettingsError) as problem:
        fail(problem)
    click.echo(str(target))
