"""The writer's process, as seen by the gateway: jobs go there, and results come back.

Rules:
- Jobs and results travel as pickles over a socket that only these two processes have.
- The results of a batch arrive before its COMMIT, and one empty frame after it. So if the process
  ends in between, nothing of a batch that was committed is lost: `Lost` has its results, and the
  table `last_batch` tells whether it was committed.
- Several batches may be sent at once; each is answered before the next is begun. So only the first
  one without an answer can be committed if the process ends.
- The process has the lock on the database too: no other gateway serves it before the last commit.
"""

import asyncio
import contextlib
import pickle
import secrets
import socket
import struct
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FRAME = struct.Struct("!Q")
"""The size of what follows, in bytes."""
PROGRAM = "scopegate.store.writer_process"
ANSWER_SECONDS = 30.0
"""Seconds after which a process that does not answer is killed."""
EXIT_SECONDS = 5.0
"""Seconds that the process has to end once its socket is closed."""


class Batch(NamedTuple):
    """Jobs for one COMMIT."""

    name: str
    """What `last_batch` has once it is committed."""
    seen_change: int
    jobs: Sequence[Callable[..., Any]]


class Outcome(NamedTuple):
    """What became of one job."""

    result: Any
    failed: BaseException | None
    changes: Sequence[Any]
    """Its announcements."""


class Results(NamedTuple):
    """What became of a batch."""

    foreign: Sequence[tuple[int, str, str]]
    """The rows (id, kind, data) of other processes' changes before it."""
    outcomes: Sequence[Outcome]


class LostError(Exception):
    """The process has ended; `results` are those of a batch that may be committed, if any."""

    def __init__(self, name: str, results: Results | None) -> None:
        super().__init__("the writer's process has ended")
        self.name = name
        self.results = results


class RemoteWriter:
    """A running process that writes."""

    def __init__(
        self,
        process: Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._receiving = asyncio.Lock()
        """Several batches may be sent, and are committed in this order."""
        self._is_lost = False

    @classmethod
    async def start(
        cls, path: Path, lock: int, sample: Sequence[Callable[..., Any]]
    ) -> "RemoteWriter":
        """Start the process, and return once it can write.

        It imports what the jobs in `sample` need. Raises `LostError` if it cannot write.
        """
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", PROGRAM, str(path), str(theirs.fileno())),
                pass_fds=(theirs.fileno(), lock),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        made = cls(process, reader, writer)
        try:
            made._send(sys.path)
            made._send(sample)
            await made._receive()
        except BaseException as problem:
            await made.close()
            if isinstance(problem, OSError | EOFError):
                raise LostError("", None) from problem
            raise
        return made

    async def commit(self, seen_change: int, jobs: Sequence[Callable[..., Any]]) -> Results:
        """Run these jobs, and return what became of each after their COMMIT.

        Raises what prevented the COMMIT, or `LostError`.
        """
        batch = Batch(secrets.token_hex(8), seen_change, jobs)
        results: Results | None = None
        try:
            if self._is_lost:
                raise EOFError
            self._send(batch)
            async with self._receiving, asyncio.timeout(ANSWER_SECONDS):
                received = await self._receive()
                if isinstance(received, Results):
                    results = received
                    received = await self._receive()
        except (OSError, EOFError, TimeoutError) as problem:
            self._lose()
            raise LostError(batch.name, results) from problem
        except asyncio.CancelledError:
            self._lose()  # the answer would be taken for that of the next batch
            raise
        if isinstance(received, Exception):
            raise received
        assert results is not None  # noqa: S101 - they come before the empty frame
        return results

    async def close(self) -> None:
        """End the process, after the batch that it may be writing."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _lose(self) -> None:
        """Send nothing more, and end the process at once."""
        self._is_lost = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _send(self, message: Any) -> None:
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._writer.write(FRAME.pack(len(data)) + data)

    async def _receive(self) -> Any:
        [size] = FRAME.unpack(await self._reader.readexactly(FRAME.size))
        if not size:
            return None
        # Only our own process has the other end of the socket.
        return pickle.loads(await self._reader.readexactly(size))  # noqa: S301
