"""What talks to the gateway beside the browser: programs with tokens, and the site of an app.

They are plain threads and blocking sockets, as nothing asynchronous can run in these tests.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from scopegate.gateway.web.oauth_metadata import DEVICE_GRANT
from tests.served import PATIENCE, Served, unverified

Message = dict[str, Any]

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
    """A program on a connection of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._asked = 0
        self._heard: list[Message] = []

    def ask(self, **request: Any) -> Message:
        """The reply to a request; other messages are kept for `hear`."""
        self._asked += 1
        asked = self._asked
        self._socket.send(json.dumps({**request, "req_id": asked}))
        return self._next(lambda message: message.get("req_id") == asked, kept=[])

    def hear(self, wanted: Callable[[Message], bool]) -> Message:
        """The next message that is like this, of those kept and those to come."""
        return self._next(wanted, kept=self._heard)

    def _next(self, wanted: Callable[[Message], bool], *, kept: list[Message]) -> Message:
        for message in kept:
            if wanted(message):
                kept.remove(message)
                return message
        while not wanted(message := json.loads(self._socket.recv(PATIENCE))):
            self._heard.append(message)
        return message


def _connect(gateway: Served, app_id: int | str, **options: Any) -> ClientConnection:
    if gateway.url.startswith("wss:"):  # with a certificate of its own making
        options["ssl"] = unverified()
    url = f"{gateway.url}?app_id={app_id}"
    return connect(url, compression=None, proxy=None, **options)


@contextmanager
def connected(gateway: Served, app_id: int | str) -> Iterator[Program]:
    """A program of this app that has not signed in."""
    with _connect(gateway, app_id) as socket:
        yield Program(socket)


@contextmanager
def program(gateway: Served, token: str, *, app_id: int | str = 1089) -> Iterator[Program]:
    """A program that is signed in with this token."""
    with connected(gateway, app_id) as running:
        reply = running.ask(authorize=token)
        assert "error" not in reply, reply
        yield running


def refusal_of(gateway: Served, token: str, *, app_id: int | str = 1089) -> str:
    """The code of the error with which this token is refused."""
    with _connect(gateway, app_id) as socket:
        code: str = Program(socket).ask(authorize=token)["error"]["code"]
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
    with _connect(gateway, 1089, origin=Origin(gateway.page.rstrip("/"))) as socket:
        page = Program(socket)
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
