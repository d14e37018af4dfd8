"""Objects that stay are not looked at again, and cycles that are left are released."""

import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from scopegate.runtime import garbage
from scopegate.runtime.garbage import GarbageCollector


class Node:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GarbageCollector]:
    monkeypatch.setattr(garbage, "SLACK", 0)
    made = GarbageCollector()
    made.start()
    yield made
    made.stop()


def full_collections() -> int:
    return int(gc.get_stats()[2]["collections"])


async def test_a_hundred_thousand_objects_cause_no_full_collection(
    collector: GarbageCollector,
) -> None:
    before, frozen = full_collections(), gc.get_freeze_count()
    kept = [[number] for number in range(100_000)]
    assert full_collections() == before
    assert gc.get_freeze_count() - frozen > len(kept) * 0.9


async def test_a_cycle_that_was_never_frozen_is_released(collector: GarbageCollector) -> None:
    node = weakref.ref(Node())
    for _ in range(10):
        kept = [[number] for number in range(garbage.YOUNG[0])]
    assert kept
    assert node() is None


@pytest.mark.lengthy
async def test_frozen_cycles_are_released_once_the_objects_have_doubled(
    collector: GarbageCollector,
) -> None:
    used = Node()
    node = weakref.ref(used)
    kept = [[number] for number in range(10_000)]  # freezes the node too
    del used
    assert not collector.check()
    assert node() is not None
    kept += [[number] for number in range(gc.get_freeze_count() + 10_000)]
    assert collector.check()
    assert node() is None
    assert not collector.check()


async def test_everything_is_as_before_afterwards() -> None:
    before = gc.get_threshold()
    made = GarbageCollector()
    made.start()
    made.stop()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
    assert not any(getattr(each, "__self__", None) is made for each in gc.callbacks)
