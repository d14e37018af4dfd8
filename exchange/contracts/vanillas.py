"""Vanillas: calls and puts, which pay for each point by which the exit is beyond the strike."""

from scopegate.exchange.contracts.common import wording
from scopegate.exchange.contracts.common.listing import MINUTES, Decides, Listing
from scopegate.exchange.contracts.common.per_point import PerPoint, PerPointTerms, per_point_text
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.state import MarketView
from scopegate.exchange.contracts.common.terms import Barrier
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.terminal import above, call, put
from scopegate.exchange.rules import MAX_ASK, MIN_ASK, NO_VANILLA_SALE_BEFORE_END, Margins


class Vanilla(PerPoint):
    """A contract that pays for each point by which the exit is above (`rises`) or below the strike.

    Priced by Black 1976. Any strike is offered at which the probability that the contract pays is
    within the same bounds as for contracts with a fixed payout (`MIN_ASK`, `MAX_ASK`).
    """

    takes = frozenset({"barrier"})
    decimals = 5
    no_sale_before_end = NO_VANILLA_SALE_BEFORE_END

    def __init__(self, name: str, display: str, *, rises: bool) -> None:
        self.name = name
        self.rises = rises
        self.listing = Listing(
            category="vanilla",
            category_display="Vanilla Options",
            display=display,
            sentiment="up" if rises else "down",
            barrier_category="euro_non_atm",
            durations=MINUTES,
            decides=Decides.DISTANCE_OF_LAST_TICK,
        )

    def family_margin(self, margins: Margins) -> float:
        """The margin on vanillas."""
        return margins.vanilla

    def distances(self) -> tuple[float, ...]:
        """The spot, and half a standard deviation and a whole one to both sides."""
        return (-1.0, -0.5, 0.0, 0.5, 1.0)

    def worth(self, spot: int, strike: int, distribution: PriceDistribution) -> float:
        """The value of a call or a put, in pips."""
        return (call if self.rises else put)(spot, strike, distribution)

    def strike_of(
        self, terms: PerPointTerms, request: QuoteRequest, market: MarketView, dearer: float
    ) -> Barrier:
        """The requested strike, which is required."""
        strike = self.parsed(request, terms, market)
        spot = market.tick.pips
        first = terms.entry_epoch if strike.is_relative else market.tick.epoch
        chance = above(spot, strike.level(spot), market.distribution(first, self.exit_epoch(terms)))
        if not MIN_ASK <= 1_000_000 * (chance if self.rises else 1 - chance) <= MAX_ASK:
            raise self.refused("The barrier is too far from the spot.", terms, market)
        return strike

    def sentence(self, terms: PerPointTerms) -> str:
        """The longcode: what it pays for, and how much."""
        return (
            f"{per_point_text(terms)} is {'above' if self.rises else 'below'}"
            f" {wording.level(terms.barrier, terms.symbol)} {wording.at_end(terms)}."
        )
