"""Closed formulas for the chance that a contract pays, and what a multiplier's protection is worth.

Rules of this module:

- Pure: numbers in, a number out. Prices and levels are in pips, as floats where they need not be
  whole; an `Outlook` says how the log price moves between the ticks that matter. No interest.
- A price is seen once a tick and rounded to a whole pip. So "above 100" means an unrounded price
  over 100.5: callers shift a level by half a pip, and where a path is watched from tick to tick the
  level is moved away by `SHIFT` standard deviations of a tick.
- Nothing here knows a margin, money or a symbol.

Sources, by the names used below:

- Black, Scholes 1973: The Pricing of Options and Corporate Liabilities. Black 1976.
- Reiner, Rubinstein 1991: Unscrambling the Binary Code.
- Broadie, Glasserman, Kou 1997: A Continuity Correction for Discrete Barrier Options.
"""

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from exchange.feed import Outlook

SHIFT: Final = 0.5826
"""-zeta(1/2) / sqrt(2 pi): how far, in sd of a tick, a path between ticks outruns what is seen."""

FEW_TICKS: Final = 20
"""Up to so many ticks a touch is integrated tick by tick: the shifted formula is off by 0.003 there
and by 0.012 at five ticks, most of a usual margin."""

_NODES: Final = 64
_REACH: Final = 9.0  # standard deviations of the whole move that the integral goes back
_SQRT_HALF: Final = math.sqrt(0.5)
_DENSITY: Final = 1.0 / math.sqrt(2.0 * math.pi)


def normal(x: float) -> float:
    """The chance that a standard normal number is below x."""
    return 0.5 * math.erfc(-x * _SQRT_HALF)


def above(spot: float, level: float, outlook: Outlook) -> float:
    """The chance that the price ends above the level (Black, Scholes 1973: N(d2), no interest)."""
    return normal((math.log(spot / level) + outlook.mean) / outlook.sd)


def touch(spot: float, level: float, outlook: Outlook) -> float:
    """The chance that some tick of the outlook is at or beyond the level, which is not the spot.

    Within 1e-6 up to `FEW_TICKS`, else within 0.0025 and mostly 0.0003.
    """
    upward = level > spot
    distance = math.log(level / spot) if upward else math.log(spot / level)
    mean = outlook.mean if upward else -outlook.mean
    if distance <= 0:
        return 1.0
    if outlook.ticks <= FEW_TICKS:
        return 1.0 - _survival(outlook.ticks, distance, mean, outlook.sd)
    shifted = distance + SHIFT * outlook.sd / math.sqrt(outlook.ticks)
    return min(1.0, passing(shifted, mean, outlook.sd))


def passing(distance: float, mean: float, sd: float) -> float:
    """The chance that a Brownian motion ever reaches `distance` above its start.

    `mean` and `sd` are those of its end. Reiner, Rubinstein 1991 (the reflection principle).
    """
    reflected = normal((-distance - mean) / sd)
    if reflected:
        reflected *= math.exp(2.0 * mean * distance / (sd * sd))
    return normal((mean - distance) / sd) + reflected


@cache
def _gauss_legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return (nodes + 1.0) / 2.0, weights / 2.0


def _survival(ticks: int, distance: float, mean: float, sd: float) -> float:
    """The chance that no tick is at or beyond the distance above, by quadrature over each tick.

    The density of the paths that have not touched yet, at Gauss-Legendre nodes below the level,
    is carried on tick by tick.
    """
    step_sd, step_mean = sd / math.sqrt(ticks), mean / ticks
    if ticks == 1:
        return normal((distance - step_mean) / step_sd)
    nodes, weights = _gauss_legendre()
    width = distance + _REACH * sd + abs(mean)
    places = distance - width * nodes
    weights = weights * width
    scale = _DENSITY / step_sd
    density = scale * np.exp(-0.5 * ((places - step_mean) / step_sd) ** 2)
    moves = (places[:, None] - places[None, :] - step_mean) / step_sd
    onward = scale * np.exp(-0.5 * moves * moves) * weights[None, :]
    for _ in range(ticks - 2):
        density = onward @ density
    # The last step needs no density, only the chance to stay below from where the path stands.
    below = np.array([normal((distance - place - step_mean) / step_sd) for place in places])
    return float(np.dot(weights * density, below))


def put(spot: float, strike: float, outlook: Outlook) -> float:
    """The mean of max(strike - end, 0), undiscounted (Black 1976)."""
    sd = outlook.sd
    forward = spot * math.exp(outlook.mean + sd * sd / 2)
    d1 = math.log(forward / strike) / sd + sd / 2
    return strike * normal(sd - d1) - forward * normal(-d1)


def call(spot: float, strike: float, outlook: Outlook) -> float:
    """The mean of max(end - strike, 0), undiscounted (Black 1976)."""
    sd = outlook.sd
    forward = spot * math.exp(outlook.mean + sd * sd / 2)
    d1 = math.log(forward / strike) / sd + sd / 2
    return forward * normal(d1) - strike * normal(d1 - sd)


def cancellation(
    spot: float, break_even: float, stop_out: float, value: float, stake: float, outlook: Outlook
) -> float:
    """What it is worth to have the stake back at the end of the outlook, or once stopped out.

    `value` is stake times multiplier, `break_even` the price at which the commission is earned
    back; the stop-out lies below it for a contract on a rise and above for one on a fall. Waiting
    until the end is best, so this is the stake where the stop-out is touched, and else a put (for
    a fall a call) on the break-even that is knocked out there (Reiner, Rubinstein 1991, with the
    shift of Broadie, Glasserman, Kou 1997).
    """
    rising = stop_out < break_even
    tick_sd = outlook.sd / math.sqrt(outlook.ticks)
    level = stop_out * math.exp((-SHIFT if rising else SHIFT) * tick_sd)
    y = math.log(level / spot)
    touched = (
        passing(-y, -outlook.mean, outlook.sd) if rising else passing(y, outlook.mean, outlook.sd)
    )

    def owed(x: float) -> float:
        beyond = above(x, level, outlook)
        if rising:
            return (
                put(x, break_even, outlook)
                - put(x, level, outlook)
                - (break_even - level) * (1.0 - beyond)
            )
        return (
            call(x, break_even, outlook) - call(x, level, outlook) - (level - break_even) * beyond
        )

    reflected = math.exp(2.0 * outlook.mean * y / outlook.sd**2) * owed(spot * math.exp(2.0 * y))
    return stake * touched + value / spot * (owed(spot) - reflected)
