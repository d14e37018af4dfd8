"""Clients that read nothing cost little, and nobody else waits for them."""

import asyncio
from contextlib import AsyncExitStack

import orjson
import pytest

from scopegate.gateway.transport.peer import MAX_HELD
from scopegate.testing import World
from tests.gateway.test_server import listening
from tests.served import SocketClient, over_sockets
from tests.simulation.frames import TEXT, masked

CLIENTS = 200
REQUESTS = 100
"""Each is answered with some 30 KB."""
HISTORY = {"ticks_history": "R_100", "end": "latest", "count": 1_000}
_SLACK = 256 * 1024
"""The last answer before a limit is reached."""


@pytest.mark.lengthy
async def test_two_hundred_clients_that_read_nothing(world: World) -> None:
    async with AsyncExitStack() as stack:
        server, port = await stack.enter_async_context(listening(world))
        upgrade = (
            f"GET /websockets/v3?app_id=1089 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ).encode()
        request = masked(TEXT, orjson.dumps(HISTORY), b"\0\0\0\0")
        for _ in range(CLIENTS):
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            stack.callback(writer.close)
            writer.write(upgrade + request * REQUESTS)
        connect = await stack.enter_async_context(over_sockets(world))
        good: SocketClient = await connect()
        most = 0
        for _ in range(200):
            assert "error" not in await good.ask({"ping": 1})
            most = max([most, *(peer.held for peer in server.peers)])
        assert len(server.peers) > 0
        assert most > 64 * 1024  # they do not read
        assert most <= MAX_HELD + _SLACK
