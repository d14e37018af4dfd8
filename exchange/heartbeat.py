"""The market's heartbeat: the steps of each market second, in order.

Rules:
- Every second is processed once and in order, none skipped, even when the market runs fast.
- The composition lists the steps: send ticks, settle contracts, send contract updates, price
  proposals, send exchange rates. So a contract is settled before its owner gets its update.
- A step that fails is logged; the other steps and the next seconds continue.
- No second is processed while messages of earlier ones are still being delivered, except those
  processed together (`MAX_SECONDS_AT_ONCE`): if there are too many listeners for the market's
  speed, the seconds are late, and memory does not fill up.
"""

from collections.abc import Callable, Sequence

import structlog

from scopegate.runtime.clock import Clock, Timer

MAX_SECONDS_AT_ONCE = 500
"""The maximum number of market seconds processed before the event loop gets a turn."""

Step = Callable[[int], None]
"""A function that is called with the epoch of each second."""

log = structlog.get_logger("scopegate.market")


class Heartbeat:
    """Calls the steps for each second that the market's clock has reached."""

    def __init__(
        self, clock: Clock, steps: Sequence[Step], when_idle: Callable[[Callable[[], None]], None]
    ) -> None:
        """`when_idle` calls its argument once everything published before is delivered."""
        self._clock = clock
        self._steps = steps
        self._when_idle = when_idle
        self._next = 0
        self._timer: Timer | None = None

    def start(self, after: int) -> None:
        """Begin with the second after `after`, up to which the steps have processed the market."""
        self._next = after + 1
        self._wait()

    def stop(self) -> None:
        """Stop calling steps."""
        self._steps = ()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def late(self) -> float:
        """How late the next second is, in market seconds; 0 if it is not due."""
        return 0.0 if self._timer is None else max(0.0, self._clock.now() - self._next)

    def _wait(self) -> None:
        self._timer = self._clock.call_at(self._next, lambda: self._when_idle(self._wake))

    def _wake(self) -> None:
        if self._timer is None:
            return
        last = min(int(self._clock.now()), self._next + MAX_SECONDS_AT_ONCE - 1)
        for second in range(self._next, last + 1):
            self._next = second + 1
            for step in self._steps:
                try:
                    step(second)
                except Exception as problem:  # the market goes on
                    log.error("a step of the market failed", exc_info=problem)
        if self._timer is not None:  # a step may have stopped it
            self._wait()
