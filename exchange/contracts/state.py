"""A contract's life, a pure state machine over the ticks of its symbol.

Rules:
- A life depends on the terms and the ticks alone: followed tick by tick while a gateway runs, or
  made up for afterwards, it comes to the same end at the same tick.
- A type of contracts tells by `trigger` until when, and between which prices, no tick changes
  anything; all other ticks are skipped. What a watched tick brings is told by `step`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from scopegate.exchange.contracts.listing import Listing
from scopegate.exchange.contracts.terms import QuoteRequest, Refusal, Terms
from scopegate.exchange.distribution import Growth, PriceDistribution
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import NO_SALE_BEFORE_END, Margins
from scopegate.exchange.symbols import DAY, Symbol


class Status(StrEnum):
    """How a contract stands."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"
    SOLD = "sold"
    CANCELLED = "cancelled"


class Tick(NamedTuple):
    """A price of the market, in pips, and its moment."""

    epoch: int
    pips: int
    growth: Growth = Growth()
    """The expected growth of the price up to here, if it was asked for."""


class Outcome(NamedTuple):
    """How a contract ended: at which tick, and what it pays in smallest units."""

    status: Status
    tick: Tick
    pays: int


class Trigger(NamedTuple):
    """Nothing happens before the tick at `until` while every tick is between `low` and `high`."""

    until: int
    low: int | None = None
    """A tick at or below it matters."""
    high: int | None = None
    """A tick at or above it matters."""

    def matters(self, tick: Tick) -> bool:
        """Whether this tick may change something."""
        return (
            tick.epoch >= self.until
            or (self.low is not None and tick.pips <= self.low)
            or (self.high is not None and tick.pips >= self.high)
        )


@dataclass(frozen=True, slots=True)
class ContractState:
    """Where a contract stands after the ticks that it has seen."""

    spot: Tick
    """The latest tick when it started."""
    seen: int
    """The epoch up to which it has been followed."""
    entry: Tick | None = None
    last: Tick | None = None
    """The latest relevant tick, kept by types that compare later ones with it."""
    outcome: Outcome | None = None
    kept: tuple[int, ...] = ()
    """What its type remembers of the ticks since the entry, in pips: see its `remember`."""


class MarketView(NamedTuple):
    """What may be known of a symbol at a moment: the latest tick, and how it may go on."""

    tick: Tick
    distribution: Callable[[int, int], PriceDistribution]
    """From the tick at one epoch to the tick at another, neither before the latest."""


def latest(feed: Feed, symbol: Symbol, epoch: int) -> Tick:
    """The last tick at or before the epoch."""
    return Tick(symbol.last_tick(epoch), feed.price(symbol, epoch))


def tick_of(terms: Terms, feed: Feed, epoch: int) -> Tick:
    """The last tick at or before the epoch, with its growth if these terms need it."""
    tick = latest(feed, terms.symbol, epoch)
    return with_growth(tick, feed, terms.symbol) if terms.is_financed else tick


def with_growth(tick: Tick, feed: Feed, symbol: Symbol) -> Tick:
    """The tick, with the expected growth up to it."""
    return tick._replace(growth=feed.growth(symbol, tick.epoch))


def market_view(feed: Feed, symbol: Symbol, epoch: int) -> MarketView:
    """What may be known at an epoch."""
    tick = with_growth(latest(feed, symbol, epoch), feed, symbol)
    return MarketView(tick, lambda first, last: feed.distribution(symbol, tick.epoch, first, last))


@dataclass(frozen=True, slots=True)
class Quote:
    """A contract, and what it costs at the spot of a moment."""

    terms: Terms
    price: int
    """What is paid for it, in smallest units."""
    spot: Tick
    payout: int = 0
    """What it pays if it is won, in smallest units; 0 where that is open."""
    ask: int = 0
    """The price in millionths of the payout, before it is rounded to money. Where there is no
    payout, what one contract costs in millionths of smallest units; 0 where nothing is counted."""
    cancellation_price: int = 0
    """How much of the price is for being able to cancel."""
    markup: int = 0
    """How much of the price is for the owner of the app, in smallest units."""
    largest_stake: int = 0
    """The most that may be paid for its kind, where that is not the same for all."""

    def without_markup(self) -> "Quote":
        """The same contract where nobody gets a markup."""
        return replace(self, price=self.price - self.markup, markup=0)


