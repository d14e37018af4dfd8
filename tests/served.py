"""A gateway in a process of its own, as a user starts it, and WebSocket clients for it."""

import asyncio
import contextlib
import functools
import http.client
import os
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from scopegate.composition import declared
from scopegate.gateway.calls.registry import Registry
from scopegate.listening import listen
from scopegate.testing import Client, World
from tests import incubator, leftovers, stores

SCRIPT = (str(Path(sys.executable).with_name("scopegate")),)
"""What a user types."""

PATIENCE = 60.0
"""Real seconds that a command, or the end of a gateway, may take before a test fails."""


class SocketClient(Client):
    """A client over a real socket."""

    def __init__(self, registry: Registry, socket: ClientConnection) -> None:
        super().__init__(registry)
        self._socket = socket
        self._tasks: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()
        self._keep(self._read())

    def _keep(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def send_text(self, text: bytes) -> None:
        if self.closed is not None:
            raise ConnectionError(f"closed: {self.closed}")

        async def send() -> None:
            # The reader tells those that wait for the reply that there will be none.
            with contextlib.suppress(ConnectionClosed):
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
async def over_sockets(world: World) -> AsyncIterator[Any]:
    """A function that connects clients to this world over real sockets."""
    clients: list[SocketClient] = []
    async with listen(world.gateway) as port:

        async def connect_client(
            app_id: int | str = 1089, *, address: str = "127.0.0.1", at_pages: bool = False
        ) -> SocketClient:
            own = f"127.0.0.1:{port}"
            socket = await connect(
                f"ws://{own}/websockets/v3?app_id={app_id}",
                compression=None,
                local_addr=(address, 0),
                origin=Origin(f"http://{own}") if at_pages else None,
            )
            clients.append(SocketClient(world.gateway.registry, socket))
            return clients[-1]

        try:
            yield connect_client
        finally:
            for client in clients:
                await client.aclose()


our_calls = functools.cache(declared)
"""The calls that a gateway without handlers of strangers offers."""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of a gateway, and with what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCOPEGATE_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **(more or {})}


def scopegate(
    *arguments: str,
    folder: Path,
    settings: Mapping[str, str] | None = None,
    program: tuple[str, ...] | None = None,
    patience: float = PATIENCE,
) -> subprocess.CompletedProcess[str]:
    """Run the command line in this folder to its end, whatever that is.

    Without a `program` it is started by the incubator, if there is one.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = incubator.start(
            arguments,
            program=program,
            folder=folder,
            environment=environment(settings),
            stdout=output,
            stderr=errors,
        )
        try:
            code = process.wait(patience)
        except BaseException:
            process.kill()
            process.wait()
            raise
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(arguments, code, output.read(), errors.read())


class Served:
    """`scopegate serve` in a process of its own, from the beginning of a block to its end.

    Within the block it may be stopped, killed and started anew.
    """

    stdin: int = subprocess.DEVNULL
    """Its standard input, not that of the tests: a gateway in a terminal stops at SIGHUP."""
    program: tuple[str, ...] | None = None
    """How the command line is started, where not by the incubator."""

    def __init__(
        self, folder: Path, *options: str, settings: Mapping[str, str] | None = None
    ) -> None:
        """`settings` are further variables of its environment."""
        self.folder = folder
        self.db = folder / "scopegate.db"
        self.options = options
        self.settings = settings
        self.calls: Registry | None = None
        """Its calls, where they are not those of `scopegate serve`."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, however the block ended; `stop` beforehand to judge how it ends by itself."""
        self.kill()

    def command(self, *arguments: str) -> str:
        """Run another command of scopegate on this database; its standard output, stripped."""
        done = scopegate(*arguments, *stores.option(self.db), folder=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, *, last: str = "token") -> None:
        """Start it, and wait until it says where it listens. It does not outlive a failed start.

        `last` is how the line begins that it says last: "page" where there is no demo user.
        """
        with (self.folder / "stderr.txt").open("a") as errors:
            self.process = incubator.start(
                ("serve", "--port", "0", *stores.serve_options(self.db), *self.options),
                program=self.program,
                folder=self.folder,
                environment=environment(self.settings),
                stdin=self.stdin,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        leftovers.supervised.add(self.process.pid)
        try:
            self._read_first_lines(last)
        except BaseException:
            self.kill()
            raise

    def _read_first_lines(self, last: str) -> None:
        assert self.process.stdout is not None
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith(last):
                break
        else:
            raise AssertionError(f"serve did not start: {self.lines}, {self.stderr}")
        self.url = self.lines[0].removeprefix("listening on ")
        self.page = self.lines[1].split()[1]
        self.token = self.lines[-1].split()[1] if last == "token" else ""
        self.loginids = [line.split()[1] for line in self.lines if line.startswith("account")]

    @property
    def stderr(self) -> str:
        """What it has written to standard error, at all its starts."""
        return (self.folder / "stderr.txt").read_text()

    @asynccontextmanager
    async def connected(
        self, *, app_id: int | str = 1089, url: str = "", **options: Any
    ) -> AsyncIterator[SocketClient]:
        """A client over a socket of its own; `options` are those of the WebSocket library.

        It may connect by another `url`, that of a load balancer.
        """
        address = f"{url or self.url}?app_id={app_id}"
        async with connect(address, compression=None, **options) as socket:
            client = SocketClient(self.calls or our_calls(), socket)
            try:
                yield client
            finally:
                await client.aclose()

    def processes(self) -> list[incubator.Process | subprocess.Popen[str]]:
        """The processes that a test has started."""
        return [self.process]

    def workers(self) -> list[int]:
        """The process ids of its workers, in the order of their starts; of a single process none.

        A killed one is among them until its parent has noticed.
        """
        if "--workers" not in self.options:  # such a process may have a writer process
            return []
        parent = self.process.pid
        listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def kill(self) -> None:
        """The end that nothing can prepare for. Harmless when it has ended."""
        self.process.kill()
        self._reap()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code. Harmless when it has ended.

        Fails when it does not stop in time, and ends it then.
        """
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self._reap()

    def _reap(self) -> int:
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"serve did not stop: {self.lines}, {self.stderr}") from None
        finally:
            leftovers.supervised.discard(self.process.pid)
            if self.process.stdout is not None and not self.process.stdout.closed:
                self.lines += self.process.stdout.read().splitlines()
                self.process.stdout.close()
        return code


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[Served]:
    """A gateway with a fixed seed that has no reason to complain, until the block ends."""
    with Served(folder, *(() if "--seed" in options else ("--seed", "tests")), *options) as served:
        yield served
        code = served.stop()
        assert code == 0
        assert served.stderr == "", served.stderr


def printed(
    command: Sequence[str | Path], folder: Path, variables: Mapping[str, str] | None = None
) -> str:
    """What a program prints that has nothing to complain about."""
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(variables),
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def fetch(url: str, context: ssl.SSLContext | None = None) -> tuple[int, str, bytes]:
    """Get a page over HTTP or HTTPS: the status, the content type and the body."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=PATIENCE, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("GET", parts._replace(scheme="", netloc="").geturl() or "/")
        response = connection.getresponse()
        return response.status, response.headers.get_content_type(), response.read()


def unverified() -> ssl.SSLContext:
    """What takes any certificate, as that of a gateway that made its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
