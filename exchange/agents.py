"""Payment agents: accounts through which others bring money in and take it out.

Rules:
- Whoever has a real-style account and has told where they live becomes an agent by asking: all
  money is paper, so nobody is examined.
- An agent serves one country and the currency of the account, for as long as its owner is not
  locked out.
- Commissions are told to clients and are between them and the agent: no payment here charges any.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.ledger import account
from scopegate.store.sqlite import Row, Snapshot, Transaction

MAX_LISTED = 500
"""Agents of one country that are listed, those who have been agents for longest."""

REASONS_AGAINST: Mapping[str, str] = {
    "RealAccountNeeded": "A payment agent needs a real-style account: this one is a demo account.",
}
"""What keeps an account from being an agent, by code, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What an agent tells of themselves."""

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
    """The error codes that keep the account from being an agent's; often none."""
    found = []
    if account(reader, loginid).is_virtual:
        found.append("RealAccountNeeded")
    return found


def approve(transaction: Transaction, loginid: str, country: str, application: Application) -> None:
    """Make the account an agent; what one told before is replaced. Raises `Refusal`."""
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
    """The agent of this account, if it is one's that may act."""
    row = reader.one(f"{_SELECT} AND payment_agents.loginid = ?", loginid)
    return None if row is None else _agent(row)


def of_country(reader: Snapshot, country: str, currency: str | None) -> list[Agent]:
    """The agents of a country, of one currency where it is named."""
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


# Why somebody withdraws through an agent.


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the owner of an account withdraws through an agent, and when they said so."""

    loginid: str
    message: str
    at: float


def give_reason(transaction: Transaction, loginid: str, message: str) -> None:
    """Keep why the account's owner withdraws through an agent, in place of an earlier reason."""
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
