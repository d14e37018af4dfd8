"""What the gateway asks the operating system for, replaced in this process: time and chance.

Import this module before any other of this project: some functions keep a clock as a default.

Rules:
- Of the standard library are replaced: `time`, random bytes, the files that a process loses when
  it ends, and the end of a process. `database` replaces `aiosqlite.Connection`.
- Every reading of `perf_counter` takes `READING` seconds, so that work which is done in slices ends
  its slices.
"""

import contextlib
import os
import random
import sqlite3
import sys
import time
from contextvars import Context, ContextVar
from typing import Any, Final, NoReturn, Protocol

BEGIN: Final = 1_767_268_800.0
"""2026-01-01 12:00 UTC, the real time at which a simulation begins."""
READING: Final = 2e-6
"""Seconds that one reading of the precise clock takes."""


class Process(Protocol):
    """A process of the gateway, as far as it is simulated."""

    files: set[int]
    """The descriptors that it has opened."""
    connections: list[sqlite3.Connection]
    """The databases that it has opened."""
    context: Context
    """In which all its code runs."""
    is_alive: bool
    stood_still_until: float
    """When it went on after it was last paused, in monotonic time."""

    def exited(self, code: int) -> None:
        """Called when it ends itself."""


class ProcessExit(BaseException):
    """Leaves the code of a process that has ended itself."""


process: ContextVar[Process | None] = ContextVar("process", default=None)
"""The simulated process to which the running code belongs; `None` for everything around it."""


class Time:
    """The one clock."""

    def __init__(self) -> None:
        self.now = 1_000.0
        """Monotonic time."""
        self.offset = BEGIN - self.now
        """What to add for the real time."""

    def monotonic(self) -> float:
        return self.now

    def precise(self) -> float:
        self.now += READING
        return self.now

    def real(self) -> float:
        return self.now + self.offset


clock: Final = Time()
_bytes = random.Random("bytes")
_open, _close, _connect = os.open, os.close, sqlite3.connect
_exit = os._exit
wakeups: dict[int, Any] = {}
"""What to call when an event descriptor is written to."""


def _random_bytes(count: int) -> bytes:
    return _bytes.randbytes(count)


def _opened(*arguments: Any, **options: Any) -> int:
    descriptor = _open(*arguments, **options)
    if (owner := process.get()) is not None:
        owner.files.add(descriptor)
    return descriptor


def _closed(descriptor: int) -> None:
    if (owner := process.get()) is not None:
        owner.files.discard(descriptor)
    _close(descriptor)


def _connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
    connection = _connect(*arguments, **options)
    if (owner := process.get()) is not None:
        owner.connections.append(connection)
    return connection


def _exited(code: int) -> None:
    owner = process.get()
    assert owner is not None, f"the simulation itself ends with {code}"
    owner.exited(code)
    raise ProcessExit(code)


def close_all(owner: Process) -> None:
    """Close what a process had open, as the system does when it ends."""
    for connection in owner.connections:
        with contextlib.suppress(sqlite3.Error):
            connection.close()
    for descriptor in owner.files:
        with contextlib.suppress(OSError):
            _close(descriptor)
    owner.connections.clear()
    owner.files.clear()


def leave(code: int) -> NoReturn:
    """End this process at once: what was killed in it must not be finalized."""
    sys.stdout.flush()
    _exit(code)


def replace(seed: str) -> None:
    """Replace clocks and random bytes of this process; the same seed gives the same bytes."""
    _bytes.seed(f"{seed}/bytes")
    time.monotonic = clock.monotonic
    time.perf_counter = clock.precise
    time.time = clock.real
    time.monotonic_ns = lambda: int(clock.now * 1e9)
    os.urandom = _random_bytes
    random._urandom = _random_bytes  # type: ignore[attr-defined]  # `secrets` reads this one
    os.open = _opened
    os.close = _closed
    write_eventfd = os.eventfd_write  # only on Linux

    def woken(descriptor: int, value: int) -> None:
        write_eventfd(descriptor, value)
        if descriptor in wakeups:
            wakeups[descriptor]()

    os.eventfd_write = woken
    os._exit = _exited  # type: ignore[assignment]
    sqlite3.connect = _connected  # type: ignore[assignment]


class Chance:
    """Random sources, one for each concern: what one of them draws changes no other."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._sources: dict[str, random.Random] = {}

    def __getitem__(self, concern: str) -> random.Random:
        source = self._sources.get(concern)
        if source is None:
            source = self._sources[concern] = random.Random(f"{self._seed}/{concern}")
        return source
