"""Traces: a collector gets a span for each call, and nobody waits for it."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.served import Served, serving

PATH = "/v1/traces"


@contextmanager
def collector() -> Iterator[tuple[str, SimpleQueue[bytes]]]:
    """A collector on loopback; yields its URL, and what it receives."""
    received: SimpleQueue[bytes] = SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            zipped = self.headers.get("content-encoding") == "gzip"
            received.put(gzip.decompress(body) if zipped else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{PATH}", received
        finally:
            server.shutdown()
            thread.join()


def spans(received: SimpleQueue[bytes]) -> list[dict[str, Any]]:
    """Every span that was received, with its attributes, in the order of the messages."""
    found = []
    while not received.empty():
        request = ExportTraceServiceRequest.FromString(received.get())
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    about: dict[str, Any] = {"name": span.name, "status": span.status.code}
                    about["nanoseconds"] = span.end_time_unix_nano - span.start_time_unix_nano
                    for each in span.attributes:
                        value = each.value
                        about[each.key] = value.string_value or value.int_value
                    found.append(about)
    return sorted(found, key=lambda each: each["scopegate.message"])


@pytest.mark.lengthy
async def test_a_collector_gets_a_span_for_each_call(tmp_path: Path) -> None:
    with collector() as (url, received):
        with serving(tmp_path, "--traces-to", url) as served:
            async with served.connected() as client:
                await client.authorize(served.token)
                await client.ask({"balance": 1})
                assert await client.refused({"nonsense": 1}) == "UnrecognisedRequest"
        found = spans(received)
    assert [(each["name"], each["scopegate.outcome"]) for each in found] == [
        ("authorize", "ok"),
        ("balance", "ok"),
        ("unknown", "UnrecognisedRequest"),
    ]
    assert [each["status"] for each in found] == [0, 0, 2]
    assert len({each["scopegate.session"] for each in found}) == 1
    assert all(0 < each["nanoseconds"] < 60e9 for each in found)
    assert served.token not in str(found)


@pytest.mark.lengthy
async def test_without_its_collector_the_gateway_serves_and_stops(tmp_path: Path) -> None:
    with Served(tmp_path, "--traces-to", "http://127.0.0.1:9/v1/traces") as served:
        async with served.connected() as client:
            for _ in range(100):
                await client.ask({"ping": 1})
        assert served.stop() == 0
        assert "Traceback" not in served.stderr
