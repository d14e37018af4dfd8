"""The value of the right to cancel a multiplier."""

import math

from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.terminal import above, call, put
from scopegate.exchange.pricing.touch import SHIFT, passing


def cancellation(
    spot: float,
    break_even: float,
    stop_out: float,
    value: float,
    stake: float,
    distribution: PriceDistribution,
) -> float:
    """The value of getting the stake back at the end, or at a stop-out before it.

    `value` is stake times multiplier, `break_even` the price at which the commission is earned
    back; the stop-out is below it for a contract on a rise and above it for one on a fall. It is
    optimal to wait until the end, so the right pays the stake if the stop-out is touched, and
    otherwise a put (for a fall, a call) with the break-even as its strike, which is knocked out at
    the stop-out (Reiner, Rubinstein 1991, with the shift of Broadie, Glasserman, Kou 1997). The
    result is in the unit of `stake` and `value`.
    """
    rising = stop_out < break_even
    tick_sd = distribution.sd / math.sqrt(distribution.ticks)
    level = stop_out * math.exp((-SHIFT if rising else SHIFT) * tick_sd)
    y = math.log(level / spot)
    touched = (
        passing(-y, -distribution.mean, distribution.sd)
        if rising
        else passing(y, distribution.mean, distribution.sd)
    )

    def value_at(x: float) -> float:
        beyond = above(x, level, distribution)
        if rising:
            return (
                put(x, break_even, distribution)
                - put(x, level, distribution)
                - (break_even - level) * (1.0 - beyond)
            )
        return (
            call(x, break_even, distribution)
            - call(x, level, distribution)
            - (level - break_even) * beyond
        )

    reflected = math.exp(2.0 * distribution.mean * y / distribution.sd**2) * value_at(
        spot * math.exp(2.0 * y)
    )
    return stake * touched + value / spot * (value_at(spot) - reflected)
