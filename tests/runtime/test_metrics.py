"""Numbers that a process counts about itself, and how they are put together."""

import pickle

from structlog.testing import capture_logs

from scopegate.runtime.metrics import (
    Distribution,
    Histogram,
    Metric,
    Metrics,
    Sample,
    counter,
    gauges,
)


def test_a_value_counts_for_the_first_bound_that_it_does_not_exceed() -> None:
    values = (0.5, 1, 1.5, 4, 5)
    singly, at_once = Histogram((1, 2, 4)), Histogram((1, 2, 4))
    for value in values:
        singly.add(value)
    at_once.add_all(reversed(values))
    expected = Distribution((1, 2, 4), (2, 1, 1, 1), 12.0)
    assert singly.distribution() == at_once.distribution() == expected


def test_names_begin_with_the_prefix_of_their_source() -> None:
    metrics = Metrics()
    metrics.add("weather", lambda: [counter("asked", "Forecasts.", 3)])
    metrics.add("scopegate", lambda: [gauges("streams", "Streams.", "kind", {"ticks": 2})])
    assert metrics.collect() == [
        Metric("weather_asked", "counter", "Forecasts.", (), (Sample((), 3),)),
        Metric("scopegate_streams", "gauge", "Streams.", ("kind",), (Sample(("ticks",), 2),)),
    ]
    assert pickle.loads(pickle.dumps(metrics.collect())) == metrics.collect()


def test_a_source_that_fails_is_left_out_and_logged() -> None:
    def broken() -> list[Metric]:
        raise RuntimeError("cannot be counted")

    metrics = Metrics()
    metrics.add("a", broken)
    metrics.add("b", lambda: [counter("asked", "Forecasts.", 3)])
    with capture_logs() as logged:
        assert [metric.name for metric in metrics.collect()] == ["b_asked"]
    assert [line["event"] for line in logged] == ["metrics cannot be read"]
