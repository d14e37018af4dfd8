"""The base class of contracts that pay a fixed payout if they are won, else nothing.

How money is rounded: the price is computed in millionths of the payout, rounded up. If the client
gives the stake, the payout is rounded down to the currency's smallest unit; if the client gives the
payout, the price is rounded up.
"""

import math
import re
from abc import abstractmethod
from dataclasses import dataclass, replace

from scopegate.exchange.contracts.common import short_fields, wording
from scopegate.exchange.contracts.common.bounds import check_payout, check_stake
from scopegate.exchange.contracts.common.contract_type import (
    ContractType,
    Quote,
    check_time_left,
)
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal, invalid
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    MemoryT,
    Outcome,
    Status,
    Tick,
    unentered,
)
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.rules import MAX_ASK, MIN_ASK, PRICE_TOLERANCE, Margins
from scopegate.runtime.pickling import quickly_pickled

_SHORT = re.compile(
    f"{short_fields.PLAIN}_{short_fields.BARRIER}_{short_fields.BARRIER}",
    re.ASCII,
)

MILLION = 1_000_000
"""Probabilities and prices are rounded to whole millionths of the payout."""


@quickly_pickled
@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPayoutTerms(Terms):
    """The terms of a contract with a fixed payout."""

    payout: int
    """In smallest units; for a spread, the most that it can pay."""
    barrier: Barrier | None = None
    """The barrier, or the higher of two; `None`: the entry spot, or no barrier at all."""
    barrier2: Barrier | None = None
    """The lower of two barriers."""
    digit: int | None = None
    """The digit that the last digit is compared with."""
    selected_tick: int | None = None
    """The number, counted from 1, of the tick that must be the highest or the lowest."""


@quickly_pickled
@dataclass(frozen=True, slots=True)
class FixedPayoutQuote(Quote[FixedPayoutTerms]):
    """The quote of a contract with a fixed payout."""

    ask: int = 0
    """The price in millionths of the payout, before it is rounded to money."""


