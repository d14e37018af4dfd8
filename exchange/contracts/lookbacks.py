"""Lookbacks: they pay the difference of two of close, high and low, times a multiplier."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from scopegate.exchange.contracts.common import short_fields, wording
from scopegate.exchange.contracts.common.bounds import check_stake
from scopegate.exchange.contracts.common.contract_type import ContractType, Quote, check_time_left
from scopegate.exchange.contracts.common.listing import Decides, Durations, Listing
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import invalid
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Status,
    Tick,
    Trigger,
    unentered,
)
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.extremes import forward, highest, lowest
from scopegate.exchange.rules import PRICE_TOLERANCE, Margins
from scopegate.runtime.pickling import quickly_pickled

_SHORT = re.compile(short_fields.PLAIN, re.ASCII)

_MEANS: Final[Mapping[str, Callable[[int, int, int, PriceDistribution], float]]] = {
    "close": lambda spot, low, high, distribution: forward(spot, distribution),
    "low": lambda spot, low, high, distribution: lowest(spot, low, distribution),
    "high": lambda spot, low, high, distribution: highest(spot, high, distribution),
}


class Extremes(NamedTuple):
    """The lowest and the highest price since the entry, in pips."""

    low: int
    high: int


@quickly_pickled
@dataclass(frozen=True, slots=True, kw_only=True)
class LookbackTerms(Terms):
    """The terms of a lookback."""

    multiplier: int
    """The payout for a price difference of 1.0, in smallest units of money."""


class Lookback(ContractType[LookbackTerms, Extremes]):
    """A contract that pays the multiplier for each 1.0 by which one price exceeds another.

    Each is the close, the highest or the lowest price from the entry tick to the exit tick, both
    included. The memory is the lowest and the highest price so far. Priced by
    `exchange.pricing.extremes`.
    """

    is_path_dependent = True
    remembers = True
    takes = frozenset({"multiplier"})

    def __init__(self, name: str, display: str, sentiment: str, *, upper: str, lower: str) -> None:
        """`upper` less `lower` is paid; each is `close`, `high` or `low`."""
        self.name = name
        self._upper = upper
        self._lower = lower
        self.listing = Listing(
            category="lookback",
            category_display="Lookbacks",
            display=display,
            sentiment=sentiment,
            barrier_category="lookback",
            durations=Durations(seconds=(60, 1_800)),
            decides=Decides.PATH,
        )

    def amount(self, request: QuoteRequest) -> Decimal | None:
        """The multiplier, which a request gives as `multiplier` or as `amount`."""
        if request.multiplier is None:
            return request.amount
        if request.amount not in (None, request.multiplier):
            raise invalid("amount", "Leave it out, or give the same value as multiplier.")
        return request.multiplier

    def quote(
        self,
        terms: Terms,
        amount: int,
        request: QuoteRequest,
        market: MarketView,
        margins: Margins,
    ) -> Quote[LookbackTerms]:
        """The value plus the margin, rounded up, plus a markup, rounded down.

        Margin and markup are shares of the value.
        """
        if request.basis not in (None, "multiplier"):
            raise invalid("basis", "Leave it out: the amount of a lookback is its multiplier.")
        agreed = terms.extended(LookbackTerms, multiplier=amount)
        worth = self.worth(agreed, unentered(agreed, market.tick), market)
        price = math.ceil(round(worth * (1 + margins.lookback), 6))
        check_stake(price, terms.currency)
        markup = int(worth * float(request.markup))
        return Quote(agreed, price + markup, market.tick, markup=markup)

    def has_moved(
        self, proposed: Quote[LookbackTerms], present: Quote[LookbackTerms], margins: Margins
    ) -> bool:
        """Compare the price, of which the margin is a share."""
        margin = proposed.price * margins.lookback / (1 + margins.lookback)
        return present.price - proposed.price > margin * PRICE_TOLERANCE

    def worth(
        self, terms: LookbackTerms, state: ContractState[Extremes], market: MarketView
    ) -> float:
        """The expected payout, in smallest units."""
        spot = market.tick.pips
        low, high = state.memory or (spot, spot)
        distribution = self.distribution(terms, state, market)
        upper, lower = (
            _MEANS[price](spot, low, high, distribution) for price in (self._upper, self._lower)
        )
        return terms.multiplier * terms.symbol.pip * (upper - lower)

    def value(
        self,
        terms: LookbackTerms,
        state: ContractState[Extremes],
        market: MarketView,
        margins: Margins,
    ) -> int:
        """The value less half the margin, rounded down."""
        worth = self.worth(terms, state, market) * (1 - margins.lookback / 2)
        return max(0, math.floor(worth))

    def fair_value(
        self, terms: LookbackTerms, state: ContractState[Extremes], market: MarketView
    ) -> float:
        """The value."""
        return self.worth(terms, state, market)

    def check_sale(self, terms: LookbackTerms, state: ContractState[Extremes], now: int) -> None:
        """Raise `Refusal` also shortly before the end (`NO_SALE_BEFORE_END`)."""
        super().check_sale(terms, state, now)
        check_time_left(terms, now)

    def sentence(self, terms: LookbackTerms) -> str:
        """The longcode: what is paid for which difference."""
        words = {"close": "closing", "high": "highest", "low": "lowest"}
        pays = wording.money(terms.multiplier, terms)
        return (
            f"Pays {pays} for each 1.00 by which the {words[self._upper]} price of"
            f" {terms.symbol.display_name} exceeds the {words[self._lower]} one, from the entry"
            f" spot until {wording.end(terms)}."
        )

    def barriers(
        self, terms: LookbackTerms, entry: int, memory: Extremes | None
    ) -> tuple[str, ...]:
        """The highest and the lowest price so far, if the payout depends on them."""
        if memory is None:
            return ()
        reached = (("high", memory.high), ("low", memory.low))
        paid = (pips for name, pips in reached if name in (self._upper, self._lower))
        return tuple(map(terms.symbol.text, paid))

    def encode(self, terms: LookbackTerms) -> str:
        """Multiplier, start and end."""
        return short_fields.plain(terms, terms.multiplier)

    def decode(self, text: str, terms: Terms) -> LookbackTerms:
        """The terms that `encode` wrote."""
        multiplier, terms = short_fields.read_plain(terms, *short_fields.match(_SHORT, text))
        if terms.expiry is None:
            raise ValueError(text)
        return terms.extended(LookbackTerms, multiplier=multiplier)

    def remember(
        self, terms: LookbackTerms, state: ContractState[Extremes], tick: Tick
    ) -> Extremes:
        """The lowest and the highest price so far."""
        low, high = state.memory or (tick.pips, tick.pips)
        return Extremes(min(low, tick.pips), max(high, tick.pips))

    def trigger(self, terms: LookbackTerms, state: ContractState[Extremes]) -> Trigger:
        """The exit tick, or an earlier one that is a new extreme."""
        if state.memory is None:
            return super().trigger(terms, state)
        low, high = state.memory
        return Trigger(self.exit_epoch(terms), low=low - 1, high=high + 1)

    def decide(
        self, terms: LookbackTerms, state: ContractState[Extremes], tick: Tick
    ) -> Outcome | None:
        """Decide at the exit tick; the payout is rounded down."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        low, high = state.memory or (tick.pips, tick.pips)
        prices = {"close": tick.pips, "low": low, "high": high}
        difference = prices[self._upper] - prices[self._lower]
        pays = terms.multiplier * difference // 10**terms.symbol.digits
        return Outcome(Status.WON if pays else Status.LOST, tick, pays)
