"""Streams: opened once, told in order, ended by name, by kind and by leaving."""

import asyncio

import structlog

from scopegate import testing
from scopegate.exchange.heartbeat import Heartbeat
from scopegate.gateway.calls.bus import SLICE, Bus
from scopegate.runtime.clock import HandClock
from scopegate.testing import NOON, World
from tests.conftest import Connected


async def test_the_same_stream_twice_is_refused(connected: Connected) -> None:
    client = await connected.connect()
    await client.ask({"ticks": "R_50", "subscribe": 1})
    reply = await client.ask({"ticks": "R_50", "subscribe": 1})
    assert reply["error"] == {
        "code": "AlreadySubscribed",
        "message": "You are already subscribed to R_50.",
    }
    # A history of the same symbol is another stream; so is one with other arguments.
    history = {"ticks_history": "R_50", "end": "latest", "count": 1, "subscribe": 1}
    assert "error" not in await client.ask(history)
    assert await client.refused({**history, "passthrough": {"a": 1}}) == "AlreadySubscribed"
    assert "error" not in await client.ask({**history, "count": 2})
    assert "error" not in await client.ask({"ticks": "R_50"})


async def test_several_symbols_answer_one_by_one(connected: Connected) -> None:
    client = await connected.connect()
    await client.ask({"ticks": "R_10", "subscribe": 1})
    first = await client.ask({"ticks": ["R_10", "R_25", "NONE", "R_25", "R_50"], "subscribe": 1})
    assert first["error"]["code"] == "AlreadySubscribed"
    replies = [await client.next() for _ in range(3)]
    assert [reply.get("tick", {}).get("symbol") for reply in replies] == ["R_25", None, "R_50"]
    assert replies[1]["error"]["message"] == "Symbol NONE is invalid."
    ids = {reply["subscription"]["id"] for reply in replies if "subscription" in reply}
    assert len(ids) == 2


async def test_forget_all_ends_kinds(connected: Connected) -> None:
    client = await connected.connect()
    ids = {}
    for name, request in {
        "ticks": {"ticks": "R_50", "subscribe": 1},
        "history": {"ticks_history": "R_50", "end": "latest", "count": 1, "subscribe": 1},
        "candles": {
            "ticks_history": "R_50",
            "end": "latest",
            "style": "candles",
            "count": 2,
            "subscribe": 1,
        },
        "status": {"website_status": 1, "subscribe": 1},
    }.items():
        ids[name] = (await client.ask(request))["subscription"]["id"]
    reply = await client.ask({"forget_all": "ticks"})
    assert reply["forget_all"] == [ids["ticks"], ids["history"]]
    connected.world.clock.advance(2)
    assert (await client.next())["msg_type"] == "ohlc"
    reply = await client.ask({"forget_all": ["candles", "website_status", "proposal"]})
    assert reply["forget_all"] == [ids["candles"], ids["status"]]
    connected.world.clock.advance(4)
    assert (await client.ask({"forget_all": "balance"}))["forget_all"] == []
    assert client.received == []
    # A field at fault is named as it was sent.
    for value, named in (
        ("everything", "forget_all"),
        (None, "forget_all"),
        (["ticks", "everything"], "forget_all.1"),
        ([], "forget_all"),
    ):
        refused = (await client.ask({"forget_all": value}))["error"]
        assert refused["code"] == "InputValidationFailed"
        assert refused["message"] == f"Input validation failed: {named}"
        assert refused["details"].keys() == {named}
    for field, value in (("forget", "x"), ("ticks", "R 100")):
        refused = (await client.ask({field: value}))["error"]
        assert refused["message"] == f"Input validation failed: {field}"


async def test_a_growing_candle_agrees_with_history(connected: Connected) -> None:
    client = await connected.connect()
    request = {"ticks_history": "1HZ50V", "style": "candles", "granularity": 60, "end": "latest"}
    first = await client.ask({**request, "count": 3, "subscribe": 1})
    assert first["msg_type"] == "candles"
    connected.world.clock.advance(125)
    told = [(await client.next())["ohlc"] for _ in range(125)]
    assert [ohlc["epoch"] for ohlc in told] == list(range(1767268801, 1767268926))
    reply = await client.ask({**request, "count": 3})
    last = {ohlc["open_time"]: ohlc for ohlc in told}
    for candle in reply["candles"]:
        ohlc = last[candle["epoch"]]
        assert {key: float(ohlc[key]) for key in ("open", "high", "low", "close")} == {
            key: candle[key] for key in ("open", "high", "low", "close")
        }


