"""Accumulators: the probability that a tick stays near the one before it."""

import math
from statistics import NormalDist
from typing import Final

from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.terminal import normal

_NORMAL: Final = NormalDist()


def within(spot: int, distance: float, tick: PriceDistribution) -> float:
    """The probability that the next tick, unrounded, is less than `distance` pips from the spot.

    Prices are rounded to whole pips, so a `distance` of k + 0.5 means at most k pips away. Exact,
    by the distribution of one tick.
    """
    up, down = math.log1p(distance / spot), math.log1p(-distance / spot)
    return normal((up - tick.mean) / tick.sd) - normal((down - tick.mean) / tick.sd)


def widest(spot: int, chance: float, tick: PriceDistribution) -> int:
    """The largest distance, in whole pips, within which the next tick is with at most `chance`.

    `chance` is a probability below 1. Returns 0 if a distance of one pip is already likelier.
    """
    most = int(_NORMAL.inv_cdf((1.0 + chance) / 2.0) * tick.sd * spot) + 1
    while most > 0 and within(spot, most + 0.5, tick) > chance:
        most -= 1
    return most
