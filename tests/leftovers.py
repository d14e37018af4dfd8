"""End what a test left running or open, and fail that test.

Rules:
- A process that was started during a test and outlives it is ended by its id, and the test fails,
  unless it is `supervised`: then the block that started it ends it.
- What was left unclosed is collected, and complained about, at the end of the test that left it. A
  failed test would keep it alive in its traceback until a later, innocent test fails.

`tests/conftest.py` imports the hooks and fixtures.
"""

import contextlib
import gc
import os
import signal
import sys
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

supervised: set[int] = set()
"""Ids of processes that the end of some block ends, which may be that of a wider fixture."""

_FAILURES = pytest.StashKey[list[BaseException]]()


def children() -> set[int]:
    """The ids of this process's own children; none where the system does not list them."""
    found: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            found.update(map(int, listing.read_text().split()))
    return found


def end(process: int) -> str:
    """End a child of this process at once; its command line."""
    command = ""
    with contextlib.suppress(OSError):
        arguments = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        command = b" ".join(arguments).decode(errors="replace").strip()
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, 0)
    return command or f"process {process}, which nobody waited for"


@contextlib.contextmanager
def _none_started(during: str) -> Iterator[None]:
    before = children()
    yield
    left = [end(process) for process in sorted(children() - before - supervised)]
    assert not left, f"still running after {during}: {left}"


@pytest.fixture(autouse=True, scope="session")
def no_process_is_left_by_fixtures() -> Iterator[None]:
    """End what fixtures of a wider scope have left; the error is shown with the last test."""
    with _none_started("all tests"):
        yield


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """End what the test started and has not ended, and fail it."""
    with _none_started("the test"):
        yield


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave out what is there before the first test when garbage is collected after each."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember what failed, to let go of its frames once the test is over."""
    if call.excinfo is not None:
        item.stash.setdefault(_FAILURES, []).append(call.excinfo.value)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Collect what this test left unclosed, and fail it for that."""
    try:
        return (yield)
    finally:
        if nextitem is None or nextitem.path != item.path:
            gc.unfreeze()  # what fixtures of the file have left can be part of a cycle
        complaints = _collect(item.stash.get(_FAILURES, []))
        gc.freeze()  # what is left now need not be looked at after each test
        if complaints:
            pytest.fail("left unclosed:\n" + "\n".join(complaints), pytrace=False)


def _clear(failure: BaseException | None) -> None:
    """Let go of all that the frames of an exception hold, and of what it came from."""
    seen: set[int] = set()
    while failure is not None and id(failure) not in seen:
        seen.add(id(failure))
        traceback.clear_frames(failure.__traceback__)
        for frame, _ in traceback.walk_tb(failure.__traceback__):
            _ = frame.f_locals  # up to Python 3.12 a copy, made anew when it is looked at
        for part in failure.exceptions if isinstance(failure, BaseExceptionGroup) else ():
            _clear(part)
        failure = failure.__cause__ or failure.__context__


def _collect(failures: list[BaseException]) -> list[str]:
    """Collect garbage, and what only these failures keep; what its end complained of."""
    complaints: list[str] = []

    def complain(unraisable: "sys.UnraisableHookArgs") -> None:
        # As text: keeping the object would bring it back to life.
        complaints.append(f"{unraisable.object!r}: {unraisable.exc_value!r}")

    hook, sys.unraisablehook = sys.unraisablehook, complain
    try:
        for failure in failures:
            _clear(failure)
        gc.collect()
    finally:
        sys.unraisablehook = hook
    return complaints
