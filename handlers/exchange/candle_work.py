"""Candles that take long to compute: in the time that a call has, or in the background.

Rules:
- A price is a function of the seed, so candles of a past day that nobody has asked for must be
  computed from each of its ticks: about a millisecond for a day. Candles of an hour and more then
  stay in memory (`exchange.feed`), narrower ones do not.
- A request is computed at once if it can be answered in time after those that were admitted before.
- Otherwise it is refused at once, with the error `CandlesNotReady`, which says when to ask again.
  Candles that stay in memory are computed in the background meanwhile, one range after the other,
  for all clients in turn, for as long as a connection that asked for them is open.
- What can never be kept is admitted when nothing else is waiting, so nobody is refused for ever.
"""

import asyncio
import math
import time
from collections.abc import Callable, Generator, Hashable
from functools import partial
from typing import Final, NamedTuple, TypeVar

from scopegate.exchange.feed import Feed
from scopegate.exchange.series import HOUR
from scopegate.exchange.symbols import Symbol
from scopegate.gateway.calls.errors import ApiError, rate_limit
from scopegate.gateway.calls.scheduling import Workers
from scopegate.gateway.calls.session import Session

MAX_WAIT: Final = 2.5
"""Seconds of computing, with those admitted before, after which a long request is not admitted."""
MAX_WAIT_OF_SHORT: Final = 3.5
"""The same for a request that takes `SHORT` or is never kept; a call has four seconds in all."""
SHORT: Final = 0.25
USUAL_COST: Final = 0.0015
"""Seconds of computing a day of a symbol, until they have been measured."""
MAX_COST: Final = 0.01
"""Seconds of a day that are believed: the process may have been paused meanwhile."""
ENOUGH_DAYS: Final = 10
"""Days of which the cost is learnt: fewer tell little."""
MAX_RANGES: Final = 24
"""Ranges of one client that wait in the background."""
MAX_RANGES_OF_ALL: Final = 240
RETRY: Final = 1.0
"""Real seconds after which the background tries again if the workers' queue was full."""

_BACKGROUND: Final = "candles in the background"
"""The client that this work is scheduled as."""

T = TypeVar("T")


class Range(NamedTuple):
    """Candles of a symbol: their width in seconds, the first epoch and the last."""

    symbol: Symbol
    granularity: int
    first: int
    last: int


class _Queued(NamedTuple):
    range: Range
    seconds: float
    sessions: frozenset[str]
    """The ids of the connections that have asked for it; without one it is not computed."""


