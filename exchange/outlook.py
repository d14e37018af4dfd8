"""What is known of how a price will move: the law of its logarithm between two ticks ahead."""

from typing import NamedTuple


class Outlook(NamedTuple):
    """How a log price will have moved between two ticks ahead, as far as it is known: normally."""

    ticks: int
    """Steps from the first tick to the last; at least 1."""
    mean: float
    sd: float
