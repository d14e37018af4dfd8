"""The parent process of several workers: forks them, relays messages, replaces those that end.

Rules:
- The parent imports what workers need, and serves nothing. So they start quickly and share memory.
- Each worker has a listening socket of its own on the shared port, and the kernel spreads clients
  over them. The parent keeps every socket open: clients that connect while a worker is replaced are
  served by its replacement.
- The first worker prepares the database; the others start once it serves. The operator sees the
  address when all do.
- A worker that ends is replaced, at most once in `RESTART_SECONDS`. If one ends before all have
  served, the start has failed.
- A worker that does not respond for `STALLED_SECONDS`, or does not read its messages, is killed
  and replaced: it may have the turn to write. When all stop, each has `STOP_SECONDS`.
- A worker is killed with its parent, even one that is stopped and could not notice.
"""

import contextlib
import ctypes
import gc
import math
import os
import pickle
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, cast

import structlog

from scopegate.gateway.transport.server import BACKLOG
from scopegate.settings import SettingsError
from scopegate.store.shared import Sharing
from scopegate.worker import EVERYONE, HEAD, ORPHAN_EXIT, PARENT, Start, State, Worker, messages

RESTART_SECONDS = 1.0
"""Seconds between two starts of a worker."""
STALLED_SECONDS = 10.0
"""Seconds after which a worker that serves and does not respond is killed."""
START_SECONDS = 120.0
"""The same for one that starts, which may have much to load."""
STOP_SECONDS = 20.0
"""Seconds that workers have to stop."""
MAX_UNSENT = 64 * 1024 * 1024
"""Bytes that may wait until a worker reads them."""

