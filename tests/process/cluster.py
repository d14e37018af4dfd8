"""Several gateways of one PostgreSQL database, alone or behind a load balancer."""

import contextlib
import functools
import itertools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from scopegate.store.location import Server
from tests import leftovers, postgresql, stores
from tests.postgresql import free_port
from tests.served import PATIENCE, Served, SocketClient, fetch

HAPROXY_CONFIGURATION = Path(__file__).parents[2] / "examples" / "cluster" / "haproxy.cfg"


@functools.cache
def haproxy() -> str | None:
    """The load balancer HAProxy, if it is installed."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


@functools.cache
def missing() -> str:
    """Why no cluster can run here; empty if one can."""
    without_balancer = "" if haproxy() else "HAProxy is not installed: apt-get install haproxy"
    return postgresql.missing() or without_balancer


class Gateways:
    """Gateways of one database, of which a client chooses one."""

    def __init__(self, folder: Path, server: Server, *options: str) -> None:
        self.folder = folder
        self.server = server
        self.options = options
        self.program: tuple[str, ...] = ()
        """How gateways are started, where not as a module."""
        self.each: list[Served] = []
        self._numbers = itertools.count()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, server: Server | None = None, *options: str) -> Served:
        """Start a further gateway, perhaps on another way to the database."""
        folder = self.folder / str(next(self._numbers))
        folder.mkdir()
        location = ("--store", (server or self.server).url, "--store-unsafe")
        served = Served(folder, *location, *self.options, *options)
        served.program = self.program or None
        self.each.append(self._stack.enter_context(served))
        return served

    @property
    def token(self) -> str:
        """The demo token of the first gateway, which is valid at each."""
        return self.each[0].token

    @asynccontextmanager
    async def one_of_each(self, **options: Any) -> AsyncIterator[list[SocketClient]]:
        """A client of each gateway."""
        async with AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(served.connected(**options)) for served in self.each
            ]

    @asynccontextmanager
    async def signed_in(self) -> AsyncIterator[list[SocketClient]]:
        """A client of each gateway, signed in with the demo token."""
        async with self.one_of_each() as clients:
            for client in clients:
                await client.authorize(self.token)
            yield clients

    def stop(self) -> None:
        """Stop them in order; none has anything to complain about."""
        for served in self.each:
            assert served.stop() == 0
            assert served.stderr == "", served.stderr


class Cluster(Gateways):
    """Three gateways behind the load balancer of `examples/cluster`, to which clients connect.

    What the tests of a single gateway ask for is there too: `db`, `connected`, `command`.
    """

    def __init__(self, folder: Path, server: Server, *options: str) -> None:
        super().__init__(folder, server, "--trusted-proxy", "127.0.0.1/32", "--demo", *options)
        self.db = folder / "scopegate.db"
        stores.place(self.db, server)
        self.port = 0
        self._ports: list[int] = []

    def add(self, server: Server | None = None, *options: str) -> Served:
        """Start a further gateway; it keeps its port when it is started anew."""
        served = super().add(server, *options)
        port = urlsplit(served.url).port
        assert port is not None
        self._ports.append(port)
        served.options = (*served.options, "--port", str(port))
        return served

    def start_balancer(self) -> None:
        """Start the load balancer in front of the three gateways."""
        program = haproxy()
        assert program is not None
        self.port = free_port()
        gateways = {f"GATEWAY_{n}": f"127.0.0.1:{port}" for n, port in enumerate(self._ports, 1)}
        with (self.folder / "haproxy.txt").open("a") as log:
            process = subprocess.Popen(
                [program, "-db", "-f", HAPROXY_CONFIGURATION],
                env=os.environ | gateways | {"ADDRESS": f"127.0.0.1:{self.port}"},
                stdout=log,
                stderr=log,
            )
        leftovers.supervised.add(process.pid)

        def end() -> None:
            process.kill()
            process.wait(PATIENCE)
            leftovers.supervised.discard(process.pid)

        self._stack.callback(end)
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "haproxy.txt").read_text())

    @property
    def url(self) -> str:
        """The one address of all gateways."""
        return f"ws://127.0.0.1:{self.port}/websockets/v3"

    @asynccontextmanager
    async def connected(self, **options: Any) -> AsyncIterator[SocketClient]:
        """A client of whichever gateway the balancer chooses."""
        async with self.each[0].connected(url=self.url, **options) as client:
            yield client

    def wait_until_ready(self) -> None:
        """Return once each gateway can serve clients that are signed in."""
        for served in self.each:
            until_ready(served.page)


def until_ready(page: str) -> None:
    """Return once the gateway with this start page can serve clients that are signed in."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        with contextlib.suppress(OSError, HTTPException):
            if fetch(f"{page}readyz")[0] == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"{page} is not ready")


def ready(gateway: Served) -> tuple[int, bytes]:
    """What a gateway answers to a load balancer."""
    status, _, body = fetch(f"{gateway.page}readyz")
    return status, body
