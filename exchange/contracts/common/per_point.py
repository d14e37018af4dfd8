"""The base class of contracts that pay an amount for each point of the price: vanillas, turbos.

A stake buys a number of contracts. Each pays one unit of the currency for each point (1.0 of the
price) by which the exit is beyond the strike. Values and costs are computed in pips.
"""

import math
import re
from abc import abstractmethod
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal

from scopegate.exchange.contracts.common import short_fields
from scopegate.exchange.contracts.common.bounds import check_stake
from scopegate.exchange.contracts.common.contract_type import (
    ContractType,
    Quote,
    check_time_left,
)
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import (
    Refusal,
    bad_amount,
    bad_barrier,
    barriers_needed,
    invalid,
)
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Status,
    Tick,
    unentered,
)
from scopegate.exchange.contracts.common.terms import AT_ENTRY, Barrier, Terms
from scopegate.exchange.distribution import PriceDistribution
from scopegate.exchange.money import CURRENCIES, bound_in, to_text
from scopegate.exchange.rules import (
    FAR_MOVE,
    MAX_PAYOUT,
    MAX_STAKE,
    PRICE_TOLERANCE,
    Margins,
)
from scopegate.runtime.pickling import quickly_pickled

_SHORT = re.compile(
    f"{short_fields.MONEY}_([0-9]{{1,11}})_(?:([0-9]{{1,11}})(F?)|([0-9]{{1,3}})T)"
    f"_{short_fields.BARRIER}_([0-9]{{1,15}}\\.[0-9]{{1,20}})_[0-9]{{1,11}}",
    re.ASCII,
)
_MILLION = 1_000_000
SIGNIFICANT = 5
"""A number of contracts has at least this many significant digits."""
_DEEPEST = 100
"""A suggested or computed strike is at least the spot divided by this, so it is above zero."""


@quickly_pickled
@dataclass(frozen=True, slots=True, kw_only=True)
class PerPointTerms(Terms):
    """The terms of a contract that pays for each point beyond its strike."""

    stake: int
    """In smallest units."""
    contracts: Decimal = Decimal(0)
    """The number of contracts that the stake buys: the payout per point, in currency units."""
    barrier: Barrier | None = None
    """The strike, or the barrier of a turbo; `None`: the entry spot."""


@quickly_pickled
@dataclass(frozen=True, slots=True)
class PerPointQuote(Quote[PerPointTerms]):
    """The quote of a contract that pays for each point."""

    contract_cost: int = 0
    """The cost of one contract, in millionths of the smallest unit of money."""
    largest_stake: int = 0
    """The largest stake allowed at this barrier, in smallest units."""


