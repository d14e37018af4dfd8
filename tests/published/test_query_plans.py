"""No call reads a whole table that grows: its statements find their rows by an index."""

import re
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from scopegate.exchange.desk import Desk
from scopegate.gateway.access import apps
from scopegate.gateway.web.oauth_metadata import (
    DEVICE_AUTHORIZATION,
    DEVICE_GRANT,
    INTROSPECT,
    REVOKE,
    TOKEN,
)
from scopegate.store.transactions import Snapshot
from scopegate.testing import World
from tests.oauth_flows import app_flow
from tests.published.scenes import OWN, SCENES, signed_in
from tests.scenarios.test_client_secrets import secret_of

pytestmark = pytest.mark.sqlite

_READS = re.compile(r"\s*(SELECT|UPDATE|DELETE|INSERT|WITH)\b", re.IGNORECASE)
FEW = {"email_codes", "payment_agents", "sqlite_sequence"}
"""Tables with few rows: codes of the last hour, which are limited, the operator's agents, and a row
for each table with numbered rows."""
NO_TABLES = {"CONSTANT", "closed", "family"}
"""What else a plan calls a scan: rows without a table, the latest closed contracts of an account,
and the tokens that a token created."""
_RETURNED = re.compile(r"(?<=\))\s+RETURNING [\w, *]+$")
_SCAN = re.compile(r"SCAN (\w+)")


def scanned(connection: sqlite3.Connection, statement: str) -> set[str]:
    """The tables that a statement reads from the first row to the last."""
    # With RETURNING, a plan also has checks of foreign keys that run only while one is violated.
    statement = _RETURNED.sub("", statement)
    details = [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    automatic = {detail for detail in details if "AUTOMATIC" in detail}  # an index for this once
    scans = {found[1] for detail in details if (found := _SCAN.search(detail))}
    return automatic | scans - FEW - NO_TABLES


async def statements_of(world: World, work: Callable[[], Awaitable[object]]) -> dict[str, set[str]]:
    """The tables that the statements of some work scan, by statement."""
    store, ran = world.gateway.store, set[str]()

    def listen(snapshot: Snapshot) -> None:
        snapshot._connection.set_trace_callback(ran.add)

    await store.write(listen)
    await store.read(listen)
    await work()

    def plans(reader: Snapshot) -> dict[str, set[str]]:
        reader._connection.set_trace_callback(None)
        return {
            " ".join(each.split()): tables
            for each in sorted(ran)
            if _READS.match(each) and (tables := scanned(reader._connection, each))
        }

    return await store.read(plans)


@pytest.mark.parametrize("name", SCENES)
async def test_no_call_scans_a_table(world: World, name: str) -> None:
    client = await world.owner() if name in OWN else await signed_in(world, to_make=name)
    request = await SCENES[name](world, client)

    async def make() -> None:
        assert "error" not in await client.ask(request)

    assert await statements_of(world, make) == {}


async def test_settling_and_recording_uses_scan_no_table(world: World) -> None:
    client = await signed_in(world, to_make="buy")
    request = await SCENES["buy"](world, client)
    await client.ask(request)

    async def settle_and_record() -> None:
        world.clock.advance(86_400)
        await world.gateway.service(Desk).settled()
        await world.gateway.access.records.flush()

    assert await statements_of(world, settle_and_record) == {}


@pytest.mark.lengthy
async def test_the_oauth_endpoints_scan_no_table(world: World) -> None:
    async with app_flow(world, "read") as flow:
        store = world.gateway.store
        await store.write(lambda job: apps.set_device_flow(job, flow.app, on=True))
        shown = {"client_id": flow.app.id, "client_secret": await secret_of(world, flow.app)}
        code = await flow.code()
        owner = await world.owner()
        devices = (await flow.post(DEVICE_AUTHORIZATION, **shown)).json()
        decision = {"returns_to": "", "scopes": ["read"], "loginids": [world.demo.loginid]}
        query = f"user_code={devices['user_code']}"

        async def tokens_for(**form: str) -> dict[str, Any]:
            response = await flow.post(TOKEN, **shown, **form)
            assert response.status_code == 200
            tokens: dict[str, Any] = response.json()
            return tokens

        async def all_of_them() -> None:
            got = (await flow.exchange(code, client_secret=shown["client_secret"])).json()
            for _ in range(3):
                old = got["refresh_token"]
                got = await tokens_for(grant_type="refresh_token", refresh_token=old)
            for text in (got["access_token"], got["refresh_token"]):
                await flow.post(INTROSPECT, **shown, token=text)
                await flow.post(REVOKE, **shown, token=text)
            await flow.post(DEVICE_AUTHORIZATION, **shown)
            device_code = {"grant_type": DEVICE_GRANT, "device_code": devices["device_code"]}
            await flow.post(TOKEN, **shown, **device_code)
            await owner.ask({"consent_request": 1, "query": query})
            await owner.ask({"consent": 1, "query": query, **decision})
            got = await tokens_for(**device_code)
            text = got["refresh_token"]
            await tokens_for(grant_type="refresh_token", refresh_token=text)
            again = {"grant_type": "refresh_token", "refresh_token": text}
            await flow.post(TOKEN, **shown, **again)  # ends the authorization

        assert await statements_of(world, all_of_them) == {}
