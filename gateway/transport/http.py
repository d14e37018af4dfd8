"""Plain HTTP on the gateway's port: one request at a time over h11, answered by a `Site`.

Rules:
- This file handles bytes, not pages. A site is a function that returns the response to a request,
  or a coroutine that returns it; the next request waits until the response is sent.
- A body has at most `MAX_BODY` bytes. An invalid request is answered, and closes the connection.
- Reading pauses while a response is being made, so at most one read is buffered. Requests that
  arrived together are answered in the client's turn (`gateway.calls.scheduling`).
- A request whose end other servers might see elsewhere is refused, and closes the connection: one
  with both `Content-Length` and `Transfer-Encoding`, and one with a folded header.
"""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import h11
import structlog

from scopegate.gateway.calls.scheduling import Work

MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024
_HEAD_TOO_LARGE = 431
_TOO_LARGE = f"The head of a request can have at most {MAX_HEAD} bytes.\n"
SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Security headers of every page, file and refusal; the token endpoint has headers of its own."""

_FOLD = re.compile(rb"\n[ \t]")
_HEAD_ENDS = re.compile(rb"\n\r?\n")

log = structlog.get_logger("scopegate.http")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request with its whole body."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """By lower-case name; the last value of a repeated header."""
    body: bytes
    host: str
    """The host in an absolute request target; otherwise the `Host` header."""
    address: str
    """The client's IP address."""


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
    """What a conversation needs of its socket."""

    address_for: Callable[[str], str]
    """Return the client's address, given the value of `X-Forwarded-For`."""
    refuses: Callable[[str], str | None]
    """Return the text with which this `Host` is refused; `None` if it is not."""
    write: Callable[[bytes], None]
    close: Callable[[], None]
    """Close the connection after everything that was written before."""
    pause: Callable[[], None]
    """Pause reading."""
    resume: Callable[[], None]
    """Resume reading."""
    run: Callable[[Work], None]
    """Serve the conversation now, or when it is the client's turn."""
    batched: Callable[[Callable[[], None]], None]
    """Call a function, and send all its output in one write."""