_STOPS = (signal.SIGTERM, signal.SIGINT)
_SIGNALS = (*_STOPS, signal.SIGHUP)
"""What operators send to the parent, and workers ignore."""
_CHECK_SECONDS = 0.25
"""Seconds between two checks of what may be due, if nothing happens."""
_PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>: the signal that the kernel sends a process when its parent ends."""

log = structlog.get_logger("scopegate.workers")


def listeners(host: str, port: int, count: int) -> list[list[socket.socket]]:
    """Open the listening sockets of each worker, on one port. Raises `SettingsError`.

    Port 0 means a free port.
    """
    opened: list[list[socket.socket]] = [[] for _ in range(count)]
    try:
        with contextlib.ExitStack() as stack:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                # Without SO_REUSEPORT first: another gateway on this port is an error.
                with _bound(family, (address[0], port, *address[2:]), shared=False) as alone:
                    port = port or alone.getsockname()[1]
                for sockets in opened:
                    one = _bound(family, (address[0], port, *address[2:]), shared=True)
                    sockets.append(stack.enter_context(one))
                    one.listen(BACKLOG)
            stack.pop_all()
    except OSError as problem:
        why = os.strerror(problem.errno) if problem.errno and problem.errno > 0 else problem
        raise SettingsError(
            f"cannot listen on {host}:{port}: {why}; choose another address with --host or --port"
        ) from problem
    return opened


def _bound(family: int, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
    except BaseException:
        opened.close()
        raise
    return opened


@dataclass(slots=True, eq=False)
class _Child:
    """A worker process, as its parent sees it."""

    number: int
    pid: int
    line: socket.socket
    seen_at: float
    """When it was last heard of, in monotonic time."""
    is_ready: bool = False
    is_closed: bool = False
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)


class Parent:
    """The parent process of `count` workers."""

    def __init__(
        self,
        sockets: Sequence[Sequence[socket.socket]],
        serve: Callable[[Worker], int],
        say: Callable[[str], None],
        reload: Callable[[], bool] | None,
    ) -> None:
        """`sockets` are the listening sockets of each worker.

        `serve` runs in each worker and returns its exit code. `say` is called with what the
        operator sees, `reload` at SIGHUP: the TLS certificate of workers that are yet to start is
        loaded again. If it returns true, the present ones do the same. Without it SIGHUP ends all.
        """
        self._count = len(sockets)
        self._sockets = sockets
        self._serve = serve
        self._say = say
        self._reload = reload
        self._sharing = Sharing(self._count)
        self._start: Start | None = None
        self._children: dict[int, _Child] = {}
        self._started_at: dict[int, float] = {}
        self._due: dict[int, float] = {0: 0.0}
        """When to start a worker, by its number."""
        self._has_served = False
        """Whether all workers have served at the same time."""
        self._stop_until = math.inf
        """When workers that have not stopped are killed; infinite while they serve."""
        self._exit_code = 0
        self._selector = selectors.DefaultSelector()
        self._pid = os.getpid()

    def run(self) -> int:
        """Serve until a signal ends it; return the exit code."""
        gc.collect()
        gc.freeze()  # a collection in a worker would copy the pages that it shares with the others
        signalled, self._woken_by = socket.socketpair()
        for each in (signalled, self._woken_by):
            each.setblocking(False)
        self._selector.register(signalled, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._woken_by.fileno(), warn_on_full_buffer=False)
        for number in (*_SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        checked_at = time.monotonic()
        while self._children or not self._stopping:
            for key, events in self._selector.select(_CHECK_SECONDS):
                if key.data is None:
                    self._signalled(signalled.recv(4096))
                    continue
                child: _Child = key.data
                # It may have been closed since: another one's message could not be sent to it.
                if events & selectors.EVENT_WRITE and not child.is_closed:
                    self._flush(child)
                if events & selectors.EVENT_READ and not child.is_closed:
                    self._receive(child)
            self._reap()
            now = time.monotonic()
            if now - checked_at > STALLED_SECONDS / 2:  # this process was stopped itself
                for child in self._children.values():
                    child.seen_at = now
            checked_at = now
            self._kill_stalled(now)
            self._start_due(now)
        return self._exit_code

    # Processes.

    @property
    def _stopping(self) -> bool:
        return self._stop_until < math.inf

    def _kill_stalled(self, now: float) -> None:
        for child in self._children.values():
            if now > self._stop_until:
                os.kill(child.pid, signal.SIGKILL)
            elif now - child.seen_at > (STALLED_SECONDS if child.is_ready else START_SECONDS):
                log.error("a worker process does not respond", worker=child.number)
                os.kill(child.pid, signal.SIGKILL)
                child.is_ready = False

    def _start_due(self, now: float) -> None:
        for number, moment in list(self._due.items()):
            if moment <= now and not self._stopping:
                del self._due[number]
                try:
                    self._fork(number)
                except OSError as problem:
                    log.error("a worker process cannot be started", why=str(problem))
                    self._due[number] = now + RESTART_SECONDS

    def _fork(self, number: int) -> None:
        """Start a worker. Raises `OSError` if the system does not allow it at present."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._started_at[number] = time.monotonic()
        # A signal to the new process must not count as one to this one, whose handlers it has.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._be_worker(number, theirs, ours)
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            theirs.close()
        child = self._children[number] = _Child(number, pid, ours, time.monotonic())
        self._selector.register(ours, selectors.EVENT_READ, child)

    def _be_worker(self, number: int, line: socket.socket, parents_end: socket.socket) -> NoReturn:
        """Serve in the process that was just forked, and end it."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # From a terminal or a service manager they reach every process, but the parent decides
            # when a worker stops or reloads.
            for each_signal in _SIGNALS:
                signal.signal(each_signal, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self._pid:  # it has ended before that
                os._exit(ORPHAN_EXIT)
            parents_end.close()
            self._woken_by.close()
            for key in list(self._selector.get_map().values()):
                cast("socket.socket", key.fileobj).close()
            self._selector.close()
            for other, sockets in enumerate(self._sockets):
                if other != number:
                    for each in sockets:
                        each.close()
            code = self._serve(
                Worker(number, self._count, line, self._sockets[number], self._sharing, self._start)
            )
        except BaseException:  # noqa: BLE001 - the frames above are those of the parent
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for child in list(self._children.values()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: _Child, code: int) -> None:
        """Replace a worker that has ended, or stop all; `code` is negative for a signal."""
        del self._children[child.number]
        self._close(child)
        self._send_state()
        if self._stopping:
            return
        if not self._has_served:
            self._exit_code = code if code > 0 else 1
            if code <= 0:
                log.error("a worker process ended during the start", worker=child.number, code=code)
            self._stop()
            return
        log.error("a worker process has ended and is replaced", worker=child.number, code=code)
        self._due[child.number] = self._started_at[child.number] + RESTART_SECONDS

    def _signalled(self, signals: bytes) -> None:
        if not set(signals).isdisjoint(_STOPS):
            self._stop()
        if signal.SIGHUP not in signals:
            return
        if self._reload is None:
            self._stop()
        elif self._reload():
            for child in list(self._children.values()):
                self._send(child, PARENT, b"")

    def _stop(self) -> None:
        """End every worker: in order at first, at once when asked a second time."""
        is_first = not self._stopping
        self._stop_until = time.monotonic() + (STOP_SECONDS if is_first else 0)
        if is_first:
            self._send_state()

    # Messages.

    def _receive(self, child: _Child) -> None:
        try:
            data = child.line.recv(256 * 1024)
        except (BlockingIOError, ConnectionResetError):
            return
        if not data:
            self._close(child)
            return
        child.received += data
        child.seen_at = time.monotonic()
        for receiver, message in messages(child.received):
            if receiver == PARENT and not message:
                continue  # it is alive
            if receiver == PARENT:
                self._ready(child, pickle.loads(message))  # noqa: S301 - from our own process
                continue
            for other in list(self._children.values()):
                if other is not child and receiver in (EVERYONE, other.number):
                    self._send(other, child.number, message)

    def _ready(self, child: _Child, start: Start) -> None:
        child.is_ready = True
        if self._start is None:
            self._start = start
            self._due.update(dict.fromkeys(range(1, self._count), 0.0))
        self._send_state()
        if not self._has_served and sum(each.is_ready for each in self._children.values()) == (
            self._count
        ):
            self._has_served = True
            self._say("\n".join(self._start.lines))

    def _send_state(self) -> None:
        ready = [child.number for child in self._children.values() if child.is_ready]
        message = pickle.dumps(State(ready, self._stopping), pickle.HIGHEST_PROTOCOL)
        for child in list(self._children.values()):
            self._send(child, PARENT, message)

    def _send(self, child: _Child, sender: int, message: bytes) -> None:
        if child.is_closed:
            return
        child.unsent += HEAD.pack(len(message), sender) + message
        if len(child.unsent) > MAX_UNSENT:
            log.error("a worker process does not read its messages", worker=child.number)
            os.kill(child.pid, signal.SIGKILL)
            self._close(child)
            return
        self._flush(child)

    def _flush(self, child: _Child) -> None:
        try:
            del child.unsent[: child.line.send(child.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._close(child)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.unsent else 0)
        self._selector.modify(child.line, wanted, child)

    def _close(self, child: _Child) -> None:
        """Close the line of a worker that ends; it is reaped once it has ended."""
        if not child.is_closed:
            child.is_closed = True
            child.is_ready = False
            self._selector.unregister(child.line)
            child.line.close()
