"""Accounts of the paper exchange: their currency and kind, which every grant has, and balance."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scopegate.exchange import ledger
from scopegate.exchange.ledger import CurrencySettled
from scopegate.exchange.money import CURRENCIES, to_number, to_text
from scopegate.gateway.access import users
from scopegate.gateway.access.accounts import Account, Accounts
from scopegate.gateway.calls.session import Grant
from scopegate.handlers.exchange.reach import within
from scopegate.runtime.clock import Clock
from scopegate.schemas.account_messages import AccountSummary
from scopegate.store.transactions import Snapshot, Transaction

LANDING_COMPANIES = {"virtual": "Scopegate paper accounts", "svg": "Scopegate paper accounts"}
"""Names of the landing companies, by their published short names; all money is paper."""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """The currency and the kind (demo or real-style) of an account; every grant for it has them."""

    currency: str
    is_virtual: bool


def facts_of(grant: Grant) -> AccountFacts:
    """Return the currency and the kind of the account that a grant is for."""
    facts = grant.account
    assert isinstance(facts, AccountFacts)  # noqa: S101 - `PaperAccounts` has put it there
    return facts


def facts_after(settled: CurrencySettled) -> AccountFacts:
    """Return the facts of an account after its currency was set."""
    return AccountFacts(settled.currency, settled.is_virtual)


def company_of(*, is_virtual: bool) -> str:
    """Return the short name of the landing company of demo or of real-style accounts."""
    return "virtual" if is_virtual else "svg"


def summary(account: ledger.Account) -> AccountSummary:
    """Return an account in the form of `account_list`."""
    return {
        "account_category": "trading",
        "account_type": "binary",
        "broker": account.loginid.rstrip("0123456789"),
        "created_at": int(account.created_at),
        "currency": account.currency,
        "is_disabled": 0,
        "is_virtual": int(account.is_virtual),
        "landing_company_name": company_of(is_virtual=account.is_virtual),
        "linked_to": [],
        "loginid": account.loginid,
    }


class PaperAccounts(Accounts):
    """Demo and real-style accounts, each with a currency and a balance of paper money."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def of_user(self, reader: Snapshot, user_id: int) -> list[Account]:
        """Return the accounts of a user, real-style accounts first."""
        return [
            Account(each.loginid, user_id, AccountFacts(each.currency, each.is_virtual))
            for each in ledger.accounts(reader, user_id)
        ]

    def facts(self, reader: Snapshot, loginid: str) -> AccountFacts:
        """Return the currency and the kind of an account."""
        account = ledger.account(reader, loginid)
        return AccountFacts(account.currency, account.is_virtual)

    def first_choice(self, accounts: Sequence[Account]) -> Sequence[Account]:
        """Return the accounts with demo accounts first."""
        return sorted(accounts, key=lambda account: not _facts(account).is_virtual)

    def brief(self, account: Account) -> Mapping[str, Any]:
        """Return the currency and the kind."""
        facts = _facts(account)
        return {"currency": facts.currency, "is_virtual": int(facts.is_virtual)}

    def in_redirect(self, account: Account) -> Iterable[tuple[str, str]]:
        """Return the currency, in the published URL parameter `cur1`."""
        return [("cur", _facts(account).currency)]

    def authorized(self, reader: Snapshot, grant: Grant) -> Mapping[str, Any]:
        """Return the fields of the reply to `authorize` about accounts and money."""
        owned = ledger.accounts(reader, grant.user_id)
        account = next(each for each in owned if each.loginid == grant.loginid)
        settings = users.settings(reader, grant.user_id)
        names = (settings.get("first_name", ""), settings.get("last_name", ""))
        company = company_of(is_virtual=account.is_virtual)
        return {
            "account_list": [summary(each) for each in within(owned, grant)],
            "balance": to_number(account.balance, account.currency),
            "currency": account.currency,
            "fullname": "" if account.is_virtual else " ".join(filter(None, names)),
            "is_virtual": int(account.is_virtual),
            "landing_company_fullname": LANDING_COMPANIES[company],
            "landing_company_name": company,
            "linked_to": [],
            "local_currencies": {
                account.currency: {"fractional_digits": CURRENCIES[account.currency].digits}
            },
            "upgradeable_landing_companies": [],
        }

    def in_words(self, reader: Snapshot, loginid: str) -> str:
        """Return the balance and the kind, in words."""
        account = ledger.account(reader, loginid)
        kind = "demo" if account.is_virtual else "real-style, paper money"
        return f"{to_text(account.balance, account.currency)} {account.currency}  ({kind})"

    def open_first(self, transaction: Transaction, user_id: int, *, is_demo: bool) -> None:
        """Open a demo and a real-style account; a second real-style one for the demo user."""
        virtual = (True, False, False) if is_demo else (True, False)
        ledger.open_with_balance(transaction, user_id, virtual=virtual, at=self._clock.now())


def _facts(account: Account) -> AccountFacts:
    assert isinstance(account.facts, AccountFacts)  # noqa: S101 - `of_user` has put it there
    return account.facts
