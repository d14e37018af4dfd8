"""Ten thousand connections that come and go leave nothing behind in the gateway's process."""

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hostile.attacks import TERMS, Attacker, Target, encoded
from tests.hostile.fuzz import memory
from tests.served import Served

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.sqlite,
    pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc here"),
]

CONNECTIONS = 10_000
TOGETHER = 50
MAX_GROWTH = 4 * 1024 * 1024
"""Bytes of memory by which the second half may exceed the first: 800 for each connection."""


def descriptors(process: int) -> int:
    """How many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{process}/fd"))


async def come_and_go(
    attacker: Attacker, served: Served, number: int, address: str = "127.0.0.1"
) -> None:
    """Connect, and leave without a word: in the head, after it, with streams, or amid a frame."""
    if number % 4 == 0:
        async with attacker.socket(address) as socket:
            socket.writer.write(b"GET /websockets/v3?app_id=1089 HTTP/1.1\r\nHost: 127.0")
            return
    async with attacker.websocket(address) as client:
        if number % 4 == 1:
            return
        await client.send(encoded(authorize=served.token))
        await client.receive()
        if number % 4 == 2:
            for message in (
                encoded(ticks="R_100", subscribe=1),
                encoded(balance=1, subscribe=1),
                encoded(proposal=1, **TERMS, subscribe=1),
            ):
                await client.send(message)
                await client.receive()
        else:
            client.writer.write(b"\x81\xfe\xff\x00half")


@pytest.mark.lengthy
async def test_ten_thousand_connects_and_drops_leave_nothing(tmp_path: Path) -> None:
    with Served(tmp_path, "--seed", "tests") as served:
        process = served.process.pid
        port = urlsplit(served.url).port
        assert port is not None
        attacker = Attacker(Target(port, []), 0)
        sizes = []
        async with served.connected() as client:
            await client.authorize(served.token)

            async def left(files: int) -> None:
                """Wait until no more files than these are open."""
                async with asyncio.timeout(60):
                    while descriptors(process) > files:
                        await client.ask({"ping": 1})

            await asyncio.gather(*(come_and_go(attacker, served, each) for each in range(TOGETHER)))
            await client.ask({"balance": 1})
            before = descriptors(process)
            for begin in range(0, CONNECTIONS, TOGETHER):
                await asyncio.gather(
                    *(
                        come_and_go(attacker, served, number)
                        for number in range(begin, begin + TOGETHER)
                    )
                )
                if begin + TOGETHER in (CONNECTIONS // 2, CONNECTIONS):
                    await left(before)
                    sizes.append(memory(process))
            assert sizes[1] - sizes[0] < MAX_GROWTH
            assert set(attacker.seen) == {"connections", "messages", "answered"}, attacker.seen
        assert await asyncio.to_thread(served.stop) == 0
        assert served.stderr == ""
