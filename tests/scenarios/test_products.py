"""Stories of contracts without a fixed payout: accumulators, vanillas and turbos."""

import math
from decimal import Decimal
from typing import Any

import pytest

from scopegate.testing import World
from tests.conftest import Connected
from tests.scenarios.test_trading import bought, buy, closing, standing, trader

GROWS: dict[str, Any] = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "ACCU",
    "currency": "USD",
    "growth_rate": 0.02,
    "symbol": "1HZ100V",
}
CALL: dict[str, Any] = {
    "amount": 10,
    "barrier": "+1.10",
    "basis": "stake",
    "contract_type": "VANILLALONGCALL",
    "currency": "USD",
    "duration": 5,
    "duration_unit": "m",
    "symbol": "1HZ100V",
}
LONG = {**CALL, "contract_type": "TURBOSLONG", "barrier": "-6.00"}


async def test_an_accumulator_grows_with_each_tick_until_one_goes_too_far(
    connected: Connected,
) -> None:
    world, client = connected.world, await connected.connect()
    await client.authorize(await world.token())
    proposal = (await client.ask({"proposal": 1, **GROWS}))["proposal"]
    details = proposal["contract_details"]
    assert details["maximum_ticks"] == 115
    assert details["maximum_payout"] == math.floor(1_000 * 1.02**115) / 100
    spot, away = Decimal(str(proposal["spot"])), Decimal(details["barrier_spot_distance"])
    assert Decimal(details["high_barrier"]) == spot + away
    assert Decimal(details["low_barrier"]) == spot - away
    assert (-away).as_tuple().exponent == -3  # one digit more than the pip
    assert abs(float(away) / proposal["spot"] - details["tick_size_barrier"]) < 1e-6
    assert all(row >= 0 for row in details["ticks_stayed_in"])
    assert len(details["ticks_stayed_in"]) > 10
    reply = await client.ask({"buy": proposal["id"], "price": 10, "subscribe": 1})
    told: list[dict[str, Any]] = []
    while not told or not told[-1]["is_sold"]:
        world.clock.advance(1)
        told.append((await client.next())["proposal_open_contract"])
    *open_, end = told
    for number, body in enumerate(open_):
        assert body["tick_passed"] == number
        assert body["bid_price"] == math.floor(1_000 * 1.02**number) / 100
        assert body["is_valid_to_sell"] == (number > 0)
        assert len(body["tick_stream"]) == min(number + 1, 11)
        assert body["growth_rate"] == 0.02
        if number:
            before = open_[number - 1]
            assert body["high_barrier"] == before["current_spot_high_barrier"]
            assert body["low_barrier"] == before["current_spot_low_barrier"]
            inside = float(body["low_barrier"]) < body["current_spot"] < float(body["high_barrier"])
            assert inside
    assert end["status"] == "lost"
    assert end["sell_price"] == 0
    assert end["high_barrier"] == open_[-1]["current_spot_high_barrier"]
    assert not float(end["low_barrier"]) < end["exit_tick"] < float(end["high_barrier"])
    assert len(end["audit_details"]["all_ticks"]) == end["tick_passed"] + 1 == len(told)
    [row] = (await client.ask({"profit_table": 1, "description": 1}))["profit_table"][
        "transactions"
    ]
    assert row["growth_rate"] == "0.02"
    assert row["shortcode"] == reply["buy"]["shortcode"]


async def test_rows_of_ticks_that_stayed_go_on_and_begin_anew(world: World) -> None:
    client = world.connect()
    await client.ask({"proposal": 1, **GROWS, "growth_rate": 0.05, "subscribe": 1})
    rows: list[int] = []
    for _ in range(60):
        world.clock.advance(1)
        proposal = (await client.next())["proposal"]
        details = proposal["contract_details"]
        assert details["last_tick_epoch"] == proposal["spot_time"]
        now: list[int] = details["ticks_stayed_in"]
        if rows:
            went_on = [*rows[:-1], rows[-1] + 1]
            assert now[-2:] in (went_on[-2:], [rows[-1], 0])
        rows = now