async def test_no_tick_is_lost_between_history_and_stream(world: World) -> None:
    """However the first reply and the ticks interleave, the two together have no gap."""
    client = world.connect()
    request = {"ticks_history": "1HZ10V", "end": "latest", "count": 5, "subscribe": 1}
    for offset in (0.0, 0.25, 0.999):
        world.clock.advance(1 + offset - world.clock.now() % 1)
        reply = await client.ask(request)
        epochs = list(reply["history"]["times"])
        world.clock.advance(0.001)
        world.clock.advance(5)
        epochs += [message["tick"]["epoch"] for message in client.received]
        assert epochs == list(range(epochs[0], epochs[0] + len(epochs)))
        assert epochs[-1] == int(world.clock.now())
        await client.ask({"forget_all": "ticks"})


async def test_a_long_history_with_stream_has_no_gap_either(world: World) -> None:
    """Candles over more than five days are reckoned by a worker while the market goes on."""
    client = world.connect()
    request = {
        "ticks_history": "R_75",
        "end": "latest",
        "style": "candles",
        "granularity": 3600,
        "count": 300,
        "subscribe": 1,
    }
    asked = asyncio.ensure_future(client.ask(request))
    await asyncio.sleep(0)  # the request is with the worker
    world.clock.advance(3700)
    reply = await asked
    now = int(world.clock.now())
    assert reply["candles"][-1]["epoch"] == now - now % 3600
    again = await client.ask({**request, "subscribe": 0})
    assert again["candles"][-1] == reply["candles"][-1]
    assert [c["epoch"] for c in reply["candles"]] == sorted({c["epoch"] for c in reply["candles"]})


async def test_a_crowd_is_served_in_slices_and_in_order(world: World) -> None:
    crowd = [world.connect() for _ in range(SLICE * 3 + 5)]
    for client in crowd:
        await client.ask({"ticks": "1HZ100V", "subscribe": 1})
    world.clock.advance(3)
    late = world.connect()
    first = await late.ask({"ticks": "1HZ100V", "subscribe": 1})
    for client in crowd:
        epochs = [(await client.next())["tick"]["epoch"] for _ in range(3)]
        assert epochs == [1767268801, 1767268802, 1767268803]
    world.clock.advance(1)
    assert (await late.next())["tick"]["epoch"] == first["tick"]["epoch"] + 1


async def test_leaving_ends_every_stream(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token("read"))
    await client.ask({"ticks": "R_50", "subscribe": 1})
    await client.ask({"balance": 1, "subscribe": 1})
    session = client._connection.session
    client.leave()
    assert session.subscriptions == {}
    assert session.grants == {}
    assert world.gateway.access._live == {}
    world.clock.advance(4)
    assert client.received == []


async def test_streams_are_bounded() -> None:
    async with testing.world(streams=3) as world:
        client = world.connect()
        symbols = ["R_10", "R_25", "R_50", "R_75"]
        codes = [
            (await client.ask({"ticks": symbol, "subscribe": 1})).get("error", {}).get("code")
            for symbol in symbols
        ]
        assert codes == [None] * 3 + ["RateLimit"]
        await client.ask({"forget_all": "ticks"})
        assert "error" not in await client.ask({"ticks": "R_75", "subscribe": 1})


def test_a_step_that_fails_does_not_stop_the_market() -> None:
    clock, seen = HandClock(NOON), list[int]()

    def fails(epoch: int) -> None:
        raise ZeroDivisionError

    heartbeat = Heartbeat(clock, (fails, seen.append), Bus().when_idle)
    heartbeat.start(after=int(NOON))
    with structlog.testing.capture_logs() as logged:
        clock.advance(3)
    assert seen == [NOON + 1, NOON + 2, NOON + 3]
    assert len(logged) == 3
    heartbeat.stop()
    clock.advance(3)
    assert len(seen) == 3


def test_a_step_may_stop_the_market() -> None:
    clock, seen = HandClock(NOON), list[int]()

    def stops(epoch: int) -> None:
        seen.append(epoch)
        heartbeat.stop()

    heartbeat = Heartbeat(clock, (stops,), Bus().when_idle)
    heartbeat.start(after=int(NOON))
    clock.advance(3)
    assert seen == [NOON + 1]
    assert clock._waiting == []


async def test_ticks_stream_unless_that_is_refused(connected: Connected) -> None:
    client = await connected.connect()
    once = await client.ask({"ticks": "1HZ50V", "subscribe": 0})
    assert "subscription" not in once
    first = await client.ask({"ticks": "1HZ10V", "req_id": 7, "passthrough": {"a": 1}})
    assert first["tick"]["id"] == first["subscription"]["id"]
    connected.world.clock.advance(2)
    told = [await client.next() for _ in range(2)]
    head = {name: first[name] for name in ("echo_req", "req_id", "passthrough", "subscription")}
    assert [message["tick"]["epoch"] - first["tick"]["epoch"] for message in told] == [1, 2]
    assert all(message.items() >= head.items() for message in told)
    assert (await client.ask({"forget": first["subscription"]["id"]}))["forget"] == 1
    connected.world.clock.advance(2)
    await client.ask({"ping": 1})
    assert client.received == []


