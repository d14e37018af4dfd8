"""What is known of how a price will move: the law of its logarithm between two ticks ahead."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Growth(NamedTuple):
    """The expected growth of a price up to a tick: logarithms, as whole numbers.

    They are in units of 1 / `exchange.fixedpoint.ONE`. The growth of each market day is known at
    its first tick and accrues evenly, tick by tick (`exchange.processes.process.Process.growth`).
    """

    total: int = 0
    """Since the beginning of history."""
    a_tick: int = 0
    """The growth that each tick adds, up to and including the tick at `until`."""
    until: int | None = None
    """The first tick of the next market day."""


@dataclass(frozen=True, slots=True)
class PriceDistribution:
    """How a log price will have moved between two ticks ahead, as far as it is known: normally.

    A subclass tells of another law, with this mean and this standard deviation. Formulas that hold
    for the normal law alone are only for symbols that move by it
    (`exchange.contracts.eligibility`).
    """

    ticks: int
    """Steps from the first tick to the last; at least 1."""
    mean: float
    sd: float
    remaining: float = field(default=1.0, kw_only=True)
    """The share of the distance from its level that remains then, where it is pulled to a level."""


def turned(distribution: PriceDistribution) -> PriceDistribution:
    """The outlook of a price that falls where this one, which moves by the normal law, rises."""
    return PriceDistribution(
        distribution.ticks, -distribution.mean, distribution.sd, remaining=distribution.remaining
    )


@dataclass(frozen=True, slots=True)
class Mixture(PriceDistribution):
    """One of several normal laws of the same mean, by the number of jumps until then."""

    parts: tuple[tuple[float, float], ...]
    """How likely each is, and its standard deviation."""


@dataclass(frozen=True, slots=True)
class Walk(PriceDistribution):
    """A step up or down with every tick, with equal chance, and back from either bound."""

    low: int
    high: int
    """The bounds, in pips."""
    size: int = 1
    """Pips of a step."""
