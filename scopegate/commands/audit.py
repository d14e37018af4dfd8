"""The command `audit`."""

import click

from scopegate.commands.common import Command, checked_email, fail, table, with_database
from scopegate.gateway.access import audit as trail
from scopegate.gateway.access import users
from scopegate.gateway.access.tokens import moment_text
from scopegate.gateway.calls.errors import ApiError
from scopegate.settings import SettingsError, load
from scopegate.store.errors import StoreError
from scopegate.store.location import Location
from scopegate.store.opening import read_once
from scopegate.store.transactions import Snapshot

_SHOWN = 16
"""Characters of a digest in the list."""


@click.command(cls=Command)
@with_database
@click.option(
    "--email",
    default=None,
    callback=lambda c, o, v: v and checked_email(c, o, v),
    help="Show only what concerns this user.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=50,
    show_default=True,
    help="How many records, the latest.",
)
def audit(db: Location | None, email: str | None, limit: int) -> None:
    """Show the audit trail: sign-ins, and changes of tokens, apps and users. Newest last.

    `scopegate check` verifies it. Compare a digest with one in an earlier log: each digest depends
    on all records before it.
    """

    def job(reader: Snapshot) -> list[trail.Record]:
        user_id = None if email is None else users.by_email(reader, email)["id"]
        return trail.records(reader, user_id=user_id, limit=limit)

    try:
        found = read_once(db or load().location, job)
    except (StoreError, SettingsError, ApiError) as problem:
        fail(problem)
    table(
        [
            (
                str(record.number),
                moment_text(record.at),
                record.event,
                "" if record.user_id is None else str(record.user_id),
                record.actor,
                trail.described(record),
                record.digest[:_SHOWN],
            )
            for record in reversed(found)
        ],
        ("number", "at (UTC)", "event", "user", "by", "about", "digest"),
    )
