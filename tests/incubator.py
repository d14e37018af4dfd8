"""Start the command line quickly: in a copy of a process that has imported it already.

Most of the time that a command takes to start is that of its imports, and the tests start it more
than a thousand times. The copy runs `python -m scopegate` with its own arguments, folder,
environment and streams. Where a test is about the start itself, it starts an interpreter instead.
"""

import contextlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from tests import leftovers

INTERPRETER = (sys.executable, "-m", "scopegate")
"""How the command line is started in an interpreter of its own."""
_IMPORTED = ("app", "paper_exchange", "commands.serve", "commands.token", "commands.user")
_NUMBER = 4
"""Bytes of a length, a process id and a status."""
_AT_START = ("PYTHON", "LD_", "OPENBLAS_", "OMP_", "LC_", "LANG")
"""How the names of variables begin that count only when an interpreter starts."""


class Process:
    """A process that was started here; what of `subprocess.Popen` the tests use."""

    def __init__(self, pid: int, status: int, stdout: IO[str] | None) -> None:
        """`status` is the descriptor from which its status is read once it has ended."""
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = stdout
        self._status = status
        self._lock = threading.Lock()

    def __del__(self) -> None:
        os.close(self._status)

    def poll(self) -> int | None:
        """The exit code, or minus the number of a signal; `None` while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends. Raises `subprocess.TimeoutExpired`."""
        ends = None if timeout is None else time.monotonic() + timeout
        while (code := self._ended(None if ends is None else ends - time.monotonic())) is None:
            if ends is not None and time.monotonic() >= ends:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            seconds = None if timeout is None else max(0.0, timeout)
            ready, _, _ = select.select([self._status], [], [], seconds)
            with self._lock:  # several threads may wait
                if ready and self.returncode is None:
                    status = os.read(self._status, _NUMBER)
                    assert status, "the incubator has ended"
                    self.returncode = os.waitstatus_to_exitcode(int.from_bytes(status))
        return self.returncode


class _Request(NamedTuple):
    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    streams: Sequence[int]
    """Its standard input, output and error."""


class Incubator:
    """The process that is copied, from its first use to its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_start = _at_start({**os.environ, "PYTHONUNBUFFERED": "1"})
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a copy is what an interpreter would be that starts in this environment.

        Only Linux can watch a process by a descriptor; elsewhere nothing is copied.
        """
        is_traced = any(name.startswith("COVERAGE_PROCESS") for name in environment)
        is_alike = _at_start(environment) == self._at_start
        return is_alike and not is_traced and hasattr(os, "pidfd_open")

    def start(self, request: _Request) -> tuple[int, int]:
        """Start a command; its process id, and the descriptor from which its status is read."""
        text = json.dumps(request[:-1]).encode()
        status, told = os.pipe()
        try:
            with self._lock:
                if self._process is None:
                    self._begin(request.environment)
                socket.send_fds(
                    self._socket, [len(text).to_bytes(_NUMBER)], [*request.streams, told]
                )
                self._socket.sendall(text)
                pid = int.from_bytes(self._socket.recv(_NUMBER, socket.MSG_WAITALL))
        finally:
            os.close(told)
        assert pid, "the incubator has ended"
        return pid, status

    def _begin(self, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.incubator", str(theirs.fileno())],
                cwd=Path(__file__).parents[1],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        leftovers.supervised.add(self._process.pid)

    def end(self) -> None:
        """End it, and what it has started."""
        if self._process is not None:
            self._socket.close()
            self._process.wait()
            leftovers.supervised.discard(self._process.pid)


_in_use: Incubator | None = None


@contextlib.contextmanager
def in_use() -> Iterator[None]:
    """Let `start` use an incubator within this block."""
    global _in_use
    _in_use = Incubator()
    try:
        yield
    finally:
        _in_use.end()
        _in_use = None


def start(
    arguments: Sequence[str],
    *,
    program: Sequence[str] | None = None,
    folder: Path,
    environment: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[str],
    stderr: IO[str],
) -> Process | subprocess.Popen[str]:
    """Start the command line with these arguments.

    It is started by `program`, or else from the incubator if one is in use, or else in an
    interpreter of its own. `stdin` is a descriptor or `subprocess.DEVNULL`, and `stdout` may be
    `subprocess.PIPE`.
    """
    if program is not None or _in_use is None or not _in_use.suits(environment):
        return subprocess.Popen(
            [*(program or INTERPRETER), *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            cwd=folder,
            env=environment,
        )
    with contextlib.ExitStack() as stack:
        if stdin == subprocess.DEVNULL:
            stdin = stack.enter_context(Path(os.devnull).open()).fileno()
        read = None
        if stdout == subprocess.PIPE:
            reading, writing = os.pipe()
            read = os.fdopen(reading)
            stdout = stack.enter_context(os.fdopen(writing, "w"))
        streams = [stdin, stdout if isinstance(stdout, int) else stdout.fileno(), stderr.fileno()]
        pid, status = _in_use.start(_Request(arguments, str(folder), environment, streams))
    return Process(pid, status, read)


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_START)}


# The process that is copied.


def _incubate(control: socket.socket) -> _Request:
    """Copy this process for each request: a copy returns it, and this process never returns."""
    running: dict[int, tuple[int, int]] = {}  # by a descriptor that is ready at its end
    polled = select.poll()
    polled.register(control, select.POLLIN)
    while True:
        for ready, _ in polled.poll():
            if ready != control.fileno():
                polled.unregister(ready)
                pid, told = running.pop(ready)
                _, status = os.waitpid(pid, 0)
                with contextlib.suppress(BrokenPipeError):  # the test has forgotten the process
                    os.write(told, status.to_bytes(_NUMBER))
                os.close(ready)
                os.close(told)
                continue
            length, received, _, _ = socket.recv_fds(control, _NUMBER, 4)
            if not length:  # the tests have ended
                _end(running)
            arguments, folder, environment = json.loads(
                control.recv(int.from_bytes(length), socket.MSG_WAITALL)
            )
            *streams, told = received
            pid = os.fork()
            if not pid:
                for watched, (_, other) in running.items():
                    os.close(watched)
                    os.close(other)
                os.close(told)
                control.close()
                return _Request(arguments, folder, environment, streams)
            for each in streams:
                os.close(each)
            watched = os.pidfd_open(pid)
            running[watched] = pid, told
            polled.register(watched, select.POLLIN)
            control.sendall(pid.to_bytes(_NUMBER))


def _end(running: Mapping[int, tuple[int, int]]) -> NoReturn:
    for pid, _ in running.values():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os._exit(0)


def _run(request: _Request) -> None:
    """Become the process that an interpreter would be, and run the command in it."""
    for number, stream in enumerate(request.streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0] = request.folder
    sys.argv = ["scopegate", *request.arguments]
    runpy.run_module("scopegate", run_name="__main__", alter_sys=True)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the tests end what they have started
    for name in _IMPORTED:
        import_module(f"scopegate.{name}")
    _run(_incubate(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
