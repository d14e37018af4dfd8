"""The listener over real sockets: frames in every cut, ends of every kind, HTTP beside them."""

import asyncio
import base64
import contextlib
import gc
import itertools
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
import types
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme

from scopegate import testing
from scopegate.gateway.calls import scheduling
from scopegate.gateway.calls.dispatch import REFUSED_CLOSE
from scopegate.gateway.calls.session import Session
from scopegate.gateway.transport import peer as peer_module
from scopegate.gateway.transport import server as server_module
from scopegate.gateway.transport.handshake import client_address
from scopegate.gateway.transport.peer import Accept, Listening, Peer
from scopegate.gateway.transport.server import Server
from scopegate.listening import listen, site
from scopegate.settings import chosen
from scopegate.testing import World
from scopegate.tls import tls_of
from tests.served import unverified

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0


@asynccontextmanager
async def listening(
    world: World, *, accept: Accept | None = None, max_sockets: int | None = None, **how: Any
) -> AsyncIterator[tuple[Server, int]]:
    how = {"host": "127.0.0.1", "port": 0, "hosts": world.gateway.settings.hosts(), **how}
    made = Server(
        Listening(**how),
        world.gateway.connect if accept is None else accept,
        site(world.gateway, secure=False),
        world.gateway.scheduler,
        max_sockets=max_sockets,
    )
    port = await made.start()
    try:
        yield made, port
    finally:
        await made.stop()


@pytest.fixture
async def server(world: World) -> AsyncIterator[tuple[Server, int]]:
    async with listening(world) as running:
        yield running


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
    length = len(payload)
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | opcode])
    if length < 126:
        head += bytes([mask_bit | length])
    elif length < 65536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def text(message: Any) -> bytes:
    return frame(TEXT, json.dumps(message).encode())


HEAD = (
    b"GET /websockets/v3?app_id=1089&l=en&brand= HTTP/1.1\r\nHost: localhost\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef") + b"\r\n\r\n"
)


class Raw:
    """A client that writes bytes and reads frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def head(self) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(10):
            first, second = await self.reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            assert first & 0x80
            assert not second & 0x80
            return first & 0x0F, await self.reader.readexactly(length)

    async def message(self) -> dict[str, Any]:
        opcode, payload = await self.frame()
        assert opcode == TEXT, (opcode, payload)
        message: dict[str, Any] = json.loads(payload)
        return message

    async def closed(self) -> tuple[int, str]:
        opcode, payload = await self.frame()
        assert opcode == CLOSE, (opcode, payload)
        async with asyncio.timeout(10):
            assert await self.reader.read() == b""
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()


@asynccontextmanager
async def raw(port: int, opening: bytes = HEAD) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = Raw(reader, writer)
    try:
        if opening:
            writer.write(opening)
            assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        yield client
    finally:
        writer.close()


Running = tuple[Server, int]


async def test_one_write_and_single_bytes_get_the_same_replies(world: World) -> None:
    token = await world.token()
    stream = "d1ee7d0d-3ca9-fbb4-720b-5312d487185b"
    sent = b"".join(
        [
            text({"authorize": token, "req_id": 1}),
            text({"balance": 1, "req_id": 2}),
            text({"ping": 1, "req_id": 3}),
            frame(TEXT, b'{"balance":1,', fin=False),
            frame(PING, b"between"),
            frame(CONTINUATION, b'"req_id":4}'),
            text({"forget": stream, "req_id": 5, "passthrough": {"x": "y" * 70_0}}),
        ]
    )
    told = []
    async with listening(world) as (_, port):
        for size in (len(sent) + len(HEAD), 1, 7):
            async with raw(port, b"") as client:
                data = HEAD + sent
                for start in range(0, len(data), size):
                    client.writer.write(data[start : start + size])
                    await client.writer.drain()
                assert b" 101 " in await client.head()
                frames = [await client.frame() for _ in range(6)]
                told.append([payload for opcode, payload in frames if opcode == TEXT])
                assert [payload for opcode, payload in frames if opcode == PONG] == [b"between"]
    assert [json.loads(reply)["req_id"] for reply in told[0]] == [1, 2, 3, 4, 5]
    assert [json.loads(reply)["msg_type"] for reply in told[0]] == (
        ["authorize", "balance", "ping", "balance", "forget"]
    )
    assert told[0] == told[1] == told[2]


async def test_a_message_of_any_length_alone_is_answered(server: Running) -> None:
    """Each is read alone: its reply is waited for."""
    running, port = server
    async with raw(port) as client:
        shortest = len(json.dumps({"ping": 1, "passthrough": {"x": ""}}))
        for length in (shortest, *range(123, 131), 255, 256, 32_768, 65_534, 65_535):
            message = {"ping": 1, "passthrough": {"x": "y" * (length - shortest)}}
            assert len(json.dumps(message)) == length
            client.writer.write(text(message))
            assert (await client.message())["echo_req"] == message
        (peer,) = running.peers
        # A longer form of the length than needed, in a read of the size that its first byte says.
        payload = json.dumps({"ping": 1, "passthrough": {"x": "y" * (119 - shortest)}}).encode()
        longer = frame(TEXT, payload)
        longer = bytes([longer[0], 0xFF]) + struct.pack("!Q", 119) + longer[2:]
        assert len(longer) == 133
        peer.data_received(longer)
        assert (await client.message())["ping"] == "pong"
        for garbage in (b"1", b"{}", b"{}{}"):
            client.writer.write(frame(TEXT, garbage))
            assert "error" in await client.message()
        client.writer.write(frame(TEXT, b'{"ping":1}', masked=False))
        assert (await client.closed())[0] == 1002


async def test_a_batch_is_answered_in_one_write(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, port = server
    async with raw(port) as client:
        client.writer.write(text({"ping": 1}))
        await client.message()
        (peer,) = running.peers
        writes: list[bytes] = []
        write = peer._socket.write
        socket = peer._socket

        class Counting:
            def __getattr__(self, name: str) -> Any:
                return getattr(socket, name)

            def write(self, data: bytes) -> None:
                writes.append(data)
                write(data)

        peer._socket = Counting()
        client.writer.write(b"".join(text({"ping": 1, "req_id": n}) for n in range(50)))
        for number in range(50):
            assert (await client.message())["req_id"] == number
        assert len(writes) == 1


def calls_for(peer: Peer, data: bytes) -> Counter[str]:
    """How often each of our functions is called for bytes that arrive at a connection."""
    counted: Counter[str] = Counter()

    def count(frame: types.FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_globals["__name__"].startswith("scopegate."):
            counted[frame.f_code.co_qualname] += 1

    sys.setprofile(count)
    try:
        peer.data_received(data)
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.sqlite
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="later versions inline functions")
async def test_a_message_takes_few_calls(world: World) -> None:
    """Where a message's time goes can be counted: so many functions of ours, and no more."""
    async with listening(world) as (running, port), raw(port) as client:
        client.writer.write(text({"authorize": await world.token()}))
        await client.message()
        (peer,) = running.peers
        for request, most in (({"ping": 1}, 22), ({"balance": 1}, 26)):
            message = text({**request, "req_id": 7})
            for _ in range(2):
                client.writer.write(message)
                await client.message()
            counted = calls_for(peer, message)
            assert counted.total() <= most, counted
            assert (await client.message())["req_id"] == 7


