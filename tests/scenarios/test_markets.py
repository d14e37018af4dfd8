"""Markets that open and close, as clients see them; ticks of a whole market; announcements."""

from typing import Any

import pytest

from scopegate import testing
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.eligibility import is_offered
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS
from scopegate.testing import World
from tests.conftest import Connected

MONDAY = 1_767_571_200  # 2026-01-05 00:00 UTC
CLOSE = MONDAY + 4 * DAY + 75_300  # Friday 20:55
CLOSED = {"code": "MarketIsClosed", "message": "This market is presently closed."}
EURO = {"symbol": "frxEURUSD", "amount": 10, "basis": "stake", "currency": "USD"}
RISE = EURO | {"contract_type": "CALL", "duration": 5, "duration_unit": "m"}


@pytest.mark.lengthy
async def test_lists_agree_on_what_is_open() -> None:
    """Whatever the moment: flags, times of the day and the refusal to price say the same."""
    for start in (MONDAY + 3_600, MONDAY + 50_000, CLOSE):
        async with testing.world(start=start) as world:
            client = world.connect()
            listed = (await client.ask({"active_symbols": "full"}))["active_symbols"]
            assert [each["symbol"] for each in listed] == list(SYMBOLS)
            times = (await client.ask({"trading_times": "today"}))["trading_times"]["markets"]
            by_symbol = {
                each["symbol"]: each["times"]
                for market in times
                for submarket in market["submarkets"]
                for each in submarket["symbols"]
            }
            for each in listed:
                name = each["symbol"]
                is_open = bool(each["exchange_is_open"])
                now = f"{start % DAY // 3600:02}:{start // 60 % 60:02}:{start % 60:02}"
                opens, closes = by_symbol[name]["open"][0], by_symbol[name]["close"][0]
                ends = "24" if closes == "23:59:59" else closes
                assert is_open == (opens != "--" and opens <= now < ends)
                assert is_open == SYMBOLS[name].is_open(start)
                answer = await client.ask({"ticks": name, "subscribe": 0})
                assert answer.get("error", CLOSED) == CLOSED
                assert is_open == ("tick" in answer)
                assert each["spot"] > 0
                assert int(each["spot_time"]) <= start
                offers = await client.ask({"contracts_for": name, "currency": "USD"})
                body = offers["contracts_for"]
                assert body["close"] >= start
                assert is_open == (body["open"] <= start)


async def test_times_of_a_day() -> None:
    async with testing.world() as world:
        client = world.connect()
        friday = await client.ask({"trading_times": "2026-01-09"})
        saturday = await client.ask({"trading_times": "2026-01-10"})

        def of(reply: dict[str, Any], name: str) -> dict[str, Any]:
            return next(
                each
                for market in reply["trading_times"]["markets"]
                for submarket in market["submarkets"]
                for each in submarket["symbols"]
                if each["symbol"] == name
            )

        euro = of(friday, "frxEURUSD")
        assert euro["name"] == "EUR/USD (simulated)"
        assert euro["times"] == {
            "open": ["00:00:00"],
            "close": ["20:55:00"],
            "settlement": "20:55:00",
        }
        assert euro["trading_days"] == ["Mon", "Tue", "Wed", "Thu", "Fri"]
        assert euro["events"] == [{"dates": "Fridays", "descrip": "Closes early (at 20:55)"}]
        closed = {"open": ["--"], "close": ["--"], "settlement": "--"}
        assert of(saturday, "frxEURUSD")["times"] == closed
        assert of(saturday, "OTC_N225")["times"] == closed
        always = {"open": ["00:00:00"], "close": ["23:59:59"], "settlement": "23:59:59"}
        for name in ("R_50", "cryBTCUSD"):
            assert of(saturday, name)["times"] == always
            assert of(saturday, name)["trading_days"][0] == "Sun"
            assert of(saturday, name)["events"] == []


