"""Cut connections of trading clients, and kill their gateway, many times.

python -m tests.client.cuts --cuts 10000 --kills 200

Prints what has happened, how long a resume of 1,000 missed events takes, and everything that is
wrong; exits with 1 if anything is.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.client.cut_trading import percentile, resume_times, trade_under_cuts

EVENTS = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=1_000, help="connections to cut")
    parser.add_argument("--kills", type=int, default=20, help="how often to kill the gateway")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resumes", type=int, default=200, help="how many resumes to measure")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scopegate-cuts-") as folder:
        begun = time.monotonic()
        outcome = asyncio.run(
            trade_under_cuts(Path(folder), seed=given.seed, cuts=given.cuts, kills=given.kills)
        )
        took = time.monotonic() - begun
    print(
        f"{outcome.cuts} connections were cut and {outcome.kills} gateways killed in {took:.0f} s:"
        f" {outcome.connections} sign-ins, {outcome.bought} purchases, {outcome.entries} entries"
    )
    if given.resumes:
        with tempfile.TemporaryDirectory(prefix="scopegate-cuts-") as folder:
            times = asyncio.run(
                resume_times(Path(folder), events=EVENTS, repetitions=given.resumes)
            )
        p50, p99 = (1_000 * percentile(times, share) for share in (0.5, 0.99))
        print(
            f"connect, sign in and resume {EVENTS} events, {len(times)} times:"
            f" p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        )
    for violation in outcome.violations:
        print(f"VIOLATION: {violation}")
    return bool(outcome.violations)


if __name__ == "__main__":
    sys.exit(main())
