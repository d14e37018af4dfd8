"""An event loop in its own thread, for what a synchronous test uses while it runs."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")


class EventThread:
    """An event loop in its own thread, and what is open in it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._ended: Future[None] = Future()
        self._failed: list[Exception] = []

    @contextmanager
    def running(
        self, make: Callable[["EventThread"], AbstractAsyncContextManager[_T]]
    ) -> Iterator[_T]:
        """Open what `make` returns in the thread until the block ends; raise its exceptions."""
        begun: Future[tuple[_T, asyncio.Event]] = Future()

        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop.set_exception_handler(self._complained)
            end = asyncio.Event()
            async with make(self) as made:
                begun.set_result((made, end))
                await end.wait()

        def work() -> None:
            try:
                asyncio.run(main())
            except BaseException as problem:  # noqa: BLE001 - raised at the end of the block
                self._ended.set_exception(problem)
            else:
                self._ended.set_result(None)

        threading.Thread(target=work, name="scopegate", daemon=True).start()
        self._wait_for(begun)
        if not begun.done():
            self._ended.result()
        made, end = begun.result()
        try:
            yield made
        finally:
            if not self._ended.done():
                self._loop.call_soon_threadsafe(end.set)
            self._ended.result()
            if self._failed:
                raise ExceptionGroup("the gateway has failed", self._failed)

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in the thread; return its result or raise its exception."""
        if self._ended.done():
            work.close()
            raise RuntimeError("the gateway has ended")
        done = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._wait_for(done)
        if not done.done():
            raise RuntimeError("the gateway has ended")
        return done.result()

    def _wait_for(self, done: Future[Any]) -> None:
        """Wait for this future or for the end of the thread."""
        either: list[Future[Any]] = [done, self._ended]
        wait(either, return_when=FIRST_COMPLETED)

    def _complained(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep an exception that nothing else reports."""
        problem = context.get("exception")
        self._failed.append(
            problem if isinstance(problem, Exception) else RuntimeError(context["message"])
        )
