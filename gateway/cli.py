"""The command `scopegate`: serve, and look after users, accounts, tokens and apps.

Rules:
- Commands other than `serve` write to the database in one transaction of their own; a running
  gateway notices within a second.
- What a script wants stands on standard output, alone; everything else on standard error.
- What only `serve` needs is imported by `serve`, so that the other commands start quickly.
"""

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import structlog
from pydantic_core import PydanticUndefined

from exchange import ledger as accounts
from exchange.money import to_number, to_text, to_units
from gateway import token_form
from gateway.access import apps, tokens, users
from gateway.errors import ApiError
from gateway.settings import Settings, SettingsError, load
from gateway.store import StoreError, Transaction, run_once
from schemas.scopes import Scope, in_order

T = TypeVar("T")

_FLAGS = {"tls_self_signed", "demo", "compression"}
_REPEATED = {"trusted_proxy", "handlers"}


def main() -> None:
    """Run the command line."""
    cli(prog_name="scopegate")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scopegate", prog_name="scopegate")
def cli() -> None:
    """A WebSocket API gateway in the style of the Deriv API v3, with a paper exchange behind it."""


def _fail(problem: Exception) -> NoReturn:
    text = problem.message if isinstance(problem, ApiError) else str(problem)
    raise click.ClickException(text)


# serve


def _serve_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for every setting, with the setting's own description."""
    for name, field in reversed(Settings.model_fields.items()):
        flag = "--" + name.replace("_", "-")
        default = field.default
        shown = "" if default in (None, (), False, PydanticUndefined) else f" [default: {default}]"
        text = f"{field.description}{shown}"
        if name in _FLAGS:
            command = click.option(flag, is_flag=True, default=None, help=text)(command)
        elif name in _REPEATED:
            command = click.option(flag, multiple=True, help=f"{text} May be repeated.")(command)
        elif name == "limits":
            command = click.option(flag, type=click.Choice(["open", "deriv"]), help=text)(command)
        else:
            command = click.option(flag, metavar=name.upper(), help=text)(command)
    return command


@cli.command()
@_serve_options
def serve(**options: Any) -> None:
    """Serve the API and the pages until interrupted.

    Every option is also an environment variable (SCOPEGATE_PORT) and a line of the settings file
    (port = 5555 in scopegate.toml, or in the file that SCOPEGATE_SETTINGS names).
    """
    from gateway.calls import DeclarationError

    _set_up_logs()
    _allow_many_connections()
    given = {name: value for name, value in options.items() if value not in (None, ())}
    try:
        settings = load(**given)
        with _runner() as runner:
            runner.run(_serve(settings))
    except (SettingsError, StoreError, DeclarationError) as problem:
        _fail(problem)


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:  # none for this platform: the standard loop does as well, slower
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _serve(settings: Settings) -> None:
    from gateway.app import compose, listen

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with compose(settings) as gateway, listen(gateway) as port:
        secure = "s" if settings.tls_cert or settings.tls_self_signed else ""
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        lines = [
            f"listening on ws{secure}://{host}:{port}/websockets/v3",
            f"page         http{secure}://{host}:{port}/",
        ]
        if gateway.demo is not None:
            for account in gateway.demo.accounts:
                kind = "demo" if account.is_virtual else "real-style, paper money"
                balance = to_text(account.balance, account.currency)
                lines.append(
                    f"account      {account.loginid}  {balance} {account.currency}  ({kind})"
                )
            lines.append(
                f"token        {gateway.demo.token}"
                "  (demo account, all scopes, until the next start)"
            )
        click.echo("\n".join(lines))
        sys.stdout.flush()
        await stopped.wait()


def _allow_many_connections() -> None:
    """A process may open 1,024 files by default on many systems, and each client is one."""
    try:
        import resource
    except ImportError:  # not on Windows, which has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _set_up_logs() -> None:
    def scrub(_logger: Any, _name: str, event: structlog.typing.EventDict) -> Any:
        return {
            key: token_form.without_tokens(value) if isinstance(value, str) else value
            for key, value in event.items()
        }

    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            scrub,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
            if sys.stderr.isatty()
            else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


# What all other commands share.

_DB = click.option(
    "--db",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Database file. [default: the setting db, else scopegate.db]",
)


def _run(db: Path | None, job: Callable[[Transaction], T]) -> T:
    try:
        path = load().db if db is None else db
        if not path.exists():
            raise StoreError(f"there is no database {path}: serve makes it, or give --db")
        return run_once(path, job)
    except (StoreError, SettingsError, ApiError, accounts.InsufficientFundsError) as problem:
        _fail(problem)


