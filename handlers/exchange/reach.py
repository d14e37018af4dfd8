"""The accounts that a token reaches: all of the user, or those that the user gave to an app.

Rules:
- Calls that look across accounts take them from `accounts_of`, never from the ledger.
- An app may add personal details that are missing, and may not change those that are stored.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from scopegate.exchange import ledger
from scopegate.exchange.ledger import Account, Ledger
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.session import Grant
from scopegate.store.transactions import Snapshot


def within(accounts: Iterable[Account], grant: Grant) -> list[Account]:
    """Return the accounts that a grant reaches, in the same order."""
    return [account for account in accounts if grant.reaches(account.loginid)]


async def accounts_of(ledger: Ledger, grant: Grant) -> list[Account]:
    """Return the user's accounts that a grant reaches, real-style accounts first."""
    return within(await ledger.accounts(grant.user_id), grant)


def out_of_reach(reader: Snapshot, grant: Grant) -> frozenset[str]:
    """Return the loginids of the user's accounts that a grant does not reach."""
    return frozenset(
        account.loginid
        for account in ledger.accounts(reader, grant.user_id)
        if not grant.reaches(account.loginid)
    )


def refuse_changes(grant: Grant, stored: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Raise `PermissionDenied` if an app's token would change stored personal details."""
    if grant.link_id is None:
        return
    changed = sorted(
        name for name, value in changes.items() if stored.get(name) not in (None, "", value)
    )
    if changed:
        raise ApiError(
            "PermissionDenied",
            "Permission denied, an app may not change personal details that are already stored."
            " Leave these fields out, or change them with your own API token.",
            dict.fromkeys(changed, "Already stored."),
        )
