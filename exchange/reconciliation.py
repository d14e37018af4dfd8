"""Whether the books of a database agree with each other.

Rules:
- Each function reads one snapshot and returns a sentence about each fault, at most `MAX_FAULTS` in
  each query (`scopegate.store.integrity`). Amounts are in smallest units.
- Sums are computed by the database: a ledger may have millions of entries.
"""

from collections.abc import Iterator

from scopegate.exchange.ledger import CONVERSION, TRANSFERS
from scopegate.store.integrity import MAX_FAULTS
from scopegate.store.transactions import Snapshot

_ENTRIES_OF_CONTRACTS = (
    ("buy", "bought_by", "-contracts.price", "1 = 1"),
    ("sell", "sold_by", "contracts.sold_for", "contracts.status <> 'open'"),
)
"""The action of a ledger entry, the column of its contract that refers to it, its amount, and the
condition under which a contract has one."""


def ledger_faults(reader: Snapshot) -> Iterator[str]:
    """Check that every balance is the sum of its entries, and those of a currency add up to 0."""
    for loginid, balance, total in reader.all(
        "SELECT accounts.loginid, accounts.balance, CAST(coalesce(sum(ledger.amount), 0) AS BIGINT)"
        " FROM accounts LEFT JOIN ledger ON ledger.loginid = accounts.loginid"
        " GROUP BY accounts.loginid, accounts.balance"
        " HAVING accounts.balance <> coalesce(sum(ledger.amount), 0)"
        " ORDER BY accounts.loginid LIMIT ?",
        MAX_FAULTS,
    ):
        yield f"account {loginid} has the balance {balance}, but its entries add up to {total}"
    for entry, loginid, after, total in reader.all(
        "SELECT id, loginid, balance_after, CAST(total AS BIGINT) FROM"
        " (SELECT id, loginid, balance_after,"
        " sum(amount) OVER (PARTITION BY loginid ORDER BY id) AS total FROM ledger) AS running"
        " WHERE balance_after <> total OR balance_after < 0 ORDER BY id LIMIT ?",
        MAX_FAULTS,
    ):
        yield (
            f"entry {entry} of account {loginid} has the balance {after} after it, but the entries"
            f" up to it add up to {total}"
        )
    for name, currency, balance, total in reader.all(
        "SELECT counter_accounts.name, counter_accounts.currency, counter_accounts.balance,"
        " CAST(-coalesce(sum(amounts.amount), 0) AS BIGINT) FROM counter_accounts"
        " LEFT JOIN (SELECT ledger.counter, accounts.currency, ledger.amount FROM ledger"
        " JOIN accounts ON accounts.loginid = ledger.loginid) AS amounts"
        " ON amounts.counter = counter_accounts.name"
        " AND amounts.currency = counter_accounts.currency"
        " GROUP BY counter_accounts.name, counter_accounts.currency, counter_accounts.balance"
        " HAVING counter_accounts.balance <> -coalesce(sum(amounts.amount), 0)"
        " ORDER BY counter_accounts.name, counter_accounts.currency LIMIT ?",
        MAX_FAULTS,
    ):
        yield (
            f"counter account {name} has the balance {balance} {currency}, but the entries against"
            f" it add up to {total}"
        )
    for currency, total in reader.all(
        "SELECT currency, CAST(sum(balance) AS BIGINT) FROM (SELECT currency, balance FROM accounts"
        " UNION ALL SELECT currency, balance FROM counter_accounts) AS balances"
        " GROUP BY currency HAVING sum(balance) <> 0 ORDER BY currency LIMIT ?",
        MAX_FAULTS,
    ):
        yield f"the balances in {currency} add up to {total}, not to 0"