def _now(transaction: Transaction) -> float:
    """The moment to book at: real time, or the kept mark of a market that keeps its own time."""
    from gateway.origin import present

    return present(transaction)


def _table(rows: Sequence[tuple[str, ...]], header: tuple[str, ...]) -> None:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


# token


@cli.group()
def token() -> None:
    """Make, list and revoke tokens."""


def _scopes(_context: click.Context, _option: click.Parameter, value: str) -> frozenset[Scope]:
    try:
        return frozenset(Scope(name.strip()) for name in value.split(","))
    except ValueError:
        raise click.BadParameter(f"scopes are {', '.join(Scope)}, with commas between") from None


@token.command("create")
@_DB
@click.option("--loginid", required=True, help="Account that the token reaches.")
@click.option("--scopes", required=True, callback=_scopes, help="Such as read,trade.")
@click.option("--name", required=True, help="How the list shows it.")
def token_create(db: Path | None, loginid: str, scopes: frozenset[Scope], name: str) -> None:
    """Make a token and print it, alone. It is not shown again."""

    def job(transaction: Transaction) -> str:
        accounts.account(transaction, loginid)
        return tokens.create(transaction, loginid, name, scopes)

    click.echo(_run(db, job))


@token.command("list")
@_DB
@click.option("--loginid", default=None, help="Tokens of this account alone.")
def token_list(db: Path | None, loginid: str | None) -> None:
    """List tokens with their numbers, masked."""

    def job(transaction: Transaction) -> list[tokens.Token]:
        return [
            found
            for account in accounts.accounts(transaction)
            if loginid in (None, account.loginid)
            for found in tokens.listed(transaction, account.loginid)
        ]

    rows = [
        (str(found.id), found.loginid, found.name, ",".join(in_order(found.scopes)), found.masked)
        for found in _run(db, job)
    ]
    _table(rows, ("number", "loginid", "name", "scopes", "token"))


@token.command("revoke")
@_DB
@click.argument("which")
def token_revoke(db: Path | None, which: str) -> None:
    """End a token, given by its number, its text, or the masked text that the list shows."""

    def job(transaction: Transaction) -> list[int]:
        mask = token_form.masked(which) if token_form.well_formed(which) else which
        found = [
            token.id
            for account in accounts.accounts(transaction)
            for token in tokens.listed(transaction, account.loginid)
            if which == str(token.id) or mask == token.masked
        ]
        if len(found) != 1:
            raise StoreError(
                "there is no such token" if not found else "several tokens look so: give a number"
            )
        return tokens.end(transaction, found)

    _run(db, job)
    click.echo("revoked", err=True)


# account


@cli.group()
def account() -> None:
    """List accounts and move their paper money."""


@account.command("list")
@_DB
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def account_list(db: Path | None, as_json: bool) -> None:
    """List accounts with their balances."""
    found = _run(db, accounts.accounts)
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
        click.echo(json.dumps(rows))
        return
    _table(
        [
            (
                row.loginid,
                "demo" if row.is_virtual else "real-style",
                row.currency,
                to_text(row.balance, row.currency),
            )
            for row in found
        ],
        ("loginid", "kind", "currency", "balance"),
    )


@account.command("credit")
@_DB
@click.option("--loginid", required=True)
@click.option("--amount", required=True, help="In the account's currency; negative takes it away.")
def account_credit(db: Path | None, loginid: str, amount: str) -> None:
    """Add paper money to an account."""

    def job(transaction: Transaction) -> accounts.Entry:
        currency = accounts.account(transaction, loginid).currency
        try:
            units = to_units(Decimal(amount), currency)
        except (InvalidOperation, ValueError) as problem:
            raise StoreError(f"{amount!r} is no amount of {currency}: {problem}") from problem
        if not 0 < abs(units) < 10**15:
            raise StoreError("the amount must not be 0, nor beyond a trillion")
        action = "deposit" if units > 0 else "withdrawal"
        try:
            return accounts.book(
                transaction, loginid, action, units, at=_now(transaction), note="By the operator."
            )
        except accounts.InsufficientFundsError:
            raise StoreError(f"{loginid} does not hold that much") from None

    entry = _run(db, job)
    click.echo(f"{loginid} {to_text(entry.balance_after, entry.currency)} {entry.currency}")


