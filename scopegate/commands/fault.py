"""The commands that begin, list and end faults of connections."""

import click

from scopegate import offered
from scopegate.commands.common import Group, fail, run_job, table, with_database
from scopegate.commands.target import plugins_of
from scopegate.commands.token import named
from scopegate.composition import Composition
from scopegate.exchange.symbols import SYMBOLS
from scopegate.faults_of_settings import in_words
from scopegate.gateway.access import apps, stored_faults, users
from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.stored_faults import StoredFault
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.faults import Fault
from scopegate.gateway.calls.registry import DeclarationError
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.handlers.exchange.feed_faults import MarketFaultKinds
from scopegate.handlers.exchange.paper_accounts import PaperAccounts
from scopegate.runtime.clock import WallClock
from scopegate.settings import SettingsError, load
from scopegate.store.errors import StoreError
from scopegate.store.location import Location
from scopegate.store.transactions import Snapshot, Transaction


@click.group(cls=Group)
def fault() -> None:
    """Begin, list and end faults of connections, to test bots."""


@fault.command("start")
@with_database
@click.argument("kind")
@click.argument("options", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--token", "which", default=None, help="Token: its number, its text or its masked text."
)
@click.option("--app", "app_id", type=int, default=None, help="App, instead of a token.")
@click.option("--email", default=None, help="User of the app.")
def fault_start(
    db: Location | None,
    kind: str,
    options: tuple[str, ...],
    which: str | None,
    app_id: int | None,
    email: str | None,
) -> None:
    """Begin a fault of the connections of a token or of a user's app; print its number.

    KIND and its options are those that `scopegate fault kinds` lists: drop after=buy. Only demo
    accounts can have faults. A gateway that others can connect to needs the setting allow_faults.
    """
    if (which is None) == (app_id is None):
        raise click.UsageError("give --token or --app")
    if (app_id is None) != (email is None):
        raise click.UsageError("give --app and --email together")
    calls = _calls()

    def job(transaction: Transaction) -> int:
        has_exchange = offered.has_exchange(transaction)
        kinds: FaultKinds = FaultKinds()
        if has_exchange:
            kinds = MarketFaultKinds({*SYMBOLS, *offered.own_markets(transaction)})
        accounts = _accounts(has_exchange=has_exchange)
        asked = _parsed(kinds, " ".join((kind, *options)), calls)
        token_id = link_id = None
        if which is not None:
            token = named(transaction, which)
            token_id, loginids = token.id, [token.loginid]
        else:
            link_id, loginids = _link(transaction, app_id or 0, email or "")
        facts = [accounts.facts(transaction, loginid) for loginid in loginids]
        if not any(map(kinds.is_for_tests, facts)):
            raise StoreError("only demo accounts can have faults")
        return stored_faults.start(transaction, asked, token_id=token_id, link_id=link_id)

    click.echo(run_job(db, job))


@fault.command("list")
@with_database
def fault_list(db: Location | None) -> None:
    """List the faults of tokens and apps. Those of the settings are not listed."""

    def job(reader: Snapshot) -> list[StoredFault]:
        return stored_faults.stored(reader)

    rows = [
        (
            str(each.number),
            " ".join([each.kind, *(f"{name}={value}" for name, value in each.options.items())]),
            each.masked or f"app {each.app_id}",
            each.name,
        )
        for each in run_job(db, job)
    ]
    table(rows, ("number", "fault", "of", "name"))


@fault.command("end")
@with_database
@click.argument("number", type=int)
def fault_end(db: Location | None, number: int) -> None:
    """End a fault. NUMBER is the one that `scopegate fault list` shows."""

    def job(transaction: Transaction) -> None:
        if number not in {each.number for each in stored_faults.stored(transaction)}:
            raise StoreError("there is no such fault")
        stored_faults.end(transaction, [number])

    run_job(db, job)
    click.echo("ended", err=True)


@fault.command("kinds")
def fault_kinds() -> None:
    """List the kinds of faults with their options, each with its default."""
    try:
        has_exchange = offered.EXCHANGE not in load().without
    except SettingsError as problem:
        fail(problem)
    kinds = MarketFaultKinds.kinds if has_exchange else FaultKinds.kinds
    for kind in kinds:
        click.echo(f"{kind.kind}: {kind.sentence()}")
        for name, field in kind.model_fields.items():
            default = "" if field.is_required() or field.default is None else f" [{field.default}]"
            click.echo(f"    {name}{default}: {field.description}")


def _accounts(*, has_exchange: bool) -> Accounts:
    return PaperAccounts(WallClock()) if has_exchange else Accounts()


def _calls() -> frozenset[str]:
    """Return the calls of the gateway that the settings describe."""
    try:
        composition = Composition(tuple(plugins_of(load())))
        return frozenset(each.name for each in composition.check())
    except (DeclarationError, SettingsError) as problem:
        fail(problem)


def _parsed(kinds: FaultKinds, text: str, calls: frozenset[str]) -> Fault:
    """Return the fault that a text names. Raises `StoreError` with what there is."""
    try:
        return kinds.parsed(text, calls)
    except ApiError as problem:
        raise StoreError(in_words(problem)) from None


def _link(reader: Snapshot, app_id: int, email: str) -> tuple[int, list[str]]:
    """Return a user's authorization of an app, and its accounts. Raises `StoreError`."""
    link = apps.link_of_user(reader, app_id, users.by_email(reader, email)["id"])
    if link is None:
        raise StoreError(f"app {app_id} is not connected to {email}")
    return link.id, list(link.loginids)
