"""Contracts that pay a fixed payout or nothing: what all of them share."""

import math
from abc import abstractmethod

from exchange.contracts.life import ContractType, End, Life, Sight, Status, Tick
from exchange.contracts.terms import Terms
from exchange.rules import Margins

MILLION = 1_000_000
"""Chances and prices are reckoned in millionths of the payout, as whole numbers."""


class Option(ContractType):
    """A contract that pays `terms.amount` if it is won, else nothing."""

    @abstractmethod
    def chance(self, terms: Terms, life: Life, sight: Sight) -> float:
        """The chance that the open contract is won, as seen now."""

    @abstractmethod
    def margin(self, margins: Margins) -> float:
        """What the exchange keeps of the payout."""

    def ask(self, terms: Terms, life: Life, sight: Sight, margins: Margins) -> int:
        """The price in millionths of the payout, rounded up."""
        chance = self.chance(terms, life, sight) + self.margin(margins)
        return math.ceil(round(chance * MILLION, 6))

    def value(self, terms: Terms, life: Life, sight: Sight, margins: Margins) -> int:
        """The chance less half the margin, of the payout; rounded down twice."""
        chance = self.chance(terms, life, sight) - self.margin(margins) / 2
        return terms.amount * max(0, math.floor(chance * MILLION)) // MILLION

    def settled(self, terms: Terms, tick: Tick, *, won: bool) -> End:
        """The end of a contract that this tick decides."""
        return End(Status.WON, tick, terms.amount) if won else End(Status.LOST, tick, 0)
