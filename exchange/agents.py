"""Payment agents: accounts through which clients deposit and withdraw money.

Rules:
- A user with a real-style account and a stated country of residence becomes an agent by applying:
  all money is paper money, so nobody is reviewed.
- An agent serves one country and the currency of the account, unless its owner is disabled.
- Commissions are shown to clients, who settle them with the agent: no payment here charges any.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.ledger import account
from scopegate.store.transactions import Row, Snapshot, Transaction

MAX_LISTED = 500
"""The maximum number of agents listed for a country: those who were approved first."""

REASONS_AGAINST: Mapping[str, str] = {
    "RealAccountNeeded": "A payment agent needs a real-style account: this one is a demo account.",
}
"""The reasons why an account cannot be an agent: messages by error code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The details that an agent gives in the application."""

    name: str
    email: str
    information: str
    affiliate_id: str
    commission_deposit: Decimal
    commission_withdrawal: Decimal
    payment_methods: Sequence[str]
    phone_numbers: Sequence[str]
    urls: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Application):
    """An account that is a payment agent."""

    loginid: str
    user_id: int
    currency: str
    country: str


_FROM = (
    " FROM payment_agents JOIN accounts ON accounts.loginid = payment_agents.loginid"
    " JOIN users ON users.id = accounts.user_id WHERE users.disabled_at IS NULL"
)
_SELECT = f"SELECT payment_agents.*, accounts.user_id, accounts.currency{_FROM}"


def _agent(row: Row) -> Agent:
    return Agent(
        loginid=row["loginid"],
        user_id=row["user_id"],
        currency=row["currency"],
        country=row["country"],
        name=row["name"],
        email=row["email"],
        information=row["information"],
        affiliate_id=row["affiliate_id"],
        commission_deposit=Decimal(row["commission_deposit"]),
        commission_withdrawal=Decimal(row["commission_withdrawal"]),
        payment_methods=json.loads(row["payment_methods"]),
        phone_numbers=json.loads(row["phone_numbers"]),
        urls=json.loads(row["urls"]),
    )


def reasons_against(reader: Snapshot, loginid: str) -> list[str]:
    """Return the error codes of the reasons why the account cannot be an agent; often none."""
    found = []
    if account(reader, loginid).is_virtual:
        found.append("RealAccountNeeded")
    return found


def approve(transaction: Transaction, loginid: str, country: str, application: Application) -> None:
    """Make the account an agent, replacing the details of an earlier application.

    Raises `Refusal` if the account cannot be an agent.
    """
    for code in reasons_against(transaction, loginid):
        raise Refusal(code, REASONS_AGAINST[code])
    transaction.execute(
        "INSERT INTO payment_agents (loginid, country, name, email, information, affiliate_id,"
        " commission_deposit, commission_withdrawal, payment_methods, phone_numbers, urls,"
        " approved_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (loginid) DO UPDATE SET country = excluded.country, name = excluded.name,"
        " email = excluded.email, information = excluded.information,"
        " affiliate_id = excluded.affiliate_id,"
        " commission_deposit = excluded.commission_deposit,"
        " commission_withdrawal = excluded.commission_withdrawal,"
        " payment_methods = excluded.payment_methods, phone_numbers = excluded.phone_numbers,"
        " urls = excluded.urls",
        loginid,
        country,
        application.name,
        application.email,
        application.information,
        application.affiliate_id,
        str(application.commission_deposit),
        str(application.commission_withdrawal),
        json.dumps(application.payment_methods),
        json.dumps(application.phone_numbers),
        json.dumps(application.urls),
        time.time(),
    )


def find(reader: Snapshot, loginid: str) -> Agent | None:
    """The agent with this account; `None` if there is none or its owner is disabled."""
    row = reader.one(f"{_SELECT} AND payment_agents.loginid = ?", loginid)
    return None if row is None else _agent(row)


def of_country(reader: Snapshot, country: str, currency: str | None) -> list[Agent]:
    """The agents of a country (of one currency, if given), those approved first at the top."""
    rows = reader.all(
        f"{_SELECT} AND payment_agents.country = ? AND currency = coalesce(?, currency)"
        " ORDER BY approved_at, payment_agents.loginid LIMIT ?",
        country,
        currency,
        MAX_LISTED,
    )
    return [_agent(row) for row in rows]


def countries(reader: Snapshot) -> list[str]:
    """The countries that have an agent."""
    rows = reader.all(f"SELECT DISTINCT payment_agents.country{_FROM} ORDER BY 1")
    return [row[0] for row in rows]


# Reasons for withdrawals through an agent.


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason of an account's owner for withdrawing through an agent, and when it was given."""

    loginid: str
    message: str
    at: float


def give_reason(transaction: Transaction, loginid: str, message: str) -> None:
    """Store the owner's reason for withdrawing through an agent, replacing an earlier one."""
    transaction.execute(
        "INSERT INTO withdrawal_reasons (loginid, message, at) VALUES (?, ?, ?)"
        " ON CONFLICT (loginid) DO UPDATE SET message = excluded.message, at = excluded.at",
        loginid,
        message,
        time.time(),
    )


def reasons(reader: Snapshot) -> list[Reason]:
    """The latest reason of each account, newest first."""
    rows = reader.all("SELECT * FROM withdrawal_reasons ORDER BY at DESC, loginid")
    return [Reason(row["loginid"], row["message"], row["at"]) for row in rows]
