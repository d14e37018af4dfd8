"""Two barriers: the probability that every tick stays between them."""

import math
from functools import lru_cache
from typing import Final

from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.terminal import normal
from scopegate.exchange.pricing.touch import FEW_TICKS, SHIFT, between, is_pulled, pulled

_FIRST_TICKS: Final = 4
_REACH: Final = 5.5  # standard deviations of the move after which the integral is cut off
_NODES: Final = 96
_FIRST_NODES: Final = 32
_WIDE: Final = 0.6
"""If the standard deviation is this share of the distance between the levels, the images and the
sine series need equally many terms."""
_NEGLIGIBLE: Final = 36.0  # e to the power of minus this is about the precision of a double


@lru_cache(maxsize=1_024)  # many quote requests of a moment differ only in their amounts
def inside(spot: float, low: float, high: float, distribution: PriceDistribution) -> float:
    """The probability that none of the distribution's ticks is at or beyond either level.

    Up to `FEW_TICKS` it is integrated tick by tick. Beyond that it is the probability of a Brownian
    motion to stay between levels that are `SHIFT` further away (Broadie, Glasserman, Kou 1997),
    within 0.003; if a level is closer than a tick's move, the first ticks are integrated. For paths
    with a visible pull, see `exchange.pricing.touch.pulled`.
    """
    if not low < spot < high:
        return 0.0
    if is_pulled(distribution):
        staying = sum(pulled(math.log(low / spot), math.log(high / spot), distribution)[1])
        return min(1.0, max(0.0, staying))
    return min(1.0, max(0.0, _inside(math.log(low / spot), math.log(high / spot), distribution)))


def _inside(low: float, high: float, distribution: PriceDistribution) -> float:
    ticks, mean, sd = distribution.ticks, distribution.mean, distribution.sd
    step_mean, step_sd = mean / ticks, sd / math.sqrt(ticks)
    shift = SHIFT * step_sd
    if ticks <= FEW_TICKS:
        reach = _REACH * sd + abs(mean)
        low, high = max(low, -reach), min(high, reach)

        def stays(place: float) -> float:
            upper = normal((high - place - step_mean) / step_sd)
            return upper - normal((low - place - step_mean) / step_sd)

        if ticks == 1:
            return stays(0.0)
        places, paths = between(ticks - 1, low, high, step_mean, step_sd, _NODES)
        return sum(share * stays(place) for place, share in zip(places, paths, strict=True))
    if min(high, -low) >= step_sd:
        return _staying(low - shift, high + shift, mean, sd)
    rest = 1 - _FIRST_TICKS / ticks
    rest_mean, rest_sd = mean * rest, sd * math.sqrt(rest)
    reach = _REACH * step_sd * math.sqrt(_FIRST_TICKS) + abs(step_mean) * _FIRST_TICKS
    first, last = max(low, -reach), min(high, reach)
    places, paths = between(_FIRST_TICKS, first, last, step_mean, step_sd, _FIRST_NODES)
    return sum(
        share * _staying(low - shift - place, high + shift - place, rest_mean, rest_sd)
        for place, share in zip(places, paths, strict=True)
    )


def _staying(low: float, high: float, mean: float, sd: float) -> float:
    """The probability that a Brownian motion that starts at 0 never reaches either level.

    `mean` and `sd` are those of its end. By images (Kunitomo, Ikeda 1992), or by a sine series
    (Pelsser 2000) if the levels are close together.
    """
    width, variance = high - low, sd * sd
    tilt = mean / variance
    if sd < _WIDE * width:
        pairs = 1 + int(5.0 * sd / width)
        total = 0.0
        for j in range(-pairs, pairs + 1):
            for sign, shift in ((1.0, 2 * j * width), (-1.0, 2 * high - 2 * j * width)):
                upper = normal((high - shift - mean) / sd)
                weight = upper - normal((low - shift - mean) / sd)
                if weight:
                    total += sign * math.exp(tilt * shift) * weight
        return total
    total, k = 0.0, 1
    while (decay := (k * math.pi / width) ** 2 * variance / 2) < _NEGLIGIBLE:
        q = k * math.pi / width
        ends = math.exp(tilt * low) - (-1) ** k * math.exp(tilt * high)
        total += math.exp(-decay) * math.sin(-q * low) * q * ends / (tilt * tilt + q * q)
        k += 1
    return 2.0 / width * math.exp(-tilt * tilt * variance / 2) * total
