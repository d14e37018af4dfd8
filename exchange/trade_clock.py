"""The market time at which trades are made."""

from scopegate.runtime.clock import Clock
from scopegate.runtime.siblings import Siblings


class TradeClock:
    """Ahead of the market's clock while other gateways serve the same database.

    Their clocks differ from this one by a little, so one of them may have published a tick already
    that this gateway has not. Who saw it there must not get it here, by a purchase that enters at
    that tick or a sale at the one before. So trades are made at a time that none has reached.
    """

    def __init__(self, clock: Clock, siblings: Siblings, ahead: float) -> None:
        """`ahead` is the largest difference between two gateways' clocks, in market seconds."""
        self._clock = clock
        self._siblings = siblings
        self._ahead = ahead

    def now(self) -> float:
        """Return the market time of a trade that is made now."""
        ahead = self._ahead if self._siblings.have_own_clocks else 0.0
        return self._clock.now() + ahead
