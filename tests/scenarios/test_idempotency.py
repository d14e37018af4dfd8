"""A request with an idempotency key has its effect once, however often it is sent."""

import asyncio
import pickle
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from scopegate.app import compose
from scopegate.gateway.access import apps, guard
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.guard import Access, KeyedCheck
from scopegate.gateway.calls import idempotency
from scopegate.gateway.calls.idempotency import (
    OWN,
    SECRET,
    SECRET_KEY_LENGTH,
    AlreadyAnsweredError,
    Recorder,
    keyed_request,
)
from scopegate.gateway.calls.registry import AT_PAGES, OPERATOR, OWNER
from scopegate.gateway.web.oauth_metadata import DEVICE_AUTHORIZATION
from scopegate.handlers.exchange.trading_calls import _sell_reply
from scopegate.retention import Retention
from scopegate.runtime.clock import HandClock
from scopegate.settings import Settings
from scopegate.store.sqlite import SqliteStore
from scopegate.store.transactions import Snapshot
from scopegate.testing import NOON, Mailbox, MemoryClient, World
from tests.oauth_flows import app_flow
from tests.process.trading_mutants import recorded_afterwards
from tests.published.scenes import ACCOUNTS, OFFERED, RISE, SCENES, a_token_of_the_operator
from tests.published.scenes import OWN as OF_PAGES
from tests.stores import ON_POSTGRESQL

Request = dict[str, Any]

KEYED = sorted(name for name, call in OFFERED.items() if call.idempotency is not None)
RECORDED = sorted(name for name, call in OFFERED.items() if call.records_replies)
WRITING = frozenset({"admin", "payments", "trade"})
REPEATABLE: Mapping[str, str] = {
    "authorize": "It changes only the connection.",
    "copytrading_list": "It only reads.",
    "fault_list": "It only reads.",
    "logout": "It changes only the connection.",
    "operator_sign_in": "It changes only the connection.",
    "paymentagent_details": "It only reads.",
    "sign_in": "Another sign-in, which expires, changes nothing for other clients.",
    "sign_in_demo": "As for `sign_in`.",
    "sign_out": "It ends the token that it is made with, so a repetition shows that it was done.",
    "verify_email": "Another code is sent; all of them are valid.",
}
"""Calls that take no key although they write or need a scope for changes, each with the reason."""
READING = {
    *("activity", "audit_trail", "connected_apps", "consent_request", "operator_overview"),
    *("page_info", "token_list"),
}
"""Calls of the pages that only read."""
RACING = 20
IN_PARTS = {"buy_contract_for_multiple_accounts", "sell_contract_for_multiple_accounts"}

