"""The double entry, checked from outside: what must hold of a ledger at any moment."""

from collections import Counter

from scopegate.exchange import reconciliation
from scopegate.store.transactions import Transaction

Sums = dict[str, int]


def by_currency(reader: Transaction) -> Sums:
    """What all accounts and counter accounts of each currency add up to."""
    sums: Counter[str] = Counter()
    rows = reader.all(
        "SELECT currency, balance FROM accounts"
        " UNION ALL SELECT currency, balance FROM counter_accounts"
    )
    for row in rows:
        sums[row["currency"]] += row["balance"]
    return dict(sums)


def counters(reader: Transaction, name: str) -> Sums:
    """What a counter account holds in each currency."""
    rows = reader.all("SELECT currency, balance FROM counter_accounts WHERE name = ?", name)
    return {row["currency"]: row["balance"] for row in rows}


def mistakes(reader: Transaction) -> list[str]:
    """What is wrong with the books; empty when all is right."""
    return [
        *reconciliation.ledger_faults(reader),
        *reconciliation.contract_faults(reader),
        *reconciliation.payment_faults(reader),
    ]
