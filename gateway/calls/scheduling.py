"""Fair scheduling: clients are served in turn, whatever the others send.

Rules:
- A client is a signed-in user, or an address block where nobody is signed in (`Session.client`);
  the gateway's own pages count as separate clients. The number of its connections does not matter.
- `Scheduler` shares the event loop. A message is handled at once if no client waits. Otherwise the
  client that has used the loop least is next, and of its connections the one that waited longest.
  Strangers, who are not signed in, are in one group that counts as `STRANGERS` users: addresses
  cost nothing, so thousands of them must not come before every user. A round of messages ends early
  if what clients have begun waits for nothing but the event loop, such as a trade after its commit.
- `FairQueue` shares a scarce resource, such as a thread: one turn per client, clients in turn. It
  is bounded for each client and in total; when it is full, it refuses with `RateLimit`.
- `Workers` runs computations that would block the loop in threads, in slices: between two slices
  other clients get their turns, and cancelled work stops. They pause while a trade is written.
"""

import asyncio
import heapq
import itertools
import math
import time
import types
import weakref
from collections import deque
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Hashable,
    Iterable,
    Iterator,
)
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Generic, Protocol, TypeVar

import structlog

from scopegate.gateway.calls.errors import rate_limit
from scopegate.runtime.metrics import Metric, gauge

ROUND = 0.001
"""Seconds of handling after which the event loop reads its sockets again."""
QUANTUM = 0.0005
"""Seconds of a connection's turn; a message that takes longer is still finished."""
STRANGERS = 8
"""Users' shares of the event loop that all who are not signed in have together."""
MAX_RUNNING = 8
"""Handlers of one client that may await something at once; its further messages wait."""

FEW_ROWS = 100
"""Reading and encoding more rows than this takes a turn in the workers' queue."""
WORKERS = 1
"""Threads for computations, which clients use in turn. A second one would share the interpreter: it
computes nothing more, and the event loop and the writer wait longer for their turns."""
SLICE = 0.005
"""Seconds after which a computation gives other clients a turn."""
PAUSE = 0.0002
"""Seconds for which a computation that gives way sleeps at a time."""
MAX_PAUSE = 0.005
"""Seconds for which it gives way at most, so that there is an end to every computation."""
MAX_QUEUED_PER_CLIENT = 3
"""Turns of one client that may wait in a queue: the longest take a second each."""
MAX_QUEUED = 256
"""Turns of all clients that may wait in a queue."""

T = TypeVar("T")
M = TypeVar("M", bound="ClientLoad | _Group")

log = structlog.get_logger("scopegate.fairness")


class Work(Protocol):
    """Work of a client, such as the messages of a connection."""

    queued: bool
    """Whether it is waiting for its turn. Set by the scheduler."""

    def serve(self, until: float) -> bool:
        """Work until this time of the scheduler's clock; return whether more can be done now."""

    def turn(self, until: float) -> bool:
        """Do the same in a turn from the scheduler, and send the output in one write."""


class ClientLoad:
    """A client's use of the event loop, and its waiting work."""

    __slots__ = ("__weakref__", "group", "listed", "running", "time", "waiting")

    def __init__(self, group: "_Group | None" = None) -> None:
        self.time = 0.0
        """Seconds used, raised to the time of its line if the client was idle meanwhile."""
        self.waiting: deque[Work] = deque()
        self.running = 0
        """Handlers that are awaiting something."""
        self.listed = False
        self.group = group
        """The group whose share it has; `None` if it has one of its own."""


