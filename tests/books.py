"""The double entry, checked from outside: what must hold of a ledger at any moment."""

from collections import Counter

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
    found = [
        f"{currency} adds up to {sum_}" for currency, sum_ in by_currency(reader).items() if sum_
    ]
    found += [f"transfers keep {sum_}" for sum_ in counters(reader, "transfers").values() if sum_]
    running: Counter[str] = Counter()
    for row in reader.all("SELECT * FROM ledger ORDER BY id"):
        running[row["loginid"]] += row["amount"]
        if running[row["loginid"]] != row["balance_after"] or row["balance_after"] < 0:
            found.append(f"entry {row['id']} leaves {row['balance_after']}")
    for row in reader.all("SELECT * FROM accounts"):
        if row["balance"] != running[row["loginid"]]:
            found.append(f"{row['loginid']} holds {row['balance']}")
    # A payment is two entries, the one against the other; and the other way round.
    legs = reader.all(
        "SELECT payments.id, payments.payer, payments.payee, paid.loginid AS paid_from,"
        " received.loginid AS paid_to, paid.amount AS out, received.amount AS into_,"
        " paid.counter AS counter, received.counter AS other FROM payments"
        " JOIN ledger AS paid ON paid.id = paid_by"
        " JOIN ledger AS received ON received.id = received_by"
    )
    for leg in legs:
        right = (leg["paid_from"], leg["paid_to"]) == (leg["payer"], leg["payee"])
        if not (right and leg["out"] < 0 < leg["into_"] and leg["counter"] == leg["other"]):
            found.append(f"payment {leg['id']} is {tuple(leg)}")
        if leg["counter"] == "transfers" and leg["out"] + leg["into_"]:
            found.append(f"payment {leg['id']} is no equal exchange")
    rows = reader.all(
        "SELECT id FROM ledger WHERE counter IN ('transfers', 'conversion')"
        " AND id NOT IN (SELECT paid_by FROM payments UNION SELECT received_by FROM payments)"
    )
    found += [f"entry {row['id']} is half a payment" for row in rows]
    return found
