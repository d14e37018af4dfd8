"""Floods beside one honest client: how long its calls take alone, and while another client floods.

    python bench/floods.py [--tree DIRECTORY ...] [--seconds 10] [--flood NAME ...] [--limits deriv]

The honest client is measured first alone, then beside the flood, each time on a new gateway on a
free port of 127.0.0.1, with a new database and the rate limits of the profile `deriv`. The
attackers come from 127.0.0.2, in a separate process with low priority; the honest client comes from
127.0.0.1 and keeps within its limits. The table has the median and the 99th percentile of the time
of its calls, in milliseconds, and the number of refusals. `--tree` names a copy of the project to
measure instead of this one, such as an older commit; with several, the table has them side by side.

With `--limits open` no rate limit is reached, and only fair scheduling protects the client.

Bounded: every flood has a fixed number of connections, starts 3 seconds before the measurement of
`--seconds`, and ends with it; processes are ended by id. Needs Linux.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from load import frame

ATTACKER = "127.0.0.2"
HONEST = "127.0.0.1"
PATIENCE = 20.0
GAP = 0.35
"""Seconds between two honest calls: 171 a minute, of the 180 that `deriv` allows."""
GAP_OPEN = 0.02
PASSWORD = "correct horse battery staple"  # noqa: S105 - of a gateway that runs for a minute

Message = dict[str, Any]


class FloodError(Exception):
    """The gateway did not start, or the honest client could not sign in."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway, and the tokens of the clients."""

    port: int
    honest: str
    """The honest client's token."""
    attacker: str


@dataclass(frozen=True, slots=True)
class Flood:
    """A flood, and the calls of the honest client meanwhile."""

    name: str
    honest: tuple[Message, ...]
    """The calls, made in turn, each many times."""
    attack: Callable[[Gateway], Awaitable[None]]
    signs_in: bool = False
    at_pages: bool = False


# A client.


class Client:
    """A WebSocket client over plain streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, message: Message | bytes) -> None:
        """Send a message."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        if len(data) < 65_536:
            self._writer.write(frame(data))

    async def drain(self) -> None:
        """Wait until the write buffer has room: the gateway reads again."""
        await self._writer.drain()

    async def reply(self) -> bytes:
        """Return the next text message. Raises `ConnectionError` at a close frame."""
        while True:
            first, second = await self._reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                length = int.from_bytes(await self._reader.readexactly(2), "big")
            elif length == 127:
                length = int.from_bytes(await self._reader.readexactly(8), "big")
            payload = await self._reader.readexactly(length)
            if first & 0x0F == 8:
                raise ConnectionError(f"closed: {payload[2:].decode()}")
            if first & 0x0F == 1:
                return payload

    async def ask(self, message: Message) -> Message:
        """Send a message and wait for its reply."""
        self.send(message)
        wanted = message.get("req_id")
        while True:
            reply: Message = json.loads(await self.reply())
            if reply.get("req_id") == wanted:
                return reply