class ContractType(ABC):
    """How contracts of one type are offered, watched, decided and valued."""

    name: str
    listing: Listing
    takes: frozenset[str] = frozenset()
    """Which fields of a wish it takes beside those that every type has."""
    most_open: int | None = None
    """How many of the type an account may have open at once, where that is bounded."""
    is_path_dependent = False
    """Whether a tick between the entry and the last has a say in what it pays."""
    remembers = False
    """Whether it keeps something of the ticks on its way."""
    barrier_is_digit = False
    """Whether what a client writes as the barrier is a digit."""
    counts_entry = False
    """Whether the entry tick is the first of those that are counted."""

    def amount(self, request: QuoteRequest) -> Decimal | None:
        """The amount that a wish names."""
        return request.amount

    @abstractmethod
    def quote(
        self, terms: Terms, request: QuoteRequest, market: MarketView, margins: Margins
    ) -> Quote:
        """The offer of a contract, from terms that have all but what this type needs of the wish.

        `terms.amount` is the amount of the wish. Raises `Refusal` where nothing is offered.
        """

    @abstractmethod
    def has_moved(self, proposed: Quote, present: Quote, margins: Margins) -> bool:
        """Whether the price has risen by more than `PRICE_TOLERANCE` of what the exchange keeps."""

    def locked(self, proposed: Terms, present: Terms) -> Terms:
        """The present terms, with what the price of the proposed ones buys."""
        return replace(present, amount=proposed.amount)

    @abstractmethod
    def sentence(self, terms: Terms) -> str:
        """The longcode: what must happen for the contract to pay, and what it pays."""

    @abstractmethod
    def encode(self, terms: Terms) -> str:
        """What a shortcode tells of the terms, after the type and the symbol."""

    @abstractmethod
    def decode(self, text: str, terms: Terms) -> Terms:
        """The terms with what `encode` wrote. Raises as `short_fields` does for other text."""

    @abstractmethod
    def decide(self, terms: Terms, state: ContractState, tick: Tick) -> Outcome | None:
        """What this tick, at or after the entry, makes of an open contract that has its entry."""

    @abstractmethod
    def value(
        self, terms: Terms, state: ContractState, market: MarketView, margins: Margins
    ) -> int:
        """What the exchange pays for the open contract now, in smallest units."""

    def barriers(self, terms: Terms, entry: int, kept: tuple[int, ...]) -> tuple[str, ...]:
        """The barriers as clients see them: none, one, or the higher and the lower.

        Of a contract that is entered at this price, and remembers this.
        """
        return ()

    def remember(self, terms: Terms, state: ContractState, tick: Tick) -> tuple[int, ...]:
        """What is kept after one more tick, at or after the entry.

        Of ticks that need not be watched it depends in nothing.
        """
        return state.kept

    def trigger(self, terms: Terms, state: ContractState) -> Trigger:
        """When the open contract must be looked at again."""
        return Trigger(self.exit_epoch(terms) if state.entry is not None else terms.entry_epoch)

    def exit_epoch(self, terms: Terms) -> int:
        """The last tick that can matter."""
        symbol = terms.symbol
        if terms.ticks is not None:
            return symbol.next_tick(terms.entry_epoch, terms.ticks - self.counts_entry)
        assert terms.expiry is not None  # noqa: S101 - every contract has one of the two
        return symbol.last_tick(terms.expiry)

    def distribution(
        self, terms: Terms, state: ContractState, market: MarketView
    ) -> PriceDistribution:
        """How the price goes on until the exit.

        From the latest tick; but where the entry is awaited, and the barrier is relative to it,
        from the entry on.
        """
        from_entry = terms.barrier is None or terms.barrier.is_relative
        first = terms.entry_epoch if state.entry is None and from_entry else market.tick.epoch
        return market.distribution(first, self.exit_epoch(terms))

    def step(self, terms: Terms, state: ContractState, tick: Tick) -> ContractState:
        """The life after one more tick."""
        entry = state.entry
        if entry is None:
            if tick.epoch < terms.entry_epoch:
                return replace(state, seen=tick.epoch)
            state = replace(state, entry=tick)
        state = replace(state, seen=tick.epoch, kept=self.remember(terms, state, tick))
        outcome = self.decide(terms, state, tick)
        return state if outcome is None else replace(state, outcome=outcome)

    def check_sale(self, terms: Terms, state: ContractState, now: int) -> None:
        """Raise `Refusal` unless the open contract is bought back at this moment."""
        check_hours(terms.symbol, now)
        if state.entry is None:
            raise unsaleable("Waiting for its entry tick: a contract is not bought back before it.")


