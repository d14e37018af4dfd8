"""A gateway in a process of its own, as a user starts it, and a WebSocket client for it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.app import Gateway, listen
from gateway.testing import Client, World

START_PATIENCE = 60.0


class SocketClient(Client):
    """A client over a real socket; for worlds with a listener."""

    def __init__(self, gateway: Gateway, socket: ClientConnection) -> None:
        super().__init__(gateway.registry)
        self._socket = socket
        self._tasks: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()
        self._keep(self._read())

    def _keep(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def send_text(self, text: bytes) -> None:
        async def send() -> None:
            async with self._order:
                await self._socket.send(text, text=True)

        self._keep(send())

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self._socket:
                self._arrived(text.encode() if isinstance(text, str) else text)
        self._ended(self._socket.close_code or 1006, self._socket.close_reason or "")

    async def aclose(self) -> None:
        await self._socket.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def over_sockets(here: World) -> AsyncIterator[Any]:
    """A function that connects clients to this world over real sockets."""
    clients: list[SocketClient] = []
    async with listen(here.gateway) as port:

        async def connect_client(app_id: int | str = 1089) -> SocketClient:
            socket = await connect(
                f"ws://127.0.0.1:{port}/websockets/v3?app_id={app_id}", compression=None
            )
            clients.append(SocketClient(here.gateway, socket))
            return clients[-1]

        try:
            yield connect_client
        finally:
            for client in clients:
                await client.aclose()


class Served:
    """`scopegate serve`, in a process that the test started and ends."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.db = folder / "scopegate.db"
        self.options = options
        self.start()

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SCOPEGATE_")}
        return kept | {"PYTHONUNBUFFERED": "1"}

    def command(self, *arguments: str) -> str:
        """Run another command of scopegate on this database; its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments, "--db", str(self.db)],
            check=True,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment(),
            timeout=60,
        )
        return done.stdout.strip()

    def start(self) -> None:
        self.errors = (self.folder / "stderr.txt").open("a+")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gateway",
                "serve",
                "--port",
                "0",
                "--db",
                str(self.db),
                *self.options,
            ],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=self.folder,
            env=self.environment(),
        )
        assert self.process.stdout is not None
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith("token"):
                break
        if not self.lines:
            self.process.wait(START_PATIENCE)
            raise AssertionError(f"serve did not start: {self.stderr}")
        self.url = self.lines[0].removeprefix("listening on ")
        self.token = self.lines[-1].split()[1]
        self.loginids = [line.split()[1] for line in self.lines if line.startswith("account")]

    @property
    def stderr(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    @asynccontextmanager
    async def connected(self, **options: Any) -> AsyncIterator["Asker"]:
        async with connect(f"{self.url}?app_id=1089", compression=None, **options) as socket:
            yield Asker(socket)

    def kill(self) -> None:
        """The end that nothing can prepare for."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        self._close()
        return code

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.errors.close()


class Asker:
    """The least of clients: sends, and takes what comes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        await self.socket.send(json.dumps(request))
        return await self.next()

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        return message
