"""The listener: sockets, TLS, WebSocket frames, and plain HTTP on the same port.

Rules:
- The only file that names the WebSocket library. Handshake, control frames, fragments, close and
  protocol errors are the library's Sans-I/O core; whole, unfragmented text frames, which is what
  clients send, pass it by (`_Peer._frames`).
- One write for each batch of bytes read. A write buffer holds at most `MAX_UNSENT`; a client that
  lets it fill is cut, alone.
- A connection is idle when no whole frame has come for `IDLE`; it is pinged after `PING_AFTER`.
"""

import asyncio
import ipaddress
import logging
import re
import ssl
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import parse_qs

import structlog
from websockets.exceptions import InvalidState
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.server import ServerProtocol

from gateway import hosts
from gateway.connection import Connection
from gateway.hosts import Hosts
from gateway.http import MAX_HEAD, SECURITY, HttpConversation, HttpPeer, Site

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled part for this platform
    from websockets.utils import apply_mask

PATHS = ("/websockets/v3", "/")
MAX_MESSAGE = 64 * 1024
MAX_FRAGMENTS = 1024
HIGH_WATER = 64 * 1024
"""A client with more than this unsent is congested: its messages wait."""
MAX_UNSENT = 1024 * 1024
IDLE = 120.0
PING_AFTER = 60.0
HEAD_TIMEOUT = 10.0
CLOSE_TIMEOUT = 5.0
GOODBYE = 2.0
"""Seconds that clients have to hang up when the gateway stops."""

IDLE_CLOSE = 4408
SHUTDOWN_CLOSE = 1001

