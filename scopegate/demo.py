"""The demo user: their accounts, and a token that is valid until the next start."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scopegate.gateway.access import tokens, users
from scopegate.gateway.access.accounts import Accounts
from scopegate.schemas.scopes import Scopes
from scopegate.settings import Settings
from scopegate.store.store import Store
from scopegate.store.transactions import Transaction

DEMO_EMAIL = "demo@scopegate.invalid"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account of the demo user."""

    loginid: str
    user_id: int
    in_words: str
    """A description for the operator, such as its balance."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The accounts of the demo user, and this start's token for the first one."""

    accounts: Sequence[DemoAccount]
    token: str


async def settle(
    store: Store,
    settings: Settings,
    accounts: Accounts,
    scopes: Scopes,
    *,
    joins: bool = False,
    began: float = math.inf,
) -> Demo | None:
    """Create the demo user in an empty database, and replace the demo token of the last start.

    If this gateway `joins` others that serve already, their demo tokens stay valid. So do those of
    others that began to serve since this one `began` to start, in real time.

    Without the setting `demo` this happens only if nobody else can connect. The last demo token
    ends at every start, even at one without a demo user. Tokens that the demo user created at the
    pages stay. Returns `None` without a demo user.
    """

    def job(transaction: Transaction) -> Demo | None:
        if not joins:
            tokens.end_demo(transaction, before=began)
            signed_in = None if settings.demo_at_pages else users.demo(transaction)
            if signed_in is not None:
                tokens.end_sign_ins_of_user(transaction, signed_in["id"])
        if not (settings.demo or settings.for_this_machine):
            return None
        if transaction.one("SELECT 1 FROM users") is None:
            user_id = users.create(
                transaction, DEMO_EMAIL, country=settings.residence, is_demo=True
            )
            accounts.open_first(transaction, user_id, is_demo=True)
        user = users.demo(transaction)
        if user is None:
            return None
        owned = accounts.first_choice(accounts.of_user(transaction, user["id"]))
        token = tokens.create(
            transaction, tokens.NewToken(owned[0].loginid, "Demo", scopes.names, kind="demo")
        )
        return Demo(
            [
                DemoAccount(
                    each.loginid, each.user_id, accounts.in_words(transaction, each.loginid)
                )
                for each in owned
            ],
            token,
        )

    return await store.write(job)