async def test_what_is_named_after_a_real_market_says_that_it_is_simulated() -> None:
    async with testing.world() as world:
        client = world.connect()
        listed = (await client.ask({"active_symbols": "brief"}))["active_symbols"]
        for each in listed:
            real = each["market"] != "synthetic_index"
            assert ("(simulated)" in each["display_name"]) == real


async def test_a_stream_falls_silent_at_the_close_and_goes_on_at_the_opening() -> None:
    async with testing.world(start=CLOSE - 3) as world:
        client = world.connect()
        first = await client.ask({"ticks": "frxEURUSD", "subscribe": 1})
        assert first["tick"]["epoch"] == CLOSE - 4
        await client.ask({"ticks": "cryBTCUSD", "subscribe": 1})
        world.clock.advance(5)
        told = [(await client.next())["tick"] for _ in range(4)]
        assert [(tick["symbol"], tick["epoch"] - CLOSE) for tick in told] == [
            ("frxEURUSD", -2),
            ("cryBTCUSD", -2),
            ("cryBTCUSD", 0),
            ("cryBTCUSD", 2),
        ]
        await client.ask({"forget_all": "ticks"})
        refused = await client.ask({"ticks": "frxEURUSD", "subscribe": 1})
        assert refused["error"] == CLOSED
    async with testing.world(start=MONDAY + 48_600 - 2) as world:
        client = world.connect()
        assert (await client.ask({"ticks": "OTC_SPC", "subscribe": 1}))["error"] == CLOSED
        world.clock.advance(2)
        assert (await client.ask({"ticks": "OTC_SPC", "subscribe": 1}))["tick"]["epoch"] == (
            MONDAY + 48_600
        )


async def test_history_of_a_closed_market_is_told_and_not_streamed() -> None:
    async with testing.world(start=CLOSE + DAY) as world:
        client = world.connect()
        ask = {"ticks_history": "frxEURUSD", "end": "latest", "count": 3}
        history = (await client.ask(ask))["history"]
        assert history["times"] == [CLOSE - 6, CLOSE - 4, CLOSE - 2]
        hourly = await client.ask(ask | {"style": "candles", "granularity": 3600})
        assert [candle["epoch"] for candle in hourly["candles"]] == [
            CLOSE - 3_300 - 7_200,
            CLOSE - 3_300 - 3_600,
            CLOSE - 3_300,
        ]
        for style in ("ticks", "candles"):
            streamed = await client.ask(ask | {"style": style, "subscribe": 1})
            assert streamed["error"] == CLOSED
        span = {"ticks_history": "frxEURUSD", "end": CLOSE + 3_600, "start": CLOSE + 3_590}
        assert (await client.ask(span))["history"] == {"prices": [], "times": []}
        moved = (await client.ask(span | {"adjust_start_time": 1}))["history"]
        assert moved["times"] == list(range(CLOSE - 12, CLOSE, 2))


@pytest.mark.parametrize("name", ["frxEURUSD", "OTC_SPC", "stpRNG", "RDBEAR", "BOOM500", "JD10"])
async def test_what_is_asked_of_a_time_before_history_is_empty(world: World, name: str) -> None:
    client = world.connect()
    for end in (1, EARLIEST - 1):
        for more in ({}, {"start": 1}, {"count": 5}, {"start": 1, "adjust_start_time": 1}):
            ask = {"ticks_history": name, "end": end} | more
            assert (await client.ask(ask))["history"] == {"prices": [], "times": []}
            assert (await client.ask(ask | {"style": "candles"}))["candles"] == []
    at_first = await client.ask({"ticks_history": name, "end": EARLIEST + 2, "count": 9})
    assert all(time >= EARLIEST for time in at_first["history"]["times"])


