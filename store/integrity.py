"""Whether a database is intact: its pages, its indexes, and the references between its rows.

Rule: a check is a function that reads one snapshot and returns a sentence about each fault, at most
`MAX_FAULTS` in each query, and changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from scopegate.store.transactions import Snapshot

MAX_FAULTS = 20
"""The faults that one query of a check returns at most: a damaged table may have millions."""

FaultCheck: TypeAlias = Callable[[Snapshot], Iterable[str]]
"""Returns a sentence about each fault of a database."""


def damaged_pages(reader: Snapshot) -> Iterator[str]:
    """Read every page and every row of an SQLite file, and compare the indexes with the rows."""
    for [found] in reader.all(f"PRAGMA integrity_check({MAX_FAULTS})"):
        if found != "ok":
            yield from (line for line in found.splitlines() if not line.startswith("***"))


def broken_references(reader: Snapshot) -> Iterator[str]:
    """Return the rows of an SQLite file that refer to rows which are not there.

    A PostgreSQL server allows none.
    """
    columns: dict[tuple[str, int], str] = {}
    broken = reader.all("SELECT * FROM pragma_foreign_key_check LIMIT ?", MAX_FAULTS)
    for table, row_id, parent, key in broken:
        if (table, key) not in columns:
            listed = reader.all("SELECT id, [from] FROM pragma_foreign_key_list(?)", table)
            columns |= {(table, number): column for number, column in listed}
        where = "a row" if row_id is None else f"row {row_id}"  # some tables number none
        yield f"{where} of {table} refers by {columns[table, key]} to no row of {parent}"
