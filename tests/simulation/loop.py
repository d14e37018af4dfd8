"""An event loop whose time is simulated: it jumps to the next timer, and nothing sleeps.

Rules:
- Callbacks that are ready run first in, first out, as asyncio promises.
- Each round of callbacks takes `ROUND` seconds, so that time passes while nothing waits.
- Functions for threads run in the loop, later, after a delay that chance decides.
- A failure outside of everything that handles it ends the simulation.
"""

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

from tests.simulation.surroundings import Process, ProcessExit, clock, process, wakeups

ROUND = 1e-6
WAKE_SECONDS = 20e-6
"""Seconds until an event descriptor wakes its reader."""


class _Jump:
    """In the place of a selector: waits by moving the clock."""

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "nothing runs, and nothing is ever due"
        clock.now += timeout + ROUND
        return []

    def close(self) -> None:
        pass


class SimulatedLoop(asyncio.BaseEventLoop):
    """The loop; `network` is set before something listens, `thread_delay` draws a delay."""

    network: Any

    def __init__(self, thread_delay: Callable[[], float]) -> None:
        super().__init__()
        self._selector = _Jump()
        self._clock_resolution = 1e-9  # type: ignore[assignment]
        self._thread_delay = thread_delay
        self.failures: list[BaseException] = []
        self._lost: list[Any] = []
        self._paused: dict[Any, list[Any]] = {}
        self.set_exception_handler(self._failed)

    def time(self) -> float:
        return clock.now

    def _process_events(self, events: Any) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        done = self.create_future()

        def run() -> None:
            if done.done():
                return
            try:
                result = func(*args)
            except Exception as problem:  # noqa: BLE001 - the caller gets it
                done.set_exception(problem)
            else:
                done.set_result(result)

        self.call_later(self._thread_delay(), run)
        return done

    async def create_server(self, factory: Any, *address: Any, **options: Any) -> Any:
        return self.network.listen(factory, *address, **options)

    def add_reader(self, descriptor: Any, callback: Any, *arguments: Any) -> None:
        """Call back after each write to an event descriptor."""
        owner = process.get()
        assert owner is not None, "only simulated processes wait for descriptors"

        def written() -> None:
            self.call_later(WAKE_SECONDS, wake, context=owner.context)

        def wake() -> None:
            if wakeups.get(descriptor) is written and owner.is_alive:
                callback(*arguments)

        wakeups[descriptor] = written

    def remove_reader(self, descriptor: Any) -> bool:
        return wakeups.pop(descriptor, None) is not None

    # Processes that are stopped for a while.

    def pause(self, owner: Process) -> None:
        """Run nothing of this process until `go_on`, as after SIGSTOP."""
        held = self._paused[owner] = [
            handle for handle in (*self._ready, *self._scheduled) if _owner(handle) is owner
        ]
        lost = set(map(id, held))
        self._ready = type(self._ready)(each for each in self._ready if id(each) not in lost)
        self._scheduled = [each for each in self._scheduled if id(each) not in lost]
        heapq.heapify(self._scheduled)

    def go_on(self, owner: Process) -> None:
        """Run what the process has yet to run, in its order."""
        owner.stood_still_until = clock.now
        for handle in self._paused.pop(owner, ()):
            if isinstance(handle, asyncio.TimerHandle):
                heapq.heappush(self._scheduled, handle)
            else:
                self._ready.append(handle)

    def _call_soon(self, callback: Any, args: Any, context: Any) -> Any:
        handle = super()._call_soon(callback, args, context)  # type: ignore[misc]
        if self._paused and (held := self._paused.get(_owner(handle))) is not None:
            self._ready.remove(handle)
            held.append(handle)
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        timer = super().call_at(when, callback, *args, context=context)
        if self._paused and (held := self._paused.get(_owner(timer))) is not None:
            self._scheduled.remove(timer)
            heapq.heapify(self._scheduled)
            held.append(timer)
        return timer

    def _failed(self, loop: Any, context: dict[str, Any]) -> None:
        problem = context.get("exception") or RuntimeError(context["message"])
        if not isinstance(problem, ProcessExit):
            self.failures.append(problem)

    def drop(self, owner: Process) -> None:
        """Drop everything that a process has yet to run; nothing of it is finalized."""
        # A collected task would run its `finally`.
        self._lost.extend(asyncio.all_tasks(self))
        self._paused.pop(owner, None)
        for handle in (*self._ready, *self._scheduled):
            if _owner(handle) is owner:
                handle.cancel()


def _owner(handle: Any) -> Process | None:
    return None if handle._context is None else handle._context.get(process)
