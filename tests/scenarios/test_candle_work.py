"""Candles that take long to compute: answered in time, or refused at once and computed later."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from scopegate import testing
from scopegate.exchange.feed import Feed
from scopegate.exchange.symbols import DAY, SYMBOLS
from scopegate.gateway.calls import scheduling
from scopegate.gateway.calls.scheduling import Workers
from scopegate.gateway.calls.session import Session
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


@pytest.fixture
def paused(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Nothing is computed in the background before this is called."""
    monkeypatch.setattr(candle_work, "RETRY", 0.0)
    queue = world.gateway.workers.queue
    queue._max_per_client, queue._free = 0, 0

    def go_on() -> None:
        queue._max_per_client = scheduling.MAX_QUEUED_PER_CLIENT
        queue._free = scheduling.WORKERS

    yield go_on
    go_on()


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
    monkeypatch.setattr(candle_work, "MAX_WAIT", 0.05)
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


async def test_a_clients_queue_is_bounded_and_holds_a_range_once(
    world: World, paused: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candle_work, "SHORT", 0.01)
    monkeypatch.setattr(candle_work, "MAX_WAIT", 0.05)
    monkeypatch.setattr(candle_work, "MAX_RANGES", 2)
    monkeypatch.setattr(candle_work, "MAX_RANGES_OF_ALL", 3)
    work = world.gateway.service(CandleWork)
    first, second = world.connect(), world.connect(address="10.0.0.2")
    for name, count in (("R_100", 60), ("R_100", 90), ("R_50", 60)):
        assert await first.refused(daily(name, count)) == "CandlesNotReady"
    assert await first.refused(daily("R_75")) == "RateLimit"
    assert await second.refused(daily("R_75")) == "CandlesNotReady"
    assert await second.refused(daily("R_25")) == "RateLimit"
    mine, _ = work._queue.values()
    assert sorted(symbol.name for symbol, _ in mine) == ["R_100", "R_50"]
    [queued] = [each for (symbol, _), each in mine.items() if symbol.name == "R_100"]
    assert queued.seconds == pytest.approx(90 * candle_work.USUAL_COST, rel=0.05)
    paused()
    await in_the_background(world)
    assert len((await first.ask(daily("R_100", 90)))["candles"]) == 90


async def test_the_background_serves_clients_in_turn(
    world: World, paused: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One who asks for much makes another wait for as much as that other asks for itself."""
    monkeypatch.setattr(candle_work, "SHORT", 0.01)
    monkeypatch.setattr(candle_work, "MAX_WAIT", 0.05)
    greedy, modest = world.connect(), world.connect(address="10.0.0.2")
    for name in ("R_100", "R_75", "R_50", "R_25", "R_10"):
        await greedy.ask(daily(name, 400))
    reply = await modest.ask(daily("1HZ100V", 100))
    assert "Ask again in 2 seconds." in reply["error"]["message"]
    work = world.gateway.service(CandleWork)
    paused()
    async with asyncio.timeout(60):
        while len(work._queue) == 2:  # noqa: ASYNC110 - nobody but a test waits for that
            await asyncio.sleep(0)
    [left] = work._queue.values()
    assert len(left) >= 3  # of the greedy one's
    assert len((await modest.ask(daily("1HZ100V", 100)))["candles"]) == 100


async def test_narrow_candles_are_never_refused_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not kept, so they are computed when nothing else is, whatever they cost."""
    monkeypatch.setattr(candle_work, "USUAL_COST", 1.0)
    half_hours = {**daily("R_100", 500), "granularity": 1_800}
    first, second = world.connect(), world.connect(address="10.0.0.2")
    replies = await asyncio.gather(first.ask(half_hours), second.ask(half_hours))
    assert len(replies[0]["candles"]) == 500
    assert replies[1]["error"]["code"] == "CandlesNotReady"
    assert world.gateway.service(CandleWork)._queue == {}
    assert len((await second.ask(half_hours))["candles"]) == 500


async def test_what_others_wait_for_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that would be answered alone are not both waited for."""
    monkeypatch.setattr(candle_work, "MAX_WAIT", 1.0)
    first, second = world.connect(), world.connect(address="10.0.0.2")
    count = 400
    replies = await asyncio.gather(
        first.ask(daily("R_100", count)), second.ask(daily("R_50", count))
    )
    assert len(replies[0]["candles"]) == count
    assert replies[1]["error"]["code"] == "CandlesNotReady"
    await in_the_background(world)
    assert len((await second.ask(daily("R_50", count)))["candles"]) == count


async def test_the_cost_of_a_day_is_learnt_and_a_pause_is_not_believed() -> None:
    moments = iter(range(0, 1_000_000, 100))
    workers = Workers()
    work = CandleWork(Feed("cost"), workers, clock=lambda: float(next(moments)))
    symbol = SYMBOLS["R_100"]
    wanted, session = Range(symbol, DAY, NOW - 40 * DAY, NOW), Session(lambda _text: None)

    async def compute() -> None:
        await work.compute(session, wanted, work._feed.candles_by_day(*wanted))

    await compute()
    learnt = work._costs[symbol]
    assert candle_work.USUAL_COST < learnt < candle_work.MAX_COST  # though each took 100 seconds
    await compute()
    assert work._costs == {symbol: learnt}  # nothing was cold
    assert work._promised == 0
    workers.close()


async def test_the_cost_is_learnt_of_work_that_is_given_up() -> None:
    moments = iter(range(1_000_000))
    work = CandleWork(Feed("given up"), Workers(), clock=lambda: float(next(moments)))
    wanted = Range(SYMBOLS["R_100"], DAY, NOW - 40 * DAY, NOW)
    steps = work._timed(wanted, work._feed.candles_by_day(*wanted))
    for _ in range(20):
        next(steps)
    steps.close()
    assert work._costs[SYMBOLS["R_100"]] > candle_work.USUAL_COST


async def test_nothing_is_computed_for_those_who_have_left(
    world: World, paused: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candle_work, "SHORT", 0.01)
    monkeypatch.setattr(candle_work, "MAX_WAIT", 0.05)
    work = world.gateway.service(CandleWork)
    leaving, staying = world.connect(), world.connect()
    for client, name in ((leaving, "R_100"), (leaving, "R_50"), (staying, "R_50")):
        assert await client.refused(daily(name)) == "CandlesNotReady"
    leaving.leave()
    [ranges] = work._queue.values()
    assert [symbol.name for symbol, _ in ranges] == ["R_50"]
    assert len(work._asked) == 1
    paused()
    await in_the_background(world)
    staying.leave()
    assert work._asked == {}


async def test_what_is_being_computed_ends_with_the_last_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, feed = world.connect(), world.gateway.service(Feed)
    assert await client.refused(daily("R_100", 5_000)) == "CandlesNotReady"
    symbol = SYMBOLS["R_100"]
    async with asyncio.timeout(60):
        while feed.days_built(symbol) < 5:  # noqa: ASYNC110 - nobody but a test waits for that
            await asyncio.sleep(0)
    client.leave()
    async with asyncio.timeout(60):
        while world.gateway.workers.queue._holding:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    assert feed.days_built(symbol) < 2_000  # of 2,192


async def test_a_full_queue_is_tried_again(
    world: World, paused: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candle_work, "SHORT", 0.01)
    monkeypatch.setattr(candle_work, "MAX_WAIT", 0.05)
    client = world.connect()
    assert await client.refused(daily("R_100")) == "CandlesNotReady"
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.gateway.service(CandleWork)._queue
    paused()
    await in_the_background(world)
    assert len((await client.ask(daily("R_100")))["candles"]) == 60