async def test_ten_thousand_pings_make_no_task(server: Running) -> None:
    made: list[Any] = []
    loop = asyncio.get_running_loop()
    async with raw(server[1]) as client:
        client.writer.write(text({"ping": 1}))
        await client.message()

        def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
            made.append(coroutine)
            return asyncio.Task(coroutine, loop=loop, **options)

        loop.set_task_factory(factory)
        try:
            for _ in range(100):
                client.writer.write(text({"ping": 1}) * 100)
                for _ in range(100):
                    head = await client.reader.readexactly(2)
                    await client.reader.readexactly(head[1])
        finally:
            loop.set_task_factory(None)
    assert len(made) < 100  # the gateway's own, such as the writes of each second


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(BINARY, b"{"), 1003),
        (frame(BINARY, b""), 1003),
        (frame(BINARY, b'{"ping":"\xff"}'), 1003),
        (frame(BINARY, b'{"ping":', fin=False) + frame(CONTINUATION, b"\x00"), 1003),
        (frame(BINARY, b" " * 40_000, fin=False) + frame(CONTINUATION, b" " * 40_000), 1009),
        (frame(TEXT, b'{"ping":"\xff"}'), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(TEXT, b'{"ping":1}', masked=False), 1002),
        (frame(TEXT, b" " * 65_537), 1009),
        (bytes([0x81, 0x80 | 127]) + struct.pack("!Q", 2**62), 1009),
        (frame(TEXT, b" " * 40_000, fin=False) + frame(CONTINUATION, b" " * 40_000), 1009),
        (frame(CONTINUATION, b"x"), 1002),
        (bytes([0xF1, 0x80, 0, 0, 0, 0]), 1002),
        (bytes([0x83, 0x80, 0, 0, 0, 0]), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CLOSE, b"\x03\xe8bye"), 1000),
    ],
    ids=itertools.count(),  # masks are random
)
async def test_what_is_no_text_closes(server: Running, sent: bytes, code: int) -> None:
    async with raw(server[1]) as client:
        client.writer.write(text({"ping": 1}) + sent + text({"ping": 1}))
        assert (await client.message())["ping"] == "pong"
        assert (await client.closed())[0] == code


