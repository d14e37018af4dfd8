"""Rises and falls with a reset: the barrier may change once on the way."""

import math
from functools import cache
from typing import Final

from scopegate.exchange.distribution import PriceDistribution, turned
from scopegate.exchange.pricing.terminal import normal
from scopegate.exchange.pricing.touch import gauss_legendre

_NODES: Final = 16


def above_reset(
    spot: float, entry: float, to_reset: PriceDistribution, to_end: PriceDistribution
) -> float:
    """The probability to end above the lower of the entry and the price at the reset.

    Gray, Whaley 1999, for whole pips. The end must be after the reset.
    """
    away = math.log(spot / entry)
    tie = 0.5 / spot
    rest_mean = to_end.mean - to_reset.mean
    rest_sd = math.sqrt(to_end.sd**2 - to_reset.sd**2)
    at_reset = (away + to_reset.mean) / to_reset.sd
    was_reset = normal(-at_reset) * normal((rest_mean - tie) / rest_sd)
    at_end = (away + to_end.mean - tie) / to_end.sd
    return was_reset + both_below(at_reset, at_end, to_reset.sd / to_end.sd)


def below_reset(
    spot: float, entry: float, to_reset: PriceDistribution, to_end: PriceDistribution
) -> float:
    """The probability to end below the higher of the entry and the price at the reset."""
    return above_reset(entry, spot, turned(to_reset), turned(to_end))


def both_below(x: float, y: float, correlation: float) -> float:
    """The probability that two standard normal numbers are below x and y (Plackett 1954)."""
    total = 0.0
    end = math.asin(correlation)
    for place, weight in _nodes():
        sine = math.sin(place * end)
        cosine_squared = 1.0 - sine * sine
        total += weight * math.exp((x * y * sine - (x * x + y * y) / 2) / cosine_squared)
    return normal(x) * normal(y) + end * total / (2.0 * math.pi)


@cache
def _nodes() -> list[tuple[float, float]]:
    places, weights = gauss_legendre(_NODES)
    return list(zip(places.tolist(), weights.tolist(), strict=True))
