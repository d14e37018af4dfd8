"""Market time: the clock that moves ticks, `time`, contracts and the ledger.

Rules:
- Market time never goes back. Timeouts, idle rules and limits use the monotonic clock instead.
- Work for a later market time is a callback passed to `call_at`. Callbacks run in the order of
  their times, even if several are due at once.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A scheduled callback."""

    def cancel(self) -> None:
        """Cancel the callback. Has no effect if it has run."""


class Clock(Protocol):
    """Market time, in seconds since 1970-01-01 00:00 UTC."""

    def now(self) -> float:
        """Return the current market time."""

    def running(self) -> float:
        """Return what `now` would be if it never waited for an earlier run to be passed."""

    def call_at(self, moment: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` in the event loop once `now()` has reached `moment`."""


class RunningClock:
    """A clock that runs from `start` at `speed` market seconds per real second.

    Its time is never before `earliest`: it stays there until it would have passed it.
    """

    def __init__(
        self,
        start: float,
        speed: float = 1.0,
        *,
        earliest: float = 0.0,
        since: float | None = None,
    ) -> None:
        """`since` is when it was at `start`, in monotonic time; by default now."""
        self._start = start
        self._earliest = earliest
        self._speed = speed
        self._origin = time.monotonic() if since is None else since

    def now(self) -> float:
        """Return the current market time."""
        return max(self._earliest, self.running())

    def running(self) -> float:
        """Return what `now` would be if it did not wait for `earliest`."""
        return self._start + (time.monotonic() - self._origin) * self._speed

    def call_at(self, moment: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` in the event loop once `now()` has reached `moment`."""
        # The loop's clock may run slightly ahead of ours: a timer that fires early is set again.
        return _Alarm(self, moment, callback)

    def real_seconds_until(self, moment: float) -> float:
        """Return the real seconds until the market reaches `moment`; 0 if it has."""
        if moment <= self._earliest:
            return 0.0
        passed = (time.monotonic() - self._origin) * self._speed
        return max(0.0, (moment - self._start - passed) / self._speed)


class WallClock(RunningClock):
    """Real time that never goes back: it stands still until a clock set back has caught up."""

    def __init__(self) -> None:
        super().__init__(time.time())
        self._latest = 0.0

    def now(self) -> float:
        """Return the current time."""
        self._latest = max(self._latest, time.time())
        return self._latest

    running = now

    def real_seconds_until(self, moment: float) -> float:
        """Return the seconds until `moment`; 0 if it has passed."""
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
    """A clock for tests, which moves only by `advance`."""

    def __init__(self, start: float) -> None:
        self._now = start
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, _Reminder]] = []

    def now(self) -> float:
        """Return the current market time."""
        return self._now

    running = now

    def call_at(self, moment: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` during the `advance` that reaches `moment`."""
        reminder = _Reminder(callback)
        heapq.heappush(self._waiting, (moment, next(self._order), reminder))
        return reminder

    def advance(self, seconds: float) -> None:
        """Advance market time, running each callback that falls due at its own time."""
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
