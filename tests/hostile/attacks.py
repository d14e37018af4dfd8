"""Attacks on a gateway, each in a process of its own: `python -m tests.hostile.attacks NAME`.

The target is a line of JSON on standard input. The process attacks until its standard input ends,
and writes what has happened so far as a line of JSON, four times a second. Needs Linux: attackers
come from many loopback addresses.
"""

import asyncio
import contextlib
import itertools
import json
import os
import resource
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from tests.simulation.frames import CLOSE, END, PING, TEXT, FrameReader, masked, pong

KEY = b"\0\0\0\0"
UPGRADE = (
    "GET /websockets/v3?app_id=1089 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
COMPRESSION = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
OPENED = "connections"
SENT = "messages"
ANSWERED = "answered"
CUT = "cut"


class EndedError(Exception):
    """The gateway has ended this connection, or has not opened it."""


@dataclass(frozen=True)
class Target:
    """A gateway, and the tokens of the attackers: several of one user."""

    port: int
    tokens: list[str]
    gives_way: bool = False
    """Whether attackers compute only while no other process wants their processor."""


class Connection:
    """A connection that sends any bytes, and counts what it gets."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Counter[str]
    ) -> None:
        self._reader = reader
        self.writer = writer
        self._seen = seen
        self._frames = self.frames()

    async def send(self, *messages: bytes) -> None:
        """Send each as a text message."""
        self._seen[SENT] += len(messages)
        self.writer.write(b"".join(masked(TEXT, message, KEY) for message in messages))
        await self.writer.drain()

    async def frames(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield the kind and the payload of each frame until the connection is cut.

        If the connection is refused, `END` and what of the response has arrived.
        """
        frames = FrameReader()
        while data := await self._reader.read(1 << 18):
            for kind, payload, _ in list(frames.read(data)):
                yield kind, data if kind == END else payload

    async def receive(self) -> bytes:
        """Return the next text message, and count it. Raises `EndedError` at the end."""
        async for kind, payload in self._frames:
            if kind == TEXT:
                self._seen[outcome(payload)] += 1
                return payload
            if kind == PING:
                self.writer.write(pong(payload))
            elif kind == CLOSE:
                self._seen[f"closed with {int.from_bytes(payload[:2], 'big')}"] += 1
                raise EndedError
            elif kind == END:
                response = (payload + await self._reader.read(4_096)).decode()
                status = response.split(" ", 2)[1]
                limit = response.partition("the limit of ")[2].partition(".")[0]
                self._seen[f"HTTP {status}: {limit}"] += 1
                raise EndedError
        self._seen[CUT] += 1
        raise EndedError


def outcome(payload: bytes) -> str:
    """What a message is counted as: its error code with its limit, or that it was answered."""
    if b'"error"' not in payload:
        return ANSWERED
    error: dict[str, Any] = json.loads(payload).get("error", {})
    limit = (error.get("details") or {}).get("limit")
    return f"{error['code']}: {limit}" if limit else str(error["code"])


class Attacker:
    """What all connections of an attack share."""

    def __init__(self, target: Target, place: int) -> None:
        self.target = target
        self.seen: Counter[str] = Counter()
        self._place = place
        # Each process begins elsewhere: one before it may have left addresses that are at limits.
        self._numbers = itertools.count(os.getpid() * 1_009)

    def address(self, number: int) -> str:
        """The address of that number; no two attacks have one in common."""
        return f"127.{self._place + 1}.{number // 250}.{number % 250 + 1}"

    def next_address(self) -> str:
        """An address from which nothing has come yet, among ten thousand."""
        return self.address(next(self._numbers) % 10_000)

    @asynccontextmanager
    async def socket(self, address: str) -> AsyncIterator[Connection]:
        """A TCP connection."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.target.port, local_addr=(address, 0), limit=1 << 20
        )
        self.seen[OPENED] += 1
        try:
            yield Connection(reader, writer, self.seen)
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def websocket(self, address: str, more: str = "") -> AsyncIterator[Connection]:
        """A WebSocket whose opening need not be answered yet."""
        async with self.socket(address) as connection:
            connection.writer.write(UPGRADE.format(port=self.target.port, more=more).encode())
            yield connection

    async def keep(self, count: int, one: Callable[[int], Awaitable[None]]) -> None:
        """Run so many clients, each again whenever it has ended."""

        async def again(number: int) -> None:
            while True:
                with contextlib.suppress(OSError, EndedError):
                    await one(number)
                await asyncio.sleep(0.01)

        await asyncio.gather(*(again(number) for number in range(count)))

    async def call(
        self, connection: Connection, messages: Iterator[bytes], together: int = 1
    ) -> None:
        """Send one message for each that arrives; `together` are under way."""
        await connection.send(*itertools.islice(messages, together))
        for message in messages:
            await connection.receive()
            await connection.send(message)


def encoded(**message: Any) -> bytes:
    """A message as bytes."""
    return json.dumps(message).encode()


TERMS = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "symbol": "R_100",
    "duration": 5,
    "duration_unit": "m",
}
SYMBOLS = (
    *("R_10", "R_25", "R_50", "R_75", "R_100", "1HZ10V", "1HZ25V", "1HZ50V", "1HZ75V", "1HZ100V"),
    *("BOOM500", "BOOM1000", "CRASH500", "CRASH1000", "JD10", "JD25", "JD50", "JD75", "JD100"),
)
DAY = 86_400
FLOOD = (
    *[encoded(ping=1)] * 10,
    encoded(no_such_call=1, passthrough={"x": "y" * 1_000}),
    encoded(proposal=1, **TERMS),
    encoded(asset_index=1),
    encoded(contracts_for="R_100"),
    encoded(ticks_history="R_100", end="latest", count=1_000),
)


async def floods(attacker: Attacker) -> None:
    """32 clients send calls of six kinds, twenty at once, each from a new address when cut."""

    async def one(number: int) -> None:
        async with attacker.websocket(attacker.next_address()) as connection:
            await attacker.call(connection, itertools.cycle(FLOOD), 20)

    await attacker.keep(32, one)


async def slow_handshakes(attacker: Attacker) -> None:
    """500 sockets send the head of a request, one byte each half second."""
    head = UPGRADE.format(port=attacker.target.port, more="").encode()

    async def one(number: int) -> None:
        async with attacker.socket(attacker.address(number % 10)) as connection:
            ended = asyncio.ensure_future(connection.receive())
            try:
                for byte in head:
                    connection.writer.write(bytes((byte,)))
                    await asyncio.wait([ended], timeout=0.5)
                    if ended.done():
                        return ended.result() and None
            finally:
                ended.cancel()
                await asyncio.wait([ended])
                if not ended.cancelled():
                    ended.exception()

    await attacker.keep(500, one)


async def half_messages(attacker: Attacker) -> None:
    """200 connections from each of 4 addresses begin a message of 60 KB, and never end it."""
    half = masked(TEXT, b"x" * 60_000, KEY)[:30_000]

    async def one(number: int) -> None:
        async with attacker.websocket(attacker.address(number % 4)) as connection:
            connection.writer.write(half)
            await connection.receive()

    await attacker.keep(800, one)


def compressed(payload: bytes) -> bytes:
    """A frame of a compressed message (RFC 7692)."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    frame = masked(TEXT, data[:-4], KEY)
    return bytes((frame[0] | 0x40,)) + frame[1:]


def _bombs() -> list[tuple[bytes, str]]:
    """Each kind, and the header that it needs."""
    fragment = bytes((0, 0x81)) + KEY + b"x"
    return [
        (masked(TEXT, b"[" * 60_000, KEY), ""),
        (masked(TEXT, b'{"ping":1,"x":' + b'{"x":' * 10_000 + b"1" + b"}" * 10_001, KEY), ""),
        (masked(TEXT, encoded(x=1, passthrough={"x": "y" * 60_000}), KEY), ""),
        (masked(TEXT, b" " * 70_000, KEY), ""),
        (compressed(b" " * 16 * 1024 * 1024), COMPRESSION),
        (bytes((1, 0x81)) + KEY + b"x" + fragment * 1_500, ""),
        (masked(PING, b"", KEY) * 100, ""),
    ]


async def bombs(attacker: Attacker) -> None:
    """21 clients send deep nesting, large, compressed and cut messages, and pings, over and over.

    Each is a new client at a new address once it is cut.
    """
    kinds = _bombs()

    async def one(number: int) -> None:
        bomb, more = kinds[number % len(kinds)]
        async with attacker.websocket(attacker.next_address(), more) as connection:
            while True:
                attacker.seen[SENT] += 1
                connection.writer.write(bomb)
                await connection.receive()

    await attacker.keep(21, one)


async def guessed_tokens(attacker: Attacker) -> None:
    """32 clients guess tokens, twenty at once, each from a new address when it is cut."""

    def guesses() -> Iterator[bytes]:
        while True:
            yield b'{"authorize":"%s"}' % os.urandom(8).hex()[:15].encode()

    async def one(number: int) -> None:
        async with attacker.websocket(attacker.next_address()) as connection:
            await attacker.call(connection, guesses(), 20)

    await attacker.keep(32, one)


def _streams() -> Iterator[bytes]:
    """More streams than one connection may have; one message opens many."""
    yield encoded(ticks=SYMBOLS, subscribe=1)
    for symbol in SYMBOLS:
        for granularity in (60, 120, 180, 300, 600, 900):
            yield encoded(
                ticks_history=symbol,
                end="latest",
                count=1,
                style="candles",
                granularity=granularity,
                subscribe=1,
            )


async def subscriptions_and_connections(attacker: Attacker) -> None:
    """200 connections from each of 2 addresses; each takes all streams that it can get."""

    async def one(number: int) -> None:
        async with attacker.websocket(attacker.address(number % 2)) as connection:
            for message in _streams():
                await connection.send(message)
                while not await connection.receive():  # an event or a reply
                    pass
            while True:
                await connection.receive()

    await attacker.keep(400, one)


async def cold_candles(attacker: Attacker) -> None:
    """20 clients at new addresses request candles of years that nobody has requested."""
    places = itertools.count()

    def ranges() -> Iterator[bytes]:
        for place in places:
            end = 1_600_000_000 - place // len(SYMBOLS) * 120 * DAY % (3_000 * DAY)
            yield encoded(
                ticks_history=SYMBOLS[place % len(SYMBOLS)],
                start=end - 100 * DAY,
                end=end,
                count=5_000,
                style="candles",
                granularity=(3_600, 14_400, DAY)[place % 3],
            )

    async def one(number: int) -> None:
        async with attacker.websocket(attacker.next_address()) as connection:
            await attacker.call(connection, ranges(), 5)

    await attacker.keep(20, one)


async def proposal_streams(attacker: Attacker) -> None:
    """200 connections at 100 addresses take five streams of proposals each, and try more."""

    async def one(number: int) -> None:
        async with attacker.websocket(attacker.address(number % 100)) as connection:
            for stream in range(6):
                amount = 1 + number % 100 + stream / 10
                await connection.send(
                    encoded(proposal=1, **TERMS | {"amount": amount}, subscribe=1)
                )
            while True:
                await connection.receive()

    await attacker.keep(200, one)


async def sockets_of_a_user(attacker: Attacker) -> None:
    """70 connections of one user, with all their tokens, request prices, trades and statements."""
    calls = (
        encoded(proposal=1, **TERMS),
        encoded(buy="1", price=10, parameters=TERMS),
        encoded(statement=1, limit=999),
        encoded(ticks_history="R_100", end="latest", count=5_000),
        encoded(portfolio=1),
    )

    async def one(number: int) -> None:
        tokens = attacker.target.tokens
        async with attacker.websocket(attacker.address(number)) as connection:
            await connection.send(encoded(authorize=tokens[number % len(tokens)]))
            await attacker.call(connection, itertools.cycle(calls), 4)

    await attacker.keep(70, one)


@dataclass(frozen=True)
class Attack:
    """An attack, and what stops it: outcomes of which each must occur."""

    run: Callable[[Attacker], Awaitable[None]]
    limits: Sequence[str]

    @property
    def name(self) -> str:
        """Its name in the table."""
        return self.run.__name__.replace("_", " ")


ATTACKS = {
    attack.name: attack
    for attack in (
        Attack(floods, ("RateLimit: 180 general calls a minute", "closed with 4429")),
        Attack(slow_handshakes, (CUT,)),
        Attack(half_messages, ("HTTP 429: 128 connections of one address",)),
        Attack(
            bombs,
            (
                *("BadRequest", "RateLimit: 600 messages a minute"),
                *("closed with 1009", "closed with 4429"),
            ),
        ),
        Attack(
            guessed_tokens,
            ("InvalidToken", "RateLimit: 5 wrong tokens a minute", "closed with 4429"),
        ),
        Attack(
            subscriptions_and_connections,
            (
                "HTTP 429: 128 connections of one address",
                "RateLimit: 500 streams of one address",
                "RateLimit: 180 general calls a minute",
            ),
        ),
        Attack(cold_candles, ("RateLimit: 24 candles being computed for one client",)),
        Attack(
            proposal_streams,
            ("RateLimit: 5 proposal streams at once",),
        ),
        Attack(
            sockets_of_a_user,
            ("RateLimit: 64 connections of one user", "RateLimit: 25 outcome calls a minute"),
        ),
    )
}


class Attacking:
    """An attack that runs in a process of its own until the end of a block."""

    def __init__(self, name: str, target: Target) -> None:
        self.name = name
        self._target = target
        self.seen: Counter[str] = Counter()
        """What has happened so far."""
        self._news = asyncio.Event()

    async def __aenter__(self) -> "Attacking":
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.hostile.attacks", self.name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(self._target)).encode() + b"\n")
        self._reading = asyncio.ensure_future(self._read())
        await self._news.wait()
        return self

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.seen = Counter(json.loads(line))
            self._news.set()
        self._news.set()

    async def meets_its_limits(self) -> None:
        """Wait until everything that stops this attack has occurred."""
        while not set(ATTACKS[self.name].limits) <= self.seen.keys():
            self._news.clear()
            await self._news.wait()
            assert not self._reading.done(), f"the attack {self.name} has failed: {self.seen}"

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._reading
        assert await self._process.wait() == 0, f"the attack {self.name} has failed"


async def _run(name: str) -> None:
    loop = asyncio.get_running_loop()
    target = Target(**json.loads(await loop.run_in_executor(None, sys.stdin.readline)))
    if target.gives_way:
        # A process that is only nicer may keep its processor for milliseconds while the gateway
        # waits for it (Linux since 6.6); this class is preempted at once.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    attacker = Attacker(target, list(ATTACKS).index(name))
    ended = loop.run_in_executor(None, sys.stdin.read)
    attack = asyncio.ensure_future(ATTACKS[name].run(attacker))
    while not ended.done():
        await asyncio.wait([ended, attack], timeout=0.25, return_when=asyncio.FIRST_COMPLETED)
        print(json.dumps(attacker.seen), flush=True)
        if attack.done():
            attack.result()
    attack.cancel()
    await asyncio.wait([attack])


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_run(sys.argv[1]))
