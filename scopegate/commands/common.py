"""What the commands that manage a database share: options, checks, one transaction, tables.

Rules:
- Each command but `backup` is one transaction; a running gateway notices it within a second.
- Standard output has only what a script needs; everything else goes to standard error.
"""

from collections.abc import Callable, Collection, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from scopegate import market_start, offered
from scopegate.gateway.access import audit
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import ApiError
from scopegate.settings import SettingsError, load
from scopegate.store.errors import StoreError
from scopegate.store.location import Location, Server, parsed
from scopegate.store.opening import run_once
from scopegate.store.transactions import Snapshot, Transaction

T = TypeVar("T")

MAX_APP_ID = 999_999_999
"""The largest app_id that can be chosen: later apps get the ids that follow it."""


_SECRETS = {"password", "which"}
"""Parameters that may hold a token: `password` is stored as a hash, `which` names a token."""


class Command(click.Command):
    """A command that refuses a token in a parameter that would be stored in clear text."""

    def invoke(self, ctx: click.Context) -> Any:
        """Check the parameters and run the command."""
        for name, value in ctx.params.items():
            texts = value if isinstance(value, tuple) else (value,)
            if name not in _SECRETS and any(token_form.holds_token(str(text)) for text in texts):
                raise click.BadParameter(
                    "contains a token, which is a secret: leave it out, and replace that token",
                    param_hint=f"--{name.replace('_', '-')}",
                )
        return super().invoke(ctx)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


def fail(problem: Exception) -> NoReturn:
    """Exit with code 1 and the message of the problem."""
    text = problem.message if isinstance(problem, ApiError) else str(problem)
    raise click.ClickException(text)


def table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> None:
    """Print rows in columns under a header.

    Each row is one line: of a client's text, what begins another, or moves a cursor, is left out.
    """
    rows = [tuple(map(_on_a_line, row)) for row in rows]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def _on_a_line(text: str) -> str:
    if text.isprintable():
        return text
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def sqlite_file(db: Location | None, instead: str) -> Path:
    """Return the SQLite file of a command that knows no other databases.

    `instead` says what to use for those. Raises `StoreError` or `SettingsError`.
    """
    location = db or load().location
    if isinstance(location, Server):
        raise StoreError(f"{instead} for a PostgreSQL database; docs/scaling.md shows how")
    return location


def with_database(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a database, which the command gets as `db`: a location or `None`.

    `None` means that of the settings.
    """

    @wraps(command)
    def with_location(db: Path | None, store: str | None, **others: Any) -> None:
        if db is not None and store is not None:
            raise click.UsageError("use --db or --store, not both")
        command(db=db if store is None else stored_at(store), **others)

    options = (
        click.option(
            "--db",
            type=click.Path(path_type=Path, dir_okay=False),
            default=None,
            help="Database file. [default: the setting db, else scopegate.db]",
        ),
        click.option(
            "--store",
            metavar="ADDRESS",
            default=None,
            help="Database: sqlite:FILE or postgresql://…, instead of --db.",
        ),
    )
    for option in reversed(options):
        with_location = option(with_location)
    return with_location


def stored_at(text: str, parameter: str = "--store") -> Location:
    """Return the location that a parameter names. Raises `BadParameter`."""
    try:
        return parsed(text)
    except ValueError as problem:
        raise click.BadParameter(str(problem), param_hint=parameter) from None


def run_job(db: Location | None, job: Callable[[Transaction], T]) -> T:
    """Run a job on the database of the option or the settings; exit with its error, if any."""

    def audited(transaction: Transaction) -> T:
        transaction.actor = audit.COMMAND
        return job(transaction)

    try:
        return run_once(db or load().location, audited, market_start.check_feed)
    except (StoreError, SettingsError, ApiError) as problem:
        fail(problem)


def checked_name(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """Return a name. Raises `BadParameter` unless it can be shown."""
    if not (value.isprintable() and 0 < len(value.strip()) <= 64):
        raise click.BadParameter("a name must have 1 to 64 printable characters")
    return value


def checked_email(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """Return an e-mail address. Raises `BadParameter` for any other text."""
    name, at, host = value.rpartition("@")
    if not (name and at and host and value.isprintable() and " " not in value):
        raise click.BadParameter("must be an e-mail address such as ada@example.com")
    return value


def parsed_scopes(_context: click.Context, _option: click.Parameter, value: str) -> frozenset[str]:
    """Return the names in a comma-separated list."""
    return frozenset(name.strip() for name in value.split(","))


def check_scopes(reader: Snapshot, scopes: Collection[str]) -> None:
    """Raise `StoreError` for a scope that the gateway of this database does not declare."""
    declared = offered.scopes_of(reader)
    if not set(declared).issuperset(scopes):
        raise StoreError(f"unknown scope: use a comma-separated list of {', '.join(declared)}")
