"""Counts how messages were handled: calls, their outcomes, and how long they took."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import NamedTuple, TypeAlias

from scopegate.gateway.calls.errors import ApiError, limit_of
from scopegate.gateway.calls.registry import Call
from scopegate.gateway.calls.session import Session
from scopegate.runtime.metrics import Histogram, Metric, Sample, counters, gauges

UNKNOWN = "unknown"
"""The name under which messages are counted whose call is not known."""
OK = "ok"
PENDING = 256
"""Messages of a call that are put into the bounds together, which is cheaper than one by one."""
MAX_NAMES = 100
"""Error codes of one call, and limits, that are counted apart: plugins may make up any number."""
OTHER = "other"
REFUSALS = frozenset(
    {"AuthorizationRequired", "InvalidAppID", "InvalidToken", "PermissionDenied", "RateLimit"}
)
"""The codes of errors by which the gateway refuses a message."""
MAX_REFUSALS = 50
"""Refusals that are kept for the operator, the latest ones."""

Observer: TypeAlias = Callable[[Session, Call | None, float], None]
"""Called with a message that was answered: its session, its call, and how many seconds it took."""


class _Counts:
    """The messages of one call."""

    __slots__ = ("errors", "pending", "seconds")

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        self.pending: list[float] = []
        """How many seconds the latest messages took; they are put into the bounds together."""
        self.seconds = Histogram()

    def settle(self) -> None:
        """Count what is pending within the bounds."""
        self.seconds.add_all(self.pending)
        self.pending = []

    @property
    def ok(self) -> int:
        """How many messages were answered without an error, of those that are not pending."""
        return sum(self.seconds.counts) - self.errors.total()

    def outcomes(self) -> list[tuple[str, int]]:
        """Return how many messages had each outcome, of those that are not pending."""
        return [(OK, self.ok), *sorted(self.errors.items())]


class CallCounts(NamedTuple):
    """How often one call was made, and how long it took."""

    ok: int
    failed: int
    within: tuple[int, ...]
    """How many took at most as long as each of `metrics.SECONDS`; the last took longer."""


class Refusal(NamedTuple):
    """A message that the gateway has refused."""

    at: float
    """When, in epoch seconds."""
    session_id: str
    address: str
    app_id: int | None
    user_id: int | None
    call: str
    code: str
    """The code of the error."""
    limit: str
    """The limit that was reached; empty if none was."""


class Handling:
    """How the messages of all clients were handled."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        """`observers` are called with each message that was answered."""
        self._observers = observers
        self._calls: dict[str, _Counts] = {}
        self._limits: Counter[str] = Counter()
        self.streams: Counter[str] = Counter()
        """The open streams, by kind."""
        self.refusals: deque[Refusal] = deque(maxlen=MAX_REFUSALS)
        """The latest messages that were refused."""

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
            self._failed(session, name, counts, session.error)
        if self._observers:
            for observe in self._observers:
                observe(session, call, seconds)
        session.error = None

    def _failed(self, session: Session, name: str, counts: _Counts, error: ApiError) -> None:
        _count(counts.errors, error.code)
        if error.code not in REFUSALS:
            return
        limit = limit_of(error)
        if limit:
            _count(self._limits, limit)
        grant = session.first_grant
        self.refusals.append(
            Refusal(
                time.time(),
                session.id,
                session.address,
                session.app_id,
                None if grant is None else grant.user_id,
                name,
                error.code,
                limit,
            )
        )

    def calls(self) -> dict[str, CallCounts]:
        """Return the counts of each call."""
        return {
            name: CallCounts(counts.ok, counts.errors.total(), tuple(counts.seconds.counts))
            for name, counts in self._settled()
        }

    def _settled(self) -> list[tuple[str, _Counts]]:
        """Return the calls in order, with nothing pending."""
        calls = sorted(self._calls.items())
        for _, counts in calls:
            counts.settle()
        return calls

    def errors(self) -> Counter[str]:
        """Return how many messages were answered with each error code."""
        return sum((counts.errors for counts in self._calls.values()), Counter())

    @property
    def limits(self) -> Mapping[str, int]:
        """How many messages each limit has refused."""
        return self._limits

    def metrics(self) -> Iterator[Metric]:
        """Return the counts."""
        calls = self._settled()
        yield Metric(
            "calls",
            "counter",
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
            "histogram",
            "Seconds from the turn of a message to its answer, by call.",
            ("call",),
            tuple(Sample((name,), counts.seconds.distribution()) for name, counts in calls),
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
