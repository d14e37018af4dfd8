"""Buys with restricted tokens beside buys with unrestricted ones; needs Linux.

    python bench/restricted.py [--rounds 6] [--seconds 2] [--json FILE]

As `buys.py`: 256 connections buy contracts that outlive the run. They take turns; each restricted
token has five caps that are not reached. What counts is the CPU time of the gateway for a buy.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bars import Bar, ratio, report
from books import traders_of
from buys import CONNECTIONS, MAX_ROUNDS, Wire, over_the_wire
from servers import scopegate, what_is_measured

CAPS = {
    "symbols": ["1HZ100V"],
    "max_stake": 10,
    "max_stake_per_day": 9_000,
    "max_loss_per_day": 9_000,
    "max_open_contracts": 1_000,
}


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=MAX_ROUNDS)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    samples: dict[str, list[Wire]] = {"unrestricted": [], "restricted": []}
    with scopegate() as server:
        assert server.db is not None
        for number in range(given.rounds):
            turns = [("unrestricted", None), ("restricted", CAPS)]
            for name, restrictions in turns if number % 2 else turns[::-1]:
                traders = traders_of(server.db, CONNECTIONS, restrictions)
                samples[name].append(over_the_wire(server, traders, given.seconds))
    print(what_is_measured())
    cpu = {
        name: [each.loop_us + each.writer_us for each in found] for name, found in samples.items()
    }
    for name, found in samples.items():
        print(
            f"{name}: {median(each.per_second for each in found):,.0f} buys/s; CPU for one: loop"
            f" {median(each.loop_us for each in found):.0f} µs, writer"
            f" {median(each.writer_us for each in found):.0f} µs"
        )
    bars = [
        Bar(
            "CPU of a restricted buy over the wire, of an unrestricted one",
            ratio(cpu["restricted"], cpu["unrestricted"]),
            1.05,
        )
    ]
    results = {name: [asdict(each) for each in found] for name, found in samples.items()}
    report(bars, results, given.json)


if __name__ == "__main__":
    main()
