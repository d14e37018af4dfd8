"""One socket: the head of the first request, then WebSocket frames or HTTP requests.

Rules:
- The only file that uses the protocol classes of `websockets`. The library's Sans-I/O core handles
  the handshake, control frames, fragments, the close and protocol errors; whole, unfragmented text
  frames, which is what clients send, bypass it (`Peer._frames`).
- A binary message that is JSON in UTF-8 is handled like text; any other closes the connection.
- The output of each batch of bytes read leaves in one write, or in several if it is larger than
  `HIGH_WATER`. Nothing is written to a congested client. At most `MAX_HELD` bytes are buffered for
  it, unsent or unanswered; a client that needs more is cut off.
- A connection is idle when no whole frame has arrived for `IDLE`. It is pinged when none has, or
  nothing was sent, for `ping_after`: proxies cut a connection on which either side is silent.
- Frames without message data are limited (`MAX_EMPTY_FRAMES`), and frames other than whole text
  frames are handled a few at a time (`MAX_FRAMES_AT_ONCE`), because no other limit counts them.
- A request or a handshake must be complete `HEAD_TIMEOUT` after it began, even if its bytes arrive
  steadily.
"""

import asyncio
import logging
import re
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast
from typing import Protocol as Interface

import structlog
from websockets.exceptions import InvalidState
from websockets.extensions import ServerExtensionFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.server import ServerProtocol

from scopegate.gateway.calls import hosts
from scopegate.gateway.calls.counting import block_of
from scopegate.gateway.calls.dispatch import REFUSED_CLOSE
from scopegate.gateway.calls.errors import service_restart
from scopegate.gateway.calls.hosts import Hosts
from scopegate.gateway.calls.limits import PING_AFTER
from scopegate.gateway.calls.message import Binary
from scopegate.gateway.calls.scheduling import ClientLoad, Scheduler
from scopegate.gateway.transport.connection import Connection, Transport
from scopegate.gateway.transport.handshake import Handshake, Network, client_address, handshake_of
from scopegate.gateway.transport.http import MAX_HEAD, SECURITY, HttpConversation, HttpPeer, Site

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled extension for this platform
    from websockets.utils import apply_mask

PATHS = ("/websockets/v3", "/websockets/v3/", "/")
MAX_MESSAGE = 64 * 1024
MAX_FRAGMENTS = 128
MAX_EMPTY_FRAMES = 30
"""Frames without message data (pings, pongs, empty fragments) that are accepted in a second."""
MAX_FRAMES_AT_ONCE = 16
"""Frames that the core handles before other connections are read."""
HIGH_WATER = 64 * 1024
"""Unsent bytes above which a client is congested: its messages wait."""
MAX_HELD = 1024 * 1024
"""Bytes buffered for one client: unsent, read but not answered, or only part of a frame."""
MAX_BATCH = 256
MAX_BATCH_BYTES = 32 * 1024
"""Bytes of frames that are handed to the connection at once; it may then pause reading."""
_OBJECT = 64
"""Overhead, in bytes, of each buffered piece of output."""
IDLE = 120.0
HEAD_TIMEOUT = 10.0
CLOSE_TIMEOUT = 5.0
REFUSAL_DELAY = 1.0
"""Seconds until a handshake that has reached a limit is answered."""

IDLE_CLOSE = 4408
SHUTDOWN_CLOSE = 1012


