"""The base class of contract types, and the pure state machine that replays a contract.

Rules:
- A state depends only on the terms and the ticks: followed tick by tick while a gateway runs, or
  replayed afterwards, a contract ends at the same tick with the same outcome.
- `ContractType.trigger` returns the next tick that can change a contract; all before it are
  skipped. `ContractType.step` applies such a tick.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np

from scopegate.exchange.contracts.common.listing import Listing
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal, unsaleable
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    MemoryT,
    Outcome,
    Tick,
    Trigger,
    latest,
    tick_of,
)
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import NO_SALE_BEFORE_END, Margins
from scopegate.exchange.symbols import DAY, Symbol
from scopegate.runtime.pickling import quickly_pickled

TermsT = TypeVar("TermsT", bound=Terms)


class Orders(NamedTuple):
    """The orders of a contract: it closes automatically at this profit or loss (smallest units)."""

    take_profit: int | None = None
    stop_loss: int | None = None


NO_ORDERS = Orders()


class StoredTerms(NamedTuple):
    """The terms that a shortcode does not contain; they are stored next to it."""

    commission: int = 0
    is_financed: bool = False
    orders: Orders = NO_ORDERS


@quickly_pickled
@dataclass(frozen=True, slots=True)
class Quote(Generic[TermsT]):
    """The terms of a contract, and its price at a spot; money in smallest units.

    Shapes of contracts that need more fields subclass it.
    """

    terms: TermsT
    price: int
    """The total price of the contract, with markup and cancellation fee."""
    spot: Tick
    payout: int = 0
    """The payout if the contract is won; 0 if that is not fixed."""
    markup: int = 0
    """The part of the price that goes to the owner of the app."""
    cancellation_price: int = 0
    """The part of the price that buys the right to cancel."""

    def without_markup(self) -> "Quote[TermsT]":
        """The same quote without its markup."""
        return replace(self, price=self.price - self.markup, markup=0)


class ContractType(ABC, Generic[TermsT, MemoryT]):
    """A type of contract: how it is quoted, replayed, decided, valued and encoded.

    `TermsT` is the shape of its terms, `MemoryT` what it remembers of the ticks.
    """

    name: str
    listing: Listing
    takes: frozenset[str] = frozenset()
    """The fields of a quote request that it takes in addition to those of every type."""
    most_open: int | None = None
    """The number of open contracts of the type that an account may have; `None`: no limit."""
    is_path_dependent = False
    """Whether a tick between the entry tick and the last one can change the outcome."""
    remembers = False
    """Whether its memory is needed to show a closed contract."""
    barrier_is_digit = False
    """Whether the client's barrier is a digit."""
    counts_entry = False
    """Whether the entry tick counts as the first tick of the duration."""

    # Quotes.

    def amount(self, request: QuoteRequest) -> Decimal | None:
        """The amount of a request, in units of the currency."""
        return request.amount

    @abstractmethod
    def quote(
        self,
        terms: Terms,
        amount: int,
        request: QuoteRequest,
        market: MarketView,
        margins: Margins,
    ) -> Quote[TermsT]:
        """The quote of a contract.

        `terms` has the symbol, the start and the end; `amount` is that of the request, in smallest
        units. Raises `Refusal` if no such contract is offered.
        """

    def costs_more(self, proposed: Any, present: Any) -> bool:
        """Whether the present quote is worse for the buyer than the proposed one."""
        return bool(present.price > proposed.price)

    @abstractmethod
    def has_moved(self, proposed: Any, present: Any, margins: Margins) -> bool:
        """Whether the price has risen by more than `PRICE_TOLERANCE` of the exchange's margin."""

    def locked_terms(self, proposed: TermsT, present: TermsT) -> TermsT:
        """The present terms, with those of the proposed terms that the proposed price pays for."""
        return present

    # The state machine.

    @abstractmethod
    def decide(self, terms: TermsT, state: ContractState[MemoryT], tick: Tick) -> Outcome | None:
        """The outcome, if this tick decides it; the tick is the entry tick or a later one."""

    def remember(self, terms: TermsT, state: ContractState[MemoryT], tick: Tick) -> MemoryT | None:
        """The memory after one more tick, at or after the entry.

        Skipping the ticks before `trigger` must not change any outcome.
        """
        return state.memory

    def trigger(self, terms: TermsT, state: ContractState[MemoryT]) -> Trigger:
        """The next tick that can change the open contract."""
        return Trigger(self.exit_epoch(terms) if state.entry is not None else terms.entry_epoch)

    def exit_epoch(self, terms: Terms) -> int:
        """The epoch of the last tick that can decide the outcome."""
        symbol = terms.symbol
        if terms.ticks is not None:
            return symbol.next_tick(terms.entry_epoch, terms.ticks - self.counts_entry)
        assert terms.expiry is not None  # noqa: S101 - every contract has one of the two
        return symbol.last_tick(terms.expiry)

    def step(
        self, terms: TermsT, state: ContractState[MemoryT], tick: Tick
    ) -> ContractState[MemoryT]:
        """The state after one more tick."""
        if state.entry is None:
            if tick.epoch < terms.entry_epoch:
                return replace(state, seen=tick.epoch)
            state = replace(state, entry=tick)
        state = replace(state, seen=tick.epoch, memory=self.remember(terms, state, tick))
        outcome = self.decide(terms, state, tick)
        return state if outcome is None else replace(state, outcome=outcome)

    # An open contract.

    @abstractmethod
    def value(
        self, terms: TermsT, state: ContractState[MemoryT], market: MarketView, margins: Margins
    ) -> int:
        """The price, in smallest units, at which the exchange buys back the open contract now."""

    @abstractmethod
    def fair_value(self, terms: TermsT, state: ContractState[MemoryT], market: MarketView) -> float:
        """The expected payout of the contract when it is bought, in smallest units, not rounded.

        It is what a quote would cost without the exchange's margin and without a markup.
        """

    def is_from_entry(self, terms: TermsT) -> bool:
        """Whether the outcome depends on prices relative to the entry spot."""
        return True

    def distribution(
        self, terms: TermsT, state: ContractState[MemoryT], market: MarketView
    ) -> PriceDistribution:
        """The distribution of the move up to the exit tick.

        From the latest tick; or from the entry tick, if that is ahead and `is_from_entry`.
        """
        is_ahead = state.entry is None and self.is_from_entry(terms)
        first = terms.entry_epoch if is_ahead else market.tick.epoch
        return market.distribution(first, self.exit_epoch(terms))

    def check_sale(self, terms: TermsT, state: ContractState[MemoryT], now: int) -> None:
        """Raise `Refusal` unless the open contract can be sold back at the epoch `now`."""
        check_hours(terms.symbol, now)
        if state.entry is None:
            raise unsaleable("Waiting for the entry tick: the contract cannot be sold before it.")

    def can_be_cancelled(self, terms: TermsT, moment: int) -> bool:
        """Whether the right to cancel was bought and has not ended."""
        return False

    def cancelled(self, terms: TermsT, tick: Tick, now: int) -> Outcome:
        """The outcome of a cancellation. Raises `Refusal` if it cannot be cancelled."""
        raise unsaleable("Deal cancellation was not bought with this contract.")

    # Orders: only the types of `exchange.contracts.common.orders` take them.

    def order_limits(self, terms: TermsT) -> Mapping[str, tuple[int, int]]:
        """The minimum and maximum of each order that it takes, in smallest units."""
        return {}

    def orders(self, terms: TermsT) -> Orders:
        """The orders of the contract."""
        return NO_ORDERS

    def with_orders(self, terms: TermsT, orders: Orders) -> TermsT:
        """The terms with these orders instead of all others. Raises `Refusal` if not allowed."""
        raise Refusal(
            "ContractUpdateNotAllowed",
            "Only the orders of multipliers and accumulators can be changed.",
        )

    def profit_at(self, terms: TermsT, state: ContractState[MemoryT], tick: Tick) -> int:
        """The profit of an entered contract with orders at this tick, in smallest units."""
        raise NotImplementedError

    # Longcode, barriers and shortcode.

    @abstractmethod
    def sentence(self, terms: TermsT) -> str:
        """The longcode: what must happen for the contract to pay, and what it pays."""

    def barriers(self, terms: TermsT, entry: int, memory: MemoryT | None) -> tuple[str, ...]:
        """The barriers as text for clients: none, one, or the higher and the lower.

        `entry` is the entry spot in pips.
        """
        return ()

    @abstractmethod
    def encode(self, terms: TermsT) -> str:
        """The part of the shortcode after type and symbol."""

    @abstractmethod
    def decode(self, text: str, terms: Terms) -> TermsT:
        """The terms that `encode` wrote.

        `terms` has the type, symbol and currency. Raises `ValueError`, `ArithmeticError` or
        `KeyError` for other text.
        """

    def stored(self, terms: TermsT) -> StoredTerms:
        """The terms that `encode` leaves out."""
        return StoredTerms()

    def with_stored(self, terms: TermsT, stored: StoredTerms) -> TermsT:
        """The decoded terms, completed by those that `encode` leaves out."""
        return terms


