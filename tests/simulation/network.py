"""Sockets between clients and the gateway, with delays, pieces, stalls, cuts and lost connections.

Rules:
- Bytes of a connection arrive in order, in pieces that chance decides, after a delay.
- The gateway's bytes are read where they leave it, as frames, so that a check sees each message at
  the moment at which the gateway has sent it.
- The system buffers `Network.buffer` bytes for a client that does not read.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.simulation.frames import CLOSE, END, PING, TEXT, FrameReader, closing, masked, pong
from tests.simulation.surroundings import Chance, Process, process

_TOLERANCE = 1e-9
"""A timer may fire so much early."""


class Listener:
    """What listens on a port for one process."""

    def __init__(self, network: "Network", factory: Callable[[], Any], port: int) -> None:
        self.network = network
        self.factory = factory
        self.port = port
        owner = process.get()
        assert owner is not None
        self.owner = owner
        self.sockets = [self]

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def setsockopt(self, *_: object) -> None:
        pass

    def dup(self) -> contextlib.AbstractContextManager["Listener"]:
        return contextlib.nullcontext(self)

    def listen(self, backlog: int) -> None:
        """Do nothing: any number of clients may wait."""

    def close(self) -> None:
        self.network.listeners.pop(self, None)


class Network:
    """All connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: Chance, scale: float) -> None:
        """`scale` is the mean delay of a piece, in seconds."""
        self.loop = loop
        self.chance = chance["network"]
        self.scale = scale
        self.opened = 0
        self.buffer = self.chance.choice((2_000, 256_000))
        self.listeners: dict[Listener, None] = {}
        self.connections: dict[Connection, None] = {}
        """Those that are open at the gateway."""
        self.on_message: Callable[[Connection, bytes], None] = lambda connection, text: None
        self.on_close: Callable[[Connection, int], None] = lambda connection, code: None

    def listen(
        self, factory: Any, host: str = "", port: int = 0, *, sock: Any = None, backlog: int = 0
    ) -> Listener:
        """Listen as `create_server` does."""
        listener = Listener(self, factory, port or sock.port)
        self.listeners[listener] = None
        return listener

    def delay(self) -> float:
        """A delay of one piece."""
        return self.chance.expovariate(1.0) * self.scale

    def connect(self, address: str, receive: Callable[[bytes | None], None]) -> "Connection":
        """Open a connection to one of the listening processes. Raises `ConnectionError`."""
        if not self.listeners:
            raise ConnectionError("nothing listens")
        listener = self.chance.choice(list(self.listeners))
        connection = Connection(self, listener, address, receive)
        self.connections[connection] = None
        return connection

    def drop(self, owner: Process) -> None:
        """End every connection of a process, as the system does when it ends."""
        for listener in list(self.listeners):
            if listener.owner is owner:
                listener.close()
        for connection in list(self.connections):
            if connection.owner is owner:
                connection.server.end()
                connection.end_at_client()


