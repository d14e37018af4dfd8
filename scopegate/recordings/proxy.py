"""A proxy that records: clients connect to it, and it forwards every message both ways.

Rules:
- It listens on this machine only.
- A message is written to the file before it is forwarded, so the file has the order in which the
  proxy has read them.
- Messages are forwarded as they are; only the file is masked. Pings are answered on each side.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Origin

from scopegate.recordings.lines import Direction, Recorder, RecordingError

HOST = "127.0.0.1"
MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of a message that is forwarded; a longer one closes the connection."""
NORMAL, NO_STATUS, ABNORMAL = 1000, 1005, 1006

Admit = Callable[[ServerConnection, Request], Awaitable[Response | None]]


def upstream_of(text: str) -> str:
    """Return the address of an endpoint, checked. Raises `RecordingError`."""
    parts = urlsplit(text)
    try:
        is_valid = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or parts.query or parts.fragment:
        raise RecordingError(
            "the address must be like ws://127.0.0.1:5555 or wss://HOST/PATH; clients add the rest"
        )
    return text.rstrip("/")


@asynccontextmanager
async def recording_proxy(upstream: str, recorder: Recorder, port: int = 0) -> AsyncIterator[int]:
    """Listen until the block ends; yields the port. Raises `RecordingError`.

    The path and the parameters of a client's address are added to `upstream`; if that has a path,
    the parameters alone.
    """
    proxy = _Proxy(upstream, recorder)
    async with await listening(proxy.serve, port, proxy.admit) as server:
        yield port_of(server)


async def listening(
    handle: Callable[[ServerConnection], Awaitable[None]], port: int, admit: Admit | None = None
) -> Server:
    """Listen on this machine, as recorders and replays do. Raises `RecordingError`."""
    try:
        return await serve(
            handle,
            HOST,
            port,
            process_request=admit,
            compression=None,
            ping_interval=None,
            max_size=MAX_MESSAGE,
            close_timeout=1,
        )
    except OSError as problem:
        raise RecordingError(
            f"cannot listen on {HOST}:{port}: {problem.strerror}; choose another --port"
        ) from None


def port_of(server: Server) -> int:
    """Return the port on which a server listens."""
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


class _Proxy:
    def __init__(self, upstream: str, recorder: Recorder) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._start = asyncio.get_running_loop().time()
        self._upstreams: dict[ServerConnection, ClientConnection] = {}

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._start

    async def admit(self, client: ServerConnection, request: Request) -> Response | None:
        """Connect to the endpoint; if that fails, refuse the client."""
        parts = urlsplit(request.path)
        path = "" if urlsplit(self._upstream).path else parts.path
        query = f"?{parts.query}" if parts.query else ""
        origin = request.headers.get("Origin")
        try:
            self._upstreams[client] = await connect(
                f"{self._upstream}{path}{query}",
                origin=None if origin is None else Origin(origin),
                user_agent_header=request.headers.get("User-Agent"),
                compression=None,
                ping_interval=None,
                max_size=MAX_MESSAGE,
                proxy=None if _is_here(self._upstream) else True,
            )
        except InvalidStatus as refusal:
            answer = refusal.response
            return client.respond(
                HTTPStatus(answer.status_code), answer.body.decode(errors="replace")
            )
        except (OSError, TimeoutError, InvalidHandshake) as problem:
            text = f"Cannot connect to {self._upstream}: {problem}\n"
            return client.respond(HTTPStatus.BAD_GATEWAY, text)
        return None

    async def serve(self, client: ServerConnection) -> None:
        """Forward messages both ways until one side ends its connection."""
        upstream = self._upstreams.pop(client)
        assert client.request is not None  # noqa: S101 - it was admitted by it
        number = self._recorder.opened(self._now(), urlsplit(client.request.path).query)
        ways = (
            asyncio.create_task(self._forward(number, client, upstream, "sent")),
            asyncio.create_task(self._forward(number, upstream, client, "received")),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            by_client = ways[0].done()
            ended, other = (client, upstream) if by_client else (upstream, client)
            code = ABNORMAL if ended.close_code is None else ended.close_code
            self._recorder.closed(number, self._now(), "client" if by_client else "gateway", code)
            if code == ABNORMAL:
                other.transport.abort()
            else:
                await other.close(NORMAL if code == NO_STATUS else code, ended.close_reason or "")
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await upstream.close()

    async def _forward(
        self, number: int, source: Connection, target: Connection, direction: Direction
    ) -> None:
        try:
            async for text in source:
                self._recorder.message(number, self._now(), direction, text)
                await target.send(text)
        except ConnectionClosed:
            if source.close_code is None:  # the target has ended: its own task ends with it
                await source.wait_closed()


def _is_here(address: str) -> bool:
    """Whether an address is on this machine, so that no proxy of the system leads to it."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
