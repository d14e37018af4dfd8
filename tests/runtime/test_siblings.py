"""Messages between worker processes, and questions that not all of them answer."""

import pickle
from enum import StrEnum
from typing import Any

import pytest
from structlog.testing import capture_logs

from scopegate.runtime import siblings as module
from scopegate.runtime.metrics import Histogram, Metrics, counter
from scopegate.runtime.siblings import Siblings
from tests.runtime.siblings_in_memory import siblings


async def test_a_message_reaches_all_others_or_one() -> None:
    got: list[tuple[int, int, Any]] = []
    workers = siblings(3)
    for each in workers:
        each.on("news", lambda sender, data, own=each.number: got.append((own, sender, data)))
    workers[0].send("news", {"a": (1, 2)})
    assert got == [(1, 0, {"a": (1, 2)}), (2, 0, {"a": (1, 2)})]
    workers[2].send("news", "b", only=0)
    assert got[2:] == [(0, 2, "b")]
    workers[1].send("unknown", None)  # nobody has asked for such messages
    with pytest.raises(ValueError, match="news"):
        workers[0].on("news", lambda *_: None)


async def test_all_others_answer_a_question() -> None:
    workers = siblings(3)
    for each in workers:
        each.on("double", lambda sender, data, own=each.number: data * 2 + own)
    assert sorted(await workers[0].ask("double", 10)) == [21, 22]
    assert await Siblings().ask("double", 10) == []


async def test_who_does_not_answer_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One has ended meanwhile, and one takes too long."""
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.01)
    silent = Siblings(0, 3, lambda *_: None)
    silent.set_present([0, 1, 2])
    with capture_logs() as logged:
        assert await silent.ask("double", 1) == []
    assert [line["siblings"] for line in logged] == [[1, 2]]
    monkeypatch.setattr(module, "ANSWER_SECONDS", 60)

    def leave(receiver: int | None, message: bytes) -> None:
        silent.set_present([0])

    silent._transmit = leave
    assert await silent.ask("double", 1) == []


async def test_a_message_that_fails_is_reported_and_answered() -> None:
    first, second = siblings(2)

    def broken(sender: int, data: Any) -> None:
        raise ZeroDivisionError

    second.on("news", broken)
    with capture_logs() as logged:
        assert await first.ask("news", 1) == []
        assert await first.ask("unknown", 1) == []
    assert [line["event"] for line in logged] == ["a message of a worker failed"]


class Colour(StrEnum):
    RED = "red"


async def test_an_enumeration_is_read_by_no_version_of_python() -> None:
    """Some versions pickle it by its value, and others by calling `getattr`."""
    first, second = siblings(2)
    second.on("news", lambda *_: None)
    with pytest.raises(pickle.UnpicklingError):
        first.send("news", Colour.RED)


async def test_metrics_are_read_as_they_were_sent() -> None:
    metrics = Metrics()
    metrics.add("a", lambda: [Histogram((1,)).metric("b", "B."), counter("c", "C.", 1)])
    first, second = siblings(2)
    second.on("metrics", lambda *_: metrics.collect())
    assert await first.ask("metrics", None) == [metrics.collect()]


async def test_who_joins_and_leaves_is_reported() -> None:
    seen: list[tuple[str, int]] = []
    one = Siblings(1, 3, lambda *_: None)
    one.on_joined(lambda number: seen.append(("joined", number)))
    one.on_left(lambda number: seen.append(("left", number)))
    one.set_present([0, 1, 2])
    one.set_present([1, 2])
    assert seen == [("joined", 0), ("joined", 2), ("left", 0)]
    assert set(one.present) == {2}
    one.set_present([1])
    assert await one.wait_until_alone()
