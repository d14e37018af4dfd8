"""The market's heartbeat: what happens at each of its seconds, in order.

Rules:
- Every second is taken once and in turn, none left out, also when the market runs fast.
- The composition names the steps: tell the ticks, settle contracts, tell how contracts stand, price
  proposals, tell exchange rates. So a contract is settled before its owner is told how it stands.
- A step that fails is logged; the other steps and the next seconds go on.
- No second is taken while earlier ones are still being told, but for those that are taken together
  (`MAX_SECONDS_AT_ONCE`): a crowd too large for the market's speed makes the seconds late, and
  does not fill the memory.
"""

from collections.abc import Callable, Sequence

import structlog

from scopegate.runtime.clock import Clock, Timer

MAX_SECONDS_AT_ONCE = 500
"""Market seconds that are taken before the event loop gets a turn."""

Step = Callable[[int], None]
"""Takes the epoch of the second."""

log = structlog.get_logger("scopegate.market")


class Heartbeat:
    """Takes the steps of each second that the market's clock has reached."""

    def __init__(
        self, clock: Clock, steps: Sequence[Step], when_idle: Callable[[Callable[[], None]], None]
    ) -> None:
        """`when_idle` calls back once everything that was told before is delivered."""
        self._clock = clock
        self._steps = steps
        self._when_idle = when_idle
        self._next = 0
        self._timer: Timer | None = None

    def start(self, after: int) -> None:
        """Begin with the second after this one, up to which the steps know the market."""
        self._next = after + 1
        self._wait()

    def stop(self) -> None:
        """Take no step any more."""
        self._steps = ()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

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
