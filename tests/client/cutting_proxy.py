"""A proxy between a client and a gateway that cuts connections at a chosen byte, on either side."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Literal, NamedTuple

Side = Literal["requests", "replies"]
GOES_ON = 2**62
"""More bytes than a connection has."""


class Cut(NamedTuple):
    """Where a connection is cut: once this many bytes of a direction have passed."""

    side: Side = "replies"
    after: int = GOES_ON
    resets: bool = True
    """Whether both ends see a reset, rather than an end after what has passed."""


def random_cuts(chance: random.Random, longest: int) -> Iterator[Cut]:
    """Cuts without end: many within the handshake or the first messages, and a few much later."""
    while True:
        side: Side = "requests" if chance.random() < 0.5 else "replies"
        yield Cut(side, int(longest ** chance.uniform(0.2, 1.0)), chance.random() < 0.5)


class CuttingProxy:
    """Passes bytes on between clients and the port `to` on loopback, until a connection is cut."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.port = 0
        self.next_cut: Callable[[], Cut] = Cut
        """Chooses where the next connection is cut; by default it is not."""
        self.refuses = False
        """Whether connections are closed as soon as they are opened."""
        self.cuts = 0
        """How many connections were cut."""
        self.opened = 0
        """How many connections were opened."""
        self._passing: set[asyncio.Task[None]] = set()
        self._attempt = asyncio.Condition()

    async def attempts(self, count: int) -> None:
        """Wait for so many further connections."""
        wanted = self.opened + count
        async with self._attempt:
            await self._attempt.wait_for(lambda: self.opened >= wanted)

    async def until_cut(self, cuts: int) -> None:
        """Wait until so many connections were cut, from the beginning on."""
        async with self._attempt:
            await self._attempt.wait_for(lambda: self.cuts >= cuts)

    def cut(self) -> None:
        """Cut every open connection."""
        for task in self._passing:
            task.cancel()

    async def cut_after(self, side: Side, texts: int = 1) -> None:
        """Cut when so many further chunks have passed in a direction, before the last is sent."""
        self._chunks = (side, texts)
        self._was_cut = asyncio.Event()
        await self._was_cut.wait()

    _chunks: tuple[Side, int] | None = None
    _was_cut: asyncio.Event

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what a client and the gateway send, until the cut."""
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        async with self._attempt:
            self.opened += 1
            self._attempt.notify_all()
        cut = self.next_cut()
        try:
            if not self.refuses:
                await self._pass_on(cut, reader, writer)
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            self._passing.discard(task)
            _close(writer, resets=cut.resets)
            async with self._attempt:
                self._attempt.notify_all()

    async def _pass_on(
        self, cut: Cut, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        from_gateway, to_gateway = await asyncio.open_connection("127.0.0.1", self.to)

        async def one_way(
            side: Side, source: asyncio.StreamReader, target: asyncio.StreamWriter
        ) -> None:
            passes = cut.after if side == cut.side else GOES_ON
            while data := await source.read(65_536):
                if self._chunks is not None and self._chunks[0] == side:
                    self._chunks = (side, self._chunks[1] - 1)
                    if not self._chunks[1]:
                        self._chunks = None
                        self.cuts += 1
                        self._was_cut.set()
                        return
                target.write(data[:passes])
                passes -= len(data)
                if passes <= 0:
                    self.cuts += 1
                    return
                await target.drain()

        ways = [
            asyncio.create_task(one_way("requests", reader, to_gateway)),
            asyncio.create_task(one_way("replies", from_gateway, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            _close(to_gateway, resets=cut.resets)


def _close(writer: asyncio.StreamWriter, *, resets: bool) -> None:
    connection = writer.get_extra_info("socket")
    if resets and connection is not None:
        at_once = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.transport.abort()
    else:
        writer.close()


@asynccontextmanager
async def cutting_proxy(to: int) -> AsyncIterator[CuttingProxy]:
    """A proxy before this port, until the block ends."""
    proxy = CuttingProxy(to)
    server = await asyncio.start_server(proxy.accepted, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.refuses = True
        while proxy._passing:
            proxy.cut()
            await asyncio.wait(set(proxy._passing))
        await server.wait_closed()
