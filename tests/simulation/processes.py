"""The simulated processes of the gateway: one, or several workers, as `serve` composes them.

Rules:
- A process ends in three ways: it stops in order, it is killed, or it ends itself. One that was
  killed runs nothing any more, and the system closes what it had open.
- Another one takes its place, `RESTART_SECONDS` later.
- Messages between workers arrive in order, after a delay that chance decides.
"""

import asyncio
import contextvars
import pickle
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from scopegate.app import Running, compose
from scopegate.listening import listen
from scopegate.settings import Settings, chosen
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.shared import Sharing
from scopegate.worker import PARENT, Start, Worker
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.surroundings import Chance, close_all, process

PORT = 8_080
RESTART_SECONDS = 1.0


class SimulatedWorker(Worker):
    """What the parent process gives a worker; its line is simulated."""

    def __init__(
        self, number: int, count: int, sharing: Sharing, start: Start | None, parent: "Processes"
    ) -> None:
        super().__init__(number, count, None, [_Port()], sharing, start)  # type: ignore[arg-type,list-item]
        self._parent = parent

    def _send(self, receiver: int | None, message: bytes) -> None:
        if receiver != PARENT:
            self._parent.pass_on(self.number, receiver, message)


class _Port:
    """In the place of a listening socket."""

    port = PORT


class SimulatedProcess:
    """A process of the gateway."""

    def __init__(self, parent: "Processes", number: int) -> None:
        self.parent = parent
        self.number = number
        self.files: set[int] = set()
        self.connections: list[sqlite3.Connection] = []
        self.context = contextvars.copy_context()
        self.context.run(process.set, self)
        self.is_alive = True
        self.stood_still_until = 0.0
        self.is_ready = False
        self.worker: SimulatedWorker | None = None
        self.gateway: Running | None = None
        self._stop = asyncio.Event()
        self.task = parent.loop.create_task(self._serve(), context=self.context)

    async def _serve(self) -> None:
        parent = self.parent
        if parent.sharing is not None:
            self.worker = SimulatedWorker(
                self.number, parent.count, parent.sharing, parent.start, parent
            )
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(compose(parent.settings, worker=self.worker))
            listeners: Any = [] if self.worker is None else self.worker.listeners
            await stack.enter_async_context(listen(gateway, None, listeners))
            self.gateway = gateway
            self.is_ready = True
            parent.is_ready(self)
            await self._stop.wait()
        self.is_alive = False
        close_all(self)

    def stop(self) -> None:
        """Ask it to stop, as SIGTERM does."""
        if self.worker is not None:
            self.worker.siblings.stopping = True
        self._stop.set()

    def kill(self) -> None:
        """End it at once."""
        self.is_alive = self.is_ready = False
        self.parent.loop.drop(self)
        self.parent.network.drop(self)
        close_all(self)

    def exited(self, code: int) -> None:
        """Called when it ends itself."""
        self.kill()
        self.parent.replace_later(self)


