"""The state of a contract over the ticks of its symbol, and the view of the market.

All classes here are pure values; `exchange.contracts.common.contract_type` has the state machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.distribution import Growth, PriceDistribution
from scopegate.exchange.feed import Feed
from scopegate.exchange.symbols import Symbol

MemoryT = TypeVar("MemoryT")


class Status(StrEnum):
    """The status of a contract."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"
    SOLD = "sold"
    CANCELLED = "cancelled"


class Tick(NamedTuple):
    """A price of the market, in pips, and its epoch."""

    epoch: int
    pips: int
    growth: Growth = Growth()
    """The expected growth of the price up to this tick, if it was requested."""


class Outcome(NamedTuple):
    """How a contract ended: its status, the tick that decided it, and what it pays.

    `pays` is in the smallest units of the currency.
    """

    status: Status
    tick: Tick
    pays: int


class Trigger(NamedTuple):
    """The next tick that can change a contract.

    That is the tick at `until`, or an earlier one at or below `low`, or at or above `high`.
    """

    until: int
    low: int | None = None
    high: int | None = None

    def matters(self, tick: Tick) -> bool:
        """Whether this tick can change the contract."""
        return (
            tick.epoch >= self.until
            or (self.low is not None and tick.pips <= self.low)
            or (self.high is not None and tick.pips >= self.high)
        )


@dataclass(frozen=True, slots=True)
class ContractState(Generic[MemoryT]):
    """The state of a contract after all ticks up to the epoch `seen`."""

    spot: Tick
    """The latest tick at the start of the contract."""
    seen: int
    entry: Tick | None = None
    """The entry tick; `None` before it."""
    outcome: Outcome | None = None
    """How it ended; `None` while it is open."""
    memory: MemoryT | None = None
    """What its type remembers of the ticks from the entry on (`ContractType.remember`)."""


class MarketView(NamedTuple):
    """A symbol at a moment: the latest tick, and the distribution of the price after it."""

    tick: Tick
    distribution: Callable[[int, int], PriceDistribution]
    """The distribution of the move between two epochs, neither before the latest tick."""


def latest(feed: Feed, symbol: Symbol, epoch: int) -> Tick:
    """The last tick at or before the epoch."""
    return Tick(symbol.last_tick(epoch), feed.price(symbol, epoch))


def tick_of(terms: Terms, feed: Feed, epoch: int) -> Tick:
    """The last tick at or before the epoch, with its growth if these terms need it."""
    tick = latest(feed, terms.symbol, epoch)
    return with_growth(tick, feed, terms.symbol) if terms.needs_growth else tick


def with_growth(tick: Tick, feed: Feed, symbol: Symbol) -> Tick:
    """The tick, with the expected growth of the price up to it."""
    return tick._replace(growth=feed.growth(symbol, tick.epoch))


def market_view(feed: Feed, symbol: Symbol, epoch: int) -> MarketView:
    """The view of a symbol's market at an epoch."""
    tick = with_growth(latest(feed, symbol, epoch), feed, symbol)
    return MarketView(tick, lambda first, last: feed.distribution(symbol, tick.epoch, first, last))


def unentered(terms: Terms, spot: Tick) -> ContractState[Any]:
    """The state before any tick of the contract; `spot` is the latest tick at its start."""
    return ContractState(spot, terms.entry_epoch - 1)


def begin(terms: Terms, feed: Feed) -> ContractState[Any]:
    """The state before any tick of the contract."""
    return unentered(terms, latest(feed, terms.symbol, terms.start))
