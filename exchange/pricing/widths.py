"""Accumulators: the chance that a tick stays near the one before it."""

import math
from statistics import NormalDist
from typing import Final

from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.terminal import normal

_NORMAL: Final = NormalDist()


def within(spot: int, distance: float, tick: PriceDistribution) -> float:
    """The chance that the next tick, an unrounded price, is less than `distance` from the spot.

    A price is rounded to a whole pip, so a tick is no more than k pips away when the distance is
    k + 0.5. The exact law of one tick.
    """
    up, down = math.log1p(distance / spot), math.log1p(-distance / spot)
    return normal((up - tick.mean) / tick.sd) - normal((down - tick.mean) / tick.sd)


def widest(spot: int, chance: float, tick: PriceDistribution) -> int:
    """The most pips that the next tick may be away for it to be that near with at most the chance.

    0 where even a tick that does not move is likelier. Below 1, the chance must be.
    """
    most = int(_NORMAL.inv_cdf((1.0 + chance) / 2.0) * tick.sd * spot) + 1
    while most > 0 and within(spot, most + 0.5, tick) > chance:
        most -= 1
    return most