@pytest.mark.parametrize("compression", [True, False])
async def test_json_in_binary_frames_is_taken_as_text(world: World, compression: bool) -> None:
    async with listening(world, compression=compression) as (_, port), raw(port) as client:
        for sent in (
            text({"ping": 1, "req_id": 1}),
            frame(BINARY, b'{"ping":1,"req_id":2}'),
            frame(BINARY, b'{"ping":1,', fin=False),
            frame(CONTINUATION, b'"req_', fin=False),
            frame(CONTINUATION, b'id":3}'),
            frame(BINARY, b"5"),
            text({"ping": 1, "req_id": 5}),
            frame(TEXT, b'{"ping":1,', fin=False) + frame(CONTINUATION, b'"req_id":6}'),
        ):
            client.writer.write(sent)
        replies = [await client.message() for _ in range(6)]  # each is a text frame
    assert [reply.get("req_id") for reply in replies] == [1, 2, 3, None, 5, 6]
    assert [reply["msg_type"] for reply in replies] == ["ping"] * 3 + ["error"] + ["ping"] * 2
    assert replies[3]["error"]["code"] == "BadRequest"


async def test_a_message_of_64_kib_passes(server: Running) -> None:
    async with raw(server[1]) as client:
        message = b'{"ping":1}'
        client.writer.write(frame(TEXT, message + b" " * (65_536 - len(message))))
        assert (await client.message())["ping"] == "pong"


async def test_an_idle_connection_is_pinged_then_closed(server: Running) -> None:
    running, port = server
    async with raw(port) as client:
        client.writer.write(text({"ping": 1}))
        await client.message()
        (peer,) = running.peers
        heard = peer._received_at
        peer.check(heard)
        peer.check(heard + 24)
        peer.check(heard + 26)
        peer.check(heard + 27)
        assert await client.frame() == (PING, b"")
        peer.check(heard + 53)  # it was silent all the while, and so was the gateway
        assert await client.frame() == (PING, b"")
        peer.check(heard + peer_module.IDLE + 1)
        assert await client.closed() == (4408, "idle: no frame from you for 120 seconds")


@pytest.mark.lengthy
async def test_the_ping_comes_when_the_setting_says() -> None:
    async with (
        testing.world(ping_after=1) as world,
        listen(world.gateway) as port,
        raw(port) as client,
    ):
        assert await client.frame() == (PING, b"")


async def test_a_client_that_is_only_heard_is_pinged_too(world: World) -> None:
    """Its pongs keep it alive here, but a proxy looks at what the gateway sends."""
    async with listening(world, ping_after=10.0) as (running, port), raw(port) as client:
        client.writer.write(text({"ping": 1}))
        await client.message()
        (peer,) = running.peers
        began = peer._received_at
        peer.check(began)
        for second in range(2, 22, 2):
            peer._received_at = began + second - 1
            peer.check(began + second)
        assert await client.frame() == (PING, b"")
        client.writer.write(text({"ping": 1}))
        assert (await client.message())["ping"] == "pong"  # and once only


async def test_a_client_that_only_listens_is_pinged_once(world: World) -> None:
    async with listening(world, ping_after=10.0) as (running, port), raw(port) as client:
        client.writer.write(text({"ticks": "1HZ100V"}))
        await client.message()
        (peer,) = running.peers
        began = peer._received_at
        for second in range(20):
            world.clock.advance(1)
            peer.check(began + second)
        told = [await client.frame() for _ in range(21)]
        assert [opcode for opcode, _ in told].count(PING) == 1


async def test_half_a_message_does_not_keep_a_connection_alive(server: Running) -> None:
    running, port = server
    async with raw(port) as client:
        client.writer.write(text({"ping": 1}))
        await client.message()
        (peer,) = running.peers
        heard = peer._received_at
        client.writer.write(text({"ping": 1})[:-1])
        client.writer.write(b"")
        async with raw(port) as other:  # a round trip later the half has arrived
            other.writer.write(text({"ping": 1}))
            await other.message()
        assert peer._received_at == heard


async def test_a_client_that_does_not_read_is_cut_alone(world: World, server: Running) -> None:
    running, port = server
    async with raw(port) as deaf, raw(port) as fine:
        deaf.writer.get_extra_info("socket").setsockopt(1, 8, 4096)
        deaf.reader._limit = 1024  # type: ignore[attr-defined]
        request = {"ticks_history": "1HZ100V", "end": "latest", "count": 5000}
        subscribe = {"ticks": "1HZ100V", "subscribe": 1, "passthrough": {"x": "y" * 60_000}}
        fine.writer.write(text({"ticks": "1HZ100V", "subscribe": 1}))
        await fine.message()
        deaf.writer.write(text(subscribe) + text(request) * 40)
        for _ in range(200):
            world.clock.advance(1)
            assert (await fine.message())["msg_type"] == "tick"
            if len(running.peers) == 1:
                break
        assert len(running.peers) == 1
        fine.writer.write(text({"ping": 1}))
        assert (await fine.message())["ping"] == "pong"