async def test_a_market_stands_at_its_level_before_it_first_opens() -> None:
    async with testing.world(start=EARLIEST) as world:
        client = world.connect()
        listed = (await client.ask({"active_symbols": "full"}))["active_symbols"]
        for each in listed:
            symbol = SYMBOLS[each["symbol"]]
            assert each["spot"] == symbol.quote(symbol.level)
            assert each["spot_time"] == str(EARLIEST)


async def test_a_price_that_streams_ends_with_the_market() -> None:
    async with testing.world(start=CLOSE - 602) as world:
        client = world.connect()
        await client.authorize(await world.token())
        first = await client.ask({"proposal": 1, "subscribe": 1, **RISE})
        assert "error" not in first
        world.clock.advance(602)
        while "error" not in (told := await client.next()):
            pass
        assert told["error"]["code"] == "OfferingsValidationError"  # it would end after the close
        multiplier = EURO | {"contract_type": "MULTUP", "multiplier": 0}
        listed = await client.ask({"contracts_for": "frxEURUSD", "currency": "USD"})
        multiplier["multiplier"] = next(
            row["multiplier_range"][0]
            for row in listed["contracts_for"]["available"]
            if row["contract_type"] == "MULTUP"
        )
        closed = await client.ask({"proposal": 1, **multiplier})
        assert closed["error"] == CLOSED


async def test_a_contract_over_the_weekend_is_not_bought_back_meanwhile() -> None:
    async with testing.world(start=CLOSE - 60) as world:
        client = world.connect()
        await client.authorize(await world.token())
        parameters = EURO | {"contract_type": "CALL", "date_expiry": MONDAY + 7 * DAY + 60}
        bought = (await client.ask({"buy": 1, "price": 10, "parameters": parameters}))["buy"]
        number = bought["contract_id"]
        world.clock.advance(10)
        sold = {"sell": number, "price": 0}
        world.clock.advance(50)
        assert (await client.ask(sold))["error"] == CLOSED
        asked = {"proposal_open_contract": 1, "contract_id": number}
        standing = (await client.ask(asked))["proposal_open_contract"]
        assert standing["is_valid_to_sell"] == 0
        assert standing["current_spot_time"] == CLOSE - 2


# Lists by symbol.


async def test_every_list_offers_the_same_for_a_symbol(world: World) -> None:
    client = world.connect()
    index = {row[0]: row[2] for row in (await client.ask({"asset_index": 1}))["asset_index"]}
    durations = {
        symbol["name"]: {each["trade_type"]["name"] for each in group["trade_durations"]}
        for market in (await client.ask({"trading_durations": 1}))["trading_durations"]
        for group in market["data"]
        for symbol in group["symbol"]
    }
    cancelled = {"R_50", "frxEURUSD", "cryBTCUSD", "cryXRPUSD", "WLDUSD", "WLDXAU"}
    brief = {"BOOM150N", "BOOM500", "CRASH900", "RB100", "RB200", "DSI10", "RDBEAR"}
    others = {"JD100", "stpRNG", "stpRNG2", "stpRNG5"}
    for name in sorted(cancelled | brief | others):
        reply = await client.ask({"contracts_for": name, "currency": "USD"})
        rows = reply["contracts_for"]["available"]
        types = {row["contract_type"] for row in rows}
        assert types == {n for n, kind in TYPES.items() if is_offered(kind, SYMBOLS[name])}
        assert {row[0] for row in index[name]} == {row["contract_category"] for row in rows}
        assert durations[name] == {
            row["contract_type"] for row in rows if row["expiry_type"] != "no_expiry"
        }
        assert ("cancellation_range" in str(rows)) == (name in cancelled)
        assert ("daily" in {row["expiry_type"] for row in rows}) == (name not in brief)