class _Line(Generic[M]):
    """Clients or groups with waiting work: the one that has used the least time is next."""

    __slots__ = ("_numbers", "time", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[float, int, M]] = []
        """A heap: the time used, and the order of arrival for those that have used the same."""
        self.time = 0.0
        """What the one that was served last had used before: who was idle has used as much."""
        self._numbers = itertools.count()

    def add(self, member: M) -> None:
        member.listed = True
        entry = (max(member.time, self.time), next(self._numbers), member)
        heapq.heappush(self.waiting, entry)

    def pop(self) -> M:
        """Remove the next one; its time is that of the line then."""
        waiting = self.waiting
        while True:
            since, _, member = heapq.heappop(waiting)
            member.listed = False
            if member.time > since and waiting and member.time > waiting[0][0]:
                self.add(member)  # it has used the loop since then
                continue
            self.time = member.time = max(since, member.time)
            return member

    def precedes(self, member: M) -> bool:
        """Whether the member, which may not be in the line, comes before all others in it."""
        return not self.waiting or self.waiting[0][2] is member or member.time < self.waiting[0][0]

    def note_served(self, member: M) -> None:
        """Note that the member is served now, without having waited."""
        if member.time < self.time:
            member.time = self.time
        else:
            self.time = member.time


class _Group:
    """Clients that share the time of some."""

    __slots__ = ("line", "listed", "shares", "time")

    def __init__(self, shares: int) -> None:
        self.shares = shares
        self.time = 0.0
        """Seconds used by each share."""
        self.listed = False
        self.line: _Line[ClientLoad] = _Line()