async def test_requests_of_a_client_that_does_not_read_wait(server: Running) -> None:
    running, port = server
    async with raw(port) as client:
        request = {"ticks_history": "1HZ100V", "end": "latest", "count": 5000}
        sent = [{**request, "req_id": number} for number in range(60)]
        client.writer.write(b"".join(text(message) for message in sent))
        await client.message()
        (peer,) = running.peers
        assert peer._socket.get_write_buffer_size() < peer_module.MAX_HELD
        for number in range(1, 60):
            assert (await client.message())["req_id"] == number


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("kind", ["pings", "long messages", "histories", "events"])
async def test_a_client_that_does_not_read_costs_a_megabyte_at_most(
    world: World, kind: str, secure: bool, tmp_path: Path
) -> None:
    """All that is kept for it: unsent, unanswered, or not even looked at."""
    history = {"ticks_history": "1HZ100V", "end": "latest", "count": 5000}
    stream = {"ticks": "1HZ100V", "subscribe": 1, "passthrough": {"x": "y" * 50_000}}
    sent = {
        "pings": text({"ping": 1}) * 100_000,
        "long messages": text({"ping": 1, "passthrough": {"x": "y" * 60_000}}) * 50,
        "histories": text(history) * 3_000,
        "events": text(stream) + text(history) * 20,
    }[kind]
    tls = tls_of(chosen(tls_self_signed=True, db=tmp_path / "x.db")) if secure else None
    async with listening(world, tls=tls and tls.context) as (running, port):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, limit=1024, ssl=unverified() if secure else None
        )
        raw_client = Raw(reader, writer)
        writer.write(HEAD)
        await raw_client.head()
        (peer,) = running.peers
        writer.write(sent)
        most = transport_most = 0
        quiet = 0
        for _ in range(2_000):
            world.clock.advance(1 if kind == "events" else 0)
            before = peer.held
            for _ in range(10):
                await asyncio.sleep(0)
            if peer._closing:
                break
            most = max(most, peer.held)
            transport_most = max(transport_most, peer._socket.get_write_buffer_size())
            quiet = quiet + 1 if peer.held == before else 0
            if kind != "events" and quiet > 200:
                break
        assert peer._closing == (kind == "events")
        assert 64 * 1024 < most <= peer_module.MAX_HELD
        # The transport holds at most its limit and the output of one batch.
        assert transport_most <= peer_module.HIGH_WATER + 256 * 1024
        writer.transport.abort()


async def test_the_kernel_keeps_little_for_a_client(server: Running) -> None:
    """Left to itself it keeps megabytes for one that does not read."""
    async with raw(server[1]):
        (peer,) = server[0].peers
        accepted = peer._socket.get_extra_info("socket")
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            kept = accepted.getsockopt(socket.SOL_SOCKET, option)
            assert kept <= 2 * server_module.SOCKET_BUFFER


