"""The commands that manage a database: its tokens, accounts, users and apps.

Rules:
- Each command but `backup` is one transaction; a running gateway notices it within a second.
- Standard output has only what a script needs; everything else goes to standard error.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from pydantic import ValidationError

from scopegate import market_start, offered
from scopegate.exchange import agents, exclusion, payments
from scopegate.exchange import ledger as accounts
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.money import to_number, to_text, to_units
from scopegate.gateway.access import apps, passwords, tokens, users
from scopegate.gateway.access.accounts import all_loginids, open_account
from scopegate.gateway.access.accounts import check as check_account
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.registry import problems_of
from scopegate.handlers.gateway.countries import COUNTRIES
from scopegate.schemas.app_messages import AppOrigins, AppRegister
from scopegate.schemas.scopes import in_order
from scopegate.settings import SettingsError, load
from scopegate.store.errors import StoreError
from scopegate.store.files import backup as copy_to
from scopegate.store.files import run_once
from scopegate.store.transactions import Row, Snapshot, Transaction

T = TypeVar("T")

MAX_APP_ID = 999_999_999
"""The largest app_id that can be chosen: later apps get the ids that follow it."""


_SECRETS = {"password", "which"}
"""Parameters that may hold a token: `password` is stored as a hash, `which` names a token."""


class _Command(click.Command):
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


class _Group(click.Group):
    command_class = _Command


def fail(problem: Exception) -> NoReturn:
    """Exit with code 1 and the message of the problem."""
    text = problem.message if isinstance(problem, ApiError) else str(problem)
    raise click.ClickException(text)


def table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> None:
    """Print rows in columns under a header."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


_DB = click.option(
    "--db",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Database file. [default: the setting db, else scopegate.db]",
)


def _run(db: Path | None, job: Callable[[Transaction], T]) -> T:
    path = db
    try:
        path = path or load().db
        if not path.exists():
            raise StoreError(
                f"there is no database {path}: create it with scopegate serve, or name another"
                " with --db"
            )
        return run_once(path, job, market_start.check_feed)
    except (sqlite3.Error, OSError) as problem:
        fail(StoreError(f"cannot use the database {path}: {problem}"))
    except (StoreError, SettingsError, ApiError, accounts.InsufficientFundsError) as problem:
        fail(problem)


@click.command(cls=_Command)
@_DB
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
def backup(db: Path | None, target: Path) -> None:
    """Copy the database to a new file and check the copy. Works while the gateway serves."""
    try:
        path = db or load().db
        if not path.exists():
            raise StoreError(f"there is no database {path}: name it with --db")
        copy_to(path, target)
    except (StoreError, SettingsError) as problem:
        fail(problem)
    click.echo(str(target))


# token


@click.group(cls=_Group)
def token() -> None:
    """Create, list and revoke tokens, and show their uses."""


def _scopes(_context: click.Context, _option: click.Parameter, value: str) -> frozenset[str]:
    return frozenset(name.strip() for name in value.split(","))


def _check_scopes(reader: Snapshot, scopes: Collection[str]) -> None:
    """Raise `StoreError` for a scope that the gateway of this database does not declare."""
    declared = offered.scopes_of(reader)
    if not set(declared).issuperset(scopes):
        raise StoreError(f"unknown scope: use a comma-separated list of {', '.join(declared)}")


