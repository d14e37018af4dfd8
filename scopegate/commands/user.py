"""The commands that create and list users, lock them out, and change their passwords."""

import click

from scopegate import market_start, offered
from scopegate.commands.common import Group, checked_email, run_job, table, with_database
from scopegate.exchange import ledger as accounts
from scopegate.gateway.access import passwords, users
from scopegate.gateway.access.accounts import loginids_by_user, open_account
from scopegate.gateway.access.tokens import moment_text
from scopegate.handlers.gateway.countries import COUNTRIES
from scopegate.settings import load
from scopegate.store.errors import StoreError
from scopegate.store.location import Location
from scopegate.store.transactions import Row, Snapshot, Transaction


@click.group(cls=Group)
def user() -> None:
    """Create and list users, lock them out, and change their passwords."""


def _password(value: str) -> str:
    """Return a password that is long enough; click asks again after one that is not."""
    if len(value) < 8:
        raise click.BadParameter("a password must have at least 8 characters")
    return value


_PASSWORD = click.option(
    "--password",
    type=_password,
    metavar="TEXT",
    prompt="Password (at least 8 characters)",
    hide_input=True,
    confirmation_prompt=True,
    help="Leave it out to be asked for it, which keeps it out of the shell's history.",
)


@user.command("create")
@with_database
@click.option(
    "--email", required=True, callback=checked_email, help="E-mail address to sign in with."
)
@click.option(
    "--residence",
    default=None,
    help="Two-letter code of the user's country. [default: the setting residence]",
)
@_PASSWORD
def user_create(db: Location | None, email: str, residence: str | None, password: str) -> None:
    """Create a user with a demo account and a real-style account, both with paper money.

    If the gateway of the database has no paper exchange, the user gets one account.
    """
    password_hash = passwords.hash_password(password)

    def job(transaction: Transaction) -> list[str]:
        country = (residence or load().residence).lower()
        if country not in COUNTRIES:
            raise StoreError(
                f"residence: {country!r} is not a two-letter country code, such as id or gb"
            )
        user_id = users.create(transaction, email, password_hash=password_hash, country=country)
        if not offered.has_exchange(transaction):
            return [open_account(transaction, user_id)]
        accounts.open_with_balance(
            transaction, user_id, virtual=(True, False), at=market_start.present(transaction)
        )
        return [opened.loginid for opened in accounts.accounts(transaction, user_id)]

    for loginid in run_job(db, job):
        click.echo(loginid)


@user.command("list")
@with_database
def user_list(db: Location | None) -> None:
    """List users by number, with the login ids of their accounts.

    The audit trail and the log name users by these numbers.
    """

    def job(reader: Snapshot) -> tuple[list[Row], dict[int, list[str]]]:
        return users.all_users(reader), loginids_by_user(reader)

    found, loginids = run_job(db, job)
    table(
        [
            (
                str(row["id"]),
                row["email"],
                moment_text(row["created_at"]),
                _state(row),
                ", ".join(loginids.get(row["id"], ())),
            )
            for row in found
        ],
        ("number", "e-mail", "created (UTC)", "state", "loginids"),
    )


def _state(row: Row) -> str:
    """Return whether a user can sign in, in words; moments are UTC."""
    states = ["demo"] if row["is_demo"] else []
    if row["disabled_at"] is not None:
        states.append(f"disabled since {moment_text(row['disabled_at'])}")
    return ", ".join(states) or "enabled"


@user.command("disable")
@with_database
@click.option("--email", required=True, help="E-mail address of the user.")
def user_disable(db: Location | None, email: str) -> None:
    """Lock a user out: revoke all their tokens, and end their connections."""
    ended = run_job(db, lambda transaction: users.disable(transaction, email))
    click.echo(f"disabled, {ended} tokens ended", err=True)


@user.command("enable")
@with_database
@click.option("--email", required=True, help="E-mail address of the user.")
def user_enable(db: Location | None, email: str) -> None:
    """Let a disabled user sign in again. Revoked tokens stay revoked."""
    run_job(db, lambda transaction: users.enable(transaction, email))
    click.echo("enabled", err=True)


@user.command("password")
@with_database
@click.option("--email", required=True, help="E-mail address of the user.")
@_PASSWORD
def user_password(db: Location | None, email: str, password: str) -> None:
    """Change a user's password."""
    password_hash = passwords.hash_password(password)
    run_job(db, lambda transaction: users.set_password(transaction, email, password_hash))
    click.echo("changed", err=True)