class Processes:
    """All processes of the gateway, and what the parent process of several does."""

    def __init__(
        self,
        loop: SimulatedLoop,
        network: Network,
        chance: Chance,
        db: Path,
        count: int,
        *,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`on_failure` is called with what a process that was not killed fails with."""
        self.loop = loop
        self.network = network
        self.chance = chance["processes"]
        self.count = count
        self.settings: Settings = chosen(db=db, port=PORT, seed="simulated")
        self.sharing = Sharing(count) if count > 1 else None
        self.start: Start | None = None
        self.each: list[SimulatedProcess] = []
        self.has_started = False
        """Whether all have served since the gateway was started: then each is replaced alone."""
        self._context = contextvars.copy_context()
        self.line_delay = 50e-6
        self._lines: dict[tuple[int, int], deque[Callable[[], None]]] = {}
        self._busy_until: dict[tuple[int, int], float] = {}
        self._on_failure = on_failure

    async def start_all(self) -> None:
        """Start every process; the first prepares the database."""
        for number in range(self.count):
            self._begin(number)
            while not self.each[number].is_ready:
                await asyncio.sleep(0.01)
                if not self.each[number].is_alive:  # a start that fails is made again, with all
                    self._kill_all()
                    return
        self.has_started = True

    def _begin(self, number: int) -> None:
        one = SimulatedProcess(self, number)
        if number < len(self.each):
            self.each[number] = one
        else:
            self.each.append(one)
        one.task.add_done_callback(lambda task: self._ended(one, task))

    def _ended(self, one: SimulatedProcess, task: asyncio.Task[None]) -> None:
        """Take note that a process has ended by itself; one whose start has failed is replaced."""
        if task.cancelled() or (problem := task.exception()) is None:
            return
        if one.is_ready or not isinstance(problem, StoreUnavailableError):
            self._on_failure(problem)
            return
        one.kill()
        if self.has_started:
            self.replace_later(one)

    def is_ready(self, one: SimulatedProcess) -> None:
        """Called by a process that serves."""
        if self.sharing is None:
            return
        if self.start is None:
            assert one.gateway is not None
            start = Start(one.gateway.demo, one.gateway.same_in_workers)
            self.start = pickle.loads(pickle.dumps(start))
        self._send_state()

    def _send_state(self) -> None:
        present = [one.number for one in self.each if one.is_ready]
        for one in self.each:
            if one.worker is not None and one.is_alive:
                siblings = one.worker.siblings
                self._later(PARENT, one, lambda siblings=siblings: siblings.set_present(present))

    def pass_on(self, sender: int, receiver: int | None, message: bytes) -> None:
        """Pass a message of a worker on to one or to all others."""
        for one in self.each:
            wanted = one.number == receiver if receiver is not None else one.number != sender
            if wanted and one.is_ready and one.worker is not None:
                siblings = one.worker.siblings
                self._later(
                    sender, one, lambda siblings=siblings: siblings.receive(sender, message)
                )

    def _later(self, sender: int, to: SimulatedProcess, function: Callable[[], None]) -> None:
        line = (sender, to.number)
        queue = self._lines.setdefault(line, deque())
        queue.append(function)
        at = self.loop.time() + self.chance.expovariate(1.0) * self.line_delay
        at = self._busy_until[line] = max(self._busy_until.get(line, 0.0), at)
        # The parent passes it on, whatever becomes of the sender; the receiver may stand still.
        self.loop.call_at(at, self._arrived, queue, to, context=self._context)

    def _arrived(self, queue: deque[Callable[[], None]], to: SimulatedProcess) -> None:
        function = queue.popleft()
        if to.is_alive:
            self.loop.call_soon(function, context=to.context)

    def replace_later(self, one: SimulatedProcess) -> None:
        """Start another process in the place of one that has ended."""
        self._send_state()

        def replace() -> None:
            if self.has_started and self.each[one.number] is one:  # else all start anew
                self._begin(one.number)

        self.loop.call_later(RESTART_SECONDS, replace, context=self._context)

    def kill(self, number: int) -> bool:
        """Kill one process, even while it starts; it is replaced. Return whether it lived."""
        one = self.each[number]
        if not one.is_alive or not self.has_started:
            return False
        one.kill()
        self.replace_later(one)
        return True

    def kill_all(self) -> bool:
        """Kill all, and start the gateway again. Return whether it served."""
        if not self.serve:
            return False
        self._kill_all()
        return True

    def _kill_all(self) -> None:
        self.has_started = False
        for one in self.each:
            if one.is_alive:
                one.kill()
        self.start = None
        if self.sharing is not None:
            self.sharing = Sharing(self.count)
        self._lines.clear()
        self._busy_until.clear()
        self.loop.call_later(RESTART_SECONDS, self._restart, context=self._context)

    async def stop_all(self) -> None:
        """Stop the gateway in order."""
        self.has_started = False
        for one in self.each:
            one.stop()
        await asyncio.gather(*(one.task for one in self.each))
        if self.sharing is not None:
            self.sharing = Sharing(self.count)
        self.start = None

    async def restart(self) -> bool:
        """Stop the gateway in order and start it again. Return whether it served."""
        if not self.serve:
            return False
        await self.stop_all()
        self._restart()
        return True

    def _restart(self) -> None:
        self.each = []
        self._starting = self.loop.create_task(self.start_all(), context=self._context)

    @property
    def serve(self) -> bool:
        """Whether every process serves."""
        return self.has_started and all(one.is_ready for one in self.each)
