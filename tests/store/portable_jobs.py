"""Jobs for the writer's process, which imports them from here."""

import os
from dataclasses import dataclass
from typing import ClassVar

from scopegate.store.transactions import Announcement, PortableJob, Transaction


@dataclass(frozen=True)
class Added(Announcement):
    """A number was added."""

    kind: ClassVar[str] = "added"
    number: int


class TooLargeError(Exception):
    """The number is too large."""


@dataclass(frozen=True, slots=True)
class Add(PortableJob[tuple[int, int]]):
    """Adds a number to the table `t`; returns it, and the process that did so."""

    number: int

    def __call__(self, transaction: Transaction) -> tuple[int, int]:
        """Add it. Raises `TooLargeError` for more than 1,000,000."""
        transaction.execute("INSERT INTO t VALUES (?)", self.number)
        if self.number > 1_000_000:
            raise TooLargeError(self.number)
        transaction.announce(Added(self.number))
        return self.number, os.getpid()


@dataclass(frozen=True, slots=True)
class End(PortableJob[None]):
    """Ends the process that does it."""

    def __call__(self, transaction: Transaction) -> None:
        """End it."""
        os._exit(3)


@dataclass(frozen=True, slots=True)
class AddUnpicklable(PortableJob[None]):
    """Adds a number, but what it announces cannot be pickled."""

    number: int

    def __call__(self, transaction: Transaction) -> None:
        """Add it."""
        transaction.execute("INSERT INTO t VALUES (?)", self.number)
        transaction.announce(lambda: None)  # type: ignore[arg-type]
