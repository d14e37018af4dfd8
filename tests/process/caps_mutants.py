"""Gateways with a fault in how they keep the caps of tokens: `MUTANT serve ...`.

As in `trading_mutants.py`, nothing of the product is edited.
"""

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from scopegate import cli
from scopegate.exchange import caps, copying
from scopegate.store import sqlite as store

TIMES = 8
"""How often what was read of the caps is used. (Not for how long: a busy machine is slow.)"""


def payments_checked_beforehand() -> None:
    """A payment is checked against what was used some payments before, not what is used now."""
    known: dict[tuple[str, int | None], Iterator[int]] = {}
    check = caps._check_amount

    def checked(cap: str, done: str, most: int | None, used: int, units: int, *rest: Any) -> None:
        before = next(known.get((cap, most), iter(())), None)
        if before is None:
            before = used - units
            known[cap, most] = itertools.repeat(before, TIMES)
        check(cap, done, most, before + units, units, *rest)

    caps._check_amount = checked


def purchases_checked_beforehand() -> None:
    """The same of a purchase."""
    known: dict[int, Iterator[Any]] = {}
    count = caps.count_purchase

    def counted(transaction: Any, caps_id: int, row: Any, **rest: Any) -> None:
        before = next(known.get(caps_id, iter(())), None)
        if before is None:
            before = row
            known[caps_id] = itertools.repeat(row, TIMES)
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