class Connection:
    """One connection, as the client has it; `server` is its end at the gateway."""

    def __init__(
        self,
        network: Network,
        listener: Listener,
        address: str,
        receive: Callable[[bytes | None], None],
    ) -> None:
        """`receive` is called with each text message, and with `None` at the end."""
        self.network = network
        network.opened += 1
        self.number = network.opened
        self.owner = listener.owner
        self.receive = receive
        self.is_stalled = False
        self.is_lost = False
        """Whether nothing that is sent arrives, and nobody notices."""
        self.is_open = True
        self._arriving: deque[bytes | None] = deque()
        self._arrives_at = 0.0
        self._leaving: deque[tuple[float, int, bytes, int]] = deque()
        self._leaves_at = 0.0
        self.server = ServerSocket(self, address)
        loop, context = network.loop, self.owner.context
        self._protocol = context.run(listener.factory)
        loop.call_soon(self._protocol.connection_made, self.server, context=context)
        self.server.protocol = self._protocol
        host = f"127.0.0.1:{listener.port}"
        self.send_bytes(
            f"GET /websockets/v3?app_id=1089 HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    # From the client.

    def send(self, text: bytes) -> None:
        """Send a text message."""
        self.send_bytes(masked(TEXT, text, self.network.chance.randbytes(4)))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes, whole or in pieces."""
        chance = self.network.chance
        while data:
            size = len(data) if chance.random() < 0.8 else chance.randrange(1, len(data) + 1)
            self._travel(data[:size])
            data = data[size:]

    def _travel(self, data: bytes | None) -> None:
        loop, network = self.network.loop, self.network
        self._arriving.append(data)
        self._arrives_at = max(self._arrives_at, loop.time() + network.delay())
        loop.call_at(self._arrives_at, self._arrived, context=self.owner.context)

    def _arrived(self) -> None:
        data = self._arriving.popleft()
        if not self.is_lost:
            self.server.received(data)

    def close(self) -> None:
        """Close properly: a close frame, which the gateway answers."""
        if self.is_open:
            self.send_bytes(masked(CLOSE, (1000).to_bytes(2, "big"), b"\0\0\0\0"))

    def reset(self) -> None:
        """Cut the connection; both ends notice, and what is under way is lost."""
        if self.is_open:
            self.end_at_client()
            self._travel(None)

    def vanish(self) -> None:
        """Lose the connection in a way that the gateway does not notice."""
        self.is_lost = True
        self.end_at_client()

    def stall(self) -> None:
        """Read nothing until `read_on`."""
        self.is_stalled = True

    def read_on(self) -> None:
        """Read what was not read."""
        self.is_stalled = False
        self._leave()

    # From the gateway.

    def sent(self, kind: int, payload: bytes, size: int) -> None:
        """Deliver a frame of the gateway, or the end of what it sends."""
        due = max(self._leaves_at, self.network.loop.time() + self.network.delay())
        self._leaves_at = due
        self._leaving.append((due, kind, payload, size))
        self.network.loop.call_at(due, self._leave)

    def _leave(self) -> None:
        """Let the client have what has arrived, unless it does not read."""
        now = self.network.loop.time() + _TOLERANCE
        while self._leaving and self._leaving[0][0] <= now and not self.is_stalled:
            _, kind, payload, size = self._leaving.popleft()
            if self.is_lost:
                return
            self.server.delivered(size)
            if not self.is_open:
                continue
            if kind == TEXT:
                self.receive(payload)
            elif kind == PING:
                self.send_bytes(pong(payload))
            elif kind == CLOSE:
                self.send_bytes(closing(payload))
            else:
                self.end_at_client()
                self._travel(b"")

    def end_at_client(self) -> None:
        """End it for the client."""
        if self.is_open:
            self.is_open = False
            self.network.loop.call_soon(self.receive, None)


class ServerSocket(asyncio.Transport):
    """The gateway's end of a connection."""

    protocol: Any

    def __init__(self, connection: Connection, address: str) -> None:
        super().__init__()
        self._connection = connection
        self._address = address
        self._frames = FrameReader()
        self._paused = False
        self._unread: deque[bytes] = deque()
        self._unsent = 0
        self._high = 64 * 1024
        self._buffer = connection.network.buffer
        self._is_full = False
        self._closing = False
        self.is_gone = False
        self.full_until = 0.0
        """Until when the gateway had to keep what it sends; infinite if it has to."""
        self.has_ended = False
        """Whether the gateway sends nothing more."""

    def _soon(self, function: Callable[..., None], *arguments: Any) -> None:
        loop = self._connection.network.loop
        loop.call_soon(function, *arguments, context=self._connection.owner.context)

    # What arrives.

    def received(self, data: bytes | None) -> None:
        """Take bytes of the client, or `None` if the connection was cut."""
        if self.is_gone:
            return
        if data is None:
            self._lose(ConnectionResetError("simulated"))
        elif self._paused or self._unread:
            self._unread.append(data)
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        if data:
            self.protocol.data_received(data)
        elif not self.protocol.eof_received():
            self.close()

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._soon(self._read_on)

    def _read_on(self) -> None:
        while self._unread and not self._paused and not self.is_gone:
            self._take(self._unread.popleft())

    # What leaves.

    def write(self, data: Any) -> None:
        if self.is_gone or self._closing:
            return
        connection = self._connection
        for kind, payload, size in self._frames.read(bytes(data)):
            self._unsent += size
            if kind == TEXT:
                connection.network.on_message(connection, payload)
            elif kind == CLOSE:
                self.has_ended = True
                connection.network.on_close(connection, int.from_bytes(payload[:2], "big"))
            connection.sent(kind, payload, size)
        if self._unsent - self._buffer > self._high and not self._is_full:
            self._is_full = True
            self.full_until = math.inf
            self.protocol.pause_writing()

    def delivered(self, size: int) -> None:
        """Take note that the client has read bytes."""
        self._unsent -= size
        if self._is_full and self._unsent <= self._buffer and not self.is_gone:
            self._is_full = False
            self.full_until = self._connection.network.loop.time()
            self._soon(self.protocol.resume_writing)
        if self._closing and self._unsent <= self._buffer:
            self._lose(None)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_ended = True
        self._connection.sent(END, b"", 0)

    def close(self) -> None:
        if not self._closing and not self.is_gone:
            self._closing = True
            if self._unsent <= self._buffer:
                self._lose(None)

    def abort(self) -> None:
        self._lose(None)

    def _lose(self, problem: Exception | None) -> None:
        if self.is_gone:
            return
        self.end()
        self._soon(self.protocol.connection_lost, problem)
        loop = self._connection.network.loop
        loop.call_later(self._connection.network.delay(), self._connection.end_at_client)

    def end(self) -> None:
        """End it; the gateway is not called."""
        self.is_gone = self.has_ended = self._closing = True
        self._connection.network.connections.pop(self._connection, None)

    def is_closing(self) -> bool:
        return self._closing or self.is_gone

    def get_write_buffer_size(self) -> int:
        return max(0, self._unsent - self._buffer)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is not None:
            self._high = high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername":
            return self._address, 50_000
        if name == "sockname":
            return "127.0.0.1", 8_080
        return default
