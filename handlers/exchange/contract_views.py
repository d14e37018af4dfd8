"""Contracts, offers and orders as the wire shows them."""

import math

from scopegate.exchange.book import Contract
from scopegate.exchange.contracts import bounds
from scopegate.exchange.contracts.accumulators import Accumulator
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.exchange.contracts.multipliers import Multiplier, reference
from scopegate.exchange.contracts.options import Option
from scopegate.exchange.contracts.orders import Ordered
from scopegate.exchange.contracts.per_point import PerPoint
from scopegate.exchange.contracts.resets import Reset
from scopegate.exchange.contracts.state import (
    ContractState,
    MarketView,
    Quote,
    Status,
    Tick,
    begin,
    latest,
    market_view,
    replay,
    tick_of,
    unsaleable,
)
from scopegate.exchange.contracts.terms import Refusal, Terms
from scopegate.exchange.distribution import Growth
from scopegate.exchange.feed import HOUR, Feed
from scopegate.exchange.fixedpoint import ONE
from scopegate.exchange.money import to_number, to_text
from scopegate.exchange.rules import LARGEST_PAYOUT, LARGEST_STAKE, LEAST_STAKE, Margins
from scopegate.exchange.symbols import DAY, Symbol
from scopegate.gateway.calls.errors import ApiError
from scopegate.handlers.exchange import growth, per_point
from scopegate.schemas.portfolio import AuditDetails, OpenContract, TickShown, ValidToUpdate
from scopegate.schemas.trading import (
    BarriersShown,
    ContractDetails,
    OrderShown,
    OrdersShown,
    ProposalBody,
    ValidationParams,
)

ORDER_NAMES = {
    "stop_loss": "Stop loss",
    "stop_out": "Stop out",
    "take_profit": "Take profit",
}


def as_error(refusal: Refusal) -> ApiError:
    """Convert a refusal of the exchange to an API error, as dispatch does with what calls raise."""
    details = refusal.details
    if details and refusal.names_field:
        details = {**details, "field": next(iter(details))}
    return ApiError(refusal.code, refusal.message, details)


def longcode(terms: Terms) -> str:
    """The sentence that describes a contract."""
    return TYPES[terms.contract_type].sentence(terms)


def expiry(terms: Terms) -> int:
    """When a contract ends: at its expiry, or with its last tick."""
    if terms.expiry is not None:
        return terms.expiry
    return TYPES[terms.contract_type].exit_epoch(terms)


def barriers_shown(terms: Terms, entry: int, kept: tuple[int, ...] = ()) -> BarriersShown:
    """The barriers, for a contract that is entered at this price; or the digit."""
    match TYPES[terms.contract_type].barriers(terms, entry, kept):
        case (high, low):
            return {"high_barrier": high, "low_barrier": low}
        case (barrier,):
            return {"barrier": barrier}
        case _:
            return {}


# Orders.


def multiplier(terms: Terms) -> Multiplier:
    """The type of a contract that is a multiplier."""
    kind = TYPES[terms.contract_type]
    assert isinstance(kind, Multiplier)  # noqa: S101 - others have no orders
    return kind


def orders_shown(
    terms: Terms,
    entry: Tick,
    tick: Tick,
    placed: int,
    take_profit_at: int | None,
    stop_loss_at: int | None,
) -> OrdersShown:
    """Where a contract closes by itself at a tick, for one that was entered at `entry`."""
    if terms.growth:  # it closes after so many ticks, at whatever price
        if terms.take_profit is None:
            return {}
        at = take_profit_at or placed
        return {"take_profit": order_shown("take_profit", terms.take_profit, None, at, terms)}
    levels = multiplier(terms).levels(terms, reference(terms, entry, tick))
    shown: OrdersShown = {
        "stop_out": order_shown("stop_out", -terms.amount, levels.stop_out, placed, terms)
    }
    if terms.take_profit is not None and levels.take_profit is not None:
        shown["take_profit"] = order_shown(
            "take_profit", terms.take_profit, levels.take_profit, take_profit_at or placed, terms
        )
    if terms.stop_loss is not None and levels.stop_loss is not None:
        shown["stop_loss"] = order_shown(
            "stop_loss", -terms.stop_loss, levels.stop_loss, stop_loss_at or placed, terms
        )
    return shown


def order_shown(name: str, amount: int, level: int | None, at: int, terms: Terms) -> OrderShown:
    """One order, with the price that it waits for, if it is one."""
    return {
        "display_name": ORDER_NAMES[name],
        "display_order_amount": to_text(amount, terms.currency),
        "order_amount": to_number(amount, terms.currency),
        "order_date": at,
        "value": None if level is None else terms.symbol.text(level),
    }