@pytest.mark.parametrize("size", [500, 20_000])
async def test_what_a_stream_has_missed_is_sent_as_fast_as_its_client_reads(
    world: World, server: Running, size: int
) -> None:
    """However large its messages are, since each repeats what its client has sent."""
    running, port = server
    missed = min(4_000, 10_000_000 // size)
    now = int(world.clock.now())
    resume = {"x": "y" * size, "resume": now - missed}
    async with raw(port) as slow:
        slow.reader._limit = 1024  # type: ignore[attr-defined]
        slow.writer.write(text({"ticks": "1HZ100V", "subscribe": 1, "passthrough": resume}))
        slow.writer.write(text({"ping": 1}))
        assert (await slow.message())["position"] == now - missed + 1
        (peer,) = running.peers
        most = 0
        for _ in range(1_000):
            await asyncio.sleep(0)
            most = max(most, peer.held)
        assert peer.congested
        assert most <= 2 * peer_module.HIGH_WATER
        positions = [(await slow.message())["position"] for _ in range(missed - 1)]
        assert positions == list(range(now - missed + 2, now + 1))
        assert (await slow.message())["ping"] == "pong"


async def test_a_slow_client_gets_everything_in_order(world: World, server: Running) -> None:
    """Nothing is written to a client that has fallen behind, and nothing is lost."""
    running, port = server
    async with raw(port) as slow:
        stream = {"ticks": "1HZ100V", "subscribe": 1, "passthrough": {"x": "y" * 20_000}}
        slow.writer.write(text(stream))
        first = (await slow.message())["tick"]["epoch"]
        (peer,) = running.peers
        slow.reader._limit = 1024  # type: ignore[attr-defined]
        told = 0
        while not peer.congested or peer._out_size < 200_000:
            world.clock.advance(1)
            told += 1
            await asyncio.sleep(0)
        slow.writer.write(text({"ping": 1}) * 3)
        epochs = [(await slow.message())["tick"]["epoch"] for _ in range(told)]
        assert epochs == list(range(first + 1, first + told + 1))
        for _ in range(3):
            assert (await slow.message())["ping"] == "pong"


@pytest.mark.parametrize("path", [b"/websockets/v3", b"/websockets/v3/", b"/"])
async def test_a_websocket_is_opened_at_each_of_its_paths(server: Running, path: bytes) -> None:
    async with raw(server[1], HEAD.replace(b"/websockets/v3", path)) as client:
        client.writer.write(text({"ping": 1}))
        assert (await client.message())["ping"] == "pong"


async def test_http_on_the_same_port(server: Running) -> None:
    async with raw(server[1], b"") as client:
        client.writer.write(
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /x HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 5\r\n\r\nhelloHEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"
            b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"content-security-policy: default-src 'none'" in head
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        assert b"Scopegate</title>" in await client.reader.readexactly(length)
        assert (await client.head()).startswith(b"HTTP/1.1 405 ")
        await client.reader.readuntil(b"\n")
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        assert (await client.head()).startswith(b"HTTP/1.1 404 ")
        assert await client.reader.read() == b"Page not found.\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (HEAD.replace(b"/websockets/v3", b"/elsewhere"), b"404"),
        (HEAD.replace(b"Version: 13", b"Version: 12"), b"400"),
        (HEAD.replace(b"GET ", b"POST "), b"405"),
        (HEAD.replace(b"/websockets/v3?", b"//[?"), b"404"),
        (b"GET /websockets/v3 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"426"),
        (b"GET /websockets/v3/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"426"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000, b"431"),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n" + b"x" * 70_000,
            b"413",
        ),
    ],
)
async def test_what_is_wrong_with_http_is_said(server: Running, sent: bytes, status: bytes) -> None:
    async with raw(server[1], b"") as client:
        client.writer.write(sent)
        assert (await client.head()).split()[1] == status


async def test_the_other_path_takes_the_same_query(server: Running) -> None:
    async with raw(server[1], HEAD.replace(b"/websockets/v3", b"/")) as client:
        client.writer.write(text({"ping": 1}))
        assert (await client.message())["ping"] == "pong"


async def test_no_head_within_its_time_hangs_up(server: Running) -> None:
    running, port = server
    async with raw(port, b"") as client:
        client.writer.write(b"GET / HTT")
        async with raw(port) as other:
            other.writer.write(text({"ping": 1}))
            await other.message()
            for peer in list(running.peers):
                peer.check(peer._received_at + peer_module.HEAD_TIMEOUT + 1)
            async with asyncio.timeout(10):
                assert await client.reader.read() == b""


async def test_stopping_says_goodbye(world: World) -> None:
    async with listening(world) as (running, port), raw(port) as client:
        client.writer.write(text({"ping": 1}))
        await client.message()
        stopping = asyncio.get_running_loop().create_task(running.stop())
        assert await client.closed() == (1012, "the gateway is shutting down")
        client.writer.close()
        await stopping


async def test_compression_only_where_it_is_switched_on(world: World) -> None:
    offer = HEAD.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
    for switched_on in (False, True):
        async with listening(world, compression=switched_on) as (_, port), raw(port, b"") as client:
            client.writer.write(offer + text({"ping": 1}))
            assert (b"permessage-deflate" in await client.head()) is switched_on
            opcode, payload = await client.frame() if not switched_on else (TEXT, b"")
            assert opcode == TEXT
            assert switched_on or json.loads(payload)["ping"] == "pong"
            if switched_on:
                first, second = await client.reader.readexactly(2)
                assert first == 0xC1  # a compressed text
                await client.reader.readexactly(second)


@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_compressed_message_is_measured_by_its_full_size(world: World, pieces: int) -> None:
    """A few bytes could otherwise fill the memory."""
    squeezing = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeezing.compress(b" " * 50_000_000) + squeezing.flush(zlib.Z_SYNC_FLUSH)
    assert len(packed) < peer_module.MAX_MESSAGE
    size = -(-len(packed) // pieces)
    sent = b""
    for index in range(pieces):
        part = packed[index * size : (index + 1) * size]
        made = frame(CONTINUATION if index else TEXT, part, fin=index == pieces - 1)
        sent += made if index else bytes([made[0] | 0x40]) + made[1:]  # it is compressed
    offer = HEAD.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
    async with listening(world, compression=True) as (_, port), raw(port, offer) as client:
        client.writer.write(sent)
        assert (await client.closed())[0] == 1009


def test_old_versions_of_tls_are_not_spoken(tmp_path: Path) -> None:
    own = chosen(tls_self_signed=True, db=tmp_path / "own.db")
    authority = trustme.CA()
    issued = authority.issue_cert("trade.example.com")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    for settings in (own, chosen(tls_cert=certificate, tls_key=key)):
        tls = tls_of(settings)
        assert tls is not None
        assert tls.context().minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_trusted_proxy_is_believed_and_no_other() -> None:
    trusted = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert client_address("10.0.0.1", "1.2.3.4", trusted) == "1.2.3.4"
    assert client_address("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", trusted) == "1.2.3.4"
    assert client_address("::1", "1.2.3.4", trusted) == "1.2.3.4"
    assert client_address("9.9.9.9", "1.2.3.4", trusted) == "9.9.9.9"
    assert client_address("10.0.0.1", "", trusted) == "10.0.0.1"
    assert client_address("10.0.0.1", "rubbish", trusted) == "10.0.0.1"
    assert client_address("10.0.0.1", "1.2.3.4", ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"GARBAGE\r\n\r\n", b"a" * 65_536),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"a" * 65_536),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000,
            b"G",
        ),
    ],
)
async def test_nothing_is_kept_of_what_follows_the_end(
    server: Running, first: bytes, second: bytes
) -> None:
    running, port = server
    async with raw(port, b"") as client:
        client.writer.write(first)
        async with asyncio.timeout(10):
            await client.reader.read()  # our side has hung up
        (peer,) = running.peers
        for _ in range(20):
            client.writer.write(second)
            await client.writer.drain()
        async with raw(port) as other:  # a round trip later it has arrived
            other.writer.write(text({"ping": 1}))
            await other.message()
        assert len(peer._http._core.trailing_data[0]) <= len(first)


