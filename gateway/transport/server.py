"""The listener: accepts sockets, completes TLS handshakes, and owns every connection.

Rules:
- `stop` answers everything that was received, within `DRAIN`, before it closes connections.
- The sockets number at most the process's limit of open files less `SPARE_FILES`. Past that, the
  oldest one without a WebSocket or a request being answered is cut, or else the new one. Sockets
  count from when they are accepted, even before their TLS handshake.
"""

import asyncio
import math
import socket
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import structlog
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from scopegate.gateway.calls import hosts
from scopegate.gateway.calls.scheduling import Scheduler
from scopegate.gateway.transport.http import Site
from scopegate.gateway.transport.peer import HEAD_TIMEOUT, Accept, Listening, Peer

SOCKET_BUFFER = 128 * 1024
"""Bytes that the kernel buffers for one client, each way; it uses twice as much memory for them.
By default it buffers several megabytes for a client that does not read."""
BACKLOG = 1024
"""Clients that may wait to be accepted."""
ACCEPTED_AT_ONCE = 8
"""Clients that are accepted before other sockets are read. asyncio accepts as many as may wait."""
SPARE_FILES = 64
"""Files reserved for everything but clients: the database, the log, the event loop."""
MAX_LOGGED_HOSTS = 100
DRAIN = 5.0
"""Seconds in which `stop` answers messages that were received before it."""
GOODBYE = 2.0
"""Seconds that clients have to close their side when the gateway stops."""
_DRAIN_TURN = 0.01

log = structlog.get_logger("scopegate.server")


