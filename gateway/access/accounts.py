"""Accounts, for which tokens are issued. A user has one or several, each with its own login id.

The gateway itself stores only the login id and the user of an account. A plugin that stores more,
such as a currency and a balance, has a subclass of `Accounts`, and a service that is a function
annotated to return `Accounts`.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scopegate.gateway.calls.session import Grant
from scopegate.store.errors import StoreError
from scopegate.store.transactions import Snapshot, Transaction

PREFIX = "AC"
_FIRST_NUMBER = 1001


@dataclass(frozen=True, slots=True)
class Account:
    """One account, as it was when it was read."""

    loginid: str
    user_id: int
    facts: object = None
    """What a plugin stores about it; grants for the account have the same."""


class Accounts:
    """The accounts of users, as the gateway itself needs them."""

    def of_user(self, reader: Snapshot, user_id: int) -> list[Account]:
        """The accounts of a user, in the order in which lists show them."""
        return [
            Account(row["loginid"], user_id, self.facts(reader, row["loginid"]))
            for row in reader.all(
                "SELECT loginid FROM accounts WHERE user_id = ? ORDER BY created_at, loginid",
                user_id,
            )
        ]

    def facts(self, reader: Snapshot, loginid: str) -> object:
        """Return what a plugin stores about an account, for each grant for it; here `None`."""
        return None

    def first_choice(self, accounts: Sequence[Account]) -> Sequence[Account]:
        """Return a user's accounts, first the one that pages and the demo token begin with."""
        return accounts

    def brief(self, account: Account) -> Mapping[str, Any]:
        """Return the fields of an account, besides its login id, in the lists of pages."""
        return {}

    def in_redirect(self, account: Account) -> Iterable[tuple[str, str]]:
        """Return an account's parameters in the URL with tokens, besides `acct1` and `token1`.

        Each is a name, without the number of the account, and its value.
        """
        return ()

    def authorized(self, reader: Snapshot, grant: Grant) -> Mapping[str, Any]:
        """Return further fields of `authorize`; they may replace `account_list` and `fullname`."""
        return {}

    def in_words(self, reader: Snapshot, loginid: str) -> str:
        """Return the text that the operator is shown about an account, besides its login id."""
        return ""

    def open_first(self, transaction: Transaction, user_id: int, *, is_demo: bool) -> None:
        """Open the first accounts of a new user."""
        open_account(transaction, user_id)


def open_account(transaction: Transaction, user_id: int) -> str:
    """Open an account without data of a plugin; return its login id."""
    [last] = transaction.single(
        "SELECT max(CAST(substr(loginid, CAST(? AS INTEGER)) AS BIGINT)) FROM accounts"
        " WHERE loginid LIKE ?",
        len(PREFIX) + 1,
        f"{PREFIX}%",
    )
    loginid = f"{PREFIX}{_FIRST_NUMBER if last is None else last + 1}"
    # An empty currency marks an account that the exchange has not taken over.
    transaction.execute(
        "INSERT INTO accounts (loginid, user_id, currency, is_virtual, created_at)"
        " VALUES (?, ?, '', 0, ?)",
        loginid,
        user_id,
        time.time(),
    )
    return loginid


def check(reader: Snapshot, loginid: str) -> None:
    """Raise `StoreError` if there is no account with this login id."""
    if reader.one("SELECT 1 FROM accounts WHERE loginid = ?", loginid) is None:
        raise StoreError(f"there is no account {loginid}")


def all_loginids(reader: Snapshot) -> list[str]:
    """The login ids of all accounts, by user."""
    return [loginid for of_user in loginids_by_user(reader).values() for loginid in of_user]


def loginids_by_user(reader: Snapshot) -> dict[int, list[str]]:
    """The login ids of the accounts of each user, by the id of the user."""
    found: dict[int, list[str]] = {}
    for row in reader.all(
        "SELECT user_id, loginid FROM accounts ORDER BY user_id, created_at, loginid"
    ):
        found.setdefault(row["user_id"], []).append(row["loginid"])
    return found
