"""Candles that take long to compute: in the time that a call has, or in the background.

Rules:
- A price is a function of the seed, so candles of a past day that nobody has asked for must be
  computed from each of its ticks: about a millisecond for a day. What was computed stays in memory
  (`exchange.feed`).
- A request that all others leave enough time for is answered once its days are computed.
- Any other is refused at once with the error `CandlesNotReady`, which says how long the rest
  takes. Its days are computed in the background, where all clients' calls have turns too.
"""

import asyncio
import math
import time
from collections.abc import Callable, Generator, Hashable
from typing import Final, NamedTuple, TypeVar

from scopegate.exchange.feed import Feed
from scopegate.exchange.symbols import Symbol
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.scheduling import Workers

LONGEST: Final = 2.5
"""Seconds of computing, with those of other requests, that a request may wait for."""
LONGEST_OF_SHORT: Final = 3.5
"""The same for a request that takes little itself; a call has four seconds in all."""
SHORT: Final = 0.25
"""Seconds that are little. Candles of less than an hour never take more."""
RETRY: Final = 1.0
"""Real seconds after which the background tries again if the workers' queue was full."""
USUAL_COST: Final = 0.0015
"""Seconds of a day, until they have been measured."""
ENOUGH_DAYS: Final = 30
"""Days of which the cost is learnt: fewer tell little."""
MAX_BACKGROUND: Final = 100
"""Ranges of candles that may wait to be computed in the background."""

_BACKGROUND: Final = "candles in the background"
"""The client that this work is scheduled as."""

T = TypeVar("T")


class Range(NamedTuple):
    """Candles of a symbol: their width in seconds, the first epoch and the last."""

    symbol: Symbol
    granularity: int
    first: int
    last: int


class CandleWork:
    """Decides which candles are computed for a request, and which in the background."""

    def __init__(
        self, feed: Feed, workers: Workers, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`clock` returns real seconds: a busy machine takes more of them for the same work."""
        self._feed = feed
        self._workers = workers
        self._clock = clock
        self._cost = USUAL_COST
        """Seconds that a day takes."""
        self._promised = 0.0
        """Seconds of computing that admitted requests are waiting for."""
        self._queue: dict[tuple[Symbol, int], tuple[Range, float]] = {}
        """What is computed in the background, with the seconds it takes, by symbol and width."""
        self._queued = asyncio.Event()

    async def compute(self, client: Hashable, wanted: Range, work: Generator[None, None, T]) -> T:
        """Run `work`, which lists the candles of a range, for a client; return what it returns.

        Raises `CandlesNotReady` if that would take too long, and `RateLimit` if too many turns of
        the client are waiting.
        """
        days = len(self._feed.cold_days(*wanted))
        seconds = days * self._cost
        if self._promised + seconds > (LONGEST if seconds > SHORT else LONGEST_OF_SHORT):
            if seconds > SHORT:
                self._queue_up(wanted, seconds)
            raise _not_ready(seconds + self._promised + self._seconds_queued())
        self._promised += seconds
        try:
            return await self._workers.compute(client, "ticks_history", self._timed(work, days))
        finally:
            self._promised -= seconds

    def _timed(self, work: Generator[None, None, T], days: int) -> Generator[None, None, T]:
        """Run `work`, and learn from it how long a day takes that has to be computed."""
        spent = 0.0
        while True:
            began = self._clock()
            try:
                next(work)
            except StopIteration as returned:
                result: T = returned.value
                if days >= ENOUGH_DAYS:
                    self._cost += (spent / days - self._cost) / 4
                return result
            spent += self._clock() - began
            yield

    def _queue_up(self, wanted: Range, seconds: float) -> None:
        """Compute a range in the background, unless too many are waiting there."""
        key = wanted.symbol, wanted.granularity
        if key in self._queue:
            queued, _ = self._queue[key]
            first, last = min(queued.first, wanted.first), max(queued.last, wanted.last)
            self._queue[key] = wanted._replace(first=first, last=last), seconds
        elif len(self._queue) < MAX_BACKGROUND:
            self._queue[key] = wanted, seconds
            self._queued.set()

    def _seconds_queued(self) -> float:
        """Return how long the background takes. Wide candles need those of the narrower ones."""
        longest: dict[Symbol, float] = {}
        for wanted, seconds in self._queue.values():
            longest[wanted.symbol] = max(seconds, longest.get(wanted.symbol, 0.0))
        return sum(longest.values())

    async def run(self) -> None:
        """Compute what is queued, for as long as the gateway runs."""
        while True:
            if not self._queue:
                self._queued.clear()
                await self._queued.wait()
            key = next(iter(self._queue))
            wanted, _ = self._queue[key]
            work = self._feed.candles_by_day(*wanted)
            try:
                await self._workers.compute(_BACKGROUND, "ticks_history", work)
            except ApiError:  # too many turns of clients are waiting
                await asyncio.sleep(RETRY)
                continue
            if self._queue[key][0] == wanted:  # else more of it was asked for meanwhile
                del self._queue[key]


def _not_ready(seconds: float) -> ApiError:
    wait = math.ceil(seconds) + 1
    return ApiError(
        "CandlesNotReady",
        f"These candles are being computed, with others that were requested before. Ask again in"
        f" {wait} seconds.",
        {"granularity": f"Narrower candles, or fewer, are computed sooner. Wait {wait} seconds."},
    )