class FixedPayout(ContractType[FixedPayoutTerms, MemoryT]):
    """A contract that pays at most `terms.payout`: all or nothing, or a share (`Spread`)."""

    def complete(
        self, terms: FixedPayoutTerms, request: QuoteRequest, market: MarketView
    ) -> FixedPayoutTerms:
        """The terms with the fields of the request that this type needs. Raises `Refusal`."""
        return terms

    @abstractmethod
    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[MemoryT], market: MarketView
    ) -> float:
        """The probability, at present, that the open contract is won."""

    @abstractmethod
    def family_margin(self, margins: Margins) -> float:
        """The exchange's margin on this type of contract, as a share of the payout."""

    def margin(self, terms: FixedPayoutTerms, margins: Margins) -> float:
        """The exchange's margin on this contract, as a share of the payout."""
        margin = self.family_margin(margins)
        return max(margin, margins.financial) if terms.symbol.is_financial else margin

    def quote(
        self,
        terms: Terms,
        amount: int,
        request: QuoteRequest,
        market: MarketView,
        margins: Margins,
    ) -> FixedPayoutQuote:
        """The price for a payout, or the payout for a stake, depending on `basis`.

        A markup is a share of the payout, on top of the price without it.
        """
        agreed = terms.extended(FixedPayoutTerms, payout=amount)
        agreed = self.complete(agreed, request, market)
        if request.basis not in ("payout", "stake"):
            raise invalid("basis", "Must be payout or stake.")
        ask = self.ask(agreed, unentered(agreed, market.tick), market, margins)
        if not MIN_ASK <= ask <= MAX_ASK:
            raise Refusal(
                "ContractCreationFailure",
                "This contract offers no return: it is almost certain to "
                + ("be won." if ask > MAX_ASK else "be lost."),
            )
        markup = int(request.markup * MILLION)
        ask += markup
        if request.basis == "stake":
            price, payout = amount, amount * MILLION // ask
            check_stake(price, terms.currency)
        else:
            price, payout = -(-amount * ask // MILLION), amount
            check_stake(price, terms.currency, payout=payout)
        check_payout(payout, terms.currency)
        if payout <= price:
            raise Refusal(
                "ContractCreationFailure",
                "This contract offers no return: after rounding, it pays no more than it costs.",
            )
        return FixedPayoutQuote(
            replace(agreed, payout=payout),
            price,
            market.tick,
            payout=payout,
            ask=ask,
            markup=payout * markup // MILLION,
        )

    def costs_more(self, proposed: FixedPayoutQuote, present: FixedPayoutQuote) -> bool:
        """Compare the price also in millionths of the payout, which is finer than money."""
        return present.ask > proposed.ask or present.price > proposed.price

    def has_moved(
        self, proposed: FixedPayoutQuote, present: FixedPayoutQuote, margins: Margins
    ) -> bool:
        """Compare the price in millionths of the payout."""
        allowed = self.margin(present.terms, margins) * PRICE_TOLERANCE * MILLION
        return present.ask - proposed.ask > round(allowed, 6)

    def locked_terms(
        self, proposed: FixedPayoutTerms, present: FixedPayoutTerms
    ) -> FixedPayoutTerms:
        """The present terms with the proposed payout."""
        return replace(present, payout=proposed.payout)

    def ask(
        self,
        terms: FixedPayoutTerms,
        state: ContractState[MemoryT],
        market: MarketView,
        margins: Margins,
    ) -> int:
        """The price in millionths of the payout, rounded up."""
        chance = self.chance(terms, state, market) + self.margin(terms, margins)
        return math.ceil(round(chance * MILLION, 6))

    def value(
        self,
        terms: FixedPayoutTerms,
        state: ContractState[MemoryT],
        market: MarketView,
        margins: Margins,
    ) -> int:
        """The probability less half the margin, times the payout; rounded down twice."""
        chance = self.chance(terms, state, market) - self.margin(terms, margins) / 2
        return terms.payout * max(0, math.floor(chance * MILLION)) // MILLION

    def fair_value(
        self, terms: FixedPayoutTerms, state: ContractState[MemoryT], market: MarketView
    ) -> float:
        """The probability times the payout."""
        return self.chance(terms, state, market) * terms.payout

    def is_from_entry(self, terms: FixedPayoutTerms) -> bool:
        """Whether the barrier is the entry spot or relative to it, not a price."""
        return terms.barrier is None or terms.barrier.is_relative

    def check_sale(self, terms: FixedPayoutTerms, state: ContractState[MemoryT], now: int) -> None:
        """Raise `Refusal` also if it lasts for ticks, or ends soon (`NO_SALE_BEFORE_END`)."""
        super().check_sale(terms, state, now)
        check_time_left(terms, now)

    def pays(self, terms: FixedPayoutTerms) -> str:
        """The beginning of the longcode: `Pays USD 19.55`."""
        return f"Pays {wording.money(terms.payout, terms)}"

    def barriers(
        self, terms: FixedPayoutTerms, entry: int, memory: MemoryT | None
    ) -> tuple[str, ...]:
        """The barrier, or the entry spot if there is none."""
        level = entry if terms.barrier is None else terms.barrier.level(entry)
        return (terms.symbol.text(level),)

    def encode(self, terms: FixedPayoutTerms) -> str:
        """Payout, start, end, barrier and second barrier."""
        plain = short_fields.plain(terms, terms.payout)
        return "_".join((plain, *self.encode_barriers(terms)))

    def decode(self, text: str, terms: Terms) -> FixedPayoutTerms:
        """The terms that `encode` wrote."""
        *plain, first, second = short_fields.match(_SHORT, text)
        payout, terms = short_fields.read_plain(terms, *plain)
        agreed = terms.extended(FixedPayoutTerms, payout=payout)
        return self.decode_barriers(first, second, agreed)

    def encode_barriers(self, terms: FixedPayoutTerms) -> tuple[str, str]:
        """The fields of both barriers in the shortcode; 0 for one that the type does not have."""
        return short_fields.barrier(terms.barrier, terms.symbol), short_fields.UNUSED

    def decode_barriers(self, first: str, second: str, terms: FixedPayoutTerms) -> FixedPayoutTerms:
        """The terms with the barriers that `encode_barriers` wrote."""
        short_fields.check_unused(second)
        if "barrier" not in self.takes and first != short_fields.AT_ENTRY:
            raise ValueError(first)
        barrier = short_fields.read_barrier(first, terms.symbol)
        return terms if barrier is None else replace(terms, barrier=barrier)

    def settled(self, terms: FixedPayoutTerms, tick: Tick, *, won: bool) -> Outcome:
        """The outcome of a contract that this tick decides."""
        return Outcome(Status.WON, tick, terms.payout) if won else Outcome(Status.LOST, tick, 0)
