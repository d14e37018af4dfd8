"""Contracts on a handful of ticks: asians, high and low ticks, runs.

The ticks that are known are given in pips, the latest last. What is asked about the low side is the
high side of the market turned over, see `turned`.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from scopegate.exchange.distribution import PriceDistribution, turned
from scopegate.exchange.pricing.terminal import normal
from scopegate.exchange.pricing.touch import below


def above_average(known: Sequence[int], distribution: PriceDistribution) -> float:
    """The chance that the last tick is above the mean of all, the known ones among them.

    Last less average is a weighted sum of the steps to come, so normal; the average of k whole
    pips moves by a pip / k, of which half decides a tie.
    """
    spot, count = known[-1], len(known) + distribution.ticks
    step_mean = distribution.mean / distribution.ticks
    step_variance = distribution.sd**2 / distribution.ticks
    weights = [place / count for place in range(len(known), count)]
    ahead = (len(known) * spot - sum(known) - 0.5) / count / spot
    mean = ahead + step_mean * sum(weights)
    return normal(mean / math.sqrt(step_variance * sum(weight * weight for weight in weights)))


def rising(spot: float, distribution: PriceDistribution) -> float:
    """The chance that each tick is above the one before it."""
    ticks = distribution.ticks
    step_mean, step_sd = distribution.mean / ticks, distribution.sd / math.sqrt(ticks)
    return float(normal((step_mean - 0.5 / spot) / step_sd) ** ticks)


def stays_below(spot: float, margin: float, distribution: PriceDistribution) -> float:
    """The chance that every tick is below the spot plus a margin in pips, which may be negative."""
    return _below(distribution, margin / spot, margin / spot)


def tops_all(spot: float, margin: float, distribution: PriceDistribution) -> float:
    """The chance that the last tick is above every one before it and the spot plus a margin.

    Looked at from the end, the ticks before the last stay below it, each by half a pip.
    """
    return _below(turned(distribution), -0.5 / spot, -(margin + 0.5) / spot)


@lru_cache(maxsize=1_024)  # many wishes of one moment differ in their amounts alone
def _below(distribution: PriceDistribution, distance: float, last: float) -> float:
    """The chance that all ticks but the last stay below a distance, and the last below another.

    Integrated tick by tick, within 1e-8 for the few ticks that these contracts have.
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