def _validation(terms: Terms, largest_stake: int = 0) -> ValidationParams:
    currency = terms.currency
    params: ValidationParams = {
        "stake": {
            "min": bounds.text(LEAST_STAKE, currency),
            "max": to_text(largest_stake, currency)
            if largest_stake
            else bounds.text(LARGEST_STAKE, currency),
        }
    }
    kind = TYPES[terms.contract_type]
    if isinstance(kind, Accumulator):
        params["max_payout"] = to_text(kind.most(terms), currency)
        params["max_ticks"] = terms.ticks or 0
    if not isinstance(kind, Ordered):
        if isinstance(kind, Option):
            params["payout"] = {"max": bounds.text(LARGEST_PAYOUT, currency)}
        return params
    for name, (least, most) in kind.order_limits(terms).items():
        params[name] = {  # type: ignore[literal-required] # one of the two keys
            "min": to_text(least, currency),
            "max": to_text(most, currency),
        }
    return params


# Offers.


def proposal_body(offer: Quote, feed: Feed, margins: Margins) -> ProposalBody:
    """An offer, all but for its id."""
    terms = offer.terms
    symbol, currency = terms.symbol, terms.currency
    body: ProposalBody = {  # type: ignore[typeddict-item] # the id is the dispatcher's to add
        "ask_price": to_number(offer.price, currency),
        "date_expiry": expiry(terms),
        "date_start": terms.start,
        "display_value": to_text(offer.price, currency),
        "longcode": longcode(terms),
        "payout": to_number(offer.payout, currency),
        "spot": symbol.quote(offer.spot.pips),
        "spot_time": offer.spot.epoch,
        "validation_params": _validation(terms, offer.largest_stake),
    }
    kind = TYPES[terms.contract_type]
    details: ContractDetails = {}
    details |= barriers_shown(terms, offer.spot.pips)  # type: ignore[typeddict-item] # among its keys
    if isinstance(kind, Accumulator):
        details.update(growth.offered(terms, kind.most(terms), offer.spot, feed))
    if offer.markup:
        details["app_markup_amount"] = to_text(offer.markup, currency)
    if details:
        body["contract_details"] = details
    if isinstance(kind, Lookback):
        body["multiplier"] = to_number(terms.amount, currency)
    if isinstance(kind, Multiplier):
        body["multiplier"] = float(terms.multiplier)
        body["commission"] = to_number(terms.commission, currency)
        body["longcode"] += " " + _financed_at_present(symbol, offer.spot.growth)
    if isinstance(kind, Multiplier) or terms.take_profit is not None:
        body["limit_order"] = orders_shown(
            terms, offer.spot, offer.spot, terms.start, terms.start, terms.start
        )
    if terms.cancellation:
        body["cancellation"] = {
            "ask_price": to_number(offer.cancellation_price, currency),
            "date_expiry": terms.start + terms.cancellation,
        }
    if isinstance(kind, PerPoint):
        seen = market_view(feed, symbol, offer.spot.epoch)
        per_point.add_offer(body, kind, offer, seen, margins)
    return body


def _financed_at_present(symbol: Symbol, growth: Growth) -> str:
    """A sentence with the change of a multiplier's forward price in an hour of the market."""
    an_hour = 100 * math.expm1(growth.a_tick / ONE * HOUR / symbol.step)
    return (
        "Profit is measured against a forward price: the entry spot, changed by"
        f" {an_hour:+.5f}% an hour at present."
    )


# Contracts.


def open_contract(
    contract: Contract, state: ContractState, seen: MarketView, worth: int, now: int, feed: Feed
) -> OpenContract:
    """An open contract as it stands, with what it would be bought back for."""
    terms = contract.terms
    kind = TYPES[terms.contract_type]
    currency = terms.currency
    body = _common(contract, state, seen.tick)
    body["status"] = Status.OPEN.value
    body["bid_price"] = to_number(worth, currency)
    body["display_value"] = to_text(worth, currency)
    body.update(_gain(contract, worth))
    body["current_spot"] = terms.symbol.quote(seen.tick.pips)
    body["current_spot_display_value"] = terms.symbol.text(seen.tick.pips)
    body["current_spot_time"] = seen.tick.epoch
    has_ended = int(state.outcome is not None)
    body["is_expired"] = body["is_settleable"] = has_ended
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
    body["is_valid_to_cancel"] = 0
    if isinstance(kind, Multiplier):
        body["is_valid_to_cancel"] = int(kind.can_be_cancelled(terms, now) and not has_ended)
    if isinstance(kind, Ordered):
        valid: ValidToUpdate = {}
        for name in kind.order_limits(terms):
            valid[name] = 1  # type: ignore[literal-required] # one of the two keys
        body["is_valid_to_update"] = valid
        body["validation_params"] = _validation(terms)
    if terms.growth:
        body.update(growth.standing(terms, state.entry, seen.tick, feed))
    return body


