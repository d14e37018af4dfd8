"""Lookbacks: what lies between the close, the highest and the lowest price, times a multiplier."""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from scopegate.exchange.contracts import short_fields, wording
from scopegate.exchange.contracts.bounds import check_stake
from scopegate.exchange.contracts.listing import Durations, Listing
from scopegate.exchange.contracts.state import (
    ContractState,
    ContractType,
    MarketView,
    Outcome,
    Quote,
    Status,
    Tick,
    Trigger,
    check_time_left,
    unentered,
)
from scopegate.exchange.contracts.terms import QuoteRequest, Terms, invalid
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.pricing.lookbacks import forward, highest, lowest
from scopegate.exchange.rules import PRICE_TOLERANCE, Margins

_SHORT = re.compile(short_fields.PLAIN, re.ASCII)

_MEANS: Final[Mapping[str, Callable[[int, int, int, PriceDistribution], float]]] = {
    "close": lambda spot, low, high, distribution: forward(spot, distribution),
    "low": lambda spot, low, high, distribution: lowest(spot, low, distribution),
    "high": lambda spot, low, high, distribution: highest(spot, high, distribution),
}


class Lookback(ContractType):
    """Pays `terms.amount` for each 1 by which one price of its time exceeds another.

    Each is the close, the highest or the lowest; entry and exit tick are among them. It remembers
    the lowest and the highest so far. Priced by `exchange.pricing.lookbacks`.
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
        )

    def amount(self, request: QuoteRequest) -> Decimal | None:
        """The multiplier, by either name."""
        if request.multiplier is None:
            return request.amount
        if request.amount not in (None, request.multiplier):
            raise invalid("amount", "The amount of a lookback is its multiplier: give it once.")
        return request.multiplier

    def quote(
        self, terms: Terms, request: QuoteRequest, market: MarketView, margins: Margins
    ) -> Quote:
        """What it is worth, the margin and a markup, each a share of that; rounded up."""
        if request.basis not in (None, "multiplier"):
            raise invalid("basis", "The amount of a lookback is its multiplier: leave basis out.")
        worth = self.worth(terms, unentered(terms, market.tick), market)
        price = math.ceil(round(worth * (1 + margins.lookback), 6))
        check_stake(price, terms.currency)
        markup = int(worth * float(request.markup))
        return Quote(terms, price + markup, market.tick, markup=markup)

    def has_moved(self, proposed: Quote, present: Quote, margins: Margins) -> bool:
        """By the price."""
        kept = proposed.price * margins.lookback / (1 + margins.lookback)
        return present.price - proposed.price > kept * PRICE_TOLERANCE

    def worth(self, terms: Terms, state: ContractState, market: MarketView) -> float:
        """What it pays in the mean, in smallest units."""
        spot = market.tick.pips
        low, high = state.kept or (spot, spot)
        distribution = self.distribution(terms, state, market)
        upper, lower = (
            _MEANS[price](spot, low, high, distribution) for price in (self._upper, self._lower)
        )
        return terms.amount * terms.symbol.pip * (upper - lower)

    def value(
        self, terms: Terms, state: ContractState, market: MarketView, margins: Margins
    ) -> int:
        """What it is worth less half the margin, rounded down."""
        worth = self.worth(terms, state, market) * (1 - margins.lookback / 2)
        return max(0, math.floor(worth))

    def check_sale(self, terms: Terms, state: ContractState, now: int) -> None:
        """It is not bought back shortly before its end."""
        super().check_sale(terms, state, now)
        check_time_left(terms, now)

    def sentence(self, terms: Terms) -> str:
        """What is paid for what."""
        words = {"close": "closing", "high": "highest", "low": "lowest"}
        return (
            f"Pays {wording.money(terms)} for each 1.00 by which the {words[self._upper]} price of"
            f" {terms.symbol.display_name} exceeds the {words[self._lower]} one, from the entry"
            f" spot until {wording.end(terms)}."
        )

    def barriers(self, terms: Terms, entry: int, kept: tuple[int, ...]) -> tuple[str, ...]:
        """The highest and the lowest price so far, as far as they are paid for."""
        if not kept:
            return ()
        reached = dict(zip(("low", "high"), kept, strict=True))
        named = (reached[name] for name in ("high", "low") if name in (self._upper, self._lower))
        return tuple(map(terms.symbol.text, named))

    def encode(self, terms: Terms) -> str:
        """Multiplier, start and end."""
        return short_fields.plain(terms)

    def decode(self, text: str, terms: Terms) -> Terms:
        """What `encode` wrote."""
        terms = short_fields.read_plain(terms, *short_fields.match(_SHORT, text))
        if terms.expiry is None:
            raise ValueError(text)
        return terms

    def remember(self, terms: Terms, state: ContractState, tick: Tick) -> tuple[int, ...]:
        """The lowest and the highest price."""
        low, high = state.kept or (tick.pips, tick.pips)
        return min(low, tick.pips), max(high, tick.pips)

    def trigger(self, terms: Terms, state: ContractState) -> Trigger:
        """Until the exit, or a new extreme."""
        if not state.kept:
            return super().trigger(terms, state)
        low, high = state.kept
        return Trigger(self.exit_epoch(terms), low=low - 1, high=high + 1)

    def decide(self, terms: Terms, state: ContractState, tick: Tick) -> Outcome | None:
        """The exit tick decides; what it pays is rounded down."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        low, high = state.kept
        prices = {"close": tick.pips, "low": low, "high": high}
        difference = prices[self._upper] - prices[self._lower]
        pays = terms.amount * difference // 10**terms.symbol.digits
        return Outcome(Status.WON if pays else Status.LOST, tick, pays)
