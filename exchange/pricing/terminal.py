"""What depends only on the last tick: the probability to end above a level, calls and puts."""

import math
from typing import Final

from scopegate.exchange.distribution import Mixture, PriceDistribution, Walk
from scopegate.exchange.pricing.walk import ends_above

_SQRT_HALF: Final = math.sqrt(0.5)


def normal(x: float) -> float:
    """The probability that a standard normal number is below x."""
    return 0.5 * math.erfc(-x * _SQRT_HALF)


def above(spot: float, level: float, distribution: PriceDistribution) -> float:
    """The probability that the price ends above the level.

    Black, Scholes 1973: N(d2) without interest; for a mixture of normal distributions their
    weighted mean (Merton 1976), for a walk of equal steps the exact probability.
    """
    if isinstance(distribution, Walk):
        return ends_above(spot, level, distribution)
    away = math.log(spot / level) + distribution.mean
    if isinstance(distribution, Mixture):
        return sum(weight * normal(away / sd) for weight, sd in distribution.parts)
    return normal(away / distribution.sd)


def put(spot: float, strike: float, distribution: PriceDistribution) -> float:
    """The mean of max(strike - end, 0) in pips, not discounted.

    Black 1976; Merton 1976 for a mixture.
    """
    if isinstance(distribution, Mixture):
        parts = ((weight, _steady(distribution, sd)) for weight, sd in distribution.parts)
        return sum(weight * put(spot, strike, part) for weight, part in parts)
    sd = distribution.sd
    forward = spot * math.exp(distribution.mean + sd * sd / 2)
    d1 = math.log(forward / strike) / sd + sd / 2
    return strike * normal(sd - d1) - forward * normal(-d1)


def call(spot: float, strike: float, distribution: PriceDistribution) -> float:
    """The mean of max(end - strike, 0) in pips, not discounted.

    Black 1976; Merton 1976 for a mixture.
    """
    if isinstance(distribution, Mixture):
        parts = ((weight, _steady(distribution, sd)) for weight, sd in distribution.parts)
        return sum(weight * call(spot, strike, part) for weight, part in parts)
    sd = distribution.sd
    forward = spot * math.exp(distribution.mean + sd * sd / 2)
    d1 = math.log(forward / strike) / sd + sd / 2
    return forward * normal(d1) - strike * normal(d1 - sd)


def _steady(mixture: Mixture, sd: float) -> PriceDistribution:
    """The component of the mixture with this standard deviation."""
    return PriceDistribution(mixture.ticks, mixture.mean, sd)