class HttpConversation:
    """The HTTP requests of one connection."""

    queued = False

    def __init__(self, site: Site, peer: HttpPeer) -> None:
        self._site = site
        self._peer = peer
        self._core = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._request: h11.Request | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._over = False
        self._answering: asyncio.Task[None] | None = None
        self._reading = True
        self._begun = False
        self._ended_with = b""
        self._may_be_folded = False
        self.since = time.monotonic()
        """When the current request began, or the last one was answered; monotonic time."""

    @property
    def busy(self) -> bool:
        """Whether a response is being made, or a complete request waits for its turn."""
        return self._answering is not None or self.queued or not self._reading

    @property
    def between_requests(self) -> bool:
        """Whether every request was answered, and nothing of a next one was received."""
        return not (self._begun or self.busy)

    def begin(self) -> None:
        """Called when the first bytes of a request arrive; its timeout begins."""
        if not self._begun:  # further bytes of a request do not extend its timeout
            self._begun, self.since = True, time.monotonic()

    def receive(self, data: bytes) -> None:
        """Take bytes, and answer every request they complete. Nothing is kept after the last."""
        if self._over:
            return
        self.begin()
        if not self._may_be_folded:
            self._may_be_folded = _FOLD.search(self._ended_with + data) is not None
            self._ended_with = data[-1:]
        self._core.receive_data(data)
        if self._reading and not self.queued:
            self._peer.run(self)

    def leave(self) -> None:
        """Stop answering. Called when either side closes the connection."""
        self._over = True
        if self._answering is not None:
            # Not at once: a task cancelled before its first step would never await its coroutine.
            asyncio.get_running_loop().call_soon(self._answering.cancel)

    def serve(self, until: float) -> bool:
        """Answer received requests until `until`, in the scheduler's time.

        Return whether further requests can be answered at once.
        """
        if self._over:
            return False
        try:
            done = self._proceed(until)
        except h11.RemoteProtocolError as wrong:
            too_large = wrong.error_status_hint == _HEAD_TOO_LARGE
            why = _TOO_LARGE if too_large else "This is not a valid HTTP request.\n"
            self._refuse(wrong.error_status_hint, why)
            return False
        if done != self._reading and not self._over:
            self._reading = done
            (self._peer.resume if done else self._peer.pause)()
        return not (done or self._over) and self._answering is None

    def turn(self, until: float) -> bool:
        """Call `serve`, and send the responses in one write."""
        more = False

        def work() -> None:
            nonlocal more
            more = self.serve(until)

        self._peer.batched(work)
        return more

    def _proceed(self, until: float) -> bool:
        """Answer complete requests. `False` if time is up, or a response is still being made."""
        while True:
            if self._may_be_folded and self._is_folded():
                raise h11.RemoteProtocolError("a folded header")
            event = self._core.next_event()
            if event is h11.NEED_DATA:
                if self._core.their_state is h11.IDLE and not self._core.trailing_data[0]:
                    self._begun = False
                if self._core.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[]))
                return True
            if isinstance(event, h11.Request):
                # The parser bounds only a head that arrives in several pieces.
                size = sum(len(name) + len(value) for name, value in event.headers)
                if size + len(event.target) > MAX_HEAD:
                    self._refuse(_HEAD_TOO_LARGE, _TOO_LARGE)
                    return True
                self._request, self._body, self._size = event, [], 0
                if {b"content-length", b"transfer-encoding"} <= {name for name, _ in event.headers}:
                    raise h11.RemoteProtocolError("two lengths")
            elif isinstance(event, h11.Data):
                self._size += len(event.data)
                if self._size > MAX_BODY:
                    self._refuse(413, f"A body can have at most {MAX_BODY} bytes.\n")
                    return True
                self._body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._respond()
                if self._answering is not None:
                    return False
                if not self._next():
                    return True
                if time.perf_counter() > until:
                    return False
            else:  # the client closed, or waits for a protocol switch, which never comes
                self._end()
                return True

    def _is_folded(self) -> bool:
        """Whether the next request head, as far as it was received, has a folded header."""
        if self._core.their_state is not h11.IDLE:
            return False
        data = self._core.trailing_data[0]
        end = _HEAD_ENDS.search(data)
        return _FOLD.search(data, 0, end.start() if end else len(data)) is not None

    def _next(self) -> bool:
        """Get ready for the next request; `False`, after closing, if none may follow."""
        if self._core.our_state is not h11.DONE:
            self._end()
            return False
        self._core.start_next_cycle()
        self._request = None
        self.since = time.monotonic()
        return True

    def _respond(self) -> None:
        assert self._request is not None  # noqa: S101 - h11 gives no body without a request
        headers = {
            name.decode("ascii"): value.decode("latin-1") for name, value in self._request.headers
        }
        host, target = _place(self._request.target.decode("latin-1"), headers.get("host", ""))
        path, _, query = target.partition("?")
        request = HttpRequest(
            method=self._request.method.decode("ascii"),
            path=path,
            query=query,
            headers=headers,
            body=b"".join(self._body),
            host=host,
            address=self._peer.address_for(headers.get("x-forwarded-for", "")),
        )
        head_only = request.method == "HEAD"
        refused = self._peer.refuses(host)
        if refused is not None:
            refusal = HttpResponse(421, refused.encode(), headers=SECURITY)
            self._reply(refusal, head_only=head_only)
            return
        answer = self._site(request)
        if isinstance(answer, HttpResponse):
            self._reply(answer, head_only=head_only)
        else:
            waiting = self._wait_for(answer, head_only=head_only)
            self._answering = asyncio.get_running_loop().create_task(waiting)

    async def _wait_for(
        self, answer: Coroutine[Any, Any, HttpResponse], *, head_only: bool
    ) -> None:
        try:
            response = await answer
        except Exception as problem:
            log.error("a page failed", exc_info=problem)
            response = HttpResponse(500, b"Sorry, an error occurred.\n", headers=SECURITY)
        self._answering = None
        if not self._over:
            self._reply(response, head_only=head_only)
            if self._next():
                self._peer.run(self)

    def _refuse(self, status: int, text: str) -> None:
        if self._core.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = {**SECURITY, "connection": "close"}
            head_only = self._request is not None and self._request.method == b"HEAD"
            refusal = HttpResponse(status, text.encode(), headers=headers)
            self._reply(refusal, head_only=head_only)
        self._end()

    def _end(self) -> None:
        self.leave()
        self._peer.close()
        if not self._reading:  # otherwise the client's close would go unnoticed
            self._reading = True
            self._peer.resume()

    def _reply(self, response: HttpResponse, *, head_only: bool = False) -> None:
        headers = {"content-type": response.content_type, **response.headers}
        if response.status != 304:  # a length there means that of the cached response
            headers["content-length"] = str(len(response.body))
        self._send(h11.Response(status_code=response.status, headers=list(headers.items())))
        if not head_only:
            self._send(h11.Data(data=response.body))
        self._send(h11.EndOfMessage())

    def _send(self, event: h11.Event) -> None:
        data = self._core.send(event)
        if data:
            self._peer.write(data)


def _place(target: str, host: str) -> tuple[str, str]:
    """Return a request's host and target; an absolute target has the host (RFC 9112, 3.2.2)."""
    if target.startswith("/"):
        return host, target
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return host, target
    named, slash, path = rest.partition("/")
    return named, slash + path or "/"
