"""The bus: everybody once, in order, in slices, and nobody for another's sake."""

import asyncio

import structlog

from scopegate.gateway.calls.bus import SLICE, ActiveTopics, Bus
from scopegate.gateway.calls.errors import ApiError


class Ear:
    lists = False

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, int]] = []

    def deliver(self, tail: bytes, position: int) -> None:
        self.heard.append((tail, position))

    def conclude(self, tail: bytes, position: int, *, ends: bool) -> None:
        self.heard.append((b"ends" if ends else b"concluded", position))

    def finish(self, error: ApiError) -> None:
        self.heard.append((error.code.encode(), 0))


async def test_listeners_get_what_is_published_while_they_listen() -> None:
    bus, first, second = Bus(), Ear(), Ear()
    bus.publish("t", {"n": 0}, 1)
    bus.subscribe("t", first)
    assert bus.has_listeners("t")
    bus.publish("t", {"n": 1}, 2)
    bus.subscribe("t", second)
    bus.publish("t", {"n": 2}, 3)
    bus.publish("other", {"n": 3}, 4)
    bus.unsubscribe("t", first)
    bus.unsubscribe("t", first)
    bus.publish("t", {"n": 4}, 5)
    bus.unsubscribe("t", second)
    assert not bus.has_listeners("t")
    assert first.heard == [(b'"n":1}}', 2), (b'"n":2}}', 3)]
    assert second.heard == [(b'"n":2}}', 3), (b'"n":4}}', 5)]


async def test_ends_keep_their_place_behind_what_was_published() -> None:
    bus = Bus()
    crowd = [Ear() for _ in range(SLICE + 1)]
    for ear in crowd:
        bus.subscribe("t", ear)
    bus.publish("t", {"n": 1}, 1)
    bus.conclude("t", {"n": 2}, 2, ends=False)
    bus.conclude("t", {"n": 3}, 3, ends=True)
    bus.finish("t", ApiError("Over", "It is over."))
    idle = asyncio.Event()
    bus.when_idle(idle.set)
    await idle.wait()
    for ear in crowd:
        assert ear.heard == [(b'"n":1}}', 1), (b"concluded", 2), (b"ends", 3), (b"Over", 0)]


async def test_a_crowd_is_served_in_slices_in_order_and_the_loop_gets_turns() -> None:
    bus = Bus()
    crowd = [Ear() for _ in range(SLICE * 2 + 1)]
    for ear in crowd:
        bus.subscribe("t", ear)
    bus.publish("t", {"n": 1}, 1)
    bus.publish("t", {"n": 2}, 2)
    idle: list[int] = []
    bus.when_idle(lambda: idle.append(len(crowd[-1].heard)))
    late = Ear()
    bus.subscribe("t", late)
    assert sum(len(ear.heard) for ear in crowd) == SLICE
    turns = 0
    while len(crowd[-1].heard) < 2:
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 3
    assert idle == [2]
    for ear in crowd:
        assert [position for _, position in ear.heard] == [1, 2]
    assert late.heard == []
    bus.when_idle(lambda: idle.append(0))
    assert idle == [2, 0]


async def test_a_listener_that_fails_harms_nobody() -> None:
    class Broken:
        lists = False

        def deliver(self, tail: bytes, position: int) -> None:
            raise ZeroDivisionError

    bus, ear = Bus(), Ear()
    bus.subscribe("t", Broken())
    bus.subscribe("t", ear)
    with structlog.testing.capture_logs() as logged:
        bus.publish("t", {}, 1)
        bus.publish("t", {}, 2)
    assert [position for _, position in ear.heard] == [1, 2]
    assert [entry["event"] for entry in logged] == ["a listener failed"] * 2


def test_a_topic_is_heard_from_its_first_listener_to_its_last() -> None:
    bus, first, second = Bus(), Ear(), Ear()
    heard: ActiveTopics[int, str] = ActiveTopics(bus, lambda number: f"t.{number}")
    heard.begin(1, "one")
    heard.begin(2, "two")
    assert heard.get(2) == "two"  # its stream is about to be opened
    bus.subscribe("t.1", first)
    assert heard.items() == [(1, "one")]
    assert 2 not in heard  # it was not opened
    heard[2] = "nobody listens"
    assert 2 not in heard
    heard[1] = "changed"
    bus.subscribe("t.1", second)
    bus.unsubscribe("t.1", first)
    assert list(heard) == [1]
    heard.begin(1, "again")  # somebody joins
    assert heard.items() == [(1, "again")]
    bus.unsubscribe("t.1", second)
    assert 1 not in heard
    assert heard.items() == []
    assert not bus._when_left


def test_who_begins_while_the_last_listener_leaves_is_heard() -> None:
    bus, first, second = Bus(), Ear(), Ear()
    heard: ActiveTopics[int, str] = ActiveTopics(bus, str)
    heard.begin(1, "one")
    bus.subscribe("1", first)
    assert list(heard) == [1]
    heard.begin(1, "again")
    bus.unsubscribe("1", first)
    bus.subscribe("1", second)
    assert heard.items() == [(1, "again")]
    bus.unsubscribe("1", second)
    assert 1 not in heard


def test_what_ends_while_it_is_told_is_no_longer_heard() -> None:
    bus, ear = Bus(), Ear()
    heard: ActiveTopics[int, int] = ActiveTopics(bus, str)
    for number in (1, 2):
        heard.begin(number, number)
        bus.subscribe(str(number), ear)
    for number, value in heard.items():
        bus.unsubscribe(str(3 - number), ear)
        heard[number] = value + 1
    assert heard.items() == []
