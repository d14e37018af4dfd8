"""The terms of a contract: what is agreed when it is bought.

Rules: money is in the currency's smallest units, a price is in pips, a moment is an epoch in whole
seconds. After the purchase, only the orders can change. No market price is stored: if one is
needed, it is read from the feed again.
"""

import re
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from scopegate.exchange.contracts.common.refusals import bad_barrier
from scopegate.exchange.symbols import DAY, Symbol
from scopegate.runtime.pickling import quickly_pickled

_BARRIER = re.compile(r"([+-]?)([0-9]{1,15})(?:\.([0-9]*))?", re.ASCII)


@quickly_pickled
@dataclass(frozen=True, slots=True)
class Barrier:
    """A barrier or strike: `pips` above the entry spot if it is relative, else above zero."""

    pips: int
    is_relative: bool = True

    @classmethod
    def parse(cls, text: str, symbol: Symbol, field: str = "barrier") -> "Barrier":
        """The barrier in a client's text. Raises `Refusal` for other text or too many decimals."""
        found = _BARRIER.fullmatch(text)
        if found is None:
            raise bad_barrier("A barrier must be a number such as +0.10, -0.10 or 2400.10.", field)
        sign, whole, fraction = found.groups(default="")
        if len(fraction.rstrip("0")) > symbol.digits:
            raise bad_barrier(f"Barrier can only be up to {symbol.digits} decimal places.", field)
        pips = int(whole + fraction[: symbol.digits].ljust(symbol.digits, "0"))
        return cls(-pips if sign == "-" else pips, is_relative=bool(sign))

    def level(self, entry: int) -> int:
        """The barrier in pips, for a contract whose entry spot is `entry` pips."""
        return entry + self.pips if self.is_relative else self.pips

    def text(self, symbol: Symbol) -> str:
        """The text that a client writes: `+0.10` from the entry spot, `2400.10` from zero."""
        sign = "+" if self.is_relative and self.pips >= 0 else ""
        return sign + symbol.text(self.pips)


AT_ENTRY = Barrier(0)
"""The barrier of a contract without one: its entry spot."""

AnyTerms = TypeVar("AnyTerms", bound="Terms")


@quickly_pickled
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms that every contract has. Each shape of contract adds its own in a subclass.

    A contract ends after `ticks` or at `expiry`; exactly one of them is set.
    """

    contract_type: str
    symbol: Symbol
    currency: str
    start: int
    is_forward: bool = False
    """Whether it starts later than it was bought: it is then entered at the spot of its start."""
    ticks: int | None = None
    expiry: int | None = None
    is_fixed_expiry: bool = False
    """Whether the client gave the moment of expiry instead of a duration."""

    @property
    def entry_epoch(self) -> int:
        """The epoch of the entry tick: the first after the start.

        For a forward start, it is the last tick at or before the start.
        """
        if self.is_forward:
            return self.symbol.last_tick(self.start)
        return self.symbol.next_tick(self.start)

    @property
    def lasts_days(self) -> bool:
        """Whether it ends more than a day after its start."""
        return self.expiry is not None and self.expiry - self.start > DAY

    @property
    def needs_growth(self) -> bool:
        """Whether its ticks need the expected growth of the price (`Tick.growth`)."""
        return False

    def extended(self, shape: type[AnyTerms], **more: Any) -> AnyTerms:
        """These common terms with those of a shape: `terms.extended(PerPointTerms, stake=1_000)`.

        Raises `TypeError` for a missing or unknown field.
        """
        return shape(**{name: getattr(self, name) for name in _COMMON}, **more)


_COMMON = tuple(each.name for each in fields(Terms))
