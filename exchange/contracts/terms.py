"""What a contract is: the terms that are agreed on when it is bought.

Rules: money is in the currency's smallest units, a price is in pips, a moment is an epoch in whole
seconds. Nothing here changes once a contract is bought but its orders, and no price of the market
is kept: where one is needed, the feed is read again.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from scopegate.exchange.money import CURRENCIES
from scopegate.exchange.symbols import DAY, Symbol

NOT_OPEN = "This contract was not found among your open positions."


class Refusal(Exception):
    """What was asked for is not done; nothing has happened.

    `code` is a word of the wire, `message` a sentence that says what to do, `details` the fields
    at fault with a sentence each. With `names_field`, clients are told in a field of its own which
    one that is, so that a form can mark it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: dict[str, Any] | None = None,
        *,
        names_field: bool = True,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.details = details
        self.names_field = names_field


def invalid(field: str, problem: str) -> Refusal:
    """A field of the request is missing or makes no sense."""
    return Refusal("InputValidationFailed", f"Input validation failed: {field}", {field: problem})


def not_offered(problem: str, field: str, *, offered: str | None = None) -> Refusal:
    """The requested value is not offered; `offered` is a sentence on the values that are."""
    return Refusal("OfferingsValidationError", problem, {field: offered or problem})


def bad_amount(problem: str, field: str) -> Refusal:
    """The amount of a stake, a payout or an order is out of bounds."""
    return Refusal("ContractBuyValidationError", problem, {field: problem})


def too_precise(currency: str, field: str) -> Refusal:
    """An amount has more decimals than its currency."""
    return bad_amount(f"Only {CURRENCIES[currency].digits} decimal places allowed.", field)


def barriers_needed(count: str, field: str, needed: str) -> Refusal:
    """The `Single` or `Double` barrier of a contract type is missing; `needed` says which."""
    text = f"Invalid barrier ({count} barrier input is expected)."
    return Refusal("ContractCreationFailure", text, {field: needed})


def bad_barrier(problem: str, field: str = "barrier") -> Refusal:
    """The barrier can not be that of a contract."""
    return Refusal("BarrierValidationError", problem, {field: problem})


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequest:
    """What a client asks the price of, as it was written; see `proposal` for the fields."""

    contract_type: str
    symbol: str
    currency: str
    amount: Decimal | None = None
    basis: str | None = None
    barrier: str | None = None
    barrier2: str | None = None
    cancellation: str | None = None
    date_expiry: int | None = None
    date_start: int | None = None
    duration: int | None = None
    duration_unit: str = "s"
    multiplier: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    growth_rate: Decimal | None = None
    payout_per_point: Decimal | None = None
    selected_tick: int | None = None
    barrier_range: str | None = None
    trade_risk_profile: str | None = None
    trading_period_start: int | None = None
    markup: Decimal = Decimal(0)
    """What the owner of the app adds to the price: a share of the payout."""


WIDTH_UNITS = 10**12
"""So many make a width of 1."""

_BARRIER = re.compile(r"([+-]?)([0-9]{1,15})(?:\.([0-9]*))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Barrier:
    """A price that matters: `pips` from the entry spot if it is relative, else from zero."""

    pips: int
    is_relative: bool = True

    @classmethod
    def parse(cls, text: str, symbol: Symbol, field: str = "barrier") -> "Barrier":
        """The barrier that a client wrote. Raises `Refusal` where it is none, or too precise."""
        found = _BARRIER.fullmatch(text)
        if found is None:
            raise bad_barrier("A barrier is written like +0.10, -0.10 or 2400.10.", field)
        sign, whole, fraction = found.groups(default="")
        if len(fraction.rstrip("0")) > symbol.digits:
            raise bad_barrier(f"Barrier can only be up to {symbol.digits} decimal places.", field)
        pips = int(whole + fraction[: symbol.digits].ljust(symbol.digits, "0"))
        return cls(-pips if sign == "-" else pips, is_relative=bool(sign))

    def level(self, entry: int) -> int:
        """The barrier in pips, for a contract that was entered at this price."""
        return entry + self.pips if self.is_relative else self.pips

    def text(self, symbol: Symbol) -> str:
        """As a client writes it: `+0.10` from the entry spot, `2400.10` from zero."""
        sign = "+" if self.is_relative and self.pips >= 0 else ""
        return sign + symbol.text(self.pips)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Everything that decides how a contract ends and what it pays then.

    It ends by `ticks` or by `expiry`: one of them is there.
    """

    contract_type: str
    symbol: Symbol
    currency: str
    amount: int
    """The payout of a contract that has a fixed one; what a lookback pays for a difference of 1 in
    the price; else the stake."""
    start: int
    is_forward: bool = False
    """Whether it starts later than it was bought: then it is entered at the spot of its start."""
    ticks: int | None = None
    expiry: int | None = None
    is_fixed_expiry: bool = False
    """Whether the client named the moment of expiry instead of a duration."""
    barrier: Barrier | None = None
    """The barrier, or the higher of two."""
    barrier2: Barrier | None = None
    """The lower of two."""
    digit: int | None = None
    selected_tick: int | None = None
    """Which tick, from 1 on, is to be the highest or the lowest."""
    multiplier: int = 0
    cancellation: int = 0
    """For how many seconds after the start it can be cancelled."""
    commission: int = 0
    is_financed: bool = False
    """Whether a multiplier is measured against the forward price; those that were bought before
    there was financing are measured against the entry spot."""
    take_profit: int | None = None
    stop_loss: int | None = None
    growth: int = 0
    """By how many percent an accumulator grows with every tick."""
    width: int = 0
    """How far a tick may be from the one before it: a share of that, in `WIDTH_UNITS`."""
    contracts: Decimal = Decimal(0)
    """What a vanilla or a turbo pays for each point of the price: its number of contracts."""

    @property
    def entry_epoch(self) -> int:
        """The tick at which it is entered: the first after the start, or the spot at the start."""
        if self.is_forward:
            return self.symbol.last_tick(self.start)
        return self.symbol.next_tick(self.start)

    @property
    def lasts_days(self) -> bool:
        """Whether it ends more than a day after its start."""
        return self.expiry is not None and self.expiry - self.start > DAY
