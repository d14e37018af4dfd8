"""What depends on the last tick alone: to end above a level, and calls and puts."""

import math
from typing import Final

from scopegate.exchange.outlook import Mixture, Outlook, Walk
from scopegate.exchange.pricing.walk import ends_above

_SQRT_HALF: Final = math.sqrt(0.5)


def normal(x: float) -> float:
    """The chance that a standard normal number is below x."""
    return 0.5 * math.erfc(-x * _SQRT_HALF)


def above(spot: float, level: float, outlook: Outlook) -> float:
    """The chance that the price ends above the level.

    Black, Scholes 1973: N(d2) without interest; for a mixture of normal laws the mean of theirs
    (Merton 1976), for a walk of single pips the exact chance.
    """
    if isinstance(outlook, Walk):
        return ends_above(spot, level, outlook)
    away = math.log(spot / level) + outlook.mean
    if isinstance(outlook, Mixture):
        return sum(weight * normal(away / sd) for weight, sd in outlook.parts)
    return normal(away / outlook.sd)


def put(spot: float, strike: float, outlook: Outlook) -> float:
    """The mean of max(strike - end, 0), undiscounted (Black 1976; Merton 1976 for a mixture)."""
    if isinstance(outlook, Mixture):
        parts = ((weight, _steady(outlook, sd)) for weight, sd in outlook.parts)
        return sum(weight * put(spot, strike, part) for weight, part in parts)
    sd = outlook.sd
    forward = spot * math.exp(outlook.mean + sd * sd / 2)
    d1 = math.log(forward / strike) / sd + sd / 2
    return strike * normal(sd - d1) - forward * normal(-d1)


def call(spot: float, strike: float, outlook: Outlook) -> float:
    """The mean of max(end - strike, 0), undiscounted (Black 1976; Merton 1976 for a mixture)."""
    if isinstance(outlook, Mixture):
        parts = ((weight, _steady(outlook, sd)) for weight, sd in outlook.parts)
        return sum(weight * call(spot, strike, part) for weight, part in parts)
    sd = outlook.sd
    forward = spot * math.exp(outlook.mean + sd * sd / 2)
    d1 = math.log(forward / strike) / sd + sd / 2
    return forward * normal(d1) - strike * normal(d1 - sd)


def _steady(mixture: Mixture, sd: float) -> Outlook:
    """One of the laws that are mixed."""
    return Outlook(mixture.ticks, mixture.mean, sd)
