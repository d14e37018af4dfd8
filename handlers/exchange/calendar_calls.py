"""Trading hours and the economic calendar."""

import time
from collections.abc import Generator

from scopegate.exchange.announcements import LONGEST, Announcement, Announcements
from scopegate.exchange.hours import CLOSED, Hours
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS, Symbol
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.scheduling import Workers
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.days import midnight
from scopegate.runtime.clock import Clock
from scopegate.schemas.market_messages import (
    EconomicCalendar,
    EconomicCalendarReply,
    EconomicEvent,
    MarketTimes,
    OpenAndClose,
    SubmarketTimes,
    SymbolTimes,
    TradingTimes,
    TradingTimesReply,
)

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SUNDAY_FIRST = (6, 0, 1, 2, 3, 4, 5)
WEEK = 7 * DAY
_NONE = "--"
"""Shown instead of a time on a day on which a market is closed."""


class Calendars:
    """Trading hours and the economic calendar."""

    def __init__(self, announcements: Announcements, clock: Clock, workers: Workers) -> None:
        self._announcements = announcements
        self._clock = clock
        self._workers = workers

    @call("economic_calendar", needs=None, error_codes=())
    async def economic_calendar(
        self, request: EconomicCalendar, session: Session
    ) -> EconomicCalendarReply:
        """List simulated economic figures for the next seven days, or for a span of up to a year.

        They are computed from the market's seed, and do not move prices.
        """
        now = int(self._clock.now())
        first, last = request.start_date, request.end_date
        if first is None:
            first = now if last is None or last > now else last - WEEK
        if last is None:
            last = first + WEEK
        currency = request.currency and request.currency.upper()
        if last - first <= 2 * WEEK:
            found = self._announcements.between(first, last, currency)
            return {"economic_calendar": {"events": [_figure(each, now) for each in found]}}
        events = await self._workers.compute(
            session.client, "economic_calendar", self._by_week(first, last, currency, now)
        )
        return {"economic_calendar": {"events": events}}

    def _by_week(
        self, first: int, last: int, currency: str | None, now: int
    ) -> Generator[None, None, list[EconomicEvent]]:
        """Compute the figures of a longer span, yielding after each week."""
        events: list[EconomicEvent] = []
        last = min(last, first + LONGEST)
        for start in range(first, last + 1, WEEK):
            found = self._announcements.between(start, min(last, start + WEEK - 1), currency)
            events += [_figure(each, now) for each in found]
            yield
        return events

    @call("trading_times", needs=None, error_codes=())
    async def trading_times(self, request: TradingTimes, session: Session) -> TradingTimesReply:
        """List the times at which each symbol's market is open on a day."""
        if request.trading_times == "today":
            moment = int(self._clock.now())
        else:
            moment = midnight(request.trading_times, "trading_times")
        day = (moment - EARLIEST) // DAY
        markets: dict[str, dict[str, list[SymbolTimes]]] = {}
        for symbol in SYMBOLS.values():
            submarkets = markets.setdefault(symbol.market_display_name, {})
            submarkets.setdefault(symbol.submarket_display_name, []).append(_times(symbol, day))
        listed: list[MarketTimes] = []
        for market, submarkets in markets.items():
            parts: list[SubmarketTimes] = [
                {"name": name, "symbols": symbols} for name, symbols in submarkets.items()
            ]
            listed.append({"name": market, "submarkets": parts})
        return {"trading_times": {"markets": listed}}


def _times(symbol: Symbol, day: int) -> SymbolTimes:
    return {
        "events": _events(symbol.hours),
        "name": symbol.display_name,
        "symbol": symbol.name,
        "times": _open_and_close(symbol.hours, day),
        "trading_days": _trading_days(symbol.hours),
    }


def _trading_days(hours: Hours) -> list[str]:
    return [_DAYS[number][:3] for number in _SUNDAY_FIRST if hours.week[number] != CLOSED]


def _open_and_close(hours: Hours, day: int) -> OpenAndClose:
    sessions = hours.sessions(day)
    if not sessions:
        return {"open": [_NONE], "close": [_NONE], "settlement": _NONE}
    closed = [_text(closes) for _, closes in sessions]
    return {
        "open": [_text(opens) for opens, _ in sessions],
        "close": closed,
        "settlement": closed[-1],
    }


def _events(hours: Hours) -> list[dict[str, str]]:
    """The weekdays on which the market closes earlier than on Mondays."""
    usual = hours.week[0][1]
    return [
        {"dates": f"{_DAYS[number]}s", "descrip": f"Closes early (at {_text(closes)[:5]})"}
        for number, (_, closes) in enumerate(hours.week)
        if 0 < closes < usual
    ]


def _text(second: int) -> str:
    """A second of the day as `hh:mm:ss`; the end of the day as its last second."""
    return time.strftime("%H:%M:%S", time.gmtime(min(second, DAY - 1)))


def _figure(announcement: Announcement, now: int) -> EconomicEvent:
    event: EconomicEvent = {
        "currency": announcement.currency,
        "event_name": announcement.name,
        "forecast": {"display_value": announcement.forecast},
        "impact": announcement.impact,
        "release_date": announcement.epoch,
    }
    if announcement.previous_epoch <= now:
        event["previous"] = {"display_value": announcement.previous}
    if announcement.epoch <= now:
        event["actual"] = {"display_value": announcement.actual}
    return event
