"""Scripted moves of a market in a test: `world.market("R_100").move("-3%", over="10s")`.

Rules: only the test kit uses this. A move acts on the ticks after the present moment, for everybody
who is connected to that gateway, and it is recorded with that moment (`exchange.moves`).
"""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from scopegate.exchange.feed import Feed
from scopegate.exchange.moves import MAX_PIPS, AnyMove, Freeze, Move, SetPrice
from scopegate.exchange.symbols import SYMBOLS

Seconds = str | int | float
"""A span of time: seconds, or a text such as `"10s"`, `"5m"` or `"2h"`."""

MAX_RISE: Final = 1_000
"""The most percent by which one move raises a price."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600}


class ScriptedMarket:
    """A market whose next prices a test chooses.

    Past ticks never change. Raises `ValueError` for a symbol that does not exist.
    """

    def __init__(
        self, feed: Feed, symbol: str, now: Callable[[], float], apply: Callable[..., Any]
    ) -> None:
        """`now` is the market's time; `apply` calls what it gets where the gateway runs."""
        if symbol not in SYMBOLS:
            raise ValueError(f"there is no symbol {symbol!r}: active_symbols lists what there is")
        self._symbol = SYMBOLS[symbol]
        self._feed = feed
        self._now = now
        self._apply = apply

    def move(self, by: str, over: Seconds = "10s") -> None:
        """Move the price by a percentage, such as `"-3%"`, evenly over a span of time.

        The price keeps moving as without it meanwhile. The change stays, and moves multiply.
        """
        share, seconds = _share(by), _seconds(over)
        self._add(lambda at: Move(at, share, seconds))

    def jump(self, by: str) -> None:
        """Change the price of the next tick by a percentage, such as `"+2%"`; the change stays."""
        share = _share(by)
        self._add(lambda at: Move(at, share))

    def set(self, price: str | int | float | Decimal) -> None:
        """Give the next tick this price, from which the market moves on; drop unfinished moves.

        Raises `ValueError` for a price with more decimals than the symbol has.
        """
        try:
            pips = Decimal(str(price)).scaleb(self._symbol.digits)
        except InvalidOperation:
            pips = Decimal("NaN")
        if not pips.is_finite() or pips != pips.to_integral_value() or not 0 < pips <= MAX_PIPS:
            example = self._symbol.text(self._symbol.level)
            raise ValueError(f"{price!r} is not a price of {self._symbol.name}, such as {example}")
        self._add(lambda at: SetPrice(at, int(pips)))

    def freeze(self, seconds: Seconds) -> None:
        """Repeat the latest price for a span of time, then move on; drop unfinished moves."""
        span = _seconds(seconds)
        self._add(lambda at: Freeze(at, span))

    @property
    def moves(self) -> tuple[AnyMove, ...]:
        """The moves so far: with the seed, all that the prices of this market depend on."""
        return self._feed.moves(self._symbol)

    def _add(self, made: Callable[[int], AnyMove]) -> None:
        self._apply(lambda: self._feed.move(self._symbol, made(int(self._now()))))


def _share(text: str) -> float:
    """Parse `"-3%"`. Raises `ValueError`."""
    found = re.fullmatch(r"\s*([+-]?[0-9]{1,6}(?:\.[0-9]{1,6})?)\s*%\s*", str(text))
    percent = float(found[1]) if found else float("nan")
    if not -100 < percent <= MAX_RISE:
        raise ValueError(
            f"{text!r} must be a percentage above -100% and up to +{MAX_RISE}%, such as '-3%'"
        )
    return percent / 100


def _seconds(span: Seconds) -> float:
    """Parse `"10s"` or a number of seconds. Raises `ValueError`."""
    found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([smh]?)\s*", str(span))
    if found is None:
        raise ValueError(f"{span!r} must be a number of seconds, or such as '10s', '5m' or '2h'")
    return float(found[1]) * _UNITS[found[2] or "s"]