_TEXT: Final = 0x81  # a final text frame without reserved bits
_MASKED: Final = 0x80
_SHORT = [bytes((_TEXT, length)) for length in range(126)]
_LONG = struct.Struct("!BBH")
_LONGEST = struct.Struct("!BBQ")
_MESSAGES: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_UPGRADE = re.compile(rb"^upgrade:[ \t]*websocket[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)

_BAD_REQUEST: Final = "".join(
    (
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n",
        *(f"{name}: {value}\r\n" for name, value in SECURITY.items()),
        "Content-Length: 34\r\nConnection: close\r\n\r\nThis is not a valid HTTP request.\n",
    )
).encode()

log = structlog.get_logger("scopegate.server")
# The core also logs what clients do wrong; only what it logs as an error is worth a line.
_core_log = logging.getLogger("scopegate.websockets")
_core_log.setLevel(logging.ERROR)


class Accept(Interface):
    """Accepts new clients."""

    def refusal(self, handshake: Handshake) -> str | None:
        """Return the limit that keeps a client from connecting, or `None`. Called once for each."""

    def __call__(
        self, handshake: Handshake, send: Callable[[bytes], None], transport: Transport
    ) -> Connection:
        """Return the connection of a new client, which sends through `send` and `transport`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """The settings of a listener."""

    host: str
    port: int
    tls: Callable[[], ssl.SSLContext] | None = None
    """Returns the TLS context for each new connection; `None` for plain connections."""
    compression: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    hosts: Hosts
    ping_after: float = PING_AFTER


class Listener(Interface):
    """What a socket needs of the server that has accepted it."""

    how: Listening
    accept: Accept
    site: Site
    scheduler: Scheduler

    @property
    def extensions(self) -> Sequence[ServerExtensionFactory] | None:
        """The WebSocket extensions on offer, such as compression."""

    def joined(self, peer: "Peer") -> None:
        """Called when a client has connected."""

    def opened(self, peer: "Peer") -> None:
        """Called when a client has opened its WebSocket."""

    def refused(self, host: str) -> None:
        """Called when a client has sent a `Host` that is refused."""

    def left(self, peer: Any) -> None:
        """Called when a client is gone, or the TLS handshake that counted for it is over."""


class _Opening:
    """A handshake, answered when it is the turn of its address.

    So many handshakes at once do not hold up other clients.
    """

    __slots__ = ("_head", "_peer", "_rest", "queued")

    def __init__(self, peer: "Peer", head: bytes, rest: bytes) -> None:
        self._peer = peer
        self._head = head
        self._rest = rest
        self.queued = False

    def serve(self, until: float) -> bool:
        """Answer it; there is never more to do."""
        self._open()
        return False

    def turn(self, until: float) -> bool:
        """Answer it in one write, and read the socket again."""
        self._peer.resume()
        self._peer.batched(self._open)
        return False

    def _open(self) -> None:
        self._peer.open(self._head, self._rest)


class Peer(asyncio.Protocol):
    """One socket: the head of the first request, then a WebSocket or HTTP requests."""

    __slots__ = (
        "_after",
        "_binary",
        "_buffer",
        "_closing",
        "_compresses",
        "_connection",
        "_core",
        "_corked",
        "_draining",
        "_empty_frames",
        "_fragments",
        "_goes_on",
        "_http",
        "_is_opening",
        "_is_silent",
        "_load",
        "_out",
        "_out_size",
        "_paused",
        "_pinged",
        "_received_at",
        "_server",
        "_socket",
        "_timer",
        "_wrote",
        "_wrote_at",
        "congested",
    )

    def __init__(self, server: Listener, after: object | None = None) -> None:
        """`after` is the TLS handshake that counts for this socket until it is complete."""
        self._server = server
        self._after = after
        self._socket: asyncio.Transport
        self._core: Protocol | None = None
        self._connection: Connection | None = None
        self._http: HttpConversation | None = None
        self._load: ClientLoad
        self._buffer = b""
        self._fragments: list[bytes] | None = None
        self._binary = False
        self._empty_frames = 0
        self._out: list[bytes] = []
        self._out_size = 0
        self._corked = False
        self._compresses = False
        self._closing = False
        self._draining = False
        self._goes_on = False
        self._is_opening = False
        self._is_silent = False
        self._paused = False
        self._pinged = False
        self._timer: asyncio.TimerHandle | None = None
        self._received_at = self._wrote_at = time.monotonic()
        self._wrote = False
        self.congested = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the open socket with the server."""
        self._socket = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._socket.set_write_buffer_limits(high=HIGH_WATER)
        if self._after is not None:
            self._server.left(self._after)
            self._after = None
        self._server.joined(self)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes."""
        # While closing, only the client's own close is awaited; while draining, nothing is read.
        if self._closing or self._draining:
            return
        self._corked = True  # as `batched` does, without a closure for each read
        try:
            self._received(data)
        finally:
            self._corked = False
            self._flush()

    def _received(self, data: bytes) -> None:
        if self._connection is not None:
            text = self._only_text(data)
            if text is None:
                self._frames(data)
            else:
                self._received_at = time.monotonic()
                self._pinged = False
                self._connection.receive_one(text)
        elif self._http is None or self._buffer:
            self._head(data)
        elif self._http.between_requests:  # proxies open WebSockets on connections used before
            self._http.begin()
            self._head(data)
        else:
            self._http.receive(data)

    def batched(self, work: Callable[[], None]) -> None:
        """Call `work`, and send all its output in one write."""
        self._corked = True
        try:
            work()
        finally:
            self._corked = False
            self._flush()

    def eof_received(self) -> bool:
        """Let the transport close: the client sends nothing more."""
        return False  # the transport closes once its write buffer is empty

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what belongs to the closed socket."""
        self._closing = True
        self._server.left(self)
        if self._timer is not None:
            self._timer.cancel()
        self._leave()
        # Nothing of it waits for the garbage collector.
        self._connection = self._http = self._core = self._fragments = None
        self._buffer = b""
        self._out.clear()
        self._out_size = 0

    def pause_writing(self) -> None:
        """Mark the client as congested: it does not read what it is sent."""
        self.congested = True

    def resume_writing(self) -> None:
        """Send what was buffered, and answer waiting messages: the client reads again."""
        self.congested = False
        self._flush()
        if self._connection is not None:
            self.batched(self._connection.work)

    # The head of the first request, or of one after a pause.

    def _head(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 and len(self._buffer) <= MAX_HEAD:
            return
        head, rest = self._buffer[: end + 4], self._buffer[end + 4 :]
        self._buffer = b""
        self._load = self._server.scheduler.load(
            block_of(self._client_address("")), signed_in=False
        )
        if end >= 0 and len(head) <= MAX_HEAD and _UPGRADE.search(head):
            if self._http is not None:
                self._http.leave()
                self._http = None
                self._received_at = time.monotonic()
            opening = _Opening(self, head, rest)
            self._server.scheduler.run(self._load, opening)
            if opening.queued:
                self._is_opening = True
                self._socket.pause_reading()
            return
        if self._http is None:
            peer = HttpPeer(
                address_for=self._client_address,
                refuses=self._refused,
                write=self._queue,
                close=self._hang_up,
                pause=self.pause,
                resume=self.resume,
                run=partial(self._server.scheduler.run, self._load),
                batched=self.batched,
            )
            self._http = HttpConversation(self._server.site, peer)
        self._http.receive(head + rest)

    def open(self, head: bytes, rest: bytes) -> None:
        """Answer the handshake in `head`, and handle the bytes `rest` that followed it."""
        self._is_opening = False
        if self._closing:
            return
        self._handshake(head)
        if rest and self._connection is not None:
            self._frames(rest)

    def _handshake(self, head: bytes) -> None:
        self._core = core = ServerProtocol(
            extensions=self._server.extensions, max_size=MAX_MESSAGE, logger=_core_log
        )
        core.receive_data(head)
        events = core.events_received()
        if events and isinstance(request := events[0], Request):
            path = request.path.partition("?")[0]
            refused = self._refused(",".join(request.headers.get_all("Host")))
            handshake = None
            if refused is not None:
                response = core.reject(HTTPStatus.MISDIRECTED_REQUEST, refused)
            elif path not in PATHS:
                response = core.reject(
                    HTTPStatus.NOT_FOUND, f"WebSockets are at {PATHS[0]}, not here.\n"
                )
            else:
                forwarded = ",".join(request.headers.get_all("X-Forwarded-For"))
                handshake = handshake_of(
                    request,
                    address=self._client_address(forwarded),
                    secure=self._server.how.tls is not None,
                )
                limit = self._server.accept.refusal(handshake)
                if limit is not None:
                    # Later, or programs that connect again at once would keep the gateway busy.
                    self._socket.pause_reading()
                    self._timer = asyncio.get_running_loop().call_later(
                        REFUSAL_DELAY, self._refuse, limit
                    )
                    return
                response = core.accept(request)
            if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
                response.headers.update(SECURITY)
            core.send_response(response)
            if handshake is not None and core.state is OPEN:
                self._connection = self._server.accept(handshake, self.send, self)
        else:  # the core closes without a response to what it cannot parse
            core.data_to_send()
            self._queue(_BAD_REQUEST)
            self._hang_up()
            return
        self._from_core()
        if self._connection is not None:
            self._server.opened(self)
            # The core of the handshake keeps the request and all its headers.
            self._core = None
            if core.extensions:
                self._protocol().extensions = core.extensions
                self._compresses = True

    def _refuse(self, limit: str) -> None:
        """Answer a handshake that has reached a limit."""
        core = self._core
        if self._closing or not isinstance(core, ServerProtocol):
            return
        response = core.reject(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"You have reached the limit of {limit}. Close a connection, or wait a minute.\n",
        )
        response.headers.update(SECURITY)
        core.send_response(response)
        self.batched(self._from_core)

    def _client_address(self, forwarded: str) -> str:
        peername = self._socket.get_extra_info("peername")
        return client_address(
            peername[0] if peername else "", forwarded, self._server.how.trusted_proxies
        )

    def _refused(self, host: str) -> str | None:
        """Return the text with which this `Host` is refused; `None` if it is not."""
        sockname = self._socket.get_extra_info("sockname")
        if self._server.how.hosts.allows(host, sockname[0] if sockname else ""):
            return None
        self._server.refused(host)
        return hosts.refusal(host)

    # Frames in.

    def _only_text(self, data: bytes) -> bytes | None:
        """Return the text if these bytes are one whole text frame, which is what most reads are.

        `None` if they are anything else, or if bytes or fragments before them are waiting.
        """
        size = len(data)
        if (
            size <= 8
            or data[0] != _TEXT
            or self._buffer
            or self._paused
            or self._fragments is not None
            or self._compresses
        ):
            return None
        length, start = data[1] - _MASKED, 6
        if length >= 126:
            if length > 126:  # of a longer message than one read brings
                return None
            length, start = data[2] << 8 | data[3], 8
        if length != size - start:
            return None
        return apply_mask(data[start:], data[start - 4 : start])

    def _frames(self, data: bytes) -> None:
        """Handle the complete frames in these bytes, and buffer the rest.

        Whole text frames go straight to the connection. Every other frame goes to the core: once it
        is complete, or as soon as its header shows that the core will refuse it.
        """
        connection = self._connection
        assert connection is not None  # noqa: S101 - open by now
        if self._buffer:
            data = self._buffer + data
        if self._paused:  # decoded messages could only wait
            self._buffer = data
            return
        texts: list[bytes] = []
        position, given, size = 0, 0, len(data)
        handed = 0
        plain = not self._compresses and self._fragments is None
        while size - position >= 2 and not self._closing and not self._paused:
            if handed == MAX_FRAMES_AT_ONCE:
                self._go_on_soon()
                break
            length = data[position + 1] - _MASKED  # negative if the frame is not masked
            start = position + 6
            if length >= 126:
                start += 2 if length == 126 else 8
                if size < start - 4:
                    break
                length = int.from_bytes(data[position + 2 : start - 4], "big")
            end = start + length
            if plain and data[position] == _TEXT and 0 <= length <= MAX_MESSAGE:
                if end > size:
                    break
                texts.append(apply_mask(data[start:end], data[start - 4 : start]))
                if len(texts) >= MAX_BATCH or end - given > MAX_BATCH_BYTES:
                    connection.receive(texts)
                    texts, given = [], end
            else:
                if not 0 <= length <= MAX_MESSAGE:
                    end = size  # the core will fail the connection; the header is enough for it
                elif end > size:
                    break
                if texts:
                    connection.receive(texts)
                    texts, given = [], end
                if not self._closing:
                    self._protocol().receive_data(data[position:end])
                    self._from_core()
                    handed += 1
                plain = not self._compresses and self._fragments is None
            position = end
        if position:
            self._received_at = time.monotonic()
            self._pinged = False
        self._buffer = data[position:] if not self._closing else b""
        if texts:
            connection.receive(texts)
        self._release_core()

    def _protocol(self) -> Protocol:
        """The core, which handles everything but whole text frames.

        It takes a kilobyte, and few connections ever need it, so it is created when needed.
        """
        if self._core is None:
            self._core = Protocol(SERVER, max_size=MAX_MESSAGE, logger=_core_log)
        return self._core

    def _release_core(self) -> None:
        """Drop the core if it remembers nothing."""
        core = self._core
        if core is None or self._compresses or self._fragments is not None:
            return
        if self._connection is not None and core.state is OPEN:
            self._core = None

    def _from_core(self) -> None:
        """Handle the events of the core, and send the bytes that it produced."""
        core = self._core
        assert core is not None  # noqa: S101 - called after the core was fed
        for event in core.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        self._send_from_core()

    def _frame(self, frame: Frame) -> None:
        is_part = frame.opcode in _MESSAGES
        if not is_part or not (frame.data or frame.fin):
            self._empty_frames += 1
            if self._empty_frames > MAX_EMPTY_FRAMES:
                self.close(
                    REFUSED_CLOSE,
                    f"more than {MAX_EMPTY_FRAMES} frames without a message in a second: send"
                    " fewer",
                )
                return
        if is_part:
            if self._fragments is None:
                self._fragments = []
                self._binary = frame.opcode is Opcode.BINARY
            if frame.data:
                self._fragments.append(bytes(frame.data))
            if len(self._fragments) > MAX_FRAGMENTS:
                self.close(1009, f"a message can have at most {MAX_FRAGMENTS} fragments")
            elif frame.fin:
                text, self._fragments = b"".join(self._fragments), None
                if self._connection is not None:
                    self._connection.receive([Binary(text) if self._binary else text])

    # Bytes out.

    def send(self, text: bytes) -> None:
        """Send one text message, in one write with the other output of this batch of bytes."""
        if self._closing:
            return
        if self._compresses:
            core = self._core
            assert core is not None  # noqa: S101 - a handshake has agreed on the compression
            try:
                core.send_text(text)
            except InvalidState:
                return  # a close frame was received or sent
            for data in core.data_to_send():
                self._queue(data)
            return
        length = len(text)
        if length < 126:
            header = _SHORT[length]
        elif length < 65536:
            header = _LONG.pack(_TEXT, 126, length)
        else:
            header = _LONGEST.pack(_TEXT, 127, length)
        data = header + text
        size = self._out_size + len(data) + _OBJECT
        if self._corked and not self.congested and size <= HIGH_WATER:
            self._out.append(data)
            self._out_size = size
        else:
            self._queue(data)

    def _queue(self, data: bytes) -> None:
        self._out.append(data)
        self._out_size += len(data) + _OBJECT
        if self.congested:
            if self.held > MAX_HELD and not self._closing:
                log.warning("disconnected a client that does not read", held=MAX_HELD)
                self.abort()
        elif not self._corked or self._out_size > HIGH_WATER:
            self._flush()

    def _flush(self) -> None:
        if not self._out or self.congested:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        self._wrote = True
        self._socket.write(data)

    @property
    def held(self) -> int:
        """Bytes buffered for this client."""
        waiting = 0 if self._connection is None else self._connection.waiting_bytes
        return self._socket.get_write_buffer_size() + self._out_size + waiting + len(self._buffer)

    def _send_from_core(self) -> None:
        core = self._core
        assert core is not None  # noqa: S101 - called only with a core
        for data in core.data_to_send():
            if data:
                self._queue(data)
            else:
                self._hang_up()

    # The end.

    def close(self, code: int, reason: str) -> None:
        """Send a close frame after everything sent before, and close the connection."""
        if self._is_silent:
            self.abort()
        if self._closing:
            return
        if self._connection is None:
            self._hang_up()
            return
        self._connection.flush()
        core = self._protocol()
        if core.state is OPEN:
            core.fail(code, reason)
            self._send_from_core()

    @property
    def busy(self) -> bool:
        """Whether a received message or request is still to be answered."""
        if self._closing:
            return False
        if self._connection is not None:
            return self._connection.busy or self._goes_on
        return self.is_answered

    def drain(self) -> None:
        """Stop reading. Received messages are still answered."""
        self._draining = True
        if not self._closing and not self._socket.is_closing():
            self._socket.pause_reading()

    def finish(self) -> None:
        """End each stream with a `ServiceRestart` error, and close the connection."""
        if self._is_silent:
            self.abort()
        if self._closing:
            return
        if self._connection is not None:
            self.batched(partial(self._connection.session.finish_streams, service_restart()))
        self.close(SHUTDOWN_CLOSE, "the gateway is shutting down")

    def _leave(self) -> None:
        """End what the socket carried. No effect a second time."""
        if self._connection is not None:
            core = self._core
            if core is not None and core.close_sent is not None and not core.close_rcvd_then_sent:
                self._connection.session.close_code = core.close_sent.code
            self._connection.leave()
        if self._http is not None:
            self._http.leave()

    def _hang_up(self) -> None:
        """Send what is buffered, and close our side.

        The client has `CLOSE_TIMEOUT` to close its own. A socket that cannot be half-closed (TLS)
        is closed at once.
        """
        self.congested = False  # nothing follows what is buffered
        self._flush()
        self._closing = True
        self._leave()
        if self._socket.is_closing():
            return
        # Closing with unread bytes would reset the connection, and lose the last output.
        try:
            half_closed = self._socket.can_write_eof()
            if half_closed:
                self._socket.write_eof()
        except OSError:  # the client has closed already
            half_closed = False
        if half_closed:
            self._socket.resume_reading()  # otherwise the client's close would go unnoticed
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(CLOSE_TIMEOUT, self.abort)
        else:
            self._socket.close()

    def abort(self) -> None:
        """Abort the connection at once, without a close frame."""
        self._closing = True
        self._out.clear()
        self._out_size = 0
        self._socket.abort()

    def go_silent(self) -> None:
        """Neither read nor write any more; the connection stays open for `IDLE`."""
        self._flush()
        self._closing = self._is_silent = True
        if not self._socket.is_closing():
            self._socket.pause_reading()
        self._timer = asyncio.get_running_loop().call_later(IDLE, self.abort)

    @property
    def is_answered(self) -> bool:
        """Whether a handshake or HTTP request is being answered, or waits for its turn."""
        return self._is_opening or (self._http is not None and self._http.busy)

    def pause(self) -> None:
        """Pause reading."""
        self._paused = True
        if not self._socket.is_closing():
            self._socket.pause_reading()

    def resume(self) -> None:
        """Resume reading, starting with bytes that were received but not handled yet."""
        self._paused = False
        if self._buffer and self._connection is not None:
            self._go_on_soon()
        else:
            self._read_again()

    def _go_on_soon(self) -> None:
        """Handle the rest of the buffer after other connections have been read."""
        self._goes_on = True
        if not self._socket.is_closing():
            self._socket.pause_reading()
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        if not self._closing:
            self.batched(partial(self._received, b""))
        if not self._paused and not self._goes_on:
            self._read_again()

    def _read_again(self) -> None:
        if not self._socket.is_closing() and not self._draining:
            self._socket.resume_reading()

    def check(self, now: float) -> None:
        """Close or ping a connection that has been silent for too long. Called once a second."""
        self._empty_frames = 0
        silent = now - (self._received_at if self._http is None else self._http.since)
        if self._wrote:  # since the last check; reading the clock at each write is not worth it
            self._wrote = False
            self._wrote_at = now
        if self._closing:
            return
        if self._connection is None:
            if silent > HEAD_TIMEOUT and not self.is_answered:
                self._hang_up()
        elif self.congested and silent > IDLE:
            self.abort()  # it reads nothing, so not a close frame either
        elif self._connection.busy:
            return
        elif silent > IDLE:
            self.close(IDLE_CLOSE, f"idle: no frame from you for {IDLE:.0f} seconds")
        elif (silent > self._server.how.ping_after and not self._pinged) or (
            now - self._wrote_at > self._server.how.ping_after
        ):
            self._pinged = True
            self._protocol().send_ping(b"")
            self._send_from_core()
            self._release_core()
