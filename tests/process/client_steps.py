"""What clients do at gateways of several processes, whichever processes those are."""

import asyncio
import contextlib
import http.client
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from scopegate.gateway.access.codes import challenge_of
from tests.served import PATIENCE, SocketClient

BUY_FOR_AN_HOUR: dict[str, Any] = {
    "buy": "1",
    "price": 10,
    "parameters": {
        "amount": 1,
        "basis": "stake",
        "contract_type": "CALL",
        "currency": "USD",
        "duration": 1,
        "duration_unit": "h",
        "symbol": "1HZ100V",
    },
}
"""The purchase of a contract that outlives a test."""
CALL = {"contract_type": "CALL", "symbol": "R_100", "currency": "USD", "basis": "stake"}

PLUGIN = """
from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from scopegate import Bus, Channel, Plugin, Request, Session, Siblings, Stream, call


class Line(TypedDict):
    text: str


class SayReply(TypedDict):
    say: int


class Message(TypedDict):
    chat: Line


class Say(Request):
    \"\"\"Send a message to everybody.\"\"\"

    say: str = Field(description="What to say.", examples=["hello"])


class Listen(Request):
    \"\"\"Listen to all messages.\"\"\"

    chat: Literal[1] = Field(description="Must be 1.")


class Chat:
    \"\"\"Messages to everybody.\"\"\"

    def __init__(self, bus: Bus, siblings: Siblings) -> None:
        self._messages = Channel(bus, "chat", Line)
        self._siblings = siblings
        siblings.on("chat", lambda sender, line: self._messages.publish("all", line))

    @call("say", needs=None)
    async def say(self, request: Say, session: Session) -> SayReply:
        \"\"\"Send a message to everybody.\"\"\"
        line: Line = {"text": request.say}
        self._messages.publish("all", line)
        self._siblings.send("chat", line)
        return {"say": 1}

    @call("chat", needs=None)
    async def chat(self, request: Listen, session: Session) -> Stream[Message]:
        \"\"\"Get all messages from now on.\"\"\"
        return self._messages.stream("all", {"chat": {"text": ""}})
"""


async def until(client: SocketClient, msg_type: str) -> dict[str, Any]:
    """The next message of this kind that the client gets."""
    while (message := await client.next())["msg_type"] != msg_type:
        pass
    return message


async def can_be_sold(client: SocketClient, contract_id: int) -> None:
    """Wait until a contract has begun."""
    watched = {"proposal_open_contract": 1, "contract_id": contract_id, "subscribe": 1}
    told = (await client.ask(watched))["proposal_open_contract"]
    while not told["is_valid_to_sell"]:
        told = (await until(client, "proposal_open_contract"))["proposal_open_contract"]


async def sell(client: SocketClient, contract_id: int) -> dict[str, Any]:
    """Sell a contract once it has begun."""
    await can_be_sold(client, contract_id)
    return await client.ask({"sell": contract_id, "price": 0})


async def check_done_once(clients: Sequence[SocketClient]) -> None:
    """Let clients of one account race with the same requests, each under its key."""
    key = str(uuid.uuid4())
    order = {**CALL, "amount": 1, "duration": 1, "duration_unit": "d"}
    bought = await clients[0].ask({"buy": 1, "price": 10, "parameters": order})
    contract_id = bought["buy"]["contract_id"]
    await can_be_sold(clients[0], contract_id)
    sale: dict[str, Any] = {"sell": contract_id, "price": 0}
    creation: dict[str, Any] = {"token_create": 1, "name": f"Once {key[:8]}", "scopes": ["read"]}
    for request in (sale, creation):
        keyed = {**request, "passthrough": {"idempotency_key": key}}
        replies = await asyncio.gather(
            *(client.ask(keyed) for client in clients for _ in range(10))
        )
        [call] = {reply["msg_type"] for reply in replies}
        assert not any("error" in reply for reply in replies), replies
        assert all(reply[call] == replies[0][call] for reply in replies)


