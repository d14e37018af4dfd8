"""A contract of each kind, as its buyer sees it: offered, bought, followed, sold or settled."""

from itertools import pairwise
from typing import Any

import pytest

from scopegate.exchange.desk import Desk
from scopegate.testing import Client, World
from tests.scenarios.test_trading import bought, buy, standing, trader

SYMBOL = "1HZ100V"
TWO = {"barrier": "+10.00", "barrier2": "-8.00"}


def wanted(contract_type: str, **more: Any) -> dict[str, Any]:
    """Five minutes for a stake of 10.00, where nothing else is said."""
    given: dict[str, Any] = {"symbol": SYMBOL, "currency": "USD", "amount": 10, "basis": "stake"}
    given |= {"duration": 5, "duration_unit": "m"}
    return {"contract_type": contract_type, **(given | more)}


def ticks(contract_type: str, count: int, **more: Any) -> dict[str, Any]:
    return wanted(contract_type, duration=count, duration_unit="t", **more)


async def gone(world: World, client: Client, number: int, seconds: int) -> dict[str, Any]:
    """How the contract stands after so many seconds."""
    world.clock.advance(seconds)
    await world.gateway.service(Desk).settled()
    return await standing(client, number)


async def path(client: Client, first: int, last: int) -> dict[int, float]:
    """The prices between two moments, as a client is told them."""
    asked = {"ticks_history": SYMBOL, "style": "ticks", "start": first, "end": last, "count": 5_000}
    told = (await client.ask(asked))["history"]
    return dict(zip(told["times"], told["prices"], strict=True))


@pytest.mark.parametrize(
    "contract_type",
    [
        *("EXPIRYRANGE", "EXPIRYMISS", "EXPIRYRANGEE", "EXPIRYMISSE"),
        *("RANGE", "UPORDOWN", "CALLSPREAD", "PUTSPREAD"),
    ],
)
async def test_two_barriers_are_shown_and_the_contract_is_sold_back(
    world: World, contract_type: str
) -> None:
    client = await trader(world)
    quoted = await client.ask({"proposal": 1, **wanted(contract_type, **TWO)})
    spot = quoted["proposal"]["spot"]
    assert quoted["proposal"]["contract_details"] == {
        "high_barrier": f"{spot + 10:.2f}",
        "low_barrier": f"{spot - 8:.2f}",
    }
    number = await bought(client, wanted(contract_type, **TWO))
    shown = await gone(world, client, number, 60)
    entry = shown["entry_spot"]
    assert shown["high_barrier"] == f"{entry + 10:.2f}"
    assert shown["low_barrier"] == f"{entry - 8:.2f}"
    assert (shown["barrier_count"], "barrier" in shown) == (2, False)
    assert shown["is_path_dependent"] == (contract_type in ("RANGE", "UPORDOWN"))
    assert shown["is_valid_to_sell"] == 1
    assert "entry spot minus 8.00 and" in shown["longcode"] or "SPREAD" in contract_type
    assert shown["shortcode"].endswith("_S1000P_S-800P")
    sold = await client.ask({"sell": number, "price": shown["bid_price"]})
    assert sold["sell"]["sold_for"] == shown["bid_price"]
    closed = await standing(client, number)
    assert (closed["status"], closed["sell_price"]) == ("sold", shown["bid_price"])
    assert closed["high_barrier"] == shown["high_barrier"]


async def test_barriers_may_be_prices_and_the_first_touch_decides(world: World) -> None:
    client = await trader(world)
    spot = (await client.ask({"ticks": SYMBOL, "subscribe": 0}))["tick"]["quote"]
    prices = {"barrier": f"{spot + 5:.2f}", "barrier2": f"{spot - 5:.2f}"}
    numbers = [await bought(client, wanted(name, **prices)) for name in ("RANGE", "UPORDOWN")]
    start = int(world.clock.now())
    world.clock.advance(300)
    await world.gateway.service(Desk).settled()
    stays, goes = [await standing(client, number) for number in numbers]
    assert (stays["high_barrier"], stays["low_barrier"]) == tuple(prices.values())
    told = await path(client, start + 1, start + 300)
    touched = [epoch for epoch, price in told.items() if abs(price - spot) >= 5 - 1e-9]
    assert stays["exit_tick_time"] == goes["exit_tick_time"] == touched[0]
    assert (stays["status"], goes["status"]) == ("lost", "won")


