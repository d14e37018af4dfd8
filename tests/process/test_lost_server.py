"""A gateway whose PostgreSQL server is restarted, or crashes, while its clients trade."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scopegate.store import postgresql as engine
from tests import books, postgresql
from tests.effort import cases
from tests.process.client_steps import BUY_FOR_AN_HOUR
from tests.served import PATIENCE, Served, SocketClient

pytestmark = pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing())


@pytest.fixture
def cluster() -> Iterator[postgresql.PostgresqlServer]:
    with postgresql.server_of_its_own() as made:
        yield made


@pytest.fixture
def gateway(tmp_path: Path, cluster: postgresql.PostgresqlServer) -> Iterator[Served]:
    server = cluster.server("postgres")
    with Served(tmp_path, "--store", server.url, "--seed", "tests") as running:
        yield running


async def bought(client: SocketClient) -> dict[str, Any]:
    """Buy as soon as that works."""
    async with asyncio.timeout(PATIENCE):
        while True:
            reply = await client.ask(BUY_FOR_AN_HOUR)
            if "error" not in reply:
                found: dict[str, Any] = reply["buy"]
                return found
            assert reply["error"]["code"] == "StorageUnavailable"
            await client.next()  # a tick


@pytest.mark.lengthy
@pytest.mark.parametrize("number", cases([signal.SIGINT, signal.SIGQUIT], [signal.SIGQUIT]))
async def test_what_was_acknowledged_outlives_a_server_that_ends(
    gateway: Served, cluster: postgresql.PostgresqlServer, number: int
) -> None:
    async with gateway.connected() as client, gateway.connected() as public:
        await client.authorize(gateway.token)
        for each in (client, public):
            await each.ask({"ticks": "1HZ100V", "subscribe": 1})
        acknowledged = [await bought(client) for _ in range(20)]
        cluster.stop(number)
        # What needs the database is refused at once, and everything else goes on.
        for request in (BUY_FOR_AN_HOUR, {"statement": 1}):
            async with asyncio.timeout(5):
                reply = await client.ask(request)
            assert reply["error"]["code"] == "StorageUnavailable"
        for _ in range(3):
            assert "tick" in await client.next()
            # Half a second later, nobody is served who is signed in: the token may be revoked.
            assert "error" not in await public.ask({"ping": 1})
        cluster.start()
        acknowledged.append(await bought(client))
        held = (await client.ask({"portfolio": 1}))["portfolio"]["contracts"]
    assert {each["contract_id"] for each in acknowledged} <= {each["contract_id"] for each in held}
    await asyncio.to_thread(gateway.stop)
    assert engine.run_once(cluster.server("postgres"), books.mistakes) == []
    assert "Traceback" not in gateway.stderr
