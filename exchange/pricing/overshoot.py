"""How far the first tick beyond a far level is beyond it, in the mean.

By renewal theory that is E[H^2] / (2 E[H]), H being by how much the price exceeds its highest so
far when it does. For normal ticks it is `exchange.pricing.touch.SHIFT` standard deviations.
"""

import math
from functools import cache
from typing import Final

import numpy as np

_POINTS: Final = 4_000


@cache
def of_jumps(every: int, jump_sd: float) -> float:
    """In standard deviations of a tick, one of `every` of which has a jump of `jump_sd` of them.

    Siegmund 1985, theorem 8.49: for a symmetric law of variance 1 with the characteristic function
    f it is minus the integral over all t > 0 of log(2 (1 - f(t)) / t^2) / (pi t^2).
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
    """Towards the spikes, which are evenly between two `sizes`, in units of `mean`.

    The price falls by small steps, so every new high is a spike's, and how far it goes beyond is
    spread like what is left of a spike at an even place within it: E[Y^3] / (3 E[Y^2]).
    """
    low, high = sizes
    square = (high**3 - low**3) / 3
    cube = (high**4 - low**4) / 4
    return mean * cube / (3 * square)
