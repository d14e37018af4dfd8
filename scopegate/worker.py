"""One of several worker processes: what its parent process gives it, and the line between them.

Rules:
- A worker ends at once when its parent has ended, so that a new gateway can be started. What it has
  acknowledged is stored.
- Messages to siblings go through the parent (`prefork`), which passes them on unread.
"""

import asyncio
import os
import pickle
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from scopegate.demo import Demo
from scopegate.runtime.siblings import Siblings
from scopegate.store.shared import Sharing

HEAD = struct.Struct("!IB")
"""What precedes a message: its size, and the number of the worker that gets it or has sent it."""
EVERYONE = 255
"""As the receiver: every other worker."""
PARENT = 254
"""As the receiver or the sender: the parent process.

An empty message to it shows that a worker is alive; one from it asks to load the TLS certificate
again.
"""
ORPHAN_EXIT = 71
"""The exit code of a worker whose parent process has ended."""

log = structlog.get_logger("scopegate.workers")


ALIVE_SECONDS = 1.0
"""Real seconds between two empty messages by which a worker shows that it is alive."""


class State(NamedTuple):
    """What the parent process sends to each worker when it changes."""

    present: Sequence[int]
    """The workers that serve."""
    stopping: bool
    """Whether all of them are to stop."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the first worker has created for all of them, when it is ready to serve."""

    demo: Demo | None
    services: Mapping[type, object]
    """The services that must be the same in each worker (`Plugin.same_in_workers`)."""
    lines: Sequence[str] = ()
    """What the operator sees."""


class Worker:
    """What the parent process gives a worker."""

    def __init__(
        self,
        number: int,
        count: int,
        line: socket.socket,
        listeners: Sequence[socket.socket],
        sharing: Sharing,
        start: Start | None,
    ) -> None:
        """`number` is from 0. Number 0 also does what only one worker may, such as retention.

        `start` is `None` for the first worker at the first start, which creates it.
        """
        self.number = number
        self.listeners = listeners
        self.sharing = sharing
        self.start = start
        self.siblings = Siblings(number, count, self._send)
        self._line = line
        self._transport: asyncio.Transport | None = None

    async def connect(self, stop: Callable[[], None], reload: Callable[[], None]) -> None:
        """Begin to send and receive.

        `stop` is called when all workers are to stop, `reload` when they are to load the TLS
        certificate again.
        """
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: _Line(self.siblings, stop, reload), sock=self._line
        )
        self._transport = transport
        self._show_life()

    def _show_life(self) -> None:
        self._send(PARENT, b"")
        asyncio.get_running_loop().call_later(ALIVE_SECONDS, self._show_life)

    def ready(self, start: Start) -> None:
        """Report to the parent process that this worker serves."""
        self._send(PARENT, pickle.dumps(start, pickle.HIGHEST_PROTOCOL))

    def _send(self, receiver: int | None, message: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - connected first of all
        head = HEAD.pack(len(message), EVERYONE if receiver is None else receiver)
        self._transport.write(head + message)


class _Line(asyncio.Protocol):
    """Splits what the parent process passes on into messages."""

    def __init__(
        self, siblings: Siblings, stop: Callable[[], None], reload: Callable[[], None]
    ) -> None:
        self._siblings = siblings
        self._stop = stop
        self._reload = reload
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        self._received += data
        for sender, message in messages(self._received):
            if sender == PARENT and not message:
                self._reload()
            elif sender == PARENT:
                state: State = pickle.loads(message)  # noqa: S301 - from our parent
                self._siblings.set_present(state.present)
                if state.stopping and not self._siblings.stopping:
                    self._siblings.stopping = True
                    self._stop()
            else:
                try:
                    self._siblings.receive(sender, message)
                except Exception as problem:  # or the line would be closed, and this process end
                    log.error("a message of a worker cannot be read", exc_info=problem)

    def connection_lost(self, problem: Exception | None) -> None:
        log.error("the parent process has ended, and so does this worker process")
        os._exit(ORPHAN_EXIT)


def messages(received: bytearray) -> list[tuple[int, bytes]]:
    """Take every whole message from what was received: the number before it, and its bytes."""
    found: list[tuple[int, bytes]] = []
    begin = 0
    while len(received) - begin >= HEAD.size:
        size, number = HEAD.unpack_from(received, begin)
        end = begin + HEAD.size + size
        if len(received) < end:
            break
        found.append((number, bytes(received[begin + HEAD.size : end])))
        begin = end
    del received[:begin]
    return found
