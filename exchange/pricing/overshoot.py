"""The expected overshoot: how far the first tick beyond a far level is beyond it.

By renewal theory it is E[H^2] / (2 E[H]), where H is the amount by which a new highest price
exceeds the highest before. For normal ticks it is `exchange.pricing.touch.SHIFT` standard
deviations.
"""

import math
from functools import cache
from typing import Final

import numpy as np

_POINTS: Final = 4_000


@cache
def of_jumps(every: int, jump_sd: float) -> float:
    """The overshoot if one tick in `every` jumps, in standard deviations of a tick without a jump.

    `jump_sd` is the standard deviation of a jump, in the same unit. Siegmund 1985, theorem 8.49:
    for a symmetric distribution of variance 1 with the characteristic function f, the overshoot is
    minus the integral over all t > 0 of log(2 (1 - f(t)) / t^2) / (pi t^2).
    """
    chance = 1 / every
    sd = math.sqrt(1 + jump_sd**2 * chance)
    points = np.geomspace(1e-5, 1e3, _POINTS)
    squares = (points / sd) ** 2 / 2
    missing = -(1 - chance) * np.expm1(-squares) - chance * np.expm1(-squares * (1 + jump_sd**2))
    heights = np.log(2 * missing / points**2) / points**2
    last = float(points[-1])  # beyond it f is zero
    rest = (math.log(2) - 2 * math.log(last) - 2) / last
    return -sd * (float(np.trapezoid(heights, points)) + rest) / math.pi


def of_spikes(mean: float, sizes: tuple[float, float]) -> float:
    """The overshoot in the direction of spikes, which are uniform between two `sizes` times `mean`.

    The price falls by small steps, so only a spike makes a new high, and the amount is distributed
    like the rest of a spike beyond a uniform point within it. So for spikes of size Y the overshoot
    is E[Y^3] / (3 E[Y^2]), in the unit of `mean`.
    """
    low, high = sizes
    square = (high**3 - low**3) / 3
    cube = (high**4 - low**4) / 4
    return mean * cube / (3 * square)
