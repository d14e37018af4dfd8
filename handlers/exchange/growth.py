"""Accumulators as the wire shows them: their range, which moves with the price, and their ticks."""

from decimal import Decimal

from scopegate.exchange.contracts import bounds
from scopegate.exchange.contracts.accumulators import reach, stays, width_text
from scopegate.exchange.contracts.state import Tick, latest
from scopegate.exchange.contracts.terms import WIDTH_UNITS, Terms
from scopegate.exchange.feed import Feed
from scopegate.exchange.money import to_number
from scopegate.exchange.rules import LARGEST_STAKE, LEAST_STAKE, MOST_ACCUMULATED
from scopegate.exchange.symbols import Symbol
from scopegate.schemas.portfolio import OpenContract
from scopegate.schemas.trading import ContractDetails


def _text(symbol: Symbol, tenths: int) -> str:
    """A price with one digit more than the pip has."""
    return f"{Decimal(tenths).scaleb(-symbol.digits - 1):f}"


def _range(terms: Terms, spot: int) -> tuple[str, str, str]:
    """Low, high and the distance between either and the spot, for the tick after this spot."""
    away = reach(terms, spot)
    low, high, distance = (
        _text(terms.symbol, tenths) for tenths in (10 * spot - away, 10 * spot + away, away)
    )
    return low, high, distance


def offered(terms: Terms, most: int, spot: Tick, feed: Feed) -> ContractDetails:
    """What an offer tells of the range; `most` is what it pays at the most."""
    low, high, distance = _range(terms, spot.pips)
    return {
        "barrier_spot_distance": distance,
        "high_barrier": high,
        "last_tick_epoch": spot.epoch,
        "low_barrier": low,
        "maximum_payout": to_number(most, terms.currency),
        "maximum_stake": bounds.text(LARGEST_STAKE, terms.currency),
        "maximum_ticks": MOST_ACCUMULATED[terms.growth],
        "minimum_stake": bounds.text(LEAST_STAKE, terms.currency),
        "tick_size_barrier": terms.width / WIDTH_UNITS,
        "tick_size_barrier_percentage": width_text(terms),
        "ticks_stayed_in": stays(terms, feed, spot.epoch),
    }


def standing(terms: Terms, entry: Tick | None, tick: Tick, feed: Feed) -> OpenContract:
    """How a contract stands after a tick, which may have ended it.

    `high_barrier` and `low_barrier` are those that this tick was held against, those of
    `current_spot` are for the next.
    """
    low, high, distance = _range(terms, tick.pips)
    passed = 0 if entry is None else (tick.epoch - entry.epoch) // terms.symbol.step
    shown: OpenContract = {
        "barrier_spot_distance": distance,
        "current_spot_high_barrier": high,
        "current_spot_low_barrier": low,
        "growth_rate": terms.growth / 100,
        "tick_passed": passed,
    }
    if passed:
        before = latest(feed, terms.symbol, tick.epoch - terms.symbol.step)
        shown["low_barrier"], shown["high_barrier"], _ = _range(terms, before.pips)
    return shown