class PerPoint(ContractType[PerPointTerms, None]):
    """A contract that pays for each point of the exit beyond its strike, else nothing."""

    decimals: int
    """The decimals of the number of contracts."""
    no_sale_before_end: int
    """It is not bought back in this many seconds before its end."""
    rises: bool
    """Whether it pays above the strike."""

    @abstractmethod
    def family_margin(self, margins: Margins) -> float:
        """The exchange's margin, as a share of the value of a contract."""

    @abstractmethod
    def strike_of(
        self, terms: PerPointTerms, request: QuoteRequest, market: MarketView, dearer: float
    ) -> Barrier:
        """The requested strike; a contract costs `dearer` times its value.

        Raises `Refusal` if the strike is missing or not offered.
        """

    @abstractmethod
    def worth(self, spot: int, strike: int, distribution: PriceDistribution) -> float:
        """The value of one contract, in pips."""

    @abstractmethod
    def distances(self) -> tuple[float, ...]:
        """The distances of suggested strikes from the spot, in standard deviations of the move."""

    def quote(
        self,
        terms: Terms,
        amount: int,
        request: QuoteRequest,
        market: MarketView,
        margins: Margins,
    ) -> PerPointQuote:
        """The number of contracts that the stake buys, rounded down; the price is the stake."""
        if request.basis == "payout":
            raise invalid("basis", f"Must be stake: the amount of {self.name} is its stake.")
        check_stake(amount, terms.currency)
        agreed = terms.extended(PerPointTerms, stake=amount)
        dearer = 1 + Decimal(str(self.family_margin(margins))) + request.markup
        strike = self.strike_of(agreed, request, market, float(dearer))
        if strike != AT_ENTRY:
            agreed = replace(agreed, barrier=strike)
        spot, level = market.tick.pips, strike.level(market.tick.pips)
        distribution = self.distribution(agreed, unentered(agreed, market.tick), market)
        cost = self.worth(spot, level, distribution) * float(dearer) * units_a_pip(agreed)
        most = self._largest_stake(agreed, spot, level, distribution, cost)
        if amount > most:
            bound = to_text(most, terms.currency)
            raise bad_amount(f"Maximum stake allowed is {bound} at this barrier.", "amount")
        contracts = rounded(request.payout_per_point or amount / cost, self.decimals)
        return PerPointQuote(
            replace(agreed, contracts=contracts),
            amount,
            market.tick,
            markup=int(amount * request.markup / dearer),
            contract_cost=math.ceil(amount * _MILLION / contracts),
            largest_stake=most,
        )

    def _largest_stake(
        self,
        terms: PerPointTerms,
        spot: int,
        level: int,
        distribution: PriceDistribution,
        cost: float,
    ) -> int:
        """The stake for which a move of `FAR_MOVE` pays `MAX_PAYOUT`; at most `MAX_STAKE`."""
        far = spot * math.exp(FAR_MOVE * distribution.sd * (1 if self.rises else -1))
        paid = abs(far - level) * units_a_pip(terms)
        most = bound_in(MAX_PAYOUT, terms.currency) * cost / paid
        return min(bound_in(MAX_STAKE, terms.currency), int(most))

    def costs_more(self, proposed: PerPointQuote, present: PerPointQuote) -> bool:
        """Compare the cost of one contract, and the price."""
        return present.contract_cost > proposed.contract_cost or present.price > proposed.price

    def has_moved(self, proposed: PerPointQuote, present: PerPointQuote, margins: Margins) -> bool:
        """Compare the cost of one contract, of which the margin is a share."""
        margin = self.family_margin(margins)
        allowed = proposed.contract_cost * margin / (1 + margin) * PRICE_TOLERANCE
        return present.contract_cost - proposed.contract_cost > allowed

    def locked_terms(self, proposed: PerPointTerms, present: PerPointTerms) -> PerPointTerms:
        """The proposed number of contracts, for a strike as far from the entry."""
        return replace(present, contracts=proposed.contracts)

    def is_from_entry(self, terms: PerPointTerms) -> bool:
        """Whether the strike is the entry spot or relative to it, not a price."""
        return terms.barrier is None or terms.barrier.is_relative

    def level(self, terms: PerPointTerms, state: ContractState[None], spot: int) -> int:
        """The strike in pips; before the entry, as if the entry spot were `spot`."""
        strike = terms.barrier or AT_ENTRY
        return strike.level(state.entry.pips if state.entry else spot)

    def value(
        self, terms: PerPointTerms, state: ContractState[None], market: MarketView, margins: Margins
    ) -> int:
        """The value less half the margin, rounded down."""
        spot = market.tick.pips
        worth = 0.0
        if market.tick.epoch < self.exit_epoch(terms):
            distribution = self.distribution(terms, state, market)
            worth = self.worth(spot, self.level(terms, state, spot), distribution)
        share = 1.0 - self.family_margin(margins) / 2
        return math.floor(worth * share * float(terms.contracts) * units_a_pip(terms))

    def fair_value(
        self, terms: PerPointTerms, state: ContractState[None], market: MarketView
    ) -> float:
        """The value of a contract times their number."""
        spot = market.tick.pips
        distribution = self.distribution(terms, state, market)
        worth = self.worth(spot, self.level(terms, state, spot), distribution)
        return worth * float(terms.contracts) * units_a_pip(terms)

    def check_sale(self, terms: PerPointTerms, state: ContractState[None], now: int) -> None:
        """Raise `Refusal` also if it lasts for ticks, or ends soon (`no_sale_before_end`)."""
        super().check_sale(terms, state, now)
        check_time_left(terms, now, self.no_sale_before_end)

    def barriers(self, terms: PerPointTerms, entry: int, memory: None) -> tuple[str, ...]:
        """The strike."""
        return (terms.symbol.text((terms.barrier or AT_ENTRY).level(entry)),)

    def decide(
        self, terms: PerPointTerms, state: ContractState[None], tick: Tick
    ) -> Outcome | None:
        """Decide at the exit tick: it pays for each point beyond the strike, rounded down."""
        if tick.epoch < self.exit_epoch(terms):
            return None
        level = self.level(terms, state, 0)
        gain = max(0, tick.pips - level if self.rises else level - tick.pips)
        exponent = CURRENCIES[terms.currency].digits - terms.symbol.digits
        pays = int((terms.contracts * gain).scaleb(exponent))
        return Outcome(Status.WON if pays else Status.LOST, tick, pays)

    def encode(self, terms: PerPointTerms) -> str:
        """Stake, start, end, strike, number of contracts, and the epoch of the priced tick."""
        parts = (
            to_text(terms.stake, terms.currency),
            str(terms.start),
            short_fields.end(terms),
            short_fields.barrier(terms.barrier, terms.symbol),
            f"{terms.contracts:f}",
            str(terms.symbol.last_tick(terms.start)),
        )
        return "_".join(parts)

    def decode(self, text: str, terms: Terms) -> PerPointTerms:
        """The terms that `encode` wrote; the epoch of the tick follows from the start."""
        stake, start, *end, barrier, contracts = short_fields.match(_SHORT, text)
        if not Decimal(contracts):
            raise ValueError(text)
        return short_fields.read_term(terms, start, "", *end).extended(
            PerPointTerms,
            stake=short_fields.read_money(stake, terms.currency),
            barrier=short_fields.read_barrier(barrier, terms.symbol),
            contracts=Decimal(contracts),
        )

    # Suggested strikes.

    def choices(self, terms: PerPointTerms, market: MarketView) -> list[Barrier]:
        """The suggested strikes, highest first; relative ones for contracts of at most a day."""
        spot = market.tick.pips
        distribution = self.distribution(terms, unentered(terms, market.tick), market)
        wished = (round(spot * distribution.sd * far) for far in self.distances())
        offsets = sorted({max(offset, -deepest(spot)) for offset in wished}, reverse=True)
        if terms.lasts_days:
            return [Barrier(spot + offset, is_relative=False) for offset in offsets]
        return [Barrier(offset) for offset in offsets]

    def refused(self, problem: str, terms: PerPointTerms, market: MarketView) -> Refusal:
        """The refusal of a strike, with the suggested strikes in its details."""
        refusal = bad_barrier(problem)
        suggested = [strike.text(terms.symbol) for strike in self.choices(terms, market)]
        assert refusal.details is not None  # noqa: S101 - it has the field
        refusal.details["barrier_choices"] = suggested
        return refusal

    def parsed(self, request: QuoteRequest, terms: PerPointTerms, market: MarketView) -> Barrier:
        """The strike of a request. Raises `Refusal` if it is missing or not above zero."""
        if request.barrier is None:
            suggested = ", ".join(each.text(terms.symbol) for each in self.choices(terms, market))
            needed = f"{self.name} needs a barrier, such as one of {suggested}."
            raise barriers_needed("Single", "barrier", needed)
        strike = Barrier.parse(request.barrier, terms.symbol)
        if strike.level(market.tick.pips) <= 0:
            raise self.refused("The barrier must be above zero.", terms, market)
        return strike


def deepest(spot: int) -> int:
    """The largest distance of a strike below the spot, in pips."""
    return spot - spot // _DEEPEST - 1


def units_a_pip(terms: Terms) -> float:
    """The payout of one contract for a pip, in smallest units."""
    return float(10.0 ** (CURRENCIES[terms.currency].digits - terms.symbol.digits))


def per_point_text(terms: PerPointTerms) -> str:
    """The beginning of the longcode."""
    return (
        f"Pays {terms.currency} {terms.contracts:f} for each point that {terms.symbol.display_name}"
    )


def rounded(contracts: float | Decimal, decimals: int) -> Decimal:
    """A number of contracts, rounded down to `decimals` or `SIGNIFICANT` digits, the finer one."""
    exact = Decimal(contracts)
    least = exact.adjusted() - SIGNIFICANT + 1
    return exact.quantize(Decimal(1).scaleb(min(-decimals, least)), ROUND_DOWN)
