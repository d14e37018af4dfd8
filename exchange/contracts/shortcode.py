"""Shortcodes: a contract's terms in one word, which can be read back.

    CALL_R_100_19.55_1767268800_1767268860_S0P_0     payout, start, end, barrier, no second one
    CALL_R_100_19.55_1767268800F_1767268860_S10P_0   F: it starts later than it was bought
    DIGITOVER_R_100_4.88_1767268800_5T_5_0           ends with a tick; the digit
    MULTUP_R_100_9.00_40_1767268800_4920998399_60m_0.00_N1
                       stake, multiplier, start, end, time to cancel, take profit

A relative barrier is S, signed pips, P; an absolute one a whole number of millionths. An end that
was named as a moment carries an F. What a multiplier's word does not tell (its commission, its stop
loss, orders placed later) is kept beside it.
"""

import re
from decimal import Decimal
from functools import lru_cache

from exchange.contracts.catalogue import TYPES
from exchange.contracts.digits import Digits
from exchange.contracts.multipliers import Multiplier
from exchange.contracts.terms import Barrier, Terms
from exchange.money import to_text, to_units
from exchange.rules import CANCELLATIONS
from exchange.symbols import SYMBOLS, Symbol

_MILLIONTHS = 6
_CANCELLATIONS = {seconds: name for name, seconds in CANCELLATIONS.items()} | {0: "0"}
_PATTERN = re.compile(rf"({'|'.join(TYPES)})_({'|'.join(SYMBOLS)})_([0-9.]{{1,20}})_(.+)", re.ASCII)
_OPTION = re.compile(
    r"([0-9]{1,11})(F?)_(?:([0-9]{1,11})(F?)|([0-9]{1,3})T)_(?:S(-?[0-9]{1,15})P|([0-9]{1,20}))_0",
    re.ASCII,
)
_MULTIPLIER = re.compile(
    r"([0-9]{1,6})_([0-9]{1,11})_([0-9]{1,11})_(0|[0-9]{1,2}m)_([0-9.]{1,20})(?:_N1)?", re.ASCII
)


class ShortcodeError(ValueError):
    """The text is no shortcode of a contract that is offered here."""


def encode(terms: Terms) -> str:
    """The shortcode of these terms."""
    head = f"{terms.contract_type}_{terms.symbol.name}"
    amount = to_text(terms.amount, terms.currency)
    if terms.multiplier:
        profit = to_text(terms.take_profit or 0, terms.currency)
        return (
            f"{head}_{amount}_{terms.multiplier}_{terms.start}_{terms.expiry}"
            f"_{_CANCELLATIONS[terms.cancellation]}_{profit}_N1"
        )
    whole, _, fraction = amount.partition(".")
    payout = whole if not fraction.strip("0") else amount
    start = f"{terms.start}{'F' * terms.is_forward}"
    end = f"{terms.ticks}T" if terms.ticks else f"{terms.expiry}{'F' * terms.is_fixed_expiry}"
    return f"{head}_{payout}_{start}_{end}_{_barrier(terms)}_0"


def _barrier(terms: Terms) -> str:
    if terms.digit is not None:
        return str(terms.digit)
    if terms.barrier is None:
        return "0" if TYPES[terms.contract_type].barrier_is_digit else "S0P"
    if terms.barrier.is_relative:
        return f"S{terms.barrier.pips}P"
    return str(terms.barrier.pips * 10 ** (_MILLIONTHS - terms.symbol.digits))


@lru_cache(maxsize=4_096)  # a contract's is read at its opening, its end, and in between
def decode(text: str, currency: str) -> Terms:
    """The terms that a shortcode tells, in a currency. Raises `ShortcodeError`."""
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise ShortcodeError(text)
    name, symbol, amount, rest = found.groups()
    try:
        units = to_units(Decimal(amount), currency)
        if isinstance(TYPES[name], Multiplier):
            return _multiplier(name, SYMBOLS[symbol], units, rest, currency)
        return _option(name, SYMBOLS[symbol], units, rest, currency)
    except (ArithmeticError, KeyError, ValueError):
        raise ShortcodeError(text) from None


def _option(name: str, symbol: Symbol, units: int, rest: str, currency: str) -> Terms:
    found = _OPTION.fullmatch(rest)
    if found is None:
        raise ValueError(rest)
    start, forward, expiry, fixed, ticks, relative, absolute = found.groups()
    digit: int | None = None
    barrier: Barrier | None = None
    kind = TYPES[name]
    if ticks is not None and int(ticks) == 0:
        raise ValueError(rest)
    if isinstance(kind, Digits):
        if relative is not None or int(absolute) not in (kind.choices or (0,)):
            raise ValueError(rest)
        digit = int(absolute) if kind.choices else None
    elif relative is not None:
        barrier = Barrier(int(relative)) if int(relative) else None
    else:
        pips, over = divmod(int(absolute), 10 ** (_MILLIONTHS - symbol.digits))
        if over:
            raise ValueError(rest)
        barrier = Barrier(pips, is_relative=False)
    return Terms(
        contract_type=name,
        symbol=symbol,
        currency=currency,
        amount=units,
        start=int(start),
        is_forward=bool(forward),
        ticks=None if ticks is None else int(ticks),
        expiry=None if expiry is None else int(expiry),
        is_fixed_expiry=bool(fixed),
        barrier=barrier,
        digit=digit,
    )


def _multiplier(name: str, symbol: Symbol, units: int, rest: str, currency: str) -> Terms:
    found = _MULTIPLIER.fullmatch(rest)
    if found is None:
        raise ValueError(rest)
    multiplier, start, expiry, cancellation, profit = found.groups()
    if int(multiplier) == 0:
        raise ValueError(rest)
    return Terms(
        contract_type=name,
        symbol=symbol,
        currency=currency,
        amount=units,
        start=int(start),
        expiry=int(expiry),
        multiplier=int(multiplier),
        cancellation=0 if cancellation == "0" else CANCELLATIONS[cancellation],
        take_profit=to_units(Decimal(profit), currency) or None,
    )