class Scheduler:
    """Decides which client's messages are handled next."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.perf_counter,
        call_soon: Callable[[Callable[[], None]], object] | None = None,
        others_wait: Callable[[], bool] = lambda: False,
    ) -> None:
        """`call_soon` calls back after the sockets were read; by default the running loop's.

        `others_wait` says whether callbacks of the loop are due that a round should not hold up,
        such as those of calls that clients have begun.
        """
        self.now = self._clock = clock
        self._call_soon = call_soon
        self._others_wait = others_wait
        self._loads: weakref.WeakValueDictionary[Hashable, ClientLoad] = (
            weakref.WeakValueDictionary()
        )
        self._line: _Line[ClientLoad | _Group] = _Line()
        self._strangers = _Group(STRANGERS)
        self.round_length = ROUND
        """Seconds of a round; infinite if no sockets have to be read."""
        self._round_ends = 0.0
        self._worked_until = 0.0
        self._served_at = 0.0
        """When the last round ended that served somebody: others cannot put that off for longer
        than a round takes."""
        self._is_due = False

    def load(self, client: Hashable, *, signed_in: bool) -> ClientLoad:
        """Return the load of this client: the same object as long as it is referenced."""
        load = self._loads.get(client)
        if load is None:
            load = self._loads[client] = ClientLoad(None if signed_in else self._strangers)
        return load

    def metrics(self) -> Iterator[Metric]:
        """Return how many wait at present."""
        waiting = sum(len(load.waiting) for load in self._loads.values())
        yield gauge("connections_waiting", "Connections with messages that wait.", waiting)
        running = sum(load.running for load in self._loads.values())
        yield gauge("calls_running", "Calls whose handler waits for something.", running)

    def run(self, load: ClientLoad, work: Work) -> None:
        """Serve `work` now if its client is next, else when it is the client's turn."""
        began = self.begin(load)
        if began is None:
            self.wait(load, work)
            return
        more = work.serve(self._round_ends)
        self.end(load, began)
        if more:
            self.wait(load, work)

    def begin(self, load: ClientLoad) -> float | None:
        """Return the present time if the client is next, to be given to `end`; else `None`."""
        now = self._clock()
        if load.waiting or load.running >= MAX_RUNNING:
            return None
        # Not even a call where nobody waits, which is the rule.
        if (self._line.waiting or now >= self._round_ends) and not self._is_next(load, now):
            return None
        group, line = load.group, self._line
        if group is not None:
            line.note_served(group)
            group.line.note_served(load)
        elif load.time < line.time:  # as `note_served` does, but each message calls this
            load.time = line.time
        else:
            line.time = load.time
        return now

    def end(self, load: ClientLoad, began: float) -> None:
        """Charge the client for what was done for it since `begin`."""
        self._worked_until = now = self._clock()
        load.time += now - began
        if load.group is not None:
            load.group.time += (now - began) / load.group.shares

    def wait(self, load: ClientLoad, work: Work) -> None:
        """Serve `work` when it is the client's turn."""
        work.queued = True
        load.waiting.append(work)
        self._list(load)

    def started(self, load: ClientLoad) -> None:
        """Count a handler of the client that begins to await something."""
        load.running += 1

    def finished(self, load: ClientLoad) -> None:
        """Stop counting a handler of the client that was awaiting something."""
        load.running -= 1
        if load.waiting:
            self._list(load)

    @types.coroutine
    def charged(
        self, load: ClientLoad, coroutine: Coroutine[Any, Any, T]
    ) -> Generator[Any, Any, T]:
        """Await a coroutine, and charge the time of its steps to the client."""
        send: Callable[[Any], Any] = coroutine.send
        value: Any = None
        while True:
            began = self._clock()
            try:
                waits_for = send(value)
            except StopIteration as returned:
                result: T = returned.value
                return result
            finally:
                self._charge(load, self._clock() - began)
            try:
                send, value = coroutine.send, (yield waits_for)
            except BaseException as thrown:  # noqa: BLE001 - cancellation goes to the coroutine
                send, value = coroutine.throw, thrown

    def _charge(self, load: ClientLoad, seconds: float) -> None:
        """Charge the client for what was done for it outside of its turns."""
        group = load.group
        if group is None:
            load.time = max(load.time, self._line.time) + seconds
        else:
            load.time = max(load.time, group.line.time) + seconds
            group.time = max(group.time, self._line.time) + seconds / group.shares

    def _is_next(self, load: ClientLoad, now: float) -> bool:
        if now >= self._round_ends:
            # The loop does not report it, but after a pause it has read the sockets again.
            if self._line.waiting or now - self._worked_until <= ROUND:
                return False
            self._round_ends = now + self.round_length
            return True
        group = load.group
        if group is None:
            return self._line.precedes(load)
        return self._line.precedes(group) and group.line.precedes(load)

    def _list(self, load: ClientLoad) -> None:
        if not load.listed and load.running < MAX_RUNNING:
            group = load.group
            if group is None:
                self._line.add(load)
            else:
                group.line.add(load)
                if not group.listed:
                    self._line.add(group)
        self._arm()

    def _arm(self) -> None:
        if self._line.waiting and not self._is_due:
            self._is_due = True
            call_soon = self._call_soon or asyncio.get_running_loop().call_soon
            call_soon(self._serve)

    def _serve(self) -> None:
        """Serve clients for one round; the rest waits until the sockets have been read again."""
        self._is_due = False
        now = self._clock()
        round_ends = now + self.round_length
        gives_way = self.round_length < math.inf
        if gives_way and now - self._served_at < self.round_length and self._others_wait():
            self._arm()
            return
        while self._line.waiting:
            began = now
            member = self._line.pop()
            load = member if isinstance(member, ClientLoad) else member.line.pop()
            work = load.waiting.popleft()
            work.queued = False
            try:
                more = work.turn(began + QUANTUM)
            except Exception as problem:
                more = False
                log.error("a connection failed", exc_info=problem)
            now = self._clock()
            self._charge(load, now - began)
            if more and not work.queued:
                work.queued = True
                load.waiting.append(work)
            if load.waiting:
                self._list(load)
            group = load.group
            if group is not None and group.line.waiting and not group.listed:
                self._line.add(group)
            if now >= round_ends or (gives_way and self._others_wait()):
                break
        self._worked_until = self._served_at = now
        self._round_ends = now + self.round_length
        self._arm()


