"""Contracts that pay a fixed payout or nothing: what all of them share."""

import math
import re
from abc import abstractmethod
from dataclasses import replace

from scopegate.exchange.contracts import short_fields
from scopegate.exchange.contracts.bounds import check_payout, check_stake
from scopegate.exchange.contracts.state import (
    ContractState,
    ContractType,
    MarketView,
    Outcome,
    Quote,
    Status,
    Tick,
    check_time_left,
    unentered,
)
from scopegate.exchange.contracts.terms import QuoteRequest, Refusal, Terms, invalid
from scopegate.exchange.rules import LARGEST_ASK, LEAST_ASK, PRICE_TOLERANCE, Margins

_SHORT = re.compile(
    f"{short_fields.PLAIN}_{short_fields.BARRIER}_{short_fields.BARRIER}",
    re.ASCII,
)

MILLION = 1_000_000
"""Chances and prices are reckoned in millionths of the payout, as whole numbers."""


class Option(ContractType):
    """A contract that pays `terms.amount` if it is won, else nothing."""

    def complete(self, terms: Terms, request: QuoteRequest, market: MarketView) -> Terms:
        """The terms with what this type needs of the wish, if anything. Raises `Refusal`."""
        return terms

    @abstractmethod
    def chance(self, terms: Terms, state: ContractState, market: MarketView) -> float:
        """The chance that the open contract is won, as seen now."""

    @abstractmethod
    def margin(self, margins: Margins) -> float:
        """What the exchange keeps of the payout."""

    def kept(self, terms: Terms, margins: Margins) -> float:
        """What the exchange keeps of the payout of this contract."""
        margin = self.margin(margins)
        return max(margin, margins.financial) if terms.symbol.is_financial else margin

    def quote(
        self, terms: Terms, request: QuoteRequest, market: MarketView, margins: Margins
    ) -> Quote:
        """What the payout costs, or what the stake pays: the basis says which was named.

        A markup is a share of the payout, on top of the price without it.
        """
        terms = self.complete(terms, request, market)
        if request.basis not in ("payout", "stake"):
            raise invalid("basis", "Say whether the amount is the payout or the stake.")
        ask = self.ask(terms, unentered(terms, market.tick), market, margins)
        if not LEAST_ASK <= ask <= LARGEST_ASK:
            raise Refusal(
                "ContractCreationFailure",
                "This contract offers no return: it would be all but certain to "
                + ("be won." if ask > LARGEST_ASK else "be lost."),
            )
        markup = int(request.markup * MILLION)
        ask += markup
        if request.basis == "stake":
            price = terms.amount
            check_stake(price, terms.currency)
            terms = replace(terms, amount=price * MILLION // ask)
        else:
            price = -(-terms.amount * ask // MILLION)
            check_stake(price, terms.currency, payout=terms.amount)
        check_payout(terms.amount, terms.currency)
        if terms.amount <= price:
            raise Refusal(
                "ContractCreationFailure",
                "This contract offers no return: rounded to money, it pays no more than it costs.",
            )
        return Quote(
            terms,
            price,
            market.tick,
            payout=terms.amount,
            ask=ask,
            markup=terms.amount * markup // MILLION,
        )

    def has_moved(self, proposed: Quote, present: Quote, margins: Margins) -> bool:
        """By the price in millionths of the payout."""
        allowed = self.kept(present.terms, margins) * PRICE_TOLERANCE * MILLION
        return present.ask - proposed.ask > round(allowed, 6)

    def ask(self, terms: Terms, state: ContractState, market: MarketView, margins: Margins) -> int:
        """The price in millionths of the payout, rounded up."""
        chance = self.chance(terms, state, market) + self.kept(terms, margins)
        return math.ceil(round(chance * MILLION, 6))

    def value(
        self, terms: Terms, state: ContractState, market: MarketView, margins: Margins
    ) -> int:
        """The chance less half the margin, of the payout; rounded down twice."""
        chance = self.chance(terms, state, market) - self.kept(terms, margins) / 2
        return terms.amount * max(0, math.floor(chance * MILLION)) // MILLION

    def check_sale(self, terms: Terms, state: ContractState, now: int) -> None:
        """It is not bought back when it lasts for ticks, nor shortly before its end."""
        super().check_sale(terms, state, now)
        check_time_left(terms, now)

    def barriers(self, terms: Terms, entry: int, kept: tuple[int, ...]) -> tuple[str, ...]:
        """The one barrier: without one the entry spot."""
        level = entry if terms.barrier is None else terms.barrier.level(entry)
        return (terms.symbol.text(level),)

    def encode(self, terms: Terms) -> str:
        """Payout, start, end, barrier and second barrier."""
        return "_".join((short_fields.plain(terms), *self.encode_barriers(terms)))

    def decode(self, text: str, terms: Terms) -> Terms:
        """What `encode` wrote."""
        *plain, first, second = short_fields.match(_SHORT, text)
        return self.decode_barriers(first, second, short_fields.read_plain(terms, *plain))

    def encode_barriers(self, terms: Terms) -> tuple[str, str]:
        """The places of both barriers in the shortcode; 0 is that of none."""
        return short_fields.barrier(terms.barrier, terms.symbol), short_fields.UNUSED

    def decode_barriers(self, first: str, second: str, terms: Terms) -> Terms:
        """The terms with what `encode_barriers` wrote."""
        short_fields.check_unused(second)
        if "barrier" not in self.takes and first != short_fields.AT_ENTRY:
            raise ValueError(first)
        return replace(terms, barrier=short_fields.read_barrier(first, terms.symbol))

    def settled(self, terms: Terms, tick: Tick, *, won: bool) -> Outcome:
        """The end of a contract that this tick decides."""
        return Outcome(Status.WON, tick, terms.amount) if won else Outcome(Status.LOST, tick, 0)
