"""Multipliers: a stake that gains and loses with the price, many times over.

With stake, multiplier, entry and a direction d of +1 or -1, the profit at a spot is

    d * stake * multiplier * (spot / entry - 1) - commission,

and never less than the stake. Everything is compared in whole numbers, so a level is the exact
number of pips at which an amount is reached.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from exchange.contracts import short_fields, wording
from exchange.contracts.bounds import check_stake
from exchange.contracts.life import (
    End,
    Life,
    Offer,
    Sight,
    Status,
    Tick,
    Watch,
)
from exchange.contracts.listing import NO_END, Listing
from exchange.contracts.offered import can_be_cancelled
from exchange.contracts.orders import Ordered, order_units
from exchange.contracts.terms import Terms, Wish, bad_amount, invalid, not_offered
from exchange.money import bound_in, to_text
from exchange.pricing import cancellation as protection
from exchange.pricing import overshoot
from exchange.pricing.touch import SHIFT
from exchange.rules import (
    CANCELLATIONS,
    LARGEST_PAYOUT,
    MULTIPLIED_JUMPS,
    MULTIPLIED_VOLATILITIES,
    Margins,
)
from exchange.symbols import JUMP_SD, SPIKE_SIZES, SPIKE_STEP, Motion, Symbol

_CANCELLATIONS = {seconds: name for name, seconds in CANCELLATIONS.items()} | {0: "0"}
_SHORT = re.compile(
    r"([0-9.]{1,20})_([0-9]{1,6})_([0-9]{1,11})_([0-9]{1,11})_(0|[0-9]{1,2}m)_([0-9.]{1,20})(?:_N1)?",
    re.ASCII,
)


class Levels(NamedTuple):
    """The prices, in whole pips, at which a multiplier closes by itself."""

    stop_out: int
    take_profit: int | None
    stop_loss: int | None


class Multiplier(Ordered):
    """A contract that gains (`rises`) or loses with the price, until it is sold or stopped.

    Closed at the first tick that takes the whole stake (stopped out, it pays nothing), brings the
    profit of a take-profit order or the loss of a stop-loss order (it pays what it is worth at
    that tick). While it can be cancelled, a stop-out pays the stake back and a stop loss sleeps.
    """

    is_path_dependent = True
    takes = frozenset({"cancellation", "multiplier", "stop_loss", "take_profit"})

    def __init__(self, name: str, display: str, *, rises: bool) -> None:
        self.name = name
        self.direction = 1 if rises else -1
        self.listing = Listing(
            category="multiplier",
            category_display="Multiply Up/Multiply Down",
            display=display,
            sentiment="up" if rises else "down",
            barrier_category="american",
            durations=NO_END,
        )

    def quote(self, terms: Terms, wish: Wish, sight: Sight, margins: Margins) -> Offer:
        """The stake, the fee for being able to cancel, and a markup: a share of the stake."""
        if wish.basis not in (None, "stake"):
            raise invalid("basis", "The amount of a multiplier is its stake.")
        check_stake(terms.amount, terms.currency)
        terms = self.complete(terms, wish, margins)
        fee = 0
        if terms.cancellation:
            fee = self.cancellation_price(terms, sight, terms.cancellation, margins)
        markup = int(terms.amount * wish.markup)
        price = terms.amount + fee + markup
        return Offer(terms, price, sight.tick, cancellation_price=fee, markup=markup)

    def has_moved(self, proposed: Offer, present: Offer, margins: Margins) -> bool:
        """By the fee for cancellation: nothing else of the price depends on the market."""
        allowed = proposed.cancellation_price * margins.cancellation / 2
        return present.price - proposed.price > allowed

    def complete(self, terms: Terms, wish: Wish, margins: Margins) -> Terms:
        """A multiplier must be there; orders and a time to cancel may be."""
        offered = choices(terms.symbol)
        if wish.multiplier is None:
            raise invalid("multiplier", f"{self.name} needs a multiplier.")
        if wish.multiplier not in offered:
            listed = ",".join(map(str, offered))
            raise bad_amount(
                f"Multiplier is not in acceptable range. Accepts {listed}.", "multiplier"
            )
        multiplier = int(wish.multiplier)
        rate = stop_out_worth(terms.symbol, rises=self.direction > 0) * (1 + margins.multiplier)
        commission = math.ceil(round(terms.amount * multiplier * rate, 6))
        seconds = 0
        if wish.cancellation is not None:
            if wish.cancellation not in CANCELLATIONS:
                listed = ", ".join(CANCELLATIONS)
                raise not_offered(f"Deal cancellation lasts one of {listed}.", "cancellation")
            seconds = CANCELLATIONS[wish.cancellation]
            _check_cancellation(terms, seconds)
        terms = replace(terms, multiplier=multiplier, commission=commission, cancellation=seconds)
        return self.with_orders(
            terms,
            take_profit=order_units(wish.take_profit, terms, "take_profit"),
            stop_loss=order_units(wish.stop_loss, terms, "stop_loss"),
        )

    def order_limits(self, terms: Terms) -> Mapping[str, tuple[int, int]]:
        """A profit, and a loss beyond the commission, up to the stake."""
        most = bound_in(LARGEST_PAYOUT, terms.currency)
        return {"take_profit": (1, most), "stop_loss": (terms.commission + 1, terms.amount)}

    def cancellation_price(self, terms: Terms, sight: Sight, seconds: int, margins: Margins) -> int:
        """The fee for being able to cancel for so many seconds, rounded up."""
        spot, entry = sight.tick.pips, terms.entry_epoch
        last = terms.start + seconds
        value = terms.amount * terms.multiplier
        worth = protection.cancellation(
            spot,
            spot * (1 + self.direction * terms.commission / value),
            spot * (1 - self.direction * (terms.amount - terms.commission) / value),
            value,
            terms.amount,
            sight.outlook(entry, terms.symbol.last_tick(last)),
        )
        return math.ceil(round(worth * (1 + margins.cancellation), 6))

    def gained(self, terms: Terms, life: Life, spot: int) -> int:
        """The profit."""
        assert life.entry is not None  # noqa: S101 - it is entered
        return self.profit(terms, life.entry.pips, spot)

    def profit(self, terms: Terms, entry: int, spot: int) -> int:
        """What has been gained, the commission taken off; rounded down, at the worst the stake."""
        value = terms.amount * terms.multiplier
        gained = self.direction * value * (spot - entry) // entry
        return max(gained - terms.commission, -terms.amount)

    def _level(self, terms: Terms, entry: int, profit: int, *, inward: bool) -> int:
        """The price at which the profit (or loss, if negative) is reached, in whole pips.

        The first price that has reached it or, with `inward`, the last before it.
        """
        value = terms.amount * terms.multiplier
        owed = (profit + terms.commission) * entry
        away = owed // value if inward == (profit > 0) else -(-owed // value)
        return entry + self.direction * away

    def levels(self, terms: Terms, entry: int) -> Levels:
        """Where it closes by itself, for a contract that was entered at this price."""
        take_profit, stop_loss = terms.take_profit, terms.stop_loss

        def reached(profit: int) -> int:
            return self._level(terms, entry, profit, inward=False)

        return Levels(
            reached(-terms.amount),
            None if take_profit is None else reached(take_profit),
            None if stop_loss is None else reached(-stop_loss),
        )

    def shown_levels(self, terms: Terms, entry: int) -> Levels:
        """The same for showing: rounded to the pip that is worse for the client."""
        take_profit, stop_loss = terms.take_profit, terms.stop_loss
        return Levels(
            self._level(terms, entry, -terms.amount, inward=True),
            None if take_profit is None else self._level(terms, entry, take_profit, inward=False),
            None if stop_loss is None else self._level(terms, entry, -stop_loss, inward=True),
        )

    def sentence(self, terms: Terms) -> str:
        """What a percent of movement brings."""
        side = "rise" if self.direction > 0 else "fall"
        text = (
            f"Each 1% {side} of {terms.symbol.display_name} gains, and each 1% the other way"
            f" loses, {terms.multiplier}% of a stake of {wording.money(terms)}, less a commission."
        )
        if terms.cancellation:
            text += f" The deal can be cancelled for {wording.duration(terms.cancellation)}."
        return text

    def encode(self, terms: Terms) -> str:
        """Stake, multiplier, start, end, time to cancel, take profit."""
        stake, profit = (
            to_text(units or 0, terms.currency) for units in (terms.amount, terms.take_profit)
        )
        cancellation = _CANCELLATIONS[terms.cancellation]
        return f"{stake}_{terms.multiplier}_{terms.start}_{terms.expiry}_{cancellation}_{profit}_N1"

    def decode(self, text: str, terms: Terms) -> Terms:
        """What `encode` wrote; commission and stop loss are kept elsewhere."""
        stake, multiplier, start, expiry, cancellation, profit = short_fields.match(_SHORT, text)
        if int(multiplier) == 0:
            raise ValueError(text)
        return replace(
            terms,
            amount=short_fields.read_money(stake, terms.currency),
            start=int(start),
            expiry=int(expiry),
            multiplier=int(multiplier),
            cancellation=0 if cancellation == "0" else CANCELLATIONS[cancellation],
            take_profit=short_fields.read_money(profit, terms.currency) or None,
        )

    @staticmethod
    def can_be_cancelled(terms: Terms, moment: int) -> bool:
        """Whether the time to cancel has not passed."""
        return bool(terms.cancellation) and moment <= terms.start + terms.cancellation

    def watch(self, terms: Terms, life: Life) -> Watch:
        """Until an order or the stop-out is reached, or the time to cancel is over."""
        if life.entry is None:
            return super().watch(terms, life)
        levels = self.levels(terms, life.entry.pips)
        until = self.exit_epoch(terms)
        low = [levels.stop_out]
        symbol = terms.symbol
        if self.can_be_cancelled(terms, symbol.next_tick(life.seen)):
            until = min(until, symbol.next_tick(terms.start + terms.cancellation))
        elif levels.stop_loss is not None:
            low.append(levels.stop_loss)
        if self.direction > 0:
            return Watch(until, low=max(low), high=levels.take_profit)
        return Watch(until, low=levels.take_profit, high=min(low))

    def decide(self, terms: Terms, life: Life, tick: Tick) -> End | None:
        """Stop-out first, then the orders, then the end of time."""
        assert life.entry is not None  # noqa: S101 - the entry comes first
        entry, direction = life.entry.pips, self.direction
        levels = self.levels(terms, entry)
        if (tick.pips - levels.stop_out) * direction <= 0:
            if self.can_be_cancelled(terms, tick.epoch):
                return End(Status.CANCELLED, tick, terms.amount)
            return End(Status.LOST, tick, 0)
        worth = terms.amount + self.profit(terms, entry, tick.pips)
        if levels.take_profit is not None and (tick.pips - levels.take_profit) * direction >= 0:
            return End(Status.WON, tick, worth)
        if (
            levels.stop_loss is not None
            and (tick.pips - levels.stop_loss) * direction <= 0
            and not self.can_be_cancelled(terms, tick.epoch)
        ):
            return End(Status.LOST, tick, worth)
        if tick.epoch >= self.exit_epoch(terms):
            return End(Status.WON if worth > terms.amount else Status.LOST, tick, worth)
        return None

    def value(self, terms: Terms, life: Life, sight: Sight, margins: Margins) -> int:
        """Stake and profit; its cost was the commission."""
        entry = life.entry.pips if life.entry is not None else sight.tick.pips
        return terms.amount + self.profit(terms, entry, sight.tick.pips)


def choices(symbol: Symbol) -> list[int]:
    """The multipliers that are offered for a symbol."""
    jumps = symbol.motion in (Motion.JUMPS, Motion.SPIKES)
    products = MULTIPLIED_JUMPS if jumps else MULTIPLIED_VOLATILITIES
    return [round(product / symbol.total_volatility) for product in products]


def stop_out_worth(symbol: Symbol, *, rises: bool) -> float:
    """What a stop-out is worth to the client at most, as a share of the position.

    The tick that crosses the level goes further, and no more than the stake is lost: so it is how
    far, in the mean. For normal ticks that is `SHIFT` standard deviations, which is also the least
    that is charged where the price nears the level by small steps alone.
    """
    tick_sd = symbol.total_volatility / symbol.volatility * symbol.tick_sd
    beyond = SHIFT * tick_sd
    if symbol.motion is Motion.JUMPS:
        beyond = overshoot.of_jumps(symbol.every, JUMP_SD) * symbol.tick_sd
    elif symbol.motion is Motion.SPIKES and symbol.rises != rises:
        beyond = max(beyond, overshoot.of_spikes(symbol.every * SPIKE_STEP, SPIKE_SIZES))
    return beyond


def _check_cancellation(terms: Terms, seconds: int) -> None:
    symbol = terms.symbol
    if not can_be_cancelled(symbol):
        raise not_offered("Deal cancellation is not offered for this asset.", "cancellation")
    if not symbol.is_open(terms.start + seconds):
        raise not_offered("The market closes before the deal cancellation ends.", "cancellation")
