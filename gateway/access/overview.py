"""Live connections and recent calls of all processes, as the operator is shown them.

Rules:
- Everything comes from what is counted in memory: nothing is read from the store.
- Lists are bounded: of many connections, those with the most messages are listed.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import NamedTuple, TypeVar

from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.handling import MAX_REFUSALS, CallCounts, Handling, Refusal
from scopegate.gateway.calls.session import Session
from scopegate.runtime.health import Health
from scopegate.runtime.metrics import SECONDS
from scopegate.runtime.siblings import Siblings

MAX_CONNECTIONS = 100
"""Connections that are listed."""
MAX_GROUPS = 50
"""Apps, and users, that are listed, those with the most connections."""
MAX_CALLS = 10
"""Calls that are listed as the busiest, and as the slowest."""
SAMPLE_EVERY = 2.0
"""Real seconds between two samples of the counts of calls."""
_SAMPLES = 31
"""Samples that are kept: those of the last minute."""
_OVERVIEW = "operator overview"
_NONE = CallCounts(0, 0, (0,) * (len(SECONDS) + 1))

KeyT = TypeVar("KeyT")


class OpenConnection(NamedTuple):
    """One open connection."""

    session_id: str
    app_id: int | None
    """The app that it names; `None` if there is no such app."""
    user_id: int | None
    """The user who is signed in there; `None` if nobody is."""
    loginids: tuple[str, ...]
    address: str
    at_pages: bool
    since: float
    """When it was opened, in epoch seconds."""
    messages: int
    streams: int


class ProcessReport(NamedTuple):
    """What one process has counted. It can be pickled."""

    process: int
    fault: str | None
    """Why clients should not be sent to it, or `None`."""
    connections: int
    busiest: Sequence[OpenConnection]
    """The connections with the most messages."""
    of_apps: Mapping[int | None, int]
    """The number of connections of each app; under `None`, of those that name none."""
    of_users: Mapping[int, int]
    seconds: float
    """The length of the time for which `calls` are counted, a minute once it has run so long."""
    calls: Mapping[str, CallCounts]
    since_start: Mapping[str, int]
    """How often each call was made since the start of the process."""
    errors: Mapping[str, int]
    """How often each error code was returned since then."""
    limits: Mapping[str, int]
    """How often each limit has refused a message since then."""
    refusals: Sequence[Refusal]
    revoked: int
    """How many tokens have ended or were suspended since then, in any process."""


class Overview:
    """Collects what the processes of a gateway have counted."""

    def __init__(
        self, access: Access, handling: Handling, health: Health, siblings: Siblings
    ) -> None:
        self._access = access
        self._handling = handling
        self._health = health
        self._siblings = siblings
        self._samples: deque[tuple[float, Mapping[str, CallCounts]]] = deque(maxlen=_SAMPLES)
        self.sample()
        siblings.on(_OVERVIEW, lambda *_: self._here())

    def sample(self) -> None:
        """Remember the counts of calls. Called every `SAMPLE_EVERY` while the page is offered."""
        self._samples.append((monotonic(), self._handling.calls()))

    async def collect(self) -> list[ProcessReport]:
        """Return what this process and each of its siblings has counted, by process."""
        elsewhere = await self._siblings.ask(_OVERVIEW, None)
        return sorted([self._here(), *elsewhere], key=lambda report: report.process)

    def _here(self) -> ProcessReport:
        of_apps, of_users = Counter[int | None](), Counter[int]()
        sessions = list(self._access.sessions)
        for session in sessions:
            of_apps[session.app_id] += 1
            if session.first_grant is not None:
                of_users[session.first_grant.user_id] += 1
        busiest = heapq.nlargest(MAX_CONNECTIONS, sessions, key=lambda session: session.messages)
        then, before = self._samples[0]
        calls = self._handling.calls()
        return ProcessReport(
            process=self._siblings.number,
            fault=self._health.fault(),
            connections=len(sessions),
            busiest=[_open_connection(session) for session in busiest],
            of_apps=dict(of_apps),
            of_users=dict(of_users),
            seconds=max(monotonic() - then, SAMPLE_EVERY),
            calls={
                name: more
                for name, counts in calls.items()
                if sum((more := _difference(counts, before.get(name, _NONE))).within)
            },
            since_start={name: counts.ok + counts.failed for name, counts in calls.items()},
            errors=dict(self._handling.errors()),
            limits=dict(self._handling.limits),
            refusals=list(self._handling.refusals),
            revoked=self._access.revoked,
        )


def _open_connection(session: Session) -> OpenConnection:
    grant = session.first_grant
    return OpenConnection(
        session.id,
        session.app_id,
        None if grant is None else grant.user_id,
        tuple(session.grants),
        session.address,
        session.at_pages,
        session.since,
        session.messages,
        len(session.subscriptions),
    )


def _difference(counts: CallCounts, before: CallCounts) -> CallCounts:
    within = zip(counts.within, before.within, strict=True)
    return CallCounts(
        counts.ok - before.ok,
        counts.failed - before.failed,
        tuple(now - then for now, then in within),
    )


class CallRate(NamedTuple):
    """How often a call was made lately, and how long it took."""

    call: str
    per_second: float
    failed_per_second: float
    seconds: float
    """The bound (see `SECONDS`) within which 99 of 100 were answered."""


def rates(reports: Sequence[ProcessReport]) -> list[CallRate]:
    """Return the rate of every call that was made lately, in all processes together.

    The calls that were made most often since the start come first: this order hardly changes.
    """
    since_start = summed(each.since_start for each in reports)
    found = []
    for name in sorted(since_start, key=lambda name: (-since_start[name], name)):
        lately = [(each.seconds, each.calls[name]) for each in reports if name in each.calls]
        if lately:
            columns = zip(*(each.within for _, each in lately), strict=True)
            found.append(
                CallRate(
                    name,
                    sum((each.ok + each.failed) / seconds for seconds, each in lately),
                    sum(each.failed / seconds for seconds, each in lately),
                    _bound_of([sum(column) for column in columns]),
                )
            )
    return found


def _bound_of(within: Sequence[int]) -> float:
    """Return the bound below which 99 of 100 values lie; the highest if some are above them all."""
    wanted, found = 0.99 * sum(within), 0
    for bound, count in zip(SECONDS, within, strict=False):
        found += count
        if found >= wanted:
            return bound
    return SECONDS[-1]


def busiest_and_slowest(every: Sequence[CallRate]) -> list[CallRate]:
    """Return the calls that were made most often lately, and those that took longest."""
    busiest = heapq.nlargest(MAX_CALLS, every, key=lambda rate: rate.per_second)
    slowest = heapq.nlargest(MAX_CALLS, every, key=lambda rate: rate.seconds)
    return [rate for rate in every if rate in busiest or rate in slowest]


def busiest_connections(reports: Sequence[ProcessReport]) -> list[OpenConnection]:
    """Return the connections with the most messages of all processes, the oldest first."""
    every = [one for each in reports for one in each.busiest]
    shown = heapq.nlargest(MAX_CONNECTIONS, every, key=lambda one: one.messages)
    return sorted(shown, key=lambda one: (one.since, one.session_id))


def latest_refusals(reports: Sequence[ProcessReport]) -> list[Refusal]:
    """Return the latest refusals of all processes, the latest first."""
    every = [refusal for each in reports for refusal in each.refusals]
    return heapq.nlargest(MAX_REFUSALS, every, key=lambda refusal: refusal.at)


def summed(counts: Iterable[Mapping[KeyT, int]]) -> Counter[KeyT]:
    """Return the counts of all processes together."""
    total = Counter[KeyT]()
    for each in counts:
        total.update(each)
    return total
