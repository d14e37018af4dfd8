"""Lookbacks: what lies between the close, the highest and the lowest price, times a multiplier."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LookbackTerms(Terms):
    """The terms of a lookback."""

    multiplier: int
    """What it pays for a difference of 1 in the price, in smallest units of money."""


class Lookback(ContractType[LookbackTerms, Extremes]):
    """Pays the multiplier for each 1 by which one price of its time exceeds another.

    Each is the close, the highest or the lowest; entry and exit tick are among them. It remembers
    the lowest and the highest so far. Priced by `exchange.pricing.extremes`.
    """

    is_path_dependent = True
    remembers = True
    takes = frozenset({"multiplier"})

    def __init__(self, name: str, display: str, sentiment: str, *, upper: str, lower: str) -> None:
        """`upper` less `lower` is paid: of `close`, `high` and `low`."""
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
        """The multiplier, by either name."""
        if request.multiplier is None:
            return request.amount
        if request.amount not in (None, request.multiplier):
            raise invalid("amount", "The amount of a lookback is its multiplier: give it once.")
        return request.multiplier

    def quote(
        self,
        terms: Terms,
        amount: int,
        request: QuoteRequest,
        market: MarketView,
        margins: Margins,
    ) -> Quote[LookbackTerms]:
        """The value, the margin and a markup, each a share of the value; rounded up."""
        if request.basis not in (None, "multiplier"):
            raise invalid("basis", "The amount of a lookback is its multiplier: leave basis out.")
        agreed = terms.extended(LookbackTerms, multiplier=amount)
        worth = self.worth(agreed, unentered(agreed, market.tick), market)
        price = math.ceil(round(worth * (1 + margins.lookback), 6))
        check_stake(price, terms.currency)
        markup = int(worth * float(request.markup))
        return Quote(agreed, price + markup, market.tick, markup=markup)

    def has_moved(
        self, proposed: Quote[LookbackTerms], present: Quote[LookbackTerms], margins: Margins
    ) -> bool:
        """By the price."""
        margin = proposed.price * margins.lookback / (1 + margins.lookback)
        return present.price - proposed.price > margin * PRICE_TOLERANCE

    def worth(
        self, terms: LookbackTerms, state: ContractState[Extremes], market: MarketView
    ) -> float:
        """What it pays in the mean, in smallest units."""
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
        """What it is worth less half the margin, rounded down."""
        worth = self.worth(terms, state, market) * (1 - margins.lookback / 2)
        return max(0, math.floor(worth))

    def check_sale(self, terms: LookbackTerms, state: ContractState[Extremes], now: int) -> None:
        """It is not bought back shortly before its end."""
        super().check_sale(terms, state, now)
        check_time_left(terms, now)

    def sentence(self, terms: LookbackTerms) -> str:
        """What is paid for what."""
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
        """The highest and the lowest price so far, as far as they are paid for."""
        if memory is None:
            return ()
        reached = (("high", memory.high), ("low", memory.low))
        paid = (pips for name, pips in reached if name in (self._upper, self._lower))
        return tuple(map(terms.symbol.text, paid))

    def encode(self, terms: LookbackTerms) -> str:
        """Multiplier, start and end."""
        return short_fields.plain(terms, terms.multiplier)

    def decode(self, text: str, terms: Terms) -> LookbackTerms:
        """What `encode` wrote."""
        multiplier, terms = short_fields.read_plain(terms, *short_fields.match(_SHORT, text))
        if terms.expiry is None:
            raise ValueError(text)
        return terms.extended(LookbackTerms, multiplier=multiplier)

    def remember(
        self, terms: LookbackTerms, state: ContractState[Extremes], tick: Tick
    ) -> Extremes:
        """The lowest and the highest price."""
        low, high = state.memory or (tick.pips, tick.pips)
        return Extremes(min(low, tick.pips), max(high, tick.pips))

    def trigger(self, terms: LookbackTerms, state: ContractState[Extremes]) -> Trigger:
        """Until the exit, or a new extreme."""
        if state.memory is None:
            return super().trigger(terms, state)
        low, high = state.memory
        return Trigger(self.exit_epoch(terms), low=low - 1, high=high + 1)

    def decide(
        self, terms: LookbackTerms, state: ContractState[Extremes], tick: Tick
    ) -> Outcome | None:
        """The exit tick decides; what it pays is rounded down."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        low, high = state.memory or (tick.pips, tick.pips)
        prices = {"close": tick.pips, "low": low, "high": high}
        difference = prices[self._upper] - prices[self._lower]
        pays = terms.multiplier * difference // 10**terms.symbol.digits
        return Outcome(Status.WON if pays else Status.LOST, tick, pays)