async def test_fragments_without_end_are_refused(server: Running) -> None:
    async with raw(server[1]) as client:
        client.writer.write(
            frame(TEXT, b"", fin=False)
            + frame(CONTINUATION, b"", fin=False) * (peer_module.MAX_EMPTY_FRAMES - 1)
        )
        client.writer.write(frame(CONTINUATION, b'{"ping":1}'))
        assert (await client.message())["ping"] == "pong"
        client.writer.write(frame(TEXT, b" ", fin=False))
        client.writer.write(frame(CONTINUATION, b" ", fin=False) * peer_module.MAX_FRAGMENTS)
        assert (await client.closed())[0] == 1009


@pytest.mark.parametrize(
    ("opening", "sent"),
    [
        (b"", frame(PING, b"")),
        (b"", frame(PONG, b"")),
        (frame(TEXT, b"{", fin=False), frame(CONTINUATION, b"", fin=False)),
    ],
    ids=["pings", "pongs", "empty fragments"],
)
async def test_a_flood_of_frames_without_a_message_is_cut(
    server: Running, opening: bytes, sent: bytes
) -> None:
    running, port = server
    most = peer_module.MAX_EMPTY_FRAMES
    assert running._sweeper is not None
    running._sweeper.cancel()  # seconds pass where the test says so
    async with raw(port) as client:
        (peer,) = running.peers
        client.writer.write(opening)
        for _ in range(2):  # as many in one second as in the next
            client.writer.write(sent * most)
            async with asyncio.timeout(10):
                while peer._empty_frames < most:  # noqa: ASYNC110 - nobody is told of it
                    await asyncio.sleep(0)
            peer.check(time.monotonic())
        client.writer.write(sent * 10_000)
        got = await client.frame()
        while got[0] == PONG:
            got = await client.frame()
    assert got[0] == CLOSE
    assert int.from_bytes(got[1][:2], "big") == REFUSED_CLOSE


async def test_a_message_in_many_fragments_holds_up_nobody(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "MAX_FRAMES_AT_ONCE", 1)
    running, port = server
    async with raw(port) as client:
        (peer,) = running.peers
        async with raw(port) as other:
            blanks = frame(CONTINUATION, b" ", fin=False) * (peer_module.MAX_FRAGMENTS - 2)
            client.writer.write(
                frame(TEXT, b'{"ping":', fin=False) + blanks + frame(CONTINUATION, b"1}")
            )
            async with asyncio.timeout(10):
                while not peer._fragments:  # noqa: ASYNC110 - nobody is told of it
                    await asyncio.sleep(0)
            other.writer.write(text({"ping": 1}))
            await other.message()
            assert peer._fragments  # it is still being taken
        assert (await client.message())["ping"] == "pong"


async def test_a_stop_answers_every_request_that_was_received(world: World) -> None:
    world.gateway.scheduler.round_length = 0.0  # one request in each turn
    async with listening(world) as (running, port), raw(port, b"") as client:
        client.writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        head = await client.head()
        stopping = asyncio.ensure_future(running.stop())
        rest = await client.reader.read()
        client.writer.close()
        await stopping
    assert (head + rest).count(b"HTTP/1.1 200 ") == 200


