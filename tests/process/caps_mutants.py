"""Gateways with a fault in how they keep the caps of tokens: `MUTANT serve ...`.

As in `trading_mutants.py`, nothing of the product is edited.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from scopegate import cli
from scopegate.exchange import caps, copying
from scopegate.store import sqlite as store

OLD = 0.05
"""Seconds for which what was read of the caps is used."""


def payments_checked_beforehand() -> None:
    """A payment is checked against what was used a moment before, and not what is used now."""
    known: dict[tuple[str, int | None], tuple[float, int]] = {}
    check = caps._check_amount

    def checked(cap: str, done: str, most: int | None, used: int, units: int, *rest: Any) -> None:
        now = time.monotonic()
        read_at, before = known.get((cap, most), (0.0, 0))
        if now - read_at > OLD:
            before = used - units
            known[cap, most] = now, before
        check(cap, done, most, before + units, units, *rest)

    caps._check_amount = checked


def purchases_checked_beforehand() -> None:
    """The same of a purchase."""
    known: dict[int, tuple[float, Any]] = {}
    count = caps.count_purchase

    def counted(transaction: Any, caps_id: int, row: Any, **rest: Any) -> None:
        now = time.monotonic()
        read_at, before = known.get(caps_id, (0.0, row))
        if now - read_at > OLD:
            before = row
            known[caps_id] = now, row
        count(transaction, caps_id, before, **rest)

    caps.count_purchase = counted


def copies_count_for_nobody() -> None:
    """Copies are bought without the caps of the token that started them."""
    follower = copying.Copies._follower

    def uncapped(self: Any, reader: Any, following: Any) -> Any:
        found = follower(self, reader, following)
        return found and found._replace(caps_id=None)

    copying.Copies._follower = uncapped  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        payments_checked_beforehand,
        purchases_checked_beforehand,
        copies_count_for_nobody,
    )
}

if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    store.SqliteStore.use_process = lambda self: None  # type: ignore[method-assign] # it is not changed
    cli.main()
