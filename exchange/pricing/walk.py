"""A walk of equal steps: the probabilities to end above or reach a level (exact path counts).

A level is a whole pip or between two: "above" means the next whole pip or more. A walk that turns
back at its bounds is a walk without bounds, folded: so every end has images, at distances of twice
the width between the bounds.
"""

import math
from dataclasses import replace
from functools import lru_cache
from typing import Final

from scopegate.exchange.distribution import Walk

MANY_STEPS: Final = 2_000
"""With more steps, the normal distribution with a correction of half a step is within 2e-5."""
_RARE: Final = 9.0  # standard deviations beyond which ends are left out


@lru_cache(maxsize=4_096)
def _at_least(steps: int, ups: int) -> float:
    """The probability that at least `ups` of the steps go up."""
    if ups <= 0:
        return 1.0
    if ups > steps:
        return 0.0
    if steps > MANY_STEPS:
        return 0.5 * math.erfc((ups - 0.5 - steps / 2) / math.sqrt(steps / 2))
    if 2 * ups < steps + 1:
        return 1.0 - _at_least(steps, steps - ups + 1)
    term = math.exp(
        math.lgamma(steps + 1)
        - math.lgamma(ups + 1)
        - math.lgamma(steps - ups + 1)
        - steps * math.log(2)
    )
    total = 0.0
    while term > total * 1e-17:
        total += term
        term *= (steps - ups) / (ups + 1)
        ups += 1
    return total


def _beyond(steps: int, distance: float) -> float:
    """The probability that the walk without bounds ends more than `distance` above its start."""
    return _at_least(steps, math.floor((steps + distance) / 2) + 1)


def _images(steps: int, width: int) -> range:
    """The images of an end that can be reached, by number, for two bounds `width` apart."""
    most = 1 + int(min(steps, _RARE * math.sqrt(steps)) / (2 * width))
    return range(-most, most + 1)


def _in_steps(spot: float, level: float, walk: Walk) -> tuple[float, float, Walk]:
    """The spot, level and walk rescaled so that a step is one pip; the spot is then at 0.

    A walk whose steps are one pip already is returned as it is.
    """
    if walk.size == 1:
        return spot, level, walk
    low, high = (round((bound - spot) / walk.size) for bound in (walk.low, walk.high))
    return 0, (level - spot) / walk.size, replace(walk, low=low, high=high, size=1)


def ends_above(spot: float, level: float, walk: Walk) -> float:
    """The probability that the price ends above the level."""
    spot, level, walk = _in_steps(spot, level, walk)
    if level < walk.low:
        return 1.0
    if level >= walk.high:
        return 0.0
    steps, period = walk.ticks, 2 * (walk.high - walk.low)
    # Above the level are the pips up to the upper bound and, unfolded, as many beyond the bound.
    least, most = math.floor(level) - spot, 2 * walk.high - math.floor(level) - 1 - spot
    return sum(
        _beyond(steps, least + image * period) - _beyond(steps, most + image * period)
        for image in _images(steps, walk.high - walk.low)
    )


def reaches(spot: float, level: float, walk: Walk) -> float:
    """The probability that a tick is at or beyond the level (reflection principle)."""
    spot, level, walk = _in_steps(spot, level, walk)
    if level > spot:
        target, bound = math.ceil(level), walk.low
        up, down = target - spot, spot - 2 * bound + target
        is_out = target > walk.high
    else:
        target, bound = math.floor(level), walk.high
        up, down = spot - target, 2 * bound - target - spot
        is_out = target < walk.low
    if up <= 0:
        return 1.0
    if is_out:
        return 0.0
    # Unfolded at the far bound, the walk must leave the range between the level and its image.
    steps, width = walk.ticks, up + down

    def between(low: float, high: float) -> float:
        return _beyond(steps, low) - _beyond(steps, high - 1)

    inside = sum(
        between(-down + image * 2 * width, up + image * 2 * width)
        - between(up + image * 2 * width, up + width + image * 2 * width)
        for image in _images(steps, int(width))
    )
    return 1.0 - inside
