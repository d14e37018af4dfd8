"""How long a `ping` takes while a gateway has other work: asked by a process of its own.

    python bench/pings.py PORT PATH SECONDS

Prints the times in seconds as a JSON array.
"""

import json
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

from load import Client
from servers import Server

GAP = 0.01
"""Seconds between two pings."""


class Pings:
    """Pings a server for some seconds, from the beginning of a block on."""

    def __init__(self, server: Server, seconds: float) -> None:
        self._command = [sys.executable, __file__, str(server.port), server.path, str(seconds)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        printed, _ = self._process.communicate()
        self._times: list[float] = [] if kind is not None else sorted(json.loads(printed))

    def quantile(self, share: float) -> float:
        """Return a quantile of the times, in milliseconds."""
        return 1_000 * self._times[int(share * (len(self._times) - 1))]


def main() -> None:
    """Ping, and print the times."""
    port, path, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    client = Client(port, path)
    taken = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        client.ask({"ping": 1})
        taken.append(time.perf_counter() - began)
        time.sleep(GAP)
    client.close()
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
