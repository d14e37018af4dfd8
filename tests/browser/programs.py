"""What talks to the gateway beside the browser: programs with tokens, and the site of an app.

They have threads of their own, as nothing asynchronous can run in these tests.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from scopegate.gateway.web.oauth_metadata import DEVICE_GRANT
from tests.served import PATIENCE, Served, unverified

Message = dict[str, Any]
Result = TypeVar("Result")

CALL: Message = {
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "symbol": "R_100",
    "duration": 5,
    "duration_unit": "t",
}


def buying(amount: float) -> Message:
    """The purchase of a contract at this price in dollars."""
    return {"buy": "1", "price": amount, "parameters": {**CALL, "amount": amount}}


class Program:
    """A program on a connection of its own, with an event loop in a thread of its own.

    The blocking client of `websockets` reads and writes in two threads. Over TLS what it writes may
    then never leave (OpenSSL allows one thread at a time), which happened once in 200 connections.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: ClientConnection) -> None:
        self._loop = loop
        self._socket = socket
        self._asked = 0
        self._heard: list[Message] = []

    def ask(self, **request: Any) -> Message:
        """The reply to a request; other messages are kept for `hear`."""
        self._asked += 1
        asked = self._asked
        _done(self._loop, self._socket.send(json.dumps({**request, "req_id": asked})))
        return self._next(lambda message: message.get("req_id") == asked, kept=[])

    def hear(self, wanted: Callable[[Message], bool]) -> Message:
        """The next message that is like this, of those kept and those to come."""
        return self._next(wanted, kept=self._heard)

    def _next(self, wanted: Callable[[Message], bool], *, kept: list[Message]) -> Message:
        for message in kept:
            if wanted(message):
                kept.remove(message)
                return message
        while not wanted(message := json.loads(_done(self._loop, self._socket.recv()))):
            self._heard.append(message)
        return message


def _done(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE)


@contextmanager
def connected(
    gateway: Served, app_id: int | str, *, origin: Origin | None = None
) -> Iterator[Program]:
    """A program of this app that has not signed in."""
    url = f"{gateway.url}?app_id={app_id}"
    # The gateway's certificate is of its own making.
    tls = unverified() if url.startswith("wss:") else None

    async def connecting() -> ClientConnection:
        return await connect(url, compression=None, proxy=None, origin=origin, ssl=tls)

    with _loop_in_a_thread() as loop:
        socket = _done(loop, connecting())
        try:
            yield Program(loop, socket)
        finally:
            _done(loop, socket.close())


@contextmanager
def _loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def program(gateway: Served, token: str, *, app_id: int | str = 1089) -> Iterator[Program]:
    """A program that is signed in with this token."""
    with connected(gateway, app_id) as running:
        reply = running.ask(authorize=token)
        assert "error" not in reply, reply
        yield running


def refusal_of(gateway: Served, token: str, *, app_id: int | str = 1089) -> str:
    """The code of the error with which this token is refused."""
    with connected(gateway, app_id) as running:
        code: str = running.ask(authorize=token)["error"]["code"]
        return code


@contextmanager
def registered(gateway: Served, address: str, *scopes: str, name: str = "Helper") -> Iterator[int]:
    """An app of the demo user's, which returns to this address; its app_id."""
    with program(gateway, gateway.token) as owner:
        reply = owner.ask(app_register=1, name=name, scopes=scopes, redirect_uri=address)
        app_id: int = reply["app_register"]["app_id"]
        try:
            yield app_id
        finally:
            assert owner.ask(app_delete=app_id)["app_delete"] == 1


def device_codes(gateway: Served, app_id: int) -> Message:
    """What a program without a browser gets when it asks for consent to this app."""
    url = f"{gateway.page}oauth2/device_authorization"
    response = httpx2.post(url, data={"client_id": app_id}, trust_env=False)
    codes: Message = response.json()
    return codes


def polled(gateway: Served, app_id: int, codes: Message) -> Message:
    """What it gets when it asks whether its user has decided."""
    form = {"grant_type": DEVICE_GRANT, "client_id": app_id, "device_code": codes["device_code"]}
    response = httpx2.post(f"{gateway.page}oauth2/token", data=form, trust_env=False)
    reply: Message = response.json()
    return reply


@contextmanager
def owner(gateway: Served) -> Iterator[Program]:
    """What a page of the gateway does once the demo user has signed in there, without the page."""
    with connected(gateway, 1089, origin=Origin(gateway.page.rstrip("/"))) as page:
        accounts = page.ask(sign_in_demo=1)["sign_in_demo"]["accounts"]
        page.ask(authorize="MULTI", tokens=[account["token"] for account in accounts])
        yield page


EMPTY = "<!doctype html><title>The app</title><link rel=icon href=data:,>"


@contextmanager
def site(page: Callable[[], str] = lambda: EMPTY) -> Iterator[str]:
    """An app's own site, which answers every address with this page; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page().encode())

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with serving(Handler) as origin:
        yield f"{origin}/back"


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server of plain HTTP on a free port; its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
