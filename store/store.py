"""The gateway's access to its database: whole jobs, whose writes share commits.

Rules:
- A job is a whole transaction as one function. It runs to its end even if its caller is cancelled,
  and returns only after COMMIT, which has reached the disk.
- Waiting jobs share one COMMIT, each within its own savepoint: one that fails affects no other.
- Listeners get each announcement of a job once, after COMMIT and before the job's caller goes on,
  in the order of the jobs. Announcements of other processes are read from the table `changes`.
- A reader's function only reads. It sees every commit that had returned before it was called.
- A fault of the machine (a full disk, a damaged file, a lost server) is a `StoreUnavailableError`,
  for writes and reads alike. It is logged here, at most once a second; callers need not log it.
- After a commit, callers are answered before anything is logged, and a few at a time, so that the
  event loop reads its sockets meanwhile. The next batch is committed meanwhile too.
"""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

import orjson
import structlog

from scopegate.runtime.health import OVERDUE
from scopegate.runtime.metrics import Histogram, Metric, counter, gauge
from scopegate.runtime.siblings import Siblings
from scopegate.store.errors import (
    StoreBusyError,
    StoreError,
    StoreUnavailableError,
    fault_of,
    is_write_by_reader,
)
from scopegate.store.transactions import (
    SEVERAL,
    AnnouncedT,
    Announcement,
    Change,
    Job,
    Reading,
    T,
    WrittenJob,
)

ANSWERED_TOGETHER = 16
"""Callers that go on before the event loop reads its sockets again."""
MAX_WAITING = 10_000
"""Jobs that may wait; a further one is refused with `StoreBusyError`."""
POLL = 0.25
"""Seconds between two checks for changes by other processes."""
LOST_EXIT = 70
"""The exit code of a process whose memory cannot be brought up to date."""
COMPLAINT_SECONDS = 1.0
"""Seconds between two log lines about faults of the machine."""
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""The bounds in which sizes of batches are counted."""


log = structlog.get_logger("scopegate.store")


class WaitingJob(WrittenJob):
    """A job whose caller waits."""

    __slots__ = ("future",)

    def __init__(self, job: Job[Any], future: asyncio.Future[Any]) -> None:
        super().__init__(job)
        self.future = future


class InFlight:
    """A batch that is being committed."""

    __slots__ = ("batch", "began", "by", "committing", "outcome")

    def __init__(
        self, batch: list[WaitingJob], commit: Callable[[], Awaitable[Sequence[Change]]], by: object
    ) -> None:
        self.batch = batch
        self.began = time.monotonic()
        self.committing = asyncio.ensure_future(commit())
        self.by = by
        """What commits it, if not the store's own thread."""
        self.outcome: Sequence[Change] | Exception | None = None
        """Once that has ended: the changes of other processes before it, or why it failed."""


