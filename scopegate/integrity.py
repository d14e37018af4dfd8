"""The checks of a database that `scopegate check` runs, in order.

Rules:
- All checks read one snapshot, and change nothing.
- A check that cannot read what it needs, or finds a value of another type than it should be, is a
  fault too, and does not keep the others from running.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from scopegate.exchange import reconciliation
from scopegate.gateway.access import audit
from scopegate.gateway.access.link_checks import link_faults
from scopegate.store import integrity
from scopegate.store.errors import DatabaseError
from scopegate.store.integrity import MAX_FAULTS, FaultCheck
from scopegate.store.transactions import Snapshot


class NamedCheck(NamedTuple):
    """A check, and its name in the output."""

    name: str
    faults: FaultCheck


class Result(NamedTuple):
    """What a check has found: nothing, or at most `MAX_FAULTS` sentences."""

    name: str
    faults: Sequence[str]


OF_FILES: Final = (
    NamedCheck("integrity", integrity.damaged_pages),
    NamedCheck("references", integrity.broken_references),
)
"""The checks of SQLite files, which a PostgreSQL server does itself."""

CHECKS: Final = (
    NamedCheck("ledger", reconciliation.ledger_faults),
    NamedCheck("contracts", reconciliation.contract_faults),
    NamedCheck("payments", reconciliation.payment_faults),
    NamedCheck("authorizations", link_faults),
    NamedCheck("audit", audit.faults),
)
"""The checks of every database. To add one, add it here."""


def results(reader: Snapshot, checks: Sequence[NamedCheck]) -> list[Result]:
    """Run the checks and return what each has found."""
    return [Result(check.name, _faults(reader, check.faults)) for check in checks]


def _faults(reader: Snapshot, check: FaultCheck) -> Sequence[str]:
    found: list[str] = []
    try:
        found.extend(islice(check(reader), MAX_FAULTS))
    except (DatabaseError, AttributeError, TypeError, ValueError) as problem:
        found.append(f"cannot be checked: {problem}")
    return found
