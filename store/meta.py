"""The table `meta`: what is known of a database as a whole, a text for each name."""

from scopegate.store.sqlite import Snapshot, Transaction


def get(reader: Snapshot, name: str) -> str | None:
    """The text of this name; `None` if there is none."""
    row = reader.one("SELECT value FROM meta WHERE name = ?", name)
    return None if row is None else row["value"]


def put(transaction: Transaction, name: str, value: str) -> None:
    """Keep a text under this name, in place of any other."""
    transaction.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        name,
        value,
    )
