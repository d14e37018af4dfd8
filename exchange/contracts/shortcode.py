"""Shortcodes: the terms of a contract encoded as one word, and decoded again.

    CALL_R_100_19.55_1767268800_1767268860_S0P_0     payout, start, end, barrier, no second one
    CALL_R_100_19.55_1767268800F_1767268860_S10P_0   F: it starts later than it was bought
    DIGITOVER_R_100_4.88_1767268800_5T_5_0           ends with the 5th tick; the digit
    RANGE_R_100_10_1767268800_1767269100_S50P_S-40P  two barriers, the higher first
    ASIANU_R_100_3.88_1767268800_5T                  no barrier
    TICKHIGH_R_100_4.88_1767268800_5t_2              five ticks, the second is selected
    LBHIGHLOW_R_100_2_1767268800_1767269100          the multiplier instead of the payout
    MULTUP_R_100_9.00_40_1767268800_4920998399_60m_0.00_N1
                       stake, multiplier, start, end, time to cancel, take profit

A relative barrier is S, signed pips, P; an absolute one is a whole number of millionths. An end
that the client gave as a moment has an F. Terms that the shortcode does not contain (a multiplier's
commission, financing and stop loss, orders placed later) are stored next to it.
"""

import re
from functools import lru_cache

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.symbols import RECORDED_NAME, SYMBOLS

_NAMES = "|".join((*SYMBOLS, RECORDED_NAME))
_PATTERN = re.compile(rf"([A-Z0-9]+)_({_NAMES})_(.{{1,200}})", re.ASCII)


class ShortcodeError(ValueError):
    """Raised for text that is not the shortcode of a contract that is offered here."""


def encode(terms: Terms) -> str:
    """The shortcode of these terms."""
    rest = TYPES[terms.contract_type].encode(terms)
    return f"{terms.contract_type}_{terms.symbol.name}_{rest}"


def decode(text: str, currency: str) -> Terms:
    """The terms in a shortcode, with a currency. Raises `ShortcodeError`."""
    return _decoded(text, currency, SYMBOLS.version)


@lru_cache(maxsize=4_096)  # each is decoded when its contract opens, when it ends, and in between
def _decoded(text: str, currency: str, _: int) -> Terms:
    """The terms in a shortcode, while `SYMBOLS` have this version."""
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise ShortcodeError(text)
    name, symbol, rest = found.groups()
    try:
        blank = Terms(contract_type=name, symbol=SYMBOLS[symbol], currency=currency, start=0)
        terms: Terms = TYPES[name].decode(rest, blank)
        return terms
    except (ArithmeticError, KeyError, ValueError):
        raise ShortcodeError(text) from None
