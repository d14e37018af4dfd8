"""Turbos: calls and puts that become worthless once a tick is at or beyond their strike."""

import math
from functools import lru_cache
from typing import Final

from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.terminal import call, put
from scopegate.exchange.pricing.touch import FEW_TICKS, SHIFT, below, is_pulled, pulled

_FIRST_TICKS: Final = 4
"""The ticks to integrate if a longer path begins close to the strike: so few are enough."""
_FAR: Final = 4.0
"""In standard deviations of the whole move: a strike further away is hardly ever touched, and the
nodes of the integral would be further apart than a tick moves."""
_NEAR: Final = 1.25
"""In standard deviations of a tick: closer to the strike, the first ticks are integrated, since the
shifted formula is off by some percent there."""


@lru_cache(maxsize=1_024)  # many quote requests of a moment differ only in their amounts
def turbo(spot: float, strike: float, distribution: PriceDistribution) -> float:
    """The expected distance from the strike to the end, in pips, on the spot's side of the strike.

    Paths with a tick at or beyond the strike count as 0. Up to `FEW_TICKS` it is integrated tick by
    tick. Beyond that it is the price of a knock-out option (Reiner, Rubinstein 1991) whose barrier
    is `SHIFT` further away than the strike (Broadie, Glasserman, Kou 1997): a gap beyond the strike
    costs the holder nothing more. Within 0.05 % of the value, and 0.4 % if the spot is closer to
    the strike than a tick moves. For paths with a visible pull, see
    `exchange.pricing.touch.pulled`.
    """
    ticks, rises = distribution.ticks, strike < spot
    side = -1.0 if rises else 1.0  # the strike's side of the spot
    edge = strike - side * 0.5  # prices up to half a pip before the strike are rounded to it
    distance = side * math.log(edge / spot)
    if distance <= 0:
        return 0.0
    step_sd = distribution.sd / math.sqrt(ticks)
    option_value = call if rises else put
    if ticks == 1:
        return option_value(spot, strike, distribution)
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
    """The price by the shifted formula; exact for one tick, since no tick comes before it."""
    option_value = call if strike < spot else put
    plain = option_value(spot, strike, distribution)
    if distribution.ticks == 1:
        return plain
    sd = distribution.sd
    shift = SHIFT * sd / math.sqrt(distribution.ticks)
    away = math.log(edge / spot) + (-shift if strike < spot else shift)
    reflected = math.exp(2.0 * distribution.mean * away / (sd * sd))
    return max(
        0.0, plain - reflected * option_value(spot * math.exp(2.0 * away), strike, distribution)
    )
