"""A stub of the HTTP service: `python -m weather.stub` serves made-up weather on port 5700.

Tests set what it answers.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SKIES = ("sun", "clouds", "rain")


class Stub:
    """Answers with the weather in `weather`, by place, and with HTTP status `status` if set."""

    def __init__(self) -> None:
        self.weather: dict[str, Any] = {}
        self.status: int | None = None
        self.url = ""

    def find(self, place: str) -> Any:
        """Return the weather of a place; `None` if the place is unknown."""
        return self.weather.get(place)


class MadeUp(Stub):
    """Weather for every place, different each minute."""

    def find(self, place: str) -> Any:
        """Return weather that depends on the name and on the minute."""
        number = sum(place.encode()) + int(time.time()) // 60
        return {"place": place, "degrees": number % 30 + 0.5, "sky": SKIES[number % len(SKIES)]}


@contextmanager
def serving(stub: Stub, port: int = 0) -> Iterator[Stub]:
    """Serve the stub on loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            [place] = parse_qs(urlsplit(self.path).query).get("place", [""])
            found = stub.find(place)
            body = json.dumps(found).encode()
            self.send_response(stub.status or (404 if found is None else 200))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with serving(MadeUp(), 5700) as made_up:
        print(f"made-up weather on {made_up.url}, until Ctrl-C")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
