"""Run the Autobahn cases against the transport: `python -m tests.conformance.autobahn --all`.

A listener of the gateway runs with an application that sends every message back. The cases are
kosoku's: those of the Autobahn test suite with a runner of today. Each case has a verdict, and must
have the one that is expected (`EXCEPTIONS`).

The transport handles whole text frames itself, and gives all other frames to the protocol library;
once a client has agreed on compression, it gives it every frame. So the cases run on both paths.

The gateway sends no binary messages, so the application sends them by the library.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import pytest
import uvloop

from scopegate import testing
from scopegate.gateway.calls.dispatch import Dispatcher
from scopegate.gateway.calls.message import Binary, check_utf8
from scopegate.gateway.calls.scheduling import Scheduler
from scopegate.gateway.calls.session import Session
from scopegate.gateway.transport import peer as peer_module
from scopegate.gateway.transport.connection import Connection, Transport
from scopegate.gateway.transport.handshake import Handshake
from scopegate.gateway.transport.peer import Peer
from scopegate.testing import World
from tests.gateway.test_server import listening
from tests.product_files import ROOT

PASSES = ("OK", "INFORMATIONAL")
"""The verdicts that need no explanation; the second is on what the standard leaves open."""

LATE = "UTF-8 is checked once a message is complete, which the standard allows, not with each part"
EXCEPTIONS = {
    **dict.fromkeys(("6.4.1", "6.4.2", "6.4.3", "6.4.4"), ("NON-STRICT", LATE)),
    "7.1.5": (
        "FAILED, close WRONG CODE",
        "the library answers a close amid a fragmented message with 1002, not with the client's"
        " code, which the standard allows",
    ),
}
"""Cases with another verdict, and the reason. docs/hostile-load.md says where it is documented."""

SHORT = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
AT_ONCE = 8
"""Cases that run at the same time: those of the suite wait most of their time."""
LONG_AT_ONCE = 2
"""The long ones keep the listener busy, and each has a time limit."""
RAISED = {"MAX_MESSAGE": 1 << 24, "MAX_FRAGMENTS": 1 << 16, "MAX_HELD": 1 << 26}
"""Limits for the long cases, whose messages have up to 16 MiB and 65,536 fragments."""


@dataclass(frozen=True, kw_only=True)
class FramePath:
    """One way that frames take, and the cases that go along it."""

    name: str
    cases: tuple[str, ...]
    """Those of the suite: the gateway's own limits are enough for them."""
    long_cases: tuple[str, ...]
    by_library: bool = False
    """Whether every frame goes to the library, although no compression is agreed on."""
    compression: bool = False


FAST = FramePath(name="whole text frames apart", cases=SHORT, long_cases=("9.*",))
LIBRARY = FramePath(name="all by the library", cases=SHORT, long_cases=("9.*",), by_library=True)
COMPRESSED = FramePath(
    name="compressed",
    # Text, binary and fragmented messages; then parameters that a client may ask for.
    cases=("12.1.1", "12.2.1", "12.1.11", "13.2.1", "13.3.1", "13.5.1", "13.7.1"),
    long_cases=("12.*", "13.*"),
    compression=True,
)
PATHS = (FAST, LIBRARY, COMPRESSED)


class _Echo:
    """Sends every message back, in place of the dispatcher."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def handle(self, session: Session, text: bytes) -> None:
        """Check and send a message as the gateway does."""
        if type(text) is Binary:
            self._peer._protocol().send_binary(text)
            self._peer._send_from_core()
        else:
            check_utf8(text)
            session.send(text)


class _Accepting:
    """Accepts every client, for an echo."""

    def __init__(self, scheduler: Scheduler, path: FramePath) -> None:
        self._scheduler = scheduler
        self._path = path

    def refusal(self, handshake: Handshake) -> str | None:
        return None

    def __call__(
        self, handshake: Handshake, send: Callable[[bytes], None], transport: Transport
    ) -> Connection:
        peer = cast("Peer", transport)
        if self._path.by_library:
            peer._compresses = True  # with no extension in the library's core, nothing else does
        session = Session(send, address=handshake.address)
        return Connection(cast("Dispatcher", _Echo(peer)), self._scheduler, session, peer)


async def run(
    world: World, path: FramePath, cases: Iterable[str], at_once: int = AT_ONCE
) -> dict[str, str]:
    """Run cases (ids or patterns) along a path; the verdict on each."""
    accept = _Accepting(world.gateway.scheduler, path)
    async with listening(world, accept=accept, compression=path.compression) as (_, port):
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.conformance.fuzzing"),
            *(f"ws://127.0.0.1:{port}", str(at_once), *cases),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        try:
            output, _ = await client.communicate()
        finally:
            if client.returncode is None:
                client.kill()
                await client.wait()
    assert client.returncode == 0
    return dict(map(json.loads, output.splitlines()))


async def run_long(world: World, path: FramePath) -> dict[str, str]:
    """Run the long cases of a path, with raised limits."""
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in RAISED.items():
            patch.setattr(peer_module, name, limit)
        return await run(world, path, path.long_cases, LONG_AT_ONCE)


def unexpected(verdicts: dict[str, str]) -> dict[str, str]:
    """The verdicts that are not as expected: a case failed, or an exception is none any more."""
    return {
        case: verdict
        for case, verdict in verdicts.items()
        if (verdict != EXCEPTIONS[case][0] if case in EXCEPTIONS else verdict not in PASSES)
    }


async def table(*, long: bool) -> bool:
    """Run the cases, and print what came of them; return whether all is as expected."""
    is_expected = True
    async with testing.world() as world:
        print(f"{'path':25} {'cases':>5} {'passed':>6} {'s':>4}  exceptions")
        for path in PATHS:
            begun = time.monotonic()
            verdicts = await run(world, path, path.cases)
            if long:
                verdicts |= await run_long(world, path)
            wrong = unexpected(verdicts)
            exceptions = [case for case in EXCEPTIONS if case in verdicts and case not in wrong]
            passed = len(verdicts) - len(wrong) - len(exceptions)
            print(
                f"{path.name:25} {len(verdicts):5} {passed:6} {time.monotonic() - begun:4.0f}  "
                + (", ".join(exceptions) or "none")
            )
            for case, verdict in wrong.items():
                print(f"  {case}: {verdict}, expected {EXCEPTIONS.get(case, PASSES)[0]}")
            is_expected = is_expected and not wrong
    for case, (verdict, reason) in EXCEPTIONS.items():
        print(f"{case} is {verdict}: {reason}")
    return is_expected


def main() -> int:
    """Run the command; its exit code is 1 if a verdict is not as expected."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.autobahn",
        description="Run the Autobahn cases against the transport, on each path of its frames.",
    )
    parser.add_argument(
        "--all", action="store_true", help="also those that take long: 9.*, 12.* and 13.*"
    )
    options = parser.parse_args()
    # On the event loop of `scopegate serve`; the suite uses the standard one.
    return 0 if uvloop.run(table(long=options.all)) else 1


if __name__ == "__main__":
    sys.exit(main())
