"""Every limit that the call `limits` lists is named, with its number, where it is exceeded."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from scopegate.gateway.access import apps
from scopegate.testing import Client, World
from tests.conftest import limited
from tests.gateway.test_server import CONTINUATION, PING, TEXT, frame, listening, raw
from tests.scenarios.test_limits import quote

Exceed = Callable[[World], Awaitable[str]]

PASSTHROUGH = {"x": "y" * 400}


def named(reply: dict[str, Any]) -> str:
    """What an error says of the limit: its details, or else its message."""
    error = reply["error"]
    return str((error.get("details") or {}).get("limit") or error["message"])


async def last(client: Client, requests: list[dict[str, Any]]) -> str:
    """Send requests until one is refused; what is said of the limit."""
    for request in requests:
        reply = await client.ask(request)
        if "error" in reply:
            return named(reply)
    raise AssertionError("nothing was refused")


def again(request: dict[str, Any], count: int = 200) -> Exceed:
    async def exceed(world: World) -> str:
        client = world.connect()
        await client.authorize(await world.token("read", "admin", "trade"))
        return await last(client, [request] * count)

    return exceed


def streams(count: int, clients: int = 1, **more: Any) -> Exceed:
    async def exceed(world: World) -> str:
        texts = []
        for _ in range(clients):
            client = world.connect()
            symbols = ("R_10", "R_25", "R_50", "R_75", "R_100")
            for symbol in symbols[:count]:
                reply = await client.ask({"ticks": symbol, "subscribe": 1, **more})
                if "error" in reply:
                    texts.append(named(reply))
        return texts[0]

    return exceed


def proposals(count: int, clients: int = 1) -> Exceed:
    async def exceed(world: World) -> str:
        requests = [quote(number) for number in range(count)]
        for _ in range(clients - 1):
            client = world.connect()
            for request in requests:
                assert "error" not in await client.ask(request)
        return await last(world.connect(), requests)

    return exceed


async def connections_of_user(world: World) -> str:
    token = await world.token("read")
    await world.connect().authorize(token)
    return await last(world.connect(address="10.0.0.2"), [{"authorize": token}])


def over_socket(sent: bytes) -> Exceed:
    """Send frames to a real socket; the reason of the close, or the text of the last message."""

    async def exceed(world: World) -> str:
        async with listening(world) as (_, port), raw(port) as client:
            client.writer.write(sent)
            while True:
                opcode, payload = await client.frame()
                if opcode == 8:
                    return payload[2:].decode()

    return exceed


def over_http(sent: bytes, count: int = 1) -> Exceed:
    """Send an HTTP request some times; the last response."""

    async def exceed(world: World) -> str:
        response = ""
        async with listening(world) as (_, port):
            for _ in range(count):
                async with raw(port, b"") as client:
                    client.writer.write(sent)
                    response = (await client.reader.read()).decode()
            return response

    return exceed


async def connections_of_address(world: World) -> str:
    async with listening(world) as (_, port), raw(port), raw(port, b"") as client:
        client.writer.write(
            b"GET /websockets/v3?app_id=1089 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        return (await client.reader.read()).decode()


async def refusals(world: World) -> str:
    client = world.connect()
    for _ in range(10):
        client.send_text(b'{"ping":1}')
    return (await client.ended())[1]


async def wrong_tokens(world: World) -> str:
    client = world.connect()
    replies = [await client.ask({"authorize": f"{number:015}"}) for number in range(6)]
    return named(replies[-1])


async def wrong_user_codes(world: World) -> str:
    client = world.connect(at_pages=True)
    asked = {"consent_request": 1, "query": "user_code=BBBB-BBBB"}
    replies = [await client.ask(asked) for _ in range(6)]
    return named(replies[-1])


async def device_requests(world: World) -> str:
    app = await world.app("read")
    await world.gateway.store.write(lambda job: apps.set_device_flow(job, app, on=True))
    form = f"client_id={app.id}".encode()
    head = (
        b"POST /oauth2/device_authorization HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
    )
    return await over_http(head % len(form) + form, 21)(world)


async def wrong_passwords(world: World) -> str:
    client = world.connect(at_pages=True)
    sign_in = {"sign_in": 1, "email": "nobody@example.com", "password": "wrong password here"}
    replies = [await client.ask(sign_in) for _ in range(6)]
    return named(replies[-1])


async def tokens_of_account(world: World) -> str:
    client = world.connect()
    await client.authorize(await world.token("read", "admin"))
    requests = [
        {"api_token": 1, "new_token": f"T{number}", "new_token_scopes": ["read"]}
        for number in range(101)
    ]
    return await last(client, requests)


async def tokens_of_app(world: World) -> str:
    app = await world.app("read", "admin")
    client = world.connect(app_id=app.id)
    await client.authorize(await world.token("read", "admin", app=app))
    requests = [
        {"api_token": 1, "new_token": f"T{number}", "new_token_scopes": ["read"]}
        for number in range(21)
    ]
    return await last(client, requests)


async def apps_of_user(world: World) -> str:
    owner = await world.owner()
    requests = [
        {"app_register": 1, "name": f"App {number}", "scopes": ["read"]} for number in range(101)
    ]
    return await last(owner, requests)


async def apps_of_app(world: World) -> str:
    app = await world.app("read", "admin")
    client = world.connect(app_id=app.id)
    await client.authorize(await world.token("read", "admin", app=app))
    requests = [
        {"app_register": 1, "name": f"Made {number}", "scopes": ["read"]} for number in range(21)
    ]
    return await last(client, requests)


async def open_positions(world: World) -> str:
    client = world.connect()
    await client.authorize(await world.token("read", "trade"))
    terms = {
        "contract_type": "CALL",
        "symbol": "1HZ100V",
        "currency": "USD",
        "basis": "stake",
        "amount": 1,
        "duration": 1,
        "duration_unit": "d",
    }
    return await last(client, [{"buy": "1", "price": 10, "parameters": terms}] * 101)


async def candles(world: World) -> str:
    client = world.connect()
    for year in range(12):
        for symbol in (
            "R_10",
            "R_25",
            "R_50",
            "R_75",
            "R_100",
            "1HZ10V",
            "1HZ25V",
            "1HZ50V",
            "1HZ75V",
        ):
            for granularity in (3_600, 14_400, 86_400):
                end = 1_500_000_000 - year * 300 * 86_400
                asked = {
                    "ticks_history": symbol,
                    "start": end - 280 * 86_400,
                    "end": end,
                    "style": "candles",
                    "granularity": granularity,
                }
                reply = await client.ask(asked)
                if reply.get("error", {}).get("code") == "RateLimit":
                    return named(reply)
    raise AssertionError("nothing was refused")


def letters(count: int, *, same: bool) -> Exceed:
    async def exceed(world: World) -> str:
        replies = []
        for number in range(count):
            client = world.connect(address=f"10.0.{number if same else 0}.1")
            email = "ada@example.com" if same else f"user{number}@example.com"
            replies.append(await client.ask({"verify_email": email, "type": "payment_withdraw"}))
        return named(replies[-1])

    return exceed


HEAD = b"GET /healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
PING_CALL = {"ping": 1}
CASES: dict[str, tuple[dict[str, int], Exceed]] = {
    "messages_per_minute": ({"messages_per_minute": 7}, again(PING_CALL)),
    "messages_per_hour": ({"messages_per_hour": 7}, again(PING_CALL)),
    "general_per_minute": ({"general_per_minute": 7}, again(PING_CALL)),
    "general_per_hour": ({"general_per_hour": 7}, again(PING_CALL)),
    "outcome_per_minute": ({"outcome_per_minute": 7}, again({"statement": 1})),
    "outcome_per_hour": ({"outcome_per_hour": 7}, again({"statement": 1})),
    "pricing_per_minute": ({"pricing_per_minute": 7}, again({"proposal_open_contract": 1})),
    "pricing_per_hour": ({"pricing_per_hour": 7}, again({"proposal_open_contract": 1})),
    "refusals_in_a_row": ({"refusals_in_a_row": 7, "general_per_minute": 1}, refusals),
    "connections_per_address": ({"connections_per_address": 1}, connections_of_address),
    "connections_per_user": ({"connections_per_user": 1}, connections_of_user),
    "streams": ({"streams": 3}, streams(4)),
    "streams_per_client": ({"streams_per_client": 3}, streams(2, clients=2)),
    "proposal_streams": ({"proposal_streams": 3}, proposals(4)),
    "proposal_streams_per_client": (
        {"proposal_streams_per_client": 3, "proposal_streams": 2},
        proposals(2, clients=2),
    ),
    "stream_bytes": ({"stream_bytes": 1_024}, streams(3, passthrough=PASSTHROUGH)),
    "stream_bytes_per_client": (
        {"stream_bytes_per_client": 1_024},
        streams(1, clients=3, passthrough=PASSTHROUGH),
    ),
    "http_per_minute": ({"http_per_minute": 3}, over_http(HEAD + b"\r\n", 4)),
    "message_bytes": ({}, over_socket(frame(TEXT, b" " * 65_537))),
    "message_fragments": (
        {},
        over_socket(frame(TEXT, b" ", fin=False) + frame(CONTINUATION, b" ", fin=False) * 1_024),
    ),
    "empty_frames": ({}, over_socket(frame(PING, b"") * 100)),
    "message_depth": (
        {},
        again({"ping": 1, "passthrough": orjson.loads(b'{"a":' * 40 + b"1" + b"}" * 40)}),
    ),
    "wrong_tokens": ({}, wrong_tokens),
    "wrong_user_codes": ({}, wrong_user_codes),
    "device_requests": ({}, device_requests),
    "wrong_passwords": ({}, wrong_passwords),
    "tokens": ({}, tokens_of_account),
    "tokens_of_app": ({}, tokens_of_app),
    "apps": ({}, apps_of_user),
    "apps_of_app": ({}, apps_of_app),
    "faults": ({}, again({"fault_start": "duplicate_events"})),
    "open_positions": ({}, open_positions),
    "candles_waiting_per_client": ({}, candles),
    "http_head_bytes": ({}, over_http(HEAD + b"X: " + b"x" * 17_000 + b"\r\n\r\n")),
    "http_body_bytes": (
        {},
        over_http(
            b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n"
            + b"x" * 70_000
        ),
    ),
    "letters": ({}, letters(21, same=False)),
    "letters_per_user": ({}, letters(6, same=True)),
}
"""How each limit is exceeded, and the settings for that."""
ELSEWHERE = {
    "message_unit": "no limit of its own: a unit of messages_per_minute",
    "refusal_echo_bytes": "nothing is refused: an error leaves out the echo of a longer message",
    **dict.fromkeys(
        ("messages_waiting", "messages_waiting_bytes", "handlers_at_once", "long_work_at_once"),
        "nothing is refused: the next ones wait",
    ),
    **dict.fromkeys(
        ("passwords_at_once", "proposal_time", "proposals_kept", "sign_in_time", "sign_ins"),
        "nothing is refused: the next ones wait, or the oldest end",
    ),
    **dict.fromkeys(
        ("delayed_bytes", "held_bytes", "opening_time"),
        "the connection is cut without a word (test_server.py)",
    ),
    "idle_time": "two minutes of silence, with its number in the close (test_server.py)",
    "answer_time": "the error Timeout (test_dispatch.py)",
    **dict.fromkeys(
        ("long_work_waiting", "long_work_waiting_per_client"), "tests/scenarios/test_fairness.py"
    ),
    **dict.fromkeys(
        ("passwords_waiting", "passwords_waiting_per_client"), "tests/scenarios/test_fairness.py"
    ),
    "device_requests_of_all": "tests/scenarios/test_devices.py",
    "refresh_tokens": "nothing is refused: the oldest ends",
    "wrong_passwords_per_user": "tests/scenarios/test_sign_in.py",
    "writes_waiting": "the error StorageUnavailable (tests/store/test_conformance.py)",
    "candles_waiting": "as that of a client, but of ten of them (test_candle_work.py)",
    "history_results": "nothing is refused: a reply has no more",
    "letters_of_client": "tests/scenarios/test_verification.py",
    "letters_of_all": "ten thousand e-mails (tests/scenarios/test_verification.py)",
    "accounts": "tests/scenarios/test_people.py",
    "accounts_by_apps": "tests/scenarios/test_app_tokens.py",
}
"""The limits that are not exceeded here, and why or where."""


async def test_each_limit_of_the_list_is_exceeded_or_has_a_reason(world: World) -> None:
    rows = (await world.connect().ask({"limits": 1}))["limits"]
    assert {row["name"] for row in rows} == CASES.keys() | ELSEWHERE.keys()
    assert not CASES.keys() & ELSEWHERE.keys()


@pytest.mark.parametrize("name", CASES)
async def test_it_is_named_where_it_is_exceeded(name: str) -> None:
    settings, exceed = CASES[name]
    async with limited(**settings) as world:
        rows = (await world.connect(address="10.9.9.9").ask({"limits": 1}))["limits"]
        [limit] = [row for row in rows if row["name"] == name]
        async with asyncio.timeout(120):
            text = await exceed(world)
    assert str(limit["value"]) in text.replace(",", ""), (limit, text)