async def test_a_spread_pays_a_part(world: World) -> None:
    client = await trader(world)
    payout = wanted("CALLSPREAD", basis="payout", amount=100, barrier_range="wide")
    number = await bought(client, payout)
    shown = await gone(world, client, number, 300)
    low, high = float(shown["low_barrier"]), float(shown["high_barrier"])
    share = (shown["exit_tick"] - low) / (high - low)
    assert 0 < share < 1
    assert shown["status"] == "won"
    assert abs(shown["sell_price"] - 100 * share) <= 0.01


@pytest.mark.parametrize("contract_type", ["ASIANU", "ASIAND"])
async def test_the_average_is_shown_when_it_is_known(world: World, contract_type: str) -> None:
    client = await trader(world)
    number = await bought(client, ticks(contract_type, 5))
    shown = await gone(world, client, number, 3)
    assert len(shown["tick_stream"]) == 3
    assert "barrier" not in shown
    assert "duration in ticks" in shown["validation_error"]
    shown = await gone(world, client, number, 3)
    counted = [tick["tick"] for tick in shown["audit_details"]["all_ticks"]]
    assert len(counted) == shown["tick_count"] == 5
    average = sum(counted) / 5
    assert float(shown["barrier"]) == pytest.approx(average, abs=1e-6)
    assert (shown["status"] == "won") == (
        counted[-1] > average if contract_type == "ASIANU" else counted[-1] < average
    )


async def test_the_selected_tick_is_shown_once_it_is_there(world: World) -> None:
    client = await trader(world)
    numbers = [
        await bought(client, ticks(name, 5, selected_tick=tick))
        for name in ("TICKHIGH", "TICKLOW")
        for tick in range(1, 6)
    ]
    start = int(world.clock.now())
    world.clock.advance(1)
    open_still = [await standing(client, number) for number in numbers]
    assert [shown["selected_tick"] for shown in open_still] == [1, 2, 3, 4, 5] * 2
    assert ["selected_spot" in shown for shown in open_still] == [True, *[False] * 4] * 2
    world.clock.advance(5)
    await world.gateway.service(Desk).settled()
    told = list((await path(client, start + 1, start + 5)).values())
    ended = [await standing(client, number) for number in numbers]
    for shown, best in zip(ended, [max(told)] * 5 + [min(told)] * 5, strict=True):
        if "selected_spot" in shown:
            assert shown["selected_spot"] == told[shown["selected_tick"] - 1]
        assert (shown["status"] == "won") == (told[shown["selected_tick"] - 1] == best)
    assert [shown["status"] for shown in ended].count("won") == 2


@pytest.mark.parametrize("length", [{"duration": 6, "duration_unit": "t"}, {"duration": 1}])
async def test_the_reset_is_shown_when_it_has_been(world: World, length: dict[str, Any]) -> None:
    client = await trader(world)
    numbers = [await bought(client, wanted(name, **length)) for name in ("RESETCALL", "RESETPUT")]
    start = int(world.clock.now())
    half, last = (start + 4, start + 7) if "duration_unit" in length else (start + 30, start + 60)
    before = [await gone(world, client, number, 1) for number in numbers]
    assert all("reset_time" not in shown for shown in before)
    world.clock.advance(last - start)
    await world.gateway.service(Desk).settled()
    told = await path(client, start + 1, last)
    call, put = [await standing(client, number) for number in numbers]
    entry, reset = told[start + 1], told[half]
    for shown, barrier in ((call, min(entry, reset)), (put, max(entry, reset))):
        assert shown["reset_time"] == half
        assert shown["reset_barrier"] == f"{barrier:.2f}"
        assert shown["barrier"] == f"{entry:.2f}"
        beyond = told[last] > barrier if shown is call else told[last] < barrier
        assert (shown["status"] == "won") == beyond