@contextlib.asynccontextmanager
async def connected(
    gateway: Gateway, address: str, *, at_pages: bool = False, path: str = "/websockets/v3"
) -> AsyncIterator[Client]:
    """Connect a client from this address; `at_pages` with the gateway's own origin."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", gateway.port, local_addr=(address, 0), limit=1 << 22
    )
    try:
        origin = f"Origin: http://127.0.0.1:{gateway.port}\r\n" if at_pages else ""
        writer.write(
            f"GET {path}?app_id=1089 HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
            f"{origin}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head:
            raise ConnectionError(head.decode())
        yield Client(reader, writer)
    finally:
        writer.close()


async def forever(count: int, one: Callable[[int], Awaitable[None]]) -> None:
    """Run `count` attackers, each again whenever it ends or fails."""

    async def again(number: int) -> None:
        while True:
            with contextlib.suppress(OSError, ConnectionError, EOFError, ValueError):
                await one(number)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(again(number) for number in range(count)))


def calling(
    count: int,
    messages: Callable[[int], Iterator[Message | bytes]],
    *,
    outstanding: int = 1,
    signs_in: bool = False,
    at_pages: bool = False,
) -> Callable[[Gateway], Awaitable[None]]:
    """Return an attack of `count` connections that each send a further message for every reply."""

    async def attack(gateway: Gateway) -> None:
        async def one(number: int) -> None:
            async with connected(gateway, ATTACKER, at_pages=at_pages) as client:
                if signs_in:
                    await client.ask({"authorize": gateway.attacker})
                texts = messages(number)
                for _ in range(outstanding):
                    client.send(next(texts))
                while True:
                    await client.reply()
                    client.send(next(texts))
                    await client.drain()

        await forever(count, one)

    return attack


def requesting(
    count: int, request: Callable[[int], bytes], *, pause: float = 0.0
) -> Callable[[Gateway], Awaitable[None]]:
    """Return an attack of `count` connections that send HTTP requests one after the other."""

    async def attack(gateway: Gateway) -> None:
        async def one(number: int) -> None:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", gateway.port, local_addr=(ATTACKER, 0), limit=1 << 22
            )
            try:
                while True:
                    writer.write(request(number).replace(b"HOST", b"127.0.0.1:%d" % gateway.port))
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                    await reader.readexactly(int(length or b"0"))
                    await asyncio.sleep(pause)
            finally:
                writer.close()

        await forever(count, one)

    return attack


def waiting(count: int, opening: bytes, each: bytes) -> Callable[[Gateway], Awaitable[None]]:
    """Return an attack of `count` connections that send `opening`, then `each` every second."""

    async def attack(gateway: Gateway) -> None:
        async def one(_number: int) -> None:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", gateway.port, local_addr=(ATTACKER, 0)
            )
            try:
                writer.write(opening)
                while True:
                    await asyncio.sleep(1)
                    writer.write(each)
                    await writer.drain()
            finally:
                writer.close()

        await forever(count, one)

    return attack


# The floods.


def again(*messages: Message | bytes) -> Callable[[int], Iterator[Message | bytes]]:
    """Return a source of these messages in turn, without end."""

    def endless(_number: int) -> Iterator[Message | bytes]:
        while True:
            yield from messages

    return endless


PING: Message = {"ping": 1}
PROPOSAL: Message = {
    "proposal": 1,
    "amount": 10,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "symbol": "R_100",
    "duration": 5,
    "duration_unit": "m",
}
BUY: Message = {
    "buy": "1",
    "price": 10,
    "parameters": {key: value for key, value in PROPOSAL.items() if key != "proposal"},
}
HISTORY: Message = {"ticks_history": "R_100", "end": "latest", "count": 1000}
CANDLES: Message = {
    "ticks_history": "R_50",
    "end": "latest",
    "count": 5000,
    "style": "candles",
    "granularity": 3600,
}
CHART: Message = {**CANDLES, "ticks_history": "R_100", "count": 500}
SYMBOLS = (
    *("R_10", "R_25", "R_50", "R_75", "1HZ10V", "1HZ25V", "1HZ50V", "1HZ75V", "1HZ100V"),
    *("BOOM300N", "BOOM500", "BOOM1000", "CRASH300N", "CRASH500", "CRASH1000"),
    *("JD10", "JD25", "JD50", "JD75", "JD100", "stpRNG", "RDBULL", "RDBEAR"),
)
YEAR = 365 * 86_400
CALENDAR: Message = {
    "economic_calendar": 1,
    "start_date": 1_735_689_600,
    "end_date": 1_735_689_600 + YEAR - 1,
}
LARGE = "x" * 55_000
SIGN_IN: Message = {"sign_in": 1, "email": "attacker@example.com", "password": PASSWORD}
HONEST_SIGN_IN: Message = {**SIGN_IN, "email": "honest@example.com"}


def _cold(number: int) -> Iterator[Message | bytes]:
    while True:
        for granularity in (86_400, 14_400):
            symbol = SYMBOLS[number % len(SYMBOLS)]
            yield {**CANDLES, "ticks_history": symbol, "granularity": granularity}


def _proposal_streams(number: int) -> Iterator[Message | bytes]:
    for stream in range(5):
        amount = 1 + number + stream / 10
        yield {**PROPOSAL, "amount": amount, "subscribe": 1}
    while True:
        yield PING


async def _streams(gateway: Gateway) -> None:
    async def one(number: int) -> None:
        async with connected(gateway, ATTACKER) as client:
            for message in list(_first(_proposal_streams(number), 5)):
                client.send(message)
            while True:
                await client.reply()

    await forever(72, one)


def _first(endless: Iterator[Any], count: int) -> Iterator[Any]:
    for _ in range(count):
        yield next(endless)


FLOODS = (
    Flood("72 x 5 proposal streams", (PING,), _streams),
    Flood("unknown calls of 55 KB", (PING,), calling(8, again({"x": 1, "passthrough": LARGE}))),
    Flood(
        "1 user, 64 sockets: proposal",
        (PING, PROPOSAL),
        calling(64, again(PROPOSAL), outstanding=8, signs_in=True),
        signs_in=True,
    ),
    Flood(
        "1 user, 64 sockets: history",
        (PING, HISTORY),
        calling(64, again({**HISTORY, "count": 5000}), outstanding=4, signs_in=True),
        signs_in=True,
    ),
    Flood(
        "1 user, 64 sockets: buy",
        (PING, BUY),
        calling(64, again(BUY), outstanding=4, signs_in=True),
        signs_in=True,
    ),
    Flood(
        "1 user, 64 sockets: statement",
        (PING, {"statement": 1, "limit": 10}),
        calling(64, again({"statement": 1, "limit": 999}), outstanding=4, signs_in=True),
        signs_in=True,
    ),
    Flood(
        "20 connections sign in",
        (HONEST_SIGN_IN, PING),
        calling(20, again(SIGN_IN), at_pages=True),
        at_pages=True,
    ),
    Flood("25 connections: candles", (CHART, PING), calling(25, again(CANDLES))),
    Flood("20 connections: cold candles", (CHART, PING), calling(20, _cold)),
    Flood("25 connections: a year's calendar", (PING,), calling(25, again(CALENDAR))),
    Flood(
        "25 connections: lists",
        (PING,),
        calling(
            25, again({"asset_index": 1}, {"active_symbols": "full"}, {"contracts_for": "R_100"})
        ),
    ),
    Flood(
        "25 connections: /asyncapi.json",
        (PING,),
        requesting(25, lambda _: b"GET /asyncapi.json HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ),
    Flood(
        "500 slow bodies",
        (PING,),
        waiting(
            500,
            b"POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n",
            b"a",
        ),
    ),
    Flood("1,000 silent sockets", (PING,), waiting(1_000, b"", b"")),
)


# Measuring.


@dataclass(frozen=True, slots=True)
class Taken:
    """The times of the honest client's calls of one kind."""

    seconds: tuple[float, ...]
    refused: int

    def at(self, share: float) -> float:
        """Return the percentile `share` (0 to 1), in milliseconds; 0 if there are no times."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3 if ordered else 0.0


async def honest(gateway: Gateway, flood: Flood, *, seconds: float, gap: float) -> dict[str, Taken]:
    """Make the honest client's calls for `seconds`; return their times, by call."""
    taken: dict[str, list[float]] = {next(iter(call)): [] for call in flood.honest}
    refused = dict.fromkeys(taken, 0)
    async with asyncio.timeout(seconds + PATIENCE):
        async with connected(gateway, HONEST, at_pages=flood.at_pages) as client:
            if flood.signs_in:
                reply = await client.ask({"authorize": gateway.honest, "req_id": 1})
                if "error" in reply:
                    raise FloodError(f"the honest client cannot sign in: {reply['error']}")
            ends = perf_counter() + seconds
            number = 1
            while perf_counter() < ends:
                call = flood.honest[number % len(flood.honest)]
                number += 1
                name = next(iter(call))
                began = perf_counter()
                reply = await client.ask({**call, "req_id": number})
                took = perf_counter() - began
                taken[name].append(took)
                refused[name] += "error" in reply
                await asyncio.sleep(max(0.0, gap - took))
    return {name: Taken(tuple(all_), refused[name]) for name, all_ in taken.items()}


