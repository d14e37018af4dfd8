"""Counts how messages were handled: calls, their outcomes, and how long they took."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import TypeAlias

from scopegate.gateway.calls.errors import RATE_LIMIT
from scopegate.gateway.calls.registry import Call
from scopegate.gateway.calls.session import Session
from scopegate.runtime.metrics import (
    SECONDS,
    Distribution,
    Kind,
    Metric,
    Sample,
    counters,
    gauges,
)

UNKNOWN = "unknown"
"""Stands for the call of a message whose call is not known."""
OK = "ok"
PENDING = 256
"""Messages of a call that are put into the bounds together, which is cheaper than one by one."""
MAX_NAMES = 100
"""Error codes of one call, and limits, that are counted apart: plugins may make up any number."""
OTHER = "other"

Observer: TypeAlias = Callable[[Session, Call | None, float], None]
"""Called with a message that was answered: its session, its call, and how many seconds it took."""


class _Counts:
    """The messages of one call."""

    __slots__ = ("errors", "pending", "total", "within")

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        self.pending: list[float] = []
        """How many seconds the latest messages took; they are put into the bounds together."""
        self.within = [0] * (len(SECONDS) + 1)
        self.total = 0.0

    def settle(self) -> None:
        """Count what is pending within the bounds."""
        taken, self.pending = sorted(self.pending), []
        self.total += sum(taken)
        before = 0
        for place, bound in enumerate(SECONDS):
            until = bisect_right(taken, bound, before)
            self.within[place] += until - before
            before = until
        self.within[-1] += len(taken) - before

    def outcomes(self) -> list[tuple[str, int]]:
        """Return how many messages had each outcome, of those that are not pending."""
        return [(OK, sum(self.within) - self.errors.total()), *sorted(self.errors.items())]


class Handling:
    """How the messages of all clients were handled."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        """`observers` are called with each message that was answered."""
        self._observers = observers
        self._calls: dict[str, _Counts] = {}
        self._limits: Counter[str] = Counter()
        self.streams: Counter[str] = Counter()
        """The open streams, by kind."""

    def add(self, session: Session, call: Call | None, began: float) -> None:
        """Count the message of a session that was answered just now; `call` is its call, if known.

        `began` is when its turn began, by `time.perf_counter`.
        """
        name = UNKNOWN if call is None else call.name
        counts = self._calls.get(name)
        if counts is None:
            counts = self._calls[name] = _Counts()
        seconds = perf_counter() - began
        pending = counts.pending
        pending.append(seconds)
        if len(pending) >= PENDING:
            counts.settle()
        if session.error is not None:
            _count(counts.errors, session.error.code)
            if session.error.code == RATE_LIMIT:
                _count(self._limits, str((session.error.details or {}).get("limit", "")))
        if self._observers:
            for observe in self._observers:
                observe(session, call, seconds)
        session.error = None

    def metrics(self) -> Iterator[Metric]:
        """Return the counts."""
        calls = sorted(self._calls.items())
        for _, counts in calls:
            counts.settle()
        yield Metric(
            "calls",
            Kind.COUNTER,
            "Messages that were answered, by call and outcome: ok, or the code of the error.",
            ("call", "outcome"),
            tuple(
                Sample((name, outcome), count)
                for name, counts in calls
                for outcome, count in counts.outcomes()
            ),
        )
        yield Metric(
            "call_seconds",
            Kind.HISTOGRAM,
            "Seconds from the turn of a message to its answer, by call.",
            ("call",),
            tuple(
                Sample((name,), Distribution(SECONDS, tuple(counts.within), counts.total))
                for name, counts in calls
            ),
        )
        yield counters(
            "limit_refusals",
            "Messages refused by a limit, by limit.",
            "limit",
            self._limits,
        )
        yield gauges("streams", "Open streams, by kind.", "kind", self.streams)


def _count(counts: Counter[str], name: str) -> None:
    counts[name if name in counts or len(counts) < MAX_NAMES else OTHER] += 1
