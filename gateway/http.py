"""Plain HTTP on the gateway's port: one request after the other over h11, answered by a `Site`.

Rules:
- This file moves bytes and knows no page. A site is a function from a request to a response, or to
  a coroutine that gives one; the next request waits until that is sent.
- A body is at most `MAX_BODY`, and so is what waits behind a request that is being answered. A
  request that is wrong is answered, and ends the connection.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import h11
import structlog

MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024

log = structlog.get_logger("scopegate.http")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request with its whole body."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """By lower-case name; of a repeated header the last."""
    body: bytes
    address: str
    """Where the client is."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response with its whole body."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Site = Callable[[HttpRequest], HttpResponse | Coroutine[Any, Any, HttpResponse]]


@dataclass(frozen=True, slots=True)
class HttpPeer:
    """Who asks: what the socket tells of the client and of us."""

    address_for: Callable[[str], str]
    """The client's address, from what `X-Forwarded-For` says."""
    refuses: Callable[[str], str | None]
    """What a client is told that names this `Host`; `None` where it is answered."""


class HttpConversation:
    """The HTTP requests of one connection."""

    def __init__(
        self,
        site: Site,
        peer: HttpPeer,
        write: Callable[[bytes], None],
        close: Callable[[], None],
    ) -> None:
        self._site = site
        self._peer = peer
        self._write = write
        self._close = close
        self._core = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._request: h11.Request | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._over = False
        self._answering: asyncio.Task[None] | None = None
        self._behind = 0

    def receive(self, data: bytes) -> None:
        """Take bytes; answer every request that they complete. Nothing is kept after the last."""
        if self._over:
            return
        self._core.receive_data(data)
        if self._answering is None:
            self._go_on()
            return
        self._behind += len(data)
        if self._behind > MAX_BODY:
            self._end()

    def leave(self) -> None:
        """The client is gone, or is hung up on: nothing is answered any more."""
        self._over = True
        if self._answering is not None:
            # Not at once: a coroutine that is cancelled before its first step was never awaited.
            asyncio.get_running_loop().call_soon(self._answering.cancel)

    def _go_on(self) -> None:
        try:
            self._proceed()
        except h11.RemoteProtocolError as wrong:
            self._refuse(wrong.error_status_hint, "This is not a valid HTTP request.\n")

    def _proceed(self) -> None:
        while True:
            event = self._core.next_event()
            if event is h11.NEED_DATA:
                if self._core.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[]))
                return
            if isinstance(event, h11.Request):
                self._request, self._body, self._size = event, [], 0
            elif isinstance(event, h11.Data):
                self._size += len(event.data)
                if self._size > MAX_BODY:
                    self._refuse(413, f"A body may have at most {MAX_BODY} bytes.\n")
                    return
                self._body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._respond()
                if self._answering is not None or not self._next():
                    return
            else:  # they closed, or wait for us to switch protocols, which we never do
                self._end()
                return

    def _next(self) -> bool:
        """Whether another request may follow the one that was answered."""
        if self._core.our_state is not h11.DONE:
            self._end()
            return False
        self._core.start_next_cycle()
        return True

    def _respond(self) -> None:
        assert self._request is not None  # noqa: S101 - h11 gives no body without a request
        path, _, query = self._request.target.decode("latin-1").partition("?")
        headers = {
            name.decode("ascii"): value.decode("latin-1") for name, value in self._request.headers
        }
        request = HttpRequest(
            method=self._request.method.decode("ascii"),
            path=path,
            query=query,
            headers=headers,
            body=b"".join(self._body),
            address=self._peer.address_for(headers.get("x-forwarded-for", "")),
        )
        refused = self._peer.refuses(headers.get("host", ""))
        if refused is not None:
            answer: HttpResponse | Coroutine[Any, Any, HttpResponse]
            answer = HttpResponse(421, refused.encode())
        else:
            answer = self._site(request)
        head_only = request.method == "HEAD"
        if isinstance(answer, HttpResponse):
            self._reply(answer, head_only=head_only)
        else:
            self._behind = 0
            waiting = self._wait_for(answer, head_only=head_only)
            self._answering = asyncio.get_running_loop().create_task(waiting)

    async def _wait_for(
        self, answer: Coroutine[Any, Any, HttpResponse], *, head_only: bool
    ) -> None:
        try:
            response = await answer
        except Exception as problem:
            log.error("a page failed", exc_info=problem)
            response = HttpResponse(500, b"Sorry, an error occurred.\n")
        self._answering = None
        if not self._over:
            self._reply(response, head_only=head_only)
            if self._next():
                self._go_on()

    def _refuse(self, status: int, text: str) -> None:
        if self._core.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._reply(HttpResponse(status, text.encode(), headers={"connection": "close"}))
        self._end()

    def _end(self) -> None:
        self.leave()
        self._close()

    def _reply(self, response: HttpResponse, *, head_only: bool = False) -> None:
        headers = {
            "content-type": response.content_type,
            "content-length": str(len(response.body)),
            **response.headers,
        }
        self._send(h11.Response(status_code=response.status, headers=list(headers.items())))
        if not head_only:
            self._send(h11.Data(data=response.body))
        self._send(h11.EndOfMessage())

    def _send(self, event: h11.Event) -> None:
        data = self._core.send(event)
        if data:
            self._write(data)
