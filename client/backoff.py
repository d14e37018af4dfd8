"""How long to wait before connecting again."""

import secrets
from dataclasses import dataclass

_chance = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that grow with each failed attempt, in seconds, each shortened by chance.

    Chance keeps the clients of a gateway that was restarted from coming back at the same moment.
    """

    first: float = 0.2
    factor: float = 2.0
    longest: float = 30.0

    def wait(self, failures: int) -> float:
        """Return the wait after this many failed attempts in a row, in seconds."""
        doublings = min(failures, 64)  # a float has an end
        longest = min(self.longest, self.first * self.factor**doublings)
        return longest * _chance.uniform(0.5, 1.0)
