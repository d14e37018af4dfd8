"""The opening hours of markets, and the epochs at which they therefore have ticks.

Days are UTC days, counted from `EARLIEST`. A market has at most one session a day, which begins and
ends at whole minutes, so at epochs at which every symbol has a tick.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Final, NamedTuple

DAY: Final = 86_400
"""Seconds in a UTC day."""

EARLIEST: Final = 1_577_836_800
"""2020-01-01 00:00 UTC, a Wednesday: the beginning of history."""

_EARLIEST_WEEKDAY: Final = 2  # Monday is 0

Session = tuple[int, int]
"""The seconds of the day at which a market opens and closes."""

CLOSED: Final[Session] = (0, 0)
"""The session of a day without one."""


def weekday(day: int) -> int:
    """The day of the week, 0 for Monday."""
    return (day + _EARLIEST_WEEKDAY) % 7


@dataclass(frozen=True, slots=True)
class Hours:
    """The sessions of a week, Monday first; (0, 0) for a day on which the market is closed."""

    week: tuple[Session, ...]

    def session(self, day: int) -> Session:
        """The session of a day."""
        return self.week[weekday(day)]

    def sessions(self, day: int) -> list[Session]:
        """The spans of a day in which the market is open, in order."""
        session = self.session(day)
        return [session] if session != CLOSED else []

    def is_open(self, epoch: int) -> bool:
        """Whether the market is open at this second."""
        day, second = divmod(epoch - EARLIEST, DAY)
        opens, closes = self.session(day)
        return opens <= second < closes

    def session_of(self, epoch: int) -> Session:
        """The session of the day that contains the epoch."""
        return self.session((epoch - EARLIEST) // DAY)

    def running_or_next(self, epoch: int) -> Session:
        """The epochs at which the present session, or else the next one, opens and closes."""
        midnight = epoch - epoch % DAY
        days = range(midnight, midnight + 8 * DAY, DAY)
        for day in days:
            opens, closes = self.session_of(day)
            if opens < closes and epoch < day + closes:
                return day + opens, day + closes
        raise AssertionError("a market opens once a week")

    @property
    def mean_day(self) -> float:
        """The mean number of open seconds a day, over a week."""
        return sum(closes - opens for opens, closes in self.week) / 7


ALWAYS: Final = Hours(((0, DAY),) * 7)
FOREX: Final = Hours((*((0, DAY),) * 4, (0, 75_300), CLOSED, CLOSED))
"""Monday 00:00 to Friday 20:55 UTC."""
STOCKS: Final = Hours((*((48_600, 72_000),) * 5, CLOSED, CLOSED))
"""13:30 to 20:00 UTC, Monday to Friday."""


class Place(NamedTuple):
    """The position of a tick: its day, and its number among the ticks of the day, from 0."""

    day: int
    tick: int


class Grid:
    """The epochs at which a market has ticks: every `step` seconds while it is open.

    Between `EARLIEST` and the first tick of history, that first tick is used. Days before
    `EARLIEST` have ticks too, but no prices.
    """

    __slots__ = ("_a_week", "_before", "_opens", "counts", "hours", "step")

    def __init__(self, hours: Hours, step: int) -> None:
        self.hours = hours
        self.step = step
        sessions = [hours.session(day) for day in range(7)]
        self._opens = [opens for opens, _ in sessions]
        self.counts = tuple((closes - opens) // step for opens, closes in sessions)
        """The number of ticks on each of the first seven days; every week is the same."""
        self._before = list(accumulate(self.counts, initial=0))
        self._a_week = self._before.pop()

    def place(self, epoch: int) -> Place:
        """The last tick at or before the epoch."""
        day, second = divmod(epoch - EARLIEST, DAY)
        count, opens = self.counts[day % 7], self._opens[day % 7]
        if count and second >= opens:
            return Place(day, min((second - opens) // self.step, count - 1))
        earlier = next(before for before in range(day - 1, day - 8, -1) if self.counts[before % 7])
        if earlier < 0 <= day:
            return Place(day, 0)
        return Place(earlier, self.counts[earlier % 7] - 1)

    def opens(self, day: int) -> int:
        """The second of the day at which its session begins."""
        return self._opens[day % 7]

    def days(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """Yield each day with ticks from `first` to `last`: the day, and the numbers of its ticks.

        The numbers are given as low and high (exclusive).
        """
        for day in range(max(first - EARLIEST, 0) // DAY, (last - EARLIEST) // DAY + 1):
            opened = EARLIEST + day * DAY + self._opens[day % 7]
            low = max(-((opened - first) // self.step), 0)
            high = min((last - opened) // self.step + 1, self.counts[day % 7])
            if low < high:
                yield day, low, high

    def epoch(self, place: Place) -> int:
        """The epoch of a tick."""
        return EARLIEST + place.day * DAY + self._opens[place.day % 7] + place.tick * self.step

    def number(self, place: Place) -> int:
        """The number of ticks before this one, since `EARLIEST`."""
        weeks, day = divmod(place.day, 7)
        return weeks * self._a_week + self._before[day] + place.tick

    def nth(self, number: int) -> Place:
        """The tick with this `number`."""
        weeks, left = divmod(number, self._a_week)
        day = max(day for day in range(7) if self._before[day] <= left and self.counts[day])
        return Place(weeks * 7 + day, left - self._before[day])


@cache
def grid(hours: Hours, step: int) -> Grid:
    """The grid for these hours and this step in seconds, cached."""
    return Grid(hours, step)
