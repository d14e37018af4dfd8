"""Tests of the call with a gateway in this process: no socket, no waiting, no real clock."""

from scopegate.testing import world


async def test_readers_are_greeted_at_the_markets_time_of_day() -> None:
    async with world(handlers=["greeter.calls"]) as here:
        client = here.connect()
        await client.authorize(await here.token("read"))
        reply = await client.ask({"greet": "Ada"})
        assert reply["greet"] == "Good day, Ada."
        assert reply["loginid"] == here.demo.loginid
        here.clock.advance(12 * 3600)
        assert (await client.ask({"greet": "Ada"}))["greet"] == "Good morning, Ada."


async def test_who_may_not_read_is_not_greeted() -> None:
    async with world(handlers=["greeter.calls"]) as here:
        client = here.connect()
        assert await client.refused({"greet": "Ada"}) == "AuthorizationRequired"
        await client.authorize(await here.token("trade"))
        assert await client.refused({"greet": "Ada"}) == "PermissionDenied"


async def test_names_have_a_length() -> None:
    async with world(handlers=["greeter.calls"]) as here:
        client = here.connect()
        await client.authorize(await here.token("read"))
        reply = await client.ask({"greet": "x" * 41})
        assert reply["error"]["details"]["greet"]
        assert await client.refused({"greet": " "}) == "NobodyThere"
