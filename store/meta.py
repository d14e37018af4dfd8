"""The table `meta`: named text values about the database as a whole."""

from scopegate.store.transactions import Snapshot, Transaction


def get(reader: Snapshot, name: str) -> str | None:
    """Return the value of this name; `None` if there is none."""
    row = reader.one("SELECT value FROM meta WHERE name = ?", name)
    return None if row is None else row["value"]


def put(transaction: Transaction, name: str, value: str) -> None:
    """Store a value under this name, in place of any earlier one."""
    transaction.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        name,
        value,
    )
