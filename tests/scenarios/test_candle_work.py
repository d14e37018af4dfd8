"""Candles that take long to compute: answered in time, or refused at once and computed later."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scopegate import testing
from scopegate.exchange.feed import Feed
from scopegate.exchange.symbols import DAY, SYMBOLS
from scopegate.gateway.calls import scheduling
from scopegate.gateway.calls.scheduling import Workers
from scopegate.handlers.exchange import candle_work
from scopegate.handlers.exchange.candle_work import CandleWork, Range
from scopegate.testing import World

NOW = 1_767_268_800
"""2026-01-01 12:00 UTC."""


def daily(symbol: str, count: int = 60) -> dict[str, Any]:
    return {
        "ticks_history": symbol,
        "end": "latest",
        "count": count,
        "style": "candles",
        "granularity": DAY,
    }


@pytest.fixture
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A market that no other test has computed candles of: worlds with one seed share a feed."""
    async with testing.world(seed=request.node.name) as made:
        yield made


async def in_the_background(world: World) -> None:
    """Wait until all that was refused is computed."""
    work = world.gateway.service(CandleWork)
    async with asyncio.timeout(60):
        while work._queue:  # noqa: ASYNC110 - nobody but a test waits for that
            await asyncio.sleep(0)


async def test_what_takes_too_long_is_refused_at_once_and_answered_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candle_work, "SHORT", 0.01)
    monkeypatch.setattr(candle_work, "LONGEST", 0.05)
    client = world.connect()
    reply = await client.ask(daily("R_100"))
    assert reply["error"]["code"] == "CandlesNotReady"
    assert "Ask again in 2 seconds." in reply["error"]["message"]
    assert len((await client.ask(daily("R_100", count=5)))["candles"]) == 5
    await in_the_background(world)
    reply = await client.ask(daily("R_100"))
    feed = world.gateway.service(Feed)
    days = [candle["epoch"] for candle in reply["candles"]]
    assert len(days) == 60
    fresh = Feed(feed.seed).candles(SYMBOLS["R_100"], DAY, days[0], int(world.clock.now()))
    assert [candle["high"] for candle in reply["candles"]] == (fresh.highs / 100).tolist()


async def test_the_same_candles_are_queued_once_and_the_queue_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candle_work, "SHORT", 0.01)
    monkeypatch.setattr(candle_work, "LONGEST", 0.05)
    monkeypatch.setattr(candle_work, "MAX_BACKGROUND", 2)
    work = world.gateway.service(CandleWork)
    client = world.connect()
    for name, count in (("R_100", 60), ("R_100", 90), ("R_50", 60), ("R_75", 60)):
        assert await client.refused(daily(name, count)) == "CandlesNotReady"
    assert sorted(symbol.name for symbol, _ in work._queue) == ["R_100", "R_50"]
    await in_the_background(world)
    assert len((await client.ask(daily("R_100", 90)))["candles"]) == 90
    assert await client.refused(daily("R_75")) == "CandlesNotReady"


async def test_what_others_wait_for_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that would be answered alone are not both waited for."""
    monkeypatch.setattr(candle_work, "LONGEST", 1.0)
    first, second = world.connect(), world.connect(address="10.0.0.2")
    count = 400
    replies = await asyncio.gather(
        first.ask(daily("R_100", count)), second.ask(daily("R_50", count))
    )
    assert len(replies[0]["candles"]) == count
    assert replies[1]["error"]["code"] == "CandlesNotReady"
    await in_the_background(world)
    assert len((await second.ask(daily("R_50", count)))["candles"]) == count


async def test_the_cost_of_a_day_is_learnt() -> None:
    moments = iter(range(10_000))
    workers = Workers()
    work = CandleWork(Feed("cost"), workers, clock=lambda: float(next(moments)))
    symbol = SYMBOLS["R_100"]
    wanted = Range(symbol, DAY, NOW - 40 * DAY, NOW)

    async def compute() -> None:
        await work.compute("ada", wanted, work._feed.candles_by_day(*wanted))

    await compute()
    learnt = work._cost
    assert learnt > 0.2  # a second for each day, of which a quarter is believed
    await compute()
    assert work._cost == learnt  # nothing was cold
    workers.close()


async def test_a_full_queue_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candle_work, "SHORT", 0.01)
    monkeypatch.setattr(candle_work, "LONGEST", 0.05)
    monkeypatch.setattr(candle_work, "RETRY", 0.0)
    queue = world.gateway.workers.queue
    queue._max_per_client, queue._free = 0, 0
    client = world.connect()
    assert await client.refused(daily("R_100")) == "CandlesNotReady"
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.gateway.service(CandleWork)._queue
    queue._max_per_client = scheduling.MAX_QUEUED_PER_CLIENT
    queue._free = scheduling.WORKERS
    await in_the_background(world)
    assert len((await client.ask(daily("R_100")))["candles"]) == 60
