"""The parts of longcodes: the sentences that describe contracts."""

import time

from scopegate.exchange.contracts.common.listing import seconds_text
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.money import to_text
from scopegate.exchange.symbols import DAY, Symbol

_ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}
_UNITS = {"d": "day", "h": "hour", "m": "minute", "s": "second"}


def money(units: int, terms: Terms) -> str:
    """An amount in smallest units of the contract's currency, such as `USD 19.55`."""
    return f"{terms.currency} {to_text(units, terms.currency)}"


def level(chosen: Barrier | None, symbol: Symbol) -> str:
    """A barrier, or the entry spot if there is none."""
    if chosen is None or (chosen.is_relative and chosen.pips == 0):
        return "the entry spot"
    if not chosen.is_relative:
        return symbol.text(chosen.pips)
    side = "plus" if chosen.pips > 0 else "minus"
    return f"the entry spot {side} {symbol.text(abs(chosen.pips))}"


def nth_tick(count: int) -> str:
    """A tick by its number, such as `the 5th tick`; the entry spot is the first."""
    return f"the {_ORDINALS.get(count, f'{count}th')} tick"


def at_end(terms: Terms) -> str:
    """The end of a contract: `at` a moment, or a number of ticks after the entry spot."""
    return end(terms) if terms.ticks is not None else f"at {end(terms)}"


def end(terms: Terms) -> str:
    """The end of a contract as in `at_end`, without `at`."""
    if terms.ticks is not None:
        return f"{terms.ticks} tick{'s' * (terms.ticks > 1)} after the entry spot"
    assert terms.expiry is not None  # noqa: S101 - every contract has one of the two
    if terms.is_fixed_expiry:
        return moment(terms.expiry)
    if (terms.expiry + 1) % DAY == 0 and terms.expiry - terms.start > DAY // 2:
        return f"the close on {time.strftime('%Y-%m-%d', time.gmtime(terms.expiry))}"
    start = moment(terms.start) if terms.is_forward else "the contract's start"
    return f"{duration(terms.expiry - terms.start)} after {start}"


def duration(seconds: int) -> str:
    """A duration, such as `5 minutes`."""
    text = seconds_text(seconds)
    count, unit = int(text[:-1]), _UNITS[text[-1]]
    return f"{count} {unit}{'s' * (count > 1)}"


def moment(epoch: int) -> str:
    """An epoch of the market as date and time (GMT), to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S GMT", time.gmtime(epoch))