_TEXT: Final = 0x81  # a text frame, whole, with no reserved bit
_MASKED: Final = 0x80
_SHORT = [bytes((_TEXT, length)) for length in range(126)]
_LONG = struct.Struct("!BBH")
_LONGEST = struct.Struct("!BBQ")
_UPGRADE = re.compile(rb"^upgrade:[ \t]*websocket[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)

_PROXIES_SAY = frozenset(
    [
        *("cf-connecting-ip", "fastly-client-ip", "forwarded", "true-client-ip", "via"),
        *("x-client-ip", "x-original-host", "x-real-ip"),
    ]
)
"""Headers by which proxies say for whom they speak, beside all that begin as the next one does."""
_FORWARDED = "x-forwarded"

log = structlog.get_logger("scopegate.server")
# The core reports what clients do wrong as well; only what it thinks impossible is worth a line.
_core_log = logging.getLogger("scopegate.websockets")
_core_log.setLevel(logging.ERROR)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a client's opening request tells of it."""

    address: str
    app_id: str
    language: str
    user_agent: str
    origin: str = ""
    host: str = ""
    """The `Host` that it asked for."""
    proxied: bool = False
    """Whether a proxy says that it speaks for somebody."""
    secure: bool = False
    """Whether it came over TLS, or a proxy says so."""


Accept = Callable[[Visitor, Callable[[bytes], None], "_Peer"], Connection]
"""Makes the connection of a new client from what it said, its `send` and its transport."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """How to listen."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    compression: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    hosts: Hosts


class Server:
    """Listens, and owns every connection until `stop`."""

    def __init__(self, how: Listening, accept: Accept, site: Site) -> None:
        self.how = how
        self.accept = accept
        self.site = site
        self.extensions = [ServerPerMessageDeflateFactory()] if how.compression else None
        self.peers: set[_Peer] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None

    async def start(self) -> int:
        """Listen; the port, which is a free one where 0 was asked for."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Peer(self),
            self.how.host,
            self.how.port,
            ssl=self.how.tls,
            ssl_handshake_timeout=HEAD_TIMEOUT if self.how.tls else None,
            backlog=1024,
        )
        self._sweep()
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Take no more connections, say goodbye to those there are, and cut who does not answer."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        for peer in list(self.peers):
            peer.close(SHUTDOWN_CLOSE, "the gateway is shutting down")
        try:
            async with asyncio.timeout(GOODBYE):
                await self._empty()
        except TimeoutError:
            for peer in list(self.peers):
                peer.abort()
            await self._empty()

    async def _empty(self) -> None:
        """Wait until nobody is connected."""
        if self.peers:
            self._emptied = asyncio.Event()
            await self._emptied.wait()

    def left(self, peer: "_Peer") -> None:
        """A client is gone."""
        self.peers.discard(peer)
        if not self.peers and self._emptied is not None:
            self._emptied.set()

    def _sweep(self) -> None:
        now = time.monotonic()
        for peer in list(self.peers):
            peer.check(now)
        self._sweeper = asyncio.get_running_loop().call_later(1.0, self._sweep)


class _Peer(asyncio.Protocol):
    """One socket: first the head of a request, then a WebSocket or a conversation in HTTP."""

    __slots__ = (
        "_buffer",
        "_closing",
        "_connection",
        "_core",
        "_corked",
        "_fragments",
        "_heard",
        "_http",
        "_out",
        "_out_size",
        "_pinged",
        "_server",
        "_socket",
        "_to_abort",
        "congested",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket: asyncio.Transport
        self._core: Protocol | None = None
        self._connection: Connection | None = None
        self._http: HttpConversation | None = None
        self._buffer = b""
        self._fragments: list[bytes] | None = None
        self._out: list[bytes] = []
        self._out_size = 0
        self._corked = False
        self._closing = False
        self._pinged = False
        self._to_abort: asyncio.TimerHandle | None = None
        self._heard = time.monotonic()
        self.congested = False

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._socket.set_write_buffer_limits(high=HIGH_WATER)
        self._server.peers.add(self)

    def data_received(self, data: bytes) -> None:
        if not self._closing:  # else it is only waited for the client to hang up as well
            self.batched(lambda: self._received(data))

    def _received(self, data: bytes) -> None:
        if self._connection is not None:
            self._frames(data)
        elif self._http is not None:
            self._heard = time.monotonic()
            self._http.receive(data)
        else:
            self._head(data)

    def batched(self, work: Callable[[], None]) -> None:
        """Do something, and send in one write what it brings about."""
        self._corked = True
        try:
            work()
        finally:
            self._corked = False
            self._flush()

    def eof_received(self) -> bool:
        return False  # the transport closes after what is still to be sent

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._server.left(self)
        if self._to_abort is not None:
            self._to_abort.cancel()
        if self._connection is not None:
            self._connection.leave()
        if self._http is not None:
            self._http.leave()

    def pause_writing(self) -> None:
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = False
        if self._connection is not None:
            self.batched(self._connection.work)

    # The head of the first request.

    def _head(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 and len(self._buffer) <= MAX_HEAD:
            return
        head, rest = self._buffer[: end + 4], self._buffer[end + 4 :]
        self._buffer = b""
        if end >= 0 and len(head) <= MAX_HEAD and _UPGRADE.search(head):
            self._handshake(head)
            if rest and self._connection is not None:
                self._frames(rest)
        else:
            peer = HttpPeer(
                address_for=self._client_address,
                refuses=self._refused,
                write=self._queue,
                close=self._hang_up,
                pause=self.pause,
                resume=self.resume,
            )
            self._http = HttpConversation(self._server.site, peer)
            self._http.receive(head + rest)

    def _handshake(self, head: bytes) -> None:
        self._core = core = ServerProtocol(
            extensions=self._server.extensions, max_size=MAX_MESSAGE, logger=_core_log
        )
        core.receive_data(head)
        events = core.events_received()
        if events and isinstance(request := events[0], Request):
            path, _, query = request.path.partition("?")
            refused = self._refused(",".join(request.headers.get_all("Host")))
            if refused is not None:
                response = core.reject(HTTPStatus.MISDIRECTED_REQUEST, refused)
            elif path in PATHS:
                response = core.accept(request)
            else:
                response = core.reject(
                    HTTPStatus.NOT_FOUND, f"WebSockets are at {PATHS[0]}, not here.\n"
                )
            if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
                response.headers.update(SECURITY)
            core.send_response(response)
            if core.state is OPEN:
                visitor = self._visitor(request, query)
                self._connection = self._server.accept(visitor, self.send, self)
        self._from_core()
        if self._connection is not None:
            # The core of the handshake keeps the request with all its headers: take another.
            self._core = Protocol(SERVER, max_size=MAX_MESSAGE, logger=_core_log)
            self._core.extensions = core.extensions

    def _visitor(self, request: Request, query: str) -> Visitor:
        fields = parse_qs(query, max_num_fields=50) if query.count("&") < 50 else {}
        headers = request.headers
        return Visitor(
            address=self._client_address(",".join(headers.get_all("X-Forwarded-For"))),
            app_id=fields.get("app_id", [""])[-1],
            language=fields.get("l", ["EN"])[-1].upper()[:5],
            user_agent=", ".join(headers.get_all("User-Agent"))[:200],
            origin=", ".join(headers.get_all("Origin"))[:200],
            host=headers.get("Host", ""),
            proxied=any(
                name in _PROXIES_SAY or name.startswith(_FORWARDED)
                for name in map(str.lower, headers)
            ),
            secure=self._server.how.tls is not None
            or "https" in headers.get_all("X-Forwarded-Proto"),
        )

    def _client_address(self, forwarded: str) -> str:
        peername = self._socket.get_extra_info("peername")
        return client_address(
            peername[0] if peername else "", forwarded, self._server.how.trusted_proxies
        )

    def _refused(self, host: str) -> str | None:
        """What to tell a client that names this `Host`; `None` where it is answered."""
        sockname = self._socket.get_extra_info("sockname")
        if self._server.how.hosts.allows(host, sockname[0] if sockname else ""):
            return None
        return hosts.refusal(host)

    # Frames in.

    def _frames(self, data: bytes) -> None:
        """Answer the whole frames in these bytes and keep the rest.

        Text frames that are whole go straight to the connection; every other frame goes to the
        core, whole, or as soon as its head shows that the core will refuse it.
        """
        core, connection = self._core, self._connection
        assert core is not None and connection is not None  # noqa: S101, PT018 - open by now
        if self._buffer:
            data = self._buffer + data
        texts: list[bytes] = []
        position, size = 0, len(data)
        plain = not core.extensions and self._fragments is None
        while size - position >= 2 and not self._closing:
            length = data[position + 1] - _MASKED  # below 0 without a mask
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
            else:
                if not 0 <= length <= MAX_MESSAGE:
                    end = size  # the core will fail the connection; it needs no more than the head
                elif end > size:
                    break
                if texts:
                    connection.receive(texts)
                    texts = []
                if not self._closing:
                    core.receive_data(data[position:end])
                    self._from_core()
                plain = not core.extensions and self._fragments is None
            position = end
        if position:
            self._heard = time.monotonic()
            self._pinged = False
        self._buffer = data[position:] if not self._closing else b""
        if texts:
            connection.receive(texts)

    def _from_core(self) -> None:
        """Take what the core made of what it was given: messages, and bytes to be sent."""
        core = self._core
        assert core is not None  # noqa: S101 - called by those who fed it
        for event in core.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        self._send_from_core()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            self.close(1003, "messages must be text")
        elif frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            if self._fragments is None:
                self._fragments = []
            if frame.data:
                self._fragments.append(bytes(frame.data))
            if len(self._fragments) > MAX_FRAGMENTS:
                self.close(1009, f"a message may have at most {MAX_FRAGMENTS} fragments")
            elif frame.fin:
                text, self._fragments = b"".join(self._fragments), None
                if self._connection is not None:
                    self._connection.receive([text])

    # Bytes out.

    def send(self, text: bytes) -> None:
        """Send one text message, with what else this batch of bytes brings about."""
        if self._closing:
            return
        core = self._core
        assert core is not None  # noqa: S101 - nobody is given `send` before the handshake
        if core.extensions:
            try:
                core.send_text(text)
            except InvalidState:
                return  # the client has said goodbye
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
        self._queue(header + text)

    def _queue(self, data: bytes) -> None:
        self._out.append(data)
        self._out_size += len(data)
        if not self._corked or self._out_size > HIGH_WATER:
            self._flush()

    def _flush(self) -> None:
        if not self._out:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        self._socket.write(data)
        if self.congested and self._socket.get_write_buffer_size() > MAX_UNSENT:
            log.warning("cut a client that does not read", unsent=MAX_UNSENT)
            self.abort()

    def _send_from_core(self) -> None:
        core = self._core
        assert core is not None  # noqa: S101 - called by those who have one
        for data in core.data_to_send():
            if data:
                self._queue(data)
            else:
                self._hang_up()

    # The end.

    def close(self, code: int, reason: str) -> None:
        """Send a close frame after what was sent, and hang up."""
        if self._closing:
            return
        if self._core is None or self._connection is None:
            self._hang_up()
        elif self._core.state is OPEN:
            self._core.fail(code, reason)
            self._send_from_core()

    def _hang_up(self) -> None:
        """Close our side after what was sent; the client is given a while to close its own."""
        self._flush()
        self._closing = True
        if self._connection is not None:
            self._connection.leave()
        if self._http is not None:
            self._http.leave()
        if self._socket.is_closing():
            return
        # Closing at once with bytes unread would reset the connection, and with it our last words.
        try:
            half_closed = self._socket.can_write_eof()
            if half_closed:
                self._socket.write_eof()
        except OSError:  # the client was quicker
            half_closed = False
        if half_closed:
            loop = asyncio.get_running_loop()
            self._to_abort = loop.call_later(CLOSE_TIMEOUT, self.abort)
        else:
            self._socket.close()

    def abort(self) -> None:
        """Cut the connection now."""
        self._closing = True
        self._socket.abort()

    def pause(self) -> None:
        """Read nothing more for now."""
        if not self._socket.is_closing():
            self._socket.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self._socket.is_closing():
            self._socket.resume_reading()

    def check(self, now: float) -> None:
        """End or ping the connection where it has been silent for too long."""
        silent = now - self._heard
        if self._closing:
            return
        if self._connection is None:
            if silent > HEAD_TIMEOUT and not (self._http is not None and self._http.busy):
                self._hang_up()
        elif self.congested and silent > IDLE:
            self.abort()  # it takes nothing, a close frame neither
        elif self._connection.busy:
            return
        elif silent > IDLE:
            self.close(IDLE_CLOSE, f"idle: no frame from you for {IDLE:.0f} seconds")
        elif silent > PING_AFTER and not self._pinged and self._core is not None:
            self._pinged = True
            self._core.send_ping(b"")
            self._send_from_core()


def client_address(peer: str, forwarded: str, trusted: Iterable[Network]) -> str:
    """Where a client is: the peer, or what a trusted proxy says of whom it speaks for.

    Read from the right of `X-Forwarded-For`, the first address that is not itself a trusted proxy.
    """
    hops = [part.strip() for part in forwarded.split(",") if part.strip()]
    address = peer
    while hops and _within(address, trusted):
        try:
            address = str(ipaddress.ip_address(hops.pop()))
        except ValueError:
            break
    return address


def _within(address: str, networks: Iterable[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks if network.version == parsed.version)
