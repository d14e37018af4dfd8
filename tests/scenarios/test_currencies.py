"""What is told of the bounds in a currency holds in it: a bitcoin counts for 50,000 dollars."""

import re
from typing import Any

import pytest

from scopegate.testing import Client, World
from tests.conftest import Connected

CALL = {
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "BTC",
    "duration": 5,
    "duration_unit": "t",
    "symbol": "R_100",
}
SPECIAL: list[dict[str, Any]] = [
    CALL,
    {**CALL, "contract_type": "VANILLALONGCALL", "duration": 5, "duration_unit": "m"}
    | {"barrier": "+0.50"},
    {"contract_type": "ACCU", "growth_rate": 0.03, "symbol": "R_100"}
    | {"basis": "stake", "currency": "BTC"},
    {"contract_type": "MULTUP", "multiplier": 40, "symbol": "R_100"}
    | {"basis": "stake", "currency": "BTC"},
]


async def bitcoin(world: World, units: int = 1_000_000) -> Client:
    """Who is signed in to a bitcoin account that holds what it was opened with, or another sum."""
    account = await world.account("BTC", units)
    client = world.connect()
    await client.authorize(await world.token(loginid=account.loginid))
    return client


async def proposed(client: Client, parameters: dict[str, Any], amount: float) -> dict[str, Any]:
    return await client.ask({"proposal": 1, **parameters, "amount": amount})


@pytest.mark.parametrize("parameters", SPECIAL, ids=lambda each: str(each["contract_type"]))
async def test_every_family_is_sold_for_the_least_stake(
    world: World, parameters: dict[str, Any]
) -> None:
    client = await bitcoin(world)
    message = (await proposed(client, parameters, 0.00000699))["error"]["message"]
    assert "Minimum stake of 0.00000700 and maximum payout of 1.00000000" in message
    offer = (await proposed(client, parameters, 0.000007))["proposal"]
    reply = await client.ask({"buy": offer["id"], "price": 0.01})
    assert reply["buy"]["buy_price"] == pytest.approx(0.000007)
    assert 0 < reply["buy"]["balance_after"] < 0.01


async def test_the_largest_stake_is_that_of_the_currency(world: World) -> None:
    client = await bitcoin(world, 100_000_000)
    assert "error" not in await proposed(client, CALL, 0.04)
    message = (await proposed(client, CALL, 0.04000001))["error"]["message"]
    assert re.search(r"Maximum stake allowed is 0\.04000000\.", message)


async def test_lists_and_limits_are_told_in_the_currency(world: World) -> None:
    client = await bitcoin(world)
    assert (await client.ask({"get_limits": 1}))["get_limits"]["payout"] == 10.0
    reply = await client.ask({"contracts_for": "R_100", "currency": "BTC"})
    rows = reply["contracts_for"]["available"]
    lookback = next(row for row in rows if row["contract_type"] == "LBHIGHLOW")
    stakes = {row["default_stake"] for row in rows if not row["contract_type"].startswith("LB")}
    assert stakes == {0.0002}
    asked = {"proposal": 1, "contract_type": "LBHIGHLOW", "currency": "BTC", "basis": "multiplier"}
    asked |= {"amount": lookback["default_stake"], "symbol": "R_100", "duration": 60}
    assert 0.000007 <= (await client.ask(asked))["proposal"]["ask_price"] <= 0.04
    assert {row["payout_limit"] for row in rows} == {1.0}
    bounds = {(row["min_stake"], row["max_stake"]) for row in rows if "max_stake" in row}
    assert bounds == {(0.000007, 0.04)}


async def test_a_copier_may_bound_its_stakes_below_a_dollar_cent(world: World) -> None:
    trader = await world.open_account("trader@example.com", currency="BTC", virtual=False)
    client = await bitcoin(world)
    text = await world.token("read", loginid=trader.loginid)
    other = world.connect()
    await other.authorize(await world.token(loginid=trader.loginid))
    await other.ask({"set_settings": 1, "allow_copiers": 1})
    start = {"copy_start": text, "max_trade_stake": 0.00000699}
    assert await client.refused(start) == "InvalidStakeLimit"
    assert "error" not in await client.ask({**start, "max_trade_stake": 0.000007})


async def test_an_account_buys_what_its_currency_does_not_move_with(
    connected: Connected,
) -> None:
    """Lists, prices and purchases agree: nothing on a coin itself, less on the euro's pairs."""
    world = connected.world

    async def signed_in(currency: str, units: int) -> Client:
        account = await world.account(currency, units)
        client = await connected.connect()
        await client.authorize(await world.token(loginid=account.loginid))
        return client

    async def listed(client: Client, symbol: str, currency: str) -> dict[str, set[str]]:
        reply = await client.ask({"contracts_for": symbol, "currency": currency})
        found: dict[str, set[str]] = {}
        for row in reply["contracts_for"]["available"]:
            found.setdefault(row["contract_type"], set()).add(row["expiry_type"])
        return found

    rise = {"contract_type": "CALL", "basis": "stake", "duration": 28, "duration_unit": "d"}
    bitcoin = await signed_in("BTC", 1_000_000)
    on_itself = rise | {"symbol": "cryBTCUSD", "currency": "BTC", "amount": 0.001}
    assert await listed(bitcoin, "cryBTCUSD", "BTC") == {}
    for refused in (
        await bitcoin.ask({"proposal": 1, **on_itself}),
        await bitcoin.ask({"buy": 1, "price": 1, "parameters": on_itself}),
    ):
        assert refused["error"]["code"] == "OfferingsValidationError"
        assert "not offered for this asset in BTC" in refused["error"]["message"]
        assert set(refused["error"]["details"]) >= {"currency"}
    other = on_itself | {"symbol": "cryETHUSD"}
    assert "daily" in (await listed(bitcoin, "cryETHUSD", "BTC"))["CALL"]
    assert "error" not in await bitcoin.ask({"buy": 1, "price": 1, "parameters": other})

    euro = await signed_in("EUR", 1_000_000)
    on_dollar = rise | {"symbol": "frxEURUSD", "currency": "EUR", "amount": 10}
    offered = await listed(euro, "frxEURUSD", "EUR")
    assert offered["CALL"] == {"tick", "intraday"}
    assert "MULTUP" not in offered
    refused = await euro.ask({"buy": 1, "price": 10, "parameters": on_dollar})
    assert "paid in EUR must end within a day" in refused["error"]["message"]
    within = on_dollar | {"duration": 23, "duration_unit": "h"}
    assert "error" not in await euro.ask({"buy": 1, "price": 10, "parameters": within})
    apart = on_dollar | {"symbol": "frxGBPJPY"}
    assert "error" not in await euro.ask({"buy": 1, "price": 10, "parameters": apart})