class Turn:
    """One turn in a queue."""

    def __init__(self, queue: "FairQueue", client: Hashable) -> None:
        self._queue = queue
        self._client = client
        self._holds = False
        self._work: asyncio.Future[Any] | None = None

    async def run(self, threads: Executor, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function in a thread.

        The turn lasts until the function ends, even if the caller is cancelled.
        """
        work = asyncio.get_running_loop().run_in_executor(threads, function, *arguments)
        self._work = work
        return await asyncio.shield(work)

    async def pass_on(self) -> None:
        """Let every other waiting client have a turn first."""
        if self._queue.others_wait:
            self._holds = False
            await self._queue.wait_again(self._client)
            self._holds = True

    async def begin(self) -> None:
        """Wait for the turn."""
        await self._queue.wait(self._client)
        self._holds = True

    def end(self) -> None:
        """Give the turn back, once its thread is free."""
        if not self._holds:
            return
        if self._work is None or self._work.done():
            self._queue.release(self._client)
        else:
            self._work.add_done_callback(self._release)

    def _release(self, work: asyncio.Future[Any]) -> None:
        if not work.cancelled():
            work.exception()  # otherwise asyncio logs that it was never retrieved
        self._queue.release(self._client)


class _FullError(Exception):
    """Raised when a queue is full; `limit` names the bound that was reached."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class FairQueue:
    """Admits `at_once` turns at a time: at most one per client, and clients in turn."""

    def __init__(
        self,
        at_once: int,
        *,
        max_per_client: int = MAX_QUEUED_PER_CLIENT,
        max_waiting: int = MAX_QUEUED,
    ) -> None:
        self._free = at_once
        self._max_per_client = max_per_client
        self._max_waiting = max_waiting
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._order: deque[Hashable] = deque()
        self._holding: set[Hashable] = set()
        self._begun: set[Hashable] = set()
        """Clients of whose waiting turns the first has begun already: it was passed on."""
        self._count = 0

    @property
    def waiting(self) -> int:
        """The number of waiting turns."""
        return self._count

    @property
    def others_wait(self) -> bool:
        """Whether a client that has no turn is waiting."""
        return bool(self._order)

    @asynccontextmanager
    async def turn(self, client: Hashable, name: str) -> AsyncIterator[Turn]:
        """Wait for a turn, which lasts until the block ends.

        If the queue is full, the last turn of the client with the most waiting is refused with
        `RateLimit` for its call (`name`); that may be the caller's.
        """
        turn = Turn(self, client)
        try:
            await turn.begin()
        except _FullError as full:
            raise rate_limit(name, full.limit) from None
        try:
            yield turn
        finally:
            turn.end()

    def _make_room(self, client: Hashable) -> None:
        own = len(self._waiting.get(client, ())) - (client in self._begun)
        if own >= self._max_per_client:
            raise _FullError(f"{self._max_per_client} waiting at once for one client")
        if sum(map(len, self._waiting.values())) < self._max_waiting:
            return
        full = _FullError(f"{self._max_waiting} waiting at once")
        other, waiting = max(self._waiting.items(), key=lambda item: len(item[1]))
        if len(waiting) <= own + 1:
            raise full
        refused = waiting[-1]
        self._drop(other, refused)
        if not refused.done():
            refused.set_exception(full)

    async def wait(self, client: Hashable) -> None:
        """Wait for a turn behind the client's others. Raises `_FullError` if the queue is full."""
        if self._free and client not in self._holding and client not in self._waiting:
            self._free -= 1
            self._holding.add(client)
            return
        self._make_room(client)
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(client, deque())
        waiting.append(future)
        if len(waiting) == 1 and client not in self._holding:
            self._order.append(client)
        await self._granted(client, future)

    async def wait_again(self, client: Hashable) -> None:
        """Give a turn back and wait for another, ahead of the client's others."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).appendleft(future)
        self._begun.add(client)
        try:
            self.release(client)
            await self._granted(client, future)
        finally:
            self._begun.discard(client)

    async def _granted(self, client: Hashable, future: asyncio.Future[None]) -> None:
        self._count += 1
        try:
            await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._drop(client, future)
            elif future.exception() is None:  # it was granted just before the cancellation
                self.release(client)
            raise
        finally:
            self._count -= 1

    def release(self, client: Hashable) -> None:
        """Give a turn back; the client that has waited longest is next."""
        self._free += 1
        self._holding.discard(client)
        if client in self._waiting:
            self._order.append(client)
        while self._free and self._order:
            following = self._order.popleft()
            waiting = self._waiting[following]
            self._free -= 1
            self._holding.add(following)
            # Cancelled futures stay here until their tasks run.
            while waiting:
                future = waiting.popleft()
                if not future.done():
                    future.set_result(None)
                    break
            else:
                self._free += 1
                self._holding.discard(following)
            if not waiting:
                del self._waiting[following]

    def _drop(self, client: Hashable, future: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(client)
        if waiting is None or future not in waiting:
            return
        waiting.remove(future)
        if not waiting:
            del self._waiting[client]
            if client not in self._holding:
                self._order.remove(client)


class Workers:
    """Runs computations that would block the event loop in threads."""

    def __init__(self, gives_way: Callable[[], bool] = lambda: False) -> None:
        """A computation pauses, for at most `MAX_PAUSE`, while `gives_way` says that it should."""
        self._gives_way = gives_way
        self.queue = FairQueue(WORKERS)
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="workers")

    def reading(
        self, client: Hashable, name: str, rows: int
    ) -> AbstractAsyncContextManager[Turn | None]:
        """A context manager: a turn, or `None` if the call reads at most `FEW_ROWS` rows."""
        return self.queue.turn(client, name) if rows > FEW_ROWS else nullcontext()

    async def compute(self, client: Hashable, name: str, work: Generator[None, None, T]) -> T:
        """Run a generator in a thread; return what it returns.

        It must yield every few milliseconds. At a yield, other clients may get their turns, and the
        work stops if the caller was cancelled. Raises `RateLimit` for the call `name` if too many
        turns are waiting.
        """
        async with self.queue.turn(client, name) as turn:
            return await self._go_on(turn, work)

    async def listed(self, turn: Turn | None, count: int, made: Iterable[T]) -> list[T]:
        """Build a list of `count` items; if many, in a thread in this turn of `reading`."""
        if turn is None or count <= FEW_ROWS:
            return list(made)
        return await self._go_on(turn, one_by_one(made))

    async def _go_on(self, turn: Turn, work: Generator[None, None, T]) -> T:
        while True:
            is_done, result = await turn.run(self._threads, _slice, work, self._gives_way)
            if is_done:
                returned: T = result
                return returned
            await turn.pass_on()

    def close(self) -> None:
        """Stop the threads, and cancel what they have not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def finished(work: Generator[None, None, T]) -> T:
    """Run this work at once and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as returned:
            result: T = returned.value
            return result


def one_by_one(made: Iterable[T]) -> Generator[None, None, list[T]]:
    """Build a list in a generator that yields after each item."""
    found: list[T] = []
    for item in made:
        found.append(item)
        yield
    return found


def _slice(work: Generator[None, None, Any], gives_way: Callable[[], bool]) -> tuple[bool, Any]:
    """Continue this work for one slice; return whether it is done, and its result."""
    ends = time.perf_counter() + SLICE
    try:
        next(work)
        while time.perf_counter() < ends:
            if gives_way():
                _pause(gives_way)
            next(work)
    except StopIteration as returned:
        return True, returned.value
    return False, None


def _pause(gives_way: Callable[[], bool]) -> None:
    """Give way, but not for longer than `MAX_PAUSE`."""
    ends = time.perf_counter() + MAX_PAUSE
    while gives_way() and time.perf_counter() < ends:
        time.sleep(PAUSE)
