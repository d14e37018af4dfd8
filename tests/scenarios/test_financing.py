"""Multipliers held over midnights: their financing, computed again from replies."""

import math
from typing import Any

import pytest

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import replay
from scopegate.exchange.contracts.common.state import begin
from scopegate.exchange.feed import Feed
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS
from scopegate.testing import NOON as START
from scopegate.testing import Client, World
from tests.scenarios.test_restart import Twin, twins
from tests.scenarios.test_trading import UP, bought, standing, trader

__all__ = ["twins"]

FAST: dict[str, Any] = {**UP, "symbol": "1HZ250V", "multiplier": 16}
NOON = int(START)
MIDNIGHT = NOON - NOON % DAY + DAY


async def growth(client: Client, symbol: str, first: int, last: int) -> float:
    """The expected growth from the tick at `first` to that at `last`, from the wire alone."""
    reply = await client.ask({"multiplier_financing": symbol, "start": first, "end": last})
    days = reply["multiplier_financing"]["days"]
    total = 0.0
    for day in days:
        opened, closes = day["first_tick"], day["first_tick"] + day["ticks"] * day["step"]
        ticks = (min(last, closes) - max(first, opened)) // day["step"]
        total += ticks * day["growth_per_tick"]
    return total


async def test_the_quote_and_the_open_contract_show_the_financing(world: World) -> None:
    client = await trader(world)
    world.clock.advance(11 * 3_600)
    now = MIDNIGHT - 3_600
    quoted = (await client.ask({"proposal": 1, **FAST}))["proposal"]
    an_hour = 100 * math.expm1(await growth(client, "1HZ250V", now - 1, now) * 3_600)
    assert f"changed by {an_hour:+.5f}% an hour" in quoted["longcode"]
    numbers = [await bought(client, {**FAST, "contract_type": c}) for c in ("MULTUP", "MULTDOWN")]
    world.clock.advance(1)
    first = {number: await standing(client, number) for number in numbers}
    for body in first.values():
        assert body["commission"] == quoted["commission"]
        assert " less a commission and financing." in body["longcode"]
    for minutes in (30, 60):  # the second stretch leads over midnight
        world.clock.advance(minutes * 60)
        for number in numbers:
            body = await standing(client, number)
            spot, entry = body["current_spot"], body["entry_spot"]
            grown = await growth(
                client, "1HZ250V", body["entry_tick_time"], body["current_spot_time"]
            )
            forward = entry * math.exp(grown)
            side = 160 if body["contract_type"] == "MULTUP" else -160
            commission = quoted["commission"]
            assert body["profit"] == pytest.approx(
                side * (spot / forward - 1) - commission, abs=0.011
            )
            assert body["profit"] == pytest.approx(
                side * (spot / entry - 1) - body["commission"], abs=0.011
            )
            assert abs(body["commission"] - commission) > 0.01
            stop_out = float(body["limit_order"]["stop_out"]["value"])
            exact = forward * (1 - (10 - commission) / side)
            assert abs(stop_out - exact) <= 0.01
            assert stop_out != float(first[number]["limit_order"]["stop_out"]["value"])
    for number in numbers:
        before = await standing(client, number)
        sold = (await client.ask({"sell": number, "price": 0}))["sell"]
        assert sold["sold_for"] == before["bid_price"]
        after = await standing(client, number)
        assert after["commission"] == before["commission"]
        assert after["profit"] == before["profit"]


