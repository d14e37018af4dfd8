"""Traces: a span for each message, sent to a collector of OpenTelemetry.

Rules:
- Only with the setting `traces_to`, and the extra `scopegate[tracing]`, which is imported then.
- A span has what a line of the log has: the call, its outcome, the connection and the number of
  the message on it. Nothing that a client has sent.
- Spans are sent in batches by a thread of the library. If the collector does not take them, they
  are dropped: no message waits for it.
"""

import contextlib
import time
from collections.abc import Iterator
from threading import Thread

from scopegate.gateway.calls.handling import OK, UNKNOWN, Observer
from scopegate.gateway.calls.registry import Call
from scopegate.gateway.calls.session import Session
from scopegate.settings import SettingsError

SEND_SECONDS = 2.0
"""Real seconds that the collector may take for a batch; a stop of the gateway waits as long."""


@contextlib.contextmanager
def tracing(collector: str) -> Iterator[Observer]:
    """Yield what sends a span for each message, until the block ends; then the rest is sent.

    `collector` is its URL for OTLP over HTTP. Raises `SettingsError` without the extra.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode
    except ImportError as problem:
        raise SettingsError(
            "traces_to: needs an extra; install it with: pip install 'scopegate[tracing]'"
        ) from problem
    provider = TracerProvider(
        resource=Resource.create({"service.name": "scopegate"}), shutdown_on_exit=False
    )
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=collector, timeout=SEND_SECONDS))
    )
    tracer = provider.get_tracer("scopegate")

    def observe(session: Session, call: Call | None, seconds: float) -> None:
        ended = time.time_ns()
        error = session.error
        name = UNKNOWN if call is None else call.name
        span = tracer.start_span(
            name,
            kind=SpanKind.SERVER,
            start_time=ended - int(seconds * 1e9),
            attributes={
                "rpc.method": name,
                "scopegate.outcome": OK if error is None else error.code,
                "scopegate.session": session.id,
                "scopegate.message": session.messages,
                "scopegate.app": session.app_id or 0,
            },
        )
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error.code))
        span.end(ended)

    try:
        yield observe
    finally:
        closing = Thread(target=provider.shutdown, daemon=True)  # it tries for longer
        closing.start()
        closing.join(SEND_SECONDS)
