"""The command `restore`."""

from pathlib import Path

import click

from scopegate.commands.common import Command, fail, sqlite_file, with_database
from scopegate.settings import SettingsError
from scopegate.store import files
from scopegate.store.errors import StoreError
from scopegate.store.location import Location


@click.command(cls=Command)
@with_database
@click.argument("backup", type=click.Path(path_type=Path, dir_okay=False))
def restore(db: Location | None, backup: Path) -> None:
    """Put a backup in the place of the database. No gateway may serve it.

    The backup is checked first, and stays as it is. The database that was there is renamed.
    Everything since the backup is gone, also revocations: revoke these tokens once more.
    """
    try:
        path = sqlite_file(db, "restore puts SQLite files back: use pg_restore")
        kept = files.restore(path, backup)
    except (StoreError, SettingsError) as problem:
        fail(problem)
    click.echo(f"restored  {path}")
    if kept is not None:
        click.echo(f"kept as   {kept}")
