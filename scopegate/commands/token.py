"""The commands that create, list and revoke tokens."""

from collections.abc import Sequence

import click

from scopegate import offered
from scopegate.commands.common import (
    Group,
    check_scopes,
    checked_name,
    parsed_scopes,
    run_job,
    table,
    with_database,
)
from scopegate.gateway.access import tokens
from scopegate.gateway.access.accounts import all_loginids
from scopegate.gateway.access.accounts import check as check_account
from scopegate.gateway.calls import token_form
from scopegate.schemas.scopes import in_order
from scopegate.store.errors import StoreError
from scopegate.store.location import Location
from scopegate.store.transactions import Row, Snapshot, Transaction


@click.group(cls=Group)
def token() -> None:
    """Create, list and revoke tokens, and show their uses."""


@token.command("create")
@with_database
@click.option("--loginid", required=True, help="Account that the token is for.")
@click.option(
    "--scopes",
    required=True,
    callback=parsed_scopes,
    help="Comma-separated scopes, such as read,trade.",
)
@click.option("--name", required=True, callback=checked_name, help="Name shown in the list.")
def token_create(db: Location | None, loginid: str, scopes: frozenset[str], name: str) -> None:
    """Create a token and print only the token. It is not shown again."""

    def job(transaction: Transaction) -> str:
        check_account(transaction, loginid)
        check_scopes(transaction, scopes)
        return tokens.create(transaction, tokens.NewToken(loginid, name, scopes))

    click.echo(run_job(db, job))


@token.command("list")
@with_database
@click.option("--loginid", default=None, help="Show only the tokens of this account.")
def token_list(db: Location | None, loginid: str | None) -> None:
    """List masked tokens. Each has its number, and that of the token that created it."""

    def job(reader: Snapshot) -> tuple[list[tokens.Token], Sequence[str]]:
        if loginid is not None:
            check_account(reader, loginid)
        found = [
            found
            for each in all_loginids(reader)
            if loginid in (None, each)
            for found in tokens.listed(reader, each)
        ]
        return found, offered.scopes_of(reader)

    held, declared = run_job(db, job)
    rows = [
        (
            str(found.id),
            found.loginid,
            found.name,
            ",".join(in_order(found.scopes, declared)),
            found.masked,
            "" if found.parent_id is None else str(found.parent_id),
            tokens.moment_text(found.last_used_at),
        )
        for found in held
    ]
    table(rows, ("number", "loginid", "name", "scopes", "token", "created with", "last used (UTC)"))


@token.command("uses")
@with_database
@click.argument("number", type=int)
def token_uses(db: Location | None, number: int) -> None:
    """Show which calls were made with a token, from where, when, and how many were refused.

    NUMBER is the one that `scopegate token list` shows.
    """

    def job(reader: Snapshot) -> list[Row]:
        if reader.one("SELECT 1 FROM tokens WHERE id = ?", number) is None:
            raise StoreError("there is no such token")
        return tokens.uses(reader, number)

    rows = [
        (
            row["call"],
            row["address"],
            str(row["uses"]),
            str(row["refused"]),
            row["last_error"],
            tokens.moment_text(row["last_at"]),
        )
        for row in run_job(db, job)
    ]
    table(rows, ("call", "from", "times", "refused", "last error", "last (UTC)"))


@token.command("revoke")
@with_database
@click.argument("which")
def token_revoke(db: Location | None, which: str) -> None:
    """Revoke a token, and the tokens that were created with it.

    WHICH is its number, its text, or the masked text that the list shows.
    """

    def job(transaction: Transaction) -> list[int]:
        mask = token_form.masked(which) if token_form.well_formed(which) else which
        found = [
            token.id
            for each in all_loginids(transaction)
            for token in tokens.listed(transaction, each)
            if which == str(token.id) or mask == token.masked
        ]
        if len(found) != 1:
            raise StoreError(
                "there is no such token" if not found else "several tokens match: give a number"
            )
        return tokens.end(transaction, found)

    ended = run_job(db, job)
    others = f", with {len(ended) - 1} created with it" if len(ended) > 1 else ""
    click.echo(f"revoked{others}", err=True)