def closed_contract(contract: Contract, feed: Feed) -> OpenContract:
    """A contract that has ended: what became of it, and the ticks that tell why."""
    terms = contract.terms
    symbol, currency = terms.symbol, terms.currency
    assert contract.exit_epoch is not None  # noqa: S101 - it has ended
    ended = tick_of(terms, feed, contract.exit_epoch)
    was_entered = terms.entry_epoch <= ended.epoch
    entry = tick_of(terms, feed, terms.entry_epoch) if was_entered else None
    state = ContractState(latest(feed, symbol, terms.start), ended.epoch, entry)
    kind = TYPES[terms.contract_type]
    if kind.remembers:
        state = replay(kind, terms, begin(terms, feed), feed, ended.epoch)
    body = _common(contract, state, ended)
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
    if terms.growth:
        body.update(growth.standing(terms, entry, ended, feed))
    return body


def _gain(contract: Contract, worth: int) -> OpenContract:
    profit = worth - contract.price
    return {
        "profit": to_number(profit, contract.terms.currency),
        "profit_percentage": round(100 * profit / contract.price, 2),
    }


def _common(contract: Contract, state: ContractState, tick: Tick) -> OpenContract:
    """The fields that open and closed contracts share, at the latest tick or the last one."""
    terms, entry = contract.terms, state.entry
    symbol, currency = terms.symbol, terms.currency
    ends = expiry(terms)
    kind = TYPES[terms.contract_type]
    shown = barriers_shown(terms, (entry or tick).pips, state.kept)
    body: OpenContract = {
        "account_id": int("".join(filter(str.isdigit, contract.loginid))),
        "barrier_count": 2 if terms.growth else len(shown),
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
    body |= shown  # type: ignore[typeddict-item] # its keys are among these
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
    if isinstance(kind, Lookback):
        body["multiplier"] = to_number(terms.amount, currency)
    if isinstance(kind, Reset) and entry is not None and state.kept:
        body["reset_barrier"] = symbol.text(kind.level(entry.pips, state.kept))
        body["reset_time"] = kind.reset_epoch(terms)
    if terms.selected_tick is not None:
        body["selected_tick"] = terms.selected_tick
        if len(state.kept) >= terms.selected_tick:
            body["selected_spot"] = symbol.quote(state.kept[terms.selected_tick - 1])
    if isinstance(kind, Ordered):
        body["limit_order"] = orders_shown(
            terms,
            entry or tick,
            tick,
            contract.bought_at,
            contract.take_profit_at,
            contract.stop_loss_at,
        )
    if terms.contracts:
        body["display_number_of_contracts"] = f"{terms.contracts:f}"
    if isinstance(kind, Multiplier):
        body["multiplier"] = float(terms.multiplier)
        financing = 0 if entry is None else kind.financing(terms, entry, tick)
        body["commission"] = to_number(terms.commission + financing, currency)
        if terms.cancellation:
            body["cancellation"] = {
                "ask_price": to_number(contract.cancellation_price, currency),
                "date_expiry": terms.start + terms.cancellation,
            }
    return body


def tick_stream(terms: Terms, feed: Feed, last: int, *, most: int | None = None) -> list[TickShown]:
    """The ticks of a contract that lasts for ticks, from its entry up to an epoch.

    Or, with `most`, the latest of them.
    """
    first, last = terms.entry_epoch, min(last, expiry(terms))
    if most is not None:
        first = max(first, last - (most - 1) * terms.symbol.step)
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
    told: AuditDetails = {}
    exit_tick = {"name": "Exit Spot", "flag": "highlight_tick"} | _tick_shown(symbol, ended)
    told["contract_end"] = [exit_tick]
    if entry is not None:
        begun = {"name": "Entry Spot", "flag": "highlight_tick"} | _tick_shown(symbol, entry)
        told["contract_start"] = [begun]
    if terms.ticks is not None:
        told["all_ticks"] = tick_stream(terms, feed, ended.epoch)
    return told
