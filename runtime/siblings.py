"""The other processes that serve the same database: messages to them, and questions.

They are the worker processes of one gateway, or several gateways of one PostgreSQL database.

Rules:
- Nothing relies on a message for its safety: a worker that ends or stalls sends and gets none. What
  must not be missed is in the database (`store.shared`).
- Messages of one worker arrive in the order in which it sent them.
- A question is answered by the workers that are present. Those that fail to answer, or do not
  within `ANSWER_SECONDS`, are left out.
- A gateway with a single process has no siblings: nothing is sent, and questions have no answers.
- Messages are pickles of plain values, and of our own tuples and data classes. Nothing else is read
  from one, because those of gateways pass through the database; nor are enumerations, because how
  they are pickled depends on the version of Python.
- A gateway that has just left may only have lost its connection, and act for half a second more: a
  question then takes that long, as if it had been asked and had not answered.
"""

import asyncio
import contextlib
import io
import itertools
import pickle
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import is_dataclass
from typing import Any, NamedTuple
from zlib import crc32

import structlog

ANSWER_SECONDS = 0.5
"""Real seconds within which a sibling answers."""
JUST_LEFT_SECONDS = 1.0
"""Real seconds for which a gateway that has left may still act, or come back unnoticed."""
LEAVING_SECONDS = 10.0
"""Real seconds that siblings have to stop."""

log = structlog.get_logger("scopegate.siblings")

Receive = Callable[[int, Any], Any]
"""Called with the number of the sender and the message; returns the answer to a question."""

Transmit = Callable[[int | None, bytes], None]
"""Sends bytes to the worker with this number; to all others if it is `None`."""


class _Message(NamedTuple):
    kind: str
    data: Any


class _Asked(NamedTuple):
    number: int
    kind: str
    data: Any


class _Answered(NamedTuple):
    number: int
    answer: Any
    failed: bool


