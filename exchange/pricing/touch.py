"""One barrier: the probability that a tick is at or beyond a level."""

import math
from functools import cache, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scopegate.exchange.distribution import PriceDistribution, Walk
from scopegate.exchange.pricing.terminal import normal
from scopegate.exchange.pricing.walk import reaches

SHIFT: Final = 0.5826
"""-zeta(1/2) / sqrt(2 pi): how far the extreme of a continuous path is beyond that of its ticks, on
average, in standard deviations of a tick."""

FEW_TICKS: Final = 20
"""Up to this number of ticks, a touch is integrated tick by tick: the shifted formula is off by
0.003 there and by 0.012 at five ticks, most of a usual margin."""

_FIRST_TICKS: Final = 4  # so few are enough: the error is below 0.0005 from 21 ticks on
_NODES: Final = 64
_REACH: Final = 6.0  # standard deviations of the move after which the integral is cut off
_FAR: Final = 4.0
"""Standard deviations of the whole move beyond which a touch is rarer than 1e-4. There the nodes
would be further apart than a tick moves, and the sum over them would be useless."""
_PULL_SHOWS: Final = 0.005
"""If the pull takes back more than this share of the distance to the symbol's level, a Brownian
motion with the same distribution at the end would touch too rarely, by 0.001 or more."""
_PULLED_STEPS: Final = 32
_STEPS_A_PULL: Final = 16  # more steps for each time that the distance shrinks by a factor of e
_PULLED_NODES: Final = 96
_DENSITY: Final = 1.0 / math.sqrt(2.0 * math.pi)


@lru_cache(maxsize=1_024)  # many quote requests of a moment differ only in their amounts
def touch(spot: float, level: float, distribution: PriceDistribution) -> float:
    """The probability that one of the distribution's ticks is at or beyond the level.

    Up to `FEW_TICKS` it is integrated tick by tick, within 2e-5. Beyond that, and if the level is
    `_FAR` away, it is the probability of a Brownian motion to pass a level that is `SHIFT` further
    away (Broadie, Glasserman, Kou 1997), within 0.003 at 21 ticks and 0.001 from 60 on; close to
    the level, where that would be off by up to 0.02, the first ticks are integrated. Exact for a
    walk of equal steps; for paths with a visible pull, see `pulled`.
    """
    if isinstance(distribution, Walk):
        return reaches(spot, level, distribution)
    if is_pulled(distribution):
        away = math.log(level / spot)
        edges = (-math.inf, away) if away > 0 else (away, math.inf)
        return min(1.0, max(0.0, 1.0 - sum(pulled(*edges, distribution)[1])))
    return min(1.0, max(0.0, _touch(spot, level, distribution)))


def _touch(spot: float, level: float, distribution: PriceDistribution) -> float:
    upward = level > spot
    distance = math.log(level / spot) if upward else math.log(spot / level)
    mean = distribution.mean if upward else -distribution.mean
    if distance <= 0:
        return 1.0
    ticks, sd = distribution.ticks, distribution.sd
    step_sd = sd / math.sqrt(ticks)
    if ticks <= FEW_TICKS:
        step_mean = mean / ticks
        if ticks == 1:
            return normal((step_mean - distance) / step_sd)
        if distance - mean > _FAR * sd:
            return passing(distance + SHIFT * step_sd, mean, sd)
        places, paths = below(ticks - 1, distance, step_mean, step_sd)
        return 1.0 - sum(
            share * normal((distance - place - step_mean) / step_sd)
            for place, share in zip(places, paths, strict=True)
        )
    if distance >= step_sd:
        return passing(distance + SHIFT * step_sd, mean, sd)
    places, paths = below(_FIRST_TICKS, distance, mean / ticks, step_sd)
    rest = 1 - _FIRST_TICKS / ticks
    rest_mean, rest_sd = mean * rest, sd * math.sqrt(rest)
    return 1.0 - sum(
        share * (1.0 - passing(distance - place + SHIFT * step_sd, rest_mean, rest_sd))
        for place, share in zip(places, paths, strict=True)
    )


