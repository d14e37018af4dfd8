"""Turbos: they pay for each point between barrier and exit, and end if the barrier is touched."""

from decimal import Decimal

from scopegate.exchange.contracts.common import wording
from scopegate.exchange.contracts.common.listing import FEW_TICKS_OR_TIME, Decides, Listing
from scopegate.exchange.contracts.common.per_point import (
    PerPoint,
    PerPointTerms,
    deepest,
    per_point_text,
    rounded,
    units_a_pip,
)
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import invalid, not_offered
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Status,
    Tick,
    Trigger,
    unentered,
)
from scopegate.exchange.contracts.common.terms import AT_ENTRY, Barrier
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.knockouts import turbo
from scopegate.exchange.rules import NO_SALE_BEFORE_END, TURBO_DISTANCES, Margins


class Turbo(PerPoint):
    """A contract that pays for each point between its barrier and the exit tick.

    A long turbo (`rises`) has its barrier below the spot, a short one above. The first tick at or
    beyond the barrier ends it without a payout: any tick after the entry, and also the entry tick
    if the barrier is absolute. Priced by `exchange.pricing.knockouts`.
    """

    is_path_dependent = True
    takes = frozenset({"barrier", "payout_per_point"})
    decimals = 6
    no_sale_before_end = NO_SALE_BEFORE_END

    def __init__(self, name: str, display: str, *, rises: bool) -> None:
        self.name = name
        self.rises = rises
        self.side = -1 if rises else 1
        """The side of the spot on which the barrier is: -1 below, 1 above."""
        self.listing = Listing(
            category="turbos",
            category_display="Turbos Options",
            display=display,
            sentiment="up" if rises else "down",
            barrier_category="american",
            durations=FEW_TICKS_OR_TIME,
            decides=Decides.PATH,
        )

    def family_margin(self, margins: Margins) -> float:
        """The margin on turbos."""
        return margins.turbo

    def distances(self) -> tuple[float, ...]:
        """From 0.3 to 1.5 standard deviations."""
        return tuple(self.side * far for far in (0.3, 0.6, 0.9, 1.2, 1.5))

    def worth(self, spot: int, strike: int, distribution: PriceDistribution) -> float:
        """The value of one contract, in pips; 0 if the spot is at or beyond the barrier."""
        if (strike - spot) * self.side <= 0:
            return 0.0
        return turbo(spot, strike, distribution)

    def strike_of(
        self, terms: PerPointTerms, request: QuoteRequest, market: MarketView, dearer: float
    ) -> Barrier:
        """The requested barrier, or the one that follows from the requested payout per point."""
        if request.payout_per_point is not None:
            if request.barrier is not None:
                raise invalid("payout_per_point", "Give barrier or payout_per_point, not both.")
            return self._solved(request.payout_per_point, terms, market, dearer)
        strike = self.parsed(request, terms, market)
        spot = market.tick.pips
        away = (strike.level(spot) - spot) * self.side
        if away <= 0:
            side = "below" if self.rises else "above"
            raise self.refused(
                f"The barrier of {self.name} must be {side} the spot.", terms, market
            )
        first = terms.entry_epoch if strike.is_relative else market.tick.epoch
        least, most = self._bounds(spot, market.distribution(first, self.exit_epoch(terms)))
        if not least <= away <= most:
            symbol = terms.symbol
            raise self.refused(
                f"The barrier must be from {symbol.text(least)} to {symbol.text(most)} away from"
                " the spot.",
                terms,
                market,
            )
        return strike

    def _bounds(self, spot: int, distribution: PriceDistribution) -> tuple[int, int]:
        """The least and the greatest distance of the barrier from the spot, in pips."""
        near, far = (max(1, round(share * spot * distribution.sd)) for share in TURBO_DISTANCES)
        return near, min(far, deepest(spot)) if self.rises else far

    def _solved(
        self, payout: Decimal, terms: PerPointTerms, market: MarketView, dearer: float
    ) -> Barrier:
        """The farthest barrier, in whole pips, at which the stake buys this payout per point."""
        spot, distribution = (
            market.tick.pips,
            market.distribution(terms.entry_epoch, self.exit_epoch(terms)),
        )

        def bought(away: int) -> Decimal:
            cost = self.worth(spot, spot + self.side * away, distribution) * dearer
            return rounded(terms.stake / (cost * units_a_pip(terms)), self.decimals)

        least, most = self._bounds(spot, distribution)
        highest, lowest = bought(least), bought(most)
        if not lowest <= payout <= highest:
            raise not_offered(
                f"The payout per point must be from {lowest:f} to {highest:f}.", "payout_per_point"
            )
        while most - least > 1:  # the payout per point falls as the barrier moves away
            middle = (least + most) // 2
            least, most = (middle, most) if bought(middle) >= payout else (least, middle)
        return Barrier(self.side * (most if bought(most) >= payout else least))

    def payout_choices(
        self, terms: PerPointTerms, market: MarketView, margins: Margins
    ) -> list[Decimal]:
        """The payout per point that the stake buys at each of the `choices`."""
        spot = market.tick.pips
        distribution = self.distribution(terms, unentered(terms, market.tick), market)
        dearer = (1 + self.family_margin(margins)) * units_a_pip(terms)
        return [
            rounded(
                terms.stake / (self.worth(spot, strike.level(spot), distribution) * dearer),
                self.decimals,
            )
            for strike in self.choices(terms, market)
        ]

    def sentence(self, terms: PerPointTerms) -> str:
        """The longcode: what it pays for, and what ends it."""
        side, beyond = ("above", "below") if self.rises else ("below", "above")
        barrier = wording.level(terms.barrier, terms.symbol)
        return (
            f"{per_point_text(terms)} is {side} {barrier} {wording.at_end(terms)}, unless it is at"
            f" or {beyond} that at any tick before."
        )

    def trigger(self, terms: PerPointTerms, state: ContractState[None]) -> Trigger:
        """The exit tick, or an earlier one at or beyond the barrier."""
        if state.entry is None:
            return super().trigger(terms, state)
        level, until = self.level(terms, state, 0), self.exit_epoch(terms)
        return Trigger(until, low=level) if self.rises else Trigger(until, high=level)

    def decide(
        self, terms: PerPointTerms, state: ContractState[None], tick: Tick
    ) -> Outcome | None:
        """Check the barrier first, then the exit."""
        assert state.entry is not None  # noqa: S101 - the entry comes first
        counts = tick.epoch > state.entry.epoch or not (terms.barrier or AT_ENTRY).is_relative
        if counts and (tick.pips - self.level(terms, state, 0)) * self.side >= 0:
            return Outcome(Status.LOST, tick, 0)
        return super().decide(terms, state, tick)
