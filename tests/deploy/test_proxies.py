"""The proxies of `deploy/` in front of a gateway: pages, WebSockets, addresses, idle streams."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.frames import Opcode

from scopegate.gateway.calls.limits import PING_AFTER
from tests.deploy.proxies import DEPLOY, PROXIES, SHORT_TIMEOUT, TIMEOUT, Proxy
from tests.served import PATIENCE, Served

pytestmark = pytest.mark.sqlite  # proxies know nothing of the database

FORGED = "203.0.113.9"
MANY = 30
"""More requests than an address may make in a minute here."""


def serving(folder: Path, *options: str) -> Served:
    """A gateway with the settings of `deploy/`."""
    settings = {"SCOPEGATE_SETTINGS": str(DEPLOY / "settings.toml")}
    return Served(folder, "--seed", "tests", "--demo", *options, settings=settings)


def address_of(gateway: Served) -> str:
    return urlsplit(gateway.url).netloc


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = ("--ping-after", "1", "--http-per-minute", str(MANY // 3))
    with serving(tmp_path_factory.mktemp("gateway"), *options) as served:
        yield served
        assert served.stop() == 0
        levels = set(re.findall(r"level=(\w+)", served.stderr))
        assert levels <= {"info"}, served.stderr


def each(*kinds: type[Proxy]) -> list[Any]:
    """These proxies as parameters; those that are not installed are skipped."""
    return [
        pytest.param(
            kind,
            id=kind.package,
            marks=pytest.mark.skipif(
                kind.program() is None,
                reason=f"{kind.package} is not installed: apt-get install {kind.package}",
            ),
        )
        for kind in kinds
    ]


@pytest.fixture(scope="module", params=each(*PROXIES))
def proxy(
    request: pytest.FixtureRequest, gateway: Served, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    made: Proxy = request.param(tmp_path_factory.mktemp("proxy"), address_of(gateway))
    with made.running():
        yield made


def through(proxy: Proxy, address: str = "127.0.0.1", **options: Any) -> dict[str, Any]:
    """How a client connects to a proxy, from this address of the machine."""
    return {
        "url": proxy.url,
        "host": "127.0.0.1",
        "port": proxy.port,
        "ssl": proxy.trusting,
        "local_addr": (address, 0),
        "proxy": None,
        **options,
    }


def test_pages_are_served_over_one_connection(proxy: Proxy) -> None:
    with closing(proxy.page()) as connection:
        for path, kind in (("/", "text/html"), ("/assets/style.css", "text/css")):
            status, found, body = connection.get(path)
            assert (status, found) == (200, kind)
            assert len(body) > 1000
        assert connection.get("/readyz") == (200, "text/plain", b"ready\n")


async def test_a_websocket_signs_in_and_gets_ticks(gateway: Served, proxy: Proxy) -> None:
    async with gateway.connected(**through(proxy)) as client:
        await client.authorize(gateway.token)
        assert "error" not in await client.ask({"ticks": "1HZ100V", "subscribe": 1})
        for _ in range(2):
            assert (await client.next())["tick"]["symbol"] == "1HZ100V"
        # Links that a client gets have the scheme by which it has come.
        cashier = (await client.ask({"cashier": "deposit"}))["cashier"]
        assert cashier.startswith("https://trade.example.com")


async def test_the_address_is_the_clients_and_not_a_forged_one(
    gateway: Served, proxy: Proxy
) -> None:
    headers = {
        "X-Forwarded-For": FORGED,
        "X-Real-IP": FORGED,
        "Forwarded": f"for={FORGED}",
    }
    how = through(proxy, "127.0.0.2", additional_headers=headers)
    async with gateway.connected(**how) as client:
        asked = {"authorize": gateway.token, "add_to_login_history": 1}
        assert "error" not in await client.ask(asked)
        latest, *_ = (await client.ask({"login_history": 1}))["login_history"]
        assert latest["environment"].startswith("IP=127.0.0.2 ")


@pytest.mark.lengthy
def test_limits_count_the_client_and_not_a_forged_address(proxy: Proxy) -> None:
    def status(address: str, forged: str) -> int:
        with closing(proxy.page(address)) as connection:
            return connection.get("/nothing", X_Forwarded_For=forged)[0]

    own = f"127.0.1.{1 + PROXIES.index(type(proxy))}"
    found = [status(own, f"203.0.113.{number}") for number in range(MANY)]
    assert found[0] == 404
    assert 429 in found
    assert status("127.0.2.1", FORGED) == 404


class Pinged(ClientConnection):
    """A client that is told of each ping of the gateway."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pings: asyncio.Queue[None] = asyncio.Queue()

    def process_event(self, event: Any) -> None:
        super().process_event(event)
        if getattr(event, "opcode", None) is Opcode.PING:
            self.pings.put_nowait(None)


@pytest.mark.lengthy
async def test_an_idle_stream_outlasts_the_timeout_of_the_proxy(
    gateway: Served, proxy: Proxy
) -> None:
    loop = asyncio.get_running_loop()
    how = through(proxy, ping_interval=None, create_connection=Pinged)
    async with gateway.connected(**how) as client, asyncio.timeout(PATIENCE):
        await client.authorize(gateway.token)
        assert "error" not in await client.ask({"transaction": 1, "subscribe": 1})
        began = loop.time()
        while loop.time() < began + 2 * SHORT_TIMEOUT:
            await client._socket.pings.get()
        assert (await client.ask({"ping": 1}))["ping"] == "pong"


CUTTING = [kind for kind in PROXIES if kind.cuts_silent_connections]


@pytest.mark.lengthy
@pytest.mark.parametrize("kind", each(*CUTTING))
async def test_without_pings_a_proxy_cuts_an_idle_stream(kind: type[Proxy], tmp_path: Path) -> None:
    """So the timeout of the test before this one is what is waited for there."""
    assert PING_AFTER > SHORT_TIMEOUT
    with serving(tmp_path) as gateway:
        (tmp_path / "proxy").mkdir()
        with kind(tmp_path / "proxy", address_of(gateway)).running() as proxy:
            async with gateway.connected(**through(proxy, ping_interval=None)) as client:
                await client.ask({"ping": 1})
                code, _ = await asyncio.wait_for(client.ended(), PATIENCE)
                assert code == 1006
        assert gateway.stop() == 0


def test_pings_come_before_the_timeouts_of_the_files() -> None:
    assert 2 * PING_AFTER < TIMEOUT