async def test_financing_is_listed_up_to_today_and_no_further(world: World) -> None:
    client = world.connect()

    async def days(**more: int) -> list[dict[str, Any]]:
        reply = await client.ask({"multiplier_financing": "frxEURUSD", **more})
        found: list[dict[str, Any]] = reply["multiplier_financing"]["days"]
        return found

    symbol = SYMBOLS["frxEURUSD"]
    [today] = await days()
    assert today["first_tick"] == MIDNIGHT - DAY
    assert (today["step"], today["ticks"]) == (2, 43_200)
    assert await days(end=MIDNIGHT + 10 * DAY) == [today]
    week = await days(start=NOON - 7 * DAY)
    assert len(week) == 6  # a weekend lies between
    assert week[-1] == today
    for day in week:
        exact = world.gateway.service(Feed).growth(symbol, day["first_tick"]).a_tick
        assert day["growth_per_tick"] * 2**52 == exact
    assert len(await days(start=0, end=EARLIEST + 3 * DAY)) == 3
    assert await client.refused({"multiplier_financing": "frxEURUSD", "start": 0}) == (
        "InputValidationFailed"
    )
    assert await client.refused({"multiplier_financing": "RDBULL"}) == "OfferingsValidationError"
    assert await client.refused({"multiplier_financing": "NONE"}) == "InvalidSymbol"


@pytest.mark.lengthy
async def test_a_multiplier_ends_over_midnight_as_if_it_were_followed_at_once(
    twins: tuple[Twin, Twin],
) -> None:
    """One gateway runs on, the other is down over midnight; both end as the ticks alone say."""
    always, stopped = twins
    orders: tuple[dict[str, Any], ...] = ({}, {"take_profit": 7}, {"stop_loss": 6})
    for twin in twins:
        for symbol, multiplier in (("1HZ250V", 16), ("R_100", 40), ("JD100", 27)):
            for name in ("MULTUP", "MULTDOWN"):
                for order in orders:
                    wanted = {
                        **FAST,
                        "contract_type": name,
                        "symbol": symbol,
                        "multiplier": multiplier,
                    }
                    if order:
                        wanted["limit_order"] = order
                    await twin.done({"buy": 1, "price": 100, "parameters": wanted})
        await twin.advance(5)
    await always.advance(30 * 3_600)
    await stopped.restart(30 * 3_600)
    found, other = await always.contracts(), await stopped.contracts()
    assert found.keys() == other.keys()
    ended = set()
    for number, contract in found.items():
        assert (contract.status, contract.sold_for, contract.sold_at) == (
            other[number].status,
            other[number].sold_for,
            other[number].sold_at,
        )
        terms, feed = contract.terms, always.world.gateway.service(Feed)
        kind = TYPES[terms.contract_type]
        state = replay(kind, terms, begin(terms, feed), feed, int(always.clock.now()))
        assert (state.outcome is None) == (contract.exit_epoch is None)
        if state.outcome is not None:
            assert state.outcome.tick.epoch == contract.exit_epoch
            assert state.outcome.pays == contract.sold_for
            ended.add(contract.exit_epoch >= MIDNIGHT if contract.exit_epoch else None)
    assert ended == {True, False}


async def test_multipliers_of_an_older_version_keep_their_terms(twins: tuple[Twin, Twin]) -> None:
    """As a database of an earlier version has it: measured against the entry spot."""
    always, old = twins
    for twin in twins:
        for name in ("MULTUP", "MULTDOWN"):
            await twin.done({"buy": 1, "price": 100, "parameters": {**FAST, "contract_type": name}})
        await twin.advance(1)
    await old.world.gateway.store.write(
        lambda transaction: transaction.execute("UPDATE contracts SET is_financed = 0")
    )
    await old.restart(1_800)
    await always.advance(1_800)
    for number, contract in (await old.contracts()).items():
        body = await old.done({"proposal_open_contract": 1, "contract_id": number})
        spot, entry = body["current_spot"], body["entry_spot"]
        side = 160 if body["contract_type"] == "MULTUP" else -160
        assert body["commission"] == contract.terms.commission / 100
        assert body["profit"] == pytest.approx(
            side * (spot / entry - 1) - body["commission"], abs=0.011
        )
        assert body["longcode"].endswith(" less a commission.")
        new = await always.done({"proposal_open_contract": 1, "contract_id": number})
        assert new["current_spot"] == spot
        assert new["profit"] != body["profit"]
