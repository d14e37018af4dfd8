"""A report after a run, from what was sent and what was traded."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from scopegate.recordings.connection import RecordedConnection
from scopegate.recordings.lines import (
    Closed,
    Entry,
    Market,
    Message,
    Opened,
    Struck,
    each_connection,
)
from scopegate.recordings.matching import call_of
from scopegate.reports.trades import Trade

MAX_NEXT_STEPS = 10
"""The number of a bot's next steps that are listed after a fault."""
CONNECTED_AGAIN = "connected again"


@dataclass(slots=True)
class Calls:
    """How the calls of one name were answered."""

    call: str
    answered: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """How often with which error code."""
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that was answered with an error."""

    at: float
    connection: int
    call: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A connection that has ended."""

    at: float
    connection: int
    by: str
    code: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that has struck, and what the bots did next."""

    at: float
    fault: str
    next_steps: list[str]
    """The calls after it, and `CONNECTED_AGAIN`, up to the next fault; none if it did nothing."""


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot that a test has run, and how it ended."""

    name: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of the trades in one currency that have ended."""

    currency: str
    trades: int
    """How many have ended."""
    open: int
    """How many are still open, or have an unknown result."""
    price: float
    result: float
    expected: float | None
    """The sum of the expected results; `None` if one of them is not known."""
    deviation: float | None
    standard_error: float | None
    """The standard error of the deviation, by the scatter of groups of trades; needs two groups.

    Trades of one symbol that were open at the same time depend on the same prices: a group.
    """


@dataclass(frozen=True, slots=True)
class Report:
    """What bots did in one run."""

    title: str
    market: Market | None
    """The market, if it is known; times are then seconds since its start."""
    seconds: float
    """How long the run took; on a market, in market time."""
    connections: int
    reconnects: int
    """How many connections were opened after another one had ended."""
    ended: list[Ended]
    calls: list[Calls]
    refusals: list[Refused]
    trades: list[Trade]
    totals: list[Total]
    faults: list[Fault]
    bots: list[Bot]

    def to_json(self) -> dict[str, Any]:
        """Return the report as values of JSON."""
        data = asdict(self)
        data["trades"] = [
            {**asdict(trade), "result": trade.result, "deviation": trade.deviation}
            for trade in self.trades
        ]
        return data


def report_of(
    title: str,
    entries: Sequence[Entry],
    trades: list[Trade],
    bots: Iterable[Bot] = (),
    *,
    seconds: float | None = None,
) -> Report:
    """Return the report of a run, from its recording and its trades.

    `seconds` is how long it took, if not until the last entry.
    """
    recorded = [RecordedConnection(each) for each in each_connection(list(entries))]
    times = [entry.at for entry in entries if not isinstance(entry, Market)]
    market = next((entry for entry in entries if isinstance(entry, Market)), None)
    return Report(
        title=title,
        market=market,
        seconds=round(max(times, default=0.0) if seconds is None else seconds, 3),
        connections=len(recorded),
        reconnects=_reconnects(entries),
        ended=[
            Ended(entry.at, entry.connection, entry.by, entry.code)
            for entry in entries
            if isinstance(entry, Closed)
        ],
        calls=_calls(recorded),
        refusals=_refusals(recorded),
        trades=trades,
        totals=_totals(trades),
        faults=_faults(entries),
        bots=list(bots),
    )


def _reconnects(entries: Iterable[Entry]) -> int:
    """Return how many connections were opened after another one had ended, for which they stand."""
    ended = again = 0
    for entry in entries:
        ended += isinstance(entry, Closed)
        again += isinstance(entry, Opened) and ended > again
    return again


def _calls(recorded: Iterable[RecordedConnection]) -> list[Calls]:
    found: dict[str, Calls] = {}
    for connection in recorded:
        for request in connection.requests:
            of_call = found.setdefault(request.call, Calls(request.call))
            if not request.replies:
                of_call.unanswered += 1
            elif error := _error(request.replies[0]):
                code = str(error.get("code"))
                of_call.refused[code] = of_call.refused.get(code, 0) + 1
            else:
                of_call.answered += 1
    return list(found.values())


def _refusals(recorded: Iterable[RecordedConnection]) -> list[Refused]:
    found = []
    for connection in recorded:
        for entry in connection.entries:
            if isinstance(entry, Message) and (error := _error(entry)):
                owner = connection.owner.get(entry)
                call = owner.call if owner is not None else str((entry.body or {}).get("msg_type"))
                code, message = str(error.get("code")), str(error.get("message"))
                found.append(Refused(entry.at, connection.number, call, code, message))
    return sorted(found, key=lambda refused: refused.at)


def _error(entry: Message) -> dict[str, Any] | None:
    error = (entry.body or {}).get("error")
    return error if isinstance(error, dict) and entry.direction == "received" else None


def _faults(entries: Sequence[Entry]) -> list[Fault]:
    found = []
    for place, entry in enumerate(entries):
        if not isinstance(entry, Struck):
            continue
        steps: list[str] = []
        for later in entries[place + 1 :]:
            if isinstance(later, Struck) or len(steps) == MAX_NEXT_STEPS:
                break
            if isinstance(later, Opened):
                steps.append(CONNECTED_AGAIN)
            elif isinstance(later, Message) and later.direction == "sent":
                steps.append(call_of(later.body))
        found.append(Fault(entry.at, entry.fault, steps))
    return found


def _totals(trades: Iterable[Trade]) -> list[Total]:
    by_currency: dict[str, list[Trade]] = {}
    for trade in trades:
        by_currency.setdefault(trade.currency, []).append(trade)
    return [_total(currency, of_it) for currency, of_it in by_currency.items()]


def _total(currency: str, trades: list[Trade]) -> Total:
    ended = [trade for trade in trades if trade.result is not None]
    results = [trade.result for trade in ended if trade.result is not None]
    means = [trade.expected for trade in ended if trade.expected is not None]
    deviations = [math.fsum(trade.deviation or 0.0 for trade in group) for group in _groups(ended)]
    is_known = len(means) == len(ended)
    error = None
    if is_known and len(deviations) > 1:
        count, mean = len(deviations), math.fsum(deviations) / len(deviations)
        scatter = math.fsum((each - mean) ** 2 for each in deviations)
        error = round(math.sqrt(count * scatter / (count - 1)), 6)
    return Total(
        currency=currency,
        trades=len(ended),
        open=len(trades) - len(ended),
        price=round(math.fsum(trade.price for trade in ended), 8),
        result=round(math.fsum(results), 8),
        expected=round(math.fsum(means), 8) if is_known else None,
        deviation=round(math.fsum(deviations), 8) if is_known else None,
        standard_error=error,
    )


def _groups(trades: Iterable[Trade]) -> list[list[Trade]]:
    """Return the trades in groups that do not depend on the same prices."""
    groups: list[list[Trade]] = []
    symbol, until = "", -math.inf
    for trade in sorted(trades, key=lambda each: (each.symbol, each.bought_at)):
        if trade.symbol != symbol or trade.bought_at >= until:
            symbol, until = trade.symbol, -math.inf
            groups.append([])
        groups[-1].append(trade)
        until = max(until, math.inf if trade.ended_at is None else trade.ended_at)
    return groups
