"""Bodies of proposals and contracts: the fields that all types of contracts share.

The view of the contract's type adds the rest (`scopegate.handlers.exchange.views`).
"""

from typing import Any

from scopegate.exchange.book import Contract
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import Quote, replay
from scopegate.exchange.contracts.common.refusals import Refusal, unsaleable
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Status,
    Tick,
    begin,
    latest,
    tick_of,
)
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.feed import Feed
from scopegate.exchange.money import to_number, to_text
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import DAY, Symbol
from scopegate.handlers.exchange.views.all_views import view_of
from scopegate.handlers.exchange.views.view import Pricing, ShownContract
from scopegate.schemas.portfolio_messages import (
    AuditDetails,
    OpenContract,
    TickShown,
    ValidToUpdate,
)
from scopegate.schemas.trading_messages import ContractDetails, ProposalBody


def longcode(terms: Terms) -> str:
    """The sentence that describes a contract, its longcode."""
    return TYPES[terms.contract_type].sentence(terms)


def expiry(terms: Terms) -> int:
    """The epoch at which a contract ends: its expiry, or that of its last tick."""
    if terms.expiry is not None:
        return terms.expiry
    return TYPES[terms.contract_type].exit_epoch(terms)


# Quotes.


def proposal_body(quote: Quote[Any], feed: Feed, margins: Margins) -> ProposalBody:
    """The body of a proposal, without its id."""
    terms = quote.terms
    symbol, currency = terms.symbol, terms.currency
    view = view_of(terms)
    body: ProposalBody = {  # type: ignore[typeddict-item] # the id is the caller's to add
        "ask_price": to_number(quote.price, currency),
        "date_expiry": expiry(terms),
        "date_start": terms.start,
        "display_value": to_text(quote.price, currency),
        "longcode": longcode(terms),
        "payout": to_number(quote.payout, currency),
        "spot": symbol.quote(quote.spot.pips),
        "spot_time": quote.spot.epoch,
        "validation_params": view.limits(terms, quote),
    }
    details: ContractDetails = {}
    details |= view.barriers(terms, quote.spot.pips)  # type: ignore[typeddict-item] # its keys
    view.add_to_quote(body, details, quote, Pricing(feed, margins))
    if quote.markup:
        details["app_markup_amount"] = to_text(quote.markup, currency)
    if details:
        body["contract_details"] = details
    return body


# Contracts.


def open_contract(shown: ShownContract, market: MarketView, worth: int, now: int) -> OpenContract:
    """The body of an open contract at `now`; `worth` is its bid price in smallest units."""
    contract, state = shown.contract, shown.state
    terms = contract.terms
    kind, view = TYPES[terms.contract_type], view_of(terms)
    currency = terms.currency
    body = _common(shown)
    body["status"] = Status.OPEN.value
    body["bid_price"] = to_number(worth, currency)
    body["display_value"] = to_text(worth, currency)
    body.update(_gain(contract, worth))
    body["current_spot"] = terms.symbol.quote(market.tick.pips)
    body["current_spot_display_value"] = terms.symbol.text(market.tick.pips)
    body["current_spot_time"] = market.tick.epoch
    has_ended = state.outcome is not None
    body["is_expired"] = body["is_settleable"] = int(has_ended)
    body["is_sold"] = 0
    body["audit_details"] = None
    try:
        if has_ended:
            raise unsaleable("The contract has ended and is being settled.")
        kind.check_sale(terms, state, now)
        body["is_valid_to_sell"] = 1
    except Refusal as refusal:
        body["is_valid_to_sell"] = 0
        body["validation_error"] = refusal.message
        body["validation_error_code"] = refusal.code
    body["is_valid_to_cancel"] = int(kind.can_be_cancelled(terms, now) and not has_ended)
    orders = kind.order_limits(terms)
    if orders:
        valid: ValidToUpdate = {}
        for name in orders:
            valid[name] = 1  # type: ignore[literal-required] # the name of an order
        body["is_valid_to_update"] = valid
        body["validation_params"] = view.limits(terms)
    return body


