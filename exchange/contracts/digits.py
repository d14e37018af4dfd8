"""Digits: decided by the last digit of the exit tick's price."""

from collections.abc import Callable
from dataclasses import replace

from scopegate.exchange.contracts.common import short_fields, wording
from scopegate.exchange.contracts.common.fixed_payout import FixedPayout, FixedPayoutTerms
from scopegate.exchange.contracts.common.listing import TICKS_ONLY, Decides, Listing
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal, bad_barrier, invalid
from scopegate.exchange.contracts.common.state import ContractState, MarketView, Outcome, Tick
from scopegate.exchange.rules import Margins

MIN_SD: float = 8.0
"""The smallest standard deviation of a tick, in pips, at which the next last digit is uniform: the
probabilities are then off by about exp(-2 pi^2 (sd / 10)^2), below 4e-6."""

Wins = Callable[[int, int], bool]
"""Whether a last digit wins, given the chosen digit."""


class Digits(FixedPayout[None]):
    """A contract that is won or lost by the last digit of the exit tick.

    The probability is exact, the number of winning digits out of ten, as long as the standard
    deviation of a tick is at least `MIN_SD` pips; below that, nothing is offered. The entry tick is
    the first that counts.
    """

    barrier_is_digit = True
    counts_entry = True

    def __init__(
        self,
        name: str,
        display: str,
        sentiment: str,
        *,
        words: str,
        wins: Wins,
        choices: range | None = None,
    ) -> None:
        """`words` is the condition in the longcode; `choices` are the digits that may be chosen."""
        self.name = name
        self._words = words
        self.choices = choices
        self.takes = frozenset({"barrier"}) if choices else frozenset()
        self._wins = wins
        self.listing = Listing(
            category="digits",
            category_display="Digits",
            display=display,
            sentiment=sentiment,
            barrier_category="non_financial",
            durations=TICKS_ONLY,
            decides=Decides.FEW_TICKS,
        )

    def complete(
        self, terms: FixedPayoutTerms, request: QuoteRequest, market: MarketView
    ) -> FixedPayoutTerms:
        """The terms with the chosen digit, which the request gives as its barrier."""
        if market.tick.pips * terms.symbol.tick_sd < MIN_SD:
            raise Refusal(
                "InvalidOfferings",
                f"{terms.symbol.display_name} moves too few pips per tick at present for"
                " contracts on digits. Choose another symbol.",
            )
        if self.choices is None:
            return terms
        words = f"a digit from {self.choices.start} to {self.choices.stop - 1}"
        if request.barrier is None:
            raise invalid("barrier", f"{self.name} needs {words} as its barrier.")
        if request.barrier not in map(str, self.choices):
            raise bad_barrier(f"The barrier of {self.name} must be {words}.")
        return replace(terms, digit=int(request.barrier))

    def family_margin(self, margins: Margins) -> float:
        """The margin on digits; smaller for a match, whose probability is one in ten."""
        return margins.matches if self.name == "DIGITMATCH" else margins.digits

    def chance(
        self, terms: FixedPayoutTerms, state: ContractState[None], market: MarketView
    ) -> float:
        """The share of the ten digits that win."""
        return sum(self._wins(digit, terms.digit or 0) for digit in range(10)) / 10

    def sentence(self, terms: FixedPayoutTerms) -> str:
        """The longcode: what the last digit must be."""
        wins = self._words.format(terms.digit)
        return (
            f"{self.pays(terms)} if the last digit of {terms.symbol.display_name} {wins}"
            f" at {wording.nth_tick(terms.ticks or 0)}."
        )

    def barriers(self, terms: FixedPayoutTerms, entry: int, memory: None) -> tuple[str, ...]:
        """The chosen digit, if any."""
        return () if terms.digit is None else (str(terms.digit),)

    def encode_barriers(self, terms: FixedPayoutTerms) -> tuple[str, str]:
        """The chosen digit; 0 if there is none."""
        return str(terms.digit or 0), short_fields.UNUSED

    def decode_barriers(self, first: str, second: str, terms: FixedPayoutTerms) -> FixedPayoutTerms:
        """The terms with the chosen digit."""
        short_fields.check_unused(second)
        if int(first) not in (self.choices or (0,)):
            raise ValueError(first)
        return replace(terms, digit=int(first)) if self.choices else terms

    def decide(
        self, terms: FixedPayoutTerms, state: ContractState[None], tick: Tick
    ) -> Outcome | None:
        """Decide at the exit tick."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        return self.settled(terms, tick, won=self._wins(tick.pips % 10, terms.digit or 0))