class Server:
    """Accepts connections, and owns them until `stop`."""

    def __init__(
        self,
        how: Listening,
        accept: Accept,
        site: Site,
        scheduler: Scheduler,
        *,
        max_sockets: int | None = None,
    ) -> None:
        """`max_sockets` may be open; by default what the limit of open files allows."""
        self.how = how
        self.accept = accept
        self.site = site
        self.scheduler = scheduler
        self.max_sockets = _max_sockets() if max_sockets is None else max_sockets
        self.extensions = [ServerPerMessageDeflateFactory()] if how.compression else None
        # Dicts as ordered sets: clients are closed and checked in the order in which they came.
        self.peers: dict[Peer, None] = {}
        self._handshakes: dict[_Handshake, None] = {}
        self._without_websocket: dict[Peer | _Handshake, None] = {}
        self._warned = -math.inf
        self._refused_hosts: set[str] = set()
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None

    async def start(self, listeners: Sequence[socket.socket] = ()) -> int:
        """Start to listen, and return the port: a free one if port 0 was asked for.

        `listeners` are sockets that listen already, instead of an address.
        """
        loop = asyncio.get_running_loop()
        tls = self.how.tls
        protocol = partial(Peer, self) if tls is None else partial(_Handshake, self, tls)
        if listeners:
            self._servers = [
                await loop.create_server(protocol, sock=listener, backlog=ACCEPTED_AT_ONCE)
                for listener in listeners
            ]
        else:
            self._servers = [
                await loop.create_server(
                    protocol, self.how.host, self.how.port, backlog=ACCEPTED_AT_ONCE
                )
            ]
        sockets = [each for server in self._servers for each in server.sockets]
        for listener in sockets:  # accepted sockets inherit these
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                listener.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
            with listener.dup() as same:
                same.listen(BACKLOG)  # asyncio's own socket does not have this method
        self._sweep()
        port: int = sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Answer what was received, end the streams, and close the connections.

        Nothing more is read. Replies have `DRAIN` seconds; then clients have `GOODBYE` seconds to
        close their side before they are cut.
        """
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._servers:
            server.close()
        for handshake in list(self._handshakes):
            handshake.abort()
        for peer in list(self.peers):
            peer.drain()
        ends = time.monotonic() + DRAIN
        # No event marks a client's last answer, so this polls; it only happens during a stop.
        while any(peer.busy for peer in self.peers) and time.monotonic() < ends:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_TURN)
        for peer in list(self.peers):
            peer.finish()
        try:
            async with asyncio.timeout(GOODBYE):
                await self._empty()
        except TimeoutError:
            for peer in list(self.peers):
                peer.abort()
            await self._empty()

    async def _empty(self) -> None:
        """Wait until no client is connected."""
        if self.peers:
            self._emptied = asyncio.Event()
            await self._emptied.wait()

    def joined(self, peer: "Peer") -> None:
        """Add a new client; if too many sockets are open, cut the oldest without a WebSocket."""
        self.peers[peer] = None
        self._count(peer)

    def begun(self, handshake: "_Handshake") -> None:
        """Add a TLS handshake that begins; if too many sockets are open, cut one like `joined`."""
        self._handshakes[handshake] = None
        self._count(handshake)

    def _count(self, newest: "Peer | _Handshake") -> None:
        self._without_websocket[newest] = None
        if len(self.peers) + len(self._handshakes) <= self.max_sockets:
            return
        oldest = next((each for each in self._without_websocket if not each.is_answered), newest)
        oldest.abort()
        self.left(oldest)
        now = time.monotonic()
        if now - self._warned > 60:
            self._warned = now
            log.warning(
                "all sockets are in use: closed one without a WebSocket; raise the process's"
                " limit on open files",
                allowed=self.max_sockets,
            )

    def opened(self, peer: "Peer") -> None:
        """Called when a client has opened its WebSocket."""
        self._without_websocket.pop(peer, None)

    def refused(self, host: str) -> None:
        """Log each refused name once, with the option that would allow it.

        Anybody can send any name, so at most `MAX_LOGGED_HOSTS` are logged.
        """
        name = hosts.name_of(host)
        known = self._refused_hosts
        if not name or len(name) > 253 or name in known or len(known) >= MAX_LOGGED_HOSTS:
            return
        known.add(name)
        log.warning("refused a Host", host=name, allow_it_with=f"--allowed-host {name}")
        if len(known) == MAX_LOGGED_HOSTS:
            log.warning("further refused names in Host are not logged", after=MAX_LOGGED_HOSTS)

    def left(self, peer: "Peer | _Handshake") -> None:
        """Remove a client that is gone, or a TLS handshake that is over."""
        if isinstance(peer, Peer):
            self.peers.pop(peer, None)
        else:
            self._handshakes.pop(peer, None)
        self._without_websocket.pop(peer, None)
        if not self.peers and self._emptied is not None:
            self._emptied.set()

    def _sweep(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(1.0, self._sweep)
        now = time.monotonic()
        for peer in list(self.peers):
            try:
                peer.check(now)
            except Exception as problem:  # the other connections are still checked
                log.error("a connection could not be checked", exc_info=problem)
                peer.abort()


class _Handshake(asyncio.Protocol):
    """One socket during its TLS handshake; then a `Peer` takes its place.

    A TLS listener of the event loop reports a client only after the handshake. To count the socket
    from the start, it is accepted without TLS, duplicated, and handed back for the handshake.
    """

    is_answered = False

    def __init__(self, server: Server, tls: Callable[[], ssl.SSLContext]) -> None:
        self._server = server
        self._tls = tls
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        try:
            taken: socket.socket = transport.get_extra_info("socket").dup()
        except OSError:  # the process has no file left at the moment
            return
        finally:
            cast("asyncio.Transport", transport).abort()
        self._task = asyncio.get_running_loop().create_task(self._handshake(taken))
        self._server.begun(self)

    async def _handshake(self, taken: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                partial(Peer, self._server, self),
                taken,
                ssl=self._tls(),
                ssl_handshake_timeout=HEAD_TIMEOUT,
            )
        except OSError:  # not TLS, not in time, or the client is gone
            pass
        finally:
            self._server.left(self)

    def abort(self) -> None:
        """Abort the handshake and close its socket."""
        if self._task is not None:
            # Not at once: a task cancelled before its first step would leave the socket open.
            asyncio.get_running_loop().call_soon(self._task.cancel)


def _max_sockets() -> int:
    """Return how many sockets the process may have open.

    That is its limit of open files less `SPARE_FILES`, but at least half the limit.
    """
    try:
        import resource
    except ImportError:  # on Windows, which has no such limit
        return sys.maxsize
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(allowed - SPARE_FILES, allowed // 2)
