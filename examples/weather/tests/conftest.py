"""A stub of the HTTP service, on loopback, whose weather the tests set."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


class Stub:
    """Answers with the weather in `weather`, by place; with `status` instead if that is set."""

    def __init__(self) -> None:
        self.weather: dict[str, dict[str, Any]] = {}
        self.status: int | None = None
        self.url = ""


@pytest.fixture
def upstream() -> Iterator[Stub]:
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            [place] = parse_qs(urlsplit(self.path).query).get("place", [""])
            found = stub.weather.get(place)
            status = stub.status or (404 if found is None else 200)
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield stub
    server.shutdown()
    thread.join()
    server.server_close()
