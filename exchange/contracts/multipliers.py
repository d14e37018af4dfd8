"""Multipliers: a stake that gains or loses a multiple of the price's move.

With stake, multiplier and a direction d of +1 or -1, the profit at a spot is

    d * stake * multiplier * (spot / forward - 1) - commission,

and the loss is never more than the stake. The forward price is the entry spot times the expected
growth of the price since (`exchange.distribution.Growth`): that of each market day is known when
the day begins, and accrues evenly, tick by tick. Spot / forward is a martingale, so no holding
period and no rule that uses past prices gains by the market's drift. Compared with the entry spot,
that is a charge or a credit: the financing.

All comparisons are made in whole numbers, so a level is the exact number of pips at which an amount
is reached.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from scopegate.exchange import fixedpoint
from scopegate.exchange.contracts.common import short_fields, wording
from scopegate.exchange.contracts.common.bounds import check_stake
from scopegate.exchange.contracts.common.contract_type import Orders, Quote, StoredTerms
from scopegate.exchange.contracts.common.listing import NO_END, Decides, Listing
from scopegate.exchange.contracts.common.orders import Ordered, OrderedTerms
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import (
    bad_amount,
    invalid,
    not_offered,
    unsaleable,
)
from scopegate.exchange.contracts.common.state import (
    ContractState,
    MarketView,
    Outcome,
    Status,
    Tick,
    Trigger,
)
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.contracts.eligibility import can_be_cancelled
from scopegate.exchange.money import bound_in, to_text
from scopegate.exchange.pricing import cancellation as protection
from scopegate.exchange.pricing import overshoot
from scopegate.exchange.pricing.touch import SHIFT
from scopegate.exchange.rules import (
    CANCELLATIONS,
    MAX_PAYOUT,
    MAX_WAIVED,
    MULTIPLIED_BREAKS,
    MULTIPLIED_JUMPS,
    MULTIPLIED_VOLATILITIES,
    MULTIPLIERS,
    PRICE_TOLERANCE,
    Margins,
)
from scopegate.exchange.symbols import (
    JUMP_SD,
    SPIKE_SIZES,
    SPIKE_STEP,
    SWITCH_DRIFT,
    SWITCH_SIZES,
    Motion,
    Symbol,
)
from scopegate.runtime.pickling import quickly_pickled

PIP_PARTS: Final = 1_000_000
"""The parts of a pip in which forward prices are counted."""
LEVELS_VALID_FOR: Final = 3_600
"""Seconds after which the levels of an open contract are computed again."""

_CANCELLATIONS = {seconds: name for name, seconds in CANCELLATIONS.items()} | {0: "0"}
_SHORT = re.compile(
    r"([0-9.]{1,20})_([0-9]{1,6})_([0-9]{1,11})_([0-9]{1,11})_(0|[0-9]{1,2}m)_([0-9.]{1,20})(?:_N1)?",
    re.ASCII,
)


class Levels(NamedTuple):
    """The prices, in whole pips, at which a multiplier closes automatically."""

    stop_out: int
    take_profit: int | None
    stop_loss: int | None


@quickly_pickled
@dataclass(frozen=True, slots=True, kw_only=True)
class MultiplierTerms(OrderedTerms):
    """The terms of a multiplier."""

    multiplier: int
    cancellation: int = 0
    """The time after the start in which it can be cancelled, in seconds."""
    commission: int = 0
    """In smallest units."""
    is_financed: bool = False
    """Whether it is measured against the forward price; contracts bought before there was financing
    are measured against the entry spot."""

    @property
    def needs_growth(self) -> bool:
        """Whether it is financed: the forward price needs the growth."""
        return self.is_financed


class Multiplier(Ordered[MultiplierTerms]):
    """A contract that gains if the price rises (`rises`) or falls, until it is sold or closes.

    It closes at the first tick that takes the whole stake (a stop-out: it pays nothing), or that
    reaches the profit of a take-profit order or the loss of a stop-loss order (it pays its value at
    that tick). While it can be cancelled, a stop-out refunds the stake and a stop loss is inactive.
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
            decides=Decides.PRICE_UNTIL_CLOSED,
        )

    def quote(
        self,
        terms: Terms,
        amount: int,
        request: QuoteRequest,
        market: MarketView,
        margins: Margins,
    ) -> Quote[MultiplierTerms]:
        """The stake, plus the fee for the right to cancel, plus a markup: a share of the stake."""
        if request.basis not in (None, "stake"):
            raise invalid("basis", "Must be stake: the amount of a multiplier is its stake.")
        check_stake(amount, terms.currency)
        agreed = self.complete(terms, amount, request, market.tick.pips, margins)
        fee = 0
        if agreed.cancellation:
            fee = self.cancellation_price(agreed, market, agreed.cancellation, margins)
        markup = int(amount * request.markup)
        price = amount + fee + markup
        return Quote(agreed, price, market.tick, cancellation_price=fee, markup=markup)

    def costs_more(self, proposed: Quote[MultiplierTerms], present: Quote[MultiplierTerms]) -> bool:
        """Compare the commission, and the price, which includes the fee."""
        dearer = present.terms.commission > proposed.terms.commission
        return dearer or present.price > proposed.price

    def has_moved(
        self, proposed: Quote[MultiplierTerms], present: Quote[MultiplierTerms], margins: Margins
    ) -> bool:
        """Whether the commission or the fee has risen by more than `PRICE_TOLERANCE` of its margin.

        The fee's margin is taken as `margins.cancellation` of the fee.
        """
        of_fee = proposed.cancellation_price * margins.cancellation * PRICE_TOLERANCE
        before, now = proposed.terms.commission, present.terms.commission
        of_commission = before * margins.multiplier / (1 + margins.multiplier) * PRICE_TOLERANCE
        return present.price - proposed.price > of_fee or now - before > max(of_commission, 1)

    def locked_terms(self, proposed: MultiplierTerms, present: MultiplierTerms) -> MultiplierTerms:
        """The present terms with the proposed commission."""
        return replace(present, commission=proposed.commission)

    def complete(
        self, terms: Terms, stake: int, request: QuoteRequest, spot: int, margins: Margins
    ) -> MultiplierTerms:
        """The terms for a stake, with a multiplier, and any requested orders and time to cancel."""
        offered = self.choices(terms.symbol, spot)
        if request.multiplier is None:
            raise invalid("multiplier", f"{self.name} needs a multiplier.")
        if request.multiplier not in offered:
            listed = ",".join(map(str, offered))
            raise bad_amount(
                f"Multiplier is not in acceptable range. Accepts {listed}.", "multiplier"
            )
        multiplier = int(request.multiplier)
        worth = stop_out_worth(terms.symbol, spot, rises=self.direction > 0)
        rate = worth * (1 + margins.multiplier)
        commission = math.ceil(round(stake * multiplier * rate, 6))
        seconds = 0
        if request.cancellation is not None:
            if request.cancellation not in CANCELLATIONS:
                listed = ", ".join(CANCELLATIONS)
                raise not_offered(f"Deal cancellation must be one of {listed}.", "cancellation")
            seconds = CANCELLATIONS[request.cancellation]
            _check_cancellation(terms, seconds)
        agreed = terms.extended(
            MultiplierTerms,
            stake=stake,
            multiplier=multiplier,
            commission=commission,
            cancellation=seconds,
            is_financed=True,
        )
        return self.with_requested(agreed, request)

    def stored(self, terms: MultiplierTerms) -> StoredTerms:
        """Commission, financing and orders."""
        return StoredTerms(terms.commission, terms.is_financed, terms.orders)

    def with_stored(self, terms: MultiplierTerms, stored: StoredTerms) -> MultiplierTerms:
        """The terms with the stored commission, financing and orders."""
        return replace(
            terms,
            commission=stored.commission,
            is_financed=stored.is_financed,
            orders=stored.orders,
        )

    def order_limits(self, terms: MultiplierTerms) -> Mapping[str, tuple[int, int]]:
        """A profit up to `MAX_PAYOUT`; a loss above the commission, up to the stake."""
        most = bound_in(MAX_PAYOUT, terms.currency)
        return {"take_profit": (1, most), "stop_loss": (terms.commission + 1, terms.stake)}

    def cancellation_price(
        self, terms: MultiplierTerms, market: MarketView, seconds: int, margins: Margins
    ) -> int:
        """The fee for the right to cancel for this number of seconds, rounded up."""
        worth = self._worth_of_cancellation(terms, market, seconds)
        return math.ceil(round(worth * (1 + margins.cancellation), 6))

    def _worth_of_cancellation(
        self, terms: MultiplierTerms, market: MarketView, seconds: int
    ) -> float:
        """The value of the right to cancel for this number of seconds.

        The stop-out level is half a pip before the first whole pip that takes the stake, since
        prices are rounded. There is no drift against the forward price.
        """
        spot, entry = market.tick.pips, terms.entry_epoch
        distribution = market.distribution(entry, terms.symbol.last_tick(terms.start + seconds))
        value = terms.stake * terms.multiplier
        return protection.cancellation(
            spot,
            spot * (1 + self.direction * terms.commission / value),
            self.levels(terms, spot * PIP_PARTS).stop_out + self.direction / 2,
            value,
            terms.stake,
            replace(distribution, mean=-(distribution.sd**2) / 2),
        )

    def profit_at(self, terms: MultiplierTerms, state: ContractState[Tick], tick: Tick) -> int:
        """The profit of an entered contract at this tick, in smallest units."""
        assert state.entry is not None  # noqa: S101 - it is entered
        return self.profit(terms, reference(terms, state.entry, tick), tick.pips)

    def profit(self, terms: MultiplierTerms, against: int, spot: int) -> int:
        """The profit at a spot, less the commission; the loss is at most the stake.

        `against` is the price that the spot is measured against, in millionths of a pip. The result
        is in smallest units, rounded down.
        """
        return max(self._moved(terms, against, spot) - terms.commission, -terms.stake)

    def _moved(self, terms: MultiplierTerms, against: int, spot: int) -> int:
        value = terms.stake * terms.multiplier
        return self.direction * value * (spot * PIP_PARTS - against) // against

    def financing(self, terms: MultiplierTerms, entry: Tick, tick: Tick) -> int:
        """The financing charged from the entry to a tick, in smallest units; a credit if below 0.

        It is the profit against the entry spot less the profit against the forward price.
        """
        against, spot = reference(terms, entry, tick), tick.pips
        return self._moved(terms, entry.pips * PIP_PARTS, spot) - self._moved(terms, against, spot)

    def _level(self, terms: MultiplierTerms, against: int, profit: int) -> int:
        """The first price, in whole pips, at which the profit (or loss, if negative) is reached."""
        value = terms.stake * terms.multiplier
        exact = against * (value + self.direction * (profit + terms.commission))
        if (self.direction > 0) == (profit > 0):
            return -(-exact // (value * PIP_PARTS))
        return exact // (value * PIP_PARTS)

    def levels(self, terms: MultiplierTerms, against: int) -> Levels:
        """The levels at which it closes, measured against a price in millionths of a pip."""
        take_profit, stop_loss = terms.orders.take_profit, terms.orders.stop_loss
        return Levels(
            self._level(terms, against, -terms.stake),
            None if take_profit is None else self._level(terms, against, take_profit),
            None if stop_loss is None else self._level(terms, against, -stop_loss),
        )

    def sentence(self, terms: MultiplierTerms) -> str:
        """The longcode: the gain or loss for a move of 1%."""
        side = "rise" if self.direction > 0 else "fall"
        stake = wording.money(terms.stake, terms)
        text = (
            f"Each 1% {side} of {terms.symbol.display_name} gains, and each 1% the other way"
            f" loses, {terms.multiplier}% of a stake of {stake}, less a commission"
            f"{' and financing' if terms.is_financed else ''}."
        )
        if terms.cancellation:
            text += f" The deal can be cancelled for {wording.duration(terms.cancellation)}."
        return text

    def encode(self, terms: MultiplierTerms) -> str:
        """Stake, multiplier, start, end, time to cancel, take profit."""
        stake, profit = (
            to_text(units or 0, terms.currency) for units in (terms.stake, terms.orders.take_profit)
        )
        cancellation = _CANCELLATIONS[terms.cancellation]
        return f"{stake}_{terms.multiplier}_{terms.start}_{terms.expiry}_{cancellation}_{profit}_N1"

    def decode(self, text: str, terms: Terms) -> MultiplierTerms:
        """The terms that `encode` wrote; `with_stored` adds commission, financing and stop loss."""
        stake, multiplier, start, expiry, cancellation, profit = short_fields.match(_SHORT, text)
        if int(multiplier) == 0:
            raise ValueError(text)
        return replace(terms, start=int(start), expiry=int(expiry)).extended(
            MultiplierTerms,
            stake=short_fields.read_money(stake, terms.currency),
            multiplier=int(multiplier),
            cancellation=0 if cancellation == "0" else CANCELLATIONS[cancellation],
            orders=Orders(short_fields.read_money(profit, terms.currency) or None),
        )

    def can_be_cancelled(self, terms: MultiplierTerms, moment: int) -> bool:
        """Whether the right to cancel was bought and has not ended."""
        return bool(terms.cancellation) and moment <= terms.start + terms.cancellation

    def cancelled(self, terms: MultiplierTerms, tick: Tick, now: int) -> Outcome:
        """The outcome of a cancellation: a refund of the stake. Raises `Refusal` if not allowed."""
        if not terms.cancellation:
            return super().cancelled(terms, tick, now)
        if not self.can_be_cancelled(terms, now):
            raise unsaleable("The deal cancellation of this contract has expired.")
        return Outcome(Status.CANCELLED, tick, terms.stake)

    def trigger(self, terms: MultiplierTerms, state: ContractState[Tick]) -> Trigger:
        """The next tick that can reach an order or the stop-out, or that ends the time to cancel.

        The levels move with the forward price. For the next `LEVELS_VALID_FOR` seconds, within a
        market day, they are between the present levels and the levels at the end of that time.
        """
        entry = state.entry
        if entry is None:
            return super().trigger(terms, state)
        symbol, until = terms.symbol, self.exit_epoch(terms)
        can_be_cancelled = self.can_be_cancelled(terms, symbol.next_tick(state.seen))
        if can_be_cancelled:
            until = min(until, symbol.next_tick(terms.start + terms.cancellation))
        known = state.memory or entry
        if terms.is_financed and known.growth.until is not None:
            within = symbol.last_tick(known.epoch + LEVELS_VALID_FOR)
            tomorrow = known.growth.until
            until = min(until, within if known.epoch < within < tomorrow else tomorrow)
        later = known.growth.total + known.growth.a_tick * symbol.ticks_between(known.epoch, until)
        first, last = (
            self.levels(terms, reference(terms, entry, tick))
            for tick in (known, known._replace(growth=known.growth._replace(total=later)))
        )
        losses = [first.stop_out, last.stop_out]
        if first.stop_loss is not None and last.stop_loss is not None and not can_be_cancelled:
            losses += first.stop_loss, last.stop_loss
        gains = [each.take_profit for each in (first, last) if each.take_profit is not None]
        if self.direction > 0:
            return Trigger(until, low=max(losses), high=min(gains, default=None))
        return Trigger(until, low=max(gains, default=None), high=min(losses))

    def decide(
        self, terms: MultiplierTerms, state: ContractState[Tick], tick: Tick
    ) -> Outcome | None:
        """Check the stop-out first, then the orders, then the expiry."""
        assert state.entry is not None  # noqa: S101 - the entry comes first
        against, direction = reference(terms, state.entry, tick), self.direction
        levels = self.levels(terms, against)
        if (tick.pips - levels.stop_out) * direction <= 0:
            if self.can_be_cancelled(terms, tick.epoch):
                return Outcome(Status.CANCELLED, tick, terms.stake)
            return Outcome(Status.LOST, tick, 0)
        worth = terms.stake + self.profit(terms, against, tick.pips)
        if levels.take_profit is not None and (tick.pips - levels.take_profit) * direction >= 0:
            return Outcome(Status.WON, tick, worth)
        if (
            levels.stop_loss is not None
            and (tick.pips - levels.stop_loss) * direction <= 0
            and not self.can_be_cancelled(terms, tick.epoch)
        ):
            return Outcome(Status.LOST, tick, worth)
        if tick.epoch >= self.exit_epoch(terms):
            return Outcome(Status.WON if worth > terms.stake else Status.LOST, tick, worth)
        return None

    def value(
        self,
        terms: MultiplierTerms,
        state: ContractState[Tick],
        market: MarketView,
        margins: Margins,
    ) -> int:
        """The stake plus the profit; the commission includes the margin, so none is deducted."""
        tick = market.tick
        against = reference(terms, state.entry or tick, tick)
        return terms.stake + self.profit(terms, against, tick.pips)

    def fair_value(
        self, terms: MultiplierTerms, state: ContractState[Tick], market: MarketView
    ) -> float:
        """The stake without the margin in its commission, and the value of the right to cancel.

        Whenever it is sold, it has cost its commission; the value of a stop-out, which the
        commission pays for, is got back in those that are stopped out.
        """
        spot = market.tick.pips
        worth = stop_out_worth(terms.symbol, spot, rises=self.direction > 0)
        value = terms.stake - terms.commission + terms.stake * terms.multiplier * worth
        if terms.cancellation:
            value += self._worth_of_cancellation(terms, market, terms.cancellation)
        return value

    def choices(self, symbol: Symbol, spot: int) -> list[int]:
        """The multipliers that are offered for a symbol at a spot.

        Those of the symbol's list for which the value of a stop-out is at most `MAX_WAIVED` of the
        stake.
        """
        worth = stop_out_worth(symbol, spot, rises=self.direction > 0)
        return [each for each in multipliers(symbol) if each * worth <= MAX_WAIVED]


def reference(terms: MultiplierTerms, entry: Tick, tick: Tick) -> int:
    """The price that a tick is measured against, in millionths of a pip: the forward price.

    The entry spot times its expected growth; the same on every machine, and at least 1.
    """
    growth = tick.growth.total - entry.growth.total
    if not terms.is_financed or not growth:
        return entry.pips * PIP_PARTS
    return max(1, round(entry.pips * PIP_PARTS * fixedpoint.tables().factor(growth)))


def multipliers(symbol: Symbol) -> list[int]:
    """The multipliers of a symbol, before `Multiplier.choices` leaves some out."""
    if symbol.name in MULTIPLIERS:
        return list(MULTIPLIERS[symbol.name])
    products = MULTIPLIED_VOLATILITIES
    if symbol.motion in (Motion.JUMPS, Motion.SPIKES, Motion.SWITCHES):
        products = MULTIPLIED_JUMPS
    elif symbol.motion is Motion.BREAKS:
        products = MULTIPLIED_BREAKS
    return [max(1, round(product / symbol.total_volatility)) for product in products]


def stop_out_worth(symbol: Symbol, spot: int, *, rises: bool) -> float:
    """The highest value of a stop-out to the client, as a share of the position.

    The tick that crosses the level goes beyond it, but the client loses no more than the stake: so
    the value is the expected distance beyond the level. For normal ticks that is `SHIFT` standard
    deviations, which is also the minimum where the price nears the level only by small steps.

    Where a range breaks, it is up to the width of the range: by waiting for an entry spot, a client
    can choose a level that a break jumps over.

    The level is the first whole pip that takes the stake: on average half a pip beyond the loss of
    the stake, and up to a whole pip for an entry spot that a client may wait for. So half a pip is
    added, and the minimum is one pip; for prices that move by steps, a step instead of a pip.
    """
    tick_sd = symbol.total_volatility / symbol.volatility * symbol.tick_sd_at(spot)
    beyond = SHIFT * tick_sd
    if symbol.motion is Motion.JUMPS:
        beyond = overshoot.of_jumps(symbol.every, JUMP_SD) * symbol.tick_sd
    elif symbol.motion is Motion.SPIKES and symbol.rises != rises:
        beyond = max(beyond, overshoot.of_spikes(symbol.every * SPIKE_STEP, SPIKE_SIZES))
    elif symbol.motion is Motion.SWITCHES:
        back = symbol.every * SWITCH_DRIFT * symbol.tick_sd
        beyond = max(beyond, overshoot.of_spikes(back, SWITCH_SIZES))
    elif symbol.motion is Motion.BREAKS:
        beyond = symbol.every / spot
    return max(beyond + 0.5 * symbol.size / spot, symbol.size / spot)


def _check_cancellation(terms: Terms, seconds: int) -> None:
    symbol = terms.symbol
    if not can_be_cancelled(symbol):
        raise not_offered("Deal cancellation is not offered for this asset.", "cancellation")
    if not symbol.is_open(terms.start + seconds):
        raise not_offered("The market closes before the deal cancellation ends.", "cancellation")