NEWER = {
    "stpRNG2": ("Step Index 200", "step_index", "Step Indices"),
    "stpRNG3": ("Step Index 300", "step_index", "Step Indices"),
    "stpRNG4": ("Step Index 400", "step_index", "Step Indices"),
    "stpRNG5": ("Step Index 500", "step_index", "Step Indices"),
    "BOOM150N": ("Boom 150 Index", "crash_index", "Crash/Boom Indices"),
    "BOOM600": ("Boom 600 Index", "crash_index", "Crash/Boom Indices"),
    "BOOM900": ("Boom 900 Index", "crash_index", "Crash/Boom Indices"),
    "CRASH150N": ("Crash 150 Index", "crash_index", "Crash/Boom Indices"),
    "CRASH600": ("Crash 600 Index", "crash_index", "Crash/Boom Indices"),
    "CRASH900": ("Crash 900 Index", "crash_index", "Crash/Boom Indices"),
    "RB100": ("Range Break 100 Index", "range_index", "Range Break Indices"),
    "RB200": ("Range Break 200 Index", "range_index", "Range Break Indices"),
    "DSI10": ("Drift Switch Index 10", "drift_switch_index", "Drift Switch Indices"),
    "DSI20": ("Drift Switch Index 20", "drift_switch_index", "Drift Switch Indices"),
    "WLDAUD": ("AUD Basket", "forex_basket", "Forex Basket"),
    "WLDEUR": ("EUR Basket", "forex_basket", "Forex Basket"),
    "WLDGBP": ("GBP Basket", "forex_basket", "Forex Basket"),
    "WLDUSD": ("USD Basket", "forex_basket", "Forex Basket"),
    "WLDXAU": ("Gold Basket", "commodity_basket", "Commodities Basket"),
    "cryXRPUSD": ("XRP/USD (simulated)", "non_stable_coin", "Cryptocurrencies"),
}


async def test_newer_symbols_are_in_every_list_and_have_prices(connected: Connected) -> None:
    client = await connected.connect()
    listed = (await client.ask({"active_symbols": "full"}))["active_symbols"]
    found = {each["symbol"]: each for each in listed}
    index = {row[0]: row[1] for row in (await client.ask({"asset_index": 1}))["asset_index"]}
    times = {
        each["symbol"]: each
        for market in (await client.ask({"trading_times": "today"}))["trading_times"]["markets"]
        for submarket in market["submarkets"]
        for each in submarket["symbols"]
    }
    for name, (display, submarket, submarket_display) in NEWER.items():
        each = found[name]
        assert each["display_name"] == index[name] == times[name]["name"] == display
        assert each["submarket"] == submarket
        assert each["submarket_display_name"] == submarket_display
        ticks = await client.ask({"ticks_history": name, "end": "latest", "count": 10})
        assert ticks["history"]["prices"][-1] == each["spot"]
        assert len(ticks["history"]["prices"]) == 10
        contracts = await client.ask({"contracts_for": name, "currency": "USD"})
        assert contracts["contracts_for"]["hit_count"] > 0


async def test_symbols_can_be_asked_for_by_what_is_traded_on_them(world: World) -> None:
    client = world.connect()
    for wanted in (["CALL"], ["DIGITODD", "ONETOUCH"], ["MULTUP"], ["NOSUCH"]):
        reply = await client.ask({"active_symbols": "brief", "contract_type": wanted})
        names = [each["symbol"] for each in reply["active_symbols"]]
        kinds = [TYPES[name] for name in wanted if name in TYPES]
        assert names == [n for n, s in SYMBOLS.items() if any(is_offered(k, s) for k in kinds)]


# A market's ticks together.