def _attack(name: str, gateway: Gateway) -> None:
    os.nice(10)
    _allow_many_files()
    flood = next(each for each in FLOODS if each.name == name)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    asyncio.run(flood.attack(gateway))  # type: ignore[arg-type]


def _allow_many_files() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def attacked(flood: Flood, gateway: Gateway) -> Iterator[None]:
    """Attack until the block ends."""
    process = multiprocessing.get_context("spawn").Process(
        target=_attack, args=(flood.name, gateway), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()


def measure(
    tree: Path, flood: Flood, *, limits: str, seconds: float
) -> tuple[dict[str, Taken], dict[str, Taken]]:
    """Measure the honest client's calls alone and beside the flood, each on a new gateway."""
    gap = GAP if limits == "deriv" else GAP_OPEN
    if flood.at_pages:
        gap = max(gap, 0.5)
    with started(tree, limits) as gateway:
        asyncio.run(honest(gateway, flood, seconds=1.0, gap=gap))  # a warm-up
        alone = asyncio.run(honest(gateway, flood, seconds=seconds, gap=gap))
    with started(tree, limits) as gateway:
        asyncio.run(honest(gateway, flood, seconds=1.0, gap=gap))

        async def beside() -> dict[str, Taken]:
            with attacked(flood, gateway):
                await asyncio.sleep(3.0)  # until the attackers' process has started
                return await honest(gateway, flood, seconds=seconds, gap=gap)

        return alone, asyncio.run(beside())


@contextlib.contextmanager
def started(tree: Path, limits: str) -> Iterator[Gateway]:
    """Start a gateway of this copy of the project, with two users."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SCOPEGATE_")}
    environment["PYTHONPATH"] = str(tree)
    program = [sys.executable, "-m", "scopegate"]
    with TemporaryDirectory(prefix="scopegate-floods-") as folder:
        database = str(Path(folder) / "floods.db")

        def run(*arguments: str) -> str:
            return subprocess.run(
                [*program, *arguments, "--db", database],
                cwd=folder,
                env=environment,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout

        process = subprocess.Popen(
            [*program, "serve", "--port", "0", "--db", database, "--limits", limits],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "listening on " in line:
                    url = line.split("listening on ")[1].split()[0]
                    break
            else:
                raise FloodError(f"the gateway of {tree} did not start")
            port = urlsplit(url).port
            assert port is not None
            yield Gateway(port, *(_user(run, who) for who in ("honest", "attacker")))
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _user(run: Callable[..., str], who: str) -> str:
    """Create a user, and return a token for their demo account."""
    opened = run("user", "create", "--email", f"{who}@example.com", "--password", PASSWORD)
    account = next(line for line in opened.split() if line.startswith("VR"))
    created = ("token", "create", "--loginid", account, "--scopes", "read,trade", "--name", "Flood")
    return run(*created).strip()


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    world = Path(__file__).resolve().parent.parent
    options.add_argument(
        "--tree", type=Path, action="append", help="a copy of the project; this one if not given"
    )
    options.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    options.add_argument("--limits", choices=("deriv", "open"), default="deriv")
    options.add_argument("--flood", action="append", help="part of a flood's name; all otherwise")
    given = options.parse_args()
    _allow_many_files()
    trees = [tree.resolve() for tree in given.tree or [world]]
    print(f"profile {given.limits}; milliseconds, p50 / p99")
    columns = " | ".join(f"{tree.name}: alone | beside the flood | refused" for tree in trees)
    print(f"| flood | call | {columns} |")
    print("|---|---|" + "---|---|---|" * len(trees))
    for flood in FLOODS:
        if given.flood and not any(part in flood.name for part in given.flood):
            continue
        rows: Mapping[str, list[str]] = {next(iter(call)): [] for call in flood.honest}
        for tree in trees:
            try:
                alone, beside = measure(tree, flood, limits=given.limits, seconds=given.seconds)
            except (OSError, EOFError, TimeoutError, FloodError) as problem:
                for cells in rows.values():
                    cells.append(f" | {type(problem).__name__} |")
                continue
            for name, cells in rows.items():
                first, second = alone[name], beside[name]
                cells.append(
                    f"{first.at(0.5):.1f} / {first.at(0.99):.1f}"
                    f" | {second.at(0.5):.1f} / {second.at(0.99):.1f}"
                    f" | {second.refused} of {len(second.seconds)}"
                )
        for name, cells in rows.items():
            print(f"| {flood.name} | `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
