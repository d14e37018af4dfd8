"""What published clients read out of replies: codes, texts, fields at fault, apps, numbers."""

from typing import Any

import pytest

from scopegate.testing import Client
from tests.conftest import Connected
from tests.scenarios.test_trading import UP, bought

RISE: dict[str, Any] = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "duration": 5,
    "duration_unit": "m",
    "symbol": "1HZ100V",
}
STAKES = "Minimum stake of 0.35 and maximum payout of 50000.00."
DOUBLE = "Invalid barrier (Double barrier input is expected)."


async def trader(connected: Connected) -> Client:
    client = await connected.connect()
    await client.authorize(await connected.world.token("read", "trade"))
    return client


@pytest.mark.parametrize(("more", "code", "message", "field"), [
    ({"amount": 0.1}, "ContractBuyValidationError", f"{STAKES} Current stake is 0.10.", "amount"),
    ({"amount": 60_000, "basis": "payout"}, "ContractBuyValidationError",
     f"{STAKES} Current payout is 60000.00.", "amount"),
    ({"amount": 1.001}, "ContractBuyValidationError", "Only 2 decimal places allowed.", "amount"),
    ({"duration": 10, "duration_unit": "s"}, "OfferingsValidationError",
     "Trading is not offered for this duration.", "duration"),
    ({"duration": 11, "duration_unit": "t"}, "OfferingsValidationError",
     "Number of ticks must be between 1 and 10.", "duration"),
    ({"contract_type": "UPORDOWN", "barrier": "+20"}, "ContractCreationFailure", DOUBLE, "barrier"),
    ({"contract_type": "EXPIRYRANGE"}, "ContractCreationFailure", DOUBLE, "barrier"),
    ({"contract_type": "ONETOUCH"}, "ContractCreationFailure",
     "Invalid barrier (Single barrier input is expected).", "barrier"),
    ({"barrier": "+0.125"}, "BarrierValidationError",
     "Barrier can only be up to 2 decimal places.", "barrier"),
    ({"symbol": "NONE"}, "InvalidSymbol", "Symbol NONE is invalid.", "symbol"),
])  # fmt: skip
async def test_a_refusal_has_its_published_text_and_names_the_field(
    connected: Connected, more: dict[str, Any], code: str, message: str, field: str
) -> None:
    client = await trader(connected)
    for request in (
        {"proposal": 1, **RISE, **more},
        {"buy": "1", "price": 1_000, "parameters": RISE | more},
    ):
        error = (await client.ask(request))["error"]
        assert (error["code"], error["message"]) == (code, message)
        assert error["details"]["field"] == field
        assert error["details"][field]  # a sentence for people


async def test_a_refused_order_or_multiplier_has_its_published_error(
    connected: Connected,
) -> None:
    client = await trader(connected)

    async def refused(**more: Any) -> dict[str, Any]:
        error: dict[str, Any] = (await client.ask({"proposal": 1, **UP, **more}))["error"]
        assert error["code"] == "ContractBuyValidationError"
        return error

    multiplier = await refused(multiplier=7)
    accepted = multiplier["message"].removeprefix("Multiplier is not in acceptable range. Accepts ")
    assert str(UP["multiplier"]) in accepted.removesuffix(".").split(",")
    assert multiplier["details"]["field"] == "multiplier"
    for name, amount, bound in (
        ("stop_loss", 10.01, "lower than 10.00"),
        ("take_profit", 0, "higher than 0.01"),
        ("take_profit", 60_000, "lower than 50000.00"),
    ):
        order = await refused(limit_order={name: amount})
        assert order["message"] == f"Enter an amount equal to or {bound}."
        assert order["details"]["field"] == name
    order = await refused(limit_order={"stop_loss": 5.001})
    assert order["message"] == "Only 2 decimal places allowed."
    # A stop loss may be the whole stake: its level is then that of the stop-out.
    number = await bought(client, {**UP, "limit_order": {"stop_loss": 10}})
    asked = {"proposal_open_contract": 1, "contract_id": number}
    orders = (await client.ask(asked))["proposal_open_contract"]["limit_order"]
    assert orders["stop_loss"]["value"] == orders["stop_out"]["value"]
    assert orders["stop_loss"]["order_amount"] == -10


async def test_an_unknown_contract_has_its_published_error(connected: Connected) -> None:
    client = await trader(connected)
    number = await bought(client, UP)
    connected.world.clock.advance(2)
    assert "error" not in await client.ask({"sell": number, "price": 0})
    for request, code in (
        ({"sell": number, "price": 0}, "NoOpenPosition"),
        ({"sell": 999_999, "price": 0}, "ContractNotFound"),
        ({"cancel": number}, "NoOpenPosition"),
        (
            {"contract_update": 1, "contract_id": number, "limit_order": {"stop_loss": 1}},
            "NoOpenPosition",
        ),
    ):
        error = (await client.ask(request))["error"]
        assert error["code"] == code
        assert error["message"] == "This contract was not found among your open positions."


async def test_app_id_is_that_of_the_connection(connected: Connected) -> None:
    """Whatever token it uses: an owner's token is good with every app."""
    world = connected.world
    app = await world.app("read", "trade")
    client = await connected.connect(app_id=app.id)
    await client.authorize(await world.token("read", "trade", "payments"))
    kept, sold = [await bought(client, UP) for _ in range(2)]
    world.clock.advance(2)
    assert "error" not in await client.ask({"sell": sold, "price": 0})
    # Seen from another connection, as it is a fact of the purchase.
    other = await connected.connect()
    await other.authorize(await world.token("read"))
    rows = (await other.ask({"statement": 1}))["statement"]["transactions"]
    assert [(row["contract_id"], row["action_type"], row["app_id"]) for row in rows[:3]] == [
        (sold, "sell", app.id),
        (sold, "buy", app.id),
        (kept, "buy", app.id),
    ]
    [held] = (await other.ask({"portfolio": 1}))["portfolio"]["contracts"]
    assert (held["contract_id"], held["app_id"]) == (kept, app.id)
    [row] = (await other.ask({"profit_table": 1}))["profit_table"]["transactions"]
    assert (row["contract_id"], row["app_id"]) == (sold, app.id)


async def test_a_number_without_a_fraction_is_an_integer(connected: Connected) -> None:
    client = await connected.connect()
    reply = await client.ask({"ping": 1.0, "req_id": 7.0})
    assert reply["ping"] == "pong"
    assert (reply["req_id"], type(reply["req_id"])) == (7, int)
    asked = {"ticks_history": "R_50", "end": 1767268800.0, "start": 1767268700.0, "count": 5.0}
    history = (await client.ask(asked))["history"]
    assert history["times"] == [1767268792, 1767268794, 1767268796, 1767268798, 1767268800]
    proposal = {"proposal": 1.0, **RISE, "duration": 5.0, "subscribe": 1.0}
    assert "subscription" in await client.ask(proposal)
    for wrong in (5.5, "5.0", "1e3", True, None, " 5 "):
        refused = await client.ask({**asked, "count": wrong})
        assert refused["error"]["details"].keys() == {"count"}
    assert await client.refused({"ping": 1e300}) == "SanityCheckFailed"