async def test_ticks_requested_again_come_under_the_same_stream(connected: Connected) -> None:
    client = await connected.connect()
    first = await client.ask({"ticks": "1HZ10V", "req_id": 7})
    connected.world.clock.advance(1)
    assert (await client.next())["req_id"] == 7
    again = await client.ask({"ticks": "1HZ10V", "req_id": 8})
    assert again["req_id"] == 8
    assert again["subscription"] == first["subscription"]
    assert again["tick"]["id"] == first["tick"]["id"]
    assert again["tick"]["epoch"] == first["tick"]["epoch"] + 1
    connected.world.clock.advance(1)
    assert (await client.next())["req_id"] == 7
    await client.ask({"ping": 1})
    assert client.received == []  # there is one stream, told once


async def test_a_subscription_takes_over_the_stream_of_plain_ticks(
    connected: Connected,
) -> None:
    client = await connected.connect()
    first = await client.ask({"ticks": "1HZ10V", "req_id": 7, "passthrough": {"a": 1}})
    asked = {"ticks": "1HZ10V", "subscribe": 1, "req_id": 8}
    taken = await client.ask(asked)
    assert taken["subscription"] == first["subscription"]
    connected.world.clock.advance(1)
    event = await client.next()
    assert (event["req_id"], event["echo_req"]) == (8, asked)
    assert "passthrough" not in event
    assert event["subscription"] == first["subscription"]
    assert await client.refused({**asked, "req_id": 9}) == "AlreadySubscribed"
    # Plain ticks are still answered, and leave the stream with who subscribed to it.
    plain = await client.ask({"ticks": "1HZ10V", "req_id": 10})
    assert plain["subscription"] == first["subscription"]
    connected.world.clock.advance(1)
    assert (await client.next())["req_id"] == 8
    await client.ask({"ping": 1})
    assert client.received == []


async def test_each_symbol_of_a_list_has_its_own_plain_stream(connected: Connected) -> None:
    client = await connected.connect()
    await client.ask({"ticks": "1HZ10V", "subscribe": 1})
    one = await client.ask({"ticks": ["1HZ10V", "1HZ25V"]})
    two = await client.next()
    taken = await client.ask({"ticks": ["1HZ25V", "1HZ10V"], "subscribe": 1})
    assert taken["subscription"] == two["subscription"] != one["subscription"]
    assert (await client.next())["error"]["code"] == "AlreadySubscribed"
    reply = await client.ask({"forget_all": "ticks"})
    assert reply["forget_all"] == [one["subscription"]["id"], two["subscription"]["id"]]


async def test_plain_ticks_are_answered_without_a_stream_at_the_limit() -> None:
    async with testing.world(streams=1) as world:
        client = world.connect()
        await client.ask({"ticks": "1HZ10V"})
        beyond = await client.ask({"ticks": "1HZ25V"})
        assert beyond["tick"]["symbol"] == "1HZ25V"
        assert "subscription" not in beyond
        assert "id" not in beyond["tick"]
        assert await client.refused({"ticks": "1HZ25V", "subscribe": 1}) == "RateLimit"
        world.clock.advance(1)
        assert [message["tick"]["symbol"] for message in client.received] == ["1HZ10V"]
        # What is open is taken over and answered again; nothing is added to it.
        for _ in range(50):
            assert "subscription" in await client.ask({"ticks": "1HZ10V"})
        assert "subscription" in await client.ask({"ticks": "1HZ10V", "subscribe": 1})
        assert len(client._connection.session.subscriptions) == 1


async def test_only_ticks_stream_by_themselves(connected: Connected) -> None:
    client = await connected.connect()
    proposal = {
        "proposal": 1,
        "amount": 10,
        "basis": "stake",
        "contract_type": "CALL",
        "currency": "USD",
        "duration": 5,
        "duration_unit": "m",
        "symbol": "1HZ100V",
    }
    for asked in (
        {"ticks_history": "1HZ10V", "end": "latest", "count": 1},
        {"ticks_batch": 1, "market": "synthetic_index"},
        proposal,
        {"website_status": 1},
    ):
        assert "subscription" not in await client.ask(asked)
    connected.world.clock.advance(2)
    await client.ask({"ping": 1})
    assert client.received == []


async def test_a_pending_tick_is_not_sent_twice_after_a_takeover(
    world: World,
) -> None:
    """A crowd makes ticks late; the reply that takes a stream over has told the latest already."""
    crowd = [world.connect() for _ in range(SLICE + 1)]
    for client in crowd:
        await client.ask({"ticks": "1HZ100V"})
    world.clock.advance(1)
    late = crowd[-1]
    first = await late.ask({"ticks": "1HZ100V", "subscribe": 1, "req_id": 99})
    await world.caught_up()
    world.clock.advance(1)
    await world.caught_up()
    epochs = [message["tick"]["epoch"] for message in late.received if message["req_id"] == 99]
    assert epochs == [first["tick"]["epoch"] + 1]
