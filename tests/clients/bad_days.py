"""A gateway that has a fault, and programs that run against it."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from scopegate.handlers.exchange.feed_faults import MarketFaultKinds
from scopegate.testkit import LiveFault, LiveGateway, live_gateway
from tests.served import PATIENCE, environment


@contextmanager
def bad_day(
    text: str, market: Mapping[str, Path] | None = None
) -> Iterator[tuple[LiveGateway, LiveFault]]:
    """A gateway whose connections have a fault, such as `drop after=buy`."""
    with live_gateway(market=market) as gateway:
        fault = MarketFaultKinds().parsed(text)
        yield gateway, gateway.fault(fault.kind, **fault.options())


def run(
    gateway: LiveGateway,
    command: Sequence[str | Path],
    folder: Path,
    *,
    speed: float,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end while the market runs. Fails if it hangs."""
    with gateway.clock.running(speed=speed):
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment(variables),
            timeout=PATIENCE,
        )
