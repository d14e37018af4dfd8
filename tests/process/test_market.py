"""One seed and one start are one market: in every process, live and later, at any speed."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scopegate import market_start
from scopegate.exchange.feed import Feed
from scopegate.exchange.symbols import SYMBOLS
from tests.effort import chosen
from tests.served import Served, SocketClient, serving
from tests.stores import run_once

SPEED = 100
START = 1_772_359_200  # 2026-03-01 10:00 UTC
MARKET = ("--seed", "one market", "--start", "2026-03-01T10:00", "--speed", str(SPEED))
HOUR = 3600


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Served]]:
    """Two gateways, each with a database of its own."""
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    with serving(folders[0], *MARKET) as first, serving(folders[1], *MARKET) as second:
        yield first, second


async def ticks(client: SocketClient, symbol: str, first: int, last: int) -> dict[str, Any]:
    reply = await client.ask({"ticks_history": symbol, "start": first, "end": last, "count": 5000})
    history: dict[str, Any] = reply["history"]
    return history


async def candles(client: SocketClient, symbol: str, first: int, last: int) -> list[Any]:
    reply = await client.ask(
        {
            "ticks_history": symbol,
            "style": "candles",
            "granularity": 60,
            "start": first,
            "end": last,
            "count": 5000,
        }
    )
    found: list[Any] = reply["candles"]
    return found


async def has_reached(client: SocketClient, moment: int) -> None:
    """Wait for the market of this client's gateway."""
    reply = await client.ask({"ticks": "1HZ10V", "subscribe": 1})
    while reply["tick"]["epoch"] < moment:
        reply = await client.next()
    await client.ask({"forget_all": "ticks"})


@pytest.mark.lengthy
async def test_two_processes_tell_one_history(pair: tuple[Served, Served]) -> None:
    first, second = pair
    async with first.connected() as one, second.connected() as other:
        for name, symbol in list(SYMBOLS.items())[:: chosen(4, 1)]:
            told = await ticks(one, name, START - HOUR, START)
            assert told == await ticks(other, name, START - HOUR, START)
            # What this third process computes without any gateway, and another seed's is not it.
            computed = Feed("one market").ticks(symbol, START - HOUR, START)
            assert told["times"] == computed.epochs.tolist()
            assert told["prices"] == [symbol.quote(pips) for pips in computed.pips.tolist()]
            elsewhere = Feed("another market").ticks(symbol, START - HOUR, START)
            if symbol.is_open(START - 1):
                assert computed.pips.tolist() != elsewhere.pips.tolist()

            day = await candles(one, name, START - 24 * HOUR, START)
            minutes = range(START - 24 * HOUR, START + 1, 60)
            assert len(day) == sum(map(symbol.is_open, minutes))
            assert day == await candles(other, name, START - 24 * HOUR, START)


async def test_live_ticks_are_those_of_later_history(pair: tuple[Served, Served]) -> None:
    first, second = pair
    live: dict[str, list[tuple[int, float]]] = {"1HZ100V": [], "R_50": []}
    async with first.connected() as one, second.connected() as other:
        for name in live:
            reply = await one.ask({"ticks": name, "subscribe": 1})
            live[name].append((reply["tick"]["epoch"], reply["tick"]["quote"]))
        while min(map(len, live.values())) < 30:
            tick = (await one.next())["tick"]
            live[tick["symbol"]].append((tick["epoch"], tick["quote"]))
        await has_reached(other, max(told[-1][0] for told in live.values()))
        for name, told in live.items():
            for client in (one, other):
                history = await ticks(client, name, told[0][0], told[-1][0])
                assert list(zip(history["times"], history["prices"], strict=True)) == told


@pytest.mark.lengthy
async def test_a_live_candle_ends_as_later_history_has_it(pair: tuple[Served, Served]) -> None:
    first, second = pair
    async with first.connected() as one, second.connected() as other:
        asked = {"ticks_history": "1HZ100V", "style": "candles", "granularity": 60, "count": 1}
        reply = await one.ask({**asked, "end": "latest", "subscribe": 1})
        assert "candles" in reply
        grown: dict[int, dict[str, Any]] = {}
        while len(grown) < 4:  # the first was seen in part, the last is not over
            ohlc = (await one.next())["ohlc"]
            grown[ohlc["open_time"]] = ohlc
        *over, unfinished = list(grown)
        await has_reached(other, unfinished)
        expected = [
            {
                "epoch": opened,
                **{name: float(grown[opened][name]) for name in ("open", "high", "low", "close")},
            }
            for opened in over
        ]
        assert await candles(one, "1HZ100V", over[0], over[-1] + 59) == expected
        assert await candles(other, "1HZ100V", over[0], over[-1] + 59) == expected


async def test_market_time_passes_at_its_speed(pair: tuple[Served, Served]) -> None:
    async with pair[0].connected() as client:

        async def look() -> tuple[float, int, float]:
            """The market's time, between two moments of ours."""
            before = time.monotonic()
            market = (await client.ask({"time": 1}))["time"]
            return before, market, time.monotonic()

        asked, begin, answered = await look()
        assert begin >= START
        await has_reached(client, begin + SPEED)
        asked_again, end, answered_again = await look()
        # The reply is in whole seconds: each of the two may be nearly one behind.
        assert end - begin > (asked_again - answered) * SPEED - 1
        assert end - begin < (answered_again - asked) * SPEED + 1


async def test_what_the_operator_books_stands_at_the_market_s_present(
    pair: tuple[Served, Served],
) -> None:
    """Not ahead of it: a statement up to now would lack it, and the next entry would be older."""
    served = pair[1]
    async with served.connected() as client:
        await client.authorize(served.token)
        await client.ask({"transaction": 1, "subscribe": 1})
        begin = (await client.ask({"time": 1}))["time"]
        await asyncio.to_thread(
            served.command, "account", "credit", "--loginid", served.loginids[0], "--amount", "-5"
        )
        taken = (await client.next())["transaction"]
        end = (await client.ask({"time": 1}))["time"]
        # The command reckons the present from what the gateway has last written of it.
        assert begin - 3 * SPEED <= taken["transaction_time"] <= end
        await client.ask({"topup_virtual": 1})
        added = (await client.next())["transaction"]
        assert taken["transaction_time"] <= added["transaction_time"]


async def test_a_market_with_a_start_stands_still_while_nobody_serves_it(
    pair: tuple[Served, Served],
) -> None:
    """It goes on from where it was: no later than the last client can have seen it."""
    served = pair[0]
    async with served.connected() as client:
        asked = time.monotonic()
        market = (await client.ask({"time": 1}))["time"]
        assert await asyncio.to_thread(served.stop) == 0
        stopped = time.monotonic()
    stands_at = run_once(served.db, market_start.present)
    assert market <= stands_at
    assert stands_at <= market + 1 + (stopped - asked) * SPEED
