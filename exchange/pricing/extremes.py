"""Lookbacks: the expected highest and lowest price."""

import math
from functools import cache, lru_cache
from typing import Final

from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.touch import SHIFT, gauss_legendre, passing

_NODES: Final = 16
_RANGE: Final = 7.5  # standard deviations of the whole move after which the integral is cut off


def forward(spot: float, distribution: PriceDistribution) -> float:
    """The expected last price, in pips."""
    return spot * math.exp(distribution.mean + distribution.sd**2 / 2)


@lru_cache(maxsize=1_024)  # many quote requests of a moment differ only in their amounts
def highest(spot: float, high: float, distribution: PriceDistribution) -> float:
    """The expected highest price, in pips, if the highest so far is `high`.

    Goldman, Sosin, Gatto 1979, for a price that is seen once a tick (Broadie, Glasserman, Kou
    1999): within 0.2 % of the value of a lookback from 59 ticks on, 1 % at 15 and 2 % at 7.
    """
    start = math.log(high / spot)
    return spot * (
        math.exp(start) + _beyond(start, distribution.mean, distribution.ticks, distribution.sd, 1)
    )


@lru_cache(maxsize=1_024)
def lowest(spot: float, low: float, distribution: PriceDistribution) -> float:
    """The expected lowest price, in pips, if the lowest so far is `low`; see `highest`."""
    start = math.log(spot / low)
    return spot * (
        math.exp(-start)
        - _beyond(start, -distribution.mean, distribution.ticks, distribution.sd, -1)
    )


def _beyond(start: float, mean: float, ticks: int, sd: float, side: int) -> float:
    """The expected move of the extreme from where it is, as a share of the spot.

    It is the integral, over all levels beyond, of the probability to pass them.
    """
    shift, total = SHIFT * sd / math.sqrt(ticks), 0.0
    for place, weight in _nodes():
        y = start + place * _RANGE * sd
        total += weight * math.exp(side * y) * passing(y + shift, mean, sd)
    return total * _RANGE * sd


@cache
def _nodes() -> list[tuple[float, float]]:
    places, weights = gauss_legendre(_NODES)
    return list(zip(places.tolist(), weights.tolist(), strict=True))
