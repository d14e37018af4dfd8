"""Contracts that pay a fixed payout or nothing: what all of them share."""

import math
import re
from abc import abstractmethod
from dataclasses import replace

from exchange.contracts import short_fields
from exchange.contracts.bounds import check_payout, check_stake
from exchange.contracts.life import ContractType, End, Life, Offer, Sight, Status, Tick, unsaleable
from exchange.contracts.terms import Refusal, Terms, Wish, invalid
from exchange.outlook import Outlook
from exchange.rules import LARGEST_ASK, LEAST_ASK, NO_SALE_BEFORE_END, Margins

_SHORT = re.compile(
    f"{short_fields.MONEY}_{short_fields.START}_{short_fields.END}_{short_fields.BARRIER}_0",
    re.ASCII,
)

MILLION = 1_000_000
"""Chances and prices are reckoned in millionths of the payout, as whole numbers."""


class Option(ContractType):
    """A contract that pays `terms.amount` if it is won, else nothing."""

    @abstractmethod
    def complete(self, terms: Terms, wish: Wish, sight: Sight) -> Terms:
        """The terms with what this type needs of the wish. Raises `Refusal`."""

    @abstractmethod
    def chance(self, terms: Terms, life: Life, sight: Sight) -> float:
        """The chance that the open contract is won, as seen now."""

    @abstractmethod
    def margin(self, margins: Margins) -> float:
        """What the exchange keeps of the payout."""

    def kept(self, terms: Terms, margins: Margins) -> float:
        """What the exchange keeps of the payout of this contract."""
        margin = self.margin(margins)
        return max(margin, margins.financial) if terms.symbol.is_financial else margin

    def outlook(self, terms: Terms, life: Life, sight: Sight) -> Outlook:
        """How the price goes on until the exit.

        From the latest tick; but where the entry is awaited, and the barrier is relative to it,
        from the entry on.
        """
        from_entry = terms.barrier is None or terms.barrier.is_relative
        first = terms.entry_epoch if life.entry is None and from_entry else sight.tick.epoch
        return sight.outlook(first, self.exit_epoch(terms))

    def quote(self, terms: Terms, wish: Wish, sight: Sight, margins: Margins) -> Offer:
        """What the payout costs, or what the stake pays: the basis says which was named."""
        terms = self.complete(terms, wish, sight)
        if wish.basis is None:
            raise invalid("basis", "Say whether the amount is the payout or the stake.")
        ask = self.ask(terms, Life(sight.tick, terms.entry_epoch - 1), sight, margins)
        if not LEAST_ASK <= ask <= LARGEST_ASK:
            raise Refusal(
                "ContractCreationFailure",
                "This contract offers no return: it would be all but certain to "
                + ("be won." if ask > LARGEST_ASK else "be lost."),
            )
        if wish.basis == "stake":
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
        return Offer(terms, price, sight.tick, payout=terms.amount, ask=ask)

    def has_moved(self, proposed: Offer, present: Offer, margins: Margins) -> bool:
        """By the price in millionths of the payout."""
        return present.ask - proposed.ask > self.kept(present.terms, margins) / 2 * MILLION

    def ask(self, terms: Terms, life: Life, sight: Sight, margins: Margins) -> int:
        """The price in millionths of the payout, rounded up."""
        chance = self.chance(terms, life, sight) + self.kept(terms, margins)
        return math.ceil(round(chance * MILLION, 6))

    def value(self, terms: Terms, life: Life, sight: Sight, margins: Margins) -> int:
        """The chance less half the margin, of the payout; rounded down twice."""
        chance = self.chance(terms, life, sight) - self.kept(terms, margins) / 2
        return terms.amount * max(0, math.floor(chance * MILLION)) // MILLION

    def check_sale(self, terms: Terms, life: Life, now: int) -> None:
        """It is not bought back when it lasts for ticks, nor shortly before its end."""
        super().check_sale(terms, life, now)
        if terms.expiry is None:
            raise unsaleable("A contract that lasts for ticks is not bought back.")
        if terms.expiry - now <= NO_SALE_BEFORE_END:
            raise unsaleable(
                f"A contract is not bought back in its last {NO_SALE_BEFORE_END} seconds."
            )

    def encode(self, terms: Terms) -> str:
        """Payout, start, end, barrier, and no second barrier."""
        parts = (
            short_fields.money(terms.amount, terms.currency),
            short_fields.start(terms),
            short_fields.end(terms),
            self.encode_barrier(terms),
        )
        return "_".join((*parts, "0"))

    def decode(self, text: str, terms: Terms) -> Terms:
        """What `encode` wrote."""
        payout, *term, barrier = short_fields.match(_SHORT, text)
        terms = replace(terms, amount=short_fields.read_money(payout, terms.currency))
        return self.decode_barrier(barrier, short_fields.read_term(terms, *term))

    def encode_barrier(self, terms: Terms) -> str:
        """The barrier's place in the shortcode."""
        return short_fields.barrier(terms.barrier, terms.symbol)

    def decode_barrier(self, text: str, terms: Terms) -> Terms:
        """The terms with what `encode_barrier` wrote."""
        return replace(terms, barrier=short_fields.read_barrier(text, terms.symbol))

    def settled(self, terms: Terms, tick: Tick, *, won: bool) -> End:
        """The end of a contract that this tick decides."""
        return End(Status.WON, tick, terms.amount) if won else End(Status.LOST, tick, 0)