@asynccontextmanager
async def minting(world: World, port: int) -> AsyncIterator[tuple[Raw, threading.Event]]:
    """A client whose request is not answered before the event is set: the store is busy."""
    done = threading.Event()
    async with raw(port) as client:
        client.writer.write(text({"authorize": await world.token("admin")}))
        await client.message()
        busy = asyncio.ensure_future(world.gateway.store.write(lambda transaction: done.wait(10)))
        asked = {"api_token": 1, "new_token": "Mine", "new_token_scopes": ["admin"]}
        client.writer.write(text(asked))
        async with raw(port) as other:
            other.writer.write(text({"ping": 1}))
            await other.message()  # what was sent before is received by now
        try:
            yield client, done
        finally:
            done.set()
            await busy


async def test_a_stop_reads_nothing_more(world: World) -> None:
    async with (
        listening(world) as (running, port),
        minting(world, port) as (waiting, done),
        raw(port) as late,
    ):
        stopping = asyncio.ensure_future(running.stop())
        await asyncio.sleep(0)
        late.writer.write(text({"ping": 1}))
        for _ in range(20):
            await asyncio.sleep(0)
        done.set()
        assert (await waiting.message())["api_token"]["new_token"] == 1
        for client in (waiting, late):
            assert await client.closed() == (1012, "the gateway is shutting down")
            client.writer.close()
        await stopping


async def test_a_stop_waits_so_long_and_no_longer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "DRAIN", 0.0)
    async with listening(world) as (running, port), minting(world, port) as (waiting, _):
        stopping = asyncio.ensure_future(running.stop())
        assert await waiting.closed() == (1012, "the gateway is shutting down")
        waiting.writer.close()
        await stopping


@pytest.mark.parametrize("paused", [False, True], ids=["reading", "paused"])
async def test_a_client_that_was_closed_holds_up_no_stop(
    world: World, monkeypatch: pytest.MonkeyPatch, paused: bool
) -> None:
    monkeypatch.setattr(server_module, "GOODBYE", 3_600)
    monkeypatch.setattr(peer_module, "CLOSE_TIMEOUT", 3_600)
    async with listening(world) as (running, port), raw(port) as client:
        client.writer.write(text({"ping": 1}))
        await client.message()
        (peer,) = running.peers
        if paused:
            peer.pause()
        peer.close(1008, "of no further use")
        await client.closed()
        stopping = asyncio.ensure_future(running.stop())
        await asyncio.sleep(0)
        client.writer.close()
        async with asyncio.timeout(10):
            await stopping


async def test_who_takes_nothing_is_idle_too(server: Running) -> None:
    running, port = server
    async with raw(port) as client:
        request = {"ticks_history": "1HZ100V", "end": "latest", "count": 5000}
        client.writer.write(text(request) * 60)
        await client.message()
        (peer,) = running.peers
        async with asyncio.timeout(10):
            while not peer.congested:  # noqa: ASYNC110 - nobody is told of it
                await asyncio.sleep(0)
        peer.check(peer._received_at + peer_module.IDLE + 1)
        async with asyncio.timeout(10):
            await running._empty()


async def test_leaving_right_after_a_request_leaves_nothing_behind(
    world: World, server: Running
) -> None:
    """Warnings are errors here: a coroutine that was never awaited would be one."""
    token = await world.token("read")
    async with raw(server[1], HEAD) as client:
        client.writer.write(text({"authorize": token}) + frame(CLOSE, b"\x03\xe8"))
        async with asyncio.timeout(10):
            await client.reader.read()
    async with raw(server[1]) as other:
        other.writer.write(text({"ping": 1}))
        await other.message()


def let_rounds_end(world: World) -> None:
    """Let each reading of the scheduler's clock take a quarter of a round."""
    scheduler = world.gateway.scheduler
    moments = itertools.count(scheduler.now(), scheduling.ROUND / 4)
    scheduler._clock = lambda: next(moments)
    scheduler.round_length, scheduler._round_ends = scheduling.ROUND, 0.0


async def clients_of_another_address(port: int, count: int) -> list[Raw]:
    return [
        Raw(*await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)))
        for _ in range(count)
    ]


async def test_many_handshakes_of_an_address_do_not_hold_up_another(world: World) -> None:
    async with listening(world) as (server, port), raw(port) as honest:
        let_rounds_end(world)
        flood = await clients_of_another_address(port, 40)
        for client in flood:
            client.writer.write(HEAD)
        honest.writer.write(text({"ping": 1}))
        assert (await honest.message())["ping"] == "pong"
        assert sum(peer._connection is not None for peer in server.peers) < 20
        for client in flood:
            assert (await client.head()).startswith(b"HTTP/1.1 101 ")
            client.writer.close()
            await client.writer.wait_closed()


