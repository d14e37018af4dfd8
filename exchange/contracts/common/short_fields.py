"""The fields of shortcodes that several types share: how they are written and read.

Reading raises `ValueError`, `ArithmeticError` or `KeyError` for text that is never written.
"""

import re
from decimal import Decimal
from typing import Any

from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.money import to_text, to_units
from scopegate.exchange.symbols import Symbol

MONEY = r"([0-9.]{1,20})"
START = r"([0-9]{1,11})(F?)"
END = r"(?:([0-9]{1,11})(F?)|([0-9]{1,3})T)"
PLAIN = f"{MONEY}_{START}_{END}"
"""The beginning of most shortcodes."""
BARRIER = r"(S-?[0-9]{1,15}P|[0-9]{1,20})"
AT_ENTRY = "S0P"
"""The barrier of a contract without one: its entry spot."""

UNUSED = "0"
"""The field of a barrier that a type does not have."""

_MILLIONTHS = 6


def match(pattern: re.Pattern[str], text: str) -> tuple[str | Any, ...]:
    """The groups of the pattern in the text; `None` for those that are missing."""
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return found.groups()


def money(units: int, currency: str) -> str:
    """An amount, without decimals if they are all zero."""
    text = to_text(units, currency)
    whole, _, fraction = text.partition(".")
    return whole if not fraction.strip("0") else text


def read_money(text: str, currency: str) -> int:
    """An amount in smallest units."""
    return to_units(Decimal(text), currency)


def start(terms: Terms) -> str:
    """The start, with an `F` if it is later than the purchase."""
    return f"{terms.start}{'F' * terms.is_forward}"


def end(terms: Terms) -> str:
    """The number of ticks, or the expiry, with an `F` if the client gave it as a moment."""
    return f"{terms.ticks}T" if terms.ticks else f"{terms.expiry}{'F' * terms.is_fixed_expiry}"


def read_term(
    terms: Terms, start: str, forward: str, expiry: str | None, fixed: str | None, ticks: str | None
) -> Terms:
    """The common terms with the start and the end, from the groups of `START` and `END`."""
    if ticks is not None and int(ticks) == 0:
        raise ValueError(ticks)
    # `dataclasses.replace` takes twice as long, and hundreds are decoded for a page.
    return Terms(
        contract_type=terms.contract_type,
        symbol=terms.symbol,
        currency=terms.currency,
        start=int(start),
        is_forward=bool(forward),
        ticks=None if ticks is None else int(ticks),
        expiry=None if expiry is None else int(expiry),
        is_fixed_expiry=bool(fixed),
    )


def plain(terms: Terms, amount: int) -> str:
    """The text for an amount in smallest units, start and end."""
    return f"{money(amount, terms.currency)}_{start(terms)}_{end(terms)}"


def read_plain(terms: Terms, amount: str, *term: Any) -> tuple[int, Terms]:
    """The amount in smallest units, and the terms, from the groups of `PLAIN`."""
    return read_money(amount, terms.currency), read_term(terms, *term)


def check_unused(text: str) -> None:
    """Raise `ValueError` for anything but `UNUSED`."""
    if text != UNUSED:
        raise ValueError(text)


def barrier(chosen: Barrier | None, symbol: Symbol) -> str:
    """The text of a barrier: a relative one in pips, an absolute one in millionths."""
    if chosen is None:
        return AT_ENTRY
    if chosen.is_relative:
        return f"S{chosen.pips}P"
    return str(chosen.pips * 10 ** (_MILLIONTHS - symbol.digits))


def read_barrier(text: str, symbol: Symbol) -> Barrier | None:
    """The barrier that `barrier` wrote; `None` for the entry spot."""
    if text == AT_ENTRY:
        return None
    if text.startswith("S"):
        pips = int(text[1:-1])
        if pips == 0:
            raise ValueError(text)
        return Barrier(pips)
    pips, over = divmod(int(text), 10 ** (_MILLIONTHS - symbol.digits))
    if over:
        raise ValueError(text)
    return Barrier(pips, is_relative=False)
