"""The writer process, as seen by the gateway: jobs go there, and results come back.

Rules:
- Jobs and results travel as pickles over two sockets that only these two processes have. One is for
  each direction: if the process ends, what it has sent can be read even though sending fails.
- The results of a batch arrive before its COMMIT, and one empty frame after it. So if the process
  ends in between, nothing of a batch that was committed is lost: `LostError` has its results, and
  the table `last_batch` tells whether it was committed.
- Several batches may be sent at once; each is answered before the next is begun. So only the first
  one without an answer can be committed if the process ends.
- The process has the lock on the database too: no other gateway serves it before the last commit.
"""

import asyncio
import contextlib
import json
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
PROGRAM = "scopegate.store.writer_main"
_RUN = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1));"
    " runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
"""Runs a module that is found as the gateway finds it, not in the working directory."""
ANSWER_SECONDS = 10.0
"""Seconds after which a process that does not answer is killed."""
EXIT_SECONDS = 5.0
"""Seconds that the process has to end once its sockets are closed."""


def framed(message: object) -> bytes:
    """Return a message as it is sent."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return FRAME.pack(len(data)) + data


class Batch(NamedTuple):
    """Jobs for one COMMIT."""

    name: str
    """What `last_batch` has once it is committed."""
    seen_change: int
    jobs: Sequence[Callable[..., Any]]


class JobOutcome(NamedTuple):
    """What became of one job."""

    result: Any
    failed: BaseException | None
    changes: Sequence[Any]
    """Its announcements."""


class Results(NamedTuple):
    """What became of a batch."""

    foreign: Sequence[tuple[int, str, str]]
    """The rows (id, kind, data) of other processes' changes before it."""
    outcomes: Sequence[JobOutcome]


class LostError(Exception):
    """The process has ended; `results` are those of a batch that may be committed, if any."""

    def __init__(self, name: str, results: Results | None) -> None:
        super().__init__("the writer process has ended")
        self.name = name
        self.results = results


class WriterProcess:
    """A running writer process."""

    def __init__(
        self,
        process: Process,
        jobs: asyncio.StreamWriter,
        results: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._process = process
        self._jobs = jobs
        self._results, self._results_end = results
        self._receiving = asyncio.Lock()
        """Several batches may be sent, and are committed in this order."""
        self._is_lost = False
        self._has_missed_an_answer = False
        """Whether what comes next may be the answer to a batch that nobody waits for."""

    @classmethod
    async def start(
        cls, path: Path, lock: int, examples: Sequence[Callable[..., Any]]
    ) -> "WriterProcess":
        """Start the process, and return once it can write.

        It imports what these jobs need, without running them. Raises `LostError` if it cannot
        write.
        """
        data = framed(examples)
        with contextlib.ExitStack() as there, contextlib.ExitStack() as undo:
            for_jobs, jobs_there = socket.socketpair()
            there.enter_context(jobs_there)
            _, jobs = await asyncio.open_unix_connection(sock=for_jobs)
            undo.callback(jobs.close)
            for_results, results_there = socket.socketpair()
            there.enter_context(results_there)
            results = await asyncio.open_unix_connection(sock=for_results)
            undo.callback(results[1].close)
            numbers = (jobs_there.fileno(), results_there.fileno())
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", _RUN, json.dumps(sys.path), PROGRAM),
                *(str(path), *map(str, numbers)),
                pass_fds=(*numbers, lock),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            undo.pop_all()
        made = cls(process, jobs, results)
        try:
            made._send(data)
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
        data = framed(batch)
        results: Results | None = None
        try:
            self._send(data)
            async with self._receiving:
                if self._has_missed_an_answer:
                    raise EOFError
                self._has_missed_an_answer = True  # until there is one
                async with asyncio.timeout(ANSWER_SECONDS):
                    received = await self._receive()
                    if isinstance(received, Results):
                        results = received
                        received = await self._receive()
                self._has_missed_an_answer = False
        except asyncio.CancelledError:
            self._lose()
            raise
        except Exception as problem:
            self._lose()
            raise LostError(batch.name, results) from problem
        if isinstance(received, Exception):
            raise received
        assert results is not None  # noqa: S101 - they come before the empty frame
        return results

    async def close(self) -> None:
        """End the process, after the batch that it may be writing."""
        self._is_lost = True
        self._jobs.close()
        try:
            async with asyncio.timeout(EXIT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._lose()
            await self._process.wait()
        finally:
            self._results_end.close()

    def _lose(self) -> None:
        """Send nothing more, and end the process at once."""
        self._is_lost = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _send(self, data: bytes) -> None:
        # uvloop raises another error for a socket that is closed.
        if self._is_lost or self._jobs.is_closing():
            raise BrokenPipeError
        self._jobs.write(data)

    async def _receive(self) -> Any:
        [size] = FRAME.unpack(await self._results.readexactly(FRAME.size))
        if not size:
            return None
        # Only our own process has the other end of the socket.
        return pickle.loads(await self._results.readexactly(size))  # noqa: S301