def _name(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if not (value.isprintable() and 0 < len(value.strip()) <= 64):
        raise click.BadParameter("a name must have 1 to 64 printable characters")
    return value


def _email(_context: click.Context, _option: click.Parameter, value: str) -> str:
    name, at, host = value.rpartition("@")
    if not (name and at and host and value.isprintable() and " " not in value):
        raise click.BadParameter("must be an e-mail address such as ada@example.com")
    return value


@token.command("create")
@_DB
@click.option("--loginid", required=True, help="Account that the token is for.")
@click.option(
    "--scopes", required=True, callback=_scopes, help="Comma-separated scopes, such as read,trade."
)
@click.option("--name", required=True, callback=_name, help="Name shown in the list.")
def token_create(db: Path | None, loginid: str, scopes: frozenset[str], name: str) -> None:
    """Create a token and print only the token. It is not shown again."""

    def job(transaction: Transaction) -> str:
        check_account(transaction, loginid)
        _check_scopes(transaction, scopes)
        return tokens.create(transaction, tokens.NewToken(loginid, name, scopes))

    click.echo(_run(db, job))


@token.command("list")
@_DB
@click.option("--loginid", default=None, help="Show only the tokens of this account.")
def token_list(db: Path | None, loginid: str | None) -> None:
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

    held, declared = _run(db, job)
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
@_DB
@click.argument("number", type=int)
def token_uses(db: Path | None, number: int) -> None:
    """Show which calls were made with a token, from where, when, and how many were refused.

    NUMBER is as in the list.
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
        for row in _run(db, job)
    ]
    table(rows, ("call", "from", "times", "refused", "last error", "last (UTC)"))


@token.command("revoke")
@_DB
@click.argument("which")
def token_revoke(db: Path | None, which: str) -> None:
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

    ended = _run(db, job)
    others = f", with {len(ended) - 1} created with it" if len(ended) > 1 else ""
    click.echo(f"revoked{others}", err=True)


# account


@click.group(cls=_Group)
def account() -> None:
    """List accounts, change their balances, and lift self-exclusion."""


@account.command("list")
@_DB
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def account_list(db: Path | None, as_json: bool) -> None:
    """List accounts with their balances; without the exchange, only their login ids."""
    found, loginids = _run(db, lambda reader: (accounts.accounts(reader), all_loginids(reader)))
    bare = [each for each in loginids if each not in {row.loginid for row in found}]
    if as_json:
        rows = [
            {
                "loginid": row.loginid,
                "is_virtual": int(row.is_virtual),
                "currency": row.currency,
                "balance": to_number(row.balance, row.currency),
            }
            for row in found
        ]
        click.echo(json.dumps([*rows, *({"loginid": each} for each in bare)]))
        return
    table(
        [
            (
                row.loginid,
                "demo" if row.is_virtual else "real-style",
                row.currency,
                to_text(row.balance, row.currency),
            )
            for row in found
        ]
        + [(each, "", "", "") for each in bare],
        ("loginid", "kind", "currency", "balance"),
    )


@account.command("credit")
@_DB
@click.option("--loginid", required=True, help="Account to credit.")
@click.option(
    "--amount", required=True, help="In the account's currency; a negative amount is taken out."
)
def account_credit(db: Path | None, loginid: str, amount: str) -> None:
    """Add paper money to an account."""

    def job(transaction: Transaction) -> accounts.Entry:
        currency = accounts.account(transaction, loginid).currency
        try:
            decimal = Decimal(amount)
            if not decimal.is_finite():
                raise StoreError(f"{amount!r} is not an amount")
            units = to_units(decimal, currency)
        except InvalidOperation:
            raise StoreError(f"{amount!r} is not an amount") from None
        except ValueError as problem:
            raise StoreError(f"{amount} is not an amount of {currency}: {problem}") from None
        if abs(units) not in range(1, 10**15):
            raise StoreError("the amount must not be 0 or above a trillion")
        at, note = market_start.present(transaction), "By the operator."
        try:
            action = "deposit" if units > 0 else "withdrawal"
            posting = accounts.Posting(
                loginid=loginid, action=action, amount=units, at=at, note=note
            )
            if units > 0:
                return payments.pay_in(transaction, posting)
            return accounts.post(transaction, posting)
        except accounts.InsufficientFundsError:
            raise StoreError(f"the balance of {loginid} is too small") from None
        except Refusal as refusal:
            raise StoreError(refusal.message) from None

    entry = _run(db, job)
    click.echo(f"{loginid} {to_text(entry.balance_after, entry.currency)} {entry.currency}")


@account.command("reset")
@_DB
@click.option("--loginid", required=True, help="Account to reset.")
def account_reset(db: Path | None, loginid: str) -> None:
    """Reset an account to its opening balance."""

    def job(transaction: Transaction) -> accounts.Account:
        at = market_start.present(transaction)
        accounts.reset(transaction, loginid, at=at, note="Reset by the operator.")
        return accounts.account(transaction, loginid)

    found = _run(db, job)
    click.echo(f"{loginid} {to_text(found.balance, found.currency)} {found.currency}")


@account.command("withdrawal-reasons")
@_DB
def account_withdrawal_reasons(db: Path | None) -> None:
    """List the reasons that owners gave for withdrawals through payment agents, newest first."""
    rows = [
        (reason.loginid, tokens.moment_text(reason.at), _on_a_line(reason.message))
        for reason in _run(db, agents.reasons)
    ]
    table(rows, ("loginid", "given (UTC)", "reason"))


def _on_a_line(text: str) -> str:
    """Return a user's text on one line, without characters that move a terminal's cursor."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


@account.command("lift")
@_DB
@click.option("--loginid", required=True, help="Account whose limits to lift.")
def account_lift(db: Path | None, loginid: str) -> None:
    """Lift every limit and pause that the account's owner has set with set_self_exclusion."""

    def job(transaction: Transaction) -> None:
        accounts.account(transaction, loginid)
        if not exclusion.lift(transaction, loginid):
            raise StoreError(f"{loginid} has no limits to lift")

    _run(db, job)
    click.echo("lifted", err=True)


# user


@click.group(cls=_Group)
def user() -> None:
    """Create users, lock them out, and change their passwords."""


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
@_DB
@click.option("--email", required=True, callback=_email, help="E-mail address to sign in with.")
@click.option(
    "--residence",
    default=None,
    help="Two-letter code of the user's country. [default: the setting residence]",
)
@_PASSWORD
def user_create(db: Path | None, email: str, residence: str | None, password: str) -> None:
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

    for loginid in _run(db, job):
        click.echo(loginid)


@user.command("disable")
@_DB
@click.option("--email", required=True, help="E-mail address of the user.")
def user_disable(db: Path | None, email: str) -> None:
    """Lock a user out: revoke all their tokens, on live connections too."""
    ended = _run(db, lambda transaction: users.disable(transaction, email))
    click.echo(f"disabled, {ended} tokens ended", err=True)


@user.command("password")
@_DB
@click.option("--email", required=True, help="E-mail address of the user.")
@_PASSWORD
def user_password(db: Path | None, email: str, password: str) -> None:
    """Change a user's password."""
    password_hash = passwords.hash_password(password)
    _run(db, lambda transaction: users.set_password(transaction, email, password_hash))
    click.echo("changed", err=True)


# app


@click.group(cls=_Group)
def app() -> None:
    """Register and list apps."""


@app.command("create")
@_DB
@click.option("--name", required=True, help="Name shown to users who are asked for consent.")
@click.option(
    "--app-id",
    type=click.IntRange(1, MAX_APP_ID),
    default=None,
    help="app_id to use, if a bot has one in its code. [default: the next free one]",
)
@click.option(
    "--scopes", default="read", callback=_scopes, help="Comma-separated scopes, such as read,trade."
)
@click.option(
    "--redirect-uri", default="", help="Where users return to: https, or http on localhost."
)
@click.option("--email", default=None, help="User who owns the app. [default: nobody]")
@click.option(
    "--allowed-origin",
    "origins",
    multiple=True,
    help="Origin whose pages may use the app, such as https://bot.example.com. By default any."
    " May be repeated.",
)
@click.option(
    "--flow",
    type=click.Choice(["tokens", "code", "both"]),
    default="both",
    show_default=True,
    help="What the app gets after consent: tokens in the URL (as Deriv v3 web apps do), only a code"
    " with PKCE, or either.",
)
def app_create(
    db: Path | None,
    name: str,
    app_id: int | None,
    scopes: frozenset[str],
    redirect_uri: str,
    email: str | None,
    origins: tuple[str, ...],
    flow: str,
) -> None:
    """Register an app and print only its app_id."""
    try:
        checked = AppRegister(
            app_register=1, name=name, scopes=sorted(scopes), redirect_uri=redirect_uri
        )
        AppOrigins(app_origins=1, allowed_origins=list(origins))
    except ValidationError as invalid:
        fail(StoreError("; ".join(f"{k}: {v}" for k, v in problems_of(invalid).items())))

    def job(transaction: Transaction) -> apps.App:
        _check_scopes(transaction, scopes)
        owner = None if email is None else users.by_email(transaction, email)["id"]
        values = {
            "name": checked.name,
            "scopes": scopes,
            "redirect_uri": checked.redirect_uri,
            "flow": flow,
        }
        made = apps.register(transaction, owner, values, app_id=app_id)
        return apps.set_origins(transaction, made, origins) if origins else made

    click.echo(_run(db, job).id)


@app.command("list")
@_DB
def app_list(db: Path | None) -> None:
    """List all apps."""
    every, declared = _run(db, lambda reader: (apps.load_all(reader), offered.scopes_of(reader)))
    rows = [
        (
            str(found.id),
            found.name,
            ",".join(in_order(found.scopes, declared)),
            found.redirect_uri,
        )
        for found in every
    ]
    table(rows, ("app_id", "name", "scopes", "redirect_uri"))