def contract_faults(reader: Snapshot) -> Iterator[str]:
    """Check that every contract was paid for once and, once it has ended, paid out once."""
    for action, column, amount, condition in _ENTRIES_OF_CONTRACTS:
        for contract, status, entry in reader.all(
            f"SELECT contracts.id, contracts.status, contracts.{column} FROM contracts"  # noqa: S608
            f" LEFT JOIN ledger ON ledger.id = contracts.{column} AND ledger.action = ?"
            " AND ledger.loginid = contracts.loginid AND ledger.contract_id = contracts.id"
            f" AND ledger.amount = {amount}"
            f" WHERE {condition} AND ledger.id IS NULL ORDER BY contracts.id LIMIT ?",
            action,
            MAX_FAULTS,
        ):
            yield (
                f"contract {contract} ({status}) has no {action} entry of its amount: it refers to"
                f" {'none' if entry is None else f'entry {entry}'}"
            )
        for entry, loginid, contract, other in reader.all(
            f"SELECT ledger.id, ledger.loginid, ledger.contract_id, contracts.{column} FROM ledger"  # noqa: S608
            " LEFT JOIN contracts ON contracts.id = ledger.contract_id"
            f" WHERE ledger.action = ? AND coalesce(contracts.{column}, 0) <> ledger.id"
            " ORDER BY ledger.id LIMIT ?",
            action,
            MAX_FAULTS,
        ):
            yield f"entry {entry} of account {loginid} ({action}) " + (
                f"belongs to no contract: it names {contract}"
                if other is None
                else f"is a second one for contract {contract}, which has entry {other}"
            )


def payment_faults(reader: Snapshot) -> Iterator[str]:
    """Check that every payment is two entries, one against the other, and every markup one."""
    for payment, kept in reader.all(
        "SELECT payments.id, paid.amount + received.amount FROM payments"
        " LEFT JOIN ledger AS paid ON paid.id = payments.paid_by"
        " LEFT JOIN ledger AS received ON received.id = payments.received_by"
        " WHERE paid.id IS NULL OR received.id IS NULL"
        " OR paid.loginid <> payments.payer OR received.loginid <> payments.payee"
        " OR paid.amount >= 0 OR received.amount <= 0 OR paid.counter <> received.counter"
        " OR paid.counter NOT IN (?, ?)"
        " OR (paid.counter = ? AND paid.amount + received.amount <> 0)"
        " ORDER BY payments.id LIMIT ?",
        TRANSFERS,
        CONVERSION,
        TRANSFERS,
        MAX_FAULTS,
    ):
        yield f"payment {payment} does not balance: " + (
            "it lacks an entry" if kept is None else f"its two entries add up to {kept}"
        )
    for entry, loginid in reader.all(
        "SELECT id, loginid FROM ledger WHERE counter IN (?, ?)"
        " AND id NOT IN (SELECT paid_by FROM payments UNION SELECT received_by FROM payments)"
        " ORDER BY id LIMIT ?",
        TRANSFERS,
        CONVERSION,
        MAX_FAULTS,
    ):
        yield f"entry {entry} of account {loginid} is one half of a payment that is not there"
    for contract, entry in reader.all(
        "SELECT markups.contract_id, markups.booked_by FROM markups"
        " LEFT JOIN ledger ON ledger.id = markups.booked_by"
        " AND ledger.loginid = markups.loginid AND ledger.amount = markups.amount"
        " WHERE ledger.id IS NULL ORDER BY markups.contract_id LIMIT ?",
        MAX_FAULTS,
    ):
        yield f"the markup of contract {contract} has no entry of its amount: it names {entry}"


def cap_faults(reader: Snapshot) -> Iterator[str]:
    """Check that caps count the contracts that are open under them, and what those cost."""
    for number, counted, count, at_risk, price in reader.all(
        "WITH RECURSIVE held (caps_id, price, currency) AS"
        " (SELECT caps_id, price, currency FROM contracts"
        " WHERE caps_id IS NOT NULL AND status = 'open'"
        " UNION ALL SELECT caps.parent_id, held.price, held.currency FROM held"
        " JOIN caps ON caps.id = held.caps_id WHERE caps.parent_id IS NOT NULL),"
        " counted AS (SELECT caps.id, open_contracts, at_risk, count(held.price) AS held,"
        " CAST(coalesce(sum(CASE WHEN held.currency = caps.currency THEN price END), 0) AS BIGINT)"
        " AS price FROM caps LEFT JOIN held ON held.caps_id = caps.id"
        " GROUP BY caps.id, open_contracts, at_risk)"
        " SELECT id, open_contracts, held, at_risk, price FROM counted"
        " WHERE open_contracts <> held OR at_risk <> price ORDER BY id LIMIT ?",
        MAX_FAULTS,
    ):
        yield (
            f"caps {number} count {counted} open contracts for {at_risk}, but {count} are open"
            f" under them for {price}"
        )