AnyContractType: TypeAlias = ContractType[Any, Any]


def check_hours(symbol: Symbol, now: int) -> None:
    """Raise `Refusal` while the symbol's market is closed."""
    if not symbol.is_open(now):
        raise Refusal("MarketIsClosed", "This market is presently closed.")


def check_time_left(terms: Terms, now: int, least: int = NO_SALE_BEFORE_END) -> None:
    """Raise `Refusal` for a contract that lasts for ticks, or ends within `least` seconds."""
    if terms.expiry is None:
        raise unsaleable("A contract with a duration in ticks cannot be sold before it ends.")
    if terms.expiry - now <= least:
        raise unsaleable(f"This contract cannot be sold in its last {least} seconds.")


def resume(kind: AnyContractType, terms: Terms, feed: Feed, seen: int) -> ContractState[Any]:
    """The state of a contract that was entered, and still open after the tick at `seen`.

    Only for types whose memory is the latest tick: only these have orders, which may have changed
    at `seen`, so that earlier ticks must not be replayed.
    """
    entry = tick_of(terms, feed, terms.entry_epoch)
    start = latest(feed, terms.symbol, terms.start)
    state: ContractState[Any] = ContractState(start, seen, entry)
    return replace(state, memory=kind.remember(terms, state, tick_of(terms, feed, seen)))


def replay(
    kind: AnyContractType, terms: Terms, state: ContractState[Any], feed: Feed, last: int
) -> ContractState[Any]:
    """The state after all ticks up to the epoch `last`, or when the contract ends before."""
    while state.outcome is None and state.seen < last:
        epoch = _next(terms.symbol, state.seen, kind.trigger(terms, state), feed, last)
        if epoch is None:
            return replace(state, seen=last)
        state = kind.step(terms, state, tick_of(terms, feed, epoch))
    return state


def _next(symbol: Symbol, seen: int, trigger: Trigger, feed: Feed, last: int) -> int | None:
    """The epoch of the first tick after `seen`, up to `last`, that can change the contract."""
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