class Store(ABC):
    """The gateway's access to its database."""

    max_batch: int
    """Jobs that share one COMMIT at most; the others wait for the next."""

    def __init__(self) -> None:
        self._waiting: deque[WaitingJob] = deque()
        self._is_due = False
        """Whether the first batch is about to be committed."""
        self._in_flight: deque[InFlight] = deque()
        self._answers: deque[Iterator[None]] = deque()
        """The answers to the callers of each batch that was committed, in order."""
        self._has_paused = False
        """Whether further answers follow once the event loop has read its sockets."""
        self._computes = False
        """Whether a thread runs the jobs of a batch, or is about to."""
        self._has_committed = False
        """Whether a batch is committed whose end the event loop has not seen yet."""
        self._resumes = False
        """Whether callers have been answered that have not gone on yet."""
        self._are_few = True
        """Whether the batch that was begun last is small."""
        self._idle: asyncio.Future[None] | None = None
        """What `close` waits for."""
        self._listeners: dict[str, list[Callable[[Any], None]]] = {}
        self._kinds: dict[str, type[Announcement]] = {}
        self.siblings = Siblings()
        """The other gateways of the database, once it is open."""
        self._seen_change = 0
        self._passed_on = 0
        """The newest row of `changes` that was passed on."""
        self._own: dict[int, Sequence[Announcement]] = {}
        """The announcements of this process's rows that were not passed on yet: not decoded."""
        self._is_passing_on = False
        self._complained_at = -COMPLAINT_SECONDS
        self._unsaid = 0
        """Faults of the machine since the last log line about one."""
        self._moved_at = 0.0
        """When the writer last began or finished something, in monotonic time."""
        self._batches = Histogram(BATCHES)
        self._commits = Histogram()
        self._faults = 0

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the database is, as `--store` takes it."""

    @abstractmethod
    async def open(self) -> None:
        """Open and migrate the database. Raises `StoreError` if it cannot be used."""

    async def close(self) -> None:
        """Finish the waiting jobs, and close the database."""
        while self._is_busy:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    @property
    def _is_busy(self) -> bool:
        """Whether a job waits, or its caller for the answer."""
        return bool(self._waiting or self._in_flight or self._answers)

    @abstractmethod
    def _commit(self, batch: list[WaitingJob]) -> Awaitable[Sequence[Change]]:
        """Commit a batch; return the changes of other processes before it.

        Awaiting it raises anything. Jobs may be put back into the queue: they are removed from the
        batch.
        """

    @abstractmethod
    async def _run_reading(self, job: Reading[T]) -> T:
        """Run a function on one snapshot. Raises anything."""

    def catch_up(self) -> StoreUnavailableError | None:
        """Pass on every change that other processes have committed by now.

        Returns what prevented it, if anything: then no client that is signed in may act.
        """
        return None

    def waits_for_loop(self) -> bool:
        """Return whether a few writes wait for nothing but a turn of the event loop.

        A write takes several turns, and what comes in between can be as long as other clients make
        it. Where many write, each turn is for many of them.
        """
        return self._are_few and (self._is_due or self._has_committed or self._resumes)

    def computes(self) -> bool:
        """Return whether a thread of this process is computing what is about to be committed.

        It needs the interpreter for some 30 short moments. Beside another computation it would wait
        for each of them.
        """
        return self._computes

    def fault(self) -> StoreUnavailableError | None:
        """Return why the database cannot be used at present, as far as it is known."""
        fault = self.catch_up()
        late = time.monotonic() - self._moved_at if self._is_busy else 0.0
        if fault is None and late > OVERDUE:
            fault = StoreUnavailableError(f"no write has been finished for {late:.0f} seconds")
        return fault

    def metrics(self) -> Iterator[Metric]:
        """Return what the store has counted."""
        yield gauge("writes_waiting", "Writes that wait for a commit.", len(self._waiting))
        yield self._batches.metric("commit_writes", "Writes that shared a commit.")
        yield self._commits.metric("commit_seconds", "Seconds that a commit took, with its writes.")
        yield counter("store_faults", "Faults of the database or its machine.", self._faults)

    def listen(self, kind: type[AnnouncedT], listener: Callable[[AnnouncedT], None]) -> None:
        """Call `listener` with each announcement of a kind, made here or by another process.

        It is called after COMMIT, in the order of the jobs, and of the announcements within a job.
        """
        self._kinds[kind.kind] = kind
        self._listeners.setdefault(kind.kind, []).append(listener)

    async def write(self, job: Job[T]) -> T:
        """Run a job in a transaction, and return its result after COMMIT.

        Raises what the job raised, in which case nothing was changed, or `StoreError`: for a fault
        of the machine `StoreUnavailableError`. The job goes on if the caller is cancelled.
        """
        if len(self._waiting) >= MAX_WAITING:
            fault = StoreBusyError("too many writes are waiting")
            self.complain(fault)
            raise fault
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._is_busy:
            self._moved_at = time.monotonic()
        self._waiting.append(WaitingJob(job, future))
        if not self._in_flight and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._commit_due)  # with those that come now
        return await future

    async def read(self, job: Reading[T]) -> T:
        """Run a function that only reads, on one snapshot, and return its result.

        Raises `StoreUnavailableError` for a fault of the machine.
        """
        try:
            return await self._run_reading(job)
        except Exception as problem:
            fault = fault_of(problem)
            if fault is None or is_write_by_reader(problem):
                raise
            self.complain(fault)
            if fault is problem:
                raise
            raise fault from problem

    # From here to `_answer_some`, nothing waits for a task: each wait for one is a turn of the
    # event loop, which is long under load, and a trade would wait for seven of them.

    def _commit_due(self) -> None:
        self._is_due = False
        self._commit_next()

    def _commit_next(self) -> None:
        """Start to commit the next batches, if none is in flight or several may be."""
        if self._waiting and not self._in_flight:
            batch = self._next_jobs(self.max_batch)
            self._begin(batch, partial(self._commit, batch))

    def _next_jobs(self, most: int) -> list[WaitingJob]:
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def _begin(
        self,
        batch: list[WaitingJob],
        commit: Callable[[], Awaitable[Sequence[Change]]],
        by: object = None,
    ) -> None:
        """Let a batch be committed."""
        self._are_few = len(batch) <= ANSWERED_TOGETHER
        in_flight = InFlight(batch, commit, by)
        self._in_flight.append(in_flight)
        in_flight.committing.add_done_callback(partial(self._committed, in_flight))

    def _committed(self, in_flight: InFlight, committing: asyncio.Future[Sequence[Change]]) -> None:
        self._has_committed = False
        self._computes = False  # also if nothing could be run
        self._moved_at = time.monotonic()
        self._commits.add(self._moved_at - in_flight.began)
        if committing.cancelled():
            in_flight.outcome = StoreError("the store has stopped")
        elif (problem := committing.exception()) is not None:
            # Logged once the callers have answers.
            in_flight.outcome = problem if isinstance(problem, Exception) else StoreError(problem)
        else:
            in_flight.outcome = foreign = committing.result()
            if foreign:
                self._seen_change = max(self._seen_change, foreign[-1][0])
        while self._in_flight and (outcome := self._in_flight[0].outcome) is not None:
            self._answers.append(self._answer(self._in_flight.popleft().batch, outcome))
        try:
            self._commit_next()  # while the callers are answered
        finally:
            if not self._has_paused:
                self._answer_some()

    def _answer_some(self) -> None:
        """Answer callers until the event loop is to read its sockets again."""
        self._has_paused = False
        self._resumes = True
        while self._answers:
            try:
                next(self._answers[0])
            except StopIteration:
                self._answers.popleft()
            except Exception as problem:  # it must not hold up other batches
                self._answers.popleft()
                log.error("a batch was not answered", exc_info=problem)
            else:
                self._has_paused = True
                asyncio.get_running_loop().call_soon(self._answer_some)
                return
        asyncio.get_running_loop().call_soon(self._resumed)  # after the callers
        if self._idle is not None and not self._idle.done() and not self._is_busy:
            self._idle.set_result(None)

    def _resumed(self) -> None:
        self._resumes = bool(self._answers)

    def _answer(
        self, batch: list[WaitingJob], committed: Sequence[Change] | Exception
    ) -> Iterator[None]:
        """Answer each caller of a batch, whatever happens; then log.

        After a few callers, it yields for the event loop to read its sockets.
        """
        problems: list[tuple[str, Exception]] = []
        failure: StoreError | None = None
        self._batches.add(len(batch))
        if isinstance(committed, StoreError):
            failure = committed
        elif isinstance(committed, Exception):
            failure = fault_of(committed)
            if failure is None:
                problems.append(("a commit failed", committed))
                failure = StoreError("the store failed")
        else:
            self._after_commit(committed, problems)
        for count, waiting in enumerate(batch, 1):
            if waiting.failed is None and failure is not None:
                waiting.failed = type(failure)(*failure.args)  # an instance for each caller
            elif waiting.failed is not None:
                waiting.failed = fault_of(waiting.failed) or waiting.failed
            self._settle(waiting, problems)
            if count % ANSWERED_TOGETHER == 0:
                yield
        with contextlib.suppress(Exception):  # a log that fails must not hold up other batches
            for waiting in batch:
                if isinstance(waiting.failed, StoreUnavailableError):
                    self.complain(waiting.failed)
            for event, reason in problems:
                log.error(event, exc_info=reason)

    def _settle(self, waiting: WaitingJob, problems: list[tuple[str, Exception]]) -> None:
        if waiting.failed is None:
            for change in waiting.changes:
                self._announce(change, problems)
        if waiting.future.done():
            return  # the caller was cancelled; the job ran nevertheless
        if waiting.failed is None:
            waiting.future.set_result(waiting.result)
        else:
            waiting.future.set_exception(waiting.failed)

    def complain(self, fault: StoreUnavailableError) -> None:
        """Log a fault of the machine; only count it within `COMPLAINT_SECONDS` of the last line."""
        self._faults += 1
        now = time.monotonic()
        if now - self._complained_at < COMPLAINT_SECONDS:
            self._unsaid += 1
            return
        log.error("the store is unavailable", why=str(fault), since_then=self._unsaid)
        self._complained_at, self._unsaid = now, 0

    def _announce(self, change: Announcement, problems: list[tuple[str, Exception]]) -> None:
        for listener in self._listeners.get(change.kind, ()):
            try:
                listener(change)
            except Exception as problem:  # noqa: BLE001 - logged once the callers have answers
                problems.append((f"a listener failed at {change.kind}", problem))

    def _after_commit(
        self, foreign: Sequence[Change], problems: list[tuple[str, Exception]]
    ) -> None:
        """Announce what other processes have committed before a batch of our own."""
        self._pass_on(foreign, problems)

    def _pass_on(self, rows: Sequence[Change], problems: list[tuple[str, Exception]]) -> None:
        """Announce the rows that were not passed on yet, in order."""
        self._is_passing_on = True
        try:
            for row in rows:
                if row[0] > self._passed_on:
                    self._passed_on = row[0]
                    own = self._own.pop(row[0], None)
                    if own is None:
                        self._announce_row(row, problems)
                    for change in own or ():
                        self._announce(change, problems)
        finally:
            self._is_passing_on = False

    def _announce_row(self, row: Change, problems: list[tuple[str, Exception]]) -> None:
        number, name, data = row
        try:
            several = orjson.loads(data)
            for each, values in several if name == SEVERAL else [(name, several)]:
                kind = self._kinds.get(each)
                if kind is not None:  # else it has no listener here
                    self._announce(kind.from_json(values), problems)
        except Exception as problem:  # noqa: BLE001 - another process's fault stops nothing
            problems.append((f"a change by another process is invalid: {number}", problem))