def passing(distance: float, mean: float, sd: float) -> float:
    """The probability that a Brownian motion ever reaches `distance` above its start.

    `mean` and `sd` are those of its end. Reiner, Rubinstein 1991 (the reflection principle).
    """
    reflected = normal((-distance - mean) / sd)
    if reflected:
        reflected *= math.exp(2.0 * mean * distance / (sd * sd))
    return normal((mean - distance) / sd) + reflected


@cache
def gauss_legendre(nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes between 0 and 1, and their weights, which sum to 1."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    return (places + 1.0) / 2.0, weights / 2.0


def below(
    ticks: int, distance: float, step_mean: float, step_sd: float
) -> tuple[list[float], list[float]]:
    """The distribution, after `ticks`, of the paths none of whose ticks was at or beyond a level.

    The level is `distance` above the start. Returns places below it, relative to the start, and the
    share of all paths that each represents.
    """
    reach = _REACH * step_sd * math.sqrt(ticks + 1) + abs(step_mean) * ticks
    return between(ticks, -reach, distance, step_mean, step_sd, _NODES)


def between(
    ticks: int, low: float, high: float, step_mean: float, step_sd: float, nodes: int
) -> tuple[list[float], list[float]]:
    """The same for the paths that stayed between two levels.

    The places are Gauss-Legendre nodes, on which the density is propagated tick by tick.
    """
    places, weights = gauss_legendre(nodes)
    places, weights = high - (high - low) * places, weights * (high - low)
    scale = _DENSITY / step_sd
    density = scale * np.exp(-0.5 * ((places - step_mean) / step_sd) ** 2)
    if ticks > 1:
        moves = (places[:, None] - places[None, :] - step_mean) / step_sd
        onward = scale * np.exp(-0.5 * moves * moves) * weights[None, :]
        for _ in range(ticks - 1):
            density = onward @ density
    return places.tolist(), (weights * density).tolist()


def is_pulled(distribution: PriceDistribution) -> bool:
    """Whether the pull to the symbol's level is visible in the path, not only at its end."""
    return distribution.remaining < 1.0 - _PULL_SHOWS


def pulled(
    low: float, high: float, distribution: PriceDistribution
) -> tuple[list[float], list[float]]:
    """The distribution at the end of the paths that reached neither log level, with a visible pull.

    Such a path moves more on its way than the distribution at its end shows. From step to step it
    is normal, and within a step it passes a level like a Brownian bridge (Glasserman 2003: Monte
    Carlo Methods in Financial Engineering, section 6.4), `SHIFT` further away since it is seen once
    a tick. Levels are relative to the start, and one of them may be infinite. Returns places and
    shares, like `between`.
    """
    steps = _PULLED_STEPS + math.ceil(-_STEPS_A_PULL * math.log(distribution.remaining))
    a_step = distribution.remaining ** (1 / steps)
    mean = distribution.mean * (1 - a_step) / (1 - distribution.remaining)
    variance = distribution.sd**2 * (1 - a_step**2) / (1 - distribution.remaining**2)
    shift = SHIFT * math.sqrt(variance * steps / distribution.ticks)
    reach = _REACH * distribution.sd + abs(distribution.mean)
    low, high = max(low - shift, -reach), min(high + shift, reach)
    nodes, weights = gauss_legendre(_PULLED_NODES)
    places, weights = low + (high - low) * nodes, weights * (high - low)
    starts, ends = np.append(places, 0.0)[None, :], places[:, None]
    moves = ends - a_step * starts - mean
    onward = _DENSITY / math.sqrt(variance) * np.exp(-moves * moves / (2 * variance))
    for edge in (low, high):
        onward *= -np.expm1(-2 * (edge - starts) * (edge - ends) / variance)
    density, onward = onward[:, -1], onward[:, :-1] * weights
    for _ in range(steps - 1):
        density = onward @ density
    return places.tolist(), (weights * density).tolist()
