"""Vanillas and turbos as the wire shows them: how many contracts, and what else may be had."""

from decimal import Decimal

from scopegate.exchange.contracts.per_point import PerPoint
from scopegate.exchange.contracts.state import ContractState, MarketView, Quote
from scopegate.exchange.contracts.terms import Barrier, Terms
from scopegate.exchange.contracts.turbos import Turbo
from scopegate.exchange.money import bound_in, to_number, to_units
from scopegate.exchange.rules import LARGEST_STAKE, LEAST_STAKE, Margins
from scopegate.exchange.symbols import DAY, Symbol
from scopegate.schemas.offerings import AvailableContract
from scopegate.schemas.trading import ProposalBody

_EXAMPLES = {"tick": 0, "intraday": 300, "daily": DAY + 1}
"""How long a contract lasts for which barriers are listed, in seconds; ten ticks for the first."""

LONGEST_EXAMPLE = _EXAMPLES["intraday"]
"""Of those within a day, and longer than ten ticks."""


def add_offer(
    body: ProposalBody, kind: PerPoint, offer: Quote, seen: MarketView, margins: Margins
) -> None:
    """Tell of an offer what it buys, and between which barriers and payouts there is a choice."""
    terms = offer.terms
    body["barrier_choices"] = _barriers(kind, terms, seen)
    body["display_number_of_contracts"] = f"{terms.contracts:f}"
    body["max_stake"] = to_number(offer.largest_stake, terms.currency)
    body["min_stake"] = to_number(bound_in(LEAST_STAKE, terms.currency), terms.currency)
    if isinstance(kind, Turbo):
        level = kind.level(terms, ContractState(offer.spot, offer.spot.epoch), offer.spot.pips)
        body["barrier_spot_distance"] = Barrier(level - offer.spot.pips).text(terms.symbol)
        body["payout_choices"] = _payouts(kind, terms, seen, margins)


def add_listed(
    row: AvailableContract,
    kind: PerPoint,
    symbol: Symbol,
    seen: MarketView,
    margins: Margins,
    currency: str,
) -> None:
    """List barriers, and payouts per point of the usual stake."""
    duration = _EXAMPLES[row["expiry_type"]]
    stake = to_units(Decimal(str(row["default_stake"])), currency)

    def starting(start: int) -> Terms:
        return Terms(
            contract_type=kind.name,
            symbol=symbol,
            currency=currency,
            amount=stake,
            start=start,
            ticks=None if duration else 10,
            expiry=start + duration if duration else None,
        )

    terms = starting(seen.tick.epoch)
    if kind.exit_epoch(terms) <= terms.entry_epoch:  # the market is closed until then
        terms = starting(terms.entry_epoch)
    row["max_stake"] = to_number(bound_in(LARGEST_STAKE, currency), currency)
    row["min_stake"] = to_number(bound_in(LEAST_STAKE, currency), currency)
    row["barrier_choices"] = _barriers(kind, terms, seen)
    row["barrier"] = row["barrier_choices"][1]
    if isinstance(kind, Turbo):
        row["payout_choices"] = _payouts(kind, terms, seen, margins)


def _barriers(kind: PerPoint, terms: Terms, seen: MarketView) -> list[str]:
    return [barrier.text(terms.symbol) for barrier in kind.choices(terms, seen)]


def _payouts(kind: Turbo, terms: Terms, seen: MarketView, margins: Margins) -> list[str]:
    return [f"{payout:f}" for payout in kind.payout_choices(terms, seen, margins)]
