"""The processes that are measured: started on free ports of 127.0.0.1, and ended by process id.

Needs Linux: CPU time and memory are read from `/proc`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from urllib.parse import urlsplit

from peers import FASTAPI_WEBSOCKETS

SCOPEGATE, WEBSOCKETS, FASTAPI = "Scopegate", "websockets", "FastAPI"
PICOWS, PROTOTYPE, FANOUT = "picows", "prototype", "fan-out by hand"

PLUGIN = Path(__file__).with_name("plugin_calls.py")
"""Copied to the folder in which Scopegate runs: modules of this one would shadow libraries'."""

_END_PATIENCE = 20.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_NO_LIMIT = "1000000000"

T = TypeVar("T")


class ServerError(Exception):
    """A server did not start, or the kernel reports nothing about it."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    pid: int
    port: int
    path: str
    token: str = ""
    """A token for `authorize`, if the server has that call."""
    db: Path | None = None
    """Its database, if it has one."""

    def cpu_seconds(self) -> float:
        """Return the user and system time used so far by the process, and by its workers."""
        return sum(map(_cpu_seconds, [self.pid, *_children(self.pid)]))

    def resident_kib(self) -> int:
        """Return the resident memory of the process, in KiB."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1])
        raise ServerError("the kernel does not tell how much memory is resident")


def _cpu_seconds(pid: int) -> float:
    """Return the user and system time used so far by all threads of a process."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def scopegate(*more: str, db: Path | None = None) -> Iterator[Server]:
    """Run Scopegate as its users start it, with a new database or `db`, and with `more` options.

    All settings are defaults, except that rate limits, which are still counted, are never reached,
    and that the plugin `plugin_calls` is loaded.
    """
    command = [sys.executable, "-m", "scopegate", "serve", "--port", "0"]
    command += ["--db", str(db or "bench.db"), "--handlers", PLUGIN.stem]
    limits = [
        f"--{group}-per-{span}={_NO_LIMIT}"
        for group in ("messages", "general", "outcome", "pricing")
        for span in ("minute", "hour")
    ]
    with (
        TemporaryDirectory(prefix="scopegate-bench-") as folder,
        _process([*command, *limits, *more], _with_plugin(folder)) as process,
    ):
        url = _said(process, "listening on ")
        # In a database with users of its own there is no demo user.
        token = _said(process, "token ").split()[0] if db is None else ""
        server = _server(SCOPEGATE, process, f"{url}?app_id=1089", token)
        yield replace(server, db=db or Path(folder) / "bench.db")


def _with_plugin(folder: str) -> str:
    shutil.copy(PLUGIN, folder)
    return folder


@contextmanager
def peer(name: str, entry: str) -> Iterator[Server]:
    """Run the server `entry` of `peers.PEERS`; `name` is its name in the tables."""
    program = Path(__file__).with_name("peers.py")
    # -P: a module of this folder must not shadow one that a library imports.
    with _process([sys.executable, "-P", str(program), entry]) as process:
        yield _server(name, process, _said(process, "listening on "))


SERVERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    SCOPEGATE: scopegate,
    WEBSOCKETS: partial(peer, WEBSOCKETS, "websockets"),
    FASTAPI: partial(peer, FASTAPI, "fastapi"),
    PICOWS: partial(peer, PICOWS, "picows"),
    PROTOTYPE: partial(peer, PROTOTYPE, "prototype"),
}
"""How to start each server."""


@contextmanager
def _process(command: Sequence[str], folder: str | None = None) -> Iterator[subprocess.Popen[str]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SCOPEGATE_")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _said(process: subprocess.Popen[str], begin: str) -> str:
    """Return the rest of the next line of the process's output that starts with `begin`."""
    for line in process.stdout or ():
        if line.startswith(begin):
            return line.removeprefix(begin).strip()
    raise ServerError(f"{process.args!r} ended without saying {begin!r}")


def _server(name: str, process: subprocess.Popen[str], url: str, token: str = "") -> Server:
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    if parts.port is None:
        raise ServerError(f"no port in {url!r}")
    return Server(name, process.pid, parts.port, path, token)


def rotated(items: Sequence[T], number: int) -> list[T]:
    """Return the items rotated by `number`, so that each round has them in a different order."""
    start = number % len(items)
    return [*items[start:], *items[:start]]


def what_is_measured() -> str:
    """Return the versions, the interpreter and the number of cores, in one line."""
    return (
        f"Scopegate {version('scopegate')}, websockets {version('websockets')}, FastAPI"
        f" {version('fastapi')} on uvicorn {version('uvicorn')} ({FASTAPI_WEBSOCKETS}), uvloop"
        f" {version('uvloop')}, picows {version('picows')}, Python {sys.version.split()[0]},"
        f" {os.cpu_count()} cores"
    )