async def sign_in(owner: SocketClient) -> None:
    """Sign in at the pages as the demo user."""
    signed_in = await owner.ask({"sign_in_demo": 1})
    held = [account["token"] for account in signed_in["sign_in_demo"]["accounts"]]
    await owner.ask({"authorize": "MULTI", "tokens": held})


async def connect_app(
    owner: SocketClient, page: SocketClient, loginids: Sequence[str]
) -> tuple[int, str]:
    """Register an app at one page, and consent to it at another; its id and its token."""
    await sign_in(owner)
    await sign_in(page)
    registered = await owner.ask(
        {"app_register": 1, "name": "Two processes", "scopes": ["read"]}
        | {"redirect_uri": "https://example.com/here"}
    )
    app_id = registered["app_register"]["app_id"]
    agreed = await page.ask(
        {"consent": 1, "query": f"app_id={app_id}", "scopes": ["read"]}
        | {"returns_to": "https://example.com", "loginids": list(loginids)}
    )
    query = dict(parse_qsl(urlsplit(agreed["consent"]["redirect_to"]).query))
    return app_id, query["token1"]


async def is_disconnected(owner: SocketClient, app: SocketClient, app_id: int, token: str) -> None:
    """Sign an app in, and have its owner disconnect it: it loses its access at once."""
    await app.authorize(token)
    await app.ask({"balance": 1, "subscribe": 1})
    [listed] = (await owner.ask({"connected_apps": 1}))["connected_apps"]
    assert (listed["app_id"], listed["live_connections"]) == (app_id, 1)
    revoked = (await owner.ask({"revoke_access": app_id}))["revoke_access"]
    assert revoked["signed_out"] == 1
    assert (await until(app, "balance"))["error"]["code"] == "InvalidToken"
    assert await app.refused({"balance": 1}) == "AuthorizationRequired"


async def code_form(
    owner: SocketClient, loginids: Sequence[str], name: str = "Code app"
) -> dict[str, Any]:
    """The form with which an app exchanges a code that the owner has given it."""
    verifier = "v" * 43
    await sign_in(owner)
    registered = await owner.ask(
        {"app_register": 1, "name": name, "scopes": ["read"]}
        | {"redirect_uri": "https://example.com/code"}
    )
    app_id = registered["app_register"]["app_id"]
    asked = {
        "response_type": "code",
        "client_id": app_id,
        "redirect_uri": "https://example.com/code",
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
        "scope": "read",
    }
    agreed = await owner.ask(
        {"consent": 1, "query": urlencode(asked), "scopes": ["read"]}
        | {"loginids": list(loginids), "returns_to": "https://example.com"}
    )
    return {
        "grant_type": "authorization_code",
        "code": dict(parse_qsl(urlsplit(agreed["consent"]["redirect_to"]).query))["code"],
        "client_id": app_id,
        "redirect_uri": asked["redirect_uri"],
        "code_verifier": verifier,
    }


def posted(page: str, form: dict[str, Any]) -> int:
    """The status of a code that is exchanged over a connection of its own."""
    parts = urlsplit(page)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/oauth2/token", urlencode(form), kind)
        return connection.getresponse().status


async def check_one_market(clients: Sequence[SocketClient]) -> None:
    """All have the same ticks and the same time, at 20 times the speed of the clock on the wall."""
    ticks: list[dict[int, float]] = [{} for _ in clients]

    async def read_tick(client: SocketClient, seen: dict[int, float]) -> None:
        tick = (await until(client, "tick"))["tick"]
        seen[tick["epoch"]] = tick["quote"]

    def common() -> set[int]:
        return set.intersection(*(set(seen) for seen in ticks))

    for client in clients:
        await client.ask({"ticks": "R_100"})
    while len(common()) < 20:
        for client, seen in zip(clients, ticks, strict=True):
            await read_tick(client, seen)
    for epoch in common():
        assert len({seen[epoch] for seen in ticks}) == 1
    # A slow machine answers late, so the time of the others is asked for in between.
    for other in clients[1:]:
        earlier, between, later = [
            (await client.ask({"time": 1}))["time"] for client in (clients[0], other, clients[0])
        ]
        assert earlier - 10 < between < later + 10  # half a second at this speed