async def test_many_that_connect_at_once_hold_up_no_open_connection(world: World) -> None:
    async with listening(world) as (server, port), raw(port) as honest:
        with contextlib.ExitStack() as flood:
            for _ in range(200):  # the kernel completes these; the loop has not seen them yet
                flood.enter_context(socket.create_connection(("127.0.0.1", port)))
            honest.writer.write(text({"ping": 1}))
            assert (await honest.message())["ping"] == "pong"
            assert len(server.peers) < 50
            async with asyncio.timeout(10):
                while len(server.peers) <= 200:
                    honest.writer.write(text({"ping": 1}))
                    await honest.message()


async def test_a_refused_handshake_is_answered_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that connects again at once cannot keep the gateway busy."""
    monkeypatch.setattr(type(world.gateway.connect), "refusal", lambda *_: "2 of something")
    async with listening(world) as (_, port), raw(port, b"") as refused:
        refused.writer.write(HEAD + text({"ping": 1}))
        for _ in range(20):
            async with raw(port, b"") as other:
                other.writer.write(b"GET /healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await other.head()
        assert not refused.reader._buffer  # type: ignore[attr-defined]  # asyncio's, without await
        assert (await refused.head()).startswith(b"HTTP/1.1 429 ")
        assert b"the limit of 2 of something" in await refused.reader.read()


@pytest.mark.lengthy
async def test_a_stop_does_not_wait_for_a_refused_handshake(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(world.gateway.connect), "refusal", lambda *_: "2 of something")
    monkeypatch.setattr(peer_module, "REFUSAL_DELAY", 3600.0)
    async with listening(world) as (server, port), raw(port, b"") as refused:
        refused.writer.write(HEAD)
        async with raw(port, b"") as other:  # once this is answered, the other was handled
            other.writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await other.head()
        async with asyncio.timeout(10):
            await server.stop()
            assert await refused.reader.read() == b""


async def test_an_idle_connection_keeps_no_core(server: Running) -> None:
    """The library's protocol takes a kilobyte, and whole text frames do not need it."""
    running, port = server
    async with raw(port) as client:
        [peer] = running.peers
        assert peer._core is None
        client.writer.write(frame(PING, b"x"))
        assert await client.frame() == (PONG, b"x")
        assert peer._core is None
        request = json.dumps({"ping": 1}).encode()
        client.writer.write(frame(TEXT, request[:4], fin=False))
        client.writer.write(frame(PING, b"y"))
        assert await client.frame() == (PONG, b"y")
        assert peer._core is not None  # it has half a message
        client.writer.write(frame(CONTINUATION, request[4:]))
        assert (await client.message())["ping"] == "pong"
        assert peer._core is None
        client.writer.write(frame(CLOSE, b"\x03\xe8"))
        assert await client.closed() == (1000, "")


@pytest.mark.lengthy
async def test_a_stop_answers_handshakes_that_wait_for_their_turn(world: World) -> None:
    async with listening(world) as (server, port):
        let_rounds_end(world)
        waiting = await clients_of_another_address(port, 20)
        async with asyncio.timeout(10):
            for client in waiting:
                client.writer.write(HEAD + text({"ping": 1}))
            assert (await waiting[0].head()).startswith(b"HTTP/1.1 101 ")
            await server.stop()
            assert b"pong" in await waiting[0].reader.read()
            for client in waiting[1:]:
                received = await client.reader.read()
                assert received.startswith(b"HTTP/1.1 101 ")
                assert b"pong" in received
                client.writer.close()
            waiting[0].writer.close()


def sessions() -> int:
    """The number of sessions in memory."""
    return sum(type(each) is Session for each in gc.get_objects())


async def test_nothing_of_a_closed_connection_waits_for_the_garbage_collector(
    server: Running,
) -> None:
    running, port = server
    gc.collect()
    before = sessions()
    gc.disable()
    try:
        async with raw(port) as client:
            client.writer.write(frame(TEXT, b"x" * 50_000)[:-1])  # a message that never ends
            await client.writer.drain()
            [peer] = running.peers
            assert sessions() == before + 1
        async with asyncio.timeout(10):
            await running._empty()
        assert peer._buffer == b""
        assert sessions() == before
    finally:
        gc.enable()


@pytest.mark.parametrize("cut", [0, 1, len(HEAD) // 2, len(HEAD) - 1])
async def test_a_websocket_opens_on_a_connection_that_has_fetched_pages(
    server: tuple[Server, int], cut: int
) -> None:
    """Proxies keep connections to the gateway, and use them for whatever comes next."""
    running, port = server
    async with raw(port, b"") as client:
        for path in (b"/", b"/nothing", b"/asyncapi.json"):
            client.writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = (await client.head()).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await client.reader.readexactly(length)
        (peer,) = running.peers
        peer._received_at -= 1_000  # it was connected long ago
        client.writer.write(HEAD[:cut])
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(peer._buffer) == cut
        client.writer.write(HEAD[cut:])
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        peer.check(time.monotonic())
        client.writer.write(text({"ping": 1}))
        assert (await client.message())["ping"] == "pong"
        assert list(running.peers) == [peer]
