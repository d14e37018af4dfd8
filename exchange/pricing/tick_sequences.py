"""Contracts on a few ticks: asians, high and low ticks, runs.

Known ticks are given in pips, the latest last. For the opposite side (below, lowest, falling),
callers mirror the known ticks and the distribution; see `turned`.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from scopegate.exchange.distribution import PriceDistribution, turned
from scopegate.exchange.pricing.terminal import normal
from scopegate.exchange.pricing.touch import below


def above_average(known: Sequence[int], distribution: PriceDistribution) -> float:
    """The probability that the last tick is above the mean of all ticks, known ones included.

    Last less average is a weighted sum of the steps to come, so it is normal. The average of k
    whole pips moves by a pip / k; half of that separates a win from a tie.
    """
    spot, count = known[-1], len(known) + distribution.ticks
    step_mean = distribution.mean / distribution.ticks
    step_variance = distribution.sd**2 / distribution.ticks
    weights = [place / count for place in range(len(known), count)]
    ahead = (len(known) * spot - sum(known) - 0.5) / count / spot
    mean = ahead + step_mean * sum(weights)
    return normal(mean / math.sqrt(step_variance * sum(weight * weight for weight in weights)))


def rising(spot: float, distribution: PriceDistribution) -> float:
    """The probability that each tick is above the one before it."""
    ticks = distribution.ticks
    step_mean, step_sd = distribution.mean / ticks, distribution.sd / math.sqrt(ticks)
    return float(normal((step_mean - 0.5 / spot) / step_sd) ** ticks)


def stays_below(spot: float, margin: float, distribution: PriceDistribution) -> float:
    """The probability that every tick is below the spot plus `margin` pips (may be negative)."""
    return _below(distribution, margin / spot, margin / spot)


def tops_all(spot: float, margin: float, distribution: PriceDistribution) -> float:
    """The probability that the last tick is above all before it, and the spot plus `margin` pips.

    Computed on the reversed path: seen from the end, all earlier ticks stay below, by half a pip.
    """
    return _below(turned(distribution), -0.5 / spot, -(margin + 0.5) / spot)


@lru_cache(maxsize=1_024)  # many quote requests of a moment differ only in their amounts
def _below(distribution: PriceDistribution, distance: float, last: float) -> float:
    """The probability that all ticks but the last stay below `distance`, and the last below `last`.

    Both are logarithms relative to the start. Integrated tick by tick, within 1e-8 for the few
    ticks that these contracts have.
    """
    ticks = distribution.ticks
    step_mean, step_sd = distribution.mean / ticks, distribution.sd / math.sqrt(ticks)
    if ticks == 1:
        return normal((last - step_mean) / step_sd)
    places, paths = below(ticks - 1, distance, step_mean, step_sd)
    return sum(
        share * normal((last - place - step_mean) / step_sd)
        for place, share in zip(places, paths, strict=True)
    )
