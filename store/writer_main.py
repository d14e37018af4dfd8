"""The program of the writer process: commits the batches that the gateway sends.

    python -m scopegate.store.writer_main DATABASE JOBS RESULTS

JOBS and RESULTS are the numbers of inherited file descriptors of sockets. The process ends with the
gateway: JOBS is closed then. A batch whose results cannot be sent any more is not committed. See
`writer_process` for what is sent.
"""

import contextlib
import gc
import pickle
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from scopegate.store.errors import StoreError
from scopegate.store.sqlite_connection import SqliteConnection, connect
from scopegate.store.transactions import Change, WrittenJob, write_batch
from scopegate.store.writer_process import FRAME, Batch, JobOutcome, Results, framed


def main() -> None:
    """Commit batches until the gateway ends."""
    # They reach every process of a terminal, but the gateway decides when this one ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    path, jobs_number, results_number = sys.argv[1:]
    received = socket.socket(fileno=int(jobs_number)).makefile("rb")
    results = socket.socket(fileno=int(results_number))
    if _receive(received) is None:  # examples of jobs, for the modules that they need
        return
    connection = connect(Path(path))
    gc.freeze()
    results.sendall(FRAME.pack(0))
    seen_change = 0
    while isinstance(batch := _receive(received), Batch):
        # It may have been sent before the batch before it was answered.
        seen_change = _commit(batch, max(seen_change, batch.seen_change), connection, results)


def _commit(
    batch: Batch, seen_change: int, connection: SqliteConnection, results: socket.socket
) -> int:
    """Commit a batch and send what became of it; return the last change that was seen."""
    jobs = [WrittenJob(job) for job in batch.jobs]

    def prepared(foreign: Sequence[Change]) -> None:
        connection.execute("UPDATE last_batch SET name = ?", (batch.name,))
        results.sendall(framed(Results(foreign, list(map(_outcome, jobs)))))

    try:
        foreign = write_batch(connection, jobs, seen_change, prepared)
    except Exception as problem:  # noqa: BLE001 - the gateway reports it
        results.sendall(framed(_portable(problem)))
        return seen_change
    results.sendall(FRAME.pack(0))
    return foreign[-1][0] if foreign else seen_change


def _outcome(job: WrittenJob) -> JobOutcome:
    failed = None if job.failed is None else _portable(job.failed)
    return JobOutcome(job.result, failed, job.changes)


def _portable(problem: BaseException) -> BaseException:
    """Return an exception that the gateway can read: this one, or a `StoreError` with its text."""
    try:
        pickle.loads(pickle.dumps(problem))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - whatever its class does
        return StoreError(f"{type(problem).__name__}: {problem}")
    return problem


def _receive(received: IO[bytes]) -> Any:
    """Return the next message; `None` at the end."""
    head = received.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    [size] = FRAME.unpack(head)
    data = received.read(size)
    # Only the gateway has the other end of the socket.
    return pickle.loads(data) if len(data) == size else None  # noqa: S301


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the gateway was killed
        main()
