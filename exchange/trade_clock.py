"""The market time at which trades are made."""

import math
import time
from typing import Final

from scopegate.runtime.clock import Clock
from scopegate.runtime.siblings import Siblings

MIN_WAIT_SECONDS: Final = 1.0
"""Real seconds that a trade may always wait where the market is faster than real time: its seconds
may be shorter than a COMMIT takes."""


class DeadlinePassedError(Exception):
    """A trade has waited so long that its price and time are no longer those of the market.

    Nothing was changed.
    """


class TradeClock:
    """Ahead of the market's clock while other gateways serve the same database.

    Their clocks differ from this one by a little, so one of them may have published a tick already
    that this gateway has not. Who saw it there must not get it here, by a purchase that enters at
    that tick or a sale at the one before. So trades are made at a time that none has reached.

    Nor may a trade wait for the database until that tick is known: by revoking its token at another
    gateway, its owner could choose whether it is made. (In a market faster than real time it may
    wait for `MIN_WAIT_SECONDS`.)
    """

    def __init__(
        self, clock: Clock, siblings: Siblings, ahead: float = 0.0, speed: float = 1.0
    ) -> None:
        """`ahead` is the largest difference between two gateways' clocks, in market seconds.

        `speed` is the number of market seconds in a real one.
        """
        self._clock = clock
        self._siblings = siblings
        self._ahead = ahead
        self._speed = speed

    def now(self) -> float:
        """Return the market time of a trade that is made now."""
        ahead = self._ahead if self._siblings.have_own_clocks else 0.0
        return self._clock.now() + ahead

    def deadline(self, now: float) -> float:
        """Return by when the transaction of a trade that is priced at `now` must begin.

        In monotonic time, as `check_deadline` takes it; infinite without other gateways.
        """
        if not self._siblings.have_own_clocks:
            return math.inf
        left = (int(now) + 1 - now) / self._speed
        return time.monotonic() + (left if self._speed <= 1 else max(left, MIN_WAIT_SECONDS))


def check_deadline(deadline: float) -> None:
    """Raise `DeadlinePassedError` if it is later than this, in monotonic time."""
    if time.monotonic() > deadline:
        raise DeadlinePassedError
