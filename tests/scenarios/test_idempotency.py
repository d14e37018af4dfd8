"""A request with an idempotency key has its effect once, however often it is sent."""

import asyncio
import re
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from scopegate.gateway.access import guard
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.idempotency import OWN, SECRET_KEY_LENGTH
from scopegate.store.transactions import Snapshot
from scopegate.testing import MemoryClient, World
from tests.published.scenes import (
    ACCOUNTS,
    OFFERED,
    SCENES,
    a_token_of_the_operator,
)
from tests.published.scenes import OWN as OF_PAGES
from tests.stores import ON_POSTGRESQL

Request = dict[str, Any]

KEYED = sorted(name for name, call in OFFERED.items() if call.idempotency is not None)
RECORDED = sorted(name for name, call in OFFERED.items() if call.records_replies)
WRITING = frozenset({"admin", "payments", "trade"})
REPEATABLE: Mapping[str, str] = {
    "authorize": "It changes only the connection.",
    "copytrading_list": "It only reads.",
    "logout": "It changes only the connection.",
    "operator_overview": "It only reads.",
    "operator_sign_in": "It changes only the connection.",
    "paymentagent_details": "It only reads.",
    "sign_in": "Another sign-in, which expires, changes nothing for other clients.",
    "sign_in_demo": "As for `sign_in`.",
    "sign_out": "It ends the token that it is made with, so a repetition shows that it was done.",
    "verify_email": "Another code is sent; all of them are valid.",
}
"""Calls with a scope that allows changes, or that write, which take no key, each with the reason."""
IN_PARTS = {"buy_contract_for_multiple_accounts", "sell_contract_for_multiple_accounts"}

_BOOKKEEPING = re.compile(
    r"\b(token_uses|daily_authorizations|sign_ins|last_used_at|commits|audit_records|last_batch"
    r"|changes)\b"
)


def keyed(request: Request, key: str | None = None) -> Request:
    """The request under a key, by default a new one."""
    return request | {"passthrough": {"idempotency_key": key or str(uuid.uuid4())}}


class Clients:
    """Connects clients that can make one call: each as the same account, with its own token."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self._loginid: str | None = None

    async def connect(self) -> MemoryClient:
        world, name = self._world, self._name
        if name in OF_PAGES:
            client = await world.owner()
            if name.startswith("operator_"):
                await client.ask(await a_token_of_the_operator(world, client))
            return client
        client = world.connect()
        if self._loginid is None and name in ACCOUNTS:
            self._loginid = await ACCOUNTS[name](world)
        await client.authorize(await world.token(loginid=self._loginid))
        return client


async def ready(world: World, name: str) -> tuple[Clients, MemoryClient, Request]:
    """Clients that can make a call, one of them, and its request under a new key."""
    clients = Clients(world, name)
    client = await clients.connect()
    return clients, client, keyed(await SCENES[name](world, client))


def body_of(reply: Mapping[str, Any]) -> dict[str, Any]:
    """A reply without what belongs to the request and its stream."""
    assert "error" not in reply, reply["error"]
    left_out = {"echo_req", "passthrough", "req_id", "subscription"}
    return {name: value for name, value in reply.items() if name not in left_out}


_TABLES = (
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()"
    if ON_POSTGRESQL
    else "SELECT name FROM sqlite_master WHERE type = 'table'"
)
_UNCOMPARED = {
    *("token_uses", "daily_authorizations", "sign_ins", "audit", "audit_records", "last_batch"),
    *("changes", "sqlite_sequence", "meta"),
}


async def state(world: World) -> dict[str, list[str]]:
    """Every row of the database, but for those that each message or sign-in changes."""

    def job(reader: Snapshot) -> dict[str, list[str]]:
        names = sorted(row["name"] for row in reader.all(_TABLES))
        return {
            name: sorted(
                repr([(key, row[key]) for key in row.keys() if not key.startswith("last_used")])  # noqa: SIM118 - not a dict
                for row in reader.all(f"SELECT * FROM {name}")  # noqa: S608 - a table's name
            )
            for name in names
            if name not in _UNCOMPARED
        }

    return await world.gateway.store.read(job)


@pytest.mark.parametrize("name", KEYED)
async def test_a_repeated_request_gets_its_reply(world: World, name: str) -> None:
    clients, client, request = await ready(world, name)
    first = await client.ask(request)
    client.leave()
    again = await clients.connect()
    before = await state(world)
    repeated = await again.ask(request | {"req_id": 7})
    assert body_of(repeated) == body_of(first)
    assert repeated["req_id"] == 7
    assert await state(world) == before


@pytest.mark.parametrize("name", KEYED)
async def test_a_request_that_is_raced_is_done_once(world: World, name: str) -> None:
    clients, client, request = await ready(world, name)
    if name == "buy":  # a proposal belongs to one connection
        others = [client] * 20
    else:
        others = [await clients.connect() for _ in range(4)]
    before = await state(world)
    replies = [
        body_of(reply)
        for reply in await asyncio.gather(
            *(each.ask(request) for each in others for _ in range(1 if name == "buy" else 5))
        )
    ]
    after = await state(world)
    assert all(reply == replies[0] for reply in replies)
    new = set(after["recorded_replies"]) - set(before["recorded_replies"])
    expected = 1 + len(request["tokens"]) if name in IN_PARTS else 1
    assert len(new) == (expected if name in RECORDED else 0)