async def test_a_run_ends_with_the_first_wrong_tick(world: World) -> None:
    client = await trader(world)
    numbers = [await bought(client, ticks(name, 5)) for name in ("RUNHIGH", "RUNLOW")]
    world.clock.advance(6)
    await world.gateway.service(Desk).settled()
    for number, side in zip(numbers, (1, -1), strict=True):
        shown = await standing(client, number)
        counted = [tick["tick"] for tick in shown["audit_details"]["all_ticks"]]
        moves = [(b - a) * side for a, b in pairwise(counted)]
        assert all(move > 0 for move in moves[:-1])
        assert (shown["status"] == "won") == (moves[-1] > 0)
        assert shown["status"] == "lost" or len(counted) == 6


async def test_lookbacks_pay_what_lies_between_extremes(world: World) -> None:
    client = await trader(world)
    multiplied = {"amount": 2, "basis": "multiplier"}
    quoted = await client.ask({"proposal": 1, **wanted("LBHIGHLOW", **multiplied)})
    assert (quoted["proposal"]["multiplier"], quoted["proposal"]["payout"]) == (2, 0)
    assert "payout" not in quoted["proposal"]["validation_params"]
    names = ("LBFLOATCALL", "LBFLOATPUT", "LBHIGHLOW")
    numbers = [await bought(client, wanted(name, **multiplied)) for name in names]
    start = int(world.clock.now())
    first = await gone(world, client, numbers[2], 100)
    told = list((await path(client, start + 1, start + 100)).values())
    assert first["high_barrier"] == f"{max(told):.2f}"
    assert first["low_barrier"] == f"{min(told):.2f}"
    assert first["bid_price"] >= 2 * (max(told) - min(told)) * 0.985 - 0.01
    assert (first["multiplier"], first["barrier_count"], first["is_valid_to_sell"]) == (2, 2, 1)
    world.clock.advance(200)
    await world.gateway.service(Desk).settled()
    told = list((await path(client, start + 1, start + 300)).values())
    ended = [await standing(client, number) for number in numbers]
    paid = (told[-1] - min(told), max(told) - told[-1], max(told) - min(told))
    assert [shown["sell_price"] for shown in ended] == pytest.approx([2 * p for p in paid])
    assert ended[0]["barrier"] == f"{min(told):.2f}"
    assert ended[1]["barrier"] == f"{max(told):.2f}"


async def test_what_a_lookback_takes_is_said(world: World) -> None:
    client = await trader(world)
    for more, field in (({"basis": "stake"}, "basis"), ({"barrier": "+1"}, "barrier")):
        reply = await buy(client, wanted("LBHIGHLOW", **({"basis": "multiplier"} | more)))
        assert set(reply["error"]["details"]) == {field, "field"}
    reply = await buy(client, wanted("CALL", basis="multiplier"))
    assert set(reply["error"]["details"]) == {"basis", "field"}


async def test_every_kind_is_listed_with_its_barriers(world: World) -> None:
    client = world.connect()
    listed = (await client.ask({"contracts_for": SYMBOL}))["contracts_for"]["available"]
    rows = {row["contract_type"]: row for row in listed if row["expiry_type"] != "daily"}
    assert rows["RANGE"]["barriers"] == rows["CALLSPREAD"]["barriers"] == 2
    assert rows["ASIANU"]["barriers"] == rows["LBHIGHLOW"]["barriers"] == 0
    for name in ("EXPIRYRANGE", "UPORDOWN", "PUTSPREAD"):
        row = rows[name]
        barriers = {"barrier": row["high_barrier"], "barrier2": row["low_barrier"]}
        assert "error" not in await client.ask({"proposal": 1, **wanted(name, **barriers)})
    daily = next(
        row for row in listed if row["contract_type"] == "RANGE" and row["expiry_type"] == "daily"
    )
    barriers = {"barrier": daily["high_barrier"], "barrier2": daily["low_barrier"]}
    day = wanted("EXPIRYMISS", duration=1, duration_unit="d", **barriers)
    assert "error" not in await client.ask({"proposal": 1, **day})
    durations = (await client.ask({"trading_durations": 1}))["trading_durations"]
    told = durations[0]["data"][0]["trade_durations"]
    assert {"LBHIGHLOW", "TICKHIGH"} <= {row["trade_type"]["name"] for row in told}
    index = (await client.ask({"asset_index": 1}))["asset_index"][0][2]
    assert {"lookback", "runs", "callputspread", "highlowticks"} <= {row[0] for row in index}