async def test_the_ticks_of_a_market_come_together(world: World) -> None:
    client = world.connect()
    first = await client.ask({"ticks_batch": 1, "market": "synthetic_index", "subscribe": 1})
    names = [name for name, symbol in SYMBOLS.items() if symbol.market == "synthetic_index"]
    assert [each["symbol"] for each in first["ticks_batch"]] == names
    world.clock.advance(1)
    later = await client.next()
    assert later["msg_type"] == "ticks_batch"
    assert later["subscription"] == first["subscription"]
    assert {each["symbol"] for each in later["ticks_batch"]} == {
        name for name in names if SYMBOLS[name].step == 1
    }
    for each in later["ticks_batch"]:
        assert each["epoch"] == first["ticks_batch"][0]["epoch"] + 1
        tick = (await client.ask({"ticks": each["symbol"], "subscribe": 0}))["tick"]
        symbol = SYMBOLS[each["symbol"]]
        assert float(each["quote"]) == tick["quote"]
        assert len(each["quote"].partition(".")[2]) == symbol.digits
        assert float(each["bid"]) == tick["bid"] < tick["quote"] < float(each["ask"])
        assert float(each["change"]) == pytest.approx(0, abs=30)
    refused = await client.ask({"ticks_batch": 1, "market": "synthetic_index", "subscribe": 1})
    assert refused["error"]["code"] == "AlreadySubscribed"
    assert (await client.ask({"forget": first["subscription"]["id"]}))["forget"] == 1
    world.clock.advance(2)
    assert client.received == []


async def test_a_closed_market_has_its_last_ticks_and_no_further_ones() -> None:
    async with testing.world(start=CLOSE + 3_600) as world:
        client = world.connect()
        reply = await client.ask({"ticks_batch": 1, "market": "forex", "subscribe": 1})
        assert {each["epoch"] for each in reply["ticks_batch"]} == {CLOSE - 2}
        world.clock.advance(10)
        assert client.received == []
        assert (await client.ask({"ticks_batch": 1, "market": "stocks"}))["ticks_batch"] == []


# Announcements.


async def test_announcements_follow_from_the_seed_and_tell_no_future(world: World) -> None:
    client = world.connect()
    now = int(world.clock.now())
    ask = {"economic_calendar": 1, "start_date": now - 60 * DAY, "end_date": now + 60 * DAY}
    events = (await client.ask(ask))["economic_calendar"]["events"]
    assert [event["release_date"] for event in events] == sorted(
        event["release_date"] for event in events
    )
    assert {event["currency"] for event in events} >= {"EUR", "USD", "JPY"}
    for event in events:
        assert ask["start_date"] <= event["release_date"] <= ask["end_date"]
        assert event["event_name"].endswith("(simulated)")
        assert ("actual" in event) == (event["release_date"] <= now)
    of_one = (await client.ask(ask | {"currency": "usd"}))["economic_calendar"]["events"]
    assert of_one == [event for event in events if event["currency"] == "USD"]
    assert len(of_one) == 20  # five figures a month, four months
    by_name = {
        (event["event_name"], event["release_date"]): event for event in of_one if "actual" in event
    }
    # What was told is what the next month calls the value before.
    for (name, epoch), event in by_name.items():
        following = [e for e in of_one if e["event_name"] == name and e["release_date"] > epoch]
        assert following[0]["previous"] == event["actual"]
    async with testing.world(seed="another") as there:
        other = (await there.connect().ask(ask))["economic_calendar"]["events"]
    assert [e["release_date"] for e in other] == [e["release_date"] for e in events]
    assert other != events


async def test_a_calendar_is_asked_for_a_week_and_at_most_a_year(world: World) -> None:
    client = world.connect()
    now = int(world.clock.now())
    week = (await client.ask({"economic_calendar": 1}))["economic_calendar"]["events"]
    assert week
    assert all(now <= event["release_date"] <= now + 7 * DAY for event in week)
    whole = {"economic_calendar": 1, "start_date": 1, "end_date": 9_999_999_999}
    events = (await client.ask(whole))["economic_calendar"]["events"]
    assert 0 < len(events) < 600
    backwards = {"economic_calendar": 1, "start_date": now, "end_date": now - 1}
    assert (await client.ask(backwards))["economic_calendar"]["events"] == []
    unknown = {"economic_calendar": 1, "currency": "XXX"}
    assert (await client.ask(unknown))["economic_calendar"]["events"] == []
