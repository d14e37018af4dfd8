"""The page `/metrics`, in the text format of Prometheus.

Rules:
- With a token, only who sends it may read the page. Without one, only who is on this machine may,
  and only while nobody else can connect.
- What takes long is done in a thread: the library is imported at the first request.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

from scopegate.gateway.calls.hosts import is_loopback, name_of
from scopegate.gateway.transport.http import SECURITY, HttpRequest, HttpResponse
from scopegate.runtime.metrics import Distribution, Kind, Metric

PATH: Final = "/metrics"
_OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0"
WORKER: Final = "worker"
"""The label that tells the worker processes of one gateway apart."""


class OfProcess(NamedTuple):
    """The metrics of one process."""

    worker: str
    """The number of the worker process; empty if there is only one process."""
    metrics: Sequence[Metric]


Collect = Callable[[], Awaitable[Sequence[OfProcess]]]
"""Returns the metrics of every process of the gateway."""


class MetricsPage:
    """Answers requests for the metrics."""

    def __init__(self, collect: Collect, *, token: str | None, is_local: bool) -> None:
        """`token` admits who sends it. Without one, `is_local` means that only this machine can
        connect to the gateway.
        """
        self._collect = collect
        self._token = token
        self._is_local = is_local

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Return the metrics, or why they are refused."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        collected = await self._collect()
        body, kind = await asyncio.to_thread(
            _rendered, collected, request.headers.get("accept", "")
        )
        return HttpResponse(200, body, kind, {**SECURITY, "cache-control": "no-store"})

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        if self._token is not None:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            same = secrets.compare_digest(given.strip().encode(), self._token.encode())
            if scheme.lower() == "bearer" and same:
                return None
            headers = {**SECURITY, "www-authenticate": "Bearer"}
            text = b"Send the token of the metrics: Authorization: Bearer TOKEN.\n"
            return HttpResponse(401, text, headers=headers)
        if self._is_local and is_loopback(name_of(request.host)) and is_loopback(request.address):
            return None
        text = b"The metrics need a token here: set metrics_token (SCOPEGATE_METRICS_TOKEN).\n"
        return HttpResponse(403, text, headers=SECURITY)


def _rendered(collected: Iterable[OfProcess], accept: str) -> tuple[bytes, str]:
    """Return the metrics in the format that the client accepts, and its content type."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(_families(collected)))
    # The library fails on some headers, and repeats their text in the content type.
    encode, kind = choose_encoder(_OPEN_METRICS if _accepts_open_metrics(accept) else "")
    return encode(registry), kind


def _accepts_open_metrics(accept: str) -> bool:
    for media_range in accept.split(","):
        kind, *parameters = (part.strip() for part in media_range.split(";"))
        versions = [each for each in parameters if each.startswith("version=")]
        if kind == "application/openmetrics-text" and versions in ([], ["version=1.0.0"]):
            return True
    return False


class _Collected:
    """What a `CollectorRegistry` of the library asks for its metrics."""

    def __init__(self, families: Iterable[Any]) -> None:
        self._families = families

    def collect(self) -> Iterable[Any]:
        return self._families


def _families(collected: Iterable[OfProcess]) -> Iterable[Any]:
    """Return each metric once, as the library's object, with the numbers of every process."""
    from prometheus_client import core

    kinds: Mapping[Kind, Callable[..., Any]] = {
        "counter": core.CounterMetricFamily,
        "gauge": core.GaugeMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }
    families: dict[str, Any] = {}
    for worker, metrics in collected:
        more = (WORKER,) if worker else ()
        for name, kind, text, labels, samples in metrics:
            family = families.get(name)
            if family is None:
                family = families[name] = kinds[kind](name, text, labels=[*labels, *more])
            for values, value in samples:
                of = [*values, worker] if worker else values
                if isinstance(value, Distribution):
                    bounds = [*map(str, value.bounds), "+Inf"]
                    within = zip(bounds, accumulate(value.counts), strict=True)
                    family.add_metric(of, list(within), value.total)
                else:
                    family.add_metric(of, value)
    return families.values()
