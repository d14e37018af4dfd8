"""The limits and margins of the paper exchange, in one place."""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

MAX_OPEN_POSITIONS: Final = 100
"""The maximum number of open contracts per account."""

MAX_OPEN_ACCUMULATORS: Final = 20
"""The maximum number of accumulators among these: only they must be checked at every tick."""

MAX_OPEN_PAYOUT: Final = Decimal(500_000)
"""The maximum total payout of an account's open contracts; see `exchange.money.bound_in`."""

MAX_COPIERS: Final = 100
"""The maximum number of copiers of one trader: copies share the transaction of the trade."""

MAX_TRADERS: Final = 20
"""The maximum number of traders that one account may copy."""

MIN_STAKE: Final = Decimal("0.35")
MAX_STAKE: Final = Decimal(2_000)
MAX_PAYOUT: Final = Decimal(50_000)
"""The bounds of one contract; a unit of BTC, ETH or LTC counts for more: see
`exchange.money.bound_in`."""

MIN_ASK: Final = 20_000
MAX_ASK: Final = 985_000
"""A contract is sold at a price between these shares of the payout, in millionths; a vanilla, if
its probability of paying is between them. Outside, one side would be almost certain to win."""

PRICE_TOLERANCE: Final = 0.1
"""The maximum rise of a price since its proposal at which the proposal can still be bought at its
own price, as a share of the exchange's margin. Buying only after a rise saves no more than that."""

NO_SALE_BEFORE_END: Final = 15
"""Seconds before its end from which a contract cannot be sold back."""

MAX_SHARED_DRIFT: Final = 0.006
"""If a contract is paid in a currency that moves with its symbol, its value in dollars differs, as
if the symbol had a drift. If that drift, over a day, is at most this share of the symbol's standard
deviation over a day, contracts of up to a day are sold; else none."""

SPREAD_RANGES: Final = {"tight": 0.5, "middle": 1.0, "wide": 1.5}
"""The distance of a spread's barriers from the spot, in standard deviations of the whole move, by
the name that a client may give instead of barriers."""

MAX_START_AHEAD: Final = 24 * 3_600
"""How far ahead a forward-starting contract may start, in seconds."""

MULTIPLIED_VOLATILITIES: Final = (40, 100, 200, 300, 400)
"""The default choices, as multiplier times yearly volatility."""

MULTIPLIED_JUMPS: Final = (40, 50, 60, 80, 100)
"""The same where a price jumps: above these, the value of a stop-out takes most of the stake."""

MULTIPLIED_BREAKS: Final = (2, 3, 4, 5, 6)
"""The same where ranges break: a break may jump past a stop-out by the width of a range."""

_SPIKED = (100, 200, 300, 400, 500)
MULTIPLIERS: Final = {
    "R_75": (50, 100, 200, 300, 500),
    "1HZ75V": (50, 100, 200, 300, 500),
    "1HZ15V": (300, 600, 1_200, 2_000, 2_600),
    "1HZ30V": (140, 300, 600, 1_000, 1_300),
    "1HZ90V": (45, 110, 220, 330, 440),
    "BOOM1000": _SPIKED,
    "CRASH1000": _SPIKED,
    "cryBTCUSD": (100, 200, 300, 500, 800),
}
"""The multipliers of symbols for which bots have them in their code; those of other symbols follow
from the products above."""

MAX_WAIVED: Final = 0.4
"""A multiplier is offered if the value of its stop-out is at most this share of the stake:
otherwise the commission would take most of the stake."""

CANCELLATIONS: Final = {"5m": 300, "10m": 600, "15m": 900, "30m": 1_800, "60m": 3_600}
"""How long a multiplier can be cancelled, in seconds, by name."""

MAX_ACCUMULATOR_TICKS: Final = {1: 230, 2: 115, 3: 75, 4: 55, 5: 45}
"""The number of ticks after which an accumulator ends, by its growth rate in percent: its value is
then eight to ten times the stake."""

NO_VANILLA_SALE_BEFORE_END: Final = 60
"""Seconds before its end from which a vanilla cannot be sold back."""

FAR_MOVE: Final = 4.0
"""The stake of a contract without a fixed payout is bounded so that a move of this many standard
deviations pays at most the maximum payout."""

TURBO_DISTANCES: Final = (0.2, 3.0)
"""The minimum and maximum distance of a turbo's barrier from the spot, in standard deviations of
the move until its end: closer, it is almost certain to be reached; farther, the turbo is almost
certain to gain no more than the price does."""

MULTIPLIER_DAYS: Final = 36_500
"""A multiplier ends at the close of the day that is this many days ahead."""

MIN_AGENT_PAYMENT: Final = Decimal(10)
MAX_AGENT_PAYMENT: Final = Decimal(2_000)
"""The bounds of one payment through a payment agent; see `exchange.money.bound_in`."""


Share = Annotated[float, Field(ge=0, le=0.5)]


class Margins(BaseModel):
    """The exchange's margins, by family of contracts.

    For contracts with a fixed payout the margin is the share of the payout by which the price
    exceeds the probability of winning; selling back costs another half of the margin. Each field is
    a setting, with the description given here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    rise_fall: Share = Field(
        0.012,
        description="Margin on rise and fall, ends between or outside, asians: a share of the"
        " payout.",
    )
    touch: Share = Field(
        0.015,
        description="Margin on touch and no touch, stays between, goes outside: a share of the"
        " payout.",
    )
    digits: Share = Field(0.010, description="Margin on digits: a share of the payout.")
    matches: Share = Field(
        0.008, description="Margin on a digit that matches: a share of the payout."
    )
    few_ticks: Share = Field(
        0.015,
        description="Margin on high and low ticks, only ups or downs, resets: a share of the"
        " payout.",
    )
    spread: Share = Field(0.02, description="Margin on spreads: a share of the payout.")
    lookback: Share = Field(
        0.03, description="Margin on lookbacks: the share by which the price exceeds the value."
    )
    financial: Share = Field(
        0.03,
        description="Minimum margin on symbols named after real markets: a share of the payout.",
    )
    multiplier: Annotated[float, Field(ge=0, le=10)] = Field(
        0.3,
        description="Margin on multipliers: the share by which the commission exceeds the value of"
        " the stop-out.",
    )
    cancellation: Annotated[float, Field(ge=0, le=10)] = Field(
        0.05,
        description="Margin on deal cancellation: the share by which the fee exceeds the value.",
    )
    accumulator: Share = Field(
        0.003,
        description="Margin on accumulators: the share of the value that is kept at each tick, on"
        " average; more where whole pips require it.",
    )
    vanilla: Annotated[float, Field(ge=0, le=1)] = Field(
        0.025, description="Margin on vanillas: the share by which the price exceeds the value."
    )
    turbo: Annotated[float, Field(ge=0, le=1)] = Field(
        0.03, description="Margin on turbos: the share by which the price exceeds the value."
    )