@account.command("reset")
@_DB
@click.option("--loginid", required=True)
def account_reset(db: Path | None, loginid: str) -> None:
    """Bring an account back to its opening balance."""

    def job(transaction: Transaction) -> accounts.Account:
        accounts.set_balance(
            transaction,
            loginid,
            "adjustment",
            accounts.OPENING_BALANCE,
            at=_now(transaction),
            note="Reset by the operator.",
        )
        return accounts.account(transaction, loginid)

    found = _run(db, job)
    click.echo(f"{loginid} {to_text(found.balance, found.currency)} {found.currency}")


# user


@cli.group()
def user() -> None:
    """Create users, lock them out, change their passwords."""


_PASSWORD = click.option(
    "--password",
    prompt=True,
    hide_input=True,
    confirmation_prompt=True,
    help="Asked for when not given, which keeps it out of the shell's history.",
)


def _hashed(password: str) -> str:
    if len(password) < 8:
        raise click.BadParameter("a password has at least 8 characters", param_hint="--password")
    return users.hash_password(password)


@user.command("create")
@_DB
@click.option("--email", required=True)
@_PASSWORD
def user_create(db: Path | None, email: str, password: str) -> None:
    """Make a user with a demo account and a real-style one, both of paper money."""
    password_hash = _hashed(password)

    def job(transaction: Transaction) -> list[accounts.Account]:
        user_id = users.create(transaction, email, password_hash=password_hash)
        accounts.open_with_balance(
            transaction, user_id, virtual=(True, False), at=_now(transaction)
        )
        return accounts.accounts(transaction, user_id)

    for opened in _run(db, job):
        click.echo(opened.loginid)


@user.command("disable")
@_DB
@click.option("--email", required=True)
def user_disable(db: Path | None, email: str) -> None:
    """Lock a user out: all their tokens end, on live connections too."""
    ended = _run(db, lambda transaction: users.disable(transaction, email))
    click.echo(f"disabled, {ended} tokens ended", err=True)


@user.command("password")
@_DB
@click.option("--email", required=True)
@_PASSWORD
def user_password(db: Path | None, email: str, password: str) -> None:
    """Give a user another password."""
    password_hash = _hashed(password)
    _run(db, lambda transaction: users.set_password(transaction, email, password_hash))
    click.echo("changed", err=True)


# app


@cli.group()
def app() -> None:
    """Register and list apps."""


@app.command("create")
@_DB
@click.option("--name", required=True)
@click.option("--scopes", default="read", callback=_scopes, help="Such as read,trade.")
@click.option("--redirect-uri", default="", help="https, or http on localhost.")
@click.option("--email", default=None, help="The user who owns it; nobody when not given.")
def app_create(
    db: Path | None, name: str, scopes: frozenset[Scope], redirect_uri: str, email: str | None
) -> None:
    """Register an app and print its app_id, alone."""
    from pydantic import ValidationError

    from gateway.calls import problems_of
    from schemas.apps import AppRegister

    try:
        asked = AppRegister(
            app_register=1, name=name, scopes=in_order(scopes), redirect_uri=redirect_uri
        )
    except ValidationError as invalid:
        _fail(StoreError("; ".join(f"{k}: {v}" for k, v in problems_of(invalid).items())))

    def job(transaction: Transaction) -> apps.App:
        owner = None if email is None else users.by_email(transaction, email)["id"]
        values = {"name": asked.name, "scopes": scopes, "redirect_uri": asked.redirect_uri}
        return apps.register(transaction, owner, values)

    click.echo(_run(db, job).id)


@app.command("list")
@_DB
def app_list(db: Path | None) -> None:
    """List every app."""
    rows = [
        (str(found.id), found.name, ",".join(in_order(found.scopes)), found.redirect_uri)
        for found in _run(db, apps.load_all)
    ]
    _table(rows, ("app_id", "name", "scopes", "redirect_uri"))


# calls


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--handlers", multiple=True, help="Module with calls of your own. May be repeated.")
def calls(as_json: bool, handlers: tuple[str, ...]) -> None:
    """List every call that is offered, its scope and what it does."""
    from gateway.app import declared
    from gateway.calls import DeclarationError

    try:
        offered = declared(handlers)
    except DeclarationError as problem:
        _fail(problem)
    if as_json:
        rows = [
            {
                "call": found.name,
                "group": found.group,
                "needs": in_order(found.scopes),
                "needs_login": found.needs_login,
                "sentence": found.sentence,
            }
            for found in offered
        ]
        click.echo(json.dumps(rows))
        return
    _table(
        [(found.name, found.needs_text, found.sentence) for found in offered],
        ("call", "needs", "what it does"),
    )