def check_hours(symbol: Symbol, now: int) -> None:
    """Raise `Refusal` while the symbol's market is closed."""
    if not symbol.is_open(now):
        raise Refusal("MarketIsClosed", "This market is presently closed.")


def unsaleable(why: str) -> Refusal:
    """The contract is not bought back, at present or ever."""
    return Refusal("InvalidSellContractProposal", why)


def check_time_left(terms: Terms, now: int, least: int = NO_SALE_BEFORE_END) -> None:
    """Raise `Refusal` for a contract that lasts for ticks, or ends in so few seconds."""
    if terms.expiry is None:
        raise unsaleable("A contract that lasts for ticks is not bought back.")
    if terms.expiry - now <= least:
        raise unsaleable(f"This contract is not bought back in its last {least} seconds.")


def unentered(terms: Terms, spot: Tick) -> ContractState:
    """The life of a contract that has seen no tick yet, with the latest tick when it started."""
    return ContractState(spot, terms.entry_epoch - 1)


def begin(terms: Terms, feed: Feed) -> ContractState:
    """The life of a contract that has seen no tick yet."""
    return unentered(terms, latest(feed, terms.symbol, terms.start))


def resume(terms: Terms, feed: Feed, seen: int) -> ContractState:
    """The life of a contract that is known to be entered, and open after the ticks up to `seen`."""
    entry = tick_of(terms, feed, terms.entry_epoch)
    start = latest(feed, terms.symbol, terms.start)
    return ContractState(start, seen, entry, last=tick_of(terms, feed, seen))


def replay(
    kind: ContractType, terms: Terms, state: ContractState, feed: Feed, last: int
) -> ContractState:
    """The life after all ticks up to the epoch `last`, or at its end."""
    while state.outcome is None and state.seen < last:
        epoch = _next(terms.symbol, state.seen, kind.trigger(terms, state), feed, last)
        if epoch is None:
            return replace(state, seen=last)
        state = kind.step(terms, state, tick_of(terms, feed, epoch))
    return state


def _next(symbol: Symbol, seen: int, trigger: Trigger, feed: Feed, last: int) -> int | None:
    """The epoch of the first relevant tick after `seen`, up to `last`."""
    first = symbol.next_tick(seen)
    until = min(trigger.until, last)
    if trigger.low is not None or trigger.high is not None:
        low = -1 if trigger.low is None else trigger.low
        high = np.iinfo(np.int64).max if trigger.high is None else trigger.high
        while first <= until:
            ticks = feed.ticks(symbol, first, min(until, first + DAY - 1))
            beyond = np.flatnonzero((ticks.pips <= low) | (ticks.pips >= high))
            if beyond.size:
                return int(ticks.epochs[beyond[0]])
            first += DAY
    if trigger.until > last:
        return None
    return symbol.last_tick(trigger.until)
