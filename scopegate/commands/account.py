"""The commands that list accounts, change their balances, and lift self-exclusion."""

import json
from decimal import Decimal, InvalidOperation

import click

from scopegate import market_start
from scopegate.commands.common import Group, run_job, table, with_database
from scopegate.exchange import agents, exclusion, payments
from scopegate.exchange import ledger as accounts
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.money import to_number, to_text, to_units
from scopegate.gateway.access import tokens
from scopegate.gateway.access.accounts import all_loginids
from scopegate.store.errors import StoreError
from scopegate.store.location import Location
from scopegate.store.transactions import Transaction


@click.group(cls=Group)
def account() -> None:
    """List accounts, change their balances, and lift self-exclusion."""


@account.command("list")
@with_database
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def account_list(db: Location | None, as_json: bool) -> None:
    """List accounts with their balances; without the exchange, only their login ids."""
    found, loginids = run_job(db, lambda reader: (accounts.accounts(reader), all_loginids(reader)))
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
@with_database
@click.option("--loginid", required=True, help="Account to credit.")
@click.option(
    "--amount", required=True, help="In the account's currency; a negative amount is taken out."
)
def account_credit(db: Location | None, loginid: str, amount: str) -> None:
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

    entry = run_job(db, job)
    click.echo(f"{loginid} {to_text(entry.balance_after, entry.currency)} {entry.currency}")


@account.command("reset")
@with_database
@click.option("--loginid", required=True, help="Account to reset.")
def account_reset(db: Location | None, loginid: str) -> None:
    """Reset an account to its opening balance."""

    def job(transaction: Transaction) -> accounts.Account:
        at = market_start.present(transaction)
        accounts.reset(transaction, loginid, at=at, note="Reset by the operator.")
        return accounts.account(transaction, loginid)

    found = run_job(db, job)
    click.echo(f"{loginid} {to_text(found.balance, found.currency)} {found.currency}")


@account.command("withdrawal-reasons")
@with_database
def account_withdrawal_reasons(db: Location | None) -> None:
    """List the reasons that owners gave for withdrawals through payment agents, newest first."""
    rows = [
        (reason.loginid, tokens.moment_text(reason.at), reason.message)
        for reason in run_job(db, agents.reasons)
    ]
    table(rows, ("loginid", "given (UTC)", "reason"))


@account.command("lift")
@with_database
@click.option("--loginid", required=True, help="Account whose limits to lift.")
def account_lift(db: Location | None, loginid: str) -> None:
    """Lift every limit and pause that the account's owner has set with set_self_exclusion."""

    def job(transaction: Transaction) -> None:
        accounts.account(transaction, loginid)
        if not exclusion.lift(transaction, loginid):
            raise StoreError(f"{loginid} has no limits to lift")

    run_job(db, job)
    click.echo("lifted", err=True)
