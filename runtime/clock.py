"""Market time: the clock that moves ticks, `time`, contracts and the ledger.

Rules:
- Market time never goes back. Timeouts, idle rules and limits do not use it: they are monotonic.
- Work that waits for a moment of the market is a callback given to `call_at`; callbacks run in the
  order of their moments, also where several are due at once.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A callback that waits; `cancel` makes it never run."""

    def cancel(self) -> None:
        """Never run it; harmless when it has run."""


class Clock(Protocol):
    """Market time, in seconds since 1970-01-01 00:00 UTC."""

    def now(self) -> float:
        """The present moment of the market."""

    def call_at(self, moment: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` in the event loop once `now()` has reached `moment`."""


class RunningClock:
    """A clock that runs by itself from `start`, `speed` market seconds to a real one.

    It stays at `least` until it would have reached that by itself.
    """

    def __init__(self, start: float, speed: float = 1.0, *, least: float = 0.0) -> None:
        self._start = start
        self._least = least
        self._speed = speed
        self._origin = time.monotonic()

    def now(self) -> float:
        """The present moment of the market."""
        return max(self._least, self._start + (time.monotonic() - self._origin) * self._speed)

    def call_at(self, moment: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` in the event loop once `now()` has reached `moment`."""
        # The loop's clock may run a shade ahead of ours: a timer that fires early is set again.
        return _Alarm(self, moment, callback)

    def real_seconds_until(self, moment: float) -> float:
        """How many real seconds remain until the market reaches `moment`; 0 if it has."""
        if moment <= self._least:
            return 0.0
        passed = (time.monotonic() - self._origin) * self._speed
        return max(0.0, (moment - self._start - passed) / self._speed)


class WallClock(RunningClock):
    """Real time, which never goes back: where the clock was set back it stands still until then."""

    def __init__(self) -> None:
        super().__init__(time.time())
        self._latest = 0.0

    def now(self) -> float:
        """The present moment."""
        self._latest = max(self._latest, time.time())
        return self._latest

    def real_seconds_until(self, moment: float) -> float:
        """How many seconds remain until `moment`; 0 if it has passed."""
        return max(0.0, moment - self.now())


class _Alarm:
    def __init__(self, clock: RunningClock, moment: float, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._moment = moment
        self._callback = callback
        self._set()

    def _set(self) -> None:
        loop = asyncio.get_running_loop()
        self._handle = loop.call_later(self._clock.real_seconds_until(self._moment), self._ring)

    def _ring(self) -> None:
        if self._clock.now() < self._moment:
            self._set()
        else:
            self._callback()

    def cancel(self) -> None:
        self._handle.cancel()


class HandClock:
    """A clock that stands still until it is moved: what tests run on."""

    def __init__(self, start: float) -> None:
        self._now = start
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, _Reminder]] = []

    def now(self) -> float:
        """The present moment of the market."""
        return self._now

    def call_at(self, moment: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` during the `advance` that reaches `moment`."""
        reminder = _Reminder(callback)
        heapq.heappush(self._waiting, (moment, next(self._order), reminder))
        return reminder

    def advance(self, seconds: float) -> None:
        """Move the market on, running what falls due on the way, each at its own moment."""
        target = self._now + seconds
        while self._waiting and self._waiting[0][0] <= target:
            moment, _, reminder = heapq.heappop(self._waiting)
            self._now = max(self._now, moment)
            reminder.ring()
        self._now = target


class _Reminder:
    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def ring(self) -> None:
        if self._callback is not None:
            self._callback()

    def cancel(self) -> None:
        self._callback = None
