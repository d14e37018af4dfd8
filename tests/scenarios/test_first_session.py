"""A bot author's first session: sign in, look around, stream, and be stopped where a scope ends."""

from tests.conftest import Connected


async def test_a_client_signs_in_and_sees_its_account(connected: Connected) -> None:
    client = await connected.connect()
    token = await connected.world.token("read", "trade")
    signed_in = await client.authorize(token)
    assert signed_in["loginid"] == connected.world.demo.loginid
    assert signed_in["scopes"] == ["read", "trade"]
    assert signed_in["balance"] == 10000.0
    reply = await client.ask({"balance": 1})
    assert reply["balance"] == {
        "balance": 10000.0,
        "currency": "USD",
        "loginid": connected.world.demo.loginid,
    }


async def test_a_token_goes_as_far_as_its_scope(connected: Connected) -> None:
    client = await connected.connect()
    assert await client.refused({"balance": 1}) == "AuthorizationRequired"
    await client.authorize(await connected.world.token("trade"))
    reply = await client.ask({"balance": 1})
    assert reply["error"] == {
        "code": "PermissionDenied",
        "message": "Permission denied, requires read or trading_information scopes.",
    }
    reply = await client.ask({"account_list": 1})
    assert reply["error"]["message"] == "Permission denied, requires read scope."


async def test_ticks_stream_until_they_are_forgotten(connected: Connected) -> None:
    client = await connected.connect()
    first = await client.ask({"ticks": "1HZ100V", "subscribe": 1, "passthrough": {"of": "mine"}})
    stream = first["subscription"]["id"]
    assert first["tick"]["id"] == stream
    connected.world.clock.advance(3)
    ticks = [await client.next() for _ in range(3)]
    epochs = [tick["tick"]["epoch"] for tick in ticks]
    assert epochs == [first["tick"]["epoch"] + second for second in (1, 2, 3)]
    for tick in ticks:
        assert tick["tick"]["id"] == tick["subscription"]["id"] == stream
        assert tick["req_id"] == first["req_id"]
        assert tick["passthrough"] == {"of": "mine"}
        assert tick["msg_type"] == "tick"
        assert tick["echo_req"] == first["echo_req"]
    history = await client.ask({"ticks_history": "1HZ100V", "end": "latest", "count": 4})
    quotes = [first["tick"]["quote"], *(tick["tick"]["quote"] for tick in ticks)]
    assert history["history"] == {
        "times": [first["tick"]["epoch"], *epochs],
        "prices": quotes,
    }
    assert (await client.ask({"forget": stream}))["forget"] == 1
    connected.world.clock.advance(3)
    assert (await client.ask({"forget": stream}))["forget"] == 0
    assert client.received == []


async def test_a_balance_stream_tells_every_change_once_in_order(connected: Connected) -> None:
    client = await connected.connect()
    await client.authorize(await connected.world.token("read"))
    first = await client.ask({"balance": 1, "subscribe": 1})
    assert first["balance"]["balance"] == 10000.0
    for amount in (100, -250, 5):
        await connected.world.credit(amount)
    told = [(await client.next())["balance"] for _ in range(3)]
    assert [body["balance"] for body in told] == [10001.0, 9998.5, 9998.55]
    assert {body["id"] for body in told} == {first["subscription"]["id"]}


async def test_an_unknown_app_is_told_so_and_disconnected(connected: Connected) -> None:
    client = await connected.connect(app_id=77)
    reply = await client.ask({"ping": 1})
    assert reply["error"] == {"code": "InvalidAppID", "message": "Your app_id is invalid."}
    code, reason = await client.ended()
    assert (code, reason) == (1008, "Your app_id is invalid.")