_BOOKKEEPING = re.compile(
    r"\b(token_uses|daily_authorizations|sign_ins|last_used_at|commits|last_batch|meta"
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
    *("token_uses", "daily_authorizations", "sign_ins", "last_batch"),
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


RACED: Mapping[str, Request] = {
    # A proposal belongs to one connection.
    "buy": {"buy": 1, "price": 100, "parameters": RISE},
    "buy_contract_for_multiple_accounts": {
        "buy_contract_for_multiple_accounts": 1,
        "parameters": RISE,
        "price": 100,
    },
}
WRITES_NOTHING = {"consent_refuse"}
"""Calls that write nothing in their scene."""


@pytest.mark.parametrize("name", KEYED)
async def test_a_request_that_is_raced_is_done_once(world: World, name: str) -> None:
    clients, client, request = await ready(world, name)
    request |= RACED.get(name, {})
    racing = [client, *[await clients.connect() for _ in range(RACING - 1)]]
    before = await state(world)
    replies = await asyncio.gather(*(each.ask(request) for each in racing))
    bodies = [body_of(reply) for reply in replies]
    if name == "revoke_access":  # it signed out others as well, of which the first reply tells
        for body in bodies:
            del body[name]["signed_out"]
    assert all(body == bodies[0] for body in bodies)
    new = len((await state(world))["recorded_replies"]) - len(before["recorded_replies"])
    expected = 1 + len(request["tokens"]) if name in IN_PARTS else 1
    assert new == (expected if name in RECORDED and name not in WRITES_NOTHING else 0)


def test_every_call_that_changes_something_takes_a_key_or_need_not() -> None:
    changing = {
        name
        for name, call in OFFERED.items()
        if call.scopes & WRITING or call.audience in (AT_PAGES, OPERATOR, OWNER)
    }
    reading = {name for name in changing if OFFERED[name].audience and name in READING}
    without = {name for name, call in OFFERED.items() if call.idempotency is None}
    assert changing & without == (REPEATABLE.keys() & changing) | reading
    assert REPEATABLE.keys() <= without


@pytest.mark.sqlite
@pytest.mark.parametrize("name", sorted(OFFERED))
async def test_the_reply_is_recorded_with_what_was_done(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also for calls that take no key: those write nothing, or are in the list of exceptions."""
    _, client, request = await ready(world, name)
    commits = await Commits.of(world, monkeypatch)
    assert "error" not in await client.ask(request)
    if name in RECORDED:
        assert commits.without_reply() == []
        assert commits.found or name in WRITES_NOTHING
    elif name not in REPEATABLE and OFFERED[name].idempotency is not OWN:
        assert commits.found == []


@pytest.mark.sqlite
@pytest.mark.parametrize("name", RECORDED)
async def test_a_request_without_a_key_costs_nothing_more(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _, client, request = await ready(world, name)
    del request["passthrough"]
    commits = await Commits.of(world, monkeypatch)
    assert "error" not in await client.ask(request)
    assert not any("recorded_replies" in statement for statement in commits.statements)


@pytest.mark.sqlite
async def test_a_reply_that_is_recorded_too_late_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A faulty gateway, which records in a second transaction, fails the test above."""

    monkeypatch.setattr(Access, "write_reply", Access.write_reply)  # undone after the test
    recorded_afterwards()
    _, client, request = await ready(world, "app_register")
    commits = await Commits.of(world, monkeypatch)
    assert "error" not in await client.ask(request)
    assert commits.without_reply()


class Commits:
    """What a world's store commits, and every statement that it runs."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.found: list[list[str]] = []
        """The statements of each transaction that changed something."""
        self._open: list[str] = []

    @classmethod
    async def of(cls, world: World, patch: pytest.MonkeyPatch) -> "Commits":
        """Watch the store of a world."""
        patch.setattr(guard, "FLUSH", 3600.0)
        await world.gateway.access.records.flush()
        made, store = cls(), world.gateway.store
        assert isinstance(store, SqliteStore)
        await store._writer.run(lambda writer: writer.set_trace_callback(made._written))
        await store._reader.run(lambda reader: reader.set_trace_callback(made.statements.append))
        return made

    def _written(self, statement: str) -> None:
        self.statements.append(statement)
        if statement.startswith("BEGIN"):
            self._open = []
        elif statement == "COMMIT":
            if self._open:
                self.found.append(self._open)
            self._open = []
        elif re.match(r"INSERT|UPDATE|DELETE", statement) and not _BOOKKEEPING.search(statement):
            self._open.append(statement)

    def without_reply(self) -> list[list[str]]:
        """The transactions that changed something without a reply."""
        return [
            commit
            for commit in self.found
            if not any("INTO recorded_replies" in statement for statement in commit)
        ]


async def app_client(world: World, app: App, *scopes: str) -> MemoryClient:
    client = world.connect(app_id=app.id)
    await client.authorize(await world.token(*scopes, app=app))
    return client


async def signed_in(world: World, *scopes: str) -> MemoryClient:
    client = world.connect()
    await client.authorize(await world.token(*scopes))
    return client


KEY = "0b0a5c4e-6d1f-4d55-9a53-6a7e2c1d9f10"
REGISTER: Request = {"app_register": 1, "name": "Made once", "scopes": ["read"]}


async def test_another_request_under_the_key_is_refused(world: World) -> None:
    client = await signed_in(world)
    await client.ask(keyed(REGISTER, KEY))
    before = await state(world)
    other = keyed(REGISTER | {"name": "Another"}, KEY)
    assert await client.refused(other) == "IdempotencyKeyReused"
    assert await state(world) == before
    # A key belongs to one call.
    assert "error" not in await client.ask(keyed({"set_settings": 1, "email_consent": 1}, KEY))


async def test_two_requests_that_race_for_a_key_are_one_and_a_refusal(world: World) -> None:
    clients = [await signed_in(world) for _ in range(RACING)]
    replies = await asyncio.gather(
        *(
            client.ask(keyed(REGISTER | {"name": f"App {number % 2}"}, KEY))
            for number, client in enumerate(clients)
        )
    )
    refused = [reply["error"]["code"] for reply in replies if "error" in reply]
    assert refused == ["IdempotencyKeyReused"] * (RACING // 2)
    made = {reply["app_register"]["app_id"] for reply in replies if "error" not in reply}
    assert len(made) == 1


async def test_another_key_is_another_request(world: World) -> None:
    client = await signed_in(world)
    first, second = [
        await client.ask(keyed({"api_token": 1, "new_token": name, "new_token_scopes": ["read"]}))
        for name in ("One", "Two")
    ]
    assert len(first["api_token"]["tokens"]) + 1 == len(second["api_token"]["tokens"])


async def test_a_refused_request_has_not_used_its_key(world: World) -> None:
    client = await signed_in(world)
    request = keyed({"topup_virtual": 1}, KEY)
    assert await client.refused(request) == "TopupVirtualError"
    await world.credit(-100)
    assert (await client.ask(request))["topup_virtual"]["amount"] == 1
    await world.credit(-200)
    assert (await client.ask(request))["topup_virtual"]["amount"] == 1


async def test_an_app_does_not_get_the_reply_of_another(world: World) -> None:
    one, other = [await world.app("admin", "read") for _ in range(2)]
    first = await (await app_client(world, one, "admin")).ask(keyed(REGISTER, KEY))
    client = await app_client(world, other, "admin")
    assert await client.refused(keyed(REGISTER, KEY)) == "AppRegister"  # the name is taken
    renamed = keyed(REGISTER | {"name": "Its own"}, KEY)
    own = await client.ask(renamed)
    assert own["app_register"]["app_id"] != first["app_register"]["app_id"]
    # Neither does the owner, nor the app for another account.
    assert await (await signed_in(world)).refused(keyed(REGISTER, KEY)) == "AppRegister"
    # The same app gets it with another of its tokens.
    again = await (await app_client(world, one, "admin")).ask(keyed(REGISTER, KEY))
    assert body_of(again) == body_of(first)


async def test_only_who_may_make_the_call_gets_the_reply(world: World) -> None:
    client = await signed_in(world, "admin")
    assert "error" not in await client.ask(keyed(REGISTER, KEY))
    reader = await signed_in(world, "read")
    assert await reader.refused(keyed(REGISTER, KEY)) == "PermissionDenied"
    text = await world.token("admin")
    other = world.connect()
    await other.authorize(text)
    assert "error" not in await client.ask({"api_token": 1, "delete_token": text})
    assert await other.refused(keyed(REGISTER, KEY)) == "AuthorizationRequired"


@pytest.mark.parametrize(
    "name", sorted(name for name, call in OFFERED.items() if call.idempotency is SECRET)
)
async def test_a_call_with_a_secret_needs_a_long_key(world: World, name: str) -> None:
    _, client, request = await ready(world, name)
    before = await state(world)
    reply = await client.ask(keyed(request, "k" * (SECRET_KEY_LENGTH - 1)))
    assert reply["error"]["code"] == "InputValidationFailed"
    assert "UUID" in reply["error"]["details"]["passthrough"]
    assert await state(world) == before


@pytest.mark.parametrize("wrong", ["", " ", "k" * 65, 17, ["k"], "clé"])
async def test_a_key_that_is_none_is_refused(world: World, wrong: object) -> None:
    client = await signed_in(world)
    request = {**REGISTER, "passthrough": {"idempotency_key": wrong}}
    error = (await client.ask(request))["error"]
    assert error["code"] == "InputValidationFailed"
    assert "printable ASCII characters, without spaces" in error["details"]["passthrough"]


@pytest.mark.parametrize("name", ["api_token", "app_secret", "new_account_real", "token_create"])
async def test_the_database_shows_nothing_of_a_reply(world: World, name: str) -> None:
    _, client, request = await ready(world, name)
    reply = await client.ask(request)
    [secret] = {
        text
        for text in re.findall(r"[A-Za-z0-9_-]{28,}", str(body_of(reply)))
        if text != request["passthrough"]["idempotency_key"]
    }
    stored = str(await state(world))
    assert secret not in stored
    assert request["passthrough"]["idempotency_key"] not in stored


@pytest.mark.parametrize(
    "name", sorted(name for name, call in OFFERED.items() if call.idempotency is OWN)
)
async def test_the_database_shows_no_key(world: World, name: str) -> None:
    _, client, request = await ready(world, name)
    assert "error" not in await client.ask(request)
    assert request["passthrough"]["idempotency_key"] not in str(await state(world))


async def test_what_is_done_for_several_accounts_is_done_once_for_each(world: World) -> None:
    client = await signed_in(world, "trade")
    good, late = await world.token("trade"), await world.token("read")
    request = keyed(
        {
            "buy_contract_for_multiple_accounts": 1,
            "price": 100,
            "parameters": RISE,
            "tokens": [good, late],
        },
        KEY,
    )
    first = (await client.ask(request))["buy_contract_for_multiple_accounts"]["result"]
    assert [result.get("code") for result in first] == [None, "PermissionDenied"]
    before = await state(world)
    second = (await client.ask(request))["buy_contract_for_multiple_accounts"]["result"]
    assert second == first
    assert await state(world) == before
    dearer = request | {"price": 200}
    assert await client.refused(dearer) == "IdempotencyKeyReused"


async def test_a_purchase_for_several_outlives_its_proposal(world: World) -> None:
    clients, client, request = await ready(world, "buy_contract_for_multiple_accounts")
    first = await client.ask(request)
    again = await (await clients.connect()).ask(request)
    assert body_of(again) == body_of(first)
    unknown = keyed(request)
    assert await client.refused(unknown) == "InvalidContractProposal"


async def test_a_device_is_refused_once(world: World) -> None:
    async with app_flow(world, "read") as flow:
        app = await world.gateway.store.write(
            lambda done: apps.set_device_flow(done, flow.app, on=True)
        )
        asked = await flow.post(DEVICE_AUTHORIZATION, client_id=app.id)
        query = urlencode({"user_code": asked.json()["user_code"]})
        request = keyed({"consent_refuse": 1, "query": query})
        first = await (await world.owner()).ask(request)
        again = await (await world.owner()).ask(request)
        assert body_of(again) == body_of(first)
        assert await (await world.owner()).refused(keyed(request)) == "ConsentRefused"


async def test_a_reply_is_there_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(db=tmp_path / "scopegate.db", seed="restart")
    replies = []
    for text in ("", "again"):
        clock, mail = HandClock(NOON), Mailbox()
        async with compose(settings, clock=clock, mail=mail) as gateway:
            world = await World.around(gateway, clock, mail)
            client = world.connect()
            assert gateway.demo is not None
            await client.authorize(gateway.demo.token)
            replies.append(await client.ask(keyed(REGISTER, KEY) | {"req_id": len(text)}))
    assert body_of(replies[0]) == body_of(replies[1])


async def test_the_latest_replies_of_an_owner_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_OF_OWNER", 3)
    client = await signed_in(world, "admin")
    requests = [
        keyed({"set_settings": 1, "email_consent": number % 2}, f"{number}".rjust(40, "k"))
        for number in range(5)
    ]
    for request in requests:
        assert "error" not in await client.ask(request)
    before = (await state(world))["recorded_replies"]
    await world.service(Retention).purge()
    after = (await state(world))["recorded_replies"]
    assert (len(before), len(after)) == (5, 3)
    other = requests[0] | {"email_consent": 1}
    assert "error" not in await client.ask(other)  # its key is free again
    assert await client.refused(requests[4] | {"email_consent": 1}) == "IdempotencyKeyReused"


def test_what_records_a_reply_can_be_sent_to_the_writer_process() -> None:
    request = keyed_request("CR900001", "sell", KEY, {"sell": 7, "price": 0})
    closing = (KeyedCheck(5, request), Recorder(request, _sell_reply))
    assert pickle.loads(pickle.dumps(closing)) == closing
    answered = pickle.loads(pickle.dumps(AlreadyAnsweredError({"sell": 1})))
    assert answered.reply == {"sell": 1}
