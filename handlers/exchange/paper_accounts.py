"""What the paper exchange keeps of an account: its currency and its kind, in every grant for it."""

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
from scopegate.store.sqlite import Snapshot, Transaction

LANDING_COMPANIES = {"virtual": "Scopegate paper accounts", "svg": "Scopegate paper accounts"}
"""By the short names that clients know; all money here is paper."""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """The facts of an account that grants for it have."""

    currency: str
    is_virtual: bool


def facts_of(grant: Grant) -> AccountFacts:
    """The currency and the kind of the account that a grant is for."""
    facts = grant.account
    assert isinstance(facts, AccountFacts)  # noqa: S101 - `PaperAccounts` has put it there
    return facts


def facts_after(settled: CurrencySettled) -> AccountFacts:
    """The facts of an account whose currency was settled."""
    return AccountFacts(settled.currency, settled.is_virtual)


def company_of(*, is_virtual: bool) -> str:
    """The landing company's short name that goes with a kind of account."""
    return "virtual" if is_virtual else "svg"


def summary(account: ledger.Account) -> AccountSummary:
    """An account as lists of accounts show it."""
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
    """Accounts with a currency and a balance of paper money, demo ones and real-style ones."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def of_user(self, reader: Snapshot, user_id: int) -> list[Account]:
        """The accounts of a user, the real-style ones first."""
        return [
            Account(each.loginid, user_id, AccountFacts(each.currency, each.is_virtual))
            for each in ledger.accounts(reader, user_id)
        ]

    def facts(self, reader: Snapshot, loginid: str) -> AccountFacts:
        """The currency and the kind of an account."""
        account = ledger.account(reader, loginid)
        return AccountFacts(account.currency, account.is_virtual)

    def first_choice(self, accounts: Sequence[Account]) -> Sequence[Account]:
        """The demo accounts first."""
        return sorted(accounts, key=lambda account: not _facts(account).is_virtual)

    def brief(self, account: Account) -> Mapping[str, Any]:
        """The currency and the kind."""
        facts = _facts(account)
        return {"currency": facts.currency, "is_virtual": int(facts.is_virtual)}

    def in_redirect(self, account: Account) -> Iterable[tuple[str, str]]:
        """The currency, as the published address has it: `cur1`."""
        return [("cur", _facts(account).currency)]

    def authorized(self, reader: Snapshot, grant: Grant) -> Mapping[str, Any]:
        """The fields of `authorize` about accounts and money."""
        owned = ledger.accounts(reader, grant.user_id)
        account = next(each for each in owned if each.loginid == grant.loginid)
        told = users.settings(reader, grant.user_id)
        names = (told.get("first_name", ""), told.get("last_name", ""))
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
        """The balance and the kind."""
        account = ledger.account(reader, loginid)
        kind = "demo" if account.is_virtual else "real-style, paper money"
        return f"{to_text(account.balance, account.currency)} {account.currency}  ({kind})"

    def open_first(self, transaction: Transaction, user_id: int, *, is_demo: bool) -> None:
        """A demo account and a real-style one; the demo user has another real-style one."""
        virtual = (True, False, False) if is_demo else (True, False)
        ledger.open_with_balance(transaction, user_id, virtual=virtual, at=self._clock.now())


def _facts(account: Account) -> AccountFacts:
    assert isinstance(account.facts, AccountFacts)  # noqa: S101 - `of_user` has put it there
    return account.facts
