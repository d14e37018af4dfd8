"""What the published API tells of its site: currencies, languages, limits and its state."""

from scopegate import testing
from scopegate.testing import World


async def test_the_site_tells_its_currencies_and_languages(world: World) -> None:
    client = world.connect()
    config = (await client.ask({"website_config": 1}))["website_config"]
    assert config["supported_languages"] == ["EN"]
    assert {code: each["type"] for code, each in config["currencies_config"].items()}["BTC"] == (
        "crypto"
    )
    assert config["currencies_config"]["USD"]["fractional_digits"] == 2
    status = (await client.ask({"website_status": 1}))["website_status"]
    assert status["site_status"] == "up"
    assert status["currencies_config"] == config["currencies_config"]
    assert status["terms_conditions_version"] == config["terms_conditions_version"]


async def test_payouts_are_in_the_currency_of_who_is_signed_in(world: World) -> None:
    client = world.connect()
    every = (await client.ask({"payout_currencies": 1}))["payout_currencies"]
    assert {"USD", "EUR", "BTC"} <= set(every)
    await client.authorize(await world.token("read"))
    assert (await client.ask({"payout_currencies": 1}))["payout_currencies"] == ["USD"]


async def test_the_site_tells_the_limits_that_are_set() -> None:
    async with testing.world(limits="deriv", pricing_per_minute=7, residence="de") as world:
        told = (await world.connect().ask({"website_status": 1}))["website_status"]
        pricing = told["api_call_limits"]["max_requests_pricing"]
        assert pricing["minutely"] == 7
        assert "proposal_open_contract" in pricing["applies_to"]
        assert told["clients_country"] == "de"


async def test_there_is_no_bank_and_one_company(world: World) -> None:
    client = world.connect()
    methods = (await client.ask({"payment_methods": 1}))["payment_methods"]
    assert methods[0]["display_name"] == "Paper money"
    assert "All money here is paper" in methods[0]["description"]
    offered = (await client.ask({"contracts_for_company": 1}))["contracts_for_company"]
    types = {each["contract_type"] for each in offered["available"]}
    assert {"CALL", "PUT", "MULTUP"} <= types
