"""Lookbacks: what lies between the close, the highest and the lowest price, times a multiplier."""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from scopegate.exchange.contracts import short_fields, wording
from scopegate.exchange.contracts.bounds import check_stake
from scopegate.exchange.contracts.life import (
    ContractType,
    End,
    Life,
    Offer,
    Sight,
    Status,
    Tick,
    Watch,
    check_time_left,
    unentered,
)
from scopegate.exchange.contracts.listing import Durations, Listing
from scopegate.exchange.contracts.terms import Terms, Wish, invalid
from scopegate.exchange.outlook import Outlook
from scopegate.exchange.pricing.lookbacks import forward, highest, lowest
from scopegate.exchange.rules import HONOURED, Margins

_SHORT = re.compile(short_fields.PLAIN, re.ASCII)

_MEANS: Final[Mapping[str, Callable[[int, int, int, Outlook], float]]] = {
    "close": lambda spot, low, high, outlook: forward(spot, outlook),
    "low": lambda spot, low, high, outlook: lowest(spot, low, outlook),
    "high": lambda spot, low, high, outlook: highest(spot, high, outlook),
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

    def amount(self, wish: Wish) -> Decimal | None:
        """The multiplier, by either name."""
        if wish.multiplier is None:
            return wish.amount
        if wish.amount not in (None, wish.multiplier):
            raise invalid("amount", "The amount of a lookback is its multiplier: give it once.")
        return wish.multiplier

    def quote(self, terms: Terms, wish: Wish, sight: Sight, margins: Margins) -> Offer:
        """What it is worth, the margin and a markup, each a share of that; rounded up."""
        if wish.basis not in (None, "multiplier"):
            raise invalid("basis", "The amount of a lookback is its multiplier: leave basis out.")
        worth = self.worth(terms, unentered(terms, sight.tick), sight)
        price = math.ceil(round(worth * (1 + margins.lookback), 6))
        check_stake(price, terms.currency)
        markup = int(worth * float(wish.markup))
        return Offer(terms, price + markup, sight.tick, markup=markup)

    def has_moved(self, proposed: Offer, present: Offer, margins: Margins) -> bool:
        """By the price."""
        kept = proposed.price * margins.lookback / (1 + margins.lookback)
        return present.price - proposed.price > kept * HONOURED

    def worth(self, terms: Terms, life: Life, sight: Sight) -> float:
        """What it pays in the mean, in smallest units."""
        spot = sight.tick.pips
        low, high = life.kept or (spot, spot)
        outlook = self.outlook(terms, life, sight)
        upper, lower = (
            _MEANS[price](spot, low, high, outlook) for price in (self._upper, self._lower)
        )
        return terms.amount * terms.symbol.pip * (upper - lower)

    def value(self, terms: Terms, life: Life, sight: Sight, margins: Margins) -> int:
        """What it is worth less half the margin, rounded down."""
        worth = self.worth(terms, life, sight) * (1 - margins.lookback / 2)
        return max(0, math.floor(worth))

    def check_sale(self, terms: Terms, life: Life, now: int) -> None:
        """It is not bought back shortly before its end."""
        super().check_sale(terms, life, now)
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

    def remember(self, terms: Terms, life: Life, tick: Tick) -> tuple[int, ...]:
        """The lowest and the highest price."""
        low, high = life.kept or (tick.pips, tick.pips)
        return min(low, tick.pips), max(high, tick.pips)

    def watch(self, terms: Terms, life: Life) -> Watch:
        """Until the exit, or a new extreme."""
        if not life.kept:
            return super().watch(terms, life)
        low, high = life.kept
        return Watch(self.exit_epoch(terms), low=low - 1, high=high + 1)

    def decide(self, terms: Terms, life: Life, tick: Tick) -> End | None:
        """The exit tick decides; what it pays is rounded down."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        low, high = life.kept
        prices = {"close": tick.pips, "low": low, "high": high}
        difference = prices[self._upper] - prices[self._lower]
        pays = terms.amount * difference // 10**terms.symbol.digits
        return End(Status.WON if pays else Status.LOST, tick, pays)
