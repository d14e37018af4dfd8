"""The program of the writer's process: commits the batches that the gateway sends.

    python -m scopegate.store.writer_process DATABASE SOCKET

SOCKET is the number of an inherited file descriptor. The process ends with the gateway: its socket
is closed then. A batch whose results cannot be sent any more is not committed. See `remote_writer`
for what is sent.
"""

import contextlib
import gc
import pickle
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, TypeAlias

from scopegate.store.files import connect
from scopegate.store.remote_writer import FRAME, Batch, Outcome, Results
from scopegate.store.transactions import Change, WrittenJob, write_batch

Jobs: TypeAlias = Sequence[WrittenJob]


def main() -> None:
    """Commit batches until the socket is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the gateway decides when this ends
        signal.signal(number, signal.SIG_IGN)
    ours = socket.socket(fileno=int(sys.argv[2]))
    received = ours.makefile("rb")
    folders = _receive(received)
    if folders is None:
        return
    sys.path[:] = folders
    if _receive(received) is None:  # jobs, for the modules that they need
        return
    connection = connect(Path(sys.argv[1]))
    gc.freeze()
    ours.sendall(FRAME.pack(0))
    seen_change = 0
    while True:
        batch = _receive(received)
        if not isinstance(batch, Batch):
            return
        jobs = [WrittenJob(job) for job in batch.jobs]

        def prepared(foreign: Sequence[Change], batch: Batch = batch, jobs: Jobs = jobs) -> None:
            connection.execute("UPDATE last_batch SET name = ?", (batch.name,))
            outcomes = [Outcome(job.result, job.failed, job.changes) for job in jobs]
            _send(ours, Results(foreign, outcomes))

        # It may have been sent before the batch before it was answered.
        seen_change = max(seen_change, batch.seen_change)
        try:
            foreign = write_batch(connection, jobs, seen_change, prepared)
        except Exception as problem:  # noqa: BLE001 - the gateway reports it
            _send(ours, problem)
        else:
            ours.sendall(FRAME.pack(0))
            if foreign:
                seen_change = foreign[-1][0]


def _receive(received: IO[bytes]) -> Any:
    """Return the next message; `None` at the end."""
    head = received.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    [size] = FRAME.unpack(head)
    data = received.read(size)
    # Only the gateway has the other end of the socket.
    return pickle.loads(data) if len(data) == size else None  # noqa: S301


def _send(ours: socket.socket, message: Any) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    ours.sendall(FRAME.pack(len(data)) + data)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the gateway was killed
        main()