class CandleWork:
    """Decides which candles are computed for a request, and which in the background."""

    def __init__(
        self, feed: Feed, workers: Workers, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`clock` returns real seconds: a busy machine takes more of them for the same work."""
        self._feed = feed
        self._workers = workers
        self._clock = clock
        self._costs: dict[Symbol, float] = {}
        """Seconds that a day takes."""
        self._promised = 0.0
        """Estimated seconds of all admitted requests that are not answered yet."""
        self._queue: dict[Hashable, dict[tuple[Symbol, int], _Queued]] = {}
        """What waits in the background: by client, and by symbol and width."""
        self._queued = asyncio.Event()
        self._asked: dict[str, set[tuple[Hashable, tuple[Symbol, int]]]] = {}
        """What each connection has asked for, by client and key."""

    async def compute(self, session: Session, wanted: Range, work: Generator[None, None, T]) -> T:
        """Run `work`, which lists the candles of a range, for a client; return what it returns.

        Raises `CandlesNotReady` if that would take too long, and `RateLimit` if too much of the
        client's is waiting.
        """
        client = session.client
        seconds = self._seconds(wanted)
        is_long = seconds > SHORT and wanted.granularity >= HOUR
        max_wait = MAX_WAIT if is_long else MAX_WAIT_OF_SHORT
        if self._promised + seconds > max_wait and (is_long or self._promised > 0):
            if is_long:
                self._queue_up(session, wanted)
            raise _not_ready(self._promised + self._seconds_queued(client))
        self._promised += seconds
        try:
            return await self._workers.compute(client, "ticks_history", self._timed(wanted, work))
        finally:
            self._promised -= seconds

    def _seconds(self, wanted: Range) -> float:
        """Estimate how long the days take whose candles are not in memory."""
        cost = self._costs.get(wanted.symbol, USUAL_COST)
        return cost * self._feed.cold_days(*wanted)

    def _timed(self, wanted: Range, work: Generator[None, None, T]) -> Generator[None, None, T]:
        """Run `work`, and learn how long a day of the symbol takes, even if it is given up."""
        spent, before = 0.0, self._feed.days_built(wanted.symbol)
        try:
            while True:
                began = self._clock()
                try:
                    next(work)
                except StopIteration as returned:
                    result: T = returned.value
                    return result
                spent += self._clock() - began
                yield
        finally:
            days = self._feed.days_built(wanted.symbol) - before
            if days >= ENOUGH_DAYS:
                cost = self._costs.get(wanted.symbol, USUAL_COST)
                self._costs[wanted.symbol] = cost + (min(spent / days, MAX_COST) - cost) / 4

    def _queue_up(self, session: Session, wanted: Range) -> None:
        """Compute a range in the background, unless its connections end before.

        Raises `RateLimit` if too many are waiting.
        """
        client, key = session.client, (wanted.symbol, wanted.granularity)
        own, sessions = self._queue.get(client, {}), frozenset({session.id})
        if key in own:
            queued = own[key].range
            first, last = min(queued.first, wanted.first), max(queued.last, wanted.last)
            wanted, sessions = wanted._replace(first=first, last=last), sessions | own[key].sessions
        elif len(own) >= MAX_RANGES:
            raise rate_limit("ticks_history", f"{MAX_RANGES} candles being computed for one client")
        elif sum(map(len, self._queue.values())) >= MAX_RANGES_OF_ALL:
            raise rate_limit("ticks_history", f"{MAX_RANGES_OF_ALL} candles being computed")
        own[key] = _Queued(wanted, self._seconds(wanted), sessions)
        self._queue[client] = own
        self._queued.set()
        if session.id not in self._asked:
            self._asked[session.id] = set()
            session.on_leave(partial(self._left, session.id))
        self._asked[session.id].add((client, key))

    def _left(self, session_id: str) -> None:
        """Forget what a connection that has ended has asked for, and nobody else has."""
        for client, key in self._asked.pop(session_id):
            queued = self._queue.get(client, {}).get(key)
            if queued is None:
                continue
            sessions = queued.sessions - {session_id}
            if sessions:
                self._queue[client][key] = queued._replace(sessions=sessions)
            else:
                self._drop(client, key)

    def _drop(self, client: Hashable, key: tuple[Symbol, int]) -> None:
        own = self._queue[client]
        del own[key]
        if not own:
            del self._queue[client]

    def _while_wanted(
        self, client: Hashable, key: tuple[Symbol, int], work: Generator[None, None, object]
    ) -> Generator[None, None, None]:
        for _ in work:
            if key not in self._queue.get(client, {}):
                return
            yield

    def _seconds_queued(self, client: Hashable) -> float:
        """Estimate how long the background takes for a client, with the turns of others."""
        own = _total(self._queue.get(client, {}))
        others = (_total(ranges) for each, ranges in self._queue.items() if each != client)
        return own + sum(min(seconds, own) for seconds in others)

    async def run(self) -> None:
        """Compute what is queued, for as long as the gateway runs."""
        while True:
            if not self._queue:
                self._queued.clear()
                await self._queued.wait()
            client = next(iter(self._queue))
            key, queued = next(iter(self._queue[client].items()))
            days = self._feed.candles_by_day(*queued.range)
            work = self._timed(queued.range, self._while_wanted(client, key, days))
            try:
                await self._workers.compute(_BACKGROUND, "ticks_history", work)
            except ApiError:  # too many turns of clients are waiting
                await asyncio.sleep(RETRY)
                continue
            own = self._queue.get(client, {})
            if key in own and own[key].range == queued.range:  # not more of it meanwhile
                self._drop(client, key)
            if client in self._queue:  # behind the other clients
                self._queue[client] = self._queue.pop(client)


def _total(ranges: dict[tuple[Symbol, int], _Queued]) -> float:
    """Add up the seconds of ranges. Wide candles are made of those of the narrower ones."""
    longest: dict[Symbol, float] = {}
    for wanted, seconds, _ in ranges.values():
        longest[wanted.symbol] = max(seconds, longest.get(wanted.symbol, 0.0))
    return sum(longest.values())


def _not_ready(seconds: float) -> ApiError:
    wait = math.ceil(seconds) + 1
    return ApiError(
        "CandlesNotReady",
        f"These candles are being computed, with others that were requested before. Ask again in"
        f" {wait} seconds.",
        {"granularity": f"Narrower candles, or fewer, are computed sooner. Wait {wait} seconds."},
    )
