"""The distribution of a price's future move: of its logarithm, between two future ticks."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Growth(NamedTuple):
    """The logarithm of the expected growth of a price up to a tick, in whole numbers.

    They are in units of 1 / `exchange.fixedpoint.ONE`. The growth of each market day is known at
    its first tick and accrues evenly, tick by tick (`exchange.processes.process.Process.growth`).
    """

    total: int = 0
    """The growth since the beginning of history."""
    a_tick: int = 0
    """The growth that each tick adds, up to and including the tick at `until`."""
    until: int | None = None
    """The epoch of the first tick of the next market day."""


@dataclass(frozen=True, slots=True)
class PriceDistribution:
    """The distribution of the move of a log price between two future ticks: a normal one.

    A subclass is another distribution with this mean and standard deviation. Formulas that hold
    for the normal distribution alone are only for symbols that have it
    (`exchange.contracts.eligibility`).
    """

    ticks: int
    """The number of steps from the first tick to the last; at least 1."""
    mean: float
    sd: float
    remaining: float = field(default=1.0, kw_only=True)
    """The share of the distance to its level that remains at the last tick; 1 without a pull."""


def turned(distribution: PriceDistribution) -> PriceDistribution:
    """Return the distribution of a price that falls where this one rises; it must be normal."""
    return PriceDistribution(
        distribution.ticks, -distribution.mean, distribution.sd, remaining=distribution.remaining
    )


@dataclass(frozen=True, slots=True)
class Mixture(PriceDistribution):
    """A mixture of normal distributions with the same mean, one for each number of jumps."""

    parts: tuple[tuple[float, float], ...]
    """The probability of each, and its standard deviation."""


@dataclass(frozen=True, slots=True)
class Walk(PriceDistribution):
    """A step up or down with every tick, with equal probability, turning back at both bounds."""

    low: int
    high: int
    """The bounds, in pips."""
    size: int = 1
    """The size of a step, in pips."""
