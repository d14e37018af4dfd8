"""The commands that register, list, disable and enable apps."""

import click
from pydantic import ValidationError

from scopegate import offered
from scopegate.commands.common import (
    MAX_APP_ID,
    Group,
    check_scopes,
    fail,
    parsed_scopes,
    run_job,
    table,
    with_database,
)
from scopegate.gateway.access import app_secrets, apps, users
from scopegate.gateway.calls.registry import problems_of
from scopegate.schemas.app_messages import AppOrigins, AppRegister
from scopegate.schemas.scopes import in_order
from scopegate.store.errors import StoreError
from scopegate.store.location import Location
from scopegate.store.transactions import Transaction


@click.group(cls=Group)
def app() -> None:
    """Register, list, disable and enable apps."""


@app.command("create")
@with_database
@click.option("--name", required=True, help="Name shown to users who are asked for consent.")
@click.option(
    "--app-id",
    type=click.IntRange(1, MAX_APP_ID),
    default=None,
    help="app_id to use, if a bot has one in its code. [default: the next free one]",
)
@click.option(
    "--scopes",
    default="read",
    show_default=True,
    callback=parsed_scopes,
    help="Comma-separated scopes, such as read,trade.",
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
@click.option(
    "--device-flow",
    is_flag=True,
    help="Let programs without a browser ask users for consent, with a code that the user enters.",
)
def app_create(
    db: Location | None,
    name: str,
    app_id: int | None,
    scopes: frozenset[str],
    redirect_uri: str,
    email: str | None,
    origins: tuple[str, ...],
    flow: str,
    device_flow: bool,
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
        check_scopes(transaction, scopes)
        owner = None if email is None else users.by_email(transaction, email)["id"]
        values = {
            "name": checked.name,
            "scopes": scopes,
            "redirect_uri": checked.redirect_uri,
            "flow": flow,
        }
        made = apps.register(transaction, owner, values, app_id=app_id)
        if device_flow:
            made = apps.set_device_flow(transaction, made, on=True)
        return apps.set_origins(transaction, made, origins) if origins else made

    click.echo(run_job(db, job).id)


_APP_ID = click.option(
    "--app-id", type=click.IntRange(1, MAX_APP_ID), required=True, help="The app."
)


@app.command("disable")
@with_database
@_APP_ID
def app_disable(db: Location | None, app_id: int) -> None:
    """End the connections of an app, and refuse its tokens until it is enabled."""
    run_job(db, lambda transaction: apps.set_disabled(transaction, app_id, disabled=True))
    click.echo("disabled", err=True)


@app.command("enable")
@with_database
@_APP_ID
def app_enable(db: Location | None, app_id: int) -> None:
    """Enable a disabled app: its tokens are valid again."""
    run_job(db, lambda transaction: apps.set_disabled(transaction, app_id, disabled=False))
    click.echo("enabled", err=True)


@app.command("secret")
@with_database
@_APP_ID
@click.option("--delete", is_flag=True, help="Delete the client secret of the app.")
def app_secret(db: Location | None, app_id: int, delete: bool) -> None:
    """Give an app a new client secret and print only that; it is not shown again."""

    def job(transaction: Transaction) -> str | None:
        found = apps.get(transaction, app_id)
        if found is None:
            raise StoreError(f"there is no app {app_id} (scopegate app list shows all)")
        if not delete:
            return app_secrets.create(transaction, found)
        app_secrets.delete(transaction, found)
        return None

    secret = run_job(db, job)
    if secret is None:
        click.echo("deleted", err=True)
    else:
        click.echo(secret)


@app.command("list")
@with_database
def app_list(db: Location | None) -> None:
    """List all apps."""
    every, declared = run_job(db, lambda reader: (apps.load_all(reader), offered.scopes_of(reader)))
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
