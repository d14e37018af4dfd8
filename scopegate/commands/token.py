"""The commands that create, restrict, list and revoke tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from scopegate.commands.restriction_options import (
    duration,
    kinds_of,
    problems_by_option,
    with_restrictions,
)
from scopegate.gateway.access import restrictions as restriction_rows
from scopegate.gateway.access import token_management, token_uses, tokens
from scopegate.gateway.access.accounts import all_loginids
from scopegate.gateway.access.accounts import check as check_account
from scopegate.gateway.calls import token_form
from scopegate.schemas.scopes import in_order
from scopegate.store.errors import StoreError
from scopegate.store.location import Location
from scopegate.store.transactions import Row, Snapshot, Transaction


@click.group(cls=Group)
def token() -> None:
    """Create, restrict, list and revoke tokens, and show their uses."""


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
@with_restrictions
def token_create(
    db: Location | None,
    loginid: str,
    scopes: frozenset[str],
    name: str,
    restrictions: dict[str, Any],
    expires_at: int | None,
) -> None:
    """Create a token and print only the token. It is not shown again.

    Amounts are in the currency of the account, and days are UTC days of the market's clock.
    """

    def job(transaction: Transaction) -> str:
        check_account(transaction, loginid)
        check_scopes(transaction, scopes)
        kinds = kinds_of(transaction)
        new = tokens.NewToken(loginid, name, scopes, expires_at=expires_at)
        with problems_by_option():
            return token_management.create_restricted(
                transaction, kinds, new, kinds.checked(restrictions)
            )

    click.echo(run_job(db, job))


@token.command("restrict")
@with_database
@click.argument("which")
@with_restrictions
def token_restrict(
    db: Location | None, which: str, restrictions: dict[str, Any], expires_at: int | None
) -> None:
    """Replace the restrictions of a token; without an option it has none of its own.

    With --expires alone, its restrictions stay as they are.

    WHICH is its number, its text, or the masked text that the list shows. What of a cap is used
    stays used.
    """

    def job(transaction: Transaction) -> None:
        kinds = kinds_of(transaction)
        found = named(transaction, which)
        if restrictions or expires_at is None:
            with problems_by_option():
                values = kinds.checked(restrictions)
                token_management.restrict(transaction, kinds, found, values, may_loosen=True)
        if expires_at is not None:
            token_management.set_expiry(transaction, found, expires_at)

    run_job(db, job)
    is_restricted = restrictions or expires_at is not None
    click.echo("restricted" if is_restricted else "no restrictions of its own any more", err=True)


@token.command("rotate")
@with_database
@click.argument("which")
@click.option(
    "--overlap",
    metavar="DURATION",
    callback=duration,
    help="How long the old secret works too, such as 1h; not at all by default.",
)
def token_rotate(db: Location | None, which: str, overlap: int | None) -> None:
    """Replace the secret of a token and print only the new one. Everything else stays.

    WHICH is its number, its text, or the masked text that the list shows.
    """

    def job(transaction: Transaction) -> str:
        found = named(transaction, which)
        return token_management.rotate(transaction, kinds_of(transaction), found, overlap or 0)

    click.echo(run_job(db, job))


def named(reader: Snapshot, which: str) -> tokens.Token:
    """Return the token with this number, text or masked text. Raises `StoreError`."""
    mask = token_form.masked(which) if token_form.well_formed(which) else which
    found = [
        token
        for each in all_loginids(reader)
        for token in tokens.listed(reader, each)
        if which == str(token.id) or mask == token.masked
    ]
    if len(found) != 1:
        raise StoreError(
            "there is no such token" if not found else "several tokens match: give a number"
        )
    return found[0]


@dataclass(frozen=True)
class _Listed:
    token: tokens.Token
    restrictions: dict[str, Any]
    """Its own."""


@token.command("list")
@with_database
@click.option("--loginid", default=None, help="Show only the tokens of this account.")
def token_list(db: Location | None, loginid: str | None) -> None:
    """List masked tokens. Each has its number, and that of the token that created it.

    Its restrictions are its own: those of the token that created it hold as well.
    """

    def job(reader: Snapshot) -> tuple[list[_Listed], Sequence[str]]:
        if loginid is not None:
            check_account(reader, loginid)
        kinds = kinds_of(reader)
        found = [
            _Listed(found, restriction_rows.own(reader, kinds, found.restrictions_id, found.id))
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
            tokens.moment_text(found.expires_at),
            _in_words(each.restrictions),
        )
        for each in held
        for found in [each.token]
    ]
    columns = ("number", "loginid", "name", "scopes", "token", "created with", "last used (UTC)")
    table(rows, (*columns, "expires (UTC)", "restrictions"))


def _in_words(restrictions: dict[str, Any]) -> str:
    return "; ".join(
        f"{name} {', '.join(value) if isinstance(value, list) else value}"
        for name, value in restrictions.items()
    )


@token.command("uses")
@with_database
@click.argument("number", type=int)
def show_uses(db: Location | None, number: int) -> None:
    """Show which calls were made with a token, from where, when, and how many were refused.

    NUMBER is the one that `scopegate token list` shows.
    """

    def job(reader: Snapshot) -> list[Row]:
        if reader.one("SELECT 1 FROM tokens WHERE id = ?", number) is None:
            raise StoreError("there is no such token")
        return token_uses.listed(reader, number)

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
        return tokens.end(transaction, [named(transaction, which).id])

    ended = run_job(db, job)
    others = f", with {len(ended) - 1} created with it" if len(ended) > 1 else ""
    click.echo(f"revoked{others}", err=True)
