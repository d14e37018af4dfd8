"""Tests of the calls with a gateway in this process: no socket but the stub's, no waiting."""

from typing import Any

import pytest
from weather import gateway
from weather.forecasts import Forecasts
from weather.stub import Stub

from scopegate.testing import Scene, scene

RAIN = {"place": "Oslo", "degrees": 4.5, "sky": "rain"}


async def follower(here: Scene) -> Any:
    """Return a client that may see forecasts, of a user whose places are Oslo and Bergen."""
    keeper = here.connect()
    await keeper.authorize(await here.token("places"))
    await keeper.ask({"place_add": "Oslo"})
    await keeper.ask({"place_add": "Bergen"})
    client = here.connect()
    await client.authorize(await here.token("forecasts"))
    return client


async def test_places_are_kept() -> None:
    async with scene(gateway) as here:
        client = here.connect()
        await client.authorize(await here.token("places"))
        assert (await client.ask({"place_add": "Oslo"}))["place_add"] == 1
        assert (await client.ask({"place_add": "Oslo"}))["place_add"] == 0
        await client.ask({"place_add": "Bergen"})
        assert (await client.ask({"place_list": 1}))["place_list"] == ["Oslo", "Bergen"]
        removal = {"place_remove": "Oslo", "passthrough": {"idempotency_key": "no-more-oslo"}}
        for _ in range(2):  # as after a lost connection
            assert (await client.ask(removal))["place_remove"] == 1
        assert (await client.ask({"place_remove": "Oslo"}))["place_remove"] == 0
        assert (await client.ask({"place_list": 1}))["place_list"] == ["Bergen"]


async def test_each_scope_allows_what_it_says() -> None:
    async with scene(gateway) as here:
        client = await follower(here)
        assert (await client.ask({"place_list": 1}))["place_list"] == ["Oslo", "Bergen"]
        assert await client.refused({"place_add": "Rome"}) == "PermissionDenied"
        keeper = here.connect()
        assert await keeper.refused({"place_list": 1}) == "AuthorizationRequired"
        await keeper.authorize(await here.token("places"))
        assert await keeper.refused({"forecast": "Oslo"}) == "PermissionDenied"


async def test_a_forecast_comes_from_the_service(upstream: Stub) -> None:
    upstream.weather["Oslo"] = RAIN
    async with scene(gateway, weather={"url": upstream.url}) as here:
        client = await follower(here)
        assert (await client.ask({"forecast": "Oslo"}))["forecast"] == RAIN
        assert await client.refused({"forecast": "Rome"}) == "UnknownPlace"
        assert await client.refused({"forecast": "Bergen"}) == "UnknownPlace"


@pytest.mark.parametrize("fault", ["down", "error", "nonsense"])
async def test_a_service_that_fails_is_an_error_that_says_so(upstream: Stub, fault: str) -> None:
    upstream.weather["Oslo"] = {"place": "Oslo"} if fault == "nonsense" else RAIN
    upstream.status = 500 if fault == "error" else None
    url = "http://127.0.0.1:9" if fault == "down" else upstream.url
    async with scene(gateway, weather={"url": url}) as here:
        client = await follower(here)
        assert await client.refused({"forecast": "Oslo"}) == "ForecastUnavailable"


async def test_a_stream_tells_changes_and_nothing_else(upstream: Stub) -> None:
    upstream.weather["Oslo"] = RAIN
    async with scene(gateway, weather={"url": upstream.url}) as here:
        client = await follower(here)
        first = await client.ask({"forecast": "Oslo", "subscribe": 1})
        assert first["forecast"] == RAIN
        await here.service(Forecasts).refresh()
        upstream.weather["Oslo"] = RAIN | {"sky": "sun"}
        await here.service(Forecasts).refresh()
        event = await client.next()
        assert event["forecast"]["sky"] == "sun"
        assert event["subscription"] == first["subscription"]
        ended = await client.ask({"forget_all": "forecast"})
        assert ended["forget_all"] == [first["subscription"]["id"]]