class _Reader(pickle.Unpickler):
    """Reads plain values, our own tuples and data classes; whatever else raises an exception."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "deque"):
            return deque
        if module.startswith("scopegate.") and "." not in name:
            found = super().find_class(module, name)
            is_ours = isinstance(found, type) and found.__module__ == module
            if is_ours and (issubclass(found, tuple) or is_dataclass(found)):
                return found
        raise pickle.UnpicklingError(f"a message with {module}.{name} is not read")


class _Question:
    __slots__ = ("answers", "done", "missing")

    def __init__(self, missing: set[int]) -> None:
        self.missing = missing
        self.answers: list[Any] = []
        self.done = asyncio.Event()


class Siblings:
    """The other workers of a gateway, as one of its workers sees them."""

    def __init__(
        self, number: int = 0, count: int | None = 1, transmit: Transmit | None = None
    ) -> None:
        """`number` is this process's, from 0, of `count`; `None` if any number may join and leave.

        Without `transmit` it has no siblings.
        """
        self.number = number
        self._count = count
        self._transmit = transmit
        self.stopping = False
        """Whether the whole gateway stops, and not only this worker."""
        self._present: set[int] = set()
        self._left_at: dict[int, float] = {}
        """When each sibling left, in monotonic time."""
        self._receivers: dict[str, Receive] = {}
        self._joined: list[Callable[[int], None]] = []
        self._left: list[Callable[[int], None]] = []
        self._questions: dict[int, _Question] = {}
        # An answer may arrive after the worker that asked was replaced by one of the same number.
        self._numbers = itertools.count(time.monotonic_ns())
        self._change = asyncio.Event()

    @property
    def alone(self) -> bool:
        """Whether this process will never have siblings."""
        return self._count == 1

    @property
    def is_first(self) -> bool:
        """Whether this process does what only one of them may, such as retention."""
        if self._count is not None:
            return self.number == 0
        return all(self.number < other for other in self._present)

    @property
    def are_workers(self) -> bool:
        """Whether they are worker processes of one gateway."""
        return self._count is not None

    @property
    def have_own_clocks(self) -> bool:
        """Whether siblings serve now, or did just now, that may be on other machines."""
        return self._count is None and bool(self._present or self._just_left())

    def is_ours(self, key: str) -> bool:
        """Whether this process does what one of them does for this key, such as an account.

        While gateways join and leave, several may, or none.
        """
        if self._count is not None:
            return self._count == 1 or crc32(key.encode()) % self._count == self.number
        members = sorted({self.number, *self._present})
        return members[crc32(key.encode()) % len(members)] == self.number

    @property
    def present(self) -> Collection[int]:
        """The numbers of the siblings that serve now."""
        return self._present

    def on(self, kind: str, receive: Receive) -> None:
        """Call `receive` with each message, and each question, of this kind."""
        if kind in self._receivers:
            raise ValueError(f"messages of the kind {kind} are received already")
        self._receivers[kind] = receive

    def on_joined(self, callback: Callable[[int], None]) -> None:
        """Call this with the number of each sibling that begins to serve."""
        self._joined.append(callback)

    def on_left(self, callback: Callable[[int], None]) -> None:
        """Call this with the number of each sibling that has ended."""
        self._left.append(callback)

    def send(self, kind: str, data: Any, *, only: int | None = None) -> None:
        """Send a message, which is pickled, to every sibling, or to one."""
        if self._transmit is not None and self._present:
            self._transmit(only, pickle.dumps(_Message(kind, data), pickle.HIGHEST_PROTOCOL))

    async def ask(self, kind: str, data: Any) -> list[Any]:
        """Ask every sibling, and return the answers of those that answer in time."""
        if self._transmit is None or not (self._present or self._just_left()):
            return []
        number = next(self._numbers)
        question = self._questions[number] = _Question({*self._present, *self._just_left()})
        try:
            self._transmit(None, pickle.dumps(_Asked(number, kind, data), pickle.HIGHEST_PROTOCOL))
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await question.done.wait()
            except TimeoutError:
                log.warning("a sibling did not answer", siblings=sorted(question.missing))
            return question.answers
        finally:
            del self._questions[number]

    async def wait_until_alone(self) -> bool:
        """Return whether no sibling serves; if the whole gateway stops, wait for that.

        It waits for at most `LEAVING_SECONDS`.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVING_SECONDS):
                while self._present and self.stopping:
                    self._change.clear()
                    await self._change.wait()
        return not self._present

    # For the transport.

    def receive(self, sender: int, message: bytes) -> None:
        """Take a message from a sibling."""
        received = _Reader(io.BytesIO(message)).load()
        if isinstance(received, _Answered):
            self._answered(sender, received)
            return
        receiver = self._receivers.get(received.kind)
        answer, failed = None, receiver is None
        if receiver is not None:
            try:
                answer = receiver(sender, received.data)
            except Exception as problem:
                failed = True
                log.error("a message of a worker failed", kind=received.kind, exc_info=problem)
        if isinstance(received, _Asked) and self._transmit is not None:
            answered = _Answered(received.number, answer, failed)
            self._transmit(sender, pickle.dumps(answered, pickle.HIGHEST_PROTOCOL))

    def set_present(self, numbers: Collection[int]) -> None:
        """Set which siblings serve now, and call the callbacks of those that began or ended."""
        before, self._present = self._present, set(numbers) - {self.number}
        self._change.set()
        for number in sorted(before - self._present):
            self._left_at[number] = time.monotonic()
            if self._count is not None:  # else it may only have lost its connection
                for question in self._questions.values():
                    self._not_waiting_for(number, question)
            for callback in self._left:
                callback(number)
        for number in sorted(self._present - before):
            for callback in self._joined:
                callback(number)

    def _just_left(self) -> set[int]:
        """Return the numbers of gateways that may still act although they are not present."""
        if self._count is not None:
            return set()
        since = time.monotonic() - JUST_LEFT_SECONDS
        return {number for number, moment in self._left_at.items() if moment > since}

    def _answered(self, sender: int, answered: _Answered) -> None:
        question = self._questions.get(answered.number)
        if question is not None and sender in question.missing:
            if not answered.failed:
                question.answers.append(answered.answer)
            self._not_waiting_for(sender, question)

    def _not_waiting_for(self, number: int, question: _Question) -> None:
        question.missing.discard(number)
        if not question.missing:
            question.done.set()
