"""What it is worth to be able to cancel a multiplier."""

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
    """What it is worth to have the stake back at the end of the outlook, or once stopped out.

    `value` is stake times multiplier, `break_even` the price at which the commission is earned
    back; the stop-out lies below it for a contract on a rise and above for one on a fall. Waiting
    until the end is best, so this is the stake where the stop-out is touched, and else a put (for
    a fall a call) on the break-even that is knocked out there (Reiner, Rubinstein 1991, with the
    shift of Broadie, Glasserman, Kou 1997).
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

    def owed(x: float) -> float:
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

    reflected = math.exp(2.0 * distribution.mean * y / distribution.sd**2) * owed(
        spot * math.exp(2.0 * y)
    )
    return stake * touched + value / spot * (owed(spot) - reflected)
