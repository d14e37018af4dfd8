"""Something between a gateway and its database server that stalls, cuts, or loses a COMMIT."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

COMMIT = b"COMMIT\x00"


class Proxy:
    """Passes bytes on between clients and a server on loopback, and can stall or cut that."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.refuses = False
        """Whether connections are closed as soon as they are opened."""
        self.has_lost = asyncio.Event()
        """Set once a COMMIT was lost."""
        self.loses = ""
        """Where the next COMMIT is lost, with its connection: before the server has it or after."""

    async def start(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def stall(self) -> None:
        """Pass nothing on from now on; connections stay open."""
        self._open.clear()

    def go_on(self) -> None:
        """Pass on what has waited, and everything that follows."""
        self._open.set()

    def cut(self) -> None:
        """Close every connection."""
        for task in self._passing:
            task.cancel()

    async def close(self) -> None:
        """Close everything."""
        self.cut()
        await asyncio.gather(*self._passing, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        try:
            if not self.refuses:
                await self._pass_on(reader, writer)
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            self._passing.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to)
        lost = asyncio.Event()

        async def requests() -> None:
            while data := await reader.read(65_536):
                await self._open.wait()
                if self.loses and COMMIT in data:
                    where, self.loses = self.loses, ""
                    self.has_lost.set()
                    if where == "before":
                        return
                    lost.set()
                to_server.write(data)

        async def replies() -> None:
            while data := await from_server.read(65_536):
                await self._open.wait()
                if lost.is_set():
                    return
                writer.write(data)

        passing = [asyncio.create_task(requests()), asyncio.create_task(replies())]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            to_server.transport.abort()
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)


@asynccontextmanager
async def proxied(to: int) -> AsyncIterator[tuple[Proxy, int]]:
    """A proxy before this port, and its own port."""
    proxy = Proxy(to)
    port = await proxy.start()
    try:
        yield proxy, port
    finally:
        await proxy.close()
