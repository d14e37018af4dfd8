"""Jobs for the writer process, which imports them from here."""

import os
from dataclasses import dataclass, field
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


class OddError(Exception):
    """An exception that can be pickled, but not read again."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


@dataclass(frozen=True, slots=True)
class FailOddly(PortableJob[None]):
    """Raises an `OddError`."""

    def __call__(self, transaction: Transaction) -> None:
        """Raise it."""
        raise OddError(1, 2)


@dataclass(frozen=True, slots=True)
class Unpicklable(PortableJob[None]):
    """Is no portable job after all."""

    what: object = field(default_factory=lambda: lambda: None)

    def __call__(self, transaction: Transaction) -> None:
        """Do nothing."""