async def test_an_accumulator_takes_a_profit_that_may_be_changed(world: World) -> None:
    client = await trader(world)
    terms = {**GROWS, "growth_rate": 0.01, "limit_order": {"take_profit": 15}}
    for _ in range(20):  # until one has lived for ten ticks
        number = await bought(client, terms)
        world.clock.advance(10)
        await client.ask({"sell_expired": 1})
        body = await standing(client, number)
        if body["status"] == "open":
            break
    assert body["is_valid_to_update"] == {"take_profit": 1}
    assert body["limit_order"]["take_profit"]["order_amount"] == 15.0
    assert body["limit_order"]["take_profit"]["value"] is None
    assert body["validation_params"]["take_profit"] == {"min": "0.01", "max": "88.60"}
    request = {"contract_update": 1, "contract_id": number}
    met = await client.ask({**request, "limit_order": {"take_profit": body["profit"]}})
    assert met["error"]["code"] == "ContractUpdateFailure"
    for order, code in (
        ({"take_profit": 88.61}, "ContractBuyValidationError"),
        ({"stop_loss": 1}, "InputValidationFailed"),
    ):
        assert await client.refused({**request, "limit_order": order}) == code
    next_one = round(math.floor(1_000 * 1.01 ** (body["tick_passed"] + 1)) / 100 - 10, 2)
    changed = await client.ask({**request, "limit_order": {"take_profit": next_one}})
    assert changed["contract_update"] == {
        "take_profit": {
            "display_name": "Take profit",
            "order_amount": next_one,
            "order_date": int(world.clock.now()),
            "value": None,
        }
    }
    history = await client.ask({"contract_update_history": 1, "contract_id": number})
    assert [order["order_amount"] for order in history["contract_update_history"]] == [
        f"{next_one:.2f}",
        "15.00",
    ]
    world.clock.advance(1)
    await client.ask({"sell_expired": 1})
    end = await standing(client, number)
    assert end["status"] in ("won", "lost")
    assert end["sell_price"] == (10 + next_one if end["status"] == "won" else 0)
    assert end["tick_passed"] == body["tick_passed"] + 1


async def test_an_accumulator_is_sold_once_it_has_grown(world: World) -> None:
    client = await trader(world)
    number = await bought(client, {**GROWS, "growth_rate": 0.01})
    for _ in range(2):
        assert await client.refused({"sell": number, "price": 0}) == "InvalidSellContractProposal"
        world.clock.advance(1)
    world.clock.advance(1)
    body = await standing(client, number)
    assert body["status"] == "open"
    sold = (await client.ask({"sell": number, "price": 10.2}))["sell"]
    assert sold["sold_for"] == body["bid_price"] == 10.2
    assert (await standing(client, number))["status"] == "sold"


async def test_a_vanilla_is_followed_sold_and_settled(world: World) -> None:
    client = await trader(world)
    proposal = (await client.ask({"proposal": 1, **CALL}))["proposal"]
    assert proposal["payout"] == 0
    assert CALL["barrier"] not in proposal["barrier_choices"]
    assert len(proposal["barrier_choices"]) == 5
    held, number = [await bought(client, CALL) for _ in range(2)]
    world.clock.advance(30)
    body = await standing(client, number)
    assert body["display_number_of_contracts"] == proposal["display_number_of_contracts"]
    assert float(body["barrier"]) == pytest.approx(body["entry_spot"] + 1.10)
    sold = (await client.ask({"sell": number, "price": body["bid_price"]}))["sell"]
    assert sold["sold_for"] == body["bid_price"]
    world.clock.advance(210)
    late = await standing(client, held)
    assert late["is_valid_to_sell"] == 0
    assert "last 60 seconds" in late["validation_error"]
    assert await client.refused({"sell": held, "price": 0}) == "InvalidSellContractProposal"
    await client.ask({"proposal_open_contract": 1, "contract_id": held, "subscribe": 1})
    world.clock.advance(60)
    end = await closing(client, held)
    points = max(0, round(end["exit_tick"] - float(end["barrier"]), 2))
    contracts = Decimal(end["display_number_of_contracts"])
    assert end["sell_price"] == math.floor(contracts * Decimal(str(points)) * 100) / 100
    assert end["status"] == ("won" if points else "lost")
    assert end["exit_tick_time"] == end["date_start"] + 300


