"""The checks of a database that `scopegate check` runs, in order.

Rules:
- All checks read one snapshot, and change nothing.
- A check that cannot read what it needs, finds a value of another type than it should be, or raises
  anything else, is a fault too, and does not keep the others from running.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from scopegate.gateway.access import audit
from scopegate.gateway.access.link_checks import link_faults
from scopegate.gateway.calls.registry import DeclarationError
from scopegate.plugins import Plugin
from scopegate.store import integrity
from scopegate.store.errors import DatabaseError
from scopegate.store.integrity import MAX_FAULTS, FaultCheck
from scopegate.store.migrating import has_tables
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

OF_GATEWAY: Final = (
    NamedCheck("authorizations", link_faults),
    NamedCheck("audit", audit.faults),
)
"""The checks of the tables that every gateway uses. To add one, add it here."""


def checks_of(plugins: Iterable[Plugin]) -> tuple[NamedCheck, ...]:
    """Return the checks of a gateway with these plugins, except those of files.

    Those of the exchange come first. Raises `DeclarationError` if two have the same name.
    """
    exchange: list[NamedCheck] = []
    others: list[NamedCheck] = []
    for plugin in plugins:
        for name, check in plugin.checks.items():
            if plugin.trusted:
                exchange.append(NamedCheck(name, check))
            else:
                others.append(NamedCheck(f"{plugin.name}.{name}", _with_tables(plugin, check)))
    checks = (*exchange, *OF_GATEWAY, *others)
    for name, count in Counter(check.name for check in (*OF_FILES, *checks)).items():
        if count > 1:
            raise DeclarationError(f"two checks have the name {name}: rename a plugin or a check")
    return checks


def _with_tables(plugin: Plugin, check: FaultCheck) -> FaultCheck:
    """Return the check without faults in a database that the plugin has never used."""
    if plugin.migrations is None:
        return check
    return lambda reader: check(reader) if has_tables(reader, plugin.name) else ()


def results(reader: Snapshot, checks: Sequence[NamedCheck]) -> list[Result]:
    """Run the checks and return what each has found."""
    return [Result(check.name, _faults(reader, check.faults)) for check in checks]


def _faults(reader: Snapshot, check: FaultCheck) -> Sequence[str]:
    found: list[str] = []
    try:
        with reader.savepoint():
            found.extend(map(str, islice(check(reader), MAX_FAULTS)))
    except (DatabaseError, AttributeError, TypeError, ValueError) as problem:
        found.append(f"cannot be checked: {problem}")
    except Exception as problem:  # noqa: BLE001 - a plugin's check may raise anything
        found.append(f"cannot be checked: {type(problem).__name__}: {problem}")
    return found
