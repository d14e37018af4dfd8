"""CPU time of all processes of Scopegate for one reply, with one worker process and with two.

    python bench/workers.py [--rounds 5] [--seconds 2] [--connections 50] [--json FILE]

Signed-in connections ask for `balance`, with 32 outstanding on each. The load and the servers share
the processors, so only the CPU time of a reply is compared, not how many there are.
"""

import argparse
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bars import Bar, ratio, report
from requests import BALANCE_CASE, Sample, turn
from servers import rotated, scopegate, what_is_measured

OUTSTANDING = 32
COUNTS = (1, 2)
LIMIT = 1.15


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    options.add_argument("--connections", type=int, default=50)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    samples: dict[int, list[Sample]] = {count: [] for count in COUNTS}
    with ExitStack() as stack:
        servers = {
            count: stack.enter_context(scopegate("--workers", str(count))) for count in COUNTS
        }
        for number in range(given.rounds):
            for count in rotated(COUNTS, number):
                sample = turn(
                    servers[count],
                    BALANCE_CASE,
                    connections=given.connections,
                    outstanding=OUTSTANDING,
                    seconds=given.seconds,
                    spins=False,
                )
                samples[count].append(sample)
    print(what_is_measured())
    for count, taken in samples.items():
        print(
            f"{count} workers: {median(sample.per_second for sample in taken):,.0f} replies/s,"
            f" {median(sample.cpu_us for sample in taken):.1f} µs of CPU for each,"
            f" server {median(sample.server for sample in taken):.0%},"
            f" load {median(sample.load for sample in taken):.0%}"
        )
    one, two = ([sample.cpu_us for sample in samples[count]] for count in COUNTS)
    bar = Bar("CPU of a balance, 32 outstanding, 2 workers of 1's", ratio(two, one), LIMIT)
    rows = [
        {"workers": count, "samples": [asdict(sample) for sample in taken]}
        for count, taken in samples.items()
    ]
    report([bar], rows, given.json)


if __name__ == "__main__":
    main()