async def test_a_turbo_is_bought_by_what_a_point_pays(world: World) -> None:
    client = await trader(world)
    first = (await client.ask({"proposal": 1, **LONG}))["proposal"]
    assert first["barrier_spot_distance"] == "-6.00"
    wanted = {key: value for key, value in LONG.items() if key != "barrier"}
    for point, barrier in zip(first["payout_choices"], first["barrier_choices"], strict=True):
        named = {"proposal": 1, **wanted, "payout_per_point": point}
        assert (await client.ask(named))["proposal"]["barrier_spot_distance"] == barrier
    near = {**wanted, "payout_per_point": first["payout_choices"][0]}
    numbers = [await bought(client, near) for _ in range(3)]
    world.clock.advance(300)
    await client.ask({"sell_expired": 1})
    for number in numbers:
        body = await standing(client, number)
        if body["status"] == "lost":
            assert body["exit_tick"] <= float(body["barrier"])
            assert body["sell_price"] == 0
        else:
            points = Decimal(str(round(body["exit_tick"] - float(body["barrier"]), 2)))
            each = Decimal(body["display_number_of_contracts"])
            assert body["sell_price"] == math.floor(each * points * 100) / 100


async def test_a_turbo_ends_at_its_barrier(world: World) -> None:
    client = await trader(world)
    low, high = ({**LONG, "contract_type": name, "barrier": barrier} for name, barrier in (
        ("TURBOSLONG", "-2.00"),
        ("TURBOSSHORT", "+2.00"),
    ))  # fmt: skip
    numbers = [await bought(client, terms) for terms in (low, high)]
    await client.ask({"proposal_open_contract": 1, "subscribe": 1})
    world.clock.advance(290)
    await client.ask({"sell_expired": 1})
    ends = [body for body in [await standing(client, n) for n in numbers] if body["is_sold"]]
    assert ends  # in five minutes the price leaves so narrow a range
    for end in ends:
        beyond = end["exit_tick"] - float(end["barrier"])
        assert beyond <= 0 if end["contract_type"] == "TURBOSLONG" else beyond >= 0
        assert (end["status"], end["sell_price"]) == ("lost", 0)


async def test_what_is_offered_lists_what_there_is_to_choose(world: World) -> None:
    client = world.connect()
    offered = (await client.ask({"contracts_for": "1HZ100V"}))["contracts_for"]["available"]
    rows = {(row["contract_type"], row["expiry_type"]): row for row in offered}
    assert rows["ACCU", "no_expiry"]["growth_rate_range"] == [0.01, 0.02, 0.03, 0.04, 0.05]
    for name, expiry, duration, unit in (
        ("VANILLALONGCALL", "intraday", 5, "m"),
        ("VANILLALONGPUT", "daily", 1, "d"),
        ("TURBOSLONG", "tick", 10, "t"),
        ("TURBOSSHORT", "intraday", 5, "m"),
        ("TURBOSLONG", "daily", 1, "d"),
    ):
        row = rows[name, expiry]
        assert row["barrier"] in row["barrier_choices"]
        asked = {**CALL, "contract_type": name, "duration": duration, "duration_unit": unit}
        for barrier in row["barrier_choices"]:
            assert "proposal" in await client.ask({"proposal": 1, **asked, "barrier": barrier})
        if name.startswith("TURBOS") and expiry != "daily":
            del asked["barrier"]
            for point in row["payout_choices"]:
                named = {"proposal": 1, **asked, "payout_per_point": point}
                assert "proposal" in await client.ask(named)


async def test_an_account_has_so_many_open_accumulators(world: World) -> None:
    client = await trader(world)
    for _ in range(20):
        await bought(client, GROWS)
    reply = await buy(client, GROWS)
    assert reply["error"]["code"] == "OpenPositionLimitExceeded"
    assert "the limit is 20" in reply["error"]["message"]
    await bought(client, CALL)  # which is none


async def test_a_price_that_is_less_than_the_stake_buys_nothing(world: World) -> None:
    client = await trader(world)
    for terms in (GROWS, CALL, LONG):
        reply = await client.ask({"buy": 1, "price": 9.99, "parameters": terms})
        assert reply["error"]["code"] == "PriceMoved"
        assert "buy" in await buy(client, terms)
