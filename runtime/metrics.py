"""What a process counts about itself, for its operator.

Rules:
- To count is to add to a plain number. Names, texts and labels are put together when somebody asks.
- Labels have few values: names of calls, error codes, limits in force. No client can choose one.
- A source that fails is logged and left out; the others are still shown.
"""

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import structlog

SECONDS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
)
"""The bounds in which durations are counted, in seconds."""
LAG_EVERY = 0.1
"""Seconds between two measurements of the event loop's lag."""

log = structlog.get_logger("scopegate.metrics")


Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
"""What a metric's numbers mean: counts since the start, which only grow; values at present; or how
many of the observed values lie within each bound."""


class Distribution(NamedTuple):
    """The values that a histogram has observed."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """How many values are at most each bound, and above the one before; then, how many are above
    all bounds."""
    total: float
    """The sum of all values."""


class Sample(NamedTuple):
    """One number of a metric, or one distribution."""

    labels: tuple[str, ...]
    """The values of the metric's labels."""
    value: float | Distribution


class Metric(NamedTuple):
    """A metric with its numbers at present. It can be pickled."""

    name: str
    """Without the prefix, and for a counter without `_total`."""
    kind: Kind
    text: str
    """What it counts, and in what unit: one sentence."""
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]


def counter(name: str, text: str, value: float) -> Metric:
    """Return a count without labels."""
    return Metric(name, "counter", text, (), (Sample((), value),))


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a present value without labels."""
    return Metric(name, "gauge", text, (), (Sample((), value),))


def counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return counts by one label."""
    return Metric(name, "counter", text, (label,), _samples(values))


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return present values by one label."""
    return Metric(name, "gauge", text, (label,), _samples(values))


def _samples(values: Mapping[str, float]) -> tuple[Sample, ...]:
    return tuple(Sample((label,), value) for label, value in values.items())


class Histogram:
    """Counts values within bounds."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = tuple(bounds)
        self.counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def add_all(self, values: Iterable[float]) -> None:
        """Count many values at once, which is cheaper than one by one."""
        ordered = sorted(values)
        before = 0
        for place, bound in enumerate(self._bounds):
            until = bisect_right(ordered, bound, before)
            self.counts[place] += until - before
            before = until
        self.counts[-1] += len(ordered) - before
        self.total += sum(ordered)

    def distribution(self) -> Distribution:
        """Return what was counted so far."""
        return Distribution(self._bounds, tuple(self.counts), self.total)

    def metric(self, name: str, text: str) -> Metric:
        """Return it as a metric without labels."""
        return Metric(name, "histogram", text, (), (Sample((), self.distribution()),))


Source: TypeAlias = Callable[[], Iterable[Metric]]
"""Returns metrics at present."""


class Metrics:
    """All metrics of a process: parts of the gateway, and plugins, add their sources."""

    def __init__(self) -> None:
        self._sources: list[tuple[str, Source]] = []

    def add(self, prefix: str, source: Source) -> None:
        """Ask `source` each time the metrics are read; their names then begin with the prefix.

        The gateway's own prefix is scopegate, and that of a plugin its name.
        """
        self._sources.append((prefix, source))

    def collect(self) -> list[Metric]:
        """Return all metrics at present."""
        found: list[Metric] = []
        for prefix, source in self._sources:
            try:
                found += [metric._replace(name=f"{prefix}_{metric.name}") for metric in source()]
            except Exception as problem:
                log.error("metrics cannot be read", exc_info=problem)
        return found


class LoopLag:
    """Measures how late the event loop calls back what is due."""

    def __init__(self) -> None:
        self._late = Histogram()

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due = time.monotonic() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self._late.add(max(0.0, time.monotonic() - due))

    def metrics(self) -> Iterable[Metric]:
        """Return what was measured."""
        yield self._late.metric(
            "loop_lag_seconds",
            "How late the event loop called back, measured ten times a second.",
        )
