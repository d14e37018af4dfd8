"""What `contracts_for` lists can be had as it is listed."""

from typing import Any

import pytest

from scopegate import testing
from scopegate.exchange.symbols import DAY, SYMBOLS
from scopegate.testing import World

MIDNIGHT = 1_767_657_600  # 2026-01-06 00:00 UTC


@pytest.mark.parametrize(
    "symbol", ["R_100", "1HZ250V", "RDBEAR", "frxEURUSD", "frxUSDJPY", "cryBTCUSD"]
)
async def test_a_lookback_of_the_listed_multiplier_has_a_price(world: World, symbol: str) -> None:
    client = world.connect()
    listed = (await client.ask({"contracts_for": symbol}))["contracts_for"]["available"]
    rows = [row for row in listed if row["contract_category"] == "lookback"]
    assert len(rows) == 3
    for row in rows:
        for minutes in (1, 30):
            wish: dict[str, Any] = {"amount": row["default_stake"], "currency": "USD"}
            wish |= {"contract_type": row["contract_type"], "symbol": symbol}
            wish |= {"duration": minutes, "duration_unit": "m"}
            assert (
                0.35 <= (await client.ask({"proposal": 1, **wish}))["proposal"]["ask_price"] < 200
            )


@pytest.mark.parametrize("unit", ["t", "d"])
async def test_a_later_start_says_which_durations_it_takes(world: World, unit: str) -> None:
    client = world.connect()
    now = int(world.clock.now())
    wish = {"contract_type": "CALL", "symbol": "R_100", "currency": "USD", "amount": 1}
    wish |= {"basis": "stake", "date_start": now + 600, "duration": 1, "duration_unit": unit}
    refused = (await client.ask({"proposal": 1, **wish}))["error"]
    assert refused["code"] == "OfferingsValidationError"
    assert "seconds, minutes or hours" in refused["message"]


@pytest.mark.parametrize("before", [301, 299, 1, 0])
async def test_a_market_that_starts_anew_lists_its_contracts_until_midnight(before: int) -> None:
    async with testing.world(start=MIDNIGHT - before) as world:
        client = world.connect()
        available = (await client.ask({"contracts_for": "RDBULL"}))["contracts_for"]["available"]
    rows = [row for row in available if row["contract_category"] in ("turbos", "vanilla")]
    assert rows
    for row in rows:
        assert row["barrier"] in row["barrier_choices"]


@pytest.mark.parametrize("symbol", ["frxEURUSD", "OTC_SPC"])
@pytest.mark.parametrize("after", [-200, -1, 0, DAY, 2 * DAY])
async def test_what_is_listed_while_a_market_is_closed_is_for_when_it_opens(
    symbol: str, after: int
) -> None:
    _, friday_close = SYMBOLS[symbol].hours.running_or_next(MIDNIGHT + 3 * DAY)
    async with testing.world(start=friday_close + after) as world:
        client = world.connect()
        available = (await client.ask({"contracts_for": symbol}))["contracts_for"]["available"]
    rows = [row for row in available if row["contract_category"] in ("turbos", "vanilla")]
    assert rows
    for row in rows:
        assert row["barrier"] in row["barrier_choices"]
