"""The command `python -m tests.simulation`; docs/simulation.md explains it.

Each simulation has a process of its own, because it replaces the clocks of its process.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from tests.memory_folder import memory_folder
from tests.simulation import surroundings
from tests.simulation.expected import EXPECTED

SECONDS = 900.0
"""Of one simulation among many."""
WORKERS = (1, 3)
"""The numbers of processes that take turns."""
PATIENCE = 600.0
"""Real seconds that one simulation may take."""
MIN_HOURS = 1.0
"""In so many hours everything that is expected must have happened."""
MODULE = "tests.simulation"


def main() -> int:
    """Run the command; its exit code is 1 if something does not hold, or never happened."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--hours", type=float, help="simulate so many hours, from many seeds")
    parser.add_argument("--seed", default="1", help="of the simulation, or the first part of many")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the one simulation")
    parser.add_argument("--workers", type=int, default=1, help="processes of its gateway")
    parser.add_argument("--mutant", default="", help="a planted fault, to see that it is found")
    parser.add_argument("--trace", action="store_true", help="print each message and fault")
    options = parser.parse_args()
    if options.hours is not None:
        if options.trace or options.workers != 1 or options.seconds != SECONDS:
            parser.error("--hours goes with --seed and --mutant alone")
        return many(options.seed, options.hours, options.mutant)
    if os.environ.get("PYTHONHASHSEED") != "0":  # or sets of texts would have another order
        os.execve(  # noqa: S606 - the same command once more
            sys.executable,
            [sys.executable, "-m", MODULE, *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    return one(options)


def one(options: argparse.Namespace) -> int:
    """Run one simulation, and print its outcome as JSON."""
    begun = time.process_time()
    surroundings.replace(options.seed)
    # Nothing of the gateway may be imported before this.
    from tests.simulation import database

    chance = surroundings.Chance(options.seed)
    machine = database.Machine(chance)
    database.replace(machine)
    from tests.simulation.mutants import MUTANTS
    from tests.simulation.simulation import Simulation

    with memory_folder() as folder:  # nothing that is simulated needs a disk
        simulation = Simulation(
            chance,
            machine,
            folder / "gateway.db",
            workers=options.workers,
            trace=options.trace,
        )
        if options.mutant:
            MUTANTS[options.mutant].plant()
        begins = surroundings.clock.now
        problem = simulation.run(options.seconds)
    outcome = {
        "problem": problem,
        "seconds": round(surroundings.clock.now - begins, 3),
        "cpu_seconds": round(time.process_time() - begun, 3),
        "digest": simulation.digest.hexdigest(),
        "seen": dict(sorted(simulation.checks.seen.items())),
    }
    print(orjson.dumps(outcome).decode())
    surroundings.leave(int(bool(problem)))


def many(begin: str, hours: float, mutant: str) -> int:
    """Simulate from many seeds, until so many hours have passed or something does not hold."""
    seconds = cpu_seconds = 0.0
    number = 0
    seen: Counter[str] = Counter()
    for options, outcome in _outcomes(begin, mutant):
        number += 1
        seconds += outcome["seconds"]
        cpu_seconds += outcome["cpu_seconds"]
        seen.update(outcome["seen"])
        if outcome["problem"]:
            print(f"after {outcome['seconds']:.0f} simulated seconds: {outcome['problem']}")
            print(f"The same again: python -m {MODULE} {' '.join(options)}")
            return 1
        if seconds >= hours * 3_600:
            break
    for name, count in sorted(seen.items()):
        print(f"{count:9,} {name}")
    print(
        f"{number} simulations of {seconds / 3_600:.1f} hours, without a fault:"
        f" {seconds / cpu_seconds:.0f} simulated hours for an hour of a processor"
    )
    missing = sorted(EXPECTED - seen.keys()) if hours >= MIN_HOURS else []
    if missing:
        print(f"These never happened, so the checks of them have shown nothing: {missing}")
    return int(bool(missing))


def _outcomes(begin: str, mutant: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """The options and the outcome of one simulation after the other."""
    from tests.simulation.mutants import MUTANTS

    turns = (MUTANTS[mutant].workers,) if mutant else WORKERS
    number = 0
    while True:
        options = ["--seed", f"{begin}.{number}", "--seconds", f"{SECONDS:.0f}"]
        options += ["--workers", str(turns[number % len(turns)])]
        if mutant:
            options += ["--mutant", mutant]
        try:
            done = subprocess.run(
                [sys.executable, "-m", MODULE, *options],
                check=False,
                stdout=subprocess.PIPE,
                timeout=PATIENCE,
            )
            yield options, orjson.loads(done.stdout)
        except (subprocess.TimeoutExpired, orjson.JSONDecodeError) as problem:
            raise SystemExit(
                f"a simulation has crashed or does not end: {problem}\n"
                f"The same again: python -m {MODULE} {' '.join(options)}"
            ) from problem
        number += 1


if __name__ == "__main__":
    sys.exit(main())