def closed_contract(contract: Contract, feed: Feed) -> OpenContract:
    """The body of a closed contract: its outcome, and the ticks that decided it."""
    terms = contract.terms
    symbol, currency = terms.symbol, terms.currency
    assert contract.exit_epoch is not None  # noqa: S101 - it has ended
    ended = tick_of(terms, feed, contract.exit_epoch)
    was_entered = terms.entry_epoch <= ended.epoch
    entry = tick_of(terms, feed, terms.entry_epoch) if was_entered else None
    state: ContractState[Any] = ContractState(latest(feed, symbol, terms.start), ended.epoch, entry)
    kind = TYPES[terms.contract_type]
    if kind.remembers:
        state = replay(kind, terms, begin(terms, feed), feed, ended.epoch)
    body = _common(ShownContract(contract, state, ended, feed))
    paid = contract.sold_for or 0
    body["status"] = contract.status.value
    body["bid_price"] = body["sell_price"] = to_number(paid, currency)
    body["display_value"] = to_text(paid, currency)
    body.update(_gain(contract, paid))
    body["current_spot"] = body["exit_tick"] = body["sell_spot"] = symbol.quote(ended.pips)
    body["current_spot_display_value"] = symbol.text(ended.pips)
    body["exit_tick_display_value"] = body["sell_spot_display_value"] = symbol.text(ended.pips)
    body["current_spot_time"] = body["exit_tick_time"] = ended.epoch
    body["sell_spot_time"] = ended.epoch
    body["sell_time"] = contract.sold_at or 0
    body["date_settlement"] = body["date_expiry"]
    body["is_expired"] = body["is_settleable"] = body["is_sold"] = 1
    body["is_valid_to_sell"] = body["is_valid_to_cancel"] = 0
    if contract.sold_by is not None:
        body["transaction_ids"]["sell"] = contract.sold_by
    body["audit_details"] = _audit(terms, entry, ended, feed)
    return body


def _gain(contract: Contract, worth: int) -> OpenContract:
    profit = worth - contract.price
    return {
        "profit": to_number(profit, contract.terms.currency),
        "profit_percentage": round(100 * profit / contract.price, 2),
    }


def _common(shown: ShownContract) -> OpenContract:
    """The fields that open and closed contracts share."""
    contract, tick = shown.contract, shown.tick
    terms, entry = contract.terms, shown.state.entry
    symbol, currency = terms.symbol, terms.currency
    ends = expiry(terms)
    kind, view = TYPES[terms.contract_type], view_of(terms)
    barriers = view.barriers(terms, (entry or tick).pips, shown.state.memory)
    body: OpenContract = {
        "account_id": int("".join(filter(str.isdigit, contract.loginid))),
        "barrier_count": view.barrier_count(barriers),
        "buy_price": to_number(contract.price, currency),
        "contract_id": contract.id,
        "contract_type": terms.contract_type,
        "currency": currency,
        "date_expiry": ends,
        "date_settlement": ends,
        "date_start": terms.start,
        "display_name": symbol.display_name,
        "expiry_time": ends,
        "is_forward_starting": int(terms.is_forward),
        "is_intraday": int(ends - terms.start <= DAY),
        "is_path_dependent": int(kind.is_path_dependent),
        "longcode": longcode(terms),
        "payout": to_number(contract.payout, currency),
        "purchase_time": contract.bought_at,
        "shortcode": contract.shortcode,
        "transaction_ids": {"buy": contract.bought_by},
        "underlying": symbol.name,
    }
    body |= barriers  # type: ignore[typeddict-item] # its keys are among these
    if entry is not None:
        body["entry_spot"] = body["entry_tick"] = symbol.quote(entry.pips)
        body["entry_spot_display_value"] = body["entry_tick_display_value"] = symbol.text(
            entry.pips
        )
        body["entry_tick_time"] = entry.epoch
    if contract.markup:
        body["app_markup_amount"] = to_text(contract.markup, currency)
    if terms.ticks is not None:
        body["tick_count"] = terms.ticks
    view.add_to_contract(body, shown)
    return body


def tick_stream(
    terms: Terms, feed: Feed, last: int, *, max_ticks: int | None = None
) -> list[TickShown]:
    """The ticks of a contract that lasts for ticks, from its entry up to the epoch `last`.

    With `max_ticks`, only the latest ones, at most so many.
    """
    first, last = terms.entry_epoch, min(last, expiry(terms))
    if max_ticks is not None:
        first = max(first, terms.symbol.next_tick(last, 1 - max_ticks))
    ticks = feed.ticks(terms.symbol, first, last)
    return [
        _tick_shown(terms.symbol, Tick(epoch, pips))
        for epoch, pips in zip(ticks.epochs.tolist(), ticks.pips.tolist(), strict=True)
    ]


def _tick_shown(symbol: Symbol, tick: Tick) -> TickShown:
    return {
        "epoch": tick.epoch,
        "tick": symbol.quote(tick.pips),
        "tick_display_value": symbol.text(tick.pips),
    }


def _audit(terms: Terms, entry: Tick | None, ended: Tick, feed: Feed) -> AuditDetails:
    symbol = terms.symbol
    details: AuditDetails = {}
    exit_tick = {"name": "Exit Spot", "flag": "highlight_tick"} | _tick_shown(symbol, ended)
    details["contract_end"] = [exit_tick]
    if entry is not None:
        begun = {"name": "Entry Spot", "flag": "highlight_tick"} | _tick_shown(symbol, entry)
        details["contract_start"] = [begun]
    if terms.ticks is not None:
        details["all_ticks"] = tick_stream(terms, feed, ended.epoch)
    return details
