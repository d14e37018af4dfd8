"""Turbos: calls and puts that are worth nothing once some tick is at or beyond their strike."""

import math
from functools import lru_cache
from typing import Final

from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.terminal import call, put
from scopegate.exchange.pricing.touch import FEW_TICKS, SHIFT, below, is_pulled, pulled

_FIRST_TICKS: Final = 4
"""So many suffice where the path is longer and begins close to the strike."""
_FAR: Final = 4.0
"""In standard deviations of the whole move: a strike beyond is hardly ever met, and the integral's
nodes would lie further apart than a tick moves."""
_NEAR: Final = 1.25
"""In standard deviations of a tick: closer to the strike the first ticks are integrated, since the
shifted formula is off by some percent there."""


@lru_cache(maxsize=1_024)  # many wishes of one moment differ in their amounts alone
def turbo(spot: float, strike: float, distribution: PriceDistribution) -> float:
    """The mean of what lies between the end and the strike, on the spot's side of it; 0 for paths
    of which some tick is at the strike, or beyond.

    Up to `FEW_TICKS` it is integrated tick by tick. Beyond that it is the price of a knock-out
    option (Reiner, Rubinstein 1991) whose barrier lies `SHIFT` further away than the strike
    (Broadie, Glasserman, Kou 1997): the gap beyond the strike costs the holder nothing more. Within
    0.05 % of the value, and 0.4 % where the spot is closer to the strike than a tick moves. Of a
    path in which the pull shows, see `exchange.pricing.touch.pulled`.
    """
    ticks, rises = distribution.ticks, strike < spot
    side = -1.0 if rises else 1.0  # where the strike lies
    edge = strike - side * 0.5  # a rounded price at the strike may have begun so far before it
    distance = side * math.log(edge / spot)
    if distance <= 0:
        return 0.0
    step_sd = distribution.sd / math.sqrt(ticks)
    owed = call if rises else put
    if ticks == 1:
        return owed(spot, strike, distribution)
    if is_pulled(distribution):
        edges = (-distance, math.inf) if rises else (-math.inf, distance)
        return sum(
            share * max(0.0, side * (strike - spot * math.exp(place)))
            for place, share in zip(*pulled(*edges, distribution), strict=True)
        )
    is_far = distance - side * distribution.mean > _FAR * distribution.sd
    if not is_far and (ticks <= FEW_TICKS or distance < _NEAR * step_sd):
        begun = ticks - 1 if ticks <= FEW_TICKS else _FIRST_TICKS
        left = ticks - begun
        rest = PriceDistribution(
            left, distribution.mean * left / ticks, distribution.sd * math.sqrt(left / ticks)
        )
        places, shares = below(begun, distance, side * distribution.mean / ticks, step_sd)
        return sum(
            share * _rest(spot * math.exp(side * place), strike, edge, rest)
            for place, share in zip(places, shares, strict=True)
        )
    return _rest(spot, strike, edge, distribution)


def _rest(spot: float, strike: float, edge: float, distribution: PriceDistribution) -> float:
    """The price by the shifted formula; for one tick, which passes nothing on its way, exact."""
    owed = call if strike < spot else put
    plain = owed(spot, strike, distribution)
    if distribution.ticks == 1:
        return plain
    sd = distribution.sd
    shift = SHIFT * sd / math.sqrt(distribution.ticks)
    away = math.log(edge / spot) + (-shift if strike < spot else shift)
    reflected = math.exp(2.0 * distribution.mean * away / (sd * sd))
    return max(0.0, plain - reflected * owed(spot * math.exp(2.0 * away), strike, distribution))
