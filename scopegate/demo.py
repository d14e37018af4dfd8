"""The demo user of a start: its accounts, and a token that ends with the next start."""

from collections.abc import Sequence
from dataclasses import dataclass

from scopegate.exchange import ledger as accounts
from scopegate.exchange.ledger import Account
from scopegate.gateway.access import tokens, users
from scopegate.schemas.scopes import ALL_SCOPES
from scopegate.settings import Settings
from scopegate.store.sqlite import Store, Transaction

DEMO_EMAIL = "demo@scopegate.invalid"


@dataclass(frozen=True, slots=True)
class Demo:
    """What a demo user needs to begin: their accounts, and this start's token for the first."""

    accounts: Sequence[Account]
    token: str


async def settle(store: Store, settings: Settings, at: float) -> Demo | None:
    """Create the demo user on an empty database, and replace the demo token of the last start.

    The last demo token ends at every start, also at one without a demo user. Tokens that the demo
    user created at the pages stay.
    """

    def job(transaction: Transaction) -> Demo | None:
        tokens.end_demo(transaction)
        if not settings.demo_at_pages and (signed_in := users.demo(transaction)) is not None:
            tokens.end_sign_ins_of_user(transaction, signed_in["id"])
        if not (settings.demo or settings.on_loopback):
            return None
        if transaction.one("SELECT 1 FROM users") is None:
            user_id = users.create(
                transaction, DEMO_EMAIL, country=settings.residence, is_demo=True
            )
            accounts.open_with_balance(transaction, user_id, virtual=(True, False, False), at=at)
        user = users.demo(transaction)
        if user is None:
            return None
        owned = accounts.accounts(transaction, user["id"])
        first = next(account for account in owned if account.is_virtual)
        token = tokens.create(transaction, first.loginid, "Demo", ALL_SCOPES, kind="demo")
        return Demo([first, *(account for account in owned if account != first)], token)

    return await store.write(job)
