"""How types of contracts are listed: their durations, barriers and labels."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from scopegate.exchange.symbols import DAY

YEAR_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Durations:
    """How long contracts may last: minimum and maximum in each unit; `None`: not offered."""

    ticks: tuple[int, int] | None = None
    seconds: tuple[int, int] | None = None
    """For contracts that end within a day."""
    days: tuple[int, int] | None = None


TICKS_OR_TIME: Final = Durations(ticks=(1, 10), seconds=(15, DAY), days=(1, YEAR_DAYS))
FEW_TICKS_OR_MINUTES: Final = Durations(ticks=(5, 10), seconds=(120, DAY), days=(1, YEAR_DAYS))
MINUTES_OR_DAYS: Final = Durations(seconds=(120, DAY), days=(1, YEAR_DAYS))
TICKS_ONLY: Final = Durations(ticks=(1, 10))
NO_END: Final = Durations()
FEW_TICKS_OR_TIME: Final = Durations(ticks=(5, 10), seconds=(15, DAY), days=(1, YEAR_DAYS))
MINUTES: Final = Durations(seconds=(60, DAY), days=(1, YEAR_DAYS))


class Decides(Enum):
    """What decides the outcome of a contract.

    It determines on which symbols the contract is offered: see `exchange.contracts.eligibility`.
    """

    SIDE_OF_LAST_TICK = "side of the last tick"
    """On which side of its barriers the last tick is."""
    DISTANCE_OF_LAST_TICK = "distance of the last tick"
    """How far beyond a barrier the last tick is; this needs a price that can end at any pip."""
    TOUCH = "touch of one barrier"
    """Whether a tick is at or beyond the one barrier."""
    PATH = "path"
    """The whole path, or several ticks of it."""
    FEW_TICKS = "few ticks"
    """Each of a few ticks, or the last digit of one; a tick must move the price by many pips."""
    EVERY_TICK = "every tick"
    """Each tick until the contract is closed; there is no fixed end."""
    PRICE_UNTIL_CLOSED = "price until closed"
    """The price at which the contract is closed; there is no fixed end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How lists show a type of contract; the names of categories are those of the wire."""

    category: str
    category_display: str
    display: str
    """The label of the side that is bought."""
    sentiment: str
    barrier_category: str
    durations: Durations
    decides: Decides
    takes_forward_start: bool = False


def seconds_text(seconds: int) -> str:
    """A duration as lists and sentences write it: `15s`, `2m`, `1h`, `1d`."""
    for unit, letter in ((DAY, "d"), (3600, "h"), (60, "m")):
        if seconds % unit == 0:
            return f"{seconds // unit}{letter}"
    return f"{seconds}s"
